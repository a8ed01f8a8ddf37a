//! The program dies at each of its fault points, and is started again on what it left behind.

use apex_sandbox::{Chances, Fault, Faults, Script};
use apex_tests::program::{self, Builder};
use apex_tests::{GoogleLead, on_both_stores};
use reqwest::Method;
use serde_json::{Value, json};

use super::by_people::{a_release, a_retry, a_run_of_a_schedule};
use crate::scene::{BOSS, CUSTOMER, Scene};

/// The exit status of a planted death.
pub(super) const PLANTED: i32 = 86;

/// One promise per fault point and store.
macro_rules! deaths {
    ($($name:ident = $point:literal by $way:ident;)+) => {
        /// Every point that is tried here.
        const TRIED: &[&str] = &[$($point),+];

        $(on_both_stores! {
            async fn $name(builder) {
                $way(builder, $point).await;
            }
        })+
    };
}

deaths! {
    a_death_after_the_commit_of_a_lead = "intake.committed" by a_lead;
    a_death_before_anything_is_decided = "call.begun" by a_lead;
    a_death_after_the_intent_of_a_call = "call.intended" by a_lead;
    a_death_just_before_the_request = "call.sending" by a_lead;
    a_death_before_the_providers_answer_is_noted = "call.answered" by a_call;
    a_death_after_the_call_is_known = "call.live" by a_call;
    a_death_after_the_commit_of_a_callback = "callback.committed" by a_call;
    a_death_after_stages_are_told = "call.noted" by a_call;
    a_death_with_the_recording_in_store = "recording.stored" by a_lead;
    a_death_with_the_transcript_in_hand = "call.transcribed" by a_lead;
    a_death_with_the_analysis_in_hand = "call.analysed" by a_lead;
    a_death_after_the_end_of_the_ticket = "ticket.ended" by a_lead;
    a_death_of_the_sales_bridge = "sales_bridge.handle" by a_lead;
    a_death_of_the_project = "project.handle" by a_lead;
    a_death_after_the_end_of_the_bridge = "call.closed" by a_lead;
    a_death_after_a_look_at_the_provider = "call.looked_up" by a_call_without_an_answer;
    a_death_after_a_call_was_ended = "call.hung_up" by a_call_that_is_cancelled;
    a_death_after_a_verdict_on_an_effect = "effect.decided" by a_release;
    a_death_after_a_retry = "ticket.retried" by a_retry;
    a_death_after_a_run_of_a_schedule = "schedule.fired" by a_run_of_a_schedule;
    a_death_just_before_a_text = "sms.sending" by a_lead_that_cannot_be_called;
    a_death_before_a_texts_answer_is_noted = "sms.answered" by a_lead_that_cannot_be_called;
    a_death_of_the_accountant = "accountant.handle" by a_use;
}

/// A death while no phone is in anybody's hand: nothing is lost but time.
async fn a_lead(builder: Builder, point: &str) {
    let end = dies_of_a_lead(builder, point).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
}

/// A death in the middle of a call, which fails when its next script cannot be fetched: then the boss gets a text.
async fn a_call(builder: Builder, point: &str) {
    dies_of_a_lead(builder, point).await;
}

/// The form is sent until the program dies of it, and again after the restart, as Google does.
async fn dies_of_a_lead(builder: Builder, point: &str) -> Value {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    let lead = GoogleLead::new("lead-1", CUSTOMER);
    let accepted = scene.send(&lead).await;
    let seen = match &accepted {
        Some(context) => scene.watch(context).await,
        None => Vec::new(),
    };
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    let context = scene.client.accept(&scene.project, &lead).await;
    assert!(accepted.is_none_or(|first| first == context), "the same lead has the same context");
    let end = scene.client.wait_end(&context).await;

    scene.has_one_ticket(&context).await;
    scene.was_called_once(&end);
    scene.resumes(&context, &seen).await;
    scene.was_charged_once(&context, &end).await;
    scene.finish().await;
    end
}

/// The provider places the call and never answers, nor calls back before the boss picks up: the call is looked up.
async fn a_call_without_an_answer(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(4_000));
    scene.sandbox.faults(Faults {
        status: Chances { lost: 100, ..Chances::default() },
        fail_next_calls: vec![Fault::DropAfterActing],
        ..Faults::default()
    });
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    let end = scene.client.wait_end(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}\n{}", scene.apex.stderr());
    scene.was_called_once(&end);
    scene.resumes(&context, &[]).await;
    scene.was_charged_once(&context, &end).await;
    scene.finish().await;
}

/// Somebody takes a ringing call back.
async fn a_call_that_is_cancelled(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.wait_ledger("a ringing phone", |ledger| ledger.calls.iter().any(|call| call.rung_at.is_some())).await;
    scene.client.ok("cancel", scene.client.cancel(&context).await);
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    let end = scene.client.wait_end(&context).await;
    assert_eq!((&end["data"]["state"], scene.calls_to(BOSS).len()), (&json!("cancelled"), 1), "{end}");
    assert_eq!(scene.sandbox.read(|ledger| ledger.messages_to(BOSS).len()), 0, "who takes it back needs no text");
    scene.resumes(&context, &[]).await;
    scene.finish().await;
}

/// A lead without a readable phone: the boss gets a text instead of a call.
async fn a_lead_that_cannot_be_called(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    let lead = GoogleLead::new("lead-1", "call me maybe");
    let accepted = scene.send(&lead).await;
    let seen = match &accepted {
        Some(context) => scene.watch(context).await,
        None => Vec::new(),
    };
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    let context = scene.client.accept(&scene.project, &lead).await;
    let end = scene.client.wait_end(&context).await;

    assert_eq!(end["data"]["result"]["outcome"], "not_dialled", "{end}");
    scene.has_one_ticket(&context).await;
    let (calls, texts) = scene.sandbox.read(|ledger| (ledger.calls.len(), ledger.messages_to(BOSS).len()));
    assert_eq!((calls, texts), (0, 1), "calls and texts of {end}\n{}", scene.apex.stderr());
    scene.resumes(&context, &seen).await;
    scene.was_charged_once(&context, &end).await;
    scene.finish().await;
}

/// A use is logged under a key, once, however often it is sent.
async fn a_use(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    let path = "/api/v1/run";
    let params = json!({"resource": "twilio_voice", "quantity": 3});
    let body = json!({"task": "log_usage", "project_id": scene.project.id, "params": params});
    let request = scene.client.request(Method::POST, path).header("Idempotency-Key", "use-1").json(&body);
    assert!(scene.client.try_send(request).await.is_err(), "nobody is left to answer");
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    for _ in 0..2 {
        let answer = scene.client.post_once(path, "use-1", &body).await;
        let body = scene.client.ok("log_usage", answer);
        assert_eq!(body["data"]["month_to_date_micros"], 150_000, "{body}");
    }
    scene.finish().await;
}

#[tokio::test]
async fn no_fault_point_is_forgotten() {
    let listed = program::command(&["faults"], &[]).await;
    assert!(listed.status.success(), "{}", listed.stderr);
    let mut listed: Vec<_> = listed.stdout.lines().collect();
    let mut tried = TRIED.to_vec();
    listed.sort_unstable();
    tried.sort_unstable();
    assert_eq!(listed, tried);
}
