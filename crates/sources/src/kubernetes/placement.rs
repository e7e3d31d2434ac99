//! On which nodes a pod may be placed, by the rules of the scheduler that no run of it changes: node selector, required
//! node affinity, taints. Cordoned nodes are left out; resources, preferences and other pods do not count.

use std::collections::{BTreeMap, BTreeSet};

use healthcore::model::Node;
use serde::Deserialize;

use super::convert::PodEntry;
use super::wire::or_default;

/// Taints of a state that passes: no pod is kept away by these for good. Others of the same prefix stay, such as
/// `node.kubernetes.io/os=windows`, which keeps pods off nodes of Windows.
const PASSING: [&str; 8] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/out-of-service",
];

/// What of a pod decides on which nodes it may be placed. Most pods say nothing, and may be on all that have no taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placement {
    /// Labels that a node must have.
    selector: BTreeMap<String, String>,
    /// Of which one must hold, where there are any.
    terms: Option<Vec<Term>>,
    tolerations: Vec<Toleration>,
}

/// A node, and what decides which pods it takes.
#[derive(Debug, PartialEq)]
pub(super) struct NodeEntry {
    pub(super) node: Node,
    /// `os/architecture`; none where it is not reported.
    pub(super) platform: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) taints: Vec<Taint>,
}

/// Tells pods how many nodes they may be placed on, by platform.
pub(super) fn give_places(pods: &mut [PodEntry], nodes: &[NodeEntry]) {
    let by_name: BTreeMap<&str, &NodeEntry> = nodes.iter().map(|n| (n.node.name.as_str(), n)).collect();
    let mut known: BTreeMap<Placement, BTreeMap<String, u32>> = BTreeMap::new();
    for entry in pods {
        let placement = entry.placement.take().map_or_else(Placement::default, |own| *own);
        let places = known.entry(placement).or_insert_with_key(|placement| placement.places(&by_name));
        entry.pod.places.clone_from(places);
    }
}

impl Placement {
    /// From the specification of a pod; none where it says nothing.
    pub(super) fn of(
        selector: BTreeMap<String, String>,
        affinity: Affinity,
        mut tolerations: Vec<Toleration>,
    ) -> Option<Box<Self>> {
        let required = affinity.node_affinity.required;
        tolerations.retain(|t| !PASSING.contains(&t.key.as_str()));
        let terms = required.map(|required| required.terms);
        let own = Self { selector, terms, tolerations };
        (own != Self::default()).then(|| Box::new(own))
    }

    fn places(&self, nodes: &BTreeMap<&str, &NodeEntry>) -> BTreeMap<String, u32> {
        let mut places = BTreeMap::new();
        let mut count = |entry: &NodeEntry| {
            if let Some(platform) = entry.platform.as_ref().filter(|_| self.fits(entry)) {
                *places.entry(platform.clone()).or_insert(0) += 1;
            }
        };
        match self.named() {
            // Pods of DaemonSets name one node each: there may be as many of these as nodes.
            Some(names) => names.iter().filter_map(|name| nodes.get(name)).for_each(|entry| count(entry)),
            None => nodes.values().for_each(|entry| count(entry)),
        }
        places
    }

    /// Names of the only nodes that come into question, where every term gives such names.
    fn named(&self) -> Option<BTreeSet<&str>> {
        let mut all = BTreeSet::new();
        for term in self.terms.as_ref()? {
            let is_name = |r: &&Requirement| r.key == "metadata.name" && r.operator == "In";
            all.extend(term.fields.iter().find(is_name)?.values.iter().map(String::as_str));
        }
        Some(all)
    }

