//! Tells a memory leak from a warm-up, a cache, a step and the time of day.
//!
//! One question: does the memory of a workload grow without end, and does that matter? [`detect`] answers it
//! for the series of one container of one workload, over all its pods and all their process runs together.
//! It needs nothing else of this crate.
//!
//! 1. Every pod is split into process runs at its restarts. Without a restart log only a lasting fall from
//!    near the limit counts as one.
//! 2. A run becomes its floor: a low quantile a bin, so that a collector's sawtooth and short bursts go away.
//! 3. One regression over all runs: a level for each run; daily, weekend and weekly load shared; residuals
//!    whitened, because 5-minute samples are autocorrelated and ordinary p-values mean nothing.
//! 4. On top of it shapes that end (steps, plateau, warm-up, ramp and return) compete with shapes that do not
//!    (line, late onset, logarithm, acceleration) by BIC.
//! 5. Margins: better than any shape that ends, significant, still rising at the end, above the noise,
//!    relevant against the limit. The worst margin decides.
//! 6. The same for each long-lived pod alone, with a stricter bound: one bad replica among many.
//! 7. What grew in processes that are gone, or in work that ends by itself, is no leak.
//!
//! ```
//! use healthcore::leak::{LeakInput, LeakParams, PodSeries, Verdict, detect};
//!
//! // A week of 5-minute samples: 200 MB, growing by 1 MB an hour, with a little noise.
//! let noise = |i: u64| ((i * 7919) % 101) as f64 * 2e4;
//! let values: Vec<f64> = (0..2016).map(|i| 200e6 + i as f64 / 12.0 * 1e6 + noise(i)).collect();
//! let report = detect(
//!     &LeakInput {
//!         step_s: 300.0,
//!         limit_bytes: Some(512e6),
//!         start_unix: 1_700_000_000,
//!         end_unix: 1_700_000_000 + 2015 * 300,
//!         series: &[PodSeries {
//!             pod: "web-0",
//!             start_unix: 1_700_000_000,
//!             values: &values,
//!             restarts_unix: Some(&[]),
//!             ..PodSeries::default()
//!         }],
//!         ..LeakInput::default()
//!     },
//!     &LeakParams::default(),
//! );
//! assert_eq!(report.verdict, Verdict::Leak);
//! let rate = report.rate.unwrap();
//! assert!((0.97e6..1.03e6).contains(&rate.bytes_per_hour));
//! ```

mod batch;
mod fit;
mod regression;
mod revision;
mod runs;
mod shape;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use fit::{Fit, Frame};
use runs::{Floor, Run};
pub use shape::Shape;

/// Half width of a 95 % interval in standard errors.
const Z95: f64 = 1.96;
/// Part of the mean margin in the score; the rest is the worst margin.
const MEAN_SHARE: f64 = 0.09;
/// Largest effect of one margin on the score.
const MARGIN_CAP: f64 = 6.0;
/// Pods judged alone at most.
const MOST_ALONE: usize = 12;
/// Share of the window that the runs of a pod must last together for it to be judged alone.
const LONG_RUN: f64 = 0.45;
/// Share of the window that a run may end before the last one and still be alive.
const LATE_END: f64 = 0.03;
/// Share of the window that a living run must last to say that growth has ended.
const LONG_LIFE: f64 = 0.12;
/// Share of the rate below which living runs do not grow.
const ENDED_RATE: f64 = 0.3;
/// Share of its rise that the others have at most when a pod stands apart.
const APART: f64 = 0.5;
/// What the score of a pod alone counts when it does not stand apart, nor do most grow.
const COMMON: f64 = 0.8;
/// BIC that a pod alone must be better by, per doubling of the pods tried.
const ALONE_BIC: f64 = 1.5;

