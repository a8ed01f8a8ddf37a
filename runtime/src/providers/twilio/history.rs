//! What the account did lately, page by page.

use apex_actors::ports::{PlacedCall, PortError};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::transport::Wire;
use super::{answer, look_up, report};

/// As many as the provider puts on a page.
const PAGE_SIZE: &str = "1000";
/// No more pages are read: they are calls of an hour at several a second.
const PAGES: usize = 20;

#[derive(Debug, Deserialize)]
struct Page {
    calls: Vec<Item>,
    #[serde(default)]
    next_page_uri: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    sid: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    direction: Option<String>,
    #[serde(default)]
    duration: Value,
    #[serde(default)]
    end_time: Option<String>,
}

/// Calls that began since then; those that are still queued have not begun.
pub(super) async fn calls_since(wire: &Wire, since: DateTime<Utc>) -> Result<Vec<PlacedCall>, PortError> {
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let first =
        Serializer::new(String::new()).append_pair("StartTime>", &since).append_pair("PageSize", PAGE_SIZE).finish();
    let (mut calls, mut query) = (Vec::new(), Some(first));
    for _ in 0..PAGES {
        let Some(asked) = query else { break };
        let page: Page = answer::read(&wire.page("Calls", &asked).await?)?;
        query = page.next_page_uri.as_deref().and_then(next_query);
        calls.extend(page.calls.into_iter().map(Item::placed));
    }
    Ok(calls)
}

/// Only the query is followed: the address stays ours, whatever the answer says.
fn next_query(uri: &str) -> Option<String> {
    uri.split_once('?').map(|(_, query)| query.to_owned()).filter(|query| !query.is_empty())
}

impl Item {
    fn placed(self) -> PlacedCall {
        PlacedCall {
            is_outbound_api: self.direction.as_deref() == Some("outbound-api"),
            seconds: report::seconds(&self.duration),
            ended_at: self.end_time.as_deref().and_then(look_up::date),
            from: self.from.unwrap_or_default(),
            sid: self.sid,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_read_whether_it_lasts_or_is_over() {
        let read = |item: Value| serde_json::from_value::<Item>(item).unwrap().placed();
        let over = read(json!({
            "sid": "CA1", "from": "+6498889002", "direction": "outbound-api", "duration": "34",
            "end_time": "Thu, 19 Nov 2026 12:00:34 +0000",
        }));
        assert_eq!((over.is_outbound_api, over.seconds, over.from.as_str()), (true, 34, "+6498889002"));
        assert_eq!(over.ended_at.unwrap().to_rfc3339(), "2026-11-19T12:00:34+00:00");
        let lasting = read(json!({ "sid": "CA2", "direction": "outbound-dial", "duration": null, "end_time": null }));
        assert_eq!((lasting.is_outbound_api, lasting.seconds, lasting.ended_at), (false, 0, None));
    }

    #[test]
    fn an_answer_cannot_send_us_elsewhere() {
        assert_eq!(
            next_query("https://elsewhere.example/x?Page=1&PageToken=PA1").as_deref(),
            Some("Page=1&PageToken=PA1")
        );
        assert_eq!(next_query("/2010-04-01/Accounts/AC1/Calls.json"), None);
    }
}
