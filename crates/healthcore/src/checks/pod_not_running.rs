//! `pod-not-running`: a pod that should run does not.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{
    completed, crash_loops, last_line, leftovers, named_elsewhere, pods, runs, untold, waiting,
    waits_for_image, workload_in_words,
};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{Container, ContainerRole, ContainerState, Hpa, ObjectKind, Pod, PodPhase};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// A pod that should run does not.
pub struct PodNotRunning;

crate::params! {
    /// Parameters of `pod-not-running`.
    pub struct PodNotRunningParams {
        /// Age up to which a pod may still be starting.
        grace: Seconds = Seconds(600.0) => Seconds(0.0)..=Seconds::from_days(7.0),
        /// Time since its end in which a pod that ended with a failure, and that nobody makes again, is a warning.
        recent: Seconds = Seconds(86_400.0) => Seconds(0.0)..=Seconds::from_days(365.0),
        /// Time beyond its grace period that a pod may take to be deleted.
        termination: Seconds = Seconds(600.0) => Seconds(0.0)..=Seconds::from_days(7.0),
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
                  `4/4 Running (+2 Completed)`, `3/4 Running (1 not running) +2 Completed`. So are failed ones, such as evicted, \
                  that their controller has replaced: `1/1 Running (+9 Failed)`. A pod that is \
                  younger than `grace` is no problem, nor one whose container has just been started again, nor one that is being \
                  deleted, until its own grace period and `termination` are over: after that it hangs, a warning, critical \
                  when no pod of those asked for is ready. A pod that is being deleted and has its successor is not among \
                  `3/4`. Critical when no pod of the workload runs, or when replicas are asked for and there is no pod at all; else a warning, also where those that there are run and \
                  have settled, and fewer have been made than are asked for. Info \
                  when a pod waits for its scheduling gates, which somebody holds on purpose, when another check names the cause (crash loop, image pull, no node), or when only evicted or failed pods \
                  are left over that their controller has replaced. Of a Job only the newest pod counts: a failed try that \
                  was repeated with success is none, and that of the last is info where Jobs could be listed: whether \
                  the Job has given up, `job-failed` tells. Pods of an owner without a scale (a Workflow, a PipelineRun, a Spark \
                  application) are steps that end: once all have ended, a failure of the last is a warning, an earlier \
                  one info. A pod without owner whose containers ended with a failure (a task of Airflow, `helm test`, \
                  `kubectl run`) has done so for good: a warning for `recent`, then info.",
        remedy: "Read the events of the pod that is named.",
        false_alarms: "A readiness probe that fails on purpose, for instance on standbys. A pod that another program holds with a \
                       finalizer for longer than `termination`, on purpose.",
        texts: &[
            ("not-running", "{pods}: {reason}"),
            ("terminating", "{pods}: {n} {n|pod has|pods have} been terminating for {time}"),
            ("job-failed", "the last pod of the job failed: {reason}"),
            ("step-failed", "{pods}: the last pod failed: {reason}"),
            ("no-pods", "{pods}: no pod has been made"),
            ("too-few", "{pods}: {n} {n|pod has|pods have} not been made"),
            (
                "describe-workload",
                "read the events of the workload: a quota, an admission webhook or a missing service account may refuse its pods",
            ),
            ("describe", "read the state and the events of pod {pod}"),
            ("holds", "see whether the node of pod {pod} is lost, and which finalizers hold the pod"),
            (
                "force",
                "use `kubectl delete pod --force` only when the node is known to be dead: until then the pod may still run and write to its volume",
            ),
        ],
    };
    type Params = PodNotRunningParams;
    type Subject<'a> = WorkloadPods<'a>;
    const NEEDS_ALL: bool = true;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods)
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Schedules);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let now = view.snapshot.taken_at;
        let within_grace = |t: Timestamp| now.seconds_since(t) < params.grace.get();
        let young = |p: &Pod| p.created.is_some_and(within_grace);
        if subject.pods.iter().any(|p| untold(p) && !p.deleting && !young(p)) {
            return Err(Missing::NotReported { field: Field::PodPhase });
        }
        let overdue = overdue(params, subject, now);
        if subject.workload.id.runs_to_completion() {
            if !overdue.is_empty() {
                return Ok(terminating(subject, &overdue, now));
            }
            return Ok(if subject.pods.is_empty() {
                Outcome::NotApplicable
            } else {
                job(subject, view, &young)
            });
        }
        let ended = |p: &Pod| matches!(p.phase, PodPhase::Succeeded | PodPhase::Failed);
        let unscaled = unscaled(subject);
        if unscaled && !subject.pods.is_empty() && subject.pods.iter().all(|p| ended(p)) && overdue.is_empty()
        {
            return Ok(steps(subject));
        }
        let desired = subject.workload.replicas.map(|r| r.desired as usize);
        if subject.pods.is_empty() {
            return Ok(match desired {
                Some(desired) if desired > 0 && !subject.workload.created.is_some_and(within_grace) => {
                    without_pods(subject, desired)
                }
                _ => Outcome::NotApplicable,
            });
        }
        // A container that was just started again has its grace too; `restarts` tells of it.
        let starting = |p: &Pod| {
            p.phase == PodPhase::Running
                && p.containers.iter().any(|c| {
                    let running = matches!(&c.state, Some(ContainerState::Running { started: Some(t) }) if within_grace(*t));
                    running && c.ready == Some(false)
                })
        };
        let running = subject.pods.iter().filter(|p| runs(p) && !p.deleting).count();
        let leftovers = leftovers(subject.workload, &subject.pods);
        let left_over = |p: &Pod| leftovers.iter().any(|l| l.name == p.name);
        let quiet = |p: &Pod| quiet(p, &subject.workload.id.kind) || left_over(p);
        let not_running: Vec<&Pod> = subject
            .pods
            .iter()
            .copied()
            .filter(|p| !completed(p) && !runs(p) && !p.deleting && !young(p) && !starting(p))
            .collect();
        let told_elsewhere = not_running.iter().all(|p| quiet(p));
        if !overdue.is_empty() && (told_elsewhere || (running == 0 && desired.is_some_and(|d| d > 0))) {
            return Ok(terminating(subject, &overdue, now));
        }
        let missing: Vec<&Pod> = not_running.iter().copied().filter(|p| !left_over(p)).collect();
        let first = not_running.iter().find(|p| !quiet(p)).or(missing.first()).or(not_running.first());
        let Some(pod) = first else {
            // Where all is settled the controller has had the time to make the others.
            let settled = subject.pods.iter().all(|p| completed(p) || (runs(p) && !p.deleting && !young(p)));
            let is_scaling = view.autoscaler_of(&subject.workload.id).is_some_and(Hpa::is_scaling);
            return Ok(match subject.workload.replicas {
                Some(r) if settled && !is_scaling && r.ready < r.desired && running < r.desired as usize => {
                    too_few_pods(subject, running, r.desired as usize)
                }
                _ => Outcome::Ok,
            });
        };
        let severity = if let Some(over) = over_for_good(subject) {
            let old = ended_at(over).is_some_and(|at| now.seconds_since(at) > params.recent.get());
            if old { Severity::Info } else { Severity::Warning }
        } else if told_elsewhere {
            Severity::Info
        } else if running > 0 || (unscaled && not_running.iter().all(|p| quiet(p) || ended(p))) {
            Severity::Warning
        } else {
            Severity::Critical
        };
        let words = workload_in_words(subject);
        let text = Text::new("not-running").with("pods", words.clone()).with("reason", reason(pod));
        let mut problem = describe(Problem::new(severity, text), subject, pod).evidence("pods", words);
        if !missing.is_empty() {
            problem = problem.evidence("not-running", missing.len());
        }
        if !leftovers.is_empty() {
            problem = problem.evidence("failed-pods", leftovers.len());
        }
        if !overdue.is_empty() {
            problem = problem.evidence("terminating-pods", overdue.len());
        }
        Ok(problem.since(pod.created).into())
    }
}

