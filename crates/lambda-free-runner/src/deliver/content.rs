//! What is delivered: the report of a run, or a digest of runs.

use std::fmt::Write as _;

use healthcore::finding::{Severity, State};
use healthcore::history::Digest;
use healthcore::report::{Cost, Report};
use healthcore::time::Timestamp;
use healthcore_report::{
    Chat, DigestFormat, DigestReport, Format, Mail, RenderError, RenderOptions, SlackReport, card, render,
};
use serde_json::Value;

/// What a route carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum What {
    /// The report of every run.
    #[default]
    Report,
    /// Digests, when one is made.
    Digest,
}

impl What {
    /// The name in configurations.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Digest => "digest",
        }
    }

    /// Formats that it has.
    #[must_use]
    pub fn formats(self) -> Vec<Format> {
        match self {
            Self::Report => Format::ALL.to_vec(),
            Self::Digest => DigestFormat::ALL.iter().map(|f| f.of_reports()).collect(),
        }
    }
}

/// What is delivered.
#[derive(Debug, Clone)]
pub enum Content {
    /// The report of a run.
    Report(Box<Report>),
    /// A digest.
    Digest(DigestReport),
}

impl Content {
    /// A report.
    pub(super) fn of(report: Report) -> Self {
        Self::Report(Box::new(report))
    }

    /// It in a format.
    ///
    /// # Errors
    /// As [`render`], and a digest in a format that digests do not have.
    pub fn render(&self, format: Format, options: &RenderOptions) -> Result<String, RenderError> {
        match self {
            Self::Report(report) => render(report, format, options),
            Self::Digest(digest) => digest.render(format.try_into()?, options),
        }
    }

    /// The clusters that it is about, in order.
    pub(super) fn clusters(&self) -> Vec<&str> {
        match self {
            Self::Report(report) => report.clusters.iter().map(|c| c.name.as_str()).collect(),
            Self::Digest(digest) => digest.digests.iter().map(|d| d.cluster.as_str()).collect(),
        }
    }

    /// Its messages in Slack.
    #[must_use]
    pub fn slack(&self, options: &RenderOptions) -> SlackReport {
        match self {
            Self::Report(report) => SlackReport::new(report, options),
            Self::Digest(digest) => digest.slack(options),
        }
    }

    /// The body of the request that brings it to a chat.
    #[must_use]
    pub fn card(&self, chat: Chat, options: &RenderOptions) -> Value {
        match self {
            Self::Report(report) => card(report, chat, options),
            Self::Digest(digest) => digest.card(chat, options),
        }
    }

    /// Its mail.
    #[must_use]
    pub fn mail(&self, options: &RenderOptions) -> Mail {
        match self {
            Self::Report(report) => Mail::new(report, options),
            Self::Digest(digest) => digest.mail(options),
        }
    }

    /// The beginning of the names of its files.
    pub(super) const fn stem(&self) -> &'static str {
        match self {
            Self::Report(_) => "healthcheck",
            Self::Digest(_) => "healthcheck-digest",
        }
    }

    /// The instant up to which it tells.
    pub(super) const fn at(&self) -> Timestamp {
        match self {
            Self::Report(report) => report.taken_at,
            Self::Digest(digest) => digest.end,
        }
    }

    /// The only cluster in it; none of a fleet.
    pub(super) fn only_cluster(&self) -> Option<&str> {
        let mut names: Vec<&str> = match self {
            Self::Report(report) => report.clusters.iter().map(|c| &*c.name).collect(),
            Self::Digest(digest) => digest.digests.iter().map(|d| &*d.cluster).collect(),
        };
        names.pop().filter(|_| names.is_empty())
    }

    /// Whether a reader would see a change. What was never compared is news.
    pub(super) fn has_changed(&self) -> bool {
        match self {
            Self::Report(report) => has_changed(report),
            Self::Digest(digest) => {
                let is_news = |d: &Digest| d.last_run.is_none() || has_moved(d);
                digest.digests.is_empty() || digest.digests.iter().any(is_news)
            }
        }
    }

    /// Whether there is nothing to do, as far as can be known.
    pub(super) fn is_in_order(&self) -> bool {
        match self {
            Self::Report(report) => report.findings.is_empty() && !report.is_blind(),
            Self::Digest(digest) => {
                let is_calm = |d: &Digest| {
                    let there = [&d.new, &d.open, &d.flapping, &d.not_checked];
                    d.last_run.is_some() && there.iter().all(|list| list.is_empty())
                };
                let is_known = !digest.digests.is_empty() && digest.gaps.is_empty();
                is_known && digest.digests.iter().all(is_calm)
            }
        }
    }

    /// What makes it another one than the last. Of a report that is all of it but what it has cost. A digest that is made
    /// again a minute later covers a minute more, which does not make it another one: it is told by its day and length,
    /// and by the findings in it.
    pub(super) fn identity(&self, options: &RenderOptions) -> Result<String, RenderError> {
        match self {
            Self::Report(report) => {
                render(&Report { cost: Cost::default(), ..(**report).clone() }, Format::Json, options)
            }
            Self::Digest(digest) => Ok(identity(digest, options)),
        }
    }
}

/// Whether a reader would see a change. What was never compared is news; what could not be looked for yesterday either is none.
fn has_changed(report: &Report) -> bool {
    let Some(changes) = report.changes.as_ref().filter(|c| !c.is_first()) else { return true };
    changes.gone.iter().any(|gone| changes.is_news(gone))
        || report.findings.iter().any(|f| f.state.is_none_or(|state| state != State::Ongoing))
}

fn has_moved(d: &Digest) -> bool {
    let moved = [&d.new, &d.resolved, &d.flapping, &d.not_checked];
    let changed = |before: Option<Severity>, now| before.is_some_and(|before| before != now);
    moved.iter().any(|list| !list.is_empty())
        || d.open.iter().any(|t| changed(t.severity_before, t.kept.severity))
}

fn identity(digest: &DigestReport, options: &RenderOptions) -> String {
    let day = digest.end.unix_seconds().div_euclid(86_400);
    let length = digest.end.seconds_since(digest.start).round();
    let mut out = format!("digest {day} {length} {}", options.lang.tag());
    for d in &digest.digests {
        let lists = [&d.new, &d.resolved, &d.flapping, &d.open, &d.not_checked];
        let mut findings: Vec<&str> = lists.into_iter().flatten().map(|t| &*t.kept.fingerprint).collect();
        findings.sort_unstable();
        // Writing to a text cannot fail.
        let _ = write!(out, "\n{}: {}", d.cluster, findings.join(" "));
    }
    out
}
