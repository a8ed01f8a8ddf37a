//! `PUT /leads/{id}`: the same as PATCH; a field that is left out stays.

use apex_storage::model::LeadId;
use axum::extract::State;

use super::LeadBody;
use super::patch::{PatchLead, change};
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{IfMatch, Json, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// Changes a lead, as PATCH does.
#[utoipa::path(
    put, path = "/leads/{id}", operation_id = "put_lead", tag = "Leads", security(("bearer" = [])),
    request_body = PatchLead,
    params(
        ("id" = uuid::Uuid, Path, description = "The lead"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 200, description = "Changed", body = LeadBody),
        (status = 409, description = "A status that does not follow", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.leads.put", skip_all, fields(lead.id = %id))]
pub(crate) async fn put_lead(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<LeadId>,
    IfMatch(version): IfMatch,
    Json(request): Json<PatchLead>,
) -> Result<LeadBody, ApiError> {
    change(&app, &caller, id, version, &request).await
}
