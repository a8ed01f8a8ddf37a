//! The rule: a bucket holds so many drops at most, gains one each interval, and a request takes one. Pure; the time is passed in.

use std::time::Duration;

use super::crowd::Idle;

/// How fast, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Time in which one drop comes.
    pub interval: Duration,
    /// Drops of a full bucket.
    pub burst: u32,
}

impl Rate {
    /// So many each second, and those of `burst_s` seconds at once. `None` for 0.
    pub fn per_second(count: u32, burst_s: u32) -> Option<Self> {
        Self::of(Duration::from_secs(1), count, count.saturating_mul(burst_s))
    }

    /// So many each minute, all of them at once. `None` for 0.
    pub fn per_minute(count: u32) -> Option<Self> {
        Self::of(Duration::from_mins(1), count, count)
    }

    /// Rounded so that it is never faster than asked for.
    fn of(period: Duration, count: u32, burst: u32) -> Option<Self> {
        let nanos = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let interval = Duration::from_nanos(nanos.checked_next_multiple_of(count.into())? / u64::from(count));
        Some(Self { interval, burst })
    }

    fn whole(self) -> Duration {
        self.interval.saturating_mul(self.burst)
    }
}

/// One bucket. Times count from one beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// When it is full again.
    full_at: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Drops of a full bucket.
    pub limit: u32,
    /// Drops left.
    pub remaining: u32,
    /// Time until it is full again.
    pub reset: Duration,
    /// `Some`: it was refused; after this time it would not have been.
    pub wait: Option<Duration>,
}

impl Bucket {
    /// Takes a drop, if there is one.
    pub fn take(&mut self, rate: Rate, now: Duration) -> Taken {
        let before = self.full_at.max(now);
        let after = before.saturating_add(rate.interval);
        let (missing, whole) = (after.saturating_sub(now), rate.whole());
        if missing > whole {
            let wait = Some(missing.saturating_sub(whole));
            return Taken { limit: rate.burst, remaining: 0, reset: before.saturating_sub(now), wait };
        }
        self.full_at = after;
        let left = (whole.saturating_sub(missing)).as_nanos() / rate.interval.as_nanos().max(1);
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        Taken { limit: rate.burst, remaining, reset: missing, wait: None }
    }

    /// Gives a drop back.
    pub fn give_back(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.interval);
    }

    /// Lets so much time's drops run out.
    pub fn spill(&mut self, time: Duration) {
        self.full_at = self.full_at.saturating_add(time);
    }
}

impl Idle for Bucket {
    fn is_idle(&self, now: Duration) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates() -> impl Strategy<Value = Rate> {
        let per_second = (1..=2000_u32, 1..=5_u32).prop_map(|(count, burst)| Rate::per_second(count, burst));
        let per_minute = (1..=600_u32).prop_map(Rate::per_minute);
        prop_oneof![per_second, per_minute].prop_map(Option::unwrap)
    }

    /// Microseconds between requests: rushes and pauses.
    fn gaps() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![4 => 0..50_u64, 2 => 0..20_000_u64, 1 => 0..90_000_000_u64], 1..400)
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_lets_more_through_than_the_rate_and_a_burst(rate in rates(), gaps in gaps()) {
            let (mut bucket, mut now, mut through) = (Bucket::default(), Duration::ZERO, Vec::new());
            for gap in gaps {
                now += Duration::from_micros(gap);
                if bucket.take(rate, now).wait.is_none() {
                    through.push(now);
                }
            }
            for (at, from) in through.iter().enumerate() {
                for (count, to) in through[at..].iter().enumerate() {
                    let stretch = to.saturating_sub(*from);
                    let most = u128::from(rate.burst) + stretch.as_nanos() / rate.interval.as_nanos();
                    prop_assert!((count as u128) < most, "{} in {stretch:?}", count + 1);
                }
            }
        }

        #[test]
        fn whoever_waits_as_told_is_let_through(rate in rates(), gaps in gaps()) {
            let (mut bucket, mut now) = (Bucket::default(), Duration::ZERO);
            for gap in gaps {
                now += Duration::from_micros(gap);
                let taken = bucket.take(rate, now);
                prop_assert!(taken.remaining < taken.limit);
                if let Some(wait) = taken.wait {
                    let mut early = bucket;
                    prop_assert!(early.take(rate, now + wait.saturating_sub(Duration::from_nanos(1))).wait.is_some());
                    now += wait;
                    prop_assert_eq!(bucket.take(rate, now).wait, None);
                }
            }
        }

        #[test]
        fn what_is_given_back_was_never_taken(rate in rates(), before in 0..20_u32) {
            let (mut bucket, now) = (Bucket::default(), Duration::from_secs(9));
            for _ in 0..before {
                bucket.take(rate, now);
            }
            let kept = bucket;
            if bucket.take(rate, now).wait.is_none() {
                bucket.give_back(rate);
                prop_assert_eq!(bucket.take(rate, now), kept.clone().take(rate, now));
            }
        }
    }

    #[test]
    fn a_bucket_counts_down_and_fills_again() {
        let rate = Rate::per_second(2, 2).unwrap();
        let (mut bucket, now) = (Bucket::default(), Duration::from_secs(5));
        let left: Vec<u32> = (0..4).map(|_| bucket.take(rate, now).remaining).collect();
        assert_eq!(left, [3, 2, 1, 0]);
        let half = Duration::from_millis(500);
        let refused = bucket.take(rate, now);
        assert_eq!((refused.wait, refused.reset, refused.remaining), (Some(half), 4 * half, 0));
        assert!(!bucket.is_idle(now + 3 * half) && bucket.is_idle(now + 4 * half));
    }

    #[test]
    fn nothing_per_second_is_no_limit() {
        assert_eq!((Rate::per_second(0, 2), Rate::per_minute(0)), (None, None));
    }
}
