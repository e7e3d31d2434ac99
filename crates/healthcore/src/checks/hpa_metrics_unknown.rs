//! `hpa-metrics-unknown`: an autoscaler is blind.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_target_missing;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::{Hpa, ObjectKind};
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::stats;
use crate::time::Timestamp;
use crate::unit::{Bytes, Cores, Seconds};
use crate::view::{Autoscaler, View, WorkloadContainer};

/// An autoscaler is blind.
pub struct HpaMetricsUnknown;

crate::params! {
    /// Parameters of `hpa-metrics-unknown`.
    pub struct HpaMetricsUnknownParams {
        /// Time without metrics above which it is a problem.
        lasting: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(1.0),
    }
}

/// Reason of the condition ScalingActive where several autoscalers select the same pods (since Kubernetes 1.27).
const AMBIGUOUS: &str = "AmbiguousSelector";

impl Check for HpaMetricsUnknown {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-metrics-unknown",
        title: "Autoscaler cannot read its metrics",
        since: "0.1.0",
        checks: "Whether an autoscaler reads the metrics that it scales by. kubectl shows `<unknown>` for one that it cannot.",
        why: "A blind autoscaler does not scale, and says so nowhere else.",
        decides: "A warning when the condition ScalingActive is false for longer than `lasting`, with its reason, or when \
                  none of its metrics has a current value. One that has no target is told of by \
                  `hpa-target-missing`. Info when only some have none: the autoscaler goes on with the \
                  others and does not scale in. ScalingDisabled (scaled to zero by hand; without a reason, no \
                  replica and none wanted) is no problem, and neither is a condition younger than `lasting`. With the reason AmbiguousSelector \
                  several autoscalers have the same pods, and Kubernetes lets none of them scale. From \
                  kube-state-metrics the time is read from the history of the condition, up to 6 h; without it, unknown.",
        remedy: "Follow the reason: the metrics API is down, a container has no request for the resource, or another autoscaler has the \
                 same pods.",
        false_alarms: "The first minutes after a rollout.",
        texts: &[
            ("blind", "the autoscaler cannot read its metrics ({reason}) for {time}"),
            ("blind-unknown-time", "the autoscaler cannot read its metrics ({reason})"),
            (
                "ambiguous",
                "another autoscaler has the same pods, and Kubernetes lets none of them scale, for {time}",
            ),
            (
                "partly",
                "the autoscaler cannot read {metric}; it goes by its other metrics and does not scale in",
            ),
            (
                "set-request",
                "set a {resource} request on container {container}: the autoscaler needs it to compute a share",
            ),
            (
                "keep-one",
                "keep one of the autoscalers that the message names and delete the others, or correct the selector of a workload that takes pods of another",
            ),
            (
                "metrics-api",
                "see whether the metrics API answers; metrics-server or the adapter may be down (`api-service-unavailable`)",
            ),
            ("inspect", "read the conditions of the autoscaler"),
        ],
    };
    type Params = HpaMetricsUnknownParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .shown(Metric::MemoryWorkingSet)
            .shown(Metric::CpuUsage)
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa_target_missing::fails(subject) {
            return Ok(Outcome::NotApplicable);
        }
        let now = view.snapshot.taken_at;
        let active = hpa.condition("ScalingActive");
        let read = hpa.metrics.iter().filter(|m| m.current.is_some()).count();
        let unread = hpa.reports_current && read < hpa.metrics.len();
        let lasted = |since: Option<Timestamp>| since.map(|since| now.seconds_since(since));
        let young = |since| lasted(since).is_some_and(|s| s <= params.lasting.get());
        // Scaled to zero, by hand or by another: without a reason (kube-state-metrics tells none) this is one.
        let zero = hpa.current_replicas == 0 && hpa.desired_replicas == 0;
        let (reason, message, since) = match active {
            Some(c) if c.reason.is_empty() && zero => return Ok(Outcome::Ok),
            Some(c) if c.status == Some(false) && c.since.is_none() => {
                return Err(Missing::NotReported { field: Field::ScalingActiveSince });
            }
            Some(c) if c.reason == "ScalingDisabled" || young(c.since) => return Ok(Outcome::Ok),
            Some(c) if c.status == Some(false) => (c.reason.as_str(), c.message.as_str(), c.since),
            _ if unread && read > 0 => return Ok(partly(subject, view)),
            // Since when it reads nothing is not known: the condition has not changed.
            _ if unread => ("", "", None),
            Some(c) if c.status == Some(true) => return Ok(Outcome::Ok),
            _ if hpa.reports_current => return Ok(Outcome::Ok),
            _ => return Err(Missing::NotReported { field: Field::ScalingActive }),
        };
        let lasted = lasted(since);
        let untold =
            if active.is_some_and(|c| c.status == Some(false)) { "no-reason" } else { "no-current-value" };
        let told = or(reason, untold);
        let text = match lasted {
            Some(s) if reason == AMBIGUOUS => Text::new("ambiguous").with("time", Seconds(s)),
            Some(s) => Text::new("blind").with("reason", told.clone()).with("time", Seconds(s)),
            None => Text::new("blind-unknown-time").with("reason", told.clone()),
        };
        let mut problem = Problem::new(Severity::Warning, text).evidence("reason", told).since(since);
        if let Some(s) = lasted {
            problem = problem.lasted("blind-for", Seconds(s), params.lasting);
        }
        if !message.is_empty() {
            problem = problem.evidence("message", message);
        }
        if reason == AMBIGUOUS {
            let command = format!("kubectl -n {} get hpa", hpa.namespace);
            let keep = Advice::new(Text::new("keep-one")).command(command, &[&hpa.namespace]);
            return Ok(problem.advise(keep).advise(inspect(hpa)).into());
        }
        problem = with_requests(problem, subject, view);
        if problem.advice.is_empty()
            && let Some((resource, container)) = missing_request(message)
        {
            let text = Text::new("set-request").with("resource", resource).with("container", container);
            problem = problem.advise(Advice::new(text));
        }
        if problem.advice.is_empty() && reason.contains("FailedGet") {
            let command = format!("kubectl get apiservices {}", api_service(reason));
            problem = problem.advise(Advice::new(Text::new("metrics-api")).command(command, &[]));
        }
        Ok(problem.advise(inspect(hpa)).into())
    }
}

