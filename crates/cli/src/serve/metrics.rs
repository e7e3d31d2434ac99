//! `/metrics`: the state of the program and its last run, in the text format of Prometheus or as OpenMetrics.

use std::fmt::Write as _;

use healthcore::time::Timestamp;
use lambda_free_runner::lease::Standing;
use lambda_free_runner::runner::FailureKind;

use crate::serve::board::{State, Summary};

/// Which of the two formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposition {
    Prometheus,
    OpenMetrics,
}

impl Exposition {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What the operating system says of this process.
#[derive(Default)]
pub(crate) struct Process {
    pub(crate) started_at: Timestamp,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_handles: Option<u64>,
}

impl Process {
    /// As Linux tells it (proc(5)); nothing where it does not.
    pub(crate) fn now(started_at: Timestamp) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
        let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
        // The folder that is read is open itself.
        let handles = std::fs::read_dir("/proc/self/fd").ok().map(|f| (f.count() as u64).saturating_sub(1));
        Self { started_at, resident_bytes: kib.map(|k| k * 1024), open_handles: handles }
    }
}

type Labels<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn render(state: &State, process: &Process, exposition: Exposition) -> String {
    let mut page = Text { out: String::new(), exposition };
    let seconds = |t: Timestamp| t.0 as f64 / 1000.0;
    page.gauge(
        "healthcheck_build_info",
        "Version of the program.",
        &[(&[("version", lambda_free_runner::version())], 1.0)],
    );
    page.counter("healthcheck_runs", "Runs that ended, by outcome.");
    page.sample("healthcheck_runs_total", &[("outcome", "report")], state.reports as f64);
    let failures = state.failures.values().sum::<u64>();
    page.sample("healthcheck_runs_total", &[("outcome", "failure")], failures as f64);
    page.sample("healthcheck_runs_total", &[("outcome", "abandoned")], state.abandoned as f64);
    page.counter("healthcheck_run_failures", "Runs without a report, by cause.");
    for kind in FailureKind::ALL {
        let count = state.failures.get(&kind).copied().unwrap_or(0);
        page.sample("healthcheck_run_failures_total", &[("cause", kind.name())], count as f64);
    }
    page.counter("healthcheck_runs_missed", "Times that runs of the schedule were left out.");
    page.sample("healthcheck_runs_missed_total", &[], state.missed as f64);
    page.counter(
        "healthcheck_reports_not_kept",
        "Reports that could not be written to the folder of reports.",
    );
    page.sample("healthcheck_reports_not_kept_total", &[], state.unkept as f64);
    let running = f64::from(u8::from(state.running.is_some()));
    page.gauge("healthcheck_run_in_progress", "1 while a run is under way.", &[(&[], running)]);
    if let Some(standing) = &state.standing {
        let leads = f64::from(u8::from(*standing == Standing::Leader));
        page.gauge("healthcheck_leader", "1 when this program is the one that runs.", &[(&[], leads)]);
    }
    page.optional(
        "healthcheck_last_success_timestamp_seconds",
        "When the last run with a report ended, unix time.",
        state.succeeded_at.map(seconds),
    );
    page.optional(
        "healthcheck_next_run_timestamp_seconds",
        "When the next run starts, unix time.",
        state.next.map(seconds),
    );
    if let Some(last) = &state.last {
        page.gauge(
            "healthcheck_last_run_timestamp_seconds",
            "When the last run ended, unix time.",
            &[(&[], seconds(last.at))],
        );
        page.gauge(
            "healthcheck_last_run_duration_seconds",
            "How long the last run took.",
            &[(&[], last.took.as_secs_f64())],
        );
        let success = f64::from(u8::from(last.failure.is_none()));
        page.gauge(
            "healthcheck_last_run_success",
            "1 when the last run has a report, 0 when it failed.",
            &[(&[], success)],
        );
    }
    // Another program may have made a newer report, which the pages show; then the numbers are for that one to tell.
    let is_latest = |s: &&Summary| state.latest.as_ref().is_none_or(|shown| shown.taken_at <= s.taken_at);
    if let Some(summary) = state.summary.as_ref().filter(is_latest) {
        page.report(summary);
    }
    page.process(process);
    if exposition == Exposition::OpenMetrics {
        page.out.push_str("# EOF\n");
    }
    page.out
}

