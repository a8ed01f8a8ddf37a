//! An actor dies in the middle of its work: its ticket still ends, and nobody else notices.

use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene};

/// Where the other project's leads ring.
const OTHER_BOSS: &str = "+64275550200";
const OTHER_CUSTOMER: &str = "+64275559003";

/// One promise per point at which an actor can die with a lead in hand.
macro_rules! panics {
    ($($name:ident = $point:literal;)+) => {
        $(on_both_stores! {
            async fn $name(builder) {
                a_panic_at(builder, $point).await;
            }
        })+
    };
}

panics! {
    a_panic_before_anything_is_decided = "call.begun";
    a_panic_after_the_intent_of_a_call = "call.intended";
    a_panic_before_the_providers_answer_is_noted = "call.answered";
    a_panic_after_the_call_is_known = "call.live";
    a_panic_after_stages_are_told = "call.noted";
    a_panic_with_the_recording_in_store = "recording.stored";
    a_panic_with_the_transcript_in_hand = "call.transcribed";
    a_panic_with_the_analysis_in_hand = "call.analysed";
    a_panic_after_the_end_of_the_ticket = "ticket.ended";
    a_panic_of_the_sales_bridge = "sales_bridge.handle";
    a_panic_of_the_project = "project.handle";
}

async fn a_panic_at(builder: Builder, point: &str) {
    let scene = Scene::planted(builder, &[&format!("{point}=panic")]).await;
    let pid = scene.apex.pid();
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    has_struck(&scene, point).await;

    the_other_project_works(&scene).await;

    let end = scene.client.wait_end(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}\n{}", scene.apex.stderr());
    scene.was_called_once(&end);
    scene.has_one_ticket(&context).await;
    scene.resumes(&context, &[]).await;
    scene.was_charged_once(&context, &end).await;
    assert_eq!(scene.apex.pid(), pid, "the process lives");
    scene.finish().await;
}

async fn has_struck(scene: &Scene, point: &str) {
    let planted = format!("planted at {point}");
    wait::until(async || scene.apex.stderr().contains(&planted), &planted).await;
}

async fn the_other_project_works(scene: &Scene) {
    let other = scene.client.create_project("tui", OTHER_BOSS).await;
    let context = scene.client.accept(&other, &GoogleLead::new("lead-2", OTHER_CUSTOMER)).await;
    let end = scene.client.wait_completed(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
}

on_both_stores! {
    /// The sender dies with the request perhaps on its way: while its process lives, nobody may send again.
    async fn a_panic_just_before_the_request_holds_the_call_with_its_reason(builder) {
        let scene = Scene::planted(builder, &["call.sending=panic"]).await;
        let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        has_struck(&scene, "call.sending").await;
        the_other_project_works(&scene).await;

        let is_held = |body: &Value| body["data"]["stage"] == "held";
        scene.client.wait_context(&context, "a held call", is_held).await;
        let journal = scene.journal(&context).await;
        let held = journal.iter().find(|entry| entry["step"] == "held").expect("a held call");
        assert!(held["data"]["reason"].is_string(), "{held}");

        let told = async || scene.texts_to(BOSS).len() == 1;
        wait::until(told, "a text that tells the boss").await;

        scene.client.ok("cancel", scene.client.cancel(&context).await);
        let end = scene.client.wait_end(&context).await;
        assert_eq!(end["data"]["code"], "call_held", "{end}");
        assert_eq!((scene.calls_to(BOSS).len(), scene.texts_to(BOSS).len()), (0, 1));
        scene.was_charged_once(&context, &end).await;
        scene.finish().await;
    }

    async fn a_panic_just_before_a_text_ends_its_ticket_without_a_second_text(builder) {
        no_second_text(builder, "sms.sending", 0).await;
    }

    async fn a_panic_before_a_texts_answer_is_noted_ends_its_ticket_without_a_second_text(builder) {
        no_second_text(builder, "sms.answered", 1).await;
    }

    async fn a_panic_of_the_accountant_answers_unknown_and_the_same_key_is_charged_once(builder) {
        let scene = Scene::planted(builder, &["accountant.handle=panic"]).await;
        let params = json!({"resource": "twilio_voice", "quantity": 3});
        let run = async || scene.client.run_once(&scene.project, "use-1", "log_usage", &params).await;
        let (status, body) = run().await;
        assert_eq!((status.as_u16(), &body["code"]), (504, &json!("outcome_unknown")), "{body}");
        let answer = wait::until(async || Some(run().await).filter(|(status, _)| status.is_success()), "an answer").await;
        assert_eq!(answer.1["data"]["month_to_date_micros"], 150_000, "{answer:?}");
        scene.finish().await;
    }

    async fn three_deaths_with_a_ticket_in_hand_set_it_aside_and_nothing_else(builder) {
        set_aside(builder, "call.transcribed").await;
    }

    async fn three_deaths_before_anything_is_decided_set_the_ticket_aside_and_nothing_else(builder) {
        set_aside(builder, "call.begun").await;
    }
}

async fn no_second_text(builder: Builder, point: &str, sent: usize) {
    let scene = Scene::planted(builder, &[&format!("{point}=panic")]).await;
    let lead = GoogleLead::new("lead-1", "call me maybe");
    let context = scene.client.accept(&scene.project, &lead).await;
    has_struck(&scene, point).await;
    let end = scene.client.wait_end(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "not_dialled", "{end}");
    assert_eq!(end["data"]["result"]["boss_texted"], sent == 1, "{end}");
    assert_eq!(scene.sandbox.read(|ledger| ledger.messages_to(BOSS).len()), sent);
    scene.was_charged_once(&context, &end).await;
    scene.finish().await;
}

async fn set_aside(builder: Builder, point: &str) {
    let scene = Scene::planted(builder, &[&format!("{point}=panic*3")]).await;
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    let end = scene.client.wait_end(&context).await;
    let found = [&end["data"]["status"], &end["data"]["state"], &end["data"]["code"]];
    assert_eq!(found, ["failed", "dead", "crashed"], "{end}");

    let second = scene.client.accept(&scene.project, &GoogleLead::new("lead-2", OTHER_CUSTOMER)).await;
    scene.client.wait_completed(&second).await;
    let bridge = scene.actor("sales_bridge").await;
    assert_eq!((&bridge["state"], &bridge["restarts"]), (&json!("running"), &json!(0)), "{bridge}");
    let path = Client::v1(&format!("/tickets?project_id={}&state=dead", scene.project.id));
    let dead = scene.client.ok("tickets", scene.client.get(&path).await);
    assert_eq!(dead["data"].as_array().map(Vec::len), Some(1), "{dead}");
    scene.resumes(&context, &[]).await;
    scene.finish().await;
}
