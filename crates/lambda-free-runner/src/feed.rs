//! Turns the servers of one cluster into parts, one after the other; the next is fetched while one is judged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use healthcore::class::{self, Class};
use healthcore::finding::Value;
use healthcore::inventory::Inventory;
use healthcore::metric::SeriesOf;
use healthcore::model::{Event, Hpa, ObjectKind, Pod, WorkloadId};
use healthcore::need::{Budget, Needs, Partition, Selector, literal, partitions};
use healthcore::phrase::phrase;
use healthcore::series::SeriesStore;
use healthcore::settings::nearest;
use healthcore::shard::Shard;
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Owners, Snapshot, Unavailable};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::Seconds;
use healthcore_sources::recording::ClusterHead;
use healthcore_sources::{Fetched, MetricsSource, SourceError, Usage};
use tokio::task::JoinHandle;

use crate::certificates::Certificates;
use crate::history::{History, Patience};
use crate::hosts::Hosts;
use crate::listing::{Listing, list_objects, scoped};
use crate::progress::Progress;
use crate::redact;
use crate::registries::Registries;
use crate::room::{Place, Room};
use crate::spec::ClusterSources;

/// Parts that are fetched beside the one that is waited for: enough to keep the server busy while the slowest query of a
/// part is still under way.
const AHEAD: usize = 1;

/// Parts that one cluster may have under way: one that is judged, one that is waited for, and those ahead.
pub(crate) const UNDER_WAY: usize = AHEAD + 2;

/// What the run is about, shared by all parts.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) taken_at: Timestamp,
    /// Whether the end of the window was given, and is not the clock's now.
    pub(crate) at_given: bool,
    pub(crate) window: Window,
    pub(crate) budget: Budget,
    /// The part of the run that this process makes.
    pub(crate) shard: Option<Shard>,
}

/// What a run knows of a cluster besides its servers.
pub(crate) struct Around<'a> {
    pub(crate) certificates: Certificates,
    pub(crate) hosts: Hosts,
    pub(crate) registries: Registries,
    /// Where earlier runs left the events that they saw.
    pub(crate) history: Option<(&'a History, &'a Patience)>,
}

/// A cluster that answers.
pub(crate) struct Feed {
    pub(crate) head: ClusterHead,
    /// What tells it from every other cluster, where that is known.
    pub(crate) identity: Option<String>,
    metrics: Option<Arc<dyn MetricsSource>>,
    sources: ClusterSources,
    needs: Arc<Needs>,
    frame: Frame,
    owners: Arc<Owners>,
    parts: std::vec::IntoIter<(Partition, Objects)>,
    pub(crate) all_parts: usize,
    ahead: VecDeque<JoinHandle<Part>>,
    room: Room,
}

/// What was fetched of a partition, and the room that it takes.
pub(crate) struct Part {
    pub(crate) snapshot: Snapshot,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) place: Place,
}

