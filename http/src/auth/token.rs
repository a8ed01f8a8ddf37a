//! Tokens: signed ones that say who is calling, and random ones of which only a hash is kept.
//!
//! The wall clock is passed in; the algorithm is ours to choose, never the token's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Who issues our tokens.
pub const ISSUER: &str = "apex";
/// Whom our tokens are for.
pub const AUDIENCE: &str = "apex-api";
/// What every API key begins with.
pub const API_KEY_PREFIX: &str = "apx_";
/// What every refresh token begins with.
pub const REFRESH_PREFIX: &str = "apr_";

/// How long a stream ticket lives, in seconds: it travels in a URL.
const STREAM_TICKET_S: i64 = 60;
/// How far two nodes' clocks may differ, in seconds, for a token that was only just issued.
const SKEW_S: i64 = 5;
/// The shortest signing key, in bytes: the length of the digest.
const MIN_KEY_BYTES: usize = 32;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Every request.
    Access,
    /// Opening one event stream, nothing else.
    Stream,
}

/// Who is calling, in which organisation, and what they may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub user: Uuid,
    /// The organisation the token is for.
    pub org_id: Uuid,
    /// The user's role there.
    pub org_role: String,
    /// What that role allows.
    pub org_permissions: Vec<String>,
}

/// What a token says. Times are whole seconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: Uuid,
    /// The organisation the token is for.
    pub org_id: Uuid,
    /// The user's role there.
    pub org_role: String,
    /// What that role allows.
    pub org_permissions: Vec<String>,
    /// When it was issued.
    pub iat: i64,
    /// When it ends; at this second it is over.
    pub exp: i64,
    /// Before when it does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`].
    pub aud: String,
    /// This token alone.
    pub jti: Uuid,
    /// What it may be used for.
    #[serde(rename = "typ")]
    pub kind: TokenKind,
}

/// Why a token was not issued or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The signing key is too short to be safe.
    #[error("signing key is shorter than {MIN_KEY_BYTES} bytes")]
    WeakKey,
    /// The token is over.
    #[error("token has expired")]
    Expired,
    /// The token does not count yet.
    #[error("token is not valid yet")]
    TooEarly,
    /// The token is for something else: a stream ticket is no access token.
    #[error("token is of the wrong kind")]
    WrongKind,
    /// Not ours, not for us, altered, or not a token at all.
    #[error("token is not valid")]
    Invalid(#[source] JwtError),
    /// The token could not be signed.
    #[error("token could not be signed")]
    Signing(#[source] JwtError),
}

/// Issues and checks signed tokens (JWT, HS256).
pub struct TokenIssuer {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").finish_non_exhaustive()
    }
}

