//! A stop in order: what is in hand ends, nothing is lost, and the next start finishes the rest.

use apex_sandbox::{Ledger, Script};
use apex_tests::sse::Event;
use apex_tests::{Apex, Client, GoogleLead, on_both_stores, wait};
use futures::future::join_all;
use reqwest::Method;
use serde_json::Value;

use crate::scene::{BOSS, CUSTOMER, Scene};

/// Calls in progress when the signal comes.
const CALLS: usize = 20;

on_both_stores! {
    async fn a_stop_during_twenty_calls_loses_nothing_and_the_next_start_ends_them(builder) {
                let mut scene = Scene::open(builder).await;
        // A phone each: one that is just being dialled is not dialled for another lead.
        let mut projects = Vec::new();
        for nth in 0..CALLS {
            let boss = format!("+64275550{}", 200 + nth);
            scene.sandbox.script(&boss, Script::answers().after_ms(2_000));
            projects.push(scene.client.create_project(&format!("kereru-{nth}"), &boss).await);
        }
        let leads = (0..CALLS).map(|nth| GoogleLead::new("lead-1", &format!("+64275559{}", 200 + nth)));
        let accepting = projects.iter().zip(leads).map(|(project, lead)| {
            let owner = &scene.client;
            async move { owner.accept(project, &lead).await }
        });
        let contexts = join_all(accepting).await;
        wait::until(async || scene.sandbox.read(|ledger| ledger.calls.len()) == CALLS, "all phones to ring").await;
        assert!(!scene.sandbox.read(Ledger::is_quiet), "calls are in progress");

        let status = scene.apex.terminate().await;
        assert!(status.success(), "{status}\n{}", scene.apex.stderr());

        scene.apex.restart().await;
        for (context, project) in contexts.iter().zip(&projects) {
            scene.client.wait_end(context).await;
            assert_eq!(scene.client.leads(&project.id).await.len(), 1);
        }
        let calls = scene.sandbox.read(|ledger| ledger.calls.iter().filter(|call| call.parent_sid.is_none()).count());
        assert_eq!(calls, CALLS, "nobody is rung twice");
        scene.finish().await;
    }

    async fn a_stop_ends_what_is_in_hand_and_open_streams(builder) {
                let mut scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(2_000));
        let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        let mut stream = scene.client.sse(&context, None).await;
        let seen = stream.until(|event| event.json()["stage"] == "boss_ringing").await;

        let (status, rest) = tokio::join!(scene.apex.terminate(), stream.until(|_| false));
        assert!(status.success(), "{status}");

        scene.apex.restart().await;
        scene.client.wait_end(&context).await;
        let last = rest.last().or(seen.last()).map(|event| event.id.clone());
        let after = scene.client.sse(&context, last.as_deref()).await.until(|_| false).await;
        let numbers: Vec<_> = seen.iter().chain(&rest).chain(&after).map(Event::seq).collect();
        assert_eq!(numbers, (1..).take(numbers.len()).collect::<Vec<u64>>(), "no gap, no repeat");
        scene.finish().await;
    }
}

/// A project's work in hand keeps the program draining: meanwhile it says that it takes no more.
#[tokio::test]
async fn while_it_drains_it_says_that_it_is_not_ready() {
    let builder = Apex::builder().env("APEX_DRAIN_SECONDS", "3").fault("call.transcribed=stall");
    let mut scene = Scene::open(builder).await;
    let context = scene.client.accept(&scene.project, &GoogleLead::new("lead-1", CUSTOMER)).await;
    scene.client.wait_context(&context, "a recording", |body| body["data"]["stage"] == "recorded").await;
    assert_eq!(ready(scene.apex.admin()).await, Some((200, "ready".to_owned())));

    scene.apex.signal("TERM");
    let admin = scene.apex.admin().to_owned();
    let stopping =
        async || ready(&admin).await.is_some_and(|(status, word)| (status, word.as_str()) == (503, "stopping"));
    wait::until(stopping, "/ready to say that it is stopping").await;
    assert!(scene.apex.wait_exit().await.success(), "{}", scene.apex.stderr());

    scene.apex.restart().await;
    scene.client.wait_completed(&context).await;
    scene.finish().await;
}

/// Status and word of `/ready`; `None` when nobody answers.
async fn ready(admin: &str) -> Option<(u16, String)> {
    let answer = reqwest::get(format!("{admin}/ready")).await.ok()?;
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    Some((status, body["status"].as_str()?.to_owned()))
}

/// New work is refused, not lost: whoever is refused is told, and the same form is taken after the restart.
#[tokio::test]
async fn a_lead_is_either_taken_or_refused_while_the_program_stops() {
    let mut scene = Scene::open(Apex::builder()).await;
    let path = Client::v1("/webhooks/google-ads?project_id=kereru");
    let leads: Vec<_> =
        (0..30).map(|nth| GoogleLead::new(&format!("lead-{nth}"), &format!("+64275559{}", 300 + nth))).collect();
    let sending = join_all(leads.iter().map(|lead| {
        let request = scene.client.anonymous().request(Method::POST, &path).json(&lead.json(&scene.project.google_key));
        scene.client.try_send(request)
    }));
    let (answers, status) = tokio::join!(sending, scene.apex.terminate());
    assert!(status.success(), "{status}");

    scene.apex.restart().await;
    for (lead, answer) in leads.iter().zip(answers) {
        let context = scene.client.accept(&scene.project, lead).await;
        if let Ok((status, body)) = answer
            && status.is_success()
        {
            assert_eq!(body["data"]["context_id"], context, "what was answered is kept");
        }
        scene.client.wait_end(&context).await;
    }
    assert_eq!(scene.client.leads("kereru").await.len(), leads.len());
    scene.finish().await;
}
