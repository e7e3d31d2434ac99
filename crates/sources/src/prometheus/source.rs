use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use healthcore::metric::{Metric, SeriesOf};
use healthcore::model::ObjectKind;
use healthcore::need::{Importance, Needs, Partition};
use healthcore::series::{SeriesKey, SeriesStore};
use healthcore::snapshot::{Gap, GapCause, Missing, Objects};
use healthcore::time::Window;
use tokio::sync::OnceCell;

use super::catalogue::{Catalogue, Facts, Family, Scheme, quoted};
use super::client::{Client, Log, QueryError};
use super::decode::{InstantSeries, Labels, instant_series, range_series};
use super::http::HttpTransport;
use super::ksm;
use super::settings::{Dialect, PrometheusSettings};
use super::transport::Transport;
use crate::{Fetched, MetricsSource, Selection, SourceError, Usage};

/// Samples that a server gives for one series at most (`promql.maxSamples` aside, `web/api/v1/api.go`).
const MOST_POINTS: usize = 11_000;

/// A server of the Prometheus query API.
pub struct Prometheus {
    client: Client,
    catalogue: Catalogue,
    facts: OnceCell<(Facts, Vec<Gap>)>,
    /// Whether the gaps met while asking for the facts have been told.
    told: AtomicBool,
    /// What was asked once, for `--dry-run`.
    asked: Mutex<Vec<String>>,
    name: String,
}

