//! What the enabled checks read, and the plan that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::metric::{Metric, Shape};
use crate::model::{ObjectKind, WorkloadId};
use crate::snapshot::Objects;
use crate::time::Window;

/// Metrics and objects that checks read: the union over all enabled checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Metrics; whether a run without it says less, or whether it only adds detail.
    pub metrics: BTreeMap<Metric, Importance>,
    /// Objects.
    pub objects: BTreeSet<ObjectKind>,
}

/// Whether a judgement needs a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// It adds detail where it exists; its absence is no gap.
    Optional,
    /// Without it subjects are unknown.
    Required,
}

impl Needs {
    /// Asks for a metric without which subjects are unknown.
    pub fn metric(&mut self, metric: Metric) -> &mut Self {
        self.metrics.insert(metric, Importance::Required);
        self
    }
    /// Asks for a metric that adds detail where it exists.
    pub fn optional(&mut self, metric: Metric) -> &mut Self {
        self.metrics.entry(metric).or_insert(Importance::Optional);
        self
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
    let mut open: Vec<&WorkloadId> = Vec::new();
    let mut size = 0;
    let close = |open: &mut Vec<&WorkloadId>, size: &mut u64, out: &mut Vec<Partition>| {
        if !open.is_empty() {
            out.push(Partition {
                selector: Selector::Pods {
                    namespace: namespace.to_owned(),
                    patterns: open.iter().map(|id| pod_pattern(id)).collect(),
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

/// An RE2 expression for the names of a workload's pods, past ones too.
#[must_use]
pub fn pod_pattern(id: &WorkloadId) -> String {
    let name = literal(&id.name);
    match id.kind.as_str() {
        "Deployment" | "Rollout" => format!("{name}-[a-z0-9]+-[a-z0-9]{{5}}"),
        "StatefulSet" => format!("{name}-[0-9]+"),
        "DaemonSet" => format!("{name}-[a-z0-9]{{5}}"),
        "Job" => format!("{name}(-[0-9]+)?-[a-z0-9]{{5}}"),
        "CronJob" => format!("{name}-[0-9]+(-[0-9]+)?-[a-z0-9]{{5}}"),
        "Pod" => name,
        _ => format!("{name}(-.+)?"),
    }
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
pub fn expected_samples(needs: &Needs, partition: &Partition) -> u64 {
    needs.metrics.keys().filter(|m| m.shape() == Shape::Dense).count() as u64 * partition.samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Container, Pod, PodPhase, Workload};
    use crate::time::Timestamp;
    use crate::unit::Seconds;
    use proptest::prelude::*;

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
                    }],
                });
            }
            objects.workloads.push(Workload {
                id,
                replicas: None,
                created: None,
                revisions: vec![],
                annotations: Default::default(),
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
