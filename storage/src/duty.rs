//! Duties of the house that one node does for all, and what they need to know.

use serde_json::json;

use crate::error::StorageError;
use crate::model::{OrgId, ProjectId};
use crate::sql::sql;
use crate::system::SystemTx;

/// A call that one of our effects made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
pub struct ClaimedCall {
    /// The provider's id.
    pub sid: String,
    /// The tenant it was made for.
    pub org_id: OrgId,
    /// The project it was made for.
    pub project_id: ProjectId,
}

impl SystemTx {
    /// Takes the turn at a duty until the end of this transaction. `false`: another transaction has it, on whichever node.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn take_turn(&mut self, duty: &str) -> Result<bool, StorageError> {
        // On SQLite there is one writer anyway.
        let take =
            sql!("select" pg "pg_try_advisory_xact_lock(hashtextextended('apex:' || $1, 0))" lite "$1 is not null");
        let (taken,): (bool,) = self.query(take).bind(duty).one().await?;
        Ok(taken)
    }

    /// Whether a node is the first of those that are registered. Each node comes to the same answer, but for the moments in
    /// which one joins or leaves: enough for what may be done twice.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn is_first_node(&mut self, node: &str) -> Result<bool, StorageError> {
        let first: Option<(String,)> = self.query(sql!("select id from node order by id limit 1")).optional().await?;
        Ok(first.is_some_and(|(first,)| first == node))
    }

    /// Those of the calls that one of our effects made through this account.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn claimed_calls(&mut self, account: &str, sids: &[&str]) -> Result<Vec<ClaimedCall>, StorageError> {
        let claimed = sql!(
            "select sid, org_id, project_id from effects where account = $1 and sid in"
            pg "(select jsonb_array_elements_text($2))" lite "(select value from json_each($2))"
        );
        self.query(claimed).bind(account).bind(json!(sids)).all().await
    }
}
