//! Measured values of every container, for the tables of a report. Facts judge nothing.

use serde::{Deserialize, Serialize};

use crate::checks::{leftovers, pods_phrase, runs, untold};
use crate::finding::{SubjectRef, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::{Pod, PodPhase, Replicas, Resources, Workload};
use crate::stats;
use crate::unit::Seconds;
use crate::view::{View, WorkloadContainer};

/// What is known of a container of a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerFacts {
    /// Which container.
    pub subject: SubjectRef,
    /// Replicas of the workload.
    pub replicas: Option<Replicas>,
    /// Live pods that have it.
    pub live_pods: usize,
    /// Pods of the workload, those that are done with apart: `4/4 Running (+2 Completed)`; none where that is not told.
    #[serde(default)]
    pub pods_state: Option<PodsState>,
    /// Requests and limits.
    pub resources: Resources,
    /// Restarts of all live pods; none when not reported.
    pub restarts: Option<u64>,
    /// Working set now, in bytes: that of the pod with the largest.
    pub memory_now: Option<f64>,
    /// The pod with the largest working set.
    pub memory_pod: Option<String>,
    /// Mean working set over the window and the live pods, in bytes.
    pub memory_mean: Option<f64>,
    /// 95th percentile of the working set over the window and the live pods, in bytes.
    pub memory_p95: Option<f64>,
    /// Mean of the last quarter against the first, of the pod that grew most: growth as a ratio.
    pub memory_growth: Option<f64>,
    /// Mean CPU over the window and the live pods, in cores.
    pub cpu_mean: Option<f64>,
    /// 95th percentile of CPU over the window and the live pods, in cores.
    pub cpu_p95: Option<f64>,
    /// Used heap now of the pod with the largest, in bytes, for Java virtual machines that report it.
    pub jvm_heap_used: Option<f64>,
    /// Largest heap allowed, in bytes.
    pub jvm_heap_max: Option<f64>,
    /// The live pods one by one, those with the largest working set first.
    pub pods: Vec<PodFacts>,
}

/// How many pods of a workload run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodsState {
    /// Those that run and are ready.
    pub running: u32,
    /// All that have neither finished with success nor failed and been replaced.
    pub all: u32,
    /// Those that have finished with success.
    pub completed: u32,
    /// Those that have failed and that their controller has made others for.
    #[serde(default)]
    pub failed: u32,
}

impl PodsState {
    /// Of the pods of a workload; none where there are none, or no telling whether one of them runs.
    fn of(workload: &Workload, pods: &[&Pod]) -> Option<Self> {
        let count = |is: fn(&Pod) -> bool| pods.iter().filter(|pod| is(pod)).count() as u32;
        let completed = count(|pod| pod.phase == PodPhase::Succeeded);
        let failed = leftovers(workload, pods).len() as u32;
        let all = pods.len() as u32 - completed - failed;
        let is_told = !pods.is_empty() && count(untold) == 0;
        is_told.then(|| Self { running: count(runs), all, completed, failed })
    }

    /// In words, as a phrase.
    #[must_use]
    pub fn words(self) -> Text {
        let Self { running, all, completed, failed } = self;
        pods_phrase(running as usize, all as usize, completed as usize, failed as usize)
    }
}

/// What is known of a container in one pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodFacts {
    /// The pod.
    pub pod: String,
    /// Working set now, in bytes.
    pub memory_now: Option<f64>,
    /// Growth from the first to the last quarter, as a ratio.
    pub memory_growth: Option<f64>,
    /// Restarts.
    pub restarts: Option<u32>,
    /// Whether it ends again and again, so that its use says nothing about its need.
    pub crash_loops: bool,
}

/// Pods of one container that keep facts of their own; the table of a report has no more rows.
const MOST_PODS: usize = 10;

/// How long "now" is.
const NOW: Seconds = Seconds(1800.0);

impl ContainerFacts {
    /// What facts are ordered by.
    #[must_use]
    pub fn key(&self) -> &SubjectRef {
        &self.subject
    }

    /// Working set now as a share of the limit.
    #[must_use]
    pub fn memory_of_limit(&self) -> Option<f64> {
        let limit = self.resources.memory_limit.filter(|l| l.get() > 0.0)?;
        Some(self.memory_now? / limit.get())
    }
}

/// The facts of every container of a partition.
#[must_use]
pub fn facts(view: &View<'_>) -> Vec<ContainerFacts> {
    view.containers().iter().filter(|c| !c.is_init()).map(|c| container_facts(view, c)).collect()
}

