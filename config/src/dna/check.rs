//! The typed DNA from the merged layers: every key, its form and its default.

use chrono_tz::Tz;
use serde_json::Value;

use super::{
    Billing, BrandBrain, Contact, Dna, DnaProblem, GeoScope, HealthCheck, Identity, LeadGen, LocalSeo, Modules,
    SalesBridge, ScoutSettings, Service, Sniper, SystemOps,
    codes::{is_country, is_language},
    layers::{SMS_ALERT_TEMPLATE, WHISPER_TEXT},
    reader::Reader,
};
use crate::problem::Fault;

/// The longest text message that is still one idea: ten segments.
const MAX_SMS: usize = 1_530;
/// The longest whisper: about half a minute.
const MAX_WHISPER: usize = 500;
const BYTES_PER_MILLIONTH_GB: u64 = 1_000;

/// Reads everything; what is wrong is added to `problems` and read as its default.
pub(super) fn read(merged: &Value, problems: &mut Vec<DnaProblem>) -> Dna {
    Reader::open(String::new(), Some(merged), problems, |dna| Dna {
        identity: dna.section("identity", identity),
        brand_brain: dna.section("brand_brain", brand_brain),
        services: dna.sections("services", service),
        modules: dna.section("modules", |modules| Modules {
            lead_gen: modules.section("lead_gen", lead_gen),
            local_seo: modules.section("local_seo", local_seo),
            system_ops: modules.section("system_ops", system_ops),
        }),
    })
}

fn identity(of: &mut Reader<'_, '_>) -> Identity {
    Identity {
        project_id: of.checked("project_id", project_id),
        business_name: of.text("business_name"),
        niche: of.text("niche"),
        contact: of.section("contact", |contact| Contact {
            phone: contact.text("phone"),
            email: contact.text("email"),
            address: contact.text("address"),
        }),
        region: of.checked("region", country).unwrap_or_else(|| "NZ".to_owned()),
        timezone: of.checked("timezone", timezone).unwrap_or(Tz::Pacific__Auckland),
        language: of.checked("language", language).unwrap_or_else(|| "en-NZ".to_owned()),
    }
}

fn brand_brain(of: &mut Reader<'_, '_>) -> BrandBrain {
    BrandBrain {
        voice_tone: of.text("voice_tone"),
        key_differentiators: of.texts("key_differentiators"),
        insider_tips: of.texts("insider_tips"),
        common_objections: of.texts("common_objections"),
        forbidden_topics: of.texts("forbidden_topics"),
    }
}

fn service(of: &mut Reader<'_, '_>) -> Service {
    Service {
        name: of.required("name"),
        slug: of.text("slug"),
        primary_keywords: of.texts("primary_keywords"),
        context_keywords: of.texts("context_keywords"),
    }
}

fn lead_gen(of: &mut Reader<'_, '_>) -> LeadGen {
    LeadGen {
        enabled: of.flag("enabled", true),
        sales_bridge: of.section("sales_bridge", sales_bridge),
        sniper: of.section("sniper", |sniper| Sniper {
            enabled: sniper.flag("enabled", false),
            platforms: sniper.texts("platforms"),
            keywords: sniper.texts("keywords"),
            geo_filter: sniper.texts("geo_filter"),
        }),
    }
}

fn sales_bridge(of: &mut Reader<'_, '_>) -> SalesBridge {
    let whisper_text = of.checked("whisper_text", |text| at_most(text, MAX_WHISPER));
    let sms_alert_template = of.checked("sms_alert_template", |text| at_most(text, MAX_SMS));
    SalesBridge {
        destination_phone: of.checked("destination_phone", phone),
        whisper_text: whisper_text.unwrap_or_else(|| WHISPER_TEXT.to_owned()),
        sms_alert_template: sms_alert_template.unwrap_or_else(|| SMS_ALERT_TEMPLATE.to_owned()),
        record: of.flag("record", true),
        ring_seconds: of.whole("ring_seconds", 5..=60),
        countries: of.checked_texts("countries", country),
    }
}

