//! What one organisation has, another can neither take nor open.

use apex_sandbox::Script;
use apex_tests::client::dna;
use apex_tests::{Client, GoogleLead, on_both_stores, wait};
use serde_json::json;

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene};

on_both_stores! {
    async fn a_project_name_is_taken_for_every_organisation(builder) {
        let scene = Scene::open(builder).await;
        let stranger = scene.apex.owner("rangi@tui.example").await;
        let body = json!({"project_id": "kereru", "business_name": "Tūī", "dna": dna(BOSS)});
        let (status, problem) = stranger.post_json("/api/v1/projects", &body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (409, &json!("taken")), "{problem}");
        assert_eq!(problem["errors"][0]["field"], "project_id", "{problem}");
        assert_eq!(rows::number(&scene.apex, "select count(*) from projects").await, 1);
        scene.finish().await;
    }

    async fn the_keys_of_one_project_do_not_open_another(builder) {
        let scene = Scene::open(builder).await;
        let stranger = scene.apex.owner("rangi@tui.example").await;
        let theirs = stranger.create_project("tui", "+64275550300").await;
        let sibling = scene.project("kaka", "+64275550301").await;
        for other in [&theirs, &sibling] {
            let lead = GoogleLead::new("lead-1", CUSTOMER).json(&other.google_key);
            let (status, problem) = scene.client.google_body("kereru", &lead).await;
            assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("wrong_key")), "{problem}");
            let path = format!("/webhooks/wordpress?project_id=kereru&token={}", other.webhook_token);
            let form = json!({"name": "Mere", "phone": CUSTOMER});
            let (status, problem) = stranger.anonymous().post_json(&Client::v1(&path), &form).await;
            assert!(status.is_client_error(), "{status} {problem}");
        }
        // Nor does the kind of one key do the work of the other.
        let swapped = GoogleLead::new("lead-1", CUSTOMER).json(&scene.project.webhook_token);
        assert_eq!(scene.client.google_body("kereru", &swapped).await.0, 403);
        assert_eq!(rows::number(&scene.apex, "select count(*) from leads").await, 0);
        assert_eq!(rows::number(&scene.apex, "select count(*) from tickets").await, 0);
        scene.finish().await;
    }

    async fn a_deleted_project_is_gone_for_its_owner_and_its_forms(builder) {
        let scene = Scene::open(builder).await;
        assert!(scene.client.delete("/api/v1/projects/kereru").await.0.is_success());
        assert_eq!(scene.client.get("/api/v1/projects/kereru").await.0, 404);
        let (status, problem) = scene.client.google_lead(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        assert!(status.is_client_error(), "{status} {problem}");
        let listed = scene.client.ok("projects", scene.client.get("/api/v1/projects").await);
        assert_eq!(listed["data"], json!([]), "{listed}");
        scene.finish().await;
    }

    async fn what_a_deleted_project_had_under_way_ends_also_after_a_restart(builder) {
        let mut scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(3_000));
        scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.wait_ledger("a ringing phone", |ledger| ledger.calls.iter().any(|call| call.rung_at.is_some())).await;
        assert!(scene.client.delete("/api/v1/projects/kereru").await.0.is_success());
        scene.apex.kill_9();
        scene.apex.restart().await;
        let open = "select count(*) from tickets where due_at is not null";
        wait::until(async || rows::number(&scene.apex, open).await == 0, "the end of every ticket").await;
        scene.finish().await;
    }

    async fn a_changed_key_opens_and_the_old_one_does_not(builder) {
        let scene = Scene::open(builder).await;
        let change = json!({"rotate": ["google_key"]});
        let changed = scene.client.ok("rotate", scene.client.patch_json("/api/v1/projects/kereru", &change).await);
        let key = changed["google_key"].as_str().unwrap_or_else(|| panic!("no key in {changed}"));
        let lead = GoogleLead::new("lead-1", CUSTOMER).test();
        assert_eq!(scene.client.google_body("kereru", &lead.json(&scene.project.google_key)).await.0, 403);
        assert!(scene.client.google_body("kereru", &lead.json(key)).await.0.is_success());
        let shown = scene.client.ok("project", scene.client.get("/api/v1/projects/kereru").await);
        assert!(!shown.to_string().contains(key), "shown once: {shown}");
        scene.finish().await;
    }
}
