//! The result of a run as values: what every renderer starts from.

use crate::analyse::{Assessment, Tally};
use crate::check::AnyCheck;
use crate::facts::ContainerFacts;
use crate::finding::{Finding, Severity};
use crate::snapshot::{Gap, Origin};
use crate::time::{Timestamp, Window};

/// A whole run.
#[derive(Debug, Clone, PartialEq)]
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
    /// Counts of every enabled check, in the order of the checks.
    pub checks: Vec<CheckTally>,
    /// What could not be had.
    pub gaps: Vec<Gap>,
    /// What the run cost; zeros for a replayed snapshot, so that a replay is the same byte for byte.
    pub cost: Cost,
    /// Measured values of every container, by cluster and name.
    pub facts: Vec<ContainerFacts>,
}

/// One cluster in the summary.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
}

/// Counts of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckTally {
    /// Id.
    pub id: &'static str,
    /// Title.
    pub title: &'static str,
    /// Counts.
    pub tally: Tally,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
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
    /// Checked, and nothing at or above warning.
    Healthy,
    /// At least one warning.
    Degraded,
    /// At least one critical problem.
    Critical,
    /// Nothing could be judged.
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

impl Report {
    /// Puts the assessments of all clusters together and sorts them. `checks` is the list that the run was
    /// resolved from; it gives order and titles.
    #[must_use]
    pub fn new(
        version: &str,
        taken_at: Timestamp,
        window: Window,
        parts: Vec<(ClusterSummary, Assessment)>,
        mut gaps: Vec<Gap>,
        checks: &[&'static dyn AnyCheck],
    ) -> Self {
        let mut all = Assessment::default();
        let mut clusters = Vec::new();
        for (summary, assessment) in parts {
            clusters.push(ClusterSummary {
                workloads: assessment.workloads,
                pods: assessment.pods,
                completed_pods: assessment.completed_pods,
                containers: assessment.containers,
                ..summary
            });
            all.fold(assessment);
        }
        crate::discovery::control(&mut all.findings, &all.tallies);
        let order = |id: &str| checks.iter().position(|c| c.info().id == id);
        all.findings.sort_by(|a, b| {
            (b.severity.cmp(&a.severity))
                .then_with(|| order(&a.check).cmp(&order(&b.check)))
                .then_with(|| a.subject.cmp(&b.subject))
                .then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        all.facts.sort_by(|a, b| a.key().cmp(b.key()));
        gaps.sort();
        gaps.dedup();
        let checks = checks
            .iter()
            .filter_map(|c| {
                let info = c.info();
                Some(CheckTally { id: info.id, title: info.title, tally: all.tallies.remove(info.id)? })
            })
            .collect();
        Self {
            version: version.to_owned(),
            taken_at,
            window,
            clusters,
            findings: all.findings,
            checks,
            gaps,
            cost: Cost::default(),
            facts: all.facts,
        }
    }

    /// The run in one word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|f| f.severity).max() {
            Some(Severity::Critical) => Verdict::Critical,
            Some(Severity::Warning) => Verdict::Degraded,
            _ if self.checks.iter().all(|c| c.tally.ok + c.tally.problem == 0) => Verdict::Unknown,
            _ => Verdict::Healthy,
        }
    }

    /// Number of findings of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
}