/// Memory of one container of one workload, over all its pods.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeakInput<'a> {
    /// Seconds between two samples.
    pub step_s: f64,
    /// Memory limit in bytes. Zero, negative and absent mean none.
    pub limit_bytes: Option<f64>,
    /// Memory of the node in bytes: what bounds memory where there is no limit.
    pub capacity_bytes: Option<f64>,
    /// Memory request in bytes; informative.
    pub request_bytes: Option<f64>,
    /// Unix time of the window's start, seconds.
    pub start_unix: i64,
    /// Unix time of the window's end, seconds.
    pub end_unix: i64,
    /// The pods, in any order.
    pub series: &'a [PodSeries<'a>],
    /// Unix times, seconds, at which a revision of the workload was rolled out; may be empty.
    pub revisions_unix: &'a [i64],
}

impl LeakInput<'_> {
    /// The limit, or the node's memory without one.
    fn bound(&self) -> Option<f64> {
        self.limit().or(self.capacity_bytes.filter(|c| c.is_finite() && *c > 0.0))
    }
    /// The limit, when it is one that can be reached.
    fn limit(&self) -> Option<f64> {
        self.limit_bytes.filter(|l| l.is_finite() && *l > 0.0)
    }
}

/// Memory of one container of one pod on a regular grid.
#[derive(Debug, Clone, Copy, Default)]
pub struct PodSeries<'a> {
    /// Name of the pod.
    pub pod: &'a str,
    /// Unix time of the first value, seconds.
    pub start_unix: i64,
    /// Bytes, one a step. NaN is a missing sample; negative values and those above 1e24 count as missing.
    pub values: &'a [f64],
    /// Unix times of restarts, seconds, in any order. `None`: not known. Empty: known to be none.
    pub restarts_unix: Option<&'a [i64]>,
    /// Unix times of starts that are known beside `restarts_unix`, seconds, in any order: where there is no restart log,
    /// others are still looked for.
    pub starts_unix: &'a [i64],
    /// Load that memory may follow, for instance requests a second, on the grid of `values`; NaN is a missing sample.
    /// Runs that know at least half of theirs share one coefficient; the others are judged without load.
    pub load: Option<&'a [f64]>,
}

/// Thresholds of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeakParams {
    /// Score from which on the verdict is `leak`.
    pub leak_score: f64,
    /// Score from which on the verdict is `watch`.
    pub watch_score: f64,
    /// Smallest growth over the window that matters, as a share of the limit (of 1.6 times the observed
    /// maximum without a limit), 0..=1.
    pub min_growth: f64,
}

impl Default for LeakParams {
    fn default() -> Self {
        Self { leak_score: 1.0, watch_score: 0.6, min_growth: 0.03 }
    }
}

/// The answer for one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Too little data to say.
    Unknown,
    /// Memory does not grow, or its growth ends, or it does not matter.
    None,
    /// Growth that may be a leak; look again with a longer window.
    Watch,
    /// Memory grows without end.
    Leak,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Watch => "watch",
            Self::Leak => "leak",
        })
    }
}

