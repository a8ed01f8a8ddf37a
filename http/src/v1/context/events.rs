//! `GET /context/{id}/events`: the journal as a stream. It is a cursor over rows; the mirror only says when to look, and the
//! streams of one ticket look together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use apex_storage::mirror::Wake;
use apex_storage::model::TicketId;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::access::StreamCaller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::metrics::OpenStream;
use crate::reading::{Need, Told, Watching};
use crate::state::AppState;

/// How often rows are looked at without a hint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a silent stream shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: &str = "last-event-id";
/// Tells proxies not to hold events back.
const NO_BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// Where to begin, and who is calling.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsOf {
    /// Like the header `Last-Event-ID`, for the first connection.
    last_event_id: Option<String>,
    /// A stream ticket, for clients that cannot send headers.
    #[serde(rename = "ticket")]
    #[param(rename = "ticket")]
    _ticket: Option<String>,
}

/// Streams what happens with a task: `progress`, and at the end `completed` or `failed`. The id of an event is its number;
/// after a break, `Last-Event-ID` goes on behind it, without gap or repetition. 204: there is nothing more to come.
#[utoipa::path(
    get, path = "/context/{id}/events", operation_id = "context_events", tag = "Tasks", security(("bearer" = [])),
    params(
        ("id" = uuid::Uuid, Path, description = "The context"), EventsOf,
        ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen"),
    ),
    responses(
        (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The task is over and all of it was seen"),
        Failures,
    )
)]
#[tracing::instrument(name = "http.context.events", skip_all, fields(ticket.id = %id))]
pub(crate) async fn context_events(
    State(app): State<AppState>,
    StreamCaller(caller): StreamCaller,
    Path(id): Path<TicketId>,
    Query(query): Query<EventsOf>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wake = app.mirror().watch(id.0); // before the first look, so that no hint is missed
    let turn = app.turn_to_look().await;
    let mut tx = app.store().tenant_read(caller.org).await?;
    let ticket = tx.ticket(id).await?.ok_or_else(|| ApiError::not_found("context"))?;
    tx.project(ticket.project_id).await?.ok_or_else(|| ApiError::not_found("context"))?;
    drop((tx, turn));
    let seen = seen(headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()), query, ticket.seq);
    if ticket.state.is_final() && seen == ticket.seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let cursor = Cursor {
        watching: app.readings().watch(&ticket),
        seen,
        need: Need::Entry(ticket.seq),
        is_up_to_date: false,
        wake,
        ready: VecDeque::new(),
        is_over: false,
        _open: OpenStream::count(),
    };
    let events = Sse::new(follow(app, cursor)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([NO_BUFFERING], events).into_response())
}

/// The number of the last event that the client saw. One that cannot be is answered from the start.
fn seen(header: Option<&str>, query: EventsOf, newest: i64) -> i64 {
    let given = header.map(str::to_owned).or(query.last_event_id);
    given.and_then(|text| text.trim().parse().ok()).filter(|seen| (0..=newest).contains(seen)).unwrap_or(0)
}

/// Where one client stands.
struct Cursor {
    watching: Watching,
    seen: i64,
    need: Need,
    /// Everything that was found is told, or nothing could be found: time to wait.
    is_up_to_date: bool,
    wake: Wake,
    ready: VecDeque<Told>,
    is_over: bool,
    _open: OpenStream,
}

fn follow(app: AppState, cursor: Cursor) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold((app, cursor), |(app, mut cursor)| async move {
        let told = cursor.next(&app).await?;
        let event = Event::default().id(told.seq.to_string()).event(told.name).data(told.data);
        Some((Ok(event), (app, cursor)))
    })
}

impl Cursor {
    /// The next entry; `None` when there is no more, or the node is stopping and another one goes on.
    async fn next(&mut self, app: &AppState) -> Option<Told> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Some(told);
            }
            if self.is_over {
                return None;
            }
            if self.is_up_to_date {
                let now = Instant::now();
                self.need = tokio::select! {
                    () = self.wake.changed() => Need::Since(Instant::now()),
                    () = tokio::time::sleep(LOOK_EVERY) => Need::Since(now + LOOK_EVERY / 2),
                    () = app.closed() => return None,
                };
            }
            self.look(app).await;
        }
    }

    async fn look(&mut self, app: &AppState) {
        self.is_up_to_date = true;
        let Some(news) = self.watching.after(app, self.seen, self.need).await else { return };
        self.seen = news.told.last().map_or(self.seen, |told| told.seq);
        self.is_over = news.is_over;
        self.is_up_to_date = !news.is_behind;
        self.need = Need::Entry(self.seen + 1);
        self.ready.extend(news.told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(last_event_id: Option<&str>) -> EventsOf {
        EventsOf { last_event_id: last_event_id.map(Into::into), _ticket: None }
    }

    #[test]
    fn the_header_wins_over_the_query() {
        assert_eq!(seen(Some("3"), query(Some("2")), 5), 3);
        assert_eq!(seen(None, query(Some("2")), 5), 2);
        assert_eq!(seen(None, query(None), 5), 0);
    }

    #[test]
    fn an_id_that_cannot_be_begins_from_the_start() {
        for id in ["", "abc", "-1", "6", "1.5"] {
            assert_eq!(seen(Some(id), query(None), 5), 0, "{id}");
        }
    }
}
