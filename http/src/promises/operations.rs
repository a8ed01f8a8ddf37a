//! What people decide about work that waits, has died, or runs by itself.

use apex_storage::model::{DeadLetterId, EffectId, ScheduleId, TicketId};
use serde_json::{Value, json};

use super::{House, Person};

async fn office() -> (House, Person, Value) {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let project = house.project(&ada, "kereru").await;
    (house, ada, project)
}

fn every_morning() -> Value {
    json!({
        "project_id": "kereru", "name": "Every morning", "cron": "0 8 * * 1-5", "task": "sales_agent",
        "params": { "action": "notify_sms", "text": "Kia ora" },
    })
}

fn path(schedule: &Value) -> String {
    format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap())
}

async fn change(house: &House, who: &Person, schedule: &Value, body: Value) -> super::Answer {
    house.call(Some(who), "PATCH", &path(schedule), body).await
}

#[tokio::test]
async fn effects_are_decided_about_only_by_naming_which() {
    let (house, ada, _) = office().await;
    for verdict in ["release", "cancel"] {
        let decide = async |body: Value| house.post(&ada, &format!("/api/v1/effects/{verdict}"), body).await;
        for (body, field) in [
            (json!({}), "body"),
            (json!({ "ids": [] }), "ids"),
            (json!({ "state": "live" }), "state"),
            (json!({ "kind": "fax" }), "kind"),
            (json!({ "to": "027" }), "to"),
            (json!({ "everything": true }), "everything"),
        ] {
            let refused = decide(body.clone()).await;
            refused.refused(422, "invalid");
            assert_eq!(refused.fields(), [field], "{body}");
        }
        decide(json!({ "project_id": "tui" })).await.refused(404, "not_found");
        let nothing = json!({ "count": 0, "data": [] });
        assert_eq!(decide(json!({ "project_id": "kereru" })).await.expect(200), nothing);
        assert_eq!(decide(json!({ "ids": [EffectId::new()] })).await.expect(200), nothing);
    }
    assert_eq!(house.get(&ada, "/api/v1/effects").await.expect(200)["data"], json!([]));
    for (query, field) in [("state=asleep", "state"), ("kind=fax", "kind"), ("to=x", "to"), ("limit=0", "limit")] {
        assert_eq!(house.get(&ada, &format!("/api/v1/effects?{query}")).await.fields(), [field], "{query}");
    }
    house.get(&ada, "/api/v1/effects?to=+64275559002&created_before=2026-01-01T00:00:00Z").await.expect(200);
    house.get(&ada, &format!("/api/v1/effects/{}", EffectId::new())).await.refused(404, "not_found");
}

