//! Whether a metrics server is that of the cluster whose pods are judged by it.

use std::collections::BTreeSet;

use healthcore::metric::Metric;
use healthcore::model::{Pod, PodPhase};
use healthcore::phrase::phrase;
use healthcore::snapshot::{Gap, GapCause, Origin, Snapshot};
use healthcore::time::Timestamp;

use crate::spec::ClusterSources;

/// How long a pod has run before its metrics are missed. Unit: seconds.
const SCRAPED_WITHIN: f64 = 900.0;

/// How many of the pods that run the metrics server knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pods: usize,
    known: usize,
}

impl Known {
    /// Counts the pods of a part, unless the server has no memory of containers at all, or did not answer.
    pub(crate) fn add(&mut self, part: &Snapshot) {
        let metric = Metric::MemoryWorkingSet;
        let answered = part.series.metrics().any(|(m, missing)| m == metric && missing.is_none());
        if !answered || part.objects.origin != Origin::KubernetesApi {
            return;
        }
        let known: BTreeSet<(&str, &str)> =
            part.series.containers().into_iter().map(|key| (&*key.namespace, &*key.name)).collect();
        for pod in part.objects.pods.iter().filter(|pod| runs(pod, part.taken_at)) {
            self.pods += 1;
            self.known += usize::from(known.contains(&(&*pod.workload.namespace, &*pod.name)));
        }
    }

    /// Tells that the server knows none of the pods.
    pub(crate) fn told(&self, cluster: &str) -> Option<Gap> {
        let said = phrase("gap-knows-no-pod").with("n", self.pods);
        let is_stranger = self.pods > 0 && self.known == 0;
        is_stranger.then(|| Gap::new(format!("{cluster}/prometheus"), GapCause::NothingMatches, said))
    }
}

fn runs(pod: &Pod, now: Timestamp) -> bool {
    let is_old = pod.created.is_none_or(|created| now.seconds_since(created) >= SCRAPED_WITHIN);
    pod.phase == PodPhase::Running && !pod.deleting && is_old
}

/// Whether two clusters may look into namespaces of the same name.
pub(crate) fn meet(a: &ClusterSources, b: &ClusterSources) -> bool {
    let (a, b) = (&a.selection.namespaces, &b.selection.namespaces);
    a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| overlap(a, b)))
}

/// Whether there is a name that both globs match.
fn overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Whether what is left of `a` from one place on and of `b` from another match a common rest; from the ends on.
    let mut common = vec![vec![false; b.len() + 1]; a.len() + 1];
    for (i, j) in (0..=a.len()).rev().flat_map(|i| (0..=b.len()).rev().map(move |j| (i, j))) {
        common[i][j] = match (a.get(i), b.get(j)) {
            (None, None) => true,
            (Some('*'), next) => common[i + 1][j] || (next.is_some() && common[i][j + 1]),
            (next, Some('*')) => common[i][j + 1] || (next.is_some() && common[i + 1][j]),
            (Some(x), Some(y)) => (x == y || *x == '?' || *y == '?') && common[i + 1][j + 1],
            _ => false,
        };
    }
    common[0][0]
}

