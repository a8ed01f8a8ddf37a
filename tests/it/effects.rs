//! Effects in people's hands: a start that lets nothing leave, and what is released or cancelled of what waits.

use apex_sandbox::Script;
use apex_tests::program::{self, Builder};
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

const OTHER_BOSS: &str = "+64275550300";
const HOLD: &str = "--hold-effects";

impl Scene {
    /// A program that lets nothing leave.
    async fn held(builder: Builder) -> Self {
        Self::open(builder.argument(HOLD)).await
    }

    /// A lead whose call waits for a person; its context.
    async fn waiting_lead(&self, project: &apex_tests::Project, id: &str) -> String {
        let context = self.client.accept(project, &GoogleLead::new(id, CUSTOMER)).await;
        self.waits(&context).await;
        context
    }

    async fn waits(&self, context: &str) -> Value {
        let held = |body: &Value| body["data"]["stage"] == "effects_held" && body["data"]["state"] == "waiting";
        self.client.wait_context(context, "a call that waits for a person", held).await
    }

    /// The rows of a list of effects.
    async fn effects(&self, client: &Client, query: &str) -> Vec<Value> {
        client.all(&Client::v1(&format!("/effects?limit=2{query}"))).await
    }

    async fn decide(&self, verdict: &str, body: Value) -> Value {
        let answer = self.client.post_json(&Client::v1(&format!("/effects/{verdict}")), &body).await;
        self.client.ok(verdict, answer)
    }

