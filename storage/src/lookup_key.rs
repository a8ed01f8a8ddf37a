//! Keyed hashes of phones and addresses, so that a row is found by them without their text standing in an index.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key of all look-up columns of an installation. Changing it means computing those columns anew.
#[derive(Clone)]
pub struct LookupKey([u8; 32]);

impl std::fmt::Debug for LookupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LookupKey(..)")
    }
}

impl LookupKey {
    /// Derives the key from the installation's secret.
    pub fn derive(secret: &[u8]) -> Self {
        Self(digest(secret, b"apex look-up columns"))
    }

    /// The look-up value of a phone number in E.164.
    pub fn phone(&self, e164: &str) -> Vec<u8> {
        digest(&self.0, e164.as_bytes()).to_vec()
    }

    /// The look-up value of an e-mail address, whatever its case.
    pub fn email(&self, address: &str) -> Vec<u8> {
        digest(&self.0, address.trim().to_lowercase().as_bytes()).to_vec()
    }
}

fn digest(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}
