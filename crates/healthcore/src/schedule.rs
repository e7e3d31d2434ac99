//! When a CronJob is due: its schedule in cron notation, in its own zone.
//!
//! Pure: zones come from the time zone database that is built in, never from the machine.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::Timestamp;

/// A schedule as `spec.schedule` of a CronJob has it: five fields, or `@hourly` and its like.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The notation is not that of cron.
    #[error("schedule `{0}`: expected five fields such as `0 3 * * *`")]
    Notation(String),
    /// No zone has that name.
    #[error("time zone `{0}`: expected a name of the IANA database such as `Asia/Taipei`")]
    Zone(String),
}

impl Schedule {
    /// Reads a schedule. Without a zone it is in UTC, in which the controller runs almost everywhere. A zone within the
    /// schedule (`CRON_TZ=Asia/Taipei 0 3 * * *`) counts as the old controllers take it.
    ///
    /// # Errors
    /// Notation or zone are not known.
    ///
    /// ```
    /// use healthcore::schedule::Schedule;
    /// use healthcore::time::Timestamp;
    ///
    /// let daily = Schedule::new("0 3 * * *", Some("Asia/Taipei"))?;
    /// let noon = Timestamp::from_unix_seconds(1_795_132_800 + 12 * 3600); // 2026-11-20T12:00:00Z
    /// let due = daily.latest(noon).expect("every day");
    /// assert_eq!(noon.seconds_since(due), 17.0 * 3600.0, "03:00 in Taipei is 19:00 UTC of the day before");
    /// # Ok::<(), healthcore::schedule::ScheduleError>(())
    /// ```
    pub fn new(schedule: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let (within, fields) = split_zone(schedule);
        let name = zone.or(within).unwrap_or("UTC");
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        // The one name that only Kubernetes knows.
        let known = if fields == "@midnight" { "@daily" } else { fields };
        let cron = parser.parse(known).map_err(|_| ScheduleError::Notation(schedule.to_owned()))?;
        Ok(Self { cron, zone })
    }

    /// The last instant at or before `at` at which it is due; none for a day that does not exist.
    #[must_use]
    pub fn latest(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let found = self.cron.find_previous_occurrence(&Zoned::new(at, self.zone.clone()), true).ok()?;
        Some(Timestamp(found.timestamp().as_millisecond()))
    }

    /// The `count` last instants at or before `at` at which it is due, latest first.
    #[must_use]
    pub fn last(&self, count: u32, at: Timestamp) -> Vec<Timestamp> {
        let before = |t: &Timestamp| self.latest(Timestamp(t.0 - 1));
        std::iter::successors(self.latest(at), before).take(count as usize).collect()
    }
}

/// Zone and fields of `CRON_TZ=ZONE FIELDS` or `TZ=ZONE FIELDS`.
fn split_zone(schedule: &str) -> (Option<&str>, &str) {
    let schedule = schedule.trim();
    let rest = schedule.strip_prefix("CRON_TZ=").or_else(|| schedule.strip_prefix("TZ="));
    match rest.and_then(|rest| rest.split_once(char::is_whitespace)) {
        Some((zone, fields)) => (Some(zone), fields.trim()),
        None => (None, schedule),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Due instants before 2026-11-20T12:00:00Z (a Friday), as text.
    #[track_caller]
    fn check(schedule: &str, zone: Option<&str>, expected: &[&str]) {
        let at: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let last = Schedule::new(schedule, zone)
            .unwrap()
            .last(expected.len() as u32, Timestamp(at.as_millisecond()));
        let last: Vec<String> =
            last.iter().map(|t| jiff::Timestamp::from_millisecond(t.0).unwrap().to_string()).collect();
        assert_eq!(last, expected, "{schedule}");
    }

    #[test]
    fn notations_of_kubernetes() {
        check("0 3 * * *", None, &["2026-11-20T03:00:00Z", "2026-11-19T03:00:00Z"]);
        check("*/20 * * * *", None, &["2026-11-20T12:00:00Z", "2026-11-20T11:40:00Z"]);
        check("30 1 1,15 * *", None, &["2026-11-15T01:30:00Z", "2026-11-01T01:30:00Z"]);
        check("0 0 * * SUN", None, &["2026-11-15T00:00:00Z", "2026-11-08T00:00:00Z"]);
        check("0 0 * * 7", None, &["2026-11-15T00:00:00Z"]);
        check("@hourly", None, &["2026-11-20T12:00:00Z", "2026-11-20T11:00:00Z"]);
        check("@weekly", None, &["2026-11-15T00:00:00Z"]);
        check("@midnight", None, &["2026-11-20T00:00:00Z"]);
    }

    /// Where both are given, the day of the month or that of the week is enough (crontab(5)).
    #[test]
    fn either_day_is_enough() {
        check(
            "0 0 13 * FRI",
            None,
            &["2026-11-20T00:00:00Z", "2026-11-13T00:00:00Z", "2026-11-06T00:00:00Z"],
        );
    }

    #[test]
    fn zones() {
        check("0 3 * * *", Some("Asia/Taipei"), &["2026-11-19T19:00:00Z"]);
        check("CRON_TZ=America/New_York 0 3 * * *", None, &["2026-11-20T08:00:00Z"]);
        // Clocks went back on November 1, 2026: before it 03:00 was 07:00 UTC.
        let days = Schedule::new("0 3 * * *", Some("America/New_York")).unwrap();
        let at: jiff::Timestamp = "2026-10-31T12:00:00Z".parse().unwrap();
        let due = days.latest(Timestamp(at.as_millisecond())).unwrap();
        assert_eq!(jiff::Timestamp::from_millisecond(due.0).unwrap().to_string(), "2026-10-31T07:00:00Z");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in ["", "0 3 * *", "61 * * * *", "0 0 3 * * *", "@every 1h", "nonsense"] {
            assert_eq!(Schedule::new(text, None).unwrap_err(), ScheduleError::Notation(text.to_owned()));
        }
        let zone = Schedule::new("0 3 * * *", Some("Asia/Nowhere")).unwrap_err();
        assert_eq!(
            zone.to_string(),
            "time zone `Asia/Nowhere`: expected a name of the IANA database such as `Asia/Taipei`"
        );
        assert_eq!(Schedule::new("0 0 30 2 *", None).unwrap().latest(Timestamp(0)), None, "no such day");
    }
}
