//! The CRM: leads are listed, read, changed by merge, and never change back unseen.

use apex_tests::{GoogleLead, on_both_stores};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::scene::{BOSS, CUSTOMER, Scene, all_different, assert_problem, text};

async fn typed_in(scene: &Scene, fields: Value) -> Value {
    let mut body = json!({"project_id": "kereru"});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    let answer = scene.client.post_json("/api/v1/leads", &body).await;
    assert_eq!(answer.0, StatusCode::CREATED, "{answer:?}");
    answer.1
}

on_both_stores! {
    async fn a_lead_typed_in_is_read_changed_and_removed(builder) {
        let scene = Scene::open(builder).await;
        let fields = json!({"name": "Hemi", "phone": "(027) 555-9001", "email": "hemi@kereru.example", "message": "Bath"});
        let lead = typed_in(&scene, fields).await;
        let id = text(&lead, "id");
        assert_eq!((text(&lead, "phone"), text(&lead, "source"), text(&lead, "status")), (CUSTOMER, "manual", "new"));
        assert_eq!(scene.client.lead(id).await, lead, "what was answered is what is read");
        let (status, changed) = scene.client.patch_lead(id, &json!({"name": "Hemi K", "score": 80})).await;
        assert_eq!(status, StatusCode::OK, "{changed}");
        assert_eq!((text(&changed, "name"), &changed["score"]), ("Hemi K", &json!(80)), "{changed}");
        assert_eq!(text(&changed, "email"), "hemi@kereru.example", "what is not named stays");
        let put = scene.client.put_json(&format!("/api/v1/leads/{id}"), &json!({"message": "Bath and sink"})).await;
        assert_eq!((put.0, text(&put.1, "name")), (StatusCode::OK, "Hemi K"), "PUT merges: {put:?}");
        let gone = scene.client.delete(&format!("/api/v1/leads/{id}")).await;
        assert_eq!(gone.0, StatusCode::NO_CONTENT, "{gone:?}");
        assert_problem(&scene.client.get(&format!("/api/v1/leads/{id}")).await, StatusCode::NOT_FOUND, "not_found");
        scene.finish().await;
    }

    async fn a_lead_only_moves_forward(builder) {
        let scene = Scene::open(builder).await;
        let lead = typed_in(&scene, json!({"name": "Hemi", "phone": CUSTOMER})).await;
        let id = text(&lead, "id");
        for (status, expected) in [
            ("won", StatusCode::CONFLICT),
            ("contacted", StatusCode::OK),
            ("new", StatusCode::CONFLICT),
            ("qualified", StatusCode::OK),
            ("proposal", StatusCode::OK),
            ("disqualified", StatusCode::CONFLICT),
            ("won", StatusCode::OK),
            ("lost", StatusCode::CONFLICT),
        ] {
            let answer = scene.client.patch_lead(id, &json!({"status": status})).await;
            assert_eq!(answer.0, expected, "{status}: {answer:?}");
            if expected == StatusCode::CONFLICT {
                assert_problem(&answer, expected, "illegal_move");
            }
        }
        assert_eq!(text(&scene.client.lead(id).await, "status"), "won");
        scene.finish().await;
    }

    async fn a_change_to_an_old_copy_is_refused_and_shows_the_new_one(builder) {
        let scene = Scene::open(builder).await;
        let lead = typed_in(&scene, json!({"name": "Hemi", "phone": CUSTOMER})).await;
        let path = format!("/api/v1/leads/{}", text(&lead, "id"));
        let version = lead["version"].as_i64().expect("a version");
        let change = async |version: &str, name: &str| {
            let request = scene.client.request(Method::PATCH, &path).header("If-Match", version);
            scene.client.send(request.json(&json!({"name": name}))).await
        };
        let quoted = format!("\"{version}\"");
        assert_eq!(change(&quoted, "Aroha").await.0, StatusCode::OK);
        let late = change(&quoted, "Mere").await;
        assert_problem(&late, StatusCode::PRECONDITION_FAILED, "version_mismatch");
        assert_eq!(text(&late.1["current"], "name"), "Aroha", "{late:?}");
        scene.finish().await;
    }

    async fn leads_are_listed_newest_first_page_by_page(builder) {
        let scene = Scene::open(builder).await;
        for at in 0..7 {
            typed_in(&scene, json!({"name": format!("Lead {at}"), "phone": format!("+6427555920{at}")})).await;
        }
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = scene.client.get(&format!("/api/v1/leads?project_id=kereru&limit=3{cursor}")).await;
            let page = scene.client.ok("leads", answer);
            let rows = page["data"].as_array().expect("a page").clone();
            assert!(rows.len() <= 3, "{page}");
            names.extend(rows.iter().map(|lead| text(lead, "name").to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert!(names.len() == 7 && all_different(&names), "{names:?}");
        assert_eq!((names[0].as_str(), names[6].as_str()), ("Lead 6", "Lead 0"));
        for query in ["&cursor=nonsense", "&limit=0", "&limit=201", "&status=sleepy"] {
            let answer = scene.client.get(&format!("/api/v1/leads?project_id=kereru{query}")).await;
            assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
        }
        scene.finish().await;
    }

    async fn what_cannot_be_a_lead_is_refused_by_field(builder) {
        let scene = Scene::open(builder).await;
        for (fields, field) in [
            (json!({"project_id": "kereru", "name": "Hemi", "phone": "call me"}), "phone"),
            (json!({"project_id": "kereru", "name": "", "phone": CUSTOMER}), "name"),
            (json!({"project_id": "kereru", "name": "Hemi", "phone": CUSTOMER, "stauts": "new"}), "stauts"),
        ] {
            let answer = scene.client.post_json("/api/v1/leads", &fields).await;
            assert_problem(&answer, StatusCode::UNPROCESSABLE_ENTITY, "invalid");
            assert!(answer.1["errors"].to_string().contains(field), "{field}: {answer:?}");
        }
        assert!(scene.client.leads("kereru").await.is_empty());
        scene.finish().await;
    }

    async fn a_lead_that_was_called_stays_and_a_removed_one_does_not_come_back(builder) {
        let scene = Scene::open(builder).await;
        let called = GoogleLead::new("lead-1", CUSTOMER);
        let ended = scene.client.wait_completed(&scene.accept(&called).await).await;
        let path = format!("/api/v1/leads/{}", text(&ended["data"], "lead_id"));
        assert_problem(&scene.client.delete(&path).await, StatusCode::CONFLICT, "lead_has_calls");
        let tested = GoogleLead::new("lead-2", "+64275559201").test();
        let context = scene.accept(&tested).await;
        let ended = scene.client.wait_completed(&context).await;
        let gone = scene.client.delete(&format!("/api/v1/leads/{}", text(&ended["data"], "lead_id"))).await;
        assert_eq!(gone.0, StatusCode::NO_CONTENT, "{gone:?}");
        assert_eq!(scene.accept(&tested).await, context, "the same lead again is the one that was removed");
        assert_eq!(scene.client.leads("kereru").await.len(), 1);
        assert_eq!(scene.calls_to(BOSS).len(), 1);
        scene.finish().await;
    }
}
