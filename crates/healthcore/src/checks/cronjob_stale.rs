//! `cronjob-stale`: a CronJob has missed its own schedule, or is stopped.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::{CronJob, Inventory, Job};
use crate::model::{Condition, ObjectKind};
use crate::need::Needs;
use crate::phrase::or;
use crate::schedule::Schedule;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::View;

/// A CronJob has missed its own schedule, or is stopped.
pub struct CronjobStale;

crate::params! {
    /// Parameters of `cronjob-stale`.
    pub struct CronjobStaleParams {
        /// Runs in a row without success from which on it is a warning.
        missed: u32 = 2 => 1..=100,
        /// Time that a run may take from its schedule to its success.
        grace: Seconds = Seconds(3600.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for CronjobStale {
    const INFO: CheckInfo = CheckInfo {
        id: "cronjob-stale",
        title: "CronJob without success",
        since: "0.1.0",
        checks: "Whether each CronJob has succeeded lately by its own schedule and time zone.",
        why: "Nobody sees a backup, a clean-up or a renewal that does not happen, until it is needed.",
        decides: "The last `missed` instants at which the schedule was due, at least `grace` ago: a warning when no Job of it \
                  has succeeded since the earliest of them, which tells whether it never succeeded, is not started, hangs \
                  or fails. Where a day or more lies between the last two, one is enough when it was not even started at \
                  the last. Of one that fails the last Job that failed is named, with its reason. Without a time zone the \
                  schedule is read in UTC. A CronJob that has not been due so often since it was made is left out. A suspended one is info.",
        remedy: "Read the log of its last Job. Run it by hand to see whether it works.",
        false_alarms: "Runs that take longer than `grace`. A controller whose own time zone is not UTC, when the CronJob \
                       names none. A CronJob that has been resumed a short time ago, or whose schedule was \
                       changed, where `startingDeadlineSeconds` forbids to make up for what it missed.",
        texts: &[
            ("never", "has never succeeded in {age}; it was last due {due}"),
            ("fails", "has not succeeded for {time}, though it is started by its schedule `{schedule}`"),
            (
                "fails-with",
                "has not succeeded for {time}, though it is started by its schedule `{schedule}`: Job {job} failed ({reason})",
            ),
            (
                "never-with",
                "has never succeeded in {age}: Job {job} failed ({reason}); it was last due {due}",
            ),
            ("not-started", "has not been started by its schedule `{schedule}` for {time}"),
            ("hangs", "its Job {job} has been running for {time}, so that others wait for it"),
            ("suspended", "is suspended"),
            ("suspended-since", "is suspended; its last run was {time} ago"),
            ("jobs", "see its Jobs and why the last one failed"),
            ("log", "read what Job {job} does"),
            (
                "events",
                "read its events: it may have missed its starting deadline, or the controller does not run",
            ),
            ("run", "run it by hand once the cause is mended"),
            ("resume", "resume it, or delete it when it is not needed any more"),
        ],
    };
    type Params = CronjobStaleParams;
    type Subject<'a> = &'a CronJob;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Schedules);
    }

    fn judge(params: &Self::Params, cron: &&CronJob, view: &View<'_>) -> Judgement {
        let now = view.snapshot.taken_at;
        if cron.suspended {
            return Ok(suspended(cron, now).into());
        }
        let inventory = &view.snapshot.objects.inventory;
        let Some(stale) = stale(params, cron, inventory, now)? else { return Ok(Outcome::Ok) };
        Ok(problem(cron, &stale, now).into())
    }
}

/// Whether the defaults call a CronJob stale because of a Job, so that it is told loud there.
pub(super) fn is_stale_by(job: &Job, cron: &CronJob, inventory: &Inventory, now: Timestamp) -> bool {
    let Ok(Some(stale)) = stale(&CronjobStaleParams::default(), cron, inventory, now) else { return false };
    let named = stale.hanging.or(stale.told_failure().map(|(job, _)| job));
    !cron.suspended && named.map_or(stale.started, |named| named.id == job.id)
}

/// Between two runs of a daily one, where a day is short by an hour of summer time.
const A_DAY: Seconds = Seconds(23.0 * 3600.0);

struct Stale<'a> {
    /// Runs in a row without success.
    missed: u32,
    /// When it was last due.
    due: Timestamp,
    last_success: Option<Timestamp>,
    last_schedule: Option<Timestamp>,
    /// A Job that has been running since before the runs that were missed, which wait for it.
    hanging: Option<&'a Job>,
    newest: Option<&'a Job>,
    /// The newest Job that failed, and how.
    failed: Option<(&'a Job, &'a Condition)>,
    /// Whether it was started since the earliest run that was missed.
    started: bool,
}

