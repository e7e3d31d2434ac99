//! Workloads, pods and autoscalers from the metrics of kube-state-metrics, for runs without the Kubernetes API.

mod since;

use std::collections::{BTreeMap, BTreeSet};

use healthcore::finding::Text;
use healthcore::model::{
    Condition, Container, ContainerRole, ContainerState, Hpa, HpaMetric, ObjectKind, Pod, PodPhase,
    ROLLOUT_CONDITIONS, Replicas, Resources, Revision, ScaleTarget, Termination, Unschedulable, Workload,
    WorkloadId,
};
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Unavailable};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::{Bytes, Cores};
use wildmatch::WildMatch;

use super::catalogue::{BASE_S, Facts, Family};
use super::decode::InstantSeries;
use super::source::{Prometheus, selection_matcher};
use crate::{Fetched, Selection};

/// A metric that every kube-state-metrics has.
pub(super) const WITNESS: &str = "kube_pod_info";

/// Metrics that are 1 for the state that holds; the others need not travel.
const STATES: &str = "kube_pod_status_phase|kube_pod_status_unschedulable|kube_pod_container_status_waiting_reason|\
kube_pod_container_status_terminated_reason|kube_pod_container_status_last_terminated_reason|\
kube_pod_init_container_status_waiting_reason|kube_pod_init_container_status_running|\
kube_pod_init_container_status_terminated_reason|kube_pod_init_container_status_last_terminated_reason|kube_pod_status_reason|kube_horizontalpodautoscaler_status_condition|\
kube_hpa_status_condition|kube_deployment_status_condition";

/// Metrics of pods whose value matters, or whose labels do.
const PODS: &str = "kube_pod_info|kube_pod_owner|kube_pod_created|kube_pod_deletion_timestamp|kube_pod_container_info|\
kube_pod_init_container_info|kube_pod_container_resource_requests|kube_pod_container_resource_limits|\
kube_pod_container_resource_requests_memory_bytes|kube_pod_container_resource_limits_memory_bytes|\
kube_pod_container_resource_requests_cpu_cores|kube_pod_container_resource_limits_cpu_cores|\
kube_pod_container_status_restarts_total|kube_pod_container_status_ready|\
kube_pod_init_container_resource_requests|kube_pod_init_container_resource_limits|\
kube_pod_init_container_status_restarts_total|kube_pod_init_container_status_ready|\
kube_pod_container_status_last_terminated_exitcode|kube_pod_container_status_last_terminated_timestamp|\
kube_pod_container_state_started";

/// Metrics of workloads and autoscalers.
const WORKLOADS: &str = "kube_replicaset_owner|kube_job_owner|kube_deployment_spec_replicas|kube_deployment_status_replicas_ready|\
kube_deployment_status_replicas_available|kube_deployment_created|kube_statefulset_replicas|\
kube_statefulset_status_replicas_ready|kube_statefulset_created|kube_daemonset_status_desired_number_scheduled|\
kube_daemonset_status_number_ready|kube_daemonset_created|kube_cronjob_info|kube_job_info|\
kube_horizontalpodautoscaler_info|kube_horizontalpodautoscaler_spec_min_replicas|\
kube_horizontalpodautoscaler_spec_max_replicas|kube_horizontalpodautoscaler_status_current_replicas|\
kube_horizontalpodautoscaler_status_desired_replicas|kube_horizontalpodautoscaler_spec_target_metric|\
kube_horizontalpodautoscaler_status_target_metric|kube_hpa_spec_min_replicas|kube_hpa_spec_max_replicas|\
kube_hpa_status_current_replicas|kube_hpa_status_desired_replicas";

