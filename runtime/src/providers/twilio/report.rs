//! Twilio's words for calls and recordings, as reports.

use apex_storage::model::call::{End, Leg, Progress, Recording, Report};
use serde::Deserialize;
use serde_json::Value;

/// A call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    duration: Value,
}

/// The second legs of a call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Legs {
    calls: Vec<Call>,
}

/// The recordings of a call, newest first.
#[derive(Debug, Deserialize)]
pub(super) struct Recordings {
    recordings: Vec<RecordingItem>,
}

#[derive(Debug, Deserialize)]
struct RecordingItem {
    sid: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    duration: Value,
}

/// The account.
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    #[serde(default)]
    pub status: Option<String>,
}

/// How both legs stand.
pub(super) fn reports(boss: &Call, legs: &Legs) -> Vec<Report> {
    let boss_progress = boss.progress();
    let mut reports: Vec<Report> =
        boss_progress.map(|progress| Report::Leg { leg: Leg::Boss, progress }).into_iter().collect();
    let customer = |progress| Report::Leg { leg: Leg::Customer, progress };
    reports.extend(legs.calls.iter().filter_map(Call::progress).map(customer));
    let over = boss_progress.and_then(Progress::end).is_some();
    if over && legs.calls.is_empty() {
        // Nobody was dialled and nobody will be: without this a bridge whose second leg never began would wait for it.
        reports.push(customer(Progress::Over(End::Failed)));
    }
    reports
}

/// The newest recording.
pub(super) fn recording(page: &Recordings) -> Recording {
    let Some(newest) = page.recordings.first() else { return Recording::Unheard };
    match newest.status.as_deref() {
        Some("completed") => Recording::Ready { sid: newest.sid.clone(), seconds: seconds(&newest.duration) },
        Some("absent" | "deleted" | "failed") => Recording::Absent,
        Some("in-progress" | "paused" | "stopped" | "processing") => Recording::InProgress,
        _ => Recording::Unheard,
    }
}

/// Whether a call with this status has ended.
pub(super) fn is_over(status: &str) -> bool {
    progress(status, 0).and_then(Progress::end).is_some()
}

impl Call {
    fn progress(&self) -> Option<Progress> {
        progress(self.status.as_deref()?, seconds(&self.duration))
    }
}

/// `None` for words that are new to us.
fn progress(status: &str, seconds: u32) -> Option<Progress> {
    Some(match status {
        "queued" | "initiated" => Progress::Dialing,
        "ringing" => Progress::Ringing,
        "in-progress" => Progress::Answered,
        "completed" => Progress::Over(End::Completed { seconds }),
        "busy" => Progress::Over(End::Busy),
        "no-answer" => Progress::Over(End::NoAnswer),
        "canceled" => Progress::Over(End::Cancelled),
        "failed" => Progress::Over(End::Failed),
        _ => return None,
    })
}

/// Numbers come as text; what is not known yet is null or -1.
pub(super) fn seconds(value: &Value) -> u32 {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number.and_then(|number: u64| u32::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(status: &str, duration: &Value) -> Call {
        serde_json::from_value(json!({ "sid": "CA1", "status": status, "duration": duration })).unwrap()
    }

    fn look(boss: &str, legs: &[(&str, Value)]) -> Vec<Report> {
        let calls = legs.iter().map(|(status, duration)| call(status, duration)).collect();
        reports(&call(boss, &json!("7")), &Legs { calls })
    }

    fn leg(leg: Leg, progress: Progress) -> Report {
        Report::Leg { leg, progress }
    }

    #[test]
    fn every_status_says_how_far_a_leg_is() {
        let table = [
            ("queued", Some(Progress::Dialing)),
            ("initiated", Some(Progress::Dialing)),
            ("ringing", Some(Progress::Ringing)),
            ("in-progress", Some(Progress::Answered)),
            ("completed", Some(Progress::Over(End::Completed { seconds: 34 }))),
            ("busy", Some(Progress::Over(End::Busy))),
            ("no-answer", Some(Progress::Over(End::NoAnswer))),
            ("canceled", Some(Progress::Over(End::Cancelled))),
            ("failed", Some(Progress::Over(End::Failed))),
            ("teleported", None),
        ];
        for (status, expected) in table {
            assert_eq!(call(status, &json!("34")).progress(), expected, "{status}");
            assert_eq!(is_over(status), expected.is_some_and(|progress| progress.end().is_some()), "{status}");
        }
    }

    #[test]
    fn seconds_are_read_however_they_are_written() {
        for (value, expected) in
            [(json!("34"), 34), (json!(34), 34), (json!(null), 0), (json!("-1"), 0), (json!({}), 0)]
        {
            assert_eq!(seconds(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_look_tells_of_both_legs_and_of_nothing_it_does_not_know() {
        let talked = Progress::Over(End::Completed { seconds: 42 });
        assert_eq!(look("ringing", &[]), [leg(Leg::Boss, Progress::Ringing)]);
        assert_eq!(
            look("in-progress", &[("in-progress", json!(null))]),
            [leg(Leg::Boss, Progress::Answered), leg(Leg::Customer, Progress::Answered)]
        );
        assert_eq!(
            look("completed", &[("completed", json!("42"))]),
            [leg(Leg::Boss, Progress::Over(End::Completed { seconds: 7 })), leg(Leg::Customer, talked)]
        );
        assert_eq!(look("teleported", &[("teleported", json!(null))]), []);
    }

    #[test]
    fn a_call_that_ended_without_a_second_leg_says_that_none_will_come() {
        let none = leg(Leg::Customer, Progress::Over(End::Failed));
        assert_eq!(look("busy", &[]), [leg(Leg::Boss, Progress::Over(End::Busy)), none.clone()]);
        assert!(!look("in-progress", &[]).contains(&none));
        assert!(!look("completed", &[("teleported", json!(null))]).contains(&none));
    }

    #[test]
    fn the_newest_recording_counts() {
        let page = |items: Value| recording(&serde_json::from_value(json!({ "recordings": items })).unwrap());
        let item = |status: &str| json!([{ "sid": "RE1", "status": status, "duration": "34" }, { "sid": "RE0", "status": "absent" }]);
        assert_eq!(page(item("completed")), Recording::Ready { sid: "RE1".to_owned(), seconds: 34 });
        for status in ["in-progress", "paused", "stopped", "processing"] {
            assert_eq!(page(item(status)), Recording::InProgress, "{status}");
        }
        for status in ["absent", "deleted", "failed"] {
            assert_eq!(page(item(status)), Recording::Absent, "{status}");
        }
        assert_eq!(page(item("levitating")), Recording::Unheard);
        assert_eq!(page(json!([])), Recording::Unheard);
    }
}
