//! When runs are due: a cron expression in a time zone, or a fixed interval; with jitter, and a rule for runs that were
//! missed.
//!
//! Pure: the clock is the caller's, and zones come from the time zone database that is built in.

use std::time::Duration;

use healthcore::schedule::{self as cron, Kind, Schedule as Cron};
use healthcore::time::Timestamp;
use healthcore_report::Zone;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::clock::{after, span};

/// How late a run may start and still count as on time: what waking up late, or a run before it that took a little too
/// long, may cost.
const ON_TIME: Duration = Duration::from_secs(60);
/// More than clocks ever went back at once.
const LONGEST_FOLD: Duration = Duration::from_secs(25 * 3600);
/// Due instants that are looked at to find the shortest time between two of them.
const LOOKED_AT: usize = 64;

/// When runs are due.
#[derive(Debug, Clone)]
pub struct Schedule {
    when: When,
    jitter: Duration,
    seed: u64,
    catch_up: CatchUp,
}

#[derive(Debug, Clone)]
enum When {
    /// What cron notation with `*` says goes on through both hours where clocks go back.
    Cron(Cron),
    /// Times of day, read on a calendar without a zone, and the zone in which they are meant.
    TimesOfDay(Cron, TimeZone),
    /// Milliseconds between two runs.
    Every(i64),
}

/// What becomes of a run that was due while the program was not there, another run was under way, or the clock jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CatchUp {
    /// It is left out; the next one is the next that is due.
    Skip,
    /// One run at once stands for all that were missed.
    #[default]
    RunOnce,
}

/// A schedule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The notation is not that of cron.
    #[error(
        "schedule `{schedule}`: expected five fields (minute, hour, day of the month, month, day of the week) such as `0 9 * * *`, or `@daily`: {why}"
    )]
    Notation {
        /// What was given.
        schedule: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is never due.
    #[error(
        "schedule `{0}`: is never due, for no date is like that; expected one that comes, such as `0 9 * * *`"
    )]
    Never(String),
    /// No zone has that name.
    #[error("time zone `{zone}`: expected a name of the IANA database such as `Asia/Taipei`{}", hint(.near))]
    Zone {
        /// What was given.
        zone: String,
        /// Names that are near to it, nearest first.
        near: Vec<String>,
    },
    /// The interval is too short.
    #[error("interval `{0:?}`: expected at least one second")]
    Interval(Duration),
    /// The jitter is longer than the time between two runs.
    #[error(
        "jitter `{jitter:?}`: expected less than the shortest time between two runs, which is {shortest:?}"
    )]
    Jitter {
        /// What was given.
        jitter: Duration,
        /// The shortest time between two runs.
        shortest: Duration,
    },
}

fn hint(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean `{}`?", near.join("` or `")),
    }
}

impl Schedule {
    /// A schedule in cron notation: five fields, or `@hourly` and its like. Without a zone it is in UTC.
    ///
    /// Where clocks go forward, a time of day that does not exist is due at the first one that does. Where they go back,
    /// a time of day that comes twice is due once. That is unlike a CronJob, and what one expects of a report a day. A
    /// schedule with `*` in minutes or hours (`*/20 * * * *`) goes on in both hours, as a CronJob does.
    ///
    /// # Errors
    /// Notation or zone are not known, or the schedule is never due.
    ///
    /// ```
    /// use lambda_free_runner::schedule::Schedule;
    ///
    /// let daily = Schedule::cron("0 9 * * *", Some("Asia/Taipei"))?;
    /// let noon: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    /// let due = daily.due_after(healthcore::time::Timestamp(noon.as_millisecond())).unwrap();
    /// assert_eq!(due.unix_seconds(), noon.as_second() + 13 * 3600, "09:00 in Taipei is 01:00 UTC");
    /// # Ok::<(), lambda_free_runner::schedule::ScheduleError>(())
    /// ```
    pub fn cron(schedule: &str, zone: Option<&str>) -> Result<Self, ScheduleError> {
        let zone = self::zone(zone.unwrap_or("UTC"))?;
        let wrong =
            |why: &str| ScheduleError::Notation { schedule: schedule.to_owned(), why: why.to_owned() };
        if schedule.contains("TZ=") {
            return Err(wrong("the zone is given by itself, not within the schedule"));
        }
        let read = Cron::new(schedule, Some("UTC")).map_err(|e| match e {
            cron::ScheduleError::Notation { why, .. } => wrong(&why),
            other => wrong(&other.to_string()),
        })?;
        let when = match read.kind() {
            Kind::TimesOfDay => When::TimesOfDay(read, zone),
            Kind::Repeated => When::Cron(read.in_zone(zone)),
            Kind::Interval => {
                return Err(wrong("`@every` is no time of day: give an interval instead of a schedule"));
            }
        };
        let made = Self::of(when);
        // The calendar repeats, so whatever comes at all comes after this instant too.
        match made.due_after(Timestamp(0)) {
            Some(_) => Ok(made),
            None => Err(ScheduleError::Never(schedule.to_owned())),
        }
    }

