//! `GET /tickets`.

use apex_storage::TicketFilter;
use apex_storage::model::{TicketId, TicketState};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::TicketBody;
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which tickets.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListTickets {
    /// Only of this project.
    project_id: Option<String>,
    /// Only in this state: accepted, running, waiting, completed, failed, cancelled or dead.
    #[param(value_type = Option<String>)]
    state: Option<TicketState>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists tickets, newest first.
#[utoipa::path(
    get, path = "/tickets", operation_id = "list_tickets", tag = "Tasks", security(("bearer" = [])), params(ListTickets),
    responses((status = 200, description = "A page of tickets", body = Page<TicketBody>), Failures)
)]
#[tracing::instrument(name = "http.tickets.list", skip_all)]
pub(crate) async fn list_tickets(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListTickets>,
) -> Result<Json<Page<TicketBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project_id = access::narrowed(&mut tx, query.project_id.as_deref()).await?;
    let after = wanted.after.map(|(at, id)| (at, TicketId(id)));
    let filter = TicketFilter { project_id, state: query.state, after, limit: wanted.rows() };
    let (rows, next_cursor) = wanted.cut(tx.tickets(&filter).await?, |ticket| (ticket.created_at, ticket.id.0));
    let slugs = access::slugs(&mut tx, rows.iter().map(|ticket| ticket.project_id).collect()).await?;
    let body = |ticket: apex_storage::Ticket| slugs.get(&ticket.project_id).map(|slug| TicketBody::of(ticket, slug));
    Ok(Json(Page { data: rows.into_iter().filter_map(body).collect(), next_cursor }))
}
