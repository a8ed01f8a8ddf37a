//! Whether there is room for more facts: a disk, or the limit set for a `SQLite` file, can be full.
//!
//! Under a limit, leads are refused a little before it is reached, so that the calls that are under way can end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::StorageError;
use crate::sql::{Conn, sql};

/// Gauge: 1 while writes fail for want of room, else 0.
const FULL: &str = "apex_database_full";
/// A refusal counts for so long; senders come again within it.
const REMEMBERED: Duration = Duration::from_secs(30);
/// The size of a page, bytes: `SQLite`'s default.
const PAGE: u32 = 4096;
/// Which part of a limit is kept for the work that is under way.
const KEPT: i64 = 16;
/// The least and the most that is kept, pages.
const KEPT_WITHIN: (i64, i64) = (64, 16_384);

/// What is known about room. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Room(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Pages that the file may have; `None`: as many as the disk holds.
    pages: Option<u32>,
    refused: Mutex<Option<Instant>>,
}

impl Room {
    /// Room for a file of so many megabytes; `None`: for as much as the disk holds.
    pub fn of(megabytes: Option<u32>) -> Self {
        metrics::describe_gauge!(FULL, "1 while writes fail for want of room, else 0");
        metrics::gauge!(FULL).set(0);
        let pages = megabytes.map(|size| size.saturating_mul(1024 * 1024 / PAGE));
        Self(Arc::new(Inner { pages, refused: Mutex::new(None) }))
    }

    /// The limit in pages.
    pub fn pages(&self) -> Option<u32> {
        self.0.pages
    }

    /// Remembers a refusal for want of room.
    pub fn note<T>(&self, answer: &Result<T, StorageError>, now: Instant) {
        if matches!(answer, Err(StorageError::Full)) {
            if self.refused().replace(now).is_none() {
                tracing::error!("the disk of the database is full; nothing new is accepted");
            }
            metrics::gauge!(FULL).set(1);
        }
    }

    /// New facts were stored: there is room.
    pub fn stored(&self) {
        if self.refused().take().is_some() {
            tracing::info!("the database has room again");
            metrics::gauge!(FULL).set(0);
        }
    }

    /// Whether something was refused a moment ago.
    pub fn is_full(&self, now: Instant) -> bool {
        let recent = self.refused().is_some_and(|at| now.saturating_duration_since(at) < REMEMBERED);
        if !recent {
            metrics::gauge!(FULL).set(0);
        }
        recent
    }

    /// Looks whether a file under a limit has room for new work.
    ///
    /// # Errors
    ///
    /// `Full` when what is left is kept for the work under way.
    pub async fn for_new_work(&self, conn: &mut Conn) -> Result<(), StorageError> {
        let Some(pages) = self.0.pages.map(i64::from).filter(|_| !conn.is_postgres()) else { return Ok(()) };
        let used = sql!(
            "select cast(p.page_count - f.freelist_count as bigint) from"
            pg "(select 0 as page_count) p, (select 0 as freelist_count) f"
            lite "pragma_page_count p, pragma_freelist_count f"
        );
        let (used,): (i64,) = conn.query(used).one().await?;
        if used + kept(pages) > pages { Err(StorageError::Full) } else { Ok(()) }
    }

    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a limit for the work under way, pages.
fn kept(pages: i64) -> i64 {
    (pages / KEPT).clamp(KEPT_WITHIN.0, KEPT_WITHIN.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_remembered_until_something_is_stored_or_a_while_has_passed() {
        let (room, now) = (Room::of(Some(4)), Instant::now());
        assert_eq!(room.pages(), Some(1024));
        room.note(&Ok(()), now);
        room.note::<()>(&Err(StorageError::Away), now);
        assert!(!room.is_full(now));
        room.note::<()>(&Err(StorageError::Full), now);
        assert!(room.is_full(now) && room.clone().is_full(now));
        assert!(!room.is_full(now + REMEMBERED));
        room.stored();
        assert!(!room.is_full(now));
    }

    #[test]
    fn a_small_limit_keeps_some_pages_and_a_large_one_not_too_many() {
        assert_eq!((kept(512), kept(16_384), kept(1 << 30)), (64, 1024, 16_384));
    }
}
