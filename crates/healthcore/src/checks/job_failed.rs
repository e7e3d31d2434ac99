//! `job-failed`: a Job has given up.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::cronjob_stale::is_stale_by;
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::{Inventory, Job};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::or;
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::View;

/// A Job has given up.
pub struct JobFailed;

crate::params! {
    /// Parameters of `job-failed`.
    pub struct JobFailedParams {
        /// Age of a failure up to which it is a warning; an older one is info.
        recent: Seconds = Seconds(259_200.0) => Seconds(0.0)..=Seconds::from_days(365.0),
    }
}

impl Check for JobFailed {
    const INFO: CheckInfo = CheckInfo {
        id: "job-failed",
        title: "Job failed",
        since: "0.1.0",
        checks: "Whether a Job has ended without success.",
        why: "A migration, an import or a backup has not been done, and nothing repeats it.",
        decides: "The condition Failed of the Job, which is set when its retries or its deadline are used up. A warning up \
                  to the age `recent`, then info. Of a CronJob only the newest Job counts, and none when it has \
                  succeeded since; when the CronJob misses its schedule because of it, `cronjob-stale` tells it loud and the Job is info. \
                  Single pods that failed while the Job goes on are no failure of it.",
        remedy: "Read the log of its last pod, mend the cause, and make the Job again.",
        false_alarms: "A Job that was tried again under another name; delete the failed one.",
        texts: &[
            ("failed", "failed {time} ago: {reason}"),
            ("failed-unknown-time", "failed: {reason}"),
            ("log", "read the log of its pods, while they are there"),
            ("describe", "read why Kubernetes gave up"),
        ],
    };
    type Params = JobFailedParams;
    type Subject<'a> = &'a Job;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Schedules);
    }

    fn judge(params: &Self::Params, job: &&Job, view: &View<'_>) -> Judgement {
        let now = view.snapshot.taken_at;
        let inventory = &view.snapshot.objects.inventory;
        if job.suspended {
            return Ok(Outcome::NotApplicable);
        }
        let Some(failure) = job.failure() else { return Ok(Outcome::Ok) };
        let at = failure.since.or(job.started).or(job.created);
        let age = match at.map(|t| t.age_at(now)) {
            // It failed after the end of the run.
            Some(None) => return Ok(Outcome::NotApplicable),
            Some(age) => age,
            None => None,
        };
        if is_superseded(job, at, inventory) {
            return Ok(Outcome::Ok);
        }
        let recent = age.is_none_or(|age| age <= params.recent.get());
        let loud = recent && !cron_job_tells_it(job, inventory, now);
        let severity = if loud { Severity::Warning } else { Severity::Info };
        let reason = or(&failure.reason, "no-reason");
        let text = match age {
            Some(age) => Text::new("failed").with("time", Seconds(age)),
            None => Text::new("failed-unknown-time"),
        };
        let mut problem = Problem::new(severity, text.with("reason", reason))
            .evidence("failed-pods", job.failed)
            .evidence("succeeded-pods", job.succeeded)
            .since(at);
        if let Some(limit) = job.backoff_limit {
            problem = problem.evidence("backoff-limit", limit);
        }
        if !failure.message.is_empty() {
            problem = problem.evidence("message", failure.message.as_str());
        }
        let (namespace, name) = (job.id.namespace.as_str(), job.id.name.as_str());
        let log = format!("kubectl -n {namespace} logs job/{name} --all-containers --tail=50");
        let describe = format!("kubectl -n {namespace} describe job {name}");
        Ok(problem
            .advise(Advice::new(Text::new("log")).command(log, &[namespace, name]))
            .advise(Advice::new(Text::new("describe")).command(describe, &[namespace, name]))
            .into())
    }
}

