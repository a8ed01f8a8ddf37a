//! Nodes and who owns which project.

use std::time::Duration;

use anyhow::Result;
use apex_storage::model::ProjectId;
use apex_storage::{Claim, Lease, Node, NodeBeat, StorageError};

use super::tenants::{TwoTenants, until_free};

conformance! {
    a_claim_is_granted_and_raises_the_fence_each_time,
    a_living_owner_keeps_its_project,
    of_two_claims_at_once_one_is_granted,
    a_released_project_may_be_claimed_by_another,
    an_outdated_lease_releases_nothing,
    a_draining_node_keeps_what_it_has_and_gets_nothing,
    a_node_that_left_or_never_was_gets_nothing,
    a_node_that_stopped_beating_is_buried,
    a_new_incarnation_replaces_the_earlier_ones_of_its_directory_only,
    another_tenant_cannot_claim_a_project,
    a_claim_that_was_rolled_back_leaves_nothing,
}

async fn granted(bed: &TwoTenants, node: &str) -> Result<Lease> {
    match bed.claim(bed.a, node).await? {
        Claim::Granted(lease) => Ok(lease),
        other => anyhow::bail!("{node}: {other:?}"),
    }
}

async fn holds(bed: &TwoTenants, lease: &Lease) -> Result<bool> {
    match bed.store.fenced(lease).await {
        Ok(tx) => tx.commit().await.map(|()| true).map_err(Into::into),
        Err(StorageError::Fenced) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn leave(bed: &TwoTenants, node: &str) -> Result<()> {
    let mut tx = bed.store.system().await?;
    tx.leave_node(node).await?;
    Ok(tx.commit().await?)
}

async fn a_claim_is_granted_and_raises_the_fence_each_time(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    let first = granted(&bed, "one:1").await?;
    let expected = Lease { org: bed.a.org, project: bed.a.project, node: "one:1".to_owned(), fence: 1 };
    assert_eq!(first, expected);
    assert_eq!(first.key(), format!("project:{}", bed.a.project));
    let second = granted(&bed, "one:1").await?;
    assert_eq!(second.fence, 2, "a tree that crashed is followed by another on the same node");
    assert!(!holds(&bed, &first).await?);
    assert!(holds(&bed, &second).await?);
    Ok(())
}

async fn a_living_owner_keeps_its_project(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    bed.node("two:1").await?;
    let lease = granted(&bed, "one:1").await?;
    assert_eq!(bed.claim(bed.a, "two:1").await?, Claim::Elsewhere("http://one:1".to_owned()));
    assert!(holds(&bed, &lease).await?, "asking does not fence the owner");
    Ok(())
}

async fn of_two_claims_at_once_one_is_granted(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    bed.node("two:1").await?;
    for _ in 0..10 {
        let (one, two) = {
            let claim = async |node: &str| until_free(async || bed.claim(bed.a, node).await).await;
            futures::join!(claim("one:1"), claim("two:1"))
        };
        let lease = match (one?, two?) {
            (Claim::Granted(lease), Claim::Elsewhere(at)) | (Claim::Elsewhere(at), Claim::Granted(lease)) => {
                assert_eq!(at, format!("http://{}", lease.node));
                lease
            }
            both => anyhow::bail!("{both:?}"),
        };
        let mut tx = bed.store.system().await?;
        tx.release(&lease).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn a_released_project_may_be_claimed_by_another(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    bed.node("two:1").await?;
    let first = granted(&bed, "one:1").await?;
    let mut tx = bed.store.system().await?;
    tx.release(&first).await?;
    tx.commit().await?;
    assert!(!holds(&bed, &first).await?);
    let second = granted(&bed, "two:1").await?;
    assert!(second.fence > first.fence);
    assert!(holds(&bed, &second).await?);
    Ok(())
}

async fn an_outdated_lease_releases_nothing(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    let (old, new) = (granted(&bed, "one:1").await?, granted(&bed, "one:1").await?);
    let mut tx = bed.store.system().await?;
    tx.release(&old).await?;
    tx.release(&Lease { node: "two:1".to_owned(), ..new.clone() }).await?;
    tx.commit().await?;
    assert!(holds(&bed, &new).await?);
    Ok(())
}

async fn a_draining_node_keeps_what_it_has_and_gets_nothing(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    let lease = granted(&bed, "one:1").await?;
    let mut tx = bed.store.system().await?;
    tx.drain_node("one:1").await?;
    tx.commit().await?;
    assert!(holds(&bed, &lease).await?, "it finishes what it has in hand");
    assert_eq!(bed.claim(bed.a, "one:1").await?, Claim::Refused);
    assert_eq!(bed.claim(bed.b, "one:1").await?, Claim::Refused);
    Ok(())
}

async fn a_node_that_left_or_never_was_gets_nothing(bed: TwoTenants) -> Result<()> {
    assert_eq!(bed.claim(bed.a, "never:1").await?, Claim::Refused);
    bed.node("one:1").await?;
    bed.node("two:1").await?;
    let lease = granted(&bed, "one:1").await?;
    leave(&bed, "one:1").await?;
    assert!(!holds(&bed, &lease).await?, "its leases end with it");
    assert_eq!(bed.claim(bed.a, "one:1").await?, Claim::Refused);
    assert!(granted(&bed, "two:1").await?.fence > lease.fence);
    Ok(())
}

/// A node on Postgres lives by its beats; one on a file holds the file's directory and lives until it is replaced.
async fn a_node_that_stopped_beating_is_buried(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    bed.node("two:1").await?;
    let lease = granted(&bed, "one:1").await?;
    let dies = bed.store.is_postgres();
    let mut tx = bed.store.system().await?;
    assert_eq!(tx.bury_nodes().await?, 0, "both live");
    assert_eq!(tx.beat("two:1", Duration::from_mins(1)).await?, NodeBeat::Alive);
    assert_eq!(tx.beat("one:1", Duration::ZERO).await?, NodeBeat::Alive);
    assert_eq!(tx.beat("never:1", Duration::from_mins(1)).await?, NodeBeat::Dead);
    tx.commit().await?;
    let mut tx = bed.store.system().await?;
    assert_eq!(tx.bury_nodes().await?, u64::from(dies));
    let beat = if dies { NodeBeat::Dead } else { NodeBeat::Alive };
    assert_eq!(tx.beat("one:1", Duration::from_mins(1)).await?, beat, "the dead do not come back by beating");
    tx.commit().await?;
    assert_eq!(holds(&bed, &lease).await?, !dies);
    assert_eq!(matches!(bed.claim(bed.a, "two:1").await?, Claim::Granted(_)), dies);
    Ok(())
}

async fn a_new_incarnation_replaces_the_earlier_ones_of_its_directory_only(bed: TwoTenants) -> Result<()> {
    for node in ["d_r:1", "dxr:1", "D_R:1", "d_r2:1"] {
        bed.node(node).await?;
    }
    let lease = granted(&bed, "d_r:1").await?;
    let successor = bed.node("d_r:2").await?;
    assert!(successor.outlived(&lease.node));
    assert!(!successor.outlived(&successor.id) && !successor.outlived("dxr:1"));
    assert_eq!(Node::installation(&successor.id), "d_r");
    assert!(!holds(&bed, &lease).await?);
    let mut tx = bed.store.system().await?;
    for living in ["dxr:1", "D_R:1", "d_r2:1", "d_r:2"] {
        assert_eq!(tx.beat(living, Duration::from_mins(1)).await?, NodeBeat::Alive, "{living}");
    }
    assert_eq!(tx.beat("d_r:1", Duration::from_mins(1)).await?, NodeBeat::Dead);
    Ok(())
}

async fn another_tenant_cannot_claim_a_project(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    let mut tx = bed.store.system().await?;
    assert_eq!(tx.claim(bed.b.org, bed.a.project, "one:1").await?, Claim::Refused, "before its owner came");
    assert_eq!(tx.claim(bed.a.org, ProjectId::new(), "one:1").await?, Claim::Refused);
    tx.commit().await?;
    let lease = granted(&bed, "one:1").await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.system().await?;
    assert_eq!(tx.claim(bed.b.org, bed.a.project, "one:1").await?, Claim::Refused, "nor after");
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    assert!(holds(&bed, &lease).await?);
    Ok(())
}

async fn a_claim_that_was_rolled_back_leaves_nothing(bed: TwoTenants) -> Result<()> {
    bed.node("one:1").await?;
    let lease = granted(&bed, "one:1").await?;
    let mut tx = bed.store.system().await?;
    let Claim::Granted(lost) = tx.claim(bed.a.org, bed.a.project, "one:1").await? else { anyhow::bail!("refused") };
    tx.leave_node("one:1").await?;
    drop(tx);
    assert!(!holds(&bed, &lost).await?);
    assert!(holds(&bed, &lease).await?);
    Ok(())
}