/// Pods that should have been gone for some time, the one that hangs longest first.
fn overdue<'a>(params: &PodNotRunningParams, subject: &WorkloadPods<'a>, now: Timestamp) -> Vec<&'a Pod> {
    let late =
        |p: &&Pod| p.gone_by.and_then(|t| t.age_at(now)).is_some_and(|age| age > params.termination.get());
    let mut late: Vec<&Pod> = subject.pods.iter().copied().filter(late).collect();
    late.sort_by_key(|p| (p.gone_by, &p.name));
    late
}

/// Pods that hang in their end: their node is lost, or a finalizer holds them. `overdue` has one at least.
fn terminating(subject: &WorkloadPods<'_>, overdue: &[&Pod], now: Timestamp) -> Outcome {
    let Some(pod) = overdue.first() else { return Outcome::Ok };
    let ready = subject.pods.iter().any(|p| runs(p) && !p.deleting);
    let asked_for = subject.workload.replicas.is_some_and(|r| r.desired > 0);
    let severity = if asked_for && !ready { Severity::Critical } else { Severity::Warning };
    let words = workload_in_words(subject);
    let lasted = pod.gone_by.map_or(0.0, |t| now.seconds_since(t));
    let text = Text::new("terminating").with("pods", words.clone());
    let text = text.with("n", overdue.len()).with("time", Seconds(lasted));
    let mut problem = Problem::new(severity, text)
        .evidence("pods", words)
        .evidence("terminating-pods", overdue.len())
        .pod(&pod.name)
        .since(pod.gone_by);
    let (namespace, name) = (&subject.workload.id.namespace, &pod.name);
    let finalizers = format!(
        "kubectl -n {namespace} get pod {name} -o jsonpath='{{.spec.nodeName}} {{.metadata.finalizers}}'"
    );
    if let Some(node) = &pod.node {
        problem = problem.evidence("node", node.as_str());
    }
    let holds = Advice::new(Text::new("holds").with("pod", name.as_str()));
    problem
        .advise(holds.command(finalizers, &[namespace, name]))
        .advise(Advice::new(Text::new("force")))
        .into()
}

