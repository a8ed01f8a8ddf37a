//! `apex serve`.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;
use apex_config::Config;
use apex_storage::fault;

use crate::cli::Pace;
use crate::commands::block_on;
use crate::{app, banner, lifecycle, telemetry};

/// Runs the server until it is told to stop, then lets everything under way end.
pub(crate) fn run(config: Config) -> anyhow::Result<ExitCode> {
    arm_faults(&config)?;
    block_on(async move {
        telemetry::logs(&config.telemetry)?;
        let running = app::start(config, sandbox_pace()).await?;
        eprintln!("{}", banner::mode(running.is_sandbox));
        println!("apex ready api={} admin={}", running.api, running.admin);
        std::io::stdout().flush()?;
        lifecycle::stop_signal().await;
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Planted deaths are for tests: production refuses them.
fn arm_faults(config: &Config) -> anyhow::Result<()> {
    let Some(faults) = environment("APEX_FAULTS") else { return Ok(()) };
    if config.environment.is_production() {
        bail!("APEX_FAULTS: planted faults are refused in production; unset it");
    }
    fault::arm(&faults).map_err(|problem| anyhow::anyhow!("APEX_FAULTS: {problem}"))
}

fn sandbox_pace() -> Pace {
    match environment("APEX_SANDBOX_PACE").as_deref() {
        Some("instant") => Pace::Instant,
        _ => Pace::Human,
    }
}

#[expect(clippy::disallowed_methods, reason = "these two are for tests and no settings of the product")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
