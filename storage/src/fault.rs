//! Named points between two lines of I/O where tests make the program panic, stall or die.
//!
//! Armed once at start from `APEX_FAULTS`, as in `call.sending.committed=exit,accountant.handle=panic*11`: an action and how
//! often it strikes. Unarmed, a point costs one atomic load. Production refuses to be armed.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::model::named;

named! {
    /// Every point there is; `apex faults` lists them, so that a new one cannot be forgotten.
    Fault {
        /// A lead is committed, its answer not sent.
        IntakeCommitted = "intake.committed",
        /// A call ticket is in hand, nothing decided.
        CallBegun = "call.begun",
        /// Bridge and intent are committed, nothing sent.
        CallIntended = "call.intended",
        /// The effect is marked as being sent, nothing sent.
        CallSending = "call.sending",
        /// The provider has answered, nothing noted.
        CallAnswered = "call.answered",
        /// The call is known to be live.
        CallLive = "call.live",
        /// The provider has said what it knows of an unclear call or text, nothing noted.
        CallLookedUp = "call.looked_up",
        /// The provider has ended a call that is not wanted, nothing noted.
        CallHungUp = "call.hung_up",
        /// The end of the bridge is committed: lead, bill and text.
        CallClosed = "call.closed",
        /// A person's verdict on effects is committed, nobody nudged.
        EffectDecided = "effect.decided",
        /// A ticket is begun once more, nobody nudged.
        TicketRetried = "ticket.retried",
        /// The tickets of a schedule's run are committed, nobody nudged.
        ScheduleFired = "schedule.fired",
        /// A callback is committed, its answer not sent.
        CallbackCommitted = "callback.committed",
        /// New stages are journalled.
        CallNoted = "call.noted",
        /// The recording is in our store, the journal does not say so.
        RecordingStored = "recording.stored",
        /// The transcript is here, nothing noted.
        Transcribed = "call.transcribed",
        /// The analysis is here, nothing noted.
        Analysed = "call.analysed",
        /// The ticket's end is committed, nobody told.
        TicketEnded = "ticket.ended",
        /// The text message is marked as being sent, nothing sent.
        SmsSending = "sms.sending",
        /// The provider has taken the text message, nothing noted.
        SmsAnswered = "sms.answered",
        /// The accountant has a message in hand.
        AccountantHandle = "accountant.handle",
        /// The sales bridge has a message in hand.
        SalesBridgeHandle = "sales_bridge.handle",
        /// The project actor has a message in hand.
        ProjectHandle = "project.handle",
    }
}

/// What a point does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Panic,
    Exit,
    Stall,
}

/// How long a stall lasts: longer than any patience of a test.
const STALL: Duration = Duration::from_mins(10);
/// The exit status of a planted death.
const EXIT: i32 = 86;

static ARMED: OnceLock<Mutex<HashMap<Fault, (Action, u32)>>> = OnceLock::new();

/// Arms points for the life of the process.
///
/// # Errors
///
/// Says which part of the text is not `point=panic|exit|stall` with an optional `*count`.
pub fn arm(text: &str) -> Result<(), String> {
    let mut armed = HashMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (point, action) = part.split_once('=').ok_or_else(|| format!("{part:?} is not point=action"))?;
        let (action, times) = action.split_once('*').unwrap_or((action, "1"));
        let action = match action {
            "panic" => Action::Panic,
            "exit" => Action::Exit,
            "stall" => Action::Stall,
            other => return Err(format!("{other:?} is none of panic, exit, stall")),
        };
        let times = times.parse().map_err(|_| format!("{times:?} is not a count"))?;
        armed.insert(point.parse().map_err(|error: crate::model::UnknownName| error.to_string())?, (action, times));
    }
    ARMED.set(Mutex::new(armed)).map_err(|_| "faults are armed already".to_owned())
}

/// Passes the point, unless it is armed.
///
/// # Panics
///
/// When the point is armed to.
pub async fn pass(point: Fault) {
    let Some(armed) = ARMED.get() else { return };
    let Some(action) = strike(armed, point) else { return };
    tracing::warn!(fault.point = %point, fault.action = ?action, "a planted fault strikes");
    match action {
        Action::Panic => panic!("planted at {point}"),
        Action::Exit => std::process::exit(EXIT),
        Action::Stall => tokio::time::sleep(STALL).await,
    }
}

fn strike(armed: &Mutex<HashMap<Fault, (Action, u32)>>, point: Fault) -> Option<Action> {
    let mut armed = armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (action, left) = armed.get_mut(&point)?;
    if *left == 0 {
        return None;
    }
    *left -= 1;
    Some(*action)
}
