//! `GET /effects`.

use apex_storage::model::{EffectId, TicketId};
use apex_storage::{Effect, EffectFilter};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{EffectBody, EffectKind, read_to};
use crate::access::{self, Caller};
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Query};
use crate::page::{Page, Wanted};
use crate::state::AppState;

/// How far an effect is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EffectState {
    Intended,
    Sending,
    Live,
    Refused,
    Unknown,
    Held,
}

impl EffectState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sending => "sending",
            Self::Live => "live",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Held => "held",
        }
    }
}

/// Which effects.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEffects {
    /// Only of this project.
    project_id: Option<String>,
    /// Only of this ticket.
    #[param(value_type = Option<uuid::Uuid>)]
    ticket_id: Option<TicketId>,
    /// Only of this kind.
    #[param(inline)]
    kind: Option<EffectKind>,
    /// Only in this state.
    #[param(inline)]
    state: Option<EffectState>,
    /// Only to this number, in E.164.
    to: Option<String>,
    /// Only intended before this time.
    created_before: Option<DateTime<Utc>>,
    /// Only intended at this time or later.
    created_after: Option<DateTime<Utc>>,
    /// Rows on the page, 1 to 200; 50 when left out.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists calls and messages, newest first, whether they have left or not.
#[utoipa::path(
    get, path = "/effects", operation_id = "list_effects", tag = "Effects", security(("bearer" = [])),
    params(ListEffects),
    responses((status = 200, description = "A page of effects", body = Page<EffectBody>), Failures)
)]
#[tracing::instrument(name = "http.effects.list", skip_all)]
pub(crate) async fn list_effects(
    State(app): State<AppState>,
    caller: Caller,
    Query(query): Query<ListEffects>,
) -> Result<Json<Page<EffectBody>>, ApiError> {
    let wanted = Wanted::read(query.limit, query.cursor.as_deref())?;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let filter = EffectFilter {
        project_id: access::narrowed(&mut tx, query.project_id.as_deref()).await?,
        ticket_id: query.ticket_id,
        kind: query.kind.map(|kind| kind.as_str().to_owned()),
        state: query.state.map(|state| state.as_str().to_owned()),
        to: read_to(query.to.as_deref())?,
        created_before: query.created_before,
        created_after: query.created_after,
        after: wanted.after.map(|(at, id)| (at, EffectId(id))),
        limit: wanted.rows(),
        ..EffectFilter::default()
    };
    let (rows, next_cursor) = wanted.cut(tx.effects(&filter).await?, |effect| (effect.created_at, effect.id.0));
    let slugs = access::slugs(&mut tx, rows.iter().map(|effect| effect.project_id).collect()).await?;
    let body = |effect: Effect| slugs.get(&effect.project_id).map(|slug| EffectBody::of(effect, slug));
    Ok(Json(Page { data: rows.into_iter().filter_map(body).collect(), next_cursor }))
}
