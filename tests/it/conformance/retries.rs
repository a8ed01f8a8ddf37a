//! Retries: what failed or was set aside begins once more, by a person's word, and its journal goes on.

use anyhow::Result;
use apex_storage::model::{TicketId, TicketState};
use apex_storage::{Journal, JournalEntry, Outcome};
use serde_json::json;

use super::tenants::{Tenant, TwoTenants, Work};

conformance! {
    what_failed_or_was_set_aside_begins_once_more,
    only_what_failed_or_was_set_aside_begins_again,
    a_retried_ticket_goes_on_where_its_journal_ends,
    a_retry_marks_the_dead_letters_of_its_ticket,
    another_tenant_retries_nothing,
}

async fn ended(bed: &TwoTenants, outcome: Outcome) -> Result<Work> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.count_crash(work.ticket).await?;
    let entries = vec![JournalEntry::step("fetch", json!(1))];
    tx.write_journal(work.ticket, &Journal { seen: 1, wake: 0, basis: None, entries, outcome }).await?;
    tx.commit().await?;
    Ok(work)
}

fn dead() -> Outcome {
    Outcome::Dead("crashed".to_owned())
}

async fn reopen(bed: &TwoTenants, tenant: Tenant, ticket: TicketId) -> Result<bool> {
    let mut tx = bed.store.tenant(tenant.org).await?;
    let reopened = tx.reopen_ticket(ticket, "user:1").await?;
    tx.commit().await?;
    Ok(reopened)
}

async fn what_failed_or_was_set_aside_begins_once_more(bed: TwoTenants) -> Result<()> {
    for outcome in [dead(), Outcome::Failed("no_phone".to_owned(), json!({ "x": 1 }))] {
        let work = ended(&bed, outcome).await?;
        bed.pass(1);
        assert!(reopen(&bed, bed.a, work.ticket).await?);
        let mut tx = bed.store.tenant_read(bed.a.org).await?;
        let ticket = tx.ticket(work.ticket).await?.expect("there");
        assert_eq!((ticket.state, ticket.due_at), (TicketState::Accepted, Some(bed.store.now())));
        assert_eq!((ticket.code, ticket.result, ticket.crashes, ticket.attempt), (None, None, 0, 2));
        let events = tx.ticket_events(work.ticket, 3, 9).await?;
        assert_eq!((events.len(), events[0].seq, ticket.seq), (1, 4, 4));
        assert_eq!((events[0].kind.as_str(), events[0].step.as_deref()), ("note", Some("retried")));
        assert_eq!(events[0].data, json!({ "by": "user:1", "attempt": 2 }));
        drop(tx);
        assert!(!reopen(&bed, bed.a, work.ticket).await?, "it is under way");
    }
    Ok(())
}

async fn only_what_failed_or_was_set_aside_begins_again(bed: TwoTenants) -> Result<()> {
    let later = bed.store.now() + chrono::TimeDelta::minutes(1);
    let others = [
        Outcome::Completed(json!({})),
        Outcome::Cancelled(json!({})),
        Outcome::Waiting(later),
        Outcome::Running(later),
    ];
    for outcome in others {
        let work = ended(&bed, outcome.clone()).await?;
        let before = bed.rows_of_a().await?;
        assert!(!reopen(&bed, bed.a, work.ticket).await?, "{outcome:?}");
        assert_eq!(bed.rows_of_a().await?, before);
    }
    assert!(!reopen(&bed, bed.a, TicketId::new()).await?);
    Ok(())
}

async fn a_retried_ticket_goes_on_where_its_journal_ends(bed: TwoTenants) -> Result<()> {
    let work = ended(&bed, dead()).await?;
    assert!(reopen(&bed, bed.a, work.ticket).await?);
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    assert_eq!(tx.unfinished_tickets("call", 9).await?, [work.ticket]);
    let wake = tx.ticket(work.ticket).await?.expect("there").wake;
    let end = Journal { seen: 4, wake, basis: None, entries: Vec::new(), outcome: Outcome::Completed(json!({})) };
    assert_eq!(tx.write_journal(work.ticket, &end).await?, 5);
    tx.commit().await?;
    let events = bed.store.tenant_read(bed.a.org).await?.ticket_events(work.ticket, 0, 9).await?;
    let told: Vec<_> = events.iter().map(|event| (event.seq, event.kind.as_str())).collect();
    assert_eq!(told, [(1, "accepted"), (2, "step"), (3, "dead"), (4, "note"), (5, "completed")]);
    Ok(())
}

async fn a_retry_marks_the_dead_letters_of_its_ticket(bed: TwoTenants) -> Result<()> {
    let (work, other) = (ended(&bed, dead()).await?, ended(&bed, dead()).await?);
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    for ticket in [work.ticket, other.ticket] {
        let ticket = tx.ticket(ticket).await?.expect("there");
        tx.bury(&ticket, "crashed").await?;
    }
    tx.commit().await?;
    assert!(reopen(&bed, bed.a, work.ticket).await?);
    let filter = apex_storage::DeadLetterFilter { limit: 9, ..Default::default() };
    let letters = bed.store.tenant_read(bed.a.org).await?.dead_letters(&filter).await?;
    for letter in letters {
        let told = (letter.ticket_id == work.ticket).then_some("user:1");
        assert_eq!(letter.replayed_by.as_deref(), told);
        assert_eq!(letter.replayed_at, told.map(|_| bed.store.now()));
    }
    Ok(())
}

async fn another_tenant_retries_nothing(bed: TwoTenants) -> Result<()> {
    let work = ended(&bed, dead()).await?;
    let before = bed.rows_of_a().await?;
    assert!(!reopen(&bed, bed.b, work.ticket).await?);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
