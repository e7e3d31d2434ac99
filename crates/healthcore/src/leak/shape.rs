//! Shapes that memory takes over time.

use std::fmt;

use serde::Serialize;

/// A rise that ends must have ended here: a quarter of the span is flat.
pub(super) const FLAT_FROM: f64 = 0.74;

/// A family of shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Shape {
    /// No change.
    Constant,
    /// One step.
    Step,
    /// Several steps.
    Steps,
    /// A rise to a plateau.
    Plateau,
    /// A warm-up from the start of the process.
    WarmUp,
    /// A warm-up that begins inside the window.
    LateWarmUp,
    /// A ramp that returns.
    RampAndReturn,
    /// A step and a warm-up.
    StepAndWarmUp,
    /// A step and a rise to a plateau.
    StepAndPlateau,
    /// Two warm-ups of different speed.
    TwoWarmUps,
    /// A smooth step.
    #[serde(rename = "smooth-step")]
    Sigmoid,
    /// A fill that slows down as it fills: t / (t + k).
    #[serde(rename = "slowing-fill")]
    Hyperbola,
    /// A line.
    Line,
    /// A logarithm: slower and slower, without end.
    Logarithm,
    /// Faster and faster.
    Accelerating,
    /// A line that begins inside the window.
    #[serde(rename = "late-line")]
    Late,
    /// A warm-up, then a line.
    LineAndWarmUp,
    /// A line with steps.
    #[serde(rename = "line-and-steps")]
    LineAndStep,
    /// A line whose slope changes once.
    TwoSlopes,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Constant => "constant",
            Self::Step => "a step",
            Self::Steps => "steps",
            Self::Plateau => "a rise to a plateau",
            Self::WarmUp => "a warm-up",
            Self::LateWarmUp => "a warm-up that began inside the window",
            Self::RampAndReturn => "a ramp that returns",
            Self::StepAndWarmUp => "a step and a warm-up",
            Self::StepAndPlateau => "a step and a rise to a plateau",
            Self::TwoWarmUps => "a fast and a slow warm-up",
            Self::Sigmoid => "a smooth step",
            Self::Hyperbola => "a fill that slows down",
            Self::Line => "a line",
            Self::Logarithm => "a logarithm",
            Self::Accelerating => "faster and faster",
            Self::Late => "a line that began inside the window",
            Self::LineAndWarmUp => "a line after a warm-up",
            Self::LineAndStep => "a line with steps",
            Self::TwoSlopes => "a line whose slope changes once",
        })
    }
}

impl Shape {
    /// The name in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Step => "step",
            Self::Steps => "steps",
            Self::Plateau => "plateau",
            Self::WarmUp => "warm-up",
            Self::LateWarmUp => "late-warm-up",
            Self::RampAndReturn => "ramp-and-return",
            Self::StepAndWarmUp => "step-and-warm-up",
            Self::StepAndPlateau => "step-and-plateau",
            Self::TwoWarmUps => "two-warm-ups",
            Self::Sigmoid => "smooth-step",
            Self::Hyperbola => "slowing-fill",
            Self::Line => "line",
            Self::Logarithm => "logarithm",
            Self::Accelerating => "accelerating",
            Self::Late => "late-line",
            Self::LineAndWarmUp => "line-and-warm-up",
            Self::LineAndStep => "line-and-steps",
            Self::TwoSlopes => "two-slopes",
        }
    }

    /// Shapes whose place is looked for between those of the grid.
    pub(super) const REFINED: [Self; 7] = [
        Self::Plateau,
        Self::WarmUp,
        Self::LateWarmUp,
        Self::Sigmoid,
        Self::Hyperbola,
        Self::Late,
        Self::Logarithm,
    ];
    /// Rises and comes to an end.
    pub(super) fn ends(self) -> bool {
        matches!(
            self,
            Self::Plateau
                | Self::WarmUp
                | Self::LateWarmUp
                | Self::RampAndReturn
                | Self::Sigmoid
                | Self::Hyperbola
        )
    }
    pub(super) fn is_line(self) -> bool {
        matches!(self, Self::Line | Self::LineAndWarmUp | Self::LineAndStep)
    }
    /// Its argument is the age of the process, not the calendar.
    pub(super) fn by_age(self) -> bool {
        !matches!(
            self,
            Self::Late | Self::Step | Self::Steps | Self::LateWarmUp | Self::RampAndReturn | Self::Sigmoid
        )
    }
}

