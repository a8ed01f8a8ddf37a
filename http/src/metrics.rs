//! Names and help texts of what the wire measures.

pub(crate) mod providers;

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUEST_SECONDS: &str = "apex_http_request_seconds";
const STREAMS: &str = "apex_http_streams";
const RATE_LIMITED: &str = "apex_rate_limited_total";

/// Tells the recorder what the numbers mean. Call it once, after the recorder is in place.
pub fn describe() {
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "from the request to the head of its answer, by route and status"
    );
    describe_gauge!(STREAMS, "event streams open on this node");
    describe_counter!(RATE_LIMITED, "requests refused because somebody had their share, by tier");
    providers::describe();
}

/// A request was answered.
pub(crate) fn answered(route: String, status: StatusCode, took: Duration) {
    histogram!(REQUEST_SECONDS, "route" => route, "status" => status.as_u16().to_string()).record(took);
}

/// A request was refused because its tier had had its share.
pub(crate) fn rate_limited(tier: &'static str) {
    counter!(RATE_LIMITED, "tier" => tier).increment(1);
}

/// An open event stream: counted from here until it is dropped.
pub(crate) struct OpenStream(());

impl OpenStream {
    pub fn count() -> Self {
        gauge!(STREAMS).increment(1.0);
        Self(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!(STREAMS).decrement(1.0);
    }
}
