//! A ticket as its clients see it: one JSON text, the same from the mirror and from rows, in polls and in streams.

use std::time::Duration;

use apex_storage::{Ticket, TicketEvent};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// RFC 3339 in UTC, with milliseconds.
pub fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The context of a ticket. `slug` is its project's outside name, `ttl` how long the mirror keeps it.
pub fn context(ticket: &Ticket, slug: &str, stage: Option<&str>, ttl: Duration) -> Value {
    let expires_at = ticket.updated_at + chrono::Duration::from_std(ttl).unwrap_or_default();
    let mut data = json!({
        "request_id": ticket.id,
        "task": ticket.task,
        "status": ticket.state.public(),
        "state": ticket.state,
        "stage": stage,
        "seq": ticket.seq,
        "lead_id": ticket.lead_id,
        "updated_at": timestamp(ticket.updated_at),
    });
    if let Some(result) = &ticket.result {
        data["result"] = result.clone();
    }
    if let Some(code) = &ticket.code {
        data["code"] = json!(code);
    }
    if ticket.cancel_requested_at.is_some() && !ticket.state.is_final() {
        data["cancel_requested"] = json!(true);
    }
    json!({
        "context_id": ticket.id,
        "org_id": ticket.org_id,
        "project_id": slug,
        "user_id": ticket.created_by,
        "created_at": timestamp(ticket.created_at),
        "expires_at": timestamp(expires_at),
        "data": data,
    })
}

/// The newest stage in a journal.
pub fn newest_stage(events: &[TicketEvent]) -> Option<&str> {
    events.iter().rev().find(|event| event.kind == "stage").and_then(|event| event.step.as_deref())
}

/// One journal entry as a stream tells it: its event name and its data.
pub fn stream_event(ticket: &Ticket, event: &TicketEvent) -> (&'static str, Value) {
    let name = match event.kind.as_str() {
        "completed" => "completed",
        "failed" | "cancelled" | "dead" => "failed",
        _ => "progress",
    };
    let mut data = json!({
        "context_id": ticket.id,
        "seq": event.seq,
        "kind": event.kind,
        "at": timestamp(event.at),
        "data": event.data,
    });
    if let Some(step) = &event.step {
        data[if event.kind == "stage" { "stage" } else { "step" }] = json!(step);
    }
    if name != "progress" {
        data["status"] = json!(ticket.state.public());
        data["result"] = ticket.result.clone().unwrap_or(Value::Null);
        data["code"] = json!(ticket.code);
    }
    (name, data)
}
