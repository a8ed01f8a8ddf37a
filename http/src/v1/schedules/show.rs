//! `GET /schedules/{id}`.

use apex_storage::model::ScheduleId;
use apex_storage::{Project, Schedule, TenantTx};
use axum::extract::State;

use super::ScheduleBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Path;
use crate::state::AppState;

/// Shows one schedule.
#[utoipa::path(
    get, path = "/schedules/{id}", operation_id = "show_schedule", tag = "Schedules", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The schedule")),
    responses((status = 200, description = "The schedule; its version is the ETag", body = ScheduleBody), Failures)
)]
#[tracing::instrument(name = "http.schedules.show", skip_all, fields(schedule.id = %id))]
pub(crate) async fn show_schedule(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<ScheduleId>,
) -> Result<ScheduleBody, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let (schedule, project) = find(&mut tx, id).await?;
    Ok(ScheduleBody::of(schedule, &project))
}

/// The tenant's schedule with its project. A schedule of a deleted project is gone.
pub(super) async fn find(tx: &mut TenantTx, id: ScheduleId) -> Result<(Schedule, Project), ApiError> {
    let missing = || ApiError::not_found("schedule");
    let schedule = tx.schedule(id).await?.ok_or_else(missing)?;
    let project = tx.project(schedule.project_id).await?.ok_or_else(missing)?;
    Ok((schedule, project))
}
