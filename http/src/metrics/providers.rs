//! What providers bring: leads and callbacks.

use std::time::Duration;

use apex_storage::model::LeadSource;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const LEADS: &str = "apex_leads_accepted_total";
const STAGE_SECONDS: &str = "apex_lead_stage_seconds";
const UNKNOWN: &str = "apex_callbacks_unknown_total";
const FAILED: &str = "apex_callbacks_failed_total";

/// Tells the recorder what the numbers mean.
pub(crate) fn describe() {
    describe_counter!(LEADS, "leads that were committed, by source");
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "from the accepted lead to each stage of its call");
    describe_counter!(UNKNOWN, "signed callbacks about nothing that is known; nothing was kept");
    describe_counter!(FAILED, "signed callbacks that could not be kept in time, by reason");
}

/// A new lead is committed; `took` is the time since its request began.
pub(crate) fn lead_accepted(source: LeadSource, took: Duration) {
    counter!(LEADS, "source" => source.as_str()).increment(1);
    histogram!(STAGE_SECONDS, "stage" => "accepted").record(took);
}

/// A signed callback names nothing of ours.
pub(crate) fn unknown_callback(kind: &'static str) {
    counter!(UNKNOWN, "kind" => kind).increment(1);
}

/// A callback was not kept.
pub(crate) fn failed_callback(kind: &'static str, reason: &'static str) {
    counter!(FAILED, "kind" => kind, "reason" => reason).increment(1);
}
