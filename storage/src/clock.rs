//! Time and chance. Nothing else reads the wall clock or draws lots; both are passed in, so that a test can set them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, cut to microseconds: what comes back from a database equals what was written.
    fn now(&self) -> DateTime<Utc>;

    /// A clock that never goes back, for leases and timeouts. It means nothing to another process.
    fn monotonic(&self) -> Instant;
}

/// A clock that many hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> DateTime<Utc> {
        cut(Utc::now())
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// How often a planted clock looks at its file.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The machine's clock, wrong by the whole seconds that a file holds: somebody sets the clock while the program runs. A file
/// that is missing or unreadable changes nothing. For tests.
#[derive(Debug)]
pub struct PlantedClock {
    file: PathBuf,
    seen: Mutex<Option<(Instant, TimeDelta)>>,
}

impl PlantedClock {
    /// Wrong by what `file` holds.
    pub fn read_from(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), seen: Mutex::new(None) }
    }

    fn wrong_by(&self) -> TimeDelta {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((at, by)) if at.elapsed() < LOOK_EVERY => by,
            before => {
                let told = std::fs::read_to_string(&self.file).ok();
                let told = told.and_then(|text| text.trim().parse().ok()).and_then(TimeDelta::try_seconds);
                let by = told.or(before.map(|(_, by)| by)).unwrap_or_default();
                *seen = Some((Instant::now(), by));
                by
            }
        }
    }
}

impl Clock for PlantedClock {
    fn now(&self) -> DateTime<Utc> {
        let right = SystemClock.now();
        right.checked_add_signed(self.wrong_by()).unwrap_or(right)
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ManualClock(Mutex<Hands>);

#[derive(Clone, Copy, Debug)]
struct Hands {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

impl ManualClock {
    /// Stands at `start`.
    pub fn at(start: DateTime<Utc>) -> Self {
        Self(Mutex::new(Hands { wall: cut(start), monotonic: Instant::now() }))
    }

    /// Time passes: both clocks go on.
    pub fn advance(&self, by: Duration) {
        self.turn(|hands| {
            let delta = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
            hands.wall = cut(hands.wall.checked_add_signed(delta).unwrap_or(DateTime::<Utc>::MAX_UTC));
            hands.monotonic += by;
        });
    }

    /// Somebody corrects the wall clock, forward or back; no time passes.
    pub fn set(&self, to: DateTime<Utc>) {
        self.turn(|hands| hands.wall = cut(to));
    }

    fn turn(&self, change: impl FnOnce(&mut Hands)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn hands(&self) -> Hands {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.hands().wall
    }

    fn monotonic(&self) -> Instant {
        self.hands().monotonic
    }
}

/// A lot between 0 and 1000, both included: thousandths by which a delay is spread.
pub fn jitter() -> u16 {
    rand::random_range(0..=1000)
}

/// Bytes that nobody can guess, for tokens and keys.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes[..]);
    bytes
}

fn cut(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_cut_to_microseconds() {
        let fine = DateTime::from_timestamp(1_700_000_000, 123_456_789).unwrap();
        assert_eq!(ManualClock::at(fine).now().timestamp_subsec_nanos(), 123_456_000);
        assert_eq!(SystemClock.now().timestamp_subsec_nanos() % 1_000, 0);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let clock = ManualClock::at(start);
        let before = clock.monotonic();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now() - start, TimeDelta::seconds(2));
        assert_eq!(clock.monotonic() - before, Duration::from_secs(2));
        clock.set(start);
        assert_eq!(clock.now(), start);
        assert_eq!(clock.monotonic() - before, Duration::from_secs(2), "a corrected wall clock is not time passed");
    }

    #[test]
    fn a_planted_clock_is_wrong_by_what_its_file_says_and_never_in_what_has_passed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wrong-by");
        let error = |clock: &PlantedClock| (clock.now() - SystemClock.now()).num_minutes();
        let clock = PlantedClock::read_from(&file);
        assert_eq!(error(&clock), 0, "no file");
        std::fs::write(&file, "3630\n").unwrap();
        assert_eq!(error(&PlantedClock::read_from(&file)), 60);
        std::fs::write(&file, "-7230").unwrap();
        let clock = PlantedClock::read_from(&file);
        assert_eq!(error(&clock), -120);
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
        std::fs::write(&file, "").unwrap(); // in the middle of being written
        let long_ago = Instant::now().checked_sub(LOOK_EVERY).unwrap();
        *clock.seen.lock().unwrap() = Some((long_ago, TimeDelta::seconds(-7230)));
        assert_eq!(error(&clock), -120);
    }

    #[test]
    fn chance_stays_in_its_range_and_does_not_repeat() {
        assert!((0..10_000).all(|_| jitter() <= 1000));
        assert_ne!(random_bytes::<32>(), random_bytes::<32>());
    }
}
