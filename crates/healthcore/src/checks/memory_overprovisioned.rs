//! `memory-overprovisioned`: far more memory is reserved than used.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::stats;
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{View, WorkloadContainer};

/// Far more memory is reserved than used.
pub struct MemoryOverprovisioned;

crate::params! {
    /// Parameters of `memory-overprovisioned`.
    pub struct MemoryOverprovisionedParams {
        /// Mean use as a share of the request below which the request is too large.
        of_request: Ratio = Ratio(0.50),
        /// Mean use as a share of the limit below which a large limit is too large.
        of_limit: Ratio = Ratio(0.30),
        /// Limit above which a limit is large.
        large_limit: Bytes = Bytes(2e9),
        /// What the advice leaves above the largest use seen.
        headroom: Ratio = Ratio(1.3),
        /// Memory that the workload must free, all replicas together, for a warning; less is info.
        warning_freed: Bytes = Bytes(2_147_483_648.0),
        /// Shortest history that is judged; at most three quarters of the look-back are asked for.
        min_history: Seconds = Seconds(86400.0),
    }
}

impl Check for MemoryOverprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "memory-overprovisioned",
        title: "Memory reserved and not used",
        since: "0.1.0",
        checks: "Whether a container uses far less memory than it reserves.",
        why: "Reserved memory is paid for and keeps other pods from the node.",
        decides: "Mean of `memory-working-set` over the look-back and the living pods, below `of-request` of the request; \
                  or below `of-limit` of a limit above `large-limit`. The new value is the largest use seen times \
                  `headroom`, rounded up. Info; a warning only where the workload would free at least `warning-freed` with \
                  all its replicas. Less history than `min-history` is unknown.",
        remedy: "Lower request and limit as advised, after a look at what month end or a sale needs.",
        false_alarms: "A workload whose peak is rarer than the look-back is long.",
        texts: &[
            (
                "request",
                "memory use is {share} of the request (mean {use} of {request}); {freed} could be freed",
            ),
            ("limit", "memory use is {share} of a large limit (mean {use} of {limit})"),
            ("lower-request", "lower the memory request from {from} to {to}"),
            ("lower-limit", "lower the memory limit from {from} to {to}"),
        ],
    };
    type Params = MemoryOverprovisionedParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.metric(Metric::MemoryWorkingSet).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let resources = container.resources();
        let request = resources.memory_request.filter(|r| r.get() > 0.0);
        let limit = resources.memory_limit.filter(|l| l.get() > params.large_limit.get());
        if (request.is_none() && limit.is_none()) || container.live().next().is_none() {
            return Ok(Outcome::NotApplicable);
        }
        let values = measure::pooled_after(view, container, Metric::MemoryWorkingSet, params.min_history)?;
        let mean = stats::mean(values.iter().copied()).unwrap_or_default();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let to = measure::round_memory(Bytes(largest * params.headroom.get()));
        let below = |bound: Option<Bytes>, share: Ratio| {
            bound.filter(|b| mean < share.get() * b.get() && to.get() < b.get())
        };
        let (too_large, limit_too_large) = (below(request, params.of_request), below(limit, params.of_limit));
        let replicas = container.live().count() as f64;
        let problem = if let Some(request) = too_large {
            let freed = Bytes((request.get() - to.get()) * replicas);
            let severity = if freed >= params.warning_freed { Severity::Warning } else { Severity::Info };
            let text = Text::new("request")
                .with("share", Ratio(mean / request.get()))
                .with("use", Bytes(mean))
                .with("request", request)
                .with("freed", freed);
            Problem::new(severity, text)
                .measured("memory-of-request", Ratio(mean / request.get()), params.of_request)
                .evidence("memory-mean", Bytes(mean))
                .evidence("memory-max", Bytes(largest))
                .evidence("freed", freed)
                .advise(measure::set_resource(
                    Advice::new(Text::new("lower-request")).change(
                        "memory.request",
                        Some(request.into()),
                        to.into(),
                    ),
                    container,
                    "requests=memory",
                    &to.to_string(),
                ))
        } else if let Some(limit) = limit_too_large {
            let text = Text::new("limit")
                .with("share", Ratio(mean / limit.get()))
                .with("use", Bytes(mean))
                .with("limit", limit);
            Problem::new(Severity::Info, text)
                .measured("memory-of-limit", Ratio(mean / limit.get()), params.of_limit)
                .evidence("memory-mean", Bytes(mean))
                .evidence("memory-max", Bytes(largest))
        } else {
            return Ok(Outcome::Ok);
        };
        let problem = match limit_too_large {
            Some(limit) => problem.advise(measure::set_resource(
                Advice::new(Text::new("lower-limit")).change(
                    "memory.limit",
                    Some(Value::from(limit)),
                    to.into(),
                ),
                container,
                "limits=memory",
                &to.to_string(),
            )),
            None => problem,
        };
        Ok(problem.into())
    }
}
