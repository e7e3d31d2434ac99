//! Pods of several workloads that started together, and what explains it.
//!
//! Settled over the whole cluster, before it is cut into parts: a part does not see the pods of others. Pods that start
//! with their workload, those of Jobs, those that an autoscaler adds and those of DaemonSets on a new node are none of
//! these: they start together as a rule.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use statrs::distribution::{DiscreteCDF, Poisson};

use crate::model::{
    Container, ContainerRole, ContainerState, Event, Hpa, Node, Pod, PodPhase, Workload, WorkloadId,
};
use crate::snapshot::{Objects, Origin, Owners};
use crate::time::Timestamp;

/// Age from which on starts are of no interest. Unit: seconds.
const KEPT_S: f64 = 7.0 * 86_400.0;
/// Pods that start within this time of the one before start together; within less where starts are always as close as that.
/// Unit: seconds.
const TOGETHER_S: f64 = 600.0;
/// Time after the first start of a group at which it ends, so that a cause is looked for near its starts. Unit: seconds.
const LONGEST_S: f64 = 1800.0;
/// Time before and after a group in which other starts tell how many are usual. Unit: seconds.
const AROUND_S: f64 = 6.0 * 3600.0;
/// Groups that chance may make in a cluster in a day: one in a month.
const BY_CHANCE_A_DAY: f64 = 1.0 / 30.0;
/// Time after the making of a workload or pod in which a start is its first. Unit: seconds.
const FIRST_S: f64 = 600.0;
/// Time between a new revision, or the pod of it before, and its next pod. Unit: seconds.
const ROLLOUT_S: f64 = 900.0;
/// Time that a cause may lie before the first start: pods leave a lost node after five minutes, and those of a drain one
/// after the other. Unit: seconds.
const CAUSE_BEFORE_S: f64 = 1800.0;
/// Time that a cause may be noted after the last start. Unit: seconds.
const CAUSE_AFTER_S: f64 = 300.0;
/// Groups that are kept, the newest.
const MOST_GROUPS: usize = 50;
/// Workloads and nodes of a group that are named.
const MOST_NAMED: usize = 20;

/// Reasons of events that tell why a pod was thrown out.
const EVICTIONS: [&str; 3] = ["Evicted", "Preempted", "TaintManagerEviction"];

/// The reason of events by which the node controller tells that a node stopped being ready: of the node, and of each pod
/// on it.
const NODE_NOT_READY: &str = "NodeNotReady";

/// Pods of several workloads that started together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartedTogether {
    /// When the first of them started.
    pub first: Timestamp,
    /// When the last of them started.
    pub last: Timestamp,
    /// How many pods.
    pub pods: u32,
    /// How many workloads they belong to.
    pub workloads: u32,
    /// Their workloads in order, the first of them where they are many.
    pub named: Vec<WorkloadId>,
    /// Nodes on which they are, in order, the first of them where they are many.
    pub nodes: Vec<String>,
    /// What explains it.
    pub cause: Cause,
}

/// What explains that pods started together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Cause {
    /// Their workloads had got new revisions.
    Rollout,
    /// Pods were thrown out.
    Eviction {
        /// What the kubelet or the event said.
        message: String,
        /// The earlier run that saw the event, where Kubernetes has forgotten it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen: Option<Timestamp>,
    },
    /// Something happened to nodes.
    Node {
        /// What.
        what: NodeCause,
        /// Their names.
        nodes: Vec<String>,
    },
    /// Nothing that is known.
    Unknown,
}

/// What happened to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeCause {
    /// It stopped being ready.
    NotReady,
    /// It was restarted: it says so, or all containers on it started anew.
    Restarted,
    /// It had not been ready, and is so again since.
    ReadyAgain,
    /// It was cordoned.
    Cordoned,
    /// All pods are on it.
    Same,
    /// It joined, as another one may have gone.
    Joined,
}

impl Objects {
    /// Finds pods of several workloads that started together. Metrics tell too little of revisions and nodes for it.
    pub fn give_starts(&mut self, taken_at: Timestamp) {
        if self.origin != Origin::KubernetesApi || self.pods.is_empty() {
            return;
        }
        let mut groups = Starts::new(self, taken_at).groups();
        groups.sort_by(|a, b| (b.first, &a.named).cmp(&(a.first, &b.named)));
        groups.truncate(MOST_GROUPS);
        self.inventory.starts = Some(groups);
    }
}

