//! Leads: kept as given, paged without loss, changed by version, enriched by their project's tree only.

use anyhow::Result;
use apex_storage::model::{LeadId, LeadSource, LeadStatus, ProjectId};
use apex_storage::{ContactDraft, LeadFilter, LeadPatch, NewLead, StorageError};
use serde_json::{Value, json};

use super::tenants::{TwoTenants, create_lead, phone};

conformance! {
    a_lead_comes_back_as_it_was_made,
    a_lead_needs_a_project_of_its_own_tenant,
    leads_are_paged_newest_first_without_loss,
    leads_are_counted_by_status,
    a_patch_changes_only_what_it_names,
    a_patch_needs_the_version_that_was_seen,
    a_lead_with_calls_is_not_deleted,
    a_tree_enriches_its_leads,
    a_tree_cannot_touch_another_tenants_lead,
}

fn lead(id: LeadId, project_id: ProjectId, answers: &Value) -> NewLead<'_> {
    NewLead {
        id,
        project_id,
        source: LeadSource::Import,
        name: "Zoë 'x' \u{1F525}",
        phone_raw: Some("027 555 0042"),
        phone: None,
        email: Some("zoë@exämple.com"),
        message: Some("no hot\nwater; \"drop table\""),
        answers,
    }
}

async fn a_lead_comes_back_as_it_was_made(bed: TwoTenants) -> Result<()> {
    let answers =
        json!({ "most": u64::MAX, "least": i64::MIN, "half": 0.5, "ключ": ["価値", null, true, {}], "q\"": "\u{7f}" });
    let (id, number) = (LeadId::new(), phone(42));
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.create_lead(&NewLead { phone: Some(&number), ..lead(id, bed.a.project, &answers) }).await?;
    tx.commit().await?;

    let found = bed.store.tenant_read(bed.a.org).await?.lead(id).await?.expect("its own");
    let new = lead(id, bed.a.project, &answers);
    assert_eq!((found.id, found.org_id, found.project_id), (id, bed.a.org, bed.a.project));
    assert_eq!((found.source, found.status, found.name.as_str()), (LeadSource::Import, LeadStatus::New, new.name));
    assert_eq!((found.phone_raw.as_deref(), found.phone), (new.phone_raw, Some(number)));
    assert_eq!((found.email.as_deref(), found.message.as_deref()), (new.email, new.message));
    assert_eq!((found.answers, found.raw_payload), (answers, json!({})));
    assert_eq!((found.created_at, found.updated_at, found.version), (bed.store.now(), bed.store.now(), 1));
    assert_eq!((found.contact_id, found.score, found.is_test, found.blocked), (None, None, false, None));
    assert_eq!((found.call_sid, found.call_transcription, found.call_analysis), (None, None, None));
    assert_eq!((found.call_duration, found.recording_url), (None, None));
    assert!(bed.store.tenant_read(bed.b.org).await?.lead(id).await?.is_none());
    Ok(())
}

