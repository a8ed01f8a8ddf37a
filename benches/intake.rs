//! Leads accepted per second: the group commit alone, on both databases, durable on SQLite (synchronous = full).

use std::sync::Arc;
use std::time::{Duration, Instant};

use apex_storage::clock::SystemClock;
use apex_storage::model::{LeadSource, OrgId, ProjectId, UserId};
use apex_storage::{Backend, Intake, LeadIntake, LookupKey, NewProject, NewUser, Options, Store};
use apex_tests::Postgres;
use serde_json::json;

const SENDERS: usize = 256;
const RUN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sqlite = Backend::Sqlite(folder.path().join("apex.db"));
    println!("intake/sqlite    {} leads/s", measure(sqlite).await?);
    let url = Postgres::shared().database();
    let postgres = Backend::Postgres { url: url.into(), max_connections: 16 };
    println!("intake/postgres  {} leads/s", measure(postgres).await?);
    Ok(())
}

async fn measure(backend: Backend) -> anyhow::Result<u128> {
    let options = Options {
        backend,
        clock: Arc::new(SystemClock),
        lookup_key: LookupKey::derive(b"a bench"),
        max_megabytes: None,
    };
    let store = Store::open(options).await?;
    let (org, project) = tenant(&store).await?;
    let (intake, serving) = Intake::new(store.clone());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        serving.await;
        0
    });
    let started = Instant::now();
    for sender in 0..SENDERS {
        let intake = intake.clone();
        tasks.spawn(async move {
            let mut accepted = 0_u128;
            while started.elapsed() < RUN {
                let lead = lead(org, project, format!("{sender}-{accepted}"));
                accepted += u128::from(intake.accept(lead).await.is_ok());
            }
            accepted
        });
    }
    drop(intake);
    let accepted: u128 = tasks.join_all().await.into_iter().sum();
    Ok(accepted * 1000 / started.elapsed().as_millis())
}

async fn tenant(store: &Store) -> anyhow::Result<(OrgId, ProjectId)> {
    let (org, project) = (OrgId::new(), ProjectId::new());
    let mut tx = store.identity().await?;
    tx.register(&NewUser {
        id: UserId::new(),
        email: "bench@example.com",
        name: "Bench",
        password_hash: "-",
        org,
        org_name: "Bench",
        org_slug: "bench",
    })
    .await?;
    tx.commit().await?;
    let mut tx = store.tenant(org).await?;
    let new = NewProject { id: project, slug: "bench", business_name: "Bench", dna_custom: &json!({}) };
    tx.create_project(&new).await?;
    tx.commit().await?;
    Ok((org, project))
}

fn lead(org: OrgId, project: ProjectId, external_id: String) -> LeadIntake {
    LeadIntake {
        org,
        project,
        source: LeadSource::GoogleAds,
        external_id,
        name: "Mere Kūpapa".into(),
        phone_raw: Some("+64275559001".into()),
        email: Some("mere@example.com".into()),
        message: Some("A pipe burst in the bathroom".into()),
        answers: json!({ "suburb": "Grey Lynn" }),
        raw: json!({ "lead_id": "bench", "form_id": 440_011_223_344_i64, "campaign_id": 20_998_877_665_i64 }),
        is_test: false,
        task: "sales_agent",
        actor: "call",
    }
}