impl Feed {
    /// Connects to the cluster and lists its objects.
    ///
    /// # Errors
    /// Neither its metrics server nor its API can be used: all reasons.
    pub(crate) async fn open(
        sources: &ClusterSources,
        needs: Arc<Needs>,
        frame: Frame,
        room: Room,
        around: &Around<'_>,
        progress: &dyn Progress,
    ) -> Result<Self, Vec<SourceError>> {
        let Around { certificates, hosts, registries, history } = around;
        progress.connecting(&sources.name);
        let mut gaps = Vec::new();
        let mut errors = Vec::new();
        // What is judged over a whole cluster is for the first shard.
        let first = frame.shard.is_none_or(Shard::is_first);
        let open_metrics = async {
            let metrics = sources.metrics.as_ref()?;
            // What is found out meanwhile of one that cannot be used is dropped with it.
            let prepared = async {
                metrics.prepare(&frame.window).await;
                match first && needs.objects.contains(&ObjectKind::ApiUse) {
                    true => Ok(Some(metrics.requested_apis(&frame.window).await)),
                    false => Ok(None),
                }
            };
            let opened = tokio::try_join!(metrics.probe(), prepared);
            Some(opened.map(|((), requested)| (Arc::clone(metrics), requested)))
        };
        let kinds = registries.lists(hosts.lists(&needs.objects));
        let open_api = async {
            let api = sources.objects.as_ref()?;
            match api.probe().await {
                Ok(()) => Some(Ok(tokio::join!(api.objects(&sources.selection, &kinds), api.identity()))),
                Err(e) => Some(Err(e)),
            }
        };
        let mut unremembered = Vec::new();
        let remember = async {
            match history.filter(|_| needs.objects.contains(&ObjectKind::Events)) {
                Some((history, patience)) => {
                    history.events(&sources.name, frame.taken_at, patience, &mut unremembered).await
                }
                None => Vec::new(),
            }
        };
        let (metrics, api, remembered) = tokio::join!(open_metrics, open_api, remember);
        gaps.extend(unremembered);
        let mut usable = |what: &str, e: SourceError| {
            gaps.push(gap(&sources.name, what, &e));
            errors.push(e);
        };
        let metrics = metrics.and_then(|m| m.map_err(|e| usable("prometheus", e)).ok());
        let (metrics, requested_apis) = metrics.unzip();
        let (api, identity) = api.and_then(|a| a.map_err(|e| usable("kubernetes", e)).ok()).unzip();
        let identity = identity.flatten();
        if metrics.is_none() && api.is_none() {
            return Err(errors);
        }

        let Listing { objects, filled, from } =
            list_objects(sources, metrics.as_deref(), api, &needs, &frame.window, &mut gaps).await;
        let mut listed: Vec<Objects> = std::iter::once(objects).chain(filled).collect();
        if from == Some(Origin::KubernetesApi) {
            gaps.extend(ahead(&sources.name, &listed[0], frame));
        }
        if first && needs.objects.contains(&ObjectKind::HostRequests) {
            let look = hosts.look(sources, metrics.as_deref(), &mut listed[0], &frame.window);
            gaps.extend(look.await);
        }
        if let (Some(api_use), Some(asked)) = (&mut listed[0].inventory.api_use, requested_apis.flatten()) {
            api_use.requested = asked.value;
            gaps.extend(scoped(&sources.name, asked.gaps));
        }
        if first && needs.objects.contains(&ObjectKind::ServedCertificates) {
            gaps.extend(certificates.look(&sources.name, &mut listed[0].inventory).await);
        }
        gaps.extend(crate::logs::read(sources, &needs, &mut listed, frame).await);
        listed.iter_mut().for_each(redact::objects);
        // What is remembered was redacted too.
        listed.iter_mut().for_each(|objects| objects.recall(&remembered));
        if from == Some(Origin::KubernetesApi) && needs.objects.contains(&ObjectKind::Nodes) {
            listed[0].give_starts(frame.taken_at);
        }
        let mut inventory = std::mem::take(&mut listed[0].inventory);
        inventory.give_warnings(listed.iter().flat_map(|objects| &objects.events), frame.taken_at);
        listed[0].inventory = inventory;
        if let Some(shard) = frame.shard {
            // Now that what belongs together across namespaces has been joined.
            listed.iter_mut().for_each(|objects| shard.keep(&sources.name, objects));
        }
        gaps.extend(misnamed(&sources.name, &listed));
        if needs.objects.contains(&ObjectKind::ImagePlatforms) {
            gaps.extend(registries.look(&sources.name, &mut listed).await);
        }
        redact::gaps(&mut gaps);
        let count = |of: fn(&Objects) -> usize| listed.iter().map(of).sum();
        progress.objects(&sources.name, count(|o| o.workloads.len()), count(|o| o.pods.len()));

        let head = ClusterHead {
            name: sources.name.clone(),
            objects_from: from,
            metrics_via: metrics.as_ref().map(|m| m.via()),
            context: sources.objects.as_ref().and_then(|o| o.context()).map(str::to_owned),
            asked: Some(needs.objects.clone()),
            namespaces: Some(sources.selection.namespaces.clone()),
            unavailable: listed[0].unavailable.clone(),
            gaps,
        };
        let owners = Arc::new(Owners::new(
            listed.iter().flat_map(|o| &o.workloads),
            listed.iter().flat_map(|o| &o.pods),
        ));
        let own = |name: &str| listed[1..].iter().flat_map(|o| &o.workloads).any(|w| w.id.namespace == name);
        let named: Vec<String> = sources
            .selection
            .namespaces
            .iter()
            .filter(|n| !n.contains(['*', '?']) && !own(n))
            .filter(|n| frame.shard.is_none_or(|shard| shard.owns(&sources.name, n)))
            .cloned()
            .collect();
        let mut parts = Vec::new();
        for (at, objects) in listed.into_iter().enumerate() {
            // Namespaces that are named are looked into even when nothing is in them.
            let named = if at == 0 { &named[..] } else { &[] };
            let cut = partitions(&objects, named, &frame.window, frame.budget);
            parts.extend(distribute(cut, objects, &owners));
        }
        Ok(Self {
            head,
            identity,
            metrics,
            sources: sources.clone(),
            needs,
            frame,
            owners,
            all_parts: parts.len(),
            parts: parts.into_iter(),
            ahead: VecDeque::new(),
            room,
        })
    }

