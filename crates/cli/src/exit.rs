//! What the process says by its exit code.

use std::io::Write as _;
use std::process::ExitCode;

use lambda_free_runner::Decision;

use crate::args::Color;
use crate::output;

/// Exit codes, as documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nothing at or above `--fail-on`, or the command did what was asked.
    Success = 0,
    /// Findings at or above `--fail-on`.
    Findings = 1,
    /// The command could not run: arguments, configuration, no source to read.
    CouldNotRun = 2,
    /// The command ran, found nothing, and could judge too little to call that good news.
    TooLittleData = 3,
}

impl From<Decision> for Exit {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Clean => Self::Success,
            Decision::Findings => Self::Findings,
            Decision::TooLittleData => Self::TooLittleData,
        }
    }
}

/// The exit code that a report earns. The one that no finding explains is told, also where nothing else is: it ends a Job as
/// failed.
pub(crate) fn decided(decision: Decision) -> Exit {
    if decision == Decision::TooLittleData {
        output::note(
            "exit 3: too little could be judged to call this good news; the report says what could not be checked, and why",
        );
    }
    decision.into()
}

/// The exit code of a command; an error is printed once, with its causes. A reader that has gone away is no error.
pub(crate) fn code(result: anyhow::Result<Exit>, color: Color) -> ExitCode {
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = std::io::stderr();
            let label = if color.on(&stderr) { "\u{1b}[1;31merror\u{1b}[0m" } else { "error" };
            // Where even this cannot be written, the exit code has to do.
            let _ = writeln!(stderr, "{label}: {error:#}");
            ExitCode::from(Exit::CouldNotRun as u8)
        }
    }
}

/// Whether the reader has gone away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
