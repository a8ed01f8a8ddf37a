//! The ledger while it is being written, with an index for each question that requests ask.

use std::collections::HashMap;

use crate::ledger::{Call, GeminiRequest, Ledger, Message, Recording};

/// The ledger and where things stand in it.
#[derive(Debug, Default)]
pub(crate) struct Book {
    ledger: Ledger,
    calls: HashMap<String, usize>,
    calls_to: HashMap<String, Vec<usize>>,
    legs_of: HashMap<String, Vec<usize>>,
    messages: HashMap<String, usize>,
    messages_to: HashMap<String, Vec<usize>>,
    recordings: HashMap<String, usize>,
    recordings_of: HashMap<String, Vec<usize>>,
}

impl Book {
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Callbacks, violations and all else that needs no index.
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    pub(crate) fn add_call(&mut self, call: Call) {
        let at = self.ledger.calls.len();
        self.calls.insert(call.sid.clone(), at);
        self.calls_to.entry(call.to.clone()).or_default().push(at);
        if let Some(parent) = &call.parent_sid {
            self.legs_of.entry(parent.clone()).or_default().push(at);
        }
        self.ledger.calls.push(call);
    }

    pub(crate) fn call(&self, sid: &str) -> Option<&Call> {
        self.ledger.calls.get(*self.calls.get(sid)?)
    }

    pub(crate) fn call_mut(&mut self, sid: &str) -> Option<&mut Call> {
        self.ledger.calls.get_mut(*self.calls.get(sid)?)
    }

    /// Calls older than `after`, newest first, narrowed by whichever of the two is given. Nothing is looked at that is not
    /// asked for.
    pub(crate) fn calls<'a>(
        &'a self,
        to: Option<&'a str>,
        parent: Option<&str>,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Call> {
        let before = after.and_then(|sid| self.calls.get(sid)).copied();
        let places = match (parent, to) {
            (Some(parent), _) => Some(listed(&self.legs_of, parent)),
            (None, Some(to)) => Some(listed(&self.calls_to, to)),
            (None, None) => None,
        };
        newest_first(&self.ledger.calls, places, before).filter(move |call| to.is_none_or(|to| call.to == to))
    }

    pub(crate) fn add_message(&mut self, message: Message) {
        let at = self.ledger.messages.len();
        self.messages.insert(message.sid.clone(), at);
        self.messages_to.entry(message.to.clone()).or_default().push(at);
        self.ledger.messages.push(message);
    }

    pub(crate) fn message(&self, sid: &str) -> Option<&Message> {
        self.ledger.messages.get(*self.messages.get(sid)?)
    }

    pub(crate) fn message_mut(&mut self, sid: &str) -> Option<&mut Message> {
        self.ledger.messages.get_mut(*self.messages.get(sid)?)
    }

    /// Messages older than `after`, newest first.
    pub(crate) fn messages(&self, to: Option<&str>, after: Option<&str>) -> impl Iterator<Item = &Message> {
        let before = after.and_then(|sid| self.messages.get(sid)).copied();
        newest_first(&self.ledger.messages, to.map(|to| listed(&self.messages_to, to)), before)
    }

    pub(crate) fn add_recording(&mut self, recording: Recording) {
        let at = self.ledger.recordings.len();
        self.recordings.insert(recording.sid.clone(), at);
        self.recordings_of.entry(recording.call_sid.clone()).or_default().push(at);
        self.ledger.recordings.push(recording);
    }

    pub(crate) fn recording(&self, sid: &str) -> Option<&Recording> {
        self.ledger.recordings.get(*self.recordings.get(sid)?)
    }

    pub(crate) fn recording_mut(&mut self, sid: &str) -> Option<&mut Recording> {
        self.ledger.recordings.get_mut(*self.recordings.get(sid)?)
    }

    /// Recordings older than `after`, newest first.
    pub(crate) fn recordings(&self, call: Option<&str>, after: Option<&str>) -> impl Iterator<Item = &Recording> {
        let before = after.and_then(|sid| self.recordings.get(sid)).copied();
        newest_first(&self.ledger.recordings, call.map(|call| listed(&self.recordings_of, call)), before)
    }

    pub(crate) fn add_gemini_request(&mut self, request: GeminiRequest) {
        self.ledger.gemini_requests.push(request);
    }
}

/// Where the rows under a key stand, oldest first.
fn listed<'a>(index: &'a HashMap<String, Vec<usize>>, key: &str) -> &'a [usize] {
    index.get(key).map_or(&[], Vec::as_slice)
}

/// The rows at `places`, or all, that stand before `before`, newest first.
fn newest_first<'a, T>(
    rows: &'a [T],
    places: Option<&'a [usize]>,
    before: Option<usize>,
) -> Box<dyn Iterator<Item = &'a T> + 'a> {
    let end = before.unwrap_or(rows.len());
    match places {
        None => Box::new(rows[..end].iter().rev()),
        Some(places) => {
            let older = &places[..places.partition_point(|at| *at < end)];
            Box::new(older.iter().rev().filter_map(|at| rows.get(*at)))
        }
    }
}
