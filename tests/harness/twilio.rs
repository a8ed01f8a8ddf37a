//! Callbacks of the telephone provider, made by hand: signed, badly signed or not signed at all.
//!
//! The signature is written here once more on purpose: a test must not trust the code it tests.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use sha1::Sha1;

/// Form parameters in the order they are sent.
pub type Params<'a> = [(&'a str, &'a str)];

/// Posts to the voice and message paths of one program.
#[derive(Clone, Debug)]
pub struct Twilio {
    api: String,
    account_sid: String,
    auth_token: String,
    http: reqwest::Client,
}

/// The answer to a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, or 403 for a signature that is not ours.
    pub status: StatusCode,
    /// `text/xml` where the body is a script.
    pub content_type: String,
    /// The script.
    pub body: String,
}

impl Twilio {
    pub(crate) fn new(api: &str, account_sid: &str, auth_token: &str) -> Self {
        let (account_sid, auth_token) = (account_sid.to_owned(), auth_token.to_owned());
        Self { api: api.to_owned(), account_sid, auth_token, http: reqwest::Client::new() }
    }

    /// The account that the program works for.
    pub fn account_sid(&self) -> &str {
        &self.account_sid
    }

    /// Posts as the provider does: `path` may carry a query, the signature covers the whole URL.
    pub async fn post(&self, path: &str, params: &Params<'_>) -> Answer {
        let signature = sign(&self.auth_token, &self.url(path), params);
        self.send(path, params, Some(&signature)).await
    }

    /// Posts without a signature.
    pub async fn post_unsigned(&self, path: &str, params: &Params<'_>) -> Answer {
        self.send(path, params, None).await
    }

    /// Posts with a signature made with another account's token.
    pub async fn post_badly_signed(&self, path: &str, params: &Params<'_>) -> Answer {
        let signature = sign("f00dfacef00dfacef00dfacef00dface", &self.url(path), params);
        self.send(path, params, Some(&signature)).await
    }

    /// Posts with any header text.
    pub async fn post_with_signature(&self, path: &str, params: &Params<'_>, signature: &str) -> Answer {
        self.send(path, params, Some(signature)).await
    }

    fn url(&self, path: &str) -> String {
        // A URL taken out of a script is whole already.
        if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.api) }
    }

    async fn send(&self, path: &str, params: &Params<'_>, signature: Option<&str>) -> Answer {
        let mut request = self.http.post(self.url(path)).form(params);
        if let Some(signature) = signature {
            request = request.header("X-Twilio-Signature", signature);
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("POST {path}: {error}"));
        let header = response.headers().get("content-type");
        let content_type = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        Answer { status: response.status(), content_type, body: response.text().await.expect("a whole body") }
    }
}

/// The `X-Twilio-Signature` of a form posted to `url`: names sorted, each with its distinct values, nothing in between.
///
/// # Panics
///
/// Never: the algorithm takes a key of any length.
pub fn sign(auth_token: &str, url: &str, params: &Params<'_>) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = url.split('#').next().unwrap_or_default().to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "f00dfacef00dfacef00dfacef00dface";

    #[test]
    fn a_signature_equals_the_providers_own() {
        let sms = sign(
            TOKEN,
            "https://hooks.kereru.example/twilio/sms?tenant=t_9&src=ads%20one",
            &[
                ("MessageSid", "SM00112233445566778899aabbccddeeff"),
                ("From", "+64275559001"),
                ("To", "+6498889002"),
                ("NumMedia", "0"),
                ("Body", "Tēnā koe & welcome"),
                ("AccountSid", "AC00112233445566778899aabbccddeeff"),
            ],
        );
        assert_eq!(sms, "8s07QciUXnDWe/Lm8UOW0g4KtEY=");
        let repeated =
            sign(TOKEN, "https://hooks.kereru.example/twilio/x", &[("a", "2"), ("a", "1"), ("a", "2"), ("B", "z")]);
        assert_eq!(repeated, "a1Ico2JVwecEJ6Z8ZkXc93aO8l4=");
        let params = [("CallSid", "CA00112233445566778899aabbccddeeff"), ("Digits", "1")];
        let with_port = sign(TOKEN, "https://hooks.kereru.example:8443/twilio/voice", &params);
        assert_eq!(with_port, "epOw6qdv6NmVPciQz40M/u48b0M=");
        let without_port = sign(TOKEN, "https://hooks.kereru.example/twilio/voice", &params);
        assert_eq!(without_port, "dRSHiFvDJMGH1niAvj0A0OzX6mI=");
    }
}
