//! The call runner: drives one bridge from the accepted lead to the analysed call.
//!
//! Everything that was reported is folded into facts; [`decide::next`] says from facts and rows what to do; one method does
//! it and writes it down; then it is asked again. Nothing is remembered that a restart would miss.

mod aftermath;
mod begin;
mod close;
pub(crate) mod decide;

use apex_config::dna::Dna;
use apex_storage::fault::{self, Fault};
use apex_storage::model::call::{Facts, Stage};
use apex_storage::{Bridge, Effect, JournalEntry, Lead, Outcome, StorageError};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::runner::{Rest, Runner, Seat};
pub(crate) use aftermath::final_state;
use decide::{Next, Times};

/// A call ticket in the hands of its only writer.
pub(crate) struct CallRunner {
    /// `None`: there is no such ticket; its reports were marked as looked at.
    work: Option<CallWork>,
}

struct CallWork {
    desk: Desk,
    dna: Dna,
    lead: Option<Lead>,
    bridge: Option<Bridge>,
    looks: Looks,
}

/// When the provider was last asked how the call stands.
#[derive(Default)]
struct Looks {
    last: Option<DateTime<Utc>>,
    without_news: u32,
}

impl Runner for CallRunner {
    const ACTOR: &'static str = "call";

    async fn load(seat: Seat) -> Result<Self, StorageError> {
        let Some(mut desk) = Box::pin(Desk::load(seat)).await? else { return Ok(Self { work: None }) };
        let Some(dna) = desk.dna().await? else { return Ok(Self { work: None }) };
        let mut tx = desk.world.store.tree_read(desk.lease.org).await?;
        let lead = match desk.ticket.lead_id {
            Some(lead) => tx.lead(lead).await?,
            None => None,
        };
        let bridge = tx.bridge_of_ticket(desk.id()).await?;
        drop(tx);
        Ok(Self { work: Some(CallWork { desk, dna, lead, bridge, looks: Looks::default() }) })
    }

    async fn advance(&mut self) -> Result<Rest, StorageError> {
        let Some(work) = &mut self.work else { return Ok(Rest::Over) };
        fault::pass(Fault::CallBegun).await;
        work.desk.refresh().await?;
        while !work.desk.is_over() {
            let now = work.desk.decide(work.looks.without_news);
            let next = work.next(now);
            tracing::debug!(ticket.id = %work.desk.id(), ?next, "call decides");
            if let Next::Wait(until) = next {
                let told = work.stages_to_tell();
                work.desk.lay_down(until, told).await?;
                fault::pass(Fault::CallNoted).await;
                return Ok(Rest::until(until, now));
            }
            Box::pin(work.act(next)).await?;
        }
        work.desk.acknowledge().await?;
        Ok(Rest::Over)
    }
}

impl CallWork {
    /// What the reports of the bridge's own call tell together.
    fn facts(&self) -> Facts {
        let sid = self.call().and_then(|call| call.sid.as_deref());
        Facts::of(self.desk.reports.iter().filter(|row| Some(row.sid.as_str()) == sid).map(|row| &row.report))
    }

    /// The call to the boss.
    fn call(&self) -> Option<&Effect> {
        self.desk.effects.iter().find(|effect| effect.kind == "call")
    }

    fn next(&self, now: DateTime<Utc>) -> Next {
        decide::next(&decide::Situation {
            now,
            deadline: self.desk.ticket.deadline_at,
            cancelled: self.desk.cancel_requested(),
            steps: &self.desk.steps,
            call: self.call(),
            facts: &self.facts(),
            record: self.bridge.as_ref().is_some_and(|bridge| bridge.plan.record),
            delivery: self.desk.deliver_next(now),
            memory: &self.desk.memory,
            last_report: self.desk.reports.last().map(|row| row.received_at),
            last_look: self.looks.last,
            looks_without_news: self.looks.without_news,
            times: Times::of(&self.desk.world.rules),
        })
    }

    async fn act(&mut self, next: Next) -> Result<(), StorageError> {
        match next {
            Next::Begin => self.begin().await,
            Next::Deliver(delivery) => self.desk.deliver(delivery).await,
            Next::Expire => self.expire().await,
            Next::Withdraw(effect, reason) => self.desk.withdraw(effect, reason).await,
            Next::HangUp(sid) => self.hang_up(&sid).await,
            Next::LookAt(effect) => self.look_at(effect).await,
            Next::TellHeld => self.tell_held().await,
            Next::Close(ending) => self.close(ending).await,
            Next::FindRecording => self.find_recording().await,
            Next::Fetch { sid, seconds } => self.fetch(&sid, seconds).await,
            Next::NoRecording(reason) => self.no_recording(reason).await,
            Next::Transcribe => self.transcribe().await,
            Next::Analyse => self.analyse().await,
            Next::Finish => self.finish().await,
            Next::Wait(_) => Ok(()),
        }
    }

    /// The stages that the facts prove and the journal does not tell yet, oldest first.
    fn stages_to_tell(&self) -> Vec<JournalEntry> {
        let facts = self.facts();
        let stages = facts.stages().into_iter().map(Stage::as_str);
        let new = stages.filter(|stage| !self.desk.stages.contains(*stage));
        new.map(|stage| JournalEntry::stage(stage, json!({}))).collect()
    }

    /// Writes steps and stages together with whatever the facts prove meanwhile.
    async fn write(
        &mut self,
        tx: apex_storage::FencedTx,
        entries: Vec<JournalEntry>,
        outcome: Outcome,
    ) -> Result<(), StorageError> {
        let mut all = self.stages_to_tell();
        all.extend(entries);
        self.desk.commit(tx, all, outcome).await
    }

    /// In hand, with everything told that is known: before anything that takes long.
    async fn tell(&mut self) -> Result<(), StorageError> {
        let tx = self.desk.begin().await?;
        let running = self.desk.running();
        self.write(tx, vec![], running).await
    }

    async fn expire(&mut self) -> Result<(), StorageError> {
        let tx = self.desk.begin().await?;
        let result = json!({ "lead_id": self.lead_json(), "deadline_at": self.desk.ticket.deadline_at });
        self.write(tx, vec![], Outcome::Failed("deadline_passed".into(), result)).await
    }

    async fn hang_up(&mut self, sid: &str) -> Result<(), StorageError> {
        if let Err(error) = self.desk.world.ports.telephony.hang_up(sid).await {
            tracing::warn!(ticket.id = %self.desk.id(), %error, "the call could not be ended");
        }
        fault::pass(Fault::CallHungUp).await;
        let tx = self.desk.begin().await?;
        let running = self.desk.running();
        self.write(tx, vec![JournalEntry::note("hung_up", json!({ "sid": sid }))], running).await
    }

    /// A call that fell silent is looked at; what the provider says is committed as if it had called back.
    async fn look_at(&mut self, effect: apex_storage::model::EffectId) -> Result<(), StorageError> {
        let sid = self.desk.effect(effect)?.sid.clone().unwrap_or_default();
        let before = self.facts();
        self.looks.last = Some(self.desk.now());
        match self.desk.world.ports.telephony.look_at(&sid).await {
            Ok(found) => self.desk.receive(effect, &sid, &found).await?,
            Err(error) => tracing::warn!(ticket.id = %self.desk.id(), %error, "the call could not be looked at"),
        }
        self.looks.without_news = if self.facts() == before { self.looks.without_news + 1 } else { 0 };
        Ok(())
    }

    fn lead_json(&self) -> Value {
        json!(self.lead.as_ref().map(|lead| lead.id))
    }
}
