//! `cpu-underprovisioned`: the CPU limit is too small for what is used.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::stats;
use crate::unit::{Cores, Ratio, Seconds};
use crate::view::{View, WorkloadContainer};

/// The CPU limit is too small for what is used.
pub struct CpuUnderprovisioned;

crate::params! {
    /// Parameters of `cpu-underprovisioned`.
    pub struct CpuUnderprovisionedParams {
        /// 95th percentile of use as a share of the limit above which the limit is too small.
        of_limit: Ratio = Ratio(0.85) => Ratio(0.01)..=Ratio(1.0),
        /// New limit as a multiple of the 95th percentile.
        limit_factor: f64 = 1.3 => 1.0..=10.0,
        /// Shortest history that is judged.
        min_history: Seconds = Seconds(21600.0) => Seconds(600.0)..=Seconds::from_days(365.0),
    }
}

impl Check for CpuUnderprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "cpu-underprovisioned",
        title: "CPU limit too small",
        since: "0.1.0",
        checks: "Whether a container lives near its CPU limit.",
        why: "At the limit the kernel stops the container for the rest of each period; requests wait although the node is idle.",
        decides: "95th percentile of `cpu-usage` over the look-back and the living pods above `of-limit` of the limit. The new \
                  limit is the percentile times `limit-factor`, rounded up. Less history than `min-history` is unknown.",
        remedy: "Raise the limit as advised, or scale out.",
        false_alarms: "Batch work that may take its time.",
        texts: &[
            ("limit", "CPU lives at {share} of its limit (95th percentile {use} of {limit})"),
            ("raise-limit", "raise the CPU limit from {from} to {to}"),
        ],
    };
    type Params = CpuUnderprovisionedParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.metric(Metric::CpuUsage).chart().objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let limit = container.resources().cpu_limit.filter(|l| l.get() > 0.0);
        let (Some(limit), Some(_)) = (limit, container.live().next()) else {
            return Ok(Outcome::NotApplicable);
        };
        let mut values = measure::pooled_after(view, container, Metric::CpuUsage, params.min_history)?;
        let p95 = stats::quantile(&mut values, 0.95).unwrap_or_default();
        let share = Ratio(p95 / limit.get());
        let distance = measure::below(share.get(), params.of_limit.get());
        if !view.keeps_watching(distance) && share <= params.of_limit {
            return Ok(Outcome::Ok);
        }
        let to = measure::round_cpu(Cores(p95 * params.limit_factor));
        let text = Text::new("limit").with("share", share).with("use", Cores(p95)).with("limit", limit);
        let advice = Advice::new(Text::new("raise-limit")).change("cpu.limit", Some(limit.into()), to.into());
        let problem = Problem::new(Severity::Warning, text)
            .measured("cpu-p95-of-limit", share, params.of_limit)
            .evidence("cpu-p95", Cores(p95))
            .evidence("cpu-limit", limit)
            .advise(measure::set_resource(advice, container, "limits=cpu", &to.to_string()))
            .chart(ChartSeries::of_fullest(view, container, Metric::CpuUsage));
        Ok(Outcome::when(share > params.of_limit, distance, problem))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("cpu-underprovisioned", text, expected);
    }

    #[test]
    fn the_bounds() {
        check("container web/api-0/app cpu-limit=1  cpu: 0.85x30", "1 ok");
        check(
            "container web/api-0/app cpu-limit=1  cpu: 0.86x30",
            "warning web/api/app: CPU lives at 86% of its limit (95th percentile 0.86 of 1)",
        );
        assert_eq!(
            advice("cpu-underprovisioned", "container web/api-0/app cpu-limit=1  cpu: 0.9x30"),
            [
                "raise the CPU limit from 1 to 1.25 [kubectl -n web set resources statefulset/api -c app --limits=cpu=1250m]"
            ]
        );
    }

    #[test]
    fn a_nightly_job_is_no_life_at_the_limit() {
        check("container web/api-0/app cpu-limit=1  cpu: 0.3x60 1x1 0.3x36", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("container web/api-0/app cpu-limit=1  cpu: _x30 1x3", "1 unknown: history of 3 h, 6 h needed");
        check(
            "absent cpu\ncontainer web/api-0/app cpu-limit=1",
            "1 unknown: the server has no series of cpu-usage",
        );
        check("container web/api-0/app cpu-limit=0  cpu: 1x30", "nothing");
        check("container web/api-0/app cpu-request=1  cpu: 1x30", "nothing");
    }
}
