//! The queries, as data: one template a metric, with variables, validated as PromQL before anything is sent.

use std::collections::BTreeMap;

use healthcore::metric::{Metric, SeriesOf};
use healthcore::need::{Selector, literal};

use super::own::OwnQuery;
use crate::SourceError;

/// How far before a step the last sample of a counter may lie. A longer outage of the metrics loses what happened in it;
/// the status still tells of the last restart.
pub(super) const BASE_S: u64 = 3600;

/// The template of a metric. `{by}` stands for the labels that name a container, `{own}` for the matchers of the
/// partition; both depend on the labels that the server has. `{rate}` is the rate window.
pub(super) const fn template(metric: Metric) -> &'static str {
    match metric {
        Metric::MemoryWorkingSet => "max by ({by}) (container_memory_working_set_bytes{{own}})",
        Metric::MemoryRss => "max by ({by}) (container_memory_rss{{own}})",
        // One series a CPU on old kubelets: their sum; several cgroups or replicas of Prometheus: the largest.
        Metric::CpuUsage => {
            "max by ({by}) (sum without (cpu) (rate(container_cpu_usage_seconds_total{{own}}[{rate}])))"
        }
        // Counters are read up to their last sample within the step, or what happened just before a container ended would be
        // lost with it. Only containers with a CPU limit have these. As with kills, every run of a container has its own.
        Metric::CpuPeriods => {
            "max by ({by}) (last_over_time(container_cpu_cfs_periods_total{{own}}[{step}]) - last_over_time(container_cpu_cfs_periods_total{{own}}[{base}] offset {step})) >= 0"
        }
        Metric::CpuThrottledPeriods => {
            "max by ({by}) (last_over_time(container_cpu_cfs_throttled_periods_total{{own}}[{step}]) - last_over_time(container_cpu_cfs_throttled_periods_total{{own}}[{base}] offset {step})) > 0"
        }
        Metric::CpuThrottledTime => {
            "max by ({by}) (last_over_time(container_cpu_cfs_throttled_seconds_total{{own}}[{step}]) - last_over_time(container_cpu_cfs_throttled_seconds_total{{own}}[{base}] offset {step})) > 0"
        }
        // A counter that is scraped again after an outage is compared with what it was before: {base} is how far back that
        // may be. The labels of kube-state-metrics change when it is started anew, so the largest counts before the difference.
        // Native sidecars are counted with the init containers.
        Metric::Restarts => {
            "(max by ({by}) (last_over_time({__name__=~\"kube_pod_(init_)?container_status_restarts_total\",{own}}[{step}])) - max by ({by}) (last_over_time({__name__=~\"kube_pod_(init_)?container_status_restarts_total\",{own}}[{base}] offset {step}))) > 0"
        }
        // Every run of a container has a counter of its own, which must not be taken for that of the run before.
        Metric::OomEvents => {
            "max by ({by}) (last_over_time(container_oom_events_total{{own}}[{step}]) - last_over_time(container_oom_events_total{{own}}[{base}] offset {step})) > 0"
        }
        // Exporters name the same in three ways: Micrometer one series a pool (`id`); the Java client and the JMX exporter one an
        // area, or a pool (`pool`), and before 1.0 `..._bytes_used`; the agent of OpenTelemetry one a pool, with labels of its own.
        // One container may have several exporters, so each way counts only where those before it tell nothing. A target that
        // is scraped twice tells each series twice.
        Metric::JvmHeapUsed => {
            "sum by ({by}) (max by ({by}, id) (jvm_memory_used_bytes{area=\"heap\",id!=\"\",{own}})) or sum by ({by}) (max by ({by}, pool) ({__name__=~\"jvm_memory_(used_bytes|bytes_used)\",area=\"heap\",id=\"\",{own}})) or sum by ({by}) (max by ({by}, jvm_memory_pool_name) (jvm_memory_used_bytes{jvm_memory_type=\"heap\",{own}}))"
        }
        // A pool without a bound says -1. The pools of the serial and parallel collectors share the heap, of G1 only the old
        // generation has a bound, which is the heap's; those of ZGC and Shenandoah each say the whole. The JMX exporter tells
        // the heap without pools.
        Metric::JvmHeapMax => {
            "sum by ({by}) (max by ({by}, id) ({__name__=~\"jvm_memory_(max_bytes|bytes_max)\",area=\"heap\",id!~\"|Z.*|Shenandoah.*\",{own}} > 0)) or sum by ({by}) (max by ({by}, pool) ({__name__=~\"jvm_memory_(max_bytes|bytes_max)\",area=\"heap\",pool!~\"|Z.*|Shenandoah.*\",{own}} > 0)) or max by ({by}) ({__name__=~\"jvm_memory_(max_bytes|bytes_max)\",area=\"heap\",{own}} > 0) or sum by ({by}) (max by ({by}, jvm_memory_pool_name) (jvm_memory_limit_bytes{jvm_memory_type=\"heap\",jvm_memory_pool_name!~\"Z.*|Shenandoah.*\",{own}} > 0)) or max by ({by}) (jvm_memory_limit_bytes{jvm_memory_type=\"heap\",{own}} > 0)"
        }
        // What is not heap, and buffers. Mapped files are no memory of the process, and HotSpot counts the class space with
        // the metaspace too.
        Metric::JvmBesideHeap => {
            "sum by ({by}) (max by ({by}, id) ({__name__=~\"jvm_memory_used_bytes|jvm_buffer_memory_used_bytes\",area!=\"heap\",id!~\"|mapped.*|Compressed Class Space\",{own}})) or sum by ({by}) (max by ({by}, pool) ({__name__=~\"jvm_memory_(used_bytes|bytes_used)|jvm_buffer_pool_used_bytes\",area!=\"heap\",id=\"\",jvm_memory_type=\"\",pool!~\"mapped.*|Compressed Class Space\",{own}})) or sum by ({by}) (max by ({by}, jvm_memory_pool_name, jvm_buffer_pool_name) ({__name__=~\"jvm_memory_used_bytes|jvm_buffer_memory_used_bytes\",area=\"\",id=\"\",jvm_memory_type!=\"heap\",jvm_memory_pool_name!=\"Compressed Class Space\",jvm_buffer_pool_name!~\"mapped.*\",{own}}))"
        }
        Metric::JvmThreads => {
            "max by ({by}) ({__name__=~\"jvm_threads_(live_threads|current)\",{own}}) or sum by ({by}) (max by ({by}, jvm_thread_daemon, jvm_thread_state) (jvm_thread_count{{own}}))"
        }
        Metric::HpaReplicas => {
            "max by ({by}) ({__name__=~\"kube_(horizontalpodautoscaler|hpa)_status_current_replicas\",{own}})"
        }
        // Of a volume that several nodes mount, each kubelet tells.
        Metric::VolumeFree => "min by ({by}) (kubelet_volume_stats_available_bytes{{own}})",
        Metric::VolumeSize => "max by ({by}) (kubelet_volume_stats_capacity_bytes{{own}})",
        Metric::VolumeInodesFree => "min by ({by}) (kubelet_volume_stats_inodes_free{{own}})",
        Metric::VolumeInodes => "max by ({by}) (kubelet_volume_stats_inodes{{own}})",
        // Only as the user configures it; and metrics that this version of the crate does not know, a test keeps the table
        // whole.
        _ => "",
    }
}

