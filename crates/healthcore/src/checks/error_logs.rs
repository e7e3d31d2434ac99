//! `error-logs`: a workload writes many errors into its logs.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::logs::{LogContent, LogPattern, LogSource, LogSummary, ScanNoise, SourceKind};
use crate::measure;
use crate::model::{ContainerState, ObjectKind, WorkloadId};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::Missing;
use crate::time::Timestamp;
use crate::unit::{Ratio, Seconds};
use crate::view::{View, WorkloadPods};

/// A workload writes many errors into its logs.
pub struct ErrorLogs;

crate::params! {
    /// Parameters of `error-logs`.
    pub struct ErrorLogsParams {
        /// Errors from which on it is info.
        info_count: u32 = 100 => 1..=1_000_000_000,
        /// Errors from which on it is a warning.
        warning_count: u32 = 1000 => 1..=1_000_000_000,
        /// Errors from which on it is critical.
        critical_count: u32 = 100_000 => 1..=1_000_000_000,
        /// Requests of those who look for weak spots from which on they are told, as info.
        scan_count: u32 = 100 => 1..=1_000_000_000,
        /// Share of the errors from which on one source is said to be what they come from.
        one_source: Ratio = Ratio(0.5) => Ratio(0.01)..=Ratio(1.0),
    }
    where |p| p.info_count <= p.warning_count, "info-count must not be above warning-count";
    where |p| p.warning_count <= p.critical_count, "warning-count must not be above critical-count";
}

/// Patterns that are shown.
const SHOWN: usize = 3;

impl Check for ErrorLogs {
    const INFO: CheckInfo = CheckInfo {
        id: "error-logs",
        title: "Errors in logs",
        since: "0.1.0",
        checks: "How many errors the containers of a workload wrote into their logs in the last 24 hours, which messages \
                 these are, and what they come from.",
        why: "A program often tells what is wrong long before a probe or a metric does: a server that does not answer, a \
              password that has expired, a table that is missing. Nobody reads logs that are full of errors.",
        decides: "Runs only when it is asked for (`--logs`, `logs` in the configuration, or by its id), because reading logs \
                  costs more than the rest of a run. A message of level error or higher is one error, whatever number of \
                  lines it has; the level is read from JSON, logfmt, klog and the common forms of text, and answers from \
                  500 on in access logs are errors too. Info from `info-count`, a warning from `warning-count`, critical \
                  from `critical-count`. Where not all pods were read, their number is multiplied accordingly before it is \
                  compared. Messages are grouped by pattern (Drain), and the one that is most frequent is shown; a server, \
                  client or logger that makes up at least `one-source` of the errors is named. Requests in vain that look \
                  for weak spots (`/.env`, `/wp-login.php`), and all of an address where most are such or for ever other paths, \
                  are no errors of the workload: they are set apart, and told as info from `scan-count`.",
        remedy: "Look at the server that is named first, or at the way to it. For scans there is nothing to mend in the \
                 workload.",
        false_alarms: "Programs that call an error what is none. A kubelet gives only the newest file of a log (10 MiB unless told \
                       otherwise), which may hold minutes of a flood: the sentence then says that time, the evidence tells when the \
                       log begins, and the errors of the whole day are more than those counted.",
        texts: &[
            ("errors", "{errors} in {time}, {count} of them: {pattern}"),
            ("errors-server", "{errors} in {time}, {count} of them about one server, {source}: {pattern}"),
            ("errors-client", "{errors} in {time}, {count} of them for one client, {source}: {pattern}"),
            (
                "errors-logger",
                "{errors} in {time}, {count} of them from one part of the program, {source}: {pattern}",
            ),
            (
                "scan",
                "{requests} {requests|request|requests} of {addresses} {addresses|address|addresses} looking for weak spots, \
                 such as {path}; set apart from {errors} {errors|error|errors} of the workload itself",
            ),
            ("server", "look at {source}, and at the way to it: it is what the errors are about"),
            ("read", "read the messages with what stands around them"),
            (
                "scan-nothing",
                "nothing is to be mended in the workload; block such paths where requests come in, if they are in the way",
            ),
        ],
    };
    const ON_REQUEST: bool = true;
    type Params = ErrorLogsParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Logs).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let id = &subject.workload.id;
        if !has_started(subject) {
            return Ok(Outcome::NotApplicable);
        }
        if let Some(why) = view.unavailable(ObjectKind::Logs, &id.namespace) {
            return Err(why.clone());
        }
        let logs: Vec<&LogSummary> =
            view.snapshot.objects.logs.iter().filter(|l| l.workload == *id).collect();
        let worst = logs.iter().max_by_key(|l| (l.said.levels.errors(), std::cmp::Reverse(&l.container)));
        let Some(worst) = worst else { return Err(Missing::LogsNotRead) };
        let errors: u64 = logs.iter().map(|l| l.said.levels.errors()).sum();
        let expected: f64 = logs.iter().map(|l| expected(l)).sum();
        let reached = |bound: u32| expected >= f64::from(bound);
        let scan = logs.iter().filter_map(|l| l.said.scan.as_ref()).max_by_key(|s| s.requests);
        let scan = scan.filter(|s| s.requests >= u64::from(params.scan_count));
        let distance = measure::below(expected, f64::from(params.info_count));
        let (severity, bound) = if reached(params.critical_count) {
            (Severity::Critical, params.critical_count)
        } else if reached(params.warning_count) {
            (Severity::Warning, params.warning_count)
        } else if reached(params.info_count) || (scan.is_none() && view.keeps_watching(distance)) {
            (Severity::Info, params.info_count)
        } else {
            return Ok(scan.map_or(Outcome::Ok, |scan| scanned(params, scan, errors).into()));
        };
        let many = Errors { counted: errors, expected, is_cut: logs.iter().any(|l| l.cut) };
        let mut problem = Problem::new(severity, sentence(params, worst, many, view.snapshot.taken_at))
            .measured("errors", many.rounded(), bound);
        if many.is_estimate() {
            problem = problem.evidence("errors-counted", errors as usize);
        }
        let problem = with_evidence(problem, params, worst, &logs, scan);
        Ok(Outcome::when(reached(params.info_count), distance, problem))
    }
}

