//! Logs of pods through the API, read while they stream past.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use healthcore::finding::Text;
use healthcore::logs::{LogSummary, LogTally};
use healthcore::model::ObjectKind;
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Unavailable};
use healthcore::time::Timestamp;
use healthcore::unit::Bytes;
use tokio::time::Instant;

use self::newest::{Newest, Part};
use super::KubernetesSource;
use super::request::encode;
use super::send::Refusal;
use crate::Fetched;
use crate::logs::{LogSettings, LogSource, LoggedPod, LogsRead, Target, share, targets};

mod newest;

/// Containers whose logs are read at once, for each request that may be under way: most of the time they wait for a first byte.
const AT_ONCE: usize = 4;
/// And at most, because of each the newest lines are held.
const MOST_AT_ONCE: usize = 16;
/// Namespaces that a gap names one by one; more are counted.
const MOST_NAMED: usize = 5;

/// How long after its start a container may write its first line. Unit: seconds.
const LATE: f64 = 600.0;

/// What was read of one container of one pod.
struct OfPod {
    /// Whether that is all that was looked for, also of the run before.
    is_read: bool,
    /// Whether no bound ended the reading.
    whole: bool,
    errors: u64,
    /// Whether most of them are of the run before.
    previous: bool,
    /// When the log begins, where older lines are missing.
    begins: Option<Timestamp>,
}

/// The log of the run of a container before the one of now.
enum Earlier<'a> {
    /// There is none in the time that is looked at, or none any more.
    None,
    /// It could not be read.
    Unread,
    Read(Newest<'a>, Part),
}

/// The logs of the pods of a cluster, as its API gives them.
struct Logs<'a> {
    api: &'a KubernetesSource,
    settings: &'a LogSettings,
}

