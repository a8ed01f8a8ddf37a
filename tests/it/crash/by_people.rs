//! The program dies between what a person, or the clock, has decided and its being done.

use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, wait};
use reqwest::Method;
use serde_json::{Value, json};

use super::planted::PLANTED;
use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene, text};

impl Scene {
    /// Sends a request that the program dies of, and starts it again.
    async fn dies_of(&mut self, path: &str, body: &Value) {
        let request = self.client.request(Method::POST, &Client::v1(path)).json(body);
        assert!(self.client.try_send(request).await.is_err(), "nobody is left to answer");
        assert_eq!(self.apex.wait_exit().await.code(), Some(PLANTED), "{}", self.apex.stderr());
        self.apex.restart().await;
    }

    async fn ends_connected(self, context: &str) {
        let end = self.client.wait_end(context).await;
        assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}\n{}", self.apex.stderr());
        self.was_called_once(&end);
        self.resumes(context, &[]).await;
        self.finish().await;
    }
}

/// Everything is held, and a person releases the call.
pub(super) async fn a_release(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder.argument("--hold-effects"), &[&format!("{point}=exit")]).await;
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let held = |body: &Value| body["data"]["stage"] == "effects_held";
    scene.client.wait_context(&context, "a call that waits for a person", held).await;
    scene.dies_of("/effects/release", &json!({ "kind": "call" })).await;
    scene.ends_connected(&context).await;
}

/// A ticket was set aside, and a person begins it again.
pub(super) async fn a_retry(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &["call.begun=panic*3", &format!("{point}=exit")]).await;
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    let end = scene.client.wait_end(&context).await;
    assert_eq!(end["data"]["state"], "dead", "{end}");
    scene.dies_of(&format!("/tickets/{context}/retry"), &json!({})).await;
    let is_over = |body: &Value| body["data"]["state"] == "completed";
    scene.client.wait_context(&context, "the second end", is_over).await;
    scene.ends_connected(&context).await;
}

/// A schedule runs.
pub(super) async fn a_run_of_a_schedule(builder: Builder, point: &str) {
    let mut scene = Scene::planted(builder, &[&format!("{point}=exit")]).await;
    let body = json!({
        "project_id": scene.project.id, "name": "new year", "cron": "0 0 1 1 *", "timezone": "UTC",
        "task": "sales_agent", "params": { "action": "notify_sms", "text": "A happy new year" },
    });
    let made = scene.client.ok("schedule", scene.client.post_json(&Client::v1("/schedules"), &body).await);
    rows::change(&scene.apex, "update schedules set next_at = '2026-01-01T00:00:00+00:00'").await;
    assert_eq!(scene.apex.wait_exit().await.code(), Some(PLANTED), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    let path = Client::v1(&format!("/schedules/{}", text(&made, "id")));
    let shown = scene.client.ok("schedule", scene.client.get(&path).await);
    let context = text(&shown, "last_context_id").to_owned();
    scene.client.wait_completed(&context).await;
    wait::until(async || scene.texts_to(BOSS).len() == 1, "the text of the one run").await;
    scene.resumes(&context, &[]).await;
    scene.finish().await;
}
