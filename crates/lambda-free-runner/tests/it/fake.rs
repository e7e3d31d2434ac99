//! A cluster in memory that answers as servers do: from the objects and series of a story.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use healthcore::inventory::HostRequests;
use healthcore::metric::SeriesOf;
use healthcore::model::ObjectKind;
use healthcore::need::{Needs, Partition, Selector, literal};
use healthcore::series::SeriesStore;
use healthcore::snapshot::{Gap, Missing, Objects, Snapshot};
use healthcore::time::{Timestamp, Window};
use healthcore_sources::logs::{LogSource, LogsRead};
use healthcore_sources::{Fetched, MetricsSource, ObjectSource, Selection, SourceError, Usage};
use lambda_free_runner::{ClusterSources, Input, RunSpec};
use tokio::sync::Notify;

pub(crate) struct Fake {
    part: Snapshot,
    requests: AtomicU64,
    logs_read: AtomicU64,
    down: bool,
    gaps: Vec<Gap>,
    /// What it waits for before it answers its first question.
    waits: Option<Arc<Notify>>,
    /// Its address and what tells its cluster from others.
    known_as: Option<(String, Option<String>)>,
    /// How long each answer takes.
    delay: Duration,
    /// What is told when it is asked for its cost, which is when its cluster is done.
    done: Option<Arc<Notify>>,
}

impl Fake {
    pub(crate) fn new(part: Snapshot) -> Arc<Self> {
        Arc::new(Self::of(part))
    }

    pub(crate) fn down(part: Snapshot) -> Arc<Self> {
        Arc::new(Self { down: true, ..Self::of(part) })
    }

    /// One that waits with its first answer, or tells when its cluster is done.
    pub(crate) fn in_turn(
        part: Snapshot,
        waits: Option<Arc<Notify>>,
        done: Option<Arc<Notify>>,
    ) -> Arc<Self> {
        Arc::new(Self { waits, done, ..Self::of(part) })
    }

    /// One whose every answer takes a time, of the clock of tokio.
    pub(crate) fn slow(part: Snapshot, delay: Duration) -> Arc<Self> {
        Arc::new(Self { delay, ..Self::of(part) })
    }

    fn of(part: Snapshot) -> Self {
        let (requests, logs_read) = (AtomicU64::new(0), AtomicU64::new(0));
        Self {
            part,
            requests,
            logs_read,
            down: false,
            gaps: Vec::new(),
            waits: None,
            known_as: None,
            delay: Duration::ZERO,
            done: None,
        }
    }

    /// How often its logs have been read.
    pub(crate) fn logs_read(&self) -> u64 {
        self.logs_read.load(Ordering::Relaxed)
    }

    /// An API that lists the objects of the part, and tells of lists that it keeps to itself.
    pub(crate) fn with_gaps(part: Snapshot, gaps: Vec<Gap>) -> Arc<Self> {
        Arc::new(Self { gaps, ..Self::of(part) })
    }

    /// An API at an address, with what tells its cluster from others.
    pub(crate) fn known_as(part: Snapshot, address: &str, identity: Option<&str>) -> Arc<Self> {
        let known_as = Some((address.to_owned(), identity.map(str::to_owned)));
        Arc::new(Self { known_as, ..Self::of(part) })
    }

    async fn answer(&self) -> Result<(), SourceError> {
        if let Some(waits) = &self.waits {
            waits.notified().await;
        }
        tokio::time::sleep(self.delay).await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.down {
            return Err(SourceError::Unreachable {
                what: "http://fake".into(),
                why: "token=hunter2 refused".into(),
            });
        }
        Ok(())
    }

    fn used(&self) -> Usage {
        self.done.iter().for_each(|done| done.notify_one());
        Usage { requests: self.requests.load(Ordering::Relaxed), ..Usage::default() }
    }
}

/// A live run over fakes at the end of the story's window.
pub(crate) fn spec(metrics: Option<Arc<Fake>>, objects: Option<Arc<Fake>>) -> RunSpec {
    let part = &metrics.as_ref().or(objects.as_ref()).expect("a run has a source").part;
    let (at, lookback, step) = (part.taken_at, part.window.seconds(), f64::from(part.window.step_s()));
    let cluster = ClusterSources {
        name: part.cluster.clone(),
        metrics: metrics.map(|m| m as Arc<dyn MetricsSource>),
        objects: objects.map(|o| o as Arc<dyn ObjectSource>),
        ..ClusterSources::default()
    };
    RunSpec {
        lookback: healthcore::unit::Seconds(lookback),
        step: Some(healthcore::unit::Seconds(step)),
        at: Some(at),
        ..RunSpec::new(Input::Live(vec![cluster]))
    }
}

