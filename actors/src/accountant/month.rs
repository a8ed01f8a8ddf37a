//! When a project's month begins, and how it stands: pure rules.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};

/// The first moment of the month that it is now in the zone.
pub(super) fn month_start<Z: TimeZone>(now: DateTime<Utc>, zone: &Z) -> DateTime<Utc> {
    let today = now.with_timezone(zone).date_naive();
    let first = NaiveDate::from_ymd_opt(today.year(), today.month(), 1).unwrap_or(today).and_time(NaiveTime::MIN);
    // A zone may skip midnight when its clocks go forward: then the month begins with the first hour that exists.
    (0..24)
        .find_map(|hours| zone.from_local_datetime(&(first + TimeDelta::hours(hours))).earliest())
        .map_or(now, |start| start.to_utc())
}

/// `PAUSED` once a month's spending exceeds its limit.
pub(super) const fn standing(spent_micros: i64, limit_micros: i64) -> &'static str {
    if spent_micros > limit_micros { "PAUSED" } else { "ACTIVE" }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;

    fn start(now: &str, zone: Tz) -> String {
        month_start(now.parse().unwrap(), &zone).to_rfc3339()
    }

    #[test]
    fn a_month_begins_at_midnight_where_the_project_is() {
        assert_eq!(start("2026-01-31T12:00:00Z", Tz::Pacific__Auckland), "2026-01-31T11:00:00+00:00");
        assert_eq!(start("2026-01-31T10:59:59Z", Tz::Pacific__Auckland), "2025-12-31T11:00:00+00:00");
        assert_eq!(start("2026-08-01T00:00:00Z", Tz::UTC), "2026-08-01T00:00:00+00:00");
    }

    #[test]
    fn a_midnight_that_does_not_exist_is_the_hour_after() {
        // Asuncion's clocks went from 30 September 2017 23:59:59 to 1 October 01:00.
        assert_eq!(start("2017-10-10T12:00:00Z", Tz::America__Asuncion), "2017-10-01T04:00:00+00:00");
    }

    #[test]
    fn spending_the_limit_is_allowed_and_a_micro_more_pauses() {
        assert_eq!((standing(50, 50), standing(51, 50), standing(0, 0)), ("ACTIVE", "PAUSED", "ACTIVE"));
    }

    proptest! {
        #[test]
        fn now_is_always_within_its_month(seconds in 0_i64..4_000_000_000, zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..])) {
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let start = month_start(now, &zone);
            prop_assert!(start <= now && now - start <= TimeDelta::days(32));
        }
    }
}
