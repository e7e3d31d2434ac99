//! Process runs and their floor.

use std::collections::BTreeMap;

use super::{LeakInput, PodSeries, Reason, RunEvidence};

/// A run shorter than this share of the long ones says nothing about growth.
const SHORT_RUN: f64 = 0.2;
/// Runs judged at most; the longest are kept.
const MOST_RUNS: usize = 30;
/// Most bytes that a machine may have: more is a mistake, and its squares would not be numbers.
const MOST_BYTES: f64 = 1e24;
/// Bins of all floors together, about, at most: a long window or many runs have wider ones, and time and memory stay bounded.
const MOST_BINS: f64 = 1000.0;
/// Share of a bin by which a sample on its edge may miss it by rounding.
const EDGE: f64 = 1e-9;
/// Fewest samples of a run.
const FEWEST_SAMPLES: usize = 6;
/// Fewest bins of a floor.
const FEWEST_BINS: usize = 5;
/// Hours before a restart that are a burst and no floor.
const BURST_HOURS: f64 = 0.75;
/// Shares of a fall between which memory jumps when a job begins, and seconds that it takes at most.
const JUMP: (f64, f64) = (0.2, 0.8);
const JUMP_S: f64 = 1800.0;
/// Quantile of a bin that is its floor.
const FLOOR_QUANTILE: f64 = 0.20;

/// The samples of one process, from its start (or the start of the window) to its end.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Index of the pod in the input.
    pub(super) pod: usize,
    /// Hours since the start of the window.
    pub(super) hours: Vec<f64>,
    /// Bytes.
    pub(super) bytes: Vec<f64>,
    /// Load at the same instants; empty when it is not known.
    pub(super) load: Vec<f64>,
    /// Whether it ended before the window did.
    pub(super) ended: bool,
    /// Whether it may have begun before the window did, so that its age is not known.
    pub(super) older: bool,
}

impl Run {
    /// Hours since the window's start of its last sample.
    pub(super) fn end(&self) -> f64 {
        self.hours[self.hours.len() - 1]
    }
    pub(super) fn span(&self) -> f64 {
        self.hours[self.hours.len() - 1] - self.hours[0]
    }
    /// Mean of the first and of the last tenth, bytes.
    pub(super) fn ends(&self) -> (f64, f64) {
        let tenth = (self.bytes.len() / 10).max(1);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        (mean(&self.bytes[..tenth]), mean(&self.bytes[self.bytes.len() - tenth..]))
    }
}

/// A run thinned to one value a bin.
#[derive(Debug, Clone)]
pub(super) struct Floor {
    pub(super) pod: usize,
    /// Whether the age of the process is not known.
    pub(super) older: bool,
    pub(super) hours: Vec<f64>,
    pub(super) bytes: Vec<f64>,
    /// Mean load of each bin; empty when it is not known.
    pub(super) load: Vec<f64>,
}

impl Floor {
    /// What a chart needs of it.
    pub(super) fn evidence(&self, input: &LeakInput<'_>, fitted: Vec<f64>) -> RunEvidence {
        RunEvidence {
            pod: self.pod,
            at_unix: self.hours.iter().map(|h| input.start_unix as f64 + h * 3600.0).collect(),
            floor: self.bytes.clone(),
            fitted,
        }
    }
}

/// What memory can be; NaN is not.
fn is_sample(value: f64) -> bool {
    (0.0..=MOST_BYTES).contains(&value)
}

/// Whether a pod with that many samples may be judged.
pub(super) fn enough(samples: usize) -> bool {
    samples >= FEWEST_SAMPLES
}

/// Why no pod has a run.
pub(super) fn why_none(input: &LeakInput<'_>) -> Reason {
    let most = input.series.iter().map(|pod| samples(input, pod).count()).max().unwrap_or(0);
    match most {
        0 => Reason::NoSamples,
        most if enough(most) => Reason::RunsTooShort,
        _ => Reason::TooFewSamples,
    }
}

/// Index, seconds since the window's start and bytes of the samples that are memory and in the window.
fn samples<'a>(
    input: &LeakInput<'_>,
    series: &PodSeries<'a>,
) -> impl Iterator<Item = (usize, f64, f64)> + use<'a> {
    let step = input.step_s;
    let offset = series.start_unix as f64 - input.start_unix as f64;
    let last = input.end_unix as f64 - input.start_unix as f64;
    let at = move |i: usize| offset + i as f64 * step;
    let within = move |at: f64| at <= last + 0.5 * step && at >= -0.5 * step;
    let all = series.values.iter().enumerate().map(move |(i, &value)| (i, at(i), value));
    all.filter(move |(_, at, value)| is_sample(*value) && within(*at))
}