struct Text {
    out: String,
    exposition: Exposition,
}

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn counter(&mut self, name: &str, help: &str) {
        match self.exposition {
            Exposition::OpenMetrics => self.family(name, "counter", help),
            Exposition::Prometheus => self.family(&format!("{name}_total"), "counter", help),
        }
    }

    fn gauge(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, f64)]) {
        self.family(name, "gauge", help);
        samples.iter().for_each(|(labels, value)| self.sample(name, labels, *value));
    }

    fn optional(&mut self, name: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.gauge(name, help, &[(&[], value)]);
        }
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.out, "{name}{labels} {value}");
    }

    fn report(&mut self, summary: &Summary) {
        let taken_at = summary.taken_at.unix_seconds() as f64;
        self.gauge(
            "healthcheck_report_timestamp_seconds",
            "End of the span that the last report looks at, unix time.",
            &[(&[], taken_at)],
        );
        self.family("healthcheck_verdict", "gauge", "The last report in one word: 1 for the verdict.");
        self.sample("healthcheck_verdict", &[("verdict", summary.verdict)], 1.0);
        self.family("healthcheck_findings", "gauge", "Findings of the last report.");
        for ((cluster, severity), count) in &summary.findings {
            let labels = [("cluster", &**cluster), ("severity", *severity)];
            self.sample("healthcheck_findings", &labels, *count as f64);
        }
        self.family("healthcheck_gaps", "gauge", "What the last report could not check, by cause.");
        for (cause, count) in &summary.gaps {
            self.sample("healthcheck_gaps", &[("cause", cause)], *count as f64);
        }
        let cost = &summary.cost;
        for (name, help, value) in [
            (
                "prometheus_queries",
                "Queries of the last report to the metrics servers.",
                cost.prometheus_queries,
            ),
            ("samples", "Samples that the last report read.", cost.samples),
            (
                "kubernetes_requests",
                "Requests of the last report to the Kubernetes APIs.",
                cost.kubernetes_requests,
            ),
        ] {
            self.gauge(&format!("healthcheck_report_{name}"), help, &[(&[], value as f64)]);
        }
    }

    fn process(&mut self, process: &Process) {
        let started = process.started_at.0 as f64 / 1000.0;
        self.gauge("process_start_time_seconds", "When the program started, unix time.", &[(&[], started)]);
        let resident = process.resident_bytes.map(|n| n as f64);
        self.optional("process_resident_memory_bytes", "Resident memory.", resident);
        self.optional("process_open_fds", "Open file descriptors.", process.open_handles.map(|n| n as f64));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use healthcore::report::Cost;
    use lambda_free_runner::reports::Rendered;
    use lambda_free_runner::runner::RunFailure;

    use super::*;
    use crate::serve::board::{Last, Pages};

    fn state() -> State {
        let failure =
            RunFailure { kind: FailureKind::Configuration, why: "healthcheck.yaml: token hunter2".into() };
        let findings = [(("a\"\\\nb".to_owned(), "critical"), 2)];
        State {
            next: Some(Timestamp(1_795_222_800_000)),
            last: Some(Last {
                at: Timestamp(1_795_136_412_345),
                took: Duration::from_millis(12_345),
                failure: Some(failure),
            }),
            succeeded_at: Some(Timestamp(1_795_050_012_000)),
            reports: 3,
            failures: [(FailureKind::Configuration, 1)].into(),
            standing: Some(Standing::Leader),
            abandoned: 1,
            missed: 4,
            summary: Some(Summary {
                taken_at: Timestamp(1_795_050_000_000),
                verdict: "critical",
                findings: findings.into(),
                gaps: [("timeout", 2)].into(),
                cost: Cost { prometheus_queries: 40, samples: 123_456, ..Cost::default() },
            }),
            ..State::default()
        }
    }

    #[test]
    fn both_formats() {
        let process = Process { started_at: Timestamp(1_795_000_000_000), ..Process::default() };
        let prometheus = render(&state(), &process, Exposition::Prometheus);
        for line in [
            "# TYPE healthcheck_runs_total counter",
            "healthcheck_runs_total{outcome=\"report\"} 3",
            "healthcheck_runs_total{outcome=\"failure\"} 1",
            "healthcheck_run_failures_total{cause=\"configuration\"} 1",
            "healthcheck_run_failures_total{cause=\"sources\"} 0",
            "healthcheck_leader 1",
            "healthcheck_runs_missed_total 4",
            "healthcheck_last_run_success 0",
            "healthcheck_last_run_timestamp_seconds 1795136412.345",
            "healthcheck_last_run_duration_seconds 12.345",
            "healthcheck_last_success_timestamp_seconds 1795050012",
            "healthcheck_findings{cluster=\"a\\\"\\\\\\nb\",severity=\"critical\"} 2",
            "healthcheck_gaps{cause=\"timeout\"} 2",
            "healthcheck_report_prometheus_queries 40",
            "process_start_time_seconds 1795000000",
        ] {
            assert!(prometheus.lines().any(|l| l == line), "{line}\n{prometheus}");
        }
        assert!(!prometheus.contains("hunter2") && !prometheus.contains("# EOF"));
        let open = render(&state(), &process, Exposition::OpenMetrics);
        assert!(open.contains("# TYPE healthcheck_runs counter\nhealthcheck_runs_total{"), "{open}");
        assert!(open.ends_with("# EOF\n"));
        let types: Vec<&str> = open.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let mut once = types.clone();
        once.dedup();
        assert_eq!(types, once, "a family comes once");
    }

    #[test]
    fn a_newer_report_of_another_program_ends_the_numbers_of_the_own_one() {
        let shown = |taken_at: i64| {
            let pages = Pages::of(Rendered {
                taken_at: Timestamp(taken_at),
                pages: std::collections::BTreeMap::new(),
            });
            let state = State { latest: Some(std::sync::Arc::new(pages)), ..state() };
            render(&state, &Process::default(), Exposition::Prometheus)
        };
        assert!(shown(1_795_050_000_000).contains("healthcheck_findings{"), "its own");
        let newer = shown(1_795_050_000_001);
        assert!(!newer.contains("healthcheck_findings") && !newer.contains("healthcheck_report_"), "{newer}");
        assert!(newer.contains("healthcheck_runs_total{outcome=\"report\"} 3"), "{newer}");
    }

    #[test]
    fn before_the_first_run_nothing_is_made_up() {
        let page = render(&State::default(), &Process::default(), Exposition::Prometheus);
        assert!(!page.contains("last_run") && !page.contains("last_success") && !page.contains("findings"));
        assert!(!page.contains("healthcheck_leader"), "{page}");
        assert!(page.contains("healthcheck_run_in_progress 0\n"));
    }
}
