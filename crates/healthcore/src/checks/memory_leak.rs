//! `memory-leak`: memory grows without end.

mod picture;
mod robust;

use std::sync::Arc;

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::class::Class;
use crate::finding::{Advice, Problem, Severity, Text, Value};
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
        /// Process runs, shapes that end against shapes that do not.
        Robust = "robust",
        /// Least squares over the run.
        Linear = "linear",
        /// Mean of the last quarter against the first.
        Quarters = "quarters",
    }
    expected = "`robust`, `linear` or `quarters`"
}

crate::params! {
    /// Parameters of `memory-leak`.
    pub struct MemoryLeakParams {
        /// How growth is judged: `robust` (shapes that end against shapes that do not), `linear` (least squares) or
        /// `quarters` (last quarter against first).
        method: Method = Method::Robust,
        /// `robust`: growth over the window that matters, of the limit (of the node, or of 1.6 times the observed
        /// maximum, without one).
        min_growth: Ratio = Ratio(0.03) => Ratio(0.0)..=Ratio(1.0),
        /// `robust`: share of false findings that is accepted among all leaks of a report.
        false_discovery_rate: Ratio = Ratio(0.05) => Ratio(0.0001)..=Ratio(0.5),
        /// `linear`: growth above which it is a leak.
        min_slope: BytesPerHour = BytesPerHour(10e6) => BytesPerHour(0.0)..=BytesPerHour::from_mb(1e6),
        /// `linear`: share of the variance that the line must explain; it must be above.
        min_r_squared: Ratio = Ratio(0.7) => Ratio(0.0)..=Ratio(0.99),
        /// `linear`: two-sided p-value of the slope below which it counts.
        max_p: f64 = 0.05 => 0.000_001..=1.0,
        /// `quarters`: growth from which on it is a warning; the value itself counts.
        warning_growth: Ratio = Ratio(0.10) => Ratio(0.0)..=Ratio(3.0),
        /// `quarters`: growth above which it is critical.
        critical_growth: Ratio = Ratio(0.20) => Ratio(0.0)..=Ratio(3.0),
        /// Shortest process run (`robust`: history of all runs together) that is judged; at most three quarters of the look-back are asked for.
        min_run: Seconds = Seconds(86400.0) => Seconds(600.0)..=Seconds::from_days(365.0),
        /// Work that ends by itself (classes `batch` and `runner`; Job and CronJob are of class `batch`) is judged only
        /// where a process has been running for this long.
        min_task_run: Seconds = Seconds(86400.0) => Seconds(600.0)..=Seconds::from_days(365.0),
        /// Fewest samples in a run.
        min_samples: u32 = 24 => 3..=100_000,
        /// A leak that reaches the limit within this time is critical.
        critical_within: Seconds = Seconds(86400.0) => Seconds(0.0)..=Seconds::from_days(365.0),
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
        decides: "`robust` (see docs/leak-detection.md): all pods of a container over all their process runs are one \
                  question. Series are cut at restarts, each run becomes its floor (a low quantile a bin), and one \
                  regression with a level for each run, daily and weekend load and whitened residuals lets shapes \
                  that end (steps, plateau, warm-up, smooth step, ramp and return) compete with shapes that do not \
                  (line, late onset, two slopes, logarithm, acceleration) by BIC. It is a leak when the best shape \
                  without end beats every shape that ends, is significant, still rises in the last part, stands above \
                  the noise and grows by `min-growth` of the limit; the smallest of these margins, each 1 at its \
                  bound, is the score. From 0.6 on it is said as info, to be looked at again. Long runs are also asked \
                  alone, against a stricter bound, for the one bad replica. Over all containers of a report the \
                  share of false findings is held below `false-discovery-rate` (Benjamini and Hochberg 1995): leaks \
                  that do not pass are info. Each pod is judged by its RSS where that covers at least half of its working \
                  set, which holds page cache; the evidence says how many pods by which. Where a query for \
                  `request-rate` is configured, memory of the pods that it tells of may follow the requests: that is \
                  load, not growth. A revision is named when it was rolled out within 3 % of the look-back (2 h at \
                  least) of the onset, and a tenth of the look-back (6 h at least) before it is known and grew by \
                  less than 0.3 of the rate. `linear` and `quarters` judge each living pod by its latest run that lasts at least `min-run`; pods \
                  that are gone count only when no living pod has such a run. \
                  `linear`: least squares of bytes over hours as `scipy.stats.linregress`; a leak when slope > \
                  `min-slope`, r² > `min-r-squared` and p < `max-p`. `quarters`: mean of the last quarter of the run \
                  against the first; below `warning-growth` ok, up to `critical-growth` a warning, above it critical. \
                  A leak is a warning, and critical when it reaches the limit within `critical-within`. A workload \
                  without a living pod is not judged. Growth within a run that ends by itself is no leak: of classes \
                  `batch` and `runner` only pods whose process has been running for `min-task-run` are judged, and a \
                  workload without one is not.",
        remedy: "Take a heap profile of the pod that is named, compare it with one of a pod just started, and look at what \
                 the release before the growth changed.",
        false_alarms: "A cache that is still filling when the window ends looks like a leak until it is full; one day of \
                       history cannot tell the flank of a busier day from a leak. `linear` and `quarters` flag most \
                       warm-ups, and know nothing of autocorrelation.",
        texts: &[
            (
                "leak",
                "memory grows by {rate} without end, seen since {onset} (shape {shape}, judged over {pods} {pods|pod|pods})",
            ),
            (
                "leak-of-one",
                "memory of one of {pods} pods grows by {rate} without end, seen since {onset} (shape {shape})",
            ),
            ("watch", "memory may grow by {rate} without end, seen since {onset} (shape {shape})"),
            ("look-again", "look again with a longer look-back before acting"),
            (
                "compare-revision",
                "the growth began with the revision of {time}: compare it with the one before",
            ),
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
            .chart()
            .optional(Metric::Restarts)
            .optional(Metric::RequestRate)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn false_discovery_rate(params: &Self::Params) -> Option<Ratio> {
        (params.method == Method::Robust).then_some(params.false_discovery_rate)
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        if container.live().next().is_none() {
            return Ok(Outcome::NotApplicable);
        }
        let container = &match asked(params, container, view) {
            Some(container) => container,
            None => return Ok(Outcome::NotApplicable),
        };
        if params.method == Method::Robust {
            return robust::judge(params, container, view);
        }
        let mut worst: Option<(f64, Problem)> = None;
        for run in runs(params, container, view)? {
            let found = match params.method {
                Method::Quarters => quarters(params, &run),
                _ => linear(params, &run, view),
            };
            if let Some((growth, problem)) = found
                && worst.as_ref().is_none_or(|(g, _)| growth > *g)
            {
                let chart = ChartSeries::of_member(view, container, run.member, run.metric);
                worst = Some((growth, problem.chart(chart)));
            }
        }
        Ok(worst.map_or(Outcome::Ok, |(_, problem)| problem.into()))
    }
}

/// What of a container is asked: all of it, or of work that ends by itself what has been running too long for that. None
/// when nothing has.
fn asked<'a>(
    params: &MemoryLeakParams,
    container: &WorkloadContainer<'a>,
    view: &View<'a>,
) -> Option<WorkloadContainer<'a>> {
    let class = view.class_of(&container.workload.id).map(|c| c.class);
    if !matches!(class, Some(Class::Batch | Class::Runner)) {
        return Some(container.clone());
    }
    let long = |member: &&Member<'_>| {
        member.is_live() && runs_for(member, view).is_none_or(|age| age >= params.min_task_run)
    };
    let members: Arc<[_]> = container.members.iter().filter(long).cloned().collect();
    (!members.is_empty()).then(|| WorkloadContainer { members, ..container.clone() })
}

