//! The main job: a form comes in, the boss is rung, presses 1, speaks with the customer, and the lead carries it all.

use apex_sandbox::{CallStatus, Direction, Moment, Script};
use apex_tests::program::OUR_NUMBER;
use apex_tests::{GoogleLead, Project, on_both_stores};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{ANALYSIS, BOSS, CUSTOMER, Scene, keys, text};

on_both_stores! {
    async fn a_form_rings_the_boss_connects_the_customer_and_fills_the_lead(builder) {
        let scene = Scene::open(builder).await;
        let form = GoogleLead::new("lead-1", CUSTOMER).email("mere@kereru.example");
        let context = scene.accept(&form).await;
        let ended = scene.client.wait_completed(&context).await;
        let lead = scene.lead_of(&ended).await;

        let call_sid = two_people_were_connected(&scene);
        the_lead_carries_the_call(&lead, &call_sid);
        the_context_carries_the_result(&ended, &lead);
        the_recording_is_served(&scene, &lead).await;
        the_cost_is_in_the_usage(&scene, &ended).await;
        assert!(scene.texts_to(BOSS).is_empty(), "who has spoken needs no text");
        scene.finish().await;
    }

    async fn nobody_is_connected_unless_the_boss_presses_1(builder) {
        let scene = Scene::open(builder).await;
        let cases = [
            ("busy", Script::busy(), "boss_unreached"),
            ("rings-out", Script::no_answer(), "boss_unreached"),
            ("unreachable", Script::failed(), "boss_unreached"),
            ("refuses", Script::answers().hangs_up_during(Moment::Ringing), "boss_unreached"),
            ("presses-2", Script::answers().presses("2"), "declined"),
            ("silent", Script::answers().stays_silent(), "no_key"),
            ("voicemail", Script::voicemail(), "no_key"),
            ("hangs-up", Script::answers().hangs_up_when_asked(), "no_key"),
            ("hangs-up-early", Script::answers().hangs_up_during(Moment::Whisper), "no_key"),
        ];
        let mut running = Vec::new();
        for (at, (name, script, outcome)) in cases.into_iter().enumerate() {
            let (boss, customer) = (format!("+6427555910{at}"), format!("+6427555920{at}"));
            scene.sandbox.script(&boss, script);
            let project = scene.project(name, &boss).await;
            let context = scene.client.accept(&project, &GoogleLead::new("lead-1", &customer)).await;
            running.push((name, boss, customer, context, outcome));
        }
        for (name, boss, customer, context, outcome) in running {
            let ended = scene.client.wait_completed(&context).await;
            assert_eq!(ended["data"]["result"]["outcome"], outcome, "{name}: {ended}");
            assert_eq!(scene.calls_to(&boss).len(), 1, "{name}");
            assert!(scene.calls_to(&customer).is_empty(), "{name}: the customer was rung");
            one_text_tells_of(&scene, name, &boss, &customer);
            let lead = scene.lead_of(&ended).await;
            assert_eq!((&lead["status"], &lead["call_duration"]), (&json!("new"), &Value::Null), "{name}: {lead}");
        }
        scene.finish().await;
    }

    async fn a_customer_who_is_not_reached_stays_new_and_the_boss_gets_one_text(builder) {
        let scene = Scene::open(builder).await;
        let cases = [
            ("rings-out", Script::answers(), Script::no_answer()),
            ("busy", Script::answers(), Script::busy()),
            ("unreachable", Script::answers(), Script::failed()),
            ("boss-leaves", Script::answers().hangs_up_during(Moment::Dial), Script::answers()),
        ];
        let mut running = Vec::new();
        for (at, (name, of_boss, of_customer)) in cases.into_iter().enumerate() {
            let (boss, customer) = (format!("+6427555910{at}"), format!("+6427555920{at}"));
            scene.sandbox.script(&boss, of_boss);
            scene.sandbox.script(&customer, of_customer);
            let project = scene.project(name, &boss).await;
            let context = scene.client.accept(&project, &GoogleLead::new("lead-1", &customer)).await;
            running.push((name, boss, customer, context));
        }
        for (name, boss, customer, context) in running {
            let ended = scene.client.wait_completed(&context).await;
            assert_eq!(ended["data"]["result"]["outcome"], "customer_unreached", "{name}: {ended}");
            assert_eq!(ended["data"]["result"]["boss_texted"], true, "{name}: {ended}");
            assert_eq!(scene.calls_to(&customer).len(), 1, "{name}");
            one_text_tells_of(&scene, name, &boss, &customer);
            assert_eq!(scene.lead_of(&ended).await["status"], "new", "{name}");
        }
        scene.finish().await;
    }
}

