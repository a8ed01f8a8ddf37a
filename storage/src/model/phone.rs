//! Phone numbers: what was typed becomes E.164, or an error. A wrong number is worse than none, so doubt is an error.

mod plan;
mod reading;

use std::fmt;

use serde::{Deserialize, Serialize};

use plan::{Assigned, Plan};

/// Numbers that call for help somewhere. Nobody dials them for a customer, wherever the customer is.
const EMERGENCY: [&str; 10] = ["000", "106", "110", "111", "112", "118", "119", "911", "995", "999"];

/// What providers send as the caller when there is none, spelled on a keypad: anonymous, restricted, blocked, unknown,
/// unavailable, private.
const WITHHELD: [&str; 6] = ["266696687", "7378742833", "2562533", "8656696", "86282452253", "7748283"];

/// A phone number in E.164: `+`, then 7 to 15 digits. It prints in full; [`fmt::Debug`] masks it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, sqlx::Type)]
#[serde(try_from = "String", into = "String")]
#[sqlx(transparent)]
pub struct Phone(String);

impl Phone {
    /// Takes a number that is E.164 already: a stored one, or a provider's. It need not be assigned to anybody.
    ///
    /// # Errors
    ///
    /// [`PhoneProblem::Unreadable`] when it is written in any other way.
    pub fn parse_e164(text: &str) -> Result<Self, PhoneProblem> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if plain && (7..=15).contains(&digits.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PhoneProblem::Unreadable)
        }
    }

    /// The number, `+64275559001`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For logs: `+6427•••9001`. At least three digits are hidden.
    pub fn masked(&self) -> String {
        let (front, back) = match self.0.len() {
            12.. => (5, 4),
            10.. => (3, 4),
            _ => (2, 2),
        };
        format!("{}•••{}", &self.0[..front], &self.0[self.0.len() - back..])
    }

    /// For people: as it is written inside `region` when it belongs there, else in the international way.
    pub fn written_in(&self, region: &str) -> String {
        let Ok(number) = phonenumber::parse(None, &self.0) else { return self.0.clone() };
        if number.format().mode(phonenumber::Mode::E164).to_string() != self.0 {
            return self.0.clone();
        }
        let at_home = Plan::of_region(region).is_some_and(|home| number.code().value() == home.code());
        let mode = if at_home { phonenumber::Mode::National } else { phonenumber::Mode::International };
        number.format().mode(mode).to_string()
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phone({})", self.masked())
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneProblem;

    fn try_from(text: String) -> Result<Self, PhoneProblem> {
        Self::parse_e164(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

/// What a number costs and can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhoneKind {
    /// A mobile phone.
    Mobile,
    /// A landline.
    Fixed,
    /// One of the two; the plan does not tell (country code 1).
    FixedOrMobile,
    /// An internet phone.
    Voip,
    /// Free for the caller.
    TollFree,
    /// Charged high.
    Premium,
    /// Charged to both.
    SharedCost,
    /// Personal, pager, company-wide and voicemail numbers.
    Other,
}

/// A number that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// The number. Compare and deduplicate by it.
    pub phone: Phone,
    /// ISO 3166 alpha-2; `None` for satellites and international services.
    pub region: Option<String>,
    /// What it costs and can do.
    pub kind: PhoneKind,
    /// What to dial after the call is answered.
    pub extension: Option<String>,
}

/// Why there is no number. The raw text is kept by the caller; here it is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneProblem {
    /// Nothing was written.
    #[error("no phone number was given")]
    Empty,
    /// It is no phone number, or could be more than one thing.
    #[error("the text cannot be read as a phone number")]
    Unreadable,
    /// It reads as a number that no plan has given out.
    #[error("the number is not assigned in any number plan")]
    NotAssigned,
    /// It calls the police, the ambulance or the fire brigade.
    #[error("the number is an emergency number")]
    Emergency,
    /// Several numbers stand in one field.
    #[error("more than one phone number was given")]
    SeveralNumbers,
}

impl PhoneProblem {
    /// The stable name of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty_number",
            Self::Unreadable => "unreadable_number",
            Self::NotAssigned => "number_not_assigned",
            Self::Emergency => "emergency_number",
            Self::SeveralNumbers => "several_numbers",
        }
    }
}

/// Why a valid number is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number is not dialled: {code}")]
pub struct Refusal {
    /// The stable name of the reason: `premium_number`, `shared_cost_number`, `toll_free`, `not_a_customer_number`,
    /// `satellite_number` or `country_not_allowed`.
    pub code: &'static str,
}

