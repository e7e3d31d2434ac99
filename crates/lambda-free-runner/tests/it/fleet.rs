//! Many clusters in one run.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use healthcore::need::Budget;
use healthcore::report::{Cost, Report};
use healthcore::snapshot::Snapshot;
use healthcore_sources::Selection;
use lambda_free_runner::{ClusterSources, Input, RunSpec, Silent, run_once};
use tokio::sync::Notify;

use crate::fake::{Fake, fleet};
use crate::stories;

fn run(spec: &RunSpec) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // What waits for ever shall fail and not hang.
    let report = async { tokio::time::timeout(Duration::from_secs(120), run_once(spec, &Silent)).await };
    runtime.block_on(report).expect("the run comes to an end").map_err(|e| e.to_string())
}

fn part(story: &str) -> Snapshot {
    stories::all().into_iter().find(|s| s.name == story).unwrap().parts.remove(0)
}

const STORIES: [&str; 4] = ["demo", "healthy", "memory-inspection", "pods-in-trouble"];

fn four(at_once: usize, record: Option<&Path>) -> RunSpec {
    RunSpec {
        clusters_at_once: NonZeroUsize::new(at_once).unwrap(),
        record: record.map(Path::to_owned),
        budget: Budget { samples: 5_400, series: 9 },
        ..fleet(STORIES.map(|story| Fake::new(part(story))).into())
    }
}

fn free_of_cost(report: Report) -> Report {
    Report { cost: Cost::default(), ..report }
}

/// Every line of a recording but the last, which tells the cost.
fn lines(path: &Path) -> Vec<String> {
    let mut text = Vec::new();
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|e| e == "zst") {
        zstd::stream::copy_decode(&bytes[..], &mut text).unwrap();
    } else {
        text = bytes;
    }
    let mut lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
    assert!(lines.pop().unwrap().starts_with("{\"end\":"));
    lines
}

#[test]
fn how_many_clusters_are_read_at_once_changes_neither_report_nor_recording() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["ndjson", "ndjson.zst"] {
        let (one, many) =
            (folder.path().join(format!("one.{ending}")), folder.path().join(format!("many.{ending}")));
        let alone = run(&four(1, Some(&one))).unwrap();
        let beside = run(&four(4, Some(&many))).unwrap();
        let names: Vec<&str> = beside.clusters.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["c0", "c1", "c2", "c3"]);
        assert_eq!(lines(&one), lines(&many), "{ending}");
        assert_eq!(run(&RunSpec::new(Input::Recording(many))).unwrap(), beside, "{ending}");
        assert_eq!(free_of_cost(alone), free_of_cost(beside), "{ending}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
}

/// The first cluster answers only when the second is done; one after the other, they would wait for ever.
#[test]
fn a_slow_cluster_does_not_hold_up_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let second = Arc::new(Notify::new());
    let slow = Fake::in_turn(part("demo"), Some(second.clone()), Some(second.clone()));
    let quick = Fake::in_turn(part("healthy"), None, Some(second));
    let spec = RunSpec { record: Some(path.clone()), ..fleet(vec![slow, quick]) };
    let report = run(&spec).unwrap();
    let named: Vec<String> = lines(&path).into_iter().filter(|l| l.starts_with("{\"cluster\"")).collect();
    assert!(named[0].contains("\"c0\"") && named[1].contains("\"c1\""), "{named:?}");
    assert_eq!(
        free_of_cost(report),
        free_of_cost(run(&fleet(vec![Fake::new(part("demo")), Fake::new(part("healthy"))])).unwrap())
    );
}

/// Time that runs take when nothing but answers takes any: the clock stands while the program works.
fn waited(spec: &RunSpec) -> Duration {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let begin = tokio::time::Instant::now();
        run_once(spec, &Silent).await.unwrap();
        begin.elapsed()
    })
}