    /// A run every `interval`, at its multiples since the start of unix time: a program that starts again, and another
    /// one beside it, keep to the same instants.
    ///
    /// # Errors
    /// The interval is shorter than a second.
    pub fn every(interval: Duration) -> Result<Self, ScheduleError> {
        match i64::try_from(interval.as_millis()) {
            Ok(millis) if millis >= 1000 => Ok(Self::of(When::Every(millis))),
            _ => Err(ScheduleError::Interval(interval)),
        }
    }

    fn of(when: When) -> Self {
        Self { when, jitter: Duration::ZERO, seed: 0, catch_up: CatchUp::default() }
    }

    /// Delays every start by less than `jitter`, so that many programs with one schedule do not ask at once. The delay
    /// depends on the due instant and the seed alone.
    ///
    /// # Errors
    /// The jitter is not less than the shortest time between two runs.
    pub fn with_jitter(self, jitter: Duration, seed: u64) -> Result<Self, ScheduleError> {
        let shortest = self.shortest();
        if jitter >= shortest {
            return Err(ScheduleError::Jitter { jitter, shortest });
        }
        Ok(Self { jitter, seed, ..self })
    }

    /// Says what becomes of runs that were missed.
    #[must_use]
    pub fn with_catch_up(self, catch_up: CatchUp) -> Self {
        Self { catch_up, ..self }
    }

    /// The first instant after `at` at which a run is due; none beyond the end of the calendar.
    #[must_use]
    pub fn due_after(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(millis) => {
                at.0.div_euclid(*millis).checked_add(1)?.checked_mul(*millis).map(Timestamp)
            }
            When::Cron(cron) => cron.next(at),
            When::TimesOfDay(cron, zone) => {
                // What an hour that comes twice repeats was due before.
                let mut due = cron.next(on_calendar(at, zone)?)?;
                while in_zone(due, zone)? <= at {
                    due = cron.next(due)?;
                }
                in_zone(due, zone)
            }
        }
    }

    /// The last instant at or before `at` at which a run was due.
    fn due_by(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.when {
            When::Every(millis) => Some(Timestamp(at.0.div_euclid(*millis) * millis)),
            When::Cron(cron) => cron.latest(at),
            When::TimesOfDay(cron, zone) => {
                // Where clocks have just gone back, the calendar has shown later times before.
                let mut due = cron.latest(after(on_calendar(at, zone)?, LONGEST_FOLD))?;
                while in_zone(due, zone)? > at {
                    due = cron.latest(Timestamp(due.0 - 1))?;
                }
                in_zone(due, zone)
            }
        }
    }

    /// When the run of a due instant starts.
    #[must_use]
    pub fn start_of(&self, due: Timestamp) -> Timestamp {
        let bound = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX);
        if bound == 0 {
            return due;
        }
        let delay = fastrand::Rng::with_seed(self.seed ^ due.0.unsigned_abs()).u64(0..bound);
        after(due, Duration::from_millis(delay))
    }

    /// What is to be done at `now`, when all that was due up to `served` has been.
    pub(crate) fn next(&self, served: Timestamp, now: Timestamp) -> Next {
        let Some(first) = self.due_after(served) else { return Next::Wait { start: Timestamp(i64::MAX) } };
        let start = self.start_of(first);
        if now < start {
            return Next::Wait { start };
        }
        let due = self.last_started(first, now);
        let before = |due: Timestamp| self.due_by(Timestamp(due.0 - 1)).unwrap_or(first);
        let missed = |to: Timestamp| Some((first, to));
        if span(self.start_of(due), now) <= ON_TIME || self.catch_up == CatchUp::RunOnce {
            Next::Run { due, missed: if due > first { missed(before(due)) } else { None } }
        } else {
            Next::LeaveOut { missed: (first, due) }
        }
    }

    /// The last due instant, `first` or later, whose start lies at or before `now`.
    fn last_started(&self, first: Timestamp, now: Timestamp) -> Timestamp {
        let mut due = self.due_by(now).unwrap_or(first);
        while due > first && self.start_of(due) > now {
            due = self.due_by(Timestamp(due.0 - 1)).unwrap_or(first);
        }
        due.max(first)
    }

    /// The shortest time between two runs among the next ones.
    fn shortest(&self) -> Duration {
        let dues = std::iter::successors(self.due_after(Timestamp(0)), |due| self.due_after(*due));
        let dues: Vec<Timestamp> = dues.take(LOOKED_AT).collect();
        dues.windows(2).map(|pair| span(pair[0], pair[1])).min().unwrap_or(Duration::MAX)
    }
}

