//! `apex serve`.

use std::io::Write;
use std::process::ExitCode;

use apex_config::Config;

use crate::cli::Pace;
use crate::commands::block_on;
use crate::{app, banner, lifecycle, planted, telemetry};

/// Runs the server until it is told to stop, then lets everything under way end.
pub(crate) fn run(mut config: Config, hold_effects: bool) -> anyhow::Result<ExitCode> {
    planted::arm_faults(&config)?;
    config.calls.hold_effects |= hold_effects;
    block_on(async move {
        telemetry::logs(&config.telemetry)?;
        let running = app::start(config, sandbox_pace()).await?;
        eprintln!("{}", banner::mode(running.is_sandbox));
        if running.holds_effects {
            eprintln!("{}", banner::HELD);
        }
        let effects = if running.holds_effects { " effects=held" } else { "" };
        println!("apex ready api={} admin={}{effects}", running.api, running.admin);
        std::io::stdout().flush()?;
        lifecycle::stop_signal().await;
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn sandbox_pace() -> Pace {
    match planted::environment("APEX_SANDBOX_PACE").as_deref() {
        Some("instant") => Pace::Instant,
        _ => Pace::Human,
    }
}
