//! The JSON contract. Field names and order are promised; `schema/report-1.json` describes them.

use std::collections::BTreeMap;
use std::io;

use healthcore::chart::ChartSeries;
use healthcore::facts::ContainerFacts;
use healthcore::finding::{Finding, State, SubjectRef, Text, Value};
use healthcore::history::{Changes, Kept, Left, PastScore, Trend};
use healthcore::report::{Found, Part, Report};
use healthcore::score::{Grade, Loss, Score};
use healthcore::shard::Partial;
use healthcore::snapshot::{Gap, Origin};
use healthcore::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use crate::locale::Locale;
use crate::quantity::rfc3339;
use crate::{RenderError, RenderOptions, escape};

const NAME: &str = "healthcheck-report";
const MAJOR: u32 = 1;

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    pretty(&JsonReport::new(report, options))
        .map(escape::json)
        .map_err(|why| RenderError::Data { format: "json", why })
}

/// Indented JSON with a line feed at the end, in which a point of a curve, an array in an array, takes one line.
pub(crate) fn pretty(value: &impl Serialize) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PointsOnOneLine::default());
    value.serialize(&mut serializer).map_err(|e| e.to_string())?;
    bytes.push(b'\n');
    String::from_utf8(bytes).map_err(|e| e.to_string())
}

/// The usual indentation, but for arrays in arrays.
#[derive(Default)]
struct PointsOnOneLine {
    usual: PrettyFormatter<'static>,
    /// Whether each container that is open is an array.
    open: Vec<bool>,
}

impl PointsOnOneLine {
    fn in_point(&self) -> bool {
        self.open.ends_with(&[true, true])
    }
}

impl Formatter for PointsOnOneLine {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(true);
        if self.in_point() { writer.write_all(b"[") } else { self.usual.begin_array(writer) }
    }
    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let in_point = self.in_point();
        self.open.pop();
        if in_point { writer.write_all(b"]") } else { self.usual.end_array(writer) }
    }
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        match (self.in_point(), first) {
            (false, _) => self.usual.begin_array_value(writer, first),
            (true, true) => Ok(()),
            (true, false) => writer.write_all(b", "),
        }
    }
    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.usual.end_array_value(writer)
    }
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(false);
        self.usual.begin_object(writer)
    }
    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.pop();
        self.usual.end_object(writer)
    }
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.usual.begin_object_key(writer, first)
    }
    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.usual.begin_object_value(writer)
    }
    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.usual.end_object_value(writer)
    }
}

/// A report as the JSON contract has it. Numbers are in base units: bytes, cores, seconds, ratio.
#[derive(Debug, Serialize)]
pub struct JsonReport {
    format: JsonFormat,
    tool: Tool,
    taken_at: String,
    window: JsonWindow,
    lang: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<JsonPart>,
    clusters: Vec<Cluster>,
    findings: Vec<JsonFinding>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    watch: Vec<JsonFinding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<JsonChanges>,
    checks: Vec<Check>,
    gaps: Vec<JsonGap>,
    cost: Cost,
    containers: Vec<Container>,
    /// Of one of several parts of a run: what merging needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Box<Partial>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct JsonFormat {
    pub(crate) name: &'static str,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tool {
    pub(crate) version: String,
}

#[derive(Debug, Serialize)]
struct JsonWindow {
    start: String,
    end: String,
    step_s: u32,
}

#[derive(Debug, Serialize)]
struct Cluster {
    name: String,
    workloads: u64,
    pods: u64,
    containers: u64,
    completed_pods: u64,
    objects_from: Option<&'static str>,
    metrics_via: Option<String>,
    findings: Counts,
    unknown: u64,
    score: Option<JsonScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_before: Option<JsonPastScore>,
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Serialize)]
struct JsonScore {
    points: u8,
    grade: Option<&'static str>,
    confidence_ratio: Scalar,
    losses: Vec<JsonLoss>,
}

#[derive(Debug, Serialize)]
struct JsonLoss {
    area: &'static str,
    severity: &'static str,
    objects: usize,
    loss_ratio: Scalar,
}

