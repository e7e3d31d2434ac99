//! One regression over all runs: shapes that end against shapes that do not.

use super::regression::{MOST_COLUMNS, Points, Regression, Solution, first_least};
use super::runs::Floor;
use super::shape::{self, Candidate, Shape};

/// Unix hours of the window's start, and what one unit of `y` is.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub(super) start_hours: f64,
    pub(super) scale: f64,
    /// Whether the load of hours and days is taken out.
    pub(super) calendar: bool,
}

/// Margins of a decision; each is 1 at its threshold.
pub(super) const MARGINS: usize = 9;
/// Index of the margin of growth against the limit.
pub(super) const GROWTH: usize = 3;
/// Index of the line among the candidates.
const LINE: usize = 0;
/// Steps of one model that may go up and down.
const FEW_STEPS: usize = 4;
/// Steps of one model at most.
const MOST_STEPS: usize = 6;
/// Hours from which on a week can be told from a trend.
const WEEKLY_FROM: f64 = 240.0;
/// Autocorrelations of memory that wanders.
const WANDERING: [f64; 5] = [0.8, 0.9, 0.95, 0.98, 0.99];
/// How often the distance to neighbours is halved when looking between the places of the grid.
const REFINEMENTS: usize = 4;
/// BIC that a place between those of the grid must gain: only where little noise makes the grid too coarse.
const REFINED_GAIN: f64 = 25.0;
/// Variance of the noise at least, in units of the scale: memory is never known better than to a millionth of the limit.
const LEAST_VARIANCE: f64 = 1e-12;
/// Standard error of the rate, as a share of it, that the choice of the shape brings: with it the 95 % interval holds
/// the true rate of nine in ten labelled leaks, without it of one in two.
const SHAPE_ERROR: f64 = 0.15;
/// Share of the slope at the end below which what was before is flat.
const FLAT: f64 = 0.2;
/// BIC by which two shapes differ that are the same but for rounding.
const TIE: f64 = 1e-6;
/// Standard errors of a one-sided bound.
const SIGMAS: f64 = 2.0;
/// Design effect above which runs are not independent.
const DESIGN_EFFECT: f64 = 1.2;
/// Hours below which a window holds no second day to compare with.
const SHORT: f64 = 36.0;
/// Share of all growth below which growth without end has to stand out from what ends beside it.
const SMALL_SHARE: f64 = 0.25;
/// Places from which on the last part is looked at.
const BENDS: [f64; 3] = [0.6, 0.7, 0.8];
/// Places of a run that part its lowest point before from its lowest after.
const LOWEST_FROM: [f64; 3] = [0.3, 0.5, 0.7];

/// What one fit found.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) bounded: Shape,
    pub(super) unbounded: Shape,
    /// BIC of the best static shape less that of the best unbounded one.
    pub(super) over_static: f64,
    /// BIC of the best saturating shape less that of the best unbounded one.
    pub(super) over_saturating: f64,
    /// BIC of memory that wanders about its level less that of the best unbounded shape, each with the autocorrelation that
    /// suits it best.
    pub(super) over_wandering: f64,
    /// Growth per hour in the last part, bytes.
    pub(super) rate: f64,
    /// Standard error of `rate`.
    pub(super) rate_error: f64,
    /// Growth over the window, in units of the scale.
    pub(super) growth: f64,
    /// Hours since the window's start at which the growth began.
    pub(super) onset: f64,
    pub(super) z: f64,
    /// Slope of the last 40 % of age against the whole.
    pub(super) tail: f64,
    pub(super) tail_z: f64,
    /// Largest slope that the last part allows, as a share of what the shape says there.
    pub(super) refuted: f64,
    /// Least slope of the last part that the data allow, as a share of what the shape says there.
    pub(super) steady: f64,
    /// Columns of the unbounded shape.
    pub(super) complexity: usize,
    /// Growth without end as a share of all growth, what ends included.
    pub(super) share: f64,
    /// Standard errors of the slope over the last 40 %, what ends taken out.
    pub(super) late_z: f64,
    pub(super) phi: f64,
    /// Hours from the first to the last point.
    pub(super) span: f64,
    /// Hours of the oldest process.
    pub(super) oldest: f64,
    pub(super) noise: f64,
    pub(super) points: usize,
    /// Fitted curve of the unbounded shape per run, without load: bytes over its first point.
    pub(super) curve: Vec<Vec<f64>>,
}