/// Why the verdict is what it is. [`fmt::Display`] gives English.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The step is not a positive number, or the window ends before it starts.
    InvalidWindow,
    /// There is no sample, or none that is memory: all are missing, negative or above 1e24, or outside the window.
    NoSamples,
    /// No pod has enough samples.
    TooFewSamples,
    /// All memory values are zero.
    AllZero,
    /// No process run lasts long enough.
    RunsTooShort,
    /// No shape rises.
    NotRising,
    /// A shape that ends explains the growth as well.
    Bounded(Shape),
    /// Too little growth to matter, as a share of the limit or of the scale used.
    TooSmall {
        /// Growth over the window, share.
        growth: f64,
        /// What it is a share of.
        of: Scale,
    },
    /// It grew, but no longer does.
    Flattening,
    /// It grew in processes that are gone; those that run now do not.
    Ended,
    /// Every run grows, ends by itself far from the limit, and the next begins anew: work that is done.
    EndsByItself,
    /// It seems to grow in this shape, but not surely enough for the bound on the score.
    Unsure(Shape),
    /// The growth does not stand out from noise and load.
    WithinNoise,
    /// It grows in this shape.
    Growing(Shape),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidWindow => f.write_str("the step or the window is not valid"),
            Self::NoSamples => f.write_str("no sample in the window that can be used"),
            Self::TooFewSamples => f.write_str("too few samples"),
            Self::AllZero => f.write_str("all samples are zero"),
            Self::RunsTooShort => f.write_str("no process run is long enough to judge"),
            Self::NotRising => f.write_str("memory does not rise"),
            Self::Bounded(shape) => write!(f, "growth that ends explains it: {shape}"),
            Self::TooSmall { growth, of } => {
                write!(f, "growth of {:.1} % of {of} does not matter", growth * 100.0)
            }
            Self::Flattening => f.write_str("growth has come to its end"),
            Self::Ended => {
                f.write_str("memory grew in processes that are gone; those that run now do not grow")
            }
            Self::EndsByItself => f.write_str(
                "every process grows and ends by itself, far from the limit, and the next begins anew",
            ),
            Self::Unsure(shape) => {
                write!(f, "memory may grow without end ({shape}), but the score is below the bound")
            }
            Self::WithinNoise => f.write_str("growth does not stand out from noise and load"),
            Self::Growing(shape) => write!(f, "memory grows without end: {shape}"),
        }
    }
}

/// What growth is a share of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scale {
    /// The limit.
    Limit,
    /// The node's memory, where there is no limit.
    Capacity,
    /// 1.6 times the highest use: there is neither, or it is below use.
    Use,
    /// 6 times the highest use: limit or node are above it, and must not hide a leak.
    ManyTimesUse,
}

impl Scale {
    /// Bytes that are 100 %, and what they are, where memory was never above `peak`.
    fn of(input: &LeakInput<'_>, peak: f64) -> (f64, Self) {
        match input.bound().filter(|bound| *bound >= 0.9 * peak) {
            None => (1.6 * peak, Self::Use),
            Some(bound) if bound > 6.0 * peak => (6.0 * peak, Self::ManyTimesUse),
            Some(bound) => (bound, if input.limit().is_some() { Self::Limit } else { Self::Capacity }),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Limit => "the limit",
            Self::Capacity => "the node's memory",
            Self::Use => "1.6 times the highest use",
            Self::ManyTimesUse => "6 times the highest use",
        })
    }
}

/// How fast it grows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    /// Best estimate.
    pub bytes_per_hour: f64,
    /// Lower end of the 95 % interval, which includes the choice of the shape.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
}

/// Seconds until the limit is reached at the rate found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimeToLimit {
    /// Best estimate, seconds from the end of the window; 0 when it is reached.
    pub seconds: f64,
    /// At the upper end of the rate.
    pub earliest: f64,
    /// At the lower end of the rate; `None` when that is not positive.
    pub latest: Option<f64>,
}

/// How many pods grow when each is judged by its own. Asked are those whose runs last long enough together, at most 12: those
/// that rise most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Pods that grow.
    pub growing: usize,
    /// Pods asked.
    pub asked: usize,
}

/// What a chart needs of one process run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvidence {
    /// Index of the pod in [`LeakInput::series`].
    pub pod: usize,
    /// Unix times of the floor's points, seconds.
    pub at_unix: Vec<f64>,
    /// Floor, bytes.
    pub floor: Vec<f64>,
    /// Fitted growth at the same times, bytes; empty when the run was not part of the fit.
    pub fitted: Vec<f64>,
}

