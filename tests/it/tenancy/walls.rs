//! Routes by identities: the table is held against the document, so that no operation can be added without an entry.

use std::collections::BTreeSet;

use apex_http::auth::token::{Subject, TokenIssuer};
use apex_sandbox::{Conversation, Line, Script};
use apex_tests::client::dna;
use apex_tests::{Apex, Client, GoogleLead, Session, on_both_stores};
use chrono::Duration;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::table::{Entry, TABLE, Wall};
use crate::health::admin;
use crate::scene::{Scene, text};

/// Stands in everything that A has: no answer to anybody else and no log line may hold it.
const CANARY: &str = "zqcanary";
const BOSS: &str = "+64275557701";
const CUSTOMER: &str = "+64275557702";
/// Both numbers begin with it.
const PHONES: &str = "27555770";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A, with a project, a lead that was called, and all that came of it.
struct Estate {
    scene: Scene,
    owner: Client,
    stranger: Client,
    expired: String,
    context: String,
    lead: String,
    recording: String,
    effect: String,
    dead_letter: String,
    schedule: String,
    api_key: String,
    /// A key of A's that was taken back.
    revoked: String,
}

impl Estate {
    async fn found(builder: apex_tests::program::Builder) -> Self {
        // The first call ticket dies three times and is a dead letter; the second one is the lead of A.
        let builder = builder.env("APEX_JWT_SECRET", SECRET).env("RUST_LOG", "debug");
        let scene = Scene::open(builder.fault("call.begun=panic*3")).await;
        let lines = vec![Line::customer(&format!("My name is {CANARY}, a pipe burst."))];
        let conversation = Conversation { seconds: 30, lines, lasts_ms: None };
        scene.sandbox.script(CUSTOMER, Script { conversation, ..Script::answers() });
        let session = scene.apex.client().register(&format!("{CANARY}@kereru.example")).await;
        let owner = scene.apex.client().signed_in(&session);
        let mut dna = dna(BOSS);
        dna["modules"]["lead_gen"]["sales_bridge"]["whisper_text"] = json!(format!("{CANARY}: [Name]"));
        let body = json!({"project_id": "canary", "business_name": format!("{CANARY} Plumbing"), "dna": dna});
        let project = owner.ok("project", owner.post_json("/api/v1/projects", &body).await);
        let doomed = GoogleLead::new("lead-0", "call me maybe").name(&format!("Hēmi {CANARY}"));
        let answer = owner.google_body("canary", &doomed.json(text(&project, "google_key"))).await;
        owner.wait_end(text(&owner.ok("lead", answer)["data"], "context_id")).await;
        let form = GoogleLead::new("lead-1", CUSTOMER).name(&format!("Mere {CANARY}")).question("What?", CANARY);
        let answer = owner.google_body("canary", &form.json(text(&project, "google_key"))).await;
        let context = text(&owner.ok("lead", answer)["data"], "context_id").to_owned();
        let end = owner.wait_completed(&context).await;
        let lead = text(&end["data"]["result"], "lead_id").to_owned();
        let url = text(&end["data"]["result"], "recording_url");
        let recording = url.rsplit('/').next().unwrap_or_default().to_owned();
        let stranger = scene.apex.owner("rangi@tui.example").await;
        let expired = expired(&session);
        let first = async |path: &str| {
            let page = owner.ok(path, owner.get(&Client::v1(path)).await);
            text(&page["data"][0], "id").to_owned()
        };
        let (effect, dead_letter) = (first("/effects").await, first("/dead-letters").await);
        let body = json!({"project_id": "canary", "name": CANARY, "cron": "0 4 * * *", "task": "sales_agent",
                          "params": {"action": "notify_sms", "text": CANARY}});
        let made = owner.ok("schedule", owner.post_json("/api/v1/schedules", &body).await);
        let schedule = text(&made, "id").to_owned();
        let key = async || owner.ok("key", owner.post_json("/api/v1/api-keys", &json!({"name": CANARY})).await);
        let api_key = text(&key().await, "id").to_owned();
        let over = key().await;
        owner.ok("revoke", owner.delete(&format!("/api/v1/api-keys/{}", text(&over, "id"))).await);
        let revoked = text(&over, "key").to_owned();
        Self {
            scene,
            owner,
            stranger,
            expired,
            context,
            lead,
            recording,
            effect,
            dead_letter,
            schedule,
            api_key,
            revoked,
        }
    }

