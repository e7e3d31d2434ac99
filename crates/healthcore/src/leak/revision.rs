//! Which revision of the workload began the growth.

use super::LeakInput;
use super::runs::Floor;

/// Share of the window, and hours at least, by which a revision may miss the onset.
const NEAR: (f64, f64) = (0.03, 2.0);
/// Share of the window, and hours at least, that must be known before the revision.
const BEFORE: (f64, f64) = (0.1, 6.0);
/// Share of the rate below which memory before the revision does not grow.
const CALM: f64 = 0.3;

/// The revision nearest to `onset` (hours since the window's start), unix seconds: it must be near the onset, and memory
/// before it must be known and not grow.
pub(super) fn that_began(input: &LeakInput<'_>, floors: &[Floor], onset: f64, rate: f64) -> Option<i64> {
    let hours = |unix: i64| (unix as f64 - input.start_unix as f64) / 3600.0;
    let window = hours(input.end_unix);
    let share_of = |(share, least): (f64, f64)| (share * window).max(least);
    let far = |revision: i64| (hours(revision) - onset).abs();
    input
        .revisions_unix
        .iter()
        .copied()
        .filter(|r| far(*r) <= share_of(NEAR))
        .filter(|r| {
            rate_before(floors, hours(*r), share_of(BEFORE)).is_some_and(|before| before < CALM * rate)
        })
        .min_by(|a, b| far(*a).total_cmp(&far(*b)))
}

/// Bytes per hour of all runs before `hour`, by least squares with a level for each run; none when they know less than
/// `least` hours.
fn rate_before(floors: &[Floor], hour: f64, least: f64) -> Option<f64> {
    let (mut covariance, mut variance, mut longest) = (0.0, 0.0, 0.0_f64);
    for floor in floors {
        let n = floor.hours.partition_point(|h| *h < hour);
        if n < 2 {
            continue;
        }
        let (x, y) = (&floor.hours[..n], &floor.bytes[..n]);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        let (x_mean, y_mean) = (mean(x), mean(y));
        covariance += x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum::<f64>();
        variance += x.iter().map(|x| (x - x_mean).powi(2)).sum::<f64>();
        longest = longest.max(x[n - 1] - x[0]);
    }
    (longest >= least && variance > 0.0).then(|| covariance / variance)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A week in which a run of 84 h grows by `before`, and one after it by 1.
    fn week(before: f64) -> Option<i64> {
        let run = |start: f64, rate: f64| {
            let hours: Vec<f64> = (0..84).map(|h| start + f64::from(h)).collect();
            let bytes = hours.iter().map(|h| 100.0 + rate * (h - start)).collect();
            Floor { pod: 0, older: true, hours, bytes, load: Vec::new() }
        };
        let input = LeakInput { end_unix: 168 * 3600, revisions_unix: &[85 * 3600], ..LeakInput::default() };
        that_began(&input, &[run(0.0, before), run(84.0, 1.0)], 84.0, 1.0)
    }

    #[test]
    fn memory_that_grew_before_it_acquits_a_revision() {
        assert_eq!(week(0.0), Some(85 * 3600));
        assert_eq!(week(0.2), Some(85 * 3600));
        assert_eq!(week(0.4), None);
    }
}
