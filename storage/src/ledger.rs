//! The usage ledger: appended, never changed.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::StorageError;
use crate::fenced::FencedTx;
use crate::model::{ProjectId, UsageId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// One thing that was used.
#[derive(Clone, Debug)]
pub struct UsageEntry<'a> {
    /// Unique in the project: the same use is charged once.
    pub key: &'a str,
    /// What was used.
    pub resource: &'a str,
    /// How much, in thousandths of its unit.
    pub quantity_milli: i64,
    /// What it costs, micro-dollars.
    pub micros: i64,
    /// The ticket or request that used it.
    pub ref_id: Option<Uuid>,
}

/// What a project used of one resource.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Spend {
    /// What was used.
    pub resource: String,
    /// How much, in thousandths of its unit.
    pub quantity_milli: i64,
    /// What it cost, micro-dollars.
    pub micros: i64,
}

impl TenantTx {
    /// What a project used since a time, by resource.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn spend(&mut self, project: ProjectId, since: DateTime<Utc>) -> Result<Vec<Spend>, StorageError> {
        self.query(sql!(
            "select resource, cast(sum(quantity_milli) as bigint) as quantity_milli, cast(sum(micros) as bigint) as micros
               from usage_ledger where org_id = $1 and project_id = $2 and at >= $3 group by resource order by resource"
        ))
        .bind(project)
        .bind(since)
        .all()
        .await
    }

    /// What one ticket or request cost, micro-dollars.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn cost_of(&mut self, project: ProjectId, ref_id: Uuid) -> Result<i64, StorageError> {
        let (micros,): (i64,) = self
            .query(sql!(
                "select cast(coalesce(sum(micros), 0) as bigint) from usage_ledger
                  where org_id = $1 and project_id = $2 and ref_id = $3"
            ))
            .bind(project)
            .bind(ref_id)
            .one()
            .await?;
        Ok(micros)
    }
}

impl FencedTx {
    /// Appends a use. `false`: this use is in the ledger already.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn charge(&mut self, entry: &UsageEntry<'_>) -> Result<bool, StorageError> {
        let (project, now) = (self.project_id(), self.now());
        let charge = sql!(
            "insert into usage_ledger (org_id, id, project_id, key, resource, quantity_milli, micros, ref_id, at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (project_id, key) do nothing"
        );
        let rows = self
            .query(charge)
            .bind(UsageId::new())
            .bind(project)
            .bind(entry.key)
            .bind(entry.resource)
            .bind(entry.quantity_milli)
            .bind(entry.micros)
            .bind(entry.ref_id)
            .bind(now)
            .execute()
            .await?;
        Ok(rows == 1)
    }
}
