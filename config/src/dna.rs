//! Project DNA: what one project wants, in layers.
//!
//! A layer is a mapping. [`merge`] lays them over each other (defaults < generated < custom), [`resolve`] checks the
//! result and names every key that is wrong. Reading and writing text is [`parse`] and [`to_yaml`].

mod check;
mod codes;
mod layers;
mod parse;
mod reader;

use chrono_tz::Tz;
use serde::Serialize;
use serde_json::Value;

pub use layers::{defaults, merge};
pub use parse::{Format, MAX_BYTES, MAX_DEPTH, parse, to_yaml};

/// One thing wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{key}: {problem}. Fix: {fix}")]
pub struct DnaProblem {
    /// Dotted path, like `modules.lead_gen.sales_bridge.destination_phone`; entries of lists by their number from 0.
    /// Empty for the text as a whole.
    pub key: String,
    /// What is wrong, as a fragment without a full stop.
    pub problem: String,
    /// What to do about it.
    pub fix: String,
}

/// What one project wants, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dna {
    /// Who the business is.
    pub identity: Identity,
    /// How it speaks.
    pub brand_brain: BrandBrain,
    /// What it sells.
    pub services: Vec<Service>,
    /// What Apex does for it.
    pub modules: Modules,
}

/// Who the business is and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The project this belongs to; letters, digits, `_` and `-`.
    pub project_id: Option<String>,
    /// The name customers know.
    pub business_name: Option<String>,
    /// The trade.
    pub niche: Option<String>,
    /// How customers reach the business.
    pub contact: Contact,
    /// ISO 3166 alpha-2: decides how national phone numbers are read.
    pub region: String,
    /// IANA zone: decides quiet hours.
    pub timezone: Tz,
    /// BCP 47: what is spoken and written to people.
    pub language: String,
}

/// How customers reach the business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// As the business writes it.
    pub phone: Option<String>,
    /// Mail address.
    pub email: Option<String>,
    /// Postal address.
    pub address: Option<String>,
}

/// How the business speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrandBrain {
    /// Manner of speaking.
    pub voice_tone: Option<String>,
    /// What sets it apart.
    pub key_differentiators: Vec<String>,
    /// What only insiders know.
    pub insider_tips: Vec<String>,
    /// What customers object.
    pub common_objections: Vec<String>,
    /// What must never be said.
    pub forbidden_topics: Vec<String>,
}

/// One thing the business sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its part of an address.
    pub slug: Option<String>,
    /// What customers search for.
    pub primary_keywords: Vec<String>,
    /// What stands around it.
    pub context_keywords: Vec<String>,
}

/// What Apex does for the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modules {
    /// Finding and connecting leads.
    pub lead_gen: LeadGen,
    /// Pages for places; also read under the name `pseo`.
    pub local_seo: LocalSeo,
    /// Health and spending.
    pub system_ops: SystemOps,
}

/// Finding and connecting leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadGen {
    /// Whether leads are acted upon.
    pub enabled: bool,
    /// Boss and customer on one line.
    pub sales_bridge: SalesBridge,
    /// Leads from job boards.
    pub sniper: Sniper,
}

/// Boss and customer on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesBridge {
    /// The boss's phone as it was written; normalise it by `identity.region`. `None`: nobody can be called.
    pub destination_phone: Option<String>,
    /// What the boss hears before pressing 1.
    pub whisper_text: String,
    /// The alert, with `[Source]` and `[Name]` to fill in.
    pub sms_alert_template: String,
    /// Whether calls are recorded.
    pub record: bool,
    /// How long the boss's phone rings, 5 to 60 s; `None`: as the installation is set.
    pub ring_seconds: Option<u32>,
    /// Countries (ISO 3166 alpha-2) that may be dialled; empty: see [`Dna::dialled_countries`].
    pub countries: Vec<String>,
}

/// Leads from job boards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sniper {
    /// Whether boards are searched.
    pub enabled: bool,
    /// Which boards.
    pub platforms: Vec<String>,
    /// What is searched for.
    pub keywords: Vec<String>,
    /// Where.
    pub geo_filter: Vec<String>,
}

/// Pages for places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalSeo {
    /// Whether pages are made.
    pub enabled: bool,
    /// What is scouted.
    pub scout_settings: ScoutSettings,
}

/// What is scouted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScoutSettings {
    /// Kinds of places that pages are built around.
    pub anchor_entities: Vec<String>,
    /// Where they are looked for.
    pub geo_scope: GeoScope,
}

/// Where places are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GeoScope {
    /// Cities.
    pub cities: Vec<String>,
    /// Parts of cities.
    pub suburbs: Vec<String>,
}

