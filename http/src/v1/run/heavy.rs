//! Heavy tasks: the ticket, and the answer kept by its key, are one commit. Then the actor is told.

use apex_actors::context;
use apex_storage::model::{LeadId, ProjectId, TicketId};
use apex_storage::{NewTicket, TenantTx};
use serde_json::{Value, json};

use super::{RunAnswer, RunRequest};
use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::idempotency::Turn;
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
    let taken = match key {
        None => None,
        Some(key) => match Turn::take(&mut tx, ROUTE, &key, request).await? {
            Turn::Again(answer) => return Ok(answer),
            Turn::First(taken) => Some(taken),
        },
    };
    let ticket = write(&mut tx, caller, project, actor, request).await?;
    let answer = json!(RunAnswer {
        status: "processing",
        data: json!({ "context_id": ticket, "task": request.task }),
        message: format!("Task '{}' is processing in background", request.task),
        timestamp: context::timestamp(tx.now()),
    });
    if let Some(taken) = taken {
        taken.keep(&mut tx, 200, &answer).await?;
    }
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
    let lead_id = lead(tx, project, &request.params).await?;
    let id = TicketId::new();
    let (task, params) = (request.task.as_str(), &request.params);
    let created_by = caller.user.to_string();
    tx.create_ticket(&NewTicket { id, project_id: project, task, actor, lead_id, params, created_by: &created_by })
        .await?;
    Ok(id)
}

/// The lead that the parameters name, if it is the project's.
async fn lead(tx: &mut TenantTx, project: ProjectId, params: &Value) -> Result<Option<LeadId>, ApiError> {
    let Some(text) = params.get("lead_id").and_then(Value::as_str) else { return Ok(None) };
    let unknown = || ApiError::invalid("params.lead_id", "is no lead of the project");
    let id: LeadId = text.parse().map_err(|_| unknown())?;
    let lead = tx.lead(id).await?.filter(|lead| lead.project_id == project).ok_or_else(unknown)?;
    Ok(Some(lead.id))
}
