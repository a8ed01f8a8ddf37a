//! `POST /run`: asks a project to do something.

pub(super) mod heavy;

use apex_actors::tasks::{self, Run, TaskSpec};
use apex_actors::{Refusal, context};
use apex_storage::model::TicketId;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::Key;
use crate::problem::Problem;
use crate::state::AppState;

/// What is asked of whom.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// The task: `health_check`, `log_usage`, `sales_agent`, ...
    task: String,
    /// The project.
    project_id: String,
    /// What the task needs; `action` where it has several.
    #[serde(default = "no_params")]
    #[schema(value_type = Option<Object>)]
    params: Value,
    /// When it is too late to begin: a task that was not begun by then fails with `deadline_passed`. For tasks that are
    /// answered with a `context_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<DateTime<Utc>>,
}

/// The result, or where to find it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunAnswer {
    /// `success`: done, `data` is the result. `processing`: `data.context_id` is where to look.
    status: &'static str,
    #[schema(value_type = Object)]
    data: Value,
    message: String,
    /// When it was answered, UTC.
    timestamp: String,
}

impl RunAnswer {
    /// A heavy task was begun.
    pub fn processing(context: TicketId, task: &str, now: DateTime<Utc>) -> Self {
        Self {
            status: "processing",
            data: json!({ "context_id": context, "task": task }),
            message: format!("Task '{task}' is processing in background"),
            timestamp: context::timestamp(now),
        }
    }
}

fn no_params() -> Value {
    json!({})
}

/// Runs a task: a quick one is answered with its result, a heavy one with its `context_id`. The same `Idempotency-Key` with
/// the same body gets the same answer, and the work is done once.
#[utoipa::path(
    post, path = "/run", operation_id = "run", tag = "Tasks", security(("bearer" = [])), request_body = RunRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 200, description = "Done, or begun", body = RunAnswer),
        (status = 409, description = "The same request is under way", body = Problem,
         content_type = "application/problem+json"),
        (status = 501, description = "Not part of this release", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "No answer in time: repeat with the same key", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.run", skip_all, fields(task = %request.task, project = %request.project_id))]
pub(crate) async fn run(
    State(app): State<AppState>,
    caller: Caller,
    Key(key): Key,
    Json(request): Json<RunRequest>,
) -> Result<Json<Value>, ApiError> {
    let action = request.params.get("action").and_then(Value::as_str);
    let spec = tasks::find(&request.task, action)?;
    tasks::check_params(spec, &request.params)?;
    let answer = match spec.run {
        Run::Instant(_) => instant(&app, &caller, key, spec, &request).await?,
        Run::Heavy { actor } => heavy::begin(&app, &caller, key, actor, &request).await?,
        Run::Unavailable { reason } => return Err(Refusal::new("task_unavailable", reason).into()),
    };
    Ok(Json(answer))
}

/// Asks the project and waits. What it writes is keyed by the caller's key: a repetition is not charged twice.
async fn instant(
    app: &AppState,
    caller: &Caller,
    key: Option<String>,
    spec: &TaskSpec,
    request: &RunRequest,
) -> Result<Value, ApiError> {
    if request.deadline.is_some() {
        return Err(ApiError::invalid("deadline", "is for tasks with a context; this one is answered at once"));
    }
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project = access::project(&mut tx, &request.project_id).await?;
    drop(tx);
    let question = spec.request(&request.params, key)?;
    let data = app.directory().project(caller.org, project.id).ask(question).await?;
    let message = format!("Task '{}' is done", request.task);
    Ok(json!(RunAnswer { status: "success", data, message, timestamp: context::timestamp(app.now()) }))
}
