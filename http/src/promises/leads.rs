//! Leads from outside.

use apex_storage::blob::BlobKey;
use serde_json::{Value, json};

use super::{House, Person};

fn path(lead: &Value) -> String {
    format!("/api/v1/leads/{}", lead["id"].as_str().unwrap())
}

async fn office() -> (House, Person) {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    (house, ada)
}

#[tokio::test]
async fn a_lead_is_kept_with_its_phone_as_the_region_means_it() {
    let (house, ada) = office().await;
    let lead = house.lead(&ada, "kereru").await;
    assert_eq!((&lead["phone"], &lead["phone_raw"]), (&json!("+64275559001"), &json!("027 555 9001")));
    assert_eq!(
        (&lead["status"], &lead["source"], &lead["project_id"]),
        (&json!("new"), &json!("manual"), &json!("kereru"))
    );
    for name in ["call_sid", "call_transcription", "call_analysis", "call_duration", "recording_url", "score"] {
        assert!(lead.get(name).is_some_and(Value::is_null), "{name}");
    }
    assert_eq!(house.get(&ada, &path(&lead)).await.expect(200), lead);
    let body = json!({ "project_id": "kereru", "name": "Mere", "phone": "12" });
    let refused = house.post(&ada, "/api/v1/leads", body).await;
    refused.refused(422, "invalid");
    assert_eq!(refused.fields(), ["phone"]);
}

#[tokio::test]
async fn the_same_key_enters_one_lead() {
    let (house, ada) = office().await;
    let body = json!({ "project_id": "kereru", "name": "Mere" });
    let enter = async |key: &str, path: &str, body: &Value| {
        house.call_with(Some(&ada), "POST", path, body.clone(), &[("idempotency-key", key)]).await
    };
    let first = enter("k1", "/api/v1/leads", &body).await.expect(201);
    assert_eq!(enter("\"k1\"", "/api/leads", &body).await.expect(201), first);
    let other = json!({ "project_id": "kereru", "name": "Aroha" });
    enter("k1", "/api/v1/leads", &other).await.refused(422, "idempotency_key_reused");
    assert_ne!(enter("k2", "/api/v1/leads", &body).await.expect(201)["id"], first["id"]);
}

#[tokio::test]
async fn a_change_leaves_the_rest_by_put_and_by_patch() {
    let (house, ada) = office().await;
    let lead = house.lead(&ada, "kereru").await;
    let change = async |method: &str, body: Value| house.call(Some(&ada), method, &path(&lead), body).await;
    let patched = change("PATCH", json!({ "score": 80, "status": "contacted" })).await.expect(200);
    assert_eq!(
        (&patched["score"], &patched["status"], &patched["name"]),
        (&json!(80), &json!("contacted"), &json!("Mere"))
    );
    let put = change("PUT", json!({ "email": "mere@example.com", "phone": "+64 27 555 9002" })).await.expect(200);
    assert_eq!((&put["phone"], &put["score"], &put["version"]), (&json!("+64275559002"), &json!(80), &json!(3)));
    change("PATCH", json!({ "status": "new" })).await.refused(409, "illegal_move");
    change("PATCH", json!({ "status": "sold" })).await.refused(422, "invalid");
    change("PATCH", json!({ "score": 101 })).await.refused(422, "invalid");
    change("PATCH", json!({ "call_sid": "CA1" })).await.refused(422, "invalid");
    assert_eq!(house.get(&ada, &path(&lead)).await.body["version"], 3);
}

#[tokio::test]
async fn a_lead_changed_in_the_meantime_is_shown_instead_of_overwritten() {
    let (house, ada) = office().await;
    let lead = house.lead(&ada, "kereru").await;
    let change = async |name: &str, version: &str| {
        let body = json!({ "name": name });
        house.call_with(Some(&ada), "PATCH", &path(&lead), body, &[("if-match", version)]).await
    };
    assert_eq!(change("Aroha", "\"1\"").await.headers["etag"], "\"2\"");
    let late = change("Hine", "\"1\"").await;
    late.refused(412, "version_mismatch");
    assert_eq!(late.body["current"]["name"], "Aroha");
    change("Hine", "x").await.refused(422, "invalid");
}

#[tokio::test]
async fn lists_are_narrowed_by_project_and_status() {
    let (house, ada) = office().await;
    house.project(&ada, "tui").await;
    let lead = house.lead(&ada, "kereru").await;
    house.lead(&ada, "tui").await;
    let contacted = json!({ "status": "contacted" });
    house.call(Some(&ada), "PATCH", &path(&lead), contacted).await.expect(200);
    let count = async |query: &str| {
        house.get(&ada, &format!("/api/v1/leads{query}")).await.expect(200)["data"].as_array().unwrap().len()
    };
    assert_eq!((count("").await, count("?project_id=kereru").await, count("?status=contacted").await), (2, 1, 1));
    assert_eq!(count("?project_id=tui&status=contacted").await, 0);
    assert_eq!(house.get(&ada, "/api/v1/leads?status=sold").await.fields(), ["status"]);
}

#[tokio::test]
async fn a_lead_is_deleted_and_another_tenants_is_not_there() {
    let (house, ada) = office().await;
    let bea = house.register("bea@kereru.example").await;
    let lead = house.lead(&ada, "kereru").await;
    for (method, body) in
        [("GET", Value::Null), ("PATCH", json!({ "score": 1 })), ("PUT", json!({})), ("DELETE", Value::Null)]
    {
        house.call(Some(&bea), method, &path(&lead), body).await.refused(404, "not_found");
    }
    assert_eq!(house.call(Some(&ada), "DELETE", &path(&lead), Value::Null).await.status, 204);
    house.get(&ada, &path(&lead)).await.refused(404, "not_found");
    house.get(&ada, "/api/v1/leads/not-an-id").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_recording_that_no_lead_of_the_caller_has_is_not_there() {
    let (house, ada) = office().await;
    let project = house.get(&ada, "/api/v1/projects/kereru").await.expect(200);
    let id = project["id"].as_str().unwrap().parse().unwrap();
    let key = BlobKey::recording(ada.org.parse().unwrap(), id, "RE1").unwrap();
    house.state.blobs().put(&key, "RIFF".into()).await.unwrap();
    for id in ["RE1", "..%2F..%2Fetc", "RE2"] {
        house.get(&ada, &format!("/api/v1/recordings/{id}")).await.refused(404, "not_found");
    }
}