impl<'a> Stale<'a> {
    /// The failure that is the reason, of one that is started and does not hang.
    fn told_failure(&self) -> Option<(&'a Job, &'a Condition)> {
        self.failed.filter(|_| self.started && self.hanging.is_none())
    }
}

fn stale<'a>(
    params: &CronjobStaleParams,
    cron: &CronJob,
    inventory: &'a Inventory,
    now: Timestamp,
) -> Result<Option<Stale<'a>>, Missing> {
    let schedule = Schedule::new(&cron.schedule, cron.time_zone.as_deref())
        .map_err(|why| Missing::NotReported { field: Field::Schedule(why.to_string()) })?;
    let due = schedule.last(params.missed.max(2), now.plus_seconds(-params.grace.get()));
    let in_a_row = due.get(params.missed as usize - 1).copied();
    let in_a_row = in_a_row.filter(|t| there_since(cron).is_none_or(|since| *t >= since));
    let jobs = jobs_of(cron, inventory);
    let completed = jobs.iter().filter_map(|j| j.completed).max();
    // Before Kubernetes 1.21 the CronJob itself does not tell.
    let last_success = cron.last_success.max(completed);
    let without_success = |t: &Timestamp| last_success.is_none_or(|last| last < *t);
    let in_a_row = in_a_row.filter(without_success);
    let not_begun = not_begun(cron, &jobs, &due).filter(without_success);
    let Some(earliest) = not_begun.or(in_a_row) else { return Ok(None) };
    let failed = jobs.iter().filter_map(|j| Some((*j, j.failure()?)));
    let failed = failed.max_by_key(|(j, _)| (j.created, &j.id.name));
    // Where several may run, and where the next takes the place of one that runs, none waits for another.
    let holds_up = !matches!(cron.concurrency.as_str(), "Allow" | "Replace");
    Ok(Some(Stale {
        missed: in_a_row.map_or(1, |_| params.missed),
        due: schedule.latest(now).unwrap_or(due[0]),
        last_success,
        last_schedule: cron.last_schedule,
        hanging: jobs
            .iter()
            .copied()
            .find(|j| holds_up && j.active > 0 && j.started.is_some_and(|t| t <= earliest)),
        newest: jobs.iter().copied().max_by_key(|j| j.created),
        failed,
        started: cron.last_schedule.is_some_and(|t| t >= earliest),
    }))
}

/// When a CronJob was last due and not started, where runs are a day or more apart: the next is too far away to wait for. The
/// controller makes up for what it missed as soon as it can, and tells the time at which that was due.
fn not_begun(cron: &CronJob, jobs: &[&Job], due: &[Timestamp]) -> Option<Timestamp> {
    let [last, before, ..] = due else { return None };
    let there = cron.created.or(cron.last_schedule)? <= *last;
    let starts = jobs.iter().filter_map(|j| j.created).chain(cron.last_schedule);
    let started = starts.max().is_some_and(|t| t >= *last);
    (there && !started && last.seconds_since(*before) >= A_DAY.get()).then_some(*last)
}

/// Since when there is such a CronJob. One that was restored from a backup, or made anew with its status, is older than
/// its object.
fn there_since(cron: &CronJob) -> Option<Timestamp> {
    [cron.created, cron.last_schedule, cron.last_success].into_iter().flatten().min()
}

pub(super) fn jobs_of<'a>(cron: &CronJob, inventory: &'a Inventory) -> Vec<&'a Job> {
    let own = |j: &&Job| {
        j.id.namespace == cron.id.namespace && j.cron_job.as_deref() == Some(cron.id.name.as_str())
    };
    inventory.jobs.iter().filter(own).collect()
}

