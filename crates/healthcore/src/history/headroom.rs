use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, StudentsT};

use super::PastRun;
use crate::facts::ContainerFacts;
use crate::finding::SubjectRef;
use crate::stats;

/// How much of its limits a container used in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Headroom {
    /// The container. The cluster is that of the run and not kept twice.
    pub subject: SubjectRef,
    /// Working set now over the memory limit, of the pod with the largest; in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// 95th percentile of CPU over the CPU limit; in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
}

/// What has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Resource {
    /// Memory.
    Memory,
    /// CPU.
    Cpu,
}

impl Resource {
    /// The lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
        }
    }
}

/// A container whose share of a limit goes up from run to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// The container.
    pub subject: SubjectRef,
    /// Of what.
    pub resource: Resource,
    /// Share of the limit at the first run that counts, by the line through all.
    pub from: f64,
    /// Share of the limit now, by the same line.
    pub to: f64,
    /// Seconds between the two.
    pub over_s: f64,
    /// Seconds until the line reaches the limit; 0 when it has.
    pub full_in_s: f64,
}

/// Days with a run that a trend needs: a week and a day, so that no shape of a week is one.
const FEWEST_DAYS: usize = 8;
/// Share of all pairs of days of which the later one has to be higher: a single jump is no trend.
const MOST_PAIRS: f64 = 0.8;
/// Days that a trend looks back.
const LOOKBACK_DAYS: f64 = 30.0;
/// Smallest rise worth telling, as a share of the limit.
const SMALLEST_RISE: f64 = 0.05;
/// Longest time to the limit worth telling.
const FARTHEST_S: f64 = 90.0 * DAY_S;
/// Of the slope of the earlier half of the days, what the later half must have at least: a warm-up ends by itself.
const STILL_RISING: f64 = 0.5;
/// How far a day may be off the line before it counts as no further off. Unit: standard deviations.
const ODD_DAY: f64 = 3.0;
/// How much closer a day may be tied to the one before than it seems. Unit: standard errors.
const TIE_MARGIN: f64 = 4.0;
/// Closest tie of a day to the one before; 1 is a random walk, of which the level is not known at all.
const CLOSEST_TIE: f64 = 0.99;
/// Share of false ones among the trends of a report that is accepted.
const FALSE_DISCOVERY_RATE: f64 = 0.05;
const DAY_S: f64 = 86_400.0;

pub(super) fn of(facts: &[ContainerFacts], cluster: &str) -> Vec<Headroom> {
    let thousandths =
        |share: f64| (share.is_finite() && share >= 0.0).then(|| (share * 1000.0).round() as u32);
    let of_container = |f: &ContainerFacts| {
        let limit = f.resources.cpu_limit.map(|c| c.get()).filter(|l| *l > 0.0);
        let cpu = f.cpu_p95.zip(limit).map(|(used, limit)| used / limit);
        let (memory, cpu) = (f.memory_of_limit().and_then(thousandths), cpu.and_then(thousandths));
        let subject = SubjectRef { cluster: String::new(), ..f.subject.clone() };
        (memory.is_some() || cpu.is_some()).then_some(Headroom { subject, memory, cpu })
    };
    facts.iter().filter(|f| f.subject.cluster == cluster).filter_map(of_container).collect()
}

/// Containers whose share of a limit rises, before it is decided over all clusters of a report which of them are told.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rises {
    /// Shares that were looked at, those that do not rise too.
    looked_at: usize,
    /// Those that rise, with the probability that what goes nowhere rises as surely.
    found: Vec<(f64, Trend)>,
}

