//! Kubernetes objects, cut down to the fields that checks read.
//!
//! Adapters convert at the border; a field that no check reads does not exist here. Of environment variables and
//! arguments nothing but memory flags of a Java virtual machine enters the model.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image;
use crate::jvm::{JvmFlag, UnreadOptions};
use crate::time::Timestamp;
use crate::unit::{Bytes, Cores};

/// Names one workload: namespace, kind, name.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadId {
    /// Namespace.
    pub namespace: String,
    /// Kind as Kubernetes spells it: `Deployment`, `StatefulSet`, `DaemonSet`, `Job`, `CronJob`, `Pod` for a
    /// pod without owner, or any other owner kind (`Rollout`). One that bears the name of a kind of Kubernetes itself has its API
    /// group with it, as kubectl takes it: `StatefulSet.apps.kruise.io`.
    pub kind: String,
    /// Name.
    pub name: String,
}

impl WorkloadId {
    /// From its parts.
    #[must_use]
    pub fn new(namespace: &str, kind: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), kind: kind.into(), name: name.into() }
    }
    /// Its kind without an API group.
    #[must_use]
    pub fn bare_kind(&self) -> &str {
        self.kind.split_once('.').map_or(&self.kind, |(kind, _)| kind)
    }
    /// Whether its pods are meant to end: `Job` and `CronJob`.
    #[must_use]
    pub fn runs_to_completion(&self) -> bool {
        matches!(self.kind.as_str(), "Job" | "CronJob")
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.kind.to_ascii_lowercase(), self.name)
    }
}

/// Everything that runs pods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name.
    pub id: WorkloadId,
    /// Replicas that are asked for and present; unknown for kinds without a scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Names of the ReplicaSets (or other intermediate owners) that belong to it, so that pods which are
    /// gone can still be given to it by their name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<Revision>,
    /// Labels and annotations that select class and settings (`healthcheck/...`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its conditions of the types [`ROLLOUT_CONDITIONS`]; only of a Deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// How far it is replacing its pods by those of its newest revision; only of a StatefulSet or DaemonSet that is at it, and
    /// not where it is told to leave them (`OnDelete`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
}

impl Workload {
    /// One of which nothing but its name is known.
    #[must_use]
    pub fn new(id: WorkloadId) -> Self {
        Self {
            id,
            replicas: None,
            created: None,
            revisions: Vec::new(),
            annotations: BTreeMap::new(),
            conditions: Vec::new(),
            update: None,
        }
    }
}

/// How far a workload is with replacing its pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// Pods of the newest revision.
    pub updated: u32,
    /// Pods that are to be of it: fewer than all with a `partition`.
    pub wanted: u32,
}

/// Types of the conditions of a Deployment that tell of its rollout.
pub const ROLLOUT_CONDITIONS: [&str; 2] = ["Progressing", "ReplicaFailure"];

/// A ReplicaSet (or ControllerRevision) of a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Name of the object, a prefix of its pods' names.
    pub name: String,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// Counts of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// Asked for.
    pub desired: u32,
    /// Ready.
    pub ready: u32,
}

/// Life phase of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
pub enum PodPhase {
    /// Not all containers have started.
    Pending,
    /// At least one container runs.
    Running,
    /// All containers ended with success: a finished Job, never a problem.
    Succeeded,
    /// All containers ended, at least one with a failure.
    Failed,
    /// The node does not answer.
    Unknown,
    /// The source does not tell.
    #[default]
    NotReported,
}

/// A living pod (past pods are known from their series only).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// The workload it belongs to.
    pub workload: WorkloadId,
    /// Phase.
    pub phase: PodPhase,
    /// Reason next to the phase: `Evicted`, `NodeLost`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When and why the kubelet threw it out, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction: Option<Eviction>,
    /// Node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// CPU architecture of that node, where nodes were listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Operating system of that node, such as `windows`; empty for Linux.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// How many nodes it may be placed on, by their platform (`linux/arm64`): those that its node selector, required node
    /// affinity and tolerations let in, without cordoned ones. Empty where no registry is asked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<String, u32>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Whether the Ready condition is true; unknown from sources that do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Whether it is being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// When it should be gone, its grace period included (`metadata.deletionTimestamp`); unknown where it is not deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_by: Option<Timestamp>,
    /// Why the scheduler found no node, and since when (condition PodScheduled = False).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<Unschedulable>,
    /// Whether it waits for its scheduling gates to be taken away, before the scheduler looks at it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gated: bool,
    /// Requests and limits of the pod as a whole (`spec.resources`, since Kubernetes 1.32), which containers share that
    /// have none of their own.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// Containers of all roles, in the order of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<Container>,
}

