use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use healthcore::analyse::{Assessment, analyse};
use healthcore::checks::CHECKS;
use healthcore::model::ObjectKind;
use healthcore::need::Needs;
use healthcore::phrase::phrase;
use healthcore::report::{ClusterSummary, Cost, Report};
use healthcore::settings::{Resolved, SettingsError};
use healthcore::shard::{Partial, PartialCluster, Shard};
use healthcore::snapshot::{Gap, GapCause, Missing, Origin, Snapshot, Unavailable};
use healthcore::time::{Timestamp, Window, WindowError};
use healthcore_sources::recording::{Closing, ClusterHead, Entry, Header, Recorder, Recording, Section};
use healthcore_sources::{SourceError, Usage};

use crate::certificates::Certificates;
use crate::feed::{Around, Feed, Frame, Part, UNDER_WAY, is_nowhere};
use crate::history::{History, Patience};
use crate::hosts::Hosts;
use crate::progress::Progress;
use crate::redact;
use crate::registries::Registries;
use crate::room::Room;
use crate::spec::{ClusterSources, Input, RunSpec};
use crate::version::{mismatch, version};
use crate::whose::{Known, meet, shared};

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
    /// None of the sources can be used: why, with the name of the cluster of each.
    #[error("no source can be used: {}", each(.0))]
    NoneReachable(Vec<(String, SourceError)>),
    /// The recording stopped before its end.
    #[error("the analysis stopped: {0}")]
    Stopped(String),
}

/// Why each cannot be used, with its cluster where there are several.
fn each(errors: &[(String, SourceError)]) -> String {
    let is_fleet = errors.iter().any(|(cluster, _)| *cluster != errors[0].0);
    let one = |(cluster, why): &(String, SourceError)| match is_fleet {
        true => format!("cluster {cluster}: {why}"),
        false => why.to_string(),
    };
    errors.iter().map(one).collect::<Vec<_>>().join("; ")
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
    let mut report = match &spec.input {
        Input::Live(clusters) => live(spec, clusters, &checks, started, progress).await?,
        Input::Recording(path) => replay(spec, Recording::open(path)?, checks, progress).await?,
        Input::Embedded(name, bytes) => {
            replay(spec, Recording::read(name, Box::new(*bytes))?, checks, progress).await?
        }
    };
    // What a shard does not find another one may; the whole is compared when it is merged.
    let history = spec.history.as_ref().filter(|_| spec.shard.is_none());
    finish(&mut report, history, spec.image.as_deref()).await;
    progress.finished();
    Ok(report)
}

/// Adds what is not of the clusters: what changed since earlier runs, and whether the program is that of its image.
pub async fn finish(report: &mut Report, history: Option<&History>, image: Option<&str>) {
    if let Some(history) = history {
        history.tell(report).await;
    }
    // Of the program that makes the report, and not of the cluster: a recording does not hold it.
    report.gaps.extend(image.and_then(mismatch));
    report.gaps.sort();
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
    let room = Room::of_parts(UNDER_WAY, spec.budget);
    let planned: Vec<(Vec<String>, Vec<SourceError>)> = stream::iter(clusters.iter().enumerate())
        .map(|(at, cluster)| {
            let certificates = spec.certificates.of_cluster(at);
            let (hosts, registries) = (spec.hosts.of_cluster(at), spec.registries.clone());
            let around = Around { certificates, hosts, registries, history: None };
            plan(cluster, &needs, frame, room.clone(), around, progress)
        })
        .buffered(spec.clusters_at_once.get())
        .collect()
        .await;
    if planned.iter().all(|(_, errors)| !errors.is_empty()) {
        let errors = clusters.iter().zip(planned).flat_map(|(c, (_, errors))| of_cluster(&c.name, errors));
        return Err(RunError::NoneReachable(errors.collect()));
    }
    lines.extend(planned.into_iter().flat_map(|(lines, _)| lines));
    Ok(lines)
}

