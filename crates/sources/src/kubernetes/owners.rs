//! Which workload a pod belongs to, and the workloads that follow from it. Pure.

use std::collections::BTreeMap;

use healthcore::model::{Pod, PodPhase, Replicas, Revision, Workload, WorkloadId};

use super::convert::{ControllerEntry, PodEntry};
use super::wire::OwnerReference;

/// Everything that was listed and owns pods.
#[derive(Debug, Default)]
pub(super) struct Controllers {
    pub(super) deployments: Vec<ControllerEntry>,
    pub(super) stateful_sets: Vec<ControllerEntry>,
    pub(super) daemon_sets: Vec<ControllerEntry>,
    pub(super) cron_jobs: Vec<ControllerEntry>,
    pub(super) replica_sets: Vec<ControllerEntry>,
    pub(super) jobs: Vec<ControllerEntry>,
}

/// A workload of a kind that is not listed, known from what it owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unlisted {
    pub(super) id: WorkloadId,
    pub(super) api_version: String,
}

/// Pods with their workloads.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// In the order of their names.
    pub(super) workloads: Vec<Workload>,
    /// In the order of their namespaces and names.
    pub(super) pods: Vec<Pod>,
    /// Workloads of other kinds, whose replicas are counted from their pods until their scale is known.
    pub(super) unlisted: Vec<Unlisted>,
}

/// What stands between a pod and its workload: (namespace, kind, name) to its owner.
type Between = BTreeMap<(String, &'static str, String), Option<OwnerReference>>;

/// Gives every pod to its workload: a ReplicaSet's to what owns the ReplicaSet, a Job's to its CronJob.
pub(super) fn join(controllers: Controllers, entries: Vec<PodEntry>) -> Joined {
    let mut workloads: BTreeMap<WorkloadId, Workload> = BTreeMap::new();
    let mut versions: BTreeMap<WorkloadId, String> = BTreeMap::new();
    let mut between = Between::new();
    let Controllers { deployments, stateful_sets, daemon_sets, cron_jobs, replica_sets, jobs } = controllers;

    for entry in deployments.into_iter().chain(stateful_sets).chain(daemon_sets).chain(cron_jobs) {
        let workload = Workload {
            replicas: entry.replicas,
            created: entry.created,
            annotations: entry.marks,
            conditions: entry.conditions,
            update: entry.update,
            ..Workload::new(entry.id.clone())
        };
        workloads.insert(entry.id, workload);
    }
    for (kind, entries) in [("ReplicaSet", replica_sets), ("Job", jobs)] {
        for entry in entries {
            let ControllerEntry { id, created, owner, marks, .. } = entry;
            between.insert((id.namespace.clone(), kind, id.name.clone()), owner.clone());
            // A Job that something else than a CronJob owns is its own workload.
            let owner = owner.filter(|o| kind == "ReplicaSet" || o.kind == "CronJob");
            let Some(owner) = owner else {
                let workload = workloads.entry(id.clone()).or_insert_with(|| Workload::new(id));
                workload.created = created;
                workload.annotations.extend(marks);
                continue;
            };
            let of = WorkloadId::new(&id.namespace, &owner.kind, &owner.name);
            versions.entry(of.clone()).or_insert(owner.api_version);
            let workload = workloads.entry(of.clone()).or_insert_with(|| Workload::new(of));
            workload.revisions.push(Revision { name: id.name, created });
        }
    }

    let mut pods = Vec::with_capacity(entries.len());
    for PodEntry { mut pod, owner, template, marks, .. } in entries {
        let owner = owner_of(&pod, owner, template, &between);
        pod.workload = match &owner {
            Some(owner) => WorkloadId::new(&pod.workload.namespace, &owner.kind, &owner.name),
            None => WorkloadId::new(&pod.workload.namespace, "Pod", &pod.name),
        };
        if let Some(owner) = owner {
            versions.entry(pod.workload.clone()).or_insert(owner.api_version);
        }
        let workload =
            workloads.entry(pod.workload.clone()).or_insert_with(|| Workload::new(pod.workload.clone()));
        if workload.id.kind == "Pod" && workload.id.name == pod.name {
            workload.created = pod.created;
        }
        for (key, value) in marks {
            workload.annotations.entry(key).or_insert(value);
        }
        pods.push(pod);
    }
    pods.sort_by(|a, b| (&a.workload.namespace, &a.name).cmp(&(&b.workload.namespace, &b.name)));
    count_replicas(&mut workloads, &pods);

    let known = ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod"];
    let unlisted = versions
        .into_iter()
        .filter(|(id, _)| !known.contains(&id.kind.as_str()))
        .map(|(id, api_version)| Unlisted { id, api_version })
        .collect();
    let mut workloads: Vec<Workload> = workloads.into_values().collect();
    for workload in &mut workloads {
        workload.revisions.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Joined { workloads, pods, unlisted }
}

/// The workload behind a pod; none for a pod that stands alone, which a mirror pod of a node does too.
fn owner_of(
    pod: &Pod,
    owner: Option<OwnerReference>,
    template: Option<(&'static str, String)>,
    between: &Between,
) -> Option<OwnerReference> {
    let owner = owner.filter(|o| o.kind != "Node")?;
    let kind = match owner.kind.as_str() {
        "ReplicaSet" => "ReplicaSet",
        "Job" => "Job",
        _ => return Some(owner),
    };
    match between.get(&(pod.workload.namespace.clone(), kind, owner.name.clone())) {
        Some(Some(behind)) if kind == "ReplicaSet" || behind.kind == "CronJob" => Some(behind.clone()),
        Some(_) => Some(owner),
        // Not listed (forbidden, or made since): the hash of the template tells the name all the same.
        None => match template {
            Some((kind, hash)) => {
                let name = owner.name.strip_suffix(hash.as_str()).and_then(|n| n.strip_suffix('-'));
                let api_version = match kind {
                    "Rollout" => "argoproj.io/v1alpha1",
                    _ => "apps/v1",
                };
                Some(match name {
                    Some(name) if kind_is_hashed(&owner) => OwnerReference {
                        api_version: api_version.into(),
                        kind: kind.into(),
                        name: name.into(),
                        controller: true,
                    },
                    _ => owner,
                })
            }
            None => Some(owner),
        },
    }
}

fn kind_is_hashed(owner: &OwnerReference) -> bool {
    owner.kind == "ReplicaSet"
}

/// Counts the pods of workloads whose own numbers are not known; not of those that end or stand alone.
fn count_replicas(workloads: &mut BTreeMap<WorkloadId, Workload>, pods: &[Pod]) {
    let mut counts: BTreeMap<&WorkloadId, Replicas> = BTreeMap::new();
    for pod in pods {
        let count = counts.entry(&pod.workload).or_insert(Replicas { desired: 0, ready: 0 });
        let lives = !matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed) && !pod.deleting;
        count.desired += u32::from(lives);
        count.ready += u32::from(lives && pod.ready == Some(true));
    }
    for workload in workloads.values_mut() {
        let counted = !workload.id.runs_to_completion() && workload.id.kind != "Pod";
        if workload.replicas.is_none() && counted {
            workload.replicas = counts.get(&workload.id).copied();
        }
    }
}