/// Splits every pod into process runs, ordered by start and then by pod name.
pub(super) fn split(input: &LeakInput<'_>) -> Vec<Run> {
    let mut runs = Vec::new();
    for (pod, series) in input.series.iter().enumerate() {
        split_pod(input, pod, series, &mut runs);
    }
    runs.sort_by(|a, b| {
        let name = |run: &Run| input.series[run.pod].pod;
        a.hours[0]
            .total_cmp(&b.hours[0])
            .then_with(|| name(a).cmp(name(b)))
            .then_with(|| a.bytes.len().cmp(&b.bytes.len()))
            .then_with(|| a.bytes[0].total_cmp(&b.bytes[0]))
    });
    runs
}

fn split_pod(input: &LeakInput<'_>, pod: usize, series: &PodSeries<'_>, runs: &mut Vec<Run>) {
    let step = input.step_s;
    let last = input.end_unix as f64 - input.start_unix as f64;
    let mut seconds = Vec::with_capacity(series.values.len());
    let mut bytes = Vec::with_capacity(series.values.len());
    let given = series.load.unwrap_or_default();
    let mut load = Vec::with_capacity(given.len());
    for (i, at, value) in samples(input, series) {
        seconds.push(at);
        bytes.push(value);
        if !given.is_empty() {
            load.push(given.get(i).copied().unwrap_or(f64::NAN));
        }
    }
    if !enough(bytes.len()) {
        return;
    }
    let known = series.restarts_unix.unwrap_or_default().iter().chain(series.starts_unix);
    let mut cuts: Vec<usize> = known
        .map(|&at| {
            let at = at as f64 - input.start_unix as f64;
            // At the instant itself stands the last sample of the process before.
            seconds.partition_point(|&s| s <= at)
        })
        .collect();
    if let (None, Some(limit)) = (series.restarts_unix, input.limit()) {
        cuts.extend(falls_from_limit(&bytes, limit, step));
    }
    cuts.push(0);
    cuts.push(bytes.len());
    cuts.sort_unstable();
    cuts.dedup();
    for pair in cuts.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        if to - from >= FEWEST_SAMPLES {
            runs.push(Run {
                pod,
                hours: seconds[from..to].iter().map(|s| s / 3600.0).collect(),
                bytes: bytes[from..to].to_vec(),
                load: load.get(from..to).unwrap_or_default().to_vec(),
                ended: to < bytes.len() || seconds[to - 1] < last - 3.0 * step,
                older: from == 0 && seconds[0] < 3.0 * step,
            });
        }
    }
}

/// Where memory was about to reach the limit and then fell for good: restarts of which no log tells.
fn falls_from_limit(bytes: &[f64], limit: f64, step_s: f64) -> Vec<usize> {
    let mut cuts = Vec::new();
    for j in 1..bytes.len() {
        let (before, after) = (bytes[j - 1], bytes[j]);
        if before < 0.80 * limit || after >= 0.85 * before {
            continue;
        }
        let a = j.saturating_sub(7);
        let rise = ((before - bytes[a]) / (j - 1 - a).max(1) as f64).max(0.0);
        let mut next: Vec<f64> = bytes[j..bytes.len().min(j + 4)].to_vec();
        let settled = quantile(&mut next, 0.5);
        let since = cuts.last().copied().unwrap_or(0);
        if before + 2.5 * rise >= 0.96 * limit
            && settled < 0.87 * before
            && !has_jumped(&bytes[since..j], settled, step_s)
        {
            cuts.push(j);
        }
    }
    if cuts.len() >= 2 {
        let mut gaps: Vec<f64> = cuts.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
        if quantile(&mut gaps, 0.5) * step_s < 5400.0 {
            // That fast it is a collector near its ceiling.
            cuts.clear();
        }
    }
    cuts
}

/// Whether memory rose at one stroke to where it then fell from, back to `low`: a job that began and ended.
fn has_jumped(bytes: &[f64], low: f64, step_s: f64) -> bool {
    let height = bytes[bytes.len() - 1] - low;
    let below = |share: f64| bytes.iter().rposition(|v| *v < low + share * height);
    match (below(JUMP.0), below(JUMP.1)) {
        (Some(low), Some(high)) => (high.saturating_sub(low) as f64 * step_s) < JUMP_S,
        _ => false,
    }
}

/// The runs of each pod, in the order of the pods' first runs.
pub(super) fn by_pod(runs: &[Run]) -> Vec<Vec<&Run>> {
    let mut pods: BTreeMap<usize, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        pods.entry(run.pod).or_default().push(run);
    }
    pods.into_values().collect()
}

/// How much the run of a pod that rises most rises: mean of its last third above that of its first, bytes.
pub(super) fn rise(runs: &[&Run]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let of = |run: &&Run| {
        let third = (run.bytes.len() / 3).max(1);
        mean(&run.bytes[run.bytes.len() - third..]) - mean(&run.bytes[..third])
    };
    runs.iter().map(of).fold(f64::NEG_INFINITY, f64::max)
}

