//! Broken promises: each is seen in the rows once its bound has passed, by the house as a number, by its project by name.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use apex_storage::model::{BridgeId, EffectId, TicketId};
use apex_storage::{Bounds, BrokenPromise, Journal, JournalEntry, Lease, Outcome, UsageEntry};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::tenants::{TwoTenants, Work, call_effect, create_ticket, phone};

conformance! {
    a_house_in_order_breaks_no_promise,
    a_lead_without_an_outcome_is_told_after_its_time,
    a_ticket_that_nobody_takes_up_is_told,
    two_live_calls_of_a_bridge_are_told_while_they_are_looked_back_at,
    an_unclear_effect_is_told_after_its_time_and_a_held_one_at_once,
    a_dead_letter_is_told_until_somebody_touches_it,
    a_call_that_was_not_billed_is_told_to_its_project,
    the_longest_broken_come_first_and_not_without_end,
    another_tenant_is_told_of_no_promise,
}

const BOUNDS: Bounds = Bounds {
    outcome_within: Duration::from_mins(10),
    taken_up_within: Duration::from_mins(20),
    clear_within: Duration::from_secs(40),
    billed_within: Duration::from_secs(30),
    looked_back: Duration::from_hours(1),
};

/// The promises that are broken, by number.
async fn counted(bed: &TwoTenants) -> Result<BTreeMap<String, i64>> {
    let counts = bed.store.system_read().await?.broken_promises(&BOUNDS).await?;
    Ok(counts.into_iter().filter(|(_, count)| *count > 0).collect())
}

fn only(kind: &str, count: i64) -> BTreeMap<String, i64> {
    BTreeMap::from([(kind.to_owned(), count)])
}

async fn listed(bed: &TwoTenants) -> Result<Vec<BrokenPromise>> {
    Ok(bed.store.tenant_read(bed.a.org).await?.broken_promises_of(bed.a.project, &BOUNDS).await?)
}

fn broken(kind: &str, ref_id: Uuid, since: DateTime<Utc>) -> BrokenPromise {
    BrokenPromise { kind: kind.to_owned(), ref_id, since }
}

async fn write(
    bed: &TwoTenants,
    lease: &Lease,
    ticket: TicketId,
    entries: Vec<JournalEntry>,
    outcome: Outcome,
) -> Result<()> {
    let mut tx = bed.store.fenced(lease).await?;
    tx.write_journal(ticket, &Journal { seen: 1, wake: 0, basis: None, entries, outcome }).await?;
    Ok(tx.commit().await?)
}

/// Ends a call ticket whose call has so many minutes to bill.
async fn end(bed: &TwoTenants, lease: &Lease, ticket: TicketId, billed_minutes: &Value) -> Result<()> {
    let close = JournalEntry::step("close", json!({ "billed_minutes": billed_minutes }));
    write(bed, lease, ticket, vec![close], Outcome::Completed(json!({}))).await
}

/// A call that is on its way to a number.
async fn sending(bed: &TwoTenants, lease: &Lease, work: Work, bridge: Option<BridgeId>, last: u16) -> Result<EffectId> {
    let (key, to) = (format!("call:{last}"), phone(last));
    let call = call_effect(work.ticket, bridge, &key, &to);
    let mut tx = bed.store.fenced(lease).await?;
    assert!(tx.intend(&call).await?);
    tx.commit().await?;
    assert!(bed.store.fenced(lease).await?.mark_sending(call.id).await?);
    Ok(call.id)
}

async fn live(bed: &TwoTenants, lease: &Lease, work: Work, bridge: Option<BridgeId>, last: u16) -> Result<EffectId> {
    let id = sending(bed, lease, work, bridge, last).await?;
    let mut tx = bed.store.fenced(lease).await?;
    assert!(tx.mark_live(id, &format!("CA{last}")).await?);
    tx.commit().await?;
    Ok(id)
}

async fn a_house_in_order_breaks_no_promise(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let bridge = bed.bridged(&lease, work).await?;
    live(&bed, &lease, work, Some(bridge), 1).await?;
    let counts = bed.store.system_read().await?.broken_promises(&Bounds::default()).await?;
    let kinds =
        ["lead_without_outcome", "called_twice", "stuck_ticket", "held_effect", "unclear_effect", "dead_letter"];
    assert_eq!(counts, kinds.map(|kind| (kind.to_owned(), 0)), "kept promises are counted too");
    assert!(listed(&bed).await?.is_empty());
    let endless = Bounds { outcome_within: Duration::MAX, looked_back: Duration::MAX, ..BOUNDS };
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert!(tx.broken_promises_of(bed.a.project, &endless).await?.is_empty());
    assert!(bed.store.system_read().await?.broken_promises(&endless).await?.iter().all(|(_, count)| *count == 0));
    Ok(())
}

