//! What every answer must be.

use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::world::{Seen, World};

/// 5xx that are meant: a task that is not part of the release.
const MEANT: [(u16, &str); 1] = [(501, "task_unavailable")];

/// Says what is wrong with an answer.
pub(super) fn answer(world: &World, seen: &Seen) -> Result<(), String> {
    let told = || format!("{} {}", seen.status, seen.text);
    let code = seen.body["code"].as_str().unwrap_or_default();
    if seen.status.is_server_error() && !MEANT.contains(&(seen.status.as_u16(), code)) {
        return Err(format!("a failure of ours: {}", told()));
    }
    if world.others.iter().any(|canary| seen.holds(canary)) {
        return Err(format!("something of another organisation: {}", told()));
    }
    if !seen.status.is_client_error() && !seen.status.is_server_error() {
        return Ok(());
    }
    if world.secrets().any(|secret| seen.holds(secret)) {
        return Err(format!("a secret in a refusal: {}", told()));
    }
    is_problem(seen, code).map_err(|what| format!("{what}: {}", told()))
}

/// A refusal has one form.
fn is_problem(seen: &Seen, code: &str) -> Result<(), String> {
    let header = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if header("content-type") != "application/problem+json" {
        return Err(format!("no problem, but {:?}", header("content-type")));
    }
    if seen.is_head {
        return Ok(());
    }
    if code.is_empty() || seen.body["title"].as_str().is_none_or(str::is_empty) {
        return Err("a problem without code or title".to_owned());
    }
    if seen.body["status"] != seen.status.as_u16() || seen.body["trace_id"] != header("x-request-id") {
        return Err("a problem of another request".to_owned());
    }
    let errors = seen.body["errors"].as_array().into_iter().flatten();
    if errors.clone().any(|error| !error["field"].is_string() || !error["problem"].is_string()) {
        return Err("a refused field without name or reason".to_owned());
    }
    Ok(())
}

/// How often each operation was answered, and how.
#[derive(Default)]
pub(super) struct Tally {
    begun: u32,
    answered: BTreeMap<String, BTreeMap<u16, u32>>,
}

impl Tally {
    /// The number of the next request.
    pub fn next(&mut self) -> u32 {
        self.begun += 1;
        self.begun - 1
    }

    pub fn count(&mut self, operation: &str, status: StatusCode) {
        *self.answered.entry(operation.to_owned()).or_default().entry(status.as_u16()).or_default() += 1;
    }

    /// Both.
    pub fn and(mut self, other: Self) -> Self {
        self.begun += other.begun;
        for (operation, statuses) in other.answered {
            let known = self.answered.entry(operation).or_default();
            for (status, count) in statuses {
                *known.entry(status).or_default() += count;
            }
        }
        self
    }

    /// The requests were no noise that is all refused at the first door.
    pub fn has_reached(&self, operations: &[String]) {
        let sent: u32 = self.answered.values().flat_map(BTreeMap::values).sum();
        assert!(sent > self.begun / 10 * 8, "{sent} of {} could be sent", self.begun);
        let missed: Vec<_> = operations.iter().filter(|operation| !self.answered.contains_key(*operation)).collect();
        assert!(missed.is_empty(), "never sent: {missed:?}");
        let succeeded = |name: &&String| self.answered[*name].keys().any(|status| (200..300).contains(status));
        let refused: Vec<_> = operations.iter().filter(|name| !succeeded(name)).collect();
        assert!(refused.len() * 8 < operations.len(), "never done: {refused:?}\n{:#?}", self.answered);
    }
}
