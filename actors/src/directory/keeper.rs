//! The keeper stands above all trees, so that a crash ends nothing but its own tree. What crashed is woken again, so that
//! its work does not wait for the next message.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apex_storage::clock;
use apex_storage::model::ProjectId;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::mpsc;

use super::Directory;
use crate::failure::Cause;
use crate::metrics;

/// A tree that lived for so long is woken without a longer wait.
const FORGIVEN_AFTER: Duration = Duration::from_mins(1);

/// A project actor that died.
pub(super) struct Crash {
    pub who: ActorId,
    pub cause: Cause,
}

pub(super) struct Keeper;

pub(super) struct KeeperState {
    pub crashes: Arc<AtomicU64>,
    pub tell: mpsc::UnboundedSender<Crash>,
}

impl Actor for Keeper {
    type Msg = ();
    type State = KeeperState;
    type Arguments = KeeperState;

    async fn pre_start(&self, _: ActorRef<()>, args: KeeperState) -> Result<KeeperState, ActorProcessingErr> {
        Ok(args)
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        state: &mut KeeperState,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(who, error) = event {
            let cause = Cause::of(&error);
            tracing::error!(%error, cause = cause.as_str(), "a project's tree ended");
            metrics::restarted("project", cause);
            state.crashes.fetch_add(1, Ordering::Relaxed);
            let _ = state.tell.send(Crash { who: who.get_id(), cause });
        }
        Ok(())
    }
}

/// Wakes what crashed, later each time. A project that was fenced has another owner, who does its work.
pub(super) async fn wake_crashed(directory: Directory, mut crashes: mpsc::UnboundedReceiver<Crash>) {
    let mut history: HashMap<ProjectId, (usize, Instant)> = HashMap::new();
    while let Some(Crash { who, cause }) = crashes.recv().await {
        let Some(lease) = directory.lease_of(who).filter(|_| cause != Cause::Fenced) else { continue };
        let now = directory.monotonic();
        history.retain(|_, (_, last)| now.saturating_duration_since(*last) < FORGIVEN_AFTER);
        let (count, last) = history.entry(lease.project).or_insert((0, now));
        (*count, *last) = (*count + 1, now);
        let wait = directory.world().rules.restart.wait(*count, clock::jitter());
        directory.wake_after(wait, lease.org, lease.project);
    }
}
