//! Schedules: made once by name, changed by who saw them last, fired once for each time.

use anyhow::Result;
use apex_storage::model::{MissedRuns, ProjectId, ScheduleId, TicketId, TicketState};
use apex_storage::{DueSchedule, NewSchedule, NewTicket, Schedule, ScheduleFilter, StorageError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::tenants::{Tenant, TwoTenants, all_different, until_free};

conformance! {
    a_schedule_comes_back_as_it_was_made,
    a_schedule_needs_a_living_project_of_its_own_tenant,
    a_name_stands_once_in_a_project,
    schedules_are_paged_newest_first_and_listed_by_name,
    a_change_needs_the_newest_version,
    a_removed_schedule_is_gone_and_its_tickets_stay,
    a_due_time_is_fired_once,
    of_two_that_fire_at_once_one_does,
    a_time_without_tickets_is_left_out,
    a_change_that_saw_an_older_time_does_not_bring_it_back,
    a_run_that_cannot_be_written_is_not_fired,
    due_schedules_come_longest_due_first_and_only_of_living_projects,
    another_tenant_neither_sees_nor_changes_nor_fires_a_schedule,
}

fn new<'a>(bed: &TwoTenants, name: &'a str, params: &'a Value) -> NewSchedule<'a> {
    NewSchedule {
        id: ScheduleId::new(),
        project_id: bed.a.project,
        name,
        cron: "0 9 * * 1",
        timezone: Some("Pacific/Auckland"),
        task: "health_check",
        params,
        missed: MissedRuns::Once,
        next_at: Some(bed.store.now()),
        created_by: "user:1",
    }
}

/// A schedule of A that is due now.
async fn made(bed: &TwoTenants, name: &str) -> Result<Schedule> {
    let params = json!({ "größe": 1 });
    let schedule = new(bed, name, &params);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.create_schedule(&schedule).await?;
    tx.commit().await?;
    row(bed, schedule.id).await
}

async fn row(bed: &TwoTenants, id: ScheduleId) -> Result<Schedule> {
    Ok(bed.store.tenant_read(bed.a.org).await?.schedule(id).await?.expect("there"))
}

fn run(project_id: ProjectId, params: &Value) -> NewTicket<'_> {
    NewTicket {
        id: TicketId::new(),
        project_id,
        task: "health_check",
        actor: "task",
        lead_id: None,
        params,
        created_by: "schedule:1",
        deadline_at: None,
    }
}

/// Fires with one ticket; whether it did, and the ticket.
async fn fire(
    bed: &TwoTenants,
    id: ScheduleId,
    expected: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
) -> Result<(bool, TicketId)> {
    let params = json!({});
    let ticket = run(bed.a.project, &params);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let fired = tx.fire_schedule(id, expected, next, std::slice::from_ref(&ticket)).await?;
    tx.commit().await?;
    Ok((fired, ticket.id))
}

async fn change(bed: &TwoTenants, tenant: Tenant, schedule: &Schedule) -> Result<bool> {
    let mut tx = bed.store.tenant(tenant.org).await?;
    let changed = tx.update_schedule(schedule).await?;
    tx.commit().await?;
    Ok(changed)
}

async fn due(bed: &TwoTenants, limit: i64) -> Result<Vec<ScheduleId>> {
    let due = bed.store.system_read().await?.due_schedules(limit).await?;
    Ok(due.into_iter().map(|due| due.id).collect())
}

fn names(schedules: &[Schedule]) -> Vec<&str> {
    schedules.iter().map(|schedule| schedule.name.as_str()).collect()
}

