//! Everything that is known of (a part of) one cluster at one instant, and why something is not known.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::{Text, Value};
use crate::image::{ImageReference, digest_of};
use crate::inventory::Inventory;
use crate::jvm::Unread;
use crate::logs::LogSummary;
use crate::metric::Metric;
use crate::model::{
    Container, ContainerState, Event, Hpa, Node, ObjectKind, OtherBuild, Pod, PodPhase, PodsOnNode,
    Termination, Workload, WorkloadId,
};
use crate::phrase::{phrase, plain};
use crate::series::SeriesStore;
use crate::time::{Timestamp, Window};
use crate::unit::Seconds;

/// Objects and series of a partition of one cluster: the only input of the analysis.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Name of the cluster as the report shows it.
    pub cluster: String,
    /// When the data were taken: "now" for every check.
    pub taken_at: Timestamp,
    /// The grid of all series.
    pub window: Window,
    /// Kubernetes objects.
    pub objects: Objects,
    /// Time series.
    pub series: SeriesStore,
}

/// What the scheduler says of nodes that have as many pods as they take.
const NO_ROOM: &str = "Too many pods";

/// Kubernetes objects of a partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// Where they come from.
    #[serde(default)]
    pub origin: Origin,
    /// Workloads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<Workload>,
    /// Living and finished pods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<Pod>,
    /// Autoscalers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hpas: Vec<Hpa>,
    /// Warning events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// Nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Node>,
    /// What logs say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogSummary>,
    /// What else the cluster holds; in one part of a cluster only.
    #[serde(default, skip_serializing_if = "Inventory::is_empty")]
    pub inventory: Inventory,
    /// Lists that could not be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<Unavailable>,
}

/// Builds of an image that run under one reference.
#[derive(Default)]
struct Builds {
    /// By digest, the first pod that has it.
    first: BTreeMap<String, OtherBuild>,
    /// When a registry was last asked what the reference stands for, and the digest that it gave.
    pulled: Option<(Timestamp, String)>,
}

impl Builds {
    fn add(&mut self, pod: &Pod, container: &Container, digest: &str) {
        let found = OtherBuild {
            digest: digest.to_owned(),
            namespace: pod.workload.namespace.clone(),
            pod: pod.name.clone(),
            since: pod.created,
            is_newer: false,
        };
        let first = self.first.entry(digest.to_owned()).or_insert_with(|| found.clone());
        let order = |b: &OtherBuild| (b.since, b.namespace.clone(), b.pod.clone());
        if order(&found) < order(first) {
            *first = found;
        }
        // With Always the kubelet asks at every start; with other policies a node starts what it has.
        if let Some(at) = container.started().filter(|_| container.pull_policy == "Always") {
            self.pulled = self.pulled.take().max(Some((at, digest.to_owned())));
        }
    }

    /// What a container that has run this build since that instant is told of: the build that the registry gave last, else the
    /// one that was seen last for the first time.
    fn other(&self, digest: &str, started: Option<Timestamp>) -> Option<OtherBuild> {
        let (other, is_newer) = match &self.pulled {
            Some((at, pulled)) => (self.first.get(pulled)?, started.is_some_and(|t| t < *at)),
            None => (self.first.values().max_by_key(|b| (b.since, &b.digest))?, false),
        };
        (other.digest != digest).then(|| OtherBuild { is_newer, ..other.clone() })
    }
}

impl Objects {
    /// Gives the pods the architecture and operating system of their nodes, before the cluster is cut into parts: nodes are in one of them
    /// only.
    pub fn give_architectures_to_pods(&mut self) {
        let of: BTreeMap<&str, &Node> = self.nodes.iter().map(|n| (n.name.as_str(), n)).collect();
        for pod in &mut self.pods {
            let found = pod.node.as_deref().and_then(|name| of.get(name));
            pod.architecture = found.map(|node| node.architecture.clone()).filter(|a| !a.is_empty());
            pod.system = found.map(|node| node.system.clone()).unwrap_or_default();
        }
    }

