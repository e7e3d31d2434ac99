//! `job-unfinished`: a Job runs for much longer than Jobs do.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::cronjob_stale::is_stale_by;
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::{CronJob, Job};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::View;

/// A Job runs for much longer than Jobs do.
pub struct JobUnfinished;

crate::params! {
    /// Parameters of `job-unfinished`.
    pub struct JobUnfinishedParams {
        /// Time after its start in which a Job should end.
        after: Seconds = Seconds(43_200.0) => Seconds(0.0)..=Seconds::from_days(365.0),
    }
}

impl Check for JobUnfinished {
    const INFO: CheckInfo = CheckInfo {
        id: "job-unfinished",
        title: "Job does not end",
        since: "0.1.0",
        checks: "Whether a Job that has begun also ends.",
        why: "A Job that hangs holds its memory, its locks and its place in the queue, and nothing says that its work \
              is not done.",
        decides: "A warning when a Job has pods that have not ended (`status.active`), and began more than `after` \
                  ago. Suspended Jobs and those that have ended are left out. When its CronJob misses its schedule \
                  because of it, `cronjob-stale` tells that loud and the Job is info. What its pods wait for, where they do not run, \
                  `pod-not-running` and `pod-unschedulable` tell.",
        remedy: "Read its log. When it hangs, mend the cause and delete the Job; `activeDeadlineSeconds` ends one that \
                 hangs by itself.",
        false_alarms: "Long work on purpose: a training, a migration, a worker that empties a queue. Give its \
                       namespace a higher `after`. A Job with `activeDeadlineSeconds` that lies ahead may well be \
                       meant to run for so long; the evidence tells its deadline.",
        texts: &[
            ("unfinished", "has not ended {time} after its start"),
            (
                "unfinished-forbids",
                "has not ended {time} after its start, and CronJob {cron_job} starts no other run until it has",
            ),
            ("log", "read what it does"),
            ("pods", "see whether its pods run, and since when"),
            (
                "end",
                "when it hangs, delete it, and let Kubernetes end the next one that does: `activeDeadlineSeconds`",
            ),
        ],
    };
    type Params = JobUnfinishedParams;
    type Subject<'a> = &'a Job;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Schedules);
    }

    fn judge(params: &Self::Params, job: &&Job, view: &View<'_>) -> Judgement {
        if job.suspended || job.has_ended() || job.active == 0 {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        let Some(started) = job.started else {
            // Its controller has not taken it up yet.
            let is_new = view.is_younger(job.created, params.after);
            return if is_new {
                Ok(Outcome::Ok)
            } else {
                Err(Missing::NotReported { field: Field::JobStart })
            };
        };
        let Some(age) = started.age_at(now).filter(|age| *age > params.after.get()) else {
            return Ok(Outcome::Ok);
        };
        let inventory = &view.snapshot.objects.inventory;
        let own =
            |c: &&CronJob| c.id.namespace == job.id.namespace && job.cron_job.as_ref() == Some(&c.id.name);
        let cron_job = inventory.cron_jobs.iter().find(own);
        let told = cron_job.is_some_and(|c| is_stale_by(job, c, inventory, now));
        let severity = if told { Severity::Info } else { Severity::Warning };
        let text = match cron_job.filter(|c| c.concurrency == "Forbid") {
            Some(cron_job) => Text::new("unfinished-forbids").with("cron_job", cron_job.id.name.as_str()),
            None => Text::new("unfinished"),
        };
        let mut problem = Problem::new(severity, text.with("time", Seconds(age)))
            .lasted("running-for", Seconds(age), params.after)
            .evidence("active-pods", job.active)
            .evidence("failed-pods", job.failed)
            .since(Some(started));
        if let Some(deadline) = deadline(job, started, now) {
            problem = problem.evidence("deadline", deadline);
        }
        Ok(advise(problem, job).into())
    }
}

/// When Kubernetes ends it, if that lies ahead.
fn deadline(job: &Job, started: Timestamp, now: Timestamp) -> Option<Timestamp> {
    job.deadline.map(|after| started.plus_seconds(after.get())).filter(|at| *at > now)
}

