//! `hpa-over-scaled`: many replicas do little.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::{CpuUse, cpu_use, patch};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::ObjectKind;
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
        replicas: u32 = 5,
        /// Mean CPU as a share of the request below which use is low.
        low_use: Ratio = Ratio(0.30),
        /// How far the mean looks back.
        lookback: Seconds = Seconds(86400.0),
        /// Shortest history that is judged; at most three quarters of `lookback` are asked for.
        min_history: Seconds = Seconds(21600.0),
        /// CPU that fewer replicas must free for a warning; less is info.
        warning_freed: Cores = Cores(1.0),
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
                  they request. Less history than `min-history` is unknown. Info; a warning where as many replicas as reach 60 % use (at least 2) would free at least \
                  `warning-freed`.",
        remedy: "Lower minReplicas, or look at the metric that holds the replicas up.",
        false_alarms: "Replicas that are kept for memory, connections or failover.",
        texts: &[
            ("idle", "{replicas} replicas use {share} of the CPU that they request"),
            ("lower-min", "lower minReplicas from {from}; {to} replicas would carry the load at 60 % use"),
            (
                "other-metric",
                "minReplicas is {min}, so another metric holds the replicas up; look at it with the command",
            ),
        ],
    };
    type Params = HpaOverScaledParams;
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
        let freed = Cores(f64::from(hpa.current_replicas.saturating_sub(enough)) * request.get());
        let severity = if freed >= params.warning_freed { Severity::Warning } else { Severity::Info };
        let advice = if hpa.min_replicas > enough {
            let from = Some(Value::from(hpa.min_replicas));
            let advice = Advice::new(Text::new("lower-min")).change("hpa.minReplicas", from, enough.into());
            patch(advice, hpa, &[("minReplicas", enough)])
        } else {
            let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
            Advice::new(Text::new("other-metric").with("min", hpa.min_replicas))
                .command(command, &[&hpa.namespace, &hpa.name])
        };
        Ok(Problem::new(
            severity,
            Text::new("idle").with("replicas", hpa.current_replicas).with("share", share),
        )
        .measured("replicas", hpa.current_replicas, params.replicas)
        .measured("cpu-of-request", share, params.low_use)
        .evidence("freed", freed)
        .advise(advice)
        .into())
    }
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
            ["lower minReplicas from 5; 2 replicas would carry the load at 60 % use \
              [kubectl -n web patch hpa api --patch '{\"spec\":{\"minReplicas\":2}}']"]
        );
        assert_eq!(
            advice("hpa-over-scaled", &text(9, "0.29")),
            [
                "minReplicas is 5, so another metric holds the replicas up; look at it with the command [kubectl -n web describe hpa api]"
            ]
        );
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
            "1 unknown: history of 105m, 6h needed",
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
