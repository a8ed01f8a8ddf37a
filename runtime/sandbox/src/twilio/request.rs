//! Signed requests to the program: fetches of scripts and callbacks alike.

use std::time::Duration;

use reqwest::Method;
use tokio::time::Instant;
use url::form_urlencoded;
use uuid::Uuid;

use crate::signature::{sign, signed_url, without_fragment};
use crate::stage::Stage;
use crate::twilio::form::Params;

/// A voice request is cut after this long.
const CUT_AFTER: Duration = Duration::from_secs(15);

/// Where to ask, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub url: String,
    pub get: bool,
}

impl Link {
    pub(crate) fn new(url: &str, method: Option<&str>) -> Self {
        Self { url: url.to_owned(), get: method.is_some_and(|method| method.eq_ignore_ascii_case("get")) }
    }
}

/// Where to tell, and of which events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    pub link: Link,
    pub events: Vec<String>,
}

impl Hook {
    /// Without a choice only the end is told.
    pub(crate) fn new(link: Link, mut events: Vec<String>) -> Self {
        if events.is_empty() {
            events.push("completed".to_owned());
        }
        Self { link, events }
    }

    pub(crate) fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|wanted| wanted == event)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
    pub ms: u64,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Silence {
    /// Nobody there, or the connection broke.
    Unreachable(String),
    /// Cut after 15 seconds.
    Cut,
}

impl Stage {
    /// Asks with `params`, signed. A connection that cannot be made is tried once more; nothing else is.
    pub(crate) async fn ask(&self, link: &Link, params: &Params) -> Result<Answer, Silence> {
        let started = Instant::now();
        let asked = tokio::time::timeout(CUT_AFTER, self.exchange(link, params)).await;
        match asked {
            Ok(Ok((status, content_type, body))) => {
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                Ok(Answer { status, content_type, body, ms })
            }
            Ok(Err(error)) => Err(Silence::Unreachable(error.without_url().to_string())),
            Err(_) => Err(Silence::Cut),
        }
    }

    async fn exchange(&self, link: &Link, params: &Params) -> reqwest::Result<(u16, String, String)> {
        let request = self.request(link, params)?;
        let again = request.try_clone();
        let response = match (self.http.execute(request).await, again) {
            (Err(error), Some(again)) if error.is_connect() => self.http.execute(again).await?,
            (first, _) => first?,
        };
        let status = response.status().as_u16();
        let content_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Ok((status, content_type, response.text().await?))
    }

    fn request(&self, link: &Link, params: &Params) -> reqwest::Result<reqwest::Request> {
        let token = &self.options.auth_token;
        let encoded = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let url = without_fragment(&link.url);
        let request = if link.get {
            let url = format!("{url}{}{encoded}", if url.contains('?') { '&' } else { '?' });
            let signature = sign(token, &signed_url(&url), &[]);
            self.http.request(Method::GET, url).header("X-Twilio-Signature", signature)
        } else {
            let signature = sign(token, &signed_url(url), params);
            let form = "application/x-www-form-urlencoded; charset=UTF-8";
            self.http.post(url).header("X-Twilio-Signature", signature).header("Content-Type", form).body(encoded)
        };
        request.header("Accept", "*/*").header("I-Twilio-Idempotency-Token", Uuid::new_v4().to_string()).build()
    }
}
