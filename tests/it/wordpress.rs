//! Forms of WordPress sites, as their plugins post them.

use apex_tests::on_both_stores;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json; charset=UTF-8";
const MULTIPART: &str = "multipart/form-data; boundary=kereru";

/// One plugin's entry of one person, whose phone ends in the digit given by its place.
struct Entry {
    plugin: &'static str,
    content_type: &'static str,
    body: String,
}

fn entry(plugin: &'static str, content_type: &'static str, body: &str) -> Entry {
    Entry { plugin, content_type, body: body.to_owned() }
}

fn entries() -> Vec<Entry> {
    let mut entries = vec![
        entry(
            "elementor simple",
            FORM,
            "Your+name=Mere+K&Mobile+number=027+555+9200&E-mail=mere%40kereru.example&Message=A+burst+pipe\
             &Page+URL=https%3A%2F%2Fkereru.example%2F&Remote+IP=203.0.113.9&form_id=7ab12cd&form_name=Quote",
        ),
        entry(
            "elementor advanced",
            FORM,
            "form[id]=7ab12cd&form[name]=Quote\
             &fields[name][id]=name&fields[name][type]=text&fields[name][title]=Name&fields[name][raw_value]=Mere+K\
             &fields[tel][id]=tel&fields[tel][type]=tel&fields[tel][title]=Ring+me&fields[tel][raw_value]=027+555+9201\
             &fields[mail][id]=mail&fields[mail][type]=email&fields[mail][title]=Mail&fields[mail][raw_value]=mere%40kereru.example\
             &fields[q][id]=q&fields[q][type]=textarea&fields[q][title]=Job&fields[q][raw_value]=A+burst+pipe\
             &meta[remote_ip][title]=Remote+IP&meta[remote_ip][value]=203.0.113.9",
        ),
        entry(
            "contact form 7",
            JSON,
            r#"{"your-name":"Mere K","your-email":"mere@kereru.example","your-tel":"027 555 9202",
                "your-message":"A burst pipe","your-services":["Bath","Kitchen"],"_remote_ip":"203.0.113.9"}"#,
        ),
        entry(
            "wpforms",
            JSON,
            r#"{"name":"Mere K","email":"mere@kereru.example","phone":"027 555 9203","message":"A burst pipe",
                "services":"Bath||Kitchen"}"#,
        ),
        entry(
            "gravity",
            JSON,
            r#"{"id":"41","form_id":"3","date_created":"2026-11-19 12:00:00","ip":"203.0.113.9",
                "1.3":"Mere","1.6":"K","2":"027 555 9204","3":"mere@kereru.example","4":"A burst pipe"}"#,
        ),
        entry(
            "fluent",
            JSON,
            r#"{"names":{"first_name":"Mere","last_name":"K"},"phone":"027 555 9205","email":"mere@kereru.example",
                "message":"A burst pipe","__submission":{"id":"12","form_id":"3","serial_number":"12"}}"#,
        ),
    ];
    entries.extend(in_other_ways());
    entries
}

/// The same person, sent by other settings of the plugins.
fn in_other_ways() -> Vec<Entry> {
    vec![
        entry(
            "multipart",
            MULTIPART,
            "--kereru\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nMere K\r\n\
             --kereru\r\nContent-Disposition: form-data; name=\"phone\"\r\n\r\n027 555 9206\r\n\
             --kereru\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nmere@kereru.example\r\n\
             --kereru\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nA burst pipe\r\n--kereru--\r\n",
        ),
        entry(
            "wpforms as a form",
            FORM,
            "name=Mere+K&phone=027+555+9207&email=mere%40kereru.example&message=A+burst+pipe",
        ),
        entry(
            "fluent as a form",
            FORM,
            "names[first_name]=Mere&names[last_name]=K&phone=027+555+9208&email=mere%40kereru.example&message=A+burst+pipe",
        ),
    ]
}

fn context_of(plugin: &str, (status, body): (StatusCode, Value)) -> String {
    assert_eq!(status, StatusCode::OK, "{plugin}: {body}");
    assert_eq!((&body["ok"], &body["status"]), (&json!(true), &json!("processing")), "{plugin}: {body}");
    text(&body["data"], "context_id").to_owned()
}

