//! A thousand streams, cut at random and resumed: each of them tells every event once and in order, up to the last.

use std::time::Duration;

use apex_sandbox::Script;
use apex_tests::dice::Dice;
use apex_tests::sse::{Event, EventStream};
use apex_tests::{Apex, Client, GoogleLead, Redis, on_both_stores, wait};
use futures::future::join_all;
use reqwest::Method;

use crate::scene::Scene;

/// Tickets that are watched, spread over projects with a boss each.
const TICKETS: usize = 50;
const PROJECTS: usize = 25;
/// Watchers of each ticket.
const WATCHERS: usize = 20;
/// A watcher takes fewer events than this from a connection before it cuts it.
const MOST: u64 = 5;
/// A watcher that never sees the end gives up after so many connections.
const CONNECTIONS: usize = 500;
/// A watcher that finds the house full comes back after this.
const COMES_BACK: Duration = Duration::from_secs(1);
/// How often Redis forgets everything.
const WIPE_EVERY: Duration = Duration::from_millis(150);

fn is_last(event: &Event) -> bool {
    event.event != "progress"
}

/// Somebody with a bad line.
struct Watcher {
    client: Client,
    context: String,
    dice: Dice,
    seen: Vec<Event>,
}

impl Watcher {
    fn new(client: &Client, context: &str, nth: usize) -> Self {
        let seed = 0x5ce ^ u64::try_from(nth).expect("a small number");
        Self { client: client.clone(), context: context.to_owned(), dice: Dice::new(seed), seen: Vec::new() }
    }

    /// Watches to the end over as many connections as it takes. How many were cut.
    async fn watch(&mut self) -> usize {
        for cuts in 0..CONNECTIONS {
            let takes = self.dice.below(MOST);
            let mut stream = self.connect().await;
            for _ in 0..takes {
                let Some(event) = stream.next().await else {
                    panic!("the stream of {} ended before its ticket: {:#?}", self.context, self.seen)
                };
                let is_over = is_last(&event);
                self.seen.push(event);
                if is_over {
                    return cuts;
                }
            }
        }
        panic!("{} does not end: {:#?}", self.context, self.seen)
    }

    /// Goes on behind the last event, told by header or by query; comes back when it is told to.
    async fn connect(&mut self) -> EventStream {
        let path = format!("/api/v1/context/{}/events", self.context);
        let by_query = self.dice.percent(50);
        loop {
            let request = match self.seen.last().map(|event| &event.id) {
                None => self.client.request(Method::GET, &path),
                Some(last) if by_query => self.client.request(Method::GET, &format!("{path}?last_event_id={last}")),
                Some(last) => self.client.request(Method::GET, &path).header("Last-Event-ID", last),
            };
            let response = request.send().await.expect("an answer");
            let comes_back = response.headers().contains_key("retry-after");
            match response.status().as_u16() {
                200 => return EventStream::new(response),
                503 if comes_back => wait::let_pass(COMES_BACK).await,
                other => panic!("{other}: {:?}", response.text().await),
            }
        }
    }

    /// Every event once and in order, and the same as one who never cut a line.
    fn saw_everything(&self, whole: &[Event]) {
        let numbers: Vec<u64> = self.seen.iter().map(Event::seq).collect();
        let expected: Vec<u64> = (1..).take(whole.len()).collect();
        assert_eq!(numbers, expected, "a gap or a repeat in {}: {:#?}", self.context, self.seen);
        assert_eq!(self.seen, whole, "{}", self.context);
        assert!(self.seen.last().is_some_and(is_last), "{:#?}", self.seen);
    }
}

/// Leads of many projects ring at once, and are talked to long enough to be watched.
async fn accepted(scene: &Scene) -> Vec<String> {
    let mut projects = Vec::with_capacity(PROJECTS);
    for nth in 0..PROJECTS {
        let boss = format!("+64275541{nth:03}");
        scene.sandbox.script(&boss, Script::answers().after_ms(300));
        projects.push(scene.project(&format!("watched-{nth}"), &boss).await);
    }
    let accepting = (0..TICKETS).map(|nth| {
        let (customer, project) = (format!("+64275542{nth:03}"), &projects[nth % PROJECTS]);
        scene.sandbox.script(&customer, Script::answers().after_ms(200).talk_lasts_ms(500));
        let lead = GoogleLead::new(&format!("lead-{nth}"), &customer);
        async move { scene.client.accept(project, &lead).await }
    });
    join_all(accepting).await
}

/// Every watcher of every ticket sees everything, whatever happens meanwhile.
async fn nothing_is_missed(scene: &Scene, meanwhile: impl Future<Output = ()>) {
    let contexts = accepted(scene).await;
    let all = contexts.iter().flat_map(|context| (0..WATCHERS).map(move |_| context));
    let mut watchers: Vec<_> =
        all.enumerate().map(|(nth, context)| Watcher::new(&scene.client, context, nth)).collect();
    assert_eq!(watchers.len(), 1_000);
    let cuts: Vec<usize> = tokio::select! {
        cuts = join_all(watchers.iter_mut().map(Watcher::watch)) => cuts,
        () = meanwhile => unreachable!("it goes on for ever"),
    };
    assert!(cuts.iter().sum::<usize>() > watchers.len(), "hardly a stream was cut: {cuts:?}");
    for (context, watchers) in contexts.iter().zip(watchers.chunks(WATCHERS)) {
        let whole = scene.client.sse(context, None).await.until(|_| false).await;
        for watcher in watchers {
            watcher.saw_everything(&whole);
        }
    }
}

on_both_stores! {
    async fn a_thousand_streams_cut_at_random_miss_nothing_and_repeat_nothing(builder) {
        let scene = Scene::open(builder).await;
        nothing_is_missed(&scene, std::future::pending()).await;
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_thousand_streams_cut_at_random_miss_nothing_while_redis_is_wiped() {
    let redis = Redis::private();
    let scene = Scene::open(Apex::builder().postgres().private_redis(&redis)).await;
    let wiping = async {
        loop {
            redis.flush();
            wait::let_pass(WIPE_EVERY).await;
        }
    };
    nothing_is_missed(&scene, wiping).await;
    scene.finish().await;
}
