//! Shards of a run, merged, are the run.

use std::path::PathBuf;

use healthcore::checks::CHECKS;
use healthcore::finding::Severity;
use healthcore::fixture::Fixture;
use healthcore::report::{Cost, Report};
use healthcore::shard::{Shard, merge};
use healthcore::snapshot::{Gap, GapCause};
use healthcore_report::{Format, RenderOptions, read_shard, render};
use lambda_free_runner::{Input, RunSpec, Silent, run_once};

use crate::fake::{Fake, fleet, spec};
use crate::{fixtures, stories};

fn run(spec: &RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).unwrap()
}

fn free_of_cost(report: Report) -> Report {
    Report { cost: Cost::default(), ..report }
}

fn json(report: &Report) -> String {
    render(report, Format::Json, &RenderOptions::default()).unwrap()
}

/// The report of so many shards, each of which went through its JSON.
fn merged(of: u32, run_shard: impl Fn(Shard) -> Report) -> Report {
    let part = |index| {
        let report = run_shard(Shard::new(index, of).unwrap());
        read_shard(&json(&report)).unwrap().0
    };
    // The order of the files is nobody's business.
    merge((0..of).rev().map(part).collect(), false, CHECKS).unwrap()
}

#[track_caller]
fn same(whole: &RunSpec, name: &str) {
    let expected = free_of_cost(run(whole));
    for of in 1..=5 {
        let report = merged(of, |shard| run(&RunSpec { shard: Some(shard), ..whole.clone() }));
        assert!(report == expected, "{name}: {of} shards give another report");
    }
}

fn recordings() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = folders
        .filter(|folder| {
            std::fs::read_dir(folder).is_ok_and(|files| {
                files.flatten().any(|f| f.file_name().to_string_lossy().starts_with("snapshot.ndjson"))
            })
        })
        .collect();
    found.sort();
    found
}

#[test]
fn shards_of_every_recording_are_the_whole() {
    let all = recordings();
    assert!(all.len() >= 9, "{all:?}");
    for path in all {
        same(&RunSpec::new(Input::Recording(path.clone())), &path.display().to_string());
    }
}

#[test]
fn shards_of_servers_are_the_whole() {
    for story in stories::all() {
        let gap = Gap::new("prod/pods", GapCause::Partial, "half");
        let fake = Fake::with_gaps(story.parts[0].clone(), vec![gap]);
        same(&spec(Some(fake.clone()), Some(fake)), story.name);
    }
}

#[test]
fn shards_of_a_fleet_are_the_whole() {
    let parts = stories::all().into_iter().map(|mut story| Fake::new(story.parts.remove(0)));
    same(&fleet(parts.collect()), "a fleet");
}

/// How sure a leak is, is decided over the whole: a shard alone would call sure what the fleet does not, and the other
/// way round.
#[test]
fn false_discoveries_are_held_down_after_merging() {
    let leak = "window lookback=7d step=1h\n";
    let containers = |namespaces: usize| -> String {
        let of = |i: usize| {
            let memory = if i == 0 { "200+1.2x167" } else { "200x167" };
            format!(
                "container team-{i}/api-0/app limit=1Gi request=512Mi cpu-limit=1 cpu-request=250m restarts=0  memory: {memory}  rss: {memory}  cpu: 0.2x167  periods: 9000x167\n"
            )
        };
        (0..namespaces).map(of).collect()
    };
    let part = Fixture::new(&format!("{leak}{}", containers(24))).snapshot;
    let fake = Fake::new(part);
    let whole = spec(Some(fake.clone()), Some(fake));
    same(&whole, "a leak among many");
    let report = run(&whole);
    let told: Vec<(Severity, Option<f64>)> = (report.findings.iter())
        .filter(|f| f.check == "memory-leak")
        .map(|f| {
            let share = f.evidence.iter().find(|e| e.name == "false-discovery-rate");
            (f.severity, share.and_then(|e| e.value.number()))
        })
        .collect();
    assert!(matches!(told[..], [(_, Some(_))]), "the fixture has a leak that is tested: {told:?}");
    let alone: Vec<Option<f64>> = (0..5)
        .map(|index| run(&RunSpec { shard: Some(Shard::new(index, 5).unwrap()), ..whole.clone() }))
        .flat_map(|report| report.findings)
        .filter(|f| f.check == "memory-leak")
        .map(|f| f.evidence.iter().find(|e| e.name == "false-discovery-rate").and_then(|e| e.value.number()))
        .collect();
    assert_ne!(alone, [told[0].1], "a shard alone would say another share");
}

#[test]
fn what_is_no_shard_is_refused() {
    let whole = run(&RunSpec::new(Input::Recording(fixtures().join("healthy"))));
    let why = |text: &str| read_shard(text).unwrap_err().to_string();
    assert!(why(&json(&whole)).contains("is a whole report"));
    assert!(why("{}").contains("expected the JSON report of a shard"));
    assert!(why("not JSON").contains("expected the JSON report of a shard"));
    assert!(why(r#"{"format": {"name": "other", "major": 1}}"#).contains("its format is `other`"));
    assert!(why(r#"{"format": {"name": "healthcheck-report", "major": 2}}"#).contains("of version 2"));
}
