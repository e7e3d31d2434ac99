//! Signals that end a program which is the first of its container.
//!
//! To such a process Linux delivers no signal that it has no handler for: without one, SIGTERM would be left out, and every
//! drain and deadline would wait for the whole grace period and then kill. Anywhere else the default does what is right. A
//! report that is not finished has no name yet, so nothing half is left.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far this program is. A signal comes at any time and from outside, so there is one for the whole program.
static STAGE: AtomicU8 = AtomicU8::new(Stage::UnderWay as u8);

/// How far a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not written.
    UnderWay,
    /// It is written where it can be, and goes to those who get it.
    Delivering,
    /// Everybody was sent it, or is known not to be.
    Done,
}

impl Stage {
    /// Notes that a report is so far.
    pub(crate) fn reached(self) {
        STAGE.store(self as u8, Ordering::Relaxed);
    }

    #[cfg(any(unix, test))]
    fn now() -> Self {
        let stage = STAGE.load(Ordering::Relaxed);
        [Self::UnderWay, Self::Delivering, Self::Done][usize::from(stage)]
    }

    #[cfg(any(unix, test))]
    const fn words(self) -> &'static str {
        match self {
            Self::UnderWay => "the report is not finished",
            Self::Delivering => "the report is made, and its delivery is not finished",
            Self::Done => "the report is finished",
        }
    }
}

/// Ends the program by SIGTERM and SIGINT with the exit codes that a shell gives for them.
pub(crate) fn end_by() {
    #[cfg(unix)]
    if std::process::id() == 1 {
        std::thread::spawn(wait);
    }
}

#[cfg(unix)]
#[expect(clippy::exit, reason = "the signal asks for just that, whatever the other threads wait for")]
fn wait() {
    use tokio::signal::unix::{SignalKind, signal};

    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let (name, code) = runtime.block_on(async {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => ("SIGTERM", 143),
            _ = int.recv() => ("SIGINT", 130),
        }
    });
    crate::output::note(&format!("{name}: stopped; {}", Stage::now().words()));
    std::process::exit(code);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_how_far_the_report_is() {
        assert_eq!(Stage::now().words(), "the report is not finished");
        for stage in [Stage::Delivering, Stage::Done, Stage::UnderWay] {
            stage.reached();
            assert_eq!(Stage::now(), stage);
        }
    }
}