fn of_cluster(name: &str, errors: Vec<SourceError>) -> impl Iterator<Item = (String, SourceError)> {
    errors.into_iter().map(move |why| (name.to_owned(), why))
}

/// What a run would ask of one cluster; errors when none of its servers can be used.
async fn plan(
    cluster: &ClusterSources,
    needs: &Arc<Needs>,
    frame: Frame,
    room: Room,
    around: Around<'_>,
    progress: &dyn Progress,
) -> (Vec<String>, Vec<SourceError>) {
    let mut lines = vec![format!("cluster {}", cluster.name)];
    if let Some(api) = &cluster.objects {
        let rights = api.plan(&around.hosts.lists(&needs.objects)).into_iter();
        lines.extend(rights.map(|(verb, resource)| format!("  right: {verb} {resource}")));
    }
    // Logs are not read to say that they would be.
    let mut listed = Needs::clone(needs);
    let reads_logs = listed.objects.remove(&ObjectKind::Logs);
    // No server is asked for its certificate either, and no registry for platforms.
    let Around { certificates, hosts, registries, history } = around;
    let silent = registries.without_asking();
    let around = Around { certificates: Certificates::default(), hosts, registries: silent, history };
    let feed = match Feed::open(cluster, Arc::new(listed), frame, room, &around, progress).await {
        Ok(feed) => feed,
        Err(errors) => {
            let why = |e| redact::text(&format!("  no source: {e}")).into_owned();
            lines.extend(errors.iter().map(why));
            return (lines, errors);
        }
    };
    let gaps = &feed.head.gaps;
    lines.extend(gaps.iter().map(|g| format!("  gap: {} ({}): {}", g.scope, g.cause.name(), g.detail)));
    if needs.objects.contains(&ObjectKind::ServedCertificates) {
        lines.extend(feed.inventories().filter_map(|i| certificates.plan(i)).map(|line| format!("  {line}")));
    }
    if needs.objects.contains(&ObjectKind::ImagePlatforms) {
        lines.extend(registries.plan(&feed.objects()).map(|line| format!("  {line}")));
    }
    if reads_logs {
        lines.extend(crate::logs::sources(cluster).map(|logs| format!("  {}", logs.plan(&feed.pods()))));
    }
    let Some(metrics) = &cluster.metrics else {
        lines.push("  no metrics server: no series are asked for".to_owned());
        return (lines, Vec::new());
    };
    lines.extend(metrics.asked().into_iter().map(|q| format!("  asked already: {q}")));
    let about = |samples: u64| match samples {
        0 => "few samples, only where something has happened".to_owned(),
        some => format!("about {some} samples"),
    };
    let mut total = 0;
    let asked: Vec<_> = feed.partitions().filter(|p| !is_nowhere(p)).collect();
    for (i, partition) in asked.iter().enumerate() {
        let samples = healthcore::need::expected_samples(needs, partition, &frame.window);
        total += samples;
        lines.push(format!("  part {} of {}: {}", i + 1, asked.len(), about(samples)));
        let plan = metrics.plan(needs, partition, &frame.window);
        lines.extend(plan.into_iter().map(|q| format!("    {q}")));
    }
    lines.push(match asked.len() {
        0 => "  in all: nothing to ask for".to_owned(),
        1 => format!("  in all: 1 part, {}", about(total)),
        parts => format!("  in all: {parts} parts, {}", about(total)),
    });
    (lines, Vec::new())
}

/// An instant as people write it, to the second.
fn readable(t: Timestamp) -> String {
    jiff::Timestamp::from_second(t.unix_seconds())
        .map_or_else(|_| format!("unix time {}", t.unix_seconds()), |t| t.to_string())
}