impl Prometheus {
    /// A server that is reached directly. Nothing is sent yet.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: &PrometheusSettings) -> Result<Self, SourceError> {
        let transport = HttpTransport::new(settings)?;
        Self::through(Box::new(transport), settings)
    }

    /// Whether the settings can be used, apart from files that they name.
    ///
    /// # Errors
    /// The first one that cannot.
    pub fn check(settings: &PrometheusSettings) -> Result<(), SourceError> {
        if !settings.url.is_empty() {
            let settings = PrometheusSettings { ca_file: None, ..settings.clone() };
            HttpTransport::new(&settings)?;
        }
        Catalogue::new(&settings.queries, &settings.matchers).map(|_| ())
    }

    /// A server that is reached some other way; address, credentials and TLS settings do not count then.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn through(
        transport: Box<dyn Transport>,
        settings: &PrometheusSettings,
    ) -> Result<Self, SourceError> {
        let catalogue = Catalogue::new(&settings.queries, &settings.matchers)?;
        let name = transport.target();
        let client = Client::new(
            transport,
            settings.dialect,
            settings.timeout,
            settings.retries,
            settings.concurrency,
        );
        Ok(Self {
            client,
            catalogue,
            facts: OnceCell::new(),
            told: AtomicBool::new(false),
            asked: Mutex::default(),
            name,
        })
    }

    /// Tells every request to `log`, without credentials.
    #[must_use]
    pub fn log_to(mut self, log: Log) -> Self {
        self.client.log_to(log);
        self
    }

    /// The elements of the vector of an instant query, and warnings.
    async fn instant(
        &self,
        query: &str,
        time_s: i64,
    ) -> Result<(Vec<InstantSeries>, Vec<String>), QueryError> {
        let mut found = Vec::new();
        let warnings = self.instant_each(query, time_s, &mut |series| found.push(series)).await?;
        Ok((found, warnings))
    }

    /// Hands each element of the vector of an instant query to `each` as it is decoded; gives the warnings. When the
    /// query is sent again, elements come again.
    pub(super) async fn instant_each(
        &self,
        query: &str,
        time_s: i64,
        each: &mut (dyn FnMut(InstantSeries) + Send),
    ) -> Result<Vec<String>, QueryError> {
        self.note_asked(query);
        let params = vec![("query", query.to_owned()), ("time", time_s.to_string())];
        let mut count = 0;
        let envelope = self
            .client
            .query("/api/v1/query", params, &mut |element| {
                each(instant_series(element)?);
                count += 1;
                Ok(())
            })
            .await?;
        self.client.count_samples(count);
        Ok(envelope.warnings)
    }

    fn note_asked(&self, query: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("1 instant query: {query}"));
    }

    pub(super) fn gap(&self, what: &str, cause: GapCause, detail: impl Into<String>) -> Gap {
        Gap { scope: format!("prometheus/{what}"), cause, detail: detail.into() }
    }

    pub(super) fn matchers(&self, own: Vec<String>) -> String {
        self.catalogue.matchers(own)
    }

    /// What the server has, asked once: labels in use, scrape interval, metrics that exist.
    pub(super) async fn facts(&self, time_s: i64) -> (&Facts, Vec<Gap>) {
        let (facts, gaps) = self.facts.get_or_init(|| self.ask_facts(time_s)).await;
        let gaps = if self.told.swap(true, Ordering::Relaxed) { Vec::new() } else { gaps.clone() };
        (facts, gaps)
    }

    async fn ask_facts(&self, time_s: i64) -> (Facts, Vec<Gap>) {
        let mut gaps = Vec::new();
        let facts = self.find_facts(time_s, &mut gaps).await;
        (facts, gaps)
    }

    async fn find_facts(&self, time_s: i64, gaps: &mut Vec<Gap>) -> Facts {
        let mut facts = Facts::default();
        let own = |matchers: Vec<String>| self.catalogue.matchers(matchers);
        let mut branches = Vec::new();
        for family in Family::ALL {
            for scheme in Scheme::ALL {
                let [_, pod, container] = scheme.labels();
                let selector = own(vec![format!("{container}!=\"\""), format!("{pod}!=\"\"")]);
                let mark = format!("{}/{}", family.witness(), scheme.name());
                branches.push(format!(
                    "label_replace(count({}{{{selector}}}), \"mark\", \"{mark}\", \"\", \"\")",
                    family.witness()
                ));
            }
        }
        match self.instant(&branches.join(" or "), time_s).await {
            Ok((found, _)) => {
                let marks: BTreeSet<&str> =
                    found.iter().filter_map(|s| s.metric.get("mark").map(String::as_str)).collect();
                for family in Family::ALL {
                    let used = Scheme::ALL
                        .into_iter()
                        .find(|s| marks.contains(format!("{}/{}", family.witness(), s.name()).as_str()));
                    if let Some(scheme) = used {
                        facts.schemes.insert(family, scheme);
                    }
                }
            }
            Err(e) => gaps.push(self.gap("labels in use", e.cause, e.detail)),
        }
        let [_, _, container] = facts.scheme(Family::Cadvisor).labels();
        let cadvisor = own(vec![format!("{container}!=\"\""), format!("{container}!=\"POD\"")]);
        let counted =
            format!("quantile(0.5, count_over_time({}{{{cadvisor}}}[10m]))", Family::Cadvisor.witness());
        if let Ok((found, _)) = self.instant(&counted, time_s).await {
            let count = found.first().map_or(0.0, |s| s.value);
            facts.scrape_s = (count >= 1.0).then(|| (600.0 / count).round() as u64);
        }
        let mut names: Vec<String> = Metric::ALL.iter().flat_map(|m| self.catalogue.names(*m)).collect();
        names.push(ksm::WITNESS.to_owned());
        names.sort();
        names.dedup();
        let all = own(vec![format!("__name__=~\"{}\"", quoted(&names.join("|")))]);
        match self.instant(&format!("count by (__name__) ({{{all}}})"), time_s).await {
            Ok((found, _)) => {
                facts.present = found.iter().filter_map(|s| s.metric.get("__name__").cloned()).collect();
                facts.knows_presence = true;
            }
            Err(e) => gaps.push(self.gap("metrics that exist", e.cause, e.detail)),
        }
        facts
    }

    /// Start and end of the range queries that cover the window.
    fn spans(window: &Window) -> Vec<(i64, i64)> {
        (0..window.points())
            .step_by(MOST_POINTS)
            .map(|from| {
                let to = (from + MOST_POINTS).min(window.points()) - 1;
                (window.at(from).unix_seconds(), window.at(to).unix_seconds())
            })
            .collect()
    }

    async fn metric(
        &self,
        metric: Metric,
        importance: Importance,
        partition: &Partition,
        window: &Window,
        facts: &Facts,
    ) -> OneMetric {
        let step = u64::from(window.step_s());
        let mut out = OneMetric { metric, store: SeriesStore::default(), gaps: Vec::new() };
        if !self.catalogue.has(metric) {
            out.store.missing(metric, Missing::NotAsked { metric });
            return out;
        }
        out.store.fetched(metric);
        if facts.knows_presence && !self.catalogue.names(metric).iter().any(|n| facts.present.contains(n)) {
            out.store.missing(metric, Missing::MetricAbsent { metric });
            if importance == Importance::Required {
                let names = self.catalogue.names(metric).join(" or ");
                out.gaps.push(self.gap(
                    metric.name(),
                    GapCause::MetricAbsent,
                    format!("the server has no series of {names}"),
                ));
            }
            return out;
        }
        let query = self.catalogue.query(metric, &partition.selector, facts, step, window.seconds() as u64);
        for (start, end) in Self::spans(window) {
            let params = vec![
                ("query", query.clone()),
                ("start", start.to_string()),
                ("end", end.to_string()),
                ("step", step.to_string()),
            ];
            let (mut received, mut future, mut histograms) = (0, 0u64, 0u64);
            let (mut series_in_all, mut nameless) = (0u64, 0u64);
            let store = &mut out.store;
            let answer = self
                .client
                .query("/api/v1/query_range", params, &mut |element| {
                    let series = range_series(element, window)?;
                    received += series.received;
                    future += series.future;
                    histograms += u64::from(series.histogram);
                    series_in_all += 1;
                    nameless += u64::from(!is_named(metric, &series.labels));
                    if let (Some(key), false) = (key_of(metric, &series.labels), series.samples.is_empty()) {
                        store.insert(metric, key, series.samples);
                    }
                    Ok(())
                })
                .await;
            self.client.count_samples(received);
            let mut note = |cause, detail: String| out.gaps.push(self.gap(metric.name(), cause, detail));
            match answer {
                Ok(envelope) => {
                    envelope.warnings.into_iter().for_each(|w| note(GapCause::Warning, w));
                    if envelope.data.result_type != "matrix" {
                        note(
                            GapCause::Failed,
                            format!("expected a matrix, got `{}`", envelope.data.result_type),
                        );
                        out.store.missing(metric, Missing::QueryFailed { metric });
                    } else if nameless > 0 && nameless == series_in_all {
                        let labels = labels_of(metric);
                        let (last, first) = labels.split_last().expect("no metric is without labels");
                        note(
                            GapCause::Failed,
                            format!(
                                "none of its {nameless} series has all the labels {} and {last}; an own query must keep them, as `sum by ({}) (...)` does",
                                first.join(", "),
                                labels.join(", "),
                            ),
                        );
                        out.store.missing(metric, Missing::QueryFailed { metric });
                    }
                }
                Err(e) => {
                    note(e.cause, e.detail);
                    out.store.missing(metric, Missing::QueryFailed { metric });
                }
            }
            if future > 0 {
                let detail = format!(
                    "{future} samples lie after the end of the window; the clocks of this machine and the server differ"
                );
                out.gaps.push(self.gap(metric.name(), GapCause::ClockSkew, detail));
            }
            if histograms > 0 {
                let detail = format!(
                    "{histograms} series are native histograms, which have no single value; they are left out"
                );
                out.gaps.push(self.gap(metric.name(), GapCause::Partial, detail));
            }
        }
        out
    }
}

