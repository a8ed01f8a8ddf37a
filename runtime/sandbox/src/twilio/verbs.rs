//! Scripts as verbs, checked as Twilio checks them.

use crate::twilio::form::is_e164;
use crate::twilio::request::{Hook, Link};
use crate::twilio::tape::Taping;
use crate::twilio::twiml::{self, Element};

/// What Twilio reads aloud at most, characters.
const LONGEST_SAY: usize = 4096;
/// How many numbers ring together at most.
const MOST_NUMBERS: usize = 10;

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Say,
    Play,
    Pause(u32),
    Gather(Gather),
    Dial(Box<Dial>),
    Record(Record),
    Hangup,
    Redirect(Link),
    Reject { busy: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gather {
    pub action: Option<Link>,
    pub digits: Option<usize>,
    pub timeout_s: u32,
    pub also_when_empty: bool,
    pub finish_on: String,
    pub prompts: Vec<Verb>,
}

impl Gather {
    /// What of the keys pressed is taken, and the key that ended it.
    pub(crate) fn take(&self, keys: &str) -> (String, Option<char>) {
        let mut taken = String::new();
        for key in keys.chars().filter(|key| key.is_ascii_digit() || "*#".contains(*key)) {
            if self.finish_on.contains(key) {
                return (taken, Some(key));
            }
            taken.push(key);
            if Some(taken.len()) == self.digits {
                break;
            }
        }
        (taken, None)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub caller_id: Option<String>,
    pub timeout_s: u32,
    pub time_limit_s: u32,
    pub answer_on_bridge: bool,
    pub sequential: bool,
    pub taping: Option<Taping>,
    pub action: Option<Link>,
    pub numbers: Vec<Number>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub to: String,
    pub screen: Option<Link>,
    pub hook: Option<Hook>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub action: Option<Link>,
    pub max_s: u32,
    pub taping: Taping,
}

/// A script that was read, and what is wrong with it without keeping it from being run.
#[derive(Debug)]
pub(crate) struct Script {
    pub verbs: Vec<Verb>,
    pub names: Vec<String>,
    pub complaints: Vec<String>,
}

/// Reads a script. The error says why it cannot be run.
pub(crate) fn read(text: &str) -> Result<Script, String> {
    let root = twiml::parse(text)?;
    if root.name != "Response" {
        return Err(format!("the root is <{}>, not <Response>", root.name));
    }
    let mut check = Check::default();
    check.attributes(&root, &[]);
    check.no_text(&root);
    let verbs = root.children.iter().map(|element| check.verb(element)).collect::<Result<_, _>>()?;
    let names = root.children.iter().map(|element| element.name.clone()).collect();
    Ok(Script { verbs, names, complaints: check.complaints })
}

#[derive(Default)]
struct Check {
    complaints: Vec<String>,
}

impl Check {
    fn verb(&mut self, element: &Element) -> Result<Verb, String> {
        let holds_others = matches!(element.name.as_str(), "Gather" | "Dial");
        if let Some(child) = element.children.first().filter(|_| !holds_others) {
            return Err(format!("<{}> cannot stand in <{}>", child.name, element.name));
        }
        match element.name.as_str() {
            "Say" => Ok(self.say(element)),
            "Play" => {
                self.attributes(element, &["loop", "digits"]);
                Ok(Verb::Play)
            }
            "Pause" => {
                self.attributes(element, &["length"]);
                Ok(Verb::Pause(self.number(element, "length", 1)))
            }
            "Gather" => Ok(Verb::Gather(self.gather(element)?)),
            "Dial" => Ok(Verb::Dial(Box::new(self.dial(element)?))),
            "Record" => Ok(Verb::Record(self.record(element))),
            "Hangup" => {
                self.attributes(element, &[]);
                Ok(Verb::Hangup)
            }
            "Redirect" => {
                self.attributes(element, &["method"]);
                let url = element.text.trim();
                Ok(Verb::Redirect(Link::new(url, element.attribute("method"))))
            }
            "Reject" => {
                self.attributes(element, &["reason"]);
                Ok(Verb::Reject { busy: element.attribute("reason") == Some("busy") })
            }
            unknown => Err(format!("<{unknown}> is no verb of a call")),
        }
    }

    fn say(&mut self, element: &Element) -> Verb {
        self.attributes(element, &["voice", "loop", "language"]);
        let length = element.text.chars().count();
        if element.text.trim().is_empty() {
            self.complain("<Say> has nothing to say".to_owned());
        }
        if length > LONGEST_SAY {
            self.complain(format!("<Say> has {length} characters, more than {LONGEST_SAY}"));
        }
        Verb::Say
    }

    fn gather(&mut self, element: &Element) -> Result<Gather, String> {
        self.attributes(element, GATHER);
        self.no_text(element);
        let mut prompts = Vec::new();
        for child in &element.children {
            if !matches!(child.name.as_str(), "Say" | "Play" | "Pause") {
                return Err(format!("<{}> cannot stand in <Gather>", child.name));
            }
            prompts.push(self.verb(child)?);
        }
        let digits = element.attribute("numDigits").map(|_| self.number(element, "numDigits", 0));
        Ok(Gather {
            action: link(element, "action", "method"),
            digits: digits.and_then(|digits| usize::try_from(digits).ok()),
            timeout_s: self.number(element, "timeout", 5),
            also_when_empty: self.flag(element, "actionOnEmptyResult"),
            finish_on: element.attribute("finishOnKey").unwrap_or("#").to_owned(),
            prompts,
        })
    }

    fn dial(&mut self, element: &Element) -> Result<Dial, String> {
        self.attributes(element, DIAL);
        let mut numbers = Vec::new();
        for child in &element.children {
            if child.name != "Number" {
                return Err(format!("<{}> cannot be dialled here", child.name));
            }
            self.attributes(child, NUMBER);
            let hook = self.hook(child, "statusCallback", CALL_EVENTS);
            numbers.push(Number { to: child.text.trim().to_owned(), screen: link(child, "url", "method"), hook });
        }
        let plain = element.text.trim();
        if !plain.is_empty() {
            numbers.push(Number { to: plain.to_owned(), screen: None, hook: None });
        }
        if numbers.is_empty() || numbers.len() > MOST_NUMBERS {
            return Err(format!("<Dial> has {} numbers, not 1 to {MOST_NUMBERS}", numbers.len()));
        }
        if let Some(bad) = numbers.iter().map(|number| &number.to).find(|number| !is_e164(number)) {
            return Err(format!("<Dial> has the number {bad:?}, which is not E.164"));
        }
        if let Some(bad) = element.attribute("callerId").filter(|number| !is_e164(number)) {
            return Err(format!("<Dial> has the caller id {bad:?}, which is not E.164"));
        }
        Ok(Dial {
            caller_id: element.attribute("callerId").map(str::to_owned),
            timeout_s: self.number(element, "timeout", 30),
            time_limit_s: self.number(element, "timeLimit", 14_400),
            answer_on_bridge: self.flag(element, "answerOnBridge"),
            sequential: self.flag(element, "sequential"),
            taping: self.dial_taping(element),
            action: link(element, "action", "method"),
            numbers,
        })
    }

    fn dial_taping(&mut self, element: &Element) -> Option<Taping> {
        let hook = self.hook(element, "recordingStatusCallback", RECORDING_EVENTS);
        match element.attribute("record").unwrap_or("do-not-record") {
            "do-not-record" | "false" => None,
            "record-from-answer" | "record-from-ringing" | "true" => Some(Taping { dual: false, hook }),
            "record-from-answer-dual" | "record-from-ringing-dual" => Some(Taping { dual: true, hook }),
            unknown => {
                self.complain(format!("<Dial> has record={unknown:?}, which means nothing"));
                None
            }
        }
    }

    fn record(&mut self, element: &Element) -> Record {
        self.attributes(element, RECORD);
        let hook = self.hook(element, "recordingStatusCallback", RECORDING_EVENTS);
        Record {
            action: link(element, "action", "method"),
            max_s: self.number(element, "maxLength", 3600),
            taping: Taping { dual: false, hook },
        }
    }

    fn hook(&mut self, element: &Element, name: &str, known: &[&str]) -> Option<Hook> {
        let events: Vec<String> = match element.attribute(&format!("{name}Event")) {
            Some(events) => events.split_whitespace().map(str::to_owned).collect(),
            None => Vec::new(),
        };
        for unknown in events.iter().filter(|event| !known.contains(&event.as_str())) {
            self.complain(format!("<{}> asks for the event {unknown:?}, which does not exist", element.name));
        }
        Some(Hook::new(link(element, name, &format!("{name}Method"))?, events))
    }

    fn attributes(&mut self, element: &Element, known: &[&str]) {
        for (name, _) in element.attributes.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            self.complain(format!("<{}> has no attribute {name}", element.name));
        }
        let methods = element.attributes.iter().filter(|(name, _)| name.to_ascii_lowercase().ends_with("method"));
        for (name, value) in methods {
            if !value.eq_ignore_ascii_case("post") && !value.eq_ignore_ascii_case("get") {
                self.complain(format!("<{}> has {name}={value:?}, which is neither GET nor POST", element.name));
            }
        }
    }

    fn no_text(&mut self, element: &Element) {
        if !element.text.trim().is_empty() {
            self.complain(format!("<{}> has text of its own", element.name));
        }
    }

    fn number(&mut self, element: &Element, name: &str, default: u32) -> u32 {
        let Some(text) = element.attribute(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.complain(format!("<{}> has {name}={text:?}, which is no number", element.name));
            default
        })
    }

    fn flag(&mut self, element: &Element, name: &str) -> bool {
        match element.attribute(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.complain(format!("<{}> has {name}={other:?}, which is neither true nor false", element.name));
                false
            }
        }
    }

    fn complain(&mut self, text: String) {
        self.complaints.push(text);
    }
}

