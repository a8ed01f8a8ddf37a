//! Dead letters: one for each time a ticket was set aside, counted by what keeps failing, archived and forgotten in time.

use anyhow::Result;
use apex_storage::model::{DeadLetterId, ProjectId, TicketId};
use apex_storage::{DeadLetter, DeadLetterFilter, StorageError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::tenants::{Tenant, TwoTenants, Work, create_ticket};

conformance! {
    a_dead_letter_comes_back_as_it_was_written,
    dead_letters_of_a_lead_are_counted_together_and_told_from_the_third_on,
    a_ticket_without_a_lead_is_its_own_correlation,
    dead_letters_are_paged_newest_first_by_filter,
    a_replay_is_noted_once_on_every_letter_of_its_ticket,
    what_nobody_touched_is_archived_and_what_was_replayed_is_not,
    only_what_was_archived_long_ago_is_forgotten,
    a_rolled_back_burial_leaves_nothing,
    another_tenant_neither_sees_nor_changes_a_dead_letter,
}

/// Sets a ticket aside; the number of dead letters of its correlation.
async fn bury(bed: &TwoTenants, tenant: Tenant, ticket: TicketId, code: &str) -> Result<i64> {
    let lease = bed.lease(tenant).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let ticket = tx.ticket(ticket).await?.expect("there");
    let count = tx.bury(&ticket, code).await?;
    tx.commit().await?;
    Ok(count)
}

async fn buried(bed: &TwoTenants) -> Result<(Work, DeadLetterId)> {
    let work = bed.work(bed.a).await?;
    bury(bed, bed.a, work.ticket, "crashed").await?;
    Ok((work, newest(bed).await?.id))
}

async fn newest(bed: &TwoTenants) -> Result<DeadLetter> {
    Ok(list(&mut bed.store.tenant_read(bed.a.org).await?, DeadLetterFilter::default()).await?.remove(0))
}

async fn list(tx: &mut TenantTx, filter: DeadLetterFilter) -> Result<Vec<DeadLetter>, StorageError> {
    tx.dead_letters(&DeadLetterFilter { limit: 99, ..filter }).await
}

async fn ids(bed: &TwoTenants, filter: DeadLetterFilter) -> Result<Vec<DeadLetterId>> {
    let rows = list(&mut bed.store.tenant_read(bed.a.org).await?, filter).await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

async fn replay(bed: &TwoTenants, tenant: Tenant, ticket: TicketId, by: &str) -> Result<u64> {
    let mut tx = bed.store.tenant(tenant.org).await?;
    let marked = tx.mark_replayed(ticket, by).await?;
    tx.commit().await?;
    Ok(marked)
}

async fn archive(bed: &TwoTenants, untouched_since: DateTime<Utc>) -> Result<u64> {
    let mut tx = bed.store.system().await?;
    let archived = tx.archive_dead_letters(untouched_since).await?;
    tx.commit().await?;
    Ok(archived)
}

async fn forget(bed: &TwoTenants, archived_before: DateTime<Utc>) -> Result<u64> {
    let mut tx = bed.store.system().await?;
    let forgotten = tx.forget_dead_letters(archived_before).await?;
    tx.commit().await?;
    Ok(forgotten)
}

async fn a_dead_letter_comes_back_as_it_was_written(bed: TwoTenants) -> Result<()> {
    let (work, id) = buried(&bed).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let expected = DeadLetter {
        id,
        project_id: bed.a.project,
        ticket_id: work.ticket,
        correlation_id: work.lead.0,
        task: "sales_agent".to_owned(),
        code: "crashed".to_owned(),
        at: bed.store.now(),
        replayed_at: None,
        replayed_by: None,
        archived_at: None,
    };
    assert_eq!(tx.dead_letter(id).await?, Some(expected));
    assert_eq!(tx.dead_letter(DeadLetterId::new()).await?, None);
    Ok(())
}

async fn dead_letters_of_a_lead_are_counted_together_and_told_from_the_third_on(bed: TwoTenants) -> Result<()> {
    let (work, second) = (bed.work(bed.a).await?, TicketId::new());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    create_ticket(&mut tx, bed.a.project, second, Some(work.lead)).await?;
    tx.commit().await?;
    let other = bed.work(bed.a).await?;
    assert_eq!(bury(&bed, bed.a, other.ticket, "crashed").await?, 1, "another lead is counted by itself");
    assert_eq!(bury(&bed, bed.a, work.ticket, "crashed").await?, 1);
    assert_eq!(bury(&bed, bed.a, second, "crashed").await?, 2, "another ticket of the same lead");
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert!(tx.recent_events(bed.a.project, 9).await?.is_empty(), "twice is not told");
    drop(tx);
    assert_eq!(bury(&bed, bed.a, work.ticket, "crashed").await?, 3);
    assert_eq!(bury(&bed, bed.a, work.ticket, "crashed").await?, 4);
    let events = bed.store.tenant_read(bed.a.org).await?.recent_events(bed.a.project, 9).await?;
    assert_eq!(events.len(), 2);
    for (event, count) in events.iter().rev().zip([3, 4]) {
        assert_eq!((event.kind.as_str(), event.ref_id), ("dead_letter.repeated", work.ticket.0));
        assert_eq!(event.payload, json!({ "correlation_id": work.lead, "count": count }));
    }
    Ok(())
}

async fn a_ticket_without_a_lead_is_its_own_correlation(bed: TwoTenants) -> Result<()> {
    let tickets = [TicketId::new(), TicketId::new()];
    for ticket in tickets {
        let mut tx = bed.store.tenant(bed.a.org).await?;
        create_ticket(&mut tx, bed.a.project, ticket, None).await?;
        tx.commit().await?;
        assert_eq!(bury(&bed, bed.a, ticket, "crashed").await?, 1);
        assert_eq!(newest(&bed).await?.correlation_id, ticket.0);
    }
    assert_eq!(bury(&bed, bed.a, tickets[0], "crashed").await?, 2);
    Ok(())
}

async fn dead_letters_are_paged_newest_first_by_filter(bed: TwoTenants) -> Result<()> {
    let mut made = Vec::new();
    for round in 0..6 {
        bed.pass(round % 2);
        let work = bed.work(bed.a).await?;
        bury(&bed, bed.a, work.ticket, if round == 3 { "deadline_passed" } else { "crashed" }).await?;
        let mut tx = bed.store.tenant_read(bed.a.org).await?;
        let all = list(&mut tx, DeadLetterFilter::default()).await?;
        made.insert(0, all.iter().find(|row| row.ticket_id == work.ticket).map(|row| (row.id, work)).expect("there"));
    }
    let foreign = bed.work(bed.b).await?;
    bury(&bed, bed.b, foreign.ticket, "crashed").await?;
    let expected: Vec<_> = made.iter().map(|(id, _)| *id).collect();

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let mut page = DeadLetterFilter { limit: 4, ..DeadLetterFilter::default() };
    let first = tx.dead_letters(&page).await?;
    page.after = first.last().map(|row| (row.at, row.id));
    let rest = tx.dead_letters(&page).await?;
    drop(tx);
    let pages: Vec<_> = first.iter().chain(&rest).map(|row| row.id).collect();
    assert_eq!(pages, expected);

    replay(&bed, bed.a, made[5].1.ticket, "user:1").await?;
    let filter = DeadLetterFilter::default;
    let project = |project_id| DeadLetterFilter { project_id: Some(project_id), ..filter() };
    assert_eq!(ids(&bed, project(bed.a.project)).await?, expected);
    assert!(ids(&bed, project(ProjectId::new())).await?.is_empty());
    let task = |task: &str| DeadLetterFilter { task: Some(task.to_owned()), ..filter() };
    assert_eq!(ids(&bed, task("sales_agent")).await?, expected);
    assert!(ids(&bed, task("sniper")).await?.is_empty());
    let code = DeadLetterFilter { code: Some("deadline_passed".to_owned()), ..filter() };
    assert_eq!(ids(&bed, code).await?, [expected[2]]);
    assert_eq!(ids(&bed, DeadLetterFilter { replayed: Some(true), ..filter() }).await?, [expected[5]]);
    assert_eq!(ids(&bed, DeadLetterFilter { replayed: Some(false), ..filter() }).await?, expected[..5]);
    Ok(())
}

async fn a_replay_is_noted_once_on_every_letter_of_its_ticket(bed: TwoTenants) -> Result<()> {
    let (work, first) = buried(&bed).await?;
    let (other, _) = buried(&bed).await?;
    let replayed_at = bed.store.now();
    assert_eq!(replay(&bed, bed.a, work.ticket, "user:1").await?, 1);
    bed.pass(1);
    assert_eq!(replay(&bed, bed.a, work.ticket, "user:2").await?, 0, "it was noted");
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let row = tx.dead_letter(first).await?.expect("there");
    assert_eq!((row.replayed_at, row.replayed_by.as_deref()), (Some(replayed_at), Some("user:1")));
    drop(tx);
    bury(&bed, bed.a, work.ticket, "crashed").await?;
    assert_eq!(newest(&bed).await?.replayed_at, None, "a second death is a second letter");
    assert_eq!(replay(&bed, bed.a, work.ticket, "user:3").await?, 1);
    assert_eq!(replay(&bed, bed.a, other.ticket, "user:3").await?, 1, "the other one had waited untouched");
    assert_eq!(replay(&bed, bed.a, TicketId::new(), "user:3").await?, 0);
    Ok(())
}

async fn what_nobody_touched_is_archived_and_what_was_replayed_is_not(bed: TwoTenants) -> Result<()> {
    let ((_, old), (replayed, _)) = (buried(&bed).await?, buried(&bed).await?);
    replay(&bed, bed.a, replayed.ticket, "user:1").await?;
    let foreign = bed.work(bed.b).await?;
    bury(&bed, bed.b, foreign.ticket, "crashed").await?;
    let bound = bed.store.now();
    assert_eq!(archive(&bed, bound).await?, 0, "nothing is older than the bound");
    bed.pass(1);
    let (_, young) = buried(&bed).await?;
    assert_eq!(archive(&bed, bound + TimeDelta::microseconds(1)).await?, 2, "one of each tenant");
    assert_eq!(archive(&bed, bound + TimeDelta::microseconds(1)).await?, 0, "once");

    let row = bed.store.tenant_read(bed.a.org).await?.dead_letter(old).await?.expect("an archived one is still there");
    assert_eq!(row.archived_at, Some(bed.store.now()));
    assert_eq!(ids(&bed, DeadLetterFilter { archived: true, ..DeadLetterFilter::default() }).await?, [old]);
    let waiting = DeadLetterFilter { replayed: Some(false), ..DeadLetterFilter::default() };
    assert_eq!(ids(&bed, waiting).await?, [young]);
    Ok(())
}

async fn only_what_was_archived_long_ago_is_forgotten(bed: TwoTenants) -> Result<()> {
    let (work, id) = buried(&bed).await?;
    let far = bed.store.now() + TimeDelta::days(999);
    assert_eq!(forget(&bed, far).await?, 0, "what is not archived is never forgotten");
    bed.pass(1);
    let archived_at = bed.store.now();
    assert_eq!(archive(&bed, archived_at).await?, 1);
    assert_eq!(forget(&bed, archived_at).await?, 0, "not before the bound");
    assert_eq!(forget(&bed, archived_at + TimeDelta::microseconds(1)).await?, 1);
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.dead_letter(id).await?, None);
    assert!(tx.ticket(work.ticket).await?.is_some(), "its ticket stays");
    Ok(())
}

async fn a_rolled_back_burial_leaves_nothing(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let ticket = tx.ticket(work.ticket).await?.expect("there");
    for _ in 0..3 {
        tx.bury(&ticket, "crashed").await?;
    }
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn another_tenant_neither_sees_nor_changes_a_dead_letter(bed: TwoTenants) -> Result<()> {
    let (work, id) = buried(&bed).await?;
    let lease_b = bed.lease(bed.b).await?;
    let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    assert_eq!(tx.dead_letter(id).await?, None);
    assert!(list(&mut tx, DeadLetterFilter::default()).await?.is_empty());
    let of_a = DeadLetterFilter { project_id: Some(bed.a.project), ..DeadLetterFilter::default() };
    assert!(list(&mut tx, of_a).await?.is_empty());
    assert_eq!(tx.mark_replayed(work.ticket, "user:9").await?, 0);
    tx.commit().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    let hooked = tx.bury(&ticket, "crashed").await;
    assert!(matches!(hooked, Err(StorageError::Database(_))), "{hooked:?}");
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
