//! Statistics over plain numbers. No function here sees a missing value: callers leave gaps out.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Result of an ordinary least-squares fit of a line, as `scipy.stats.linregress` gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Growth of y per unit of x.
    pub slope: f64,
    /// y at x = 0.
    pub intercept: f64,
    /// Pearson's correlation coefficient, -1..=1; 0 when y is constant.
    pub r: f64,
    /// Two-sided p-value of the hypothesis that the slope is zero (Student's t, n - 2 degrees of freedom).
    pub p: f64,
    /// Standard error of the slope.
    pub stderr: f64,
    /// Number of points.
    pub n: usize,
}

impl Line {
    /// Coefficient of determination, 0..=1.
    #[must_use]
    pub fn r_squared(&self) -> f64 {
        self.r * self.r
    }
    /// y of the line at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

/// Fits a line through points `(x, y)` by least squares; formulas as in `scipy.stats.linregress`
/// (`scipy/stats/_stats_py.py`). Differences to the first point are summed, so that large offsets (unix
/// times, gigabytes) cost no digits.
///
/// `None` with fewer than 3 points or when all x are equal. A constant y gives slope 0, r 0, p 1.
///
/// ```
/// let line = healthcore::stats::linregress([(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]).unwrap();
/// assert_eq!((line.slope, line.intercept, line.r), (2.0, 1.0, 1.0));
/// ```
#[must_use]
pub fn linregress(points: impl IntoIterator<Item = (f64, f64)>) -> Option<Line> {
    let mut points = points.into_iter();
    let (x0, y0) = points.next()?;
    let (mut n, mut sx, mut sy, mut sxx, mut syy, mut sxy) = (1usize, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (x, y) in points {
        let (x, y) = (x - x0, y - y0);
        n += 1;
        sx += x;
        sy += y;
        sxx += x * x;
        syy += y * y;
        sxy += x * y;
    }
    let count = n as f64;
    let (mx, my) = (sx / count, sy / count);
    let ssx = sxx - sx * mx;
    let ssy = (syy - sy * my).max(0.0);
    let ssxy = sxy - sx * my;
    if n < 3 || ssx.is_nan() || ssx <= sxx * 1e-14 {
        return None;
    }
    let slope = ssxy / ssx;
    let intercept = y0 + my - slope * (x0 + mx);
    let r = if ssy > 0.0 { (ssxy / (ssx * ssy).sqrt()).clamp(-1.0, 1.0) } else { 0.0 };
    let df = count - 2.0;
    let stderr = ((1.0 - r * r) * ssy / ssx / df).max(0.0).sqrt();
    // scipy adds a tiny number so that a perfect fit gives p near 0 instead of a division by zero.
    let t = r * (df / ((1.0 - r + 1e-20) * (1.0 + r + 1e-20))).sqrt();
    let p = StudentsT::new(0.0, 1.0, df).map_or(1.0, |d| 2.0 * d.cdf(-t.abs()));
    Some(Line { slope, intercept, r, p: p.clamp(0.0, 1.0), stderr, n })
}

/// Arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum) = (0u64, 0.0);
    for value in values {
        n += 1;
        sum += value;
    }
    (n > 0).then(|| sum / n as f64)
}

/// Quantile `q` (0..=1) with linear interpolation between order statistics: numpy's default, type 7 of
/// Hyndman and Fan (1996). Reorders `values`. `None` of nothing.
///
/// ```
/// assert_eq!(healthcore::stats::quantile(&mut [4.0, 1.0, 3.0, 2.0], 0.5), Some(2.5));
/// ```
#[must_use]
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let rank = q.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let (low, share) = (rank.floor() as usize, rank.fract());
    let (_, at, above) = values.select_nth_unstable_by(low, f64::total_cmp);
    let at = *at;
    if share == 0.0 {
        return Some(at);
    }
    let next = above.iter().copied().min_by(f64::total_cmp).unwrap_or(at);
    Some(at + share * (next - at))
}

/// Median; reorders `values`. `None` of nothing.
#[must_use]
pub fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// Means of the four quarters of an ordered sequence. Where the length is not a multiple of four the
/// inner quarters take the rest. `None` with fewer than four values.
#[must_use]
pub fn quarters(values: &[f64]) -> Option<[f64; 4]> {
    let n = values.len();
    if n < 4 {
        return None;
    }
    let quarter = n / 4;
    let middle = n / 2;
    let parts =
        [&values[..quarter], &values[quarter..middle], &values[middle..n - quarter], &values[n - quarter..]];
    Some(parts.map(|part| part.iter().sum::<f64>() / part.len() as f64))
}

/// Mean over time of a step function: each value holds from its instant to the next one, the last until
/// `end`. Points are `(seconds, value)` in order of time; `None` of nothing or when no time passes.
#[must_use]
pub fn time_weighted_mean(points: &[(f64, f64)], end: f64) -> Option<f64> {
    let (mut area, mut length) = (0.0, 0.0);
    for (i, &(t, value)) in points.iter().enumerate() {
        let until = points.get(i + 1).map_or(end, |next| next.0).min(end);
        let held = (until - t).max(0.0);
        area += value * held;
        length += held;
    }
    (length > 0.0).then(|| area / length)
}

