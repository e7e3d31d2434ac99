use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _};
use healthcore::api_versions::RequestedApi;
use healthcore::finding::{Text, Value};
use healthcore::inventory::HostRequests;
use healthcore::metric::{Metric, SeriesOf};
use healthcore::model::ObjectKind;
use healthcore::need::{Importance, Needs, Partition};
use healthcore::phrase::phrase;
use healthcore::series::{SeriesKey, SeriesStore};
use healthcore::snapshot::{Gap, GapCause, Missing, Objects};
use healthcore::time::{Timestamp, Window};
use tokio::sync::OnceCell;

use super::catalogue::{Catalogue, Facts, Family, Scheme, quoted};
use super::client::{Client, Log, QueryError};
use super::decode::{InstantSeries, Labels, Said, instant_series, range_series};
use super::deprecated;
use super::hosts;
use super::http::HttpTransport;
use super::ksm;
use super::settings::{Dialect, PrometheusSettings};
use super::transport::Transport;
use crate::{AllSeriesOf, Fetched, MetricsSource, Selection, SourceError, Usage};

/// Samples that a server gives for one series at most (`promql.maxSamples` aside, `web/api/v1/api.go`).
const MOST_POINTS: usize = 11_000;

/// How far back of the end, and how close, a metric is looked for that has no series at the end. Close by, an outage of the
/// scrapes is found soon after it began; a sample holds for as long (`--query.lookback-delta`). Unit: seconds.
const CLOSE: (u64, u64) = (7200, 300);
/// How often it is looked for in the whole window.
const LOOKS: u64 = 42;

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
    /// Header that names a tenant, when one is set.
    tenant: Option<String>,
    /// Whether requests carry credentials.
    has_credentials: bool,
    /// What it is, where it is reached directly and asked for all of its series.
    all: Option<AllSeriesOf>,
}