/// The only place where a run reads the clock.
fn frame(spec: &RunSpec) -> Result<Frame, RunError> {
    let taken_at = spec.at.unwrap_or_else(|| spec.clock.now());
    let window = Window::ending(taken_at, spec.lookback, spec.step())?;
    // Whole seconds, so that a report's instants are those of its recording.
    let taken_at = Timestamp::from_unix_seconds(taken_at.unix_seconds());
    Ok(Frame { taken_at, at_given: spec.at.is_some(), window, budget: spec.budget, shard: spec.shard })
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
    let header = Header::new(frame.taken_at, frame.window);
    let recorder = spec.record.as_ref().map(|path| Recorder::create(path, &header)).transpose()?;
    // A recording may be judged with other settings than those of today.
    let needs = checks.needs();
    let needs = if spec.record.is_some() { needs.of_whole_window() } else { needs };
    let patience = Patience::default();
    let pass = Pass {
        checks,
        shard: spec.shard,
        needs: Arc::new(needs),
        frame,
        room: Room::of_parts(UNDER_WAY, spec.budget),
        record: spec.record.as_deref(),
        certificates: &spec.certificates,
        hosts: &spec.hosts,
        registries: spec.registries.of_run(),
        history: spec.history.as_ref().zip(Some(&patience)),
        progress,
    };
    let pass = &pass;
    // Made before they are polled: a closure in the stream would keep callers from spawning the run.
    let all: Vec<_> = (0..clusters.len()).map(|at| pass.cover(at, clusters)).collect();
    let mut covered: Vec<Covered> =
        stream::iter(all).buffer_unordered(spec.clusters_at_once.get()).try_collect().await?;
    covered.sort_by_key(|c| c.at);
    for at in 0..covered.len() {
        // One that is told twice has the same pods.
        let (before, cluster) = (&clusters[..at], &clusters[at]);
        let gap = told_twice(&covered[..at], &covered[at], clusters).or_else(|| shared(before, cluster));
        covered[at].tell(gap);
    }
    if !covered.iter().any(|c| c.fold.answered()) {
        let errors = covered.into_iter().flat_map(|c| of_cluster(&clusters[c.at].name, c.errors));
        return Err(RunError::NoneReachable(errors.collect()));
    }
    let mut cost = Closing {
        seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
        peak_rss_bytes: peak_rss_bytes(),
        ..Closing::default()
    };
    for (metrics, api) in covered.iter().map(|c| c.usage) {
        cost.prometheus_queries += metrics.requests;
        cost.samples += metrics.samples;
        cost.bytes += metrics.bytes + api.bytes;
        cost.kubernetes_requests += api.requests;
    }
    if let Some(mut recorder) = recorder {
        for cluster in &mut covered {
            if let Some(section) = cluster.section.take() {
                recorder.append(&cluster.head, section)?;
            }
        }
        recorder.finish(cost)?;
    }
    let folds = covered.into_iter().map(|c| c.fold).collect();
    Ok(report(&header, folds, cost, spec.shard))
}

/// Tells that a cluster is one of those before it under a second name, at the same address or at another one, where both
/// look into a namespace.
fn told_twice(before: &[Covered], cluster: &Covered, clusters: &[ClusterSources]) -> Option<Gap> {
    let sources = |c: &Covered| &clusters[c.at];
    let address = |c: &Covered| sources(c).objects.as_ref()?.address().map(str::to_owned);
    let own = address(cluster)?;
    let is_one = |other: &Covered| cluster.identity.is_some() && other.identity == cluster.identity;
    let (twin, theirs) = before
        .iter()
        .filter(|other| meet(sources(other), sources(cluster)))
        .filter_map(|other| Some((other, address(other)?)))
        .find(|(other, theirs)| *theirs == own || is_one(other))?;
    let said = match theirs == own {
        true => phrase("gap-told-twice"),
        false => phrase("gap-told-twice-at-two-addresses").with("own", own),
    };
    let said = said.with("cluster", sources(twin).name.as_str()).with("address", theirs);
    Some(Gap::new(sources(cluster).name.as_str(), GapCause::Partial, said))
}

