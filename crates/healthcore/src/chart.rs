//! What a chart of a finding shows: a thinned curve, the lines it is compared with, and what happened meanwhile.
//!
//! A finding outlives the series of its partition, so it keeps a few hundred numbers and no more.

use serde::{Deserialize, Serialize};

use crate::finding::{Advice, Value};
use crate::inventory::VolumeClaim;
use crate::metric::Metric;
use crate::model::Hpa;
use crate::series::{Series, SeriesKey};
use crate::time::Timestamp;
use crate::view::{Member, View, WorkloadContainer};

/// Points of the curve: enough for the width of a page.
const MOST_POINTS: usize = 120;
/// Points of all further curves together.
const MOST_FITTED: usize = 80;
/// Marks; the latest are kept.
const MOST_MARKS: usize = 40;

/// The chart of a finding. Values are in the unit of the metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartSeries {
    /// What it measures.
    pub metric: Metric,
    /// Instants and values in order of time; the extremes of every stretch are among them.
    pub points: Vec<(Timestamp, f64)>,
    /// Settings that the curve is compared with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<ChartLine>,
    /// What the analysis saw in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<ChartCurve>,
    /// What happened, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<ChartMark>,
    /// When the limit will be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaches_limit: Option<ReachesLimit>,
}

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChartLine {
    /// Which one.
    pub kind: LineKind,
    /// Its value.
    pub value: f64,
}

/// Settings that are drawn as lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LineKind {
    /// Request of the container.
    Request,
    /// Limit of the container.
    Limit,
    /// Fewest replicas.
    Min,
    /// Most replicas.
    Max,
    /// The request that is advised.
    AdvisedRequest,
    /// The limit that is advised.
    AdvisedLimit,
    /// The fewest replicas that are advised.
    AdvisedMin,
    /// The most replicas that are advised.
    AdvisedMax,
}

impl LineKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Limit => "limit",
            Self::Min => "min",
            Self::Max => "max",
            Self::AdvisedRequest => "advised-request",
            Self::AdvisedLimit => "advised-limit",
            Self::AdvisedMin => "advised-min",
            Self::AdvisedMax => "advised-max",
        }
    }
}

/// A further curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChartCurve {
    /// What it is.
    pub kind: CurveKind,
    /// Instants and values in order of time.
    pub points: Vec<(Timestamp, f64)>,
}

/// Curves of the analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CurveKind {
    /// The floor of a process run.
    Floor,
    /// The growth fitted to that floor.
    Fitted,
}

impl CurveKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Fitted => "fitted",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChartMark {
    /// When; to the grid of the run, where a counter tells it.
    pub at: Timestamp,
    /// What.
    pub kind: MarkKind,
}

/// Things that happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MarkKind {
    /// The workload got a new revision.
    Deploy,
    /// The kernel killed a process for memory.
    OomKill,
    /// The container was started again.
    Restart,
}

impl MarkKind {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::OomKill => "oom-kill",
            Self::Restart => "restart",
        }
    }
}

/// When growth reaches the limit, by the 95 % interval of its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachesLimit {
    /// Best estimate.
    pub at: Timestamp,
    /// At the upper end of the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Timestamp>,
    /// At the lower end of the rate; none when that end does not grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Timestamp>,
}

impl ChartSeries {
    /// A curve alone.
    #[must_use]
    pub fn new(metric: Metric, series: Series<'_>) -> Self {
        Self {
            metric,
            points: series.thinned(MOST_POINTS),
            lines: Vec::new(),
            curves: Vec::new(),
            marks: Vec::new(),
            reaches_limit: None,
        }
    }

    /// A metric of a container in one pod with its request, its limit and what happened; none without samples. A
    /// check that shows it needs [`crate::need::Needs::chart`].
    #[must_use]
    pub fn of_member(
        view: &View<'_>,
        container: &WorkloadContainer<'_>,
        member: &Member<'_>,
        metric: Metric,
    ) -> Option<Self> {
        let series = member.series(view, metric).ok().filter(|s| !s.is_empty())?;
        let mut chart = Self::new(metric, series);
        let resources = member.container.map_or_else(|| container.resources(), |c| c.resources);
        let (request, limit) = if metric.unit() == "cores" {
            (resources.cpu_request.map(|c| c.get()), resources.cpu_limit.map(|c| c.get()))
        } else {
            (resources.memory_request.map(|b| b.get()), resources.memory_limit.map(|b| b.get()))
        };
        chart.line(LineKind::Request, request);
        chart.line(LineKind::Limit, limit);
        chart.marks = marks(view, container, member);
        Some(chart)
    }

