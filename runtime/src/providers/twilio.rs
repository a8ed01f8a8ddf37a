//! Telephony by Twilio's REST API.
//!
//! The API has no idempotency key: a request that places a call or sends a text is written once, on a connection of its
//! own, and its answer is read as exactly what it proves (`answer`). Everything else can be asked again.

mod answer;
mod history;
mod look_up;
mod media;
mod report;
mod transport;

use apex_actors::ports::{CallRequest, Found, PlacedCall, PortError, SendError, Telephony, TextRequest};
use apex_storage::model::call::{Recording, Report};
use apex_storage::model::phone::Phone;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use url::Url;

use self::transport::{Trip, Wire};
use super::SetupError;

/// The longest that a phone may ring, seconds.
const MAX_RING_SECONDS: u32 = 600;
/// Twilio's code for changing a call that is not in that state any more.
const NOT_IN_THAT_STATE: &str = "21220";

/// The account that calls go through.
#[derive(Clone, Debug)]
pub struct TwilioSettings {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// The password of requests.
    pub auth_token: SecretString,
    /// The number that calls and messages go out as, E.164.
    pub number: String,
    /// Where the API is: `https://api.twilio.com`, or what plays it.
    pub base: Url,
}

/// Twilio, ready to be asked.
#[derive(Debug)]
pub struct TwilioClient {
    wire: Wire,
    account_sid: String,
    number: String,
}

impl TwilioClient {
    /// Prepares the clients; asks nothing yet.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: the base address or the account id cannot be used, or TLS cannot be set up.
    pub fn new(settings: TwilioSettings) -> Result<Self, SetupError> {
        let TwilioSettings { account_sid, auth_token, number, base } = settings;
        let wire = Wire::new(&account_sid, auth_token, base)?;
        Ok(Self { wire, account_sid, number })
    }

    async fn create(&self, kind: &str, form: &[(&str, &str)]) -> Result<String, SendError> {
        match self.wire.create(kind, form).await {
            Ok(reply) => answer::created(&reply),
            Err(trip) => Err(answer::not_created(trip)),
        }
    }

