//! Effects as people and programs read them in a terminal.

use std::fmt::Write as _;

use apex_storage::{DecidedEffect, Effect, EffectVerdict};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

const HEAD: [&str; 7] = ["ID", "AGE", "KIND", "STATE", "TO", "PROJECT", "REASON"];

/// An effect and the name of its project.
pub(super) struct Row {
    pub effect: Effect,
    pub project: String,
}

impl Row {
    fn cells(&self, now: DateTime<Utc>) -> [String; 7] {
        let Effect { id, kind, state, to_number, reason, created_at, verdict, .. } = &self.effect;
        let state = match verdict {
            Some(verdict) => format!("{state} ({verdict} asked)"),
            None => state.clone(),
        };
        [
            id.to_string(),
            age(now - *created_at),
            kind.clone(),
            state,
            to_number.clone().map(String::from).unwrap_or_default(),
            self.project.clone(),
            reason.clone().unwrap_or_default(),
        ]
    }

    fn json(&self) -> Value {
        let effect = &self.effect;
        json!({
            "id": effect.id,
            "project_id": self.project,
            "ticket_id": effect.ticket_id,
            "bridge_id": effect.bridge_id,
            "kind": effect.kind,
            "to": effect.to_number.clone().map(String::from),
            "state": effect.state,
            "reason": effect.reason,
            "sid": effect.sid,
            "verdict": effect.verdict,
            "verdict_by": effect.verdict_by,
            "created_at": effect.created_at,
            "sent_at": effect.sent_at,
        })
    }
}

/// One line for each, oldest first, and how many.
pub(super) fn table(rows: &[Row], now: DateTime<Utc>) -> String {
    if rows.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let lines: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(|row| row.cells(now))).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<_> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    let _ = writeln!(text, "{} in all", rows.len()); // writing into a String cannot fail
    text
}

/// The same for programs.
pub(super) fn json(rows: &[Row]) -> String {
    let data: Vec<_> = rows.iter().map(Row::json).collect();
    format!("{}\n", json!({ "count": rows.len(), "data": data }))
}

/// What came of a decision.
pub(super) fn decided(effects: &[DecidedEffect], verdict: EffectVerdict) -> String {
    let mut text = String::new();
    for effect in effects {
        let _ = writeln!(text, "{}", effect.id); // writing into a String cannot fail
    }
    let what = match verdict {
        EffectVerdict::Release => "released: the running server sends them now, or the next one does",
        EffectVerdict::Cancel => "cancelled: the running server ends their tickets now, or the next one does",
    };
    let _ = writeln!(text, "{} {what}", effects.len());
    text
}

/// How long ago, in its two largest units.
fn age(since: TimeDelta) -> String {
    let (days, hours) = (since.num_days(), since.num_hours() % 24);
    let (minutes, seconds) = (since.num_minutes() % 60, since.num_seconds() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{}s", seconds.max(0)),
        (0, 0, _) => format!("{minutes}m {seconds}s"),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use apex_storage::model::phone::normalise;
    use apex_storage::model::{EffectId, ProjectId, TicketId};

    use super::*;

    fn row(state: &str, verdict: Option<&str>) -> Row {
        let created_at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let effect = Effect {
            id: EffectId::new(),
            project_id: ProjectId::new(),
            bridge_id: None,
            ticket_id: TicketId::new(),
            kind: "call".into(),
            key: "call:1".into(),
            account: None,
            to_number: Some(normalise("027 555 9002", "NZ").unwrap().phone),
            from_number: None,
            body: None,
            sid: None,
            state: state.into(),
            reason: None,
            sender: None,
            sender_fence: None,
            sent_at: None,
            created_at,
            verdict: verdict.map(Into::into),
            verdict_by: None,
            verdict_at: None,
        };
        Row { effect, project: "kereru".into() }
    }

    #[test]
    fn a_table_tells_what_waits_and_how_many() {
        let rows = [row("intended", None), row("held", Some("release"))];
        let text = table(&rows, rows[0].effect.created_at + TimeDelta::minutes(125));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("ID ") && lines[0].ends_with("PROJECT  REASON"), "{text}");
        assert!(lines[1].contains(" 2h 5m  call  intended "), "{text}");
        assert!(lines[1].contains("  +64275559002  kereru"), "{text}");
        assert!(lines[2].contains("held (release asked)"), "{text}");
        assert_eq!(lines[3], "2 in all");
        assert_eq!(table(&[], rows[0].effect.created_at), "nothing waits\n");
    }

    #[test]
    fn an_age_has_its_two_largest_units() {
        for (seconds, expected) in [(-3, "0s"), (59, "59s"), (61, "1m 1s"), (7_500, "2h 5m"), (180_000, "2d 2h")] {
            assert_eq!(age(TimeDelta::seconds(seconds)), expected);
        }
    }
}
