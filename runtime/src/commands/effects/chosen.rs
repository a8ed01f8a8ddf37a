//! Which effects a command means.

use anyhow::bail;
use apex_storage::model::EffectId;
use apex_storage::model::phone::Phone;
use apex_storage::{EffectFilter, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, ValueEnum};

/// The states of what has not left, or perhaps has not.
pub(super) const OPEN: [&str; 4] = ["intended", "sending", "unknown", "held"];
/// Most ids that one command names: each is a part of one statement.
const MOST_IDS: usize = 500;

/// Those that every given option fits.
#[derive(Debug, Args)]
pub(crate) struct Chosen {
    /// Only of this project, by the name its owner chose.
    #[arg(long, value_name = "PROJECT_ID")]
    project: Option<String>,
    /// Only of this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only in this state.
    #[arg(long, value_enum)]
    state: Option<State>,
    /// Only to this number, in E.164: +64275559002.
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    to: Option<String>,
    /// Only what was intended longer ago than this: 90s, 15m, 2h, 3d.
    #[arg(long, value_name = "TIME", value_parser = time)]
    older_than: Option<TimeDelta>,
    /// Only what was intended since: 90s, 15m, 2h, 3d.
    #[arg(long, value_name = "TIME", value_parser = time)]
    newer_than: Option<TimeDelta>,
    /// Only this one, as `list` shows it; repeat it for several.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<EffectId>,
}

/// Which ones a person's word is for.
#[derive(Debug, Args)]
pub(crate) struct Decision {
    #[command(flatten)]
    pub chosen: Chosen,
    /// All there are, of every organisation. Needed when nothing else narrows them.
    #[arg(long)]
    all: bool,
    /// Print JSON for programs instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

/// What leaves the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Rings somebody.
    Call,
    /// A text message.
    Sms,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    /// Not sent.
    Intended,
    /// Being sent right now, or its sender died.
    Sending,
    /// Sent, and the answer is unclear: it is looked up at the provider.
    Unknown,
    /// Set aside: the provider does not know it, and nobody knows whether it was sent.
    Held,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Held => "held",
        }
    }
}

impl Chosen {
    /// The filter for one organisation; `None`: the project is not its own, so nothing of it is meant.
    pub async fn filter(&self, tx: &mut TenantTx, now: DateTime<Utc>) -> anyhow::Result<Option<EffectFilter>> {
        if self.ids.len() > MOST_IDS {
            bail!("--id may be given {MOST_IDS} times; use the other options to choose more");
        }
        let project_id = match &self.project {
            None => None,
            Some(slug) => match tx.project_by_slug(slug).await? {
                None => return Ok(None),
                Some(project) => Some(project.id),
            },
        };
        let kind = self.kind.map(|kind| if kind == Kind::Call { "call" } else { "sms" });
        Ok(Some(EffectFilter {
            ids: (!self.ids.is_empty()).then(|| self.ids.clone()),
            project_id,
            kind: kind.map(str::to_owned),
            state: self.state.map(|state| state.as_str().to_owned()),
            to: self.to.clone(),
            created_before: self.older_than.map(|ago| now - ago),
            created_after: self.newer_than.map(|ago| now - ago),
            ..EffectFilter::default()
        }))
    }

    fn is_narrowed(&self) -> bool {
        let Self { project, kind, state, to, older_than, newer_than, ids } = self;
        let times = older_than.is_some() || newer_than.is_some();
        project.is_some() || kind.is_some() || state.is_some() || to.is_some() || times || !ids.is_empty()
    }
}

impl Decision {
    /// Nobody means everything by leaving everything out, and what is under way cannot be decided about.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.all && !self.chosen.is_narrowed() {
            bail!("say which: --project, --kind, --state, --to, --older-than, --newer-than or --id; or --all");
        }
        if matches!(self.chosen.state, Some(State::Sending | State::Unknown)) {
            bail!("only what is intended or held can be decided about; the rest is under way");
        }
        Ok(())
    }
}

/// A telephone number as it is stored.
fn number(text: &str) -> Result<String, String> {
    Phone::parse_e164(text)
        .map(Into::into)
        .map_err(|_| "is no number in E.164; write it with + and no blanks".to_owned())
}

/// A number and its unit.
fn time(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("{text:?} is no time; write 90s, 15m, 2h or 3d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number: i64 = text.strip_suffix(unit).and_then(|number| number.parse().ok()).ok_or_else(wrong)?;
    let time = match unit {
        's' => TimeDelta::try_seconds(number),
        'm' => TimeDelta::try_minutes(number),
        'h' => TimeDelta::try_hours(number),
        'd' => TimeDelta::try_days(number),
        _ => None,
    };
    time.filter(|time| (TimeDelta::zero()..=TimeDelta::days(36_500)).contains(time)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        decision: Decision,
    }

    fn check(arguments: &[&str]) -> anyhow::Result<()> {
        Line::parse_from([&["effects"], arguments].concat()).decision.check()
    }

    #[test]
    fn everything_is_meant_only_by_saying_so() {
        assert!(check(&[]).is_err());
        assert!(check(&["--json"]).is_err());
        assert!(check(&["--all"]).is_ok());
        for narrowed in [
            ["--project", "kereru"],
            ["--kind", "call"],
            ["--state", "held"],
            ["--to", "+64275559002"],
            ["--older-than", "2h"],
            ["--newer-than", "90s"],
            ["--id", "0198d9a0-0000-7000-8000-000000000001"],
        ] {
            assert!(check(&narrowed).is_ok(), "{narrowed:?}");
        }
    }

    #[test]
    fn what_is_under_way_cannot_be_decided_about() {
        for state in ["sending", "unknown"] {
            assert!(check(&["--state", state]).is_err(), "{state}");
        }
    }

    #[test]
    fn a_time_is_a_number_and_its_unit() {
        assert_eq!(time("90s"), Ok(TimeDelta::seconds(90)));
        assert_eq!(time("2h"), Ok(TimeDelta::minutes(120)));
        assert_eq!(time("3d"), Ok(TimeDelta::hours(72)));
        for wrong in ["", "h", "2", "2 h", "2w", "-2h", "99999999999d", "1é"] {
            assert!(time(wrong).is_err(), "{wrong:?}");
        }
    }
}