on_both_stores! {
    async fn every_plugin_gives_the_person_and_the_boss_is_rung(builder) {
        let scene = Scene::open(builder).await;
        let entries = entries();
        let sent = entries.iter().map(async |entry| {
            let answer = scene.client.wordpress_lead(&scene.project, entry.content_type, &entry.body).await;
            context_of(entry.plugin, answer)
        });
        let contexts = join_all(sent).await;
        for (at, (entry, context)) in entries.iter().zip(&contexts).enumerate() {
            let ended = scene.client.wait_completed(context).await;
            let (lead, plugin) = (scene.lead_of(&ended).await, entry.plugin);
            assert_eq!((text(&lead, "name"), text(&lead, "source")), ("Mere K", "wordpress"), "{plugin}: {lead}");
            assert_eq!(text(&lead, "phone"), format!("+6427555920{at}"), "{plugin}: {lead}");
            let known = (text(&lead, "email"), text(&lead, "message"));
            assert_eq!(known, ("mere@kereru.example", "A burst pipe"), "{plugin}: {lead}");
            assert_eq!(text(&lead, "status"), "contacted", "{plugin}: {lead}");
        }
        assert_eq!(scene.calls_to(BOSS).len(), entries.len());
        scene.finish().await;
    }

    async fn a_form_sent_twice_is_one_lead_and_one_call(builder) {
        let scene = Scene::open(builder).await;
        let body = "name=Mere&phone=027+555+9001&message=A+burst+pipe";
        let twice = (0..5).map(async |_| {
            context_of("twice", scene.client.wordpress_lead(&scene.project, FORM, body).await)
        });
        let contexts = join_all(twice).await;
        // The time span may change between two of them, hardly ever and at most once.
        let mut different = contexts.clone();
        different.sort();
        different.dedup();
        assert!(different.len() <= 2, "{contexts:?}");
        for context in &different {
            scene.client.wait_completed(context).await;
        }
        assert_eq!(scene.calls_to(CUSTOMER).len(), different.len());
        let numbered = r#"{"phone":"027 555 9001","message":"x","__submission":{"id":"12","form_id":"3"}}"#;
        let first = context_of("numbered", scene.client.wordpress_lead(&scene.project, JSON, numbered).await);
        let other = numbered.replace("\"x\"", "\"y\"");
        assert_eq!(context_of("numbered", scene.client.wordpress_lead(&scene.project, JSON, &other).await), first);
        scene.client.wait_completed(&first).await;
        scene.finish().await;
    }

    async fn a_body_that_nobody_understands_is_stored_and_told_to_the_boss(builder) {
        let scene = Scene::open(builder).await;
        let bodies = [
            (FORM, ""),
            (FORM, "%%%&&&=\u{0}"),
            (JSON, "{\"broken\":"),
            (JSON, "[1,2,3]"),
            ("text/plain", "Please call Mere, she knows the number"),
            ("application/octet-stream", "\u{1}\u{2}"),
            (MULTIPART, "--other\r\nbroken"),
        ];
        for (content_type, body) in bodies {
            let name = format!("{content_type} {body:?}");
            let answer = scene.client.wordpress_lead(&scene.project, content_type, body).await;
            let ended = scene.client.wait_completed(&context_of(&name, answer)).await;
            let lead = scene.lead_of(&ended).await;
            assert_eq!(text(&lead, "blocked"), "no_phone", "{name}: {lead}");
        }
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty()));
        assert_eq!(scene.texts_to(BOSS).len(), bodies.len());
        scene.finish().await;
    }

    async fn without_the_right_token_nothing_is_stored(builder) {
        let scene = Scene::open(builder).await;
        let (client, project) = (scene.client.anonymous(), &scene.project);
        let post = async |query: &str| {
            client.post_body(&format!("/api/v1/webhooks/wordpress{query}"), FORM, "name=Mere&phone=0275559001").await
        };
        let token = &project.webhook_token;
        for query in ["?project_id=kereru&token=wrong", "?project_id=kereru&token="] {
            assert_problem(&post(query).await, StatusCode::FORBIDDEN, "wrong_token");
        }
        let google = format!("?project_id=kereru&token={}", project.google_key);
        assert_problem(&post(&google).await, StatusCode::FORBIDDEN, "wrong_token");
        let unknown = format!("?project_id=nobody&token={token}");
        assert_problem(&post(&unknown).await, StatusCode::NOT_FOUND, "not_found");
        for query in ["", "?project_id=kereru", "?token=x"] {
            let answer = post(query).await;
            assert!(answer.0.is_client_error() && answer.1["code"].is_string(), "{query}: {answer:?}");
        }
        assert!(scene.client.leads("kereru").await.is_empty());
        assert!(scene.sandbox.read(|ledger| ledger.calls.is_empty() && ledger.messages.is_empty()));
        scene.finish().await;
    }
}
