//! `DELETE /api-keys/{id}`.

use apex_storage::model::ApiKeyId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::state::AppState;

/// Takes an API key back; from then on it opens nothing. Owners and admins take back any of the organisation, others their own.
#[utoipa::path(
    delete, path = "/api-keys/{id}", operation_id = "revoke_api_key", tag = "Identity", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The key's id")),
    responses((status = 204, description = "Taken back, now or before"), Failures)
)]
#[tracing::instrument(name = "http.api_keys.revoke", skip_all, fields(api_key.id = %id))]
pub(crate) async fn revoke_api_key(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<ApiKeyId>,
) -> Result<StatusCode, ApiError> {
    let mut tx = app.store().identity().await?;
    let key = tx.api_key(caller.org, id).await?;
    let key = key.filter(|key| caller.role.may_administer() || key.user_id == caller.user);
    let key = key.ok_or_else(|| ApiError::not_found("API key"))?;
    if !tx.revoke_api_key(caller.org, id).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    let mut tx = tx.into_tenant(caller.org).await?;
    let before = json!({ "user_id": key.user_id });
    let after = json!({ "revoked_at": tx.now() });
    Change::new("api_key.revoke", "api_key", id.0).before(before).after(after).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
