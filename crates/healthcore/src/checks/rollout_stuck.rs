//! `rollout-stuck`: a Deployment, StatefulSet or DaemonSet does not get to its new revision.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::workload_in_words;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{Condition, ObjectKind, Update, Workload};
use crate::need::Needs;
use crate::phrase::or;
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// A Deployment, StatefulSet or DaemonSet does not get to its new revision.
pub struct RolloutStuck;

crate::params! {
    /// Parameters of `rollout-stuck`.
    pub struct RolloutStuckParams {
        /// Time that a rollout may be stuck; what hinders it may pass by itself.
        grace: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(7.0),
        /// Time that a Deployment may be paused before it is told.
        paused: Seconds = Seconds::from_days(1.0) => Seconds(0.0)..=Seconds::from_days(365.0),
    }
}

impl Check for RolloutStuck {
    const INFO: CheckInfo = CheckInfo {
        id: "rollout-stuck",
        title: "Rollout stuck",
        since: "0.1.0",
        checks: "Whether the rollout of every Deployment, StatefulSet and DaemonSet goes on to its end.",
        why: "The old pods serve on, so nobody notices that the new version is not there.",
        decides: "The conditions of the Deployment: Progressing is false, because its progress deadline is over \
                  (ProgressDeadlineExceeded), or ReplicaFailure is true, because pods are refused. A warning, once that has \
                  lasted for `grace`, or when it is not known since when. Info when it has been paused for longer than `paused`. Of a StatefulSet \
                  or DaemonSet, whose status does not tell since when: a warning when fewer pods are of its newest \
                  revision than are to be, and no pod of it was made within `grace`; not with the strategy `OnDelete`, \
                  nor for pods below the `partition`, nor when none is updated and all are ready, for then it may be \
                  about to begin. Workloads that tell none of this, or that are scaled to zero, are not judged. Whether the pods that there are run, `pod-not-running` tells.",
        remedy: "Mend what keeps the new pods from becoming ready, or undo the rollout. Where pods are refused, the message \
                 names the quota, the admission webhook or the missing service account.",
        false_alarms: "A start that takes longer than `progressDeadlineSeconds` of the Deployment, 10 minutes by default, or than `grace` in a \
                       StatefulSet or DaemonSet.",
        texts: &[
            ("stuck", "the rollout has been stuck for {time}: {reason}"),
            ("stuck-unknown-time", "the rollout is stuck: {reason}"),
            ("refused", "new pods have been refused for {time}: {reason}"),
            ("refused-unknown-time", "new pods are refused: {reason}"),
            ("paused", "the rollout has been paused for {time}: changes of it have no effect"),
            (
                "behind",
                "{updated} of {wanted} pods are of the newest revision, and the update has made no pod for {time}",
            ),
            ("resume", "let it go on, or note who paused it and why"),
            ("old-pods", "see which pod it waits for: the update goes on when that is ready"),
            ("quota", "raise the quota, or lower the requests and limits of the pods"),
            (
                "mend",
                "mend what refuses the pods: a quota, an admission webhook or a missing service account",
            ),
            ("new-pods", "see why the newest pods do not become ready"),
            ("undo", "or go back to the revision before"),
        ],
    };
    type Params = RolloutStuckParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let workload = subject.workload;
        let scaled_to_zero = workload.replicas.is_some_and(|r| r.desired == 0);
        let tells = !workload.conditions.is_empty() || workload.update.is_some();
        if !tells || scaled_to_zero {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        if let Some(update) = workload.update {
            let behind = behind(update, subject, now).filter(|(_, age)| *age > params.grace);
            return Ok(behind.map_or(Outcome::Ok, |(problem, _)| problem.into()));
        }
        let lasts = |c: &&Condition| match c.since {
            Some(since) => since.age_at(now).is_some_and(|age| age > params.grace.get()),
            None => true,
        };
        let refused = condition(workload, "ReplicaFailure", true).filter(lasts);
        let stuck = condition(workload, "Progressing", false).filter(lasts);
        let Some(told) = refused.or(stuck) else {
            let paused = paused(workload, now).filter(|(_, age)| *age > params.paused);
            return Ok(paused.map_or(Outcome::Ok, |(problem, _)| problem.into()));
        };
        let since = refused.into_iter().chain(stuck).filter_map(|c| c.since).min();
        let text = match (refused.is_some(), since) {
            (true, Some(_)) => Text::new("refused"),
            (true, None) => Text::new("refused-unknown-time"),
            (false, Some(_)) => Text::new("stuck"),
            (false, None) => Text::new("stuck-unknown-time"),
        };
        let mut text = text.with("reason", said(told));
        if let Some(since) = since {
            text = text.with("time", Seconds(now.seconds_since(since)));
        }
        let conditions = refused.into_iter().chain(stuck).filter(|c| !c.reason.is_empty());
        let reasons: Vec<Value> = conditions.map(|c| c.reason.as_str().into()).collect();
        let mut problem =
            Problem::new(Severity::Warning, text).evidence("pods", workload_in_words(subject)).since(since);
        if !reasons.is_empty() {
            problem = problem.evidence("reason", reasons);
        }
        Ok(advise(problem, workload, refused).into())
    }
}

