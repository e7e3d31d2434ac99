//! Parts of a run that several processes make, and the one report that they give together.
//!
//! A [`Shard`] owns namespaces by the hash of cluster and name, so a namespace stays where it is when others come and go. What
//! is in no namespace, and what is judged over a whole cluster at once ([`crate::inventory`]), belongs to the first shard. A
//! shard keeps what it has judged as [`Partial`]: the assessments before anything is decided over the whole fleet (the share of
//! false findings, what is unanswered, the verdict). [`merge`] puts them together and decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::analyse::{Assessment, NamespaceTally, Tally};
use crate::check::AnyCheck;
use crate::facts::ContainerFacts;
use crate::finding::{Finding, SubjectRef};
use crate::fleet::builds::RunningBuild;
use crate::history::Coverage;
use crate::model::Event;
use crate::phrase::phrase;
use crate::report::{ClusterSummary, Cost, Report};
use crate::snapshot::{Gap, GapCause, Missing, Objects, Origin, Unavailable};
use crate::time::{Timestamp, Window};
use crate::unit::{Ratio, Seconds};

/// Time that may lie between the first and the last shard of a run: pods start one after the other, and are tried again.
pub const MOST_APART: Seconds = Seconds(3600.0);

/// One of several equal parts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shard {
    index: u32,
    of: u32,
}

/// A shard that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a shard such as `0/4`, from `0/{of}` to `{last}/{of}`, got `{index}/{of}`", last = .of.saturating_sub(1))]
pub struct NoShard {
    index: u32,
    of: u32,
}

impl Shard {
    /// The shard of this index, from 0, of so many.
    ///
    /// # Errors
    /// The index is not below the number.
    pub fn new(index: u32, of: u32) -> Result<Self, NoShard> {
        if index < of { Ok(Self { index, of }) } else { Err(NoShard { index, of }) }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.of
    }

    /// Whether it is the first, which judges what is in no namespace.
    #[must_use]
    pub const fn is_first(self) -> bool {
        self.index == 0
    }

    /// Whether it looks into a namespace of a cluster; an empty namespace is none, and the first shard's.
    #[must_use]
    pub fn owns(self, cluster: &str, namespace: &str) -> bool {
        if namespace.is_empty() {
            return self.is_first();
        }
        hash(cluster, namespace) % u64::from(self.of) == u64::from(self.index)
    }

    /// Leaves in the objects of a cluster what the shard judges.
    pub fn keep(self, cluster: &str, objects: &mut Objects) {
        objects.workloads.retain(|w| self.owns(cluster, &w.id.namespace));
        objects.pods.retain(|p| self.owns(cluster, &p.workload.namespace));
        objects.hpas.retain(|h| self.owns(cluster, &h.namespace));
        objects.events.retain(|e| self.owns(cluster, &e.namespace));
        let mut claims = std::mem::take(&mut objects.inventory.volume_claims);
        if !self.is_first() {
            objects.nodes.clear();
            objects.inventory = Default::default();
        }
        claims.retain(|c| self.owns(cluster, &c.id.namespace));
        objects.inventory.volume_claims = claims;
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, of) = numbers.ok_or_else(|| format!("expected a shard such as `0/4`, got `{text}`"))?;
        Self::new(index, of).map_err(|e| e.to_string())
    }
}

/// FNV-1a with 64 bits, then the finalizer of MurmurHash3, so that the remainder by a small number depends on every byte.
/// Both are fixed for ever: a namespace must not move because the program is another.
fn hash(cluster: &str, namespace: &str) -> u64 {
    mixed(cluster.bytes().chain([0]).chain(namespace.bytes()))
}

/// A short text that stands for a long one.
pub(crate) fn digest(text: &str) -> String {
    format!("{:016x}", mixed(text.bytes()))
}

