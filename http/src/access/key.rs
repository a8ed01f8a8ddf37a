//! Programs that sign in with an API key: what the key may do is looked at anew with each request.

use apex_storage::KeyHolder;
use apex_storage::model::ApiKeyId;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Caller, Role};
use crate::auth::token::{API_KEY_PREFIX, hash};
use crate::error::ApiError;
use crate::state::AppState;

/// Characters behind the prefix: 32 random bytes.
const RANDOM_PART: usize = 43;
/// How often it is written down that a key is in use.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The key that a request came with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyInUse {
    pub id: ApiKeyId,
    /// When it ends by itself: what it makes ends no later.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Whether a bearer means to be an API key.
pub(super) fn is_key(bearer: &str) -> bool {
    bearer.starts_with(API_KEY_PREFIX)
}

/// Who comes with this key: its owner, with no more rights than both the key and the owner have now.
pub(super) async fn caller(app: &AppState, bearer: &str) -> Result<Caller, ApiError> {
    // One answer to all of them: whether a key was ever there is nobody's business.
    let refused = || ApiError::unauthenticated("this API key is not known, was revoked or has ended");
    if !is_well_formed(bearer) {
        return Err(refused());
    }
    let holder = app.store().key_holder(&hash(bearer)).await?.ok_or_else(refused)?;
    let now = app.now();
    let role = rights(&holder, now).ok_or_else(refused)?;
    if holder.last_used_at.is_none_or(|at| at <= now - NOTED_EVERY) {
        note_used(app, holder.id, now).await;
    }
    let key = KeyInUse { id: holder.id, expires_at: holder.expires_at };
    Ok(Caller { user: holder.user_id, org: holder.org_id, role, key: Some(key) })
}

fn is_well_formed(bearer: &str) -> bool {
    let random = bearer.strip_prefix(API_KEY_PREFIX).unwrap_or_default();
    random.len() == RANDOM_PART
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// What the holder may do; `None`: nothing, the key is over or its owner is no member any more.
fn rights(holder: &KeyHolder, now: DateTime<Utc>) -> Option<Role> {
    let is_over = holder.revoked_at.is_some() || holder.expires_at.is_some_and(|at| at <= now);
    let owner = Role::named(holder.role.as_deref().filter(|_| !is_over)?);
    Some(owner.no_more_than(Role::of_scopes(&holder.scopes)?))
}

/// A key works also while this cannot be written.
async fn note_used(app: &AppState, id: ApiKeyId, now: DateTime<Utc>) {
    let noted = async {
        let mut tx = app.store().identity().await?;
        tx.note_key_used(id, now - NOTED_EVERY).await?;
        tx.commit().await
    };
    if let Err(error) = noted.await {
        tracing::warn!(api_key.id = %id, %error, "the use of an API key was not noted");
    }
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, UserId};

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_089_600, 0).unwrap()
    }

    fn holder(role: Option<&str>, scopes: &str) -> KeyHolder {
        KeyHolder {
            id: ApiKeyId::new(),
            org_id: OrgId::new(),
            user_id: UserId::new(),
            scopes: scopes.into(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
            role: role.map(Into::into),
        }
    }

    #[test]
    fn a_key_may_do_the_lesser_of_its_scopes_and_its_owners_role() {
        let of = |role, scopes| rights(&holder(Some(role), scopes), now());
        assert_eq!(of("owner", "read"), Some(Role::Viewer));
        assert_eq!(of("owner", "read write"), Some(Role::Member));
        assert_eq!(of("owner", "read write administer"), Some(Role::Admin));
        assert_eq!(of("member", "read write administer"), Some(Role::Member));
        assert_eq!(of("viewer", "read write"), Some(Role::Viewer));
        assert_eq!(of("owner", ""), None);
        assert_eq!(of("owner", "everything"), None);
    }

    #[test]
    fn a_key_that_is_over_or_whose_owner_left_may_do_nothing() {
        assert_eq!(rights(&holder(None, "read"), now()), None);
        let ends = |at| rights(&KeyHolder { expires_at: Some(at), ..holder(Some("owner"), "read") }, now());
        assert_eq!(ends(now()), None);
        assert_eq!(ends(now() + TimeDelta::seconds(1)), Some(Role::Viewer));
        let revoked = KeyHolder { revoked_at: Some(now()), ..holder(Some("owner"), "read") };
        assert_eq!(rights(&revoked, now()), None);
    }

    #[test]
    fn only_what_could_be_a_key_is_looked_up() {
        let key = format!("apx_{}", "aZ09_-x".repeat(7))[..47].to_owned();
        assert!(is_key(&key) && is_well_formed(&key));
        for bad in ["apx_", &key[..46], &format!("{key}x"), &key.replace('Z', "+"), "x.y.z"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