/// Thresholds of the gates.
mod gate {
    pub(super) const BIC: f64 = 5.0;
    pub(super) const WANDERING: f64 = 4.0;
    pub(super) const SATURATING: f64 = 1.6;
    pub(super) const Z: f64 = 3.5;
    pub(super) const TAIL: f64 = 0.30;
    pub(super) const SNR: f64 = 2.0;
    pub(super) const REFUTED: f64 = 0.5;
    pub(super) const TAIL_Z: f64 = 2.2;
    pub(super) const LATE: f64 = 1.7;
    pub(super) const STEADY: f64 = 0.5;
    pub(super) const LATE_Z: f64 = 4.5;
}

/// Daily and weekly load as columns; run levels are handled apart. `apart` is the distance of points in hours: what it
/// cannot resolve is left out.
fn load(hours: &[f64], (span, apart): (f64, f64), start_hours: f64) -> Vec<f64> {
    let n = hours.len();
    let mut columns = Vec::with_capacity(12 * n);
    let mut push = |value: &dyn Fn(usize) -> f64| columns.extend((0..n).map(value));
    let angle: Vec<f64> = hours.iter().map(|h| std::f64::consts::TAU * (h + start_hours) / 24.0).collect();
    for (harmonic, from) in [(1.0, 20.0), (2.0, 40.0), (3.0, 60.0)] {
        if span >= from && 24.0 / harmonic >= 2.0 * apart {
            push(&|i| (harmonic * angle[i]).sin());
            push(&|i| (harmonic * angle[i]).cos());
        }
    }
    if span >= 60.0 && apart <= 24.0 {
        // 1 January 1970 was a Thursday.
        let weekend: Vec<f64> = hours
            .iter()
            .map(|h| {
                let day = (((start_hours + h) / 24.0).floor() + 4.0).rem_euclid(7.0);
                f64::from(u8::from(!(0.5..=5.5).contains(&day)))
            })
            .collect();
        let share = weekend.iter().sum::<f64>() / n as f64;
        if share > 0.08 && share < 0.92 {
            push(&|i| weekend[i]);
            if span >= 110.0 {
                push(&|i| weekend[i] * angle[i].sin());
                push(&|i| weekend[i] * angle[i].cos());
            }
        }
    }
    if span >= WEEKLY_FROM && apart <= 84.0 {
        push(&|i| (angle[i] / 7.0).sin());
        push(&|i| (angle[i] / 7.0).cos());
    }
    columns
}

/// Load that memory may follow, as one column: each run's deviations from its own mean, so that replicas of unequal share
/// can be pooled. Zero for runs that know less than half of theirs, empty when no run knows more.
fn requests(parts: &[Floor]) -> Vec<f64> {
    let mut column = Vec::new();
    for floor in parts {
        let known: Vec<f64> = floor.load.iter().copied().filter(|v| v.is_finite()).collect();
        if known.len() * 2 < floor.hours.len() || known.is_empty() {
            column.extend(std::iter::repeat_n(0.0, floor.hours.len()));
            continue;
        }
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        column.extend(floor.load.iter().map(|v| if v.is_finite() { v - mean } else { 0.0 }));
    }
    let scale = column.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
    if scale > 0.0 {
        column.iter_mut().for_each(|v| *v /= scale);
        column
    } else {
        Vec::new()
    }
}

/// Age of each point as in `g`, where processes whose age is not known count as old. Empty when that says nothing new.
fn settled(parts: &[Floor], g: &[f64]) -> Vec<f64> {
    if parts.iter().all(|floor| floor.older == parts[0].older) {
        return Vec::new();
    }
    let older = parts.iter().flat_map(|floor| std::iter::repeat_n(floor.older, floor.hours.len()));
    g.iter().zip(older).map(|(g, older)| if older { 1.0 } else { *g }).collect()
}

