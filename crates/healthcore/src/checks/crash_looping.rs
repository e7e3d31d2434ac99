//! `crash-looping`: a container ends again and again.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{completed, crash_loops, foreign, states_known, workload_in_words};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{Container, ContainerState, ObjectKind, Pod};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// A container ends again and again.
pub struct CrashLooping;

crate::params! {
    /// Parameters of `crash-looping`.
    pub struct CrashLoopingParams {
        /// A container that has failed within this time counts too, when it has restarted `restarts` times.
        recent: Seconds = Seconds(600.0) => Seconds(60.0)..=Seconds::from_days(7.0),
        /// Restarts from which on a container that has just failed counts as looping between two back-offs.
        restarts: u32 = 5 => 1..=1_000_000,
    }
}

impl Check for CrashLooping {
    const INFO: CheckInfo = CheckInfo {
        id: "crash-looping",
        title: "Crash loop",
        since: "0.1.0",
        checks: "Whether a container, init containers too, ends again and again.",
        why: "The pod does no work, and the pause between two tries grows to five minutes.",
        decides: "A container that waits with the reason CrashLoopBackOff. Or one that is between two back-offs: at least \
                  `restarts` restarts, and its last run failed within `recent` and had lasted no longer than that (where its \
                  length is not known: the pod's runs on average). Critical; a warning where `image-architecture` tells the cause.",
        remedy: "Read the end of the log of the run before. `exec format error` means that the image is built for another \
                 architecture than the node's.",
        false_alarms: "A pod that waits by ending for something that is about to come up.",
        texts: &[
            (
                "looping",
                "container {container} ends again and again ({restarts} {restarts|restart|restarts}): {reason}",
            ),
            ("looping-uncounted", "container {container} ends again and again: {reason}"),
            ("logs", "read the end of the log of the run before"),
            (
                "architecture",
                "the image is built for another CPU architecture than the node's: see `image-architecture`",
            ),
            ("memory", "the last run was killed for its memory: see `oom-killed`"),
        ],
    };
    type Params = CrashLoopingParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let pods: Vec<&Pod> = subject.pods.iter().copied().filter(|p| !completed(p) && !p.deleting).collect();
        if pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        let looping: Vec<(&Pod, &Container)> = pods
            .iter()
            .flat_map(|p| p.containers.iter().map(move |c| (*p, c)))
            .filter(|(p, c)| crash_loops(c) || fails_often(params, p, c, now))
            .collect();
        let Some((pod, container)) =
            looping.iter().max_by_key(|(p, c)| (c.restarts, std::cmp::Reverse(&p.name)))
        else {
            return match pods.iter().any(|p| states_known(p, view.snapshot)) {
                true => Ok(Outcome::Ok),
                false => Err(Missing::NotReported { field: Field::ContainerStates }),
            };
        };
        let end = container.last_termination.as_ref();
        let said = end.map(|t| t.message.trim()).filter(|m| !m.is_empty());
        let reason = match (end, said) {
            (_, Some(message)) => {
                message.lines().last().unwrap_or(message).chars().take(300).collect::<String>().into()
            }
            (Some(t), None) => match t.exit_code.map(|code| Value::Number(f64::from(code))) {
                Some(code) if t.reason.is_empty() => phrase("ended").with("code", code).into(),
                Some(code) => {
                    phrase("reason-and-code").with("reason", t.reason.as_str()).with("code", code).into()
                }
                None => Value::from(t.reason.as_str()),
            },
            (None, None) => phrase("no-reason-reported").into(),
        };
        let affected: std::collections::BTreeSet<&str> =
            looping.iter().map(|(p, _)| p.name.as_str()).collect();
        // A counter that is new, or was lost with its node, says nothing about a loop.
        let restarts = container.restarts.filter(|n| *n > 0);
        let text = match restarts {
            Some(n) => Text::new("looping").with("restarts", n),
            None => Text::new("looping-uncounted"),
        };
        let text = text.with("container", container.name.as_str()).with("reason", reason);
        let foreign = foreign(pod, container, view).is_some();
        let severity = if foreign { Severity::Warning } else { Severity::Critical };
        let mut problem = Problem::new(severity, text)
            .evidence("pods", workload_in_words(subject))
            .evidence("looping-pods", affected.len())
            .evidence("container", container.name.as_str())
            .pod(&pod.name);
        if let Some(restarts) = restarts {
            problem = problem.evidence("restarts", restarts);
        }
        if let Some(code) = end.and_then(|t| t.exit_code) {
            problem = problem.evidence("exit-code", Value::Number(f64::from(code)));
        }
        if foreign {
            problem = problem.advise(Advice::new(Text::new("architecture")));
        }
        if end.is_some_and(|t| t.reason == "OOMKilled") {
            problem = problem.advise(Advice::new(Text::new("memory")));
        }
        let namespace = &subject.workload.id.namespace;
        let command =
            format!("kubectl -n {namespace} logs {} -c {} --previous --tail=50", pod.name, container.name);
        let logs = Advice::new(Text::new("logs")).command(command, &[namespace, &pod.name, &container.name]);
        Ok(problem.advise(logs).into())
    }
}

