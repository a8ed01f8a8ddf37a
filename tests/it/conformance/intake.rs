//! Intake: a lead is one lead however often it is sent, and a bad one takes no other with it.

use std::collections::BTreeSet;

use anyhow::Result;
use apex_storage::model::{LeadSource, LeadStatus, ProjectId, TicketState};
use apex_storage::{Accepted, Intake, IntakeError, LeadFilter, LeadIntake, StorageError};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::tenants::{Tenant, TwoTenants};

conformance! {
    a_new_lead_comes_with_its_ticket_and_its_event,
    the_same_lead_again_is_the_same_ticket,
    the_same_lead_many_times_at_once_is_one_lead,
    three_hundred_leads_at_once_are_all_stored,
    a_lead_of_no_project_takes_no_other_with_it,
    whatever_a_person_types_is_stored,
    numbers_and_nothing_come_through,
    another_tenant_cannot_reach_a_lead_by_its_external_id,
    a_deleted_lead_is_not_made_again,
    what_waits_is_stored_when_the_last_holder_leaves,
}

fn lead(tenant: Tenant, external_id: &str) -> LeadIntake {
    LeadIntake {
        org: tenant.org,
        project: tenant.project,
        source: LeadSource::GoogleAds,
        external_id: external_id.to_owned(),
        name: "Ada".to_owned(),
        phone_raw: Some("027 555 0001".to_owned()),
        email: None,
        message: None,
        answers: json!({}),
        raw: json!({}),
        is_test: false,
        task: "sales_agent",
        actor: "call",
    }
}

/// An intake whose task ends with the set.
fn served(bed: &TwoTenants) -> (Intake, JoinSet<()>) {
    let (intake, task) = Intake::new(bed.store.clone());
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    (intake, tasks)
}

async fn accept(bed: &TwoTenants, lead: LeadIntake) -> Result<Accepted, IntakeError> {
    let (intake, _tasks) = served(bed);
    intake.accept(lead).await
}

async fn count(bed: &TwoTenants, tenant: Tenant) -> Result<i64> {
    let counted = bed.store.tenant_read(tenant.org).await?.count_leads(tenant.project).await?;
    Ok(counted.into_iter().map(|(_, leads)| leads).sum())
}

async fn a_new_lead_comes_with_its_ticket_and_its_event(bed: TwoTenants) -> Result<()> {
    let answers = json!({ "Wie dringend?": "sehr", "n": [1, null] });
    let raw = json!({ "user_column_data": [{ "column_id": "FULL_NAME" }] });
    let sent = LeadIntake {
        email: Some("ada@example.com".to_owned()),
        message: Some("no hot water".to_owned()),
        answers: answers.clone(),
        raw: raw.clone(),
        is_test: true,
        ..lead(bed.a, "g-1")
    };
    let accepted = accept(&bed, sent).await?;
    assert!(accepted.is_new);
    let (mut tx, now) = (bed.store.tenant_read(bed.a.org).await?, bed.store.now());
    let lead = tx.lead(accepted.lead).await?.expect("committed");
    assert_eq!((lead.org_id, lead.project_id, lead.source), (bed.a.org, bed.a.project, LeadSource::GoogleAds));
    assert_eq!(
        (lead.status, lead.name.as_str(), lead.phone_raw.as_deref()),
        (LeadStatus::New, "Ada", Some("027 555 0001"))
    );
    assert_eq!((lead.email.as_deref(), lead.message.as_deref()), (Some("ada@example.com"), Some("no hot water")));
    assert_eq!((lead.answers, lead.raw_payload, lead.is_test), (answers, raw, true));
    assert_eq!((lead.phone, lead.version, lead.created_at, lead.updated_at), (None, 1, now, now));
    let ticket = tx.ticket(accepted.ticket).await?.expect("committed");
    assert_eq!(
        (ticket.task.as_str(), ticket.actor.as_str(), ticket.state),
        ("sales_agent", "call", TicketState::Accepted)
    );
    assert_eq!((ticket.lead_id, ticket.seq, ticket.due_at), (Some(accepted.lead), 1, Some(now)));
    assert_eq!((ticket.params, ticket.created_by.as_str()), (json!({}), "webhook:google_ads"));
    let journal = tx.ticket_events(accepted.ticket, 0, 9).await?;
    assert_eq!((journal.len(), journal[0].seq, journal[0].kind.as_str()), (1, 1, "accepted"));
    assert_eq!(journal[0].data, json!({ "task": "sales_agent", "lead_id": accepted.lead }));
    let event = tx.recent_events(bed.a.project, 9).await?.remove(0);
    assert_eq!((event.kind.as_str(), event.actor.as_str()), ("lead.accepted", "webhook:google_ads"));
    assert_eq!((event.ref_id, event.correlation_id), (accepted.lead.0, accepted.ticket.0));
    assert_eq!(event.payload, json!({ "source": "google_ads" }));
    Ok(())
}

