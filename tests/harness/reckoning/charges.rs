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