/// Not running, and either named by another check or evicted. A bare pod has no controller that makes another.
fn quiet(pod: &Pod, kind: &str) -> bool {
    let evicted = pod.reason.as_deref() == Some("Evicted") && kind != "Pod";
    pod.gated || named_elsewhere(pod) || evicted
}

/// Pods are asked for, and there is none: a quota, an admission webhook or a missing service account.
fn without_pods(subject: &WorkloadPods<'_>, desired: usize) -> Outcome {
    let words = pods(0, desired, 0, 0);
    let text = Text::new("no-pods").with("pods", words.clone());
    not_made(Problem::new(Severity::Critical, text).evidence("pods", words), subject, desired)
}

/// Those that there are run, and the others have not been made.
fn too_few_pods(subject: &WorkloadPods<'_>, running: usize, desired: usize) -> Outcome {
    let ended = subject.pods.iter().filter(|p| completed(p)).count();
    let (words, missing) = (pods(running, desired, ended, 0), desired - running);
    let text = Text::new("too-few").with("pods", words.clone()).with("n", missing);
    not_made(Problem::new(Severity::Warning, text).evidence("pods", words), subject, missing)
}

fn not_made(problem: Problem, subject: &WorkloadPods<'_>, missing: usize) -> Outcome {
    let id = &subject.workload.id;
    let kind = id.kind.to_ascii_lowercase();
    let command = format!("kubectl -n {} describe {kind} {}", id.namespace, id.name);
    let advice =
        Advice::new(Text::new("describe-workload")).command(command, &[&id.namespace, &id.kind, &id.name]);
    problem.evidence("not-running", missing).advise(advice).into()
}

/// Whether nobody asks for a number of pods: steps of a Workflow, a PipelineRun or a Spark application come and go. Not
/// so the kinds of Kubernetes itself, whose number is only not known here, nor a bare pod.
fn unscaled(subject: &WorkloadPods<'_>) -> bool {
    let id = &subject.workload.id;
    match id.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" => false,
        // Executors belong to the pod of their driver.
        "Pod" => subject.pods.iter().all(|p| p.name != id.name),
        _ => subject.workload.replicas.is_none(),
    }
}

