//! Who waits for which ticket in this process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// A hint for each ticket that somebody waits for. A ticket that nobody waits for takes no memory.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<Uuid, watch::Sender<()>>>);

impl Watchers {
    /// Starts waiting: hints from now on wake the caller, also those that come before it looks.
    pub fn watch(self: &Arc<Self>, id: Uuid) -> Wake {
        let hints = match self.lock().entry(id) {
            Entry::Occupied(entry) => entry.get().subscribe(),
            Entry::Vacant(entry) => {
                let (sender, hints) = watch::channel(());
                entry.insert(sender);
                hints
            }
        };
        Wake { id, hints: Some(hints), watchers: Arc::clone(self) }
    }

    /// Wakes everybody who waits for the ticket.
    pub fn wake(&self, id: Uuid) {
        if let Some(sender) = self.lock().get(&id) {
            sender.send_replace(());
        }
    }

    /// Wakes everybody: hints may have been missed.
    pub fn wake_all(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Waits for hints about one ticket.
#[derive(Debug)]
pub struct Wake {
    id: Uuid,
    hints: Option<watch::Receiver<()>>,
    watchers: Arc<Watchers>,
}

impl Wake {
    /// Returns when the ticket may have moved on since the last return, or since the watch began. Several hints are one. It
    /// can be cancelled without losing any.
    pub async fn changed(&mut self) {
        let hinted = match &mut self.hints {
            Some(hints) => hints.changed().await.is_ok(),
            None => false,
        };
        if !hinted {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let mut all = self.watchers.lock();
        drop(self.hints.take());
        if all.get(&self.id).is_some_and(|sender| sender.receiver_count() == 0) {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hint_reaches_all_who_wait_for_the_ticket_and_nobody_else() {
        let watchers = Arc::new(Watchers::default());
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (mut first, mut second, mut third) = (watchers.watch(one), watchers.watch(one), watchers.watch(other));
        watchers.wake(one);
        watchers.wake(one);
        first.changed().await;
        second.changed().await;
        let quiet = |wake: &mut Wake| futures::FutureExt::now_or_never(wake.changed()).is_none();
        assert!(quiet(&mut first), "two hints are one");
        assert!(quiet(&mut third));
        watchers.wake_all();
        first.changed().await;
        third.changed().await;
    }

    #[test]
    fn nothing_is_kept_for_a_ticket_without_watchers() {
        let watchers = Arc::new(Watchers::default());
        let id = Uuid::from_u128(1);
        let first = watchers.watch(id);
        let second = watchers.watch(id);
        drop(first);
        assert_eq!(watchers.len(), 1);
        drop(second);
        assert_eq!(watchers.len(), 0);
    }
}