    /// Calls an operation as somebody.
    async fn call(&self, who: &Client, entry: &Entry) -> Response {
        let (method, path) = entry.operation.split_once(' ').expect("a method and a path");
        let id = match path.split('/').nth(1) {
            Some("leads") => &self.lead,
            Some("recordings") => &self.recording,
            Some("effects") => &self.effect,
            Some("dead-letters") => &self.dead_letter,
            Some("schedules") => &self.schedule,
            Some("api-keys") => &self.api_key,
            _ => &self.context,
        };
        let path = path.replace("{project_id}", "canary").replace("{id}", id);
        let prefix = if PLAIN.contains(&path.as_str()) { "" } else { "/api/v1" };
        let query = if entry.query.is_empty() { String::new() } else { format!("?{}", entry.query) };
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = who.request(method, &format!("{prefix}{path}{query}"));
        let request = match entry.body {
            Some(body) => request.json(&body()),
            None => request,
        };
        request.send().await.unwrap_or_else(|error| panic!("{}: {error:?}", entry.operation))
    }
}

/// Paths that stand before the API's prefix.
const PLAIN: [&str; 3] = ["/", "/health", "/health/ready"];

/// A token of A's that was good an hour ago.
fn expired(session: &Session) -> String {
    let id = |of: &str| text(&session.body[of], "id").parse().expect("an id");
    let subject = Subject {
        user: id("user"),
        org_id: id("organization"),
        org_role: "owner".to_owned(),
        org_permissions: vec!["read".to_owned()],
    };
    let issuer = TokenIssuer::new(&SECRET.to_owned().into()).expect("a long secret");
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    issuer.issue_access(&subject, Duration::minutes(15), now - Duration::hours(1)).expect("a token").0
}

/// Body and headers of an answer in one text.
async fn everything(response: Response) -> String {
    let headers = format!("{:?}", response.headers());
    headers + &String::from_utf8_lossy(&response.bytes().await.expect("a whole body"))
}

fn hides(text: &str, what: &str) {
    assert!(!text.contains(CANARY), "{what} shows a name of another organisation: {text}");
    assert!(!text.contains(PHONES), "{what} shows a number of another organisation: {text}");
}