async fn a_schedule_comes_back_as_it_was_made(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "wöchentlich").await?;
    let expected = Schedule {
        id: schedule.id,
        org_id: bed.a.org,
        project_id: bed.a.project,
        name: "wöchentlich".to_owned(),
        cron: "0 9 * * 1".to_owned(),
        timezone: Some("Pacific/Auckland".to_owned()),
        task: "health_check".to_owned(),
        params: json!({ "größe": 1 }),
        missed: MissedRuns::Once,
        next_at: Some(bed.store.now()),
        last_at: None,
        last_ticket_id: None,
        created_by: "user:1".to_owned(),
        version: 1,
        created_at: bed.store.now(),
        updated_at: bed.store.now(),
    };
    assert_eq!(schedule, expected);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.schedule(ScheduleId::new()).await?, None);
    let params = json!({});
    for (missed, name) in MissedRuns::ALL.iter().zip(["1", "2", "3"]) {
        let off = NewSchedule { missed: *missed, timezone: None, next_at: None, ..new(&bed, name, &params) };
        tx.create_schedule(&off).await?;
        let row = tx.schedule(off.id).await?.expect("there");
        assert_eq!((row.missed, row.timezone, row.next_at), (*missed, None, None));
    }
    Ok(())
}

async fn a_schedule_needs_a_living_project_of_its_own_tenant(bed: TwoTenants) -> Result<()> {
    made(&bed, "taken").await?;
    let (params, before) = (json!({}), bed.rows_of_a().await?);
    for project_id in [bed.a.project, ProjectId::new()] {
        for name in ["taken", "free"] {
            let mut tx = bed.store.tenant(bed.b.org).await?;
            let refused = tx.create_schedule(&NewSchedule { project_id, ..new(&bed, name, &params) }).await;
            let told = matches!(refused, Err(StorageError::NoProject { project, .. }) if project == project_id);
            assert!(told, "nobody learns a name of another tenant: {refused:?}");
        }
    }
    assert_eq!(bed.rows_of_a().await?, before);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.delete_project(bed.a.project).await?);
    let refused = tx.create_schedule(&new(&bed, "free", &params)).await;
    assert!(matches!(refused, Err(StorageError::NoProject { .. })), "{refused:?}");
    Ok(())
}

async fn a_name_stands_once_in_a_project(bed: TwoTenants) -> Result<()> {
    let first = made(&bed, "weekly").await?;
    let params = json!({});
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let refused = tx.create_schedule(&new(&bed, "weekly", &params)).await;
    assert!(matches!(refused, Err(StorageError::Taken("name"))), "{refused:?}");
    drop(tx);
    let second = made(&bed, "daily").await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let refused = tx.update_schedule(&Schedule { name: "weekly".to_owned(), ..second }).await;
    assert!(matches!(refused, Err(StorageError::Taken("name"))), "{refused:?}");
    drop(tx);
    assert!(change(&bed, bed.a, &first).await?, "its own name is no other's");
    let mut tx = bed.store.tenant(bed.b.org).await?;
    tx.create_schedule(&NewSchedule { project_id: bed.b.project, ..new(&bed, "weekly", &params) }).await?;
    tx.commit().await?;
    Ok(())
}

