//! Project DNA from outside.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Answer, House, Person};

const PATH: &str = "/api/v1/projects/kereru/dna";

async fn put(house: &House, who: &Person, media: &str, body: &str) -> Answer {
    let request = Request::builder().method("PUT").uri(PATH);
    let request = request.header("authorization", format!("Bearer {}", who.token)).header("content-type", media);
    house.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_layer_goes_in_as_yaml_and_comes_out_in_either_format() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    let yaml = "identity:\n  region: NO\n  niche: Plumbing\n";
    let kept = put(&house, &ada, "application/yaml", yaml).await;
    assert_eq!((kept.status.as_u16(), &kept.headers["etag"]), (200, &"\"2\"".parse().unwrap()));
    let custom = house.get(&ada, &format!("{PATH}?layer=custom")).await.expect(200);
    assert_eq!(
        custom,
        json!({ "identity": { "region": "NO", "niche": "Plumbing" } }),
        "the old custom layer is replaced"
    );
    let merged = house.get(&ada, PATH).await.expect(200);
    assert_eq!((&merged["identity"]["region"], merged["modules"].is_object()), (&json!("NO"), true));
    let headers = [("accept", "application/yaml")];
    let path = format!("{PATH}?layer=custom");
    let shown = house.call_with(Some(&ada), "GET", &path, Value::Null, &headers).await;
    assert_eq!(shown.headers["content-type"], "application/yaml");
    put(&house, &ada, "text/yaml; charset=utf-8", &shown.text).await.expect(200);
    assert_eq!(house.get(&ada, &path).await.expect(200), custom);
    assert_eq!(house.get(&ada, &format!("{PATH}?layer=generated")).await.expect(200), json!({}));
    assert!(house.get(&ada, &format!("{PATH}?layer=defaults")).await.expect(200)["identity"].is_object());
}

#[tokio::test]
async fn a_wrong_layer_names_every_key_and_changes_nothing() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    let before = house.get(&ada, PATH).await;
    let wrong = put(&house, &ada, "application/json", r#"{"identity": {"region": "UK", "timezone": "Nowhere"}}"#).await;
    wrong.refused(422, "invalid");
    assert_eq!(wrong.fields(), ["identity.region", "identity.timezone"]);
    assert!(wrong.body["errors"][0]["fix"].is_string());
    put(&house, &ada, "application/yaml", "a: [").await.refused(422, "invalid");
    put(&house, &ada, "text/plain", "a: b").await.refused(415, "unsupported_media");
    let after = house.get(&ada, PATH).await;
    assert_eq!((&before.body, &before.headers["etag"]), (&after.body, &after.headers["etag"]));
}

#[tokio::test]
async fn a_layer_made_for_an_older_version_is_refused() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    house.project(&ada, "kereru").await;
    let put = async |version: &str| house.call_with(Some(&ada), "PUT", PATH, json!({}), &[("if-match", version)]).await;
    put("\"1\"").await.expect(200);
    let late = put("\"1\"").await;
    late.refused(412, "version_mismatch");
    assert_eq!(late.body["current"], json!({}));
}
