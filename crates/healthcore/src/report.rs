//! The result of a run as values: what every renderer starts from.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::analyse::{Assessment, NamespaceTally, Tally};
use crate::check::{AnyCheck, CheckInfo};
use crate::checks::CHECKS;
use crate::facts::ContainerFacts;
use crate::finding::{Finding, Severity, SubjectRef};
use crate::history::{self, Changes, Coverage};
use crate::metric::SeriesOf;
use crate::model::Event;
use crate::phrase::phrase;
use crate::score::{Score, score};
use crate::shard::{Partial, PartialTally};
use crate::snapshot::{Gap, GapCause, Missing, Origin};
use crate::time::{Timestamp, Window};
use crate::unit::Ratio;

/// A whole run.
///
/// Serialized, it is what a program keeps to deliver the report later: for the same version of the program, and without what
/// merging and history need. The JSON report is made by a renderer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the tool that made it.
    pub version: String,
    /// When the data were taken.
    pub taken_at: Timestamp,
    /// The span that was looked at.
    pub window: Window,
    /// Clusters in the order in which they were given.
    pub clusters: Vec<ClusterSummary>,
    /// Problems: most severe first, then in the order of the checks, then by subject.
    pub findings: Vec<Finding>,
    /// What is near its bound and not beyond it: the nearest first, then in the order of the checks, then by subject.
    pub watch: Vec<Finding>,
    /// What is a little further away, in the same order: it stays on the watch list when it was there in the run before.
    #[serde(skip)]
    pub almost: Vec<Finding>,
    /// What changed since the runs before; none without history.
    pub changes: Option<Changes>,
    /// What was looked at, by cluster.
    #[serde(skip)]
    pub coverage: BTreeMap<String, Coverage>,
    /// Counts of every enabled check, in the order of the checks.
    pub checks: Vec<CheckTally>,
    /// What could not be had.
    pub gaps: Vec<Gap>,
    /// What the run cost; zeros for a replayed snapshot, so that a replay is the same byte for byte.
    pub cost: Cost,
    /// Measured values of every container, by cluster and name.
    pub facts: Vec<ContainerFacts>,
    /// Warning events by cluster, for runs to come; no format shows them.
    #[serde(skip)]
    pub events: BTreeMap<String, Vec<Event>>,
    /// Of a report that is one of several parts: what merging needs.
    #[serde(skip)]
    pub shard: Option<Box<Partial>>,
    /// Of a report that was narrowed for some readers: what was chosen.
    #[serde(skip)]
    pub part: Option<Part>,
}

/// What was chosen of a whole run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The least severity of its findings.
    pub floor: Severity,
    /// Names or globs of clusters; empty for all.
    pub clusters: Vec<String>,
    /// Names or globs of namespaces; empty for all, and for what belongs to none.
    pub namespaces: Vec<String>,
    /// Severity of the worst finding in these clusters and namespaces, below the floor too.
    pub worst: Option<Severity>,
}

/// One cluster in the summary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ClusterSummary {
    /// Name.
    pub name: String,
    /// Workloads.
    pub workloads: u64,
    /// Pods, finished ones too.
    pub pods: u64,
    /// Pods that have finished with success.
    pub completed_pods: u64,
    /// Containers.
    pub containers: u64,
    /// Where the objects come from; none when there was no source of objects.
    pub objects_from: Option<Origin>,
    /// How the metrics server was reached (`direct`, `service-proxy shop/prometheus:9090`, ...), never with
    /// credentials; none without one.
    pub metrics_via: Option<String>,
    /// Checks that could not judge most of what they should have judged there, in the order of the checks.
    #[serde(deserialize_with = "known_checks")]
    pub unanswered: Vec<&'static str>,
    /// What was found there.
    pub found: Found,
    /// Judgements that were made.
    pub judged: u64,
    /// Judgements that could not be made.
    pub unknown: u64,
    /// How healthy it is; none where nothing could be judged, or nothing is there of what was chosen.
    pub score: Option<Score>,
    /// Its namespaces in which something is or was found, by name.
    pub namespaces: Vec<NamespaceSummary>,
    /// Whether it has no workload and no pod in the namespaces that were chosen, and some of these are not there.
    #[serde(default)]
    pub chosen_in_vain: bool,
    /// Shards that were to read some of its namespaces, and are not in the report (`2/3`), in order.
    #[serde(default)]
    pub without_shards: Vec<String>,
}

/// Number of findings by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Found {
    /// Critical ones.
    pub critical: u64,
    /// Warnings.
    pub warning: u64,
    /// Notes.
    pub info: u64,
}

