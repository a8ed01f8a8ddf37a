//! Server-sent events, read as a browser reads them.

use std::collections::VecDeque;

use serde_json::Value;

use crate::wait;

/// One dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What `Last-Event-ID` takes to resume after this event.
    pub id: String,
    /// `message` when the stream names none.
    pub event: String,
    /// Its data lines, joined.
    pub data: String,
}

impl Event {
    /// The data as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("event data {:?}: {error}", self.data))
    }

    /// The sequence number in its id.
    ///
    /// # Panics
    ///
    /// When the id is no number.
    pub fn seq(&self) -> u64 {
        self.id.parse().unwrap_or_else(|error| panic!("event id {:?}: {error}", self.id))
    }
}

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    parser: Parser,
}

impl EventStream {
    /// Reads the body of an answer as a stream.
    pub fn new(response: reqwest::Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next event; `None` when the server has ended the stream or the connection broke.
    ///
    /// # Panics
    ///
    /// When nothing comes for [`wait::PATIENCE`].
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.ready.pop_front() {
                return Some(event);
            }
            let chunk = tokio::time::timeout(wait::PATIENCE, self.response.chunk()).await;
            match chunk.expect("a stream that is neither ended nor silent for so long") {
                Ok(Some(bytes)) => self.parser.feed(&bytes),
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// All events up to and including the first that `last` accepts, or to the end of the stream.
    pub async fn until(&mut self, last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        while let Some(event) = self.next().await {
            let done = last(&event);
            seen.push(event);
            if done {
                break;
            }
        }
        seen
    }
}

/// Turns bytes, cut anywhere, into events.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    id: String,
    event: String,
    data: Option<String>,
    ready: VecDeque<Event>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false, // the second half of CR LF
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    self.take(&String::from_utf8_lossy(&line));
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(*byte);
                }
            }
        }
    }

    fn take(&mut self, line: &str) {
        let line = if self.begun { line } else { line.strip_prefix('\u{feff}').unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            _ => {} // a comment has an empty name; others are none of ours
        }
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.event);
        let Some(data) = self.data.take() else { return };
        let event = if name.is_empty() { "message".to_owned() } else { name };
        self.ready.push_back(Event { id: self.id.clone(), event, data });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, data: &str) -> Event {
        Event { id: id.into(), event: event.into(), data: data.into() }
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let text = "\u{feff}: hello\nid: 1\nevent: progress\ndata: {\"a\":\ndata: \"ū\"}\n\n\
                    retry: 3000\r\nid:2\r\ndata:x\r\n\r\nevent: nothing\n\ndata:  two spaces\r\rdata: unfinished";
        let expected = vec![
            event("1", "progress", "{\"a\":\n\"ū\"}"),
            event("2", "message", "x"),
            event("2", "message", " two spaces"),
        ];
        for size in [1, 2, 3, 7, text.len()] {
            let mut parser = Parser::default();
            text.as_bytes().chunks(size).for_each(|chunk| parser.feed(chunk));
            assert_eq!(Vec::from(parser.ready), expected, "cut into pieces of {size}");
        }
    }

    #[test]
    fn an_empty_id_forgets_and_one_with_nul_is_ignored() {
        let mut parser = Parser::default();
        parser.feed(b"id: 7\ndata: a\n\nid: 8\0\ndata: b\n\nid\ndata: c\n\n");
        let ids: Vec<_> = parser.ready.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(ids, ["7", "7", ""]);
    }
}