/// Which exporter a metric comes from; each may have been scraped with its own labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    /// cAdvisor in the kubelet.
    Cadvisor,
    /// kube-state-metrics.
    Ksm,
    /// The application itself.
    App,
}

impl Family {
    pub(super) const ALL: [Self; 3] = [Self::Cadvisor, Self::Ksm, Self::App];

    pub(super) const fn of(metric: Metric) -> Self {
        match metric {
            Metric::Restarts | Metric::HpaReplicas => Self::Ksm,
            Metric::JvmHeapUsed
            | Metric::JvmHeapMax
            | Metric::JvmBesideHeap
            | Metric::JvmThreads
            | Metric::RequestRate => Self::App,
            _ => Self::Cadvisor,
        }
    }

    /// A metric that tells which labels are in use.
    pub(super) const fn witness(self) -> &'static str {
        self.witnesses()[0]
    }

    /// The same under each of its names.
    pub(super) const fn witnesses(self) -> &'static [&'static str] {
        match self {
            Self::Cadvisor => &["container_memory_working_set_bytes"],
            Self::Ksm => &["kube_pod_container_status_restarts_total"],
            Self::App => &["jvm_memory_used_bytes", "jvm_memory_bytes_used"],
        }
    }

    /// What selects the metric that tells which labels are in use, under each of its names.
    pub(super) fn selector(self, matchers: &str) -> String {
        match self.witnesses() {
            [name] => format!("{name}{{{matchers}}}"),
            names => format!("{{__name__=~\"{}\",{matchers}}}", names.join("|")),
        }
    }
}

