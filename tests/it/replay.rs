//! The dry replay of tickets: whatever happened to them, every decision comes out again as it was recorded, and nothing is
//! written; a journal that somebody changed is found out at the decision that was changed.

use std::time::Duration;

use apex_sandbox::{Chances, Faults, GeminiChances, MessageFate, Moment, RequestChances, Script, Summary};
use apex_tests::dice::Dice;
use apex_tests::program::Builder;
use apex_tests::{Client, GoogleLead, Project, on_both_stores, wait};
use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, CUSTOMER, Scene, assert_problem, text};

/// Businesses, each with a boss of its own, the leads of each, and its texts on request.
const PROJECTS: usize = 24;
const LEADS: usize = 3;
const TEXTS: usize = 18;
/// Recordings that are listened to once more.
const HEARD_AGAIN: usize = 12;
/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Until everything has ended in a crowd that is out of order.
const PATIENCE: Duration = Duration::from_mins(2);

impl Scene {
    async fn replay(&self, ticket: &str) -> Value {
        let answer = self.client.post_json(&Client::v1(&format!("/tickets/{ticket}/replay")), &json!({})).await;
        self.client.ok("replay", answer)
    }

    /// Every decision comes out as it was recorded; how many there were.
    async fn is_the_same(&self, ticket: &str) -> u64 {
        let replayed = self.replay(ticket).await;
        assert_eq!(replayed["is_same"], true, "{replayed:#}\n{:#}", self.client.timeline(ticket).await);
        replayed["decisions"].as_u64().unwrap_or_else(|| panic!("no decisions in {replayed}"))
    }

    /// What a replay could change: rows inside, and everything outside.
    async fn traces(&self) -> (Vec<i64>, Summary) {
        let mut counts = Vec::new();
        for what in
            ["count(*) from ticket_events", "count(*) from effects", "count(*) from events", "sum(seq) from tickets"]
        {
            counts.push(rows::number(&self.apex, &format!("select {what}")).await);
        }
        (counts, self.sandbox.summary())
    }
}

/// A ticket and the boss it may ring.
struct Trial {
    context: String,
    boss: String,
    /// A person has decided about its held call.
    is_decided: bool,
}

/// Many people out of order, and all tickets about them.
struct Crowd {
    scene: Scene,
    projects: Vec<(Project, String)>,
    trials: Vec<Trial>,
    dice: Dice,
}

impl Crowd {
    async fn gather(builder: Builder, seed: u64) -> Self {
        let builder = builder.env("APEX_LLM_TIMEOUT_SECONDS", "1").env("APEX_CALL_LOOKUP_SECONDS", "1");
        let scene = Scene::open(builder).await;
        let (mut dice, mut projects) = (Dice::new(seed), Vec::with_capacity(PROJECTS));
        for nth in 0..PROJECTS {
            let boss = format!("+64275543{nth:03}");
            scene.sandbox.scripts(&boss, (0..LEADS).map(|_| somebody(&mut dice)).collect());
            projects.push((scene.project(&format!("crowd-{nth}"), &boss).await, boss));
        }
        scene.sandbox.faults(disorder(seed));
        Self { scene, projects, trials: Vec::new(), dice }
    }

    /// Everybody wants something at about the same time, and some think better of it.
    async fn begin(&mut self) {
        for nth in 0..PROJECTS * LEADS {
            let (project, boss) = &self.projects[nth % PROJECTS];
            let customer = format!("+64275544{nth:03}");
            self.scene.sandbox.script(&customer, somebody(&mut self.dice));
            let phone = if self.dice.percent(8) { "call me maybe" } else { &customer };
            let context = self.scene.client.accept(project, &GoogleLead::new(&format!("lead-{nth}"), phone)).await;
            self.trials.push(Trial { context, boss: boss.clone(), is_decided: false });
            if self.dice.percent(20)
                && let Some(trial) = self.dice.one_of(&self.trials)
            {
                cancel(&self.scene.client, &trial.context).await;
            }
        }
        for nth in 0..TEXTS {
            let (project, boss) = &self.projects[nth % PROJECTS];
            let params = json!({"action": "notify_sms", "text": format!("Kia ora {nth}")});
            let context = self.scene.client.begin(project, "sales_agent", &params).await;
            self.trials.push(Trial { context, boss: boss.clone(), is_decided: false });
        }
    }