    /// Counts the pods of each node, before the cluster is cut into parts. Only for objects of all namespaces: where pods
    /// are not whole, nothing is counted.
    pub fn give_pods_to_nodes(&mut self) {
        let Self { pods, nodes, unavailable, .. } = self;
        if unavailable.iter().any(|list| list.kind == ObjectKind::Pods) {
            return;
        }
        let mut living: BTreeMap<&str, u32> = BTreeMap::new();
        let lives = |pod: &&Pod| !matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed);
        for node in pods.iter().filter(lives).filter_map(|pod| pod.node.as_deref()) {
            *living.entry(node).or_default() += 1;
        }
        let waits = |pod: &&Pod| pod.unschedulable.as_ref().is_some_and(|why| why.message.contains(NO_ROOM));
        let waiting = u32::try_from(pods.iter().filter(waits).count()).unwrap_or(u32::MAX);
        for node in nodes {
            let living = living.get(node.name.as_str()).copied().unwrap_or_default();
            let is_full = node.allocatable_pods.is_some_and(|most| living >= most);
            node.pods = Some(PodsOnNode { living, turned_away: if is_full { waiting } else { 0 } });
        }
    }

    /// Tells containers of other builds that run under the same reference, before the cluster is cut into parts.
    /// Architectures are compared by themselves, because some runtimes report digests by platform.
    pub fn give_other_builds(&mut self) {
        let mut found: BTreeMap<(String, Option<String>), Builds> = BTreeMap::new();
        for pod in &self.pods {
            for container in &pod.containers {
                let Some(digest) = digest_of(&container.image_id) else { continue };
                let reference = ImageReference::new(&container.image);
                if reference.digest.is_none() {
                    let key = (reference.canonical(), pod.architecture.clone());
                    found.entry(key).or_default().add(pod, container, digest);
                }
            }
        }
        found.retain(|_, builds| builds.first.len() > 1);
        if found.is_empty() {
            return;
        }
        for pod in &mut self.pods {
            for container in &mut pod.containers {
                let key = (ImageReference::new(&container.image).canonical(), pod.architecture.clone());
                let builds = found.get(&key);
                container.other_build =
                    builds.and_then(|b| b.other(digest_of(&container.image_id)?, container.started()));
            }
        }
    }

    /// The latest instant that the objects tell of.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        let of_end = |t: &Termination| t.finished.or(t.started);
        let of_container = |c: &Container| {
            let now = match &c.state {
                Some(ContainerState::Running { started }) => *started,
                Some(ContainerState::Terminated(end)) => of_end(end),
                _ => None,
            };
            now.max(c.last_termination.as_ref().and_then(of_end))
        };
        let of_pod = |p: &Pod| {
            let unschedulable = p.unschedulable.as_ref().and_then(|u| u.since);
            p.containers.iter().map(of_container).fold(p.created.max(unschedulable), Ord::max)
        };
        let pods = self.pods.iter().map(of_pod);
        let workloads = self.workloads.iter().map(|w| w.created);
        let events = self.events.iter().map(|e| e.last.max(e.first));
        let hpas = self.hpas.iter().flat_map(|h| h.conditions.iter().map(|c| c.since));
        pods.chain(workloads).chain(events).chain(hpas).flatten().max()
    }
}

/// Where objects come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The Kubernetes API.
    #[default]
    KubernetesApi,
    /// Metrics of kube-state-metrics.
    KubeStateMetrics,
}

/// A list of objects that could not be had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unavailable {
    /// What was to be listed.
    pub kind: ObjectKind,
    /// In which namespace; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Of all namespaces, those in which it could be had, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Why not.
    pub why: Missing,
}

impl Unavailable {
    /// A list that could not be had in a namespace, or (without one) in any.
    #[must_use]
    pub fn new(kind: ObjectKind, namespace: Option<String>, why: Missing) -> Self {
        Self { kind, namespace, except: Vec::new(), why }
    }

    /// Whether this is about the objects of a kind in a namespace.
    #[must_use]
    pub fn hides(&self, kind: ObjectKind, namespace: &str) -> bool {
        let here = match &self.namespace {
            Some(own) => own == namespace,
            None => self.except.iter().all(|n| n != namespace),
        };
        self.kind == kind && here
    }
}

