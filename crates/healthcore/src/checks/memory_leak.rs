//! `memory-leak`: memory grows without end.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::measure;
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::series::Series;
use crate::snapshot::Missing;
use crate::stats;
use crate::unit::{Bytes, BytesPerHour, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// Memory grows without end.
pub struct MemoryLeak;

crate::choice! {
    /// How growth is judged.
    pub enum Method {
        /// Least squares over the run.
        Linear = "linear",
        /// Mean of the last quarter against the first.
        Quarters = "quarters",
    }
    expected = "`linear` or `quarters`"
}

crate::params! {
    /// Parameters of `memory-leak`.
    pub struct MemoryLeakParams {
        /// How growth is judged: `linear` (least squares) or `quarters` (last quarter against first).
        method: Method = Method::Linear,
        /// `linear`: growth above which it is a leak.
        min_slope: BytesPerHour = BytesPerHour(10e6),
        /// `linear`: share of the variance that the line must explain; it must be above.
        min_r_squared: Ratio = Ratio(0.7),
        /// `linear`: two-sided p-value of the slope below which it counts.
        max_p: f64 = 0.05,
        /// `quarters`: growth from which on it is a warning; the value itself counts.
        warning_growth: Ratio = Ratio(0.10),
        /// `quarters`: growth above which it is critical.
        critical_growth: Ratio = Ratio(0.20),
        /// Shortest process run that is judged; at most three quarters of the look-back are asked for.
        min_run: Seconds = Seconds(86400.0),
        /// Fewest samples in a run.
        min_samples: u32 = 24,
        /// A leak that reaches the limit within this time is critical.
        critical_within: Seconds = Seconds(86400.0),
    }
    where |p| p.warning_growth <= p.critical_growth, "warning-growth must not be above critical-growth";
}

impl Check for MemoryLeak {
    const INFO: CheckInfo = CheckInfo {
        id: "memory-leak",
        title: "Memory leak",
        since: "0.1.0",
        checks: "Whether the memory of a container grows without end.",
        why: "A leak ends in an OOM kill, at the hour of the highest load more often than not.",
        decides: "The unit is the process run: series are cut at restarts (restart counter, start of the process, or a \
                  lasting fall from near the limit), because joined runs hide every leak that ends in an OOM kill. Each \
                  living pod is judged by its latest run that lasts at least `min-run`; pods that are gone count only \
                  when no living pod has such a run. RSS is preferred to the working set, which holds page cache. \
                  `linear`: least squares of bytes over hours as `scipy.stats.linregress`; a leak when slope > \
                  `min-slope`, r² > `min-r-squared` and p < `max-p`. `quarters`: mean of the last quarter of the run \
                  against the first; below `warning-growth` ok, up to `critical-growth` a warning, above it critical.",
        remedy: "Take a heap profile of the pod that is named, compare it with one of a pod just started, and look at what \
                 the release before the growth changed.",
        false_alarms: "A warm-up or cache that fills slowly looks like a line for a while, more so under `quarters`. \
                       Neither method knows that samples are autocorrelated, so its p-value is too small.",
        texts: &[
            ("growing", "memory grows by {rate} ({growth} over {span}), a leak by least squares (r² {r2})"),
            ("quarters", "memory of the last quarter is {growth} above the first (over {span})"),
            (
                "profile",
                "take a heap profile of pod {pod} and compare it with one taken just after its start",
            ),
            (
                "reaches-limit",
                "at this rate the limit of {limit} is reached in {time}; plan a restart before, or raise the limit",
            ),
        ],
    };
    type Params = MemoryLeakParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::MemoryWorkingSet)
            .optional(Metric::MemoryRss)
            .optional(Metric::Restarts)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let mut worst: Option<(f64, Problem)> = None;
        for (member, run) in runs(params, container, view)? {
            let found = match params.method {
                Method::Linear => linear(params, member, &run),
                Method::Quarters => quarters(params, member, &run),
            };
            if let Some((growth, problem)) = found
                && worst.as_ref().is_none_or(|(g, _)| growth > *g)
            {
                worst = Some((growth, problem));
            }
        }
        Ok(worst.map_or(Outcome::Ok, |(_, problem)| problem.into()))
    }
}

