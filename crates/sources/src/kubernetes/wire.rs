//! Objects as the API sends them, with the fields that are read and no others.

use std::collections::BTreeMap;
use std::fmt;

use healthcore::time::Timestamp;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::jvm;
use super::placement::{Affinity, Toleration};

/// The Go API writes `null` for empty lists and zero times.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    d: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Objects that could not be read: `namespace/name: why`.
    pub(super) invalid: Vec<String>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct RawPage<T> {
    #[serde(default = "Vec::new", deserialize_with = "items")]
    items: Vec<T>,
}

fn items<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(d)?.unwrap_or_default())
}

/// Reads a page. An object that does not have the form that is expected is left out and named.
///
/// # Errors
/// The text is no list at all.
pub(super) fn page<T: DeserializeOwned>(text: &[u8]) -> Result<Page<T>, serde_json::Error> {
    if let Ok(RawPage { items }) = serde_json::from_slice::<RawPage<T>>(text) {
        return Ok(Page { items, invalid: Vec::new() });
    }
    // One by one, to find the broken ones.
    let raw: RawPage<serde_json::Value> = serde_json::from_slice(text)?;
    let mut page = Page { items: Vec::with_capacity(raw.items.len()), invalid: Vec::new() };
    for value in raw.items {
        let part = |key: &str| value["metadata"][key].as_str().unwrap_or("?").to_owned();
        let name = format!("{}/{}", part("namespace"), part("name"));
        match serde_json::from_value(value) {
            Ok(item) => page.items.push(item),
            Err(e) => page.invalid.push(format!("{name}: {e}")),
        }
    }
    Ok(page)
}

/// What stands at the head of a page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Head {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metadata: ListMeta,
    /// Without it the text is no list.
    #[serde(default)]
    pub(super) items: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) kind: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ListMeta {
    #[serde(default, rename = "continue", deserialize_with = "or_default")]
    pub(super) next: String,
}

/// `metav1.Status`, the answer to a request that failed.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metadata: ListMeta,
}

/// A time in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Time(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as `2026-01-02T03:04:05Z`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                let instant: jiff::Timestamp =
                    text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
                Ok(Time(Timestamp(instant.as_millisecond())))
            }
        }
        d.deserialize_str(Text)
    }
}

/// Labels: those that are read of every object, and all, which may select it.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) marks: Marks,
    pub(super) all: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<String, String>::deserialize(d)?;
        let marks = Marks::deserialize(MapDeserializer::<_, D::Error>::new(
            all.iter().map(|(key, value)| (key.as_str(), value.as_str())),
        ))?;
        Ok(Self { marks, all })
    }
}

/// Labels or annotations, only those that are read: `healthcheck/...` and the hash of a pod's template.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Marks {
    pub(super) healthcheck: Vec<(String, String)>,
    /// Kind of the owner behind the ReplicaSet, and the hash that its name ends with.
    pub(super) template: Option<(&'static str, String)>,
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Marks;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Marks, A::Error> {
                let mut marks = Marks::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "pod-template-hash" => marks.template = Some(("Deployment", map.next_value()?)),
                        "rollouts-pod-template-hash" => marks.template = Some(("Rollout", map.next_value()?)),
                        k if k.starts_with("healthcheck/") => {
                            marks.healthcheck.push((key, map.next_value()?));
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(marks)
            }
        }
        d.deserialize_map(Map)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) generation: u64,
    #[serde(default)]
    pub(super) creation_timestamp: Option<Time>,
    #[serde(default)]
    pub(super) deletion_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: Labels,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: Marks,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) owner_references: Vec<OwnerReference>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OwnerReference {
    #[serde(default)]
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) controller: bool,
}

/// An object of which only the metadata are read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MetaOnly {
    #[serde(default)]
    pub(super) metadata: Meta,
}

/// An object of which only the uid is read.
#[derive(Debug, Deserialize)]
pub(super) struct Identified {
    pub(super) metadata: Identity,
}

#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub(super) uid: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Meta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: PodSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(default)]
    pub(super) node_name: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) node_selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) affinity: Affinity,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) tolerations: Vec<Toleration>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) volumes: Vec<Volume>,
    /// Of the pod as a whole.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) resources: Resources,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) init_containers: Vec<Container>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) containers: Vec<Container>,
}

/// A volume of a pod; of the many kinds only claims and the names of Secrets are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Volume {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) persistent_volume_claim: Option<ClaimSource>,
    /// The claim of a generic ephemeral volume is named after pod and volume.
    #[serde(default)]
    pub(super) ephemeral: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) secret: SecretSource,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) projected: ProjectedSources,
}

