//! How calls and messages leave the house: the intent first, one try, and an unclear answer is looked up, never repeated
//! blindly.
//!
//! [`next`] decides from rows alone; the methods of [`Desk`] do one thing each and write it down.

mod next;

use apex_storage::fault::{self, Fault};
use apex_storage::model::EffectId;
use apex_storage::{Effect, JournalEntry, StorageError};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use crate::desk::Desk;
use crate::metrics;
use crate::ports::{CallRequest, PortError, SendError, TextRequest};
use crate::retry::{self, Class, Verdict};
use next::{look_of, send_of};

pub(crate) use next::{Delivery, HELD, Situation, WITHHELD, next};

/// How often an unclear effect is looked for.
const LOOK_EVERY: Duration = Duration::seconds(1);
/// How often an effect that was set aside is looked for, once its sender is gone.
const HELD_LOOK_EVERY: Duration = Duration::seconds(10);
/// A provider's clock and ours differ by less; what it made earlier is none of ours.
const CLOCKS_APART: Duration = Duration::hours(2);
/// How long an effect waits before it looks again whether another one to its number is still unclear.
const BUSY_NUMBER: Duration = Duration::milliseconds(500);

impl Desk {
    /// The next thing to do, as things stood at `now`.
    pub fn deliver_next(&self, now: DateTime<Utc>) -> Delivery {
        next(&Situation {
            effects: &self.effects,
            reports: &self.reports,
            memory: &self.memory,
            node: &self.node.id,
            now,
            lookup_for: Duration::from_std(self.world.rules.lookup_for).unwrap_or(Duration::MAX),
            hold: self.world.rules.hold_effects,
        })
    }

    /// Does one thing; `Wait` and `Settled` are the caller's to act on.
    pub async fn deliver(&mut self, delivery: Delivery) -> Result<(), StorageError> {
        match delivery {
            Delivery::Bind(id, sid) => self.bind(id, &sid, "callback").await,
            Delivery::Surplus(id, sid) => self.end_surplus(id, &sid).await,
            Delivery::Send(id) => self.send(id).await,
            Delivery::Withhold(id) => self.withhold(id).await,
            Delivery::Drop(id) => self.withdraw(id, "cancelled by a person").await,
            Delivery::Doubt(id) => self.doubt(id, "the sender died while it was sending").await,
            Delivery::LookUp(id) => self.look_up(id).await,
            Delivery::Again(id) => self.send_again(id).await,
            Delivery::Hold(id) => self.hold(id).await,
            Delivery::Wait(_) | Delivery::Settled => Ok(()),
        }
    }

    pub fn effect(&self, id: EffectId) -> Result<&Effect, StorageError> {
        self.effects.iter().find(|effect| effect.id == id).ok_or(StorageError::Stale)
    }

    fn change(&mut self, id: EffectId, change: impl FnOnce(&mut Effect)) {
        if let Some(effect) = self.effects.iter_mut().find(|effect| effect.id == id) {
            change(effect);
        }
    }

