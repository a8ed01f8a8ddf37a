//! What Twilio is told to do with a call: a typed `TwiML` builder and the scripts of the bridge call.
//!
//! Every text is escaped and stripped of what XML 1.0 cannot carry, so an answer is valid whatever a form contained.

mod scripts;
mod xml;

use axum::http::header;
use axum::response::IntoResponse;

pub use scripts::{
    ConnectScript, ForwardScript, WhisperScript, apology, connect_customer, empty, forward_to_boss, goodbye, hangup,
    whisper,
};
use xml::Element;

/// What Twilio reads aloud at most, in characters; more is an error there.
const MAX_SAY_CHARS: usize = 4096;
/// How many numbers one `<Dial>` can ring together.
const MAX_NUMBERS: usize = 10;

/// A finished answer: always `200` and `text/xml; charset=utf-8`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwiMl(pub String);

impl IntoResponse for TwiMl {
    fn into_response(self) -> axum::response::Response {
        ([(header::CONTENT_TYPE, "text/xml; charset=utf-8")], self.0).into_response()
    }
}

/// A script under construction; its verbs run in order.
#[derive(Debug, Clone)]
pub struct Response(Element);

impl Default for Response {
    fn default() -> Self {
        Self::new()
    }
}

impl Response {
    /// A script that does nothing: the call ends.
    pub fn new() -> Self {
        Self(Element::new("Response"))
    }

    /// Reads a text aloud.
    #[must_use]
    pub fn say(self, say: Say) -> Self {
        Self(self.0.child(say.0))
    }

    /// Reads a text and waits for digits.
    #[must_use]
    pub fn gather(self, gather: Gather) -> Self {
        Self(self.0.child(gather.0))
    }

    /// Rings other numbers and joins the first that answers.
    #[must_use]
    pub fn dial(self, dial: Dial) -> Self {
        Self(self.0.child(dial.element()))
    }

    /// Stays silent for some seconds.
    #[must_use]
    pub fn pause(self, seconds: u32) -> Self {
        Self(self.0.child(Element::new("Pause").attribute("length", seconds)))
    }

    /// Records what the caller says until `#` or `max_length_s`; `action` gets the recording's address.
    #[must_use]
    pub fn record(self, action: &str, recording_callback: &str, max_length_s: u32) -> Self {
        let record = Element::new("Record")
            .attribute("maxLength", max_length_s)
            .attribute("playBeep", "true")
            .attribute("recordingStatusCallback", recording_callback)
            .attribute("recordingStatusCallbackEvent", "completed absent")
            .attribute("method", "POST")
            .attribute("action", action);
        Self(self.0.child(record))
    }

    /// Goes on with the script at another URL.
    #[must_use]
    pub fn redirect(self, url: &str) -> Self {
        Self(self.0.child(Element::new("Redirect").attribute("method", "POST").text(url)))
    }

    /// Answers a text message with another one.
    #[must_use]
    pub fn message(self, text: &str) -> Self {
        Self(self.0.child(Element::new("Message").text(text)))
    }

    /// Refuses a call without answering it.
    #[must_use]
    pub fn reject(self) -> Self {
        Self(self.0.child(Element::new("Reject")))
    }

    /// Ends the call.
    #[must_use]
    pub fn hangup(self) -> Self {
        Self(self.0.child(Element::new("Hangup")))
    }

    /// The finished document.
    pub fn finish(self) -> TwiMl {
        TwiMl(self.0.document())
    }
}

/// A text to be read aloud.
#[derive(Debug, Clone)]
pub struct Say(Element);

impl Say {
    /// The text, in a language as Twilio names it: `en-NZ`. An empty language is Twilio's default.
    pub fn new(text: &str, language: &str) -> Self {
        let spoken: String = text.chars().take(MAX_SAY_CHARS).collect();
        let language = Some(language.trim()).filter(|language| !language.is_empty());
        Self(Element::new("Say").optional("language", language).text(&spoken))
    }
}

/// Digits to wait for. Silence counts as an answer, so that nothing falls through to the next verb unheard.
#[derive(Debug, Clone)]
pub struct Gather(Element);

impl Gather {
    /// Waits `timeout_s` seconds for `digits` digits, then asks `action`, which must be an absolute URL.
    pub fn new(digits: u8, timeout_s: u32, action: &str) -> Self {
        let gather = Element::new("Gather")
            .attribute("numDigits", digits)
            .attribute("timeout", timeout_s)
            .attribute("actionOnEmptyResult", "true")
            .attribute("method", "POST")
            .attribute("action", action);
        Self(gather)
    }

