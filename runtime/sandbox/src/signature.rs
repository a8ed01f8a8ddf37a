//! How Twilio signs what it sends us.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The `X-Twilio-Signature` of form parameters posted to `url`: names sorted, each with its distinct values, nothing in
/// between. With no parameters (a GET, a JSON body) it covers the URL alone. A fragment takes no part.
pub(crate) fn sign(auth_token: &str, url: &str, params: &[(String, String)]) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in params {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = without_fragment(url).to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The URL as the voice stack signs it: over TLS without its port, in the clear as it is.
pub(crate) fn signed_url(url: &str) -> String {
    let Some(rest) = url.strip_prefix("https://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (before, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let at = if before.is_empty() { "" } else { "@" };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    format!("https://{before}{at}{name}{path}")
}

pub(crate) fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "f00dfacef00dfacef00dfacef00dface";

    fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_message_with_letters_beyond_ascii_is_signed_as_twilio_does() {
        let sent = params(&[
            ("MessageSid", "SM00112233445566778899aabbccddeeff"),
            ("From", "+64275559001"),
            ("To", "+6498889002"),
            ("NumMedia", "0"),
            ("Body", "Tēnā koe & welcome"),
            ("AccountSid", "AC00112233445566778899aabbccddeeff"),
        ]);
        let url = "https://hooks.kereru.example/twilio/sms?tenant=t_9&src=ads%20one";
        assert_eq!(sign(TOKEN, url, &sent), "8s07QciUXnDWe/Lm8UOW0g4KtEY=");
        assert_eq!(sign(TOKEN, &format!("{url}#rc=2"), &sent), "8s07QciUXnDWe/Lm8UOW0g4KtEY=");
    }

    #[test]
    fn repeated_names_count_once_for_each_distinct_value() {
        let sent = params(&[("a", "2"), ("a", "1"), ("a", "2"), ("B", "z")]);
        assert_eq!(sign(TOKEN, "https://hooks.kereru.example/twilio/x", &sent), "a1Ico2JVwecEJ6Z8ZkXc93aO8l4=");
    }

    #[test]
    fn voice_over_tls_is_signed_without_the_port() {
        let sent = params(&[("CallSid", "CA00112233445566778899aabbccddeeff"), ("Digits", "1")]);
        let url = "https://hooks.kereru.example:8443/twilio/voice";
        assert_eq!(sign(TOKEN, url, &sent), "epOw6qdv6NmVPciQz40M/u48b0M=");
        assert_eq!(sign(TOKEN, &signed_url(url), &sent), "dRSHiFvDJMGH1niAvj0A0OzX6mI=");
        assert_eq!(signed_url("http://127.0.0.1:8000/voice"), "http://127.0.0.1:8000/voice");
        assert_eq!(signed_url("https://u:p@host:1/x:2"), "https://u:p@host/x:2");
    }

    #[test]
    fn a_json_body_is_covered_by_the_digest_in_the_url() {
        let url = "https://hooks.kereru.example/twilio/events?bodySHA256=889db690ee755e34808fd9237e9abbd014c43436439a1545b7ff0e0c8347a3b0";
        assert_eq!(sign(TOKEN, url, &[]), "jhidi90hp1sWu2hXIO+uhPFvPdM=");
    }
}
