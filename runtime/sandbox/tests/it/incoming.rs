//! Customers who call our number.

use apex_sandbox::{CallStatus, Direction, Incoming, Line, Script};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours};

const SECOND_BOSS: &str = "+64275559003";

fn incoming(ours: &Ours, path: &str) -> Incoming {
    Incoming {
        from: CUSTOMER.to_owned(),
        to: OUR_NUMBER.to_owned(),
        url: format!("{}{path}", ours.base),
        status_callback: Some(format!("{}/status", ours.base)),
    }
}

#[tokio::test]
async fn a_customer_who_calls_is_put_through_to_the_boss_who_takes_the_call() {
    let ours = Ours::start().await;
    let number = |to: &str| format!("<Number url=\"{{base}}/screen\" statusCallback=\"{{base}}/leg\">{to}</Number>");
    let dial = format!(
        "<Say>This call is recorded.</Say><Dial answerOnBridge=\"true\" record=\"record-from-answer-dual\" \
         action=\"{{base}}/after\">{}{}</Dial>",
        number(BOSS),
        number(SECOND_BOSS)
    );
    ours.script("/incoming", &dial);
    ours.script("/screen", "<Gather numDigits=\"1\" action=\"/accepted\"><Say>Press 1.</Say></Gather><Hangup/>");
    ours.script("/accepted", "");
    ours.sandbox.script(BOSS, Script::voicemail());
    ours.sandbox.script(CUSTOMER, Script::answers().talks(9, vec![Line::customer("I need a quote.")]));
    let sid = ours.sandbox.incoming(incoming(&ours, "/incoming"));
    let ledger = ours.until_quiet().await;

    let call = &ledger.calls[0];
    assert_eq!((call.direction, call.status, call.sid.as_str()), (Direction::Inbound, CallStatus::Completed, &*sid));
    let taken = ledger.calls_to(SECOND_BOSS)[0];
    assert_eq!((taken.pressed.join(""), taken.duration.map(|seconds| seconds >= 9)), ("1".to_owned(), Some(true)));
    assert_eq!(taken.from, CUSTOMER);
    assert!(ledger.calls_to(BOSS)[0].pressed.is_empty());
    assert_eq!(ledger.recordings[0].text, "Customer: I need a quote.");
    assert_eq!(ours.seen("/incoming")[0].get("CallStatus"), "ringing");
    assert_eq!(ours.seen("/accepted")[0].get("CallSid"), taken.sid);
    assert_eq!(ours.seen("/after")[0].get("DialCallSid"), taken.sid);
    assert_eq!(ledger.judge(), Vec::<String>::new());
    ours.until("told", |_| ours.told("/status", "CallStatus") == ["completed"]).await;
    ours.stop().await;
}

#[tokio::test]
async fn nobody_takes_the_call_and_the_customer_leaves_a_message() {
    let ours = Ours::start().await;
    ours.script("/incoming", &format!("<Dial action=\"/after\"><Number url=\"/screen\">{BOSS}</Number></Dial>"));
    ours.script("/screen", "<Gather numDigits=\"1\" action=\"/accepted\"/><Hangup/>");
    ours.script(
        "/after",
        "<Record maxLength=\"60\" action=\"{base}/left\" recordingStatusCallback=\"{base}/recording\"/>",
    );
    ours.script("/left", "<Hangup/>");
    ours.sandbox.script(BOSS, Script::answers().stays_silent());
    ours.sandbox.incoming(incoming(&ours, "/incoming"));
    let ledger = ours.until_quiet().await;
    assert_eq!(ours.seen("/after")[0].get("DialCallStatus"), "no-answer");
    assert_eq!(ours.seen("/left")[0].get("RecordingDuration"), "42");
    assert!(ledger.recordings[0].text.starts_with("Customer: ") && !ledger.recordings[0].text.contains("Boss:"));
    ours.until_seen("/recording", 1).await;
    ours.stop().await;
}

#[tokio::test]
async fn a_call_can_be_refused_without_answering_it() {
    for (verb, status) in [
        ("<Reject/>", CallStatus::NoAnswer),
        ("<Reject reason=\"busy\"/>", CallStatus::Busy),
        ("", CallStatus::Completed),
    ] {
        let ours = Ours::start().await;
        ours.script("/incoming", verb);
        ours.sandbox.incoming(incoming(&ours, "/incoming"));
        let ledger = ours.until_quiet().await;
        assert_eq!(ledger.calls[0].status, status, "{verb}");
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_script_before_the_connection_cannot_dial() {
    let ours = Ours::start().await;
    ours.script("/incoming", &format!("<Dial><Number url=\"{{base}}/screen\">{BOSS}</Number></Dial>"));
    ours.script("/screen", &format!("<Dial>{SECOND_BOSS}</Dial>"));
    ours.sandbox.incoming(incoming(&ours, "/incoming"));
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.violations.len(), 1, "{:?}", ledger.violations);
    assert!(ledger.calls_to(SECOND_BOSS).is_empty());
    ours.stop().await;
}
