use healthcore::finding::Severity;
use healthcore::report::Report;

/// From which severity on a run counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailOn {
    /// Never: findings are a report, not a failure.
    Never,
    /// Warnings and critical problems.
    Warning,
    /// Critical problems.
    #[default]
    Critical,
}

/// What the end of a run means for whoever started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing at or above the severity asked for.
    Clean,
    /// Findings at or above it.
    Findings,
    /// No such finding, and too little could be judged to call that good news ([`Report::is_blind`]).
    TooLittleData,
}

/// Judges a run as a whole.
#[must_use]
pub fn decide(report: &Report, fail_on: FailOn) -> Decision {
    let worst = report.findings.iter().map(|f| f.severity).max();
    let bound = match fail_on {
        FailOn::Never => None,
        FailOn::Warning => Some(Severity::Warning),
        FailOn::Critical => Some(Severity::Critical),
    };
    match bound {
        Some(bound) if worst >= Some(bound) => Decision::Findings,
        _ if report.is_blind() => Decision::TooLittleData,
        _ => Decision::Clean,
    }
}
