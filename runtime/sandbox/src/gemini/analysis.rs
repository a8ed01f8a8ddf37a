//! What a conversation means, by a few honest rules: each word of the answer was said, or counts what was said.

use serde_json::{Value, json};

const HIGH: [&str; 15] = [
    "urgent",
    "emergency",
    "burst",
    "flood",
    "water everywhere",
    "right now",
    "immediately",
    "straight away",
    "as soon as possible",
    "asap",
    "gas leak",
    "no power",
    "sparks",
    "locked out",
    "dangerous",
];
const MEDIUM: [&str; 8] = ["today", "tomorrow", "tonight", "this week", "soon", "leak", "dripping", "not working"];
const POSITIVE: [&str; 8] =
    ["thank", "great", "perfect", "lovely", "brilliant", "awesome", "sounds good", "appreciate"];
const NEGATIVE: [&str; 10] = [
    "angry",
    "terrible",
    "complain",
    "disappointed",
    "worst",
    "upset",
    "too expensive",
    "not interested",
    "rubbish",
    "stop calling",
];
const WANTS: [&str; 10] =
    ["i need", "we need", "i want", "we want", "looking for", "can you", "could you", "would like", "quote", "burst"];
const PROMISES: [&str; 6] = ["i will", "i'll", "we will", "we'll", "i can", "we can"];
const MOST_POINTS: usize = 5;
const MOST_STEPS: usize = 3;

/// The answer: `{summary, key_points, customer_intent, next_steps, sentiment, urgency}`.
pub(crate) fn analyse(conversation: &str) -> Value {
    let customer = sentences(conversation, |speaker| speaker != "Boss");
    let boss = sentences(conversation, |speaker| speaker == "Boss");
    let said = customer.join(" ");
    let statements: Vec<&String> = customer.iter().filter(|sentence| sentence.split_whitespace().count() > 2).collect();
    let wish = customer.iter().find(|sentence| any(sentence, &WANTS)).or(statements.first().copied());
    let intent = wish.cloned().unwrap_or_else(|| "The customer did not say.".to_owned());
    let promises: Vec<&String> = boss.iter().filter(|sentence| any(sentence, &PROMISES)).take(MOST_STEPS).collect();
    let next_steps = if promises.is_empty() {
        json!(["Call the customer back."])
    } else {
        json!(promises.iter().map(|promise| format!("Boss: {promise}")).collect::<Vec<_>>())
    };
    let summary = match promises.first() {
        _ if customer.is_empty() => "The customer said nothing.".to_owned(),
        Some(promise) => format!("The customer said: {intent} The boss answered: {promise}"),
        None => format!("The customer said: {intent}"),
    };
    json!({
        "summary": summary,
        "key_points": statements.iter().take(MOST_POINTS).collect::<Vec<_>>(),
        "customer_intent": intent,
        "next_steps": next_steps,
        "sentiment": sentiment(&said),
        "urgency": urgency(&said),
    })
}

fn urgency(said: &str) -> &'static str {
    match () {
        () if any(said, &HIGH) => "high",
        () if any(said, &MEDIUM) => "medium",
        () => "low",
    }
}

fn sentiment(said: &str) -> &'static str {
    let said = said.to_lowercase();
    let count = |words: &[&str]| words.iter().filter(|word| said.contains(**word)).count();
    match count(&POSITIVE).cmp(&count(&NEGATIVE)) {
        std::cmp::Ordering::Greater => "positive",
        std::cmp::Ordering::Equal => "neutral",
        std::cmp::Ordering::Less => "negative",
    }
}

fn any(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// What those speakers say, sentence by sentence. A line without a speaker belongs to nobody, which is not the boss.
fn sentences(conversation: &str, of: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for line in conversation.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (speaker, words) = line.split_once(':').filter(|(name, _)| is_name(name)).unwrap_or(("", line));
        if of(speaker) {
            found.extend(words.split_inclusive(['.', '!', '?']).map(|sentence| sentence.trim().to_owned()));
        }
    }
    found.retain(|sentence| !sentence.is_empty());
    found
}

fn is_name(text: &str) -> bool {
    matches!(text, "Boss" | "Customer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Conversation;

    #[test]
    fn a_burst_pipe_is_urgent_and_each_point_was_said() {
        let talk = Conversation::default().text();
        let found = analyse(&talk);
        assert_eq!(found["urgency"], "high");
        assert_eq!(found["sentiment"], "positive");
        assert!(found["customer_intent"].as_str().unwrap().contains("burst"));
        let points = found["key_points"].as_array().unwrap();
        assert!(!points.is_empty() && points.len() <= MOST_POINTS);
        assert!(points.iter().all(|point| talk.contains(point.as_str().unwrap())));
        assert!(found["next_steps"][0].as_str().unwrap().contains("two o'clock"));
    }

    #[test]
    fn a_calm_question_is_not_urgent_and_a_complaint_is_negative() {
        let calm = analyse("Boss: Hi\nCustomer: I am looking for a new kitchen next year.");
        assert_eq!((calm["urgency"].as_str(), calm["sentiment"].as_str()), (Some("low"), Some("neutral")));
        assert_eq!(calm["next_steps"], json!(["Call the customer back."]));
        let upset = analyse("Customer: This is terrible, I am disappointed. The tap is dripping.");
        assert_eq!((upset["urgency"].as_str(), upset["sentiment"].as_str()), (Some("medium"), Some("negative")));
    }

    #[test]
    fn silence_has_no_meaning_but_an_answer() {
        let found = analyse("");
        assert_eq!(found["summary"], "The customer said nothing.");
        assert_eq!(found["key_points"], json!([]));
    }
}
