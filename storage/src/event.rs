//! The business event log: appended in the transaction that makes the fact true, numbered after commit.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::{EventId, ProjectId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// An event to append.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// `{context}.{noun}.{past}`, as in `lead.call.connected`.
    pub kind: &'a str,
    /// What it is about.
    pub ref_id: Uuid,
    /// The ticket or request that it follows from.
    pub correlation_id: Uuid,
    /// Which part of the system did it.
    pub actor: &'a str,
    /// Facts: ids and numbers, never personal data.
    pub payload: Value,
}

/// An event as it is read.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct EventRow {
    /// The event.
    pub id: EventId,
    /// Its project.
    pub project_id: ProjectId,
    /// `{context}.{noun}.{past}`.
    pub kind: String,
    /// What it is about.
    pub ref_id: Uuid,
    /// The ticket or request that it follows from.
    pub correlation_id: Uuid,
    /// Which part of the system did it.
    pub actor: String,
    /// Facts.
    pub payload: Value,
    /// When it became true.
    pub at: DateTime<Utc>,
    /// Its place in the feed, once it has one.
    pub position: Option<i64>,
}

impl TenantTx {
    /// The newest events of a project, newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn recent_events(&mut self, project: ProjectId, limit: i64) -> Result<Vec<EventRow>, StorageError> {
        self.query(sql!(
            "select id, project_id, kind, ref_id, correlation_id, actor, payload, at, position from events
              where org_id = $1 and project_id = $2 order by at desc, id desc limit $3"
        ))
        .bind(project)
        .bind(limit)
        .all()
        .await
    }
}

impl FencedTx {
    /// Appends an event.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn emit(&mut self, event: &NewEvent<'_>) -> Result<(), StorageError> {
        let (project, now) = (self.project_id(), self.now());
        self.query(sql!(
            "insert into events (org_id, id, project_id, kind, ref_id, correlation_id, actor, payload, at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ))
        .bind(EventId::new())
        .bind(project)
        .bind(event.kind)
        .bind(event.ref_id)
        .bind(event.correlation_id)
        .bind(event.actor)
        .bind(event.payload.clone())
        .bind(now)
        .execute()
        .await
        .map(drop)
    }
}
