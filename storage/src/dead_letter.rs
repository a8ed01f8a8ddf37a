//! Dead letters: tickets that were set aside. One row for each death, so that what keeps failing can be counted.

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::error::StorageError;
use crate::event::NewEvent;
use crate::fenced::FencedTx;
use crate::model::{DeadLetterId, ProjectId, TicketId};
use crate::sql::sql;
use crate::system::SystemTx;
use crate::tenant::TenantTx;
use crate::ticket::Ticket;

/// From so many dead letters of one correlation on, each is told as an event.
const REPEATED: i64 = 3;

/// One time that a ticket was set aside.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DeadLetter {
    /// The dead letter.
    pub id: DeadLetterId,
    /// Its project.
    pub project_id: ProjectId,
    /// The ticket that was set aside.
    pub ticket_id: TicketId,
    /// What keeps failing: the ticket's lead, or the ticket itself when it has none.
    pub correlation_id: Uuid,
    /// What was asked for.
    pub task: String,
    /// Why it was set aside.
    pub code: String,
    /// When it was set aside.
    pub at: DateTime<Utc>,
    /// When its ticket was run again.
    pub replayed_at: Option<DateTime<Utc>>,
    /// Who asked for that.
    pub replayed_by: Option<String>,
    /// When it was archived, because nobody had touched it.
    pub archived_at: Option<DateTime<Utc>>,
}

/// Which dead letters are listed.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Only of this project.
    pub project_id: Option<ProjectId>,
    /// Only of this task.
    pub task: Option<String>,
    /// Only set aside for this reason.
    pub code: Option<String>,
    /// `false`: only what is not archived; `true`: only what is.
    pub archived: bool,
    /// Only what was, or was not, run again.
    pub replayed: Option<bool>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, DeadLetterId)>,
    /// At most so many.
    pub limit: i64,
}

const DEAD_LETTER: crate::sql::Sql = sql!(
    "select id, project_id, ticket_id, correlation_id, task, code, at, replayed_at, replayed_by, archived_at
       from dead_letters where org_id = $1"
);

impl TenantTx {
    /// The dead letter, archived or not.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn dead_letter(&mut self, id: DeadLetterId) -> Result<Option<DeadLetter>, StorageError> {
        self.query(DEAD_LETTER).push(" and id = $?").bind(id).optional().await
    }

    /// A page of dead letters, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn dead_letters(&mut self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, StorageError> {
        let query = self
            .query(DEAD_LETTER)
            .push(if filter.archived { " and archived_at is not null" } else { " and archived_at is null" })
            .and(" and project_id = $?", filter.project_id)
            .and(" and task = $?", filter.task.as_deref())
            .and(" and code = $?", filter.code.as_deref());
        let query = match filter.replayed {
            Some(true) => query.push(" and replayed_at is not null"),
            Some(false) => query.push(" and replayed_at is null"),
            None => query,
        };
        let query = match filter.after {
            Some((at, id)) => query.push(" and (at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// Notes that a ticket runs again. The number of its dead letters that had waited for it.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_replayed(&mut self, ticket: TicketId, by: &str) -> Result<u64, StorageError> {
        let now = self.now();
        let replayed = sql!(
            "update dead_letters set replayed_at = $3, replayed_by = $4
              where org_id = $1 and ticket_id = $2 and replayed_at is null"
        );
        self.query(replayed).bind(ticket).bind(now).bind(by).execute().await
    }
}

impl FencedTx {
    /// Writes down that a ticket was set aside, beside the journal's last entry. The number of dead letters of its
    /// correlation so far; from the third on each is an event too.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn bury(&mut self, ticket: &Ticket, code: &str) -> Result<i64, StorageError> {
        let (project, now) = (self.project_id(), self.now());
        let correlation = ticket.lead_id.map_or(ticket.id.0, |lead| lead.0);
        self.query(sql!(
            "insert into dead_letters (org_id, id, project_id, ticket_id, correlation_id, task, code, at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)"
        ))
        .bind(DeadLetterId::new())
        .bind(project)
        .bind(ticket.id)
        .bind(correlation)
        .bind(&ticket.task)
        .bind(code)
        .bind(now)
        .execute()
        .await?;
        let (count,): (i64,) = self
            .query(sql!("select count(*) from dead_letters where org_id = $1 and correlation_id = $2"))
            .bind(correlation)
            .one()
            .await?;
        if count >= REPEATED {
            self.emit(&NewEvent {
                kind: "dead_letter.repeated",
                ref_id: ticket.id.0,
                correlation_id: ticket.id.0,
                actor: &ticket.actor,
                payload: json!({ "correlation_id": correlation, "count": count }),
            })
            .await?;
        }
        Ok(count)
    }
}

impl SystemTx {
    /// Archives dead letters older than a time that nobody ran again.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn archive_dead_letters(&mut self, untouched_since: DateTime<Utc>) -> Result<u64, StorageError> {
        let now = self.now();
        let archive = sql!(
            "update dead_letters set archived_at = $2 where archived_at is null and replayed_at is null and at < $1"
        );
        self.query(archive).bind(untouched_since).bind(now).execute().await
    }

    /// Forgets dead letters that were archived before a time. Their tickets stay.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn forget_dead_letters(&mut self, archived_before: DateTime<Utc>) -> Result<u64, StorageError> {
        let forget = sql!("delete from dead_letters where archived_at is not null and archived_at < $1");
        self.query(forget).bind(archived_before).execute().await
    }
}
