//! `DELETE /leads/{id}`.

use apex_storage::model::LeadId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::show::find;
use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::problem::Problem;
use crate::state::AppState;

/// Deletes a lead that was never called.
#[utoipa::path(
    delete, path = "/leads/{id}", operation_id = "delete_lead", tag = "Leads", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The lead")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "It was called: its history stays", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.leads.delete", skip_all, fields(lead.id = %id))]
pub(crate) async fn delete_lead(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<LeadId>,
) -> Result<StatusCode, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let (lead, _) = find(&mut tx, id).await?;
    if !tx.delete_lead(id).await? {
        return Err(ApiError::conflict("lead_has_calls", "the lead was called; disqualify it instead"));
    }
    let before = json!({ "status": lead.status, "project": lead.project_id });
    Change::new("lead.delete", "lead", id.0).before(before).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
