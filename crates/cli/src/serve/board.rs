//! What is known of the runs of this program, for its pages and metrics.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use healthcore::finding::Severity;
use healthcore::report::{Cost, Report};
use healthcore::time::Timestamp;
use lambda_free_runner::lease::Standing;
use lambda_free_runner::reports::Rendered;
use lambda_free_runner::runner::{Done, FailureKind, RunFailure};

/// What the pages show, changed by runs and read by requests.
#[derive(Default)]
pub(crate) struct Board(Mutex<State>);

/// All that is known.
#[derive(Default, Clone)]
pub(crate) struct State {
    /// The program is about to end.
    pub(crate) stopping: bool,
    /// Who runs, where an election says so.
    pub(crate) standing: Option<Standing>,
    /// When the run under way started.
    pub(crate) running: Option<Timestamp>,
    /// When the next run starts.
    pub(crate) next: Option<Timestamp>,
    /// The latest report.
    pub(crate) latest: Option<Arc<Pages>>,
    /// The last run of this program that ended.
    pub(crate) last: Option<Last>,
    /// When the last run with a report ended or, after a restart, when the data of the report that was found were taken.
    pub(crate) succeeded_at: Option<Timestamp>,
    /// Runs with a report.
    pub(crate) reports: u64,
    /// Runs without one, by kind of failure.
    pub(crate) failures: BTreeMap<FailureKind, u64>,
    /// Runs that were given up.
    pub(crate) abandoned: u64,
    /// Times that runs of the schedule were left out.
    pub(crate) missed: u64,
    /// Reports that could not be kept in the folder.
    pub(crate) unkept: u64,
    /// What the last report of this program says.
    pub(crate) summary: Option<Summary>,
}

/// How the last run went.
#[derive(Clone)]
pub(crate) struct Last {
    /// When it ended.
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) took: Duration,
    /// Why it has no report.
    pub(crate) failure: Option<RunFailure>,
}

/// A report in numbers.
#[derive(Clone)]
pub(crate) struct Summary {
    pub(crate) taken_at: Timestamp,
    pub(crate) verdict: &'static str,
    /// By cluster and severity.
    pub(crate) findings: BTreeMap<(String, &'static str), u64>,
    /// By cause.
    pub(crate) gaps: BTreeMap<&'static str, u64>,
    pub(crate) cost: Cost,
}

impl Summary {
    pub(crate) fn of(report: &Report) -> Self {
        let mut findings = BTreeMap::new();
        for cluster in &report.clusters {
            for severity in [Severity::Critical, Severity::Warning, Severity::Info] {
                findings.insert((cluster.name.clone(), severity.name()), 0);
            }
        }
        for finding in &report.findings {
            *findings.entry((finding.subject.cluster.clone(), finding.severity.name())).or_default() += 1;
        }
        let mut gaps = BTreeMap::new();
        for gap in &report.gaps {
            *gaps.entry(gap.cause.name()).or_default() += 1;
        }
        Self {
            taken_at: report.taken_at,
            verdict: report.verdict().name(),
            findings,
            gaps,
            cost: report.cost,
        }
    }
}

/// A report as it is sent: rendered and compressed once.
pub(crate) struct Pages {
    pub(crate) taken_at: Timestamp,
    by_format: BTreeMap<&'static str, Page>,
}

/// A report in one format.
pub(crate) struct Page {
    pub(crate) plain: Bytes,
    pub(crate) gzip: Bytes,
    /// Its entity tag, in quotes.
    pub(crate) tag: String,
}

impl Pages {
    pub(crate) fn of(report: Rendered) -> Self {
        let taken_at = report.taken_at;
        let page = |(format, text): (&'static str, Arc<[u8]>)| {
            let tag = format!("\"{}-{format}-{:x}\"", taken_at.unix_seconds(), text.len());
            let gzip = compressed(&text);
            (format, Page { plain: Bytes::from_owner(text), gzip, tag })
        };
        Self { taken_at, by_format: report.pages.into_iter().map(page).collect() }
    }

    pub(crate) fn page(&self, format: &str) -> Option<&Page> {
        self.by_format.get(format)
    }
}

fn compressed(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("memory takes what is written").into()
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
    }

    /// All that is known now.
    pub(crate) fn known(&self) -> State {
        self.state().clone()
    }

    pub(crate) fn latest(&self) -> Option<Arc<Pages>> {
        self.state().latest.clone()
    }

    /// Shows a report unless a later one is shown.
    pub(crate) fn publish(&self, pages: Pages) {
        let mut state = self.state();
        if state.latest.as_ref().is_none_or(|shown| shown.taken_at <= pages.taken_at) {
            state.succeeded_at = state.succeeded_at.max(Some(pages.taken_at));
            state.latest = Some(Arc::new(pages));
        }
    }

    /// Counts a run that has ended.
    pub(crate) fn ended(&self, run: &Done, at: Timestamp) {
        let mut state = self.state();
        state.running = None;
        state.last = Some(Last { at, took: run.took, failure: run.result.as_ref().err().cloned() });
        match &run.result {
            Ok(report) => {
                state.reports += 1;
                state.succeeded_at = Some(at);
                state.summary = Some(Summary::of(report));
            }
            Err(why) => *state.failures.entry(why.kind).or_default() += 1,
        }
    }
}
