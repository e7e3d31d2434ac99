//! The chart of a leak: the pod that is named, its floor, the growth fitted to it, and when it reaches the limit.

use crate::chart::{ChartCurve, ChartSeries, CurveKind, ReachesLimit};
use crate::leak::{LeakReport, RunEvidence};
use crate::metric::Metric;
use crate::time::Timestamp;
use crate::view::{Member, View, WorkloadContainer};

/// `pod` is the place of the member among the series that were judged; `left` its limit and its use now, in bytes.
pub(super) fn chart(
    view: &View<'_>,
    container: &WorkloadContainer<'_>,
    member: &Member<'_>,
    metric: Metric,
    report: &LeakReport,
    pod: usize,
    left: Option<(f64, f64)>,
) -> Option<ChartSeries> {
    let mut chart = ChartSeries::of_member(view, container, member, metric)?;
    let own = || report.evidence.iter().filter(|run| run.pod == pod);
    let floors = own().map(|run| curve(CurveKind::Floor, run, &run.floor));
    let fits = own().map(|run| curve(CurveKind::Fitted, run, &run.fitted));
    chart.curves(floors.chain(fits).collect());
    chart.reaches_limit = left.and_then(|(limit, now)| reaches(report, limit, now, view.snapshot.taken_at));
    Some(chart)
}

fn curve(kind: CurveKind, run: &RunEvidence, values: &[f64]) -> ChartCurve {
    let at = run.at_unix.iter().map(|s| Timestamp::from_unix_seconds(s.round() as i64));
    ChartCurve { kind, points: at.zip(values.iter().copied()).collect() }
}

fn reaches(report: &LeakReport, limit: f64, now: f64, taken_at: Timestamp) -> Option<ReachesLimit> {
    let rate = report.rate?;
    let at = |rate: f64| {
        let seconds = (limit - now).max(0.0) / rate * 3600.0;
        // Further away than that is never.
        (rate > 0.0 && seconds < 3.2e9).then(|| taken_at.plus_seconds(seconds.round()))
    };
    Some(ReachesLimit { at: at(rate.bytes_per_hour)?, earliest: at(rate.high), latest: at(rate.low) })
}
