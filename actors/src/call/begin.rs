//! The beginning: who is it, may we call, and the intent before the first ring.

use apex_config::dna::Dna;
use apex_storage::fault::{self, Fault};
use apex_storage::model::phone::{self, Normalised, Phone};
use apex_storage::model::{BridgeId, EffectId};
use apex_storage::{
    BridgePlan, ContactDraft, FencedTx, JournalEntry, Lead, NewBridge, NewEffect, NewEvent, Outcome, StorageError,
};
use serde_json::{Value, json};

use super::CallWork;
use crate::message;

/// What is to be done about a lead.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// Ring this boss for this customer.
    Dial { boss: Phone, customer: Phone },
    /// A provider's test: stored, never dialled.
    Test,
    /// Not dialled, for this reason; the boss is told by text.
    Block { reason: String, boss: Option<Phone>, customer: Option<Phone> },
}

/// Judges a lead by the project's DNA.
fn judge(lead: &Lead, dna: &Dna) -> Verdict {
    let (region, bridge) = (&dna.identity.region, dna.sales_bridge());
    let boss = bridge.destination_phone.as_deref().and_then(|raw| phone::normalise(raw, region).ok()).map(|n| n.phone);
    let customer = readable(lead, region);
    let block = |reason: &str, customer: Option<Phone>| Verdict::Block {
        reason: reason.to_owned(),
        boss: boss.clone(),
        customer,
    };
    if lead.is_test {
        return Verdict::Test;
    }
    let normalised = match customer {
        Ok(normalised) => normalised,
        Err(reason) => return block(reason, None),
    };
    let number = normalised.phone.clone();
    if let Err(refusal) = phone::dialable(&normalised, &dna.dialled_countries()) {
        return block(refusal.code, Some(number));
    }
    match &boss {
        None => block("no_destination_phone", Some(number)),
        Some(boss) if *boss == number => block("own_number", Some(number)),
        Some(_) if !dna.modules.lead_gen.enabled => block("lead_gen_disabled", Some(number)),
        Some(boss) => Verdict::Dial { boss: boss.clone(), customer: number },
    }
}

fn readable(lead: &Lead, region: &str) -> Result<Normalised, &'static str> {
    let raw = lead.phone.as_ref().map(Phone::as_str).or(lead.phone_raw.as_deref()).unwrap_or_default();
    phone::normalise(raw, region).map_err(|problem| match problem {
        phone::PhoneProblem::Empty => "no_phone",
        other => other.code(),
    })
}

impl CallWork {
    pub(super) async fn begin(&mut self) -> Result<(), StorageError> {
        let Some(lead) = self.lead.clone() else {
            let tx = self.desk.begin().await?;
            return self.write(tx, vec![], Outcome::Failed("lead_deleted".into(), json!({}))).await;
        };
        if self.desk.cancel_requested() {
            let tx = self.desk.begin().await?;
            return self.write(tx, vec![], Outcome::Cancelled(json!({ "lead_id": lead.id }))).await;
        }
        match judge(&lead, &self.dna) {
            Verdict::Test => self.begin_test(&lead).await,
            Verdict::Block { reason, boss, customer } => {
                self.begin_blocked(&lead, &reason, boss.as_ref(), customer.as_ref()).await
            }
            Verdict::Dial { boss, customer } => self.begin_call(&lead, boss, customer).await,
        }
    }

    async fn begin_test(&mut self, lead: &Lead) -> Result<(), StorageError> {
        let tx = self.desk.begin().await?;
        let entries = vec![
            JournalEntry::step("begin", json!({ "verdict": "test" })),
            JournalEntry::stage("test_lead", json!({ "dialled": false })),
        ];
        let result = json!({ "outcome": "test_lead", "lead_id": lead.id, "dialled": false });
        self.write(tx, entries, Outcome::Completed(result)).await
    }

    async fn begin_blocked(
        &mut self,
        lead: &Lead,
        reason: &str,
        boss: Option<&Phone>,
        customer: Option<&Phone>,
    ) -> Result<(), StorageError> {
        let mut tx = self.desk.begin().await?;
        self.identify(&mut tx, lead, customer, Some(reason)).await?;
        if let Some(boss) = boss {
            let text = message::not_dialled(&self.dna, lead, reason);
            self.intend_text(&mut tx, "blocked", boss, &text).await?;
        }
        let event = self.event("lead.blocked", lead, json!({ "reason": reason }));
        tx.emit(&event).await?;
        let entries = vec![
            JournalEntry::step("begin", json!({ "verdict": "blocked", "reason": reason })),
            JournalEntry::stage("not_dialled", json!({ "reason": reason, "boss_texted": boss.is_some() })),
        ];
        let running = self.desk.running();
        self.write(tx, entries, running).await?;
        self.desk.reload_effects().await?;
        self.reload_lead().await
    }

