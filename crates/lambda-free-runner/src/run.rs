use std::sync::Arc;
use std::time::{Instant, SystemTime};

use healthcore::analyse::{Assessment, analyse};
use healthcore::checks::CHECKS;
use healthcore::report::{ClusterSummary, Cost, Report};
use healthcore::settings::{Resolved, SettingsError};
use healthcore::snapshot::{Gap, GapCause, Missing, Snapshot, Unavailable};
use healthcore::time::{Timestamp, Window, WindowError};
use healthcore_sources::SourceError;
use healthcore_sources::recording::{Closing, ClusterHead, Entry, Header, Recorder, Recording};

use crate::feed::{Feed, Frame, is_nowhere};
use crate::progress::Progress;
use crate::redact;
use crate::spec::{ClusterSources, Input, RunSpec};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting of a check cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The window cannot be made.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// A source or file cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The run names no source.
    #[error(
        "no source to read: give `--prometheus URL`, a Kubernetes context, `--snapshot PATH` or `--config FILE`; `healthcheck demo` shows a sample"
    )]
    NoSource,
    /// None of the sources can be used.
    #[error("no source can be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoneReachable(Vec<SourceError>),
    /// The recording stopped before its end.
    #[error("the analysis stopped: {0}")]
    Stopped(String),
}

/// Fetches (or reads), judges, and puts the report together.
///
/// What cannot be had of a source becomes a gap in the report.
///
/// # Errors
/// A setting is wrong, or no source can be used at all; then nothing is written either.
pub async fn run_once(spec: &RunSpec, progress: &dyn Progress) -> Result<Report, RunError> {
    let started = Instant::now();
    let checks = Arc::new(spec.settings.resolve(CHECKS)?);
    let report = match &spec.input {
        Input::Live(clusters) => live(spec, clusters, &checks, started, progress).await?,
        Input::Recording(path) => replay(Recording::open(path)?, checks, progress).await?,
        Input::Embedded(name, bytes) => {
            replay(Recording::read(name, Box::new(*bytes))?, checks, progress).await?
        }
    };
    progress.finished();
    Ok(report)
}

/// The queries and rights that a live run would need, a line each, without asking for any series.
///
/// # Errors
/// As [`run_once`].
pub async fn dry_run(spec: &RunSpec, progress: &dyn Progress) -> Result<Vec<String>, RunError> {
    let checks = spec.settings.resolve(CHECKS)?;
    let Input::Live(clusters) = &spec.input else {
        return Ok(vec!["a recorded snapshot is read; no server is asked".to_owned()]);
    };
    if clusters.is_empty() {
        return Err(RunError::NoSource);
    }
    let frame = frame(spec)?;
    let needs = Arc::new(checks.needs());
    let mut lines = vec![format!(
        "window: {} points, one every {}, up to {}",
        frame.window.points(),
        spec.step(),
        readable(frame.window.end())
    )];
    let mut errors = Vec::new();
    let mut answered = 0;
    for cluster in clusters {
        lines.push(format!("cluster {}", cluster.name));
        if let Some(api) = &cluster.objects {
            lines.extend(
                api.plan(&needs.objects)
                    .into_iter()
                    .map(|(verb, resource)| format!("  right: {verb} {resource}")),
            );
        }
        let feed = match Feed::open(cluster, Arc::clone(&needs), frame, progress).await {
            Ok(feed) => feed,
            Err(reasons) => {
                lines.extend(
                    reasons.iter().map(|why| redact::text(&format!("  no source: {why}")).into_owned()),
                );
                errors.extend(reasons);
                continue;
            }
        };
        answered += 1;
        lines.extend(
            feed.head.gaps.iter().map(|g| format!("  gap: {} ({}): {}", g.scope, g.cause.name(), g.detail)),
        );
        let Some(metrics) = &cluster.metrics else {
            lines.push("  no metrics server: no series are asked for".to_owned());
            continue;
        };
        lines.extend(metrics.asked().into_iter().map(|q| format!("  asked already: {q}")));
        let about = |samples: u64| match samples {
            0 => "few samples, only where something has happened".to_owned(),
            some => format!("about {some} samples"),
        };
        let (mut total, mut parts) = (0, 0);
        for (i, partition) in feed.partitions().enumerate().filter(|(_, p)| !is_nowhere(p)) {
            let samples = healthcore::need::expected_samples(&needs, partition);
            total += samples;
            parts += 1;
            lines.push(format!("  part {} of {}: {}", i + 1, feed.all_parts, about(samples)));
            let plan = metrics.plan(&needs, partition, &frame.window);
            lines.extend(plan.into_iter().map(|q| format!("    {q}")));
        }
        lines.push(match parts {
            0 => "  in all: nothing to ask for".to_owned(),
            1 => format!("  in all: 1 part, {}", about(total)),
            parts => format!("  in all: {parts} parts, {}", about(total)),
        });
    }
    if answered == 0 {
        return Err(RunError::NoneReachable(errors));
    }
    Ok(lines)
}

