//! How the second leg goes: the customer's in a bridge.

use apex_storage::StorageError;
use axum::extract::State;
use axum::http::StatusCode;

use super::after::dialled_leg;
use super::callback::Callback;
use super::contract::{Address, Form, Noted};
use super::line::{Fact, Line, Nudge, noted, unknown};
use super::progress;
use crate::error::ApiError;
use crate::state::AppState;

const KIND: &str = "leg";

/// Notes how far the second leg has come.
#[utoipa::path(
    post, path = "/voice/leg", operation_id = "voice_leg", tag = "Providers", security(()), params(Address),
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"), responses(Noted)
)]
pub(super) async fn voice_leg(State(state): State<AppState>, callback: Callback) -> Result<StatusCode, ApiError> {
    noted(&state, KIND, leg(Line::of(&state), &callback)).await
}

/// Everything about a bridge is filed under its first call. A leg filed under its own id would look like a call too many.
async fn leg(line: Line<'_>, callback: &Callback) -> Result<Option<Nudge>, StorageError> {
    let (Some(about), Some(own)) = (callback.about, callback.param("CallSid")) else { return Ok(unknown(KIND)) };
    let report =
        progress::of_status(dialled_leg(&about), callback.param("CallStatus"), callback.seconds("CallDuration"));
    let mut tx = line.store.tenant(about.org).await?;
    let first = match (callback.param("ParentCallSid"), about.bridge) {
        (Some(parent), _) => Some(parent.to_owned()),
        (None, Some(bridge)) => match tx.bridge(bridge).await?.and_then(|bridge| bridge.accepted_sid) {
            Some(accepted) => Some(accepted),
            None => return Ok(unknown(KIND)),
        },
        (None, None) => None,
    };
    let sid = first.as_deref().unwrap_or(own);
    line.keep(tx, &about, callback, Fact { kind: KIND, sid, report }).await
}

#[cfg(test)]
mod tests {
    use apex_storage::model::call::{Leg, Progress, Report};

    use super::super::office::Office;
    use super::*;

    #[tokio::test]
    async fn the_customers_leg_is_filed_under_the_first_call() {
        let office = Office::open().await;
        let orphan = office.callback("voice/leg", "CallSid=CA2&CallStatus=ringing");
        assert_eq!(leg(office.line(), &orphan).await.unwrap(), None, "no call has the bridge");
        office.accept("CA1").await;
        for body in ["CallSid=CA2&ParentCallSid=CA1&CallStatus=ringing", "CallSid=CA2&CallStatus=in-progress"] {
            assert_eq!(
                leg(office.line(), &office.callback("voice/leg", body)).await.unwrap(),
                Some(office.nudge("call"))
            );
        }
        let row = |progress| ("leg".to_owned(), "CA1".to_owned(), Report::Leg { leg: Leg::Customer, progress });
        assert_eq!(office.reports().await, [row(Progress::Ringing), row(Progress::Answered)]);
    }
}
