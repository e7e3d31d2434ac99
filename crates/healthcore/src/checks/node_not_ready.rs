//! `node-not-ready`: a node takes no work, and what ran on it is lost or moves.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Condition, Node, ObjectKind};
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::unit::{Ratio, Seconds};
use crate::view::View;

/// A node takes no work, and what ran on it is lost or moves.
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
        checks: "Whether every node is ready and has a network.",
        why: "After five minutes Kubernetes gives up the pods of such a node; those of StatefulSets and those with volumes \
              often cannot start elsewhere.",
        decides: "A warning when the condition Ready has not been true, or NetworkUnavailable has been true, for longer than \
                  `lasting`. Critical when the share of such nodes reaches `critical-share`: then pods have nowhere to go.",
        remedy: "Look at kubelet and container runtime on the node; drain and replace it when it does not come back.",
        false_alarms: "A node that an autoscaler is about to delete.",
        texts: &[
            ("not-ready", "not ready for {time}: {reason}"),
            ("not-ready-unknown-time", "not ready: {reason}"),
            ("no-network", "its network has not been available for {time}: {reason}"),
            ("no-network-unknown-time", "its network is not available: {reason}"),
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
        let Some((key, fault)) = fault(params, node, view) else { return Ok(Outcome::Ok) };
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
        let name = node.name.as_str();
        let describe =
            Advice::new(Text::new("describe")).command(format!("kubectl describe node {name}"), &[name]);
        let command = format!("kubectl get pods -A --field-selector spec.nodeName={name}");
        let pods = Advice::new(Text::new("pods")).command(command, &[name]);
        Ok(problem.advise(describe).advise(pods).into())
    }
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
    let now = view.snapshot.taken_at;
    // What changed after the end of the run was otherwise then; without a time it is so now.
    let lasts = |c: &&Condition| {
        c.since.is_none_or(|since| since.age_at(now).is_some_and(|age| age > params.lasting.get()))
    };
    let ready = condition(node, "Ready").filter(|c| c.status != Some(true)).filter(lasts);
    let network = || condition(node, "NetworkUnavailable").filter(|c| c.status == Some(true)).filter(lasts);
    let ready = ready.map(|c| (["not-ready", "not-ready-unknown-time"], c));
    ready.or_else(|| network().map(|c| (["no-network", "no-network-unknown-time"], c)))
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

    #[test]
    fn missing_is_unknown() {
        check("node n1 cpu=4", "1 unknown: condition Ready of the node is not reported");
        check("denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
        check("node n1 Ready=no", "critical /n1: not ready: no reason given");
    }
}
