//! After the conversation: recording, text, meaning, and the ticket's end.
//!
//! Each piece of work is a step: its answer is written once and not asked for again. A step that keeps failing is written
//! down as failed, so that the ticket always ends and the lead keeps what there is.

use apex_config::prices::{Resource, dollars};
use apex_storage::blob::BlobKey;
use apex_storage::fault::{self, Fault};
use apex_storage::model::TicketState;
use apex_storage::model::call::{Recording, Report};
use apex_storage::{JournalEntry, Outcome, StorageError};
use serde_json::json;

use super::CallWork;
use crate::meaning::{self, Heard};
use crate::ports::PortError;
use crate::retry::{self, Class};

/// How the recording is addressed outside, before its id.
const RECORDINGS: &str = "/api/v1/recordings/";
const MIME: &str = "audio/wav";

impl CallWork {
    /// Asks the provider for a recording whose callback was lost.
    pub(super) async fn find_recording(&mut self) -> Result<(), StorageError> {
        let Some((effect, sid)) = self.call().and_then(|call| Some((call.id, call.sid.clone()?))) else {
            return Ok(());
        };
        match self.desk.world.ports.telephony.recording_of(&sid).await {
            Ok(Recording::Unheard) => {
                let none = PortError::Missing("the provider tells of none".into());
                self.recording_failed("find_recording", &none).await
            }
            Ok(recording) => self.desk.receive(effect, &sid, &[Report::Recording(recording)]).await,
            Err(error) => self.recording_failed("find_recording", &error).await,
        }
    }

    /// Tries again later, or goes on without a recording.
    async fn recording_failed(&mut self, what: &str, error: &PortError) -> Result<(), StorageError> {
        let reason = error.to_string();
        if self.desk.try_again(what, retry::WORK, error.into(), &reason).await? {
            return Ok(());
        }
        self.no_recording(&reason).await
    }

