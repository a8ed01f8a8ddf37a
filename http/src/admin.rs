//! The operator's port: never open it to the public.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::health;
use crate::state::AppState;

/// What Prometheus reads.
pub(crate) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/live`, `/ready` and `/metrics`; `render` writes the metrics in Prometheus' text format.
pub fn admin_router(state: AppState, render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    let metrics = move || {
        let text = render();
        async move { ([(CONTENT_TYPE, TEXT)], text) }
    };
    Router::new()
        .route("/live", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}
