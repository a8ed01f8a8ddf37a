//! Schedules: tasks that a project runs by itself, at times written as cron in its own time zone.

mod create;
mod delete;
mod list;
mod patch;
mod show;

use apex_actors::clockwork::{project_zone, schedulable};
use apex_actors::schedule::next_run;
use apex_storage::model::{ProjectId, TicketId};
use apex_storage::{Project, Schedule, StorageError, TenantTx};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::error::ApiError;
use crate::extract::{Json, etag};
use crate::state::AppState;
use crate::v1::run::heavy::lead;

const LONGEST_NAME: usize = 100;
/// How often a change is tried again when a run changes the schedule meanwhile.
const TRIES: usize = 3;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create_schedule, list::list_schedules)).routes(routes!(
        show::show_schedule,
        patch::patch_schedule,
        delete::delete_schedule
    ))
}

/// A task that is run by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleBody {
    id: Uuid,
    project_id: String,
    /// Unique in the project.
    name: String,
    /// Minute, hour, day of the month, month, day of the week.
    cron: String,
    /// The zone that the times are meant in.
    timezone: String,
    /// `schedule`: its own. `project`: the project's, and it follows when that changes.
    timezone_from: &'static str,
    task: String,
    #[schema(value_type = Object)]
    params: Value,
    /// What is done with runs that were missed: skip, once or all.
    missed: &'static str,
    enabled: bool,
    /// When it runs next; `null` when it is off.
    next_at: Option<DateTime<Utc>>,
    /// The time it last ran for.
    last_at: Option<DateTime<Utc>>,
    /// The context of its last run.
    #[schema(value_type = Option<Uuid>)]
    last_context_id: Option<TicketId>,
    created_by: String,
    /// Grows with every change and with every run; the `ETag`.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ScheduleBody {
    fn of(schedule: Schedule, project: &Project) -> Self {
        let timezone_from = if schedule.timezone.is_some() { "schedule" } else { "project" };
        Self {
            id: schedule.id.0,
            project_id: project.slug.clone(),
            name: schedule.name,
            cron: schedule.cron,
            timezone: schedule.timezone.unwrap_or_else(|| project_zone(project).name().to_owned()),
            timezone_from,
            task: schedule.task,
            params: schedule.params,
            missed: schedule.missed.as_str(),
            enabled: schedule.next_at.is_some(),
            next_at: schedule.next_at,
            last_at: schedule.last_at,
            last_context_id: schedule.last_ticket_id,
            created_by: schedule.created_by,
            version: schedule.version,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

impl IntoResponse for ScheduleBody {
    fn into_response(self) -> Response {
        ([(header::ETAG, etag(self.version))], Json(self)).into_response()
    }
}

/// When a schedule runs next, in its own zone or the project's.
fn next(
    cron: &str,
    own_zone: Option<&str>,
    project: &Project,
    after: DateTime<Utc>,
) -> Result<DateTime<Utc>, ApiError> {
    let zone = own_zone.unwrap_or_else(|| project_zone(project).name());
    Ok(next_run(cron, zone, after)?)
}

/// Refuses what cannot be run by itself: unknown tasks, wrong parameters, a lead of another project.
async fn check_task(tx: &mut TenantTx, project: ProjectId, task: &str, params: &Value) -> Result<(), ApiError> {
    schedulable(task, params)?;
    lead(tx, project, params).await.map(drop)
}

/// What the audit log tells of a schedule: when what runs, and nothing that somebody wrote.
fn facts(schedule: &Schedule) -> Value {
    let Schedule { cron, timezone, task, missed, next_at, version, project_id, .. } = schedule;
    json!({ "project": project_id, "cron": cron, "timezone": timezone, "task": task, "missed": missed,
            "enabled": next_at.is_some(), "version": version })
}

/// A name without blanks around it.
fn read_name(text: &str) -> Result<String, ApiError> {
    let name = text.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    Err(ApiError::invalid("name", format!("must have 1 to {LONGEST_NAME} characters")))
}

/// The project's zone has changed: what follows it runs at other times now. A run that is due already is left to happen.
///
/// # Errors
///
/// When a schedule changes faster than it can be read, or its rows cannot be written.
pub(super) async fn follow_zone(tx: &mut TenantTx, before: &Project, after: &Project) -> Result<(), ApiError> {
    if project_zone(before) == project_zone(after) {
        return Ok(());
    }
    let now = tx.now();
    for schedule in tx.schedules_of_project(after.id).await? {
        let mut current = Some(schedule);
        for _ in 0..TRIES {
            let Some(mut schedule) = current.take() else { break };
            let is_ahead = schedule.next_at.is_some_and(|next| next > now);
            if schedule.timezone.is_some() || !is_ahead {
                break;
            }
            schedule.next_at = Some(next(&schedule.cron, None, after, now)?);
            if tx.update_schedule(&schedule).await? {
                break;
            }
            current = tx.schedule(schedule.id).await?;
        }
        if current.is_some() {
            return Err(StorageError::Stale.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(read_name(" Every morning ").unwrap(), "Every morning");
        for bad in ["", "  ", &"x".repeat(101)] {
            assert_eq!(read_name(bad).unwrap_err().code(), "invalid", "{bad:?}");
        }
    }
}
