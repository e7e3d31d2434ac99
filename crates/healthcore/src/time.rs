//! Instants and the one grid of instants that a run looks at.

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From whole seconds since the epoch.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// Seconds from `earlier` to here; negative when `earlier` is later.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1000.0
    }
    /// This instant less some milliseconds. Instants of a damaged file may lie at the ends of time.
    const fn before_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
    /// Seconds from here to `now`; none when this lies after `now` by more than clocks may differ ([`SKEW_S`]), so that
    /// a run that looks at the past does not take for new what had not happened yet. A clock that is a little ahead
    /// gives 0.
    #[must_use]
    pub fn age_at(self, now: Self) -> Option<f64> {
        let age = now.seconds_since(self);
        (age >= -SKEW_S).then_some(age.max(0.0))
    }
    /// This instant moved by a number of seconds.
    #[must_use]
    pub fn plus_seconds(self, seconds: f64) -> Self {
        Self(self.0.saturating_add((seconds * 1000.0) as i64))
    }
}

/// Seconds by which the clocks of two machines may differ before it is told.
pub const SKEW_S: f64 = 300.0;

/// Instants of a run at most: more is a mistake, which would keep a server busy for hours.
pub const MOST_POINTS: f64 = 1e5;

/// The instants of a run: `points` of them, `step` apart, the last at `end`.
///
/// The window is the half-open span `(end - points * step, end]`. All series of a run share it, so a
/// sample is an index and two series can be compared point by point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    end: Timestamp,
    step_s: u32,
    points: u32,
}

/// A window that cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The step is zero or not a whole number of seconds.
    #[error("step: expected a whole number of seconds from 1s, got `{0}`; a usual step is `5m`")]
    Step(crate::unit::Seconds),
    /// Fewer than three steps, or more than [`MOST_POINTS`].
    #[error(
        "lookback: expected at least 3 steps of {step} and at most 100,000, got `{lookback}`; change the lookback or the step"
    )]
    Lookback {
        /// The look-back that was asked for.
        lookback: crate::unit::Seconds,
        /// The step that was asked for.
        step: crate::unit::Seconds,
    },
}

impl Window {
    /// The window that ends at `now` rounded down to a multiple of `step`, so that equal queries are
    /// asked at equal instants and caches in front of the server can answer them.
    ///
    /// # Errors
    /// `step` is not a whole number of seconds above zero, or `lookback` is shorter than three steps.
    pub fn ending(
        now: Timestamp,
        lookback: crate::unit::Seconds,
        step: crate::unit::Seconds,
    ) -> Result<Self, WindowError> {
        let step_s = step.get();
        if !(1.0..=86_400.0 * 30.0).contains(&step_s) || step_s.fract() != 0.0 {
            return Err(WindowError::Step(step));
        }
        let points = lookback.get() / step_s;
        if !(3.0..=MOST_POINTS).contains(&points) {
            return Err(WindowError::Lookback { lookback, step });
        }
        let step_s = step_s as u32;
        let end = now.unix_seconds().div_euclid(i64::from(step_s)) * i64::from(step_s);
        Ok(Self { end: Timestamp::from_unix_seconds(end), step_s, points: points as u32 })
    }

