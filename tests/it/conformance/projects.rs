//! Projects: seen by their tenant, changed by version, deleted without losing a row.

use anyhow::Result;
use apex_storage::model::ProjectId;
use apex_storage::{NewProject, StorageError};
use serde_json::json;

use super::tenants::TwoTenants;

conformance! {
    a_project_is_found_by_its_tenant_only,
    projects_are_paged_newest_first,
    a_change_needs_the_version_that_was_seen,
    a_deleted_project_is_gone_but_keeps_its_rows,
    an_id_that_is_used_cannot_be_used_again,
}

async fn a_project_is_found_by_its_tenant_only(bed: TwoTenants) -> Result<()> {
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.org(), bed.a.org);
    assert_eq!(tx.now(), bed.store.now());
    let project = tx.project(bed.a.project).await?.expect("A's own");
    assert_eq!((project.id, project.org_id, project.version), (bed.a.project, bed.a.org, 1));
    assert_eq!((project.slug.as_str(), project.business_name.as_str()), ("alpha", "alpha plumbing"));
    assert_eq!((project.dna_custom, project.dna_generated), (json!({ "identity": { "name": "alpha" } }), json!({})));
    assert_eq!((project.created_at, project.updated_at), (bed.store.now(), bed.store.now()));
    assert_eq!(tx.project_by_slug("alpha").await?.expect("A's own").id, bed.a.project);
    drop(tx);

    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.project(bed.a.project).await?.is_none());
    assert!(tx.project_by_slug("alpha").await?.is_none());
    assert!(tx.project(ProjectId::new()).await?.is_none());
    let seen: Vec<_> = tx.projects(None, 10).await?.into_iter().map(|project| project.id).collect();
    assert_eq!(seen, [bed.b.project]);
    Ok(())
}

async fn projects_are_paged_newest_first(bed: TwoTenants) -> Result<()> {
    let mut made = vec![bed.a.project];
    let dna = json!({});
    for round in 0..5 {
        bed.pass(round % 2); // some are made at the same instant
        let (id, slug) = (ProjectId::new(), format!("more-{round}"));
        let mut tx = bed.store.tenant(bed.a.org).await?;
        tx.create_project(&NewProject { id, slug: &slug, business_name: "More", dna_custom: &dna }).await?;
        tx.commit().await?;
        made.push(id);
    }
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = tx.projects(after, 2).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.created_at, last.id));
        seen.extend(page.into_iter().map(|project| project.id));
    }
    made.reverse();
    assert_eq!(seen, made);
    Ok(())
}

async fn a_change_needs_the_version_that_was_seen(bed: TwoTenants) -> Result<()> {
    let dna =
        json!({ "große": "ü\u{1F6BF}", "most": u64::MAX, "least": i64::MIN, "deep": [[{ "a": null }]], "": "''\\" });
    bed.pass(5);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert_eq!(tx.update_project(bed.a.project, "Renamed", &dna, Some(1)).await?, Some(2));
    assert_eq!(tx.update_project(bed.a.project, "Too late", &json!({}), Some(1)).await?, None);
    assert_eq!(tx.update_project(bed.a.project, "Renamed again", &dna, None).await?, Some(3));
    tx.commit().await?;

    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    assert_eq!(tx.update_project(bed.a.project, "Stolen", &json!({}), None).await?, None);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);

    let project = bed.store.tenant_read(bed.a.org).await?.project(bed.a.project).await?.expect("still there");
    assert_eq!((project.business_name.as_str(), project.version, project.dna_custom), ("Renamed again", 3, dna));
    assert_eq!((project.created_at, project.updated_at), (super::databases::start(), bed.store.now()));
    Ok(())
}

async fn a_deleted_project_is_gone_but_keeps_its_rows(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    assert!(!tx.delete_project(bed.a.project).await?);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);

    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.delete_project(bed.a.project).await?);
    assert!(!tx.delete_project(bed.a.project).await?, "once");
    tx.commit().await?;

    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.project(bed.a.project).await?.is_none());
    assert!(tx.project_by_slug("alpha").await?.is_none());
    assert!(tx.projects(None, 10).await?.is_empty());
    assert_eq!(tx.update_project(bed.a.project, "Back", &json!({}), None).await?, None);
    assert!(tx.lead(work.lead).await?.is_some(), "the purge comes later");
    assert!(tx.ticket(work.ticket).await?.is_some());
    Ok(())
}

async fn an_id_that_is_used_cannot_be_used_again(bed: TwoTenants) -> Result<()> {
    let (dna, before) = (json!({}), bed.rows_of_a().await?);
    let mut tx = bed.store.tenant(bed.b.org).await?;
    let stolen = NewProject { id: bed.a.project, slug: "stolen", business_name: "Stolen", dna_custom: &dna };
    assert!(matches!(tx.create_project(&stolen).await, Err(StorageError::Database(_))));
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
