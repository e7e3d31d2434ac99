//! `memory-overprovisioned`: far more memory is reserved than used.

use crate::chart::ChartSeries;
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
        of_request: Ratio = Ratio(0.50) => Ratio(0.01)..=Ratio(1.0),
        /// Mean use as a share of the limit below which a large limit is too large.
        of_limit: Ratio = Ratio(0.30) => Ratio(0.01)..=Ratio(1.0),
        /// Limit above which a limit is large.
        large_limit: Bytes = Bytes(2e9) => Bytes(0.0)..=Bytes::from_mib(1_073_741_824.0),
        /// New value as a multiple of the largest use seen.
        headroom: f64 = 1.3 => 1.0..=10.0,
        /// Memory that the workload must free, all replicas together, for a warning; less is info.
        warning_freed: Bytes = Bytes(2_147_483_648.0) => Bytes(0.0)..=Bytes::from_mib(1_073_741_824.0),
        /// Shortest history that is judged; at most three quarters of the look-back are asked for.
        min_history: Seconds = Seconds(86400.0) => Seconds(600.0)..=Seconds::from_days(365.0),
    }
}

impl Check for MemoryOverprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "memory-overprovisioned",
        title: "Memory reserved and not used",
        since: "0.1.0",
        checks: "Whether a container uses far less memory than it reserves.",
        why: "Reserved memory is paid for and keeps other pods from the node.",
        decides: "Mean of `memory-working-set` over the look-back and the living pods that stay up, below `of-request` of the request; \
                  or below `of-limit` of a limit above `large-limit`. The new value is the largest use seen times \
                  `headroom`, rounded up; where it is not below the old one the peaks need what is reserved: ok. Info; a warning only where the workload would free at least `warning-freed` with \
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
    const NEEDS_ALL: bool = true;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::MemoryWorkingSet)
            .chart()
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let resources = container.resources();
        let request = resources.memory_request.filter(|r| r.get() > 0.0);
        let limit = resources.memory_limit.filter(|l| l.get() > params.large_limit.get());
        if (request.is_none() && limit.is_none()) || container.live().next().is_none() {
            return Ok(Outcome::NotApplicable);
        }
        let values = measure::steady_after(view, container, Metric::MemoryWorkingSet, params.min_history)?;
        let mean = stats::mean(values.iter().copied()).unwrap_or_default();
        let largest = values.iter().copied().fold(0.0, f64::max);
        let to = measure::round_memory(Bytes(largest * params.headroom));
        let below = |bound: Option<Bytes>, share: Ratio| {
            bound.filter(|b| measure::is_below(mean, share.get() * b.get()) && to.get() < b.get())
        };
        let too_large = below(request, params.of_request);
        let least = measure::limit_beside(to, request.filter(|_| too_large.is_none()));
        let limit_too_large = below(limit, params.of_limit).filter(|limit| least < *limit);
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
                    least.into(),
                ),
                container,
                "limits=memory",
                &least.to_string(),
            )),
            None => problem,
        };
        Ok(problem.chart(ChartSeries::of_fullest(view, container, Metric::MemoryWorkingSet)).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("memory-overprovisioned", text, expected);
    }

    #[test]
    fn the_bounds() {
        let told = |use_: &str| {
            fixture::told(
                "memory-overprovisioned",
                &format!("container web/api-0/app request=1000Mi  memory: {use_}x30"),
            )
            .join("; ")
        };
        assert_eq!(told("500"), "1 ok");
        assert_eq!(
            told("499"),
            "info web/api/app: memory use is 49.9% of the request (mean 499Mi of 1000Mi); 344Mi could be freed"
        );
    }

    #[test]
    fn the_limit_counts_above_2_gb_only() {
        check("container web/api-0/app limit=2000MB  memory: 100x30", "nothing");
        check("container web/api-0/app limit=4Gi  memory: 1228.8x30", "1 ok");
        check(
            "container web/api-0/app limit=4Gi  memory: 1228x30",
            "info web/api/app: memory use is 30% of a large limit (mean 1.2Gi of 4Gi)",
        );
        assert_eq!(
            advice("memory-overprovisioned", "container web/api-0/app limit=4Gi  memory: 1000x30"),
            [
                "lower the memory limit from 4Gi to 1.31Gi [kubectl -n web set resources statefulset/api -c app --limits=memory=1344Mi]"
            ]
        );
    }

    /// Kubernetes refuses a limit below the request, so it can only come down as far as that.
    #[test]
    fn a_limit_is_not_advised_below_the_request() {
        assert_eq!(
            advice(
                "memory-overprovisioned",
                "container web/api-0/app request=3Gi limit=8Gi  memory: 2048x30"
            ),
            [
                "lower the memory limit from 8Gi to 3Gi [kubectl -n web set resources statefulset/api -c app --limits=memory=3Gi]"
            ]
        );
        check("container web/api-0/app request=8Gi limit=8Gi  memory: 2048x25 7000 2048x4", "1 ok");
    }

    #[test]
    fn a_warning_where_the_replicas_together_free_2_gib() {
        // 1000Mi used 300Mi: each frees 1000 - 400 = 600Mi.
        let told = |pods| {
            fixture::told(
                "memory-overprovisioned",
                &format!("container web/api-0/app request=1000Mi pods={pods}  memory: 300x30"),
            )
        };
        assert_eq!(
            told(3),
            [
                "info web/api/app: memory use is 30% of the request (mean 300Mi of 1000Mi); 1.76Gi could be freed"
            ]
        );
        assert_eq!(
            told(4),
            [
                "warning web/api/app: memory use is 30% of the request (mean 300Mi of 1000Mi); 2.34Gi could be freed"
            ]
        );
        // 2Gi exactly counts.
        check(
            "container web/api-0/app request=2128Mi  memory: 1x29 61x0",
            "warning web/api/app: memory use is 0.1% of the request (mean 2.9Mi of 2.08Gi); 2Gi could be freed",
        );
    }

    #[test]
    fn peaks_that_need_it_are_no_waste() {
        check("container web/api-0/app request=1000Mi  memory: 200x25 900 200x3", "1 ok");
    }

    #[test]
    fn a_workload_just_started_is_unknown() {
        check(
            "window lookback=7d\ncontainer web/api-0/app request=1Gi  memory: _x162 100x5",
            "1 unknown: history of 5 h, 1 d needed",
        );
        // The old pod vouches for the new ones.
        check(
            "container web/api-0/app request=100Mi  memory: 80x30\ncontainer web/api-1/app request=100Mi  memory: _x25 10x5",
            "1 ok",
        );
        check("container web/api-0/app request=1Gi", "1 unknown: no samples of memory-working-set");
        check(
            "container web/api-0/app request=1Gi  memory: nanx30",
            "1 unknown: no samples of memory-working-set",
        );
    }

    #[test]
    fn a_crash_loop_tells_no_need() {
        let looping =
            "container web/api-1/app request=1000Mi restarts=9 state=waiting:CrashLoopBackOff  memory: 3x30";
        check(looping, "1 unknown: in a crash loop, so its use says nothing about its need");
        // Those that stay up vouch alone: with the other the mean would be below the half.
        check(&format!("{looping}\ncontainer web/api-0/app request=1000Mi  memory: 600x30"), "1 ok");
    }

    #[test]
    fn nothing_reserved_is_nothing_wasted() {
        check("container web/api-0/app  memory: 100x30", "nothing");
        check("container web/api-0/app request=0 limit=0  memory: 100x30", "nothing");
        check("container web/api-0/app request=1Gi  memory: 100x30\npod web/api-0 phase=Failed", "nothing");
    }
}