/// Why a value is not there. Unknown is a result of its own: neither healthy nor an error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Missing {
    /// No check asked for the metric.
    NotAsked {
        /// The metric.
        metric: Metric,
    },
    /// The server knows no series of the metric at all.
    MetricAbsent {
        /// The metric.
        metric: Metric,
    },
    /// The server has series of the metric, but none that the configured label matchers let through.
    MatchersExclude {
        /// The metric.
        metric: Metric,
    },
    /// The answer was not whole, and this was not in it.
    PartialAnswer {
        /// The metric.
        metric: Metric,
    },
    /// The query failed, or its answer was cut.
    QueryFailed {
        /// The metric.
        metric: Metric,
    },
    /// No metrics server was configured or reachable.
    NoMetricsSource,
    /// The metric exists, but not for this object.
    NoSamples {
        /// The metric.
        metric: Metric,
    },
    /// The metrics server has samples of none of the pods: it may be that of another cluster.
    NoPodKnown,
    /// Fewer samples than the check needs.
    TooFewSamples {
        /// Samples there are.
        have: u32,
        /// Samples the check needs.
        need: u32,
    },
    /// A shorter history than the check needs.
    TooShort {
        /// Seconds there are.
        have_s: u32,
        /// Seconds the check needs.
        need_s: u32,
    },
    /// The right to list something is missing.
    AccessDenied {
        /// Verb, for instance `list`.
        verb: String,
        /// Resource, for instance `horizontalpodautoscalers.autoscaling`.
        resource: String,
        /// Namespace; none for the whole cluster.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// It belongs to the whole cluster, and a run over chosen namespaces has no right to see it.
    OutsideNamespaces {
        /// Resource, for instance `nodes`.
        resource: String,
    },
    /// Those of all namespaces count, and a run over chosen namespaces does not see them.
    OtherNamespaces {
        /// Resource, for instance `pods`.
        resource: String,
    },
    /// The list failed for another reason.
    ListFailed {
        /// Resource.
        resource: String,
    },
    /// The list is not whole: a part of the source did not answer.
    PartialList {
        /// Resource.
        resource: String,
    },
    /// The source does not report a field that the check reads.
    NotReported {
        /// The field.
        field: Field,
    },
    /// No Kubernetes API was configured, and metrics do not tell this.
    NoKubernetesSource,
    /// Not fetched, because the workload was too large and was thinned.
    Thinned,
    /// The recording was made for checks that read no such objects.
    NotRecorded {
        /// The objects, for instance `events`.
        objects: ObjectKind,
    },
    /// A TLS server could not be asked for its certificate: names need not be known, nor servers reachable, from where
    /// the run is made. A gap names it.
    NoHandshake,
    /// What another cluster of the run has is not known, and it may have what is looked for.
    OtherCluster {
        /// Its name.
        cluster: String,
    },
    /// No pod of it stays up, so what it uses is not what it needs.
    CrashLooping,
    /// Its logs could not be read, or the bound on what is read was reached before.
    LogsNotRead,
    /// Options of a Java virtual machine could not be read, and they may set its heap.
    JvmOptions {
        /// The variable.
        variable: String,
        /// Why.
        why: Unread,
    },
}

/// A field that a source does not report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the phrases that `key` names say what each one is")]
pub enum Field {
    AbleToScale,
    ApiServiceAvailable,
    AtMaxSince,
    CertificateReady,
    ClaimAge,
    ClaimPhase(String),
    ContainerState,
    ContainerStates,
    ContainerStatus,
    CordonedSince,
    EarlierRestarts,
    Endpoints,
    HostRequests,
    Image,
    JobStart,
    LastRestart,
    LoadBalancer,
    LongRun,
    MemoryLimit,
    NodePressure,
    NodeReady,
    NodeRoomForPods,
    PodPhase,
    PodScheduled,
    PullPolicy,
    RestartCount,
    ScalingActive,
    ScalingActiveSince,
    Schedule(String),
    ServiceAge,
    ServicesOf(String),
    SharedPods,
    TargetCpuRequest,
    VersionOfApiServer,
    VersionOfKubelet,
    VersionToCompare,
    VolumeAge,
    VolumePhase(String),
}

impl From<&Field> for Value {
    fn from(field: &Field) -> Self {
        match field {
            Field::ClaimPhase(what)
            | Field::ServicesOf(what)
            | Field::Schedule(what)
            | Field::VolumePhase(what) => phrase(field.key()).with("what", what.as_str()).into(),
            field => phrase(field.key()).into(),
        }
    }
}

