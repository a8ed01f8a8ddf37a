//! `PATCH /schedules/{id}`: changes what is named and leaves the rest.

use apex_storage::model::{MissedRuns, ScheduleId};
use apex_storage::{Project, Schedule, StorageError, TenantTx};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::show::find;
use super::{ScheduleBody, TRIES, check_task, facts, next, read_name};
use crate::access::Caller;
use crate::audit::{self, Change};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{IfMatch, Json, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// What to change. A field that is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchSchedule {
    /// Unique in the project.
    name: Option<String>,
    /// Minute, hour, day of the month, month, day of the week.
    cron: Option<String>,
    /// An IANA zone; `null`: the project's.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    timezone: Zone,
    /// What is run.
    task: Option<String>,
    /// What it is run with; replaces all of it.
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// skip, once or all.
    #[schema(value_type = Option<String>)]
    missed: Option<MissedRuns>,
    /// `false` switches it off; `true` on, from now.
    enabled: Option<bool>,
}

/// Another zone, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Zone {
    /// Nothing is said about it.
    #[default]
    Same,
    /// The project's.
    Project,
    /// Its own.
    Own(String),
}

/// A field that is there: `null` means the project's zone.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zone, D::Error> {
    let zone: Option<String> = Option::deserialize(deserializer)?;
    Ok(zone.map_or(Zone::Project, Zone::Own))
}

/// Changes a schedule. Another time, zone or switch is counted from now; runs that were missed until now are forgotten.
#[utoipa::path(
    patch, path = "/schedules/{id}", operation_id = "patch_schedule", tag = "Schedules", security(("bearer" = [])),
    request_body = PatchSchedule,
    params(
        ("id" = uuid::Uuid, Path, description = "The schedule"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 200, description = "Changed", body = ScheduleBody),
        (status = 409, description = "The project has a schedule of this name", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.schedules.patch", skip_all, fields(schedule.id = %id))]
pub(crate) async fn patch_schedule(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<ScheduleId>,
    IfMatch(version): IfMatch,
    Json(request): Json<PatchSchedule>,
) -> Result<ScheduleBody, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    for _ in 0..TRIES {
        let (schedule, project) = find(&mut tx, id).await?;
        if version.is_some_and(|version| version != schedule.version) {
            return Err(ApiError::version_mismatch(json!(ScheduleBody::of(schedule, &project))));
        }
        let changed = changed(&request, schedule.clone(), &project, tx.now())?;
        check(&mut tx, &request, &changed).await?;
        if tx.update_schedule(&changed).await? {
            let old = schedule;
            let (schedule, project) = find(&mut tx, id).await?;
            told(&old, &schedule).tell(&mut tx, &caller).await?;
            tx.commit().await?;
            return Ok(ScheduleBody::of(schedule, &project));
        }
    }
    Err(StorageError::Stale.into())
}

fn told(old: &Schedule, new: &Schedule) -> Change {
    let words = audit::changed([("name", old.name != new.name), ("params", old.params != new.params)]);
    let mut after = facts(new);
    after["changed"] = json!(words);
    Change::new("schedule.update", "schedule", new.id.0).before(facts(old)).after(after)
}

/// Only what is changed is looked at: a task that is not there any more can still be switched off.
async fn check(tx: &mut TenantTx, request: &PatchSchedule, changed: &Schedule) -> Result<(), ApiError> {
    let is_on = request.enabled == Some(true);
    if request.task.is_some() || request.params.is_some() || is_on {
        check_task(tx, changed.project_id, &changed.task, &changed.params).await?;
    }
    Ok(())
}

/// The schedule with the changes in it. Its next time is counted again only when it may have become another.
fn changed(
    request: &PatchSchedule,
    schedule: Schedule,
    project: &Project,
    now: DateTime<Utc>,
) -> Result<Schedule, ApiError> {
    let PatchSchedule { name, cron, timezone, task, params, missed, enabled } = request.clone();
    let is_on = enabled.unwrap_or(schedule.next_at.is_some());
    let is_switched_on = is_on && schedule.next_at.is_none();
    let is_moved = cron.is_some() || timezone != Zone::Same;
    let mut changed = Schedule {
        name: name.map_or(Ok(schedule.name), |name| read_name(&name))?,
        cron: cron.map_or(schedule.cron, |cron| cron.trim().to_owned()),
        timezone: match timezone {
            Zone::Same => schedule.timezone,
            Zone::Project => None,
            Zone::Own(zone) => Some(zone),
        },
        task: task.unwrap_or(schedule.task),
        params: params.unwrap_or(schedule.params),
        missed: missed.unwrap_or(schedule.missed),
        ..schedule
    };
    if is_moved || is_switched_on {
        changed.next_at = Some(next(&changed.cron, changed.timezone.as_deref(), project, now)?);
    }
    if !is_on {
        changed.next_at = None;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{OrgId, ProjectId};

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn project(zone: &str) -> Project {
        Project {
            id: ProjectId::new(),
            org_id: OrgId::new(),
            slug: "kereru".into(),
            business_name: "Kererū".into(),
            dna_generated: json!({}),
            dna_custom: json!({ "identity": { "timezone": zone } }),
            version: 1,
            created_at: at("2026-01-01T00:00:00Z"),
            updated_at: at("2026-01-01T00:00:00Z"),
        }
    }

    fn schedule(next_at: Option<&str>) -> Schedule {
        Schedule {
            id: ScheduleId::new(),
            org_id: OrgId::new(),
            project_id: ProjectId::new(),
            name: "Every morning".into(),
            cron: "0 8 * * *".into(),
            timezone: None,
            task: "sales_agent".into(),
            params: json!({ "action": "notify_sms", "text": "Kia ora" }),
            missed: MissedRuns::Once,
            next_at: next_at.map(at),
            last_at: None,
            last_ticket_id: None,
            created_by: "test".into(),
            version: 1,
            created_at: at("2026-01-01T00:00:00Z"),
            updated_at: at("2026-01-01T00:00:00Z"),
        }
    }

    fn next_after(body: Value, next_at: Option<&str>) -> Option<DateTime<Utc>> {
        let request: PatchSchedule = serde_json::from_value(body).unwrap();
        let now = at("2026-07-01T12:00:00Z");
        changed(&request, schedule(next_at), &project("Europe/London"), now).unwrap().next_at
    }

    #[test]
    fn the_next_time_is_counted_again_only_when_it_may_be_another() {
        let due = Some("2026-07-01T07:00:00Z"); // five hours ago: a run that is still to happen
        assert_eq!(next_after(json!({ "name": "Other" }), due), due.map(at));
        assert_eq!(next_after(json!({ "enabled": true }), due), due.map(at), "it was on");
        assert_eq!(next_after(json!({ "enabled": true }), None), Some(at("2026-07-02T07:00:00Z")));
        assert_eq!(next_after(json!({ "cron": "30 8 * * *" }), due), Some(at("2026-07-02T07:30:00Z")));
        assert_eq!(next_after(json!({ "timezone": "Pacific/Auckland" }), due), Some(at("2026-07-01T20:00:00Z")));
        assert_eq!(next_after(json!({ "timezone": null }), due), Some(at("2026-07-02T07:00:00Z")));
    }

    #[test]
    fn one_that_is_off_stays_off_until_it_is_switched_on() {
        assert_eq!(next_after(json!({ "enabled": false }), Some("2026-07-02T07:00:00Z")), None);
        assert_eq!(next_after(json!({ "name": "Other" }), None), None);
        assert_eq!(next_after(json!({ "cron": "30 8 * * *" }), None), None);
    }
}