/// A pod with the time at which it, or its containers, started.
#[derive(Clone, Copy)]
struct Start<'a> {
    at: Timestamp,
    pod: &'a Pod,
}

struct Starts<'a> {
    objects: &'a Objects,
    taken_at: Timestamp,
    workloads: BTreeMap<&'a WorkloadId, &'a Workload>,
    pods: BTreeMap<&'a WorkloadId, Vec<Start<'a>>>,
    nodes: BTreeMap<&'a str, &'a Node>,
    /// Living pods by node.
    on_node: BTreeMap<&'a str, Vec<&'a Pod>>,
    /// What says that a node was restarted, by node.
    reboots: BTreeMap<&'a str, Vec<&'a Event>>,
    /// What says that a node stopped being ready, by node.
    lost: BTreeMap<&'a str, Vec<&'a Event>>,
    /// Namespace, kind and name of what autoscalers scale.
    scaled: BTreeSet<[&'a str; 3]>,
    owners: Owners,
}

impl<'a> Starts<'a> {
    fn new(objects: &'a Objects, taken_at: Timestamp) -> Self {
        let mut pods: BTreeMap<&WorkloadId, Vec<Start<'_>>> = BTreeMap::new();
        let mut on_node: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
        for pod in objects.pods.iter().filter(|pod| lives(pod)) {
            if let Some(node) = &pod.node {
                on_node.entry(node).or_default().push(pod);
            }
            let Some(at) = pod.created else { continue };
            pods.entry(&pod.workload).or_default().push(Start { at, pod });
        }
        pods.values_mut().for_each(|starts| in_order(starts));
        let of_nodes = |reason: &str| {
            let mut told: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
            for event in objects.events.iter().filter(|e| e.kind == "Node" && e.reason == reason) {
                told.entry(&event.name).or_default().push(event);
            }
            told
        };
        let target = |h: &'a Hpa| [h.namespace.as_str(), h.target.kind.as_str(), h.target.name.as_str()];
        Self {
            objects,
            taken_at,
            workloads: objects.workloads.iter().map(|w| (&w.id, w)).collect(),
            pods,
            nodes: objects.nodes.iter().map(|n| (n.name.as_str(), n)).collect(),
            on_node,
            reboots: of_nodes("Rebooted"),
            lost: of_nodes(NODE_NOT_READY),
            scaled: objects.hpas.iter().map(target).collect(),
            owners: Owners::new(&objects.workloads, &objects.pods),
        }
    }

    fn groups(&self) -> Vec<StartedTogether> {
        let (mut rollouts, mut others) = (BTreeMap::<&str, Vec<Start<'_>>>::new(), Vec::new());
        for (id, starts) in &self.pods {
            let Some(workload) = self.workloads.get(id).filter(|w| keeps_pods(w)) else { continue };
            let (rolled_out, replaced) = self.replaced(workload, starts);
            rollouts.entry(&id.namespace).or_default().extend(rolled_out);
            others.extend(replaced);
        }
        // Kinds without listed revisions go with what was rolled out beside them.
        let beside = |start: &Start<'_>| {
            let of_kind = matches!(start.pod.workload.bare_kind(), "StatefulSet" | "DaemonSet");
            let near = |other: &Start<'_>| other.at.seconds_since(start.at).abs() <= TOGETHER_S;
            of_kind && rollouts.get(start.pod.workload.namespace.as_str()).is_some_and(|r| r.iter().any(near))
        };
        let (with_rollouts, others): (Vec<_>, Vec<_>) = others.into_iter().partition(beside);
        for start in with_rollouts {
            rollouts.entry(&start.pod.workload.namespace).or_default().push(start);
        }
        let rollouts = rollouts.into_values();
        let mut out: Vec<StartedTogether> =
            rollouts.flat_map(|starts| self.close(starts, &|_, _| Some(Cause::Rollout))).collect();
        out.extend(
            self.close(others, &|usual, group| usual.is_exceeded_by(group).then(|| self.cause(group))),
        );
        out.extend(self.nodes.keys().filter_map(|node| self.restarted(node)));
        out
    }

