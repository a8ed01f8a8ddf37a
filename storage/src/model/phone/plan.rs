//! Number plans: which national numbers a country has given out, and to whom.
//!
//! The patterns are those of libphonenumber, as the `phonenumber` crate carries them; a new plan is a new version of that
//! crate. They are matched here, over the whole number: the crate's own check is content with a matching beginning.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use phonenumber::Type;
use phonenumber::metadata::{DATABASE, Descriptor};
use regex::{Regex, RegexBuilder};

use super::PhoneKind;

/// In libphonenumber's order: the first that matches counts.
const TYPES: [(Type, PhoneKind); 8] = [
    (Type::PremiumRate, PhoneKind::Premium),
    (Type::TollFree, PhoneKind::TollFree),
    (Type::SharedCost, PhoneKind::SharedCost),
    (Type::Voip, PhoneKind::Voip),
    (Type::PersonalNumber, PhoneKind::Other),
    (Type::Pager, PhoneKind::Other),
    (Type::Uan, PhoneKind::Other),
    (Type::Voicemail, PhoneKind::Other),
];

/// The id under which plans without a country stand: satellites and international services.
const WORLD: &str = "001";

/// The longest country code, in digits.
const LONGEST_CODE: usize = 3;

/// The highest number of so many digits.
const HIGHEST_CODE: u16 = 999;

static PLANS: LazyLock<Plans> = LazyLock::new(Plans::load);

struct Plans {
    by_code: HashMap<u16, Vec<Plan>>,
    codes: HashMap<&'static str, u16>,
}

impl Plans {
    fn load() -> Self {
        let mut by_code: HashMap<u16, Vec<Plan>> = HashMap::new();
        let mut codes = HashMap::new();
        for code in 1..=HIGHEST_CODE {
            let Some(regions) = DATABASE.by_code(&code) else { continue };
            codes.extend(regions.iter().filter(|meta| meta.id() != WORLD).map(|meta| (meta.id(), code)));
            by_code.insert(code, regions.into_iter().map(Plan::of).collect());
        }
        Self { by_code, codes }
    }
}

/// A number that somebody may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    /// `+`, country code, national number.
    pub e164: String,
    /// ISO 3166 alpha-2; `None` for satellites and international services.
    pub region: Option<&'static str>,
    /// What it costs and can do.
    pub kind: PhoneKind,
}

/// One region's plan. Patterns are compiled when they are first needed.
pub(super) struct Plan {
    id: &'static str,
    code: u16,
    trunk: Option<&'static str>,
    abroad: Pattern,
    leading: Pattern,
    general: Pattern,
    typed: [Pattern; TYPES.len()],
    fixed: Pattern,
    mobile: Pattern,
}

impl Plan {
    #[expect(clippy::redundant_closure_for_method_calls, reason = "the pattern's crate is no dependency of ours")]
    fn of(meta: &'static phonenumber::Metadata) -> Self {
        let all = meta.descriptors();
        Self {
            id: meta.id(),
            code: meta.country_code(),
            trunk: meta.national_prefix(),
            abroad: Pattern::prefix(meta.international_prefix().map(|pattern| pattern.as_str())),
            leading: Pattern::prefix(meta.leading_digits().map(|pattern| pattern.as_str())),
            general: Pattern::whole(Some(all.general())),
            typed: TYPES.map(|(kind, _)| Pattern::whole(all.get(kind))),
            fixed: Pattern::whole(all.fixed_line()),
            mobile: Pattern::whole(all.mobile()),
        }
    }

    /// The plan of a region by its ISO 3166 alpha-2 code.
    pub fn of_region(region: &str) -> Option<&'static Self> {
        let region = region.trim().to_ascii_uppercase();
        let code = PLANS.codes.get(region.as_str())?;
        PLANS.by_code.get(code)?.iter().find(|plan| plan.id == region)
    }

    /// The region's country code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// What follows the national trunk prefix, if the digits begin with it.
    pub fn after_trunk<'a>(&self, digits: &'a str) -> Option<&'a str> {
        digits.strip_prefix(self.trunk?)
    }

    /// What follows the prefix for calls abroad, if the digits begin with it.
    pub fn after_abroad<'a>(&self, digits: &'a str) -> Option<&'a str> {
        self.abroad.prefix_len(digits).map(|len| &digits[len..])
    }

    fn kind(&self, national: &str) -> Option<PhoneKind> {
        if !self.general.matches(national) {
            return None;
        }
        let typed = self.typed.iter().zip(TYPES).find(|(pattern, _)| pattern.matches(national));
        if let Some((_, (_, kind))) = typed {
            return Some(kind);
        }
        match (self.fixed.matches(national), self.mobile.matches(national)) {
            (true, true) => Some(PhoneKind::FixedOrMobile),
            (true, false) => Some(PhoneKind::Fixed),
            (false, true) => Some(PhoneKind::Mobile),
            (false, false) => None,
        }
    }
}

/// Compiles what most callers need, so that the first lead does not wait for it.
pub(super) fn warm_up() {
    for (code, national) in [(64, "275559001"), (61, "412345000"), (44, "2079460018"), (1, "4155552671")] {
        let _ = assigned(code, national);
    }
}

/// Splits international digits into country code and national number.
pub(super) fn split_code(digits: &str) -> Option<(u16, &str)> {
    if digits.starts_with('0') {
        return None;
    }
    (1..=LONGEST_CODE).find_map(|len| {
        let code = digits.get(..len)?.parse().ok()?;
        PLANS.by_code.contains_key(&code).then(|| (code, &digits[len..]))
    })
}

/// Who has the number, by the whole pattern of the plan; `None`: nobody.
pub(super) fn assigned(code: u16, national: &str) -> Option<Assigned> {
    let plans = PLANS.by_code.get(&code)?;
    let (plan, kind) = plans.iter().find_map(|plan| match (plans.len(), &plan.leading) {
        (2.., leading) if leading.is_set() => leading.prefix_len(national).map(|_| (plan, plan.kind(national))),
        _ => plan.kind(national).map(|kind| (plan, Some(kind))),
    })?;
    let region = (plan.id != WORLD).then_some(plan.id);
    kind.map(|kind| Assigned { e164: format!("+{code}{national}"), region, kind })
}

/// A pattern with the lengths it allows, compiled at first use.
struct Pattern {
    text: Option<&'static str>,
    lengths: &'static [u16],
    whole: bool,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn whole(descriptor: Option<&'static Descriptor>) -> Self {
        let text = descriptor.map(|descriptor| descriptor.national_number().as_str());
        let lengths = descriptor.map_or(&[][..], Descriptor::possible_length);
        Self { text, lengths, whole: true, compiled: OnceLock::new() }
    }

    fn prefix(text: Option<&'static str>) -> Self {
        Self { text, lengths: &[], whole: false, compiled: OnceLock::new() }
    }

    fn is_set(&self) -> bool {
        self.text.is_some()
    }

    fn matches(&self, digits: &str) -> bool {
        let length_fits =
            self.lengths.is_empty() || self.lengths.iter().any(|length| usize::from(*length) == digits.len());
        length_fits && self.prefix_len(digits).is_some()
    }

    fn prefix_len(&self, digits: &str) -> Option<usize> {
        self.regex()?.find(digits).map(|found| found.end())
    }

    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            let end = if self.whole { "$" } else { "" };
            let anchored = format!("^(?:{}){end}", self.text?);
            RegexBuilder::new(&anchored).ignore_whitespace(true).unicode(false).build().ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}
