//! Text messages.

use apex_sandbox::{Fault, Faults, MessageFate, MessageStatus, Script};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours};

#[tokio::test]
async fn a_message_travels_and_tells_of_it() {
    let ours = Ours::start().await;
    let callback = format!("{}/sms?effect=e1", ours.base);
    let form = [("To", BOSS), ("From", OUR_NUMBER), ("Body", "Tēnā koe"), ("StatusCallback", callback.as_str())];
    let (status, message) = ours.post("Messages.json", &form).await;
    assert_eq!((status, message["status"].as_str()), (201, Some("queued")));
    assert_eq!((message["num_segments"].as_str(), message["num_media"].as_str()), (Some("1"), Some("0")));
    ours.until_seen("/sms", 2).await;
    assert_eq!(ours.told("/sms", "MessageStatus"), ["sent", "delivered"]);
    let sid = message["sid"].as_str().unwrap();
    let (_, read) = ours.get(&format!("Messages/{sid}.json")).await;
    assert_eq!((read["status"].as_str(), read["error_code"].as_i64()), (Some("delivered"), None));
    let (_, list) = ours.get(&format!("Messages.json?To=%2B{}&From=%2B{}", &BOSS[1..], &OUR_NUMBER[1..])).await;
    assert_eq!(list["messages"].as_array().unwrap().len(), 1);
    let (_, none) = ours.get(&format!("Messages.json?To=%2B{}", &CUSTOMER[1..])).await;
    assert_eq!(none["messages"].as_array().unwrap().len(), 0);
    ours.stop().await;
}

#[tokio::test]
async fn a_message_may_be_refused_or_get_lost_on_its_way() {
    let ours = Ours::start().await;
    let form = [("To", BOSS), ("From", OUR_NUMBER), ("Body", "Hi")];
    for (fate, code) in [(MessageFate::OptedOut, 21610), (MessageFate::NotMobile, 21614)] {
        ours.sandbox.script(BOSS, Script::answers().messages(fate));
        let (status, body) = ours.post("Messages.json", &form).await;
        assert_eq!((status, body["code"].as_i64()), (400, Some(code)));
    }
    for (fate, status) in
        [(MessageFate::Undelivered, MessageStatus::Undelivered), (MessageFate::Failed, MessageStatus::Failed)]
    {
        ours.sandbox.script(BOSS, Script::answers().messages(fate));
        assert_eq!(ours.post("Messages.json", &form).await.0, 201);
        ours.until("ended", |ledger| ledger.messages.last().is_some_and(|message| message.status == status)).await;
    }
    assert_eq!(ours.sandbox.ledger().messages.len(), 2);
    for (form, code) in [
        (vec![("From", OUR_NUMBER), ("Body", "Hi")], 21604),
        (vec![("To", "+640"), ("From", OUR_NUMBER), ("Body", "Hi")], 21211),
        (vec![("To", BOSS), ("Body", "Hi")], 21603),
        (vec![("To", BOSS), ("From", OUR_NUMBER)], 21602),
    ] {
        assert_eq!(ours.post("Messages.json", &form).await.1["code"].as_i64(), Some(code));
    }
    ours.stop().await;
}

#[tokio::test]
async fn the_judge_finds_a_message_sent_twice_after_its_answer_was_lost() {
    let ours = Ours::start().await;
    let fail_next_messages = vec![Fault::DropAfterActing];
    ours.sandbox.faults(Faults { fail_next_messages, ..Faults::default() });
    let callback = format!("{}/sms?effect=e1", ours.base);
    let form = [("To", BOSS), ("From", OUR_NUMBER), ("Body", "Hi"), ("StatusCallback", callback.as_str())];
    assert!(ours.try_post("Messages.json", &form).await.is_err());
    assert_eq!(ours.sandbox.ledger().judge(), Vec::<String>::new());
    assert_eq!(ours.post("Messages.json", &form).await.0, 201);
    let found = ours.sandbox.ledger().judge();
    assert!(found.len() == 1 && found[0].starts_with("2 messages were sent for effect e1"), "{found:?}");
    ours.stop().await;
}
