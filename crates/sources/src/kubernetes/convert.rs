//! From the API's objects to those of the model.

use std::collections::BTreeMap;

use healthcore::image;
use healthcore::model::{
    Condition, Container, ContainerRole, ContainerState, Event, Eviction, Hpa, HpaMetric, Node, Pod,
    PodPhase, Probes, ROLLOUT_CONDITIONS, Replicas, Resources, ScaleTarget, Termination, Unschedulable,
    Update, WorkloadId,
};
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Cores, parse_quantity};

use super::placement::{NodeEntry, Placement, Taint};
use super::{jvm, wire};

/// Longest message that is kept of a container or an event. Unit: bytes.
const LONGEST_MESSAGE: usize = 1024;

/// The taint that the node controller gives a node on which no pod is to be placed.
const CORDONED: &str = "node.kubernetes.io/unschedulable";

/// A field of an object that could not be read: `namespace/name: why`.
pub(super) type Troubles = Vec<String>;

/// A pod and the owner that it names, which may itself be owned.
#[derive(Debug, PartialEq)]
pub(super) struct PodEntry {
    pub(super) pod: Pod,
    pub(super) owner: Option<wire::OwnerReference>,
    /// Kind of the owner behind the ReplicaSet, and the hash that the ReplicaSet's name ends with.
    pub(super) template: Option<(&'static str, String)>,
    pub(super) marks: BTreeMap<String, String>,
    /// All its labels, where something selects by them.
    pub(super) labels: BTreeMap<String, String>,
    /// Names of the PersistentVolumeClaims that it mounts.
    pub(super) claims: Vec<String>,
    /// Names of the Secrets that it mounts.
    pub(super) secrets: Vec<String>,
    /// Options of JVMs, by the place of the container in the pod.
    pub(super) options: Vec<(usize, jvm::Options)>,
    /// What decides on which nodes it may be placed; none where nothing does.
    pub(super) placement: Option<Box<Placement>>,
}

/// A Deployment, StatefulSet, DaemonSet, Job, CronJob or ReplicaSet.
#[derive(Debug, PartialEq)]
pub(super) struct ControllerEntry {
    pub(super) id: WorkloadId,
    pub(super) replicas: Option<Replicas>,
    pub(super) created: Option<Timestamp>,
    pub(super) owner: Option<wire::OwnerReference>,
    pub(super) marks: BTreeMap<String, String>,
    /// Those of a Deployment that tell of its rollout.
    pub(super) conditions: Vec<Condition>,
    pub(super) update: Option<Update>,
    /// Labels of the pods that it would have: where it is scaled to zero, and of a ReplicaSet of another owner than a
    /// Deployment, which may be.
    pub(super) pod_labels: Option<BTreeMap<String, String>>,
}

/// Kinds of Kubernetes itself that own pods, or what stands before them.
const OF_KUBERNETES: [&str; 7] =
    ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "CronJob", "Job", "Pod"];

/// A kind, with its API group where Kubernetes itself has another kind of that name, as kubectl takes it:
/// `StatefulSet.apps.kruise.io`, `Job.batch.volcano.sh`.
pub(super) fn kind_in_full(api_version: &str, kind: &str) -> String {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    // Old objects still name the group that their kind had before.
    if OF_KUBERNETES.contains(&kind) && !["", "apps", "batch", "extensions"].contains(&group) {
        return format!("{kind}.{group}");
    }
    kind.to_owned()
}

fn controller_of(meta: &mut wire::Meta) -> Option<wire::OwnerReference> {
    let at = meta.owner_references.iter().position(|o| o.controller)?;
    let owner = meta.owner_references.swap_remove(at);
    Some(wire::OwnerReference { kind: kind_in_full(&owner.api_version, &owner.kind), ..owner })
}

/// Annotations before labels, those named first before those named later.
fn marks<'a>(metas: impl IntoIterator<Item = &'a mut wire::Meta>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for meta in metas {
        for (key, value) in
            meta.annotations.healthcheck.drain(..).chain(meta.labels.marks.healthcheck.drain(..))
        {
            out.entry(key).or_insert(value);
        }
    }
    out
}

fn time(at: Option<wire::Time>) -> Option<Timestamp> {
    at.map(|t| t.0)
}

pub(super) fn cut(mut message: String) -> String {
    if message.len() > LONGEST_MESSAGE {
        let mut end = LONGEST_MESSAGE;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
        message.shrink_to_fit();
    }
    message
}

/// A pod, without the labels that may select it.
pub(super) fn pod(raw: wire::Pod, troubles: &mut Troubles) -> Option<PodEntry> {
    let entry = labelled_pod(raw, troubles)?;
    Some(PodEntry { labels: BTreeMap::new(), ..entry })
}

