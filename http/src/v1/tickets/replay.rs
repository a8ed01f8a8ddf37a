//! `POST /tickets/{id}/replay`: decides again, on what was recorded.

use apex_storage::model::TicketId;
use axum::extract::State;
use serde_json::{Value, json};

use crate::access::AnyCaller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// Runs every decision of a ticket again on the answers that its journal holds, and tells whether they lead to the recorded
/// end: `is_same`, and if not, the first entry that differs. Nothing is written, nothing leaves.
#[utoipa::path(
    post, path = "/tickets/{id}/replay", operation_id = "replay_ticket", tag = "Tasks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The ticket")),
    responses(
        (status = 200, description = "What was recorded, and what was reached again", body = Object),
        (status = 409, description = "`history_expired`: the journal is older than it is kept", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.tickets.replay", skip_all, fields(ticket.id = %id))]
pub(crate) async fn replay_ticket(
    State(app): State<AppState>,
    AnyCaller(caller): AnyCaller,
    Path(id): Path<TicketId>,
) -> Result<Json<Value>, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(missing)?;
    tx.project(ticket.project_id).await?.ok_or_else(missing)?;
    if tx.ticket_events(id, 0, 1).await?.first().is_none_or(|first| first.seq > 1) {
        return Err(ApiError::conflict("history_expired", "the ticket's journal is older than it is kept"));
    }
    drop(tx);
    let replayed = app.directory().replay(caller.org, id).await?.ok_or_else(missing)?;
    Ok(Json(json!(replayed)))
}
