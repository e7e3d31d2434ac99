//! `memory-usage`: the working set is near the limit.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// The working set is near the limit.
pub struct MemoryUsage;

crate::params! {
    /// Parameters of `memory-usage`.
    pub struct MemoryUsageParams {
        /// Share of the limit from which on it is a warning; the value itself counts.
        warning: Ratio = Ratio(0.70) => Ratio(0.01)..=Ratio(1.0),
        /// Share of the limit above which it is critical; the value itself is still a warning.
        critical: Ratio = Ratio(0.85) => Ratio(0.01)..=Ratio(1.0),
        /// Length of "now": the median over it is compared.
        lookback: Seconds = Seconds(1800.0) => Seconds(60.0)..=Seconds::from_days(1.0),
        /// New limit as a multiple of the use now.
        limit_factor: f64 = 1.3 => 1.0..=10.0,
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
                  critical. A container without limit is not judged (see `requests-missing`). The advice for a \
                  critical one is the use now times `limit-factor`, rounded up.",
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
        needs
            .metric(Metric::MemoryWorkingSet)
            .chart()
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let limit_of =
            |m: &Member<'_>| m.container.and_then(|c| c.resources.memory_limit).map_or(0.0, Bytes::get);
        if container.live().all(|m| limit_of(m) <= 0.0) {
            return Ok(Outcome::NotApplicable);
        }
        let used = |member: &Member<'_>| -> Result<f64, Missing> {
            let series = view.series(Metric::MemoryWorkingSet, &member.key)?;
            let series = series.ok_or(Missing::NoSamples { metric: Metric::MemoryWorkingSet })?;
            measure::now(&series, params.lookback)
        };
        let (member, share) = measure::worst(container, Metric::MemoryWorkingSet, |member| {
            let limit = limit_of(member);
            if limit <= 0.0 {
                return Err(Missing::NotReported { field: Field::MemoryLimit });
            }
            Ok(used(member)? / limit)
        })?;
        let reached = share >= params.warning.get();
        if !reached && let Some(why) = container.unmeasured(view, used) {
            return Err(why);
        }
        let distance = measure::below(share, params.warning.get());
        if !view.keeps_watching(distance) && !reached {
            return Ok(Outcome::Ok);
        }
        let critical = share > params.critical.get();
        let (severity, bound) = if critical {
            (Severity::Critical, params.critical)
        } else {
            (Severity::Warning, params.warning)
        };
        let (used, limit) = (Bytes(share * limit_of(member)), Bytes(limit_of(member)));
        let to = measure::round_memory(Bytes(used.get() * params.limit_factor));
        let advice = if critical && to > limit {
            let advice =
                Advice::new(Text::new("raise-limit")).change("memory.limit", Some(limit.into()), to.into());
            measure::set_resource(advice, container, "limits=memory", &to.to_string())
        } else {
            Advice::new(Text::new("watch").with("critical", params.critical))
        };
        let problem = Problem::new(
            severity,
            Text::new("near-limit").with("share", Ratio(share)).with("use", used).with("limit", limit),
        )
        .measured("memory-of-limit", Ratio(share), bound)
        .evidence("memory-working-set", used)
        .evidence("memory-limit", limit)
        .pod(member.pod_name())
        .advise(advice)
        .chart(ChartSeries::of_member(view, container, member, Metric::MemoryWorkingSet));
        Ok(Outcome::when(reached, distance, problem))
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("memory-usage", text, expected);
    }

    #[test]
    fn the_bounds() {
        let told = |use_: &str| {
            fixture::told(
                "memory-usage",
                &format!("container pigo/nacos-0/app limit=1000Mi  memory: {use_}x5"),
            )
            .join("; ")
        };
        assert_eq!(told("699"), "1 ok");
        assert_eq!(
            told("700"),
            "warning pigo/nacos/app (nacos-0): memory is at 70% of its limit (700Mi of 1000Mi)"
        );
        assert_eq!(
            told("850"),
            "warning pigo/nacos/app (nacos-0): memory is at 85% of its limit (850Mi of 1000Mi)"
        );
        assert_eq!(
            told("851"),
            "critical pigo/nacos/app (nacos-0): memory is at 85.1% of its limit (851Mi of 1000Mi)"
        );
    }

    #[test]
    fn seen_in_practice() {
        check(
            "container pigo/nacos-0/app limit=2000Mi  memory: 2017x5\n\
             container pigo/pigo-api-6d4cf56db6-4g7bn/app limit=2048Mi  memory: 1450x5",
            "warning pigo/pigo-api/app (pigo-api-6d4cf56db6-4g7bn): memory is at 70.8% of its limit (1.42Gi of 2Gi)
             critical pigo/nacos/app (nacos-0): memory is at 100.8% of its limit (1.97Gi of 1.95Gi)",
        );
        assert_eq!(
            advice("memory-usage", "container pigo/nacos-0/app limit=2000Mi  memory: 2017x5"),
            ["raise the memory limit from 1.95Gi to 2.56Gi, or find out what holds the memory \
              [kubectl -n pigo set resources statefulset/nacos -c app --limits=memory=2624Mi]"]
        );
    }

    #[test]
    fn one_noisy_sample_is_no_alarm() {
        check("window step=5m\ncontainer web/api-0/app limit=1000Mi  memory: 400x20 990 400x2", "1 ok");
        check(
            "window step=5m\ncontainer web/api-0/app limit=1000Mi  memory: 400x20 990x2 400 990x1",
            "critical web/api/app (api-0): memory is at 99% of its limit (990Mi of 1000Mi)",
        );
    }

    #[test]
    fn the_worst_living_pod_counts() {
        check(
            "container web/api-0/app limit=1000Mi  memory: 500x5\n\
             container web/api-1/app limit=1000Mi  memory: 750x5\n\
             container web/api-2/app limit=1000Mi",
            "warning web/api/app (api-1): memory is at 75% of its limit (750Mi of 1000Mi)",
        );
        // One of which nothing is known any more may be worse.
        check(
            "window step=5m\ncontainer web/api-0/app limit=1000Mi  memory: 500x20\n\
             container web/api-1/app limit=1000Mi  memory: 500x10 _x10",
            "1 unknown: 0 samples, 1 needed",
        );
        // A pod that is gone does not.
        check(
            "past web/api-6c6c6c6c6c-zzzzz/app  memory: 990x5\n\
             container web/api-7d9c5bd4f7-x2x9z/app limit=1000Mi  memory: 500x5",
            "1 ok",
        );
    }

    #[test]
    fn without_limit_it_does_not_apply() {
        check("container web/api-0/app  memory: 500x5", "nothing");
        check("container web/api-0/app limit=0  memory: 500x5", "nothing");
        check("container web/api-0/app limit=1Gi\npod web/api-0 phase=Succeeded", "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check("container web/api-0/app limit=1Gi", "1 unknown: no samples of memory-working-set");
        check(
            "container web/api-0/app limit=1Gi  memory: nanx5",
            "1 unknown: no samples of memory-working-set",
        );
        check("container web/api-0/app limit=1Gi  memory: 900x5 _x5", "1 unknown: 0 samples, 1 needed");
        check(
            "failed memory\ncontainer web/api-0/app limit=1Gi",
            "1 unknown: the query for memory-working-set failed",
        );
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
    }
}
