//! `pod-not-running`: a pod that should run does not.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{completed, named_elsewhere, runs, waiting, workload_in_words};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{ObjectKind, Pod, PodPhase};
use crate::need::Needs;
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// A pod that should run does not.
pub struct PodNotRunning;

crate::params! {
    /// Parameters of `pod-not-running`.
    pub struct PodNotRunningParams {
        /// Age up to which a pod may still be starting.
        grace: Seconds = Seconds(600.0),
    }
}

impl Check for PodNotRunning {
    const INFO: CheckInfo = CheckInfo {
        id: "pod-not-running",
        title: "Pods not running",
        since: "0.1.0",
        checks: "Whether every pod that should run does, and is ready.",
        why: "Capacity is missing, or the workload is down.",
        decides: "Pods that have ended with success (Succeeded, Completed) are never \"not running\"; they are shown apart: \
                  `4/4 Running (+2 Completed)`, `3/4 Running (1 not running) +2 Completed`. A pod that is being deleted or is \
                  younger than `grace` is no problem. Critical when no pod of the workload runs, else a warning. Info when \
                  another check names the cause (crash loop, image pull, no node) or when only evicted pods are left over. Of \
                  a Job only the newest pod counts: a failed try that was repeated with success is none.",
        remedy: "Read the events of the pod that is named.",
        false_alarms: "A readiness probe that fails on purpose, for instance on standbys.",
        texts: &[
            ("not-running", "{pods}: {reason}"),
            ("job-failed", "the last pod of the job failed: {reason}"),
            ("describe", "read the state and the events of pod {pod}"),
        ],
    };
    type Params = PodNotRunningParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        if subject.pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        if subject.workload.id.runs_to_completion() {
            return Ok(job(subject));
        }
        let now = view.snapshot.taken_at;
        let young = |p: &Pod| p.created.is_some_and(|t| now.seconds_since(t) < params.grace.get());
        let not_running: Vec<&Pod> = subject
            .pods
            .iter()
            .copied()
            .filter(|p| !completed(p) && !runs(p) && !p.deleting && !young(p))
            .collect();
        let Some(pod) = not_running.iter().find(|p| !quiet(p)).or(not_running.first()) else {
            return Ok(Outcome::Ok);
        };
        let severity = if not_running.iter().all(|p| quiet(p)) {
            Severity::Info
        } else if subject.pods.iter().any(|p| runs(p)) {
            Severity::Warning
        } else {
            Severity::Critical
        };
        let words = workload_in_words(subject);
        let text = Text::new("not-running").with("pods", words.as_str()).with("reason", reason(pod));
        Ok(describe(Problem::new(severity, text), subject, pod)
            .evidence("pods", words)
            .evidence("not-running", not_running.len())
            .since(pod.created)
            .into())
    }
}

/// Not running, and either named by another check or only a leftover.
fn quiet(pod: &Pod) -> bool {
    named_elsewhere(pod) || pod.reason.as_deref() == Some("Evicted")
}

fn job(subject: &WorkloadPods<'_>) -> Outcome {
    let newest = subject.pods.iter().copied().max_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
    match newest.filter(|p| p.phase == PodPhase::Failed) {
        None => Outcome::Ok,
        Some(pod) => {
            let text = Text::new("job-failed").with("reason", reason(pod));
            describe(Problem::new(Severity::Warning, text), subject, pod)
                .evidence("pods", workload_in_words(subject))
                .into()
        }
    }
}

fn describe(problem: Problem, subject: &WorkloadPods<'_>, pod: &Pod) -> Problem {
    let namespace = &subject.workload.id.namespace;
    let command = format!("kubectl -n {namespace} describe pod {}", pod.name);
    let advice = Advice::new(Text::new("describe").with("pod", pod.name.as_str()));
    problem.pod(&pod.name).advise(advice.command(command, &[namespace, &pod.name]))
}

/// Why a pod does not run, in the words of Kubernetes.
fn reason(pod: &Pod) -> String {
    if let Some(reason) = pod.reason.as_deref().filter(|r| !r.is_empty()) {
        return reason.to_owned();
    }
    if pod.unschedulable.is_some() {
        return "Unschedulable".to_owned();
    }
    let waits = pod
        .containers
        .iter()
        .find_map(|c| waiting(c).map(|(reason, _)| format!("{} in container {}", reason, c.name)));
    let ended = pod.containers.iter().find_map(|c| match &c.state {
        Some(crate::model::ContainerState::Terminated(t)) if t.exit_code != Some(0) => {
            Some(match t.exit_code {
                Some(code) => format!("{} (exit code {code}) in container {}", t.reason, c.name),
                None => format!("{} in container {}", t.reason, c.name),
            })
        }
        _ => None,
    });
    waits.or(ended).unwrap_or_else(|| match pod.phase {
        PodPhase::Running => "not ready".to_owned(),
        phase => format!("{phase:?}"),
    })
}
