//! `GET /projects/{project_id}`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{ProjectBody, Secrets};
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path, etag};
use crate::state::AppState;

/// Shows one project.
#[utoipa::path(
    get, path = "/projects/{project_id}", operation_id = "show_project", tag = "Projects", security(("bearer" = [])),
    params(("project_id" = String, Path, description = "The project")),
    responses((status = 200, description = "The project; its version is the ETag", body = ProjectBody), Failures)
)]
#[tracing::instrument(name = "http.projects.show", skip_all, fields(project = %slug))]
pub(crate) async fn show_project(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
) -> Result<Response, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project = access::project(&mut tx, &slug).await?;
    let tag = [(header::ETAG, etag(project.version))];
    Ok((tag, Json(ProjectBody::of(project, app.public_url(), Secrets::default()))).into_response())
}
