//! `POST /auth/refresh`: a refresh token is exchanged once. A second time means that somebody else has it.

use apex_storage::{IdentityTx, Session};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SignedIn, open_session};
use crate::auth::token;
use crate::docs::PublicFailures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::problem::Problem;
use crate::state::AppState;

/// The token to exchange or to give back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshRequest {
    pub refresh_token: String,
}

/// Exchanges a refresh token for a new pair. A token that was exchanged before revokes its whole sign-in.
#[utoipa::path(
    post, path = "/auth/refresh", operation_id = "refresh", tag = "Identity", security(()),
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "A new pair of tokens", body = SignedIn),
        (status = 401, description = "Unknown, used or over", body = Problem, content_type = "application/problem+json"),
        PublicFailures,
    )
)]
#[tracing::instrument(name = "http.auth.refresh", skip_all)]
pub(crate) async fn refresh(
    State(app): State<AppState>,
    Json(RefreshRequest { refresh_token }): Json<RefreshRequest>,
) -> Result<Json<SignedIn>, ApiError> {
    let mut tx = app.store().identity().await?;
    let session = tx.session(&token::hash(&refresh_token)).await?.ok_or_else(refused)?;
    if session.revoked_at.is_some() || session.expires_at <= app.now() {
        return Err(refused());
    }
    if session.rotated_at.is_some() || !tx.rotate_session(session.id).await? {
        return Err(revoke(tx, &session).await?);
    }
    let user = tx.user(session.user_id).await?.ok_or_else(refused)?;
    let member = tx.memberships(user.id).await?.into_iter().find(|member| member.org_id == session.org_id);
    let member = member.ok_or_else(refused)?;
    let signed_in = open_session(&app, &mut tx, user, member, Some(session.family)).await?;
    tx.commit().await?;
    Ok(Json(signed_in))
}

async fn revoke(mut tx: IdentityTx, session: &Session) -> Result<ApiError, ApiError> {
    tracing::warn!(user.id = %session.user_id, session.family = %session.family, "a refresh token came twice: sign-in revoked");
    tx.revoke_family(session.family).await?;
    tx.commit().await?;
    Ok(refused())
}

fn refused() -> ApiError {
    ApiError::unauthenticated("the refresh token is unknown, used or over; sign in again")
}
