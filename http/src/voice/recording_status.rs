//! What became of the recording.

use apex_storage::model::call::{Recording, Report};
use axum::extract::State;
use axum::http::StatusCode;

use super::callback::Callback;
use super::contract::{Address, Form, Noted};
use super::line::{Fact, Line, noted};
use crate::error::ApiError;
use crate::state::AppState;

const KIND: &str = "recording-status";

/// Notes that there is a recording, or none.
#[utoipa::path(
    post, path = "/voice/recording-status", operation_id = "voice_recording_status", tag = "Providers", security(()),
    params(Address), request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Noted)
)]
pub(super) async fn voice_recording_status(
    State(state): State<AppState>,
    callback: Callback,
) -> Result<StatusCode, ApiError> {
    noted(&state, KIND, Line::of(&state).note(&callback, fact(&callback))).await
}

fn fact(callback: &Callback) -> Option<Fact<'_>> {
    Some(Fact { kind: KIND, sid: callback.param("CallSid")?, report: report(callback) })
}

fn report(callback: &Callback) -> Report {
    let recording = match (callback.param("RecordingStatus"), callback.param("RecordingSid")) {
        (Some("in-progress"), _) => Recording::InProgress,
        (Some("absent" | "failed"), _) => Recording::Absent,
        (Some("completed"), Some(sid)) => {
            Recording::Ready { sid: sid.to_owned(), seconds: callback.seconds("RecordingDuration") }
        }
        _ => return Report::Other,
    };
    Report::Recording(recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Report {
        report(&Callback::read(&"/api/voice/recording-status".parse().unwrap(), body.as_bytes()))
    }

    #[test]
    fn every_state_of_a_recording_has_its_place() {
        let ready = Recording::Ready { sid: "RE1".into(), seconds: 41 };
        let expected = [
            ("RecordingStatus=in-progress&RecordingSid=RE1", Report::Recording(Recording::InProgress)),
            ("RecordingStatus=absent", Report::Recording(Recording::Absent)),
            ("RecordingStatus=failed&RecordingSid=RE1&ErrorCode=1", Report::Recording(Recording::Absent)),
            ("RecordingStatus=completed&RecordingSid=RE1&RecordingDuration=41", Report::Recording(ready)),
            ("RecordingStatus=completed", Report::Other),
            ("RecordingStatus=paused&RecordingSid=RE1", Report::Other),
            ("", Report::Other),
        ];
        for (body, report) in expected {
            assert_eq!(read(body), report, "{body}");
        }
    }
}
