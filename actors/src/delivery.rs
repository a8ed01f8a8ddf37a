//! How calls and messages leave the house: the intent first, one try, and an unclear answer is looked up, never repeated
//! blindly.
//!
//! [`next`] decides from rows alone; the methods of [`Desk`] do one thing each and write it down.

use apex_storage::fault::{self, Fault};
use apex_storage::model::{EffectId, TicketState};
use apex_storage::{Effect, InboxRow, JournalEntry, Node, StorageError};
use chrono::{DateTime, Duration, Utc};
use serde_json::json;

use crate::desk::{Desk, Memory};
use crate::metrics;
use crate::ports::{CallRequest, SendError, TextRequest};

/// How often an unclear effect is looked for.
const LOOK_EVERY: Duration = Duration::seconds(1);
/// Longest wait between two tries that the provider did not take.
const LONGEST_BACKOFF: i64 = 30;
/// How long a number stays busy for us while another call to it is unclear.
const BUSY_NUMBER: Duration = Duration::milliseconds(250);

/// The next thing to do for a ticket's effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// A callback names the provider's id of an effect.
    Bind(EffectId, String),
    /// A second call answers to an effect that has its call: end it.
    Surplus(EffectId, String),
    /// It may be sent.
    Send(EffectId),
    /// It was being sent when its sender died: nobody knows.
    Doubt(EffectId),
    /// Ask the provider whether it happened.
    LookUp(EffectId),
    /// It cannot have happened and its sender is gone: it may be sent again.
    Again(EffectId),
    /// It may have happened and its sender may still act: set it aside.
    Hold(EffectId),
    /// Nothing before this time.
    Wait(DateTime<Utc>),
    /// Every effect is settled.
    Settled,
}

/// What a decision about effects looks at.
pub(crate) struct Situation<'a> {
    pub effects: &'a [Effect],
    pub reports: &'a [InboxRow],
    pub memory: &'a Memory,
    pub node: &'a Node,
    pub now: DateTime<Utc>,
    pub lookup_for: Duration,
}

/// Decides. The order matters: what is known is written down before anything new is begun.
pub(crate) fn next(s: &Situation<'_>) -> Delivery {
    if let Some(known) = s.effects.iter().find_map(|effect| claimed_by_report(s, effect)) {
        return known;
    }
    let mut wait: Option<DateTime<Utc>> = None;
    for effect in s.effects {
        match one(s, effect) {
            Delivery::Settled => {}
            Delivery::Wait(at) => wait = Some(wait.map_or(at, |earlier| earlier.min(at))),
            other => return other,
        }
    }
    wait.map_or(Delivery::Settled, Delivery::Wait)
}

/// The first id that a callback names is the effect's; any other is surplus.
fn claimed_by_report(s: &Situation<'_>, effect: &Effect) -> Option<Delivery> {
    let mut named = s.reports.iter().filter(|row| row.effect_id == effect.id);
    match (&effect.sid, effect.state.as_str()) {
        (None, "sending" | "unknown" | "held") => named.next().map(|row| Delivery::Bind(effect.id, row.sid.clone())),
        (Some(sid), _) if effect.kind == "call" => named
            .find(|row| row.sid != *sid && !s.memory.hung_up.contains(&row.sid))
            .map(|row| Delivery::Surplus(effect.id, row.sid.clone())),
        _ => None,
    }
}

fn one(s: &Situation<'_>, effect: &Effect) -> Delivery {
    let rested = |what: &str| s.memory.not_before(what).filter(|at| *at > s.now);
    match effect.state.as_str() {
        "intended" => rested(&try_of(effect.id)).map_or(Delivery::Send(effect.id), Delivery::Wait),
        "sending" => Delivery::Doubt(effect.id),
        "unknown" => {
            let deadline = effect.sent_at.unwrap_or(effect.created_at) + s.lookup_for;
            match rested(&look_of(effect.id)) {
                Some(at) => Delivery::Wait(at.min(deadline.max(s.now + Duration::milliseconds(50)))),
                // At least one look, also when the time has run out while nobody was there.
                None if s.now < deadline || s.memory.tries(&look_of(effect.id)) == 0 => Delivery::LookUp(effect.id),
                None if effect.sender.as_deref().is_some_and(|sender| s.node.outlived(sender)) => {
                    Delivery::Again(effect.id)
                }
                None => Delivery::Hold(effect.id),
            }
        }
        _ => Delivery::Settled,
    }
}

fn try_of(effect: EffectId) -> String {
    format!("send:{effect}")
}

fn look_of(effect: EffectId) -> String {
    format!("look:{effect}")
}

impl Desk {
    pub fn deliver_next(&self) -> Delivery {
        next(&Situation {
            effects: &self.effects,
            reports: &self.reports,
            memory: &self.memory,
            node: &self.node,
            now: self.now(),
            lookup_for: Duration::from_std(self.world.rules.lookup_for).unwrap_or(Duration::MAX),
        })
    }

