//! What a look-up finds: calls and texts that may be ours, whose answers we never saw.

use apex_actors::ports::Found;
use apex_storage::model::phone::Phone;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Trial accounts say this before every text.
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";

/// A page of calls.
#[derive(Debug, Deserialize)]
pub(super) struct Calls {
    calls: Vec<Item>,
}

/// A page of messages.
#[derive(Debug, Deserialize)]
pub(super) struct Messages {
    messages: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    sid: String,
    #[serde(default)]
    date_created: Option<String>,
    #[serde(default)]
    parent_call_sid: Option<String>,
    #[serde(default)]
    body: Option<String>,
}

/// The filter: no date, because what is still queued has none.
pub(super) fn between<'a>(to: &'a Phone, from: &'a str) -> [(&'static str, &'a str); 2] {
    [("To", to.as_str()), ("From", from)]
}

/// Calls that were asked for, newest first; second legs are not.
pub(super) fn calls(page: Calls) -> Vec<Found> {
    newest_first(page.calls.into_iter().filter(|call| call.parent_call_sid.as_deref().is_none_or(str::is_empty)))
}

/// Texts that say exactly `body`, newest first.
pub(super) fn texts(page: Messages, body: &str) -> Vec<Found> {
    let says = |item: &Item| {
        let said = item.body.as_deref().unwrap_or_default();
        said == body || said.strip_prefix(TRIAL_PREFIX) == Some(body)
    };
    newest_first(page.messages.into_iter().filter(says))
}

/// Those without a date are still queued, and so the newest.
fn newest_first(items: impl Iterator<Item = Item>) -> Vec<Found> {
    let mut found: Vec<Found> =
        items.map(|item| Found { created_at: item.date_created.as_deref().and_then(date), sid: item.sid }).collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.created_at.unwrap_or(DateTime::<Utc>::MAX_UTC)));
    found
}

pub(super) fn date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_newest_first_without_second_legs() {
        let page = json!({ "calls": [
            { "sid": "CA1", "date_created": "Thu, 19 Nov 2026 12:00:00 +0000", "parent_call_sid": null },
            { "sid": "CA2", "date_created": "Thu, 19 Nov 2026 13:00:00 +0000", "parent_call_sid": "CA1" },
            { "sid": "CA3", "date_created": "Thu, 19 Nov 2026 12:00:01 +0000" },
            { "sid": "CA4", "date_created": null, "parent_call_sid": "" },
            { "sid": "CA5", "date_created": "not a date" },
        ], "next_page_uri": null });
        let found = calls(serde_json::from_value(page).unwrap());
        let sids: Vec<_> = found.iter().map(|found| found.sid.as_str()).collect();
        assert_eq!(sids, ["CA4", "CA5", "CA3", "CA1"]);
        assert_eq!(found[0].created_at, None);
        assert_eq!(found[3].created_at.unwrap().to_rfc3339(), "2026-11-19T12:00:00+00:00");
    }

    #[test]
    fn texts_are_told_apart_by_what_they_say() {
        let page = json!({ "messages": [
            { "sid": "SM1", "body": "New lead: Mere" },
            { "sid": "SM2", "body": "New lead: Mere " },
            { "sid": "SM3", "body": "Sent from your Twilio trial account - New lead: Mere" },
            { "sid": "SM4", "body": null },
        ]});
        let sids: Vec<_> =
            texts(serde_json::from_value(page).unwrap(), "New lead: Mere").into_iter().map(|f| f.sid).collect();
        assert_eq!(sids, ["SM1", "SM3"]);
    }
}
