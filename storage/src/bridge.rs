//! Bridges: a lead's series of call attempts.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::phone::Phone;
use crate::model::{BridgeId, LeadId, ProjectId, TicketId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// Everything that answering a call's webhooks needs, fixed when the bridge is opened: each answer is then a pure function
/// of rows, whatever happens to the project's actors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePlan {
    /// Who is rung first.
    pub boss: Phone,
    /// Who is connected.
    pub customer: Phone,
    /// The number that both see.
    pub caller_id: String,
    /// What the boss hears before the key press.
    pub whisper: String,
    /// BCP 47, for reading the whisper aloud.
    pub language: String,
    /// How long a phone rings, seconds.
    pub ring_seconds: u32,
    /// How long a conversation may last, seconds.
    pub max_seconds: u32,
    /// Whether the conversation is recorded.
    pub record: bool,
}

/// A bridge.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Bridge {
    /// The bridge.
    pub id: BridgeId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose it is.
    pub lead_id: LeadId,
    /// The ticket that drives it.
    pub ticket_id: TicketId,
    /// How it is answered.
    #[sqlx(json)]
    pub plan: BridgePlan,
    /// Whether more may happen.
    pub open: bool,
    /// The one call whose key press counts.
    pub accepted_sid: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
}

/// A bridge to open.
#[derive(Clone, Debug)]
pub struct NewBridge<'a> {
    /// The bridge.
    pub id: BridgeId,
    /// Whose it is.
    pub lead_id: LeadId,
    /// The ticket that drives it.
    pub ticket_id: TicketId,
    /// How it is answered.
    pub plan: &'a BridgePlan,
}

const BRIDGE: crate::sql::Sql = sql!(
    "select id, project_id, lead_id, ticket_id, plan, open, accepted_sid, outcome, created_at
       from bridges where org_id = $1"
);

impl TenantTx {
    /// The bridge.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn bridge(&mut self, id: BridgeId) -> Result<Option<Bridge>, StorageError> {
        self.query(BRIDGE).push(" and id = $?").bind(id).optional().await
    }

    /// The bridge that a ticket drives.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn bridge_of_ticket(&mut self, ticket: TicketId) -> Result<Option<Bridge>, StorageError> {
        self.query(BRIDGE).push(" and ticket_id = $? order by created_at desc limit 1").bind(ticket).optional().await
    }

    /// Takes the bridge for one call: its key press is the one that counts. `false`: it is closed, or another call has it.
    /// The only write to a tree's row that needs no lease: it decides who is connected when no owner is alive to ask.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn accept_call(&mut self, id: BridgeId, sid: &str) -> Result<bool, StorageError> {
        let accept = sql!(
            "update bridges set accepted_sid = $3
              where org_id = $1 and id = $2 and open and coalesce(accepted_sid, $3) = $3"
        );
        Ok(self.query(accept).bind(id).bind(sid).execute().await? == 1)
    }
}

impl FencedTx {
    /// Opens a bridge. `false`: the lead has an open one.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn open_bridge(&mut self, new: &NewBridge<'_>) -> Result<bool, StorageError> {
        let (project, now) = (self.project_id(), self.now());
        let open = sql!(
            "insert into bridges (org_id, id, project_id, lead_id, ticket_id, plan, created_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (lead_id) where open do nothing"
        );
        let rows = self
            .query(open)
            .bind(new.id)
            .bind(project)
            .bind(new.lead_id)
            .bind(new.ticket_id)
            .bind(sqlx::types::Json(new.plan.clone()))
            .bind(now)
            .execute()
            .await?;
        Ok(rows == 1)
    }

    /// Closes a bridge: from now on no key press connects anybody.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn close_bridge(&mut self, id: BridgeId, outcome: &str) -> Result<(), StorageError> {
        let now = self.now();
        let close = sql!(
            "update bridges set open = false, outcome = $3, closed_at = $4 where org_id = $1 and id = $2 and open"
        );
        self.query(close).bind(id).bind(outcome).bind(now).execute().await.map(drop)
    }
}
