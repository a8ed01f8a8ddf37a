//! Why the model gave no answer, without a word of what it was asked or said: `genai` prints both in its errors.

use apex_actors::ports::PortError;
use genai::Error;
use genai::chat::{ChatResponse, StopReason};
use genai::webc::Error as WebError;
use serde_json::Value;

/// What an error means.
pub(super) fn of(error: &Error) -> PortError {
    match error {
        Error::WebModelCall { webc_error, .. } | Error::WebAdapterCall { webc_error, .. } => of_exchange(webc_error),
        Error::HttpError { status, body, .. } => of_status(status.as_u16(), &parsed(body)),
        Error::ChatResponseGeneration { response_body, .. } => of_empty(response_body),
        Error::SerdeJson(_) | Error::JsonValueExt(_) => unreadable(),
        _ => PortError::Permanent("the request could not be made".to_owned()),
    }
}

/// Nothing, if the model came to its end; else why it did not.
pub(super) fn unless_finished(response: &ChatResponse) -> Result<(), PortError> {
    match &response.stop_reason {
        Some(StopReason::Completed(_)) => Ok(()),
        Some(StopReason::MaxTokens(_)) => Err(PortError::Transient("the answer was cut off".to_owned())),
        Some(StopReason::ContentFilter(reason)) => Err(blocked(reason)),
        Some(other) => Err(PortError::Transient(format!("the model stopped: {}", word(other.raw())))),
        None => Err(response.captured_raw_body.as_ref().map_or_else(unreadable, of_empty)),
    }
}

fn of_exchange(error: &WebError) -> PortError {
    match error {
        WebError::ResponseFailedStatus { status, body, .. } => of_status(status.as_u16(), &parsed(body)),
        WebError::Reqwest(error) if error.is_builder() => {
            PortError::Permanent("the request could not be made".to_owned())
        }
        WebError::Reqwest(error) if error.is_connect() => PortError::Transient("no connection came about".to_owned()),
        WebError::Reqwest(error) if error.is_timeout() => PortError::Transient("no answer in time".to_owned()),
        WebError::Reqwest(_) => PortError::Transient("the connection broke".to_owned()),
        _ => unreadable(),
    }
}

fn of_status(status: u16, body: &Value) -> PortError {
    let error = if body.is_array() { &body[0]["error"] } else { &body["error"] };
    let name = word(error["status"].as_str().unwrap_or_default());
    let mut details = error["details"].as_array().into_iter().flatten();
    let reason = word(details.find_map(|detail| detail["reason"].as_str()).unwrap_or_default());
    let text = format!("status {status} {name} {reason}").trim_end().to_owned();
    match status {
        408 | 429 | 500.. => PortError::Transient(text),
        _ => PortError::Permanent(text),
    }
}

/// An answer without candidates: blocked, an error in disguise, or nothing at all.
fn of_empty(body: &Value) -> PortError {
    if let Some(reason) = body["promptFeedback"]["blockReason"].as_str() {
        return blocked(reason);
    }
    match body["error"]["code"].as_u64().and_then(|code| u16::try_from(code).ok()) {
        Some(status) => of_status(status, body),
        None => PortError::Transient("the model answered with nothing".to_owned()),
    }
}

fn blocked(reason: &str) -> PortError {
    PortError::Permanent(format!("the model gave no answer: {}", word(reason)))
}

fn unreadable() -> PortError {
    PortError::Transient("the answer cannot be read".to_owned())
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_default()
}

/// A name such as `API_KEY_INVALID`; nothing else gets through.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').take(60).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn statuses_fail_for_now_or_for_good_with_googles_names() {
        let key = json!({ "error": { "code": 400, "message": "key +64275559001", "status": "INVALID_ARGUMENT",
            "details": [{ "@type": "x" }, { "reason": "API_KEY_INVALID" }] } });
        let invalid = PortError::Permanent("status 400 INVALID_ARGUMENT API_KEY_INVALID".to_owned());
        assert_eq!(of_status(400, &key), invalid);
        assert_eq!(of_status(400, &json!([key])), invalid);
        for status in [301, 400, 401, 403, 404, 413] {
            assert!(matches!(of_status(status, &Value::Null), PortError::Permanent(_)), "{status}");
        }
        for status in [408, 429, 500, 503, 504] {
            assert!(matches!(of_status(status, &Value::Null), PortError::Transient(_)), "{status}");
        }
        assert_eq!(of_status(503, &parsed("<html>")), PortError::Transient("status 503".to_owned()));
    }

    #[test]
    fn an_answer_without_candidates_is_blocked_an_error_or_nothing() {
        let blocked = json!({ "promptFeedback": { "blockReason": "SAFETY" } });
        assert_eq!(of_empty(&blocked), PortError::Permanent("the model gave no answer: SAFETY".to_owned()));
        assert!(matches!(of_empty(&json!({ "error": { "code": 429 } })), PortError::Transient(_)));
        assert!(matches!(of_empty(&json!({ "error": { "code": 403 } })), PortError::Permanent(_)));
        assert!(matches!(of_empty(&json!({})), PortError::Transient(_)));
        assert!(matches!(of_empty(&Value::Null), PortError::Transient(_)));
    }
}
