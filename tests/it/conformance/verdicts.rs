//! Verdicts: what a person wants done with effects that have not left, by filter, and that it reaches their tickets.

use anyhow::Result;
use apex_storage::model::{EffectId, TicketId};
use apex_storage::{
    DecidedEffect, Effect, EffectFilter, EffectVerdict, Journal, Lease, NewEffect, Outcome, StorageError,
};
use chrono::TimeDelta;
use serde_json::json;

use super::tenants::{Tenant, TwoTenants, Work, call_effect, phone};

conformance! {
    effects_are_paged_newest_first,
    each_filter_narrows_the_list,
    a_verdict_reaches_only_what_has_not_left_and_whose_ticket_is_not_over,
    a_verdict_with_a_filter_leaves_the_rest_alone,
    a_decided_ticket_is_due_at_once_whatever_its_actor_writes,
    the_last_verdict_counts,
    a_cancelled_effect_is_not_sent,
    a_held_effect_waits_for_a_verdict_of_its_own,
    tenants_with_something_that_may_still_leave_are_found,
    another_tenant_neither_sees_nor_decides_an_effect,
}

/// Everything.
fn all() -> EffectFilter {
    EffectFilter { limit: 99, ..EffectFilter::default() }
}

async fn list(bed: &TwoTenants, filter: EffectFilter) -> Result<Vec<EffectId>> {
    let effects = bed.store.tenant_read(bed.a.org).await?.effects(&filter).await?;
    Ok(effects.into_iter().map(|effect| effect.id).collect())
}

async fn row(bed: &TwoTenants, id: EffectId) -> Result<Effect> {
    Ok(bed.store.tenant_read(bed.a.org).await?.effect(id).await?.expect("there"))
}

async fn decide(
    bed: &TwoTenants,
    tenant: Tenant,
    filter: &EffectFilter,
    verdict: EffectVerdict,
) -> Result<Vec<DecidedEffect>> {
    let mut tx = bed.store.tenant(tenant.org).await?;
    let mut decided = tx.decide_effects(filter, verdict, "user:1").await?;
    tx.commit().await?;
    decided.sort_by_key(|decided| decided.id);
    Ok(decided)
}

fn ids(decided: &[DecidedEffect]) -> Vec<EffectId> {
    decided.iter().map(|decided| decided.id).collect()
}

async fn text(bed: &TwoTenants, lease: &Lease, work: Work, key: &str, last: u16) -> Result<EffectId> {
    let to = phone(last);
    let text = NewEffect { kind: "sms", body: Some("Ada"), ..call_effect(work.ticket, None, key, &to) };
    let mut tx = bed.store.fenced(lease).await?;
    assert!(tx.intend(&text).await?);
    tx.commit().await?;
    Ok(text.id)
}

async fn lay_down(bed: &TwoTenants, lease: &Lease, ticket: TicketId, wake: i64, outcome: Outcome) -> Result<()> {
    let mut tx = bed.store.fenced(lease).await?;
    tx.write_journal(ticket, &Journal { seen: 1, wake, basis: None, entries: Vec::new(), outcome }).await?;
    Ok(tx.commit().await?)
}

/// One effect in each state, in the order of [`STATES`].
async fn in_every_state(bed: &TwoTenants, lease: &Lease, work: Work) -> Result<Vec<EffectId>> {
    let mut effects = Vec::new();
    for (state, last) in STATES.iter().zip(1..) {
        let id = bed.intended(lease, work, &format!("call:{state}"), &phone(last)).await?;
        effects.push(id);
        if *state == "intended" {
            continue;
        }
        assert!(bed.store.fenced(lease).await?.mark_sending(id).await?);
        let mut tx = bed.store.fenced(lease).await?;
        match *state {
            "live" => assert!(tx.mark_live(id, "CA1").await?),
            "refused" => tx.mark_refused(id, "no").await?,
            "unknown" => tx.mark_unknown(id).await?,
            "held" => {
                tx.mark_unknown(id).await?;
                tx.mark_held(id, "no answer").await?;
            }
            _ => {}
        }
        tx.commit().await?;
        assert_eq!(row(bed, id).await?.state, *state);
    }
    Ok(effects)
}