    /// `apex effects ...` beside the program.
    async fn command(&self, arguments: &[&str]) -> String {
        let ended = self.apex.run(&[&["effects"], arguments].concat()).await;
        assert!(ended.status.success(), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// What waits for a person is looked at once a minute.
    async fn a_minute_passes(&self) {
        rows::change(&self.apex, "update tickets set due_at = created_at where due_at is not null").await;
    }

    fn nothing_has_left(&self) {
        self.sandbox.read(|ledger| assert!(ledger.calls.is_empty() && ledger.messages.is_empty(), "{ledger:#?}"));
    }

    /// The lead is connected by the one call to the boss there ever was.
    async fn rings_once(&self, context: &str) {
        let ended = self.client.wait_completed(context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        assert_eq!((self.calls_to(BOSS).len(), self.calls_to(CUSTOMER).len()), (1, 1));
    }
}

on_both_stores! {
    async fn a_start_that_holds_effects_accepts_leads_and_lets_nothing_leave(builder) {
        let scene = Scene::held(builder).await;
        assert!(scene.apex.stdout().contains(" effects=held"), "{}", scene.apex.stdout());
        assert!(scene.apex.stderr().contains("HELD"), "{}", scene.apex.stderr());
        let ready = scene.client.ok("ready", scene.client.get("/health/ready").await);
        assert_eq!((&ready["status"], &ready["effects"]), (&json!("ready"), &json!("held")), "{ready}");
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        scene.nothing_has_left();

        let [effect] = &scene.effects(&scene.client, "").await[..] else { panic!("not one effect") };
        let found = ["kind", "state", "to", "project_id", "ticket_id"].map(|name| text(effect, name));
        assert_eq!(found, ["call", "intended", BOSS, "kereru", &context], "{effect}");
        assert_eq!((&effect["sid"], &effect["verdict"], &effect["sent_at"]), (&Value::Null, &Value::Null, &Value::Null));
        let shown = scene.client.get(&Client::v1(&format!("/effects/{}", text(effect, "id")))).await;
        assert_eq!(&scene.client.ok("effect", shown), effect);

        let table = scene.command(&["list"]).await;
        for part in [text(effect, "id"), "call", "intended", BOSS, "kereru", "1 in all"] {
            assert!(table.contains(part), "{part} in\n{table}");
        }
        let listed: Value = serde_json::from_str(&scene.command(&["list", "--json"]).await).expect("JSON");
        assert_eq!((&listed["count"], &listed["data"][0]["id"]), (&json!(1), &effect["id"]), "{listed}");
        scene.decide("cancel", json!({"ticket_id": context})).await;
        scene.client.wait_end(&context).await;
        scene.finish().await;
    }

    async fn a_released_call_rings_once_however_often_it_is_released(builder) {
        let scene = Scene::held(builder).await;
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        let body = json!({"to": BOSS, "state": "intended"});
        let path = Client::v1("/effects/release");
        let first = scene.client.ok("release", scene.client.post_once(&path, "key-1", &body).await);
        assert_eq!((&first["count"], &first["data"][0]["ticket_id"]), (&json!(1), &json!(context)), "{first}");
        assert_eq!(scene.client.ok("again", scene.client.post_once(&path, "key-1", &body).await), first);
        scene.decide("release", json!({"ticket_id": context})).await;
        scene.rings_once(&context).await;
        assert_eq!(scene.decide("release", json!({"ticket_id": context})).await["count"], 0, "nothing is left");
        let [effect] = &scene.effects(&scene.client, "&state=live&kind=call").await[..] else { panic!("not one call") };
        assert_eq!(text(effect, "verdict"), "release", "{effect}");
        assert!(effect["verdict_by"].is_string() && effect["sid"].is_string(), "{effect}");
        scene.finish().await;
    }

    async fn what_is_not_meant_waits_on(builder) {
        let scene = Scene::held(builder).await;
        let other = scene.project("tui", OTHER_BOSS).await;
        let here = scene.waiting_lead(&scene.project, "lead-1").await;
        let there = scene.waiting_lead(&other, "lead-1").await;
        assert_eq!(scene.effects(&scene.client, "").await.len(), 2);
        assert_eq!(scene.effects(&scene.client, "&project_id=tui").await.len(), 1);
        assert_eq!(scene.effects(&scene.client, &format!("&to={OTHER_BOSS}")).await.len(), 1);
        assert_eq!(scene.effects(&scene.client, "&kind=sms").await, Vec::<Value>::new());
        assert_eq!(scene.effects(&scene.client, "&created_before=2020-01-01T00:00:00Z").await, Vec::<Value>::new());
        assert_eq!(scene.decide("release", json!({"created_before": "2020-01-01T00:00:00Z"})).await["count"], 0);
        assert_eq!(scene.decide("release", json!({"state": "held"})).await["count"], 0);
        assert!(scene.command(&["release", "--older-than", "1h"]).await.contains("0 released"));
        let released = scene.command(&["release", "--project", "tui", "--kind", "call"]).await;
        assert!(released.contains("1 released"), "{released}");
        scene.client.wait_completed(&there).await;
        assert_eq!((scene.calls_to(OTHER_BOSS).len(), scene.calls_to(BOSS).len()), (1, 0));
        scene.waits(&here).await;
        let [effect] = &scene.effects(&scene.client, "&state=intended").await[..] else { panic!("not one effect") };
        let id = text(effect, "id");
        assert_eq!(scene.decide("cancel", json!({"ids": [id]})).await["data"], json!([{"id": id, "ticket_id": here}]));
        scene.client.wait_end(&here).await;
        assert!(scene.calls_to(BOSS).is_empty());
        scene.finish().await;
    }

    async fn a_cancelled_call_never_rings_and_its_ticket_ends(builder) {
        let mut scene = Scene::held(builder).await;
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        let done = scene.command(&["cancel", "--project", "kereru", "--json"]).await;
        let done: Value = serde_json::from_str(&done).expect("JSON");
        assert_eq!((&done["count"], &done["data"][0]["ticket_id"]), (&json!(1), &json!(context)), "{done}");
        let ended = scene.client.wait_end(&context).await;
        scene.nothing_has_left();
        assert_eq!(text(&scene.only_lead().await, "status"), "new", "{ended}");
        let [effect] = &scene.effects(&scene.client, "").await[..] else { panic!("not one effect") };
        assert_eq!((text(effect, "state"), text(effect, "verdict_by")), ("refused", "operator"), "{effect}");
        scene.apex.restart_without(HOLD).await;
        assert_eq!(scene.client.wait_end(&context).await["data"]["seq"], ended["data"]["seq"], "and stays so");
        scene.nothing_has_left();
        scene.finish().await;
    }

    async fn a_start_without_the_flag_sends_what_was_left(builder) {
        let mut scene = Scene::held(builder).await;
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        scene.apex.restart().await;
        scene.waits(&context).await;
        scene.nothing_has_left();
        scene.apex.restart_without(HOLD).await;
        let ready = scene.client.ok("ready", scene.client.get("/health/ready").await);
        assert_eq!(ready["effects"], "sent", "{ready}");
        scene.a_minute_passes().await;
        scene.rings_once(&context).await;
        scene.finish().await;
    }

    async fn the_command_decides_also_while_the_server_is_down(builder) {
        let mut scene = Scene::held(builder).await;
        let (first, second) = (
            scene.waiting_lead(&scene.project, "lead-1").await,
            scene.waiting_lead(&scene.project("tui", OTHER_BOSS).await, "lead-1").await,
        );
        scene.apex.kill_9();
        let everything = scene.apex.run(&["effects", "cancel"]).await;
        assert!(!everything.status.success() && everything.stderr.contains("--all"), "{everything:?}");
        assert!(scene.command(&["cancel", "--to", OTHER_BOSS]).await.contains("1 cancelled"));
        assert!(scene.command(&["list"]).await.contains("(cancel asked)"));
        assert!(scene.command(&["release", "--newer-than", "1h", "--to", BOSS]).await.contains("1 released"));
        scene.apex.restart().await;
        scene.rings_once(&first).await;
        scene.client.wait_end(&second).await;
        assert!(scene.calls_to(OTHER_BOSS).is_empty());
        assert!(scene.command(&["list"]).await.contains("nothing waits"));
        scene.finish().await;
    }

    async fn another_organisation_sees_and_changes_nothing(builder) {
        let scene = Scene::held(builder).await;
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        let [effect] = &scene.effects(&scene.client, "").await[..] else { panic!("not one effect") };
        let id = text(effect, "id");
        let stranger = scene.apex.owner("rangi@tui.example").await;
        assert_eq!(scene.effects(&stranger, "").await, Vec::<Value>::new());
        let shown = stranger.get(&Client::v1(&format!("/effects/{id}"))).await;
        assert_problem(&shown, StatusCode::NOT_FOUND, "not_found");
        for verdict in ["release", "cancel"] {
            let path = Client::v1(&format!("/effects/{verdict}"));
            for body in [json!({"ids": [id]}), json!({"ticket_id": context}), json!({"kind": "call"}), json!({"to": BOSS})] {
                let decided = stranger.ok(verdict, stranger.post_json(&path, &body).await);
                assert_eq!(decided, json!({"count": 0, "data": []}), "{body}");
            }
            let named = stranger.post_json(&path, &json!({"project_id": "kereru"})).await;
            assert_problem(&named, StatusCode::NOT_FOUND, "not_found");
        }
        scene.waits(&context).await;
        assert_eq!(&scene.effects(&scene.client, "").await[0], effect, "untouched");
        scene.nothing_has_left();
        scene.decide("release", json!({"ids": [id]})).await;
        scene.rings_once(&context).await;
        scene.finish().await;
    }

    /// Nobody knows whether the request left: it was not, here, and a person who has looked says so.
    async fn a_call_held_as_unclear_rings_once_when_a_person_releases_it(builder) {
        let builder = builder.fault("call.sending=panic").env("APEX_CALL_LOOKUP_SECONDS", "1");
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_context(&context, "a held call", |body| body["data"]["stage"] == "held").await;
        let held = async || scene.effects(&scene.client, "&state=held").await.len() == 1;
        wait::until(held, "a held effect in the list").await;
        assert!(scene.command(&["list", "--state", "held"]).await.contains(" held "));
        assert!(scene.calls_to(BOSS).is_empty());
        assert_eq!(scene.decide("release", json!({"state": "held"})).await["count"], 1);
        scene.rings_once(&context).await;
        scene.finish().await;
    }

    async fn texts_are_held_as_calls_are(builder) {
        let scene = Scene::held(builder).await;
        let params = json!({"action": "notify_sms", "text": "Kia ora"});
        let context = scene.client.begin(&scene.project, "sales_agent", &params).await;
        scene.waits(&context).await;
        scene.nothing_has_left();
        assert_eq!(scene.decide("release", json!({"kind": "call"})).await["count"], 0);
        assert_eq!(scene.decide("release", json!({"kind": "sms"})).await["count"], 1);
        scene.client.wait_completed(&context).await;
        assert_eq!(scene.texts_to(BOSS), ["Kia ora"]);
        scene.finish().await;
    }

    async fn a_held_call_can_be_cancelled_by_its_context(builder) {
        let scene = Scene::held(builder).await;
        scene.sandbox.script(BOSS, Script::answers());
        let context = scene.waiting_lead(&scene.project, "lead-1").await;
        scene.client.ok("cancel", scene.client.cancel(&context).await);
        let ended = scene.client.wait_end(&context).await;
        assert_eq!(text(&ended["data"], "code"), "cancelled", "{ended}");
        scene.nothing_has_left();
        scene.finish().await;
    }
}

#[tokio::test]
async fn the_command_makes_no_database_where_there_is_none() {
    let listed = program::command(&["effects", "list"], &[]).await;
    assert!(!listed.status.success(), "{listed:?}");
    assert!(listed.stderr.contains("there is no database at"), "{listed:?}");
}

#[tokio::test]
async fn the_command_explains_itself() {
    for (arguments, expected) in [
        (&["effects", "--help"][..], &["list", "release", "cancel"][..]),
        (&["effects", "release", "--help"], &["--all", "--older-than", "--project", "rings"]),
        (&["serve", "--help"], &["--hold-effects", "apex effects"]),
    ] {
        let help = program::command(arguments, &[]).await;
        assert!(help.status.success(), "{help:?}");
        for part in expected {
            assert!(help.stdout.contains(part), "{part} in {}", help.stdout);
        }
    }
    for wrong in [&["effects", "list", "--older-than", "soon"][..], &["effects", "list", "--to", "027"]] {
        assert_eq!(program::command(wrong, &[]).await.status.code(), Some(2), "{wrong:?}");
    }
}