/// Keeps the runs that are long beside the others, and of those the longest.
pub(super) fn keep_long<'a>(runs: &[&'a Run]) -> Vec<&'a Run> {
    let mut spans: Vec<f64> = runs.iter().map(|run| run.span()).collect();
    if spans.is_empty() {
        return Vec::new();
    }
    let bound = (SHORT_RUN * quantile(&mut spans, 0.9)).max(1.0);
    let mut order: Vec<usize> = (0..runs.len()).filter(|&i| runs[i].span() >= bound).collect();
    order.sort_by(|&a, &b| runs[b].span().total_cmp(&runs[a].span()).then(a.cmp(&b)));
    order.truncate(MOST_RUNS);
    order.sort_unstable();
    order.into_iter().map(|i| runs[i]).collect()
}

/// Floors of all runs: the quantile of each bin that is calmer over the whole workload.
///
/// A collector makes the low quantile calm, drop-outs make the median calm.
pub(super) fn floors(runs: &[&Run], step_s: f64) -> Vec<Floor> {
    if runs.is_empty() {
        return Vec::new();
    }
    let mut spans: Vec<f64> = runs.iter().map(|run| run.span()).collect();
    let bins = if runs.len() <= 4 { 48.0 } else { 30.0 };
    let mut width = (quantile(&mut spans, 0.5) / bins).clamp(0.25, 3.0);
    if step_s >= 900.0 {
        width = width.max(0.75);
    }
    width = width.max(spans.iter().sum::<f64>() / MOST_BINS);
    let mut floors = [Vec::new(), Vec::new(), Vec::new()];
    let mut rough = [0.0; 3];
    for run in runs {
        if let Some(kinds) = floor(run, width, step_s) {
            for ((floors, rough), kind) in floors.iter_mut().zip(&mut rough).zip(kinds) {
                *rough += roughness(&kind.bytes);
                floors.push(kind);
            }
        }
    }
    let [low, middle, mean] = rough;
    let [floor, median, average] = floors;
    if mean < low.min(middle) {
        average
    } else if middle < 0.8 * low {
        median
    } else {
        floor
    }
}

/// Low quantile and median of each bin.
fn floor(run: &Run, width: f64, step_s: f64) -> Option<[Floor; 3]> {
    let start = run.hours[0];
    let mut end = run.hours.len();
    if run.ended && run.span() > 3.0 {
        let last = run.hours[end - 1] - BURST_HOURS;
        end = run.hours.partition_point(|&h| h <= last);
    }
    let alone = width <= step_s / 3600.0 * 1.5;
    let bin_of = |hours: f64| ((hours - start) / width + EDGE).floor();
    let mut hours = Vec::new();
    let mut values = [Vec::new(), Vec::new(), Vec::new()];
    let mut load = Vec::new();
    let mut bin = Vec::new();
    let mut i = 0;
    while i < end {
        let k = bin_of(run.hours[i]);
        bin.clear();
        let mut sum = 0.0;
        let from = i;
        while i < end && bin_of(run.hours[i]) == k {
            bin.push(run.bytes[i]);
            sum += run.hours[i];
            i += 1;
        }
        if bin.len() >= 2 || alone {
            hours.push(sum / bin.len() as f64);
            if !run.load.is_empty() {
                load.push(mean_of_known(&run.load[from..i]));
            }
            values[0].push(quantile(&mut bin, FLOOR_QUANTILE));
            values[1].push(quantile(&mut bin, 0.5));
            bin.sort_unstable_by(f64::total_cmp);
            let cut = bin.len() / 10;
            let kept = &bin[cut..bin.len() - cut];
            values[2].push(kept.iter().sum::<f64>() / kept.len() as f64);
        }
    }
    if hours.len() < FEWEST_BINS {
        return None;
    }
    Some(values.map(|bytes| Floor {
        pod: run.pod,
        older: run.older,
        hours: hours.clone(),
        bytes,
        load: load.clone(),
    }))
}

/// Mean of the finite values; NaN without any.
fn mean_of_known(values: &[f64]) -> f64 {
    let known = values.iter().filter(|v| v.is_finite());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}

/// Median size of the second differences.
fn roughness(values: &[f64]) -> f64 {
    let mut second: Vec<f64> = values.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).abs()).collect();
    if second.is_empty() { 0.0 } else { quantile(&mut second, 0.5) }
}

/// Quantile with linear interpolation; reorders `values`, which must not be empty.
pub(super) fn quantile(values: &mut [f64], q: f64) -> f64 {
    let position = q * (values.len() - 1) as f64;
    let below = position.floor() as usize;
    let rest = position - below as f64;
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    if rest <= 0.0 || above.is_empty() {
        return low;
    }
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    low + rest * (high - low)
}
