//! The dry replay of a ticket: every decision is made again from what it looked at then, and compared with what was written.
//!
//! Nothing is sent and nothing is written. What came from outside (answers of providers, reports, key presses) is taken from
//! the journal and the inbox; only our own decisions are made anew, by the same functions that the live ticket uses, under
//! today's rules. The first decision that comes out differently is told.

mod call;
mod past;
mod task;

use apex_storage::model::{OrgId, TicketId};
use apex_storage::{Effect, InboxRow, StorageError, Ticket, TicketEvent};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::basis::Basis;
use crate::desk::JOURNAL_LIMIT;
use crate::directory::Directory;
use crate::world::Rules;
use past::Past;

/// What a dry replay found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The ticket.
    pub ticket_id: Uuid,
    /// How many decisions were made again.
    pub decisions: u32,
    /// Whether every decision came out as it was recorded, and the journal leads to the recorded state.
    pub is_same: bool,
    /// Where the rows say that the ticket and its effects stand.
    pub recorded: Value,
    /// Where the journal leads.
    pub reached: Value,
    /// The first decision that came out differently.
    pub first_difference: Option<Difference>,
}

/// A decision that comes out differently from what was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The number of the journal entry.
    pub seq: i64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// What was written.
    pub recorded: Value,
    /// What is decided today.
    pub expected: String,
}

/// Everything that is known of a ticket.
pub(crate) struct Tape {
    pub ticket: Ticket,
    pub journal: Vec<TicketEvent>,
    pub effects: Vec<Effect>,
    pub reports: Vec<InboxRow>,
    /// Whether the bridge is recorded.
    pub record: bool,
}

impl Directory {
    /// Replays a ticket without any effect. `None`: there is no such ticket.
    ///
    /// # Errors
    ///
    /// `Database`.
    pub async fn replay(&self, org: OrgId, ticket: TicketId) -> Result<Option<Replayed>, StorageError> {
        let Some(mut tape) = self.tape(org, ticket).await? else { return Ok(None) };
        loop {
            let Some(again) = self.tape(org, ticket).await? else { return Ok(None) };
            // Each write of a ticket moves its number: if none came after the first row was read, all was read from one state.
            if again.ticket.seq == tape.ticket.seq {
                return Ok(Some(tape.replay(&self.world().rules)));
            }
            tape = again;
        }
    }

    async fn tape(&self, org: OrgId, ticket: TicketId) -> Result<Option<Tape>, StorageError> {
        let mut tx = self.world().store.tenant_read(org).await?;
        let Some(row) = tx.ticket(ticket).await? else { return Ok(None) };
        let mut journal = tx.ticket_events(ticket, 0, JOURNAL_LIMIT).await?;
        journal.retain(|event| event.seq <= row.seq);
        let effects = tx.effects_of_ticket(ticket).await?;
        let reports = tx.reports(ticket).await?;
        let record = tx.bridge_of_ticket(ticket).await?.is_some_and(|bridge| bridge.plan.record);
        Ok(Some(Tape { ticket: row, journal, effects, reports, record }))
    }
}

impl Tape {
    /// Plays it from the beginning.
    pub fn replay(&self, rules: &Rules) -> Replayed {
        let mut past = Past::default();
        let (mut decisions, mut first_difference) = (0, None);
        for commit in self.journal.chunk_by(|a, b| a.at == b.at) {
            let basis: Option<Basis> = commit[0].basis.clone().and_then(|basis| serde_json::from_value(basis).ok());
            if let Some(basis) = basis {
                decisions += 1;
                past.hear(self, &basis);
                let difference = self.compare(&past, &basis, commit, rules);
                first_difference = first_difference.or(difference);
            }
            past.apply(self, commit);
        }
        let (recorded, reached) = (self.recorded(), past.reached());
        let is_same = first_difference.is_none() && recorded == reached;
        Replayed { ticket_id: self.ticket.id.0, decisions, is_same, recorded, reached, first_difference }
    }

    fn compare(&self, past: &Past, basis: &Basis, commit: &[TicketEvent], rules: &Rules) -> Option<Difference> {
        let expected = match self.ticket.actor.as_str() {
            "call" => call::unexplained(self, past, basis, commit, rules),
            _ => task::unexplained(self, past, basis, commit, rules),
        }?;
        let first = &commit[0];
        let written = |event: &TicketEvent| json!({ "kind": event.kind, "step": event.step, "data": event.data });
        let recorded = commit.iter().map(written).collect();
        Some(Difference { seq: first.seq, at: first.at, recorded, expected })
    }

    /// Where the rows say that the ticket stands.
    fn recorded(&self) -> Value {
        let state = if self.ticket.state.is_final() { self.ticket.state.as_str() } else { past::OPEN };
        standing(state, self.ticket.code.as_deref(), &self.effects)
    }
}

fn standing(state: &str, code: Option<&str>, effects: &[Effect]) -> Value {
    let effects: Vec<_> =
        effects.iter().map(|effect| json!({ "id": effect.id, "state": effect.state, "sid": effect.sid })).collect();
    json!({ "state": state, "code": code, "effects": effects })
}

/// Whether an entry is this one.
fn is(event: &TicketEvent, kind: &str, step: &str) -> bool {
    event.kind == kind && event.step.as_deref() == Some(step)
}

/// Whether an entry is about this effect.
fn is_about(event: &TicketEvent, effect: apex_storage::model::EffectId) -> bool {
    event.data["effect_id"] == json!(effect)
}
