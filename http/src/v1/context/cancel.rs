//! `POST /context/{id}/cancel`: asks for the end of a task.

use apex_storage::model::TicketId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::from_rows;
use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// Asks for the end of a task; its actor acts on it. What has happened already is not undone.
#[utoipa::path(
    post, path = "/context/{id}/cancel", operation_id = "cancel_context", tag = "Tasks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The context")),
    responses(
        (status = 202, description = "Asked; watch the context", body = Object),
        (status = 409, description = "It is over already", body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.context.cancel", skip_all, fields(ticket.id = %id))]
pub(crate) async fn cancel_context(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<TicketId>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let missing = || ApiError::not_found("context");
    let mut tx = app.store().tenant(caller.org).await?;
    let asked = tx.request_cancel(id).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(missing)?;
    let body = from_rows(&mut tx, &ticket, app.context_ttl()).await?;
    if !asked {
        return Err(ApiError::conflict("already_ended", format!("the task is over: {}", ticket.state)));
    }
    let before = json!({ "state": ticket.state, "cancel_requested": false });
    let change = Change::new("ticket.cancel", "ticket", id.0).before(before);
    change.after(json!({ "cancel_requested": true })).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    app.directory().nudge(caller.org, ticket.project_id, id, &ticket.actor);
    Ok((StatusCode::ACCEPTED, Json(body)))
}
