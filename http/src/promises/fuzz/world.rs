//! What the requests may meet: an organisation with something of everything, and another one that must never be seen.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::TwilioLine;
use crate::promises::{House, PASSWORD, Person};
use crate::voice::signature::sign_form;

/// The account at the telephone provider, and what signs its callbacks.
const ACCOUNT: &str = "AC00000000000000000000000000000000";
const SIGNS: &str = "f00dfacef00dfacef00dfacef00dface";
/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_mins(1);
/// Renewals that a sign-in is used for: a password takes its time.
const SIGNED_IN_FOR: u32 = 5;
/// In every text of the other organisation.
const CANARY: &str = "canary-7c1f";

/// The names that a request may stand for something by; each is replaced when the request is sent.
pub(super) const KNOWN: [&str; 11] = [
    "@project",
    "@project_uuid",
    "@lead",
    "@ticket",
    "@schedule",
    "@api_key_id",
    "@google_key",
    "@token",
    "@refresh",
    "@org",
    "@stream",
];
/// The same for what belongs to somebody else.
pub(super) const FOREIGN: [&str; 4] = ["@other_project", "@other_lead", "@other_ticket", "@other_org"];

pub(super) struct World {
    house: House,
    owner: Person,
    known: BTreeMap<&'static str, String>,
    /// What only the other organisation may see.
    pub others: Vec<String>,
    renewals: u32,
}

/// An answer, with as much of its body as there is at once.
pub(super) struct Seen {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
    pub text: String,
    pub is_head: bool,
}

impl World {
    pub async fn open() -> Self {
        let line = TwilioLine::new(ACCOUNT, SIGNS.into(), "+6495550100");
        let house = House::open_with(Some(line)).await;
        let owner = house.register("owner@kereru.example").await;
        let other = house.register("other@tui.example").await;
        let (mut known, others) =
            (BTreeMap::new(), vec![CANARY.to_owned(), other.token.clone(), other.refresh.clone()]);
        let body = json!({ "project_id": "tui", "business_name": CANARY });
        let project = house.post(&other, "/api/v1/projects", body).await.expect(201);
        let body = json!({ "project_id": "tui", "name": CANARY, "phone": "027 555 9009", "message": CANARY });
        let lead = house.post(&other, "/api/v1/leads", body).await.expect(201);
        let ticket = house.quiet_ticket(&other, &project).await;
        known.insert("@other_project", "tui".to_owned());
        known.insert("@other_lead", text(&lead["id"]));
        known.insert("@other_ticket", ticket.to_string());
        known.insert("@other_org", other.org);
        known.insert("@org", owner.org.clone());
        let mut world = Self { house, owner, known, others, renewals: 0 };
        world.renew().await;
        world
    }

    /// Makes again what may have been deleted or used up.
    pub async fn renew(&mut self) {
        if self.renewals.is_multiple_of(SIGNED_IN_FOR) {
            let login = json!({ "email": "owner@kereru.example", "password": PASSWORD });
            self.owner = Person::of(&self.house.call(None, "POST", "/api/v1/auth/login", login).await.expect(200));
        }
        self.renewals += 1;
        let (house, owner) = (&self.house, &self.owner);
        let slug = format!("kereru-{}", self.renewals);
        let project = house.project(owner, &slug).await;
        let lead = house.lead(owner, &slug).await;
        let ticket = house.quiet_ticket(owner, &project).await;
        let schedule = json!({ "project_id": slug, "name": "daily", "cron": "30 8 * * *", "task": "sales_agent",
            "params": { "action": "notify_sms", "text": "Kia ora" } });
        let schedule = house.post(owner, "/api/v1/schedules", schedule).await.expect(201);
        let stream = house.post(owner, "/api/v1/auth/stream-ticket", json!({})).await;
        let scopes = json!({ "name": slug, "scopes": ["read", "write"] });
        let key = house.post(owner, "/api/v1/api-keys", scopes).await.expect(201);
        let fresh = [
            ("@api_key", text(&key["key"])),
            ("@api_key_id", text(&key["id"])),
            ("@project", slug),
            ("@project_uuid", text(&project["id"])),
            ("@google_key", text(&project["google_key"])),
            ("@token", text(&project["webhook_token"])),
            ("@lead", text(&lead["id"])),
            ("@ticket", ticket.to_string()),
            ("@schedule", text(&schedule["id"])),
            ("@refresh", owner.refresh.clone()),
            ("@stream", text(&stream.body["ticket"])),
        ];
        self.known.extend(fresh);
    }

    /// Puts what is known in the place of its names, the longest first.
    pub fn filled(&self, text: &str) -> String {
        if !text.contains('@') {
            return text.to_owned();
        }
        let mut names: Vec<_> = self.known.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// The owner's bearer.
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.owner.token)
    }

    /// What the telephone provider would send along.
    pub fn signature(path_and_query: &str, form: &[(String, String)]) -> String {
        let url = format!("https://apex.example{path_and_query}");
        sign_form(&SecretString::from(SIGNS), &url, form)
    }

    /// What no refusal may hold, whoever asks.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let kept = ["@google_key", "@token", "@api_key"].map(|name| self.known[name].as_str());
        [self.owner.token.as_str(), self.owner.refresh.as_str(), PASSWORD, SIGNS].into_iter().chain(kept)
    }

    /// Sends a request; of a stream only the head is read.
    pub async fn send(&self, request: Request<Body>) -> Result<Seen, String> {
        let is_head = request.method() == Method::HEAD;
        let answered = async {
            let (parts, body) = self.house.api.clone().oneshot(request).await.expect("infallible").into_parts();
            let is_stream = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
            let bytes = if is_stream { Ok(Vec::new().into()) } else { to_bytes(body, 16 << 20).await };
            (parts, bytes)
        };
        let (parts, bytes) = tokio::time::timeout(PATIENCE, answered).await.map_err(|_| "no answer".to_owned())?;
        let bytes = bytes.map_err(|error| format!("the answer broke off: {error}"))?;
        Ok(Seen {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            is_head,
        })
    }
}

impl Seen {
    /// Whether a text is in the body or a header.
    pub fn holds(&self, wanted: &str) -> bool {
        let in_header = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).contains(wanted);
        self.text.contains(wanted) || self.headers.values().any(in_header)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