/// One shape with its place and its steepness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) shape: Shape,
    pub(super) at: f64,
    pub(super) rate: f64,
    /// Processes whose age is not known have it behind them.
    pub(super) settled: bool,
}

impl Candidate {
    /// Parameters that BIC counts.
    pub(super) fn parameters(self) -> f64 {
        match self.shape {
            Shape::Constant => 0.0,
            Shape::Line => 1.0,
            Shape::LateWarmUp
            | Shape::RampAndReturn
            | Shape::Sigmoid
            | Shape::LineAndWarmUp
            | Shape::LineAndStep => 3.0,
            Shape::Steps | Shape::StepAndWarmUp | Shape::StepAndPlateau | Shape::TwoWarmUps => 4.0,
            _ => 2.0,
        }
    }

    /// The same shape a little beside, `stride` of a grid's step away; only places that the grid's bounds allow.
    pub(super) fn neighbours(self, stride: f64) -> impl Iterator<Item = Self> {
        let Self { shape, at, rate, settled } = self;
        // Widths of the grid: absolute for the place, a factor for the rate.
        let (width, factor) = match shape {
            Shape::Plateau | Shape::Late => (0.054, 1.0),
            Shape::LateWarmUp => (0.07, 1.7),
            Shape::Sigmoid => (0.1, 2.0),
            Shape::Hyperbola => (0.5 * at, 1.0),
            Shape::WarmUp => (0.0, 1.4),
            Shape::Logarithm => (0.0, 2.0),
            _ => (0.0, 1.0),
        };
        let factor = f64::powf(factor, stride);
        let step = width * stride;
        [(at - step, rate), (at + step, rate), (at, rate / factor), (at, rate * factor)]
            .into_iter()
            .map(move |(at, rate)| Self { shape, at, rate, settled })
            .filter(move |near| *near != self && near.is_allowed())
    }

    /// Whether the shape can be told from the others there.
    fn is_allowed(self) -> bool {
        let Self { shape, at, rate, .. } = self;
        match shape {
            Shape::Plateau => (0.05..=0.74).contains(&at),
            Shape::Late => (0.05..=0.72).contains(&at),
            Shape::WarmUp => (1.0 / 0.36..=80.0).contains(&rate),
            Shape::LateWarmUp => (0.02..=0.64).contains(&at) && (2.4..=40.0).contains(&rate),
            Shape::Sigmoid => {
                (0.05..=0.7).contains(&at) && (0.01..=0.12).contains(&rate) && at + 3.0 * rate < FLAT_FROM
            }
            Shape::Hyperbola => (0.01..=0.15).contains(&at),
            Shape::Logarithm => (0.5..=8.0).contains(&rate),
            _ => false,
        }
    }

    /// Rise from the beginning to the end, of the argument 0..=1.
    pub(super) fn total(self) -> f64 {
        let mut ends = Vec::with_capacity(2);
        self.column(&[0.0, 1.0], &[0.0, 1.0], &mut ends);
        ends[1] - ends[0]
    }

    /// Mean slope from `from` to the end, of the argument 0..=1.
    pub(super) fn rise(self, from: f64) -> f64 {
        let mut ends = Vec::with_capacity(2);
        self.column(&[from, 1.0], &[from, 1.0], &mut ends);
        (ends[1] - ends[0]) / (1.0 - from)
    }

