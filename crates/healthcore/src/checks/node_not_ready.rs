//! `node-not-ready`: a node takes no work, or tells of a fault, and what ran on it is lost or moves.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{Condition, Node, ObjectKind};
use crate::need::Needs;
use crate::phrase::{or, phrase};
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::{Ratio, Seconds};
use crate::view::View;

/// A node takes no work, or tells of a fault, and what ran on it is lost or moves.
pub struct NodeNotReady;

crate::params! {
    /// Parameters of `node-not-ready`.
    pub struct NodeNotReadyParams {
        /// Time that a node may be without being ready; Kubernetes moves its pods after 5 minutes.
        lasting: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(1.0),
        /// Share of all nodes from which on it is critical; the value itself counts.
        critical_share: Ratio = Ratio(0.2) => Ratio(0.0)..=Ratio(1.0),
    }
}

impl Check for NodeNotReady {
    const INFO: CheckInfo = CheckInfo {
        id: "node-not-ready",
        title: "Node not ready",
        since: "0.1.0",
        checks: "Whether every node is ready, has a network, and tells of no fault.",
        why: "After five minutes Kubernetes gives up the pods of such a node; those of StatefulSets and those with volumes \
              often cannot start elsewhere. One with a read-only file system or a kernel that hangs stays ready and takes new pods.",
        decides: "A warning when the condition Ready has not been true, or NetworkUnavailable has been true, for longer than \
                  `lasting`. Critical when the share of such nodes reaches `critical-share`: then pods have nowhere to go. A warning, too, when a condition of another program than the \
                  kubelet has told of a fault for longer than `lasting`. Those of node-problem-detector and of clouds are named after \
                  the fault, which is there when they are true (`ReadonlyFilesystem`, `KernelDeadlock`, `VMEventScheduled`). Those whose \
                  names end in `Ready`, `Healthy`, `OK` or `IsVoter` tell of it when they are false (`StorageReady` of the EKS node \
                  monitoring agent, `EtcdIsVoter` of k3s).",
        remedy: "Look at kubelet and container runtime on the node; drain and replace it when it does not come back.",
        false_alarms: "A node that an autoscaler is about to delete. A condition of a program of one's own that is in order when it is \
                       true, and whose name tells it otherwise.",
        texts: &[
            ("not-ready", "not ready for {time}: {reason}"),
            ("not-ready-unknown-time", "not ready: {reason}"),
            ("no-network", "its network has not been available for {time}: {reason}"),
            ("no-network-unknown-time", "its network is not available: {reason}"),
            ("fault", "tells of a fault for {time}: {conditions}"),
            ("fault-unknown-time", "tells of a fault: {conditions}"),
            ("describe", "read its conditions and events, then kubelet and container runtime on the node"),
            ("pods", "see what runs on it"),
        ],
    };
    type Params = NodeNotReadyParams;
    type Subject<'a> = &'a Node;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Nodes);
    }

    fn judge(params: &Self::Params, node: &&Node, view: &View<'_>) -> Judgement {
        let Some(ready) = condition(node, "Ready") else {
            return Err(Missing::NotReported { field: Field::NodeReady });
        };
        let Some((key, fault)) = fault(params, node, view) else { return Ok(others(params, node, view)) };
        let nodes = &view.snapshot.objects.nodes;
        let down = nodes.iter().filter(|n| self::fault(params, n, view).is_some()).count();
        let share = Ratio(down as f64 / nodes.len() as f64);
        let severity = if share >= params.critical_share { Severity::Critical } else { Severity::Warning };
        let lasted = fault.since.and_then(|t| t.age_at(view.snapshot.taken_at));
        let reason = or(&fault.reason, "no-reason");
        let text = match lasted {
            Some(s) => Text::new(key[0]).with("time", Seconds(s)),
            None => Text::new(key[1]),
        };
        let mut problem = Problem::new(severity, text.with("reason", reason))
            .evidence("ready", state(ready))
            .measured("nodes-not-ready", share, params.critical_share)
            .since(fault.since);
        if !fault.message.is_empty() {
            problem = problem.evidence("message", fault.message.as_str());
        }
        Ok(look(problem, node).into())
    }
}

/// The conditions of Kubernetes itself.
const OF_KUBERNETES: [&str; 5] =
    ["Ready", "NetworkUnavailable", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Ends of the names of conditions that are in order when they are true. All others are named after a fault.
const IN_ORDER_WHEN_TRUE: [&str; 4] = ["Ready", "Healthy", "OK", "IsVoter"];

/// What the conditions of other programs than the kubelet tell of.
fn others(params: &NodeNotReadyParams, node: &Node, view: &View<'_>) -> Outcome {
    let is_fault = |c: &&Condition| {
        let in_order = IN_ORDER_WHEN_TRUE.iter().any(|end| c.kind.ends_with(end));
        !OF_KUBERNETES.contains(&c.kind.as_str()) && c.status == Some(!in_order) && lasts(params, c, view)
    };
    let faults: Vec<&Condition> = node.conditions.iter().filter(is_fault).collect();
    let both = |first, second| phrase("two").with("first", first).with("second", second).into();
    let Some(conditions) = faults.iter().map(|c| in_words(c)).reduce(both) else { return Outcome::Ok };
    let since = faults.iter().map(|c| c.since).min().flatten();
    let text = match since.and_then(|t| t.age_at(view.snapshot.taken_at)) {
        Some(s) => Text::new("fault").with("time", Seconds(s)),
        None => Text::new("fault-unknown-time"),
    };
    let mut problem = Problem::new(Severity::Warning, text.with("conditions", conditions)).since(since);
    for fault in faults.iter().filter(|c| !c.message.is_empty()) {
        problem = problem.evidence("message", fault.message.as_str());
    }
    look(problem, node).into()
}

/// As kubectl waits for it, with its reason: `KernelDeadlock=True (DockerHung)`.
fn in_words(condition: &Condition) -> Value {
    let reason = if condition.reason.is_empty() { String::new() } else { format!(" ({})", condition.reason) };
    format!("{}={}{reason}", condition.kind, state(condition)).into()
}

fn look(problem: Problem, node: &Node) -> Problem {
    let name = node.name.as_str();
    let describe =
        Advice::new(Text::new("describe")).command(format!("kubectl describe node {name}"), &[name]);
    let command = format!("kubectl get pods -A --field-selector spec.nodeName={name}");
    problem.advise(describe).advise(Advice::new(Text::new("pods")).command(command, &[name]))
}

pub(super) fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a Condition> {
    node.conditions.iter().find(|c| c.kind == kind)
}

/// Whether a node is known to be ready.
pub(super) fn is_ready(node: &Node) -> bool {
    condition(node, "Ready").is_some_and(|c| c.status == Some(true))
}

fn state(condition: &Condition) -> &'static str {
    match condition.status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    }
}

