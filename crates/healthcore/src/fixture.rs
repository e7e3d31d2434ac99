//! Snapshots from a compact text: what tests of checks are written in. Not part of the public interface.
//!
//! One thing a line, words separated by white space, `#` begins a comment, `"..."` holds a value with spaces.
//! Times are durations before now (`20d`, `15m`). A word that ends with `:` begins a series in the notation of
//! `promtool test rules`: `300+12x24` is 300 and 24 further samples, each 12 more; `5x3` is four times 5; `_` is a
//! missing sample, `_x20` twenty; `nan` is what a server answers for 0/0. The first sample lies at the start of
//! the window, whose length is that of the longest series unless `window` says otherwise.
//!
//! ```text
//! window    lookback=7d step=5m now=-10m              # the clock 10 min behind the last sample
//! set       method=quarters                           # parameters of the check under test
//! workload  web/Deployment/api replicas=2/3 created=30d revisions=api-7d9c5bd4f7@2h note:healthcheck/class=jvm Progressing=no:ProgressDeadlineExceeded@2h
//! container web/api-0/app limit=512Mi request=256Mi cpu-limit=1 cpu-request=250m pods=3  memory: 300+12x24
//! pod       web/api-0 phase=Failed reason=Evicted ready=no created=3m unschedulable="0/3 nodes" since=10m gated deleting   # or deleting=3d: should be gone
//! pod       web/api-1 phase=Failed reason=Evicted evicted=1h message="low on memory"
//! past      web/api-7d9c5bd4f7-x2x9z/app  memory: 300+12x20     # a pod that only its series remember
//! hpa       web/api target=Deployment/api min=2 max=10 now=10 cpu=95%/70% ScalingLimited=yes:TooManyReplicas@20m
//! event     web/Pod/api-0 reason=FailedMount count=12 first=2h last=10m message="no such volume" seen=1h   # by an earlier run
//! node      node-1 arch=arm64 cpu=4 memory=16Gi pods=110 kubelet=v1.33.2 cordoned=2d virtual Ready=no:KubeletNotReady@20m
//! service   web/api type=ClusterIP ports=http:80,8080 ready=2 all=3 dns=api.example created=30d   # or selects=no, headless, deleting
//! service   web/api ports=http:80>web,dns:53/UDP>dns! ready=2     # ports that lead to names; `!` to one that no container has
//! service   web/api type=LoadBalancer address=no class=tailscale created=1h
//! route     web/Ingress/front hosts=a.example,b.example backends=api:80,other/cache:http tls=a.example@web-tls,@default
//! route     web/HTTPRoute/shop parent=infra/edge,other Accepted=no:NotAllowedByListeners@2h      # as the first parent says
//! all-namespaces                                      # were looked into
//! secret    web/web-tls names=a.example expires=20d since=70d issuer=CN=ca chain=2 unread=5    # or broken="no PEM", behind `chain`; used-by=mq-0
//! managed   web/front secret=web-tls renewal=-2d failed=3 created=30d Ready=no:DoesNotExist@2h Issuing=no:Failed@1h
//! served    web/a.example:443 names=a.example expires=20d fingerprint=ff chain=2 unread=5 unknown-issuer # or needed=2, failed=timeout
//! dns       a.example origin=dns.yaml:3 value=192.0.2.1       # a record that a file of the user tells
//! requests  a.example count=20593 span=24h            # requests for a host that an ingress controller counts
//! skip-certificates "behind a VPN" namespace=web      # everywhere without a namespace
//! budget    web/api min=2 expected=3 healthy=3 desired=3 allowed=0 created=30d
//! budget    web/api expected=3 shared=2 with=other,third pod=api-0 workload=StatefulSet/api    # or shared=unknown
//! claim     data/db phase=Pending class=ssd requested=10Gi capacity=10Gi modes=ReadWriteOnce used-by=db-0 created=30d  volume-free: 300-1x24
//! quota     web/team requests.memory=9Gi/10Gi pods=9/10
//! job       web/dump-1 cron=dump failed=3 created=2h Failed=yes:BackoffLimitExceeded@1h      # or completed=1h
//! job       web/load active=1 created=13h deadline=1d         # or unstarted
//! cronjob   web/dump schedule="0 3 * * *" zone=Asia/Taipei suspended concurrency=Forbid last-schedule=9h last-success=2d created=30d
//! volume    pv-1 phase=Failed policy=Delete class=ssd capacity=10Gi claim=data/db message="in use" since=1h created=30d   # or local
//! namespace old deleting=2h NamespaceFinalizersRemaining=yes:SomeFinalizersRemain@2h
//! apiservice v1beta1.metrics.k8s.io service=kube-system/metrics-server created=30d Available=no:MissingEndpoints@1h
//! server    version=v1.33.2
//! written   ops/dump as=batch/v1beta1/cronjobs applied        # or manager=helm at=3d; `nothing-written` for a clean cluster
//! requested as=batch/v1beta1/cronjobs removed=25              # a deprecated version that the API server was asked for
//! log       web/StatefulSet/api container=app times=9 ago=1h begins=2h pods=3 read=2 worst=api-1 previous cut line="ERROR order {n} lost"   # {n} counts
//! absent    rss                                       # the server has no series of it
//! failed    cpu                                       # its query failed
//! partial   restarts oom                              # its answer was not whole
//! thinned   web/api-1                                 # a pod whose series were left out
//! denied    pods namespace=web                        # the list is forbidden; `outside`: to a run over chosen namespaces
//! chosen-namespaces                                   # the run looks into some namespaces only
//! offline                                             # no metrics server
//! origin    kube-state-metrics
//! ```
//!
//! Units of series: `memory`, `rss`, `heap-used`, `heap-max`, `beside-heap`, `volume-free`, `volume-size` in MiB; `cpu` in cores; `requests` a second;
//! `restarts`, `oom`, `replicas`, `threads`, `inodes`, `inodes-free`, `periods` and `throttled` (of the CPU quota)
//! as counts; `throttled-time` in seconds. A pod belongs to `owner=KIND/NAME`, else to what its name tells: `api-7d9c5bd4f7-x2x9z` to a
//! Deployment, `db-0` to a StatefulSet, any other to itself. Workloads, pods and revisions that no line declares are
//! made. A container runs since its pod was made (20 days ago), unless `state=` says otherwise:
//! `running@3h`, `waiting:CrashLoopBackOff`, `completed@1h`, `exited:137@1h`, `unknown`; `last=OOMKilled:137@2h` is
//! the end of the run before, `said="..."` its message. `policy=Always` (or `unknown`, else `IfNotPresent`) and
//! `digest=sha256:1` tell how its image is pulled and which one runs, `platforms=linux/amd64,linux/arm64` what its registry says
//! it is built for (and `places=linux/amd64:5` of a pod how many nodes it may be placed on), `jvm="-Xmx1g"` the memory flags of its Java virtual machine,
//! `jvm-unread=JAVA_OPTS:secret:env` a variable of it that could not be read.

use std::collections::BTreeMap;

use crate::analyse::{Assessment, analyse};
use crate::api_versions::{RequestedApi, WrittenAs};
use crate::checks::CHECKS;
use crate::finding::{Finding, Value};
use crate::inventory::{
    ApiService, Backend, Certificate, CertificatesSkipped, CronJob, DisruptionBudget, DnsName, Elsewhere,
    Endpoints, HostRequests, Job, LoadBalancer, ManagedCertificate, Namespace, ObjectId, Quota,
    QuotaResource, Route, RouteParent, RouteTls, ServedCertificate, Service, ServicePort, SharedPods,
    TlsSecret, Volume, VolumeClaim,
};
use crate::jvm::{FlagPlace, Unread, UnreadOptions, flags_in};
use crate::logs::{LogStream, LogSummary, LogTally};
use crate::metric::Metric;
use crate::model::{
    Condition, Container, ContainerRole, ContainerState, Event, Eviction, Hpa, HpaMetric, Node, ObjectKind,
    Pod, PodPhase, Probes, Replicas, Resources, Revision, ScaleTarget, Termination, Unschedulable, Update,
    Workload, WorkloadId,
};
use crate::series::{Samples, SeriesKey, SeriesStore};
use crate::settings::{CheckSettings, Resolved, Settings};
use crate::snapshot::{Missing, Objects, Origin, Snapshot, Unavailable};
use crate::time::{Timestamp, Window};
use crate::unit::{Bytes, Cores, Seconds, parse_quantity};

