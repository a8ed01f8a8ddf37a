//! A lead form of Google Ads delivers. A 4xx loses the lead for good, so it is kept for senders that prove nothing.

use apex_storage::model::LeadSource;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;

use super::google_ads::{self, GoogleLead};
use super::intake::{self, LeadReceipt, Received};
use super::parameter;
use crate::error::ApiError;
use crate::extract::whole;
use crate::problem::Problem;
use crate::state::AppState;

/// Largest document, bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Takes a lead of Google Ads.
///
/// The key in the body must be the project's. Nothing else is required: what is missing or unreadable is stored as it came.
/// The same `lead_id` again has the same context and starts nothing. Test leads are stored and never dialled.
#[utoipa::path(
    post, path = "/webhooks/google-ads", operation_id = "receive_google_ads", tag = "Providers", security(()),
    params(("project_id" = String, Query, description = "The project")),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 200, description = "Stored; the work goes on in the background", body = LeadReceipt),
        (status = 400, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Wrong key", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown project", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Wrong key too often", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not stored: send it again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive_google_ads(
    State(state): State<AppState>,
    uri: Uri,
    body: Body,
) -> Result<Json<LeadReceipt>, ApiError> {
    let begun = state.store().clock().monotonic();
    let route = intake::project(state.store(), "google", parameter(&uri, "project_id").as_deref()).await?;
    let body = whole(body, MAX_BYTES, state.body_within()).await?;
    let lead = google_ads::read(&body).map_err(|error| ApiError::malformed_json(error.to_string()))?;
    if !intake::opens(&route, lead.google_key.as_deref()) {
        return Err(ApiError::wrong_proof("wrong_key", "google_key is not the key of this project"));
    }
    intake::accept(&state, &route, received(lead, &body), begun).await.map(Json)
}

fn received(lead: GoogleLead, body: &[u8]) -> Received {
    let external_id = lead.lead_id.map_or_else(|| intake::hashed(body), intake::key);
    Received { source: LeadSource::GoogleAds, external_id, fields: lead.draft, is_test: lead.is_test }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(body: &str) -> Received {
        received(google_ads::read(body.as_bytes()).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_lead_is_named_by_google_or_by_all_it_says() {
        assert_eq!(lead(r#"{"lead_id":"Cj0"}"#).external_id, "Cj0");
        let nameless = lead(r#"{"user_column_data":[]}"#).external_id;
        assert!(nameless.starts_with("sha256:"));
        assert_eq!(nameless, lead(r#"{"user_column_data":[]}"#).external_id);
        assert_ne!(nameless, lead(r#"{"user_column_data":[1]}"#).external_id);
    }

    #[test]
    fn a_test_lead_is_marked_and_keeps_its_name_on_every_press() {
        let body = r#"{"lead_id":"TeSter-123-abc","google_key":"secret"}"#;
        let pressed = lead(body);
        assert!(pressed.is_test);
        assert_eq!(pressed.external_id, lead(body).external_id);
        assert!(!pressed.fields.raw.to_string().contains("secret"), "the key is not kept");
    }
}
