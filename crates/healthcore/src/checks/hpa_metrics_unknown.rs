//! `hpa-metrics-unknown`: an autoscaler is blind.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::snapshot::Missing;
use crate::unit::Seconds;
use crate::view::{Autoscaler, View};

/// An autoscaler is blind.
pub struct HpaMetricsUnknown;

crate::params! {
    /// Parameters of `hpa-metrics-unknown`.
    pub struct HpaMetricsUnknownParams {
        /// Time without metrics above which it is a problem.
        lasting: Seconds = Seconds(300.0),
    }
}

impl Check for HpaMetricsUnknown {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-metrics-unknown",
        title: "Autoscaler cannot read its metrics",
        since: "0.1.0",
        checks: "Whether an autoscaler reads the metrics that it scales by. kubectl shows `<unknown>` for one that it cannot.",
        why: "A blind autoscaler does not scale, and says so nowhere else.",
        decides: "The condition ScalingActive is false for longer than `lasting`, with its reason; or it has metrics and a \
                  current value for none of them. ScalingDisabled (scaled to zero by hand) is no problem.",
        remedy: "Follow the reason: the metrics API is down, or a container has no request for the resource.",
        false_alarms: "The first minutes after a rollout.",
        texts: &[
            ("blind", "the autoscaler cannot read its metrics ({reason}) for {time}"),
            ("blind-unknown-time", "the autoscaler cannot read its metrics ({reason})"),
            (
                "set-request",
                "set a request for {resource} on container {container}: the autoscaler needs it to compute a share",
            ),
            ("metrics-api", "see whether the metrics API answers; metrics-server or the adapter may be down"),
            ("inspect", "read the conditions of the autoscaler"),
        ],
    };
    type Params = HpaMetricsUnknownParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Autoscalers).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        let now = view.snapshot.taken_at;
        let active = hpa.condition("ScalingActive");
        let unread =
            hpa.reports_current && !hpa.metrics.is_empty() && hpa.metrics.iter().all(|m| m.current.is_none());
        let (reason, message, since) = match active {
            Some(c) if c.reason == "ScalingDisabled" => return Ok(Outcome::Ok),
            Some(c) if c.status == Some(false) => (c.reason.as_str(), c.message.as_str(), c.since),
            Some(c) if c.status == Some(true) => return Ok(Outcome::Ok),
            _ if unread => ("no current value", "", None),
            _ if hpa.reports_current => return Ok(Outcome::Ok),
            _ => return Err(Missing::NotReported { field: "condition ScalingActive".into() }),
        };
        let lasted = since.map(|since| now.seconds_since(since));
        if lasted.is_some_and(|s| s <= params.lasting.get()) {
            return Ok(Outcome::Ok);
        }
        let reason = if reason.is_empty() { "no reason given" } else { reason };
        let text = match lasted {
            Some(s) => Text::new("blind").with("reason", reason).with("time", Seconds(s)),
            None => Text::new("blind-unknown-time").with("reason", reason),
        };
        let mut problem = Problem::new(Severity::Warning, text).evidence("reason", reason).since(since);
        if let Some(s) = lasted {
            problem = problem.measured("blind-for", Seconds(s), params.lasting);
        }
        if !message.is_empty() {
            problem = problem.evidence("message", message);
        }
        for (container, resource) in without_request(subject, view) {
            problem = problem.advise(Advice::new(
                Text::new("set-request")
                    .with("resource", resource.as_str())
                    .with("container", container.as_str()),
            ));
        }
        if problem.advice.is_empty() && reason.contains("FailedGet") {
            let command = "kubectl get apiservices v1beta1.metrics.k8s.io".to_owned();
            problem = problem.advise(Advice::new(Text::new("metrics-api")).command(command, &[]));
        }
        let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
        Ok(problem
            .advise(Advice::new(Text::new("inspect")).command(command, &[&hpa.namespace, &hpa.name]))
            .into())
    }
}

/// Containers of the target that lack the request that a utilisation target needs: container, resource.
fn without_request(subject: &Autoscaler<'_>, view: &View<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for metric in subject.hpa.metrics.iter().filter(|m| m.utilization) {
        for container in
            view.containers_of(&subject.target_id()).filter(|c| !c.is_init() && c.live().next().is_some())
        {
            let resources = container.resources();
            let request = match metric.name.as_str() {
                "cpu" => resources.cpu_request.map(|c| c.get()),
                "memory" => resources.memory_request.map(|b| b.get()),
                _ => continue,
            };
            if request.is_none_or(|r| r <= 0.0) {
                found.push((container.name.to_string(), metric.name.clone()));
            }
        }
    }
    found
}