fn problem(cron: &CronJob, stale: &Stale<'_>, now: Timestamp) -> Problem {
    let since = |t: Option<Timestamp>| Seconds(t.map_or(0.0, |t| now.seconds_since(t)));
    let schedule = cron.schedule.as_str();
    let failed = stale.told_failure();
    let key =
        |plain: &'static str, with: &'static str| Text::new(if failed.is_some() { with } else { plain });
    let mut text = match (stale.hanging, stale.last_success) {
        (Some(job), _) => {
            Text::new("hangs").with("job", job.id.name.as_str()).with("time", since(job.started))
        }
        (None, None) => key("never", "never-with").with("age", since(cron.created)).with("due", stale.due),
        (None, Some(last)) if stale.started => {
            key("fails", "fails-with").with("time", since(Some(last))).with("schedule", schedule)
        }
        (None, Some(last)) => {
            let last = stale.last_schedule.unwrap_or(last);
            Text::new("not-started").with("time", since(Some(last))).with("schedule", schedule)
        }
    };
    if let Some((job, failure)) = failed {
        text = text.with("job", job.id.name.as_str()).with("reason", or(&failure.reason, "no-reason"));
    }
    let mut problem = Problem::new(Severity::Warning, text)
        .evidence("missed-runs-at-least", stale.missed)
        .evidence("schedule", schedule)
        .evidence("time-zone", cron.time_zone.as_deref().unwrap_or("UTC"))
        .evidence("last-due", stale.due);
    if let Some(last) = stale.last_success {
        problem = problem.evidence("last-success", last);
    }
    if let Some(last) = stale.last_schedule {
        problem = problem.evidence("last-start", last);
    }
    problem.since = stale.last_success.or(cron.created);
    advise(problem, cron, stale)
}

fn advise(problem: Problem, cron: &CronJob, stale: &Stale<'_>) -> Problem {
    let (namespace, name) = (&cron.id.namespace, &cron.id.name);
    let names = [namespace.as_str(), name.as_str()];
    let failed = stale.told_failure().map(|(job, _)| job);
    let first = match stale.hanging.or(failed).or(stale.newest) {
        Some(job) => {
            let job = job.id.name.as_str();
            let command = format!("kubectl -n {namespace} logs job/{job} --all-containers --tail=50");
            Advice::new(Text::new("log").with("job", job)).command(command, &[namespace, job])
        }
        None if stale.started => {
            Advice::new(Text::new("jobs")).command(format!("kubectl -n {namespace} get jobs"), &names)
        }
        None => Advice::new(Text::new("events"))
            .command(format!("kubectl -n {namespace} describe cronjob {name}"), &names),
    };
    let by_hand = format!("kubectl -n {namespace} create job {name}-by-hand --from=cronjob/{name}");
    problem.advise(first).advise(Advice::new(Text::new("run")).command(by_hand, &names))
}