/// For how long the process of a living pod has been running: since the start that the API tells, else since the pod was
/// made, and not since before the last restart that was counted. Zero when it does not run, none when nothing tells.
fn runs_for(member: &Member<'_>, view: &View<'_>) -> Option<Seconds> {
    use crate::model::ContainerState;
    let state = member.container.and_then(|c| c.state.as_ref());
    if let Some(ContainerState::Waiting { .. } | ContainerState::Terminated(_)) = state {
        return Some(Seconds(0.0));
    }
    let snapshot = view.snapshot;
    let counted = view.series(Metric::Restarts, &member.key).ok().flatten();
    let restarted = counted.and_then(|c| c.iter().rfind(|(_, n)| *n > 0.0));
    let since = member.started().or_else(|| member.pod?.created);
    let since = since.max(restarted.map(|(i, _)| snapshot.window.at(i)))?;
    Some(Seconds(since.age_at(snapshot.taken_at).unwrap_or(0.0)))
}

/// The run of one pod that is judged.
struct Run<'s, 'a> {
    member: &'s Member<'a>,
    /// RSS where it exists, else working set.
    metric: Metric,
    memory: Series<'a>,
    /// Limit in bytes; that of the living pods for a pod that is gone.
    limit: Option<f64>,
}

/// The latest run of each pod that is long enough.
fn runs<'s, 'a>(
    params: &MemoryLeakParams,
    container: &'s WorkloadContainer<'a>,
    view: &View<'a>,
) -> Result<Vec<Run<'s, 'a>>, Missing> {
    let window = &view.snapshot.window;
    let span = Seconds(params.min_run.get().min(0.75 * window.seconds()));
    let newest = container.resources();
    let mut why = Missing::NoSamples { metric: Metric::MemoryWorkingSet };
    let mut living = Vec::new();
    let mut gone = Vec::new();
    for member in container.members.iter() {
        let of = |metric| member.series(view, metric).map(|memory| (metric, memory));
        let (metric, memory) = match of(Metric::MemoryRss).or_else(|_| of(Metric::MemoryWorkingSet)) {
            Ok(found) => found,
            Err(missing) => {
                why = missing;
                continue;
            }
        };
        let restarts = view.series(Metric::Restarts, &member.key);
        let resources = member.container.map_or(newest, |c| c.resources);
        let limit = resources.memory_limit.map(Bytes::get).filter(|l| *l > 0.0);
        let runs = measure::process_runs(memory, &restarts, member.started(), limit);
        let latest = runs.into_iter().rev().find(|run| {
            let judged = measure::enough(run, params.min_samples, span);
            if let Err(missing) = &judged {
                why = missing.clone();
            }
            judged.is_ok()
        });
        if let Some(memory) = latest {
            let run = Run { member, metric, memory, limit };
            if member.is_live() { living.push(run) } else { gone.push(run) }
        }
    }
    match (living.is_empty(), gone.is_empty()) {
        (false, _) => Ok(living),
        (true, false) => Ok(gone),
        (true, true) => Err(why),
    }
}

