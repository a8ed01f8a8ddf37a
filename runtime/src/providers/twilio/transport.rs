//! How requests travel: addresses, credentials, time limits, and how much of an answer is read.

use std::time::{Duration, Instant};

use apex_actors::ports::PortError;
use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::providers::{SetupError, base};

const CONNECT: Duration = Duration::from_secs(3);
const CREATE: Duration = Duration::from_secs(15);
const READ: Duration = Duration::from_secs(10);
/// Sound is megabytes.
const SOUND: Duration = Duration::from_mins(1);
/// The longest wait that a provider is believed.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// A page of a list is some hundred kilobytes.
const ANSWER_BYTES: usize = 4 << 20;
/// As many as a look-up can need, well below the provider's limit of 1000.
const PAGE_SIZE: &str = "200";

/// The way to one account.
#[derive(Debug)]
pub(super) struct Wire {
    /// Keeps no connection: each request writes on a fresh one, in HTTP/1.1, where a connection is never shared.
    fresh: Client,
    kept: Client,
    account_sid: String,
    auth_token: SecretString,
    /// `…/2010-04-01/Accounts/`
    accounts: Url,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trip {
    /// No connection came about, so nothing was written.
    NotConnected,
    /// The time was over.
    TimedOut,
    /// The connection broke, before or after the request was read.
    Broken,
}

/// An answer, as far as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    /// HTTP status.
    pub status: u16,
    /// How long to wait before asking again.
    pub retry_after: Option<Duration>,
    /// `None`: it broke off, or was too long.
    pub body: Option<Vec<u8>>,
}

impl Wire {
    pub(super) fn new(account_sid: &str, auth_token: SecretString, address: Url) -> Result<Self, SetupError> {
        let path_safe = !account_sid.is_empty() && account_sid.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !path_safe {
            return Err(SetupError::Account);
        }
        let address = base(address)?;
        let Ok(accounts) = address.join("2010-04-01/Accounts/") else { return Err(SetupError::BaseUrl(address)) };
        let fresh = client().http1_only().pool_max_idle_per_host(0).timeout(CREATE);
        let kept = client().timeout(READ);
        Ok(Self {
            fresh: fresh.build().map_err(SetupError::Client)?,
            kept: kept.build().map_err(SetupError::Client)?,
            account_sid: account_sid.to_owned(),
            auth_token,
            accounts,
        })
    }

    /// The account itself.
    pub(super) fn account(&self) -> Url {
        self.under(&format!("{}.json", self.account_sid))
    }

    /// One call.
    pub(super) fn call(&self, sid: &str) -> Result<Url, PortError> {
        Ok(self.under(&format!("{}/Calls/{}.json", self.account_sid, path_safe(sid)?)))
    }

    /// The recordings of one call.
    pub(super) fn recordings_of(&self, sid: &str) -> Result<Url, PortError> {
        Ok(self.under(&format!("{}/Calls/{}/Recordings.json", self.account_sid, path_safe(sid)?)))
    }

    /// A recording's sound.
    pub(super) fn media(&self, sid: &str) -> Result<Url, PortError> {
        Ok(self.under(&format!("{}/Recordings/{}.wav", self.account_sid, path_safe(sid)?)))
    }

    fn under(&self, path: &str) -> Url {
        let mut url = self.accounts.clone();
        let whole = format!("{}{path}", self.accounts.path());
        url.set_path(&whole);
        url
    }

    /// Whether credentials may go there.
    pub(super) fn is_home(&self, url: &Url) -> bool {
        url.origin() == self.accounts.origin()
    }

    /// Makes something, on a connection of its own. One try.
    pub(super) async fn create(&self, kind: &str, form: &[(&str, &str)]) -> Result<Reply, Trip> {
        let url = self.under(&format!("{}/{kind}.json", self.account_sid));
        self.answer(self.signed(self.fresh.post(url).form(form))).await
    }

    /// Changes something to a state; twice is as good as once.
    pub(super) async fn change(&self, url: Url, form: &[(&str, &str)]) -> Result<Reply, Trip> {
        self.answer(self.signed(self.kept.post(url).form(form))).await
    }

    /// Reads something.
    pub(super) async fn get(&self, url: Url) -> Result<Reply, PortError> {
        self.answer(self.signed(self.kept.get(url))).await.map_err(Trip::port_error)
    }

    /// Reads the newest of a kind that fit: one page.
    pub(super) async fn list(&self, kind: &str, filter: &[(&str, &str)]) -> Result<Reply, PortError> {
        let mut url = self.under(&format!("{}/{kind}.json", self.account_sid));
        url.query_pairs_mut().extend_pairs(filter).append_pair("PageSize", PAGE_SIZE);
        self.get(url).await
    }

    /// Reads one page of a kind, by a whole query.
    pub(super) async fn page(&self, kind: &str, query: &str) -> Result<Reply, PortError> {
        let mut url = self.under(&format!("{}/{kind}.json", self.account_sid));
        url.set_query(Some(query));
        self.get(url).await
    }

