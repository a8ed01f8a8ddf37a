//! Redis killed, frozen and wiped again and again under load: no request fails because of it, nothing is lost, streams go on.

use std::time::{Duration, Instant};

use apex_sandbox::Script;
use apex_tests::{Apex, GoogleLead, Redis, wait};
use serde_json::Value;

use crate::scene::{BOSS, CUSTOMER, Scene};
use crate::under_load::{self, Rush};

/// Leads come at this pace.
const EVERY: Duration = Duration::from_millis(150);
/// How long Redis is away each time, and how long it is there in between.
const AWAY: Duration = Duration::from_millis(1_200);
const THERE: Duration = Duration::from_millis(800);
/// How long it goes on.
const SHORT: Duration = Duration::from_secs(13);
const LONG: Duration = Duration::from_mins(2);
/// The contexts that a reader asks for each time.
const READ: usize = 8;

/// Asks for the newest contexts; none may fail. The slowest answer.
async fn read_some(rush: &Rush) -> Duration {
    let mut slowest = Duration::ZERO;
    for context in rush.accepted().iter().rev().take(READ) {
        let began = Instant::now();
        let (status, body) = rush.scene.client.context(context).await;
        assert!(status.is_success(), "{status} {body}");
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

#[tokio::test]
async fn redis_killed_frozen_and_wiped_again_and_again_under_load_changes_nothing() {
    let mut redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.mirror_is(true).await;
    let mut rush = Rush::begin(scene, 4, EVERY, |lead| lead).await;
    let (began, lasts) = (Instant::now(), wait::for_short_or(SHORT, LONG));
    let (mut back_after, mut slowest) = (Vec::new(), Duration::ZERO);
    for round in 0.. {
        if began.elapsed() > lasts {
            break;
        }
        match round % 3 {
            0 => redis.stop(),
            1 => redis.freeze(),
            _ => redis.flush(),
        }
        rush.watch_new().await;
        slowest = slowest.max(read_some(&rush).await);
        wait::let_pass(AWAY).await;
        slowest = slowest.max(read_some(&rush).await);
        match round % 3 {
            0 => redis.start(),
            1 => redis.thaw(),
            _ => {}
        }
        let back = Instant::now();
        rush.scene.mirror_is(true).await;
        back_after.push(back.elapsed());
        wait::let_pass(THERE).await;
    }
    let sent = rush.stop_sending().await;
    let failed: Vec<_> = sent.iter().filter(|sent| sent.context().is_none()).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", rush.scene.apex.stderr());
    rush.watch_new().await;
    let ends = under_load::all_end(&rush.scene.client, &sent).await;
    assert_eq!(ends.keys().collect::<Vec<_>>(), ["\"completed\" \"connected\""], "{ends:?}");
    under_load::stand_once(&rush.scene.client, &rush.projects, &sent).await;
    let streams = rush.streams_were_whole().await;
    assert_eq!(streams, sent.len());
    println!("leads {} slowest read {slowest:?} mirror back after {back_after:?}", sent.len());
    rush.scene.finish().await;
}

#[tokio::test]
async fn a_frozen_redis_is_told_and_found_again() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.mirror_is(true).await;
    redis.freeze();
    scene.mirror_is(false).await;
    scene.rings_and_tells(1).await;
    redis.thaw();
    scene.mirror_is(true).await;
    scene.rings_and_tells(2).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_ticket_under_way_is_in_redis_again_after_a_wipe_as_soon_as_somebody_asks_for_it() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.mirror_is(true).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let key = format!("context:{context}");
    wait::until(async || redis.get(&key).is_some_and(|copy| copy.contains("boss_ringing")), "a copy").await;
    redis.flush();
    assert_eq!(redis.get(&key), None);
    let there = async || {
        let (status, body) = scene.client.context(&context).await;
        assert!(status.is_success(), "{body}");
        redis.get(&key).and_then(|copy| serde_json::from_str::<Value>(&copy).ok()) == Some(body)
    };
    wait::until(there, "the copy that a reader put back").await;
    scene.client.cancel(&context).await;
    scene.client.wait_end(&context).await;
    scene.finish().await;
}