impl Found {
    fn count<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        Self::of(findings.into_iter().map(|finding| finding.severity))
    }

    /// Counts severities.
    #[must_use]
    pub fn of(severities: impl IntoIterator<Item = Severity>) -> Self {
        let mut found = Self::default();
        for severity in severities {
            *match severity {
                Severity::Critical => &mut found.critical,
                Severity::Warning => &mut found.warning,
                Severity::Info => &mut found.info,
            } += 1;
        }
        found
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            critical: self.critical + other.critical,
            warning: self.warning + other.warning,
            info: self.info + other.info,
        }
    }

    /// The worst severity that there is.
    #[must_use]
    pub fn worst(self) -> Option<Severity> {
        let all = [
            (Severity::Critical, self.critical),
            (Severity::Warning, self.warning),
            (Severity::Info, self.info),
        ];
        all.into_iter().find(|(_, n)| *n > 0).map(|(severity, _)| severity)
    }

    /// Those from a severity on.
    #[must_use]
    pub fn at_least(self, floor: Severity) -> Self {
        let counted = |severity, n| if severity >= floor { n } else { 0 };
        Self {
            critical: counted(Severity::Critical, self.critical),
            warning: counted(Severity::Warning, self.warning),
            info: counted(Severity::Info, self.info),
        }
    }
}

/// One namespace in the summary.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NamespaceSummary {
    /// Name.
    pub name: String,
    /// Workloads, pods, and what could not be judged.
    pub tally: NamespaceTally,
    /// What was found there.
    pub found: Found,
    /// How healthy it is; none where nothing could be judged.
    pub score: Option<Score>,
}

impl ClusterSummary {
    /// Counts and scores what was found in it, and in its namespaces.
    fn count(&mut self, findings: &[Finding]) {
        let own = || findings.iter().filter(|f| f.subject.cluster == self.name);
        self.found = Found::count(own());
        // Where nothing is there of what was chosen, or nothing runs at all, what else was judged is not what the score would
        // be read for.
        let is_empty = self.workloads + self.pods == 0 && own().next().is_none();
        let has_score = !self.chosen_in_vain && !is_empty;
        self.score = score(own(), self.judged, self.unknown).filter(|_| has_score);
        let mut by_namespace: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in own() {
            by_namespace.entry(&finding.subject.namespace).or_default().push(finding);
        }
        for namespace in &mut self.namespaces {
            let findings = by_namespace.remove(namespace.name.as_str()).unwrap_or_default();
            let NamespaceTally { judged, unknown, .. } = namespace.tally;
            namespace.score = score(findings.iter().copied(), judged, unknown);
            namespace.found = Found::count(findings);
        }
    }

    /// The cluster in one word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.found {
            Found { critical: 1.., .. } => Verdict::Critical,
            Found { warning: 1.., .. } => Verdict::Degraded,
            _ if self.is_blind() => Verdict::Unknown,
            _ => Verdict::Healthy,
        }
    }

    /// Whether it was not seen, or not as a whole, what was chosen of it is not there, or a check could not judge most of what
    /// it should have judged.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        !self.is_whole() || self.chosen_in_vain || !self.unanswered.is_empty()
    }

    /// Whether it was seen, by all shards.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.is_unseen() && self.without_shards.is_empty()
    }

    /// Makes it what its namespaces are together.
    fn sum(&mut self) {
        let sum = |of: fn(&NamespaceTally) -> u64| self.namespaces.iter().map(|n| of(&n.tally)).sum();
        let (workloads, pods, completed_pods) =
            (sum(|t| t.workloads), sum(|t| t.pods), sum(|t| t.completed_pods));
        let (judged, unknown) = (sum(|t| t.judged), sum(|t| t.unknown));
        let found = |of: fn(&Found) -> u64| self.namespaces.iter().map(|n| of(&n.found)).sum();
        self.found =
            Found { critical: found(|f| f.critical), warning: found(|f| f.warning), info: found(|f| f.info) };
        (self.workloads, self.pods, self.completed_pods) = (workloads, pods, completed_pods);
        (self.judged, self.unknown, self.containers) = (judged, unknown, sum(|t| t.containers));
        (self.score, self.unanswered) = (None, Vec::new());
    }

    /// Whether nothing of it could be read.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        self.objects_from.is_none() && self.metrics_via.is_none()
    }
}

/// Counts of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckTally {
    /// Id.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// Counts.
    pub tally: Tally,
    /// How many of its findings are sure when the share of false ones is held down; none for rules that are no statistics.
    pub discovery: Option<Discovery>,
}

