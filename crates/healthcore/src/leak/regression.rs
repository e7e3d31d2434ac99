//! Least squares with residuals that remember: whitened by AR(1), with levels and load projected out.

/// Columns of one model at most.
pub(super) const MOST_COLUMNS: usize = 9;

/// Columns of the load at most.
const MOST_LOAD: usize = 16;
/// Share by which two sums of squares differ that are the same but for rounding.
const TIE: f64 = 1e-9;

/// Sum of squares at least.
const LEAST: f64 = 1e-16;

/// A square matrix of one model's size.
pub(super) type Square = [[f64; MOST_COLUMNS]; MOST_COLUMNS];

/// What is regressed: the points of all runs, one run after the other.
pub(super) struct Points<'a> {
    /// Points of each run.
    pub(super) lens: &'a [usize],
    /// Values, in units of the scale.
    pub(super) y: &'a [f64],
    /// Columns that every model has, one after the other; each run's own level is understood.
    pub(super) load: &'a [f64],
}

/// Columns after whitening, with levels and load projected out.
pub(super) struct Regression<'a> {
    lens: &'a [usize],
    phi: f64,
    /// Orthonormal columns of the load.
    basis: Vec<f64>,
    columns: Vec<f64>,
    /// Square of each column.
    cc: Vec<f64>,
    /// Product of each column with the values.
    cy: Vec<f64>,
    y: Vec<f64>,
    /// Sum of squares that no column explains.
    total: f64,
    /// What levels and load add to the deviance at this autocorrelation.
    determinant: f64,
    /// Points less levels and columns of the load.
    freedom: f64,
}

/// Coefficients, the inverse of the normal equations, and the sum of squares that is left.
#[derive(Clone, Copy)]
pub(super) struct Solution {
    pub(super) beta: [f64; MOST_COLUMNS],
    pub(super) inverse: Square,
    pub(super) sse: f64,
}

impl Solution {
    /// A weighted sum of the coefficients, and its variance for residuals of variance 1.
    pub(super) fn combine(&self, weights: &[f64; MOST_COLUMNS]) -> (f64, f64) {
        let sum = weights.iter().zip(self.beta).map(|(w, b)| w * b).sum();
        let spread = weights
            .iter()
            .zip(&self.inverse)
            .map(|(w, row)| w * row.iter().zip(weights).map(|(cell, v)| cell * v).sum::<f64>());
        (sum, spread.sum::<f64>().max(0.0))
    }
}

impl<'a> Regression<'a> {
    /// Prepares values, load and columns for residuals with the autocorrelation `phi`, 0..1.
    pub(super) fn new(points: &Points<'a>, phi: f64, columns: &[f64]) -> Self {
        let n = points.y.len();
        let mut regression = Self {
            lens: points.lens,
            phi,
            basis: Vec::with_capacity(points.load.len()),
            columns: Vec::with_capacity(columns.len() + 16 * n),
            cc: Vec::with_capacity(columns.len() / n + 16),
            cy: Vec::with_capacity(columns.len() / n + 16),
            y: points.y.to_vec(),
            total: 0.0,
            determinant: 0.0,
            freedom: n as f64 - points.lens.len() as f64,
        };
        for &len in points.lens {
            // Of a run with its level: (1 - phi²)⁻¹ by the square of the whitened level.
            regression.determinant += ((1.0 - phi) / (1.0 + phi) * (len as f64 - 1.0)).ln_1p();
        }
        let mut column = vec![0.0; n];
        for load in points.load.chunks_exact(n) {
            column.copy_from_slice(load);
            let before = dot(&column, &column);
            // Twice, because once leaves rounding errors that matter where columns are nearly the same.
            regression.clean(&mut column);
            regression.project_out(&mut column);
            let norm = dot(&column, &column);
            if norm > 1e-6 * before * (1.0 - phi) * (1.0 - phi) {
                let scale = norm.sqrt().recip();
                regression.basis.extend(column.iter().map(|v| v * scale));
                regression.determinant += norm.ln();
                regression.freedom -= 1.0;
            }
        }
        let mut y = std::mem::take(&mut regression.y);
        regression.clean(&mut y);
        regression.total = dot(&y, &y) + 1e-18;
        regression.y = y;
        for column in columns.chunks_exact(n) {
            regression.add(column);
        }
        regression
    }

