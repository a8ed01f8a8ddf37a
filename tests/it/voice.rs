//! The telephone provider's door: only its own requests come in, and each is answered in time, whatever our actors do.

use std::path::Path;

use apex_sandbox::{Chances, Faults, Incoming, Script};
use apex_tests::program::{Builder, OUR_NUMBER};
use apex_tests::twilio::{Answer, sign};
use apex_tests::{Apex, GoogleLead, Postgres, on_both_stores, wait};
use reqwest::StatusCode;

use crate::scene::{BOSS, CUSTOMER, Scene, text};

/// Paths that answer with a script.
const SPOKEN: [&str; 5] = ["voice/incoming", "voice/whisper", "voice/connect", "voice/after", "sms/incoming"];
/// Paths that only take note.
const NOTED: [&str; 6] =
    ["voice/status", "voice/leg", "voice/recording-status", "voice/transcription", "voice/amd", "sms/status"];
const LOST: Chances = Chances { lost: 100, doubled: 0, late: 0, late_ms: 0, reordered: 0 };
const CANARY: &str = "CA00canary00canary00canary00canary00";

fn assert_script(answer: &Answer, what: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{what}: {answer:?}");
    assert!(answer.content_type.starts_with("text/xml"), "{what}: {answer:?}");
    assert!(answer.body.contains("<Response"), "{what}: {answer:?}");
}

/// Whether any row or file of the program holds these bytes.
fn is_stored(apex: &Apex, bytes: &str) -> bool {
    if let Some(url) = apex.database_url() {
        let sql = format!("select count(*) from apex.call_inbox i where i::text like '%{bytes}%'");
        let superuser = Postgres::shared().superuser(url);
        return Postgres::shared().query(&superuser, &sql) != "0";
    }
    holds(&apex.data_dir(), bytes.as_bytes())
}

fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder of ours");
    entries.map(|entry| entry.expect("an entry").path()).any(|path| {
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(&path).is_ok_and(|file| file.windows(bytes.len()).any(|window| window == bytes))
    })
}