/// BIC by which a shape is better that is closer by `deviance` and has `more` parameters. Where runs move together, as many
/// points as are worth `effect` times fewer; the smaller of both, for that must not make a simple shape look better.
fn better(deviance: f64, more: f64, n: f64, effect: f64) -> f64 {
    (deviance - more * n.ln()).min(deviance / effect - more * (n / effect).ln())
}

/// Numbers of the times at which points are: those that are less than `apart` hours after the first of a time belong to it.
fn times(hours: &[f64], apart: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..hours.len()).collect();
    order.sort_by(|&a, &b| hours[a].total_cmp(&hours[b]));
    let mut times = vec![0; hours.len()];
    let (mut time, mut since) = (0, hours[order[0]]);
    for i in order {
        if hours[i] - since >= apart {
            (time, since) = (time + 1, hours[i]);
        }
        times[i] = time;
    }
    times
}

/// A shape of one or several columns, fitted. Its first column is what grows.
#[derive(Clone)]
struct Model {
    shape: Shape,
    columns: Vec<usize>,
    parameters: f64,
    bic: f64,
}

impl Model {
    /// Memory at its level.
    const CONSTANT: Self = Self { shape: Shape::Constant, columns: Vec::new(), parameters: 0.0, bic: 0.0 };
}

/// All shapes of one kind, of which the best is kept.
struct Contest {
    /// Points of the fit.
    n: f64,
    best: Option<Model>,
}

impl Contest {
    /// Schwarz (1978): n ln(SSE / n) + k ln n.
    fn offer(&mut self, shape: Shape, columns: &[usize], parameters: f64, sse: f64) {
        let bic = self.n * (sse.max(1e-16) / self.n).ln() + parameters * self.n.ln();
        if self.best.as_ref().is_none_or(|best| bic < best.bic - TIE) {
            self.best = Some(Model { shape, columns: columns.to_vec(), parameters, bic });
        }
    }
}

/// The best shape of each kind.
struct Standing {
    /// No change, or steps.
    still: Model,
    /// Rises and comes to an end.
    ending: Option<Model>,
    /// Rises without end.
    rising: Option<Model>,
}

impl Standing {
    fn best(&self) -> &Model {
        [self.ending.as_ref(), self.rising.as_ref()]
            .into_iter()
            .flatten()
            .fold(&self.still, |best, m| if m.bic < best.bic { m } else { best })
    }
    fn bounded(&self) -> &Model {
        self.ending.as_ref().filter(|m| m.bic < self.still.bic).unwrap_or(&self.still)
    }
}

/// The arena in which shapes compete: candidates and their columns, by the same number.
struct Arena<'a> {
    /// Place of each point in the window, 0..=1.
    x: &'a [f64],
    /// Age of the process at each point, as a share of the oldest.
    g: &'a [f64],
    /// The same, where processes of unknown age count as old; empty when all or none are.
    settled: &'a [f64],
    /// Hours of the window.
    span: f64,
    /// Hours of the oldest process.
    oldest: f64,
    shapes: Vec<Candidate>,
    /// Their columns as they are, one after the other.
    columns: Vec<f64>,
    regression: Regression<'a>,
}

impl<'a> Arena<'a> {
    fn new(
        x: &'a [f64],
        (g, settled): (&'a [f64], &'a [f64]),
        (span, oldest): (f64, f64),
        points: &Points<'a>,
    ) -> Self {
        let mut shapes = shape::candidates(x);
        if !settled.is_empty() {
            shapes.extend(shape::settled(&shapes));
        }
        let mut columns = Vec::with_capacity(shapes.len() * x.len());
        for shape in &shapes {
            shape.column(x, if shape.settled { settled } else { g }, &mut columns);
        }
        let regression = Regression::new(points, 0.0, &columns);
        Self { x, g, settled, span, oldest, shapes, columns, regression }
    }

    /// Prepares the same candidates for residuals with the autocorrelation `phi`.
    fn whiten(&mut self, points: &Points<'a>, phi: f64) {
        self.regression = Regression::new(points, phi, &self.columns);
    }

