//! `PUT /projects/{project_id}/dna`: replaces the custom layer.

use std::collections::BTreeSet;

use apex_config::dna;
use apex_storage::{Project, StorageError};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use super::{format_of, wanted_format, written};
use crate::access::{self, Caller};
use crate::audit::Change;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Body, IfMatch, Path, media_type, refuse_nul};
use crate::problem::Problem;
use crate::state::AppState;
use crate::v1::schedules::follow_zone;

/// Most keys that the audit log names for one change.
const MOST_KEYS: usize = 200;
const FORMATS: &str = "application/json or application/yaml";

/// Replaces the custom layer of the project's DNA, JSON or YAML by `Content-Type`. A wrong DNA is refused with every wrong key.
#[utoipa::path(
    put, path = "/projects/{project_id}/dna", operation_id = "put_dna", tag = "Projects", security(("bearer" = [])),
    request_body(content((Object = "application/json"), (String = "application/yaml"))),
    params(
        ("project_id" = String, Path, description = "The project"),
        ("If-Match" = Option<String>, Header, description = "Only if the ETag is still this one"),
    ),
    responses(
        (status = 200, description = "The custom layer as it is kept; the project's new version is the ETag",
         content((Object = "application/json"), (String = "application/yaml"))),
        (status = 412, description = "Changed in the meantime; `current` is what stands there", body = Problem,
         content_type = "application/problem+json"),
        (status = 415, description = "Neither JSON nor YAML", body = Problem, content_type = "application/problem+json"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.dna.put", skip_all, fields(project = %slug))]
pub(crate) async fn put_dna(
    State(app): State<AppState>,
    caller: Caller,
    Path(slug): Path<String>,
    IfMatch(version): IfMatch,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let layer = parse(&headers, &body)?;
    refuse_nul(layer.to_string().as_bytes())?;
    let mut tx = app.store().tenant(caller.org).await?;
    let project = access::project(&mut tx, &slug).await?;
    dna::resolve(&project.dna_generated, &layer).map_err(|problems| ApiError::invalid_dna(problems, ""))?;
    let expected = version.unwrap_or(project.version);
    if expected != project.version {
        return Err(ApiError::version_mismatch(project.dna_custom));
    }
    let Project { id, business_name, .. } = &project;
    let Some(new) = tx.update_project(*id, business_name, &layer, Some(expected)).await? else {
        return Err(StorageError::Stale.into());
    };
    let changed = Project { dna_custom: layer, ..project.clone() };
    follow_zone(&mut tx, &project, &changed).await?;
    let after = json!({ "version": new, "changed": changed_keys(&project.dna_custom, &changed.dna_custom) });
    let change = Change::new("dna.update", "project", id.0).before(json!({ "version": project.version }));
    change.after(after).tell(&mut tx, &caller).await?;
    tx.commit().await?;
    Ok(written(&changed.dna_custom, wanted_format(&headers), new))
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Value, ApiError> {
    let format = format_of(&media_type(headers)).ok_or_else(|| ApiError::unsupported_media(FORMATS))?;
    let text = std::str::from_utf8(body).map_err(|_| ApiError::malformed("not_utf8", "the body is not UTF-8"))?;
    dna::parse(text, format).map_err(|problems| ApiError::invalid_dna(problems, ""))
}

/// The keys at which two layers differ, with dots between; a list is one value.
fn changed_keys(old: &Value, new: &Value) -> Vec<String> {
    let mut found = BTreeSet::new();
    compare(String::new(), old, new, &mut found);
    found.into_iter().take(MOST_KEYS).collect()
}

fn compare(at: String, old: &Value, new: &Value, found: &mut BTreeSet<String>) {
    if old == new {
        return;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        found.insert(at);
        return;
    };
    for name in before.keys().chain(after.keys()) {
        let key = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) => compare(key, old, new, found),
            _ => drop(found.insert(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_its_keys_and_never_by_its_text() {
        let old = json!({ "identity": { "name": "A", "region": "NZ" }, "hours": [1, 2], "gone": {} });
        let new =
            json!({ "identity": { "name": "B", "region": "NZ", "zone": "x" }, "hours": [1], "modules": { "a": 1 } });
        assert_eq!(changed_keys(&old, &new), ["gone", "hours", "identity.name", "identity.zone", "modules"]);
        assert!(changed_keys(&new, &new).is_empty());
    }
}