/// Whether a later Job of the same CronJob counts instead.
fn is_superseded(job: &Job, at: Option<Timestamp>, inventory: &Inventory) -> bool {
    let Some(cron_job) = &job.cron_job else { return false };
    let own = |namespace: &str| namespace == job.id.namespace;
    let later = inventory.jobs.iter().any(|j| {
        own(&j.id.namespace)
            && j.cron_job.as_ref() == Some(cron_job)
            && j.created > job.created
            && j.has_ended()
    });
    let cron = inventory.cron_jobs.iter().find(|c| own(&c.id.namespace) && c.id.name == *cron_job);
    later || cron.is_some_and(|c| c.last_success.is_some() && c.last_success > at)
}

fn cron_job_tells_it(job: &Job, inventory: &Inventory, now: Timestamp) -> bool {
    let name = job.cron_job.as_deref();
    let own = |namespace: &str, cron: &str| namespace == job.id.namespace && Some(cron) == name;
    inventory
        .cron_jobs
        .iter()
        .any(|c| own(&c.id.namespace, &c.id.name) && is_stale_by(job, c, inventory, now))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("job-failed", text, expected);
    }

    #[test]
    fn a_recent_failure_is_a_warning_and_an_old_one_info() {
        check(
            "job web/load failed=7 created=5h Failed=yes:BackoffLimitExceeded@4h",
            "warning web/load: failed 4h ago: BackoffLimitExceeded",
        );
        check(
            "job web/load failed=1 created=5d Failed=yes:DeadlineExceeded@73h",
            "info web/load: failed 73h ago: DeadlineExceeded",
        );
    }

    #[test]
    fn what_goes_on_or_is_done_has_not_failed() {
        check("job web/load failed=3 active=1 created=2h", "1 ok");
        check("job web/load failed=3 succeeded=1 created=2h completed=1h Complete=yes:x@1h", "1 ok");
        check("job web/load suspended created=2h", "nothing");
        check("job web/load created=2h Failed=no:x@1h", "1 ok");
    }

    #[test]
    fn of_a_cronjob_the_newest_counts() {
        let failed = "job web/dump-1 cron=dump created=46h Failed=yes:BackoffLimitExceeded@45h\n";
        check(&format!("{failed}job web/dump-2 cron=dump created=22h completed=21h"), "2 ok");
        check(
            &format!("{failed}job web/dump-2 cron=other created=22h completed=21h"),
            "warning web/dump-1: failed 45h ago: BackoffLimitExceeded\n1 ok",
        );
        check(
            &format!(
                "{failed}cronjob web/dump schedule=\"0 3 * * *\" last-schedule=22h last-success=21h created=9d"
            ),
            "1 ok",
        );
    }

    #[test]
    fn a_cronjob_that_misses_its_schedule_is_told_loud_itself() {
        let job = "job web/dump-2 cron=dump created=22h Failed=yes:BackoffLimitExceeded@21h\n";
        let cron = |success: &str| {
            format!(
                "{job}cronjob web/dump schedule=\"0 3 * * *\" last-schedule=22h last-success={success} created=9d"
            )
        };
        check(&cron("70h"), "info web/dump-2: failed 21h ago: BackoffLimitExceeded");
        check(&cron("46h"), "warning web/dump-2: failed 21h ago: BackoffLimitExceeded");
        // It tells of another that hangs, and of the start that it missed: then that one failed is told here.
        let hangs = "job web/dump-1 cron=dump created=70h active=1\n";
        check(
            &format!("{hangs}{}", cron("70h")),
            "warning web/dump-2: failed 21h ago: BackoffLimitExceeded\n1 ok",
        );
        check(
            "job web/dump-2 cron=dump created=46h Failed=yes:BackoffLimitExceeded@45h\n\
             cronjob web/dump schedule=\"0 3 * * *\" last-schedule=46h last-success=70h created=9d",
            "warning web/dump-2: failed 45h ago: BackoffLimitExceeded",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("denied schedules", "1 unknown: not allowed to list schedules in all namespaces");
    }
}
