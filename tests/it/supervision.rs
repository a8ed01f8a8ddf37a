//! Failures stay where they happen: an actor is restarted, parked when it fails too often, and nobody else notices.

use std::time::Duration;

use apex_sandbox::Script;
use apex_tests::client::Answer;
use apex_tests::{Apex, Client, GoogleLead, Project, on_both_stores, wait};
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene};

const OTHER_CUSTOMER: &str = "+64275559003";
/// Eleven failures with the waits between them take up to half a minute.
const PARKING: Duration = Duration::from_secs(90);

impl Scene {
    /// One actor of the project as `/actors` shows it.
    pub(crate) async fn actor(&self, name: &str) -> Value {
        let tree = self.client.actors(&self.project.id).await;
        let children = tree["children"].as_array().unwrap_or_else(|| panic!("no children in {tree}"));
        children.iter().find(|child| child["actor"] == name).unwrap_or_else(|| panic!("no {name} in {tree}")).clone()
    }

    async fn usage(&self) -> Answer {
        self.client.get(&Client::v1(&format!("/usage?project_id={}", self.project.id))).await
    }

    async fn rings(&self, project: &Project, id: &str, customer: &str) {
        let context = self.client.accept(project, &GoogleLead::new(id, customer)).await;
        let end = self.client.wait_completed(&context).await;
        assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
    }

    /// Asks the accountant until its failures have parked it.
    async fn until_parked(&self) {
        let parked = async || {
            let (status, body) = self.usage().await;
            assert!(!status.is_success(), "an accountant that always fails has answered: {body}");
            body["code"] == "parked"
        };
        let found = wait::until_within(PARKING, parked).await;
        assert!(found.is_some(), "not parked: {}\n{}", self.actor("accountant").await, self.apex.stderr());
    }

    async fn is_parked(&self) {
        let (status, body) = self.usage().await;
        assert_eq!((status.as_u16(), &body["code"]), (503, &json!("parked")), "{body}");
        let child = self.actor("accountant").await;
        assert_eq!(child["state"], "parked", "{child}");
        assert!(child["parked_until"].is_string(), "{child}");
    }
}

on_both_stores! {
    async fn a_panic_restarts_the_actor_and_another_project_never_notices(builder) {
        let scene = Scene::open(builder.fault("accountant.handle=panic")).await;
        let other = scene.client.create_project("tui", BOSS).await;
        let (status, body) = scene.usage().await;
        assert_eq!((status.as_u16(), &body["code"]), (504, &json!("outcome_unknown")), "{body}");

        scene.rings(&other, "lead-1", CUSTOMER).await;
        let answered = async || scene.usage().await.0.is_success();
        wait::until(answered, "the restarted accountant").await;
        let accountant = scene.actor("accountant").await;
        assert_eq!((&accountant["state"], &accountant["restarts"]), (&json!("running"), &json!(1)), "{accountant}");

        let tree = scene.client.actors(&other.id).await;
        for child in tree["children"].as_array().expect("actors") {
            assert_eq!(child["restarts"], 0, "{child}");
        }
        scene.rings(&scene.project, "lead-2", OTHER_CUSTOMER).await;
        assert_eq!(scene.actor("sales_bridge").await["restarts"], 0);
        scene.finish().await;
    }

    async fn the_eleventh_failure_parks_the_actor_through_sleep_and_restart(builder) {
        let builder = builder.fault("accountant.handle=panic*11").env("APEX_IDLE_SECONDS", "1");
        let mut scene = Scene::open(builder).await;
        scene.until_parked().await;
        scene.is_parked().await;
        assert_eq!(rows::number(&scene.apex, "select failures from parked_actors").await, 11);

        let alarm = async || scene.sandbox.read(|ledger| ledger.messages_to(BOSS).len()) == 1;
        wait::until(alarm, "the text that tells the boss").await;
        scene.sandbox.read(|ledger| assert!(ledger.messages[0].body.contains("accountant"), "{:?}", ledger.messages));
        assert_eq!(rows::number(&scene.apex, "select count(*) from events where kind = 'actor.parked'").await, 1);
        scene.rings(&scene.project, "lead-1", CUSTOMER).await; // the other actors work on

        let asleep = async || scene.client.actors("kereru").await["node"].is_null();
        wait::until(asleep, "a project that sleeps").await;
        assert!(scene.actor("accountant").await["parked_until"].is_string(), "also of a project that sleeps");
        scene.is_parked().await;

        scene.apex.restart().await;
        scene.is_parked().await;
        scene.rings(&scene.project, "lead-2", OTHER_CUSTOMER).await;
        assert_eq!(scene.sandbox.read(|ledger| ledger.messages_to(BOSS).len()), 1, "told once");
        scene.finish().await;
    }

    async fn an_idle_project_sleeps_and_the_next_lead_wakes_it(builder) {
        let scene = Scene::open(builder.env("APEX_IDLE_SECONDS", "1")).await;
        scene.rings(&scene.project, "lead-1", CUSTOMER).await;
        let fence = scene.client.actors("kereru").await["fence"].as_i64();
        assert!(fence.is_some(), "a project that has just worked is awake");
        let asleep = async || scene.client.actors("kereru").await["node"].is_null();
        wait::until(asleep, "a project that sleeps").await;

        scene.rings(&scene.project, "lead-2", OTHER_CUSTOMER).await;
        let again = scene.client.actors("kereru").await["fence"].as_i64();
        assert!(again > fence, "each tree has a higher fence: {again:?} after {fence:?}");
        scene.finish().await;
    }
}

#[tokio::test]
async fn the_live_tree_shows_every_actor_its_state_and_its_work() {
    let scene = Scene::open(Apex::builder()).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(1500));
    let tree = scene.client.actors("kereru").await;
    let names: Vec<_> = tree["children"].as_array().unwrap().iter().map(|child| child["actor"].clone()).collect();
    assert_eq!(names, ["sales_bridge", "tickets", "sniper", "accountant", "sentinel"]);
    for child in tree["children"].as_array().unwrap() {
        assert_eq!((&child["state"], &child["last_message"]), (&json!("not_started"), &Value::Null), "{child}");
    }

    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.client.wait_context(&context, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
    let bridge = scene.actor("sales_bridge").await;
    assert_eq!((&bridge["state"], &bridge["workers"]), (&json!("running"), &json!(1)), "{bridge}");
    assert_eq!(bridge["worker_list"][0]["ticket_id"], context, "{bridge}");
    assert!(bridge["mailbox_depth"].is_u64() && bridge["restarts"] == 0, "{bridge}");
    assert!(bridge["last_message"].is_string(), "{bridge}");

    scene.client.wait_completed(&context).await;
    let free = async || scene.actor("sales_bridge").await["workers"] == 0;
    wait::until(free, "a worker that leaves with its ticket").await;
    scene.client.ok("usage", scene.usage().await);
    assert_eq!(scene.actor("accountant").await["state"], "running");
    scene.finish().await;
}
