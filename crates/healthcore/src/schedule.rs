//! When something is due: a schedule in cron notation, in its own zone.
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
    /// Whether it is `*`, with or without a step.
    repeats: bool,
}

/// What a schedule is due at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Times of day that are all named: neither minutes nor hours are `*`, with or without a step.
    TimesOfDay,
    /// Again and again, by `*` in minutes or hours.
    Repeated,
    /// So long after the last run (`@every`).
    Interval,
}

/// A schedule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The notation is not that of cron.
    #[error("schedule `{schedule}`: expected five fields such as `0 3 * * *`: {why}")]
    Notation {
        /// What was given.
        schedule: String,
        /// What is wrong with it.
        why: String,
    },
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
        let read = match fields.strip_prefix("@every ") {
            Some(every) => interval(every).map(Rule::Every),
            None => Fields::read(fields, zone).map(Rule::Fields),
        };
        read.map(Self).map_err(|why| ScheduleError::Notation { schedule: schedule.to_owned(), why })
    }

    /// The same times of day in another zone.
    #[must_use]
    pub fn in_zone(self, zone: TimeZone) -> Self {
        Self(match self.0 {
            Rule::Fields(fields) => Rule::Fields(Fields { zone, ..fields }),
            every @ Rule::Every(_) => every,
        })
    }

    /// What it is due at.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match &self.0 {
            Rule::Every(_) => Kind::Interval,
            Rule::Fields(fields) if fields.minutes.repeats || fields.hours.repeats => Kind::Repeated,
            Rule::Fields(_) => Kind::TimesOfDay,
        }
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

    /// The first instant after `at` at which it is due; none for a day that does not exist. Clocks that change mean what
    /// they mean to [`Schedule::latest`]. Of `@every` it is one interval later, as if the last run had been at `at`.
    #[must_use]
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::Fields(fields) => fields.next(at),
            Rule::Every(ms) => at.0.checked_add(*ms).map(Timestamp),
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
    fn read(fields: &str, zone: TimeZone) -> Result<Self, String> {
        let fields = expand(fields)?.split_whitespace().collect::<Vec<_>>();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("it has {}", fields.len()));
        };
        Ok(Self {
            minutes: Field::read(minutes, &MINUTES)?,
            hours: Field::read(hours, &HOURS)?,
            days: Field::read(days, &DAYS)?,
            months: Field::read(months, &MONTHS)?,
            weekdays: Field::read(weekdays, &WEEKDAYS)?,
            zone,
        })
    }

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

    fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let minute = Zoned::new(at, self.zone.clone()).round(start_of_minute()).ok()?;
        let mut t = minute.checked_add(1.minute()).ok()?;
        let latest = t.year() + LONGEST_WAIT_YEARS;
        while t.year() < latest {
            t = if !self.months.has(t.month()) {
                t.first_of_month().ok()?.checked_add(1.month()).ok()?.start_of_day().ok()?
            } else if !self.has_day(&t) {
                t.tomorrow().ok()?.start_of_day().ok()?
            } else if !self.hours.has(t.hour()) {
                t.checked_add(i64::from(60 - t.minute()).minutes()).ok()?
            } else if !self.minutes.has(t.minute()) {
                t.checked_add(1.minute()).ok()?
            } else {
                return Some(Timestamp(t.timestamp().as_millisecond()));
            };
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
fn interval(text: &str) -> Result<i64, String> {
    let text = text.trim();
    match text.parse::<jiff::SignedDuration>() {
        Ok(every) if every.as_secs() >= 0 => Ok(every.as_secs().max(1).saturating_mul(1000)),
        _ => Err(format!("`{text}` is no interval such as `90m`")),
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

/// What a field holds: from the lowest value to the highest, and names for those from the lowest on.
struct Range {
    name: &'static str,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MINUTES: Range = Range { name: "minute", low: 0, high: 59, names: &[] };
const HOURS: Range = Range { name: "hour", low: 0, high: 23, names: &[] };
const DAYS: Range = Range { name: "day of the month", low: 1, high: 31, names: &[] };
const MONTHS: Range = Range {
    name: "month",
    low: 1,
    high: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Range = Range {
    name: "day of the week",
    low: 0,
    high: 6,
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

/// The five fields that a name such as `@hourly` stands for; what is no name is taken as it is.
fn expand(fields: &str) -> Result<&str, String> {
    Ok(match fields {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        other if other.starts_with('@') => return Err(format!("`{other}` is no name of a schedule")),
        other => other,
    })
}

fn start_of_minute() -> jiff::ZonedRound {
    jiff::ZonedRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Trunc)
}

impl Field {
    /// Reads a list of values, ranges and steps (`1,10-20/5,*/15`).
    fn read(text: &str, of: &Range) -> Result<Self, String> {
        let mut field = Self { bits: 0, star: false, repeats: false };
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(read_step(step)?)),
                None => (item, None),
            };
            let star = matches!(range, "*" | "?");
            let (first, last) = match range.split_once('-') {
                _ if star => (of.low, of.high),
                Some((first, last)) => (of.value(first)?, of.value(last)?),
                // `5/10` is from 5 on.
                None if step.is_some() => (of.value(range)?, of.high),
                None => (of.value(range)?, of.value(range)?),
            };
            if first > last {
                return Err(format!("`{range}` ends before it begins"));
            }
            field.star |= star && step.unwrap_or(1) == 1;
            field.repeats |= star;
            for value in (first..=last).step_by(step.unwrap_or(1)) {
                field.bits |= 1 << value;
            }
        }
        Ok(field)
    }

    fn has(self, value: i8) -> bool {
        self.bits >> value & 1 == 1
    }
}

fn read_step(text: &str) -> Result<usize, String> {
    let step = text.parse::<usize>().ok().filter(|step| *step > 0);
    step.ok_or_else(|| format!("`{text}` is no step (1 or more)"))
}

impl Range {
    fn value(&self, text: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.low..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let value = named.map_or_else(|| text.parse().ok(), |(_, value)| Some(value));
        let within = value.filter(|value| (self.low..=self.high).contains(value));
        within.ok_or_else(|| {
            let names = match self.names {
                [first, .., last] => format!(", or {first} to {last}"),
                _ => String::new(),
            };
            format!("`{text}` is no {} ({} to {}{names})", self.name, self.low, self.high)
        })
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
        let every = Schedule::new("@every 90m", None).unwrap();
        assert_eq!(
            (every.next(Timestamp(5)), every.next(Timestamp(i64::MAX))),
            (Some(Timestamp(5_400_005)), None)
        );
        assert_eq!(every.kind(), Kind::Interval);
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
        for (text, why) in [
            ("", "it has 0"),
            ("0 3 * *", "it has 4"),
            ("61 * * * *", "`61` is no minute (0 to 59)"),
            ("0 0 3 * * *", "it has 6"),
            ("@every", "`@every` is no name of a schedule"),
            ("@every soon", "`soon` is no interval such as `90m`"),
            ("@every -1h", "`-1h` is no interval such as `90m`"),
            ("nonsense", "it has 1"),
            ("0 0 * * 7", "`7` is no day of the week (0 to 6, or sun to sat)"),
            ("0 0 * FEBRUARY *", "`FEBRUARY` is no month (1 to 12, or jan to dec)"),
            ("*/0 * * * *", "`0` is no step (1 or more)"),
            ("5-1 * * * *", "`5-1` ends before it begins"),
            ("-1 * * * *", "`` is no minute (0 to 59)"),
            ("0 24 * * *", "`24` is no hour (0 to 23)"),
            ("0 0 0 * *", "`0` is no day of the month (1 to 31)"),
        ] {
            let expected = ScheduleError::Notation { schedule: text.to_owned(), why: why.to_owned() };
            assert_eq!(Schedule::new(text, None).unwrap_err(), expected);
        }
        let zone = Schedule::new("0 3 * * *", Some("Asia/Nowhere")).unwrap_err();
        assert_eq!(
            zone.to_string(),
            "time zone `Asia/Nowhere`: expected a name of the IANA database such as `Asia/Taipei`"
        );
        let never = Schedule::new("0 0 30 2 *", None).unwrap();
        assert_eq!((never.latest(Timestamp(0)), never.next(Timestamp(0))), (None, None), "no such day");
    }

    /// Every due instant that one direction finds, the other one finds, also where clocks change.
    #[test]
    fn both_directions_agree() {
        for (schedule, zone) in [
            ("0 9 * * *", "Asia/Taipei"),
            ("*/20 * * * *", "America/New_York"),
            ("30 1,2 * 3,11 *", "America/New_York"),
            ("0 0 29 2 *", "UTC"),
            ("15 0-3 1-14 * SUN", "Australia/Lord_Howe"),
            ("0 0 * * *", "America/Sao_Paulo"),
            ("59 23 30,31 dec *", "Pacific/Apia"),
        ] {
            let schedule = Schedule::new(schedule, Some(zone)).unwrap();
            let start: jiff::Timestamp = "2011-01-01T12:34:56.789Z".parse().unwrap();
            let mut at = schedule.next(Timestamp(start.as_millisecond())).unwrap();
            for _ in 0..300 {
                let next = schedule.next(at).unwrap();
                assert!(next > at, "{schedule:?}");
                assert_eq!(schedule.latest(Timestamp(next.0 - 1)), Some(at), "{schedule:?}");
                assert_eq!(schedule.latest(next), Some(next), "{schedule:?}");
                at = next;
            }
        }
    }
}