impl TokenIssuer {
    /// Signs and checks with `key`.
    ///
    /// # Errors
    ///
    /// `WeakKey` when the key has fewer than 32 bytes.
    pub fn new(key: &SecretString) -> Result<Self, TokenError> {
        let bytes = key.expose_secret().as_bytes();
        if bytes.len() < MIN_KEY_BYTES {
            return Err(TokenError::WeakKey);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_exp = false; // it would read the wall clock; `check_times` takes the caller's
        validation.validate_nbf = false;
        validation.leeway = 0;
        Ok(Self { signing: EncodingKey::from_secret(bytes), checking: DecodingKey::from_secret(bytes), validation })
    }

    /// Issues an access token that ends after `lifetime`.
    ///
    /// # Errors
    ///
    /// `Signing` when the signature could not be made.
    pub fn issue_access(
        &self,
        subject: &Subject,
        lifetime: Duration,
        now: DateTime<Utc>,
    ) -> Result<(String, Claims), TokenError> {
        self.issue(subject, TokenKind::Access, lifetime.num_seconds(), now)
    }

    /// Issues a ticket that opens event streams for 60 seconds, for clients that cannot send headers.
    ///
    /// # Errors
    ///
    /// `Signing` when the signature could not be made.
    pub fn issue_stream(&self, subject: &Subject, now: DateTime<Utc>) -> Result<(String, Claims), TokenError> {
        self.issue(subject, TokenKind::Stream, STREAM_TICKET_S, now)
    }

    /// Reads an access token.
    ///
    /// # Errors
    ///
    /// `Expired`, `TooEarly`, `WrongKind` or `Invalid`.
    pub fn verify_access(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        self.verify(token, TokenKind::Access, now)
    }

    /// Reads a stream ticket.
    ///
    /// # Errors
    ///
    /// `Expired`, `TooEarly`, `WrongKind` or `Invalid`.
    pub fn verify_stream(&self, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        self.verify(token, TokenKind::Stream, now)
    }

    fn issue(
        &self,
        subject: &Subject,
        kind: TokenKind,
        lifetime_s: i64,
        now: DateTime<Utc>,
    ) -> Result<(String, Claims), TokenError> {
        let iat = now.timestamp();
        let claims = Claims {
            sub: subject.user,
            org_id: subject.org_id,
            org_role: subject.org_role.clone(),
            org_permissions: subject.org_permissions.clone(),
            iat,
            exp: iat.saturating_add(lifetime_s),
            nbf: Some(iat),
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            jti: Uuid::new_v4(),
            kind,
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(TokenError::Signing)?;
        Ok((token, claims))
    }

    fn verify(&self, token: &str, kind: TokenKind, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        let read = decode::<Claims>(token, &self.checking, &self.validation).map_err(TokenError::Invalid)?;
        let Header { crit, jku, jwk, x5u, .. } = read.header;
        if crit.is_some() || jku.is_some() || jwk.is_some() || x5u.is_some() {
            return Err(TokenError::Invalid(ErrorKind::InvalidToken.into())); // a header that brings its own key or rules
        }
        check_times(&read.claims, now)?;
        if read.claims.kind == kind { Ok(read.claims) } else { Err(TokenError::WrongKind) }
    }
}

fn check_times(claims: &Claims, now: DateTime<Utc>) -> Result<(), TokenError> {
    let now = now.timestamp();
    if claims.exp <= now {
        return Err(TokenError::Expired);
    }
    let latest_start = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if latest_start > now.saturating_add(SKEW_S) {
        return Err(TokenError::TooEarly);
    }
    Ok(())
}

/// A new random secret of 256 bits behind `prefix`, shown once, and the hash that is kept of it.
pub fn new_secret(prefix: &str) -> (SecretString, [u8; 32]) {
    let random: [u8; 32] = rand::random();
    let plain = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random));
    let hashed = hash(&plain);
    (plain.into(), hashed)
}