fn mixed(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    for factor in [0xff51_afd7_ed55_8ccd_u64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// What one shard has judged, before anything is decided over the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partial {
    /// Which shard.
    pub shard: Shard,
    /// Version of the tool that made it.
    pub version: String,
    /// When its data were taken.
    pub taken_at: Timestamp,
    /// The span that it looked at.
    pub window: Window,
    /// [`Resolved::digest`](crate::settings::Resolved::digest) of its settings; empty where none was kept.
    #[serde(default)]
    pub settings: String,
    /// Clusters in the order in which they were given.
    pub clusters: Vec<PartialCluster>,
    /// What could not be had.
    pub gaps: Vec<Gap>,
}

/// One cluster of a [`Partial`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartialCluster {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objects_from: Option<Origin>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metrics_via: Option<String>,
    tallies: BTreeMap<String, PartialTally>,
    accepted: BTreeMap<String, f64>,
    findings: Vec<Finding>,
    watch: Vec<Finding>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    almost: Vec<Finding>,
    seen: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    everywhere: bool,
    unjudged: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unsure: BTreeSet<u64>,
    hidden: Vec<(String, Unavailable)>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    subjects: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    off: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    unasked: BTreeSet<u64>,
    workloads: u64,
    pods: u64,
    containers: u64,
    completed_pods: u64,
    namespaces: BTreeMap<String, NamespaceTally>,
    facts: Vec<ContainerFacts>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    routed: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    caught: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    builds: Vec<RunningBuild>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
}

/// [`Tally`], with its reasons as a list: in JSON a key is a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartialTally {
    ok: u64,
    problem: u64,
    unknown: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<(Missing, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    examples: Vec<(Missing, Vec<SubjectRef>)>,
}

impl From<Tally> for PartialTally {
    fn from(t: Tally) -> Self {
        let (reasons, examples) = (t.reasons.into_iter().collect(), t.examples.into_iter().collect());
        Self { ok: t.ok, problem: t.problem, unknown: t.unknown, reasons, examples }
    }
}

impl From<PartialTally> for Tally {
    fn from(t: PartialTally) -> Self {
        let (reasons, examples) = (t.reasons.into_iter().collect(), t.examples.into_iter().collect());
        Self { ok: t.ok, problem: t.problem, unknown: t.unknown, reasons, examples }
    }
}

impl PartialCluster {
    /// What a shard has judged of a cluster.
    #[must_use]
    pub fn new(summary: &ClusterSummary, assessment: &Assessment) -> Self {
        let a = assessment.clone();
        Self {
            name: summary.name.clone(),
            objects_from: summary.objects_from,
            metrics_via: summary.metrics_via.clone(),
            tallies: a.tallies.into_iter().map(|(id, t)| (id.to_owned(), t.into())).collect(),
            accepted: a.accepted.into_iter().map(|(id, level)| (id.to_owned(), level.get())).collect(),
            findings: a.findings,
            watch: a.watch,
            almost: a.almost,
            seen: a.coverage.namespaces,
            everywhere: a.coverage.everywhere,
            unjudged: a.coverage.unjudged,
            unsure: a.coverage.unsure,
            hidden: a.coverage.hidden.into_iter().map(|(id, list)| (id.to_owned(), list)).collect(),
            subjects: a.coverage.subjects,
            off: a.coverage.off,
            unasked: a.coverage.unasked,
            workloads: a.workloads,
            pods: a.pods,
            containers: a.containers,
            completed_pods: a.completed_pods,
            namespaces: a.namespaces,
            facts: a.facts,
            routed: a.routed,
            caught: a.caught,
            builds: a.builds,
            events: a.events,
        }
    }

    fn is_unseen(&self) -> bool {
        self.objects_from.is_none() && self.metrics_via.is_none()
    }

