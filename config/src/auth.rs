//! Tokens and encryption.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE};
use secrecy::SecretString;

use crate::{
    check::{MAKE_SECRET, long_secret},
    load::Environment,
    problem::{Checked, Fault},
    source::Source,
};

/// What signs tokens and encrypts secrets.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Signs access tokens; at least 32 bytes. `None` only in development: then make a random one and keep it.
    pub jwt_secret: Option<SecretString>,
    /// Fernet keys: the first encrypts, all decrypt. Empty only in development.
    pub kms_keys: Vec<SecretString>,
    /// How long an access token is good.
    pub access_ttl: Duration,
    /// How long a refresh token is good.
    pub refresh_ttl: Duration,
}

const MAKE_FERNET_KEY: &str =
    "a Fernet key is 32 random bytes in padded URL-safe base64: `openssl rand -base64 32 | tr '+/' '-_'`";

impl Auth {
    pub(crate) fn read(source: &mut Source<'_>, environment: Environment) -> Self {
        if environment.is_production() {
            if !source.is_set("auth.jwt_secret") {
                source.refuse("auth.jwt_secret", "missing, and required in production", MAKE_SECRET);
            }
            if !source.is_set("auth.kms_keys") {
                source.refuse("auth.kms_keys", "missing, and required in production", MAKE_FERNET_KEY);
            }
        }
        let kms_keys = source.list("auth.kms_keys", fernet_key);
        if kms_keys.is_empty() && source.is_set("auth.kms_keys") && !source.is_wrong("auth.kms_keys") {
            source.refuse("auth.kms_keys", "holds no key", MAKE_FERNET_KEY);
        }
        Self {
            jwt_secret: source.checked("auth.jwt_secret", long_secret),
            kms_keys,
            access_ttl: source.seconds("auth.access_seconds", 60..=86_400),
            refresh_ttl: source.seconds("auth.refresh_seconds", 3_600..=365 * 86_400),
        }
    }
}

fn fernet_key(text: &str) -> Checked<SecretString> {
    let bytes = URL_SAFE.decode(text).map_err(|_| Fault::new("holds a key that is no Fernet key", MAKE_FERNET_KEY))?;
    if bytes.len() != 32 {
        return Err(Fault::new(format!("holds a key of {} bytes instead of 32", bytes.len()), MAKE_FERNET_KEY));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_padded_url_safe_base64_of_32_bytes_is_a_fernet_key() {
        for good in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="] {
            assert!(fernet_key(good).is_ok(), "{good}");
        }
        let unpadded = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4";
        let standard = "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=";
        for bad in [unpadded, standard, "c2hvcnQ=", "your_fernet_key", ""] {
            assert!(fernet_key(bad).is_err(), "{bad}");
        }
    }
}