const STATES: [&str; 6] = ["intended", "sending", "live", "refused", "unknown", "held"];

async fn effects_are_paged_newest_first(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let mut made = Vec::new();
    for round in 0..5_u16 {
        bed.pass(u64::from(round % 2));
        made.insert(0, bed.intended(&lease, work, &format!("call:{round}"), &phone(round)).await?);
    }
    let (lease_b, work_b) = (bed.lease(bed.b).await?, bed.work(bed.b).await?);
    bed.intended(&lease_b, work_b, "call:1", &phone(9)).await?;
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let mut filter = EffectFilter { limit: 2, ..EffectFilter::default() };
    let mut pages = Vec::new();
    loop {
        let page = tx.effects(&filter).await?;
        let Some(last) = page.last() else { break };
        filter.after = Some((last.created_at, last.id));
        pages.extend(page.iter().map(|effect| effect.id));
    }
    assert_eq!(pages, made, "none of B's");
    Ok(())
}

async fn each_filter_narrows_the_list(bed: TwoTenants) -> Result<()> {
    let lease = bed.lease(bed.a).await?;
    let (one, two, start) = (bed.work(bed.a).await?, bed.work(bed.a).await?, bed.store.now());
    let call = bed.intended(&lease, one, "call:1", &phone(1)).await?;
    bed.pass(10);
    let sms = text(&bed, &lease, two, "sms:1", 2).await?;
    assert!(bed.store.fenced(&lease).await?.mark_sending(sms).await?);
    let later = start + TimeDelta::seconds(10);
    let narrowed = [
        (EffectFilter { ids: Some(vec![call]), ..all() }, vec![call]),
        (EffectFilter { ids: Some(vec![call, sms, EffectId::new()]), ..all() }, vec![sms, call]),
        (EffectFilter { ids: Some(Vec::new()), ..all() }, vec![]),
        (EffectFilter { project_id: Some(bed.a.project), ..all() }, vec![sms, call]),
        (EffectFilter { project_id: Some(bed.b.project), ..all() }, vec![]),
        (EffectFilter { ticket_id: Some(two.ticket), ..all() }, vec![sms]),
        (EffectFilter { kind: Some("call".to_owned()), ..all() }, vec![call]),
        (EffectFilter { state: Some("sending".to_owned()), ..all() }, vec![sms]),
        (EffectFilter { to: Some(phone(1).as_str().to_owned()), ..all() }, vec![call]),
        (EffectFilter { created_before: Some(later), ..all() }, vec![call]),
        (EffectFilter { created_after: Some(later), ..all() }, vec![sms]),
        (EffectFilter { created_after: Some(start), created_before: Some(start), ..all() }, vec![]),
        (EffectFilter { kind: Some("call".to_owned()), state: Some("sending".to_owned()), ..all() }, vec![]),
    ];
    for (filter, expected) in narrowed {
        assert_eq!(list(&bed, filter.clone()).await?, expected, "{filter:?}");
    }
    Ok(())
}

async fn a_verdict_reaches_only_what_has_not_left_and_whose_ticket_is_not_over(bed: TwoTenants) -> Result<()> {
    let (lease, work, over) = (bed.lease(bed.a).await?, bed.work(bed.a).await?, bed.work(bed.a).await?);
    let effects = in_every_state(&bed, &lease, work).await?;
    let late = bed.intended(&lease, over, "call:late", &phone(20)).await?;
    lay_down(&bed, &lease, over.ticket, 0, Outcome::Completed(json!({}))).await?;
    bed.pass(1);
    let decided = decide(&bed, bed.a, &EffectFilter::default(), EffectVerdict::Release).await?;
    let expected =
        |id| DecidedEffect { id, ticket_id: work.ticket, project_id: bed.a.project, actor: "call".to_owned() };
    assert_eq!(decided, [expected(effects[0]), expected(effects[5])], "intended and held");
    for (id, state) in effects.iter().zip(STATES) {
        let effect = row(&bed, *id).await?;
        let told = matches!(state, "intended" | "held");
        assert_eq!(effect.state, state, "a verdict changes no state: the actor does");
        assert_eq!(effect.verdict.as_deref(), told.then_some("release"), "{state}");
        assert_eq!(effect.verdict_by.as_deref(), told.then_some("user:1"), "{state}");
        assert_eq!(effect.verdict_at, told.then_some(bed.store.now()), "{state}");
    }
    assert_eq!(row(&bed, late).await?.verdict, None, "its ticket is over");
    Ok(())
}

