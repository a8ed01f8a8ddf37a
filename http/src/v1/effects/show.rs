//! `GET /effects/{id}`.

use apex_storage::model::EffectId;
use axum::extract::State;

use super::EffectBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Shows one call or message.
#[utoipa::path(
    get, path = "/effects/{id}", operation_id = "show_effect", tag = "Effects", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The effect")),
    responses((status = 200, description = "The effect", body = EffectBody), Failures)
)]
#[tracing::instrument(name = "http.effects.show", skip_all, fields(effect.id = %id))]
pub(crate) async fn show_effect(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<EffectId>,
) -> Result<Json<EffectBody>, ApiError> {
    let missing = || ApiError::not_found("effect");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let effect = tx.effect(id).await?.ok_or_else(missing)?;
    let project = tx.project(effect.project_id).await?.ok_or_else(missing)?;
    Ok(Json(EffectBody::of(effect, &project.slug)))
}
