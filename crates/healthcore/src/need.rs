//! What the enabled checks read, and the plan that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::metric::{Metric, Shape};
use crate::model::{ObjectKind, WorkloadId};
use crate::snapshot::{MOST_BASE, Objects, RANDOM};
use crate::time::Window;
use crate::unit::Seconds;

/// Metrics and objects that checks read: the union over all enabled checks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Needs {
    /// Metrics; whether a run without it says less, or whether it only adds detail.
    pub metrics: BTreeMap<Metric, Importance>,
    /// How long before the end of the window the samples of a metric may lie that anybody reads; without an entry in all of
    /// it.
    recent: BTreeMap<Metric, Seconds>,
    /// Objects.
    pub objects: BTreeSet<ObjectKind>,
}

/// Whether a judgement needs a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// A chart, the evidence or an advice shows it where it exists; no judgement reads it.
    Shown,
    /// A judgement reads it where it exists; its absence is no gap. What is judged without it, because the server did not
    /// answer, is judged with less.
    Optional,
    /// Without it subjects are unknown.
    Required,
}

impl Needs {
    /// Asks for a metric without which subjects are unknown.
    pub fn metric(&mut self, metric: Metric) -> &mut Self {
        self.at_least(metric, Importance::Required)
    }
    /// Asks for a metric that judgements read where it exists.
    pub fn optional(&mut self, metric: Metric) -> &mut Self {
        self.at_least(metric, Importance::Optional)
    }
    /// Asks for a metric that is shown where it exists, and changes no judgement.
    pub fn shown(&mut self, metric: Metric) -> &mut Self {
        self.at_least(metric, Importance::Shown)
    }
    /// Asks for what a chart of a container marks, where it exists.
    pub fn chart(&mut self) -> &mut Self {
        self.shown(Metric::Restarts).shown(Metric::OomEvents)
    }
    fn at_least(&mut self, metric: Metric, importance: Importance) -> &mut Self {
        self.recent.remove(&metric);
        self.weigh(metric, importance)
    }
    fn weigh(&mut self, metric: Metric, importance: Importance) -> &mut Self {
        let known = self.metrics.entry(metric).or_insert(importance);
        *known = importance.max(*known);
        self
    }
    /// Asks for the samples of a metric in the last `span` of the window: servers read what is asked of them, and a week of
    /// counters is much for a check that looks at a day.
    pub fn recent(&mut self, metric: Metric, importance: Importance, span: Seconds) -> &mut Self {
        match (self.metrics.contains_key(&metric), self.recent.get(&metric)) {
            // Somebody reads all of it.
            (true, None) => {}
            (_, known) => {
                let widest = known.map_or(span.get(), |known| known.get().max(span.get()));
                self.recent.insert(metric, Seconds(widest));
            }
        }
        self.weigh(metric, importance)
    }
    /// Asks for every metric in all of the window: for who keeps the answers, to read them another time in another way.
    #[must_use]
    pub fn of_whole_window(mut self) -> Self {
        self.recent.clear();
        self
    }
    /// The first instant of the window, as an index, at which anybody reads a metric.
    #[must_use]
    pub fn first_read(&self, metric: Metric, window: &Window) -> usize {
        self.recent.get(&metric).map_or(0, |span| window.points() - window.points_in(*span))
    }
    /// Asks for a list of objects.
    pub fn objects(&mut self, kind: ObjectKind) -> &mut Self {
        self.objects.insert(kind);
        self
    }
}

/// Workloads that are fetched and judged together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What selects their pods on the server.
    pub selector: Selector,
    /// Workloads in it, in order.
    pub workloads: BTreeSet<WorkloadId>,
    /// Samples that a dense metric is expected to have in it.
    pub samples: u64,
    /// Pods left out of it because one workload is too large: workload, pods kept, pods in all.
    pub thinned: Option<(WorkloadId, usize, usize)>,
}

/// What selects pods on a metrics server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// All pods of these namespaces.
    Namespaces(Vec<String>),
    /// Pods of one namespace whose names fully match one of these RE2 expressions.
    Pods {
        /// The namespace.
        namespace: String,
        /// Expressions, anchored by the server.
        patterns: Vec<String>,
    },
}

/// Bounds on a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Samples of one dense metric in a partition: what is held in memory at once.
    pub samples: u64,
    /// Series of one metric in a partition: the server's own bound on an answer.
    pub series: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { samples: 600_000, series: 20_000 }
    }
}