on_both_stores! {
    async fn a_request_that_is_not_signed_by_the_provider_is_refused_on_every_path_and_stored_nowhere(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        let real = scene.calls_to(BOSS)[0].url.clone().expect("the call has a script");
        let query = real.split_once('?').expect("the script's address names what it is about").1;
        let twilio = scene.apex.twilio();
        let params = [("CallSid", CANARY), ("MessageSid", CANARY), ("CallStatus", "completed"), ("Digits", "1")];
        for path in SPOKEN.iter().chain(&NOTED) {
            for base in ["/api", "/api/v1"] {
                let path = format!("{base}/{path}?{query}");
                let elsewhere = sign("5a4db0ca11ab1e001122334455667788", "http://kereru.example/", &params);
                let answers = [
                    twilio.post_unsigned(&path, &params).await,
                    twilio.post_badly_signed(&path, &params).await,
                    twilio.post_with_signature(&path, &params, "").await,
                    twilio.post_with_signature(&path, &params, "not base64 !").await,
                    twilio.post_with_signature(&path, &params, &elsewhere).await,
                ];
                for answer in answers {
                    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {answer:?}");
                    assert!(answer.content_type.starts_with("application/problem+json"), "{path}: {answer:?}");
                }
            }
        }
        assert!(!is_stored(&scene.apex, CANARY), "a body that is not the provider's was stored");
        assert!(!scene.apex.stderr().contains(CANARY), "a body that is not the provider's was logged");
        twilio.post(&format!("/api/voice/status?{query}"), &params).await;
        assert!(is_stored(&scene.apex, CANARY), "the look for stored bodies finds one");
        scene.finish().await;
    }

    async fn a_signed_request_about_nothing_we_know_is_answered_and_breaks_nothing(builder) {
        let scene = Scene::open(builder).await;
        let twilio = scene.apex.twilio();
        let nobody = "org=0198d9a0-0000-7000-8000-000000000001&project=0198d9a0-0000-7000-8000-000000000002\
                      &ticket=0198d9a0-0000-7000-8000-000000000003&bridge=0198d9a0-0000-7000-8000-000000000004\
                      &effect=0198d9a0-0000-7000-8000-000000000005";
        let queries = ["", "?", "?org=1&ticket=x", "?project_id=nobody", &format!("?{nobody}"), "?org=%00%ff"];
        let bodies: [&[(&str, &str)]; 4] = [
            &[("CallSid", "CA1"), ("CallStatus", "completed"), ("Digits", "1"), ("From", CUSTOMER), ("To", OUR_NUMBER)],
            &[],
            &[("CallSid", ""), ("Digits", "1")],
            &[("CallSid", "\u{0}🦜"), ("CallStatus", "new-status"), ("CallDuration", "many"), ("RecordingStatus", "?")],
        ];
        for query in queries {
            for params in bodies {
                for path in SPOKEN {
                    assert_script(&twilio.post(&format!("/api/{path}{query}"), params).await, path);
                }
                for path in NOTED {
                    let answer = twilio.post(&format!("/api/{path}{query}"), params).await;
                    assert!(answer.status.is_success(), "{path}{query}: {answer:?}");
                }
            }
        }
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        scene.finish().await;
    }

    async fn the_boss_hears_who_waits_and_a_second_call_of_the_bridge_is_ended(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(1_500));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_context(&context, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
        let call = scene.calls_to(BOSS).remove(0);
        let (twilio, url) = (scene.apex.twilio(), call.url.expect("the call has a script"));
        let whisper = twilio.post(&url, &[("CallSid", &call.sid)]).await;
        assert_script(&whisper, "whisper");
        assert!(whisper.body.contains("Mere Kūpapa") && whisper.body.contains("<Gather"), "{whisper:?}");
        let connect = url.replace("/voice/whisper", "/voice/connect");
        for (url, params) in [(&url, [("CallSid", CANARY)]), (&connect, [("CallSid", CANARY)])] {
            let answer = twilio.post(url, &params).await;
            assert_script(&answer, url);
            assert!(!answer.body.contains("<Gather") && !answer.body.contains("<Dial"), "{answer:?}");
        }
        let surplus = twilio.post(&connect, &[("CallSid", CANARY), ("Digits", "1")]).await;
        assert!(surplus.body.contains("<Hangup") && !surplus.body.contains("<Dial"), "{surplus:?}");
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        let late = twilio.post(&connect, &[("CallSid", &call.sid), ("Digits", "1")]).await;
        assert!(late.body.contains("<Hangup") && !late.body.contains("<Dial"), "the bridge is closed: {late:?}");
        assert_eq!(scene.calls_to(CUSTOMER).len(), 1);
        scene.finish().await;
    }

    async fn a_call_goes_on_while_its_actor_is_stalled_and_no_fact_of_it_is_lost(builder) {
        let mut scene = Scene::open(builder.fault("call.live=stall")).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.wait_ledger("a call that is over", |ledger| ledger.calls.len() == 2 && ledger.is_quiet()).await;
        let (_, stalled) = scene.client.context(&context).await;
        assert_eq!(text(&stalled["data"], "status"), "processing", "{stalled}");
        scene.apex.restart().await;
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        assert_eq!(text(&scene.lead_of(&ended).await, "status"), "contacted");
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1));
        scene.finish().await;
    }

    async fn a_call_goes_on_when_its_actor_panics(builder) {
        let scene = Scene::open(builder.fault("call.live=panic").fault("call.noted=panic")).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1));
        scene.finish().await;
    }

    async fn a_project_whose_bridge_is_stalled_still_takes_leads_and_others_do_not_notice(builder) {
        leads_are_taken_during(builder, "sales_bridge.handle=stall").await;
    }

    async fn a_project_whose_call_is_stalled_still_takes_leads_and_others_do_not_notice(builder) {
        leads_are_taken_during(builder, "call.begun=stall").await;
    }

    async fn a_customer_who_calls_our_number_is_put_through_to_the_boss(builder) {
        let scene = Scene::open(builder).await;
        let url = format!("{}/api/voice/incoming?project_id=kereru", scene.apex.api());
        let call = |from: &str, url: &str| {
            scene.sandbox.incoming(Incoming {
                from: from.to_owned(),
                to: OUR_NUMBER.to_owned(),
                url: url.to_owned(),
                status_callback: None,
            })
        };
        let sid = call(CUSTOMER, &url);
        let lost = call("+64275559201", &url.replace("kereru", "nobody"));
        scene.wait_ledger("two calls that are over", |ledger| ledger.is_quiet() && ledger.calls.len() == 3).await;
        let ledger = scene.sandbox.ledger();
        let [boss] = ledger.legs_of(&sid)[..] else { panic!("{ledger:#?}") };
        assert_eq!(boss.to, BOSS);
        assert!(ledger.legs_of(&lost).is_empty());
        scene.wait_ledger("a text about the caller", |ledger| ledger.messages_to(BOSS).len() == 1).await;
        let lead = scene.only_lead().await;
        assert_eq!((text(&lead, "source"), text(&lead, "phone_raw")), ("inbound_call", CUSTOMER), "{lead}");
        scene.finish().await;
    }
}

