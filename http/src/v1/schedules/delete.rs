//! `DELETE /schedules/{id}`.

use apex_storage::model::ScheduleId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::show::find;
use super::{ScheduleBody, facts};
use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{IfMatch, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// Deletes a schedule. What it has begun already goes on.
#[utoipa::path(
    delete, path = "/schedules/{id}", operation_id = "delete_schedule", tag = "Schedules", security(("bearer" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The schedule"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.schedules.delete", skip_all, fields(schedule.id = %id))]
pub(crate) async fn delete_schedule(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<ScheduleId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let (schedule, project) = find(&mut tx, id).await?;
    if version.is_some_and(|version| version != schedule.version) {
        return Err(ApiError::version_mismatch(json!(ScheduleBody::of(schedule, &project))));
    }
    if !tx.delete_schedule(id).await? {
        return Err(ApiError::not_found("schedule"));
    }
    Change::new("schedule.delete", "schedule", id.0).before(facts(&schedule)).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
