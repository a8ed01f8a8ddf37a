//! Tasks: what can be run, what is refused, what a repeated request gets, and how a running one is cancelled.

use apex_sandbox::{CallStatus, Fault, Faults, Script};
use apex_tests::{GoogleLead, on_both_stores};
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{ANALYSIS, BOSS, CUSTOMER, Scene, assert_problem, keys, text};

const NOBODY: &str = "0198d9a0-0000-7000-8000-000000000001";

async fn cancel_accepted(scene: &Scene, context: &str) {
    let (status, body) = scene.client.cancel(context).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    assert_eq!(text(&body, "context_id"), context, "{body}");
}

on_both_stores! {
    async fn a_call_cancelled_while_the_phone_rings_is_taken_back(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_context(&context, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
        cancel_accepted(&scene, &context).await;
        let ended = scene.client.wait_end(&context).await;
        let data = &ended["data"];
        assert_eq!((text(data, "status"), text(data, "state"), text(data, "code")), ("failed", "cancelled", "cancelled"));
        assert_eq!(scene.calls_to(BOSS)[0].status, CallStatus::Canceled);
        assert!(scene.calls_to(CUSTOMER).is_empty());
        assert!(scene.texts_to(BOSS).is_empty(), "who cancels needs no text");
        assert_eq!(text(&scene.lead_of(&ended).await, "status"), "new");
        assert_problem(&scene.client.cancel(&context).await, StatusCode::CONFLICT, "already_ended");
        scene.finish().await;
    }

    async fn a_call_cancelled_before_the_provider_took_it_is_never_placed(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.faults(Faults { fail_next_calls: vec![Fault::too_many(30)], ..Faults::default() });
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_context(&context, "a call that waits", |body| body["data"]["state"] == "waiting").await;
        cancel_accepted(&scene, &context).await;
        let ended = scene.client.wait_end(&context).await;
        assert_eq!((text(&ended["data"], "status"), text(&ended["data"], "code")), ("failed", "cancelled"), "{ended}");
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty() && ledger.messages.is_empty()));
        scene.finish().await;
    }

    async fn two_people_who_speak_are_not_cut_off_and_an_ended_ticket_cannot_be_cancelled(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.script(CUSTOMER, Script::answers().talk_lasts_ms(1_000));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let speaking = |body: &Value| body["data"]["stage"] == "customer_connected";
        scene.client.wait_context(&context, "a conversation", speaking).await;
        cancel_accepted(&scene, &context).await;
        let ended = scene.client.wait_completed(&context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        assert_problem(&scene.client.cancel(&context).await, StatusCode::CONFLICT, "already_ended");
        assert_problem(&scene.client.cancel(NOBODY).await, StatusCode::NOT_FOUND, "not_found");
        scene.finish().await;
    }

    async fn a_lead_typed_in_is_called_on_request_and_only_once_at_a_time(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.scripts(BOSS, vec![Script::answers().after_ms(2_000), Script::answers()]);
        let new = json!({"project_id": "kereru", "name": "Mere Kūpapa", "phone": "027 555 9001", "message": "Call me"});
        let answer = scene.client.post_json("/api/v1/leads", &new).await;
        assert_eq!(answer.0, StatusCode::CREATED, "{answer:?}");
        let lead = text(&answer.1, "id").to_owned();
        assert!(scene.calls_to(BOSS).is_empty(), "a lead typed in is not called by itself");
        let params = json!({"action": "instant_call", "lead_id": lead});
        let asked = (0..5).map(|_| scene.client.begin(&scene.project, "sales_agent", &params));
        let mut connected = 0;
        for context in join_all(asked).await {
            let ended = scene.client.wait_end(&context).await;
            match ended["data"]["status"].as_str() {
                Some("completed") => connected += 1,
                _ => assert_eq!(text(&ended["data"], "code"), "call_in_progress", "{ended}"),
            }
        }
        assert_eq!((connected, scene.calls_to(BOSS).len(), scene.calls_to(CUSTOMER).len()), (1, 1, 1));
        assert_eq!(text(&scene.client.lead(&lead).await, "status"), "contacted");
        let again = scene.client.begin(&scene.project, "lead_gen_manager", &params).await;
        scene.client.wait_completed(&again).await;
        assert_eq!(scene.calls_to(CUSTOMER).len(), 2, "afterwards they may be called again");
        scene.finish().await;
    }

    async fn texts_and_transcripts_are_made_on_request(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        let lead = text(&scene.client.wait_completed(&context).await["data"], "lead_id").to_owned();
        let run = async |task: &str, params: Value| {
            let context = scene.client.begin(&scene.project, task, &params).await;
            scene.client.wait_end(&context).await
        };
        let told = run("sales_agent", json!({"action": "notify_sms", "lead_id": lead})).await;
        assert_eq!((text(&told["data"], "status"), text(&told["data"]["result"], "sms")), ("completed", "live"), "{told}");
        run("sales_agent", json!({"action": "notify_sms", "text": "Kia ora"})).await;
        let texts = scene.texts_to(BOSS);
        assert!(texts.len() == 2 && texts[0].contains(CUSTOMER) && texts[1] == "Kia ora", "{texts:?}");
        let heard = run("lead_gen_manager", json!({"action": "transcribe_call", "lead_id": lead})).await;
        assert_eq!(text(&heard["data"], "status"), "completed", "{heard}");
        assert_eq!(keys(&heard["data"]["result"]["call_analysis"]), ANALYSIS, "{heard}");
        let silent = scene.accept(&GoogleLead::empty("lead-2").name("Hemi")).await;
        let silent = text(&scene.client.wait_completed(&silent).await["data"], "lead_id").to_owned();
        let nothing = run("lead_gen_manager", json!({"action": "transcribe_call", "lead_id": silent})).await;
        assert_eq!((text(&nothing["data"], "status"), text(&nothing["data"], "code")), ("failed", "no_recording"));
        scene.finish().await;
    }

    async fn instant_tasks_answer_at_once_and_use_is_charged_against_the_limit(builder) {
        let scene = Scene::open(builder).await;
        let run = async |task: &str, params: Value| {
            let answer = scene.client.run(&scene.project, task, &params).await;
            let body = scene.client.ok(task, answer);
            assert_eq!(text(&body, "status"), "success", "{body}");
            assert!(body["timestamp"].is_string() && body["message"].is_string(), "{body}");
            body["data"].clone()
        };
        let health = run("health_check", json!({})).await;
        assert_eq!(text(&health, "status"), "healthy", "{health}");
        assert_eq!((&health["database_ok"], &health["twilio_ok"], &health["gemini_ok"]), (&json!(true), &json!(true), &json!(true)));
        let stats = run("lead_gen_manager", json!({"action": "dashboard_stats"})).await;
        assert_eq!((&stats["leads"]["total"], &stats["month_to_date_micros"]), (&json!(0), &json!(0)), "{stats}");
        let used = run("log_usage", json!({"resource": "twilio_voice", "quantity": 1.5})).await;
        assert_eq!((&used["cost_micros"], text(&used, "cost")), (&json!(75_000), "$0.075"), "{used}");
        assert_eq!((&used["month_to_date_micros"], text(&used, "status")), (&json!(75_000), "ACTIVE"), "{used}");
        let limited = json!({"modules": {"system_ops": {"billing": {"default_project_limit_usd": 0.1}}}});
        let answer = scene.client.put_json("/api/v1/projects/kereru/dna", &limited).await;
        scene.client.ok("dna", answer);
        let used = run("log_usage", json!({"resource": "gemini_token", "quantity": 25_000})).await;
        assert_eq!((&used["month_to_date_micros"], text(&used, "status")), (&json!(100_000), "ACTIVE"), "the limit itself");
        let used = run("log_usage", json!({"resource": "twilio_sms", "quantity": 1})).await;
        assert_eq!((&used["month_to_date_micros"], text(&used, "status")), (&json!(108_000), "PAUSED"), "{used}");
        assert_eq!(text(&used, "limit"), "$0.10");
        scene.finish().await;
    }

    async fn what_cannot_be_run_is_refused_with_its_reason(builder) {
        let scene = Scene::open(builder).await;
        let run = async |task: &str, params: Value| scene.client.run(&scene.project, task, &params).await;
        let unprocessable = StatusCode::UNPROCESSABLE_ENTITY;
        for (task, params) in [
            ("sniper_agent", json!({})),
            ("lead_gen_manager", json!({"action": "hunt_sniper"})),
            ("reactivator_agent", json!({})),
            ("onboarding", json!({})),
        ] {
            let refused = run(task, params).await;
            assert_problem(&refused, StatusCode::NOT_IMPLEMENTED, "task_unavailable");
            assert!(text(&refused.1, "detail").len() > 20, "{refused:?}");
        }
        assert_problem(&run("no_such_task", json!({})).await, unprocessable, "unknown_task");
        assert_problem(&run("sales_agent", json!({"action": "dance"})).await, unprocessable, "unknown_action");
        assert_problem(&run("lead_gen_manager", json!({})).await, unprocessable, "missing_action");
        let missing = run("sales_agent", json!({"action": "instant_call"})).await;
        assert_problem(&missing, unprocessable, "missing_param");
        assert_eq!(missing.1["errors"][0]["field"], "params.lead_id", "{missing:?}");
        let wrong = run("log_usage", json!({"resource": "twilio_voice", "quantity": -1})).await;
        assert_problem(&wrong, unprocessable, "invalid_param");
        let unknown = run("log_usage", json!({"resource": "gold", "quantity": 1})).await;
        assert_problem(&unknown, unprocessable, "unknown_resource");
        let nobody = run("sales_agent", json!({"action": "instant_call", "lead_id": NOBODY})).await;
        assert!(nobody.0 == StatusCode::NOT_FOUND || nobody.0 == unprocessable, "{nobody:?}");
        let elsewhere = scene.client.post_json("/api/v1/run", &json!({"task": "health_check", "project_id": "nobody"})).await;
        assert_problem(&elsewhere, StatusCode::NOT_FOUND, "not_found");
        let answer = scene.client.get("/api/v1/tickets?project_id=kereru").await;
        assert_eq!(scene.client.ok("tickets", answer)["data"], json!([]), "a refusal leaves no ticket");
        scene.finish().await;
    }

    async fn the_same_key_gets_the_same_answer_and_another_body_is_refused(builder) {
        let scene = Scene::open(builder).await;
        let text_to_boss = json!({"action": "notify_sms", "text": "Kia ora"});
        let run = async |key: &str, task: &str, params: &Value| {
            scene.client.run_once(&scene.project, key, task, params).await
        };
        let answers = join_all((0..10).map(|_| run("key-1", "sales_agent", &text_to_boss))).await;
        let done: Vec<_> = answers.iter().filter(|(status, _)| *status == StatusCode::OK).collect();
        let (first, others) = done.split_first().expect("at least one is done");
        assert!(others.iter().all(|answer| answer == first), "{answers:?}");
        for answer in answers.iter().filter(|(status, _)| *status != StatusCode::OK) {
            assert_problem(answer, StatusCode::CONFLICT, "idempotency_in_flight");
        }
        assert_eq!(run("key-1", "sales_agent", &text_to_boss).await, **first);
        scene.client.wait_completed(text(&first.1["data"], "context_id")).await;
        assert_eq!(scene.texts_to(BOSS), ["Kia ora"]);
        let other = json!({"action": "notify_sms", "text": "Other"});
        let reused = run("key-1", "sales_agent", &other).await;
        assert_problem(&reused, StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused");
        let usage = json!({"resource": "twilio_sms", "quantity": 2});
        let (one, two) = (run("key-2", "log_usage", &usage).await, run("key-2", "log_usage", &usage).await);
        assert_eq!((one.0, one.1["data"]["cost_micros"].as_i64()), (StatusCode::OK, Some(16_000)), "{one:?}");
        assert_eq!(one.1["data"]["month_to_date_micros"], two.1["data"]["month_to_date_micros"], "charged once: {two:?}");
        scene.finish().await;
    }

    async fn tickets_are_listed_by_project_and_state(builder) {
        let scene = Scene::open(builder).await;
        let first = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&first).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
        let second = scene.accept(&GoogleLead::new("lead-2", "+64275559201")).await;
        scene.client.wait_context(&second, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
        let list = async |query: &str| {
            let answer = scene.client.get(&format!("/api/v1/tickets?project_id=kereru{query}")).await;
            let body = scene.client.ok("tickets", answer);
            let ids = body["data"].as_array().expect("a page").iter().map(|ticket| text(ticket, "id").to_owned());
            (ids.collect::<Vec<_>>(), body["next_cursor"].as_str().map(str::to_owned))
        };
        assert_eq!(list("").await.0, [second.clone(), first.clone()], "newest first");
        assert_eq!(list("&state=completed").await.0, std::slice::from_ref(&first));
        let (page, cursor) = list("&limit=1").await;
        assert_eq!(page, std::slice::from_ref(&second));
        assert_eq!(list(&format!("&limit=1&cursor={}", cursor.expect("there is more"))).await.0, [first]);
        scene.client.cancel(&second).await;
        scene.client.wait_end(&second).await;
        assert_eq!(list("&state=cancelled").await.0, [second]);
        scene.finish().await;
    }
}
