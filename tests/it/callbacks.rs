//! What goes wrong between us and the telephone provider: the same call and the same lead come out of it.

use apex_sandbox::{CallbackFault, CallbackKind, Chances, Fault, Faults, GeminiFault, Mishap, Script};
use apex_tests::{Apex, GoogleLead, on_both_stores};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{ANALYSIS, BOSS, CUSTOMER, Scene, keys, text};

const LOST: Chances = Chances { lost: 100, doubled: 0, late: 0, late_ms: 0, reordered: 0 };
const DOUBLED: Chances = Chances { lost: 0, doubled: 100, late: 0, late_ms: 0, reordered: 0 };
const LATE: Chances = Chances { lost: 0, doubled: 0, late: 100, late_ms: 120, reordered: 0 };
const REORDERED: Chances = Chances { lost: 0, doubled: 0, late: 0, late_ms: 0, reordered: 100 };
const MIXED: Chances = Chances { lost: 30, doubled: 40, late: 40, late_ms: 80, reordered: 40 };

fn everything(seed: u64, chances: Chances) -> Faults {
    Faults { seed, status: chances, leg: chances, recording: chances, message: chances, ..Faults::default() }
}

/// The lead is as it is when nothing goes wrong.
fn assert_as_ever(lead: &Value, what: &str) {
    assert_eq!(text(lead, "status"), "contacted", "{what}: {lead}");
    assert_eq!(lead["call_duration"], 42, "{what}: {lead}");
    assert!(text(lead, "call_transcription").contains("burst under the kitchen sink"), "{what}: {lead}");
    assert_eq!(keys(&lead["call_analysis"]), ANALYSIS, "{what}: {lead}");
    assert!(text(lead, "recording_url").contains("/recordings/RE"), "{what}: {lead}");
}

/// Sends some leads under these faults and looks that each has become what it always becomes.
async fn leads_come_out_as_ever(scene: &Scene, what: &str, faults: Faults, customers: &[String]) {
    scene.sandbox.faults(faults);
    let boss_calls = scene.calls_to(BOSS).len();
    let leads: Vec<_> = customers.iter().map(|phone| GoogleLead::new(&format!("{what} {phone}"), phone)).collect();
    let contexts = join_all(leads.iter().map(|lead| scene.accept(lead))).await;
    for (context, customer) in contexts.iter().zip(customers) {
        let ended = scene.client.wait_completed(context).await;
        assert_eq!(ended["data"]["result"]["outcome"], "connected", "{what}: {ended}");
        assert_as_ever(&scene.lead_of(&ended).await, what);
        assert_eq!(scene.calls_to(customer).len(), 1, "{what}");
    }
    assert_eq!(scene.calls_to(BOSS).len() - boss_calls, customers.len(), "{what}");
}

fn customers(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|at| format!("+6427555{at}")).collect()
}