/// Whether a container of it has run, so that there can be logs.
fn has_started(subject: &WorkloadPods<'_>) -> bool {
    let waits = |state: &Option<ContainerState>| matches!(state, None | Some(ContainerState::Waiting { .. }));
    subject.pods.iter().flat_map(|p| &p.containers).any(|c| !waits(&c.state) || c.last_termination.is_some())
}

/// Errors of a workload.
#[derive(Clone, Copy)]
struct Errors {
    counted: u64,
    /// Of all pods, as far as those that were read tell.
    expected: f64,
    /// Whether not all of a log was read, so that there may be more.
    is_cut: bool,
}

impl Errors {
    fn is_estimate(self) -> bool {
        self.rounded() as u64 > self.counted
    }

    fn rounded(self) -> usize {
        self.expected.round() as usize
    }

    /// Some of the errors that were counted, as many as are expected in all pods where the errors themselves are an
    /// estimate. Of that two digits mean something.
    fn as_told(self, counted: u64) -> usize {
        if !self.is_estimate() {
            return counted as usize;
        }
        let expected = counted as f64 * self.expected / self.counted as f64;
        let unit = 10_f64.powf((expected.max(1.0).log10().floor() - 1.0).max(0.0));
        ((expected / unit).round() * unit) as usize
    }

    /// The number as a reader takes it.
    fn told(self, log: &LogSummary) -> Text {
        if !self.is_estimate() {
            let key = if self.is_cut { "errors-at-least" } else { "errors-counted" };
            return phrase(key).with("n", self.counted as usize);
        }
        phrase("errors-estimated")
            .with("n", self.as_told(self.counted))
            .with("counted", self.counted as usize)
            .with("read", log.pods_read)
            .with("pods", log.pods)
    }
}