/// Figures of the fit that decided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measures {
    /// Times the best unbounded shape is better than the best shape without saturation (BIC difference).
    pub over_static: f64,
    /// The same against the best saturating shape.
    pub over_saturating: f64,
    /// The same against memory that wanders about its level, each with the autocorrelation that suits it best.
    pub over_wandering: f64,
    /// Significance of the growth after whitening, in standard errors.
    pub z: f64,
    /// Growth over the window as a share of the limit or scale.
    pub growth: f64,
    /// Slope of the last 40 % of age as a share of the mean slope.
    pub tail: f64,
    /// Standard errors of that slope.
    pub tail_z: f64,
    /// Noise of the floor, share of the scale.
    pub noise: f64,
    /// Autocorrelation of neighbouring floor points.
    pub autocorrelation: f64,
    /// Floor points in the fit.
    pub points: usize,
    /// Margins, each 1 at its threshold: over static shapes, over saturating ones, significance, growth against the
    /// limit, rise of the last part, growth above noise, last part not refuted, significance of the last part, over
    /// wandering.
    pub margins: [f64; fit::MARGINS],
}

/// The answer, with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeakReport {
    /// The answer.
    pub verdict: Verdict,
    /// Higher is more surely a leak; compared with [`LeakParams::leak_score`].
    pub score: f64,
    /// Why.
    pub reason: Reason,
    /// Rate of the best unbounded shape; `None` when nothing rises.
    pub rate: Option<Rate>,
    /// Unix time at which the growth began, seconds; the window's start when it was there already.
    pub onset_unix: Option<i64>,
    /// Time to the limit, for `leak` and `watch` with a limit.
    pub time_to_limit: Option<TimeToLimit>,
    /// Best unbounded shape.
    pub shape: Option<Shape>,
    /// Best bounded shape: what it would be if it were no leak.
    pub runner_up: Option<Shape>,
    /// Index of the one pod that grows, when none of the others asked does.
    pub single_pod: Option<usize>,
    /// How many pods grow when each is judged by its own.
    pub agreement: Agreement,
    /// Revision that was rolled out when the growth began, with memory before it that did not grow; unix seconds.
    pub began_with_revision: Option<i64>,
    /// Figures of the fit that decided.
    pub measures: Option<Measures>,
    /// Runs, floors and fitted growth.
    pub evidence: Vec<RunEvidence>,
}

impl LeakReport {
    fn without_fit(verdict: Verdict, reason: Reason) -> Self {
        Self {
            verdict,
            score: if verdict == Verdict::Unknown { -9.0 } else { -5.0 },
            reason,
            rate: None,
            onset_unix: None,
            time_to_limit: None,
            shape: None,
            runner_up: None,
            single_pod: None,
            agreement: Agreement { growing: 0, asked: 0 },
            began_with_revision: None,
            measures: None,
            evidence: Vec::new(),
        }
    }
    /// Whether the verdict is `leak`.
    #[must_use]
    pub fn is_leak(&self) -> bool {
        self.verdict == Verdict::Leak
    }
}

