//! `GET /projects/{project_id}/actors`: the live tree.

use axum::extract::State;
use serde_json::{Value, json};

use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Shows the project's actors as they are now: state, mailbox depth, restarts, last message, workers.
#[utoipa::path(
    get, path = "/projects/{project_id}/actors", operation_id = "project_actors", tag = "Projects",
    security(("bearer" = [])), params(("project_id" = String, Path, description = "The project")),
    responses((status = 200, description = "The live tree, or what rows say when nobody is awake", body = Object), Failures)
)]
#[tracing::instrument(name = "http.projects.actors", skip_all, fields(project = %slug))]
pub(crate) async fn project_actors(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project = access::project(&mut tx, &slug).await?;
    drop(tx);
    let tree = app.directory().project(caller.org, project.id).tree().await.ok_or_else(ApiError::out_of_time)?;
    let mut body = json!(tree);
    body["id"] = json!(project.id);
    body["project_id"] = json!(slug);
    Ok(Json(body))
}
