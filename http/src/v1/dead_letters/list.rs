//! `GET /dead-letters`.

use apex_storage::model::DeadLetterId;
use apex_storage::{DeadLetter, DeadLetterFilter};
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::DeadLetterBody;
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// Which dead letters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeadLetters {
    /// Only of this project.
    project_id: Option<String>,
    /// Only of this task.
    task: Option<String>,
    /// Only with this reason.
    code: Option<String>,
    /// `true`: those that were put away, instead of those that were not.
    archived: Option<bool>,
    /// Only those that were run again, or were not.
    replayed: Option<bool>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists dead letters, newest first.
#[utoipa::path(
    get, path = "/dead-letters", operation_id = "list_dead_letters", tag = "Dead letters", security(("bearer" = [])),
    params(ListDeadLetters),
    responses((status = 200, description = "A page of dead letters", body = Page<DeadLetterBody>), Failures)
)]
#[tracing::instrument(name = "http.dead_letters.list", skip_all)]
pub(crate) async fn list_dead_letters(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListDeadLetters>,
) -> Result<Json<Page<DeadLetterBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let filter = DeadLetterFilter {
        project_id: access::narrowed(&mut tx, query.project_id.as_deref()).await?,
        task: query.task,
        code: query.code,
        archived: query.archived.unwrap_or(false),
        replayed: query.replayed,
        after: wanted.after.map(|(at, id)| (at, DeadLetterId(id))),
        limit: wanted.rows(),
    };
    let (rows, next_cursor) = wanted.cut(tx.dead_letters(&filter).await?, |letter| (letter.at, letter.id.0));
    let slugs = access::slugs(&mut tx, rows.iter().map(|letter| letter.project_id).collect()).await?;
    let body = |letter: DeadLetter| slugs.get(&letter.project_id).map(|slug| DeadLetterBody::of(letter, slug));
    Ok(Json(Page { data: rows.into_iter().filter_map(body).collect(), next_cursor }))
}
