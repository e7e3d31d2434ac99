//! Measures the analysis, the renderers and the history without servers: `cargo run --release --example offline -p lambda-free-runner`,
//! with the names of the parts to measure behind `--`, or all of them.
//!
//! Analysis: 10,000 containers with a week of samples every five minutes (20 million samples of memory), leak method
//! `quarters`, one thread, made in memory a part at a time so that nothing is read. Rendering: 1,000 findings of warning or critical, of every check that the demo fixture sets off,
//! each set on workloads of its own, in every language. History: a run a day for a year, with 200 findings of which one
//! in twenty is another one every day, remembered in a folder and read again.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Instant;

use healthcore::analyse::{Assessment, analyse};
use healthcore::checks::CHECKS;
use healthcore::finding::{Finding, Severity, SubjectRef, fingerprint};
use healthcore::metric::Metric;
use healthcore::model::{
    Container, ContainerRole, ContainerState, Pod, PodPhase, Replicas, Resources, Workload, WorkloadId,
};
use healthcore::report::Report;
use healthcore::series::{Samples, SeriesKey, SeriesStore};
use healthcore::settings::Settings;
use healthcore::snapshot::{Objects, Snapshot};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::{Bytes, Cores, Seconds};
use healthcore_report::{Format, Lang, RenderOptions, render};
use lambda_free_runner::history::{History, Period, Retention};
use lambda_free_runner::{Input, RunSpec, Silent, finish, run_once};

const CONTAINERS: usize = 10_000;
const PART: usize = 250;

fn main() -> Result<(), Box<dyn Error>> {
    type Part = (&'static str, fn() -> Result<(), Box<dyn Error>>);
    let parts: [Part; 3] = [("analysis", analysis), ("rendering", rendering), ("history", history)];
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|w| parts.iter().all(|(name, _)| name != w)) {
        return Err(format!("expected analysis, rendering or history, got `{unknown}`").into());
    }
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            measure()?;
        }
    }
    Ok(())
}

fn analysis() -> Result<(), Box<dyn Error>> {
    let window =
        Window::ending(Timestamp::from_unix_seconds(1_795_136_400), Seconds::from_days(7.0), Seconds(300.0))?;
    for (name, metrics, all_checks) in [
        ("memory alone", &[Metric::MemoryWorkingSet][..], false),
        (
            "all checks, working set, RSS and CPU",
            &[Metric::MemoryWorkingSet, Metric::MemoryRss, Metric::CpuUsage],
            true,
        ),
    ] {
        let mut settings = Settings::default();
        settings
            .checks
            .entry("memory-leak".into())
            .or_default()
            .params
            .insert("method".into(), "quarters".into());
        if !all_checks {
            settings.only =
                ["memory-leak", "memory-usage", "memory-overprovisioned", "memory-underprovisioned"]
                    .map(Into::into)
                    .into();
        }
        let checks = settings.resolve(CHECKS)?;
        let mut whole = Assessment::new("bench", &[], &checks);
        let (mut seconds, mut samples) = (0.0, 0);
        for first in (0..CONTAINERS).step_by(PART) {
            let part = part(&window, first, metrics);
            samples += part.series.samples();
            let began = Instant::now();
            whole.fold(analyse(&part, &checks));
            seconds += began.elapsed().as_secs_f64();
        }
        say(&format!(
            "analysis, {name}: {:.1} million samples in {seconds:.2} s on one thread",
            samples as f64 / 1e6
        ));
    }
    Ok(())
}

/// Renders 1,000 findings that a page does not fold: the median of five runs a format.
fn rendering() -> Result<(), Box<dyn Error>> {
    let report = many_findings(1000)?;
    let checks: BTreeSet<&str> = report.findings.iter().map(|f| f.check.as_ref()).collect();
    say(&format!(
        "rendering {} warning and critical findings of {} checks, {} containers:",
        report.findings.len(),
        checks.len(),
        report.facts.len()
    ));
    for lang in Lang::ALL {
        let mut all = 0.0;
        for format in Format::ALL {
            let options = RenderOptions { lang: *lang, ..RenderOptions::default() };
            let mut size = 0;
            let ms = median(|| {
                size = render(&report, *format, &options)?.len();
                Ok(())
            })?;
            all += ms;
            say(&format!("  {} {}: {ms:.0} ms, {} kB", lang.tag(), format.name(), size / 1000));
        }
        say(&format!("  {} all formats: {all:.0} ms", lang.tag()));
    }
    Ok(())
}

/// The median of five runs, in milliseconds.
fn median(mut work: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut runs = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        work()?;
        runs.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    runs.sort_by(f64::total_cmp);
    Ok(runs[2])
}

/// Days that are remembered, findings of a day, and those of them that are others every day.
const DAYS: usize = 365;
const A_DAY: usize = 200;
const CHURN: usize = A_DAY / 20;