impl Field {
    /// The key of its phrase.
    const fn key(&self) -> &'static str {
        match self {
            Self::AbleToScale => "field-able-to-scale",
            Self::ApiServiceAvailable => "field-api-service-available",
            Self::AtMaxSince => "field-at-max-since",
            Self::CertificateReady => "field-certificate-ready",
            Self::ClaimAge => "field-claim-age",
            Self::ClaimPhase(_) => "field-claim-phase",
            Self::ContainerState => "field-container-state",
            Self::ContainerStates => "field-container-states",
            Self::ContainerStatus => "field-container-status",
            Self::CordonedSince => "field-cordoned-since",
            Self::EarlierRestarts => "field-earlier-restarts",
            Self::Endpoints => "field-endpoints",
            Self::HostRequests => "field-host-requests",
            Self::Image => "field-image",
            Self::JobStart => "field-job-start",
            Self::LastRestart => "field-last-restart",
            Self::LoadBalancer => "field-load-balancer",
            Self::LongRun => "missing-long-run",
            Self::MemoryLimit => "field-memory-limit",
            Self::NodePressure => "field-node-pressure",
            Self::NodeReady => "field-node-ready",
            Self::NodeRoomForPods => "field-node-room-for-pods",
            Self::PodPhase => "field-pod-phase",
            Self::PodScheduled => "field-pod-scheduled",
            Self::PullPolicy => "field-pull-policy",
            Self::RestartCount => "field-restart-count",
            Self::ScalingActive => "field-scaling-active",
            Self::ScalingActiveSince => "field-scaling-active-since",
            Self::Schedule(_) => "missing-schedule",
            Self::ServiceAge => "field-service-age",
            Self::ServicesOf(_) => "field-services-of",
            Self::SharedPods => "field-shared-pods",
            Self::TargetCpuRequest => "field-target-cpu-request",
            Self::VersionOfApiServer => "field-version-of-api-server",
            Self::VersionOfKubelet => "field-version-of-kubelet",
            Self::VersionToCompare => "field-version-to-compare",
            Self::VolumeAge => "field-volume-age",
            Self::VolumePhase(_) => "field-volume-phase",
        }
    }
}

impl Missing {
    /// The reason as a phrase.
    #[must_use]
    pub fn phrase(&self) -> Text {
        let of = |key, metric: &Metric| phrase(key).with("metric", metric.name());
        match self {
            Self::NotAsked { metric } => of("missing-not-asked", metric),
            Self::MetricAbsent { metric } => of("missing-metric-absent", metric),
            Self::MatchersExclude { metric } => of("missing-matchers-exclude", metric),
            Self::PartialAnswer { metric } => of("missing-partial-answer", metric),
            Self::QueryFailed { metric } => of("missing-query-failed", metric),
            Self::NoMetricsSource => phrase("missing-no-metrics-source"),
            Self::NoSamples { metric } => of("missing-no-samples", metric),
            Self::NoPodKnown => phrase("missing-no-pod-known"),
            Self::TooFewSamples { have, need } => {
                phrase("missing-too-few-samples").with("have", *have).with("need", *need)
            }
            Self::TooShort { have_s, need_s } => phrase("missing-too-short")
                .with("have", Seconds(f64::from(*have_s)))
                .with("need", Seconds(f64::from(*need_s))),
            Self::AccessDenied { verb, resource, namespace } => {
                let key = match namespace {
                    Some(_) => "missing-access-denied",
                    None => "missing-access-denied-everywhere",
                };
                let text = phrase(key).with("verb", verb.as_str()).with("resource", resource.as_str());
                namespace.iter().fold(text, |text, namespace| text.with("namespace", namespace.as_str()))
            }
            Self::OutsideNamespaces { resource } => {
                phrase("missing-outside-namespaces").with("resource", resource.as_str())
            }
            Self::OtherNamespaces { resource } => {
                phrase("missing-other-namespaces").with("resource", resource.as_str())
            }
            Self::ListFailed { resource } => {
                phrase("missing-list-failed").with("resource", resource.as_str())
            }
            Self::PartialList { resource } => {
                phrase("missing-partial-list").with("resource", resource.as_str())
            }
            // These are whole sentences.
            Self::NotReported { field: field @ Field::LongRun } => phrase(field.key()),
            Self::NotReported { field: field @ Field::Schedule(what) } => {
                phrase(field.key()).with("what", what.as_str())
            }
            Self::NotReported { field } => phrase("missing-not-reported").with("field", field),
            Self::NoKubernetesSource => phrase("missing-no-kubernetes-source"),
            Self::NotRecorded { objects } => phrase("missing-not-recorded").with("objects", objects.name()),
            Self::OtherCluster { cluster } => {
                phrase("missing-other-cluster").with("cluster", cluster.as_str())
            }
            Self::NoHandshake => phrase("missing-no-handshake"),
            Self::CrashLooping => phrase("missing-crash-looping"),
            Self::LogsNotRead => phrase("missing-logs-not-read"),
            Self::JvmOptions { variable, why } => {
                let of = |key, name: &String| phrase(key).with("from", name.as_str());
                let text = match why {
                    Unread::Undefined => phrase("missing-jvm-options-undefined"),
                    Unread::Field => phrase("missing-jvm-options-field"),
                    Unread::Command => phrase("missing-jvm-options-command"),
                    Unread::File => phrase("missing-jvm-options-file"),
                    Unread::Template => phrase("missing-jvm-options-template"),
                    Unread::Malformed => phrase("missing-jvm-options-malformed"),
                    Unread::TooLong => phrase("missing-jvm-options-too-long"),
                    Unread::Secret { name } => of("missing-jvm-options-secret", name),
                    Unread::NoConfigMap { name } => of("missing-jvm-options-no-config-map", name),
                    Unread::Absent { name } => of("missing-jvm-options-absent", name),
                    Unread::Denied { name } => of("missing-jvm-options-denied", name),
                    Unread::Failed { name } => of("missing-jvm-options-failed", name),
                };
                text.with("variable", variable.as_str())
            }
            Self::Thinned => phrase("missing-thinned"),
        }
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&plain(&self.phrase().into()))
    }
}

