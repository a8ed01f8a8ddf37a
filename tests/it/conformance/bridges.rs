//! Bridges: one open for a lead, taken by one call, closed for good.

use anyhow::Result;
use apex_storage::model::{BridgeId, LeadId};
use apex_storage::{NewBridge, StorageError};

use super::tenants::{TwoTenants, Work, all_different, open_bridge, plan, until_free};

conformance! {
    a_bridge_comes_back_with_its_plan,
    a_lead_has_one_open_bridge,
    the_first_call_takes_the_bridge_for_good,
    of_two_calls_at_once_one_takes_the_bridge,
    a_closed_bridge_connects_nobody,
    a_bridge_needs_a_lead_and_a_ticket_of_its_tenant,
    another_tenant_neither_sees_nor_changes_a_bridge,
}

async fn a_bridge_comes_back_with_its_plan(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let id = bed.bridged(&lease, work).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let bridge = tx.bridge(id).await?.expect("there");
    assert_eq!((bridge.id, bridge.project_id), (id, bed.a.project));
    assert_eq!((bridge.lead_id, bridge.ticket_id, bridge.created_at), (work.lead, work.ticket, bed.store.now()));
    assert_eq!((bridge.plan, bridge.open), (plan(), true));
    assert_eq!((bridge.accepted_sid, bridge.outcome), (None, None));
    assert!(tx.bridge(BridgeId::new()).await?.is_none());
    Ok(())
}

async fn a_lead_has_one_open_bridge(bed: TwoTenants) -> Result<()> {
    let (lease, work, plan) = (bed.lease(bed.a).await?, bed.work(bed.a).await?, plan());
    let first = bed.bridged(&lease, work).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let second = NewBridge { id: BridgeId::new(), lead_id: work.lead, ticket_id: work.ticket, plan: &plan };
    assert!(!tx.open_bridge(&second).await?);
    tx.close_bridge(first, "declined").await?;
    assert!(tx.open_bridge(&second).await?);
    tx.commit().await?;
    bed.pass(1);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.close_bridge(second.id, "no_key").await?;
    let third = open_bridge(&mut tx, work).await?;
    tx.commit().await?;
    let newest = bed.store.tenant_read(bed.a.org).await?.bridge_of_ticket(work.ticket).await?.expect("three");
    assert_eq!(newest.id, third);
    Ok(())
}

async fn the_first_call_takes_the_bridge_for_good(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let id = bed.bridged(&lease, work).await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.accept_call(id, "CA1").await?);
    assert!(tx.accept_call(id, "CA1").await?, "its key press may be told twice");
    assert!(!tx.accept_call(id, "CA2").await?);
    assert!(!tx.accept_call(BridgeId::new(), "CA1").await?);
    tx.commit().await?;
    let bridge = bed.store.tenant_read(bed.a.org).await?.bridge(id).await?.expect("there");
    assert_eq!(bridge.accepted_sid.as_deref(), Some("CA1"));
    Ok(())
}

async fn press(bed: &TwoTenants, bridge: BridgeId, sid: &str) -> Result<bool> {
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let taken = tx.accept_call(bridge, sid).await?;
    tx.commit().await?;
    Ok(taken)
}

async fn of_two_calls_at_once_one_takes_the_bridge(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    for _ in 0..5 {
        let work = bed.work(bed.a).await?;
        let id = bed.bridged(&lease, work).await?;
        let (one, two) = {
            let call = async |sid: &str| until_free(async || press(&bed, id, sid).await).await;
            futures::join!(call("CA1"), call("CA2"))
        };
        assert!(all_different([one?, two?]), "one is connected, the other is not");
    }
    Ok(())
}

async fn a_closed_bridge_connects_nobody(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (pressed, unpressed) = (bed.work(bed.a).await?, bed.work(bed.a).await?);
    let (one, two) = (bed.bridged(&lease, pressed).await?, bed.bridged(&lease, unpressed).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(tx.accept_call(one, "CA1").await?);
    tx.close_bridge(one, "connected").await?;
    tx.close_bridge(two, "boss_unreached").await?;
    tx.close_bridge(two, "too late").await?;
    assert!(!tx.accept_call(one, "CA1").await?);
    assert!(!tx.accept_call(two, "CA2").await?);
    let bridge = tx.bridge(two).await?.expect("there");
    assert_eq!((bridge.open, bridge.outcome.as_deref(), bridge.accepted_sid), (false, Some("boss_unreached"), None));
    Ok(())
}

async fn a_bridge_needs_a_lead_and_a_ticket_of_its_tenant(bed: TwoTenants) -> Result<()> {
    let (lease_b, theirs, own) = (bed.lease(bed.b).await?, bed.work(bed.a).await?, bed.work(bed.b).await?);
    let (plan, before) = (plan(), bed.rows_of_a().await?);
    let mixed = [
        Work { lead: theirs.lead, ticket: own.ticket },
        Work { lead: own.lead, ticket: theirs.ticket },
        Work { lead: LeadId::new(), ticket: own.ticket },
    ];
    for work in mixed {
        let mut tx = bed.store.fenced(&lease_b).await?;
        let new = NewBridge { id: BridgeId::new(), lead_id: work.lead, ticket_id: work.ticket, plan: &plan };
        assert!(matches!(tx.open_bridge(&new).await, Err(StorageError::Database(_))));
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn another_tenant_neither_sees_nor_changes_a_bridge(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b, work) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?, bed.work(bed.a).await?);
    let id = bed.bridged(&lease_a, work).await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    assert!(tx.bridge(id).await?.is_none());
    assert!(tx.bridge_of_ticket(work.ticket).await?.is_none());
    assert!(!tx.accept_call(id, "CA9").await?);
    tx.close_bridge(id, "stolen").await?;
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