/// Reads a number as somebody in `default_region` (ISO 3166 alpha-2) would have meant it. With a region that is not known,
/// only numbers with `+` are read.
///
/// # Errors
///
/// [`PhoneProblem`]: the text is not exactly one assigned number. Short codes are not assigned in this sense.
pub fn normalise(raw: &str, default_region: &str) -> Result<Normalised, PhoneProblem> {
    let reading = reading::read(raw)?;
    let found = if reading.plus {
        international(&reading.digits)?
    } else {
        unsigned(&reading.digits, Plan::of_region(default_region))?
    };
    let found = found.ok_or(PhoneProblem::NotAssigned)?;
    let phone = Phone::parse_e164(&found.e164).map_err(|_| PhoneProblem::NotAssigned)?;
    let region = found.region.map(str::to_owned);
    Ok(Normalised { phone, region, kind: found.kind, extension: reading.extension })
}

/// Reads digits that carry their country code without `+`, as messengers send them; never as a national number.
///
/// # Errors
///
/// As [`normalise`].
pub fn normalise_international(digits: &str) -> Result<Normalised, PhoneProblem> {
    let digits = digits.trim();
    if digits.is_empty() {
        return Err(PhoneProblem::Empty);
    }
    normalise(&format!("+{}", digits.trim_start_matches('+')), "")
}

/// Whether and why not to call the number. `allowed_regions` are the countries a tenant calls, ISO 3166 alpha-2: anybody
/// can type any number into a form.
///
/// # Errors
///
/// The [`Refusal`].
pub fn dialable(number: &Normalised, allowed_regions: &[String]) -> Result<(), Refusal> {
    let refuse = |code| Err(Refusal { code });
    match number.kind {
        PhoneKind::Premium => return refuse("premium_number"),
        PhoneKind::SharedCost => return refuse("shared_cost_number"),
        PhoneKind::TollFree => return refuse("toll_free"),
        PhoneKind::Other => return refuse("not_a_customer_number"),
        PhoneKind::Mobile | PhoneKind::Fixed | PhoneKind::FixedOrMobile | PhoneKind::Voip => {}
    }
    match &number.region {
        None => refuse("satellite_number"),
        Some(region) if allowed_regions.iter().any(|allowed| allowed.eq_ignore_ascii_case(region)) => Ok(()),
        Some(_) => refuse("country_not_allowed"),
    }
}

/// Whether a text message can arrive. Where the plan does not tell mobile from fixed, it is worth trying.
pub fn can_text(number: &Normalised) -> bool {
    matches!(number.kind, PhoneKind::Mobile | PhoneKind::FixedOrMobile)
}

/// The caller as a provider names it; `None` for withheld numbers, SIP addresses, app clients and short codes.
pub fn identify(raw: &str) -> Option<Phone> {
    let phone = Phone::parse_e164(raw.trim()).ok()?;
    (!WITHHELD.contains(&&phone.0[1..])).then_some(phone)
}

/// Loads the number plans, so that the first lead does not wait for them. Takes tens of milliseconds, hundreds without
/// optimisation: call it where blocking is allowed.
pub fn warm_up() {
    plan::warm_up();
}

/// Digits without `+`: the ways to read them, in the order in which they are tried.
fn unsigned(digits: &str, home: Option<&'static Plan>) -> Result<Option<Assigned>, PhoneProblem> {
    if EMERGENCY.contains(&digits) {
        return Err(PhoneProblem::Emergency);
    }
    let Some(home) = home else { return Ok(None) };
    if let Some(abroad) = home.after_abroad(digits)
        && let Some(found) = international(abroad)?
    {
        return Ok(Some(found));
    }
    if let Some(national) = home.after_trunk(digits)
        && let Some(found) = plan::assigned(home.code(), national)
    {
        return Ok(Some(found));
    }
    let with_code = match digits.strip_prefix(&home.code().to_string()) {
        Some(_) => international(digits)?,
        None => None,
    };
    match (with_code, plan::assigned(home.code(), digits)) {
        (Some(one), Some(other)) if one != other => Err(PhoneProblem::Unreadable),
        (one, other) => Ok(one.or(other)),
    }
}