    /// The chart of the living member that uses most at any time; none without samples.
    #[must_use]
    pub fn of_fullest(view: &View<'_>, container: &WorkloadContainer<'_>, metric: Metric) -> Option<Self> {
        let peak = |m: &Member<'_>| m.series(view, metric).ok()?.values().max_by(f64::total_cmp);
        let (member, _) = container
            .live()
            .filter_map(|m| Some((m, peak(m)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then_with(|| b.0.key.cmp(&a.0.key)))?;
        Self::of_member(view, container, member, metric)
    }

    /// Restarts of a container in one pod since the window began, counted up; none where nobody counts them.
    #[must_use]
    pub fn of_restarts(
        view: &View<'_>,
        container: &WorkloadContainer<'_>,
        member: &Member<'_>,
    ) -> Option<Self> {
        let counted = view.series(Metric::Restarts, &member.key).ok()??;
        let window = &view.snapshot.window;
        let mut points = vec![(window.first(), 0.0)];
        let mut total = 0.0;
        for (index, restarts) in counted.iter().filter(|(_, n)| *n > 0.0) {
            total += restarts;
            points.push((window.at(index), total));
        }
        points.push((window.end(), total));
        let mut chart = Self { points: strided(points, MOST_POINTS), ..Self::new(Metric::Restarts, counted) };
        chart.marks = marks(view, container, member);
        (total > 0.0).then_some(chart)
    }

    /// The replicas of an autoscaler between its bounds; none without samples.
    #[must_use]
    pub fn of_autoscaler(view: &View<'_>, hpa: &Hpa) -> Option<Self> {
        let key = SeriesKey::autoscaler(&hpa.namespace, &hpa.name);
        let series = view.series(Metric::HpaReplicas, &key).ok().flatten().filter(|s| !s.is_empty())?;
        let mut chart = Self::new(Metric::HpaReplicas, series);
        chart.line(LineKind::Min, Some(f64::from(hpa.min_replicas)));
        chart.line(LineKind::Max, Some(f64::from(hpa.max_replicas)));
        Some(chart)
    }

    /// The free room of a volume; none without samples.
    #[must_use]
    pub fn of_volume(view: &View<'_>, claim: &VolumeClaim) -> Option<Self> {
        let key = SeriesKey::volume_claim(&claim.id.namespace, &claim.id.name);
        let series = view.series(Metric::VolumeFree, &key).ok().flatten().filter(|s| !s.is_empty())?;
        Some(Self::new(Metric::VolumeFree, series))
    }

    fn line(&mut self, kind: LineKind, value: Option<f64>) {
        if let Some(value) = value.filter(|v| *v > 0.0) {
            self.lines.push(ChartLine { kind, value });
        }
    }

    /// Adds what is advised, where it is in the unit of the chart.
    pub(crate) fn advise(&mut self, advice: &[Advice]) {
        for a in advice {
            let kind = match (a.resource.as_deref(), self.metric.unit()) {
                (Some("memory.request"), "bytes") | (Some("cpu.request"), "cores") => {
                    LineKind::AdvisedRequest
                }
                (Some("memory.limit"), "bytes") | (Some("cpu.limit"), "cores") => LineKind::AdvisedLimit,
                (Some("hpa.minReplicas"), "count") => LineKind::AdvisedMin,
                (Some("hpa.maxReplicas"), "count") => LineKind::AdvisedMax,
                _ => continue,
            };
            self.line(kind, a.to.as_ref().and_then(Value::number));
        }
    }

    /// Adds curves of the analysis, thinned together.
    pub(crate) fn curves(&mut self, curves: Vec<ChartCurve>) {
        let all: usize = curves.iter().map(|c| c.points.len()).sum();
        let share = |own: usize| (MOST_FITTED * own).div_ceil(all.max(1));
        let thinned = |curve: ChartCurve| {
            let most = share(curve.points.len());
            ChartCurve { kind: curve.kind, points: strided(curve.points, most) }
        };
        self.curves = curves.into_iter().filter(|c| c.points.len() > 1).map(thinned).collect();
    }
}

/// About `most` points, evenly taken, with the first and the last: enough for a curve that does not jump.
fn strided(points: Vec<(Timestamp, f64)>, most: usize) -> Vec<(Timestamp, f64)> {
    let every = points.len().div_ceil(most.max(1)).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate().filter(|(i, _)| i.is_multiple_of(every) || *i == last);
    kept.map(|(_, point)| point).collect()
}

/// Revisions of the workload, and restarts and OOM kills of the container in that pod, within the window.
fn marks(view: &View<'_>, container: &WorkloadContainer<'_>, member: &Member<'_>) -> Vec<ChartMark> {
    let window = &view.snapshot.window;
    let events = |metric, kind| {
        let counted = view.series(metric, &member.key).ok().flatten();
        let at: Vec<ChartMark> = counted
            .iter()
            .flat_map(Series::iter)
            .filter(|(_, n)| *n > 0.0)
            .map(|(i, _)| ChartMark { at: window.at(i), kind })
            .collect();
        at
    };
    let step = f64::from(window.step_s());
    let near = |a: Timestamp, b: Timestamp| a.seconds_since(b).abs() <= step;
    let mut marks = events(Metric::OomEvents, MarkKind::OomKill);
    let told = member.container.and_then(|c| c.last_termination.as_ref());
    if let Some(at) = told.filter(|t| t.reason == "OOMKilled").and_then(|t| t.finished)
        && marks.iter().all(|m| !near(m.at, at))
    {
        marks.push(ChartMark { at, kind: MarkKind::OomKill });
    }
    // The restart that follows a kill is the same event, up to a step apart.
    let kills: Vec<Timestamp> = marks.iter().map(|m| m.at).collect();
    let follows = |m: &ChartMark| kills.iter().any(|kill| near(m.at, *kill));
    marks.extend(events(Metric::Restarts, MarkKind::Restart).into_iter().filter(|m| !follows(m)));
    // Where nobody counts restarts, the object tells of the last one.
    if let Some(at) = told.and_then(|t| t.finished)
        && marks.iter().all(|m| !near(m.at, at))
    {
        marks.push(ChartMark { at, kind: MarkKind::Restart });
    }
    let deploys = container.workload.revisions.iter().filter_map(|r| r.created);
    marks.extend(deploys.map(|at| ChartMark { at, kind: MarkKind::Deploy }));
    marks.retain(|m| (window.start()..=window.end()).contains(&m.at));
    marks.sort();
    marks.dedup();
    marks.split_off(marks.len().saturating_sub(MOST_MARKS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn chart(check: &str, text: &str) -> ChartSeries {
        fixture::findings(check, text).remove(0).series.expect("a chart")
    }

    fn lines(chart: &ChartSeries) -> Vec<String> {
        chart.lines.iter().map(|l| format!("{} {}", l.kind.name(), l.value / 1_048_576.0)).collect()
    }

    #[test]
    fn use_against_request_limit_and_advice() {
        let chart = chart(
            "memory-usage",
            "container web/api-0/app request=100Mi limit=1000Mi  memory: 950x30\ncontainer web/api-1/app limit=1000Mi  memory: 900x30",
        );
        assert_eq!(lines(&chart), ["request 100", "limit 1000", "advised-limit 1280"]);
        assert!(chart.points.iter().all(|(_, v)| *v == 950.0 * 1_048_576.0) && chart.marks.is_empty());
    }

    #[test]
    fn a_kill_and_its_restart_are_one_mark() {
        let chart = chart(
            "memory-usage",
            "container web/api-0/app limit=1000Mi  memory: 950x11  restarts: 0x1 1 0x2 1 0x4  oom: 0x2 1 0x7",
        );
        let told: Vec<_> = chart.marks.iter().map(|m| m.kind.name()).collect();
        assert_eq!(told, ["oom-kill", "restart"]);
        assert!(chart.marks[0].at < chart.marks[1].at);
    }

    /// The object tells of one restart, which nobody counted, or which the counter tells too.
    #[test]
    fn the_last_restart_is_marked_where_nobody_counts() {
        let marked = |counted: &str| {
            let text = format!(
                "container web/api-0/app limit=1000Mi restarts=1 last=Error:1@2h  memory: 950x11{counted}"
            );
            chart("memory-usage", &text).marks.iter().map(|m| m.kind.name()).collect::<Vec<_>>()
        };
        assert_eq!(marked(""), ["restart"]);
        assert_eq!(marked("  restarts: 0x8 1 0x1"), ["restart"]);
        assert_eq!(marked("  restarts: 0x3 1 0x6"), ["restart", "restart"]);
    }

    #[test]
    fn restarts_are_counted_up() {
        let chart = chart(
            "restarts",
            "container web/api-0/app restarts=3  restarts: 0x1 1 0x2 2 0x4  oom: 0x2 1 0x7  memory: 9x11",
        );
        let counts: Vec<f64> = chart.points.iter().map(|p| p.1).collect();
        assert_eq!(counts, [0.0, 1.0, 3.0, 3.0]);
        let marks: Vec<MarkKind> = chart.marks.iter().map(|m| m.kind).collect();
        assert_eq!(marks, [MarkKind::OomKill, MarkKind::Restart]);
    }

    #[test]
    fn a_finding_stays_small() {
        let points = |n: i64| (0..n).map(|i| (Timestamp::from_unix_seconds(i), i as f64)).collect::<Vec<_>>();
        let mut chart = chart("memory-usage", "container web/api-0/app limit=1000Mi  memory: 950x160");
        assert!(chart.points.len() <= MOST_POINTS);
        chart.curves(vec![
            ChartCurve { kind: CurveKind::Floor, points: points(1000) },
            ChartCurve { kind: CurveKind::Fitted, points: points(1000) },
            ChartCurve { kind: CurveKind::Fitted, points: points(1) },
        ]);
        assert_eq!(chart.curves.len(), 2);
        assert!(chart.curves.iter().all(|c| c.points.len() <= MOST_FITTED / 2 + 2));
        assert!(chart.curves.iter().all(|c| c.points.last().is_some_and(|p| p.1 == 999.0)));
    }
}
