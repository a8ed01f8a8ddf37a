//! What an answer proves. Where it proves nothing, the outcome of a creating request is unknown, never failed.

use apex_actors::ports::{PortError, SendError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::transport::{Reply, Trip};

/// The provider's words are cut here, characters.
const WORDS: usize = 200;

/// The id of what was made.
pub(super) fn created(reply: &Reply) -> Result<String, SendError> {
    match reply.status {
        200..=299 => sid(reply).ok_or_else(|| SendError::Unknown("accepted, with an unreadable answer".to_owned())),
        429 => Err(SendError::NotSent { reason: words(reply), retry_after: reply.retry_after }),
        408 => Err(SendError::Unknown(words(reply))),
        400..=499 => Err(SendError::Refused { code: code(reply), reason: words(reply) }),
        _ => Err(SendError::Unknown(words(reply))),
    }
}

/// What it means that no answer came.
pub(super) fn not_created(trip: Trip) -> SendError {
    let reason = trip.as_str().to_owned();
    match trip {
        Trip::NotConnected => SendError::NotSent { reason, retry_after: None },
        Trip::TimedOut | Trip::Broken => SendError::Unknown(reason),
    }
}

/// What was asked for.
pub(super) fn read<T: DeserializeOwned>(reply: &Reply) -> Result<T, PortError> {
    if !(200..=299).contains(&reply.status) {
        return Err(refused(reply));
    }
    let body = reply.body.as_deref().unwrap_or_default();
    serde_json::from_slice(body).map_err(|_| PortError::Transient("the answer cannot be read".to_owned()))
}

/// Why a question that can be repeated was not answered.
pub(super) fn refused(reply: &Reply) -> PortError {
    match reply.status {
        404 => PortError::Missing(words(reply)),
        408 | 429 | 500.. => PortError::Transient(words(reply)),
        _ => PortError::Permanent(words(reply)),
    }
}

fn sid(reply: &Reply) -> Option<String> {
    match &reply.json()?["sid"] {
        Value::String(sid) if !sid.is_empty() => Some(sid.clone()),
        _ => None,
    }
}

fn code(reply: &Reply) -> String {
    reply.code().unwrap_or_else(|| match reply.status {
        401 => "20003".to_owned(),
        404 => "20404".to_owned(),
        status => format!("http_{status}"),
    })
}

/// Status, code and the provider's words, without the phone numbers that they repeat.
fn words(reply: &Reply) -> String {
    let status = reply.status;
    let Some(body) = reply.json() else { return format!("status {status}") };
    let said = ["message", "detail", "title"].into_iter().find_map(|key| body[key].as_str()).unwrap_or_default();
    let said: String = masked(said).chars().take(WORDS).collect();
    match reply.code() {
        Some(code) => format!("status {status}, code {code}: {said}"),
        None => format!("status {status}: {said}"),
    }
}

/// The text without anything that may be a phone number: six digits and more, however they are grouped.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut number = String::new();
    for c in text.chars().chain(['\n']) {
        let goes_on =
            c.is_ascii_digit() || (c == '+' && number.is_empty()) || (" -()".contains(c) && !number.is_empty());
        if goes_on {
            number.push(c);
            continue;
        }
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        if digits >= 6 {
            let kept = number.trim_end_matches([' ', '-', '(', ')']);
            shown.push('•');
            shown.push_str(&number[kept.len()..]);
        } else {
            shown.push_str(&number);
        }
        number.clear();
        shown.push(if c.is_control() { ' ' } else { c });
    }
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, retry_after: None, body: Some(body.as_bytes().to_vec()) }
    }

    fn name(result: Result<String, SendError>) -> String {
        match result {
            Ok(sid) => sid,
            Err(SendError::NotSent { .. }) => "not sent".to_owned(),
            Err(SendError::Refused { code, .. }) => format!("refused {code}"),
            Err(SendError::Unknown(_)) => "unknown".to_owned(),
        }
    }

    #[test]
    fn every_answer_to_a_creation_has_one_meaning() {
        let table = [
            (201, r#"{"sid":"CA1","status":"queued"}"#, "CA1"),
            (200, r#"{"sid":"CA1"}"#, "CA1"),
            (201, r#"{"status":"queued"}"#, "unknown"),
            (201, r#"{"sid":""}"#, "unknown"),
            (201, "<html>", "unknown"),
            (201, "", "unknown"),
            (307, "", "unknown"),
            (400, r#"{"code":21211,"message":"bad To","status":400}"#, "refused 21211"),
            (400, r#"{"type":"x","title":"Bad","status":400,"code":"21610","detail":"opted out"}"#, "refused 21610"),
            (400, r#"{"code":"<b>","message":"x"}"#, "refused http_400"),
            (401, r#"{"code":20003,"message":"Authenticate"}"#, "refused 20003"),
            (401, "", "refused 20003"),
            (403, "<html>blocked</html>", "refused http_403"),
            (404, "[]", "refused 20404"),
            (408, "", "unknown"),
            (429, r#"{"code":20429}"#, "not sent"),
            (429, "", "not sent"),
            (500, r#"{"code":20500}"#, "unknown"),
            (502, "<html>", "unknown"),
            (503, "", "unknown"),
        ];
        for (status, body, meaning) in table {
            assert_eq!(name(created(&reply(status, body))), meaning, "{status} {body}");
        }
        let cut = Reply { status: 201, ..Reply::default() };
        assert_eq!(name(created(&cut)), "unknown");
        let wait = Some(Duration::from_secs(3));
        let slow_down = Reply { status: 429, retry_after: wait, body: None };
        assert!(matches!(created(&slow_down), Err(SendError::NotSent { retry_after, .. }) if retry_after == wait));
    }

    #[test]
    fn only_a_connection_that_never_was_proves_that_nothing_was_sent() {
        assert_eq!(name(Err(not_created(Trip::NotConnected))), "not sent");
        assert_eq!(name(Err(not_created(Trip::TimedOut))), "unknown");
        assert_eq!(name(Err(not_created(Trip::Broken))), "unknown");
    }

    #[test]
    fn questions_fail_for_now_or_for_good() {
        for status in [408, 429, 500, 503] {
            assert!(matches!(refused(&reply(status, "")), PortError::Transient(_)), "{status}");
        }
        for status in [301, 400, 401, 403, 410] {
            assert!(matches!(refused(&reply(status, "")), PortError::Permanent(_)), "{status}");
        }
        assert!(matches!(refused(&reply(404, "")), PortError::Missing(_)));
        assert!(matches!(read::<Value>(&reply(200, "{")), Err(PortError::Transient(_))));
        assert!(read::<Value>(&reply(200, "{}")).is_ok());
    }

    #[test]
    fn reasons_repeat_no_phone_number() {
        let said = r#"{"code":21211,"message":"The 'To' number +64275559001 is not a valid phone number."}"#;
        assert_eq!(words(&reply(400, said)), "status 400, code 21211: The 'To' number • is not a valid phone number.");
        assert_eq!(masked("call (027) 555-9001 again"), "call (• again");
        assert_eq!(masked("error 21408 at +64 27 555 9001"), "error 21408 at •");
        assert_eq!(masked("30 of 200"), "30 of 200");
        assert_eq!(words(&reply(502, "<html>+64275559001</html>")), "status 502");
        assert_eq!(words(&reply(400, &format!(r#"{{"message":"{}"}}"#, "x".repeat(5000)))).len(), 12 + WORDS);
    }
}