    async fn begin_call(&mut self, lead: &Lead, boss: Phone, customer: Phone) -> Result<(), StorageError> {
        let mut tx = self.desk.begin().await?;
        self.identify(&mut tx, lead, Some(&customer), None).await?;
        let id = BridgeId::new();
        let plan = self.plan(lead, boss, customer);
        let new = NewBridge { id, lead_id: lead.id, ticket_id: self.desk.id(), plan: &plan };
        if !tx.open_bridge(&new).await? {
            drop(tx);
            let tx = self.desk.begin().await?;
            let result = json!({ "lead_id": lead.id, "detail": "a call for this lead is under way" });
            return self.write(tx, vec![], Outcome::Failed("call_in_progress".into(), result)).await;
        }
        let key = format!("call:{id}:0:{}", plan.boss);
        tx.intend(&NewEffect {
            id: EffectId::new(),
            bridge_id: Some(id),
            ticket_id: self.desk.id(),
            kind: "call",
            key: &key,
            account: self.desk.world.ports.telephony.account(),
            to_number: &plan.boss,
            from_number: &plan.caller_id,
            body: None,
        })
        .await?;
        let event = self.event("call.requested", lead, json!({ "bridge_id": id }));
        tx.emit(&event).await?;
        let begin = JournalEntry::step("begin", json!({ "verdict": "dial", "bridge_id": id }));
        let running = self.desk.running();
        self.write(tx, vec![begin], running).await?;
        fault::pass(Fault::CallIntended).await;
        self.desk.reload_effects().await?;
        let mut tx = self.desk.world.store.tree_read(self.desk.lease.org).await?;
        self.bridge = tx.bridge(id).await?;
        Ok(())
    }

    async fn identify(
        &self,
        tx: &mut FencedTx,
        lead: &Lead,
        phone: Option<&Phone>,
        blocked: Option<&str>,
    ) -> Result<(), StorageError> {
        let draft = ContactDraft { name: &lead.name, phone, email: lead.email.as_deref() };
        let contact = tx.resolve_contact(&draft).await?;
        tx.identify_lead(lead.id, contact, phone, blocked).await
    }

    fn plan(&self, lead: &Lead, boss: Phone, customer: Phone) -> BridgePlan {
        let (bridge, rules) = (self.dna.sales_bridge(), &self.desk.world.rules);
        let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        BridgePlan {
            boss,
            customer,
            caller_id: self.desk.world.ports.telephony.number().to_owned(),
            whisper: message::whisper(&self.dna, lead),
            language: self.dna.identity.language.clone(),
            ring_seconds: bridge.ring_seconds.unwrap_or_else(|| seconds(rules.ring_timeout)),
            max_seconds: seconds(rules.max_duration),
            record: bridge.record,
        }
    }

    /// Intends a text to the boss, once per ticket and reason.
    pub(super) async fn intend_text(
        &self,
        tx: &mut FencedTx,
        why: &str,
        boss: &Phone,
        text: &str,
    ) -> Result<(), StorageError> {
        let telephony = &self.desk.world.ports.telephony;
        tx.intend(&NewEffect {
            id: EffectId::new(),
            bridge_id: None,
            ticket_id: self.desk.id(),
            kind: "sms",
            key: &format!("sms:{}:{why}", self.desk.id()),
            account: telephony.account(),
            to_number: boss,
            from_number: telephony.number(),
            body: Some(text),
        })
        .await
        .map(drop)
    }

    pub(super) fn event<'a>(&self, kind: &'a str, lead: &Lead, payload: Value) -> NewEvent<'a> {
        NewEvent { kind, ref_id: lead.id.0, correlation_id: self.desk.id().0, actor: "call", payload }
    }

    pub(super) async fn reload_lead(&mut self) -> Result<(), StorageError> {
        let Some(id) = self.desk.ticket.lead_id else { return Ok(()) };
        let mut tx = self.desk.world.store.tree_read(self.desk.lease.org).await?;
        self.lead = tx.lead(id).await?;
        Ok(())
    }
}