/// The end of a pod that the kubelet threw out, because its node ran out of something.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eviction {
    /// When; unknown when no condition tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The kubelet's message: what was short, and which container was above its request.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Why a pod has no node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unschedulable {
    /// Since when; unknown from metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The scheduler's message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerRole {
    /// A container of the pod, its own or injected.
    #[default]
    Main,
    /// An init container that runs to its end before the others.
    Init,
    /// An init container with `restartPolicy: Always`, which runs beside the others (native sidecar).
    Sidecar,
}

/// A container of a living pod, as its pod has it (injected ones too).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Role.
    #[serde(default, skip_serializing_if = "is_main")]
    pub role: ContainerRole,
    /// Image as written in the pod.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Image that runs, with its digest: `registry.example/app@sha256:...`; empty before it was pulled.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_id: String,
    /// Platforms that its image is built for, as its registry tells (`linux/arm64`, `linux/arm/v7`), in order; empty where
    /// that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// When its image is pulled: `Always`, `IfNotPresent`, `Never`; empty when not reported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pull_policy: String,
    /// Another build that runs under the same reference in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_build: Option<OtherBuild>,
    /// Flags in command, arguments, environment and the ConfigMaps that this refers to that set the memory of a Java virtual machine; nothing else of these
    /// is kept. Only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jvm_flags: Vec<JvmFlag>,
    /// Options of its JVM that could not be read; only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jvm_unread: Vec<UnreadOptions>,
    /// Which probes it has; unknown from metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Probes>,
    /// What it asks for and may use.
    #[serde(default)]
    pub resources: Resources,
    /// What it does now; unknown before the kubelet has reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ContainerState>,
    /// How its run before this one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_termination: Option<Termination>,
    /// Restarts so far; unknown when not reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
    /// Whether it is ready; unknown when not reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

impl Pod {
    /// Platform of its node (`linux/amd64`), where nodes were listed.
    #[must_use]
    pub fn platform(&self) -> Option<String> {
        Some(image::platform(&self.system, self.architecture.as_deref()?))
    }
}

impl Container {
    /// When the process that runs now began, if that is told.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        match self.state.as_ref()? {
            ContainerState::Running { started } => *started,
            _ => None,
        }
    }
}

/// Another build of an image under the same reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherBuild {
    /// Its digest.
    pub digest: String,
    /// Namespace of the first pod with it.
    pub namespace: String,
    /// Name of that pod.
    pub pod: String,
    /// When that pod was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Whether it is known to be the newer one: the registry gave it after this container had started. What a node had already
    /// may well be older.
    #[serde(default)]
    pub is_newer: bool,
}

/// Which probes a container has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Restarts it when it fails.
    #[serde(default)]
    pub liveness: bool,
    /// Takes it out of its Services while it fails.
    #[serde(default)]
    pub readiness: bool,
    /// Holds the others off until it has succeeded.
    #[serde(default)]
    pub startup: bool,
}

fn is_main(role: &ContainerRole) -> bool {
    *role == ContainerRole::Main
}

/// Requests and limits. A limit or request of 0 means none, as in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Memory that the scheduler reserves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_request: Option<Bytes>,
    /// Memory above which the kernel kills.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<Bytes>,
    /// CPU that the scheduler reserves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<Cores>,
    /// CPU above which the kernel throttles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<Cores>,
}

impl Resources {
    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
    /// These, and for each that is not set that of others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            memory_request: self.memory_request.or(others.memory_request),
            memory_limit: self.memory_limit.or(others.memory_limit),
            cpu_request: self.cpu_request.or(others.cpu_request),
            cpu_limit: self.cpu_limit.or(others.cpu_limit),
        }
    }
}

/// What a container does now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ContainerState {
    /// It waits for something: `CrashLoopBackOff`, `ImagePullBackOff`, `ContainerCreating`, ...
    Waiting {
        /// The kubelet's reason.
        reason: String,
        /// The kubelet's message.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started: Option<Timestamp>,
    },
    /// It has ended.
    Terminated(Termination),
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Termination {
    /// The runtime's reason: `OOMKilled`, `Error`, `Completed`, ...
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Exit code; 137 is any SIGKILL, not only one for memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Termination message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
}

/// A HorizontalPodAutoscaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hpa {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Kind and name of what it scales.
    pub target: ScaleTarget,
    /// Smallest number of replicas.
    pub min_replicas: u32,
    /// Largest number of replicas.
    pub max_replicas: u32,
    /// Replicas now.
    pub current_replicas: u32,
    /// Replicas it wants.
    pub desired_replicas: u32,
    /// Its metrics: what it aims at and what it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<HpaMetric>,
    /// Its conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Whether the source tells current metric values at all (kube-state-metrics may not).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reports_current: bool,
}

