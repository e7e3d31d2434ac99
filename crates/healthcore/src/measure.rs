//! Measurements that several checks and tables share, so that they cannot differ.

use crate::metric::Metric;
use crate::series::Series;
use crate::snapshot::Missing;
use crate::stats;
use crate::time::{Timestamp, Window};
use crate::unit::{Bytes, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// How far a value is from an upper bound, as a share of it; 0 from the bound on.
#[must_use]
pub fn below(value: f64, bound: f64) -> f64 {
    distance(bound - value, bound)
}

/// How far a value is from a lower bound, as a share of it; 0 from the bound on.
#[must_use]
pub fn above(value: f64, bound: f64) -> f64 {
    distance(value - bound, bound)
}

fn distance(way: f64, bound: f64) -> f64 {
    if way <= 0.0 { 0.0 } else { way / bound }
}

/// A limit that Kubernetes takes beside a request: never below it.
#[must_use]
pub fn limit_beside(limit: Bytes, request: Option<Bytes>) -> Bytes {
    request.filter(|request| *request > limit).unwrap_or(limit)
}

/// Whether a mean is below a bound by more than the rounding of its sum.
#[must_use]
pub fn is_below(mean: f64, bound: f64) -> bool {
    mean < bound * (1.0 - 1e-12)
}

/// The value now: the median of the samples in the last `lookback`, so that one noisy sample decides nothing. On a
/// grid coarser than that it is the last sample of the grid.
///
/// # Errors
/// No sample in that time.
pub fn now(series: &Series<'_>, lookback: Seconds) -> Result<f64, Missing> {
    let lookback = Seconds(lookback.get().max(f64::from(series.window().step_s())));
    let mut values: Vec<f64> = series.last(lookback).values().collect();
    stats::median(&mut values).ok_or(Missing::TooFewSamples { have: 0, need: 1 })
}

/// Refuses a series with fewer than `need` samples or a shorter span than `span`.
///
/// # Errors
/// How much there is and how much is needed.
pub fn enough(series: &Series<'_>, need: u32, span: Seconds) -> Result<(), Missing> {
    let have = u32::try_from(series.count()).unwrap_or(u32::MAX);
    if have < need {
        return Err(Missing::TooFewSamples { have, need });
    }
    // The grid is coarse: a span of n steps is seen as n - 1 steps between first and last sample.
    if series.span_s() + f64::from(series.window().step_s()) < span.get() {
        return Err(Missing::TooShort { have_s: series.span_s() as u32, need_s: span.get() as u32 });
    }
    Ok(())
}

/// The live member with the largest value of `measure`, and that value. Members without a value are passed
/// over as long as one has a value.
///
/// # Errors
/// No live member has a value: the first reason, or that there are no samples.
pub fn worst<'s, 'a>(
    container: &'s WorkloadContainer<'a>,
    metric: Metric,
    mut measure: impl FnMut(&'s Member<'a>) -> Result<f64, Missing>,
) -> Result<(&'s Member<'a>, f64), Missing> {
    let mut best: Option<(&Member<'a>, f64)> = None;
    let mut why = None;
    for member in container.live() {
        match measure(member) {
            Ok(value) if best.is_none_or(|(_, b)| value > b) => best = Some((member, value)),
            Ok(_) => {}
            Err(missing) => {
                why.get_or_insert(missing);
            }
        }
    }
    best.ok_or(why.unwrap_or(Missing::NoSamples { metric }))
}

/// All samples of the live members of a container in the last `lookback`, without order.
///
/// # Errors
/// No live member has a sample.
pub fn pooled(
    view: &View<'_>,
    container: &WorkloadContainer<'_>,
    metric: Metric,
    lookback: Seconds,
) -> Result<Vec<f64>, Missing> {
    pool(view, container.live(), metric, lookback)
}

/// All samples of the living members that stay up in the last `lookback`, without order: what the container needs.
///
/// # Errors
/// All members crash-loop, or none has a sample.
pub fn pooled_steady(
    view: &View<'_>,
    container: &WorkloadContainer<'_>,
    metric: Metric,
    lookback: Seconds,
) -> Result<Vec<f64>, Missing> {
    pool(view, container.steady(view)?.into_iter(), metric, lookback)
}

fn pool<'s, 'a: 's>(
    view: &View<'a>,
    members: impl Iterator<Item = &'s Member<'a>>,
    metric: Metric,
    lookback: Seconds,
) -> Result<Vec<f64>, Missing> {
    let mut values = Vec::new();
    let mut why = None;
    for member in members {
        match member.series(view, metric) {
            Ok(series) => values.extend(series.last(lookback).values()),
            Err(missing) => {
                why.get_or_insert(missing);
            }
        }
    }
    if values.is_empty() { Err(why.unwrap_or(Missing::NoSamples { metric })) } else { Ok(values) }
}

/// Cuts a container's memory into runs of one process each.
///
/// A run ends where the restart counter rises and where the process that runs now began. Where the restart counter
/// is not known (`Err`; `Ok(None)` is a counter that has not moved), also where memory falls to below half from at
/// least 80 % of the limit and stays there. Joined runs hide every leak that ends in an OOM kill.
#[must_use]
pub fn process_runs<'a>(
    memory: Series<'a>,
    restarts: &Result<Option<Series<'_>>, Missing>,
    started: Option<Timestamp>,
    limit: Option<f64>,
) -> Vec<Series<'a>> {
    let window: &Window = memory.window();
    let mut cuts: Vec<usize> = Vec::new();
    if let Ok(Some(restarts)) = restarts {
        cuts.extend(restarts.iter().filter(|(_, n)| *n > 0.0).map(|(i, _)| i));
    }
    if let Some(started) = started {
        let index = window.index_from(started);
        // The restart counter tells the same restart up to one step apart.
        if index > 0 && index < window.points() && cuts.iter().all(|c| c.abs_diff(index) > 1) {
            cuts.push(index);
        }
    }
    if let (Err(_), Some(limit)) = (restarts, limit.filter(|l| *l > 0.0)) {
        cuts.extend(lasting_falls(memory, limit));
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut runs = Vec::with_capacity(cuts.len() + 1);
    let mut from = 0;
    for cut in cuts.into_iter().chain([window.points()]) {
        let run = memory.slice(from, cut);
        if !run.is_empty() {
            runs.push(run);
        }
        from = cut;
    }
    runs
}

