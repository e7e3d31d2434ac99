//! When a CronJob is due: its schedule in cron notation, in its own zone.
//!
//! Notation and meaning are those of the CronJob controller, which reads schedules with `robfig/cron` (version 3,
//! `ParseStandard`). Pure: zones come from the time zone database that is built in, never from the machine.

use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{ToSpan, Zoned};

use crate::time::Timestamp;

/// No schedule that can come true waits longer: February 29 around a century that is no leap year.
const LONGEST_WAIT_YEARS: i16 = 9;

/// A schedule as `spec.schedule` of a CronJob has it: five fields, `@hourly` and its like, or `@every 90m`.
#[derive(Debug, Clone)]
pub struct Schedule(Rule);

#[derive(Debug, Clone)]
enum Rule {
    Fields(Fields),
    /// Milliseconds from one run to the next.
    Every(i64),
}

#[derive(Debug, Clone)]
struct Fields {
    minutes: Field,
    hours: Field,
    days: Field,
    months: Field,
    weekdays: Field,
    zone: TimeZone,
}

/// The values that a field allows, a bit each.
#[derive(Debug, Clone, Copy)]
struct Field {
    bits: u64,
    /// Whether it is `*`, as far as days and weekdays are concerned. One with a step above 1 is not (`getRange` of the
    /// controller's reader).
    star: bool,
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
        let read = || {
            if let Some(every) = fields.strip_prefix("@every ") {
                return Some(Rule::Every(interval(every)?));
            }
            let fields = expand(fields).split_whitespace().collect::<Vec<_>>();
            let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return None };
            Some(Rule::Fields(Fields {
                minutes: Field::read(minutes, 0, 59, &[])?,
                hours: Field::read(hours, 0, 23, &[])?,
                days: Field::read(days, 1, 31, &[])?,
                months: Field::read(months, 1, 12, MONTHS)?,
                weekdays: Field::read(weekdays, 0, 6, WEEKDAYS)?,
                zone,
            }))
        };
        read().map(Self).ok_or_else(|| ScheduleError::Notation(schedule.to_owned()))
    }

    /// The last instant at or before `at` at which it is due; none for a day that does not exist. An hour that clocks
    /// leave out is never due, one that they repeat is due twice. Of `@every` it is the instant since which it must have
    /// been due once, for the controller counts from the last run.
    #[must_use]
    pub fn latest(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Fields(fields) => fields.latest(at),
            Rule::Every(ms) => Some(Timestamp(at.0.saturating_sub(*ms))),
        }
    }

    /// The `count` last instants at or before `at` at which it is due, latest first.
    #[must_use]
    pub fn last(&self, count: u32, at: Timestamp) -> Vec<Timestamp> {
        let before = |t: &Timestamp| self.latest(Timestamp(t.0.saturating_sub(1)));
        std::iter::successors(self.latest(at), before).take(count as usize).collect()
    }
}

impl Fields {
    fn latest(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let mut t = Zoned::new(at, self.zone.clone()).round(start_of_minute()).ok()?;
        let earliest = t.year() - LONGEST_WAIT_YEARS;
        while t.year() > earliest {
            let before = if !self.months.has(t.month()) {
                t.first_of_month().ok()?.start_of_day().ok()?
            } else if !self.has_day(&t) {
                t.start_of_day().ok()?
            } else if !self.hours.has(t.hour()) {
                t.checked_sub(i64::from(t.minute()).minutes()).ok()?
            } else if !self.minutes.has(t.minute()) {
                t
            } else {
                return Some(Timestamp(t.timestamp().as_millisecond()));
            };
            t = before.checked_sub(1.minute()).ok()?;
        }
        None
    }

    /// Where days and weekdays are both given, either is enough (crontab(5)).
    fn has_day(&self, t: &Zoned) -> bool {
        let day = self.days.has(t.day());
        let weekday = self.weekdays.has(t.weekday().to_sunday_zero_offset());
        if self.days.star || self.weekdays.star { day && weekday } else { day || weekday }
    }
}