/// Digits that begin with a country code. A national `0` after it is dropped when the number is none with it.
fn international(digits: &str) -> Result<Option<Assigned>, PhoneProblem> {
    let Some((code, national)) = plan::split_code(digits) else { return Ok(None) };
    if EMERGENCY.contains(&national) {
        return Err(PhoneProblem::Emergency);
    }
    let without_zero = || plan::assigned(code, national.strip_prefix('0')?);
    Ok(plan::assigned(code, national).or_else(without_zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str, region: &str) -> Result<(String, PhoneKind, Option<String>), &'static str> {
        normalise(raw, region).map(|n| (n.phone.to_string(), n.kind, n.extension)).map_err(PhoneProblem::code)
    }

    fn number(raw: &str, region: &str) -> Normalised {
        normalise(raw, region).unwrap()
    }

    #[test]
    fn every_way_of_writing_gives_the_same_number() {
        use PhoneKind::{Fixed, FixedOrMobile, Mobile, SharedCost, TollFree};
        let examples = [
            ("027 555 9001", "NZ", "+64275559001", Mobile),
            ("64 27 555 9001", "NZ", "+64275559001", Mobile),
            ("0064275559001", "NZ", "+64275559001", Mobile),
            ("27 555 9001", "NZ", "+64275559001", Mobile),
            ("+64 (0)27 555 9001", "NZ", "+64275559001", Mobile),
            ("+64 (0)27 555 9001", "US", "+64275559001", Mobile),
            ("+64 (0)27 555 9001", "", "+64275559001", Mobile),
            ("0011 64 27 555 9001", "AU", "+64275559001", Mobile),
            ("011 64 27 555 9001", "US", "+64275559001", Mobile),
            ("00 64 (0)27 555 9001", "GB", "+64275559001", Mobile),
            ("(09) 888 9002", "NZ", "+6498889002", Fixed),
            ("(09)/888-9002", "nz", "+6498889002", Fixed),
            ("０２７５５５９００１", "NZ", "+64275559001", Mobile),
            ("tel:+64-27-555-9001", "AU", "+64275559001", Mobile),
            ("0800 838 383", "NZ", "+64800838383", TollFree),
            ("0412 345 000", "AU", "+61412345000", Mobile),
            ("1300 975 707", "AU", "+611300975707", SharedCost),
            ("(415) 555-2671", "US", "+14155552671", FixedOrMobile),
            ("1 415 555 2671", "US", "+14155552671", FixedOrMobile),
            ("415/555-2671", "US", "+14155552671", FixedOrMobile),
            ("+44 20 7946 0018", "NZ", "+442079460018", Fixed),
            ("+44 (0)20 7946 0018", "NZ", "+442079460018", Fixed),
            ("+39 06 698 12345", "NZ", "+390669812345", Fixed),
            ("021 123 456", "NZ", "+6421123456", Mobile),
            ("021 1234 5678", "NZ", "+642112345678", Mobile),
        ];
        for (raw, region, e164, kind) in examples {
            assert_eq!(read(raw, region), Ok((e164.to_owned(), kind, None)), "{raw} [{region}]");
        }
        let with_extension = Ok(("+6498889002".to_owned(), Fixed, Some("12".to_owned())));
        assert_eq!(read("09 888 9002 x12", "NZ"), with_extension);
    }

    #[test]
    fn doubt_is_an_error() {
        let examples = [
            ("", "NZ", "empty_number"),
            ("   ", "NZ", "empty_number"),
            ("n/a", "NZ", "unreadable_number"),
            ("0800 FLOWERS", "NZ", "unreadable_number"),
            ("12", "NZ", "number_not_assigned"),
            ("0000000000", "NZ", "number_not_assigned"),
            ("888 9002", "NZ", "number_not_assigned"),
            ("027 655 900", "NZ", "number_not_assigned"),
            ("0275559001 0211234567", "NZ", "number_not_assigned"),
            ("+64 26 1234 5678", "NZ", "number_not_assigned"),
            ("07700 900123", "GB", "number_not_assigned"),
            ("+999 1234567", "NZ", "number_not_assigned"),
            ("+0064 27 555 9001", "NZ", "number_not_assigned"),
            ("027 555 9001", "ZZ", "number_not_assigned"),
            ("0064 27 555 9001", "US", "number_not_assigned"),
            ("111", "NZ", "emergency_number"),
            ("+64 111", "NZ", "emergency_number"),
            ("00 44 999", "NZ", "emergency_number"),
            ("911", "US", "emergency_number"),
            ("000", "AU", "emergency_number"),
            ("027 555 9001 / 021 1", "NZ", "several_numbers"),
        ];
        for (raw, region, code) in examples {
            assert_eq!(read(raw, region), Err(code), "{raw} [{region}]");
        }
    }

    #[test]
    fn only_people_in_allowed_countries_are_dialled() {
        let allowed = ["NZ".to_owned(), "AU".to_owned()];
        let refusal =
            |raw: &str, region: &str| dialable(&number(raw, region), &allowed).err().map(|refusal| refusal.code);
        assert_eq!(refusal("027 555 9001", "NZ"), None);
        assert_eq!(refusal("(02) 9876 5432", "AU"), None);
        assert_eq!(refusal("0147 101 234", "AU"), None);
        assert_eq!(refusal("0800 838 383", "NZ"), Some("toll_free"));
        assert_eq!(refusal("0900 12345", "NZ"), Some("premium_number"));
        assert_eq!(refusal("1300 975 707", "AU"), Some("shared_cost_number"));
        assert_eq!(refusal("13 12 12", "AU"), Some("shared_cost_number"));
        assert_eq!(refusal("070 1234 5678", "GB"), Some("not_a_customer_number"));
        assert_eq!(refusal("+881 6 1234 5678", "NZ"), Some("satellite_number"));
        assert_eq!(refusal("(415) 555-2671", "US"), Some("country_not_allowed"));
        assert_eq!(refusal("+1 876 912 3456", "US"), Some("country_not_allowed"), "Jamaica shares code 1");
        assert_eq!(refusal("+61 8 9164 1234", "AU"), Some("country_not_allowed"), "Christmas Island shares code 61");
    }

    #[test]
    fn regions_that_share_a_code_are_told_apart() {
        let region = |raw: &str| number(raw, "NZ").region;
        for (raw, expected) in [
            ("+14155552671", "US"),
            ("+16137827274", "CA"),
            ("+18769123456", "JM"),
            ("+447781123456", "GG"),
            ("+447624123456", "IM"),
            ("+447400123456", "GB"),
            ("+61891641234", "CX"),
        ] {
            assert_eq!(region(raw).as_deref(), Some(expected), "{raw}");
        }
        assert_eq!(region("+870773123456"), None);
    }

    #[test]
    fn texts_go_to_mobiles_only() {
        assert!(can_text(&number("027 555 9001", "NZ")));
        assert!(can_text(&number("(415) 555-2671", "US")), "worth trying");
        assert!(!can_text(&number("09 888 9002", "NZ")));
        assert!(!can_text(&number("1300 975 707", "AU")));
    }

    #[test]
    fn callers_without_a_number_are_nobody() {
        for raw in [
            "",
            "anonymous",
            "restricted",
            "+266696687",
            "client:mere",
            "sip:mere@example.com",
            "sip:+64275559001@h",
            "12345",
        ] {
            assert_eq!(identify(raw), None, "{raw}");
        }
        assert_eq!(identify("+64275559001"), Some(Phone("+64275559001".to_owned())));
        assert_eq!(identify("+15005550006"), Some(Phone("+15005550006".to_owned())));
    }

    #[test]
    fn messenger_digits_are_international_and_never_national() {
        assert_eq!(normalise_international("64275559001").unwrap().phone.as_str(), "+64275559001");
        assert_eq!(normalise_international("+64275559001").unwrap().phone.as_str(), "+64275559001");
        assert_eq!(normalise_international("0275559001"), Err(PhoneProblem::NotAssigned));
        assert_eq!(normalise_international(" "), Err(PhoneProblem::Empty));
    }

    #[test]
    fn logs_never_show_a_whole_number() {
        let mobile = Phone("+64275559001".to_owned());
        assert_eq!(mobile.masked(), "+6427•••9001");
        assert_eq!(format!("{mobile:?}"), "Phone(+6427•••9001)");
        for len in 7..=15 {
            let phone = Phone::parse_e164(&format!("+{}", "1".repeat(len))).unwrap();
            let shown = phone.masked().bytes().filter(u8::is_ascii_digit).count();
            assert!(len - shown >= 3, "{}", phone.masked());
        }
    }

    #[test]
    fn people_see_their_own_spelling() {
        let phone = Phone("+64275559001".to_owned());
        assert_eq!(phone.written_in("NZ"), "027 555 9001");
        assert_eq!(phone.written_in("AU"), "+64 27 555 9001");
        assert_eq!(phone.written_in(""), "+64 27 555 9001");
    }

    #[test]
    fn json_takes_e164_only() {
        let phone: Phone = serde_json::from_str("\"+64275559001\"").unwrap();
        assert_eq!(serde_json::to_string(&phone).unwrap(), "\"+64275559001\"");
        for text in [
            "\"0275559001\"",
            "\"+0275559001\"",
            "\"+64 27\"",
            "\"+123456\"",
            "\"+1234567890123456\"",
            "\"+６４２７５５５９００１\"",
        ] {
            assert!(serde_json::from_str::<Phone>(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_a_number_reads_as_itself(raw in "\\PC{0,40}", nz in "0[0-9]{6,10}") {
            for text in [raw, nz] {
                if let Ok(first) = normalise(&text, "NZ") {
                    let again = normalise(first.phone.as_str(), "").unwrap();
                    proptest::prop_assert_eq!(&again.phone, &first.phone);
                    proptest::prop_assert_eq!((again.kind, again.region), (first.kind, first.region));
                }
            }
        }
    }
}