on_both_stores! {
    async fn callbacks_that_are_lost_or_doubled_or_late_or_reordered_change_nothing(builder) {
        let scene = Scene::open(builder).await;
        let kinds = [("doubled", DOUBLED), ("late", LATE), ("reordered", REORDERED), ("lost", LOST)];
        for (at, (what, chances)) in kinds.into_iter().enumerate() {
            leads_come_out_as_ever(&scene, what, everything(1, chances), &customers(9200 + at, 1)).await;
        }
        let callbacks = scene.sandbox.ledger().callbacks;
        let all = [callbacks.doubled, callbacks.late, callbacks.reordered, callbacks.lost];
        assert!(all.iter().all(|count| *count > 0), "{callbacks:?}");
        scene.finish().await;
    }

    async fn any_mix_of_them_over_many_leads_changes_nothing(builder) {
        let scene = Scene::open(builder).await;
        for (at, seed) in [11, 42, 2026].into_iter().enumerate() {
            let what = format!("mix {seed}");
            leads_come_out_as_ever(&scene, &what, everything(seed, MIXED), &customers(9200 + at * 10, 6)).await;
        }
        scene.finish().await;
    }

    async fn a_call_that_falls_silent_is_asked_about(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.faults(everything(1, LOST));
        scene.sandbox.script(BOSS, Script::no_answer());
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(ended["data"]["result"]["outcome"], "boss_unreached", "{ended}");
        assert_eq!(scene.texts_to(BOSS).len(), 1);
        scene.finish().await;
    }

    async fn an_answer_that_never_came_is_looked_up_and_nobody_is_called_twice(builder) {
        let scene = Scene::open(builder).await;
        // A call back names the call.
        scene.sandbox.faults(Faults { fail_next_calls: vec![Fault::DropAfterActing], ..Faults::default() });
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_as_ever(&scene.lead_of(&ended).await, "answer lost");
        assert!(["callback", "look_up"].contains(&bound_by(&scene, &context).await.as_str()));
        // Nothing calls back: the provider is asked.
        let faults = Faults { fail_next_calls: vec![Fault::DropAfterActing], ..everything(1, LOST) };
        scene.sandbox.faults(faults);
        scene.sandbox.script(BOSS, Script::no_answer());
        let context = scene.accept(&GoogleLead::new("lead-2", "+64275559201")).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(ended["data"]["result"]["outcome"], "boss_unreached", "{ended}");
        assert_eq!(bound_by(&scene, &context).await, "look_up");
        assert_eq!(scene.calls_to(BOSS).len(), 2);
        scene.finish().await;
    }

    async fn a_provider_that_asks_for_patience_gets_it_and_one_call(builder) {
        let scene = Scene::open(builder).await;
        let faults = Faults { fail_next_calls: vec![Fault::too_many(1), Fault::too_many(1)], ..Faults::default() };
        scene.sandbox.faults(faults);
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_as_ever(&scene.lead_of(&ended).await, "429");
        assert_eq!(scene.calls_to(BOSS).len(), 1);
        scene.finish().await;
    }

    async fn an_unclear_failure_is_held_and_shown_and_never_repeated_blindly(builder) {
        let scene = Scene::open(builder).await;
        let faults = vec![Fault::http(500), Fault::DropWithoutActing];
        scene.sandbox.faults(Faults { fail_next_calls: faults, ..Faults::default() });
        let other = scene.project("tui", "+64275559003").await;
        let first = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let is_held = |body: &Value| body["data"]["stage"] == "held" && body["data"]["state"] == "waiting";
        scene.client.wait_context(&first, "a held call", is_held).await;
        let second = scene.client.accept(&other, &GoogleLead::new("lead-1", CUSTOMER)).await;
        for (context, boss) in [(&first, BOSS), (&second, "+64275559003")] {
            let held = scene.client.wait_context(context, "a held call", is_held).await;
            assert_eq!(text(&held["data"], "status"), "processing", "{held}");
            let effects = scene.client.timeline(context).await["effects"].clone();
            let call = effects.as_array().and_then(|all| all.iter().find(|effect| effect["kind"] == "call").cloned());
            assert_eq!(call.expect("the call is listed")["state"], "held", "{effects}");
            scene.wait_ledger("one text to the boss", |ledger| ledger.messages_to(boss).len() == 1).await;
            let (status, _) = scene.client.cancel(context).await;
            assert_eq!(status, StatusCode::ACCEPTED);
            let ended = scene.client.wait_end(context).await;
            assert_eq!((text(&ended["data"], "status"), text(&ended["data"], "code")), ("failed", "call_held"), "{ended}");
            assert_eq!(scene.texts_to(boss).len(), 1, "one text is enough");
        }
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()), "nobody was called");
        scene.finish().await;
    }

    async fn a_call_that_is_refused_ends_its_ticket_with_the_reason_and_a_text(builder) {
        let scene = Scene::open(builder).await;
        let refusal = Fault::Http { status: 400, retry_after: None, code: Some(21_219) };
        scene.sandbox.faults(Faults { fail_next_calls: vec![refusal], ..Faults::default() });
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        let result = &ended["data"]["result"];
        assert_eq!(text(result, "outcome"), "boss_unreached", "{ended}");
        assert!(text(result, "reason").contains("21219"), "{ended}");
        assert_eq!(result["boss_texted"], true, "{ended}");
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()));
        assert_eq!(scene.texts_to(BOSS).len(), 1);
        scene.finish().await;
    }

    async fn a_text_is_sent_once_whatever_happens_to_its_answer(builder) {
        let scene = Scene::open(builder).await;
        let faults = vec![Fault::DropAfterActing, Fault::too_many(1)];
        scene.sandbox.faults(Faults { fail_next_messages: faults, ..everything(1, LOST) });
        let first = scene.accept(&GoogleLead::empty("lead-1").name("Mere")).await;
        scene.client.wait_completed(&first).await;
        let second = scene.accept(&GoogleLead::empty("lead-2").name("Hemi")).await;
        scene.client.wait_completed(&second).await;
        assert_eq!(scene.texts_to(BOSS).len(), 2);
        let refused = Fault::Http { status: 400, retry_after: None, code: Some(21_610) };
        scene.sandbox.faults(Faults { fail_next_messages: vec![refused], ..Faults::default() });
        let third = scene.accept(&GoogleLead::empty("lead-3").name("Aroha")).await;
        let ended = scene.client.wait_completed(&third).await;
        assert_eq!(ended["data"]["result"]["boss_texted"], false, "{ended}");
        scene.finish().await;
    }

    async fn a_recording_that_comes_late_and_a_model_that_stumbles_are_waited_for(builder) {
        let scene = Scene::open(builder).await;
        let late = CallbackFault::always(CallbackKind::Recording, "completed", Mishap::Late(300));
        let stumbles = vec![GeminiFault::Http { status: 503 }, GeminiFault::Pass, GeminiFault::Quota { retry_delay: 1 }];
        let faults = Faults {
            callbacks: vec![late],
            media_missing_tries: 1,
            fail_next_gemini: stumbles,
            ..Faults::default()
        };
        scene.sandbox.faults(faults);
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_as_ever(&scene.lead_of(&ended).await, "late recording");
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_provider_that_acts_and_never_answers_is_heard_by_its_callbacks() {
    let scene = Scene::open(Apex::builder().sqlite()).await;
    scene.sandbox.faults(Faults { fail_next_calls: vec![Fault::TimeoutAfterActing], ..Faults::default() });
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let ended = scene.client.wait_completed(&context).await;
    assert_as_ever(&scene.lead_of(&ended).await, "no answer");
    assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1));
    scene.finish().await;
}

/// What told the sid of a ticket's call.
async fn bound_by(scene: &Scene, ticket: &str) -> String {
    let journal = scene.journal(ticket).await;
    let dialled = journal.iter().find(|event| event["step"] == "dial_requested");
    let dialled = dialled.unwrap_or_else(|| panic!("not dialled: {journal:#?}"));
    assert_ne!(dialled["data"]["sid"], json!(null), "{dialled}");
    text(&dialled["data"], "by").to_owned()
}