    /// Appends the values of a candidate.
    fn column(&self, shape: Candidate, out: &mut Vec<f64>) {
        shape.column(self.x, if shape.settled { self.settled } else { self.g }, out);
    }

    /// Adds a candidate.
    fn add(&mut self, shape: Candidate) {
        let from = self.columns.len();
        let mut columns = std::mem::take(&mut self.columns);
        self.column(shape, &mut columns);
        self.columns = columns;
        self.regression.add(&self.columns[from..]);
        self.shapes.push(shape);
    }

    /// Numbers of the candidates of a shape.
    fn of(&self, shape: Shape) -> impl Iterator<Item = usize> {
        (0..self.shapes.len()).filter(move |&i| self.shapes[i].shape == shape)
    }

    /// The candidate of a shape that leaves the least alone, with a positive coefficient.
    fn best_of(&self, shape: Shape) -> Option<usize> {
        let rises = self.of(shape).filter(|&i| self.regression.rises(i));
        rises.map(|i| (i, self.regression.sse(i))).reduce(first_least).map(|(best, _)| best)
    }

    /// Looks between the places of the grid for better ones of the best candidates.
    fn refine(&mut self) {
        let mut column = Vec::with_capacity(self.x.len());
        for shape in Shape::REFINED {
            let Some(best) = self.best_of(shape) else { continue };
            let (start, mut sse) = (self.shapes[best], self.regression.sse(best));
            let mut held = start;
            let mut stride = 0.5;
            for _ in 0..REFINEMENTS {
                for near in held.neighbours(stride) {
                    column.clear();
                    self.column(near, &mut column);
                    let tried = self.regression.try_out(&mut column);
                    if tried < sse {
                        (held, sse) = (near, tried);
                    }
                }
                stride *= 0.5;
            }
            let n = self.x.len() as f64;
            if n * (self.regression.sse(best).max(1e-16) / sse.max(1e-16)).ln() > REFINED_GAIN {
                self.add(held);
            }
        }
    }

    fn compete(&self) -> Standing {
        let fitted = &self.regression;
        let contest = || Contest { n: fitted.points() as f64, best: None };
        let (mut still, mut ending, mut rising) = (contest(), contest(), contest());
        still.offer(Shape::Constant, &[], 0.0, fitted.total());
        for (i, candidate) in self.shapes.iter().enumerate() {
            let (shape, parameters, sse) = (candidate.shape, candidate.parameters(), fitted.sse(i));
            if shape == Shape::Step {
                still.offer(shape, &[i], parameters, sse);
            } else if fitted.rises(i) {
                let contest = if shape.ends() { &mut ending } else { &mut rising };
                contest.offer(shape, &[i], parameters, sse);
            }
        }
        // Steps, each where it helps most beside those before.
        let mut chosen = Vec::with_capacity(MOST_STEPS);
        while chosen.len() < MOST_STEPS {
            let apart = |j: &usize| chosen.iter().all(|c: &usize| c.abs_diff(*j) > 1);
            let Some((next, sse)) = fitted.best_beside(&chosen, self.of(Shape::Step).filter(apart)) else {
                break;
            };
            chosen.push(next);
            // More than a few are believed only when each goes up and they come to an end, as when memory is filled in
            // portions. Those that go on are growth.
            let is_over = || chosen.iter().all(|&i| self.shapes[i].at <= shape::FLAT_FROM);
            let go_up = |s: Solution| s.beta[..chosen.len()].iter().all(|b| *b > 0.0);
            let believed =
                chosen.len() <= FEW_STEPS || (is_over() && fitted.solve(&chosen).is_some_and(go_up));
            if chosen.len() > 1 && believed {
                still.offer(Shape::Steps, &chosen, 2.0 * chosen.len() as f64, sse);
            }
        }
        let step = chosen.first().copied();
        // Two shapes that end, together.
        for (shape, first, other) in [
            (Shape::StepAndWarmUp, step, Shape::WarmUp),
            (Shape::StepAndPlateau, step, Shape::Plateau),
            (Shape::TwoWarmUps, self.best_of(Shape::WarmUp), Shape::WarmUp),
        ] {
            if let Some(first) = first
                && let Some((second, sse)) =
                    fitted.best_beside(&[first], self.of(other).filter(|j| *j != first))
            {
                ending.offer(shape, &[first, second], 4.0, sse);
            }
        }
        // A line together with what ends.
        let still = still.best.unwrap_or_else(|| unreachable!("a constant was offered"));
        let ending = ending.best;
        let mut beside = |shape: Shape, others: &[usize], parameters: f64| {
            let columns: Vec<usize> = std::iter::once(LINE).chain(others.iter().copied()).collect();
            if let Some(solution) = fitted.solve(&columns)
                && solution.beta[0] > 0.0
            {
                rising.offer(shape, &columns, parameters, solution.sse);
            }
        };
        let short = self.of(Shape::WarmUp).filter(|&i| self.shapes[i].rate >= 5.2);
        if let Some((warm_up, _)) = fitted.best_beside(&[LINE], short) {
            beside(Shape::LineAndWarmUp, &[warm_up], 3.0);
        }
        if let Some(step) = step {
            beside(Shape::LineAndStep, &[step], 3.0);
        }
        if let Some((bend, _)) = fitted.best_beside(&[LINE], self.of(Shape::Late)) {
            beside(Shape::TwoSlopes, &[bend], 3.0);
        }
        if still.columns.len() > 1 {
            beside(Shape::LineAndStep, &still.columns, 1.0 + still.parameters);
        }
        if let Some(ending) = &ending {
            beside(Shape::LineAndWarmUp, &ending.columns, 1.0 + ending.parameters);
        }
        Standing { still, ending, rising: rising.best }
    }