fn suspended(cron: &CronJob, now: Timestamp) -> Problem {
    let (namespace, name) = (&cron.id.namespace, &cron.id.name);
    let text = match cron.last_schedule.and_then(|t| t.age_at(now)) {
        Some(age) => Text::new("suspended-since").with("time", Seconds(age)),
        None => Text::new("suspended"),
    };
    let patch = r#"{"spec":{"suspend":false}}"#;
    let command = format!("kubectl -n {namespace} patch cronjob {name} -p '{patch}'");
    Problem::new(Severity::Info, text)
        .evidence("schedule", cron.schedule.as_str())
        .since(cron.last_schedule)
        .advise(Advice::new(Text::new("resume")).command(command, &[namespace, name]))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("cronjob-stale", text, expected);
    }

    // Now is 2026-11-20T01:00:00Z: what is due at 03:00 was last due 22 h and 46 h ago.
    #[test]
    fn two_runs_without_success() {
        check(
            r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h last-success=47h created=30d"#,
            "warning web/dump: has not succeeded for 47h, though it is started by its schedule `0 3 * * *`",
        );
        check(
            r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h last-success=46h created=30d"#,
            "1 ok",
        );
        check(
            r#"cronjob web/dump schedule="0 3 * * *" last-schedule=70h last-success=70h created=30d"#,
            "warning web/dump: has not been started by its schedule `0 3 * * *` for 70h",
        );
    }

    /// Of one that is due seldom, the next run is too far away to wait for a second that is missed.
    #[test]
    fn a_start_that_was_missed_is_enough_where_runs_are_a_day_apart() {
        // Saturday at 03:00 was 5 d 22 h ago.
        let weekly = |of: &str| format!(r#"cronjob web/dump schedule="0 3 * * 6" {of}"#);
        check(
            &weekly("last-schedule=310h last-success=309h created=90d"),
            "warning web/dump: has not been started by its schedule `0 3 * * 6` for 310h",
        );
        check(&weekly("last-schedule=142h last-success=309h created=90d"), "1 ok");
        check(&weekly("last-schedule=310h last-success=100h created=90d"), "1 ok");
        check(&weekly("created=6d"), "warning web/dump: has never succeeded in 6d; it was last due 142h ago");
        check(&weekly("created=141h"), "1 ok");
        check(
            &format!("set grace=6d\n{}", weekly("last-schedule=310h last-success=309h created=90d")),
            "1 ok",
        );
        check(
            r#"cronjob web/dump schedule="0 3,15 * * *" last-schedule=22h last-success=22h created=90d"#,
            "1 ok",
        );
        let found =
            fixture::findings("cronjob-stale", &weekly("last-schedule=310h last-success=309h created=90d"));
        let missed = found[0].evidence.iter().find(|e| e.name == "missed-runs-at-least");
        assert_eq!(missed.map(|e| fixture::show(&e.value)).as_deref(), Some("1"));
    }

    #[test]
    fn its_own_zone_counts() {
        // 03:00 in Taipei is 19:00 UTC: due 6 h, 30 h and 54 h ago.
        let text = |success: &str| {
            format!(
                r#"cronjob web/dump schedule="0 3 * * *" zone=Asia/Taipei last-schedule=6h last-success={success} created=30d"#
            )
        };
        check(&text("30h"), "1 ok");
        check(
            &text("31h"),
            "warning web/dump: has not succeeded for 31h, though it is started by its schedule `0 3 * * *`",
        );
        check(
            r#"cronjob web/dump schedule="0 3 * * *" zone=Asia/Nowhere created=30d"#,
            "1 unknown: the schedule cannot be read: time zone `Asia/Nowhere`: expected a name of the IANA database such as `Asia/Taipei`",
        );
    }

    #[test]
    fn never_succeeded_counts() {
        check(
            r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h created=30d"#,
            "warning web/dump: has never succeeded in 30d; it was last due 22h ago",
        );
        check(r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h created=45h"#, "1 ok");
    }

    #[test]
    fn a_restored_one_is_older_than_its_object() {
        check(
            r#"cronjob web/dump schedule="0 3 * * *" last-schedule=9h last-success=3d created=9h"#,
            "warning web/dump: has not succeeded for 3d, though it is started by its schedule `0 3 * * *`",
        );
    }

    #[test]
    fn jobs_tell_where_the_cronjob_does_not() {
        let cron = r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h created=30d"#;
        check(&format!("{cron}\njob web/dump-1 cron=dump created=22h completed=21h"), "1 ok");
        check(
            &format!("{cron}\njob web/dump-1 cron=dump created=3d active=1"),
            "warning web/dump: its Job dump-1 has been running for 3d, so that others wait for it",
        );
        check(
            &format!("{cron} concurrency=Allow\njob web/dump-1 cron=dump created=3d active=1"),
            "warning web/dump: has never succeeded in 30d; it was last due 22h ago",
        );
    }

    #[test]
    fn the_job_that_failed_last_is_named() {
        let cron = r#"cronjob web/dump schedule="0 3 * * *" last-schedule=22h created=30d"#;
        let jobs = "job web/dump-1 cron=dump created=70h active=1\n\
                    job web/dump-2 cron=dump created=46h Failed=yes:DeadlineExceeded@45h\n\
                    job web/dump-3 cron=dump created=22h Failed=yes:BackoffLimitExceeded@21h";
        let failed = "Job dump-3 failed (BackoffLimitExceeded)";
        check(
            &format!("{cron} concurrency=Allow last-success=71h\n{jobs}"),
            &format!(
                "warning web/dump: has not succeeded for 71h, though it is started by its schedule `0 3 * * *`: {failed}"
            ),
        );
        check(
            &format!("{cron} concurrency=Allow\n{jobs}"),
            &format!("warning web/dump: has never succeeded in 30d: {failed}; it was last due 22h ago"),
        );
        check(
            &format!("{cron} concurrency=Forbid\n{jobs}"),
            "warning web/dump: its Job dump-1 has been running for 70h, so that others wait for it",
        );
    }

    #[test]
    fn a_run_has_its_time() {
        let cron = r#"cronjob web/poll schedule="*/5 * * * *" last-schedule=0s created=30d last-success="#;
        check(&format!("{cron}65m"), "1 ok");
        check(
            &format!("{cron}66m"),
            "warning web/poll: has not succeeded for 66m, though it is started by its schedule `*/5 * * * *`",
        );
        check(&format!("set grace=2h\n{cron}66m"), "1 ok");
    }

    #[test]
    fn a_suspended_one_is_info() {
        check(
            r#"cronjob web/dump schedule="0 3 * * *" suspended last-schedule=9d created=30d"#,
            "info web/dump: is suspended; its last run was 9d ago",
        );
        check("cronjob web/dump suspended created=30d", "info web/dump: is suspended");
    }

    #[test]
    fn missing_is_unknown() {
        check("denied schedules", "1 unknown: not allowed to list schedules in all namespaces");
    }
}
