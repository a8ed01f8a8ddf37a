//! Projects from outside.

use serde_json::{Value, json};

use super::House;

#[tokio::test]
async fn a_project_shows_its_secrets_once() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let made = house.project(&ada, "kereru").await;
    assert_eq!((&made["project_id"], &made["version"]), (&json!("kereru"), &json!(1)));
    let token = made["webhook_token"].as_str().unwrap();
    assert!(made["webhooks"]["wordpress"].as_str().unwrap().ends_with(&format!("project_id=kereru&token={token}")));
    let shown = house.get(&ada, "/api/projects/kereru").await;
    assert_eq!(shown.headers["etag"], "\"1\"");
    assert!(shown.body.get("google_key").is_none() && !shown.text.contains(token));
    let route = house.state.store().route("google", "kereru").await.unwrap().unwrap();
    let key = crate::auth::token::hash(made["google_key"].as_str().unwrap());
    assert_eq!(route.secret_hash.as_deref(), Some(&key[..]));
}

#[tokio::test]
async fn a_name_is_taken_once_in_the_installation() {
    let house = House::open().await;
    let (ada, bea) = (house.register("ada@kereru.example").await, house.register("bea@kereru.example").await);
    house.project(&ada, "kereru").await;
    let body = json!({ "project_id": "kereru", "business_name": "Kererū" });
    for who in [&ada, &bea] {
        let taken = house.post(who, "/api/v1/projects", body.clone()).await;
        taken.refused(409, "taken");
        assert_eq!(taken.fields(), ["project_id"]);
    }
    assert_eq!(house.get(&ada, "/api/v1/projects").await.body["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_body_that_is_wrong_names_its_field() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    for (body, field) in [
        (json!({ "business_name": "A" }), "project_id"),
        (json!({ "project_id": "a b", "business_name": "A" }), "project_id"),
        (json!({ "project_id": "a", "business_name": "A", "colour": "blue" }), "colour"),
        (
            json!({ "project_id": "a", "business_name": "A", "dna": { "identity": { "region": "UK" } } }),
            "dna.identity.region",
        ),
    ] {
        let refused = house.post(&ada, "/api/v1/projects", body).await;
        refused.refused(422, "invalid");
        assert_eq!(refused.fields(), [field]);
    }
    assert_eq!(house.get(&ada, "/api/v1/projects").await.body["data"], json!([]));
}

#[tokio::test]
async fn another_tenants_project_is_not_there() {
    let house = House::open().await;
    let (ada, bea) = (house.register("ada@kereru.example").await, house.register("bea@kereru.example").await);
    house.project(&ada, "kereru").await;
    for (method, path, body) in [
        ("GET", "/api/v1/projects/kereru", Value::Null),
        ("PATCH", "/api/v1/projects/kereru", json!({ "business_name": "Mine" })),
        ("DELETE", "/api/v1/projects/kereru", Value::Null),
        ("GET", "/api/v1/projects/kereru/dna", Value::Null),
        ("PUT", "/api/v1/projects/kereru/dna", json!({})),
        ("GET", "/api/v1/projects/kereru/actors", Value::Null),
        ("GET", "/api/v1/usage?project_id=kereru", Value::Null),
        ("GET", "/api/v1/leads?project_id=kereru", Value::Null),
        ("GET", "/api/v1/tickets?project_id=kereru", Value::Null),
        ("POST", "/api/v1/leads", json!({ "project_id": "kereru", "name": "Mere" })),
        ("POST", "/api/v1/run", json!({ "task": "health_check", "project_id": "kereru" })),
    ] {
        house.call(Some(&bea), method, path, body).await.refused(404, "not_found");
    }
    house.get(&ada, "/api/v1/projects/kereru").await.expect(200);
}

#[tokio::test]
async fn a_replaced_secret_is_shown_once_and_the_old_one_is_gone() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let made = house.project(&ada, "kereru").await;
    let body = json!({ "business_name": " Kererū & Co. ", "rotate": ["google_key"] });
    let patched = house.call(Some(&ada), "PATCH", "/api/v1/projects/kereru", body).await.expect(200);
    assert_eq!((&patched["business_name"], &patched["version"]), (&json!("Kererū & Co."), &json!(2)));
    assert!(patched["google_key"] != made["google_key"] && patched.get("webhook_token").is_none());
    let route = house.state.store().route("google", "kereru").await.unwrap().unwrap();
    let key = crate::auth::token::hash(patched["google_key"].as_str().unwrap());
    assert_eq!(route.secret_hash.as_deref(), Some(&key[..]));
}

