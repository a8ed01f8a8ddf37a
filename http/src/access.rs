//! Who is calling, in which organisation, and what they may do there.

use std::collections::HashMap;

use apex_storage::model::{OrgId, ProjectId, UserId};
use apex_storage::{Project, TenantTx};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use serde::Deserialize;

use crate::auth::token::{Claims, Subject};
use crate::error::ApiError;
use crate::extract::Query;
use crate::state::AppState;

/// Names another organisation of the caller's.
const ORG_HEADER: &str = "x-org-id";

/// What somebody is in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Made it.
    Owner,
    /// Runs it.
    Admin,
    /// Works in it.
    Member,
    /// Looks at it.
    Viewer,
}

impl Role {
    /// The role of this name; a name that nobody knows may only look.
    pub fn named(name: &str) -> Self {
        match name {
            "owner" => Self::Owner,
            "admin" => Self::Admin,
            "member" => Self::Member,
            _ => Self::Viewer,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

    /// What a token says about it.
    pub fn permissions(self) -> Vec<String> {
        let all = ["read", "write", "administer"];
        let count = match self {
            Self::Viewer => 1,
            Self::Member => 2,
            Self::Admin | Self::Owner => 3,
        };
        all[..count].iter().map(|&name| name.to_owned()).collect()
    }

    const fn may_write(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    const fn may_administer(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

/// Somebody with a valid access token. Viewers get through only where nothing is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub user: UserId,
    pub org: OrgId,
    pub role: Role,
}

impl Caller {
    /// # Errors
    ///
    /// 403 for everybody but owners and admins.
    pub fn require_admin(&self) -> Result<(), ApiError> {
        if self.role.may_administer() {
            return Ok(());
        }
        Err(ApiError::forbidden("only owners and admins of the organisation may do this"))
    }

    /// What a token of this caller says.
    pub fn subject(&self) -> Subject {
        Subject {
            user: self.user.0,
            org_id: self.org.0,
            org_role: self.role.as_str().to_owned(),
            org_permissions: self.role.permissions(),
        }
    }

    fn of(claims: &Claims) -> Self {
        Self { user: UserId(claims.sub), org: OrgId(claims.org_id), role: Role::named(&claims.org_role) }
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let AnyCaller(caller) = AnyCaller::from_request_parts(parts, app).await?;
        let only_reads = matches!(parts.method, Method::GET | Method::HEAD);
        if only_reads || caller.role.may_write() {
            return Ok(caller);
        }
        Err(ApiError::forbidden("viewers may not change anything"))
    }
}

/// Somebody with a valid access token, whatever their role: for requests that change nothing in spite of their method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyCaller(pub Caller);

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token =
            bearer(&parts.headers).ok_or_else(|| ApiError::unauthenticated("send Authorization: Bearer <token>"))?;
        let caller = Caller::of(&app.tokens().verify_access(token, app.now())?);
        match parts.headers.get(ORG_HEADER) {
            None => Ok(Self(caller)),
            Some(org) => {
                let org = org.to_str().ok().and_then(|text| text.parse().ok());
                let org = org.ok_or_else(|| ApiError::forbidden("x-org-id names no organisation of yours"))?;
                switch(app, caller, org).await.map(Self)
            }
        }
    }
}

/// Somebody who opens a stream: with an access token, or with a stream ticket in the query, for browsers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamCaller(pub Caller);

#[derive(Deserialize)]
struct TicketQuery {
    ticket: Option<String>,
}

impl FromRequestParts<AppState> for StreamCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let Query(query) = Query::<TicketQuery>::from_request_parts(parts, app).await?;
        match query.ticket {
            Some(ticket) if bearer(&parts.headers).is_none() => {
                Ok(Self(Caller::of(&app.tokens().verify_stream(&ticket, app.now())?)))
            }
            _ => Caller::from_request_parts(parts, app).await.map(Self),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The membership is read again: a token may be older than its end.
async fn switch(app: &AppState, caller: Caller, org: OrgId) -> Result<Caller, ApiError> {
    let mut tx = app.store().identity().await?;
    let member = tx.memberships(caller.user).await?.into_iter().find(|member| member.org_id == org);
    let member = member.ok_or_else(|| ApiError::forbidden("x-org-id names no organisation of yours"))?;
    Ok(Caller { org, role: Role::named(&member.role), ..caller })
}

/// The project of this outside name, if it is the tenant's.
///
/// # Errors
///
/// 404 when it is not.
pub(crate) async fn project(tx: &mut TenantTx, slug: &str) -> Result<Project, ApiError> {
    tx.project_by_slug(slug).await?.ok_or_else(|| ApiError::not_found("project"))
}

/// The id of the project that a list is narrowed to, if it is.
///
/// # Errors
///
/// 404 when the tenant has no such project.
pub(crate) async fn narrowed(tx: &mut TenantTx, slug: Option<&str>) -> Result<Option<ProjectId>, ApiError> {
    match slug {
        Some(slug) => Ok(Some(project(tx, slug).await?.id)),
        None => Ok(None),
    }
}

/// The outside names of these projects. One that is deleted has none.
///
/// # Errors
///
/// When rows cannot be read.
pub(crate) async fn slugs(tx: &mut TenantTx, ids: Vec<ProjectId>) -> Result<HashMap<ProjectId, String>, ApiError> {
    let mut known = HashMap::new();
    for id in ids {
        if known.contains_key(&id) {
            continue;
        }
        if let Some(project) = tx.project(id).await? {
            known.insert(id, project.slug);
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_role_that_nobody_knows_may_only_look() {
        let role = Role::named("superuser");
        assert_eq!(role, Role::Viewer);
        assert!(!role.may_write() && !role.may_administer());
        assert_eq!(role.permissions(), ["read"]);
    }

    #[test]
    fn every_role_keeps_its_name_and_gains_with_its_rank() {
        for role in [Role::Owner, Role::Admin, Role::Member, Role::Viewer] {
            assert_eq!(Role::named(role.as_str()), role);
        }
        assert!(Role::Member.may_write() && !Role::Member.may_administer());
        assert!(Role::Admin.may_administer() && Role::Owner.may_administer());
    }

    #[test]
    fn only_a_bearer_is_a_bearer() {
        let with =
            |value: &'static str| HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
        assert_eq!(bearer(&with("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&with("bearer  abc")), Some("abc"));
        assert_eq!(bearer(&with("Basic abc")), None);
        assert_eq!(bearer(&with("abc")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
