//! What the tests of a failing infrastructure share: several projects under a steady load, watched to their ends, and the count
//! of what became of each lead.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use apex_tests::load::{Load, Sent};
use apex_tests::sse::Event;
use apex_tests::{Client, GoogleLead, Project, wait};
use tokio::task::JoinSet;

use crate::scene::{Scene, text};

/// The slowest answer that a sender of leads has to bear.
const SLOWEST: Duration = Duration::from_secs(10);

/// A scene with more projects, and a sender.
pub(crate) struct Rush {
    pub scene: Scene,
    pub projects: Vec<Project>,
    /// `None` when nothing more is sent.
    load: Option<Load>,
    sent: Vec<Sent>,
    watched: HashSet<String>,
    watchers: JoinSet<(String, Vec<Event>)>,
}

impl Rush {
    /// Begins to send one lead each time that `every` has passed, to some projects in turn.
    pub async fn begin(
        scene: Scene,
        projects: usize,
        every: Duration,
        form: impl Fn(GoogleLead) -> GoogleLead + Send + 'static,
    ) -> Self {
        let mut all = Vec::with_capacity(projects);
        for nth in 0..projects {
            all.push(scene.project(&format!("rush-{nth}"), &format!("+64275540{nth:03}")).await);
        }
        let load = Some(Load::begin(&scene.client, &all, every, form));
        Self { scene, projects: all, load, sent: Vec::new(), watched: HashSet::new(), watchers: JoinSet::new() }
    }

    /// What was answered so far.
    pub fn answered(&self) -> Vec<Sent> {
        self.load.as_ref().map_or_else(|| self.sent.clone(), Load::answered)
    }

    /// The contexts of what was accepted so far.
    pub fn accepted(&self) -> Vec<String> {
        self.answered().iter().filter_map(|sent| sent.context().map(str::to_owned)).collect()
    }

    /// Waits until so many more leads are accepted.
    pub async fn more_accepted(&self, count: usize) {
        let before = self.accepted().len();
        let enough = async || self.accepted().len() >= before + count;
        wait::until(enough, &format!("{count} more accepted leads")).await;
    }

    /// Opens a stream for every accepted lead that has none yet; each is read to its end.
    pub async fn watch_new(&mut self) {
        for context in self.accepted() {
            if self.watched.insert(context.clone()) {
                let mut stream = self.scene.client.sse(&context, None).await;
                self.watchers.spawn(async move { (context, stream.until(|_| false).await) });
            }
        }
    }

    /// Sends no more; what was sent, after a look that each was answered as a sender can bear.
    pub async fn stop_sending(&mut self) -> Vec<Sent> {
        if let Some(load) = self.load.take() {
            self.sent = load.finish().await;
        }
        for answer in &self.sent {
            assert!(answer.took < SLOWEST, "{answer:?}");
        }
        self.sent.clone()
    }

    /// Every stream that was opened was whole.
    pub async fn streams_were_whole(&mut self) -> usize {
        let mut count = 0;
        while let Some(watched) = self.watchers.join_next().await {
            let (context, events) = watched.expect("a watcher that did not panic");
            let numbers: Vec<u64> = events.iter().map(Event::seq).collect();
            assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "stream of {context}: {events:#?}");
            let end = events.last().map(|event| event.event.as_str());
            assert!(matches!(end, Some("completed" | "failed")), "stream of {context}: {events:#?}");
            count += 1;
        }
        count
    }
}

/// Each accepted lead stands exactly once, and none twice, accepted or not.
pub(crate) async fn stand_once(client: &Client, projects: &[Project], sent: &[Sent]) {
    let mut stored: HashMap<String, usize> = HashMap::new();
    for project in projects {
        for lead in client.leads(&project.id).await {
            *stored.entry(text(&lead, "phone_raw").to_owned()).or_default() += 1;
        }
    }
    assert!(stored.values().all(|count| *count == 1), "stored twice: {stored:?}");
    for sent in sent.iter().filter(|sent| sent.context().is_some()) {
        let phone = apex_tests::load::customer(sent.nth);
        assert!(stored.contains_key(&phone), "accepted and lost: {sent:?}");
    }
}

/// Every accepted lead's ticket ends. How many ended in which state and outcome.
pub(crate) async fn all_end(client: &Client, sent: &[Sent]) -> HashMap<String, usize> {
    let mut ends = HashMap::new();
    for context in sent.iter().filter_map(Sent::context) {
        let end = client.wait_end(context).await;
        let what = format!("{} {}", end["data"]["state"], end["data"]["result"]["outcome"]);
        *ends.entry(what).or_default() += 1;
    }
    ends
}
