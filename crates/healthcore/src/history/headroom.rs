use serde::{Deserialize, Serialize};

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

/// Runs that a trend needs.
const FEWEST_RUNS: usize = 4;
/// Seconds that they have to span.
const SHORTEST_S: f64 = 2.0 * 86_400.0;
/// Share of all pairs of runs of which the later one has to be higher: a single jump is no trend.
const MOST_PAIRS: f64 = 0.8;
/// Seconds that a trend looks back.
const LOOKBACK_S: f64 = 30.0 * 86_400.0;
/// Smallest rise worth telling, as a share of the limit.
const SMALLEST_RISE: f64 = 0.05;
/// Longest time to the limit worth telling.
const FARTHEST_S: f64 = 90.0 * 86_400.0;

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

/// Containers whose share of a limit rises: the line is that of Theil and Sen (the median of the slopes between all
/// pairs of runs; Sen, Journal of the American Statistical Association 63, 1968), so that one odd run decides nothing.
///
/// Told is a rise of at least 5 points of the limit over at most 30 days, from at least 4 runs over at least 2 days, that
/// reaches the limit within 90 days, with the later run higher in four pairs of five.
#[must_use]
pub fn trends(runs: &[PastRun], now: &PastRun) -> Vec<Trend> {
    let mut points: std::collections::BTreeMap<(&SubjectRef, Resource), Vec<(f64, f64)>> = Default::default();
    for run in runs.iter().chain([now]) {
        let at = run.taken_at.seconds_since(now.taken_at);
        if at < -LOOKBACK_S {
            continue;
        }
        for h in &run.headroom {
            for (resource, share) in [(Resource::Memory, h.memory), (Resource::Cpu, h.cpu)] {
                if let Some(share) = share {
                    points.entry((&h.subject, resource)).or_default().push((at, f64::from(share) / 1000.0));
                }
            }
        }
    }
    let trend = |((subject, resource), points): ((&SubjectRef, Resource), Vec<(f64, f64)>)| {
        let subject = SubjectRef { cluster: now.cluster.clone(), ..subject.clone() };
        rise(&points).map(|(from, to, over_s, full_in_s)| Trend {
            subject,
            resource,
            from,
            to,
            over_s,
            full_in_s,
        })
    };
    points.into_iter().filter_map(trend).collect()
}

/// Start and end of the line, its length, and the time to 1; none when it does not rise, or ends before now.
fn rise(points: &[(f64, f64)]) -> Option<(f64, f64, f64, f64)> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let over_s = last - first;
    if points.len() < FEWEST_RUNS || over_s < SHORTEST_S || last < 0.0 {
        return None;
    }
    let pairs = points.iter().enumerate().flat_map(|(i, a)| points[i + 1..].iter().map(move |b| (a, b)));
    let mut slopes: Vec<f64> =
        pairs.filter(|(a, b)| b.0 > a.0).map(|(a, b)| (b.1 - a.1) / (b.0 - a.0)).collect();
    let rising = slopes.iter().filter(|s| **s > 0.0).count();
    if (rising as f64) < MOST_PAIRS * slopes.len() as f64 {
        return None;
    }
    let slope = stats::median(&mut slopes)?;
    let mut starts: Vec<f64> = points.iter().map(|(t, v)| v - slope * t).collect();
    let to = stats::median(&mut starts)?;
    let full_in_s = ((1.0 - to) / slope).max(0.0);
    (slope * over_s >= SMALLEST_RISE && full_in_s <= FARTHEST_S).then_some((
        to - slope * over_s,
        to,
        over_s,
        full_in_s,
    ))
}

/// Those that are full soonest first.
pub(super) fn order(trends: &mut [Trend]) {
    trends.sort_by(|a, b| {
        (a.full_in_s.total_cmp(&b.full_in_s))
            .then_with(|| a.subject.cmp(&b.subject))
            .then_with(|| a.resource.cmp(&b.resource))
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn run(day: i64, memory: u32) -> PastRun {
        let subject = SubjectRef { name: "api".into(), ..SubjectRef::default() };
        let headroom = vec![Headroom { subject, memory: Some(memory), cpu: None }];
        PastRun { taken_at: Timestamp::from_unix_seconds(day * 86_400), headroom, ..PastRun::default() }
    }

    fn told(shares: &[u32]) -> Option<(u32, u32, u32)> {
        let runs: Vec<PastRun> = shares.iter().zip(0..).map(|(m, day)| run(day, *m)).collect();
        let (now, past) = runs.split_last().unwrap();
        let found = trends(past, now);
        let percent = |v: f64| (v * 100.0).round() as u32;
        found.first().map(|t| (percent(t.from), percent(t.to), (t.full_in_s / 86_400.0).round() as u32))
    }

    #[test]
    fn a_line_and_its_end() {
        assert_eq!(told(&[500, 520, 540, 560]), Some((50, 56, 22)));
        assert_eq!(told(&[500, 520, 540, 560, 900, 600]), Some((50, 60, 20)), "one odd run decides nothing");
        assert_eq!(told(&[940, 960, 980, 1000, 1020]), Some((94, 102, 0)));
    }

    #[test]
    fn what_is_no_trend() {
        assert_eq!(told(&[500, 540, 580]), None, "three runs");
        assert_eq!(told(&[500, 510, 520, 530]), None, "three points");
        assert_eq!(told(&[500, 500, 500, 750]), None, "a jump");
        assert_eq!(told(&[600, 580, 540, 520]), None, "downwards");
        assert_eq!(told(&[10, 20, 30, 40, 50, 61]), None, "far from the limit");
    }

    #[test]
    fn a_container_that_is_gone_has_none() {
        let runs: Vec<PastRun> = (0..5).map(|day| run(day, 500 + 50 * day as u32)).collect();
        let now = PastRun { taken_at: Timestamp::from_unix_seconds(5 * 86_400), ..PastRun::default() };
        assert_eq!(trends(&runs, &now), []);
    }
}