    fn into_assessment(self, checks: &[&'static dyn AnyCheck]) -> Result<Assessment, MergeError> {
        let known = |id: String| {
            let found = checks.iter().map(|c| c.info().id).find(|known| *known == id);
            found.ok_or(MergeError::UnknownCheck(id))
        };
        let mut out = Assessment {
            cluster: self.name,
            findings: self.findings,
            watch: self.watch,
            almost: self.almost,
            workloads: self.workloads,
            pods: self.pods,
            containers: self.containers,
            completed_pods: self.completed_pods,
            namespaces: self.namespaces,
            facts: self.facts,
            routed: self.routed,
            caught: self.caught,
            builds: self.builds,
            events: self.events,
            coverage: Coverage {
                namespaces: self.seen,
                everywhere: self.everywhere,
                unjudged: self.unjudged,
                unsure: self.unsure,
                // Found anew when the parts are together.
                compared: BTreeMap::new(),
                hidden: Vec::new(),
                subjects: self.subjects,
                off: self.off,
                unasked: self.unasked,
            },
            ..Assessment::default()
        };
        for (id, tally) in self.tallies {
            out.tallies.insert(known(id)?, tally.into());
        }
        for (id, level) in self.accepted {
            out.accepted.insert(known(id)?, Ratio(level));
        }
        for (id, list) in self.hidden {
            out.coverage.hidden.push((known(id)?, list));
        }
        Ok(out)
    }
}

/// Why parts do not give one report.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Nothing to merge.
    #[error("no shard to merge")]
    Nothing,
    /// Parts of different wholes.
    #[error("a part is shard {0} and another shard {1}; expected the shards of one run")]
    OtherNumber(Shard, Shard),
    /// The same part twice.
    #[error("shard {0} is given twice")]
    Twice(Shard),
    /// Parts that are not there.
    #[error("shard {0} is missing, as its process failed or has not ended; merge the others with --partial")]
    Absent(String),
    /// Parts made by different versions of the program.
    #[error(
        "shard {0} was made by version {1} and shard {2} by version {3}; make them anew with one version"
    )]
    OtherVersion(Shard, String, Shard, String),
    /// Parts of different settings.
    #[error("shard {0} and shard {1} differ in {2}; make them anew with one configuration")]
    OtherSettings(Shard, Shard, &'static str),
    /// Parts of different days.
    #[error(
        "shard {0} was taken {2} after shard {1}, and at most {most} may lie between; make them anew, or give the same --at", most = MOST_APART
    )]
    OtherTime(Shard, Shard, Seconds),
    /// A check that this version does not know.
    #[error("unknown check `{0}`; merge with the version that made the shards")]
    UnknownCheck(String),
}

