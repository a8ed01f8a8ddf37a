//! The transaction of a request: one tenant, and nothing of any other.

use chrono::{DateTime, Utc};

use tokio::sync::OwnedSemaphorePermit;

use crate::database::{Role, Store};
use crate::error::StorageError;
use crate::lookup_key::LookupKey;
use crate::model::OrgId;
use crate::sql::{Conn, Query, Sql};

/// A transaction that belongs to one tenant. Dropped without `commit` it is rolled back.
#[must_use]
pub struct TenantTx {
    org: OrgId,
    now: DateTime<Utc>,
    lookup: LookupKey,
    conn: Conn,
    /// Held, not read: the turn of the tree that it belongs to, if it belongs to one. After `conn`, so that the next one finds
    /// a free connection.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// Begins a transaction of a tenant.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn tenant(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let conn = self.begin(Role::Request, Some(org.0)).await?;
        Ok(TenantTx { org, now: self.now(), lookup: self.lookup_key().clone(), conn, _turn: None })
    }

    /// Begins a transaction of a tenant that will only read.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn tenant_read(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let conn = self.begin_read(Role::Request, Some(org.0)).await?;
        Ok(TenantTx { org, now: self.now(), lookup: self.lookup_key().clone(), conn, _turn: None })
    }

    /// Begins a transaction of an actor tree that will only read. It waits for its turn among the trees.
    ///
    /// # Errors
    ///
    /// `Database` when the server does not answer.
    pub async fn tree_read(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let turn = self.tree_turn().await;
        Ok(TenantTx { _turn: turn, ..self.tenant_read(org).await? })
    }

    pub(crate) async fn tree_write(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let turn = self.tree_turn().await;
        Ok(TenantTx { _turn: turn, ..self.tenant(org).await? })
    }
}

impl TenantTx {
    /// A transaction that goes on as a tenant's.
    pub(crate) fn over(conn: Conn, org: OrgId, now: DateTime<Utc>, lookup: LookupKey) -> Self {
        Self { org, now, lookup, conn, _turn: None }
    }

    /// Whose it is.
    pub fn org(&self) -> OrgId {
        self.org
    }

    /// When it began.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Makes it true.
    ///
    /// # Errors
    ///
    /// `Database`: whether it was committed is then unknown.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.conn.commit().await
    }

    pub(crate) fn lookup(&self) -> &LookupKey {
        &self.lookup
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.conn.is_postgres()
    }

    /// A statement whose `$1` is the tenant.
    pub(crate) fn query(&mut self, sql: Sql) -> Query<'_> {
        assert!(sql.scoped, "a tenant's statement must name its tenant as $1");
        self.conn.query(sql).bind(self.org)
    }
}
