//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use apex_actors::Directory;
use apex_storage::blob::Blobs;
use apex_storage::mirror::{Mirror, MirrorWriter};
use apex_storage::model::TicketId;
use apex_storage::{Intake, Store};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::auth::token::TokenIssuer;
use crate::error::ApiError;
use crate::limits::{Limits, Rates};
use crate::reading::Readings;
use crate::voice::signature::Verifier;

/// Password hashes computed at the same time: each takes 19 MiB and a core.
const HASHES_AT_ONCE: usize = 4;
/// Streams that read rows at the same time: however many wake at once, forms and callbacks find a connection.
const LOOKS_AT_ONCE: usize = 4;
/// How long a stream waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Most copies that wait to be put back into the mirror; older ones are given up, since the next reader puts them back.
const REFILLED: usize = 1024;

/// The means of the API. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    parts: Parts,
    /// Puts copies back that the mirror has lost.
    refill: MirrorWriter,
    readings: Readings,
    limits: Limits,
    hashing: Semaphore,
    looking: Semaphore,
}

/// What the API is built from.
pub struct Parts {
    /// The facts.
    pub store: Store,
    /// Where leads are handed in.
    pub intake: Intake,
    /// Where projects are reached.
    pub directory: Directory,
    /// Copies of tickets.
    pub mirror: Arc<dyn Mirror>,
    /// Recordings.
    pub blobs: Blobs,
    /// Issues and checks access tokens.
    pub tokens: TokenIssuer,
    /// How long an access token is good.
    pub access_ttl: Duration,
    /// How long a refresh token is good.
    pub refresh_ttl: Duration,
    /// How long the mirror keeps a ticket.
    pub context_ttl: Duration,
    /// How the outside reaches the API, without a slash at the end.
    pub public_url: String,
    /// Largest request body, bytes.
    pub body_limit: usize,
    /// How long a request body may take to arrive.
    pub body_within: Duration,
    /// The telephone line; `None`: no callback is accepted.
    pub twilio: Option<TwilioLine>,
    /// Whether the outside is played by the sandbox.
    pub sandbox: bool,
    /// Whether nothing leaves until a person releases it.
    pub holds_effects: bool,
    /// How much of it one may have.
    pub rates: Rates,
    /// Origins whose browser pages may call the API.
    pub allowed_origins: Vec<String>,
    /// Becomes `true` when the node is stopping: streams end and readiness is withdrawn.
    pub closing: watch::Receiver<bool>,
}

/// The account whose callbacks are ours.
#[derive(Clone, Debug)]
pub struct TwilioLine {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Checks the signatures of callbacks.
    pub verifier: Verifier,
    /// The number that people see, in E.164.
    pub number: String,
}

impl TwilioLine {
    /// The line of an account.
    pub fn new(account_sid: impl Into<String>, auth_token: SecretString, number: impl Into<String>) -> Self {
        let verifier = Verifier::new(auth_token);
        Self { account_sid: account_sid.into(), verifier, number: number.into() }
    }
}

impl AppState {
    /// Puts the parts together. Call it inside a Tokio runtime.
    pub fn new(parts: Parts) -> Self {
        let refill = MirrorWriter::new(Arc::clone(&parts.mirror), REFILLED);
        let (hashing, looking) = (Semaphore::new(HASHES_AT_ONCE), Semaphore::new(LOOKS_AT_ONCE));
        let limits = Limits::new(parts.rates, parts.store.clock().monotonic());
        Self(Arc::new(Inner { parts, refill, readings: Readings::default(), limits, hashing, looking }))
    }

    /// The facts.
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// Where leads are handed in.
    pub fn intake(&self) -> &Intake {
        &self.0.parts.intake
    }

    /// Where projects are reached.
    pub fn directory(&self) -> &Directory {
        &self.0.parts.directory
    }

    /// Copies of tickets.
    pub fn mirror(&self) -> &dyn Mirror {
        self.0.parts.mirror.as_ref()
    }

    /// Puts a copy back into the mirror, behind the back of whoever read it from rows.
    pub(crate) fn refill(&self, id: TicketId, seq: i64, body: String) {
        self.0.refill.push(id.0, seq, body);
    }

    /// What the streams of a ticket share.
    pub(crate) fn readings(&self) -> &Readings {
        &self.0.readings
    }

    /// What was asked for of late, and by whom.
    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Recordings.
    pub fn blobs(&self) -> &Blobs {
        &self.0.parts.blobs
    }

    /// Issues and checks access tokens.
    pub fn tokens(&self) -> &TokenIssuer {
        &self.0.parts.tokens
    }

    /// How long an access token is good.
    pub fn access_ttl(&self) -> TimeDelta {
        TimeDelta::from_std(self.0.parts.access_ttl).unwrap_or(TimeDelta::MAX)
    }

    /// How long a refresh token is good.
    pub fn refresh_ttl(&self) -> TimeDelta {
        TimeDelta::from_std(self.0.parts.refresh_ttl).unwrap_or(TimeDelta::MAX)
    }

    /// How long the mirror keeps a ticket.
    pub fn context_ttl(&self) -> Duration {
        self.0.parts.context_ttl
    }

    /// How the outside reaches the API, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.0.parts.public_url
    }

    /// Largest request body, bytes.
    pub fn body_limit(&self) -> usize {
        self.0.parts.body_limit
    }

    /// How long a request body may take to arrive.
    pub fn body_within(&self) -> Duration {
        self.0.parts.body_within
    }

    /// The telephone line, if there is one.
    pub fn twilio(&self) -> Option<&TwilioLine> {
        self.0.parts.twilio.as_ref()
    }

    /// Origins whose browser pages may call the API.
    pub fn allowed_origins(&self) -> &[String] {
        &self.0.parts.allowed_origins
    }

    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.store().now()
    }

    /// Whether the node is stopping.
    pub fn is_closing(&self) -> bool {
        *self.0.parts.closing.borrow()
    }

    /// Returns when the node is stopping.
    pub(crate) async fn closed(&self) {
        let mut closing = self.0.parts.closing.clone();
        let _ = closing.wait_for(|closing| *closing).await; // a sender that is gone means the same
    }

    /// `sandbox` or `live`: who is on the other end of the line.
    pub fn mode(&self) -> &'static str {
        if self.0.parts.sandbox { "sandbox" } else { "live" }
    }

    /// `held`: nothing leaves until a person releases it. `sent`: effects go out as they are intended.
    pub fn effects(&self) -> &'static str {
        if self.0.parts.holds_effects { "held" } else { "sent" }
    }

    /// The turn of a stream to read rows; they come in the order of asking. `None`: it did not come for long, since clients
    /// that do not read hold theirs; the stream reads without.
    pub(crate) async fn turn_to_look(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(TURN_WITHIN, self.0.looking.acquire()).await.ok()?.ok()
    }

    /// Computes a password hash on a thread of its own, a few at a time.
    pub(crate) async fn hash_aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let _turn = self.0.hashing.acquire().await.map_err(|error| ApiError::internal(&error))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))
    }
}
