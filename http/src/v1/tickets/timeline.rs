//! `GET /tickets/{id}/timeline`: everything that happened, and everything that left the house.

use apex_storage::model::TicketId;
use apex_storage::{Effect, TicketEvent};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::TicketBody;
use crate::access::Caller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Json, Path};
use crate::state::AppState;

/// Most entries that are shown.
const MOST: i64 = 10_000;

/// A ticket with its history.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Timeline {
    ticket: TicketBody,
    /// Oldest first, numbered from 1 without gaps.
    events: Vec<TimelineEntry>,
    /// Calls and messages, oldest first; neither numbers nor texts.
    effects: Vec<TimelineEffect>,
}

/// One journal entry.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineEntry {
    seq: i64,
    /// accepted, stage, step, note, or the final state.
    kind: String,
    /// Which stage, step or note.
    step: Option<String>,
    /// Ids and numbers, never personal data.
    #[schema(value_type = Object)]
    data: Value,
    at: DateTime<Utc>,
}

/// One call or message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineEffect {
    id: Uuid,
    /// call or sms.
    kind: String,
    /// intended, sending, live, refused, unknown or held.
    state: String,
    /// Why it was refused or is held.
    reason: Option<String>,
    /// The provider's id, once known.
    sid: Option<String>,
    created_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
}

impl From<TicketEvent> for TimelineEntry {
    fn from(TicketEvent { seq, kind, step, data, at, .. }: TicketEvent) -> Self {
        Self { seq, kind, step, data, at }
    }
}

impl From<Effect> for TimelineEffect {
    fn from(effect: Effect) -> Self {
        let Effect { id, kind, state, reason, sid, created_at, sent_at, .. } = effect;
        Self { id: id.0, kind, state, reason, sid, created_at, sent_at }
    }
}

/// Shows everything that happened with a ticket.
#[utoipa::path(
    get, path = "/tickets/{id}/timeline", operation_id = "ticket_timeline", tag = "Tasks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path, description = "The ticket")),
    responses((status = 200, description = "The ticket with its history", body = Timeline), Failures)
)]
#[tracing::instrument(name = "http.tickets.timeline", skip_all, fields(ticket.id = %id))]
pub(crate) async fn ticket_timeline(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<TicketId>,
) -> Result<Json<Timeline>, ApiError> {
    let missing = || ApiError::not_found("ticket");
    let mut tx = app.store().tenant_read(caller.org).await?;
    let events = tx.ticket_events(id, 0, MOST).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(missing)?;
    let project = tx.project(ticket.project_id).await?.ok_or_else(missing)?;
    let effects = tx.effects_of_ticket(id).await?;
    Ok(Json(Timeline {
        ticket: TicketBody::of(ticket, &project.slug),
        events: events.into_iter().map(Into::into).collect(),
        effects: effects.into_iter().map(Into::into).collect(),
    }))
}
