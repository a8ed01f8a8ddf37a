//! What every runner has on its desk: its ticket, the effects and reports of it, and the one way to write them.
//!
//! Memory equals rows after each commit. An error means that it may not: the actor dies, and the next one reads again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apex_storage::fault::{self, Fault};
use apex_storage::model::call::Report;
use apex_storage::model::{EffectId, InboxId, TicketId, TicketState};
use apex_storage::{
    Effect, FencedTx, InboxRow, Journal, JournalEntry, Lease, NewInboxRow, Node, Outcome, Project, StorageError,
    Ticket, TicketEvent,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::callback::CallbackRef;
use crate::context;
use crate::memory::Memory;
use crate::metrics;
use crate::retry::{Class, RetryRule, Verdict};
use crate::runner::Seat;
use crate::world::World;

/// How long an actor may have a ticket in hand before the sweeper looks whether it still lives.
const IN_HAND: Duration = Duration::seconds(90);
/// Deaths in hand after which a ticket is set aside.
const MAX_CRASHES: i64 = 3;
/// Most journal entries that are read back.
pub(crate) const JOURNAL_LIMIT: i64 = 10_000;
/// Dead letters of one correlation at which a person is alerted, and at each multiple of it.
const ALERT_AT: i64 = 3;
/// A time that lies further ahead was written before the clock was set back.
pub(crate) const CLOCK_SET_BACK: Duration = Duration::seconds(5);

/// A ticket and all that belongs to it.
pub(crate) struct Desk {
    pub world: Arc<World>,
    pub lease: Lease,
    pub node: Node,
    pub ticket: Ticket,
    pub project: Project,
    pub effects: Vec<Effect>,
    pub reports: Vec<InboxRow>,
    /// What is done: the recorded answers of steps, by name.
    pub steps: HashMap<String, Value>,
    /// The stages that were told.
    pub stages: HashSet<String>,
    pub memory: Memory,
    /// What the decision in hand looks at; `None`: an answer is being noted.
    basis: Option<Basis>,
    /// The reports that a journalled decision has heard.
    heard: HashSet<InboxId>,
    /// Reports that were marked as looked at.
    handled: usize,
    newest_stage: Option<String>,
}

impl Desk {
    /// Reads everything. `None`: there is no such ticket.
    pub async fn load(seat: Seat) -> Result<Option<Self>, StorageError> {
        let Seat { world, lease, node, ticket, panicked } = seat;
        let mut tx = world.store.fenced(&lease).await?;
        let (row, project) = match (tx.ticket(ticket).await?, tx.project(lease.project).await?) {
            (Some(row), Some(project)) => (row, project),
            (row, _) => return let_go(tx, ticket, row).await.map(|()| None),
        };
        let effects = tx.effects_of_ticket(ticket).await?;
        let reports = tx.reports(ticket).await?;
        let journal = tx.ticket_events(ticket, 0, JOURNAL_LIMIT).await?;
        let crashes = if panicked { tx.count_crash(ticket).await? } else { row.crashes };
        tx.commit().await?;
        let of_kind = |kind: &'static str| {
            journal
                .iter()
                .filter(move |event| event.kind == kind)
                .filter_map(|event| Some((event.step.clone()?, event)))
        };
        let mut desk = Self {
            steps: of_kind("step").map(|(name, event)| (name, event.data.clone())).collect(),
            stages: of_kind("stage").map(|(name, _)| name).collect(),
            newest_stage: context::newest_stage(&journal).map(str::to_owned),
            world,
            lease,
            node,
            ticket: row,
            project,
            effects,
            reports,
            memory: Memory::of(&journal),
            basis: None,
            heard: bases(&journal).flat_map(|basis| basis.heard).collect(),
            handled: 0,
        };
        if crashes >= MAX_CRASHES && !desk.is_over() {
            tracing::error!(ticket.id = %ticket, crashes, "ticket set aside: its actor died with it in hand too often");
            let tx = desk.begin().await?;
            desk.commit(tx, vec![], Outcome::Dead("crashed".into())).await?;
        }
        Ok(Some(desk))
    }

    /// Reads what others write: new reports, and whether somebody asked for the end.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        let mut tx = self.world.store.tenant_read(self.lease.org).await?;
        self.reports = tx.reports(self.ticket.id).await?;
        let ticket = tx.ticket(self.ticket.id).await?.ok_or(StorageError::Stale)?;
        if ticket.seq != self.ticket.seq {
            return Err(StorageError::Stale);
        }
        if ticket.wake != self.ticket.wake {
            self.effects = tx.effects_of_ticket(self.ticket.id).await?; // somebody passed a verdict on them
        }
        self.ticket = ticket;
        Ok(())
    }

    /// The time of a decision that is made now; what it leads to is written together with what it looked at.
    pub fn decide(&mut self, looks: u32) -> DateTime<Utc> {
        let at = self.now();
        let waiting = |effect: &&Effect| matches!(effect.state.as_str(), "intended" | "held");
        let unclear = |effect: &Effect| matches!(effect.state.as_str(), "unknown" | "held");
        let verdict = |effect: &Effect| Some((effect.id, effect.verdict.clone()?));
        self.basis = Some(Basis {
            at,
            heard: self.reports.iter().map(|row| row.id).filter(|id| !self.heard.contains(id)).collect(),
            cancelled: self.cancel_requested(),
            hold: self.world.rules.hold_effects,
            deadline: self.ticket.deadline_at,
            verdicts: self.effects.iter().filter(waiting).filter_map(verdict).collect(),
            waits: self
                .memory
                .not_before
                .iter()
                .filter(|(_, until)| **until > at)
                .map(|(k, v)| (k.clone(), *v))
                .collect(),
            looked: self.memory.looked.clone(),
            looks,
            node: self.effects.iter().any(unclear).then(|| self.node.id.clone()),
        });
        at
    }

    /// What is written next is an answer from outside, not a decision.
    pub fn forget_basis(&mut self) {
        self.basis = None;
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.world.store.now()
    }

    pub fn is_over(&self) -> bool {
        self.ticket.state.is_final()
    }

    pub fn cancel_requested(&self) -> bool {
        self.ticket.cancel_requested_at.is_some()
    }

    pub fn done(&self, step: &str) -> Option<&Value> {
        self.steps.get(step)
    }

    pub fn id(&self) -> TicketId {
        self.ticket.id
    }

    pub fn callback(&self, effect: &Effect) -> CallbackRef {
        CallbackRef {
            org: self.lease.org,
            project: self.lease.project,
            ticket: self.ticket.id,
            bridge: effect.bridge_id,
            effect: effect.id,
        }
    }

    pub async fn begin(&self) -> Result<FencedTx, StorageError> {
        self.world.store.fenced(&self.lease).await
    }

    /// In hand from now on; the sweeper looks again should this actor die.
    pub fn running(&self) -> Outcome {
        Outcome::Running(self.now() + IN_HAND)
    }

    /// Whether anything is known that no commit has told yet.
    pub fn has_news(&self) -> bool {
        self.reports.len() > self.handled
    }

    /// The time of the newest report, unless all were marked as looked at. Not the last one's: clocks are set back.
    fn newest_report(&self) -> Option<DateTime<Utc>> {
        self.reports.iter().map(|row| row.received_at).max().filter(|_| self.has_news())
    }

    /// Appends to the journal, marks the reports as looked at, commits, and makes memory equal to the rows.
    pub async fn commit(
        &mut self,
        mut tx: FencedTx,
        entries: Vec<JournalEntry>,
        outcome: Outcome,
    ) -> Result<(), StorageError> {
        let reports = self.reports.len();
        if let Some(newest) = self.newest_report() {
            tx.mark_handled(self.ticket.id, newest).await?;
        }
        if let Outcome::Dead(code) = &outcome {
            self.bury(&mut tx, code).await?;
        }
        let journal = self.journal(entries, outcome);
        let seq = tx.write_journal(self.ticket.id, &journal).await?;
        let now = tx.now();
        tx.commit().await?;
        self.handled = reports;
        self.written(journal, seq, now);
        if self.is_over() {
            metrics::ticket_ended(&self.ticket);
            fault::pass(Fault::TicketEnded).await;
        }
        Ok(())
    }

    /// A write to the ticket as it stands. What the decision looked at goes with the first entry, if there is one.
    pub fn journal(&self, entries: Vec<JournalEntry>, outcome: Outcome) -> Journal {
        let is_told = !entries.is_empty() || outcome.state().is_final();
        let basis = self.basis.as_ref().filter(|_| is_told).map(|basis| json!(basis));
        Journal { seen: self.ticket.seq, wake: self.ticket.wake, basis, entries, outcome }
    }

    /// Makes memory equal to what was committed, and tells readers.
    pub fn written(&mut self, journal: Journal, seq: i64, now: DateTime<Utc>) {
        if let Some(basis) = self.basis.as_mut().filter(|_| journal.basis.is_some()) {
            self.heard.extend(basis.heard.drain(..));
        }
        self.apply(journal, seq, now);
        self.publish();
    }

    async fn bury(&self, tx: &mut FencedTx, code: &str) -> Result<(), StorageError> {
        let deaths = tx.bury(&self.ticket, code).await?;
        let repeated = deaths % ALERT_AT == 0;
        metrics::dead_letter(repeated);
        if repeated {
            tracing::error!(ticket.id = %self.ticket.id, deaths, "the same work was set aside again and again");
        }
        Ok(())
    }

    /// Notes a failed try of a piece of work and puts it off; `false`: it has failed for good, and nothing was written.
    pub async fn try_again(
        &mut self,
        what: &str,
        rule: RetryRule,
        class: Class,
        reason: &str,
    ) -> Result<bool, StorageError> {
        let nth = self.memory.tries(what) + 1;
        let Verdict::Again(wait) = rule.judge(nth, class, None, apex_storage::clock::jitter()) else {
            return Ok(false);
        };
        tracing::warn!(ticket.id = %self.ticket.id, what, reason, nth, "failed, trying again");
        let tx = self.begin().await?;
        let data =
            json!({ "what": what, "try": nth, "until": tx.now() + wait, "class": class.as_str(), "reason": reason });
        self.commit(tx, vec![JournalEntry::note("retry", data)], self.running()).await?;
        metrics::retried(class.as_str());
        Ok(true)
    }

    fn apply(&mut self, journal: Journal, seq: i64, now: DateTime<Utc>) {
        for entry in journal.entries {
            let Some(name) = entry.step else { continue };
            match entry.kind {
                "step" => {
                    self.steps.insert(name, entry.data);
                }
                "stage" => {
                    metrics::stage(&name, now - self.ticket.created_at);
                    self.newest_stage = Some(name.clone());
                    self.stages.insert(name);
                }
                "note" => self.memory.learn(&name, &entry.data),
                _ => {}
            }
        }
        self.ticket.seq = seq;
        self.ticket.state = journal.outcome.state();
        self.ticket.updated_at = now;
        match journal.outcome {
            Outcome::Running(at) | Outcome::Waiting(at) => self.ticket.due_at = Some(at),
            Outcome::Completed(result) => self.end(None, Some(result)),
            Outcome::Failed(code, result) => self.end(Some(code), Some(result)),
            Outcome::Cancelled(result) => self.end(Some("cancelled".into()), Some(result)),
            Outcome::Dead(code) => self.end(Some(code), None),
        }
    }

    fn end(&mut self, code: Option<String>, result: Option<Value>) {
        self.ticket.due_at = None;
        self.ticket.code = code.or(self.ticket.code.take());
        self.ticket.result = result.or(self.ticket.result.take());
    }

    /// Tells readers; losing this loses nothing.
    fn publish(&self) {
        let ttl = self.world.rules.context_ttl;
        let body = context::context(&self.ticket, &self.project.slug, self.newest_stage.as_deref(), ttl);
        self.world.mirror.push(self.ticket.id.0, self.ticket.seq, body.to_string());
    }

    /// Lays the ticket down until a time or a report. Writes nothing when nothing changed but the time by a little.
    pub async fn lay_down(&mut self, until: DateTime<Utc>, entries: Vec<JournalEntry>) -> Result<(), StorageError> {
        let same_time = self.ticket.due_at.is_some_and(|due| (due - until).abs() < Duration::milliseconds(100));
        let same_clock = self.ticket.updated_at <= self.now() + CLOCK_SET_BACK;
        if same_clock
            && self.ticket.state == TicketState::Waiting
            && entries.is_empty()
            && same_time
            && !self.has_news()
        {
            return Ok(());
        }
        let tx = self.begin().await?;
        self.commit(tx, entries, Outcome::Waiting(until)).await
    }

    /// Marks late reports of an ended ticket as looked at.
    pub async fn acknowledge(&mut self) -> Result<(), StorageError> {
        let Some(newest) = self.newest_report() else { return Ok(()) };
        let mut tx = self.begin().await?;
        tx.mark_handled(self.ticket.id, newest).await?;
        tx.commit().await?;
        self.handled = self.reports.len();
        Ok(())
    }

    /// Commits what a look at the provider said, as if it had called back: the same fact twice is one row.
    pub async fn receive(&mut self, effect: EffectId, sid: &str, found: &[Report]) -> Result<(), StorageError> {
        if found.is_empty() {
            return Ok(());
        }
        let account = self.world.ports.telephony.account().to_owned();
        let mut tx = self.world.store.tenant(self.lease.org).await?;
        for report in found {
            let digest = json!(report).to_string();
            let row = NewInboxRow {
                project_id: self.lease.project,
                ticket_id: self.ticket.id,
                effect_id: effect,
                account: &account,
                sid,
                kind: "poll",
                digest: digest.as_bytes(),
                report,
            };
            tx.receive(&row).await?;
        }
        tx.commit().await?;
        self.refresh().await
    }
}

/// There is no such ticket, or its project is deleted: then it ends here, so that nobody looks for its worker again.
async fn let_go(mut tx: FencedTx, id: TicketId, row: Option<Ticket>) -> Result<(), StorageError> {
    if let Some(row) = row.filter(|row| !row.state.is_final()) {
        let outcome = Outcome::Failed("project_deleted".into(), json!({}));
        tx.write_journal(id, &Journal { seen: row.seq, wake: row.wake, basis: None, entries: vec![], outcome }).await?;
    }
    let now = tx.now();
    tx.mark_handled(id, now).await?;
    tx.commit().await
}

/// What the decisions of a journal looked at, oldest first.
pub(crate) fn bases(journal: &[TicketEvent]) -> impl Iterator<Item = Basis> {
    journal.iter().filter_map(|event| serde_json::from_value(event.basis.clone()?).ok())
}
