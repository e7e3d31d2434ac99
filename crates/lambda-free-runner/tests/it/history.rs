//! Runs that are remembered, and what goes wrong with a history.

use std::path::Path;
use std::sync::Arc;

use healthcore::finding::{State, Value};
use healthcore::fixture::Fixture;
use healthcore::report::Report;
use healthcore::time::Window;
use healthcore::unit::Seconds;
use healthcore_report::{Format, RenderOptions, render};
use lambda_free_runner::history::{History, Retention};
use lambda_free_runner::{RunSpec, Silent, run_once};

use crate::fake::{Fake, spec};

fn keep() -> Retention {
    Retention::default()
}

/// A container that uses so many per cent of its limit, looked at on a day.
fn day(day: i64, percent: u32) -> RunSpec {
    let text = format!(
        "container web/api-0/app limit=1000Mi request=900Mi cpu-request=1  memory: {}x60",
        percent * 10
    );
    on(day, &text)
}

/// The objects of a text, looked at on a day.
fn on(day: i64, text: &str) -> RunSpec {
    let mut part = Fixture::new(text).snapshot;
    part.taken_at = part.taken_at.plus_seconds(86_400.0 * day as f64);
    let window = part.window;
    let (lookback, step) = (Seconds(window.seconds()), Seconds(f64::from(window.step_s())));
    part.window = Window::ending(part.taken_at, lookback, step).unwrap();
    let fake = Fake::new(part);
    let mut spec = spec(Some(fake.clone()), Some(fake));
    spec.settings.only.insert("memory-usage".to_owned());
    spec
}

async fn run(spec: RunSpec, history: &History) -> Report {
    run_once(&RunSpec { history: Some(history.clone()), ..spec }, &Silent).await.unwrap()
}

fn told(report: &Report) -> String {
    let states = report.findings.iter().map(|f| f.state.map_or("-", State::name));
    let gone = report.changes.iter().flat_map(|c| &c.gone).map(|g| g.state.name());
    states.chain(gone).collect::<Vec<_>>().join(" ")
}

fn gaps(report: &Report) -> Vec<String> {
    report
        .gaps
        .iter()
        .filter(|g| History::is_own(g))
        .map(|g| format!("{} {}", g.cause.name(), g.detail))
        .collect()
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

#[tokio::test]
async fn scores_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(&folder.path().display().to_string(), keep()).unwrap();
    let first = run(day(0, 95), &history).await;
    assert!(first.changes.unwrap().scores.is_empty());
    let second = run(day(1, 50), &history).await;
    let cluster = &second.clusters[0].name;
    let before = second.changes.as_ref().unwrap().score_before(cluster, Some("web")).unwrap();
    assert_eq!((before.points, before.grade().unwrap().letter()), (70, "C"));
    assert_eq!(second.clusters[0].score.as_ref().unwrap().points, 100);
    let other = RunSpec { settings: Default::default(), ..day(2, 50) };
    let other = run(other, &history).await;
    assert!(other.changes.unwrap().scores.is_empty(), "more checks were asked of it");
}

#[tokio::test]
async fn findings_have_a_life() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("made/when/needed");
    let history = History::open(place.to_str().unwrap(), keep()).unwrap();
    let mut life = Vec::new();
    for (i, percent) in [50, 75, 75, 86, 75, 50].into_iter().enumerate() {
        let report = run(day(i as i64, percent), &history).await;
        assert_eq!(gaps(&report), [""; 0]);
        life.push(told(&report));
    }
    assert_eq!(life, ["", "new", "ongoing", "worse", "better", "resolved"]);
    assert_eq!(files(&place).len(), 6);

    // The same run again is the same report and leaves the same file.
    let again = run(day(3, 86), &history).await;
    assert_eq!(told(&again), "worse");
    assert_eq!(files(&place).len(), 6);
}

/// A namespace that is deleted takes its problems with it. The API was asked for all of them, and so says the recording.
#[tokio::test]
async fn what_is_gone_with_its_namespace_is_resolved() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().join("h").to_str().unwrap(), keep()).unwrap();
    let used = |name: &str, percent: u32| {
        format!(
            "container {name}-0/app limit=1000Mi request=900Mi cpu-request=1  memory: {}x60\n",
            percent * 10
        )
    };
    let both = used("web/api", 75) + &used("shop/cart", 50);
    run(on(0, &both), &history).await;
    let path = folder.path().join("snapshot.ndjson");
    let deleted = RunSpec { record: Some(path.clone()), ..on(1, &used("shop/cart", 50)) };
    let mut replay = RunSpec::new(lambda_free_runner::Input::Recording(path));
    replay.settings.only.insert("memory-usage".to_owned());
    assert_eq!(told(&run(deleted, &history).await), "resolved");
    assert_eq!(told(&run(replay, &history).await), "resolved", "the time of a run is that of its data");

    run(on(2, &both), &history).await;
    let mut elsewhere = on(3, &used("shop/cart", 50));
    let lambda_free_runner::Input::Live(clusters) = &mut elsewhere.input else { unreachable!("a live run") };
    clusters[0].selection.namespaces = vec!["shop".to_owned()];
    assert_eq!(told(&run(elsewhere, &history).await), "not-checked");
}

