//! What the REST API answers.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that is refused, with Twilio's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: u16,
    pub code: u32,
    pub message: String,
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// 400 with a code.
    pub(crate) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self { status: 400, code, message: message.into(), retry_after: None }
    }

    pub(crate) fn unauthorised() -> Self {
        Self { status: 401, code: 20003, message: "Authenticate".to_owned(), retry_after: None }
    }

    pub(crate) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self { status: 404, code: 20404, message, retry_after: None }
    }

    /// A planted failure.
    pub(crate) fn planted(status: u16, code: Option<u32>, retry_after: Option<u64>) -> Self {
        let code = code.unwrap_or(20_000 + u32::from(status));
        let message = if status == 429 { "Too Many Requests" } else { "The request could not be processed" };
        Self { status, code, message: message.to_owned(), retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status,
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == 401 {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

pub(crate) fn ok(body: Value) -> Response {
    Json(body).into_response()
}

pub(crate) fn created(body: Value) -> Response {
    (StatusCode::CREATED, Json(body)).into_response()
}
