//! Signing up, in and out.

use apex_tests::client::PASSWORD;
use apex_tests::{Apex, on_both_stores};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::scene::text;

fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or_default())
}

on_both_stores! {
    async fn a_registered_person_owns_an_organisation_and_is_known_by_the_token(builder) {
        let apex = builder.start().await;
        let session = apex.client().register("Mere@Kereru.example").await;
        assert_eq!(session.body["token_type"], "Bearer");
        assert_eq!(session.body["organization"]["role"], "owner");
        assert_eq!(session.body["user"]["email"], "mere@kereru.example");
        let client = apex.client().signed_in(&session);
        let me = client.ok("me", client.get("/api/v1/users/me").await);
        assert!(me.to_string().contains("mere@kereru.example"), "{me}");
        let body = json!({"email": "mere@kereru.example", "password": PASSWORD});
        let again = apex.client().post_json("/api/v1/auth/register", &body).await;
        assert_eq!(code(&again), (409, "taken"));
    }

    async fn a_wrong_address_and_a_wrong_password_get_the_same_answer(builder) {
        let apex = builder.start().await;
        apex.client().register("mere@kereru.example").await;
        let mut answers = Vec::new();
        for (email, password) in [("mere@kereru.example", "not the password"), ("nobody@kereru.example", PASSWORD)] {
            let (status, mut body) = apex.client().try_login(email, password).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            body["trace_id"] = Value::Null;
            answers.push(body);
        }
        assert_eq!(answers[0], answers[1]);
        apex.client().login("MERE@kereru.example").await;
    }

    async fn a_refresh_token_is_exchanged_once_and_its_reuse_ends_the_whole_sign_in(builder) {
        let apex = builder.start().await;
        let client = apex.client();
        let session = client.register("mere@kereru.example").await;
        let other = client.login("mere@kereru.example").await;
        let body = client.ok("refresh", client.refresh(&session.refresh_token).await);
        let second = text(&body, "refresh_token");
        assert_ne!(second, session.refresh_token);
        let access = text(&body, "access_token");
        assert!(client.with_token(access).get("/api/v1/users/me").await.0.is_success());

        assert_eq!(code(&client.refresh(&session.refresh_token).await), (401, "unauthenticated"), "used before");
        assert_eq!(code(&client.refresh(second).await), (401, "unauthenticated"), "the thief's or the owner's: both end");
        assert!(client.refresh(&other.refresh_token).await.0.is_success(), "another sign-in goes on");
    }

    async fn a_signed_out_token_buys_nothing(builder) {
        let apex = builder.start().await;
        let client = apex.client();
        let session = client.register("mere@kereru.example").await;
        let body = json!({"refresh_token": session.refresh_token});
        assert_eq!(client.post_json("/api/v1/auth/logout", &body).await.0, StatusCode::NO_CONTENT);
        assert_eq!(code(&client.refresh(&session.refresh_token).await), (401, "unauthenticated"));
        assert_eq!(client.post_json("/api/v1/auth/logout", &body).await.0, StatusCode::NO_CONTENT, "twice is once");
    }

    async fn a_sign_in_outlives_a_restart(builder) {
        let mut apex = builder.start().await;
        let session = apex.client().register("mere@kereru.example").await;
        apex.restart().await;
        let client = apex.client().signed_in(&session);
        assert!(client.get("/api/v1/users/me").await.0.is_success(), "the generated secret is kept");
        assert!(client.refresh(&session.refresh_token).await.0.is_success());
    }
}

#[tokio::test]
async fn a_foreign_organisation_in_the_header_is_forbidden_and_ones_own_is_not() {
    let apex = Apex::builder().start().await;
    let theirs = apex.client().register("mere@kereru.example").await;
    let ours = apex.client().register("rangi@tui.example").await;
    let client = apex.client().signed_in(&ours);
    let with_org =
        async |org: &str| client.send(client.request(Method::GET, "/api/v1/projects").header("x-org-id", org)).await;
    let id = |session: &apex_tests::Session| text(&session.body["organization"], "id").to_owned();
    assert_eq!(code(&with_org(&id(&theirs)).await), (403, "forbidden"));
    assert_eq!(code(&with_org(&uuid::Uuid::new_v4().to_string()).await), (403, "forbidden"));
    assert_eq!(code(&with_org("tui").await), (403, "forbidden"));
    assert!(with_org(&id(&ours)).await.0.is_success());
}

#[tokio::test]
async fn a_stream_ticket_opens_a_stream_and_nothing_else() {
    let apex = Apex::builder().start().await;
    let owner = apex.owner("mere@kereru.example").await;
    let answer = owner.ok("stream ticket", owner.post_json("/api/v1/auth/stream-ticket", &json!({})).await);
    let ticket = text(&answer, "ticket");
    assert_eq!(code(&apex.client().with_token(ticket).get("/api/v1/users/me").await), (401, "unauthenticated"));
    let nothing = uuid::Uuid::now_v7();
    let path = format!("/api/v1/context/{nothing}/events?ticket=");
    assert_eq!(apex.client().get(&format!("{path}{ticket}")).await.0, StatusCode::NOT_FOUND, "the ticket is taken");
    assert_eq!(apex.client().get(&format!("{path}nonsense")).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_unsafe_password_or_address_is_refused_with_its_field() {
    let apex = Apex::builder().start().await;
    for (email, password, field) in [("mere", PASSWORD, "email"), ("mere@kereru.example", "zq7", "password")] {
        let body = json!({"email": email, "password": password});
        let (status, problem) = apex.client().post_json("/api/v1/auth/register", &body).await;
        assert_eq!((status.as_u16(), &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
        assert!(!problem.to_string().contains(password), "a password is not repeated: {problem}");
    }
}
