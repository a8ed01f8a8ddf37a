//! Whether it runs: the front page, and what load balancers ask.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::Json;
use crate::state::AppState;

/// How long the database may take to answer a readiness check.
const PATIENCE: Duration = Duration::from_secs(2);

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct About {
    name: &'static str,
    version: &'static str,
    /// Where the API is described.
    docs: &'static str,
    /// `sandbox`: the outside is played, nobody is called. `live`: people are.
    mode: &'static str,
}

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Whether requests may be sent here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, `stopping` or `unready`.
    status: &'static str,
    /// Whether the database answers.
    database: bool,
    /// `ok`, or `full`: nothing new was accepted a moment ago for want of room; what is there can be read.
    storage: &'static str,
    /// Whether ticket copies are kept; without them everything works, more slowly.
    mirror: bool,
    mode: &'static str,
    /// `sent`: calls and messages go out. `held`: none leaves until a person releases it.
    effects: &'static str,
}

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(health)).routes(routes!(ready))
}

/// Says what this is, to people and to programs.
#[utoipa::path(
    get, path = "/", operation_id = "about", tag = "Operation", security(()),
    responses((status = 200, description = "What this is", body = About))
)]
pub(crate) async fn root(State(app): State<AppState>, headers: HeaderMap) -> Response {
    let about = About { name: "Apex", version: env!("CARGO_PKG_VERSION"), docs: "/docs", mode: app.mode() };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") { Html(page(&about)).into_response() } else { Json(about).into_response() }
}

fn page(about: &About) -> String {
    let About { name, version, docs, mode } = about;
    let banner = if *mode == "sandbox" { "Sandbox: the outside is played, nobody is called." } else { "Live." };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{name}</title>\
         <h1>{name} {version}</h1><p>{banner}</p><p><a href=\"{docs}\">The API</a></p></html>"
    )
}

/// Answers as long as the process does.
#[utoipa::path(
    get, path = "/health", operation_id = "health", tag = "Operation", security(()),
    responses((status = 200, description = "The process answers", body = Health))
)]
pub(crate) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Tells whether requests may be sent here.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "ready", tag = "Operation", security(()),
    responses(
        (status = 200, description = "Requests may be sent here", body = Readiness),
        (status = 503, description = "The database does not answer, or the node is stopping", body = Readiness),
    )
)]
pub(crate) async fn ready(State(app): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let database = matches!(tokio::time::timeout(PATIENCE, app.store().ping()).await, Ok(Ok(())));
    let status = match (app.is_closing(), database) {
        (true, _) => "stopping",
        (false, true) => "ready",
        (false, false) => "unready",
    };
    let code = if status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let storage = if app.store().is_full() { "full" } else { "ok" };
    let (mirror, mode, effects) = (app.mirror().is_up(), app.mode(), app.effects());
    (code, Json(Readiness { status, database, storage, mirror, mode, effects }))
}
