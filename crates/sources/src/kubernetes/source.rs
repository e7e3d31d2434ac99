use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::join_all;
use healthcore::api_versions::{ApiUse, WrittenAs};
use healthcore::finding::Value;
use healthcore::inventory::ObjectId;
use healthcore::model::{Node, ObjectKind, PodPhase, Replicas, WorkloadId};
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Unavailable};
use kube::Client;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::connect::{self, KubernetesSettings};
use super::convert::{self, ControllerEntry, PodEntry};
use super::inventory::{Around, ScaledToZero};
use super::list::{Convert, Listed, list};
use super::owners::{Controllers, Joined, Unlisted, join};
use super::placement::{self, NodeEntry};
use super::reach::{Reach, Tunnel};
use super::request::{self, Resource, encode};
use super::rights::{IDENTIFYING_NAMESPACE, identity_right, rights};
use super::scope::{self, Scope, explain};
use super::send::{ApiServer, Refusal};
use super::shared_pods;
use super::wire;
use crate::logs::LogSource;
use crate::prometheus::{self, Prometheus, PrometheusSettings};
use crate::{Fetched, ObjectSource, Selection, SourceError, Usage};

/// Workloads of other kinds whose scale is asked for; the replicas of those beyond are counted from pods.
const MOST_SCALES: usize = 100;

/// Objects or namespaces that are named one by one in gaps; more are counted.
const MOST_NAMED: usize = 10;

/// The API server of one cluster.
pub struct KubernetesSource {
    pub(super) server: ApiServer,
    pub(super) settings: KubernetesSettings,
    /// How messages call the server: its URL.
    url: String,
    /// The version that the server told when it was last probed.
    version: Mutex<Option<String>>,
}

impl KubernetesSource {
    /// Reads the kubeconfig (or what a pod in the cluster is given) and prepares a client; sends nothing but
    /// what an exec credential plugin sends.
    ///
    /// # Errors
    /// The kubeconfig cannot be used, with what to do.
    pub async fn connect(settings: KubernetesSettings) -> Result<Self, SourceError> {
        let (client, url) = connect::client(&settings).await?;
        Ok(Self::with_client(client, &url, settings))
    }

    /// Over a client that is there already; `url` is how messages call the server.
    #[must_use]
    pub fn with_client(client: Client, url: &str, settings: KubernetesSettings) -> Self {
        let server = ApiServer::new(client, settings.timeout, settings.retry, settings.concurrency);
        Self { server, settings, url: url.to_owned(), version: Mutex::default() }
    }

