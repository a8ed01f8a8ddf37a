//! What the person behind a phone number does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the person behind a phone number does. The default answers, presses 1 and tells of a burst pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// What happens when the phone rings.
    pub pickup: Pickup,
    /// What is done when keys are asked for.
    pub gather: Keypress,
    /// How long that takes, real milliseconds; `None`: by the pace.
    pub thinks_ms: Option<u64>,
    /// What is said once connected. The customer's script counts, not the boss's.
    pub conversation: Conversation,
    /// Leaves early.
    pub hangs_up_during: Option<Moment>,
    /// What becomes of text messages to this number.
    pub messages: MessageFate,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            pickup: Pickup::Answer { after_ms: None },
            gather: Keypress::Press("1".to_owned()),
            thinks_ms: None,
            conversation: Conversation::default(),
            hangs_up_during: None,
            messages: MessageFate::Delivered,
        }
    }
}

impl Script {
    /// Answers, presses 1, talks.
    pub fn answers() -> Self {
        Self::default()
    }

    /// The line is busy.
    pub fn busy() -> Self {
        Self { pickup: Pickup::Busy, ..Self::default() }
    }

    /// Lets it ring.
    pub fn no_answer() -> Self {
        Self { pickup: Pickup::NoAnswer, ..Self::default() }
    }

    /// The network does not reach the number.
    pub fn failed() -> Self {
        Self { pickup: Pickup::Failed, ..Self::default() }
    }

    /// A box picks up, talks and never presses a key.
    pub fn voicemail() -> Self {
        let greeting = Line::customer("You have reached my voicemail, please leave a message.");
        let conversation = Conversation { seconds: 12, lines: vec![greeting], lasts_ms: None };
        Self { pickup: Pickup::Voicemail, gather: Keypress::Silence, conversation, ..Self::default() }
    }

    /// Rings for some real milliseconds before it is answered.
    #[must_use]
    pub fn after_ms(self, after_ms: u64) -> Self {
        Self { pickup: Pickup::Answer { after_ms: Some(after_ms) }, ..self }
    }

    /// Presses these keys when asked.
    #[must_use]
    pub fn presses(self, digits: &str) -> Self {
        Self { gather: Keypress::Press(digits.to_owned()), ..self }
    }

    /// Presses nothing when asked.
    #[must_use]
    pub fn stays_silent(self) -> Self {
        Self { gather: Keypress::Silence, ..self }
    }

    /// Hangs up when asked for keys.
    #[must_use]
    pub fn hangs_up_when_asked(self) -> Self {
        Self { gather: Keypress::HangUp, ..self }
    }

    /// Leaves early.
    #[must_use]
    pub fn hangs_up_during(self, moment: Moment) -> Self {
        Self { hangs_up_during: Some(moment), ..self }
    }

    /// Says this once connected.
    #[must_use]
    pub fn talks(self, seconds: u32, lines: Vec<Line>) -> Self {
        let lasts_ms = self.conversation.lasts_ms;
        Self { conversation: Conversation { seconds, lines, lasts_ms }, ..self }
    }

    /// Stays connected for some real milliseconds, whatever the pace.
    #[must_use]
    pub fn talk_lasts_ms(mut self, lasts_ms: u64) -> Self {
        self.conversation.lasts_ms = Some(lasts_ms);
        self
    }

    /// Text messages to this number end so.
    #[must_use]
    pub fn messages(self, messages: MessageFate) -> Self {
        Self { messages, ..self }
    }

    pub(crate) fn leaves_at(&self, moment: Moment) -> bool {
        self.hangs_up_during == Some(moment)
    }

    pub(crate) fn is_machine(&self) -> bool {
        self.pickup == Pickup::Voicemail
    }
}

/// What happens when a phone rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pickup {
    /// Somebody answers.
    Answer {
        /// Real milliseconds of ringing; `None`: by the pace. Longer than the caller's patience: not answered.
        #[serde(default)]
        after_ms: Option<u64>,
    },
    /// The line is busy.
    Busy,
    /// Nobody answers.
    NoAnswer,
    /// The network does not reach the number.
    Failed,
    /// A box answers; it presses nothing, whatever the script says.
    Voicemail,
}