/// Probability that values in any order rise as surely as these do: the one-sided test of Mann (Econometrica 13, 1945), exact
/// also where values are equal. 1 / n! for n values that rise from each to the next. `None` of nothing, and of more than 34
/// values, whose orders are too many to be counted in 128 bits.
///
/// The orders of n values by their number of inversions are the coefficients of the product of (1 + q + ... + q^(k-1)) over
/// k = 1..n (Knuth, The Art of Computer Programming 3, 5.1.1); equal values divide it by the same product of theirs (5.1.2).
///
/// ```
/// assert_eq!(healthcore::stats::mann_kendall(&[1.0, 2.0, 4.0, 3.0]), Some(4.0 / 24.0));
/// ```
#[must_use]
pub fn mann_kendall(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.len() > 34 {
        return None;
    }
    let falls = |(i, a): (usize, &f64)| values[i + 1..].iter().filter(|b| *b < a).count();
    let inversions: usize = values.iter().enumerate().map(falls).sum();
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut orders = vec![1_u128];
    for k in 2..=values.len() {
        orders = times_run(&orders, k);
    }
    for equal in sorted.chunk_by(|a, b| a == b) {
        for k in 2..=equal.len() {
            orders = over_run(&orders, k);
        }
    }
    let as_sure: u128 = orders.iter().take(inversions + 1).sum();
    Some(as_sure as f64 / orders.iter().sum::<u128>() as f64)
}

/// A polynomial times 1 + q + ... + q^(k-1).
fn times_run(polynomial: &[u128], k: usize) -> Vec<u128> {
    let at = |i: usize| polynomial.get(i).copied().unwrap_or(0);
    let sum = |i: usize| (i.saturating_sub(k - 1)..=i).map(at).sum();
    (0..polynomial.len() + k - 1).map(sum).collect()
}

/// A polynomial that is a multiple of 1 + q + ... + q^(k-1), divided by it.
fn over_run(polynomial: &[u128], k: usize) -> Vec<u128> {
    let mut out: Vec<u128> = Vec::with_capacity(polynomial.len() + 1 - k);
    for i in 0..=polynomial.len() - k {
        let known: u128 = out[i.saturating_sub(k - 1)..].iter().sum();
        out.push(polynomial[i] - known);
    }
    out
}