impl Rises {
    /// Looks at the containers of a run: at one value a day, that of the run which is nearest to the time of day of the run
    /// that is now. The line is that of Theil and Sen (the median of the slopes between all pairs of days; Sen, Journal of the
    /// American Statistical Association 63, 1968), so that one odd day decides nothing.
    ///
    /// Found is a rise of at least 5 points of the limit within 30 days, from at least 8 days, that reaches the limit within 90
    /// days, with the later day higher in four pairs of five, and whose later half still rises at least half as fast.
    pub(crate) fn of(runs: &[PastRun], now: &PastRun) -> Self {
        let mut out = Self::default();
        for ((subject, resource), points) in daily(runs, now) {
            if points.len() < FEWEST_DAYS || points.last().is_none_or(|last| last.0 < 0.0) {
                continue;
            }
            out.looked_at += 1;
            let Some((p, [from, to, over_s, full_in_s])) = rise(&points) else { continue };
            let subject = SubjectRef { cluster: now.cluster.clone(), ..subject.clone() };
            out.found.push((p, Trend { subject, resource, from, to, over_s, full_in_s }));
        }
        out
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.looked_at += other.looked_at;
        self.found.extend(other.found);
    }

    /// Those that are told, which are full soonest first: 5 % false ones are accepted, by Benjamini and Hochberg (Journal of
    /// the Royal Statistical Society B 57, 1995), so that of thousands of containers whose use goes up and down none is told
    /// every day. How often that holds is no better than the probabilities are: [`wandering`].
    pub(crate) fn told(mut self) -> Vec<Trend> {
        self.found.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.subject.cmp(&b.1.subject)));
        let bound = |rank: usize| FALSE_DISCOVERY_RATE * rank as f64 / self.looked_at as f64;
        let passed = (1..=self.found.len()).rev().find(|rank| self.found[rank - 1].0 <= bound(*rank));
        let mut told: Vec<Trend> =
            self.found.into_iter().take(passed.unwrap_or(0)).map(|(_, trend)| trend).collect();
        told.sort_by(|a, b| {
            (a.full_in_s.total_cmp(&b.full_in_s))
                .then_with(|| a.subject.cmp(&b.subject))
                .then_with(|| a.resource.cmp(&b.resource))
        });
        told
    }
}

/// Seconds before now and share of the limit, in order of time.
type Points = Vec<(f64, f64)>;

/// The points of each container, one a day.
fn daily<'r>(runs: &'r [PastRun], now: &'r PastRun) -> BTreeMap<(&'r SubjectRef, Resource), Points> {
    let mut points: BTreeMap<(&SubjectRef, Resource), Points> = BTreeMap::new();
    for (at, run) in one_a_day(runs, now) {
        for h in &run.headroom {
            for (resource, share) in [(Resource::Memory, h.memory), (Resource::Cpu, h.cpu)] {
                if let Some(share) = share {
                    points.entry((&h.subject, resource)).or_default().push((at, f64::from(share) / 1000.0));
                }
            }
        }
    }
    points
}

/// The run of each day that is nearest to the time of day of now. Runs of one day are no witnesses of their own, and those of
/// another hour tell of the hour.
fn one_a_day<'r>(runs: &'r [PastRun], now: &'r PastRun) -> impl Iterator<Item = (f64, &'r PastRun)> {
    let mut days: BTreeMap<i64, (f64, &PastRun)> = BTreeMap::new();
    for run in runs.iter().chain([now]) {
        let at = run.taken_at.seconds_since(now.taken_at);
        let day = (at / DAY_S).round();
        if day < -LOOKBACK_DAYS {
            continue;
        }
        let off = |at: f64| (at - day * DAY_S).abs();
        let best = days.entry(day as i64).or_insert((at, run));
        if off(at) <= off(best.0) {
            *best = (at, run);
        }
    }
    days.into_values()
}

/// How easily what goes nowhere would rise as surely, and the line: its start and end, its length, and the time to 1. None
/// when it does not rise, not far enough, or no longer.
fn rise(points: &[(f64, f64)]) -> Option<(f64, [f64; 4])> {
    let over_s = points.last()?.0 - points.first()?.0;
    let mut slopes = slopes(points);
    let rising = slopes.iter().filter(|s| **s > 0.0).count();
    if (rising as f64) < MOST_PAIRS * slopes.len() as f64 {
        return None;
    }
    let slope = stats::median(&mut slopes)?;
    let half = points.len() / 2;
    let early = stats::median(&mut self::slopes(&points[..=half]))?;
    let lately = stats::median(&mut self::slopes(&points[half..]))?;
    let mut starts: Vec<f64> = points.iter().map(|(t, v)| v - slope * t).collect();
    let to = stats::median(&mut starts)?;
    let full_in_s = ((1.0 - to) / slope).max(0.0);
    if slope * over_s < SMALLEST_RISE || full_in_s > FARTHEST_S || lately < STILL_RISING * early {
        return None;
    }
    let values: Vec<f64> = points.iter().map(|(_, v)| *v).collect();
    let off: Vec<f64> = points.iter().map(|(t, v)| v - slope * t - to).collect();
    let by_chance = stats::mann_kendall(&values)?.max(wandering(&values, &off)?);
    Some((by_chance, [to - slope * over_s, to, over_s, full_in_s]))
}