#[tokio::test]
async fn two_that_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let mut tasks = Vec::new();
    for writer in 0..2 {
        for i in 0..20 {
            let history = History::open(place, keep()).unwrap();
            tasks.push(tokio::spawn(async move { run(day(i, 50 + writer), &history).await }));
        }
    }
    for task in tasks {
        assert_eq!(gaps(&task.await.unwrap()), [""; 0]);
    }
    assert_eq!(files(folder.path()).len(), 40, "two runs of each day, of two contents");
    let history = History::open(place, keep()).unwrap();
    assert_eq!(gaps(&run(day(20, 50), &history).await), [""; 0], "each of them whole");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().to_str().unwrap(), keep()).unwrap();
    for i in 0..3 {
        run(day(i, 75), &history).await;
    }
    let kept = files(folder.path());
    let whole = std::fs::read(&kept[2]).unwrap();
    std::fs::write(&kept[2], &whole[..whole.len() / 2]).unwrap();
    std::fs::write(kept[2].with_file_name("notes.txt"), "mine").unwrap();
    let report = run(day(3, 75), &history).await;
    assert_eq!(told(&report), "ongoing", "the run before it counts");
    let found = gaps(&report);
    assert!(
        found.len() == 1 && found[0].starts_with("partial ") && found[0].contains("is cut or damaged"),
        "{found:?}"
    );

    std::fs::write(&kept[2], [&b"garbage"[..], &whole].concat()).unwrap();
    let found = gaps(&run(day(3, 75), &history).await);
    assert!(found.len() == 1 && found[0].contains("is no history of healthcheck"), "{found:?}");
    std::fs::copy(&kept[0], &kept[2]).unwrap();
    let found = gaps(&run(day(3, 75), &history).await);
    assert!(found.len() == 1 && found[0].contains("holds a run of another time"), "{found:?}");
}

#[tokio::test]
async fn a_history_of_another_cluster_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().to_str().unwrap(), keep()).unwrap();
    run(day(0, 75), &history).await;
    let mut other = day(1, 75);
    let lambda_free_runner::Input::Live(clusters) = &mut other.input else { unreachable!("a live run") };
    clusters[0].name = "other".to_owned();
    let report = run(other, &history).await;
    assert_eq!(told(&report), "-");
    assert!(report.changes.unwrap().is_first());
    assert_eq!(told(&run(day(2, 75), &history).await), "ongoing");
}

#[tokio::test]
async fn a_store_that_fails_costs_no_report() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("h");
    let history = History::open(place.to_str().unwrap(), keep()).unwrap();
    std::fs::remove_dir(&place).unwrap();
    std::fs::write(&place, "a file where the folder was").unwrap();
    let report = run(day(0, 75), &history).await;
    assert_eq!(report.findings.len(), 1);
    assert_eq!(gaps(&report).len(), 1, "{:?}", gaps(&report));
    // A place that cannot be made, as on a file system that is read only.
    let history = History::open(place.to_str().unwrap(), keep()).unwrap();
    let report = run(day(0, 75), &history).await;
    assert_eq!((report.findings.len(), told(&report).as_str()), (1, "-"));
    let said = gaps(&report);
    assert!(said.len() == 1 && said[0].contains("the folder cannot be made"), "{said:?}");
    let text = render(&report, Format::Text, &RenderOptions::default()).unwrap();
    assert!(text.contains("Earlier runs could not be read") && !text.contains("first run"), "{text}");
}

#[tokio::test]
async fn old_runs_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let history = History::open(place, Retention { runs: 3, ..keep() }).unwrap();
    for i in 0..5 {
        run(day(i, 75), &history).await;
    }
    assert_eq!(files(folder.path()).len(), 3);
    let history = History::open(place, Retention { age: Seconds::from_days(5.0), ..keep() }).unwrap();
    run(day(100, 75), &history).await;
    assert_eq!(files(folder.path()).len(), 4, "its time may be wrong: all were written today");
    let last_year = std::time::SystemTime::now() - std::time::Duration::from_secs(365 * 86_400);
    for file in &files(folder.path())[..3] {
        std::fs::File::options().append(true).open(file).unwrap().set_modified(last_year).unwrap();
    }
    run(day(101, 75), &history).await;
    assert_eq!(files(folder.path()).len(), 2);
}

/// A recording with the time of another clock, and a file that somebody has put there.
#[tokio::test]
async fn a_run_of_the_future_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().to_str().unwrap(), keep()).unwrap();
    for i in 0..3 {
        run(day(i, 75), &history).await;
    }
    let report = run(day(800, 75), &history).await;
    assert_eq!((told(&report).as_str(), files(folder.path()).len()), ("ongoing", 4));
    std::fs::write(
        files(folder.path())[0].with_file_name("20991231T000000Z-0123456789abcdef.ndjson.zst"),
        "x",
    )
    .unwrap();
    for i in 3..6 {
        let report = run(day(i, 75), &history).await;
        assert_eq!(told(&report), "ongoing");
        let [found] = &gaps(&report)[..] else { panic!("{:?}", gaps(&report)) };
        assert!(found.starts_with("clock-skew ") && found.contains("far after this one"), "{found}");
    }
    assert_eq!(files(folder.path()).len(), 8, "nothing is removed");
    assert_eq!(gaps(&run(day(1, 75), &history).await).len(), 1, "made again, it says so too");
}