/// What the clusters of a live run have in common.
struct Pass<'a> {
    checks: &'a Arc<Resolved>,
    shard: Option<Shard>,
    needs: Arc<Needs>,
    frame: Frame,
    room: Room,
    record: Option<&'a Path>,
    certificates: &'a Certificates,
    hosts: &'a Hosts,
    registries: Registries,
    history: Option<(&'a History, &'a Patience)>,
    progress: &'a dyn Progress,
}

/// A cluster of a live run, read and judged.
struct Covered {
    /// Its place in the order of the clusters.
    at: usize,
    head: ClusterHead,
    /// What tells it from every other cluster, where that is known.
    identity: Option<String>,
    fold: Fold,
    section: Option<Section>,
    /// Why it cannot be used, when none of its servers can.
    errors: Vec<SourceError>,
    usage: (Usage, Usage),
}

impl Covered {
    /// Adds what only a look at the other clusters tells of it.
    fn tell(&mut self, gap: Option<Gap>) {
        self.head.gaps.extend(gap.clone());
        self.fold.gaps.extend(gap);
    }
}

impl Pass<'_> {
    async fn cover(&self, at: usize, clusters: &[ClusterSources]) -> Result<Covered, RunError> {
        let cluster = &clusters[at];
        let needs = Arc::clone(&self.needs);
        let (certificates, hosts) = (self.certificates.of_cluster(at), self.hosts.of_cluster(at));
        let registries = self.registries.clone();
        let around = Around { certificates, hosts, registries, history: self.history };
        let opened = Feed::open(cluster, needs, self.frame, self.room.clone(), &around, self.progress).await;
        let (head, mut feed, errors) = match opened {
            Ok(feed) => (feed.head.clone(), Some(feed), Vec::new()),
            Err(errors) => {
                let gaps = errors.iter().map(|e| unreachable(&cluster.name, e)).collect();
                let head = ClusterHead { name: cluster.name.clone(), gaps, ..ClusterHead::default() };
                (head, None, errors)
            }
        };
        let identity = feed.as_mut().and_then(|feed| feed.identity.take());
        let mut section = self.record.map(|path| Recorder::section(path, at)).transpose()?;
        let mut fold = Fold::new(head.clone(), Arc::clone(self.checks), self.shard);
        let mut usage = Default::default();
        if let Some(feed) = &mut feed {
            let mut done = 0;
            while let Some(Part { snapshot, gaps, place }) = feed.next().await {
                section = fold.part(snapshot, gaps, section).await?;
                drop(place);
                done += 1;
                self.progress.judged(&cluster.name, done, feed.all_parts);
            }
            usage = feed.usage();
        }
        Ok(Covered { at, head, identity, fold, section, errors, usage })
    }
}

async fn replay(
    spec: &RunSpec,
    recording: Recording,
    checks: Arc<Resolved>,
    progress: &dyn Progress,
) -> Result<Report, RunError> {
    let header = recording.header();
    let shard = spec.shard;
    let needed = checks.needs().objects;
    let sees_certificates =
        shard.is_none_or(Shard::is_first) && needed.contains(&ObjectKind::ServedCertificates);
    let header = Header::new(header.taken_at, header.window);
    let mut folds: Vec<Fold> = Vec::new();
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
                done = 0;
                folds.push(Fold::new(head, Arc::clone(&checks), shard));
            }
            Some(Entry::Part(mut part, gaps)) => {
                part.objects.unavailable.extend(unrecorded.iter().cloned());
                let fold = folds
                    .last_mut()
                    .ok_or_else(|| RunError::Stopped("a part without a cluster".to_owned()))?;
                if sees_certificates {
                    let inventory = &mut part.objects.inventory;
                    spec.certificates.leave_out(&part.cluster, inventory, &mut fold.gaps);
                }
                if let Some(shard) = shard {
                    shard.keep(&part.cluster, &mut part.objects);
                }
                fold.part(*part, gaps, None).await?;
                done += 1;
                progress.judged(&fold.summary.name, done, done);
            }
            Some(Entry::End(closing)) => return Ok(report(&header, folds, closing, shard)),
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

