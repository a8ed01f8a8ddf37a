//! What goes wrong on purpose.

use std::collections::BTreeSet;

use apex_sandbox::{Burst, CallbackFault, CallbackKind, Chances, Fault, Faults, Mishap, RequestChances};

use crate::ours::{Ours, call_form, json};

async fn statuses(faults: Faults, expected: usize) -> Vec<String> {
    let ours = Ours::start().await;
    ours.sandbox.faults(faults);
    ours.call_boss().await;
    ours.until_quiet().await;
    ours.until_seen("/status", expected).await;
    let told = ours.told("/status", "CallStatus");
    ours.stop().await;
    told
}

fn exactly(event: &str, mishap: Mishap) -> Faults {
    Faults { callbacks: vec![CallbackFault::always(CallbackKind::Status, event, mishap)], ..Faults::default() }
}

#[tokio::test]
async fn a_lost_callback_is_never_posted() {
    let ours = Ours::start().await;
    ours.sandbox.faults(exactly("completed", Mishap::Lost));
    ours.call_boss().await;
    ours.until("lost", |ledger| ledger.callbacks.lost == 1 && ledger.callbacks.sent == 9).await;
    assert_eq!(ours.told("/status", "CallStatus"), ["initiated", "ringing", "in-progress"]);
    ours.stop().await;
}

#[tokio::test]
async fn a_doubled_callback_is_posted_twice() {
    let told = statuses(exactly("ringing", Mishap::Doubled), 5).await;
    assert_eq!(told, ["initiated", "ringing", "ringing", "in-progress", "completed"]);
}

#[tokio::test]
async fn a_reordered_callback_comes_after_its_successor() {
    let told = statuses(exactly("initiated", Mishap::Reordered), 4).await;
    assert_eq!(told, ["ringing", "initiated", "in-progress", "completed"]);
    let told = statuses(exactly("completed", Mishap::Reordered), 4).await;
    assert_eq!(told, ["initiated", "ringing", "in-progress", "completed"]);
}

#[tokio::test]
async fn a_late_callback_comes_after_all_that_is_in_time() {
    let told = statuses(exactly("ringing", Mishap::Late(1500)), 4).await;
    assert_eq!(told, ["initiated", "in-progress", "completed", "ringing"]);
}

#[tokio::test]
async fn chances_lose_everything_or_nothing_at_their_ends() {
    let ours = Ours::start().await;
    let all = Chances { lost: 100, ..Chances::default() };
    ours.sandbox.faults(Faults { leg: all, recording: all, ..Faults::default() });
    ours.call_boss().await;
    ours.until("six lost", |ledger| ledger.callbacks.lost == 6 && ledger.callbacks.sent == 4).await;
    assert!(ours.seen("/leg").is_empty() && ours.seen("/recording").is_empty());
    ours.stop().await;
}

#[tokio::test]
async fn a_callback_that_is_not_taken_is_not_posted_again() {
    let ours = Ours::start().await;
    ours.answer("/status", 503, "text/plain", "no");
    ours.call_boss().await;
    let ledger = ours.until("four failed", |ledger| ledger.callbacks.failed.len() == 4).await;
    assert!(ledger.callbacks.failed.iter().all(|failed| failed.status == 503));
    assert_eq!(ours.seen("/status").len(), 4);
    ours.stop().await;
}

#[tokio::test]
async fn a_request_may_fail_before_or_after_it_acted() {
    let ours = Ours::start().await;
    ours.sandbox.faults(Faults {
        fail_next_calls: vec![
            Fault::too_many(7),
            Fault::http(500),
            Fault::TimeoutWithoutActing,
            Fault::DropWithoutActing,
            Fault::TimeoutAfterActing,
            Fault::DropAfterActing,
        ],
        ..Faults::default()
    });
    let url = format!("{}/whisper", ours.base);
    let form = call_form(&url, &url);
    let busy = ours.try_post("Calls.json", &form).await.unwrap();
    assert_eq!(busy.headers()["retry-after"], "7");
    let (status, body) = json(busy).await;
    assert_eq!((status, body["code"].as_i64()), (429, Some(20429)));
    assert_eq!(ours.post("Calls.json", &form).await.0, 500);
    for (acted, is_timeout) in [(0, true), (0, false), (1, true), (2, false)] {
        let error = ours.try_post("Calls.json", &form).await.unwrap_err();
        assert_eq!(error.is_timeout(), is_timeout, "{error:?}");
        let placed = ours.sandbox.ledger().calls.iter().filter(|call| call.parent_sid.is_none()).count();
        assert_eq!(placed, acted);
    }
    assert_eq!(ours.post("Calls.json", &form).await.0, 201);
    ours.stop().await;
}

#[tokio::test]
async fn requests_fail_by_chance_and_in_bursts() {
    let ours = Ours::start().await;
    let url = format!("{}/whisper", ours.base);
    let form = call_form(&url, &url);
    let always = |chances| Faults { calls: chances, ..Faults::default() };
    ours.sandbox.faults(always(RequestChances { server_error_after_acting: 100, ..RequestChances::default() }));
    assert_eq!(ours.post("Calls.json", &form).await.0, 500);
    assert_eq!(ours.sandbox.summary().calls, 1, "it acted all the same");
    ours.sandbox.faults(always(RequestChances { server_error: 100, ..RequestChances::default() }));
    assert_eq!(ours.post("Calls.json", &form).await.0, 500);
    ours.sandbox.faults(always(RequestChances { too_many: 100, ..RequestChances::default() }));
    let refused = ours.try_post("Calls.json", &form).await.unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (429, &b"1"[..]));
    assert_eq!(ours.sandbox.summary().calls, 1, "refused is not placed");
    ours.sandbox.faults(Faults { bursts: vec![Burst { every: 3, length: 2, status: 503 }], ..Faults::default() });
    for expected in [503, 503, 200, 503] {
        assert_eq!(ours.get("Calls.json").await.0, expected, "a burst hits whatever is asked");
    }
    ours.stop().await;
}

#[tokio::test]
async fn late_callbacks_do_not_hold_up_the_stop() {
    let ours = Ours::start().await;
    ours.sandbox.faults(exactly("completed", Mishap::Late(180_000)));
    ours.call_boss().await;
    ours.until("put off", |ledger| ledger.callbacks.late == 1).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), ours.stop()).await.unwrap();
}

#[tokio::test]
async fn the_same_seed_fails_the_same_way() {
    let mut told = BTreeSet::new();
    for _ in 0..3 {
        let ours = Ours::start().await;
        let status = Chances { lost: 50, doubled: 50, reordered: 50, ..Chances::default() };
        ours.sandbox.faults(Faults { seed: 11, status, leg: status, recording: status, ..Faults::default() });
        ours.call_boss().await;
        let events = 10;
        ours.until("every event posted or lost", |ledger| {
            let callbacks = &ledger.callbacks;
            let posted = ["/status", "/leg", "/recording"].iter().map(|path| ours.seen(path).len() as u64).sum::<u64>();
            callbacks.sent + callbacks.lost == events + callbacks.doubled && posted == callbacks.sent
        })
        .await;
        told.insert(format!("{:?} {:?}", ours.told("/status", "CallStatus"), ours.told("/leg", "CallStatus")));
        ours.stop().await;
    }
    assert_eq!(told.len(), 1, "{told:?}");
}