/// The last instant of every window that is made here: 2026-11-20T01:00:00Z.
pub const END: Timestamp = Timestamp::from_unix_seconds(1_795_136_400);

/// A snapshot and the parameters that its text sets.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Parameters of the check under test, from `set`.
    pub params: BTreeMap<String, String>,
}

impl Fixture {
    /// Reads the notation.
    ///
    /// # Panics
    /// The text is not in that notation; the message names line and word.
    #[must_use]
    #[track_caller]
    pub fn new(text: &str) -> Self {
        match build(text) {
            Ok(fixture) => fixture,
            Err(why) => panic!("{why}"),
        }
    }

    /// One check alone, with the parameters of the text.
    ///
    /// # Panics
    /// No check has that id, or it refuses the parameters.
    #[must_use]
    #[track_caller]
    pub fn only(&self, check: &str) -> Resolved {
        let own = CheckSettings { params: self.params.clone(), ..CheckSettings::default() };
        let settings = Settings {
            checks: [(check.to_owned(), own)].into(),
            only: [check.to_owned()].into(),
            ..Settings::default()
        };
        match settings.resolve(CHECKS) {
            Ok(resolved) => resolved,
            Err(why) => panic!("{why}"),
        }
    }

    /// What the checks say of it, lists that could not be had included.
    #[must_use]
    pub fn assess(&self, checks: &Resolved) -> Assessment {
        let mut whole = Assessment::new(&self.snapshot.cluster, &self.snapshot.objects.unavailable, checks);
        whole.fold(analyse(&self.snapshot, checks));
        whole
    }
}

/// Asserts what one check says of a fixture. Every line of `expected` is one result, in order: findings as
/// `severity namespace/name[/container][ (pod)]: sentence`, then counts as `2 ok`, `1 unknown: reason`; a single `nothing` when the
/// check had nothing to judge.
///
/// # Panics
/// It says something else.
#[track_caller]
pub fn check(id: &str, text: &str, expected: &str) {
    let found = told(id, text);
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    assert_eq!(found, expected, "{id}: {text}");
}

/// What one check says of a fixture, in the lines of [`check`].
#[must_use]
#[track_caller]
pub fn told(id: &str, text: &str) -> Vec<String> {
    let fixture = Fixture::new(text);
    let assessment = fixture.assess(&fixture.only(id));
    let mut lines: Vec<String> = assessment.findings.iter().map(sentence).collect();
    for tally in assessment.tallies.values() {
        if tally.ok > 0 {
            lines.push(format!("{} ok", tally.ok));
        }
        lines.extend(tally.reasons.iter().map(|(why, count)| format!("{count} unknown: {why}")));
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

/// Findings of one check, for assertions on evidence and advice.
#[must_use]
#[track_caller]
pub fn findings(id: &str, text: &str) -> Vec<Finding> {
    let fixture = Fixture::new(text);
    fixture.assess(&fixture.only(id)).findings
}

/// Every advice of one check, one a line: `sentence [command]`.
#[must_use]
#[track_caller]
pub fn advice(id: &str, text: &str) -> Vec<String> {
    let info = |f: &Finding| CHECKS.iter().find(|c| c.info().id == f.check).map(|c| c.info());
    let findings = findings(id, text);
    let of = |f: &Finding| -> Vec<String> {
        let info = info(f).expect("a finding names its check");
        let line = |a: &crate::finding::Advice| {
            let english = a.text.fill(info.text(&a.text.key).expect("every advice has a text"), &show);
            a.command.as_ref().map_or(english.clone(), |command| format!("{english} [{command}]"))
        };
        f.advice.iter().map(line).collect()
    };
    findings.iter().flat_map(of).collect()
}

fn sentence(finding: &Finding) -> String {
    let info =
        CHECKS.iter().find(|c| c.info().id == finding.check).expect("a finding names its check").info();
    let english = info.text(&finding.summary.key).expect("every summary has a text");
    let s = &finding.subject;
    let container = s.container.as_ref().map_or_else(String::new, |c| format!("/{c}"));
    let pod = s.pod.as_ref().map_or_else(String::new, |p| format!(" ({p})"));
    let text = finding.summary.fill(english, &show);
    format!("{} {}/{}{container}{pod}: {text}", finding.severity.name(), s.namespace, s.name)
}

/// A value as tests write it: short, and the same everywhere.
#[must_use]
pub fn show(value: &Value) -> String {
    let short = |v: f64, digits: usize| {
        let text = format!("{v:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    match value {
        Value::Bytes(v) if v.abs() >= 1024.0 * MIB => format!("{}Gi", short(v / MIB / 1024.0, 2)),
        Value::Bytes(v) => format!("{}Mi", short(v / MIB, 1)),
        Value::Cores(v) => short(*v, 3),
        Value::Seconds(v) => Seconds(v.round()).to_string(),
        Value::Ratio(v) => format!("{}%", short(v * 100.0, 1)),
        Value::BytesPerHour(v) => format!("{}MB/h", short(v / 1e6, 1)),
        Value::Count(n) => n.to_string(),
        Value::Number(v) => short(*v, 3),
        Value::Time(t) => format!("{} ago", Seconds(END.seconds_since(*t))),
        Value::Text(text) => text.clone(),
        Value::Words(phrase) => crate::phrase::english(phrase, &show),
        Value::List(values) => values.iter().map(show).collect::<Vec<_>>().join(", "),
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// A line, cut into its parts.
#[derive(Debug, Default)]
struct Line {
    number: usize,
    head: String,
    names: Vec<String>,
    attributes: Vec<(String, String)>,
    series: Vec<(Metric, Vec<Option<f64>>)>,
}

impl Line {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    fn flag(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }
    fn parse<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let read = |text: &str| text.parse().map_err(|_| self.refuse(&format!("{name}={text}")));
        self.get(name).map(read).transpose()
    }
    fn ago(&self, name: &str) -> Result<Option<Timestamp>, String> {
        Ok(self.parse::<Seconds>(name)?.map(before))
    }
    /// A time after now, or before it with a minus sign.
    fn ahead(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let read = |text: &str| {
            let (sign, amount) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
            let amount: Seconds = amount.parse().map_err(|_| self.refuse(text))?;
            Ok(END.plus_seconds(sign * amount.get()))
        };
        self.get(name).map(read).transpose()
    }
    fn path<const N: usize>(&self) -> Result<[&str; N], String> {
        let path = self.names.first().map_or("", String::as_str);
        let parts: Vec<&str> = path.split('/').collect();
        parts.try_into().map_err(|_| self.refuse(path))
    }
    fn id(&self) -> Result<ObjectId, String> {
        let [namespace, name] = self.path()?;
        Ok(ObjectId::new(namespace, name))
    }
    /// The name of an object that is in no namespace.
    fn id_in_none(&self) -> Result<ObjectId, String> {
        let [name] = self.path()?;
        Ok(ObjectId::new("", name))
    }
    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }
    /// Values between commas.
    fn list<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        let values = self.get(name).unwrap_or_default().split(',').filter(|v| !v.is_empty());
        values.map(|value| read(value).ok_or_else(|| self.refuse(value))).collect()
    }
    /// Attributes that begin with a capital letter.
    fn conditions(&self) -> Result<Vec<Condition>, String> {
        let named =
            self.attributes.iter().filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_uppercase()));
        let read = |(kind, value): &(String, String)| {
            condition(kind, value).ok_or_else(|| self.refuse(&format!("{kind}={value}")))
        };
        named.map(read).collect()
    }
    fn refuse(&self, what: &str) -> String {
        format!("fixture line {}: {}: cannot read `{what}`", self.number, self.head)
    }
    fn known(&self, attributes: &[&str]) -> Result<(), String> {
        match self.attributes.iter().find(|(n, _)| !attributes.contains(&n.as_str())) {
            Some((name, _)) => Err(self.refuse(name)),
            None => Ok(()),
        }
    }
}

