//! All routes, and what lies around each of them.

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Version, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use crate::error::ApiError;
use crate::state::AppState;
use crate::{docs, health, limits, observe, sms, v1, voice, webhooks};

/// How long a request may take until its answer begins. Streams begin at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a browser remembers what another origin may do.
const CORS_MAX_AGE: Duration = Duration::from_mins(10);

/// The API. Every path under `/api/v1` is also served under `/api`.
pub fn router(state: AppState) -> Router {
    let (canonical, document) = documented().split_for_parts();
    let (alias, _) = api().split_for_parts();
    let routes = canonical.nest("/api", alias).merge(docs::routes(document));
    routes
        .fallback(|| async { ApiError::not_found("path") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(DefaultBodyLimit::max(state.body_limit()))
        .layer(from_fn(in_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), limits::guard))
        .layer(cors(state.allowed_origins()))
        .layer(from_fn(observe::observe))
        .layer(from_fn_with_state(state.clone(), last_answer))
        .with_state(state)
}

/// A node that is stopping asks its clients to come back on a new connection, which leads them elsewhere: else a request that
/// is written while the connection is being closed would get no answer.
async fn last_answer(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let keeps_connection = request.version() <= Version::HTTP_11;
    let mut response = next.run(request).await;
    if keeps_connection && app.is_closing() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The document of the API.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(docs::Base::openapi()).merge(health::routes()).nest("/api/v1", api())
}

fn api() -> OpenApiRouter<AppState> {
    v1::routes().merge(webhooks::routes()).merge(voice::routes()).merge(sms::routes())
}

async fn in_time(request: Request, next: Next) -> Response {
    within(PATIENCE, next.run(request)).await
}

async fn within(patience: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(patience, answer).await {
        Ok(response) => response,
        Err(_) => ApiError::out_of_time().into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    ApiError::panicked().into_response()
}

fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let name = HeaderName::from_static;
    let exposed: Vec<_> = [header::ETAG, header::RETRY_AFTER, header::LOCATION, observe::REQUEST_ID]
        .into_iter()
        .chain(limits::HEADERS)
        .collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::IF_MATCH,
            name("idempotency-key"),
            name("last-event-id"),
            name("x-org-id"),
            name("traceparent"),
        ])
        .expose_headers(exposed)
        .max_age(CORS_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_as_a_problem() {
        let planted = get(|| async {
            assert!(PATIENCE.is_zero(), "planted");
        });
        let app = Router::<()>::new().route("/", planted).layer(CatchPanicLayer::custom(panicked));
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_answered_as_unknown() {
        let response = within(Duration::from_millis(5), std::future::pending()).await;
        assert_eq!(response.status(), 504);
    }

    #[test]
    fn without_origins_no_page_may_call() {
        assert_eq!(format!("{:?}", cors(&[])), format!("{:?}", CorsLayer::new()));
    }
}