    /// Appends its values: `x` is calendar time, `g` age, both 0..=1.
    pub(super) fn column(self, x: &[f64], g: &[f64], out: &mut Vec<f64>) {
        let Self { at, rate, .. } = self;
        match self.shape {
            Shape::Line => out.extend_from_slice(g),
            Shape::Logarithm => out.extend(g.iter().map(|g| (rate * g).ln_1p())),
            Shape::Accelerating => out.extend(g.iter().map(|g| g * g)),
            Shape::Late => out.extend(x.iter().map(|x| (x - at).max(0.0))),
            Shape::Step => out.extend(x.iter().map(|&x| f64::from(u8::from(x > at)))),
            Shape::Plateau => out.extend(g.iter().map(|g| g.min(at))),
            Shape::WarmUp => out.extend(g.iter().map(|g| 1.0 - (-g * rate).exp())),
            Shape::LateWarmUp => {
                out.extend(
                    x.iter().map(|x| if *x > at { 1.0 - (-(x - at) * rate / (1.0 - at)).exp() } else { 0.0 }),
                );
            }
            Shape::RampAndReturn => out.extend(x.iter().map(|x| {
                let up = ((x - at) / (rate - at)).clamp(0.0, 1.0);
                let down = ((1.02 - x) / (1.02 - rate)).clamp(0.0, 1.0);
                up.min(down)
            })),
            Shape::Hyperbola => out.extend(g.iter().map(|g| g / (g + at))),
            Shape::Sigmoid => out.extend(x.iter().map(|x| 1.0 / (1.0 + (-(x - at) / rate).exp()))),
            _ => out.extend(x.iter().map(|_| 0.0)),
        }
    }
}

/// Warm-ups and fills that processes of unknown age have behind them.
pub(super) fn settled(candidates: &[Candidate]) -> Vec<Candidate> {
    let fills = |c: &&Candidate| matches!(c.shape, Shape::WarmUp | Shape::Plateau | Shape::Hyperbola);
    candidates.iter().filter(fills).map(|c| Candidate { settled: true, ..*c }).collect()
}

/// All single-column shapes; the first is the line.
pub(super) fn candidates(x: &[f64]) -> Vec<Candidate> {
    let mut shapes = Vec::with_capacity(160);
    let mut add = |shape, at, rate| shapes.push(Candidate { shape, at, rate, settled: false });
    add(Shape::Line, 0.0, 0.0);
    for rate in [1.0, 2.0, 4.0] {
        add(Shape::Logarithm, 0.0, rate);
    }
    add(Shape::Accelerating, 0.0, 0.0);
    // A plateau counts only when at least a quarter of the span is flat.
    let knots = || (0..13).map(|i| 0.1 + 0.64 * f64::from(i) / 12.0);
    for at in knots().filter(|&at| at <= 0.72) {
        add(Shape::Late, at, 0.0);
    }
    let mut places: Vec<f64> = x.iter().map(|x| (x * 1e4).round() / 1e4).collect();
    places.sort_unstable_by(f64::total_cmp);
    places.dedup();
    let stride = ((places.len().saturating_sub(1)) / 60).max(1);
    for pair in places.windows(2).step_by(stride) {
        add(Shape::Step, f64::midpoint(pair[0], pair[1]), 0.0);
    }
    for at in knots() {
        add(Shape::Plateau, at, 0.0);
    }
    for tau in [0.02, 0.04, 0.07, 0.1, 0.14, 0.19, 0.25, 0.30, 0.36] {
        add(Shape::WarmUp, 0.0, 1.0 / tau);
    }
    // A warm-up that starts inside the window: limit or configuration raised, cache switched on.
    for i in 0..9 {
        let at = 0.06 + 0.56 * f64::from(i) / 8.0;
        for rate in [2.4, 4.0, 7.0, 14.0] {
            add(Shape::LateWarmUp, at, rate);
        }
    }
    for k in [0.025, 0.045, 0.08, 0.13] {
        add(Shape::Hyperbola, k, 0.0);
    }
    for i in 0..6 {
        let at = 0.15 + 0.1 * f64::from(i);
        for width in [0.02, 0.045, 0.09] {
            if at + 3.0 * width < FLAT_FROM {
                add(Shape::Sigmoid, at, width);
            }
        }
    }
    for from in [0.0, 0.2, 0.4] {
        for to in [0.35, 0.5, 0.65, 0.8] {
            if to > from + 0.1 {
                add(Shape::RampAndReturn, from, to);
            }
        }
    }
    shapes
}