/// The pod without owner whose containers failed, and which nobody starts again. One that is to run always fails only by its
/// node, and has that as its reason.
fn over_for_good<'a>(subject: &WorkloadPods<'a>) -> Option<&'a Pod> {
    let [pod] = subject.pods[..] else { return None };
    let alone = subject.workload.id.kind == "Pod" && subject.workload.id.name == pod.name;
    let of_node = pod.reason.as_deref().is_some_and(|reason| !reason.is_empty());
    let failed = pod.containers.iter().any(|c| matches!(c.state, Some(ContainerState::Terminated(_))));
    (alone && !of_node && pod.phase == PodPhase::Failed && failed).then_some(pod)
}

/// When the last container of a pod ended, as far as is known.
fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let end = |c: &Container| match &c.state {
        Some(ContainerState::Terminated(end)) => end.finished,
        _ => None,
    };
    pod.containers.iter().filter_map(end).max()
}

/// Pods that nobody scales and that have all ended: a failed one is a warning when none was made after it, else a
/// leftover of what went on without it.
fn steps(subject: &WorkloadPods<'_>) -> Outcome {
    let failed = subject.pods.iter().copied().filter(|p| p.phase == PodPhase::Failed && !p.deleting);
    let Some(pod) = newest(failed) else { return Outcome::Ok };
    let last = newest(subject.pods.iter().copied()).is_none_or(|p| p.name == pod.name);
    let (severity, key) =
        if last { (Severity::Warning, "step-failed") } else { (Severity::Info, "not-running") };
    let words = workload_in_words(subject);
    let text = Text::new(key).with("pods", words.clone()).with("reason", reason(pod));
    describe(Problem::new(severity, text), subject, pod).evidence("pods", words).since(pod.created).into()
}

fn newest<'a>(pods: impl Iterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.max_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)))
}

