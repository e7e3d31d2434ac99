//! False discoveries over the whole fleet: with thousands of containers even a rare error happens every day.

use std::collections::BTreeMap;

use crate::analyse::Tally;
use crate::finding::{Evidence, Finding, Severity, Value};
use crate::report::Discovery;
use crate::unit::Ratio;

/// Holds the share of false findings below the level that each finding names, by Benjamini and Hochberg (Journal of
/// the Royal Statistical Society B 57, 1995). What does not pass becomes info with its unsure sentence and advice. Every
/// finding that was tested gets the share as evidence.
///
/// `tallies` tells how many subjects of each check were judged, `accepted` which checks are statistics. Returns what has
/// become of their findings, of those too that found nothing.
pub(crate) fn control(
    findings: &mut [Finding],
    tallies: &BTreeMap<&'static str, Tally>,
    accepted: &BTreeMap<&'static str, Ratio>,
) -> BTreeMap<&'static str, Discovery> {
    let told =
        |(id, level): (&&'static str, &Ratio)| (*id, Discovery { level: *level, ..Discovery::default() });
    let mut discoveries: BTreeMap<&'static str, Discovery> = accepted.iter().map(told).collect();
    let mut tested: BTreeMap<&str, Vec<(f64, usize)>> = BTreeMap::new();
    for (i, finding) in findings.iter().enumerate() {
        if let Some((chance, (id, _))) =
            finding.chance.as_ref().zip(tallies.get_key_value(finding.check.as_ref()))
        {
            tested.entry(id).or_default().push((chance.p, i));
        }
    }
    let mut shares: Vec<(usize, f64)> = Vec::new();
    for (id, mut found) in tested {
        let judged = tallies[id].ok + tallies[id].problem;
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut share: f64 = 1.0;
        for (rank, (p, i)) in found.iter().enumerate().rev() {
            share = share.min(p * judged as f64 / (rank + 1) as f64);
            shares.push((*i, share));
        }
    }
    for (i, share) in shares {
        let finding = &mut findings[i];
        let Some(chance) = finding.chance.take() else { continue };
        finding.evidence.push(Evidence {
            name: "false-discovery-rate".into(),
            value: Value::Ratio(share),
            threshold: Some(Value::Ratio(chance.level)),
            is_age: false,
        });
        let mut unheard = Discovery::default();
        let discovery = discoveries.get_mut(finding.check.as_ref()).unwrap_or(&mut unheard);
        if share <= chance.level {
            discovery.passed += 1;
        } else {
            discovery.set_back += 1;
            finding.severity = Severity::Info;
            finding.summary = chance.unsure;
            finding.advice = chance.unsure_advice;
        }
    }
    discoveries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Advice, Chance, SubjectRef, Text};

    fn judged(p_values: &[f64], ok: u64) -> Vec<(Severity, f64)> {
        let mut findings: Vec<Finding> = p_values
            .iter()
            .map(|p| Finding {
                check: "memory-leak".into(),
                severity: Severity::Warning,
                subject: SubjectRef::default(),
                class: None,
                summary: Text::new("sure"),
                evidence: Vec::new(),
                advice: vec![Advice::new(Text::new("act"))],
                since: None,
                state: None,
                fingerprint: String::new(),
                series: None,
                chance: Some(Chance {
                    p: *p,
                    level: 0.05,
                    unsure: Text::new("unsure"),
                    unsure_advice: vec![Advice::new(Text::new("look-again"))],
                }),
                distance: None,
            })
            .collect();
        let tally = Tally { ok, problem: p_values.len() as u64, ..Tally::default() };
        let accepted = [("memory-leak", Ratio(0.05))].into();
        let discovery = control(&mut findings, &[("memory-leak", tally)].into(), &accepted)["memory-leak"];
        let passed = findings.iter().filter(|f| f.severity != Severity::Info).count() as u64;
        let set_back = findings.len() as u64 - passed;
        assert_eq!(discovery, Discovery { level: Ratio(0.05), passed, set_back });
        let told = |f: &Finding| {
            let sure = f.severity != Severity::Info;
            assert_eq!(f.summary.key, if sure { "sure" } else { "unsure" });
            let advice: Vec<&str> = f.advice.iter().map(|a| &*a.text.key).collect();
            assert_eq!(advice, [if sure { "act" } else { "look-again" }]);
            (f.severity, f.evidence[0].value.number().unwrap_or(f64::NAN))
        };
        findings.iter().map(told).collect()
    }

    /// `scipy.stats.false_discovery_control([0.01, 0.02, 0.03, 0.04, 0.05, 0.5, 0.6, 0.7, 0.8, 0.9])` (SciPy 1.17); the
    /// last five are the subjects in order, whose p-values cannot lower anything.
    #[test]
    fn shares_are_those_of_scipy() {
        let shares: Vec<f64> = judged(&[0.01, 0.02, 0.03, 0.04, 0.05], 5).iter().map(|j| j.1).collect();
        for (share, expected) in shares.iter().zip([0.1; 5]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        let shares: Vec<f64> = judged(&[0.04, 0.001, 0.002], 7).iter().map(|j| j.1).collect();
        for (share, expected) in shares.iter().zip([0.4 / 3.0, 0.01, 0.01]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
    }

    #[test]
    fn the_same_score_says_less_in_a_larger_fleet() {
        assert_eq!(judged(&[0.001], 40)[0].0, Severity::Warning);
        assert_eq!(judged(&[0.001], 60)[0].0, Severity::Info);
        assert_eq!(judged(&[0.001, 0.001], 60)[0].0, Severity::Warning);
    }

    #[test]
    fn what_was_not_tested_stays() {
        let mut findings = Vec::new();
        assert!(control(&mut findings, &BTreeMap::new(), &BTreeMap::new()).is_empty());
        assert!(findings.is_empty());
    }
}
