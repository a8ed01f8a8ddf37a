//! The one port that everything is served on.

use std::future::IntoFuture as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::outside::Outside;
use crate::wire::{Exchange, Scissors};
use crate::{control, gemini, twilio};

/// Recordings are sent to the model in the request itself.
const LARGEST_BODY: usize = 24 * 1024 * 1024;

/// Serves until `stop` is cancelled and the requests in hand are answered.
pub(crate) async fn serve(listener: TcpListener, outside: Arc<Outside>, stop: CancellationToken) {
    let service = router(outside).into_make_service_with_connect_info::<Scissors>();
    let server = axum::serve(Exchange(listener), service).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.into_future().await {
        tracing::error!(%error, "the sandbox stopped serving");
    }
}

fn router(outside: Arc<Outside>) -> Router {
    let model = post(gemini::handler);
    Router::new()
        .route("/", get(control::page))
        .route("/sandbox", get(control::page))
        .route("/sandbox/ledger", get(control::ledger))
        .route("/sandbox/judge", get(control::judge))
        .route("/sandbox/scripts/{number}", put(control::script))
        .route("/sandbox/faults", put(control::faults))
        .route("/sandbox/reset", post(control::reset))
        .route("/sandbox/incoming", post(control::incoming))
        .route("/v1/models/{call}", model.clone())
        .route("/v1beta/models/{call}", model)
        .route("/2010-04-01/{*resource}", axum::routing::any(twilio::handler))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(outside)
}