/// The slopes between all pairs of days.
fn slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let pairs = points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect()
}

/// Probability that values which only wander (each day is tied to the one before, AR(1)) rise as surely as these do, which are
/// that far off their line.
///
/// It is the one-sided t-test of the slope of a line through whitened values (Prais and Winsten, 1954). How close the tie is
/// few days cannot tell, and it seems least close in just those series that happen to look like a line. So it is taken as
/// [`TIE_MARGIN`] standard errors closer than it seems, free of the bias of a correlation of residuals (Kendall, Biometrika
/// 41, 1954): of a week that is nearly always a random walk.
fn wandering(values: &[f64], off: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mut distances: Vec<f64> = off.iter().map(|v| v.abs()).collect();
    // 1.4826 medians are the standard deviation of what is normal.
    let odd = ODD_DAY * 1.4826 * stats::median(&mut distances)?;
    let tame: Vec<f64> = values.iter().zip(off).map(|(v, off)| v - off + off.clamp(-odd, odd)).collect();
    let line = stats::linregress((0..).map(f64::from).zip(tame.iter().copied()))?;
    let rest: Vec<f64> = tame.iter().zip(0..).map(|(v, day)| v - line.at(f64::from(day))).collect();
    let squares: f64 = rest.iter().map(|v| v * v).sum();
    let products: f64 = rest.windows(2).map(|w| w[0] * w[1]).sum();
    if squares <= f64::EPSILON {
        return Some(0.0);
    }
    let seems = ((n * products / squares + 2.0) / (n - 4.0)).clamp(0.0, CLOSEST_TIE);
    let tie = (seems + TIE_MARGIN * ((1.0 - seems * seems) / n).sqrt()).min(CLOSEST_TIE);
    let days: Vec<f64> = (0..tame.len()).map(|day| day as f64).collect();
    let (level, days, tame) =
        (whitened(&vec![1.0; tame.len()], tie), whitened(&days, tie), whitened(&tame, tie));
    slope_by_chance(&without(days, &level), &without(tame, &level))
}

/// Values free of what ties each to the one before.
fn whitened(values: &[f64], tie: f64) -> Vec<f64> {
    let first = values.iter().take(1).map(|v| v * (1.0 - tie * tie).sqrt());
    first.chain(values.windows(2).map(|w| w[1] - tie * w[0])).collect()
}

/// A column without its share of another one.
fn without(column: Vec<f64>, other: &[f64]) -> Vec<f64> {
    let share = dot(&column, other) / dot(other, other);
    column.iter().zip(other).map(|(v, o)| v - share * o).collect()
}