    /// Whether the fields make a grid; false only for a window read from a damaged file.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.step_s > 0 && self.points > 0
    }
    /// The last instant.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }
    /// The first instant of the grid, where the first sample lies.
    #[must_use]
    pub fn first(&self) -> Timestamp {
        self.at(0)
    }
    /// The open start of the span: one step before the first instant.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.end.before_ms(i64::from(self.points) * i64::from(self.step_s) * 1000)
    }
    /// Seconds between two instants.
    #[must_use]
    pub fn step_s(&self) -> u32 {
        self.step_s
    }
    /// How many instants there are.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points as usize
    }
    /// Length of the span in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        f64::from(self.points) * f64::from(self.step_s)
    }
    /// The instant at `index`; indices beyond the grid go on at the same step.
    #[must_use]
    pub fn at(&self, index: usize) -> Timestamp {
        let back = i64::from(self.points) - 1 - index as i64;
        self.end.before_ms(back.saturating_mul(i64::from(self.step_s) * 1000))
    }
    /// The index of the grid instant nearest to `t`, when one lies within half a step.
    #[must_use]
    pub fn index_of(&self, t: Timestamp) -> Option<usize> {
        let step = i64::from(self.step_s) * 1000;
        let index = t.0.saturating_sub(self.first().0).saturating_add(step / 2).div_euclid(step);
        usize::try_from(index).ok().filter(|i| *i < self.points())
    }
    /// The index of the first instant at or after `t`, at most `points()`.
    #[must_use]
    pub fn index_from(&self, t: Timestamp) -> usize {
        let step = i64::from(self.step_s) * 1000;
        let index = -self.first().0.saturating_sub(t.0).div_euclid(step);
        usize::try_from(index.max(0)).unwrap_or(0).min(self.points())
    }
    /// How many instants the last `lookback` holds (rounded down, at most all).
    #[must_use]
    pub fn points_in(&self, lookback: crate::unit::Seconds) -> usize {
        ((lookback.get() / f64::from(self.step_s)).floor().max(0.0) as usize).min(self.points())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Seconds;

    /// A damaged file may have any number where an instant should be.
    #[test]
    fn the_ends_of_time() {
        let window =
            Window::ending(Timestamp(0), Seconds::from_hours(1.0), Seconds::from_minutes(5.0)).unwrap();
        let late = Window { end: Timestamp(i64::MIN), ..window };
        for t in [Timestamp(i64::MIN), Timestamp(i64::MAX)] {
            assert!(t.seconds_since(Timestamp(-t.0.saturating_add(1))).is_finite());
            for window in [window, late] {
                let _ = (window.start(), window.first(), window.index_of(t), window.index_from(t));
            }
        }
        assert_eq!(
            (window.index_of(Timestamp(i64::MIN)), window.index_from(Timestamp(i64::MAX))),
            (None, 12)
        );
    }

    #[test]
    fn grid_is_anchored_at_the_end() {
        let w = Window::ending(
            Timestamp(1_700_000_123_456),
            Seconds::from_hours(1.0),
            Seconds::from_minutes(5.0),
        )
        .unwrap();
        assert_eq!((w.points(), w.end().unix_seconds()), (12, 1_700_000_100));
        assert_eq!(w.at(11), w.end());
        assert_eq!(w.first().unix_seconds(), 1_700_000_100 - 11 * 300);
        for i in 0..12 {
            assert_eq!(w.index_of(w.at(i)), Some(i));
            assert_eq!(w.index_from(w.at(i)), i);
            assert_eq!(w.index_from(Timestamp(w.at(i).0 - 1)), i);
            assert_eq!(w.index_from(Timestamp(w.at(i).0 + 1)), i + 1);
        }
        assert_eq!(w.index_of(w.start()), None);
        assert_eq!(w.index_of(w.end().plus_seconds(400.0)), None);
        assert_eq!(w.points_in(Seconds::from_minutes(30.0)), 6);
    }

    #[test]
    fn what_lies_in_the_future_has_no_age() {
        let now = Timestamp::from_unix_seconds(1000);
        let age = |at: i64| Timestamp::from_unix_seconds(at).age_at(now);
        assert_eq!((age(400), age(1000), age(1300), age(1301)), (Some(600.0), Some(0.0), Some(0.0), None));
    }

    #[test]
    fn refusals_name_the_value() {
        let now = Timestamp(0);
        let text =
            |lookback, step| Window::ending(now, Seconds(lookback), Seconds(step)).unwrap_err().to_string();
        assert_eq!(
            text(3600.0, 0.0),
            "step: expected a whole number of seconds from 1s, got `0s`; a usual step is `5m`"
        );
        assert!(
            text(600.0, 300.0).starts_with("lookback: expected at least 3 steps of 5m"),
            "{}",
            text(600.0, 300.0)
        );
    }
}
