//! Effects: intended once, sent by one, bound to one provider's id, never two unclear calls to a number.

use anyhow::Result;
use apex_storage::model::{EffectId, TicketId};
use apex_storage::{Effect, FencedTx, Lease, NewEffect, StorageError};

use super::tenants::{ACCOUNT, TwoTenants, Work, all_different, call_effect, phone, until_free};

conformance! {
    an_intent_stands_once_by_its_key,
    only_an_intended_effect_is_sent_and_once,
    one_call_to_a_number_is_unclear_at_a_time,
    one_message_to_a_number_is_unclear_at_a_time_beside_a_call,
    an_unclear_neighbour_to_the_same_number_makes_a_look_up_ambiguous,
    the_first_provider_id_is_bound_for_good,
    a_provider_id_belongs_to_one_effect,
    an_unclear_effect_is_held_and_bound_by_a_late_callback,
    a_refused_effect_stays_refused,
    an_effect_that_did_not_happen_may_be_intended_again,
    an_intent_needs_a_ticket_of_its_tenant,
    another_tenant_neither_sees_nor_changes_an_effect,
}

/// An intended call in a tenant's project, with what it takes to go on.
struct Call {
    lease: Lease,
    work: Work,
    id: EffectId,
}

impl Call {
    async fn intended(bed: &TwoTenants) -> Result<Self> {
        let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
        let id = bed.intended(&lease, work, "call:1", &phone(1)).await?;
        Ok(Self { lease, work, id })
    }

    async fn sending(bed: &TwoTenants) -> Result<Self> {
        let call = Self::intended(bed).await?;
        assert!(bed.store.fenced(&call.lease).await?.mark_sending(call.id).await?);
        Ok(call)
    }

    async fn row(&self, bed: &TwoTenants) -> Result<Effect> {
        Ok(bed.store.tenant_read(self.lease.org).await?.effect(self.id).await?.expect("there"))
    }

    async fn tx(&self, bed: &TwoTenants) -> Result<FencedTx> {
        Ok(bed.store.fenced(&self.lease).await?)
    }
}

async fn an_intent_stands_once_by_its_key(bed: TwoTenants) -> Result<()> {
    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let (bridge, to) = (bed.bridged(&lease, work).await?, phone(1));
    let new =
        NewEffect { body: Some("Ada \u{1F525}"), kind: "sms", ..call_effect(work.ticket, Some(bridge), "sms:1", &to) };
    let mut tx = bed.store.fenced(&lease).await?;
    assert!(tx.intend(&new).await?);
    assert!(!tx.intend(&NewEffect { id: EffectId::new(), ..new.clone() }).await?, "the same key is the same intent");
    assert!(tx.intend(&NewEffect { id: EffectId::new(), key: "sms:2", ..new.clone() }).await?);
    tx.commit().await?;

    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    let effects = tx.effects_of_ticket(work.ticket).await?;
    assert_eq!(effects.iter().map(|effect| effect.key.as_str()).collect::<Vec<_>>(), ["sms:1", "sms:2"]);
    let effect = tx.effect(new.id).await?.expect("there");
    assert_eq!((effect.id, effect.project_id, effect.bridge_id), (new.id, bed.a.project, Some(bridge)));
    assert_eq!((effect.ticket_id, effect.kind.as_str(), effect.state.as_str()), (work.ticket, "sms", "intended"));
    assert_eq!((effect.account.as_deref(), effect.to_number), (Some(ACCOUNT), Some(to.clone())));
    assert_eq!((effect.from_number.as_deref(), effect.body.as_deref()), (Some(new.from_number), new.body));
    assert_eq!((effect.sid, effect.reason, effect.sender), (None, None, None));
    assert_eq!((effect.sender_fence, effect.sent_at, effect.created_at), (None, None, bed.store.now()));
    Ok(())
}

