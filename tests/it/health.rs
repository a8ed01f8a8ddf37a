//! Whether it runs, and what an operator can count.

use apex_tests::{Apex, Client, GoogleLead, on_both_stores};
use serde_json::json;

use crate::scene::{CUSTOMER, Scene};

/// Status and body of a path of the operator's port.
pub(crate) async fn admin(apex: &Apex, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("{}{path}", apex.admin())).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a whole body"))
}

on_both_stores! {
    async fn a_ready_program_says_so_on_both_ports(builder) {
        let mut apex = builder.start().await;
        let client = apex.client();
        assert_eq!(client.get("/health").await, (reqwest::StatusCode::OK, json!({"status": "ok"})));
        let (status, body) = client.get("/health/ready").await;
        assert!(status.is_success(), "{body}");
        let found = [&body["status"], &body["database"], &body["mirror"], &body["mode"]];
        assert_eq!(found, [&json!("ready"), &json!(true), &json!(true), &json!("sandbox")], "{body}");
        assert_eq!(admin(&apex, "/live").await.0, 200);
        let (status, text) = admin(&apex, "/ready").await;
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("\"status\":\"ready\""), "{text}");
        assert_eq!(client.get("/metrics").await.0, 404, "not on the public port");
        assert!(apex.terminate().await.success());
    }

    async fn metrics_count_the_main_job(builder) {
        let scene = Scene::open(builder.fault("accountant.handle=panic")).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        assert!(!scene.client.get(&Client::v1("/usage?project_id=kereru")).await.0.is_success(), "the planted panic");

        let (status, text) = admin(&scene.apex, "/metrics").await;
        assert_eq!(status, 200);
        for stage in [
            "accepted", "dial_requested", "boss_answered", "boss_accepted", "customer_connected", "analysed",
        ] {
            let line = format!("apex_lead_stage_seconds_count{{stage=\"{stage}\"}} 1");
            assert!(text.contains(&line), "{line} in\n{text}");
        }
        for line in [
            "apex_calls_total{outcome=\"connected\"} 1",
            "apex_tickets{state=\"completed\"} 1",
            "apex_effects{state=\"live\"} 1",
            "apex_mirror_up 1",
            "apex_projects_active 1",
            "apex_leads_accepted_total{source=\"google_ads\"} 1",
            "apex_ticket_seconds_count{task=\"sales_agent\"} 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let begins = |beginning: &str| text.lines().any(|line| line.starts_with(beginning));
        for beginning in [
            "apex_http_request_seconds_count{route=\"/api/v1/webhooks/google-ads\",status=\"200\"}",
            "apex_actor_handle_seconds_count{actor=\"project\"",
            "apex_actor_restarts_total{actor=\"accountant\",cause=\"panic\"}",
            "apex_spend_micros_total ",
        ] {
            assert!(begins(beginning), "{beginning} in\n{text}");
        }
        scene.finish().await;
    }
}

#[tokio::test]
async fn both_spellings_of_a_path_are_one_route() {
    let apex = Apex::builder().start().await;
    for path in ["/api/users/me", "/api/v1/users/me"] {
        assert_eq!(apex.client().get(path).await.0, 401, "{path}");
    }
    let (_, text) = admin(&apex, "/metrics").await;
    let line = "apex_http_request_seconds_count{route=\"/api/v1/users/me\",status=\"401\"} 2";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("route=\"/api/users/me\""), "{text}");
}

#[tokio::test]
async fn the_front_page_and_the_documents_need_nothing_from_elsewhere() {
    let apex = Apex::builder().start().await;
    let client = apex.client();
    let (status, about) = client.get("/").await;
    assert!(status.is_success());
    assert_eq!((&about["docs"], &about["mode"]), (&json!("/docs"), &json!("sandbox")), "{about}");
    for path in ["/docs", "/docs/", "/redoc"] {
        let (status, page) = client.get(path).await;
        assert!(status.is_success(), "{path}: {status}");
        let page = page.as_str().unwrap_or_default();
        assert!(page.contains("swagger"), "{path}: {page}");
        assert!(!page.contains("//cdn") && !page.contains("https://unpkg"), "{path}: {page}");
    }
}
