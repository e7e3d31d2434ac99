//! `hpa-over-scaled`: many replicas do little.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::{CpuUse, cpu_use, patch};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::{Hpa, HpaMetric, ObjectKind};
use crate::need::Needs;
use crate::unit::{Cores, Ratio, Seconds};
use crate::view::{Autoscaler, View};

/// Many replicas do little.
pub struct HpaOverScaled;

/// Share of the request at which a replica is well used and still has room.
const GOOD_USE: f64 = 0.6;

crate::params! {
    /// Parameters of `hpa-over-scaled`.
    pub struct HpaOverScaledParams {
        /// Replicas from which on it is judged; the value itself counts.
        replicas: u32 = 5 => 1..=1_000_000,
        /// Mean CPU as a share of the request below which use is low.
        low_use: Ratio = Ratio(0.30) => Ratio(0.01)..=Ratio(1.0),
        /// How far the mean looks back.
        lookback: Seconds = Seconds(86400.0) => Seconds(60.0)..=Seconds::from_days(365.0),
        /// Shortest history that is judged; at most three quarters of `lookback` are asked for.
        min_history: Seconds = Seconds(21600.0) => Seconds(600.0)..=Seconds::from_days(365.0),
        /// CPU that fewer replicas must free for a warning; less is info.
        warning_freed: Cores = Cores(1.0) => Cores(0.0)..=Cores(1e6),
    }
}

impl Check for HpaOverScaled {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-over-scaled",
        title: "Autoscaler keeps too many replicas",
        since: "0.1.0",
        checks: "Whether an autoscaler keeps many replicas that do little.",
        why: "Each replica reserves its request, whether it works or not.",
        decides: "At least `replicas` replicas now, and the mean CPU of all containers over `lookback` below `low-use` of what \
                  they request, so that fewer replicas (at 60 % use, at least 2) would do. Less history than \
                  `min-history` is unknown. Info; a warning where fewer would free at least `warning-freed`.",
        remedy: "Where it runs minReplicas: lower that. Where it runs more: lowering minReplicas removes none; look at the \
                 metric that holds the replicas up, or at the rules for scaling down. Either fewer replicas or a lower CPU \
                 request, not both.",
        false_alarms: "Replicas that are kept for memory, connections or failover.",
        texts: &[
            ("idle", "{replicas} replicas use {share} of the CPU that they request"),
            (
                "lower-min",
                "lower minReplicas from {from} to {to} and keep the CPU request: {to} replicas would use {use} of it",
            ),
            (
                "holding-metric",
                "it runs more than its minReplicas ({min}) because the metric {metric} is at {use} of its target; raise that \
                 target if replicas need not be so many",
            ),
            (
                "other-reason",
                "it runs more than its minReplicas ({min}); see which metric or rule for scaling down holds the replicas up",
            ),
        ],
    };
    type Params = HpaOverScaledParams;
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
        if hpa.current_replicas < params.replicas {
            return Ok(Outcome::Ok);
        }
        let CpuUse { of_request: share, request } =
            cpu_use(subject, view, params.lookback, params.min_history)?;
        if share >= params.low_use {
            return Ok(Outcome::Ok);
        }
        // Two stay in any case, so that one may fail.
        let enough = ((f64::from(hpa.current_replicas) * share.get() / GOOD_USE).ceil() as u32).max(2);
        if enough >= hpa.current_replicas {
            return Ok(Outcome::Ok);
        }
        let freed = Cores(f64::from(hpa.current_replicas - enough) * request.get());
        let severity = if freed >= params.warning_freed { Severity::Warning } else { Severity::Info };
        // Only a minimum that is reached holds replicas; below it the autoscaler wants what it has.
        let advice = if hpa.current_replicas <= hpa.min_replicas {
            let then = Ratio(share.get() * f64::from(hpa.current_replicas) / f64::from(enough));
            let from = Some(Value::from(hpa.min_replicas));
            let advice = Advice::new(Text::new("lower-min").with("use", then));
            patch(advice.change("hpa.minReplicas", from, enough.into()), hpa, &[("minReplicas", enough)])
        } else {
            let text = match holding(hpa) {
                Some((metric, of_target)) => {
                    Text::new("holding-metric").with("metric", metric.name.as_str()).with("use", of_target)
                }
                None => Text::new("other-reason"),
            };
            let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
            Advice::new(text.with("min", hpa.min_replicas)).command(command, &[&hpa.namespace, &hpa.name])
        };
        Ok(Problem::new(
            severity,
            Text::new("idle").with("replicas", hpa.current_replicas).with("share", share),
        )
        .measured("replicas", hpa.current_replicas, params.replicas)
        .measured("cpu-of-request", share, params.low_use)
        .evidence("freed", freed)
        .advise(advice)
        .chart(ChartSeries::of_autoscaler(view, hpa))
        .into())
    }
}

