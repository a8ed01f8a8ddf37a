//! From the accepted lead to the dial request at the telephone company, at 50 leads a second, over 50 projects.
//!
//! Accepted is when the webhook's answer arrives at the sender; dialled is when the sandbox has the request. Both clocks are
//! this machine's.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use apex_benches::{milliseconds, quantile};
use apex_sandbox::{Options, Sandbox};
use apex_tests::{Apex, GoogleLead, Project, wait};

const PROJECTS: usize = 50;
const PER_SECOND: u32 = 50;
const LEADS: usize = 1000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    for postgres in [false, true] {
        measure(postgres).await?;
    }
    Ok(())
}

async fn measure(postgres: bool) -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let builder = if postgres { Apex::builder().postgres().redis() } else { Apex::builder().sqlite() };
    let mut apex = builder.sandbox(&sandbox).start().await;
    let client = apex.owner("bench@example.com").await;
    let mut projects: Vec<Project> = Vec::new();
    for n in 0..PROJECTS {
        projects.push(client.create_project(&format!("bench-{n}"), &format!("+642755510{n:02}")).await);
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let mut sending = tokio::task::JoinSet::new();
    for n in 0..LEADS {
        tick.tick().await;
        let (client, project) = (client.clone(), projects[n % PROJECTS].clone());
        sending.spawn(async move {
            let lead = GoogleLead::new(&format!("bench-{n}"), "+64275559001");
            let began = Instant::now();
            let ticket = client.accept(&project, &lead).await;
            (ticket, SystemTime::now(), began.elapsed())
        });
    }
    let mut answers = Vec::new();
    let mut accepted = HashMap::new();
    for (ticket, at, took) in sending.join_all().await {
        answers.push(took);
        accepted.insert(ticket, at);
    }
    let all =
        async || sandbox.read(|ledger| ledger.calls.iter().filter(|call| call.parent_sid.is_none()).count() >= LEADS);
    wait::until(all, "every lead's call").await;
    let mut dials: Vec<Duration> = sandbox.read(|ledger| {
        let boss = ledger.calls.iter().filter(|call| call.parent_sid.is_none());
        boss.filter_map(|call| {
            let url = call.url.as_deref().unwrap_or_default();
            let ticket = url.split(['?', '&']).find_map(|part| part.strip_prefix("ticket="))?;
            Some(SystemTime::from(call.created_at).duration_since(*accepted.get(ticket)?).unwrap_or_default())
        })
        .collect()
    });
    dials.sort();
    answers.sort();
    let store = if postgres { "postgres+redis" } else { "sqlite" };
    for (what, samples) in [("webhook answered", &answers), ("accepted to dial request", &dials)] {
        let (p50, p99) = (quantile(samples, 500), quantile(samples, 990));
        println!("{store:<15} {what:<26} n {:<5} p50 {} p99 {}", samples.len(), milliseconds(p50), milliseconds(p99));
    }
    apex.kill_9();
    sandbox.stop().await;
    Ok(())
}
