//! The decisions of a task's ticket, made again.

use apex_storage::{Ticket, TicketEvent};

use super::call::delivers;
use super::past::Past;
use super::{Tape, is};
use crate::basis::Basis;
use crate::task_ticket::decide::{self, Next, Situation, begun};
use crate::world::Rules;

/// What is decided today, when it does not explain what was written.
pub(super) fn unexplained(
    tape: &Tape,
    past: &Past,
    basis: &Basis,
    commit: &[TicketEvent],
    rules: &Rules,
) -> Option<String> {
    let ticket = Ticket { attempt: past.attempt, deadline_at: basis.deadline, ..tape.ticket.clone() };
    let next = decide::next(&Situation {
        ticket: &ticket,
        now: basis.at,
        cancelled: basis.cancelled,
        steps: &past.steps,
        delivery: past.delivery(basis, rules),
        memory: &past.memory,
    });
    let explained = commit.iter().any(|event| explains(&next, event, past));
    (!explained).then(|| format!("{next:?}"))
}

fn explains(next: &Next, event: &TicketEvent, past: &Past) -> bool {
    let ended = |code: &str| event.data["code"] == code;
    match next {
        Next::Cancel => event.kind == "cancelled",
        Next::Expire => event.kind == "failed" && ended("deadline_passed"),
        Next::Refuse => event.kind == "failed" && ended("task_unavailable"),
        // Without a phone or a lead there is nothing to intend.
        Next::BeginText => is(event, "step", &begun(past.attempt)) || event.kind == "failed",
        Next::Deliver(delivery) => delivers(delivery, event),
        Next::FinishText => {
            let live = past.effects.last().is_some_and(|effect| effect.state == "live");
            event.kind == if live { "completed" } else { "failed" }
        }
        Next::Transcribe => {
            is(event, "note", "retry") || matches!(event.kind.as_str(), "completed" | "failed" | "dead")
        }
        Next::Wait(_) => false,
    }
}
