//! The audit log: every change by people and programs is told, with who, from where and which fields, and without a word of what
//! somebody wrote.

use apex_sandbox::Script;
use apex_tests::{Client, GoogleLead, on_both_stores};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

const AUDIT: &str = "/api/v1/audit";
const OTHER_CUSTOMER: &str = "+64275559003";

impl Scene {
    /// What was told, the newest first.
    async fn told(&self, query: &str) -> Vec<Value> {
        self.client.all(&format!("{AUDIT}?limit=3{query}")).await
    }

    /// The newest entry, which is about this.
    async fn newest(&self, action: &str, id: &str) -> Value {
        let row = self.told("").await.remove(0);
        assert_eq!((text(&row, "action"), text(&row, "resource_id")), (action, id), "{row}");
        row
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.client.ok(path, self.client.post_json(&Client::v1(path), &body).await)
    }

    async fn me(&self) -> String {
        let me = self.client.ok("me", self.client.get("/api/v1/users/me").await);
        text(&me["user"], "id").to_owned()
    }
}

on_both_stores! {
    async fn changes_of_projects_and_keys_are_told(builder) {
        let scene = Scene::open(builder).await;
        let id = text(&scene.project.body, "id");
        let made = scene.newest("project.create", id).await;
        let (me, client) = (scene.me().await, &scene.client);
        assert_eq!((text(&made, "actor"), text(&made, "actor_kind")), (&*me, "user"), "{made}");
        assert_eq!((text(&made, "ip"), text(&made, "resource_kind")), ("127.0.0.1", "project"), "{made}");
        let patch = client.request(Method::PATCH, "/api/v1/projects/kereru").header("user-agent", "console/1");
        let patch = patch.json(&json!({"business_name": "Mere and Sons", "rotate": ["google_key"]})).send().await;
        let trace = patch.expect("an answer").headers()["x-request-id"].to_str().expect("a trace").to_owned();
        let rotated = scene.newest("project.rotate", id).await;
        assert_eq!(rotated["after"], json!({"rotated": ["google_key"]}), "{rotated}");
        assert_eq!((text(&rotated, "user_agent"), text(&rotated, "trace_id")), ("console/1", &*trace), "{rotated}");
        let update = &scene.told("&action=project.update").await[0];
        assert_eq!(update["before"], json!({"version": 1}), "{update}");
        assert_eq!(update["after"], json!({"version": 2, "changed": ["business_name"]}), "{update}");

        let mut dna = apex_tests::client::dna(BOSS);
        dna["identity"]["timezone"] = json!("Pacific/Chatham");
        client.ok("dna", client.put_json("/api/v1/projects/kereru/dna", &dna).await);
        let dna = scene.newest("dna.update", id).await;
        assert_eq!(dna["after"], json!({"version": 3, "changed": ["identity.timezone"]}), "{dna}");

        let key = scene.post("/api-keys", json!({"name": "CRM", "scopes": ["administer"]})).await;
        let made = scene.newest("api_key.create", text(&key, "id")).await;
        assert_eq!(made["after"]["scopes"], json!(["read", "write", "administer"]), "{made}");
        let program = client.with_token(text(&key, "key"));
        assert_eq!(program.delete("/api/v1/projects/kereru").await.0, StatusCode::NO_CONTENT);
        let gone = scene.newest("project.delete", id).await;
        assert_eq!((text(&gone, "actor"), text(&gone, "actor_kind")), (text(&key, "id"), "api_key"), "{gone}");
        client.delete(&Client::v1(&format!("/api-keys/{}", text(&key, "id")))).await;
        scene.newest("api_key.revoke", text(&key, "id")).await;

        assert_eq!(scene.told(&format!("&actor={}", text(&key, "id"))).await, [gone]);
        assert_eq!(scene.told("&resource_kind=api_key").await.len(), 2);
        let whole = json!(scene.told("").await).to_string();
        for secret in [text(&key, "key"), &scene.project.google_key, "Mere", "Kererū", BOSS] {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
        scene.finish().await;
    }

    async fn changes_of_leads_and_schedules_are_told_and_refused_ones_are_not(builder) {
        let scene = Scene::open(builder).await;
        let client = &scene.client;
        let body = json!({"project_id": "kereru", "name": "Mere", "phone": CUSTOMER, "email": "mere@kereru.example"});
        let lead = scene.post("/leads", body).await;
        let (id, path) = (text(&lead, "id"), Client::v1(&format!("/leads/{}", text(&lead, "id"))));
        client.ok("lead", client.patch_json(&path, &json!({"name": "Hēmi", "status": "contacted"})).await);
        let row = scene.newest("lead.update", id).await;
        assert_eq!(row["before"], json!({"version": 1, "status": "new", "score": null}), "{row}");
        let after = json!({"version": 2, "status": "contacted", "score": null, "changed": ["name"]});
        assert_eq!(row["after"], after, "{row}");
        client.ok("lead", client.put_json(&path, &json!({"email": "x@kereru.example", "score": 7})).await);
        let row = scene.newest("lead.update", id).await;
        assert_eq!((&row["after"]["changed"], &row["after"]["score"]), (&json!(["email"]), &json!(7)), "{row}");

        let before = scene.told("").await;
        assert_eq!(client.patch_json(&path, &json!({"status": "new"})).await.0, StatusCode::CONFLICT);
        let late = client.request(Method::PATCH, &path).header("if-match", "\"1\"").json(&json!({"score": 1}));
        assert_eq!(client.send(late).await.0, StatusCode::PRECONDITION_FAILED);
        assert_eq!(client.post_json(&Client::v1(&format!("/tickets/{id}/retry")), &json!({})).await.0, StatusCode::NOT_FOUND);
        assert_eq!(scene.told("").await, before, "what was not done is not told");

        client.ok("lead", client.delete(&path).await);
        scene.newest("lead.delete", id).await;
        let body = json!({"project_id": "kereru", "name": "Call Mere", "cron": "0 8 * * *", "task": "sales_agent",
                          "params": {"action": "notify_sms", "text": "Kia ora Mere"}});
        let path = Client::v1("/schedules");
        let made = client.ok("schedule", client.post_once(&path, "key-1", &body).await);
        client.ok("schedule", client.post_once(&path, "key-1", &body).await);
        let (id, path) = (text(&made, "id"), format!("{path}/{}", text(&made, "id")));
        let row = scene.newest("schedule.create", id).await;
        assert_eq!((text(&row["after"], "cron"), &row["after"]["enabled"]), ("0 8 * * *", &json!(true)), "{row}");
        client.ok("schedule", client.patch_json(&path, &json!({"enabled": false, "name": "Off"})).await);
        let row = scene.newest("schedule.update", id).await;
        assert_eq!((&row["before"]["enabled"], &row["after"]["enabled"]), (&json!(true), &json!(false)), "{row}");
        assert_eq!(row["after"]["changed"], json!(["name"]), "{row}");
        client.ok("schedule", client.delete(&path).await);
        scene.newest("schedule.delete", id).await;
        assert_eq!(scene.told("&resource_kind=schedule").await.len(), 3, "a repeated request is one change");
        let whole = json!(scene.told("").await).to_string();
        for word in ["Mere", "Hēmi", "kereru.example", "27555900"] {
            assert!(!whole.contains(word), "{word} in {whole}");
        }
        scene.finish().await;
    }

    async fn decisions_about_effects_are_told_also_the_operators(builder) {
        let scene = Scene::open(builder.argument("--hold-effects")).await;
        let held = |body: &Value| body["data"]["stage"] == "effects_held" && body["data"]["state"] == "waiting";
        let mut waiting = Vec::new();
        for (lead, customer) in [("lead-1", CUSTOMER), ("lead-2", OTHER_CUSTOMER), ("lead-3", "+64275559004")] {
            let context = scene.accept(&GoogleLead::new(lead, customer)).await;
            scene.client.wait_context(&context, "a call that waits for a person", held).await;
            let effects = scene.client.all(&Client::v1(&format!("/effects?limit=9&ticket_id={context}"))).await;
            waiting.push((context, text(&effects[0], "id").to_owned()));
        }
        for (action, (ticket, effect)) in ["cancel", "release"].into_iter().zip(&waiting) {
            let path = format!("/effects/{action}");
            assert_eq!(scene.post(&path, json!({"ids": [effect]})).await["count"], 1);
            let row = scene.newest(&format!("effect.{action}"), effect).await;
            assert_eq!(row["after"], json!({"verdict": action, "ticket_id": ticket}), "{row}");
            scene.client.wait_end(ticket).await;
            scene.post(&path, json!({"ids": [effect]})).await;
            assert_eq!(scene.told("&resource_kind=effect").await[0], row, "nothing is left to decide");
        }
        let (ticket, effect) = &waiting[2];
        let done = scene.apex.run(&["effects", "cancel", "--id", effect]).await;
        assert!(done.status.success(), "{}", done.stderr);
        let row = scene.newest("effect.cancel", effect).await;
        assert_eq!((text(&row, "actor"), text(&row, "actor_kind"), &row["ip"]), ("operator", "operator", &Value::Null));
        scene.client.wait_end(ticket).await;
        scene.finish().await;
    }

    async fn cancelled_retried_and_replayed_tickets_are_told(builder) {
        let scene = Scene::open(builder.fault("call.transcribed=panic*6")).await;
        let mut dead = Vec::new();
        for (lead, customer) in [("lead-1", CUSTOMER), ("lead-2", OTHER_CUSTOMER)] {
            let context = scene.accept(&GoogleLead::new(lead, customer)).await;
            assert_eq!(text(&scene.client.wait_end(&context).await["data"], "state"), "dead");
            let letters = scene.client.all(&Client::v1("/dead-letters?limit=9")).await;
            dead.push((context, text(&letters[0], "id").to_owned()));
        }
        let (first, second) = (&dead[0], &dead[1]);
        scene.post(&format!("/dead-letters/{}/replay", first.1), json!({})).await;
        let row = scene.newest("dead_letter.replay", &first.1).await;
        assert_eq!(row["after"], json!({"ticket_id": first.0}), "{row}");
        assert_eq!(scene.post("/dead-letters/replay", json!({"project_id": "kereru"})).await["count"], 1);
        scene.newest("dead_letter.replay", &second.1).await;
        for (context, _) in &dead {
            scene.client.wait_completed(context).await;
        }

        scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
        let context = scene.accept(&GoogleLead::new("lead-3", "+64275559004")).await;
        scene.client.wait_context(&context, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
        assert_eq!(scene.client.cancel(&context).await.0, StatusCode::ACCEPTED);
        let row = scene.newest("ticket.cancel", &context).await;
        assert_eq!(row["after"], json!({"cancel_requested": true}), "{row}");
        scene.client.wait_end(&context).await;

        let no_boss = json!({"identity": {"region": "NZ"}});
        scene.client.ok("dna", scene.client.put_json("/api/v1/projects/kereru/dna", &no_boss).await);
        let context = scene.client.begin(&scene.project, "sales_agent", &json!({"action": "notify_sms", "text": "hi"})).await;
        scene.client.wait_end(&context).await;
        scene.post(&format!("/tickets/{context}/retry"), json!({})).await;
        let row = scene.newest("ticket.retry", &context).await;
        let before = json!({"state": "failed", "code": "no_destination_phone", "attempt": 1});
        assert_eq!(row["before"], before, "{row}");
        scene.client.wait_end(&context).await;
        scene.finish().await;
    }

    async fn only_owners_and_admins_read_it_and_only_their_own(builder) {
        let scene = Scene::open(builder).await;
        let stranger = scene.apex.owner("rangi@tui.example").await;
        assert_eq!(stranger.all(&format!("{AUDIT}?limit=9")).await, Vec::<Value>::new());
        let id = text(&scene.project.body, "id");
        assert_eq!(stranger.all(&format!("{AUDIT}?limit=9&resource_id={id}")).await, Vec::<Value>::new());
        for (role, expected) in [("viewer", 403), ("member", 403), ("admin", 200), ("owner", 200)] {
            rows::change(&scene.apex, &format!("update memberships set role = '{role}'")).await;
            let client = scene.apex.client();
            let session = client.login("owner@kereru.example").await;
            let answer = client.signed_in(&session).get(AUDIT).await;
            assert_eq!(answer.0, expected, "{role}: {}", answer.1);
            if expected == 403 {
                assert_problem(&answer, StatusCode::FORBIDDEN, "forbidden");
            }
        }
        assert_eq!(scene.apex.client().get(AUDIT).await.0, StatusCode::UNAUTHORIZED);
        let later = scene.told("&since=2999-01-01T00:00:00Z").await;
        assert_eq!(later, Vec::<Value>::new());
        assert_eq!(scene.told("&since=2020-01-01T00:00:00Z&action=project.create").await.len(), 1);
        let wrong = scene.client.get(&format!("{AUDIT}?since=yesterday")).await;
        assert_problem(&wrong, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
        scene.finish().await;
    }
}