/// Judges one workload. Never fails: what cannot be judged is [`Verdict::Unknown`] with a reason.
#[must_use]
pub fn detect(input: &LeakInput<'_>, params: &LeakParams) -> LeakReport {
    let judgeable = input.series.iter().any(|pod| runs::enough(pod.values.len()));
    if input.step_s.is_finite() && input.step_s > 0.0 && !judgeable {
        return LeakReport::without_fit(Verdict::Unknown, runs::why_none(input));
    }
    if !(input.step_s.is_finite() && input.step_s > 0.0) || input.end_unix <= input.start_unix {
        return LeakReport::without_fit(Verdict::Unknown, Reason::InvalidWindow);
    }
    let split = runs::split(input);
    let mut peak: f64 = 0.0;
    for run in &split {
        peak = peak.max(runs::quantile(&mut run.bytes.clone(), 0.995));
    }
    if split.is_empty() {
        return LeakReport::without_fit(Verdict::Unknown, runs::why_none(input));
    }
    if peak <= 0.0 {
        return LeakReport::without_fit(Verdict::None, Reason::AllZero);
    }
    let (scale, of) = Scale::of(input, peak);
    let frame = Frame { start_hours: input.start_unix as f64 / 3600.0, scale, calendar: true };
    // Of the window asked for only what has samples: a workload may be younger.
    let first = split.iter().map(|run| run.hours[0]).fold(f64::INFINITY, f64::min);
    let window = split.iter().map(Run::end).fold(0.0, f64::max) - first;
    let everything: Vec<&Run> = split.iter().collect();
    let floors = runs::floors(&runs::keep_long(&everything), input.step_s);
    let together = judge(floors.clone(), frame, 0.0, params);
    let mut fitted = together.is_some();
    let mut best = together.filter(|t| t.fit.is_some());
    let mut agreement = Agreement { growing: 0, asked: 0 };
    if split.len() > 1 {
        let asked = alone(&split, window, frame, input.step_s, params);
        fitted |= !asked.is_empty();
        agreement.asked = asked.len();
        agreement.growing = asked.iter().filter(|one| one.0.score >= params.watch_score).count();
        // Where few of several grow, the sum of all tells less of it than they do themselves.
        let few = 2 * agreement.growing <= agreement.asked;
        let single = asked
            .into_iter()
            .filter(|(one, _)| one.fit.is_some())
            .map(|(one, apart)| {
                let score = if apart || !few || one.score < 0.0 { one.score } else { COMMON * one.score };
                Judged { score, ..one }
            })
            .reduce(|a, b| if b.score > a.score { b } else { a });
        let few = few && agreement.asked > 2;
        best = match (best, single) {
            (Some(all), Some(one)) if one.score > all.score || (few && one.score >= params.leak_score) => {
                Some(Judged { score: one.score.max(all.score), ..one })
            }
            (None, one) => one,
            (all, _) => all,
        };
    } else if let Some(all) = &best {
        agreement = Agreement { growing: usize::from(all.score >= params.watch_score), asked: 1 };
    }
    let Some(best) = best else {
        return if fitted {
            LeakReport::without_fit(Verdict::None, Reason::NotRising)
        } else {
            LeakReport::without_fit(Verdict::Unknown, Reason::RunsTooShort)
        };
    };
    if best.score >= params.watch_score && has_ended(&best, &split, input, frame, window) {
        return LeakReport { agreement, ..LeakReport::without_fit(Verdict::None, Reason::Ended) };
    }
    if best.score >= params.watch_score && batch::ends_by_itself(&best.pods(), &split, input) {
        return LeakReport { agreement, ..LeakReport::without_fit(Verdict::None, Reason::EndsByItself) };
    }
    let now = level_now(&best, &split, window);
    report(input, params, &floors, best, agreement, (now, of))
}

/// Each long pod judged by its own, and whether it stands apart: the others do not rise half as much. What they have in
/// common, such as a warm-up, is told better by all together.
fn alone(split: &[Run], window: f64, frame: Frame, step_s: f64, params: &LeakParams) -> Vec<(Judged, bool)> {
    let pods = runs::by_pod(split);
    let long = pods.iter().filter(|runs| runs.iter().map(|r| r.span()).sum::<f64>() >= LONG_RUN * window);
    let mut long: Vec<(f64, &Vec<&Run>)> = long.map(|runs| (runs::rise(runs), runs)).collect();
    let penalty = ALONE_BIC * (1.0 + long.len() as f64).log2();
    // Those that rise most, whichever place they have in the input.
    long.sort_by(|a, b| b.0.total_cmp(&a.0));
    let middle = |place: usize| {
        // Of the others, which are all but that at `place`.
        let half = long.len().saturating_sub(1) / 2;
        long.get(if half < place { half } else { half + 1 }).map_or(0.0, |other| other.0)
    };
    let judge_one = |(place, (rise, runs)): (usize, &(f64, &Vec<&Run>))| {
        let own = runs::floors(&runs::keep_long(runs), step_s);
        let judged = Judged { alone: pods.len() > 1, ..judge(own, frame, penalty, params)? };
        Some((judged, middle(place) < APART * rise))
    };
    long.iter().enumerate().take(MOST_ALONE).filter_map(judge_one).collect()
}

