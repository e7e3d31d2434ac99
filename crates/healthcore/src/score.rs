//! A health score from 0 to 100 for a cluster and for each of its namespaces, and its grade.
//!
//! The score is made of what is wrong, and of nothing else: what is in order does not enter, so no number of healthy
//! objects hides a sick one. `docs/score.md` explains it to its readers.
//!
//! Findings are gathered in areas, because one fault shows in several checks: a container that is killed for its memory
//! also restarts, crash loops and is not running. An area counts by its most severe findings alone. With `n` workloads
//! that have one, it costs the share
//!
//! `loss = first + (most - first) · (1 - 1/n)`
//!
//! where `first` and `most` are 0.30 and 0.50 for critical findings, 0.08 and 0.16 for warnings; notes (info) cost
//! nothing, for nothing breaks. The score is `100 · Π (1 - loss)` over the areas, rounded down.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Severity, SubjectRef};

/// Part of a system that fails as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Area {
    /// Pods run and stay up, with the memory that they need.
    Workloads,
    /// CPU suffices.
    Cpu,
    /// Autoscalers can do their work.
    Autoscaling,
    /// Requests reach what answers them.
    Traffic,
    /// Volumes are there and have room.
    Storage,
    /// Jobs succeed when they are due.
    Jobs,
    /// Nodes, control plane and quotas carry the rest.
    Platform,
    /// What is set up carelessly: nothing fails yet.
    Hygiene,
}

impl Area {
    /// Every area.
    pub const ALL: &'static [Self] = &[
        Self::Workloads,
        Self::Cpu,
        Self::Autoscaling,
        Self::Traffic,
        Self::Storage,
        Self::Jobs,
        Self::Platform,
        Self::Hygiene,
    ];

    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workloads => "workloads",
            Self::Cpu => "cpu",
            Self::Autoscaling => "autoscaling",
            Self::Traffic => "traffic",
            Self::Storage => "storage",
            Self::Jobs => "jobs",
            Self::Platform => "platform",
            Self::Hygiene => "hygiene",
        }
    }

    /// The area of a check. Checks that no other area names tell of workloads.
    #[must_use]
    pub fn of(check: &str) -> Self {
        match check {
            "cpu-throttled" | "cpu-underprovisioned" => Self::Cpu,
            _ if check.starts_with("hpa-") => Self::Autoscaling,
            "certificate-expiring"
            | "host-without-route"
            | "load-balancer-pending"
            | "route-backend-missing"
            | "service-without-endpoints" => Self::Traffic,
            "volume-claim-pending" | "volume-failed" | "volume-filling" => Self::Storage,
            "cronjob-stale" | "job-failed" | "job-unfinished" => Self::Jobs,
            "api-service-unavailable"
            | "deprecated-api"
            | "namespace-terminating"
            | "node-cordoned"
            | "node-not-ready"
            | "node-pods-near-limit"
            | "node-pressure"
            | "quota-near-limit"
            | "version-skew" => Self::Platform,
            "cpu-overprovisioned"
            | "memory-overprovisioned"
            | "disruption-budget-blocking"
            | "image-pull-policy"
            | "image-untagged"
            | "probes-missing"
            | "requests-missing" => Self::Hygiene,
            _ => Self::Workloads,
        }
    }
}

/// How healthy a cluster or a namespace is, as far as it could be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 0 to 100; 100 is without a warning.
    pub points: u8,
    /// Share of the judgements that could be made, 0..=1. What is unknown does not change the points: it makes them less
    /// sure.
    pub confidence: f64,
    /// What the points were lost for, the costliest first.
    pub losses: Vec<Loss>,
}

/// What an area costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The area.
    pub area: Area,
    /// The severity of its most severe findings.
    pub severity: Severity,
    /// Workloads, or objects of another kind, that have one of these.
    pub objects: usize,
    /// Share of the points that it takes, 0..1.
    pub share: f64,
}

/// A score as schools give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grade {
    /// 90 and more.
    A,
    /// 80 and more.
    B,
    /// 70 and more.
    C,
    /// 60 and more.
    D,
    /// Less than 60.
    F,
}

impl Grade {
    /// The grade of points of which a share of the judgements is behind, 0..=1; none where less than half of them could be
    /// made, for what was not looked at is not healthy.
    #[must_use]
    pub fn of(points: u8, confidence: f64) -> Option<Self> {
        let grade = match points {
            90.. => Self::A,
            80.. => Self::B,
            70.. => Self::C,
            60.. => Self::D,
            _ => Self::F,
        };
        (confidence >= ENOUGH).then_some(grade)
    }