    /// Brings the recording home; its media may come some seconds after its notice.
    pub(super) async fn fetch(&mut self, sid: &str, seconds: u32) -> Result<(), StorageError> {
        self.tell().await?;
        let audio = match self.desk.world.ports.telephony.recording_audio(sid).await {
            Ok(audio) => audio,
            Err(error) => return self.recording_failed("fetch", &error).await,
        };
        let bytes = audio.len();
        let key = BlobKey::recording(self.desk.lease.org, self.desk.lease.project, sid);
        let stored = match key {
            Ok(key) => self.desk.world.blobs.put(&key, audio.into()).await.map(|()| key.to_string()),
            Err(error) => Err(error),
        };
        fault::pass(Fault::RecordingStored).await;
        let key = match stored {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(ticket.id = %self.desk.id(), %error, "the recording could not be stored");
                return self.recording_failed("fetch", &PortError::Transient(error.to_string())).await;
            }
        };
        let url = format!("{RECORDINGS}{sid}");
        let mut tx = self.desk.begin().await?;
        if let Some(lead) = &self.lead {
            tx.record_recording(lead.id, &url).await?;
            let event = self.event("recording.ready", lead, json!({ "seconds": seconds }));
            tx.emit(&event).await?;
        }
        let data = json!({ "key": key, "sid": sid, "seconds": seconds, "bytes": bytes });
        let entries = vec![
            JournalEntry::step("recording", data),
            JournalEntry::stage("recorded", json!({ "seconds": seconds, "url": url })),
        ];
        let running = self.desk.running();
        self.write(tx, entries, running).await
    }

    pub(super) async fn no_recording(&mut self, reason: &str) -> Result<(), StorageError> {
        let tx = self.desk.begin().await?;
        let running = self.desk.running();
        self.write(tx, vec![JournalEntry::step("recording", json!({ "key": null, "reason": reason }))], running).await
    }

    /// Turns the recording into text.
    pub(super) async fn transcribe(&mut self) -> Result<(), StorageError> {
        self.tell().await?;
        let heard = self.listen().await;
        fault::pass(Fault::Transcribed).await;
        let (text, data, tokens) = match heard {
            Ok(Heard::Text(answer)) => {
                let data =
                    json!({ "engine": answer.engine, "tokens": answer.tokens, "characters": answer.value.len() });
                (Some(answer.value), data, answer.tokens)
            }
            Ok(Heard::Nothing(reason)) => (None, json!({ "engine": null, "reason": reason }), 0),
            Err(error) => {
                let reason = error.to_string();
                if self.desk.try_again("transcribe", retry::WORK, Class::from(&error), &reason).await? {
                    return Ok(());
                }
                (None, json!({ "engine": null, "reason": reason }), 0)
            }
        };
        let mut tx = self.desk.begin().await?;
        let mut entries = vec![JournalEntry::step("transcribe", data.clone())];
        if let (Some(lead), Some(text)) = (&self.lead, &text) {
            tx.record_meaning(lead.id, Some(text), None).await?;
            entries.push(JournalEntry::stage("transcribed", data));
        } else {
            entries.push(JournalEntry::note("not_transcribed", data));
        }
        self.charge_tokens(&mut tx, "transcribe", tokens).await?;
        let running = self.desk.running();
        self.write(tx, entries, running).await?;
        self.reload_lead().await
    }

    async fn listen(&self) -> Result<Heard, PortError> {
        let key = self.desk.done("recording").and_then(|step| step["key"].as_str()).unwrap_or_default();
        let world = &self.desk.world;
        meaning::listen(world, key, MIME, &meaning::briefing(&self.dna)).await
    }

    /// Tells what was said means; without a model by rules, which never fail.
    pub(super) async fn analyse(&mut self) -> Result<(), StorageError> {
        let transcript = self.lead.as_ref().and_then(|lead| lead.call_transcription.clone()).unwrap_or_default();
        let answer = meaning::analyse(&self.desk.world, &transcript, &meaning::briefing(&self.dna)).await;
        fault::pass(Fault::Analysed).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if self.desk.try_again("analyse", retry::WORK, Class::from(&error), &error.to_string()).await? {
                    return Ok(());
                }
                tracing::warn!(ticket.id = %self.desk.id(), %error, "analysis failed, rules decide");
                meaning::by_rules(&transcript)
            }
        };
        let mut tx = self.desk.begin().await?;
        if let Some(lead) = &self.lead {
            tx.record_meaning(lead.id, None, Some(&json!(answer.value))).await?;
            let event = self.event("call.analysed", lead, json!({ "engine": answer.engine }));
            tx.emit(&event).await?;
        }
        self.charge_tokens(&mut tx, "analyse", answer.tokens).await?;
        let data = json!({ "engine": answer.engine, "tokens": answer.tokens, "urgency": answer.value.urgency });
        let entries = vec![JournalEntry::step("analyse", data.clone()), JournalEntry::stage("analysed", data)];
        let running = self.desk.running();
        self.write(tx, entries, running).await?;
        self.reload_lead().await
    }

    async fn charge_tokens(
        &self,
        tx: &mut apex_storage::FencedTx,
        step: &str,
        tokens: i64,
    ) -> Result<(), StorageError> {
        let key = format!("tokens:{}:{step}", self.desk.id());
        self.charge(tx, &key, Resource::GeminiToken, u32::try_from(tokens).unwrap_or(u32::MAX)).await
    }

    /// Ends the ticket with all that came of it.
    pub(super) async fn finish(&mut self) -> Result<(), StorageError> {
        let begin = self.desk.done("begin").cloned().unwrap_or_default();
        let close = self.desk.done("close").cloned().unwrap_or_default();
        let mut tx = self.desk.begin().await?;
        for effect in self.desk.effects.iter().filter(|effect| effect.kind == "sms" && effect.state == "live") {
            self.charge(&mut tx, &format!("sms:{}", effect.id), Resource::TwilioSms, 1).await?;
        }
        let micros = tx.cost_of(self.desk.lease.project, self.desk.id().0).await?;
        let outcome =
            close["outcome"].as_str().unwrap_or(if begin["verdict"] == "blocked" { "not_dialled" } else { "none" });
        let texts: Vec<_> = self.desk.effects.iter().filter(|effect| effect.kind == "sms").collect();
        let result = json!({
            "outcome": outcome,
            "reason": begin.get("reason").or_else(|| close.get("reason")),
            "lead_id": self.lead_json(),
            "call_sid": self.lead.as_ref().and_then(|lead| lead.call_sid.clone()),
            "call_duration": self.lead.as_ref().and_then(|lead| lead.call_duration),
            "recording_url": self.lead.as_ref().and_then(|lead| lead.recording_url.clone()),
            "call_analysis": self.lead.as_ref().and_then(|lead| lead.call_analysis.clone()),
            "boss_texted": texts.iter().any(|effect| effect.state == "live"),
            "cost_micros": micros,
            "cost": dollars(micros),
        });
        let outcome = match final_state(outcome) {
            (TicketState::Failed, code) => Outcome::Failed(code.unwrap_or_default().into(), result),
            (TicketState::Cancelled, _) => Outcome::Cancelled(result),
            _ => Outcome::Completed(result),
        };
        self.write(tx, vec![], outcome).await
    }
}

/// How a ticket ends whose bridge ended so.
pub(crate) fn final_state(outcome: &str) -> (TicketState, Option<&'static str>) {
    match outcome {
        "held" => (TicketState::Failed, Some("call_held")),
        "cancelled" => (TicketState::Cancelled, Some("cancelled")),
        _ => (TicketState::Completed, None),
    }
}
