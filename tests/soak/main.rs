//! The long run: thousands of leads and hundreds of kills under an outside in disorder, and then the reckoning.
//!
//! Ends with 0 when every promise was kept, with 1 and the ids when one was broken.

mod evidence;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use apex_tests::Apex;
use apex_tests::ordeal::{Plan, Progress};
use apex_tests::reckoning::{self, Reckoning};
use clap::{Parser, ValueEnum};

/// Of the time of a store, so much is for sending and killing, in percent; the rest is for settling and reading.
const SENDING_PERCENT: u32 = 60;
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Sends leads, kills the program again and again, and checks that nothing was lost and nobody called twice.
#[derive(Debug, Parser)]
#[command(name = "apex-soak", version)]
struct Options {
    /// Leads, of all stores together
    #[arg(long, default_value_t = 10_000)]
    leads: usize,
    /// How often the program dies, on all stores together
    #[arg(long, default_value_t = 500)]
    kills: usize,
    /// How long it may take, minutes; sending and killing are spread over 60 % of it
    #[arg(long, default_value_t = 40)]
    minutes: u32,
    /// Where rows lie
    #[arg(long, value_enum, default_value_t = Stores::Both)]
    store: Stores,
    /// Projects, each with a boss of its own
    #[arg(long, default_value_t = 20)]
    projects: usize,
    /// Where chances start; the same seed plays the same people and the same mishaps
    #[arg(long, default_value_t = 4)]
    seed: u64,
    /// Whether answers and callbacks get lost, doubled, late and out of order, and requests fail
    #[arg(long, value_enum, default_value_t = Switch::On)]
    chaos: Switch,
    /// What the program logs
    #[arg(long, default_value = "warn")]
    log: String,
    /// Keeps logs, and what a broken promise left behind, in this folder
    #[arg(long)]
    keep: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stores {
    /// `SQLite` with memory
    Sqlite,
    /// Postgres with Redis
    Postgres,
    /// One after the other, with half of everything each
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let stores: &[&str] = match options.store {
        Stores::Sqlite => &["sqlite"],
        Stores::Postgres => &["postgres"],
        Stores::Both => &["sqlite", "postgres"],
    };
    let mut reckonings = Vec::new();
    for store in stores {
        reckonings.push((*store, on(store, &options, stores.len()).await));
    }
    let columns: Vec<_> = reckonings.iter().map(|(store, reckoning)| (*store, reckoning)).collect();
    say(&format!("\n{}", reckoning::table(&columns)));
    let broken: Vec<_> =
        reckonings.iter().flat_map(|(store, r)| r.broken.iter().map(move |what| (store, what))).collect();
    for (store, what) in &broken {
        say(&format!("BROKEN on {store}: {what}"));
    }
    if broken.is_empty() {
        say("Every promise was kept.");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}

async fn on(store: &str, options: &Options, stores: usize) -> Reckoning {
    let stores_count = u32::try_from(stores).unwrap_or(1);
    let time = Duration::from_mins(u64::from(options.minutes)) / stores_count;
    let plan = Plan {
        seed: options.seed,
        projects: options.projects.max(1),
        leads: options.leads / stores,
        kills: options.kills / stores,
        planted_percent: 25,
        lasts: time * SENDING_PERCENT / 100,
        disorder: options.chaos == Switch::On,
    };
    say(&format!("{store}: {} leads and {} kills within {} minutes", plan.leads, plan.kills, time.as_secs() / 60));
    let builder = if store == "sqlite" { Apex::builder().sqlite() } else { Apex::builder().postgres().redis() };
    let (began, progress) = (Instant::now(), Progress::default());
    let run = async {
        let survivor = plan.run(builder.env("RUST_LOG", &options.log), &progress).await;
        let reckoning = reckoning::reckon(&survivor, time.saturating_sub(began.elapsed()), &progress).await;
        if let Some(folder) = &options.keep {
            evidence::keep(folder, store, &survivor, &reckoning).await;
        }
        end(survivor, reckoning).await
    };
    let mut tick = tokio::time::interval(SAY_EVERY);
    let mut run = std::pin::pin!(run);
    loop {
        tokio::select! {
            reckoning = &mut run => return reckoning,
            _ = tick.tick() => say(&format!("{store} [{} s] {progress}", began.elapsed().as_secs())),
        }
    }
}

/// The program stops in order, whatever it went through.
async fn end(mut survivor: apex_tests::ordeal::Survivor, mut reckoning: Reckoning) -> Reckoning {
    let status = survivor.apex.terminate().await;
    if !status.success() {
        reckoning.broken.push(format!("the program must stop in order: {status}"));
    }
    survivor.sandbox.stop().await;
    reckoning
}

/// To standard output at once, also into a pipe.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads any more: the run goes on, its exit code tells.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
