//! Effects: calls and messages on their way out, and what people want done with those that have not left.

mod cancel;
mod decide;
mod list;
mod release;
mod show;

use apex_storage::Effect;
use apex_storage::model::phone::Phone;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::error::ApiError;
use crate::state::AppState;

pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::list_effects))
        .routes(routes!(release::release_effects))
        .routes(routes!(cancel::cancel_effects))
        .routes(routes!(show::show_effect))
}

/// What leaves the house.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectKind {
    Call,
    Sms,
    Charge,
    Publish,
}

impl EffectKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Sms => "sms",
            Self::Charge => "charge",
            Self::Publish => "publish",
        }
    }
}

/// A call or a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectBody {
    id: Uuid,
    project_id: String,
    /// The ticket that wants it.
    ticket_id: Uuid,
    /// The series of attempts that a call belongs to.
    bridge_id: Option<Uuid>,
    /// call or sms.
    kind: String,
    /// Where it goes, in E.164.
    to: Option<String>,
    /// intended: not sent yet. sending, unknown: sent, and the answer is unclear. live: the provider has it. refused: it
    /// does not happen. held: set aside for a callback or a person.
    state: String,
    /// Why it was refused or is held.
    reason: Option<String>,
    /// The provider's id, once known.
    sid: Option<String>,
    /// What a person wants done with it: release or cancel.
    verdict: Option<String>,
    /// Who wants that.
    verdict_by: Option<String>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
}

impl EffectBody {
    fn of(effect: Effect, slug: &str) -> Self {
        Self {
            id: effect.id.0,
            project_id: slug.to_owned(),
            ticket_id: effect.ticket_id.0,
            bridge_id: effect.bridge_id.map(|bridge| bridge.0),
            kind: effect.kind,
            to: effect.to_number.map(Into::into),
            state: effect.state,
            reason: effect.reason,
            sid: effect.sid,
            verdict: effect.verdict,
            verdict_by: effect.verdict_by,
            created_at: effect.created_at,
            sent_at: effect.sent_at,
        }
    }
}

/// A number to filter by. The `+` of a query string reads as a blank, so it may be missing.
fn read_to(text: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let digits = text.trim().trim_start_matches('+');
    let number = Phone::parse_e164(&format!("+{digits}"));
    number.map(|number| Some(number.into())).map_err(|_| ApiError::invalid("to", "is no number in E.164"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_with_its_plus_or_what_a_query_string_made_of_it() {
        for text in ["+64275559002", "64275559002", " 64275559002"] {
            assert_eq!(read_to(Some(text)).unwrap().as_deref(), Some("+64275559002"), "{text:?}");
        }
        assert_eq!(read_to(None).unwrap(), None);
        for text in ["", "+", "027 555 9002", "+6427555900212345", "%"] {
            assert_eq!(read_to(Some(text)).unwrap_err().code(), "invalid", "{text:?}");
        }
    }
}