struct OneMetric {
    metric: Metric,
    store: SeriesStore,
    gaps: Vec<Gap>,
}

/// Labels that tell whose a series is.
fn labels_of(metric: Metric) -> &'static [&'static str] {
    match metric.of() {
        SeriesOf::Autoscaler => &["namespace", "horizontalpodautoscaler"],
        _ => &["namespace", "pod", "container"],
    }
}

/// Whether the labels tell whose a series is, also where that is nobody who is judged: the pause container.
fn is_named(metric: Metric, labels: &Labels) -> bool {
    let pause = ["exported_container", "container", "container_name"];
    key_of(metric, labels).is_some()
        || pause.iter().any(|l| labels.get(*l).is_some_and(|container| container == "POD"))
}

/// The owner of a series by its labels. A label that the exporter's gave way to comes first (`exported_pod`), then the
/// plain one, then that of old kubelets.
pub(super) fn key_of(metric: Metric, labels: &Labels) -> Option<SeriesKey> {
    let label = |names: [&str; 3]| {
        names.iter().find_map(|n| labels.get(*n).map(String::as_str).filter(|v| !v.is_empty()))
    };
    let namespace = label(["exported_namespace", "namespace", ""])?;
    if metric.of() == SeriesOf::Autoscaler {
        return Some(SeriesKey::autoscaler(namespace, label(["horizontalpodautoscaler", "hpa", ""])?));
    }
    let pod = label(["exported_pod", "pod", "pod_name"])?;
    let container = label(["exported_container", "container", "container_name"])?;
    (container != "POD").then(|| SeriesKey::container(namespace, pod, container))
}