/// The run of each pod that is judged.
fn runs<'s, 'a>(
    params: &MemoryLeakParams,
    container: &'s WorkloadContainer<'a>,
    view: &View<'a>,
) -> Result<Vec<(&'s Member<'a>, Series<'a>)>, Missing> {
    let window = &view.snapshot.window;
    let span = Seconds(params.min_run.get().min(0.75 * window.seconds()));
    let mut why = Missing::NoSamples { metric: Metric::MemoryWorkingSet };
    let mut living = Vec::new();
    let mut gone = Vec::new();
    for member in container.members.iter() {
        let memory = match member
            .series(view, Metric::MemoryRss)
            .or_else(|_| member.series(view, Metric::MemoryWorkingSet))
        {
            Ok(memory) => memory,
            Err(missing) => {
                why = missing;
                continue;
            }
        };
        let restarts = view.series(Metric::Restarts, &member.key).ok().flatten();
        let limit = member.container.and_then(|c| c.resources.memory_limit).map(Bytes::get);
        let runs = measure::process_runs(memory, restarts, member.started(), limit);
        let latest = runs.into_iter().rev().find(|run| {
            let judged = measure::enough(run, params.min_samples, span);
            if let Err(missing) = &judged {
                why = missing.clone();
            }
            judged.is_ok()
        });
        if let Some(run) = latest {
            if member.is_live() { living.push((member, run)) } else { gone.push((member, run)) }
        }
    }
    match (living.is_empty(), gone.is_empty()) {
        (false, _) => Ok(living),
        (true, false) => Ok(gone),
        (true, true) => Err(why),
    }
}

fn linear(params: &MemoryLeakParams, member: &Member<'_>, run: &Series<'_>) -> Option<(f64, Problem)> {
    let line = stats::linregress(run.hours())?;
    if line.slope <= params.min_slope.get()
        || line.r_squared() <= params.min_r_squared.get()
        || line.p >= params.max_p
    {
        return None;
    }
    let growth = Bytes(line.slope * run.span_s() / 3600.0);
    let span = Seconds(run.span_s());
    let text = Text::new("growing")
        .with("rate", BytesPerHour(line.slope))
        .with("growth", growth)
        .with("span", span)
        .with("r2", Ratio(line.r_squared()));
    let left = to_limit(member, run, line.slope);
    let severity = match left {
        Some((_, left)) if left <= params.critical_within.get() => Severity::Critical,
        _ => Severity::Warning,
    };
    let mut problem = Problem::new(severity, text)
        .measured("growth-rate", BytesPerHour(line.slope), params.min_slope)
        .measured("r-squared", Ratio(line.r_squared()), params.min_r_squared)
        .evidence("growth", growth)
        .evidence("run", span);
    if let Some((limit, left)) = left {
        problem = problem
            .evidence("time-to-limit", Seconds(left))
            .advise(Advice::new(Text::new("reaches-limit").with("limit", limit).with("time", Seconds(left))));
    }
    Some((line.slope, finish(problem, member, run)))
}

fn quarters(params: &MemoryLeakParams, member: &Member<'_>, run: &Series<'_>) -> Option<(f64, Problem)> {
    let values: Vec<f64> = run.values().collect();
    let [first, .., last] = stats::quarters(&values)?;
    let growth = if first > 0.0 { last / first - 1.0 } else { return None };
    if growth < params.warning_growth.get() {
        return None;
    }
    let critical = growth > params.critical_growth.get();
    let (severity, bound) = if critical {
        (Severity::Critical, params.critical_growth)
    } else {
        (Severity::Warning, params.warning_growth)
    };
    let text = Text::new("quarters").with("growth", Ratio(growth)).with("span", Seconds(run.span_s()));
    let problem = Problem::new(severity, text)
        .measured("growth-ratio", Ratio(growth), bound)
        .evidence("first-quarter", Bytes(first))
        .evidence("last-quarter", Bytes(last));
    Some((growth, finish(problem, member, run)))
}

/// Limit, and seconds until the latest sample grows to it.
fn to_limit(member: &Member<'_>, run: &Series<'_>, per_hour: f64) -> Option<(Bytes, f64)> {
    let limit = member.container?.resources.memory_limit.filter(|l| l.get() > 0.0)?;
    let (_, now) = run.latest()?;
    Some((limit, ((limit.get() - now) / per_hour * 3600.0).max(0.0)))
}

fn finish(problem: Problem, member: &Member<'_>, run: &Series<'_>) -> Problem {
    let since = run.iter().next().map(|(i, _)| run.window().at(i));
    problem
        .pod(member.pod_name())
        .since(since)
        .advise(Advice::new(Text::new("profile").with("pod", member.pod_name())))
        .chart(Metric::MemoryWorkingSet, *run)
}
