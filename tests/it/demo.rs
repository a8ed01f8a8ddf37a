//! The commands that show the main job: `apex demo`, and `apex sandbox` beside `apex serve` on settings alone.

use std::time::{Duration, Instant};

use apex_sandbox::Ledger;
use apex_tests::program::{Outside, command};
use apex_tests::{GoogleLead, on_both_stores};

use crate::scene::{BOSS, CUSTOMER, text};

#[tokio::test]
async fn the_demo_shows_every_stage_and_the_crm_entry_and_ends_well_in_half_a_minute() {
    let begun = Instant::now();
    let ended = command(&["demo"], &[]).await;
    assert!(ended.status.success(), "{}\n{}\n{}", ended.status, ended.stdout, ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}\n{}", begun.elapsed(), ended.stdout);
    let stages = ["accepted", "boss_ringing", "boss_answered", "boss_accepted", "customer_connected", "call_ended"];
    let later = ["recorded", "transcribed", "analysed", "CRM entry", "Transcript", "Analysis"];
    let mut rest = ended.stdout.as_str();
    for shown in stages.into_iter().chain(later) {
        let at = rest.find(shown).unwrap_or_else(|| panic!("no {shown} in order:\n{}", ended.stdout));
        rest = &rest[at..];
    }
    for shown in ["contacted", "Mere Kūpapa", "google_ads", "urgency", "next_steps", "$0."] {
        assert!(ended.stdout.contains(shown), "no {shown}:\n{}", ended.stdout);
    }
}

on_both_stores! {
    async fn two_processes_do_the_main_job_on_the_settings_that_the_sandbox_prints(builder) {
        let outside = Outside::start().await;
        let settings = outside.settings();
        assert_eq!(settings.len(), 6, "{settings:?}");
        let builder = settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        let mut apex = builder.start().await;
        let client = apex.owner("owner@kereru.example").await;
        let project = client.create_project("kereru", BOSS).await;
        let context = client.accept(&project, &GoogleLead::new("lead-1", CUSTOMER)).await;
        let ended = client.wait_completed(&context).await;
        assert_eq!(text(&ended["data"]["result"], "outcome"), "connected", "{ended}");
        assert_eq!(text(&client.lead(text(&ended["data"], "lead_id")).await, "status"), "contacted");
        let ask = async |path: &str| {
            let answer = reqwest::get(format!("{}/sandbox/{path}", outside.url())).await.expect("an answer");
            answer.text().await.expect("a whole body")
        };
        let ledger: Ledger = serde_json::from_str(&ask("ledger").await).expect("a ledger");
        assert_eq!((ledger.calls_to(BOSS).len(), ledger.calls_to(CUSTOMER).len()), (1, 1), "{ledger:#?}");
        assert_eq!(ask("judge").await, "[]");
        assert!(apex.terminate().await.success());
        assert!(outside.stop().await, "the sandbox stops in order");
    }
}