/// Milliseconds of the interval of `@every`, such as `90m` or `1h30m`: whole seconds, at least one.
fn interval(text: &str) -> Option<i64> {
    let seconds = text.trim().parse::<jiff::SignedDuration>().ok()?.as_secs();
    (seconds >= 0).then(|| seconds.max(1).saturating_mul(1000))
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

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The five fields that a name such as `@hourly` stands for.
fn expand(fields: &str) -> &str {
    match fields {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other => other,
    }
}

fn start_of_minute() -> jiff::ZonedRound {
    jiff::ZonedRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Trunc)
}

impl Field {
    /// Reads a list of values, ranges and steps (`1,10-20/5,*/15`); `names` stand for the values from `low` on.
    fn read(text: &str, low: u32, high: u32, names: &[&str]) -> Option<Self> {
        let value = |text: &str| {
            let named = names.iter().zip(low..).find(|(name, _)| name.eq_ignore_ascii_case(text));
            let value = named.map_or_else(|| text.parse().ok(), |(_, value)| Some(value))?;
            (low..=high).contains(&value).then_some(value)
        };
        let mut field = Self { bits: 0, star: false };
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
                None => (item, None),
            };
            let star = matches!(range, "*" | "?");
            let (first, last) = match range.split_once('-') {
                _ if star => (low, high),
                Some((first, last)) => (value(first)?, value(last)?),
                // `5/10` is from 5 on.
                None => (value(range)?, if step.is_some() { high } else { value(range)? }),
            };
            if first > last {
                return None;
            }
            field.star |= star && step.unwrap_or(1) == 1;
            for value in (first..=last).step_by(step.unwrap_or(1) as usize) {
                field.bits |= 1 << value;
            }
        }
        Some(field)
    }

    fn has(self, value: i8) -> bool {
        self.bits >> value & 1 == 1
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
        check("5/20 3-4 * JAN,nov ?", None, &["2026-11-20T04:45:00Z", "2026-11-20T04:25:00Z"]);
        check("0 0 29 2 *", None, &["2024-02-29T00:00:00Z", "2020-02-29T00:00:00Z"]);
        check("@yearly", None, &["2026-01-01T00:00:00Z"]);
        check("@monthly", None, &["2026-11-01T00:00:00Z"]);
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
        // A star with a step is none: `getRange` of robfig/cron v3 forgets the star where `step > 1`.
        check(
            "0 0 */2 * MON",
            None,
            &["2026-11-19T00:00:00Z", "2026-11-17T00:00:00Z", "2026-11-16T00:00:00Z", "2026-11-15T00:00:00Z"],
        );
        check("0 0 */1 * MON", None, &["2026-11-16T00:00:00Z", "2026-11-09T00:00:00Z"]);
    }

    /// An interval has no phase of its own: by then it was due once.
    #[test]
    fn intervals() {
        check("@every 90m", None, &["2026-11-20T10:30:00Z", "2026-11-20T08:59:59.999Z"]);
        check("@every 1h30m", Some("Asia/Taipei"), &["2026-11-20T10:30:00Z"]);
        check("@every 10ms", None, &["2026-11-20T11:59:59Z"]);
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
        // 01:30 came twice on that day, 02:30 not at all on March 8.
        check("30 1 1 11 *", Some("America/New_York"), &["2026-11-01T06:30:00Z", "2026-11-01T05:30:00Z"]);
        check("30 2 8 3 *", Some("America/New_York"), &["2025-03-08T07:30:00Z"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in [
            "",
            "0 3 * *",
            "61 * * * *",
            "0 0 3 * * *",
            "@every",
            "@every soon",
            "@every -1h",
            "nonsense",
            "0 0 * * 7",
            "*/0 * * * *",
            "5-1 * * * *",
            "-1 * * * *",
            "0 0 0 * *",
        ] {
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
