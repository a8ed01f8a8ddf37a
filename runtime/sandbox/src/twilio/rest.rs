//! The REST API's front door: credentials, paths, planted failures.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::faults::Fault;
use crate::outside::Outside;
use crate::stage::{Stage, new_sid};
use crate::twilio::answer::{self, Refusal};
use crate::twilio::form::Form;
use crate::twilio::{rest_calls, rest_messages, rest_recordings};
use crate::wire::Scissors;

/// A request to the REST API.
pub(crate) struct Request<'a> {
    pub stage: &'a Arc<Stage>,
    pub path: &'a str,
    pub query: Form,
    pub form: Form,
    scissors: &'a Scissors,
}

impl Request<'_> {
    /// Answers as a planted failure says, having acted or not.
    pub(crate) async fn under(&self, fault: Fault, act: impl FnOnce() -> Response) -> Response {
        match fault {
            Fault::Pass => act(),
            Fault::Http { status, retry_after, code } => Refusal::planted(status, code, retry_after).into_response(),
            Fault::ErrorAfterActing { status } => {
                drop(act());
                Refusal::planted(status, None, None).into_response()
            }
            Fault::TimeoutWithoutActing => self.never().await,
            Fault::TimeoutAfterActing => {
                drop(act());
                self.never().await
            }
            Fault::DropWithoutActing => self.cut(),
            Fault::DropAfterActing => {
                drop(act());
                self.cut()
            }
        }
    }

    /// Nothing is answered until the caller gives up.
    async fn never(&self) -> Response {
        self.stage.over.cancelled().await;
        self.cut()
    }

    fn cut(&self) -> Response {
        self.scissors.cut();
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

/// Everything under `/2010-04-01/`.
pub(crate) async fn handler(
    State(outside): State<Arc<Outside>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let stage = outside.stage();
    let request = Request {
        stage: &stage,
        path: uri.path(),
        query: Form::parse(uri.query().unwrap_or_default().as_bytes()),
        form: Form::parse(&body),
        scissors: &scissors,
    };
    let mut response = match turned_away(&stage, &headers) {
        Some(refusal) => refusal.into_response(),
        None => route(&method, &request).await,
    };
    if let Ok(id) = HeaderValue::from_str(&new_sid("RQ")) {
        response.headers_mut().insert("twilio-request-id", id);
    }
    response
}

/// Without credentials, or in the middle of a burst.
fn turned_away(stage: &Stage, headers: &HeaderMap) -> Option<Refusal> {
    if !is_authorised(stage, headers) {
        return Some(Refusal::unauthorised());
    }
    let status = stage.faults().burst()?;
    Some(Refusal::planted(status, None, (status == 429).then_some(1)))
}

fn is_authorised(stage: &Stage, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let encoded = given.and_then(|value| value.strip_prefix("Basic "));
    let expected = STANDARD.encode(format!("{}:{}", stage.options.account_sid, stage.options.auth_token));
    encoded == Some(expected.as_str())
}

async fn route(method: &Method, request: &Request<'_>) -> Response {
    let stage = request.stage;
    let path = request.path.trim_start_matches("/2010-04-01/");
    let segments: Vec<&str> = path.split('/').collect();
    let account = stage.options.account_sid.as_str();
    let own = ["Accounts", account];
    let (get, post) = (method == Method::GET, method == Method::POST);
    match segments.strip_prefix(own.as_slice()) {
        Some(["Calls.json"]) if post => rest_calls::create(request).await,
        Some(["Calls.json"]) if get => rest_calls::list(request),
        Some(["Calls", sid, "Recordings.json"]) if get => rest_recordings::list(request, Some(sid)),
        Some(["Calls", file]) if get => rest_calls::fetch(request, json_sid(file)),
        Some(["Calls", file]) if post => rest_calls::update(request, json_sid(file)),
        Some(["Messages.json"]) if post => rest_messages::create(request).await,
        Some(["Messages.json"]) if get => rest_messages::list(request),
        Some(["Messages", file]) if get => rest_messages::fetch(request, json_sid(file)),
        Some(["Recordings.json"]) if get => rest_recordings::list(request, request.query.get("CallSid")),
        Some(["Recordings", file]) if get => rest_recordings::fetch(request, file),
        Some(["Recordings", file]) if method == Method::DELETE => rest_recordings::delete(request, json_sid(file)),
        None if get && segments == ["Accounts", format!("{account}.json").as_str()] => account_json(request),
        _ => Refusal::not_found(request.path).into_response(),
    }
}

fn json_sid(file: &str) -> &str {
    file.strip_suffix(".json").unwrap_or(file)
}

fn account_json(request: &Request<'_>) -> Response {
    answer::ok(json!({
        "sid": request.stage.options.account_sid,
        "friendly_name": "Apex sandbox",
        "status": "active",
        "type": "Full",
        "owner_account_sid": request.stage.options.account_sid,
        "uri": request.path,
    }))
}
