//! A stop in order: what is in hand ends, nothing is lost, and the next start finishes the rest.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use apex_sandbox::{Ledger, Script};
use apex_tests::load::{self, Sent};
use apex_tests::sse::Event;
use apex_tests::{Apex, Client, GoogleLead, on_both_stores, wait};
use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::scene::{BOSS, CUSTOMER, Scene, text};
use crate::under_load::{self, Rush};

/// Calls in progress when the signal comes.
const CALLS: usize = 20;
/// Stops in a row under load, how many leads are accepted before each, and to how many projects they go.
const STOPS: usize = 3;
const ACCEPTED: usize = 8;
const PROJECTS: usize = 6;
/// One lead, one poll and one task each time that this has passed.
const EVERY: Duration = Duration::from_millis(250);
/// Time for work in hand when it stops, and more than an orderly end takes beyond it.
const DRAIN: Duration = Duration::from_secs(4);
const BEYOND: Duration = Duration::from_secs(10);
/// Streams that are open when it stops.
const STREAMS: usize = 8;

on_both_stores! {
    async fn a_stop_during_twenty_calls_loses_nothing_and_the_next_start_ends_them(builder) {
                let mut scene = Scene::open(builder).await;
        // A phone each: one that is just being dialled is not dialled for another lead.
        let mut projects = Vec::new();
        for nth in 0..CALLS {
            let boss = format!("+64275550{}", 200 + nth);
            scene.sandbox.script(&boss, Script::answers().after_ms(2_000));
            projects.push(scene.client.create_project(&format!("kereru-{nth}"), &boss).await);
        }
        let leads = (0..CALLS).map(|nth| GoogleLead::new("lead-1", &format!("+64275559{}", 200 + nth)));
        let accepting = projects.iter().zip(leads).map(|(project, lead)| {
            let owner = &scene.client;
            async move { owner.accept(project, &lead).await }
        });
        let contexts = join_all(accepting).await;
        wait::until(async || scene.sandbox.read(|ledger| ledger.calls.len()) == CALLS, "all phones to ring").await;
        assert!(!scene.sandbox.read(Ledger::is_quiet), "calls are in progress");

        let status = scene.apex.terminate().await;
        assert!(status.success(), "{status}\n{}", scene.apex.stderr());

        scene.apex.restart().await;
        for (context, project) in contexts.iter().zip(&projects) {
            scene.client.wait_end(context).await;
            assert_eq!(scene.client.leads(&project.id).await.len(), 1);
        }
        let calls = scene.sandbox.read(|ledger| ledger.calls.iter().filter(|call| call.parent_sid.is_none()).count());
        assert_eq!(calls, CALLS, "nobody is rung twice");
        scene.finish().await;
    }

    async fn a_stop_ends_what_is_in_hand_and_open_streams(builder) {
                let mut scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(2_000));
        let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        let mut stream = scene.client.sse(&context, None).await;
        let seen = stream.until(|event| event.json()["stage"] == "boss_ringing").await;

        let (status, rest) = tokio::join!(scene.apex.terminate(), stream.until(|_| false));
        assert!(status.success(), "{status}");

        scene.apex.restart().await;
        scene.client.wait_end(&context).await;
        let last = rest.last().or(seen.last()).map(|event| event.id.clone());
        let after = scene.client.sse(&context, last.as_deref()).await.until(|_| false).await;
        let numbers: Vec<_> = seen.iter().chain(&rest).chain(&after).map(Event::seq).collect();
        assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<u64>>(), "no gap, no repeat");
        scene.finish().await;
    }
}

/// A project's work in hand keeps the program draining: meanwhile it says that it takes no more.
#[tokio::test]
async fn while_it_drains_it_says_that_it_is_not_ready() {
    let builder = Apex::builder().env("APEX_DRAIN_SECONDS", "3").fault("call.transcribed=stall");
    let mut scene = Scene::open(builder).await;
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.client.wait_context(&context, "a recording", |body| body["data"]["stage"] == "recorded").await;
    assert_eq!(ready(scene.apex.admin()).await, Some((200, "ready".to_owned())));

    scene.apex.signal("TERM");
    let admin = scene.apex.admin().to_owned();
    let stopping =
        async || ready(&admin).await.is_some_and(|(status, word)| (status, word.as_str()) == (503, "stopping"));
    wait::until(stopping, "/ready to say that it is stopping").await;
    assert!(scene.apex.wait_exit().await.success(), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    scene.client.wait_completed(&context).await;
    scene.finish().await;
}

/// Status and word of `/ready`; `None` when nobody answers.
async fn ready(admin: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("{admin}/ready")).await.ok()?;
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    Some((status, body["status"].as_str()?.to_owned()))
}

