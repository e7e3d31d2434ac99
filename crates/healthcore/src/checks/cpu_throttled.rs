//! `cpu-throttled`: the CPU limit stops a container again and again.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::class::Class;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::{Importance, Needs};
use crate::series::Series;
use crate::snapshot::Missing;
use crate::time::Timestamp;
use crate::unit::{Cores, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// The CPU limit stops a container again and again.
pub struct CpuThrottled;

crate::params! {
    /// Parameters of `cpu-throttled`.
    pub struct CpuThrottledParams {
        /// Share of the periods above which a container is throttled; the value itself is silent. The default of the classes
        /// `runner` and `batch`, which may take their time, is 20%.
        warning: Ratio = Ratio(0.10) => Ratio(0.001)..=Ratio(1.0),
        /// Length of the time that is judged, up to now.
        lookback: Seconds = Seconds(86400.0) => Seconds(600.0)..=Seconds::from_days(30.0),
        /// Fewest periods that say something; a container that ran in fewer is idle. At the usual 100 ms, 600 are a minute.
        min_periods: u32 = 600 => 1..=1_000_000,
        /// Time stopped as a share of the time in which the container wanted to run, below which stops are too short to be
        /// felt: info.
        min_stopped: Ratio = Ratio(0.01) => Ratio(0.0)..=Ratio(1.0),
        /// Length of a period (the kubelet's `cpuCFSQuotaPeriod`).
        period: Seconds = Seconds(0.1) => Seconds(0.001)..=Seconds(1.0),
    }
}

impl Check for CpuThrottled {
    const INFO: CheckInfo = CheckInfo {
        id: "cpu-throttled",
        title: "CPU throttled",
        since: "0.1.0",
        checks: "How often the kernel stops each container because it has used up its CPU limit.",
        why: "In a period of 100 ms a container may use as much CPU as its limit says; once that is spent all its threads stand \
              still until the next period. Requests wait, and probes time out, although the average use looks low.",
        decides: "`cpu-throttled-periods` divided by `cpu-periods` (only periods in which the container wanted to run count), both \
                  summed over `lookback`, for the pod where this is largest, above `warning`, which is 20% for the classes \
                  runner and batch: a warning. It is info where the time stopped (`cpu-throttled-time`, \
                  which the kernel adds up over CPUs, and at most the throttled periods) is less than `min-stopped` of \
                  `cpu-periods` times `period`. A container that ran in fewer than `min-periods` periods is \
                  idle. One without CPU limit is not judged. Of a pod that bears the name of one before it (StatefulSet) only its own time counts, since \
                  the one before may have had another limit. The advice is the next usual CPU limit that is at least twice the \
                  present one, or 1.5 cores where that is less, and at least a third more.",
        remedy: "Raise the CPU limit as advised, or take it away where the node is shared by trust; then look again after a day. A \
                 runtime that starts more threads than it has cores (a JVM, Go before 1.25, Node.js workers) is throttled less with \
                 fewer of them.",
        false_alarms: "Work that may take its time: give it the annotation `healthcheck/class: batch`. Kernels before 4.18 throttle \
                       containers that are far from their limit. A limit that was raised without a new pod (resized in place) counts fully only \
                       after `lookback`.",
        texts: &[
            ("throttled", "the CPU limit of {limit} stops it in {share} of its periods"),
            (
                "raise-limit",
                "raise the CPU limit from {from} to {to}, then look at the share again after a day",
            ),
        ],
    };
    type Params = CpuThrottledParams;
    type Subject<'a> = WorkloadContainer<'a>;
    const CLASS_DEFAULTS: &'static [(Class, &'static str, &'static str)] =
        &[(Class::Runner, "warning", "20%"), (Class::Batch, "warning", "20%")];

    fn needs(params: &Self::Params, needs: &mut Needs) {
        needs
            .recent(Metric::CpuPeriods, Importance::Required, params.lookback)
            .recent(Metric::CpuThrottledPeriods, Importance::Required, params.lookback)
            .recent(Metric::CpuThrottledTime, Importance::Optional, params.lookback)
            .shown(Metric::CpuUsage)
            .chart()
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let mut worst: Option<(&Member<'_>, Throttling)> = None;
        let mut why = None;
        // Finished pods count as well: of a batch workload there is often no other.
        for member in container.members.iter().filter(|m| limit_of(m).is_some()) {
            match Throttling::of(member, view, params.lookback) {
                Ok(found) if worst.as_ref().is_none_or(|(_, w)| found.share(params) > w.share(params)) => {
                    worst = Some((member, found));
                }
                Ok(_) => {}
                Err(missing) if member.is_live() => {
                    why.get_or_insert(missing);
                }
                Err(_) => {}
            }
        }
        let Some((member, found)) = worst else {
            return why.map_or(Ok(Outcome::NotApplicable), Err);
        };
        let (share, bound) = (found.share(params), params.warning);
        let distance = measure::below(share, bound.get());
        if !view.keeps_watching(distance) && share <= bound.get() {
            return Ok(Outcome::Ok);
        }
        let problem = problem(params, container, member, &found).chart(ChartSeries::of_member(
            view,
            container,
            member,
            Metric::CpuUsage,
        ));
        Ok(Outcome::when(share > bound.get(), distance, problem))
    }
}

fn limit_of(member: &Member<'_>) -> Option<Cores> {
    member.container?.resources.cpu_limit.filter(|limit| limit.get() > 0.0)
}

fn problem(
    params: &CpuThrottledParams,
    container: &WorkloadContainer<'_>,
    member: &Member<'_>,
    found: &Throttling,
) -> Problem {
    let share = Ratio(found.share(params));
    let limit = limit_of(member).unwrap_or_default();
    let stopped = found.stopped(params);
    let short = stopped.is_some_and(|stopped| stopped < params.min_stopped);
    let severity = if short { Severity::Info } else { Severity::Warning };
    let to = next_limit(limit);
    let advice = Advice::new(Text::new("raise-limit")).change("cpu.limit", Some(limit.into()), to.into());
    let text = Text::new("throttled").with("share", share).with("limit", limit);
    let mut problem = Problem::new(severity, text)
        .measured("throttled-periods-of-all", share, params.warning)
        .evidence("cpu-periods", Value::Count(found.periods.round() as u64))
        .evidence("cpu-limit", limit)
        .pod(member.pod_name())
        .advise(measure::set_resource(advice, container, "limits=cpu", &to.to_string()));
    if let (Some(stopped), Some(seconds)) = (stopped, found.stopped_s) {
        problem = problem
            .measured("stopped-of-running-time", stopped, params.min_stopped)
            .evidence("cpu-throttled-time", Seconds(seconds));
    }
    problem
}

/// What the quota did to one container in the time that is judged.
struct Throttling {
    periods: f64,
    throttled: f64,
    /// CPU-seconds, where the server has them: a quota that is spent stops each CPU by itself, and the kernel adds them up
    /// (`unthrottle_cfs_rq` in kernel/sched/fair.c).
    stopped_s: Option<f64>,
}

impl Throttling {
    fn of<'a>(member: &Member<'a>, view: &View<'a>, lookback: Seconds) -> Result<Self, Missing> {
        let window = &view.snapshot.window;
        // A sample tells of the step before it: the first is of a step in which the pod was there all the time.
        let whole = |made: Timestamp| window.index_from(made.plus_seconds(f64::from(window.step_s())));
        let own = member.began().map_or(0, whole);
        let judged = |series: Series<'a>| series.last(lookback).slice(own, window.points());
        let periods = judged(member.series(view, Metric::CpuPeriods)?);
        measure::enough(&periods, 3, Seconds(0.0))?;
        let sum = |metric| {
            let series = view.series(metric, &member.key)?;
            Ok(series.map(|s| judged(s).values().sum::<f64>()))
        };
        Ok(Self {
            periods: periods.values().sum(),
            throttled: sum(Metric::CpuThrottledPeriods)?.unwrap_or(0.0),
            stopped_s: sum(Metric::CpuThrottledTime).unwrap_or(None),
        })
    }

    /// Share of the time in which the container wanted to run that it stood still, at most: no stop is longer than its period.
    fn stopped(&self, params: &CpuThrottledParams) -> Option<Ratio> {
        let period = params.period.get();
        self.stopped_s.map(|s| Ratio(s.min(self.throttled * period) / (self.periods * period)))
    }

    /// Share of the periods in which it was stopped; none of an idle container.
    fn share(&self, params: &CpuThrottledParams) -> f64 {
        if self.periods < f64::from(params.min_periods) { 0.0 } else { self.throttled / self.periods }
    }
}

/// CPU limits that people write, in thousandths of a core.
const USUAL_LIMITS: [u64; 22] = [
    50, 100, 200, 300, 500, 800, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 10_000, 12_000, 16_000, 24_000,
    32_000, 48_000, 64_000, 96_000, 128_000,
];

/// The next usual limit: at least twice the present one up to 1.5 cores, from there on a third more, because what is cut
/// off is not seen. Above all usual limits, a third more in whole cores.
fn next_limit(limit: Cores) -> Cores {
    let milli = (limit.get() * 1000.0).round() as u64;
    let least = (2 * milli).min(1500).max((4 * milli).div_ceil(3));
    let usual = USUAL_LIMITS.into_iter().find(|usual| *usual >= least);
    Cores(usual.unwrap_or(least.div_ceil(1000) * 1000) as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::next_limit;
    use crate::fixture::{self, advice};
    use crate::unit::Cores;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("cpu-throttled", text, expected);
    }

    /// A workload whose quota stops it in a share of 10,000 periods an hour, for 40 ms each time.
    fn throttled(class: &str, limit: &str, per_mille: u32) -> String {
        format!(
            "workload ci/Deployment/w revisions=w-7d9c5bd4f7 {class}\n\
             container ci/w-7d9c5bd4f7-x2x9z/app cpu-limit={limit}  cpu: 0.1x24 periods: 10000x24 throttled: {}x24 throttled-time: {}x24",
            per_mille * 10,
            f64::from(per_mille) * 0.4,
        )
    }

    #[test]
    fn the_bounds_of_a_service() {
        check(&throttled("", "1", 90), "1 ok");
        check(&throttled("", "1", 100), "1 ok");
        check(
            &throttled("", "1", 101),
            "warning ci/w/app (w-7d9c5bd4f7-x2x9z): the CPU limit of 1 stops it in 10.1% of its periods",
        );
    }

    /// jcard-service at 23.1 % and 11.3 %, the runner at 11.9 %, 16.1 %, 27.5 % and 42.2 %.
    #[test]
    fn seen_in_practice() {
        let told = |class: &str, per_mille: u32| {
            fixture::told("cpu-throttled", &throttled(class, "500m", per_mille)).join("; ")
        };
        let text = |share: &str| {
            format!(
                "warning ci/w/app (w-7d9c5bd4f7-x2x9z): the CPU limit of 0.5 stops it in {share} of its periods"
            )
        };
        assert_eq!(told("", 231), text("23.1%"));
        assert_eq!(told("", 113), text("11.3%"));
        let runner = "note:healthcheck/class=runner";
        assert_eq!(told(runner, 119), "1 ok");
        assert_eq!(told(runner, 161), "1 ok");
        assert_eq!(told(runner, 200), "1 ok");
        assert_eq!(told(runner, 275), text("27.5%"));
        assert_eq!(told(runner, 422), text("42.2%"));
    }

    #[test]
    fn the_fixes_that_helped() {
        for (from, to) in [("200m", "500m"), ("400m", "800m"), ("500m", "1"), ("2", "3"), ("3", "4")] {
            assert_eq!(next_limit(from.parse().unwrap()), to.parse().unwrap(), "{from}");
        }
        for (from, to) in [
            ("10m", "50m"),
            ("250m", "500m"),
            ("800m", "1500m"),
            ("999m", "1500m"),
            ("1", "1500m"),
            ("128", "171"),
        ] {
            assert_eq!(next_limit(from.parse().unwrap()), to.parse().unwrap(), "{from}");
        }
        let mut before = Cores(0.0);
        for milli in 1..200_000 {
            let limit = Cores(f64::from(milli) / 1000.0);
            let next = next_limit(limit);
            assert!(next > limit && next >= before, "{limit}");
            before = next;
        }
        assert_eq!(
            advice("cpu-throttled", &throttled("", "400m", 300)),
            [
                "raise the CPU limit from 0.4 to 0.8, then look at the share again after a day [kubectl -n ci set resources deployment/w -c app --limits=cpu=800m]"
            ]
        );
    }

    #[test]
    fn the_worst_pod_is_told_and_a_finished_one_counts() {
        check(
            "container web/api-0/app cpu-limit=1  periods: 9000x24\n\
             container web/api-1/app cpu-limit=1  periods: 9000x24 throttled: 3600x24",
            "warning web/api/app (api-1): the CPU limit of 1 stops it in 40% of its periods",
        );
        check(
            "workload data/Job/load\n\
             container data/load-x2x9z/app owner=Job/load state=completed@1h cpu-limit=2  periods: _x12 9000x3 throttled: _x12 3600x3\n\
             pod data/load-x2x9z phase=Succeeded",
            "warning data/load/app (load-x2x9z): the CPU limit of 2 stops it in 40% of its periods",
        );
    }

    #[test]
    fn short_stops_are_info_and_idle_containers_silent() {
        check(
            "container web/api-0/app cpu-limit=1  periods: 10000x24 throttled: 2000x24 throttled-time: 9x24",
            "info web/api/app (api-0): the CPU limit of 1 stops it in 20% of its periods",
        );
        check("container web/api-0/app cpu-limit=1  periods: 24x24 throttled: 12x24", "1 ok");
        check(
            "container web/api-0/app cpu-limit=1  periods: 25x24 throttled: 12x24",
            "warning web/api/app (api-0): the CPU limit of 1 stops it in 48% of its periods",
        );
    }

    /// The kernel adds the time up over CPUs: 16 of them that stand still for half an hour are no eight hours of one hour.
    #[test]
    fn no_stop_is_longer_than_its_period() {
        let text = "container ci/w-0/app cpu-limit=2  cpu: 2x24 periods: 36000x24 throttled: 18000x24 throttled-time: 28800x24";
        let found = fixture::findings("cpu-throttled", text);
        let stopped = found[0].evidence.iter().find(|e| e.name == "stopped-of-running-time").expect("told");
        assert_eq!(fixture::show(&stopped.value), "50%");
    }

    #[test]
    fn only_the_last_day_counts() {
        check("container web/api-0/app cpu-limit=1  periods: 9000x60 throttled: 5000x35 _x25", "1 ok");
    }

    /// The pod of a StatefulSet bears the name of the one before it, which had less: 200m until two hours ago.
    #[test]
    fn the_pod_before_of_the_same_name_does_not_count() {
        let of = |pod: &str, since: &str| {
            let text = format!(
                "window step=5m\ncontainer db/orders-0/app cpu-limit=500m state=running@2h  periods: 3000x287 throttled: 1200x263 {since}\n{pod}"
            );
            fixture::told("cpu-throttled", &text).join("; ")
        };
        let made = "pod db/orders-0 created=2h";
        assert_eq!(of(made, "0x23"), "1 ok");
        assert_eq!(
            of(made, "1200x23"),
            "warning db/orders/app (orders-0): the CPU limit of 0.5 stops it in 40% of its periods"
        );
        // Started again in the same pod: the limit is the same.
        assert_eq!(
            of("", "0x23"),
            "warning db/orders/app (orders-0): the CPU limit of 0.5 stops it in 36.7% of its periods"
        );
        let text = "window step=5m\ncontainer db/orders-0/app cpu-limit=500m state=running@12m  periods: 3000x287 throttled: 1200x287\n\
                    pod db/orders-0 created=12m";
        check(text, "1 unknown: 2 samples, 3 needed");
        // Restored from a backup: what runs is older than its object.
        check(
            &text.replace("running@12m", "running@2h"),
            "warning db/orders/app (orders-0): the CPU limit of 0.5 stops it in 40% of its periods",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "absent periods throttled throttled-time\ncontainer web/api-0/app cpu-limit=1",
            "1 unknown: the server has no series of cpu-periods",
        );
        check(
            "absent throttled\ncontainer web/api-0/app cpu-limit=1  periods: 9000x24",
            "1 unknown: the server has no series of cpu-throttled-periods",
        );
        check("container web/api-0/app cpu-limit=1  periods: _x22 9000x1", "1 unknown: 2 samples, 3 needed");
        check("container web/api-0/app  periods: 9000x24 throttled: 5000x24", "nothing");
        check(
            "absent throttled-time\ncontainer web/api-0/app cpu-limit=1  periods: 9000x24 throttled: 3600x24",
            "warning web/api/app (api-0): the CPU limit of 1 stops it in 40% of its periods",
        );
    }
}