/// [`CheckTally`] in a form that can be kept: title and id are those of this program.
#[derive(Serialize, Deserialize)]
struct KeptTally {
    id: String,
    tally: PartialTally,
    discovery: Option<Discovery>,
}

impl Serialize for CheckTally {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, title: _, tally, discovery } = self.clone();
        KeptTally { id: id.to_owned(), tally: tally.into(), discovery }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CheckTally {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let KeptTally { id, tally, discovery } = KeptTally::deserialize(deserializer)?;
        let info = known_check(&id)?;
        Ok(Self { id: info.id, title: info.title, tally: tally.into(), discovery })
    }
}

fn known_checks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'static str>, D::Error> {
    let ids = Vec::<String>::deserialize(deserializer)?;
    ids.iter().map(|id| known_check(id).map(|info| info.id)).collect()
}

fn known_check<E: serde::de::Error>(id: &str) -> Result<&'static CheckInfo, E> {
    let infos = CHECKS.iter().map(|check| check.info());
    infos.into_iter().find(|info| info.id == id).ok_or_else(|| E::custom(format!("unknown check `{id}`")))
}

/// What holding down the share of false findings has made of the sure findings of a check.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Discovery {
    /// Share of false ones that is accepted among those that pass, 0..=1; the largest one where classes differ.
    pub level: Ratio,
    /// Findings that pass.
    pub passed: u64,
    /// Findings that became info.
    pub set_back: u64,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Queries sent to the metrics servers.
    pub prometheus_queries: u64,
    /// Samples received.
    pub samples: u64,
    /// Bytes received, after decompression.
    pub bytes: u64,
    /// Requests sent to the Kubernetes APIs.
    pub kubernetes_requests: u64,
    /// Seconds from start to end.
    pub seconds: f64,
    /// Peak resident memory of the process, in bytes.
    pub peak_rss_bytes: u64,
}

/// The run in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Most could be judged by every check, and nothing is at or above warning.
    Healthy,
    /// At least one warning.
    Degraded,
    /// At least one critical problem.
    Critical,
    /// Nothing was found, and too little could be judged to call that healthy ([`Report::is_blind`]).
    Unknown,
}