    /// The client, to reach other servers through the cluster.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.server.client()
    }

    /// A metrics server that is reached through this API server. Nothing is sent yet. Of the settings, address,
    /// TLS and compression do not count.
    ///
    /// # Errors
    /// A setting cannot be used, or the way cannot carry it.
    pub fn prometheus(&self, reach: Reach, settings: &PrometheusSettings) -> Result<Prometheus, SourceError> {
        let tunnel = Tunnel::new(self.client().clone(), reach, prometheus::headers(settings)?)?;
        Prometheus::through(Box::new(tunnel), settings)
    }

    pub(super) fn gap(
        &self,
        namespace: Option<&str>,
        what: &str,
        cause: GapCause,
        said: impl Into<Value>,
    ) -> Gap {
        let parts = [Some(self.settings.cluster.as_str()), namespace, Some(what)];
        let parts: Vec<&str> = parts.into_iter().flatten().filter(|p| !p.is_empty()).collect();
        Gap::new(parts.join("/"), cause, said)
    }

    /// Lists a resource wherever the scope says.
    pub(super) async fn collect<T, U>(
        &self,
        run: &Run<'_>,
        resource: &Resource,
        convert: Convert<T, U>,
    ) -> Part<U>
    where
        T: DeserializeOwned + 'static,
        U: Namespaced + Send + 'static,
    {
        let mut part = Part::default();
        if !run.wants(resource) {
            return part;
        }
        let size = self.settings.page_size;
        let (names, denied) = match &run.scope {
            Scope::Namespaces { names, most: false } if resource.namespaced => (names.clone(), None),
            scope => {
                let mut listed = list(&self.server, resource, None, size, convert).await;
                if let Scope::Namespaces { names, .. } = scope
                    && resource.namespaced
                {
                    listed.items.retain(|item| names.contains(item.namespace()));
                    listed.written.retain(|written| names.contains(&written.id.namespace));
                }
                match (listed.refusal.clone(), scope) {
                    (Some(refusal @ Refusal::Denied(_)), Scope::Namespaces { names, .. })
                        if resource.namespaced =>
                    {
                        drop(refusal);
                        (names.clone(), None)
                    }
                    (Some(refusal @ Refusal::Denied(_)), Scope::Cluster) if resource.namespaced => {
                        let fallback = run.fallback.get_or_init(|| self.fallback()).await;
                        (fallback.names.clone(), Some((refusal, fallback.whole)))
                    }
                    _ => {
                        self.take(run, &mut part, resource, None, listed);
                        return part;
                    }
                }
            }
        };

        let lists = names.iter().map(|name| async move {
            (name.as_str(), list(&self.server, resource, Some(name), size, convert).await)
        });
        let mut refused = Vec::new();
        for (name, listed) in join_all(lists).await {
            match listed.refusal {
                Some(refusal @ Refusal::Denied(_)) => refused.push((name, refusal)),
                _ => self.take(run, &mut part, resource, Some(name), listed),
            }
        }
        match denied {
            // The namespaces themselves are not known, or none can be read: say it once for the cluster.
            Some((refusal, whole)) if !whole || refused.len() == names.len() => {
                let (cause, mut said) = explain(&refusal, resource, None);
                let own: Vec<&str> = names.iter().map(String::as_str).collect();
                if refused.len() < names.len() {
                    let all = phrase("gap-only-namespaces").with("why", said);
                    said = all.with("namespaces", own.join(", ")).into();
                }
                part.gaps.push(self.gap(None, &resource.name(), cause, said));
                let mut others = unavailable(resource, None, &refusal);
                let refused = |name: &String| refused.iter().any(|(refused, _)| refused == name);
                others.except = names.iter().filter(|name| !refused(name)).cloned().collect();
                part.unavailable.push(others);
            }
            _ => self.refuse(&mut part, resource, refused),
        }
        part
    }

    /// Notes the namespaces in which a list is not allowed.
    fn refuse<U>(&self, part: &mut Part<U>, resource: &Resource, refused: Vec<(&str, Refusal)>) {
        if refused.len() > MOST_NAMED {
            let names: Vec<&str> = refused.iter().take(MOST_NAMED).map(|(name, _)| *name).collect();
            let said = phrase("gap-denied-in-many")
                .with("resource", resource.name())
                .with("n", refused.len())
                .with("names", names.join(", "))
                .with("more", refused.len() - names.len());
            part.gaps.push(self.gap(None, &resource.name(), GapCause::AccessDenied, said));
        }
        let each = refused.len() <= MOST_NAMED;
        for (name, refusal) in refused {
            if each {
                let (cause, said) = explain(&refusal, resource, Some(name));
                part.gaps.push(self.gap(Some(name), &resource.name(), cause, said));
            }
            part.unavailable.push(unavailable(resource, Some(name), &refusal));
        }
    }

    /// Takes what arrived of a list, and notes what did not.
    fn take<U>(
        &self,
        run: &Run<'_>,
        part: &mut Part<U>,
        resource: &Resource,
        namespace: Option<&str>,
        listed: Listed<U>,
    ) {
        let Listed { items, written, invalid, refusal } = listed;
        run.written.lock().expect("nobody panics while holding it").extend(written);
        if let Some(refusal) = refusal {
            let (mut cause, mut said) = explain(&refusal, resource, namespace);
            if !items.is_empty() {
                cause = GapCause::Partial;
                said = phrase("gap-first-arrived").with("why", said).with("n", items.len()).into();
            }
            part.gaps.push(self.gap(namespace, &resource.name(), cause, said));
            let denied = matches!(refusal, Refusal::Denied(_));
            part.unavailable.push(match run.scope {
                Scope::Namespaces { .. } if denied && !resource.namespaced => {
                    let why = Missing::OutsideNamespaces { resource: resource.name() };
                    Unavailable::new(resource.kind, None, why)
                }
                _ => unavailable(resource, namespace, &refusal),
            });
        }
        self.note_invalid(part, resource, namespace, invalid);
        part.items.extend(items);
    }

    fn note_invalid<U>(
        &self,
        part: &mut Part<U>,
        resource: &Resource,
        namespace: Option<&str>,
        invalid: Vec<String>,
    ) {
        let more = invalid.len().saturating_sub(MOST_NAMED);
        for trouble in invalid.into_iter().take(MOST_NAMED) {
            let said = phrase("gap-unreadable").with("resource", resource.plural).with("trouble", trouble);
            part.gaps.push(self.gap(namespace, &resource.name(), GapCause::InvalidObject, said));
        }
        if more > 0 {
            let said = phrase("gap-more-unreadable").with("n", more).with("resource", resource.plural);
            part.gaps.push(self.gap(namespace, &resource.name(), GapCause::InvalidObject, said));
        }
    }

    /// The namespaces to look into when a list of the whole cluster is not allowed.
    async fn fallback(&self) -> Fallback {
        let all = scope::namespaces(&self.server, self.settings.page_size).await;
        match all.refusal {
            None => Fallback { names: all.items.into_iter().collect(), whole: true },
            Some(_) => {
                let own = self.client().default_namespace().to_owned();
                Fallback { names: BTreeSet::from([own]), whole: false }
            }
        }
    }

    /// The version of the API server; empty when it keeps it to itself.
    pub(super) async fn version(&self) -> String {
        let told = || self.version.lock().expect("nobody panics while holding it").clone();
        if told().is_none() {
            // Only the version counts here; why there is none, a run has said before.
            let _ = self.probe().await;
        }
        told().unwrap_or_default()
    }

    /// Asks for the scale of workloads of other kinds. Where it cannot be read, their pods have been counted, and a gap
    /// says so.
    async fn scales(&self, unlisted: Vec<Unlisted>) -> (Vec<(Unlisted, Scaled)>, Option<Gap>) {
        let (mut unread, mut why) = (0, None);
        let mut by_version: BTreeMap<String, Vec<Unlisted>> = BTreeMap::new();
        for one in unlisted {
            by_version.entry(one.api_version.clone()).or_default().push(one);
        }
        let mut asked = MOST_SCALES;
        let mut out = Vec::new();
        for (version, all) in by_version {
            let base = match version.contains('/') {
                true => format!("/apis/{version}"),
                false => format!("/api/{version}"),
            };
            let served = match self.server.get(&base, "application/json").await {
                Ok(body) => serde_json::from_slice::<wire::ApiResources>(&body).unwrap_or_default(),
                Err(refusal) => {
                    unread += all.len();
                    why.get_or_insert(refusal.to_string());
                    continue;
                }
            };
            let mut questions = Vec::new();
            for one in all {
                let is_kind =
                    |r: &&wire::ApiResource| convert::kind_in_full(&version, &r.kind) == one.id.kind;
                let plural = served.resources.iter().find(|r| is_kind(r) && !r.name.contains('/'));
                let Some(plural) = plural.map(|r| r.name.as_str()) else { continue };
                if !served.resources.iter().any(|r| r.name == format!("{plural}/scale")) {
                    out.push((one, Scaled::Never));
                    continue;
                }
                if asked == 0 {
                    unread += 1;
                    why.get_or_insert(format!("{MOST_SCALES} are asked for at most"));
                    continue;
                }
                asked -= 1;
                let path = format!(
                    "{base}/namespaces/{}/{plural}/{}/scale",
                    encode(&one.id.namespace),
                    encode(&one.id.name)
                );
                questions.push(async move { (one, self.server.get(&path, "application/json").await) });
            }
            for (one, answer) in join_all(questions).await {
                if let Err(refusal) = &answer {
                    unread += 1;
                    why.get_or_insert(refusal.to_string());
                }
                let scale = answer.ok().and_then(|body| serde_json::from_slice::<wire::Scale>(&body).ok());
                // Zero is written by leaving the field out.
                let desired = scale.map(|s| s.spec.replicas.unwrap_or_default());
                out.extend(desired.map(|desired| (one, Scaled::To(desired))));
            }
        }
        let said = why.map(|why| phrase("gap-scales").with("n", unread).with("why", why));
        (out, said.map(|said| self.gap(None, "scale", GapCause::Info, said)))
    }

    fn note_scope(&self, troubles: Vec<scope::Trouble>, gaps: &mut Vec<Gap>) {
        gaps.extend(troubles.into_iter().map(|(what, cause, detail)| self.gap(None, &what, cause, detail)));
    }
}