fn job(subject: &WorkloadPods<'_>, view: &View<'_>, young: &dyn Fn(&Pod) -> bool) -> Outcome {
    let Some(newest) = newest(subject.pods.iter().copied()) else { return Outcome::NotApplicable };
    let stuck = matches!(newest.phase, PodPhase::Pending | PodPhase::Unknown | PodPhase::NotReported)
        && !runs(newest)
        && !newest.deleting
        && !young(newest)
        && !named_elsewhere(newest);
    if stuck {
        let words = workload_in_words(subject);
        let text = Text::new("not-running").with("pods", words.clone()).with("reason", reason(newest));
        let severity = if newest.gated { Severity::Info } else { Severity::Warning };
        let problem = describe(Problem::new(severity, text), subject, newest);
        return problem.evidence("pods", words).since(newest.created).into();
    }
    match Some(newest).filter(|p| p.phase == PodPhase::Failed && !p.deleting) {
        None => Outcome::Ok,
        Some(pod) => {
            let text = Text::new("job-failed").with("reason", reason(pod));
            // Whether the Job has given up, the Job itself tells.
            let told = view.unavailable(ObjectKind::Schedules, &subject.workload.id.namespace).is_none();
            let severity = if told { Severity::Info } else { Severity::Warning };
            describe(Problem::new(severity, text), subject, pod)
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
fn reason(pod: &Pod) -> Value {
    if let Some(reason) = pod.reason.as_deref().filter(|r| !r.is_empty()) {
        return reason.into();
    }
    if pod.unschedulable.is_some() {
        return "Unschedulable".into();
    }
    if pod.gated {
        return phrase("waits-for-gates").into();
    }
    // The others wait for an init container that runs.
    let init = pod
        .containers
        .iter()
        .find(|c| c.role == ContainerRole::Init && matches!(c.state, Some(ContainerState::Running { .. })));
    let waits = pod.containers.iter().find_map(|c| {
        let (reason, message) = waiting(c)?;
        let c = init.filter(|_| reason == "PodInitializing").unwrap_or(c);
        let told_elsewhere = crash_loops(c) || waits_for_image(c);
        Some(in_container(c, reason, None, if told_elsewhere { "" } else { message }))
    });
    let ended = pod.containers.iter().find_map(|c| match &c.state {
        Some(ContainerState::Terminated(t)) if t.exit_code != Some(0) => {
            Some(in_container(c, &t.reason, t.exit_code, &t.message))
        }
        _ => None,
    });
    waits.or(ended).map_or_else(
        || match pod.phase {
            PodPhase::Running => phrase("not-ready").into(),
            phase => format!("{phase:?}").into(),
        },
        Value::from,
    )
}

/// Why a container waits or how it ended, and what was said about it.
fn in_container(container: &Container, reason: &str, code: Option<i32>, message: &str) -> Text {
    let said = last_line(message);
    let key = match (code, &said) {
        (None, None) => "in-container",
        (None, Some(_)) => "in-container-said",
        (Some(_), None) => "in-container-with-code",
        (Some(_), Some(_)) => "in-container-with-code-said",
    };
    let mut text = phrase(key).with("reason", reason).with("container", container.name.as_str());
    if let Some(code) = code {
        text = text.with("code", Value::Number(f64::from(code)));
    }
    if let Some(said) = said {
        text = text.with("said", said);
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("pod-not-running", text, expected);
    }

    #[test]
    fn completed_pods_are_shown_apart() {
        let pods =
            "container web/api-0/app pods=6\npod web/api-4 phase=Succeeded\npod web/api-5 phase=Succeeded";
        check(pods, "1 ok");
        check(
            &format!("{pods}\npod web/api-3 ready=no"),
            "warning web/api (api-3): 3/4 Running (1 not running) +2 Completed: not ready",
        );
    }

    #[test]
    fn none_that_runs_is_critical() {
        check(
            "container web/api-0/app state=waiting:CreateContainerConfigError",
            "critical web/api (api-0): 0/1 Running (1 not running): CreateContainerConfigError in container app",
        );
        check(
            "container web/api-0/app\npod web/api-0 phase=Unknown reason=NodeLost",
            "critical web/api (api-0): 0/1 Running (1 not running): NodeLost",
        );
    }

    /// Tasks of Airflow, `helm test`, `kubectl run`.
    #[test]
    fn a_pod_that_nobody_starts_again_has_failed_once() {
        let task = |state: &str, more: &str| {
            format!(
                "workload etl/Pod/load\ncontainer etl/load/base owner=Pod/load state={state}\npod etl/load phase=Failed owner=Pod/load{more}"
            )
        };
        let told = "etl/load (load): 0/1 Running (1 not running): Error (exit code 1) in container base";
        check(&task("exited:1@3h", ""), &format!("warning {told}"));
        check(&task("exited:1@25h", ""), &format!("info {told}"));
        // The kubelet or the node ended it: it was to run.
        let lost = "critical etl/load (load): 0/1 Running (1 not running): NodeShutdown";
        check(&task("exited:137@25h", " reason=NodeShutdown"), lost);
        check(&task("running", ""), "critical etl/load (load): 0/1 Running (1 not running): Failed");
    }

    #[test]
    fn an_init_container_that_runs_for_long_is_named() {
        check(
            "container web/api-0/app state=waiting:PodInitializing\ncontainer web/api-0/wait-for-db role=init state=running\n\
             pod web/api-0 phase=Pending ready=no",
            "critical web/api (api-0): 0/1 Running (1 not running): PodInitializing in container wait-for-db",
        );
    }

    #[test]
    fn what_was_said_about_the_cause_is_told() {
        check(
            "container web/api-0/app state=waiting:CreateContainerConfigError message=\"secret 'db-pass' not found\"",
            "critical web/api (api-0): 0/1 Running (1 not running): CreateContainerConfigError in container app: \
             secret 'db-pass' not found",
        );
        check(
            "container web/api-0/app state=waiting:CrashLoopBackOff message=\"back-off 5m0s\"",
            "info web/api (api-0): 0/1 Running (1 not running): CrashLoopBackOff in container app",
        );
        check(
            "container web/api-0/app state=exited:3@1h message=\"no space left\"\npod web/api-0 ready=no",
            "critical web/api (api-0): 0/1 Running (1 not running): Error (exit code 3) in container app: no space left",
        );
    }

    #[test]
    fn a_pod_that_is_held_by_its_gates() {
        let gated = "web/api (api-0): 0/1 Running (1 not running): waits for its scheduling gates";
        check("pod web/api-0 gated", &format!("info {gated}"));
        fixture::check("pod-unschedulable", "pod web/api-0 gated", "1 ok");
        check("pod web/api-0 gated created=5m", "1 ok");
        check(
            "workload web/Job/load\npod web/load-x2x9z owner=Job/load gated",
            "info web/load (load-x2x9z): 0/1 Running (1 not running): waits for its scheduling gates",
        );
    }

    #[test]
    fn replicas_without_any_pod() {
        check(
            "workload web/Deployment/api replicas=0/3",
            "critical web/api: 0/3 Running (3 not running): no pod has been made",
        );
        check("workload web/Deployment/api replicas=0/3 created=5m", "nothing");
        check("workload web/Deployment/api replicas=0/0", "nothing");
    }

    #[test]
    fn pods_that_were_not_made() {
        let three = |replicas: &str| {
            format!("workload web/StatefulSet/api replicas={replicas}\ncontainer web/api-0/app pods=3")
        };
        let told = "warning web/api: 3/4 Running (1 not running): 1 pod has not been made";
        check(&three("3/4"), told);
        check(&three("3/3"), "1 ok");
        // Asked for after the pods were listed, or only just.
        check(&three("4/4"), "1 ok");
        check(&format!("{}\npod web/api-2 created=1m", three("3/4")), "1 ok");
        check(&format!("{}\npod web/api-2 deleting", three("3/4")), "1 ok");
        check(&format!("{}\nhpa web/api target=StatefulSet/api now=3 desired=4", three("3/4")), "1 ok");
        check(&format!("{}\nhpa web/api target=StatefulSet/api now=4 desired=4", three("3/4")), told);
    }

    #[test]
    fn what_is_starting_or_ending_is_no_problem() {
        check("container web/api-0/app ready=no\npod web/api-0 ready=no created=9m", "1 ok");
        check(
            "container web/api-0/app\npod web/api-0 ready=no created=10m",
            "critical web/api (api-0): 0/1 Running (1 not running): not ready",
        );
        check("container web/api-0/app\npod web/api-0 ready=no deleting", "1 ok");
        check("container web/api-0/app\npod web/api-0 ready=no deleting=10m", "1 ok");
        // Just started again.
        check("container web/api-0/app ready=no state=running@2m\npod web/api-0 ready=no", "1 ok");
    }

    #[test]
    fn a_pod_that_hangs_in_its_end() {
        let lost = "container db/sts-0/app\npod db/sts-0 ready=no deleting=3d";
        let told = "db/sts (sts-0): 0/1 Running (1 not running): 1 pod has been terminating for 3d";
        check(&format!("workload db/StatefulSet/sts replicas=0/1\n{lost}"), &format!("critical {told}"));
        check("set termination=4d\ncontainer db/sts-0/app\npod db/sts-0 ready=no deleting=3d", "1 ok");
        // Nobody is known to ask for it.
        check(lost, &format!("warning {told}"));
        // Its successor runs: it is not among those that are wanted, whatever it says of itself.
        let two = "workload db/Deployment/api replicas=1/1\ncontainer db/api-7d9c5bd4f7-jq4wv/app\n\
                   container db/api-7d9c5bd4f7-x2x9z/app\n";
        let hangs = format!("{two}pod db/api-7d9c5bd4f7-x2x9z deleting=3d");
        let beside = "warning db/api (api-7d9c5bd4f7-x2x9z): 1/1 Running: 1 pod has been terminating for 3d";
        check(&hangs, beside);
        check(&format!("{two}pod db/api-7d9c5bd4f7-x2x9z deleting=5m"), "1 ok");
        // The successor waits for a cause that has a check of its own.
        let crashes = "workload db/Deployment/api replicas=0/1\n\
                       container db/api-7d9c5bd4f7-jq4wv/app state=waiting:CrashLoopBackOff\n\
                       container db/api-7d9c5bd4f7-x2x9z/app\npod db/api-7d9c5bd4f7-x2x9z ready=no deleting=3d";
        let none = "0/1 Running (1 not running): 1 pod has been terminating for 3d";
        check(crashes, &format!("critical db/api (api-7d9c5bd4f7-x2x9z): {none}"));
        // A finalizer holds the pod of a Job that has ended.
        check(
            "workload db/Job/load\npod db/load-x2x9z owner=Job/load phase=Succeeded deleting=1d",
            "warning db/load (load-x2x9z): 0/0 Running (+1 Completed): 1 pod has been terminating for 1d",
        );
        // Deleted after the end of the run that is judged.
        check("window now=-2h\ncontainer db/sts-0/app\npod db/sts-0 ready=no deleting=1h", "1 ok");
        assert_eq!(
            fixture::advice("pod-not-running", &hangs),
            [
                "see whether the node of pod api-7d9c5bd4f7-x2x9z is lost, and which finalizers hold the pod \
                 [kubectl -n db get pod api-7d9c5bd4f7-x2x9z -o jsonpath='{.spec.nodeName} {.metadata.finalizers}']",
                "use `kubectl delete pod --force` only when the node is known to be dead: until then the pod may \
                 still run and write to its volume",
            ]
        );
    }

    #[test]
    fn a_cause_that_another_check_names_is_info() {
        check(
            "container web/api-0/app state=waiting:CrashLoopBackOff",
            "info web/api (api-0): 0/1 Running (1 not running): CrashLoopBackOff in container app",
        );
        check(
            "pod web/api-0 unschedulable=\"0/3 nodes\" since=1h",
            "info web/api (api-0): 0/1 Running (1 not running): Unschedulable",
        );
    }

    #[test]
    fn leftovers_are_info() {
        check(
            "container web/api-0/app pods=2\npod web/api-1 phase=Failed reason=Evicted",
            "info web/api (api-1): 1/2 Running (1 not running): Evicted",
        );
        let failed = "container web/api-0/app pods=2\npod web/api-1 phase=Failed reason=NodeShutdown";
        check(failed, "warning web/api (api-1): 1/2 Running (1 not running): NodeShutdown");
        let replaced = format!("workload web/StatefulSet/api replicas=1/1\n{failed}");
        check(&replaced, "info web/api (api-1): 1/1 Running (+1 Failed): NodeShutdown");
        // Nobody replaces a pod without owner.
        check(
            "pod web/alone phase=Failed reason=Evicted",
            "critical web/alone (alone): 0/1 Running (1 not running): Evicted",
        );
    }

    #[test]
    fn failed_pods_that_were_replaced_are_shown_apart() {
        let evicted = |count: usize| -> String {
            (1..=count)
                .map(|n| format!("pod web/api-{n} phase=Failed reason=Evicted created={}d\n", 20 + n))
                .collect()
        };
        let one = "workload web/StatefulSet/api replicas=1/1\ncontainer web/api-0/app\n";
        check(&format!("{one}{}", evicted(9)), "info web/api (api-1): 1/1 Running (+9 Failed): Evicted");
        let done = format!("{one}{}pod web/api-10 phase=Succeeded", evicted(9));
        check(&done, "info web/api (api-1): 1/1 Running (+1 Completed, +9 Failed): Evicted");
        // The one that is missing is named, and its severity is its own.
        let two = one.replace("1/1", "1/2");
        let hurt = "pod web/api-10 ready=no phase=Running created=5d\n";
        let told = "warning web/api (api-10): 1/2 Running (1 not running) +9 Failed: not ready";
        check(&format!("{two}{}{hurt}", evicted(9)), told);
        let done = format!("{two}{}{hurt}pod web/api-11 phase=Succeeded", evicted(9));
        let told = "warning web/api (api-10): 1/2 Running (1 not running) +1 Completed +9 Failed: not ready";
        check(&done, told);
        let crashes = "workload web/StatefulSet/api replicas=0/1\n\
                       container web/api-0/app state=waiting:CrashLoopBackOff\n\
                       pod web/api-0 ready=no\n\
                       pod web/api-1 phase=Failed reason=NodeShutdown created=20d";
        let told =
            "info web/api (api-0): 0/1 Running (1 not running) +1 Failed: CrashLoopBackOff in container app";
        check(crashes, told);
        // The newest has no successor yet: it is missing.
        check(
            &format!("{two}{}", evicted(9)),
            "info web/api (api-1): 1/2 Running (1 not running) +8 Failed: Evicted",
        );
        check(
            &format!("{two}{}", evicted(2).replace("Evicted", "NodeShutdown")),
            "warning web/api (api-1): 1/2 Running (1 not running) +1 Failed: NodeShutdown",
        );
        // Nobody asks for any.
        let none = format!("workload web/StatefulSet/api replicas=0/0\n{}", evicted(2));
        check(&none, "info web/api (api-1): 0/0 Running (+2 Failed): Evicted");
        // One hangs in its end, and is neither.
        let hangs = format!("{one}{}pod web/api-10 deleting=3d created=30d", evicted(2));
        let told = "warning web/api (api-10): 1/1 Running (+2 Failed): 1 pod has been terminating for 3d";
        check(&hangs, told);
    }

    #[test]
    fn jobs() {
        let job = "workload web/Job/import\n\
                   pod web/import-bbbbb owner=Job/import phase=Failed created=2h\n";
        let failed = "web/import (import-bbbbb): the last pod of the job failed: Failed";
        check(job, &format!("info {failed}"));
        check(&format!("{job}denied schedules"), &format!("warning {failed}"));
        check(&format!("{job}pod web/import-ccccc owner=Job/import phase=Succeeded created=1h"), "1 ok");
        check(
            &format!("{job}pod web/import-ccccc owner=Job/import phase=Pending created=1h"),
            "warning web/import (import-ccccc): 0/2 Running (2 not running): Pending",
        );
    }

    #[test]
    fn steps_of_a_workflow_end() {
        let nine: String = (0..9)
            .map(|i| format!("pod ci/build-{i} owner=Workflow/build phase=Succeeded created={}h\n", 20 - i))
            .collect();
        let failed = "pod ci/build-9 owner=Workflow/build phase=Failed created=9h\n";
        check(
            &format!("{nine}{failed}"),
            "warning ci/build (build-9): 0/1 Running (1 not running) +9 Completed: the last pod failed: Failed",
        );
        let went_on = "pod ci/build-10 owner=Workflow/build phase=Succeeded created=8h";
        check(
            &format!("{nine}{failed}{went_on}"),
            "info ci/build (build-9): 0/1 Running (1 not running) +10 Completed: Failed",
        );
        check(&nine, "1 ok");
        // The next step is about to start.
        check(
            &format!("{nine}{failed}pod ci/build-10 owner=Workflow/build phase=Pending created=1m"),
            "warning ci/build (build-9): 0/2 Running (2 not running) +9 Completed: Failed",
        );
        check(
            &format!("{nine}pod ci/build-10 owner=Workflow/build phase=Pending created=8h"),
            "critical ci/build (build-10): 0/1 Running (1 not running) +9 Completed: Pending",
        );
        // Executors of a driver.
        check(
            "pod ci/sum-exec-1 owner=Pod/sum-driver phase=Failed",
            "warning ci/sum-driver (sum-exec-1): 0/1 Running (1 not running): the last pod failed: Failed",
        );
        // Replicas of a Deployment are asked for, whatever their number.
        check(
            "pod ci/api-0 owner=Deployment/api phase=Failed",
            "critical ci/api (api-0): 0/1 Running (1 not running): Failed",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
        let pod = "container web/api-0/app\npod web/api-0 phase=NotReported ready";
        check(&format!("{pod}=unknown"), "1 unknown: phase of the pod is not reported");
        check(&format!("{pod}=no"), "1 unknown: phase of the pod is not reported");
        check(&format!("{pod}=yes"), "1 ok");
        check(
            "container web/api-0/app state=waiting:CreateContainerConfigError\npod web/api-0 phase=NotReported ready=no",
            "critical web/api (api-0): 0/1 Running (1 not running): CreateContainerConfigError in container app",
        );
        // Pods that were not listed are not pods that do not run.
        check(
            "workload web/Deployment/api replicas=0/3\ndenied pods namespace=web",
            "2 unknown: not allowed to list pods in namespace web",
        );
        check(
            "container web/api-0/app ready=no\npod web/api-0 ready=no\ndenied pods",
            "2 unknown: not allowed to list pods in all namespaces",
        );
        check(
            "workload web/Deployment/api replicas=0/3\ndenied pods namespace=shop",
            "critical web/api: 0/3 Running (3 not running): no pod has been made\n\
             1 unknown: not allowed to list pods in namespace shop",
        );
    }
}
