//! `POST /auth/stream-ticket`: a browser's `EventSource` sends no headers, so it gets a ticket for its URL.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::AnyCaller;
use crate::docs::Failures;
use crate::error::ApiError;
use crate::extract::Json;
use crate::state::AppState;

/// A ticket that opens event streams.
#[derive(Serialize, ToSchema)]
pub(crate) struct StreamTicket {
    /// Send it as `?ticket=`.
    ticket: String,
    /// Its life, seconds.
    expires_in: i64,
}

/// Issues a short-lived ticket that opens event streams and nothing else.
#[utoipa::path(
    post, path = "/auth/stream-ticket", operation_id = "stream_ticket", tag = "Identity", security(("bearer" = [])),
    responses((status = 200, description = "A ticket", body = StreamTicket), Failures)
)]
#[tracing::instrument(name = "http.auth.stream_ticket", skip_all)]
pub(crate) async fn stream_ticket(
    State(app): State<AppState>,
    AnyCaller(caller): AnyCaller,
) -> Result<Json<StreamTicket>, ApiError> {
    let (ticket, claims) = app.tokens().issue_stream(&caller.subject(), app.now())?;
    Ok(Json(StreamTicket { ticket, expires_in: claims.exp - claims.iat }))
}
