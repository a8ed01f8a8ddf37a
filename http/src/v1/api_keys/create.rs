//! `POST /api-keys`.

use apex_storage::NewApiKey;
use apex_storage::model::ApiKeyId;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::ApiKeyBody;
use crate::access::{Caller, Role};
use crate::audit::Change;
use crate::auth::token::{API_KEY_PREFIX, new_secret};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::state::AppState;

const LONGEST_NAME: usize = 100;
/// Characters of the key, its prefix among them, that stay visible: enough to tell keys apart, and far from enough to guess one.
const SHOWN: usize = 12;

/// A key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What it is for.
    #[schema(max_length = 100)]
    name: String,
    /// What it may do; each includes those before it. Read and write when left out.
    scopes: Option<Vec<Scope>>,
    /// When it ends by itself; never when left out.
    expires_at: Option<DateTime<Utc>>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// Look.
    Read,
    /// Change what members change.
    Write,
    /// What only admins do.
    Administer,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewApiKeyBody {
    /// Send it as `Authorization: Bearer`. It is in this answer and in no other.
    key: String,
    #[serde(flatten)]
    about: ApiKeyBody,
}

/// Makes a key for a program. It acts in its maker's name, in this organisation only, and never with more rights than its maker
/// has at that time. Its answer is not kept: a request that is repeated makes another key.
#[utoipa::path(
    post, path = "/api-keys", operation_id = "create_api_key", tag = "Identity", security(("bearer" = [])),
    request_body = CreateApiKey,
    responses((status = 201, description = "Made; keep the key", body = NewApiKeyBody), Failures)
)]
#[tracing::instrument(name = "http.api_keys.create", skip_all)]
pub(crate) async fn create_api_key(
    State(app): State<AppState>,
    caller: Caller,
    Json(request): Json<CreateApiKey>,
) -> Result<(StatusCode, Json<NewApiKeyBody>), ApiError> {
    let name = read_name(&request.name)?;
    let role = rights(&caller, request.scopes.as_deref())?;
    let expires_at = end(&caller, request.expires_at, app.now())?;
    let (key, hash) = new_secret(API_KEY_PREFIX);
    let (id, scopes) = (ApiKeyId::new(), role.scopes().join(" "));
    let mut tx = app.store().identity().await?;
    tx.add_api_key(&NewApiKey {
        id,
        org: caller.org,
        user: caller.user,
        name,
        prefix: &key.expose_secret()[..SHOWN],
        hash: &hash,
        scopes: &scopes,
        expires_at,
    })
    .await?;
    let made = tx.api_key(caller.org, id).await?.ok_or_else(|| ApiError::not_found("API key"))?;
    let mut tx = tx.into_tenant(caller.org).await?;
    let after = json!({ "scopes": role.scopes(), "expires_at": expires_at, "user_id": caller.user });
    Change::new("api_key.create", "api_key", id.0).after(after).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(NewApiKeyBody { key: key.expose_secret().to_owned(), about: made.into() })))
}

fn read_name(text: &str) -> Result<&str, ApiError> {
    let name = text.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) {
        return Ok(name);
    }
    Err(ApiError::invalid("name", format!("must have 1 to {LONGEST_NAME} characters")))
}

/// What the key is asked to be, if its maker is that too.
fn rights(caller: &Caller, scopes: Option<&[Scope]>) -> Result<Role, ApiError> {
    let wanted = match scopes {
        None => Role::Member,
        Some(scopes) => {
            let role = |scope: &Scope| match scope {
                Scope::Read => Role::Viewer,
                Scope::Write => Role::Member,
                Scope::Administer => Role::Admin,
            };
            scopes.iter().map(role).min().ok_or_else(|| ApiError::invalid("scopes", "must name at least one"))?
        }
    };
    if caller.role.no_more_than(wanted) == wanted {
        return Ok(wanted);
    }
    Err(ApiError::forbidden("a key cannot have rights that its maker does not have"))
}

/// A key that makes another one does not outlive itself by that.
fn end(caller: &Caller, wanted: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ApiError> {
    if wanted.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("expires_at", "is not in the future"));
    }
    let latest = caller.key.and_then(|key| key.expires_at);
    match (wanted, latest) {
        (Some(wanted), Some(latest)) if wanted > latest => {
            Err(ApiError::forbidden("a key cannot make one that ends later than itself"))
        }
        (wanted, latest) => Ok(wanted.or(latest)),
    }
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, UserId};
    use chrono::TimeDelta;

    use super::*;
    use crate::access::KeyInUse;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_089_600, 0).unwrap()
    }

    fn person(role: Role) -> Caller {
        Caller { user: UserId::new(), org: OrgId::new(), role, key: None }
    }

    #[test]
    fn a_key_has_no_right_that_its_maker_lacks() {
        let of =
            |role, scopes: Option<&[Scope]>| rights(&person(role), scopes).map_err(|error| error.status().as_u16());
        assert_eq!(of(Role::Owner, None), Ok(Role::Member));
        assert_eq!(of(Role::Viewer, None), Err(403));
        assert_eq!(of(Role::Viewer, Some(&[Scope::Read])), Ok(Role::Viewer));
        assert_eq!(of(Role::Member, Some(&[Scope::Read, Scope::Administer])), Err(403));
        assert_eq!(of(Role::Admin, Some(&[Scope::Administer])), Ok(Role::Admin));
        assert_eq!(of(Role::Owner, Some(&[])), Err(422));
    }

    #[test]
    fn a_key_ends_in_the_future_and_no_later_than_the_key_that_makes_it() {
        let second = |after: i64| now() + TimeDelta::seconds(after);
        let by_person = |wanted| end(&person(Role::Owner), wanted, now()).map_err(|error| error.status().as_u16());
        assert_eq!(by_person(None), Ok(None));
        assert_eq!(by_person(Some(second(1))), Ok(Some(second(1))));
        assert_eq!(by_person(Some(now())), Err(422));
        let key = Some(KeyInUse { id: ApiKeyId::new(), expires_at: Some(second(9)) });
        let by_key = |wanted| {
            end(&Caller { key, ..person(Role::Owner) }, wanted, now()).map_err(|error| error.status().as_u16())
        };
        assert_eq!(by_key(None), Ok(Some(second(9))));
        assert_eq!(by_key(Some(second(9))), Ok(Some(second(9))));
        assert_eq!(by_key(Some(second(10))), Err(403));
    }

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(read_name(" CRM ").unwrap(), "CRM");
        for bad in ["", "  ", &"x".repeat(101)] {
            assert_eq!(read_name(bad).unwrap_err().code(), "invalid", "{bad}");
        }
    }
}
