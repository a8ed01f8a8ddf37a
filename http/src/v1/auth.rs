//! Signing up, in and out.

mod login;
mod logout;
mod refresh;
mod register;
mod stream_ticket;

use apex_storage::model::SessionId;
use apex_storage::{IdentityTx, Member, Session, User};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::access::{Caller, Role};
use crate::auth::token::{REFRESH_PREFIX, new_secret};
use crate::error::ApiError;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(stream_ticket::stream_ticket))
}

/// Somebody is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// Send it as `Authorization: Bearer`.
    access_token: String,
    /// Exchange it at `/auth/refresh`, once.
    refresh_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Life of the access token, seconds.
    expires_in: i64,
    user: UserBody,
    organization: OrganizationBody,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserBody {
    id: Uuid,
    email: String,
    name: String,
}

/// An organisation, and what the caller is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationBody {
    id: Uuid,
    name: String,
    slug: String,
    /// owner, admin, member or viewer.
    role: String,
}

impl From<User> for UserBody {
    fn from(User { id, email, name, .. }: User) -> Self {
        Self { id: id.0, email, name }
    }
}

impl From<Member> for OrganizationBody {
    fn from(Member { org_id, org_name, org_slug, role }: Member) -> Self {
        Self { id: org_id.0, name: org_name, slug: org_slug, role }
    }
}

/// Opens a session in the transaction: one more refresh token of `family`, or the first of a new one.
async fn open_session(
    app: &AppState,
    tx: &mut IdentityTx,
    user: User,
    member: Member,
    family: Option<SessionId>,
) -> Result<SignedIn, ApiError> {
    let now = app.now();
    let caller = Caller { user: user.id, org: member.org_id, role: Role::named(&member.role), key: None };
    let (access_token, claims) = app.tokens().issue_access(&caller.subject(), app.access_ttl(), now)?;
    let (refresh_token, hash) = new_secret(REFRESH_PREFIX);
    let id = SessionId::new();
    let session = Session {
        id,
        family: family.unwrap_or(id),
        user_id: user.id,
        org_id: member.org_id,
        expires_at: now + app.refresh_ttl(),
        rotated_at: None,
        revoked_at: None,
    };
    tx.add_session(&session, &hash).await?;
    Ok(SignedIn {
        access_token,
        refresh_token: refresh_token.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: claims.exp - claims.iat,
        user: user.into(),
        organization: member.into(),
    })
}
