//! The boss has pressed a key, or let the time pass. Only 1 connects, and only one call of a bridge ever does.

use apex_actors::callback::CallbackRef;
use apex_storage::model::call::Report;
use apex_storage::{Bridge, BridgePlan, StorageError, TenantTx};
use axum::extract::State;

use super::callback::Callback;
use super::contract::{Address, Form, Spoken};
use super::line::{Fact, Line, Nudge, spoken, unknown};
use super::phrases::Phrase;
use super::twiml::{self, ConnectScript, TwiMl};
use super::whisper::has_the_bridge;
use crate::state::AppState;

const KIND: &str = "connect";
/// The key that connects.
const YES: &str = "1";

/// Rings the customer when the boss pressed 1; says goodbye otherwise.
#[utoipa::path(
    post, path = "/voice/connect", operation_id = "voice_connect", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Spoken)
)]
pub(super) async fn voice_connect(State(state): State<AppState>, callback: Callback) -> TwiMl {
    spoken(&state, KIND, connect(Line::of(&state), &callback)).await
}

async fn connect(line: Line<'_>, callback: &Callback) -> Result<(TwiMl, Option<Nudge>), StorageError> {
    let (Some(about), Some(sid)) = (callback.about, callback.param("CallSid")) else {
        return Ok((twiml::hangup(), unknown(KIND)));
    };
    let mut tx = line.store.tenant(about.org).await?;
    let bridge = match about.bridge {
        Some(bridge) => tx.bridge(bridge).await?,
        None => None,
    };
    let said_yes = callback.param("Digits").map(str::trim) == Some(YES);
    let accepted = said_yes && takes(&mut tx, &about, bridge.as_ref(), sid).await?;
    let report = match callback.param("Digits") {
        Some(_) => Report::Press { accepted },
        None => Report::Whisper, // silence declines nothing: it proves that somebody, or a machine, picked up
    };
    let news = line.keep(tx, &about, callback, Fact { kind: KIND, sid, report }).await?;
    let script = match &bridge {
        Some(Bridge { plan, .. }) if accepted && news.is_some() => customer(line, &about, plan),
        Some(Bridge { plan, .. }) if !said_yes => Phrase::Goodbye.and_hang_up(&plan.language),
        _ => twiml::hangup(),
    };
    Ok((script, news))
}

/// Takes the bridge for this call. The same call again has it still: a repeated request gets the same answer.
async fn takes(
    tx: &mut TenantTx,
    about: &CallbackRef,
    bridge: Option<&Bridge>,
    sid: &str,
) -> Result<bool, StorageError> {
    let Some(bridge) = bridge else { return Ok(false) };
    let call = tx.effect(about.effect).await?;
    Ok(has_the_bridge(bridge, call.as_ref(), sid) && tx.accept_call(bridge.id, sid).await?)
}

fn customer(line: Line<'_>, about: &CallbackRef, plan: &BridgePlan) -> TwiMl {
    let url = |kind: &str| about.url(line.public_url, kind);
    twiml::connect_customer(&ConnectScript {
        customer: plan.customer.as_str(),
        caller_id: &plan.caller_id,
        ring_timeout_s: plan.ring_seconds,
        time_limit_s: plan.max_seconds,
        record: plan.record,
        recording_callback: &url("voice/recording-status"),
        after_action: &url("voice/after"),
        leg_callback: &url("voice/leg"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::office::Office;
    use super::*;

    async fn press(office: &Office, body: &str) -> TwiMl {
        connect(office.line(), &office.callback("voice/connect", body)).await.unwrap().0
    }

    #[tokio::test]
    async fn one_call_of_a_bridge_is_connected_and_its_repetition_gets_the_same_answer() {
        let office = Office::open().await;
        let first = press(&office, "CallSid=CA1&Digits=1").await;
        assert!(
            first.0.contains(">+64275559001</Number>") && first.0.contains("callerId=\"+6498889002\""),
            "{}",
            first.0
        );
        for kind in ["voice/after", "voice/leg", "voice/recording-status"] {
            assert!(first.0.contains(kind), "{kind}");
        }
        assert_eq!(press(&office, "CallSid=CA1&Digits=1").await, first);
        assert_eq!(press(&office, "CallSid=CA2&Digits=1").await, twiml::hangup());
        let press = |sid: &str, accepted| ("connect".to_owned(), sid.to_owned(), Report::Press { accepted });
        assert_eq!(office.reports().await, [press("CA1", true), press("CA2", false)]);
    }

    #[tokio::test]
    async fn a_call_that_is_not_the_bridges_connects_nobody() {
        let office = Office::open().await;
        office.bind("CA1").await;
        assert_eq!(press(&office, "CallSid=CA2&Digits=1").await, twiml::hangup());
        assert!(press(&office, "CallSid=CA1&Digits=1").await.0.contains("<Dial"));
    }

    #[tokio::test]
    async fn a_closed_bridge_connects_nobody() {
        let office = Office::open().await;
        office.close().await;
        assert_eq!(press(&office, "CallSid=CA1&Digits=1").await, twiml::hangup());
    }

    #[tokio::test]
    async fn any_other_key_and_silence_say_goodbye() {
        let office = Office::open().await;
        for body in ["CallSid=CA1&Digits=2", "CallSid=CA1&Digits=", "CallSid=CA1", "CallSid=CA1&Digits=11"] {
            assert_eq!(press(&office, body).await, Phrase::Goodbye.and_hang_up("en-NZ"), "{body}");
        }
        let kept: Vec<Report> = office.reports().await.into_iter().map(|row| row.2).collect();
        let declined = Report::Press { accepted: false };
        assert_eq!(kept, [declined.clone(), Report::Whisper, Report::Whisper, declined], "silence declines nothing");
        assert!(press(&office, "CallSid=CA1&Digits=1").await.0.contains("<Dial"), "a declined bridge is still open");
    }

    #[tokio::test]
    async fn two_calls_that_press_together_connect_one_customer() {
        let office = Office::open().await;
        let (one, other) = tokio::join!(press(&office, "CallSid=CA1&Digits=1"), press(&office, "CallSid=CA2&Digits=1"));
        let dials = [one, other].iter().filter(|script| script.0.contains("<Dial")).count();
        assert_eq!(dials, 1);
    }
}
