//! Checks of single values that more than one section needs. No message repeats the value: it may be a secret.

use secrecy::SecretString;
use url::Url;

use crate::problem::{Checked, Fault};

/// The shortest secret that signs anything, in bytes.
pub(crate) const SECRET_BYTES: usize = 32;

/// How to make a secret of the right length.
pub(crate) const MAKE_SECRET: &str = "make one with `openssl rand -base64 48`";

/// A base address of a server: http or https, a host, no query, no fragment, no user.
pub(crate) fn base_url(text: &str) -> Checked<Url> {
    let example = "write it like https://apex.example.com";
    let url = Url::parse(text).map_err(|error| Fault::new(format!("is not a URL ({error})"), example))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::new("must begin with http:// or https://", example));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::new("must not hold a user or password", example));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("must end before any ? or #", example));
    }
    Ok(url)
}

/// A secret long enough to sign with.
pub(crate) fn long_secret(text: &str) -> Checked<SecretString> {
    if text.len() < SECRET_BYTES {
        return Err(Fault::new(format!("shorter than {SECRET_BYTES} bytes"), MAKE_SECRET));
    }
    Ok(SecretString::from(text))
}

/// Any secret that somebody else issued: text without blanks and control characters.
pub(crate) fn issued_secret(text: &str) -> Checked<SecretString> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Fault::new("holds blanks or control characters", "copy it again from where it was issued"));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_addresses_are_base_urls() {
        assert!(base_url("https://apex.example.com").is_ok());
        assert!(base_url("http://127.0.0.1:4010/gemini/v1beta/").is_ok());
        for bad in ["apex.example.com", "ftp://x", "https://", "https://u:p@x", "https://x?a=1", "https://x#y", ""] {
            assert!(base_url(bad).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_secret_of_31_bytes_is_too_short() {
        assert!(long_secret(&"s".repeat(31)).is_err());
        assert!(long_secret(&"s".repeat(32)).is_ok());
    }

    #[test]
    fn no_fault_repeats_the_secret() {
        let fault = long_secret("hunter2").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"));
        let fault = issued_secret("hunter2 hunter2").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"));
    }
}
