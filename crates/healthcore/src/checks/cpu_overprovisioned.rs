//! `cpu-overprovisioned`: far more CPU is reserved than used.

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

/// Far more CPU is reserved than used.
pub struct CpuOverprovisioned;

crate::params! {
    /// Parameters of `cpu-overprovisioned`.
    pub struct CpuOverprovisionedParams {
        /// Mean use as a share of the request below which the request is too large.
        of_request: Ratio = Ratio(0.50) => Ratio(0.01)..=Ratio(1.0),
        /// New request as a multiple of the 95th percentile of use.
        headroom: f64 = 1.2 => 1.0..=10.0,
        /// CPU that the workload must free, all replicas together, for a warning; less is info.
        warning_freed: Cores = Cores(1.0) => Cores(0.0)..=Cores(1e6),
        /// Shortest history that is judged; at most three quarters of the look-back are asked for.
        min_history: Seconds = Seconds(86400.0) => Seconds(600.0)..=Seconds::from_days(365.0),
    }
}

impl Check for CpuOverprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "cpu-overprovisioned",
        title: "CPU reserved and not used",
        since: "0.1.0",
        checks: "Whether a container uses far less CPU than it reserves.",
        why: "Reserved CPU is paid for and keeps other pods from the node.",
        decides: "Mean of `cpu-usage` over the look-back and the living pods that stay up below `of-request` of the request. The new \
                  request is the 95th percentile times `headroom`, rounded up; where it is not below the old one the peaks need \
                  what is reserved: ok. Info; a warning only where the workload would \
                  free at least `warning-freed` with all its replicas. Less history than `min-history` is unknown.",
        remedy: "Lower the request as advised. An autoscaler that aims at a share of the request will then scale out earlier: \
                 look at its target too.",
        false_alarms: "A workload whose peak is rarer than the look-back is long.",
        texts: &[
            (
                "request",
                "CPU use is {share} of the request (mean {use} of {request}); {freed} could be freed",
            ),
            ("lower-request", "lower the CPU request from {from} to {to}"),
            (
                "lower-request-scaled",
                "lower the CPU request from {from} to {to}, or let the autoscaler {hpa} run fewer replicas: not both",
            ),
        ],
    };
    type Params = CpuOverprovisionedParams;
    type Subject<'a> = WorkloadContainer<'a>;
    const NEEDS_ALL: bool = true;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::CpuUsage)
            .chart()
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let request = container.resources().cpu_request.filter(|r| r.get() > 0.0);
        let (Some(request), Some(_)) = (request, container.live().next()) else {
            return Ok(Outcome::NotApplicable);
        };
        let mut values = measure::steady_after(view, container, Metric::CpuUsage, params.min_history)?;
        let mean = stats::mean(values.iter().copied()).unwrap_or_default();
        let p95 = stats::quantile(&mut values, 0.95).unwrap_or_default();
        let to = measure::round_cpu(Cores(p95 * params.headroom));
        if !measure::is_below(mean, params.of_request.get() * request.get()) || to >= request {
            return Ok(Outcome::Ok);
        }
        let share = Ratio(mean / request.get());
        let freed = Cores((request.get() - to.get()) * container.live().count() as f64);
        let severity = if freed >= params.warning_freed { Severity::Warning } else { Severity::Info };
        let text = Text::new("request")
            .with("share", share)
            .with("use", Cores(mean))
            .with("request", request)
            .with("freed", freed);
        // Each of the two frees what the other would: together they leave less than the load.
        let words = match view.autoscaler_of(&container.workload.id) {
            Some(hpa) if container.live().count() > 2 => {
                Text::new("lower-request-scaled").with("hpa", hpa.name.as_str())
            }
            _ => Text::new("lower-request"),
        };
        let advice = Advice { action: "lower-request".into(), ..Advice::new(words) };
        let advice = advice.change("cpu.request", Some(request.into()), to.into());
        Ok(Problem::new(severity, text)
            .measured("cpu-of-request", share, params.of_request)
            .evidence("cpu-mean", Cores(mean))
            .evidence("cpu-p95", Cores(p95))
            .evidence("freed", freed)
            .advise(measure::set_resource(advice, container, "requests=cpu", &to.to_string()))
            .chart(ChartSeries::of_fullest(view, container, Metric::CpuUsage))
            .into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("cpu-overprovisioned", text, expected);
    }

    #[test]
    fn the_bounds() {
        check("container web/api-0/app cpu-request=1  cpu: 0.5x30", "1 ok");
        check(
            "container web/api-0/app cpu-request=1  cpu: 0.49x30",
            "info web/api/app: CPU use is 49% of the request (mean 0.49 of 1); 0.4 could be freed",
        );
    }

    #[test]
    fn a_warning_where_the_replicas_together_free_a_core() {
        // 400m used 100m: each frees 400 - 150 = 250m.
        let told = |pods| {
            fixture::told(
                "cpu-overprovisioned",
                &format!("container web/api-0/app cpu-request=400m pods={pods}  cpu: 0.1x30"),
            )
        };
        assert_eq!(
            told(3),
            ["info web/api/app: CPU use is 25% of the request (mean 0.1 of 0.4); 0.75 could be freed"]
        );
        assert_eq!(
            told(4),
            ["warning web/api/app: CPU use is 25% of the request (mean 0.1 of 0.4); 1 could be freed"]
        );
        assert_eq!(
            advice("cpu-overprovisioned", "container web/api-0/app cpu-request=400m  cpu: 0.1x30"),
            [
                "lower the CPU request from 0.4 to 0.15 [kubectl -n web set resources statefulset/api -c app --requests=cpu=150m]"
            ]
        );
    }

    #[test]
    fn busy_hours_are_no_waste() {
        check("container web/api-0/app cpu-request=1  cpu: 0.1x19 0.95x9", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "container web/api-0/app cpu-request=1  cpu: _x30 0.01x3",
            "1 unknown: history of 3 h, 1 d needed",
        );
        check("container web/api-0/app cpu-request=1", "1 unknown: no samples of cpu-usage");
        check("container web/api-0/app cpu-request=1  cpu: nanx30", "1 unknown: no samples of cpu-usage");
        check(
            "container web/api-0/app cpu-request=1 restarts=9 state=waiting:CrashLoopBackOff  cpu: 0.001x30",
            "1 unknown: in a crash loop, so its use says nothing about its need",
        );
        check("container web/api-0/app cpu-request=0  cpu: 0.1x30", "nothing");
        check("container web/api-0/app  cpu: 0.1x30", "nothing");
    }

    #[test]
    fn a_lower_request_or_fewer_replicas() {
        let told = |pods| {
            let text = format!(
                "hpa web/front target=StatefulSet/api min={pods} now={pods}\n\
                 container web/api-0/app cpu-request=500m pods={pods}  cpu: 0.04x30"
            );
            advice("cpu-overprovisioned", &text).join("; ")
        };
        let command = "[kubectl -n web set resources statefulset/api -c app --requests=cpu=50m]";
        assert_eq!(
            told(3),
            format!(
                "lower the CPU request from 0.5 to 0.05, or let the autoscaler front run fewer replicas: not both {command}"
            )
        );
        // Two stay in any case.
        assert_eq!(told(2), format!("lower the CPU request from 0.5 to 0.05 {command}"));
    }

    /// A bare pod cannot be changed with `kubectl set resources`.
    #[test]
    fn no_command_that_would_fail() {
        assert_eq!(
            advice("cpu-overprovisioned", "container web/solo/app cpu-request=1  cpu: 0.1x30"),
            ["lower the CPU request from 1 to 0.15"]
        );
    }
}
