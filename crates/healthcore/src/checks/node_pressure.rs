//! `node-pressure`: a node runs out of memory, disk or process ids, and evicts pods.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::node_not_ready::{condition, is_ready};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::model::{Condition, Node, ObjectKind};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A node runs out of memory, disk or process ids, and evicts pods.
pub struct NodePressure;

crate::params! {
    /// Parameters of `node-pressure`.
    pub struct NodePressureParams {
        /// Time from which on pressure counts.
        lasting: Seconds = Seconds(0.0) => Seconds(0.0)..=Seconds::from_days(1.0),
    }
}

/// The conditions of the kubelet, and what is short.
const PRESSURES: [(&str, &str); 3] =
    [("MemoryPressure", "memory"), ("DiskPressure", "disk"), ("PIDPressure", "process-ids")];

impl Check for NodePressure {
    const INFO: CheckInfo = CheckInfo {
        id: "node-pressure",
        title: "Node under pressure",
        since: "0.1.0",
        checks: "Whether a node is short of memory, disk or process ids.",
        why: "Under pressure the kubelet evicts pods, those above their requests first, and takes no new ones; under disk \
              pressure it deletes images too.",
        decides: "A warning when the condition MemoryPressure, DiskPressure or PIDPressure has been true for `lasting`. The \
                  kubelet keeps a condition for 5 minutes after the pressure, so that one which is seen has been real. A \
                  node that is not ready is told of by `node-not-ready`.",
        remedy: "Memory: set requests that fit the use, so that the scheduler places less on the node. Disk: find logs, \
                 emptyDir volumes and images that fill it. Process ids: find the pod that leaks processes.",
        false_alarms: "A node that is being drained.",
        texts: &[
            ("pressure", "short of {what} for {time}, so that pods are evicted"),
            ("pressure-unknown-time", "short of {what}, so that pods are evicted"),
            ("memory", "see what the pods on it ask for and use; requests below the use overfill nodes"),
            ("disk", "find what fills its disk: logs, emptyDir volumes, images"),
            ("processes", "find the pod on it that leaks processes"),
        ],
    };
    type Params = NodePressureParams;
    type Subject<'a> = &'a Node;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Nodes);
    }

    fn judge(params: &Self::Params, node: &&Node, view: &View<'_>) -> Judgement {
        if !PRESSURES.iter().any(|(kind, _)| condition(node, kind).is_some()) {
            return Err(Missing::NotReported { field: Field::NodePressure });
        }
        if !is_ready(node) {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        let lasts = |c: &&Condition| {
            c.since.is_none_or(|since| since.age_at(now).is_some_and(|age| age >= params.lasting.get()))
        };
        let short = |(kind, what): &(&str, &'static str)| {
            let found = condition(node, kind).filter(|c| c.status == Some(true)).filter(lasts);
            found.map(|c| (*what, c))
        };
        let short: Vec<(&str, &Condition)> = PRESSURES.iter().filter_map(short).collect();
        let Some(since) = short.iter().map(|(_, c)| c.since).min() else { return Ok(Outcome::Ok) };
        let what = short.iter().map(|(what, _)| Value::from(phrase(what)));
        let both = |first, second| phrase("two").with("first", first).with("second", second).into();
        let what: Value = what.reduce(both).unwrap_or(Value::List(Vec::new()));
        let text = match since.and_then(|t| t.age_at(now)) {
            Some(s) => Text::new("pressure").with("time", Seconds(s)),
            None => Text::new("pressure-unknown-time"),
        };
        let mut problem = Problem::new(Severity::Warning, text.with("what", what.clone()))
            .evidence("short-of", what)
            .since(since);
        for (what, condition) in short {
            if !condition.message.is_empty() {
                problem = problem.evidence("message", condition.message.as_str());
            }
            problem = problem.advise(advice(what, &node.name));
        }
        Ok(problem.into())
    }
}

fn advice(what: &str, node: &str) -> Advice {
    let (key, command) = match what {
        "memory" => ("memory", format!("kubectl describe node {node} | sed -n '/Non-terminated/,$p'")),
        "disk" => {
            let summary = format!("kubectl get --raw /api/v1/nodes/{node}/proxy/stats/summary");
            (
                "disk",
                format!(
                    "{summary} | jq '[.pods[]|{{pod:.podRef.name,bytes:.\"ephemeral-storage\".usedBytes}}]|sort_by(-.bytes)|.[:10]'"
                ),
            )
        }
        _ => ("processes", format!("kubectl get pods -A --field-selector spec.nodeName={node}")),
    };
    Advice::new(Text::new(key)).command(command, &[node])
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("node-pressure", text, expected);
    }

    const READY: &str = "node n1 Ready=yes:KubeletReady@9d";

    #[test]
    fn pressure_of_every_kind() {
        check(
            &format!("{READY} DiskPressure=yes:KubeletHasDiskPressure@20m"),
            "warning /n1: short of disk for 20m, so that pods are evicted",
        );
        check(
            &format!("{READY} MemoryPressure=yes:x@1h PIDPressure=yes:y@2h"),
            "warning /n1: short of memory and process ids for 2h, so that pods are evicted",
        );
    }

    #[test]
    fn none_and_shorter_than_asked() {
        check(&format!("{READY} MemoryPressure=no:KubeletHasSufficientMemory@9d"), "1 ok");
        check(&format!("set lasting=10m\n{READY} MemoryPressure=yes:x@9m"), "1 ok");
        check(
            &format!("set lasting=10m\n{READY} MemoryPressure=yes:x@10m"),
            "warning /n1: short of memory for 10m, so that pods are evicted",
        );
    }

    #[test]
    fn a_node_that_is_gone_is_told_of_elsewhere() {
        check(
            "node n1 Ready=unknown:NodeStatusUnknown@20m MemoryPressure=unknown:NodeStatusUnknown@20m",
            "nothing",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(READY, "1 unknown: pressure of the node is not reported");
        check("denied nodes", "1 unknown: not allowed to list nodes in all namespaces");
    }
}