/// The errors of all pods, as far as those that were read tell.
fn expected(log: &LogSummary) -> f64 {
    let share = f64::from(log.pods_read.max(1)) / f64::from(log.pods.max(1));
    log.said.levels.errors() as f64 / share.min(1.0)
}

/// The source that most of the errors come from; a server says more than a client, and that more than a logger.
fn one_source<'l>(params: &ErrorLogsParams, said: &'l LogContent) -> Option<&'l LogSource> {
    let enough = |s: &&LogSource| s.count as f64 >= params.one_source.get() * said.levels.errors() as f64;
    said.sources.iter().filter(enough).min_by_key(|s| (s.kind, std::cmp::Reverse(s.count)))
}

fn sentence(params: &ErrorLogsParams, worst: &LogSummary, errors: Errors, now: Timestamp) -> Text {
    let source = one_source(params, &worst.said);
    let key = match source.map(|s| s.kind) {
        None => "errors",
        Some(SourceKind::Server) => "errors-server",
        Some(SourceKind::Client) => "errors-client",
        Some(SourceKind::Logger) => "errors-logger",
    };
    let pattern = worst.said.patterns.first();
    let count = source.map(|s| s.count).or(pattern.map(|p| p.count)).unwrap_or_default();
    let time = Seconds(now.seconds_since(worst.counted_since()).max(0.0));
    let text = Text::new(key)
        .with("errors", errors.told(worst))
        .with("time", time)
        .with("count", errors.as_told(count))
        .with("pattern", pattern.map_or("", |p| p.text.as_str()));
    match source {
        Some(source) => text.with("source", source.name.as_str()),
        None => text,
    }
}

fn with_evidence(
    problem: Problem,
    params: &ErrorLogsParams,
    worst: &LogSummary,
    logs: &[&LogSummary],
    scan: Option<&ScanNoise>,
) -> Problem {
    let said = &worst.said;
    let fatal: u64 = logs.iter().map(|l| l.said.levels.fatal).sum();
    let mut problem = problem.evidence("container", worst.container.as_str());
    if fatal > 0 {
        problem = problem.evidence("fatal", fatal as usize);
    }
    for pattern in said.patterns.iter().take(SHOWN) {
        problem = problem.evidence("pattern", format!("{} × {}", pattern.count, pattern.text));
    }
    for (kind, name) in
        [(SourceKind::Server, "server"), (SourceKind::Client, "client"), (SourceKind::Logger, "logger")]
    {
        if let Some(source) = said.sources.iter().find(|s| s.kind == kind) {
            problem = problem.evidence(name, format!("{} × {}", source.count, source.name));
        }
    }
    if let Some(scan) = scan {
        problem = problem.evidence("scan-requests", scan.requests as usize);
    }
    problem = problem.evidence("messages", messages(said) as usize);
    if worst.pods_read < worst.pods {
        problem = problem.evidence("pods", worst.pods).evidence("pods-read", worst.pods_read);
    }
    if worst.cut {
        problem = problem.evidence("read-bytes", crate::unit::Bytes(said.bytes as f64));
    }
    if let Some(begins) = worst.begins {
        problem = problem.evidence("log-begins", begins);
    }
    if let Some(last) = said.patterns.first().and_then(|p| p.last) {
        problem = problem.evidence("last", last);
    }
    problem = problem.since(said.patterns.first().and_then(|p| began(p, worst)));
    let server = one_source(params, said).filter(|s| s.kind == SourceKind::Server);
    if let Some(server) = server {
        problem = problem.advise(Advice::new(Text::new("server").with("source", server.name.as_str())));
    }
    problem.advise(read(worst))
}

fn messages(said: &LogContent) -> u64 {
    let levels = said.levels;
    levels.errors() + levels.warning + levels.info + levels.debug + levels.none
}

/// When a pattern began, where the log tells of a time without it before.
fn began(pattern: &LogPattern, log: &LogSummary) -> Option<Timestamp> {
    let first = pattern.first?;
    let log_begins = log.said.first?.max(log.counted_since());
    (first.seconds_since(log_begins) >= 3600.0).then_some(first)
}