    /// The partitions, for `--dry-run`.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &Partition> {
        self.parts.as_slice().iter().map(|(p, _)| p)
    }

    /// What the cluster holds besides workloads, for `--dry-run`.
    pub(crate) fn inventories(&self) -> impl Iterator<Item = &Inventory> {
        self.parts.as_slice().iter().map(|(_, o)| &o.inventory).filter(|i| !i.is_empty())
    }

    /// The objects of all parts, for `--dry-run`.
    pub(crate) fn objects(&self) -> Vec<Objects> {
        self.parts.as_slice().iter().map(|(_, objects)| objects.clone()).collect()
    }

    /// The pods of all parts, for `--dry-run`.
    pub(crate) fn pods(&self) -> Objects {
        let pods = self.parts.as_slice().iter().flat_map(|(_, objects)| objects.pods.iter().cloned());
        Objects { pods: pods.collect(), ..Objects::default() }
    }

    /// The next part; none after the last. Those after it are being fetched meanwhile, as far as there is room.
    pub(crate) async fn next(&mut self) -> Option<Part> {
        if self.ahead.is_empty() {
            let place = self.room.wait(self.wanted()?).await;
            self.fetch(place);
        }
        while self.ahead.len() <= AHEAD
            && let Some(place) = self.wanted().and_then(|samples| self.room.at_once(samples))
        {
            self.fetch(place);
        }
        let part = self.ahead.pop_front()?;
        Some(part.await.expect("fetching a part does not panic and is not cancelled"))
    }

    /// Room for the next part that nobody fetches yet; none when all are.
    fn wanted(&self) -> Option<u64> {
        self.parts.as_slice().first().map(|(partition, _)| partition.samples)
    }

    /// What the servers of the cluster have cost so far: metrics, API.
    pub(crate) fn usage(&self) -> (Usage, Usage) {
        let mut api = self.sources.objects.as_ref().map(|o| o.usage()).unwrap_or_default();
        api.bytes += self.sources.logs.as_ref().map(|l| l.usage().bytes).unwrap_or_default();
        (self.metrics.as_ref().map(|m| m.usage()).unwrap_or_default(), api)
    }

    fn fetch(&mut self, place: Place) {
        let Some((partition, objects)) = self.parts.next() else { return };
        let (metrics, needs, owners) =
            (self.metrics.clone(), Arc::clone(&self.needs), Arc::clone(&self.owners));
        let (frame, cluster) = (self.frame, self.head.name.clone());
        self.ahead.push_back(tokio::spawn(async move {
            let Fetched { value: mut series, mut gaps } = match metrics {
                Some(_) if is_nowhere(&partition) => Fetched::default(),
                Some(metrics) => metrics.series(&needs, &partition, &frame.window).await,
                None => Fetched::whole(without_server(&needs)),
            };
            gaps = scoped(&cluster, gaps);
            keep_own(&mut series, &partition, &objects, &owners);
            for pod in left_out(&partition, &objects) {
                series.thin_out(&pod.workload.namespace, &pod.name);
            }
            if let Some((id, kept, all)) = &partition.thinned {
                let said = phrase("gap-thinned").with("kept", *kept).with("all", *all);
                gaps.push(Gap::new(format!("{cluster}/{id}"), GapCause::Thinned, said));
            }
            redact::gaps(&mut gaps);
            let Frame { taken_at, window, .. } = frame;
            Part { snapshot: Snapshot { cluster, taken_at, window, objects, series }, gaps, place }
        }));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.ahead.iter().for_each(JoinHandle::abort);
    }
}

/// Whether a partition looks into no namespace. A query for it would be one for all of them.
pub(crate) fn is_nowhere(partition: &Partition) -> bool {
    matches!(&partition.selector, Selector::Namespaces(names) if names.is_empty())
}

fn without_server(needs: &Needs) -> SeriesStore {
    let mut store = SeriesStore::default();
    for metric in needs.metrics.keys() {
        store.missing(*metric, Missing::NoMetricsSource);
    }
    store
}

/// Pods whose series were not asked for, because their workload is too large.
fn left_out<'o>(partition: &'o Partition, objects: &'o Objects) -> impl Iterator<Item = &'o Pod> {
    let of = partition.thinned.as_ref().map(|(id, ..)| id);
    let kept: BTreeSet<&str> = match &partition.selector {
        Selector::Pods { patterns, .. } => patterns.iter().map(String::as_str).collect(),
        Selector::Namespaces(_) => BTreeSet::new(),
    };
    objects
        .pods
        .iter()
        .filter(move |pod| of == Some(&pod.workload) && !kept.contains(literal(&pod.name).as_str()))
}