fn link(element: &Element, name: &str, method: &str) -> Option<Link> {
    let url = element.attribute(name)?.trim();
    (!url.is_empty()).then(|| Link::new(url, element.attribute(method)))
}

pub(crate) const CALL_EVENTS: &[&str] = &["initiated", "ringing", "answered", "completed"];
pub(crate) const RECORDING_EVENTS: &[&str] = &["in-progress", "completed", "absent"];

const GATHER: &[&str] = &[
    "action",
    "actionOnEmptyResult",
    "bargeIn",
    "debug",
    "dtmfDetection",
    "enhanced",
    "finishOnKey",
    "hints",
    "input",
    "language",
    "maxSpeechTime",
    "method",
    "numDigits",
    "partialResultCallback",
    "partialResultCallbackMethod",
    "profanityFilter",
    "speechModel",
    "speechTimeout",
    "timeout",
];
const DIAL: &[&str] = &[
    "action",
    "answerOnBridge",
    "callReason",
    "callerId",
    "events",
    "hangupOnStar",
    "method",
    "record",
    "recordingStatusCallback",
    "recordingStatusCallbackEvent",
    "recordingStatusCallbackMethod",
    "recordingTrack",
    "referMethod",
    "referUrl",
    "ringTone",
    "sequential",
    "timeLimit",
    "timeout",
    "trim",
];
const NUMBER: &[&str] = &[
    "amdStatusCallback",
    "amdStatusCallbackMethod",
    "byoc",
    "machineDetection",
    "machineDetectionSilenceTimeout",
    "machineDetectionSpeechEndThreshold",
    "machineDetectionSpeechThreshold",
    "machineDetectionTimeout",
    "method",
    "sendDigits",
    "statusCallback",
    "statusCallbackEvent",
    "statusCallbackMethod",
    "url",
];
const RECORD: &[&str] = &[
    "action",
    "finishOnKey",
    "maxLength",
    "method",
    "playBeep",
    "recordingStatusCallback",
    "recordingStatusCallbackEvent",
    "recordingStatusCallbackMethod",
    "timeout",
    "transcribe",
    "transcribeCallback",
    "trim",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Verb {
        let script = read(&format!("<Response>{text}</Response>")).unwrap();
        assert_eq!(script.complaints, Vec::<String>::new());
        script.verbs.into_iter().next().unwrap()
    }

    #[test]
    fn a_whisper_is_read_with_its_defaults() {
        let text = r#"<Gather numDigits="1" timeout="8" actionOnEmptyResult="true" method="POST"
            action="https://h/choice?a=1&amp;b=2"><Say language="en-NZ">Press 1</Say></Gather>"#;
        let Verb::Gather(gather) = only(text) else { panic!("no gather") };
        assert_eq!(gather.action, Some(Link::new("https://h/choice?a=1&b=2", Some("POST"))));
        assert_eq!((gather.digits, gather.timeout_s, gather.also_when_empty), (Some(1), 8, true));
        let Verb::Gather(bare) = only("<Gather/>") else { panic!("no gather") };
        assert_eq!((bare.digits, bare.timeout_s, bare.also_when_empty), (None, 5, false));
        assert_eq!((bare.action, bare.finish_on.as_str()), (None, "#"));
    }

    #[test]
    fn keys_end_at_their_count_or_at_the_finishing_key() {
        let gather = |digits, finish: &str| Gather {
            action: None,
            digits,
            timeout_s: 5,
            also_when_empty: false,
            finish_on: finish.to_owned(),
            prompts: Vec::new(),
        };
        assert_eq!(gather(Some(1), "#").take("123"), ("1".to_owned(), None));
        assert_eq!(gather(None, "#").take("12#3"), ("12".to_owned(), Some('#')));
        assert_eq!(gather(Some(4), "*").take("1x2"), ("12".to_owned(), None));
        assert_eq!(gather(Some(1), "").take("#"), ("#".to_owned(), None));
    }

    #[test]
    fn a_dial_is_read_with_its_numbers() {
        let text = r#"<Dial callerId="+6498889002" timeout="25" answerOnBridge="true" timeLimit="3600"
            record="record-from-answer-dual" recordingStatusCallback="https://h/rec"
            recordingStatusCallbackEvent="completed absent" action="https://h/after">
            <Number statusCallback="https://h/leg" statusCallbackEvent="initiated completed" url="https://h/w">
            +64275559001</Number></Dial>"#;
        let Verb::Dial(dial) = only(text) else { panic!("no dial") };
        assert_eq!((dial.timeout_s, dial.time_limit_s, dial.answer_on_bridge), (25, 3600, true));
        let taping = dial.taping.unwrap();
        assert!(taping.dual && taping.hook.unwrap().wants("absent"));
        assert_eq!(dial.numbers[0].to, "+64275559001");
        let hook = dial.numbers[0].hook.clone().unwrap();
        assert!(hook.wants("initiated") && !hook.wants("ringing"));
        let Verb::Dial(plain) = only("<Dial>+64275559001</Dial>") else { panic!("no dial") };
        assert_eq!((plain.numbers.len(), plain.timeout_s), (1, 30));
    }

    #[test]
    fn what_twilio_would_not_run_is_refused() {
        for bad in [
            "<Response><Dance/></Response>",
            "<Response><Dial/></Response>",
            "<Response><Dial>027 555 9001</Dial></Response>",
            "<Response><Dial callerId='us'>+64275559001</Dial></Response>",
            "<Response><Gather><Dial>+64275559001</Dial></Gather></Response>",
            "<Response><Say><b>hi</b></Say></Response>",
            "<Response><Message>hi</Message></Response>",
            "<response/>",
        ] {
            assert!(read(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn what_twilio_only_warns_of_is_noted_and_run() {
        for odd in [
            "<Response><Say colour='red'>hi</Say></Response>",
            "<Response><Gather numDigits='one'/></Response>",
            "<Response><Gather actionOnEmptyResult='yes'/></Response>",
            "<Response><Dial record='please'>+64275559001</Dial></Response>",
            "<Response><Redirect method='PUT'>/x</Redirect></Response>",
            "<Response>hello</Response>",
            "<Response><Say/></Response>",
        ] {
            assert_eq!(read(odd).unwrap().complaints.len(), 1, "{odd}");
        }
    }
}
