//! `GET /api-keys`.

use apex_storage::ApiKeyFilter;
use apex_storage::model::ApiKeyId;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiKeyBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListApiKeys {
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists API keys, newest first: all of the organisation for its owners and admins, their own for others. Never the keys
/// themselves.
#[utoipa::path(
    get, path = "/api-keys", operation_id = "list_api_keys", tag = "Identity", security(("bearer" = [])),
    params(ListApiKeys),
    responses((status = 200, description = "A page of keys", body = Page<ApiKeyBody>), Failures)
)]
#[tracing::instrument(name = "http.api_keys.list", skip_all)]
pub(crate) async fn list_api_keys(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListApiKeys>,
) -> Result<Json<Page<ApiKeyBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let filter = ApiKeyFilter {
        user: (!caller.role.may_administer()).then_some(caller.user),
        after: wanted.after.map(|(at, id)| (at, ApiKeyId(id))),
        limit: wanted.rows(),
    };
    let mut tx = app.store().identity_read().await?;
    let (rows, next_cursor) = wanted.cut(tx.api_keys(caller.org, &filter).await?, |key| (key.created_at, key.id.0));
    Ok(Json(Page { data: rows.into_iter().map(Into::into).collect(), next_cursor }))
}
