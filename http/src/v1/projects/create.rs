//! `POST /projects`.

use apex_config::dna;
use apex_storage::model::ProjectId;
use apex_storage::{NewProject, Project, Route};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ProjectBody, add_routes};
use crate::access::Caller;
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, etag};
use crate::problem::Problem;
use crate::state::AppState;

const LONGEST_ID: usize = 64;
const LONGEST_NAME: usize = 200;

/// A client business to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateProject {
    /// Letters, digits, `_` and `-`; unique in the installation.
    #[schema(pattern = "^[a-zA-Z0-9_-]+$", max_length = 64)]
    project_id: String,
    /// As its customers know it.
    business_name: String,
    /// What it wants: the custom layer of its DNA.
    #[schema(value_type = Option<Object>)]
    dna: Option<Value>,
}

/// Makes a project. Its two secrets are in this answer and in no other.
#[utoipa::path(
    post, path = "/projects", operation_id = "create_project", tag = "Projects", security(("bearer" = [])),
    request_body = CreateProject,
    responses(
        (status = 201, description = "Made; keep the secrets", body = ProjectBody),
        (status = 409, description = "The project_id is taken", body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.projects.create", skip_all)]
pub(crate) async fn create_project(
    State(app): State<AppState>,
    caller: Caller,
    Json(request): Json<CreateProject>,
) -> Result<Response, ApiError> {
    caller.require_admin()?;
    let request = checked(request)?;
    let id = ProjectId::new();
    let mut tx = app.store().identity().await?;
    let route = Route { org_id: caller.org, project_id: id, secret_hash: None };
    let secrets = add_routes(&mut tx, &request.slug, &route).await?;
    tx.commit().await?;
    let project = match write(&app, &caller, id, &request).await {
        Ok(project) => project,
        Err(error) => return Err(give_back(&app, &route, error).await),
    };
    let tag = [(header::ETAG, etag(project.version))];
    Ok((StatusCode::CREATED, tag, Json(ProjectBody::of(project, app.public_url(), secrets))).into_response())
}

struct Checked {
    slug: String,
    business_name: String,
    dna: Value,
}

fn checked(request: CreateProject) -> Result<Checked, ApiError> {
    let CreateProject { project_id, business_name, dna } = request;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !(1..=LONGEST_ID).contains(&project_id.len()) || !project_id.chars().all(plain) {
        return Err(ApiError::invalid("project_id", "must be 1 to 64 letters, digits, _ and -"));
    }
    let business_name = super::patch::business_name(&business_name, LONGEST_NAME)?;
    let dna = dna.unwrap_or_else(|| json!({}));
    if !dna.is_object() {
        return Err(ApiError::invalid("dna", "must be a mapping of keys to values"));
    }
    dna::resolve(&json!({}), &dna).map_err(|problems| ApiError::invalid_dna(problems, "dna"))?;
    Ok(Checked { slug: project_id, business_name, dna })
}

async fn write(app: &AppState, caller: &Caller, id: ProjectId, request: &Checked) -> Result<Project, ApiError> {
    let Checked { slug, business_name, dna } = request;
    let mut tx = app.store().tenant(caller.org).await?;
    tx.create_project(&NewProject { id, slug, business_name, dna_custom: dna }).await?;
    let project = tx.project(id).await?.ok_or_else(|| ApiError::not_found("project"))?;
    let after = json!({ "project_id": slug, "version": project.version });
    Change::new("project.create", "project", id.0).after(after).tell(&mut tx, caller).await?;
    tx.commit().await?;
    Ok(project)
}

/// The name was taken and the project could not be written: frees the name, unless the database is away altogether.
async fn give_back(app: &AppState, route: &Route, error: ApiError) -> ApiError {
    let freed = async {
        let mut tx = app.store().identity().await?;
        tx.remove_routes(route.org_id, route.project_id).await?;
        tx.commit().await
    };
    if let Err(problem) = freed.await {
        tracing::error!(project.id = %route.project_id, error = %problem, "a project's name stays taken; delete it by hand");
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(project_id: &str, business_name: &str, dna: Option<Value>) -> Result<Checked, ApiError> {
        checked(CreateProject { project_id: project_id.into(), business_name: business_name.into(), dna })
    }

    #[test]
    fn a_project_needs_a_plain_id_and_a_name() {
        assert!(read("Kereru_plumbing-2", " Kererū ", None).is_ok_and(|read| read.business_name == "Kererū"));
        for bad in ["", "a b", "kererū", "a/b", &"x".repeat(65)] {
            assert!(read(bad, "Kererū", None).is_err(), "{bad}");
        }
        assert!(read("a", " ", None).is_err());
    }

    #[test]
    fn a_wrong_dna_names_its_key() {
        let error = read("a", "A", Some(json!({"identity": {"region": "UK"}}))).err().unwrap();
        assert!(format!("{error:?}").contains("field: \"dna.identity.region\""), "{error:?}");
        assert!(read("a", "A", Some(json!([]))).is_err());
    }
}
