//! `rules-v1`: what a transcript means by its words alone. It claims little, and shows the words that led there.

use serde_json::json;

use crate::ports::{Analysis, Answer};

/// The name that an analysis by rules carries.
pub(crate) const ENGINE: &str = "rules-v1";

const URGENT: &[&str] =
    &["urgent", "emergency", "burst", "flood", "leak", "right now", "asap", "tonight", "locked out"];
const SOON: &[&str] = &["today", "tomorrow", "this week", "soon"];
const PLEASED: &[&str] = &["thank", "great", "perfect", "wonderful", "appreciate"];
const DISPLEASED: &[&str] = &["angry", "terrible", "complain", "refund", "unhappy", "disappointed"];
const STEPS: &[(&str, &str)] = &[
    ("quote", "Send a quote"),
    ("price", "Send a quote"),
    ("appointment", "Schedule an appointment"),
    ("tomorrow", "Schedule an appointment"),
    ("today", "Schedule an appointment"),
    ("address", "Confirm the address"),
    ("call back", "Call back"),
    ("photo", "Ask for photos"),
];
/// Longest summary, characters.
const SUMMARY: usize = 200;

/// Tells what a transcript means. Never fails.
pub(crate) fn by_rules(transcript: &str) -> Answer<Analysis> {
    let lower = transcript.to_lowercase();
    let hits = |words: &[&str]| {
        words.iter().filter(|word| lower.contains(**word)).map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let (urgent, soon, pleased, displeased) = (hits(URGENT), hits(SOON), hits(PLEASED), hits(DISPLEASED));
    let customer = said_by(transcript, "customer");
    let first = customer.first().cloned().unwrap_or_else(|| cut(transcript.trim()));
    let mut next_steps: Vec<String> = Vec::new();
    for (word, step) in STEPS {
        if lower.contains(word) && !next_steps.iter().any(|known| known == step) {
            next_steps.push((*step).to_owned());
        }
    }
    if next_steps.is_empty() {
        next_steps.push("Review the call".to_owned());
    }
    let urgency = match (urgent.is_empty(), soon.is_empty()) {
        (false, _) => "high",
        (true, false) => "medium",
        (true, true) => "low",
    };
    let sentiment = match pleased.len().cmp(&displeased.len()) {
        std::cmp::Ordering::Greater => "positive",
        std::cmp::Ordering::Less => "negative",
        std::cmp::Ordering::Equal => "neutral",
    };
    let value = Analysis {
        summary: cut(&first),
        key_points: customer.into_iter().take(5).map(|line| cut(&line)).collect(),
        customer_intent: if urgency == "high" { "Immediate service required" } else { "Service enquiry" }.to_owned(),
        next_steps,
        sentiment: sentiment.to_owned(),
        urgency: urgency.to_owned(),
        engine: Some(ENGINE.to_owned()),
        evidence: Some(json!({ "urgent": urgent, "soon": soon, "pleased": pleased, "displeased": displeased })),
    };
    Answer { value, engine: ENGINE.to_owned(), tokens: 0 }
}

fn said_by(transcript: &str, speaker: &str) -> Vec<String> {
    let lines = transcript.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(who, _)| who.trim().eq_ignore_ascii_case(speaker))
        .map(|(_, words)| words.trim().to_owned())
        .filter(|words| !words.is_empty())
        .collect()
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SUMMARY {
        return text.to_owned();
    }
    text.chars().take(SUMMARY).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::by_rules;

    #[test]
    fn an_emergency_is_urgent_and_the_words_are_shown() {
        let answer =
            by_rules("Boss: Hello?\nCustomer: A pipe burst, water everywhere!\nBoss: On my way.\nCustomer: Thank you.");
        assert_eq!(answer.value.urgency, "high");
        assert_eq!(answer.value.sentiment, "positive");
        assert_eq!(answer.value.summary, "A pipe burst, water everywhere!");
        assert_eq!(answer.value.evidence.expect("rules show evidence")["urgent"], serde_json::json!(["burst"]));
    }

    #[test]
    fn nothing_said_is_nothing_claimed() {
        let answer = by_rules("");
        assert_eq!((answer.value.urgency.as_str(), answer.value.sentiment.as_str()), ("low", "neutral"));
        assert!(answer.value.key_points.is_empty());
    }
}