#[tokio::test]
async fn a_change_made_for_an_older_version_is_refused_with_the_current_one() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    let change = async |name: &str, version: &str| {
        let headers = [("if-match", version)];
        let body = json!({ "business_name": name });
        house.call_with(Some(&ada), "PATCH", "/api/v1/projects/kereru", body, &headers).await
    };
    change("Second", "\"1\"").await.expect(200);
    let late = change("Third", "\"1\"").await;
    late.refused(412, "version_mismatch");
    assert_eq!(
        (&late.body["current"]["business_name"], &late.body["current"]["version"]),
        (&json!("Second"), &json!(2))
    );
}

#[tokio::test]
async fn a_deleted_project_is_gone_with_all_that_is_its_and_its_name_is_free() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let project = house.project(&ada, "kereru").await;
    let lead = house.lead(&ada, "kereru").await;
    let ticket = house.quiet_ticket(&ada, &project).await;
    assert_eq!(house.call(Some(&ada), "DELETE", "/api/v1/projects/kereru", Value::Null).await.status, 204);
    let lead = format!("/api/v1/leads/{}", lead["id"].as_str().unwrap());
    for path in
        ["/api/v1/projects/kereru", &lead, &format!("/api/v1/context/{ticket}"), &format!("/api/v1/tickets/{ticket}")]
    {
        house.get(&ada, path).await.refused(404, "not_found");
    }
    assert_eq!(house.get(&ada, "/api/v1/leads").await.body["data"], json!([]));
    house.call(Some(&ada), "DELETE", "/api/v1/projects/kereru", Value::Null).await.refused(404, "not_found");
    assert_ne!(house.project(&ada, "kereru").await["id"], project["id"]);
}

#[tokio::test]
async fn pages_show_every_project_once() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    for n in 0..5 {
        house.project(&ada, &format!("p{n}")).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.get(&ada, &format!("/api/v1/projects?limit=2{cursor}")).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|row| row["project_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ["p4", "p3", "p2", "p1", "p0"]);
    let refused = house.get(&ada, "/api/v1/projects?limit=0").await;
    refused.refused(422, "invalid");
    assert_eq!(refused.fields(), ["limit"]);
    assert_eq!(house.get(&ada, "/api/v1/projects?limit=many").await.fields(), ["limit"]);
    assert_eq!(house.get(&ada, "/api/v1/projects?cursor=x").await.fields(), ["cursor"]);
}

#[tokio::test]
async fn the_tree_of_a_project_shows_each_actor() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    let asleep = house.get(&ada, "/api/v1/projects/kereru/actors").await.expect(200);
    assert_eq!((&asleep["project_id"], &asleep["node"]), (&json!("kereru"), &Value::Null));
    let usage = house.get(&ada, "/api/v1/usage?project_id=kereru").await.expect(200);
    assert_eq!(usage["month_to_date_micros"], 0, "{usage}");
    let awake = house.get(&ada, "/api/v1/projects/kereru/actors").await.expect(200);
    let accountant = awake["children"].as_array().unwrap().iter().find(|child| child["actor"] == "accountant").unwrap();
    assert_eq!((&accountant["state"], &awake["node"]), (&json!("running"), &json!("house:1")));
}