/// Workloads that are asked to have no pod.
fn scaled_to_zero(controllers: &Controllers) -> Vec<ScaledToZero> {
    let Controllers { deployments, stateful_sets, daemon_sets, .. } = controllers;
    let zero = |entry: &ControllerEntry| Some(ScaledToZero::new(&entry.id, entry.pod_labels.clone()?));
    deployments.iter().chain(stateful_sets).chain(daemon_sets).filter_map(zero).collect()
}

/// Labels of the pods that workloads of other kinds would have, such as a Rollout of Argo, as their ReplicaSets tell them.
fn labels_of_others(controllers: &Controllers) -> BTreeMap<WorkloadId, BTreeMap<String, String>> {
    let labels = |entry: &ControllerEntry| {
        let owner = entry.owner.as_ref()?;
        let of = WorkloadId::new(&entry.id.namespace, &owner.kind, &owner.name);
        Some((of, entry.pod_labels.clone()?))
    };
    controllers.replica_sets.iter().filter_map(labels).collect()
}

/// Says of namespaces that may not be there that nothing is seen in them, where pods could be listed.
fn nothing_seen(
    unsure: &BTreeSet<String>,
    kinds: &BTreeSet<ObjectKind>,
    objects: &Objects,
) -> Vec<scope::Trouble> {
    if unsure.is_empty() || !kinds.contains(&ObjectKind::Pods) {
        return Vec::new();
    }
    let workloads = objects.workloads.iter().map(|w| w.id.namespace.as_str());
    let pods = objects.pods.iter().map(|p| p.workload.namespace.as_str());
    let events = objects.events.iter().map(|e| e.namespace.as_str());
    let seen: BTreeSet<&str> =
        workloads.chain(pods).chain(events).chain(objects.inventory.inhabited()).collect();
    let hidden = |name: &str| objects.unavailable.iter().any(|u| u.hides(ObjectKind::Pods, name));
    let empty = unsure.iter().filter(|name| !seen.contains(name.as_str()) && !hidden(name));
    empty.map(|name| scope::nothing_seen(name)).collect()
}

