//! `POST /auth/logout`.

use axum::extract::State;
use axum::http::StatusCode;

use super::refresh::RefreshRequest;
use crate::auth::token;
use crate::docs::PublicFailures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::state::AppState;

/// Takes back every token of the sign-in. An unknown token is signed out already.
#[utoipa::path(
    post, path = "/auth/logout", operation_id = "logout", tag = "Identity", security(()), request_body = RefreshRequest,
    responses((status = 204, description = "Signed out"), PublicFailures)
)]
#[tracing::instrument(name = "http.auth.logout", skip_all)]
pub(crate) async fn logout(
    State(app): State<AppState>,
    Json(RefreshRequest { refresh_token }): Json<RefreshRequest>,
) -> Result<StatusCode, ApiError> {
    let mut tx = app.store().identity().await?;
    if let Some(session) = tx.session(&token::hash(&refresh_token)).await? {
        tx.revoke_family(session.family).await?;
        tx.commit().await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
