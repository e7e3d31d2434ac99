//! `hpa-under-scaled`: few replicas do too much.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::cpu_of_request;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::unit::{Ratio, Seconds};
use crate::view::{Autoscaler, View};

/// Few replicas do too much.
pub struct HpaUnderScaled;

crate::params! {
    /// Parameters of `hpa-under-scaled`.
    pub struct HpaUnderScaledParams {
        /// Replicas up to which it is judged; the value itself counts.
        replicas: u32 = 2,
        /// Mean CPU as a share of the request above which use is high.
        high_use: Ratio = Ratio(0.80),
        /// How far the mean looks back.
        lookback: Seconds = Seconds(86400.0),
    }
}

impl Check for HpaUnderScaled {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-under-scaled",
        title: "Autoscaler keeps too few replicas",
        since: "0.1.0",
        checks: "Whether an autoscaler keeps few replicas although they are busy.",
        why: "With one or two busy replicas a restart or a lost node takes half of the capacity or all of it.",
        decides: "At most `replicas` replicas now, and the mean CPU of all containers over `lookback` above `high-use` of what \
                  they request. An autoscaler that stands at its maximum is left to `hpa-at-max`.",
        remedy: "Raise minReplicas, or lower the target so that it scales out earlier.",
        false_alarms: "A request that is too small: see `cpu-underprovisioned`.",
        texts: &[
            (
                "busy",
                "{replicas} replicas use {share} of the CPU that they request, and the autoscaler does not add any",
            ),
            ("raise-min", "raise minReplicas from {from} to {to}, or lower the target of the metric"),
        ],
    };
    type Params = HpaUnderScaledParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::CpuUsage)
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa.current_replicas == 0
            || hpa.current_replicas > params.replicas
            || hpa.current_replicas >= hpa.max_replicas
        {
            return Ok(Outcome::Ok);
        }
        let share = Ratio(cpu_of_request(subject, view, params.lookback)?);
        if share <= params.high_use {
            return Ok(Outcome::Ok);
        }
        let advice = Advice::new(Text::new("raise-min")).change(
            "hpa.minReplicas",
            Some(Value::from(hpa.min_replicas)),
            Value::from(hpa.current_replicas + 1),
        );
        Ok(Problem::new(
            Severity::Warning,
            Text::new("busy").with("replicas", hpa.current_replicas).with("share", share),
        )
        .measured("replicas", hpa.current_replicas, params.replicas)
        .measured("cpu-of-request", share, params.high_use)
        .advise(advice)
        .into())
    }
}
