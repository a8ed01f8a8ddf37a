//! One look at a ticket's rows serves everybody who watches it.
//!
//! A stream is a cursor over a journal that looks at each hint and once a second. The streams of one ticket share what the
//! newest look found, if it was begun late enough for them: a thousand watchers of fifty tickets cost fifty looks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use apex_actors::context;
use apex_storage::model::{OrgId, TicketId};
use apex_storage::{StorageError, Ticket, TicketEvent};

use crate::state::AppState;

/// Journal entries read at once.
const BATCH: i64 = 200;
/// The newest entries of each watched ticket that are kept; who is further behind reads for itself.
const KEPT: usize = 200;

/// One journal entry as a stream tells it.
#[derive(Clone)]
pub(crate) struct Told {
    /// Its number.
    pub seq: i64,
    /// `progress`, `completed` or `failed`.
    pub name: &'static str,
    /// JSON.
    pub data: Arc<str>,
}

impl Told {
    fn of(ticket: &Ticket, entry: &TicketEvent) -> Self {
        let (name, data) = context::stream_event(ticket, entry);
        Self { seq: entry.seq, name, data: data.to_string().into() }
    }
}

/// What a cursor has to be told.
pub(crate) struct News {
    /// The next entries, oldest first.
    pub told: Vec<Told>,
    /// Whether they are not all there is.
    pub is_behind: bool,
    /// Whether nothing comes after them: the ticket is over, or gone.
    pub is_over: bool,
}

impl News {
    fn of(ticket: Option<&Ticket>, seen: i64, told: Vec<Told>) -> Self {
        let last = told.last().map_or(seen, |told| told.seq);
        let newest = ticket.map_or(last, |ticket| ticket.seq);
        let is_over = ticket.is_none_or(|ticket| ticket.state.is_final()) && last >= newest;
        Self { told, is_behind: last < newest, is_over }
    }
}

/// How new a look must be.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// It found the entry of this number.
    Entry(i64),
    /// It was begun at this time or later.
    Since(Instant),
}

/// What the looks at one ticket found.
struct Reading {
    org: OrgId,
    id: TicketId,
    found: tokio::sync::Mutex<Found>,
}

struct Found {
    /// `None`: nobody has looked yet, or the ticket is gone.
    ticket: Option<Ticket>,
    told: VecDeque<Told>,
    /// The number before the oldest of `told`.
    from: i64,
    /// When the newest look that went well was begun.
    looked_at: Option<Instant>,
    /// When the newest look that did not go well was begun, if it was the newest of all.
    failed_at: Option<Instant>,
}

impl Found {
    fn newest(&self) -> i64 {
        self.told.back().map_or(self.from, |told| told.seq)
    }

    fn meets(&self, need: Need) -> bool {
        match need {
            Need::Entry(seq) => self.looked_at.is_some() && self.newest() >= seq,
            Need::Since(time) => self.looked_at.is_some_and(|looked_at| looked_at >= time),
        }
    }

    /// The journal first, then the ticket: so a final entry never meets a ticket that is not over.
    async fn read(&mut self, app: &AppState, org: OrgId, id: TicketId) -> Result<(), StorageError> {
        let _turn = app.turn_to_look().await;
        let began = Instant::now();
        let mut tx = app.store().tenant_read(org).await?;
        let entries = tx.ticket_events(id, self.newest(), BATCH).await?;
        self.ticket = tx.ticket(id).await?;
        if let Some(ticket) = &self.ticket {
            self.told.extend(entries.iter().map(|entry| Told::of(ticket, entry)));
        }
        while self.told.len() > KEPT {
            self.from = self.told.pop_front().map_or(self.from, |told| told.seq);
        }
        (self.looked_at, self.failed_at) = (Some(began), None);
        Ok(())
    }

    fn after(&self, seen: i64) -> News {
        let told = self.told.iter().filter(|told| told.seq > seen).cloned().collect();
        News::of(self.ticket.as_ref(), seen, told)
    }
}

impl Reading {
    /// What comes after `seen`; `None`: nobody could look just now.
    async fn after(&self, app: &AppState, seen: i64, need: Need) -> Option<News> {
        let asked = Instant::now();
        let mut found = self.found.lock().await;
        if !found.meets(need) {
            // Who waited behind a look that failed does not try the same again.
            if found.failed_at.is_some_and(|failed_at| failed_at >= asked) {
                return None;
            }
            let began = Instant::now();
            if let Err(error) = found.read(app, self.org, self.id).await {
                if found.failed_at.replace(began).is_none() {
                    tracing::warn!(ticket.id = %self.id, %error, "streams cannot look, and try again");
                }
                return None;
            }
        }
        if seen >= found.from {
            return Some(found.after(seen));
        }
        drop(found);
        let old = self.old(app, seen).await;
        old.inspect_err(|error| tracing::warn!(ticket.id = %self.id, %error, "a stream cannot look, and tries again"))
            .ok()
    }