    /// Replays what is under way, and decides about held calls, until everything has ended.
    async fn end(&mut self) {
        let mut open: Vec<usize> = (0..self.trials.len()).collect();
        let all_ended = wait::until_within(PATIENCE, async || {
            let mut left = Vec::new();
            for nth in std::mem::take(&mut open) {
                self.scene.is_the_same(&self.trials[nth].context).await;
                let (_, context) = self.scene.client.context(&self.trials[nth].context).await;
                if context["data"]["status"] == "processing" {
                    self.decide(nth, &context).await;
                    left.push(nth);
                }
            }
            open = left;
            open.is_empty()
        });
        if all_ended.await.is_none() {
            let context = &self.trials[open[0]].context;
            let timeline = self.scene.client.timeline(context).await;
            panic!("{} tickets do not end, as {timeline:#}", open.len());
        }
    }

    /// A person looks at a held call: when the boss's phone certainly did not ring for it, it may be rung now.
    async fn decide(&mut self, nth: usize, context: &Value) {
        let trial = &mut self.trials[nth];
        if trial.is_decided || context["data"]["stage"] != "held" {
            return;
        }
        trial.is_decided = true;
        let client = &self.scene.client;
        if self.scene.sandbox.read(|ledger| ledger.calls_to(&trial.boss).is_empty()) {
            let body = json!({"ticket_id": trial.context, "state": "held"});
            client.ok("release", client.post_json(&Client::v1("/effects/release"), &body).await);
        } else {
            cancel(client, &trial.context).await;
        }
    }

    /// Some recordings are listened to once more, by a model that fails now and then.
    async fn listen_again(&mut self) {
        let gemini = GeminiChances { http_500: 50, quota: 10, ..GeminiChances::default() };
        self.scene.sandbox.faults(Faults { seed: 7, gemini, ..Faults::default() });
        let mut recorded = Vec::new();
        for (project, boss) in &self.projects {
            for lead in self.scene.client.leads(&project.id).await {
                if lead["recording_url"].is_string() {
                    recorded.push((project.clone(), boss.clone(), lead["id"].clone()));
                }
            }
        }
        for (project, boss, lead) in recorded.into_iter().take(HEARD_AGAIN) {
            let params = json!({"action": "transcribe_call", "lead_id": lead});
            let context = self.scene.client.begin(&project, "lead_gen_manager", &params).await;
            self.trials.push(Trial { context, boss, is_decided: true });
        }
    }

    /// Every ticket reaches its end again, out of its journal alone. What the ends were.
    async fn all_are_the_same(&self) -> Vec<String> {
        let before = self.scene.traces().await;
        let replays = self.trials.iter().map(|trial| self.scene.is_the_same(&trial.context));
        let decisions: Vec<_> = stream::iter(replays).buffer_unordered(AT_ONCE).collect().await;
        assert!(decisions.iter().all(|decisions| *decisions > 0), "a replay that decides nothing proves nothing");
        assert_eq!(self.scene.traces().await, before, "nothing is written, nothing leaves");
        let ends = join_all(self.trials.iter().map(|trial| self.scene.client.context(&trial.context))).await;
        ends.iter().map(|(_, end)| format!("{}/{}", end["data"]["state"], end["data"]["code"])).collect()
    }
}

/// Asks for the end; who comes too late is told so.
async fn cancel(client: &Client, context: &str) {
    let (status, body) = client.cancel(context).await;
    assert!(matches!(status, StatusCode::ACCEPTED | StatusCode::CONFLICT), "{status} {body}");
}

/// What people do when their phone rings.
fn somebody(dice: &mut Dice) -> Script {
    let answers = Script::answers().after_ms(dice.below(200)).talk_lasts_ms(dice.below(200));
    let script = match dice.below(100) {
        0..60 => answers,
        60..66 => answers.stays_silent(),
        66..70 => answers.presses("2"),
        70..75 => answers.hangs_up_when_asked(),
        75..80 => answers.hangs_up_during(Moment::Ringing),
        80..83 => answers.hangs_up_during(Moment::Whisper),
        83..86 => answers.hangs_up_during(Moment::Talk),
        86..90 => Script::voicemail(),
        90..94 => Script::busy(),
        94..98 => Script::no_answer(),
        _ => Script::failed(),
    };
    let fates = [MessageFate::Undelivered, MessageFate::Failed, MessageFate::OptedOut, MessageFate::NotMobile];
    let fate = dice.one_of(&fates).copied().filter(|_| dice.percent(20));
    script.messages(fate.unwrap_or_default())
}

fn disorder(seed: u64) -> Faults {
    let callbacks = Chances { lost: 8, doubled: 10, late: 10, late_ms: 300, reordered: 10 };
    let requests = RequestChances {
        lost_after_acting: 12,
        lost_without_acting: 4,
        too_many: 6,
        server_error: 6,
        server_error_after_acting: 4,
    };
    Faults {
        seed,
        status: callbacks,
        leg: callbacks,
        recording: callbacks,
        message: callbacks,
        calls: requests,
        messages: requests,
        gemini: GeminiChances { http_500: 12, quota: 5, timeout: 2, truncated: 5, blocked: 5 },
        late_spread_ms: 600,
        media_missing_tries: 1,
        ..Faults::default()
    }
}