/// Names of the labels that identify a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scheme {
    /// `namespace`, `pod`, `container`.
    #[default]
    Plain,
    /// `exported_namespace`, ...: the exporter's labels gave way to those of the scrape target.
    Exported,
    /// `namespace`, `pod_name`, `container_name`: kubelets before Kubernetes 1.16.
    Old,
}

impl Scheme {
    pub(super) const ALL: [Self; 3] = [Self::Exported, Self::Plain, Self::Old];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Exported => "exported",
            Self::Old => "old",
        }
    }

    /// The matcher that leaves out series whose labels are rather those of another scheme: `pod` beside `exported_pod` is
    /// that of the exporter, and kubelets of Kubernetes 1.14 wrote `pod` beside `pod_name`.
    pub(super) const fn alone(self) -> &'static str {
        match self {
            Self::Plain => "exported_container=\"\"",
            Self::Exported => "",
            Self::Old => "container=\"\"",
        }
    }

    /// Labels for namespace, pod and container.
    pub(super) const fn labels(self) -> [&'static str; 3] {
        match self {
            Self::Plain => ["namespace", "pod", "container"],
            Self::Exported => ["exported_namespace", "exported_pod", "exported_container"],
            Self::Old => ["namespace", "pod_name", "container_name"],
        }
    }
}

/// What was found out about a server once a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// Labels in use, the most frequent first. More than one where exporters are scraped in different ways.
    pub(super) schemes: BTreeMap<Family, Vec<Scheme>>,
    /// Seconds between two scrapes of cAdvisor.
    pub(super) scrape_s: Option<u64>,
    /// Names of metrics that exist.
    pub(super) present: std::collections::BTreeSet<String>,
    /// Whether `present` could be asked at all.
    pub(super) knows_presence: bool,
    /// Of those in `present`, the ones that have no series at the end of the window any more, with the time of their newest
    /// sample. Unit: seconds since 1970.
    pub(super) ended: BTreeMap<String, i64>,
    /// Of those that are not in `present`, the ones that have series which the configured matchers exclude.
    pub(super) excluded: std::collections::BTreeSet<String>,
}

impl Facts {
    /// Whether a metric surely has no series at the end of the window.
    pub(super) fn lacks(&self, name: &str) -> bool {
        self.knows_presence && !self.present.contains(name)
    }

    /// The labels that most series of the family have.
    pub(super) fn scheme(&self, family: Family) -> Scheme {
        self.schemes(family)[0]
    }

    /// All labels in use in the family, at least one.
    pub(super) fn schemes(&self, family: Family) -> &[Scheme] {
        match self.schemes.get(&family) {
            Some(schemes) if !schemes.is_empty() => schemes,
            _ => &[Scheme::Plain],
        }
    }