/// What kube-state-metrics tells at the end of the window.
pub(super) async fn objects(
    prometheus: &Prometheus,
    facts: &Facts,
    selection: &Selection,
    kinds: &BTreeSet<ObjectKind>,
    window: &Window,
) -> Fetched<Objects> {
    let mut out = Fetched::whole(Objects { origin: Origin::KubeStateMetrics, ..Objects::default() });
    if facts.knows_presence && !facts.present.contains(WITNESS) {
        out.gaps.push(prometheus.gap(
            "kube-state-metrics",
            GapCause::MetricAbsent,
            phrase("gap-no-workload-known").with("why", prometheus.absence(facts, &[WITNESS.to_owned()])),
        ));
        let why = Missing::NoKubernetesSource;
        out.value.unavailable = kinds.iter().map(|k| Unavailable::new(*k, None, why.clone())).collect();
        return out;
    }
    // What was so an hour ago need not be so now.
    let end_s = window.end().unix_seconds();
    let newest_s = facts.newest([WITNESS].into_iter(), end_s);
    if newest_s < end_s {
        let why = Prometheus::ending(facts, &[WITNESS.to_owned()], end_s);
        let is_old = end_s - newest_s > BASE_S as i64;
        let said = if is_old { phrase("gap-no-workload-known").with("why", why) } else { why };
        out.gaps.push(prometheus.gap("kube-state-metrics", GapCause::MetricAbsent, said));
        if is_old {
            let why = Missing::NoKubernetesSource;
            out.value.unavailable = kinds.iter().map(|k| Unavailable::new(*k, None, why.clone())).collect();
            return out;
        }
    }
    let mut asked = Asked {
        prometheus,
        namespaces: namespaces(prometheus, facts, &selection.namespaces),
        time: newest_s,
        gaps: Vec::new(),
        failed: BTreeSet::new(),
        partial: BTreeSet::new(),
    };
    let states: States = asked.told("pod states", STATES, " == 1").await;
    let pods: Pods = asked.told("pods", PODS, "").await;
    let workloads: Workloads = asked.told("workloads", WORKLOADS, "").await;
    let Asked { gaps, failed, partial, namespaces, time, .. } = asked;
    out.gaps.extend(gaps);
    for (kind, needs) in [
        (ObjectKind::Pods, &["pods", "pod states"][..]),
        (ObjectKind::Workloads, &["pods", "workloads"]),
        (ObjectKind::Autoscalers, &["workloads"]),
    ] {
        let resource = "kube-state-metrics".to_owned();
        let why = match needs {
            needs if needs.iter().any(|n| failed.contains(n)) => Missing::ListFailed { resource },
            needs if needs.iter().any(|n| partial.contains(n)) => Missing::PartialList { resource },
            _ => continue,
        };
        if kinds.contains(&kind) {
            out.value.unavailable.push(Unavailable::new(kind, None, why));
        }
    }
    let told = [ObjectKind::Pods, ObjectKind::Workloads, ObjectKind::Autoscalers];
    for kind in kinds.iter().filter(|kind| !told.contains(kind)) {
        out.value.unavailable.push(Unavailable::new(*kind, None, Missing::NoKubernetesSource));
    }
    let phases = failed.contains("pod states") || states.pods.values().any(|pod| pod.phase.is_some());
    assemble(states, pods, workloads, kinds, &mut out.value);
    if failed.is_empty() && partial.is_empty() {
        let told = unmatched(selection, &out.value);
        out.gaps
            .extend(told.map(|(pattern, words)| prometheus.gap(pattern, GapCause::NothingMatches, words)));
    }
    for namespace in &namespaces {
        out.gaps.extend(since::blind(prometheus, namespace, time, &mut out.value).await);
    }
    if !phases && !out.value.pods.is_empty() {
        out.gaps.push(prometheus.gap("pod states", GapCause::MetricAbsent, phrase("gap-no-pod-phases")));
    }
    out
}

/// Matchers for the namespaces of a selection: one for each kind of labels in use, and more where one would make a query
/// too long.
fn namespaces(prometheus: &Prometheus, facts: &Facts, selected: &[String]) -> Vec<String> {
    let schemes = facts.schemes(Family::Ksm);
    if selected.is_empty() {
        return vec![String::new()];
    }
    let mut out = BTreeSet::new();
    for scheme in schemes {
        let label = scheme.labels()[0];
        let alone = if schemes.len() > 1 && label == "namespace" { ",exported_namespace=\"\"" } else { "" };
        let mut parts = vec![selected];
        while let Some(part) = parts.pop() {
            let matcher = format!("{}{alone}", selection_matcher(part, label));
            // The longest query has it twice.
            if part.len() > 1 && !prometheus.fits(&format!("{PODS}{matcher}{matcher}")) {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            } else {
                out.insert(matcher);
            }
        }
    }
    out.into_iter().collect()
}