/// A pod with the labels that may select it.
pub(super) fn labelled_pod(raw: wire::Pod, troubles: &mut Troubles) -> Option<PodEntry> {
    let wire::Pod { metadata: mut meta, spec, status } = raw;
    let owner = controller_of(&mut meta);
    let template = meta.labels.marks.template.take();
    let labels = std::mem::take(&mut meta.labels.all);
    let marks = marks([&mut meta]);
    let at = format!("{}/{}", meta.namespace, meta.name);

    let mut containers = Vec::with_capacity(spec.init_containers.len() + spec.containers.len());
    let mut options = Vec::new();
    let mut add = |mut raw: wire::Container, role, statuses: &mut Vec<wire::ContainerStatus>| {
        let own = std::mem::take(&mut raw.options);
        if own != jvm::Options::default() {
            options.push((containers.len(), own));
        }
        let status = statuses.iter().position(|s| s.name == raw.name).map(|i| statuses.swap_remove(i));
        containers.push(container(raw, role, status, &at, troubles));
    };
    let mut statuses = status.init_container_statuses;
    for raw in spec.init_containers {
        let role = match raw.restart_policy.as_deref() {
            Some("Always") => ContainerRole::Sidecar,
            _ => ContainerRole::Init,
        };
        add(raw, role, &mut statuses);
    }
    let mut statuses = status.container_statuses;
    for raw in spec.containers {
        add(raw, ContainerRole::Main, &mut statuses);
    }

    let of_pod = resources(spec.resources, &at, troubles);
    let mut staying = containers.iter_mut().filter(|c| c.role != ContainerRole::Init);
    if let (Some(only), None) = (staying.next(), staying.next()) {
        // What the pod may use it alone uses.
        only.resources = only.resources.or(of_pod);
    }

    let secrets = spec.volumes.iter().flat_map(wire::Volume::secrets).collect();
    let claims = spec.volumes.into_iter().filter_map(|volume| match volume.persistent_volume_claim {
        Some(claim) => Some(claim.claim_name),
        None => volume.ephemeral.map(|_| format!("{}-{}", meta.name, volume.name)),
    });
    let claims = claims.collect();

    let condition = |kind: &str| status.conditions.iter().find(|c| c.kind == kind);
    let gated =
        condition("PodScheduled").is_some_and(|c| c.status == "False" && c.reason == "SchedulingGated");
    let unschedulable = condition("PodScheduled")
        // Gated pods wait on purpose.
        .filter(|c| c.status == "False" && !gated)
        .map(|c| Unschedulable { since: time(c.last_transition_time), message: cut(c.message.clone()) });
    // `DisruptionTarget` since Kubernetes 1.26; before it the pod stopped being ready then.
    let evicted_at =
        || condition("DisruptionTarget").or(condition("Ready")).and_then(|c| time(c.last_transition_time));
    let eviction = (status.reason.as_deref() == Some("Evicted"))
        .then(|| Eviction { at: evicted_at(), message: cut(status.message.clone()) });
    let ready = condition("Ready").and_then(|c| truth(&c.status));
    let phase = match status.phase.as_str() {
        "Pending" => PodPhase::Pending,
        "Running" => PodPhase::Running,
        "Succeeded" => PodPhase::Succeeded,
        "Failed" => PodPhase::Failed,
        _ => PodPhase::Unknown,
    };
    Some(PodEntry {
        pod: Pod {
            // Its own name until the owners are known.
            workload: WorkloadId { namespace: meta.namespace, kind: "Pod".into(), name: String::new() },
            name: meta.name,
            phase,
            reason: status.reason.filter(|r| !r.is_empty()),
            eviction,
            node: spec.node_name.filter(|n| !n.is_empty()),
            architecture: None,
            system: String::new(),
            places: BTreeMap::new(),
            created: time(meta.creation_timestamp),
            ready,
            deleting: meta.deletion_timestamp.is_some(),
            gone_by: time(meta.deletion_timestamp),
            unschedulable,
            gated,
            resources: of_pod,
            containers,
        },
        owner,
        template,
        marks,
        labels,
        claims,
        secrets,
        options,
        placement: Placement::of(spec.node_selector, spec.affinity, spec.tolerations),
    })
}