/// Cuts the workloads of a cluster into partitions of about equal size: whole namespaces together while they
/// fit, a large namespace by workload, a workload that is too large alone with some of its pods.
///
/// Deterministic: the same objects give the same partitions. `namespaces` are those to look into even when
/// they have no workload now (their pods may be gone, their series not).
#[must_use]
pub fn partitions(
    objects: &Objects,
    namespaces: &[String],
    window: &Window,
    budget: Budget,
) -> Vec<Partition> {
    let most = (budget.samples / window.points().max(1) as u64).clamp(1, budget.series.max(1));
    let mut containers: BTreeMap<&WorkloadId, u64> = objects.workloads.iter().map(|w| (&w.id, 0)).collect();
    for pod in &objects.pods {
        *containers.entry(&pod.workload).or_default() += pod.containers.len().max(1) as u64;
    }
    let mut by_namespace: BTreeMap<&str, Vec<(&WorkloadId, u64)>> =
        namespaces.iter().map(|n| (n.as_str(), Vec::new())).collect();
    for (id, count) in containers {
        by_namespace.entry(&id.namespace).or_default().push((id, count));
    }

    let mut out: Vec<Partition> = Vec::new();
    let mut open: Vec<(&str, Vec<&WorkloadId>)> = Vec::new();
    let mut size = 0;
    let close = |open: &mut Vec<(&str, Vec<&WorkloadId>)>, size: &mut u64, out: &mut Vec<Partition>| {
        if !open.is_empty() {
            out.push(Partition {
                selector: Selector::Namespaces(open.iter().map(|(n, _)| (*n).to_owned()).collect()),
                workloads: open.drain(..).flat_map(|(_, ids)| ids).cloned().collect(),
                samples: *size * window.points() as u64,
                thinned: None,
            });
        }
        *size = 0;
    };
    for (namespace, workloads) in by_namespace {
        let total: u64 = workloads.iter().map(|(_, n)| n).sum();
        if total > most {
            close(&mut open, &mut size, &mut out);
            split(namespace, &workloads, most, objects, window, &mut out);
            continue;
        }
        if size + total > most {
            close(&mut open, &mut size, &mut out);
        }
        open.push((namespace, workloads.into_iter().map(|(id, _)| id).collect()));
        size += total;
    }
    close(&mut open, &mut size, &mut out);
    out
}

fn split(
    namespace: &str,
    workloads: &[(&WorkloadId, u64)],
    most: u64,
    objects: &Objects,
    window: &Window,
    out: &mut Vec<Partition>,
) {
    let points = window.points() as u64;
    let mut pods: BTreeMap<&WorkloadId, Vec<&str>> = BTreeMap::new();
    for pod in objects.pods.iter().filter(|p| p.workload.namespace == namespace) {
        pods.entry(&pod.workload).or_default().push(&pod.name);
    }
    let pods_of = |id: &WorkloadId| pods.get(id).map_or(&[][..], Vec::as_slice);
    let mut open: Vec<&WorkloadId> = Vec::new();
    let mut size = 0;
    let close = |open: &mut Vec<&WorkloadId>, size: &mut u64, out: &mut Vec<Partition>| {
        if !open.is_empty() {
            out.push(Partition {
                selector: Selector::Pods {
                    namespace: namespace.to_owned(),
                    patterns: open.iter().flat_map(|id| pod_patterns(id, pods_of(id))).collect(),
                },
                workloads: open.drain(..).cloned().collect(),
                samples: *size * points,
                thinned: None,
            });
        }
        *size = 0;
    };
    for (id, count) in workloads {
        if *count > most {
            close(&mut open, &mut size, out);
            out.push(thin(id, *count, most, objects, points));
            continue;
        }
        if size + count > most || open.len() >= 100 {
            close(&mut open, &mut size, out);
        }
        open.push(id);
        size += count;
    }
    close(&mut open, &mut size, out);
}

