//! Names and help texts of what the actors measure.

use std::time::{Duration, Instant};

use apex_storage::Ticket;
use chrono::TimeDelta;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::failure::Cause;
use crate::kind::ActorKind;

const HANDLE_SECONDS: &str = "apex_actor_handle_seconds";
const RESTARTS: &str = "apex_actor_restarts_total";
const PARKED: &str = "apex_actors_parked_total";
const PROJECTS: &str = "apex_projects_active";
const TAKEOVERS: &str = "apex_lease_takeovers_total";
const DROPPED: &str = "apex_nudges_dropped_total";
const STAGE_SECONDS: &str = "apex_lead_stage_seconds";
const TICKETS: &str = "apex_tickets";
const TICKET_SECONDS: &str = "apex_ticket_seconds";
const CALLS: &str = "apex_calls_total";
const EFFECTS: &str = "apex_effects";
const SPEND: &str = "apex_spend_micros_total";
const DEAD_LETTERS: &str = "apex_dead_letters_total";
const DEAD_LETTER_ALERTS: &str = "apex_dead_letter_alerts_total";
const RETRIES: &str = "apex_retries_total";
const SCHEDULED: &str = "apex_scheduled_runs_total";
const BROKEN: &str = "apex_broken_promises";

/// A message in hand for longer is told in the log.
const SLOW: Duration = Duration::from_secs(5);

/// Tells the recorder what the numbers mean. Call it once, after the recorder is in place.
pub fn describe() {
    describe_histogram!(HANDLE_SECONDS, Unit::Seconds, "how long an actor had one message in hand");
    describe_counter!(RESTARTS, "actors that died, by cause");
    describe_counter!(PARKED, "actors set aside after repeated failures");
    describe_gauge!(PROJECTS, "projects awake on this node");
    describe_counter!(TAKEOVERS, "projects taken over from another owner");
    describe_counter!(DROPPED, "nudges that were not delivered; the sweeper finds their tickets");
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "from the accepted lead to each stage of its call");
    describe_counter!(TICKETS, "tickets that ended, by final state");
    describe_histogram!(TICKET_SECONDS, Unit::Seconds, "from the accepted ticket to its end");
    describe_counter!(CALLS, "calls that ended, by outcome");
    describe_counter!(EFFECTS, "calls and messages that reached a state");
    describe_counter!(SPEND, "what was spent, micro-dollars");
    describe_counter!(DEAD_LETTERS, "tickets that were set aside");
    describe_counter!(DEAD_LETTER_ALERTS, "tickets that were set aside for a correlation that keeps failing");
    describe_counter!(RETRIES, "steps that are tried again, by class of failure");
    describe_counter!(SCHEDULED, "runs that a schedule began on this node");
    describe_gauge!(BROKEN, "promises of all tenants that are broken now, by kind");
    begin_at_zero();
}

/// An alert on growth misses the first of a counter that is not there before.
fn begin_at_zero() {
    for name in [DEAD_LETTERS, DEAD_LETTER_ALERTS] {
        counter!(name).increment(0);
    }
    for kind in ActorKind::ALL {
        counter!(PARKED, "actor" => kind.as_str()).increment(0);
    }
}

/// One message in hand: measured from here until it is dropped, whatever the end.
pub(crate) struct Handling {
    actor: &'static str,
    message: &'static str,
    begun: Instant,
}

impl Handling {
    pub fn of(actor: &'static str, message: &'static str) -> Self {
        Self { actor, message, begun: Instant::now() }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        histogram!(HANDLE_SECONDS, "actor" => self.actor, "message" => self.message).record(took);
        if took > SLOW {
            tracing::warn!(actor = self.actor, message = self.message, took_ms = took.as_millis(), "slow message");
        }
    }
}

/// An actor died and will be started again.
pub(crate) fn restarted(actor: &'static str, cause: Cause) {
    counter!(RESTARTS, "actor" => actor, "cause" => cause.as_str()).increment(1);
}

/// An actor failed too often.
pub(crate) fn parked(actor: &'static str) {
    counter!(PARKED, "actor" => actor).increment(1);
}

/// Trees on this node.
pub(crate) fn projects_active(trees: usize) {
    gauge!(PROJECTS).set(f64::from(u32::try_from(trees).unwrap_or(u32::MAX)));
}

/// A project had another owner before.
pub(crate) fn taken_over() {
    counter!(TAKEOVERS).increment(1);
}

/// A nudge was not delivered.
pub(crate) fn nudge_dropped() {
    counter!(DROPPED).increment(1);
}

/// A lead's call came to a stage, so long after the lead was accepted.
pub(crate) fn stage(name: &str, after: TimeDelta) {
    histogram!(STAGE_SECONDS, "stage" => name.to_owned()).record(after.to_std().unwrap_or_default());
}

/// A ticket is over.
pub(crate) fn ticket_ended(ticket: &Ticket) {
    counter!(TICKETS, "state" => ticket.state.as_str()).increment(1);
    let took = (ticket.updated_at - ticket.created_at).to_std().unwrap_or_default();
    histogram!(TICKET_SECONDS, "task" => ticket.task.clone()).record(took);
}

/// A call is over.
pub(crate) fn call_ended(outcome: &'static str) {
    counter!(CALLS, "outcome" => outcome).increment(1);
}

/// A call or message reached a state.
pub(crate) fn effect(state: &'static str) {
    counter!(EFFECTS, "state" => state).increment(1);
}

/// Something was charged.
pub(crate) fn spent(micros: i64) {
    counter!(SPEND).increment(u64::try_from(micros).unwrap_or_default());
}

/// A ticket was set aside. `repeated`: its correlation keeps failing, somebody has to look.
pub(crate) fn dead_letter(repeated: bool) {
    counter!(DEAD_LETTERS).increment(1);
    if repeated {
        counter!(DEAD_LETTER_ALERTS).increment(1);
    }
}

/// A step is tried again after a failure of this class.
pub(crate) fn retried(class: &'static str) {
    counter!(RETRIES, "class" => class).increment(1);
}

/// A schedule began so many runs.
pub(crate) fn scheduled(runs: u64) {
    counter!(SCHEDULED).increment(runs);
}

/// So many promises of a kind are broken now.
pub(crate) fn broken_promises(kind: &str, count: i64) {
    gauge!(BROKEN, "kind" => kind.to_owned()).set(f64::from(i32::try_from(count).unwrap_or(i32::MAX)));
}