impl Verdict {
    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a choice by globs has a name: one of them `matches` it, or there are none.
#[must_use]
pub fn is_chosen(globs: &[String], name: &str, matches: &dyn Fn(&str, &str) -> bool) -> bool {
    globs.is_empty() || globs.iter().any(|glob| matches(glob, name))
}

/// A gap for each glob of a choice that `matches` none of the names. `key` is the phrase that says so, of a `pattern`.
#[must_use]
pub fn idle_globs(
    globs: &[String],
    names: &BTreeSet<&str>,
    key: &'static str,
    matches: &dyn Fn(&str, &str) -> bool,
) -> Vec<Gap> {
    let idle = globs.iter().filter(|glob| !names.iter().any(|name| matches(glob, name)));
    let gap = |glob: &String| {
        Gap::new("deliver", GapCause::NothingMatches, phrase(key).with("pattern", glob.as_str()))
    };
    idle.map(gap).collect()
}

impl Report {
    /// Puts the assessments of all clusters together and sorts them. `checks` is the list that the run was
    /// resolved from; it gives order and titles.
    #[must_use]
    pub fn new(
        version: &str,
        taken_at: Timestamp,
        window: Window,
        mut parts: Vec<(ClusterSummary, Assessment)>,
        mut gaps: Vec<Gap>,
        checks: &[&'static dyn AnyCheck],
    ) -> Self {
        crate::fleet::settle_hosts(&mut parts);
        crate::fleet::builds::settle(&mut parts, taken_at);
        let mut all = Assessment::default();
        let mut clusters = Vec::new();
        let mut coverage = BTreeMap::new();
        let mut events = BTreeMap::new();
        for (summary, mut assessment) in parts {
            if summary.is_whole() {
                coverage.insert(summary.name.clone(), std::mem::take(&mut assessment.coverage));
                let own = std::mem::take(&mut assessment.events);
                events.insert(summary.name.clone(), history::together(own, Vec::new()));
            }
            clusters.push(ClusterSummary {
                workloads: assessment.workloads,
                pods: assessment.pods,
                completed_pods: assessment.completed_pods,
                containers: assessment.containers,
                unanswered: unanswered(&summary, &assessment, checks),
                judged: assessment.tallies.values().map(|t| t.ok + t.problem).sum(),
                unknown: assessment.tallies.values().map(|t| t.unknown).sum(),
                namespaces: namespaces(&assessment),
                chosen_in_vain: assessment.workloads + assessment.pods == 0
                    && gaps.iter().any(|gap| is_of_nothing(gap, &summary.name)),
                ..summary
            });
            all.fold(assessment);
        }
        let mut discoveries = crate::discovery::control(&mut all.findings, &all.tallies, &all.accepted);
        clusters.iter_mut().for_each(|cluster| cluster.count(&all.findings));
        let order = |id: &str| checks.iter().position(|c| c.info().id == id);
        let by_weight = |a: &Finding, b: &Finding| {
            (b.severity.cmp(&a.severity))
                .then_with(|| order(&a.check).cmp(&order(&b.check)))
                .then_with(|| a.subject.cmp(&b.subject))
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        };
        crate::agreement::agree(&mut all.findings);
        crate::agreement::name_heaps(&mut all.findings);
        all.findings.sort_by(by_weight);
        let distance = |f: &Finding| f.distance.unwrap_or_default();
        let by_distance =
            |a: &Finding, b: &Finding| distance(a).total_cmp(&distance(b)).then_with(|| by_weight(a, b));
        all.watch.sort_by(by_distance);
        all.almost.sort_by(by_distance);
        all.facts.sort_by(|a, b| a.key().cmp(b.key()));
        gaps.sort();
        gaps.dedup();
        let checks = checks
            .iter()
            .filter_map(|c| {
                let info = c.info();
                Some(CheckTally {
                    id: info.id,
                    title: info.title,
                    tally: all.tallies.remove(info.id)?,
                    discovery: discoveries.remove(info.id),
                })
            })
            .collect();
        Self {
            version: version.to_owned(),
            taken_at,
            window,
            clusters,
            findings: all.findings,
            watch: all.watch,
            almost: all.almost,
            changes: None,
            coverage,
            checks,
            gaps,
            cost: Cost::default(),
            facts: all.facts,
            events,
            shard: None,
            part: None,
        }
    }

    /// The same run for readers whom only some of it concerns: findings of a severity or above it, in the clusters and
    /// namespaces that one of the globs `matches`; what belongs to no namespace has an empty one. What is said of a cluster
    /// or namespace that is left stays as in the whole run, but what a cluster has, and what is wrong there, is summed over
    /// the chosen namespaces: then it has no score, and there are no counts of checks ([`Report::tallies`]). A glob
    /// that matches nothing is a gap.
    #[must_use]
    pub fn narrowed(
        &self,
        floor: Severity,
        clusters: &[String],
        namespaces: &[String],
        matches: &dyn Fn(&str, &str) -> bool,
    ) -> Self {
        let mut out = self.clone();
        if floor == Severity::Info && clusters.is_empty() && namespaces.is_empty() {
            return out;
        }
        let fits = |globs: &[String], name: &str| is_chosen(globs, name, matches);
        let concerns = |s: &SubjectRef| fits(clusters, &s.cluster) && fits(namespaces, &s.namespace);
        out.findings.retain(|f| concerns(&f.subject));
        let worst = out.findings.iter().map(|f| f.severity).max();
        out.findings.retain(|f| f.severity >= floor);
        out.watch.retain(|f| concerns(&f.subject));
        out.almost.retain(|f| concerns(&f.subject));
        out.facts.retain(|f| concerns(&f.subject));
        if let Some(changes) = &mut out.changes {
            changes.gone.retain(|g| g.was.severity >= floor && concerns(&g.was.subject));
            changes.unwatched.retain(|g| concerns(&g.was.subject));
            changes.trends.retain(|t| concerns(&t.subject));
            changes.before.retain(|name, _| fits(clusters, name));
            changes.scores.retain(|name, _| fits(clusters, name));
            if !namespaces.is_empty() {
                for scores in changes.scores.values_mut() {
                    scores.cluster = None;
                    scores.retain(&|name| fits(namespaces, name));
                }
            }
        }
        out.clusters.retain(|c| fits(clusters, &c.name));
        if !namespaces.is_empty() {
            for c in &mut out.clusters {
                c.namespaces.retain(|n| fits(namespaces, &n.name));
                c.sum();
            }
        }
        out.gaps.retain(|gap| {
            self.place(gap).is_none_or(|(cluster, namespace)| {
                fits(clusters, cluster) && namespace.is_none_or(|name| fits(namespaces, name))
            })
        });
        out.gaps.extend(self.unmatched(clusters, namespaces, matches));
        out.part = Some(Part { floor, clusters: clusters.to_vec(), namespaces: namespaces.to_vec(), worst });
        out
    }

    /// The cluster that a gap is in, and the namespace; none where it is in no cluster. What a metrics server did not
    /// tell is in no namespace.
    fn place<'a>(&'a self, gap: &'a Gap) -> Option<(&'a str, Option<&'a str>)> {
        // Names of clusters may hold `/`, as those of EKS do.
        let of = |cluster: &'a ClusterSummary| Some((cluster, within(&gap.scope, &cluster.name)?));
        let (cluster, rest) = self.clusters.iter().filter_map(of).max_by_key(|(c, _)| c.name.len())?;
        let name = cluster.name.as_str();
        let namespace = rest.split_once('/').map(|(first, _)| first).filter(|first| *first != "prometheus");
        let seen = |first: &&str| {
            cluster.namespaces.iter().any(|n| n.name == *first)
                || self.coverage.get(name).is_some_and(|seen| seen.namespaces.contains(*first))
        };
        Some((name, namespace.filter(seen)))
    }

