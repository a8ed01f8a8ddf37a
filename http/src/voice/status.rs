//! How the call to the boss goes.

use apex_storage::model::call::Leg;
use axum::extract::State;
use axum::http::StatusCode;

use super::callback::Callback;
use super::contract::{Address, Form, Noted};
use super::line::{Fact, Line, noted};
use super::progress;
use crate::error::ApiError;
use crate::state::AppState;

const KIND: &str = "status";

/// Notes how far the first leg has come.
#[utoipa::path(
    post, path = "/voice/status", operation_id = "voice_status", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Noted)
)]
pub(super) async fn voice_status(State(state): State<AppState>, callback: Callback) -> Result<StatusCode, ApiError> {
    noted(&state, KIND, Line::of(&state).note(&callback, fact(&callback))).await
}

fn fact(callback: &Callback) -> Option<Fact<'_>> {
    let report = progress::of_status(Leg::Boss, callback.param("CallStatus"), callback.seconds("CallDuration"));
    Some(Fact { kind: KIND, sid: callback.param("CallSid")?, report })
}

#[cfg(test)]
mod tests {
    use apex_storage::model::call::{End, Progress, Report};

    use super::super::office::Office;
    use super::*;

    async fn told(office: &Office, body: &str) {
        let callback = office.callback("voice/status", body);
        let news = office.line().note(&callback, fact(&callback)).await.unwrap();
        assert_eq!(news, Some(office.nudge("call")));
    }

    #[tokio::test]
    async fn a_status_is_kept_once_however_often_it_comes_even_of_a_call_nobody_knows() {
        let office = Office::open().await;
        for _ in 0..3 {
            told(&office, "CallSid=CA9&CallStatus=completed&CallDuration=50").await;
        }
        told(&office, "CallSid=CA9&CallStatus=teleported").await;
        let progress = Progress::Over(End::Completed { seconds: 50 });
        let kept: Vec<Report> = office.reports().await.into_iter().map(|row| row.2).collect();
        assert_eq!(kept, [Report::Leg { leg: Leg::Boss, progress }, Report::Other]);
    }

    #[tokio::test]
    async fn a_notice_without_a_call_or_an_address_is_forgotten() {
        let office = Office::open().await;
        let nameless = office.callback("voice/status", "CallStatus=ringing");
        assert_eq!(office.line().note(&nameless, fact(&nameless)).await.unwrap(), None);
        let stray = Callback::read(&"/api/voice/status?project_id=kereru".parse().unwrap(), b"CallSid=CA1");
        assert_eq!(office.line().note(&stray, fact(&stray)).await.unwrap(), None);
        assert!(office.reports().await.is_empty());
    }
}