/// The hash under which a secret of [`new_secret`] is found again. Not for passwords: those are guessable.
pub fn hash(plain: &str) -> [u8; 32] {
    Sha256::digest(plain.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KEY: &str = "public-example-key-of-32-bytes!!!";

    fn issuer() -> TokenIssuer {
        TokenIssuer::new(&KEY.into()).unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_089_600, 0).unwrap()
    }

    fn subject() -> Subject {
        Subject {
            user: Uuid::from_u128(1),
            org_id: Uuid::from_u128(2),
            org_role: "owner".to_owned(),
            org_permissions: vec!["leads:write".to_owned()],
        }
    }

    fn later(seconds: i64) -> DateTime<Utc> {
        now() + Duration::seconds(seconds)
    }

    fn signed(header: &Header, change: impl FnOnce(&mut Value)) -> String {
        let (_, claims) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        let mut claims = serde_json::to_value(claims).unwrap();
        change(&mut claims);
        encode(header, &claims, &EncodingKey::from_secret(KEY.as_bytes())).unwrap()
    }

    fn altered(change: impl FnOnce(&mut Value)) -> Result<Claims, TokenError> {
        issuer().verify_access(&signed(&Header::new(Algorithm::HS256), change), now())
    }

    /// Any header over these claims, signed with our key as HMAC: what somebody could make who mistakes it for a public one.
    fn forged(header: &Value, claims: &str) -> String {
        let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let key = EncodingKey::from_secret(KEY.as_bytes());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{signed}.{signature}")
    }

    #[test]
    fn an_access_token_says_who_is_calling() {
        let (token, issued) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        let read = issuer().verify_access(&token, later(1)).unwrap();
        assert_eq!(read, issued);
        assert_eq!((read.sub, read.org_id, read.exp - read.iat), (Uuid::from_u128(1), Uuid::from_u128(2), 900));
        let wire = serde_json::to_value(&read).unwrap();
        assert_eq!((&wire["iss"], &wire["aud"], &wire["typ"]), (&json!("apex"), &json!("apex-api"), &json!("access")));
    }

    #[test]
    fn a_token_ends_at_its_second_by_the_clock_that_is_passed_in() {
        let (token, _) = issuer().issue_access(&subject(), Duration::seconds(10), now()).unwrap();
        assert!(issuer().verify_access(&token, later(9)).is_ok());
        assert!(matches!(issuer().verify_access(&token, later(10)), Err(TokenError::Expired)));
    }

    #[test]
    fn a_token_from_a_node_five_seconds_ahead_counts_and_six_does_not() {
        let (token, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        assert!(issuer().verify_access(&token, later(-5)).is_ok());
        assert!(matches!(issuer().verify_access(&token, later(-6)), Err(TokenError::TooEarly)));
        assert!(matches!(altered(|claims| claims["nbf"] = json!(1_795_089_700)), Err(TokenError::TooEarly)));
        assert!(altered(|claims| drop(claims.as_object_mut().unwrap().remove("nbf"))).is_ok());
    }

    #[test]
    fn a_stream_ticket_opens_streams_only_and_for_a_minute() {
        let (ticket, _) = issuer().issue_stream(&subject(), now()).unwrap();
        assert!(issuer().verify_stream(&ticket, later(59)).is_ok());
        assert!(matches!(issuer().verify_stream(&ticket, later(60)), Err(TokenError::Expired)));
        assert!(matches!(issuer().verify_access(&ticket, now()), Err(TokenError::WrongKind)));
        let (access, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        assert!(matches!(issuer().verify_stream(&access, now()), Err(TokenError::WrongKind)));
    }

    #[test]
    fn other_issuers_audiences_and_missing_claims_are_refused() {
        assert!(altered(|_| ()).is_ok());
        assert!(altered(|claims| claims["iss"] = json!("apex2")).is_err());
        assert!(altered(|claims| claims["aud"] = json!("other-api")).is_err());
        assert!(altered(|claims| claims["typ"] = json!("refresh")).is_err());
        for claim in ["exp", "iss", "aud", "sub", "org_id", "typ"] {
            assert!(altered(|claims| drop(claims.as_object_mut().unwrap().remove(claim))).is_err(), "{claim}");
        }
    }

    #[test]
    fn the_algorithm_is_ours_to_choose() {
        assert!(issuer().verify_access(&signed(&Header::new(Algorithm::HS512), |_| ()), now()).is_err());
        let (token, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        let mut parts = token.split('.');
        let (_, claims, signature) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
        let none = URL_SAFE_NO_PAD.encode(br#"{"alg":"none","typ":"JWT"}"#);
        for forged in [format!("{none}.{claims}."), format!("{none}.{claims}.{signature}"), "x".to_owned()] {
            assert!(matches!(issuer().verify_access(&forged, now()), Err(TokenError::Invalid(_))), "{forged}");
        }
    }

    #[test]
    fn a_token_that_names_another_algorithm_or_key_is_refused_whatever_it_is_signed_with() {
        let (token, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        let claims = token.split('.').nth(1).unwrap();
        for alg in [
            "RS256", "RS512", "PS256", "ES256", "EdDSA", "HS384", "HS512", "hs256", "None", "NONE", "nOnE", "",
            "HS256 ",
        ] {
            let forged = forged(&json!({ "alg": alg, "typ": "JWT" }), claims);
            assert!(matches!(issuer().verify_access(&forged, now()), Err(TokenError::Invalid(_))), "{alg}");
        }
        for header in [json!({}), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([]), json!("HS256")] {
            assert!(issuer().verify_access(&forged(&header, claims), now()).is_err(), "{header}");
        }
        // There is one key: a name for another one, even for a file, is not looked at.
        let named = forged(&json!({ "alg": "HS256", "typ": "JWT", "kid": "../../dev/null" }), claims);
        assert!(issuer().verify_access(&named, now()).is_ok());
        for brings in ["jku", "x5u"] {
            let header = json!({ "alg": "HS256", brings: "https://evil.example/keys" });
            assert!(issuer().verify_access(&forged(&header, claims), now()).is_err(), "{brings}");
        }
        let key = json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": URL_SAFE_NO_PAD.encode("x".repeat(32)) } });
        assert!(issuer().verify_access(&forged(&key, claims), now()).is_err());
    }

    #[test]
    fn a_token_that_is_cut_lengthened_or_changed_by_a_bit_is_refused() {
        let (token, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        for length in 0..token.len() {
            assert!(issuer().verify_access(&token[..length], now()).is_err(), "cut to {length}");
        }
        for surplus in [".", "=", "A", ".e30", " ", "\0"] {
            assert!(issuer().verify_access(&format!("{token}{surplus}"), now()).is_err(), "{surplus:?}");
        }
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(issuer().verify_access(&changed, now()).is_err(), "changed at {at}: {changed}");
        }
    }

    #[test]
    fn a_claim_of_another_type_is_refused() {
        for (claim, value) in [
            ("exp", json!("1795093200")),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("exp", json!(null)),
            ("nbf", json!("soon")),
            ("iat", json!(i64::MAX)),
            ("nbf", json!(i64::MAX)),
            ("iss", json!(["evil"])),
            ("aud", json!([])),
            ("aud", json!({})),
            ("sub", json!("owner")),
            ("sub", json!(1)),
            ("org_id", json!("*")),
            ("typ", json!("stream")),
            ("typ", json!(["access"])),
        ] {
            assert!(altered(|claims| claims[claim] = value.clone()).is_err(), "{claim}: {value}");
        }
        assert!(matches!(altered(|claims| claims["exp"] = json!(1_795_089_600)), Err(TokenError::Expired)));
    }

    #[test]
    fn a_refresh_token_or_an_api_key_is_no_access_token() {
        for prefix in [REFRESH_PREFIX, API_KEY_PREFIX] {
            let (secret, _) = new_secret(prefix);
            for read in [
                issuer().verify_access(secret.expose_secret(), now()),
                issuer().verify_stream(secret.expose_secret(), now()),
            ] {
                assert!(matches!(read, Err(TokenError::Invalid(_))), "{prefix}");
            }
        }
    }

    #[test]
    fn a_header_with_its_own_key_or_rules_is_refused() {
        let plain = Header::new(Algorithm::HS256);
        let brings_key = Header { jku: Some("https://evil.example/keys".to_owned()), ..plain.clone() };
        let brings_rule = Header { crit: Some(vec!["b64".to_owned()]), ..plain };
        for header in [brings_key, brings_rule] {
            assert!(issuer().verify_access(&signed(&header, |_| ()), now()).is_err());
        }
    }

    #[test]
    fn another_key_does_not_verify_and_a_short_key_is_refused() {
        let (token, _) = issuer().issue_access(&subject(), Duration::minutes(15), now()).unwrap();
        let stranger = TokenIssuer::new(&"another-example-key-of-32-bytes!!".into()).unwrap();
        assert!(stranger.verify_access(&token, now()).is_err());
        assert!(matches!(TokenIssuer::new(&"short".into()), Err(TokenError::WeakKey)));
    }

    #[test]
    fn a_secret_is_long_random_and_found_by_its_hash() {
        let (plain, hashed) = new_secret(API_KEY_PREFIX);
        let (other, _) = new_secret(API_KEY_PREFIX);
        let text = plain.expose_secret();
        assert!(text.starts_with("apx_") && text.len() == 4 + 43);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        assert_ne!(text, other.expose_secret());
        assert_eq!(hash(text), hashed);
    }
}