/// That a Deployment is paused, and for how long.
fn paused(workload: &Workload, now: Timestamp) -> Option<(Problem, Seconds)> {
    let told =
        workload.conditions.iter().find(|c| c.kind == "Progressing" && c.reason == "DeploymentPaused")?;
    let age = Seconds(told.since?.age_at(now)?);
    let (namespace, name) = (workload.id.namespace.as_str(), workload.id.name.as_str());
    let resume = format!("kubectl -n {namespace} rollout resume deployment {name}");
    let problem = Problem::new(Severity::Info, Text::new("paused").with("time", age))
        .since(told.since)
        .advise(Advice::new(Text::new("resume")).command(resume, &[namespace, name]));
    Some((problem, age))
}

/// That pods are of an older revision, and how long ago the update last made one; none where it may be about to begin.
fn behind(update: Update, subject: &WorkloadPods<'_>, now: Timestamp) -> Option<(Problem, Seconds)> {
    let all_ready = subject.workload.replicas.is_some_and(|r| r.ready >= r.desired);
    if update.updated == 0 && all_ready {
        return None;
    }
    let newest = subject.pods.iter().filter_map(|pod| pod.created).max()?;
    let age = Seconds(newest.age_at(now)?);
    let (namespace, name) = (subject.workload.id.namespace.as_str(), subject.workload.id.name.as_str());
    let kind = subject.workload.id.kind.to_ascii_lowercase();
    let text = Text::new("behind").with("updated", update.updated).with("wanted", update.wanted);
    let see = format!(
        "kubectl -n {namespace} rollout status {kind} {name} --timeout=5s; kubectl -n {namespace} get pods -L controller-revision-hash"
    );
    let undo = format!("kubectl -n {namespace} rollout undo {kind} {name}");
    let problem = Problem::new(Severity::Warning, text.with("time", age))
        .evidence("pods", workload_in_words(subject))
        .since(Some(newest))
        .advise(Advice::new(Text::new("old-pods")).command(see, &[namespace, name]))
        .advise(Advice::new(Text::new("undo")).command(undo, &[namespace, name]));
    Some((problem, age))
}

fn condition<'a>(workload: &'a Workload, kind: &str, status: bool) -> Option<&'a Condition> {
    workload.conditions.iter().find(|c| c.kind == kind && c.status == Some(status))
}

/// What the condition says, without the full stop that the sentence does not end with.
fn said(condition: &Condition) -> Value {
    let message = condition.message.trim().trim_end_matches('.');
    or(if message.is_empty() { &condition.reason } else { message }, "reason-untold")
}