    /// What comes after an entry that is no longer kept.
    async fn old(&self, app: &AppState, seen: i64) -> Result<News, StorageError> {
        let _turn = app.turn_to_look().await;
        let mut tx = app.store().tenant_read(self.org).await?;
        let entries = tx.ticket_events(self.id, seen, BATCH).await?;
        let ticket = tx.ticket(self.id).await?;
        let told = ticket.iter().flat_map(|ticket| entries.iter().map(|entry| Told::of(ticket, entry))).collect();
        Ok(News::of(ticket.as_ref(), seen, told))
    }
}

/// The tickets that are watched.
#[derive(Clone, Default)]
pub(crate) struct Readings(Arc<Mutex<HashMap<TicketId, Arc<Reading>>>>);

impl Readings {
    /// Begins to watch a ticket.
    pub fn watch(&self, ticket: &Ticket) -> Watching {
        let from = (ticket.seq - BATCH).max(0);
        let found = Found { ticket: None, told: VecDeque::new(), from, looked_at: None, failed_at: None };
        let new = || Reading { org: ticket.org_id, id: ticket.id, found: tokio::sync::Mutex::new(found) };
        let reading = Arc::clone(self.lock().entry(ticket.id).or_insert_with(|| Arc::new(new())));
        Watching { id: ticket.id, all: self.clone(), reading: Some(reading) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TicketId, Arc<Reading>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher of a ticket. What was found is forgotten with the last one.
pub(crate) struct Watching {
    id: TicketId,
    all: Readings,
    /// `None` only while it is dropped.
    reading: Option<Arc<Reading>>,
}

impl Watching {
    /// What comes after `seen`, out of a look that is new enough; `None`: nobody could look just now.
    pub async fn after(&self, app: &AppState, seen: i64, need: Need) -> Option<News> {
        self.reading.as_ref()?.after(app, seen, need).await
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        drop(self.reading.take());
        // Clones are made under the lock only.
        if all.get(&self.id).is_some_and(|reading| Arc::strong_count(reading) == 1) {
            all.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use apex_storage::model::{ProjectId, TicketState};

    fn ticket(seq: i64, state: TicketState) -> Ticket {
        Ticket {
            id: TicketId::new(),
            org_id: OrgId::new(),
            project_id: ProjectId::new(),
            task: "sales_agent".into(),
            actor: "call".into(),
            lead_id: None,
            state,
            seq,
            due_at: None,
            cancel_requested_at: None,
            params: json!({}),
            result: None,
            code: None,
            created_by: "webhook".into(),
            in_hand: None,
            crashes: 0,
            deadline_at: None,
            attempt: 1,
            wake: 0,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn told(seq: i64) -> Told {
        Told { seq, name: "progress", data: "{}".into() }
    }

    fn numbers(news: &News) -> Vec<i64> {
        news.told.iter().map(|told| told.seq).collect()
    }

    #[test]
    fn a_look_serves_whoever_saw_less_and_did_not_ask_later() {
        let looked_at = Instant::now();
        let found = Found {
            ticket: Some(ticket(5, TicketState::Running)),
            told: [3, 4, 5].map(told).into(),
            from: 2,
            looked_at: Some(looked_at),
            failed_at: None,
        };
        assert!(found.meets(Need::Entry(5)) && found.meets(Need::Since(looked_at)));
        assert!(!found.meets(Need::Entry(6)) && !found.meets(Need::Since(Instant::now())));
        assert_eq!([2, 4, 5].map(|seen| numbers(&found.after(seen))), [vec![3, 4, 5], vec![5], vec![]]);
    }

    #[test]
    fn news_are_over_with_the_last_entry_of_a_ticket_that_is_over_or_gone() {
        let of = |ticket: Option<&Ticket>, seen, told| {
            let news = News::of(ticket, seen, told);
            (news.is_behind, news.is_over)
        };
        let (open, ended) = (ticket(3, TicketState::Waiting), ticket(3, TicketState::Completed));
        assert_eq!(of(Some(&open), 3, vec![]), (false, false));
        assert_eq!(of(Some(&ended), 1, vec![told(2)]), (true, false));
        assert_eq!(of(Some(&ended), 1, vec![told(2), told(3)]), (false, true));
        assert_eq!(of(None, 1, vec![]), (false, true));
    }

    #[test]
    fn what_was_found_is_forgotten_with_the_last_watcher() {
        let (readings, ticket) = (Readings::default(), ticket(1, TicketState::Running));
        let (one, other) = (readings.watch(&ticket), readings.watch(&ticket));
        assert_eq!(readings.lock().len(), 1, "watchers share");
        drop(one);
        assert_eq!(readings.lock().len(), 1);
        drop(other);
        assert!(readings.lock().is_empty());
    }
}