/// The living pod that mounts each of what pods mount, the first by name where several do.
fn mounted(pods: &[PodEntry], names: fn(&PodEntry) -> &[String]) -> BTreeMap<ObjectId, String> {
    let mut out = BTreeMap::new();
    for entry in pods {
        let pod = &entry.pod;
        if matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed) {
            continue;
        }
        for name in names(entry) {
            let known = out.entry(ObjectId::new(&pod.workload.namespace, name));
            let first = known.or_insert_with(|| pod.name.clone());
            if pod.name < *first {
                first.clone_from(&pod.name);
            }
        }
    }
    out
}

/// What every list of one call shares.
pub(super) struct Run<'a> {
    kinds: &'a BTreeSet<ObjectKind>,
    scope: Scope,
    fallback: OnceCell<Fallback>,
    /// Objects that somebody wrote in a deprecated version, as the lists tell them.
    written: Mutex<Vec<WrittenAs>>,
}

impl Run<'_> {
    fn wants(&self, resource: &Resource) -> bool {
        wants(self.kinds, resource)
    }

    pub(super) fn asks(&self, kind: ObjectKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether it looks into a namespace.
    pub(super) fn looks_into(&self, namespace: &str) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Namespaces { names, .. } => names.contains(namespace),
        }
    }

    /// Whether all namespaces are looked into.
    pub(super) fn is_everywhere(&self) -> bool {
        matches!(self.scope, Scope::Cluster)
    }

    /// What the lists so far tell of deprecated versions, where that is asked.
    pub(super) fn api_use(&self) -> Option<ApiUse> {
        let mut written = std::mem::take(&mut *self.written.lock().expect("nobody panics while holding it"));
        // Some resources are listed twice.
        written.sort();
        written.dedup();
        self.asks(ObjectKind::ApiUse).then(|| ApiUse { written, ..ApiUse::default() })
    }
}

