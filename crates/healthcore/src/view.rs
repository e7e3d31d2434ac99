//! A snapshot with its parts joined: which pods belong to which workload, and the subjects that checks judge.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check::Subject;
use crate::class::{Classified, Classifier, telling_image};
use crate::finding::SubjectRef;
use crate::inventory::Held;
use crate::metric::Metric;
use crate::model::{
    Container, ContainerRole, ContainerState, Event, Hpa, Node, ObjectKind, Pod, PodPhase, Resources,
    Workload, WorkloadId,
};
use crate::series::{Series, SeriesKey};
use crate::snapshot::{Missing, Owners, Snapshot};
use crate::time::Timestamp;
use crate::unit::{Ratio, Seconds};

/// Share of a bound within which a value that has not reached it is on the watch list, where nothing else is said: the last
/// fifth.
pub const WATCH_SHARE: Ratio = Ratio(0.2);

/// How much further than [`WATCH_SHARE`] what was on the watch list may go from its bound and stay there.
const STAYS: f64 = 1.5;

/// A snapshot and its indices. Joins are made here, once, and not by the server.
#[derive(Debug)]
pub struct View<'a> {
    /// What the view is of.
    pub snapshot: &'a Snapshot,
    workloads: BTreeMap<&'a WorkloadId, &'a Workload>,
    pods: BTreeMap<&'a WorkloadId, Vec<&'a Pod>>,
    classes: BTreeMap<&'a WorkloadId, Classified>,
    containers: Vec<WorkloadContainer<'a>>,
    watch_share: Ratio,
}

