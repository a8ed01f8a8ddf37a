//! Tickets: made with their first journal entry, listed, asked to end, counted when they crash.

use anyhow::Result;
use apex_storage::model::{ProjectId, TicketId, TicketState};
use apex_storage::{Journal, NewTicket, Outcome, StorageError, Ticket, TicketFilter};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::tenants::{TwoTenants, create_ticket};

conformance! {
    a_ticket_is_made_with_its_first_entry,
    a_ticket_needs_a_project_of_its_own_tenant,
    tickets_are_paged_newest_first_by_project_and_state,
    an_end_is_asked_for_once_and_only_while_there_is_one,
    a_ticket_that_is_asked_to_end_is_due_at_once_whatever_its_actor_writes,
    unfinished_tickets_come_longest_due_first,
    crashes_are_counted_until_the_ticket_is_set_aside,
    another_tenant_neither_sees_nor_changes_a_ticket,
}

async fn a_ticket_is_made_with_its_first_entry(bed: TwoTenants) -> Result<()> {
    let params = json!({ "query": "größe", "n": u64::MAX });
    let id = TicketId::new();
    let new = NewTicket {
        id,
        project_id: bed.a.project,
        task: "sniper",
        actor: "sniper",
        lead_id: None,
        params: &params,
        created_by: "user:1",
        deadline_at: Some(bed.store.now() + chrono::TimeDelta::hours(1)),
    };
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.create_ticket(&new).await?;
    tx.commit().await?;

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let now = bed.store.now();
    let ticket = tx.ticket(id).await?.expect("there");
    assert_eq!((ticket.id, ticket.org_id, ticket.project_id), (id, bed.a.org, bed.a.project));
    assert_eq!(
        (ticket.task.as_str(), ticket.actor.as_str(), ticket.created_by.as_str()),
        ("sniper", "sniper", "user:1")
    );
    assert_eq!((ticket.state, ticket.seq, ticket.due_at), (TicketState::Accepted, 1, Some(now)));
    assert_eq!((ticket.lead_id, ticket.cancel_requested_at, ticket.in_hand, ticket.crashes), (None, None, None, 0));
    assert_eq!((ticket.deadline_at, ticket.attempt, ticket.wake), (new.deadline_at, 1, 0));
    assert_eq!((ticket.params, ticket.result, ticket.code), (params, None, None));
    assert_eq!((ticket.created_at, ticket.updated_at), (now, now));
    let events = tx.ticket_events(id, 0, 10).await?;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].seq, events[0].kind.as_str(), events[0].step.as_deref()), (1, "accepted", None));
    assert_eq!((&events[0].data, events[0].at), (&json!({ "task": "sniper", "lead_id": null }), now));
    Ok(())
}

async fn a_ticket_needs_a_project_of_its_own_tenant(bed: TwoTenants) -> Result<()> {
    let (params, before) = (json!({}), bed.rows_of_a().await?);
    for project_id in [bed.a.project, ProjectId::new()] {
        let new = NewTicket {
            id: TicketId::new(),
            project_id,
            task: "sniper",
            actor: "sniper",
            lead_id: None,
            params: &params,
            created_by: "user:1",
            deadline_at: None,
        };
        let mut tx = bed.store.tenant(bed.b.org).await?;
        let refused = tx.create_ticket(&new).await;
        assert!(
            matches!(refused, Err(StorageError::NoProject { project, .. }) if project == project_id),
            "{refused:?}"
        );
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

fn ids(tickets: Vec<Ticket>) -> Vec<TicketId> {
    tickets.into_iter().map(|ticket| ticket.id).collect()
}

async fn tickets_are_paged_newest_first_by_project_and_state(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let mut made = Vec::new();
    for round in 0..6 {
        bed.pass(round % 2);
        made.push(bed.work(bed.a).await?.ticket);
    }
    bed.work(bed.b).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let done = Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Completed(json!({})) };
    tx.write_journal(made[2], &done).await?;
    tx.commit().await?;
    made.reverse();

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let mut filter = TicketFilter { project_id: Some(bed.a.project), limit: 4, ..TicketFilter::default() };
    let first = tx.tickets(&filter).await?;
    filter.after = first.last().map(|ticket| (ticket.created_at, ticket.id));
    let pages = [ids(first), ids(tx.tickets(&filter).await?)].concat();
    assert_eq!(pages, made);
    let completed = TicketFilter { state: Some(TicketState::Completed), limit: 9, ..TicketFilter::default() };
    assert_eq!(ids(tx.tickets(&completed).await?), [made[3]]);
    let all = TicketFilter { limit: 99, ..TicketFilter::default() };
    assert_eq!(ids(tx.tickets(&all).await?), made, "none of B's");
    Ok(())
}

async fn an_end_is_asked_for_once_and_only_while_there_is_one(bed: TwoTenants) -> Result<()> {
    let (lease, work, asked_at) = (bed.lease(bed.a).await?, bed.work(bed.a).await?, bed.store.now());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.request_cancel(work.ticket).await?);
    assert!(!tx.request_cancel(TicketId::new()).await?);
    tx.commit().await?;
    bed.pass(3);
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(tx.request_cancel(work.ticket).await?, "asking again is no mistake");
    assert_eq!(tx.ticket(work.ticket).await?.expect("there").cancel_requested_at, Some(asked_at));
    let end = Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Cancelled(json!({})) };
    tx.write_journal(work.ticket, &end).await?;
    assert!(!tx.request_cancel(work.ticket).await?, "it is over");
    tx.commit().await?;
    Ok(())
}