    /// The letter.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
            Self::F => "F",
        }
    }
}

/// Share of the judgements below which points are no grade.
const ENOUGH: f64 = 0.5;

impl Score {
    /// The grade of the points, as [`Grade::of`] gives it.
    #[must_use]
    pub fn grade(&self) -> Option<Grade> {
        Grade::of(self.points, self.confidence)
    }
}

/// Share that the first object of a severity costs its area, and share that any number of them costs at most. The most of
/// a severity is less than the first of the next one, so that a worse finding never costs less.
const fn price(severity: Severity) -> (f64, f64) {
    match severity {
        Severity::Critical => (0.30, 0.50),
        Severity::Warning => (0.08, 0.16),
        Severity::Info => (0.0, 0.0),
    }
}

/// The score of a cluster or a namespace by its findings, and by how many judgements were made there and how many could
/// not be. None where none was made: nothing is known of it.
#[must_use]
pub fn score<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    judged: u64,
    unknown: u64,
) -> Option<Score> {
    if judged == 0 {
        return None;
    }
    let mut losses = losses(findings);
    let left: f64 = losses.iter().map(|loss| 1.0 - loss.share).product();
    losses.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.area.cmp(&b.area)));
    // A product of hundredths that should be whole may come out a little below.
    let points = (100.0 * left + 1e-9).floor().clamp(0.0, 100.0) as u8;
    Some(Score { points, confidence: judged as f64 / (judged + unknown) as f64, losses })
}