fn container(
    raw: wire::Container,
    role: ContainerRole,
    status: Option<wire::ContainerStatus>,
    at: &str,
    troubles: &mut Troubles,
) -> Container {
    let resources = resources(raw.resources, &format!("{at}: container {}", raw.name), troubles);
    let mut container = Container {
        name: raw.name,
        role,
        image: raw.image,
        pull_policy: raw.image_pull_policy,
        probes: Some(Probes {
            liveness: raw.liveness_probe.is_some(),
            readiness: raw.readiness_probe.is_some(),
            startup: raw.startup_probe.is_some(),
        }),
        resources,
        ..Container::default()
    };
    if let Some(status) = status {
        container.state = state(status.state);
        container.last_termination = status.last_state.terminated.map(termination);
        container.image_id = status.image_id;
        container.restarts = status.restart_count;
        container.ready = status.ready;
    }
    container
}

fn resources(raw: wire::Resources, at: &str, troubles: &mut Troubles) -> Resources {
    let mut amount = |quantity: Option<wire::Quantity>, what: &str| match quantity_of(quantity) {
        // As in Kubernetes, 0 asks for nothing and limits nothing.
        Ok(amount) => amount.filter(|n| *n > 0.0),
        Err(e) => {
            troubles.push(format!("{at}: {what}: {e}"));
            None
        }
    };
    Resources {
        memory_request: amount(raw.requests.memory, "memory request").map(Bytes),
        memory_limit: amount(raw.limits.memory, "memory limit").map(Bytes),
        cpu_request: amount(raw.requests.cpu, "cpu request").map(Cores),
        cpu_limit: amount(raw.limits.cpu, "cpu limit").map(Cores),
    }
}

fn quantity_of(quantity: Option<wire::Quantity>) -> Result<Option<f64>, healthcore::unit::UnitError> {
    quantity.map(|q| parse_quantity(&q.0)).transpose()
}

fn state(state: wire::State) -> Option<ContainerState> {
    match state {
        wire::State { terminated: Some(t), .. } => Some(ContainerState::Terminated(termination(t))),
        wire::State { running: Some(r), .. } => Some(ContainerState::Running { started: time(r.started_at) }),
        wire::State { waiting: Some(w), .. } => {
            Some(ContainerState::Waiting { reason: w.reason, message: cut(w.message) })
        }
        _ => None,
    }
}

fn termination(raw: wire::Terminated) -> Termination {
    // A container that the kubelet lost has the zero time, 1970 or before.
    let real = |at: Option<wire::Time>| time(at).filter(|t| t.0 > 0);
    Termination {
        reason: raw.reason,
        exit_code: raw.exit_code,
        message: cut(raw.message),
        started: real(raw.started_at),
        finished: real(raw.finished_at),
    }
}

