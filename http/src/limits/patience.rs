//! Attempts to sign in with one e-mail address: the more of them, the longer the wait for the next. Pure.
//!
//! Whoever knows an address can make its owner wait too, so the wait has an end; a session that is open is not touched by it.

use std::time::Duration;

use super::bucket::{Bucket, Rate, Taken};
use super::crowd::Idle;

/// The longest time between two attempts.
const LONGEST: Duration = Duration::from_mins(5);
/// Enough doublings to reach it.
const DOUBLINGS: u32 = 16;

/// Attempts of late.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempts {
    bucket: Bucket,
    /// Let through since the bucket was full.
    count: u32,
}

impl Attempts {
    /// As many as the rate has at once are free; after each further one the next waits twice as long.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Taken {
        if self.bucket.is_idle(now) {
            self.count = 0;
        }
        let mut taken = self.bucket.take(rate, now);
        if taken.wait.is_none() {
            self.count = self.count.saturating_add(1);
            let doublings = self.count.saturating_sub(rate.burst).min(DOUBLINGS);
            let cost = rate.interval.saturating_mul(1 << doublings).min(LONGEST.max(rate.interval));
            let more = cost.saturating_sub(rate.interval);
            self.bucket.spill(more);
            taken.reset = taken.reset.saturating_add(more);
        }
        taken
    }
}

impl Idle for Attempts {
    fn is_idle(&self, now: Duration) -> bool {
        self.bucket.is_idle(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_end_and_is_forgotten_after_a_pause() {
        let rate = Rate::per_minute(10).unwrap();
        let (mut attempts, mut now) = (Attempts::default(), Duration::from_secs(1));
        for _ in 0..10 {
            assert_eq!(attempts.take(rate, now).wait, None);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            let wait = attempts.take(rate, now).wait.unwrap();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(attempts.take(rate, now).wait, None);
        }
        assert_eq!(waits, [6, 12, 24, 48, 96, 192, 300, 300]);
        now += Duration::from_mins(6);
        let free = (0..20).filter(|_| attempts.take(rate, now).wait.is_none()).count();
        assert_eq!(free, 10, "a pause makes it as it was");
    }

    #[test]
    fn attempts_that_are_refused_make_the_wait_no_longer() {
        let rate = Rate::per_minute(5).unwrap();
        let (mut attempts, now) = (Attempts::default(), Duration::ZERO);
        let through = (0..1000).filter(|_| attempts.take(rate, now).wait.is_none()).count();
        assert_eq!(through, 5);
        assert_eq!(attempts.take(rate, now).wait, Some(rate.interval));
    }
}