/// Keeps the series of the partition's own workloads, autoscalers and claims: a pattern may match more.
fn keep_own(series: &mut SeriesStore, partition: &Partition, objects: &Objects, owners: &Owners) {
    series.retain(|metric, key| match metric.of() {
        SeriesOf::Autoscaler => {
            objects.hpas.iter().any(|h| *h.namespace == *key.namespace && *h.name == *key.name)
        }
        SeriesOf::VolumeClaim => {
            let claims = &objects.inventory.volume_claims;
            claims.iter().any(|c| *c.id.namespace == *key.namespace && *c.id.name == *key.name)
        }
        _ => owners.of(&key.namespace, &key.name).is_some_and(|id| partition.workloads.contains(id)),
    });
}

/// Gives every object to exactly one partition: pods, autoscalers and events to that of their workload, what
/// has none to the first that looks into its namespace, else to the first.
fn distribute(parts: Vec<Partition>, objects: Objects, owners: &Owners) -> Vec<(Partition, Objects)> {
    let mut parts = parts;
    if parts.is_empty() {
        // Autoscalers are judged without their workloads too.
        let namespaces: BTreeSet<&String> = objects.hpas.iter().map(|h| &h.namespace).collect();
        parts.push(Partition {
            selector: Selector::Namespaces(namespaces.into_iter().cloned().collect()),
            workloads: Default::default(),
            samples: 0,
            thinned: None,
        });
    }
    let of_workload: BTreeMap<WorkloadId, usize> =
        parts.iter().enumerate().flat_map(|(i, p)| p.workloads.iter().map(move |w| (w.clone(), i))).collect();
    let of_namespace = |namespace: &str| {
        let looks = |p: &Partition| match &p.selector {
            Selector::Namespaces(names) => names.iter().any(|n| n == namespace),
            Selector::Pods { namespace: n, .. } => n == namespace,
        };
        parts.iter().position(looks).unwrap_or(0)
    };
    let revisions: BTreeMap<(&str, &str), &WorkloadId> = objects
        .workloads
        .iter()
        .flat_map(|w| w.revisions.iter().map(move |r| ((w.id.namespace.as_str(), r.name.as_str()), &w.id)))
        .collect();
    let of_event = |e: &Event| {
        let own = WorkloadId::new(&e.namespace, &e.kind, &e.name);
        let id = match e.kind.as_str() {
            "Pod" => owners.of(&e.namespace, &e.name),
            _ => revisions.get(&(e.namespace.as_str(), e.name.as_str())).copied(),
        };
        of_workload.get(id.unwrap_or(&own)).copied().unwrap_or_else(|| of_namespace(&e.namespace))
    };
    let of_hpa = |h: &Hpa| {
        let target = WorkloadId::new(&h.namespace, &h.target.kind, &h.target.name);
        of_workload.get(&target).copied().unwrap_or_else(|| of_namespace(&h.namespace))
    };
    let mut out: Vec<Objects> = parts
        .iter()
        .map(|_| Objects {
            origin: objects.origin,
            unavailable: objects.unavailable.clone(),
            ..Objects::default()
        })
        .collect();
    for event in &objects.events {
        out[of_event(event)].events.push(event.clone());
    }
    for hpa in &objects.hpas {
        out[of_hpa(hpa)].hpas.push(hpa.clone());
    }
    for log in objects.logs {
        if let Some(at) = of_workload.get(&log.workload) {
            out[*at].logs.push(log);
        }
    }
    for pod in objects.pods {
        let at =
            of_workload.get(&pod.workload).copied().unwrap_or_else(|| of_namespace(&pod.workload.namespace));
        out[at].pods.push(pod);
    }
    for workload in objects.workloads {
        if let Some(at) = of_workload.get(&workload.id) {
            out[*at].workloads.push(workload);
        }
    }
    out[0].nodes = objects.nodes;
    out[0].inventory.server_version.clone_from(&objects.inventory.server_version);
    let mut inventory = objects.inventory;
    // Claims have series, which are fetched by namespace.
    for claim in std::mem::take(&mut inventory.volume_claims) {
        out[of_namespace(&claim.id.namespace)].inventory.volume_claims.push(claim);
    }
    let mut out: Vec<(Partition, Objects)> = parts.into_iter().zip(out).collect();
    if !inventory.is_empty() {
        out.push(whole_cluster(objects.origin, inventory, objects.unavailable));
    }
    out
}