/// Patterns of the selection that match no namespace of the objects, each with a sentence about it.
fn unmatched<'s>(selection: &'s Selection, objects: &Objects) -> impl Iterator<Item = (&'s str, Text)> {
    let workloads = objects.workloads.iter().map(|w| w.id.namespace.clone());
    let namespaces: BTreeSet<String> =
        workloads.chain(objects.hpas.iter().map(|h| h.namespace.clone())).collect();
    selection.namespaces.iter().filter_map(move |pattern| {
        let matcher = WildMatch::new(pattern);
        if namespaces.iter().any(|n| matcher.matches(n)) {
            return None;
        }
        let key = match pattern.contains(['*', '?']) {
            true => "gap-told-of-nothing-matching",
            false => "gap-told-of-nothing",
        };
        Some((pattern.as_str(), phrase(key).with("pattern", pattern.as_str())))
    })
}

/// What one query tells: every row is taken in as it is decoded, so that what is held is the fields that count and not
/// the rows, which have a dozen labels each.
trait Fold: Default + Send {
    /// Takes in a row. The same row may come again, when the query is sent again.
    fn row(&mut self, row: &Row<'_>);
}

/// The queries of one listing, and what came of them.
struct Asked<'p> {
    prometheus: &'p Prometheus,
    /// Matchers of the namespaces, one a query.
    namespaces: Vec<String>,
    time: i64,
    gaps: Vec<Gap>,
    failed: BTreeSet<&'static str>,
    /// What was answered in part.
    partial: BTreeSet<&'static str>,
}

impl Asked<'_> {
    /// Asks for the metrics of some names. A query without a whole answer tells nothing.
    async fn told<F: Fold>(&mut self, what: &'static str, names: &str, suffix: &str) -> F {
        let mut told = F::default();
        for namespace in self.namespaces.clone() {
            let own = vec![format!("__name__=~\"{names}\""), namespace];
            let query = format!("{{{}}}{suffix}", self.prometheus.matchers(own));
            let mut take = |series| told.row(&Row { series: &series });
            match self.prometheus.instant_each(&query, self.time, &mut take).await {
                Ok(said) => {
                    if said.partial {
                        self.partial.insert(what);
                    }
                    let gap = |(cause, words)| self.prometheus.gap(what, cause, words);
                    self.gaps.extend(said.notes.into_iter().map(gap));
                }
                Err(e) => {
                    self.gaps.push(self.prometheus.gap(what, e.cause, e.detail));
                    self.failed.insert(what);
                    return F::default();
                }
            }
        }
        told
    }
}

/// One sample, read by the names of its labels.
struct Row<'a> {
    series: &'a InstantSeries,
}

impl<'a> Row<'a> {
    fn label(&self, name: &str) -> &'a str {
        let labels = &self.series.metric;
        let get = |n: &str| labels.get(n).map(String::as_str).filter(|v| !v.is_empty());
        get(&format!("exported_{name}")).or_else(|| get(name)).unwrap_or("")
    }
    fn metric(&self) -> &'a str {
        self.series.metric.get("__name__").map_or("", String::as_str)
    }
    fn value(&self) -> f64 {
        self.series.value
    }
    fn pod(&self) -> (String, String) {
        (self.label("namespace").to_owned(), self.label("pod").to_owned())
    }
    fn time(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.value() as i64)
    }
}

/// Namespace and name.
type Name = (String, String);

/// Kind and name of an owner.
type Owner = (String, String);

/// States of pods, autoscalers and rollouts.
#[derive(Default)]
struct States {
    pods: BTreeMap<Name, PodState>,
    conditions: BTreeMap<Name, Vec<Condition>>,
    /// Conditions of Deployments.
    rollouts: BTreeMap<Name, Vec<Condition>>,
}

#[derive(Default)]
struct PodState {
    phase: Option<PodPhase>,
    reason: Option<String>,
    unschedulable: bool,
    containers: BTreeMap<String, StateOfContainer>,
}

#[derive(Default)]
struct StateOfContainer {
    state: Option<ContainerState>,
    last_reason: Option<String>,
}

/// What pods are, apart from their states.
#[derive(Default)]
struct Pods {
    pods: BTreeMap<Name, PodRow>,
}

#[derive(Default)]
struct PodRow {
    owner: Option<Owner>,
    node: Option<String>,
    created: Option<Timestamp>,
    gone_by: Option<Timestamp>,
    known: bool,
    containers: BTreeMap<String, Container>,
}

