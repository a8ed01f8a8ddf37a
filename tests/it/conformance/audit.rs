//! The audit log: entries come back as they were told, live and die with their change, and are never touched again.

use anyhow::Result;
use apex_storage::model::{AuditId, LeadId};
use apex_storage::{ActorKind, AuditEntry, AuditFilter, AuditRow};
use chrono::TimeDelta;
use serde_json::json;

use super::tenants::{Tenant, TwoTenants, create_lead};

conformance! {
    an_entry_comes_back_as_it_was_told,
    an_entry_is_rolled_back_with_its_change,
    entries_are_paged_newest_first_by_filter,
    another_tenant_sees_no_entry,
}

fn entry(action: &'static str) -> AuditEntry<'static> {
    AuditEntry {
        actor: "somebody",
        actor_kind: ActorKind::User,
        ip: None,
        user_agent: None,
        action,
        resource_kind: "lead",
        resource_id: "1",
        before: None,
        after: None,
        trace_id: None,
    }
}

async fn tell(bed: &TwoTenants, tenant: Tenant, entry: &AuditEntry<'_>) -> Result<()> {
    let mut tx = bed.store.tenant(tenant.org).await?;
    tx.audit(entry).await?;
    Ok(tx.commit().await?)
}

async fn list(bed: &TwoTenants, tenant: Tenant, filter: AuditFilter) -> Result<Vec<AuditRow>> {
    let filter = if filter.limit == 0 { AuditFilter { limit: 99, ..filter } } else { filter };
    Ok(bed.store.tenant_read(tenant.org).await?.audit_log(&filter).await?)
}

async fn an_entry_comes_back_as_it_was_told(bed: TwoTenants) -> Result<()> {
    let (before, after) = (json!({ "version": 1 }), json!({ "version": 2, "changed": ["name"] }));
    let whole = AuditEntry {
        actor: "0198",
        actor_kind: ActorKind::ApiKey,
        ip: Some("2001:db8::1"),
        user_agent: Some("curl \"8\""),
        action: "lead.update",
        resource_kind: "lead",
        resource_id: "7",
        before: Some(&before),
        after: Some(&after),
        trace_id: Some("4bf9"),
    };
    tell(&bed, bed.a, &whole).await?;
    let row = list(&bed, bed.a, AuditFilter::default()).await?.remove(0);
    let expected = AuditRow {
        id: row.id,
        actor: "0198".into(),
        actor_kind: "api_key".into(),
        ip: Some("2001:db8::1".into()),
        user_agent: Some("curl \"8\"".into()),
        action: "lead.update".into(),
        resource_kind: "lead".into(),
        resource_id: "7".into(),
        before: Some(before),
        after: Some(after),
        trace_id: Some("4bf9".into()),
        at: bed.store.now(),
    };
    assert_eq!(row, expected);
    for kind in [ActorKind::User, ActorKind::Operator, ActorKind::System] {
        tell(&bed, bed.a, &AuditEntry { actor_kind: kind, ..entry("other") }).await?;
        let rows = list(&bed, bed.a, AuditFilter { limit: 1, ..AuditFilter::default() }).await?;
        assert_eq!(rows[0].actor_kind, kind.as_str());
        assert_eq!((&rows[0].before, &rows[0].after, &rows[0].ip, &rows[0].trace_id), (&None, &None, &None, &None));
    }
    Ok(())
}

async fn an_entry_is_rolled_back_with_its_change(bed: TwoTenants) -> Result<()> {
    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    create_lead(&mut tx, bed.a.project, LeadId::new()).await?;
    tx.audit(&entry("lead.create")).await?;
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn entries_are_paged_newest_first_by_filter(bed: TwoTenants) -> Result<()> {
    let began = bed.store.now();
    for (n, action) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        bed.pass(u64::try_from(n % 2)?);
        tell(&bed, bed.a, &entry(action)).await?;
    }
    tell(&bed, bed.a, &AuditEntry { actor: "other", resource_kind: "key", resource_id: "2", ..entry("f") }).await?;
    let actions = async |filter: AuditFilter| -> Result<String> {
        Ok(list(&bed, bed.a, filter).await?.iter().map(|row| row.action.as_str()).collect())
    };
    let all = AuditFilter::default;
    assert_eq!(actions(all()).await?, "fedcba");
    let first = list(&bed, bed.a, AuditFilter { limit: 4, ..all() }).await?;
    let after: Option<(_, AuditId)> = first.last().map(|row| (row.at, row.id));
    assert_eq!(actions(AuditFilter { after, ..all() }).await?, "ba");
    assert_eq!(actions(AuditFilter { action: Some("c".into()), ..all() }).await?, "c");
    assert_eq!(actions(AuditFilter { actor: Some("other".into()), ..all() }).await?, "f");
    assert_eq!(actions(AuditFilter { resource_kind: Some("key".into()), ..all() }).await?, "f");
    assert_eq!(actions(AuditFilter { resource_id: Some("1".into()), ..all() }).await?, "edcba");
    assert_eq!(actions(AuditFilter { since: Some(began + TimeDelta::seconds(1)), ..all() }).await?, "fedcb");
    assert_eq!(actions(AuditFilter { since: Some(began + TimeDelta::seconds(9)), ..all() }).await?, "");
    Ok(())
}

async fn another_tenant_sees_no_entry(bed: TwoTenants) -> Result<()> {
    tell(&bed, bed.a, &entry("a")).await?;
    assert!(list(&bed, bed.b, AuditFilter::default()).await?.is_empty());
    let resource_id = Some("1".to_owned());
    assert!(list(&bed, bed.b, AuditFilter { resource_id, ..AuditFilter::default() }).await?.is_empty());
    Ok(())
}

/// On Postgres the grants of the role say so; a file has no roles.
#[tokio::test]
async fn a_file_refuses_to_change_an_entry() -> Result<()> {
    let bed = TwoTenants::on_sqlite().await?;
    tell(&bed, bed.a, &entry("a")).await?;
    for change in ["update audit_log set actor = 'nobody'", "delete from audit_log"] {
        let refused = bed.place.run(change).await.expect_err(change).to_string();
        assert!(refused.contains("only appended"), "{change}: {refused}");
    }
    assert_eq!(list(&bed, bed.a, AuditFilter::default()).await?.len(), 1);
    Ok(())
}