/// One report from the parts of a run: the one that a single process would have made, when all are there and were taken at one
/// instant. `partial` lets some be missing: then a gap names them, and no cluster counts as seen as a whole.
///
/// # Errors
/// The parts do not belong together.
pub fn merge(
    mut parts: Vec<Partial>,
    partial: bool,
    checks: &[&'static dyn AnyCheck],
) -> Result<Report, MergeError> {
    parts.sort_by_key(|p| p.shard);
    let first = parts.first().ok_or(MergeError::Nothing)?;
    parts.windows(2).try_for_each(|pair| belong_together(&pair[0], &pair[1]))?;
    let latest = parts.iter().max_by_key(|p| p.taken_at).unwrap_or(first);
    let earliest = parts.iter().min_by_key(|p| p.taken_at).unwrap_or(first);
    let apart = Seconds(latest.taken_at.seconds_since(earliest.taken_at));
    if apart > MOST_APART {
        return Err(MergeError::OtherTime(latest.shard, earliest.shard, apart));
    }
    let (version, taken_at, window) = (first.version.clone(), latest.taken_at, latest.window);
    let absent = absent(&parts);
    if let (Some(shard), false) = (absent.first(), partial) {
        return Err(MergeError::Absent(shard.to_string()));
    }
    let without_shards: Vec<String> = absent.iter().map(Shard::to_string).collect();
    let mut gaps: Vec<Gap> = absent.iter().map(|shard| lost(&format!("shard {shard}"), None)).collect();
    let mut clusters: Vec<(ClusterSummary, Assessment)> = Vec::new();
    for part in parts {
        gaps.extend(part.gaps);
        for (at, cluster) in part.clusters.into_iter().enumerate() {
            let unseen = cluster.is_unseen();
            let head = ClusterSummary {
                name: cluster.name.clone(),
                objects_from: cluster.objects_from,
                metrics_via: cluster.metrics_via.clone(),
                without_shards: without_shards.clone(),
                ..ClusterSummary::default()
            };
            let assessment = cluster.into_assessment(checks)?;
            let Some((summary, so_far)) = clusters.get_mut(at) else {
                clusters.push((head, assessment));
                continue;
            };
            so_far.fold(assessment);
            if unseen != summary.is_unseen() {
                // What one of them has not seen, the report does not hold.
                gaps.push(lost(&head.name, Some(part.shard)));
                summary.objects_from = None;
                summary.metrics_via = None;
            } else {
                summary.objects_from = summary.objects_from.or(head.objects_from);
                summary.metrics_via = summary.metrics_via.take().or(head.metrics_via);
            }
        }
    }
    Ok(Report::new(&version, taken_at, window, clusters, gaps, checks))
}

fn belong_together(a: &Partial, b: &Partial) -> Result<(), MergeError> {
    if a.shard.of != b.shard.of {
        return Err(MergeError::OtherNumber(a.shard, b.shard));
    }
    if a.shard == b.shard {
        return Err(MergeError::Twice(a.shard));
    }
    if a.version != b.version {
        return Err(MergeError::OtherVersion(a.shard, a.version.clone(), b.shard, b.version.clone()));
    }
    let span = |p: &Partial| (p.window.step_s(), p.window.points());
    let names = |p: &Partial| p.clusters.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    let enabled = |p: &Partial| -> BTreeSet<String> {
        p.clusters.iter().flat_map(|c| c.tallies.keys().cloned()).collect()
    };
    let differ = |what| Err(MergeError::OtherSettings(a.shard, b.shard, what));
    if span(a) != span(b) {
        return differ("look-back or step");
    }
    if names(a) != names(b) {
        return differ("clusters");
    }
    if enabled(a) != enabled(b) {
        return differ("checks");
    }
    if a.settings != b.settings {
        return differ("parameters of checks");
    }
    Ok(())
}

fn absent(parts: &[Partial]) -> Vec<Shard> {
    let of = parts.first().map_or(0, |p| p.shard.of);
    let there: BTreeSet<u32> = parts.iter().map(|p| p.shard.index).collect();
    (0..of).filter(|index| !there.contains(index)).map(|index| Shard { index, of }).collect()
}

/// A gap about namespaces that no shard has read.
fn lost(scope: &str, shard: Option<Shard>) -> Gap {
    let said = match shard {
        Some(shard) => phrase("gap-shards-disagree").with("shard", shard.to_string()),
        None => phrase("gap-shard-missing"),
    };
    Gap::new(scope, GapCause::Partial, said)
}

impl Cost {
    /// What several processes have cost together: sums, and the longest time and largest memory of one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            prometheus_queries: self.prometheus_queries + other.prometheus_queries,
            samples: self.samples + other.samples,
            bytes: self.bytes + other.bytes,
            kubernetes_requests: self.kubernetes_requests + other.kubernetes_requests,
            seconds: self.seconds.max(other.seconds),
            peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::CHECKS;

    fn partial(shard: &str, taken_at: i64) -> Partial {
        let taken_at = Timestamp::from_unix_seconds(taken_at);
        let name = "prod".to_owned();
        let summary =
            ClusterSummary { name, metrics_via: Some("direct".into()), ..ClusterSummary::default() };
        Partial {
            shard: shard.parse().unwrap(),
            version: "0.1.0".into(),
            taken_at,
            window: Window::ending(taken_at, Seconds(86_400.0), Seconds(300.0)).unwrap(),
            settings: "s".to_owned(),
            clusters: vec![PartialCluster::new(&summary, &Assessment::default())],
            gaps: Vec::new(),
        }
    }

    #[test]
    fn a_shard_is_an_index_below_a_number() {
        assert_eq!("3/4".parse::<Shard>().map(|s| s.to_string()), Ok("3/4".to_owned()));
        let why = "4/4".parse::<Shard>().unwrap_err();
        assert_eq!(why, "expected a shard such as `0/4`, from `0/4` to `3/4`, got `4/4`");
        for wrong in ["", "1", "a/2", "1/2/3", "-1/2", "0/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    /// Fixed for ever: shards of two versions must not both own a namespace, or neither.
    #[test]
    fn namespaces_stay_where_they_are() {
        let of =
            |namespace: &str| (0..8).position(|i| Shard { index: i, of: 8 }.owns("prod", namespace)).unwrap();
        let names = ["default", "kube-system", "shop", "payments", "exchange", "ci-1", "ci-2", "ci-3"];
        assert_eq!(names.map(of), [5, 7, 3, 6, 2, 1, 6, 2]);
    }

    #[test]
    fn namespaces_are_shared_about_equally() {
        let mut counts = [0; 4];
        for i in 0..4000 {
            let own = (0..4).filter(|s| Shard { index: *s, of: 4 }.owns("prod", &format!("team-{i}")));
            own.for_each(|s| counts[s as usize] += 1);
        }
        assert!(counts.iter().all(|n| (900..=1100).contains(n)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn every_namespace_has_one_shard(of in 1_u32..20, cluster in "[a-z]{0,8}", namespace in "[a-z0-9-]{0,20}") {
            let owners = (0..of).filter(|index| Shard { index: *index, of }.owns(&cluster, &namespace));
            prop_assert_eq!(owners.count(), 1);
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        #[track_caller]
        fn refused(parts: Vec<Partial>, expected: &str) {
            let why = merge(parts, false, CHECKS).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
        let (a, b) = (partial("0/2", 0), partial("1/2", 60));
        refused(vec![], "no shard to merge");
        refused(vec![a.clone()], "shard 1/2 is missing");
        refused(vec![a.clone(), a.clone()], "shard 0/2 is given twice");
        refused(vec![a.clone(), partial("1/3", 0)], "expected the shards of one run");
        refused(
            vec![a.clone(), partial("1/2", 90_000)],
            "shard 1/2 was taken 25h after shard 0/2, and at most 1h",
        );
        refused(vec![a.clone(), Partial { version: "0.2.0".into(), ..b.clone() }], "by version 0.2.0");
        refused(vec![a.clone(), Partial { clusters: Vec::new(), ..b.clone() }], "differ in clusters");
        let other = Partial { settings: "t".into(), ..b.clone() };
        refused(
            vec![a.clone(), other],
            "shard 0/2 and shard 1/2 differ in parameters of checks; make them anew",
        );
        assert!(merge(vec![b, a], false, CHECKS).is_ok());
    }

    #[test]
    fn what_is_missing_is_no_good_news() {
        let report = merge(vec![partial("0/2", 0)], true, CHECKS).unwrap();
        assert!(report.is_blind());
        assert_eq!(report.gaps[0].scope, "shard 1/2");
        assert_eq!(report.clusters[0].without_shards, ["1/2"]);
        assert!(!report.clusters[0].is_unseen(), "what one shard has seen was seen");
        assert!(report.coverage.is_empty(), "history must not take for resolved what nobody looked at");
        let mut unseen = partial("1/2", 0);
        unseen.clusters[0].metrics_via = None;
        let report = merge(vec![partial("0/2", 0), unseen], false, CHECKS).unwrap();
        assert!(report.is_blind() && report.clusters[0].is_unseen());
        assert_eq!(report.gaps[0].scope, "prod");
    }
}