fn before(ago: Seconds) -> Timestamp {
    END.plus_seconds(-ago.get())
}

/// Names of series here, the metric, and what one unit of the notation is.
const SERIES: [(&str, Metric, f64); 18] = [
    ("memory", Metric::MemoryWorkingSet, MIB),
    ("rss", Metric::MemoryRss, MIB),
    ("cpu", Metric::CpuUsage, 1.0),
    ("periods", Metric::CpuPeriods, 1.0),
    ("throttled", Metric::CpuThrottledPeriods, 1.0),
    ("throttled-time", Metric::CpuThrottledTime, 1.0),
    ("restarts", Metric::Restarts, 1.0),
    ("oom", Metric::OomEvents, 1.0),
    ("heap-used", Metric::JvmHeapUsed, MIB),
    ("heap-max", Metric::JvmHeapMax, MIB),
    ("beside-heap", Metric::JvmBesideHeap, MIB),
    ("threads", Metric::JvmThreads, 1.0),
    ("requests", Metric::RequestRate, 1.0),
    ("replicas", Metric::HpaReplicas, 1.0),
    ("volume-free", Metric::VolumeFree, MIB),
    ("volume-size", Metric::VolumeSize, MIB),
    ("inodes-free", Metric::VolumeInodesFree, 1.0),
    ("inodes", Metric::VolumeInodes, 1.0),
];

fn metric(name: &str) -> Option<(Metric, f64)> {
    SERIES.iter().find(|(n, ..)| *n == name).map(|(_, m, unit)| (*m, *unit))
}

/// Samples of the notation of `promtool test rules`.
///
/// # Errors
/// The word that is not in the notation.
pub fn samples(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut out = Vec::new();
    for word in text.split_ascii_whitespace() {
        out.extend(
            expand(word)
                .ok_or_else(|| format!("`{word}` is no sample such as `300+12x24`, `5x3` or `_x20`"))?,
        );
    }
    Ok(out)
}

fn expand(word: &str) -> Option<Vec<Option<f64>>> {
    let (value, times) = match word.rsplit_once('x') {
        Some((value, times)) => (value, Some(times.parse::<usize>().ok()?)),
        None => (word, None),
    };
    if value == "_" {
        return Some(vec![None; times.unwrap_or(1)]);
    }
    // The sign of the step is the first one that does not begin the start value.
    let sign = value.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(i, _)| i);
    let (start, step) = match sign {
        Some(at) => (value[..at].parse::<f64>().ok()?, value[at..].parse::<f64>().ok()?),
        None => (value.parse::<f64>().ok()?, 0.0),
    };
    Some((0..=times.unwrap_or(0)).map(|i| Some(start + step * i as f64)).collect())
}

fn words(line: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            '#' if !quoted && !any => break,
            c if c.is_whitespace() && !quoted => {
                if std::mem::take(&mut any) {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        out.push(word);
    }
    out
}

fn read_line(number: usize, line: &str) -> Result<Option<Line>, String> {
    let mut words = words(line).into_iter();
    let Some(head) = words.next() else { return Ok(None) };
    let mut out = Line { number, head, ..Line::default() };
    let mut unit = 1.0;
    for word in words {
        if let Some((found, of)) = word.strip_suffix(':').and_then(metric) {
            out.series.push((found, Vec::new()));
            unit = of;
        } else if let Some((_, values)) = out.series.last_mut() {
            let more = samples(&word).map_err(|why| format!("fixture line {number}: {why}"))?;
            values.extend(more.into_iter().map(|v| v.map(|v| v * unit)));
        } else if let Some((name, value)) = word.split_once('=') {
            out.attributes.push((name.to_owned(), value.to_owned()));
        } else {
            out.names.push(word);
        }
    }
    Ok(Some(out))
}

struct Builder {
    objects: Objects,
    series: SeriesStore,
    workloads: BTreeMap<WorkloadId, Workload>,
    logs: BTreeMap<(WorkloadId, String), Logs>,
}

/// The logs of a container, with pods that have it, pods that were read, and whether they were cut.
#[derive(Default)]
struct Logs {
    stream: LogStream,
    tally: LogTally,
    pods: u32,
    read: u32,
    cut: bool,
    begins: Option<Timestamp>,
    worst_pod: String,
    worst_previous: bool,
}

fn build(text: &str) -> Result<Fixture, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        lines.extend(read_line(number + 1, line)?);
    }
    let longest = lines.iter().flat_map(|l| &l.series).map(|(_, values)| values.len()).max();
    let (mut step, mut lookback, mut clock) = (Seconds::from_hours(1.0), None, 0.0);
    let mut params = BTreeMap::new();
    for line in lines.iter().filter(|l| l.head == "window") {
        line.known(&["step", "lookback", "now"])?;
        step = line.parse("step")?.unwrap_or(step);
        lookback = line.parse::<Seconds>("lookback")?;
        if let Some(now) = line.get("now") {
            let (sign, amount) = now.strip_prefix('-').map_or((1.0, now), |rest| (-1.0, rest));
            clock = sign * amount.parse::<Seconds>().map_err(|_| line.refuse(now))?.get();
        }
    }
    let lookback = lookback.unwrap_or(Seconds(longest.unwrap_or(24).max(3) as f64 * step.get()));
    let window = Window::ending(END, lookback, step).map_err(|why| why.to_string())?;
    let mut b = Builder {
        objects: Objects::default(),
        series: SeriesStore::default(),
        workloads: BTreeMap::new(),
        logs: BTreeMap::new(),
    };
    for metric in Metric::ALL {
        b.series.fetched(*metric);
    }
    for line in &lines {
        match line.head.as_str() {
            "window" => {}
            "set" => params.extend(line.attributes.iter().cloned()),
            "workload" => b.workload(line)?,
            "container" => b.container(line)?,
            "pod" => b.pod(line)?,
            "past" => {
                let [namespace, pod, container] = line.path()?;
                b.insert(line, &SeriesKey::container(namespace, pod, container));
            }
            "hpa" => b.hpa(line)?,
            "event" => b.event(line)?,
            "node" => b.node(line)?,
            "service" => b.service(line)?,
            "route" => b.route(line)?,
            "all-namespaces" => b.objects.inventory.all_namespaces = true,
            "secret" => b.secret(line)?,
            "managed" => b.managed(line)?,
            "served" => b.served(line)?,
            "skip-certificates" => {
                line.known(&["namespace"])?;
                b.objects.inventory.certificates_skipped.push(CertificatesSkipped {
                    namespace: line.get("namespace").map(str::to_owned),
                    reason: line.names.join(" "),
                });
            }
            "dns" => {
                line.known(&["origin", "value", "elsewhere"])?;
                let (origin, value) = (line.text("origin"), line.text("value"));
                let elsewhere = match line.get("elsewhere") {
                    None => Elsewhere::Nothing,
                    Some("route") => Elsewhere::Route,
                    Some("any-host") => Elsewhere::AnyHost,
                    Some(_) => Elsewhere::Unknown,
                };
                let names = line.names.iter().cloned();
                b.objects.inventory.dns_names.extend(names.map(|host| DnsName {
                    host,
                    origin: origin.clone(),
                    value: value.clone(),
                    elsewhere,
                }));
            }
            "requests" => {
                line.known(&["count", "span"])?;
                let requests = line.parse("count")?.unwrap_or(0);
                let span = line.parse("span")?.unwrap_or(Seconds::from_hours(24.0));
                let names = line.names.iter().cloned();
                b.objects.inventory.host_requests.extend(names.map(|host| HostRequests {
                    host,
                    requests,
                    span,
                }));
            }
            "budget" => b.budget(line)?,
            "claim" => b.claim(line)?,
            "volume" => b.volume(line)?,
            "namespace" => b.namespace(line)?,
            "apiservice" => b.api_service(line)?,
            "quota" => b.quota(line)?,
            "job" => b.job(line)?,
            "cronjob" => b.cron_job(line)?,
            "log" => b.log(line)?,
            "written" | "requested" | "nothing-written" => b.api_use(line)?,
            "server" => {
                line.known(&["version"])?;
                b.objects.inventory.server_version = line.text("version");
            }
            "thinned" => {
                let [namespace, pod] = line.path()?;
                b.series.thin_out(namespace, pod);
            }
            "absent" | "failed" | "partial" => {
                for name in &line.names {
                    let (metric, _) = metric(name).ok_or_else(|| line.refuse(name))?;
                    let why = match line.head.as_str() {
                        "absent" => Missing::MetricAbsent { metric },
                        "partial" => Missing::PartialAnswer { metric },
                        _ => Missing::QueryFailed { metric },
                    };
                    b.series.missing(metric, why);
                }
            }
            "offline" => Metric::ALL.iter().for_each(|m| b.series.missing(*m, Missing::NoMetricsSource)),
            "denied" => b.denied(line)?,
            "chosen-namespaces" => {}
            "origin" => b.objects.origin = Origin::KubeStateMetrics,
            other => return Err(format!("fixture line {}: unknown word `{other}`", line.number)),
        }
    }
    let mut objects = b.objects;
    objects.workloads = b.workloads.into_values().collect();
    objects.logs = b.logs.into_iter().map(|((id, container), logs)| logs.summary(id, container)).collect();
    // As sources do.
    objects.inventory.sort();
    objects.give_architectures_to_pods();
    objects.give_other_builds();
    objects.give_node_kills_to_pods();
    if lines.iter().all(|line| line.head != "chosen-namespaces") {
        objects.give_pods_to_nodes();
    }
    let taken_at = END.plus_seconds(clock);
    objects.give_starts(taken_at);
    objects.inventory.give_warnings(objects.events.iter(), taken_at);
    let snapshot = Snapshot { cluster: "test".to_owned(), taken_at, window, objects, series: b.series };
    Ok(Fixture { snapshot, params })
}

