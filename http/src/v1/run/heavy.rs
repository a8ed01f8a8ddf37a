//! Heavy tasks: the ticket, and the answer kept by its key, are one commit. Then the actor is told.

use apex_storage::model::{LeadId, ProjectId, TicketId};
use apex_storage::{NewTicket, TenantTx};
use serde_json::{Value, json};

use super::{RunAnswer, RunRequest};
use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::idempotency::{Key, Turn};
use crate::state::AppState;

/// Under which the keys of this path are kept, whichever way the path was spelled.
const ROUTE: &str = "POST /api/v1/run";

/// Makes the ticket, or repeats the answer that its key had.
pub(super) async fn begin(
    app: &AppState,
    caller: &Caller,
    key: Option<String>,
    actor: &str,
    request: &RunRequest,
) -> Result<Value, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let project = access::project(&mut tx, &request.project_id).await?.id;
    let taken = match Turn::of(&mut tx, ROUTE, Key(key), request).await? {
        Turn::Again(answer) => return Ok(answer),
        Turn::First(taken) => taken,
    };
    let ticket = write(&mut tx, caller, project, actor, request).await?;
    let answer = json!(RunAnswer::processing(ticket, &request.task, tx.now()));
    taken.keep(&mut tx, 200, &answer).await?;
    tx.commit().await?;
    app.directory().nudge(caller.org, project, ticket, actor);
    Ok(answer)
}

async fn write(
    tx: &mut TenantTx,
    caller: &Caller,
    project: ProjectId,
    actor: &str,
    request: &RunRequest,
) -> Result<TicketId, ApiError> {
    if request.deadline.is_some_and(|deadline| deadline <= tx.now()) {
        return Err(ApiError::invalid("deadline", "has passed"));
    }
    let lead_id = lead(tx, project, &request.params).await?;
    let id = TicketId::new();
    tx.create_ticket(&NewTicket {
        id,
        project_id: project,
        task: &request.task,
        actor,
        lead_id,
        params: &request.params,
        created_by: &caller.user.to_string(),
        deadline_at: request.deadline,
    })
    .await?;
    Ok(id)
}

/// The lead that the parameters of a task name, if it is the project's.
pub(in crate::v1) async fn lead(
    tx: &mut TenantTx,
    project: ProjectId,
    params: &Value,
) -> Result<Option<LeadId>, ApiError> {
    let Some(text) = params.get("lead_id").and_then(Value::as_str) else { return Ok(None) };
    let unknown = || ApiError::invalid("params.lead_id", "is no lead of the project");
    let id: LeadId = text.parse().map_err(|_| unknown())?;
    let lead = tx.lead(id).await?.filter(|lead| lead.project_id == project).ok_or_else(unknown)?;
    Ok(Some(lead.id))
}
