//! A user of the API.

mod access;
mod leads;
mod tickets;

use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

pub use access::{PASSWORD, Project, Session, dna};

/// What every call returns: the status and the body, `null` when it is empty and text when it is no JSON.
pub type Answer = (StatusCode, Value);

/// Talks to one program, with or without a login. Paths begin with `/`; [`Client::v1`] puts the API's prefix before.
#[derive(Clone, Debug)]
pub struct Client {
    api: String,
    token: Option<String>,
    log: PathBuf,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(api: &str, log: &Path) -> Self {
        Self { api: api.to_owned(), token: None, log: log.to_owned(), http: reqwest::Client::new() }
    }

    /// The same client with another bearer: an access token or an API key.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same client without a login.
    #[must_use]
    pub fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The path of an endpoint in the canonical spelling.
    pub fn v1(path: &str) -> String {
        format!("/api/v1{path}")
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// POST with a JSON body.
    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// POST with a JSON body and an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
    }

    /// POST with a body of any type, byte for byte.
    pub async fn post_body(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).header("Content-Type", content_type);
        self.send(request.body(body.to_owned())).await
    }

    /// PUT with a body of any type.
    pub async fn put_body(&self, path: &str, content_type: &str, body: &str) -> Answer {
        let request = self.request(Method::PUT, path).header("Content-Type", content_type);
        self.send(request.body(body.to_owned())).await
    }

    /// PUT with a JSON body.
    pub async fn put_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch_json(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }

    /// A request with this client's login, for what the methods above do not offer.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.api));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request made by [`Self::request`].
    ///
    /// # Panics
    ///
    /// When nobody answers; the message holds the program's log.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}\n{}", self.program_log()))
    }

    /// Like [`Self::send`] for a program that may be dead.
    ///
    /// # Errors
    ///
    /// When the connection is refused or breaks.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if bytes.is_empty() {
            return Ok((status, Value::Null));
        }
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
    }

    /// What the program has logged.
    pub fn program_log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The body of a successful answer.
    ///
    /// # Panics
    ///
    /// When it is not successful; the message holds the answer and the program's log.
    pub fn ok(&self, what: &str, (status, body): Answer) -> Value {
        assert!(status.is_success(), "{what}: {status} {body}\n{}", self.program_log());
        body
    }
}

/// A text of an answer.
///
/// # Panics
///
/// When there is no text under this name.
pub(crate) fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {body}")).to_owned()
}
