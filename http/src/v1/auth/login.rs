//! `POST /auth/login`.

use apex_storage::{IdentityTx, Member, User};
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{SignedIn, open_session};
use crate::auth::password;
use crate::docs::PublicFailures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::problem::Problem;
use crate::state::AppState;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    email: String,
    password: String,
}

/// Signs in, in the oldest organisation of the person. A wrong address and a wrong password get the same answer after the
/// same time.
#[utoipa::path(
    post, path = "/auth/login", operation_id = "login", tag = "Identity", security(()), request_body = LoginRequest,
    responses(
        (status = 200, description = "Signed in", body = SignedIn),
        (status = 401, description = "Wrong address or password", body = Problem, content_type = "application/problem+json"),
        PublicFailures,
    )
)]
#[tracing::instrument(name = "http.auth.login", skip_all)]
pub(crate) async fn login(
    State(app): State<AppState>,
    Json(LoginRequest { email, password }): Json<LoginRequest>,
) -> Result<Json<SignedIn>, ApiError> {
    app.limits().sign_in(&known_as(&email), app.store().clock().monotonic())?;
    let user = find(&app, &email).await?;
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let fits = app.hash_aside(move || password::verify(&password, stored.as_deref())).await?;
    let Some(user) = user.filter(|_| fits) else { return Err(wrong()) };
    let mut tx = app.store().identity().await?;
    let member = home(&mut tx, &user).await?;
    let signed_in = open_session(&app, &mut tx, user, member, None).await?;
    tx.commit().await?;
    app.limits().signed_in(&known_as(&email));
    Ok(Json(signed_in))
}

/// Reads in a transaction of its own: a hash takes long, and holds no connection meanwhile.
async fn find(app: &AppState, email: &str) -> Result<Option<User>, ApiError> {
    let mut tx = app.store().identity().await?;
    Ok(tx.user_by_email(&known_as(email)).await?)
}

/// However somebody spells their address, it is one.
fn known_as(email: &str) -> String {
    email.trim().to_lowercase()
}

async fn home(tx: &mut IdentityTx, user: &User) -> Result<Member, ApiError> {
    tx.memberships(user.id).await?.into_iter().next().ok_or_else(wrong)
}

fn wrong() -> ApiError {
    ApiError::unauthenticated("address or password is wrong")
}
