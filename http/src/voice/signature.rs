//! Proof that a request comes from Twilio: `X-Twilio-Signature`.
//!
//! Twilio signs the URL as it was configured there, so the URL is rebuilt from our own public base, never from what a
//! stranger wrote into a header. Its voice stack drops the port, its messaging stack keeps it: every spelling counts.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";
/// The header that announces another key or algorithm; see [`Verifier::accepts_settings`].
pub const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";

/// Checks signatures against an account's auth token, and against the old one while it is being changed.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    tokens: Vec<SecretString>,
}

impl Verifier {
    /// Checks against one token. An empty token verifies nothing.
    pub fn new(token: SecretString) -> Self {
        Self::default().and_token(token)
    }

    /// Accepts one more token, for the time of a rotation.
    #[must_use]
    pub fn and_token(mut self, token: SecretString) -> Self {
        if !token.expose_secret().is_empty() {
            self.tokens.push(token);
        }
        self
    }

    /// Is the signature made the way we know? A settings header means a key we do not hold, so it is refused.
    pub fn accepts_settings(header: Option<&str>) -> bool {
        header.is_none_or(|settings| settings.trim().is_empty())
    }

    /// Is this form (or GET, with no `params`) signed by the account?
    ///
    /// `urls` are the spellings of [`candidates`]; `params` the decoded body, every parameter, known or not.
    pub fn verify_form(&self, urls: &[String], params: &[(String, String)], header: Option<&str>) -> bool {
        let appended = canonical(params);
        self.any_matches(urls, &appended, header)
    }

    /// Is this JSON body signed by the account? Both the URL's signature and its `bodySHA256` must fit.
    pub fn verify_json(&self, urls: &[String], body: &[u8], header: Option<&str>) -> bool {
        let digest = hex::encode(Sha256::digest(body));
        let announced = |url: &String| {
            let found = body_digest(url).unwrap_or_default();
            bool::from(found.as_bytes().ct_eq(digest.as_bytes()))
        };
        let fitting: Vec<String> = urls.iter().filter(|url| announced(url)).cloned().collect();
        self.any_matches(&fitting, "", header)
    }

    /// Compares with every token and spelling, without stopping at the first that fits.
    fn any_matches(&self, urls: &[String], appended: &str, header: Option<&str>) -> bool {
        let Some(header) = header.map(str::trim).filter(|header| !header.is_empty()) else { return false };
        let mut matched = Choice::from(0);
        for token in &self.tokens {
            for url in urls {
                matched |= sign_text(token, &[url, appended]).as_bytes().ct_eq(header.as_bytes());
            }
        }
        matched.into()
    }
}

/// Signs a form as Twilio does; with no `params` a GET or the URL of a JSON body.
pub fn sign_form(token: &SecretString, url: &str, params: &[(String, String)]) -> String {
    sign_text(token, &[url, &canonical(params)])
}

/// Every spelling under which Twilio may have signed a URL of ours: as given, without its port, with the default port.
///
/// `path_and_query` is what the request line said, byte for byte, and begins with `/`.
pub fn candidates(public_base: &str, path_and_query: &str) -> Vec<String> {
    let given = format!("{}{path_and_query}", public_base.trim_end_matches('/'));
    let given = given.split_once('#').map_or(given.as_str(), |(before, _)| before);
    let mut found = vec![given.to_owned()];
    if let Some(url) = Url::split(given) {
        match url.port {
            Some(_) => found.push(url.spelled(None)),
            None => found.extend(url.default_port().map(|port| url.spelled(Some(port)))),
        }
        if url.scheme.starts_with("ws") {
            let slashed: Vec<String> = found.iter().map(|url| toggle_slash(url)).collect();
            found.extend(slashed);
        }
    }
    found
}

/// A URL cut into pieces without changing a byte of them.
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Url<'a> {
    fn split(url: &'a str) -> Option<Self> {
        let (scheme, after) = url.split_once("://")?;
        let (authority, rest) = after.split_at(after.find(['/', '?']).unwrap_or(after.len()));
        let is_port = |port: &&str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        // The colons inside `[::1]` are no port: what follows the last one there ends in a bracket.
        let cut = authority.rsplit_once(':').filter(|(_, port)| is_port(port));
        let (host, port) = cut.map_or((authority, None), |(host, port)| (host, Some(port)));
        Some(Self { scheme, host, port, rest })
    }

    fn default_port(&self) -> Option<&'static str> {
        match self.scheme {
            "https" | "wss" => Some("443"),
            "http" | "ws" => Some("80"),
            _ => None,
        }
    }

    fn spelled(&self, port: Option<&str>) -> String {
        let Self { scheme, host, rest, .. } = self;
        port.map_or_else(|| format!("{scheme}://{host}{rest}"), |port| format!("{scheme}://{host}:{port}{rest}"))
    }
}

/// The same URL with the path's final slash removed, or added where there is none.
fn toggle_slash(url: &str) -> String {
    let (path, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    path.strip_suffix('/').map_or_else(|| format!("{path}/{query}"), |path| format!("{path}{query}"))
}

/// Names in code-point order, each with its distinct values in order, all run together.
fn canonical(params: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let pairs = sorted.iter().flat_map(|(name, values)| values.iter().map(move |value| [*name, *value]));
    pairs.flatten().collect()
}

fn body_digest(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("bodySHA256="))
}

