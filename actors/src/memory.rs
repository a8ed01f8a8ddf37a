//! What a worker remembers beside its rows: what failed and when it may be tried again. What matters is in the journal and is
//! read back from there; the rest may be forgotten.

use std::collections::{BTreeMap, HashMap, HashSet};

use apex_storage::TicketEvent;
use apex_storage::model::EffectId;
use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

/// Nothing is put off for longer: a time further ahead was written before the clock was set back.
const LONGEST_WAIT: Duration = Duration::minutes(20);

/// What was tried, what is put off, and what was ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// When a piece of work may be tried, by its name.
    pub not_before: BTreeMap<String, DateTime<Utc>>,
    tries: HashMap<String, u32>,
    /// Calls that were asked to end.
    pub hung_up: HashSet<String>,
    /// Effects that the journal tells as held, or as waiting for a person.
    pub told: HashSet<(String, EffectId)>,
    /// Unclear effects that were looked for; `true`: the provider answered and certainly had nothing.
    pub looked: BTreeMap<EffectId, bool>,
}

impl Memory {
    /// What a journal tells, since a person last began the ticket.
    pub fn of(journal: &[TicketEvent]) -> Self {
        let mut memory = Self::default();
        for event in journal.iter().filter(|event| matches!(event.kind.as_str(), "note" | "stage")) {
            memory.learn(event.step.as_deref().unwrap_or_default(), &event.data);
        }
        memory
    }

    /// Whether the journal tells this of an effect.
    pub fn has_told(&self, stage: &str, effect: EffectId) -> bool {
        self.told.iter().any(|(told, of)| told == stage && *of == effect)
    }

    /// Learns from one note or stage of the journal.
    pub fn learn(&mut self, name: &str, data: &Value) {
        match name {
            "held" | "effects_held" => {
                let effect = data["effect_id"].as_str().and_then(|id| id.parse().ok());
                self.told.extend(effect.map(|effect| (name.to_owned(), effect)));
            }
            "retried" => {
                self.tries.clear();
                self.not_before.clear();
            }
            "retry" | "not_sent" => {
                let until = data["until"].as_str().and_then(|until| until.parse().ok());
                if let (Some(what), Some(until)) = (data["what"].as_str(), until) {
                    self.not_before.insert(what.to_owned(), until);
                    let tries = data["try"].as_u64().and_then(|tries| u32::try_from(tries).ok());
                    self.tries.insert(what.to_owned(), tries.unwrap_or(1));
                }
            }
            "hung_up" | "surplus_call_ended" => {
                self.hung_up.extend(data["sid"].as_str().map(str::to_owned));
            }
            _ => {}
        }
    }

    /// Puts something off without having tried it.
    pub fn put_off(&mut self, what: &str, until: DateTime<Utc>) {
        self.not_before.insert(what.to_owned(), until);
    }

    /// When something may be tried, if it has to wait.
    pub fn rests(&self, what: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.not_before.get(what).copied().filter(|until| *until > now && *until <= now + LONGEST_WAIT)
    }

    /// How often something was tried in vain.
    pub fn tries(&self, what: &str) -> u32 {
        self.tries.get(what).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn note(step: &str, data: Value) -> TicketEvent {
        let at = DateTime::UNIX_EPOCH;
        TicketEvent { seq: 1, kind: "note".into(), step: Some(step.into()), data, at, basis: None }
    }

    #[test]
    fn tries_and_waits_come_back_from_the_journal() {
        let until = DateTime::UNIX_EPOCH + Duration::seconds(8);
        let failed = note("retry", json!({ "what": "transcribe", "try": 3, "until": until }));
        let memory = Memory::of(&[failed.clone(), note("hung_up", json!({ "sid": "CA1" }))]);
        assert_eq!((memory.tries("transcribe"), memory.tries("analyse")), (3, 0));
        assert_eq!(memory.rests("transcribe", until - Duration::seconds(1)), Some(until));
        assert_eq!(memory.rests("transcribe", until), None);
        assert!(memory.hung_up.contains("CA1"));
        let anew = Memory::of(&[failed, note("retried", json!({}))]);
        assert_eq!((anew.tries("transcribe"), anew.rests("transcribe", DateTime::UNIX_EPOCH)), (0, None));
    }

    #[test]
    fn a_wait_from_before_the_clock_was_set_back_is_over() {
        let mut memory = Memory::default();
        memory.put_off("send", DateTime::UNIX_EPOCH + Duration::hours(1));
        assert_eq!(memory.rests("send", DateTime::UNIX_EPOCH), None);
    }
}
