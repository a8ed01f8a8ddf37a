//! `GET /usage`: what a project has spent this month.

use apex_actors::Request;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::state::AppState;

/// Whose.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageOf {
    /// The project.
    project_id: String,
}

/// Tells what a project has spent this month, and its limit.
#[utoipa::path(
    get, path = "/usage", operation_id = "usage", tag = "Projects", security(("bearer" = [])), params(UsageOf),
    responses((status = 200, description = "Month to date, micro-dollars and as text", body = Object), Failures)
)]
#[tracing::instrument(name = "http.usage", skip_all, fields(project = %query.project_id))]
pub(crate) async fn usage(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<UsageOf>,
) -> Result<Json<Value>, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project = access::project(&mut tx, &query.project_id).await?;
    drop(tx);
    Ok(Json(app.directory().project(caller.org, project.id).ask(Request::Usage).await?))
}