    /// Deviance of a model with the autocorrelation that suits it best, from `phi` on: a shape may fit well only because it
    /// took for itself what memory did by wandering.
    fn deviance_of_its_own(&self, model: &Model, points: &Points<'a>, phi: f64) -> f64 {
        let n = self.x.len();
        let mut columns = Vec::with_capacity(model.columns.len() * n);
        for &i in &model.columns {
            columns.extend_from_slice(&self.columns[i * n..(i + 1) * n]);
        }
        let all: Vec<usize> = (0..model.columns.len()).collect();
        let deviance = std::iter::once(phi).chain(WANDERING.into_iter().filter(|p| *p > phi)).map(|phi| {
            let fitted = Regression::new(points, phi, &columns);
            fitted.deviance(fitted.solve(&all).map_or(fitted.total(), |solution| solution.sse))
        });
        deviance.fold(f64::INFINITY, f64::min)
    }

    /// Slope per hour from `at` on with its standard error, when what is fitted may bend there.
    fn late_slope(&mut self, model: &Model, at: f64, freedom: f64) -> Option<(f64, f64)> {
        let lead = self.shapes[model.columns[0]];
        let argument = if lead.shape.by_age() { self.g } else { self.x };
        let bend: Vec<f64> = argument.iter().map(|v| (v - at).max(0.0)).collect();
        let bend = self.regression.add(&bend);
        let mut columns = model.columns.clone();
        columns.push(bend);
        let solution = (columns.len() <= MOST_COLUMNS).then(|| self.regression.solve(&columns))??;
        let mut weights = [0.0; MOST_COLUMNS];
        for (weight, &i) in weights.iter_mut().zip(&model.columns) {
            *weight = self.rise(i, at);
        }
        weights[columns.len() - 1] = 1.0 / self.hours(lead);
        let (slope, spread) = solution.combine(&weights);
        Some((slope, (spread * solution.sse / freedom).sqrt()))
    }

    /// Hours that the argument of a shape, 0..=1, stands for.
    fn hours(&self, shape: Candidate) -> f64 {
        if shape.shape.by_age() { self.oldest } else { self.span }
    }

    /// Mean slope per hour of a candidate from `at` on, when it goes on rising there; what has come to its end counts
    /// nothing.
    fn rise(&self, i: usize, at: f64) -> f64 {
        let shape = self.shapes[i];
        if shape.shape.ends() || shape.shape == Shape::Step {
            0.0
        } else {
            shape.rise(at) / self.hours(shape)
        }
    }

