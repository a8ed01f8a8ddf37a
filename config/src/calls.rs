//! How long calls may ring, last and stay silent.

use std::time::Duration;

use crate::{
    problem::{Checked, Fault},
    source::Source,
};

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
    /// No call or message leaves until a person releases it.
    pub hold_effects: bool,
    /// A lead without an outcome for so long breaks a promise and is told.
    pub outcome_within: Duration,
}

impl Calls {
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        Self {
            ring_timeout: source.seconds("calls.ring_seconds", 5..=60),
            lookup_for: source.seconds("calls.lookup_seconds", 1..=3_600),
            silent_after: source.seconds("calls.silent_seconds", 1..=3_600),
            recording_wait: source.seconds("calls.recording_seconds", 1..=3_600),
            max_duration: source.seconds("calls.max_seconds", 60..=14_400),
            hold_effects: source.checked("calls.hold_effects", truth).unwrap_or(false),
            outcome_within: Duration::from_mins(source.number("calls.outcome_minutes", 1..=10_080)),
        }
    }
}

fn truth(text: &str) -> Checked<bool> {
    text.parse().map_err(|_| Fault::new("is neither true nor false", "write true or false"))
}
