//! The transaction of a request: one tenant, and nothing of any other.

use chrono::{DateTime, Utc};

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
}

impl Store {
    /// Begins a transaction of a tenant.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn tenant(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let conn = self.begin(Role::Request, Some(org.0)).await?;
        Ok(TenantTx { org, now: self.now(), lookup: self.lookup_key().clone(), conn })
    }

    /// Begins a transaction of a tenant that will only read.
    ///
    /// # Errors
    ///
    /// `Database` when no connection is free or the server does not answer.
    pub async fn tenant_read(&self, org: OrgId) -> Result<TenantTx, StorageError> {
        let conn = self.begin_read(Role::Request, Some(org.0)).await?;
        Ok(TenantTx { org, now: self.now(), lookup: self.lookup_key().clone(), conn })
    }
}

impl TenantTx {
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