    async fn send(&mut self, id: EffectId) -> Result<(), StorageError> {
        let effect = self.effect(id)?.clone();
        if self.is_number_busy(&effect).await? {
            self.memory.put_off(&send_of(id), self.now() + BUSY_NUMBER);
            return Ok(());
        }
        if effect.kind == "call" {
            let wait = self.world.lane.reserve(self.world.store.clock().monotonic());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let mut tx = self.begin().await?;
        let sending = JournalEntry::note("sending", json!({ "effect_id": id, "node": self.node.id }));
        let journal = self.journal(vec![sending], self.running());
        let (seq, now) = (tx.write_journal(self.ticket.id, &journal).await?, tx.now());
        if !tx.mark_sending(id).await? {
            self.memory.put_off(&send_of(id), self.now() + BUSY_NUMBER);
            return self.reload_effects().await;
        }
        self.written(journal, seq, now);
        self.forget_basis(); // what comes next is the answer
        let node = self.node.id.clone();
        self.change(id, |effect| {
            effect.state = "sending".into();
            effect.sender = Some(node);
            effect.sent_at = Some(now);
        });
        let answer = if effect.kind == "call" { self.place_call(&effect).await } else { self.send_text(&effect).await };
        self.note_answer(id, answer).await
    }

    /// Asked before anything is written: a boss with many leads has many that wait.
    async fn is_number_busy(&self, effect: &Effect) -> Result<bool, StorageError> {
        let mut tx = self.world.store.tree_read(self.lease.org).await?;
        Ok(tx.unclear_neighbour(effect).await?.is_some_and(|state| state != "held"))
    }

    async fn place_call(&self, effect: &Effect) -> Result<String, SendError> {
        fault::pass(Fault::CallSending).await;
        let (about, world) = (self.callback(effect), &self.world);
        let Some(to) = effect.to_number.clone() else { return Err(nowhere()) };
        let request = CallRequest {
            to,
            from: effect.from_number.clone().unwrap_or_default(),
            answer_url: about.url(&world.public_url, "voice/whisper"),
            status_url: about.url(&world.public_url, "voice/status"),
            ring_seconds: seconds(world.rules.ring_timeout),
            max_seconds: seconds(world.rules.max_duration),
        };
        let answer = world.ports.telephony.place_call(&request).await;
        fault::pass(Fault::CallAnswered).await;
        answer
    }

    async fn send_text(&self, effect: &Effect) -> Result<String, SendError> {
        fault::pass(Fault::SmsSending).await;
        let Some(to) = effect.to_number.clone() else { return Err(nowhere()) };
        let request = TextRequest {
            to,
            from: effect.from_number.clone().unwrap_or_default(),
            body: effect.body.clone().unwrap_or_default(),
            status_url: self.callback(effect).url(&self.world.public_url, "sms/status"),
        };
        let answer = self.world.ports.telephony.send_text(&request).await;
        fault::pass(Fault::SmsAnswered).await;
        answer
    }

    async fn note_answer(&mut self, id: EffectId, answer: Result<String, SendError>) -> Result<(), StorageError> {
        match answer {
            Ok(sid) => {
                self.bind(id, &sid, "answer").await?;
                fault::pass(Fault::CallLive).await;
                Ok(())
            }
            Err(SendError::NotSent { reason, retry_after }) => self.put_back(id, &reason, retry_after).await,
            Err(SendError::Refused { code, reason }) => {
                let reason = format!("{code}: {reason}");
                let mut tx = self.begin().await?;
                tx.mark_refused(id, &reason).await?;
                self.commit(tx, vec![note("refused", id, &code)], self.running()).await?;
                metrics::effect("refused");
                self.change(id, |effect| {
                    effect.state = "refused".into();
                    effect.reason = Some(reason);
                });
                Ok(())
            }
            Err(SendError::Unknown(reason)) => self.doubt(id, &reason).await,
        }
    }

    /// The provider certainly did not take it: it is tried again later.
    async fn put_back(
        &mut self,
        id: EffectId,
        reason: &str,
        retry_after: Option<std::time::Duration>,
    ) -> Result<(), StorageError> {
        let what = send_of(id);
        let (nth, asked) = (self.memory.tries(&what) + 1, retry_after.and_then(|wait| Duration::from_std(wait).ok()));
        let Verdict::Again(wait) = retry::SEND.judge(nth, Class::Retryable, asked, apex_storage::clock::jitter())
        else {
            return self.withdraw(id, "not sent").await;
        };
        let mut tx = self.begin().await?;
        tx.intend_again(id).await?;
        let data = json!({ "effect_id": id, "reason": reason, "what": what, "try": nth, "until": tx.now() + wait });
        self.commit(tx, vec![JournalEntry::note("not_sent", data)], self.running()).await?;
        metrics::retried(Class::Retryable.as_str());
        self.change(id, back_to_intended);
        Ok(())
    }

    /// Everything is held: the ticket waits for a person.
    async fn withhold(&mut self, id: EffectId) -> Result<(), StorageError> {
        let tx = self.begin().await?;
        self.commit(tx, vec![JournalEntry::stage(WITHHELD, json!({ "effect_id": id }))], self.running()).await
    }

    /// Gives up an effect that was not sent.
    pub async fn withdraw(&mut self, id: EffectId, reason: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        tx.mark_refused(id, reason).await?;
        self.commit(tx, vec![note("withdrawn", id, reason)], self.running()).await?;
        self.change(id, |effect| {
            effect.state = "refused".into();
            effect.reason = Some(reason.to_owned());
        });
        Ok(())
    }

    async fn bind(&mut self, id: EffectId, sid: &str, by: &str) -> Result<(), StorageError> {
        let is_call = self.effect(id)?.kind == "call";
        let mut tx = self.begin().await?;
        if !tx.mark_live(id, sid).await? {
            tracing::error!(ticket.id = %self.ticket.id, effect.id = %id, "another effect has the provider's id");
            self.memory.hung_up.insert(sid.to_owned());
            return Ok(());
        }
        let data = json!({ "effect_id": id, "sid": sid, "by": by });
        let is_news = is_call && !self.stages.contains("dial_requested");
        let entry =
            if is_news { JournalEntry::stage("dial_requested", data) } else { JournalEntry::note("bound", data) };
        self.commit(tx, vec![entry], self.running()).await?;
        metrics::effect("live");
        let sid = sid.to_owned();
        self.change(id, |effect| {
            effect.state = "live".into();
            effect.sid = Some(sid);
            effect.reason = None;
        });
        Ok(())
    }

    async fn doubt(&mut self, id: EffectId, reason: &str) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        tx.mark_unknown(id).await?;
        self.commit(tx, vec![note("unclear", id, reason)], self.running()).await?;
        metrics::effect("unknown");
        self.change(id, |effect| effect.state = "unknown".into());
        Ok(())
    }

