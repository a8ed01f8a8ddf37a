//! `GET /audit`: who changed what.

use apex_storage::model::AuditId;
use apex_storage::{AuditFilter, AuditRow};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditBody {
    id: Uuid,
    at: DateTime<Utc>,
    /// The id of the user or of the API key; `operator` at the command line.
    actor: String,
    /// user, `api_key`, operator or system.
    actor_kind: String,
    /// The other end of the connection.
    ip: Option<String>,
    user_agent: Option<String>,
    /// What was done: `lead.update`.
    action: String,
    /// What was changed: `lead`.
    resource_kind: String,
    /// Its id.
    resource_id: String,
    /// What of it was changed, as it was. Neither secrets nor what people wrote.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// The same as it is; `changed` names the fields whose contents are not shown.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// The `x-request-id` of the request.
    trace_id: Option<String>,
}

impl From<AuditRow> for AuditBody {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id.0,
            at: row.at,
            actor: row.actor,
            actor_kind: row.actor_kind,
            ip: row.ip,
            user_agent: row.user_agent,
            action: row.action,
            resource_kind: row.resource_kind,
            resource_id: row.resource_id,
            before: row.before,
            after: row.after,
            trace_id: row.trace_id,
        }
    }
}

/// Which changes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAudit {
    /// Only this action.
    action: Option<String>,
    /// Only of this kind of thing.
    resource_kind: Option<String>,
    /// Only of this thing.
    resource_id: Option<String>,
    /// Only by this user or API key.
    actor: Option<String>,
    /// Only from this time on.
    since: Option<DateTime<Utc>>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists what was changed in the organisation, newest first. For owners and admins.
#[utoipa::path(
    get, path = "/audit", operation_id = "list_audit", tag = "Audit", security(("bearer" = [])), params(ListAudit),
    responses((status = 200, description = "A page of changes", body = Page<AuditBody>), Failures)
)]
#[tracing::instrument(name = "http.audit.list", skip_all)]
pub(crate) async fn list_audit(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListAudit>,
) -> Result<Json<Page<AuditBody>>, ApiError> {
    caller.require_admin()?;
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let filter = AuditFilter {
        action: query.action,
        resource_kind: query.resource_kind,
        resource_id: query.resource_id,
        actor: query.actor,
        since: query.since,
        after: wanted.after.map(|(at, id)| (at, AuditId(id))),
        limit: wanted.rows(),
    };
    let mut tx = app.store().tenant_read(caller.org).await?;
    let (rows, next_cursor) = wanted.cut(tx.audit_log(&filter).await?, |row| (row.at, row.id.0));
    Ok(Json(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor }))
}
