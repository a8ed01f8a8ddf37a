//! Postgres stopped and frozen under load: a lead is accepted or refused at once with a word on when to come again, nothing
//! accepted is lost, and the program goes on by itself without a storm of connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use apex_tests::load::Sent;
use apex_tests::{Apex, GoogleLead, Postgres, finish_after_a_freeze, wait};

use crate::health::admin;
use crate::scene::Scene;
use crate::under_load::{self, Rush};

/// Leads come at this pace.
const EVERY: Duration = Duration::from_millis(120);
/// How long the server is away: longer than the lease of a node.
const AWAY: Duration = Duration::from_secs(8);
/// The pool of the program, and what it may have beside it: the watch and the beat, each with its own.
const POOL: usize = 8;
const BESIDE: usize = 6;

/// A server of the test's own, a program on it, and a load.
struct Trial {
    server: Arc<Postgres>,
    database: String,
    rush: Rush,
    most: usize,
}

impl Trial {
    async fn begin() -> Self {
        let server = Arc::new(Postgres::private());
        let builder = Apex::builder().private_postgres(&server).redis();
        let scene = Scene::open(builder.env("APEX_DATABASE_CONNECTIONS", &POOL.to_string())).await;
        let database = scene.apex.database_url().expect("on Postgres").to_owned();
        let rush = Rush::begin(scene, 3, EVERY, |lead| lead).await;
        rush.more_accepted(10).await;
        Self { server, database, rush, most: 0 }
    }

    /// Does something with the server that blocks.
    async fn on_server<T: Send + 'static>(&self, work: impl FnOnce(&Postgres) -> T + Send + 'static) -> T {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || work(&server)).await.expect("no panic")
    }

    /// The server is back: counts connections until so many leads more are accepted. How long the first of them took.
    async fn recovers(&mut self) -> Duration {
        let (began, before) = (Instant::now(), self.rush.accepted().len());
        let mut first = None;
        let deadline = began + wait::PATIENCE;
        while self.rush.accepted().len() < before + 20 {
            assert!(Instant::now() < deadline, "it does not recover\n{}", self.rush.scene.apex.stderr());
            if first.is_none() && self.rush.accepted().len() > before {
                first = Some(began.elapsed());
            }
            let database = self.database.clone();
            let now = self.on_server(move |server| server.connections(&database)).await;
            self.most = self.most.max(now);
        }
        first.unwrap_or_else(|| began.elapsed())
    }

    /// Everybody was answered as promised, all that was accepted is there and ends, and the judge agrees.
    async fn ends_well(mut self) {
        let sent = self.rush.stop_sending().await;
        answered_as_promised(&sent, &self.rush.scene.apex.stderr());
        let client = self.rush.scene.client.clone();
        under_load::stand_once(&client, &self.rush.projects, &sent).await;
        let ends = under_load::all_end(&client, &sent).await;
        let refused = sent.iter().filter(|sent| sent.context().is_none()).count();
        let slowest = sent.iter().map(|sent| sent.took).max();
        println!("sent {} refused {refused} slowest {slowest:?} connections {} ends {ends:?}", sent.len(), self.most);
        assert!(self.most <= POOL + BESIDE, "{} connections", self.most);
        assert!(refused > 0, "the outage was not noticed");
        let Scene { sandbox, apex, .. } = self.rush.scene;
        finish_after_a_freeze(sandbox, apex).await;
    }
}

fn answered_as_promised(sent: &[Sent], log: &str) {
    for answer in sent {
        match answer.status {
            Some(200) => assert!(answer.context().is_some(), "{answer:?}"),
            Some(503) => assert!(answer.retry_after.is_some(), "{answer:?}"),
            _ => panic!("{answer:?}\n{log}"),
        }
    }
}

/// The gauge and the readiness tell how it is.
async fn told(scene: &Scene, up: bool) {
    let gauge = format!("apex_database_up {}", u8::from(up));
    let told = async || {
        let (status, _) = scene.client.get("/health/ready").await;
        let (_, metrics) = admin(&scene.apex, "/metrics").await;
        status.is_success() == up && metrics.lines().any(|line| line == gauge)
    };
    wait::until(told, &gauge).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_crashes_and_comes_back_under_load_loses_nothing() {
    let mut trial = Trial::begin().await;
    for _ in 0..2 {
        trial.on_server(Postgres::stop).await;
        told(&trial.rush.scene, false).await;
        wait::let_pass(AWAY / 4).await;
        trial.on_server(Postgres::start_again).await;
        let recovered = trial.recovers().await;
        println!("recovered {recovered:?} after the start");
        told(&trial.rush.scene, true).await;
    }
    trial.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_frozen_longer_than_a_lease_under_load_loses_nothing() {
    let mut trial = Trial::begin().await;
    for _ in 0..2 {
        trial.on_server(Postgres::freeze).await;
        told(&trial.rush.scene, false).await;
        wait::let_pass(AWAY).await;
        trial.on_server(Postgres::thaw).await;
        let recovered = trial.recovers().await;
        println!("recovered {recovered:?} after the thaw");
        told(&trial.rush.scene, true).await;
    }
    trial.ends_well().await;
}

/// Nobody rests for minutes because the database was away for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_parks_nobody_and_the_next_lead_rings_at_once() {
    let trial = Trial::begin().await;
    trial.on_server(Postgres::stop).await;
    told(&trial.rush.scene, false).await;
    wait::let_pass(wait::for_short_or(AWAY * 2, Duration::from_mins(2))).await;
    trial.on_server(Postgres::start_again).await;
    told(&trial.rush.scene, true).await;
    let scene = &trial.rush.scene;
    let context = scene.accept(&GoogleLead::new("lead-after", "+64275559001")).await;
    let end = scene.client.wait_completed(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
    let (_, metrics) = admin(&scene.apex, "/metrics").await;
    let parked: Vec<_> = metrics.lines().filter(|line| line.starts_with("apex_actors_parked")).collect();
    assert!(parked.iter().all(|line| line.ends_with(" 0")), "{parked:?}");
    assert!(!scene.apex.stderr().contains("an actor is parked"), "{}", scene.apex.stderr());
    trial.ends_well().await;
}

/// A server that gives no more connections is not away: it answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_connection_to_spare_is_still_there() {
    let server = Arc::new(Postgres::private());
    let builder = Apex::builder().private_postgres(&server).redis().env("APEX_DATABASE_CONNECTIONS", "2");
    let scene = Scene::open(builder).await;
    let database = scene.apex.database_url().expect("on Postgres").to_owned();
    let superuser = server.superuser(&database);
    server.query(&superuser, "alter role apex_login connection limit 1");
    server.query(&superuser, "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'apex_login'");
    wait::until(async || !scene.client.get("/health/ready").await.0.is_server_error(), "an answer").await;
    server.query(&superuser, "alter role apex_login connection limit -1");
    told(&scene, true).await;
    let context = scene.accept(&GoogleLead::new("lead-1", "+64275559001")).await;
    scene.client.wait_completed(&context).await;
    scene.finish().await;
}