    /// Minus twice the logarithm of the likelihood that a sum of squares has, levels and load taken out (restricted
    /// likelihood, Patterson and Thompson 1971): comparable between autocorrelations, for the same points.
    pub(super) fn deviance(&self, sse: f64) -> f64 {
        self.freedom * (sse.max(LEAST) / self.freedom).ln() + self.determinant
    }
    /// Number of points.
    pub(super) fn points(&self) -> usize {
        self.y.len()
    }
    /// Sum of squares without any column.
    pub(super) fn total(&self) -> f64 {
        self.total
    }
    /// Sum of squares that one column alone leaves.
    pub(super) fn sse(&self, i: usize) -> f64 {
        left(self.total, self.cc[i], self.cy[i])
    }
    /// Whether one column alone has a positive coefficient.
    pub(super) fn rises(&self, i: usize) -> bool {
        self.cy[i] > 0.0
    }

    /// Adds a column, and tells its number.
    pub(super) fn add(&mut self, raw: &[f64]) -> usize {
        let from = self.columns.len();
        let mut columns = std::mem::take(&mut self.columns);
        columns.extend_from_slice(raw);
        let (cc, cy) = self.measure(&mut columns[from..]);
        if cc == 0.0 {
            columns[from..].fill(0.0);
        }
        self.columns = columns;
        self.cc.push(cc);
        self.cy.push(cy);
        from / self.points()
    }

    /// What a column alone would leave; it is changed.
    pub(super) fn try_out(&self, column: &mut [f64]) -> f64 {
        let (cc, cy) = self.measure(column);
        if cy > 0.0 { left(self.total, cc, cy) } else { f64::INFINITY }
    }

    fn measure(&self, column: &mut [f64]) -> (f64, f64) {
        let before = dot(column, column);
        self.clean(column);
        let cc = dot(column, column);
        if cc <= 1e-9 * before || cc <= 0.0 { (0.0, 0.0) } else { (cc, dot(column, &self.y)) }
    }

    fn column(&self, i: usize) -> &[f64] {
        &self.columns[i * self.points()..(i + 1) * self.points()]
    }

    /// Least squares on few columns; none when they cannot be told apart.
    pub(super) fn solve(&self, chosen: &[usize]) -> Option<Solution> {
        let k = chosen.len();
        let mut gram = [[0.0; MOST_COLUMNS]; MOST_COLUMNS];
        for (a, &i) in chosen.iter().enumerate() {
            gram[a][a] = self.cc[i];
            for (b, &j) in chosen.iter().enumerate().take(a) {
                gram[a][b] = dot(self.column(i), self.column(j));
                gram[b][a] = gram[a][b];
            }
        }
        let inverse = invert(gram, k)?;
        let mut beta = [0.0; MOST_COLUMNS];
        let mut sse = self.total;
        for a in 0..k {
            beta[a] = (0..k).map(|b| inverse[a][b] * self.cy[chosen[b]]).sum();
            sse -= beta[a] * self.cy[chosen[a]];
        }
        Some(Solution { beta, inverse, sse: sse.max(0.0) })
    }

    /// The column of `pool` that, beside those chosen, leaves the least, and what it leaves.
    pub(super) fn best_beside(
        &self,
        chosen: &[usize],
        pool: impl Iterator<Item = usize>,
    ) -> Option<(usize, f64)> {
        let n = self.points();
        let mut basis: Vec<f64> = Vec::with_capacity(chosen.len() * n);
        let mut sse = self.total;
        let mut ys = [0.0; MOST_COLUMNS];
        for (y, &i) in ys.iter_mut().zip(chosen) {
            let mut column = self.column(i).to_vec();
            for q in basis.chunks_exact(n) {
                let factor = dot(q, &column);
                subtract(&mut column, q, factor);
            }
            let norm = dot(&column, &column);
            if norm <= 1e-9 * self.cc[i] {
                return None;
            }
            let scale = norm.sqrt().recip();
            column.iter_mut().for_each(|v| *v *= scale);
            *y = dot(&column, &self.y);
            sse -= *y * *y;
            basis.extend_from_slice(&column);
        }
        pool.filter_map(|j| {
            let (mut cc, mut cy) = (self.cc[j], self.cy[j]);
            for (q, y) in basis.chunks_exact(n).zip(ys) {
                let factor = dot(q, self.column(j));
                cc -= factor * factor;
                cy -= factor * y;
            }
            (cc > 1e-6 * self.cc[j]).then(|| (j, left(sse, cc, cy)))
        })
        .reduce(first_least)
    }

    /// Autocorrelation of neighbouring residuals of a model, corrected for its bias in short runs (Kendall, Biometrika
    /// 41, 1954), 0..=0.93.
    pub(super) fn autocorrelation(&self, chosen: &[usize]) -> f64 {
        let rest = self.residuals(chosen);
        let (mut product, mut square) = (0.0, 0.0);
        let mut from = 0;
        for &len in self.lens {
            let run = &rest[from..from + len];
            product += dot(&run[1..], &run[..len - 1]);
            square += dot(run, run);
            from += len;
        }
        let raw = product / square.max(1e-18);
        (raw + (1.0 + 4.0 * raw) / rest.len() as f64).clamp(0.0, 0.93)
    }

