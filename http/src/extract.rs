//! What a handler takes from a request. Each extractor answers with a problem that names what is wrong.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::ApiError;
use crate::state::AppState;

/// A JSON body, in or out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media("application/json"));
        }
        let Body(bytes) = Body::from_request(request, app).await?;
        read_json(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body as it came, within the limit.
#[derive(Clone, Debug)]
pub(crate) struct Body(pub Bytes);

impl FromRequest<AppState> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        whole(request.into_body(), app.body_limit(), app.body_within()).await.map(Self)
    }
}

/// The whole body, if it has no more than `limit` bytes and is here `within` this time.
pub(crate) async fn whole(body: axum::body::Body, limit: usize, within: Duration) -> Result<Bytes, ApiError> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > limit) {
        return Err(ApiError::too_large(limit));
    }
    let arriving = tokio::time::timeout(within, collected(body, limit));
    arriving.await.unwrap_or_else(|_| Err(ApiError::body_too_slow()))
}

async fn collected(body: axum::body::Body, limit: usize) -> Result<Bytes, ApiError> {
    let (mut chunks, mut read) = (body.into_data_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::malformed("unreadable_body", "the body did not arrive whole"))?;
        if read.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.into())
}

/// The variable parts of a path. One that cannot be an id names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        if holds_nul(parts.uri.path()) {
            return Err(ApiError::not_found("resource"));
        }
        let read = axum::extract::Path::from_request_parts(parts, app).await;
        read.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection: PathRejection| {
            match rejection.status() {
                status if status.is_server_error() => ApiError::internal(&rejection),
                _ => ApiError::not_found("resource"),
            }
        })
    }
}

/// The query string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        if parts.uri.query().is_some_and(holds_nul) {
            return Err(ApiError::malformed("nul_in_text", "the query holds %00, which cannot be kept; leave it out"));
        }
        let read = axum::extract::Query::from_request_parts(parts, app).await;
        read.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection: QueryRejection| {
            let text = std::error::Error::source(&rejection).map(ToString::to_string).unwrap_or_default();
            match text.split_once(": ") {
                Some((field, problem)) if !field.contains(' ') => ApiError::invalid(field, problem),
                _ => ApiError::invalid(quoted(&text).unwrap_or("query"), text.clone()),
            }
        })
    }
}

/// The version that a change was made for, from `If-Match`: `"3"` or `3`; absent or `*` is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IfMatch(pub Option<i64>);

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        if_match(&parts.headers).map(Self)
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.strip_prefix("W/").unwrap_or(text).trim_matches('"').parse();
    version.map(Some).map_err(|_| ApiError::invalid("If-Match", "is not the ETag of an earlier answer"))
}

/// The `ETag` of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The media type of a body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = media_type(headers);
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// Whether a part of a URI holds a NUL: nothing that is kept has one in its name, and Postgres cannot even be asked.
fn holds_nul(encoded: &str) -> bool {
    encoded.contains("%00")
}

