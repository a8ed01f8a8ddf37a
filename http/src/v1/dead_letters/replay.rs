//! `POST /dead-letters/{id}/replay`.

use apex_storage::fault::{self, Fault};
use apex_storage::model::DeadLetterId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::idempotency::{Key, Turn};
use crate::problem::Problem;
use crate::state::AppState;
use crate::v1::run::RunAnswer;
use crate::v1::tickets::reopen;

const ROUTE: &str = "POST /api/v1/dead-letters/{id}/replay";

/// Begins the ticket of a dead letter once more. What its journal holds as done is not done again.
#[utoipa::path(
    post, path = "/dead-letters/{id}/replay", operation_id = "replay_dead_letter", tag = "Dead letters",
    security(("bearer" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The dead letter"),
        ("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours"),
    ),
    responses(
        (status = 202, description = "Begun; watch the context", body = RunAnswer),
        (status = 409, description = "`not_retryable`: its ticket was begun again already, or has ended",
         body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.dead_letters.replay", skip_all, fields(dead_letter.id = %id))]
pub(crate) async fn replay_dead_letter(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<DeadLetterId>,
    key: Key,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let letter = tx.dead_letter(id).await?.ok_or_else(|| ApiError::not_found("dead letter"))?;
    let taken = match Turn::of(&mut tx, ROUTE, key, &id).await? {
        Turn::Again(answer) => return Ok((StatusCode::ACCEPTED, Json(answer))),
        Turn::First(taken) => taken,
    };
    let ticket = reopen(&mut tx, letter.ticket_id, &caller.user.to_string()).await?;
    let after = json!({ "ticket_id": ticket.id });
    Change::new("dead_letter.replay", "dead_letter", id.0).after(after).tell(&mut tx, &caller).await?;
    let answer = json!(RunAnswer::processing(ticket.id, &ticket.task, tx.now()));
    taken.keep(&mut tx, 202, &answer).await?;
    tx.commit().await?;
    fault::pass(Fault::TicketRetried).await;
    app.directory().nudge(caller.org, ticket.project_id, ticket.id, &ticket.actor);
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
