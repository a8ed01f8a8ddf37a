//! Which promises were broken. Every answer names what it is about.

use std::collections::{BTreeMap, HashMap, HashSet};

use apex_sandbox::{Direction, Ledger};

use super::books::{Books, Ticket};
use crate::ordeal::SentLead;

/// Accepted leads without their lead or ticket, and leads that are there more than once.
pub(super) fn lost(sent: &[SentLead], books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    for (place, business) in books.businesses.iter().enumerate() {
        let mut stored: HashMap<&str, usize> = HashMap::new();
        for lead in &business.leads {
            *stored.entry(lead["raw_payload"]["lead_id"].as_str().unwrap_or_default()).or_default() += 1;
        }
        let mut worked_on: HashMap<&str, usize> = HashMap::new();
        for ticket in &business.tickets {
            *worked_on.entry(ticket.id.as_str()).or_default() += 1;
        }
        for lead in sent.iter().filter(|lead| lead.business == place) {
            let name = format!("lead-{}", lead.nth);
            let Some(context) = &lead.context else {
                found.push(format!("{name} of {} was never accepted", business.project));
                continue;
            };
            let leads = stored.remove(name.as_str()).unwrap_or_default();
            let tickets = worked_on.remove(context.as_str()).unwrap_or_default();
            if (leads, tickets) != (1, 1) {
                found.push(format!("{name} of {}: {leads} leads, {tickets} tickets {context}", business.project));
            }
            if let Some(other) = &lead.other_context {
                found.push(format!("{name} has the contexts {context} and {other}"));
            }
        }
        found.extend(
            stored.keys().map(|lead| format!("{} has a lead {lead:?} that nobody was told of", business.project)),
        );
        found.extend(
            worked_on.keys().map(|id| format!("{} has a ticket {id} that nobody was told of", business.project)),
        );
    }
    found
}

/// Two calls for an effect, two customer legs for a bridge or a customer, more calls to a boss than leads.
pub(super) fn called_twice(sent: &[SentLead], books: &Books, ledger: &Ledger) -> Vec<String> {
    let repeated = ledger.repeated();
    let mut found: Vec<_> = repeated.calls.into_iter().chain(repeated.legs).collect();
    let mut rung: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut placed: HashMap<&str, usize> = HashMap::new();
    for call in &ledger.calls {
        if call.direction == Direction::OutboundApi {
            *placed.entry(call.to.as_str()).or_default() += 1;
        } else if call.rung_at.is_some() {
            rung.entry(call.to.as_str()).or_default().push(call.sid.as_str());
        }
    }
    for lead in sent {
        let sids = rung.get(lead.phone.as_str()).map_or(&[][..], Vec::as_slice);
        if sids.len() > 1 {
            found.push(format!("the customer of lead-{} was rung by {}", lead.nth, sids.join(", ")));
        }
    }
    for (place, business) in books.businesses.iter().enumerate() {
        let calls = placed.get(business.boss.as_str()).copied().unwrap_or_default();
        let leads = sent.iter().filter(|lead| lead.business == place).count();
        if calls > leads {
            found.push(format!("the boss of {} was called {calls} times for {leads} leads", business.project));
        }
    }
    found
}

/// Two messages for an effect, or two that say the same or are about the same customer.
pub(super) fn texted_twice(ledger: &Ledger) -> Vec<String> {
    let mut found = ledger.repeated().messages;
    let mut about: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for message in &ledger.messages {
        let customer = message.body.split_once("Phone: ").and_then(|(_, rest)| rest.split_once('.'));
        let subject = customer.map_or(message.body.as_str(), |(phone, _)| phone);
        about.entry((message.to.as_str(), subject)).or_default().push(message.sid.as_str());
    }
    let repeated = about.into_iter().filter(|(_, sids)| sids.len() > 1);
    found.extend(repeated.map(|((_, subject), sids)| format!("about {subject}: {}", sids.join(", "))));
    found
}

/// Tickets that neither ended nor are held for a person to see.
pub(super) fn unended(books: &Books) -> Vec<String> {
    let open = books.tickets().filter(|ticket| !ticket.is_final() && !ticket.is_held());
    open.map(|ticket| format!("ticket {} is {}", ticket.id, ticket.body["state"])).collect()
}

