//! Redis may be wiped, stopped or absent: nothing is lost, nobody waits for it, and it is told.

use apex_sandbox::Script;
use apex_tests::sse::Event;
use apex_tests::{Apex, GoogleLead, Redis, leftovers, wait};
use serde_json::Value;

use crate::health::admin;
use crate::scene::{BOSS, CUSTOMER, Scene};

impl Scene {
    /// A lead rings, and a client that only watches its stream sees every stage.
    pub(crate) async fn rings_and_tells(&self, nth: usize) {
        let lead = GoogleLead::new(&format!("lead-{nth}"), &format!("+64275559{}", 400 + nth));
        let context = self.client.accept(&self.project, &lead).await;
        let seen = self.client.sse(&context, None).await.until(|_| false).await;
        let numbers: Vec<_> = seen.iter().map(Event::seq).collect();
        assert_eq!(numbers, (1..).take(seen.len()).collect::<Vec<u64>>());
        assert_eq!(seen.last().map(|event| event.event.as_str()), Some("completed"), "{seen:?}");
        let end = self.client.wait_completed(&context).await;
        assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
    }

    /// What the program says of its mirror, on both ports.
    pub(crate) async fn mirror_is(&self, up: bool) {
        let gauge = format!("apex_mirror_up {}", u8::from(up));
        let told = async || {
            let (_, ready) = self.client.get("/health/ready").await;
            assert_eq!(ready["status"], "ready", "without a mirror everything works");
            let (_, metrics) = admin(&self.apex, "/metrics").await;
            ready["mirror"] == up && metrics.lines().any(|line| line == gauge)
        };
        wait::until(told, &gauge).await;
    }
}

#[tokio::test]
async fn a_cluster_without_redis_starts_with_a_warning_and_finds_it_later() {
    let mut redis = Redis::private();
    redis.stop();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.mirror_is(false).await;
    assert!(scene.apex.stderr().contains("WARN"), "{}", scene.apex.stderr());
    scene.rings_and_tells(1).await;

    redis.start();
    scene.mirror_is(true).await;
    scene.rings_and_tells(2).await;
    scene.finish().await;
}

#[tokio::test]
async fn redis_stopped_in_the_middle_of_a_call_changes_nothing() {
    let mut redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    scene.mirror_is(true).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(700));
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    let mut stream = scene.client.sse(&context, None).await;
    let mut seen = stream.until(|event| event.json()["stage"] == "boss_ringing").await;
    redis.stop();
    seen.extend(stream.until(|_| false).await);
    let numbers: Vec<_> = seen.iter().map(Event::seq).collect();
    assert_eq!(numbers, (1..).take(seen.len()).collect::<Vec<u64>>());
    assert_eq!(seen.last().map(|event| event.event.as_str()), Some("completed"), "{seen:?}");

    scene.mirror_is(false).await;
    scene.sandbox.script(BOSS, Script::answers());
    scene.rings_and_tells(2).await;
    redis.start();
    scene.mirror_is(true).await;
    scene.rings_and_tells(3).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_wiped_redis_is_read_past() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    let before = scene.client.wait_completed(&context).await;
    redis.flush();
    let (status, after) = scene.client.context(&context).await;
    assert!(status.is_success(), "{after}");
    assert_eq!(without_times(before), without_times(after), "mirror and rows agree");
    scene.rings_and_tells(2).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_copy_that_somebody_else_put_into_redis_is_not_served_to_another_organisation() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.client.wait_completed(&context).await;
    let key = format!("context:{context}");
    let kept = async || redis.command(&format!("EXISTS {key}")).as_deref() == Some(":1");
    wait::until(kept, "the copy in Redis").await;
    let stranger = scene.apex.owner("owner@tui.example").await;
    assert_eq!(stranger.context(&context).await.0, 404);
    scene.finish().await;
}

/// A number that nobody listens on and a host that is not there: the start does not hang.
#[tokio::test]
async fn an_unreachable_redis_does_not_hold_up_the_start() {
    let url = format!("redis://127.0.0.1:{}/", leftovers::free_port());
    let apex = Apex::builder().env("REDIS_URL", &url).start().await;
    assert!(apex.client().get("/health").await.0.is_success());
}

fn without_times(mut body: Value) -> Value {
    body["expires_at"] = Value::Null;
    body
}
