//! What wakes a person: every alert asks for a number that the program tells, from its start on.

use std::collections::BTreeSet;
use std::path::Path;

use apex_tests::{GoogleLead, on_both_stores, wait};

use crate::health::admin;
use crate::rows::number;
use crate::scene::{CUSTOMER, Scene};

/// Everything that may be broken.
const KINDS: [&str; 8] = [
    "called_twice",
    "dead_letter",
    "held_effect",
    "lead_without_outcome",
    "stuck_ticket",
    "unbilled_call",
    "unclear_effect",
    "unknown_call",
];

fn alerts() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/alerts.yaml");
    std::fs::read_to_string(file).expect("the rules")
}

/// The words after each `before` in the rules, up to a sign that is not of a name.
fn words(rules: &str, before: &str) -> BTreeSet<String> {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    rules.split(before).skip(1).filter_map(|rest| rest.split(is_end).next()).map(str::to_owned).collect()
}

on_both_stores! {
    async fn every_number_that_an_alert_asks_for_is_told_from_the_start(builder) {
        let scene = Scene::open(builder).await;
        let told = async || {
            let (_, metrics) = admin(&scene.apex, "/metrics").await;
            KINDS.iter().all(|kind| metrics.contains(&format!("apex_broken_promises{{kind=\"{kind}\"}} 0")))
        };
        wait::until(told, "every promise to be watched").await;
        let (_, metrics) = admin(&scene.apex, "/metrics").await;
        // What is counted only once it happens cannot be told before.
        for name in words(&alerts(), "(apex_").iter().filter(|name| *name != "actor_restarts_total" && *name != "retries_total") {
            assert!(metrics.contains(&format!("apex_{name}")), "{name} in\n{metrics}");
        }
        assert_eq!(words(&alerts(), "kind=\""), KINDS.map(str::to_owned).into());
        scene.finish().await;
    }

    async fn every_event_gets_its_place_in_the_feed(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        let numbered = async || number(&scene.apex, "select count(*) from events where position is null").await == 0;
        wait::until(numbered, "every event to be numbered").await;
        assert!(number(&scene.apex, "select coalesce(max(position), 0) from events").await > 0);
        scene.finish().await;
    }
}