/// What each area costs, in the order of the areas; those that cost nothing are left out.
fn losses<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Loss> {
    type Objects<'a> = BTreeSet<(&'a str, &'a str, &'a str, &'a str)>;
    let mut worst: BTreeMap<Area, (Severity, Objects<'a>)> = BTreeMap::new();
    for finding in findings.into_iter().filter(|f| f.severity > Severity::Info) {
        let SubjectRef { cluster, namespace, kind, name, .. } = &finding.subject;
        let found = worst.entry(Area::of(&finding.check)).or_insert((finding.severity, Objects::new()));
        if finding.severity > found.0 {
            *found = (finding.severity, Objects::new());
        }
        if finding.severity == found.0 {
            found.1.insert((cluster, namespace, kind, name));
        }
    }
    let loss = |(area, (severity, objects)): (Area, (Severity, Objects<'_>))| {
        let (first, most) = price(severity);
        let n = objects.len();
        Loss { area, severity, objects: n, share: first + (most - first) * (1.0 - 1.0 / n as f64) }
    };
    worst.into_iter().map(loss).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checks::CHECKS;
    use crate::finding::Text;

    fn finding(check: usize, severity: usize, workload: usize) -> Finding {
        let subject = SubjectRef {
            namespace: format!("ns-{}", workload % 3),
            kind: "Deployment".into(),
            name: format!("w-{workload}"),
            ..SubjectRef::default()
        };
        Finding {
            check: CHECKS[check % CHECKS.len()].info().id.into(),
            severity: [Severity::Info, Severity::Warning, Severity::Critical][severity],
            fingerprint: String::new(),
            subject,
            class: None,
            summary: Text::new("x"),
            evidence: vec![],
            advice: vec![],
            since: None,
            state: None,
            series: None,
            chance: None,
            distance: None,
        }
    }

    fn found(findings: &[Finding]) -> Score {
        score(findings, 100, 0).unwrap()
    }

    fn of(check: &str, severity: usize, workload: usize) -> Finding {
        finding(CHECKS.iter().position(|c| c.info().id == check).unwrap(), severity, workload)
    }

    #[track_caller]
    fn check(findings: &[Finding], expected: (u8, &str)) {
        let score = found(findings);
        assert_eq!((score.points, score.grade().unwrap().letter()), expected, "{:?}", score.losses);
    }

    #[test]
    fn points_and_grades() {
        check(&[], (100, "A"));
        check(&[of("image-untagged", 0, 1)], (100, "A"));
        check(&[of("memory-usage", 1, 1)], (92, "A"));
        check(&[of("memory-usage", 1, 1), of("cpu-throttled", 1, 1)], (84, "B"));
        check(&[of("oom-killed", 2, 1)], (70, "C"));
        check(&[of("oom-killed", 2, 1), of("oom-killed", 2, 2)], (60, "D"));
        check(&[of("oom-killed", 2, 1), of("volume-filling", 2, 1)], (49, "F"));
    }

    /// A container that is killed for its memory also restarts, crash loops and is not running.
    #[test]
    fn one_fault_that_many_checks_see_counts_once() {
        let ids = ["oom-killed", "crash-looping", "memory-usage"];
        check(&ids.map(|id| of(id, 2, 1)), (70, "C"));
    }

    #[test]
    fn what_is_unknown_makes_the_points_less_sure() {
        let findings = [of("memory-usage", 1, 1)];
        let score = |judged, unknown| score(&findings, judged, unknown);
        assert_eq!(score(30, 10).unwrap().points, score(30, 0).unwrap().points);
        assert_eq!((score(30, 10).unwrap().confidence, score(30, 0).unwrap().confidence), (0.75, 1.0));
        assert_eq!([score(5, 5), score(4, 5)].map(|s| s.unwrap().grade()), [Some(Grade::A), None]);
        assert_eq!(score(0, 10), None);
    }

    #[test]
    fn areas_name_checks_that_are_there() {
        for (id, area) in [
            ("cpu-throttled", Area::Cpu),
            ("hpa-at-max", Area::Autoscaling),
            ("certificate-expiring", Area::Traffic),
            ("volume-filling", Area::Storage),
            ("job-failed", Area::Jobs),
            ("version-skew", Area::Platform),
            ("requests-missing", Area::Hygiene),
            ("memory-leak", Area::Workloads),
        ] {
            assert!(CHECKS.iter().any(|c| c.info().id == id), "{id}");
            assert_eq!(Area::of(id), area, "{id}");
        }
    }

    fn any_findings() -> impl Strategy<Value = Vec<Finding>> {
        let one = (0..CHECKS.len(), 0..3_usize, 0..12_usize);
        prop::collection::vec(one.prop_map(|(check, severity, w)| finding(check, severity, w)), 0..40)
    }

    proptest! {
        #[test]
        fn it_is_bounded(findings in any_findings()) {
            prop_assert!(found(&findings).points <= 100);
            // Eight areas at their worst leave 100 · 0.5^8.
            prop_assert!(found(&findings).losses.len() <= Area::ALL.len());
        }

        #[test]
        fn more_problems_never_raise_it(findings in any_findings(), more in any_findings()) {
            let all: Vec<Finding> = findings.iter().chain(&more).cloned().collect();
            prop_assert!(found(&all).points <= found(&findings).points);
        }

        #[test]
        fn a_worse_severity_never_raises_it(mut findings in any_findings(), at in any::<prop::sample::Index>()) {
            prop_assume!(!findings.is_empty());
            let before = found(&findings).points;
            let finding = at.get_mut(&mut findings);
            finding.severity = if finding.severity == Severity::Info { Severity::Warning } else { Severity::Critical };
            prop_assert!(found(&findings).points <= before);
        }

        #[test]
        fn the_order_does_not_matter(findings in any_findings()) {
            let reversed: Vec<Finding> = findings.iter().rev().cloned().collect();
            prop_assert_eq!(found(&findings), found(&reversed));
        }

        #[test]
        fn healthy_objects_do_not_raise_it(findings in any_findings(), healthy in 0..100_000_u64) {
            let score = |judged| score(&findings, judged, 7).unwrap();
            prop_assert_eq!(score(1 + healthy).points, score(1).points);
        }

        /// The findings of a workload on two of half its size.
        #[test]
        fn a_split_workload_does_not_raise_it(findings in any_findings()) {
            let halves = |f: &Finding| {
                ["a", "b"].map(|half| {
                    let mut f = f.clone();
                    f.subject.name.push_str(half);
                    f
                })
            };
            let split: Vec<Finding> = findings.iter().flat_map(halves).collect();
            prop_assert!(found(&split).points <= found(&findings).points);
        }

        #[test]
        fn a_cluster_is_no_better_than_any_of_its_namespaces(findings in any_findings()) {
            for namespace in ["ns-0", "ns-1", "ns-2"] {
                let own = findings.iter().filter(|f| f.subject.namespace == namespace);
                prop_assert!(found(&findings).points <= score(own, 1, 0).unwrap().points);
            }
        }
    }
}
