//! `hpa-under-scaled`: few replicas do too much.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::{CpuUse, cpu_use, patch};
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
        /// Shortest history that is judged; at most three quarters of `lookback` are asked for.
        min_history: Seconds = Seconds(21600.0),
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
                  they request. An autoscaler that stands at its maximum is left to `hpa-at-max`. Less history \
                  than `min-history` is unknown.",
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
        let CpuUse { of_request: share, .. } = cpu_use(subject, view, params.lookback, params.min_history)?;
        if share <= params.high_use {
            return Ok(Outcome::Ok);
        }
        let to = hpa.current_replicas + 1;
        let advice = Advice::new(Text::new("raise-min")).change(
            "hpa.minReplicas",
            Some(Value::from(hpa.min_replicas)),
            to.into(),
        );
        Ok(Problem::new(
            Severity::Warning,
            Text::new("busy").with("replicas", hpa.current_replicas).with("share", share),
        )
        .measured("replicas", hpa.current_replicas, params.replicas)
        .measured("cpu-of-request", share, params.high_use)
        .advise(patch(advice, hpa, "minReplicas", to))
        .into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-under-scaled", text, expected);
    }

    fn text(now: u32, max: u32, use_: &str) -> String {
        format!(
            "hpa web/api target=StatefulSet/api min=1 max={max} now={now}\n\
             container web/api-0/app cpu-request=1 pods={now}  cpu: {use_}x23"
        )
    }

    #[test]
    fn the_bounds() {
        check(&text(2, 8, "0.8"), "1 ok");
        check(
            &text(2, 8, "0.81"),
            "warning web/api: 2 replicas use 81% of the CPU that they request, and the autoscaler does not add any",
        );
        check(&text(3, 8, "0.95"), "1 ok");
        assert_eq!(
            advice("hpa-under-scaled", &text(2, 8, "0.81")),
            ["raise minReplicas from 1 to 3, or lower the target of the metric \
              [kubectl -n web patch hpa api --patch '{\"spec\":{\"minReplicas\":3}}']"]
        );
    }

    #[test]
    fn at_its_maximum_it_is_not_its_fault() {
        check(&text(2, 2, "0.95"), "1 ok");
        check("hpa web/api min=0 max=5 now=0", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "hpa web/api target=StatefulSet/api now=2\ncontainer web/api-0/app cpu-request=1",
            "1 unknown: no samples of cpu-usage",
        );
        check(
            "window lookback=1d step=15m\nhpa web/api target=StatefulSet/api now=1\n\
             container web/api-0/app cpu-request=1  cpu: _x88 0.99x7",
            "1 unknown: history of 105m, 6h needed",
        );
    }
}
