//! A database that breaks its connections, and a program that was frozen longer than its lease: nothing is lost, nobody is
//! rung twice.

use apex_sandbox::Script;
use apex_tests::{Apex, GoogleLead, Postgres, Project, finish_after_a_freeze, wait};
use serde_json::json;

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene};

/// Leads under way when connections break.
const LEADS: usize = 8;
/// How often all connections break during one burst.
const BREAKS: usize = 6;

impl Scene {
    /// Breaks every connection of the program; how many there were.
    fn break_connections(&self) -> usize {
        let server = Postgres::shared();
        let database = server.superuser(self.apex.database_url().expect("on Postgres"));
        let broken = server.query(
            &database,
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()",
        );
        broken.lines().count()
    }

    /// Sends a form as Google does: again, until it is taken.
    async fn insist(&self, project: &Project, lead: &GoogleLead) -> String {
        let taken = async || {
            let (status, body) = self.client.google_lead(project, lead).await;
            assert!(status.is_success() || status.as_u16() == 503, "{status} {body}");
            body["data"]["context_id"].as_str().map(str::to_owned)
        };
        wait::until(taken, "a lead that is taken").await
    }
}

#[tokio::test]
async fn broken_connections_in_the_middle_of_calls_lose_nothing_and_ring_nobody_twice() {
    let scene = Scene::open(Apex::builder().postgres().redis()).await;
    let mut contexts = Vec::new();
    for nth in 0..LEADS {
        let boss = format!("+64275550{}", 600 + nth);
        scene.sandbox.script(&boss, Script::answers().after_ms(150 * u64::try_from(nth).unwrap()));
        let project = scene.project(&format!("kereru-{nth}"), &boss).await;
        let lead = GoogleLead::new("lead-1", &format!("+64275559{}", 600 + nth));
        contexts.push((scene.insist(&project, &lead).await, boss));
        if nth % 2 == 0 {
            scene.break_connections();
        }
    }
    let so_much = |ledger: &apex_sandbox::Ledger| ledger.calls.len() + ledger.gemini_requests.len();
    let mut broken = 0;
    for _ in 0..BREAKS {
        let before = scene.sandbox.read(so_much);
        let moved = async || scene.sandbox.read(|ledger| so_much(ledger) > before || ledger.is_quiet());
        wait::until(moved, "calls that move on").await;
        broken += scene.break_connections();
    }
    assert!(broken > 0, "nothing was broken");
    for (context, boss) in &contexts {
        let end = scene.client.wait_end(context).await;
        let calls = scene.calls_to(boss).len();
        assert_eq!((calls, &end["data"]["state"]), (1, &json!("completed")), "{end}\n{}", scene.apex.stderr());
    }
    assert!(scene.client.get("/health/ready").await.0.is_success());
    scene.finish().await;
}

/// After the thaw its lease is over: it must not go on as if nothing had been, and it must go on.
#[tokio::test]
async fn a_program_that_was_frozen_longer_than_its_lease_ends_its_calls_after_the_thaw() {
    let scene = Scene::open(Apex::builder().postgres().redis()).await;
    // Picked up after the thaw: nobody waits for a script meanwhile.
    scene.sandbox.script(BOSS, Script::answers().after_ms(10_000));
    let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.wait_ledger("a ringing phone", |ledger| ledger.calls.iter().any(|call| call.rung_at.is_some())).await;
    scene.apex.signal("STOP");
    let over = "select count(*) from node where expires_at < clock_timestamp()";
    wait::until(async || rows::number(&scene.apex, over).await == 1, "a lease that is over").await;
    scene.apex.signal("CONT");

    let end = scene.client.wait_end(&context).await;
    assert_eq!(end["data"]["result"]["outcome"], "connected", "{end}");
    assert_eq!(scene.calls_to(BOSS).len(), 1, "{end}\n{}", scene.apex.stderr());
    scene.sandbox.script(BOSS, Script::answers());
    let next = scene.accept(&GoogleLead::new("lead-2", "+64275559003")).await;
    scene.client.wait_completed(&next).await;
    finish_after_a_freeze(scene.sandbox, scene.apex).await;
}
