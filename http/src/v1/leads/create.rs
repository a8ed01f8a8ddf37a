//! `POST /leads`: a lead that a person or a program enters. It is kept, not called.

use apex_storage::model::{LeadId, LeadSource};
use apex_storage::{NewLead, Project, TenantTx};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{LONGEST_EMAIL, LONGEST_MESSAGE, LONGEST_NAME, LeadBody, read_optional, read_phone, read_text};
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::{Key, Turn};
use crate::problem::Problem;
use crate::state::AppState;

const ROUTE: &str = "POST /api/v1/leads";

/// A lead to enter.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateLead {
    /// The project.
    project_id: String,
    name: String,
    /// As people in the project's region write it, or with +.
    phone: Option<String>,
    email: Option<String>,
    /// What they want, in their words.
    message: Option<String>,
    /// `manual` (when left out), `import` or `integration`.
    #[schema(value_type = Option<String>)]
    source: Option<LeadSource>,
    /// Whatever else is known.
    #[schema(value_type = Option<Object>)]
    answers: Option<Value>,
}

/// Enters a lead. Run `sales_agent` with its id to have it called.
#[utoipa::path(
    post, path = "/leads", operation_id = "create_lead", tag = "Leads", security(("bearer" = [])),
    request_body = CreateLead,
    params(("Idempotency-Key" = Option<String>, Header, description = "Up to 255 characters; kept for at least 24 hours")),
    responses(
        (status = 201, description = "Entered", body = LeadBody),
        (status = 409, description = "The same request is under way", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.leads.create", skip_all, fields(project = %request.project_id))]
pub(crate) async fn create_lead(
    State(app): State<AppState>,
    caller: Caller,
    Key(key): Key,
    Json(request): Json<CreateLead>,
) -> Result<Response, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let project = access::project(&mut tx, &request.project_id).await?;
    let taken = match key {
        None => None,
        Some(key) => match Turn::take(&mut tx, ROUTE, &key, &request).await? {
            Turn::Again(answer) => return Ok((StatusCode::CREATED, Json(answer)).into_response()),
            Turn::First(taken) => Some(taken),
        },
    };
    let body = write(&mut tx, &project, &request).await?;
    if let Some(taken) = taken {
        taken.keep(&mut tx, 201, &json!(body)).await?;
    }
    tx.commit().await?;
    Ok((StatusCode::CREATED, body).into_response())
}

async fn write(tx: &mut TenantTx, project: &Project, request: &CreateLead) -> Result<LeadBody, ApiError> {
    let name = read_text("name", &request.name, LONGEST_NAME)?;
    let email = read_optional("email", request.email.as_deref(), LONGEST_EMAIL)?;
    let message = read_optional("message", request.message.as_deref(), LONGEST_MESSAGE)?;
    let phone = request.phone.as_deref().map(|raw| read_phone(project, raw)).transpose()?;
    let id = LeadId::new();
    tx.create_lead(&NewLead {
        id,
        project_id: project.id,
        source: source(request.source)?,
        name: &name,
        phone_raw: request.phone.as_deref(),
        phone: phone.as_ref(),
        email: email.as_deref(),
        message: message.as_deref(),
        answers: &answers(request.answers.as_ref())?,
    })
    .await?;
    let lead = tx.lead(id).await?.ok_or_else(|| ApiError::not_found("lead"))?;
    Ok(LeadBody::of(lead, &project.slug))
}

/// What comes through a provider's door does not come through this one.
fn source(given: Option<LeadSource>) -> Result<LeadSource, ApiError> {
    match given.unwrap_or(LeadSource::Manual) {
        source @ (LeadSource::Manual | LeadSource::Import | LeadSource::Integration) => Ok(source),
        _ => Err(ApiError::invalid("source", "must be manual, import or integration")),
    }
}

fn answers(given: Option<&Value>) -> Result<Value, ApiError> {
    match given {
        None => Ok(json!({})),
        Some(answers) if answers.is_object() => Ok(answers.clone()),
        Some(_) => Err(ApiError::invalid("answers", "must be an object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_people_and_programs_enter_leads_here() {
        assert_eq!(source(None).unwrap(), LeadSource::Manual);
        assert_eq!(source(Some(LeadSource::Import)).unwrap(), LeadSource::Import);
        assert_eq!(source(Some(LeadSource::GoogleAds)).unwrap_err().code(), "invalid");
    }

    #[test]
    fn answers_are_an_object() {
        assert_eq!(answers(None).unwrap(), json!({}));
        assert_eq!(answers(Some(&json!([1]))).unwrap_err().code(), "invalid");
    }
}