/// `3 d 6 h`: a time by its two largest units, for a reader.
pub(crate) fn in_words(seconds: u32) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let first = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(3);
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        if rest >= *unit || words.is_empty() {
            words.push(format!("{} {name}", rest / unit));
        }
        rest %= unit;
    }
    words.join(" ")
}

/// A part of the picture that could not be had, for the report. Order and equality are those of place, cause and detail.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Where: cluster, then namespace, workload or query, separated by `/`.
    pub scope: String,
    /// What kind of failure.
    pub cause: GapCause,
    /// What the source said, in English; never a secret.
    pub detail: String,
    /// The detail as a phrase, where its words are ours: said in the language of the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Text>,
}

impl Gap {
    /// A gap; what is said is a phrase, or a text of another system.
    #[must_use]
    pub fn new(scope: impl Into<String>, cause: GapCause, said: impl Into<Value>) -> Self {
        let said = said.into();
        let detail = plain(&said);
        let words = if let Value::Words(words) = said { Some(words) } else { None };
        Self { scope: scope.into(), cause, detail, words }
    }

    /// Changes every text that other systems wrote in it.
    pub fn change_texts(&mut self, change: &mut dyn FnMut(&mut String)) {
        fn within(value: &mut Value, change: &mut dyn FnMut(&mut String)) {
            match value {
                Value::Text(text) => change(text),
                Value::Words(words) => words.args.values_mut().for_each(|value| within(value, change)),
                Value::List(values) => values.iter_mut().for_each(|value| within(value, change)),
                _ => {}
            }
        }
        change(&mut self.detail);
        if let Some(words) = &mut self.words {
            words.args.values_mut().for_each(|value| within(value, change));
        }
    }

    fn key(&self) -> (&str, GapCause, &str) {
        (&self.scope, self.cause, &self.detail)
    }
}

