//! `GET /recordings/{id}`: the sound of a call.

use apex_storage::blob::BlobKey;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::state::AppState;

/// Plays the recording of a lead's call.
#[utoipa::path(
    get, path = "/recordings/{id}", operation_id = "recording", tag = "Leads", security(("bearer" = [])),
    params(("id" = String, Path, description = "The last part of a lead's recording_url")),
    responses((status = 200, description = "The sound", body = Vec<u8>, content_type = "audio/wav"), Failures)
)]
#[tracing::instrument(name = "http.recordings", skip_all, fields(recording.id = %id))]
pub(crate) async fn recording(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("recording");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let lead = tx.lead_by_recording(&format!("/api/v1/recordings/{id}")).await?.ok_or_else(missing)?;
    tx.project(lead.project_id).await?.ok_or_else(missing)?;
    drop(tx);
    let key = BlobKey::recording(lead.org_id, lead.project_id, &id)?;
    let sound = app.blobs().get(&key).await?.ok_or_else(missing)?;
    Ok(([(CONTENT_TYPE, "audio/wav"), (CACHE_CONTROL, "private, max-age=3600")], sound).into_response())
}
