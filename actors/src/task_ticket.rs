//! The task runner: heavy tasks that are not calls. Each is a few steps over the same desk.

pub(crate) mod decide;

use apex_config::dna::Dna;
use apex_config::prices::Resource;
use apex_storage::model::EffectId;
use apex_storage::model::phone;
use apex_storage::{JournalEntry, Lead, NewEffect, Outcome, StorageError, UsageEntry};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::meaning::{self, Heard};
use crate::message;
use crate::ports::PortError;
use crate::retry::{self, Class};
use crate::runner::{Rest, Runner, Seat};
use decide::Next;

/// A task's ticket in the hands of its only writer.
pub(crate) struct TaskRunner {
    /// `None`: there is no such ticket.
    work: Option<TaskWork>,
}

struct TaskWork {
    desk: Desk,
    dna: Dna,
    lead: Option<Lead>,
}

impl Runner for TaskRunner {
    const ACTOR: &'static str = "task";

    async fn load(seat: Seat) -> Result<Self, StorageError> {
        let Some(mut desk) = Box::pin(Desk::load(seat)).await? else { return Ok(Self { work: None }) };
        let Some(dna) = desk.dna().await? else { return Ok(Self { work: None }) };
        let mut tx = desk.world.store.tree_read(desk.lease.org).await?;
        let lead = match desk.ticket.lead_id {
            Some(lead) => tx.lead(lead).await?,
            None => None,
        };
        drop(tx);
        Ok(Self { work: Some(TaskWork { desk, dna, lead }) })
    }

    async fn advance(&mut self) -> Result<Rest, StorageError> {
        let Some(work) = &mut self.work else { return Ok(Rest::Over) };
        work.desk.refresh().await?;
        while !work.desk.is_over() {
            let now = work.desk.decide(0);
            let next = work.next(now);
            tracing::debug!(ticket.id = %work.desk.id(), ?next, "task decides");
            if let Next::Wait(until) = next {
                work.desk.lay_down(until, vec![]).await?;
                return Ok(Rest::until(until, now));
            }
            Box::pin(work.act(next)).await?;
        }
        work.desk.acknowledge().await?;
        Ok(Rest::Over)
    }
}

impl TaskWork {
    fn next(&self, now: DateTime<Utc>) -> Next {
        decide::next(&decide::Situation {
            ticket: &self.desk.ticket,
            now,
            cancelled: self.desk.cancel_requested(),
            steps: &self.desk.steps,
            delivery: self.desk.deliver_next(now),
            memory: &self.desk.memory,
        })
    }

    async fn act(&mut self, next: Next) -> Result<(), StorageError> {
        match next {
            Next::Cancel => self.end(Outcome::Cancelled(json!({}))).await,
            Next::Expire => {
                let detail = json!({ "deadline_at": self.desk.ticket.deadline_at });
                self.end(Outcome::Failed("deadline_passed".into(), detail)).await
            }
            Next::Refuse => {
                let detail = format!("{} cannot be run as a task", self.desk.ticket.task);
                self.end(Outcome::Failed("task_unavailable".into(), json!({ "detail": detail }))).await
            }
            Next::BeginText => self.begin_text().await,
            Next::Deliver(delivery) => self.desk.deliver(delivery).await,
            Next::FinishText => self.finish_text().await,
            Next::Transcribe => self.transcribe().await,
            Next::Wait(_) => Ok(()),
        }
    }

    async fn end(&mut self, outcome: Outcome) -> Result<(), StorageError> {
        let tx = self.desk.begin().await?;
        self.desk.commit(tx, vec![], outcome).await
    }

    async fn begin_text(&mut self) -> Result<(), StorageError> {
        let raw = self.dna.sales_bridge().destination_phone.clone().unwrap_or_default();
        let Ok(boss) = phone::normalise(&raw, &self.dna.identity.region) else {
            let detail =
                json!({ "detail": "set modules.lead_gen.sales_bridge.destination_phone in the project's DNA" });
            return self.end(Outcome::Failed("no_destination_phone".into(), detail)).await;
        };
        let text = match (self.desk.ticket.params["text"].as_str(), &self.lead) {
            (Some(text), _) => text.to_owned(),
            (None, Some(lead)) => message::alert(&self.dna, lead),
            (None, None) => return self.end(Outcome::Failed("lead_deleted".into(), json!({}))).await,
        };
        let telephony = std::sync::Arc::clone(&self.desk.world.ports.telephony);
        let begun = decide::begun(self.desk.ticket.attempt);
        let mut tx = self.desk.begin().await?;
        // After a retry: what may have been sent is not sent again.
        if self.desk.effects.iter().all(|effect| effect.state == "refused") {
            let text = NewEffect {
                id: EffectId::new(),
                bridge_id: None,
                ticket_id: self.desk.id(),
                kind: "sms",
                key: &format!("sms:{}:notify:{begun}", self.desk.id()),
                account: telephony.account(),
                to_number: &boss.phone,
                from_number: telephony.number(),
                body: Some(&text),
            };
            tx.intend(&text).await?;
        }
        let running = self.desk.running();
        self.desk.commit(tx, vec![JournalEntry::step(&begun, json!({}))], running).await?;
        self.desk.reload_effects().await
    }

