//! What the actors need from outside. The adapters that speak a provider's wire format are plugged in at start.

use std::sync::Arc;
use std::time::Duration;

use apex_storage::model::call::{Recording, Report};
use apex_storage::model::phone::Phone;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRequest {
    /// Who is rung.
    pub to: Phone,
    /// The number they see.
    pub from: String,
    /// Fetched when somebody picks up; the answer says what they hear.
    pub answer_url: String,
    /// Told how the call goes.
    pub status_url: String,
    /// How long the phone rings, seconds.
    pub ring_seconds: u32,
    /// How long the call may last, seconds.
    pub max_seconds: u32,
}

/// A text message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextRequest {
    /// Who gets it.
    pub to: Phone,
    /// The number they see.
    pub from: String,
    /// What it says.
    pub body: String,
    /// Told how it goes.
    pub status_url: String,
}

/// Why a provider did not take a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It certainly did not happen: try again after the wait.
    #[error("not sent: {reason}")]
    NotSent {
        /// Why.
        reason: String,
        /// How long the provider asks to wait.
        retry_after: Option<Duration>,
    },
    /// The provider said no for good.
    #[error("refused with {code}: {reason}")]
    Refused {
        /// The provider's code.
        code: String,
        /// The provider's words.
        reason: String,
    },
    /// Whether it happened cannot be told: look before repeating.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// Why a question to a provider has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No provider is set up.
    #[error("{0} is not configured")]
    NotConfigured(&'static str),
    /// Not there now; it may come.
    #[error("not there: {0}")]
    Missing(String),
    /// May succeed when asked again.
    #[error("failed for now: {0}")]
    Transient(String),
    /// Will not succeed.
    #[error("failed: {0}")]
    Permanent(String),
}

/// A call or message that a look-up found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The provider's id.
    pub sid: String,
    /// When the provider says it was made, if it says.
    pub created_at: Option<DateTime<Utc>>,
}

/// A call that the provider says it made or took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedCall {
    /// The provider's id.
    pub sid: String,
    /// The number it came from.
    pub from: String,
    /// Whether it was asked for over the API; other calls were taken, or are second legs.
    pub is_outbound_api: bool,
    /// How long it lasted, seconds; 0 while it lasts.
    pub seconds: u32,
    /// When it ended, if it has.
    pub ended_at: Option<DateTime<Utc>>,
}

/// Phones.
#[async_trait]
pub trait Telephony: Send + Sync {
    /// The provider account that calls go through.
    fn account(&self) -> &str;
    /// The number that calls and messages go out as.
    fn number(&self) -> &str;
    /// Places a call. One try on a fresh connection, never repeated by the adapter.
    async fn place_call(&self, request: &CallRequest) -> Result<String, SendError>;
    /// Sends a text message. One try, never repeated by the adapter.
    async fn send_text(&self, request: &TextRequest) -> Result<String, SendError>;
    /// Calls between two numbers, newest first.
    async fn find_calls(&self, to: &Phone, from: &str) -> Result<Vec<Found>, PortError>;
    /// Every call of the account that began since then, as far as a few thousand reach.
    async fn calls_since(&self, since: DateTime<Utc>) -> Result<Vec<PlacedCall>, PortError>;
    /// Messages between two numbers with this text, newest first.
    async fn find_texts(&self, to: &Phone, from: &str, body: &str) -> Result<Vec<Found>, PortError>;
    /// How a call and its second leg stand now.
    async fn look_at(&self, sid: &str) -> Result<Vec<Report>, PortError>;
    /// Ends a call, ringing or live.
    async fn hang_up(&self, sid: &str) -> Result<(), PortError>;
    /// The recording of a call, if there is one yet.
    async fn recording_of(&self, sid: &str) -> Result<Recording, PortError>;
    /// A recording's sound.
    async fn recording_audio(&self, recording_sid: &str) -> Result<Vec<u8>, PortError>;
    /// Whether the provider answers and knows us.
    async fn check(&self) -> Result<(), PortError>;
}

/// An answer of a language model, with what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// Who gave it, as in `gemini-3.8-flash` or `rules-v1`.
    pub engine: String,
    /// Tokens in and out.
    pub tokens: i64,
}

/// What a conversation means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// One or two sentences.
    pub summary: String,
    /// What was said that matters.
    pub key_points: Vec<String>,
    /// What the customer wants.
    pub customer_intent: String,
    /// What to do next.
    pub next_steps: Vec<String>,
    /// positive, neutral or negative.
    pub sentiment: String,
    /// low, medium or high.
    pub urgency: String,
    /// Who analysed, where it was not a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// The words that led there, where it was not a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
}

/// What is known about the business when its calls are analysed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// The business.
    pub business_name: String,
    /// What it does.
    pub niche: Option<String>,
    /// BCP 47.
    pub language: String,
}

/// Language models.
#[async_trait]
pub trait Llm: Send + Sync {
    /// Whether there is a model at all.
    fn is_configured(&self) -> bool;
    /// Turns sound into text.
    async fn transcribe(&self, audio: Vec<u8>, mime: &str, briefing: &Briefing) -> Result<Answer<String>, PortError>;
    /// Tells what a conversation means.
    async fn analyse(&self, transcript: &str, briefing: &Briefing) -> Result<Answer<Analysis>, PortError>;
}

/// Everything outside.
#[derive(Clone)]
pub struct Ports {
    /// Phones.
    pub telephony: Arc<dyn Telephony>,
    /// Language models.
    pub llm: Arc<dyn Llm>,
}
