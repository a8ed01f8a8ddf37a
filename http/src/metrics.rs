//! Names and help texts of what the wire measures.

pub(crate) mod providers;

use std::time::Duration;

use axum::http::StatusCode;
use metrics::{Unit, describe_gauge, describe_histogram, gauge, histogram};

const REQUEST_SECONDS: &str = "apex_http_request_seconds";
const STREAMS: &str = "apex_http_streams";

/// Tells the recorder what the numbers mean. Call it once, after the recorder is in place.
pub fn describe() {
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "from the request to the head of its answer, by route and status"
    );
    describe_gauge!(STREAMS, "event streams open on this node");
    providers::describe();
}

/// A request was answered.
pub(crate) fn answered(route: String, status: StatusCode, took: Duration) {
    histogram!(REQUEST_SECONDS, "route" => route, "status" => status.as_u16().to_string()).record(took);
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
