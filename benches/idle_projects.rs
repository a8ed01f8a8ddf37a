//! Memory of an idle project: the resident size of the server before and after so many trees were started.

use apex_sandbox::{Options, Sandbox};
use apex_tests::Apex;
use serde_json::json;

const PROJECTS: usize = 2000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let apex = Apex::builder().sqlite().sandbox(&sandbox).env("RUST_LOG", "warn").start().await;
    let client = apex.owner("bench@example.com").await;
    let mut projects = Vec::with_capacity(PROJECTS);
    for n in 0..PROJECTS {
        projects.push(client.create_project(&format!("idle-{n}"), "+64275559002").await);
    }
    let before = resident_kib(apex.pid())?;
    for project in &projects {
        client.run(project, "log_usage", &json!({ "resource": "gemini_token", "quantity": 1 })).await;
    }
    let after = resident_kib(apex.pid())?;
    println!(
        "idle_projects    {} bytes each ({before} -> {after} KiB for {PROJECTS})",
        (after - before) * 1024 / PROJECTS as u64
    );
    Ok(())
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).unwrap_or("0").parse()?)
}