async fn lay_down(bed: &TwoTenants, ticket: TicketId, until: DateTime<Utc>) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    tx.write_journal(
        ticket,
        &Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Waiting(until) },
    )
    .await?;
    Ok(tx.commit().await?)
}

async fn a_ticket_that_is_asked_to_end_is_due_at_once_whatever_its_actor_writes(bed: TwoTenants) -> Result<()> {
    let (work, far) = (bed.work(bed.a).await?, bed.store.now() + chrono::TimeDelta::hours(1));
    lay_down(&bed, work.ticket, far).await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.request_cancel(work.ticket).await?);
    tx.commit().await?;
    let due_at = async || {
        let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
        anyhow::Ok((ticket.due_at, ticket.wake))
    };
    assert_eq!(due_at().await?, (Some(bed.store.now()), 1));
    lay_down(&bed, work.ticket, far).await?;
    assert_eq!(due_at().await?, (Some(bed.store.now()), 1), "its actor had not seen it");
    Ok(())
}

async fn unfinished_tickets_come_longest_due_first(bed: TwoTenants) -> Result<()> {
    let now = bed.store.now();
    let (late, done, early) = (bed.work(bed.a).await?, bed.work(bed.a).await?, bed.work(bed.a).await?);
    lay_down(&bed, late.ticket, now + chrono::TimeDelta::microseconds(2)).await?;
    lay_down(&bed, early.ticket, now + chrono::TimeDelta::microseconds(1)).await?;
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let end =
        Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Dead("crashed".to_owned()) };
    tx.write_journal(done.ticket, &end).await?;
    assert_eq!(tx.unfinished_tickets("call", 9).await?, [early.ticket, late.ticket]);
    assert_eq!(tx.unfinished_tickets("call", 1).await?, [early.ticket]);
    assert!(tx.unfinished_tickets("sniper", 9).await?.is_empty());
    Ok(())
}

async fn crashes_are_counted_until_the_ticket_is_set_aside(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let until = bed.store.now() + chrono::TimeDelta::minutes(1);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.write_journal(
        work.ticket,
        &Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Running(until) },
    )
    .await?;
    assert_eq!(tx.ticket(work.ticket).await?.expect("there").in_hand.as_deref(), Some(lease.node.as_str()));
    assert_eq!(tx.count_crash(work.ticket).await?, 1);
    assert_eq!(tx.ticket(work.ticket).await?.expect("there").in_hand, None);
    assert_eq!(tx.count_crash(work.ticket).await?, 2);
    tx.commit().await?;
    Ok(())
}

async fn another_tenant_neither_sees_nor_changes_a_ticket(bed: TwoTenants) -> Result<()> {
    let (work, lease_b) = (bed.work(bed.a).await?, bed.lease(bed.b).await?);
    let rows = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    assert!(tx.ticket(work.ticket).await?.is_none());
    assert!(tx.ticket_events(work.ticket, 0, 9).await?.is_empty());
    let filter = TicketFilter { project_id: Some(bed.a.project), limit: 9, ..TicketFilter::default() };
    assert!(tx.tickets(&filter).await?.is_empty());
    assert!(tx.unfinished_tickets("call", 9).await?.is_empty());
    assert!(!tx.request_cancel(work.ticket).await?);
    let end = Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Completed(json!({})) };
    assert!(matches!(tx.write_journal(work.ticket, &end).await, Err(StorageError::Stale)));
    assert!(tx.count_crash(work.ticket).await.is_err());
    tx.commit().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    let hooked = create_ticket(&mut tx, bed.b.project, work.ticket, None).await;
    assert!(hooked.is_err(), "an id is used once");
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, rows);
    Ok(())
}
