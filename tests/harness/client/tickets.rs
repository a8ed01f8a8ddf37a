//! Tasks, their contexts, streams and timelines.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, Client, Project, text};
use crate::sse::EventStream;
use crate::wait;

impl Client {
    /// Runs a task of a project.
    pub async fn run(&self, project: &Project, task: &str, params: &Value) -> Answer {
        self.post_json("/api/v1/run", &run_body(project, task, params)).await
    }

    /// Runs a task under an `Idempotency-Key`.
    pub async fn run_once(&self, project: &Project, key: &str, task: &str, params: &Value) -> Answer {
        self.post_once("/api/v1/run", key, &run_body(project, task, params)).await
    }

    /// Starts a heavy task and returns the id of its context.
    ///
    /// # Panics
    ///
    /// When it is refused or answers at once.
    pub async fn begin(&self, project: &Project, task: &str, params: &Value) -> String {
        let answer = self.run(project, task, params).await;
        let body = self.ok(task, answer);
        assert_eq!(body["status"], "processing", "{body}");
        text(&body["data"], "context_id")
    }

    /// The context as it is now.
    pub async fn context(&self, id: &str) -> Answer {
        self.get(&format!("/api/v1/context/{id}")).await
    }

    /// Asks to cancel it.
    pub async fn cancel(&self, id: &str) -> Answer {
        self.post_json(&format!("/api/v1/context/{id}/cancel"), &json!({})).await
    }

    /// Polls the context until it is as `reached` wants it, through restarts of the program, and returns it.
    ///
    /// # Panics
    ///
    /// After [`wait::PATIENCE`]; the message holds the context, its timeline and the program's log.
    pub async fn wait_context(&self, id: &str, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let mut last = String::from("never asked");
        let path = format!("/api/v1/context/{id}");
        let found = wait::until_within(wait::PATIENCE, async || {
            match self.try_send(self.request(Method::GET, &path)).await {
                Ok((status, body)) if status.is_success() && reached(&body) => return Some(body),
                Ok((status, body)) => last = format!("{status} {body}"),
                Err(error) => last = format!("{error:?}"),
            }
            None
        })
        .await;
        if let Some(body) = found {
            return body;
        }
        let timeline = self.try_send(self.request(Method::GET, &timeline_path(id))).await;
        panic!("waited in vain for: {what}\ncontext {id}: {last}\ntimeline: {timeline:#?}\n{}", self.program_log())
    }

    /// Polls until the context is completed or failed.
    ///
    /// # Panics
    ///
    /// As [`Self::wait_context`] does.
    pub async fn wait_end(&self, id: &str) -> Value {
        let ended = |body: &Value| matches!(body["data"]["status"].as_str(), Some("completed" | "failed"));
        self.wait_context(id, "the end of the context", ended).await
    }

    /// Polls until the context is completed.
    ///
    /// # Panics
    ///
    /// When it fails, or as [`Self::wait_context`] does.
    pub async fn wait_completed(&self, id: &str) -> Value {
        let body = self.wait_end(id).await;
        assert_eq!(body["data"]["status"], "completed", "{body}\n{}", self.program_log());
        body
    }

    /// Opens the context's stream, resumed after `last_event_id` if there is one.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn sse(&self, id: &str, last_event_id: Option<&str>) -> EventStream {
        let stream = self.try_sse(id, last_event_id).await;
        stream.unwrap_or_else(|| panic!("nobody answers\n{}", self.program_log()))
    }

    /// Like [`Self::sse`] for a program that may be dead; `None` when nobody answers.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn try_sse(&self, id: &str, last_event_id: Option<&str>) -> Option<EventStream> {
        let mut request = self.request(Method::GET, &format!("/api/v1/context/{id}/events"));
        request = request.header("Accept", "text/event-stream");
        if let Some(last) = last_event_id {
            request = request.header("Last-Event-ID", last);
        }
        let response = request.send().await.ok()?;
        assert!(response.status().is_success(), "stream of {id}: {}", response.status());
        Some(EventStream::new(response))
    }

    /// The journal of a ticket.
    ///
    /// # Panics
    ///
    /// When it is refused.
    pub async fn timeline(&self, id: &str) -> Value {
        let answer = self.get(&timeline_path(id)).await;
        self.ok("timeline", answer)
    }
}

fn timeline_path(id: &str) -> String {
    format!("/api/v1/tickets/{id}/timeline")
}

fn run_body(project: &Project, task: &str, params: &Value) -> Value {
    json!({"task": task, "project_id": project.id, "params": params})
}
