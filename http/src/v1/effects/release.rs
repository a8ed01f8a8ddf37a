//! `POST /effects/release`.

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

/// Lets calls and messages go out that wait for a person: those of a server that holds them, and those whose answer stayed
/// unclear. A released one is sent once. What has left already is not touched, and naming it again changes nothing.
#[utoipa::path(
    post, path = "/effects/release", operation_id = "release_effects", tag = "Effects", security(("bearer" = [])),
    request_body = ChosenEffects,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 200, description = "They go out now; the context of each ticket tells", body = Decided),
        (status = 409, description = "The same request is under way", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.effects.release", skip_all)]
pub(crate) async fn release_effects(
    State(app): State<AppState>,
    caller: Caller,
    key: Key,
    Json(chosen): Json<ChosenEffects>,
) -> Result<Json<Value>, ApiError> {
    decide(&app, &caller, key, EffectVerdict::Release, &chosen).await.map(Json)
}
