//! The decisions of a call ticket, made again.

use apex_storage::TicketEvent;
use apex_storage::model::call::{Facts, Stage};

use super::past::Past;
use super::{Tape, is, is_about};
use crate::basis::Basis;
use crate::call::decide::{self, Next, Situation, Times};
use crate::call::final_state;
use crate::delivery::{Delivery, HELD, WITHHELD};
use crate::world::Rules;

/// What is decided today, when it does not explain what was written.
pub(super) fn unexplained(
    tape: &Tape,
    past: &Past,
    basis: &Basis,
    commit: &[TicketEvent],
    rules: &Rules,
) -> Option<String> {
    let call = past.effects.iter().find(|effect| effect.kind == "call");
    let sid = call.and_then(|call| call.sid.as_deref());
    let facts = Facts::of(past.heard.iter().filter(|row| Some(row.sid.as_str()) == sid).map(|row| &row.report));
    let next = decide::next(&Situation {
        now: basis.at,
        cancelled: basis.cancelled,
        deadline: basis.deadline,
        steps: &past.steps,
        call,
        facts: &facts,
        record: tape.record,
        delivery: past.delivery(basis, rules),
        memory: &past.memory,
        last_report: past.heard.last().map(|row| row.received_at),
        last_look: None,
        looks_without_news: basis.looks,
        times: Times::of(rules),
    });
    let proven: Vec<_> = facts.stages().into_iter().map(Stage::as_str).collect();
    let is_proven = |event: &&TicketEvent| {
        event.kind == "stage" && event.step.as_deref().is_some_and(|step| proven.contains(&step))
    };
    let rest: Vec<_> = commit.iter().filter(|event| !is_proven(event)).collect();
    // Facts are told in a commit of their own before anything that takes long.
    let is_only_told = rest.is_empty() && !commit.is_empty();
    let explained = is_only_told || rest.iter().any(|event| explains(&next, event, past));
    (!explained).then(|| format!("{next:?}"))
}

fn explains(next: &Next, event: &TicketEvent, past: &Past) -> bool {
    let retried = |what: &str| is(event, "note", "retry") && event.data["what"] == what;
    let step = |name: &str| is(event, "step", name) || retried(name);
    let names = |sid: &str| event.data["sid"] == sid;
    let is_final = matches!(event.kind.as_str(), "completed" | "failed" | "cancelled" | "dead");
    match next {
        Next::Begin => step("begin") || is_final,
        Next::Expire => is_final && event.data["code"] == "deadline_passed",
        Next::Deliver(delivery) => delivers(delivery, event),
        Next::Withdraw(id, _) => is(event, "note", "withdrawn") && is_about(event, *id),
        Next::HangUp(sid) => is(event, "note", "hung_up") && names(sid),
        Next::TellHeld => step("held_told"),
        Next::Close(ending) => {
            let outcome = event.data["outcome"].as_str().unwrap_or_default();
            step("close") && (outcome == ending.as_str() || outcome == "held")
        }
        Next::FindRecording => retried("find_recording") || step("recording"),
        Next::Fetch { .. } => retried("fetch") || step("recording"),
        Next::NoRecording(_) => step("recording") && event.data["key"].is_null(),
        Next::Transcribe => step("transcribe"),
        Next::Analyse => step("analyse"),
        Next::Finish => {
            let outcome = past.steps.get("close").and_then(|close| close["outcome"].as_str()).unwrap_or_default();
            let (state, code) = final_state(outcome);
            event.kind == state.as_str() && event.data["code"].as_str() == code
        }
        Next::LookAt(_) | Next::Wait(_) => false,
    }
}

/// Whether an entry is what comes of a delivery.
pub(super) fn delivers(delivery: &Delivery, event: &TicketEvent) -> bool {
    let bound = is(event, "note", "bound") || is(event, "stage", "dial_requested");
    match delivery {
        Delivery::Bind(id, sid) => bound && is_about(event, *id) && event.data["sid"] == *sid,
        Delivery::Surplus(id, sid) => {
            is(event, "note", "surplus_call_ended") && is_about(event, *id) && event.data["sid"] == *sid
        }
        Delivery::Send(id) => is(event, "note", "sending") && is_about(event, *id),
        Delivery::Withhold(id) => is(event, "stage", WITHHELD) && is_about(event, *id),
        Delivery::Drop(id) => is(event, "note", "withdrawn") && is_about(event, *id),
        Delivery::Doubt(id) => is(event, "note", "unclear") && is_about(event, *id),
        Delivery::LookUp(id) => bound && is_about(event, *id) && event.data["by"] == "look_up",
        Delivery::Again(id) => is(event, "note", "sent_again") && is_about(event, *id),
        Delivery::Hold(id) => (is(event, "stage", HELD) || is(event, "note", HELD)) && is_about(event, *id),
        Delivery::Wait(_) | Delivery::Settled => false,
    }
}
