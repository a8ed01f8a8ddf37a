//! Duties of the house: one node at a time does them, and knows whose a call is.

use anyhow::Result;
use apex_storage::ClaimedCall;
use apex_tests::wait;

use super::tenants::{ACCOUNT, Tenant, TwoTenants, phone};

conformance! {
    a_duty_is_free_again_when_its_turn_ends,
    the_first_registered_node_is_the_first,
    a_call_is_claimed_by_the_effect_that_is_bound_to_it,
}

async fn a_duty_is_free_again_when_its_turn_ends(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.system().await?;
    assert!(tx.take_turn("reconcile").await?);
    assert!(tx.take_turn("reconcile").await?, "whose turn it is may ask again");
    if bed.store.is_postgres() {
        let mut other = bed.store.system().await?;
        assert!(!other.take_turn("reconcile").await?, "somebody has it");
        assert!(other.take_turn("archive").await?, "another duty is free");
    }
    tx.commit().await?;
    let mut tx = bed.store.system().await?;
    assert!(tx.take_turn("reconcile").await?, "after a commit");
    drop(tx);
    // A transaction that is dropped is rolled back a moment later.
    let is_free = async || {
        let mut tx = bed.store.system().await.expect("a transaction");
        tx.take_turn("reconcile").await.expect("an answer")
    };
    wait::until(is_free, "the turn after a rollback").await;
    Ok(())
}

async fn the_first_registered_node_is_the_first(bed: TwoTenants) -> Result<()> {
    let is_first = async |node: &str| bed.store.system_read().await?.is_first_node(node).await;
    assert!(!is_first("b:1").await?, "no node is registered");
    bed.node("b:1").await?;
    assert!(is_first("b:1").await?);
    bed.node("a:1").await?;
    assert!(is_first("a:1").await?);
    assert!(!is_first("b:1").await?, "of two one is the first");
    let mut tx = bed.store.system().await?;
    tx.leave_node("a:1").await?;
    tx.commit().await?;
    assert!(is_first("b:1").await?);
    Ok(())
}

async fn live(bed: &TwoTenants, tenant: Tenant, last: u16, sid: &str) -> Result<ClaimedCall> {
    let (lease, work) = (bed.lease(tenant).await?, bed.work(tenant).await?);
    let id = bed.intended(&lease, work, &format!("call:{last}"), &phone(last)).await?;
    assert!(bed.store.fenced(&lease).await?.mark_sending(id).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(tx.mark_live(id, sid).await?);
    tx.commit().await?;
    Ok(ClaimedCall { sid: sid.to_owned(), org_id: tenant.org, project_id: tenant.project })
}

async fn a_call_is_claimed_by_the_effect_that_is_bound_to_it(bed: TwoTenants) -> Result<()> {
    let claimed = async |account: &str, sids: &[&str]| {
        let mut claimed = bed.store.system_read().await?.claimed_calls(account, sids).await?;
        claimed.sort_by(|one, other| one.sid.cmp(&other.sid));
        anyhow::Ok(claimed)
    };
    assert!(claimed(ACCOUNT, &["CA1"]).await?.is_empty());
    let (one, two) = (live(&bed, bed.a, 1, "CA1").await?, live(&bed, bed.b, 2, "CA2").await?);
    live(&bed, bed.a, 3, "CA3").await?;
    assert_eq!(claimed(ACCOUNT, &["CA1", "CA2", "CA9"]).await?, [one, two], "of every tenant");
    assert!(claimed("AC9", &["CA1", "CA2"]).await?.is_empty(), "another account's ids are others");
    assert!(claimed(ACCOUNT, &[]).await?.is_empty());
    Ok(())
}
