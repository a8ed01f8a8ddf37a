//! What the model answers, and how it fails.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::gemini::prompt::Prompt;
use crate::stage::new_sid;

const TOKEN_CHARS: usize = 4;

/// An answer to a request that was understood.
pub(crate) struct Reply<'a> {
    pub model: &'a str,
    pub prompt: &'a Prompt,
    pub text: String,
}

impl Reply<'_> {
    pub(crate) fn whole(&self) -> Response {
        self.candidate(&self.text, "STOP")
    }

    /// Half of it: the limit was reached.
    pub(crate) fn cut_off(&self) -> Response {
        let half: String = self.text.chars().take(self.text.chars().count() / 2).collect();
        self.candidate(&half, "MAX_TOKENS")
    }

    pub(crate) fn blocked(&self) -> Response {
        Json(json!({
            "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
            "usageMetadata": self.usage(0),
            "modelVersion": self.model,
            "responseId": new_sid("gm"),
        }))
        .into_response()
    }

    fn candidate(&self, text: &str, finish_reason: &str) -> Response {
        let content = json!({ "role": "model", "parts": [{ "text": text }] });
        Json(json!({
            "candidates": [{ "content": content, "finishReason": finish_reason, "index": 0 }],
            "usageMetadata": self.usage(text.chars().count().div_ceil(TOKEN_CHARS)),
            "modelVersion": self.model,
            "responseId": new_sid("gm"),
        }))
        .into_response()
    }

    fn usage(&self, written: usize) -> Value {
        let read = self.prompt.tokens();
        json!({
            "promptTokenCount": read,
            "candidatesTokenCount": written,
            "thoughtsTokenCount": 0,
            "totalTokenCount": read + written,
            "cachedContentTokenCount": 0,
            "promptTokensDetails": self.prompt.token_details(),
        })
    }
}

/// A request that fails.
pub(crate) struct Failure {
    status: u16,
    name: &'static str,
    message: String,
    details: Value,
    retry_after: Option<u64>,
}

impl Failure {
    fn new(status: u16, name: &'static str, message: &str) -> Self {
        Self { status, name, message: message.to_owned(), details: json!([]), retry_after: None }
    }

    pub(crate) fn bad_key() -> Self {
        let details = json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }]);
        let message = "API key not valid. Please pass a valid API key.";
        Self { details, ..Self::new(400, "INVALID_ARGUMENT", message) }
    }

    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message)
    }

    pub(crate) fn not_found(call: &str) -> Self {
        Self::new(404, "NOT_FOUND", &format!("models/{call} is not found, or does not support the method"))
    }

    pub(crate) fn quota(retry_delay: u64) -> Self {
        let retry = json!([{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{retry_delay}s"),
        }]);
        let failure = Self::new(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota.");
        Self { details: retry, retry_after: Some(retry_delay), ..failure }
    }

    pub(crate) fn planted(status: u16) -> Self {
        let name = match status {
            400 => "INVALID_ARGUMENT",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            _ => "INTERNAL",
        };
        Self::new(status, name, "An internal error has occurred.")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (name, message, details) = (self.name, self.message, self.details);
        let error = json!({ "code": self.status, "message": message, "status": name, "details": details });
        let mut response = (status, Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