async fn a_lead_needs_a_project_of_its_own_tenant(bed: TwoTenants) -> Result<()> {
    let (answers, before) = (json!({}), bed.rows_of_a().await?);
    for project in [bed.a.project, ProjectId::new()] {
        let mut tx = bed.store.tenant(bed.b.org).await?;
        let refused = tx.create_lead(&lead(LeadId::new(), project, &answers)).await;
        let named = matches!(refused, Err(StorageError::NoProject { org, project: asked }) if org == bed.b.org && asked == project);
        assert!(named, "{refused:?}");
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn leads_are_paged_newest_first_without_loss(bed: TwoTenants) -> Result<()> {
    let mut made = Vec::new();
    for round in 0..9 {
        bed.pass(u64::from(round % 3 == 0)); // three at each instant
        made.push(LeadId::new());
        let mut tx = bed.store.tenant(bed.a.org).await?;
        create_lead(&mut tx, bed.a.project, made[round]).await?;
        tx.commit().await?;
    }
    bed.work(bed.b).await?;
    made.reverse();

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let mut filter = LeadFilter { project_id: Some(bed.a.project), limit: 4, ..LeadFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = tx.leads(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some((last.created_at, last.id));
        seen.extend(page.into_iter().map(|lead| lead.id));
    }
    assert_eq!(seen, made);
    let everything = LeadFilter { limit: 99, ..LeadFilter::default() };
    assert_eq!(tx.leads(&everything).await?.len(), made.len(), "no lead of B's");
    drop(tx);

    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.leads(&LeadFilter { after: None, ..filter }).await?.is_empty(), "no lead of A's");
    Ok(())
}

async fn leads_are_counted_by_status(bed: TwoTenants) -> Result<()> {
    let (first, _) = (bed.work(bed.a).await?, bed.work(bed.a).await?);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    let won = LeadPatch { status: Some(LeadStatus::Won), ..LeadPatch::default() };
    assert!(tx.patch_lead(first.lead, &won, None).await?);
    assert_eq!(tx.count_leads(bed.a.project).await?, [("new".to_owned(), 1), ("won".to_owned(), 1)]);
    let filter = LeadFilter { status: Some(LeadStatus::Won), limit: 9, ..LeadFilter::default() };
    let found: Vec<_> = tx.leads(&filter).await?.into_iter().map(|lead| lead.id).collect();
    assert_eq!(found, [first.lead]);
    tx.commit().await?;
    assert!(bed.store.tenant_read(bed.b.org).await?.count_leads(bed.a.project).await?.is_empty());
    Ok(())
}

async fn a_patch_changes_only_what_it_names(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.identify_lead(work.lead, None, Some(&phone(1)), Some("premium_number")).await?;
    tx.commit().await?;

    bed.pass(1);
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.patch_lead(work.lead, &LeadPatch { score: Some(70), ..LeadPatch::default() }, None).await?);
    let lead = tx.lead(work.lead).await?.expect("there");
    assert_eq!((lead.name.as_str(), lead.score, lead.phone, lead.version), ("Ada", Some(70), Some(phone(1)), 3));
    assert_eq!(lead.blocked.as_deref(), Some("premium_number"));
    assert_eq!(lead.updated_at, bed.store.now());

    let patch = LeadPatch {
        name: Some("Grace".to_owned()),
        phone: Some(("027 555 0009".to_owned(), phone(9))),
        email: Some("grace@example.com".to_owned()),
        message: Some("tomorrow".to_owned()),
        status: Some(LeadStatus::Contacted),
        score: None,
    };
    assert!(tx.patch_lead(work.lead, &patch, None).await?);
    let lead = tx.lead(work.lead).await?.expect("there");
    assert_eq!((lead.name.as_str(), lead.status, lead.score), ("Grace", LeadStatus::Contacted, Some(70)));
    assert_eq!((lead.phone_raw.as_deref(), lead.phone), (Some("027 555 0009"), Some(phone(9))));
    assert_eq!((lead.email.as_deref(), lead.message.as_deref()), (Some("grace@example.com"), Some("tomorrow")));
    assert_eq!(lead.blocked, None, "another number is judged anew");
    Ok(())
}

async fn a_patch_needs_the_version_that_was_seen(bed: TwoTenants) -> Result<()> {
    let work = bed.work(bed.a).await?;
    let named = |name: &str| LeadPatch { name: Some(name.to_owned()), ..LeadPatch::default() };
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.patch_lead(work.lead, &named("Second"), Some(1)).await?);
    assert!(!tx.patch_lead(work.lead, &named("Late"), Some(1)).await?);
    assert!(!tx.patch_lead(LeadId::new(), &named("Nobody"), None).await?);
    tx.commit().await?;

    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.tenant(bed.b.org).await?;
    assert!(!tx.patch_lead(work.lead, &named("Stolen"), None).await?);
    assert!(!tx.patch_lead(work.lead, &named("Stolen"), Some(2)).await?);
    assert!(!tx.delete_lead(work.lead).await?);
    tx.commit().await?;
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn a_lead_with_calls_is_not_deleted(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (called, spared) = (bed.work(bed.a).await?, bed.work(bed.a).await?);
    let bridge = bed.bridged(&lease, called).await?;
    let mut tx = bed.store.fenced(&lease).await?;
    tx.close_bridge(bridge, "declined").await?;
    assert!(!tx.delete_lead(called.lead).await?, "its calls are history");
    assert!(tx.delete_lead(spared.lead).await?);
    assert!(!tx.delete_lead(spared.lead).await?);
    tx.commit().await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert!(tx.lead(called.lead).await?.is_some());
    assert!(tx.lead(spared.lead).await?.is_none());
    assert!(tx.ticket(spared.ticket).await?.is_some(), "the ticket tells what was done");
    Ok(())
}

async fn a_tree_enriches_its_leads(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    let draft = ContactDraft { name: "Ada", phone: Some(&phone(7)), email: None };
    let contact = tx.resolve_contact(&draft).await?.expect("a phone is enough");
    tx.identify_lead(work.lead, Some(contact), Some(&phone(7)), None).await?;
    tx.record_call(work.lead, LeadStatus::Contacted, Some("CA1"), None).await?;
    tx.record_call(work.lead, LeadStatus::Contacted, None, Some(61)).await?;
    tx.record_recording(work.lead, "/recordings/1").await?;
    tx.record_meaning(work.lead, Some("Hallo, grüß Gott"), None).await?;
    tx.record_meaning(work.lead, None, Some(&json!({ "urgency": "high", "n": 1 }))).await?;
    tx.commit().await?;

    let lead = bed.store.tenant_read(bed.a.org).await?.lead(work.lead).await?.expect("there");
    assert_eq!((lead.contact_id, lead.phone, lead.blocked), (Some(contact), Some(phone(7)), None));
    assert_eq!(
        (lead.status, lead.call_sid.as_deref(), lead.call_duration),
        (LeadStatus::Contacted, Some("CA1"), Some(61))
    );
    assert_eq!(lead.recording_url.as_deref(), Some("/recordings/1"));
    assert_eq!(lead.call_transcription.as_deref(), Some("Hallo, grüß Gott"));
    assert_eq!(lead.call_analysis, Some(json!({ "urgency": "high", "n": 1 })));
    assert_eq!(lead.version, 7, "every change is told to those who look at the version");

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.lead_by_recording("/recordings/1").await?.expect("it names its lead").id, work.lead);
    assert!(tx.lead_by_recording("/recordings/2").await?.is_none());
    drop(tx);
    assert!(bed.store.tenant_read(bed.b.org).await?.lead_by_recording("/recordings/1").await?.is_none());
    Ok(())
}

async fn a_tree_cannot_touch_another_tenants_lead(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    let (theirs, own) = (bed.work(bed.a).await?, bed.work(bed.b).await?);
    let mut tx = bed.store.fenced(&lease_a).await?;
    let draft = ContactDraft { name: "Ada", phone: Some(&phone(7)), email: None };
    let contact = tx.resolve_contact(&draft).await?.expect("a phone is enough");
    tx.commit().await?;

    let before = bed.rows_of_a().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    tx.identify_lead(theirs.lead, None, Some(&phone(8)), Some("stolen")).await?;
    tx.record_call(theirs.lead, LeadStatus::Won, Some("CA9"), Some(1)).await?;
    tx.record_recording(theirs.lead, "/recordings/9").await?;
    tx.record_meaning(theirs.lead, Some("stolen"), Some(&json!({}))).await?;
    tx.commit().await?;
    let mut tx = bed.store.fenced(&lease_b).await?;
    let borrowed = tx.identify_lead(own.lead, Some(contact), None, None).await;
    assert!(matches!(borrowed, Err(StorageError::Database(_))), "a contact belongs to one tenant");
    drop(tx);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
