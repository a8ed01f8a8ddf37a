//! One project's place in the directory.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use apex_storage::Lease;
use ractor::{ActorRef, ActorStatus};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ActorError;
use crate::lease::Gate;
use crate::project::ProjectMessage;

/// Removed from the directory only when vacant and when nobody else holds it.
pub(super) struct Slot {
    live: Mutex<Option<Live>>,
    /// Held by whoever starts or passivates the tree, so that claims of one project never run side by side.
    pub turn: tokio::sync::Mutex<()>,
    /// One permit: the right to have a tree.
    tree: Arc<Semaphore>,
}

/// A way into a running tree.
#[derive(Clone)]
pub(crate) struct Live {
    pub actor: ActorRef<ProjectMessage>,
    pub gate: Arc<Gate>,
    pub lease: Lease,
}

impl Slot {
    pub fn vacant() -> Self {
        Self { live: Mutex::new(None), turn: tokio::sync::Mutex::new(()), tree: Arc::new(Semaphore::new(1)) }
    }

    /// The tree, unless it is about to stop.
    pub fn live(&self) -> Option<Live> {
        self.any().filter(|live| live.actor.get_status() < ActorStatus::Draining && !live.gate.is_closing())
    }

    /// The tree that was started last, whatever became of it.
    pub fn any(&self) -> Option<Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, live: Option<Live>) {
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = live;
    }

    pub fn is_vacant(&self) -> bool {
        self.live().is_none() && self.tree.available_permits() == 1
    }

    /// Waits for the last actor of the tree before: a crashed parent's children are killed but not awaited.
    pub async fn tree(&self, patience: Duration) -> Result<OwnedSemaphorePermit, ActorError> {
        let tree = tokio::time::timeout(patience, Arc::clone(&self.tree).acquire_owned()).await;
        tree.ok().and_then(Result::ok).ok_or(ActorError::Unavailable)
    }

    /// Stops the tree once everything under way is done: all permits first, then the drain. The other way round loses work:
    /// a draining ractor actor cannot start children, so a queued message for a child that does not run yet would fail.
    /// To be called with the turn. The lease that can be given back; `None`: there is no tree, or it stayed busy.
    pub async fn stop(&self, patience: Duration) -> Option<Lease> {
        let live = self.live()?;
        let closed = live.gate.close(patience).await?;
        let _ = live.actor.drain_and_wait(None).await;
        closed.forever();
        self.set(None);
        let _all_actors_gone = self.tree.acquire().await;
        Some(live.lease)
    }
}