/// Whether what grew is gone: the runs that are alive have lasted long enough to show it, and do not.
fn has_ended(best: &Judged, runs: &[Run], input: &LeakInput<'_>, frame: Frame, window: f64) -> bool {
    let Some(fit) = &best.fit else { return false };
    let last = runs.iter().map(Run::end).fold(0.0, f64::max);
    let alive = |end: f64| end >= last - LATE_END * window;
    if best.parts.iter().all(|f| alive(f.hours[f.hours.len() - 1])) {
        return false;
    }
    // The pods that grow, or those that took their place.
    let grows = |run: &Run| best.parts.iter().any(|f| f.pod == run.pod);
    let mut living: Vec<&Run> = runs.iter().filter(|r| alive(r.end())).collect();
    if living.iter().any(|run| grows(run)) {
        living.retain(|run| grows(run));
    }
    if living.iter().all(|run| run.span() < LONG_LIFE * window) {
        return false;
    }
    match fit::fit(&runs::floors(&living, input.step_s), frame) {
        None => false,
        Some(None) => true,
        Some(Some(now)) => now.rate * (1.0 + 2.0 / now.z.max(1e-9)) < ENDED_RATE * fit.rate,
    }
}

/// Bytes that the fullest process has that is alive, of the pods that decided or else of those that took their place.
fn level_now(best: &Judged, runs: &[Run], window: f64) -> f64 {
    let last = runs.iter().map(Run::end).fold(0.0, f64::max);
    let alive = || runs.iter().filter(|run| run.end() >= last - LATE_END * window);
    // The middle of three: a spike is no level.
    let level = |run: &Run| runs::quantile(&mut run.bytes[run.bytes.len().saturating_sub(3)..].to_vec(), 0.5);
    let pods = best.pods();
    let own = alive().filter(|run| pods.binary_search(&run.pod).is_ok());
    let most = own.map(level).reduce(f64::max);
    most.unwrap_or_else(|| alive().map(level).fold(0.0, f64::max))
}

/// A fit with its score.
struct Judged {
    fit: Option<Fit>,
    parts: Vec<Floor>,
    /// One pod of several.
    alone: bool,
    margins: [f64; fit::MARGINS],
    score: f64,
}

impl Judged {
    /// The pods that decided.
    fn pods(&self) -> Vec<usize> {
        let mut pods: Vec<usize> = self.parts.iter().map(|floor| floor.pod).collect();
        pods.sort_unstable();
        pods.dedup();
        pods
    }
}

/// Judges floors; `None` when there are too few points. In a window without a second day, load and what ends can imitate
/// any growth together: then it has to be there without load as well.
fn judge(parts: Vec<Floor>, frame: Frame, penalty: f64, params: &LeakParams) -> Option<Judged> {
    let judged = score(fit::fit(&parts, frame)?, parts, penalty, params);
    if judged.score < params.watch_score || !judged.fit.as_ref().is_some_and(Fit::may_be_load) {
        return Some(judged);
    }
    let plain = fit::fit(&judged.parts, Frame { calendar: false, ..frame })?;
    let plain = score(plain, judged.parts.clone(), penalty, params);
    Some(if plain.score < 0.0 { plain } else { judged })
}

/// The score of a fit, from its margins.
fn score(fit: Option<Fit>, parts: Vec<Floor>, penalty: f64, params: &LeakParams) -> Judged {
    let Some(fit) = fit else {
        return Judged { fit: None, parts, alone: false, margins: [0.0; fit::MARGINS], score: -5.0 };
    };
    let mut margins = fit.margins(params.min_growth, penalty);
    for margin in &mut margins {
        *margin = if margin.is_nan() { -3.0 } else { margin.clamp(-3.0, MARGIN_CAP) };
    }
    let least = margins.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = margins.iter().sum::<f64>() / fit::MARGINS as f64;
    // Growth that does not matter is not outweighed by how surely it is there.
    let score = (least + MEAN_SHARE * (mean - 1.0)).min(margins[fit::GROWTH]);
    Judged { fit: Some(fit), parts, alone: false, margins, score }
}