/// The pod with the most errors is named: of a workload `kubectl logs` takes any one. The run before is read by another flag.
fn read(log: &LogSummary) -> Advice {
    let WorkloadId { namespace, name, kind } = &log.workload;
    let (container, kind) = (&log.container, kind.to_ascii_lowercase());
    let advice = Advice::new(Text::new("read"));
    let (of, name) = match kind.as_str() {
        _ if !log.worst_pod.is_empty() => (log.worst_pod.clone(), &log.worst_pod),
        "deployment" | "statefulset" | "daemonset" | "job" | "pod" | "replicaset" => {
            (format!("{kind}/{name}"), name)
        }
        _ => return advice,
    };
    let previous = if log.worst_previous { " --previous" } else { "" };
    let command = format!("kubectl -n {namespace} logs {of} -c {container} --since=24h{previous}");
    advice.command(command, &[namespace, name, container])
}

/// Only somebody who looks around.
fn scanned(params: &ErrorLogsParams, scan: &ScanNoise, errors: u64) -> Problem {
    let path = scan.paths.first().map_or("paths that do not exist", String::as_str);
    let text = Text::new("scan")
        .with("requests", scan.requests as usize)
        .with("addresses", scan.addresses)
        .with("path", path)
        .with("errors", errors as usize);
    Problem::new(Severity::Info, text)
        .measured("scan-requests", scan.requests as usize, params.scan_count)
        .evidence("errors", errors as usize)
        .evidence("busiest-address", format!("{} × {}", scan.of_busiest, scan.busiest))
        .evidence("paths", scan.paths.join(", "))
        .advise(Advice::new(Text::new("scan-nothing")))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice, findings};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("error-logs", text, expected);
    }

    const POD: &str = "container web/api-0/app\n";

    fn log(times: u32, line: &str) -> String {
        format!("{POD}log web/StatefulSet/api times={times} line=\"{line}\"")
    }

    /// The incident of the daily monitor: 12,758 errors, all from one APM server.
    #[test]
    fn errors_about_one_server_name_it() {
        let text = log(
            12_758,
            "2026-11-20 00:00:00 ERROR [apm-reporter] IntakeV2ReportingEventHandler - Error sending data to APM server at http://apm-server.apm:8200/intake/v2/events, response code is 503 ({n})",
        );
        check(
            &text,
            "warning web/api: 12758 errors in 1d, 12758 of them about one server, apm-server.apm:8200: \
             [apm-reporter] IntakeV2ReportingEventHandler - Error sending data to APM server at \
             http://apm-server.apm:<*>/intake/v2/events, response code is 503 (<*>)",
        );
        assert_eq!(
            advice("error-logs", &text),
            [
                "look at apm-server.apm:8200, and at the way to it: it is what the errors are about",
                "read the messages with what stands around them [kubectl -n web logs statefulset/api -c app --since=24h]",
            ]
        );
        assert_eq!(
            advice("error-logs", &text.replace("times=", "worst=api-3 times="))[1],
            "read the messages with what stands around them [kubectl -n web logs api-3 -c app --since=24h]"
        );
        let before = text.replace("times=", "worst=api-3 previous times=");
        assert!(advice("error-logs", &before)[1].ends_with("--since=24h --previous]"), "{before}");
    }

    /// The incident of the daily monitor: 523 times 404 at an nginx that somebody scans.
    #[test]
    fn scans_of_a_web_server_are_set_apart() {
        let error = "2026/11/20 00:00:00 [error] 29#29: *{n} open() '/srv/.env' failed (2: No such file or directory), client: 198.51.100.7, server: _, request: 'GET /.env HTTP/1.1'";
        let access =
            "198.51.100.7 - - [20/Nov/2026:00:00:00 +0000] 'GET /wp-login.php HTTP/1.1' 404 153 '-' '-'";
        let own = "2026/11/20 00:00:00 [error] 29#29: *{n} open() '/srv/logo.png' failed (2: No such file or directory), client: 10.0.0.1, server: _, request: 'GET /logo.png HTTP/1.1'";
        let text = format!(
            "{}\nlog web/StatefulSet/api times=300 line=\"{access}\"\nlog web/StatefulSet/api times=2 line=\"{own}\"",
            log(223, error)
        );
        check(
            &text,
            "info web/api: 523 requests of 1 address looking for weak spots, such as /.env; set apart from 2 errors of the workload itself",
        );
        check(&text.replace("times=223", "times=22").replace("times=300", "times=77"), "1 ok");
        check(
            &text.replace("times=2 ", "times=1000 "),
            "warning web/api: 1000 errors in 1d, 1000 of them: open() <*> failed (2: No such file or directory)",
        );
    }

    #[test]
    fn the_number_of_errors_decides() {
        let told =
            |times: u32| fixture::told("error-logs", &log(times, "ERROR no route to ledger")).join("; ");
        assert_eq!(told(99), "1 ok");
        assert_eq!(told(100), "info web/api: 100 errors in 1d, 100 of them: no route to ledger");
        assert!(told(999).starts_with("info ") && told(1000).starts_with("warning "));
        let few = format!("set warning-count=2 info-count=2 critical-count=3\n{}", log(3, "FATAL gone"));
        check(&few, "critical web/api: 3 errors in 1d, 3 of them: gone");
    }

    #[test]
    fn pods_that_were_not_read_are_expected_to_be_like_those_that_were() {
        let text = format!("{POD}log web/StatefulSet/api times=300 pods=40 read=10 line=\"ERROR no route\"");
        check(
            &text,
            "warning web/api: about 1200 errors (300 in 10 of 40 pods) in 1d, 1200 of them: no route",
        );
        let evidence = &findings("error-logs", &text)[0].evidence;
        let value = |name: &str| evidence.iter().find(|e| e.name == name).map(|e| format!("{:?}", e.value));
        assert_eq!(value("errors"), Some("Count(1200)".to_owned()));
        assert_eq!(value("errors-counted"), Some("Count(300)".to_owned()));
        assert!(value("pods-read").is_some());
        check(
            &text.replace("times=300 pods=40 read=10", "times=1234 pods=7 read=3"),
            "warning web/api: about 2900 errors (1234 in 3 of 7 pods) in 1d, 2900 of them: no route",
        );
    }

    /// A kubelet has the newest file of a log only.
    #[test]
    fn a_log_that_begins_late_says_so() {
        let text = log(2_000, "ERROR no route").replace("times=", "ago=5m begins=20m times=");
        check(&text, "warning web/api: 2000 errors in 20m, 2000 of them: no route");
        let finding = &findings("error-logs", &text)[0];
        assert!(finding.evidence.iter().any(|e| e.name == "log-begins"));
        assert_eq!(finding.since, None, "nothing is known of the time before");
    }

    #[test]
    fn of_a_log_that_was_cut_the_errors_are_a_lower_bound() {
        let text = log(2_000, "ERROR no route").replace("times=", "ago=5m begins=20m cut times=");
        check(&text, "warning web/api: at least 2000 errors in 20m, 2000 of them: no route");
    }

    #[test]
    fn a_client_or_a_part_of_the_program_is_named() {
        let client = "{'level':'error','msg':'refused','client_ip':'10.0.0.7'}";
        check(
            &log(100, client),
            "info web/api: 100 errors in 1d, 100 of them for one client, 10.0.0.7: refused",
        );
        let logger = "{'level':'error','msg':'refused','logger':'shop.cart'}";
        check(
            &log(100, logger),
            "info web/api: 100 errors in 1d, 100 of them from one part of the program, shop.cart: refused",
        );
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        check(POD, "1 unknown: the logs were not read");
        check(
            &format!("denied logs namespace=web\n{POD}"),
            "1 unknown: not allowed to get pods/log in namespace web",
        );
        check("container web/api-0/app state=waiting:ContainerCreating", "nothing");
    }
}
