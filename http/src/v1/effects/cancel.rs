//! `POST /effects/cancel`.

use apex_storage::EffectVerdict;
use axum::extract::State;
use serde_json::Value;

use super::decide::{ChosenEffects, Decided, decide};
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::Key;
use crate::problem::Problem;
use crate::state::AppState;

/// Ends calls and messages that have not left: they never will. Their tickets end as cancelled, or go on without them. What
/// has left already is not touched.
#[utoipa::path(
    post, path = "/effects/cancel", operation_id = "cancel_effects", tag = "Effects", security(("bearer" = [])),
    request_body = ChosenEffects,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 200, description = "They do not happen; the context of each ticket tells", body = Decided),
        (status = 409, description = "The same request is under way", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.effects.cancel", skip_all)]
pub(crate) async fn cancel_effects(
    State(app): State<AppState>,
    caller: Caller,
    key: Key,
    Json(chosen): Json<ChosenEffects>,
) -> Result<Json<Value>, ApiError> {
    decide(&app, &caller, key, EffectVerdict::Cancel, &chosen).await.map(Json)
}