impl<'a> View<'a> {
    /// Joins the parts of a snapshot, and gives every workload its class.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, classifier: &Classifier) -> Self {
        let objects = &snapshot.objects;
        let workloads: BTreeMap<_, _> = objects.workloads.iter().map(|w| (&w.id, w)).collect();
        let mut pods: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for pod in &objects.pods {
            pods.entry(&pod.workload).or_default().push(pod);
        }
        for list in pods.values_mut() {
            list.sort_by(|a, b| a.name.cmp(&b.name));
        }
        let class = |w: &Workload| {
            let image = pods.get(&w.id).and_then(|pods| telling_image(pods));
            classifier.classify(&snapshot.cluster, w, image)
        };
        let classes = workloads.iter().map(|(id, w)| (*id, class(w))).collect();
        let containers = join_containers(snapshot, &workloads, &pods);
        Self { snapshot, workloads, pods, classes, containers, watch_share: WATCH_SHARE }
    }

    /// The same with another share of a bound within which a value is near it.
    #[must_use]
    pub fn watching(self, watch_share: Ratio) -> Self {
        Self { watch_share, ..self }
    }

    /// Whether a value at this distance from its bound goes on the watch list.
    #[must_use]
    pub fn watches(&self, distance: f64) -> bool {
        // A value of just the share is inside, whatever rounding makes of it.
        distance <= self.watch_share.get() + 1e-9 && self.watch_share.get() > 0.0
    }

    /// Whether a value at this distance stays on the watch list when it was there: half as far again, so that what
    /// wavers does not come and go.
    #[must_use]
    pub fn keeps_watching(&self, distance: f64) -> bool {
        self.watches(distance / STAYS)
    }

    /// The workload of that name.
    #[must_use]
    pub fn workload(&self, id: &WorkloadId) -> Option<&'a Workload> {
        self.workloads.get(id).copied()
    }

    /// The class of a workload, and where it comes from.
    #[must_use]
    pub fn class_of(&self, id: &WorkloadId) -> Option<Classified> {
        self.classes.get(id).copied()
    }

    /// Pods of a workload that the API knows, by name.
    #[must_use]
    pub fn pods_of(&self, id: &WorkloadId) -> &[&'a Pod] {
        self.pods.get(id).map_or(&[], Vec::as_slice)
    }

    /// The autoscaler that scales a workload.
    #[must_use]
    pub fn autoscaler_of(&self, id: &WorkloadId) -> Option<&'a Hpa> {
        let scales =
            |h: &&Hpa| h.namespace == id.namespace && h.target.kind == id.kind && h.target.name == id.name;
        self.snapshot.objects.hpas.iter().find(scales)
    }

    /// Containers of all workloads, each once for all its pods.
    #[must_use]
    pub fn containers(&self) -> &[WorkloadContainer<'a>] {
        &self.containers
    }

    /// Containers of one workload.
    pub fn containers_of<'s>(
        &'s self,
        id: &'s WorkloadId,
    ) -> impl Iterator<Item = &'s WorkloadContainer<'a>> {
        self.containers.iter().filter(move |c| c.workload.id == *id)
    }

    /// Why the objects of a kind could not be listed in a namespace, if they could not.
    #[must_use]
    pub fn unavailable(&self, kind: ObjectKind, namespace: &str) -> Option<&'a Missing> {
        let lists = &self.snapshot.objects.unavailable;
        lists.iter().find(|u| u.hides(kind, namespace)).map(|u| &u.why)
    }

    /// Whether something was made less than `age` ago. What does not tell when it was made is not young.
    #[must_use]
    pub fn is_younger(&self, created: Option<Timestamp>, age: Seconds) -> bool {
        created.and_then(|t| t.age_at(self.snapshot.taken_at)).is_some_and(|own| own < age.get())
    }

    /// The series of a metric for a key, over the whole window. No samples of a sparse metric is `Ok(None)`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, metric: Metric, key: &SeriesKey) -> Result<Option<Series<'a>>, Missing> {
        let found = self.snapshot.series.get(metric, key)?;
        Ok(found.map(|samples| Series::new(&self.snapshot.window, samples)))
    }

    /// Why there is no series for a key, where that is because the server, which has the metric, did not answer or not in full.
    #[must_use]
    pub fn unanswered(&self, metric: Metric, key: &SeriesKey) -> Option<Missing> {
        self.series(metric, key).err().filter(is_unanswered)
    }

    /// Whether the query for a metric failed, for every key.
    #[must_use]
    pub fn has_failed(&self, metric: Metric) -> bool {
        let failed = |why: Option<&Missing>| matches!(why, Some(Missing::QueryFailed { .. }));
        self.snapshot.series.metrics().any(|(asked, why)| asked == metric && failed(why))
    }
}

/// Whether a server that has a metric did not answer for it, or not with all that it has.
fn is_unanswered(why: &Missing) -> bool {
    matches!(why, Missing::QueryFailed { .. } | Missing::PartialAnswer { .. })
}

/// A container of a workload: all pods of the workload that have a container of this name, past ones too.
#[derive(Debug, Clone)]
pub struct WorkloadContainer<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// Name of the container.
    pub name: Arc<str>,
    /// One member a pod, by pod name.
    pub members: Arc<[Member<'a>]>,
}

/// Seconds after which samples of what runs are expected: a metrics server may have to find it first, and a rate needs
/// several scrapes.
const SETTLED_S: f64 = 900.0;

/// A container in one pod.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    /// The key of its series.
    pub key: SeriesKey,
    /// The pod, while the API knows it.
    pub pod: Option<&'a Pod>,
    /// The container in that pod.
    pub container: Option<&'a Container>,
}

impl<'a> Member<'a> {
    /// Name of the pod.
    #[must_use]
    pub fn pod_name(&self) -> &str {
        &self.key.name
    }

