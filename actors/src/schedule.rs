//! When a schedule runs: five cron fields in a time zone, and what becomes of runs that were missed. Pure.
//!
//! Local times are what people mean, so a schedule that names its hours runs each of them once a day whatever the clocks do: a
//! time that does not exist runs at the first moment that does, a time that comes twice runs when it comes first. A schedule
//! that runs in every hour keeps its pace instead: it runs whenever the clock shows one of its minutes.

use std::sync::LazyLock;

use apex_storage::model::MissedRuns;
use chrono::{DateTime, Datelike, LocalResult, NaiveDate, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

/// Longest cron text that is taken, in characters.
pub const MAX_CRON: usize = 120;
/// Runs that are made up for under [`MissedRuns::All`]; older ones are dropped.
pub const MAX_MADE_UP: usize = 24;
/// A run that is later than this is dropped under [`MissedRuns::Skip`].
pub const LATEST_START: TimeDelta = TimeDelta::minutes(5);

/// Dates and weekdays repeat after so many years.
const CALENDAR_YEARS: std::ops::Range<i32> = 2001..2029;
/// Longest stretch that clocks ever skipped is a day.
const LONGEST_GAP_MINUTES: i64 = 2 * 24 * 60;
/// Nothing is planned for years after this one.
const LAST_YEAR: i32 = 4000;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const SHORT_NAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

static PARSER: LazyLock<CronParser> =
    LazyLock::new(|| CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build());

/// Why a schedule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {text}")]
pub struct ScheduleProblem {
    /// `cron` or `timezone`.
    pub field: &'static str,
    /// What is wrong with it and what to write, as a fragment.
    pub text: String,
}

/// When something runs, as five cron fields say: minute, hour, day of month, month, day of week.
#[derive(Clone, Debug)]
pub struct Cron {
    pattern: croner::Cron,
    /// It runs in every hour of its days.
    keeps_pace: bool,
}

/// What a schedule whose time has come has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The times to run for, oldest first. Empty: all that were missed are dropped.
    pub runs: Vec<DateTime<Utc>>,
    /// When it is due again; `None`: never.
    pub next: Option<DateTime<Utc>>,
}

/// When a schedule runs next, strictly after an instant. `zone` is an IANA name.
///
/// # Errors
///
/// [`ScheduleProblem`] for a text that cannot be read, or that names no time that will ever come.
pub fn next_run(cron: &str, zone: &str, after: DateTime<Utc>) -> Result<DateTime<Utc>, ScheduleProblem> {
    let (cron, zone) = (Cron::parse(cron)?, parse_zone(zone)?);
    cron.next(zone, after).ok_or_else(|| problem("never comes"))
}

/// The zone of this IANA name.
///
/// # Errors
///
/// [`ScheduleProblem`] for a name that is none.
pub fn parse_zone(name: &str) -> Result<Tz, ScheduleProblem> {
    name.parse().map_err(|_| ScheduleProblem {
        field: "timezone",
        text: "is no IANA time zone; write one like Pacific/Auckland".into(),
    })
}

/// What to do for a schedule that was due at `next_at`. `next_at` is run for only if the schedule still runs then: its zone may
/// have changed since.
pub fn due(cron: &Cron, zone: Tz, next_at: DateTime<Utc>, now: DateTime<Utc>, missed: MissedRuns) -> Due {
    let before = next_at - TimeDelta::seconds(1);
    let runs = match missed {
        MissedRuns::Skip => cron.between(zone, before.max(now - LATEST_START), now).collect(),
        MissedRuns::Once => cron.between(zone, before, now).take(1).collect(),
        MissedRuns::All => cron.newest(zone, before, now),
    };
    Due { runs, next: cron.next(zone, now) }
}