impl Volume {
    /// Names of the Secrets whose values it holds.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        let own = std::iter::once(&self.secret.secret_name);
        let projected = self.projected.sources.iter().map(|source| &source.secret.name);
        own.chain(projected).filter(|name| !name.is_empty()).cloned()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretSource {
    #[serde(default, deserialize_with = "or_default")]
    secret_name: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ProjectedSources {
    #[serde(default, deserialize_with = "or_default")]
    sources: Vec<ProjectedSource>,
}

#[derive(Debug, Default, Deserialize)]
struct ProjectedSource {
    #[serde(default, deserialize_with = "or_default")]
    secret: ProjectedSecret,
}

#[derive(Debug, Default, Deserialize)]
struct ProjectedSecret {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimSource {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) claim_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(from = "WholeContainer")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) restart_policy: Option<String>,
    pub(super) image_pull_policy: String,
    /// What command, arguments and environment say of the memory of a JVM.
    pub(super) options: jvm::Options,
    pub(super) liveness_probe: Option<IgnoredAny>,
    pub(super) readiness_probe: Option<IgnoredAny>,
    pub(super) startup_probe: Option<IgnoredAny>,
    pub(super) resources: Resources,
}

/// A container as the API sends it. Its words and variables, which may be secrets, are dropped with it, before the next
/// container is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WholeContainer {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    image: String,
    #[serde(default)]
    restart_policy: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    image_pull_policy: String,
    #[serde(default, deserialize_with = "or_default")]
    command: Vec<Option<String>>,
    #[serde(default, deserialize_with = "or_default")]
    args: Vec<Option<String>>,
    #[serde(default, deserialize_with = "or_default")]
    env: Vec<jvm::EnvVar>,
    #[serde(default, deserialize_with = "or_default")]
    env_from: Vec<jvm::EnvFrom>,
    #[serde(default)]
    liveness_probe: Option<IgnoredAny>,
    #[serde(default)]
    readiness_probe: Option<IgnoredAny>,
    #[serde(default)]
    startup_probe: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "or_default")]
    resources: Resources,
}

impl From<WholeContainer> for Container {
    fn from(whole: WholeContainer) -> Self {
        let words: Vec<String> = whole.command.into_iter().chain(whole.args).flatten().collect();
        Self {
            options: jvm::Options::of(&words, whole.env, whole.env_from, &whole.image),
            name: whole.name,
            image: whole.image,
            restart_policy: whole.restart_policy,
            image_pull_policy: whole.image_pull_policy,
            liveness_probe: whole.liveness_probe,
            readiness_probe: whole.readiness_probe,
            startup_probe: whole.startup_probe,
            resources: whole.resources,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Resources {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) requests: Amounts,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) limits: Amounts,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Amounts {
    #[serde(default)]
    pub(super) cpu: Option<Quantity>,
    #[serde(default)]
    pub(super) memory: Option<Quantity>,
    /// Of a node: how many it takes.
    #[serde(default)]
    pub(super) pods: Option<Quantity>,
}

/// A quantity, which YAML without quotes and old servers write as a number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantity(pub(super) String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as `512Mi`")
            }
            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Quantity, E> {
                Ok(Quantity(n.to_string()))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Quantity, E> {
                Ok(Quantity(n.to_string()))
            }
            fn visit_f64<E>(self, n: f64) -> Result<Quantity, E> {
                Ok(Quantity(n.to_string()))
            }
        }
        d.deserialize_any(Either)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) phase: String,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) init_container_statuses: Vec<ContainerStatus>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default)]
    pub(super) last_transition_time: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, rename = "imageID", deserialize_with = "or_default")]
    pub(super) image_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) state: State,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) last_state: State,
    #[serde(default)]
    pub(super) ready: Option<bool>,
    #[serde(default)]
    pub(super) restart_count: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct State {
    #[serde(default)]
    pub(super) waiting: Option<Waiting>,
    #[serde(default)]
    pub(super) running: Option<Running>,
    #[serde(default)]
    pub(super) terminated: Option<Terminated>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Waiting {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Running {
    #[serde(default)]
    pub(super) started_at: Option<Time>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Terminated {
    #[serde(default)]
    pub(super) exit_code: Option<i32>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default)]
    pub(super) started_at: Option<Time>,
    #[serde(default)]
    pub(super) finished_at: Option<Time>,
}

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Debug, Deserialize)]
pub(super) struct Controller {
    pub(super) metadata: Meta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: ControllerSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: ControllerStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControllerSpec {
    #[serde(default)]
    pub(super) replicas: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) template: Template,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) update_strategy: UpdateStrategy,
}