/// What is done when keys are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keypress {
    /// These keys, in order.
    Press(String),
    /// Nothing.
    Silence,
    /// The call is ended.
    HangUp,
}

/// When somebody leaves early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Declines while the phone rings.
    Ringing,
    /// At the first sentence or question heard.
    Whisper,
    /// While the other side's phone rings.
    Dial,
    /// In the middle of the conversation.
    Talk,
}

/// What becomes of a text message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageFate {
    /// It arrives.
    #[default]
    Delivered,
    /// The network does not deliver it (error 30003).
    Undelivered,
    /// It cannot be sent (error 30008).
    Failed,
    /// The number has opted out: the request is refused with 21610.
    OptedOut,
    /// The number takes no messages: the request is refused with 21614.
    NotMobile,
}

/// What is said once two people are connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conversation {
    /// How long it is said to have lasted; 0: nobody speaks and the recording is absent.
    pub seconds: u32,
    /// Who said what.
    pub lines: Vec<Line>,
    /// How long it really lasts, milliseconds; `None`: by the pace.
    pub lasts_ms: Option<u64>,
}

impl Default for Conversation {
    fn default() -> Self {
        let lines = vec![
            Line::boss("Hi, this is the plumber, you just sent us a request. How can I help?"),
            Line::customer(
                "Hello, my name is Mere. A pipe burst under the kitchen sink and there is water everywhere.",
            ),
            Line::boss("All right. Have you turned off the water at the toby?"),
            Line::customer("Yes, but it is still dripping. It is urgent, I need someone today please."),
            Line::boss("I can be there at two o'clock and I will bring the parts. What is the address?"),
            Line::customer("12 Kowhai Street. Thank you so much, that is great."),
        ];
        Self { seconds: 42, lines, lasts_ms: None }
    }
}

impl Conversation {
    /// The words as a transcript: a line for each, with the speaker in front.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(|line| format!("{}: {}", line.speaker.label(), line.text)).collect();
        lines.join("\n")
    }

    /// What the customer says when nobody answers.
    pub(crate) fn monologue(&self) -> String {
        let own = self.lines.iter().filter(|line| line.speaker == Speaker::Customer);
        let lines: Vec<_> = own.map(|line| format!("{}: {}", line.speaker.label(), line.text)).collect();
        lines.join("\n")
    }

    pub(crate) fn lasts(&self, by_pace: Duration) -> Duration {
        self.lasts_ms.map_or(by_pace, Duration::from_millis)
    }
}

/// One thing said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// By whom.
    pub speaker: Speaker,
    /// What.
    pub text: String,
}

impl Line {
    /// The boss says something.
    pub fn boss(text: &str) -> Self {
        Self { speaker: Speaker::Boss, text: text.to_owned() }
    }

    /// The customer says something.
    pub fn customer(text: &str) -> Self {
        Self { speaker: Speaker::Customer, text: text.to_owned() }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The business.
    Boss,
    /// Who wants something from it.
    Customer,
}

impl Speaker {
    fn label(self) -> &'static str {
        match self {
            Self::Boss => "Boss",
            Self::Customer => "Customer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_what_it_writes_and_fills_what_is_left_out() {
        let script = Script::voicemail().hangs_up_during(Moment::Whisper);
        let json = serde_json::to_string(&script).unwrap();
        assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
        let short: Script = serde_json::from_str(r#"{"pickup":"busy","gather":{"press":"2"}}"#).unwrap();
        assert_eq!(short, Script::busy().presses("2"));
        assert!(serde_json::from_str::<Script>(r#"{"pickup":"dances"}"#).is_err());
        assert!(serde_json::from_str::<Script>(r#"{"picks_up":"busy"}"#).is_err());
    }

    #[test]
    fn a_conversation_names_its_speakers() {
        let talk = Conversation { seconds: 3, lines: vec![Line::boss("Hi"), Line::customer("Help")], lasts_ms: None };
        assert_eq!(talk.text(), "Boss: Hi\nCustomer: Help");
        assert_eq!(talk.monologue(), "Customer: Help");
    }
}