/// An instant as people write it, to the second.
fn readable(t: Timestamp) -> String {
    jiff::Timestamp::from_second(t.unix_seconds())
        .map_or_else(|_| format!("unix time {}", t.unix_seconds()), |t| t.to_string())
}

/// The only place where the clock is read.
fn frame(spec: &RunSpec) -> Result<Frame, RunError> {
    let taken_at = spec.at.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    });
    let window = Window::ending(taken_at, spec.lookback, spec.step())?;
    // Whole seconds, so that a report's instants are those of its recording.
    let taken_at = Timestamp::from_unix_seconds(taken_at.unix_seconds());
    Ok(Frame { taken_at, at_given: spec.at.is_some(), window, budget: spec.budget })
}

async fn live(
    spec: &RunSpec,
    clusters: &[ClusterSources],
    checks: &Arc<Resolved>,
    started: Instant,
    progress: &dyn Progress,
) -> Result<Report, RunError> {
    if clusters.iter().all(|c| c.metrics.is_none() && c.objects.is_none()) {
        return Err(RunError::NoSource);
    }
    let frame = frame(spec)?;
    let needs = Arc::new(checks.needs());
    let mut recorder = match &spec.record {
        Some(path) => Some(Recorder::create(path, &Header::new(frame.taken_at, frame.window))?),
        None => None,
    };
    let mut fold = Fold::new(frame.taken_at, frame.window, Arc::clone(checks));
    let mut errors = Vec::new();
    let mut cost = Closing::default();
    for cluster in clusters {
        let mut feed = match Feed::open(cluster, Arc::clone(&needs), frame, progress).await {
            Ok(feed) => feed,
            Err(reasons) => {
                let gaps = reasons.iter().map(|e| unreachable(&cluster.name, e)).collect();
                let head = ClusterHead { name: cluster.name.clone(), gaps, ..ClusterHead::default() };
                errors.extend(reasons);
                if let Some(recorder) = &mut recorder {
                    recorder.cluster(&head)?;
                }
                fold.cluster(head);
                continue;
            }
        };
        if let Some(recorder) = &mut recorder {
            recorder.cluster(&feed.head)?;
        }
        fold.cluster(feed.head.clone());
        let mut done = 0;
        while let Some((part, gaps)) = feed.next().await {
            recorder = fold.part(part, gaps, recorder).await?;
            done += 1;
            progress.judged(&cluster.name, done, feed.all_parts);
        }
        let (metrics, api) = feed.usage();
        cost.prometheus_queries += metrics.requests;
        cost.samples += metrics.samples;
        cost.bytes += metrics.bytes + api.bytes;
        cost.kubernetes_requests += api.requests;
    }
    if fold.answered == 0 {
        return Err(RunError::NoneReachable(errors));
    }
    cost.seconds = (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
    cost.peak_rss_bytes = peak_rss_bytes();
    if let Some(recorder) = recorder {
        recorder.finish(cost)?;
    }
    Ok(fold.finish(cost))
}

async fn replay(
    recording: Recording,
    checks: Arc<Resolved>,
    progress: &dyn Progress,
) -> Result<Report, RunError> {
    let header = recording.header();
    let needed = checks.needs().objects;
    let mut fold = Fold::new(header.taken_at, header.window, checks);
    let mut cluster = String::new();
    let mut unrecorded: Vec<Unavailable> = Vec::new();
    let mut done = 0;
    let mut reading = read_next(recording);
    loop {
        let (recording, entry) = reading.await.map_err(|e| RunError::Stopped(e.to_string()))?;
        let entry = entry?;
        reading = read_next(recording);
        match entry {
            Some(Entry::Cluster(mut head)) => {
                // An empty list that nobody asked for is no sign of health.
                let asked = head.asked.take().unwrap_or_else(|| needed.clone());
                let why = |objects| Missing::NotRecorded { objects };
                unrecorded = needed
                    .difference(&asked)
                    .map(|kind| Unavailable {
                        kind: *kind,
                        namespace: None,
                        except: Default::default(),
                        why: why(*kind),
                    })
                    .collect();
                head.unavailable.extend(unrecorded.iter().cloned());
                progress.connecting(&head.name);
                cluster.clone_from(&head.name);
                done = 0;
                fold.cluster(head);
            }
            Some(Entry::Part(mut part, gaps)) => {
                part.objects.unavailable.extend(unrecorded.iter().cloned());
                fold.part(*part, gaps, None).await?;
                done += 1;
                progress.judged(&cluster, done, done);
            }
            Some(Entry::End(closing)) => return Ok(fold.finish(closing)),
            None => return Err(RunError::Stopped("the recording has no end".to_owned())),
        }
    }
}

type Reading = tokio::task::JoinHandle<(Recording, Result<Option<Entry>, SourceError>)>;

fn read_next(mut recording: Recording) -> Reading {
    tokio::task::spawn_blocking(move || {
        let entry = recording.read_entry();
        (recording, entry)
    })
}

/// What has been judged so far.
struct Fold {
    taken_at: Timestamp,
    window: Window,
    checks: Arc<Resolved>,
    clusters: Vec<(ClusterSummary, Assessment)>,
    gaps: Vec<Gap>,
    answered: usize,
}

impl Fold {
    fn new(taken_at: Timestamp, window: Window, checks: Arc<Resolved>) -> Self {
        Self { taken_at, window, checks, clusters: Vec::new(), gaps: Vec::new(), answered: 0 }
    }

    fn cluster(&mut self, head: ClusterHead) {
        self.answered += usize::from(head.objects_from.is_some() || head.metrics_via.is_some());
        let assessment = Assessment::new(&head.name, &head.unavailable, &self.checks);
        let summary = ClusterSummary {
            name: head.name,
            objects_from: head.objects_from,
            metrics_via: head.metrics_via,
            ..ClusterSummary::default()
        };
        self.clusters.push((summary, assessment));
        self.gaps.extend(head.gaps);
    }

    /// Judges a part, and records it first when there is a recorder. Runs beside the fetching of the next part.
    async fn part(
        &mut self,
        part: Snapshot,
        gaps: Vec<Gap>,
        recorder: Option<Recorder>,
    ) -> Result<Option<Recorder>, RunError> {
        let checks = Arc::clone(&self.checks);
        let work = move || -> Result<_, SourceError> {
            let mut recorder = recorder;
            if let Some(recorder) = &mut recorder {
                recorder.part(&part, &gaps)?;
            }
            Ok((analyse(&part, &checks), gaps, recorder))
        };
        let (assessment, gaps, recorder) =
            tokio::task::spawn_blocking(work).await.map_err(|e| RunError::Stopped(e.to_string()))??;
        let (_, open) = self
            .clusters
            .last_mut()
            .ok_or_else(|| RunError::Stopped("a part without a cluster".to_owned()))?;
        open.fold(assessment);
        self.gaps.extend(gaps);
        Ok(recorder)
    }

    fn finish(self, closing: Closing) -> Report {
        let version = env!("CARGO_PKG_VERSION");
        let mut report = Report::new(version, self.taken_at, self.window, self.clusters, self.gaps, CHECKS);
        report.cost = Cost {
            prometheus_queries: closing.prometheus_queries,
            samples: closing.samples,
            bytes: closing.bytes,
            kubernetes_requests: closing.kubernetes_requests,
            seconds: closing.seconds,
            peak_rss_bytes: closing.peak_rss_bytes,
        };
        report
    }
}

fn unreachable(cluster: &str, error: &SourceError) -> Gap {
    Gap {
        scope: cluster.to_owned(),
        cause: GapCause::Unreachable,
        detail: redact::text(&error.to_string()).into_owned(),
    }
}

/// Peak resident memory of this process as Linux tells it (`VmHWM` in proc(5)); 0 where it does not.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("");
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib * 1024)
}
