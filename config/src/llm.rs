//! Language models. Without a key calls are analysed by rules.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::{
    check::{base_url, issued_secret},
    source::Source,
};

/// Keys and addresses of the providers.
#[derive(Clone, Debug)]
pub struct Llm {
    /// Key for Gemini.
    pub google_api_key: Option<SecretString>,
    /// Gemini's base address; `None`: Google's own.
    pub gemini_api_url: Option<Url>,
    /// The model that transcribes and analyses.
    pub model: String,
    /// Key for `OpenAI` or a server that speaks like it.
    pub openai_api_key: Option<SecretString>,
    /// Base address of that server; `None`: `OpenAI`'s own.
    pub openai_api_url: Option<Url>,
    /// Key for Anthropic.
    pub anthropic_api_key: Option<SecretString>,
    /// Anthropic's base address; `None`: its own.
    pub anthropic_api_url: Option<Url>,
    /// How long a model may take for one answer.
    pub timeout: Duration,
}

impl Llm {
    pub(crate) fn read(source: &mut Source<'_>) -> Self {
        Self {
            google_api_key: source.checked("llm.google_api_key", issued_secret),
            gemini_api_url: source.checked("llm.gemini_api_url", base_url),
            model: source.text("llm.model").unwrap_or_default(),
            openai_api_key: source.checked("llm.openai_api_key", issued_secret),
            openai_api_url: source.checked("llm.openai_api_url", base_url),
            anthropic_api_key: source.checked("llm.anthropic_api_key", issued_secret),
            anthropic_api_url: source.checked("llm.anthropic_api_url", base_url),
            timeout: source.seconds("llm.timeout_seconds", 1..=600),
        }
    }
}
