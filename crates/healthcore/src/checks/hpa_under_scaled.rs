//! `hpa-under-scaled`: few replicas do too much.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_at_max::{next_max, tells};
use crate::checks::hpa_use::{CpuUse, cpu_use, patch};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
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
        replicas: u32 = 2 => 1..=1_000_000,
        /// Mean CPU as a share of the request above which use is high.
        high_use: Ratio = Ratio(0.80) => Ratio(0.01)..=Ratio(3.0),
        /// How far the mean looks back.
        lookback: Seconds = Seconds(86400.0) => Seconds(60.0)..=Seconds::from_days(365.0),
        /// Shortest history that is judged; at most three quarters of `lookback` are asked for.
        min_history: Seconds = Seconds(21600.0) => Seconds(600.0)..=Seconds::from_days(365.0),
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
                  they request. An autoscaler that has room and stands at its maximum is left to `hpa-at-max`; one whose \
                  maximum is its minimum is not. Less history than `min-history` is unknown.",
        remedy: "Raise minReplicas, and maxReplicas where it stands in the way, or lower the target so that it scales out earlier.",
        false_alarms: "A request that is too small: see `cpu-underprovisioned`.",
        texts: &[
            (
                "busy",
                "{replicas} replicas use {share} of the CPU that they request, and the autoscaler does not add any",
            ),
            (
                "busy-at-max",
                "{replicas} replicas use {share} of the CPU that they request, and the maximum of {max} allows no more",
            ),
            (
                "raise-both",
                "raise minReplicas from {from} to {to} and maxReplicas from {max} to {next}, after a look at what the nodes and the database can bear",
            ),
            ("raise-min", "raise minReplicas from {from} to {to}, or lower the target of the metric"),
        ],
    };
    type Params = HpaUnderScaledParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::CpuUsage)
            .optional(Metric::HpaReplicas)
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa.current_replicas == 0 || hpa.current_replicas > params.replicas || tells(hpa, view) {
            return Ok(Outcome::Ok);
        }
        let CpuUse { of_request: share, .. } = cpu_use(subject, view, params.lookback, params.min_history)?;
        let reached = share > params.high_use;
        let distance = measure::below(share.get(), params.high_use.get());
        if !view.keeps_watching(distance) && !reached {
            return Ok(Outcome::Ok);
        }
        let to = hpa.current_replicas.max(hpa.min_replicas).saturating_add(1);
        let from = Some(Value::from(hpa.min_replicas));
        let (key, advice) = if to > hpa.max_replicas {
            // With room above, so that it does not stand at its maximum at once.
            let next = next_max(hpa).max(to.saturating_add(1));
            let text = Text::new("raise-both").with("max", hpa.max_replicas).with("next", next);
            let advice = Advice::new(text).change("hpa.minReplicas", from, to.into());
            ("busy-at-max", patch(advice, hpa, &[("minReplicas", to), ("maxReplicas", next)]))
        } else {
            let advice = Advice::new(Text::new("raise-min")).change("hpa.minReplicas", from, to.into());
            ("busy", patch(advice, hpa, &[("minReplicas", to)]))
        };
        let problem = Problem::new(
            Severity::Warning,
            Text::new(key)
                .with("replicas", hpa.current_replicas)
                .with("share", share)
                .with("max", hpa.max_replicas),
        )
        .measured("cpu-of-request", share, params.high_use)
        .measured("replicas", hpa.current_replicas, params.replicas)
        .advise(advice)
        .chart(ChartSeries::of_autoscaler(view, hpa));
        Ok(Outcome::when(reached, distance, problem))
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
    fn a_fixed_number_that_is_too_small_is_told() {
        let fixed = "hpa web/api target=StatefulSet/api min=2 max=2 now=2 cpu=95%/60%\n\
                     container web/api-0/app cpu-request=1 pods=2  cpu: 0.95x23";
        check(
            fixed,
            "warning web/api: 2 replicas use 95% of the CPU that they request, and the maximum of 2 allows no more",
        );
        assert_eq!(
            advice("hpa-under-scaled", fixed),
            [
                "raise minReplicas from 2 to 3 and maxReplicas from 2 to 4, after a look at what the nodes and the database can bear \
              [kubectl -n web patch hpa api --patch '{\"spec\":{\"minReplicas\":3,\"maxReplicas\":4}}']"
            ]
        );
        // One replica, and no more allowed.
        check(
            &text(1, 1, "0.95"),
            "warning web/api: 1 replicas use 95% of the CPU that they request, and the maximum of 1 allows no more",
        );
    }

    #[test]
    fn what_hpa_at_max_tells_is_left_to_it() {
        let pinned = |limited: &str| text(2, 2, "0.95").replace("now=2", &format!("now=2 {limited}"));
        let told = |limited: &str| fixture::told("hpa-under-scaled", &pinned(limited)).join("; ");
        assert_eq!(told("ScalingLimited=yes:TooManyReplicas@15m"), "1 ok");
        // Too new for it, or without a time.
        assert!(
            told("ScalingLimited=yes:TooManyReplicas@14m").starts_with("warning web/api: 2 replicas use 95%")
        );
        assert!(told("").starts_with("warning web/api: 2 replicas use 95%"));
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
            "1 unknown: history of 1 h 45 min, 6 h needed",
        );
        check(
            &format!("{}\ndenied pods namespace=web", text(2, 3, "0.95")),
            "1 unknown: not allowed to list pods in namespace web",
        );
    }
}
