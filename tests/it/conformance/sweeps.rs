//! Sweeps: what is due is found by its owner, and by everybody when nobody living owns it.

use anyhow::Result;
use apex_storage::model::TicketId;
use apex_storage::{DueTicket, Journal, Lease, Outcome, StorageError};
use chrono::TimeDelta;
use serde_json::json;

use super::tenants::{Tenant, TwoTenants};

conformance! {
    a_due_ticket_is_found_by_its_owner_only,
    an_orphan_is_found_until_somebody_living_owns_it,
    what_is_due_longest_comes_first,
    what_is_not_due_is_not_found,
    what_was_laid_down_later_than_now_is_misdated,
}

async fn due_here(bed: &TwoTenants, node: &str) -> Result<Vec<TicketId>, StorageError> {
    Ok(ids(bed.store.system_read().await?.due_here(node, 9).await?))
}

async fn due_orphans(bed: &TwoTenants) -> Result<Vec<TicketId>, StorageError> {
    Ok(ids(bed.store.system_read().await?.due_orphans(9).await?))
}

fn ids(due: Vec<DueTicket>) -> Vec<TicketId> {
    due.into_iter().map(|due| due.id).collect()
}

async fn write(bed: &TwoTenants, lease: &Lease, ticket: TicketId, outcome: Outcome) -> Result<()> {
    let mut tx = bed.store.fenced(lease).await?;
    tx.write_journal(ticket, &Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome }).await?;
    Ok(tx.commit().await?)
}

async fn a_due_ticket_is_found_by_its_owner_only(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    let (in_a, in_b) = (bed.work(bed.a).await?, bed.work(bed.b).await?);
    assert_eq!(due_here(&bed, &lease_a.node).await?, [in_a.ticket]);
    assert_eq!(due_here(&bed, &lease_b.node).await?, [in_b.ticket]);
    assert!(due_here(&bed, "nobody:1").await?.is_empty());
    assert!(due_orphans(&bed).await?.is_empty());
    let due = bed.store.system_read().await?.due_here(&lease_a.node, 9).await?.remove(0);
    let Tenant { org, project, .. } = bed.a;
    assert_eq!(due, DueTicket { id: in_a.ticket, org_id: org, project_id: project, actor: "call".to_owned() });
    Ok(())
}

async fn an_orphan_is_found_until_somebody_living_owns_it(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    assert_eq!(due_orphans(&bed).await?, [work.ticket], "never owned");
    let lease = bed.lease(bed.a).await?;
    assert!(due_orphans(&bed).await?.is_empty());
    let mut tx = bed.store.system().await?;
    tx.release(&lease).await?;
    tx.commit().await?;
    assert_eq!(due_orphans(&bed).await?, [work.ticket], "given back");
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.system().await?;
    tx.leave_node(&lease.node).await?;
    tx.commit().await?;
    assert_eq!(due_orphans(&bed).await?, [work.ticket], "its owner is dead");
    assert!(due_here(&bed, &lease.node).await?.contains(&work.ticket), "placement still names the node");
    Ok(())
}

async fn what_is_due_longest_comes_first(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (first, second) = (bed.work(bed.a).await?, bed.work(bed.a).await?);
    write(&bed, &lease, first.ticket, Outcome::Waiting(bed.store.now() + TimeDelta::microseconds(1))).await?;
    bed.pass(1);
    assert_eq!(due_here(&bed, &lease.node).await?, [second.ticket, first.ticket]);
    let one = bed.store.system_read().await?.due_here(&lease.node, 1).await?;
    assert_eq!(ids(one), [second.ticket]);
    let mut tx = bed.store.system().await?;
    tx.leave_node(&lease.node).await?;
    tx.commit().await?;
    assert_eq!(due_orphans(&bed).await?, [second.ticket, first.ticket]);
    assert_eq!(ids(bed.store.system_read().await?.due_orphans(1).await?), [second.ticket]);
    Ok(())
}

async fn what_is_not_due_is_not_found(bed: TwoTenants) -> Result<()> {
    let (later, over) = (bed.work(bed.a).await?, bed.work(bed.a).await?);
    let lease = bed.lease(bed.a).await?;
    write(&bed, &lease, later.ticket, Outcome::Running(bed.store.now() + TimeDelta::microseconds(1))).await?;
    write(&bed, &lease, over.ticket, Outcome::Completed(json!({}))).await?;
    assert!(due_here(&bed, &lease.node).await?.is_empty());
    bed.pass(1);
    assert_eq!(due_here(&bed, &lease.node).await?, [later.ticket]);
    Ok(())
}

async fn what_was_laid_down_later_than_now_is_misdated(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (far, near, over) = (bed.work(bed.a).await?, bed.work(bed.a).await?, bed.work(bed.a).await?);
    let laid_down = bed.store.now();
    write(&bed, &lease, far.ticket, Outcome::Waiting(laid_down + TimeDelta::hours(1))).await?;
    write(&bed, &lease, near.ticket, Outcome::Waiting(laid_down + TimeDelta::microseconds(1))).await?;
    write(&bed, &lease, over.ticket, Outcome::Completed(json!({}))).await?;
    let misdated = async |limit| anyhow::Ok(ids(bed.store.system_read().await?.misdated(limit).await?));
    assert!(misdated(9).await?.is_empty(), "a long wait is no mistake");
    bed.clock.set(laid_down - TimeDelta::seconds(5));
    assert!(misdated(9).await?.is_empty(), "clocks of nodes differ by so much");
    bed.clock.set(laid_down - TimeDelta::seconds(5) - TimeDelta::microseconds(1));
    assert_eq!(misdated(9).await?, [near.ticket, far.ticket], "the clock has gone back");
    assert_eq!(misdated(1).await?, [near.ticket]);
    Ok(())
}