impl PodRow {
    fn container(&mut self, name: &str) -> &mut Container {
        self.containers.entry(name.to_owned()).or_insert_with(|| Container {
            name: name.to_owned(),
            role: ContainerRole::Main,
            image: String::new(),
            resources: Resources::default(),
            state: None,
            last_termination: None,
            restarts: None,
            ready: None,
            ..Container::default()
        })
    }
}

/// Workloads, who owns what is between them and their pods, and autoscalers without their conditions.
#[derive(Default)]
struct Workloads {
    replica_sets: BTreeMap<Name, Owner>,
    jobs: BTreeMap<Name, Owner>,
    workloads: BTreeMap<WorkloadId, Counts>,
    hpas: BTreeMap<Name, Hpa>,
}

fn assemble(
    mut states: States,
    pods: Pods,
    told: Workloads,
    kinds: &BTreeSet<ObjectKind>,
    out: &mut Objects,
) {
    let Workloads { replica_sets, jobs, mut workloads, hpas } = told;
    let owner_of = |namespace: &str, pod: &str, row: &PodRow| -> WorkloadId {
        let none = || WorkloadId::new(namespace, "Pod", pod);
        let Some((kind, name)) = &row.owner else { return none() };
        let above = match kind.as_str() {
            "ReplicaSet" => replica_sets.get(&(namespace.to_owned(), name.clone())),
            "Job" => jobs.get(&(namespace.to_owned(), name.clone())),
            "Node" => return none(),
            _ => None,
        };
        let (kind, name) = above.unwrap_or(&(kind.clone(), name.clone())).clone();
        WorkloadId { namespace: namespace.to_owned(), kind, name }
    };
    let mut revisions: BTreeMap<WorkloadId, Vec<Revision>> = BTreeMap::new();
    for ((namespace, name), (kind, owner)) in replica_sets.iter().chain(&jobs) {
        let id = WorkloadId { namespace: namespace.clone(), kind: kind.clone(), name: owner.clone() };
        revisions.entry(id).or_default().push(Revision { name: name.clone(), created: None });
    }
    for (key, mut row) in pods.pods {
        if !row.known {
            continue;
        }
        let state = states.pods.remove(&key).unwrap_or_default();
        for (name, told) in state.containers {
            let container = row.container(&name);
            container.state = told.state.or(container.state.take());
            if let Some(reason) = told.last_reason {
                container.last_termination.get_or_insert_default().reason = reason;
            }
        }
        let (namespace, name) = key;
        let id = owner_of(&namespace, &name, &row);
        workloads.entry(id.clone()).or_default();
        let containers = std::mem::take(&mut row.containers);
        let mains: Vec<Option<bool>> =
            containers.values().filter(|c| c.role == ContainerRole::Main).map(|c| c.ready).collect();
        let ready = mains.iter().copied().collect::<Option<Vec<bool>>>().filter(|all| !all.is_empty());
        let phase = state.phase.unwrap_or_else(|| phase_of(&containers, id.runs_to_completion()));
        out.pods.push(Pod {
            name,
            workload: id,
            phase,
            reason: state.reason,
            node: row.node,
            created: row.created,
            ready: ready.map(|all| all.iter().all(|r| *r)),
            deleting: row.gone_by.is_some(),
            gone_by: row.gone_by,
            unschedulable: state
                .unschedulable
                .then(|| Unschedulable { since: row.created, message: String::new() }),
            containers: containers.into_values().collect(),
            ..Pod::default()
        });
    }
    for (id, (desired, ready, created)) in workloads {
        let replicas = desired.map(|desired| Replicas { desired, ready: ready.unwrap_or(0) });
        let revisions = revisions.remove(&id).unwrap_or_default();
        let conditions = match id.kind.as_str() {
            "Deployment" => states.rollouts.remove(&(id.namespace.clone(), id.name.clone())),
            _ => None,
        };
        let conditions = conditions.unwrap_or_default();
        out.workloads.push(Workload { replicas, created, revisions, conditions, ..Workload::new(id) });
    }
    if kinds.contains(&ObjectKind::Autoscalers) {
        out.hpas = hpas.into_values().filter(|h| h.max_replicas > 0).collect();
        for hpa in &mut out.hpas {
            let key = (hpa.namespace.clone(), hpa.name.clone());
            hpa.conditions = states.conditions.remove(&key).unwrap_or_default();
        }
        let guessed: Vec<_> =
            out.hpas.iter().filter(|h| h.target.name.is_empty()).map(|h| h.name.clone()).collect();
        for hpa in out.hpas.iter_mut().filter(|h| guessed.contains(&h.name) && h.target.name.is_empty()) {
            // Old kube-state-metrics does not tell the target; most autoscalers bear its name.
            hpa.target = ScaleTarget { kind: "Deployment".into(), name: hpa.name.clone() };
        }
    }
}

