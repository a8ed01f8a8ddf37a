//! `GET /leads`.

use apex_storage::model::{LeadId, LeadStatus};
use apex_storage::{Lead, LeadFilter};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::LeadBody;
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which leads.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListLeads {
    /// Only of this project.
    project_id: Option<String>,
    /// Only with this status.
    #[param(value_type = Option<String>)]
    status: Option<LeadStatus>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists leads, newest first.
#[utoipa::path(
    get, path = "/leads", operation_id = "list_leads", tag = "Leads", security(("bearer" = [])), params(ListLeads),
    responses((status = 200, description = "A page of leads", body = Page<LeadBody>), Failures)
)]
#[tracing::instrument(name = "http.leads.list", skip_all)]
pub(crate) async fn list_leads(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListLeads>,
) -> Result<Json<Page<LeadBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project_id = access::narrowed(&mut tx, query.project_id.as_deref()).await?;
    let after = wanted.after.map(|(at, id)| (at, LeadId(id)));
    let filter = LeadFilter { project_id, status: query.status, after, limit: wanted.rows() };
    let (rows, next_cursor) = wanted.cut(tx.leads(&filter).await?, |lead| (lead.created_at, lead.id.0));
    let slugs = access::slugs(&mut tx, rows.iter().map(|lead| lead.project_id).collect()).await?;
    let body = |lead: Lead| slugs.get(&lead.project_id).map(|slug| LeadBody::of(lead, slug));
    Ok(Json(Page { data: rows.into_iter().filter_map(body).collect(), next_cursor }))
}
