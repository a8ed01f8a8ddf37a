//! Everything that reached the outside, and what is wrong with it.

mod judge;

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use judge::Repeated;

/// Everything that reached the outside since the start or the last reset. A snapshot: it does not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Calls and their second legs, oldest first.
    pub calls: Vec<Call>,
    /// Text messages, oldest first.
    pub messages: Vec<Message>,
    /// Recordings, oldest first.
    pub recordings: Vec<Recording>,
    /// How callbacks went.
    pub callbacks: Callbacks,
    /// Requests to the model, oldest first.
    pub gemini_requests: Vec<GeminiRequest>,
    /// Scripts that could not be fetched because nobody answered: a program that is down breaks no rule.
    pub unreachable: Vec<String>,
    /// Broken rules of the protocol, in words.
    pub violations: Vec<String>,
}

impl Ledger {
    /// Calls and legs to a number, oldest first.
    pub fn calls_to(&self, number: &str) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.to == number).collect()
    }

    /// Text messages to a number, oldest first.
    pub fn messages_to(&self, number: &str) -> Vec<&Message> {
        self.messages.iter().filter(|message| message.to == number).collect()
    }

    /// The second legs of a call, oldest first.
    pub fn legs_of(&self, sid: &str) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.parent_sid.as_deref() == Some(sid)).collect()
    }

    /// Are all calls over?
    pub fn is_quiet(&self) -> bool {
        self.calls.iter().all(|call| call.status.is_final())
    }

    /// How much has happened.
    pub fn summary(&self) -> Summary {
        let legs = self.calls.iter().filter(|call| call.parent_sid.is_some()).count();
        Summary {
            calls: self.calls.len() - legs,
            legs,
            under_way: self.calls.iter().filter(|call| !call.status.is_final()).count(),
            messages: self.messages.len(),
            recordings: self.recordings.len(),
            gemini_requests: self.gemini_requests.len(),
            violations: self.violations.len(),
        }
    }
}

/// How much has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls, without second legs.
    pub calls: usize,
    /// Second legs.
    pub legs: usize,
    /// Calls and second legs that are not over.
    pub under_way: usize,
    /// Text messages.
    pub messages: usize,
    /// Recordings.
    pub recordings: usize,
    /// Requests to the model.
    pub gemini_requests: usize,
    /// Broken rules of the protocol.
    pub violations: usize,
}

/// How a call stands, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// Waits for its turn.
    Queued,
    /// The phone rings.
    Ringing,
    /// Somebody is on the line.
    InProgress,
    /// It was answered and is over.
    Completed,
    /// The line was busy, or the call was declined.
    Busy,
    /// The number was not reached.
    Failed,
    /// Nobody answered.
    NoAnswer,
    /// Stopped before somebody answered.
    Canceled,
}

impl CallStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::NoAnswer => "no-answer",
            Self::Canceled => "canceled",
        }
    }

    /// Is it over?
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Ringing | Self::InProgress)
    }
}

impl fmt::Display for CallStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who started a call, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Somebody called our number.
    Inbound,
    /// Asked for over the REST API.
    OutboundApi,
    /// The second leg, rung by `<Dial>`.
    OutboundDial,
}

impl Direction {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundDial => "outbound-dial",
        }
    }
}

/// A call, or the second leg of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// `CA` and 32 hexadecimal digits.
    pub sid: String,
    /// The call that this one is a leg of.
    pub parent_sid: Option<String>,
    /// Who started it.
    pub direction: Direction,
    /// Who is called.
    pub to: String,
    /// The number they see.
    pub from: String,
    /// How it stands.
    pub status: CallStatus,
    /// The URL of its script; of a second leg: of the script played before it is connected.
    pub url: Option<String>,
    /// Where its progress is posted.
    pub status_callback: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When the phone began to ring; `None`: it never did.
    pub rung_at: Option<DateTime<Utc>>,
    /// When somebody picked up.
    pub answered_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub ended_at: Option<DateTime<Utc>>,
    /// How long it is said to have lasted since the answer, seconds. At instant pace that is not waited for.
    pub duration: Option<u32>,
    /// How long it waited in the account's queue, milliseconds.
    pub queue_ms: u64,
    /// What the detection of machines heard, where it was asked for.
    pub answered_by: Option<String>,
    /// Keys pressed, a text for each time they were asked for.
    pub pressed: Vec<String>,
    /// The scripts fetched for it.
    pub twiml_fetches: Vec<TwimlFetch>,
}

/// A script fetched for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwimlFetch {
    /// From where.
    pub url: String,
    /// How long the answer took, milliseconds.
    pub ms: u64,
    /// HTTP status; 0: no answer.
    pub status: u16,
    /// The verbs of the script, in order.
    pub verbs: Vec<String>,
}

/// How a message stands, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Taken.
    Queued,
    /// On its way.
    Sent,
    /// It arrived.
    Delivered,
    /// It did not arrive.
    Undelivered,
    /// It could not be sent.
    Failed,
}

impl MessageStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
        }
    }
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `SM` and 32 hexadecimal digits.
    pub sid: String,
    /// Who gets it.
    pub to: String,
    /// The number they see.
    pub from: String,
    /// What it says.
    pub body: String,
    /// How it stands.
    pub status: MessageStatus,
    /// Why it did not arrive: Twilio's code.
    pub error_code: Option<u32>,
    /// Where its progress is posted.
    pub status_callback: Option<String>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was sent.
    pub sent_at: Option<DateTime<Utc>>,
}

/// How a recording stands, in Twilio's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingStatus {
    /// The conversation goes on.
    InProgress,
    /// It can be fetched.
    Completed,
    /// There was nothing to record.
    Absent,
    /// Deleted by the account.
    Deleted,
}

impl RecordingStatus {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Absent => "absent",
            Self::Deleted => "deleted",
        }
    }
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// `RE` and 32 hexadecimal digits.
    pub sid: String,
    /// The call it belongs to; of two legs the first one.
    pub call_sid: String,
    /// How it stands.
    pub status: RecordingStatus,
    /// 1, or 2 with a side for each leg.
    pub channels: u8,
    /// What made it: `DialVerb`, `RecordVerb` or `OutboundAPI`.
    pub source: String,
    /// How long it is said to be, seconds.
    pub duration: Option<u32>,
    /// The words in it, a line for each, with the speaker in front.
    pub text: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How often its sound was asked for.
    pub media_tries: u32,
}

/// How callbacks went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callbacks {
    /// Posted, copies included.
    pub sent: u64,
    /// Never posted.
    pub lost: u64,
    /// Posted twice.
    pub doubled: u64,
    /// Posted later than they should be.
    pub late: u64,
    /// Posted after the one that follows.
    pub reordered: u64,
    /// Posted and not taken.
    pub failed: Vec<FailedCallback>,
}

/// A callback that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCallback {
    /// Where it was posted.
    pub url: String,
    /// HTTP status; 0: no answer.
    pub status: u16,
}

/// What the model was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Turn sound into text.
    Transcribe,
    /// Tell what a conversation means.
    Analyse,
    /// Count tokens.
    Count,
    /// Something else.
    Other,
}

/// A request to the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeminiRequest {
    /// The model asked.
    pub model: String,
    /// What it was asked to do.
    pub task: Task,
    /// How much sound came along, bytes.
    pub audio_bytes: usize,
    /// How much text came along, characters.
    pub prompt_chars: usize,
    /// HTTP status of the answer; 0: none was given.
    pub status: u16,
    /// When.
    pub at: DateTime<Utc>,
}
