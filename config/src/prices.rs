//! Prices and money in integer micro-dollars: 1,000,000 micros are one dollar.

use std::{fmt, str::FromStr};

const MICROS_PER_DOLLAR: u64 = 1_000_000;

/// What can be used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A call, in minutes.
    TwilioVoice,
    /// A text message, in segments.
    TwilioSms,
    /// Words of a language model, in tokens.
    GeminiToken,
}

/// A name that is no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown resource; known are twilio_voice, twilio_sms and gemini_token")]
pub struct UnknownResource;

impl Resource {
    /// Every resource.
    pub const ALL: [Self; 3] = [Self::TwilioVoice, Self::TwilioSms, Self::GeminiToken];

    /// The name in requests and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwilioVoice => "twilio_voice",
            Self::TwilioSms => "twilio_sms",
            Self::GeminiToken => "gemini_token",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Resource {
    type Err = UnknownResource;

    fn from_str(name: &str) -> Result<Self, UnknownResource> {
        Self::ALL.into_iter().find(|resource| resource.as_str() == name).ok_or(UnknownResource)
    }
}

/// What each resource costs, in micros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// One minute of a call.
    pub voice_minute_micros: u32,
    /// One segment of a text message.
    pub sms_segment_micros: u32,
    /// One thousand tokens.
    pub gemini_thousand_tokens_micros: u32,
}

impl Default for Prices {
    fn default() -> Self {
        Self { voice_minute_micros: 50_000, sms_segment_micros: 8_000, gemini_thousand_tokens_micros: 1_000 }
    }
}

impl Prices {
    /// The cost in micros of `quantity_milli` thousandths of the resource's unit (1500 is 1.5 minutes), rounded up.
    ///
    /// `None` for a negative quantity or a cost beyond `i64`.
    pub fn cost_micros(&self, resource: Resource, quantity_milli: i64) -> Option<i64> {
        let (micros, thousandths) = match resource {
            Resource::TwilioVoice => (self.voice_minute_micros, 1_000),
            Resource::TwilioSms => (self.sms_segment_micros, 1_000),
            Resource::GeminiToken => (self.gemini_thousand_tokens_micros, 1_000_000),
        };
        let quantity = u128::from(u64::try_from(quantity_milli).ok()?);
        let cost = (quantity * u128::from(micros)).div_ceil(thousandths);
        i64::try_from(cost).ok()
    }
}

/// Micros as people read them: `$1.234567`, with at least two decimals.
pub fn dollars(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let (whole, rest) = (micros.unsigned_abs() / MICROS_PER_DOLLAR, micros.unsigned_abs() % MICROS_PER_DOLLAR);
    let digits = format!("{rest:06}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("{sign}${whole}.{}", &digits[..kept])
}

/// Reads a decimal number as micros without floats: `50.0` is `50_000_000`.
///
/// `None` for anything else: exponents, blanks, more than six decimals that are not zero, beyond `i64`.
pub fn micros_from_decimal(text: &str) -> Option<i64> {
    let (negative, number) = text.strip_prefix('-').map_or((false, text), |number| (true, number));
    let (whole, decimals) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, decimals)) => (whole, decimals.trim_end_matches('0')),
        None => (number, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) || decimals.len() > 6 {
        return None;
    }
    let rest: u64 = format!("{decimals:0<6}").parse().ok()?;
    let micros = whole.parse::<u64>().ok()?.checked_mul(MICROS_PER_DOLLAR)?.checked_add(rest)?;
    if negative { 0_i64.checked_sub_unsigned(micros) } else { i64::try_from(micros).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_resource_is_found_by_its_name() {
        for resource in Resource::ALL {
            assert_eq!(resource.as_str().parse(), Ok(resource));
        }
        assert_eq!("fax".parse::<Resource>(), Err(UnknownResource));
    }

    #[test]
    fn costs_are_exact_and_rounded_up() {
        let prices = Prices::default();
        assert_eq!(prices.cost_micros(Resource::TwilioVoice, 1_500), Some(75_000));
        assert_eq!(prices.cost_micros(Resource::TwilioVoice, 1), Some(50));
        assert_eq!(prices.cost_micros(Resource::TwilioSms, 2_000), Some(16_000));
        assert_eq!(prices.cost_micros(Resource::GeminiToken, 1_000_000), Some(1_000));
        assert_eq!(prices.cost_micros(Resource::GeminiToken, 1_001), Some(2));
        assert_eq!(prices.cost_micros(Resource::GeminiToken, 0), Some(0));
    }

    #[test]
    fn impossible_costs_are_none() {
        let prices = Prices::default();
        assert_eq!(prices.cost_micros(Resource::TwilioVoice, -1), None);
        assert_eq!(prices.cost_micros(Resource::TwilioVoice, i64::MAX), None);
    }

    #[test]
    fn dollars_show_at_least_two_decimals() {
        for (micros, text) in [
            (0, "$0.00"),
            (1_234_567, "$1.234567"),
            (50_000, "$0.05"),
            (1_500_000, "$1.50"),
            (-1_000, "-$0.001"),
            (i64::MIN, "-$9223372036854.775808"),
        ] {
            assert_eq!(dollars(micros), text);
        }
    }

    #[test]
    fn decimals_are_read_without_floats() {
        for (text, micros) in [
            ("50.0", Some(50_000_000)),
            ("50", Some(50_000_000)),
            ("0.000001", Some(1)),
            ("-1.5", Some(-1_500_000)),
            ("1.2300000000", Some(1_230_000)),
            ("0.0000001", None),
            ("1e3", None),
            ("1.", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("+1", None),
            (" 1", None),
            ("9223372036855", None),
        ] {
            assert_eq!(micros_from_decimal(text), micros, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(micros: i64) {
            prop_assert_eq!(micros_from_decimal(&dollars(micros).replace('$', "")), Some(micros));
        }

        #[test]
        fn a_split_use_never_costs_less(left in 0_i64..1 << 40, right in 0_i64..1 << 40) {
            for resource in Resource::ALL {
                let cost = |quantity| Prices::default().cost_micros(resource, quantity).unwrap();
                prop_assert!(cost(left) + cost(right) >= cost(left + right));
            }
        }
    }
}
