//! The pace of outgoing calls: a provider account starts so many calls a second, and a call asked for too early only waits
//! in the provider's own queue, where we cannot order it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hands out start times, evenly spaced.
#[derive(Debug)]
pub struct DialLane {
    gap: Duration,
    next: Mutex<Option<Instant>>,
}

impl DialLane {
    /// A lane for so many calls a second, at least one.
    pub fn new(calls_per_second: u32) -> Self {
        Self { gap: Duration::from_secs(1) / calls_per_second.max(1), next: Mutex::new(None) }
    }

    /// Takes the next start time: how long to wait for it from `now`.
    pub fn reserve(&self, now: Instant) -> Duration {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let start = next.map_or(now, |at| at.max(now));
        *next = Some(start + self.gap);
        start - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_evenly_spaced_and_an_idle_lane_starts_at_once() {
        let lane = DialLane::new(20);
        let now = Instant::now();
        let waits: Vec<_> = (0..3).map(|_| lane.reserve(now)).collect();
        assert_eq!(waits, [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(100)]);
        assert_eq!(lane.reserve(now + Duration::from_secs(9)), Duration::ZERO);
    }
}
