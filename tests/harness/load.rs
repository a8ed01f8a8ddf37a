//! Leads at a steady rate, whatever happens meanwhile, and what became of each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::{Client, GoogleLead, Project, wait};

/// How long an answer may take before the sender has lost its patience.
const PATIENCE: Duration = Duration::from_secs(20);

/// One lead that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Which one: 0, 1, 2 ...
    pub nth: usize,
    /// The status; `None`: no answer came.
    pub status: Option<u16>,
    /// The seconds of its `Retry-After`.
    pub retry_after: Option<u64>,
    /// How long the answer took.
    pub took: Duration,
    /// The whole answer.
    pub body: Value,
}

impl Sent {
    /// The context that works on it, if it was accepted.
    pub fn context(&self) -> Option<&str> {
        let accepted = self.status.is_some_and(|status| (200..300).contains(&status));
        self.body["data"]["context_id"].as_str().filter(|_| accepted)
    }
}

/// The id that a lead is sent under.
pub fn lead_id(nth: usize) -> String {
    format!("lead-{nth}")
}

/// The phone of the customer who sends it.
pub fn customer(nth: usize) -> String {
    format!("+642755{:05}", 10_000 + nth)
}

/// A steady sender. It stops sending when it is dropped.
#[derive(Debug)]
pub struct Load {
    sent: Arc<Mutex<Vec<Sent>>>,
    stop: watch::Sender<bool>,
    senders: JoinSet<()>,
}

impl Load {
    /// Begins to send one lead each time that `every` has passed, to the projects in turn; each from another customer. `form`
    /// completes it.
    pub fn begin(
        client: &Client,
        projects: &[Project],
        every: Duration,
        form: impl Fn(GoogleLead) -> GoogleLead + Send + 'static,
    ) -> Self {
        let (sent, (stop, stopped)) = (Arc::<Mutex<Vec<Sent>>>::default(), watch::channel(false));
        let mut senders = JoinSet::new();
        let (client, projects, results) = (client.anonymous(), projects.to_vec(), Arc::clone(&sent));
        senders.spawn(async move {
            let mut under_way = JoinSet::new();
            let mut nth = 0;
            while !*stopped.borrow() {
                let lead = form(GoogleLead::new(&lead_id(nth), &customer(nth)));
                let project = projects[nth % projects.len()].clone();
                under_way.spawn(send(client.clone(), project, lead, nth, Arc::clone(&results)));
                nth += 1;
                wait::let_pass(every).await;
            }
            under_way.join_all().await;
        });
        Self { sent, stop, senders }
    }

    /// What was answered so far.
    pub fn answered(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends no more, waits for every answer and returns them in the order of sending.
    pub async fn finish(mut self) -> Vec<Sent> {
        self.stop.send_replace(true);
        while self.senders.join_next().await.is_some() {}
        let mut sent = self.answered();
        sent.sort_by_key(|sent| sent.nth);
        sent
    }
}

async fn send(client: Client, project: Project, lead: GoogleLead, nth: usize, results: Arc<Mutex<Vec<Sent>>>) {
    let path = Client::v1(&format!("/webhooks/google-ads?project_id={}", project.id));
    let request = client.request(Method::POST, &path).json(&lead.json(&project.google_key)).timeout(PATIENCE);
    let began = Instant::now();
    let mut sent = Sent { nth, status: None, retry_after: None, took: Duration::ZERO, body: Value::Null };
    match request.send().await {
        Ok(response) => {
            sent.status = Some(response.status().as_u16());
            let header = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            sent.retry_after = header.and_then(|text| text.parse().ok());
            sent.body = response.json().await.unwrap_or(Value::Null);
        }
        Err(error) => sent.body = Value::String(format!("{error:?}")),
    }
    sent.took = began.elapsed();
    results.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
}
