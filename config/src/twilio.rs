//! Telephony.

use secrecy::SecretString;
use url::Url;

use crate::{
    check::{base_url, issued_secret},
    problem::{Checked, Fault},
    source::Source,
};

/// The account that places calls and sends messages.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: Option<String>,
    /// Sends requests and checks signatures.
    pub auth_token: Option<SecretString>,
    /// The caller's number in E.164.
    pub phone_number: Option<String>,
    /// The provider's base address; `None`: `https://api.twilio.com`.
    pub api_url: Option<Url>,
    /// Calls the account may start in a second.
    pub calls_per_second: u32,
}

/// All of these or none.
const ACCOUNT: [&str; 3] = ["twilio.account_sid", "twilio.auth_token", "twilio.phone_number"];

impl Twilio {
    /// Whether an account is given; without one nothing can be dialled.
    pub fn is_configured(&self) -> bool {
        self.account_sid.is_some() && self.auth_token.is_some() && self.phone_number.is_some()
    }

    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        if ACCOUNT.iter().any(|key| source.is_set(key)) {
            for key in ACCOUNT {
                if !source.is_set(key) {
                    source.refuse(key, "missing, while other parts of the account are set", "set all three or none");
                }
            }
        }
        Self {
            account_sid: source.checked("twilio.account_sid", account_sid),
            auth_token: source.checked("twilio.auth_token", issued_secret),
            phone_number: source.checked("twilio.phone_number", phone_number),
            api_url: source.checked("twilio.api_url", base_url),
            calls_per_second: source.count("twilio.calls_per_second", 1..=1_000),
        }
    }
}

fn account_sid(text: &str) -> Checked<String> {
    match text.strip_prefix("AC") {
        Some(digits) if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(text.to_owned()),
        _ => Err(Fault::new("is not AC and 32 hexadecimal digits", "copy the Account SID from the console")),
    }
}

fn phone_number(text: &str) -> Checked<String> {
    match text.strip_prefix('+') {
        Some(digits)
            if (7..=15).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && !digits.starts_with('0') =>
        {
            Ok(text.to_owned())
        }
        _ => Err(Fault::new("is not an E.164 number", "write + and 7 to 15 digits without blanks, like +6421000000")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_sids_are_checked_to_the_letter() {
        assert!(account_sid(&format!("AC{}", "0f".repeat(16))).is_ok());
        for bad in ["your_twilio_sid".into(), format!("SK{}", "0f".repeat(16)), format!("AC{}", "0g".repeat(16))] {
            assert!(account_sid(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_e164() {
        assert!(phone_number("+6421000000").is_ok());
        for bad in ["6421000000", "+64 21 000000", "+021000000", "+12345", "+1234567890123456"] {
            assert!(phone_number(bad).is_err(), "{bad}");
        }
    }
}