fn advise(problem: Problem, job: &Job) -> Problem {
    let (namespace, name) = (job.id.namespace.as_str(), job.id.name.as_str());
    let names = [namespace, name];
    let log = format!("kubectl -n {namespace} logs job/{name} --all-containers --tail=50");
    let pods = format!("kubectl -n {namespace} get pods -l job-name={name} -o wide");
    problem
        .advise(Advice::new(Text::new("log")).command(log, &names))
        .advise(Advice::new(Text::new("pods")).command(pods, &names))
        .advise(Advice::new(Text::new("end")))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("job-unfinished", text, expected);
    }

    #[test]
    fn twelve_hours_are_enough() {
        check(
            "job web/load active=1 created=13h started=12.1h",
            "warning web/load: has not ended 726m after its start",
        );
        check("job web/load active=1 created=13h started=12h", "1 ok");
        check("set after=2d\njob web/load active=1 created=47h", "1 ok");
        check(
            "set after=1h\njob web/load active=1 created=2h",
            "warning web/load: has not ended 2h after its start",
        );
    }

    #[test]
    fn what_has_ended_or_waits_is_none() {
        check("job web/load active=1 suspended created=3d", "nothing");
        check("job web/load succeeded=1 created=3d completed=2d Complete=yes:x@2d", "nothing");
        check("job web/load active=1 created=3d Complete=yes:x@2d", "nothing");
        check("job web/load failed=7 created=3d Failed=yes:BackoffLimitExceeded@2d", "nothing");
        // Between two tries, or without room for a pod.
        check("job web/load failed=1 created=3d", "nothing");
        // It began after the end of the run.
        check("window now=-3d\njob web/load active=1 created=2d", "1 ok");
    }

    #[test]
    fn a_pod_that_does_not_run_is_a_job_that_does_not_end() {
        let pod = "workload web/Job/load\npod web/load-x2x9z owner=Job/load phase=Pending created=3d\n";
        check(
            &format!("{pod}job web/load active=1 created=3d"),
            "warning web/load: has not ended 3d after its start",
        );
    }

    #[test]
    fn runs_that_wait_for_it_are_told() {
        let job = "job web/dump-1 cron=dump active=1 created=13h\n";
        let cron = |words: &str| format!("{job}cronjob web/dump schedule=\"0 3 * * *\" created=30d {words}");
        let waits = "has not ended 13h after its start, and CronJob dump starts no other run until it has";
        check(&cron("last-success=46h concurrency=Forbid"), &format!("warning web/dump-1: {waits}"));
        let alone = "warning web/dump-1: has not ended 13h after its start";
        check(&cron("last-success=46h concurrency=Allow"), alone);
        check(&cron("last-success=46h"), alone);
        check(job, alone);
    }

    #[test]
    fn a_cronjob_that_misses_its_schedule_is_told_loud_itself() {
        let cron = "job web/dump-1 cron=dump active=1 created=3d\n\
                    cronjob web/dump schedule=\"0 3 * * *\" last-schedule=22h last-success=4d created=30d concurrency=";
        check(
            &format!("{cron}Forbid"),
            "info web/dump-1: has not ended 3d after its start, and CronJob dump starts no other run until it has",
        );
        check(&format!("{cron}Allow"), "info web/dump-1: has not ended 3d after its start");
        // There it is the failure of another that is told.
        let failed = "job web/dump-2 cron=dump created=22h Failed=yes:BackoffLimitExceeded@21h";
        check(&format!("{cron}Allow\n{failed}"), "warning web/dump-1: has not ended 3d after its start");
        check(&format!("{cron}Allow suspended"), "warning web/dump-1: has not ended 3d after its start");
    }

    #[test]
    fn a_deadline_that_lies_ahead_is_told() {
        let deadline = |text: &str| {
            let found = fixture::findings("job-unfinished", text).remove(0).evidence;
            found.into_iter().find(|e| e.name == "deadline").map(|e| fixture::show(&e.value))
        };
        let job = "job web/train active=4 created=2d deadline=";
        assert_eq!(deadline(&format!("{job}3d")).as_deref(), Some("-1d ago"));
        assert_eq!(deadline(&format!("{job}1d")), None);
        assert_eq!(deadline("job web/train active=4 created=2d"), None);
    }

    #[test]
    fn advice_reads_before_it_deletes() {
        assert_eq!(
            fixture::advice("job-unfinished", "job web/load active=1 created=3d"),
            [
                "read what it does [kubectl -n web logs job/load --all-containers --tail=50]",
                "see whether its pods run, and since when [kubectl -n web get pods -l job-name=load -o wide]",
                "when it hangs, delete it, and let Kubernetes end the next one that does: `activeDeadlineSeconds`",
            ]
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("job web/load active=1 created=13h unstarted", "1 unknown: start of the Job is not reported");
        check("job web/load active=1 created=1m unstarted", "1 ok");
        check("denied schedules", "1 unknown: not allowed to list schedules in all namespaces");
    }
}
