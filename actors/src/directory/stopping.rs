//! How trees end: passivated one by one, drained at shutdown, killed when the node has lost its lease.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use apex_storage::Lease;
use apex_storage::model::ProjectId;
use tokio::task::JoinSet;

use super::slot::Slot;
use super::{Directory, PoisonError};
use crate::metrics;

/// Trees that are drained at the same time when the node closes.
const CHUNK: usize = 64;
/// How long killed trees may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

impl Directory {
    /// Stops the project's tree once everything under way is done, and gives the project back. `false`: there was none, or it
    /// stayed busy for longer than `patience` and lives on. Senders meanwhile wait and reach the next tree.
    pub async fn passivate(&self, project: ProjectId, patience: Duration) -> bool {
        let Some(slot) = self.0.slots.get(&project).map(|slot| Arc::clone(&slot)) else { return false };
        let stopped = self.stop(&slot, patience).await;
        drop(slot);
        self.forget_if_vacant(project);
        stopped
    }

    async fn stop(&self, slot: &Slot, patience: Duration) -> bool {
        let _turn = slot.turn.lock().await;
        let Some(lease) = slot.stop(patience).await else { return false };
        self.release(&lease).await;
        metrics::projects_active(self.live_trees());
        true
    }

    /// A project that could not be given back is still ours: we claim it again when we need it.
    async fn release(&self, lease: &Lease) {
        let release = async {
            let mut tx = self.0.world.store.system().await?;
            tx.release(lease).await?;
            tx.commit().await
        };
        if let Err(error) = release.await {
            tracing::warn!(project.id = %lease.project, %error, "a project could not be given back");
        }
    }

    /// Passivates trees that have been idle for long. How many.
    pub async fn passivate_idle(&self) -> usize {
        let (now, after) = (self.monotonic(), self.0.world.rules.idle_after);
        let is_idle =
            |slot: &Slot| slot.live().is_none_or(|live| live.gate.is_quiet() && live.gate.idle_for(now) >= after);
        let mut stopped = 0;
        for project in self.projects(is_idle) {
            stopped += usize::from(self.passivate(project, Duration::ZERO).await);
        }
        stopped
    }

    /// Refuses new requests and claims, lets every tree answer what it has, stops it, gives its project back, and leaves the
    /// cluster. The projects whose trees were still busy after the patience of the rules: those were killed, and their rows
    /// are what remains.
    pub async fn shutdown(&self) -> Vec<ProjectId> {
        self.0.open.store(false, Ordering::SeqCst);
        self.0.life.drain(&self.0.world.store, &self.node()).await;
        let mut killed = Vec::new();
        let all = self.projects(|_| true);
        let mut stopping = JoinSet::new();
        for project in all {
            if stopping.len() >= CHUNK {
                killed.extend(stopping.join_next().await.and_then(Result::ok).flatten());
            }
            let directory = self.clone();
            stopping.spawn(async move { directory.stop_or_kill(project).await });
        }
        while let Some(ended) = stopping.join_next().await {
            killed.extend(ended.ok().flatten());
        }
        self.0.life.leave(&self.0.world.store, &self.node()).await;
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks); // aborts what is left: nothing is routed any more
        self.0.keeper.stop(None);
        killed
    }

    async fn stop_or_kill(&self, project: ProjectId) -> Option<ProjectId> {
        let slot = self.0.slots.get(&project).map(|slot| Arc::clone(&slot))?;
        if self.stop(&slot, self.0.world.rules.drain_patience).await {
            return None;
        }
        let _turn = slot.turn.lock().await;
        let live = slot.live()?;
        live.actor.kill();
        slot.set(None);
        let _all_actors_gone = slot.tree(KILL_PATIENCE).await;
        self.release(&live.lease).await;
        tracing::error!(project.id = %project, "a project was still busy when the node closed");
        Some(project)
    }

    /// Kills every tree at once: others may own their projects by now.
    pub(crate) fn kill_all(&self) {
        for slot in &self.0.slots {
            if let Some(live) = slot.any() {
                live.actor.kill();
                slot.set(None);
            }
        }
    }

    /// Collected first: a reference into the map must not be held across an await.
    fn projects(&self, wanted: impl Fn(&Slot) -> bool) -> Vec<ProjectId> {
        self.0.slots.iter().filter(|slot| wanted(slot)).map(|slot| *slot.key()).collect()
    }

    /// The count cannot grow while it is looked at: clones are made under the map's shard lock only.
    fn forget_if_vacant(&self, project: ProjectId) {
        self.0.slots.remove_if(&project, |_, slot| Arc::strong_count(slot) == 1 && slot.is_vacant());
    }
}
