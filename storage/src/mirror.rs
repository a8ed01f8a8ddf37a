//! The ticket mirror: copies of ticket bodies for readers, and hints that a ticket has moved on.
//!
//! Rows are the truth. Losing the mirror loses nothing: every answer here is bounded in time, no failure reaches the
//! caller, and whoever waits for a hint also looks by itself once a second.

mod line;
mod memory;
mod redis;
mod watchers;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::clock::SystemClock;

pub use watchers::Wake;
pub use writer::MirrorWriter;

/// Gauge: 1 while the mirror answers, else 0.
const UP: &str = "apex_mirror_up";

/// Counter with the label `operation`: copies that could not be written or read.
const ERRORS: &str = "apex_mirror_errors_total";

/// Counter with the label `operation`: copies neither written nor looked for, because the mirror is known to be away.
const SKIPPED: &str = "apex_mirror_skipped_total";

/// Gauge: 1 while commands are held back because several in a row had no answer, else 0.
const OPEN: &str = "apex_mirror_breaker_open";

/// Counter: copies given up because newer ones came faster than they could be written.
const DROPPED: &str = "apex_mirror_dropped_total";

/// A copy of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// Of the last journal entry in it.
    pub seq: i64,
    /// The JSON document, exactly as it was put.
    pub body: String,
    /// How long ago it was put.
    pub age: Duration,
}

/// Keeps copies of tickets.
#[async_trait]
pub trait Mirror: Send + Sync {
    /// Puts a copy, unless a newer one is there; the same `seq` replaces, and wakes nobody. `body` is a JSON object whose
    /// `data.seq` is `seq`. Takes at most 200 ms; a failure is counted and otherwise ignored.
    async fn put(&self, id: Uuid, seq: i64, body: &str);

    /// The copy, if there is one and it comes within 50 ms.
    async fn get(&self, id: Uuid) -> Option<Mirrored>;

    /// Wakes when the ticket may have moved on. A hint can be lost: look by yourself, too.
    fn watch(&self, id: Uuid) -> Wake;

    /// Whether copies are kept and found just now.
    fn is_up(&self) -> bool;
}

/// A mirror for one process. A copy lives for `ttl`, and a shorter time when there are more than memory is set aside for.
pub fn memory(ttl: Duration) -> Arc<dyn Mirror> {
    describe();
    metrics::gauge!(UP).set(1);
    Arc::new(memory::Memory::new(ttl, Arc::new(SystemClock)))
}

/// A mirror for many processes. Waits up to a second for the server and returns in any case; while the server is away the
/// mirror is down, says so once, and comes back by itself. Its task ends when the last handle is dropped. `url` may hold a
/// password and is never logged. Call it inside a Tokio runtime.
pub async fn redis(url: &str, ttl: Duration) -> Arc<dyn Mirror> {
    describe();
    Arc::new(redis::Redis::start(url, ttl).await)
}

fn describe() {
    metrics::describe_gauge!(UP, "1 while the ticket mirror answers, else 0");
    metrics::describe_counter!(ERRORS, "Ticket copies that could not be written or read");
    metrics::describe_counter!(SKIPPED, "Ticket copies neither written nor looked for while the mirror is away");
    metrics::describe_gauge!(OPEN, "1 while commands to the mirror are held back after silence, else 0");
    metrics::describe_counter!(DROPPED, "Ticket copies given up for newer ones");
}