/// Says why an address is no query API, where that is known.
fn forwarder(url: &str) -> Option<String> {
    url.contains("arms-prom-server").then(|| {
        "an `arms-prom-server` address is the forwarder that agents write to, not a query endpoint; use the HTTP API address \
         of the Prometheus instance (ARMS console, Settings, `HTTP API address`, \
         `https://<region>.arms.aliyuncs.com/api/v1/prometheus/<token>/<account>/<instance>/<region>`) with \
         `--dialect arms`"
            .to_owned()
    })
}

#[async_trait]
impl MetricsSource for Prometheus {
    fn via(&self) -> String {
        self.client.transport().via()
    }

    async fn probe(&self) -> Result<(), SourceError> {
        self.note_asked("1");
        let asked =
            self.client.query("/api/v1/query", vec![("query", "1".to_owned())], &mut |_| Ok(())).await;
        let Err(e) = asked else { return Ok(()) };
        let what = self.name.clone();
        let not_found = e.status == Some(404);
        Err(match (e.cause, forwarder(&what)) {
            (_, Some(why)) => SourceError::Unusable { what, why },
            (GapCause::Unauthorized, _) => SourceError::Unauthorized {
                what,
                why: format!(
                    "{}; set PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD, or PROMETHEUS_TOKEN{}",
                    e.detail,
                    if self.client.dialect == Dialect::Arms {
                        " (for ARMS: AccessKey id and secret)"
                    } else {
                        ""
                    }
                ),
            },
            (GapCause::Unreachable | GapCause::Timeout, _) => {
                SourceError::Unreachable { what, why: e.detail }
            }
            _ if not_found => SourceError::Unusable {
                what,
                why: format!("{}; there is no query API below this address, check its path prefix", e.detail),
            },
            _ if e.status == Some(400) && self.client.dialect == Dialect::Prometheus => {
                SourceError::Unusable {
                    what,
                    why: format!("{}; an ARMS server needs `--dialect arms`", e.detail),
                }
            }
            _ => SourceError::Unusable { what, why: e.detail },
        })
    }

    async fn prepare(&self, window: &Window) {
        self.facts.get_or_init(|| self.ask_facts(window.end().unix_seconds())).await;
    }

    async fn objects(
        &self,
        selection: &Selection,
        kinds: &BTreeSet<ObjectKind>,
        window: &Window,
    ) -> Fetched<Objects> {
        let (facts, mut gaps) = self.facts(window.end().unix_seconds()).await;
        let mut fetched = ksm::objects(self, facts, selection, kinds, window).await;
        fetched.gaps.append(&mut gaps);
        fetched
    }

    async fn series(&self, needs: &Needs, partition: &Partition, window: &Window) -> Fetched<SeriesStore> {
        let (facts, mut gaps) = self.facts(window.end().unix_seconds()).await;
        let mut store = SeriesStore::default();
        // The client bounds how many are under way at once.
        let mut answers = stream::iter(needs.metrics.clone())
            .map(|(metric, importance)| self.metric(metric, importance, partition, window, facts))
            .buffer_unordered(needs.metrics.len().max(1));
        let mut by_metric = BTreeMap::new();
        while let Some(one) = answers.next().await {
            by_metric.insert(one.metric, one);
        }
        for one in by_metric.into_values() {
            store.absorb(one.store);
            gaps.extend(one.gaps);
        }
        Fetched { value: store, gaps }
    }

    fn plan(&self, needs: &Needs, partition: &Partition, window: &Window) -> Vec<String> {
        let facts = self.facts.get().map(|(facts, _)| facts.clone()).unwrap_or_default();
        let step = u64::from(window.step_s());
        let lookback = window.seconds() as u64;
        let queries = needs.metrics.keys().filter(|m| self.catalogue.has(**m)).map(|m| {
            let query = self.catalogue.query(*m, &partition.selector, &facts, step, lookback);
            let ranges = Self::spans(window).len();
            format!("{m}: {ranges} range {}: {query}", if ranges == 1 { "query" } else { "queries" })
        });
        queries.collect()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }
}

/// The matcher of the namespaces of a selection on a label; empty for all.
pub(super) fn selection_matcher(selection: &Selection, label: &str) -> String {
    if selection.namespaces.is_empty() {
        return String::new();
    }
    let pattern = |glob: &String| -> String {
        let part = |c: char| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            c => healthcore::need::literal(&c.to_string()),
        };
        glob.chars().map(part).collect()
    };
    let patterns: Vec<String> = selection.namespaces.iter().map(pattern).collect();
    format!("{label}=~\"{}\"", quoted(&patterns.join("|")))
}