impl Hpa {
    /// The condition of a type, if reported.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }
    /// Whether it wants another number of replicas than there are.
    #[must_use]
    pub fn is_scaling(&self) -> bool {
        self.current_replicas != self.desired_replicas
    }
}

/// What an autoscaler scales.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleTarget {
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// One metric of an autoscaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HpaMetric {
    /// `cpu`, `memory`, or the name of a custom metric.
    pub name: String,
    /// Target, as a ratio of the request for utilisation targets, else in the metric's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// What it reads now; none is shown by kubectl as `<unknown>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<f64>,
    /// Whether target and current are a ratio of the request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub utilization: bool,
}

/// A condition of an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Type, for instance `ScalingLimited`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `Some(true)` for True, `Some(false)` for False, none for Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<bool>,
    /// Reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When the status last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// An event of type Warning, equal ones counted together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Namespace of the object.
    pub namespace: String,
    /// Kind of the object it is about.
    pub kind: String,
    /// Name of the object it is about.
    pub name: String,
    /// Reason, for instance `FailedMount`.
    pub reason: String,
    /// Message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How often it happened.
    pub count: u32,
    /// First time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// Last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// The run that saw it, where Kubernetes has forgotten it since; none for what the cluster tells now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Name.
    pub name: String,
    /// CPU architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub architecture: String,
    /// Operating system, such as `windows`; empty for Linux.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub system: String,
    /// CPU that pods can use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocatable_cpu: Option<Cores>,
    /// Memory that pods can use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocatable_memory: Option<Bytes>,
    /// How many pods it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocatable_pods: Option<u32>,
    /// Its pods; unknown where those of some namespace were not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<PodsOnNode>,
    /// Its conditions: `Ready`, `MemoryPressure`, `DiskPressure`, `PIDPressure`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Whether no pod is placed on it any more (cordoned).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unschedulable: bool,
    /// Since when no pod is placed on it; none where the cluster does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedulable_since: Option<Timestamp>,
    /// Whether no machine is behind it (label `type=virtual-kubelet`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_virtual: bool,
    /// Version of its kubelet, such as `v1.33.2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kubelet_version: String,
    /// When it joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// The pods of a node, whichever namespace they are in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodsOnNode {
    /// Those that have not ended.
    pub living: u32,
    /// Pods of the cluster that wait for a node, and of which the scheduler says that nodes have too many pods; 0 while this one
    /// takes more.
    #[serde(default)]
    pub turned_away: u32,
}

macro_rules! object_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// Kinds of objects that a source can list.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum ObjectKind { $($(#[$doc])* $variant),+ }

        impl ObjectKind {
            /// Every kind, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The lower-case name.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
        }
    };
}

object_kinds! {
    /// Deployments, StatefulSets, DaemonSets, Jobs, CronJobs, ReplicaSets and other owners.
    Workloads = "workloads";
    /// Pods.
    Pods = "pods";
    /// HorizontalPodAutoscalers.
    Autoscalers = "autoscalers";
    /// Events of type Warning.
    Events = "events";
    /// Nodes.
    Nodes = "nodes";
    /// Services and their endpoints.
    Services = "services";
    /// Ingresses, and where they are installed the routes of the Gateway API and of Istio.
    Routes = "routes";
    /// ConfigMaps with nginx `server_name` lines, which are routes too.
    ServerNames = "server-names";
    /// ConfigMaps that variables of a Java virtual machine come from.
    JvmOptions = "jvm-options";
    /// Secrets of type `kubernetes.io/tls`.
    TlsSecrets = "tls-secrets";
    /// Certificates of cert-manager.
    ManagedCertificates = "managed-certificates";
    /// What the TLS servers of routes show at a handshake; asked of the servers and not of the API.
    ServedCertificates = "served-certificates";
    /// Requests by host, as the metrics of ingress controllers tell them.
    HostRequests = "host-requests";
    /// PodDisruptionBudgets.
    DisruptionBudgets = "disruption-budgets";
    /// PersistentVolumeClaims.
    VolumeClaims = "volume-claims";
    /// PersistentVolumes.
    Volumes = "volumes";
    /// Namespaces with the state of their deletion.
    Namespaces = "namespaces";
    /// APIServices: versions of API groups that other servers answer for.
    ApiServices = "api-services";
    /// ResourceQuotas.
    Quotas = "quotas";
    /// Jobs and CronJobs with schedule and outcome.
    Schedules = "schedules";
    /// Logs of containers.
    Logs = "logs";
    /// Platforms of images; asked of registries and not of the API.
    ImagePlatforms = "image-platforms";
    /// In which versions objects were written, and which deprecated ones the API server was asked for.
    ApiUse = "api-use";
}
