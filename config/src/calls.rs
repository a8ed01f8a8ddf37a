//! How long calls may ring, last and stay silent.

use std::time::Duration;

use crate::source::Source;

/// Times of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// How long a phone rings.
    pub ring_timeout: Duration,
    /// How long an unclear call is looked for at the provider before it is held.
    pub lookup_for: Duration,
    /// How long a call may go without a callback before the provider is polled.
    pub silent_after: Duration,
    /// How long a recording is waited for after the call's end.
    pub recording_wait: Duration,
    /// After how long a call is ended.
    pub max_duration: Duration,
}

impl Calls {
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        Self {
            ring_timeout: source.seconds("calls.ring_seconds", 5..=60),
            lookup_for: source.seconds("calls.lookup_seconds", 1..=3_600),
            silent_after: source.seconds("calls.silent_seconds", 1..=3_600),
            recording_wait: source.seconds("calls.recording_seconds", 1..=3_600),
            max_duration: source.seconds("calls.max_seconds", 60..=14_400),
        }
    }
}
