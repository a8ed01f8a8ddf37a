//! What a failure looks like on the wire: RFC 9457 `application/problem+json`.
//!
//! Clients switch on `code`, never on texts. A 5xx says nothing about the inside.

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::observe;

const MEDIA_TYPE: &str = "application/problem+json";

/// One input field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Which field, as the client wrote it: `identity.region`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub fix: Option<String>,
}

/// A refusal or failure, ready to be answered. Small enough to travel as the `Err` of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status it is answered with.
    pub status: StatusCode,
    /// What clients switch on: `not_found`. Stable for ever.
    pub code: &'static str,
    /// The same for every occurrence of a code.
    pub title: &'static str,
    /// This occurrence, for people. Empty: left out.
    pub detail: String,
    /// The fields that were refused, all of them at once.
    pub errors: Vec<FieldProblem>,
    /// After how many seconds a repetition makes sense; also sent as `Retry-After`.
    pub retry_after: Option<u32>,
    /// Finds the request in the logs: 32 hex digits. The request's own, when nobody set another.
    pub trace_id: Option<Box<str>>,
    /// What stands there now, where the caller's copy was too old.
    pub current: Option<Box<Value>>,
}

impl Problem {
    /// A problem with the status' usual title and nothing else.
    pub fn new(status: StatusCode, code: &'static str) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        Self {
            status,
            code,
            title,
            detail: String::new(),
            errors: Vec::new(),
            retry_after: None,
            trace_id: None,
            current: None,
        }
    }

    /// Sets the title, which must be the same for every occurrence of the code.
    #[must_use]
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = title;
        self
    }

    /// Says what happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds a refused field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, problem: impl Into<String>) -> Self {
        self.errors.push(FieldProblem { field: field.into(), problem: problem.into(), fix: None });
        self
    }

    /// Adds a refused field and what to write instead.
    #[must_use]
    pub fn field_with_fix(
        mut self,
        field: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        self.errors.push(FieldProblem { field: field.into(), problem: problem.into(), fix: Some(fix.into()) });
        self
    }

    /// Adds refused fields found elsewhere.
    #[must_use]
    pub fn fields(mut self, errors: impl IntoIterator<Item = FieldProblem>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// Says after how many seconds a repetition makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Names the request's trace: 32 hex digits.
    #[must_use]
    pub fn trace_id(mut self, trace_id: impl Into<Box<str>>) -> Self {
        self.trace_id = Some(trace_id.into());
        self
    }

    /// Shows what stands there now.
    #[must_use]
    pub fn current(mut self, current: Value) -> Self {
        self.current = Some(Box::new(current));
        self
    }

    fn kind(&self) -> String {
        if self.code.is_empty() { "about:blank".to_owned() } else { format!("/docs#problem-{}", self.code) }
    }

    fn body<'a>(&'a self, trace_id: &'a str) -> Body<'a> {
        Body {
            kind: self.kind(),
            title: self.title,
            status: self.status.as_u16(),
            detail: Some(self.detail.as_str()).filter(|detail| !detail.is_empty()),
            code: self.code,
            trace_id,
            errors: &self.errors,
            retry_after: self.retry_after,
            current: self.current.as_deref(),
        }
    }
}

/// The document as clients see it.
#[derive(Serialize, ToSchema)]
struct Body<'a> {
    /// Where the code is explained, relative to the API.
    #[serde(rename = "type")]
    kind: String,
    /// The same for every occurrence of a code.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'a str>,
    /// What to switch on.
    code: &'a str,
    /// Finds the request in the logs.
    trace_id: &'a str,
    /// The fields that were refused.
    #[serde(skip_serializing_if = "<[FieldProblem]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [FieldProblem],
    /// After how many seconds a repetition makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    retry_after: Option<u32>,
    /// What stands there now, when the version asked for is not the current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Option<Object>)]
    current: Option<&'a Value>,
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Body::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Body::schemas(schemas);
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let trace_id = self.trace_id.clone().map_or_else(observe::trace_id, String::from);
        let body = serde_json::to_vec(&self.body(&trace_id)).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    async fn sent(problem: Problem) -> (Response, Value) {
        let (parts, body) = problem.into_response().into_parts();
        let bytes = to_bytes(body, 65_536).await.unwrap();
        (Response::from_parts(parts, axum::body::Body::empty()), serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_full_problem_has_every_member_and_retry_after() {
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "overloaded")
            .title("Too much at once")
            .detail("try again")
            .field("phone", "not a phone number")
            .field_with_fix("region", "unknown", "NZ")
            .retry_after(3)
            .trace_id("4bf92f3577b34da6a3ce929d0e0e4736");
        let (response, body) = sent(problem).await;
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "3");
        let expected = json!({
            "type": "/docs#problem-overloaded", "title": "Too much at once", "status": 429, "detail": "try again",
            "code": "overloaded", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "retry_after": 3,
            "errors": [{"field": "phone", "problem": "not a phone number"},
                       {"field": "region", "problem": "unknown", "fix": "NZ"}],
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn absent_members_are_left_out_and_the_trace_is_made_up() {
        let (response, body) = sent(Problem::new(StatusCode::NOT_FOUND, "not_found")).await;
        assert!(!response.headers().contains_key("retry-after"));
        let members: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(Vec::from_iter(members), ["code", "status", "title", "trace_id", "type"]);
        assert_eq!(body["title"], "Not Found");
        let trace = body["trace_id"].as_str().unwrap();
        assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()));
    }

    #[tokio::test]
    async fn unauthorized_names_the_scheme() {
        let (response, _) = sent(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized")).await;
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }

    #[test]
    fn the_schema_knows_the_type_member_and_the_field_list() {
        let schema = serde_json::to_value(Problem::schema()).unwrap();
        assert!(schema["properties"]["type"].is_object());
        let required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(required, ["type", "title", "status", "code", "trace_id"]);
        let mut named = Vec::new();
        Problem::schemas(&mut named);
        assert!(named.iter().any(|(name, _)| name == "FieldProblem"));
    }

    #[test]
    fn a_problem_is_small_enough_for_a_result() {
        assert!(size_of::<Problem>() < 128);
    }
}
