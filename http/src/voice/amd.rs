//! Who Twilio believes has answered: noted. A person is proved by a key press alone.

use apex_storage::model::call::Report;
use axum::extract::State;
use axum::http::StatusCode;

use super::callback::Callback;
use super::contract::{Address, Form, Noted};
use super::line::{Fact, Line, noted};
use crate::error::ApiError;
use crate::state::AppState;

const KIND: &str = "amd";

/// Notes that the answer was judged.
#[utoipa::path(
    post, path = "/voice/amd", operation_id = "voice_amd", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Noted)
)]
pub(super) async fn voice_amd(State(state): State<AppState>, callback: Callback) -> Result<StatusCode, ApiError> {
    let fact = callback.param("CallSid").map(|sid| Fact { kind: KIND, sid, report: Report::Other });
    noted(&state, KIND, Line::of(&state).note(&callback, fact)).await
}
