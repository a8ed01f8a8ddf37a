//! `GET /projects/{project_id}/dna`.

use apex_config::dna;
use apex_storage::Project;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{wanted_format, written};
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::state::AppState;

/// Which layer.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowDna {
    /// `merged` when left out.
    #[param(inline)]
    layer: Option<Layer>,
}

/// A layer of a DNA: defaults < generated < custom.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Layer {
    /// What its people wrote.
    Custom,
    /// What onboarding wrote.
    Generated,
    /// What holds for everybody.
    Defaults,
    /// All of them over each other.
    Merged,
}

/// Shows a layer of the project's DNA, as JSON or, by `Accept`, as YAML.
#[utoipa::path(
    get, path = "/projects/{project_id}/dna", operation_id = "show_dna", tag = "Projects", security(("bearer" = [])),
    params(("project_id" = String, Path, description = "The project"), ShowDna),
    responses(
        (status = 200, description = "The layer; the project's version is the ETag",
         content((Object = "application/json"), (String = "application/yaml"))),
        Failures,
    )
)]
#[tracing::instrument(name = "http.dna.show", skip_all, fields(project = %slug))]
pub(crate) async fn show_dna(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
    Query(query): Query<ShowDna>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut tx = app.store().tenant_read(caller.org).await?;
    let project = access::project(&mut tx, &slug).await?;
    let layer = layer(&project, query.layer.unwrap_or(Layer::Merged));
    Ok(written(&layer, wanted_format(&headers), project.version))
}

fn layer(project: &Project, wanted: Layer) -> Value {
    match wanted {
        Layer::Custom => project.dna_custom.clone(),
        Layer::Generated => project.dna_generated.clone(),
        Layer::Defaults => dna::defaults(),
        Layer::Merged => dna::merge(&[&dna::defaults(), &project.dna_generated, &project.dna_custom]),
    }
}