async fn only_an_intended_effect_is_sent_and_once(bed: TwoTenants) -> Result<()> {
    let call = Call::intended(&bed).await?;
    bed.pass(2);
    assert!(call.tx(&bed).await?.mark_sending(call.id).await?);
    assert!(!call.tx(&bed).await?.mark_sending(call.id).await?, "it is on its way");
    assert!(!call.tx(&bed).await?.mark_sending(EffectId::new()).await?);
    let effect = call.row(&bed).await?;
    assert_eq!((effect.state.as_str(), effect.sent_at), ("sending", Some(bed.store.now())));
    assert_eq!((effect.sender, effect.sender_fence), (Some(call.lease.node), Some(call.lease.fence)));

    let (lease, work) = (bed.lease(bed.a).await?, bed.work(bed.a).await?);
    let twice = bed.intended(&lease, work, "call:2", &phone(2)).await?;
    let send = || until_free(async || Ok(bed.store.fenced(&lease).await?.mark_sending(twice).await?));
    let (one, two) = futures::join!(send(), send());
    assert!(all_different([one?, two?]), "of two senders at once one sends");
    Ok(())
}

async fn one_call_to_a_number_is_unclear_at_a_time(bed: TwoTenants) -> Result<()> {
    let first = Call::sending(&bed).await?;
    let same = bed.intended(&first.lease, first.work, "call:2", &phone(1)).await?;
    let other = bed.intended(&first.lease, first.work, "call:3", &phone(3)).await?;
    let lease_b = bed.lease(bed.b).await?;
    let work_b = bed.work(bed.b).await?;
    let neighbour = bed.intended(&lease_b, work_b, "call:1", &phone(1)).await?;

    assert!(!first.tx(&bed).await?.mark_sending(same).await?, "it has to wait");
    assert!(
        !bed.store.fenced(&lease_b).await?.mark_sending(neighbour).await?,
        "whoever's it is: the look-up sees both"
    );
    assert!(first.tx(&bed).await?.mark_sending(other).await?);
    let mut tx = first.tx(&bed).await?;
    tx.mark_unknown(first.id).await?;
    tx.commit().await?;
    assert!(!first.tx(&bed).await?.mark_sending(same).await?, "unknown is as unclear");
    let mut tx = first.tx(&bed).await?;
    assert!(tx.mark_live(first.id, "CA1").await?);
    tx.commit().await?;
    assert!(first.tx(&bed).await?.mark_sending(same).await?, "now it is clear");
    Ok(())
}

async fn one_message_to_a_number_is_unclear_at_a_time_beside_a_call(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let to = phone(1);
    let text = |key| NewEffect { kind: "sms", ..call_effect(call.work.ticket, None, key, &to) };
    let (one, two) = (text("sms:1"), text("sms:2"));
    let mut tx = call.tx(&bed).await?;
    assert!(tx.intend(&one).await? && tx.intend(&two).await?);
    tx.commit().await?;
    assert!(call.tx(&bed).await?.mark_sending(one.id).await?, "a message is no call");
    assert!(!call.tx(&bed).await?.mark_sending(two.id).await?, "it has to wait");
    let mut tx = call.tx(&bed).await?;
    assert_eq!(tx.effect(two.id).await?.expect("there").state, "intended", "and nothing is written");
    assert!(tx.mark_live(one.id, "SM1").await?);
    tx.commit().await?;
    assert!(call.tx(&bed).await?.mark_sending(two.id).await?);
    Ok(())
}

async fn an_unclear_neighbour_to_the_same_number_makes_a_look_up_ambiguous(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let other = bed.intended(&call.lease, call.work, "call:2", &phone(1)).await?;
    let elsewhere = bed.intended(&call.lease, call.work, "call:3", &phone(3)).await?;
    let is_ambiguous = async |id| {
        let mut tx = bed.store.tenant_read(bed.a.org).await?;
        let effect = tx.effect(id).await?.expect("there");
        anyhow::Ok(tx.unclear_neighbour(&effect).await?.is_some())
    };
    assert!(!is_ambiguous(call.id).await?, "what has not left answers to no look-up");
    assert!(is_ambiguous(other).await?);
    assert!(!is_ambiguous(elsewhere).await?, "another number");
    let mut tx = call.tx(&bed).await?;
    tx.mark_unknown(call.id).await?;
    tx.mark_held(call.id, "no answer").await?;
    tx.commit().await?;
    assert!(is_ambiguous(other).await?, "a held one may still have happened");
    let mut tx = call.tx(&bed).await?;
    assert!(tx.mark_live(call.id, "CA1").await?);
    tx.commit().await?;
    assert!(!is_ambiguous(other).await?, "it is clear whose that is");
    Ok(())
}

