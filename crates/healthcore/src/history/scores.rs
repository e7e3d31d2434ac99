//! Scores as history keeps them, so that those of today can be compared.

use std::collections::BTreeMap;

use super::PastRun;
use crate::report::Report;
use crate::score::{Grade, Score};

/// A score that was told.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PastScore {
    /// 0 to 100.
    pub points: u8,
    /// Share of the judgements that could be made, 0..=1, in whole thousandths.
    pub confidence: f64,
}

impl PastScore {
    /// The grade, as [`Score::grade`] gives it.
    #[must_use]
    pub fn grade(&self) -> Option<Grade> {
        Grade::of(self.points, self.confidence)
    }

    /// Whether about the same share of the judgements is behind both, so that the difference of the points tells of the
    /// cluster, and not of what could be looked at.
    #[must_use]
    pub fn is_as_sure_as(&self, other: &Self) -> bool {
        (self.confidence - other.confidence).abs() < AS_SURE
    }
}

/// How far apart the shares of judgements of two scores that are compared may be.
const AS_SURE: f64 = 0.1;

impl From<&Score> for PastScore {
    fn from(score: &Score) -> Self {
        // Rounded down, so that what was too little for a grade is not enough for one now.
        Self { points: score.points, confidence: (score.confidence * 1000.0).floor() / 1000.0 }
    }
}

/// The scores of a cluster and of its namespaces.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Scores {
    /// That of the cluster.
    pub cluster: Option<PastScore>,
    /// Those of its namespaces, by name.
    pub namespaces: BTreeMap<String, PastScore>,
}

impl Scores {
    /// The scores of a cluster in a report.
    pub(super) fn of(report: &Report, cluster: &str) -> Self {
        let Some(summary) = report.clusters.iter().find(|c| c.name == cluster) else {
            return Self::default();
        };
        let scored =
            summary.namespaces.iter().filter_map(|n| Some((n.name.clone(), n.score.as_ref()?.into())));
        Self { cluster: summary.score.as_ref().map(PastScore::from), namespaces: scored.collect() }
    }

    /// Leaves the namespaces that are taken, and the score of the cluster as it is.
    pub(crate) fn retain(&mut self, namespace: &dyn Fn(&str) -> bool) {
        self.namespaces.retain(|name, _| namespace(name));
    }
}

impl PastRun {
    /// Whether it is known which checks were asked; it is not of a run that was kept before scores were.
    pub(super) fn tells_its_checks(&self) -> bool {
        !self.checks.is_empty()
    }

    /// Whether the same checks were asked of both runs: else one may have the better score for what nobody asked.
    pub(super) fn is_scored_as(&self, other: &Self) -> bool {
        self.tells_its_checks() && self.checks == other.checks
    }
}
