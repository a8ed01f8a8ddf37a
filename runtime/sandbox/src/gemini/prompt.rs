//! What the model is asked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::ledger::Task;
use crate::wav;

/// What sound of one second counts, tokens.
const SECOND_TOKENS: usize = 32;
/// Bytes of sound in one second, as this sandbox records.
const SECOND_BYTES: usize = 16_000;
/// Characters in a token, about.
const TOKEN_CHARS: usize = 4;
/// Words by which a request asks for an analysis.
const ANALYSIS: [&str; 3] = ["key_points", "customer_intent", "next_steps"];

/// A request as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    texts: Vec<String>,
    sounds: Vec<Vec<u8>>,
    asks_for_analysis: bool,
}

impl Prompt {
    pub(crate) fn read(body: &Value) -> Self {
        let mut prompt = Self::default();
        let instruction = field(body, "systemInstruction", "system_instruction");
        let contents = body["contents"].as_array().into_iter().flatten();
        for part in instruction.into_iter().chain(contents).filter_map(|content| content["parts"].as_array()).flatten()
        {
            prompt.texts.extend(part["text"].as_str().map(str::to_owned));
            if let Some(sound) = field(part, "inlineData", "inline_data") {
                prompt.sounds.extend(sound_in(sound));
            }
        }
        let config = field(body, "generationConfig", "generation_config").map(Value::to_string).unwrap_or_default();
        let asks = |text: &str| ANALYSIS.iter().any(|word| text.contains(word));
        prompt.asks_for_analysis = asks(&config) || prompt.texts.iter().any(|text| asks(text));
        prompt
    }

    pub(crate) fn task(&self) -> Task {
        if self.asks_for_analysis {
            Task::Analyse
        } else if self.sounds.is_empty() {
            Task::Other
        } else {
            Task::Transcribe
        }
    }

    /// The words in the sound that came along.
    pub(crate) fn heard(&self) -> Option<String> {
        let words: Vec<_> = self.sounds.iter().filter_map(|sound| wav::words(sound)).collect();
        (!words.is_empty()).then(|| words.join("\n"))
    }

    /// The conversation to be analysed: what is heard, else the lines with a speaker, else all text.
    pub(crate) fn conversation(&self) -> String {
        if let Some(heard) = self.heard() {
            return heard;
        }
        let spoken: Vec<_> =
            self.texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| is_spoken(line)).collect();
        if spoken.is_empty() { self.texts.join("\n") } else { spoken.join("\n") }
    }

    pub(crate) fn chars(&self) -> usize {
        self.texts.iter().map(|text| text.chars().count()).sum()
    }

    pub(crate) fn audio_bytes(&self) -> usize {
        self.sounds.iter().map(Vec::len).sum()
    }

    pub(crate) fn tokens(&self) -> usize {
        self.text_tokens() + self.audio_tokens()
    }

    pub(crate) fn token_details(&self) -> Value {
        let mut details = vec![json!({ "modality": "TEXT", "tokenCount": self.text_tokens() })];
        if !self.sounds.is_empty() {
            details.push(json!({ "modality": "AUDIO", "tokenCount": self.audio_tokens() }));
        }
        json!(details)
    }

    fn text_tokens(&self) -> usize {
        self.chars().div_ceil(TOKEN_CHARS)
    }

    fn audio_tokens(&self) -> usize {
        self.audio_bytes().div_ceil(SECOND_BYTES) * SECOND_TOKENS
    }
}

fn field<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    value.get(camel).or_else(|| value.get(snake))
}

fn sound_in(data: &Value) -> Option<Vec<u8>> {
    let kind = field(data, "mimeType", "mime_type")?.as_str()?;
    if !kind.starts_with("audio/") {
        return None;
    }
    STANDARD.decode(data["data"].as_str()?).ok()
}

fn is_spoken(line: &str) -> bool {
    ["Boss:", "Customer:"].iter().any(|speaker| line.starts_with(speaker))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(parts: &Value, config: &Value) -> Prompt {
        Prompt::read(&json!({ "contents": [{ "role": "user", "parts": parts }], "generationConfig": config }))
    }

    #[test]
    fn sound_is_transcribed_word_for_word() {
        let data = STANDARD.encode(wav::encode("Boss: Hi\nCustomer: Help"));
        let parts =
            json!([{ "text": "Write it down." }, { "inlineData": { "mimeType": "audio/x-wav", "data": data } }]);
        let prompt = ask(&parts, &json!({}));
        assert_eq!(prompt.task(), Task::Transcribe);
        assert_eq!(prompt.heard().as_deref(), Some("Boss: Hi\nCustomer: Help"));
        assert!(prompt.tokens() > 32, "{}", prompt.tokens());
    }

    #[test]
    fn an_analysis_is_recognised_by_its_schema_or_its_words() {
        let text = json!([{ "text": "Analyse.\n\nBoss: Hi\nCustomer: Help\nReturn JSON." }]);
        let by_schema = ask(&text, &json!({ "responseSchema": { "properties": { "key_points": {} } } }));
        assert_eq!(by_schema.task(), Task::Analyse);
        assert_eq!(by_schema.conversation(), "Boss: Hi\nCustomer: Help");
        let by_words = ask(&json!([{ "text": "Give summary, key_points." }]), &json!({}));
        assert_eq!(by_words.task(), Task::Analyse);
        assert_eq!(ask(&json!([{ "text": "Hello" }]), &json!({})).task(), Task::Other);
    }
}
