//! A report in short, for places where people talk: what changed, what is wrong, what could not be looked at, what to
//! do. Chats differ in markup and limits; what they say, and in which order, is the same.

use healthcore::finding::{Severity, State};
use healthcore::report::{ClusterSummary, Report};

use crate::RenderOptions;
use crate::page::{AdviceList, Page, ProblemRow, Reader, Say};
use crate::words::{Lang, word};

/// Clusters that are named one by one.
pub(crate) const MOST_CLUSTERS: usize = 10;

/// What a chat is told.
pub(crate) struct Brief {
    /// `Health report of prod: critical, F 40`
    pub(crate) title: String,
    pub(crate) mark: Mark,
    /// Findings by severity, and what is unknown.
    pub(crate) counts: String,
    /// What changed since the run before, in one line; empty without history.
    pub(crate) changed: String,
    /// Of a fleet its clusters, the worst first: mark, name, counts. Empty for a single one.
    pub(crate) clusters: Vec<(Mark, String, String)>,
    /// `and 4 more`, of clusters that are not named; empty when all are.
    pub(crate) more_clusters: String,
    /// What matters most, to be cut to what fits into one message.
    pub(crate) groups: Vec<Group>,
    /// All of it with what to do, for a thread.
    pub(crate) details: Vec<Group>,
    /// When, over which window, by what.
    pub(crate) footer: String,
    /// Between a name and what is said of it.
    pub(crate) colon: &'static str,
    /// Between two sentences.
    pub(crate) next_sentence: &'static str,
    /// What is said of `{n}` lines that no message has room for.
    pub(crate) rest: &'static str,
}

/// Lines under a title.
#[derive(Clone, Default)]
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
    /// Lines that were left out already.
    pub(crate) more: usize,
    /// Lines that the first message has room for at most.
    pub(crate) most: usize,
    /// Whether it says what to do.
    pub(crate) is_advice: bool,
}

/// One thing to say. None of its texts is safe: names come from outside.
#[derive(Clone, Default)]
pub(crate) struct Line {
    pub(crate) mark: Option<Mark>,
    /// Severity, state, and since when it is there.
    pub(crate) label: String,
    /// The check.
    pub(crate) what: String,
    pub(crate) subject: String,
    /// Between the subject and the text.
    pub(crate) colon: &'static str,
    pub(crate) text: String,
    pub(crate) command: Option<String>,
}

/// How bad, as a sign.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    Critical,
    Warning,
    Unknown,
    Info,
    Good,
}

impl Mark {
    pub(crate) fn of_severity(id: &str) -> Self {
        match id {
            "critical" => Self::Critical,
            "warning" => Self::Warning,
            _ => Self::Info,
        }
    }

    fn of_verdict(id: &str) -> Self {
        match id {
            "critical" => Self::Critical,
            "degraded" => Self::Warning,
            "healthy" => Self::Good,
            _ => Self::Unknown,
        }
    }

    fn of_cluster(c: &ClusterSummary) -> Self {
        Self::of_verdict(c.verdict().name())
    }

    /// The sign as a character, for chats without names of emoji.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Critical => "🔴",
            Self::Warning => "🟠",
            Self::Unknown => "⚪",
            Self::Info => "🔵",
            Self::Good => "🟢",
        }
    }
}

impl Brief {
    pub(crate) fn new(report: &Report, options: &RenderOptions) -> Self {
        let lang = options.lang;
        let w = |key: &str| word(lang, key).to_owned();
        let page = Page::new(report, options, Reader::Kept);
        let gaps = Group {
            title: w("not-checked"),
            lines: page.gaps.rows.iter().map(|row| gap(row, lang)).collect(),
            more: page.more_gaps,
            most: 4,
            ..Group::default()
        };
        let changes = Group {
            title: w("changes"),
            lines: page.changes.iter().map(|c| change(c.state_id, c.state, &c.row, lang)).collect(),
            more: page.more_changes,
            most: 12,
            ..Group::default()
        };
        let mut problems = problems(report, &page, lang);
        if page.is_quiet {
            // Who reads it every day knows them: a line each, and the details once, below.
            for line in &mut problems.lines {
                line.text.clear();
                line.colon = "";
            }
        }
        let nothing = changes.lines.is_empty() && problems.lines.is_empty();
        let mut groups = vec![changes.clone(), problems];
        if nothing && page.problems.is_empty() {
            groups.push(Group {
                title: w("problems"),
                lines: vec![Line { text: page.no_problems.to_owned(), ..Line::default() }],
                most: 1,
                ..Group::default()
            });
        }
        groups.push(gaps.clone());
        let all = Group {
            title: w("problems"),
            lines: page.problems.iter().map(|row| line("", row, lang)).collect(),
            ..Group::default()
        };
        let mut details = vec![changes, all];
        details.extend(page.advice.iter().map(|list| advice(list, lang)));
        details.push(Group {
            title: w("watch-list"),
            // What is only near a bound has no severity.
            lines: (page.watch.iter())
                .map(|row| Line { label: row.since.clone(), ..line("", row, lang) })
                .collect(),
            more: page.more_watch,
            ..Group::default()
        });
        details.push(gaps);
        let filled = |groups: Vec<Group>| groups.into_iter().filter(|g| !g.lines.is_empty()).collect();
        Self {
            title: [format!("{}{}{}", page.title, w("colon"), page.verdict), page.score]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(&w("list")),
            mark: Mark::of_verdict(page.verdict_id),
            counts: page.counts,
            changed: page.changed,
            clusters: clusters(report, &Say::new(report, options)),
            more_clusters: more_clusters(report.clusters.len(), lang),
            groups: filled(groups),
            details: filled(details),
            footer: format!(
                "{} {} · {} {} · {}",
                w("taken-at"),
                page.taken_at,
                w("window"),
                page.window,
                page.made_by
            ),
            colon: word(lang, "colon"),
            next_sentence: word(lang, "next-sentence"),
            rest: word(lang, "more"),
        }
    }
}