    /// When to ask for what metrics have now: the end of the window, or their newest sample where all that exist have ended.
    /// Unit: seconds since 1970.
    pub(super) fn newest<'n>(&self, names: impl Iterator<Item = &'n str>, end_s: i64) -> i64 {
        let there = names.filter(|name| self.present.contains(*name));
        there.map(|name| self.ended.get(name).copied().unwrap_or(end_s)).max().unwrap_or(end_s)
    }

    /// At least four scrapes, at least one step, whole minutes.
    pub(super) fn rate_window_s(&self, step_s: u64) -> u64 {
        (4 * self.scrape_s.unwrap_or(30)).max(step_s).div_ceil(60) * 60
    }
}

/// Fills in templates: the catalogue's own, or the user's.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalogue {
    overrides: BTreeMap<Metric, OwnQuery>,
    matchers: Vec<String>,
}

impl Catalogue {
    /// Takes the user's templates and matchers after checking them.
    pub(super) fn new(
        overrides: &BTreeMap<String, String>,
        matchers: &[String],
    ) -> Result<Self, SourceError> {
        let mut catalogue = Self::default();
        for matcher in matchers {
            let refuse =
                |why: String| SourceError::Setting { what: format!("prometheus matcher `{matcher}`"), why };
            promql_parser::parser::parse(&format!("up{{{matcher}}}"))
                .map_err(|e| refuse(format!("expected a label matcher such as `cluster=\"prod\"`: {e}")))?;
            catalogue.matchers.push(matcher.clone());
        }
        for (name, template) in overrides {
            let refuse = |why: String| SourceError::Setting { what: format!("query `{name}`"), why };
            let metric = Metric::ALL.iter().copied().find(|m| m.name() == name).ok_or_else(|| {
                let known: Vec<&str> = Metric::ALL.iter().map(|m| m.name()).collect();
                refuse(format!("no metric has this name; known metrics: {}", known.join(", ")))
            })?;
            catalogue.overrides.insert(metric, OwnQuery::new(metric, template).map_err(refuse)?);
        }
        Ok(catalogue)
    }

    /// The queries for a metric and a part of the cluster: one for each kind of labels, and so many more that each one
    /// `fits`. One that names a single namespace or pattern is as short as can be.
    pub(super) fn queries(
        &self,
        metric: Metric,
        selector: &Selector,
        facts: &Facts,
        step_s: u64,
        lookback_s: u64,
        fits: &dyn Fn(&str) -> bool,
    ) -> Vec<String> {
        let own = self.overrides.contains_key(&metric);
        let schemes = if own { &[Scheme::Plain][..] } else { facts.schemes(Family::of(metric)) };
        let query = |scheme, part: &Selector| self.query(metric, part, facts, scheme, step_s, lookback_s);
        let mut out = Vec::new();
        for scheme in schemes {
            let mut parts = vec![selector.clone()];
            while let Some(part) = parts.pop() {
                let text = query(*scheme, &part);
                match halves(&part) {
                    Some([first, second]) if !fits(&text) => parts.extend([second, first]),
                    _ => out.push(text),
                }
            }
        }
        out
    }

    fn query(
        &self,
        metric: Metric,
        selector: &Selector,
        facts: &Facts,
        scheme: Scheme,
        step_s: u64,
        lookback_s: u64,
    ) -> String {
        if let Some(own) = self.overrides.get(&metric) {
            return own.fill(selector, step_s, lookback_s, facts.rate_window_s(step_s));
        }
        let mixed = facts.schemes(Family::of(metric)).len() > 1;
        let alone = if mixed { scheme.alone().to_owned() } else { String::new() };
        let by_name = match metric.of() {
            SeriesOf::Autoscaler => Some("horizontalpodautoscaler, hpa"),
            SeriesOf::VolumeClaim => Some("persistentvolumeclaim"),
            _ => None,
        };
        let (by, own) = if let Some(name) = by_name {
            let namespace = scheme.labels()[0];
            (
                format!("{namespace}, {name}"),
                self.matchers(vec![namespaces(selector, namespace), alone.replace("container", "namespace")]),
            )
        } else {
            let [namespace, pod, container] = scheme.labels();
            let mut matchers = vec![
                format!("{container}!=\"\""),
                format!("{container}!=\"POD\""),
                namespaces(selector, namespace),
            ];
            if let Selector::Pods { patterns, .. } = selector {
                matchers.push(format!("{pod}=~\"{}\"", quoted(&patterns.join("|"))));
            } else {
                matchers.push(format!("{pod}!=\"\""));
            }
            matchers.push(alone);
            (format!("{namespace}, {pod}, {container}"), self.matchers(matchers))
        };
        template(metric)
            .replace("{{own}}", &format!("{{{own}}}"))
            .replace("{own}", &own)
            .replace("{by}", &by)
            .replace("{base}", &format!("{BASE_S}s"))
            .replace("{rate}", &format!("{}s", facts.rate_window_s(step_s)))
            .replace("{step}", &format!("{step_s}s"))
    }

