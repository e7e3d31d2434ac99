//! `memory-underprovisioned`: request or limit is too small for what is used.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::stats;
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{View, WorkloadContainer};

/// Request or limit is too small for what is used.
pub struct MemoryUnderprovisioned;

crate::params! {
    /// Parameters of `memory-underprovisioned`.
    pub struct MemoryUnderprovisionedParams {
        /// 95th percentile of use as a share of the limit above which the limit is too small.
        of_limit: Ratio = Ratio(0.85) => Ratio(0.01)..=Ratio(1.0),
        /// Request as a share of the mean use below which the request is too small.
        request_of_use: Ratio = Ratio(0.50) => Ratio(0.01)..=Ratio(3.0),
        /// New limit as a multiple of the 95th percentile.
        limit_factor: f64 = 1.3 => 1.0..=10.0,
        /// New request as a multiple of the mean use.
        request_factor: f64 = 0.8 => 0.1..=10.0,
        /// Shortest history that is judged.
        min_history: Seconds = Seconds(21600.0) => Seconds(600.0)..=Seconds::from_days(365.0),
    }
}

impl Check for MemoryUnderprovisioned {
    const INFO: CheckInfo = CheckInfo {
        id: "memory-underprovisioned",
        title: "Memory request or limit too small",
        since: "0.1.0",
        checks: "Whether a container lives near its limit, or uses far more memory than it reserves.",
        why: "Near the limit the next peak is an OOM kill. With a request far below the use the scheduler fills the node with \
              memory that is not there, and pods are evicted.",
        decides: "95th percentile of `memory-working-set` over the look-back and the living pods above `of-limit` of the \
                  limit: new limit = percentile x `limit-factor`. Or the request below `request-of-use` of the mean use: new \
                  request = mean x `request-factor`. Less history than `min-history` is unknown.",
        remedy: "Raise the value as advised; look first whether `memory-leak` names the container too.",
        false_alarms: "A heap that is meant to fill its limit and stays flat.",
        texts: &[
            ("limit", "memory lives at {share} of its limit (95th percentile {use} of {limit})"),
            ("request", "the memory request is {share} of what is used (request {request}, mean use {use})"),
            ("raise-limit", "raise the memory limit from {from} to {to}"),
            ("raise-request", "raise the memory request from {from} to {to}"),
        ],
    };
    type Params = MemoryUnderprovisionedParams;
    type Subject<'a> = WorkloadContainer<'a>;

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
        let limit = resources.memory_limit.filter(|l| l.get() > 0.0);
        if (request.is_none() && limit.is_none()) || container.live().next().is_none() {
            return Ok(Outcome::NotApplicable);
        }
        let mut values =
            measure::pooled_after(view, container, Metric::MemoryWorkingSet, params.min_history)?;
        let mean = stats::mean(values.iter().copied()).unwrap_or_default();
        let p95 = stats::quantile(&mut values, 0.95).unwrap_or_default();
        let distance = limit.map_or(f64::INFINITY, |l| measure::below(p95, params.of_limit.get() * l.get()));
        let near_limit = limit.filter(|_| view.keeps_watching(distance));
        let short_limit = limit.filter(|l| p95 > params.of_limit.get() * l.get());
        let short_request = request.filter(|r| r.get() < params.request_of_use.get() * mean);
        // What is short of its request is a problem already, however near the limit is.
        let shown_limit = short_limit.or(near_limit.filter(|_| short_request.is_none()));
        let mut problem = if let Some(limit) = shown_limit {
            let share = Ratio(p95 / limit.get());
            Problem::new(
                Severity::Warning,
                Text::new("limit").with("share", share).with("use", Bytes(p95)).with("limit", limit),
            )
            .measured("memory-p95-of-limit", share, params.of_limit)
            .evidence("memory-p95", Bytes(p95))
        } else if let Some(request) = short_request {
            let share = Ratio(request.get() / mean);
            Problem::new(
                Severity::Warning,
                Text::new("request").with("share", share).with("use", Bytes(mean)).with("request", request),
            )
            .measured("request-of-memory", share, params.request_of_use)
            .evidence("memory-mean", Bytes(mean))
        } else {
            return Ok(Outcome::Ok);
        };
        if let Some(limit) = short_limit {
            let to = measure::round_memory(Bytes(p95 * params.limit_factor));
            let advice =
                Advice::new(Text::new("raise-limit")).change("memory.limit", Some(limit.into()), to.into());
            problem =
                problem.advise(measure::set_resource(advice, container, "limits=memory", &to.to_string()));
        }
        if let Some(request) = short_request {
            let to = measure::round_memory(Bytes(mean * params.request_factor));
            let advice = Advice::new(Text::new("raise-request")).change(
                "memory.request",
                Some(request.into()),
                to.into(),
            );
            problem =
                problem.advise(measure::set_resource(advice, container, "requests=memory", &to.to_string()));
        }
        let problem = problem.chart(ChartSeries::of_fullest(view, container, Metric::MemoryWorkingSet));
        Ok(Outcome::when(short_limit.is_some() || short_request.is_some(), distance, problem))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("memory-underprovisioned", text, expected);
    }

    #[test]
    fn the_limit() {
        check("container web/api-0/app limit=1000Mi  memory: 850x30", "1 ok");
        check(
            "container web/api-0/app limit=1000Mi  memory: 851x30",
            "warning web/api/app: memory lives at 85.1% of its limit (95th percentile 851Mi of 1000Mi)",
        );
        assert_eq!(
            advice("memory-underprovisioned", "container web/api-0/app limit=1000Mi  memory: 900x30"),
            [
                "raise the memory limit from 1000Mi to 1.19Gi [kubectl -n web set resources statefulset/api -c app --limits=memory=1216Mi]"
            ]
        );
    }

    #[test]
    fn the_request() {
        check("container web/api-0/app request=500Mi  memory: 1000x30", "1 ok");
        check(
            "container web/api-0/app request=499Mi  memory: 1000x30",
            "warning web/api/app: the memory request is 49.9% of what is used (request 499Mi, mean use 1000Mi)",
        );
        assert_eq!(
            advice(
                "memory-underprovisioned",
                "container web/api-0/app request=100Mi limit=1000Mi  memory: 900x30"
            ),
            [
                "raise the memory limit from 1000Mi to 1.19Gi [kubectl -n web set resources statefulset/api -c app --limits=memory=1216Mi]",
                "raise the memory request from 100Mi to 720Mi [kubectl -n web set resources statefulset/api -c app --requests=memory=720Mi]",
            ]
        );
    }

    #[test]
    fn rare_spikes_are_no_life_at_the_limit() {
        check("container web/api-0/app limit=1000Mi  memory: 500x60 990 500x37", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "container web/api-0/app limit=1Gi  memory: _x20 1000x3",
            "1 unknown: history of 3 h, 6 h needed",
        );
        check("container web/api-0/app limit=1Gi", "1 unknown: no samples of memory-working-set");
        check("container web/api-0/app limit=0 request=0  memory: 100x30", "nothing");
        check("container web/api-0/app  memory: 100x30", "nothing");
    }
}