/// The metric that asks for as many replicas as there are, and its value as a share of its target. An autoscaler leaves
/// alone what is within a tenth of the target.
fn holding(hpa: &Hpa) -> Option<(&HpaMetric, Ratio)> {
    let replicas = f64::from(hpa.current_replicas);
    let of_target = |m: &HpaMetric| Some(m.current? / m.target.filter(|t| *t > 0.0)?);
    let (metric, share) =
        hpa.metrics.iter().filter_map(|m| Some((m, of_target(m)?))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    (share >= 0.9 || (share * replicas).ceil() >= replicas).then_some((metric, Ratio(share)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-over-scaled", text, expected);
    }

    fn text(now: u32, use_: &str) -> String {
        format!(
            "hpa web/api target=StatefulSet/api min=5 max=20 now={now}\n\
             container web/api-0/app cpu-request=1 pods={now}  cpu: {use_}x23"
        )
    }

    #[test]
    fn the_bounds() {
        check(&text(5, "0.3"), "1 ok");
        check(&text(4, "0.1"), "1 ok");
        check(&format!("set low-use=90%\n{}", text(5, "0.7")), "1 ok");
        check(&text(5, "0.29"), "warning web/api: 5 replicas use 29% of the CPU that they request");
        check(
            "set warning-freed=3\nhpa web/api target=StatefulSet/api min=5 now=5\n\
             container web/api-0/app cpu-request=900m pods=5  cpu: 0.09x23",
            "info web/api: 5 replicas use 10% of the CPU that they request",
        );
    }

    #[test]
    fn all_containers_count_but_those_that_only_start() {
        let sidecars = "container web/api-0/setup role=init cpu-request=100\n\
                        container web/api-0/proxy cpu-request=1 pods=5  cpu: 0.9x23";
        check(&format!("{}\n{sidecars}", text(5, "0.1")), "1 ok");
    }

    #[test]
    fn two_replicas_stay() {
        assert_eq!(
            advice("hpa-over-scaled", &text(5, "0.01")),
            ["lower minReplicas from 5 to 2 and keep the CPU request: 2 replicas would use 2.5% of it \
                 [kubectl -n web patch hpa api --patch '{\"spec\":{\"minReplicas\":2}}']"]
        );
    }

    /// 0.25 of 5 replicas are 1.25: 3 replicas would be at 0.42.
    #[test]
    fn the_use_that_is_promised_is_the_use_there_will_be() {
        assert_eq!(
            advice("hpa-over-scaled", &text(5, "0.25")),
            ["lower minReplicas from 5 to 3 and keep the CPU request: 3 replicas would use 41.7% of it \
                 [kubectl -n web patch hpa api --patch '{\"spec\":{\"minReplicas\":3}}']"]
        );
    }

    #[test]
    fn above_its_minimum_something_else_holds_the_replicas() {
        let told = |metrics: &str| {
            let text = format!(
                "hpa web/api target=StatefulSet/api min=5 max=20 now=9 {metrics}\n\
                 container web/api-0/app cpu-request=1 pods=9  cpu: 0.08x23"
            );
            advice("hpa-over-scaled", &text).join("; ")
        };
        let other = "it runs more than its minReplicas (5); see which metric or rule for scaling down holds the \
                     replicas up [kubectl -n web describe hpa api]";
        assert_eq!(told(""), other);
        assert_eq!(told("cpu=8%/70%"), other);
        assert_eq!(told("queue=?/30"), other);
        let queue = "it runs more than its minReplicas (5) because the metric queue is at 95% of its target; raise that \
                     target if replicas need not be so many [kubectl -n web describe hpa api]";
        assert_eq!(told("cpu=8%/70% queue=28.5/30"), queue);
    }

    #[test]
    fn a_rollout_an_hour_ago_is_unknown() {
        check(
            "window lookback=1d\nhpa web/api target=StatefulSet/api min=5 now=5\n\
             container web/api-0/app cpu-request=1 pods=5  cpu: _x22 0.1x1",
            "1 unknown: 2 samples, 3 needed",
        );
        check(
            "window lookback=1d step=15m\nhpa web/api target=StatefulSet/api min=5 now=5\n\
             container web/api-0/app cpu-request=1 pods=5  cpu: _x88 0.1x7",
            "1 unknown: history of 1 h 45 min, 6 h needed",
        );
    }

    #[test]
    fn replicas_that_crash_loop_are_not_idle() {
        check(
            "hpa web/api target=StatefulSet/api min=5 now=5\n\
             container web/api-0/app cpu-request=1 pods=5 restarts=9 state=waiting:CrashLoopBackOff  cpu: 0.01x23",
            "1 unknown: in a crash loop, so its use says nothing about its need",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "hpa web/api target=StatefulSet/api now=9\ncontainer web/api-0/app cpu-request=1",
            "1 unknown: no samples of cpu-usage",
        );
        check(
            "hpa web/api target=StatefulSet/api now=9\ncontainer web/api-0/app  cpu: 0.1x23",
            "1 unknown: CPU request of the scaled workload is not reported",
        );
        check(
            "hpa web/api target=Rollout/gone now=9",
            "1 unknown: CPU request of the scaled workload is not reported",
        );
    }
}
