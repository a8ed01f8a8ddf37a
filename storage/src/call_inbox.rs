//! The inbox of calls: every callback is committed by whichever node got it, before anybody acts on it.

use chrono::{DateTime, Utc};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::call::Report;
use crate::model::{EffectId, InboxId, ProjectId, TicketId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// A callback as it is read.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct InboxRow {
    /// The row.
    pub id: InboxId,
    /// The effect that the callback's address names.
    pub effect_id: EffectId,
    /// The provider's id of the call or message.
    pub sid: String,
    /// Which callback it was.
    pub kind: String,
    /// What it says.
    #[sqlx(json)]
    pub report: Report,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// A callback to commit.
#[derive(Clone, Debug)]
pub struct NewInboxRow<'a> {
    /// Its project.
    pub project_id: ProjectId,
    /// The ticket that its address names.
    pub ticket_id: TicketId,
    /// The effect that its address names.
    pub effect_id: EffectId,
    /// The provider's account.
    pub account: &'a str,
    /// The provider's id of the call or message.
    pub sid: &'a str,
    /// Which callback it is.
    pub kind: &'a str,
    /// SHA-256 of its body: the same callback twice is one row.
    pub digest: &'a [u8],
    /// What it says.
    pub report: &'a Report,
}

impl TenantTx {
    /// Commits a callback with the transaction. `false`: seen before.
    ///
    /// # Errors
    ///
    /// `NoProject` when this tenant does not have the project.
    pub async fn receive(&mut self, new: &NewInboxRow<'_>) -> Result<bool, StorageError> {
        let (org, now) = (self.org(), self.now());
        let receive = sql!(
            "insert into call_inbox (org_id, id, project_id, ticket_id, effect_id, account, sid, kind, digest, report,
                                     received_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing"
        );
        let rows = self
            .query(receive)
            .bind(InboxId::new())
            .bind(new.project_id)
            .bind(new.ticket_id)
            .bind(new.effect_id)
            .bind(new.account)
            .bind(new.sid)
            .bind(new.kind)
            .bind(new.digest.to_vec())
            .bind(sqlx::types::Json(new.report.clone()))
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
        Ok(rows == 1)
    }

    /// Everything that was ever reported to a ticket, in the order it came.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn reports(&mut self, ticket: TicketId) -> Result<Vec<InboxRow>, StorageError> {
        self.query(sql!(
            "select id, effect_id, sid, kind, report, received_at from call_inbox
              where org_id = $1 and ticket_id = $2 order by received_at, id"
        ))
        .bind(ticket)
        .all()
        .await
    }
}

impl FencedTx {
    /// Marks a ticket's callbacks as looked at, up to the time of the newest one that was read.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn mark_handled(&mut self, ticket: TicketId, up_to: DateTime<Utc>) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "update call_inbox set handled_at = $4
              where org_id = $1 and ticket_id = $2 and handled_at is null and received_at <= $3"
        ))
        .bind(ticket)
        .bind(up_to)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }
}
