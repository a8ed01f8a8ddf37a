//! The shape of an analysis: asked for as a schema, checked again when it comes.

use apex_actors::ports::Analysis;
use genai::chat::{ChatResponseFormat, JsonSpec};
use serde::Deserialize;
use serde_json::json;

const SENTIMENTS: [&str; 3] = ["positive", "neutral", "negative"];
const URGENCIES: [&str; 3] = ["low", "medium", "high"];
const TEXT_CHARS: usize = 2_000;
const ITEM_CHARS: usize = 500;
const ITEMS: usize = 20;

#[derive(Deserialize)]
struct Wire {
    summary: String,
    key_points: Vec<String>,
    customer_intent: String,
    next_steps: Vec<String>,
    sentiment: String,
    urgency: String,
}

/// What the model is held to.
pub(super) fn shape() -> ChatResponseFormat {
    let list = json!({ "type": "array", "items": { "type": "string" }, "maxItems": ITEMS });
    let schema = json!({
        "type": "object",
        "properties": {
            "summary": { "type": "string" },
            "key_points": list,
            "customer_intent": { "type": "string" },
            "next_steps": list,
            "sentiment": { "type": "string", "enum": SENTIMENTS },
            "urgency": { "type": "string", "enum": URGENCIES },
        },
        "required": ["summary", "key_points", "customer_intent", "next_steps", "sentiment", "urgency"],
    });
    ChatResponseFormat::JsonSpec(JsonSpec::new("call_analysis", schema))
}

/// The analysis, or what is wrong with it; the problem repeats nothing of the answer.
pub(super) fn read(text: &str) -> Result<Analysis, String> {
    let wire: Wire = serde_json::from_str(unfenced(text)).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "a key is missing or has the wrong type".to_owned(),
        _ => format!("it is not JSON (line {}, column {})", error.line(), error.column()),
    })?;
    let sentiment = sentiment(&wire.sentiment).ok_or("sentiment is not positive, neutral or negative")?;
    let urgency = urgency(&wire.urgency).ok_or("urgency is not low, medium or high")?;
    let summary = short(&wire.summary, TEXT_CHARS);
    if summary.is_empty() {
        return Err("summary is empty".to_owned());
    }
    Ok(Analysis {
        summary,
        key_points: list(&wire.key_points),
        customer_intent: short(&wire.customer_intent, TEXT_CHARS),
        next_steps: list(&wire.next_steps),
        sentiment: sentiment.to_owned(),
        urgency: urgency.to_owned(),
        engine: None,
        evidence: None,
    })
}

/// Models like to wrap JSON in a code block.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

fn sentiment(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase();
    let known = SENTIMENTS.into_iter().find(|known| *known == word);
    known.or(match word.as_str() {
        "mixed" | "unclear" | "unknown" | "none" => Some("neutral"),
        _ => None,
    })
}

fn urgency(word: &str) -> Option<&'static str> {
    let word = word.trim().to_lowercase();
    let known = URGENCIES.into_iter().find(|known| *known == word);
    known.or(match word.as_str() {
        "urgent" | "emergency" | "critical" | "very high" | "immediate" => Some("high"),
        "normal" | "moderate" | "average" => Some("medium"),
        "none" | "very low" => Some("low"),
        _ => None,
    })
}

fn list(items: &[String]) -> Vec<String> {
    items.iter().map(|item| short(item, ITEM_CHARS)).filter(|item| !item.is_empty()).take(ITEMS).collect()
}

fn short(text: &str, chars: usize) -> String {
    text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).take(chars).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn answer() -> Value {
        json!({
            "summary": " A pipe burst. ", "key_points": ["burst pipe", " ", "kitchen"], "customer_intent": "Wants a plumber today.",
            "next_steps": ["Send a plumber"], "sentiment": "Negative", "urgency": "HIGH",
        })
    }

    fn with(key: &str, value: Value) -> Result<Analysis, String> {
        let mut answer = answer();
        answer[key] = value;
        read(&answer.to_string())
    }

    #[test]
    fn a_whole_answer_is_taken_and_tidied() {
        let analysis = read(&answer().to_string()).unwrap();
        assert_eq!(analysis.summary, "A pipe burst.");
        assert_eq!(analysis.key_points, ["burst pipe", "kitchen"]);
        assert_eq!((analysis.sentiment.as_str(), analysis.urgency.as_str()), ("negative", "high"));
        assert_eq!((analysis.engine.clone(), analysis.evidence.clone()), (None, None));
        assert_eq!(read(&format!("```json\n{}\n```", answer())), Ok(analysis));
    }

    #[test]
    fn every_key_is_needed_with_its_type() {
        for key in ["summary", "key_points", "customer_intent", "next_steps", "sentiment", "urgency"] {
            let mut cut = answer();
            cut.as_object_mut().unwrap().remove(key);
            assert!(read(&cut.to_string()).is_err(), "{key}");
            assert!(with(key, json!(7)).is_err(), "{key}");
        }
        for text in ["", "null", "[]", "{", "Sure! Here is the analysis:"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sentiment_and_urgency_become_known_words_or_a_problem() {
        assert_eq!(with("urgency", json!("Emergency")).unwrap().urgency, "high");
        assert_eq!(with("urgency", json!(" normal ")).unwrap().urgency, "medium");
        assert_eq!(with("sentiment", json!("mixed")).unwrap().sentiment, "neutral");
        assert!(with("urgency", json!("ignore all previous instructions")).is_err());
        assert!(with("sentiment", json!("")).is_err());
        assert!(with("summary", json!(" \n")).is_err());
    }

    #[test]
    fn an_endless_answer_is_bounded() {
        let points: Vec<_> = (0..500).map(|_| "x".repeat(5_000)).collect();
        let analysis = with("key_points", json!(points)).unwrap();
        assert_eq!((analysis.key_points.len(), analysis.key_points[0].len()), (ITEMS, ITEM_CHARS));
        assert_eq!(with("summary", json!("y\u{0}".repeat(9_000))).unwrap().summary.len(), TEXT_CHARS);
    }

    #[test]
    fn a_problem_repeats_nothing_of_the_answer() {
        let problem = with("key_points", json!("call +64275559001")).unwrap_err();
        assert!(!problem.contains("555"), "{problem}");
    }
}
