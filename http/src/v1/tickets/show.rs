//! `GET /tickets/{id}`.

use apex_storage::model::TicketId;
use axum::extract::State;

use super::TicketBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Shows one ticket.
#[utoipa::path(
    get, path = "/tickets/{id}", operation_id = "show_ticket", tag = "Tasks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The ticket")),
    responses((status = 200, description = "The ticket", body = TicketBody), Failures)
)]
#[tracing::instrument(name = "http.tickets.show", skip_all, fields(ticket.id = %id))]
pub(crate) async fn show_ticket(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<TicketId>,
) -> Result<Json<TicketBody>, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(missing)?;
    let project = tx.project(ticket.project_id).await?.ok_or_else(missing)?;
    Ok(Json(TicketBody::of(ticket, &project.slug)))
}
