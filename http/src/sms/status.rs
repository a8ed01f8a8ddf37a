//! How a text message of ours goes.

use apex_storage::model::call::Report;
use axum::extract::State;
use axum::http::StatusCode;

use crate::error::ApiError;
use crate::state::AppState;
use crate::voice::callback::Callback;
use crate::voice::contract::{Address, Form, Noted};
use crate::voice::line::{Fact, Line, noted};

const KIND: &str = "sms-status";

/// Notes whether the message went out.
#[utoipa::path(
    post, path = "/sms/status", operation_id = "sms_status", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Noted)
)]
pub(super) async fn sms_status(State(state): State<AppState>, callback: Callback) -> Result<StatusCode, ApiError> {
    noted(&state, KIND, Line::of(&state).note(&callback, fact(&callback))).await
}

fn fact(callback: &Callback) -> Option<Fact<'_>> {
    let sid = callback.param("MessageSid").or_else(|| callback.param("SmsSid"))?;
    let status = callback.param("MessageStatus").or_else(|| callback.param("SmsStatus"));
    let report = status.map_or(Report::Other, |status| Report::Message { failed: is_failure(status) });
    Some(Fact { kind: KIND, sid, report })
}

fn is_failure(status: &str) -> bool {
    matches!(status, "undelivered" | "failed" | "canceled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::office::{Office, nudge_about};

    fn read(body: &str) -> Option<Report> {
        let callback = Callback::read(&"/api/sms/status".parse().unwrap(), body.as_bytes());
        fact(&callback).map(|fact| fact.report)
    }

    #[test]
    fn a_message_that_was_given_up_is_a_failure() {
        for (status, failed) in [("sent", false), ("delivered", false), ("undelivered", true), ("failed", true)] {
            let body = format!("MessageSid=SM1&MessageStatus={status}");
            assert_eq!(read(&body), Some(Report::Message { failed }), "{status}");
        }
        assert_eq!(read("SmsSid=SM1&SmsStatus=failed"), Some(Report::Message { failed: true }));
        assert_eq!(read("SmsSid=SM1"), Some(Report::Other));
        assert_eq!(read("MessageStatus=sent"), None);
    }

    #[tokio::test]
    async fn the_news_go_to_whoever_writes_the_ticket() {
        let office = Office::open().await;
        let callback = office.text_callback("MessageSid=SM1&MessageStatus=delivered").await;
        let news = office.line().note(&callback, fact(&callback)).await.unwrap();
        let about = callback.about.unwrap();
        assert_eq!(news, Some(nudge_about(&about, "task")));
    }
}
