//! `hpa-at-max`: an autoscaler has no replica left to add.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::series::SeriesKey;
use crate::snapshot::Missing;
use crate::unit::{Ratio, Seconds};
use crate::view::{Autoscaler, View};

/// An autoscaler has no replica left to add.
pub struct HpaAtMax;

crate::params! {
    /// Parameters of `hpa-at-max`.
    pub struct HpaAtMaxParams {
        /// Time at the maximum from which on it is a problem; the value itself counts.
        lasting: Seconds = Seconds(900.0),
    }
}

impl Check for HpaAtMax {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-at-max",
        title: "Autoscaler at its maximum",
        since: "0.1.0",
        checks: "Whether an autoscaler has stood at its maximum for some time.",
        why: "The next rise of load meets no new replica.",
        decides: "Replicas at maxReplicas, with maxReplicas above minReplicas, for at least `lasting`: by the series of its \
                  replicas, or by the condition ScalingLimited with the reason TooManyReplicas. ScalingLimited at the minimum \
                  is normal and no problem.",
        remedy: "Raise maxReplicas, give each replica more CPU, or find out why the load has grown.",
        false_alarms: "A maximum that is meant as the usual size: set minReplicas to it.",
        texts: &[
            ("pinned", "at its maximum of {max} replicas for {time}"),
            (
                "raise-max",
                "raise maxReplicas from {from} to {to}, after a look at what the nodes and the database can bear",
            ),
        ],
    };
    type Params = HpaAtMaxParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.optional(Metric::HpaReplicas).objects(ObjectKind::Autoscalers);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa.current_replicas < hpa.max_replicas || hpa.max_replicas <= hpa.min_replicas {
            return Ok(Outcome::Ok);
        }
        let now = view.snapshot.taken_at;
        let by_condition = hpa
            .condition("ScalingLimited")
            .filter(|c| c.status == Some(true) && c.reason == "TooManyReplicas")
            .and_then(|c| c.since)
            .map(|since| now.seconds_since(since));
        let key = SeriesKey::autoscaler(&hpa.namespace, &hpa.name);
        let by_series = view.series(Metric::HpaReplicas, &key).ok().flatten().map(|series| {
            let max = f64::from(hpa.max_replicas);
            let last = series.iter().rev().take_while(|(_, n)| *n >= max).last();
            last.map_or(0.0, |(index, _)| now.seconds_since(series.window().at(index)))
        });
        let lasted = match (by_condition, by_series) {
            (Some(a), Some(b)) => a.max(b),
            (Some(a), None) | (None, Some(a)) => a,
            (None, None) => {
                return Err(Missing::NotReported {
                    field: "time since the autoscaler is at its maximum".into(),
                });
            }
        };
        if lasted < params.lasting.get() {
            return Ok(Outcome::Ok);
        }
        // One half more is what a doubling of the overload needs at most.
        let to = hpa.max_replicas + hpa.max_replicas.div_ceil(2);
        let mut problem = Problem::new(
            Severity::Warning,
            Text::new("pinned").with("max", hpa.max_replicas).with("time", Seconds(lasted)),
        )
        .measured("at-max", Seconds(lasted), params.lasting)
        .evidence("replicas", hpa.current_replicas)
        .since(Some(now.plus_seconds(-lasted)));
        for metric in hpa.metrics.iter().filter(|m| m.utilization) {
            if let (Some(current), Some(target)) = (metric.current, metric.target) {
                problem = problem.measured("metric-use", Ratio(current), Ratio(target));
            }
        }
        let command = format!(
            "kubectl -n {} patch hpa {} --patch '{{\"spec\":{{\"maxReplicas\":{to}}}}}'",
            hpa.namespace, hpa.name
        );
        let advice = Advice::new(Text::new("raise-max"))
            .change("hpa.maxReplicas", Some(Value::from(hpa.max_replicas)), to.into())
            .command(command, &[&hpa.namespace, &hpa.name]);
        Ok(problem.advise(advice).into())
    }
}
