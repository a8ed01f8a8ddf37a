//! The time of the outside.

use chrono::{DateTime, Utc};

/// Now, by the wall clock: the outside does not share the clock of the program it plays with.
#[expect(clippy::disallowed_methods, reason = "the outside has a clock of its own")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}

/// RFC 2822 in UTC, as in `Thu, 19 Nov 2026 12:00:00 +0000`.
pub(crate) fn rfc2822(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