/// The phase of a pod by the states of its containers, where these tell it.
fn phase_of(containers: &BTreeMap<String, Container>, ends: bool) -> PodPhase {
    let mains = || containers.values().filter(|c| c.role == ContainerRole::Main);
    if mains().any(|c| matches!(c.state, Some(ContainerState::Running { .. }))) {
        return PodPhase::Running;
    }
    let completed = |c: &Container| matches!(&c.state, Some(ContainerState::Terminated(end)) if end.reason == "Completed");
    // One that failed may be started again, and so may any outside of a job.
    if ends && mains().next().is_some() && mains().all(completed) {
        return PodPhase::Succeeded;
    }
    PodPhase::NotReported
}

impl Pods {
    fn pod(&mut self, row: &Row<'_>) -> &mut PodRow {
        self.pods.entry(row.pod()).or_default()
    }
    fn container(&mut self, row: &Row<'_>) -> &mut Container {
        self.pod(row).container(row.label("container"))
    }
}

impl Fold for Pods {
    fn row(&mut self, row: &Row<'_>) {
        let resource = row.label("resource");
        let (bytes, cores) = (Some(Bytes(row.value())), Some(Cores(row.value())));
        // Of init containers, native sidecars among them, the same is told under names of their own.
        let metric = row.metric().replacen("kube_pod_init_container_", "kube_pod_container_", 1);
        match metric.as_str() {
            "kube_pod_info" => {
                let pod = self.pod(row);
                pod.known = true;
                pod.node = Some(row.label("node").to_owned()).filter(|n| !n.is_empty());
                let created_by =
                    (row.label("created_by_kind").to_owned(), row.label("created_by_name").to_owned());
                if !created_by.1.is_empty() && !created_by.0.starts_with('<') {
                    pod.owner.get_or_insert(created_by);
                }
            }
            "kube_pod_owner" => {
                let owner = (row.label("owner_kind").to_owned(), row.label("owner_name").to_owned());
                if !owner.1.is_empty() && !owner.0.starts_with('<') {
                    self.pod(row).owner = Some(owner);
                }
            }
            "kube_pod_created" => self.pod(row).created = Some(row.time()),
            "kube_pod_deletion_timestamp" => self.pod(row).gone_by = Some(row.time()),
            "kube_pod_container_info" => {
                let found = self.container(row);
                found.image = row.label("image").to_owned();
                found.role = match (row.metric(), row.label("restart_policy")) {
                    ("kube_pod_container_info", _) => ContainerRole::Main,
                    (_, "Always") => ContainerRole::Sidecar,
                    _ => ContainerRole::Init,
                };
            }
            "kube_pod_container_resource_requests" if resource == "memory" => {
                self.container(row).resources.memory_request = bytes
            }
            "kube_pod_container_resource_requests" if resource == "cpu" => {
                self.container(row).resources.cpu_request = cores
            }
            "kube_pod_container_resource_limits" if resource == "memory" => {
                self.container(row).resources.memory_limit = bytes
            }
            "kube_pod_container_resource_limits" if resource == "cpu" => {
                self.container(row).resources.cpu_limit = cores
            }
            "kube_pod_container_resource_requests_memory_bytes" => {
                self.container(row).resources.memory_request = bytes
            }
            "kube_pod_container_resource_limits_memory_bytes" => {
                self.container(row).resources.memory_limit = bytes
            }
            "kube_pod_container_resource_requests_cpu_cores" => {
                self.container(row).resources.cpu_request = cores
            }
            "kube_pod_container_resource_limits_cpu_cores" => self.container(row).resources.cpu_limit = cores,
            "kube_pod_container_status_restarts_total" => {
                self.container(row).restarts = Some(row.value().max(0.0) as u32)
            }
            "kube_pod_container_status_ready" => self.container(row).ready = Some(row.value() > 0.0),
            "kube_pod_container_state_started" => {
                self.container(row).state = Some(ContainerState::Running { started: Some(row.time()) });
            }
            "kube_pod_container_status_last_terminated_exitcode" => {
                self.container(row).last_termination.get_or_insert_default().exit_code =
                    Some(row.value() as i32);
            }
            "kube_pod_container_status_last_terminated_timestamp" => {
                self.container(row).last_termination.get_or_insert_default().finished = Some(row.time());
            }
            _ => {}
        }
    }
}