impl PartialEq for Gap {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Gap {}

impl PartialOrd for Gap {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Gap {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// Kinds of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GapCause {
    /// The source could not be reached at all.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// Credentials were refused or expired.
    Unauthorized,
    /// The right is missing.
    AccessDenied,
    /// The source answered with an error.
    Failed,
    /// The answer was cut or incomplete.
    Partial,
    /// The source answered with a warning.
    Warning,
    /// The source answered with a note that makes nothing unknown.
    Info,
    /// A metric that checks need is not there.
    MetricAbsent,
    /// An object could not be read.
    InvalidObject,
    /// Too much: a part was left out on purpose.
    Thinned,
    /// Samples lie in the future, or clocks differ.
    ClockSkew,
    /// A source that was not configured.
    NotConfigured,
    /// What was asked for does not exist.
    NothingMatches,
    /// The program is not of the version that its image says.
    VersionMismatch,
    /// Left out because someone wished it so; the detail says why.
    Skipped,
}

impl GapCause {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Unreachable,
        Self::Timeout,
        Self::Unauthorized,
        Self::AccessDenied,
        Self::Failed,
        Self::Partial,
        Self::Warning,
        Self::Info,
        Self::MetricAbsent,
        Self::InvalidObject,
        Self::Thinned,
        Self::ClockSkew,
        Self::NotConfigured,
        Self::NothingMatches,
        Self::VersionMismatch,
        Self::Skipped,
    ];

    /// The kebab-case name used in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Unauthorized => "unauthorized",
            Self::AccessDenied => "access-denied",
            Self::Failed => "failed",
            Self::Partial => "partial",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::MetricAbsent => "metric-absent",
            Self::InvalidObject => "invalid-object",
            Self::Thinned => "thinned",
            Self::ClockSkew => "clock-skew",
            Self::NotConfigured => "not-configured",
            Self::NothingMatches => "nothing-matches",
            Self::VersionMismatch => "version-mismatch",
            Self::Skipped => "skipped",
        }
    }
}

/// Letters that Kubernetes adds to the base of a generated name.
pub(crate) const RANDOM: usize = 5;
/// Length to which Kubernetes cuts that base.
pub(crate) const MOST_BASE: usize = 58;

/// Finds the workload of a pod that is known by its name only.
///
/// A pod of a past ReplicaSet or Job is gone from the API, but its series are still there. Names are given by the
/// controllers: `<replicaset>-<5>`, `<statefulset>-<n>`, `<daemonset>-<5>`, `<job>-<5>`, `<job>-<index>-<5>`; what
/// comes before the five random letters is cut to 58.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// Namespace and stem (the name without its generated end) to workload.
    stems: BTreeMap<(String, String), WorkloadId>,
    /// Stems that are cut in the names of pods. None for what is ambiguous.
    cut_stems: BTreeMap<(String, String), Option<WorkloadId>>,
    /// Exact pod names.
    pods: BTreeMap<(String, String), WorkloadId>,
    /// Deployments, Rollouts and CronJobs by name, for pods whose ReplicaSet or Job has been cleaned up.
    makers: BTreeMap<(String, String), WorkloadId>,
}

