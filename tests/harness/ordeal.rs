//! A run under kills and an outside in disorder: leads at a steady rate while the program is killed at random moments.
//!
//! [`Plan::run`] sends and kills; what was promised is checked afterwards by [`crate::reckoning`].

mod disorder;
mod killer;
mod sender;

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use apex_sandbox::{Options, Sandbox};

pub use disorder::{boss, customer};
pub use killer::Deaths;
pub use sender::SentLead;

use crate::program::Builder;
use crate::{Apex, Client, Project};

/// Calls that the sandbox's account starts in a second.
const CALLS_PER_SECOND: u32 = 1000;
/// Waits that are short enough for thousands of tickets to end while the run lasts.
const SETTINGS: [(&str, &str); 5] = [
    ("APEX_CALL_LOOKUP_SECONDS", "2"),
    ("APEX_CALL_SILENT_SECONDS", "2"),
    ("APEX_RECORDING_WAIT_SECONDS", "2"),
    ("APEX_LLM_TIMEOUT_SECONDS", "3"),
    ("APEX_ACCESS_SECONDS", "86400"), // one login for the whole run
];

/// How much of it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where chances start.
    pub seed: u64,
    /// Projects, each with a boss of its own.
    pub projects: usize,
    /// Leads, sent in turn to the projects.
    pub leads: usize,
    /// How often the program dies.
    pub kills: usize,
    /// Of a hundred restarts, so many carry a planted death at a random fault point.
    pub planted_percent: u64,
    /// Leads and kills are spread over this time.
    pub lasts: Duration,
    /// Whether answers and callbacks get lost, doubled, late and out of order, and requests fail.
    pub disorder: bool,
}

/// A client business of the run.
#[derive(Clone, Debug)]
pub struct Business {
    /// Its project.
    pub project: Project,
    /// The phone of its boss.
    pub boss: String,
}

/// What is left when everything was sent and the last death is over.
pub struct Survivor {
    /// The outside, still in disorder.
    pub sandbox: Sandbox,
    /// The program, running.
    pub apex: Apex,
    /// The owner of all projects.
    pub client: Client,
    /// The projects.
    pub businesses: Vec<Business>,
    /// Every lead, in the order of their numbers.
    pub sent: Vec<SentLead>,
    /// How often the program died, and how it came back.
    pub deaths: Deaths,
    /// How long sending and killing took.
    pub took: Duration,
}

/// How far a run is; read while it lasts.
#[derive(Debug, Default)]
pub struct Progress {
    /// Leads that were sent at least once.
    pub sent: AtomicUsize,
    /// Leads that were accepted.
    pub accepted: AtomicUsize,
    /// Deaths so far.
    pub deaths: AtomicUsize,
    phase: Mutex<String>,
}

impl Progress {
    /// Says what is going on now.
    ///
    /// # Panics
    ///
    /// When another thread panicked while it said so.
    pub fn enter(&self, phase: impl Into<String>) {
        *self.phase.lock().expect("nobody panics with it") = phase.into();
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sent, accepted, deaths] = [&self.sent, &self.accepted, &self.deaths].map(|n| n.load(Ordering::Relaxed));
        let phase = self.phase.lock().map(|phase| phase.clone()).unwrap_or_default();
        write!(f, "{phase}: {sent} leads sent, {accepted} accepted, {deaths} deaths")
    }
}

impl Plan {
    /// Starts everything, sends every lead and kills as often as planned. The program runs at the end, without faults.
    ///
    /// # Panics
    ///
    /// When the program does not come up for another reason than a planted one.
    pub async fn run(&self, builder: Builder, progress: &Progress) -> Survivor {
        progress.enter("starting");
        let options = Options { calls_per_second: Some(CALLS_PER_SECOND), ..Options::default() };
        let sandbox = Sandbox::start(options).await.expect("a free port");
        let builder = SETTINGS.iter().fold(builder.sandbox(&sandbox), |builder, (key, value)| builder.env(key, value));
        let mut apex = builder.start().await;
        let client = apex.owner("owner@ordeal.example").await;
        let businesses = self.open(&client).await;
        self.set_scene(&sandbox);
        progress.enter("sending");
        let began = Instant::now();
        let sending = self.send_all(&client, &businesses, progress);
        let (sent, deaths) = tokio::join!(sending, self.kill_all(&mut apex, progress));
        Survivor { sandbox, apex, client, businesses, sent, deaths, took: began.elapsed() }
    }

    async fn open(&self, client: &Client) -> Vec<Business> {
        let mut businesses = Vec::new();
        for nth in 0..self.projects {
            let boss = boss(nth);
            let project = client.create_project(&format!("business-{nth}"), &boss).await;
            businesses.push(Business { project, boss });
        }
        businesses
    }
}
