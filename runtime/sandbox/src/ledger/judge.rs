//! What must not have happened outside.

use std::collections::BTreeMap;

use url::Url;

use super::{Call, Direction, Ledger};

/// What happened more than once and must not have, each in words with its sids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repeated {
    /// Two calls placed for one effect, whether they rang or not.
    pub calls: Vec<String>,
    /// Two second legs rung for one bridge.
    pub legs: Vec<String>,
    /// Two messages sent for one effect.
    pub messages: Vec<String>,
}

impl Ledger {
    /// What must not have happened: broken rules of the protocol, two calls placed for one effect, two second legs rung
    /// for one bridge, two messages sent for one effect. Empty: all is well.
    ///
    /// Effects and bridges are recognised by the `effect` and `bridge` parameters of the URLs that requests carry.
    pub fn judge(&self) -> Vec<String> {
        let Repeated { calls, legs, messages } = self.repeated();
        self.violations.iter().cloned().chain(calls).chain(legs).chain(messages).collect()
    }

    /// What happened more than once and must not have.
    pub fn repeated(&self) -> Repeated {
        let placed = self.calls.iter().filter(|call| call.direction == Direction::OutboundApi);
        let calls = grouped(placed.filter_map(|call| Some((marked(call, "effect")?, call.sid.as_str()))));

        let parents: BTreeMap<&str, &Call> = self.calls.iter().map(|call| (call.sid.as_str(), call)).collect();
        let rung = self.calls.iter().filter(|call| call.rung_at.is_some());
        let legs = grouped(rung.filter_map(|leg| {
            let parent = parents.get(leg.parent_sid.as_deref()?)?;
            Some((marked(parent, "bridge")?, leg.sid.as_str()))
        }));

        let messages = grouped(self.messages.iter().filter_map(|message| {
            Some((parameter(message.status_callback.as_deref()?, "effect")?, message.sid.as_str()))
        }));
        Repeated {
            calls: repeated(&calls, "calls were placed for effect"),
            legs: repeated(&legs, "second legs were rung for bridge"),
            messages: repeated(&messages, "messages were sent for effect"),
        }
    }
}

fn grouped<'a>(found: impl Iterator<Item = (String, &'a str)>) -> BTreeMap<String, Vec<&'a str>> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (key, sid) in found {
        groups.entry(key).or_default().push(sid);
    }
    groups
}

fn repeated(groups: &BTreeMap<String, Vec<&str>>, what: &str) -> Vec<String> {
    let twice = groups.iter().filter(|(_, sids)| sids.len() > 1);
    twice.map(|(key, sids)| format!("{} {what} {key}: {}", sids.len(), sids.join(", "))).collect()
}

/// What a call's own URLs say it is about.
fn marked(call: &Call, name: &str) -> Option<String> {
    let urls = [call.url.as_deref(), call.status_callback.as_deref()];
    urls.into_iter().flatten().find_map(|url| parameter(url, name))
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{CallStatus, Message, MessageStatus};
    use super::*;
    use crate::clock::now;

    fn call(sid: &str, parent: Option<&str>, url: Option<&str>) -> Call {
        Call {
            sid: sid.to_owned(),
            parent_sid: parent.map(str::to_owned),
            direction: if parent.is_some() { Direction::OutboundDial } else { Direction::OutboundApi },
            to: "+64275559001".to_owned(),
            from: "+6498889002".to_owned(),
            status: CallStatus::Completed,
            url: url.map(str::to_owned),
            status_callback: None,
            created_at: now(),
            rung_at: Some(now()),
            answered_at: None,
            ended_at: None,
            duration: None,
            queue_ms: 0,
            answered_by: None,
            pressed: Vec::new(),
            twiml_fetches: Vec::new(),
        }
    }

    fn message(sid: &str, effect: &str) -> Message {
        Message {
            sid: sid.to_owned(),
            to: "+64275559001".to_owned(),
            from: "+6498889002".to_owned(),
            body: "hi".to_owned(),
            status: MessageStatus::Sent,
            error_code: None,
            status_callback: Some(format!("http://h/sms?effect={effect}")),
            created_at: now(),
            sent_at: None,
        }
    }

    const FIRST: Option<&str> = Some("http://h/voice/whisper?bridge=b1&effect=e1");
    const SECOND: Option<&str> = Some("http://h/voice/whisper?bridge=b1&effect=e2");

    #[test]
    fn two_calls_for_one_effect_are_found() {
        let calls = vec![call("CA1", None, FIRST), call("CA2", None, FIRST), call("CA3", None, SECOND)];
        let found = Ledger { calls, ..Ledger::default() }.judge();
        assert_eq!(found, ["2 calls were placed for effect e1: CA1, CA2"]);
    }

    #[test]
    fn two_second_legs_for_one_bridge_are_found_unless_one_never_rang() {
        let mut calls = vec![
            call("CA1", None, FIRST),
            call("CA2", None, SECOND),
            call("CA3", Some("CA1"), None),
            call("CA4", Some("CA2"), None),
        ];
        let found = Ledger { calls: calls.clone(), ..Ledger::default() }.judge();
        assert_eq!(found, ["2 second legs were rung for bridge b1: CA3, CA4"]);
        calls[3].rung_at = None;
        assert!(Ledger { calls, ..Ledger::default() }.judge().is_empty());
    }

    #[test]
    fn two_messages_for_one_effect_and_broken_rules_are_found() {
        let messages = vec![message("SM1", "e1"), message("SM2", "e1"), message("SM3", "e2")];
        let ledger = Ledger { messages, violations: vec!["CA1: no XML".to_owned()], ..Ledger::default() };
        assert_eq!(ledger.judge(), ["CA1: no XML", "2 messages were sent for effect e1: SM1, SM2"]);
        assert_eq!(ledger.messages_to("+64275559001").len(), 3);
    }
}
