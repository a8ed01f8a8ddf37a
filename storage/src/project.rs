//! Projects and their DNA layers.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::StorageError;
use crate::model::{OrgId, ProjectId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// One client business.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Project {
    /// The project.
    pub id: ProjectId,
    /// Its tenant.
    pub org_id: OrgId,
    /// The name it is known by outside: `project_id` of the contract.
    pub slug: String,
    /// As its customers know it.
    pub business_name: String,
    /// The layer that onboarding wrote.
    pub dna_generated: Value,
    /// The layer that its people wrote.
    pub dna_custom: Value,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

/// A project to make.
#[derive(Clone, Debug)]
pub struct NewProject<'a> {
    /// The project.
    pub id: ProjectId,
    /// `^[a-zA-Z0-9_-]+$`.
    pub slug: &'a str,
    /// As its customers know it.
    pub business_name: &'a str,
    /// The layer that its people wrote.
    pub dna_custom: &'a Value,
}

impl TenantTx {
    /// Makes a project. Its routes are made first, in a transaction of their own: they decide whether the name is free.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn create_project(&mut self, new: &NewProject<'_>) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "insert into projects (org_id, id, slug, business_name, dna_custom, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $6)"
        ))
        .bind(new.id)
        .bind(new.slug)
        .bind(new.business_name)
        .bind(new.dna_custom.clone())
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// The project.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn project(&mut self, id: ProjectId) -> Result<Option<Project>, StorageError> {
        self.query(sql!(
            "select id, org_id, slug, business_name, dna_generated, dna_custom, version, created_at, updated_at
               from projects where org_id = $1 and id = $2 and deleted_at is null"
        ))
        .bind(id)
        .optional()
        .await
    }

    /// The project with this outside name.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn project_by_slug(&mut self, slug: &str) -> Result<Option<Project>, StorageError> {
        self.query(sql!(
            "select id, org_id, slug, business_name, dna_generated, dna_custom, version, created_at, updated_at
               from projects where org_id = $1 and slug = $2 and deleted_at is null"
        ))
        .bind(slug)
        .optional()
        .await
    }

    /// A page of projects, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn projects(
        &mut self,
        after: Option<(DateTime<Utc>, ProjectId)>,
        limit: i64,
    ) -> Result<Vec<Project>, StorageError> {
        let query = self.query(sql!(
            "select id, org_id, slug, business_name, dna_generated, dna_custom, version, created_at, updated_at
               from projects where org_id = $1 and deleted_at is null"
        ));
        let query = match after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(limit).all().await
    }

    /// Replaces the custom layer and the name. `expected`: only if the version is still this one. `None`: it was not, or
    /// there is no such project.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn update_project(
        &mut self,
        id: ProjectId,
        business_name: &str,
        dna_custom: &Value,
        expected: Option<i64>,
    ) -> Result<Option<i64>, StorageError> {
        let now = self.now();
        let version: Option<(i64,)> = self
            .query(sql!(
                "update projects set business_name = $3, dna_custom = $4, version = version + 1, updated_at = $5
                  where org_id = $1 and id = $2 and deleted_at is null and version = coalesce($6, version)
                returning version"
            ))
            .bind(id)
            .bind(business_name)
            .bind(dna_custom.clone())
            .bind(now)
            .bind(expected)
            .optional()
            .await?;
        Ok(version.map(|(version,)| version))
    }

    /// Marks a project as deleted; its rows are purged later. `false`: it was already, or there is none.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn delete_project(&mut self, id: ProjectId) -> Result<bool, StorageError> {
        let now = self.now();
        let delete = sql!(
            "update projects set deleted_at = $3, updated_at = $3 where org_id = $1 and id = $2 and deleted_at is null"
        );
        Ok(self.query(delete).bind(id).bind(now).execute().await? == 1)
    }
}