impl Owners {
    /// Learns the stems of all workloads, and the exact names of living pods.
    #[must_use]
    pub fn new<'a>(
        workloads: impl IntoIterator<Item = &'a Workload>,
        pods: impl IntoIterator<Item = &'a Pod>,
    ) -> Self {
        let mut owners = Self::default();
        for workload in workloads {
            let id = &workload.id;
            let by_maker = matches!(id.kind.as_str(), "Deployment" | "Rollout" | "CronJob");
            if by_maker {
                let known = owners.makers.entry((id.namespace.clone(), id.name.clone()));
                // One name for two: the one that Kubernetes itself makes pods of.
                let known = known.or_insert_with(|| id.clone());
                if id.kind == "Deployment" {
                    known.clone_from(id);
                }
                // Nothing of what it made is in a name that is cut where its own ends, or before.
                owners.cut_stem(id, &format!("{}-", id.name));
            } else {
                owners.stem(id, &id.name);
            }
            workload.revisions.iter().for_each(|r| owners.stem(id, &r.name));
        }
        for pod in pods {
            let id = &pod.workload;
            owners.pods.insert((id.namespace.clone(), pod.name.clone()), id.clone());
            // A revision that is gone from the API but whose pods live teaches its stem.
            if !matches!(id.kind.as_str(), "Deployment" | "Rollout") {
                continue;
            }
            if let Some(base) = cut_base(&pod.name).filter(|base| !base.ends_with('-')) {
                owners.cut_stem(id, base);
            } else if let Some((stem, _)) = pod.name.rsplit_once('-') {
                owners.stems.entry((id.namespace.clone(), stem.to_owned())).or_insert_with(|| id.clone());
            }
        }
        owners
    }

    fn stem(&mut self, id: &WorkloadId, stem: &str) {
        self.stems.insert((id.namespace.clone(), stem.to_owned()), id.clone());
        self.cut_stem(id, stem);
    }

    /// Learns how the names of pods begin whose stem is too long for them.
    fn cut_stem(&mut self, id: &WorkloadId, stem: &str) {
        let Some(base) = stem.get(..MOST_BASE) else { return };
        let known = self.cut_stems.entry((id.namespace.clone(), base.to_owned()));
        let known = known.or_insert_with(|| Some(id.clone()));
        if known.as_ref() != Some(id) {
            *known = None;
        }
    }

    /// The workload of a pod, by exact name first, then by the stem of its name.
    #[must_use]
    pub fn of(&self, namespace: &str, pod: &str) -> Option<&WorkloadId> {
        if let Some(id) = self.pods.get(&(namespace.to_owned(), pod.to_owned())) {
            return Some(id);
        }
        let cut = cut_base(pod);
        if let Some(base) = cut.filter(|base| !base.ends_with('-')) {
            return self.of_cut(namespace, base);
        }
        let (stem, end) = pod.rsplit_once('-')?;
        let random = is_generated(end, RANDOM);
        if !random && !is_number(end) {
            return None;
        }
        let known = |stem: &str| self.stems.get(&(namespace.to_owned(), stem.to_owned()));
        if let Some(id) = known(stem) {
            return Some(id);
        }
        // Cut after a `-`.
        if let Some(found) = cut.and_then(|b| self.cut_stems.get(&(namespace.to_owned(), b.to_owned()))) {
            return found.as_ref();
        }
        let (before, last) = stem.rsplit_once('-')?;
        // A pod of an indexed Job: <job>-<index>-<5>.
        if random
            && is_number(last)
            && let Some(id) = known(before).filter(|id| id.runs_to_completion())
        {
            return Some(id);
        }
        // A ReplicaSet that was cleaned up: <deployment>-<hash>-<5>. A Job: <cronjob>-<minutes>[-<index>]-<5>.
        let maker = |name: &str, made: &str| {
            let id = self.makers.get(&(namespace.to_owned(), name.to_owned()))?;
            let plausible = match id.kind.as_str() {
                "CronJob" => random && is_time(made),
                _ => (6..=10).contains(&made.len()) && is_generated(made, made.len()),
            };
            plausible.then_some(id)
        };
        maker(before, last).or_else(|| {
            let (name, time) = before.rsplit_once('-').filter(|_| is_number(last))?;
            maker(name, time)
        })
    }

    /// The workload of a pod by what is left of its stem.
    fn of_cut(&self, namespace: &str, base: &str) -> Option<&WorkloadId> {
        if let Some(found) = self.cut_stems.get(&(namespace.to_owned(), base.to_owned())) {
            return found.as_ref();
        }
        // What made it was cleaned up, and the end of its name is cut.
        let (name, made) = base.rsplit_once('-')?;
        let id = self.makers.get(&(namespace.to_owned(), name.to_owned()))?;
        let plausible = match id.kind.as_str() {
            "CronJob" => is_number(made),
            _ => is_generated(made, made.len()),
        };
        plausible.then_some(id)
    }
}

