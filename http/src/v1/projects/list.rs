//! `GET /projects`.

use apex_storage::model::ProjectId;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{ProjectBody, Secrets};
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListProjects {
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists the organisation's projects, newest first.
#[utoipa::path(
    get, path = "/projects", operation_id = "list_projects", tag = "Projects", security(("bearer" = [])),
    params(ListProjects),
    responses((status = 200, description = "A page of projects", body = Page<ProjectBody>), Failures)
)]
#[tracing::instrument(name = "http.projects.list", skip_all)]
pub(crate) async fn list_projects(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListProjects>,
) -> Result<Json<Page<ProjectBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let after = wanted.after.map(|(at, id)| (at, ProjectId(id)));
    let rows = tx.projects(after, wanted.rows()).await?;
    let (rows, next_cursor) = wanted.cut(rows, |project| (project.created_at, project.id.0));
    let body = |project| ProjectBody::of(project, app.public_url(), Secrets::default());
    Ok(Json(Page { data: rows.into_iter().map(body).collect(), next_cursor }))
}
