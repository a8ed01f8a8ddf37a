//! What lies around every endpoint.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use utoipa::openapi::OpenApi;

use super::House;
use crate::{admin_router, openapi};

#[tokio::test]
async fn whatever_is_not_there_is_a_problem() {
    let house = House::open().await;
    for path in ["/nothing", "/api/v1/nothing", "/api/nothing", "/api/v1/leads/1/2"] {
        house.call(None, "GET", path, Value::Null).await.refused(404, "not_found");
    }
    let wrong = house.call(None, "DELETE", "/api/v1/run", Value::Null).await;
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "POST");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_says_why() {
    let house = House::open().await;
    let send = async |media: &str, body: String| {
        let request = Request::builder().method("POST").uri("/api/v1/auth/login").header("content-type", media);
        house.send(request.body(Body::from(body)).unwrap()).await
    };
    send("application/json", "{".into()).await.refused(400, "malformed_json");
    send("text/plain", "{}".into()).await.refused(415, "unsupported_media");
    let huge = json!({ "email": "x".repeat(1024 * 1024), "password": "x" }).to_string();
    send("application/json", huge).await.refused(413, "too_large");
    let wrong = send("application/json", r#"{"email": 1, "password": "x"}"#.into()).await;
    wrong.refused(422, "invalid");
    assert_eq!(wrong.fields(), ["email"]);
}

#[tokio::test]
async fn a_trace_that_comes_along_is_kept() {
    let house = House::open().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = house.call_with(None, "GET", "/api/v1/leads", Value::Null, &[("traceparent", trace)]).await;
    answer.refused(401, "unauthenticated");
    assert_eq!(answer.body["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn only_listed_origins_may_call() {
    let house = House::open().await;
    let ask = async |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "PATCH")];
        house.call_with(None, "OPTIONS", "/api/v1/leads/1", Value::Null, &headers).await
    };
    let known = ask("https://app.example").await;
    assert_eq!(
        (known.status.as_u16(), &known.headers["access-control-allow-origin"]),
        (200, &"https://app.example".parse().unwrap())
    );
    assert!(!ask("https://evil.example").await.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn it_says_what_it_is_and_how_it_is() {
    let house = House::open().await;
    let get = async |path: &str| house.call(None, "GET", path, Value::Null).await;
    let about = get("/").await.expect(200);
    assert_eq!((&about["name"], &about["mode"]), (&json!("Apex"), &json!("sandbox")));
    let page = house.call_with(None, "GET", "/", Value::Null, &[("accept", "text/html,*/*")]).await;
    assert!(page.text.contains("nobody is called"), "{}", page.text);
    assert_eq!(get("/health").await.expect(200), json!({ "status": "ok" }));
    assert_eq!(get("/health/ready").await.expect(200)["status"], "ready");
    assert_eq!(get("/openapi.json").await.expect(200)["info"]["title"], "Apex");
    assert_eq!(get("/redoc").await.headers["location"], "/docs");
    assert!(get("/docs/").await.text.contains("swagger-ui"));
}

#[tokio::test]
async fn the_operators_port_shows_life_and_numbers() {
    let house = House::open().await;
    let api = admin_router(house.state.clone(), || "apex_up 1\n".to_owned());
    let admin = House { api, ..house };
    let get = async |path: &str| admin.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await;
    assert_eq!(get("/live").await.status, 200);
    assert_eq!(get("/ready").await.status, 200);
    let metrics = get("/metrics").await;
    assert_eq!(
        (metrics.text.as_str(), &metrics.headers["content-type"]),
        ("apex_up 1\n", &crate::admin::TEXT.parse().unwrap())
    );
}

/// Every operation: its method and path, and what is said of it.
fn operations(document: &OpenApi) -> Vec<(String, Value)> {
    let document = serde_json::to_value(document).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((format!("{method} {path}"), operation.clone()));
        }
    }
    all
}

#[test]
fn every_operation_is_named_once_tagged_secured_and_can_fail() {
    let all = operations(&openapi());
    let mut names: Vec<_> = all.iter().map(|(_, operation)| operation["operationId"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for (name, operation) in &all {
        assert!(operation["tags"][0].is_string() && operation["security"].is_array(), "{name}");
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{name}");
        let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
        let can_fail = statuses.iter().any(|status| status.starts_with('4') || status.starts_with('5'));
        assert!(can_fail || operation["tags"][0] == "Operation", "{name}: {statuses:?}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = serde_json::to_value(openapi()).unwrap();
    let text = document.to_string();
    let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 100, "{}", references.len());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[test]
fn the_document_is_the_reviewed_one() {
    insta::assert_json_snapshot!("openapi", openapi());
}