    /// Slope over the last 40 % of age as a share of the mean slope, and its z.
    fn tail(&mut self, freedom: f64) -> (f64, f64) {
        let bend: Vec<f64> = self.g.iter().map(|v| (v - BENDS[0]).max(0.0)).collect();
        let bend = self.regression.add(&bend);
        let Some(solution) = self.regression.solve(&[LINE, bend]) else { return (-1.0, 0.0) };
        let [first, more, ..] = solution.beta;
        let inverse = &solution.inverse;
        let late = first + more;
        let mean = first + (1.0 - BENDS[0]) * more;
        let spread = inverse[0][0] + 2.0 * inverse[0][1] + inverse[1][1];
        let error = (spread.max(0.0) * solution.sse.max(1e-18) / freedom).sqrt();
        (if mean > 0.0 { late / mean } else { -1.0 }, late / error.max(1e-9))
    }
}

/// Fits all shapes to the floors of `parts`. `None` when there are too few points, `Some(None)` when nothing
/// rises.
#[expect(clippy::option_option, reason = "too few points and no rise are different answers")]
pub(super) fn fit(parts: &[Floor], frame: Frame) -> Option<Option<Fit>> {
    let lens: Vec<usize> = parts.iter().map(|f| f.hours.len()).collect();
    let n: usize = lens.iter().sum();
    if n < 14 {
        return None;
    }
    let mut y = Vec::with_capacity(n);
    let mut hours = Vec::with_capacity(n);
    let mut age = Vec::with_capacity(n);
    for floor in parts {
        y.extend(floor.bytes.iter().map(|b| b / frame.scale));
        hours.extend_from_slice(&floor.hours);
        age.extend(floor.hours.iter().map(|h| h - floor.hours[0]));
    }
    let first = hours.iter().copied().fold(f64::INFINITY, f64::min);
    let last = hours.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = last - first;
    let oldest = age.iter().copied().fold(0.0, f64::max);
    if span <= 0.0 || oldest <= 0.0 {
        return None;
    }
    let apart = parts.iter().map(|f| f.hours[f.hours.len() - 1] - f.hours[0]).sum::<f64>() / n as f64;
    let mut load = if frame.calendar { load(&hours, (span, apart), frame.start_hours) } else { Vec::new() };
    load.extend(requests(parts));
    let used = load.len() / n + parts.len();
    if n < used + 8 {
        return None;
    }
    let x: Vec<f64> = hours.iter().map(|h| (h - first) / span).collect();
    let g: Vec<f64> = age.iter().map(|a| a / oldest).collect();
    let settled = settled(parts, &g);
    let points = Points { lens: &lens, y: &y, load: &load };
    let mut arena = Arena::new(&x, (&g, &settled), (span, oldest), &points);
    arena.refine();
    let phi = arena.regression.autocorrelation(&arena.compete().best().columns);
    if phi > 0.0 {
        arena.whiten(&points, phi);
        arena.refine();
    }
    let standing = arena.compete();
    let effect = arena.regression.design_effect(&standing.best().columns, &times(&hours, apart));
    // Chance alone brings some.
    let effect = if effect > DESIGN_EFFECT { effect } else { 1.0 };
    let Some(rising) = &standing.rising else { return Some(None) };
    let Some(solution) = arena.regression.solve(&rising.columns) else { return Some(None) };

    let lead = arena.shapes[rising.columns[0]];
    // What rises without end, and beside it the whole fitted curve.
    let (mut rise, mut whole) = (vec![0.0; n], vec![0.0; n]);
    let mut column = Vec::with_capacity(n);
    for (&i, beta) in rising.columns.iter().zip(solution.beta) {
        let shape = arena.shapes[i];
        column.clear();
        arena.column(shape, &mut column);
        whole.iter_mut().zip(&column).for_each(|(w, c)| *w += beta * c);
        if !shape.shape.ends() && shape.shape != Shape::Step {
            rise.iter_mut().zip(&column).for_each(|(r, c)| *r += beta * c);
        }
    }
    // Growth is what one process gains: that of its predecessors has gone with them.
    let mut growth: f64 = 0.0;
    let mut from = 0;
    for &len in &lens {
        let run = &rise[from..from + len];
        let high = run.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = run.iter().copied().fold(f64::INFINITY, f64::min);
        growth = growth.max(high - low);
        from += len;
    }
    let mut others = 0.0;
    let mut falls: Vec<f64> = Vec::new();
    for (&i, beta) in rising.columns.iter().zip(solution.beta) {
        let shape = arena.shapes[i].shape;
        if shape.ends() || (shape == Shape::Step && beta > 0.0) {
            others += arena.shapes[i].total() * beta;
        } else if shape == Shape::Step {
            falls.push(-beta);
        }
    }
    if falls.len() > 1 {
        // Falls between rises are a sawtooth, cut at any of its places: what counts is what stays for sure.
        growth -= falls.iter().sum::<f64>() + falls.iter().copied().fold(0.0, f64::max);
    }
    if !falls.is_empty() && growth > 0.0 {
        growth *= kept(&lens, &y, &rise).min(1.0);
    }
    let freedom = (n as f64 - used as f64 - 2.0).max(1.0);
    let variance = (solution.sse / freedom).max(LEAST_VARIANCE);
    let noise = (variance / (1.0 - phi * phi).max(1e-9)).sqrt();
    // Runs that move together say less than as many that do not.
    let (variance, fewer) = (variance * effect, freedom / effect);
    // What rises per hour in the last part, with its standard error.
    let mut weights = [0.0; MOST_COLUMNS];
    for (weight, &i) in weights.iter_mut().zip(&rising.columns) {
        *weight = arena.rise(i, BENDS[0]);
    }
    let (slope, spread) = solution.combine(&weights);
    let z = if spread > 0.0 { slope / (variance * spread).sqrt() } else { 0.0 };
    // Does the last part of the data agree that it still rises as the shape says?
    let mean = (growth + others.max(0.0)) / arena.hours(lead);
    let (late, error) = arena.late_slope(rising, BENDS[0], fewer).unwrap_or((-1.0, 0.0));
    let mut tail = arena.tail(fewer);
    if rising.shape == Shape::TwoSlopes {
        tail = (if mean > 0.0 { late / mean } else { -1.0 }, late / error.max(1e-12));
    }
    let steady = if slope > 0.0 { (late - SIGMAS * error) / slope } else { -1.0 };
    let refuted = BENDS[1..]
        .iter()
        .filter_map(|&at| {
            let expected: f64 =
                rising.columns.iter().zip(solution.beta).map(|(&i, beta)| arena.rise(i, at) * beta).sum();
            let (late, error) = arena.late_slope(rising, at, freedom)?;
            (expected > 0.0).then(|| (late + SIGMAS * error) / expected)
        })
        .fold(f64::INFINITY, f64::min);
    let ahead = |of: &Model| {
        let more = rising.parameters - of.parameters;
        better(of.bic - rising.bic + more * (n as f64).ln(), more, n as f64, effect)
    };
    let over_static = ahead(&standing.still);
    let over_saturating = ahead(standing.ending.as_ref().unwrap_or(&standing.still));
    let mut over_wandering = over_static;
    if over_static > 0.0 {
        let own = |model: &Model| arena.deviance_of_its_own(model, &points, phi);
        over_wandering = better(own(&Model::CONSTANT) - own(rising), rising.parameters, n as f64, effect);
    }
    let bend = rising.columns.get(1).map(|&i| arena.shapes[i]).filter(|_| rising.shape == Shape::TwoSlopes);
    let onset = match (lead.shape, bend) {
        (Shape::Late, _) => first + lead.at * span,
        // Flat before the bend: it began there.
        (_, Some(bend)) if solution.beta[0] / oldest < FLAT * slope => first + bend.at * span,
        _ => first,
    };
    let rate = slope * frame.scale;
    let mut curve = Vec::with_capacity(parts.len());
    let mut from = 0;
    for &len in &lens {
        let run = &whole[from..from + len];
        curve.push(run.iter().map(|c| (c - run[0]) * frame.scale).collect());
        from += len;
    }
    Some(Some(Fit {
        bounded: standing.bounded().shape,
        unbounded: rising.shape,
        over_static,
        over_saturating,
        over_wandering,
        rate,
        rate_error: (rate / z).hypot(SHAPE_ERROR * rate),
        growth,
        onset,
        z,
        tail: tail.0,
        tail_z: tail.1,
        refuted,
        steady,
        complexity: rising.columns.len(),
        share: growth / (growth + others.max(0.0)),
        late_z: late / error.max(1e-12),
        phi,
        span,
        oldest,
        noise,
        points: n,
        curve,
    }))
}

