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

    /// Calls, newest first, narrowed by whichever of the two is given.
    pub(crate) fn calls(&self, to: Option<&str>, parent: Option<&str>) -> Vec<&Call> {
        let places = match (parent, to) {
            (Some(parent), _) => self.legs_of.get(parent),
            (None, Some(to)) => self.calls_to.get(to),
            (None, None) => return self.ledger.calls.iter().rev().collect(),
        };
        let found = places.into_iter().flatten().rev().filter_map(|at| self.ledger.calls.get(*at));
        found.filter(|call| to.is_none_or(|to| call.to == to)).collect()
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

    /// Messages, newest first.
    pub(crate) fn messages(&self, to: Option<&str>) -> Vec<&Message> {
        let Some(to) = to else { return self.ledger.messages.iter().rev().collect() };
        let places = self.messages_to.get(to).into_iter().flatten().rev();
        places.filter_map(|at| self.ledger.messages.get(*at)).collect()
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

    /// Recordings, newest first.
    pub(crate) fn recordings(&self, call: Option<&str>) -> Vec<&Recording> {
        let Some(call) = call else { return self.ledger.recordings.iter().rev().collect() };
        let places = self.recordings_of.get(call).into_iter().flatten().rev();
        places.filter_map(|at| self.ledger.recordings.get(*at)).collect()
    }

    pub(crate) fn add_gemini_request(&mut self, request: GeminiRequest) {
        self.ledger.gemini_requests.push(request);
    }
}