fn linear(params: &MemoryLeakParams, run: &Run<'_, '_>, view: &View<'_>) -> Option<(f64, Problem)> {
    let line = stats::linregress(run.memory.hours())?;
    if line.slope <= params.min_slope.get()
        || line.r_squared() <= params.min_r_squared.get()
        || line.p >= params.max_p
    {
        return None;
    }
    let span = Seconds(run.memory.span_s());
    let growth = Bytes(line.slope * span.get() / 3600.0);
    let text = Text::new("growing")
        .with("rate", BytesPerHour(line.slope))
        .with("growth", growth)
        .with("span", span)
        .with("r2", Value::Number(line.r_squared()));
    let left = to_limit(run, line.slope, view);
    let severity = match left {
        Some((_, left)) if left <= params.critical_within => Severity::Critical,
        _ => Severity::Warning,
    };
    let mut problem = Problem::new(severity, text)
        .measured("growth-rate", BytesPerHour(line.slope), params.min_slope)
        .measured("r-squared", Value::Number(line.r_squared()), Value::Number(params.min_r_squared.get()))
        .measured("p-value", Value::Number(line.p), Value::Number(params.max_p))
        .evidence("growth", growth)
        .evidence("run", span);
    if let Some((limit, left)) = left {
        problem = problem
            .measured("time-to-limit", left, params.critical_within)
            .advise(Advice::new(Text::new("reaches-limit").with("limit", limit).with("time", left)));
    }
    Some((line.slope, finish(problem, run)))
}

fn quarters(params: &MemoryLeakParams, run: &Run<'_, '_>) -> Option<(f64, Problem)> {
    let values: Vec<f64> = run.memory.values().collect();
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
    let span = Seconds(run.memory.span_s());
    let problem =
        Problem::new(severity, Text::new("quarters").with("growth", Ratio(growth)).with("span", span))
            .measured("growth-ratio", Ratio(growth), bound)
            .evidence("first-quarter", Bytes(first))
            .evidence("last-quarter", Bytes(last))
            .evidence("run", span);
    Some((growth, finish(problem, run)))
}

/// Limit, and the time until what the kernel compares with it, the working set now, has grown to it. None for a
/// pod that is gone.
fn to_limit(run: &Run<'_, '_>, per_hour: f64, view: &View<'_>) -> Option<(Bytes, Seconds)> {
    let limit = run.limit.filter(|_| run.member.is_live())?;
    let (_, now) = run.member.series(view, Metric::MemoryWorkingSet).ok()?.latest()?;
    Some((Bytes(limit), Seconds(((limit - now) / per_hour * 3600.0).max(0.0).round())))
}

fn finish(problem: Problem, run: &Run<'_, '_>) -> Problem {
    let pod = run.member.pod_name();
    problem
        .pod(pod)
        .since(run.memory.iter().next().map(|(i, _)| run.memory.window().at(i)))
        .advise(Advice::new(Text::new("profile").with("pod", pod)))
}

#[cfg(test)]
mod tests {
    use crate::finding::Finding;
    use crate::fixture;
    use crate::metric::Metric;