/// How a StatefulSet or DaemonSet replaces its pods.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateStrategy {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) rolling_update: RollingUpdate,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RollingUpdate {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) partition: u32,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Template {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metadata: TemplateMeta,
}

/// Metadata of a pod template, whose labels tell which services select its pods.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TemplateMeta {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) annotations: Marks,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControllerStatus {
    #[serde(default)]
    pub(super) ready_replicas: Option<u32>,
    #[serde(default)]
    pub(super) desired_number_scheduled: Option<u32>,
    #[serde(default)]
    pub(super) number_ready: Option<u32>,
    /// Of a DaemonSet.
    #[serde(default)]
    pub(super) updated_number_scheduled: u32,
    /// Of a StatefulSet, and its revisions.
    #[serde(default)]
    pub(super) updated_replicas: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) current_revision: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) update_revision: String,
    #[serde(default)]
    pub(super) observed_generation: u64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
}

/// The scale subresource.
#[derive(Debug, Deserialize)]
pub(super) struct Scale {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: ControllerSpec,
}

/// What an API group serves.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiResources {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) resources: Vec<ApiResource>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApiResource {
    pub(super) name: String,
    pub(super) kind: String,
}

/// A HorizontalPodAutoscaler of any version.
#[derive(Debug, Deserialize)]
pub(super) struct Hpa {
    pub(super) metadata: Meta,
    pub(super) spec: HpaSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: HpaStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HpaSpec {
    pub(super) scale_target_ref: ScaleTargetRef,
    #[serde(default)]
    pub(super) min_replicas: Option<u32>,
    pub(super) max_replicas: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) metrics: Vec<HpaMetric>,
    /// Of `autoscaling/v1`.
    #[serde(default, rename = "targetCPUUtilizationPercentage")]
    pub(super) target_cpu_percent: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScaleTargetRef {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HpaStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) current_replicas: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) desired_replicas: u32,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) current_metrics: Vec<HpaMetric>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    /// Of `autoscaling/v1`.
    #[serde(default, rename = "currentCPUUtilizationPercentage")]
    pub(super) current_cpu_percent: Option<f64>,
}

/// A metric in the specification (`target`) or in the status (`current`).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HpaMetric {
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) resource: Option<MetricSource>,
    #[serde(default)]
    pub(super) container_resource: Option<MetricSource>,
    #[serde(default)]
    pub(super) pods: Option<MetricSource>,
    #[serde(default)]
    pub(super) object: Option<MetricSource>,
    #[serde(default)]
    pub(super) external: Option<MetricSource>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetricSource {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) container: Option<String>,
    #[serde(default)]
    pub(super) metric: Option<MetricName>,
    #[serde(default)]
    pub(super) described_object: Option<ScaleTargetRef>,
    #[serde(default, alias = "current")]
    pub(super) target: MetricValue,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct MetricName {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetricValue {
    #[serde(default)]
    pub(super) average_utilization: Option<f64>,
    #[serde(default)]
    pub(super) average_value: Option<Quantity>,
    #[serde(default)]
    pub(super) value: Option<Quantity>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) metadata: Meta,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) involved_object: Involved,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) reason: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) message: String,
    #[serde(default)]
    pub(super) count: Option<u32>,
    #[serde(default)]
    pub(super) first_timestamp: Option<Time>,
    #[serde(default)]
    pub(super) last_timestamp: Option<Time>,
    #[serde(default)]
    pub(super) event_time: Option<Time>,
    #[serde(default)]
    pub(super) series: Option<EventSeries>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Involved {
    #[serde(default, rename = "apiVersion", deserialize_with = "or_default")]
    pub(super) api_version: String,
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventSeries {
    #[serde(default)]
    pub(super) count: Option<u32>,
    #[serde(default)]
    pub(super) last_observed_time: Option<Time>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) metadata: NodeMeta,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) spec: NodeSpec,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: NodeStatus,
}

/// Metadata of a node, whose labels tell which pods it takes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeMeta {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) creation_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct NodeSpec {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) unschedulable: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) taints: Vec<Taint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Taint {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) key: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) value: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) effect: String,
    /// When it was added; the node controller tells it of its own taints.
    #[serde(default)]
    pub(super) time_added: Option<Time>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeStatus {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) conditions: Vec<Condition>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) node_info: NodeInfo,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) allocatable: Amounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NodeInfo {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) kubelet_version: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) operating_system: String,
    #[serde(default)]
    pub(super) architecture: String,
}

/// A ConfigMap.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ConfigMapData {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) data: BTreeMap<String, String>,
}
