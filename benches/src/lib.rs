//! What the measurements share. Speed is measured here and never asserted in tests.
//!
//! `cargo bench -p apex-benches` runs all of them; figures are for comparison on one machine, in one run.

use std::time::Duration;

/// The value that `per_mille` thousandths of the samples do not exceed. The samples are sorted.
pub fn quantile(sorted: &[Duration], per_mille: usize) -> Duration {
    let index = (sorted.len() * per_mille / 1000).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

/// Milliseconds with three decimals.
pub fn milliseconds(duration: Duration) -> String {
    format!("{}.{:03} ms", duration.as_millis(), duration.as_micros() % 1000)
}
