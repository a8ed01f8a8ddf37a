//! The audit log: who changed what, and from where. An entry becomes true with the change that it tells, and is never touched
//! again. It names things by their ids and holds neither secrets nor anything about people.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error::StorageError;
use crate::model::AuditId;
use crate::sql::sql;
use crate::tenant::TenantTx;

/// What kind of somebody changed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A person who is signed in: the actor is the user's id.
    User,
    /// A program: the actor is the id of its key.
    ApiKey,
    /// Whoever runs the installation, at its command line.
    Operator,
    /// The program itself.
    System,
}

impl ActorKind {
    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ApiKey => "api_key",
            Self::Operator => "operator",
            Self::System => "system",
        }
    }
}

/// One change to tell.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// Who changed it.
    pub actor: &'a str,
    /// What kind of somebody that is.
    pub actor_kind: ActorKind,
    /// From which address, if it came over the network.
    pub ip: Option<&'a str>,
    /// With which program, as it calls itself.
    pub user_agent: Option<&'a str>,
    /// What was done: `lead.update`.
    pub action: &'a str,
    /// What kind of thing was changed: `lead`.
    pub resource_kind: &'a str,
    /// Its id.
    pub resource_id: &'a str,
    /// What of it was changed, as it was.
    pub before: Option<&'a Value>,
    /// The same as it is.
    pub after: Option<&'a Value>,
    /// The trace of the request.
    pub trace_id: Option<&'a str>,
}

/// One change as it was told.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct AuditRow {
    /// The entry.
    pub id: AuditId,
    /// Who changed it.
    pub actor: String,
    /// `user`, `api_key`, `operator` or `system`.
    pub actor_kind: String,
    /// From which address.
    pub ip: Option<String>,
    /// With which program, as it calls itself.
    pub user_agent: Option<String>,
    /// What was done.
    pub action: String,
    /// What kind of thing was changed.
    pub resource_kind: String,
    /// Its id.
    pub resource_id: String,
    /// What of it was changed, as it was.
    pub before: Option<Value>,
    /// The same as it is.
    pub after: Option<Value>,
    /// The trace of the request.
    pub trace_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which entries are listed.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only of this action.
    pub action: Option<String>,
    /// Only about this kind of thing.
    pub resource_kind: Option<String>,
    /// Only about this thing.
    pub resource_id: Option<String>,
    /// Only by this actor.
    pub actor: Option<String>,
    /// Only from this time on.
    pub since: Option<DateTime<Utc>>,
    /// Only older than this one.
    pub after: Option<(DateTime<Utc>, AuditId)>,
    /// At most so many.
    pub limit: i64,
}

impl TenantTx {
    /// Tells a change, in the transaction that makes it.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn audit(&mut self, entry: &AuditEntry<'_>) -> Result<(), StorageError> {
        let now = self.now();
        self.query(sql!(
            "insert into audit_log (org_id, id, actor, actor_kind, ip, user_agent, action, resource_kind, resource_id, before,
                                    after, trace_id, at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        ))
        .bind(AuditId::new())
        .bind(entry.actor)
        .bind(entry.actor_kind.as_str())
        .bind(entry.ip)
        .bind(entry.user_agent)
        .bind(entry.action)
        .bind(entry.resource_kind)
        .bind(entry.resource_id)
        .bind(entry.before.cloned())
        .bind(entry.after.cloned())
        .bind(entry.trace_id)
        .bind(now)
        .execute()
        .await
        .map(drop)
    }

    /// A page of the audit log, the newest first.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn audit_log(&mut self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StorageError> {
        let query = self
            .query(sql!(
                "select id, actor, actor_kind, ip, user_agent, action, resource_kind, resource_id, before, after, trace_id, at
                   from audit_log where org_id = $1"
            ))
            .and(" and action = $?", filter.action.as_deref())
            .and(" and resource_kind = $?", filter.resource_kind.as_deref())
            .and(" and resource_id = $?", filter.resource_id.as_deref())
            .and(" and actor = $?", filter.actor.as_deref())
            .and(" and at >= $?", filter.since);
        let query = match filter.after {
            Some((at, id)) => query.push(" and (at, id) < ($?, $?)").bind(at).bind(id),
            None => query,
        };
        query.push(" order by at desc, id desc limit $?").bind(filter.limit).all().await
    }
}
