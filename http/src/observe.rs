//! What every request gets: a trace id, a span, one measured time. Neither holds a query string or anything personal.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use crate::metrics;

/// Carries the trace id back to the caller.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The trace id that a caller brings along.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// A request that no route knows.
const NO_ROUTE: &str = "none";

/// Longest name of a program that is kept, in characters.
const LONGEST_AGENT: usize = 256;

/// Where a request comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// Its trace id.
    pub trace: String,
    /// The other end of its connection. What a proxy says about others is not believed.
    pub address: Option<IpAddr>,
    /// The program, as it calls itself.
    pub agent: Option<String>,
}

impl Origin {
    fn of(request: &Request, trace: String) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self {
            trace,
            address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical()),
            agent: agent.map(|agent| agent.chars().take(LONGEST_AGENT).collect()),
        }
    }
}

tokio::task_local! {
    static ORIGIN: Origin;
}

/// The trace id of the request in hand; a new one where there is none.
pub(crate) fn trace_id() -> String {
    ORIGIN.try_with(|origin| origin.trace.clone()).unwrap_or_else(|_| new_trace())
}

/// Where the request in hand comes from; nowhere outside of one.
pub(crate) fn origin() -> Origin {
    ORIGIN.try_with(Clone::clone).unwrap_or_else(|_| Origin { trace: new_trace(), ..Origin::default() })
}

/// Runs a request under its trace id, measures it and names it to the caller.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let trace = given_trace(request.headers()).unwrap_or_else(new_trace);
    let route = canonical(request.extensions().get::<MatchedPath>().map(MatchedPath::as_str));
    let span =
        tracing::info_span!("http.request", http.method = %request.method(), http.route = %route, trace.id = %trace);
    let origin = Origin::of(&request, trace.clone());
    let begun = Instant::now();
    let mut response = ORIGIN.scope(origin, next.run(request)).instrument(span.clone()).await;
    let (status, took) = (response.status(), begun.elapsed());
    metrics::answered(route, status, took);
    span.in_scope(|| tracing::debug!(http.status = status.as_u16(), http.took_us = took.as_micros(), "answered"));
    if let Ok(value) = HeaderValue::from_str(&trace) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Both spellings of a path are one route: `/api/run` counts as `/api/v1/run`.
fn canonical(matched: Option<&str>) -> String {
    match matched {
        None => NO_ROUTE.to_owned(),
        Some(route) => match route.strip_prefix("/api/") {
            Some(rest) if !rest.starts_with("v1/") => format!("/api/v1/{rest}"),
            _ => route.to_owned(),
        },
    }
}

fn new_trace() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// The trace id of a valid W3C `traceparent`.
fn given_trace(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get(TRACEPARENT)?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let more = parts.next().is_some();
    let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let valid = well_formed && version != "ff" && !(version == "00" && more) && !zero(trace) && !zero(parent);
    valid.then(|| trace.to_owned())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: &'static str) -> Option<String> {
        given_trace(&HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(value))]))
    }

    #[test]
    fn a_valid_traceparent_is_kept_and_any_other_is_not() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(given("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(trace));
        assert_eq!(given("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-new").as_deref(), Some(trace));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(given(bad), None, "{bad}");
        }
    }

    #[test]
    fn both_spellings_of_a_path_are_measured_as_one() {
        assert_eq!(canonical(Some("/api/run")), "/api/v1/run");
        assert_eq!(canonical(Some("/api/v1/run")), "/api/v1/run");
        assert_eq!(canonical(Some("/health")), "/health");
        assert_eq!(canonical(None), "none");
    }

    #[test]
    fn outside_a_request_a_trace_id_is_made_up() {
        assert!(is_hex(&trace_id(), 32));
    }
}
