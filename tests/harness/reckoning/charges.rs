//! What was charged, against the journals and against what really happened outside.

use std::collections::HashMap;

use apex_sandbox::{Call, Ledger};
use serde_json::Value;

use super::books::{Books, Business};

/// Charges that differ from what the journals say, from what the tickets say, or are more than what happened outside.
pub(super) fn wrong(books: &Books, ledger: &Ledger) -> Vec<String> {
    let outside = Outside::read(ledger);
    books.businesses.iter().flat_map(|business| of_business(business, &outside)).collect()
}

struct Outside<'a> {
    calls: HashMap<&'a str, &'a Call>,
    legs: HashMap<&'a str, Vec<&'a Call>>,
    texts_to: HashMap<&'a str, u64>,
}

impl<'a> Outside<'a> {
    fn read(ledger: &'a Ledger) -> Self {
        let mut outside = Self { calls: HashMap::new(), legs: HashMap::new(), texts_to: HashMap::new() };
        for call in &ledger.calls {
            match call.parent_sid.as_deref() {
                Some(parent) => outside.legs.entry(parent).or_default().push(call),
                None => drop(outside.calls.insert(call.sid.as_str(), call)),
            }
        }
        for message in &ledger.messages {
            *outside.texts_to.entry(message.to.as_str()).or_default() += 1;
        }
        outside
    }

    /// The started minutes of a call and of its legs.
    fn minutes(&self, sid: &str) -> u64 {
        let legs = self.legs.get(sid).into_iter().flatten().copied();
        self.calls.get(sid).copied().into_iter().chain(legs).map(minutes).sum()
    }
}

fn minutes(call: &Call) -> u64 {
    u64::from(call.duration.unwrap_or_default()).div_ceil(60)
}

fn of_business(business: &Business, outside: &Outside<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let mut complain = |what: String| found.push(format!("{}: {what}", business.project));
    let journalled =
        |step: &str, field: &str| business.tickets.iter().map(|ticket| ticket.step(step, field)).sum::<u64>();
    let expected = [
        ("twilio_voice", journalled("close", "billed_minutes")),
        ("gemini_token", journalled("transcribe", "tokens") + journalled("analyse", "tokens")),
    ];
    for (resource, expected) in expected {
        let charged = used(&business.usage, resource);
        if charged != expected {
            complain(format!("{charged} {resource} charged, {expected} in the journals"));
        }
    }
    let ended = business.tickets.iter().filter(|ticket| ticket.is_final());
    let texts = ended.clone().map(|ticket| ticket.sids("sms").count() as u64).sum::<u64>();
    let (charged, sent) = (used(&business.usage, "twilio_sms"), outside.texts_to.get(business.boss.as_str()).copied());
    if charged != texts || charged > sent.unwrap_or_default() {
        complain(format!("{charged} texts charged, {texts} known, {} sent", sent.unwrap_or_default()));
    }
    let costs: u64 = ended.clone().filter_map(|ticket| ticket.body["result"]["cost_micros"].as_u64()).sum();
    let total = business.usage["month_to_date_micros"].as_u64().unwrap_or_default();
    let all_ended = business.tickets.iter().all(super::Ticket::is_final);
    if total < costs || (all_ended && total != costs) {
        complain(format!("{total} micro-dollars charged, {costs} by the tickets"));
    }
    for ticket in &business.tickets {
        let (billed, real) =
            (ticket.step("close", "billed_minutes"), ticket.sids("call").map(|sid| outside.minutes(sid)));
        let real: u64 = real.sum();
        if billed > real {
            complain(format!("ticket {}: {billed} minutes billed, {real} at the provider", ticket.id));
        }
    }
    found
}

/// The quantity of a resource in a usage report.
fn used(usage: &Value, resource: &str) -> u64 {
    let rows = usage["resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| row["resource"] == resource);
    row.and_then(|row| row["quantity"].as_u64()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::books::Ticket;
    use super::*;

    /// A ticket that billed two minutes and one text, and a usage of so many of both.
    fn judged(minutes: u64, texts: u64, micros: u64) -> Vec<String> {
        let ticket = Ticket {
            id: "t".to_owned(),
            body: json!({"status": "completed", "result": {"cost_micros": 108}}),
            events: vec![json!({"kind": "step", "step": "close", "data": {"billed_minutes": 2}})],
            effects: vec![
                json!({"kind": "call", "state": "live", "sid": "CA1"}),
                json!({"kind": "sms", "state": "live", "sid": "SM1"}),
            ],
        };
        let resources = json!([
            {"resource": "twilio_voice", "quantity": minutes}, {"resource": "twilio_sms", "quantity": texts},
        ]);
        let usage = json!({"month_to_date_micros": micros, "resources": resources});
        let (project, boss) = ("business-0".to_owned(), "+641".to_owned());
        let business = Business { project, boss, leads: vec![], tickets: vec![ticket], usage };
        let mut ledger = serde_json::to_value(Ledger::default()).expect("a ledger");
        ledger["messages"] = json!([{"sid": "SM1", "to": "+641", "from": "", "body": "", "status": "sent",
            "error_code": null, "status_callback": null, "created_at": "2026-11-21T00:00:00Z", "sent_at": null}]);
        ledger["calls"] = json!([{"sid": "CA1", "parent_sid": null, "direction": "outbound-api", "to": "+641", "from": "",
            "status": "completed", "url": null, "status_callback": null, "created_at": "2026-11-21T00:00:00Z",
            "rung_at": null, "answered_at": null, "ended_at": null, "duration": 61, "queue_ms": 0, "answered_by": null,
            "pressed": [], "twiml_fetches": []}]);
        let ledger: Ledger = serde_json::from_value(ledger).expect("a ledger");
        wrong(&Books { businesses: vec![business], dead_letters: None }, &ledger)
    }

    #[test]
    fn what_is_charged_twice_or_not_at_all_is_found() {
        assert!(judged(2, 1, 108).is_empty(), "{:?}", judged(2, 1, 108));
        assert_eq!(judged(4, 1, 108), ["business-0: 4 twilio_voice charged, 2 in the journals"]);
        assert_eq!(judged(2, 2, 108), ["business-0: 2 texts charged, 1 known, 1 sent"]);
        assert_eq!(judged(2, 1, 216), ["business-0: 216 micro-dollars charged, 108 by the tickets"]);
    }
}
