//! What is not as it must be is refused in one form, and nothing that is sent brings the program down.

use std::fmt::Write;

use apex_tests::{Apex, Client};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// A program, an owner and a project `kereru`.
async fn open() -> (Apex, Client) {
    let apex = Apex::builder().start().await;
    let owner = apex.owner("owner@kereru.example").await;
    owner.create_project("kereru", "+64275550100").await;
    (apex, owner)
}

/// The answer is a problem of this status and code; returns it.
fn is_problem((status, body): &(StatusCode, Value), expected: u16, code: &str) -> Value {
    assert_eq!((status.as_u16(), &body["code"]), (expected, &json!(code)), "{body}");
    assert_eq!(body["status"], expected, "{body}");
    for name in ["type", "title", "trace_id"] {
        assert!(body[name].is_string(), "{name} in {body}");
    }
    body.clone()
}

/// The problem names this field.
fn names(problem: &Value, field: &str) {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors in {problem}"));
    assert!(errors.iter().any(|error| error["field"] == field), "{field} in {problem}");
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let (_apex, owner) = open().await;
    let request = owner.request(Method::GET, "/api/v1/projects/nobodys");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let trace = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["trace_id"], trace);
    assert_eq!(body["code"], "not_found");
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let (_apex, owner) = open().await;
    is_problem(&owner.get("/api/v1/nowhere").await, 404, "not_found");
    is_problem(&owner.get("/nowhere").await, 404, "not_found");
    is_problem(&owner.delete("/api/v1/run").await, 405, "method_not_allowed");
    is_problem(&owner.get("/api/v1/webhooks/google-ads?project_id=kereru").await, 405, "method_not_allowed");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_a_problem() {
    let (_apex, owner) = open().await;
    let trailing = "{\"task\": \"health_check\", \"project_id\": \"kereru\"} x";
    for body in ["", "{", trailing, "task=health_check"] {
        let answer = owner.post_body("/api/v1/run", "application/json", body).await;
        is_problem(&answer, 400, "malformed_json");
    }
    let answer = owner.post_body("/api/v1/run", "text/plain", "{}").await;
    is_problem(&answer, 415, "unsupported_media");
}

#[tokio::test]
async fn a_wrong_field_is_named() {
    let (_apex, owner) = open().await;
    let run = async |body: Value| owner.post_json("/api/v1/run", &body).await;
    let problem =
        is_problem(&run(json!({"task": "health_check", "project_id": "kereru", "parms": {}})).await, 422, "invalid");
    names(&problem, "parms");
    let problem = is_problem(&run(json!({"project_id": "kereru"})).await, 422, "invalid");
    names(&problem, "task");
    let problem = is_problem(&run(json!({"task": 7, "project_id": "kereru"})).await, 422, "invalid");
    names(&problem, "task");

    for id in ["", "kererū", "ke reru", "../etc", "a/b", &"x".repeat(65)] {
        let body = json!({"project_id": id, "business_name": "Kererū"});
        let problem = is_problem(&owner.post_json("/api/v1/projects", &body).await, 422, "invalid");
        names(&problem, "project_id");
    }
    let body = json!({"project_id": "tui", "business_name": "Tūī", "dna": {"identity": {"region": "Atlantis"}}});
    let problem = is_problem(&owner.post_json("/api/v1/projects", &body).await, 422, "invalid");
    names(&problem, "dna.identity.region");
}

#[tokio::test]
async fn a_cursor_or_limit_that_is_not_ours_is_named() {
    let (_apex, owner) = open().await;
    for list in ["/projects?", "/leads?project_id=kereru&", "/tickets?project_id=kereru&"] {
        let problem = is_problem(&owner.get(&Client::v1(&format!("{list}cursor=yesterday"))).await, 422, "invalid");
        names(&problem, "cursor");
        for limit in ["0", "201", "many"] {
            let problem = is_problem(&owner.get(&Client::v1(&format!("{list}limit={limit}"))).await, 422, "invalid");
            names(&problem, "limit");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_none_names_nothing() {
    let (_apex, owner) = open().await;
    for path in ["/context/x", "/context/x/events", "/tickets/x", "/tickets/x/timeline", "/leads/x", "/recordings/x"] {
        is_problem(&owner.get(&Client::v1(path)).await, 404, "not_found");
    }
}

#[tokio::test]
async fn a_huge_or_deep_body_is_refused_and_the_program_lives() {
    let (mut apex, owner) = open().await;
    let session = owner.login("owner@kereru.example").await;
    let send = async |method: Method, path: &str, kind: &str, body: &str| {
        // The server may answer and close before all of it is sent: such a connection is not used again.
        let client = apex.client().signed_in(&session);
        let request = client.request(method, path).header("Content-Type", kind);
        client.try_send(request.body(body.to_owned())).await.ok()
    };
    let huge = format!("{{\"task\": \"{}\"}}", "x".repeat(2 << 20));
    let paths =
        ["/api/v1/run", "/api/v1/projects", "/api/v1/webhooks/google-ads?project_id=kereru", "/api/v1/auth/login"];
    for path in paths {
        if let Some(answer) = send(Method::POST, path, "application/json", &huge).await {
            is_problem(&answer, 413, "too_large");
        }
    }
    for deep in ["[".repeat(500_000), format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))] {
        for path in paths {
            if let Some((status, body)) = send(Method::POST, path, "application/json", &deep).await {
                assert!(status.is_client_error(), "{path}: {status} {body}");
            }
        }
        if let Some((status, body)) = send(Method::PUT, "/api/v1/projects/kereru/dna", "application/yaml", &deep).await
        {
            assert!(status.is_client_error(), "{status} {body}");
        }
    }
    assert!(apex.is_running());
    assert!(owner.get("/health").await.0.is_success());
    assert!(apex.terminate().await.success());
}

#[tokio::test]
async fn a_yaml_bomb_is_refused_and_the_program_lives() {
    let (mut apex, owner) = open().await;
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, before) in ('b'..='j').zip('a'..='i') {
        let nine = [format!("*{before}").as_str(); 9].join(", ");
        writeln!(bomb, "{name}: &{name} [{nine}]").unwrap();
    }
    let (status, body) = owner.put_body("/api/v1/projects/kereru/dna", "application/yaml", &bomb).await;
    assert!(status.is_client_error(), "{status} {body}");
    assert!(apex.terminate().await.success());
}

/// A NUL in a name is a mistake of the caller, and not of the database that cannot be asked about it.
#[tokio::test]
async fn a_nul_in_a_path_or_a_query_is_refused_before_the_database_is_asked() {
    let apex = Apex::builder().postgres().start().await;
    let owner = apex.owner("owner@kereru.example").await;
    for path in ["/api/v1/projects/%00", "/api/v1/projects/a%00b/dna", "/api/v1/recordings/%00"] {
        is_problem(&owner.get(path).await, 404, "not_found");
    }
    for query in ["/leads?project_id=%00", "/dead-letters?task=a%00", "/audit?actor=%00", "/effects?project_id=%00"] {
        is_problem(&owner.get(&Client::v1(query)).await, 400, "nul_in_text");
    }
    assert!(!apex.stderr().contains("the database did not do its part"), "{}", apex.stderr());
    assert_eq!(owner.get("/api/v1/leads?project_id=%2500").await.0, 404, "no NUL, but the text of one");
}