async fn the_first_provider_id_is_bound_for_good(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let mut tx = call.tx(&bed).await?;
    assert!(!tx.sid_is_of_another("CA1", EffectId::new()).await?);
    assert!(tx.mark_live(call.id, "CA1").await?);
    assert!(tx.mark_live(call.id, "CA1").await?, "a callback and the answer may both tell");
    assert!(!tx.mark_live(call.id, "CA2").await?, "surplus");
    assert!(tx.sid_is_of_another("CA1", EffectId::new()).await?);
    assert!(!tx.sid_is_of_another("CA2", EffectId::new()).await?);
    tx.commit().await?;
    let effect = call.row(&bed).await?;
    assert_eq!((effect.state.as_str(), effect.sid.as_deref()), ("live", Some("CA1")));

    let again = bed.intended(&call.lease, call.work, "call:2", &phone(2)).await?;
    assert!(call.tx(&bed).await?.mark_sending(again).await?);
    let mut tx = call.tx(&bed).await?;
    tx.intend_again(again).await?;
    assert!(tx.mark_live(again, "CA3").await?, "a late callback tells that it has happened after all");
    tx.commit().await?;
    assert!(!call.tx(&bed).await?.mark_sending(again).await?, "and it is not sent again");
    Ok(())
}

async fn a_provider_id_belongs_to_one_effect(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let other = bed.intended(&call.lease, call.work, "call:2", &phone(2)).await?;
    assert!(call.tx(&bed).await?.mark_sending(other).await?);
    let mut tx = call.tx(&bed).await?;
    assert!(tx.mark_live(call.id, "CA1").await?);
    tx.commit().await?;
    let mut tx = call.tx(&bed).await?;
    assert!(!tx.mark_live(other, "CA1").await?, "another effect has it");
    drop(tx);
    let mut tx = bed.store.tenant_read(bed.a.org).await?;
    assert!(tx.sid_is_of_another("CA1", other).await?);
    assert!(!tx.sid_is_of_another("CA1", call.id).await?, "it is its own");
    drop(tx);
    let named = apex_storage::NewInboxRow {
        project_id: bed.a.project,
        ticket_id: call.work.ticket,
        effect_id: other,
        account: ACCOUNT,
        sid: "CA2",
        kind: "status",
        digest: &[1; 32],
        report: &apex_storage::model::call::Report::Other,
    };
    let mut tx = bed.store.tenant(bed.a.org).await?;
    tx.receive(&named).await?;
    assert!(tx.sid_is_of_another("CA2", call.id).await?, "a callback named it");
    assert!(!tx.sid_is_of_another("CA2", other).await?);
    tx.commit().await?;
    assert_eq!(bed.store.tenant_read(bed.a.org).await?.effect(other).await?.expect("there").state, "sending");
    Ok(())
}

async fn an_unclear_effect_is_held_and_bound_by_a_late_callback(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let mut tx = call.tx(&bed).await?;
    tx.mark_held(call.id, "too early").await?;
    assert_eq!(tx.effect(call.id).await?.expect("there").state, "sending", "only what is unknown is held");
    tx.mark_unknown(call.id).await?;
    tx.mark_held(call.id, "no answer").await?;
    let effect = tx.effect(call.id).await?.expect("there");
    assert_eq!((effect.state.as_str(), effect.reason.as_deref()), ("held", Some("no answer")));
    tx.mark_unknown(call.id).await?;
    assert_eq!(tx.effect(call.id).await?.expect("there").state, "held", "a person or a callback decides");
    assert!(tx.mark_live(call.id, "CA1").await?);
    let effect = tx.effect(call.id).await?.expect("there");
    assert_eq!((effect.state.as_str(), effect.reason), ("live", None));
    Ok(())
}