async fn the_same_lead_again_is_the_same_ticket(bed: TwoTenants) -> Result<()> {
    let first = accept(&bed, lead(bed.a, "g-1")).await?;
    let before = bed.rows_of_a().await?;
    bed.pass(60);
    let again = accept(&bed, LeadIntake { name: "Grace".to_owned(), ..lead(bed.a, "g-1") }).await?;
    assert_eq!(again, Accepted { is_new: false, ..first });
    assert_eq!(bed.rows_of_a().await?, before, "the first one counts");
    let elsewhere = accept(&bed, LeadIntake { source: LeadSource::WordPress, ..lead(bed.a, "g-1") }).await?;
    assert!(elsewhere.is_new && elsewhere.lead != first.lead, "another source has ids of its own");
    Ok(())
}

async fn the_same_lead_many_times_at_once_is_one_lead(bed: TwoTenants) -> Result<()> {
    let (one, _one) = served(&bed);
    let (two, _two) = served(&bed); // as another node would
    let sent = (0..60).map(|n| if n % 2 == 0 { &one } else { &two }.accept(lead(bed.a, &format!("g-{}", n / 20))));
    let accepted: Vec<_> = join_all(sent).await.into_iter().collect::<Result<_, _>>()?;
    for same in accepted.chunks(20) {
        assert_eq!(same.iter().filter(|accepted| accepted.is_new).count(), 1);
        assert!(same.iter().all(|accepted| (accepted.lead, accepted.ticket) == (same[0].lead, same[0].ticket)));
    }
    assert_eq!(count(&bed, bed.a).await?, 3);
    Ok(())
}

async fn three_hundred_leads_at_once_are_all_stored(bed: TwoTenants) -> Result<()> {
    let (intake, _tasks) = served(&bed);
    let sent = (0..300).map(|n| {
        let tenant = if n % 3 == 0 { bed.b } else { bed.a };
        intake.accept(LeadIntake { name: n.to_string(), ..lead(tenant, &format!("g-{n}")) })
    });
    let accepted: Vec<_> = join_all(sent).await.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(accepted.iter().map(|accepted| accepted.ticket).collect::<BTreeSet<_>>().len(), 300);
    for (n, accepted) in accepted.iter().enumerate().step_by(37) {
        let tenant = if n % 3 == 0 { bed.b } else { bed.a };
        let lead = bed.store.tenant_read(tenant.org).await?.lead(accepted.lead).await?.expect("its own");
        assert_eq!(lead.name, n.to_string(), "answers are not mixed up");
    }
    assert_eq!((count(&bed, bed.a).await?, count(&bed, bed.b).await?), (200, 100));
    Ok(())
}