    /// Globs of a choice that choose nothing.
    fn unmatched(
        &self,
        clusters: &[String],
        namespaces: &[String],
        matches: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Gap> {
        let all_clusters: BTreeSet<&str> = self.clusters.iter().map(|c| c.name.as_str()).collect();
        let summed = self.clusters.iter().flat_map(|c| &c.namespaces).map(|n| n.name.as_str());
        let seen = self.coverage.values().flat_map(|c| &c.namespaces).map(String::as_str);
        let all_namespaces: BTreeSet<&str> = summed.chain(seen).collect();
        let mut gaps = idle_globs(clusters, &all_clusters, "gap-no-cluster-matches", matches);
        gaps.extend(idle_globs(namespaces, &all_namespaces, "gap-no-namespace-matches", matches));
        gaps
    }

    /// Whether it tells of some namespaces only.
    fn is_of_namespaces(&self) -> bool {
        self.part.as_ref().is_some_and(|part| !part.namespaces.is_empty())
    }

    /// Whether it leaves clusters or namespaces out.
    fn is_of_places(&self) -> bool {
        self.is_of_namespaces() || self.part.as_ref().is_some_and(|part| !part.clusters.is_empty())
    }

    /// The least severity of its findings.
    #[must_use]
    pub fn floor(&self) -> Severity {
        self.part.as_ref().map_or(Severity::Info, |part| part.floor)
    }

    /// Counts of the checks. Of a part that leaves clusters or namespaces out there are none: those of the run are of all.
    #[must_use]
    pub fn tallies(&self) -> &[CheckTally] {
        if self.is_of_places() { &[] } else { &self.checks }
    }

    /// The run in one word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = match &self.part {
            Some(part) => part.worst,
            None => self.findings.iter().map(|f| f.severity).max(),
        };
        match worst {
            Some(Severity::Critical) => Verdict::Critical,
            Some(Severity::Warning) => Verdict::Degraded,
            _ if self.is_blind() => Verdict::Unknown,
            _ => Verdict::Healthy,
        }
    }

    /// Whether so little could be judged that nothing found is no news: a cluster was not seen at all, or in a cluster
    /// a check could not judge most of what it should have judged, or no workload was seen anywhere, or nothing could be
    /// judged. Of some namespaces: whether most judgements there could not be made.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        let (unknown, all) = self.unknown();
        self.clusters.iter().any(ClusterSummary::is_blind)
            || self.clusters.iter().all(|c| c.workloads + c.pods == 0)
            || unknown == all
            || (self.is_of_namespaces() && unknown * 2 > all)
    }

    /// Judgements that could not be made, and all that should have been.
    #[must_use]
    pub fn unknown(&self) -> (u64, u64) {
        if self.is_of_places() {
            let unknown: u64 = self.clusters.iter().map(|c| c.unknown).sum();
            return (unknown, unknown + self.clusters.iter().map(|c| c.judged).sum::<u64>());
        }
        let unknown = self.checks.iter().map(|c| c.tally.unknown).sum();
        let known: u64 = self.checks.iter().map(|c| c.tally.ok + c.tally.problem).sum();
        (unknown, unknown + known)
    }

    /// Checks that some cluster leaves unanswered, in the order of the checks.
    pub fn unanswered(&self) -> impl Iterator<Item = &'static str> {
        let in_some = |id: &&'static str| self.clusters.iter().any(|c| c.unanswered.contains(id));
        self.checks.iter().map(|c| c.id).filter(in_some)
    }

    /// Number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}

/// Whether a gap says of a cluster that what was chosen of it is not there.
fn is_of_nothing(gap: &Gap, cluster: &str) -> bool {
    gap.cause == GapCause::NothingMatches && within(&gap.scope, cluster).is_some_and(|rest| !rest.is_empty())
}

