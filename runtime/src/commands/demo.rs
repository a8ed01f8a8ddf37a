//! `apex demo`: the whole main job, through the front door, on phones that the sandbox plays.

mod guest;
mod show;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::cli::Pace;
use crate::commands::block_on;
use crate::{app, lifecycle, telemetry};
use guest::Guest;

/// Longer than any demo takes; a demo that hangs is a failure.
const PATIENCE: Duration = Duration::from_mins(1);
const EMAIL: &str = "owner@kereru.example";
const PASSWORD: &str = "kereru-plumbing-2026";
const PROJECT: &str = "kereru-plumbing";
/// Invented numbers.
const BOSS: &str = "+64275559002";
const CUSTOMER: &str = "027 555 9001";

/// Runs the demo; with `keep`, leaves everything running until it is told to stop.
pub(crate) fn run(keep: bool) -> anyhow::Result<ExitCode> {
    block_on(async move {
        let folder = std::env::temp_dir().join(format!("apex-demo-{}", std::process::id()));
        let config = settings(&folder, keep)?;
        telemetry::logs(&config.telemetry)?;
        let running = app::start(config, Pace::Human).await?;
        let shown = tokio::time::timeout(PATIENCE, main_job(&running.api)).await;
        let shown = shown.context("the demo took too long").and_then(|shown| shown);
        if keep && shown.is_ok() {
            show::how_to_go_on(&running.api, &running.admin, EMAIL, PASSWORD, PROJECT);
            lifecycle::stop_signal().await;
        }
        running.stop().await;
        let _ = std::fs::remove_dir_all(&folder);
        shown.map(|()| ExitCode::SUCCESS)
    })
}

/// Settings of its own: nothing of the machine's environment reaches the demo but the log filter.
fn settings(folder: &std::path::Path, keep: bool) -> anyhow::Result<apex_config::Config> {
    let folder = folder.display().to_string();
    let (api, admin) = if keep { ("127.0.0.1:8000", "127.0.0.1:9000") } else { ("127.0.0.1:0", "127.0.0.1:0") };
    let free = |address: &str| std::net::TcpListener::bind(address).is_ok();
    let pick = |address: &str| if free(address) { address.to_owned() } else { "127.0.0.1:0".to_owned() };
    let (api, admin) = (pick(api), pick(admin));
    let read = |name: &str| match name {
        "APEX_DATA_DIR" => Some(folder.clone()),
        "APEX_BIND" => Some(api.clone()),
        "APEX_ADMIN_BIND" => Some(admin.clone()),
        "APEX_SWEEP_MILLISECONDS" => Some("100".to_owned()),
        "RUST_LOG" => Some("warn".to_owned()),
        _ => None,
    };
    Ok(apex_config::load(None, &read)?)
}

async fn main_job(api: &str) -> anyhow::Result<()> {
    show::opening();
    let guest = Guest::register(api, EMAIL, PASSWORD).await?;
    let project = guest.create_project(PROJECT, "Kereru Plumbing", BOSS).await?;
    let key = project["google_key"].as_str().context("the project has no key for Google Ads")?;
    show::form(CUSTOMER);
    let sent = Instant::now();
    let answer = guest.send_form(PROJECT, &form(key)).await?;
    let context = answer["data"]["context_id"].as_str().context("the webhook gave no context")?;
    show::accepted(sent.elapsed(), context);
    let mut events = guest.events(context).await?;
    while let Some(event) = events.next().await? {
        show::stage(sent.elapsed(), &event);
        match event.name.as_str() {
            "completed" => break,
            "failed" => bail!("the job failed: {}", event.data),
            _ => {}
        }
    }
    let ticket = guest.get(&format!("/api/v1/context/{context}")).await?;
    let lead = ticket["data"]["lead_id"].as_str().context("the context names no lead")?.to_owned();
    let entry = guest.get(&format!("/api/v1/leads/{lead}")).await?;
    show::crm_entry(&entry, &ticket);
    if entry["call_analysis"]["summary"].as_str().is_none() {
        bail!("the CRM entry carries no analysis");
    }
    Ok(())
}

/// A lead form as Google Ads posts it.
fn form(key: &str) -> serde_json::Value {
    json!({
        "lead_id": format!("demo-{}", std::process::id()),
        "api_version": "1.0",
        "form_id": 440_011_223_344_i64,
        "campaign_id": 20_998_877_665_i64,
        "google_key": key,
        "is_test": false,
        "user_column_data": [
            { "column_id": "FULL_NAME", "column_name": "Full Name", "string_value": "Mere Kūpapa" },
            { "column_id": "PHONE_NUMBER", "column_name": "User Phone", "string_value": CUSTOMER },
            { "column_id": "EMAIL", "column_name": "User Email", "string_value": "mere@example.com" },
            { "column_id": "what_do_you_need?", "column_name": "What do you need?",
              "string_value": "A pipe burst in the bathroom" },
        ],
    })
}