    /// The user's own matchers behind those given, none of them empty.
    pub(super) fn matchers(&self, own: Vec<String>) -> String {
        own.into_iter()
            .chain(self.matchers.iter().cloned())
            .filter(|m| !m.is_empty())
            .collect::<Vec<_>>()
            .join(",")
    }

    /// Whether there is a query for the metric at all: one that only the user can write may be missing.
    pub(super) fn has(&self, metric: Metric) -> bool {
        self.overrides.contains_key(&metric) || !template(metric).is_empty()
    }

    /// Names of the metrics that a query reads.
    pub(super) fn names(&self, metric: Metric) -> Vec<String> {
        match (metric, self.overrides.get(&metric)) {
            (_, Some(own)) => metric_names(&own.sample()),
            (Metric::Restarts, None) => {
                ["kube_pod_container_status_restarts_total", "kube_pod_init_container_status_restarts_total"]
                    .map(Into::into)
                    .to_vec()
            }
            (Metric::HpaReplicas, None) => {
                ["kube_horizontalpodautoscaler_status_current_replicas", "kube_hpa_status_current_replicas"]
                    .map(Into::into)
                    .to_vec()
            }
            (Metric::JvmHeapUsed, None) => {
                ["jvm_memory_used_bytes", "jvm_memory_bytes_used"].map(Into::into).to_vec()
            }
            (Metric::JvmHeapMax, None) => {
                ["jvm_memory_max_bytes", "jvm_memory_bytes_max", "jvm_memory_limit_bytes"]
                    .map(Into::into)
                    .to_vec()
            }
            (Metric::JvmBesideHeap, None) => [
                "jvm_memory_used_bytes",
                "jvm_memory_bytes_used",
                "jvm_buffer_memory_used_bytes",
                "jvm_buffer_pool_used_bytes",
            ]
            .map(Into::into)
            .to_vec(),
            (Metric::JvmThreads, None) => {
                ["jvm_threads_live_threads", "jvm_threads_current", "jvm_thread_count"]
                    .map(Into::into)
                    .to_vec()
            }
            (_, None) if !self.has(metric) => Vec::new(),
            (_, None) => metric_names(&self.query(
                metric,
                &Selector::Namespaces(vec!["a".into()]),
                &Facts::default(),
                Scheme::Plain,
                300,
                600,
            )),
        }
    }

    /// The user's own matchers as they are written, for messages.
    pub(super) fn own_matchers(&self) -> &[String] {
        &self.matchers
    }
}

/// A selector in two; none when it names one thing only, or all.
fn halves(selector: &Selector) -> Option<[Selector; 2]> {
    let split = |names: &[String]| {
        let (first, second) = names.split_at(names.len() / 2);
        (!first.is_empty()).then(|| [first.to_vec(), second.to_vec()])
    };
    match selector {
        Selector::Namespaces(names) => Some(split(names)?.map(Selector::Namespaces)),
        Selector::Pods { namespace, patterns } => {
            Some(split(patterns)?.map(|patterns| Selector::Pods { namespace: namespace.clone(), patterns }))
        }
    }
}

