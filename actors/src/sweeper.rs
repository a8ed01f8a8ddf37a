//! The sweeper: one loop per node that finds what no nudge told. It is the only timer of waiting tickets.

use std::time::Duration;

use apex_storage::model::{OrgId, ProjectId};
use apex_storage::{Claim, DueTicket, StorageError};
use chrono::TimeDelta;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::directory::Directory;
use crate::metrics;

/// Tickets of each kind that one sweep nudges.
const BATCH: i64 = 500;
/// Events that one sweep numbers.
const NUMBERED: i64 = 1000;
/// A callback that nobody has looked at for so long had its nudge lost.
const UNREAD_AFTER: TimeDelta = TimeDelta::seconds(1);
/// How often idle trees are looked for.
const IDLE_EVERY: Duration = Duration::from_secs(5);

impl Directory {
    /// Begins to sweep, and to passivate idle trees, until the shutdown.
    pub fn start_sweeping(&self) {
        self.own(sweep_forever(self.clone()));
        self.own(passivate_forever(self.clone()));
    }

    /// One sweep: nudges due tickets of this node, due tickets of nobody, and tickets with unread callbacks; numbers new
    /// events. How many nudges.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn sweep(&self) -> Result<usize, StorageError> {
        let store = &self.world().store;
        let mut tx = store.system_read().await?;
        let mut due = tx.due_here(&self.node().id, BATCH).await?;
        due.extend(tx.due_orphans(BATCH).await?);
        due.extend(tx.unread_callbacks(store.now() - UNREAD_AFTER, BATCH).await?);
        let new_events = tx.has_new_events().await?;
        drop(tx);
        for DueTicket { id, org_id, project_id, actor } in &due {
            self.nudge(*org_id, *project_id, *id, actor);
        }
        if new_events {
            self.number_events().await?;
        }
        Ok(due.len())
    }

    /// Numbering is for one node at a time. On Postgres the relay is a project that nobody has: whoever holds its placement
    /// numbers, in the transaction that claims it again and so keeps its row locked. On `SQLite` there is one node.
    async fn number_events(&self) -> Result<(), StorageError> {
        let store = &self.world().store;
        let mut tx = store.system().await?;
        if store.is_postgres() {
            let (org, relay) = (OrgId(Uuid::nil()), ProjectId(Uuid::nil()));
            if !matches!(tx.claim(org, relay, &self.node().id).await?, Claim::Granted(_)) {
                return Ok(());
            }
        }
        tx.number_events(NUMBERED).await?;
        tx.commit().await
    }
}

/// Survives any failure of the database, and says so once per outage.
async fn sweep_forever(directory: Directory) {
    let mut ticks = ticks(directory.world().rules.sweep_every);
    let mut is_out = false;
    loop {
        ticks.tick().await;
        match directory.sweep().await {
            Ok(_) if is_out => {
                is_out = false;
                tracing::info!("sweeping again");
            }
            Ok(_) => {}
            Err(error) if error.is_busy() => tracing::debug!(%error, "sweep put off"),
            Err(error) => {
                if !std::mem::replace(&mut is_out, true) {
                    tracing::error!(error = apex_storage::with_causes(&error), "cannot sweep; trying on");
                }
            }
        }
    }
}

async fn passivate_forever(directory: Directory) {
    let mut ticks = ticks(IDLE_EVERY);
    loop {
        ticks.tick().await;
        let stopped = directory.passivate_idle().await;
        metrics::projects_active(directory.live_trees()); // a crash does not tell it
        if stopped > 0 {
            tracing::debug!(stopped, "idle projects put to sleep");
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