fn truth(status: &str) -> Option<bool> {
    match status {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// A Deployment or StatefulSet.
pub(super) fn scaled(kind: &str, raw: wire::Controller) -> ControllerEntry {
    let replicas = Replicas {
        desired: raw.spec.replicas.unwrap_or(1),
        ready: raw.status.ready_replicas.unwrap_or_default(),
    };
    controller(kind, raw, replicas)
}

/// A DaemonSet, which has as many replicas as there are nodes for it.
pub(super) fn daemon_set(raw: wire::Controller) -> ControllerEntry {
    let replicas = Replicas {
        desired: raw.status.desired_number_scheduled.unwrap_or_default(),
        ready: raw.status.number_ready.unwrap_or_default(),
    };
    controller("DaemonSet", raw, replicas)
}

fn controller(kind: &str, raw: wire::Controller, replicas: Replicas) -> ControllerEntry {
    let update = update(kind, &raw, replicas);
    let wire::Controller { metadata: mut meta, spec, status } = raw;
    let told = if kind == "Deployment" { status.conditions } else { Vec::new() };
    let of_rollout = told.into_iter().filter(|c| ROLLOUT_CONDITIONS.contains(&c.kind.as_str())).collect();
    let wire::TemplateMeta { labels, annotations } = spec.template.metadata;
    let mut of_template = wire::Meta { annotations, ..wire::Meta::default() };
    let own = |(key, value): (&String, &String)| {
        key.starts_with("healthcheck/").then(|| (key.clone(), value.clone()))
    };
    of_template.labels.marks.healthcheck = labels.iter().filter_map(own).collect();
    ControllerEntry {
        replicas: Some(replicas),
        created: time(meta.creation_timestamp),
        marks: marks([&mut meta, &mut of_template]),
        conditions: conditions(of_rollout),
        update,
        pod_labels: (replicas.desired == 0).then_some(labels),
        owner: controller_of(&mut meta),
        id: WorkloadId { namespace: meta.namespace, kind: kind.to_owned(), name: meta.name },
    }
}

/// How far a StatefulSet or DaemonSet is with its newest revision, once its controller has seen that.
fn update(kind: &str, raw: &wire::Controller, replicas: Replicas) -> Option<Update> {
    let (status, strategy) = (&raw.status, &raw.spec.update_strategy);
    if strategy.kind == "OnDelete" || status.observed_generation < raw.metadata.generation.max(1) {
        return None;
    }
    let update = match kind {
        "StatefulSet" if status.current_revision != status.update_revision => Update {
            updated: status.updated_replicas,
            wanted: replicas.desired.saturating_sub(strategy.rolling_update.partition),
        },
        "DaemonSet" => Update { updated: status.updated_number_scheduled, wanted: replicas.desired },
        _ => return None,
    };
    (update.updated < update.wanted).then_some(update)
}

/// A Job, CronJob or ReplicaSet, of which only the metadata are read.
pub(super) fn unscaled(kind: &str, raw: wire::MetaOnly) -> ControllerEntry {
    let mut meta = raw.metadata;
    let owner = controller_of(&mut meta);
    let of_another = kind == "ReplicaSet" && owner.as_ref().is_some_and(|o| o.kind != "Deployment");
    ControllerEntry {
        replicas: None,
        created: time(meta.creation_timestamp),
        marks: marks([&mut meta]),
        conditions: Vec::new(),
        update: None,
        pod_labels: of_another.then(|| std::mem::take(&mut meta.labels.all)),
        owner,
        id: WorkloadId { namespace: meta.namespace, kind: kind.to_owned(), name: meta.name },
    }
}

/// Conditions as the API sends them.
pub(super) fn conditions(raw: Vec<wire::Condition>) -> Vec<Condition> {
    raw.into_iter()
        .map(|c| Condition {
            status: truth(&c.status),
            kind: c.kind,
            reason: c.reason,
            message: cut(c.message),
            since: time(c.last_transition_time),
        })
        .collect()
}

/// An autoscaler of `autoscaling/v2` or `v2beta2`.
pub(super) fn hpa(raw: wire::Hpa, troubles: &mut Troubles) -> Option<Hpa> {
    let at = format!("{}/{}", raw.metadata.namespace, raw.metadata.name);
    let mut seen: Vec<(String, MetricAmount)> = Vec::new();
    for metric in &raw.status.current_metrics {
        // A metric that could not be read is sent as an empty one.
        if let Some((id, amount)) = metric_amount(metric, &at, troubles) {
            seen.push((id, amount));
        }
    }
    let mut metrics = Vec::with_capacity(raw.spec.metrics.len());
    for metric in &raw.spec.metrics {
        let Some((id, target)) = metric_amount(metric, &at, troubles) else { continue };
        let current = seen.iter().position(|(other, _)| *other == id).map(|i| seen.remove(i).1);
        let current = current.unwrap_or_default();
        metrics.push(HpaMetric {
            name: target.name,
            target: if target.ratio.is_some() { target.ratio } else { target.amount },
            current: if target.ratio.is_some() { current.ratio } else { current.amount },
            utilization: target.ratio.is_some(),
        });
    }
    if let Some(percent) = raw.spec.target_cpu_percent {
        metrics.push(HpaMetric {
            name: "cpu".into(),
            target: Some(percent / 100.0),
            current: raw.status.current_cpu_percent.map(|p| p / 100.0),
            utilization: true,
        });
    }
    let conditions = conditions(raw.status.conditions);
    let wire::ScaleTargetRef { api_version, kind, name } = raw.spec.scale_target_ref;
    Some(Hpa {
        namespace: raw.metadata.namespace,
        name: raw.metadata.name,
        target: ScaleTarget { kind: kind_in_full(&api_version, &kind), name },
        min_replicas: raw.spec.min_replicas.unwrap_or(1),
        max_replicas: raw.spec.max_replicas,
        current_replicas: raw.status.current_replicas,
        desired_replicas: raw.status.desired_replicas,
        metrics,
        conditions,
        reports_current: true,
    })
}

#[derive(Default)]
struct MetricAmount {
    name: String,
    ratio: Option<f64>,
    amount: Option<f64>,
}

/// What tells the metric from the others of its autoscaler, and its amount as a ratio or in its own unit.
fn metric_amount(
    metric: &wire::HpaMetric,
    at: &str,
    troubles: &mut Troubles,
) -> Option<(String, MetricAmount)> {
    let source = match metric.kind.as_str() {
        "Resource" => metric.resource.as_ref(),
        "ContainerResource" => metric.container_resource.as_ref(),
        "Pods" => metric.pods.as_ref(),
        "Object" => metric.object.as_ref(),
        "External" => metric.external.as_ref(),
        _ => None,
    }?;
    let custom = source.metric.as_ref().map(|m| m.name.as_str());
    let object = source.described_object.as_ref().map(|o| format!("{}/{}", o.kind, o.name));
    let name = match (custom, &source.container) {
        (Some(custom), _) => custom.to_owned(),
        (None, Some(container)) => format!("{} of container {container}", source.name),
        (None, None) => source.name.clone(),
    };
    let value = &source.target;
    let quantity = value.average_value.clone().or_else(|| value.value.clone());
    let amount = quantity_of(quantity).unwrap_or_else(|e| {
        troubles.push(format!("{at}: metric {name}: {e}"));
        None
    });
    let id = format!("{} {name} {}", metric.kind, object.unwrap_or_default());
    Some((id, MetricAmount { name, ratio: value.average_utilization.map(|p| p / 100.0), amount }))
}

/// An event, unless it is of type Normal.
pub(super) fn event(raw: wire::Event, _: &mut Troubles) -> Option<Event> {
    if raw.kind == "Normal" {
        return None;
    }
    let series = raw.series.unwrap_or(wire::EventSeries { count: None, last_observed_time: None });
    let first = time(raw.first_timestamp.or(raw.event_time).or(raw.metadata.creation_timestamp));
    let last = time(series.last_observed_time.or(raw.last_timestamp).or(raw.event_time)).or(first);
    Some(Event {
        namespace: raw.involved_object.namespace,
        kind: kind_in_full(&raw.involved_object.api_version, &raw.involved_object.kind),
        name: raw.involved_object.name,
        reason: raw.reason,
        message: cut(raw.message),
        count: series.count.or(raw.count).unwrap_or(1).max(1),
        first,
        last,
        seen: None,
    })
}

/// Counts events with equal object, reason and message together; in order.
pub(super) fn fold_events(events: Vec<Event>) -> Vec<Event> {
    let mut folded: BTreeMap<[String; 5], Event> = BTreeMap::new();
    for event in events {
        let key = [
            event.namespace.clone(),
            event.kind.clone(),
            event.name.clone(),
            event.reason.clone(),
            event.message.clone(),
        ];
        match folded.entry(key) {
            std::collections::btree_map::Entry::Vacant(new) => {
                new.insert(event);
            }
            std::collections::btree_map::Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.count = known.count.saturating_add(event.count);
                known.first = [known.first, event.first].into_iter().flatten().min();
                known.last = known.last.max(event.last);
            }
        }
    }
    folded.into_values().collect()
}

/// A node, without what decides which pods it takes.
pub(super) fn node(raw: wire::Node, troubles: &mut Troubles) -> Option<NodeEntry> {
    let entry = placed_node(raw, troubles)?;
    Some(NodeEntry { platform: None, labels: BTreeMap::new(), taints: Vec::new(), ..entry })
}

/// A node with what decides which pods it takes.
pub(super) fn placed_node(raw: wire::Node, troubles: &mut Troubles) -> Option<NodeEntry> {
    let name = raw.metadata.name;
    let mut amount = |quantity, what| {
        quantity_of(quantity).unwrap_or_else(|e| {
            troubles.push(format!("node {name}: allocatable {what}: {e}"));
            None
        })
    };
    let allocatable_cpu = amount(raw.status.allocatable.cpu, "cpu").map(Cores);
    let allocatable_memory = amount(raw.status.allocatable.memory, "memory").map(Bytes);
    let allocatable_pods = amount(raw.status.allocatable.pods, "pods").map(|n| n as u32);
    let cordoned = raw.spec.taints.iter().find(|taint| taint.key == CORDONED);
    let unschedulable_since = cordoned.and_then(|taint| time(taint.time_added));
    let wire::NodeInfo { architecture, operating_system, kubelet_version } = raw.status.node_info;
    let system = if operating_system == "linux" { String::new() } else { operating_system };
    let platform = (!architecture.is_empty()).then(|| image::platform(&system, &architecture));
    let taint = |t: wire::Taint| Taint { key: t.key, value: t.value, effect: t.effect };
    let taints = raw.spec.taints.into_iter().map(taint).collect();
    let node = Node {
        architecture,
        system,
        allocatable_cpu,
        allocatable_memory,
        allocatable_pods,
        pods: None,
        conditions: conditions(raw.status.conditions),
        unschedulable: raw.spec.unschedulable,
        unschedulable_since,
        is_virtual: raw.metadata.labels.get("type").is_some_and(|kind| kind == "virtual-kubelet"),
        kubelet_version,
        created: time(raw.metadata.creation_timestamp),
        name,
    };
    Some(NodeEntry { node, platform, labels: raw.metadata.labels, taints })
}