/// Journals that are not numbered from 1 without gaps, or hold a step, a stage or an end twice.
pub(super) fn torn(books: &Books) -> Vec<String> {
    books.tickets().filter_map(|ticket| Some(format!("ticket {}: {}", ticket.id, tear(ticket)?))).collect()
}

fn tear(ticket: &Ticket) -> Option<String> {
    let mut told = HashSet::new();
    for (place, event) in (1_u64..).zip(&ticket.events) {
        if event["seq"] != place {
            return Some(format!("entry {place} has the number {}", event["seq"]));
        }
        let [kind, step] = ["kind", "step"].map(|name| event[name].as_str().unwrap_or_default());
        // A call and a message of the same ticket may both be held.
        let about = event["data"]["effect_id"].as_str().unwrap_or_default();
        if (kind, step) == ("note", "sent_again") {
            // What was set aside and is sent once more may be set aside once more.
            told.remove(&("stage", "held", about));
        }
        if kind != "note" && !told.insert((kind, step, about)) {
            return Some(format!("{kind} {step:?} stands twice"));
        }
    }
    let ends =
        ["completed", "failed", "cancelled", "dead"].iter().filter(|end| told.contains(&(**end, "", ""))).count();
    (ticket.is_final() != (ends == 1)).then(|| format!("it is {} and has {ends} ends", ticket.body["state"]))
}

#[cfg(test)]
mod tests {
    use apex_sandbox::{Call, CallStatus, Message, MessageStatus};
    use serde_json::{Value, json};

    use super::super::books::Business;
    use super::*;

    const BOSS: &str = "+64211000000";
    const CUSTOMER: &str = "+64272000000";

    fn ticket(id: &str, state: &str, events: Value, effects: Value) -> Ticket {
        let status = if state == "waiting" { "processing" } else { "completed" };
        let rows = |value: Value| value.as_array().cloned().unwrap_or_default();
        let body = json!({"state": state, "status": status});
        Ticket { id: id.to_owned(), body, events: rows(events), effects: rows(effects) }
    }

    fn books(leads: &[&str], tickets: Vec<Ticket>) -> Books {
        let leads = leads.iter().map(|id| json!({"raw_payload": {"lead_id": id}})).collect();
        let business =
            Business { project: "business-0".to_owned(), boss: BOSS.to_owned(), leads, tickets, usage: Value::Null };
        Books { businesses: vec![business], dead_letters: None }
    }

    fn accepted(nth: usize, context: &str) -> SentLead {
        let context = Some(context.to_owned());
        SentLead { nth, business: 0, phone: CUSTOMER.to_owned(), context, other_context: None }
    }

    fn plain(id: &str) -> Ticket {
        ticket(id, "completed", json!([]), json!([]))
    }

    #[test]
    fn a_lead_that_is_missing_or_there_twice_is_found() {
        let sent = [accepted(0, "a"), accepted(1, "b")];
        assert!(lost(&sent, &books(&["lead-0", "lead-1"], vec![plain("a"), plain("b")])).is_empty());
        let found = lost(&sent, &books(&["lead-0"], vec![plain("a"), plain("b")]));
        assert_eq!(found, ["lead-1 of business-0: 0 leads, 1 tickets b"]);
        let found = lost(&sent, &books(&["lead-0", "lead-1", "lead-1"], vec![plain("a")]));
        assert_eq!(found, ["lead-1 of business-0: 2 leads, 0 tickets b"]);
        let found = lost(&sent[..1], &books(&["lead-0"], vec![plain("a"), plain("c")]));
        assert_eq!(found, ["business-0 has a ticket c that nobody was told of"]);
        let doubtful = SentLead { other_context: Some("c".to_owned()), ..accepted(0, "a") };
        let found = lost(&[doubtful], &books(&["lead-0"], vec![plain("a")]));
        assert_eq!(found, ["lead-0 has the contexts a and c"]);
        let refused = SentLead { context: None, ..accepted(0, "a") };
        assert_eq!(lost(&[refused], &books(&[], vec![])), ["lead-0 of business-0 was never accepted"]);
    }