/// The APIService that the metrics of a reason come by.
fn api_service(reason: &str) -> &'static str {
    match reason {
        "FailedGetExternalMetric" => "v1beta1.external.metrics.k8s.io",
        "FailedGetObjectMetric" | "FailedGetPodsMetric" => "v1beta1.custom.metrics.k8s.io",
        _ => "v1beta1.metrics.k8s.io",
    }
}

/// Resource and container of `missing request for cpu in container istio-proxy of Pod api-0`, as the controller says it.
fn missing_request(message: &str) -> Option<(&str, &str)> {
    let (_, rest) = message.split_once("missing request for ")?;
    let (resource, rest) = rest.split_once(' ')?;
    let container = rest.strip_prefix("in container ")?.split_whitespace().next()?;
    Some((resource, container))
}

/// Some metrics are read and some are not.
fn partly(subject: &Autoscaler<'_>, view: &View<'_>) -> Outcome {
    let unread = subject.hpa.metrics.iter().filter(|m| m.current.is_none());
    let names = unread.map(|m| m.name.as_str()).collect::<Vec<_>>().join(", ");
    let problem = Problem::new(Severity::Info, Text::new("partly").with("metric", names.as_str()))
        .evidence("unread", names.as_str());
    with_requests(problem, subject, view).advise(inspect(subject.hpa)).into()
}

fn inspect(hpa: &Hpa) -> Advice {
    let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
    Advice::new(Text::new("inspect")).command(command, &[&hpa.namespace, &hpa.name])
}

