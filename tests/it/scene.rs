//! What most promises start from: the outside, a program, and an owner with one project.

use std::collections::HashSet;

use apex_sandbox::{Call, Ledger, Options, Sandbox};
use apex_tests::program::Builder;
use apex_tests::{Apex, Client, GoogleLead, Project, finish, wait};
use reqwest::{Method, StatusCode};
use serde_json::Value;

/// The boss of the scene's own project.
pub const BOSS: &str = "+64275559002";
/// Who fills in the form.
pub const CUSTOMER: &str = "+64275559001";
/// The keys of an analysis, in the order of the alphabet.
pub const ANALYSIS: [&str; 6] = ["customer_intent", "key_points", "next_steps", "sentiment", "summary", "urgency"];

/// A running program whose outside is played.
pub struct Scene {
    /// The outside.
    pub sandbox: Sandbox,
    /// The program.
    pub apex: Apex,
    /// Its owner, logged in.
    pub client: Client,
    /// A project whose boss is [`BOSS`].
    pub project: Project,
}

impl Scene {
    /// Starts everything.
    pub async fn open(builder: Builder) -> Self {
        let sandbox = Sandbox::start(Options::default()).await.expect("a free port");
        let apex = builder.sandbox(&sandbox).start().await;
        let client = apex.owner("owner@kereru.example").await;
        let project = client.create_project("kereru", BOSS).await;
        Self { sandbox, apex, client, project }
    }

    /// Another project of the same owner, with a boss of its own.
    pub async fn project(&self, id: &str, boss: &str) -> Project {
        self.client.create_project(id, boss).await
    }

    /// Sends a lead form to the scene's project and returns its context.
    pub async fn accept(&self, lead: &GoogleLead) -> String {
        self.client.accept(&self.project, lead).await
    }

    /// The lead that a context is about.
    pub async fn lead_of(&self, context: &Value) -> Value {
        let id = context["data"]["lead_id"].as_str().unwrap_or_else(|| panic!("no lead in {context}"));
        self.client.lead(id).await
    }

    /// The lead of the project, which has just one.
    pub async fn only_lead(&self) -> Value {
        let mut leads = self.client.leads(&self.project.id).await;
        assert_eq!(leads.len(), 1, "{leads:?}");
        leads.remove(0)
    }

    /// The calls placed to a number.
    pub fn calls_to(&self, number: &str) -> Vec<Call> {
        self.sandbox.read(|ledger| ledger.calls_to(number).into_iter().cloned().collect())
    }

    /// The texts sent to a number.
    pub fn texts_to(&self, number: &str) -> Vec<String> {
        self.sandbox.read(|ledger| ledger.messages_to(number).iter().map(|message| message.body.clone()).collect())
    }

    /// Waits until the ledger is as `reached` wants it.
    pub async fn wait_ledger(&self, what: &str, reached: impl Fn(&Ledger) -> bool) {
        let seen = wait::until_within(wait::PATIENCE, async || self.sandbox.read(&reached)).await;
        assert!(seen.is_some(), "waited in vain for: {what}\n{:#?}\n{}", self.sandbox.ledger(), self.apex.stderr());
    }

    /// What a bearer of this client gets from a path, byte for byte.
    pub async fn download(&self, path: &str) -> (StatusCode, String, Vec<u8>) {
        let response = self.client.request(Method::GET, path).send().await.expect("an answer");
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let (status, kind) = (response.status(), kind.to_owned());
        (status, kind, response.bytes().await.expect("a whole body").to_vec())
    }

    /// The journal of a ticket.
    pub async fn journal(&self, ticket: &str) -> Vec<Value> {
        let timeline = self.client.timeline(ticket).await;
        timeline["events"].as_array().unwrap_or_else(|| panic!("no events in {timeline}")).clone()
    }

    /// The stages of a ticket, in order.
    pub async fn stages(&self, ticket: &str) -> Vec<String> {
        let journal = self.journal(ticket).await;
        let stages = journal.iter().filter(|event| event["kind"] == "stage");
        stages.map(|event| text(event, "step").to_owned()).collect()
    }

    /// Every decision about a ticket comes out as it was recorded when it is made again.
    pub async fn replays_alike(&self, ticket: &str) {
        let answer = self.client.post_json(&format!("/api/v1/tickets/{ticket}/replay"), &serde_json::json!({})).await;
        let replayed = self.client.ok("replay", answer);
        assert_eq!(replayed["is_same"], true, "{replayed:#}\n{:#}", self.client.timeline(ticket).await);
    }

    /// Stops everything in order; the ledger is the judge.
    pub async fn finish(self) {
        finish(self.sandbox, self.apex).await;
    }
}

/// A text of a JSON value.
pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {value}"))
}

/// The keys of a JSON object, sorted.
pub fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect();
    keys.sort();
    keys
}

/// Every one of these is different.
pub fn all_different<T: std::hash::Hash + Eq>(values: impl IntoIterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    values.into_iter().all(|value| seen.insert(value))
}

/// A refusal as every client can read it, with this status and code.
pub fn assert_problem((status, body): &(StatusCode, Value), expected: StatusCode, code: &str) {
    assert_eq!((*status, &body["code"]), (expected, &Value::from(code)), "{body}");
    assert_eq!(body["status"], expected.as_u16(), "{body}");
    for name in ["type", "title", "trace_id"] {
        assert!(body[name].is_string(), "no {name} in {body}");
    }
}