async fn a_lead_without_an_outcome_is_told_after_its_time(bed: TwoTenants) -> Result<()> {
    let (lease, work, since) = (bed.lease(bed.a).await?, bed.work(bed.a).await?, bed.store.now());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    create_ticket(&mut tx, bed.a.project, TicketId::new(), None).await?;
    tx.commit().await?;
    bed.pass(600);
    assert!(counted(&bed).await?.is_empty(), "it is still in time");
    bed.pass(1);
    assert_eq!(counted(&bed).await?, only("lead_without_outcome", 1), "a ticket without a lead owes none an outcome");
    assert_eq!(listed(&bed).await?, [broken("lead_without_outcome", work.ticket.0, since)]);
    end(&bed, &lease, work.ticket, &json!(0)).await?;
    assert!(counted(&bed).await?.is_empty());
    assert!(listed(&bed).await?.is_empty());
    Ok(())
}

async fn a_ticket_that_nobody_takes_up_is_told(bed: TwoTenants) -> Result<()> {
    let (lease, ticket, since) = (bed.lease(bed.a).await?, TicketId::new(), bed.store.now());
    let mut tx = bed.store.tenant(bed.a.org).await?;
    create_ticket(&mut tx, bed.a.project, ticket, None).await?;
    tx.commit().await?;
    bed.pass(1_200);
    assert!(counted(&bed).await?.is_empty());
    bed.pass(1);
    assert_eq!(counted(&bed).await?, only("stuck_ticket", 1));
    assert_eq!(listed(&bed).await?, [broken("stuck_ticket", ticket.0, since)]);
    write(&bed, &lease, ticket, Vec::new(), Outcome::Waiting(bed.store.now())).await?;
    assert!(counted(&bed).await?.is_empty(), "somebody did");
    Ok(())
}

async fn two_live_calls_of_a_bridge_are_told_while_they_are_looked_back_at(bed: TwoTenants) -> Result<()> {
    let (lease, first) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let other = bed.work(bed.a).await?;
    let (bridge, another) = (bed.bridged(&lease, first).await?, bed.bridged(&lease, other).await?);
    live(&bed, &lease, first, Some(bridge), 1).await?;
    live(&bed, &lease, other, Some(another), 2).await?;
    live(&bed, &lease, other, None, 3).await?;
    live(&bed, &lease, other, None, 4).await?;
    sending(&bed, &lease, first, Some(bridge), 5).await?;
    assert!(counted(&bed).await?.is_empty(), "one call for each bridge is live");
    bed.pass(30);
    let since = bed.store.now();
    live(&bed, &lease, first, Some(bridge), 6).await?;
    live(&bed, &lease, first, Some(bridge), 7).await?;
    assert_eq!(counted(&bed).await?, only("called_twice", 1), "however often");
    assert_eq!(listed(&bed).await?, [broken("called_twice", bridge.0, since)]);
    end(&bed, &lease, first.ticket, &json!(0)).await?;
    end(&bed, &lease, other.ticket, &json!(0)).await?;
    bed.pass(3_600);
    assert_eq!(counted(&bed).await?.get("called_twice"), Some(&1), "the second call is within the hour");
    bed.pass(1);
    assert_eq!(counted(&bed).await?.get("called_twice"), None);
    assert!(listed(&bed).await?.iter().all(|broken| broken.kind != "called_twice"));
    Ok(())
}

async fn an_unclear_effect_is_told_after_its_time_and_a_held_one_at_once(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let (first, second) = (sending(&bed, &lease, work, None, 1).await?, sending(&bed, &lease, work, None, 2).await?);
    let since = bed.store.now();
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_unknown(second).await?;
    tx.commit().await?;
    bed.pass(40);
    assert!(counted(&bed).await?.is_empty());
    bed.pass(1);
    assert_eq!(counted(&bed).await?, only("unclear_effect", 2));
    let unclear = [broken("unclear_effect", first.0, since), broken("unclear_effect", second.0, since)];
    assert_eq!(listed(&bed).await?, unclear);

    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_unknown(first).await?;
    tx.mark_held(first, "no answer").await?;
    assert!(tx.mark_live(second, "CA2").await?);
    tx.commit().await?;
    assert_eq!(counted(&bed).await?, only("held_effect", 1));
    assert_eq!(listed(&bed).await?, [broken("held_effect", first.0, bed.store.now())]);
    end(&bed, &lease, work.ticket, &json!(0)).await?;
    assert!(counted(&bed).await?.is_empty(), "nobody can release it any more");
    assert!(listed(&bed).await?.is_empty());
    Ok(())
}

