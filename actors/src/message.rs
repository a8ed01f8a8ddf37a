//! What the boss hears and reads. Templates are the project's; placeholders are `[Name]`, `[Source]`, `[Message]` and
//! `[Phone]`.

use apex_config::dna::Dna;
use apex_storage::Lead;
use apex_storage::model::LeadSource;

/// Longest part of a customer's words that is read aloud or texted, characters.
const QUOTE: usize = 160;

/// What the boss hears before the key press: the project's words, with the person's name in front when they do not say it.
pub(crate) fn whisper(dna: &Dna, lead: &Lead) -> String {
    let template = &dna.sales_bridge().whisper_text;
    let text = fill(template, lead);
    if template.contains("[Name]") { text } else { format!("{} is waiting. {text}", lead.name) }
}

/// The text about a lead that was not called.
pub(crate) fn not_dialled(dna: &Dna, lead: &Lead, reason: &str) -> String {
    details(dna, lead, &format!("Not called: {}.", reason.replace('_', " ")))
}

/// The text about a lead whose call did not bring them together.
pub(crate) fn missed(dna: &Dna, lead: &Lead) -> String {
    details(dna, lead, "You have not spoken yet.")
}

/// The text about a lead of whom nobody knows whether the call about them was placed.
pub(crate) fn unclear(dna: &Dna, lead: &Lead) -> String {
    details(dna, lead, "The telephone provider gave no answer, so the call may not have been placed.")
}

/// The text about a lead that somebody asked for.
pub(crate) fn alert(dna: &Dna, lead: &Lead) -> String {
    details(dna, lead, "")
}

fn details(dna: &Dna, lead: &Lead, note: &str) -> String {
    let phone = lead.phone.as_ref().map(ToString::to_string).or_else(|| lead.phone_raw.clone());
    let parts = [
        Some(fill(&dna.sales_bridge().sms_alert_template, lead)),
        phone.map(|phone| format!("Phone: {phone}.")),
        lead.email.as_ref().map(|email| format!("E-mail: {email}.")),
        lead.message.as_ref().map(|message| format!("\"{}\"", cut(message))),
        (!note.is_empty()).then(|| note.to_owned()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn fill(template: &str, lead: &Lead) -> String {
    let phone = lead.phone.as_ref().map(ToString::to_string).or_else(|| lead.phone_raw.clone()).unwrap_or_default();
    template
        .replace("[Source]", source(lead.source))
        .replace("[Name]", &lead.name)
        .replace("[Message]", &lead.message.as_deref().map(cut).unwrap_or_default())
        .replace("[Phone]", &phone)
}

fn cut(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if flat.chars().count() <= QUOTE {
        return flat;
    }
    flat.chars().take(QUOTE).chain(['…']).collect()
}

const fn source(source: LeadSource) -> &'static str {
    match source {
        LeadSource::GoogleAds => "Google Ads",
        LeadSource::WordPress => "Website",
        LeadSource::Manual => "Typed in",
        LeadSource::Import => "Import",
        LeadSource::Integration => "Integration",
        LeadSource::Sniper => "Job board",
        LeadSource::InboundCall => "Phone call",
    }
}
