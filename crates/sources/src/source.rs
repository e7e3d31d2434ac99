use std::collections::BTreeSet;

use async_trait::async_trait;
use healthcore::api_versions::RequestedApi;
use healthcore::inventory::HostRequests;
use healthcore::model::ObjectKind;
use healthcore::need::{Needs, Partition};
use healthcore::series::SeriesStore;
use healthcore::snapshot::Objects;
use healthcore::time::Window;

use crate::logs::LogSource;
use crate::prometheus::{Auth, PrometheusSettings, Secret, shown};
use crate::{Fetched, SourceError};

/// Which namespaces a run looks into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Names or globs (`*`, `?`) of namespaces; empty for all.
    pub namespaces: Vec<String>,
}

/// What a source has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Queries or requests sent, retries too.
    pub requests: u64,
    /// Samples received.
    pub samples: u64,
    /// Bytes received, after decompression.
    pub bytes: u64,
}

/// A metrics server that is asked without matchers; equal where the same series come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllSeriesOf {
    /// Its address, without credentials.
    pub address: String,
    /// The whole address, whose path may name an instance by its token, and what tells tenants apart.
    sent: (Secret, Auth, Vec<(String, Secret)>),
}

impl AllSeriesOf {
    /// The server of the settings; none where they choose among its series.
    pub(crate) fn new(settings: &PrometheusSettings) -> Option<Self> {
        let chooses = !settings.matchers.is_empty() || !settings.queries.is_empty();
        let url = settings.url.trim_end_matches('/');
        (!chooses).then(|| Self {
            address: shown(url),
            sent: (Secret::new(url), settings.auth.clone(), settings.headers.clone()),
        })
    }
}

/// A server of time series.
#[async_trait]
pub trait MetricsSource: Send + Sync {
    /// How it is reached, for the report: `direct`, `service-proxy shop/prometheus:9090`; no credentials.
    fn via(&self) -> String;

    /// The address of a server that is asked for all of its series, whichever cluster they are of, and what else is sent to
    /// it, so that two clusters can be told to share them; none where matchers or own queries choose, or where that is not
    /// known.
    fn all_series_of(&self) -> Option<&AllSeriesOf> {
        None
    }

    /// Whether it answers, and is what it should be.
    ///
    /// # Errors
    /// It does not, with what to do.
    async fn probe(&self) -> Result<(), SourceError>;

    /// Asks what is asked once a run, so that it need not be waited for later. Optional: what was not prepared is asked
    /// when it is needed.
    async fn prepare(&self, _window: &Window) {}

    /// Workloads, pods and autoscalers as kube-state-metrics tells them at the end of `window`, for runs
    /// without the Kubernetes API. `kinds` that metrics cannot tell (events) end up in
    /// [`Objects::unavailable`].
    async fn objects(
        &self,
        selection: &Selection,
        kinds: &BTreeSet<ObjectKind>,
        window: &Window,
    ) -> Fetched<Objects>;

    /// Series of every metric in `needs` for the pods of a partition: one wide query a metric. A metric that
    /// fails is noted in the store and as a gap. Series of other workloads may be among them; the caller
    /// drops these.
    async fn series(&self, needs: &Needs, partition: &Partition, window: &Window) -> Fetched<SeriesStore>;

    /// Requests by the host that clients named, in the last day of the window, as ingress controllers count them; none
    /// when nobody does.
    async fn host_requests(&self, _window: &Window) -> Fetched<Option<Vec<HostRequests>>> {
        Fetched::whole(None)
    }

    /// Deprecated versions of Kubernetes APIs that somebody has asked for; none also when nobody tells.
    async fn requested_apis(&self, _window: &Window) -> Fetched<Vec<RequestedApi>> {
        Fetched::whole(Vec::new())
    }

    /// The queries that [`MetricsSource::series`] would send for a partition, for `--dry-run`.
    fn plan(&self, needs: &Needs, partition: &Partition, window: &Window) -> Vec<String>;

    /// Queries that were sent once a run, before any series, for `--dry-run`.
    fn asked(&self) -> Vec<String> {
        Vec::new()
    }

    /// What it has cost so far.
    fn usage(&self) -> Usage;
}

/// A server of Kubernetes objects.
#[async_trait]
pub trait ObjectSource: Send + Sync {
    /// Whether it answers and takes the credentials.
    ///
    /// # Errors
    /// It does not, with what to do.
    async fn probe(&self) -> Result<(), SourceError>;

    /// Objects of the kinds asked for in the selected namespaces. A list that is refused or fails ends up in
    /// [`Objects::unavailable`] and as a gap; a glob or name that matches no namespace is a gap.
    async fn objects(&self, selection: &Selection, kinds: &BTreeSet<ObjectKind>) -> Fetched<Objects>;

    /// The context of the kubeconfig by which it was named, for commands that people paste.
    fn context(&self) -> Option<&str> {
        None
    }

    /// Its address, by which two names of one cluster are known.
    fn address(&self) -> Option<&str> {
        None
    }

    /// What is the same for every address of the cluster, and of no other: the uid of its namespace `kube-system`. None where
    /// that may not be read.
    async fn identity(&self) -> Option<String> {
        None
    }

    /// Where the logs of its pods are read, if it gives them.
    fn log_source(&self) -> Option<&dyn LogSource> {
        None
    }

    /// Verb and resource of every request that [`ObjectSource::objects`] would send, for `--dry-run`.
    fn plan(&self, kinds: &BTreeSet<ObjectKind>) -> Vec<(String, String)>;

    /// What it has cost so far.
    fn usage(&self) -> Usage;
}
