//! The usage ledger: each use once, sums by resource and by time, per tenant.

use anyhow::Result;
use apex_storage::{Lease, Spend, UsageEntry};
use chrono::TimeDelta;
use uuid::Uuid;

use super::tenants::TwoTenants;

conformance! {
    the_same_use_is_charged_once,
    spend_is_summed_by_resource_since_a_time,
    a_ticket_costs_what_its_uses_cost,
    another_tenant_sees_no_spend,
}

async fn charge(bed: &TwoTenants, lease: &Lease, entry: UsageEntry<'_>) -> Result<bool> {
    let mut tx = bed.store.fenced(lease).await?;
    let new = tx.charge(&entry).await?;
    tx.commit().await?;
    Ok(new)
}

fn call(key: &str, micros: i64, ref_id: Option<Uuid>) -> UsageEntry<'_> {
    UsageEntry { key, resource: "call", quantity_milli: 1_000, micros, ref_id }
}

async fn the_same_use_is_charged_once(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    assert!(charge(&bed, &lease_a, call("call:1", 14_000, None)).await?);
    assert!(!charge(&bed, &lease_a, call("call:1", 99_000, None)).await?, "the first charge counts");
    assert!(charge(&bed, &lease_b, call("call:1", 1, None)).await?, "keys are a project's own");
    let spend = bed.store.tenant_read(bed.a.org).await?.spend(bed.a.project, bed.store.now()).await?;
    assert_eq!(spend, [Spend { resource: "call".to_owned(), quantity_milli: 1_000, micros: 14_000 }]);
    Ok(())
}

async fn spend_is_summed_by_resource_since_a_time(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    charge(&bed, &lease, call("last month", 500, None)).await?;
    bed.pass(10);
    let month = bed.store.now();
    charge(&bed, &lease, call("1", i64::MAX - 7, None)).await?;
    charge(&bed, &lease, call("2", 7, None)).await?;
    charge(&bed, &lease, UsageEntry { resource: "a model", ..call("3", -5, None) }).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let spend =
        |resource: &str, quantity_milli, micros| Spend { resource: resource.to_owned(), quantity_milli, micros };
    let expected = [spend("a model", 1_000, -5), spend("call", 2_000, i64::MAX)];
    assert_eq!(tx.spend(bed.a.project, month).await?, expected);
    assert!(tx.spend(bed.a.project, month + TimeDelta::microseconds(1)).await?.is_empty());
    Ok(())
}

async fn a_ticket_costs_what_its_uses_cost(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    charge(&bed, &lease, call("1", 14_000, Some(work.ticket.0))).await?;
    charge(&bed, &lease, call("2", 1_000, Some(work.ticket.0))).await?;
    charge(&bed, &lease, call("3", 9, None)).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.cost_of(bed.a.project, work.ticket.0).await?, 15_000);
    assert_eq!(tx.cost_of(bed.a.project, Uuid::nil()).await?, 0);
    Ok(())
}

async fn another_tenant_sees_no_spend(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    charge(&bed, &lease, call("1", 14_000, Some(Uuid::nil()))).await?;
    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.spend(bed.a.project, bed.store.now()).await?.is_empty());
    assert_eq!(tx.cost_of(bed.a.project, Uuid::nil()).await?, 0);
    Ok(())
}
