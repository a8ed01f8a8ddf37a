//! `POST /schedules`.

use apex_storage::model::{MissedRuns, ScheduleId};
use apex_storage::{NewSchedule, Project, TenantTx};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ScheduleBody, check_task, facts, next, read_name};
use crate::access::{self, Caller};
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::{Key, Turn};
use crate::problem::Problem;
use crate::state::AppState;

const ROUTE: &str = "POST /api/v1/schedules";

/// A schedule to make.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSchedule {
    /// The project.
    project_id: String,
    /// Unique in the project.
    name: String,
    /// Minute, hour, day of the month, month, day of the week: `30 8 * * 1-5`.
    cron: String,
    /// The IANA zone that the times are meant in: `Pacific/Auckland`. The project's when left out.
    timezone: Option<String>,
    /// What is run, as in `POST /run`: a task that answers with a `context_id`.
    task: String,
    /// What it is run with.
    #[serde(default = "no_params")]
    #[schema(value_type = Option<Object>)]
    params: Value,
    /// Runs that nobody was there for: `skip` them, run `once` for all of them (when left out), or `all` of them, up to 24.
    #[schema(value_type = Option<String>)]
    missed: Option<MissedRuns>,
    /// `false`: it is kept and does not run. `true` when left out.
    enabled: Option<bool>,
}

fn no_params() -> Value {
    json!({})
}

/// Makes a schedule. Its task runs by itself, once at each of its times, however many nodes there are.
#[utoipa::path(
    post, path = "/schedules", operation_id = "create_schedule", tag = "Schedules", security(("bearer" = [])),
    request_body = CreateSchedule,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 201, description = "Made; `next_at` tells when it runs", body = ScheduleBody),
        (status = 409, description = "The project has a schedule of this name, or the same request is under way",
         body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.schedules.create", skip_all, fields(project = %request.project_id))]
pub(crate) async fn create_schedule(
    State(app): State<AppState>,
    caller: Caller,
    key: Key,
    Json(request): Json<CreateSchedule>,
) -> Result<Response, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let project = access::project(&mut tx, &request.project_id).await?;
    let taken = match Turn::of(&mut tx, ROUTE, key, &request).await? {
        Turn::Again(answer) => return Ok((StatusCode::CREATED, Json(answer)).into_response()),
        Turn::First(taken) => taken,
    };
    let body = write(&mut tx, &caller, &project, &request).await?;
    taken.keep(&mut tx, 201, &json!(body)).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, body).into_response())
}

async fn write(
    tx: &mut TenantTx,
    caller: &Caller,
    project: &Project,
    request: &CreateSchedule,
) -> Result<ScheduleBody, ApiError> {
    let name = read_name(&request.name)?;
    check_task(tx, project.id, &request.task, &request.params).await?;
    let (cron, timezone) = (request.cron.trim(), request.timezone.as_deref());
    let next_at = next(cron, timezone, project, tx.now())?;
    let id = ScheduleId::new();
    tx.create_schedule(&NewSchedule {
        id,
        project_id: project.id,
        name: &name,
        cron,
        timezone,
        task: &request.task,
        params: &request.params,
        missed: request.missed.unwrap_or(MissedRuns::Once),
        next_at: request.enabled.unwrap_or(true).then_some(next_at),
        created_by: &caller.user.to_string(),
    })
    .await?;
    let schedule = tx.schedule(id).await?.ok_or_else(|| ApiError::not_found("schedule"))?;
    Change::new("schedule.create", "schedule", id.0).after(facts(&schedule)).tell(tx, caller).await?;
    Ok(ScheduleBody::of(schedule, project))
}