/// Namespaces of a cluster, those too that are known from a finding alone.
fn namespaces(assessment: &Assessment) -> Vec<NamespaceSummary> {
    let mut tallies = assessment.namespaces.clone();
    let found: BTreeSet<&str> = assessment.findings.iter().map(|f| &*f.subject.namespace).collect();
    tallies.retain(|name, t| t.workloads + t.pods + t.unknown > 0 || found.contains(name.as_str()));
    for name in found {
        tallies.entry(name.to_owned()).or_default();
    }
    tallies.remove("");
    let summary = |(name, tally)| NamespaceSummary { name, tally, ..NamespaceSummary::default() };
    tallies.into_iter().map(summary).collect()
}

/// Checks of a cluster whose answer is missing for most of what they should have judged.
fn unanswered(
    cluster: &ClusterSummary,
    assessment: &Assessment,
    checks: &[&'static dyn AnyCheck],
) -> Vec<&'static str> {
    let judged = |t: &Tally| t.ok + t.problem;
    let nothing = assessment.tallies.values().all(|t| judged(t) == 0);
    let missing = |t: &Tally| -> u64 {
        // Where nothing is judged, no reason is a good one.
        let counts = |why: &Missing| nothing || !is_expected(why, cluster);
        t.reasons.iter().filter(|(why, _)| counts(why)).map(|(_, count)| count).sum()
    };
    let open = |id: &&'static str| assessment.tallies.get(id).is_some_and(|t| missing(t) > judged(t));
    checks.iter().map(|c| c.info().id).filter(open).collect()
}

/// Whether what is missing follows from what was looked at, and not from a look that failed: something is too young for
/// a judgement, the run was asked to do without the Kubernetes API, whose events no metric tells, without a right
/// that is optional, or with the rights of chosen namespaces, a host can be reached by its users only, or a storage driver does not report its room, as those of
/// file shares do not.
fn is_expected(why: &Missing, cluster: &ClusterSummary) -> bool {
    match why {
        Missing::TooShort { .. } => true,
        Missing::TooFewSamples { have, .. } => *have > 0,
        Missing::NoHandshake | Missing::OutsideNamespaces { .. } | Missing::OtherNamespaces { .. } => true,
        Missing::MetricAbsent { metric } | Missing::NoSamples { metric } => {
            metric.of() == SeriesOf::VolumeClaim
        }
        // An account that may not read Secrets is the usual one, and the right is not asked for.
        Missing::AccessDenied { resource, .. } => {
            matches!(resource.as_str(), "secrets" | "certificates.cert-manager.io")
        }
        Missing::NoKubernetesSource => cluster.objects_from == Some(Origin::KubeStateMetrics),
        _ => false,
    }
}

