//! `Idempotency-Key`: the same request again gets the same answer, and the work is done once.

use apex_storage::{Stored, TenantTx};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;
use crate::state::AppState;

const HEADER: &str = "idempotency-key";
/// The longest key, in characters.
const LONGEST: usize = 255;

/// The key of a request, if it has one. With and without quotes it is the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub Option<String>);

impl FromRequestParts<AppState> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut given = headers.get_all(HEADER).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let refuse = |detail: &str| Err(ApiError::malformed("bad_idempotency_key", format!("Idempotency-Key {detail}")));
    if given.next().is_some() {
        return refuse("is sent twice");
    }
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    match bare.len() {
        0 => refuse("is empty or not printable ASCII"),
        length if length > LONGEST => refuse("has more than 255 characters"),
        _ => Ok(Some(bare.to_owned())),
    }
}

/// A key taken for one request; its answer is kept in the transaction that does the work.
pub(crate) struct Taken {
    /// `None`: the request had no key, so nothing is kept.
    key: Option<String>,
}

/// What a key stands for.
pub(crate) enum Turn {
    /// The work is still to do; keep its answer.
    First(Taken),
    /// It was done; this was its answer.
    Again(Value),
}

impl Turn {
    /// Takes the key for a request: `route` is its method and canonical path, `request` what was asked.
    ///
    /// # Errors
    ///
    /// 422 when the key stood for another request, 409 while the same one is under way.
    pub async fn take(tx: &mut TenantTx, route: &str, key: &str, request: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(request).map_err(|error| ApiError::internal(&error))?;
        let scoped = format!("{route} {key}");
        let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(body).finalize();
        match tx.take_key(&scoped, &digest).await {
            Ok(Stored::New) => Ok(Self::First(Taken { key: Some(scoped) })),
            Ok(Stored::Answer { body, .. }) => Ok(Self::Again(body)),
            Ok(Stored::Mismatch) => Err(ApiError::key_reused()),
            Ok(Stored::InFlight) => Err(ApiError::in_flight()),
            Err(error) if error.is_busy() => Err(ApiError::in_flight()),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Self::take`], for a request that may have no key: then the work is always still to do.
    ///
    /// # Errors
    ///
    /// 422 when the key stood for another request, 409 while the same one is under way.
    pub async fn of(tx: &mut TenantTx, route: &str, Key(key): Key, request: &impl Serialize) -> Result<Self, ApiError> {
        match key {
            Some(key) => Self::take(tx, route, &key, request).await,
            None => Ok(Self::First(Taken { key: None })),
        }
    }
}

impl Taken {
    /// Keeps the answer, if there was a key.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn keep(self, tx: &mut TenantTx, status: i64, answer: &Value) -> Result<(), ApiError> {
        match self.key {
            Some(key) => Ok(tx.keep_answer(&key, status, answer).await?),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        assert_eq!(read(&headers(&["\"8e03978e\""])).unwrap(), Some("8e03978e".to_owned()));
        assert_eq!(read(&headers(&["8e03978e"])).unwrap(), Some("8e03978e".to_owned()));
        assert_eq!(read(&headers(&[])).unwrap(), None);
    }

    #[test]
    fn a_key_that_is_empty_too_long_or_doubled_is_refused() {
        let long: &'static str = "x".repeat(256).leak();
        for values in [vec![""], vec!["\"\""], vec![long], vec!["a", "b"]] {
            assert_eq!(read(&headers(&values)).unwrap_err().code(), "bad_idempotency_key", "{values:?}");
        }
    }
}