    /// Charges what was sent, and ends the ticket.
    async fn finish_text(&mut self) -> Result<(), StorageError> {
        let effect = self.desk.effects.last().cloned();
        let state = effect.as_ref().map_or("refused", |effect| effect.state.as_str()).to_owned();
        let result = json!({
            "sms": state,
            "message_sid": effect.as_ref().and_then(|effect| effect.sid.clone()),
            "reason": effect.as_ref().and_then(|effect| effect.reason.clone()),
        });
        let mut tx = self.desk.begin().await?;
        if let Some(effect) = effect.filter(|effect| effect.state == "live") {
            let micros = self.desk.world.prices.cost_micros(Resource::TwilioSms, 1000).unwrap_or_default();
            let key = format!("sms:{}", effect.id);
            let (resource, ref_id) = (Resource::TwilioSms.as_str(), Some(self.desk.id().0));
            tx.charge(&UsageEntry { key: &key, resource, quantity_milli: 1000, micros, ref_id }).await?;
        }
        let outcome = match state.as_str() {
            "live" => Outcome::Completed(result),
            other => Outcome::Failed(format!("sms_{other}"), result),
        };
        self.desk.commit(tx, vec![], outcome).await
    }

    /// Listens to a lead's recording again and tells what it means.
    async fn transcribe(&mut self) -> Result<(), StorageError> {
        let Some((lead, key)) = self.recording() else {
            let detail = json!({ "detail": "the lead has no stored recording" });
            return self.end(Outcome::Failed("no_recording".into(), detail)).await;
        };
        let tx = self.desk.begin().await?;
        let running = self.desk.running();
        self.desk.commit(tx, vec![], running).await?;
        let briefing = meaning::briefing(&self.dna);
        let heard = meaning::listen(&self.desk.world, &key, "audio/wav", &briefing).await;
        let answer = match heard {
            Ok(Heard::Text(answer)) => answer,
            Ok(Heard::Nothing(reason)) => {
                return self.end(Outcome::Failed("not_transcribed".into(), json!({ "detail": reason }))).await;
            }
            Err(error) => return self.not_transcribed(&error).await,
        };
        let meant = match meaning::analyse(&self.desk.world, &answer.value, &briefing).await {
            Ok(meant) => meant,
            Err(_) => meaning::by_rules(&answer.value),
        };
        let analysis: Value = json!(meant.value);
        let tokens = answer.tokens + meant.tokens;
        let mut tx = self.desk.begin().await?;
        tx.record_meaning(lead.id, Some(&answer.value), Some(&analysis)).await?;
        let quantity_milli = tokens * 1000;
        let micros = self.desk.world.prices.cost_micros(Resource::GeminiToken, quantity_milli).unwrap_or_default();
        let key = format!("tokens:{}", self.desk.id());
        if quantity_milli > 0 {
            let (resource, ref_id) = (Resource::GeminiToken.as_str(), Some(self.desk.id().0));
            tx.charge(&UsageEntry { key: &key, resource, quantity_milli, micros, ref_id }).await?;
        }
        let result = json!({ "lead_id": lead.id, "engine": answer.engine, "call_analysis": analysis });
        let analysed = JournalEntry::stage("analysed", json!({ "engine": meant.engine }));
        self.desk.commit(tx, vec![analysed], Outcome::Completed(result)).await
    }

    /// Tries again later; after its tries, and when it cannot succeed, the ticket is set aside for a person.
    async fn not_transcribed(&mut self, error: &PortError) -> Result<(), StorageError> {
        let reason = error.to_string();
        if self.desk.try_again("transcribe", retry::WORK, Class::from(error), &reason).await? {
            return Ok(());
        }
        let tx = self.desk.begin().await?;
        let failed = JournalEntry::note("gave_up", json!({ "what": "transcribe", "reason": reason }));
        self.desk.commit(tx, vec![failed], Outcome::Dead("transcription_failed".into())).await
    }

    fn recording(&self) -> Option<(Lead, String)> {
        let lead = self.lead.clone()?;
        let sid = lead.recording_url.as_deref()?.rsplit('/').next()?.to_owned();
        let key = apex_storage::blob::BlobKey::recording(lead.org_id, lead.project_id, &sid).ok()?;
        Some((lead, key.to_string()))
    }
}
