//! Tickets that were set aside or have failed, and people who have them run again; and tickets that came too late.

use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

const OTHER_CUSTOMER: &str = "+64275559003";
const LETTERS: &str = "/dead-letters";

fn now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

impl Scene {
    /// A program whose first call tickets die `deaths` times in all, at a point.
    async fn deadly(builder: Builder, point: &str, deaths: u32) -> Self {
        Self::open(builder.fault(&format!("{point}=panic*{deaths}"))).await
    }

    /// A lead whose ticket is set aside; its context.
    async fn dead_lead(&self, id: &str, customer: &str) -> String {
        let context = self.accept(&GoogleLead::new(id, customer)).await;
        let end = self.client.wait_end(&context).await;
        assert_eq!((text(&end["data"], "state"), text(&end["data"], "code")), ("dead", "crashed"), "{end}");
        context
    }

    async fn letters(&self, query: &str) -> Vec<Value> {
        self.client.all(&Client::v1(&format!("{LETTERS}?limit=1{query}"))).await
    }

    async fn connected(&self, context: &str) {
        let end = self.client.wait_completed(context).await;
        assert_eq!(text(&end["data"]["result"], "outcome"), "connected", "{end}");
    }
}

on_both_stores! {
    async fn a_ticket_that_died_three_times_is_listed_and_completes_when_it_is_replayed(builder) {
        let mut scene = Scene::deadly(builder, "call.transcribed", 3).await;
        let context = scene.dead_lead("lead-1", CUSTOMER).await;
        assert_eq!(scene.calls_to(BOSS).len(), 1, "they have spoken before it died");
        let [letter] = &scene.letters("&replayed=false").await[..] else { panic!("not one dead letter") };
        let found = ["context_id", "project_id", "task", "code"].map(|name| text(letter, name));
        assert_eq!(found, [&context, "kereru", "sales_agent", "crashed"], "{letter}");
        assert_eq!(letter["correlation_id"], scene.only_lead().await["id"], "{letter}");
        let path = Client::v1(&format!("{LETTERS}/{}", text(letter, "id")));
        assert_eq!(&scene.client.ok("letter", scene.client.get(&path).await), letter);

        scene.apex.restart().await;
        let replay = format!("{path}/replay");
        let begun = scene.client.post_once(&replay, "key-1", &json!({})).await;
        assert_eq!((begun.0, text(&begun.1["data"], "context_id")), (StatusCode::ACCEPTED, &*context), "{begun:?}");
        assert_eq!(scene.client.post_once(&replay, "key-1", &json!({})).await, begun, "the same key, the same answer");
        scene.connected(&context).await;
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1), "nobody is rung again");
        assert_problem(&scene.client.post_json(&replay, &json!({})).await, StatusCode::CONFLICT, "not_retryable");

        assert_eq!(scene.letters("&replayed=false").await, Vec::<Value>::new());
        let [letter] = &scene.letters("&replayed=true").await[..] else { panic!("not one dead letter") };
        assert!(letter["replayed_at"].is_string() && letter["replayed_by"].is_string(), "{letter}");
        let ticket = scene.client.ok("ticket", scene.client.get(&Client::v1(&format!("/tickets/{context}"))).await);
        assert_eq!((&ticket["attempt"], text(&ticket, "state")), (&json!(2), "completed"), "{ticket}");
        let journal = scene.journal(&context).await;
        assert!(journal.iter().any(|entry| entry["step"] == "retried"), "{journal:?}");
        scene.finish().await;
    }

    async fn many_dead_letters_are_replayed_at_once_and_ring_once_each(builder) {
        let scene = Scene::deadly(builder, "call.transcribed", 6).await;
        let first = scene.dead_lead("lead-1", CUSTOMER).await;
        let second = scene.dead_lead("lead-2", OTHER_CUSTOMER).await;
        assert_eq!(scene.letters("").await.len(), 2);
        let replay = async |body: Value| {
            let answer = scene.client.post_json(&Client::v1("/dead-letters/replay"), &body).await;
            scene.client.ok("replay", answer)
        };
        let nothing = json!({"count": 0, "data": []});
        assert_eq!(replay(json!({"code": "other"})).await, nothing);
        assert_eq!(replay(json!({"task": "notify_sms"})).await, nothing);
        let one = replay(json!({"project_id": "kereru", "limit": 1})).await;
        assert_eq!((&one["count"], text(&one["data"][0], "context_id")), (&json!(1), &*second), "the newest: {one}");
        let rest = replay(json!({})).await;
        assert_eq!((&rest["count"], text(&rest["data"][0], "context_id")), (&json!(1), &*first), "{rest}");
        for context in [&first, &second] {
            scene.connected(context).await;
        }
        assert_eq!(replay(json!({})).await, nothing);
        assert_eq!(scene.calls_to(BOSS).len(), 2);
        assert_eq!((scene.calls_to(CUSTOMER).len(), scene.calls_to(OTHER_CUSTOMER).len()), (1, 1));
        scene.finish().await;
    }

    async fn another_organisation_sees_and_replays_nothing(builder) {
        let scene = Scene::deadly(builder, "call.begun", 3).await;
        let context = scene.dead_lead("lead-1", CUSTOMER).await;
        let [letter] = &scene.letters("").await[..] else { panic!("not one dead letter") };
        let id = text(letter, "id");
        let stranger = scene.apex.owner("rangi@tui.example").await;
        assert_eq!(stranger.all(&Client::v1("/dead-letters?limit=10")).await, Vec::<Value>::new());
        for path in [format!("/dead-letters/{id}/replay"), format!("/tickets/{context}/retry"), format!("/tickets/{context}/replay")] {
            let answer = stranger.post_json(&Client::v1(&path), &json!({})).await;
            assert_problem(&answer, StatusCode::NOT_FOUND, "not_found");
        }
        let many = stranger.post_json(&Client::v1("/dead-letters/replay"), &json!({"ids": [id]})).await;
        assert_eq!(stranger.ok("replay", many)["count"], 0);
        assert_eq!(&scene.letters("").await[0], letter, "untouched");
        assert_eq!(text(&scene.client.wait_end(&context).await["data"], "state"), "dead");
        scene.finish().await;
    }

    async fn a_failed_task_is_begun_once_more_when_its_reason_is_mended(builder) {
        let scene = Scene::open(builder).await;
        let no_boss = json!({"identity": {"region": "NZ"}});
        scene.client.ok("dna", scene.client.put_json("/api/v1/projects/kereru/dna", &no_boss).await);
        let params = json!({"action": "notify_sms", "text": "Kia ora"});
        let context = scene.client.begin(&scene.project, "sales_agent", &params).await;
        let failed = scene.client.wait_end(&context).await;
        assert_eq!(text(&failed["data"], "code"), "no_destination_phone", "{failed}");
        let boss = apex_tests::client::dna(BOSS);
        scene.client.ok("dna", scene.client.put_json("/api/v1/projects/kereru/dna", &boss).await);
        let retry = Client::v1(&format!("/tickets/{context}/retry"));
        let begun = scene.client.post_json(&retry, &json!({})).await;
        assert_eq!((begun.0, text(&begun.1, "status")), (StatusCode::ACCEPTED, "processing"), "{begun:?}");
        scene.client.wait_completed(&context).await;
        assert_eq!(scene.texts_to(BOSS), ["Kia ora"]);
        assert_problem(&scene.client.post_json(&retry, &json!({})).await, StatusCode::CONFLICT, "not_retryable");
        scene.finish().await;
    }

    async fn a_dry_replay_reaches_what_was_recorded_and_changes_nothing(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.connected(&context).await;
        let before = scene.client.timeline(&context).await;
        let path = Client::v1(&format!("/tickets/{context}/replay"));
        let dry = scene.client.ok("replay", scene.client.post_json(&path, &json!({})).await);
        assert_eq!((&dry["is_same"], &dry["first_difference"]), (&json!(true), &Value::Null), "{dry}");
        assert_eq!((text(&dry, "ticket_id"), &dry["recorded"]), (&*context, &dry["reached"]), "{dry}");
        assert!(dry["decisions"].as_u64().is_some_and(|decisions| decisions > 0), "{dry}");
        assert_eq!(scene.client.timeline(&context).await, before, "nothing is written");
        assert_eq!(scene.calls_to(BOSS).len(), 1, "nobody is rung");
        scene.finish().await;
    }

    async fn a_task_that_was_not_begun_in_time_is_not_begun_at_all(builder) {
        let mut scene = Scene::open(builder.fault("call.begun=exit")).await;
        let new = json!({"project_id": "kereru", "name": "Mere Kūpapa", "phone": "027 555 9001"});
        let lead = scene.client.ok("lead", scene.client.post_json("/api/v1/leads", &new).await);
        let deadline = now() + TimeDelta::seconds(1);
        let body = json!({"task": "sales_agent", "project_id": "kereru", "params": {"lead_id": lead["id"]},
                          "deadline": deadline.to_rfc3339_opts(SecondsFormat::Micros, true)});
        let answer = scene.client.ok("run", scene.client.post_json("/api/v1/run", &body).await);
        let context = text(&answer["data"], "context_id");
        scene.apex.wait_exit().await;
        wait::until(async || now() > deadline, "the deadline").await;
        scene.apex.restart().await;
        let ended = scene.client.wait_end(context).await;
        assert_eq!(text(&ended["data"], "code"), "deadline_passed", "{ended}");
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()), "nobody is rung");
        scene.finish().await;
    }
}