/// A live run over several fakes, each metrics server and API of a cluster of its own, named `c0`, `c1`, ...
pub(crate) fn fleet(fakes: Vec<Arc<Fake>>) -> RunSpec {
    let first = spec(fakes.first().cloned(), None);
    let clusters = fakes.into_iter().enumerate().map(|(at, fake)| ClusterSources {
        name: format!("c{at}"),
        metrics: Some(fake.clone()),
        objects: Some(fake),
        ..ClusterSources::default()
    });
    RunSpec { input: Input::Live(clusters.collect()), ..first }
}

#[async_trait]
impl ObjectSource for Fake {
    async fn probe(&self) -> Result<(), SourceError> {
        self.answer().await
    }
    async fn objects(&self, _: &Selection, _: &BTreeSet<ObjectKind>) -> Fetched<Objects> {
        tokio::time::sleep(self.delay).await;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let objects = Objects { logs: Vec::new(), ..self.part.objects.clone() };
        Fetched { value: objects, gaps: self.gaps.clone() }
    }
    fn address(&self) -> Option<&str> {
        self.known_as.as_ref().map(|(address, _)| address.as_str())
    }
    async fn identity(&self) -> Option<String> {
        tokio::time::sleep(self.delay).await;
        self.known_as.as_ref()?.1.clone()
    }
    fn log_source(&self) -> Option<&dyn LogSource> {
        Some(self)
    }
    fn plan(&self, _: &BTreeSet<ObjectKind>) -> Vec<(String, String)> {
        vec![("list".into(), "pods".into())]
    }
    fn usage(&self) -> Usage {
        self.used()
    }
}

#[async_trait]
impl LogSource for Fake {
    async fn logs(&self, _: &Objects, _: Timestamp, _: bool) -> Fetched<LogsRead> {
        self.logs_read.fetch_add(1, Ordering::Relaxed);
        Fetched::whole(LogsRead { summaries: self.part.objects.logs.clone(), unavailable: Vec::new() })
    }
    fn plan(&self, objects: &Objects) -> String {
        format!("logs of {} pod", objects.pods.len())
    }
}

#[async_trait]
impl MetricsSource for Fake {
    fn via(&self) -> String {
        "direct".into()
    }
    async fn probe(&self) -> Result<(), SourceError> {
        self.answer().await
    }
    async fn objects(&self, selection: &Selection, _: &BTreeSet<ObjectKind>, _: &Window) -> Fetched<Objects> {
        let mut objects = Objects { logs: Vec::new(), ..self.part.objects.clone() };
        let selected =
            |namespace: &String| selection.namespaces.is_empty() || selection.namespaces.contains(namespace);
        objects.workloads.retain(|w| selected(&w.id.namespace));
        objects.pods.retain(|p| selected(&p.workload.namespace));
        objects.hpas.retain(|h| selected(&h.namespace));
        Fetched::whole(objects)
    }
    async fn series(&self, needs: &Needs, partition: &Partition, window: &Window) -> Fetched<SeriesStore> {
        self.requests.fetch_add(needs.metrics.len() as u64, Ordering::Relaxed);
        tokio::time::sleep(self.delay).await;
        assert_eq!(*window, self.part.window, "the run asks on the grid of the story");
        let mut store = SeriesStore::default();
        for metric in needs.metrics.keys() {
            store.fetched(*metric);
            for (key, samples) in self.part.series.of(*metric) {
                // As a server does, patterns are taken generously: more may come than belongs to the part. Names are names.
                let selected = match &partition.selector {
                    Selector::Namespaces(names) => names.iter().any(|n| **n == *key.namespace),
                    Selector::Pods { namespace, patterns } => {
                        let names = patterns.iter().all(|p| !p.contains('['));
                        **namespace == *key.namespace && (!names || patterns.contains(&literal(&key.name)))
                    }
                };
                if selected {
                    store.insert(*metric, key.clone(), samples.clone());
                }
            }
            if metric.of() == SeriesOf::Container && self.part.series.of(*metric).next().is_none() {
                let absent =
                    self.part.series.metrics().find_map(|(m, why)| why.filter(|_| m == *metric).cloned());
                store.missing(*metric, absent.unwrap_or(Missing::MetricAbsent { metric: *metric }));
            }
        }
        Fetched::whole(store)
    }
    async fn host_requests(&self, _: &Window) -> Fetched<Option<Vec<HostRequests>>> {
        let counts = &self.part.objects.inventory.host_requests;
        Fetched::whole((!counts.is_empty()).then(|| counts.clone()))
    }
    fn plan(&self, needs: &Needs, _: &Partition, _: &Window) -> Vec<String> {
        needs.metrics.keys().map(ToString::to_string).collect()
    }
    fn asked(&self) -> Vec<String> {
        vec!["a probe".to_owned()]
    }
    fn usage(&self) -> Usage {
        self.used()
    }
}