    /// The classic methods; `robust` has tests of its own.
    fn classic(text: &str) -> String {
        if text.contains("method=") { text.to_owned() } else { format!("set method=linear\n{text}") }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("memory-leak", &classic(text), expected);
    }

    fn advice(text: &str) -> Vec<String> {
        fixture::advice("memory-leak", &classic(text))
    }

    fn findings(text: &str) -> Vec<Finding> {
        fixture::findings("memory-leak", &classic(text))
    }

    #[test]
    fn a_line_is_a_leak() {
        check(
            "container web/api-0/app limit=8Gi  memory: 300+12x47",
            "warning web/api/app (api-0): memory grows by 12.6MB/h (564Mi over 47h), a leak by least squares (r² 1)",
        );
    }

    #[test]
    fn near_its_limit_it_is_critical() {
        // 864Mi after two days: at 12 Mi an hour the limit is 24 hours away, then 25.
        check(
            "container web/api-0/app limit=1152Mi  memory: 300+12x47",
            "critical web/api/app (api-0): memory grows by 12.6MB/h (564Mi over 47h), a leak by least squares (r² 1)",
        );
        check(
            "container web/api-0/app limit=1164Mi  memory: 300+12x47",
            "warning web/api/app (api-0): memory grows by 12.6MB/h (564Mi over 47h), a leak by least squares (r² 1)",
        );
        assert_eq!(
            advice("container web/api-0/app limit=1152Mi  memory: 300+12x47"),
            [
                "at this rate the limit of 1.12Gi is reached in 1d; plan a restart before, or raise the limit",
                "take a heap profile of pod api-0 and compare it with one taken just after its start",
            ]
        );
    }

    /// 10 MB/h is no leak, because the slope must be above it; a MB is 0.95367431640625 Mi.
    #[test]
    fn the_slope_itself_is_no_leak() {
        check("container web/api-0/app  memory: 300+9.5367431640625x47", "1 ok");
        check(
            "set min-slope=9.9MB/h\ncontainer web/api-0/app  memory: 300+9.5367431640625x47",
            "warning web/api/app (api-0): memory grows by 10MB/h (448.2Mi over 47h), a leak by least squares (r² 1)",
        );
        check("container web/api-0/app  memory: 300x47", "1 ok");
        check("container web/api-0/app  memory: 900-12x47", "1 ok");
    }

    #[test]
    fn day_and_night_are_no_leak() {
        check(
            "container web/api-0/app  memory: 300+40x11 740-40x11 300+40x11 740-40x11 300+40x11 740-40x11",
            "1 ok",
        );
    }

    #[test]
    fn a_step_is_no_line() {
        check("container web/api-0/app  memory: 300x23 2000x2 300x23 700x11", "1 ok");
    }

    #[test]
    fn too_little_is_unknown() {
        check("container web/api-0/app  memory: 300+12x3 _x20", "1 unknown: 4 samples, 24 needed");
        check(
            "window lookback=48h\ncontainer web/api-0/app  memory: _x24 300+12x22",
            "1 unknown: 23 samples, 24 needed",
        );
        // Enough samples, not enough time.
        check(
            "window step=15m lookback=2d\ncontainer web/api-0/app  memory: _x144 300+12x46",
            "1 unknown: history of 11 h 30 min, 1 d needed",
        );
        check("container web/api-0/app", "1 unknown: no samples of memory-working-set");
        check("container web/api-0/app  memory: nanx47", "1 unknown: no samples of memory-working-set");
        check("offline\ncontainer web/api-0/app", "1 unknown: no metrics server");
        check(
            "absent memory rss\ncontainer web/api-0/app",
            "1 unknown: the server has no series of memory-working-set",
        );
    }

    #[test]
    fn a_short_look_back_asks_for_three_quarters_of_itself() {
        check(
            "window step=15m lookback=12h\ncontainer web/api-0/app  memory: _x12 300+12x35",
            "warning web/api/app (api-0): memory grows by 50.3MB/h (420Mi over 525m), a leak by least squares (r² 1)",
        );
    }

