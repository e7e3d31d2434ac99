//! Work that ends: every run grows, is done and gone, and the next begins anew.

use super::LeakInput;
use super::runs::{Run, quantile};

/// Share of the window that a run of such work lasts at most.
const LONGEST: f64 = 0.3;
/// Runs that must have ended to say so.
const FEWEST: usize = 3;
/// Share of the limit from which on a run may have been killed for its memory.
const NEAR_LIMIT: f64 = 0.9;
/// Hours, steps and share of the run within which another takes the place of one that ended.
const AT_ONCE: (f64, f64, f64) = (0.34, 3.0, 0.05);
/// Spread of the runs' lengths from which on it says something that they reach the same level.
const UNEQUAL: f64 = 0.15;
/// Spread of the growth, as a share of that of the lengths, below which it does not depend on them.
const SAME_GROWTH: f64 = 0.5;

/// Whether the pods of `pods` are runs of work that ends by itself, far from the limit, instead of a service that is always
/// there. A service that is replaced at releases grows for as long as it lasts, and its successor is there when it goes;
/// work stops when it is done, whatever comes next, or has the same size however long it takes.
pub(super) fn ends_by_itself(pods: &[usize], runs: &[Run], input: &LeakInput<'_>) -> bool {
    let step = input.step_s / 3600.0;
    let first = runs.iter().map(|run| run.hours[0]).fold(f64::INFINITY, f64::min);
    let window = (input.end_unix as f64 - input.start_unix as f64) / 3600.0 - first;
    let deciding: Vec<&Run> = runs.iter().filter(|run| pods.contains(&run.pod)).collect();
    // A process that starts again in its pod was restarted: killed, or broken.
    if deciding.len() > pods.len() || deciding.iter().any(|run| run.span() > LONGEST * window) {
        return false;
    }
    let ended: Vec<&Run> = deciding.into_iter().filter(|run| run.ended).collect();
    if ended.len() < FEWEST {
        return false;
    }
    let mut ends: Vec<f64> = ended.iter().map(|run| run.ends().1).collect();
    if input.limit().is_some_and(|limit| quantile(&mut ends, 0.5) >= NEAR_LIMIT * limit) {
        return false;
    }
    !is_handed_over(&ended, runs, step, window) || is_of_one_size(&ended, first + 3.0 * step)
}

/// Whether others take the place of those that ended: more often than half way between chance and always.
fn is_handed_over(ended: &[&Run], runs: &[Run], step: f64, window: f64) -> bool {
    let mut starts: Vec<f64> = runs.iter().map(|run| run.hours[0]).collect();
    let (mut taken, mut by_chance) = (0.0, 0.0);
    let rate = starts.len() as f64 / window;
    for run in ended {
        let (hours, steps, share) = AT_ONCE;
        let at_once = hours.max(steps * step).max(share * run.span());
        by_chance += 1.0 - (-2.0 * at_once * rate).exp();
        let nearest = (0..starts.len())
            .min_by(|&a, &b| (starts[a] - run.end()).abs().total_cmp(&(starts[b] - run.end()).abs()));
        if let Some(i) = nearest.filter(|&i| (starts[i] - run.end()).abs() <= at_once) {
            starts.swap_remove(i);
            taken += 1.0;
        }
    }
    taken > f64::midpoint(by_chance, ended.len() as f64)
}

/// Whether runs of unequal length grow alike. Those that were there before `first` have an unknown length.
fn is_of_one_size(ended: &[&Run], first: f64) -> bool {
    let whole = || ended.iter().filter(|run| run.hours[0] > first);
    let spread = |of: &dyn Fn(&Run) -> f64| {
        let n = whole().count() as f64;
        let mean = whole().map(|run| of(run)).sum::<f64>() / n;
        let square = whole().map(|run| (of(run) - mean).powi(2)).sum::<f64>() / n;
        square.sqrt() / mean
    };
    let lengths = spread(&Run::span);
    let growth = spread(&|run| run.ends().1 - run.ends().0);
    whole().count() > FEWEST && lengths >= UNEQUAL && (0.0..SAME_GROWTH * lengths).contains(&growth)
}