impl Logs<'_> {
    fn gap(&self, cause: GapCause, said: Text) -> Gap {
        self.api.gap(None, "pods/log", cause, said)
    }

    /// What a container says, over the pods that are read one after the other; none when no pod could be read.
    async fn read(&self, target: Target, run: &Run) -> Option<LogSummary> {
        let namespace = &target.workload.namespace;
        let mut tally = LogTally::default();
        let (mut pods_read, mut cut, mut begins) = (0, false, None);
        let (mut most_errors, mut worst_pod, mut worst_previous) = (0, "", false);
        for pod in &target.pods {
            if Instant::now() >= run.deadline {
                run.note(|troubles| troubles.late += 1);
                cut = true;
                break;
            }
            if run.is_denied(namespace) {
                return None;
            }
            match self.stream(&target, pod, run, &mut tally).await {
                Ok(log) => {
                    pods_read += u32::from(log.is_read);
                    cut |= !log.whole;
                    if log.errors > most_errors {
                        (most_errors, worst_pod, begins) = (log.errors, &pod.name, log.begins);
                        worst_previous = log.previous;
                    }
                }
                // The pod is gone, or the container has not written anything yet.
                Err(Refusal::NotFound | Refusal::Status { code: 400, .. }) => {}
                Err(Refusal::Denied(_)) => run.note(|t| t.denied.extend([namespace.clone()])),
                Err(other) => run.note(|t| t.failed(namespace, &pod.name, &other)),
            }
        }
        // What was seen counts also where more was to be seen.
        let pods_read = pods_read.max(u32::from(most_errors > 0));
        (pods_read > 0).then(|| LogSummary {
            workload: target.workload,
            container: target.container,
            since: run.since,
            begins,
            worst_pod: worst_pod.to_owned(),
            worst_previous,
            pods: target.all as u32,
            pods_read,
            cut,
            said: tally.content(),
        })
    }

    /// Reads the log of one container.
    async fn stream(
        &self,
        target: &Target,
        pod: &LoggedPod,
        run: &Run,
        tally: &mut LogTally,
    ) -> Result<OfPod, Refusal> {
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/log?container={}&timestamps=true",
            encode(&target.workload.namespace),
            encode(&pod.name),
            encode(&target.container),
        );
        let (bytes, errors) = (tally.bytes(), tally.errors());
        let earlier = self.earlier(&path, target, pod, run, tally).await;
        let (bytes, of_earlier) = (tally.bytes() - bytes, tally.errors() - errors);
        let log = self.newest(path, run.share.saturating_sub(bytes).max(run.share / 2), run);
        let part = log.read(tally).await?;
        let errors = tally.errors() - errors;
        let is_read = !matches!(earlier, Earlier::Unread);
        let whole = part.whole && !matches!(&earlier, Earlier::Read(_, Part { whole: false, .. }));
        let (log, Part { whole: is_all, first }) = match earlier {
            Earlier::Read(log, part) => (log, part),
            Earlier::None | Earlier::Unread => (log, part),
        };
        let begins = match first {
            Some(first) if is_all && errors > 0 => self.begins(&log, pod, first, run.since).await,
            _ => first.filter(|_| !is_all),
        };
        Ok(OfPod { is_read, whole, errors, previous: of_earlier > errors / 2, begins })
    }

    /// Reads what the container said before it was restarted: a kubelet keeps the log of one earlier run. Both logs share
    /// what may be read.
    async fn earlier(
        &self,
        path: &str,
        target: &Target,
        pod: &LoggedPod,
        run: &Run,
        tally: &mut LogTally,
    ) -> Earlier<'_> {
        if pod.run_before_ended.is_none_or(|ended| ended < run.since) {
            return Earlier::None;
        }
        let log = self.newest(format!("{path}&previous=true"), run.share / 2, run);
        match log.read(tally).await {
            Ok(part) => Earlier::Read(log, part),
            // The runtime has cleaned it up.
            Err(Refusal::NotFound | Refusal::Status { code: 400, .. }) => Earlier::None,
            Err(Refusal::Denied(_)) => Earlier::Unread,
            Err(why) => {
                run.note(|t| t.failed(&target.workload.namespace, &pod.name, &why));
                Earlier::Unread
            }
        }
    }

    fn newest(&self, path: String, bytes: u64, run: &Run) -> Newest<'_> {
        let LogSettings { lookback, time, .. } = *self.settings;
        let (server, lookback) = (&self.api.server, lookback.get());
        Newest { server, path, lookback, bytes, deadline: run.deadline, time }
    }

    /// When a log begins, if the runtime has thrown older lines away. A container that was silent has older ones still.
    async fn begins(
        &self,
        log: &Newest<'_>,
        pod: &LoggedPod,
        first: Timestamp,
        since: Timestamp,
    ) -> Option<Timestamp> {
        let from = pod.began.map_or(since, |began| began.max(since));
        if first.seconds_since(from) < LATE {
            return None;
        }
        let oldest = log.oldest().await.unwrap_or(first);
        (oldest.seconds_since(from) >= LATE).then_some(oldest)
    }
}

/// What the streams of one reading share.
struct Run {
    deadline: Instant,
    /// From when on lines count.
    since: Timestamp,
    /// Bytes of one container of one pod.
    share: u64,
    troubles: Mutex<Troubles>,
}

#[derive(Default)]
struct Troubles {
    denied: BTreeSet<String>,
    /// Number of pods whose logs failed, by what the server said of the first.
    failed: usize,
    first: String,
    /// Containers that were not read for lack of time.
    late: usize,
}