/// One call to the boss, who pressed 1, and one second leg to the customer. The sid of the first.
fn two_people_were_connected(scene: &Scene) -> String {
    let ledger = scene.sandbox.ledger();
    let [boss] = ledger.calls_to(BOSS)[..] else { panic!("not one call to the boss: {ledger:#?}") };
    assert_eq!((boss.direction, boss.status), (Direction::OutboundApi, CallStatus::Completed));
    assert_eq!((boss.from.as_str(), &boss.pressed[..]), (OUR_NUMBER, &["1".to_owned()][..]));
    let [customer] = ledger.legs_of(&boss.sid)[..] else { panic!("not one second leg: {ledger:#?}") };
    assert_eq!((customer.to.as_str(), customer.status), (CUSTOMER, CallStatus::Completed));
    assert_eq!(customer.from, OUR_NUMBER);
    assert_eq!(ledger.calls.len(), 2, "{ledger:#?}");
    assert!(boss.answered_at <= customer.rung_at, "the customer is rung after the boss has picked up");
    boss.sid.clone()
}

fn the_lead_carries_the_call(lead: &Value, call_sid: &str) {
    assert_eq!(text(lead, "status"), "contacted", "{lead}");
    assert_eq!(text(lead, "call_sid"), call_sid);
    assert_eq!(lead["call_duration"], 42, "{lead}");
    assert!(text(lead, "call_transcription").contains("Customer: Hello, my name is Mere. A pipe burst"), "{lead}");
    assert_eq!(keys(&lead["call_analysis"]), ANALYSIS, "{lead}");
    assert_eq!(text(&lead["call_analysis"], "urgency"), "high", "{lead}");
    assert!(lead["call_analysis"]["key_points"].as_array().is_some_and(|points| !points.is_empty()), "{lead}");
    assert!(text(lead, "recording_url").starts_with("/api/v1/recordings/RE"), "{lead}");
    assert_eq!((text(lead, "source"), text(lead, "name")), ("google_ads", "Mere Kūpapa"));
    assert_eq!((text(lead, "phone"), text(lead, "email")), (CUSTOMER, "mere@kereru.example"));
    assert!(lead["contact_id"].is_string() && lead["blocked"].is_null(), "{lead}");
    assert_eq!(lead["answers"]["What do you need?"], "New bathroom", "{lead}");
    assert!(!lead["raw_payload"].to_string().contains("google_key"), "{lead}");
}

fn the_context_carries_the_result(context: &Value, lead: &Value) {
    let (data, result) = (&context["data"], &context["data"]["result"]);
    assert_eq!(
        (text(data, "status"), text(data, "state"), text(data, "task")),
        ("completed", "completed", "sales_agent")
    );
    assert_eq!(text(context, "project_id"), "kereru");
    assert_eq!(text(result, "outcome"), "connected", "{result}");
    for name in ["call_sid", "call_duration", "recording_url", "call_analysis"] {
        assert_eq!(result[name], lead[name], "{name}");
    }
    assert_eq!(result["lead_id"], lead["id"]);
}

async fn the_recording_is_served(scene: &Scene, lead: &Value) {
    let url = text(lead, "recording_url");
    let (status, kind, sound) = scene.download(url).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "audio/wav"));
    assert_eq!((&sound[..4], &sound[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    let (status, _) = scene.client.anonymous().get(url).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "a recording is nobody else's");
}

async fn the_cost_is_in_the_usage(scene: &Scene, context: &Value) {
    let answer = scene.client.get("/api/v1/usage?project_id=kereru").await;
    let usage = scene.client.ok("usage", answer);
    let used = |name: &str| {
        let resources = usage["resources"].as_array().unwrap_or_else(|| panic!("{usage}"));
        resources
            .iter()
            .find(|used| used["resource"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("no {name} in {usage}"))
    };
    assert_eq!(used("twilio_voice")["quantity"], 2, "a started minute for each leg: {usage}");
    assert!(used("gemini_token")["quantity"].as_i64().is_some_and(|tokens| tokens > 0), "{usage}");
    let cost = &context["data"]["result"]["cost_micros"];
    assert!(cost.as_i64().is_some_and(|micros| micros >= 100_000), "{context}");
    assert_eq!(&usage["month_to_date_micros"], cost, "{usage}");
    assert_eq!(usage["status"], "ACTIVE", "{usage}");
}

fn one_text_tells_of(scene: &Scene, name: &str, boss: &str, customer: &str) {
    let texts = scene.texts_to(boss);
    assert_eq!(texts.len(), 1, "{name}: {texts:?}");
    assert!(texts[0].contains(customer), "{name}: {texts:?}");
}

on_both_stores! {
    async fn projects_keep_their_leads_and_bosses_apart(builder) {
        let scene = Scene::open(builder).await;
        let other: Project = scene.project("tui", "+64275559003").await;
        let same_id = GoogleLead::new("lead-1", CUSTOMER);
        let (here, there) = tokio::join!(scene.accept(&same_id), scene.client.accept(&other, &same_id));
        assert_ne!(here, there, "one id of Google's in two projects is two leads");
        for context in [&here, &there] {
            scene.client.wait_completed(context).await;
        }
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to("+64275559003").len()), (1, 1));
        assert_eq!(scene.calls_to(CUSTOMER).len(), 2);
        scene.finish().await;
    }
}
