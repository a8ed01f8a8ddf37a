//! Watching a ticket: every stage in order, no gap, no repeat, wherever the stream is cut and whatever becomes of Redis.

use apex_sandbox::Script;
use apex_tests::sse::Event;
use apex_tests::{Apex, GoogleLead, Redis, on_both_stores};
use futures::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

/// Every stage of the main job.
const STAGES: [&str; 10] = [
    "dial_requested",
    "boss_ringing",
    "boss_answered",
    "boss_accepted",
    "customer_ringing",
    "customer_connected",
    "call_ended",
    "recorded",
    "transcribed",
    "analysed",
];

fn is_last(event: &Event) -> bool {
    event.event != "progress"
}

fn stages(events: &[Event]) -> Vec<String> {
    events.iter().filter_map(|event| event.json()["stage"].as_str().map(str::to_owned)).collect()
}

/// The whole story of the main job, from `accepted` to `completed`.
fn assert_whole(events: &[Event]) {
    let numbers: Vec<u64> = events.iter().map(Event::seq).collect();
    let expected: Vec<u64> = (1..=events.len() as u64).collect();
    assert_eq!(numbers, expected, "a gap or a repeat: {events:#?}");
    assert_eq!(events[0].json()["kind"], "accepted", "{events:#?}");
    assert_eq!(stages(events), STAGES, "{events:#?}");
    let (last, before) = events.split_last().expect("at least one event");
    assert!(before.iter().all(|event| event.event == "progress"), "{events:#?}");
    assert_eq!(last.event, "completed", "{events:#?}");
    assert_eq!((text(&last.json(), "kind"), text(&last.json(), "status")), ("completed", "completed"));
}

on_both_stores! {
    async fn who_only_watches_the_stream_sees_every_stage_in_order_and_the_end_after_the_analysis(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let mut stream = scene.client.sse(&context, None).await;
        let events = stream.until(is_last).await;
        assert_whole(&events);
        assert_eq!(stream.next().await, None, "the stream ends with the ticket");
        the_poll_agrees(&scene, &context, events.last().expect("an end")).await;
        the_journal_agrees(&scene, &context, &events).await;
        scene.finish().await;
    }

    async fn a_stream_cut_after_any_event_and_resumed_misses_nothing_and_repeats_nothing(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let events = cut_after_each(&scene, &context).await;
        assert_whole(&events);
        // The same after the end, from every place, by header and by query.
        let resumed = join_all((0..=events.len()).map(async |at| {
            let last = at.to_string();
            (at, scene.client.sse(&context, Some(&last)).await.until(|_| false).await)
        }));
        for (at, rest) in resumed.await {
            assert_eq!(rest, events[at..], "resumed after {at}");
        }
        let path = format!("/api/v1/context/{context}/events?last_event_id=3");
        let body = scene.client.request(Method::GET, &path).send().await.expect("a stream").text().await.expect("to its end");
        assert_eq!(body.matches("\nid:").count() + usize::from(body.starts_with("id:")), events.len() - 3, "{body}");
        scene.finish().await;
    }

    async fn many_watchers_see_the_same_and_a_browser_watches_with_a_ticket(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(300));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let answer = scene.client.post_json("/api/v1/auth/stream-ticket", &json!({})).await;
        let ticket = text(&scene.client.ok("stream ticket", answer), "ticket").to_owned();
        let path = format!("/api/v1/context/{context}/events?ticket={ticket}");
        let browser = async { scene.client.anonymous().request(Method::GET, &path).send().await.expect("a stream").text().await };
        let watchers = join_all((0..8).map(async |_| scene.client.sse(&context, None).await.until(is_last).await));
        let (browser, watchers) = tokio::join!(browser, watchers);
        assert_whole(&watchers[0]);
        assert!(watchers.iter().all(|events| *events == watchers[0]));
        assert!(browser.expect("to its end").contains("event: completed"));
        let refused = scene.client.anonymous().get(&format!("/api/v1/context/{context}/events?ticket=forged")).await;
        assert_problem(&refused, StatusCode::UNAUTHORIZED, "unauthenticated");
        scene.finish().await;
    }

    async fn a_stream_of_a_ticket_that_is_not_there_is_not_opened(builder) {
        let scene = Scene::open(builder).await;
        for id in ["0198d9a0-0000-7000-8000-000000000001", "nonsense"] {
            for path in ["", "/events"] {
                let answer = scene.client.get(&format!("/api/v1/context/{id}{path}")).await;
                assert_problem(&answer, StatusCode::NOT_FOUND, "not_found");
            }
        }
        scene.finish().await;
    }
}