fn container_facts(view: &View<'_>, container: &WorkloadContainer<'_>) -> ContainerFacts {
    let all = Seconds(view.snapshot.window.seconds());
    let mut pods: Vec<PodFacts> = container
        .live()
        .map(|member| {
            let memory = member.series(view, Metric::MemoryWorkingSet).ok();
            PodFacts {
                pod: member.pod_name().to_owned(),
                memory_now: memory.and_then(|s| measure::now(&s, NOW).ok()),
                memory_growth: memory.and_then(|s| {
                    let values: Vec<f64> = s.values().collect();
                    let q = stats::quarters(&values)?;
                    (q[0] > 0.0).then(|| q[3] / q[0] - 1.0)
                }),
                restarts: member.container.and_then(|c| c.restarts),
                crash_loops: member.crash_loops(view),
            }
        })
        .collect();
    pods.sort_by(|a, b| {
        b.memory_now.unwrap_or(-1.0).total_cmp(&a.memory_now.unwrap_or(-1.0)).then_with(|| a.pod.cmp(&b.pod))
    });
    let largest = |metric| {
        container
            .live()
            .filter_map(|m| measure::now(&m.series(view, metric).ok()?, NOW).ok())
            .max_by(f64::total_cmp)
    };
    let mut memory = measure::pooled(view, container, Metric::MemoryWorkingSet, all).unwrap_or_default();
    let mut cpu = measure::pooled(view, container, Metric::CpuUsage, all).unwrap_or_default();
    let restarts: Vec<u64> = pods.iter().filter_map(|p| p.restarts.map(u64::from)).collect();
    let live_pods = pods.len();
    let facts = ContainerFacts {
        pods_state: PodsState::of(container.workload, view.pods_of(&container.workload.id)),
        subject: SubjectRef {
            cluster: view.snapshot.cluster.clone(),
            namespace: container.workload.id.namespace.clone(),
            kind: container.workload.id.kind.clone(),
            name: container.workload.id.name.clone(),
            pod: None,
            container: Some(container.name.to_string()),
        },
        replicas: container.workload.replicas,
        live_pods,
        resources: container.resources(),
        restarts: (!restarts.is_empty()).then(|| restarts.iter().sum()),
        memory_now: pods.first().and_then(|p| p.memory_now),
        memory_pod: pods.first().filter(|p| p.memory_now.is_some()).map(|p| p.pod.clone()),
        memory_mean: stats::mean(memory.iter().copied()),
        memory_p95: stats::quantile(&mut memory, 0.95),
        memory_growth: pods.iter().filter_map(|p| p.memory_growth).max_by(f64::total_cmp),
        cpu_mean: stats::mean(cpu.iter().copied()),
        cpu_p95: stats::quantile(&mut cpu, 0.95),
        jvm_heap_used: largest(Metric::JvmHeapUsed),
        jvm_heap_max: largest(Metric::JvmHeapMax),
        pods: Vec::new(),
    };
    pods.truncate(MOST_PODS);
    ContainerFacts { pods, ..facts }
}

#[cfg(test)]
mod tests {
    use crate::facts::facts;
    use crate::finding::Value;
    use crate::fixture::{Fixture, show};
    use crate::settings::Settings;
    use crate::view::View;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let fixture = Fixture::new(text);
        let checks = Settings::default().resolve(crate::checks::CHECKS).expect("defaults");
        let facts = facts(&View::new(&fixture.snapshot, checks.classifier()));
        let state = facts[0].pods_state.map(|state| show(&Value::Words(state.words())));
        assert_eq!(state.as_deref().unwrap_or("not told"), expected);
    }

    #[test]
    fn pods_of_a_workload_in_order_are_told_too() {
        let two = "container web/api-0/app pods=2";
        check(two, "2/2 Running");
        check(&format!("{two}\npod web/api-2 phase=Succeeded ready=no"), "2/2 Running (+1 Completed)");
        check(
            &format!("{two}\npod web/api-2 phase=Succeeded ready=no\npod web/api-3 phase=Failed ready=no"),
            "2/3 Running (1 not running) +1 Completed",
        );
        let replaced = "pod web/api-2 phase=Failed ready=no\nworkload web/StatefulSet/api replicas=2/2";
        check(&format!("{two}\n{replaced}"), "2/2 Running (+1 Failed)");
    }
}
