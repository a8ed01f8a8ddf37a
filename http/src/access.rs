//! Who is calling, in which organisation, and what they may do there.

mod key;

use std::collections::HashMap;

use apex_storage::model::{OrgId, ProjectId, UserId};
use apex_storage::{Project, TenantTx};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use serde::Deserialize;

use crate::auth::token::{Claims, Subject};
use crate::error::ApiError;
use crate::extract::Query;
use crate::state::AppState;

pub(crate) use key::KeyInUse;

/// Names another organisation of the caller's.
const ORG_HEADER: &str = "x-org-id";

/// What somebody is in an organisation; the highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        self.scopes().iter().map(|&name| name.to_owned()).collect()
    }

    /// What it allows, the least first; each holds those before it.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Viewer => &["read"],
            Self::Member => &["read", "write"],
            Self::Admin | Self::Owner => &["read", "write", "administer"],
        }
    }

    /// What a key with these scopes is, at most; `None`: it may do nothing.
    pub fn of_scopes(scopes: &str) -> Option<Self> {
        let has = |name| scopes.split(' ').any(|scope| scope == name);
        let of = |(name, role)| has(name).then_some(role);
        [("administer", Self::Admin), ("write", Self::Member), ("read", Self::Viewer)].into_iter().find_map(of)
    }

    /// The lesser of two.
    pub fn no_more_than(self, other: Self) -> Self {
        self.max(other)
    }

    const fn may_write(self) -> bool {
        !matches!(self, Self::Viewer)
    }

    pub const fn may_administer(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

/// Somebody with a valid access token or API key. Viewers get through only where nothing is changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub user: UserId,
    pub org: OrgId,
    pub role: Role,
    /// The key they came with, if it was one.
    pub key: Option<KeyInUse>,
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
        Self { user: UserId(claims.sub), org: OrgId(claims.org_id), role: Role::named(&claims.org_role), key: None }
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

/// Somebody with a valid access token or API key, whatever their role: for requests that change nothing in spite of their method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnyCaller(pub Caller);

impl FromRequestParts<AppState> for AnyCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let token =
            bearer(&parts.headers).ok_or_else(|| ApiError::unauthenticated("send Authorization: Bearer <token>"))?;
        let caller = if key::is_key(token) {
            key::caller(app, token).await?
        } else {
            Caller::of(&app.tokens().verify_access(token, app.now())?)
        };
        match parts.headers.get(ORG_HEADER) {
            None => within_limits(app, caller).map(Self),
            Some(org) => {
                let org = org.to_str().ok().and_then(|text| text.parse().ok());
                let org = org.ok_or_else(|| ApiError::forbidden("x-org-id names no organisation of yours"))?;
                within_limits(app, switch(app, caller, org).await?).map(Self)
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
                let caller = Caller::of(&app.tokens().verify_stream(&ticket, app.now())?);
                within_limits(app, caller).map(Self)
            }
            _ => Caller::from_request_parts(parts, app).await.map(Self),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_of(headers.get(header::AUTHORIZATION)?)
}

/// The token of an `Authorization` header.
pub(crate) fn bearer_of(authorization: &HeaderValue) -> Option<&str> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Counts the request as one of the organisation's.
fn within_limits(app: &AppState, caller: Caller) -> Result<Caller, ApiError> {
    app.limits().organization(caller.org, app.store().clock().monotonic())?;
    Ok(caller)
}

/// The membership is read again: a token may be older than its end.
async fn switch(app: &AppState, caller: Caller, org: OrgId) -> Result<Caller, ApiError> {
    if caller.key.is_some() {
        let same = (org == caller.org).then_some(caller);
        return same.ok_or_else(|| ApiError::forbidden("an API key is for one organisation only"));
    }
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
