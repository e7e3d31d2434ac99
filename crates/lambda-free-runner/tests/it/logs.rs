//! Logs are read where a check asks for them, recorded as summaries, and replayed.

use healthcore::fixture::Fixture;
use healthcore::report::Report;
use healthcore::settings::{CheckSettings, Settings};
use healthcore::snapshot::Snapshot;
use lambda_free_runner::{Input, RunSpec, Silent, dry_run, run_once};

use crate::fake::{Fake, spec};

fn run(spec: &RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).unwrap()
}

/// A workload with 1,500 errors about a server, and what the program could not know to be a secret.
fn part() -> Snapshot {
    Fixture::new(
        "window lookback=7d step=1h\n\
         container web/api-0/app limit=1Gi request=512Mi cpu-request=250m  memory: 400x167 cpu: 0.2x167\n\
         log web/StatefulSet/api times=1500 line=\"ERROR cannot send to http://apm:8200/x\"",
    )
    .snapshot
}

fn asking() -> Settings {
    let on = CheckSettings { enabled: Some(true), ..CheckSettings::default() };
    Settings { checks: [("error-logs".to_owned(), on)].into(), ..Settings::default() }
}

fn found(report: &Report) -> Vec<String> {
    let own = report.findings.iter().filter(|f| f.check == "error-logs");
    own.map(|f| format!("{} {}", f.severity.name(), f.subject.name)).collect()
}

#[test]
fn logs_are_read_when_asked_for_recorded_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.ndjson");
    let fake = Fake::new(part());
    let live =
        RunSpec { settings: asking(), record: Some(path.clone()), ..spec(Some(fake.clone()), Some(fake)) };
    let first = run(&live);
    assert_eq!(found(&first), ["warning api"]);
    let recorded = std::fs::read_to_string(&path).unwrap();
    assert!(recorded.contains("cannot send to http://apm:<*>/x"), "the summary is recorded");
    let again = run(&RunSpec { settings: asking(), ..RunSpec::new(Input::Recording(path)) });
    assert_eq!(again, first);
}

#[test]
fn logs_are_not_read_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.ndjson");
    let fake = Fake::new(part());
    let report = run(&RunSpec { record: Some(path.clone()), ..spec(Some(fake.clone()), Some(fake)) });
    assert!(report.checks.iter().all(|c| c.id != "error-logs"));
    assert!(!std::fs::read_to_string(&path).unwrap().contains("cannot send"));
    let later = run(&RunSpec { settings: asking(), ..RunSpec::new(Input::Recording(path)) });
    let tally = &later.checks.iter().find(|c| c.id == "error-logs").unwrap().tally;
    let why: Vec<String> = tally.reasons.keys().map(ToString::to_string).collect();
    assert_eq!((tally.ok, tally.problem, why), (0, 0, vec!["logs were not recorded".to_owned()]));
}

#[test]
fn without_an_api_logs_are_unknown() {
    let report = run(&RunSpec { settings: asking(), ..spec(Some(Fake::new(part())), None) });
    let tally = &report.checks.iter().find(|c| c.id == "error-logs").unwrap().tally;
    assert_eq!((tally.ok, tally.problem, tally.unknown), (0, 0, 1));
}

#[test]
fn a_dry_run_says_what_would_be_read() {
    let fake = Fake::new(part());
    let spec = RunSpec { settings: asking(), ..spec(Some(fake.clone()), Some(fake.clone())) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lines = runtime.block_on(dry_run(&spec, &Silent)).unwrap();
    assert!(lines.iter().any(|l| l == "  logs of 1 pod"), "{lines:?}");
    assert_eq!(fake.logs_read(), 0);
}