/// What a schedule says is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing before this instant.
    Wait { start: Timestamp },
    /// A run. Those of the instants from the first to the last of `missed` are not made up for.
    Run { due: Timestamp, missed: Option<(Timestamp, Timestamp)> },
    /// Runs were missed, from the first to the last of these instants, and are left out.
    LeaveOut { missed: (Timestamp, Timestamp) },
}

/// What calendar and clock of a zone show at an instant, as the instant at which those of UTC show the same.
fn on_calendar(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let shown = zone.to_datetime(jiff::Timestamp::from_millisecond(at.0).ok()?);
    Some(Timestamp(TimeZone::UTC.to_timestamp(shown).ok()?.as_millisecond()))
}

/// The first instant at which calendar and clock of a zone show what those of UTC show at `shown`; where they leave it out,
/// the first instant after that.
fn in_zone(shown: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let shown: DateTime = TimeZone::UTC.to_datetime(jiff::Timestamp::from_millisecond(shown.0).ok()?);
    let ambiguous = zone.to_ambiguous_timestamp(shown);
    let instant = match ambiguous.offset() {
        AmbiguousOffset::Gap { .. } => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next()?.timestamp()
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok()?,
    };
    Some(Timestamp(instant.as_millisecond()))
}

fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    let found = name.trim().parse::<Zone>();
    found
        .map(|zone| zone.get().clone())
        .map_err(|unknown| ScheduleError::Zone { zone: name.to_owned(), near: unknown.near })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn text(t: Timestamp) -> String {
        jiff::Timestamp::from_millisecond(t.0).unwrap().to_string()
    }

    /// Due instants after one, as text.
    #[track_caller]
    fn check(schedule: &Schedule, from: &str, expected: &[&str]) {
        let dues = std::iter::successors(schedule.due_after(at(from)), |due| schedule.due_after(*due));
        let dues: Vec<String> = dues.take(expected.len()).map(text).collect();
        assert_eq!(dues, expected);
    }

    fn cron(schedule: &str, zone: &str) -> Schedule {
        Schedule::cron(schedule, Some(zone)).unwrap()
    }

    #[test]
    fn a_time_of_day_in_its_zone() {
        let taipei = cron("0 9 * * *", "Asia/Taipei");
        check(&taipei, "2026-11-20T00:59:59Z", &["2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"]);
        check(&taipei, "2026-11-20T01:00:00Z", &["2026-11-21T01:00:00Z"]);
        check(&Schedule::cron("@hourly", None).unwrap(), "2026-11-20T00:30:00Z", &["2026-11-20T01:00:00Z"]);
        check(&cron("0 9 * * MON-FRI", "UTC"), "2026-11-20T10:00:00Z", &["2026-11-23T09:00:00Z"]);
        check(&cron("0 0 29 2 *", "UTC"), "2026-11-20T10:00:00Z", &["2028-02-29T00:00:00Z"]);
    }

    /// In New York clocks went forward at 02:00 on March 8, 2026, and back at 02:00 on November 1.
    #[test]
    fn days_of_23_and_25_hours() {
        let early = cron("30 2 * * *", "America/New_York");
        check(
            &early,
            "2026-03-07T12:00:00Z",
            // 02:30 does not exist; 03:00 is the first time after the gap.
            &["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"],
        );
        let night = cron("30 1 * * *", "America/New_York");
        check(&night, "2026-10-31T12:00:00Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
        // Two times of day that do not exist are due together, once.
        let twice = cron("15,45 2 * * *", "America/New_York");
        check(&twice, "2026-03-08T05:00:00Z", &["2026-03-08T07:00:00Z", "2026-03-09T06:15:00Z"]);
        // A whole day was left out on Samoa.
        let apia = cron("0 9 * * *", "Pacific/Apia");
        check(
            &apia,
            "2011-12-29T12:00:00Z",
            &["2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T19:00:00Z"],
        );
        let often = cron("*/30 1 * * *", "America/New_York");
        check(
            &often,
            "2026-11-01T05:00:00Z",
            &["2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-02T06:00:00Z"],
        );
    }

    /// Looking back finds what looking ahead finds, in days of 23, 24 and 25 hours.
    #[test]
    fn both_directions_agree_where_clocks_change() {
        for (schedule, zone) in [
            ("30 1 * * *", "America/New_York"),
            ("15,45 0-3 * * *", "America/New_York"),
            ("5,25,45 1,2 * * *", "Australia/Lord_Howe"),
            ("0 0 * * *", "America/Sao_Paulo"),
            ("0 * * * *", "Europe/Berlin"),
        ] {
            let schedule = cron(schedule, zone);
            let mut due = schedule.due_after(at("2015-01-01T00:00:00Z")).unwrap();
            for _ in 0..1000 {
                let next = schedule.due_after(due).unwrap();
                assert_eq!(schedule.due_by(Timestamp(next.0 - 1)), Some(due), "{schedule:?}");
                assert_eq!(schedule.due_by(next), Some(next), "{schedule:?}");
                due = next;
            }
        }
    }

    #[test]
    fn intervals_keep_to_their_instants() {
        let six = Schedule::every(Duration::from_secs(6 * 3600)).unwrap();
        check(&six, "2026-11-20T07:11:00Z", &["2026-11-20T12:00:00Z", "2026-11-20T18:00:00Z"]);
        check(&six, "2026-11-20T12:00:00Z", &["2026-11-20T18:00:00Z"]);
        assert_eq!(six.due_by(at("2026-11-20T12:00:00Z")), Some(at("2026-11-20T12:00:00Z")));
        assert_eq!(six.due_after(Timestamp(i64::MAX)), None);
        let zero = Schedule::every(Duration::from_millis(999)).unwrap_err();
        assert_eq!(zero.to_string(), "interval `999ms`: expected at least one second");
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let said = |schedule: &str, zone: &str| Schedule::cron(schedule, Some(zone)).unwrap_err().to_string();
        for wrong in [
            "",
            "0 9 * *",
            "61 * * * *",
            "0 0 9 * * *",
            "every day",
            "0 9 * * * 2027",
            "@every 1h",
            "CRON_TZ=Asia/Taipei 0 9 * * *",
        ] {
            let said = said(wrong, "UTC");
            assert!(said.starts_with(&format!("schedule `{wrong}`: expected five fields")), "{said}");
            assert!(!said.ends_with('.') && !said.ends_with(": "), "{said}");
        }
        for never in ["0 0 30 2 *", "0 0 31 2,4,6 *"] {
            assert_eq!(
                said(never, "UTC"),
                format!(
                    "schedule `{never}`: is never due, for no date is like that; expected one that comes, such as `0 9 * * *`"
                )
            );
        }
        for (wrong, near) in [
            ("Asia/Taipe", "; did you mean `Asia/Taipei`?"),
            ("Taipei", "; did you mean `Asia/Taipei`?"),
            ("Europe/Taipei", "; did you mean `Asia/Taipei`?"),
            ("new york", "; did you mean `America/New_York`?"),
            ("Mars/Olympus Mons", ""),
        ] {
            let expected = format!(
                "time zone `{wrong}`: expected a name of the IANA database such as `Asia/Taipei`{near}"
            );
            assert_eq!(said("0 9 * * *", wrong), expected);
        }
    }

    #[test]
    fn jitter_is_bounded_and_the_same_again() {
        let daily = cron("0 9 * * *", "UTC");
        let late = daily.clone().with_jitter(Duration::from_secs(600), 7).unwrap();
        let dues: Vec<Timestamp> =
            std::iter::successors(late.due_after(at("2026-11-20T00:00:00Z")), |d| late.due_after(*d))
                .take(200)
                .collect();
        let delays: Vec<Duration> = dues.iter().map(|due| span(*due, late.start_of(*due))).collect();
        assert!(delays.iter().all(|d| *d < Duration::from_secs(600)), "{delays:?}");
        let mean = delays.iter().sum::<Duration>() / 200;
        assert!((Duration::from_secs(240)..Duration::from_secs(360)).contains(&mean), "{mean:?}");
        let again = daily.clone().with_jitter(Duration::from_secs(600), 7).unwrap();
        assert!(dues.iter().all(|due| again.start_of(*due) == late.start_of(*due)));
        let other = daily.clone().with_jitter(Duration::from_secs(600), 8).unwrap();
        assert!(dues.iter().any(|due| other.start_of(*due) != late.start_of(*due)));
        let day = Duration::from_secs(86_400);
        assert_eq!(
            daily.with_jitter(day, 7).unwrap_err(),
            ScheduleError::Jitter { jitter: day, shortest: day }
        );
    }

    /// What is done at an instant of a day on which 09:00 is due, when the run of the day before was the last.
    #[track_caller]
    fn decided(catch_up: CatchUp, now: &str, expected: Next) {
        let daily = cron("0 9 * * *", "UTC").with_catch_up(catch_up);
        assert_eq!(daily.next(at("2026-11-19T09:00:00Z"), at(now)), expected, "{now}");
    }

    #[test]
    fn what_is_due_and_what_was_missed() {
        let due = at("2026-11-20T09:00:00Z");
        for policy in [CatchUp::Skip, CatchUp::RunOnce] {
            decided(policy, "2026-11-20T08:59:59.999Z", Next::Wait { start: due });
            decided(policy, "2026-11-20T09:00:00Z", Next::Run { due, missed: None });
            decided(policy, "2026-11-20T09:01:00Z", Next::Run { due, missed: None });
            let third = at("2026-11-22T09:00:00Z");
            let missed = Some((due, at("2026-11-21T09:00:00Z")));
            decided(policy, "2026-11-22T09:00:10Z", Next::Run { due: third, missed });
        }
        decided(CatchUp::Skip, "2026-11-20T09:01:00.001Z", Next::LeaveOut { missed: (due, due) });
        decided(CatchUp::RunOnce, "2026-11-20T12:00:00Z", Next::Run { due, missed: None });
        let second = at("2026-11-21T09:00:00Z");
        decided(CatchUp::Skip, "2026-11-21T12:00:00Z", Next::LeaveOut { missed: (due, second) });
        let once = Next::Run { due: second, missed: Some((due, due)) };
        decided(CatchUp::RunOnce, "2026-11-21T12:00:00Z", once);
    }

    #[test]
    fn a_start_that_is_delayed_is_waited_for() {
        let jitter = Duration::from_secs(1800);
        let hourly = cron("0 * * * *", "UTC").with_jitter(jitter, 3).unwrap();
        let (served, due) = (at("2026-11-20T08:00:00Z"), at("2026-11-20T09:00:00Z"));
        let start = hourly.start_of(due);
        assert!(start > due);
        assert_eq!(hourly.next(served, Timestamp(start.0 - 1)), Next::Wait { start });
        assert_eq!(hourly.next(served, start), Next::Run { due, missed: None });
        // Twelve hours later the run of 21:00 has not started yet, so that of 20:00 is the last.
        let night = hourly.start_of(at("2026-11-20T21:00:00Z"));
        let missed = Some((due, at("2026-11-20T19:00:00Z")));
        let last = Next::Run { due: at("2026-11-20T20:00:00Z"), missed };
        assert_eq!(hourly.next(served, Timestamp(night.0 - 1)), last);
    }
}
