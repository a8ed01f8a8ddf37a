//! Whoever asks for too much is told when to come again, and disturbs nobody else; leads come through whatever happens.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use apex_tests::client::PASSWORD;
use apex_tests::{Apex, Client, GoogleLead, on_both_stores, wait};
use futures::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const ORGANIZATION: &str = "APEX_ORGANIZATION_PER_SECOND";
const ADDRESS: &str = "APEX_ADDRESS_PER_SECOND";
const LOGINS: &str = "APEX_LOGINS_PER_MINUTE";
/// A path of somebody signed in.
const ME: &str = "/api/v1/users/me";
/// A request whose body is announced and never whole.
const HALF_A_LOGIN: &str =
    "POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
/// Time between two requests of a client in a rush.
const PACE: Duration = Duration::from_millis(40);

struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Told {
    fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.parse().ok()
    }

    /// Whether it was refused for being too much; if so, it says all there is to say.
    fn is_limited(&self) -> bool {
        if self.status != 429 {
            return false;
        }
        assert_eq!((&self.body["code"], &self.body["status"]), (&json!("rate_limited"), &json!(429)), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let seconds = self.number("retry-after").expect("Retry-After in seconds");
        assert!(seconds >= 1 && self.body["retry_after"] == seconds, "{}", self.body);
        assert_eq!(self.number("x-ratelimit-remaining"), Some(0), "{:?}", self.headers);
        assert!(self.number("x-ratelimit-limit").is_some_and(|limit| limit > 0), "{:?}", self.headers);
        assert!(self.number("x-ratelimit-reset").is_some_and(|reset| reset >= 1), "{:?}", self.headers);
        true
    }
}

async fn ask(request: RequestBuilder) -> Told {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Told { status, headers, body: response.json().await.unwrap_or(Value::Null) }
}

async fn me(client: &Client) -> Told {
    ask(client.request(Method::GET, ME)).await
}

/// Many at once.
async fn flood(times: usize, request: impl Fn() -> RequestBuilder) -> Vec<Told> {
    join_all((0..times).map(|_| ask(request()))).await
}

/// How many got which status.
fn statuses(told: &[Told]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for told in told {
        let limited = told.is_limited();
        assert_eq!(limited, told.status == 429);
        *counts.entry(told.status).or_default() += 1;
    }
    counts
}

fn login(client: &Client, email: &str, password: &str) -> RequestBuilder {
    client.request(Method::POST, "/api/v1/auth/login").json(&json!({"email": email, "password": password}))
}

async fn limited_by(apex: &Apex, tier: &str) -> bool {
    let metrics = reqwest::get(format!("{}/metrics", apex.admin())).await.expect("an answer");
    let line = format!("apex_rate_limited_total{{tier=\"{tier}\"}} ");
    metrics.text().await.expect("text").lines().any(|text| text.starts_with(&line) && !text.ends_with(" 0"))
}

/// Leads of the project, read page by page within the organisation's share.
async fn stored(owner: &Client) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let path = format!("/api/v1/leads?project_id=kereru&limit=200{cursor}");
        let page = wait::until(
            async || Some(ask(owner.request(Method::GET, &path)).await).filter(|told| told.status == 200),
            "a page of leads",
        )
        .await
        .body;
        count += page["data"].as_array().expect("a page").len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

