//! Tasks, contexts and streams from outside.

use std::time::Duration;

use apex_storage::model::TicketId;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{House, Person};

async fn office() -> (House, Person, Value) {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let project = house.project(&ada, "kereru").await;
    (house, ada, project)
}

fn task(name: &str, params: impl Into<Value>) -> Value {
    json!({ "task": name, "project_id": "kereru", "params": params.into() })
}

/// Waits until the ticket is over, and returns its context.
async fn end(house: &House, who: &Person, id: &str) -> Value {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..2_000 {
        looks.tick().await;
        let body = house.get(who, &format!("/api/v1/context/{id}")).await.expect(200);
        if body["data"]["status"] != "processing" {
            return body;
        }
    }
    panic!("the ticket does not end");
}

#[tokio::test]
async fn a_quick_task_is_answered_with_its_result() {
    let (house, ada, _) = office().await;
    let stats = task("lead_gen_manager", json!({ "action": "dashboard_stats" }));
    let answer = house.post(&ada, "/api/run", stats).await.expect(200);
    assert_eq!(answer["status"], "success");
    assert!(answer["data"].is_object() && answer["timestamp"].as_str().unwrap().ends_with('Z'), "{answer}");
}

#[tokio::test]
async fn a_use_with_the_same_key_is_charged_once() {
    let (house, ada, _) = office().await;
    let used = task("log_usage", json!({ "resource": "twilio_sms", "quantity": 2 }));
    for _ in 0..2 {
        house
            .call_with(Some(&ada), "POST", "/api/v1/run", used.clone(), &[("idempotency-key", "u1")])
            .await
            .expect(200);
    }
    let once = house.get(&ada, "/api/v1/usage?project_id=kereru").await.expect(200)["month_to_date_micros"].clone();
    house.post(&ada, "/api/v1/run", used).await.expect(200);
    let twice = house.get(&ada, "/api/v1/usage?project_id=kereru").await.expect(200)["month_to_date_micros"].clone();
    assert_eq!(twice.as_i64().unwrap(), 2 * once.as_i64().unwrap());
    let fax = task("log_usage", json!({ "resource": "fax", "quantity": 1 }));
    house.post(&ada, "/api/v1/run", fax).await.refused(422, "unknown_resource");
}

#[tokio::test]
async fn a_heavy_task_answers_with_its_context_and_the_same_key_with_the_same() {
    let (house, ada, _) = office().await;
    let lead = house.lead(&ada, "kereru").await;
    let call = task("sales_agent", json!({ "lead_id": lead["id"] }));
    let run = async |key: &str, path: &str, body: &Value| {
        house.call_with(Some(&ada), "POST", path, body.clone(), &[("idempotency-key", key)]).await
    };
    let first = run("k1", "/api/v1/run", &call).await.expect(200);
    assert_eq!((&first["status"], &first["data"]["task"]), (&json!("processing"), &json!("sales_agent")));
    assert_eq!(first["message"], "Task 'sales_agent' is processing in background");
    assert_eq!(run("k1", "/api/run", &call).await.expect(200), first);
    let other = task("sales_agent", json!({ "lead_id": lead["id"], "note": "x" }));
    run("k1", "/api/v1/run", &other).await.refused(422, "idempotency_key_reused");
    assert_eq!(
        house.get(&ada, "/api/v1/tickets?project_id=kereru").await.body["data"].as_array().map(Vec::len),
        Some(1)
    );
    let id = first["data"]["context_id"].as_str().unwrap();
    let context = house.get(&ada, &format!("/api/context/{id}")).await.expect(200);
    assert_eq!((&context["context_id"], &context["project_id"]), (&json!(id), &json!("kereru")));
    assert_eq!(context["data"]["lead_id"], lead["id"]);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_and_leaves_no_ticket() {
    let (house, ada, _) = office().await;
    house.project(&ada, "tui").await;
    let foreign = house.lead(&ada, "tui").await;
    for (body, status, code) in [
        (task("brew_coffee", json!({})), 422, "unknown_task"),
        (task("lead_gen_manager", json!({ "action": "dance" })), 422, "unknown_action"),
        (task("sales_agent", json!({})), 422, "missing_param"),
        (task("sales_agent", json!({ "lead_id": foreign["id"] })), 422, "invalid"),
        (task("sales_agent", json!({ "lead_id": TicketId::new() })), 422, "invalid"),
        (task("onboarding", json!({})), 501, "task_unavailable"),
        (task("sniper_agent", json!({})), 501, "task_unavailable"),
    ] {
        house.post(&ada, "/api/v1/run", body).await.refused(status, code);
    }
    assert_eq!(house.get(&ada, "/api/v1/tickets").await.body["data"], json!([]));
}

#[tokio::test]
async fn a_cancelled_task_ends_and_cannot_be_cancelled_again() {
    let (house, ada, project) = office().await;
    let id = house.quiet_ticket(&ada, &project).await.to_string();
    let cancel = format!("/api/v1/context/{id}/cancel");
    let asked = house.post(&ada, &cancel, Value::Null).await.expect(202);
    assert_eq!(asked["data"]["cancel_requested"], true);
    let ended = end(&house, &ada, &id).await;
    assert_eq!((&ended["data"]["status"], &ended["data"]["code"]), (&json!("failed"), &json!("cancelled")));
    house.post(&ada, &cancel, Value::Null).await.refused(409, "already_ended");
    house
        .post(&ada, &format!("/api/v1/context/{}/cancel", TicketId::new()), Value::Null)
        .await
        .refused(404, "not_found");
    let timeline = house.get(&ada, &format!("/api/v1/tickets/{id}/timeline")).await.expect(200);
    let kinds: Vec<_> =
        timeline["events"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"accepted"), Some(&"cancelled")));
    assert_eq!(timeline["ticket"]["state"], "cancelled");
}

