//! What time it is: the machine's clock, or one that tests and embedders move themselves.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use healthcore::time::Timestamp;
use tokio::time::Instant;

/// The wall clock of a run and its schedule. It may jump, forward and back, as that of a machine may.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that is set by hand and goes on with tokio's time, which tests may pause and advance.
#[derive(Debug)]
pub struct ManualClock {
    /// What it showed, and tokio's instant at which it did.
    set: Mutex<(Timestamp, Instant)>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { set: Mutex::new((now, Instant::now())) }
    }

    /// Sets the clock, as an operator or a time server does.
    pub fn set(&self, now: Timestamp) {
        *self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (now, Instant::now());
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let (shown, at) = *self.set.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        after(shown, at.elapsed())
    }
}

/// The instant a span later; the last one there is where that lies beyond it.
pub(crate) fn after(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
}

/// The span from one instant to a later one; nothing when it is not later.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}
