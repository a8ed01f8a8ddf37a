//! Tasks that run by themselves: once at each of their times, however many programs there are, and by policy when nobody was
//! there.

use apex_tests::{Apex, Client, on_both_stores, wait};
use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeDelta, Timelike, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rows;
use crate::scene::{BOSS, Scene, all_different, assert_problem, text};

const SCHEDULES: &str = "/api/v1/schedules";
/// A run later than this is left out under `skip`; the runs of these tests are hours late.
const MISSED_DAYS: u64 = 3;

fn now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

/// An hour that is half a day away, so that no run of its own comes while a test looks.
fn far_hour() -> u32 {
    (now().hour() + 12) % 24
}

/// When that hour was last: about half a day ago.
fn last_time() -> DateTime<Utc> {
    let today = now().date_naive().and_time(NaiveTime::from_hms_opt(far_hour(), 0, 0).expect("an hour")).and_utc();
    if today > now() { today - TimeDelta::days(1) } else { today }
}

/// As both databases write a time.
fn stored(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

fn daily(name: &str, missed: &str) -> Value {
    json!({
        "project_id": "kereru", "name": name, "cron": format!("0 {} * * *", far_hour()), "timezone": "UTC",
        "task": "sales_agent", "params": {"action": "notify_sms", "text": format!("It is time: {name}")}, "missed": missed,
    })
}

impl Scene {
    async fn schedule(&self, body: &Value) -> String {
        let made = self.client.ok("schedule", self.client.post_json(SCHEDULES, body).await);
        text(&made, "id").to_owned()
    }

    async fn shown(&self, id: &str) -> Value {
        self.client.ok("schedule", self.client.get(&format!("{SCHEDULES}/{id}")).await)
    }

    /// All schedules have been due for days, as if no program had run meanwhile.
    async fn were_missed(&self) -> DateTime<Utc> {
        let first = last_time() - Days::new(MISSED_DAYS);
        rows::change(&self.apex, &format!("update schedules set next_at = '{}'", stored(first))).await;
        first
    }

    /// Waits until the schedule is planned for the time to come.
    async fn came_due(&self, id: &str) -> Value {
        let planned = async || {
            let shown = self.shown(id).await;
            let next: DateTime<Utc> = text(&shown, "next_at").parse().expect("a time");
            (next > now()).then_some(shown)
        };
        wait::until(planned, "a schedule that came due").await
    }

    /// The contexts that a schedule has begun, all of them completed.
    async fn runs_of(&self, id: &str) -> Vec<String> {
        let tickets = self.client.all(&Client::v1("/tickets?project_id=kereru&limit=50")).await;
        let by = format!("schedule:{id}");
        let own = tickets.iter().filter(|ticket| text(ticket, "created_by") == by);
        let ids: Vec<_> = own.map(|ticket| text(ticket, "id").to_owned()).collect();
        for context in &ids {
            self.client.wait_completed(context).await;
        }
        ids
    }
}

on_both_stores! {
    async fn missed_runs_are_made_up_for_by_policy(builder) {
        let mut scene = Scene::open(builder).await;
        let mut made = Vec::new();
        for (missed, runs) in [("skip", 0), ("once", 1), ("all", 4)] {
            made.push((missed, runs, scene.schedule(&daily(missed, missed)).await));
        }
        scene.apex.kill_9();
        let first = scene.were_missed().await;
        scene.apex.restart().await;
        for (missed, runs, id) in made {
            let shown = scene.came_due(&id).await;
            let next: DateTime<Utc> = text(&shown, "next_at").parse().expect("a time");
            assert_eq!(next, last_time() + TimeDelta::days(1), "{shown}");
            let contexts = scene.runs_of(&id).await;
            assert_eq!((contexts.len(), shown["version"].as_i64()), (runs, Some(2)), "{missed}: {shown}");
            let texts = scene.texts_to(BOSS);
            assert_eq!(texts.iter().filter(|told| told.ends_with(missed)).count(), runs, "{missed}: {texts:?}");
            if runs == 0 {
                assert_eq!((&shown["last_at"], &shown["last_context_id"]), (&Value::Null, &Value::Null), "{shown}");
            } else {
                let last: DateTime<Utc> = text(&shown, "last_at").parse().expect("a time");
                assert_eq!(last, first, "{shown}");
                assert!(contexts.contains(&text(&shown, "last_context_id").to_owned()), "{shown}");
            }
        }
        scene.finish().await;
    }

    async fn a_schedule_that_is_off_or_deleted_does_not_run(builder) {
        let scene = Scene::open(builder).await;
        let mut body = daily("off", "all");
        body["enabled"] = json!(false);
        let off = scene.schedule(&body).await;
        let gone = scene.schedule(&daily("gone", "all")).await;
        let running = scene.schedule(&daily("running", "once")).await;
        assert_eq!(scene.client.delete(&format!("{SCHEDULES}/{gone}")).await.0, StatusCode::NO_CONTENT);
        let first = last_time() - Days::new(MISSED_DAYS);
        let due = format!("update schedules set next_at = '{}' where next_at is not null", stored(first));
        rows::change(&scene.apex, &due).await;
        scene.came_due(&running).await;
        assert_eq!(scene.runs_of(&running).await.len(), 1);
        assert!(scene.runs_of(&off).await.is_empty() && scene.runs_of(&gone).await.is_empty());
        assert_eq!(scene.shown(&off).await["next_at"], Value::Null);
        assert_problem(&scene.client.get(&format!("{SCHEDULES}/{gone}")).await, StatusCode::NOT_FOUND, "not_found");
        scene.finish().await;
    }

    async fn a_schedule_follows_the_zone_of_its_project(builder) {
        let scene = Scene::open(builder).await;
        let mut body = daily("follows", "once");
        body["timezone"] = Value::Null;
        body["cron"] = json!("30 8 * * *");
        let id = scene.schedule(&body).await;
        let local = |shown: &Value| {
            let next: DateTime<Utc> = text(shown, "next_at").parse().expect("a time");
            (text(shown, "timezone").to_owned(), next)
        };
        let (zone, here) = local(&scene.shown(&id).await);
        assert_eq!(zone, "Pacific/Auckland");
        let mut dna = apex_tests::client::dna(BOSS);
        dna["identity"]["timezone"] = json!("Asia/Kolkata"); // never anything but five and a half hours ahead
        scene.client.ok("dna", scene.client.put_json("/api/v1/projects/kereru/dna", &dna).await);
        let (zone, there) = local(&scene.shown(&id).await);
        assert_eq!((zone.as_str(), there.hour(), there.minute()), ("Asia/Kolkata", 3, 0));
        assert_ne!(here, there);
        scene.finish().await;
    }

    async fn another_organisation_sees_and_changes_no_schedule(builder) {
        let scene = Scene::open(builder).await;
        let id = scene.schedule(&daily("ours", "once")).await;
        let before = scene.shown(&id).await;
        let stranger = scene.apex.owner("rangi@tui.example").await;
        assert_eq!(stranger.all(&format!("{SCHEDULES}?limit=10")).await, Vec::<Value>::new());
        let path = format!("{SCHEDULES}/{id}");
        for answer in [
            stranger.get(&path).await,
            stranger.patch_json(&path, &json!({"enabled": false})).await,
            stranger.delete(&path).await,
            stranger.post_json(SCHEDULES, &daily("theirs", "once")).await,
        ] {
            assert_problem(&answer, StatusCode::NOT_FOUND, "not_found");
        }
        assert_eq!(scene.shown(&id).await, before);
        scene.finish().await;
    }
}

/// Both look every second at the same rows, which come due in one commit.
#[tokio::test]
async fn two_programs_on_one_database_run_each_schedule_once() {
    const COUNT: usize = 20;
    let scene = Scene::open(Apex::builder().postgres().redis()).await;
    let url = scene.apex.database_url().expect("a server").to_owned();
    let mut other = Apex::builder().env("DATABASE_URL", &url).sandbox(&scene.sandbox).start().await;
    let mut ids = Vec::new();
    for at in 0..COUNT {
        ids.push(scene.schedule(&daily(&format!("number {at:02}"), "once")).await);
    }
    scene.were_missed().await;
    for id in &ids {
        scene.came_due(id).await;
    }
    for id in &ids {
        assert_eq!(scene.runs_of(id).await.len(), 1, "{id}");
    }
    let texts = scene.texts_to(BOSS);
    assert!(texts.len() == COUNT && all_different(&texts), "{texts:?}");
    assert!(other.terminate().await.success(), "{}", other.stderr());
    scene.finish().await;
}