    /// Reads a text while waiting.
    #[must_use]
    pub fn say(self, say: Say) -> Self {
        Self(self.0.child(say.0))
    }
}

/// Other numbers to ring; the first to answer is joined to the call.
#[derive(Debug, Clone)]
pub struct Dial {
    element: Element,
    numbers: Vec<Element>,
}

impl Dial {
    /// Rings for `timeout_s` seconds, lasts `time_limit_s` at most, then asks `action` what to do next.
    ///
    /// The caller hears ringing until somebody answers (`answerOnBridge`).
    pub fn new(timeout_s: u32, time_limit_s: u32, action: &str) -> Self {
        let element = Element::new("Dial")
            .attribute("timeout", timeout_s)
            .attribute("answerOnBridge", "true")
            .attribute("timeLimit", time_limit_s)
            .attribute("method", "POST")
            .attribute("action", action);
        Self { element, numbers: Vec::new() }
    }

    /// Which number the called party sees, E.164.
    #[must_use]
    pub fn caller_id(self, caller_id: &str) -> Self {
        Self { element: self.element.attribute("callerId", caller_id), ..self }
    }

    /// Records both legs on channels of their own, from the answer on.
    #[must_use]
    pub fn record(self, callback: &str) -> Self {
        let element = self
            .element
            .attribute("record", "record-from-answer-dual")
            .attribute("recordingStatusCallback", callback)
            .attribute("recordingStatusCallbackEvent", "completed absent");
        Self { element, ..self }
    }

    /// Adds a number to ring, E.164. The eleventh and later are ignored: Twilio rings ten together at most.
    #[must_use]
    pub fn number(mut self, number: Number) -> Self {
        if self.numbers.len() < MAX_NUMBERS {
            self.numbers.push(number.0);
        }
        self
    }

    fn element(self) -> Element {
        self.numbers.into_iter().fold(self.element, Element::child)
    }
}

/// One number of a [`Dial`].
#[derive(Debug, Clone)]
pub struct Number(Element);

impl Number {
    /// The number, E.164, and where the events of its leg are posted.
    pub fn new(number: &str, leg_callback: &str) -> Self {
        let element = Element::new("Number")
            .attribute("statusCallback", leg_callback)
            .attribute("statusCallbackEvent", "initiated ringing answered completed")
            .attribute("statusCallbackMethod", "POST")
            .text(number);
        Self(element)
    }

    /// Runs the script at `url` on the called party's side before the two are joined.
    #[must_use]
    pub fn screened_by(self, url: &str) -> Self {
        Self(self.0.attribute("url", url).attribute("method", "POST"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_is_xml_and_always_ok() {
        let response = Response::new().hangup().finish().into_response();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/xml; charset=utf-8");
    }

    #[test]
    fn verbs_keep_their_order() {
        let script = Response::new().say(Say::new("a", "en")).pause(1).redirect("https://x.example/?a=1&b=2").hangup();
        assert_eq!(
            script.finish().0,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say language=\"en\">a</Say><Pause length=\"1\"/>\
             <Redirect method=\"POST\">https://x.example/?a=1&amp;b=2</Redirect><Hangup/></Response>"
        );
    }

    #[test]
    fn the_other_verbs_are_spelled_as_twilio_knows_them() {
        let script = Response::default().record("https://x.example/a", "https://x.example/r", 120).reject();
        assert_eq!(
            script.message("Kia ora").finish().0,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Record maxLength=\"120\" playBeep=\"true\" \
             recordingStatusCallback=\"https://x.example/r\" recordingStatusCallbackEvent=\"completed absent\" \
             method=\"POST\" action=\"https://x.example/a\"/><Reject/><Message>Kia ora</Message></Response>"
        );
    }

    #[test]
    fn a_text_is_cut_to_what_twilio_reads() {
        let script = Response::new().say(Say::new(&"ā".repeat(5000), "")).finish().0;
        assert_eq!(script.matches('ā').count(), 4096);
        assert!(script.contains("<Say>"));
    }

    #[test]
    fn ten_numbers_ring_together_at_most() {
        let dial = (0..12).fold(Dial::new(20, 60, "https://x.example/after"), |dial, _| {
            dial.number(Number::new("+64275559001", "https://x.example/leg"))
        });
        assert_eq!(Response::new().dial(dial).finish().0.matches("<Number").count(), 10);
    }
}
