//! Language models: Gemini through the `genai` crate, or none.
//!
//! What a caller said is hostile input: it reaches the model as data between marks, the answer is taken only in the shape
//! that was asked for, and nothing that a model says is ever acted on.

mod analysis;
mod failure;
mod prompt;
mod sound;

use std::fmt;
use std::time::Duration;

use apex_actors::ports::{Analysis, Answer, Briefing, Llm, PortError};
use async_trait::async_trait;
use genai::adapter::AdapterKind;
use genai::chat::{ChatMessage, ChatOptions, ChatRequest, ChatResponse, ReasoningEffort};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{SetupError, base};

/// Where Gemini is when no setting says otherwise.
const GEMINI: &str = "https://generativelanguage.googleapis.com/v1beta/";
/// The version of the API, where the address names none.
const VERSION: &str = "v1beta/";
const CONNECT: Duration = Duration::from_secs(5);
/// Tokens of one answer, thinking included.
const TRANSCRIPT_TOKENS: u32 = 16_384;
const ANALYSIS_TOKENS: u32 = 8_192;
/// Characters of one answer that are kept.
const ANSWER_CHARS: usize = 100_000;

/// Gemini, ready to be asked.
pub struct GeminiModel {
    client: Client,
    endpoint: Endpoint,
    key: SecretString,
    model: String,
    timeout: Duration,
}

/// One finished answer of the model.
struct Said {
    text: String,
    engine: String,
    tokens: i64,
}

impl GeminiModel {
    /// Prepares the client; asks nothing yet. `base` ends in the version of the API (`…/v1beta/`) and is Google's own when
    /// there is none; a bare host gets the version. One answer may take `timeout`.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: the base address cannot be used, or TLS cannot be set up.
    pub fn new(key: SecretString, base: Option<Url>, model: String, timeout: Duration) -> Result<Self, SetupError> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(timeout)
            .build()
            .map_err(SetupError::Client)?;
        let client =
            Client::builder().with_reqwest(http).build().map_err(|error| SetupError::Model(Box::new(error)))?;
        let endpoint = match base {
            Some(url) => Endpoint::from_owned(versioned(url)?),
            None => Endpoint::from_static(GEMINI),
        };
        Ok(Self { client, endpoint, key, model, timeout })
    }

    async fn ask(&self, request: ChatRequest, options: ChatOptions) -> Result<Said, PortError> {
        // The whole body is kept because a blocked prompt shows nowhere else.
        let options = options.with_capture_raw_body(true).with_reasoning_effort(ReasoningEffort::Low);
        let target = ServiceTarget {
            endpoint: self.endpoint.clone(),
            auth: AuthData::from_single(self.key.expose_secret()),
            model: ModelIden::new(AdapterKind::Gemini, self.model.as_str()),
        };
        match tokio::time::timeout(self.timeout, self.client.exec_chat(target, request, Some(&options))).await {
            Ok(Ok(response)) => said(&response),
            Ok(Err(error)) => Err(failure::of(&error)),
            Err(_) => Err(PortError::Transient("the model gave no answer in time".to_owned())),
        }
    }

    async fn hear(
        &self,
        audio: &[u8],
        mime: &str,
        part: (usize, usize),
        briefing: &Briefing,
    ) -> Result<Said, PortError> {
        let request = prompt::transcription(audio, mime, part, briefing);
        let said = self.ask(request, ChatOptions::default().with_max_tokens(TRANSCRIPT_TOKENS)).await?;
        // A finished answer without a word: the model heard none and left out to say so.
        let text = if said.text.is_empty() { prompt::NO_SPEECH.to_owned() } else { said.text };
        Ok(Said { text, ..said })
    }
}