on_both_stores! {
    async fn an_organisation_that_asks_too_much_is_told_when_to_come_again(builder) {
        let apex = builder.env(ORGANIZATION, "1").start().await;
        let (busy, quiet) = (apex.owner("busy@kereru.example").await, apex.owner("quiet@tui.example").await);
        let first = me(&busy).await;
        assert_eq!((first.status, first.number("x-ratelimit-limit"), first.number("x-ratelimit-remaining")), (200, Some(2), Some(1)));
        let counts = statuses(&flood(40, || busy.request(Method::GET, ME)).await);
        assert!(counts.keys().all(|status| [200, 429].contains(status)) && counts.contains_key(&429), "{counts:?}");
        assert_eq!(me(&quiet).await.status, 200, "another organisation is not disturbed");
        wait::until(async || me(&busy).await.status == 200, "the organisation's next share").await;
        assert!(limited_by(&apex, "organization").await);
    }

    async fn nobody_has_less_than_somebody_signed_in(builder) {
        let apex = builder.env(ADDRESS, "1").start().await;
        let (stranger, owner) = (apex.client(), apex.owner("owner@kereru.example").await);
        for client in [&stranger, &stranger.with_token("no.such.token"), &stranger.with_token("apx_no_such_key")] {
            let counts = statuses(&flood(40, || client.request(Method::GET, ME)).await);
            assert!(counts.keys().all(|status| [401, 429].contains(status)) && counts.contains_key(&429), "{counts:?}");
        }
        for _ in 0..20 {
            assert_eq!(me(&owner).await.status, 200, "a valid token is not the address's");
            assert_eq!(ask(stranger.request(Method::GET, "/health")).await.status, 200);
            assert_eq!(ask(stranger.request(Method::GET, "/docs")).await.status, 200);
        }
        wait::until(async || me(&stranger).await.status == 401, "the address's next share").await;
        assert!(limited_by(&apex, "address").await);
    }

    async fn a_flood_of_wrong_passwords_is_slowed_and_the_right_one_ends_it(builder) {
        let apex = builder.env(LOGINS, "20").start().await;
        let (mine, other, client) = ("owner@kereru.example", "other@tui.example", apex.client());
        client.register(mine).await;
        client.register(other).await;
        let counts = statuses(&flood(60, || login(&client, mine, "wrong horse battery")).await);
        assert!(counts.keys().all(|status| [401, 429].contains(status)) && counts.contains_key(&429), "{counts:?}");
        assert!(counts[&401] >= 20, "{counts:?}");
        assert!(client.try_login(other, PASSWORD).await.0.is_success(), "another person is not disturbed");
        wait::until(async || ask(login(&client, mine, PASSWORD)).await.status == 200, "the turn of the right one").await;
        let again = ask(login(&client, mine, "wrong horse battery")).await;
        assert_eq!(again.status, 401, "the right one cleared the count");
        assert!(limited_by(&apex, "login_email").await);
    }

    async fn an_address_that_tries_many_people_is_slowed_and_another_is_not(builder) {
        let apex = builder.env(LOGINS, "10").env(ADDRESS, "1000").start().await;
        let client = apex.client();
        client.register("owner@kereru.example").await;
        let tries = join_all((0..40).map(|nth| {
            ask(login(&client, &format!("guess-{nth}@kereru.example"), PASSWORD))
        })).await;
        let counts = statuses(&tries);
        assert!(counts.keys().all(|status| [401, 429].contains(status)) && counts.contains_key(&429), "{counts:?}");
        let elsewhere = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, 2])).build();
        let elsewhere = elsewhere.expect("a client of another address");
        let body = json!({"email": "owner@kereru.example", "password": PASSWORD});
        for _ in 0..15 {
            let answer = elsewhere.post(format!("{}/api/v1/auth/login", apex.api())).json(&body);
            assert_eq!(ask(answer).await.status, 200, "another address is not disturbed, and right ones are not counted");
        }
        assert!(limited_by(&apex, "login_address").await);
    }

    async fn a_lead_with_the_right_key_always_comes_through(builder) {
        let apex = builder.env(ORGANIZATION, "1").env(ADDRESS, "1").start().await;
        let owner = apex.owner("owner@kereru.example").await;
        let project = owner.create_project("kereru", "+64275550100").await;
        assert!(statuses(&flood(40, || owner.request(Method::GET, ME)).await).contains_key(&429));
        let (path, client) = (Client::v1("/webhooks/google-ads?project_id=kereru"), apex.client());
        let lead = |nth: usize, key: &str| {
            let form = GoogleLead::new(&format!("lead-{nth}"), "+64275559001").test();
            client.request(Method::POST, &path).json(&form.json(key))
        };
        let wrong = statuses(&flood(40, || lead(0, "moa")).await);
        assert!(wrong.keys().all(|status| [403, 429].contains(status)) && wrong.contains_key(&429), "{wrong:?}");
        let right = join_all((1..=40).map(|nth| ask(lead(nth, &project.google_key)))).await;
        assert_eq!(statuses(&right), BTreeMap::from([(200, 40)]));
        for nth in 0..20 {
            let body = format!("name=Mere&phone=027+555+9001&message=number+{nth}");
            let answer = owner.wordpress_lead(&project, "application/x-www-form-urlencoded", &body).await;
            assert!(answer.0.is_success(), "{answer:?}");
        }
        let unsigned = statuses(&flood(20, || client.request(Method::POST, "/api/v1/voice/status")).await);
        assert!(unsigned.keys().all(|status| [403, 429].contains(status)) && unsigned.contains_key(&429), "{unsigned:?}");
    }

    async fn a_node_that_is_full_refuses_all_but_leads(builder) {
        let apex = builder.env("APEX_NODE_PERMITS", "1").env("APEX_PROJECT_PERMITS", "1").start().await;
        let owner = apex.owner("owner@kereru.example").await;
        let project = owner.create_project("kereru", "+64275550100").await;
        let address = apex.api().strip_prefix("http://").expect("our own address");
        // One that meets another request in hand is refused itself: then the next one tries.
        let mut slow = Vec::new();
        let is_full = async || {
            let mut half = TcpStream::connect(address).await.expect("the program listens");
            half.write_all(HALF_A_LOGIN.as_bytes()).await.expect("half a request is sent");
            slow.push(half);
            me(&owner).await.status == 503
        };
        wait::until(is_full, "the one request in hand").await;
        let refused = me(&owner).await;
        assert_eq!((refused.status, refused.number("retry-after")), (503, Some(1)), "{}", refused.body);
        assert_eq!((&refused.body["code"], &refused.body["retry_after"]), (&json!("overloaded"), &json!(1)));
        let lead = GoogleLead::new("lead-1", "+64275559001").test();
        assert_eq!(owner.google_lead(&project, &lead).await.0.as_u16(), 200);
        assert_eq!(ask(owner.request(Method::GET, "/health/ready")).await.status, 200);
        drop(slow);
        wait::until(async || me(&owner).await.status == 200, "the end of the request in hand").await;
        assert!(limited_by(&apex, "node").await);
    }

    async fn a_rush_of_clients_is_refused_in_order_and_no_lead_is(builder) {
        let small = builder.env("APEX_NODE_PERMITS", "24").env("APEX_PROJECT_PERMITS", "8");
        let mut apex = small.env(ORGANIZATION, "100").env(ADDRESS, "50").env(LOGINS, "10").start().await;
        let owner = apex.owner("owner@kereru.example").await;
        let project = owner.create_project("kereru", "+64275550100").await;
        let (stop, leads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for (more, lasts) in [(10, Duration::from_secs(1)), (190, Duration::from_secs(4))] {
            for _ in 0..more {
                let (owner, project) = (owner.clone(), project.clone());
                let (stop, leads, is_sender) = (Arc::clone(&stop), Arc::clone(&leads), clients.len() % 5 == 0);
                clients.spawn(async move {
                    let mut told = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        wait::let_pass(PACE).await;
                        if is_sender {
                            let nth = leads.fetch_add(1, Ordering::Relaxed);
                            let lead = GoogleLead::new(&format!("lead-{nth}"), "+64275559001").test();
                            let answer = owner.google_lead(&project, &lead).await;
                            assert_eq!(answer.0.as_u16(), 200, "a lead was refused: {answer:?}");
                        } else {
                            told.push(ask(owner.request(Method::GET, "/api/v1/leads?project_id=kereru&limit=5")).await);
                        }
                    }
                    told
                });
            }
            wait::let_pass(lasts).await;
        }
        stop.store(true, Ordering::Relaxed);
        let told: Vec<Told> = clients.join_all().await.into_iter().flatten().collect();
        for told in told.iter().filter(|told| told.status == 503) {
            assert_eq!(told.number("retry-after"), Some(1), "{}", told.body);
        }
        let counts = statuses(&told);
        assert!(counts.keys().all(|status| [200, 429, 503].contains(status)), "{counts:?}");
        assert!(counts.contains_key(&429) || counts.contains_key(&503), "more than it can was asked for: {counts:?}");
        assert!(apex.is_running());
        wait::until(async || me(&owner).await.status == 200, "an answer after the rush").await;
        let sent = leads.load(Ordering::Relaxed);
        assert_eq!(stored(&owner).await, sent, "every lead that was accepted stands once");
    }
}