/// An actor of a project stalls: its next lead is accepted, another project works, and after a restart all are called once.
async fn leads_are_taken_during(builder: Builder, stall: &str) {
    let mut scene = Scene::open(builder.fault(stall)).await;
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    wait::until(async || scene.apex.stderr().contains("a planted fault strikes"), "the stall").await;
    let second = scene.accept(&GoogleLead::new("lead-2", "+64275559201")).await;
    assert_ne!(second, context);
    let other = scene.project("tui", "+64275559003").await;
    let elsewhere = scene.client.accept(&other, &GoogleLead::new("lead-1", "+64275559202")).await;
    scene.client.wait_completed(&elsewhere).await;
    let (_, stalled) = scene.client.context(&context).await;
    assert_eq!(text(&stalled["data"], "status"), "processing", "{stalled}");
    scene.apex.restart().await;
    for context in [&context, &second] {
        scene.client.wait_completed(context).await;
    }
    assert_eq!(scene.calls_to(BOSS).len(), 2);
    scene.finish().await;
}

/// The callback is committed, but its answer stalls or its handler panics: the boss hears an apology within five seconds,
/// and that the boss picked up is known all the same.
async fn an_apology_is_heard(fault: &str) {
    let scene = Scene::open(Apex::builder().sqlite().fault(fault)).await;
    scene.sandbox.faults(Faults { status: LOST, ..Faults::default() });
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let ended = scene.client.wait_completed(&context).await;
    assert_eq!(text(&ended["data"]["result"], "outcome"), "no_key", "{ended}");
    let stages = scene.stages(&context).await;
    assert!(stages.iter().any(|stage| stage == "boss_answered"), "{stages:?}");
    let call = scene.calls_to(BOSS).remove(0);
    let [fetch] = &call.twiml_fetches[..] else { panic!("{call:#?}") };
    assert_eq!((fetch.status, &fetch.verbs[..]), (200, &["Say".to_owned(), "Hangup".to_owned()][..]), "{call:#?}");
    assert!(fetch.ms < 5_000, "{call:#?}");
    assert_eq!(scene.texts_to(BOSS).len(), 1);
    scene.finish().await;
}

#[tokio::test]
async fn a_script_that_cannot_be_had_in_time_is_an_apology() {
    an_apology_is_heard("callback.committed=stall").await;
}

#[tokio::test]
async fn a_script_whose_handler_panics_is_an_apology() {
    an_apology_is_heard("callback.committed=panic").await;
}
