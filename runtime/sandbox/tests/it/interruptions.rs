//! Calls that are ended, sent elsewhere or forgotten.

use apex_sandbox::{CallStatus, Options, RecordingStatus, Script};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours};

const LONG: u64 = 600_000;

#[tokio::test]
async fn a_ringing_call_can_be_cancelled() {
    let ours = Ours::start().await;
    ours.sandbox.script(BOSS, Script::answers().after_ms(20_000));
    let sid = ours.call_boss().await;
    ours.until("ringing", |ledger| ledger.calls[0].status == CallStatus::Ringing).await;
    assert_eq!(ours.post(&format!("Calls/{sid}.json"), &[("Status", "canceled")]).await.0, 200);
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.calls[0].status, CallStatus::Canceled);
    ours.until("told", |_| ours.told("/status", "CallStatus") == ["initiated", "ringing", "canceled"]).await;
    assert_eq!(ours.post(&format!("Calls/{sid}.json"), &[("Status", "canceled")]).await.0, 200);
    ours.stop().await;
}

#[tokio::test]
async fn hanging_up_a_live_call_ends_its_second_leg_and_its_recording() {
    let ours = Ours::start().await;
    ours.sandbox.script(CUSTOMER, Script::answers().talk_lasts_ms(LONG));
    let sid = ours.call_boss().await;
    ours.until("recording", |ledger| !ledger.recordings.is_empty()).await;
    let cancel = ours.post(&format!("Calls/{sid}.json"), &[("Status", "canceled")]).await;
    assert_eq!(cancel.0, 200, "a call in progress is not affected");
    assert_eq!(ours.post(&format!("Calls/{sid}.json"), &[("Status", "completed")]).await.0, 200);
    let ledger = ours.until_quiet().await;
    assert!(ledger.calls.iter().all(|call| call.status == CallStatus::Completed), "{ledger:?}");
    assert_eq!(ledger.recordings[0].status, RecordingStatus::Completed);
    ours.until_seen("/leg", 4).await;
    ours.until_seen("/status", 4).await;
    ours.until_seen("/recording", 2).await;
    ours.stop().await;
}

#[tokio::test]
async fn a_live_call_can_be_sent_to_another_script() {
    let ours = Ours::start().await;
    ours.script("/elsewhere", "<Say>Sorry.</Say><Hangup/>");
    ours.sandbox.script(CUSTOMER, Script::answers().after_ms(20_000));
    let sid = ours.call_boss().await;
    ours.until("leg rings", |ledger| {
        ledger.calls_to(CUSTOMER).first().is_some_and(|leg| leg.status == CallStatus::Ringing)
    })
    .await;
    let url = format!("{}/elsewhere", ours.base);
    assert_eq!(ours.post(&format!("Calls/{sid}.json"), &[("Url", &url)]).await.0, 200);
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.calls_to(CUSTOMER)[0].status, CallStatus::Canceled);
    assert_eq!(ledger.calls_to(BOSS)[0].twiml_fetches.last().unwrap().verbs, ["Say", "Hangup"]);
    let (status, body) = ours.post(&format!("Calls/{sid}.json"), &[("Url", &url)]).await;
    assert_eq!((status, body["code"].as_i64()), (400, Some(21220)));
    ours.stop().await;
}

#[tokio::test]
async fn a_reset_forgets_everything_and_nothing_comes_after_it() {
    let ours = Ours::start().await;
    ours.sandbox.script(BOSS, Script::answers().after_ms(20_000));
    ours.call_boss().await;
    ours.until("ringing", |ledger| ledger.calls[0].status == CallStatus::Ringing).await;
    ours.until_seen("/status", 2).await;
    ours.sandbox.reset();
    assert_eq!(ours.sandbox.ledger(), apex_sandbox::Ledger::default());
    ours.call_boss().await;
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.calls_to(BOSS)[0].pressed, ["1"], "the script before the reset is forgotten");
    ours.until_seen("/status", 6).await;
    assert_eq!(ours.told("/status", "CallStatus")[2..], ["initiated", "ringing", "in-progress", "completed"]);
    ours.stop().await;
}

#[tokio::test]
async fn calls_beyond_the_accounts_rate_wait_in_its_queue() {
    let ours = Ours::start_with(Options { calls_per_second: Some(4), ..Options::default() }).await;
    for effect in ["e1", "e2", "e3"] {
        ours.call_boss_for(effect).await;
    }
    let ledger = ours.until_quiet().await;
    let mut starts: Vec<_> = ledger
        .calls_to(BOSS)
        .iter()
        .map(|call| call.created_at.timestamp_millis() + i64::try_from(call.queue_ms).unwrap())
        .collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] > 150), "one every 250 ms: {starts:?}");
    ours.stop().await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_in_time_stops_ringing() {
    let ours = Ours::start().await;
    ours.sandbox.script(CUSTOMER, Script::answers().after_ms(LONG));
    let dial = format!("<Dial timeout=\"1\" action=\"{{base}}/after\">{CUSTOMER}</Dial>");
    ours.script("/connect", &dial);
    ours.call_boss().await;
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.calls_to(CUSTOMER)[0].status, CallStatus::NoAnswer);
    assert_eq!(ledger.calls_to(CUSTOMER)[0].from, OUR_NUMBER);
    ours.stop().await;
}