    /// Whether the pod is there and has not ended.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.pod.is_some_and(|p| !matches!(p.phase, PodPhase::Succeeded | PodPhase::Failed))
    }

    /// When the pod began: when it was made, or earlier where its container ran before. An object that was restored from a
    /// backup is younger than what runs in it.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let created = self.pod.and_then(|pod| pod.created)?;
        let running = self.container.and_then(|c| match &c.state {
            Some(ContainerState::Running { started }) => *started,
            _ => None,
        });
        let ended = self.container.and_then(|c| c.last_termination.as_ref());
        let ended = ended.and_then(|last| last.started.or(last.finished));
        [running, ended].into_iter().flatten().chain([created]).min()
    }

    /// The series of a dense metric.
    ///
    /// # Errors
    /// Why there is none.
    pub fn series(&self, view: &View<'a>, metric: Metric) -> Result<Series<'a>, Missing> {
        view.series(metric, &self.key)?.ok_or(Missing::NoSamples { metric })
    }

    /// Whether it ends again and again, so that its use says nothing about its need.
    #[must_use]
    pub fn crash_loops(&self, view: &View<'_>) -> bool {
        let (Some(pod), Some(container)) = (self.pod, self.container) else { return false };
        crate::checks::loops(pod, container, view.snapshot.taken_at)
    }

    /// Whether a metrics server that sees it has samples of it: it runs, and has for some time. One that crash-loops
    /// may have none.
    #[must_use]
    pub fn is_settled(&self, view: &View<'_>) -> bool {
        let (Some(pod), Some(container)) = (self.pod, self.container) else { return false };
        let runs = match &container.state {
            Some(state) => matches!(state, ContainerState::Running { .. }),
            None => pod.phase == PodPhase::Running,
        };
        let settled_s = SETTLED_S.max(3.0 * f64::from(view.snapshot.window.step_s()));
        let since = self.started().or(pod.created);
        let old = |t: Timestamp| t.age_at(view.snapshot.taken_at).is_some_and(|age| age >= settled_s);
        self.is_live() && runs && since.is_none_or(old) && !self.crash_loops(view)
    }

    /// When the process that runs now began, if the API tells.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        self.container?.started()
    }
}

impl<'a> WorkloadContainer<'a> {
    /// Why a measurement of a living member that has run for some time cannot be had, if so: nothing is in order that
    /// was not seen.
    pub fn unmeasured<T>(
        &self,
        view: &View<'_>,
        mut measure: impl FnMut(&Member<'a>) -> Result<T, Missing>,
    ) -> Option<Missing> {
        self.members.iter().filter(|m| m.is_settled(view)).find_map(|m| measure(m).err())
    }

    /// Members whose pod is there and has not ended.
    pub fn live(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|m| m.is_live())
    }

    /// Living members that stay up.
    ///
    /// # Errors
    /// All living members crash-loop.
    pub fn steady(&self, view: &View<'_>) -> Result<Vec<&Member<'a>>, Missing> {
        let steady: Vec<_> = self.live().filter(|m| !m.crash_loops(view)).collect();
        if steady.is_empty() && self.live().next().is_some() {
            return Err(Missing::CrashLooping);
        }
        Ok(steady)
    }

    /// The container in the newest living pod, which is what the next pod will have.
    #[must_use]
    pub fn newest(&self) -> Option<&'a Container> {
        let living = self.live().filter_map(|m| Some((m.pod?.created, m.container?)));
        living.max_by_key(|(created, _)| *created).map(|(_, container)| container)
    }

    /// Requests and limits of the newest living pod. Default (none at all) when no pod lives.
    #[must_use]
    pub fn resources(&self) -> Resources {
        self.newest().map(|container| container.resources).unwrap_or_default()
    }

    /// Whether it runs to its end before the pod's other containers start.
    #[must_use]
    pub fn is_init(&self) -> bool {
        self.members.iter().any(|m| m.container.is_some_and(|c| c.role == ContainerRole::Init))
    }
}