/// Between two back-offs: it runs or has just ended, and has failed often, lately and soon after its start. Five
/// crashes spread over months are no loop.
pub(super) fn fails_often(
    params: &CrashLoopingParams,
    pod: &Pod,
    container: &Container,
    now: Timestamp,
) -> bool {
    let end = match &container.state {
        Some(ContainerState::Terminated(t)) => Some(t),
        _ => container.last_termination.as_ref(),
    };
    let failed = end.is_some_and(|t| t.exit_code.is_some_and(|c| c != 0));
    let age = end.and_then(|t| t.finished?.age_at(now));
    let lately = age.is_some_and(|age| age <= params.recent.get());
    let restarts = container.restarts.unwrap_or(0);
    let length = end.and_then(|t| Some(t.finished?.seconds_since(t.started?)));
    let length = length.or_else(|| Some(now.seconds_since(pod.created?) / f64::from(restarts.max(1))));
    let short = length.is_some_and(|s| s <= params.recent.get());
    failed && lately && short && restarts >= params.restarts
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("crash-looping", text, expected);
    }

    #[test]
    fn back_off_is_critical() {
        check(
            "container web/api-0/app restarts=12 state=waiting:CrashLoopBackOff last=Error:1@2m",
            "critical web/api (api-0): container app ends again and again (12 restarts): Error, exit code 1",
        );
        check(
            "container web/api-0/wait role=init restarts=3 state=waiting:CrashLoopBackOff",
            "critical web/api (api-0): container wait ends again and again (3 restarts): no reason reported",
        );
        let text = "container web/api-0/app restarts=12 state=waiting:CrashLoopBackOff last=OOMKilled:137@2m";
        assert_eq!(
            advice("crash-looping", text),
            [
                "the last run was killed for its memory: see `oom-killed`",
                "read the end of the log of the run before [kubectl -n web logs api-0 -c app --previous --tail=50]",
            ]
        );
    }

    #[test]
    fn between_two_back_offs() {
        check(
            "container web/api-0/app created=1h restarts=6 last=Error:1@9m",
            "critical web/api (api-0): container app ends again and again (6 restarts): Error, exit code 1",
        );
        check("container web/api-0/app created=40m restarts=4 last=Error:1@9m", "1 ok");
        check("container web/api-0/app created=1h restarts=6 last=Error:1@11m", "1 ok");
        check("container web/api-0/app created=1h restarts=6 last=Completed:0@9m", "1 ok");
        // Crashes spread over 20 days are no loop, even right after one.
        check("container web/api-0/app restarts=6 last=Error:1@1m", "1 ok");
    }

    #[test]
    fn what_had_not_happened_yet_is_no_loop() {
        let past = |last: &str| {
            let text = format!(
                "window lookback=2d now=-2h\ncontainer web/api-0/app created=3h restarts=6 last=Error:1@{last}"
            );
            fixture::told("crash-looping", &text).join("; ")
        };
        assert_eq!(past("1h"), "1 ok");
        assert!(past("125m").starts_with("critical web/api (api-0)"), "{}", past("125m"));
    }

    #[test]
    fn what_is_no_crash_loop() {
        check("container web/api-0/app state=waiting:ImagePullBackOff", "1 ok");
        check(
            "container web/api-0/app restarts=9 state=waiting:CrashLoopBackOff\npod web/api-0 deleting",
            "nothing",
        );
        check("workload web/Deployment/api replicas=0/0", "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check("container web/api-0/app state=unknown", "1 unknown: state of the containers is not reported");
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
    }
}