impl Logs {
    fn summary(mut self, workload: WorkloadId, container: String) -> LogSummary {
        self.stream.end(&mut self.tally);
        let since = before(Seconds::from_days(1.0));
        let Self { tally, pods, read: pods_read, cut, begins, worst_pod, worst_previous, .. } = self;
        LogSummary {
            workload,
            container,
            since,
            begins,
            worst_pod,
            worst_previous,
            pods,
            pods_read,
            cut,
            said: tally.content(),
        }
    }
}

impl Builder {
    fn insert(&mut self, line: &Line, key: &SeriesKey) {
        for (metric, values) in &line.series {
            self.series.insert(*metric, key.clone(), Samples::new(0, values.iter().copied()));
        }
    }

    fn workload(&mut self, line: &Line) -> Result<(), String> {
        let [namespace, kind, name] = line.path()?;
        let id = WorkloadId::new(namespace, kind, name);
        let replicas = match line.get("replicas") {
            None => None,
            Some(text) => {
                let (ready, desired) = text.split_once('/').ok_or_else(|| line.refuse(text))?;
                let read = |t: &str| t.parse().map_err(|_| line.refuse(text));
                Some(Replicas { desired: read(desired)?, ready: read(ready)? })
            }
        };
        let update = match line.get("updated") {
            None => None,
            Some(text) => {
                let (updated, wanted) = text.split_once('/').ok_or_else(|| line.refuse(text))?;
                let read = |t: &str| t.parse().map_err(|_| line.refuse(text));
                Some(Update { updated: read(updated)?, wanted: read(wanted)? })
            }
        };
        let revisions = line.get("revisions").unwrap_or_default().split(',').filter(|r| !r.is_empty());
        let notes = line.attributes.iter().filter_map(|(n, v)| Some((n.strip_prefix("note:")?, v)));
        let made = Workload {
            id: id.clone(),
            replicas,
            created: Some(line.ago("created")?.unwrap_or(before(Seconds::from_days(90.0)))),
            revisions: revisions
                .map(|text| revision(text).ok_or_else(|| line.refuse(text)))
                .collect::<Result<_, _>>()?,
            annotations: notes.map(|(n, v)| (n.to_owned(), v.clone())).collect(),
            conditions: line.conditions()?,
            update,
        };
        self.workloads.insert(id, made);
        Ok(())
    }

    /// The workload of a pod; made when no line has declared it.
    fn owner(&mut self, line: &Line, namespace: &str, pod: &str) -> Result<WorkloadId, String> {
        let (kind, name, revision) = match line.get("owner") {
            Some(owner) => {
                let (kind, name) = owner.split_once('/').ok_or_else(|| line.refuse(owner))?;
                (kind.to_owned(), name.to_owned(), None)
            }
            None => owner_by_name(pod),
        };
        let id = WorkloadId::new(namespace, &kind, &name);
        let workload = self.workloads.entry(id.clone()).or_insert_with(|| Workload {
            created: Some(before(Seconds::from_days(90.0))),
            ..Workload::new(id.clone())
        });
        if let Some(name) = revision
            && workload.revisions.iter().all(|r| r.name != name)
        {
            workload.revisions.push(Revision { name, created: None });
        }
        Ok(id)
    }

    fn pod_named(&mut self, id: &WorkloadId, name: &str) -> &mut Pod {
        let pods = &mut self.objects.pods;
        let at = pods.iter().position(|p| p.workload.namespace == id.namespace && p.name == name);
        let at = at.unwrap_or_else(|| {
            pods.push(Pod {
                name: name.to_owned(),
                workload: id.clone(),
                phase: PodPhase::Running,
                reason: None,
                node: Some("node-1".to_owned()),
                created: Some(before(Seconds::from_days(20.0))),
                ready: Some(true),
                deleting: false,
                unschedulable: None,
                containers: Vec::new(),
                ..Pod::default()
            });
            pods.len() - 1
        });
        &mut pods[at]
    }

    fn pod(&mut self, line: &Line) -> Result<(), String> {
        line.known(&[
            "owner",
            "phase",
            "reason",
            "ready",
            "created",
            "node",
            "unschedulable",
            "since",
            "deleting",
            "evicted",
            "message",
            "request",
            "limit",
            "cpu-request",
            "cpu-limit",
            "places",
        ])?;
        let [namespace, name] = line.path()?;
        let known = self.objects.pods.iter().find(|p| p.workload.namespace == namespace && p.name == name);
        let id = match known.map(|p| p.workload.clone()) {
            Some(id) if line.get("owner").is_none() => id,
            _ => self.owner(line, namespace, name)?,
        };
        let pod = self.pod_named(&id, name);
        if let Some(phase) = line.get("phase") {
            pod.phase = match phase {
                "Pending" => PodPhase::Pending,
                "Running" => PodPhase::Running,
                "Succeeded" => PodPhase::Succeeded,
                "Failed" => PodPhase::Failed,
                "Unknown" => PodPhase::Unknown,
                "NotReported" => PodPhase::NotReported,
                other => return Err(line.refuse(other)),
            };
            pod.ready = Some(pod.phase == PodPhase::Running);
        }
        if let Some(ready) = line.get("ready") {
            pod.ready = yes(ready).map_err(|()| line.refuse(ready))?;
        }
        let place = |text: &str| {
            let (platform, nodes) = text.split_once(':')?;
            Some((platform.to_owned(), nodes.parse().ok()?))
        };
        pod.places = line.list("places", place)?.into_iter().collect();
        pod.resources = resources(line)?;
        pod.reason = line.get("reason").map(str::to_owned);
        if let Some(at) = line.ago("evicted")? {
            pod.eviction = Some(Eviction { at: Some(at), message: line.text("message") });
        }
        pod.gone_by = line.ago("deleting")?;
        pod.deleting = line.flag("deleting") || pod.gone_by.is_some();
        if let Some(created) = line.get("created") {
            pod.created = if created == "unknown" { None } else { line.ago("created")? };
        }
        if let Some(node) = line.get("node") {
            pod.node = (!node.is_empty()).then(|| node.to_owned());
        }
        if line.flag("gated") {
            (pod.gated, pod.phase, pod.ready, pod.node) = (true, PodPhase::Pending, Some(false), None);
        }
        if let Some(message) = line.get("unschedulable") {
            pod.unschedulable =
                Some(Unschedulable { since: line.ago("since")?, message: message.to_owned() });
            pod.phase = PodPhase::Pending;
            pod.ready = Some(false);
            pod.node = None;
        }
        Ok(())
    }

