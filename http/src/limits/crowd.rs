//! Counts of very many, in bounded memory.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Parts that are locked apart from each other.
const SHARDS: usize = 16;
/// Most keys of a part: 65 536 in all, some megabytes.
const MOST: usize = 4096;
/// Time between two looks for idle keys in a part that is full.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is kept of somebody. The default is what somebody has who was never seen.
pub(crate) trait Idle: Default {
    /// Whether it is as good as the default.
    fn is_idle(&self, now: Duration) -> bool;
}

/// What is kept of each key, of 65 536 at most. Idle ones make room for new ones; when there are none, all new ones share what is
/// kept of one, so that a crowd that fills the memory does not get around the limit.
pub(crate) struct Crowd<K, V> {
    shards: [Mutex<Shard<K, V>>; SHARDS],
    hasher: RandomState,
}

struct Shard<K, V> {
    known: HashMap<K, V>,
    /// All those that found no room.
    others: V,
    looked_at: Option<Duration>,
}

impl<K: Hash + Eq, V: Idle> Crowd<K, V> {
    pub fn new() -> Self {
        let shard = |_| Mutex::new(Shard { known: HashMap::new(), others: V::default(), looked_at: None });
        Self { shards: std::array::from_fn(shard), hasher: RandomState::new() }
    }

    /// Does something with what is kept of a key.
    pub fn with<R>(&self, key: K, now: Duration, work: impl FnOnce(&mut V) -> R) -> R {
        let mut shard = self.shard(&key);
        if shard.known.len() >= MOST && !shard.known.contains_key(&key) {
            if shard.looked_at.is_none_or(|at| now.saturating_sub(at) >= LOOK_EVERY) {
                shard.looked_at = Some(now);
                shard.known.retain(|_, kept| !kept.is_idle(now));
            }
            if shard.known.len() >= MOST {
                return work(&mut shard.others);
            }
        }
        work(shard.known.entry(key).or_default())
    }

    /// As if it had never been seen.
    pub fn forget(&self, key: &K) {
        self.shard(key).known.remove(key);
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let [low, ..] = self.hasher.hash_one(key).to_le_bytes();
        self.shards[usize::from(low) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        times: u32,
        until: Duration,
    }

    impl Idle for Seen {
        fn is_idle(&self, now: Duration) -> bool {
            self.until <= now
        }
    }

    fn see(crowd: &Crowd<u32, Seen>, key: u32, now: Duration) -> u32 {
        crowd.with(key, now, |seen| {
            seen.times += 1;
            seen.until = now + Duration::from_mins(1);
            seen.times
        })
    }

    fn kept(crowd: &Crowd<u32, Seen>) -> usize {
        crowd.shards.iter().map(|shard| shard.lock().unwrap().known.len()).sum()
    }

    #[test]
    fn a_crowd_that_fills_the_memory_shares_one_count_and_makes_room_later() {
        let (crowd, now) = (Crowd::new(), Duration::from_secs(5));
        assert_eq!((see(&crowd, 0, now), see(&crowd, 0, now)), (1, 2));
        let shared = (1..200_000).filter(|key| see(&crowd, *key, now) > 1).count();
        assert_eq!(kept(&crowd), SHARDS * MOST, "bounded");
        assert!(shared > 100_000, "{shared}");
        assert_eq!(see(&crowd, 0, now), 3, "who is known stays known");

        see(&crowd, 0, now + Duration::from_secs(90));
        let later = now + Duration::from_mins(2);
        for key in 1_000_000..1_000_200 {
            see(&crowd, key, later);
        }
        assert!(kept(&crowd) <= 201, "idle ones made room: {}", kept(&crowd));
        assert_eq!(see(&crowd, 0, later), 5);
    }

    #[test]
    fn who_is_forgotten_begins_anew() {
        let (crowd, now) = (Crowd::new(), Duration::ZERO);
        see(&crowd, 7, now);
        crowd.forget(&7);
        assert_eq!(see(&crowd, 7, now), 1);
    }
}