async fn a_verdict_with_a_filter_leaves_the_rest_alone(bed: TwoTenants) -> Result<()> {
    let (lease, one, two) = (bed.lease(bed.a).await?, bed.work(bed.a).await?, bed.work(bed.a).await?);
    let call = bed.intended(&lease, one, "call:1", &phone(1)).await?;
    let other = bed.intended(&lease, two, "call:2", &phone(2)).await?;
    let sms = text(&bed, &lease, one, "sms:1", 1).await?;
    for ticket in [one.ticket, two.ticket] {
        lay_down(&bed, &lease, ticket, 0, Outcome::Waiting(bed.store.now() + TimeDelta::hours(1))).await?;
    }
    let filter = EffectFilter { kind: Some("call".to_owned()), to: Some(phone(1).as_str().to_owned()), ..all() };
    assert_eq!(ids(&decide(&bed, bed.a, &filter, EffectVerdict::Cancel).await?), [call]);
    assert_eq!(row(&bed, call).await?.verdict.as_deref(), Some("cancel"));
    for id in [other, sms] {
        let effect = row(&bed, id).await?;
        assert_eq!((effect.verdict, effect.verdict_by, effect.verdict_at), (None, None, None));
    }
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert_eq!(tx.ticket(one.ticket).await?.expect("there").due_at, Some(bed.store.now()));
    let untouched = tx.ticket(two.ticket).await?.expect("there");
    assert_eq!((untouched.due_at, untouched.wake), (Some(bed.store.now() + TimeDelta::hours(1)), 0));
    drop(tx);
    let none = EffectFilter { ids: Some(Vec::new()), ..all() };
    assert!(decide(&bed, bed.a, &none, EffectVerdict::Cancel).await?.is_empty(), "no ids are not all ids");
    Ok(())
}

async fn a_decided_ticket_is_due_at_once_whatever_its_actor_writes(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    bed.intended(&lease, work, "call:1", &phone(1)).await?;
    let far = bed.store.now() + TimeDelta::hours(1);
    lay_down(&bed, &lease, work.ticket, 0, Outcome::Waiting(far)).await?;
    decide(&bed, bed.a, &all(), EffectVerdict::Release).await?;
    let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
    assert_eq!((ticket.due_at, ticket.wake), (Some(bed.store.now()), 1));
    lay_down(&bed, &lease, work.ticket, 0, Outcome::Waiting(far)).await?;
    let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
    assert_eq!(ticket.due_at, Some(bed.store.now()), "its actor had not seen the verdict");
    lay_down(&bed, &lease, work.ticket, 1, Outcome::Waiting(far)).await?;
    let ticket = bed.store.tenant_read(bed.a.org).await?.ticket(work.ticket).await?.expect("there");
    assert_eq!(ticket.due_at, Some(far), "now it has");
    Ok(())
}

async fn the_last_verdict_counts(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let id = bed.intended(&lease, work, "call:1", &phone(1)).await?;
    for (verdict, told) in [(EffectVerdict::Cancel, "cancel"), (EffectVerdict::Release, "release")] {
        bed.pass(1);
        assert_eq!(ids(&decide(&bed, bed.a, &all(), verdict).await?), [id]);
        let effect = row(&bed, id).await?;
        assert_eq!((effect.verdict.as_deref(), effect.verdict_at), (Some(told), Some(bed.store.now())));
    }
    assert!(bed.store.fenced(&lease).await?.mark_sending(id).await?);
    assert!(decide(&bed, bed.a, &all(), EffectVerdict::Cancel).await?.is_empty(), "it has left");
    Ok(())
}

