//! The one way to write a ticket: its journal, its state, and what goes with them, in one commit.

use apex_storage::fault::{self, Fault};
use apex_storage::model::TicketState;
use apex_storage::{FencedTx, Journal, JournalEntry, Outcome, StorageError};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::{CLOCK_SET_BACK, Desk};
use crate::context;
use crate::metrics;
use crate::retry::{Class, RetryRule, Verdict};

/// Dead letters of one correlation at which a person is alerted, and at each multiple of it.
const ALERT_AT: i64 = 3;

impl Desk {
    /// The time of the newest report, unless all were marked as looked at. Not the last one's: clocks are set back.
    fn newest_report(&self) -> Option<DateTime<Utc>> {
        self.reports.iter().map(|row| row.received_at).max().filter(|_| self.has_news())
    }

    /// Appends to the journal, marks the reports as looked at, commits, and makes memory equal to the rows.
    pub async fn commit(
        &mut self,
        mut tx: FencedTx,
        entries: Vec<JournalEntry>,
        outcome: Outcome,
    ) -> Result<(), StorageError> {
        let reports = self.reports.len();
        if let Some(newest) = self.newest_report() {
            tx.mark_handled(self.ticket.id, newest).await?;
        }
        if let Outcome::Dead(code) = &outcome {
            self.bury(&mut tx, code).await?;
        }
        let journal = self.journal(entries, outcome);
        let seq = tx.write_journal(self.ticket.id, &journal).await?;
        let now = tx.now();
        tx.commit().await?;
        self.handled = reports;
        self.written(journal, seq, now);
        if self.is_over() {
            metrics::ticket_ended(&self.ticket);
            fault::pass(Fault::TicketEnded).await;
        }
        Ok(())
    }

    /// A write to the ticket as it stands. What the decision looked at goes with the first entry, if there is one.
    pub fn journal(&self, entries: Vec<JournalEntry>, outcome: Outcome) -> Journal {
        let is_told = !entries.is_empty() || outcome.state().is_final();
        let basis = self.basis.as_ref().filter(|_| is_told).map(|basis| json!(basis));
        Journal { seen: self.ticket.seq, wake: self.ticket.wake, basis, entries, outcome }
    }

    /// Makes memory equal to what was committed, and tells readers.
    pub fn written(&mut self, journal: Journal, seq: i64, now: DateTime<Utc>) {
        if let Some(basis) = self.basis.as_mut().filter(|_| journal.basis.is_some()) {
            self.heard.extend(basis.heard.drain(..));
        }
        self.apply(journal, seq, now);
        self.publish();
    }

    async fn bury(&self, tx: &mut FencedTx, code: &str) -> Result<(), StorageError> {
        let deaths = tx.bury(&self.ticket, code).await?;
        let repeated = deaths % ALERT_AT == 0;
        metrics::dead_letter(repeated);
        if repeated {
            tracing::error!(ticket.id = %self.ticket.id, deaths, "the same work was set aside again and again");
        }
        Ok(())
    }

    /// Notes a failed try of a piece of work and puts it off; `false`: it has failed for good, and nothing was written.
    pub async fn try_again(
        &mut self,
        what: &str,
        rule: RetryRule,
        class: Class,
        reason: &str,
    ) -> Result<bool, StorageError> {
        let nth = self.memory.tries(what) + 1;
        let Verdict::Again(wait) = rule.judge(nth, class, None, apex_storage::clock::jitter()) else {
            return Ok(false);
        };
        tracing::warn!(ticket.id = %self.ticket.id, what, reason, nth, "failed, trying again");
        let tx = self.begin().await?;
        let data =
            json!({ "what": what, "try": nth, "until": tx.now() + wait, "class": class.as_str(), "reason": reason });
        self.commit(tx, vec![JournalEntry::note("retry", data)], self.running()).await?;
        metrics::retried(class.as_str());
        Ok(true)
    }

    fn apply(&mut self, journal: Journal, seq: i64, now: DateTime<Utc>) {
        for entry in journal.entries {
            let Some(name) = entry.step else { continue };
            match entry.kind {
                "step" => {
                    self.steps.insert(name, entry.data);
                }
                "stage" => {
                    metrics::stage(&name, now - self.ticket.created_at);
                    self.newest_stage = Some(name.clone());
                    self.memory.learn(&name, &entry.data);
                    self.stages.insert(name);
                }
                "note" => self.memory.learn(&name, &entry.data),
                _ => {}
            }
        }
        self.ticket.seq = seq;
        self.ticket.state = journal.outcome.state();
        self.ticket.updated_at = now;
        match journal.outcome {
            Outcome::Running(at) | Outcome::Waiting(at) => self.ticket.due_at = Some(at),
            Outcome::Completed(result) => self.end(None, Some(result)),
            Outcome::Failed(code, result) => self.end(Some(code), Some(result)),
            Outcome::Cancelled(result) => self.end(Some("cancelled".into()), Some(result)),
            Outcome::Dead(code) => self.end(Some(code), None),
        }
    }

    fn end(&mut self, code: Option<String>, result: Option<Value>) {
        self.ticket.due_at = None;
        self.ticket.code = code.or(self.ticket.code.take());
        self.ticket.result = result.or(self.ticket.result.take());
    }

    /// Tells readers; losing this loses nothing.
    fn publish(&self) {
        let ttl = self.world.rules.context_ttl;
        let body = context::context(&self.ticket, &self.project.slug, self.newest_stage.as_deref(), ttl);
        self.world.mirror.push(self.ticket.id.0, self.ticket.seq, body.to_string());
    }

    /// Lays the ticket down until a time or a report. Writes nothing when nothing changed but the time by a little.
    pub async fn lay_down(&mut self, until: DateTime<Utc>, entries: Vec<JournalEntry>) -> Result<(), StorageError> {
        let same_time = self.ticket.due_at.is_some_and(|due| (due - until).abs() < Duration::milliseconds(100));
        let same_clock = self.ticket.updated_at <= self.now() + CLOCK_SET_BACK;
        if same_clock
            && self.ticket.state == TicketState::Waiting
            && entries.is_empty()
            && same_time
            && !self.has_news()
        {
            return Ok(());
        }
        let tx = self.begin().await?;
        self.commit(tx, entries, Outcome::Waiting(until)).await
    }

    /// Marks late reports of an ended ticket as looked at.
    pub async fn acknowledge(&mut self) -> Result<(), StorageError> {
        let Some(newest) = self.newest_report() else { return Ok(()) };
        let mut tx = self.begin().await?;
        tx.mark_handled(self.ticket.id, newest).await?;
        tx.commit().await?;
        self.handled = self.reports.len();
        Ok(())
    }
}