impl States {
    fn pod(&mut self, row: &Row<'_>) -> &mut PodState {
        self.pods.entry(row.pod()).or_default()
    }
    fn container(&mut self, row: &Row<'_>) -> &mut StateOfContainer {
        self.pod(row).containers.entry(row.label("container").to_owned()).or_default()
    }
}

impl Fold for States {
    fn row(&mut self, row: &Row<'_>) {
        let reason = || row.label("reason").to_owned();
        let metric = row.metric().replacen("kube_pod_init_container_", "kube_pod_container_", 1);
        match metric.as_str() {
            "kube_pod_status_phase" => {
                self.pod(row).phase = Some(match row.label("phase") {
                    "Pending" => PodPhase::Pending,
                    "Running" => PodPhase::Running,
                    "Succeeded" => PodPhase::Succeeded,
                    "Failed" => PodPhase::Failed,
                    _ => PodPhase::Unknown,
                });
            }
            "kube_pod_status_reason" => self.pod(row).reason = Some(reason()),
            "kube_pod_status_unschedulable" => self.pod(row).unschedulable = true,
            "kube_pod_container_status_running" => {
                self.container(row).state = Some(ContainerState::Running { started: None });
            }
            "kube_pod_container_status_waiting_reason" => {
                let state = ContainerState::Waiting { reason: reason(), message: String::new() };
                self.container(row).state = Some(state);
            }
            "kube_pod_container_status_terminated_reason" => {
                let ended = Termination { reason: reason(), ..Termination::default() };
                self.container(row).state = Some(ContainerState::Terminated(ended));
            }
            "kube_pod_container_status_last_terminated_reason" => {
                self.container(row).last_reason = Some(reason());
            }
            "kube_horizontalpodautoscaler_status_condition" | "kube_hpa_status_condition" => {
                let Some(name) = autoscaler(row) else { return };
                let condition = condition(row);
                let all = self.conditions.entry(name).or_default();
                if !all.contains(&condition) {
                    all.push(condition);
                }
            }
            "kube_deployment_status_condition" if ROLLOUT_CONDITIONS.contains(&row.label("condition")) => {
                let name = (row.label("namespace").to_owned(), row.label("deployment").to_owned());
                let condition = condition(row);
                let all = self.rollouts.entry(name).or_default();
                if !all.contains(&condition) {
                    all.push(condition);
                }
            }
            _ => {}
        }
    }
}

/// The condition of an object that a row tells; newer versions tell its reason, none since when.
fn condition(row: &Row<'_>) -> Condition {
    Condition {
        kind: row.label("condition").to_owned(),
        status: match row.label("status") {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        },
        reason: row.label("reason").to_owned(),
        message: String::new(),
        since: None,
    }
}

/// Namespace and name of the autoscaler of a row.
fn autoscaler(row: &Row<'_>) -> Option<Name> {
    let name =
        [row.label("horizontalpodautoscaler"), row.label("hpa")].into_iter().find(|n| !n.is_empty())?;
    Some((row.label("namespace").to_owned(), name.to_owned()))
}

/// Which field of a workload a sample sets.
enum Count {
    Desired,
    Ready,
    Created,
    None,
}

/// Replicas asked for, replicas ready, creation.
type Counts = (Option<u32>, Option<u32>, Option<Timestamp>);

impl Fold for Workloads {
    fn row(&mut self, row: &Row<'_>) {
        workload_row(row, &mut self.replica_sets, &mut self.jobs, &mut self.workloads);
        hpa_row(row, &mut self.hpas);
    }
}

