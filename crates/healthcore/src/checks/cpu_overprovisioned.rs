//! `cpu-overprovisioned`: far more CPU is reserved than used.

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
        of_request: Ratio = Ratio(0.50),
        /// What the advice leaves above the 95th percentile of use.
        headroom: f64 = 1.2,
        /// CPU that the workload must free, all replicas together, for a warning; less is info.
        warning_freed: Cores = Cores(1.0),
        /// Shortest history that is judged; at most three quarters of the look-back are asked for.
        min_history: Seconds = Seconds(86400.0),
    }
}

impl Check for CpuOverprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "cpu-overprovisioned",
        title: "CPU reserved and not used",
        since: "0.1.0",
        checks: "Whether a container uses far less CPU than it reserves.",
        why: "Reserved CPU is paid for and keeps other pods from the node.",
        decides: "Mean of `cpu-usage` over the look-back and the living pods below `of-request` of the request. The new \
                  request is the 95th percentile times `headroom`, rounded up. Info; a warning only where the workload would \
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
        ],
    };
    type Params = CpuOverprovisionedParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.metric(Metric::CpuUsage).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let request = container.resources().cpu_request.filter(|r| r.get() > 0.0);
        let (Some(request), Some(_)) = (request, container.live().next()) else {
            return Ok(Outcome::NotApplicable);
        };
        let mut values = measure::pooled_after(view, container, Metric::CpuUsage, params.min_history)?;
        let mean = stats::mean(values.iter().copied()).unwrap_or_default();
        let p95 = stats::quantile(&mut values, 0.95).unwrap_or_default();
        let to = measure::round_cpu(Cores(p95 * params.headroom));
        if mean >= params.of_request.get() * request.get() || to >= request {
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
        let advice =
            Advice::new(Text::new("lower-request")).change("cpu.request", Some(request.into()), to.into());
        Ok(Problem::new(severity, text)
            .measured("cpu-of-request", share, params.of_request)
            .evidence("cpu-mean", Cores(mean))
            .evidence("cpu-p95", Cores(p95))
            .evidence("freed", freed)
            .advise(measure::set_resource(advice, container, "requests=cpu", &to.to_string()))
            .into())
    }
}
