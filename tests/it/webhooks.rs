//! The lead form of Google Ads: what is accepted, what is refused, and that nothing with the right key is lost.

use apex_tests::{Client, GoogleLead, on_both_stores};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, keys, text};

on_both_stores! {
    async fn the_answer_names_the_context_and_the_task(builder) {
        let scene = Scene::open(builder).await;
        let (status, body) = scene.client.google_lead(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!((text(&body, "status"), text(&body["data"], "task")), ("processing", "sales_agent"), "{body}");
        assert_eq!(keys(&body["data"]), ["context_id", "task"], "{body}");
        let context = text(&body["data"], "context_id");
        assert_eq!(scene.client.context(context).await.0, StatusCode::OK, "the context is there when the answer is");
        scene.client.wait_completed(context).await;
        scene.finish().await;
    }

    async fn the_same_lead_again_is_the_same_context_and_one_call(builder) {
        let scene = Scene::open(builder).await;
        let lead = GoogleLead::new("lead-1", CUSTOMER);
        let contexts = join_all((0..20).map(|_| scene.accept(&lead))).await;
        let first = &contexts[0];
        assert!(contexts.iter().all(|context| context == first), "{contexts:?}");
        scene.client.wait_completed(first).await;
        assert_eq!(&scene.accept(&lead).await, first, "also after the call");
        assert_eq!(&scene.accept(&lead.clone().question("Other", "text")).await, first, "whatever else it says");
        scene.only_lead().await;
        assert_eq!((scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1));
        scene.finish().await;
    }

    async fn a_test_lead_is_stored_and_marked_and_never_dialled_however_often_it_is_sent(builder) {
        let scene = Scene::open(builder).await;
        let pressed = GoogleLead::empty("TeSter-123-ABCDEFGHIJ").name("FirstName LastName").phone("+16505550123").test();
        let first = scene.accept(&pressed).await;
        let ended = scene.client.wait_completed(&first).await;
        let again = scene.accept(&pressed).await;
        scene.client.wait_completed(&again).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "test_lead", "{ended}");
        let lead = scene.lead_of(&ended).await;
        assert_eq!((&lead["is_test"], &lead["status"]), (&json!(true), &json!("new")), "{lead}");
        let ledger = scene.sandbox.ledger();
        assert!(ledger.calls.is_empty() && ledger.messages.is_empty(), "{ledger:#?}");
        scene.finish().await;
    }

    async fn with_the_right_key_a_lead_that_cannot_be_called_is_stored_marked_and_told_to_the_boss(builder) {
        let scene = Scene::open(builder).await;
        let named = |id: &str| GoogleLead::empty(id).name("Mere Kūpapa").email("mere@kereru.example");
        let cases = [
            ("no-phone", named("no-phone"), "no_phone"),
            ("empty-phone", named("empty-phone").phone(""), "no_phone"),
            ("words", named("words").phone("call me in the evening"), "unreadable_number"),
            ("too-short", named("too-short").phone("12"), "number_not_assigned"),
            ("two-numbers", named("two-numbers").phone("027 555 9001 / 027 555 9007"), "several_numbers"),
            ("emergency", named("emergency").phone("111"), "emergency_number"),
            ("premium", named("premium").phone("0900 12345"), "premium_number"),
            ("abroad", named("abroad").phone("+442079460018"), "country_not_allowed"),
            ("the-boss", named("the-boss").phone("027 555 9002"), "own_number"),
            ("nothing", GoogleLead::empty("nothing"), "no_phone"),
            ("no-columns", named("no-columns").field("user_column_data", Value::Null), "no_phone"),
            ("odd-columns", named("odd-columns").field("user_column_data", json!("none")), "no_phone"),
        ];
        let contexts = join_all(cases.iter().map(|(_, lead, _)| scene.accept(lead))).await;
        for ((name, _, reason), context) in cases.iter().zip(&contexts) {
            let ended = scene.client.wait_completed(context).await;
            let result = &ended["data"]["result"];
            assert_eq!((text(result, "outcome"), text(result, "reason")), ("not_dialled", *reason), "{name}: {ended}");
            assert_eq!(result["boss_texted"], true, "{name}: {ended}");
            let lead = scene.lead_of(&ended).await;
            assert_eq!((text(&lead, "blocked"), text(&lead, "status")), (*reason, "new"), "{name}: {lead}");
        }
        let ledger = scene.sandbox.ledger();
        assert!(ledger.calls.is_empty(), "{ledger:#?}");
        assert_eq!(ledger.messages_to(BOSS).len(), cases.len());
        assert_eq!(ledger.messages.len(), cases.len(), "only the boss is texted");
        let premium = scene.texts_to(BOSS).into_iter().find(|text| text.contains("premium number"));
        let premium = premium.expect("the text says why");
        assert!(premium.contains("0900 12345") && premium.contains("mere@kereru.example"), "{premium}");
        scene.finish().await;
    }

    async fn whatever_a_form_holds_is_kept_and_the_customer_is_called(builder) {
        let scene = Scene::open(builder).await;
        let odd = GoogleLead::new("lead-1", "027 555 9001")
            .name("Zoë 李雷 🦜\0 O'Neil")
            .question("What \"exactly\"?", "<b>Ā̄</b> 100% ; DROP TABLE leads")
            .column("SOMETHING_NEW", "Something new", "kept")
            .field("form_id", json!(i64::MAX))
            .field("campaign_id", json!("9223372036854775806"))
            .field("asset_group_id", json!(-1))
            .field("a_new_field", json!({"deep": [1, {"er": "\u{0}x"}]}));
        let ended = scene.client.wait_completed(&scene.accept(&odd).await).await;
        let lead = scene.lead_of(&ended).await;
        assert_eq!((text(&lead, "name"), text(&lead, "phone")), ("Zoë 李雷 🦜 O'Neil", CUSTOMER), "{lead}");
        let (raw, answers) = (&lead["raw_payload"], &lead["answers"]);
        assert_eq!((raw["form_id"].as_i64(), &raw["campaign_id"]), (Some(i64::MAX), &json!("9223372036854775806")), "{raw}");
        assert_eq!(raw["a_new_field"]["deep"][0], 1, "{raw}");
        assert_eq!(answers["What \"exactly\"?"], "<b>Ā̄</b> 100% ; DROP TABLE leads", "{answers}");
        assert_eq!(answers["Something new"], "kept", "{answers}");
        assert_eq!(scene.calls_to(CUSTOMER).len(), 1);
        scene.finish().await;
    }

    async fn a_phone_as_a_number_and_a_lead_without_an_id_are_called_once(builder) {
        let scene = Scene::open(builder).await;
        let mut body = GoogleLead::empty("x").name("Mere").json(&scene.project.google_key);
        let phone = json!({"column_id": "PHONE_NUMBER", "string_value": 64_275_559_001_u64});
        body["user_column_data"].as_array_mut().expect("a list").push(phone);
        body.as_object_mut().expect("an object").remove("lead_id");
        let mut contexts = Vec::new();
        for _ in 0..2 {
            let answer = scene.client.google_body(&scene.project.id, &body).await;
            let body = scene.client.ok("a lead without an id", answer);
            contexts.push(text(&body["data"], "context_id").to_owned());
        }
        assert_eq!(contexts[0], contexts[1], "the same body is the same lead");
        scene.client.wait_completed(&contexts[0]).await;
        assert_eq!(scene.calls_to(CUSTOMER).len(), 1);
        assert_eq!(text(&scene.only_lead().await, "phone"), CUSTOMER);
        scene.finish().await;
    }

    async fn without_the_right_key_nothing_is_stored_and_the_answer_says_why(builder) {
        let scene = Scene::open(builder).await;
        let (client, lead) = (&scene.client, GoogleLead::new("lead-1", CUSTOMER));
        let key = scene.project.google_key.as_str();
        let mut keyless = lead.json(key);
        keyless.as_object_mut().expect("an object").remove("google_key");
        for body in [lead.json("wrong"), lead.json(""), lead.json(&key.to_uppercase()), keyless] {
            assert_problem(&client.google_body("kereru", &body).await, StatusCode::FORBIDDEN, "wrong_key");
        }
        let token = lead.json(&scene.project.webhook_token);
        assert_problem(&client.google_body("kereru", &token).await, StatusCode::FORBIDDEN, "wrong_key");
        assert_problem(&client.google_body("nobody", &lead.json(key)).await, StatusCode::NOT_FOUND, "not_found");
        let nameless = client.post_json("/api/v1/webhooks/google-ads", &lead.json(key)).await;
        assert!(nameless.0.is_client_error(), "{nameless:?}");
        for text in ["", "not json", "{\"lead_id\":", "[]", "\"text\""] {
            let answer = raw(client, "application/json", text).await;
            assert_eq!(answer.0, StatusCode::BAD_REQUEST, "{text:?}: {answer:?}");
            assert!(answer.1["code"].is_string(), "{text:?}: {answer:?}");
        }
        assert!(client.leads("kereru").await.is_empty());
        let ledger = scene.sandbox.ledger();
        assert!(ledger.calls.is_empty() && ledger.messages.is_empty(), "{ledger:#?}");
        scene.finish().await;
    }

    async fn both_spellings_of_a_path_are_one_webhook(builder) {
        let scene = Scene::open(builder).await;
        let body = GoogleLead::new("lead-1", CUSTOMER).json(&scene.project.google_key);
        let mut contexts = Vec::new();
        for base in ["/api", "/api/v1"] {
            let path = format!("{base}/webhooks/google-ads?project_id=kereru");
            let answer = scene.client.anonymous().post_json(&path, &body).await;
            contexts.push(text(&scene.client.ok(base, answer)["data"], "context_id").to_owned());
        }
        assert_eq!(contexts[0], contexts[1]);
        scene.client.wait_completed(&contexts[0]).await;
        scene.finish().await;
    }
}

async fn raw(client: &Client, content_type: &str, body: &str) -> (StatusCode, Value) {
    client.anonymous().post_body("/api/v1/webhooks/google-ads?project_id=kereru", content_type, body).await
}