/// Four clusters wait for their servers as long as the slowest of them alone, and not for each other.
#[test]
fn clusters_do_not_wait_for_each_other() {
    let answer = Duration::from_millis(200);
    let slow = || STORIES.map(|story| Fake::slow(part(story), answer));
    let alone = slow().map(|fake| waited(&fleet(vec![fake])));
    let slowest = alone.into_iter().max().unwrap();
    assert!(slowest >= 3 * answer, "a probe, objects and series: {slowest:?}");
    assert_eq!(waited(&fleet(slow().into())), slowest);
    let in_turn = RunSpec { clusters_at_once: NonZeroUsize::MIN, ..fleet(slow().into()) };
    assert_eq!(waited(&in_turn), alone.iter().sum::<Duration>());
}

#[test]
fn a_cluster_that_is_down_is_a_gap_and_the_others_are_whole() {
    let both = fleet(vec![Fake::down(part("demo")), Fake::new(part("memory-inspection"))]);
    let report = run(&both).unwrap();
    assert!(report.clusters[0].is_unseen() && report.clusters[0].name == "c0");
    assert!(report.gaps.iter().any(|g| g.scope == "c0"), "{:?}", report.gaps);
    let alone = fleet(vec![Fake::new(part("demo")), Fake::new(part("memory-inspection"))]);
    let whole = run(&alone).unwrap();
    let of = |report: &Report| -> Vec<_> {
        report.findings.iter().filter(|f| f.subject.cluster == "c1").cloned().collect()
    };
    assert!(!of(&report).is_empty() && of(&report) == of(&whole));
    assert_eq!(report.clusters[1], whole.clusters[1]);
}

/// The namespaces that a cluster looks into, its address, and what tells it from others.
type Named<'a> = (&'a [&'a str], &'a str, Option<&'a str>);

/// What is told of the second of two clusters that are one.
fn told_twice(first: Named<'_>, second: Named<'_>) -> Vec<String> {
    let cluster = |name: &str, (namespaces, address, identity): Named<'_>| ClusterSources {
        name: name.into(),
        objects: Some(Fake::known_as(part("healthy"), address, identity)),
        selection: Selection { namespaces: namespaces.iter().map(ToString::to_string).collect() },
        ..ClusterSources::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let spec = RunSpec {
        input: Input::Live(vec![cluster("old", first), cluster("new", second)]),
        record: Some(path.clone()),
        ..fleet(vec![Fake::new(part("healthy"))])
    };
    let report = run(&spec).unwrap();
    let uid_kept = lines(&path).iter().any(|line| line.contains("0f5d2c1e"));
    assert_eq!((uid_kept, &run(&RunSpec::new(Input::Recording(path))).unwrap()), (false, &report));
    let twice = report.gaps.iter().filter(|gap| gap.detail.to_string().contains("same cluster"));
    twice.map(|gap| format!("{}: {}", gap.scope, gap.detail)).collect()
}

#[test]
fn one_cluster_under_two_names_is_told_once() {
    const UID: Option<&str> = Some("0f5d2c1e");
    let behind = "what is in namespaces of both is told twice, so leave one of them out";
    let by_address = format!("new: is the same cluster as old: both are https://a:6443; {behind}");
    assert_eq!(
        told_twice((&[], "https://a:6443", None), (&[], "https://a:6443", None)),
        [by_address.as_str()]
    );
    assert_eq!(told_twice((&[], "https://a:6443", UID), (&[], "https://a:6443", UID)), [by_address]);
    let by_uid = "new: is the same cluster as old, by another address: https://b:6443 and https://a:6443 have the \
                  same namespace kube-system, down to its uid; ";
    let told = told_twice((&[], "https://a:6443", UID), (&["shop"], "https://b:6443", UID));
    assert_eq!(told, [format!("{by_uid}{behind}")]);
    for (first, second) in [
        ((&["web"][..], "https://a:6443", UID), (&["shop"][..], "https://b:6443", UID)),
        ((&[], "https://a:6443", UID), (&[], "https://b:6443", Some("7"))),
        // That it could not be read is no sign.
        ((&[], "https://a:6443", None), (&[], "https://b:6443", None)),
        ((&[], "https://a:6443", UID), (&[], "https://b:6443", None)),
    ] {
        assert_eq!(told_twice(first, second), [""; 0]);
    }
}