impl Run {
    fn note(&self, note: impl FnOnce(&mut Troubles)) {
        note(&mut self.troubles.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn is_denied(&self, namespace: &str) -> bool {
        let mut denied = false;
        self.note(|t| denied = t.denied.contains(namespace));
        denied
    }
}

impl Troubles {
    fn failed(&mut self, namespace: &str, pod: &str, why: &Refusal) {
        self.failed += 1;
        if self.first.is_empty() {
            self.first = format!("{namespace}/{pod}: {why}");
        }
    }
}

impl Logs<'_> {
    async fn read_all(&self, objects: &Objects, until: Timestamp) -> Fetched<LogsRead> {
        let targets = targets(objects, self.settings.pods);
        let run = Run {
            deadline: Instant::now() + self.settings.time,
            since: until.plus_seconds(-self.settings.lookback.get()),
            share: share(self.settings, &targets),
            troubles: Mutex::default(),
        };
        let sampled = sampled(&targets);
        let at_once = (AT_ONCE * self.api.settings.concurrency.max(1)).min(MOST_AT_ONCE);
        let reads: Vec<_> = targets.into_iter().map(|target| self.read(target, &run)).collect();
        let mut summaries: Vec<LogSummary> =
            stream::iter(reads).buffer_unordered(at_once).filter_map(|read| async { read }).collect().await;
        summaries.sort_by(|a, b| (&a.workload, &a.container).cmp(&(&b.workload, &b.container)));
        let troubles = run.troubles.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut gaps: Vec<Gap> = Vec::new();
        gaps.extend(sampled.map(|said| self.gap(GapCause::Info, said)));
        gaps.extend(cut(&summaries).map(|said| self.gap(GapCause::Thinned, said)));
        gaps.extend(self.told(&troubles));
        let denied = |namespace: &String| {
            let why = Missing::AccessDenied {
                verb: "get".to_owned(),
                resource: "pods/log".to_owned(),
                namespace: Some(namespace.clone()),
            };
            Unavailable::new(ObjectKind::Logs, Some(namespace.clone()), why)
        };
        let unavailable = troubles.denied.iter().map(denied).collect();
        Fetched { value: LogsRead { summaries, unavailable }, gaps }
    }
}

#[async_trait]
impl LogSource for KubernetesSource {
    async fn logs(&self, objects: &Objects, until: Timestamp, is_now: bool) -> Fetched<LogsRead> {
        let logs = Logs { api: self, settings: &self.settings.logs };
        let nothing = |cause, said| Fetched { value: LogsRead::default(), gaps: vec![logs.gap(cause, said)] };
        if !is_now {
            return nothing(GapCause::Info, phrase("gap-logs-past"));
        }
        logs.read_all(objects, until).await
    }

    fn plan(&self, objects: &Objects) -> String {
        let targets = targets(objects, self.settings.logs.pods);
        let streams: usize = targets.iter().map(|t| t.pods.len()).sum();
        let most = Bytes(share(&self.settings.logs, &targets) as f64);
        format!(
            "logs of {streams} containers in pods, at most {most} of each and {} in all, in at most {} s",
            self.settings.logs.total,
            self.settings.logs.time.as_secs()
        )
    }
}

impl Logs<'_> {
    fn told(&self, troubles: &Troubles) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if !troubles.denied.is_empty() {
            let named: Vec<&str> = troubles.denied.iter().take(MOST_NAMED).map(String::as_str).collect();
            let said = match troubles.denied.len() - named.len() {
                0 => phrase("gap-logs-denied"),
                more => phrase("gap-logs-denied-more").with("more", more),
            };
            gaps.push(self.gap(GapCause::AccessDenied, said.with("namespaces", named.join(", "))));
        }
        if troubles.failed > 0 {
            let said = match troubles.failed {
                1 => phrase("gap-log-unread"),
                n => phrase("gap-logs-unread").with("n", n),
            };
            gaps.push(self.gap(GapCause::Failed, said.with("first", troubles.first.as_str())));
        }
        if troubles.late > 0 {
            let said = phrase("gap-logs-late")
                .with("seconds", self.settings.time.as_secs())
                .with("n", troubles.late);
            gaps.push(self.gap(GapCause::Thinned, said));
        }
        gaps
    }
}

/// Tells of logs that were not read whole.
fn cut(summaries: &[LogSummary]) -> Option<Text> {
    match summaries.iter().filter(|summary| summary.cut).count() {
        0 => None,
        1 => Some(phrase("gap-log-cut")),
        n => Some(phrase("gap-logs-cut").with("n", n)),
    }
}

/// Tells of workloads with more pods than are read.
fn sampled(targets: &[Target]) -> Option<Text> {
    let mut by_workload: BTreeMap<_, (usize, usize)> = BTreeMap::new();
    for target in targets {
        let known = by_workload.entry(&target.workload).or_default();
        *known = (known.0.max(target.pods.len()), known.1.max(target.all));
    }
    let read: usize = by_workload.values().map(|(read, _)| read).sum();
    let all: usize = by_workload.values().map(|(_, all)| all).sum();
    (read < all).then(|| phrase("gap-logs-sampled").with("read", read).with("all", all))
}