/// Increase of a counter over its samples in order of time. A fall is a reset: the counter began again at
/// zero, so the value after it counts whole (`promql/functions.go`, without its extrapolation).
/// `None` with fewer than two samples.
///
/// ```
/// assert_eq!(healthcore::stats::increase([5.0, 8.0, 1.0, 2.0]), Some(5.0));
/// ```
#[must_use]
pub fn increase(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values = values.into_iter();
    let mut previous = values.next()?;
    let mut total = None;
    for value in values {
        let step = if value < previous { value } else { value - previous };
        *total.get_or_insert(0.0) += step;
        previous = value;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn near(a: f64, b: f64, tolerance: f64) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1e-300), "{a} is not {b}");
    }

    /// All orders of a few values, counted one by one.
    #[test]
    fn mann_kendall_is_the_share_of_orders() {
        fn orders(rest: &mut Vec<f64>, first: &mut Vec<f64>, out: &mut Vec<Vec<f64>>) {
            if rest.is_empty() {
                out.push(first.clone());
            }
            for i in 0..rest.len() {
                first.push(rest.remove(i));
                orders(rest, first, out);
                rest.insert(i, first.pop().expect("just pushed"));
            }
        }
        let rising = |values: &[f64]| {
            let pairs =
                values.iter().enumerate().flat_map(|(i, a)| values[i + 1..].iter().map(move |b| (a, b)));
            pairs.map(|(a, b)| b.partial_cmp(a).map_or(0, |order| order as i32)).sum::<i32>()
        };
        let kinds: [&[f64]; 5] = [
            &[1.0, 2.0, 3.0, 4.0, 5.0],
            &[1.0, 1.0, 2.0, 3.0, 3.0, 3.0],
            &[1.0, 1.0],
            &[7.0],
            &[0.0, 0.0, 0.0, 1.0],
        ];
        for kind in kinds {
            let mut all = Vec::new();
            orders(&mut kind.to_vec(), &mut Vec::new(), &mut all);
            for values in &all {
                let as_sure = all.iter().filter(|other| rising(other) >= rising(values)).count();
                near(mann_kendall(values).unwrap(), as_sure as f64 / all.len() as f64, 1e-12);
            }
        }
        assert_eq!((mann_kendall(&[]), mann_kendall(&[0.0; 35])), (None, None));
        assert_eq!(mann_kendall(&[0.0; 34]), Some(1.0));
        let month: Vec<f64> = (0..31).map(f64::from).collect();
        near(mann_kendall(&month).unwrap(), 1.0 / 8.222_838_654_177_922e33, 1e-9);
    }

    /// Reference values: scipy 1.17.0, `scipy.stats.linregress(x, y)`; the script is `bench/reference/linregress.py`.
    #[test]
    fn linregress_as_scipy() {
        let y = [2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1, 18.0, 20.2];
        let line = linregress(y.iter().enumerate().map(|(i, y)| (i as f64, *y))).unwrap();
        near(line.slope, REFERENCE[0][0], 1e-12);
        near(line.intercept, REFERENCE[0][1], 1e-12);
        near(line.r, REFERENCE[0][2], 1e-12);
        near(line.p, REFERENCE[0][3], 1e-6);
        near(line.stderr, REFERENCE[0][4], 1e-9);
        let y = [5.0, 3.0, 8.0, 1.0, 9.0, 2.0];
        let line = linregress(y.iter().enumerate().map(|(i, y)| (i as f64 * 0.5, *y))).unwrap();
        near(line.slope, REFERENCE[1][0], 1e-12);
        near(line.intercept, REFERENCE[1][1], 1e-12);
        near(line.r, REFERENCE[1][2], 1e-11);
        near(line.p, REFERENCE[1][3], 1e-9);
        near(line.stderr, REFERENCE[1][4], 1e-11);
    }

    /// slope, intercept, r, p, stderr
    const REFERENCE: [[f64; 5]; 2] = include!("../testdata/linregress.in");

    #[test]
    fn degenerate_lines() {
        assert_eq!(linregress([(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(linregress([(3.0, 1.0), (3.0, 2.0), (3.0, 5.0)]), None);
        let flat = linregress([(0.0, 7.0), (1.0, 7.0), (2.0, 7.0)]).unwrap();
        assert_eq!((flat.slope, flat.r, flat.p), (0.0, 0.0, 1.0));
    }

    #[test]
    fn quarters_share_the_rest_with_the_middle() {
        assert_eq!(quarters(&[1.0, 2.0, 3.0]), None);
        assert_eq!(quarters(&[1.0, 2.0, 3.0, 4.0]), Some([1.0, 2.0, 3.0, 4.0]));
        assert_eq!(quarters(&[1.0, 2.0, 2.0, 3.0, 3.0, 4.0]), Some([1.0, 2.0, 3.0, 4.0]));
    }

    #[test]
    fn counters() {
        assert_eq!(increase([]), None);
        assert_eq!(increase([3.0]), None);
        assert_eq!(increase([3.0, 3.0]), Some(0.0));
        assert_eq!(increase([9.0, 4.0, 3.0, 2.0]), Some(9.0), "a counter that only resets");
    }

    #[test]
    fn weighted_by_time() {
        assert_eq!(time_weighted_mean(&[(0.0, 1.0), (90.0, 11.0)], 100.0), Some(2.0));
        assert_eq!(time_weighted_mean(&[(5.0, 1.0)], 5.0), None);
    }

    proptest! {
        #[test]
        fn quantile_against_a_sort(mut v in prop::collection::vec(-1e9..1e9f64, 1..60), q in 0.0..=1.0f64) {
            let found = quantile(&mut v, q).unwrap();
            v.sort_by(f64::total_cmp);
            let rank = q * (v.len() - 1) as f64;
            let (a, b) = (v[rank.floor() as usize], v[rank.ceil() as usize]);
            prop_assert!((found - (a + rank.fract() * (b - a))).abs() <= 1e-6);
        }

        #[test]
        fn line_follows_shift_and_scale(
            v in prop::collection::vec(0.0..100.0f64, 3..50), shift in -1e6..1e6f64, scale in 0.1..1e3f64
        ) {
            let fit = |f: &dyn Fn(f64) -> f64| linregress(v.iter().enumerate().map(|(i, y)| (i as f64, f(*y))));
            let (a, b) = (fit(&|y| y).unwrap(), fit(&|y| y * scale + shift).unwrap());
            prop_assert!((a.slope * scale - b.slope).abs() <= 1e-6 * scale.max(1.0));
            prop_assert!((a.r - b.r).abs() <= 1e-6);
        }

        #[test]
        fn exact_line(slope in -1e3..1e3f64, intercept in -1e6..1e6f64, n in 3usize..200) {
            let line = linregress((0..n).map(|i| (i as f64, slope * i as f64 + intercept))).unwrap();
            prop_assert!((line.slope - slope).abs() <= 1e-6);
        }

        #[test]
        fn increase_splits_anywhere(v in prop::collection::vec(0.0..100.0f64, 3..40), cut in 1usize..38) {
            let cut = cut.min(v.len() - 2);
            let whole = increase(v.iter().copied()).unwrap();
            let parts = increase(v[..=cut].iter().copied()).unwrap() + increase(v[cut..].iter().copied()).unwrap();
            prop_assert!((whole - parts).abs() < 1e-9);
        }
    }
}