/// Every k-th pod of a workload that is too large, by name.
fn thin(id: &WorkloadId, containers: u64, most: u64, objects: &Objects, points: u64) -> Partition {
    let mut pods: Vec<&str> =
        objects.pods.iter().filter(|p| p.workload == *id).map(|p| p.name.as_str()).collect();
    pods.sort_unstable();
    let each = containers.div_ceil(pods.len().max(1) as u64);
    let keep = usize::try_from(most / each.max(1)).unwrap_or(usize::MAX).clamp(1, pods.len().max(1));
    let stride = pods.len().div_ceil(keep).max(1);
    let kept: Vec<&str> = pods.iter().copied().step_by(stride).collect();
    Partition {
        selector: Selector::Pods {
            namespace: id.namespace.clone(),
            patterns: kept.iter().map(|p| literal(p)).collect(),
        },
        workloads: BTreeSet::from([id.clone()]),
        samples: kept.len() as u64 * each * points,
        thinned: Some((id.clone(), kept.len(), pods.len())),
    }
}

/// An RE2 expression for the names of a workload's pods, past ones too. Where Kubernetes shortens generated names it may
/// match those of others whose names begin alike.
#[must_use]
pub fn pod_pattern(id: &WorkloadId) -> String {
    let name = literal(&id.name);
    let whole = match id.kind.as_str() {
        "Deployment" | "Rollout" => "-[a-z0-9]+-[a-z0-9]{5}",
        "StatefulSet" => "-[0-9]+",
        "DaemonSet" => "-[a-z0-9]{5}",
        "Job" => "(-[0-9]+)?-[a-z0-9]{5}",
        "CronJob" => "-[0-9]+(-[0-9]+)?-[a-z0-9]{5}",
        "Pod" => "",
        _ => "(-.+)?",
    };
    match kept(id) {
        None => format!("{name}{whole}"),
        Some(kept) if kept.len() < id.name.len() => {
            format!("({name}{whole}|{}{})", literal(kept), cut_end(kept))
        }
        Some(kept) => format!("{name}({whole}|{})", cut_end(kept)),
    }
}

/// What stays of a workload's name for sure in the names of its pods, if these may be too long and are cut.
fn kept(id: &WorkloadId) -> Option<&str> {
    // The longest that may stand between the name and the random letters. The index of a Job stays, and its name is cut.
    let (between, most) = match id.kind.as_str() {
        "Deployment" | "Rollout" => ("-6d4cf56db6-", MOST_BASE),
        "Job" => ("-100000-", MOST_BASE - "-100000-".len()),
        "CronJob" => ("-29918880-100000-", MOST_BASE - "-100000-".len()),
        "StatefulSet" | "Pod" => return None,
        _ => ("-", MOST_BASE),
    };
    (id.name.len() + between.len() > MOST_BASE).then(|| id.name.get(..most).unwrap_or(&id.name))
}

/// The end of a name that was cut: it is as long as can be.
fn cut_end(kept: &str) -> String {
    format!("[-.a-z0-9]{{{}}}", (MOST_BASE + RANDOM).saturating_sub(kept.len()))
}

/// Expressions for the pods of a workload: the pattern of their names, and the names of living ones that it may miss
/// (of a Job that somebody made from a CronJob by hand, of an adopted ReplicaSet, of other kinds).
#[must_use]
pub fn pod_patterns(id: &WorkloadId, pods: &[&str]) -> Vec<String> {
    let missed = pods.iter().filter(|pod| !is_named_after(id, pod)).map(|pod| literal(pod));
    std::iter::once(pod_pattern(id)).chain(missed).collect()
}

/// Whether [`pod_pattern`] matches the name of a pod for sure.
fn is_named_after(id: &WorkloadId, pod: &str) -> bool {
    if pod.len() == MOST_BASE + RANDOM && kept(id).is_some_and(|kept| pod.starts_with(kept)) {
        return true;
    }
    let Some(rest) = pod.strip_prefix(id.name.as_str()) else { return false };
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    let letters = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let random = |t: &str| t.len() == RANDOM && letters(t);
    let parts: Vec<&str> = rest.split('-').skip(1).collect();
    let whole = match (id.kind.as_str(), &parts[..]) {
        ("Pod", []) => true,
        ("Deployment" | "Rollout", [hash, end]) => letters(hash) && random(end),
        ("StatefulSet", [end]) => digits(end),
        ("DaemonSet", [end]) | ("Job", [end]) => random(end),
        ("Job", [index, end]) | ("CronJob", [index, end]) => digits(index) && random(end),
        ("CronJob", [time, index, end]) => digits(time) && digits(index) && random(end),
        ("Deployment" | "Rollout" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "Pod", _) => false,
        _ => rest.is_empty() || rest.len() > 1,
    };
    whole && (rest.is_empty() || rest.starts_with('-'))
}

