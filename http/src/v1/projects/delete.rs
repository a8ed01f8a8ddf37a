//! `DELETE /projects/{project_id}`: marks it as deleted and frees its name.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::state::AppState;

/// Deletes a project: it is gone for everybody at once, and its leads and tickets with it. Repeat it when no answer came.
#[utoipa::path(
    delete, path = "/projects/{project_id}", operation_id = "delete_project", tag = "Projects",
    security(("bearer" = [])), params(("project_id" = String, Path, description = "The project")),
    responses((status = 204, description = "Deleted"), Failures)
)]
#[tracing::instrument(name = "http.projects.delete", skip_all, fields(project = %slug))]
pub(crate) async fn delete_project(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.require_admin()?;
    // By its route, which goes last: a deletion that stopped half-way can be repeated.
    let route = app.store().route("slug", &slug).await?.filter(|route| route.org_id == caller.org);
    let project = route.ok_or_else(|| ApiError::not_found("project"))?.project_id;
    let mut tx = app.store().tenant(caller.org).await?;
    if tx.delete_project(project).await? {
        let before = json!({ "project_id": slug });
        Change::new("project.delete", "project", project.0).before(before).tell(&mut tx, &caller).await?;
    }
    tx.commit().await?;
    let mut tx = app.store().identity().await?;
    tx.remove_routes(caller.org, project).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