/// What of a scope lies within a cluster; none where it is of another one.
fn within<'s>(scope: &'s str, cluster: &str) -> Option<&'s str> {
    let rest = scope.strip_prefix(cluster)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;
    use crate::fixture::Fixture;
    use crate::settings::Settings;

    fn part(name: &str, text: &str) -> (ClusterSummary, Assessment) {
        let checks = Settings::default().resolve(CHECKS).expect("defaults");
        let mut fixture = Fixture::new(text);
        fixture.snapshot.cluster = name.to_owned();
        let summary = ClusterSummary {
            name: name.to_owned(),
            objects_from: Some(fixture.snapshot.objects.origin),
            metrics_via: Some("direct".to_owned()),
            ..ClusterSummary::default()
        };
        (summary, fixture.assess(&checks))
    }

    fn report(parts: Vec<(ClusterSummary, Assessment)>) -> Report {
        let Fixture { snapshot, .. } = Fixture::new("container web/api-0/app");
        Report::new("0", snapshot.taken_at, snapshot.window, parts, Vec::new(), CHECKS)
    }

    #[test]
    fn where_nothing_chosen_is_there_is_no_score() {
        let node = "node node-1 Ready=no:KubeletNotReady@20m";
        let scores = |gaps: Vec<Gap>| {
            let parts = vec![part("c0", FINE), part("c1", node)];
            let Fixture { snapshot, .. } = Fixture::new(FINE);
            let report = Report::new("0", snapshot.taken_at, snapshot.window, parts, gaps, CHECKS);
            report.clusters.iter().map(|c| c.score.is_some()).collect::<Vec<_>>()
        };
        let gap = |scope: &str| Gap::new(scope, GapCause::NothingMatches, "there is no namespace `nope`");
        assert_eq!(scores(vec![]), [true, true]);
        assert_eq!(scores(vec![gap("c1/nope")]), [true, false]);
        let empty = report(vec![part("c0", "node node-1 Ready=yes")]);
        assert_eq!(
            (empty.verdict(), &empty.clusters[0].score),
            (Verdict::Unknown, &None),
            "nothing runs there"
        );
        let sick = report(vec![part("c0", "node node-1 Ready=no:KubeletNotReady@20m")]);
        assert!(sick.clusters[0].score.is_some(), "{:?}", sick.findings);
        // Something of what was chosen is there.
        assert_eq!(scores(vec![gap("c0/nope")]), [true, true]);
    }

    const FINE: &str = "window lookback=7d step=1h\n\
        container web/api-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m restarts=0  \
        memory: 400x167  rss: 380x167  cpu: 0.2x167  periods: 9000x167";

    #[track_caller]
    fn check(parts: &[&str], verdict: Verdict, unanswered: &str) {
        let parts = parts.iter().enumerate().map(|(i, text)| part(&format!("c{i}"), text)).collect();
        let report = report(parts);
        let told: Vec<_> = report.unanswered().collect();
        let clues: Vec<_> = report.checks.iter().map(|c| (c.id, &c.tally)).collect();
        assert_eq!((report.verdict(), told.join(" ").as_str()), (verdict, unanswered), "{clues:?}");
    }

    fn without_cpu() -> String {
        format!("{}\nabsent cpu", FINE.replace("cpu: 0.2x167", ""))
    }

    const OF_METRICS: &str = "memory-leak memory-usage memory-underprovisioned cpu-throttled \
                              cpu-underprovisioned memory-overprovisioned cpu-overprovisioned";

    #[test]
    fn healthy_is_what_was_seen() {
        check(&[FINE], Verdict::Healthy, "");
        check(&[""], Verdict::Unknown, "");
        check(
            &["node node-1 Ready=yes"],
            Verdict::Unknown,
            "node-pressure version-skew node-pods-near-limit",
        );
        check(
            &["container web/api-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m\noffline"],
            Verdict::Unknown,
            OF_METRICS,
        );
        check(&[&without_cpu()], Verdict::Unknown, "cpu-underprovisioned cpu-overprovisioned");
        check(
            &[&format!("{FINE}\ndenied autoscalers")],
            Verdict::Unknown,
            "pods-started-together hpa-target-missing hpa-metrics-unknown hpa-at-max hpa-under-scaled hpa-fixed \
             hpa-over-scaled",
        );
    }

    /// An account of a few namespaces has no right to what belongs to all, and a run over them does not need it.
    #[test]
    fn nodes_are_not_wanted_by_a_run_over_chosen_namespaces() {
        check(&[&format!("{FINE}\ndenied nodes outside")], Verdict::Healthy, "");
        check(
            &[&format!("{FINE}\ndenied nodes")],
            Verdict::Unknown,
            "node-not-ready node-pressure pods-started-together version-skew node-cordoned node-pods-near-limit",
        );
        // The pods of other namespaces cannot be counted.
        let fine = "node node-1 pods=110 kubelet=v1.33.2 Ready=yes MemoryPressure=no\nserver version=v1.33.2";
        check(&[&format!("{FINE}\n{fine}\nchosen-namespaces")], Verdict::Healthy, "");
    }

    #[test]
    fn the_right_to_read_secrets_is_optional() {
        check(&[&format!("{FINE}\ndenied tls-secrets")], Verdict::Healthy, "");
        check(&[&format!("{FINE}\ndenied managed-certificates")], Verdict::Healthy, "");
        check(&[&format!("{FINE}\nserved web/a.example:443 failed=timeout")], Verdict::Healthy, "");
        check(
            &[&format!("{FINE}\ndenied disruption-budgets")],
            Verdict::Unknown,
            "disruption-budget-blocking",
        );
    }

    #[test]
    fn one_cluster_does_not_speak_for_another() {
        check(&[FINE, &without_cpu()], Verdict::Unknown, "cpu-underprovisioned cpu-overprovisioned");
        let unseen =
            (ClusterSummary { name: "lost".to_owned(), ..ClusterSummary::default() }, Assessment::default());
        assert_eq!(report(vec![part("c0", FINE)]).verdict(), Verdict::Healthy);
        assert_eq!(report(vec![part("c0", FINE), unseen]).verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_part_says_nothing_of_others() {
        let other = "container ops/bad-0/app request=1Gi limit=1Gi state=waiting:CrashLoopBackOff";
        let mut whole = report(vec![part("c0", &format!("{FINE}\n{other}\ndenied autoscalers"))]);
        let scopes =
            ["c0/kubernetes", "c0/ops/pods", "c0/prometheus/cpu-usage", "c0/web/pods", "healthcheck"];
        whole.gaps = scopes.map(|scope| Gap::new(scope, GapCause::Failed, "")).into();
        let narrowed = |floor, cluster: &str, namespaces: &[&str]| {
            let namespaces: Vec<String> = namespaces.iter().map(ToString::to_string).collect();
            whole.narrowed(floor, &[cluster.to_owned()], &namespaces, &|glob, name| glob == name)
        };
        let told = |report: &Report| -> Vec<String> { report.gaps.iter().map(|g| g.scope.clone()).collect() };
        assert_eq!(whole.verdict(), Verdict::Critical);

        let web = narrowed(Severity::Info, "c0", &["web"]);
        let c0 = &web.clusters[0];
        assert_eq!((web.verdict(), c0.found.critical, c0.pods), (Verdict::Healthy, 0, 1));
        assert_eq!((&c0.score, web.tallies().len()), (&None, 0), "a part of a cluster is not the cluster");
        assert_eq!(c0.namespaces, whole.clusters[0].namespaces[1..], "a namespace is what it was");
        assert_eq!(told(&web), ["c0/kubernetes", "c0/prometheus/cpu-usage", "c0/web/pods", "healthcheck"]);

        let critical = narrowed(Severity::Critical, "c0", &[]);
        assert_eq!(critical.clusters, whole.clusters, "counts and scores do not follow what is told");
        assert!(critical.findings.iter().all(|f| f.severity == Severity::Critical));

        let nowhere = narrowed(Severity::Info, "c0", &["webb"]);
        assert_eq!(nowhere.verdict(), Verdict::Unknown);
        assert_eq!(told(&nowhere)[3..], ["deliver"], "a glob that matches nothing is told");
        assert_eq!(told(&narrowed(Severity::Info, "c1", &[])), ["healthcheck", "deliver"]);
    }

    #[test]
    fn a_gap_is_of_the_cluster_with_the_longest_name() {
        let mut whole = report(vec![part("arn:aws", FINE), part("arn:aws/prod", FINE)]);
        let scopes = ["arn:aws/prod", "arn:aws/prod/web/pods", "arn:aws/web/pods"];
        whole.gaps = scopes.map(|scope| Gap::new(scope, GapCause::Failed, "")).into();
        let told = |cluster: &str| -> Vec<String> {
            let part = whole.narrowed(Severity::Info, &[cluster.to_owned()], &[], &|glob, name| glob == name);
            part.gaps.into_iter().map(|g| g.scope).collect()
        };
        assert_eq!(told("arn:aws/prod"), scopes[..2]);
        assert_eq!(told("arn:aws"), scopes[2..]);
    }

    #[test]
    fn most_decides() {
        let three = FINE.replace("restarts=0", "restarts=0 pods=1");
        let others = |n: usize| -> String {
            (0..n)
                .map(|i| {
                    format!("\ncontainer web/w{i}-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m")
                })
                .collect()
        };
        check(&[&format!("{three}{}", others(1))], Verdict::Healthy, "");
        check(&[&format!("{three}{}", others(2))], Verdict::Unknown, OF_METRICS);
    }

    #[test]
    fn file_shares_do_not_report_their_room() {
        let claim = "claim data/share phase=Bound used-by=web-0 capacity=10Gi created=30d";
        check(&[&format!("{FINE}\n{claim}")], Verdict::Healthy, "");
        check(&[&format!("{FINE}\n{claim}\nabsent volume-free")], Verdict::Healthy, "");
        check(&[&format!("{FINE}\n{claim}\nfailed volume-free")], Verdict::Unknown, "volume-filling");
    }

    #[test]
    fn what_is_young_or_was_not_asked_for_is_no_blindness() {
        let young = FINE
            .replace("400x167", "_x161 400x6")
            .replace("380x167", "_x161 380x6")
            .replace("0.2x167", "_x161 0.2x6")
            .replace("9000x167", "_x161 9000x6");
        check(&[&young], Verdict::Healthy, "");
        check(
            &[&format!("{FINE}\norigin kube-state-metrics\ndenied events")],
            Verdict::Unknown,
            "warning-events",
        );
        let (summary, mut assessment) = part("c", FINE);
        let metrics_only = ClusterSummary { objects_from: Some(Origin::KubeStateMetrics), ..summary.clone() };
        let events = assessment.tally("warning-events");
        *events = Tally::default();
        events.unknown(Missing::NoKubernetesSource);
        assert_eq!(report(vec![(metrics_only, assessment.clone())]).verdict(), Verdict::Healthy);
        assert_eq!(report(vec![(summary, assessment)]).verdict(), Verdict::Unknown);
    }
}
