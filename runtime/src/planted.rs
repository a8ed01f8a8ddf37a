//! What tests plant: deaths at named points and a clock that is set while the program runs. Production refuses both.

use std::sync::Arc;

use anyhow::bail;
use apex_config::Config;
use apex_storage::clock::{PlantedClock, SharedClock, SystemClock};
use apex_storage::fault;

/// Arms the points that `APEX_FAULTS` names.
pub(crate) fn arm_faults(config: &Config) -> anyhow::Result<()> {
    let Some(faults) = environment("APEX_FAULTS") else { return Ok(()) };
    if config.environment.is_production() {
        bail!("APEX_FAULTS: planted faults are refused in production; unset it");
    }
    fault::arm(&faults).map_err(|problem| anyhow::anyhow!("APEX_FAULTS: {problem}"))
}

/// The machine's clock; wrong by the seconds in the file that `APEX_CLOCK_FILE` names, if it names one.
pub(crate) fn clock(config: &Config) -> anyhow::Result<SharedClock> {
    let Some(file) = environment("APEX_CLOCK_FILE") else { return Ok(Arc::new(SystemClock)) };
    if config.environment.is_production() {
        bail!("APEX_CLOCK_FILE: a planted clock is refused in production; unset it");
    }
    Ok(Arc::new(PlantedClock::read_from(file)))
}

/// A variable that is not empty.
#[expect(clippy::disallowed_methods, reason = "these are for tests and no settings of the product")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