on_both_stores! {
    async fn every_route_keeps_every_stranger_out(builder) {
        let estate = Estate::found(builder).await;
        let anonymous = estate.scene.apex.client();
        let strangers = [
            ("nobody", anonymous.clone()),
            ("garbage", anonymous.with_token("garbage")),
            ("an expired token", anonymous.with_token(&estate.expired)),
            ("a revoked key", anonymous.with_token(&estate.revoked)),
        ];
        for entry in TABLE {
            for (name, client) in &strangers {
                let response = estate.call(client, entry).await;
                let expected = match entry.wall {
                    Wall::Own | Wall::Tenant => 401,
                    Wall::Public | Wall::Secret | Wall::Signature => entry.owner,
                };
                assert_eq!(response.status(), expected, "{name}: {}", entry.operation);
                hides(&everything(response).await, &format!("{} to {name}", entry.operation));
            }
            let response = estate.call(&estate.stranger, entry).await;
            let expected = if entry.wall == Wall::Tenant { 404 } else { entry.owner };
            assert_eq!(response.status(), expected, "another owner: {}", entry.operation);
            hides(&everything(response).await, &format!("{} to another owner", entry.operation));
        }
        // Nothing of all that has changed anything, and its owner is let in everywhere.
        for entry in TABLE {
            let response = estate.call(&estate.owner, entry).await;
            assert_eq!(response.status(), entry.owner, "{}: {}", entry.operation, everything(response).await);
        }
        hides(&admin(&estate.scene.apex, "/metrics").await.1, "/metrics");
        hides(&estate.scene.apex.stdout(), "standard output");
        hides(&estate.scene.apex.stderr(), "the log");
        estate.scene.finish().await;
    }

    async fn what_b_does_under_as_names_reaches_only_b(builder) {
        let estate = Estate::found(builder).await;
        let stranger = &estate.stranger;
        stranger.create_project("tui", "+64275550300").await;
        for body in [
            json!({"task": "sales_agent", "project_id": "canary", "params": {"lead_id": estate.lead}}),
            json!({"task": "sales_agent", "project_id": "tui", "params": {"lead_id": estate.lead}}),
            json!({"task": "lead_gen_manager", "project_id": "tui",
                   "params": {"action": "transcribe_call", "lead_id": estate.lead}}),
        ] {
            let (status, problem) = stranger.post_json("/api/v1/run", &body).await;
            assert!(status.is_client_error(), "{body}: {status} {problem}");
            hides(&problem.to_string(), "/run");
        }
        let calls = estate.scene.sandbox.read(|ledger| ledger.calls_to(BOSS).len());
        assert_eq!(calls, 1, "A's boss is not rung by B");
        // The same key of both is two keys.
        let used = json!({"resource": "twilio_sms", "quantity": 1});
        for (client, project) in [(&estate.owner, "canary"), (stranger, "tui")] {
            let body = json!({"task": "log_usage", "project_id": project, "params": used});
            client.ok("log_usage", client.post_once("/api/v1/run", "key-1", &body).await);
        }
        let body = json!({"task": "sales_agent", "project_id": "tui", "params": {"action": "notify_sms", "text": "hi"}});
        let first = stranger.ok("run", stranger.post_once("/api/v1/run", "key-2", &body).await);
        let theirs = json!({"task": "sales_agent", "project_id": "canary", "params": {"action": "notify_sms", "text": "hi"}});
        let second = estate.owner.ok("run", estate.owner.post_once("/api/v1/run", "key-2", &theirs).await);
        assert_ne!(first["data"]["context_id"], second["data"]["context_id"]);
        for (client, answer) in [(stranger, &first), (&estate.owner, &second)] {
            client.wait_completed(text(&answer["data"], "context_id")).await;
        }
        estate.scene.finish().await;
    }
}

#[tokio::test]
async fn no_operation_is_without_an_entry() {
    let apex = Apex::builder().start().await;
    let (status, document) = apex.client().get("/openapi.json").await;
    assert!(status.is_success());
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
        for method in methods.into_iter().filter(|method| item[*method] != Value::Null) {
            documented.insert(format!("{} {}", method.to_uppercase(), path.strip_prefix("/api/v1").unwrap_or(path)));
        }
    }
    let entries: BTreeSet<_> = TABLE.iter().map(|entry| entry.operation.to_owned()).collect();
    assert_eq!(entries.len(), TABLE.len(), "an operation stands there twice");
    assert_eq!(documented, entries);
}

#[tokio::test]
async fn the_short_spelling_of_a_path_has_the_same_walls() {
    let estate = Estate::found(Apex::builder()).await;
    for path in
        [format!("/context/{}", estate.context), format!("/leads/{}", estate.lead), "/projects/canary".to_owned()]
    {
        let path = format!("/api{path}");
        assert_eq!(estate.scene.apex.client().get(&path).await.0, 401, "{path}");
        assert_eq!(estate.stranger.get(&path).await.0, 404, "{path}");
        assert_eq!(estate.owner.get(&path).await.0, 200, "{path}");
    }
    estate.scene.finish().await;
}
