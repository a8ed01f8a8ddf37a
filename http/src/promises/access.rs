//! Who gets in.

use serde_json::{Value, json};

use super::{House, PASSWORD, Person};

#[tokio::test]
async fn whoever_registers_is_signed_in_and_owns_an_organisation() {
    let house = House::open().await;
    let body = json!({ "email": "Ada@Kereru.example", "password": PASSWORD, "name": "Ada", "organization": "Kererū" });
    let signed_in = house.call(None, "POST", "/api/v1/auth/register", body).await.expect(201);
    assert_eq!((&signed_in["token_type"], &signed_in["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(signed_in["user"]["email"], "ada@kereru.example");
    assert_eq!(signed_in["organization"]["role"], "owner");
    let me = house.get(&Person::of(&signed_in), "/api/users/me").await.expect(200);
    assert_eq!((&me["user"], &me["organization"]), (&signed_in["user"], &signed_in["organization"]));
    assert_eq!(me["organizations"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_address_is_taken_once_and_an_organisations_name_is_not() {
    let house = House::open().await;
    let first = house.register("ada@kereru.example").await;
    let other = house.register("bea@kereru.example").await;
    assert_ne!(first.org, other.org);
    let body = json!({ "email": "ADA@kereru.example", "password": PASSWORD });
    let again = house.call(None, "POST", "/api/v1/auth/register", body).await;
    again.refused(409, "taken");
    assert_eq!(again.fields(), ["email"]);
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_look_the_same() {
    let house = House::open().await;
    house.register("ada@kereru.example").await;
    let try_in = async |email: &str, password: &str| {
        house.call(None, "POST", "/api/v1/auth/login", json!({ "email": email, "password": password })).await
    };
    let (address, password) = (try_in("bea@kereru.example", PASSWORD).await, try_in("ada@kereru.example", "x").await);
    address.refused(401, "unauthenticated");
    password.refused(401, "unauthenticated");
    assert_eq!(address.body["detail"], password.body["detail"]);
    assert_eq!(address.headers["www-authenticate"], "Bearer");
    try_in(" Ada@kereru.example", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_sign_in() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let refresh =
        async |token: &str| house.call(None, "POST", "/api/v1/auth/refresh", json!({ "refresh_token": token })).await;
    let next = Person::of(&refresh(&ada.refresh).await.expect(200));
    house.get(&next, "/api/v1/users/me").await.expect(200);
    refresh(&ada.refresh).await.refused(401, "unauthenticated");
    refresh(&next.refresh).await.refused(401, "unauthenticated");
    refresh("apr_unknown").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn who_signs_out_cannot_refresh() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let body = json!({ "refresh_token": ada.refresh });
    for _ in 0..2 {
        assert_eq!(house.call(None, "POST", "/api/v1/auth/logout", body.clone()).await.status, 204);
    }
    house.call(None, "POST", "/api/v1/auth/refresh", body).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn without_a_token_nothing_is_shown() {
    let house = House::open().await;
    for path in
        ["/api/v1/projects", "/api/v1/leads", "/api/v1/tickets", "/api/v1/users/me", "/api/v1/usage?project_id=a"]
    {
        house.call(None, "GET", path, Value::Null).await.refused(401, "unauthenticated");
        let bad = Person { token: "x.y.z".into(), refresh: String::new(), org: String::new() };
        house.get(&bad, path).await.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn another_organisation_is_named_only_by_its_members() {
    let house = House::open().await;
    let (ada, bea) = (house.register("ada@kereru.example").await, house.register("bea@kereru.example").await);
    let with = async |org: &str| {
        house.call_with(Some(&ada), "GET", "/api/v1/projects", Value::Null, &[("x-org-id", org)]).await
    };
    with(&ada.org).await.expect(200);
    for org in [bea.org.as_str(), "nonsense", ""] {
        with(org).await.refused(403, "forbidden");
    }
}

#[tokio::test]
async fn a_viewer_looks_and_changes_nothing() {
    let house = House::open().await;
    let ada = house.register("ada@kereru.example").await;
    let project = house.project(&ada, "kereru").await;
    let claims = house.state.tokens().verify_access(&ada.token, house.state.now()).unwrap();
    let as_role = |role: &str| {
        let subject = crate::auth::token::Subject {
            user: claims.sub,
            org_id: claims.org_id,
            org_role: role.into(),
            org_permissions: vec![],
        };
        let (token, _) =
            house.state.tokens().issue_access(&subject, chrono::TimeDelta::hours(1), house.state.now()).unwrap();
        Person { token, ..ada.clone() }
    };
    let viewer = as_role("viewer");
    house.get(&viewer, "/api/v1/projects/kereru").await.expect(200);
    house.post(&viewer, "/api/v1/auth/stream-ticket", Value::Null).await.expect(200);
    let lead = json!({ "project_id": "kereru", "name": "Mere" });
    house.post(&viewer, "/api/v1/leads", lead.clone()).await.refused(403, "forbidden");
    let member = as_role("member");
    house.post(&member, "/api/v1/leads", lead).await.expect(201);
    let change = json!({ "business_name": "Other" });
    house.call(Some(&member), "PATCH", "/api/v1/projects/kereru", change).await.refused(403, "forbidden");
    house.call(Some(&member), "DELETE", "/api/v1/projects/kereru", Value::Null).await.refused(403, "forbidden");
    assert_eq!(house.get(&ada, "/api/v1/projects/kereru").await.body["version"], project["version"]);
}
