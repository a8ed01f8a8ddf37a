//! API keys: how programs sign in. Only hashes of them are kept.

use chrono::{DateTime, Utc};

use crate::database::{Role, Store};
use crate::error::StorageError;
use crate::identity::IdentityTx;
use crate::model::{ApiKeyId, OrgId, UserId};
use crate::sql::{Sql, sql};

/// One key, without the key.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ApiKey {
    /// The key's row.
    pub id: ApiKeyId,
    /// The only organisation that it opens.
    pub org_id: OrgId,
    /// In whose name it acts.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: String,
    /// How the key begins.
    pub prefix: String,
    /// What it may do: read, write, administer, with blanks between.
    pub scopes: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A key to make.
#[derive(Clone, Debug)]
pub struct NewApiKey<'a> {
    /// The key's row.
    pub id: ApiKeyId,
    /// The only organisation that it opens.
    pub org: OrgId,
    /// In whose name it acts.
    pub user: UserId,
    /// What its owner calls it.
    pub name: &'a str,
    /// How the key begins.
    pub prefix: &'a str,
    /// SHA-256 of the key.
    pub hash: &'a [u8],
    /// What it may do: read, write, administer, with blanks between.
    pub scopes: &'a str,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct ApiKeyFilter {
    /// Only of this person.
    pub user: Option<UserId>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, ApiKeyId)>,
    /// At most so many.
    pub limit: i64,
}

/// Who comes with a key, as of now.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct KeyHolder {
    /// The key's row.
    pub id: ApiKeyId,
    /// The only organisation that it opens.
    pub org_id: OrgId,
    /// In whose name it acts.
    pub user_id: UserId,
    /// What it may do.
    pub scopes: String,
    /// When it ends by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// What the person is in the organisation now; `None`: nothing any more.
    pub role: Option<String>,
}

const API_KEY: Sql = sql!(
    "select id, org_id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at
       from api_keys where org_id = $1"
);

impl Store {
    /// Who comes with the key of this hash, whatever its state: one query.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn key_holder(&self, hash: &[u8]) -> Result<Option<KeyHolder>, StorageError> {
        let mut conn = self.begin_read(Role::Auth, None).await?;
        conn.query(sql!(
            "select k.id, k.org_id, k.user_id, k.scopes, k.expires_at, k.last_used_at, k.revoked_at, m.role
               from api_keys k left join memberships m on m.org_id = k.org_id and m.user_id = k.user_id
              where k.key_hash = $1"
        ))
        .bind(hash.to_vec())
        .optional()
        .await
    }
}

impl IdentityTx {
    /// Keeps a key, by its hash.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn add_api_key(&mut self, new: &NewApiKey<'_>) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "insert into api_keys (org_id, id, user_id, name, prefix, key_hash, scopes, expires_at, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ))
        .bind(new.org)
        .bind(new.id)
        .bind(new.user)
        .bind(new.name)
        .bind(new.prefix)
        .bind(new.hash.to_vec())
        .bind(new.scopes)
        .bind(new.expires_at)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// The organisation's key, whatever its state.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn api_key(&mut self, org: OrgId, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
        self.query(API_KEY).bind(org).push(" and id = $?").bind(id).optional().await
    }

    /// A page of the organisation's keys, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn api_keys(&mut self, org: OrgId, filter: &ApiKeyFilter) -> Result<Vec<ApiKey>, StorageError> {
        let query = self.query(API_KEY).bind(org).and(" and user_id = $?", filter.user);
        let query = match filter.after {
            Some((at, id)) => query.push(" and (created_at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by created_at desc, id desc limit $?").bind(filter.limit).all().await
    }

    /// Takes a key of the organisation back. `false`: it was already, or there is none.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn revoke_api_key(&mut self, org: OrgId, id: ApiKeyId) -> Result<bool, StorageError> {
        let now = self.now();
        let revoke = sql!("update api_keys set revoked_at = $3 where org_id = $1 and id = $2 and revoked_at is null");
        Ok(self.query(revoke).bind(org).bind(id).bind(now).execute().await? == 1)
    }

    /// Notes that a key was used, unless that was noted after `not_since`.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn note_key_used(&mut self, id: ApiKeyId, not_since: DateTime<Utc>) -> Result<bool, StorageError> {
        let now = self.now();
        let note = sql!(
            "update api_keys set last_used_at = $2 where id = $1 and (last_used_at is null or last_used_at <= $3)"
        );
        Ok(self.query(note).bind(id).bind(now).bind(not_since).execute().await? == 1)
    }
}