fn join_containers<'a>(
    snapshot: &'a Snapshot,
    workloads: &BTreeMap<&'a WorkloadId, &'a Workload>,
    pods: &BTreeMap<&'a WorkloadId, Vec<&'a Pod>>,
) -> Vec<WorkloadContainer<'a>> {
    let mut groups: BTreeMap<(&'a WorkloadId, Arc<str>), BTreeMap<SeriesKey, Member<'a>>> = BTreeMap::new();
    for (id, list) in pods {
        let Some((id, _)) = workloads.get_key_value(*id) else { continue };
        for pod in list {
            for container in &pod.containers {
                let key = SeriesKey::container(&id.namespace, &pod.name, &container.name);
                let member = Member { key: key.clone(), pod: Some(pod), container: Some(container) };
                groups.entry((id, key.container.clone())).or_default().insert(key, member);
            }
        }
    }
    let owners = Owners::new(&snapshot.objects.workloads, &snapshot.objects.pods);
    for key in snapshot.series.containers() {
        let Some(id) = owners.of(&key.namespace, &key.name) else { continue };
        let Some((id, _)) = workloads.get_key_value(id) else { continue };
        groups.entry((id, key.container.clone())).or_default().entry(key.clone()).or_insert_with(|| Member {
            key: key.clone(),
            pod: pods.get(id).and_then(|list| list.iter().find(|p| *p.name == *key.name)).copied(),
            container: None,
        });
    }
    groups
        .into_iter()
        .map(|((id, name), members)| WorkloadContainer {
            workload: workloads[id],
            name,
            members: members.into_values().collect(),
        })
        .collect()
}

pub(crate) fn workload_ref(id: &WorkloadId) -> SubjectRef {
    SubjectRef {
        namespace: id.namespace.clone(),
        kind: id.kind.clone(),
        name: id.name.clone(),
        ..SubjectRef::default()
    }
}

/// Containers are the subject of checks on memory and CPU; init containers are not among them.
impl<'a> Subject<'a> for WorkloadContainer<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        view.containers.iter().filter(|c| !c.is_init()).cloned().collect()
    }
    fn reference(&self) -> SubjectRef {
        SubjectRef { container: Some(self.name.to_string()), ..workload_ref(&self.workload.id) }
    }
    fn workload(&self) -> Option<&'a Workload> {
        Some(self.workload)
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Workloads, ObjectKind::Pods]
    }
    fn unseen(&self, view: &View<'_>, metric: Metric) -> Option<Missing> {
        self.unmeasured(view, |member| view.series(metric, &member.key))
    }
    fn goes_without(&self, view: &View<'_>, metric: Metric) -> bool {
        self.live().any(|member| view.unanswered(metric, &member.key).is_some())
    }
}

/// A workload with the pods that the API knows.
#[derive(Debug, Clone)]
pub struct WorkloadPods<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// Its pods, by name.
    pub pods: Vec<&'a Pod>,
}

impl<'a> Subject<'a> for WorkloadPods<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        view.workloads.values().map(|w| Self { workload: w, pods: view.pods_of(&w.id).to_vec() }).collect()
    }
    fn reference(&self) -> SubjectRef {
        workload_ref(&self.workload.id)
    }
    fn workload(&self) -> Option<&'a Workload> {
        Some(self.workload)
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Workloads, ObjectKind::Pods]
    }
}

/// An autoscaler with the workload that it scales.
#[derive(Debug, Clone)]
pub struct Autoscaler<'a> {
    /// The autoscaler.
    pub hpa: &'a Hpa,
    /// What it scales, when that is known.
    pub target: Option<&'a Workload>,
}

impl<'a> Autoscaler<'a> {
    /// Name of the workload that it scales.
    #[must_use]
    pub fn target_id(&self) -> WorkloadId {
        WorkloadId::new(&self.hpa.namespace, &self.hpa.target.kind, &self.hpa.target.name)
    }
}

