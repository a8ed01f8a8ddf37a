//! Parked actors: a row, so that passivation does not forget them.

use chrono::{DateTime, Utc};

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::ProjectId;
use crate::sql::sql;
use crate::tenant::TenantTx;

/// An actor that failed too often and rests.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ParkedActor {
    /// Which actor.
    pub actor: String,
    /// How many failures led to it.
    pub failures: i64,
    /// What the last one said.
    pub reason: String,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// When it is tried again.
    pub retry_at: DateTime<Utc>,
}

impl TenantTx {
    /// The parked actors of a project.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn parked_actors(&mut self, project: ProjectId) -> Result<Vec<ParkedActor>, StorageError> {
        self.query(sql!(
            "select actor, failures, reason, parked_at, retry_at from parked_actors
              where org_id = $1 and project_id = $2 order by actor"
        ))
        .bind(project)
        .all()
        .await
    }
}

impl FencedTx {
    /// Parks an actor.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn park(&mut self, parked: &ParkedActor) -> Result<(), StorageError> {
        let project = self.project_id();
        self.query(sql!(
            "insert into parked_actors (org_id, project_id, actor, failures, reason, parked_at, retry_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (project_id, actor) do update set failures = excluded.failures, reason = excluded.reason,
               parked_at = excluded.parked_at, retry_at = excluded.retry_at"
        ))
        .bind(project)
        .bind(&parked.actor)
        .bind(parked.failures)
        .bind(&parked.reason)
        .bind(parked.parked_at)
        .bind(parked.retry_at)
        .execute()
        .await
        .map(drop)
    }

    /// Trusts an actor again.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn unpark(&mut self, actor: &str) -> Result<(), StorageError> {
        let project = self.project_id();
        self.query(sql!("delete from parked_actors where org_id = $1 and project_id = $2 and actor = $3"))
            .bind(project)
            .bind(actor)
            .execute()
            .await
            .map(drop)
    }
}
