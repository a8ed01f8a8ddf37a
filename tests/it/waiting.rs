//! Tickets that wait: for a person, for their turn to be tried again, or no longer than to a deadline.

use apex_sandbox::{Faults, GeminiChances, GeminiFault};
use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{ANALYSIS, BOSS, CUSTOMER, Scene, assert_problem, keys, text};

const OTHER_CUSTOMER: &str = "+64275559003";

fn now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// When an entry of a journal says that it goes on.
fn until(entry: &Value) -> DateTime<Utc> {
    text(&entry["data"], "until").parse().expect("a time")
}

impl Scene {
    /// A program that lets nothing leave.
    async fn withholding(builder: Builder) -> Self {
        Self::open(builder.argument("--hold-effects")).await
    }

    /// Waits until something of a ticket waits for a person.
    async fn is_withheld(&self, context: &str) {
        let withheld = |body: &Value| body["data"]["stage"] == "effects_held" && body["data"]["state"] == "waiting";
        self.client.wait_context(context, "an effect that waits for a person", withheld).await;
    }

    /// How many tickets have somebody at work, at all desks of the project.
    async fn workers(&self) -> u64 {
        let tree = self.client.actors(&self.project.id).await;
        let children = tree["children"].as_array().unwrap_or_else(|| panic!("no actors in {tree}"));
        children.iter().filter_map(|child| child["workers"].as_u64()).sum()
    }

    async fn is_left_alone(&self) {
        wait::until(async || self.workers().await == 0, "nobody to be at work").await;
    }

    async fn pass_verdict(&self, verdict: &str, context: &str) {
        let path = Client::v1(&format!("/effects/{verdict}"));
        let answer = self.client.post_json(&path, &json!({"ticket_id": context})).await;
        assert_eq!(self.client.ok(verdict, answer)["count"], 1);
    }

    async fn run_until(&self, deadline: DateTime<Utc>, task: &str, params: Value) -> (StatusCode, Value) {
        let body =
            json!({"task": task, "project_id": self.project.id, "params": params, "deadline": rfc3339(deadline)});
        self.client.post_json(&Client::v1("/run"), &body).await
    }

    /// A lead whose conversation was recorded and heard.
    async fn recorded_lead(&self) -> Value {
        let context = self.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        self.client.wait_completed(&context).await["data"]["lead_id"].clone()
    }

    /// Has a lead's recording heard once more, by a model that fails first.
    async fn listen_again(&self, lead: &Value, fails: usize) -> String {
        let fail_next_gemini = vec![GeminiFault::Http { status: 500 }; fails];
        self.sandbox.faults(Faults { fail_next_gemini, ..Faults::default() });
        self.begin_listening(lead).await
    }

    async fn begin_listening(&self, lead: &Value) -> String {
        let params = json!({"action": "transcribe_call", "lead_id": lead});
        self.client.begin(&self.project, "lead_gen_manager", &params).await
    }

    /// The failed tries of a ticket.
    async fn retries(&self, context: &str) -> Vec<Value> {
        let journal = self.journal(context).await;
        journal.into_iter().filter(|entry| entry["kind"] == "note" && entry["step"] == "retry").collect()
    }

    async fn was_heard(&self, context: &str) {
        let end = self.client.wait_completed(context).await;
        assert_eq!(keys(&end["data"]["result"]["call_analysis"]), ANALYSIS, "{end}");
    }
}

/// Counted on from 1, and put off longer each time.
fn grow(retries: &[Value]) {
    let tries: Vec<_> = retries.iter().map(|retry| retry["data"]["try"].as_u64()).collect();
    assert_eq!(tries, (1..).take(retries.len()).map(Some).collect::<Vec<_>>(), "{retries:#?}");
    let at = |retry: &Value| text(retry, "at").parse::<DateTime<Utc>>().expect("a time");
    let waits: Vec<TimeDelta> = retries.iter().map(|retry| until(retry) - at(retry)).collect();
    assert!(waits.is_sorted_by(|a, b| a < b), "{waits:?} of {retries:#?}");
    assert!(retries.is_sorted_by(|a, b| until(a) < at(b)), "tried before its time: {retries:#?}");
    assert!(retries.iter().all(|retry| retry["data"]["class"] == "retryable"), "{retries:#?}");
}