async fn a_dead_letter_is_told_until_somebody_touches_it(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let since = bed.store.now();
    for round in 1..=2 {
        let work = bed.work(bed.a).await?;
        write(&bed, &lease, work.ticket, Vec::new(), Outcome::Dead("crashed".to_owned())).await?;
        let mut tx = bed.store.fenced(&lease).await?;
        let ticket = tx.ticket(work.ticket).await?.expect("there");
        tx.bury(&ticket, "crashed").await?;
        tx.commit().await?;
        assert_eq!(counted(&bed).await?, only("dead_letter", 1));
        let told = listed(&bed).await?;
        assert_eq!((told.len(), told[0].kind.as_str(), told[0].since), (1, "dead_letter", since));
        if round == 1 {
            let mut tx = bed.store.tenant(bed.a.org).await?;
            assert_eq!(tx.mark_replayed(work.ticket, "user:1").await?, 1);
            tx.commit().await?;
        } else {
            let mut tx = bed.store.system().await?;
            assert_eq!(tx.archive_dead_letters(since + chrono::TimeDelta::microseconds(1)).await?, 1);
            tx.commit().await?;
        }
        assert!(counted(&bed).await?.is_empty());
        assert!(listed(&bed).await?.is_empty());
    }
    Ok(())
}

async fn a_call_that_was_not_billed_is_told_to_its_project(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (billed, free, open) = (bed.work(bed.a).await?, bed.work(bed.a).await?, bed.work(bed.a).await?);
    let call = live(&bed, &lease, billed, None, 1).await?;
    live(&bed, &lease, free, None, 2).await?;
    live(&bed, &lease, open, None, 3).await?;
    end(&bed, &lease, billed.ticket, &json!(2)).await?;
    end(&bed, &lease, free.ticket, &json!(0)).await?;
    let since = bed.store.now();
    bed.pass(30);
    assert!(listed(&bed).await?.is_empty());
    bed.pass(1);
    assert_eq!(listed(&bed).await?, [broken("unbilled_call", call.0, since)]);
    assert!(counted(&bed).await?.is_empty(), "the house sees no ledger");
    let mut tx = bed.store.fenced(&lease).await?;
    let minutes = |key| UsageEntry { key, resource: "call", quantity_milli: 2_000, micros: 1, ref_id: None };
    assert!(tx.charge(&minutes("call:CA2")).await?);
    tx.commit().await?;
    assert_eq!(listed(&bed).await?.len(), 1, "another call's minutes");
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(tx.charge(&minutes("call:CA1")).await?);
    tx.commit().await?;
    assert!(listed(&bed).await?.is_empty());
    Ok(())
}

async fn the_longest_broken_come_first_and_not_without_end(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.tenant(bed.a.org).await?;
    for _ in 0..101 {
        create_ticket(&mut tx, bed.a.project, TicketId::new(), None).await?;
    }
    tx.commit().await?;
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    bed.pass(1_201);
    let held = sending(&bed, &lease, work, None, 1).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_unknown(held).await?;
    tx.mark_held(held, "no answer").await?;
    tx.commit().await?;
    let told = listed(&bed).await?;
    assert_eq!(told.len(), 100);
    assert!(told.iter().all(|broken| broken.ref_id != held.0), "the newest is beyond the limit");
    assert_eq!(counted(&bed).await?.get("stuck_ticket"), Some(&102));
    Ok(())
}

async fn another_tenant_is_told_of_no_promise(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let bridge = bed.bridged(&lease, work).await?;
    live(&bed, &lease, work, Some(bridge), 1).await?;
    live(&bed, &lease, work, Some(bridge), 2).await?;
    sending(&bed, &lease, work, None, 3).await?;
    bed.work(bed.b).await?;
    bed.pass(1_201);
    let before = bed.rows_of_a().await?;
    assert_eq!(listed(&bed).await?.len(), 4);
    let expected = [("called_twice", 1), ("lead_without_outcome", 2), ("stuck_ticket", 2), ("unclear_effect", 1)];
    assert_eq!(counted(&bed).await?, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.broken_promises_of(bed.a.project, &BOUNDS).await?.is_empty());
    assert_eq!(tx.broken_promises_of(bed.b.project, &BOUNDS).await?.len(), 2);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