#[tokio::test]
async fn another_tenants_context_is_not_there_even_as_a_copy() {
    let (house, ada, project) = office().await;
    let bea = house.register("bea@kereru.example").await;
    let id = house.quiet_ticket(&ada, &project).await;
    let copy = json!({ "org_id": ada.org, "data": { "status": "completed", "seq": 9 } }).to_string();
    house.state.mirror().put(id.0, 9, &copy).await;
    assert_eq!(house.get(&ada, &format!("/api/v1/context/{id}")).await.text, copy);
    for (method, path) in [
        ("GET", format!("/api/v1/context/{id}")),
        ("GET", format!("/api/v1/context/{id}/events")),
        ("POST", format!("/api/v1/context/{id}/cancel")),
        ("GET", format!("/api/v1/tickets/{id}")),
        ("GET", format!("/api/v1/tickets/{id}/timeline")),
    ] {
        house.call(Some(&bea), method, &path, Value::Null).await.refused(404, "not_found");
    }
}

/// The whole stream, as it is sent.
async fn stream(house: &House, who: &Person, id: &str, last: Option<&str>) -> (u16, String) {
    let mut request = Request::builder().uri(format!("/api/v1/context/{id}/events"));
    request = request.header("authorization", format!("Bearer {}", who.token));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = house.send(request.body(Body::empty()).unwrap()).await;
    (answer.status.as_u16(), answer.text)
}

fn ids(text: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_tells_everything_once_wherever_it_is_cut() {
    let (house, ada, project) = office().await;
    let id = house.quiet_ticket(&ada, &project).await.to_string();
    let watching = stream(&house, &ada, &id, None);
    let ending = async {
        house.post(&ada, &format!("/api/v1/context/{id}/cancel"), Value::Null).await.expect(202);
        end(&house, &ada, &id).await
    };
    let ((status, live), ended) = tokio::join!(watching, ending);
    assert_eq!(status, 200);
    let all = ids(&live);
    assert_eq!(all, (1..=u32::try_from(ended["data"]["seq"].as_u64().unwrap()).unwrap()).collect::<Vec<_>>());
    assert!(live.starts_with("id: 1\nevent: progress\ndata: {"), "{live}");
    assert!(live.contains("event: failed"), "{live}");
    let (_, resumed) = stream(&house, &ada, &id, Some("1")).await;
    assert_eq!(ids(&resumed), all[1..]);
    for unknown in ["abc", "999"] {
        assert_eq!(ids(&stream(&house, &ada, &id, Some(unknown)).await.1), all);
    }
    assert_eq!(stream(&house, &ada, &id, Some(&all.len().to_string())).await, (204, String::new()));
}

#[tokio::test]
async fn a_stream_is_opened_by_a_ticket_that_opens_nothing_else() {
    let (house, ada, project) = office().await;
    let id = house.quiet_ticket(&ada, &project).await;
    let answer = house.post(&ada, "/api/v1/auth/stream-ticket", Value::Null).await.expect(200);
    assert_eq!(answer["expires_in"], 60);
    let ticket = answer["ticket"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/context/{id}/events?ticket={ticket}");
    let opened = house.api.clone().oneshot(Request::builder().uri(&path).body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(
        (opened.status().as_u16(), &opened.headers()["content-type"]),
        (200, &"text/event-stream".parse().unwrap())
    );
    assert_eq!(opened.headers()["x-accel-buffering"], "no");
    assert_eq!(opened.headers()["cache-control"], "no-cache");
    house.get(&Person { token: ticket, ..ada.clone() }, "/api/v1/leads").await.refused(401, "unauthenticated");
    let path = format!("/api/v1/context/{id}/events?ticket={}", ada.token);
    house.call(None, "GET", &path, Value::Null).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_stopping_node_ends_its_streams() {
    let (house, ada, project) = office().await;
    let id = house.quiet_ticket(&ada, &project).await.to_string();
    let watching = stream(&house, &ada, &id, None);
    let closing = async {
        tokio::task::yield_now().await;
        house.close.send(true).unwrap();
    };
    let ((status, text), ()) = tokio::join!(watching, closing);
    assert_eq!((status, ids(&text)), (200, vec![1]));
    let ready = house.call(None, "GET", "/health/ready", Value::Null).await;
    assert_eq!((ready.status.as_u16(), &ready.body["status"]), (503, &json!("stopping")));
}
