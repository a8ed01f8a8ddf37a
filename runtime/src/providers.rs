//! Adapters of the ports: each speaks one provider's wire format, and nobody else does.

pub mod llm;
pub mod twilio;

use url::Url;

/// Why an adapter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Requests cannot be addressed from here.
    #[error("{0} is no base address of an http service")]
    BaseUrl(Url),
    /// The account's id would not survive in an address.
    #[error("the account id is not made of letters and digits")]
    Account,
    /// The client that sends the requests cannot be built.
    #[error("the http client cannot be built")]
    Client(#[source] reqwest::Error),
    /// The client of the language model cannot be built.
    #[error("the client of the language model cannot be built")]
    Model(#[source] Box<genai::Error>),
}

/// The base address as one that more path can be joined to: it ends with a slash.
fn base(mut url: Url) -> Result<Url, SetupError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SetupError::BaseUrl(url));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use apex_actors::ports::{Briefing, CallRequest, Llm, SendError, Telephony, TextRequest};
    use apex_sandbox::{Fault, Faults, Options, Sandbox};
    use apex_storage::model::call::{Ending, Facts, Recording, Report};
    use apex_storage::model::phone::Phone;
    use axum::Router;
    use axum::routing::any;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::llm::GeminiModel;
    use super::twilio::{TwilioClient, TwilioSettings};
    use super::*;

    const NUMBER: &str = "+6498889002";
    const LOOKS: usize = 2_000;

    /// Everybody outside, and a page that connects each call to the customer and records it.
    struct World {
        sandbox: Sandbox,
        twilio: TwilioClient,
        hooks: String,
        _page: JoinSet<()>,
    }

    async fn world() -> World {
        let options = Options::default();
        let sandbox = Sandbox::start(options.clone()).await.unwrap();
        let settings = TwilioSettings {
            account_sid: options.account_sid,
            auth_token: options.auth_token.into(),
            number: NUMBER.to_owned(),
            base: sandbox.url().parse().unwrap(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hooks = format!("http://{}", listener.local_addr().unwrap());
        let connect = format!(
            "<Response><Dial callerId=\"{NUMBER}\" timeout=\"25\" answerOnBridge=\"true\" record=\"record-from-answer-dual\" \
             action=\"{hooks}/after\"><Number>+64275559002</Number></Dial></Response>"
        );
        let twiml = |text: String| ([("content-type", "text/xml")], text);
        let page = Router::new()
            .route("/connect", any(move || std::future::ready(twiml(connect.clone()))))
            .fallback(any(move || std::future::ready(twiml("<Response/>".to_owned()))));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, page).await.unwrap() });
        World { sandbox, twilio: TwilioClient::new(settings).unwrap(), hooks, _page: server }
    }

    impl World {
        fn call(&self) -> CallRequest {
            CallRequest {
                to: boss(),
                from: NUMBER.to_owned(),
                answer_url: format!("{}/connect?effect=1&bridge=1", self.hooks),
                status_url: format!("{}/status?effect=1", self.hooks),
                ring_seconds: 25,
                max_seconds: 3600,
            }
        }

        /// Looks until both legs are over.
        async fn ending(&self, sid: &str) -> Option<Ending> {
            for _ in 0..LOOKS {
                let mut reports = self.twilio.look_at(sid).await.unwrap();
                reports.push(Report::Press { accepted: true });
                if let Some(ending) = Facts::of(&reports).ending() {
                    return Some(ending);
                }
            }
            None
        }

        async fn recording(&self, sid: &str) -> Option<String> {
            for _ in 0..LOOKS {
                if let Recording::Ready { sid, .. } = self.twilio.recording_of(sid).await.unwrap() {
                    return Some(sid);
                }
            }
            None
        }
    }

    fn boss() -> Phone {
        Phone::parse_e164("+64275559001").unwrap()
    }

    #[tokio::test]
    async fn a_call_is_placed_watched_heard_and_understood() {
        let world = world().await;
        world.twilio.check().await.unwrap();
        let sid = world.twilio.place_call(&world.call()).await.unwrap();
        assert!(matches!(world.ending(&sid).await, Some(Ending::Connected { .. })));
        let recording = world.recording(&sid).await.unwrap();
        let audio = world.twilio.recording_audio(&recording).await.unwrap();
        let base = Some(world.sandbox.url().parse().unwrap());
        let key = Options::default().gemini_key.into();
        let model = GeminiModel::new(key, base, "gemini-3.8-flash".to_owned(), Duration::from_secs(10)).unwrap();
        let briefing = Briefing {
            business_name: "Kererū".to_owned(),
            niche: Some("plumbing".to_owned()),
            language: "en-NZ".to_owned(),
        };
        let heard = model.transcribe(audio, "audio/wav", &briefing).await.unwrap();
        assert!(heard.value.starts_with("Boss:") && heard.value.contains("\nCustomer:"), "{}", heard.value);
        let understood = model.analyse(&heard.value, &briefing).await.unwrap();
        assert_eq!(understood.value.urgency, "high");
        assert!(heard.tokens > 0 && understood.tokens > 0);
        world.twilio.hang_up(&sid).await.unwrap();
        assert_eq!(world.sandbox.ledger().judge(), Vec::<String>::new());
        world.sandbox.stop().await;
    }

    #[tokio::test]
    async fn a_call_whose_answer_is_lost_is_unknown_and_found() {
        let world = world().await;
        world.sandbox.faults(Faults { fail_next_calls: vec![Fault::DropAfterActing], ..Faults::default() });
        let lost = world.twilio.place_call(&world.call()).await;
        assert!(matches!(lost, Err(SendError::Unknown(_))), "{lost:?}");
        let found = world.twilio.find_calls(&boss(), NUMBER).await.unwrap();
        assert_eq!(found.len(), 1);
        assert!(world.ending(&found[0].sid).await.is_some());
        world.sandbox.stop().await;
    }

    #[tokio::test]
    async fn a_text_is_sent_once_the_provider_has_time_and_found_by_its_words() {
        let world = world().await;
        world.sandbox.faults(Faults { fail_next_messages: vec![Fault::too_many(3)], ..Faults::default() });
        let text = TextRequest {
            to: boss(),
            from: NUMBER.to_owned(),
            body: "New lead: Mere, burst pipe — ring back".to_owned(),
            status_url: format!("{}/sms?effect=2", world.hooks),
        };
        let busy = world.twilio.send_text(&text).await;
        let wait = Some(Duration::from_secs(3));
        assert!(matches!(&busy, Err(SendError::NotSent { retry_after, .. }) if *retry_after == wait), "{busy:?}");
        let sid = world.twilio.send_text(&text).await.unwrap();
        let found = world.twilio.find_texts(&boss(), NUMBER, &text.body).await.unwrap();
        assert_eq!(found.iter().map(|found| &found.sid).collect::<Vec<_>>(), [&sid]);
        assert_eq!(world.twilio.find_texts(&boss(), NUMBER, "another").await.unwrap(), []);
        world.sandbox.stop().await;
    }

    #[test]
    fn a_base_address_keeps_its_whole_path() {
        let joined = |text: &str| base(text.parse().unwrap()).unwrap().join("models").unwrap().to_string();
        assert_eq!(joined("https://a.example"), "https://a.example/models");
        assert_eq!(joined("https://a.example/gemini/v1beta"), "https://a.example/gemini/v1beta/models");
        assert_eq!(joined("http://127.0.0.1:9/v1/"), "http://127.0.0.1:9/v1/models");
        assert!(base("mailto:mere@kereru.example".parse().unwrap()).is_err());
    }
}