async fn a_lead_of_no_project_takes_no_other_with_it(bed: TwoTenants) -> Result<()> {
    let (intake, _tasks) = served(&bed);
    let bad = Tenant { project: ProjectId::new(), ..bed.a };
    let stolen = Tenant { project: bed.b.project, ..bed.a };
    let tenants = [bed.a, bad, bed.a, stolen, bed.b];
    let sent = tenants.iter().enumerate().map(|(n, tenant)| intake.accept(lead(*tenant, &format!("g-{n}"))));
    let answers = join_all(sent).await;
    for (answer, tenant) in answers.iter().zip(tenants) {
        match answer {
            Ok(accepted) => assert!(accepted.is_new),
            Err(IntakeError::Storage(StorageError::NoProject { org, project })) => {
                assert_eq!((*org, *project), (tenant.org, tenant.project));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false, true]);
    assert_eq!((count(&bed, bed.a).await?, count(&bed, bed.b).await?), (2, 1));
    Ok(())
}

async fn whatever_a_person_types_is_stored(bed: TwoTenants) -> Result<()> {
    let typed = "Zoë 'or' \"1\" -- \\ \u{1F469}\u{200D}\u{1F527} \u{202E}ab\u{7f}\t\r\n %_$1 {} [] ?";
    let sent = LeadIntake {
        name: format!("nul\0{typed}"),
        message: Some(typed.to_owned()),
        email: Some("\0".to_owned()),
        answers: json!({ typed: typed, "nul\0key": ["nul\0value"] }),
        ..lead(bed.a, &format!("\0{typed}"))
    };
    let accepted = accept(&bed, sent.clone()).await?;
    assert!(!accept(&bed, sent).await?.is_new);
    let lead = bed.store.tenant_read(bed.a.org).await?.lead(accepted.lead).await?.expect("stored");
    assert_eq!((lead.name, lead.message.as_deref()), (format!("nul{typed}"), Some(typed)));
    assert_eq!(lead.email.as_deref(), Some(""));
    assert_eq!(lead.answers, json!({ typed: typed, "nulkey": ["nulvalue"] }), "only NUL is lost");
    Ok(())
}

async fn numbers_and_nothing_come_through(bed: TwoTenants) -> Result<()> {
    let beyond: Value =
        serde_json::from_str("[1234567890123456789012345678901234567890, 1e300, -0.1, 0.30000000000000004]")?;
    let answers = json!({ "most": u64::MAX, "least": i64::MIN, "beyond": beyond, "none": null, "deep": [[[{}]]] });
    let sent = LeadIntake { answers: answers.clone(), phone_raw: None, ..lead(bed.a, "1234567890123456789012") };
    let accepted = accept(&bed, sent.clone()).await?;
    assert!(!accept(&bed, sent).await?.is_new, "an id of digits stays text");
    let nothing = accept(&bed, LeadIntake { answers: Value::Null, raw: Value::Null, ..lead(bed.a, "") }).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let lead = tx.lead(accepted.lead).await?.expect("stored");
    assert_eq!((lead.answers, lead.phone_raw), (answers, None));
    let lead = tx.lead(nothing.lead).await?.expect("stored");
    assert_eq!((lead.answers, lead.raw_payload), (Value::Null, Value::Null));
    Ok(())
}

async fn another_tenant_cannot_reach_a_lead_by_its_external_id(bed: TwoTenants) -> Result<()> {
    let theirs = accept(&bed, lead(bed.a, "g-1")).await?;
    let before = bed.rows_of_a().await?;
    let own = accept(&bed, lead(bed.b, "g-1")).await?;
    assert!(own.is_new && own.lead != theirs.lead, "an external id is a project's own");
    let refused = accept(&bed, lead(Tenant { project: bed.a.project, ..bed.b }, "g-1")).await;
    assert!(matches!(refused, Err(IntakeError::Storage(StorageError::NoProject { .. }))), "{refused:?}");
    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    let seen = tx.leads(&LeadFilter { limit: 9, ..LeadFilter::default() }).await?;
    assert_eq!(seen.iter().map(|lead| lead.id).collect::<Vec<_>>(), [own.lead]);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn a_deleted_lead_is_not_made_again(bed: TwoTenants) -> Result<()> {
    let accepted = accept(&bed, lead(bed.a, "g-1")).await?;
    let mut tx = bed.store.tenant(bed.a.org).await?;
    assert!(tx.delete_lead(accepted.lead).await?);
    tx.commit().await?;
    assert_eq!(accept(&bed, lead(bed.a, "g-1")).await?, Accepted { is_new: false, ..accepted });
    assert_eq!(count(&bed, bed.a).await?, 0, "its key outlives it");
    Ok(())
}

async fn what_waits_is_stored_when_the_last_holder_leaves(bed: TwoTenants) -> Result<()> {
    let (intake, mut tasks) = served(&bed);
    let names = ["g-1", "g-2", "g-3"];
    let impatient = async {
        let mut sent: Vec<_> = names.iter().map(|name| Box::pin(intake.accept(lead(bed.a, name)))).collect();
        for send in &mut sent {
            assert!(futures::poll!(send).is_pending(), "it waits for its commit");
        }
    };
    impatient.await; // the callers are gone, their leads are in the queue
    drop(intake);
    assert!(tasks.join_next().await.expect("one task").is_ok(), "the task ends by itself");
    assert_eq!(count(&bed, bed.a).await?, 3);
    Ok(())
}
