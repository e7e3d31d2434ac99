//! One container, one advised value of a setting.
//!
//! Several checks may want to raise the same limit, each from what it has measured: what one asks for may be too little
//! for another. Every finding advises the largest value then, with one command.

use std::collections::BTreeMap;

use crate::chart::{ChartLine, LineKind};
use crate::finding::{Advice, Finding, SubjectRef, Value};

/// Container, and the setting that is to be raised.
type Key = (SubjectRef, String);

/// Makes all advice to raise one setting of one container the same.
pub(crate) fn agree(findings: &mut [Finding]) {
    let mut largest: BTreeMap<Key, (f64, Advice)> = BTreeMap::new();
    for finding in &*findings {
        for advice in &finding.advice {
            let Some((key, value)) = raised(&finding.subject, advice) else { continue };
            if largest.get(&key).is_none_or(|(most, _)| value > *most) {
                largest.insert(key, (value, advice.clone()));
            }
        }
    }
    for finding in findings {
        for advice in &mut finding.advice {
            let Some((key, value)) = raised(&finding.subject, advice) else { continue };
            let Some((most, best)) = largest.get(&key).filter(|(most, _)| *most > value) else { continue };
            advice.to.clone_from(&best.to);
            advice.command.clone_from(&best.command);
            if let Some(to) = &best.to {
                advice.text.args.insert("to".into(), to.clone());
            }
            // The line stands in the chart with the value that the check had advised.
            let kinds = [LineKind::AdvisedLimit, LineKind::AdvisedRequest];
            let lines = finding.series.iter_mut().flat_map(|series| &mut series.lines);
            let old = |line: &&mut ChartLine| kinds.contains(&line.kind) && line.value == value;
            lines.filter(old).for_each(|line| line.value = *most);
        }
    }
}

/// The setting that a piece of advice raises, and the value.
fn raised(subject: &SubjectRef, advice: &Advice) -> Option<(Key, f64)> {
    let resource = advice.resource.as_ref().filter(|_| advice.action.starts_with("raise-"))?;
    let value = advice.to.as_ref().and_then(Value::number)?;
    Some(((subject.clone().without_pod(), resource.to_string()), value))
}

#[cfg(test)]
mod tests {
    use crate::checks::CHECKS;
    use crate::fixture::Fixture;
    use crate::report::{ClusterSummary, Report};
    use crate::settings::Settings;

    #[test]
    fn checks_advise_one_limit() {
        let fixture = Fixture::new(
            "window lookback=7d step=1h\n\
             container web/api-0/app limit=1Gi request=512Mi  memory: 990x40 900x127  rss: 800x167  cpu: 0.2x167",
        );
        let checks = Settings::default().resolve(CHECKS).expect("defaults");
        let assessment = fixture.assess(&checks);
        let advised = |findings: &[crate::finding::Finding]| -> Vec<(String, String)> {
            let all = findings.iter().flat_map(|f| f.advice.iter().map(move |a| (f, a)));
            let limits = all.filter(|(_, a)| a.resource.as_deref() == Some("memory.limit"));
            limits.map(|(f, a)| (f.check.to_string(), a.command.clone().unwrap_or_default())).collect()
        };
        let mut before = advised(&assessment.findings);
        let (taken_at, window) = (fixture.snapshot.taken_at, fixture.snapshot.window);
        let parts = vec![(ClusterSummary::default(), assessment)];
        let mut after = advised(&Report::new("0", taken_at, window, parts, Vec::new(), CHECKS).findings);
        let checks = |of: &[(String, String)]| of.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        before.sort();
        after.sort();
        assert_eq!(checks(&before), checks(&after), "nothing is left out");
        let commands = |mut of: Vec<(String, String)>| {
            of.sort_by(|a, b| a.1.cmp(&b.1));
            of.dedup_by(|a, b| a.1 == b.1);
            of.into_iter().map(|(_, command)| command).collect::<Vec<_>>()
        };
        let (before, after) = (commands(before), commands(after));
        assert!(before.len() > 1, "the story has two opinions: {before:?}");
        assert_eq!(after, [before.last().cloned().unwrap_or_default()]);
    }
}