    /// Asks the provider. The only call that nobody here knows is ours: at most one to a number is unclear at a time.
    async fn look_up(&mut self, id: EffectId) -> Result<(), StorageError> {
        let effect = self.effect(id)?.clone();
        let pace = if effect.state == "held" { HELD_LOOK_EVERY } else { LOOK_EVERY };
        self.memory.put_off(&look_of(id), self.now() + pace);
        self.memory.looked.insert(id, false); // until the provider says otherwise
        match self.find(&effect).await? {
            Ok(found) => match found.as_slice() {
                [sid] => return self.bind(id, sid, "look_up").await,
                found => drop(self.memory.looked.insert(id, found.is_empty())),
            },
            Err(error) => tracing::warn!(ticket.id = %self.ticket.id, effect.id = %id, %error, "look-up failed"),
        }
        Ok(())
    }

    /// Ids at the provider that may be the effect's.
    async fn find(&self, effect: &Effect) -> Result<Result<Vec<String>, PortError>, StorageError> {
        let mut tx = self.world.store.tree_read(self.lease.org).await?;
        if tx.unclear_neighbour(effect).await?.is_some() {
            return Ok(Err(PortError::Missing("another one to the number is unclear, too".into())));
        }
        drop(tx);
        let Some(to) = &effect.to_number else { return Ok(Ok(vec![])) };
        let from = effect.from_number.clone().unwrap_or_default();
        let telephony = &self.world.ports.telephony;
        let found = match effect.kind.as_str() {
            "call" => telephony.find_calls(to, &from).await,
            _ => telephony.find_texts(to, &from, effect.body.as_deref().unwrap_or_default()).await,
        };
        fault::pass(Fault::CallLookedUp).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let since = effect.sent_at.unwrap_or(effect.created_at) - CLOCKS_APART;
        let mut ours = Vec::new();
        let mut tx = self.world.store.tree_read(self.lease.org).await?;
        for found in found.into_iter().filter(|found| found.created_at.is_none_or(|at| at >= since)) {
            if !tx.sid_is_of_another(&found.sid, effect.id).await? {
                ours.push(found.sid);
            }
        }
        Ok(Ok(ours))
    }

    async fn send_again(&mut self, id: EffectId) -> Result<(), StorageError> {
        let reason = match self.effect(id)?.verdict.as_deref() {
            Some("release") => "released by a person",
            _ => "its sender is gone and the provider has nothing",
        };
        let mut tx = self.begin().await?;
        tx.intend_again(id).await?;
        self.commit(tx, vec![note("sent_again", id, reason)], self.running()).await?;
        self.change(id, back_to_intended);
        Ok(())
    }

    async fn hold(&mut self, id: EffectId) -> Result<(), StorageError> {
        const REASON: &str = "no answer, and the provider has nothing yet";
        let mut tx = self.begin().await?;
        tx.mark_held(id, REASON).await?;
        let data = json!({ "effect_id": id, "reason": REASON });
        let is_news = !self.memory.has_told(HELD, id);
        let entry = if is_news { JournalEntry::stage(HELD, data) } else { JournalEntry::note(HELD, data) };
        self.commit(tx, vec![entry], self.running()).await?;
        metrics::effect("held");
        self.change(id, |effect| {
            effect.state = "held".into();
            effect.reason = Some(REASON.into());
            effect.verdict = None;
        });
        Ok(())
    }

    async fn end_surplus(&mut self, id: EffectId, sid: &str) -> Result<(), StorageError> {
        if let Err(error) = self.world.ports.telephony.hang_up(sid).await {
            tracing::warn!(ticket.id = %self.ticket.id, %error, "a surplus call could not be ended");
        }
        fault::pass(Fault::CallHungUp).await;
        let tx = self.begin().await?;
        let data = json!({ "effect_id": id, "sid": sid });
        self.commit(tx, vec![JournalEntry::note("surplus_call_ended", data)], self.running()).await
    }

    pub async fn reload_effects(&mut self) -> Result<(), StorageError> {
        let mut tx = self.world.store.tree_read(self.lease.org).await?;
        self.effects = tx.effects_of_ticket(self.ticket.id).await?;
        Ok(())
    }
}

fn back_to_intended(effect: &mut Effect) {
    effect.state = "intended".into();
    effect.sender = None;
    effect.sender_fence = None;
    effect.sent_at = None;
}

fn note(what: &str, effect: EffectId, reason: &str) -> JournalEntry {
    JournalEntry::note(what, json!({ "effect_id": effect, "reason": reason }))
}

fn nowhere() -> SendError {
    SendError::Refused { code: "no_number".into(), reason: "the effect has no number to go to".into() }
}

fn seconds(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