    fn container(&mut self, line: &Line) -> Result<(), String> {
        line.known(&[
            "owner",
            "limit",
            "request",
            "cpu-limit",
            "cpu-request",
            "pods",
            "role",
            "image",
            "image-id",
            "probes",
            "policy",
            "digest",
            "platforms",
            "jvm",
            "jvm-unread",
            "state",
            "last",
            "said",
            "message",
            "restarts",
            "ready",
            "created",
        ])?;
        let [namespace, first, name] = line.path()?;
        let resources = resources(line)?;
        for pod_name in replicas_of(first, line.parse("pods")?.unwrap_or(1)) {
            let id = self.owner(line, namespace, &pod_name)?;
            let created = line.ago("created")?;
            let pod = self.pod_named(&id, &pod_name);
            pod.created = created.or(pod.created);
            let state = line.get("state").unwrap_or("running");
            let (state, ready) = read_state(state, line.get("message").unwrap_or_default(), pod.created)
                .ok_or_else(|| line.refuse(state))?;
            let ready = match line.get("ready") {
                Some(text) => yes(text).map_err(|()| line.refuse(text))?,
                None => Some(ready),
            };
            if ready == Some(false) && !matches!(state, Some(ContainerState::Terminated(_))) {
                pod.ready = Some(false);
            }
            let restarts = match line.get("restarts") {
                Some("unknown") => None,
                _ => Some(line.parse("restarts")?.unwrap_or(0)),
            };
            let said = line.get("said").unwrap_or_default();
            let last =
                line.get("last").map(|t| termination(t, said).ok_or_else(|| line.refuse(t))).transpose()?;
            let image = line.get("image").unwrap_or("registry.example/app:1.0");
            pod.containers.push(Container {
                name: name.to_owned(),
                role: match line.get("role") {
                    None => ContainerRole::Main,
                    Some("init") => ContainerRole::Init,
                    Some("sidecar") => ContainerRole::Sidecar,
                    Some(other) => return Err(line.refuse(other)),
                },
                image: image.to_owned(),
                image_id: line
                    .get("digest")
                    .map_or_else(|| line.text("image-id"), |d| format!("{image}@{d}")),
                platforms: line.list("platforms", |platform| Some(platform.to_owned()))?,
                pull_policy: match line.get("policy") {
                    Some("unknown") => String::new(),
                    policy => policy.unwrap_or("IfNotPresent").to_owned(),
                },
                jvm_flags: flags_in(line.get("jvm").unwrap_or_default(), FlagPlace::Arguments),
                jvm_unread: line.list("jvm-unread", unread_options)?,
                probes: line.get("probes").map(read_probes),
                resources,
                state,
                last_termination: last,
                restarts,
                ready,
                ..Container::default()
            });
            self.insert(line, &SeriesKey::container(namespace, &pod_name, name));
        }
        Ok(())
    }

    fn hpa(&mut self, line: &Line) -> Result<(), String> {
        let [namespace, name] = line.path()?;
        let target = line.get("target").map_or_else(|| format!("Deployment/{name}"), str::to_owned);
        let (kind, target) = target.split_once('/').ok_or_else(|| line.refuse(&target))?;
        let current: u32 = line.parse("now")?.unwrap_or(1);
        let mut hpa = Hpa {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            target: ScaleTarget { kind: kind.to_owned(), name: target.to_owned() },
            min_replicas: line.parse("min")?.unwrap_or(1),
            max_replicas: line.parse("max")?.unwrap_or(10),
            current_replicas: current,
            desired_replicas: line.parse("desired")?.unwrap_or(current),
            metrics: Vec::new(),
            conditions: Vec::new(),
            reports_current: !line.flag("without-current"),
        };
        for (name, value) in &line.attributes {
            let refuse = || line.refuse(&format!("{name}={value}"));
            match name.as_str() {
                "target" | "now" | "min" | "max" | "desired" => {}
                kind if kind.starts_with(|c: char| c.is_ascii_uppercase()) => {
                    hpa.conditions.push(condition(kind, value).ok_or_else(refuse)?);
                }
                metric => hpa.metrics.push(hpa_metric(metric, value).ok_or_else(refuse)?),
            }
        }
        self.objects.hpas.push(hpa);
        self.insert(line, &SeriesKey::autoscaler(namespace, name));
        Ok(())
    }

