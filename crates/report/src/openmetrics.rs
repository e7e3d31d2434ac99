//! Gauges in OpenMetrics text, which the textfile collector of node_exporter and Prometheus read as well.
//!
//! A file of gauges is a state and not a stream: a finding that is gone is a series that is gone.

use std::collections::BTreeMap;

use healthcore::finding::Severity;
use healthcore::report::{ClusterSummary, Part, Report, Verdict};
use healthcore::score::Score;

use crate::escape::visible;

/// Label names and values.
type Labels<'a> = Vec<(&'static str, &'a str)>;

pub(crate) fn render(report: &Report) -> String {
    let mut out = Exposition(String::new());
    out.family("healthcheck_build_info", "Version of the program that wrote the report.");
    out.sample("healthcheck_build_info", &vec![("version", &report.version)], 1.0);
    out.family("healthcheck_report_timestamp_seconds", "End of the span that was looked at, unix time.");
    out.sample("healthcheck_report_timestamp_seconds", &vec![], report.taken_at.unix_seconds() as f64);
    out.family("healthcheck_verdict", "The run in one word: 1 for the verdict, 0 for the others.");
    for verdict in [Verdict::Healthy, Verdict::Degraded, Verdict::Critical, Verdict::Unknown] {
        let is = f64::from(u8::from(verdict == report.verdict()));
        out.sample("healthcheck_verdict", &vec![("verdict", verdict.name())], is);
    }
    if let Some(part) = &report.part {
        out.part(part);
    }
    out.clusters(report);
    out.scores(report);
    out.checks(report);
    out.findings(report);
    out.gaps(report);
    out.cost(report);
    out.0.push_str("# EOF\n");
    out.0
}

struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.push_str(&format!("{name}{labels} {value}\n"));
    }

    /// What was chosen of a whole report: what is not in it was not looked for here, and is not healthy for that.
    fn part(&mut self, part: &Part) {
        let name = "healthcheck_part_info";
        self.family(
            name,
            "What the report tells of: findings of this severity and above, in these clusters and namespaces; empty for all.",
        );
        let (clusters, namespaces) = (part.clusters.join(","), part.namespaces.join(","));
        let labels =
            vec![("severity", part.floor.name()), ("clusters", &*clusters), ("namespaces", &*namespaces)];
        self.sample(name, &labels, 1.0);
    }

    fn clusters(&mut self, report: &Report) {
        self.family(
            "healthcheck_cluster_seen",
            "1 when objects or metrics of the cluster could be read, by every shard.",
        );
        for c in &report.clusters {
            self.sample(
                "healthcheck_cluster_seen",
                &vec![("cluster", &c.name)],
                f64::from(u8::from(c.is_whole())),
            );
        }
        self.family("healthcheck_cluster_objects", "Objects that were looked at, by kind.");
        for c in &report.clusters {
            for (kind, n) in [("workload", c.workloads), ("pod", c.pods), ("container", c.containers)] {
                self.sample(
                    "healthcheck_cluster_objects",
                    &vec![("cluster", &c.name), ("kind", kind)],
                    n as f64,
                );
            }
        }
    }

    /// Points of clusters and namespaces, and how much of each could be judged. Where too little could be judged for a
    /// grade there are no points: 100 would look like health.
    fn scores<'r>(&mut self, report: &'r Report) {
        let of_clusters =
            || report.clusters.iter().filter_map(|c| Some((c.name.as_str(), c.score.as_ref()?)));
        let of_namespaces = || {
            let of_cluster = |c: &'r ClusterSummary| c.namespaces.iter().map(move |n| (c.name.as_str(), n));
            let all = report.clusters.iter().flat_map(of_cluster);
            all.filter_map(|(cluster, n)| Some((cluster, n.name.as_str(), n.score.as_ref()?)))
        };
        type Figure = fn(&Score) -> Option<f64>;
        let figures: [(&str, &str, Figure); 2] = [
            (
                "score",
                "Health score from 0 to 100, see docs/score.md; none where too little could be judged.",
                |s| s.grade().map(|_| f64::from(s.points)),
            ),
            ("score_confidence", "Share of the judgements behind the score that could be made.", |s| {
                Some(s.confidence)
            }),
        ];
        for (figure, help, value) in figures {
            let name = format!("healthcheck_cluster_{figure}");
            self.family(&name, help);
            for (cluster, points) in of_clusters().filter_map(|(c, score)| Some((c, value(score)?))) {
                self.sample(&name, &vec![("cluster", cluster)], points);
            }
            let name = format!("healthcheck_namespace_{figure}");
            self.family(&name, help);
            for (cluster, namespace, score) in of_namespaces() {
                if let Some(points) = value(score) {
                    self.sample(&name, &vec![("cluster", cluster), ("namespace", namespace)], points);
                }
            }
        }
    }

    fn checks(&mut self, report: &Report) {
        let name = "healthcheck_check_subjects";
        self.family(name, "Subjects that a check judged, by result.");
        for c in report.tallies() {
            for (result, n) in
                [("ok", c.tally.ok), ("problem", c.tally.problem), ("unknown", c.tally.unknown)]
            {
                self.sample(name, &vec![("check", c.id), ("result", result)], n as f64);
            }
        }
    }

    fn findings(&mut self, report: &Report) {
        let name = "healthcheck_findings";
        self.family(name, "Findings of a severity in a cluster.");
        for c in &report.clusters {
            for severity in told(report) {
                let of =
                    |f: &&healthcore::finding::Finding| f.severity == severity && f.subject.cluster == c.name;
                let n = report.findings.iter().filter(of).count();
                self.sample(name, &vec![("cluster", &c.name), ("severity", severity.name())], n as f64);
            }
        }
        let name = "healthcheck_finding";
        self.family(name, "A finding; the fingerprint stays the same from run to run.");
        for f in &report.findings {
            let s = &f.subject;
            let labels = vec![
                ("check", &*f.check),
                ("severity", f.severity.name()),
                ("cluster", &s.cluster),
                ("namespace", &s.namespace),
                ("kind", &s.kind),
                ("name", &s.name),
                ("container", s.container.as_deref().unwrap_or_default()),
                ("fingerprint", &f.fingerprint),
            ];
            self.sample(name, &labels, 1.0);
        }
    }

    fn gaps(&mut self, report: &Report) {
        let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
        for gap in &report.gaps {
            *causes.entry(gap.cause.name()).or_default() += 1;
        }
        self.family("healthcheck_gaps", "What could not be checked, by cause.");
        for (cause, n) in causes {
            self.sample("healthcheck_gaps", &vec![("cause", cause)], n as f64);
        }
    }

    fn cost(&mut self, report: &Report) {
        let cost = &report.cost;
        let figures = [
            ("healthcheck_run_prometheus_queries", "Queries of the run.", cost.prometheus_queries as f64),
            ("healthcheck_run_samples", "Samples received in the run.", cost.samples as f64),
            ("healthcheck_run_received_bytes", "Bytes received in the run.", cost.bytes as f64),
            (
                "healthcheck_run_kubernetes_requests",
                "Kubernetes requests of the run.",
                cost.kubernetes_requests as f64,
            ),
            ("healthcheck_run_duration_seconds", "Seconds from start to end of the run.", cost.seconds),
            (
                "healthcheck_run_peak_memory_bytes",
                "Peak resident memory of the run.",
                cost.peak_rss_bytes as f64,
            ),
        ];
        for (name, help, value) in figures {
            self.family(name, help);
            self.sample(name, &vec![], value);
        }
    }
}

/// Severities that a report tells of: none of the others were found, or looked for.
fn told(report: &Report) -> impl Iterator<Item = Severity> + use<'_> {
    let all = [Severity::Critical, Severity::Warning, Severity::Info];
    all.into_iter().filter(|severity| *severity >= report.floor())
}

/// A value between quotes: backslash, quote and line feed are escaped, as both text formats have it.
fn label(value: &str) -> String {
    visible(value).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_between_its_quotes() {
        let mut out = Exposition(String::new());
        out.sample("m", &vec![("a", "x\"} 9\nm{b=\"\\"), ("c", "")], 0.5);
        assert_eq!(out.0, "m{a=\"x\\\"} 9 m{b=\\\"\\\\\",c=\"\"} 0.5\n");
    }
}
