//! What the API promises, tried through its router on real rows. Nobody is ever called here.

mod access;
mod dna;
mod fuzz;
mod leads;
mod operations;
mod outside;
mod projects;
mod tasks;
mod wire;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use apex_actors::dial_lane::DialLane;
use apex_actors::{Directory, Ports, RestartRule, Rules, World};
use apex_storage::blob::Blobs;
use apex_storage::clock::SystemClock;
use apex_storage::mirror::{self, MirrorWriter};
use apex_storage::model::TicketId;
use apex_storage::{Backend, Intake, LookupKey, Node, Options, Store};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::auth::token::TokenIssuer;
use crate::{AppState, Parts, TwilioLine, router};
use outside::Nobody;

const HOUR: Duration = Duration::from_hours(1);
const PASSWORD: &str = "correct horse battery";

/// A node with an API, and nothing outside.
struct House {
    api: Router,
    state: AppState,
    close: watch::Sender<bool>,
    _tasks: JoinSet<()>,
    _folder: tempfile::TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

/// Somebody signed in.
#[derive(Clone)]
struct Person {
    token: String,
    refresh: String,
    org: String,
}

impl House {
    async fn open() -> Self {
        Self::open_with(None).await
    }

    /// A house with a telephone line, whose callbacks are believed.
    async fn open_with(twilio: Option<TwilioLine>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Options {
            backend: Backend::Sqlite(folder.path().join("apex.db")),
            clock: Arc::new(SystemClock),
            lookup_key: LookupKey::derive(b"test"),
            max_megabytes: None,
        })
        .await
        .unwrap();
        let (intake, serve) = Intake::new(store.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve);
        let (mirror, blobs) = (mirror::memory(HOUR), Blobs::open(folder.path()).unwrap());
        let world = World {
            store: store.clone(),
            ports: Ports { telephony: Arc::new(Nobody), llm: Arc::new(Nobody) },
            mirror: MirrorWriter::new(Arc::clone(&mirror), 1000),
            blobs: blobs.clone(),
            prices: apex_config::prices::Prices::default(),
            rules: rules(),
            public_url: "https://apex.example".into(),
            lane: Arc::new(DialLane::new(1000)),
            beat_store: None,
            data_dir: folder.path().to_owned(),
        };
        let node = Node { id: "house:1".into(), address: "http://apex.example".into() };
        let directory = Directory::open(Arc::new(world), Arc::new(RwLock::new(node))).await.unwrap();
        let (close, closing) = watch::channel(false);
        let state = AppState::new(Parts {
            store,
            intake,
            directory,
            mirror,
            blobs,
            tokens: TokenIssuer::new(&"public-example-key-of-32-bytes!!!".into()).unwrap(),
            access_ttl: Duration::from_mins(15),
            refresh_ttl: HOUR,
            context_ttl: HOUR,
            public_url: "https://apex.example".into(),
            body_limit: 1024 * 1024,
            body_within: Duration::from_secs(20),
            twilio,
            sandbox: true,
            holds_effects: false,
            rates: crate::Rates { requests_in_hand: 1000, ..crate::Rates::default() },
            allowed_origins: vec!["https://app.example".into()],
            closing,
        });
        Self { api: router(state.clone()), state, close, _tasks: tasks, _folder: folder }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.api.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = to_bytes(body, 16 * 1024 * 1024).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    /// A request with a JSON body, or with none.
    async fn call(&self, who: Option<&Person>, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(who, method, path, body, &[]).await
    }

    async fn call_with(
        &self,
        who: Option<&Person>,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(Person { token, .. }) = who {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, who: &Person, path: &str) -> Answer {
        self.call(Some(who), "GET", path, Value::Null).await
    }

    async fn post(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call(Some(who), "POST", path, body).await
    }

    async fn register(&self, email: &str) -> Person {
        let body = json!({ "email": email, "password": PASSWORD, "organization": "Kererū" });
        Person::of(&self.call(None, "POST", "/api/v1/auth/register", body).await.expect(201))
    }

    async fn project(&self, who: &Person, id: &str) -> Value {
        let dna = json!({ "modules": { "lead_gen": { "sales_bridge": { "destination_phone": "027 555 0001" } } } });
        let body = json!({ "project_id": id, "business_name": "Kererū Plumbing", "dna": dna });
        self.post(who, "/api/v1/projects", body).await.expect(201)
    }

    async fn lead(&self, who: &Person, project: &str) -> Value {
        let body = json!({ "project_id": project, "name": "Mere", "phone": "027 555 9001" });
        self.post(who, "/api/v1/leads", body).await.expect(201)
    }

    /// A ticket that nobody works on: its actor was not told, and no sweeper runs.
    async fn quiet_ticket(&self, who: &Person, project: &Value) -> TicketId {
        let id = TicketId::new();
        let mut tx = self.state.store().tenant(who.org.parse().unwrap()).await.unwrap();
        let project_id = project["id"].as_str().unwrap().parse().unwrap();
        let params = json!({ "text": "hello" });
        tx.create_ticket(&apex_storage::NewTicket {
            id,
            project_id,
            task: "sales_agent",
            actor: "task",
            lead_id: None,
            params: &params,
            created_by: "test",
            deadline_at: None,
        })
        .await
        .unwrap();
        tx.commit().await.unwrap();
        id
    }
}

impl Person {
    fn of(body: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            token: text(&body["access_token"]),
            refresh: text(&body["refresh_token"]),
            org: text(&body["organization"]["id"]),
        }
    }
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Whether it is a problem of this status and code.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["trace_id"], self.headers["x-request-id"].to_str().unwrap());
    }

    /// The fields that were refused.
    fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["field"].as_str()).collect()
    }
}

fn rules() -> Rules {
    let second = Duration::from_secs(1);
    Rules {
        ring_timeout: second,
        lookup_for: second,
        silent_after: second,
        recording_wait: second,
        max_duration: second,
        node_permits: 1000,
        project_permits: 100,
        live_trees: 100,
        call_timeout: 30 * second,
        idle_after: HOUR,
        drain_patience: 10 * second,
        sweep_every: second,
        context_ttl: HOUR,
        hold_effects: false,
        timeline_kept: std::time::Duration::from_hours(24 * 90),
        outcome_within: std::time::Duration::from_mins(30),
        restart: RestartRule::default(),
    }
}
