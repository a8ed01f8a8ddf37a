//! The REST API: credentials, shapes, lists, recordings.

use apex_sandbox::{Faults, Script};

use crate::ours::{BOSS, CUSTOMER, OUR_NUMBER, Ours, json};

#[tokio::test]
async fn only_the_accounts_own_credentials_are_taken() {
    let ours = Ours::start().await;
    let account = ours.options.account_sid.clone();
    let request = || ours.http.get(ours.rest("Calls.json"));
    let wrong = [request(), request().basic_auth(&account, Some("x")), request().basic_auth("AC1", None::<&str>)];
    for request in wrong {
        let response = request.send().await.unwrap();
        assert!(response.headers()["twilio-request-id"].to_str().unwrap().starts_with("RQ"));
        let (status, body) = json(response).await;
        assert_eq!((status, body["code"].as_i64()), (401, Some(20003)));
    }
    let whole = format!("{}/2010-04-01/Accounts/{account}.json", ours.sandbox.url());
    let (status, body) =
        json(ours.http.get(whole).basic_auth(&account, Some(&ours.options.auth_token)).send().await.unwrap()).await;
    assert_eq!((status, body["status"].as_str()), (200, Some("active")));
    assert_eq!(ours.get("Calls/CA1.json").await.1["code"], 20404);
    assert_eq!(ours.get("Nothing.json").await.0, 404);
    ours.stop().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_placed_is_refused_with_twilios_code() {
    let ours = Ours::start().await;
    let url = "https://h.example/whisper";
    for (form, code) in [
        (vec![("From", OUR_NUMBER), ("Url", url)], 21201),
        (vec![("To", "+640"), ("From", OUR_NUMBER), ("Url", url)], 21211),
        (vec![("To", BOSS), ("Url", url)], 21213),
        (vec![("To", BOSS), ("From", "us"), ("Url", url)], 21212),
        (vec![("To", BOSS), ("From", OUR_NUMBER)], 21205),
        (vec![("To", BOSS), ("From", OUR_NUMBER), ("Url", "/whisper")], 21205),
        (vec![("To", BOSS), ("From", OUR_NUMBER), ("Url", url), ("StatusCallback", "x")], 21609),
    ] {
        let (status, body) = ours.post("Calls.json", &form).await;
        assert_eq!((status, body["code"].as_i64()), (400, Some(code)), "{body}");
        assert_eq!(body["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
    }
    assert!(ours.sandbox.ledger().calls.is_empty());
    ours.stop().await;
}

#[tokio::test]
async fn a_call_has_twilios_shape_from_queue_to_end() {
    let ours = Ours::start().await;
    let sid = ours.call_boss().await;
    ours.until_quiet().await;
    let (_, call) = ours.get(&format!("Calls/{sid}.json")).await;
    assert_eq!((call["status"].as_str(), call["direction"].as_str()), (Some("completed"), Some("outbound-api")));
    assert!(call["duration"].as_str().unwrap().parse::<u32>().unwrap() > 42, "{call}");
    assert_eq!((&call["parent_call_sid"], &call["answered_by"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert!(call["start_time"].as_str().unwrap().ends_with(" +0000"), "{call}");
    assert_eq!(call["queue_time"], "0");
    assert_eq!(call["uri"], format!("/2010-04-01/Accounts/{}/Calls/{sid}.json", ours.options.account_sid));
    ours.stop().await;
}

#[tokio::test]
async fn calls_are_found_by_number_parent_status_and_day() {
    let ours = Ours::start().await;
    ours.sandbox.script(CUSTOMER, Script::busy());
    let mut sids = Vec::new();
    for effect in ["e1", "e2", "e3"] {
        sids.push(ours.call_boss_for(effect).await);
        ours.until_quiet().await;
    }
    let (boss, us) = (format!("To=%2B{}", &BOSS[1..]), format!("From=%2B{}", &OUR_NUMBER[1..]));
    let today = ours.sandbox.ledger().calls[0].created_at.format("%Y-%m-%d").to_string();
    for (query, found) in [
        (String::new(), 6),
        (boss.clone(), 3),
        (format!("{boss}&{us}"), 3),
        (format!("{boss}&From=%2B64275559999"), 0),
        (format!("ParentCallSid={}", sids[1]), 1),
        ("Status=busy".to_owned(), 3),
        (format!("{boss}&StartTime%3E={today}"), 3),
        (format!("{boss}&StartTime>={today}&StartTime%3C=2000-01-01"), 0),
    ] {
        let (_, list) = ours.get(&format!("Calls.json?{query}")).await;
        assert_eq!(list["calls"].as_array().unwrap().len(), found, "{query}");
        assert_eq!(list["next_page_uri"], serde_json::Value::Null);
    }
    let (_, first) = ours.get(&format!("Calls.json?{boss}&PageSize=2")).await;
    assert_eq!(first["calls"][0]["sid"], sids[2].as_str(), "newest first");
    let next = format!("{}{}", ours.sandbox.url(), first["next_page_uri"].as_str().unwrap());
    let request = ours.http.get(next).basic_auth(&ours.options.account_sid, Some(&ours.options.auth_token));
    let (_, second) = json(request.send().await.unwrap()).await;
    assert_eq!(second["calls"][0]["sid"], sids[0].as_str());
    assert_eq!(second["next_page_uri"], serde_json::Value::Null);
    ours.stop().await;
}

#[tokio::test]
async fn a_recording_can_be_found_heard_and_deleted() {
    let ours = Ours::start().await;
    ours.sandbox.faults(Faults { media_missing_tries: 2, ..Faults::default() });
    let sid = ours.call_boss().await;
    ours.until_quiet().await;
    let (_, list) = ours.get(&format!("Recordings.json?CallSid={sid}")).await;
    let recording = list["recordings"][0].clone();
    assert_eq!(ours.get(&format!("Calls/{sid}/Recordings.json")).await.1["recordings"][0], recording);
    assert_eq!((recording["duration"].as_str(), recording["channels"].as_i64()), (Some("42"), Some(2)));
    let file = format!("Recordings/{}", recording["sid"].as_str().unwrap());
    for status in [404, 404, 200] {
        assert_eq!(ours.get(&format!("{file}.wav")).await.0, status);
    }
    let request = || ours.http.get(ours.rest(&format!("{file}.mp3")));
    assert_eq!(request().send().await.unwrap().status().as_u16(), 401);
    let heard = request().basic_auth(&ours.options.account_sid, Some(&ours.options.auth_token)).send().await.unwrap();
    assert_eq!(heard.headers()["content-type"], "audio/mpeg");
    assert_eq!(&heard.bytes().await.unwrap()[..4], b"RIFF");
    let delete = ours.http.delete(ours.rest(&format!("{file}.json")));
    let gone = delete.basic_auth(&ours.options.account_sid, Some(&ours.options.auth_token)).send().await.unwrap();
    assert_eq!(gone.status().as_u16(), 204);
    assert_eq!(ours.get(&format!("{file}.wav")).await.0, 404);
    assert_eq!(ours.get(&format!("{file}.json")).await.1["status"], "deleted");
    ours.stop().await;
}
