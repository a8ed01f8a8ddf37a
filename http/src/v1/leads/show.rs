//! `GET /leads/{id}`.

use apex_storage::model::LeadId;
use apex_storage::{Lead, Project, TenantTx};
use axum::extract::State;

use super::LeadBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::state::AppState;

/// Shows one lead.
#[utoipa::path(
    get, path = "/leads/{id}", operation_id = "show_lead", tag = "Leads", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The lead")),
    responses((status = 200, description = "The lead; its version is the ETag", body = LeadBody), Failures)
)]
#[tracing::instrument(name = "http.leads.show", skip_all, fields(lead.id = %id))]
pub(crate) async fn show_lead(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> Result<LeadBody, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let (lead, project) = find(&mut tx, id).await?;
    Ok(LeadBody::of(lead, &project.slug))
}

/// The tenant's lead with its project. A lead of a deleted project is gone.
pub(super) async fn find(tx: &mut TenantTx, id: LeadId) -> Result<(Lead, Project), ApiError> {
    let missing = || ApiError::not_found("lead");
    let lead = tx.lead(id).await?.ok_or_else(missing)?;
    let project = tx.project(lead.project_id).await?.ok_or_else(missing)?;
    Ok((lead, project))
}