/// A text with a NUL in it is refused, since Postgres cannot keep one and a text must not change on its way.
pub(crate) fn refuse_nul(json: &[u8]) -> Result<(), ApiError> {
    const NUL: &[u8] = br"\u0000";
    let escaped = |at: &usize| json[..*at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 0;
    let found = json.windows(NUL.len()).enumerate().filter(|(_, part)| *part == NUL).map(|(at, _)| at).find(escaped);
    match found {
        Some(_) => Err(ApiError::malformed("nul_in_text", r"a text holds \u0000, which cannot be kept; leave it out")),
        None => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    refuse_nul(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.into_inner());
        match inner.classify() {
            Category::Data => wrong_field(&path, &inner.to_string()),
            Category::Io | Category::Syntax | Category::Eof => ApiError::malformed_json(inner.to_string()),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::malformed_json(error.to_string()))?;
    Ok(value)
}

/// A missing or unknown field is named by the message, any other one by the path.
fn wrong_field(path: &str, message: &str) -> ApiError {
    let problem = message.split(" at line ").next().unwrap_or(message);
    let parent = if path == "." { "" } else { path };
    let named = if problem.starts_with("missing field") || problem.starts_with("unknown field") {
        quoted(problem).filter(|name| parent.rsplit('.').next().is_none_or(|last| last != *name))
    } else {
        None
    };
    let field = [parent, named.unwrap_or_default()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    ApiError::invalid(if field.is_empty() { "body".to_owned() } else { field.join(".") }, problem)
}

fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

#[cfg(test)]
mod nul {
    use super::refuse_nul;

    #[test]
    fn a_nul_is_refused_and_the_text_of_its_escape_is_not() {
        assert!(refuse_nul(br#"{"name":"a\u0000b"}"#).is_err());
        assert!(refuse_nul(br#"{"name":"a\\\u0000b"}"#).is_err());
        assert!(refuse_nul(br#"{"name":"a\\u0000b"}"#).is_ok());
        assert!(refuse_nul(br#"{"name":"plain"}"#).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        count: u8,
    }

    fn refused(body: &str) -> (u16, &'static str, String) {
        let error = read_json::<Outer>(body.as_bytes()).unwrap_err();
        (error.status().as_u16(), error.code(), format!("{error:?}"))
    }

    #[test]
    fn a_wrong_field_is_named_with_its_path() {
        for (body, field) in [
            (r#"{"name": 1}"#, "name"),
            ("{}", "name"),
            (r#"{"name": "a", "nmae": "b"}"#, "nmae"),
            (r#"{"name": "a", "inner": {"count": 300}}"#, "inner.count"),
            (r#"{"name": "a", "inner": {}}"#, "inner.count"),
            (r#"{"name": "a", "inner": {"count": 1, "more": 2}}"#, "inner.more"),
            ("[]", "body"),
            ("7", "body"),
        ] {
            let (status, code, error) = refused(body);
            assert_eq!((status, code), (422, "invalid"), "{body}");
            assert!(error.contains(&format!("field: {field:?}")), "{body}: {error}");
        }
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{\"name\": \"a\"} x", "name=a"] {
            let (status, code, _) = refused(body);
            assert_eq!((status, code), (400, "malformed_json"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_is_whole_in_time_and_within_its_limit_or_refused() {
        let sent = |pieces: Vec<Result<&'static str, std::io::Error>>| {
            axum::body::Body::from_stream(futures::stream::iter(pieces))
        };
        let (hour, blink) = (Duration::from_hours(1), Duration::from_millis(5));
        assert_eq!(whole(sent(vec![Ok("ab"), Ok("cd")]), 4, hour).await.unwrap(), "abcd");
        let refused = async |body, limit, within| {
            let error = whole(body, limit, within).await.unwrap_err();
            (error.status().as_u16(), error.code())
        };
        assert_eq!(refused(sent(vec![Ok("ab"), Ok("cd")]), 3, hour).await, (413, "too_large"));
        assert_eq!(refused(axum::body::Body::from("abcd"), 3, hour).await, (413, "too_large"));
        let broken = sent(vec![Ok("ab"), Err(std::io::ErrorKind::ConnectionReset.into())]);
        assert_eq!(refused(broken, 4, hour).await, (400, "unreadable_body"));
        let endless = axum::body::Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
        assert_eq!(refused(endless, 4, blink).await, (408, "body_too_slow"));
    }

    #[test]
    fn only_json_is_json() {
        let with = |value| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert!(with("application/json") && with("Application/JSON; charset=utf-8") && with("application/x+json"));
        assert!(!with("text/plain") && !with("application/x-www-form-urlencoded") && !is_json(&HeaderMap::new()));
    }

    #[test]
    fn if_match_takes_an_etag_with_or_without_quotes() {
        let with = |value| if_match(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_static(value))]));
        for good in ["\"3\"", "3", "W/\"3\""] {
            assert_eq!(with(good).unwrap(), Some(3), "{good}");
        }
        assert_eq!(with("*").unwrap(), None);
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        assert_eq!(with("\"abc\"").unwrap_err().code(), "invalid");
    }
}
