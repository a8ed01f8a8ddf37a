//! The journal of a ticket: appended by its one writer, by compare-and-set on the sequence number.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::{TicketId, TicketState};
use crate::sql::sql;
use crate::system::SystemTx;

/// One journal entry to write.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// stage, step, note or a final state.
    pub kind: &'static str,
    /// Which stage or step.
    pub step: Option<String>,
    /// Its facts: ids and numbers, never personal data.
    pub data: Value,
}

/// Where a ticket stands after a journal write.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// In hand; looked at again at this time if its actor dies.
    Running(DateTime<Utc>),
    /// Laid down until this time or a callback.
    Waiting(DateTime<Utc>),
    /// Over, as asked.
    Completed(Value),
    /// Over, for this reason.
    Failed(String, Value),
    /// Over, because somebody asked for it.
    Cancelled(Value),
    /// Set aside, for this reason.
    Dead(String),
}

/// One write to a ticket: entries and where it stands after them.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// The sequence number that the writer has seen last.
    pub seen: i64,
    /// The ticket's `wake` that the writer has seen last: when it has grown since, the ticket is not laid down.
    pub wake: i64,
    /// What the decision that led to the write looked at; `None`: it notes an answer from outside.
    pub basis: Option<Value>,
    /// What to append.
    pub entries: Vec<JournalEntry>,
    /// Where it stands then.
    pub outcome: Outcome,
}

impl JournalEntry {
    /// The ticket has come to a stage that a person would want to see.
    pub fn stage(name: &str, data: Value) -> Self {
        Self { kind: "stage", step: Some(name.to_owned()), data }
    }

    /// A piece of work is done and need not be repeated.
    pub fn step(name: &str, data: Value) -> Self {
        Self { kind: "step", step: Some(name.to_owned()), data }
    }

    /// Something worth knowing that changes nothing.
    pub fn note(name: &str, data: Value) -> Self {
        Self { kind: "note", step: Some(name.to_owned()), data }
    }
}

impl Outcome {
    /// The state it stands for.
    pub const fn state(&self) -> TicketState {
        match self {
            Self::Running(_) => TicketState::Running,
            Self::Waiting(_) => TicketState::Waiting,
            Self::Completed(_) => TicketState::Completed,
            Self::Failed(..) => TicketState::Failed,
            Self::Cancelled(_) => TicketState::Cancelled,
            Self::Dead(_) => TicketState::Dead,
        }
    }

    const fn due_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Running(at) | Self::Waiting(at) => Some(*at),
            _ => None,
        }
    }

    const fn result(&self) -> Option<&Value> {
        match self {
            Self::Completed(result) | Self::Failed(_, result) | Self::Cancelled(result) => Some(result),
            _ => None,
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Failed(code, _) | Self::Dead(code) => Some(code),
            Self::Cancelled(_) => Some("cancelled"),
            _ => None,
        }
    }

    /// A final state is an entry of the journal too, so that a stream tells it.
    fn last_entry(&self) -> Option<JournalEntry> {
        if !self.state().is_final() {
            return None;
        }
        let data = json!({ "code": self.code() });
        Some(JournalEntry { kind: self.state().as_str(), step: None, data })
    }
}

impl FencedTx {
    /// Appends to a ticket's journal. The new sequence number.
    ///
    /// # Errors
    ///
    /// `Stale` when somebody else appended since `seen`: crash and reload.
    pub async fn write_journal(&mut self, id: TicketId, journal: &Journal) -> Result<i64, StorageError> {
        let (now, node) = (self.now(), self.lease().node.clone());
        let entries: Vec<_> = journal.entries.iter().cloned().chain(journal.outcome.last_entry()).collect();
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let in_hand = matches!(journal.outcome, Outcome::Running(_)).then_some(node);
        let rows = self
            .query(sql!(
                "update tickets set seq = seq + $4, state = $5, result = coalesce($7, result),
                        code = coalesce($8, code), in_hand = $9, updated_at = $10,
                        due_at = case when $6 > $10 and wake > $11 then $10 else $6 end
                  where org_id = $1 and id = $2 and seq = $3 and due_at is not null"
            ))
            .bind(id)
            .bind(journal.seen)
            .bind(count)
            .bind(journal.outcome.state().as_str())
            .bind(journal.outcome.due_at())
            .bind(journal.outcome.result().cloned())
            .bind(journal.outcome.code())
            .bind(in_hand)
            .bind(now)
            .bind(journal.wake)
            .execute()
            .await?;
        if rows == 0 {
            return Err(StorageError::Stale);
        }
        self.append_events(id, journal, &entries).await?;
        Ok(journal.seen + count)
    }

    async fn append_events(
        &mut self,
        id: TicketId,
        journal: &Journal,
        entries: &[JournalEntry],
    ) -> Result<(), StorageError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut batch: Vec<_> = (journal.seen + 1..)
            .zip(entries)
            .map(|(seq, entry)| json!({ "seq": seq, "kind": entry.kind, "step": entry.step, "data": entry.data }))
            .collect();
        if let (Some(first), Some(basis)) = (batch.first_mut(), &journal.basis) {
            first["basis"] = basis.clone(); // once for all entries of the commit
        }
        self.query(sql!(
            "insert into ticket_events (org_id, ticket_id, seq, kind, step, data, basis, at)"
            pg "select $1, $2, e.seq, e.kind, e.step, coalesce(e.data, 'null'), e.basis, $4
                  from jsonb_to_recordset($3) as e(seq bigint, kind text, step text, data jsonb, basis jsonb)"
            lite "select $1, $2, e.value ->> 'seq', e.value ->> 'kind', e.value ->> 'step', e.value -> 'data', nullif(e.value -> 'basis', 'null'), $4
                    from json_each($3) e"
        ))
        .bind(id)
        .bind(Value::Array(batch))
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// Counts one more death of an actor that had the ticket in hand. The number of deaths so far.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn count_crash(&mut self, id: TicketId) -> Result<i64, StorageError> {
        let crashes: (i64,) = self
            .query(sql!(
                "update tickets set crashes = crashes + 1, in_hand = null where org_id = $1 and id = $2 returning crashes"
            ))
            .bind(id)
            .one()
            .await?;
        Ok(crashes.0)
    }
}

impl SystemTx {
    /// Forgets the journals of tickets that have been over since before a time; the tickets and what came of them stay. At
    /// most so many entries at once. How many entries.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn forget_journals(&mut self, over_before: DateTime<Utc>, limit: i64) -> Result<u64, StorageError> {
        let forget = sql!(
            "delete from ticket_events where (ticket_id, seq) in (
               select e.ticket_id, e.seq from ticket_events e join tickets t on t.id = e.ticket_id
                where e.at < $1 and t.due_at is null and t.updated_at < $1 order by e.at limit $2)"
        );
        self.query(forget).bind(over_before).bind(limit).execute().await
    }
}
