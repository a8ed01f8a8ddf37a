//! Forms come in, leads are looked at.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::{Answer, Client, Project, text};
use crate::GoogleLead;

/// After this a sender gives up and sends again.
const ANSWER: Duration = Duration::from_secs(10);

impl Client {
    /// Sends a lead form with the project's own key.
    pub async fn google_lead(&self, project: &Project, lead: &GoogleLead) -> Answer {
        self.google_body(&project.id, &lead.json(&project.google_key)).await
    }

    /// Sends any body to the lead form's path.
    pub async fn google_body(&self, project: &str, body: &Value) -> Answer {
        self.anonymous().post_json(&format!("/api/v1/webhooks/google-ads?project_id={project}"), body).await
    }

    /// Sends a lead form and returns the id of the context that works on it.
    ///
    /// # Panics
    ///
    /// When it is not accepted as promised.
    pub async fn accept(&self, project: &Project, lead: &GoogleLead) -> String {
        let answer = self.google_lead(project, lead).await;
        let body = self.ok("google lead", answer);
        assert_eq!(body["status"], "processing", "{body}");
        assert_eq!(body["data"]["task"], "sales_agent", "{body}");
        text(&body["data"], "context_id")
    }

    /// Sends a lead form to a program that may be dead or die meanwhile. The context, if it was accepted.
    pub async fn offer(&self, project: &Project, lead: &GoogleLead) -> Option<String> {
        let path = Self::v1(&format!("/webhooks/google-ads?project_id={}", project.id));
        let request = self.anonymous().request(Method::POST, &path).json(&lead.json(&project.google_key));
        let (status, body) = self.try_send(request.timeout(ANSWER)).await.ok()?;
        status.is_success().then(|| text(&body["data"], "context_id"))
    }

    /// Sends a website's form with the project's own token.
    pub async fn wordpress_lead(&self, project: &Project, content_type: &str, body: &str) -> Answer {
        let (id, token) = (&project.id, &project.webhook_token);
        let path = format!("/api/v1/webhooks/wordpress?project_id={id}&token={token}");
        self.anonymous().post_body(&path, content_type, body).await
    }

    /// All leads of a project, newest first, read page by page.
    ///
    /// # Panics
    ///
    /// When a page is refused or the pages do not end.
    pub async fn leads(&self, project: &str) -> Vec<Value> {
        self.all(&format!("/api/v1/leads?project_id={project}&limit=100")).await
    }

    /// All rows of a list, read page by page; the path has a query already.
    ///
    /// # Panics
    ///
    /// When a page is refused or the pages do not end.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        for _ in 0..1_000 {
            let answer = self.get(&format!("{path}{cursor}")).await;
            let mut page = self.ok(path, answer);
            match page["data"].take() {
                Value::Array(more) => rows.extend(more),
                other => panic!("a page of {path} without `data`: {other}"),
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
        panic!("the pages of {path} do not end")
    }

    /// One lead.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn lead(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/leads/{id}")).await;
        self.ok("lead", answer)
    }

    /// Changes some fields of a lead.
    pub async fn patch_lead(&self, id: &str, changes: &Value) -> Answer {
        self.patch_json(&format!("/api/v1/leads/{id}"), changes).await
    }
}