async fn schedules_are_paged_newest_first_and_listed_by_name(bed: TwoTenants) -> Result<()> {
    for (round, name) in ["d", "a", "c", "b", "e"].into_iter().enumerate() {
        bed.pass(u64::from(round % 2 == 0));
        made(&bed, name).await?;
    }
    let params = json!({});
    let mut tx = bed.store.tenant(bed.b.org).await?;
    tx.create_schedule(&NewSchedule { project_id: bed.b.project, ..new(&bed, "theirs", &params) }).await?;
    tx.commit().await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let mut filter = ScheduleFilter { project_id: Some(bed.a.project), limit: 2, ..ScheduleFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = tx.schedules(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some((last.created_at, last.id));
        pages.extend(page);
    }
    assert_eq!(names(&pages), ["e", "b", "c", "a", "d"]);
    let all = ScheduleFilter { limit: 99, ..ScheduleFilter::default() };
    assert_eq!(names(&tx.schedules(&all).await?), ["e", "b", "c", "a", "d"], "none of B's");
    let nowhere = ScheduleFilter { project_id: Some(ProjectId::new()), ..all };
    assert!(tx.schedules(&nowhere).await?.is_empty());
    assert_eq!(names(&tx.schedules_of_project(bed.a.project).await?), ["a", "b", "c", "d", "e"]);
    Ok(())
}

async fn a_change_needs_the_newest_version(bed: TwoTenants) -> Result<()> {
    let seen = made(&bed, "weekly").await?;
    bed.pass(1);
    let wanted = Schedule {
        name: "daily".to_owned(),
        cron: "0 9 * * *".to_owned(),
        timezone: None,
        task: "run_diagnostics".to_owned(),
        params: json!([1, null]),
        missed: MissedRuns::All,
        next_at: None,
        ..seen.clone()
    };
    assert!(change(&bed, bed.a, &wanted).await?);
    assert_eq!(row(&bed, seen.id).await?, Schedule { version: 2, updated_at: bed.store.now(), ..wanted });
    assert!(!change(&bed, bed.a, &seen).await?, "somebody else was first");
    assert!(!change(&bed, bed.a, &Schedule { version: 3, ..seen.clone() }).await?);
    assert!(!change(&bed, bed.a, &Schedule { id: ScheduleId::new(), ..seen.clone() }).await?);
    let newest = row(&bed, seen.id).await?;
    let moved = Schedule { project_id: bed.b.project, created_by: "thief".to_owned(), ..newest.clone() };
    assert!(change(&bed, bed.a, &moved).await?);
    let kept = row(&bed, seen.id).await?;
    assert_eq!((kept.project_id, kept.created_by), (newest.project_id, newest.created_by), "nobody changes these");
    Ok(())
}

async fn a_removed_schedule_is_gone_and_its_tickets_stay(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let (_, ticket) = fire(&bed, schedule.id, bed.store.now(), None).await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.delete_schedule(schedule.id).await?);
    assert!(!tx.delete_schedule(schedule.id).await?);
    assert_eq!(tx.schedule(schedule.id).await?, None);
    assert!(tx.ticket(ticket).await?.is_some());
    tx.commit().await?;
    assert!(!change(&bed, bed.a, &schedule).await?);
    assert!(!fire(&bed, schedule.id, bed.store.now(), None).await?.0);
    made(&bed, "weekly").await?;
    Ok(())
}

async fn a_due_time_is_fired_once(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let (expected, next) = (bed.store.now(), bed.store.now() + TimeDelta::days(7));
    bed.pass(3);
    let (params, tickets) = (json!({}), [TicketId::new(), TicketId::new()]);
    let runs = tickets.map(|id| NewTicket { id, ..run(bed.a.project, &params) });
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.fire_schedule(schedule.id, expected, Some(next), &runs).await?);
    tx.commit().await?;
    let fired = row(&bed, schedule.id).await?;
    assert_eq!((fired.next_at, fired.last_at, fired.last_ticket_id), (Some(next), Some(expected), Some(tickets[1])));
    assert_eq!((fired.version, fired.updated_at), (2, bed.store.now()));
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    for id in tickets {
        let ticket = tx.ticket(id).await?.expect("there");
        assert_eq!((ticket.state, ticket.seq, ticket.due_at), (TicketState::Accepted, 1, Some(bed.store.now())));
    }
    drop(tx);

    let before = bed.rows_of_a().await?;
    assert!(!fire(&bed, schedule.id, expected, Some(next)).await?.0, "it was fired");
    assert!(!fire(&bed, ScheduleId::new(), next, None).await?.0);
    assert_eq!(bed.rows_of_a().await?, before, "and made no ticket");
    assert!(fire(&bed, schedule.id, next, None).await?.0);
    assert_eq!(row(&bed, schedule.id).await?.next_at, None, "it has run for the last time");
    Ok(())
}

async fn of_two_that_fire_at_once_one_does(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let next = Some(bed.store.now() + TimeDelta::days(7));
    let attempt = || until_free(async || Ok(fire(&bed, schedule.id, bed.store.now(), next).await?.0));
    let (one, two) = futures::join!(attempt(), attempt());
    assert!(all_different([one?, two?]));
    Ok(())
}

async fn a_time_without_tickets_is_left_out(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let (first, second) = (bed.store.now(), bed.store.now() + TimeDelta::days(7));
    let (_, ticket) = fire(&bed, schedule.id, first, Some(second)).await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.fire_schedule(schedule.id, second, None, &[]).await?);
    tx.commit().await?;
    let left_out = row(&bed, schedule.id).await?;
    assert_eq!((left_out.next_at, left_out.last_at, left_out.last_ticket_id), (None, Some(first), Some(ticket)));
    Ok(())
}