/// Takes one event from each connection, as long as there are any.
async fn cut_after_each(scene: &Scene, context: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    loop {
        let last = events.last().map(|event| event.id.clone());
        let mut stream = scene.client.sse(context, last.as_deref()).await;
        let Some(event) = stream.next().await else { panic!("the stream ended before the ticket: {events:#?}") };
        let over = is_last(&event);
        events.push(event);
        if over {
            return events;
        }
    }
}

async fn the_poll_agrees(scene: &Scene, context: &str, last: &Event) {
    let (status, polled) = scene.client.context(context).await;
    assert_eq!(status, StatusCode::OK);
    let (data, told) = (&polled["data"], last.json());
    assert_eq!(data["seq"].as_u64(), Some(last.seq()), "{polled}");
    assert_eq!((&data["status"], &data["result"]), (&told["status"], &told["result"]), "{polled}");
    assert_eq!(text(data, "stage"), "analysed", "{polled}");
}

async fn the_journal_agrees(scene: &Scene, context: &str, events: &[Event]) {
    let journal = scene.journal(context).await;
    assert_eq!(journal.len(), events.len());
    for (row, event) in journal.iter().zip(events) {
        let told = event.json();
        for name in ["seq", "kind", "data"] {
            assert_eq!(row[name], told[name], "{name}: {row} {told}");
        }
    }
}

/// Times of a copy may differ; everything else is the same.
fn without_times(mut context: Value) -> Value {
    context["expires_at"].take();
    context
}

#[tokio::test]
async fn the_mirror_says_what_the_rows_say_and_a_wiped_one_is_not_missed() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(400));
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let mut stream = scene.client.sse(&context, None).await;
    let mut events = stream.until(|event| event.json()["stage"] == "boss_ringing").await;
    redis.flush();
    events.extend(stream.until(is_last).await);
    assert_whole(&events);
    let mirrored = redis.get(&format!("context:{context}")).expect("a copy in Redis");
    let mirrored: Value = serde_json::from_str(&mirrored).expect("the context itself");
    let (_, polled) = scene.client.context(&context).await;
    assert_eq!(without_times(mirrored), without_times(polled.clone()));
    redis.flush();
    let (_, from_rows) = scene.client.context(&context).await;
    assert_eq!(without_times(from_rows), without_times(polled));
    scene.finish().await;
}

#[tokio::test]
async fn a_redis_that_dies_in_the_middle_changes_nothing_but_the_mirror() {
    let mut redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.sandbox.scripts(BOSS, vec![Script::answers().after_ms(1_200), Script::answers()]);
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let mut stream = scene.client.sse(&context, None).await;
    let mut events = stream.until(|event| event.json()["stage"] == "boss_ringing").await;
    redis.stop();
    let (status, during) = scene.client.context(&context).await;
    assert_eq!((status, text(&during["data"], "status")), (StatusCode::OK, "processing"));
    events.extend(stream.until(is_last).await);
    assert_whole(&events);
    let second = scene.accept(&GoogleLead::new("lead-2", "+64275559201")).await;
    scene.client.wait_completed(&second).await;
    redis.start();
    let third = scene.accept(&GoogleLead::new("lead-3", "+64275559202")).await;
    let events = scene.client.sse(&third, None).await.until(is_last).await;
    assert_whole(&events);
    assert_eq!(scene.calls_to(BOSS).len(), 3);
    scene.finish().await;
}
