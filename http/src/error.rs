//! The only file that chooses the status of a failure.
//!
//! A failure of ours is logged here, once, with its causes; its caller learns nothing about the inside.

use std::error::Error;
use std::fmt::Write as _;

use apex_actors::schedule::ScheduleProblem;
use apex_actors::{ActorError, Refusal};
use apex_config::dna::DnaProblem;
use apex_storage::blob::BlobError;
use apex_storage::model::phone::PhoneProblem;
use apex_storage::{IntakeError, StorageError};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::auth::password::PasswordError;
use crate::auth::token::TokenError;
use crate::problem::{FieldProblem, Problem};

/// How long a caller is asked to wait when the trouble is short, seconds.
const SOON: u32 = 1;
/// The same when somebody has to make room first, seconds.
const WHEN_THERE_IS_ROOM: u32 = 30;

/// Why a request was not done, ready to be answered.
#[derive(Debug)]
pub struct ApiError(Problem);

impl ApiError {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Problem::new(status, code).title(title).detail(detail))
    }

    fn try_again(mut self) -> Self {
        self.0 = self.0.retry_after(SOON);
        self
    }

    /// The code that clients switch on.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// 422: one field is not as it must be.
    pub fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::invalid_fields([FieldProblem { field: field.into(), problem: problem.into(), fix: None }])
    }

    /// 422: these fields are not as they must be.
    pub fn invalid_fields(errors: impl IntoIterator<Item = FieldProblem>) -> Self {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid").title("Invalid input").fields(errors);
        let names: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("not as it must be: {}", names.join(", "));
        Self(problem.detail(detail))
    }

    /// 422: every key of a Project DNA that is wrong; `prefix` stands before the keys.
    pub fn invalid_dna(problems: Vec<DnaProblem>, prefix: &str) -> Self {
        Self::invalid_fields(problems.into_iter().map(|DnaProblem { key, problem, fix }| {
            let field = [prefix, &key].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
            FieldProblem { field, problem, fix: Some(fix) }
        }))
    }

    /// 400: the body is no JSON.
    pub fn malformed_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_json", "Malformed JSON", detail)
    }

    /// 400: the request cannot be understood.
    pub fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, "Malformed request", detail)
    }

    /// 401: nobody knows who is calling.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first", detail)
    }

    /// 403: it is known who is calling, and they may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed", detail)
    }

    /// 403: the proof that came with the request is wrong.
    pub fn wrong_proof(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "Not allowed", detail)
    }

    /// 404: not there, or not the caller's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", format!("there is no such {what}"))
    }

    /// 405: the path is there and takes other methods.
    pub fn method_not_allowed() -> Self {
        let detail = "this path takes other methods; see the Allow header";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
    }

    /// 409: somebody has it already.
    pub fn taken(field: &str) -> Self {
        Self(
            Problem::new(StatusCode::CONFLICT, "taken")
                .title("Taken")
                .detail(format!("this {field} is taken"))
                .field_with_fix(field, "is taken", "choose another one"),
        )
    }

    /// 409: it does not fit what is there now.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Conflict", detail)
    }

    /// 412: the caller's copy is too old; `current` is what stands there.
    pub fn version_mismatch(current: Value) -> Self {
        let mut error = Self::new(
            StatusCode::PRECONDITION_FAILED,
            "version_mismatch",
            "Changed in the meantime",
            "the version in If-Match is not the current one",
        );
        error.0 = error.0.current(current);
        error
    }

    /// 408: the body did not arrive in time; nothing was done.
    pub fn body_too_slow() -> Self {
        let (status, title) = (StatusCode::REQUEST_TIMEOUT, "Body too slow");
        Self::new(status, "body_too_slow", title, "the body did not arrive in time; nothing was done")
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body may have {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Too large", detail)
    }

    /// 415: the body is of a type that is not read here.
    pub fn unsupported_media(expected: &str) -> Self {
        let detail = format!("send the body as {expected}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media", "Unsupported media type", detail)
    }

    /// 422: the key stood for another request before.
    pub fn key_reused() -> Self {
        let detail = "this Idempotency-Key was used for another request";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "idempotency_key_reused", "Idempotency-Key reused", detail)
    }

    /// 409: the same request is under way.
    pub fn in_flight() -> Self {
        Self::conflict("idempotency_in_flight", "the same request is under way; ask again for its answer").try_again()
    }

    /// 429: the caller has had their share; more after so many seconds.
    pub fn rate_limited(seconds: u32) -> Self {
        let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too many requests");
        let mut error =
            Self::new(status, "rate_limited", title, "too many requests; come again after `retry_after` seconds");
        error.0 = error.0.retry_after(seconds.max(SOON));
        error
    }

    /// 503: the node has as much in hand as it can; nothing was done.
    pub fn overloaded() -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "Too much at once");
        Self::new(status, "overloaded", title, "too many requests are in hand; nothing was done").try_again()
    }

    /// 500: a failure of ours.
    pub fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", "")
    }

    /// 500: a handler panicked; the panic itself is logged by its hook.
    pub fn panicked() -> Self {
        tracing::error!("a handler panicked");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", "")
    }

    /// 503: the database does not answer.
    pub fn storage_unavailable(error: &dyn Error) -> Self {
        tracing::error!(error = %chain(error), "the database did not do its part");
        Self::storage_away()
    }

    /// The same while it is known to be away, which was told once.
    fn storage_away() -> Self {
        let (status, title) = (StatusCode::SERVICE_UNAVAILABLE, "Storage unavailable");
        Self::new(status, "storage_unavailable", title, "the database does not answer; nothing was confirmed")
            .try_again()
    }

    /// 503: there is no room for more; what was accepted before is safe.
    pub fn storage_full() -> Self {
        let detail = "there is no room for more; nothing was stored";
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage_full", "Storage full", detail);
        error.0 = error.0.retry_after(WHEN_THERE_IS_ROOM);
        error
    }

    /// 504: no answer in time; whether it was done is unknown.
    pub fn out_of_time() -> Self {
        let detail = "no answer in time; repeat with the same Idempotency-Key";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", "Outcome unknown", detail)
    }

    fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Unavailable for a moment", detail).try_again()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match &error {
            StorageError::Fenced | StorageError::Stale => Self::unavailable("moving", "the project is moving"),
            StorageError::Taken(field) => Self::taken(field),
            StorageError::NoProject { .. } => Self::not_found("project"),
            StorageError::Database(_) => Self::storage_unavailable(&error),
            StorageError::Away => Self::storage_away(),
            StorageError::Full => Self::storage_full(),
            StorageError::Corrupt { .. } | StorageError::Setup(_) | StorageError::Migration(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<ActorError> for ApiError {
    fn from(error: ActorError) -> Self {
        match error {
            ActorError::Overloaded => {
                let (status, title) = (StatusCode::TOO_MANY_REQUESTS, "Too much at once");
                Self::new(status, "overloaded", title, "too many requests are in hand").try_again()
            }
            ActorError::Unavailable => Self::unavailable("unavailable", "the project is moving or restarting"),
            ActorError::Parked(actor) => {
                Self::unavailable("parked", format!("{actor} rests after repeated failures and will be tried again"))
            }
            ActorError::Elsewhere(_) => {
                let (status, title) = (StatusCode::MISDIRECTED_REQUEST, "Another node's project");
                Self::new(status, "elsewhere", title, "another node owns the project").try_again()
            }
            ActorError::OutcomeUnknown => Self::out_of_time(),
            ActorError::Refused(refusal) => refusal.into(),
            ActorError::UnknownProject(_) => Self::not_found("project"),
            ActorError::Storage(error) => error.into(),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(Refusal { code, detail, field }: Refusal) -> Self {
        if code == "task_unavailable" {
            return Self::new(StatusCode::NOT_IMPLEMENTED, code, "Task not available", detail);
        }
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code).title("Refused");
        let problem = match field {
            Some(field) => problem.field(field, detail.clone()),
            None => problem,
        };
        Self(problem.detail(detail))
    }
}

impl From<ScheduleProblem> for ApiError {
    fn from(ScheduleProblem { field, text }: ScheduleProblem) -> Self {
        Self::invalid(field, text)
    }
}

impl From<IntakeError> for ApiError {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Full => {
                Self::unavailable("intake_full", "too many leads are waiting to be stored; send it again")
            }
            IntakeError::Storage(
                error @ (StorageError::NoProject { .. } | StorageError::Away | StorageError::Full),
            ) => error.into(),
            IntakeError::Storage(error) => Self::storage_unavailable(&error),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match &error {
            TokenError::WeakKey | TokenError::Signing(_) => Self::internal(&error),
            TokenError::Expired | TokenError::TooEarly | TokenError::WrongKind | TokenError::Invalid(_) => {
                Self::unauthenticated(error.to_string())
            }
        }
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match &error {
            PasswordError::Hash(_) => Self::internal(&error),
            PasswordError::TooShort | PasswordError::TooLong | PasswordError::Repeated => {
                Self::invalid("password", error.to_string())
            }
        }
    }
}

impl From<PhoneProblem> for ApiError {
    fn from(problem: PhoneProblem) -> Self {
        Self::invalid("phone", problem.to_string())
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match &error {
            BlobError::BadKey(_) => Self::not_found("recording"),
            BlobError::Open(_) | BlobError::Store(_) => Self::internal(&error),
        }
    }
}

/// An error with all its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let _ = write!(text, ": {inner}"); // writing into a String cannot fail
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, ProjectId};

    use super::*;

    fn told(error: impl Into<ApiError>) -> (u16, &'static str, Option<u32>) {
        let ApiError(problem) = error.into();
        (problem.status.as_u16(), problem.code, problem.retry_after)
    }

    #[test]
    fn storage_failures_say_whether_to_come_again() {
        assert_eq!(told(StorageError::Fenced), (503, "moving", Some(1)));
        assert_eq!(told(StorageError::Stale), (503, "moving", Some(1)));
        assert_eq!(told(StorageError::Away), (503, "storage_unavailable", Some(1)));
        assert_eq!(told(StorageError::Full), (503, "storage_full", Some(30)));
        assert_eq!(told(IntakeError::Storage(StorageError::Full)), (503, "storage_full", Some(30)));
        assert_eq!(told(StorageError::Taken("email")), (409, "taken", None));
        assert_eq!(told(StorageError::Setup("x".into())), (500, "internal", None));
        let missing = StorageError::NoProject { org: OrgId::new(), project: ProjectId::new() };
        assert_eq!(told(missing), (404, "not_found", None));
    }

    #[test]
    fn every_answer_of_an_actor_has_its_status() {
        assert_eq!(told(ActorError::Overloaded), (429, "overloaded", Some(1)));
        assert_eq!(told(ActorError::Unavailable), (503, "unavailable", Some(1)));
        assert_eq!(told(ActorError::Parked("accountant")), (503, "parked", Some(1)));
        assert_eq!(told(ActorError::Elsewhere("10.0.0.2".into())), (421, "elsewhere", Some(1)));
        assert_eq!(told(ActorError::OutcomeUnknown), (504, "outcome_unknown", None));
        assert_eq!(told(Refusal::new("task_unavailable", "later")), (501, "task_unavailable", None));
        assert_eq!(told(Refusal::about("unknown_resource", "resource", "no")), (422, "unknown_resource", None));
        assert_eq!(told(IntakeError::Full), (503, "intake_full", Some(1)));
    }

    #[test]
    fn a_refused_parameter_is_named() {
        let ApiError(problem) = Refusal::about("unknown_resource", "resource", "no such resource").into();
        assert_eq!(problem.errors[0].field, "resource");
        let dna = DnaProblem { key: "identity.region".into(), problem: "is unknown".into(), fix: "write NZ".into() };
        let ApiError(problem) = ApiError::invalid_dna(vec![dna], "dna");
        assert_eq!(problem.errors[0].field, "dna.identity.region");
        assert_eq!(problem.errors[0].fix.as_deref(), Some("write NZ"));
    }

    #[test]
    fn an_internal_failure_tells_nothing_about_the_inside() {
        let ApiError(problem) = StorageError::Setup("password=hunter2".into()).into();
        assert!(problem.detail.is_empty() && problem.errors.is_empty());
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let inner = std::io::Error::other("disk on fire");
        assert_eq!(chain(&BlobError::Open(inner)), "blob directory cannot be opened: disk on fire");
    }

    #[test]
    fn an_error_is_small_enough_for_a_result() {
        assert!(size_of::<ApiError>() < 128);
    }
}
