//! `POST /dead-letters/replay`.

use apex_storage::fault::{self, Fault};
use apex_storage::model::DeadLetterId;
use apex_storage::{DeadLetter, DeadLetterFilter, TenantTx, Ticket};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{self, Caller};
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::{Key, Turn};
use crate::problem::Problem;
use crate::state::AppState;
use crate::v1::tickets::reopen;

const ROUTE: &str = "POST /api/v1/dead-letters/replay";
/// Most that are run again by one request.
const MOST: i64 = 1_000;

/// Which dead letters: those that every given field fits, of those that are neither put away nor run again already.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChosenLetters {
    /// These, also those that were put away.
    #[schema(value_type = Option<Vec<Uuid>>)]
    ids: Option<Vec<DeadLetterId>>,
    /// Of this project.
    project_id: Option<String>,
    /// Of this task.
    task: Option<String>,
    /// With this reason.
    code: Option<String>,
    /// At most so many, the newest first; 1000 when left out.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<i64>,
}

/// What was begun once more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedLetters {
    count: usize,
    data: Vec<ReplayedLetter>,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedLetter {
    /// The dead letter.
    id: Uuid,
    /// Where to look.
    context_id: Uuid,
}

/// Begins the tickets of many dead letters once more, say after a bug is mended. Those that cannot are left out.
#[utoipa::path(
    post, path = "/dead-letters/replay", operation_id = "replay_dead_letters", tag = "Dead letters",
    security(("bearer" = [])), request_body = ChosenLetters,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 200, description = "Begun; watch each context", body = ReplayedLetters),
        (status = 409, description = "The same request is under way", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.dead_letters.replay_many", skip_all)]
pub(crate) async fn replay_dead_letters(
    State(app): State<AppState>,
    caller: Caller,
    key: Key,
    Json(chosen): Json<ChosenLetters>,
) -> Result<Json<Value>, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let letters = chosen.find(&mut tx).await?;
    let taken = match Turn::of(&mut tx, ROUTE, key, &chosen).await? {
        Turn::Again(answer) => return Ok(Json(answer)),
        Turn::First(taken) => taken,
    };
    let begun = begin(&mut tx, &caller, &letters).await?;
    let body = |(letter, ticket): &(DeadLetterId, Ticket)| ReplayedLetter { id: letter.0, context_id: ticket.id.0 };
    let answer = json!(ReplayedLetters { count: begun.len(), data: begun.iter().map(body).collect() });
    taken.keep(&mut tx, 200, &answer).await?;
    tx.commit().await?;
    fault::pass(Fault::TicketRetried).await;
    for (_, ticket) in begun {
        app.directory().nudge(caller.org, ticket.project_id, ticket.id, &ticket.actor);
    }
    Ok(Json(answer))
}

/// A ticket with two letters is begun once: the second time it is not over.
async fn begin(
    tx: &mut TenantTx,
    caller: &Caller,
    letters: &[DeadLetter],
) -> Result<Vec<(DeadLetterId, Ticket)>, ApiError> {
    let by = caller.user.to_string();
    let mut begun = Vec::new();
    for letter in letters {
        match reopen(tx, letter.ticket_id, &by).await {
            Ok(ticket) => {
                let after = json!({ "ticket_id": ticket.id });
                Change::new("dead_letter.replay", "dead_letter", letter.id.0).after(after).tell(tx, caller).await?;
                begun.push((letter.id, ticket));
            }
            Err(error) if matches!(error.code(), "not_retryable" | "not_found") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(begun)
}

impl ChosenLetters {
    fn limit(&self) -> Result<i64, ApiError> {
        let limit = self.limit.unwrap_or(MOST);
        if (1..=MOST).contains(&limit) {
            return Ok(limit);
        }
        Err(ApiError::invalid("limit", format!("is not between 1 and {MOST}")))
    }

    async fn find(&self, tx: &mut TenantTx) -> Result<Vec<DeadLetter>, ApiError> {
        let limit = self.limit()?;
        let project_id = access::narrowed(tx, self.project_id.as_deref()).await?;
        let Some(ids) = &self.ids else {
            let (task, code) = (self.task.clone(), self.code.clone());
            let replayed = Some(false);
            let filter = DeadLetterFilter { project_id, task, code, archived: false, replayed, after: None, limit };
            return Ok(tx.dead_letters(&filter).await?);
        };
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        if !(1..=most).contains(&ids.len()) {
            return Err(ApiError::invalid("ids", format!("must name 1 to {MOST} dead letters")));
        }
        let fits = |letter: &DeadLetter| {
            project_id.is_none_or(|project| project == letter.project_id)
                && self.task.as_ref().is_none_or(|task| *task == letter.task)
                && self.code.as_ref().is_none_or(|code| *code == letter.code)
        };
        let mut letters = Vec::new();
        for id in ids {
            letters.extend(tx.dead_letter(*id).await?.filter(fits));
        }
        letters.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(letters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_at_most_a_thousand() {
        let limit = |body: Value| serde_json::from_value::<ChosenLetters>(body).unwrap().limit();
        assert_eq!(limit(json!({})).unwrap(), 1_000);
        assert_eq!(limit(json!({ "limit": 1 })).unwrap(), 1);
        for limited in [0, 1_001, -1] {
            assert_eq!(limit(json!({ "limit": limited })).unwrap_err().code(), "invalid", "{limited}");
        }
    }
}