/// A part for what is judged over the whole cluster at once. It has no series.
fn whole_cluster(
    origin: Origin,
    inventory: Inventory,
    unavailable: Vec<Unavailable>,
) -> (Partition, Objects) {
    let partition = Partition {
        selector: Selector::Namespaces(Vec::new()),
        workloads: Default::default(),
        samples: 0,
        thinned: None,
    };
    (partition, Objects { origin, inventory, unavailable, ..Objects::default() })
}

/// The API knows no past. When its objects tell of what happened after the end of the window, their states are not those
/// that were: checks leave out what has a later time, and this says that the rest is of now.
fn ahead(cluster: &str, objects: &Objects, frame: Frame) -> Option<Gap> {
    let latest = objects.latest().filter(|t| t.age_at(frame.taken_at).is_none())?;
    let by = latest.seconds_since(frame.taken_at);
    let unit = [86_400.0, 3600.0].into_iter().find(|unit| by >= 2.0 * unit).unwrap_or(60.0);
    let by = Seconds((by / unit).ceil() * unit);
    let said = phrase(if frame.at_given { "gap-ahead" } else { "gap-clocks" }).with("by", by);
    Some(Gap::new(format!("{cluster}/kubernetes"), GapCause::ClockSkew, said))
}

/// Annotations that name no class, each with the first workloads that have it.
fn misnamed(cluster: &str, listed: &[Objects]) -> Vec<Gap> {
    const MOST_NAMED: usize = 5;
    let mut by_name: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for workload in listed.iter().flat_map(|objects| &objects.workloads) {
        let WorkloadId { namespace, kind, name } = &workload.id;
        if let Some(class) = class::misnamed(workload) {
            by_name.entry(class).or_default().push(format!("{namespace}/{kind}/{name}"));
        }
    }
    let classes: Vec<&str> = Class::ALL.iter().map(|class| class.name()).collect();
    let gap = |(class, mut workloads): (&str, Vec<String>)| {
        workloads.sort();
        let more = workloads.len().saturating_sub(MOST_NAMED);
        workloads.truncate(MOST_NAMED);
        let first = workloads.join(", ");
        let workloads: Value = match more {
            0 => first.into(),
            more => phrase("and-more").with("first", first).with("more", more).into(),
        };
        let nearest = nearest(class, classes.iter().copied());
        let said =
            phrase(if nearest.is_some() { "gap-misnamed-class-nearest" } else { "gap-misnamed-class" });
        let said = nearest.into_iter().fold(said, |said, nearest| said.with("nearest", nearest));
        let said = said.with("class", class).with("classes", classes.join(", ")).with("workloads", workloads);
        Gap::new(format!("{cluster}/kubernetes"), GapCause::InvalidObject, said)
    };
    by_name.into_iter().map(gap).collect()
}

fn gap(cluster: &str, source: &str, error: &SourceError) -> Gap {
    let cause = match error {
        SourceError::Unauthorized { .. } => GapCause::Unauthorized,
        SourceError::Unusable { .. } => GapCause::Failed,
        _ => GapCause::Unreachable,
    };
    Gap::new(format!("{cluster}/{source}"), cause, error.said())
}

#[cfg(test)]
mod tests {
    use healthcore::fixture::Fixture;

    use super::misnamed;

    #[test]
    fn a_class_that_is_misspelt_is_told_once() {
        let workload = |name: &str, class: &str| {
            format!("workload web/Deployment/{name} note:healthcheck/class={class}\n")
        };
        let many: String = (0..7).rev().map(|n| workload(&format!("w{n}"), "jvmm")).collect();
        let text = format!("{many}{}{}", workload("a", "Runner"), workload("b", "webserver"));
        let gaps = misnamed("prod", &[Fixture::new(&text).snapshot.objects]);
        let told: Vec<String> = gaps.iter().map(|gap| format!("{}: {}", gap.scope, gap.detail)).collect();
        let classes = "service, runner, batch, jvm, database, system";
        assert_eq!(
            told,
            [
                format!(
                    "prod/kubernetes: `healthcheck/class: jvmm` names no class, so the class is inferred; did you mean `jvm`? \
                     Classes are {classes}: web/Deployment/w0, web/Deployment/w1, web/Deployment/w2, web/Deployment/w3, \
                     web/Deployment/w4 and 2 more"
                ),
                format!(
                    "prod/kubernetes: `healthcheck/class: webserver` names no class, so the class is inferred; classes are \
                     {classes}: web/Deployment/b"
                ),
            ]
        );
    }
}
