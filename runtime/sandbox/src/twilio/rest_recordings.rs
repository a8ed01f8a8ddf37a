//! `Recordings`: list, read, listen, delete.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::clock::rfc2822;
use crate::ledger::{Recording, RecordingStatus};
use crate::stage::Stage;
use crate::twilio::answer::{self, Refusal};
use crate::twilio::paging;
use crate::twilio::rest::Request;
use crate::wav;

/// `GET Recordings.json` and `GET Calls/{sid}/Recordings.json`.
pub(crate) fn list(request: &Request<'_>, call: Option<&str>) -> Response {
    let book = request.stage.book();
    let found = book.recordings(call, paging::after(&request.query));
    let found = found.filter(|recording| recording.status != RecordingStatus::Deleted);
    let render = |recording: &&Recording| render(request.stage, recording);
    answer::ok(paging::page("recordings", request.path, &request.query, found, |found| &found.sid, render))
}

/// `GET Recordings/{sid}` with `.json`, or the sound as `.wav` (also without an ending) or `.mp3`.
pub(crate) fn fetch(request: &Request<'_>, file: &str) -> Response {
    let (sid, ending) = file.split_once('.').unwrap_or((file, "wav"));
    match ending {
        "json" => match request.stage.book().recording(sid) {
            Some(recording) => answer::ok(render(request.stage, recording)),
            None => Refusal::not_found(request.path).into_response(),
        },
        "wav" => sound(request, sid, "audio/x-wav"),
        // The bytes are the same: no player in a sandbox, and the model that listens looks into the file.
        "mp3" => sound(request, sid, "audio/mpeg"),
        _ => Refusal::not_found(request.path).into_response(),
    }
}

/// `DELETE Recordings/{sid}.json`: the sound is gone, what is known about it stays.
pub(crate) fn delete(request: &Request<'_>, sid: &str) -> Response {
    match request.stage.book().recording_mut(sid) {
        Some(recording) => {
            recording.status = RecordingStatus::Deleted;
            StatusCode::NO_CONTENT.into_response()
        }
        None => Refusal::not_found(request.path).into_response(),
    }
}

fn sound(request: &Request<'_>, sid: &str, kind: &'static str) -> Response {
    let missing_tries = request.stage.faults().media_missing_tries();
    let mut book = request.stage.book();
    let Some(recording) = book.recording_mut(sid) else {
        return Refusal::not_found(request.path).into_response();
    };
    recording.media_tries += 1;
    if recording.status != RecordingStatus::Completed || recording.media_tries <= missing_tries {
        return Refusal::not_found(request.path).into_response();
    }
    if request.query.get("RequestedChannels") == Some("2") && recording.channels < 2 {
        return Refusal::bad(16103, "The recording has one channel only").into_response();
    }
    let text = recording.text.clone();
    drop(book);
    ([(header::CONTENT_TYPE, kind)], wav::encode(&text)).into_response()
}

fn render(stage: &Stage, recording: &Recording) -> Value {
    let account = &stage.options.account_sid;
    let path = format!("/2010-04-01/Accounts/{account}/Recordings/{}", recording.sid);
    json!({
        "sid": recording.sid,
        "account_sid": account,
        "call_sid": recording.call_sid,
        "conference_sid": Value::Null,
        "status": recording.status.as_str(),
        "source": recording.source,
        "channels": recording.channels,
        "duration": recording.duration.map(|seconds| seconds.to_string()),
        "start_time": rfc2822(recording.started_at),
        "date_created": rfc2822(recording.started_at),
        "date_updated": rfc2822(recording.started_at),
        "price": Value::Null,
        "price_unit": "USD",
        "error_code": Value::Null,
        "encryption_details": Value::Null,
        "track": "both",
        "api_version": "2010-04-01",
        "media_url": format!("{}{path}", stage.base),
        "uri": format!("{path}.json"),
    })
}
