//! Calls to the boss first.

use apex_sandbox::{CallStatus, Direction, Keypress, Line, Moment, RecordingStatus, Script};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours};

#[tokio::test]
async fn a_boss_who_presses_1_is_connected_and_the_talk_is_recorded() {
    let ours = Ours::start().await;
    let lines = vec![Line::boss("Kia ora"), Line::customer("The tap is dripping.")];
    ours.sandbox.script(CUSTOMER, Script::answers().talks(31, lines));
    let sid = ours.call_boss().await;
    let ledger = ours.until_quiet().await;

    let (call, legs) = (ledger.calls_to(BOSS)[0], ledger.legs_of(&sid));
    assert_eq!((call.status, call.direction), (CallStatus::Completed, Direction::OutboundApi));
    assert_eq!(call.pressed, ["1"]);
    let verbs: Vec<_> = call.twiml_fetches.iter().map(|fetch| fetch.verbs.join(" ")).collect();
    assert_eq!(verbs, ["Gather Hangup", "Dial", "Hangup"]);
    assert_eq!(legs.len(), 1);
    assert_eq!((legs[0].to.as_str(), legs[0].from.as_str()), (CUSTOMER, OUR_NUMBER));
    assert_eq!((legs[0].status, legs[0].duration), (CallStatus::Completed, Some(31)));
    assert!(call.duration > Some(31), "{call:?}");
    assert_eq!(ledger.recordings[0].text, "Boss: Kia ora\nCustomer: The tap is dripping.");
    assert_eq!(ledger.judge(), Vec::<String>::new());

    let events = ["initiated", "ringing", "in-progress", "completed"];
    ours.until_seen("/status", 4).await;
    ours.until_seen("/leg", 4).await;
    assert_eq!(ours.told("/status", "CallStatus"), events);
    assert_eq!(ours.told("/status", "SequenceNumber"), ["0", "1", "2", "3"]);
    assert_eq!(ours.told("/leg", "CallStatus"), events);
    assert!(ours.told("/leg", "ParentCallSid").iter().all(|parent| *parent == sid));
    ours.until_seen("/recording", 2).await;
    assert_eq!(ours.told("/recording", "RecordingStatus"), ["in-progress", "completed"]);
    let recorded = &ours.seen("/recording")[1];
    assert_eq!((recorded.get("CallSid"), recorded.get("RecordingDuration")), (sid.as_str(), "31"));
    let after = &ours.seen("/after")[0];
    assert_eq!((after.get("DialCallStatus"), after.get("DialCallDuration")), ("completed", "31"));
    assert_eq!(after.get("RecordingUrl"), recorded.get("RecordingUrl"));
    assert!(ours.all_seen().iter().all(|seen| seen.signed), "a request was signed wrongly");
    ours.until("all counted", |ledger| ledger.callbacks.sent == 10).await;
    ours.stop().await;
}