/// Names every container whose request a metric needs, with a value that fits what it has used.
fn with_requests(mut problem: Problem, subject: &Autoscaler<'_>, view: &View<'_>) -> Problem {
    for (container, resource) in without_request(subject, view) {
        let text = Text::new("set-request").with("resource", resource).with("container", &*container.name);
        let (metric, setting, flag) = match resource {
            "memory" => (Metric::MemoryWorkingSet, "memory.request", "requests=memory"),
            _ => (Metric::CpuUsage, "cpu.request", "requests=cpu"),
        };
        let all = Seconds(view.snapshot.window.seconds());
        let used = measure::pooled(view, container, metric, all)
            .ok()
            .and_then(|mut values| stats::quantile(&mut values, 0.95));
        let to: Option<(Value, String)> = used.map(|used| {
            if resource == "memory" {
                let to = measure::round_memory(Bytes(used));
                (to.into(), to.to_string())
            } else {
                let to = measure::round_cpu(Cores(used));
                (to.into(), to.to_string())
            }
        });
        let advice = Advice::new(text);
        problem = problem.advise(match to {
            Some((value, shown)) => {
                measure::set_resource(advice.change(setting, None, value), container, flag, &shown)
            }
            None => advice,
        });
    }
    problem
}

/// Containers of the target that lack the request that a utilisation target needs, with the resource.
fn without_request<'v, 'a>(
    subject: &Autoscaler<'_>,
    view: &'v View<'a>,
) -> Vec<(&'v WorkloadContainer<'a>, &'static str)> {
    let id = subject.target_id();
    let mut found = Vec::new();
    for metric in subject.hpa.metrics.iter().filter(|m| m.utilization) {
        let resource = match metric.name.as_str() {
            "cpu" => "cpu",
            "memory" => "memory",
            _ => continue,
        };
        let containers = view.containers().iter().filter(|c| c.workload.id == id && !c.is_init());
        for container in containers.filter(|c| c.live().next().is_some()) {
            let resources = container.resources();
            let request = match resource {
                "cpu" => resources.cpu_request.map(Cores::get),
                _ => resources.memory_request.map(Bytes::get),
            };
            if request.is_none_or(|r| r <= 0.0) {
                found.push((container, resource));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::missing_request;
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-metrics-unknown", text, expected);
    }

    const BLIND: &str = "ScalingActive=no:FailedGetResourceMetric";

    #[test]
    fn without_a_target_there_is_nothing_to_read() {
        check("hpa web/api cpu=?/70% AbleToScale=no:FailedGetScale@1h", "nothing");
    }

    #[test]
    fn longer_than_five_minutes() {
        check(&format!("hpa web/api cpu=?/70% {BLIND}@5m"), "1 ok");
        check(
            &format!("hpa web/api cpu=?/70% {BLIND}@301s"),
            "warning web/api: the autoscaler cannot read its metrics (FailedGetResourceMetric) for 301s",
        );
    }

    #[test]
    fn the_container_without_request_is_named() {
        let text = format!(
            "hpa web/api target=StatefulSet/api cpu=?/70% {BLIND}@1h\n\
             container web/api-0/app cpu-request=100m  cpu: 0.05x9\n\
             container web/api-0/istio-proxy  cpu: 0.031x9\n\
             container web/api-0/setup role=init"
        );
        assert_eq!(
            advice("hpa-metrics-unknown", &text),
            [
                "set a cpu request on container istio-proxy: the autoscaler needs it to compute a share \
                 [kubectl -n web set resources statefulset/api -c istio-proxy --requests=cpu=40m]",
                "read the conditions of the autoscaler [kubectl -n web describe hpa api]",
            ]
        );
    }

    /// Of a container that was not seen the controller's own words tell.
    #[test]
    fn the_container_is_read_from_the_message() {
        let said = "unable to get metrics: missing request for cpu in container istio-proxy of Pod api-0";
        assert_eq!(missing_request(said), Some(("cpu", "istio-proxy")));
        assert_eq!(missing_request("missing request for cpu"), None);
    }

    #[test]
    fn the_metrics_api_is_named_when_requests_are_there() {
        assert_eq!(
            advice("hpa-metrics-unknown", &format!("hpa web/api cpu=?/70% {BLIND}@1h")),
            [
                "see whether the metrics API answers; metrics-server or the adapter may be down (`api-service-unavailable`) [kubectl get apiservices v1beta1.metrics.k8s.io]",
                "read the conditions of the autoscaler [kubectl -n web describe hpa api]",
            ]
        );
    }

    #[test]
    fn each_kind_of_metric_has_its_api() {
        for (reason, api) in [
            ("FailedGetContainerResourceMetric", "v1beta1.metrics.k8s.io"),
            ("FailedGetPodsMetric", "v1beta1.custom.metrics.k8s.io"),
            ("FailedGetExternalMetric", "v1beta1.external.metrics.k8s.io"),
        ] {
            let told = advice("hpa-metrics-unknown", &format!("hpa web/api ScalingActive=no:{reason}@1h"));
            assert!(told[0].ends_with(&format!("[kubectl get apiservices {api}]")), "{reason}: {told:?}");
        }
    }

    #[test]
    fn two_autoscalers_of_the_same_pods() {
        let text = "hpa web/api cpu=?/70% ScalingActive=no:AmbiguousSelector@9d\ncontainer web/api-7d9c5bd4f7-x2x9z/app";
        check(
            text,
            "warning web/api: another autoscaler has the same pods, and Kubernetes lets none of them scale, for 9d",
        );
        assert_eq!(
            advice("hpa-metrics-unknown", text),
            [
                "keep one of the autoscalers that the message names and delete the others, or correct the selector of a workload that takes pods of another \
                 [kubectl -n web get hpa]",
                "read the conditions of the autoscaler [kubectl -n web describe hpa api]",
            ]
        );
    }

    #[test]
    fn unknown_targets() {
        check(
            "hpa web/api cpu=?/70%",
            "warning web/api: the autoscaler cannot read its metrics (no current value)",
        );
        check(
            "hpa web/api cpu=?/70% ScalingActive=yes:ValidMetricFound@1h",
            "warning web/api: the autoscaler cannot read its metrics (no current value)",
        );
        check(
            "hpa web/api cpu=50%/70% memory=?/80% ScalingActive=yes:ValidMetricFound@1h",
            "info web/api: the autoscaler cannot read memory; it goes by its other metrics and does not scale in",
        );
        // Kubernetes has just made it.
        check("hpa web/api cpu=?/70% ScalingActive=yes:ValidMetricFound@1m", "1 ok");
    }

    #[test]
    fn in_order() {
        check("hpa web/api cpu=50%/70% ScalingActive=yes:ValidMetricFound@1h", "1 ok");
        check("hpa web/api cpu=?/70% ScalingActive=no:ScalingDisabled@9h", "1 ok");
        check("hpa web/api", "1 ok");
    }

    #[test]
    fn conditions_without_a_reason() {
        let hpa = |now: u32, desired: u32, since: &str| {
            let text = format!(
                "origin kube-state-metrics\nhpa web/api without-current min=2 now={now} desired={desired} cpu=?/70% ScalingActive=no:{since}"
            );
            fixture::told("hpa-metrics-unknown", &text).join("; ")
        };
        assert_eq!(hpa(0, 0, ""), "1 ok", "scaled to zero by hand");
        assert_eq!(hpa(2, 2, ""), "1 unknown: time since ScalingActive is false is not reported");
        assert_eq!(hpa(0, 2, ""), "1 unknown: time since ScalingActive is false is not reported");
        assert_eq!(hpa(2, 2, "@5m"), "1 ok");
        assert_eq!(
            hpa(2, 2, "@6m"),
            "warning web/api: the autoscaler cannot read its metrics (no reason given) for 6m"
        );
        // The API gives the reason.
        check(
            "hpa web/api now=0 desired=0 cpu=?/70% ScalingActive=no:FailedGetExternalMetric@1h",
            "warning web/api: the autoscaler cannot read its metrics (FailedGetExternalMetric) for 1h",
        );
    }

    #[test]
    fn what_kube_state_metrics_does_not_tell_is_unknown() {
        check("hpa web/api without-current cpu=?/70%", "1 unknown: condition ScalingActive is not reported");
        check("hpa web/api without-current cpu=?/70% ScalingActive=yes:@1h", "1 ok");
    }
}
