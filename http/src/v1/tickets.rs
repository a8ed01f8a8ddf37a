//! Tickets: the durable history of heavy tasks.

mod list;
mod show;
mod timeline;

use apex_storage::Ticket;
use apex_storage::model::LeadId;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_tickets))
        .routes(routes!(show::show_ticket))
        .routes(routes!(timeline::ticket_timeline))
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
            cancel_requested: ticket.cancel_requested_at.is_some(),
            created_by: ticket.created_by,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
        }
    }
}