    fn event(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["reason", "count", "first", "last", "message", "seen"])?;
        let [namespace, kind, name] = line.path()?;
        let last = line.ago("last")?.unwrap_or(END);
        self.objects.events.push(Event {
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            reason: line.get("reason").unwrap_or("Unhealthy").to_owned(),
            message: line.get("message").unwrap_or_default().to_owned(),
            count: line.parse("count")?.unwrap_or(1),
            first: Some(line.ago("first")?.unwrap_or(last)),
            last: Some(last),
            seen: line.ago("seen")?,
        });
        Ok(())
    }

    fn node(&mut self, line: &Line) -> Result<(), String> {
        self.objects.nodes.push(Node {
            name: line.path::<1>()?[0].to_owned(),
            architecture: line.get("arch").unwrap_or("amd64").to_owned(),
            system: line.text("os"),
            allocatable_cpu: line.parse("cpu")?,
            allocatable_memory: line.parse("memory")?,
            allocatable_pods: line.parse("pods")?,
            pods: None,
            conditions: line.conditions()?,
            unschedulable: line.flag("cordoned") || line.get("cordoned").is_some(),
            unschedulable_since: line.ago("cordoned")?,
            is_virtual: line.flag("virtual"),
            kubelet_version: line.text("kubelet"),
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn service(&mut self, line: &Line) -> Result<(), String> {
        line.known(&[
            "type",
            "ports",
            "selects",
            "ready",
            "all",
            "zero",
            "oldest-pod",
            "address",
            "class",
            "dns",
            "created",
        ])?;
        let ready = line.parse("ready")?;
        let all = line.parse("all")?.or(ready);
        let port = |text: &str| {
            let (text, target) = text.split_once('>').map_or((text, None), |(text, to)| (text, Some(to)));
            let (name, port) = text.split_once(':').unwrap_or(("", text));
            let (port, protocol) = port.split_once('/').unwrap_or((port, ""));
            let ready = target.map(|to| if to.ends_with('!') { 0 } else { ready.unwrap_or(0) });
            Some(ServicePort {
                name: name.to_owned(),
                port: port.parse().ok()?,
                protocol: protocol.to_owned(),
                target: target.unwrap_or_default().trim_end_matches('!').to_owned(),
                ready,
            })
        };
        let address =
            line.get("address").map(|text| yes(text).map_err(|()| line.refuse(text))).transpose()?;
        let load_balancer = address.flatten().map(|has_address| LoadBalancer {
            class: line.text("class"),
            has_address,
            warning: None,
        });
        self.objects.inventory.services.push(Service {
            id: line.id()?,
            kind: line.get("type").unwrap_or("ClusterIP").to_owned(),
            selects: line.get("selects") != Some("no"),
            headless: line.flag("headless"),
            ports: line.list("ports", port)?,
            endpoints: all.map(|all| Endpoints { ready: ready.unwrap_or(0), all }),
            scaled_to_zero: line.get("zero").map(str::to_owned),
            oldest_pod: line.ago("oldest-pod")?,
            load_balancer,
            dns_names: line.list("dns", |name| Some(name.to_owned()))?,
            deleting: line.flag("deleting"),
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn route(&mut self, line: &Line) -> Result<(), String> {
        let conditions = ["Accepted", "ResolvedRefs"];
        let own = ["hosts", "backends", "tls", "dns", "created", "expressions", "parent"];
        line.known(&[&own[..], &conditions].concat())?;
        let [namespace, kind, name] = line.path()?;
        let text = |name: &str| Some(name.to_owned());
        let backend = |text: &str| {
            let (service, port) = text.split_once(':').map_or((text, None), |(s, p)| (s, Some(p.to_owned())));
            let (namespace, service) = service.split_once('/').unwrap_or((namespace, service));
            Some(Backend { service: ObjectId::new(namespace, service), port })
        };
        let tls = |text: &str| {
            let (host, secret) = text.split_once('@')?;
            let hosts = (!host.is_empty()).then(|| host.to_owned());
            let secret = (!secret.is_empty()).then(|| ObjectId::new(namespace, secret));
            Some(RouteTls { hosts: hosts.into_iter().collect(), secret })
        };
        let gateway = |text: &str| {
            let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
            Some(RouteParent { gateway: ObjectId::new(namespace, name), refused: Vec::new() })
        };
        let mut parents = line.list("parent", gateway)?;
        if let Some(first) = parents.first_mut() {
            first.refused = line.conditions()?;
            first.refused.retain(|c| c.status == Some(false));
        }
        self.objects.inventory.routes.push(Route {
            id: ObjectId::new(namespace, name),
            kind: kind.to_owned(),
            hosts: line.list("hosts", text)?,
            any_host: line.flag("any-host"),
            expressions: line.list("expressions", text)?,
            tls: line.list("tls", tls)?,
            backends: line.list("backends", backend)?,
            parents,
            dns_names: line.list("dns", text)?,
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn secret(&mut self, line: &Line) -> Result<(), String> {
        const KNOWN: [&str; 11] = [
            "names",
            "expires",
            "since",
            "issuer",
            "chain",
            "unread",
            "fingerprint",
            "issuer-url",
            "broken",
            "managed",
            "used-by",
        ];
        line.known(&KNOWN)?;
        let text = |name: &str| line.get(name).map(str::to_owned);
        self.objects.inventory.tls_secrets.push(TlsSecret {
            id: line.id()?,
            chain: certificates(line)?,
            unread: line.parse("unread")?.unwrap_or(0),
            broken: text("broken"),
            managed_by: text("managed"),
            used_by: text("used-by"),
        });
        Ok(())
    }

    fn managed(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["secret", "expires", "renewal", "failed", "created", "Ready", "Issuing"])?;
        self.objects.inventory.managed_certificates.push(ManagedCertificate {
            id: line.id()?,
            secret: line.text("secret"),
            conditions: line.conditions()?,
            not_after: line.ahead("expires")?,
            renewal: line.ahead("renewal")?,
            failed_attempts: line.parse("failed")?.unwrap_or(0),
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn served(&mut self, line: &Line) -> Result<(), String> {
        const KNOWN: [&str; 10] = [
            "names",
            "expires",
            "since",
            "issuer",
            "chain",
            "unread",
            "fingerprint",
            "issuer-url",
            "needed",
            "failed",
        ];
        line.known(&KNOWN)?;
        let id = line.id()?;
        let (host, port) = id.name.rsplit_once(':').ok_or_else(|| line.refuse(&id.name))?;
        self.objects.inventory.served.push(ServedCertificate {
            host: host.to_owned(),
            port: port.parse().map_err(|_| line.refuse(port))?,
            chain: certificates(line)?,
            unread: line.parse("unread")?.unwrap_or(0),
            unknown_issuer: line.flag("unknown-issuer"),
            needed: line.parse("needed")?,
            failed: line.get("failed").map(str::to_owned),
            id,
        });
        Ok(())
    }

    fn budget(&mut self, line: &Line) -> Result<(), String> {
        let text = |name: &str| line.get(name).map(str::to_owned);
        let workload = |text: &str| {
            let (kind, name) = text.split_once('/').ok_or_else(|| line.refuse(text))?;
            Ok::<_, String>(WorkloadId::new(&line.id()?.namespace, kind, name))
        };
        let shared = match line.get("shared") {
            Some("unknown") => None,
            _ => Some(SharedPods {
                pods: line.parse("shared")?.unwrap_or(0),
                with: line.list("with", |name| Some(name.to_owned()))?,
                pod: line.text("pod"),
                workload: line.get("workload").map(workload).transpose()?,
            }),
        };
        self.objects.inventory.disruption_budgets.push(DisruptionBudget {
            id: line.id()?,
            min_available: text("min"),
            max_unavailable: text("max"),
            expected_pods: line.parse("expected")?,
            current_healthy: line.parse("healthy")?.unwrap_or(0),
            desired_healthy: line.parse("desired")?.unwrap_or(0),
            disruptions_allowed: line.parse("allowed")?.unwrap_or(0),
            shared,
            scaled_to_zero: text("zero"),
            owner: text("owner"),
            conditions: line.conditions()?,
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn claim(&mut self, line: &Line) -> Result<(), String> {
        let [namespace, name] = line.path()?;
        self.insert(line, &SeriesKey::volume_claim(namespace, name));
        line.known(&["phase", "class", "requested", "capacity", "modes", "used-by", "created"])?;
        self.objects.inventory.volume_claims.push(VolumeClaim {
            id: line.id()?,
            phase: line.get("phase").unwrap_or("Bound").to_owned(),
            class: line.text("class"),
            requested: line.parse("requested")?,
            capacity: line.parse("capacity")?,
            access_modes: line.list("modes", |mode| Some(mode.to_owned()))?,
            used_by: line.get("used-by").map(str::to_owned),
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn volume(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["phase", "policy", "class", "capacity", "claim", "message", "since", "created"])?;
        let claim = |text: &str| text.split_once('/').map(|(namespace, name)| ObjectId::new(namespace, name));
        self.objects.inventory.volumes.push(Volume {
            id: line.id_in_none()?,
            phase: line.get("phase").unwrap_or("Bound").to_owned(),
            policy: line.get("policy").unwrap_or("Delete").to_owned(),
            class: line.text("class"),
            capacity: line.parse("capacity")?,
            claim: line.list("claim", claim)?.into_iter().next(),
            local: line.flag("local"),
            message: line.text("message"),
            since: line.ago("since")?,
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn namespace(&mut self, line: &Line) -> Result<(), String> {
        self.objects.inventory.namespaces.push(Namespace {
            id: line.id_in_none()?,
            deleted: line.ago("deleting")?,
            conditions: line.conditions()?,
        });
        Ok(())
    }

    fn api_service(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["service", "created", "Available"])?;
        let (namespace, name) = line
            .get("service")
            .unwrap_or("kube-system/metrics-server")
            .split_once('/')
            .ok_or_else(|| line.refuse("service"))?;
        self.objects.inventory.api_services.push(ApiService {
            id: line.id_in_none()?,
            service: ObjectId::new(namespace, name),
            conditions: line.conditions()?,
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn quota(&mut self, line: &Line) -> Result<(), String> {
        let bound = |(name, value): &(String, String)| {
            let (used, hard) = value.split_once('/')?;
            let (used, hard) = (parse_quantity(used).ok()?, parse_quantity(hard).ok()?);
            Some(QuotaResource { name: name.clone(), hard, used })
        };
        let resources: Option<Vec<_>> = line.attributes.iter().map(bound).collect();
        let resources = resources.ok_or_else(|| line.refuse("used/hard"))?;
        self.objects.inventory.quotas.push(Quota { id: line.id()?, resources });
        Ok(())
    }

    fn job(&mut self, line: &Line) -> Result<(), String> {
        self.objects.inventory.jobs.push(Job {
            id: line.id()?,
            cron_job: line.get("cron").map(str::to_owned),
            created: line.ago("created")?,
            started: match line.flag("unstarted") {
                true => None,
                false => line.ago("started")?.or(line.ago("created")?),
            },
            completed: line.ago("completed")?,
            active: line.parse("active")?.unwrap_or(0),
            succeeded: line.parse("succeeded")?.unwrap_or(0),
            failed: line.parse("failed")?.unwrap_or(0),
            backoff_limit: line.parse("backoff")?,
            deadline: line.parse("deadline")?,
            suspended: line.flag("suspended"),
            conditions: line.conditions()?,
        });
        Ok(())
    }

    fn cron_job(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["schedule", "zone", "concurrency", "last-schedule", "last-success", "created"])?;
        self.objects.inventory.cron_jobs.push(CronJob {
            id: line.id()?,
            schedule: line.get("schedule").unwrap_or("0 3 * * *").to_owned(),
            time_zone: line.get("zone").map(str::to_owned),
            suspended: line.flag("suspended"),
            concurrency: line.text("concurrency"),
            last_schedule: line.ago("last-schedule")?,
            last_success: line.ago("last-success")?,
            created: line.ago("created")?,
        });
        Ok(())
    }

    fn api_use(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["as", "manager", "at", "removed"])?;
        let api_use = self.objects.inventory.api_use.get_or_insert_default();
        let path = line.text("as");
        let (api_version, resource) = path.rsplit_once('/').unwrap_or_default();
        let (api_version, resource) = (api_version.to_owned(), resource.to_owned());
        match line.head.as_str() {
            "written" => api_use.written.push(WrittenAs {
                api_version,
                resource,
                id: line.id()?,
                applied: line.flag("applied"),
                manager: line.text("manager"),
                at: line.ago("at")?,
            }),
            "requested" => {
                let removed_in = line.parse("removed")?.ok_or_else(|| line.refuse("removed"))?;
                api_use.requested.push(RequestedApi { api_version, resource, removed_in });
            }
            _ => {}
        }
        Ok(())
    }

    fn log(&mut self, line: &Line) -> Result<(), String> {
        line.known(&["container", "times", "ago", "begins", "pods", "read", "worst", "line"])?;
        let [namespace, kind, name] = line.path()?;
        let key = (WorkloadId::new(namespace, kind, name), line.get("container").unwrap_or("app").to_owned());
        let pods = line.parse("pods")?.unwrap_or(1);
        let at = line.ago("ago")?.unwrap_or(before(Seconds::from_hours(1.0)));
        let logs = self.logs.entry(key).or_default();
        (logs.pods, logs.read) = (pods, line.parse("read")?.unwrap_or(pods));
        logs.cut |= line.flag("cut");
        logs.begins = line.ago("begins")?;
        logs.worst_pod = line.get("worst").unwrap_or_default().to_owned();
        logs.worst_previous = line.flag("previous");
        for n in 0..line.parse("times")?.unwrap_or(1) {
            // Written with single quotation marks, because the notation has double ones for itself.
            let text = line.text("line").replace("{n}", &format!("{n}")).replace('\'', "\"");
            logs.stream.push_line(at, text.as_bytes(), &mut logs.tally);
        }
        Ok(())
    }

    fn denied(&mut self, line: &Line) -> Result<(), String> {
        let namespace = line.get("namespace").map(str::to_owned);
        let outside = line.flag("outside");
        for name in line.names.iter().filter(|name| *name != "outside") {
            let kind = ObjectKind::ALL.iter().copied().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| line.refuse(name))?;
            let why = Missing::AccessDenied {
                verb: if kind == ObjectKind::Logs { "get" } else { "list" }.to_owned(),
                // As the RBAC rule has it.
                resource: match kind {
                    ObjectKind::TlsSecrets => "secrets".to_owned(),
                    ObjectKind::ManagedCertificates => "certificates.cert-manager.io".to_owned(),
                    ObjectKind::Logs => "pods/log".to_owned(),
                    _ => name.clone(),
                },
                namespace: namespace.clone(),
            };
            let why = if outside { Missing::OutsideNamespaces { resource: name.clone() } } else { why };
            self.objects.unavailable.push(Unavailable::new(kind, namespace.clone(), why));
        }
        Ok(())
    }
}

/// `JAVA_OPTS:secret:env`, `HEAP:undefined`.
fn unread_options(text: &str) -> Option<UnreadOptions> {
    let mut parts = text.split(':').map(str::to_owned);
    let (variable, why, name) = (parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    let why = match why.as_str() {
        "undefined" => Unread::Undefined,
        "field" => Unread::Field,
        "command" => Unread::Command,
        "file" => Unread::File,
        "template" => Unread::Template,
        "malformed" => Unread::Malformed,
        "too-long" => Unread::TooLong,
        "secret" => Unread::Secret { name },
        "no-config-map" => Unread::NoConfigMap { name },
        "absent" => Unread::Absent { name },
        "denied" => Unread::Denied { name },
        "failed" => Unread::Failed { name },
        _ => return None,
    };
    Some(UnreadOptions { place: FlagPlace::of_variable(&variable), variable, why })
}

/// The chain of a line; none where it is broken or was not shown.
fn certificates(line: &Line) -> Result<Vec<Certificate>, String> {
    let first = line.get("fingerprint").unwrap_or("00").to_owned();
    let expires = line.ahead("expires")?.unwrap_or(END.plus_seconds(90.0 * 86_400.0));
    let names = line.list("names", |name| Some(name.to_owned()))?;
    let issuer = line.get("issuer").unwrap_or("CN=ca");
    let own = |at: usize| Certificate {
        subject: if at == 0 {
            format!("CN={}", line.path().map_or("", |[_, n]: [&str; 2]| n))
        } else {
            issuer.to_owned()
        },
        issuer: if at == 0 { issuer.to_owned() } else { "CN=root".to_owned() },
        names: if at == 0 { names.clone() } else { Vec::new() },
        not_before: END.plus_seconds(-30.0 * 86_400.0),
        not_after: if at == 0 { expires } else { END.plus_seconds(3650.0 * 86_400.0) },
        fingerprint: if at == 0 { first.clone() } else { format!("{at:02x}") },
        issuer_url: line.get("issuer-url").filter(|_| at == 0).map(str::to_owned),
    };
    let nothing_read = line.get("broken").or(line.get("failed")).is_some();
    let count = line.parse("chain")?.unwrap_or(usize::from(!nothing_read));
    let mut chain: Vec<Certificate> = (0..count).map(own).collect();
    if let (Some(since), Some(own)) = (line.ago("since")?, chain.first_mut()) {
        own.not_before = since;
    }
    Ok(chain)
}

/// `yes`, `no`, and `unknown` for what is not reported.
fn yes(text: &str) -> Result<Option<bool>, ()> {
    match text {
        "yes" => Ok(Some(true)),
        "no" => Ok(Some(false)),
        "unknown" => Ok(None),
        _ => Err(()),
    }
}

/// `api-7d9c5bd4f7@2h`: a name and when it was made.
fn revision(text: &str) -> Option<Revision> {
    let (name, ago) = text.split_once('@').map_or((text, None), |(name, ago)| (name, Some(ago)));
    let created = ago.map(str::parse::<Seconds>).transpose().ok()?.map(before);
    Some(Revision { name: name.to_owned(), created })
}

fn owner_by_name(pod: &str) -> (String, String, Option<String>) {
    let own = ("Pod".to_owned(), pod.to_owned(), None);
    let Some((stem, end)) = pod.rsplit_once('-') else { return own };
    if !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()) {
        return ("StatefulSet".to_owned(), stem.to_owned(), None);
    }
    match stem.rsplit_once('-') {
        Some((name, hash))
            if end.len() == 5 && hash.len() >= 6 && hash.bytes().any(|b| b.is_ascii_digit()) =>
        {
            ("Deployment".to_owned(), name.to_owned(), Some(stem.to_owned()))
        }
        _ => own,
    }
}

/// `count` names from the first: `api-0`, `api-1`, ...; generated ends count through their last letter.
fn replicas_of(first: &str, count: usize) -> Vec<String> {
    let digits =
        first.rsplit_once('-').filter(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()));
    match digits {
        Some((stem, end)) => {
            let from: usize = end.parse().unwrap_or(0);
            (from..from + count).map(|i| format!("{stem}-{i}")).collect()
        }
        None => {
            let stem: String = first.chars().take(first.chars().count().saturating_sub(1)).collect();
            let last = first.chars().last().unwrap_or('z');
            let others = "bcdfghjklmnpqrstvwxz2456789".chars().filter(|c| *c != last);
            std::iter::once(last).chain(others).take(count).map(|c| format!("{stem}{c}")).collect()
        }
    }
}

/// `readiness,liveness`; other words are none.
fn read_probes(text: &str) -> Probes {
    let has = |name: &str| text.split(',').any(|word| word == name);
    Probes { liveness: has("liveness"), readiness: has("readiness"), startup: has("startup") }
}

/// `REASON:EXIT@AGO` or a part of it.
fn termination(text: &str, message: &str) -> Option<Termination> {
    let (what, ago) = match text.split_once('@') {
        Some((what, ago)) => (what, Some(ago.parse::<Seconds>().ok()?)),
        None => (text, None),
    };
    let (reason, code) = match what.split_once(':') {
        Some((reason, code)) => (reason, Some(code.parse().ok()?)),
        None => (what, None),
    };
    Some(Termination {
        reason: reason.to_owned(),
        exit_code: code,
        message: message.to_owned(),
        started: None,
        finished: ago.map(before),
    })
}

fn resources(line: &Line) -> Result<Resources, String> {
    Ok(Resources {
        memory_request: line.parse::<Bytes>("request")?,
        memory_limit: line.parse::<Bytes>("limit")?,
        cpu_request: line.parse::<Cores>("cpu-request")?,
        cpu_limit: line.parse::<Cores>("cpu-limit")?,
    })
}

/// The state, and whether a container in it is ready.
fn read_state(
    text: &str,
    message: &str,
    created: Option<Timestamp>,
) -> Option<(Option<ContainerState>, bool)> {
    let (what, ago) = match text.split_once('@') {
        Some((what, ago)) => (what, Some(before(ago.parse::<Seconds>().ok()?))),
        None => (text, None),
    };
    let ended = |reason: &str, code| {
        ContainerState::Terminated(Termination {
            reason: reason.to_owned(),
            exit_code: Some(code),
            message: message.to_owned(),
            started: created,
            finished: ago,
        })
    };
    Some(match what.split_once(':') {
        None if what == "running" => (Some(ContainerState::Running { started: ago.or(created) }), true),
        None if what == "unknown" => (None, true),
        None if what == "completed" => (Some(ended("Completed", 0)), false),
        Some(("waiting", reason)) => {
            let waiting = ContainerState::Waiting { reason: reason.to_owned(), message: message.to_owned() };
            (Some(waiting), false)
        }
        Some(("exited", code)) => (Some(ended("Error", code.parse().ok()?)), false),
        Some(("oom-killed", code)) => (Some(ended("OOMKilled", code.parse().ok()?)), false),
        _ => return None,
    })
}

/// `yes:Reason@20m`, `no:FailedGetResourceMetric@10m:message`.
fn condition(kind: &str, text: &str) -> Option<Condition> {
    let (status, rest) = text.split_once(':').unwrap_or((text, ""));
    let (reason, rest) = rest.split_once('@').unwrap_or((rest, ""));
    let (ago, message) = rest.split_once(':').unwrap_or((rest, ""));
    let since = if ago.is_empty() { None } else { Some(before(ago.parse::<Seconds>().ok()?)) };
    Some(Condition {
        kind: kind.to_owned(),
        status: yes(status).ok()?,
        reason: reason.to_owned(),
        message: message.to_owned(),
        since,
    })
}

/// `95%/70%`: what it reads and what it aims at; `?` for `<unknown>`.
fn hpa_metric(name: &str, text: &str) -> Option<HpaMetric> {
    let (current, target) = text.split_once('/')?;
    let utilization = target.ends_with('%');
    let read = |text: &str| text.parse::<crate::unit::Ratio>().ok().map(crate::unit::Ratio::get);
    Some(HpaMetric {
        name: name.to_owned(),
        target: Some(read(target)?),
        current: if current == "?" { None } else { Some(read(current)?) },
        utilization,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_as_promtool() {
        let read = |text: &str| samples(text).unwrap();
        assert_eq!(read("300+12x2"), [Some(300.0), Some(312.0), Some(324.0)]);
        assert_eq!(read("5x2 _ 1"), [Some(5.0), Some(5.0), Some(5.0), None, Some(1.0)]);
        assert_eq!(read("_x2 -1-0.5x1"), [None, None, Some(-1.0), Some(-1.5)]);
        assert!(read("nan")[0].unwrap().is_nan());
        assert!(samples("1+x3").is_err() && samples("x3").is_err() && samples("1x-1").is_err());
    }

    #[test]
    fn objects_and_series() {
        let text = r#"
            window step=5m
            container web/api-7d9c5bd4f7-x2x9z/app limit=512Mi pods=2 restarts=3 last=OOMKilled:137@2h  memory: 300+12x24 cpu: 0.1x24
            pod web/api-7d9c5bd4f7-x2x9z ready=no          # a comment
            container web/db-0/db state=waiting:CrashLoopBackOff message="back-off 5m"
            past web/api-6c6c6c6c6c-zzzzz/app  memory: _x3 1x3
            hpa web/api min=2 max=10 now=10 cpu=?/70% ScalingLimited=yes:TooManyReplicas@20m  replicas: 10x24
            absent rss
            denied events namespace=web
            set method=quarters
        "#;
        let Fixture { snapshot, params } = Fixture::new(text);
        let objects = &snapshot.objects;
        assert_eq!(params["method"], "quarters");
        assert_eq!(snapshot.window.points(), 25);
        assert_eq!(
            objects.pods.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["api-7d9c5bd4f7-x2x9z", "api-7d9c5bd4f7-x2x9b", "db-0"]
        );
        assert_eq!(objects.pods[0].ready, Some(false));
        assert_eq!(objects.pods[0].containers[0].last_termination.as_ref().unwrap().exit_code, Some(137));
        assert_eq!(objects.workloads.len(), 2);
        assert_eq!(objects.hpas[0].metrics[0].current, None);
        assert_eq!(objects.hpas[0].conditions[0].since, Some(before(Seconds(1200.0))));
        assert_eq!(objects.unavailable[0].kind, ObjectKind::Events);
        let key = SeriesKey::container("web", "api-7d9c5bd4f7-x2x9b", "app");
        let memory = snapshot.series.get(Metric::MemoryWorkingSet, &key).unwrap().unwrap();
        assert_eq!(memory.iter().nth(1), Some((1, 312.0 * MIB)));
        assert_eq!(
            snapshot.series.get(Metric::MemoryRss, &key),
            Err(Missing::MetricAbsent { metric: Metric::MemoryRss })
        );
    }

    #[test]
    #[should_panic(expected = "fixture line 1: container: cannot read `limt`")]
    fn a_slip_is_named() {
        let _ = Fixture::new("container web/api-0/app limt=3");
    }
}
