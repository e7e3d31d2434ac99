//! What logs say, from wherever they are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use healthcore::logs::LogSummary;
use healthcore::model::{Container, ContainerRole, ContainerState, Pod, PodPhase, WorkloadId};
use healthcore::snapshot::{Objects, Unavailable};
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Seconds};

use crate::{Fetched, Usage};

/// What of the logs of a cluster is read, and what that may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogSettings {
    /// How far back logs are read.
    pub lookback: Seconds,
    /// Pods of one workload whose logs are read: the newest and the oldest.
    pub pods: usize,
    /// Most of one container of one pod, the newest part.
    pub container: Bytes,
    /// Most of the whole cluster, shared out evenly among the containers.
    pub total: Bytes,
    /// Time for the whole cluster.
    pub time: Duration,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            lookback: Seconds::from_days(1.0),
            pods: 4,
            container: Bytes::from_mib(16.0),
            total: Bytes::from_mib(1024.0),
            time: Duration::from_secs(120),
        }
    }
}

/// What logs were read, and where they could not be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogsRead {
    /// What they say, by workload and container.
    pub summaries: Vec<LogSummary>,
    /// Where they could not be read.
    pub unavailable: Vec<Unavailable>,
}

/// A keeper of logs.
#[async_trait]
pub trait LogSource: Send + Sync {
    /// What the logs of the pods say up to `until`. `is_now` tells that this is the clock's now. What is refused or fails
    /// ends up in [`LogsRead::unavailable`] or as a gap; a workload whose logs could not be read has no summary.
    async fn logs(&self, objects: &Objects, until: Timestamp, is_now: bool) -> Fetched<LogsRead>;

    /// What would be read at most, for `--dry-run`.
    fn plan(&self, objects: &Objects) -> String;

    /// What it has cost so far, where nothing else counts that.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

/// A container of a workload, and the pods of it whose logs are read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) workload: WorkloadId,
    pub(crate) container: String,
    /// The pods to read, the newest first.
    pub(crate) pods: Vec<LoggedPod>,
    /// Pods that have logs of it.
    pub(crate) all: usize,
}

/// A pod whose log of a container is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LoggedPod {
    pub(crate) name: String,
    /// When its first run began, where that is known.
    pub(crate) began: Option<Timestamp>,
    /// When the run before the one that is read ended, whose log is kept too.
    pub(crate) run_before_ended: Option<Timestamp>,
}

impl LoggedPod {
    fn new(pod: &Pod, container: &Container) -> Self {
        let last = container.last_termination.as_ref();
        let (began, run_before_ended) = match &container.state {
            // The log that is given is that of the run before.
            Some(ContainerState::Waiting { .. }) | None => (last.and_then(|run| run.started), None),
            Some(ContainerState::Running { started }) => (*started, last.and_then(|run| run.finished)),
            Some(ContainerState::Terminated(run)) => (run.started, last.and_then(|run| run.finished)),
        };
        let began = match container.restarts {
            None | Some(0) => began,
            Some(_) => pod.created,
        };
        Self { name: pod.name.clone(), began, run_before_ended }
    }
}

/// Which logs are read: every container that has run, of some pods of each workload, in order.
pub(crate) fn targets(objects: &Objects, most_pods: usize) -> Vec<Target> {
    let mut pods: Vec<&Pod> = objects.pods.iter().filter(|p| p.phase != PodPhase::Pending).collect();
    // The newest first.
    pods.sort_by(|a, b| (b.created, &a.name).cmp(&(a.created, &b.name)));
    let mut found: BTreeMap<(&WorkloadId, &str), Vec<LoggedPod>> = BTreeMap::new();
    for pod in pods {
        for container in pod.containers.iter().filter(|c| has_logs(c)) {
            let logged = LoggedPod::new(pod, container);
            found.entry((&pod.workload, &container.name)).or_default().push(logged);
        }
    }
    let target = |((workload, container), pods): ((&WorkloadId, &str), Vec<LoggedPod>)| Target {
        workload: workload.clone(),
        container: container.to_owned(),
        all: pods.len(),
        pods: newest_and_oldest(&pods, most_pods.max(1)),
    };
    found.into_iter().map(target).collect()
}

fn has_logs(container: &Container) -> bool {
    let runs_or_ran = !matches!(container.state, Some(ContainerState::Waiting { .. }));
    container.role != ContainerRole::Init && (runs_or_ran || container.last_termination.is_some())
}

/// New pods show what a release brought, old ones what comes with time.
fn newest_and_oldest<P: Clone>(pods: &[P], most: usize) -> Vec<P> {
    let newest = most.div_ceil(2).min(pods.len());
    let oldest = pods.len().saturating_sub(most / 2).max(newest);
    pods[..newest].iter().chain(&pods[oldest..]).cloned().collect()
}

/// Bytes of one container of one pod that are read, when all get an equal share of the whole.
pub(crate) fn share(settings: &LogSettings, targets: &[Target]) -> u64 {
    let streams = targets.iter().map(|t| t.pods.len()).sum::<usize>().max(1);
    let share = (settings.total.get() / streams as f64).max(LEAST_SHARE);
    share.min(settings.container.get()) as u64
}

/// What is read of a container in any case: enough to see what it repeats.
const LEAST_SHARE: f64 = 64.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::*;
    use healthcore::fixture::Fixture;

    #[test]
    fn the_newest_and_the_oldest_pods_are_read() {
        let names = ["e", "d", "c", "b", "a"];
        assert_eq!(newest_and_oldest(&names, 4), ["e", "d", "b", "a"]);
        assert_eq!(newest_and_oldest(&names, 3), ["e", "d", "a"]);
        assert_eq!(newest_and_oldest(&names, 1), ["e"]);
        assert_eq!(newest_and_oldest(&names, 9).len(), 5);
        assert_eq!(newest_and_oldest(&names[..1], 4), ["e"]);
    }

    #[test]
    fn containers_that_have_run_are_read() {
        let objects = Fixture::new(
            "container web/api-0/app pods=3\n\
             container web/api-0/setup role=init\n\
             container web/new-0/app state=waiting:ContainerCreating\n\
             container web/loop-0/app state=waiting:CrashLoopBackOff last=Error:1@2m\n\
             container web/gone/app state=completed@1h\npod web/gone phase=Succeeded",
        )
        .snapshot
        .objects;
        let found = targets(&objects, 2);
        let named: Vec<String> = found
            .iter()
            .map(|t| format!("{}/{} {}/{}", t.workload.name, t.container, t.pods.len(), t.all))
            .collect();
        assert_eq!(named, ["gone/app 1/1", "api/app 2/3", "loop/app 1/1"]);
    }

    #[test]
    fn all_get_an_equal_share() {
        let of = |pods: usize| Target {
            workload: WorkloadId::default(),
            container: String::new(),
            pods: vec![LoggedPod::default(); pods],
            all: pods,
        };
        let settings = LogSettings::default();
        assert_eq!(share(&settings, &[of(1)]), 16 << 20);
        assert_eq!(share(&settings, &[of(100), of(156)]), 4 << 20);
        assert_eq!(share(&settings, &[of(1_000_000)]), 64 << 10);
    }
}