    /// Does one thing; `Wait` and `Settled` are the caller's to act on.
    pub async fn deliver(&mut self, delivery: Delivery) -> Result<(), StorageError> {
        match delivery {
            Delivery::Bind(id, sid) => self.bind(id, &sid, "callback").await,
            Delivery::Surplus(id, sid) => self.end_surplus(id, &sid).await,
            Delivery::Send(id) => self.send(id).await,
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
        if effect.kind == "call" {
            let wait = self.world.lane.reserve(self.world.store.clock().monotonic());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let mut tx = self.begin().await?;
        let journal = apex_storage::Journal { seen: self.ticket.seq, entries: vec![], outcome: self.running() };
        tx.write_journal(self.ticket.id, &journal).await?;
        let sending = tx.mark_sending(id).await?;
        self.ticket.state = TicketState::Running;
        if !sending {
            self.memory.put_off(&try_of(id), self.now() + BUSY_NUMBER);
            return self.reload_effects().await;
        }
        let (now, node) = (self.now(), self.node.id.clone());
        self.change(id, |effect| {
            effect.state = "sending".into();
            effect.sender = Some(node);
            effect.sent_at = Some(now);
        });
        let answer = if effect.kind == "call" { self.place_call(&effect).await } else { self.send_text(&effect).await };
        self.note_answer(id, answer).await
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
            Err(SendError::NotSent { reason, retry_after }) => {
                let tries = self.memory.tries(&try_of(id));
                let backoff = Duration::seconds((1_i64 << tries.min(5)).min(LONGEST_BACKOFF));
                let asked = retry_after.and_then(|wait| Duration::from_std(wait).ok()).unwrap_or_default();
                self.memory.tried(&try_of(id), self.now() + backoff.max(asked));
                let mut tx = self.begin().await?;
                tx.intend_again(id).await?;
                self.commit(tx, vec![note("not_sent", id, &reason)], self.running()).await?;
                self.change(id, back_to_intended);
                Ok(())
            }
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
            return Err(StorageError::Stale);
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
        self.memory.tried(&look_of(id), self.now() + LOOK_EVERY);
        let effect = self.effect(id)?.clone();
        let Some(to) = &effect.to_number else { return Ok(()) };
        let from = effect.from_number.clone().unwrap_or_default();
        let telephony = &self.world.ports.telephony;
        let found = match effect.kind.as_str() {
            "call" => telephony.find_calls(to, &from).await,
            _ => telephony.find_texts(to, &from, effect.body.as_deref().unwrap_or_default()).await,
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(ticket.id = %self.ticket.id, effect.id = %id, %error, "look-up failed");
                return Ok(());
            }
        };
        let since = effect.sent_at.unwrap_or(effect.created_at) - Duration::seconds(5);
        let mut ours = Vec::new();
        let mut tx = self.world.store.tenant_read(self.lease.org).await?;
        for found in found.into_iter().filter(|found| found.created_at.is_none_or(|at| at >= since)) {
            if !tx.sid_is_bound(&found.sid).await? {
                ours.push(found.sid);
            }
        }
        drop(tx);
        match ours.as_slice() {
            [sid] => self.bind(id, sid, "look_up").await,
            _ => Ok(()),
        }
    }

    async fn send_again(&mut self, id: EffectId) -> Result<(), StorageError> {
        let mut tx = self.begin().await?;
        tx.intend_again(id).await?;
        self.commit(
            tx,
            vec![note("sent_again", id, "its sender is gone and the provider has nothing")],
            self.running(),
        )
        .await?;
        self.change(id, back_to_intended);
        Ok(())
    }

    async fn hold(&mut self, id: EffectId) -> Result<(), StorageError> {
        const REASON: &str = "no answer, and the provider has nothing yet";
        let mut tx = self.begin().await?;
        tx.mark_held(id, REASON).await?;
        let entry = JournalEntry::stage("held", json!({ "effect_id": id, "reason": REASON }));
        self.commit(tx, vec![entry], self.running()).await?;
        metrics::effect("held");
        self.change(id, |effect| {
            effect.state = "held".into();
            effect.reason = Some(REASON.into());
        });
        Ok(())
    }

    async fn end_surplus(&mut self, id: EffectId, sid: &str) -> Result<(), StorageError> {
        self.memory.hung_up.insert(sid.to_owned());
        if let Err(error) = self.world.ports.telephony.hang_up(sid).await {
            tracing::warn!(ticket.id = %self.ticket.id, %error, "a surplus call could not be ended");
        }
        let tx = self.begin().await?;
        self.commit(tx, vec![note("surplus_call_ended", id, sid)], self.running()).await
    }

    pub async fn reload_effects(&mut self) -> Result<(), StorageError> {
        let mut tx = self.world.store.tenant_read(self.lease.org).await?;
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
