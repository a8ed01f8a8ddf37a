//! The end of the bridge: the lead, the bill, and a text when they did not speak.

use apex_config::prices::Resource;
use apex_storage::fault::{self, Fault};
use apex_storage::model::call::Ending;
use apex_storage::{JournalEntry, StorageError, UsageEntry};
use serde_json::json;

use super::CallWork;
use crate::context::timestamp;
use crate::message;
use crate::metrics;

/// The intent of the one text about a lead that was not spoken to.
const MISSED: &str = "missed";

impl CallWork {
    /// Closes the bridge, writes the lead, charges the minutes and, when they did not speak, intends the text: one commit.
    pub(super) async fn close(&mut self, ending: Ending) -> Result<(), StorageError> {
        let facts = self.facts();
        let call = self.call().cloned();
        let sid = call.as_ref().and_then(|call| call.sid.clone());
        let held = call.as_ref().is_some_and(|call| call.state == "held");
        let outcome = if held { "held" } else { ending.as_str() };
        let mut tx = self.desk.begin().await?;
        if let (Some(lead), Some(bridge)) = (&self.lead, &self.bridge) {
            let spoke = matches!(ending, Ending::Connected { .. });
            let status = if spoke { lead.status.after_conversation() } else { lead.status };
            let seconds = facts.connected().then(|| i64::from(facts.customer.seconds()));
            tx.close_bridge(bridge.id, outcome).await?;
            tx.record_call(lead.id, status, sid.as_deref(), seconds).await?;
            if !spoke && ending != Ending::Cancelled {
                let text = message::missed(&self.dna, lead);
                self.intend_text(&mut tx, MISSED, &bridge.plan.boss, &text).await?;
            }
            let kind = if spoke { "call.completed" } else { "call.missed" };
            let event = self.event(kind, lead, json!({ "outcome": outcome, "bridge_id": bridge.id }));
            tx.emit(&event).await?;
        }
        if let Some(sid) = &sid {
            self.charge(&mut tx, &format!("call:{sid}"), Resource::TwilioVoice, facts.billed_minutes()).await?;
        }
        let data = json!({
            "outcome": outcome, "at": timestamp(tx.now()), "boss_seconds": facts.boss.seconds(),
            "customer_seconds": facts.customer.seconds(), "billed_minutes": facts.billed_minutes(),
            "reason": call.and_then(|call| call.reason),
        });
        let entries = vec![JournalEntry::step("close", data.clone()), JournalEntry::stage("call_ended", data)];
        let running = self.desk.running();
        self.write(tx, entries, running).await?;
        fault::pass(Fault::CallClosed).await;
        metrics::call_ended(outcome);
        self.desk.reload_effects().await?;
        self.reload_lead().await
    }

    /// Intends the text of a missed call now, while nobody knows whether it is one; the end of the bridge sends no second.
    pub(super) async fn tell_held(&mut self) -> Result<(), StorageError> {
        let mut tx = self.desk.begin().await?;
        if let (Some(lead), Some(bridge)) = (&self.lead, &self.bridge) {
            self.intend_text(&mut tx, MISSED, &bridge.plan.boss, &message::unclear(&self.dna, lead)).await?;
        }
        let running = self.desk.running();
        self.write(tx, vec![JournalEntry::step("held_told", json!({}))], running).await?;
        self.desk.reload_effects().await
    }

    /// Appends whole units to the ledger, once per key.
    pub(super) async fn charge(
        &self,
        tx: &mut apex_storage::FencedTx,
        key: &str,
        resource: Resource,
        quantity: u32,
    ) -> Result<(), StorageError> {
        let quantity_milli = i64::from(quantity) * 1000;
        let micros = self.desk.world.prices.cost_micros(resource, quantity_milli).unwrap_or_default();
        let ref_id = Some(self.desk.id().0);
        let entry = UsageEntry { key, resource: resource.as_str(), quantity_milli, micros, ref_id };
        if quantity_milli > 0 && tx.charge(&entry).await? {
            metrics::spent(micros);
        }
        Ok(())
    }
}
