//! Which node owns which project.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::error::StorageError;
use crate::fenced::{Lease, placement_key};
use crate::model::{OrgId, ProjectId};
use crate::sql::sql;
use crate::system::SystemTx;

/// One incarnation of the program. Its id begins with the data directory it holds locked, so that a successor on the same
/// directory knows that every earlier id of that directory is gone for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `{data directory}:{incarnation}`.
    pub id: String,
    /// Where other nodes reach it.
    pub address: String,
}

impl Node {
    /// The data directory's part of a node id.
    pub fn installation(id: &str) -> &str {
        id.split_once(':').map_or(id, |(installation, _)| installation)
    }

    /// Whether another node id is an earlier incarnation on the data directory that this node holds locked: then it is
    /// provably gone, and nothing it began can still act.
    pub fn outlived(&self, other: &str) -> bool {
        other != self.id && Self::installation(other) == Self::installation(&self.id)
    }
}

/// What a beat found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeBeat {
    /// The lease runs on.
    Alive,
    /// The node's row is gone: others may own its projects by now.
    Dead,
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours, with this lease.
    Granted(Lease),
    /// Somebody living has it, at this address.
    Elsewhere(String),
    /// Nobody has it and we may not: this node drains or is dead.
    Refused,
}

/// On SQLite nobody else can take over while the data directory is locked.
const FOREVER: &str = "9999-12-31T00:00:00Z";

impl SystemTx {
    /// Puts a node's row in place, after removing what earlier incarnations of its data directory left.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn register_node(&mut self, node: &Node, lives_for: Duration) -> Result<(), StorageError> {
        let earlier = format!("{}:", Node::installation(&node.id));
        self.query(sql!("delete from node where substr(id, 1, length($1)) = $1")).bind(earlier).execute().await?;
        let register = sql!(
            "insert into node (id, address, expires_at) values ($1, $2,"
            pg "clock_timestamp() + make_interval(secs => $3::bigint / 1000.0) + ($4::timestamptz - $4::timestamptz))"
            lite "coalesce($4, $3))"
        );
        let forever: Option<DateTime<Utc>> = FOREVER.parse().ok();
        self.query(register)
            .bind(&node.id)
            .bind(&node.address)
            .bind(milliseconds(lives_for))
            .bind(forever)
            .execute()
            .await?;
        Ok(())
    }

    /// Extends a node's life. One statement in a transaction of its own: an open beat blocks nothing, but is skipped by
    /// the removal of dead nodes.
    ///
    /// # Errors
    ///
    /// `Database`: the caller must then count its lease from the last beat that succeeded.
    pub async fn beat(&mut self, node: &str, lives_for: Duration) -> Result<NodeBeat, StorageError> {
        let beat = sql!(
            "update node set expires_at ="
            pg "clock_timestamp() + make_interval(secs => $2::bigint / 1000.0)"
            lite "expires_at"
            "where id = $1" lite "and $2 is not null"
        );
        let rows = self.query(beat).bind(node).bind(milliseconds(lives_for)).execute().await?;
        Ok(if rows == 1 { NodeBeat::Alive } else { NodeBeat::Dead })
    }

    /// Removes the rows of nodes that stopped beating. A beat in flight is skipped, not waited for.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn bury_nodes(&mut self) -> Result<u64, StorageError> {
        let bury = sql!(
            "delete from node where id in (select id from node where expires_at <"
            pg "clock_timestamp() order by id for update skip locked)"
            lite "strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"
        );
        self.query(bury).execute().await
    }

    /// Takes no more projects.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn drain_node(&mut self, node: &str) -> Result<(), StorageError> {
        self.query(sql!("update node set draining = true where id = $1")).bind(node).execute().await.map(drop)
    }

    /// Removes a node's row.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn leave_node(&mut self, node: &str) -> Result<(), StorageError> {
        self.query(sql!("delete from node where id = $1")).bind(node).execute().await.map(drop)
    }

    /// Claims a tenant's own project; any other is refused. The caller must not run two claims of one key at once: the
    /// second would fence the first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn claim(&mut self, org: OrgId, project: ProjectId, node: &str) -> Result<Claim, StorageError> {
        let claim = sql!(
            "insert into placement as p (key, org_id, node_id, fence)
             select $1, $2, n.id, 1 from node n where n.id = $3 and not n.draining
                and exists (select 1 from projects x where x.id = $4 and x.org_id = $2)" pg "for key share of n"
            "on conflict (key) do update set node_id = excluded.node_id, fence = p.fence + 1
              where p.node_id is null or p.node_id = excluded.node_id or"
            pg "apex_gone(p.node_id)" lite "not exists (select 1 from node d where d.id = p.node_id)"
            "returning fence"
        );
        let key = placement_key(project);
        let granted: Option<(i64,)> =
            self.query(claim).bind(&key).bind(org).bind(node).bind(project).optional().await?;
        if let Some((fence,)) = granted {
            return Ok(Claim::Granted(Lease { org, project, node: node.to_owned(), fence }));
        }
        let owner = sql!("select n.id, n.address from placement p join node n on n.id = p.node_id where p.key = $1");
        let owner: Option<(String, String)> = self.query(owner).bind(&key).optional().await?;
        Ok(match owner {
            Some((id, address)) if id != node => Claim::Elsewhere(address),
            _ => Claim::Refused,
        })
    }

    /// Gives a project back, if the lease is still the living one.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn release(&mut self, lease: &Lease) -> Result<(), StorageError> {
        let release = sql!("update placement set node_id = null where key = $1 and node_id = $2 and fence = $3");
        self.query(release).bind(lease.key()).bind(&lease.node).bind(lease.fence).execute().await.map(drop)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