fn sign_text(token: &SecretString, parts: &[&str]) -> String {
    let key = token.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "f00dfacef00dfacef00dfacef00dface";

    fn verifier() -> Verifier {
        Verifier::new(TOKEN.into())
    }

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn sms() -> Vec<(String, String)> {
        params(&[
            ("MessageSid", "SM00112233445566778899aabbccddeeff"),
            ("From", "+64275559001"),
            ("To", "+6498889002"),
            ("NumMedia", "0"),
            ("Body", "Tēnā koe & welcome"),
            ("AccountSid", "AC00112233445566778899aabbccddeeff"),
        ])
    }

    const SMS_URL: &str = "/twilio/sms?tenant=t_9&src=ads%20one";
    const SMS_SIGNATURE: &str = "8s07QciUXnDWe/Lm8UOW0g4KtEY=";

    #[test]
    fn a_text_message_with_unicode_and_a_query_verifies() {
        let urls = candidates("https://hooks.kereru.example", SMS_URL);
        assert!(verifier().verify_form(&urls, &sms(), Some(SMS_SIGNATURE)));
    }

    #[test]
    fn repeated_names_count_once_per_distinct_value_in_order() {
        let urls = candidates("https://hooks.kereru.example/", "/twilio/x");
        let repeated = params(&[("a", "2"), ("a", "1"), ("a", "2"), ("B", "z")]);
        assert_eq!(canonical(&repeated), "Bza1a2");
        assert!(verifier().verify_form(&urls, &repeated, Some("a1Ico2JVwecEJ6Z8ZkXc93aO8l4=")));
    }

    #[test]
    fn a_signature_with_or_without_the_port_verifies() {
        let urls = candidates("https://hooks.kereru.example:8443", "/twilio/voice");
        let call = params(&[("CallSid", "CA00112233445566778899aabbccddeeff"), ("Digits", "1")]);
        for signature in ["epOw6qdv6NmVPciQz40M/u48b0M=", "dRSHiFvDJMGH1niAvj0A0OzX6mI="] {
            assert!(verifier().verify_form(&urls, &call, Some(signature)));
        }
    }

    #[test]
    fn a_json_body_needs_both_the_signature_and_its_digest() {
        let path = "/twilio/events?bodySHA256=889db690ee755e34808fd9237e9abbd014c43436439a1545b7ff0e0c8347a3b0";
        let urls = candidates("https://hooks.kereru.example", path);
        let signature = Some("jhidi90hp1sWu2hXIO+uhPFvPdM=");
        assert!(verifier().verify_json(&urls, br#"{"event":"call.done","n":3}"#, signature));
        assert!(!verifier().verify_json(&urls, br#"{"event":"call.done","n":4}"#, signature));
        assert!(!verifier().verify_json(&urls, br#"{"event":"call.done","n":3}"#, Some(SMS_SIGNATURE)));
        let bare = candidates("https://hooks.kereru.example", "/twilio/events");
        let signed = sign_form(&TOKEN.into(), &bare[0], &[]);
        assert!(!verifier().verify_json(&bare, b"{}", Some(&signed)));
    }

    #[test]
    fn anything_changed_or_missing_is_refused() {
        let urls = candidates("https://hooks.kereru.example", SMS_URL);
        let mut forged = sms();
        forged[4].1.push('!');
        assert!(!verifier().verify_form(&urls, &forged, Some(SMS_SIGNATURE)));
        assert!(!verifier().verify_form(&urls, &sms(), None));
        assert!(!verifier().verify_form(&urls, &sms(), Some("")));
        assert!(!verifier().verify_form(&[], &sms(), Some(SMS_SIGNATURE)));
        let elsewhere = candidates("https://hooks.kereru.example", "/twilio/sms");
        assert!(!verifier().verify_form(&elsewhere, &sms(), Some(SMS_SIGNATURE)));
    }

    #[test]
    fn an_empty_value_still_appends_its_name() {
        assert_eq!(canonical(&params(&[("Digits", ""), ("CallSid", "CA1")])), "CallSidCA1Digits");
    }

    #[test]
    fn no_token_verifies_nothing() {
        let urls = candidates("https://hooks.kereru.example", SMS_URL);
        let signed = sign_form(&"".into(), &urls[0], &sms());
        assert!(!Verifier::new("".into()).verify_form(&urls, &sms(), Some(&signed)));
    }

    #[test]
    fn both_tokens_count_during_a_rotation() {
        let rotating = Verifier::new("new-token".into()).and_token(TOKEN.into());
        let urls = candidates("https://hooks.kereru.example", SMS_URL);
        assert!(rotating.verify_form(&urls, &sms(), Some(SMS_SIGNATURE)));
        let renewed = sign_form(&"new-token".into(), &urls[0], &sms());
        assert!(rotating.verify_form(&urls, &sms(), Some(&renewed)));
    }

    #[test]
    fn candidates_spell_the_url_with_and_without_port() {
        assert_eq!(
            candidates("https://a.example", "/v?x=%20"),
            ["https://a.example/v?x=%20", "https://a.example:443/v?x=%20"]
        );
        assert_eq!(candidates("http://a.example:8000/", "/v"), ["http://a.example:8000/v", "http://a.example/v"]);
        assert_eq!(candidates("http://[::1]", "/v"), ["http://[::1]/v", "http://[::1]:80/v"]);
        assert_eq!(candidates("http://[::1]:90", "/v#rc=2"), ["http://[::1]:90/v", "http://[::1]/v"]);
        assert_eq!(
            candidates("wss://a.example", "/s?t=1"),
            [
                "wss://a.example/s?t=1",
                "wss://a.example:443/s?t=1",
                "wss://a.example/s/?t=1",
                "wss://a.example:443/s/?t=1"
            ]
        );
    }

    #[test]
    fn a_settings_header_is_a_key_we_do_not_hold() {
        assert!(Verifier::accepts_settings(None));
        assert!(!Verifier::accepts_settings(Some("key=webhooks_sharedkey_1,algorithm=HMAC_SHA256")));
    }
}