fn wants(kinds: &BTreeSet<ObjectKind>, resource: &Resource) -> bool {
    request::LISTS.iter().any(|(by, r)| r == resource && by.iter().any(|kind| kinds.contains(kind)))
}

struct Fallback {
    names: BTreeSet<String>,
    /// Whether these are all namespaces of the cluster.
    whole: bool,
}

enum Scaled {
    To(u32),
    /// The kind has no scale.
    Never,
}

/// What arrived of a resource, and what did not.
pub(super) struct Part<U> {
    items: Vec<U>,
    gaps: Vec<Gap>,
    unavailable: Vec<Unavailable>,
}

impl<U> Default for Part<U> {
    fn default() -> Self {
        Self { items: Vec::new(), gaps: Vec::new(), unavailable: Vec::new() }
    }
}

impl<U> Part<U> {
    /// Whether all of it arrived.
    pub(super) fn is_whole(&self) -> bool {
        self.unavailable.is_empty()
    }

    /// The items; the rest is noted.
    pub(super) fn settle(self, unavailable: &mut Vec<Unavailable>, gaps: &mut Vec<Gap>) -> Vec<U> {
        unavailable.extend(self.unavailable);
        gaps.extend(self.gaps);
        self.items
    }
}

fn unavailable(resource: &Resource, namespace: Option<&str>, refusal: &Refusal) -> Unavailable {
    let why = match refusal {
        Refusal::Denied(_) => Missing::AccessDenied {
            verb: "list".to_owned(),
            resource: resource.name(),
            namespace: namespace.map(str::to_owned),
        },
        _ => Missing::ListFailed { resource: resource.name() },
    };
    Unavailable::new(resource.kind, namespace.map(str::to_owned), why)
}

/// Where an object lives.
pub(super) trait Namespaced {
    fn namespace(&self) -> &str;
}

impl Namespaced for PodEntry {
    fn namespace(&self) -> &str {
        &self.pod.workload.namespace
    }
}
impl Namespaced for ControllerEntry {
    fn namespace(&self) -> &str {
        &self.id.namespace
    }
}
impl Namespaced for healthcore::model::Hpa {
    fn namespace(&self) -> &str {
        &self.namespace
    }
}
impl Namespaced for healthcore::model::Event {
    fn namespace(&self) -> &str {
        // Events about nodes and the like are kept there.
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }
}
impl Namespaced for NodeEntry {
    fn namespace(&self) -> &str {
        ""
    }
}