fn workload_row(
    row: &Row<'_>,
    replica_sets: &mut BTreeMap<Name, Owner>,
    jobs: &mut BTreeMap<Name, Owner>,
    workloads: &mut BTreeMap<WorkloadId, Counts>,
) {
    let namespace = row.label("namespace");
    let owner = || (row.label("owner_kind").to_owned(), row.label("owner_name").to_owned());
    let owned = !row.label("owner_name").is_empty() && !row.label("owner_kind").starts_with('<');
    let count = Some(row.value().max(0.0) as u32);
    let mut set = |kind: &str, label: &str, which: Count| {
        if row.label(label).is_empty() {
            return;
        }
        let counts = workloads.entry(WorkloadId::new(namespace, kind, row.label(label))).or_default();
        match which {
            Count::Desired => counts.0 = count,
            Count::Ready => counts.1 = count.max(counts.1),
            Count::Created => counts.2 = Some(row.time()),
            Count::None => {}
        }
    };
    match row.metric() {
        "kube_replicaset_owner" if owned => {
            replica_sets.insert((namespace.to_owned(), row.label("replicaset").to_owned()), owner());
        }
        "kube_job_owner" if owned => {
            jobs.insert((namespace.to_owned(), row.label("job_name").to_owned()), owner());
        }
        "kube_deployment_spec_replicas" => set("Deployment", "deployment", Count::Desired),
        "kube_deployment_status_replicas_ready" | "kube_deployment_status_replicas_available" => {
            set("Deployment", "deployment", Count::Ready)
        }
        "kube_deployment_created" => set("Deployment", "deployment", Count::Created),
        "kube_statefulset_replicas" => set("StatefulSet", "statefulset", Count::Desired),
        "kube_statefulset_status_replicas_ready" => set("StatefulSet", "statefulset", Count::Ready),
        "kube_statefulset_created" => set("StatefulSet", "statefulset", Count::Created),
        "kube_daemonset_status_desired_number_scheduled" => set("DaemonSet", "daemonset", Count::Desired),
        "kube_daemonset_status_number_ready" => set("DaemonSet", "daemonset", Count::Ready),
        "kube_daemonset_created" => set("DaemonSet", "daemonset", Count::Created),
        "kube_cronjob_info" => set("CronJob", "cronjob", Count::None),
        _ => {}
    }
}

fn hpa_row(row: &Row<'_>, hpas: &mut BTreeMap<Name, Hpa>) {
    let Some(what) = row
        .metric()
        .strip_prefix("kube_horizontalpodautoscaler_")
        .or_else(|| row.metric().strip_prefix("kube_hpa_"))
    else {
        return;
    };
    let Some(name) = autoscaler(row) else { return };
    let hpa = hpas.entry(name).or_insert_with_key(|(namespace, name)| Hpa {
        namespace: namespace.clone(),
        name: name.clone(),
        target: ScaleTarget { kind: String::new(), name: String::new() },
        min_replicas: 1,
        max_replicas: 0,
        current_replicas: 0,
        desired_replicas: 0,
        metrics: Vec::new(),
        conditions: Vec::new(),
        reports_current: false,
    });
    let count = row.value().max(0.0) as u32;
    let utilization = row.label("metric_target_type") == "utilization";
    let scaled = if utilization { row.value() / 100.0 } else { row.value() };
    let metric = |hpa: &mut Hpa| -> usize {
        let name = row.label("metric_name");
        hpa.metrics.iter().position(|m| m.name == name && m.utilization == utilization).unwrap_or_else(|| {
            hpa.metrics.push(HpaMetric { name: name.to_owned(), target: None, current: None, utilization });
            hpa.metrics.len() - 1
        })
    };
    match what {
        "info" => {
            hpa.target = ScaleTarget {
                kind: row.label("scaletargetref_kind").to_owned(),
                name: row.label("scaletargetref_name").to_owned(),
            };
        }
        "spec_min_replicas" => hpa.min_replicas = count,
        "spec_max_replicas" => hpa.max_replicas = count,
        "status_current_replicas" => hpa.current_replicas = count,
        "status_desired_replicas" => hpa.desired_replicas = count,
        "spec_target_metric" => {
            let at = metric(hpa);
            hpa.metrics[at].target = Some(scaled);
        }
        "status_target_metric" => {
            let at = metric(hpa);
            hpa.metrics[at].current = Some(scaled);
            hpa.reports_current = true;
        }
        _ => {}
    }
}
