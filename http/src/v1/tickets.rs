//! Tickets: the durable history of heavy tasks.

mod list;
mod replay;
mod retry;
mod show;
mod timeline;

use apex_actors::retry::retryable;
use apex_storage::model::{LeadId, TicketId};
use apex_storage::{TenantTx, Ticket};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::error::ApiError;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tickets))
        .routes(routes!(show::show_ticket))
        .routes(routes!(timeline::ticket_timeline))
        .routes(routes!(retry::retry_ticket))
        .routes(routes!(replay::replay_ticket))
}

/// A heavy task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketBody {
    /// The ticket, which is the context.
    id: Uuid,
    /// The same, under the name of `/context`.
    context_id: Uuid,
    project_id: String,
    task: String,
    #[schema(value_type = Option<Uuid>)]
    lead_id: Option<LeadId>,
    /// `processing`, `completed` or `failed`.
    status: &'static str,
    /// accepted, running, waiting, completed, failed, cancelled or dead.
    state: &'static str,
    /// Why it failed.
    code: Option<String>,
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// The number of the newest journal entry.
    seq: i64,
    /// 1, and one more for each time that somebody had it run again.
    attempt: i64,
    /// Not begun by then: it fails with `deadline_passed`.
    deadline_at: Option<DateTime<Utc>>,
    /// Whether somebody asked for its end.
    cancel_requested: bool,
    /// The user who asked for it, or the webhook.
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TicketBody {
    fn of(ticket: Ticket, slug: &str) -> Self {
        Self {
            id: ticket.id.0,
            context_id: ticket.id.0,
            project_id: slug.to_owned(),
            task: ticket.task,
            lead_id: ticket.lead_id,
            status: ticket.state.public(),
            state: ticket.state.as_str(),
            code: ticket.code,
            result: ticket.result,
            seq: ticket.seq,
            attempt: ticket.attempt,
            deadline_at: ticket.deadline_at,
            cancel_requested: ticket.cancel_requested_at.is_some(),
            created_by: ticket.created_by,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
        }
    }
}

/// Begins a ticket that failed or was set aside once more. The caller commits and nudges.
///
/// # Errors
///
/// 404 when there is none, or its project is deleted; 409 `not_retryable`, with the reason.
pub(super) async fn reopen(tx: &mut TenantTx, id: TicketId, by: &str) -> Result<Ticket, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let ticket = tx.ticket(id).await?.ok_or_else(missing)?;
    tx.project(ticket.project_id).await?.ok_or_else(missing)?;
    retryable(&ticket).map_err(|refusal| ApiError::conflict("not_retryable", refusal.detail))?;
    if tx.reopen_ticket(id, by).await? {
        return Ok(ticket);
    }
    Err(ApiError::conflict("not_retryable", format!("the ticket is not over: {}", ticket.state)))
}