/// Share of a rise that memory keeps: how far its lowest point from some place on lies above the lowest before, at the place
/// where that is least. What falls back to where it was has been given back, however steep it rose in between.
fn kept(lens: &[usize], y: &[f64], rise: &[f64]) -> f64 {
    let lowest = |points: &[f64]| points.iter().copied().fold(f64::INFINITY, f64::min);
    let share = |place: f64| {
        let (mut higher, mut expected, mut from) = (0.0, 0.0, 0);
        for &len in lens {
            let cut = (place * len as f64) as usize;
            if cut > 0 {
                let (before, after) = y[from..from + len].split_at(cut);
                higher += lowest(after) - lowest(before);
                expected += rise[from + cut] - rise[from];
            }
            from += len;
        }
        if expected > 0.0 { higher / expected } else { 1.0 }
    };
    LOWEST_FROM.map(share).into_iter().fold(f64::INFINITY, f64::min)
}

/// Margin of a slope that is a share of the one expected: 1 at the threshold, without bound where nothing of it is lost.
fn undiminished_share(share: f64, threshold: f64) -> f64 {
    if share <= threshold { share / threshold } else { (1.0 - threshold) / (1.0 - share).max(1e-3) }
}

impl Fit {
    /// Whether daily load may have been taken for what ends beside the growth: no process has lived for a second day to tell.
    /// Where each day begins with a release, its hours and the age of the processes are the same.
    pub(super) fn may_be_load(&self) -> bool {
        self.oldest < SHORT && matches!(self.unbounded, Shape::LineAndStep | Shape::LineAndWarmUp)
    }