/// Warnings and critical findings that no change tells already.
fn problems(report: &Report, page: &Page, lang: Lang) -> Group {
    let loud = report.findings.iter().filter(|f| f.severity > Severity::Info);
    let told = |state: Option<State>| state.is_some_and(|s| s != State::Ongoing);
    let compared = loud.clone().any(|f| f.state.is_some());
    let rest = loud.zip(&page.problems).filter(|(f, _)| !told(f.state));
    Group {
        title: word(lang, if compared { "still-there" } else { "problems" }).to_owned(),
        lines: rest.map(|(_, row)| line("", row, lang)).collect(),
        most: 12,
        ..Group::default()
    }
}

fn line(state: &str, row: &ProblemRow, lang: Lang) -> Line {
    let told = [row.severity, state, &row.since].into_iter().filter(|word| !word.is_empty());
    let label = told.collect::<Vec<_>>().join(word(lang, "list"));
    Line {
        mark: Some(Mark::of_severity(row.severity_id)),
        label,
        what: row.check.to_owned(),
        subject: row.subject.clone(),
        colon: word(lang, "colon"),
        text: row.summary.clone(),
        command: None,
    }
}

fn change(state_id: &str, state: &str, row: &ProblemRow, lang: Lang) -> Line {
    let mark = match state_id {
        "resolved" => Mark::Good,
        "not-checked" => Mark::Unknown,
        _ => Mark::of_severity(row.severity_id),
    };
    Line { mark: Some(mark), ..line(state, row, lang) }
}

fn gap(row: &[String], lang: Lang) -> Line {
    let cell = |at: usize| row.get(at).cloned().unwrap_or_default();
    Line {
        mark: Some(Mark::Unknown),
        what: cell(1),
        subject: cell(0),
        colon: word(lang, "colon"),
        text: cell(2),
        ..Line::default()
    }
}

fn advice(list: &AdviceList, lang: Lang) -> Group {
    let lines = list.items.iter().map(|item| Line {
        subject: item.subject.clone(),
        colon: word(lang, "colon"),
        text: item.text.clone(),
        command: item.command.clone(),
        ..Line::default()
    });
    let mut group = Group {
        title: format!("{}{}{}", word(lang, "advice"), word(lang, "colon"), list.title),
        lines: lines.collect(),
        is_advice: true,
        ..Group::default()
    };
    if !list.more.is_empty() {
        group.lines.push(Line { text: list.more.clone(), ..Line::default() });
    }
    group
}

/// What is said of the clusters of so many that are not shown.
pub(crate) fn more_clusters(all: usize, lang: Lang) -> String {
    match all.saturating_sub(MOST_CLUSTERS) {
        0 => String::new(),
        n => word(lang, "and-more").replace("{n}", &n.to_string()),
    }
}

/// The worst clusters of a fleet: mark, name, and grade with findings by severity.
fn clusters(report: &Report, say: &Say) -> Vec<(Mark, String, String)> {
    if report.clusters.len() < 2 {
        return Vec::new();
    }
    let mut all: Vec<&ClusterSummary> = report.clusters.iter().collect();
    // The sort is stable: else they stay in the order of the configuration.
    all.sort_by_key(|c| (Mark::of_cluster(c), std::cmp::Reverse(c.found)));
    let told = |c: &ClusterSummary| {
        let found = c.found.at_least(report.floor());
        let found = [("critical", found.critical), ("warning", found.warning), ("info", found.info)];
        let score =
            say.graded(c.score.as_ref()).map(|_| say.compared(report, &c.name, None, c.score.as_ref()));
        let mut told: Vec<String> = score.into_iter().collect();
        match found.iter().all(|(_, n)| *n == 0) {
            true => told.push(say.w(c.verdict().name()).to_owned()),
            false => {
                let some = found.iter().filter(|(_, n)| *n > 0);
                told.extend(some.map(|(key, n)| format!("{n} {}", say.w(key))));
            }
        }
        told.join(say.w("list"))
    };
    all.into_iter().take(MOST_CLUSTERS).map(|c| (Mark::of_cluster(c), c.name.clone(), told(c))).collect()
}

/// A text in one line without what is not to be seen, cut.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    let text = crate::escape::visible(text);
    if text.chars().count() <= longest {
        return text;
    }
    let mut short: String = text.chars().take(longest.saturating_sub(1)).collect();
    short.push('…');
    short
}