on_both_stores! {
    async fn a_ticket_that_waits_for_a_person_holds_nothing_but_its_row(builder) {
        let mut scene = Scene::withholding(builder).await;
        let released = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let cancelled = scene.accept(&GoogleLead::new("lead-2", OTHER_CUSTOMER)).await;
        for context in [&released, &cancelled] {
            scene.is_withheld(context).await;
        }
        scene.is_left_alone().await;
        scene.apex.kill_9();
        scene.apex.restart().await;
        scene.is_left_alone().await;
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()), "nothing has left");

        scene.pass_verdict("release", &released).await;
        let end = scene.client.wait_completed(&released).await;
        assert_eq!(text(&end["data"]["result"], "outcome"), "connected", "{end}");
        scene.pass_verdict("cancel", &cancelled).await;
        scene.client.wait_end(&cancelled).await;
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1));
        assert!(scene.calls_to(OTHER_CUSTOMER).is_empty());
        scene.is_left_alone().await;
        for context in [&released, &cancelled] {
            scene.replays_alike(context).await;
        }
        scene.finish().await;
    }

    async fn a_call_that_was_not_released_by_its_deadline_is_withdrawn(builder) {
        let scene = Scene::withholding(builder).await;
        let new = json!({"project_id": "kereru", "name": "Mere Kūpapa", "phone": CUSTOMER});
        let lead = scene.client.ok("lead", scene.client.post_json(&Client::v1("/leads"), &new).await);
        let deadline = now() + TimeDelta::seconds(2);
        let params = json!({"action": "instant_call", "lead_id": lead["id"]});
        let answer = scene.run_until(deadline, "sales_agent", params).await;
        let context = text(&scene.client.ok("run", answer)["data"], "context_id").to_owned();
        scene.is_withheld(&context).await;
        let closed = async || {
            let journal = scene.journal(&context).await;
            let withdrawn = journal.iter().any(|entry| entry["step"] == "withdrawn");
            journal.into_iter().find(|entry| withdrawn && entry["step"] == "close")
        };
        let closed = wait::until(closed, "the end of a call that was not released").await;
        assert!(text(&closed, "at").parse::<DateTime<Utc>>().expect("a time") >= deadline, "{closed}");
        assert!(scene.sandbox.read(|ledger| ledger.messages.is_empty()), "the text about it is withheld, too");
        scene.pass_verdict("release", &context).await;
        let end = scene.client.wait_completed(&context).await;
        assert_eq!(text(&end["data"]["result"], "outcome"), "boss_unreached", "{end}");
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()), "nobody is rung any more");
        assert_eq!(scene.texts_to(BOSS).len(), 1);
        scene.replays_alike(&context).await;
        scene.finish().await;
    }

    async fn a_deadline_in_the_past_or_of_an_instant_task_is_refused(builder) {
        let scene = Scene::open(builder).await;
        let text_to_boss = json!({"action": "notify_sms", "text": "Kia ora"});
        for (deadline, task, params) in [
            (now() - TimeDelta::seconds(1), "sales_agent", text_to_boss.clone()),
            (now() + TimeDelta::hours(1), "health_check", json!({})),
        ] {
            let refused = scene.run_until(deadline, task, params).await;
            assert_problem(&refused, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
            assert_eq!(refused.1["errors"][0]["field"], "deadline", "{refused:?}");
        }
        let nonsense = json!({"task": "sales_agent", "project_id": "kereru", "params": text_to_boss, "deadline": "soon"});
        let refused = scene.client.post_json(&Client::v1("/run"), &nonsense).await;
        assert!(refused.0.is_client_error(), "{refused:?}");
        let tickets = scene.client.all(&Client::v1("/tickets?project_id=kereru")).await;
        assert_eq!(tickets, Vec::<Value>::new(), "a refusal leaves no ticket");
        scene.finish().await;
    }

    async fn a_text_that_was_begun_in_time_may_leave_after_its_deadline(builder) {
        let scene = Scene::withholding(builder).await;
        let deadline = now() + TimeDelta::seconds(1);
        let answer = scene.run_until(deadline, "sales_agent", json!({"action": "notify_sms", "text": "Kia ora"})).await;
        let context = text(&scene.client.ok("run", answer)["data"], "context_id").to_owned();
        scene.is_withheld(&context).await;
        wait::until(async || now() > deadline, "the deadline").await;
        scene.pass_verdict("release", &context).await;
        scene.client.wait_completed(&context).await;
        assert_eq!(scene.texts_to(BOSS), ["Kia ora"]);
        scene.replays_alike(&context).await;
        scene.finish().await;
    }

    async fn a_text_that_was_not_begun_by_its_deadline_never_leaves(builder) {
        let mut scene = Scene::open(builder.fault("project.handle=exit")).await;
        let deadline = now() + TimeDelta::seconds(1);
        let answer = scene.run_until(deadline, "sales_agent", json!({"action": "notify_sms", "text": "Kia ora"})).await;
        let context = text(&scene.client.ok("run", answer)["data"], "context_id").to_owned();
        scene.apex.wait_exit().await;
        wait::until(async || now() > deadline, "the deadline").await;
        scene.apex.restart().await;
        let end = scene.client.wait_end(&context).await;
        assert_eq!((text(&end["data"], "status"), text(&end["data"], "code")), ("failed", "deadline_passed"), "{end}");
        assert!(scene.sandbox.read(|ledger| ledger.messages.is_empty()));
        scene.replays_alike(&context).await;
        scene.finish().await;
    }

    async fn a_model_that_fails_is_asked_again_after_growing_waits(builder) {
        let scene = Scene::open(builder).await;
        let lead = scene.recorded_lead().await;
        let context = scene.listen_again(&lead, 2).await;
        scene.was_heard(&context).await;
        let retries = scene.retries(&context).await;
        assert_eq!(retries.len(), 2, "{retries:#?}");
        grow(&retries);
        scene.replays_alike(&context).await;
        scene.finish().await;
    }

    async fn tries_are_counted_on_after_a_kill(builder) {
        let mut scene = Scene::open(builder).await;
        let lead = scene.recorded_lead().await;
        let context = scene.listen_again(&lead, 3).await;
        wait::until(async || scene.retries(&context).await.len() == 2, "two failed tries").await;
        scene.apex.kill_9();
        scene.apex.restart().await;
        scene.was_heard(&context).await;
        let retries = scene.retries(&context).await;
        assert_eq!(retries.len(), 3, "{retries:#?}");
        grow(&retries);
        scene.replays_alike(&context).await;
        scene.finish().await;
    }

    async fn a_recording_that_no_model_hears_is_set_aside_until_a_person_replays_it(builder) {
        let scene = Scene::open(builder).await;
        let lead = scene.recorded_lead().await;
        let gemini = GeminiChances { http_500: 100, ..GeminiChances::default() };
        scene.sandbox.faults(Faults { gemini, ..Faults::default() });
        let context = scene.begin_listening(&lead).await;
        let end = scene.client.wait_end(&context).await;
        let found = ["status", "state", "code"].map(|name| text(&end["data"], name));
        assert_eq!(found, ["failed", "dead", "transcription_failed"], "{end}");
        grow(&scene.retries(&context).await);
        scene.replays_alike(&context).await;
        let [letter] = &scene.client.all(&Client::v1("/dead-letters?limit=10")).await[..] else { panic!("not one dead letter") };
        let found = ["context_id", "task", "code"].map(|name| text(letter, name));
        assert_eq!(found, [&context, "lead_gen_manager", "transcription_failed"], "{letter}");

        scene.sandbox.faults(Faults::default());
        let replay = Client::v1(&format!("/dead-letters/{}/replay", text(letter, "id")));
        let begun = scene.client.post_json(&replay, &json!({})).await;
        assert_eq!(begun.0, StatusCode::ACCEPTED, "{begun:?}");
        scene.was_heard(&context).await;
        scene.replays_alike(&context).await;
        let retry = Client::v1(&format!("/tickets/{context}/retry"));
        let refused = scene.client.post_json(&retry, &json!({})).await;
        assert_problem(&refused, StatusCode::CONFLICT, "not_retryable");
        scene.finish().await;
    }
}