/// The text as an RE2 expression that matches itself only.
#[must_use]
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Samples that all dense metrics of the needs are expected to have in a partition.
#[must_use]
pub fn expected_samples(needs: &Needs, partition: &Partition, window: &Window) -> u64 {
    let points = window.points().max(1);
    let dense = needs.metrics.keys().filter(|m| m.shape() == Shape::Dense);
    let read = dense.map(|m| (points - needs.first_read(*m, window).min(points)) as f64 / points as f64);
    (read.sum::<f64>() * partition.samples as f64).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Container, Pod, PodPhase, Workload};
    use crate::time::Timestamp;
    use proptest::prelude::*;

    #[test]
    fn of_several_readers_the_widest_span_counts() {
        let end = Timestamp::from_unix_seconds(1_000_000);
        let window = Window::ending(end, Seconds(86_400.0), Seconds(3600.0)).unwrap();
        let metric = Metric::CpuPeriods;
        let first = |needs: &Needs| window.points() - needs.first_read(metric, &window);
        let mut needs = Needs::default();
        needs.recent(metric, Importance::Optional, Seconds(3.0 * 3600.0));
        assert_eq!(first(&needs), 3);
        needs.recent(metric, Importance::Required, Seconds(7200.0));
        assert_eq!((first(&needs), needs.metrics[&metric]), (3, Importance::Required));
        needs.recent(metric, Importance::Shown, Seconds(1e9));
        assert_eq!(first(&needs), window.points());
        needs.recent.insert(metric, Seconds(3600.0));
        assert_eq!(first(&needs.clone().of_whole_window()), window.points());
        needs.shown(metric).recent(metric, Importance::Shown, Seconds(3600.0));
        assert_eq!(first(&needs), window.points(), "somebody reads all of it");
    }

    #[test]
    fn what_is_read_of_a_day_alone_is_expected_of_a_day() {
        let end = Timestamp::from_unix_seconds(1_000_000);
        let window = Window::ending(end, Seconds(86_400.0), Seconds(3600.0)).unwrap();
        let selector = Selector::Namespaces(Vec::new());
        let samples = 100 * window.points() as u64;
        let partition = Partition { selector, workloads: Default::default(), samples, thinned: None };
        let mut needs = Needs::default();
        needs.metric(Metric::MemoryRss).metric(Metric::Restarts);
        needs.recent(Metric::CpuPeriods, Importance::Required, Seconds(36_000.0));
        assert_eq!(expected_samples(&needs, &partition, &window), samples + 1000);
    }

    fn objects(workloads: &[(&str, &str, usize)]) -> Objects {
        let mut objects = Objects::default();
        for (namespace, name, pods) in workloads {
            let id = WorkloadId::new(namespace, "Deployment", name);
            for i in 0..*pods {
                objects.pods.push(Pod {
                    name: format!("{name}-6f6f6f6f6f-{i:05}"),
                    workload: id.clone(),
                    phase: PodPhase::Running,
                    reason: None,
                    node: None,
                    created: None,
                    ready: None,
                    deleting: false,
                    unschedulable: None,
                    containers: vec![Container {
                        name: "app".into(),
                        role: Default::default(),
                        image: String::new(),
                        resources: Default::default(),
                        state: None,
                        last_termination: None,
                        restarts: None,
                        ready: None,
                        ..Container::default()
                    }],
                    ..Pod::default()
                });
            }
            objects.workloads.push(Workload {
                id,
                replicas: None,
                created: None,
                revisions: vec![],
                annotations: Default::default(),
                conditions: Vec::new(),
                update: None,
            });
        }
        objects
    }

    fn window() -> Window {
        Window::ending(Timestamp::from_unix_seconds(1_000_000), Seconds(30_000.0), Seconds(300.0)).unwrap()
    }

    #[test]
    fn small_namespaces_go_together_and_large_ones_are_split() {
        let objects =
            objects(&[("a", "x", 3), ("b", "y", 4), ("c", "z", 5), ("c", "w", 4), ("d", "huge", 50)]);
        let budget = Budget { samples: 800, series: 100 };
        let parts = partitions(&objects, &["empty".into()], &window(), budget);
        let selectors: Vec<_> = parts.iter().map(|p| format!("{:?}", p.selector)).collect();
        assert_eq!(
            selectors[..3],
            [
                r#"Namespaces(["a", "b"])"#,
                r#"Pods { namespace: "c", patterns: ["w-[a-z0-9]+-[a-z0-9]{5}"] }"#,
                r#"Pods { namespace: "c", patterns: ["z-[a-z0-9]+-[a-z0-9]{5}"] }"#,
            ]
        );
        assert_eq!(parts[3].thinned.as_ref().map(|t| (t.1, t.2)), Some((8, 50)));
        assert_eq!(parts[4].selector, Selector::Namespaces(vec!["empty".into()]));
    }

    #[track_caller]
    fn matches(id: &WorkloadId, pod: &str) -> bool {
        let pattern = pod_pattern(id);
        let found = regex::Regex::new(&format!("^(?:{pattern})$")).expect("a pattern").is_match(pod);
        assert!(found || !is_named_after(id, pod), "{pod} is not matched by {pattern}");
        found
    }

    /// As `k8s.io/apiserver/pkg/storage/names` does.
    fn generated(base: &str) -> String {
        format!("{}x7k2p", &base[..base.len().min(58)])
    }

    #[test]
    fn pods_with_long_names_are_matched() {
        for (kind, middle) in [
            ("Deployment", "-6d4cf56db6-"),
            ("Rollout", "-5c5c5c5c5-"),
            ("DaemonSet", "-"),
            ("ReplicationController", "-"),
            ("Job", "-"),
            ("CronJob", "-29918880-"),
        ] {
            for length in 1..=80 {
                let id = WorkloadId::new("web", kind, &"very-long-".repeat(9)[..length].replace('-', "e"));
                let pod = generated(&format!("{}{middle}", id.name));
                assert!(matches(&id, &pod), "{kind} {} {pod}", pod_pattern(&id));
                assert_eq!(pod_patterns(&id, &[&pod]).len(), 1, "no need to name it");
            }
        }
        for length in 1..=63 {
            let id = WorkloadId::new("web", "Job", &"n".repeat(length));
            let cut = &id.name[..length.min(58 - "-12-".len())];
            assert!(matches(&id, &format!("{cut}-12-x7k2p")), "{}", pod_pattern(&id));
        }
        let id = WorkloadId::new("web", "Deployment", "api");
        assert!(!matches(&id, "api-gateway-6d4cf56db6-x7k2p") && !matches(&id, "api-x7k2p"));
    }

    #[test]
    fn living_pods_with_other_names_are_named() {
        let id = |kind| WorkloadId::new("web", kind, "db.x");
        let patterns = |kind, pods: &[&str]| pod_patterns(&id(kind), pods)[1..].join(" ");
        assert_eq!(patterns("CronJob", &["db.x-29918880-x7k2p", "by-hand-x7k2p"]), "by-hand-x7k2p");
        assert_eq!(patterns("Pod", &["db.x", "sum.exec-1"]), r"sum\.exec-1");
        assert_eq!(patterns("Deployment", &["db.x-6d4cf56db6-x7k2p", "adopted-x7k2p"]), "adopted-x7k2p");
        assert_eq!(patterns("Cluster", &["db.x", "db.x-1", "db.xy-1"]), r"db\.xy-1");
        assert_eq!(patterns("StatefulSet", &["db.x-0", "db.x-12"]), "");
    }

    proptest! {
        #[test]
        fn every_workload_is_in_exactly_one_partition(
            sizes in prop::collection::vec((0u8..4, 0usize..30), 0..20), samples in 100u64..5000
        ) {
            let names: Vec<_> = sizes.iter().enumerate().map(|(i, (n, pods))| (format!("n{n}"), format!("w{i}"), *pods)).collect();
            let refs: Vec<_> = names.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), *c)).collect();
            let objects = objects(&refs);
            let parts = partitions(&objects, &[], &window(), Budget { samples, series: 1000 });
            let mut seen: Vec<_> = parts.iter().flat_map(|p| p.workloads.iter().cloned()).collect();
            let mut all: Vec<_> = objects.workloads.iter().map(|w| w.id.clone()).collect();
            seen.sort();
            all.sort();
            prop_assert_eq!(seen, all);
            prop_assert!(parts.iter().all(|p| p.samples <= samples.max(100)));
        }
    }
}