impl fmt::Debug for GeminiModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeminiModel")
            .field("base", &self.endpoint.base_url())
            .field("model", &self.model)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Llm for GeminiModel {
    fn is_configured(&self) -> bool {
        true
    }

    #[tracing::instrument(name = "gemini.call.transcribe", skip_all, fields(sound.bytes = audio.len()))]
    async fn transcribe(&self, audio: Vec<u8>, mime: &str, briefing: &Briefing) -> Result<Answer<String>, PortError> {
        let parts = sound::parts(audio, sound::PART_BYTES)?;
        let mut answer = Answer { value: String::new(), engine: self.model.clone(), tokens: 0 };
        for (index, part) in parts.iter().enumerate() {
            let said = self.hear(part, mime, (index + 1, parts.len()), briefing).await?;
            if index > 0 {
                answer.value.push('\n');
            }
            answer.value.push_str(&said.text);
            answer.engine = said.engine;
            answer.tokens += said.tokens;
        }
        Ok(answer)
    }

    #[tracing::instrument(name = "gemini.call.analyse", skip_all, fields(transcript.bytes = transcript.len()))]
    async fn analyse(&self, transcript: &str, briefing: &Briefing) -> Result<Answer<Analysis>, PortError> {
        if transcript.trim().is_empty() {
            return Err(PortError::Permanent("there is nothing to analyse".to_owned()));
        }
        let options =
            || ChatOptions::default().with_max_tokens(ANALYSIS_TOKENS).with_response_format(analysis::shape());
        let request = prompt::analysis(transcript, briefing);
        let first = self.ask(request.clone(), options()).await?;
        let problem = match analysis::read(&first.text) {
            Ok(value) => return Ok(Answer { value, engine: first.engine, tokens: first.tokens }),
            Err(problem) => problem,
        };
        tracing::info!(%problem, "the model's analysis was not in shape, asking once more");
        let request = request
            .append_message(ChatMessage::assistant(first.text))
            .append_message(ChatMessage::user(prompt::repair(&problem)));
        let second = self.ask(request, options()).await?;
        let tokens = first.tokens + second.tokens;
        match analysis::read(&second.text) {
            Ok(value) => Ok(Answer { value, engine: second.engine, tokens }),
            Err(problem) => Err(PortError::Permanent(format!("the model's analysis is not in shape: {problem}"))),
        }
    }
}

/// No model: nothing is heard and nothing is analysed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoModel;

#[async_trait]
impl Llm for NoModel {
    fn is_configured(&self) -> bool {
        false
    }

    async fn transcribe(&self, _: Vec<u8>, _: &str, _: &Briefing) -> Result<Answer<String>, PortError> {
        Err(PortError::NotConfigured("language model"))
    }

    async fn analyse(&self, _: &str, _: &Briefing) -> Result<Answer<Analysis>, PortError> {
        Err(PortError::NotConfigured("language model"))
    }
}

/// The base address as `genai` needs it: it appends `models/…`.
fn versioned(url: Url) -> Result<String, SetupError> {
    let mut url = base(url)?;
    if url.path() == "/" {
        url.set_path(VERSION);
    }
    Ok(url.into())
}

