//! `GET /context/{id}`: polled by clients, so a fresh copy is enough.

use std::time::Duration;

use apex_storage::mirror::Mirrored;
use apex_storage::model::{OrgId, TicketId};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::from_rows;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// A copy of an unfinished ticket that is older is read again from rows.
const FRESH: Duration = Duration::from_secs(2);

/// Shows how far a task is. `data.status` is `processing`, `completed` or `failed`.
#[utoipa::path(
    get, path = "/context/{id}", operation_id = "show_context", tag = "Tasks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The context")),
    responses((status = 200, description = "The context", body = Object), Failures)
)]
#[tracing::instrument(name = "http.context.show", skip_all, fields(ticket.id = %id))]
pub(crate) async fn show_context(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<TicketId>,
) -> Result<Response, ApiError> {
    if let Some(copy) = app.mirror().get(id.0).await
        && is_good(&copy, caller.org)
    {
        return Ok(([(header::CONTENT_TYPE, "application/json")], copy.body).into_response());
    }
    let mut tx = app.store().tenant_read(caller.org).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(|| ApiError::not_found("context"))?;
    let body = from_rows(&mut tx, &ticket, app.context_ttl()).await?;
    if app.mirror().is_up() {
        app.refill(id, ticket.seq, body.to_string());
    }
    Ok(Json(body).into_response())
}

/// Whether a copy is the caller's, and complete or fresh. Rows decide about everything else, also who may see it, and about
/// what failed: a person may have begun it again, and a copy on this node need not know.
fn is_good(copy: &Mirrored, org: OrgId) -> bool {
    let Ok(body) = serde_json::from_str::<Value>(&copy.body) else { return false };
    let is_fit = match body["data"]["status"].as_str() {
        Some("completed") => true,
        Some("failed") => false,
        _ => copy.age < FRESH,
    };
    is_fit && body["org_id"].as_str() == Some(org.to_string().as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_is_served_to_its_owner_only_and_only_while_it_is_good() {
        let org = OrgId::new();
        let copy = |status: &str, age: u64| {
            let body = json!({ "org_id": org, "data": { "status": status } }).to_string();
            Mirrored { seq: 1, body, age: Duration::from_secs(age) }
        };
        assert!(is_good(&copy("processing", 1), org));
        assert!(!is_good(&copy("processing", 2), org));
        assert!(is_good(&copy("completed", 3_000), org));
        assert!(!is_good(&copy("failed", 0), org), "it may have been begun again");
        assert!(!is_good(&copy("completed", 0), OrgId::new()));
        assert!(!is_good(&Mirrored { seq: 1, body: "{".into(), age: Duration::ZERO }, org));
    }
}
