//! Kill -9 at random moments under load, while the outside loses answers and callbacks: the short sister of `apex-soak`.

use std::time::Duration;

use apex_tests::ordeal::{Plan, Progress};
use apex_tests::program::Builder;
use apex_tests::{finish, on_both_stores, reckoning};

/// Until every ticket ended or is visibly held.
const PATIENCE: Duration = Duration::from_secs(90);

on_both_stores! {
    async fn kills_under_load_and_an_outside_in_disorder_break_no_promise(builder) {
        survives(builder, 0x0dd).await;
    }
}

async fn survives(builder: Builder, seed: u64) {
    let plan = Plan {
        seed,
        projects: 6,
        leads: 60,
        kills: 8,
        planted_percent: 30,
        lasts: Duration::from_secs(15),
        disorder: true,
    };
    let progress = Progress::default();
    let survivor = plan.run(builder, &progress).await;
    let reckoning = reckoning::reckon(&survivor, PATIENCE, &progress).await;
    let table = reckoning::table(&[("counted", &reckoning)]);
    let mut suspects = Vec::new();
    for ticket in &reckoning.suspects {
        suspects.push(survivor.client.timeline(ticket).await);
    }
    let log = || survivor.apex.stderr();
    assert!(reckoning.broken.is_empty(), "{}\n{table}\n{suspects:#?}\n{}", reckoning.broken.join("\n"), log());
    finish(survivor.sandbox, survivor.apex).await;
}