    /// How many times as much the sums of residuals of one time vary as they would if runs knew nothing of each other (the
    /// design effect of Kish, Survey Sampling, 1965): 1 for independent runs, their number for runs that all do the same.
    /// `times` numbers the time of each point.
    pub(super) fn design_effect(&self, chosen: &[usize], times: &[usize]) -> f64 {
        if self.lens.len() < 2 {
            return 1.0;
        }
        let rest = self.residuals(chosen);
        let mut sums = vec![0.0; times.iter().max().map_or(0, |last| last + 1)];
        for (&time, v) in times.iter().zip(&rest) {
            sums[time] += v;
        }
        (dot(&sums, &sums) / dot(&rest, &rest).max(1e-18)).max(1.0)
    }

    /// What a model leaves of the values, whitened.
    fn residuals(&self, chosen: &[usize]) -> Vec<f64> {
        let mut rest = self.y.clone();
        if let Some(solution) = self.solve(chosen) {
            for (&i, beta) in chosen.iter().zip(solution.beta) {
                subtract(&mut rest, self.column(i), beta);
            }
        }
        rest
    }

    /// Whitens a column and takes levels and load out of it.
    fn clean(&self, column: &mut [f64]) {
        // Prais and Winsten (1954): the first point of a run is scaled, not lost.
        let first = (1.0 - self.phi * self.phi).sqrt();
        let rest = 1.0 - self.phi;
        let mut from = 0;
        for &len in self.lens {
            let run = &mut column[from..from + len];
            if self.phi > 0.0 {
                for i in (1..len).rev() {
                    run[i] -= self.phi * run[i - 1];
                }
                run[0] *= first;
            }
            // The whitened level of the run.
            let sum = first * run[0] + rest * run[1..].iter().sum::<f64>();
            let factor = sum / (first * first + rest * rest * (len - 1) as f64);
            run[0] -= factor * first;
            for v in &mut run[1..] {
                *v -= factor * rest;
            }
            from += len;
        }
        self.project_out(column);
    }

    fn project_out(&self, column: &mut [f64]) {
        let mut factors = [0.0; MOST_LOAD];
        let basis = self.basis.chunks_exact(column.len());
        // The basis is orthonormal, so all products may be taken first.
        for (factor, q) in factors.iter_mut().zip(basis.clone()) {
            *factor = dot(q, column);
        }
        for (factor, q) in factors.iter().zip(basis) {
            subtract(column, q, *factor);
        }
    }
}

/// Which of two columns leaves less; the first of two that leave the same. Two that say the same, such as the beginning and
/// the end of a weekend beside the weekend itself, differ by rounding, which must not decide.
pub(super) fn first_least(first: (usize, f64), next: (usize, f64)) -> (usize, f64) {
    if next.1 < first.1 * (1.0 - TIE) { next } else { first }
}

/// What is left of `total` beside a column of square `cc` and product `cy`.
fn left(total: f64, cc: f64, cy: f64) -> f64 {
    if cc > 0.0 { (total - cy * cy / cc).max(0.0) } else { total }
}

/// Inverse of the first `k` rows and columns of a symmetric positive matrix, by Gauss and Jordan; none when singular.
fn invert(mut a: Square, k: usize) -> Option<Square> {
    let mut inverse = [[0.0; MOST_COLUMNS]; MOST_COLUMNS];
    let before: [f64; MOST_COLUMNS] = std::array::from_fn(|i| a[i][i]);
    for (i, row) in inverse.iter_mut().enumerate().take(k) {
        row[i] = 1.0;
    }
    for i in 0..k {
        let pivot = a[i][i];
        if pivot.is_nan() || pivot <= 1e-9 * before[i] {
            return None;
        }
        for j in 0..k {
            a[i][j] /= pivot;
            inverse[i][j] /= pivot;
        }
        for r in (0..k).filter(|&r| r != i) {
            let factor = a[r][i];
            for j in 0..k {
                a[r][j] -= factor * a[i][j];
                inverse[r][j] -= factor * inverse[i][j];
            }
        }
    }
    Some(inverse)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight sums let the compiler use wide registers without changing the order from run to run.
    let mut sums = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for k in 0..8 {
            sums[k] += x[k] * y[k];
        }
    }
    (sums[0] + sums[4]) + (sums[1] + sums[5]) + (sums[2] + sums[6]) + (sums[3] + sums[7]) + rest
}

fn subtract(a: &mut [f64], b: &[f64], factor: f64) {
    for (x, y) in a.iter_mut().zip(b) {
        *x -= factor * y;
    }
}
