//! Tickets and their journal. One actor writes a ticket, by compare-and-set on its sequence number.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::{LeadId, OrgId, ProjectId, TicketId, TicketState};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// A task's durable mailbox.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Ticket {
    /// The ticket: `context_id` of the contract.
    pub id: TicketId,
    /// Its tenant.
    pub org_id: OrgId,
    /// Its project.
    pub project_id: ProjectId,
    /// What was asked for, by the name it was asked under.
    pub task: String,
    /// Which kind of actor writes it.
    pub actor: String,
    /// The lead it is about.
    pub lead_id: Option<LeadId>,
    /// Where it stands.
    #[sqlx(try_from = "String")]
    pub state: TicketState,
    /// The newest journal entry.
    pub seq: i64,
    /// When its actor wants to look again; `None` when it is over.
    pub due_at: Option<DateTime<Utc>>,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<DateTime<Utc>>,
    /// What it was asked with.
    pub params: Value,
    /// What came of it.
    pub result: Option<Value>,
    /// Why it failed.
    pub code: Option<String>,
    /// Who asked.
    pub created_by: String,
    /// The node that has it in hand right now, or had when it died.
    pub in_hand: Option<String>,
    /// How often an actor died with it in hand.
    pub crashes: i64,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A ticket to make.
#[derive(Clone, Debug)]
pub struct NewTicket<'a> {
    /// The ticket.
    pub id: TicketId,
    /// Its project.
    pub project_id: ProjectId,
    /// What is asked for.
    pub task: &'a str,
    /// Which kind of actor writes it.
    pub actor: &'a str,
    /// The lead it is about.
    pub lead_id: Option<LeadId>,
    /// What it is asked with.
    pub params: &'a Value,
    /// Who asks.
    pub created_by: &'a str,
}

/// One journal entry as it is read.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TicketEvent {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// accepted, stage, step, note, or the final state.
    pub kind: String,
    /// Which stage or step.
    pub step: Option<String>,
    /// Its facts: ids and numbers, never personal data.
    pub data: Value,
    /// When it was written.
    pub at: DateTime<Utc>,
}

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
    /// What to append.
    pub entries: Vec<JournalEntry>,
    /// Where it stands then.
    pub outcome: Outcome,
}

/// Which tickets are listed.
#[derive(Clone, Debug, Default)]
pub struct TicketFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Only in this state.
    pub state: Option<TicketState>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, TicketId)>,
    /// At most so many.
    pub limit: i64,
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

const TICKET: crate::sql::Sql = sql!(
    "select id, org_id, project_id, task, actor, lead_id, state, seq, due_at, cancel_requested_at, params, result, code,
            created_by, in_hand, crashes, created_at, updated_at
       from tickets where org_id = $1"
);

impl TenantTx {
    /// The ticket.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn ticket(&mut self, id: TicketId) -> Result<Option<Ticket>, StorageError> {
        self.query(TICKET).push(" and id = $?").bind(id).optional().await
    }

    /// A page of tickets, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn tickets(&mut self, filter: &TicketFilter) -> Result<Vec<Ticket>, StorageError> {
        let query = self
            .query(TICKET)
            .and(" and project_id = $?", filter.project_id)
            .and(" and state = $?", filter.state.map(TicketState::as_str));
        let query = match filter.after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// The journal after a sequence number, oldest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn ticket_events(
        &mut self,
        id: TicketId,
        after: i64,
        limit: i64,
    ) -> Result<Vec<TicketEvent>, StorageError> {
        self.query(sql!(
            "select seq, kind, step, data, at from ticket_events
              where org_id = $1 and ticket_id = $2 and seq > $3 order by seq limit $4"
        ))
        .bind(id)
        .bind(after)
        .bind(limit)
        .all()
        .await
    }

    /// Makes a ticket and its first journal entry.
    ///
    /// # Errors
    ///
    /// `NoProject` when this tenant does not have the project.
    pub async fn create_ticket(&mut self, new: &NewTicket<'_>) -> Result<(), StorageError> {
        let (org, now) = (self.org(), self.now());
        self.query(sql!(
            "insert into tickets (org_id, id, project_id, task, actor, lead_id, state, seq, due_at, params, created_by,
                                  created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, 'accepted', 1, $9, $7, $8, $9, $9)"
        ))
        .bind(new.id)
        .bind(new.project_id)
        .bind(new.task)
        .bind(new.actor)
        .bind(new.lead_id)
        .bind(new.params.clone())
        .bind(new.created_by)
        .bind(now)
        .execute()
        .await
        .map_err(|error| {
            if error.is_foreign_key_violation() {
                StorageError::NoProject { org, project: new.project_id }
            } else {
                error
            }
        })?;
        self.query(sql!(
            "insert into ticket_events (org_id, ticket_id, seq, kind, data, at) values ($1, $2, 1, 'accepted', $3, $4)"
        ))
        .bind(new.id)
        .bind(json!({ "task": new.task, "lead_id": new.lead_id }))
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// Asks for a ticket's end; its actor acts on it. `false`: it is over, or there is none.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn request_cancel(&mut self, id: TicketId) -> Result<bool, StorageError> {
        let now = self.now();
        let cancel = sql!(
            "update tickets set cancel_requested_at = coalesce(cancel_requested_at, $3)
              where org_id = $1 and id = $2 and due_at is not null"
        );
        Ok(self.query(cancel).bind(id).bind(now).execute().await? == 1)
    }
}

impl FencedTx {
    /// Unfinished tickets of the project for one kind of actor, the longest due first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn unfinished_tickets(&mut self, actor: &str, limit: i64) -> Result<Vec<TicketId>, StorageError> {
        let project = self.project_id();
        let rows: Vec<(TicketId,)> = self
            .query(sql!(
                "select id from tickets where org_id = $1 and project_id = $2 and actor = $3 and due_at is not null
                  order by due_at, id limit $4"
            ))
            .bind(project)
            .bind(actor)
            .bind(limit)
            .all()
            .await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }

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
                "update tickets set seq = seq + $4, state = $5, due_at = $6, result = coalesce($7, result),
                        code = coalesce($8, code), in_hand = $9, updated_at = $10
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
            .execute()
            .await?;
        if rows == 0 {
            return Err(StorageError::Stale);
        }
        self.append_events(id, journal.seen, &entries).await?;
        Ok(journal.seen + count)
    }

    async fn append_events(&mut self, id: TicketId, seen: i64, entries: &[JournalEntry]) -> Result<(), StorageError> {
        if entries.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let batch: Vec<_> = (seen + 1..)
            .zip(entries)
            .map(|(seq, entry)| json!({ "seq": seq, "kind": entry.kind, "step": entry.step, "data": entry.data }))
            .collect();
        self.query(sql!(
            "insert into ticket_events (org_id, ticket_id, seq, kind, step, data, at)"
            pg "select $1, $2, e.seq, e.kind, e.step, coalesce(e.data, 'null'), $4
                  from jsonb_to_recordset($3) as e(seq bigint, kind text, step text, data jsonb)"
            lite "select $1, $2, e.value ->> 'seq', e.value ->> 'kind', e.value ->> 'step', e.value -> 'data', $4
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
