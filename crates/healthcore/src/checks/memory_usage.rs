//! `memory-usage`: the working set is near the limit.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::snapshot::Missing;
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// The working set is near the limit.
pub struct MemoryUsage;

crate::params! {
    /// Parameters of `memory-usage`.
    pub struct MemoryUsageParams {
        /// Share of the limit from which on it is a warning; the value itself counts.
        warning: Ratio = Ratio(0.70),
        /// Share of the limit above which it is critical; the value itself is still a warning.
        critical: Ratio = Ratio(0.85),
        /// Length of "now": the median over it is compared.
        lookback: Seconds = Seconds(1800.0),
    }
    where |p| p.warning <= p.critical, "warning must not be above critical";
}

impl Check for MemoryUsage {
    const INFO: CheckInfo = CheckInfo {
        id: "memory-usage",
        title: "Memory near the limit",
        since: "0.1.0",
        checks: "How near the working set of each container is to its memory limit now.",
        why: "At the limit the kernel kills the container. The working set is what counts for that: page cache that can be \
              given back is not in it.",
        decides: "Median of `memory-working-set` over `lookback`, divided by the memory limit, for the pod where this is \
                  largest. Below `warning`: ok. From `warning` to `critical`, both included: warning. Above `critical`: \
                  critical. A container without limit is not judged (see `requests-missing`).",
        remedy: "Raise the limit, or find out what holds the memory.",
        false_alarms: "A JVM or a cache that is meant to fill its limit and stays flat. The rule is literal and reports it; \
                       raise `critical` for such a class of workloads.",
        texts: &[
            ("near-limit", "memory is at {share} of its limit ({use} of {limit})"),
            ("raise-limit", "raise the memory limit from {from} to {to}, or find out what holds the memory"),
            ("watch", "watch whether the use goes on to grow; above {critical} of the limit it is critical"),
        ],
    };
    type Params = MemoryUsageParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.metric(Metric::MemoryWorkingSet).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let limit_of =
            |m: &Member<'_>| m.container.and_then(|c| c.resources.memory_limit).map_or(0.0, Bytes::get);
        if container.live().all(|m| limit_of(m) <= 0.0) {
            return Ok(Outcome::NotApplicable);
        }
        let (member, share) = measure::worst(container, Metric::MemoryWorkingSet, |member| {
            let limit = limit_of(member);
            if limit <= 0.0 {
                return Err(Missing::NotReported { field: "memory limit".into() });
            }
            Ok(measure::now(&member.series(view, Metric::MemoryWorkingSet)?, params.lookback)? / limit)
        })?;
        if share < params.warning.get() {
            return Ok(Outcome::Ok);
        }
        let critical = share > params.critical.get();
        let (severity, bound) = if critical {
            (Severity::Critical, params.critical)
        } else {
            (Severity::Warning, params.warning)
        };
        let (used, limit) = (Bytes(share * limit_of(member)), Bytes(limit_of(member)));
        let series = member.series(view, Metric::MemoryWorkingSet)?;
        let to = measure::round_memory(Bytes(used.get() * 1.3));
        let advice = if critical && to > limit {
            let advice =
                Advice::new(Text::new("raise-limit")).change("memory.limit", Some(limit.into()), to.into());
            measure::set_resource(advice, container, "limits=memory", &to.to_string())
        } else {
            Advice::new(Text::new("watch").with("critical", params.critical))
        };
        Ok(Problem::new(
            severity,
            Text::new("near-limit").with("share", Ratio(share)).with("use", used).with("limit", limit),
        )
        .measured("memory-of-limit", Ratio(share), bound)
        .evidence("memory-working-set", used)
        .evidence("memory-limit", limit)
        .pod(member.pod_name())
        .advise(advice)
        .chart(Metric::MemoryWorkingSet, series)
        .into())
    }
}
