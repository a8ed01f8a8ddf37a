//! Many calls at once.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::stream;

use crate::ours::{BOSS, OUR_NUMBER, Ours, json};

const CALLS: usize = 3_000;
const AT_ONCE: usize = 64;

/// Every sid of a list, page by page.
async fn listed(ours: &Ours, query: &str) -> Vec<String> {
    let mut sids = Vec::new();
    let mut next = Some(format!("/2010-04-01/Accounts/{}/Calls.json?{query}", ours.options.account_sid));
    while let Some(path) = next {
        let request = ours.http.get(format!("{}{path}", ours.sandbox.url()));
        let request = request.basic_auth(&ours.options.account_sid, Some(&ours.options.auth_token));
        let (status, page) = json(request.send().await.expect("an answer")).await;
        assert_eq!(status, 200, "{page}");
        let calls = page["calls"].as_array().expect("a page of calls");
        sids.extend(calls.iter().map(|call| call["sid"].as_str().expect("a sid").to_owned()));
        next = page["next_page_uri"].as_str().map(str::to_owned);
    }
    sids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_calls_are_played_to_their_end_and_every_list_of_them_is_whole() {
    let ours = Ours::start().await;
    let numbers: Vec<_> = (0..50).map(|nth| format!("+6427555{:04}", 1_000 + nth)).collect();
    let place = |nth: usize| {
        let (ours, to) = (&ours, &numbers[nth % numbers.len()]);
        async move {
            let script = "<Response><Say>A word.</Say><Hangup/></Response>";
            let (status, call) = ours.post("Calls.json", &[("To", to), ("From", OUR_NUMBER), ("Twiml", script)]).await;
            assert_eq!(status, 201, "{call}");
            call["sid"].as_str().expect("a sid").to_owned()
        }
    };
    let placed: BTreeSet<_> = stream::iter(0..CALLS).map(place).buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(placed.len(), CALLS);
    ours.until_quiet().await;
    let so_far = ours.sandbox.summary();
    assert_eq!((so_far.calls, so_far.legs, so_far.under_way), (CALLS, 0, 0));
    let from = OUR_NUMBER.trim_start_matches('+');
    let (first, number) = (placed.iter().next().expect("a call"), numbers[7].trim_start_matches('+'));
    let day = ours.sandbox.read(|ledger| ledger.calls[0].created_at.format("%Y-%m-%d").to_string());
    for query in [format!("From=%2B{from}&PageSize=1000"), format!("StartTime%3E={day}&PageSize=700")] {
        let found = listed(&ours, &query).await;
        assert_eq!(found.len(), CALLS, "{query}");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), placed, "{query}");
    }
    assert_eq!(listed(&ours, &format!("To=%2B{number}&From=%2B{from}")).await.len(), CALLS / numbers.len());
    assert!(listed(&ours, &format!("To=%2B{}", BOSS.trim_start_matches('+'))).await.is_empty());
    assert_eq!(ours.get(&format!("Calls/{first}.json")).await.1["status"], "completed");
    assert!(ours.sandbox.judge().is_empty());
    ours.stop().await;
}