fn advise(problem: Problem, workload: &Workload, refused: Option<&Condition>) -> Problem {
    let (namespace, name) = (workload.id.namespace.as_str(), workload.id.name.as_str());
    let kind = workload.id.kind.to_ascii_lowercase();
    let names = [namespace, workload.id.kind.as_str(), name];
    let describe = format!("kubectl -n {namespace} describe {kind} {name}");
    match refused {
        Some(c) if c.message.contains("exceeded quota") => {
            let quota = format!("kubectl -n {namespace} describe quota");
            problem.advise(Advice::new(Text::new("quota")).command(quota, &names))
        }
        Some(_) => problem.advise(Advice::new(Text::new("mend")).command(describe, &names)),
        None => {
            let undo = format!("kubectl -n {namespace} rollout undo {kind} {name}");
            problem
                .advise(Advice::new(Text::new("new-pods")).command(describe, &names))
                .advise(Advice::new(Text::new("undo")).command(undo, &names))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("rollout-stuck", text, expected);
    }

    fn deployment(conditions: &str) -> String {
        format!(
            "workload web/Deployment/api replicas=2/2 {conditions}\n\
             container web/api-7d9c5bd4f7-jq4wv/app\ncontainer web/api-7d9c5bd4f7-x2x9z/app"
        )
    }

    const LATE: &str = "Progressing=no:ProgressDeadlineExceeded@2d";

    #[test]
    fn a_deadline_that_is_over() {
        check(
            &deployment(LATE),
            "warning web/api: the rollout has been stuck for 2d: ProgressDeadlineExceeded",
        );
        let late =
            r#""Progressing=no:ProgressDeadlineExceeded@15m:ReplicaSet api-2 has timed out progressing.""#;
        check(&deployment(late), "1 ok");
        let told = "the rollout has been stuck for 15m: ReplicaSet api-2 has timed out progressing";
        check(&format!("set grace=14m\n{}", deployment(late)), &format!("warning web/api: {told}"));
        check(
            &deployment("Progressing=no"),
            "warning web/api: the rollout is stuck: the reason is not reported",
        );
        assert_eq!(
            advice("rollout-stuck", &deployment(LATE)),
            [
                "see why the newest pods do not become ready [kubectl -n web describe deployment api]",
                "or go back to the revision before [kubectl -n web rollout undo deployment api]",
            ]
        );
    }

    #[test]
    fn pods_that_are_refused_are_the_cause() {
        let quota = format!(
            r#"{LATE} "ReplicaFailure=yes:FailedCreate@2h:pods api-2 is forbidden: exceeded quota: q""#
        );
        check(
            &deployment(&quota),
            "warning web/api: new pods have been refused for 2d: pods api-2 is forbidden: exceeded quota: q",
        );
        assert_eq!(
            advice("rollout-stuck", &deployment(&quota)),
            ["raise the quota, or lower the requests and limits of the pods [kubectl -n web describe quota]"]
        );
        let webhook =
            deployment(r#""ReplicaFailure=yes:FailedCreate@:admission webhook denied the request""#);
        check(&webhook, "warning web/api: new pods are refused: admission webhook denied the request");
        assert_eq!(advice("rollout-stuck", &webhook).len(), 1);
    }

    #[test]
    fn what_goes_on_is_ok() {
        check(&deployment("Progressing=yes:NewReplicaSetAvailable@9d"), "1 ok");
        check(&deployment("Progressing=yes:ReplicaSetUpdated@2m ReplicaFailure=no:x@9d"), "1 ok");
        // After the end of the run that is judged.
        check(&format!("window now=-3d\n{}", deployment(LATE)), "1 ok");
    }

    #[test]
    fn a_pause_that_lasts_is_info() {
        let paused = deployment("Progressing=unknown:DeploymentPaused@40d");
        check(&paused, "info web/api: the rollout has been paused for 40d: changes of it have no effect");
        check(&format!("set paused=50d\n{paused}"), "1 ok");
        check(&deployment("Progressing=unknown:DeploymentPaused@23h"), "1 ok");
        check(
            &deployment("Progressing=unknown:DeploymentPaused@40d ReplicaFailure=yes:FailedCreate@2h"),
            "warning web/api: new pods have been refused for 2h: FailedCreate",
        );
    }

    /// Old pods that are ready look fine.
    #[test]
    fn an_update_that_stands_still() {
        let set = |kind: &str, words: &str, made: &str| {
            format!(
                "workload web/{kind}/db {words}\npod web/db-0 owner={kind}/db created=30d\n\
                 pod web/db-1 owner={kind}/db created={made}"
            )
        };
        let told = "of the newest revision, and the update has made no pod for 2h";
        check(
            &set("DaemonSet", "replicas=2/2 updated=1/2", "2h"),
            &format!("warning web/db: 1 of 2 pods are {told}"),
        );
        check(
            &set("StatefulSet", "replicas=1/2 updated=0/2", "2h"),
            &format!("warning web/db: 0 of 2 pods are {told}"),
        );
        check(&set("StatefulSet", "replicas=2/2 updated=0/2", "2h"), "1 ok");
        check(&set("StatefulSet", "replicas=1/2 updated=1/2", "14m"), "1 ok");
        check(&format!("set grace=3h\n{}", set("DaemonSet", "replicas=2/2 updated=1/2", "2h")), "1 ok");
        check(&set("DaemonSet", "replicas=2/2", "2h"), "nothing");
    }

    #[test]
    fn what_is_not_judged() {
        check(&deployment(""), "nothing");
        check(&format!("workload web/Deployment/api replicas=0/0 {LATE}"), "nothing");
        check("denied workloads namespace=web", "1 unknown: not allowed to list workloads in namespace web");
    }
}