/// The condition that makes a node useless, with the keys of its sentences.
fn fault<'a>(
    params: &NodeNotReadyParams,
    node: &'a Node,
    view: &View<'_>,
) -> Option<([&'static str; 2], &'a Condition)> {
    let lasts = |c: &&Condition| lasts(params, c, view);
    let ready = condition(node, "Ready").filter(|c| c.status != Some(true)).filter(lasts);
    let network = || condition(node, "NetworkUnavailable").filter(|c| c.status == Some(true)).filter(lasts);
    let ready = ready.map(|c| (["not-ready", "not-ready-unknown-time"], c));
    ready.or_else(|| network().map(|c| (["no-network", "no-network-unknown-time"], c)))
}

/// Whether a condition has lasted. What changed after the end of the run was otherwise then; without a time it is so now.
fn lasts(params: &NodeNotReadyParams, condition: &Condition, view: &View<'_>) -> bool {
    let age = |since: Timestamp| since.age_at(view.snapshot.taken_at);
    condition.since.is_none_or(|since| age(since).is_some_and(|age| age > params.lasting.get()))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("node-not-ready", text, expected);
    }

    const FIVE: &str = "node n1 Ready=yes:KubeletReady@9d\nnode n2 Ready=yes:KubeletReady@9d\n\
                        node n3 Ready=yes:KubeletReady@9d\nnode n4 Ready=yes:KubeletReady@9d\n\
                        node n5 Ready=yes:KubeletReady@9d\n";

    #[test]
    fn one_of_many_is_a_warning() {
        check(
            &format!("{FIVE}node n6 Ready=unknown:NodeStatusUnknown@20m"),
            "warning /n6: not ready for 20m: NodeStatusUnknown\n5 ok",
        );
        check(
            &format!("{FIVE}node n6 Ready=yes:KubeletReady@9d NetworkUnavailable=yes:NoRoute@1h"),
            "warning /n6: its network has not been available for 1h: NoRoute\n5 ok",
        );
    }

    #[test]
    fn a_fifth_of_all_is_critical() {
        check(
            "node n1 Ready=no:KubeletNotReady@20m\nnode n2 Ready=yes:KubeletReady@9d",
            "critical /n1: not ready for 20m: KubeletNotReady\n1 ok",
        );
    }

    #[test]
    fn a_node_that_starts_is_none() {
        check("node n1 Ready=no:KubeletNotReady@5m", "1 ok");
        check("node n1 Ready=no:KubeletNotReady@301s", "critical /n1: not ready for 301s: KubeletNotReady");
        check("node n1 Ready=yes:KubeletReady@9d NetworkUnavailable=no:RouteCreated@9d", "1 ok");
    }

    /// node-problem-detector writes the first two, the EKS node monitoring agent and k3s the others.
    #[test]
    fn conditions_of_other_programs() {
        let of = |text: &str| {
            let text = format!("node n1 Ready=yes:KubeletReady@9d MemoryPressure=no:x@9d {text}");
            fixture::told("node-not-ready", &text).join("; ")
        };
        assert_eq!(
            of("ReadonlyFilesystem=yes:FilesystemIsReadOnly@2d KernelDeadlock=yes:DockerHung@3d"),
            "warning /n1: tells of a fault for 3d: ReadonlyFilesystem=True (FilesystemIsReadOnly) and KernelDeadlock=True (DockerHung)"
        );
        assert_eq!(of("ReadonlyFilesystem=yes"), "warning /n1: tells of a fault: ReadonlyFilesystem=True");
        assert_eq!(of("ReadonlyFilesystem=no:FilesystemIsNotReadOnly@9d"), "1 ok");
        assert_eq!(of("ReadonlyFilesystem=unknown:NoInformation@9d"), "1 ok");
        assert_eq!(of("KernelDeadlock=yes:DockerHung@5m"), "1 ok");
        assert_eq!(of("DiskPressure=yes:KubeletHasDiskPressure@1h"), "1 ok", "node-pressure tells");
        assert_eq!(of("EtcdIsVoter=yes:MemberNotLearner@9d StorageReady=yes:x@9d"), "1 ok");
        assert_eq!(
            of("StorageReady=no:XFSSmallAverageClusterSize@1h"),
            "warning /n1: tells of a fault for 1h: StorageReady=False (XFSSmallAverageClusterSize)"
        );
        check(
            "node n1 Ready=no:KubeletNotReady@20m KernelDeadlock=yes:DockerHung@3d",
            "critical /n1: not ready for 20m: KubeletNotReady",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("node n1 cpu=4", "1 unknown: condition Ready of the node is not reported");
        check("denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
        check("node n1 Ready=no", "critical /n1: not ready: no reason given");
    }
}
