//! Tickets: a task's durable mailbox. How one is written is in `journal`.

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
    /// Not begun by then: not begun at all.
    pub deadline_at: Option<DateTime<Utc>>,
    /// How often it was begun: once, and once more for each retry by a person.
    pub attempt: i64,
    /// Grows when somebody else than its actor wants it looked at.
    pub wake: i64,
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
    /// Not begun by then: not begun at all.
    pub deadline_at: Option<DateTime<Utc>>,
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
    /// What the decision that led to it looked at; `None`: it is an answer from outside.
    #[sqlx(default)]
    pub basis: Option<Value>,
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

const TICKET: crate::sql::Sql = sql!(
    "select id, org_id, project_id, task, actor, lead_id, state, seq, due_at, cancel_requested_at, params, result, code,
            created_by, in_hand, crashes, deadline_at, attempt, wake, created_at, updated_at
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
            "select seq, kind, step, data, at, basis from ticket_events
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
                                  created_at, updated_at, deadline_at)
             values ($1, $2, $3, $4, $5, $6, 'accepted', 1, $9, $7, $8, $9, $9, $10)"
        ))
        .bind(new.id)
        .bind(new.project_id)
        .bind(new.task)
        .bind(new.actor)
        .bind(new.lead_id)
        .bind(new.params.clone())
        .bind(new.created_by)
        .bind(now)
        .bind(new.deadline_at)
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
            "update tickets set cancel_requested_at = coalesce(cancel_requested_at, $3), wake = wake + 1,
                    due_at = case when due_at > $3 then $3 else due_at end
              where org_id = $1 and id = $2 and due_at is not null"
        );
        Ok(self.query(cancel).bind(id).bind(now).execute().await? == 1)
    }

    /// Begins a failed ticket, or one that was set aside, once more: what is journalled as done is not repeated. `false`:
    /// it is neither, or there is none.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn reopen_ticket(&mut self, id: TicketId, by: &str) -> Result<bool, StorageError> {
        let now = self.now();
        let reopen = sql!(
            "update tickets set state = 'accepted', seq = seq + 1, due_at = $3, code = null, result = null, crashes = 0,
                    cancel_requested_at = null, deadline_at = null, attempt = attempt + 1, wake = wake + 1, updated_at = $3
              where org_id = $1 and id = $2 and state in ('failed', 'dead') returning seq, attempt"
        );
        let reopened: Option<(i64, i64)> = self.query(reopen).bind(id).bind(now).optional().await?;
        let Some((seq, attempt)) = reopened else { return Ok(false) };
        let note = sql!(
            "insert into ticket_events (org_id, ticket_id, seq, kind, step, data, at)
             values ($1, $2, $3, 'note', 'retried', $4, $5)"
        );
        let data = json!({ "by": by, "attempt": attempt });
        self.query(note).bind(id).bind(seq).bind(data).bind(now).execute().await?;
        self.mark_replayed(id, by).await?;
        Ok(true)
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
}