#[async_trait]
impl ObjectSource for KubernetesSource {
    async fn probe(&self) -> Result<(), SourceError> {
        let what = || format!("the Kubernetes API at {}", self.url);
        match self.server.get("/version", "application/json").await {
            Ok(body) => {
                let version: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
                if let Some(version) = version["gitVersion"].as_str() {
                    let mut told = self.version.lock().expect("nobody panics while holding it");
                    *told = Some(version.to_owned());
                    return Ok(());
                }
                Err(SourceError::Unusable {
                    what: what(),
                    why: "something answers, but it is not a Kubernetes API server; check `server` of the cluster in the kubeconfig".into(),
                })
            }
            // Some servers keep their version to themselves; what counts is that they know who asks.
            Err(Refusal::Denied(_)) => Ok(()),
            Err(Refusal::Unauthorized(said)) => Err(SourceError::Unauthorized {
                what: what(),
                why: format!(
                    "{said}; the token or certificate may have expired: log in again, or renew the credentials of the kubeconfig's user"
                ),
            }),
            Err(refusal @ (Refusal::Unreachable(_) | Refusal::Timeout(_))) => Err(SourceError::Unreachable {
                what: what(),
                why: connect::explain_unreachable(&refusal.to_string()),
            }),
            Err(refusal) => Err(SourceError::Unusable { what: what(), why: refusal.to_string() }),
        }
    }

    fn context(&self) -> Option<&str> {
        self.settings.context.as_deref()
    }

    fn address(&self) -> Option<&str> {
        Some(&self.url)
    }

    async fn identity(&self) -> Option<String> {
        let path = format!("{}/{IDENTIFYING_NAMESPACE}", request::NAMESPACES.path("v1", None, 0, ""));
        let answer = self.server.get(&path, "application/json").await.ok()?;
        let namespace: wire::Identified = serde_json::from_slice(&answer).ok()?;
        Some(namespace.metadata.uid)
    }

