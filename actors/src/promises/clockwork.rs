//! Schedules run once, whoever looks; and calls of the provider that no row asked for are found.

use apex_storage::model::{MissedRuns, ScheduleId, TicketId};
use apex_storage::{NewSchedule, Schedule, Ticket, TicketFilter};
use chrono::{DurationRound, TimeDelta};
use serde_json::json;

use super::*;
use crate::ports::PlacedCall;

/// What is scheduled, and how.
struct Plan {
    /// `None`: at the very minute that it is due, once a year.
    cron: Option<&'static str>,
    task: &'static str,
    params: Value,
    missed: MissedRuns,
}

impl Plan {
    fn text() -> Self {
        let params = json!({ "action": "notify_sms", "text": "Time to look" });
        Self { cron: None, task: "sales_agent", params, missed: MissedRuns::Once }
    }
}

/// A schedule that has been due for ten minutes.
async fn schedule(stage: &Stage, project_id: ProjectId, plan: Plan) -> ScheduleId {
    let id = ScheduleId::new();
    let next_at = stage.world.store.now().duration_trunc(TimeDelta::minutes(1)).unwrap() - TimeDelta::minutes(10);
    let that_minute = next_at.format("%M %H %d %m *").to_string();
    let new = NewSchedule {
        id,
        project_id,
        name: &id.to_string(),
        cron: plan.cron.unwrap_or(&that_minute),
        timezone: Some("UTC"),
        task: plan.task,
        params: &plan.params,
        missed: plan.missed,
        next_at: Some(next_at),
        created_by: "stage",
    };
    let mut tx = stage.world.store.tenant(stage.org).await.unwrap();
    tx.create_schedule(&new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

async fn read(stage: &Stage, id: ScheduleId) -> Schedule {
    stage.world.store.tenant_read(stage.org).await.unwrap().schedule(id).await.unwrap().unwrap()
}

async fn tickets(stage: &Stage, project: ProjectId) -> Vec<Ticket> {
    let filter = TicketFilter { project_id: Some(project), limit: 100, ..TicketFilter::default() };
    stage.world.store.tenant_read(stage.org).await.unwrap().tickets(&filter).await.unwrap()
}

#[tokio::test]
async fn a_schedule_runs_once_however_many_look() {
    let (stage, first) = open(quick()).await;
    let (id, second) = (stage.project().await, again(&stage).await);
    let schedule = schedule(&stage, id, Plan::text()).await;
    let (mine, theirs) = tokio::join!(first.run_schedules(), second.run_schedules());
    assert_eq!(mine.unwrap() + theirs.unwrap(), 1);
    assert_eq!(first.run_schedules().await.unwrap(), 0);
    let [ticket] = tickets(&stage, id).await.try_into().unwrap();
    assert_eq!((ticket.task.as_str(), ticket.actor.as_str()), ("sales_agent", "task"));
    assert_eq!((ticket.created_by, ticket.params), (format!("schedule:{schedule}"), Plan::text().params));
    let after = read(&stage, schedule).await;
    assert_eq!(after.last_ticket_id, Some(ticket.id));
    assert!(after.next_at.is_some_and(|next_at| next_at > ticket.created_at));
    let script = worker::Script::of(id);
    until("the ticket to be worked on", async || script.looks_at(ticket.id) == 1).await;
}

#[tokio::test]
async fn missed_runs_are_dropped_or_made_up_for_as_the_schedule_says() {
    let (stage, directory) = open(quick()).await;
    let (skipping, all) = (stage.project().await, stage.project().await);
    let skipped = schedule(&stage, skipping, Plan { missed: MissedRuns::Skip, ..Plan::text() }).await;
    schedule(&stage, all, Plan { cron: Some("* * * * *"), missed: MissedRuns::All, ..Plan::text() }).await;
    directory.run_schedules().await.unwrap();
    assert!(tickets(&stage, skipping).await.is_empty());
    let after = read(&stage, skipped).await;
    assert_eq!((after.last_at, after.next_at > Some(stage.world.store.now())), (None, true));
    assert!(tickets(&stage, all).await.len() >= 11, "one for each minute");
}

#[tokio::test]
async fn a_schedule_that_cannot_run_is_switched_off_and_keeps_no_other() {
    let (stage, directory) = open(quick()).await;
    let id = stage.project().await;
    let call = json!({ "action": "instant_call", "lead_id": TicketId::new() });
    let mut broken = Vec::new();
    for plan in [
        Plan { cron: Some("at noon"), ..Plan::text() },
        Plan { task: "brew_coffee", ..Plan::text() },
        Plan { task: "health_check", params: json!({}), ..Plan::text() },
        Plan { params: call, ..Plan::text() },
    ] {
        broken.push(schedule(&stage, id, plan).await);
    }
    let fine = schedule(&stage, id, Plan::text()).await;
    assert_eq!(directory.run_schedules().await.unwrap(), 1);
    for schedule in broken {
        assert_eq!(read(&stage, schedule).await.next_at, None);
    }
    assert!(read(&stage, fine).await.next_at.is_some());
}

#[tokio::test]
async fn a_call_of_the_provider_that_no_row_asked_for_is_found() {
    let (stage, directory) = open(quick()).await;
    let now = stage.world.store.now();
    let call = |sid: &str, minutes| PlacedCall {
        sid: sid.into(),
        from: "+6495550100".into(),
        is_outbound_api: true,
        seconds: 12,
        ended_at: Some(now - TimeDelta::minutes(minutes)),
    };
    assert!(directory.reconcile().await.unwrap().unknown.is_empty());
    stage.outside.calls.lock().unwrap().extend([call("CA1", 10), call("CA2", 0)]);
    let found = directory.reconcile().await.unwrap();
    assert_eq!((found.unknown, found.unbilled), (vec!["CA1".to_owned()], 0), "the other may still be on its way");
}