/// Tells that a cluster asks the same server for the same series as one of those before it.
pub(crate) fn shared(before: &[ClusterSources], cluster: &ClusterSources) -> Option<Gap> {
    let server = |c: &ClusterSources| c.metrics.as_ref()?.all_series_of().cloned();
    let own = server(cluster)?;
    let other = before.iter().find(|other| server(other).as_ref() == Some(&own) && meet(other, cluster))?;
    let said = phrase("gap-shared-server")
        .with("cluster", other.name.as_str())
        .with("address", own.address.as_str())
        .with("own", cluster.name.as_str());
    Some(Gap::new(format!("{}/prometheus", cluster.name), GapCause::Info, said))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use healthcore::fixture::Fixture;
    use healthcore::series::{Samples, SeriesKey};
    use healthcore::snapshot::Missing;
    use healthcore_sources::Selection;
    use healthcore_sources::prometheus::{Prometheus, PrometheusSettings, Secret};

    use super::*;

    fn known(known: &[&str], missing: bool, change: impl Fn(&mut Pod)) -> Option<String> {
        let mut part = Fixture::new("container web/api-0/app pods=3 created=5d").snapshot;
        part.series = Default::default();
        let metric = Metric::MemoryWorkingSet;
        part.series.fetched(metric);
        for pod in known {
            part.series.insert(metric, SeriesKey::container("web", pod, "app"), Samples::new(0, [Some(1.0)]));
        }
        if missing {
            part.series.missing(metric, Missing::MetricAbsent { metric });
        }
        part.objects.pods.iter_mut().for_each(change);
        let mut count = Known::default();
        count.add(&part);
        count.told("prod").map(|gap| format!("{}: {}", gap.scope, gap.detail))
    }

    #[test]
    fn globs_overlap_where_a_name_matches_both() {
        for (a, b) in
            [("pay-*", "pay-api"), ("pay-*", "*-api"), ("*", "x"), ("a?c", "ab?"), ("*a*", "b*"), ("", "*")]
        {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [("pay-*", "shop"), ("pay-*", "pay"), ("a?c", "ac"), ("*-dev", "*-prod"), ("", "?")] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
        let long = "a*".repeat(60);
        assert!(!overlap(&format!("{long}b"), &format!("{long}c")));
    }

    #[test]
    fn a_server_that_knows_no_pod_is_told_once() {
        let told = known(&["db-0"], false, |_| ());
        let words = "prod/prometheus: knows 0 of 3 pods that run: is it that of another cluster, or do `prometheus.matchers` choose another?";
        assert_eq!(told.as_deref(), Some(words));
        assert_eq!(known(&["api-1"], false, |_| ()), None, "one is enough");
        assert_eq!(known(&[], true, |_| ()), None, "that is told of the metric");
        assert_eq!(known(&[], false, |pod| pod.phase = PodPhase::Pending), None);
        assert_eq!(known(&[], false, |pod| pod.created = Some(healthcore::fixture::END)), None, "not yet");
    }

    #[test]
    fn two_clusters_with_one_server_are_told() {
        type Change = fn(&mut PrometheusSettings);
        let told = |second: Change, namespaces: [&[&str]; 2]| {
            let cluster = |name: &str, change: Change, namespaces: &[&str]| {
                let mut settings =
                    PrometheusSettings::new("http://u:hunter2@127.0.0.1:9/api/v1/prometheus/a/b");
                change(&mut settings);
                ClusterSources {
                    name: name.into(),
                    metrics: Some(Arc::new(Prometheus::new(&settings).unwrap())),
                    selection: Selection { namespaces: namespaces.iter().map(ToString::to_string).collect() },
                    ..ClusterSources::default()
                }
            };
            let first = cluster("a", |_| (), namespaces[0]);
            shared(&[first], &cluster("b", second, namespaces[1])).map(|gap| (gap.scope, gap.detail))
        };
        let (scope, words) = told(|s| s.url += "/", [&[], &["web"]]).unwrap();
        assert_eq!(scope, "b/prometheus");
        assert!(words.starts_with("asks the same server as a, http://"), "{words}");
        assert!(words.ends_with("set matchers that tell them apart, such as `cluster=\"b\"`"), "{words}");
        assert!(!words.contains("hunter2"), "{words}");
        let changes: [Change; 4] = [
            |s| s.matchers.push("cluster=\"b\"".into()),
            |s| s.headers.push(("X-Scope-OrgID".into(), Secret::new("b"))),
            |s| s.url = "http://127.0.0.1:9/api/v1/prometheus/other/b".into(),
            |s| {
                drop(
                    s.queries
                        .insert("memory-working-set".into(), "sum by (namespace, pod, container) (a)".into()),
                )
            },
        ];
        for change in changes {
            assert_eq!(told(change, [&[], &[]]), None);
        }
        assert_eq!(told(|_| (), [&["shop"], &["web"]]), None);
    }
}
