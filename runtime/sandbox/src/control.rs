//! How another process sets the scene and reads the ledger.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::ledger::Ledger;
use crate::outside::Outside;
use crate::script::Script;
use crate::twilio;

type Shared = State<Arc<Outside>>;

/// Somebody calls one of our numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incoming {
    /// Who calls, E.164; acts by the script of this number.
    pub from: String,
    /// Our number, E.164.
    pub to: String,
    /// The script that is fetched for it.
    pub url: String,
    /// Where the call's end is posted.
    #[serde(default)]
    pub status_callback: Option<String>,
}

/// One script for all calls, or one for each.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Scripts {
    Each(Vec<Script>),
    One(Box<Script>),
}

/// `GET /sandbox`: what this is.
pub(crate) async fn page(State(outside): Shared) -> Html<String> {
    let stage = outside.stage();
    let so_far = stage.book().ledger().summary();
    let counts = format!(
        "{} calls and legs, {} messages, {} recordings, {} broken rules",
        so_far.calls + so_far.legs,
        so_far.messages,
        so_far.recordings,
        so_far.violations
    );
    Html(include_str!("control.html").replace("{base}", outside.base()).replace("{counts}", &counts))
}

/// `GET /sandbox/ledger`: everything that reached the outside.
pub(crate) async fn ledger(State(outside): Shared) -> Json<Ledger> {
    Json(outside.stage().book().ledger().clone())
}

/// `GET /sandbox/judge`: what must not have happened.
pub(crate) async fn judge(State(outside): Shared) -> Json<Vec<String>> {
    Json(outside.stage().book().ledger().judge())
}

/// `PUT /sandbox/scripts/{number}`: how the person behind a number acts; `default` stands for everybody else.
pub(crate) async fn script(
    State(outside): Shared,
    Path(number): Path<String>,
    Json(scripts): Json<Scripts>,
) -> StatusCode {
    let scripts = match scripts {
        Scripts::Each(scripts) => scripts,
        Scripts::One(script) => vec![*script],
    };
    let stage = outside.stage();
    if number == "default" {
        stage.set_default_script(scripts.into_iter().next_back().unwrap_or_default());
    } else {
        // A plus sign is easily lost on the way into a path.
        stage.set_scripts(&format!("+{}", number.trim().trim_start_matches('+')), scripts);
    }
    StatusCode::NO_CONTENT
}

/// `PUT /sandbox/faults`: what goes wrong from now on.
pub(crate) async fn faults(State(outside): Shared, Json(faults): Json<Faults>) -> StatusCode {
    outside.stage().set_faults(faults);
    StatusCode::NO_CONTENT
}

/// `POST /sandbox/reset`: begins anew.
pub(crate) async fn reset(State(outside): Shared) -> StatusCode {
    outside.reset();
    StatusCode::NO_CONTENT
}

/// `POST /sandbox/incoming`: somebody calls one of our numbers.
pub(crate) async fn incoming(State(outside): Shared, Json(incoming): Json<Incoming>) -> (StatusCode, Json<Value>) {
    let sid = twilio::incoming(&outside.stage(), incoming);
    (StatusCode::CREATED, Json(json!({ "call_sid": sid })))
}
