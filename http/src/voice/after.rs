//! The customer's leg is over and the first one goes on: a last sentence for whoever is still there.

use apex_actors::callback::CallbackRef;
use apex_config::dna;
use apex_storage::model::call::{End, Leg, Progress, Report};
use apex_storage::{StorageError, TenantTx};
use axum::extract::State;

use super::callback::Callback;
use super::contract::{Address, Form, Spoken};
use super::line::{Fact, Line, Nudge, spoken, unknown};
use super::phrases::Phrase;
use super::progress;
use super::twiml::{self, TwiMl};
use crate::state::AppState;

const KIND: &str = "after";

/// Says how it ended and ends the call.
#[utoipa::path(
    post, path = "/voice/after", operation_id = "voice_after", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Spoken)
)]
pub(super) async fn voice_after(State(state): State<AppState>, callback: Callback) -> TwiMl {
    spoken(&state, KIND, after(Line::of(&state), &callback)).await
}

async fn after(line: Line<'_>, callback: &Callback) -> Result<(TwiMl, Option<Nudge>), StorageError> {
    let (Some(about), Some(sid)) = (callback.about, callback.param("CallSid")) else {
        return Ok((twiml::hangup(), unknown(KIND)));
    };
    let mut tx = line.store.tenant(about.org).await?;
    let language = language(&mut tx, &about).await?;
    let leg = dialled_leg(&about);
    let report = progress::of_dial(leg, callback.param("DialCallStatus"), callback.seconds("DialCallDuration"));
    let phrase = last_words(leg, &report);
    let news = line.keep(tx, &about, callback, Fact { kind: KIND, sid, report }).await?;
    Ok((phrase.and_hang_up(&language), news))
}

/// Which leg a `<Dial>` of ours rings: the customer's in a bridge, the boss's when a customer called us.
pub(super) const fn dialled_leg(about: &CallbackRef) -> Leg {
    if about.bridge.is_some() { Leg::Customer } else { Leg::Boss }
}

fn last_words(leg: Leg, report: &Report) -> Phrase {
    match (report, leg) {
        (Report::Leg { progress: Progress::Over(End::Completed { .. }), .. } | Report::Other, _) => Phrase::Goodbye,
        (_, Leg::Customer) => Phrase::CustomerSilent,
        (_, Leg::Boss) => Phrase::NobodyFree,
    }
}

/// What is spoken: the bridge's plan says it, for a call that came in the project.
async fn language(tx: &mut TenantTx, about: &CallbackRef) -> Result<String, StorageError> {
    if let Some(bridge) = about.bridge {
        return Ok(tx.bridge(bridge).await?.map(|bridge| bridge.plan.language).unwrap_or_default());
    }
    let dna = tx.project(about.project).await?.and_then(|row| dna::resolve(&row.dna_generated, &row.dna_custom).ok());
    Ok(dna.map(|dna| dna.identity.language).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::office::Office;
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_conversation_is_kept_and_said() {
        let office = Office::open().await;
        let spoke = office.callback("voice/after", "CallSid=CA1&DialCallStatus=completed&DialCallDuration=41");
        let (script, news) = after(office.line(), &spoke).await.unwrap();
        assert_eq!((script, news), (Phrase::Goodbye.and_hang_up("en-NZ"), Some(office.nudge("call"))));
        let silent = office.callback("voice/after", "CallSid=CA1&DialCallStatus=no-answer");
        assert_eq!(after(office.line(), &silent).await.unwrap().0, Phrase::CustomerSilent.and_hang_up("en-NZ"));
        let over = |end| Report::Leg { leg: Leg::Customer, progress: Progress::Over(end) };
        let kept: Vec<Report> = office.reports().await.into_iter().map(|row| row.2).collect();
        assert_eq!(kept, [over(End::Completed { seconds: 41 }), over(End::NoAnswer)]);
    }

    #[test]
    fn a_customer_who_called_hears_that_nobody_is_free() {
        let busy = progress::of_dial(Leg::Boss, Some("busy"), 0);
        assert_eq!(last_words(Leg::Boss, &busy), Phrase::NobodyFree);
    }
}
