//! Writes copies behind the backs of those who have them, so that nobody waits for the mirror.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{DROPPED, Mirror};

/// Copies written at the same time.
const AT_ONCE: usize = 32;

/// A queue in front of a mirror: the newest copy of each ticket, written by one task. The task ends with the writer.
#[derive(Debug)]
pub struct MirrorWriter {
    queue: Arc<Queue>,
    _task: JoinSet<()>,
}

impl MirrorWriter {
    /// Starts writing into `mirror`. At most `capacity` tickets wait. Call it inside a Tokio runtime.
    pub fn new(mirror: Arc<dyn Mirror>, capacity: usize) -> Self {
        let queue = Arc::new(Queue { capacity: capacity.max(1), ..Queue::default() });
        let mut task = JoinSet::new();
        task.spawn(write(Arc::clone(&queue), mirror));
        Self { queue, _task: task }
    }

    /// Queues a copy and returns at once. Of a ticket only the copy with the highest `seq` waits; when too many wait, the
    /// oldest is given up, for readers find its row.
    pub fn push(&self, id: Uuid, seq: i64, body: String) {
        if self.queue.lock().push(id, seq, body, self.queue.capacity) {
            metrics::counter!(DROPPED).increment(1);
        }
        self.queue.filled.notify_one();
    }

    /// Returns when nothing waits and nothing is being written. For an orderly stop; give it a time limit.
    pub async fn flush(&self) {
        loop {
            let idle = self.queue.idle.notified();
            if self.queue.lock().is_idle() {
                return;
            }
            idle.await;
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    capacity: usize,
    waiting: Mutex<Waiting>,
    filled: Notify,
    idle: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `order` holds each id of `copies` once, the longest waiting first.
#[derive(Debug, Default)]
struct Waiting {
    copies: HashMap<Uuid, (i64, String)>,
    order: VecDeque<Uuid>,
    writing: bool,
}

impl Waiting {
    /// Whether another copy had to go.
    fn push(&mut self, id: Uuid, seq: i64, body: String, capacity: usize) -> bool {
        if let Some(there) = self.copies.get_mut(&id) {
            if there.0 <= seq {
                *there = (seq, body);
            }
            return false;
        }
        let oldest = if self.copies.len() >= capacity { self.order.pop_front() } else { None };
        let dropped = oldest.is_some_and(|oldest| self.copies.remove(&oldest).is_some());
        self.copies.insert(id, (seq, body));
        self.order.push_back(id);
        dropped
    }

    fn take(&mut self) -> Vec<(Uuid, i64, String)> {
        let count = self.order.len().min(AT_ONCE);
        let ids: Vec<Uuid> = self.order.drain(..count).collect();
        self.writing = !ids.is_empty();
        ids.into_iter().filter_map(|id| self.copies.remove(&id).map(|(seq, body)| (id, seq, body))).collect()
    }

    fn is_idle(&self) -> bool {
        self.order.is_empty() && !self.writing
    }
}

async fn write(queue: Arc<Queue>, mirror: Arc<dyn Mirror>) {
    loop {
        let batch = queue.lock().take();
        if batch.is_empty() {
            queue.idle.notify_waiters();
            queue.filled.notified().await;
        } else {
            join_all(batch.iter().map(|(id, seq, body)| mirror.put(*id, *seq, body))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::memory;
    use std::time::Duration;

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    #[test]
    fn of_a_ticket_only_the_newest_copy_waits() {
        let mut waiting = Waiting::default();
        for (seq, body) in [(1, "one"), (3, "three"), (2, "late")] {
            assert!(!waiting.push(id(1), seq, body.to_owned(), 10));
        }
        assert_eq!(waiting.take(), [(id(1), 3, "three".to_owned())]);
    }

    #[test]
    fn when_too_many_wait_the_oldest_goes() {
        let mut waiting = Waiting::default();
        let dropped = (1..=5).filter(|n| waiting.push(id(*n), 1, String::new(), 3)).count();
        assert_eq!(dropped, 2);
        assert!(!waiting.push(id(3), 2, String::new(), 3), "a newer copy takes the place of its own");
        let left: Vec<Uuid> = waiting.take().into_iter().map(|(id, ..)| id).collect();
        assert_eq!(left, [id(3), id(4), id(5)]);
    }

    #[tokio::test]
    async fn what_is_pushed_is_written() {
        let mirror = memory(Duration::from_mins(1));
        let writer = MirrorWriter::new(Arc::clone(&mirror), 1_000);
        writer.flush().await;
        for seq in 1..=100 {
            for n in 0..10 {
                writer.push(id(n), seq, format!("{seq}"));
            }
            tokio::task::yield_now().await;
        }
        writer.flush().await;
        for n in 0..10 {
            assert_eq!(mirror.get(id(n)).await.map(|found| found.seq), Some(100));
        }
    }
}
