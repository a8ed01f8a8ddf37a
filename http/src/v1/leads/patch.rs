//! `PATCH /leads/{id}`: changes what is named and leaves the rest.

use apex_storage::model::{LeadId, LeadStatus};
use apex_storage::{Lead, LeadPatch, Project, StorageError, TenantTx};
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::show::find;
use super::{LONGEST_EMAIL, LONGEST_MESSAGE, LONGEST_NAME, LeadBody, read_optional, read_phone};
use crate::access::Caller;
use crate::audit::{Change, changed};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{IfMatch, Json, Path};
use crate::problem::Problem;
use crate::state::AppState;

/// How often a change is tried again when the lead's own call changes it meanwhile.
const TRIES: usize = 3;

/// What to change. A field that is left out stays.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchLead {
    name: Option<String>,
    /// As people in the project's region write it, or with +.
    phone: Option<String>,
    email: Option<String>,
    message: Option<String>,
    /// One step on: new, contacted, qualified, proposal, won or lost; or out: disqualified.
    #[schema(value_type = Option<String>)]
    status: Option<LeadStatus>,
    #[schema(minimum = 0, maximum = 100)]
    score: Option<i64>,
}

/// Changes a lead.
#[utoipa::path(
    patch, path = "/leads/{id}", operation_id = "patch_lead", tag = "Leads", security(("bearer" = [])),
    request_body = PatchLead,
    params(
        ("id" = uuid::Uuid, Path, description = "The lead"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 200, description = "Changed", body = LeadBody),
        (status = 409, description = "A status that does not follow", body = Problem,
         content_type = "application/problem+json"),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.leads.patch", skip_all, fields(lead.id = %id))]
pub(crate) async fn patch_lead(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<LeadId>,
    IfMatch(version): IfMatch,
    Json(request): Json<PatchLead>,
) -> Result<LeadBody, ApiError> {
    change(&app, &caller, id, version, &request).await
}

/// Changes the lead at the version that was asked for, or at whichever it has.
pub(super) async fn change(
    app: &AppState,
    caller: &Caller,
    id: LeadId,
    version: Option<i64>,
    request: &PatchLead,
) -> Result<LeadBody, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    for _ in 0..TRIES {
        let (lead, project) = find(&mut tx, id).await?;
        if version.is_some_and(|version| version != lead.version) {
            return Err(ApiError::version_mismatch(json!(LeadBody::of(lead, &project.slug))));
        }
        if let Some(body) = try_once(&mut tx, caller, lead, &project, request).await? {
            tx.commit().await?;
            return Ok(body);
        }
    }
    Err(StorageError::Stale.into())
}

/// `None`: somebody else changed it first.
async fn try_once(
    tx: &mut TenantTx,
    caller: &Caller,
    lead: Lead,
    project: &Project,
    request: &PatchLead,
) -> Result<Option<LeadBody>, ApiError> {
    let patch = checked(request, &lead, project)?;
    if !tx.patch_lead(lead.id, &patch, Some(lead.version)).await? {
        return Ok(None);
    }
    let old = lead;
    let (lead, project) = find(tx, old.id).await?;
    told(&old, &lead).tell(tx, caller).await?;
    Ok(Some(LeadBody::of(lead, &project.slug)))
}

/// Which of the person's own words were changed, and not to what.
fn told(old: &Lead, new: &Lead) -> Change {
    let words = changed([
        ("name", old.name != new.name),
        ("phone", old.phone_raw != new.phone_raw || old.phone != new.phone),
        ("email", old.email != new.email),
        ("message", old.message != new.message),
    ]);
    let facts = |lead: &Lead| json!({ "version": lead.version, "status": lead.status, "score": lead.score });
    let mut after = facts(new);
    after["changed"] = json!(words);
    Change::new("lead.update", "lead", new.id.0).before(facts(old)).after(after)
}

fn checked(request: &PatchLead, lead: &Lead, project: &Project) -> Result<LeadPatch, ApiError> {
    let phone = match request.phone.as_deref() {
        Some(raw) => Some((raw.trim().to_owned(), read_phone(project, raw)?)),
        None => None,
    };
    if request.score.is_some_and(|score| !(0..=100).contains(&score)) {
        return Err(ApiError::invalid("score", "must be 0 to 100"));
    }
    Ok(LeadPatch {
        name: read_optional("name", request.name.as_deref(), LONGEST_NAME)?,
        phone,
        email: read_optional("email", request.email.as_deref(), LONGEST_EMAIL)?,
        message: read_optional("message", request.message.as_deref(), LONGEST_MESSAGE)?,
        status: status(lead.status, request.status)?,
        score: request.score,
    })
}

/// The move, if there is one and it is legal.
fn status(now: LeadStatus, wanted: Option<LeadStatus>) -> Result<Option<LeadStatus>, ApiError> {
    match wanted.filter(|wanted| *wanted != now) {
        None => Ok(None),
        Some(wanted) if now.may_become(wanted) => Ok(Some(wanted)),
        Some(wanted) => Err(ApiError::conflict("illegal_move", format!("a lead that is {now} cannot become {wanted}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_moves_only_where_it_may() {
        assert_eq!(status(LeadStatus::New, Some(LeadStatus::Contacted)).unwrap(), Some(LeadStatus::Contacted));
        assert_eq!(status(LeadStatus::New, Some(LeadStatus::New)).unwrap(), None);
        assert_eq!(status(LeadStatus::New, None).unwrap(), None);
        let error = status(LeadStatus::Won, Some(LeadStatus::New)).unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (409, "illegal_move"));
    }
}
