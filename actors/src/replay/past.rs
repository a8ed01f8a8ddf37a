//! What a journal tells so far: the state of a ticket between two decisions.

use std::collections::HashMap;

use apex_storage::model::EffectId;
use apex_storage::{Effect, InboxRow, TicketEvent};
use serde_json::Value;

use super::{Tape, standing};
use crate::basis::Basis;
use crate::delivery::{self, Delivery};
use crate::memory::Memory;
use crate::world::Rules;

/// A ticket that is not over.
pub(super) const OPEN: &str = "open";

/// The state between two decisions.
pub(super) struct Past {
    pub steps: HashMap<String, Value>,
    pub effects: Vec<Effect>,
    pub heard: Vec<InboxRow>,
    pub memory: Memory,
    pub attempt: i64,
    state: String,
    code: Option<String>,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            steps: HashMap::new(),
            effects: Vec::new(),
            heard: Vec::new(),
            memory: Memory::default(),
            attempt: 1,
            state: OPEN.to_owned(),
            code: None,
        }
    }
}

impl Past {
    /// Takes in what a decision looked at beside the rows.
    pub fn hear(&mut self, tape: &Tape, basis: &Basis) {
        self.heard.extend(tape.reports.iter().filter(|row| basis.heard.contains(&row.id)).cloned());
        self.heard.sort_by_key(|row| (row.received_at, row.id));
        self.memory.not_before.clone_from(&basis.waits);
        self.memory.looked.clone_from(&basis.looked);
        for effect in &mut self.effects {
            if let Some(verdict) = basis.verdicts.get(&effect.id) {
                effect.verdict = Some(verdict.clone());
            }
        }
    }

    /// What was to be done about the effects.
    pub fn delivery(&self, basis: &Basis, rules: &Rules) -> Delivery {
        delivery::next(&delivery::Situation {
            effects: &self.effects,
            reports: &self.heard,
            memory: &self.memory,
            node: basis.node.as_deref().unwrap_or_default(),
            now: basis.at,
            lookup_for: chrono::Duration::from_std(rules.lookup_for).unwrap_or(chrono::Duration::MAX),
            hold: basis.hold,
        })
    }

    /// Where it stands now.
    pub fn reached(&self) -> Value {
        standing(&self.state, self.code.as_deref(), &self.effects)
    }

    /// Goes on by one commit.
    pub fn apply(&mut self, tape: &Tape, commit: &[TicketEvent]) {
        for event in commit {
            let name = event.step.clone().unwrap_or_default();
            match event.kind.as_str() {
                "step" => drop(self.steps.insert(name.clone(), event.data.clone())),
                "stage" => self.memory.learn(&name, &event.data),
                "note" => self.note(&name, &event.data),
                "accepted" => {}
                last => {
                    last.clone_into(&mut self.state);
                    self.code = event.data["code"].as_str().map(str::to_owned);
                }
            }
            self.effect_moves(&name, event);
        }
        let begun = tape.effects.iter().filter(|effect| effect.created_at == commit[0].at);
        self.effects.extend(begun.map(|effect| Effect {
            state: "intended".into(),
            sid: None,
            reason: None,
            sender: None,
            sender_fence: None,
            sent_at: None,
            verdict: None,
            ..effect.clone()
        }));
    }

    fn note(&mut self, name: &str, data: &Value) {
        self.memory.learn(name, data);
        if name == "retried" {
            OPEN.clone_into(&mut self.state);
            self.code = None;
            self.attempt = data["attempt"].as_i64().unwrap_or(self.attempt + 1);
        }
    }

    /// The states of effects as the entries tell them.
    fn effect_moves(&mut self, name: &str, event: &TicketEvent) {
        let Some(id) = event.data["effect_id"].as_str().and_then(|id| id.parse::<EffectId>().ok()) else { return };
        let Some(effect) = self.effects.iter_mut().find(|effect| effect.id == id) else { return };
        let state = match (event.kind.as_str(), name) {
            ("note", "sending") => {
                effect.sender = event.data["node"].as_str().map(str::to_owned);
                effect.sent_at = Some(event.at);
                "sending"
            }
            ("note", "bound") | ("stage", "dial_requested") => {
                effect.sid = event.data["sid"].as_str().map(str::to_owned);
                "live"
            }
            ("note", "unclear") => "unknown",
            ("note", "refused" | "withdrawn") => "refused",
            ("stage" | "note", "held") => {
                effect.verdict = None;
                "held"
            }
            ("note", "not_sent" | "sent_again") => {
                (effect.sender, effect.sent_at) = (None, None);
                "intended"
            }
            _ => return,
        };
        state.clone_into(&mut effect.state);
    }
}
