//! `pod-evicted`: a node had to throw pods out.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Eviction, ObjectKind, Pod};
use crate::need::Needs;
use crate::phrase::or;
use crate::unit::Seconds;
use crate::view::{View, WorkloadPods};

/// A node had to throw pods out.
pub struct PodEvicted;

crate::params! {
    /// Parameters of `pod-evicted`.
    pub struct PodEvictedParams {
        /// Age of an eviction up to which it is a warning; an older one is info.
        recent: Seconds = Seconds(86_400.0) => Seconds(60.0)..=Seconds::from_days(30.0),
    }
}

impl Check for PodEvicted {
    const INFO: CheckInfo = CheckInfo {
        id: "pod-evicted",
        title: "Pods evicted",
        since: "0.1.0",
        checks: "Whether the kubelet has evicted pods of a workload because a node ran out of memory, disk or process ids.",
        why: "The pod was killed without regard to disruption budgets. It is replaced, and will be thrown out again, because \
              the node is filled above what pods ask for.",
        decides: "Pods of phase Failed with the reason Evicted that are still there. A warning when one of them was evicted \
                  within `recent`, or when it is not known when; else info. Evictions by the API (a drain, a preemption) \
                  delete the pod and are none.",
        remedy: "Set requests that fit the use; the message names the container that was above its request. For disk, set \
                 `ephemeral-storage` limits or send logs elsewhere. Delete the leftovers.",
        false_alarms: "Leftovers on a cluster that never removes failed pods.",
        texts: &[
            ("evicted", "{count} {count|pod|pods} evicted, the last {time} ago: {message}"),
            ("evicted-unknown-time", "{count} {count|pod|pods} evicted: {message}"),
            ("requests", "compare requests with use: pods above their request are thrown out first"),
            ("delete", "delete the evicted pods when the cause is mended"),
        ],
    };
    type Params = PodEvictedParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let now = view.snapshot.taken_at;
        let evicted = |p: &&Pod| -> Option<Eviction> {
            let eviction = p.eviction.clone().or_else(|| is_evicted(p).then(Eviction::default))?;
            // What came after the end of the run was not yet so.
            eviction.at.is_none_or(|t| t.age_at(now).is_some()).then_some(eviction)
        };
        let found: Vec<(&Pod, Eviction)> =
            subject.pods.iter().filter_map(|p| Some((*p, evicted(p)?))).collect();
        let Some((pod, last)) = found.iter().max_by_key(|(_, e)| e.at) else {
            return Ok(if subject.pods.is_empty() { Outcome::NotApplicable } else { Outcome::Ok });
        };
        let age = last.at.and_then(|t| t.age_at(now));
        let recent = age.is_none_or(|age| age <= params.recent.get());
        let severity = if recent { Severity::Warning } else { Severity::Info };
        let text = match age {
            Some(age) => Text::new("evicted").with("time", Seconds(age)),
            None => Text::new("evicted-unknown-time"),
        };
        let message = or(&last.message, "no-message");
        let mut problem = Problem::new(severity, text.with("count", found.len()).with("message", message))
            .evidence("evicted-pods", found.len())
            .since(last.at)
            .pod(&pod.name);
        if let Some(node) = &pod.node {
            problem = problem.evidence("node", node.as_str());
        }
        let namespace = &subject.workload.id.namespace;
        let top = format!("kubectl -n {namespace} top pod --containers");
        let delete = format!("kubectl -n {namespace} delete pod {}", pod.name);
        Ok(problem
            .advise(Advice::new(Text::new("requests")).command(top, &[namespace]))
            .advise(Advice::new(Text::new("delete")).command(delete, &[namespace, &pod.name]))
            .into())
    }
}

fn is_evicted(pod: &Pod) -> bool {
    pod.reason.as_deref() == Some("Evicted")
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("pod-evicted", text, expected);
    }

    const LOW: &str = r#"message="The node was low on resource: memory.""#;

    #[test]
    fn recent_is_a_warning_and_old_is_info() {
        let text = |ago: &str| {
            format!(
                "container web/api-0/app pods=3\npod web/api-2 phase=Failed reason=Evicted evicted={ago} {LOW}"
            )
        };
        check(
            &text("24h"),
            "warning web/api (api-2): 1 pod evicted, the last 1d ago: The node was low on resource: memory.",
        );
        check(
            &text("25h"),
            "info web/api (api-2): 1 pod evicted, the last 25h ago: The node was low on resource: memory.",
        );
        check(
            "pod web/api-2 phase=Failed reason=Evicted",
            "warning web/api (api-2): 1 pod evicted: no message",
        );
    }

    #[test]
    fn other_ends_are_none() {
        check("container web/api-0/app\npod web/api-0 phase=Failed reason=NodeLost", "1 ok");
        check("container web/api-0/app", "1 ok");
        check("workload web/Deployment/api", "nothing");
        check("window now=-2h\npod web/api-2 phase=Failed reason=Evicted evicted=1h", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("denied pods", "1 unknown: not allowed to list pods in all namespaces");
    }
}