    #[test]
    fn restarts_cut_the_series() {
        // A saw-tooth: joined, the line through it is nearly flat.
        let saw = "300+20x39 300+20x39 300+20x39";
        check(
            &format!(
                "window lookback=5d\ncontainer web/api-0/app restarts=2  memory: {saw} restarts: _x40 1 _x39 1"
            ),
            "warning web/api/app (api-0): memory grows by 21MB/h (780Mi over 39h), a leak by least squares (r² 1)",
        );
        check(&format!("window lookback=5d\ncontainer web/api-0/app restarts=2  memory: {saw}"), "1 ok");
        // Without the counter, lasting falls from near the limit are restarts.
        check(
            &format!(
                "absent restarts\nwindow lookback=5d\ncontainer web/api-0/app limit=1100Mi  memory: {saw}"
            ),
            "critical web/api/app (api-0): memory grows by 21MB/h (780Mi over 39h), a leak by least squares (r² 1)",
        );
        // Falls from far below the limit are not.
        check(
            &format!("absent restarts\nwindow lookback=5d\ncontainer web/api-0/app limit=2Gi  memory: {saw}"),
            "1 ok",
        );
    }

    #[test]
    fn a_young_run_is_judged_by_the_one_before() {
        check(
            "container web/api-0/app limit=2000Mi state=running@4h  memory: 300+20x59 300+20x4",
            "warning web/api/app (api-0): memory grows by 21MB/h (1.15Gi over 59h), a leak by least squares (r² 1)",
        );
        // It counts from what the kernel sees now, not from where the last run ended.
        let found =
            findings("container web/api-0/app limit=2000Mi state=running@4h  memory: 300+20x59 300+20x4");
        let left = found[0].evidence.iter().find(|e| e.name == "time-to-limit").unwrap();
        assert_eq!(left.value.number(), Some(81.0 * 3600.0));
    }

    #[test]
    fn pods_that_are_gone_count_while_the_living_are_young() {
        let gone = "past web/api-6c6c6c6c6c-zzzzz/app  memory: 300+20x59";
        check(
            &format!("{gone}\ncontainer web/api-7d9c5bd4f7-x2x9z/app created=4h  memory: _x60 300x3"),
            "warning web/api/app (api-6c6c6c6c6c-zzzzz): memory grows by 21MB/h (1.15Gi over 59h), a leak by least squares (r² 1)",
        );
        check(&format!("{gone}\ncontainer web/api-7d9c5bd4f7-x2x9z/app  memory: 300x63"), "1 ok");
        check(&format!("{gone}\nworkload web/Deployment/api replicas=0/0"), "nothing");
    }

    #[test]
    fn the_worst_pod_is_named() {
        check(
            "container web/api-0/app  memory: 300+12x47\ncontainer web/api-1/app  memory: 300+15x47\ncontainer web/api-2/app  memory: 300x47",
            "warning web/api/app (api-1): memory grows by 15.7MB/h (705Mi over 47h), a leak by least squares (r² 1)",
        );
    }

    #[test]
    fn rss_goes_before_the_working_set() {
        // Page cache grows, the process does not.
        check("container web/api-0/app  memory: 300+12x47 rss: 200x47", "1 ok");
        let found = findings("container web/api-0/app  memory: 300x47 rss: 200+12x47");
        assert_eq!(found[0].series.as_ref().unwrap().metric, Metric::MemoryRss);
        // A server without it falls back.
        let found = findings("absent rss\ncontainer web/api-0/app  memory: 300+12x47");
        assert_eq!(found[0].series.as_ref().unwrap().metric, Metric::MemoryWorkingSet);
    }

    #[test]
    fn quarters_by_their_bounds() {
        let told = |last: &str| {
            fixture::told(
                "memory-leak",
                &format!(
                    "set method=quarters\ncontainer web/api-0/app  memory: 100x11 100x11 100x11 {last}x11"
                ),
            )
            .join("; ")
        };
        assert_eq!(told("109.9"), "1 ok");
        assert_eq!(
            told("110"),
            "warning web/api/app (api-0): memory of the last quarter is 10% above the first (over 47h)"
        );
        assert_eq!(
            told("120"),
            "warning web/api/app (api-0): memory of the last quarter is 20% above the first (over 47h)"
        );
        assert_eq!(
            told("120.1"),
            "critical web/api/app (api-0): memory of the last quarter is 20.1% above the first (over 47h)"
        );
        assert_eq!(told("50"), "1 ok");
    }

    #[test]
    fn quarters_of_zeros_say_nothing() {
        check("set method=quarters\ncontainer web/api-0/app  memory: 0x47", "1 ok");
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        check(
            "container web/api-0/app limit=0  memory: 300+12x47",
            "warning web/api/app (api-0): memory grows by 12.6MB/h (564Mi over 47h), a leak by least squares (r² 1)",
        );
    }

    #[test]
    fn samples_in_the_future_change_nothing() {
        check(
            "window now=-10m\ncontainer web/api-0/app limit=8Gi  memory: 300+12x47",
            "warning web/api/app (api-0): memory grows by 12.6MB/h (564Mi over 47h), a leak by least squares (r² 1)",
        );
    }
}