/// An entry of a journal.
fn entry<'a>(journal: &'a [Value], kind: &str, step: Option<&str>) -> &'a Value {
    let found = journal.iter().find(|entry| entry["kind"] == kind && entry["step"].as_str() == step);
    found.unwrap_or_else(|| panic!("no {kind} {step:?} in {journal:#?}"))
}

/// What a decision wrote is written at one time: the number of its first entry.
fn decision_of<'a>(journal: &'a [Value], entry: &Value) -> &'a Value {
    &journal.iter().find(|other| other["at"] == entry["at"]).expect("at least the entry itself")["seq"]
}

/// Writes other data into an entry behind the program's back.
async fn tamper(scene: &Scene, entry: &Value, data: &Value) {
    let sql = format!("update ticket_events set data = '{data}' where seq = {}", entry["seq"]);
    rows::change(&scene.apex, &sql).await;
}

on_both_stores! {
    async fn a_hundred_random_tickets_reach_their_ends_again_and_nothing_is_written(builder) {
        let mut crowd = Crowd::gather(builder, 0xc0de).await;
        crowd.begin().await;
        crowd.end().await;
        crowd.listen_again().await;
        crowd.end().await;
        assert!(crowd.trials.len() > 95, "{}", crowd.trials.len());
        let ends = crowd.all_are_the_same().await;
        for end in ["\"completed\"/null", "\"cancelled\"/\"cancelled\"", "\"failed\"/"] {
            assert!(ends.iter().any(|other| other.starts_with(end)), "nothing ended as {end}: {ends:?}");
        }
        crowd.scene.finish().await;
    }

    async fn a_ticket_under_way_is_replayed_as_far_as_it_is(builder) {
        let scene = Scene::open(builder).await;
        scene.sandbox.script(BOSS, Script::answers().after_ms(20_000));
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_context(&context, "a ringing phone", |body| body["data"]["stage"] == "boss_ringing").await;
        let begun = scene.is_the_same(&context).await;
        let replayed = scene.replay(&context).await;
        assert_eq!((text(&replayed["reached"], "state"), &replayed["reached"]["code"]), ("open", &Value::Null), "{replayed}");
        assert_eq!(replayed["reached"]["effects"][0]["state"], "live", "{replayed}");
        scene.client.ok("cancel", scene.client.cancel(&context).await);
        scene.client.wait_end(&context).await;
        assert!(scene.is_the_same(&context).await > begun);
        scene.finish().await;
    }

    async fn a_journal_that_was_changed_is_found_out_at_the_changed_decision(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        let journal = scene.journal(&context).await;
        for (kind, step, field, forged) in [
            ("note", Some("sending"), "effect_id", json!("0198d9a0-0000-7000-8000-000000000001")),
            ("step", Some("close"), "outcome", json!("no_key")),
            ("completed", None, "code", json!("call_held")),
        ] {
            let entry = entry(&journal, kind, step);
            let mut data = entry["data"].clone();
            data[field] = forged;
            tamper(&scene, entry, &data).await;
            let replayed = scene.replay(&context).await;
            let difference = &replayed["first_difference"];
            assert_eq!((&replayed["is_same"], &difference["seq"]), (&json!(false), decision_of(&journal, entry)), "{replayed:#}");
            assert_eq!(difference["at"], entry["at"], "{difference:#}");
            let recorded = difference["recorded"].as_array().expect("what was written");
            assert!(recorded.iter().any(|written| written["kind"] == kind && written["data"] == data), "{difference:#}");
            assert!(difference["expected"].as_str().is_some_and(|expected| !expected.is_empty()), "{difference:#}");
            tamper(&scene, entry, &entry["data"]).await;
            scene.is_the_same(&context).await;
        }
        assert_eq!(scene.journal(&context).await, journal);
        scene.finish().await;
    }

    async fn nobody_replays_the_tickets_of_others(builder) {
        let scene = Scene::open(builder).await;
        let context = scene.accept(&GoogleLead::new("lead-1", CUSTOMER)).await;
        scene.client.wait_completed(&context).await;
        let path = Client::v1(&format!("/tickets/{context}/replay"));
        let stranger = scene.apex.owner("rangi@tui.example").await;
        assert_problem(&stranger.post_json(&path, &json!({})).await, StatusCode::NOT_FOUND, "not_found");
        let nobody = stranger.anonymous().post_json(&path, &json!({})).await;
        assert_problem(&nobody, StatusCode::UNAUTHORIZED, "unauthenticated");
        scene.is_the_same(&context).await;
        scene.finish().await;
    }
}