async fn a_cancelled_effect_is_not_sent(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let id = bed.intended(&lease, work, "call:1", &phone(1)).await?;
    decide(&bed, bed.a, &all(), EffectVerdict::Cancel).await?;
    assert!(!bed.store.fenced(&lease).await?.mark_sending(id).await?, "the verdict came before the sending");
    assert_eq!(row(&bed, id).await?.state, "intended");
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_refused(id, "cancelled").await?;
    tx.commit().await?;
    assert_eq!(row(&bed, id).await?.state, "refused");
    Ok(())
}

async fn a_held_effect_waits_for_a_verdict_of_its_own(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let id = bed.intended(&lease, work, "call:1", &phone(1)).await?;
    decide(&bed, bed.a, &all(), EffectVerdict::Release).await?;
    assert!(bed.store.fenced(&lease).await?.mark_sending(id).await?);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_unknown(id).await?;
    tx.mark_held(id, "no answer").await?;
    tx.commit().await?;
    assert_eq!(row(&bed, id).await?.verdict, None, "it was released before anybody knew that it is unclear");
    assert_eq!(ids(&decide(&bed, bed.a, &all(), EffectVerdict::Cancel).await?), [id]);
    let mut tx = bed.store.fenced(&lease).await?;
    tx.mark_refused(id, "cancelled").await?;
    assert_eq!(tx.effect(id).await?.expect("there").state, "refused");
    Ok(())
}

async fn tenants_with_something_that_may_still_leave_are_found(bed: TwoTenants) -> Result<()> {
    let orgs = async || -> Result<_, StorageError> { bed.store.system_read().await?.orgs_with_open_effects().await };
    assert!(orgs().await?.is_empty());
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    let (in_a, in_b) = (bed.work(bed.a).await?, bed.work(bed.b).await?);
    let effect = bed.intended(&lease_a, in_a, "call:1", &phone(1)).await?;
    bed.intended(&lease_a, in_a, "call:2", &phone(2)).await?;
    bed.intended(&lease_b, in_b, "call:1", &phone(3)).await?;
    let mut both = [bed.a.org, bed.b.org];
    both.sort();
    assert_eq!(orgs().await?, both, "each once");
    let mut tx = bed.store.fenced(&lease_b).await?;
    let end = Journal { seen: 1, wake: 0, basis: None, entries: Vec::new(), outcome: Outcome::Completed(json!({})) };
    tx.write_journal(in_b.ticket, &end).await?;
    tx.commit().await?;
    assert_eq!(orgs().await?, [bed.a.org], "what belongs to a finished ticket leaves no more");
    let mut tx = bed.store.fenced(&lease_a).await?;
    tx.mark_refused(effect, "no").await?;
    tx.commit().await?;
    assert_eq!(orgs().await?, [bed.a.org]);
    Ok(())
}

async fn another_tenant_neither_sees_nor_decides_an_effect(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let effects = in_every_state(&bed, &lease, work).await?;
    let before = bed.rows_of_a().await?;
    let filters = [
        all(),
        EffectFilter { ids: Some(effects.clone()), ..all() },
        EffectFilter { project_id: Some(bed.a.project), ..all() },
        EffectFilter { ticket_id: Some(work.ticket), ..all() },
    ];
    for filter in &filters {
        assert!(bed.store.tenant_read(bed.b.org).await?.effects(filter).await?.is_empty());
        for verdict in [EffectVerdict::Release, EffectVerdict::Cancel] {
            assert!(decide(&bed, bed.b, filter, verdict).await?.is_empty());
        }
    }
    let effect = row(&bed, effects[4]).await?;
    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.unclear_neighbour(&Effect { id: EffectId::new(), ..effect }).await?.is_none());
    assert!(!tx.sid_is_of_another("CA1", EffectId::new()).await?);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