impl Cron {
    /// Reads five fields, or a short name like `@daily`.
    ///
    /// # Errors
    ///
    /// [`ScheduleProblem`]: what is wrong with the text, or that it names no day that will ever come.
    pub fn parse(text: &str) -> Result<Self, ScheduleProblem> {
        let text = text.trim();
        if text.chars().count() > MAX_CRON {
            return Err(problem(format!("is longer than {MAX_CRON} characters")));
        }
        let fields =
            SHORT_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map_or(text, |(_, long)| long);
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(problem(format!(
                "has {} fields; write five (minute hour day month weekday), or @hourly, @daily, @weekly, @monthly, @yearly",
                fields.len()
            )));
        };
        check_field("minute", minute, &[], "")?;
        check_field("hour", hour, &[], "")?;
        check_field("day", day, &[], "LW?")?;
        check_field("month", month, &MONTHS, "")?;
        check_field("weekday", weekday, &WEEKDAYS, "L#?")?;
        let pattern = PARSER.parse(&fields.join(" ")).map_err(|error| problem(format!("cannot be read: {error}")))?;
        let keeps_pace = (0..24).all(|hour| pattern.pattern.hour_match(hour).unwrap_or(false));
        let cron = Self { pattern, keeps_pace };
        if cron.names_a_day() { Ok(cron) } else { Err(problem("names a day that never comes")) }
    }

    /// The first run strictly after an instant; `None`: there is none.
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !(1970..LAST_YEAR).contains(&after.year()) {
            return None;
        }
        let after = after.trunc_subsecs(0).with_timezone(&zone);
        if self.keeps_pace {
            return self.pattern.find_next_occurrence(&after, false).ok().map(|run| run.to_utc());
        }
        // The instants of local times never go back, so the first that lies ahead is the answer. Those that do not lie ahead
        // are the few that come a second time now, and those of a gap that has just ended.
        let mut local = after.naive_local();
        loop {
            local = self.pattern.find_next_occurrence(&local, false).ok()?;
            if let Some(run) = instant(zone, local).filter(|run| *run > after) {
                return Some(run.to_utc());
            }
        }
    }

    /// The runs strictly after one instant and not after the other, oldest first.
    fn between(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        let next = move |after| self.next(zone, after).filter(|run| *run <= until);
        std::iter::successors(next(after), move |run| next(*run))
    }

    /// The newest [`MAX_MADE_UP`] of them. Looked for from the end, because a schedule may have been due for years.
    fn newest(&self, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let mut window = TimeDelta::hours(1);
        loop {
            let from = after.max(until - window);
            let mut runs: Vec<_> = self.between(zone, from, until).collect();
            if runs.len() >= MAX_MADE_UP || from == after {
                return runs.split_off(runs.len().saturating_sub(MAX_MADE_UP));
            }
            window = window * 4;
        }
    }

    /// Whether any day of the calendar is one of its days. A search for one that never comes would be long.
    fn names_a_day(&self) -> bool {
        let days = |year| NaiveDate::from_ymd_opt(year, 1, 1).into_iter().flat_map(|first| first.iter_days().take(366));
        CALENDAR_YEARS.flat_map(days).any(|day| {
            let weekday = croner::Weekday::from_days_from_sunday(day.weekday().num_days_from_sunday());
            let pattern = &self.pattern.pattern;
            pattern.month_match(day.month()).unwrap_or(false)
                && pattern.day_match(day.year(), day.month(), day.day(), weekday).unwrap_or(false)
        })
    }
}

/// The moment of a local time: the first of two, or the end of the gap that it falls into.
fn instant(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Tz>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(only) => Some(only),
        LocalResult::Ambiguous(first, _) => Some(first),
        LocalResult::None => (1..LONGEST_GAP_MINUTES)
            .find_map(|minutes| zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))).earliest()),
    }
}

fn problem(text: impl Into<String>) -> ScheduleProblem {
    ScheduleProblem { field: "cron", text: text.into() }
}