/// The matcher of the namespaces; empty for all.
fn namespaces(selector: &Selector, label: &str) -> String {
    match selector {
        Selector::Namespaces(names) if names.is_empty() => String::new(),
        Selector::Namespaces(names) => {
            let names: Vec<String> = names.iter().map(|n| literal(n)).collect();
            format!("{label}=~\"{}\"", quoted(&names.join("|")))
        }
        Selector::Pods { namespace, .. } => format!("{label}=\"{}\"", quoted(namespace)),
    }
}

/// The text within a PromQL string in double quotes.
pub(super) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn metric_names(query: &str) -> Vec<String> {
    use promql_parser::parser::{Expr, VectorSelector};
    fn selector(v: &VectorSelector, out: &mut Vec<String>) {
        if let Some(name) = &v.name {
            out.push(name.clone());
        }
    }
    fn walk(expr: &Expr, out: &mut Vec<String>) {
        match expr {
            Expr::VectorSelector(v) => selector(v, out),
            Expr::MatrixSelector(m) => selector(&m.vs, out),
            Expr::Aggregate(a) => walk(&a.expr, out),
            Expr::Unary(u) => walk(&u.expr, out),
            Expr::Binary(b) => {
                walk(&b.lhs, out);
                walk(&b.rhs, out);
            }
            Expr::Paren(p) => walk(&p.expr, out),
            Expr::Subquery(s) => walk(&s.expr, out),
            Expr::Call(c) => c.args.args.iter().for_each(|a| walk(a, out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    if let Ok(expr) = promql_parser::parser::parse(query) {
        walk(&expr, &mut out);
    }
    out.sort();
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Selector {
        Selector::Pods {
            namespace: "web".into(),
            patterns: vec!["api-[a-z0-9]+-[a-z0-9]{5}".into(), r"db\.x-[0-9]+".into()],
        }
    }

    #[test]
    fn every_metric_has_a_valid_query_for_every_kind_of_labels() {
        for scheme in Scheme::ALL {
            let facts = Facts { schemes: Family::ALL.map(|f| (f, vec![scheme])).into(), ..Facts::default() };
            // Only the user can name the metric of requests.
            for metric in Metric::ALL.iter().filter(|m| **m != Metric::RequestRate) {
                for selector in [
                    part(),
                    Selector::Namespaces(vec!["a".into(), "b.c".into()]),
                    Selector::Namespaces(vec![]),
                ] {
                    let catalogue = Catalogue::new(&BTreeMap::new(), &["cluster=\"prod\"".into()]).unwrap();
                    let query = catalogue.query(*metric, &selector, &facts, scheme, 300, 604_800);
                    promql_parser::parser::parse(&query).unwrap_or_else(|e| panic!("{query}: {e}"));
                    assert!(query.contains("cluster=\"prod\"") && !query.contains("{by}"), "{query}");
                    assert!(catalogue.has(*metric) && !catalogue.names(*metric).is_empty(), "{metric}");
                }
            }
        }
    }

    /// A list of names that is not what the query reads would ask for nothing where only the others are there.
    #[test]
    fn metrics_of_a_jvm_have_several_names() {
        use promql_parser::parser::{Expr, VectorSelector, parse};
        fn selectors(expr: &Expr, out: &mut Vec<VectorSelector>) {
            match expr {
                Expr::VectorSelector(selector) => out.push(selector.clone()),
                Expr::Aggregate(inner) => selectors(&inner.expr, out),
                Expr::Paren(inner) => selectors(&inner.expr, out),
                Expr::Binary(both) => {
                    selectors(&both.lhs, out);
                    selectors(&both.rhs, out);
                }
                _ => {}
            }
        }
        let catalogue = Catalogue::default();
        for metric in [Metric::JvmHeapUsed, Metric::JvmHeapMax, Metric::JvmBesideHeap, Metric::JvmThreads] {
            let query = catalogue.query(metric, &part(), &Facts::default(), Scheme::Plain, 300, 600);
            let mut read = Vec::new();
            selectors(&parse(&query).unwrap(), &mut read);
            let reads = |selector: &VectorSelector, name: &String| match &selector.name {
                Some(own) => own == name,
                None => selector
                    .matchers
                    .matchers
                    .iter()
                    .filter(|m| m.name == "__name__")
                    .all(|m| m.is_match(name)),
            };
            let names = catalogue.names(metric);
            assert!(names.len() > 1, "{names:?}");
            for name in &names {
                assert!(read.iter().any(|selector| reads(selector, name)), "{name} is not read: {query}");
            }
            for selector in &read {
                assert!(names.iter().any(|name| reads(selector, name)), "{selector} is read, of {names:?}");
            }
        }
    }

    #[test]
    fn requests_are_asked_only_as_configured() {
        assert!(!Catalogue::default().has(Metric::RequestRate));
        assert_eq!(Catalogue::default().names(Metric::RequestRate), [] as [String; 0]);
        let template =
            "sum by (namespace, pod, container) (rate(http_requests_total{namespace=\"{namespace}\"}[5m]))";
        let catalogue = Catalogue::new(&[("request-rate".into(), template.into())].into(), &[]).unwrap();
        assert!(catalogue.has(Metric::RequestRate));
        assert_eq!(catalogue.names(Metric::RequestRate), ["http_requests_total"]);
    }

    #[test]
    fn queries_read_as_expected() {
        let catalogue = Catalogue::default();
        let query = |metric, selector: &Selector| {
            catalogue.query(metric, selector, &Facts::default(), Scheme::Plain, 300, 604_800)
        };
        assert_eq!(
            query(Metric::MemoryWorkingSet, &Selector::Namespaces(vec!["a".into(), "b".into()])),
            "max by (namespace, pod, container) (container_memory_working_set_bytes{container!=\"\",container!=\"POD\",namespace=~\"a|b\",pod!=\"\"})"
        );
        assert_eq!(
            query(Metric::VolumeFree, &part()),
            "min by (namespace, persistentvolumeclaim) (kubelet_volume_stats_available_bytes{namespace=\"web\"})"
        );
        assert_eq!(
            query(Metric::CpuUsage, &part()),
            "max by (namespace, pod, container) (sum without (cpu) (rate(container_cpu_usage_seconds_total{container!=\"\",container!=\"POD\",namespace=\"web\",pod=~\"api-[a-z0-9]+-[a-z0-9]{5}|db\\\\.x-[0-9]+\"}[300s])))"
        );
        assert_eq!(
            query(Metric::OomEvents, &Selector::Namespaces(vec![])),
            "max by (namespace, pod, container) (last_over_time(container_oom_events_total{container!=\"\",container!=\"POD\",pod!=\"\"}[300s]) - last_over_time(container_oom_events_total{container!=\"\",container!=\"POD\",pod!=\"\"}[3600s] offset 300s)) > 0"
        );
        assert_eq!(Facts { scrape_s: Some(120), ..Facts::default() }.rate_window_s(300), 480, "four scrapes");
    }

    #[test]
    fn throttling_is_what_was_added_in_a_step() {
        let query = |metric| {
            let all = Selector::Namespaces(vec![]);
            Catalogue::default().query(metric, &all, &Facts::default(), Scheme::Plain, 300, 600)
        };
        let own = "{container!=\"\",container!=\"POD\",pod!=\"\"}";
        for (metric, name, bound) in [
            (Metric::CpuPeriods, "container_cpu_cfs_periods_total", ">= 0"),
            (Metric::CpuThrottledPeriods, "container_cpu_cfs_throttled_periods_total", "> 0"),
            (Metric::CpuThrottledTime, "container_cpu_cfs_throttled_seconds_total", "> 0"),
        ] {
            assert_eq!(
                query(metric),
                format!(
                    "max by (namespace, pod, container) (last_over_time({name}{own}[300s]) - last_over_time({name}{own}[3600s] offset 300s)) {bound}"
                )
            );
        }
    }

    #[test]
    fn a_query_that_is_too_long_is_halved() {
        let names = |names: &[&str]| Selector::Namespaces(names.iter().map(ToString::to_string).collect());
        let catalogue = Catalogue::default();
        let ask = |selector: &Selector, most: usize| {
            let fits = |query: &str| query.len() <= most;
            catalogue.queries(Metric::MemoryRss, selector, &Facts::default(), 300, 600, &fits)
        };
        let five = names(&["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "dddddddddd", "eeeeeeeeee"]);
        let whole = ask(&five, 1000);
        assert_eq!(whole.len(), 1);
        let parts = ask(&five, whole[0].len() - 1);
        assert_eq!(
            parts,
            [
                ask(&names(&["aaaaaaaaaa", "bbbbbbbbbb"]), 1000),
                ask(&names(&["cccccccccc", "dddddddddd", "eeeeeeeeee"]), 1000)
            ]
            .concat()
        );
        assert_eq!(ask(&five, 0).len(), 5, "each alone, and not for ever");
        assert_eq!(ask(&names(&[]), 0).len(), 1);
        assert_eq!(ask(&part(), 0).len(), 2);
    }

    #[test]
    fn where_exporters_are_scraped_in_two_ways_both_are_asked() {
        let facts = Facts {
            schemes: [(Family::Ksm, vec![Scheme::Plain, Scheme::Exported])].into(),
            ..Facts::default()
        };
        let all = Selector::Namespaces(vec![]);
        let queries = |metric| Catalogue::default().queries(metric, &all, &facts, 300, 600, &|_| true);
        let [plain, exported] = &queries(Metric::Restarts)[..] else { panic!("two queries") };
        assert!(plain.contains("pod!=\"\",exported_container=\"\"}"), "{plain}");
        assert!(
            exported.starts_with("(max by (exported_namespace, exported_pod, exported_container)"),
            "{exported}"
        );
        assert_eq!(queries(Metric::MemoryRss).len(), 1);
    }

    #[test]
    fn templates_of_the_user() {
        let make = |name: &str, template: &str| {
            Catalogue::new(&BTreeMap::from([(name.to_owned(), template.to_owned())]), &[])
        };
        let ok = make(
            "memory-working-set",
            "container_memory_working_set_bytes{namespace=\"{namespace}\", pod=~\"{pod_pattern}\", container=\"{container}\"}",
        )
        .unwrap();
        assert_eq!(
            ok.query(Metric::MemoryWorkingSet, &part(), &Facts::default(), Scheme::Plain, 300, 600),
            "container_memory_working_set_bytes{namespace=~\"web\", pod=~\"api-[a-z0-9]+-[a-z0-9]{5}|db\\\\.x-[0-9]+\", container=~\".+\"}"
        );
        for (name, template, expected) in [
            ("memory", "up", "query `memory`: no metric has this name; known metrics: memory-working-set,"),
            (
                "cpu-usage",
                "avg_over_time(x[{lookback}:{step}])",
                "query `cpu-usage`: carries `[{lookback}:{step}]`: the whole",
            ),
            ("cpu-usage", "max_over_time(x[ {lookback} : {step} ])", "query `cpu-usage`: carries"),
            (
                "cpu-usage",
                "rate(x{namespace=\"{ns}\"}[5m])",
                "query `cpu-usage`: unknown variable `{ns}`; known variables: {namespace}",
            ),
            ("cpu-usage", "rate(x[5m]", "query `cpu-usage`: is not valid PromQL"),
        ] {
            let why = make(name, template).unwrap_err().to_string();
            assert!(why.starts_with(expected), "{why}");
        }
        let why = Catalogue::new(&BTreeMap::new(), &["cluster=prod".into()]).unwrap_err().to_string();
        assert!(why.starts_with("prometheus matcher `cluster=prod`: expected a label matcher"), "{why}");
    }
}