    async fn change(&self, sid: &str, status: &str) -> Result<Option<String>, PortError> {
        let url = self.wire.call(sid)?;
        let reply = self.wire.change(url, &[("Status", status)]).await.map_err(Trip::port_error)?;
        match answer::read::<report::Call>(&reply) {
            Ok(call) => Ok(call.status),
            Err(_) if reply.code().as_deref() == Some(NOT_IN_THAT_STATE) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Telephony for TwilioClient {
    fn account(&self) -> &str {
        &self.account_sid
    }

    fn number(&self) -> &str {
        &self.number
    }

    #[tracing::instrument(name = "twilio.call.place", skip_all)]
    async fn place_call(&self, request: &CallRequest) -> Result<String, SendError> {
        let ring = request.ring_seconds.min(MAX_RING_SECONDS).to_string();
        let limit = request.max_seconds.to_string();
        let form = [
            ("To", request.to.as_str()),
            ("From", &request.from),
            ("Url", &request.answer_url),
            ("Method", "POST"),
            ("StatusCallback", &request.status_url),
            ("StatusCallbackMethod", "POST"),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "ringing"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
            ("Timeout", &ring),
            ("TimeLimit", &limit),
        ];
        self.create("Calls", &form).await
    }

    #[tracing::instrument(name = "twilio.text.send", skip_all)]
    async fn send_text(&self, request: &TextRequest) -> Result<String, SendError> {
        let form = [
            ("To", request.to.as_str()),
            ("From", &request.from),
            ("Body", &request.body),
            ("StatusCallback", &request.status_url),
        ];
        self.create("Messages", &form).await
    }

    #[tracing::instrument(name = "twilio.call.find", skip_all)]
    async fn find_calls(&self, to: &Phone, from: &str) -> Result<Vec<Found>, PortError> {
        let reply = self.wire.list("Calls", &look_up::between(to, from)).await?;
        Ok(look_up::calls(answer::read(&reply)?))
    }

    #[tracing::instrument(name = "twilio.call.list", skip_all)]
    async fn calls_since(&self, since: DateTime<Utc>) -> Result<Vec<PlacedCall>, PortError> {
        history::calls_since(&self.wire, since).await
    }

    #[tracing::instrument(name = "twilio.text.find", skip_all)]
    async fn find_texts(&self, to: &Phone, from: &str, body: &str) -> Result<Vec<Found>, PortError> {
        let reply = self.wire.list("Messages", &look_up::between(to, from)).await?;
        Ok(look_up::texts(answer::read(&reply)?, body))
    }

    #[tracing::instrument(name = "twilio.call.look", skip_all, fields(call.sid = sid))]
    async fn look_at(&self, sid: &str) -> Result<Vec<Report>, PortError> {
        let boss = answer::read(&self.wire.get(self.wire.call(sid)?).await?)?;
        // The second legs are asked for after the first: of a call that was over by then, all legs are listed.
        let legs = self.wire.list("Calls", &[("ParentCallSid", sid)]).await?;
        Ok(report::reports(&boss, &answer::read(&legs)?))
    }

    #[tracing::instrument(name = "twilio.call.end", skip_all, fields(call.sid = sid))]
    async fn hang_up(&self, sid: &str) -> Result<(), PortError> {
        // `canceled` ends what has not been picked up, and so never cuts off a first hello; it leaves a live call alone.
        let status = self.change(sid, "canceled").await?;
        if status.as_deref().is_some_and(report::is_over) {
            return Ok(());
        }
        self.change(sid, "completed").await.map(drop)
    }

    #[tracing::instrument(name = "twilio.recording.find", skip_all, fields(call.sid = sid))]
    async fn recording_of(&self, sid: &str) -> Result<Recording, PortError> {
        let reply = self.wire.get(self.wire.recordings_of(sid)?).await?;
        Ok(report::recording(&answer::read(&reply)?))
    }

    #[tracing::instrument(name = "twilio.recording.fetch", skip_all, fields(recording.sid = recording_sid))]
    async fn recording_audio(&self, recording_sid: &str) -> Result<Vec<u8>, PortError> {
        media::fetch(&self.wire, recording_sid).await
    }

    #[tracing::instrument(name = "twilio.account.check", skip_all)]
    async fn check(&self) -> Result<(), PortError> {
        let account: report::Account = answer::read(&self.wire.get(self.wire.account()).await?)?;
        match account.status.as_deref() {
            Some("active") | None => Ok(()),
            Some(status) => Err(PortError::Permanent(format!("the account is {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use apex_storage::model::call::{End, Leg, Progress};
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::extract::{ConnectInfo, Request, State};
    use axum::response::Response;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    const SID: &str = "AC5a4db0c0ffee00112233445566778899";
    const WAV: &[u8] = b"RIFF\x04\0\0\0WAVE";

    /// What a client asked: method and address, whether with credentials, the form, and from which port.
    #[derive(Clone, Debug)]
    struct Asked {
        line: String,
        signed: bool,
        form: String,
        port: u16,
    }

    #[derive(Clone, Default)]
    struct Stage {
        answers: Arc<Mutex<VecDeque<Response>>>,
        asked: Arc<Mutex<Vec<Asked>>>,
    }

    struct Fake {
        client: TwilioClient,
        stage: Stage,
        _server: JoinSet<()>,
    }

    async fn serve(
        ConnectInfo(peer): ConnectInfo<SocketAddr>,
        State(stage): State<Stage>,
        request: Request,
    ) -> Response {
        let line = format!("{} {}", request.method(), request.uri());
        let signed = request.headers().contains_key("authorization");
        let form = to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let form = String::from_utf8(form.to_vec()).unwrap();
        stage.asked.lock().unwrap().push(Asked { line, signed, form, port: peer.port() });
        stage.answers.lock().unwrap().pop_front().unwrap_or_else(|| answer(500, ""))
    }

    fn answer(status: u16, body: impl Into<Body>) -> Response {
        Response::builder().status(status).body(body.into()).unwrap()
    }

    fn client(base: &str) -> TwilioClient {
        let number = "+6498889002".to_owned();
        let settings = TwilioSettings {
            account_sid: SID.to_owned(),
            auth_token: "t0ken".into(),
            number,
            base: base.parse().unwrap(),
        };
        TwilioClient::new(settings).unwrap()
    }

    async fn fake(answers: impl IntoIterator<Item = Response>) -> Fake {
        let stage = Stage::default();
        stage.answers.lock().unwrap().extend(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(serve).with_state(stage.clone());
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        Fake { client: client(&base), stage, _server: server }
    }

    impl Fake {
        fn asked(&self) -> Vec<Asked> {
            self.stage.asked.lock().unwrap().clone()
        }

        fn lines(&self) -> Vec<String> {
            let short = |asked: Asked| asked.line.replace(&format!("/2010-04-01/Accounts/{SID}"), "");
            self.asked().into_iter().map(short).collect()
        }
    }

    fn boss() -> Phone {
        Phone::parse_e164("+64275559001").unwrap()
    }

    fn call() -> CallRequest {
        CallRequest {
            to: boss(),
            from: "+6498889002".to_owned(),
            answer_url: "https://hooks.kereru.example/voice/connect?effect=1&x=a b".to_owned(),
            status_url: "https://hooks.kereru.example/voice/status?effect=1".to_owned(),
            ring_seconds: 25,
            max_seconds: 3600,
        }
    }

    #[tokio::test]
    async fn each_call_is_written_once_on_a_connection_of_its_own() {
        let fake = fake([answer(201, r#"{"sid":"CA1"}"#), answer(201, r#"{"sid":"CA2"}"#)]).await;
        assert_eq!(fake.client.place_call(&call()).await, Ok("CA1".to_owned()));
        assert_eq!(fake.client.place_call(&call()).await, Ok("CA2".to_owned()));
        let asked = fake.asked();
        assert_eq!(fake.lines(), ["POST /Calls.json", "POST /Calls.json"]);
        assert_ne!(asked[0].port, asked[1].port);
        assert!(asked.iter().all(|asked| asked.signed));
        assert_eq!(
            asked[0].form,
            "To=%2B64275559001&From=%2B6498889002\
             &Url=https%3A%2F%2Fhooks.kereru.example%2Fvoice%2Fconnect%3Feffect%3D1%26x%3Da+b&Method=POST\
             &StatusCallback=https%3A%2F%2Fhooks.kereru.example%2Fvoice%2Fstatus%3Feffect%3D1&StatusCallbackMethod=POST\
             &StatusCallbackEvent=initiated&StatusCallbackEvent=ringing&StatusCallbackEvent=answered\
             &StatusCallbackEvent=completed&Timeout=25&TimeLimit=3600"
        );
    }

    #[tokio::test]
    async fn a_text_that_is_refused_says_why_without_the_number() {
        let body = r#"{"code":21610,"message":"+64275559001 has opted out","status":400}"#;
        let fake = fake([answer(400, body)]).await;
        let text = TextRequest {
            to: boss(),
            from: "+6498889002".to_owned(),
            body: "Tēnā koe".to_owned(),
            status_url: "https://hooks.kereru.example/sms/status".to_owned(),
        };
        let refused = fake.client.send_text(&text).await.unwrap_err();
        let SendError::Refused { code, reason } = refused else { panic!("{refused:?}") };
        assert_eq!(code, "21610");
        assert!(!reason.contains("64275559001"), "{reason}");
        assert!(fake.asked()[0].form.contains("Body=T%C4%93n%C4%81+koe"));
    }

    #[tokio::test]
    async fn a_provider_that_nobody_reaches_was_sent_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut hang_ups = JoinSet::new();
        hang_ups.spawn(async move { while listener.accept().await.is_ok() {} });
        let not_tls = client(&format!("https://{addr}")).place_call(&call()).await;
        assert!(matches!(not_tls, Err(SendError::NotSent { .. })), "{not_tls:?}");
        hang_ups.shutdown().await;
        let closed = client(&format!("http://{addr}")).place_call(&call()).await;
        assert!(matches!(closed, Err(SendError::NotSent { .. })), "{closed:?}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_unknown() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut reads = 0_usize;
            while let Ok((mut socket, _)) = listener.accept().await {
                reads += socket.read(&mut [0; 4096]).await.unwrap_or_default();
                drop(socket);
                assert!(reads > 0);
            }
        });
        let broken = client(&base).place_call(&call()).await;
        assert!(matches!(broken, Err(SendError::Unknown(_))), "{broken:?}");
    }

    #[tokio::test]
    async fn an_answer_that_never_comes_is_a_timeout_and_no_refused_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hasty = reqwest::Client::builder().timeout(Duration::from_millis(50)).build().unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let error = hasty.post(url).send().await.unwrap_err();
        assert_eq!(Trip::of(&error), Trip::TimedOut);
    }

    #[tokio::test]
    async fn the_history_is_read_to_its_last_page() {
        let first = r#"{"calls":[{"sid":"CA1"},{"sid":"CA2"}],
                         "next_page_uri":"/2010-04-01/Accounts/AC0/Calls.json?PageSize=1000&Page=1&PageToken=PACA2"}"#;
        let last = r#"{"calls":[{"sid":"CA3"}],"next_page_uri":null}"#;
        let fake = fake([answer(200, first), answer(200, last), answer(500, "")]).await;
        let since = "2026-11-19T12:00:00.5Z".parse().unwrap();
        let calls = fake.client.calls_since(since).await.unwrap();
        assert_eq!(calls.iter().map(|call| call.sid.as_str()).collect::<Vec<_>>(), ["CA1", "CA2", "CA3"]);
        assert!(matches!(fake.client.calls_since(since).await, Err(PortError::Transient(_))));
        assert_eq!(
            fake.lines()[..2],
            [
                "GET /Calls.json?StartTime%3E=2026-11-19T12%3A00%3A00Z&PageSize=1000",
                "GET /Calls.json?PageSize=1000&Page=1&PageToken=PACA2"
            ]
        );
    }

    #[tokio::test]
    async fn look_ups_filter_by_both_numbers_and_no_date() {
        let calls = r#"{"calls":[{"sid":"CA1","date_created":null},{"sid":"CA2","parent_call_sid":"CA1"}]}"#;
        let texts = r#"{"messages":[{"sid":"SM1","body":"one"},{"sid":"SM2","body":"two"}]}"#;
        let fake = fake([answer(200, calls), answer(200, texts)]).await;
        let found = fake.client.find_calls(&boss(), "+6498889002").await.unwrap();
        assert_eq!(found, [Found { sid: "CA1".to_owned(), created_at: None }]);
        let found = fake.client.find_texts(&boss(), "+6498889002", "two").await.unwrap();
        assert_eq!(found, [Found { sid: "SM2".to_owned(), created_at: None }]);
        assert_eq!(
            fake.lines(),
            [
                "GET /Calls.json?To=%2B64275559001&From=%2B6498889002&PageSize=200",
                "GET /Messages.json?To=%2B64275559001&From=%2B6498889002&PageSize=200"
            ]
        );
    }

    #[tokio::test]
    async fn a_look_asks_for_the_call_and_then_for_its_second_leg() {
        let legs = r#"{"calls":[{"sid":"CA2","status":"completed","duration":"42"}]}"#;
        let fake = fake([answer(200, r#"{"status":"in-progress","duration":null}"#), answer(200, legs)]).await;
        let customer = Progress::Over(End::Completed { seconds: 42 });
        assert_eq!(
            fake.client.look_at("CA1").await.unwrap(),
            [
                Report::Leg { leg: Leg::Boss, progress: Progress::Answered },
                Report::Leg { leg: Leg::Customer, progress: customer }
            ]
        );
        assert_eq!(fake.lines(), ["GET /Calls/CA1.json", "GET /Calls.json?ParentCallSid=CA1&PageSize=200"]);
    }

    #[tokio::test]
    async fn hanging_up_cancels_and_where_that_does_nothing_ends() {
        let over = r#"{"status":"canceled"}"#;
        let live = r#"{"status":"in-progress"}"#;
        let gone = r#"{"code":21220,"message":"Call is not in-progress. Cannot redirect."}"#;
        let fake = fake([
            answer(200, over),
            answer(200, live),
            answer(200, r#"{"status":"completed"}"#),
            answer(400, gone),
            answer(400, gone),
            answer(404, r#"{"code":20404}"#),
        ])
        .await;
        for _ in 0..3 {
            fake.client.hang_up("CA1").await.unwrap();
        }
        assert!(matches!(fake.client.hang_up("CA1").await, Err(PortError::Missing(_))));
        let forms: Vec<_> = fake.asked().into_iter().map(|asked| asked.form).collect();
        let (cancel, end) = ("Status=canceled", "Status=completed");
        assert_eq!(forms, [cancel, cancel, end, cancel, end, cancel]);
    }

    #[tokio::test]
    async fn sound_is_asked_for_in_stereo_and_then_in_mono() {
        let fake =
            fake([answer(400, r#"{"code":20001}"#), answer(200, WAV), answer(404, ""), answer(200, "<html>")]).await;
        assert_eq!(fake.client.recording_audio("RE1").await.unwrap(), WAV);
        assert!(matches!(fake.client.recording_audio("RE1").await, Err(PortError::Missing(_))));
        assert!(matches!(fake.client.recording_audio("RE1").await, Err(PortError::Transient(_))));
        assert_eq!(
            fake.lines()[..2],
            ["GET /Recordings/RE1.wav?RequestedChannels=2", "GET /Recordings/RE1.wav?RequestedChannels=1"]
        );
    }

    #[tokio::test]
    async fn redirected_sound_is_followed_at_home_and_not_forever() {
        let redirect = |to: &str| Response::builder().status(307).header("location", to).body(Body::empty()).unwrap();
        let fake = fake([redirect("/moved"), answer(200, WAV), redirect("http://127.0.0.1:1/")]).await;
        assert_eq!(fake.client.recording_audio("RE1").await.unwrap(), WAV);
        assert!(matches!(fake.client.recording_audio("RE1").await, Err(PortError::Permanent(_))));
        assert_eq!(fake.lines()[1], "GET /moved");
        fake.stage.answers.lock().unwrap().extend((0..5).map(|_| redirect("/moved")));
        assert!(matches!(fake.client.recording_audio("RE1").await, Err(PortError::Permanent(_))));
        assert_eq!(fake.asked().len(), 7);
    }

    #[tokio::test]
    async fn the_check_tells_a_suspended_account_from_an_unreachable_one() {
        let fake = fake([
            answer(200, r#"{"status":"active"}"#),
            answer(200, r#"{"status":"suspended"}"#),
            answer(401, r#"{"code":20003}"#),
            answer(503, ""),
        ])
        .await;
        assert_eq!(fake.client.check().await, Ok(()));
        assert!(matches!(fake.client.check().await, Err(PortError::Permanent(_))));
        assert!(matches!(fake.client.check().await, Err(PortError::Permanent(_))));
        assert!(matches!(fake.client.check().await, Err(PortError::Transient(_))));
        assert_eq!(fake.asked()[0].line, format!("GET /2010-04-01/Accounts/{SID}.json"));
        assert!(!format!("{:?}", fake.client).contains("t0ken"));
    }
}