    async fn objects(&self, selection: &Selection, kinds: &BTreeSet<ObjectKind>) -> Fetched<Objects> {
        let mut gaps = Vec::new();
        let size = self.settings.page_size;
        let scope::Found { scope, troubles, unsure } =
            scope::resolve(&self.server, &selection.namespaces, size).await;
        self.note_scope(troubles, &mut gaps);
        let run = Run { kinds, scope, fallback: OnceCell::new(), written: Mutex::default() };
        let run = &run;
        let places = run.asks(ObjectKind::ImagePlatforms);
        let node: Convert<wire::Node, NodeEntry> = if places { convert::placed_node } else { convert::node };
        let select = run.asks(ObjectKind::DisruptionBudgets) || run.asks(ObjectKind::Services);
        let pod: Convert<wire::Pod, PodEntry> = if select { convert::labelled_pod } else { convert::pod };

        let (
            pods,
            deployments,
            stateful_sets,
            daemon_sets,
            replica_sets,
            jobs,
            cron_jobs,
            hpas,
            events,
            nodes,
        ) = tokio::join!(
            self.collect(run, &request::PODS, pod),
            self.collect(run, &request::DEPLOYMENTS, |raw, _| Some(convert::scaled("Deployment", raw))),
            self.collect(run, &request::STATEFUL_SETS, |raw, _| Some(convert::scaled("StatefulSet", raw))),
            self.collect(run, &request::DAEMON_SETS, |raw, _| Some(convert::daemon_set(raw))),
            self.collect(run, &request::REPLICA_SETS, |raw, _| Some(convert::unscaled("ReplicaSet", raw))),
            self.collect(run, &request::JOBS, |raw, _| Some(convert::unscaled("Job", raw))),
            self.collect(run, &request::CRON_JOBS, |raw, _| Some(convert::unscaled("CronJob", raw))),
            self.collect(run, &request::AUTOSCALERS, convert::hpa),
            self.collect(run, &request::EVENTS, convert::event),
            self.collect(run, &request::NODES, node),
        );

        let mut unavailable = Vec::new();
        let (u, g) = (&mut unavailable, &mut gaps);
        let mut pods = pods.settle(u, g);
        self.give_jvm_flags(run, &mut pods, g).await;
        let claims = mounted(&pods, |pod| &pod.claims);
        let secrets = mounted(&pods, |pod| &pod.secrets);
        let known = select && run.asks(ObjectKind::Pods);
        let labels = known.then(|| shared_pods::take_labels(&mut pods));
        let controllers = Controllers {
            deployments: deployments.settle(u, g),
            stateful_sets: stateful_sets.settle(u, g),
            daemon_sets: daemon_sets.settle(u, g),
            replica_sets: replica_sets.settle(u, g),
            jobs: jobs.settle(u, g),
            cron_jobs: cron_jobs.settle(u, g),
        };
        let mut scaled_to_zero = scaled_to_zero(&controllers);
        let mut labels_of_others = labels_of_others(&controllers);
        let mut hpas = hpas.settle(u, g);
        let events = convert::fold_events(events.settle(u, g));
        let nodes = nodes.settle(u, g);
        if places {
            placement::give_places(&mut pods, &nodes);
        }
        let mut nodes: Vec<Node> = nodes.into_iter().map(|entry| entry.node).collect();
        hpas.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        nodes.sort_by(|a, b| a.name.cmp(&b.name));

        let Joined { mut workloads, pods, unlisted } = join(controllers, pods);
        let (scales, gap) = self.scales(unlisted).await;
        gaps.extend(gap);
        for (one, scaled) in scales {
            let Ok(at) = workloads.binary_search_by(|w| w.id.cmp(&one.id)) else { continue };
            if let (Scaled::To(0), Some(labels)) = (&scaled, labels_of_others.remove(&one.id)) {
                scaled_to_zero.push(ScaledToZero::new(&one.id, labels));
            }
            let counted = workloads[at].replicas;
            workloads[at].replicas = match scaled {
                Scaled::To(desired) => {
                    Some(Replicas { desired, ready: counted.map_or(0, |counted| counted.ready) })
                }
                Scaled::Never => None,
            };
        }
        if !kinds.contains(&ObjectKind::Workloads) {
            unavailable.retain(|u| u.kind != ObjectKind::Workloads);
        }
        let around = Around { scaled_to_zero, labels, pods: &pods };
        let mut inventory = self.inventory(run, around, &mut unavailable, &mut gaps).await;
        for claim in &mut inventory.volume_claims {
            claim.used_by = claims.get(&claim.id).cloned();
        }
        for secret in &mut inventory.tls_secrets {
            secret.used_by = secrets.get(&secret.id).cloned();
        }
        let origin = Origin::KubernetesApi;
        let mut objects = Objects {
            origin,
            workloads,
            pods,
            hpas,
            events,
            nodes,
            inventory,
            unavailable,
            ..Objects::default()
        };
        objects.give_architectures_to_pods();
        objects.give_other_builds();
        objects.give_node_kills_to_pods();
        if run.is_everywhere() && run.asks(ObjectKind::Pods) {
            objects.give_pods_to_nodes();
        }
        self.note_scope(nothing_seen(&unsure, kinds, &objects), &mut gaps);
        Fetched { value: objects, gaps }
    }

    fn plan(&self, kinds: &BTreeSet<ObjectKind>) -> Vec<(String, String)> {
        let mut plan = vec![("list".to_owned(), request::NAMESPACES.name())];
        let wanted = rights(kinds, &[], None).into_iter().chain([identity_right()]);
        plan.extend(wanted.map(|right| (right.verb.to_owned(), right.object())));
        // A check may list them, too.
        let mut seen = BTreeSet::new();
        plan.retain(|line| seen.insert(line.clone()));
        plan
    }

    fn log_source(&self) -> Option<&dyn LogSource> {
        Some(self)
    }

    fn usage(&self) -> Usage {
        self.server.usage()
    }
}
