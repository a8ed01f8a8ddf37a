//! `PATCH /projects/{project_id}`: another name, new secrets.

use apex_storage::{Project, StorageError};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{ProjectBody, SecretKind, Secrets};
use crate::access::{self, Caller};
use crate::audit::{Change, changed};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{IfMatch, Json, Path, etag};
use crate::problem::Problem;
use crate::state::AppState;

const LONGEST_NAME: usize = 200;

/// What to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchProject {
    /// As its customers know it.
    business_name: Option<String>,
    /// Secrets to replace; the old ones stop working at once.
    #[serde(default)]
    rotate: Vec<Rotate>,
}

/// A secret to replace.
#[derive(Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rotate {
    GoogleKey,
    WebhookToken,
}

/// Changes a project. Replaced secrets are in this answer and in no other.
#[utoipa::path(
    patch, path = "/projects/{project_id}", operation_id = "patch_project", tag = "Projects",
    security(("bearer" = [])), request_body = PatchProject,
    params(
        ("project_id" = String, Path, description = "The project"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 200, description = "Changed", body = ProjectBody),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.projects.patch", skip_all, fields(project = %slug))]
pub(crate) async fn patch_project(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
    IfMatch(version): IfMatch,
    Json(request): Json<PatchProject>,
) -> Result<Response, ApiError> {
    caller.require_admin()?;
    let name = request.business_name.as_deref().map(|name| business_name(name, LONGEST_NAME)).transpose()?;
    let project = rename(&app, &caller, &slug, name.as_deref(), version).await?;
    let secrets = rotate(&app, &caller, &project, &request.rotate).await?;
    let tag = [(header::ETAG, etag(project.version))];
    Ok((tag, Json(ProjectBody::of(project, app.public_url(), secrets))).into_response())
}

/// A name without blanks around it.
pub(super) fn business_name(text: &str, longest: usize) -> Result<String, ApiError> {
    let name = text.trim();
    if (1..=longest).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    Err(ApiError::invalid("business_name", format!("must have 1 to {longest} characters")))
}

/// The project after it; unchanged when there is no other name.
async fn rename(
    app: &AppState,
    caller: &Caller,
    slug: &str,
    name: Option<&str>,
    version: Option<i64>,
) -> Result<Project, ApiError> {
    let mut tx = app.store().tenant(caller.org).await?;
    let project = access::project(&mut tx, slug).await?;
    let expected = version.unwrap_or(project.version);
    let name = name.unwrap_or(&project.business_name);
    let is_stale = expected != project.version
        || tx.update_project(project.id, name, &project.dna_custom, Some(expected)).await?.is_none();
    let old = project.business_name;
    let project = access::project(&mut tx, slug).await?;
    if is_stale {
        return Err(match version {
            Some(_) => {
                ApiError::version_mismatch(json!(ProjectBody::of(project, app.public_url(), Secrets::default())))
            }
            None => StorageError::Stale.into(),
        });
    }
    let after =
        json!({ "version": project.version, "changed": changed([("business_name", old != project.business_name)]) });
    let change = Change::new("project.update", "project", project.id.0).before(json!({ "version": expected }));
    change.after(after).tell(&mut tx, caller).await?;
    tx.commit().await?;
    Ok(project)
}

async fn rotate(app: &AppState, caller: &Caller, project: &Project, wanted: &[Rotate]) -> Result<Secrets, ApiError> {
    let mut secrets = Secrets::default();
    if wanted.is_empty() {
        return Ok(secrets);
    }
    let mut tx = app.store().identity().await?;
    for wanted in wanted {
        let kind = match wanted {
            Rotate::GoogleKey => SecretKind::Google,
            Rotate::WebhookToken => SecretKind::WordPress,
        };
        let (secret, hash) = kind.make();
        if !tx.replace_secret(project.org_id, kind.route(), &project.slug, &hash).await? {
            return Err(ApiError::not_found("project"));
        }
        secrets.put(kind, secret);
    }
    let mut tx = tx.into_tenant(caller.org).await?;
    let after = json!({ "rotated": wanted });
    Change::new("project.rotate", "project", project.id.0).after(after).tell(&mut tx, caller).await?;
    tx.commit().await?;
    Ok(secrets)
}
