//! A tiny program on the other side: gives scripts, takes callbacks, remembers everything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apex_sandbox::{Ledger, Options, Sandbox};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub const BOSS: &str = "+64275559001";
pub const CUSTOMER: &str = "+64275559002";
pub const OUR_NUMBER: &str = "+6498889002";
const PATIENCE: Duration = Duration::from_secs(20);

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub params: BTreeMap<String, String>,
    pub signed: bool,
}

impl Seen {
    pub fn get(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Memory {
    addr: Mutex<Option<SocketAddr>>,
    answers: Mutex<HashMap<String, (u16, String, String)>>,
    seen: Mutex<Vec<Seen>>,
}

/// The program and the sandbox it plays with.
pub struct Ours {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
    pub options: Options,
    pub base: String,
    memory: Arc<Memory>,
    _server: JoinSet<()>,
}

impl Ours {
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        let sandbox = Sandbox::start(options.clone()).await.expect("a sandbox");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let memory = Arc::new(Memory::default());
        *memory.addr.lock().expect("a lock") = Some(addr);
        let app = Router::new().fallback(answer).with_state(Arc::clone(&memory));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.expect("serving") });
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let ours = Self { sandbox, http, options, base: format!("http://{addr}"), memory, _server: server };
        ours.usual_scripts();
        ours
    }

    /// Whisper, connect, after: the boss is called first.
    fn usual_scripts(&self) {
        self.script(
            "/whisper",
            r#"<Gather numDigits="1" timeout="8" actionOnEmptyResult="true" method="POST" action="{base}/connect?bridge=b1">
               <Say language="en-NZ">New lead, press 1.</Say></Gather><Hangup/>"#,
        );
        self.script(
            "/connect",
            &format!(
                r#"<Dial callerId="{OUR_NUMBER}" timeout="25" answerOnBridge="true" timeLimit="3600"
               record="record-from-answer-dual" recordingStatusCallback="{{base}}/recording"
               recordingStatusCallbackEvent="in-progress completed absent" action="{{base}}/after">
               <Number statusCallback="{{base}}/leg" statusCallbackEvent="initiated ringing answered completed">{CUSTOMER}</Number></Dial>"#
            ),
        );
        self.script("/after", "<Hangup/>");
    }

    /// Sets the verbs that a path answers with.
    pub fn script(&self, path: &str, verbs: &str) {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{verbs}</Response>");
        self.answer(path, 200, "text/xml; charset=utf-8", &body);
    }

    pub fn answer(&self, path: &str, status: u16, kind: &str, body: &str) {
        let answer = (status, kind.to_owned(), body.replace("{base}", &self.base));
        self.memory.answers.lock().expect("a lock").insert(path.to_owned(), answer);
    }

    /// Everything that came in at a path.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.memory.seen.lock().expect("a lock");
        seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// Everything that came in.
    pub fn all_seen(&self) -> Vec<Seen> {
        self.memory.seen.lock().expect("a lock").clone()
    }

    /// The values of one parameter at a path, in order.
    pub fn told(&self, path: &str, name: &str) -> Vec<String> {
        self.seen(path).iter().map(|seen| seen.get(name).to_owned()).collect()
    }

    pub fn rest(&self, path: &str) -> String {
        format!("{}/2010-04-01/Accounts/{}/{path}", self.sandbox.url(), self.options.account_sid)
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let request =
            self.http.get(self.rest(path)).basic_auth(&self.options.account_sid, Some(&self.options.auth_token));
        json(request.send().await.expect("an answer")).await
    }

    /// Posts and waits a second at most.
    pub async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Result<reqwest::Response> {
        self.form(path, form).timeout(Duration::from_secs(1)).send().await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        json(self.form(path, form).timeout(PATIENCE).send().await.expect("an answer")).await
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let request = self.http.post(self.rest(path)).form(form);
        request.basic_auth(&self.options.account_sid, Some(&self.options.auth_token))
    }

    /// Places the usual call to the boss and gives its sid.
    pub async fn call_boss(&self) -> String {
        self.call_boss_for("e1").await
    }

    pub async fn call_boss_for(&self, effect: &str) -> String {
        let url = format!("{}/whisper?bridge=b1&effect={effect}", self.base);
        let (status, call) = self.post("Calls.json", &call_form(&url, &format!("{}/status", self.base))).await;
        assert_eq!(status, 201, "{call}");
        assert_eq!(call["status"], "queued");
        call["sid"].as_str().expect("a sid").to_owned()
    }

    /// Waits until something is so, and gives the ledger that shows it.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Ledger) -> bool) -> Ledger {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            if self.sandbox.read(&is_so) {
                return self.sandbox.ledger();
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {:#?}", self.sandbox.ledger());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    /// Waits until a call was placed and all calls are over.
    pub async fn until_quiet(&self) -> Ledger {
        self.until("quiet", |ledger| !ledger.calls.is_empty() && ledger.is_quiet()).await
    }

    /// Waits until a path has seen so many requests.
    pub async fn until_seen(&self, path: &str, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} at {path}"), |_| self.seen(path).len() >= count).await;
        self.seen(path)
    }

    pub async fn stop(self) {
        self.sandbox.stop().await;
    }
}

/// The form that asks for the usual call.
pub fn call_form<'a>(url: &'a str, status_callback: &'a str) -> Vec<(&'static str, &'a str)> {
    let mut form =
        vec![("To", BOSS), ("From", OUR_NUMBER), ("Url", url), ("StatusCallback", status_callback), ("Timeout", "25")];
    form.extend(["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event)));
    form
}

pub async fn json(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn answer(State(memory): State<Arc<Memory>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let addr = memory.addr.lock().expect("a lock").expect("an address");
    let params: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    let expected = signature(&format!("http://{addr}{uri}"), &params);
    let signed = headers.get("x-twilio-signature").is_some_and(|given| given.as_bytes() == expected.as_bytes());
    let seen = Seen { path: uri.path().to_owned(), params: params.into_iter().collect(), signed };
    memory.seen.lock().expect("a lock").push(seen);
    match memory.answers.lock().expect("a lock").get(uri.path()).cloned() {
        Some((status, kind, text)) => {
            (StatusCode::from_u16(status).expect("a status"), [("content-type", kind)], text).into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

fn signature(url: &str, params: &[(String, String)]) -> String {
    let sorted: BTreeSet<_> = params.iter().collect();
    let text = sorted.iter().fold(url.to_owned(), |text, (name, value)| text + name + value);
    let token = Options::default().auth_token;
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