/// The answer, if the model finished it.
fn said(response: &ChatResponse) -> Result<Said, PortError> {
    failure::unless_finished(response)?;
    let text = response.content.texts().concat();
    let text: String = text.trim().chars().filter(|c| *c == '\n' || !c.is_control()).take(ANSWER_CHARS).collect();
    let usage = &response.usage;
    let sum = || Some(usage.prompt_tokens? + usage.completion_tokens?);
    let tokens = usage.total_tokens.or_else(sum).unwrap_or_default().max(0);
    let engine = response.provider_model_iden.model_name.to_string();
    tracing::debug!(gemini.model = %engine, gemini.tokens = tokens, "the model answered");
    Ok(Said { text, engine, tokens: tokens.into() })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::{Request, State};
    use axum::response::Response;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    const KEY: &str = "g00gle";

    #[derive(Clone, Default)]
    struct Stage {
        answers: Arc<Mutex<VecDeque<(u16, String)>>>,
        asked: Arc<Mutex<Vec<(String, Value)>>>,
    }

    struct Fake {
        model: GeminiModel,
        stage: Stage,
        _server: JoinSet<()>,
    }

    async fn serve(State(stage): State<Stage>, request: Request) -> Response {
        let key = request.headers().get("x-goog-api-key").unwrap().to_str().unwrap();
        let line = format!("{} {} {key}", request.method(), request.uri());
        let body = to_bytes(request.into_body(), 64 << 20).await.unwrap();
        stage.asked.lock().unwrap().push((line, serde_json::from_slice(&body).unwrap()));
        let Some((status, body)) = stage.answers.lock().unwrap().pop_front() else {
            return std::future::pending().await;
        };
        let answer = Response::builder().status(status).header("content-type", "application/json; charset=UTF-8");
        answer.body(Body::from(body)).unwrap()
    }

    async fn fake(path: &str, answers: impl IntoIterator<Item = (u16, Value)>) -> Fake {
        let stage = Stage::default();
        stage.answers.lock().unwrap().extend(answers.into_iter().map(|(status, body)| (status, body.to_string())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}{path}", listener.local_addr().unwrap()).parse().unwrap();
        let app = Router::new().fallback(serve).with_state(stage.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        let timeout = Duration::from_secs(2);
        let model = GeminiModel::new(KEY.into(), Some(base), "gemini-3.8-flash".to_owned(), timeout).unwrap();
        Fake { model, stage, _server: server }
    }

    impl Fake {
        fn asked(&self) -> Vec<(String, Value)> {
            self.stage.asked.lock().unwrap().clone()
        }
    }

    fn finished(reason: &str, parts: &Value) -> (u16, Value) {
        let usage = json!({ "promptTokenCount": 40, "candidatesTokenCount": 12, "thoughtsTokenCount": 30, "totalTokenCount": 82 });
        let candidate = json!({ "content": { "role": "model", "parts": parts }, "finishReason": reason, "index": 0 });
        (200, json!({ "candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3.8-flash-002" }))
    }

    fn text(text: impl Into<Value>) -> (u16, Value) {
        finished("STOP", &json!([{ "text": text.into() }]))
    }

    fn meaning() -> Value {
        json!({ "summary": "A pipe burst.", "key_points": [], "customer_intent": "A plumber.", "next_steps": [],
            "sentiment": "negative", "urgency": "high" })
    }

    fn briefing() -> Briefing {
        Briefing { business_name: "Kererū".to_owned(), niche: None, language: "en-NZ".to_owned() }
    }

    #[tokio::test]
    async fn sound_goes_out_inline_and_the_words_come_back_with_their_price() {
        let parts = json!([{ "text": "thinking", "thought": true }, { "text": "Boss: Kia ora\n" }, { "text": "Customer: Hi\u{0} " }]);
        let fake = fake("/gemini/v1beta/", [finished("STOP", &parts)]).await;
        let answer = fake.model.transcribe(b"RIFF".to_vec(), "audio/wav", &briefing()).await.unwrap();
        assert_eq!(answer.value, "Boss: Kia ora\nCustomer: Hi");
        assert_eq!((answer.engine.as_str(), answer.tokens), ("gemini-3.8-flash-002", 82));
        let (line, body) = fake.asked().remove(0);
        assert_eq!(line, format!("POST /gemini/v1beta/models/gemini-3.8-flash:generateContent {KEY}"));
        let sound = &body["contents"][0]["parts"][1]["inline_data"];
        assert_eq!(*sound, json!({ "mime_type": "audio/wav", "data": "UklGRg==" }));
        assert_eq!(body["generationConfig"]["thinkingConfig"]["thinkingLevel"], "LOW");
        assert_eq!(body["generationConfig"]["maxOutputTokens"], TRANSCRIPT_TOKENS);
    }

    #[tokio::test]
    async fn a_recording_without_words_says_so() {
        let fake = fake("", [text("")]).await;
        let answer = fake.model.transcribe(b"RIFF".to_vec(), "audio/wav", &briefing()).await.unwrap();
        assert_eq!(answer.value, prompt::NO_SPEECH);
    }

    #[tokio::test]
    async fn an_analysis_out_of_shape_is_repaired_once() {
        let fake = fake("", [text("Sure!"), text(meaning().to_string())]).await;
        let answer = fake.model.analyse("Boss: Kia ora", &briefing()).await.unwrap();
        assert_eq!((answer.value.urgency.as_str(), answer.tokens), ("high", 164));
        let asked = fake.asked();
        assert!(asked[0].0.starts_with("POST /v1beta/models/"), "a bare host gets the version");
        assert_eq!(asked[0].1["generationConfig"]["responseJsonSchema"]["required"].as_array().unwrap().len(), 6);
        let roles: Vec<_> = asked[1].1["contents"].as_array().unwrap().iter().map(|c| c["role"].clone()).collect();
        assert_eq!(roles, ["user", "model", "user"]);

        let stubborn = self::fake("", [text("Sure!"), text("Sure!"), text("Sure!")]).await;
        let refused = stubborn.model.analyse("Boss: Kia ora", &briefing()).await;
        assert!(matches!(refused, Err(PortError::Permanent(_))));
        assert_eq!(stubborn.asked().len(), 2);
    }

    #[tokio::test]
    async fn only_a_finished_answer_is_an_answer() {
        let whole = json!([{ "text": meaning().to_string() }]);
        let table = [
            (finished("MAX_TOKENS", &whole), false),
            (finished("SAFETY", &whole), true),
            (finished("SPII", &whole), true),
            (finished("OTHER", &whole), false),
            (finished("TELEPORTED", &whole), false),
            ((200, json!({ "promptFeedback": { "blockReason": "SAFETY" }, "usageMetadata": {} })), true),
            ((200, json!({ "candidates": [], "promptFeedback": { "blockReason": "OTHER" } })), true),
            ((200, json!({ "candidates": [{ "finishReason": "MAX_TOKENS" }] })), false),
            ((200, json!({ "candidates": [{ "content": { "parts": [{ "text": "{}" }] } }] })), false),
            ((200, json!({})), false),
            ((400, json!({ "error": { "status": "INVALID_ARGUMENT" } })), true),
            ((403, json!({})), true),
            ((404, json!({})), true),
            ((429, json!({})), false),
            ((500, json!({})), false),
            ((503, json!("<html>")), false),
        ];
        for (answer, for_good) in table {
            let shown = answer.1.to_string();
            let fake = fake("", [answer]).await;
            let error = fake.model.analyse("Boss: burst pipe", &briefing()).await.unwrap_err();
            assert_eq!(matches!(error, PortError::Permanent(_)), for_good, "{error:?} for {shown}");
            assert_eq!(matches!(error, PortError::Transient(_)), !for_good, "{error:?} for {shown}");
            assert!(!error.to_string().contains("pipe"), "{error}");
        }
    }

    #[tokio::test]
    async fn silence_is_a_timeout_and_nobody_there_is_for_now() {
        let fake = fake("", []).await;
        let hasty = GeminiModel { timeout: Duration::from_millis(50), ..fake.model };
        assert!(matches!(hasty.analyse("Boss: hi", &briefing()).await, Err(PortError::Transient(_))));
        let nobody = Some("http://127.0.0.1:1/v1beta/".parse().unwrap());
        let nobody = GeminiModel::new(KEY.into(), nobody, "m".to_owned(), Duration::from_secs(2)).unwrap();
        assert!(matches!(nobody.analyse("Boss: hi", &briefing()).await, Err(PortError::Transient(_))));
        assert!(matches!(nobody.analyse(" \n", &briefing()).await, Err(PortError::Permanent(_))));
        assert!(!format!("{nobody:?}").contains(KEY));
    }

    #[tokio::test]
    async fn without_a_model_nothing_is_heard_or_analysed() {
        assert!(!NoModel.is_configured());
        let not_configured = PortError::NotConfigured("language model");
        assert_eq!(NoModel.transcribe(vec![], "audio/wav", &briefing()).await, Err(not_configured.clone()));
        assert_eq!(NoModel.analyse("Boss: hi", &briefing()).await, Err(not_configured));
    }
}
