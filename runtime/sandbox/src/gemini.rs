//! Gemini: listens to recordings of this sandbox, analyses what was said, counts tokens, and fails when told to.

mod analysis;
mod answer;
mod prompt;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::clock::now;
use crate::faults::GeminiFault;
use crate::gemini::answer::{Failure, Reply};
use crate::gemini::prompt::Prompt;
use crate::ledger::{GeminiRequest, Task};
use crate::outside::Outside;
use crate::stage::Stage;
use crate::wire::Scissors;

const KEY: &str = "x-goog-api-key";
/// What is said to whoever asks for something else.
const OTHERWISE: &str =
    "This sandbox transcribes recordings of calls and analyses conversations; it was asked for neither.";

/// `POST /v1/models/{model}:{method}`, and the same under `/v1beta`.
pub(crate) async fn handler(
    State(outside): State<Arc<Outside>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    Path(call): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let stage = outside.stage();
    let key = headers.get(KEY).and_then(|value| value.to_str().ok());
    if key != Some(stage.options.gemini_key.as_str()) {
        return Failure::bad_key().into_response();
    }
    let (model, method) = call.rsplit_once(':').unwrap_or((call.as_str(), ""));
    let prompt = match serde_json::from_slice::<Value>(&body) {
        Ok(body) if body.get("contents").is_some_and(Value::is_array) => Prompt::read(&body),
        Ok(_) => return Failure::invalid("contents is not specified").into_response(),
        Err(error) => return Failure::invalid(&format!("invalid JSON payload: {error}")).into_response(),
    };
    match method {
        "countTokens" => {
            note(&stage, model, Task::Count, &prompt, 200);
            axum::Json(json!({ "totalTokens": prompt.tokens(), "promptTokensDetails": prompt.token_details() }))
                .into_response()
        }
        "generateContent" => generate(&stage, &scissors, model, &prompt).await,
        "streamGenerateContent" => streamed(generate(&stage, &scissors, model, &prompt).await).await,
        _ => Failure::not_found(&call).into_response(),
    }
}

async fn generate(stage: &Stage, scissors: &Scissors, model: &str, prompt: &Prompt) -> Response {
    let task = prompt.task();
    let text = match task {
        Task::Analyse => analysis::analyse(&prompt.conversation()).to_string(),
        // A recording without words has nothing to write down.
        Task::Transcribe => prompt.heard().unwrap_or_default(),
        Task::Count | Task::Other => OTHERWISE.to_owned(),
    };
    let reply = Reply { model, prompt, text };
    let fault = stage.faults().next_gemini(&format!("{task:?}"));
    let (status, response) = match fault {
        GeminiFault::Pass => (200, reply.whole()),
        GeminiFault::Truncated => (200, reply.cut_off()),
        GeminiFault::Blocked => (200, reply.blocked()),
        GeminiFault::Quota { retry_delay } => (429, Failure::quota(retry_delay).into_response()),
        GeminiFault::Http { status } => (status, Failure::planted(status).into_response()),
        GeminiFault::Timeout => {
            note(stage, model, task, prompt, 0);
            stage.over.cancelled().await;
            scissors.cut();
            return Failure::planted(504).into_response();
        }
    };
    note(stage, model, task, prompt, status);
    response
}

/// The same answer as the only event of a stream.
async fn streamed(response: Response) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
    let event = format!("data: {}\r\n\r\n", String::from_utf8_lossy(&body));
    ([("content-type", "text/event-stream")], event).into_response()
}

fn note(stage: &Stage, model: &str, task: Task, prompt: &Prompt, status: u16) {
    stage.book().add_gemini_request(GeminiRequest {
        model: model.to_owned(),
        task,
        audio_bytes: prompt.audio_bytes(),
        prompt_chars: prompt.chars(),
        status,
        at: now(),
    });
}