    fn call(sid: &str, parent: Option<&str>, effect: &str) -> Call {
        let now = chrono::DateTime::UNIX_EPOCH;
        Call {
            sid: sid.to_owned(),
            parent_sid: parent.map(str::to_owned),
            direction: if parent.is_some() { Direction::OutboundDial } else { Direction::OutboundApi },
            to: if parent.is_some() { CUSTOMER } else { BOSS }.to_owned(),
            from: String::new(),
            status: CallStatus::Completed,
            url: Some(format!("http://h/?bridge={effect}&effect={effect}")),
            status_callback: None,
            created_at: now,
            rung_at: Some(now),
            answered_at: None,
            ended_at: None,
            duration: None,
            queue_ms: 0,
            answered_by: None,
            pressed: Vec::new(),
            twiml_fetches: Vec::new(),
        }
    }

    #[test]
    fn whoever_is_called_twice_is_found_also_under_two_effects() {
        let (sent, books) = ([accepted(0, "a"), accepted(1, "b")], books(&[], vec![]));
        let fine = vec![call("CA1", None, "e1"), call("CA2", Some("CA1"), ""), call("CA3", None, "e2")];
        let judged = |calls| called_twice(&sent[..], &books, &Ledger { calls, ..Ledger::default() });
        assert!(judged(fine.clone()).is_empty());
        let twice = [fine.clone(), vec![call("CA4", Some("CA3"), "")]].concat();
        assert_eq!(judged(twice)[0], "the customer of lead-0 was rung by CA2, CA4");
        let thrice = [fine, vec![call("CA5", None, "e3")]].concat();
        assert_eq!(judged(thrice), ["the boss of business-0 was called 3 times for 2 leads"]);
    }

    #[test]
    fn two_texts_about_one_customer_are_found() {
        let text = |sid: &str, phone: &str| Message {
            sid: sid.to_owned(),
            to: BOSS.to_owned(),
            from: String::new(),
            body: format!("New lead. Phone: {phone}. Call {sid}."),
            status: MessageStatus::Sent,
            error_code: None,
            status_callback: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            sent_at: None,
        };
        let messages = vec![text("SM1", "+641"), text("SM2", "+642"), text("SM3", "+641")];
        assert_eq!(texted_twice(&Ledger { messages, ..Ledger::default() }), ["about +641: SM1, SM3"]);
    }

    #[test]
    fn a_ticket_ends_once_or_is_visibly_held() {
        let end = json!({"seq": 2, "kind": "completed"});
        let step = json!({"seq": 1, "kind": "step", "step": "begin"});
        let waiting = |effects| ticket("w", "waiting", json!([step.clone()]), effects);
        let whole = books(&[], vec![ticket("t", "completed", json!([step.clone(), end.clone()]), json!([]))]);
        assert!(torn(&whole).is_empty() && unended(&whole).is_empty());
        assert!(unended(&books(&[], vec![waiting(json!([{"state": "held"}]))])).is_empty());
        assert_eq!(unended(&books(&[], vec![waiting(json!([]))])), ["ticket w is \"waiting\""]);
        let torn_by = |events| torn(&books(&[], vec![ticket("t", "completed", events, json!([]))])).remove(0);
        assert_eq!(torn_by(json!([step.clone()])), "ticket t: it is \"completed\" and has 0 ends");
        assert_eq!(torn_by(json!([end.clone()])), "ticket t: entry 1 has the number 2");
        let again = json!({"seq": 2, "kind": "step", "step": "begin"});
        assert_eq!(torn_by(json!([step.clone(), again])), "ticket t: step \"begin\" stands twice");
        let held = |seq: u64| json!({"seq": seq, "kind": "stage", "step": "held", "data": {"effect_id": "e"}});
        let sent = json!({"seq": 2, "kind": "note", "step": "sent_again", "data": {"effect_id": "e"}});
        assert_eq!(torn_by(json!([held(1), held(2)])), "ticket t: stage \"held\" stands twice");
        let held_anew = json!([held(1), sent, held(3), {"seq": 4, "kind": "completed"}]);
        assert!(torn(&books(&[], vec![ticket("t", "completed", held_anew, json!([]))])).is_empty());
    }
}
