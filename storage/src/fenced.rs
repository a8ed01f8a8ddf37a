//! The transaction of an actor tree: a tenant's transaction that only the living owner of the project can run.

use std::ops::{Deref, DerefMut};

use crate::database::Store;
use crate::error::StorageError;
use crate::model::{OrgId, ProjectId};
use crate::sql::sql;
use crate::tenant::TenantTx;

/// The right to write a project's tree rows, as far as the database knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The tenant.
    pub org: OrgId,
    /// The project.
    pub project: ProjectId,
    /// The node that claimed it.
    pub node: String,
    /// Grows with every claim.
    pub fence: i64,
}

impl Lease {
    /// The placement key of the project.
    pub fn key(&self) -> String {
        placement_key(self.project)
    }
}

/// The placement key of a project.
pub(crate) fn placement_key(project: ProjectId) -> String {
    format!("project:{project}")
}

/// A transaction under a lease. Everything a tenant's transaction can do, and the writes of a tree.
#[must_use]
pub struct FencedTx {
    tx: TenantTx,
    lease: Lease,
}

impl Store {
    /// Begins a transaction under a lease; its first statement asks whether the lease still holds. Waits a while for a server
    /// that is away: a tree has nothing better to do.
    ///
    /// # Errors
    ///
    /// `Fenced` when another owner has taken over.
    pub async fn fenced(&self, lease: &Lease) -> Result<FencedTx, StorageError> {
        self.wait_for_return().await;
        let mut tx = self.tree_write(lease.org).await?;
        if tx.is_postgres() {
            let fence = sql!("select 1::bigint from apex_fence($2, $3, $4) where $1::uuid is not null" lite " select 1 where $1");
            let _: (i64,) = tx.query(fence).bind(lease.key()).bind(&lease.node).bind(lease.fence).one().await?;
        } else {
            let fence = sql!(
                "select cast(1 as bigint) from placement p join node n on n.id = p.node_id
                  where p.org_id = $1 and p.key = $2 and p.node_id = $3 and p.fence = $4"
            );
            let holds: Option<(i64,)> =
                tx.query(fence).bind(lease.key()).bind(&lease.node).bind(lease.fence).optional().await?;
            holds.ok_or(StorageError::Fenced)?;
        }
        Ok(FencedTx { tx, lease: lease.clone() })
    }
}

impl FencedTx {
    /// The lease it runs under.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// The project of the lease.
    pub fn project_id(&self) -> ProjectId {
        self.lease.project
    }

    /// Makes it true.
    ///
    /// # Errors
    ///
    /// `Database`: whether it was committed is then unknown.
    pub async fn commit(self) -> Result<(), StorageError> {
        self.tx.commit().await
    }
}

impl Deref for FencedTx {
    type Target = TenantTx;

    fn deref(&self) -> &TenantTx {
        &self.tx
    }
}

impl DerefMut for FencedTx {
    fn deref_mut(&mut self) -> &mut TenantTx {
        &mut self.tx
    }
}