/// Health and spending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemOps {
    /// Whether health is checked and spending limited.
    pub enabled: bool,
    /// When health is bad.
    pub health_check: HealthCheck,
    /// What may be spent.
    pub billing: Billing,
}

/// When health is bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Free disk space below which is warned, in bytes (`disk_space_threshold_gb`, 1 GB = 1,000,000,000 bytes).
    pub disk_space_threshold_bytes: u64,
}

/// What may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Billing {
    /// Limit of a month in micro-dollars (`default_project_limit_usd`).
    pub limit_micros: i64,
}

impl Dna {
    /// Boss and customer on one line.
    pub fn sales_bridge(&self) -> &SalesBridge {
        &self.modules.lead_gen.sales_bridge
    }

    /// Countries that may be dialled: those listed, else the project's own, New Zealand and Australia.
    pub fn dialled_countries(&self) -> Vec<String> {
        let listed = &self.sales_bridge().countries;
        if !listed.is_empty() {
            return listed.clone();
        }
        let mut countries = vec![self.identity.region.clone()];
        countries.extend(["NZ", "AU"].into_iter().filter(|code| *code != self.identity.region).map(str::to_owned));
        countries
    }
}

/// Lays the custom layer over the generated one over the defaults, and checks every key.
///
/// # Errors
///
/// Every key that is unknown or wrong.
pub fn resolve(generated: &Value, custom: &Value) -> Result<Dna, Vec<DnaProblem>> {
    let mut problems = layers::doubled_names(&[generated, custom]);
    let dna = check::read(&merge(&[&defaults(), generated, custom]), &mut problems);
    if problems.is_empty() { Ok(dna) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EXAMPLE: &str = include_str!("dna/example.yaml");

    fn resolved(custom: &Value) -> Dna {
        resolve(&json!({}), custom).unwrap()
    }

    fn problems(custom: &Value) -> Vec<DnaProblem> {
        resolve(&json!({}), custom).unwrap_err()
    }

    fn keys(custom: &Value) -> Vec<String> {
        problems(custom).into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn the_documented_example_is_accepted_whole() {
        let dna = resolved(&parse(EXAMPLE, Format::Yaml).unwrap());
        assert_eq!(dna.identity.project_id.as_deref(), Some("apex-bail-manukau"));
        assert_eq!(dna.identity.contact.address.as_deref(), Some("Auckland, New Zealand"));
        assert_eq!(dna.brand_brain.key_differentiators, ["24/7 Availability", "Former Police Prosecutor"]);
        assert_eq!(dna.services[0].slug.as_deref(), Some("bail"));
        assert_eq!(dna.services[0].context_keywords.len(), 2);
        assert_eq!(dna.sales_bridge().destination_phone.as_deref(), Some("+6421000000"));
        assert!(dna.sales_bridge().whisper_text.ends_with("Press 1 to connect."));
        assert!(dna.modules.lead_gen.sniper.enabled && dna.modules.local_seo.enabled);
        assert_eq!(dna.modules.lead_gen.sniper.platforms, ["trademe_jobs"]);
        assert_eq!(dna.modules.local_seo.scout_settings.anchor_entities, ["Court", "Police Station"]);
        assert_eq!(dna.modules.local_seo.scout_settings.geo_scope.suburbs, ["Manukau"]);
        assert_eq!(dna.modules.system_ops.billing.limit_micros, 50_000_000);
        assert_eq!(dna.modules.system_ops.health_check.disk_space_threshold_bytes, 1_000_000_000);
    }

    #[test]
    fn nothing_written_gives_the_defaults() {
        let dna = resolved(&json!({}));
        assert_eq!(
            (dna.identity.region.as_str(), dna.identity.timezone, dna.identity.language.as_str()),
            ("NZ", Tz::Pacific__Auckland, "en-NZ")
        );
        assert_eq!(dna.sales_bridge().sms_alert_template, "🔥 HOT LEAD: [Source] - [Name]");
        assert!(dna.sales_bridge().record && dna.sales_bridge().destination_phone.is_none());
        assert_eq!(dna.dialled_countries(), ["NZ", "AU"]);
    }

    #[test]
    fn taking_a_key_back_gives_its_default() {
        let generated = json!({"identity": {"region": "GB"}, "modules": {"lead_gen": {"sales_bridge":
            {"destination_phone": "+442079460018", "whisper_text": "Hello.", "record": false}}}});
        let custom = json!({"identity": {"region": null}, "modules": {"lead_gen": {"sales_bridge":
            {"destination_phone": null, "whisper_text": null, "record": null}}}});
        assert_eq!(resolve(&generated, &custom).unwrap(), resolved(&json!({})));
    }

    #[test]
    fn custom_wins_over_generated_key_by_key() {
        let generated = json!({"identity": {"business_name": "Old", "niche": "Plumbing"}});
        let dna = resolve(&generated, &json!({"identity": {"business_name": "New"}})).unwrap();
        assert_eq!(dna.identity.business_name.as_deref(), Some("New"));
        assert_eq!(dna.identity.niche.as_deref(), Some("Plumbing"));
    }

    #[test]
    fn every_wrong_key_is_named_at_once() {
        let found = keys(&json!({
            "identity": {"region": "UK", "timezone": "Auckland", "language": "english!", "project_id": "a b"},
            "services": [{"slug": "x"}, {"name": "B", "primary_keywords": "x"}],
            "colour": "blue",
            "modules": {
                "lead_gen": {"enabled": "yes", "sales_bridge":
                    {"destination_phone": 6_421_000_000_u64, "ring_seconds": 3, "countries": ["NZ", "nz"]}},
                "system_ops": {"billing": {"default_project_limit_usd": -1}, "health_check": []},
            },
        }));
        assert_eq!(
            found,
            [
                "identity.project_id",
                "identity.region",
                "identity.timezone",
                "identity.language",
                "services.0.name",
                "services.1.primary_keywords",
                "modules.lead_gen.enabled",
                "modules.lead_gen.sales_bridge.destination_phone",
                "modules.lead_gen.sales_bridge.ring_seconds",
                "modules.lead_gen.sales_bridge.countries.1",
                "modules.system_ops.health_check",
                "modules.system_ops.billing.default_project_limit_usd",
                "colour",
            ]
        );
    }

    #[test]
    fn an_unknown_key_names_its_neighbour() {
        let found = problems(&json!({"modules": {"lead_gen": {"sales_bridge": {"destination_fone": "+6421000000"}}}}));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].key, "modules.lead_gen.sales_bridge.destination_fone");
        assert_eq!(found[0].fix, "did you mean destination_phone?");
    }

    #[test]
    fn no_problem_repeats_a_phone_number() {
        let found = problems(&json!({"modules": {"lead_gen": {"sales_bridge": {"destination_phone": "+64 99"}}}}));
        assert!(!found[0].to_string().contains("99"));
    }

    #[test]
    fn pseo_is_local_seo_in_any_layer() {
        let generated =
            json!({"modules": {"pseo": {"enabled": true, "scout_settings": {"anchor_entities": ["Court"]}}}});
        let custom = json!({"modules": {"local_seo": {"scout_settings": {"geo_scope": {"cities": ["Auckland"]}}}}});
        for (below, above) in [(&generated, &custom), (&custom, &generated)] {
            let seo = resolve(below, above).unwrap().modules.local_seo;
            assert!(seo.enabled);
            assert_eq!(seo.scout_settings.anchor_entities, ["Court"]);
            assert_eq!(seo.scout_settings.geo_scope.cities, ["Auckland"]);
        }
        let both = json!({"modules": {"pseo": {}, "local_seo": {}}});
        assert_eq!(keys(&both), ["modules.pseo"]);
    }

    #[test]
    fn countries_that_are_listed_are_the_only_ones() {
        let listed = json!({"modules": {"lead_gen": {"sales_bridge": {"countries": ["GB"]}}}});
        assert_eq!(resolved(&listed).dialled_countries(), ["GB"]);
        assert_eq!(resolved(&json!({"identity": {"region": "GB"}})).dialled_countries(), ["GB", "NZ", "AU"]);
    }

    #[test]
    fn money_is_read_exactly() {
        let limit = |value: Value| {
            let custom = json!({"modules": {"system_ops": {"billing": {"default_project_limit_usd": value}}}});
            resolve(&json!({}), &custom).map(|dna| dna.modules.system_ops.billing.limit_micros)
        };
        assert_eq!(limit(json!(0.1)), Ok(100_000));
        assert_eq!(limit(json!(75)), Ok(75_000_000));
        assert_eq!(limit(json!("12.34")), Ok(12_340_000));
        assert!(limit(json!(1e300)).is_err() && limit(json!(0.000_000_1)).is_err() && limit(json!(true)).is_err());
    }

    #[test]
    fn a_layer_that_is_no_mapping_is_a_problem() {
        assert_eq!(keys(&json!([1])), [""]);
        assert_eq!(keys(&json!({"modules": "all"})), ["modules"]);
    }
}