#[tokio::test]
async fn silence_a_wrong_key_and_voicemail_connect_nobody() {
    for (script, digits) in [
        (Script::answers().stays_silent(), ""),
        (Script::answers().presses("2"), "2"),
        (Script::voicemail(), ""),
        (Script { gather: Keypress::Press("1".to_owned()), ..Script::voicemail() }, ""),
    ] {
        let ours = Ours::start().await;
        ours.script("/connect", "<Say>Goodbye.</Say><Hangup/>");
        ours.sandbox.script(BOSS, script);
        ours.call_boss().await;
        let ledger = ours.until_quiet().await;
        assert_eq!(ours.told("/connect", "Digits"), [digits]);
        assert_eq!(ledger.calls.len(), 1);
        assert_eq!(ledger.calls[0].status, CallStatus::Completed);
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_phone_that_is_not_answered_fetches_no_script() {
    for (script, status) in [
        (Script::busy(), CallStatus::Busy),
        (Script::no_answer(), CallStatus::NoAnswer),
        (Script::failed(), CallStatus::Failed),
        (Script::answers().hangs_up_during(Moment::Ringing), CallStatus::Busy),
    ] {
        let ours = Ours::start().await;
        ours.sandbox.script(BOSS, script);
        ours.call_boss().await;
        let ledger = ours.until_quiet().await;
        assert_eq!((ledger.calls[0].status, ledger.calls[0].duration), (status, Some(0)));
        assert!(ours.seen("/whisper").is_empty());
        ours.until("told", |_| ours.told("/status", "CallStatus").last().is_some_and(|last| *last == status.as_str()))
            .await;
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_customer_who_does_not_answer_is_told_to_the_next_script() {
    for (script, status) in [
        (Script::busy(), "busy"),
        (Script::no_answer(), "no-answer"),
        (Script::failed(), "failed"),
        (Script::answers().hangs_up_during(Moment::Ringing), "busy"),
    ] {
        let ours = Ours::start().await;
        ours.sandbox.script(CUSTOMER, script);
        ours.call_boss().await;
        let ledger = ours.until_quiet().await;
        let after = &ours.seen("/after")[0];
        assert_eq!((after.get("DialCallStatus"), after.get("DialBridged")), (status, "false"));
        assert!(ledger.recordings.is_empty());
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_boss_may_hang_up_at_any_moment() {
    for (moment, fetched, recorded) in [
        (Moment::Whisper, vec!["/whisper"], false),
        (Moment::Dial, vec!["/whisper", "/connect", "/after"], false),
        (Moment::Talk, vec!["/whisper", "/connect", "/after"], true),
    ] {
        let ours = Ours::start().await;
        ours.sandbox.script(BOSS, Script::answers().hangs_up_during(moment));
        ours.call_boss().await;
        let ledger = ours.until_quiet().await;
        assert_eq!(ledger.calls[0].status, CallStatus::Completed);
        ours.until("all scripts", |ledger| ledger.calls[0].twiml_fetches.len() == fetched.len()).await;
        for path in fetched {
            assert_eq!(ours.seen(path).len(), 1, "{moment:?} {path}");
        }
        assert_eq!(!ledger.recordings.is_empty(), recorded, "{moment:?}");
        if moment == Moment::Dial {
            assert_eq!(ledger.calls[1].status, CallStatus::Canceled);
            assert_eq!(ours.seen("/after")[0].get("CallStatus"), "completed");
        }
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_talk_without_words_leaves_no_recording() {
    let ours = Ours::start().await;
    ours.sandbox.script(CUSTOMER, Script::answers().talks(0, Vec::new()));
    ours.call_boss().await;
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.recordings[0].status, RecordingStatus::Absent);
    ours.until_seen("/recording", 2).await;
    assert_eq!(ours.told("/recording", "RecordingStatus"), ["in-progress", "absent"]);
    assert_eq!(ours.seen("/after")[0].get("RecordingUrl"), "");
    ours.stop().await;
}

#[tokio::test]
async fn each_call_to_a_number_uses_its_next_script() {
    let ours = Ours::start().await;
    ours.sandbox.scripts(BOSS, vec![Script::no_answer(), Script::busy(), Script::answers()]);
    let mut ended = Vec::new();
    for effect in ["e1", "e2", "e3", "e4"] {
        let sid = ours.call_boss_for(effect).await;
        let ledger = ours.until_quiet().await;
        ended.extend(ledger.calls.iter().find(|call| call.sid == sid).map(|call| call.status));
    }
    let expected = [CallStatus::NoAnswer, CallStatus::Busy, CallStatus::Completed, CallStatus::Completed];
    assert_eq!(ended, expected);
    ours.stop().await;
}

#[tokio::test]
async fn a_script_that_came_with_the_call_is_run_and_the_whole_call_recorded() {
    let ours = Ours::start().await;
    let twiml = format!("<Response><Gather numDigits=\"1\" action=\"{}/connect\"/></Response>", ours.base);
    let callback = format!("{}/whole", ours.base);
    let form = [
        ("To", BOSS),
        ("From", OUR_NUMBER),
        ("Twiml", twiml.as_str()),
        ("Record", "true"),
        ("RecordingStatusCallback", callback.as_str()),
        ("MachineDetection", "Enable"),
    ];
    assert_eq!(ours.post("Calls.json", &form).await.0, 201);
    ours.until_quiet().await;
    let whole = ours.until_seen("/whole", 1).await;
    assert_eq!((whole[0].get("RecordingSource"), whole[0].get("RecordingChannels")), ("OutboundAPI", "1"));
    assert_eq!(ours.seen("/connect")[0].get("AnsweredBy"), "human");
    let ledger = ours.sandbox.ledger();
    assert_eq!(ledger.recordings.len(), 2);
    assert_eq!(ledger.recordings[0].text, ledger.recordings[1].text);
    assert_eq!(ledger.judge(), Vec::<String>::new());
    ours.stop().await;
}

#[tokio::test]
async fn whatever_twilio_would_not_run_is_a_broken_rule_and_ends_the_call() {
    let whole = "<Response><Hangup/></Response>";
    for (status, kind, body) in [
        (500, "text/xml", whole),
        (302, "text/xml", whole),
        (200, "application/json", "{}"),
        (200, "text/plain", whole),
        (200, "text/xml", "<Response><Say>a & b</Say></Response>"),
        (200, "text/xml", "<Response><Dance/></Response>"),
        (200, "text/xml", "<Response><Gather numDigits='1'/><Redirect/></Response>"),
    ] {
        let ours = Ours::start().await;
        ours.answer("/whisper", status, kind, body);
        ours.call_boss().await;
        let ledger = ours.until_quiet().await;
        assert_eq!(ledger.violations.len(), 1, "{status} {kind} {body}: {:?}", ledger.violations);
        assert_eq!(ledger.judge(), ledger.violations);
        assert_eq!(ledger.calls[0].status, CallStatus::Completed);
        ours.stop().await;
    }
}

#[tokio::test]
async fn a_program_that_is_down_breaks_no_rule() {
    let ours = Ours::start().await;
    let form = [("To", BOSS), ("From", OUR_NUMBER), ("Url", "http://127.0.0.1:9/whisper")];
    assert_eq!(ours.post("Calls.json", &form).await.0, 201);
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.unreachable.len(), 1, "{ledger:?}");
    assert_eq!(ledger.calls[0].twiml_fetches[0].status, 0);
    assert_eq!(ledger.judge(), Vec::<String>::new());
    ours.stop().await;
}

#[tokio::test]
async fn the_judge_finds_a_call_placed_twice() {
    let ours = Ours::start().await;
    ours.call_boss_for("e7").await;
    ours.call_boss_for("e7").await;
    let ledger = ours.until("both over", |ledger| ledger.calls.len() == 4 && ledger.is_quiet()).await;
    let found = ledger.judge();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("2 calls were placed for effect e7"), "{found:?}");
    assert!(found[1].starts_with("2 second legs were rung for bridge b1"), "{found:?}");
    ours.stop().await;
}
