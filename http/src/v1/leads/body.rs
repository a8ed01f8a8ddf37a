//! A lead as clients see it.

use apex_storage::Lead;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::extract::{Json, etag};

/// Somebody who asked for service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeadBody {
    id: Uuid,
    project_id: String,
    /// The person behind it, once resolved.
    contact_id: Option<Uuid>,
    /// `google_ads`, `wordpress`, `manual`, `import`, `integration`, `sniper` or `inbound_call`.
    source: &'static str,
    /// new, contacted, qualified, disqualified, proposal, won or lost.
    status: &'static str,
    name: String,
    /// In E.164, once it could be read.
    phone: Option<String>,
    /// As given.
    phone_raw: Option<String>,
    email: Option<String>,
    message: Option<String>,
    /// 0 to 100.
    score: Option<i64>,
    /// Sent by a provider's test button: never dialled.
    is_test: bool,
    /// Why it is not dialled.
    blocked: Option<String>,
    /// What else the form asked.
    #[schema(value_type = Object)]
    answers: Value,
    /// As received, without secrets.
    #[schema(value_type = Object)]
    raw_payload: Value,
    /// The call of its conversation.
    call_sid: Option<String>,
    /// What was said.
    call_transcription: Option<String>,
    /// What it means.
    #[schema(value_type = Option<Object>)]
    call_analysis: Option<Value>,
    /// Length of the conversation, seconds.
    call_duration: Option<i64>,
    /// Where the recording is served, relative to the API.
    recording_url: Option<String>,
    /// Grows with every change; the `ETag`.
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl LeadBody {
    pub fn of(lead: Lead, slug: &str) -> Self {
        Self {
            id: lead.id.0,
            project_id: slug.to_owned(),
            contact_id: lead.contact_id.map(|contact| contact.0),
            source: lead.source.as_str(),
            status: lead.status.as_str(),
            name: lead.name,
            phone: lead.phone.map(Into::into),
            phone_raw: lead.phone_raw,
            email: lead.email,
            message: lead.message,
            score: lead.score,
            is_test: lead.is_test,
            blocked: lead.blocked,
            answers: lead.answers,
            raw_payload: lead.raw_payload,
            call_sid: lead.call_sid,
            call_transcription: lead.call_transcription,
            call_analysis: lead.call_analysis,
            call_duration: lead.call_duration,
            recording_url: lead.recording_url,
            version: lead.version,
            created_at: lead.created_at,
            updated_at: lead.updated_at,
        }
    }
}

impl IntoResponse for LeadBody {
    fn into_response(self) -> Response {
        ([(header::ETAG, etag(self.version))], Json(self)).into_response()
    }
}
