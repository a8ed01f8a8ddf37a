//! A request of Twilio's, proved and read. Nothing that is not signed gets further than this.

use apex_actors::callback::CallbackRef;
use axum::body::Bytes;
use axum::extract::{FromRequest, OriginalUri, Query, Request};
use axum::http::{HeaderMap, Uri};
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use super::signature::{SETTINGS_HEADER, SIGNATURE_HEADER, Verifier, candidates};
use crate::error::ApiError;
use crate::extract::whole;
use crate::state::AppState;

/// Longest body of a callback, bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A callback whose signature is good.
pub(crate) struct Callback {
    /// What its address names; `None`: not one of ours, or damaged.
    pub about: Option<CallbackRef>,
    /// SHA-256 of the body as it came.
    pub digest: [u8; 32],
    query: Pairs,
    params: Pairs,
}

/// Names and values in the order they came, repeated ones too: the signature covers them all.
type Pairs = Vec<(String, String)>;

impl Callback {
    /// Reads a callback from its address and body.
    pub fn read(uri: &Uri, body: &[u8]) -> Self {
        Self {
            about: Query::<CallbackRef>::try_from_uri(uri).ok().map(|Query(about)| about),
            digest: Sha256::digest(body).into(),
            query: without_nul(pairs(uri.query().unwrap_or_default().as_bytes())),
            params: without_nul(pairs(body)),
        }
    }

    /// A parameter of the body; empty is absent.
    pub fn param(&self, name: &str) -> Option<&str> {
        first(&self.params, name)
    }

    /// A parameter of the address; empty is absent.
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// A whole number of seconds; 0 when there is none.
    pub fn seconds(&self, name: &str) -> u32 {
        self.param(name).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Every parameter of the body.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
    }
}

fn first<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key == name)?;
    Some(found.1.as_str()).filter(|value| !value.is_empty())
}

fn pairs(encoded: &[u8]) -> Pairs {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// No text of the database holds a NUL. The signature is checked with it.
fn without_nul(pairs: Pairs) -> Pairs {
    pairs.into_iter().map(|(name, value)| (name, value.replace('\0', ""))).collect()
}

impl FromRequest<AppState> for Callback {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // A nested router cuts its prefix off; Twilio signed the whole path.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        let Some(twilio) = state.twilio() else { return Err(refused(uri, "no account is configured")) };
        let proof = Proof::read(&parts.headers).ok_or_else(|| refused(uri, "signature missing or of another kind"))?;
        let body = whole(body, MAX_BYTES, state.body_within()).await?;
        if proof.fits(&twilio.verifier, state.public_url(), uri, &body) {
            Ok(Self::read(uri, &body))
        } else {
            Err(refused(uri, "signature does not fit the public address and token"))
        }
    }
}

/// The signature that came with a request.
struct Proof(String);

impl Proof {
    fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
        let signature = text(SIGNATURE_HEADER).filter(|signature| !signature.is_empty())?;
        Verifier::accepts_settings(text(SETTINGS_HEADER)).then(|| Self(signature.to_owned()))
    }

    fn fits(&self, verifier: &Verifier, public_url: &str, uri: &Uri, body: &Bytes) -> bool {
        let spelled = uri.path_and_query().map_or("/", |path| path.as_str());
        verifier.verify_form(&candidates(public_url, spelled), &pairs(body), Some(&self.0))
    }
}

/// The reason is for the operator's log: the sender learns only that it was not believed.
fn refused(uri: &Uri, reason: &'static str) -> ApiError {
    tracing::warn!(http.path = uri.path(), reason, "callback refused");
    ApiError::wrong_proof("invalid_signature", "Invalid signature")
}

#[cfg(test)]
mod tests {
    use apex_storage::model::{BridgeId, EffectId, OrgId, ProjectId, TicketId};
    use axum::http::HeaderValue;
    use secrecy::SecretString;

    use super::super::signature::sign_form;
    use super::*;

    const BASE: &str = "https://hooks.kereru.example";

    fn token() -> SecretString {
        "f00dfacef00dfacef00dfacef00dface".into()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn an_address_of_ours_is_read_back() {
        let about = CallbackRef {
            org: OrgId::new(),
            project: ProjectId::new(),
            ticket: TicketId::new(),
            bridge: Some(BridgeId::new()),
            effect: EffectId::new(),
        };
        for about in [about, CallbackRef { bridge: None, ..about }] {
            let uri: Uri = about.url(BASE, "voice/status").parse().unwrap();
            assert_eq!(Callback::read(&uri, b"").about, Some(about));
        }
    }

    #[test]
    fn an_address_that_is_damaged_names_nothing() {
        for path in ["/api/voice/status", "/api/voice/status?org=1", "/api/voice/status?org=&project=&ticket=&effect="]
        {
            assert_eq!(Callback::read(&path.parse().unwrap(), b"").about, None, "{path}");
        }
    }

    #[test]
    fn parameters_are_decoded_and_empty_ones_absent() {
        let uri: Uri = "/api/voice/incoming?project_id=kereru&empty=".parse().unwrap();
        let callback = Callback::read(&uri, b"Digits=&CallSid=CA1&From=%2B64275559001&CallDuration=41&CallSid=CA2");
        assert_eq!((callback.param("Digits"), callback.param("CallSid")), (None, Some("CA1")));
        assert_eq!((callback.param("From"), callback.query("project_id")), (Some("+64275559001"), Some("kereru")));
        assert_eq!(
            (callback.query("empty"), callback.seconds("CallDuration"), callback.seconds("Digits")),
            (None, 41, 0)
        );
        assert_eq!(callback.params().len(), 5, "a repeated name is kept");
    }

    #[test]
    fn a_signature_holds_for_the_whole_path_and_body_only() {
        let uri: Uri = "/api/v1/voice/connect?org=a%20b".parse().unwrap();
        let body = Bytes::from_static(b"Digits=1&CallSid=CA1");
        let signature = sign_form(&token(), &format!("{BASE}{uri}"), &pairs(&body));
        let proof = Proof::read(&headers(&[(SIGNATURE_HEADER, &signature)])).unwrap();
        let verifier = Verifier::new(token());
        assert!(proof.fits(&verifier, BASE, &uri, &body));
        assert!(!proof.fits(&verifier, BASE, &"/voice/connect?org=a%20b".parse().unwrap(), &body));
        assert!(!proof.fits(&verifier, BASE, &uri, &Bytes::from_static(b"Digits=2&CallSid=CA1")));
    }

    #[test]
    fn without_a_signature_or_with_a_key_we_do_not_hold_there_is_no_proof() {
        assert!(Proof::read(&HeaderMap::new()).is_none());
        assert!(Proof::read(&headers(&[(SIGNATURE_HEADER, "")])).is_none());
        let settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";
        assert!(Proof::read(&headers(&[(SIGNATURE_HEADER, "x"), (SETTINGS_HEADER, settings)])).is_none());
    }
}
