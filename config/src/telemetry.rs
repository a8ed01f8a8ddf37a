//! Logs.

use crate::{
    load::Environment,
    problem::{Checked, Fault},
    source::Source,
};

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// Which lines are written, in the language of `RUST_LOG`.
    pub filter: String,
    /// One JSON object a line, else text for people.
    pub json: bool,
}

impl Telemetry {
    pub(crate) fn read(source: &mut Source<'_>, environment: Environment) -> Self {
        Self {
            filter: source.text("telemetry.filter").unwrap_or_default(),
            json: source.checked("telemetry.format", is_json).unwrap_or(environment.is_production()),
        }
    }
}

fn is_json(text: &str) -> Checked<bool> {
    match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(Fault::new("is neither text nor json", "write one of the two")),
    }
}
