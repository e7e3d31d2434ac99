//! Pods that several PodDisruptionBudgets select. The eviction API refuses them (`This pod has more than one
//! PodDisruptionBudget`), and the status of a budget tells how many pods it has but not which. Pure.

use std::collections::BTreeMap;

use healthcore::inventory::{DisruptionBudget, ObjectId, SharedPods};
use healthcore::model::{ObjectKind, Pod, PodPhase};
use healthcore::snapshot::Unavailable;
use serde::Deserialize;

use super::convert::PodEntry;
use super::inventory::ScaledToZero;
use super::placement::Requirement;
use super::wire::or_default;

/// Labels of pods, by the pod.
pub(super) type Labels = BTreeMap<ObjectId, BTreeMap<String, String>>;

/// A budget, and what it selects pods by.
#[derive(Debug, PartialEq)]
pub(super) struct RawBudget {
    pub(super) budget: DisruptionBudget,
    /// None selects nothing.
    pub(super) selector: Option<Selector>,
}

/// Which pods are meant, by their labels (`metav1.LabelSelector`).
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    #[serde(default, deserialize_with = "or_default")]
    match_labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    match_expressions: Vec<Requirement>,
}

impl RawBudget {
    fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let Some(Selector { match_labels, match_expressions }) = &self.selector else { return false };
        // An empty one selects all, but for servers so old that it selects nothing: these count none.
        if match_labels.is_empty() && match_expressions.is_empty() {
            return self.budget.expected_pods != Some(0);
        }
        match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && match_expressions.iter().all(|r| r.holds_for(labels))
    }
}

/// Takes the labels of pods, but for those that have ended or are being deleted.
pub(super) fn take_labels(pods: &mut [PodEntry]) -> Labels {
    let ended = |pod: &Pod| matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed);
    let take = |entry: &mut PodEntry| {
        let id = ObjectId::new(&entry.pod.workload.namespace, &entry.pod.name);
        (id, std::mem::take(&mut entry.labels))
    };
    pods.iter_mut().filter(|e| !ended(&e.pod) && !e.pod.deleting).map(take).collect()
}

/// Tells budgets which pods they share, where all pods of their namespace are known. Of each namespace it looks once at each pod.
pub(super) fn give_shared_pods(
    mut raw: Vec<RawBudget>,
    labels: Option<&Labels>,
    pods: &[Pod],
    unavailable: &[Unavailable],
) -> Vec<DisruptionBudget> {
    raw.sort_by(|a, b| a.budget.id.cmp(&b.budget.id));
    let Some(labels) = labels else { return raw.into_iter().map(|one| one.budget).collect() };
    let mut by_namespace: BTreeMap<String, Vec<&mut RawBudget>> = BTreeMap::new();
    for one in &mut raw {
        by_namespace.entry(one.budget.id.namespace.clone()).or_default().push(one);
    }
    let hidden = |name: &str| unavailable.iter().any(|u| u.hides(ObjectKind::Pods, name));
    by_namespace.retain(|name, _| !hidden(name));
    for one in by_namespace.values_mut().flatten() {
        one.budget.shared = Some(SharedPods::default());
    }
    by_namespace.retain(|_, budgets| budgets.len() > 1);
    // The eviction of a pod that is pending asks for no budget.
    for pod in pods.iter().filter(|p| p.phase != PodPhase::Pending) {
        let namespace = &pod.workload.namespace;
        let Some(budgets) = by_namespace.get_mut(namespace) else { continue };
        let Some(own) = labels.get(&ObjectId::new(namespace, &pod.name)) else { continue };
        let mut selecting = budgets.iter_mut().filter(|b| b.selects(own));
        let Some(first) = selecting.next() else { continue };
        let others: Vec<String> = selecting.map(|b| b.budget.id.name.clone()).collect();
        if let Some(shared) = first.budget.shared.as_mut().filter(|_| !others.is_empty()) {
            add(shared, pod, others);
        }
    }
    raw.into_iter().map(|one| one.budget).collect()
}

/// Tells budgets that count no pod whose pods they would count.
pub(super) fn give_scaled_to_zero(raw: &mut [RawBudget], scaled_to_zero: &[ScaledToZero]) {
    for one in raw.iter_mut().filter(|one| one.budget.expected_pods == Some(0)) {
        let namespace = &one.budget.id.namespace;
        let mut own = scaled_to_zero.iter().filter(|w| w.namespace == *namespace);
        one.budget.scaled_to_zero = own.find(|w| one.selects(&w.labels)).map(|w| w.name.clone());
    }
}

fn add(shared: &mut SharedPods, pod: &Pod, others: Vec<String>) {
    if shared.pods == 0 {
        shared.pod.clone_from(&pod.name);
        shared.workload = Some(pod.workload.clone());
    }
    shared.pods += 1;
    shared.with.extend(others);
    shared.with.sort();
    shared.with.dedup();
}
