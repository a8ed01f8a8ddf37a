//! `apex sandbox`: the outside, as a process of its own.

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::cli::Pace;
use crate::commands::block_on;
use crate::{lifecycle, outside};

/// Runs the sandbox until it is told to stop.
pub(crate) fn run(bind: SocketAddr, pace: Pace) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let sandbox = apex_sandbox::Sandbox::start(outside::sandbox_options(bind, pace)).await?;
        println!("apex sandbox ready at {}", sandbox.url());
        println!("\nSettings for `apex serve`:\n{}", outside::environment(&sandbox.url()));
        println!("\nLedger: {}/sandbox/ledger", sandbox.url());
        lifecycle::stop_signal().await;
        sandbox.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}