fn report(
    input: &LeakInput<'_>,
    params: &LeakParams,
    floors: &[Floor],
    best: Judged,
    agreement: Agreement,
    (now, of): (f64, Scale),
) -> LeakReport {
    let Judged { fit, parts, alone, margins, score } = best;
    let Some(fit) = fit else {
        return LeakReport::without_fit(Verdict::None, Reason::NotRising);
    };
    let verdict = if score >= params.leak_score {
        Verdict::Leak
    } else if score >= params.watch_score {
        Verdict::Watch
    } else {
        Verdict::None
    };
    let worst = (0..margins.len()).min_by(|&a, &b| margins[a].total_cmp(&margins[b])).unwrap_or(0);
    let reason = match (verdict, worst) {
        (Verdict::Leak, _) => Reason::Growing(fit.unbounded),
        (Verdict::Watch, _) => Reason::Unsure(fit.unbounded),
        _ if margins[worst] >= 1.0 => Reason::Unsure(fit.unbounded),
        _ if fit.growth < 0.1 * params.min_growth => Reason::NotRising,
        // Named is the shape that fits best.
        (_, 0 | 1) if fit.over_static.min(fit.over_saturating) > 0.0 => Reason::Unsure(fit.unbounded),
        (_, 0 | 1) if fit.bounded != Shape::Constant => Reason::Bounded(fit.bounded),
        (_, fit::GROWTH) => Reason::TooSmall { growth: fit.growth, of },
        (_, 4) => Reason::Flattening,
        _ => Reason::WithinNoise,
    };
    let half = Z95 * fit.rate_error;
    let rate = (fit.rate > 0.0 && half.is_finite()).then_some(Rate {
        bytes_per_hour: fit.rate,
        low: fit.rate - half,
        high: fit.rate + half,
    });
    let onset = input.start_unix.saturating_add((fit.onset * 3600.0).round() as i64);
    let began_with_revision = rate.and_then(|_| revision::that_began(input, floors, fit.onset, fit.rate));
    let time_to_limit =
        input.limit().zip(rate).filter(|_| verdict >= Verdict::Watch).and_then(|(limit, rate)| {
            let at = |rate: f64| ((limit - now).max(0.0) / rate * 3600.0).max(0.0);
            let time = TimeToLimit {
                seconds: at(rate.bytes_per_hour),
                earliest: at(rate.high),
                latest: Some(rate.low).filter(|r| *r > 0.0).map(at).filter(|t| t.is_finite()),
            };
            // Further away than a number holds is never.
            time.seconds.is_finite().then_some(time)
        });
    let mut evidence = Vec::with_capacity(floors.len());
    for (floor, curve) in parts.iter().zip(&fit.curve) {
        let level = (floor.bytes.iter().sum::<f64>() - curve.iter().sum::<f64>()) / curve.len() as f64;
        evidence.push(floor.evidence(input, curve.iter().map(|c| level + c).collect()));
    }
    if alone {
        let others = floors.iter().filter(|f| f.pod != parts[0].pod);
        evidence.extend(others.map(|floor| floor.evidence(input, Vec::new())));
    }
    LeakReport {
        verdict,
        score,
        reason,
        rate,
        onset_unix: (verdict >= Verdict::Watch).then_some(onset),
        time_to_limit,
        shape: Some(fit.unbounded),
        runner_up: Some(fit.bounded),
        single_pod: (alone && agreement.growing == 1).then(|| parts[0].pod),
        agreement,
        began_with_revision: began_with_revision.filter(|_| verdict >= Verdict::Watch),
        measures: Some(Measures {
            over_static: fit.over_static,
            over_saturating: fit.over_saturating,
            over_wandering: fit.over_wandering,
            z: fit.z,
            growth: fit.growth,
            tail: fit.tail,
            tail_z: fit.tail_z,
            noise: fit.noise,
            autocorrelation: fit.phi,
            points: fit.points,
            margins,
        }),
        evidence,
    }
}
