//! `POST /tickets/{id}/retry`: begins a task that failed once more.

use apex_storage::fault::{self, Fault};
use apex_storage::model::TicketId;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::reopen;
use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::idempotency::{Key, Turn};
use crate::problem::Problem;
use crate::state::AppState;
use crate::v1::run::RunAnswer;

const ROUTE: &str = "POST /api/v1/tickets/{id}/retry";

/// Runs a task again that failed or was set aside. What is journalled as done is not done again, so nobody is called twice.
#[utoipa::path(
    post, path = "/tickets/{id}/retry", operation_id = "retry_ticket", tag = "Tasks", security(("bearer" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The ticket"),
        ("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours"),
    ),
    responses(
        (status = 202, description = "Begun; watch the context", body = RunAnswer),
        (status = 409, description = "`not_retryable`: it is not over, or running it again could do something twice",
         body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.tickets.retry", skip_all, fields(ticket.id = %id))]
pub(crate) async fn retry_ticket(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<TicketId>,
    key: Key,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let taken = match Turn::of(&mut tx, ROUTE, key, &id).await? {
        Turn::Again(answer) => return Ok((StatusCode::ACCEPTED, Json(answer))),
        Turn::First(taken) => taken,
    };
    let ticket = reopen(&mut tx, id, &caller.user.to_string()).await?;
    let before = json!({ "state": ticket.state, "code": ticket.code, "attempt": ticket.attempt });
    Change::new("ticket.retry", "ticket", id.0).before(before).tell(&mut tx, &caller).await?;
    let answer = json!(RunAnswer::processing(id, &ticket.task, tx.now()));
    taken.keep(&mut tx, 202, &answer).await?;
    tx.commit().await?;
    fault::pass(Fault::TicketRetried).await;
    app.directory().nudge(caller.org, ticket.project_id, id, &ticket.actor);
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
