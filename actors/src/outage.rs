//! Something that a loop tries again and again: each outage is told once, and so is its end.

use std::error::Error;

use apex_storage::{StorageError, with_causes};

/// Whether it fails right now.
pub(crate) struct Outage {
    what: &'static str,
    is_out: bool,
}

impl Outage {
    /// `what` completes "cannot": sweep, run schedules.
    pub fn of(what: &'static str) -> Self {
        Self { what, is_out: false }
    }

    /// What came of a try, after telling what is new about it. A database that is merely busy is no news.
    pub fn told<T, E: Error + 'static>(&mut self, result: Result<T, E>) -> Option<T> {
        let error = match result {
            Ok(done) => {
                if std::mem::take(&mut self.is_out) {
                    tracing::info!("can {} again", self.what);
                }
                return Some(done);
            }
            Err(error) => error,
        };
        let is_busy = (&error as &(dyn Error + 'static)).downcast_ref().is_some_and(StorageError::is_busy);
        if is_busy {
            tracing::debug!(%error, "cannot {} while the database is busy", self.what);
        } else if !std::mem::replace(&mut self.is_out, true) {
            tracing::error!(error = with_causes(&error), "cannot {}; trying on", self.what);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_success() {
        let mut outage = Outage::of("try");
        assert_eq!(outage.told::<_, StorageError>(Ok(1)), Some(1));
        assert!(!outage.is_out);
        assert_eq!(outage.told::<i32, _>(Err(StorageError::Stale)), None);
        assert!(outage.is_out);
        assert_eq!(outage.told::<_, StorageError>(Ok(2)), Some(2));
        assert!(!outage.is_out);
    }
}
