//! Routes: a public name leads to one project, its secret is replaced by its tenant only.

use anyhow::Result;
use apex_storage::{Route, StorageError};

use super::tenants::{Tenant, TwoTenants};

conformance! {
    a_name_leads_to_one_project,
    a_taken_name_is_refused,
    a_secret_is_replaced_by_its_tenant_only,
    the_routes_of_a_project_go_together,
}

fn route(tenant: Tenant, secret_hash: Option<Vec<u8>>) -> Route {
    Route { org_id: tenant.org, project_id: tenant.project, secret_hash }
}

async fn routed(bed: &TwoTenants, tenant: Tenant, kind: &str, name: &str) -> Result<()> {
    let mut tx = bed.store.identity().await?;
    tx.add_route(kind, name, &route(tenant, Some(vec![7; 32]))).await?;
    Ok(tx.commit().await?)
}

async fn a_name_leads_to_one_project(bed: TwoTenants) -> Result<()> {
    routed(&bed, bed.a, "google", "alpha").await?;
    let mut tx = bed.store.identity().await?;
    tx.add_route("slug", "alpha", &route(bed.a, None)).await?;
    tx.commit().await?;
    let found = bed.store.route("google", "alpha").await?.expect("there");
    assert_eq!((found.org_id, found.project_id, found.secret_hash), (bed.a.org, bed.a.project, Some(vec![7; 32])));
    assert_eq!(bed.store.route("slug", "alpha").await?.expect("there").secret_hash, None);
    assert!(bed.store.route("wordpress", "alpha").await?.is_none());
    assert!(bed.store.route("slug", "ALPHA").await?.is_none());
    assert!(bed.store.route("slug", "' or true --").await?.is_none());
    Ok(())
}

async fn a_taken_name_is_refused(bed: TwoTenants) -> Result<()> {
    routed(&bed, bed.a, "slug", "alpha").await?;
    let before = bed.rows_of_a().await?;
    for tenant in [bed.a, bed.b] {
        let mut tx = bed.store.identity().await?;
        let refused = tx.add_route("slug", "alpha", &route(tenant, None)).await;
        assert!(matches!(refused, Err(StorageError::Taken("project_id"))), "{refused:?}");
        tx.commit().await?;
    }
    assert_eq!(bed.rows_of_a().await?, before);
    routed(&bed, bed.b, "google", "alpha").await?;
    Ok(())
}

async fn a_secret_is_replaced_by_its_tenant_only(bed: TwoTenants) -> Result<()> {
    routed(&bed, bed.a, "google", "alpha").await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.identity().await?;
    assert!(!tx.replace_secret(bed.b.org, "google", "alpha", &[9; 32]).await?);
    assert!(!tx.replace_secret(bed.a.org, "slug", "alpha", &[9; 32]).await?);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    let mut tx = bed.store.identity().await?;
    assert!(tx.replace_secret(bed.a.org, "google", "alpha", &[8; 32]).await?);
    tx.commit().await?;
    assert_eq!(bed.store.route("google", "alpha").await?.expect("there").secret_hash, Some(vec![8; 32]));
    Ok(())
}

async fn the_routes_of_a_project_go_together(bed: TwoTenants) -> Result<()> {
    for kind in ["slug", "google", "wordpress"] {
        routed(&bed, bed.a, kind, "alpha").await?;
    }
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.identity().await?;
    assert_eq!(tx.remove_routes(bed.b.org, bed.a.project).await?, 0, "not by another tenant");
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    let mut tx = bed.store.identity().await?;
    assert_eq!(tx.remove_routes(bed.a.org, bed.a.project).await?, 3);
    tx.commit().await?;
    assert!(bed.store.route("slug", "alpha").await?.is_none());
    routed(&bed, bed.b, "slug", "alpha").await
}
