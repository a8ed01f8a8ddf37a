//! When a failed actor comes back: a pure rule. Time and chance are passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The numbers of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartRule {
    /// Failures older than this are forgotten.
    pub window: Duration,
    /// So many failures in a window are answered with a restart; one more parks.
    pub restarts: usize,
    /// Wait before the first restart; doubled by each further failure in the window.
    pub backoff: Duration,
    /// Longest wait before a restart.
    pub backoff_cap: Duration,
    /// How long a parked actor rests before it is tried again.
    pub parked_for: Duration,
}

impl Default for RestartRule {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(1),
            restarts: 10,
            backoff: Duration::from_millis(50),
            backoff_cap: Duration::from_secs(5),
            parked_for: Duration::from_mins(5),
        }
    }
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start it again after this wait.
    Restart(Duration),
    /// Tell a person after so many failures, and try again after this rest.
    Park { rest: Duration, failures: usize },
}

/// The failures of one actor, as far as they count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures {
    recent: VecDeque<Instant>,
    /// Until then one failure is enough to be parked again.
    probation_ends: Option<Instant>,
}

impl Failures {
    /// An actor that was parked and is tried again is trusted only after it held out until then.
    pub fn on_probation(until: Instant) -> Self {
        Self { recent: VecDeque::new(), probation_ends: Some(until) }
    }

    /// Whether an actor that was parked has held out since it was tried again.
    pub fn held_out(&self, now: Instant) -> bool {
        self.probation_ends.is_none_or(|ends| now >= ends)
    }
}

impl RestartRule {
    /// Notes a failure and judges it. `jitter` is 0..=1000, in thousandths of the doubled wait.
    pub(crate) fn judge(&self, failures: &mut Failures, now: Instant, jitter: u16) -> Verdict {
        failures.recent.retain(|&at| now.saturating_duration_since(at) < self.window);
        failures.recent.push_back(now);
        let count = failures.recent.len();
        if failures.held_out(now) && count <= self.restarts {
            return Verdict::Restart(self.wait(count, jitter));
        }
        *failures = Failures::on_probation(now + self.parked_for + self.window);
        Verdict::Park { rest: self.parked_for, failures: count }
    }

    /// The wait before the `nth` restart, spread over its upper half so that actors that fell together do not rise
    /// together.
    pub(crate) fn wait(&self, nth: usize, jitter: u16) -> Duration {
        let doublings = u32::try_from(nth.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        let whole = self.backoff.saturating_mul(1 << doublings).min(self.backoff_cap);
        whole / 2 + (whole / 2).saturating_mul(u32::from(jitter.min(1000))) / 1000
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule() -> RestartRule {
        RestartRule::default()
    }

    fn judge_all(gaps: &[u64], jitter: u16) -> Vec<Verdict> {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        let judge = |&gap: &u64| {
            now += Duration::from_millis(gap);
            rule().judge(&mut failures, now, jitter)
        };
        gaps.iter().map(judge).collect()
    }

    fn is_restart(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Restart(_))
    }

    #[test]
    fn ten_failures_are_restarted_and_the_eleventh_parks() {
        let verdicts = judge_all(&[1; 11], 500);
        assert!(verdicts[..10].iter().all(is_restart));
        assert_eq!(verdicts[10], Verdict::Park { rest: rule().parked_for, failures: 11 });
    }

    #[test]
    fn a_failure_within_a_window_of_the_retry_parks_again_at_once() {
        let gaps = [[1; 11].as_slice(), &[300_000]].concat();
        assert_eq!(judge_all(&gaps, 0).pop(), Some(Verdict::Park { rest: rule().parked_for, failures: 1 }));
    }

    #[test]
    fn whoever_holds_out_for_a_window_after_the_retry_is_trusted_again() {
        let gaps = [[1; 11].as_slice(), &[360_000]].concat();
        assert!(judge_all(&gaps, 0).last().is_some_and(is_restart));
        let (now, until) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        assert!(!Failures::on_probation(until).held_out(now));
        assert!(Failures::on_probation(until).held_out(until) && Failures::default().held_out(now));
    }

    proptest! {
        #[test]
        fn rare_failures_never_park(gaps in prop::collection::vec(6_000_u64..100_000, 1..200), jitter in 0_u16..=1000) {
            prop_assert!(judge_all(&gaps, jitter).iter().all(is_restart));
        }

        #[test]
        fn no_window_holds_more_than_ten_restarts(gaps in prop::collection::vec(0_u64..20_000, 1..300)) {
            let (mut restarts, mut now) = (VecDeque::new(), 0);
            for (gap, verdict) in gaps.iter().zip(judge_all(&gaps, 0)) {
                now += gap;
                restarts.retain(|&at| now - at < 60_000);
                if is_restart(&verdict) {
                    restarts.push_back(now);
                }
                prop_assert!(restarts.len() <= rule().restarts);
            }
        }

        #[test]
        fn a_wait_is_never_longer_than_the_cap_nor_shorter_with_more_jitter(nth in 1_usize..64, a in 0_u16..=2000, b in 0_u16..=2000) {
            let (less, more) = (rule().wait(nth, a.min(b)), rule().wait(nth, a.max(b)));
            prop_assert!(rule().backoff / 2 <= less && less <= more && more <= rule().backoff_cap);
        }
    }
}
