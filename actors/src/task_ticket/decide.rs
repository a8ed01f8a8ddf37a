//! What is done next for a task's ticket: a pure function of rows and time.

use std::collections::HashMap;

use apex_storage::Ticket;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::delivery::Delivery;
use crate::memory::Memory;

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// End it: somebody asked for that before it was begun.
    Cancel,
    /// End it: it was to be begun earlier.
    Expire,
    /// No task of this name is run here.
    Refuse,
    /// Intend the text.
    BeginText,
    /// Something about the text on its way.
    Deliver(Delivery),
    /// Write down what became of the text.
    FinishText,
    /// Listen to a recording again and tell what it means.
    Transcribe,
    /// Nothing before this time, or a report.
    Wait(DateTime<Utc>),
}

/// What the decision looks at.
pub(crate) struct Situation<'a> {
    pub ticket: &'a Ticket,
    pub now: DateTime<Utc>,
    pub cancelled: bool,
    pub steps: &'a HashMap<String, Value>,
    pub delivery: Delivery,
    pub memory: &'a Memory,
}

/// The step that says that an attempt is begun.
pub(crate) fn begun(attempt: i64) -> String {
    if attempt <= 1 { "begin".to_owned() } else { format!("begin:{attempt}") }
}

/// Decides.
pub(crate) fn next(s: &Situation<'_>) -> Next {
    let is_begun = s.steps.contains_key(&begun(s.ticket.attempt));
    let is_too_late = s.ticket.deadline_at.is_some_and(|deadline| s.now >= deadline);
    let action = s.ticket.params["action"].as_str().unwrap_or_default();
    match (s.ticket.task.as_str(), action) {
        _ if s.cancelled && !is_begun => Next::Cancel,
        _ if is_too_late && !is_begun => Next::Expire,
        ("notify_sms", _) | (_, "notify_sms") if !is_begun => Next::BeginText,
        ("notify_sms", _) | (_, "notify_sms") => deliver(s),
        (_, "transcribe_call") => s.memory.rests("transcribe", s.now).map_or(Next::Transcribe, Next::Wait),
        _ => Next::Refuse,
    }
}

fn deliver(s: &Situation<'_>) -> Next {
    match &s.delivery {
        Delivery::Wait(until) => Next::Wait(*until),
        Delivery::Settled => Next::FinishText,
        delivery => Next::Deliver(delivery.clone()),
    }
}
