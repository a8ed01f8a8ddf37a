//! `GET /schedules`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use apex_storage::model::{ProjectId, ScheduleId};
use apex_storage::{Project, Schedule, ScheduleFilter};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ScheduleBody;
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which schedules.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSchedules {
    /// Only of this project.
    project_id: Option<String>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists schedules, newest first.
#[utoipa::path(
    get, path = "/schedules", operation_id = "list_schedules", tag = "Schedules", security(("bearer" = [])),
    params(ListSchedules),
    responses((status = 200, description = "A page of schedules", body = Page<ScheduleBody>), Failures)
)]
#[tracing::instrument(name = "http.schedules.list", skip_all)]
pub(crate) async fn list_schedules(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListSchedules>,
) -> Result<Json<Page<ScheduleBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project_id = access::narrowed(&mut tx, query.project_id.as_deref()).await?;
    let after = wanted.after.map(|(at, id)| (at, ScheduleId(id)));
    let filter = ScheduleFilter { project_id, after, limit: wanted.rows() };
    let place = |schedule: &Schedule| (schedule.created_at, schedule.id.0);
    let (rows, next_cursor) = wanted.cut(tx.schedules(&filter).await?, place);
    let mut projects: HashMap<ProjectId, Option<Project>> = HashMap::new();
    for schedule in &rows {
        if let Entry::Vacant(unknown) = projects.entry(schedule.project_id) {
            unknown.insert(tx.project(schedule.project_id).await?);
        }
    }
    let body = |schedule: Schedule| {
        let project = projects.get(&schedule.project_id)?.as_ref()?;
        Some(ScheduleBody::of(schedule, project))
    };
    Ok(Json(Page { data: rows.into_iter().filter_map(body).collect(), next_cursor }))
}