/// What stands before the random letters of a generated name that is as long as can be. When it does not end with `-` it
/// was cut.
fn cut_base(pod: &str) -> Option<&str> {
    is_generated(pod.get(MOST_BASE..)?, RANDOM).then(|| pod.get(..MOST_BASE)).flatten()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether it may be the time in the name of a CronJob's Job: minutes since 1970, once seconds.
fn is_time(text: &str) -> bool {
    (8..=10).contains(&text.len()) && is_number(text)
}

/// Whether `text` has `length` letters of the alphabet of generated names
/// (`k8s.io/apimachinery/pkg/util/rand`: no vowels, no 0, 1 and 3).
fn is_generated(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Revision;

    #[test]
    fn a_short_history_is_told_for_a_reader() {
        let told = |have_s| Missing::TooShort { have_s, need_s: 604_800 }.to_string();
        assert_eq!(told(282_600), "history of 3 d 6 h, 7 d needed");
        assert_eq!(told(86_400 + 59), "history of 1 d, 7 d needed");
        assert_eq!([0, 59, 90].map(in_words), ["0 s", "59 s", "1 min 30 s"]);
    }

    #[test]
    fn past_pods_find_their_workload() {
        let workload = |kind: &str, name: &str, revisions: &[&str]| Workload {
            revisions: revisions.iter().map(|r| Revision { name: (*r).into(), created: None }).collect(),
            ..Workload::new(WorkloadId::new("web", kind, name))
        };
        let owners = Owners::new(
            &[
                workload("Deployment", "api", &["api-7d9c5bd4f7"]),
                workload("Deployment", "api-gateway", &["api-gateway-6bb5487d9f"]),
                workload("StatefulSet", "db", &[]),
                workload("DaemonSet", "agent", &[]),
                workload("Job", "migrate", &[]),
                workload("Rollout", "shop", &[]),
                workload("CronJob", "backup", &["backup-29918880", "by-hand"]),
            ],
            &[],
        );
        let of = |pod: &str| owners.of("web", pod).map(|id| id.name.as_str());
        assert_eq!(of("api-7d9c5bd4f7-x2x9z"), Some("api"));
        assert_eq!(of("api-gateway-6bb5487d9f-kkkkk"), Some("api-gateway"));
        assert_eq!(of("api-5c5c5c5c5-x2x9z"), Some("api"), "its ReplicaSet is gone");
        assert_eq!(of("db-0"), Some("db"));
        assert_eq!(of("agent-q4w2x"), Some("agent"));
        assert_eq!(of("migrate-zz22z"), Some("migrate"));
        assert_eq!(of("migrate-12-zz22z"), Some("migrate"), "an indexed one");
        assert_eq!(of("shop-5c5c5c5c5-x2x9z"), Some("shop"));
        assert_eq!(of("backup-29918880-x2x9z"), Some("backup"));
        assert_eq!(of("by-hand-x2x9z"), Some("backup"));
        assert_eq!(of("backup-29917440-x2x9z"), Some("backup"), "its Job is gone");
        assert_eq!(of("backup-29917440-3-x2x9z"), Some("backup"), "its indexed Job is gone");
        assert_eq!(of("db-0-x2x9z"), None);
        assert_eq!(of("backup-5c5c5c5c5-x2x9z"), None);
        assert_eq!(of("shop-29917440-x2x9z"), None);
        assert_eq!(of("api-gateway"), None);
        assert_eq!(of("stranger-0"), None);
        assert_eq!(owners.of("shop", "db-0"), None);
    }

    /// As `k8s.io/apiserver/pkg/storage/names` names pods.
    #[test]
    fn past_pods_with_long_names_find_their_workload() {
        for (kind, made, length) in [
            ("Deployment", "-6d4cf56db6", 40..80),
            ("Rollout", "-6d4cf56db6", 40..80),
            ("CronJob", "-29918880", 40..53),
            ("DaemonSet", "", 50..64),
            ("Job", "", 50..64),
        ] {
            for length in length {
                let name = "e".repeat(length);
                let revisions = if made.is_empty() { vec![] } else { vec![format!("{name}{made}")] };
                let base = format!("{name}{made}-");
                let pod = format!("{}x7k2p", &base[..base.len().min(58)]);
                let of = |revisions: Vec<String>| {
                    let revisions = revisions.into_iter().map(|name| Revision { name, created: None });
                    let id = WorkloadId::new("web", kind, &name);
                    let of = Workload { revisions: revisions.collect(), ..Workload::new(id) };
                    Owners::new(&[of], &[]).of("web", &pod).is_some()
                };
                assert!(of(revisions), "{kind} {pod}");
                assert!(of(vec![]), "{kind} {pod}: what made it is gone");
            }
        }
    }

    #[test]
    fn a_cut_name_of_two_is_nobodys() {
        let named = |end: &str| Workload {
            id: WorkloadId::new("web", "DaemonSet", &format!("{}{end}", "e".repeat(58))),
            replicas: None,
            created: None,
            revisions: vec![],
            annotations: BTreeMap::new(),
            conditions: Vec::new(),
            update: None,
        };
        let pod = format!("{}x7k2p", "e".repeat(58));
        assert!(Owners::new(&[named("-a")], &[]).of("web", &pod).is_some());
        assert_eq!(Owners::new(&[named("-a"), named("-b")], &[]).of("web", &pod), None);
    }
}