/// New work is refused, not lost: whoever is refused is told, and the same form is taken after the restart.
#[tokio::test]
async fn a_lead_is_either_taken_or_refused_while_the_program_stops() {
    let mut scene = Scene::open(Apex::builder()).await;
    let path = Client::v1("/webhooks/google-ads?project_id=kereru");
    let leads: Vec<_> =
        (0..30).map(|nth| GoogleLead::new(&format!("lead-{nth}"), &format!("+64275559{}", 300 + nth))).collect();
    let sending = join_all(leads.iter().map(|lead| {
        let request = scene.client.anonymous().request(Method::POST, &path).json(&lead.json(&scene.project.google_key));
        scene.client.try_send(request)
    }));
    let (answers, status) = tokio::join!(sending, scene.apex.terminate());
    assert!(status.success(), "{status}");

    scene.apex.restart().await;
    for (lead, answer) in leads.iter().zip(answers) {
        let context = scene.client.accept(&scene.project, lead).await;
        if let Ok((status, body)) = answer
            && status.is_success()
        {
            assert_eq!(body["data"]["context_id"], context, "what was answered is kept");
        }
        scene.client.wait_end(&context).await;
    }
    assert_eq!(scene.client.leads("kereru").await.len(), leads.len());
    scene.finish().await;
}

/// Somebody who asks again and again, whether the program is there or not.
struct Asker {
    stop: watch::Sender<bool>,
    asking: JoinSet<Vec<Result<Answered, String>>>,
}

/// An answer that came.
#[derive(Debug)]
struct Answered {
    status: u16,
    comes_back: bool,
    body: Value,
}

impl Asker {
    /// Begins to send the `nth` request.
    fn begin(ask: impl Fn(usize) -> RequestBuilder + Send + 'static) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            let mut answers = Vec::new();
            while !*stopped.borrow() {
                answers.push(answer(ask(answers.len())).await);
                wait::let_pass(EVERY).await;
            }
            answers
        });
        Self { stop, asking }
    }

    /// Asks no more. The bodies of what was answered well, after a look that nothing was answered badly.
    async fn finish(self) -> Vec<Value> {
        self.stop.send_replace(true);
        let answers: Vec<_> = self.asking.join_all().await.into_iter().flatten().collect();
        let well = answers.into_iter().filter_map(|answer| match answer {
            Ok(Answered { status: 200..300, body, .. }) => Some(body),
            Ok(Answered { status: 503, comes_back: true, .. }) => None,
            Ok(other) => panic!("{other:?}"),
            Err(error) => {
                assert!(is_refused(&error), "{error}");
                None
            }
        });
        well.collect()
    }
}

async fn answer(request: RequestBuilder) -> Result<Answered, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let (status, comes_back) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
    let body = response.json().await.map_err(|error| format!("{error:?}"))?;
    Ok(Answered { status, comes_back, body })
}

/// Nobody listened, or the connection was closed at the moment that the request was written to it: it was never begun.
fn is_refused(error: &str) -> bool {
    ["ConnectionRefused", "ConnectionReset", "BrokenPipe", "IncompleteMessage"].iter().any(|kind| error.contains(kind))
}

/// Streams that were open when the program was told to stop.
struct Streams(JoinSet<(String, Vec<Event>)>);

impl Streams {
    async fn open(rush: &Rush) -> Self {
        let mut streams = JoinSet::new();
        for context in rush.accepted().into_iter().rev().take(STREAMS) {
            let mut stream = rush.scene.client.sse(&context, None).await;
            streams.spawn(async move { (context, stream.until(|_| false).await) });
        }
        Self(streams)
    }

