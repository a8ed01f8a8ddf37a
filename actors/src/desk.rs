//! What every runner has on its desk: its ticket, the effects and reports of it, and the one way to write them.
//!
//! Memory equals rows after each commit. An error means that it may not: the actor dies, and the next one reads again.

mod write;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use apex_config::dna::{self, Dna};
use apex_storage::model::call::Report;
use apex_storage::model::{EffectId, InboxId, TicketId};
use apex_storage::{
    Effect, FencedTx, InboxRow, Journal, Lease, NewInboxRow, Node, Outcome, Project, StorageError, Ticket, TicketEvent,
};
use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use crate::basis::Basis;
use crate::callback::CallbackRef;
use crate::context;
use crate::memory::Memory;
use crate::runner::Seat;
use crate::world::World;

/// How long an actor may have a ticket in hand before the sweeper looks whether it still lives.
const IN_HAND: Duration = Duration::seconds(90);
/// Deaths in hand after which a ticket is set aside.
const MAX_CRASHES: i64 = 3;
/// Most journal entries that are read back.
pub(crate) const JOURNAL_LIMIT: i64 = 10_000;
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
            desk.set_aside("crashed").await?;
        }
        Ok(Some(desk))
    }

    /// The project's rules. `None`: what is stored cannot be used any more, so the ticket is set aside for a person.
    pub async fn dna(&mut self) -> Result<Option<Dna>, StorageError> {
        let problems = match dna::resolve(&self.project.dna_generated, &self.project.dna_custom) {
            Ok(dna) => return Ok(Some(dna)),
            Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        };
        tracing::error!(ticket.id = %self.id(), problems, "the project's DNA cannot be used");
        if self.is_over() {
            self.acknowledge().await?;
        } else {
            self.set_aside("invalid_dna").await?;
        }
        Ok(None)
    }

    async fn set_aside(&mut self, code: &str) -> Result<(), StorageError> {
        let tx = self.begin().await?;
        self.commit(tx, vec![], Outcome::Dead(code.into())).await
    }

    /// Reads what others write: new reports, and whether somebody asked for the end.
    pub async fn refresh(&mut self) -> Result<(), StorageError> {
        let mut tx = self.world.store.tree_read(self.lease.org).await?;
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
