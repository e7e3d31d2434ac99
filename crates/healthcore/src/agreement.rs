//! What checks say of one container agrees.
//!
//! Several checks may want to raise the same limit, each from what it has measured: what one asks for may be too little
//! for another. Every finding advises the largest value then, with one command. And a container that was killed for its memory
//! is sent to what `jvm-heap-headroom` says of its JVM, where that has found the heap to be too large.

use std::collections::BTreeMap;

use crate::chart::{ChartLine, LineKind};
use crate::check::Check;
use crate::checks::jvm_heap_headroom::JvmHeapHeadroom;
use crate::checks::oom_killed::OomKilled;
use crate::finding::{Advice, Evidence, Finding, SubjectRef, Text, Value};

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

/// Names the heap of a JVM that is too large for its limit where its container was killed.
pub(crate) fn name_heaps(findings: &mut [Finding]) {
    let heap_and_limit = |f: &Finding| {
        let value = |name| f.summary.args.get(name).cloned();
        Some((f.subject.clone().without_pod(), (value("heap")?, value("limit")?)))
    };
    let too_large = findings.iter().filter(|f| f.check == JvmHeapHeadroom::INFO.id);
    let heaps: BTreeMap<SubjectRef, (Value, Value)> = too_large.filter_map(heap_and_limit).collect();
    for finding in findings.iter_mut().filter(|f| f.check == OomKilled::INFO.id) {
        let Some((heap, limit)) = heaps.get(&finding.subject.clone().without_pod()) else { continue };
        let text = Text::new("jvm").with("heap", heap.clone()).with("limit", limit.clone());
        let last = finding.advice.iter().position(|a| a.action == "inspect").unwrap_or(finding.advice.len());
        finding.advice.insert(last, Advice::new(text));
        finding.evidence.push(Evidence {
            name: "jvm-heap-max".into(),
            value: heap.clone(),
            threshold: None,
            is_age: false,
        });
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
    use super::*;
    use crate::checks::CHECKS;
    use crate::fixture::{Fixture, show};
    use crate::report::{ClusterSummary, Report};
    use crate::settings::{CheckSettings, Settings};

    /// registercenter: 1024m of heap in a limit of 1280Mi, exit code 137.
    #[test]
    fn a_kill_names_the_heap_that_is_too_large() {
        let english = |text: &Text| text.fill(OomKilled::INFO.text(&text.key).expect("a text"), &show);
        let told = |jvm: &str, settings: &[(&str, &str)]| {
            let fixture = Fixture::new(&format!(
                "window step=1h\ncontainer pigo/register-0/app limit=1280Mi last=OOMKilled:137@2h {jvm}"
            ));
            let params = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let own = CheckSettings { params, ..CheckSettings::default() };
            let settings =
                Settings { checks: [("jvm-heap-headroom".to_owned(), own)].into(), ..Settings::default() };
            let checks = settings.resolve(CHECKS).expect("settings");
            let (taken_at, window) = (fixture.snapshot.taken_at, fixture.snapshot.window);
            let parts = vec![(ClusterSummary::default(), fixture.assess(&checks))];
            let report = Report::new("0", taken_at, window, parts, Vec::new(), CHECKS);
            let all = |id: &str| report.findings.iter().filter(|f| f.check == id).collect::<Vec<_>>();
            let killed = all("oom-killed")[0];
            let told = killed.advice.iter().find(|a| a.action == "jvm").map(|a| english(&a.text));
            let heap = killed.evidence.iter().find(|e| e.name == "jvm-heap-max").map(|e| show(&e.value));
            assert_eq!(told.is_some(), !all("jvm-heap-headroom").is_empty(), "the two checks agree");
            assert_eq!(told.is_some(), heap.is_some());
            told.zip(heap).map_or_else(String::new, |(told, heap)| format!("{heap}: {told}"))
        };
        let named = "1Gi: its JVM may fill a heap of 1Gi, too much for a limit of 1.25Gi with what it needs beside: see `jvm-heap-headroom`";
        assert_eq!(told("jvm=\"-Xmx1024m\"", &[]), named);
        assert_eq!(told("jvm=\"-Xmx512m\"", &[]), "");
        assert_eq!(told("", &[]), "");
        // What that check knows better than the flags and its defaults counts here, too.
        assert_eq!(told("jvm=\"-Xmx1024m\"  heap-max: 512x5", &[]), "");
        assert_eq!(told("jvm=\"-Xmx1024m\"  beside-heap: 100x24 threads: 20x24", &[]), "");
        assert_eq!(told("heap-max: 1024x5", &[]), named);
        assert_eq!(told("jvm=\"-XX:MaxRAMPercentage=75\" jvm-unread=-Xmx12q:malformed", &[]), "");
        let few = [("threads", "10"), ("metaspace", "32Mi")];
        assert_eq!(told("jvm=\"-Xmx1024m\"", &few), "");
    }

    #[test]
    fn checks_advise_one_limit() {
        let fixture = Fixture::new(
            "window lookback=7d step=1h\n\
             container web/api-0/app limit=1Gi request=512Mi  memory: 990x40 900x127  rss: 800x167  cpu: 0.2x167",
        );
        let checks = Settings::default().resolve(CHECKS).expect("defaults");
        let assessment = fixture.assess(&checks);
        let advised = |findings: &[Finding]| -> Vec<(String, String)> {
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