fn local_seo(of: &mut Reader<'_, '_>) -> LocalSeo {
    LocalSeo {
        enabled: of.flag("enabled", false),
        scout_settings: of.section("scout_settings", |scout| ScoutSettings {
            anchor_entities: scout.texts("anchor_entities"),
            geo_scope: scout
                .section("geo_scope", |geo| GeoScope { cities: geo.texts("cities"), suburbs: geo.texts("suburbs") }),
        }),
    }
}

fn system_ops(of: &mut Reader<'_, '_>) -> SystemOps {
    SystemOps {
        enabled: of.flag("enabled", true),
        health_check: of.section("health_check", |health| HealthCheck {
            disk_space_threshold_bytes: health
                .millionths("disk_space_threshold_gb", 1_000_000)
                .unsigned_abs()
                .saturating_mul(BYTES_PER_MILLIONTH_GB),
        }),
        billing: of.section("billing", |billing| Billing {
            limit_micros: billing.millionths("default_project_limit_usd", 50_000_000),
        }),
    }
}

fn project_id(text: &str) -> Result<String, Fault> {
    let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let fault = || Fault::new("holds other characters than letters, digits, _ and -", "use only these");
    fits.then(|| text.to_owned()).ok_or_else(fault)
}

fn country(text: &str) -> Result<String, Fault> {
    let fix = || match text.to_ascii_uppercase().as_str() {
        "UK" => "write GB".to_owned(),
        code if is_country(code) => format!("write {code}"),
        _ => "write two capitals, like NZ".to_owned(),
    };
    is_country(text).then(|| text.to_owned()).ok_or_else(|| Fault::new("is not an ISO 3166 alpha-2 country", fix()))
}

fn timezone(text: &str) -> Result<Tz, Fault> {
    text.parse().map_err(|_| Fault::new("is not an IANA time zone", "write it like Pacific/Auckland"))
}

fn language(text: &str) -> Result<String, Fault> {
    let fault = || Fault::new("is not a BCP 47 language", "write it like en-NZ");
    is_language(text).then(|| text.to_owned()).ok_or_else(fault)
}

/// The form of a phone number; whether it can be dialled depends on the region and is decided when it is.
fn phone(text: &str) -> Result<String, Fault> {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let plain = rest.bytes().all(|b| b.is_ascii_digit() || b" -.()/".contains(&b));
    let least = if rest.len() < text.len() { 7 } else { 6 };
    // Twenty: +64 (0)21 ... carries a zero that is not dialled, 0011 and the like come before a country code.
    if plain && (least..=20).contains(&digits) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("is not one phone number", "write it in quotes in international form, like \"+6421000000\""))
}

fn at_most(text: &str, most: usize) -> Result<String, Fault> {
    let fault = || Fault::new(format!("is longer than {most} characters"), "shorten it");
    (text.chars().count() <= most).then(|| text.to_owned()).ok_or_else(fault)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dna::defaults;

    #[test]
    fn the_lowest_layer_says_what_its_absence_means() {
        let mut problems = Vec::new();
        let without = read(&json!({}), &mut problems);
        assert_eq!(read(&defaults(), &mut problems), without);
        assert_eq!(problems, []);
    }

    #[test]
    fn phones_are_taken_as_people_write_them() {
        for good in ["+6421000000", "021 000 000", "(09) 888-9002", "+64 (0)27 555 9001", "0064275559001"] {
            assert!(phone(good).is_ok(), "{good}");
        }
        for bad in ["call me", "111", "+64", "021000000 x2", "+64275559001 or mail", "2+1000000"] {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_country_is_put_right() {
        assert_eq!(country("UK").unwrap_err().fix, "write GB");
        assert_eq!(country("nz").unwrap_err().fix, "write NZ");
        assert_eq!(country("Narnia").unwrap_err().fix, "write two capitals, like NZ");
    }
}