/// Remembers a year, and reads it as a run does and as a digest of the whole year does.
fn history() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir()?;
    let place = folder.path().to_str().ok_or("the folder for temporary files has no UTF-8 name")?;
    let history = History::open(place, Retention::default())?;
    let mut many = many_findings(A_DAY + CHURN * DAYS)?;
    for coverage in many.coverage.values_mut() {
        coverage.namespaces = many.findings.iter().map(|f| f.subject.namespace.clone()).collect();
    }
    let (findings, facts) = (std::mem::take(&mut many.findings), std::mem::take(&mut many.facts));
    let of_day = |day: usize| {
        let findings = findings[CHURN * day..CHURN * day + A_DAY].to_vec();
        let places: BTreeSet<&str> = findings.iter().map(|f| f.subject.namespace.as_str()).collect();
        let facts = facts.iter().filter(|f| places.contains(f.subject.namespace.as_str())).cloned().collect();
        let taken_at = many.taken_at.plus_seconds(86_400.0 * day as f64);
        Report { taken_at, findings, facts, ..many.clone() }
    };
    let mut seconds = 0.0;
    let mut last = of_day(0);
    for day in 0..DAYS {
        last = of_day(day);
        let began = Instant::now();
        runtime.block_on(finish(&mut last, Some(&history), None));
        seconds += began.elapsed().as_secs_f64();
        if let Some(gap) = last.gaps.iter().find(|g| History::is_own(g)) {
            return Err(gap.detail.clone().into());
        }
    }
    let a_run = seconds * 1000.0 / DAYS as f64;
    let (mut bytes, mut files) = (0, 0);
    for cluster in std::fs::read_dir(folder.path())? {
        for file in std::fs::read_dir(cluster?.path())? {
            bytes += file?.metadata()?.len();
            files += 1;
        }
    }
    let containers = last.facts.len();
    say(&format!(
        "history of {files} days, {A_DAY} findings and {containers} containers a day: {:.1} MB",
        bytes as f64 / 1e6
    ));
    say(&format!("  a run reads what it needs, compares and writes: {a_run:.0} ms"));
    for days in [7.0, DAYS as f64] {
        let period = Period { start: last.taken_at.plus_seconds(-86_400.0 * days), end: last.taken_at };
        let mut told = 0;
        let ms = median(|| {
            let (digests, gaps) = runtime.block_on(history.digests(period, None))?;
            if let Some(gap) = gaps.first() {
                return Err(gap.detail.clone().into());
            }
            told = digests.iter().map(|d| d.runs).sum();
            Ok(())
        })?;
        say(&format!("  digest of {told} runs: {ms:.0} ms"));
    }
    Ok(())
}

/// The demo fixture over and over, every time in a namespace of its own, until there are enough findings.
fn many_findings(wanted: usize) -> Result<Report, Box<dyn Error>> {
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/demo");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut report = runtime.block_on(run_once(&RunSpec::new(Input::Recording(demo.into())), &Silent))?;
    let loud = |f: &&Finding| f.severity > Severity::Info;
    let findings: Vec<Finding> = report.findings.iter().filter(loud).cloned().collect();
    let facts = std::mem::take(&mut report.facts);
    report.findings.clear();
    for copy in 0..wanted.div_ceil(findings.len().max(1)) {
        let rename = |subject: &mut SubjectRef| subject.namespace = format!("{}-{copy}", subject.namespace);
        for mut finding in findings.iter().take(wanted - report.findings.len()).cloned() {
            rename(&mut finding.subject);
            finding.fingerprint = fingerprint(&finding.check, &finding.subject);
            report.findings.push(finding);
        }
        for mut fact in facts.iter().cloned() {
            rename(&mut fact.subject);
            report.facts.push(fact);
        }
    }
    report.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.subject.cmp(&b.subject)));
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "a program that prints what it measured")]
fn say(line: &str) {
    println!("{line}");
}

/// A part with noise around a level that differs from container to container.
fn part(window: &Window, first: usize, metrics: &[Metric]) -> Snapshot {
    let mut objects = Objects::default();
    let mut series = SeriesStore::default();
    let mut seed = first as u64 + 1;
    let mut noise = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1u64 << 53) as f64
    };
    for metric in Metric::ALL {
        series.fetched(*metric);
    }
    for i in first..first + PART {
        let id = WorkloadId::new(&format!("ns-{}", i / 1000), "Deployment", &format!("app-{i}"));
        let pod = format!("app-{i}-6d4cf56db6-2kq7v");
        for metric in metrics {
            let level = if *metric == Metric::CpuUsage { 0.2 } else { 3e8 + 1e5 * i as f64 };
            let values = (0..window.points()).map(|_| Some(level * (1.0 + 0.05 * noise())));
            series.insert(*metric, SeriesKey::container(&id.namespace, &pod, "app"), Samples::new(0, values));
        }
        let resources = Resources {
            memory_request: Some(Bytes(8e8)),
            memory_limit: Some(Bytes(1.2e9)),
            cpu_request: Some(Cores(0.5)),
            cpu_limit: Some(Cores(1.0)),
        };
        objects.pods.push(Pod {
            name: pod,
            workload: id.clone(),
            phase: PodPhase::Running,
            reason: None,
            node: None,
            created: None,
            ready: Some(true),
            deleting: false,
            unschedulable: None,
            containers: vec![Container {
                name: "app".into(),
                role: ContainerRole::Main,
                image: String::new(),
                resources,
                state: Some(ContainerState::Running { started: None }),
                last_termination: None,
                restarts: Some(0),
                ready: Some(true),
                ..Container::default()
            }],
            ..Pod::default()
        });
        let replicas = Some(Replicas { desired: 1, ready: 1 });
        objects.workloads.push(Workload { replicas, ..Workload::new(id) });
    }
    Snapshot { cluster: "bench".into(), taken_at: window.end(), window: *window, objects, series }
}