    /// Margin of the last part of shapes of several parts. Growth that is small beside what ends has to be there without it.
    fn last_part(&self) -> f64 {
        if self.complexity == 1 {
            return 6.0;
        }
        let rises = self.tail_z / gate::TAIL_Z;
        if self.share < SMALL_SHARE { rises.min(self.late_z / gate::LATE_Z) } else { rises }
    }

    /// Margins, each 1 at its threshold; `penalty` is taken off the BIC differences.
    pub(super) fn margins(&self, min_growth: f64, penalty: f64) -> [f64; MARGINS] {
        // A clear slope over the last 40 % speaks against any plateau by itself.
        let undiminished = if self.tail >= 0.6 { (self.tail_z - 3.0).clamp(0.0, 6.0) } else { 0.0 };
        let mut tail = undiminished_share(self.tail, gate::TAIL);
        if self.unbounded.is_line() && self.tail > 4.0 {
            // A line, yet all of it at the end: the flank of a cycle.
            tail = tail.min(4.0 / self.tail);
        }
        if self.span < SHORT && self.tail > 0.0 {
            // One day cannot tell the flank of tomorrow's load from a leak that has just begun.
            tail = tail.min(gate::LATE / self.tail);
        }
        if self.complexity > 1 {
            // Beside a warm-up or a step that is larger, it is enough that the line is steady.
            tail = tail.max((self.steady / gate::STEADY).min(1.5));
        }
        [
            (self.over_static - penalty) / gate::BIC,
            (self.over_saturating + undiminished - 0.5 * penalty) / gate::SATURATING,
            self.z / gate::Z,
            self.growth / min_growth.max(1e-9),
            tail,
            self.growth / (gate::SNR * self.noise + 1e-9),
            undiminished_share(self.refuted, gate::REFUTED),
            self.last_part(),
            (self.over_wandering - penalty) / gate::WANDERING,
        ]
    }
}