async fn a_change_that_saw_an_older_time_does_not_bring_it_back(bed: TwoTenants) -> Result<()> {
    let seen = made(&bed, "weekly").await?;
    let next = bed.store.now() + TimeDelta::days(7);
    assert!(fire(&bed, seen.id, bed.store.now(), Some(next)).await?.0);
    assert!(!change(&bed, bed.a, &Schedule { name: "renamed".to_owned(), ..seen.clone() }).await?);
    assert_eq!(row(&bed, seen.id).await?.next_at, Some(next));
    Ok(())
}

async fn a_run_that_cannot_be_written_is_not_fired(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let (params, before) = (json!({}), bed.rows_of_a().await?);
    let runs = [run(bed.a.project, &params), run(bed.b.project, &params)];
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let refused = tx.fire_schedule(schedule.id, bed.store.now(), None, &runs).await;
    assert!(matches!(refused, Err(StorageError::NoProject { .. })), "{refused:?}");
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before, "it is due as before, and no ticket was made");
    Ok(())
}

async fn due_schedules_come_longest_due_first_and_only_of_living_projects(bed: TwoTenants) -> Result<()> {
    let (params, now) = (json!({}), bed.store.now());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let at = |name, next_at| NewSchedule { next_at, ..new(&bed, name, &params) };
    let late = at("late", Some(now));
    let early = at("early", Some(now - TimeDelta::seconds(1)));
    let not_yet = at("not yet", Some(now + TimeDelta::microseconds(1)));
    for schedule in [&late, &early, &not_yet, &at("off", None)] {
        tx.create_schedule(schedule).await?;
    }
    tx.commit().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    let theirs = NewSchedule { project_id: bed.b.project, next_at: Some(now - TimeDelta::days(1)), ..at("b", None) };
    tx.create_schedule(&theirs).await?;
    tx.commit().await?;
    assert_eq!(due(&bed, 9).await?, [theirs.id, early.id, late.id]);
    let first = bed.store.system_read().await?.due_schedules(1).await?;
    let (org_id, project_id) = (bed.b.org, bed.b.project);
    assert_eq!(first, [DueSchedule { id: theirs.id, org_id, project_id, next_at: now - TimeDelta::days(1) }]);

    let mut tx = bed.store.tenant(bed.b.org).await?;
    assert!(tx.delete_project(bed.b.project).await?);
    tx.commit().await?;
    assert_eq!(due(&bed, 9).await?, [early.id, late.id], "a deleted project runs nothing");
    bed.pass(1);
    assert_eq!(due(&bed, 9).await?, [early.id, late.id, not_yet.id]);
    Ok(())
}

/// What B tries with a schedule of A.
async fn tried_by_b(tx: &mut TenantTx, bed: &TwoTenants, schedule: &Schedule) -> Result<()> {
    let params = json!({});
    assert_eq!(tx.schedule(schedule.id).await?, None);
    let of_a = ScheduleFilter { project_id: Some(bed.a.project), limit: 9, ..ScheduleFilter::default() };
    assert!(tx.schedules(&of_a).await?.is_empty());
    assert!(tx.schedules(&ScheduleFilter { project_id: None, ..of_a }).await?.is_empty());
    assert!(tx.schedules_of_project(bed.a.project).await?.is_empty());
    assert!(!tx.update_schedule(schedule).await?);
    assert!(!tx.delete_schedule(schedule.id).await?);
    let runs = [run(bed.b.project, &params)];
    assert!(!tx.fire_schedule(schedule.id, bed.store.now(), None, &runs).await?);
    assert!(tx.ticket(runs[0].id).await?.is_none(), "no run without its schedule");
    Ok(())
}

async fn another_tenant_neither_sees_nor_changes_nor_fires_a_schedule(bed: TwoTenants) -> Result<()> {
    let schedule = made(&bed, "weekly").await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    tried_by_b(&mut tx, &bed, &schedule).await?;
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