#[tokio::test]
async fn only_what_is_over_is_begun_again() {
    let (house, ada, project) = office().await;
    let bea = house.register("bea@kereru.example").await;
    let id = house.quiet_ticket(&ada, &project).await;
    let retry = format!("/api/v1/tickets/{id}/retry");
    house.post(&ada, &retry, Value::Null).await.refused(409, "not_retryable");
    house.post(&bea, &retry, Value::Null).await.refused(404, "not_found");
    let replay = format!("/api/v1/tickets/{id}/replay");
    house.post(&bea, &replay, Value::Null).await.refused(404, "not_found");
    let dry = house.post(&ada, &replay, Value::Null).await.expect(200);
    assert_eq!(dry["ticket_id"], json!(id), "{dry}");
    let shown = house.get(&ada, &format!("/api/v1/tickets/{id}")).await.expect(200);
    assert_eq!((&shown["attempt"], &shown["deadline_at"], &shown["seq"]), (&json!(1), &Value::Null, &json!(1)));
    house
        .post(&ada, &format!("/api/v1/tickets/{}/retry", TicketId::new()), Value::Null)
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn nobody_has_dead_letters_by_default() {
    let (house, ada, _) = office().await;
    let empty = json!({ "data": [], "next_cursor": null });
    assert_eq!(house.get(&ada, "/api/v1/dead-letters?archived=true&replayed=false").await.expect(200), empty);
    let unknown = format!("/api/v1/dead-letters/{}", DeadLetterId::new());
    house.get(&ada, &unknown).await.refused(404, "not_found");
    house.post(&ada, &format!("{unknown}/replay"), Value::Null).await.refused(404, "not_found");
    let many = async |body: Value| house.post(&ada, "/api/v1/dead-letters/replay", body).await;
    assert_eq!(many(json!({})).await.expect(200), json!({ "count": 0, "data": [] }));
    many(json!({ "project_id": "tui" })).await.refused(404, "not_found");
    assert_eq!(many(json!({ "limit": 1001 })).await.fields(), ["limit"]);
}

#[tokio::test]
async fn a_task_that_is_to_begin_in_the_past_is_refused() {
    let (house, ada, _) = office().await;
    let lead = house.lead(&ada, "kereru").await;
    let run = async |task: &str, params: Value, deadline: &str| {
        let body = json!({ "task": task, "project_id": "kereru", "params": params, "deadline": deadline });
        house.post(&ada, "/api/v1/run", body).await
    };
    let call = json!({ "lead_id": lead["id"] });
    let late = run("sales_agent", call.clone(), "2020-01-01T00:00:00Z").await;
    late.refused(422, "invalid");
    assert_eq!(late.fields(), ["deadline"]);
    assert_eq!(run("health_check", json!({}), "2999-01-01T00:00:00Z").await.fields(), ["deadline"]);
    let begun = run("sales_agent", call, "2999-01-01T00:00:00Z").await.expect(200);
    let path = format!("/api/v1/tickets/{}", begun["data"]["context_id"].as_str().unwrap());
    assert_eq!(house.get(&ada, &path).await.expect(200)["deadline_at"], "2999-01-01T00:00:00Z");
}

#[tokio::test]
async fn a_schedule_tells_when_it_runs_in_which_zone() {
    let (house, ada, _) = office().await;
    let enter = async |key: &str| {
        house.call_with(Some(&ada), "POST", "/api/v1/schedules", every_morning(), &[("idempotency-key", key)]).await
    };
    let made = enter("k1").await.expect(201);
    assert_eq!(enter("k1").await.expect(201), made);
    enter("k2").await.refused(409, "taken");
    assert_eq!((&made["timezone"], &made["timezone_from"]), (&json!("Pacific/Auckland"), &json!("project")));
    assert_eq!((&made["missed"], &made["enabled"]), (&json!("once"), &json!(true)));
    assert!(
        made["next_at"].as_str().unwrap().contains("T20:00:00")
            || made["next_at"].as_str().unwrap().contains("T19:00:00")
    );
    assert_eq!((&made["last_at"], &made["last_context_id"]), (&Value::Null, &Value::Null));
    assert_eq!(house.get(&ada, &path(&made)).await.expect(200), made);
    let list = house.get(&ada, "/api/v1/schedules?project_id=kereru").await.expect(200);
    assert_eq!(list, json!({ "data": [made], "next_cursor": null }));
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_with_its_field() {
    let (house, ada, _) = office().await;
    let foreign = {
        house.project(&ada, "tui").await;
        house.lead(&ada, "tui").await
    };
    for (name, value, field) in [
        ("name", json!(" "), "name"),
        ("cron", json!("61 * * * *"), "cron"),
        ("cron", json!("whenever"), "cron"),
        ("cron", json!("0 0 30 2 *"), "cron"),
        ("timezone", json!("Auckland"), "timezone"),
        ("task", json!("brew_coffee"), "task"),
        ("missed", json!("never"), "missed"),
        ("params", json!({ "action": "notify_sms" }), "params.lead_id"),
        ("params", json!({ "lead_id": foreign["id"] }), "params.lead_id"),
    ] {
        let mut body = every_morning();
        body[name] = value;
        let refused = house.post(&ada, "/api/v1/schedules", body.clone()).await;
        assert_eq!(refused.status, 422, "{body} {}", refused.text);
        assert_eq!(refused.fields(), [field], "{body} {}", refused.text);
    }
    let mut instant = every_morning();
    instant["task"] = json!("health_check");
    house.post(&ada, "/api/v1/schedules", instant).await.refused(422, "not_schedulable");
    let mut elsewhere = every_morning();
    elsewhere["project_id"] = json!("nobody");
    house.post(&ada, "/api/v1/schedules", elsewhere).await.refused(404, "not_found");
    assert_eq!(house.get(&ada, "/api/v1/schedules").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_schedule_is_changed_switched_off_and_deleted() {
    let (house, ada, _) = office().await;
    let bea = house.register("bea@kereru.example").await;
    let made = house.post(&ada, "/api/v1/schedules", every_morning()).await.expect(201);
    let off = change(&house, &ada, &made, json!({ "enabled": false })).await.expect(200);
    assert_eq!((&off["enabled"], &off["next_at"], &off["version"]), (&json!(false), &Value::Null, &json!(2)));
    let own = change(&house, &ada, &made, json!({ "timezone": "Europe/London", "enabled": true })).await.expect(200);
    assert_eq!((&own["timezone"], &own["timezone_from"]), (&json!("Europe/London"), &json!("schedule")));
    assert!(own["next_at"].is_string(), "{own}");
    let back = change(&house, &ada, &made, json!({ "timezone": null, "missed": "all" })).await.expect(200);
    assert_eq!((&back["timezone_from"], &back["missed"]), (&json!("project"), &json!("all")));
    assert_eq!(change(&house, &ada, &made, json!({ "cron": "x" })).await.fields(), ["cron"]);
    let late =
        house.call_with(Some(&ada), "PATCH", &path(&made), json!({ "name": "B" }), &[("if-match", "\"1\"")]).await;
    late.refused(412, "version_mismatch");
    assert_eq!(late.body["current"]["version"], 4);
    for (method, body) in [("GET", Value::Null), ("PATCH", json!({})), ("DELETE", Value::Null)] {
        house.call(Some(&bea), method, &path(&made), body).await.refused(404, "not_found");
    }
    let late = house.call_with(Some(&ada), "DELETE", &path(&made), Value::Null, &[("if-match", "1")]).await;
    late.refused(412, "version_mismatch");
    assert_eq!(house.call(Some(&ada), "DELETE", &path(&made), Value::Null).await.status, 204);
    house.get(&ada, &format!("/api/v1/schedules/{}", ScheduleId::new())).await.refused(404, "not_found");
    house.get(&ada, &path(&made)).await.refused(404, "not_found");
}

#[tokio::test]
async fn another_zone_of_the_project_moves_only_what_follows_it() {
    let (house, ada, _) = office().await;
    let make = async |name: &str, zone: Value, enabled: bool| {
        let mut body = every_morning();
        (body["name"], body["timezone"], body["enabled"]) = (json!(name), zone, json!(enabled));
        house.post(&ada, "/api/v1/schedules", body).await.expect(201)
    };
    let follows = make("follows", Value::Null, true).await;
    let own = make("own", json!("Europe/London"), true).await;
    let off = make("off", Value::Null, false).await;
    let dna = json!({ "identity": { "timezone": "America/New_York" } });
    house.call(Some(&ada), "PUT", "/api/v1/projects/kereru/dna", dna).await.expect(200);
    let now = async |schedule: &Value| house.get(&ada, &path(schedule)).await.expect(200);
    let moved = now(&follows).await;
    assert_ne!(moved["next_at"], follows["next_at"]);
    assert_eq!(moved["timezone"], "America/New_York");
    assert_eq!(now(&own).await, own);
    assert_eq!((&now(&off).await["next_at"], &now(&off).await["timezone"]), (&Value::Null, &json!("America/New_York")));
}
