//! The mirror of a single process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;

use super::watchers::{Wake, Watchers};
use super::{Mirror, Mirrored};
use crate::clock::SharedClock;

/// Locks are split so that tickets rarely wait for each other.
const SHARDS: usize = 16;

/// Memory set aside for bodies, in bytes, for all shards together.
const CAPACITY: usize = 64 * 1024 * 1024;

/// What an entry takes besides its body, in bytes.
const OVERHEAD: usize = 160;

/// Copies in this process.
pub(super) struct Memory {
    ttl: Duration,
    clock: SharedClock,
    watchers: Arc<Watchers>,
    shards: [Mutex<Shard>; SHARDS],
}

impl Memory {
    pub fn new(ttl: Duration, clock: SharedClock) -> Self {
        Self { ttl, clock, watchers: Arc::default(), shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, id: Uuid) -> MutexGuard<'_, Shard> {
        // the last byte of a version 7 id is random, the first ones are the time
        let nth = usize::from(id.as_bytes()[15]) % SHARDS;
        self.shards[nth].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Mirror for Memory {
    async fn put(&self, id: Uuid, seq: i64, body: &str) {
        let now = self.clock.monotonic();
        let is_news = self.shard(id).put(id, Copy { seq, body: body.into(), put_at: now, turn: 0 }, self.ttl);
        if is_news {
            self.watchers.wake(id);
        }
    }

    async fn get(&self, id: Uuid) -> Option<Mirrored> {
        let now = self.clock.monotonic();
        let (seq, body, put_at) = {
            let shard = self.shard(id);
            let copy = shard.copies.get(&id)?;
            (copy.seq, Arc::clone(&copy.body), copy.put_at)
        };
        let age = now.saturating_duration_since(put_at);
        (age < self.ttl).then(|| Mirrored { seq, body: body.as_ref().to_owned(), age })
    }

    fn watch(&self, id: Uuid) -> Wake {
        self.watchers.watch(id)
    }

    fn is_up(&self) -> bool {
        true
    }
}

struct Copy {
    seq: i64,
    body: Arc<str>,
    put_at: Instant,
    turn: u64,
}

/// `order` holds the puts in the order of time, each with its turn; only the last put of a ticket counts.
#[derive(Default)]
struct Shard {
    copies: HashMap<Uuid, Copy>,
    order: VecDeque<(Instant, u64, Uuid)>,
    turns: u64,
    bytes: usize,
}

impl Shard {
    /// Whether the copy tells of more than what was there.
    fn put(&mut self, id: Uuid, mut copy: Copy, ttl: Duration) -> bool {
        let now = copy.put_at;
        self.sweep(now, ttl);
        let there = self.copies.get(&id).map(|there| there.seq);
        if there.is_some_and(|there| there > copy.seq) {
            return false;
        }
        let is_news = there.is_none_or(|there| there < copy.seq);
        self.remove(id);
        self.bytes += OVERHEAD + copy.body.len();
        self.turns += 1;
        copy.turn = self.turns;
        self.order.push_back((now, copy.turn, id));
        self.copies.insert(id, copy);
        self.shrink();
        is_news
    }

    /// Forgets what is too old.
    fn sweep(&mut self, now: Instant, ttl: Duration) {
        while self.order.front().is_some_and(|(put_at, ..)| now.saturating_duration_since(*put_at) >= ttl) {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest while there is too much.
    fn shrink(&mut self) {
        while self.bytes > CAPACITY / SHARDS && self.copies.len() > 1 {
            self.forget_oldest();
        }
        if self.order.len() > 2 * self.copies.len() + 64 {
            let copies = &self.copies;
            self.order.retain(|(_, turn, id)| copies.get(id).is_some_and(|copy| copy.turn == *turn));
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, turn, id)) = self.order.pop_front() else { return };
        if self.copies.get(&id).is_some_and(|copy| copy.turn == turn) {
            self.remove(id);
        }
    }

    fn remove(&mut self, id: Uuid) {
        if let Some(copy) = self.copies.remove(&id) {
            self.bytes -= OVERHEAD + copy.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const TTL: Duration = Duration::from_hours(1);

    fn mirror() -> (Arc<ManualClock>, Memory) {
        let clock = Arc::new(ManualClock::at(chrono::DateTime::UNIX_EPOCH));
        (Arc::clone(&clock), Memory::new(TTL, clock))
    }

    #[tokio::test]
    async fn the_highest_seq_stays_whatever_the_order() {
        let (clock, mirror) = mirror();
        let id = Uuid::from_u128(1);
        for (seq, body) in [(2, "two"), (1, "one"), (3, "three"), (2, "late"), (3, "three again")] {
            mirror.put(id, seq, body).await;
        }
        clock.advance(Duration::from_secs(5));
        let expected = Mirrored { seq: 3, body: "three again".to_owned(), age: Duration::from_secs(5) };
        assert_eq!(mirror.get(id).await, Some(expected));
        assert_eq!(mirror.get(Uuid::from_u128(2)).await, None);
    }

    #[tokio::test]
    async fn a_copy_is_gone_after_its_time_and_so_is_its_memory() {
        let (clock, mirror) = mirror();
        for n in 0..1_000_u128 {
            mirror.put(Uuid::from_u128(n << 8), 1, "{}").await;
        }
        clock.advance(TTL / 2);
        mirror.put(Uuid::from_u128(0), 2, "{}").await;
        clock.advance(TTL / 2);
        assert_eq!(mirror.get(Uuid::from_u128(1 << 8)).await, None);
        assert!(mirror.get(Uuid::from_u128(0)).await.is_some(), "put again in between");
        mirror.put(Uuid::from_u128(1 << 8), 1, "{}").await;
        let shard = mirror.shard(Uuid::from_u128(0));
        assert_eq!((shard.copies.len(), shard.order.len(), shard.bytes), (2, 2, 2 * (OVERHEAD + 2)));
    }

    #[tokio::test]
    async fn memory_stays_bounded_and_the_newest_stay() {
        let (_, mirror) = mirror();
        let body = "x".repeat(1024 * 1024);
        for n in 0..20_u128 {
            mirror.put(Uuid::from_u128(n << 8), 1, &body).await;
        }
        let newest = Uuid::from_u128(19 << 8);
        for seq in 2..1_000 {
            mirror.put(newest, seq, "{}").await;
        }
        assert_eq!(mirror.get(Uuid::from_u128(0)).await, None);
        assert_eq!(mirror.get(newest).await.map(|found| found.seq), Some(999));
        let shard = mirror.shard(newest);
        assert!(shard.bytes <= CAPACITY / SHARDS && shard.order.len() <= 2 * shard.copies.len() + 64);
    }

    #[tokio::test]
    async fn a_watcher_wakes_on_news_only() {
        let (_, mirror) = mirror();
        let id = Uuid::from_u128(1);
        mirror.put(id, 2, "two").await;
        let mut wake = mirror.watch(id);
        mirror.put(id, 1, "late").await;
        mirror.put(id, 2, "two, put back by a reader").await;
        assert!(futures::FutureExt::now_or_never(wake.changed()).is_none(), "what is older or the same is no news");
        mirror.put(id, 3, "three").await;
        wake.changed().await;
        assert!(mirror.is_up());
    }
}