    /// Begins to read sound, from home with credentials, from elsewhere without.
    pub(super) async fn open(&self, url: &Url) -> Result<Response, Trip> {
        let request = self.kept.get(url.clone()).timeout(SOUND);
        let request = if self.is_home(url) { self.signed(request) } else { request };
        request.send().await.map_err(|error| Trip::of(&error))
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.account_sid, Some(self.auth_token.expose_secret()))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Reply, Trip> {
        let asked_at = Instant::now();
        let mut response = request.send().await.map_err(|error| Trip::of(&error))?;
        let status = response.status().as_u16();
        let elapsed_ms = asked_at.elapsed().as_millis();
        let request_id = request_id(response.headers());
        if response.status().is_success() {
            tracing::debug!(twilio.request_id = request_id, http.status = status, elapsed_ms, "twilio answered");
        } else {
            tracing::info!(twilio.request_id = request_id, http.status = status, elapsed_ms, "twilio said no");
        }
        let retry_after = retry_after(response.headers());
        let body = read_up_to(&mut response, ANSWER_BYTES).await.ok();
        Ok(Reply { status, retry_after, body })
    }
}

impl Trip {
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if error.is_connect() || error.is_builder() {
            Self::NotConnected
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "no connection came about",
            Self::TimedOut => "no answer in time",
            Self::Broken => "the connection broke",
        }
    }

    pub(super) fn port_error(self) -> PortError {
        PortError::Transient(self.as_str().to_owned())
    }
}

impl Reply {
    /// The body as JSON, where it is JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body.as_deref()?).ok()
    }

    /// Twilio's code, where one is given.
    pub(super) fn code(&self) -> Option<String> {
        match &self.json()?["code"] {
            Value::Number(code) => Some(code.to_string()),
            Value::String(code) if path_safe(code).is_ok() => Some(code.clone()),
            _ => None,
        }
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than it may be.
    TooLong,
    /// It broke off.
    Broken,
}

/// The body, if it is no longer than `limit` bytes.
pub(super) async fn read_up_to(response: &mut Response, limit: usize) -> Result<Vec<u8>, Unread> {
    let announced = response.content_length().unwrap_or_default();
    if usize::try_from(announced).map_or(true, |announced| announced > limit) {
        return Err(Unread::TooLong);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Unread::Broken)? {
        if body.len() + chunk.len() > limit {
            return Err(Unread::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn client() -> ClientBuilder {
    Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .user_agent(concat!("apex/", env!("CARGO_PKG_VERSION")))
}

/// Ids become parts of addresses, so they are nothing but letters and digits.
fn path_safe(sid: &str) -> Result<&str, PortError> {
    if !sid.is_empty() && sid.len() <= 64 && sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(sid)
    } else {
        Err(PortError::Permanent("the id is not one of the provider's".to_owned()))
    }
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("Twilio-Request-Id")?.to_str().ok()
}

/// Seconds, or a date measured against the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let then = DateTime::parse_from_rfc2822(text).ok()?;
    let now = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some((then - now).to_std().unwrap_or_default().min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        retry_after(&map).map(|wait| wait.as_secs())
    }

    #[test]
    fn the_wait_is_read_as_seconds_or_as_a_date() {
        let (date, now) = ("Thu, 19 Nov 2026 12:00:09 GMT", "Thu, 19 Nov 2026 12:00:00 GMT");
        assert_eq!(wait(&[("retry-after", "3")]), Some(3));
        assert_eq!(wait(&[("retry-after", date), ("date", now)]), Some(9));
        assert_eq!(wait(&[("retry-after", now), ("date", date)]), Some(0));
        assert_eq!(wait(&[("retry-after", "999999999")]), Some(3600));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", date)]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_the_address() {
        let wire = Wire::new("AC1", "secret".into(), "https://api.example/x".parse().unwrap()).unwrap();
        assert_eq!(wire.call("CA2").unwrap().as_str(), "https://api.example/x/2010-04-01/Accounts/AC1/Calls/CA2.json");
        for sid in ["", "../CA2", "CA2/Recordings", "CA2?x=1", "CA2#", "CA%2e", "CĀ2"] {
            assert!(matches!(wire.call(sid), Err(PortError::Permanent(_))), "{sid}");
        }
        assert!(matches!(Wire::new("AC1/../AC2", "s".into(), wire.account()), Err(SetupError::Account)));
    }

    #[test]
    fn credentials_stay_at_home() {
        let wire = Wire::new("AC1", "secret".into(), "https://api.example".parse().unwrap()).unwrap();
        assert!(wire.is_home(&"https://api.example/anywhere".parse().unwrap()));
        for other in ["http://api.example/", "https://api.example:8443/", "https://media.example/"] {
            assert!(!wire.is_home(&other.parse().unwrap()), "{other}");
        }
        assert!(!format!("{wire:?}").contains("secret"));
    }
}
