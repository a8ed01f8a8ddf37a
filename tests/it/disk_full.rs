//! A full disk under `SQLite`: leads are refused clearly, nothing accepted is lost, and with more room everything goes on.

use std::time::Duration;

use apex_tests::{Apex, GoogleLead, wait};
use reqwest::StatusCode;

use crate::health::admin;
use crate::scene::{Scene, assert_problem};
use crate::under_load::{self, Rush};

/// Leads come at this pace.
const EVERY: Duration = Duration::from_millis(40);
/// So small that some dozens of talkative leads fill it, megabytes.
const SMALL: &str = "4";
const LARGE: &str = "256";
/// What one of them says, bytes.
const TALK: usize = 16_000;
/// More failures of workers than this mean that they spin, not rest.
const MOST_FAILURES: usize = 2_000;

fn talkative(lead: GoogleLead) -> GoogleLead {
    lead.question("Anything else?", &"and also the tap drips ".repeat(TALK / 23))
}

#[tokio::test]
async fn leads_are_refused_clearly_and_everything_accepted_is_worked_on_when_there_is_room() {
    let scene = Scene::open(Apex::builder().sqlite().env("APEX_SQLITE_MEGABYTES", SMALL)).await;
    let mut rush = Rush::begin(scene, 3, EVERY, talkative).await;
    let full = async || rush.answered().iter().filter(|sent| sent.status == Some(503)).count() > 20;
    wait::until(full, "leads that are refused").await;

    let sent = rush.stop_sending().await;
    for refused in sent.iter().filter(|sent| sent.context().is_none()) {
        assert_eq!((refused.status, refused.retry_after), (Some(503), Some(30)), "{refused:?}");
        assert_eq!(refused.body["code"], "storage_full", "{refused:?}");
    }
    let accepted = sent.iter().filter(|sent| sent.context().is_some()).count();
    assert!(accepted > 10, "{accepted} of {}", sent.len());
    let Rush { scene, projects, .. } = rush;
    let (status, ready) = scene.client.get("/health/ready").await;
    assert!(status.is_success(), "what is there can be read: {ready}");
    assert_eq!(ready["storage"], "full", "{ready}");
    let (_, metrics) = admin(&scene.apex, "/metrics").await;
    assert!(metrics.lines().any(|line| line == "apex_database_full 1"), "{metrics}");
    under_load::stand_once(&scene.client, &projects, &sent).await;
    let again = scene.client.google_lead(&projects[0], &talkative(GoogleLead::new("again", "+64275559001"))).await;
    assert_problem(&again, StatusCode::SERVICE_UNAVAILABLE, "storage_full");
    // The same lead again is no new one: what was accepted is accepted.
    let known = sent.iter().find(|sent| sent.context().is_some()).expect("an accepted lead");
    println!("accepted {accepted} of {}; first {:?}", sent.len(), known.context());

    let Scene { sandbox, mut apex, client, .. } = scene;
    let failures = apex.stderr().matches("worker failed").count();
    assert!(failures < MOST_FAILURES, "{failures} failures");
    apex.restart_with(&[("APEX_SQLITE_MEGABYTES", LARGE)]).await;
    let ends = under_load::all_end(&client, &sent).await;
    println!("failures while full {failures}; ends {ends:?}");
    under_load::stand_once(&client, &projects, &sent).await;
    let context = client.accept(&projects[0], &talkative(GoogleLead::new("again", "+64275559001"))).await;
    client.wait_completed(&context).await;
    assert_eq!(client.get("/health/ready").await.1["storage"], "ok");
    apex_tests::finish(sandbox, apex).await;
}

/// A limit that is below what is there already: what is there can be read and goes on where it can.
#[tokio::test]
async fn a_limit_below_what_is_there_refuses_new_leads_and_loses_none() {
    let scene = Scene::open(Apex::builder().sqlite()).await;
    let mut rush = Rush::begin(scene, 1, EVERY, talkative).await;
    rush.more_accepted(40).await;
    let sent = rush.stop_sending().await;
    let Rush { scene, projects, .. } = rush;
    under_load::all_end(&scene.client, &sent).await;
    let Scene { sandbox, mut apex, client, .. } = scene;
    apex.restart_with(&[("APEX_SQLITE_MEGABYTES", "1")]).await;
    let refused = client.google_lead(&projects[0], &GoogleLead::new("again", "+64275559001")).await;
    assert_problem(&refused, StatusCode::SERVICE_UNAVAILABLE, "storage_full");
    under_load::stand_once(&client, &projects, &sent).await;
    apex.restart_with(&[("APEX_SQLITE_MEGABYTES", "0")]).await;
    let context = client.accept(&projects[0], &GoogleLead::new("again", "+64275559001")).await;
    client.wait_completed(&context).await;
    apex_tests::finish(sandbox, apex).await;
}