/// Probability of a slope as large without any (Student's t); level and slope took two degrees of freedom.
fn slope_by_chance(days: &[f64], values: &[f64]) -> Option<f64> {
    let square = dot(days, days);
    let slope = dot(days, values) / square;
    let freedom = days.len() as f64 - 2.0;
    let rest: f64 = values.iter().zip(days).map(|(v, day)| (v - slope * day).powi(2)).sum();
    let error = (rest / freedom / square).sqrt();
    match error > 0.0 {
        true => Some(StudentsT::new(0.0, 1.0, freedom).ok()?.sf(slope / error)),
        false => Some(if slope > 0.0 { 0.0 } else { 1.0 }),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn of(name: &str, memory: u32) -> Headroom {
        let subject = SubjectRef { name: name.into(), ..SubjectRef::default() };
        Headroom { subject, memory: Some(memory), cpu: None }
    }

    fn run(hour: i64, headroom: Vec<Headroom>) -> PastRun {
        PastRun { taken_at: Timestamp::from_unix_seconds(hour * 3600), headroom, ..PastRun::default() }
    }

    fn rises(runs: &[PastRun]) -> Rises {
        let (now, past) = runs.split_last().expect("a run");
        Rises::of(past, now)
    }

    /// What is told of a container with these shares, one a day.
    fn told(shares: &[u32]) -> Option<(u32, u32, u32)> {
        let runs: Vec<PastRun> =
            shares.iter().zip(0..).map(|(m, day)| run(24 * day, vec![of("api", *m)])).collect();
        let percent = |v: f64| (v * 100.0).round() as u32;
        let found = rises(&runs).told();
        found.first().map(|t| (percent(t.from), percent(t.to), (t.full_in_s / DAY_S).round() as u32))
    }

    #[test]
    fn a_line_and_its_end() {
        assert_eq!(told(&[500, 520, 540, 560, 580, 600, 620, 640]), Some((50, 64, 18)));
        assert_eq!(
            told(&[500, 520, 540, 560, 900, 600, 620, 640, 660]),
            Some((50, 66, 17)),
            "one odd day decides nothing"
        );
        assert_eq!(told(&[880, 900, 920, 940, 960, 980, 1000, 1020]), Some((88, 102, 0)));
    }

    #[test]
    fn what_is_no_trend() {
        assert_eq!(told(&[500, 540, 580, 620, 660, 700, 740]), None, "seven days");
        assert_eq!(told(&[500, 505, 510, 515, 520, 525, 530, 535]), None, "less than five points");
        assert_eq!(told(&[500, 500, 500, 500, 500, 500, 500, 750]), None, "a jump");
        assert_eq!(told(&[680, 660, 640, 620, 600, 580, 560, 540]), None, "downwards");
        assert_eq!(told(&[10, 18, 26, 34, 42, 50, 58, 66]), None, "far from the limit");
        assert_eq!(told(&[430, 570, 620, 620, 625, 625, 530, 430]), None, "a week");
    }

    #[test]
    fn a_container_that_is_gone_has_none() {
        let mut runs: Vec<PastRun> =
            (0..9).map(|day| run(24 * day, vec![of("api", 500 + 50 * day as u32)])).collect();
        assert_eq!(rises(&runs).told().len(), 1);
        runs.push(run(24 * 9, Vec::new()));
        assert_eq!(rises(&runs).told(), []);
    }

    /// Twelve runs of one morning rise, and say nothing of the days.
    #[test]
    fn a_day_counts_once_and_at_the_hour_of_now() {
        let hour = |h: i64| u32::try_from(500 + 20 * (h % 24)).expect("positive");
        let runs: Vec<PastRun> = (0..20 * 24).map(|h| run(h, vec![of("api", hour(h))])).collect();
        assert_eq!(rises(&runs).told(), []);
        // One an hour later or earlier is the run of its day.
        let late = [0, 25, 48, 71, 97, 120, 144, 169];
        let runs: Vec<PastRun> =
            late.iter().zip(0..).map(|(h, i)| run(*h, vec![of("api", 500 + 20 * i)])).collect();
        assert_eq!(rises(&runs).told().len(), 1);
    }

    /// Values without any trend, by a linear congruential generator (Knuth's MMIX).
    fn noise(days: i64, containers: usize, riser: Option<usize>) -> Vec<PastRun> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % 160
        };
        let mut share = |day: i64, container: usize| match riser == Some(container) {
            true => 500 + 10 * day as u32 + next() % 8,
            false => 520 + next(),
        };
        let of_day = |day: i64| {
            let all = (0..containers).map(|c| of(&format!("app-{c:03}"), share(day, c))).collect();
            run(24 * day, all)
        };
        (0..days).map(of_day).collect()
    }

    #[test]
    fn of_many_that_go_up_and_down_none_is_told() {
        let (mut candidates, mut told) = (0, 0);
        for days in 8..20 {
            let rises = rises(&noise(days, 500, None));
            assert_eq!(rises.looked_at, 500);
            candidates += rises.found.len();
            told += rises.told().len();
        }
        // One report in twenty may tell one.
        assert!(candidates > 15 && told <= 1, "{told} of {candidates}");
        let told = rises(&noise(14, 500, Some(77))).told();
        assert_eq!(told.iter().map(|t| &*t.subject.name).collect::<Vec<_>>(), ["app-077"]);
    }

    /// Numbers of a normal distribution, nearly: twelve even ones (Knuth's MMIX) less their mean.
    fn normal(state: &mut u64) -> f64 {
        let mut even = || {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(|_| even()).sum::<f64>() - 6.0
    }

    /// Reports that tell something, and trends that they tell, of `reports` with 300 containers that all go nowhere. `next`
    /// makes what is behind a day from that of the day before, of the first from none, and its share of the limit.
    fn false_ones(
        reports: u32,
        days: i64,
        mut next: impl FnMut(Option<f64>, &mut u64) -> (f64, f64),
    ) -> [usize; 3] {
        let mut state = 11;
        let mut out = [0; 3];
        for _ in 0..reports {
            let mut values: Vec<Option<f64>> = vec![None; 300];
            let mut of_day = |day: i64| {
                let all = values.iter_mut().zip(0..).map(|(value, c)| {
                    let (behind, share) = next(*value, &mut state);
                    *value = Some(behind);
                    let share = share.clamp(0.0, 1.2);
                    of(&format!("app-{c:03}"), (1000.0 * share).round() as u32)
                });
                run(24 * day, all.collect())
            };
            let runs: Vec<PastRun> = (0..days).map(&mut of_day).collect();
            let rises = rises(&runs);
            out[2] += rises.found.len();
            let told = rises.told().len();
            out[0] += usize::from(told > 0);
            out[1] += told;
        }
        out
    }

    /// Memory at one hour of a day is close to that of the day before.
    #[test]
    fn what_wanders_is_no_trend() {
        let mut all = [0; 3];
        for tie in [0.5, 0.8, 0.9, 0.95] {
            for days in [8, 10, 14, 20, 30] {
                let found = false_ones(8, days, |before, state| {
                    let next = match before {
                        None => 0.05 * normal(state),
                        Some(before) => tie * before + 0.05 * (1.0_f64 - tie * tie).sqrt() * normal(state),
                    };
                    (next, 0.6 + next)
                });
                all = std::array::from_fn(|i| all[i] + found[i]);
            }
        }
        let [reports, told, candidates] = all;
        assert!(candidates > 500 && reports <= 8, "{reports} of 160 reports tell {told} of {candidates}");
    }

    /// After a restart, every two weeks or so, a cache fills up again within some days.
    #[test]
    fn a_warm_up_is_no_trend() {
        let mut all = [0; 3];
        for days in [8, 10, 14, 20, 30] {
            let found = false_ones(8, days, |before, state| {
                let restarts = normal(state) > 1.465;
                let age = match before {
                    _ if restarts => 0.0,
                    None => (3.5 + 2.0 * normal(state)).max(0.0),
                    Some(before) => before + 1.0,
                };
                (age, 0.45 + 0.25 * (1.0 - (-age / 3.0).exp()) + 0.01 * normal(state))
            });
            all = std::array::from_fn(|i| all[i] + found[i]);
        }
        let [reports, told, candidates] = all;
        assert!(candidates > 500 && reports <= 2, "{reports} of 40 reports tell {told} of {candidates}");
    }

    /// The same rise says less among more containers, whichever clusters they are in.
    #[test]
    fn all_clusters_count() {
        let one = || {
            let shares = [500, 520, 540, 560, 580, 600, 620, 640].into_iter().zip(0..);
            let runs: Vec<PastRun> = shares.map(|(m, day)| run(24 * day, vec![of("api", m)])).collect();
            rises(&runs)
        };
        assert!((one().found[0].0 - 1.0 / 40_320.0).abs() < 1e-12, "one order of eight days of 40,320");
        let among = |others: usize| {
            let mut all = one();
            all.extend(Rises { looked_at: others, found: Vec::new() });
            all.told().len()
        };
        assert_eq!([among(0), among(2_000), among(2_100)], [1, 1, 0]);
    }
}
