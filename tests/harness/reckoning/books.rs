//! Everything that the program says of a run, read through its API.

use futures::StreamExt as _;
use futures::stream;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::Client;
use crate::client::Answer;
use crate::ordeal::Survivor;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// What the program says of each business.
#[derive(Clone, Debug)]
pub struct Books {
    /// In the order of the run's businesses.
    pub businesses: Vec<Business>,
    /// Dead letters; `None`: the program lists none.
    pub dead_letters: Option<usize>,
}

/// What the program says of one business.
#[derive(Clone, Debug)]
pub struct Business {
    /// The project's name.
    pub project: String,
    /// The phone of its boss.
    pub boss: String,
    /// Its leads.
    pub leads: Vec<Value>,
    /// Its tickets with their journals.
    pub tickets: Vec<Ticket>,
    /// What it has spent.
    pub usage: Value,
}

/// A ticket with its journal.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The ticket, which is the context.
    pub id: String,
    /// As listed.
    pub body: Value,
    /// Its journal, oldest first.
    pub events: Vec<Value>,
    /// Calls and messages, oldest first.
    pub effects: Vec<Value>,
}

impl Ticket {
    /// Whether it has ended.
    pub fn is_final(&self) -> bool {
        self.body["status"] != "processing"
    }

    /// Whether a call or a message of it is held for a person to see.
    pub fn is_held(&self) -> bool {
        self.effects.iter().any(|effect| effect["state"] == "held")
    }

    /// What came of it.
    pub fn outcome(&self) -> &str {
        self.body["result"]["outcome"].as_str().unwrap_or("none")
    }

    /// A number in the recorded answer of a step; 0 when the step was not done.
    pub fn step(&self, name: &str, field: &str) -> u64 {
        let found = self.events.iter().find(|event| event["kind"] == "step" && event["step"] == name);
        found.and_then(|event| event["data"][field].as_u64()).unwrap_or_default()
    }

    /// The provider's ids of its calls or messages that are known to have happened.
    pub fn sids(&self, kind: &'static str) -> impl Iterator<Item = &str> {
        let live = self.effects.iter().filter(move |effect| effect["kind"] == kind && effect["state"] == "live");
        live.filter_map(|effect| effect["sid"].as_str())
    }
}

impl Books {
    /// Every ticket of every business.
    pub fn tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.businesses.iter().flat_map(|business| &business.tickets)
    }

    pub(super) async fn read(survivor: &Survivor) -> Self {
        let client = &survivor.client;
        let mut businesses = Vec::new();
        for business in &survivor.businesses {
            let project = &business.project.id;
            let listed = client.all(&Client::v1(&format!("/tickets?project_id={project}&limit=200"))).await;
            let tickets = stream::iter(listed).map(|body| with_journal(client, body)).buffer_unordered(AT_ONCE);
            let usage = client.get(&Client::v1(&format!("/usage?project_id={project}"))).await;
            businesses.push(Business {
                project: project.clone(),
                boss: business.boss.clone(),
                leads: client.leads(project).await,
                tickets: tickets.collect().await,
                usage: client.ok("usage", usage),
            });
        }
        let (status, _) = client.get(&Client::v1("/dead-letters?limit=1")).await;
        let dead_letters = match status {
            StatusCode::OK => Some(client.all(&Client::v1("/dead-letters?limit=200")).await.len()),
            _ => None,
        };
        Self { businesses, dead_letters }
    }
}

async fn with_journal(client: &Client, body: Value) -> Ticket {
    let id = body["id"].as_str().unwrap_or_default().to_owned();
    let mut timeline = client.timeline(&id).await;
    let [events, effects] = ["events", "effects"].map(|name| match timeline[name].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    });
    // The timeline was read later than the list, and holds the ticket as it was then.
    let body = if timeline["ticket"].is_object() { timeline["ticket"].take() } else { body };
    Ticket { id, body, events, effects }
}

/// What came of asking for a dry replay of every ticket that ended.
pub(super) enum Replay {
    /// The program offers none.
    Missing,
    /// All were asked for.
    Done {
        /// So many reached the recorded state.
        same: usize,
        /// Those that did not, in words.
        different: Vec<String>,
    },
}

pub(super) async fn replay_all(client: &Client, books: &Books) -> Replay {
    let ended = books.tickets().filter(|ticket| ticket.is_final());
    let asked: Vec<_> = ended.map(|ticket| replay(client, ticket.id.clone())).collect();
    let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    let is_missing = |answer: &Answer| matches!(answer.0.as_u16(), 404 | 405 | 501);
    if answers.iter().all(|(_, answer)| is_missing(answer)) {
        return Replay::Missing;
    }
    // A replay that had nothing to decide proves nothing.
    let has_decided = |body: &Value| body["decisions"].as_u64().is_some_and(|decisions| decisions > 0);
    let is_same = |(status, body): &Answer| status.is_success() && body["is_same"] == true && has_decided(body);
    let different = answers.iter().filter(|(_, answer)| !is_same(answer));
    let different = different.map(|(id, (status, body))| format!("ticket {id}: {status} {body}")).collect::<Vec<_>>();
    Replay::Done { same: answers.len() - different.len(), different }
}

async fn replay(client: &Client, id: String) -> (String, Answer) {
    let path = Client::v1(&format!("/tickets/{id}/replay"));
    let answer = client.send(client.request(Method::POST, &path).json(&json!({}))).await;
    (id, answer)
}
