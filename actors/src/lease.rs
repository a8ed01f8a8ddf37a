//! Who may live and who may send: the right of a tree to exist, and the gate of its mailbox.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Nudges on their way or being acted upon in one project. More are dropped: the sweeper finds their tickets.
const NUDGES: u32 = 4096;

/// The right of one tree to exist in this process. Each of its actors holds a clone, so it is free again only when the last
/// of them is gone: the killed children of a crashed parent never run beside the next tree.
pub(crate) type TreeLease = Arc<TreeLeaseParts>;

/// Dropped top down: whoever waits for the project's permit finds the node's seat free as well.
pub(crate) struct TreeLeaseParts {
    pub _seat: OwnedSemaphorePermit,
    pub _project: OwnedSemaphorePermit,
}

/// The right to one request, from before it is sent until it is answered.
pub(crate) struct Permit {
    pub _project: OwnedSemaphorePermit,
    pub _node: Arc<OwnedSemaphorePermit>,
}

/// The right to one nudge, from before it is sent until it was acted upon.
pub(crate) type NudgePermit = OwnedSemaphorePermit;

/// Counts one message of an actor; ractor does not tell how long a mailbox is.
pub(crate) struct Depth(Arc<AtomicUsize>);

impl Depth {
    pub fn of(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Depth {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Guards one tree's mailbox: while anybody holds a permit, a message is about to be sent, queued or in hand.
pub(crate) struct Gate {
    requests: Lane,
    nudges: Lane,
    closing: AtomicBool,
    last_use: Mutex<Instant>,
}

/// Why the gate let nobody through.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Barred {
    /// All permits are out.
    Full,
    /// The tree is about to stop: route again.
    Closing,
}

/// One kind of permits.
struct Lane {
    permits: Arc<Semaphore>,
    capacity: u32,
}

impl Lane {
    fn new(capacity: u32) -> Self {
        Self { permits: Arc::new(Semaphore::new(capacity as usize)), capacity }
    }

    fn is_quiet(&self) -> bool {
        self.permits.available_permits() == self.capacity as usize
    }

    /// Fair: whoever comes after us gets none.
    async fn all(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_many_owned(self.capacity).await.ok()
    }
}

impl Gate {
    /// An open gate for so many requests at once.
    pub fn new(requests: u32, now: Instant) -> Self {
        Self {
            requests: Lane::new(requests),
            nudges: Lane::new(NUDGES),
            closing: AtomicBool::new(false),
            last_use: Mutex::new(now),
        }
    }

    /// Takes a request's permit without waiting.
    pub fn enter(&self, now: Instant) -> Result<OwnedSemaphorePermit, Barred> {
        self.pass(&self.requests, now)
    }

    /// Takes a nudge's permit without waiting.
    pub fn enter_nudge(&self, now: Instant) -> Result<NudgePermit, Barred> {
        self.pass(&self.nudges, now)
    }

    fn pass(&self, lane: &Lane, now: Instant) -> Result<OwnedSemaphorePermit, Barred> {
        match Arc::clone(&lane.permits).try_acquire_owned() {
            Ok(permit) => {
                *self.last_use.lock().unwrap_or_else(PoisonError::into_inner) = now;
                Ok(permit)
            }
            Err(TryAcquireError::NoPermits) if !self.is_closing() => Err(Barred::Full),
            Err(_) => Err(Barred::Closing),
        }
    }

    /// Bars new senders and waits until everything under way is done. `None`: it was not within `patience`, and the gate is
    /// open again.
    pub async fn close(&self, patience: Duration) -> Option<Closed<'_>> {
        self.closing.store(true, Ordering::SeqCst);
        let mut closed = Closed { gate: self, all: None, reopens: true };
        let all = async { Some((self.requests.all().await?, self.nudges.all().await?)) };
        closed.all = Some(tokio::time::timeout(patience, all).await.ok().flatten()?);
        Some(closed)
    }

    /// Whether new senders are barred.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// How long nobody has come through.
    pub fn idle_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.last_use.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.requests.is_quiet() && self.nudges.is_quiet()
    }
}

/// A closed gate: nothing is under way and nothing can be. Opens when dropped without [`Closed::forever`].
pub(crate) struct Closed<'a> {
    gate: &'a Gate,
    all: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    reopens: bool,
}

impl Closed<'_> {
    /// Keeps the gate shut; senders route again.
    pub fn forever(mut self) {
        self.gate.requests.permits.close();
        self.gate.nudges.permits.close();
        self.reopens = false;
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if self.reopens {
            self.all.take();
            self.gate.closing.store(false, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_gate_does_not_close_and_opens_again() {
        let (now, gate) = (Instant::now(), Gate::new(1, Instant::now()));
        let nudge = gate.enter_nudge(now).unwrap();
        assert!(gate.close(Duration::ZERO).await.is_none());
        let request = gate.enter(now).unwrap();
        assert_eq!(gate.enter(now).unwrap_err(), Barred::Full);
        drop((nudge, request));
        assert!(gate.is_quiet());
        let closed = gate.close(Duration::ZERO).await.unwrap();
        assert_eq!(gate.enter(now).unwrap_err(), Barred::Closing);
        drop(closed);
        assert!(gate.enter(now).is_ok());
        gate.close(Duration::from_secs(1)).await.unwrap().forever();
        assert_eq!(gate.enter_nudge(now).unwrap_err(), Barred::Closing);
    }
}
