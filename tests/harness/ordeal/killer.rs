//! Whoever kills the program, and brings it back at once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Plan, Progress};
use crate::dice::Dice;
use crate::{Apex, program, wait};

/// The shortest mean time between a restart and the next death.
const SHORTEST: Duration = Duration::from_millis(300);

/// How often the program died, and how it came back.
#[derive(Clone, Debug, Default)]
pub struct Deaths {
    /// By kill -9 at a random moment.
    pub killed: usize,
    /// At a planted fault point, some of them before the program was ready.
    pub planted: usize,
    /// How long each restart took until the program was ready.
    pub restarts: Vec<Duration>,
}

impl Plan {
    /// Kills as often as planned, at random moments spread over the run. At the end the program runs without faults.
    pub(super) async fn kill_all(&self, apex: &mut Apex, progress: &Progress) -> Deaths {
        let points = fault_points().await;
        let mut dice = Dice::new(self.seed ^ 0xdead);
        let mut deaths = Deaths::default();
        let end = Instant::now() + self.lasts;
        while deaths.killed + deaths.planted < self.kills {
            let left = u32::try_from(self.kills - deaths.killed - deaths.planted).unwrap_or(u32::MAX);
            let mean = end.saturating_duration_since(Instant::now()) / left;
            let mean = mean.saturating_sub(deaths.restarts.last().copied().unwrap_or_default()).max(SHORTEST);
            let lives = dice.shorter(mean * 2);
            if wait::until_within(lives, async || !apex.is_running()).await.is_some() {
                deaths.planted += 1;
            } else {
                deaths.killed += 1;
            }
            let last = deaths.killed + deaths.planted >= self.kills;
            let planted = dice.percent(self.planted_percent).then(|| dice.one_of(&points)).flatten();
            let faults: Vec<_> = planted.filter(|_| !last).map(|point| format!("{point}=exit")).into_iter().collect();
            bring_back(apex, &faults, &mut deaths).await;
            progress.deaths.store(deaths.killed + deaths.planted, Ordering::Relaxed);
        }
        deaths
    }
}

/// A planted fault may strike before the program is ready: then it comes back without.
async fn bring_back(apex: &mut Apex, faults: &[String], deaths: &mut Deaths) {
    let back = match apex.revive(faults).await {
        Err(_) if !faults.is_empty() => {
            deaths.planted += 1;
            apex.revive(&[]).await
        }
        other => other,
    };
    match back {
        Ok(took) => deaths.restarts.push(took),
        Err(status) => panic!("the program ended at its start: {status}\n{}", tail(&apex.stderr())),
    }
}

/// The last lines of a log that may be long.
fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

async fn fault_points() -> Vec<String> {
    let listed = program::command(&["faults"], &[]).await;
    assert!(listed.status.success(), "{}", listed.stderr);
    listed.stdout.lines().map(str::to_owned).collect()
}
