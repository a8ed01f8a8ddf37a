//! Keys of programs: what they open, for how long, and that nobody can read them anywhere.

use apex_storage::TABLES;
use apex_tests::{Apex, Client, Postgres, on_both_stores, wait};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, assert_problem, text};

const KEYS: &str = "/api/v1/api-keys";
const PROJECTS: &str = "/api/v1/projects";
const LEADS: &str = "/api/v1/leads";
const OWNER: &str = "owner@kereru.example";

fn now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

fn lead() -> Value {
    json!({"project_id": "kereru", "name": "Mere"})
}

async fn try_key(owner: &Client, body: &Value) -> (StatusCode, Value) {
    owner.post_json(KEYS, body).await
}

/// A program with a key of these scopes, and what was said about the key.
async fn program(owner: &Client, scopes: &[&str]) -> (Client, Value) {
    let made = owner.ok("key", try_key(owner, &json!({"name": "CRM", "scopes": scopes})).await);
    (owner.with_token(text(&made, "key")), made)
}

async fn keys_of(client: &Client) -> Vec<Value> {
    client.all(&format!("{KEYS}?limit=2")).await
}

async fn change_role(apex: &Apex, role: &str) {
    rows::change(apex, &format!("update memberships set role = '{role}'")).await;
}

fn refused(answer: &(StatusCode, Value)) {
    assert_problem(answer, StatusCode::UNAUTHORIZED, "unauthenticated");
}

fn forbidden(answer: &(StatusCode, Value)) {
    assert_problem(answer, StatusCode::FORBIDDEN, "forbidden");
}

