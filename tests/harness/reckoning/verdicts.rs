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
        if kind != "note" && !told.insert((kind, step, about)) {
            return Some(format!("{kind} {step:?} stands twice"));
        }
    }
    let ends =
        ["completed", "failed", "cancelled", "dead"].iter().filter(|end| told.contains(&(**end, "", ""))).count();
    (ticket.is_final() != (ends == 1)).then(|| format!("it is {} and has {ends} ends", ticket.body["state"]))
}
