//! Parked actors: one row for each, replaced when it is parked again, gone when it is trusted.

use anyhow::Result;
use apex_storage::ParkedActor;
use chrono::TimeDelta;

use super::tenants::TwoTenants;

conformance! {
    an_actor_is_parked_once_and_trusted_again,
    another_tenant_neither_sees_nor_frees_a_parked_actor,
}

fn parked(bed: &TwoTenants, actor: &str, failures: i64) -> ParkedActor {
    ParkedActor {
        actor: actor.to_owned(),
        failures,
        reason: "no such row: 'größe'".to_owned(),
        parked_at: bed.store.now(),
        retry_at: bed.store.now() + TimeDelta::minutes(5),
    }
}

async fn an_actor_is_parked_once_and_trusted_again(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    tx.park(&parked(&bed, "sniper", 11)).await?;
    tx.park(&parked(&bed, "accountant", 11)).await?;
    tx.park(&parked(&bed, "sniper", 12)).await?;
    tx.commit().await?;
    let mut tx = bed.store.fenced(&lease).await?;
    let rows = tx.parked_actors(bed.a.project).await?;
    let told: Vec<_> = rows.iter().map(|row| (row.actor.as_str(), row.failures)).collect();
    assert_eq!(told, [("accountant", 11), ("sniper", 12)]);
    assert_eq!(rows[0].reason, "no such row: 'größe'");
    assert_eq!((rows[0].parked_at, rows[0].retry_at), (bed.store.now(), bed.store.now() + TimeDelta::minutes(5)));
    tx.unpark("sniper").await?;
    tx.unpark("nobody").await?;
    assert_eq!(tx.parked_actors(bed.a.project).await?.len(), 1);
    Ok(())
}

async fn another_tenant_neither_sees_nor_frees_a_parked_actor(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    let mut tx = bed.store.fenced(&lease_a).await?;
    tx.park(&parked(&bed, "sniper", 11)).await?;
    tx.commit().await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    assert!(tx.parked_actors(bed.a.project).await?.is_empty());
    tx.unpark("sniper").await?;
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
