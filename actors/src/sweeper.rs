//! The sweeper: one loop per node that finds what no nudge told. It is the only timer of waiting tickets. The other loops of
//! a node are started beside it.

use std::time::Duration;

use apex_storage::{DueTicket, StorageError};
use chrono::TimeDelta;
use tokio::time::MissedTickBehavior;

use crate::directory::Directory;
use crate::outage::Outage;
use crate::{clockwork, metrics, watch};

/// Tickets of each kind that one sweep nudges.
const BATCH: i64 = 500;
/// Events that one sweep numbers.
const NUMBERED: i64 = 1000;
/// A callback that nobody has looked at for so long had its nudge lost.
const UNREAD_AFTER: TimeDelta = TimeDelta::seconds(1);
/// How often idle trees are looked for.
const IDLE_EVERY: Duration = Duration::from_secs(5);

impl Directory {
    /// Begins to sweep, to passivate idle trees, to run schedules and to watch over the promises, until the shutdown.
    pub fn start_sweeping(&self) {
        self.own(sweep_forever(self.clone()));
        self.own(passivate_forever(self.clone()));
        self.own(clockwork::run_forever(self.clone()));
        self.own(clockwork::tidy_forever(self.clone()));
        self.own(watch::watch_forever(self.clone()));
        self.own(watch::reconcile_forever(self.clone()));
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

    /// Nudges tickets that wait for a time of a clock that has gone back since. How many nudges.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn sweep_misdated(&self) -> Result<usize, StorageError> {
        let misdated = self.world().store.system_read().await?.misdated(BATCH).await?;
        for DueTicket { id, org_id, project_id, actor } in &misdated {
            self.nudge(*org_id, *project_id, *id, actor);
        }
        Ok(misdated.len())
    }

    /// Numbering is for one node at a time: two would give the same numbers.
    async fn number_events(&self) -> Result<(), StorageError> {
        let mut tx = self.world().store.system().await?;
        if tx.take_turn("number_events").await? {
            tx.number_events(NUMBERED).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn sweep_forever(directory: Directory) {
    let mut ticks = ticks(directory.world().rules.sweep_every);
    let mut outage = Outage::of("sweep");
    loop {
        ticks.tick().await;
        outage.told(directory.sweep().await);
    }
}

async fn passivate_forever(directory: Directory) {
    let (mut ticks, mut outage) = (ticks(IDLE_EVERY), Outage::of("look for tickets of a later clock"));
    loop {
        ticks.tick().await;
        outage.told(directory.sweep_misdated().await);
        let stopped = directory.passivate_idle().await;
        metrics::projects_active(directory.live_trees()); // a crash does not tell it
        if stopped > 0 {
            tracing::debug!(stopped, "idle projects put to sleep");
        }
    }
}

/// A tick at once and then one each time that `every` has passed; what was missed is not made up for.
pub(crate) fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