#[tokio::test]
async fn any_store_will_do() {
    let store = Arc::new(object_store::memory::InMemory::new());
    let history = History::of(store, "memory", keep());
    run(day(0, 50), &history).await;
    assert_eq!(told(&run(day(1, 75), &history).await), "new");
}

/// Runs of an hour apart: Kubernetes forgets an event in between, the history does not.
#[tokio::test]
async fn events_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().join("h").to_str().unwrap(), keep()).unwrap();
    let pod = "container web/api-0/app\nwindow lookback=3d";
    let event = "event web/Pod/api-0 reason=FailedMount count=3 last=10m message=\"no volume token=hunter2\"";
    let at = |hours: f64, text: &str| {
        let mut spec = on(0, text);
        spec.at = spec.at.map(|at| at.plus_seconds(3600.0 * hours));
        let part = Fixture::new(text).snapshot;
        let window =
            Window::ending(spec.at.unwrap(), Seconds(part.window.seconds()), Seconds(3600.0)).unwrap();
        let fake = Fake::new(healthcore::snapshot::Snapshot { taken_at: spec.at.unwrap(), window, ..part });
        let mut spec = crate::fake::spec(Some(fake.clone()), Some(fake));
        spec.settings.only.insert("warning-events".to_owned());
        spec
    };
    let remembered = |report: &Report| {
        let evidence = report.findings.iter().flat_map(|f| &f.evidence);
        evidence.filter(|e| e.name == "remembered-from").map(|e| e.value.clone()).collect::<Vec<_>>()
    };

    let first = run(at(0.0, &format!("{pod}\n{event}")), &history).await;
    assert_eq!((first.findings.len(), remembered(&first)), (1, vec![]));
    let second = run(at(2.0, pod), &history).await;
    assert_eq!(told(&second), "ongoing", "the event is not told twice, and not forgotten");
    assert_eq!(remembered(&second), [Value::Time(first.taken_at)]);
    assert_eq!(second.findings[0].summary.args["count"], Value::Count(3), "and counted once");
    // A run that looks elsewhere hands on what it does not look at.
    let mut elsewhere = at(4.0, "window lookback=3d\ncontainer shop/cart-0/app");
    let lambda_free_runner::Input::Live(clusters) = &mut elsewhere.input else { unreachable!("a live run") };
    clusters[0].selection.namespaces = vec!["shop".to_owned()];
    run(elsewhere, &history).await;
    let fourth = run(at(6.0, pod), &history).await;
    assert_eq!(remembered(&fourth), [Value::Time(first.taken_at)]);
    // The recording holds what was remembered, so that its replay needs no history.
    let path = folder.path().join("snapshot.ndjson");
    let live = run(RunSpec { record: Some(path.clone()), ..at(7.0, pod) }, &history).await;
    let mut replay = RunSpec::new(lambda_free_runner::Input::Recording(path));
    replay.settings.only.insert("warning-events".to_owned());
    let replay = run_once(&replay, &Silent).await.unwrap();
    assert_eq!(remembered(&replay), remembered(&live));

    let late = run(at(26.0, pod), &history).await;
    assert_eq!(told(&late), "resolved", "beyond the look-back of the check");
    for file in files(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        let text = zstd::decode_all(&bytes[..]).unwrap_or(bytes);
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"), "{}", file.display());
    }
}

#[tokio::test]
async fn changes_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let history = History::open(folder.path().to_str().unwrap(), keep()).unwrap();
    let text = |uses: [u32; 4]| {
        let line = |name: &str, use_: u32| {
            format!(
                "container web/{name}-0/app limit=1000Mi request=900Mi cpu-request=1  memory: {}x60\n",
                use_ * 10
            )
        };
        ["api", "cart", "mail", "shop"].iter().zip(uses).map(|(n, u)| line(n, u)).collect::<String>()
    };
    let mut last = None;
    let weeks = [45, 48, 51, 54, 57, 60, 63].map(|shop| [50, 75, 75, shop]);
    for (day, uses) in (0..).zip(weeks.into_iter().chain([[75, 86, 50, 66]])) {
        last = Some(run(on(day, &text(uses)), &history).await);
    }
    let mut report = last.unwrap();
    report.version = "0.0.0".to_owned();
    report.cost = Default::default();
    for format in [Format::Text, Format::Markdown, Format::Json] {
        let text = render(&report, format, &RenderOptions::default()).unwrap();
        if format == Format::Json {
            let value = serde_json::from_str(&text).unwrap();
            crate::snapshots::fits_schema(&value);
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
            insta::assert_snapshot!(format!("history.{}", format.name()), text);
        });
    }
}