async fn a_refused_effect_stays_refused(bed: TwoTenants) -> Result<()> {
    let call = Call::intended(&bed).await?;
    let mut tx = call.tx(&bed).await?;
    tx.mark_refused(call.id, "quiet_hours").await?;
    let effect = tx.effect(call.id).await?.expect("there");
    assert_eq!((effect.state.as_str(), effect.reason.as_deref()), ("refused", Some("quiet_hours")));
    assert!(!tx.mark_live(call.id, "CA1").await?);
    tx.intend_again(call.id).await?;
    tx.mark_unknown(call.id).await?;
    assert_eq!(tx.effect(call.id).await?.expect("there").state, "refused");
    tx.commit().await?;
    assert!(!call.tx(&bed).await?.mark_sending(call.id).await?);
    Ok(())
}

async fn an_effect_that_did_not_happen_may_be_intended_again(bed: TwoTenants) -> Result<()> {
    let call = Call::sending(&bed).await?;
    let mut tx = call.tx(&bed).await?;
    tx.intend_again(call.id).await?;
    let effect = tx.effect(call.id).await?.expect("there");
    assert_eq!((effect.state.as_str(), effect.sender, effect.sent_at), ("intended", None, None));
    tx.commit().await?;
    assert!(call.tx(&bed).await?.mark_sending(call.id).await?);
    let mut tx = call.tx(&bed).await?;
    assert!(tx.mark_live(call.id, "CA1").await?);
    tx.intend_again(call.id).await?;
    assert_eq!(tx.effect(call.id).await?.expect("there").state, "live", "what has an id did happen");
    Ok(())
}

async fn an_intent_needs_a_ticket_of_its_tenant(bed: TwoTenants) -> Result<()> {
    let (lease_a, lease_b) = (bed.lease(bed.a).await?, bed.lease(bed.b).await?);
    let (theirs, own, to) = (bed.work(bed.a).await?, bed.work(bed.b).await?, phone(1));
    let bridge = bed.bridged(&lease_a, theirs).await?;
    let before = bed.rows_of_a().await?;
    for (ticket, bridge) in [(theirs.ticket, None), (own.ticket, Some(bridge)), (TicketId::new(), None)] {
        let mut tx = bed.store.fenced(&lease_b).await?;
        let refused = tx.intend(&call_effect(ticket, bridge, "call:1", &to)).await;
        assert!(matches!(refused, Err(StorageError::Database(_))), "{refused:?}");
    }
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}

async fn another_tenant_neither_sees_nor_changes_an_effect(bed: TwoTenants) -> Result<()> {
    let (live, lease_b) = (Call::sending(&bed).await?, bed.lease(bed.b).await?);
    let mut tx = live.tx(&bed).await?;
    assert!(tx.mark_live(live.id, "CA1").await?);
    tx.commit().await?;
    let intended = bed.intended(&live.lease, live.work, "call:2", &phone(2)).await?;
    let sending = bed.intended(&live.lease, live.work, "call:3", &phone(3)).await?;
    assert!(live.tx(&bed).await?.mark_sending(sending).await?);
    let unknown = bed.intended(&live.lease, live.work, "call:4", &phone(4)).await?;
    assert!(live.tx(&bed).await?.mark_sending(unknown).await?);
    let mut tx = live.tx(&bed).await?;
    tx.mark_unknown(unknown).await?;
    tx.commit().await?;
    let before = bed.rows_of_a().await?;

    for id in [live.id, intended, sending, unknown] {
        assert!(!bed.store.fenced(&lease_b).await?.mark_sending(id).await?);
        let mut tx = bed.store.fenced(&lease_b).await?;
        assert!(tx.effect(id).await?.is_none());
        assert!(!tx.mark_live(id, "CA9").await?);
        tx.mark_held(id, "stolen").await?;
        tx.mark_unknown(id).await?;
        tx.mark_refused(id, "stolen").await?;
        tx.intend_again(id).await?;
        tx.commit().await?;
    }
    let mut tx = bed.store.tenant_read(bed.b.org).await?;
    assert!(tx.effects_of_ticket(live.work.ticket).await?.is_empty());
    assert!(!tx.sid_is_of_another("CA1", EffectId::new()).await?);
    assert_eq!(bed.rows_of_a().await?, before);
    Ok(())
}
