//! Answers kept by `Idempotency-Key`: the same request again gets the same answer.

use serde_json::Value;

use crate::error::StorageError;
use crate::sql::sql;
use crate::tenant::TenantTx;

/// What a key stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// The key is new and now taken, in this transaction.
    New,
    /// The same request was answered so.
    Answer {
        /// HTTP status.
        status: i64,
        /// Its body.
        body: Value,
    },
    /// The key was used for another request.
    Mismatch,
    /// The same request is under way.
    InFlight,
}

#[derive(sqlx::FromRow)]
struct Row {
    digest: Vec<u8>,
    status: Option<i64>,
    body: Option<Value>,
}

impl TenantTx {
    /// Takes a key for a request with this digest, or tells what it stands for. A transaction that takes the key, does the
    /// work and stores the answer leaves nothing behind when it dies.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn take_key(&mut self, key: &str, digest: &[u8]) -> Result<Stored, StorageError> {
        let now = self.now();
        let taken = self
            .query(sql!(
                "insert into idempotency_keys (org_id, key, digest, created_at) values ($1, $2, $3, $4)
                 on conflict (org_id, key) do nothing"
            ))
            .bind(key)
            .bind(digest.to_vec())
            .bind(now)
            .execute()
            .await?;
        if taken == 1 {
            return Ok(Stored::New);
        }
        let row: Row = self
            .query(sql!("select digest, status, body from idempotency_keys where org_id = $1 and key = $2"))
            .bind(key)
            .one()
            .await?;
        Ok(match row {
            Row { digest: stored, .. } if stored != digest => Stored::Mismatch,
            Row { status: Some(status), body: Some(body), .. } => Stored::Answer { status, body },
            Row { .. } => Stored::InFlight,
        })
    }

    /// Keeps the answer of a key that this transaction took.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn keep_answer(&mut self, key: &str, status: i64, body: &Value) -> Result<(), StorageError> {
        self.query(sql!("update idempotency_keys set status = $3, body = $4 where org_id = $1 and key = $2"))
            .bind(key)
            .bind(status)
            .bind(body.clone())
            .execute()
            .await
            .map(drop)
    }
}
