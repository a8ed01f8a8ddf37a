//! The boss has picked up: who waits is read aloud, and a digit is asked for. A voicemail box presses none.

use apex_storage::model::call::Report;
use apex_storage::{Bridge, Effect, StorageError};
use axum::extract::State;

use super::callback::Callback;
use super::contract::{Address, Form, Spoken};
use super::line::{Fact, Line, Nudge, spoken, unknown};
use super::twiml::{self, TwiMl, WhisperScript};
use crate::state::AppState;

const KIND: &str = "whisper";
/// How long the boss may think, seconds.
const KEY_TIMEOUT_S: u32 = 8;

/// Tells the boss who waits and asks for a key.
#[utoipa::path(
    post, path = "/voice/whisper", operation_id = "voice_whisper", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Spoken)
)]
pub(super) async fn voice_whisper(State(state): State<AppState>, callback: Callback) -> TwiMl {
    spoken(&state, KIND, whisper(Line::of(&state), &callback)).await
}

async fn whisper(line: Line<'_>, callback: &Callback) -> Result<(TwiMl, Option<Nudge>), StorageError> {
    let (Some(about), Some(sid)) = (callback.about, callback.param("CallSid")) else {
        return Ok((twiml::hangup(), unknown(KIND)));
    };
    let mut tx = line.store.tenant(about.org).await?;
    let bridge = match about.bridge {
        Some(bridge) => tx.bridge(bridge).await?,
        None => None,
    };
    let call = tx.effect(about.effect).await?;
    let news = line.keep(tx, &about, callback, Fact { kind: KIND, sid, report: Report::Whisper }).await?;
    let script = match bridge.filter(|bridge| has_the_bridge(bridge, call.as_ref(), sid)) {
        Some(Bridge { plan, .. }) => twiml::whisper(&WhisperScript {
            text: &plan.whisper,
            language: &plan.language,
            action_url: &about.url(line.public_url, "voice/connect"),
            timeout_s: KEY_TIMEOUT_S,
        }),
        None => twiml::hangup(),
    };
    Ok((script, news))
}

/// Whether this call may go on: the bridge is open, and no other call has it or was meant by it.
pub(super) fn has_the_bridge(bridge: &Bridge, call: Option<&Effect>, sid: &str) -> bool {
    match bridge.accepted_sid.as_deref() {
        _ if !bridge.open => false,
        Some(accepted) => accepted == sid,
        None => call.and_then(|call| call.sid.as_deref()).is_none_or(|bound| bound == sid),
    }
}

#[cfg(test)]
mod tests {
    use super::super::office::Office;
    use super::*;

    #[tokio::test]
    async fn the_boss_hears_the_plan_of_the_bridge_and_the_visit_is_kept() {
        let office = Office::open().await;
        let callback = office.callback("voice/whisper", "CallSid=CA1");
        let (script, news) = whisper(office.line(), &callback).await.unwrap();
        assert!(script.0.contains("Mere is waiting. Press 1."), "{}", script.0);
        assert!(script.0.contains("/api/voice/connect?org="), "{}", script.0);
        assert_eq!(news, Some(office.nudge("call")));
        assert_eq!(office.reports().await, [("whisper".to_owned(), "CA1".to_owned(), Report::Whisper)]);
    }

    #[tokio::test]
    async fn a_surplus_call_and_a_closed_bridge_are_hung_up_and_kept() {
        let office = Office::open().await;
        office.bind("CA1").await;
        let surplus = office.callback("voice/whisper", "CallSid=CA2");
        assert_eq!(whisper(office.line(), &surplus).await.unwrap().0, twiml::hangup());
        office.close().await;
        let late = office.callback("voice/whisper", "CallSid=CA1");
        assert_eq!(whisper(office.line(), &late).await.unwrap().0, twiml::hangup());
        assert_eq!(office.reports().await.len(), 2);
    }

    #[tokio::test]
    async fn an_address_of_nobody_is_answered_and_forgotten() {
        let office = Office::open().await;
        let mut stranger = Callback::read(&"/api/voice/whisper?org=1".parse().unwrap(), b"CallSid=CA1");
        assert_eq!(whisper(office.line(), &stranger).await.unwrap(), (twiml::hangup(), None));
        stranger.about = Some(office.about_another_project());
        assert_eq!(whisper(office.line(), &stranger).await.unwrap(), (twiml::hangup(), None));
        assert!(office.reports().await.is_empty());
    }
}
