//! `pod-unschedulable`: no node takes a pod.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{completed, workload_in_words};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{ObjectKind, Pod, PodPhase};
use crate::need::Needs;
use crate::phrase::{or, phrase};
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// No node takes a pod.
pub struct PodUnschedulable;

crate::params! {
    /// Parameters of `pod-unschedulable`.
    pub struct PodUnschedulableParams {
        /// Time without a node above which it is a warning.
        warning: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(7.0),
        /// Time without a node above which it is critical.
        critical: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(7.0),
    }
    where |p| p.warning <= p.critical, "warning must not be above critical";
}

impl Check for PodUnschedulable {
    const INFO: CheckInfo = CheckInfo {
        id: "pod-unschedulable",
        title: "No node for a pod",
        since: "0.1.0",
        checks: "Whether a pod waits for a node.",
        why: "The pod will not start until a node has room, or until someone acts.",
        decides: "The condition PodScheduled is false, for longer than `warning` or `critical`. Where the time is not known, \
                  the age of the pod is taken.",
        remedy: "Follow the scheduler's message: lower the request, add a node, or mend the selector or taint.",
        false_alarms: "A cluster whose autoscaler is just adding a node.",
        texts: &[
            ("waiting", "no node takes the pod for {time}: {message}"),
            ("waiting-unknown-time", "no node takes the pod: {message}"),
            ("resources", "lower the requests of the pod, or add a node with enough {resource}"),
            ("constraints", "look at node selectors, affinities, taints and volumes of the pod"),
        ],
    };
    type Params = PodUnschedulableParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        if subject.pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        let lasted = |p: &Pod| {
            let since = p.unschedulable.as_ref().and_then(|u| u.since).or(p.created);
            since.map(|since| now.seconds_since(since))
        };
        let waiting: Vec<&Pod> = subject
            .pods
            .iter()
            .copied()
            .filter(|p| p.unschedulable.is_some() && !completed(p) && !p.deleting)
            .filter(|p| lasted(p).is_none_or(|s| s > params.warning.get()))
            .collect();
        let longest =
            waiting.iter().max_by(|a, b| lasted(a).unwrap_or(0.0).total_cmp(&lasted(b).unwrap_or(0.0)));
        let Some(pod) = longest else {
            // Old kube-state-metrics does not tell conditions: a pod that waits without a node may be any kind of waiting.
            let silent = |p: &&Pod| {
                let old = p.created.is_none_or(|t| now.seconds_since(t) > params.warning.get());
                matches!(p.phase, PodPhase::Pending | PodPhase::NotReported)
                    && p.node.is_none()
                    && p.unschedulable.is_none()
                    && !p.gated
                    && old
            };
            return match subject.pods.iter().any(silent) {
                true => Err(Missing::NotReported { field: Field::PodScheduled }),
                false => Ok(Outcome::Ok),
            };
        };
        let critical = lasted(pod).is_some_and(|s| s > params.critical.get());
        let (severity, bound) = if critical {
            (Severity::Critical, params.critical)
        } else {
            (Severity::Warning, params.warning)
        };
        let said = pod.unschedulable.as_ref().map_or("", |u| u.message.as_str());
        let message = or(said, "reason-untold");
        let text = match lasted(pod) {
            Some(s) => Text::new("waiting").with("time", Seconds(s)).with("message", message),
            None => Text::new("waiting-unknown-time").with("message", message),
        };
        let mut problem = Problem::new(severity, text)
            .evidence("waiting-pods", waiting.len())
            .evidence("pods", workload_in_words(subject))
            .pod(&pod.name)
            .since(pod.unschedulable.as_ref().and_then(|u| u.since));
        if let Some(s) = lasted(pod) {
            problem = problem.lasted("waiting", Seconds(s), bound);
        }
        let scarce = scarce(said);
        let advice = match scarce.is_empty() {
            false => {
                let named =
                    |name: &&str| if *name == "memory" { phrase("memory").into() } else { (*name).into() };
                let scarce: Vec<Value> = scarce.iter().map(named).collect();
                Advice::new(Text::new("resources").with("resource", scarce))
            }
            true => Advice::new(Text::new("constraints")),
        };
        let namespace = &subject.workload.id.namespace;
        let command = format!("kubectl -n {namespace} describe pod {}", pod.name);
        Ok(problem.advise(advice.command(command, &[namespace, &pod.name])).into())
    }
}

/// Resources of which the scheduler says that no node has enough, in its order: `cpu`, `memory`, `nvidia.com/gpu`.
fn scarce(message: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for rest in message.split("Insufficient ").skip(1) {
        let end = rest.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(rest.len());
        let name = rest[..end].trim_end_matches('.');
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::scarce;
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("pod-unschedulable", text, expected);
    }

    #[test]
    fn the_bounds() {
        let told = |since: &str| {
            let text = format!("pod web/api-0 unschedulable=\"0/3 nodes\" since={since}");
            fixture::told("pod-unschedulable", &text).join("; ")
        };
        assert_eq!(told("5m"), "1 ok");
        assert_eq!(told("301s"), "warning web/api (api-0): no node takes the pod for 301s: 0/3 nodes");
        assert_eq!(told("15m"), "warning web/api (api-0): no node takes the pod for 15m: 0/3 nodes");
        assert_eq!(told("16m"), "critical web/api (api-0): no node takes the pod for 16m: 0/3 nodes");
    }

    #[test]
    fn what_is_scarce() {
        let message = "0/4 nodes are available: 1 Insufficient memory, 2 Insufficient nvidia.com/gpu. preemption: none.";
        assert_eq!(scarce(message), ["memory", "nvidia.com/gpu"]);
        assert!(scarce("0/4 nodes: 4 node(s) had untolerated taint").is_empty());
        assert_eq!(
            advice("pod-unschedulable", &format!("pod web/api-0 unschedulable=\"{message}\" since=1h")),
            ["lower the requests of the pod, or add a node with enough memory, nvidia.com/gpu \
              [kubectl -n web describe pod api-0]"]
        );
    }

    #[test]
    fn what_is_no_problem() {
        check("pod web/api-0 unschedulable=\"0/3 nodes\" since=1h deleting", "1 ok");
        check("container web/api-0/app", "1 ok");
        check("workload web/Deployment/api replicas=0/0", "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "origin\npod web/api-0 phase=Pending node=\"\" created=1h",
            "1 unknown: condition PodScheduled is not reported",
        );
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
    }
}