    /// Each goes on where it ended, and is whole at the end.
    async fn go_on(self, client: &Client) {
        for (context, mut events) in self.0.join_all().await {
            if events.last().is_none_or(|event| event.event == "progress") {
                let last = events.last().map(|event| event.id.clone());
                events.extend(client.sse(&context, last.as_deref()).await.until(|_| false).await);
            }
            let numbers: Vec<_> = events.iter().map(Event::seq).collect();
            assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<u64>>(), "{context}: {events:#?}");
            assert!(events.last().is_some_and(|event| event.event != "progress"), "{context}: {events:#?}");
        }
    }
}

/// Every sender was told that a lead is taken, or that it is not; one who was not answered at all was not heard either.
async fn were_told(rush: &Rush, sent: &[Sent]) {
    let mut stored = HashSet::new();
    for project in &rush.projects {
        let leads = rush.scene.client.leads(&project.id).await;
        stored.extend(leads.iter().map(|lead| text(lead, "phone_raw").to_owned()));
    }
    for sent in sent {
        match sent.status {
            Some(200..300) => {}
            Some(503) if sent.retry_after.is_some() => {}
            None if sent.body.as_str().is_some_and(is_refused) => {
                assert!(!stored.contains(&load::customer(sent.nth)), "taken and not answered: {sent:?}");
            }
            _ => panic!("{sent:?}"),
        }
    }
}

/// Each task that was taken has ended, and its text was sent once, if at all.
async fn tasks_have_ended(scene: &Scene, boss: &str, taken: &[Value]) {
    let tickets = scene.client.all(&Client::v1("/tickets?project_id=kereru&limit=100")).await;
    assert_eq!(tickets.len(), taken.len(), "taken and not answered");
    for body in taken {
        let end = scene.client.wait_end(text(&body["data"], "context_id")).await;
        assert!(["live", "held"].contains(&text(&end["data"]["result"], "sms")), "{end}");
    }
    let mut texts = scene.texts_to(boss);
    texts.retain(|text| text.starts_with("Task "));
    let sent = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), sent, "a text was sent twice");
}

on_both_stores! {
    async fn three_stops_under_load_lose_nothing_and_ring_nobody_twice(builder) {
        let scene = Scene::open(builder.env("APEX_DRAIN_SECONDS", &DRAIN.as_secs().to_string())).await;
        scene.sandbox.default_script(Script::answers().after_ms(200).talk_lasts_ms(300));
        let mut rush = Rush::begin(scene, PROJECTS, EVERY, |lead| lead).await;
        let client = rush.scene.client.clone();
        let polls = Asker::begin(move |_| client.request(Method::GET, &Client::v1("/tickets?limit=5")));
        let client = rush.scene.client.clone();
        let tasks = Asker::begin(move |nth| {
            let params = json!({"action": "notify_sms", "text": format!("Task {nth}")});
            let body = json!({"task": "sales_agent", "project_id": "kereru", "params": params});
            client.request(Method::POST, &Client::v1("/run")).json(&body)
        });
        let mut streams = Vec::with_capacity(STOPS);
        for _ in 0..STOPS {
            rush.more_accepted(ACCEPTED).await;
            streams.push(Streams::open(&rush).await);
            let began = Instant::now();
            let status = rush.scene.apex.terminate().await;
            let took = began.elapsed();
            assert!(status.success() && took < DRAIN + BEYOND, "{status} after {took:?}\n{}", rush.scene.apex.stderr());
            rush.scene.apex.restart().await;
        }
        rush.more_accepted(ACCEPTED).await;
        let (sent, polled, taken) = (rush.stop_sending().await, polls.finish().await, tasks.finish().await);
        were_told(&rush, &sent).await;
        for streams in streams {
            streams.go_on(&rush.scene.client).await;
        }
        assert!(!polled.is_empty() && !taken.is_empty());
        under_load::all_end(&rush.scene.client, &sent).await;
        tasks_have_ended(&rush.scene, BOSS, &taken).await;
        under_load::stand_once(&rush.scene.client, &rush.projects, &sent).await;
        for (nth, project) in rush.projects.iter().enumerate() {
            let (leads, calls) = (rush.scene.client.leads(&project.id).await, rush.scene.calls_to(&format!("+64275540{nth:03}")));
            assert!(calls.len() <= leads.len(), "{} calls for {} leads", calls.len(), leads.len());
        }
        rush.scene.finish().await;
    }
}
