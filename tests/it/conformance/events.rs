//! Business events: appended with the fact, numbered after commit without a gap.

use std::time::Duration;

use anyhow::Result;
use apex_storage::{EventRow, FencedTx, Lease, NewEvent};
use serde_json::json;
use uuid::Uuid;

use super::tenants::{Tenant, TwoTenants};

conformance! {
    an_event_comes_back_as_it_was_told,
    the_newest_events_come_first,
    positions_follow_commit_order_without_gaps,
    what_was_rolled_back_has_no_position,
    another_tenant_sees_no_event,
}

async fn emit(tx: &mut FencedTx, kind: &str) -> Result<()> {
    let event = NewEvent {
        kind,
        ref_id: Uuid::nil(),
        correlation_id: Uuid::max(),
        actor: "conformance",
        payload: json!({ "ключ": [1, null], "n": u64::MAX }),
    };
    Ok(tx.emit(&event).await?)
}

async fn emitted(bed: &TwoTenants, lease: &Lease, kinds: &[&str]) -> Result<()> {
    let mut tx = bed.store.fenced(lease).await?;
    for kind in kinds {
        emit(&mut tx, kind).await?;
    }
    Ok(tx.commit().await?)
}

async fn number(bed: &TwoTenants, limit: i64) -> Result<u64> {
    let mut tx = bed.store.system().await?;
    let waiting = tx.has_new_events().await?;
    let numbered = tx.number_events(limit).await?;
    assert_eq!(numbered > 0, waiting);
    tx.commit().await?;
    Ok(numbered)
}

async fn events(bed: &TwoTenants, tenant: Tenant) -> Result<Vec<EventRow>> {
    Ok(bed.store.tenant_read(tenant.org).await?.recent_events(tenant.project, 99).await?)
}

async fn an_event_comes_back_as_it_was_told(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    emitted(&bed, &lease, &["lead.call.connected"]).await?;
    let event = events(&bed, bed.a).await?.remove(0);
    assert_eq!((event.kind.as_str(), event.actor.as_str()), ("lead.call.connected", "conformance"));
    assert_eq!((event.project_id, event.ref_id, event.correlation_id), (bed.a.project, Uuid::nil(), Uuid::max()));
    assert_eq!((event.payload, event.at), (json!({ "ключ": [1, null], "n": u64::MAX }), bed.store.now()));
    assert_eq!(event.position, None, "not before it is committed and numbered");
    Ok(())
}

async fn the_newest_events_come_first(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    emitted(&bed, &lease, &["one", "two"]).await?;
    bed.pass(1);
    emitted(&bed, &lease, &["three"]).await?;
    let kinds: Vec<_> = events(&bed, bed.a).await?.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["three", "two", "one"]);
    assert_eq!(bed.store.tenant_read(bed.a.org).await?.recent_events(bed.a.project, 1).await?[0].kind, "three");
    Ok(())
}

async fn positions_follow_commit_order_without_gaps(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    assert_eq!(number(&bed, 9).await?, 0);
    emitted(&bed, &lease_a, &["1", "2"]).await?;
    bed.pass(60);
    emitted(&bed, &lease_b, &["3"]).await?;
    assert_eq!(number(&bed, 2).await?, 2);
    assert_eq!(number(&bed, 9).await?, 1);
    bed.clock.set(super::databases::start() - Duration::from_secs(9)); // a clock that was put back
    emitted(&bed, &lease_a, &["4", "5"]).await?;
    assert_eq!(number(&bed, 9).await?, 2);
    assert_eq!(number(&bed, 9).await?, 0, "each has one place");
    let mut feed: Vec<_> = [events(&bed, bed.a).await?, events(&bed, bed.b).await?].concat();
    feed.sort_by_key(|event| event.position);
    let told: Vec<_> = feed.into_iter().map(|event| (event.position, event.kind)).collect();
    let expected: Vec<_> = (1..=5).map(|place| (Some(place), place.to_string())).collect();
    assert_eq!(told, expected);
    Ok(())
}

async fn what_was_rolled_back_has_no_position(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let mut lost = bed.store.fenced(&lease).await?;
    emit(&mut lost, "lost").await?;
    drop(lost);
    emitted(&bed, &lease, &["kept"]).await?;
    let mut undone = bed.store.system().await?;
    assert_eq!(undone.number_events(9).await?, 1);
    drop(undone);
    assert_eq!(number(&bed, 9).await?, 1);
    let told: Vec<_> = events(&bed, bed.a).await?.into_iter().map(|event| (event.kind, event.position)).collect();
    assert_eq!(told, [("kept".to_owned(), Some(1))]);
    Ok(())
}

async fn another_tenant_sees_no_event(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    emitted(&bed, &lease, &["mine"]).await?;
    assert!(bed.store.tenant_read(bed.b.org).await?.recent_events(bed.a.project, 9).await?.is_empty());
    Ok(())
}