    /// Groups of starts that are close to one another and for which there is a cause. What has the same cause and goes on
    /// without a pause, such as node after node that is drained, is one.
    fn close(
        &self,
        mut starts: Vec<Start<'a>>,
        cause: &dyn Fn(&Usual, &[Start<'a>]) -> Option<Cause>,
    ) -> Vec<StartedTogether> {
        in_order(&mut starts);
        let usual = Usual::new(&starts, self.taken_at);
        let mut out: Vec<(Vec<Start<'a>>, Cause)> = Vec::new();
        for group in usual.groups(&starts) {
            let Some(cause) = cause(&usual, &group) else { continue };
            let goes_on = |last: &Start<'_>| group[0].at.seconds_since(last.at) <= TOGETHER_S;
            match out.last_mut() {
                Some((before, same)) if before.last().is_some_and(goes_on) && same.is_kin(&cause) => {
                    before.extend(group);
                    same.take_nodes(cause);
                }
                _ => out.push((group, cause)),
            }
        }
        out.into_iter().filter_map(|(group, cause)| together(&group, cause)).collect()
    }

    /// Pods that took the place of others: those of a new revision, and the rest.
    fn replaced(&self, workload: &Workload, starts: &[Start<'a>]) -> (Vec<Start<'a>>, Vec<Start<'a>>) {
        let (mut rolled_out, mut others) = (Vec::new(), Vec::new());
        let id = &workload.id;
        let scaled = self.scaled.contains(&[id.namespace.as_str(), &id.kind, &id.name]);
        let mut reached: BTreeMap<&str, Timestamp> = BTreeMap::new();
        for start in starts {
            let is_first = workload.created.is_none_or(|made| start.at.seconds_since(made) <= FIRST_S);
            let added = scaled && starts[0].at.seconds_since(start.at) < -TOGETHER_S;
            let recent = start.at.age_at(self.taken_at).is_some_and(|age| age <= KEPT_S);
            if is_first || !recent || self.is_on_new_node(start) {
                continue;
            }
            let revision = workload.revisions.iter().find(|r| is_of(&start.pod.name, &r.name));
            let since = revision.and_then(|r| reached.get(r.name.as_str()).copied().or(r.created));
            if let (Some(revision), Some(since)) = (revision, since)
                && start.at.seconds_since(since) <= ROLLOUT_S
            {
                reached.insert(&revision.name, start.at.max(since));
                rolled_out.push(*start);
            } else if !added {
                others.push(*start);
            }
        }
        (rolled_out, others)
    }

    /// Whether it is the pod of a DaemonSet on a node that had just joined.
    fn is_on_new_node(&self, start: &Start<'_>) -> bool {
        let node = start.pod.node.as_deref().and_then(|name| self.nodes.get(name));
        let joined = node.and_then(|n| n.created);
        start.pod.workload.bare_kind() == "DaemonSet"
            && joined.is_some_and(|joined| start.at.seconds_since(joined) <= CAUSE_BEFORE_S)
    }

    fn cause(&self, group: &[Start<'_>]) -> Cause {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Cause::Unknown };
        let span =
            Span { begin: first.at.plus_seconds(-CAUSE_BEFORE_S), end: last.at.plus_seconds(CAUSE_AFTER_S) };
        let told = || self.happened(&span).or_else(|| self.pods_lost_node(group, &span));
        let by_node = || told().or_else(|| same_node(group)).or_else(|| self.joined(&span));
        self.eviction(group, &span).or_else(by_node).unwrap_or(Cause::Unknown)
    }

    fn eviction(&self, group: &[Start<'_>], span: &Span) -> Option<Cause> {
        let own: BTreeSet<&WorkloadId> = group.iter().map(|s| &s.pod.workload).collect();
        let evicted = self.objects.pods.iter().filter(|pod| own.contains(&pod.workload)).find_map(|pod| {
            let eviction = pod.eviction.as_ref()?;
            eviction.at.is_some_and(|at| span.holds(at)).then(|| eviction.message.clone())
        });
        if let Some(message) = evicted {
            return Some(Cause::Eviction { message, seen: None });
        }
        let told = |e: &&Event| {
            let of_group = || self.owners.of(&e.namespace, &e.name).is_some_and(|id| own.contains(id));
            e.kind == "Pod" && EVICTIONS.contains(&e.reason.as_str()) && span.holds_event(e) && of_group()
        };
        let event = self.objects.events.iter().filter(told).max_by_key(|e| (e.last, e.seen.is_none()))?;
        Some(Cause::Eviction { message: event.message.clone(), seen: event.seen })
    }

    /// What happened to nodes in a span, the surest first.
    fn happened(&self, span: &Span) -> Option<Cause> {
        let mut found: BTreeMap<NodeCause, Vec<String>> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Some(what) = self.happened_to(node, span) {
                found.entry(what).or_default().push(node.name.clone());
            }
        }
        // A node that is gone since.
        for (name, events) in self.lost.iter().filter(|(name, _)| !self.nodes.contains_key(*name)) {
            if events.iter().any(|e| span.holds_event(e)) {
                found.entry(NodeCause::NotReady).or_default().push((*name).to_owned());
            }
        }
        let (what, mut nodes) = found.pop_first()?;
        nodes.truncate(MOST_NAMED);
        Some(Cause::Node { what, nodes })
    }

    fn happened_to(&self, node: &Node, span: &Span) -> Option<NodeCause> {
        let ready = node.conditions.iter().find(|c| c.kind == "Ready");
        let changed = ready.filter(|c| c.since.is_some_and(|since| span.holds(since)));
        let told = |events: &BTreeMap<&str, Vec<&Event>>| {
            events.get(node.name.as_str()).is_some_and(|events| events.iter().any(|e| span.holds_event(e)))
        };
        let rebooted = told(&self.reboots);
        let was_there = node.created.is_none_or(|made| made < span.begin);
        match changed.map(|c| c.status) {
            Some(Some(false) | None) => Some(NodeCause::NotReady),
            _ if rebooted => Some(NodeCause::Restarted),
            Some(Some(true)) if was_there => Some(NodeCause::ReadyAgain),
            _ if told(&self.lost) => Some(NodeCause::NotReady),
            _ => {
                node.unschedulable_since.is_some_and(|since| span.holds(since)).then_some(NodeCause::Cordoned)
            }
        }
    }

    /// What the node controller said of the pods before them, and the nodes of those that are still listed.
    fn pods_lost_node(&self, group: &[Start<'_>], span: &Span) -> Option<Cause> {
        let own: BTreeSet<&WorkloadId> = group.iter().map(|s| &s.pod.workload).collect();
        let told = |e: &&Event| {
            let of_group = || self.owners.of(&e.namespace, &e.name).is_some_and(|id| own.contains(id));
            e.kind == "Pod" && e.reason == NODE_NOT_READY && span.holds_event(e) && of_group()
        };
        let lost: BTreeSet<(&str, &str)> = self
            .objects
            .events
            .iter()
            .filter(told)
            .map(|e| (e.namespace.as_str(), e.name.as_str()))
            .collect();
        if lost.is_empty() {
            return None;
        }
        let was_lost = |pod: &&Pod| lost.contains(&(pod.workload.namespace.as_str(), pod.name.as_str()));
        let nodes: BTreeSet<&String> =
            self.objects.pods.iter().filter(was_lost).filter_map(|pod| pod.node.as_ref()).collect();
        let nodes = nodes.into_iter().take(MOST_NAMED).cloned().collect();
        Some(Cause::Node { what: NodeCause::NotReady, nodes })
    }

    fn joined(&self, span: &Span) -> Option<Cause> {
        let joined = |n: &&&Node| n.created.is_some_and(|made| span.holds(made));
        let mut nodes: Vec<String> = self.nodes.values().filter(joined).map(|n| n.name.clone()).collect();
        nodes.truncate(MOST_NAMED);
        (!nodes.is_empty()).then_some(Cause::Node { what: NodeCause::Joined, nodes })
    }

    /// Pods whose containers all started anew on a node where none runs from before: the node, or what runs its
    /// containers, was restarted.
    fn restarted(&self, node: &str) -> Option<StartedTogether> {
        let here = self.on_node.get(node)?.iter().copied();
        let starts = here.filter_map(|pod| Some(Start { at: containers_started(pod)?, pod }));
        let anew = |s: &Start<'_>| s.pod.created.is_some_and(|made| s.at.seconds_since(made) > FIRST_S);
        let (mut anew, others): (Vec<_>, Vec<_>) = starts.partition(anew);
        in_order(&mut anew);
        let first = anew.first()?.at;
        first.age_at(self.taken_at).filter(|age| *age <= KEPT_S)?;
        let survived = |s: &Start<'_>| s.at < first;
        if others.iter().any(survived) {
            return None;
        }
        let group: Vec<Start<'_>> =
            anew.into_iter().filter(|s| s.at.seconds_since(first) <= TOGETHER_S).collect();
        together(&group, Cause::Node { what: NodeCause::Restarted, nodes: vec![node.to_owned()] })
    }
}

/// A span of time, both ends counted.
struct Span {
    begin: Timestamp,
    end: Timestamp,
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        self.begin <= at && at <= self.end
    }

    fn holds_event(&self, event: &Event) -> bool {
        event.last.or(event.first).is_some_and(|at| self.holds(at))
    }
}

fn lives(pod: &Pod) -> bool {
    !pod.deleting && !matches!(pod.phase, PodPhase::Succeeded | PodPhase::Failed)
}

/// Whether a workload replaces pods that are gone.
fn keeps_pods(workload: &Workload) -> bool {
    workload.replicas.is_some() && !workload.id.runs_to_completion() && workload.id.kind != "Pod"
}

fn is_of(pod: &str, revision: &str) -> bool {
    pod.strip_prefix(revision).is_some_and(|rest| rest.starts_with('-'))
}

fn in_order(starts: &mut [Start<'_>]) {
    let key = |s: &Start<'_>| (s.at, s.pod.workload.clone(), s.pod.name.clone());
    starts.sort_by_cached_key(key);
}

/// How often workloads get new pods: in a large cluster all the time, so that some start together by chance.
struct Usual {
    /// When a workload got new pods, in order of time; several at once count once.
    events: Vec<Timestamp>,
    taken_at: Timestamp,
}

impl Usual {
    /// Of starts in order of time.
    fn new(starts: &[Start<'_>], taken_at: Timestamp) -> Self {
        let mut last: BTreeMap<&WorkloadId, Timestamp> = BTreeMap::new();
        let mut events = Vec::new();
        for start in starts {
            let before = last.insert(&start.pod.workload, start.at);
            if before.is_none_or(|before| start.at.seconds_since(before) > TOGETHER_S) {
                events.push(start.at);
            }
        }
        Self { events, taken_at }
    }

    fn count(&self, begin: Timestamp, end: Timestamp) -> usize {
        self.events.partition_point(|at| *at <= end) - self.events.partition_point(|at| *at < begin)
    }

    /// Events a second in the hours around a span, without those in it. One more is counted than there are: that there was
    /// none does not show that there never is one.
    fn rate(&self, first: Timestamp, last: Timestamp) -> f64 {
        let begin = first.plus_seconds(-AROUND_S).max(self.taken_at.plus_seconds(-KEPT_S));
        let end = last.plus_seconds(AROUND_S).min(self.taken_at);
        let others = self.count(begin, end) - self.count(first, last);
        (others + 1) as f64 / (end.seconds_since(begin) - last.seconds_since(first)).max(1.0)
    }

    /// Starts in order of time, cut into groups: each start is close to the one before it, and to the first.
    fn groups<'a>(&self, starts: &[Start<'a>]) -> Vec<Vec<Start<'a>>> {
        let mut out: Vec<Vec<Start<'a>>> = Vec::new();
        for start in starts {
            let fits = |group: &&mut Vec<Start<'a>>| {
                let (first, last) = (group[0].at, group[group.len() - 1].at);
                // Half of the usual pause, so that usual starts do not hang together.
                let close = TOGETHER_S.min(0.5 / self.rate(last, last));
                start.at.seconds_since(last) <= close && start.at.seconds_since(first) <= LONGEST_S
            };
            match out.last_mut().filter(fits) {
                Some(group) => group.push(*start),
                None => out.push(vec![*start]),
            }
        }
        out
    }

    /// Whether chance makes such a group in a day more seldom than [`BY_CHANCE_A_DAY`]: so many workloads within the time in
    /// which the last of them came to it, where each gets new pods independently of the others (Poisson).
    fn is_exceeded_by(&self, group: &[Start<'_>]) -> bool {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return false };
        let mut workloads = BTreeSet::new();
        let came =
            group.iter().filter(|start| workloads.insert(&start.pod.workload)).map(|start| start.at).max();
        let time = came.unwrap_or(first.at).seconds_since(first.at);
        let Some(all_but_two) = workloads.len().checked_sub(2) else { return false };
        let rate = self.rate(first.at, last.at);
        // The first is given, and of the others that many or more; when no time passes, none is expected.
        let chance = Poisson::new(rate * time).map_or(0.0, |usual| usual.sf(all_but_two as u64));
        rate * 86_400.0 * chance <= BY_CHANCE_A_DAY
    }
}

impl Cause {
    /// Whether both say that the same happened, to whichever pods and nodes.
    fn is_kin(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node { what: a, .. }, Self::Node { what: b, .. }) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Adds the nodes of another one.
    fn take_nodes(&mut self, other: Self) {
        if let (Self::Node { nodes, .. }, Self::Node { nodes: more, .. }) = (self, other) {
            let all: BTreeSet<String> = nodes.drain(..).chain(more).collect();
            nodes.extend(all.into_iter().take(MOST_NAMED));
        }
    }
}

/// The group, where it is of several workloads.
fn together(group: &[Start<'_>], cause: Cause) -> Option<StartedTogether> {
    let workloads: BTreeSet<&WorkloadId> = group.iter().map(|s| &s.pod.workload).collect();
    let nodes: BTreeSet<&str> = group.iter().filter_map(|s| s.pod.node.as_deref()).collect();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (workloads.len() > 1).then(|| StartedTogether {
        first: group[0].at,
        last: group[group.len() - 1].at,
        pods: count(group.len()),
        workloads: count(workloads.len()),
        named: workloads.into_iter().take(MOST_NAMED).cloned().collect(),
        nodes: nodes.into_iter().take(MOST_NAMED).map(str::to_owned).collect(),
        cause,
    })
}

fn same_node(group: &[Start<'_>]) -> Option<Cause> {
    let node = group.first()?.pod.node.as_deref()?;
    let same = group.iter().all(|s| s.pod.node.as_deref() == Some(node));
    same.then(|| Cause::Node { what: NodeCause::Same, nodes: vec![node.to_owned()] })
}

/// When the first of the containers that run now started; none while one of them does not run.
fn containers_started(pod: &Pod) -> Option<Timestamp> {
    let main = pod.containers.iter().filter(|c| c.role == ContainerRole::Main);
    let started = |c: &Container| match c.state {
        Some(ContainerState::Running { started }) => started,
        _ => None,
    };
    main.map(started).collect::<Option<Vec<_>>>()?.into_iter().min()
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    /// Groups as `pods/workloads cause`.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let starts = Fixture::new(text).snapshot.objects.inventory.starts.unwrap_or_default();
        let told: Vec<String> =
            starts.iter().map(|g| format!("{}/{} {:?}", g.pods, g.workloads, g.cause)).collect();
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn a_slow_rollout_is_one() {
        let pods = |name: &str| -> String {
            let one =
                |n: usize| format!("container web/{name}-7d9c5bd4f7-x2x9{n}/app created={}m\n", 100 - 10 * n);
            format!("workload web/Deployment/{name} replicas=6/6 revisions={name}-7d9c5bd4f7@105m\n")
                + &(0..6).map(one).collect::<String>()
        };
        check(&format!("{}{}", pods("api"), pods("shop")), &["12/2 Rollout"]);
        check(&pods("api"), &[]);
    }

    #[test]
    fn a_set_beside_a_rollout_goes_with_it() {
        let text = "workload web/Deployment/api replicas=1/1 revisions=api-7d9c5bd4f7@61m\n\
                    container web/api-7d9c5bd4f7-x2x9z/app created=60m\n\
                    workload web/StatefulSet/db replicas=1/1\ncontainer web/db-0/app created=58m";
        check(text, &["2/2 Rollout"]);
        check(&text.replace("web/db", "data/db").replace("web/StatefulSet", "data/StatefulSet"), &[]);
    }

    #[test]
    fn a_node_that_was_restarted() {
        let pod = |name: &str, node: &str, started: &str| {
            format!(
                "workload web/StatefulSet/{name} replicas=1/1\ncontainer web/{name}-0/app state=running@{started} restarts=1\n\
                 pod web/{name}-0 node={node}\n"
            )
        };
        let two = format!("node n1\nnode n2\n{}{}", pod("a", "n1", "60m"), pod("b", "n1", "58m"));
        check(&two, &[r#"2/2 Node { what: Restarted, nodes: ["n1"] }"#]);
        // A container there runs from before, so it was not the node.
        check(&format!("{two}{}", pod("c", "n1", "20d")), &[]);
        check(
            &format!("{two}{}", pod("c", "n2", "20d")),
            &[r#"2/2 Node { what: Restarted, nodes: ["n1"] }"#],
        );
    }
}
