//! `GET /users/me`.

use apex_storage::Member;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{OrganizationBody, UserBody};
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::state::AppState;

/// Who is calling.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    user: UserBody,
    /// The one that this request is for.
    organization: OrganizationBody,
    /// All of the caller's; name another one in `x-org-id`. A program with an API key sees only its own.
    organizations: Vec<OrganizationBody>,
}

/// Tells who is calling, and in which organisations.
#[utoipa::path(
    get, path = "/users/me", operation_id = "me", tag = "Identity", security(("bearer" = [])),
    responses((status = 200, description = "Who is calling", body = Me), Failures)
)]
#[tracing::instrument(name = "http.users.me", skip_all)]
pub(crate) async fn me(State(app): State<AppState>, caller: Caller) -> Result<Json<Me>, ApiError> {
    let mut tx = app.store().identity().await?;
    let gone = || ApiError::unauthenticated("the user or membership of this token is gone");
    let user = tx.user(caller.user).await?.ok_or_else(gone)?;
    let members = tx.memberships(caller.user).await?;
    let here = members.iter().find(|member| member.org_id == caller.org).cloned().ok_or_else(gone)?;
    let shown = |member: &Member| caller.key.is_none() || member.org_id == caller.org;
    let organizations = members.into_iter().filter(shown).map(Into::into).collect();
    Ok(Json(Me { user: user.into(), organization: here.into(), organizations }))
}