impl Prometheus {
    /// A server that is reached directly. Nothing is sent yet.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(settings: &PrometheusSettings) -> Result<Self, SourceError> {
        let transport = HttpTransport::new(settings)?;
        let all = AllSeriesOf::new(settings);
        Ok(Self { all, ..Self::through(Box::new(transport), settings)? })
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
            tenant: settings.headers.iter().map(|(name, _)| name).find(|n| is_tenant(n)).cloned(),
            has_credentials: settings.has_credentials(),
            all: None,
        })
    }

    /// What a reader is told to do about a server that takes no request.
    fn what_credentials(&self) -> String {
        let arms =
            if self.client.dialect == Dialect::Arms { " (for ARMS: AccessKey id and secret)" } else { "" };
        if self.has_credentials {
            format!("credentials were sent and are refused: check them{arms}")
        } else {
            format!(
                "none were sent: set PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD, or PROMETHEUS_TOKEN{arms}; of several \
                 servers in a configuration each names its own, such as `username-env` and `password-env`"
            )
        }
    }

    /// Tells every request to `log`, without credentials.
    #[must_use]
    pub fn log_to(mut self, log: Log) -> Self {
        self.client.log_to(log);
        self
    }

    /// The elements of the vector of an instant query, and what the answer says about itself.
    pub(super) async fn instant(
        &self,
        query: &str,
        time_s: i64,
    ) -> Result<(Vec<InstantSeries>, Said), QueryError> {
        let mut found = Vec::new();
        let said = self.instant_each(query, time_s, &mut |series| found.push(series)).await?;
        Ok((found, said))
    }

    /// Hands each element of the vector of an instant query to `each` as it is decoded; gives what the answer says about
    /// itself. When the query is sent again, elements come again.
    pub(super) async fn instant_each(
        &self,
        query: &str,
        time_s: i64,
        each: &mut (dyn FnMut(InstantSeries) + Send),
    ) -> Result<Said, QueryError> {
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
        Ok(envelope.said())
    }

    fn note_asked(&self, query: &str) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("1 instant query: {query}"));
    }

    pub(super) fn gap(&self, what: &str, cause: GapCause, said: impl Into<Value>) -> Gap {
        Gap::new(format!("prometheus/{what}"), cause, said)
    }

    pub(super) fn matchers(&self, own: Vec<String>) -> String {
        self.catalogue.matchers(own)
    }

    pub(super) fn fits(&self, query: &str) -> bool {
        self.client.fits(query)
    }

    /// What the server has, and what was met while it was asked for that, asked once.
    pub(super) async fn known(&self, window: &Window) -> &(Facts, Vec<Gap>) {
        self.facts.get_or_init(|| self.ask_facts(window)).await
    }

    /// What the server has, asked once: labels in use, scrape interval, metrics that exist.
    pub(super) async fn facts(&self, window: &Window) -> (&Facts, Vec<Gap>) {
        let (facts, gaps) = self.known(window).await;
        let gaps = if self.told.swap(true, Ordering::Relaxed) { Vec::new() } else { gaps.clone() };
        (facts, gaps)
    }

    /// Most servers are asked in two turns: what there is and how it is labelled, and then what has ended and how often is
    /// scraped.
    async fn ask_facts(&self, window: &Window) -> (Facts, Vec<Gap>) {
        let end_s = window.end().unix_seconds();
        let mut facts = Facts::default();
        let (present, (schemes, mut gaps)) =
            tokio::join!(self.find_present(end_s), self.find_schemes(&Family::ALL, end_s));
        facts.schemes = schemes;
        match present {
            Ok((present, whole, notes)) => {
                facts.present = present;
                facts.knows_presence = whole;
                gaps.extend(notes);
            }
            Err(gap) => gaps.push(gap),
        }
        let (interval, ()) = {
            let scheme = facts.scheme(Family::Cadvisor);
            tokio::join!(self.find_scrape_interval(end_s, scheme), self.find_ended(window, &mut facts))
        };
        let mut interval = interval;
        // Where scraping has stopped, labels are those that there were.
        let newest = |family: Family| facts.newest(family.witnesses().iter().copied(), end_s);
        let mut ended: BTreeMap<i64, Vec<Family>> = BTreeMap::new();
        for family in Family::ALL.into_iter().filter(|family| newest(*family) < end_s) {
            ended.entry(newest(family)).or_default().push(family);
        }
        let cadvisor_s = newest(Family::Cadvisor);
        for (time_s, families) in ended {
            let (schemes, notes) = self.find_schemes(&families, time_s).await;
            facts.schemes.extend(schemes);
            gaps.extend(notes);
        }
        if cadvisor_s < end_s {
            interval = self.find_scrape_interval(cadvisor_s, facts.scheme(Family::Cadvisor)).await;
        }
        facts.scrape_s = interval.unwrap_or_else(|gap| {
            gaps.push(gap);
            None
        });
        (facts, gaps)
    }

    /// Which labels the series of each family have; families without series are left out.
    async fn find_schemes(
        &self,
        families: &[Family],
        time_s: i64,
    ) -> (BTreeMap<Family, Vec<Scheme>>, Vec<Gap>) {
        let (mut schemes, mut gaps) = (BTreeMap::new(), Vec::new());
        let mark = |family: Family, scheme: Scheme| format!("{}/{}", family.witness(), scheme.name());
        let mut branches = Vec::new();
        for &family in families {
            for scheme in Scheme::ALL {
                let [_, pod, container] = scheme.labels();
                let labels =
                    vec![format!("{container}!=\"\""), format!("{pod}!=\"\""), scheme.alone().to_owned()];
                let selector = family.selector(&self.catalogue.matchers(labels));
                branches.push(marked(&format!("count({selector})"), &mark(family, scheme)));
            }
        }
        let found = match self.instant(&branches.join(" or "), time_s).await {
            Ok((found, said)) => {
                gaps.extend(
                    said.notes.into_iter().map(|(cause, words)| self.gap("labels in use", cause, words)),
                );
                found
            }
            Err(e) => return (schemes, vec![self.gap("labels in use", e.cause, e.detail)]),
        };
        for &family in families {
            let count = |scheme: Scheme| {
                let marked = found.iter().find(|s| s.metric.get("mark") == Some(&mark(family, scheme)));
                marked.map_or(0.0, |s| s.value)
            };
            let used = in_use(Scheme::ALL.map(|scheme| (scheme, count(scheme))));
            if let [(first, most), (second, fewer), ..] = used[..] {
                let said = phrase("gap-two-labellings")
                    .with("most", Value::Number(most))
                    .with("metric", family.witness())
                    .with("first", first.labels().join(", "))
                    .with("fewer", Value::Number(fewer))
                    .with("second", second.labels().join(", "));
                gaps.push(self.gap("labels in use", GapCause::Info, said));
            }
            if !used.is_empty() {
                schemes.insert(family, used.into_iter().map(|(scheme, _)| scheme).collect());
            }
        }
        (schemes, gaps)
    }

    /// Seconds between two scrapes of cAdvisor.
    async fn find_scrape_interval(&self, time_s: i64, scheme: Scheme) -> Result<Option<u64>, Gap> {
        let [_, _, container] = scheme.labels();
        let labels = vec![format!("{container}!=\"\""), format!("{container}!=\"POD\"")];
        let cadvisor = self.catalogue.matchers(labels);
        let counted =
            format!("quantile(0.5, count_over_time({}{{{cadvisor}}}[10m]))", Family::Cadvisor.witness());
        let told = |e: QueryError| self.gap("scrape interval", e.cause, e.detail);
        let (found, _) = self.instant(&counted, time_s).await.map_err(told)?;
        let count = found.first().map_or(0.0, |s| s.value);
        Ok((count >= 1.0).then(|| (600.0 / count).round() as u64))
    }

    /// Names of the metrics that queries of the catalogue read.
    fn catalogue_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Metric::ALL.iter().flat_map(|m| self.catalogue.names(*m)).collect();
        names.push(ksm::WITNESS.to_owned());
        names.sort();
        names.dedup();
        names
    }

    /// Which metrics have series, whether that is the whole answer, and what the answer says of itself.
    async fn find_present(&self, time_s: i64) -> Result<(BTreeSet<String>, bool, Vec<Gap>), Gap> {
        let mut names = self.catalogue_names();
        names.extend(hosts::COUNTERS.iter().map(|counter| counter.metric.to_owned()));
        names.push(deprecated::GAUGE.to_owned());
        let all = self.catalogue.matchers(vec![named(&names)]);
        let asked = self.instant(&format!("count by (__name__) ({{{all}}})"), time_s).await;
        let (found, said) = asked.map_err(|e| self.gap("metrics that exist", e.cause, e.detail))?;
        let notes = said.notes.into_iter();
        let notes = notes.map(|(cause, words)| self.gap("metrics that exist", cause, words)).collect();
        let present = found.iter().filter_map(|s| s.metric.get("__name__").cloned()).collect();
        Ok((present, !said.partial, notes))
    }

    /// Of the metrics that have no series at the end of the window, those that have ended within it or are excluded by the
    /// matchers.
    async fn find_ended(&self, window: &Window, facts: &mut Facts) {
        let time_s = window.end().unix_seconds();
        let mut names = self.catalogue_names();
        names.retain(|name| !facts.present.contains(name));
        if names.is_empty() || !facts.knows_presence {
            return;
        }
        // Neither `or` nor `timestamp` tells elements apart by their names.
        let counted = |matchers: &str| {
            let count = format!("count by (__name__) ({{{matchers}}})");
            format!("label_replace({count}, \"metric\", \"$1\", \"__name__\", \"(.+)\")")
        };
        let absent = counted(&self.catalogue.matchers(vec![named(&names)]));
        // Looks from afar first, so that the later time of those close by counts.
        let (close, apart) = CLOSE;
        let lookback = window.seconds() as u64;
        let far = (lookback, (lookback / LOOKS).max(apart));
        let mut branches: Vec<String> = [("ended-long", far), ("ended", (close.min(lookback), apart))]
            .map(|(mark, (back, apart))| {
                marked(&format!("max_over_time(timestamp({absent})[{back}s:{apart}s])"), mark)
            })
            .to_vec();
        if !self.catalogue.own_matchers().is_empty() {
            branches.push(marked(&counted(&named(&names)), "excluded"));
        }
        // Only words depend on it, and which metrics are asked for in vain: an error is no gap.
        let Ok((found, _)) = self.instant(&branches.join(" or "), time_s).await else { return };
        let mut seen: BTreeMap<String, i64> = BTreeMap::new();
        for series in found {
            let label = |name| series.metric.get(name).map(String::as_str);
            let Some(metric) = label("metric").map(str::to_owned) else { continue };
            match label("mark") {
                Some("ended" | "ended-long") => {
                    let at = seen.entry(metric).or_insert(i64::MIN);
                    *at = (*at).max(series.value as i64);
                }
                Some("excluded") => drop(facts.excluded.insert(metric)),
                _ => {}
            }
        }
        for (name, seen_s) in seen {
            let last_s = self.newest_sample(&name, seen_s, far.1, time_s).await;
            facts.ended.insert(name.clone(), last_s.unwrap_or(seen_s));
            facts.present.insert(name);
        }
    }

    /// When the newest sample of a metric was taken that had one at `seen_s`, and none any more when it was looked for again
    /// `apart` seconds later.
    async fn newest_sample(&self, name: &str, seen_s: i64, apart: u64, end_s: i64) -> Option<i64> {
        let own = self.catalogue.matchers(Vec::new());
        let until = (seen_s + apart as i64).min(end_s);
        let query = format!(
            "max(max_over_time(timestamp({name}{{{own}}})[{}s:{}s]))",
            until - seen_s + CLOSE.1 as i64,
            CLOSE.1
        );
        let (found, _) = self.instant(&query, until).await.ok()?;
        found.first().map(|series| series.value.ceil() as i64).filter(|at| *at <= end_s)
    }

    /// Says that metrics had series in the window and have none at its end.
    pub(super) fn ending(facts: &Facts, names: &[String], end_s: i64) -> Text {
        let newest = facts.newest(names.iter().map(String::as_str), end_s);
        phrase("gap-ended")
            .with("metrics", any_of(names))
            .with("time", Value::Time(Timestamp::from_unix_seconds(newest)))
    }

    /// Says that metrics have no series, and what about them is known.
    pub(super) fn absence(&self, facts: &Facts, names: &[String]) -> Text {
        let told = if names.iter().any(|n| facts.excluded.contains(n)) {
            phrase("gap-excluded").with("matchers", self.catalogue.own_matchers().join(", "))
        } else {
            match &self.tenant {
                Some(header) => phrase("gap-absent-for-tenant").with("header", header.as_str()),
                None => phrase("gap-absent"),
            }
        };
        told.with("metrics", any_of(names))
    }

    /// Start and end of the range queries that cover the window from one of its instants on.
    fn spans(window: &Window, first: usize) -> Vec<(i64, i64)> {
        (first..window.points())
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
        needs: &Needs,
        partition: &Partition,
        window: &Window,
        facts: &Facts,
    ) -> OneMetric {
        let is_required = needs.metrics.get(&metric) == Some(&Importance::Required);
        let step = u64::from(window.step_s());
        let mut out = OneMetric { metric, store: SeriesStore::default(), gaps: Vec::new() };
        if !self.catalogue.has(metric) {
            out.store.missing(metric, Missing::NotAsked { metric });
            return out;
        }
        out.store.fetched(metric);
        let names = self.catalogue.names(metric);
        if facts.knows_presence && !names.iter().any(|n| facts.present.contains(n)) {
            let excluded = names.iter().any(|n| facts.excluded.contains(n));
            out.store.missing(
                metric,
                if excluded { Missing::MatchersExclude { metric } } else { Missing::MetricAbsent { metric } },
            );
            if is_required {
                let detail = self.absence(facts, &names);
                out.gaps.push(self.gap(metric.name(), GapCause::MetricAbsent, detail));
            }
            return out;
        }
        let has_now = |n: &String| facts.present.contains(n) && !facts.ended.contains_key(n);
        if facts.knows_presence && is_required && !names.iter().any(has_now) {
            let there: Vec<String> = names.iter().filter(|n| facts.present.contains(*n)).cloned().collect();
            let said = Self::ending(facts, &there, window.end().unix_seconds());
            out.gaps.push(self.gap(metric.name(), GapCause::MetricAbsent, said));
        }
        let lookback = window.seconds() as u64;
        let fits = |query: &str| self.client.fits(query);
        let queries = self.catalogue.queries(metric, &partition.selector, facts, step, lookback, &fits);
        let spans = Self::spans(window, needs.first_read(metric, window));
        let mut asked = Vec::new();
        for query in &queries {
            asked.extend(spans.iter().map(|span| (query, *span)));
        }
        for (query, (start, end)) in asked {
            let params = vec![
                ("query", query.clone()),
                ("start", start.to_string()),
                ("end", end.to_string()),
                ("step", step.to_string()),
            ];
            let (mut received, mut future, mut odd, mut histograms) = (0, 0u64, 0u64, 0u64);
            let (mut series_in_all, mut nameless) = (0u64, 0u64);
            let store = &mut out.store;
            let answer = self
                .client
                .query("/api/v1/query_range", params, &mut |element| {
                    let series = range_series(element, window)?;
                    received += series.received;
                    future += series.future;
                    odd += series.odd;
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
                    let said = envelope.said();
                    said.notes.into_iter().for_each(|(cause, words)| note(cause, words));
                    if said.partial {
                        out.store.missing(metric, Missing::PartialAnswer { metric });
                    }
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
                let said = phrase("gap-future").with("n", future);
                out.gaps.push(self.gap(metric.name(), GapCause::ClockSkew, said));
            }
            // A few are usual: a share of nothing is not a number.
            if odd > 0 && odd * 100 >= received {
                let said = phrase("gap-odd").with("n", odd).with("all", received);
                out.gaps.push(self.gap(metric.name(), GapCause::Warning, said));
            }
            if histograms > 0 {
                let said = phrase("gap-histograms").with("n", histograms);
                out.gaps.push(self.gap(metric.name(), GapCause::Partial, said));
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
        SeriesOf::VolumeClaim => &["namespace", "persistentvolumeclaim"],
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
    if metric.of() == SeriesOf::VolumeClaim {
        return Some(SeriesKey::volume_claim(namespace, label(["persistentvolumeclaim", "", ""])?));
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

    fn all_series_of(&self) -> Option<&AllSeriesOf> {
        self.all.as_ref()
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
            (GapCause::Unauthorized, _) => {
                SourceError::Unauthorized { what, why: format!("{}; {}", e.detail, self.what_credentials()) }
            }
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
        self.known(window).await;
    }

    async fn objects(
        &self,
        selection: &Selection,
        kinds: &BTreeSet<ObjectKind>,
        window: &Window,
    ) -> Fetched<Objects> {
        let (facts, mut gaps) = self.facts(window).await;
        let mut fetched = ksm::objects(self, facts, selection, kinds, window).await;
        fetched.gaps.append(&mut gaps);
        fetched
    }

    async fn series(&self, needs: &Needs, partition: &Partition, window: &Window) -> Fetched<SeriesStore> {
        let (facts, mut gaps) = self.facts(window).await;
        let mut store = SeriesStore::default();
        // The client bounds how many are under way at once.
        let metrics: Vec<Metric> = needs.metrics.keys().copied().collect();
        let mut answers = stream::iter(metrics)
            .map(|metric| self.metric(metric, needs, partition, window, facts))
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

    async fn host_requests(&self, window: &Window) -> Fetched<Option<Vec<HostRequests>>> {
        self.count_by_host(window).await
    }

    async fn requested_apis(&self, window: &Window) -> Fetched<Vec<RequestedApi>> {
        self.count_requested_apis(window).await
    }

    fn plan(&self, needs: &Needs, partition: &Partition, window: &Window) -> Vec<String> {
        let facts = self.facts.get().map(|(facts, _)| facts.clone()).unwrap_or_default();
        let step = u64::from(window.step_s());
        let lookback = window.seconds() as u64;
        let fits = |query: &str| self.client.fits(query);
        let line = |metric: Metric, query: String| {
            let ranges = Self::spans(window, needs.first_read(metric, window)).len();
            format!("{metric}: {ranges} range {}: {query}", if ranges == 1 { "query" } else { "queries" })
        };
        let of = |metric: &Metric| {
            let queries = self.catalogue.queries(*metric, &partition.selector, &facts, step, lookback, &fits);
            queries.into_iter().map(|query| line(*metric, query)).collect::<Vec<_>>()
        };
        needs.metrics.keys().filter(|m| self.catalogue.has(**m)).flat_map(of).collect()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn usage(&self) -> Usage {
        self.client.usage()
    }
}

/// The matcher of the names of metrics.
fn named(names: &[String]) -> String {
    format!("__name__=~\"{}\"", quoted(&names.join("|")))
}

/// The expression with a label `mark`, so that `or` keeps it apart from others.
fn marked(expression: &str, mark: &str) -> String {
    format!("label_replace({expression}, \"mark\", \"{mark}\", \"\", \"\")")
}

/// Labels that at least one in a hundred series has, the most frequent first. Fewer are strays, not worth a query each.
fn in_use(counts: [(Scheme, f64); 3]) -> Vec<(Scheme, f64)> {
    let most = counts.iter().map(|(_, n)| *n).fold(0.0, f64::max);
    let mut used: Vec<_> = counts.into_iter().filter(|(_, n)| *n > 0.0 && n * 100.0 >= most).collect();
    used.sort_by(|a, b| b.1.total_cmp(&a.1));
    used
}

/// Whether a header names the tenant of Mimir, Loki's relatives or Thanos.
fn is_tenant(header: &str) -> bool {
    ["x-scope-orgid", "thanos-tenant"].iter().any(|known| header.eq_ignore_ascii_case(known))
}

/// The matcher of namespaces, names or globs, on a label; empty for all.
pub(super) fn selection_matcher(namespaces: &[String], label: &str) -> String {
    if namespaces.is_empty() {
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
    let patterns: Vec<String> = namespaces.iter().map(pattern).collect();
    format!("{label}=~\"{}\"", quoted(&patterns.join("|")))
}

/// Names of metrics of which one is enough.
fn any_of(names: &[String]) -> Value {
    let either =
        |first: Value, second: Value| phrase("either").with("first", first).with("second", second).into();
    names.iter().map(|name| name.as_str().into()).reduce(either).unwrap_or_else(|| "".into())
}
