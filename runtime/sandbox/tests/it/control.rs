//! Another process sets the scene.

use apex_sandbox::{CallStatus, Ledger};
use serde_json::{Value, json};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours};

async fn put(ours: &Ours, path: &str, body: &Value) -> u16 {
    let url = format!("{}/sandbox/{path}", ours.sandbox.url());
    ours.http.put(url).json(body).send().await.expect("an answer").status().as_u16()
}

async fn ledger(ours: &Ours) -> Ledger {
    let url = format!("{}/sandbox/ledger", ours.sandbox.url());
    ours.http.get(url).send().await.expect("an answer").json().await.expect("a ledger")
}

#[tokio::test]
async fn scripts_faults_and_the_ledger_are_there_over_http() {
    let ours = Ours::start().await;
    assert_eq!(put(&ours, &format!("scripts/{BOSS}"), &json!([{ "pickup": "busy" }, {}])).await, 204);
    let short = CUSTOMER.trim_start_matches('+');
    assert_eq!(put(&ours, &format!("scripts/{short}"), &json!({ "pickup": "no_answer" })).await, 204);
    assert_eq!(put(&ours, "scripts/default", &json!({ "gather": "silence" })).await, 204);
    assert_eq!(put(&ours, "scripts/default", &json!({ "dances": true })).await, 422);
    let lose = json!({ "kind": "status", "event": "ringing", "mishap": "lost" });
    assert_eq!(put(&ours, "faults", &json!({ "seed": 3, "callbacks": [lose] })).await, 204);
    assert_eq!(put(&ours, "faults", &json!({ "sead": 3 })).await, 422);
    ours.call_boss_for("e1").await;
    ours.call_boss_for("e2").await;
    ours.until("both", |ledger| ledger.calls.len() == 3 && ledger.is_quiet()).await;
    ours.until("all told", |ledger| ledger.callbacks.lost == 1).await;
    let found = ledger(&ours).await;
    assert_eq!(found.calls_to(BOSS).iter().filter(|call| call.status == CallStatus::Busy).count(), 1);
    assert_eq!(found.calls_to(CUSTOMER)[0].status, CallStatus::NoAnswer);
    let judge = ours.http.get(format!("{}/sandbox/judge", ours.sandbox.url())).send().await.unwrap();
    assert_eq!(judge.json::<Vec<String>>().await.unwrap(), Vec::<String>::new());
    let reset = ours.http.post(format!("{}/sandbox/reset", ours.sandbox.url())).send().await.unwrap();
    assert_eq!(reset.status().as_u16(), 204);
    assert_eq!(ledger(&ours).await, Ledger::default());
    ours.stop().await;
}

#[tokio::test]
async fn a_customer_can_be_made_to_call_and_the_page_says_what_this_is() {
    let ours = Ours::start().await;
    ours.script("/incoming", "<Say>Hi</Say>");
    let body = json!({ "from": CUSTOMER, "to": OUR_NUMBER, "url": format!("{}/incoming", ours.base) });
    let url = format!("{}/sandbox/incoming", ours.sandbox.url());
    let response = ours.http.post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 201);
    let sid = response.json::<Value>().await.unwrap()["call_sid"].as_str().unwrap().to_owned();
    let ledger = ours.until_quiet().await;
    assert_eq!(ledger.calls[0].sid, sid);
    let page = ours.http.get(format!("{}/sandbox", ours.sandbox.url())).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("1 calls and legs") && page.contains(&ours.sandbox.url()), "{page}");
    ours.stop().await;
}
