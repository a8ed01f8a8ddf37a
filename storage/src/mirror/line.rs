//! The connection of the moment, and the breaker in it: several commands in a row without an answer, and no more are sent until
//! the heartbeat has one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};

use super::{OPEN, UP};

/// So many silent commands in a row open the breaker.
const SILENCES: u32 = 3;

/// What commands are sent on. `C` is a cheap handle of a connection.
pub(super) struct Line<C> {
    connection: RwLock<Option<C>>,
    silences: AtomicU32,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self { connection: RwLock::new(None), silences: AtomicU32::new(0) }
    }
}

impl<C: Clone> Line<C> {
    /// The connection; `None` while there is none, or the breaker is open.
    pub fn get(&self) -> Option<C> {
        if self.is_open() {
            return None;
        }
        self.connection.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a command would be sent, without taking the connection.
    pub fn is_up(&self) -> bool {
        !self.is_open() && self.connection.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// There is another connection, or none.
    pub fn set(&self, connection: Option<C>) {
        *self.connection.write().unwrap_or_else(PoisonError::into_inner) = connection;
        self.silences.store(0, Ordering::SeqCst);
        self.tell();
    }

    /// The server has answered something: the breaker closes.
    pub fn answered(&self) {
        if self.silences.swap(0, Ordering::SeqCst) >= SILENCES {
            self.tell();
        }
    }

    /// A command had no answer in time.
    pub fn silent(&self) {
        if self.silences.fetch_add(1, Ordering::SeqCst) + 1 == SILENCES {
            tracing::debug!("the ticket mirror is silent; nothing is sent until it answers");
            self.tell();
        }
    }

    fn is_open(&self) -> bool {
        self.silences.load(Ordering::SeqCst) >= SILENCES
    }

    fn tell(&self) {
        metrics::gauge!(UP).set(f64::from(u8::from(self.is_up())));
        metrics::gauge!(OPEN).set(f64::from(u8::from(self.is_open())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_some_silence_in_a_row_nothing_is_sent_until_an_answer() {
        let line = Line::default();
        assert_eq!(line.get(), None);
        line.set(Some("connection"));
        for _ in 0..10 {
            line.silent();
            line.silent();
            line.answered();
        }
        assert_eq!(line.get(), Some("connection"), "silence with answers in between is load");
        (0..SILENCES).for_each(|_| line.silent());
        assert_eq!((line.get(), line.is_up()), (None, false));
        line.answered();
        assert_eq!((line.get(), line.is_up()), (Some("connection"), true));
    }

    #[test]
    fn a_new_connection_begins_without_a_past() {
        let line = Line::default();
        (0..SILENCES).for_each(|_| line.silent());
        line.set(Some(7));
        assert!(line.is_up());
        line.set(None);
        assert!(!line.is_up());
    }
}
