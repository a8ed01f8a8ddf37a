//! `GET /dead-letters/{id}`.

use apex_storage::model::DeadLetterId;
use axum::extract::State;

use super::DeadLetterBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Shows one dead letter. `GET /tickets/{context_id}/timeline` tells what happened.
#[utoipa::path(
    get, path = "/dead-letters/{id}", operation_id = "show_dead_letter", tag = "Dead letters",
    security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The dead letter")),
    responses((status = 200, description = "The dead letter", body = DeadLetterBody), Failures)
)]
#[tracing::instrument(name = "http.dead_letters.show", skip_all, fields(dead_letter.id = %id))]
pub(crate) async fn show_dead_letter(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<DeadLetterId>,
) -> Result<Json<DeadLetterBody>, ApiError> {
    let missing = || ApiError::not_found("dead letter");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let letter = tx.dead_letter(id).await?.ok_or_else(missing)?;
    let project = tx.project(letter.project_id).await?.ok_or_else(missing)?;
    Ok(Json(DeadLetterBody::of(letter, &project.slug)))
}