impl<'a> Subject<'a> for Autoscaler<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        let mut all: Vec<_> = view
            .snapshot
            .objects
            .hpas
            .iter()
            .map(|hpa| Self {
                hpa,
                target: view.workload(&WorkloadId::new(&hpa.namespace, &hpa.target.kind, &hpa.target.name)),
            })
            .collect();
        all.sort_by(|a, b| (&a.hpa.namespace, &a.hpa.name).cmp(&(&b.hpa.namespace, &b.hpa.name)));
        all
    }
    fn reference(&self) -> SubjectRef {
        SubjectRef {
            namespace: self.hpa.namespace.clone(),
            kind: "HorizontalPodAutoscaler".into(),
            name: self.hpa.name.clone(),
            ..SubjectRef::default()
        }
    }
    fn workload(&self) -> Option<&'a Workload> {
        self.target
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Autoscalers]
    }
}

/// A workload (or another object) with the Warning events about it and its pods.
#[derive(Debug, Clone)]
pub struct EventsOf<'a> {
    /// The workload, when the object is one or is a pod of one.
    pub workload: Option<&'a Workload>,
    /// How the report names the object.
    pub reference: SubjectRef,
    /// Events, oldest first.
    pub events: Vec<&'a Event>,
}

impl<'a> Subject<'a> for EventsOf<'a> {
    /// Workloads with their events (none is fine), then other objects that have events.
    fn all(view: &View<'a>) -> Vec<Self> {
        let objects = &view.snapshot.objects;
        let owners = Owners::new(&objects.workloads, &objects.pods);
        let mut all: BTreeMap<SubjectRef, Self> = view
            .workloads
            .values()
            .map(|w| {
                (
                    workload_ref(&w.id),
                    Self { workload: Some(w), reference: workload_ref(&w.id), events: vec![] },
                )
            })
            .collect();
        let mut revisions: BTreeMap<(&str, &str), &WorkloadId> = BTreeMap::new();
        for workload in &objects.workloads {
            let id = &workload.id;
            revisions
                .extend(workload.revisions.iter().map(|r| ((id.namespace.as_str(), r.name.as_str()), id)));
        }
        for event in &objects.events {
            let own = WorkloadId::new(&event.namespace, &event.kind, &event.name);
            let id = match event.kind.as_str() {
                "Pod" => owners.of(&event.namespace, &event.name).cloned(),
                "ReplicaSet" | "Job" => {
                    revisions.get(&(event.namespace.as_str(), event.name.as_str())).map(|id| (*id).clone())
                }
                _ => None,
            };
            let workload = view.workload(id.as_ref().unwrap_or(&own));
            let reference = workload_ref(workload.map_or(&own, |w| &w.id));
            all.entry(reference.clone())
                .or_insert_with(|| Self { workload, reference, events: vec![] })
                .events
                .push(event);
        }
        let mut all: Vec<_> = all.into_values().collect();
        for subject in &mut all {
            subject.events.sort_by(|a, b| (a.last, &a.reason, &a.name).cmp(&(b.last, &b.reason, &b.name)));
        }
        all
    }
    fn reference(&self) -> SubjectRef {
        self.reference.clone()
    }
    fn workload(&self) -> Option<&'a Workload> {
        self.workload
    }
    /// Workloads without a list of events are judged one by one, as unknown.
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Workloads, ObjectKind::Pods]
    }
}

/// Objects of the inventory are subjects as they are; they have no class.
impl<'a, T: Held> Subject<'a> for &'a T {
    fn all(view: &View<'a>) -> Vec<Self> {
        T::all(&view.snapshot.objects.inventory).iter().collect()
    }
    fn reference(&self) -> SubjectRef {
        let id = self.id();
        SubjectRef {
            namespace: id.namespace.clone(),
            kind: self.kind().to_owned(),
            name: id.name.clone(),
            ..SubjectRef::default()
        }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        const { &[T::LIST] }
    }
}

/// Nodes are subjects as they are; they have no namespace.
impl<'a> Subject<'a> for &'a Node {
    fn all(view: &View<'a>) -> Vec<Self> {
        view.snapshot.objects.nodes.iter().collect()
    }
    fn reference(&self) -> SubjectRef {
        SubjectRef { kind: "Node".to_owned(), name: self.name.clone(), ..SubjectRef::default() }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Nodes]
    }
}
