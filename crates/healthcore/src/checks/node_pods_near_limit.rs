//! `node-pods-near-limit`: a node soon takes no more pods, whatever room it has otherwise.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Node, ObjectKind};
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::unit::Ratio;
use crate::view::View;

/// A node soon takes no more pods, whatever room it has otherwise.
pub struct NodePodsNearLimit;

crate::params! {
    /// Parameters of `node-pods-near-limit`.
    pub struct NodePodsNearLimitParams {
        /// Share of the pods that a node takes from which on it is told; the value itself counts.
        near: Ratio = Ratio(0.95) => Ratio(0.01)..=Ratio(1.0),
    }
}

impl Check for NodePodsNearLimit {
    const INFO: CheckInfo = CheckInfo {
        id: "node-pods-near-limit",
        title: "Node nearly full of pods",
        since: "0.1.0",
        checks: "How many of the pods that it takes a node has.",
        why: "At its limit a node takes no more, with CPU and memory to spare. When all are there, a rollout hangs and what a lost \
              node ran finds no place. On clouds that give each pod an address of the node, the limit is small.",
        decides: "Pods on the node that have not ended, divided by the pods that it takes (`status.allocatable`). Info from `near` \
                  on; a warning when the node is full and the scheduler says of pods that wait that nodes have too many pods. A \
                  node that takes one pod or none (Fargate, virtual nodes) is left out. Pods of all namespaces count: in a run \
                  over chosen ones, and where pods of some namespace may not be listed, the node is unknown.",
        remedy: "Add a node, or raise `maxPods` of the kubelet where the network has addresses for more.",
        false_alarms: "Nodes that are packed on purpose while an autoscaler adds others.",
        texts: &[
            ("near", "has {pods} of the {most} pods that it takes ({share})"),
            ("full", "has {pods} of the {most} pods that it takes, and takes no more"),
            (
                "waiting",
                "has {pods} of the {most} pods that it takes, and takes no more; {n} {n|pod waits|pods wait} because nodes have too many pods",
            ),
            (
                "more",
                "add a node, or raise `maxPods` of its kubelet where the network has addresses for more pods",
            ),
            ("pods", "see what runs on it"),
        ],
    };
    type Params = NodePodsNearLimitParams;
    type Subject<'a> = &'a Node;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Nodes).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, node: &&Node, view: &View<'_>) -> Judgement {
        let Some(most) = node.allocatable_pods else {
            return Err(Missing::NotReported { field: Field::NodeRoomForPods });
        };
        if most <= 1 {
            return Ok(Outcome::NotApplicable);
        }
        let Some(pods) = node.pods else {
            let lists = &view.snapshot.objects.unavailable;
            let hidden = lists.iter().find(|list| list.kind == ObjectKind::Pods).map(|list| list.why.clone());
            return Err(hidden.unwrap_or(Missing::OtherNamespaces { resource: "pods".to_owned() }));
        };
        let share = Ratio(f64::from(pods.living) / f64::from(most));
        if share < params.near {
            return Ok(Outcome::Ok);
        }
        let waiting = pods.turned_away;
        let (severity, text) = match waiting {
            0 if pods.living < most => (Severity::Info, Text::new("near").with("share", share)),
            0 => (Severity::Info, Text::new("full")),
            n => (Severity::Warning, Text::new("waiting").with("n", n)),
        };
        let mut problem = Problem::new(severity, text.with("pods", pods.living).with("most", most))
            .measured("share-of-pods", share, params.near)
            .evidence("pods-on-node", pods.living)
            .evidence("pods-taken", most);
        if waiting > 0 {
            problem = problem.evidence("pods-waiting", waiting);
        }
        let name = node.name.as_str();
        let more = Advice::new(Text::new("more")).command(format!("kubectl describe node {name}"), &[name]);
        let command = format!("kubectl get pods -A --field-selector spec.nodeName={name}");
        let on_it = Advice::new(Text::new("pods")).command(command, &[name]);
        Ok(problem.advise(more).advise(on_it).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("node-pods-near-limit", text, expected);
    }

    /// Pods on node-1.
    fn pods(n: u32) -> String {
        format!("container web/api-0/app pods={n}\n")
    }

    #[test]
    fn the_share_counts_from_the_bound_on() {
        check(&format!("node node-1 pods=20\nnode node-2 pods=20\n{}", pods(18)), "2 ok");
        check(
            &format!("node node-1 pods=20\nnode node-2 pods=20\n{}", pods(19)),
            "info /node-1: has 19 of the 20 pods that it takes (95%)\n1 ok",
        );
        check(
            &format!("node node-1 pods=20\n{}", pods(20)),
            "info /node-1: has 20 of the 20 pods that it takes, and takes no more",
        );
    }

    #[test]
    fn pods_that_have_ended_do_not_count() {
        check(
            &format!(
                "node node-1 pods=20\n{}pod web/api-0 phase=Succeeded\npod web/api-1 phase=Failed",
                pods(20)
            ),
            "1 ok",
        );
    }

    #[test]
    fn full_with_pods_that_wait_is_a_warning() {
        let waits = "pod web/new-0 unschedulable=\"0/2 nodes are available: 1 Insufficient cpu, 1 Too many pods.\" since=1h";
        check(
            &format!("node node-1 pods=20\nnode node-2 pods=20\n{}{waits}", pods(20)),
            "warning /node-1: has 20 of the 20 pods that it takes, and takes no more; 1 pod waits because nodes have too many \
             pods\n1 ok",
        );
        // It waits for another node.
        check(
            &format!("node node-1 pods=20\n{}{waits}", pods(19)),
            "info /node-1: has 19 of the 20 pods that it takes (95%)",
        );
        let for_cpu = "pod web/new-0 unschedulable=\"0/2 nodes are available: 2 Insufficient cpu.\" since=1h";
        check(
            &format!("node node-1 pods=20\n{}{for_cpu}", pods(20)),
            "info /node-1: has 20 of the 20 pods that it takes, and takes no more",
        );
    }

    #[test]
    fn a_node_for_one_pod_is_full_on_purpose() {
        check(&format!("node node-1 pods=1\n{}", pods(1)), "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            &format!("node node-1\n{}", pods(1)),
            "1 unknown: how many pods the node takes is not reported",
        );
        check("denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
        check(
            &format!("node node-1 pods=20\n{}denied pods namespace=pay", pods(19)),
            "1 unknown: not allowed to list pods in namespace pay",
        );
        check(
            &format!("chosen-namespaces\nnode node-1 pods=20\n{}", pods(19)),
            "1 unknown: pods of all namespaces count, and this run looks at chosen namespaces",
        );
    }
}