    fn fits(&self, entry: &NodeEntry) -> bool {
        let has = |(key, value): (&String, &String)| entry.labels.get(key) == Some(value);
        let tolerated = |taint: &Taint| self.tolerations.iter().any(|t| t.tolerates(taint));
        !entry.node.unschedulable
            && self.selector.iter().all(has)
            && self.terms.as_ref().is_none_or(|terms| terms.iter().any(|t| t.holds(entry)))
            && entry.taints.iter().all(|taint| !taint.keeps_away() || tolerated(taint))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Affinity {
    #[serde(default, deserialize_with = "or_default")]
    node_affinity: NodeAffinity,
}

#[derive(Debug, Default, Deserialize)]
struct NodeAffinity {
    #[serde(default, rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    required: Option<NodeSelector>,
}

#[derive(Debug, Deserialize)]
struct NodeSelector {
    #[serde(default, rename = "nodeSelectorTerms", deserialize_with = "or_default")]
    terms: Vec<Term>,
}

/// Requirements that must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Term {
    #[serde(default, rename = "matchFields", deserialize_with = "or_default")]
    fields: Vec<Requirement>,
    #[serde(default, rename = "matchExpressions", deserialize_with = "or_default")]
    labels: Vec<Requirement>,
}

impl Term {
    /// One without requirements holds for no node.
    fn holds(&self, entry: &NodeEntry) -> bool {
        let field =
            |r: &Requirement| r.holds(Some(entry.node.name.as_str()).filter(|_| r.key == "metadata.name"));
        !(self.fields.is_empty() && self.labels.is_empty())
            && self.fields.iter().all(field)
            && self.labels.iter().all(|r| r.holds_for(&entry.labels))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Requirement {
    key: String,
    operator: String,
    #[serde(deserialize_with = "or_default")]
    values: Vec<String>,
}

impl Requirement {
    /// Whether it holds for an object with these labels.
    pub(super) fn holds_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.holds(labels.get(&self.key).map(String::as_str))
    }

    /// Whether it holds for the value of a label, if there is one. An operator that is not known holds for none.
    fn holds(&self, value: Option<&str>) -> bool {
        let is_in = || value.is_some_and(|value| self.values.iter().any(|v| v == value));
        let numbers = || {
            let own = self.values.first()?.parse::<i64>().ok()?;
            Some((value?.parse::<i64>().ok()?, own))
        };
        match self.operator.as_str() {
            "In" => is_in(),
            "NotIn" => !is_in(),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => numbers().is_some_and(|(value, own)| value > own),
            "Lt" => numbers().is_some_and(|(value, own)| value < own),
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Toleration {
    key: String,
    operator: String,
    #[serde(deserialize_with = "or_default")]
    value: String,
    effect: String,
}

impl Toleration {
    fn tolerates(&self, taint: &Taint) -> bool {
        let exists = self.operator == "Exists";
        let of_key = if self.key.is_empty() { exists } else { self.key == taint.key };
        let of_effect = self.effect.is_empty() || self.effect == taint.effect;
        let of_value =
            exists || (matches!(self.operator.as_str(), "" | "Equal") && self.value == taint.value);
        of_key && of_effect && of_value
    }
}

/// What keeps pods away from a node.
#[derive(Debug, PartialEq)]
pub(super) struct Taint {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) effect: String,
}

impl Taint {
    fn keeps_away(&self) -> bool {
        !PASSING.contains(&self.key.as_str()) && matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::wire;
    use super::super::{convert, wire::Page};
    use super::*;

    /// Two amd64 nodes, one of them of a pool, an arm64 node with a taint, and one of Windows.
    fn nodes() -> Vec<NodeEntry> {
        let node = |name: &str, os: &str, arch: &str, labels: Value, taints: Value| {
            json!({"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints},
                   "status": {"nodeInfo": {"operatingSystem": os, "architecture": arch}}})
        };
        let graviton = json!([{"key": "arch", "value": "arm64", "effect": "NoSchedule"}]);
        let passing = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
                             {"key": "soft", "effect": "PreferNoSchedule"}]);
        let items = [
            node(
                "amd-1",
                "linux",
                "amd64",
                json!({"kubernetes.io/arch": "amd64", "disks": "4"}),
                Value::Null,
            ),
            node("amd-2", "linux", "amd64", json!({"kubernetes.io/arch": "amd64", "pool": "ci"}), passing),
            node("arm-1", "linux", "arm64", json!({"kubernetes.io/arch": "arm64", "pool": "ci"}), graviton),
            node("win-1", "windows", "amd64", json!({"kubernetes.io/os": "windows"}), json!([])),
        ];
        items.into_iter().map(entry).collect()
    }

    fn entry(node: Value) -> NodeEntry {
        convert::placed_node(serde_json::from_value(node).unwrap(), &mut Vec::new()).unwrap()
    }

    fn placed(spec: Value, nodes: &[NodeEntry]) -> String {
        let list = json!({"items": [{"metadata": {"name": "p"}, "spec": spec}]}).to_string();
        let Page { items, .. } = wire::page::<wire::Pod>(list.as_bytes()).unwrap();
        let mut pods: Vec<PodEntry> =
            items.into_iter().filter_map(|raw| convert::pod(raw, &mut Vec::new())).collect();
        give_places(&mut pods, nodes);
        let place = |(platform, nodes): (&String, &u32)| format!("{platform}:{nodes}");
        pods[0].pod.places.iter().map(place).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(spec: Value, expected: &str) {
        assert_eq!(placed(spec.clone(), &nodes()), expected, "{spec}");
    }

    fn required(terms: Value) -> Value {
        let required =
            json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
        json!({"affinity": {"nodeAffinity": required}, "tolerations": [{"operator": "Exists"}]})
    }

    #[test]
    fn taints_keep_pods_away_that_do_not_tolerate_them() {
        check(json!({}), "linux/amd64:2 windows/amd64:1");
        let all = "linux/amd64:2 linux/arm64:1 windows/amd64:1";
        for tolerated in [
            json!({"operator": "Exists"}),
            json!({"key": "arch", "operator": "Exists"}),
            json!({"key": "arch", "value": "arm64"}),
            json!({"key": "arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}),
        ] {
            check(json!({"tolerations": [tolerated]}), all);
        }
        for other in [
            json!({"key": "arch", "value": "amd64"}),
            json!({"key": "arch", "operator": "Exists", "effect": "NoExecute"}),
            json!({"key": "node.kubernetes.io/not-ready", "operator": "Exists"}),
        ] {
            check(json!({"tolerations": [other]}), "linux/amd64:2 windows/amd64:1");
        }
    }

    /// GKE taints its pools of Windows so.
    #[test]
    fn a_taint_for_windows_does_not_pass() {
        let windows = |taint: Value| {
            entry(json!({"metadata": {"name": "w"}, "spec": {"taints": [taint]},
                "status": {"nodeInfo": {"operatingSystem": "windows", "architecture": "amd64"}}}))
        };
        let os =
            [windows(json!({"key": "node.kubernetes.io/os", "value": "windows", "effect": "NoSchedule"}))];
        assert_eq!(placed(json!({}), &os), "");
        let tolerates = json!({"tolerations": [{"key": "node.kubernetes.io/os", "operator": "Exists"}]});
        assert_eq!(placed(tolerates, &os), "windows/amd64:1");
        for passing in PASSING {
            let nodes = [windows(json!({"key": passing, "effect": "NoSchedule"}))];
            assert_eq!(placed(json!({}), &nodes), "windows/amd64:1", "{passing}");
        }
    }

    #[test]
    fn selectors_and_affinity_choose() {
        check(json!({"nodeSelector": {"kubernetes.io/arch": "amd64"}}), "linux/amd64:2");
        check(json!({"nodeSelector": {"pool": "ci"}}), "linux/amd64:1");
        check(json!({"nodeSelector": {"pool": "gone"}}), "");
        let expression = |key: &str, operator: &str, values: Value| {
            required(json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]))
        };
        check(expression("kubernetes.io/arch", "In", json!(["arm64", "riscv64"])), "linux/arm64:1");
        check(expression("kubernetes.io/arch", "NotIn", json!(["arm64"])), "linux/amd64:2 windows/amd64:1");
        check(expression("pool", "Exists", Value::Null), "linux/amd64:1 linux/arm64:1");
        check(expression("pool", "DoesNotExist", Value::Null), "linux/amd64:1 windows/amd64:1");
        check(expression("disks", "Gt", json!(["3"])), "linux/amd64:1");
        check(expression("disks", "Lt", json!(["3"])), "");
        check(expression("disks", "Unheard", json!(["3"])), "");
        // One of the terms must hold, and one without requirements never does.
        let either = json!([{}, {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]},
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["arm-1"]}]}]);
        check(required(either), "linux/arm64:1 windows/amd64:1");
        check(required(json!([{}])), "");
    }

    #[test]
    fn pods_of_daemon_sets_are_for_their_node() {
        let own = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["arm-1"]}]}]);
        check(required(own), "linux/arm64:1");
        let gone = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gone"]}]}]);
        check(required(gone), "");
    }

    #[test]
    fn cordoned_nodes_and_those_without_architecture_do_not_count() {
        let cordoned = entry(json!({"metadata": {"name": "c"}, "spec": {"unschedulable": true},
            "status": {"nodeInfo": {"operatingSystem": "linux", "architecture": "arm64"}}}));
        let silent = entry(json!({"metadata": {"name": "s"}}));
        let old =
            entry(json!({"metadata": {"name": "o"}, "status": {"nodeInfo": {"architecture": "s390x"}}}));
        assert_eq!(placed(json!({}), &[cordoned, silent, old]), "linux/s390x:1");
    }
}
