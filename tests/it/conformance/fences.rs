//! The fence: a tree writes only under the living lease, in the same transaction.

use anyhow::Result;
use apex_storage::model::ProjectId;
use apex_storage::{Claim, JournalEntry, Lease, Outcome, StorageError};
use apex_storage::{Journal, Spend, UsageEntry};
use serde_json::json;

use super::tenants::TwoTenants;

conformance! {
    a_lease_opens_a_transaction_of_its_project,
    every_lease_but_the_living_one_is_fenced,
    a_fenced_writer_writes_nothing,
    a_rolled_back_tree_transaction_leaves_nothing,
}

async fn a_lease_opens_a_transaction_of_its_project(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let tx = bed.store.fenced(&lease).await?;
    assert_eq!((tx.lease(), tx.project_id(), tx.org()), (&lease, bed.a.project, bed.a.org));
    tx.commit().await?;
    Ok(())
}

async fn every_lease_but_the_living_one_is_fenced(bed: TwoTenants) -> Result<()> {
    let living = bed.lease(bed.a).await?;
    let lease_b = bed.lease(bed.b).await?;
    let others = [
        Lease { fence: living.fence - 1, ..living.clone() },
        Lease { fence: living.fence + 1, ..living.clone() },
        Lease { node: "alpha:2".to_owned(), ..living.clone() },
        Lease { node: lease_b.node.clone(), ..living.clone() },
        Lease { org: bed.b.org, ..living.clone() },
        Lease { project: bed.b.project, ..living.clone() },
        Lease { project: ProjectId::new(), ..living.clone() },
    ];
    for other in others {
        let refused = bed.store.fenced(&other).await.map(|_| ());
        assert!(matches!(refused, Err(StorageError::Fenced)), "{other:?}: {refused:?}");
    }
    bed.store.fenced(&living).await?.commit().await?;
    Ok(())
}

async fn a_fenced_writer_writes_nothing(bed: TwoTenants) -> Result<()> {
    let (old, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let Claim::Granted(new) = bed.claim(bed.a, &old.node).await? else { anyhow::bail!("refused") };
    let before = bed.rows_of_a().await?;
    assert!(matches!(bed.store.fenced(&old).await.map(|_| ()), Err(StorageError::Fenced)));
    assert_eq!(bed.rows_of_a().await?, before);
    let mut tx = bed.store.fenced(&new).await?;
    let journal =
        Journal { wake: 0, basis: None, seen: 1, entries: Vec::new(), outcome: Outcome::Running(bed.store.now()) };
    assert_eq!(tx.write_journal(work.ticket, &journal).await?, 1);
    tx.commit().await?;
    Ok(())
}

async fn a_rolled_back_tree_transaction_leaves_nothing(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let entries = vec![JournalEntry::stage("lost", json!({}))];
    tx.write_journal(
        work.ticket,
        &Journal { wake: 0, basis: None, seen: 1, entries, outcome: Outcome::Running(bed.store.now()) },
    )
    .await?;
    let entry = UsageEntry { key: "lost", resource: "call", quantity_milli: 1, micros: 1, ref_id: None };
    assert!(tx.charge(&entry).await?);
    let own = tx.spend(bed.a.project, bed.store.now()).await?;
    assert_eq!(own, [Spend { resource: "call".to_owned(), quantity_milli: 1, micros: 1 }], "it sees its own writes");
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
