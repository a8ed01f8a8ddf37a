//! An outside where nobody answers.

use apex_actors::ports::{
    Analysis, Answer, Briefing, CallRequest, Found, Llm, PlacedCall, PortError, SendError, Telephony, TextRequest,
};
use apex_storage::model::call::{Recording, Report};
use apex_storage::model::phone::Phone;
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Nobody.
pub(super) struct Nobody;

const ABSENT: PortError = PortError::NotConfigured("anybody");

fn not_sent() -> SendError {
    SendError::NotSent { reason: "nobody is there".into(), retry_after: None }
}

#[async_trait]
impl Telephony for Nobody {
    fn account(&self) -> &'static str {
        "AC00000000000000000000000000000000"
    }

    fn number(&self) -> &'static str {
        "+6495550100"
    }

    async fn place_call(&self, _: &CallRequest) -> Result<String, SendError> {
        Err(not_sent())
    }

    async fn send_text(&self, _: &TextRequest) -> Result<String, SendError> {
        Err(not_sent())
    }

    async fn find_calls(&self, _: &Phone, _: &str) -> Result<Vec<Found>, PortError> {
        Err(ABSENT)
    }

    async fn calls_since(&self, _: DateTime<Utc>) -> Result<Vec<PlacedCall>, PortError> {
        Err(ABSENT)
    }

    async fn find_texts(&self, _: &Phone, _: &str, _: &str) -> Result<Vec<Found>, PortError> {
        Err(ABSENT)
    }

    async fn look_at(&self, _: &str) -> Result<Vec<Report>, PortError> {
        Err(ABSENT)
    }

    async fn hang_up(&self, _: &str) -> Result<(), PortError> {
        Err(ABSENT)
    }

    async fn recording_of(&self, _: &str) -> Result<Recording, PortError> {
        Err(ABSENT)
    }

    async fn recording_audio(&self, _: &str) -> Result<Vec<u8>, PortError> {
        Err(ABSENT)
    }

    async fn check(&self) -> Result<(), PortError> {
        Err(ABSENT)
    }
}

#[async_trait]
impl Llm for Nobody {
    fn is_configured(&self) -> bool {
        false
    }

    async fn transcribe(&self, _: Vec<u8>, _: &str, _: &Briefing) -> Result<Answer<String>, PortError> {
        Err(ABSENT)
    }

    async fn analyse(&self, _: &str, _: &Briefing) -> Result<Answer<Analysis>, PortError> {
        Err(ABSENT)
    }
}
