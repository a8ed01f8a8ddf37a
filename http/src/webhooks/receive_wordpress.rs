//! A form of a `WordPress` site delivers. Its plugins do not repeat, so whatever comes with the right token is stored.

use apex_storage::model::LeadSource;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use chrono::{DateTime, Utc};

use super::fields::FormFields;
use super::intake::{self, LeadReceipt, Received};
use super::{parameter, wordpress};
use crate::error::ApiError;
use crate::extract::whole;
use crate::problem::Problem;
use crate::state::AppState;

/// Largest entry, bytes: a form may carry a file.
const MAX_BYTES: usize = 1024 * 1024;
/// An entry without an id of its own that comes again within this time is the same entry, seconds.
const SAME_WITHIN_S: i64 = 600;

/// Takes an entry of a `WordPress` form.
///
/// The token in the address must be the project's. JSON and forms of the common plugins are understood; what is not is
/// stored as it came. The answer is exactly 200, because some plugins take any other success for an error.
#[utoipa::path(
    post, path = "/webhooks/wordpress", operation_id = "receive_wordpress", tag = "Providers", security(()),
    params(
        ("project_id" = String, Query, description = "The project"),
        ("token" = String, Query, description = "The project's webhook token"),
    ),
    request_body(content(
        (serde_json::Value = "application/json"),
        (serde_json::Value = "application/x-www-form-urlencoded"),
        (serde_json::Value = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "Stored; the work goes on in the background", body = LeadReceipt),
        (status = 403, description = "Wrong token", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "Unknown project", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "More than 1 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Wrong token too often", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Not stored: send it again", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn receive_wordpress(
    State(state): State<AppState>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<LeadReceipt>, ApiError> {
    let begun = state.store().clock().monotonic();
    let route = intake::project(state.store(), "wordpress", parameter(&uri, "project_id").as_deref()).await?;
    if !intake::opens(&route, parameter(&uri, "token").as_deref()) {
        return Err(ApiError::wrong_proof("wrong_token", "token is not the webhook token of this project"));
    }
    let body = whole(body, MAX_BYTES, state.body_within()).await?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let fields = wordpress::read_any(kind, body).await;
    intake::accept(&state, &route, received(fields, state.now()), begun).await.map(Json)
}

fn received(fields: FormFields, now: DateTime<Utc>) -> Received {
    let bucket = now.timestamp().div_euclid(SAME_WITHIN_S);
    let external_id = match fields.external_id.clone() {
        Some(id) => intake::key(id),
        None => wordpress::fallback_external_id(fields.form.as_deref(), &fields, bucket),
    };
    Received { source: LeadSource::WordPress, external_id, fields, is_test: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(body: &str, at: i64) -> String {
        let fields = wordpress::read(Some("application/json"), body.as_bytes());
        received(fields, DateTime::from_timestamp(at, 0).unwrap()).external_id
    }

    #[test]
    fn an_entry_without_an_id_is_the_same_for_ten_minutes() {
        let body = r#"{"phone":"027 555 9001","message":"Kia ora"}"#;
        assert_eq!(entry(body, 6000), entry(body, 6599));
        assert_ne!(entry(body, 6000), entry(body, 6600));
        assert_ne!(entry(body, 6000), entry(r#"{"phone":"027 555 9002"}"#, 6000));
    }

    #[test]
    fn an_entry_with_an_id_is_the_same_for_ever() {
        let body =
            r#"{"phone":"027 555 9001","__submission":{"id":"12","form_id":"3","source_url":"https://a.example/"}}"#;
        assert_eq!(entry(body, 0), entry(body, 9_000_000));
    }
}