/// What has been judged of one cluster so far.
struct Fold {
    checks: Arc<Resolved>,
    context: Option<String>,
    summary: ClusterSummary,
    assessment: Assessment,
    gaps: Vec<Gap>,
    known: Known,
}

impl Fold {
    fn new(head: ClusterHead, checks: Arc<Resolved>, shard: Option<Shard>) -> Self {
        // A list that could not be had counts once, and not once a shard.
        let counts = shard.is_none_or(Shard::is_first);
        let unavailable = if counts { &head.unavailable[..] } else { &[] };
        let mut assessment = Assessment::new(&head.name, unavailable, &checks);
        // Metrics of objects say nothing of those that they lack.
        if let (Some(asked), Some(Origin::KubernetesApi)) = (&head.namespaces, head.objects_from) {
            assessment.coverage.asked(asked);
        }
        let summary = ClusterSummary {
            name: head.name,
            objects_from: head.objects_from,
            metrics_via: head.metrics_via,
            ..ClusterSummary::default()
        };
        let known = Known::default();
        Self { checks, context: head.context, summary, assessment, gaps: head.gaps, known }
    }

    fn answered(&self) -> bool {
        !self.summary.is_unseen()
    }

    /// Judges a part, and records it first when there is a recording. Runs beside the fetching of the next part.
    async fn part(
        &mut self,
        part: Snapshot,
        gaps: Vec<Gap>,
        section: Option<Section>,
    ) -> Result<Option<Section>, RunError> {
        self.known.add(&part);
        let checks = Arc::clone(&self.checks);
        let work = move || -> Result<_, SourceError> {
            let mut section = section;
            if let Some(section) = &mut section {
                section.part(&part, &gaps)?;
            }
            Ok((analyse(&part, &checks), gaps, section))
        };
        let (mut assessment, gaps, section) =
            tokio::task::spawn_blocking(work).await.map_err(|e| RunError::Stopped(e.to_string()))??;
        if let Some(context) = &self.context {
            assessment.in_context(context);
        }
        self.assessment.fold(assessment);
        self.gaps.extend(gaps);
        Ok(section)
    }
}

fn report(header: &Header, folds: Vec<Fold>, closing: Closing, shard: Option<Shard>) -> Report {
    let settings = folds.first().map(|fold| fold.checks.digest().to_owned()).unwrap_or_default();
    let mut gaps = Vec::new();
    let mut clusters = Vec::new();
    for mut fold in folds {
        gaps.extend(fold.gaps);
        if let Some(gap) = fold.known.told(&fold.summary.name) {
            gaps.push(gap);
            fold.assessment.pods_are_unknown_to_metrics();
        }
        clusters.push((fold.summary, fold.assessment));
    }
    let partial = shard.map(|shard| {
        Box::new(Partial {
            shard,
            version: version().to_owned(),
            taken_at: header.taken_at,
            window: header.window,
            settings,
            clusters: clusters.iter().map(|(summary, own)| PartialCluster::new(summary, own)).collect(),
            gaps: gaps.clone(),
        })
    });
    let mut report = Report::new(version(), header.taken_at, header.window, clusters, gaps, CHECKS);
    report.shard = partial;
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

fn unreachable(cluster: &str, error: &SourceError) -> Gap {
    let mut gap = [Gap::new(cluster, GapCause::Unreachable, error.said())];
    redact::gaps(&mut gap);
    let [gap] = gap;
    gap
}

/// Peak resident memory of this process as Linux tells it (`VmHWM` in proc(5)); 0 where it does not.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("");
    line.trim().trim_end_matches(" kB").parse::<u64>().map_or(0, |kib| kib * 1024)
}