/// Everything that is kept, in whatever form.
fn everything_kept(apex: &Apex) -> String {
    if let Some(url) = apex.database_url() {
        let server = Postgres::shared();
        let dump = |table: &str| format!("select coalesce(string_agg(t::text, '|'), '') from apex.{table} t");
        let url = server.superuser(url);
        return TABLES.iter().map(|table| server.query(&url, &dump(table.name))).collect();
    }
    let files = ["apex.db", "apex.db-wal"].map(|name| std::fs::read(apex.data_dir().join(name)).unwrap_or_default());
    files.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

on_both_stores! {
    async fn a_key_opens_what_its_scopes_say_and_no_more(builder) {
        let apex = builder.start().await;
        let owner = apex.owner(OWNER).await;
        owner.create_project("kereru", BOSS).await;
        let (reader, made) = program(&owner, &["read"]).await;
        assert_eq!(made["scopes"], json!(["read"]), "{made}");
        assert!(reader.get(LEADS).await.0.is_success());
        forbidden(&reader.post_json(LEADS, &lead()).await);
        forbidden(&try_key(&reader, &json!({"name": "more"})).await);

        let made = owner.ok("key", try_key(&owner, &json!({"name": " CRM "})).await);
        assert_eq!((&made["scopes"], text(&made, "name")), (&json!(["read", "write"]), "CRM"), "{made}");
        let writer = owner.with_token(text(&made, "key"));
        assert_eq!(writer.post_json(LEADS, &lead()).await.0, StatusCode::CREATED);
        forbidden(&writer.delete("/api/v1/projects/kereru").await);
        forbidden(&writer.get("/api/v1/audit").await);
        forbidden(&try_key(&writer, &json!({"name": "more", "scopes": ["administer"]})).await);
        assert_eq!(try_key(&writer, &json!({"name": "less", "scopes": ["read"]})).await.0, StatusCode::CREATED);

        let (admin, _) = program(&owner, &["administer"]).await;
        assert!(admin.delete("/api/v1/projects/kereru").await.0.is_success());
        let me = admin.ok("me", admin.get("/api/v1/users/me").await);
        assert_eq!(text(&me["user"], "email"), OWNER, "it acts in the name of its owner");
        let ticket = reader.ok("ticket", reader.post_json("/api/v1/auth/stream-ticket", &json!({})).await);
        assert!(ticket["ticket"].is_string(), "{ticket}");
    }

    async fn a_key_loses_what_its_owner_loses_at_once(builder) {
        let apex = builder.start().await;
        let owner = apex.owner(OWNER).await;
        let (admin, _) = program(&owner, &["administer"]).await;
        assert!(admin.get("/api/v1/audit").await.0.is_success());
        change_role(&apex, "member").await;
        forbidden(&admin.get("/api/v1/audit").await);
        change_role(&apex, "viewer").await;
        forbidden(&try_key(&admin, &json!({"name": "more", "scopes": ["read"]})).await);
        assert!(admin.get(PROJECTS).await.0.is_success());
        rows::change(&apex, "delete from memberships").await;
        refused(&admin.get(PROJECTS).await);
    }

    async fn a_key_that_was_revoked_or_has_ended_or_never_was_opens_nothing(builder) {
        let mut apex = builder.start().await;
        let owner = apex.owner(OWNER).await;
        let (client, made) = program(&owner, &["write"]).await;
        assert!(client.get(PROJECTS).await.0.is_success());
        let path = format!("{KEYS}/{}", text(&made, "id"));
        for _ in 0..2 {
            assert_eq!(owner.delete(&path).await.0, StatusCode::NO_CONTENT, "twice is once");
        }
        refused(&client.get(PROJECTS).await);
        let key = text(&made, "key");
        for wrong in ["apx_", "apx_nonsense", &key[..key.len() - 1], &format!("{key}x"), &format!("apx_{}", "A".repeat(43))] {
            refused(&owner.with_token(wrong).get(PROJECTS).await);
        }

        let ends = now() + TimeDelta::seconds(2);
        let body = json!({"name": "short", "expires_at": ends.to_rfc3339_opts(SecondsFormat::Micros, true)});
        let short = owner.ok("key", try_key(&owner, &body).await);
        let client = owner.with_token(text(&short, "key"));
        assert!(now() >= ends || client.get(PROJECTS).await.0.is_success());
        wait::until(async || now() >= ends, "the end of the key").await;
        refused(&client.get(PROJECTS).await);
        apex.restart().await;
        refused(&apex.client().with_token(key).get(PROJECTS).await);
    }

    async fn nobody_can_read_a_key_after_it_was_shown(builder) {
        let apex = builder.env("RUST_LOG", "debug").start().await;
        let owner = apex.owner(OWNER).await;
        let (client, made) = program(&owner, &["read"]).await;
        assert!(client.get(PROJECTS).await.0.is_success());
        let key = text(&made, "key").to_owned();
        assert!(key.starts_with("apx_") && key.starts_with(text(&made, "prefix")), "{made}");
        let (kept, log) = (everything_kept(&apex), apex.stdout() + &apex.stderr());
        assert!(kept.contains(text(&made, "prefix")), "the search finds what is there");
        let secret = &key[text(&made, "prefix").len()..];
        assert!(!kept.contains(secret) && !log.contains(secret));
        let [listed] = &keys_of(&owner).await[..] else { panic!("not one key") };
        assert!(listed.get("key").is_none() && !listed.to_string().contains(secret), "{listed}");
        assert_eq!((&listed["id"], &listed["prefix"], &listed["name"]), (&made["id"], &made["prefix"], &json!("CRM")));
        assert!(listed["last_used_at"].is_string() && listed["revoked_at"].is_null(), "{listed}");
        assert!(client.get(PROJECTS).await.0.is_success());
        assert_eq!(&keys_of(&owner).await[0], listed, "its use is noted once a minute");
    }

    async fn a_key_is_for_one_organisation(builder) {
        let apex = builder.start().await;
        let owner = apex.owner(OWNER).await;
        owner.create_project("kereru", BOSS).await;
        let stranger = apex.owner("rangi@tui.example").await;
        let (foreign, theirs) = program(&stranger, &["administer"]).await;
        assert_eq!(foreign.get("/api/v1/projects/kereru").await.0, StatusCode::NOT_FOUND);
        let (_, ours) = program(&owner, &["read"]).await;
        assert_eq!(stranger.delete(&format!("{KEYS}/{}", text(&ours, "id"))).await.0, StatusCode::NOT_FOUND);
        assert_eq!(keys_of(&stranger).await.len(), 1, "its own");
        assert_eq!(keys_of(&stranger).await[0]["id"], theirs["id"]);

        // The owner of the key is a member of both; the key is not.
        let join = "insert into memberships (org_id, user_id, role, created_at)
                    select o.org_id, s.id, 'member', s.created_at from users s, memberships o join users u on u.id = o.user_id
                     where u.email = 'owner@kereru.example' and s.email = 'rangi@tui.example'";
        rows::change(&apex, join).await;
        let me = owner.ok("me", owner.get("/api/v1/users/me").await);
        let org = text(&me["organization"], "id");
        let with_org = async |client: &Client, method: Method, path: &str| {
            client.send(client.request(method, path).header("x-org-id", org)).await
        };
        assert!(with_org(&stranger, Method::GET, "/api/v1/projects/kereru").await.0.is_success());
        forbidden(&with_org(&foreign, Method::GET, PROJECTS).await);
        let me = foreign.ok("me", foreign.get("/api/v1/users/me").await);
        assert_eq!(me["organizations"].as_array().map(Vec::len), Some(1), "{me}");

        // Members see and take back their own keys only, admins all.
        let (_, listed) = with_org(&stranger, Method::GET, KEYS).await;
        assert_eq!(listed["data"], json!([]), "{listed}");
        let path = format!("{KEYS}/{}", text(&ours, "id"));
        assert_eq!(with_org(&stranger, Method::DELETE, &path).await.0, StatusCode::NOT_FOUND);
        let request = stranger.request(Method::POST, KEYS).header("x-org-id", org).json(&json!({"name": "mine"}));
        let mine = stranger.ok("key", stranger.send(request).await);
        assert_eq!(keys_of(&owner).await.len(), 2, "the owner sees them all");
        assert_eq!(owner.delete(&format!("{KEYS}/{}", text(&mine, "id"))).await.0, StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_made_says_why() {
    let apex = Apex::builder().start().await;
    let owner = apex.owner(OWNER).await;
    for (body, field) in [
        (json!({"name": " "}), "name"),
        (json!({"name": "a", "scopes": []}), "scopes"),
        (json!({"name": "a", "scopes": ["everything"]}), "scopes[0]"),
        (json!({"name": "a", "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (json!({"name": "a", "key": "apx_mine"}), "key"),
    ] {
        let answer = try_key(&owner, &body).await;
        assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
        assert_eq!(answer.1["errors"][0]["field"], field, "{}", answer.1);
    }
    assert_eq!(keys_of(&owner).await, Vec::<Value>::new());
}
