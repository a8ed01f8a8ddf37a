//! Somebody sets the clock while the program runs, by an hour either way: no lease breaks, nothing happens twice, and what is
//! under way ends.

use std::path::PathBuf;

use apex_sandbox::{Chances, Faults, Script};
use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, Project, leftovers, on_both_stores, wait};
use tempfile::TempDir;

use crate::rows;
use crate::scene::Scene;

const OWNER: &str = "owner@kereru.example";
const HOUR: i64 = 3600;
/// Leads that are under way at each jump.
const LEADS: usize = 4;
/// Nothing is reported: the program has to ask.
const LOST: Chances = Chances { lost: 100, doubled: 0, late: 0, late_ms: 0, reordered: 0 };

/// The clock of a program.
struct Clock {
    _folder: TempDir,
    file: PathBuf,
}

impl Clock {
    fn right() -> Self {
        let folder = leftovers::folder("clock");
        let file = folder.path().join("wrong-by");
        let clock = Self { _folder: folder, file };
        clock.is_wrong_by(0);
        clock
    }

    fn of(&self, builder: Builder) -> Builder {
        builder.env("APEX_CLOCK_FILE", self.file.to_str().expect("a plain path"))
    }

    /// Sets it. A file is replaced as a whole, so that nobody reads half of it.
    fn is_wrong_by(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, seconds.to_string()).expect("own folder");
        std::fs::rename(&new, &self.file).expect("own folder");
    }
}

/// A business whose boss takes a while to pick up.
struct Shop {
    project: Project,
    boss: String,
}

/// Waits until the program's clock is as it was set, and logs in by it.
async fn signed_in(scene: &Scene, clock: &Clock, seconds: i64) -> Client {
    clock.is_wrong_by(seconds);
    let anonymous = scene.apex.client();
    let by_the_new_clock = async || {
        let (status, body) = anonymous.try_login(OWNER, apex_tests::client::PASSWORD).await;
        let session = status.is_success().then(|| anonymous.with_token(body["access_token"].as_str().unwrap_or("")))?;
        session.get("/api/v1/users/me").await.0.is_success().then_some(session)
    };
    wait::until(by_the_new_clock, "a login by the new clock").await
}

async fn leases(scene: &Scene) -> (i64, i64, i64) {
    (
        rows::number(&scene.apex, "select count(*) from node").await,
        rows::number(&scene.apex, "select count(*) from placement where node_id is not null").await,
        rows::number(&scene.apex, "select coalesce(sum(fence), 0) from placement where org_id is not null").await,
    )
}

on_both_stores! {
    async fn jumps_break_no_lease_fire_nothing_twice_and_hold_nothing_up(builder) {
        let clock = Clock::right();
        let scene = Scene::open(clock.of(builder)).await;
        let mut shops = Vec::new();
        for nth in 0..LEADS {
            let boss = format!("+64275530{nth:03}");
            shops.push(Shop { project: scene.project(&format!("shop-{nth}"), &boss).await, boss });
        }
        for shop in &shops {
            let first = scene.client.accept(&shop.project, &GoogleLead::new("first", "+64275559000")).await;
            scene.client.wait_completed(&first).await;
            scene.sandbox.script(&shop.boss, Script::answers().after_ms(1_500));
        }
        let before = leases(&scene).await;
        let mut client = scene.client.clone();
        let mut contexts = Vec::new();
        for (round, wrong_by) in [HOUR, -HOUR, 0, -2 * HOUR, HOUR].into_iter().enumerate() {
            let mut streams = Vec::new();
            for (nth, shop) in shops.iter().enumerate() {
                let customer = format!("+6427555{round}{nth:03}");
                let context = client.accept(&shop.project, &GoogleLead::new(&format!("lead-{round}"), &customer)).await;
                streams.push(client.sse(&context, None).await);
                contexts.push(context);
            }
            let rung = (round + 2) * LEADS;
            scene.wait_ledger("ringing phones", |ledger| {
                ledger.calls.iter().filter(|call| call.rung_at.is_some() && call.to.starts_with("+64275530")).count() >= rung
            }).await;
            client = signed_in(&scene, &clock, wrong_by).await;
            for (nth, stream) in streams.iter_mut().enumerate() {
                let events = stream.until(|_| false).await;
                let numbers: Vec<_> = events.iter().map(apex_tests::sse::Event::seq).collect();
                assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "{events:?}");
                let end = events.last().map(|event| event.event.as_str());
                assert_eq!(end, Some("completed"), "round {round}, {nth}: {events:#?}\n{}", scene.apex.stderr());
            }
        }
        for context in &contexts {
            let end = client.wait_completed(context).await;
            assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
        }
        for shop in &shops {
            assert_eq!(scene.calls_to(&shop.boss).len(), 6, "one call for each lead");
        }
        assert_eq!(leases(&scene).await, before, "nodes, owned projects, fences\n{}", scene.apex.stderr());
        scene.finish().await;
    }

    async fn what_waits_by_a_clock_that_has_gone_back_is_found_without_any_report(builder) {
        let clock = Clock::right();
        let scene = Scene::open(clock.of(builder)).await;
        let shop = scene.project("shop", "+64275530900").await;
        clock.is_wrong_by(HOUR);
        let client = signed_in(&scene, &clock, HOUR).await;
        scene.sandbox.faults(Faults { status: LOST, leg: LOST, recording: LOST, ..Faults::default() });
        scene.sandbox.script("+64275530900", Script::answers().after_ms(1_500));
        let context = client.accept(&shop, &GoogleLead::new("lead-1", "+64275559001")).await;
        scene.wait_ledger("a ringing phone", |ledger| ledger.calls.iter().any(|call| call.rung_at.is_some())).await;
        let client = signed_in(&scene, &clock, -HOUR).await;
        let end = client.wait_completed(&context).await;
        assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
        assert_eq!(scene.calls_to("+64275530900").len(), 1);
        scene.finish().await;
    }
}

#[tokio::test]
async fn a_planted_clock_is_refused_in_production() {
    let settings = [("APEX_ENV", "production"), ("APEX_CLOCK_FILE", "/tmp/clock")];
    let ended = apex_tests::program::command(&["serve"], &settings).await;
    assert!(!ended.status.success());
    assert!(ended.stdout.is_empty(), "{}", ended.stdout);
}