/// Where memory falls to below half from at least 80 % of the limit, and stays there for three samples.
fn lasting_falls(memory: Series<'_>, limit: f64) -> Vec<usize> {
    let points: Vec<(usize, f64)> = memory.iter().collect();
    let falls = |i: &usize| {
        let before = points[i - 1].1;
        let after = &points[*i..points.len().min(i + 3)];
        before >= 0.8 * limit && after.iter().all(|(_, v)| *v < 0.5 * before)
    };
    (1..points.len()).filter(falls).map(|i| points[i].0).collect()
}

/// Rounds an amount of memory up to what people write: a multiple of 16Mi below 1Gi, of 64Mi below 4Gi, of
/// 256Mi above.
#[must_use]
pub fn round_memory(bytes: Bytes) -> Bytes {
    let mib = bytes.get() / 1_048_576.0;
    let grain = if mib < 1024.0 {
        16.0
    } else if mib < 4096.0 {
        64.0
    } else {
        256.0
    };
    Bytes::from_mib((mib / grain).ceil().max(1.0) * grain)
}

/// Rounds an amount of CPU up to what people write: a multiple of 10m below 100m, of 50m below 1 core, of
/// 250m above.
#[must_use]
pub fn round_cpu(cores: crate::unit::Cores) -> crate::unit::Cores {
    let milli = cores.get() * 1000.0;
    let grain = if milli < 100.0 {
        10.0
    } else if milli < 1000.0 {
        50.0
    } else {
        250.0
    };
    crate::unit::Cores(((milli / grain).ceil().max(1.0) * grain) / 1000.0)
}

/// All samples of the live members over the whole look-back, once one of them has a history of `min_history` (or
/// three quarters of the look-back, when that is shorter).
///
/// # Errors
/// No live member has a sample, or none has history enough.
pub fn pooled_after(
    view: &View<'_>,
    container: &WorkloadContainer<'_>,
    metric: Metric,
    min_history: Seconds,
) -> Result<Vec<f64>, Missing> {
    long_enough(view, container.live(), metric, min_history)?;
    pooled(view, container, metric, Seconds(view.snapshot.window.seconds()))
}

/// [`pooled_after`] of the members that stay up: what the container needs.
///
/// # Errors
/// All members crash-loop, none has a sample, or none has history enough.
pub fn steady_after(
    view: &View<'_>,
    container: &WorkloadContainer<'_>,
    metric: Metric,
    min_history: Seconds,
) -> Result<Vec<f64>, Missing> {
    long_enough(view, container.steady(view)?.into_iter(), metric, min_history)?;
    pooled_steady(view, container, metric, Seconds(view.snapshot.window.seconds()))
}

fn long_enough<'s, 'a: 's>(
    view: &View<'a>,
    members: impl Iterator<Item = &'s Member<'a>>,
    metric: Metric,
    min_history: Seconds,
) -> Result<(), Missing> {
    let span = Seconds(min_history.get().min(0.75 * view.snapshot.window.seconds()));
    let mut why = Missing::NoSamples { metric };
    for member in members {
        match member.series(view, metric).and_then(|series| enough(&series, 3, span)) {
            Ok(()) => return Ok(()),
            Err(missing) => why = missing,
        }
    }
    Err(why)
}

/// Adds the command that sets a resource of a container, for kinds that `kubectl set resources` knows.
#[must_use]
pub fn set_resource(
    advice: crate::finding::Advice,
    container: &WorkloadContainer<'_>,
    what: &str,
    value: &str,
) -> crate::finding::Advice {
    let id = &container.workload.id;
    if !matches!(id.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
        return advice;
    }
    let kind = id.kind.to_ascii_lowercase();
    let command = format!(
        "kubectl -n {} set resources {kind}/{} -c {} --{what}={value}",
        id.namespace, id.name, container.name
    );
    advice.command(command, &[&id.namespace, &id.name, &container.name])
}