/// Whether a field is made of numbers, ranges, steps, the names it may have, and its own signs. The library reads names by
/// replacing their letters wherever they stand, so that `1JAN` would be November.
fn check_field(name: &str, field: &str, names: &[&str], signs: &str) -> Result<(), ScheduleProblem> {
    let upper = field.to_ascii_uppercase();
    let is_word = |word: &str| {
        let bare = word.trim_end_matches(|c| "LW".contains(c) && signs.contains(c));
        let is_number = !bare.is_empty() && bare.len() <= 2 && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_sign = bare.is_empty() || bare == "*" || (bare == "?" && signs.contains('?'));
        is_number || is_sign || names.contains(&bare)
    };
    let is_cut = |c: char| ",-/".contains(c) || (c == '#' && signs.contains('#'));
    if upper.split(is_cut).all(|word| is_word(word) && !word.is_empty()) {
        return Ok(());
    }
    let or = names.first().map(|first| format!(" or names like {first}")).unwrap_or_default();
    Err(problem(format!("has a {name} that cannot be read; write *, numbers like 5 or 1-5 or */15{or}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NZ: Tz = Tz::Pacific__Auckland;
    const NY: Tz = Tz::America__New_York;
    const UK: Tz = Tz::Europe__London;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The runs after an instant, as the clocks of the zone show them, with their offsets.
    fn runs(cron: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(cron).unwrap();
        let shown = |run: DateTime<Utc>| run.with_timezone(&zone).format("%d %H:%M %z").to_string();
        cron.between(zone, at(after), DateTime::<Utc>::MAX_UTC).take(count).map(shown).collect()
    }

    #[test]
    fn a_run_is_strictly_after_and_on_the_minute() {
        let next = |after| next_run("30 9 * * *", "Pacific/Auckland", at(after)).unwrap().to_rfc3339();
        assert_eq!(next("2026-05-31T21:29:59.999999Z"), "2026-05-31T21:30:00+00:00");
        assert_eq!(next("2026-05-31T21:30:00Z"), "2026-06-01T21:30:00+00:00");
        assert_eq!(next("2026-05-31T21:30:00.5Z"), "2026-06-01T21:30:00+00:00");
    }

    #[test]
    fn days_are_those_of_the_fields() {
        let (start, utc) = ("2026-01-01T00:00:00Z", Tz::UTC);
        assert_eq!(runs("0 7 * * mon-fri", utc, start, 3), ["01 07:00 +0000", "02 07:00 +0000", "05 07:00 +0000"]);
        assert_eq!(runs("0 7 * * 7", utc, start, 1), runs("0 7 * * SUN", utc, start, 1));
        assert_eq!(
            runs("0 0 13 * FRI", utc, start, 3),
            ["02 00:00 +0000", "09 00:00 +0000", "13 00:00 +0000"],
            "either day"
        );
        assert_eq!(runs("0 6 L * *", utc, start, 2), ["31 06:00 +0000", "28 06:00 +0000"]);
        assert_eq!(runs("0 6 * * 1#1", utc, start, 2), ["05 06:00 +0000", "02 06:00 +0000"]);
        assert_eq!(runs("0 0 29 2 *", utc, start, 1), ["29 00:00 +0000"]);
        assert_eq!(runs("@daily", utc, start, 1), runs("0 0 * * *", utc, start, 1));
        for (short, long) in SHORT_NAMES {
            assert_eq!(runs(short, NZ, start, 5), runs(&format!("  {long} "), NZ, start, 5), "{short}");
        }
    }

    #[test]
    fn a_time_that_does_not_exist_runs_once_right_after_the_gap() {
        for (zone, before, expected) in [
            (NZ, "2026-09-25T12:00:00Z", ["26 02:30 +1200", "27 03:00 +1300", "28 02:30 +1300"]),
            (NY, "2026-03-06T12:00:00Z", ["07 02:30 -0500", "08 03:00 -0400", "09 02:30 -0400"]),
        ] {
            assert_eq!(runs("30 2 * * *", zone, before, 3), expected, "{zone}");
            assert_eq!(
                runs("0,15,45 2 * * *", zone, before, 5)[2..],
                [expected[0].replace("02:30", "02:45"), expected[1].to_owned(), expected[2].replace("02:30", "02:00"),]
            );
            let thrice = runs("0,30 2,3 * * *", zone, before, 6);
            assert_eq!(thrice[4..], [expected[1].to_owned(), expected[1].replace("03:00", "03:30")], "once, not twice");
        }
        let london = ["28 01:30 +0000", "29 02:00 +0100", "30 01:30 +0100"];
        assert_eq!(runs("30 1 * * *", UK, "2026-03-27T12:00:00Z", 3), london);
        let only_sunday = runs("30 1 * * 0", UK, "2026-03-27T12:00:00Z", 2);
        assert_eq!(only_sunday, ["29 02:00 +0100", "05 01:30 +0100"]);
    }

    #[test]
    fn a_time_that_comes_twice_runs_when_it_comes_first() {
        for (zone, cron, before, expected) in [
            (NZ, "30 2 * * *", "2026-04-04T12:00:00Z", ["05 02:30 +1300", "06 02:30 +1200"]),
            (NY, "30 1 * * *", "2026-10-31T12:00:00Z", ["01 01:30 -0400", "02 01:30 -0500"]),
            (UK, "30 1 * * *", "2026-10-24T12:00:00Z", ["25 01:30 +0100", "26 01:30 +0000"]),
        ] {
            assert_eq!(runs(cron, zone, before, 2), expected, "{zone}");
        }
        let in_the_second = "2026-11-01T06:10:00Z"; // 01:10 for the second time
        assert_eq!(runs("30 1 * * *", NY, in_the_second, 1), ["02 01:30 -0500"]);
        assert_eq!(runs("*/20 1,2 * * *", NY, "2026-11-01T05:40:00Z", 2), ["01 02:00 -0500", "01 02:20 -0500"]);
    }

    #[test]
    fn what_runs_in_every_hour_keeps_its_pace() {
        for (zone, change) in [
            (NZ, "2026-09-26T14:00:00Z"),
            (NZ, "2026-04-04T14:00:00Z"),
            (NY, "2026-03-08T07:00:00Z"),
            (NY, "2026-11-01T06:00:00Z"),
            (UK, "2026-03-29T01:00:00Z"),
            (UK, "2026-10-25T01:00:00Z"),
        ] {
            for (cron, minutes) in [("0 * * * *", 60), ("20 0-23 * * *", 60), ("*/15 * * * *", 15), ("* * * * *", 1)] {
                let cron = Cron::parse(cron).unwrap();
                let (from, until) = (at(change) - TimeDelta::hours(5), at(change) + TimeDelta::hours(5));
                let runs: Vec<_> = cron.between(zone, from, until).collect();
                assert!(i64::try_from(runs.len()).unwrap() >= 10 * 60 / minutes);
                let is_steady = |pair: &[DateTime<Utc>]| pair[1] - pair[0] == TimeDelta::minutes(minutes);
                assert!(runs.windows(2).all(is_steady), "{zone} {change} every {minutes} minutes");
            }
        }
    }

    #[test]
    fn a_day_that_a_zone_skips_runs_when_the_next_begins() {
        // Samoa went from 29 December 2011 to the 31st.
        let samoa = runs("0 9 * * *", Tz::Pacific__Apia, "2011-12-29T12:00:00Z", 3);
        assert_eq!(samoa, ["29 09:00 -1000", "31 00:00 +1400", "31 09:00 +1400"]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, says) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("0 * * * * *", "has 6 fields"),
            ("@reboot", "has 1 fields"),
            ("60 * * * *", "cannot be read"),
            ("* 24 * * *", "cannot be read"),
            ("* * 0 * *", "cannot be read"),
            ("*/0 * * * *", "cannot be read"),
            ("5-1 * * * *", "cannot be read"),
            ("1JAN * * * *", "a minute that cannot be read"),
            ("* * * 1JAN *", "a month that cannot be read; write *, numbers like 5 or 1-5 or */15 or names like JAN"),
            ("* * * * MONDAY", "a weekday that cannot be read"),
            ("0 0 1 1 +1", "a weekday that cannot be read"),
            ("0 0 30 2 *", "names a day that never comes"),
            ("0 0 31 4,6,9,11 *", "names a day that never comes"),
            ("* * * * \u{0660}", "a weekday that cannot be read"),
        ] {
            let problem = Cron::parse(text).unwrap_err();
            assert_eq!(problem.field, "cron");
            assert!(problem.text.contains(says), "{text:?}: {problem}");
        }
        assert!(Cron::parse(&format!("0{} * * * *", ",0".repeat(60))).unwrap_err().text.contains("longer than 120"));
        assert_eq!(next_run("@daily", "Mars/Olympus", at("2026-01-01T00:00:00Z")).unwrap_err().field, "timezone");
    }

    fn nine(day: u32) -> DateTime<Utc> {
        at(&format!("2026-06-{day:02}T09:00:00Z"))
    }

    #[test]
    fn missed_runs_are_dropped_joined_or_made_up_for() {
        let daily = Cron::parse("0 9 * * *").unwrap();
        let due = |day, now, missed| due(&daily, Tz::UTC, nine(day), now, missed);
        let in_time = nine(4) + TimeDelta::seconds(2);
        for missed in [MissedRuns::Skip, MissedRuns::Once, MissedRuns::All] {
            assert_eq!(due(4, in_time, missed), Due { runs: vec![nine(4)], next: Some(nine(5)) }, "{missed:?}");
        }
        let late = nine(4) + TimeDelta::minutes(6);
        assert_eq!(due(1, late, MissedRuns::Skip), Due { runs: vec![], next: Some(nine(5)) });
        assert_eq!(due(1, late, MissedRuns::Once), Due { runs: vec![nine(1)], next: Some(nine(5)) });
        assert_eq!(due(1, late, MissedRuns::All), Due { runs: (1..=4).map(nine).collect(), next: Some(nine(5)) });
        assert_eq!(due(1, in_time, MissedRuns::Skip).runs, [nine(4)], "the others are late, this one is not");
    }

    #[test]
    fn at_most_a_day_of_hours_is_made_up_for_however_long_it_was() {
        let (start, now) = (at("2016-01-01T00:00:00Z"), at("2026-06-01T12:00:30Z"));
        for (cron, oldest) in [
            ("* * * * *", "2026-06-01T11:37:00Z"),
            ("@hourly", "2026-05-31T13:00:00Z"),
            ("@yearly", "2016-01-01T00:00:00Z"),
        ] {
            let Due { runs, next } = due(&Cron::parse(cron).unwrap(), Tz::UTC, start, now, MissedRuns::All);
            assert!(runs.len() <= MAX_MADE_UP && next > Some(now));
            assert_eq!(runs[0], at(oldest), "{cron}");
        }
    }

    #[test]
    fn a_schedule_whose_zone_has_changed_waits_for_its_new_time() {
        let daily = Cron::parse("0 9 * * *").unwrap();
        let (was, now) = (at("2026-06-01T21:00:00Z"), at("2026-06-01T21:00:01Z")); // 09:00 in Auckland
        assert_eq!(due(&daily, NZ, was, now, MissedRuns::Once).runs, [was]);
        let moved = due(&daily, UK, was, now, MissedRuns::Once);
        assert_eq!(moved, Due { runs: vec![], next: Some(at("2026-06-02T08:00:00Z")) });
    }

    /// What the promises say about one local day or two, minute by minute.
    fn promised(cron: &Cron, zone: Tz, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let shows = |local: NaiveDateTime| cron.pattern.is_time_matching(&local).unwrap();
        let minutes = |from: NaiveDateTime, count: i64| (0..count).map(move |minute| from + TimeDelta::minutes(minute));
        let count = (until - after).num_minutes() + 2 * 24 * 60;
        let mut runs: Vec<_> = if cron.keeps_pace {
            let instants = minutes(after.naive_utc(), count).map(|minute| minute.and_utc());
            instants.filter(|minute| shows(minute.with_timezone(&zone).naive_local())).collect()
        } else {
            let local = after.with_timezone(&zone).naive_local() - TimeDelta::days(1);
            minutes(local, count)
                .filter(|local| shows(*local))
                .map(|local| instant(zone, local).unwrap().to_utc())
                .collect()
        };
        runs.dedup();
        runs.retain(|run| *run > after && *run <= until);
        runs
    }

    fn field(low: u32, high: u32) -> impl Strategy<Value = String> {
        let range = move || low..=high;
        prop_oneof![
            3 => Just("*".to_owned()),
            2 => range().prop_map(|n| n.to_string()),
            1 => (range(), range()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
            1 => (2..20_u32).prop_map(|step| format!("*/{step}")),
            1 => prop::collection::vec(range(), 1..5).prop_map(|all| {
                all.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
            }),
        ]
    }

    fn zones() -> impl Strategy<Value = Tz> {
        let odd =
            [NZ, NY, UK, Tz::Australia__Lord_Howe, Tz::America__St_Johns, Tz::Africa__Casablanca, Tz::Asia__Kathmandu];
        prop_oneof![prop::sample::select(odd.to_vec()), prop::sample::select(&chrono_tz::TZ_VARIANTS[..])]
    }

    /// Minutes around the changes of a clock, where the zone has any.
    fn changes(zone: Tz, from: DateTime<Utc>) -> DateTime<Utc> {
        let offset = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
        let hours = (0..24 * 366).map(|hour| from + TimeDelta::hours(hour));
        hours.clone().zip(hours.skip(1)).find(|(a, b)| offset(*a) != offset(*b)).map_or(from, |(a, _)| a)
    }

    proptest! {
        #[test]
        fn around_every_change_of_the_clocks_runs_are_the_promised_ones(
            fields in (field(0, 59), field(0, 23)), weekday in prop_oneof![4 => Just("*".to_owned()), 1 => field(0, 6)],
            zone in zones(), day in 0_i64..3650, hours in -30_i64..3, minutes in 0_i64..60,
        ) {
            let cron = Cron::parse(&format!("{} {} * * {weekday}", fields.0, fields.1)).unwrap();
            let change = changes(zone, at("2020-01-01T00:00:00Z") + TimeDelta::days(day));
            let after = change + TimeDelta::hours(hours) + TimeDelta::minutes(minutes);
            let until = after + TimeDelta::hours(40);
            let found: Vec<_> = cron.between(zone, after, until).collect();
            prop_assert_eq!(found, promised(&cron, zone, after, until));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9*/,#LW?A-Z@ ]{0,40}", spaced in prop::collection::vec("[-0-9*/,#LW?]{1,6}", 5)) {
            for text in [text, spaced.join(" ")] {
                if let Ok(cron) = Cron::parse(&text) {
                    let after = at("2026-03-29T00:59:59Z");
                    prop_assert!(cron.next(UK, after).is_none_or(|run| run > after), "{text}");
                }
            }
        }

        #[test]
        fn any_letters_at_all_are_read_or_refused(text in ".{0,200}") {
            let _ = Cron::parse(&text).map(|cron| cron.next(NZ, at("2026-03-29T00:59:59Z")));
        }

        #[test]
        fn runs_go_forward(fields in (field(0, 59), field(0, 23), field(1, 28), field(1, 12)), zone in zones(), seconds in 0_i64..4_000_000_000) {
            let cron = Cron::parse(&format!("{} {} {} {} *", fields.0, fields.1, fields.2, fields.3)).unwrap();
            let after = DateTime::from_timestamp(seconds, 0).unwrap();
            let runs: Vec<_> = cron.between(zone, after, DateTime::<Utc>::MAX_UTC).take(5).collect();
            prop_assert_eq!(runs.len(), 5);
            prop_assert!(after < runs[0] && runs.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
