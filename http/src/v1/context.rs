//! `/context/{id}`: how far a heavy task is, what came of it, and its end before the time.

mod cancel;
mod events;
mod show;

use apex_actors::context;
use apex_storage::{TenantTx, Ticket};
use serde_json::Value;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::ApiError;
use crate::state::AppState;

/// Journal entries that are looked through for the newest stage.
const LOOK_BACK: i64 = 500;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show::show_context))
        .routes(routes!(events::context_events))
        .routes(routes!(cancel::cancel_context))
}

/// The context of a ticket, made from rows. A ticket of a deleted project is gone.
async fn from_rows(tx: &mut TenantTx, ticket: &Ticket, ttl: Duration) -> Result<Value, ApiError> {
    let project = tx.project(ticket.project_id).await?.ok_or_else(|| ApiError::not_found("context"))?;
    let events = tx.ticket_events(ticket.id, (ticket.seq - LOOK_BACK).max(0), LOOK_BACK).await?;
    Ok(context::context(ticket, &project.slug, context::newest_stage(&events), ttl))
}
