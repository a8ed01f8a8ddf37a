//! Kill -9 at random moments during bursts of leads.

use apex_sandbox::{Call, Ledger, Script};
use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use futures::future::join_all;

use crate::scene::{BOSS, CUSTOMER, Scene};

/// Leads of a burst.
const BURST: usize = 10;
/// Everything that reaches the outside during an undisturbed burst is more than this.
const MOMENTS: usize = 150;

on_both_stores! {
    async fn five_power_cuts_in_bursts_lose_nothing_and_ring_nobody_twice(builder) {
        cuts(builder, 0x5eed).await;
    }

    async fn five_other_power_cuts_in_bursts_lose_nothing_and_ring_nobody_twice(builder) {
        cuts(builder, 0xcafe).await;
    }
}

on_both_stores! {
    /// The provider rings the boss while nobody is there, and fetches the script from the program's next life.
    async fn a_call_that_rings_through_a_power_cut_is_connected(builder) {
        let mut scene = Scene::planted(builder, &[]).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(8_000));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.wait_ledger("a ringing phone", |ledger| ledger.calls.iter().any(|call| call.rung_at.is_some())).await;
        scene.apex.kill_9();
        scene.apex.restart().await;
        let end = scene.client.wait_completed(&context).await;
        assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
        scene.was_called_once(&end);
        scene.resumes(&context, &[]).await;
        scene.was_charged_once(&context, &end).await;
        scene.finish().await;
    }
}

async fn cuts(builder: Builder, seed: u64) {
    let mut scene = Scene::planted(builder, &[]).await;
    let mut contexts = Vec::new();
    for (round, moment) in moments(seed).take(5).enumerate() {
        contexts.extend(cut(&mut scene, round, moment).await);
        let held_against = scene.sandbox.ledger().judge();
        assert!(held_against.is_empty(), "cut after {moment}: {held_against:?}\n{}", scene.apex.stderr());
        assert_eq!(scene.sandbox.read(|ledger| ledger.calls_to(BOSS).len()), contexts.len(), "cut after {moment}");
    }
    let leads = scene.client.leads(&scene.project.id).await;
    assert_eq!(leads.len(), contexts.len());
    is_charged_once(&scene, &contexts).await;
    scene.finish().await;
}

/// Sends a burst, pulls the plug when so much has reached the outside, and sends again what was not answered.
async fn cut(scene: &mut Scene, round: usize, moment: usize) -> Vec<String> {
    let customer = |nth: usize| format!("+6427555{}", 2_000 + round * BURST + nth);
    let leads: Vec<_> = (0..BURST).map(|nth| GoogleLead::new(&format!("lead-{round}-{nth}"), &customer(nth))).collect();
    let before = scene.sandbox.read(happened);
    let sent = {
        let sending = join_all(leads.iter().map(|lead| scene.send(lead)));
        let cutting = wait::until(async || scene.sandbox.read(happened) >= before + moment, "the moment of the cut");
        tokio::join!(sending, cutting).0
    };
    scene.apex.kill_9();
    scene.apex.restart().await;
    let mut contexts = Vec::new();
    for (nth, (lead, first)) in leads.iter().zip(sent).enumerate() {
        let context = scene.client.accept(&scene.project, lead).await;
        assert!(first.is_none_or(|first| first == context), "cut after {moment}: the same lead, the same context");
        let end = scene.client.wait_end(&context).await;
        let outcome = end["data"]["result"]["outcome"].as_str().unwrap_or_default();
        let rung = |leg: &&Call| leg.rung_at.is_some();
        let legs = scene.sandbox.read(|ledger| ledger.calls_to(&customer(nth)).into_iter().filter(rung).count());
        let fits = match outcome {
            "connected" => legs == 1,
            "customer_unreached" => legs <= 1,
            "no_key" | "boss_unreached" => legs == 0,
            _ => false,
        };
        assert!(fits, "cut after {moment}: {legs} customer legs, {end}\n{}", scene.apex.stderr());
        contexts.push(context);
    }
    contexts
}

/// The month's spending is the sum of what each ticket says it has cost.
async fn is_charged_once(scene: &Scene, contexts: &[String]) {
    let mut total = 0;
    for context in contexts {
        let (_, body) = scene.client.context(context).await;
        total += body["data"]["result"]["cost_micros"].as_i64().expect("a cost");
    }
    let answer = scene.client.get(&Client::v1(&format!("/usage?project_id={}", scene.project.id))).await;
    let usage = scene.client.ok("usage", answer);
    assert_eq!(usage["month_to_date_micros"], total, "{usage}");
}

/// How much has reached the outside.
fn happened(ledger: &Ledger) -> usize {
    let fetches: usize = ledger.calls.iter().map(|call| call.twiml_fetches.len()).sum();
    let posted = usize::try_from(ledger.callbacks.sent).unwrap_or(usize::MAX);
    ledger.calls.len() + fetches + posted + ledger.messages.len() + ledger.gemini_requests.len()
}

/// Random moments, the same for the same seed (the generator of Numerical Recipes).
fn moments(seed: u64) -> impl Iterator<Item = usize> {
    let step =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let states = std::iter::successors(Some(seed), step).skip(1);
    states.map(|state| usize::try_from(state >> 33).unwrap_or_default() % MOMENTS)
}