impl From<&Score> for JsonScore {
    fn from(score: &Score) -> Self {
        let loss = |l: &Loss| JsonLoss {
            area: l.area.name(),
            severity: l.severity.name(),
            objects: l.objects,
            loss_ratio: number(l.share),
        };
        Self {
            points: score.points,
            grade: score.grade().map(Grade::letter),
            confidence_ratio: number(score.confidence),
            losses: score.losses.iter().map(loss).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    critical: u64,
    warning: u64,
    info: u64,
}

impl From<Found> for Counts {
    fn from(found: Found) -> Self {
        let Found { critical, warning, info } = found;
        Self { critical, warning, info }
    }
}

#[derive(Debug, Serialize)]
struct Namespace {
    name: String,
    workloads: u64,
    pods: u64,
    completed_pods: u64,
    running_pods: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_pods: Option<u64>,
    findings: Counts,
    unknown: u64,
    score: Option<JsonScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_before: Option<JsonPastScore>,
}

/// What was chosen of a whole report or digest.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JsonPart {
    severity: &'static str,
    clusters: Vec<String>,
    namespaces: Vec<String>,
}

impl From<&Part> for JsonPart {
    fn from(part: &Part) -> Self {
        let Part { floor, clusters, namespaces, .. } = part;
        Self { severity: floor.name(), clusters: clusters.clone(), namespaces: namespaces.clone() }
    }
}

/// A score that was told before.
#[derive(Debug, Serialize)]
pub(crate) struct JsonPastScore {
    points: u8,
    grade: Option<&'static str>,
    confidence_ratio: Scalar,
}

impl From<PastScore> for JsonPastScore {
    fn from(score: PastScore) -> Self {
        let grade = score.grade().map(Grade::letter);
        Self { points: score.points, grade, confidence_ratio: number(score.confidence) }
    }
}

#[derive(Debug, Serialize)]
struct JsonFinding {
    check: String,
    severity: &'static str,
    subject: JsonSubject,
    summary: String,
    evidence: Vec<JsonEvidence>,
    advice: Vec<JsonAdvice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Series>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<Class>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding_until: Option<String>,
}

/// What changed since the runs before.
#[derive(Debug, Serialize)]
struct JsonChanges {
    before: Vec<Before>,
    gone: Vec<JsonGone>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    watch_gone: Vec<JsonGone>,
    trends: Vec<JsonTrend>,
}

#[derive(Debug, Serialize)]
struct Before {
    cluster: String,
    taken_at: String,
}

#[derive(Debug, Serialize)]
struct JsonGone {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    check: String,
    severity: &'static str,
    subject: JsonSubject,
    summary: String,
    since: String,
    last_seen: String,
    fingerprint: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct JsonTrend {
    subject: JsonSubject,
    resource: &'static str,
    from_ratio: Scalar,
    to_ratio: Scalar,
    over_s: Scalar,
    full_in_s: Scalar,
}

impl From<&Trend> for JsonTrend {
    fn from(t: &Trend) -> Self {
        Self {
            subject: subject(&t.subject),
            resource: t.resource.name(),
            from_ratio: number(t.from),
            to_ratio: number(t.to),
            over_s: number(t.over_s),
            full_in_s: number(t.full_in_s),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct JsonSubject {
    cluster: String,
    namespace: String,
    kind: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
}

#[derive(Debug, Serialize)]
struct JsonEvidence {
    name: String,
    value: Scalar,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Scalar>,
}

#[derive(Debug, Serialize)]
struct JsonAdvice {
    action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Scalar>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

/// A number in the base unit, or a text.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Whole(i64),
    Number(f64),
    Text(String),
}

#[derive(Debug, Serialize)]
struct Series {
    metric: &'static str,
    unit: &'static str,
    points: Vec<(i64, Scalar)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    curves: Vec<Curve>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    marks: Vec<Mark>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaches_limit: Option<ReachesLimit>,
}

#[derive(Debug, Serialize)]
struct Line {
    kind: &'static str,
    value: Scalar,
}

#[derive(Debug, Serialize)]
struct Curve {
    kind: &'static str,
    points: Vec<(i64, Scalar)>,
}

#[derive(Debug, Serialize)]
struct Mark {
    at: String,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct ReachesLimit {
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    earliest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest: Option<String>,
}

#[derive(Debug, Serialize)]
struct Class {
    name: &'static str,
    origin: healthcore::class::ClassOrigin,
}

#[derive(Debug, Serialize)]
struct Check {
    id: &'static str,
    ok: u64,
    problem: u64,
    unknown: u64,
    /// Why subjects are unknown, with how many.
    reasons: BTreeMap<String, u64>,
    /// The first subjects of each reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_subjects: Vec<Unjudged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    false_discovery: Option<FalseDiscovery>,
}

/// Subjects that are unknown for a reason, the first of them.
#[derive(Debug, Serialize)]
struct Unjudged {
    reason: String,
    subjects: Vec<JsonSubject>,
}

/// How the share of false findings among the sure ones of a check is held down.
#[derive(Debug, Serialize)]
struct FalseDiscovery {
    /// Share that is accepted.
    level: f64,
    /// Findings that pass.
    passed: u64,
    /// Findings that became info.
    set_back: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct JsonGap {
    scope: String,
    cause: &'static str,
    detail: String,
}

impl JsonGap {
    pub(crate) fn new(gap: &Gap, locale: &Locale) -> Self {
        Self { scope: gap.scope.clone(), cause: gap.cause.name(), detail: locale.gap(gap) }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Cost {
    prometheus_queries: u64,
    samples: u64,
    bytes: u64,
    kubernetes_requests: u64,
    seconds: f64,
    peak_rss_bytes: u64,
}

impl From<Cost> for healthcore::report::Cost {
    fn from(cost: Cost) -> Self {
        let Cost { prometheus_queries, samples, bytes, kubernetes_requests, seconds, peak_rss_bytes } = cost;
        Self { prometheus_queries, samples, bytes, kubernetes_requests, seconds, peak_rss_bytes }
    }
}

#[derive(Debug, Serialize)]
struct Container {
    cluster: String,
    namespace: String,
    kind: String,
    name: String,
    container: String,
    live_pods: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods_state: Option<String>,
    restarts: Option<u64>,
    memory_request_bytes: Option<Scalar>,
    memory_limit_bytes: Option<Scalar>,
    memory_now_bytes: Option<Scalar>,
    memory_mean_bytes: Option<Scalar>,
    memory_p95_bytes: Option<Scalar>,
    memory_growth_ratio: Option<Scalar>,
    cpu_request_cores: Option<Scalar>,
    cpu_limit_cores: Option<Scalar>,
    cpu_mean_cores: Option<Scalar>,
    cpu_p95_cores: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jvm_heap_used_bytes: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jvm_heap_max_bytes: Option<Scalar>,
}

/// Seven digits that count are more than any measurement here has; the rest would be noise in a diff of two reports.
pub(crate) fn number(v: f64) -> Scalar {
    if !v.is_finite() {
        return Scalar::Text(v.to_string());
    }
    if v.fract() == 0.0 && v.abs() < 9e15 {
        return Scalar::Whole(v as i64);
    }
    let digits = 6 - v.abs().log10().floor() as i32;
    let rounded = if (-10..=15).contains(&digits) {
        format!("{v:.*}", digits.max(0) as usize).parse().unwrap_or(v)
    } else {
        v
    };
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        Scalar::Whole(rounded as i64)
    } else {
        Scalar::Number(rounded)
    }
}

fn scalar(value: &Value, locale: &Locale) -> Scalar {
    match value {
        Value::Text(_) | Value::Words(_) | Value::List(_) => Scalar::Text(locale.show(value)),
        Value::Time(t) => Scalar::Whole(t.unix_seconds()),
        other => other.number().map_or_else(|| Scalar::Text(String::new()), number),
    }
}

/// 1.2 adds `score`; 1.3 adds `shard`, 1.4 `score_before`, 1.5 `part`, 1.6 `replaced_pods`, and what has none of these is of
/// 1.2 still.
fn minor(report: &Report) -> u32 {
    let namespaces = report.clusters.iter().flat_map(|cluster| &cluster.namespaces);
    if namespaces.into_iter().any(|namespace| namespace.tally.replaced_pods > 0) {
        return 6;
    }
    if report.part.is_some() {
        return 5;
    }
    let compared = report.changes.as_ref().is_some_and(|changes| !changes.scores.is_empty());
    match (compared, &report.shard) {
        (true, _) => 4,
        (false, Some(_)) => 3,
        (false, None) => 2,
    }
}

impl JsonReport {
    /// The contract's view of a report, in the language of `options`. Times are in UTC.
    #[must_use]
    pub fn new(report: &Report, options: &RenderOptions) -> Self {
        Self::told(report, &Locale::of_data(options))
    }

    /// The same with the times in sentences in the zone of a reader.
    pub(crate) fn told(report: &Report, locale: &Locale) -> Self {
        let score_before = |cluster: &str, namespace: Option<&str>| {
            let changes = report.changes.as_ref()?;
            changes.score_before(cluster, namespace).map(JsonPastScore::from)
        };
        Self {
            format: JsonFormat { name: NAME, major: MAJOR, minor: minor(report) },
            tool: Tool { version: report.version.clone() },
            taken_at: rfc3339(report.taken_at),
            window: JsonWindow {
                start: rfc3339(report.window.start()),
                end: rfc3339(report.window.end()),
                step_s: report.window.step_s(),
            },
            lang: locale.lang.tag(),
            verdict: report.verdict().name(),
            part: report.part.as_ref().map(JsonPart::from),
            clusters: report
                .clusters
                .iter()
                .map(|c| Cluster {
                    name: c.name.clone(),
                    workloads: c.workloads,
                    pods: c.pods,
                    containers: c.containers,
                    completed_pods: c.completed_pods,
                    objects_from: c.objects_from.map(|o| match o {
                        Origin::KubernetesApi => "kubernetes-api",
                        Origin::KubeStateMetrics => "kube-state-metrics",
                    }),
                    metrics_via: c.metrics_via.clone(),
                    findings: c.found.at_least(report.floor()).into(),
                    unknown: c.unknown,
                    score: c.score.as_ref().map(JsonScore::from),
                    score_before: score_before(&c.name, None),
                    namespaces: c
                        .namespaces
                        .iter()
                        .map(|n| Namespace {
                            name: n.name.clone(),
                            workloads: n.tally.workloads,
                            pods: n.tally.pods,
                            completed_pods: n.tally.completed_pods,
                            running_pods: n.tally.running_pods,
                            replaced_pods: Some(n.tally.replaced_pods).filter(|n| *n > 0),
                            findings: n.found.at_least(report.floor()).into(),
                            unknown: n.tally.unknown,
                            score: n.score.as_ref().map(JsonScore::from),
                            score_before: score_before(&c.name, Some(&n.name)),
                        })
                        .collect(),
                })
                .collect(),
            findings: report.findings.iter().map(|f| finding(f, locale)).collect(),
            watch: report.watch.iter().map(|f| watched(f, report, locale)).collect(),
            changes: report.changes.as_ref().map(|c| changes(c, locale)),
            checks: report
                .tallies()
                .iter()
                .map(|c| Check {
                    id: c.id,
                    ok: c.tally.ok,
                    problem: c.tally.problem,
                    unknown: c.tally.unknown,
                    reasons: c.tally.reasons.iter().map(|(why, n)| (locale.missing(why), *n)).collect(),
                    unknown_subjects: (c.tally.examples.iter())
                        .map(|(why, first)| Unjudged {
                            reason: locale.missing(why),
                            subjects: first.iter().map(subject).collect(),
                        })
                        .collect(),
                    false_discovery: c.discovery.map(|d| FalseDiscovery {
                        level: d.level.get(),
                        passed: d.passed,
                        set_back: d.set_back,
                    }),
                })
                .collect(),
            gaps: report.gaps.iter().map(|g| JsonGap::new(g, locale)).collect(),
            cost: Cost {
                prometheus_queries: report.cost.prometheus_queries,
                samples: report.cost.samples,
                bytes: report.cost.bytes,
                kubernetes_requests: report.cost.kubernetes_requests,
                seconds: report.cost.seconds,
                peak_rss_bytes: report.cost.peak_rss_bytes,
            },
            containers: report.facts.iter().map(|f| container(f, locale)).collect(),
            shard: report.shard.clone(),
        }
    }
}

/// What merging needs of a JSON report, if it is one of several parts of a run, and what that part has cost.
///
/// # Errors
/// It is no JSON report of this program, or none of a part.
pub fn read_shard(text: &str) -> Result<(Partial, healthcore::report::Cost), ShardError> {
    let no_report = |e: serde_json::Error| ShardError::NoReport(e.to_string());
    let Head { format } = serde_json::from_str(text).map_err(no_report)?;
    if format.name != NAME {
        return Err(ShardError::NoReport(format!("its format is `{}`", format.name)));
    }
    if format.major != MAJOR {
        return Err(ShardError::Newer(format.major));
    }
    let Body { shard, cost } = serde_json::from_str(text).map_err(|e| ShardError::Broken(e.to_string()))?;
    Ok((shard.ok_or(ShardError::Whole)?, cost.into()))
}

/// A file that is no part of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// Something else.
    #[error("expected the JSON report of a shard; {0}")]
    NoReport(String),
    /// A later version of the contract.
    #[error("its format is of version {0}, and this program reads 1; merge with the version that made it")]
    Newer(u32),
    /// A report that is no part.
    #[error("is a whole report; expected one of a shard, made with `check --shard`")]
    Whole,
    /// A part that cannot be read.
    #[error("its shard cannot be read, merge with the version that made it: {0}")]
    Broken(String),
}

#[derive(Deserialize)]
struct Head {
    format: HeadFormat,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    shard: Option<Partial>,
    cost: Cost,
}

#[derive(Deserialize)]
struct HeadFormat {
    name: String,
    major: u32,
}

pub(crate) fn subject(s: &SubjectRef) -> JsonSubject {
    JsonSubject {
        cluster: s.cluster.clone(),
        namespace: s.namespace.clone(),
        kind: s.kind.clone(),
        name: s.name.clone(),
        pod: s.pod.clone(),
        container: s.container.clone(),
    }
}

fn changes(c: &Changes, locale: &Locale) -> JsonChanges {
    let told = |state: State, why: Option<Left>, was: &Kept| JsonGone {
        state: state.name(),
        why: why.map(Left::name),
        check: was.check.clone(),
        severity: was.severity.name(),
        subject: subject(&was.subject),
        summary: locale.sentence(&was.check, &was.summary),
        since: rfc3339(was.first),
        last_seen: rfc3339(was.last),
        fingerprint: was.fingerprint.clone(),
    };
    JsonChanges {
        before: (c.before.iter())
            .map(|(cluster, at)| Before { cluster: cluster.clone(), taken_at: rfc3339(*at) })
            .collect(),
        gone: c.gone.iter().map(|gone| told(gone.state, None, &gone.was)).collect(),
        watch_gone: c
            .unwatched
            .iter()
            .map(|gone| told(gone.why.state(), Some(gone.why), &gone.was))
            .collect(),
        trends: c.trends.iter().map(JsonTrend::from).collect(),
    }
}

fn finding(f: &Finding, locale: &Locale) -> JsonFinding {
    let say = |text: &Text| locale.sentence(&f.check, text);
    let value = |v: &Value| scalar(v, locale);
    JsonFinding {
        check: f.check.to_string(),
        severity: f.severity.name(),
        subject: subject(&f.subject),
        summary: say(&f.summary),
        evidence: f
            .evidence
            .iter()
            .map(|e| JsonEvidence {
                name: e.name.to_string(),
                value: value(&e.value),
                unit: e.value.unit(),
                threshold: e.threshold.as_ref().map(value),
            })
            .collect(),
        advice: f
            .advice
            .iter()
            .map(|a| JsonAdvice {
                action: a.action.to_string(),
                resource: a.resource.as_ref().map(ToString::to_string),
                from: a.from.as_ref().map(value),
                to: a.to.as_ref().map(value),
                text: say(&a.text),
                command: a.command.clone(),
            })
            .collect(),
        since: f.since.map(rfc3339),
        state: f.state.map(State::name),
        fingerprint: f.fingerprint.clone(),
        series: f.series.as_ref().map(series),
        class: f.class.map(|c| Class { name: c.class.name(), origin: c.origin }),
        distance: f.distance.map(number),
        finding_until: None,
    }
}

/// Something on the watch list, with the last run that had it as a finding.
fn watched(f: &Finding, report: &Report, locale: &Locale) -> JsonFinding {
    let until = report.changes.as_ref().and_then(|c| c.were_findings.get(&f.fingerprint));
    JsonFinding { finding_until: until.copied().map(rfc3339), ..finding(f, locale) }
}

fn series(s: &ChartSeries) -> Series {
    let points = |p: &[(Timestamp, f64)]| p.iter().map(|(t, v)| (t.unix_seconds(), number(*v))).collect();
    Series {
        metric: s.metric.name(),
        unit: s.metric.unit(),
        points: points(&s.points),
        lines: s.lines.iter().map(|l| Line { kind: l.kind.name(), value: number(l.value) }).collect(),
        curves: s.curves.iter().map(|c| Curve { kind: c.kind.name(), points: points(&c.points) }).collect(),
        marks: s.marks.iter().map(|m| Mark { at: rfc3339(m.at), kind: m.kind.name() }).collect(),
        reaches_limit: s.reaches_limit.as_ref().map(|r| ReachesLimit {
            at: rfc3339(r.at),
            earliest: r.earliest.map(rfc3339),
            latest: r.latest.map(rfc3339),
        }),
    }
}

fn container(f: &ContainerFacts, locale: &Locale) -> Container {
    let some = |v: Option<f64>| v.map(number);
    Container {
        cluster: f.subject.cluster.clone(),
        namespace: f.subject.namespace.clone(),
        kind: f.subject.kind.clone(),
        name: f.subject.name.clone(),
        container: f.subject.container.clone().unwrap_or_default(),
        live_pods: f.live_pods,
        pods_state: f.pods_state.map(|state| locale.show(&state.words().into())),
        restarts: f.restarts,
        memory_request_bytes: some(f.resources.memory_request.map(|b| b.get())),
        memory_limit_bytes: some(f.resources.memory_limit.map(|b| b.get())),
        memory_now_bytes: some(f.memory_now),
        memory_mean_bytes: some(f.memory_mean),
        memory_p95_bytes: some(f.memory_p95),
        memory_growth_ratio: some(f.memory_growth),
        cpu_request_cores: some(f.resources.cpu_request.map(|c| c.get())),
        cpu_limit_cores: some(f.resources.cpu_limit.map(|c| c.get())),
        cpu_mean_cores: some(f.cpu_mean),
        cpu_p95_cores: some(f.cpu_p95),
        jvm_heap_used_bytes: some(f.jvm_heap_used),
        jvm_heap_max_bytes: some(f.jvm_heap_max),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_point_takes_one_line() {
        let value =
            serde_json::json!({ "points": [[1, 2.5], [3, 4]], "none": [], "names": ["a", { "b": [] }] });
        let text = super::pretty(&value).unwrap();
        assert!(text.contains("  \"points\": [\n    [1, 2.5],\n    [3, 4]\n  ]"), "{text}");
        assert!(text.contains("  \"names\": [\n    \"a\",\n    {\n      \"b\": []\n    }\n  ]"), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
