//! What happened over a period, in words: text for a terminal, Markdown, messages of chats and mails, and JSON by a contract
//! of its own.

mod brief;
pub(crate) mod json;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use healthcore::finding::{Severity, Value};
use healthcore::history::{Digest, PastScore, Told};
use healthcore::report::{Found, Part, idle_globs, is_chosen};
use healthcore::snapshot::Gap;
use healthcore::time::Timestamp;

use crate::escape::{markdown, visible};
use crate::page::{Say, Table, only};
use crate::terminal::Out;
use crate::{Format, RenderError, RenderOptions};

/// Rows of one list: a digest is read in a minute.
const MOST: usize = 15;
/// Namespaces whose change of the score is told.
const MOST_SCORES: usize = 5;

/// The key of the title of a list, and its findings.
type Titled = (&'static str, fn(&Digest) -> &[Told]);

/// The lists of a digest in the order in which they are told, each with the key of its title.
const LISTS: [Titled; 5] = [
    ("digest-new", |d| &d.new),
    ("digest-resolved", |d| &d.resolved),
    ("digest-flapping", |d| &d.flapping),
    ("digest-open", |d| &d.open),
    ("digest-not-checked", |d| &d.not_checked),
];

/// Digests of clusters over one period.
#[derive(Debug, Clone, PartialEq)]
pub struct DigestReport {
    /// Version of the tool.
    pub version: String,
    /// Start of the period.
    pub start: Timestamp,
    /// End of the period.
    pub end: Timestamp,
    /// The clusters, in order.
    pub digests: Vec<Digest>,
    /// What of the history cannot be read, and what of a choice chooses nothing.
    pub gaps: Vec<Gap>,
    /// Of a digest that was narrowed for some readers: what was chosen.
    pub part: Option<Part>,
}

/// A format of digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestFormat {
    /// Lines for a terminal.
    Text,
    /// Markdown (GitHub's flavour).
    Markdown,
    /// The JSON contract, `schema/digest-1.json`.
    Json,
    /// Messages of Slack (Block Kit) as JSON: `message`, and `thread` with its details.
    Slack,
}

impl DigestFormat {
    /// Every format.
    pub const ALL: &'static [Self] = &[Self::Text, Self::Markdown, Self::Json, Self::Slack];

    /// The same format of reports, which has its name and its ending.
    #[must_use]
    pub const fn of_reports(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Markdown => Format::Markdown,
            Self::Json => Format::Json,
            Self::Slack => Format::Slack,
        }
    }
}

impl TryFrom<Format> for DigestFormat {
    type Error = RenderError;

    fn try_from(format: Format) -> Result<Self, RenderError> {
        Self::ALL
            .iter()
            .copied()
            .find(|f| f.of_reports() == format)
            .ok_or(RenderError::NotOfDigests { format: format.name() })
    }
}

impl DigestReport {
    /// The digest in a format. The text ends with a line feed.
    ///
    /// # Errors
    /// It cannot be written as JSON, which is a mistake of this crate.
    pub fn render(&self, format: DigestFormat, options: &RenderOptions) -> Result<String, RenderError> {
        match format {
            DigestFormat::Text => Ok(self.text(options)),
            DigestFormat::Markdown => Ok(self.markdown(options)),
            DigestFormat::Json => json::render(self, options),
            DigestFormat::Slack => self.slack_json(options),
        }
    }

    /// The part that concerns somebody, as [`Digest::narrowed`] has it: findings of a severity or above it, in the clusters and
    /// namespaces that one of the globs `matches`. What of the history cannot be read concerns everybody, and a glob that
    /// matches nothing is a gap.
    #[must_use]
    pub fn narrowed(
        &self,
        floor: Severity,
        clusters: &[String],
        namespaces: &[String],
        matches: &dyn Fn(&str, &str) -> bool,
    ) -> Self {
        if floor == Severity::Info && clusters.is_empty() && namespaces.is_empty() {
            return self.clone();
        }
        let fits = |globs: &[String], name: &str| is_chosen(globs, name, matches);
        let concerned: Vec<&Digest> = self.digests.iter().filter(|d| fits(clusters, &d.cluster)).collect();
        let namespace = |name: &str| fits(namespaces, name);
        let worst = concerned.iter().filter_map(|d| d.narrowed(Severity::Info, &namespace).found.worst());
        let part =
            Part { floor, clusters: clusters.to_vec(), namespaces: namespaces.to_vec(), worst: worst.max() };
        let mut gaps = self.gaps.clone();
        gaps.extend(self.unmatched(&part, &concerned, matches));
        Self {
            version: self.version.clone(),
            start: self.start,
            end: self.end,
            digests: concerned.into_iter().map(|d| d.narrowed(floor, &namespace)).collect(),
            gaps,
            part: Some(part),
        }
    }

    /// Globs of a choice that choose nothing. Where no run tells of any namespace, none is missed.
    fn unmatched(
        &self,
        part: &Part,
        concerned: &[&Digest],
        matches: &dyn Fn(&str, &str) -> bool,
    ) -> Vec<Gap> {
        let clusters: BTreeSet<&str> = self.digests.iter().map(|d| d.cluster.as_str()).collect();
        let namespaces: BTreeSet<&str> = concerned.iter().flat_map(|d| d.namespaces()).collect();
        let mut gaps = idle_globs(&part.clusters, &clusters, "gap-no-cluster-matches", matches);
        if concerned.iter().any(|d| d.last_run.is_some()) {
            gaps.extend(idle_globs(&part.namespaces, &namespaces, "gap-no-namespace-kept", matches));
        }
        gaps
    }

    /// The least severity of its findings.
    fn floor(&self) -> Severity {
        self.part.as_ref().map_or(Severity::Info, |part| part.floor)
    }

    /// The period, and of a part what it is of.
    fn period(&self, say: &Say) -> String {
        let period = [("start", self.start.into()), ("end", self.end.into())];
        let period = say.locale.phrase("digest-period", &period);
        match &self.part {
            Some(part) => format!("{}{}{period}", only(part, &say.locale), say.w("colon")),
            None => period,
        }
    }

    fn text(&self, options: &RenderOptions) -> String {
        let page = Page::new(self, options);
        let mut out = Out::new(options);
        out.line(&out.paint("1", &page.title));
        for line in &page.lines {
            out.wrapped("", "", line);
        }
        for cluster in &page.clusters {
            out.heading(&visible(&cluster.name));
            for line in &cluster.lines {
                out.wrapped("  ", "  ", line);
            }
            for list in &cluster.lists {
                out.line("");
                out.line(&format!("  {}", out.paint("4", &list.title)));
                for row in &list.rows {
                    let severity = out.severity(row.severity.name(), row.severity_word);
                    out.line(&format!("  - {severity}  {}  {}", visible(&row.subject), row.check));
                    out.wrapped("    ", "    ", &visible(&row.summary));
                    out.wrapped("    ", "    ", &row.when);
                }
                if !list.more.is_empty() {
                    out.line(&format!("  {}", list.more));
                }
            }
            if !cluster.trends.rows.is_empty() {
                out.line("");
                out.line(&format!("  {}", out.paint("4", cluster.trends.title)));
                out.table(&cluster.trends);
            }
        }
        if !page.gaps.is_empty() {
            out.heading(page.gaps_title);
            for gap in &page.gaps {
                out.wrapped("  - ", "    ", &visible(gap));
            }
        }
        out.line("");
        out.line(&page.made_by);
        out.text
    }

    fn markdown(&self, options: &RenderOptions) -> String {
        let page = Page::new(self, options);
        let mut out = format!("# {}\n", page.title);
        // Writing to a text cannot fail.
        for line in &page.lines {
            let _ = write!(out, "\n{line}\n");
        }
        for cluster in &page.clusters {
            let _ = write!(out, "\n## {}\n", markdown(&cluster.name));
            for line in &cluster.lines {
                let _ = write!(out, "\n{}\n", markdown(line));
            }
            for list in &cluster.lists {
                let _ = write!(out, "\n### {}\n\n", list.title);
                for row in &list.rows {
                    let severity = match row.severity {
                        Severity::Critical => format!("**{}**", row.severity_word),
                        _ => row.severity_word.to_owned(),
                    };
                    let (subject, summary) = (markdown(&row.subject), markdown(&row.summary));
                    let Words { colon, semicolon } = page.words;
                    let _ = writeln!(out, "- {severity} {subject}{colon}{summary}{semicolon}{}", row.when);
                }
                if !list.more.is_empty() {
                    let _ = write!(out, "\n{}\n", list.more);
                }
            }
            if !cluster.trends.rows.is_empty() {
                let _ = write!(out, "\n### {}\n\n{}", cluster.trends.title, table(&cluster.trends));
            }
        }
        if !page.gaps.is_empty() {
            let _ = write!(out, "\n## {}\n\n", page.gaps_title);
            for gap in &page.gaps {
                let _ = writeln!(out, "- {}", markdown(gap));
            }
        }
        let _ = write!(out, "\n{}\n", page.made_by);
        out
    }
}

/// A table in Markdown.
fn table(table: &Table) -> String {
    let rule: Vec<&str> = table.numeric.iter().map(|n| if *n { "---:" } else { "---" }).collect();
    let mut out = format!("| {} |\n| {} |\n", table.headers.join(" | "), rule.join(" | "));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| markdown(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// A digest as lines of words, in the order of a page: what text and Markdown have in common.
struct Page {
    title: String,
    lines: Vec<String>,
    clusters: Vec<Cluster>,
    gaps_title: &'static str,
    gaps: Vec<String>,
    made_by: String,
    words: Words,
}

/// What stands between sentences.
#[derive(Clone, Copy)]
struct Words {
    colon: &'static str,
    semicolon: &'static str,
}

impl Words {
    fn new(say: &Say) -> Self {
        Self { colon: say.w("colon"), semicolon: say.w("semicolon") }
    }
}

struct Cluster {
    name: String,
    lines: Vec<String>,
    lists: Vec<List>,
    trends: Table,
}

struct List {
    title: String,
    rows: Vec<Row>,
    /// What is said of those that are left out; empty when none is.
    more: String,
}

struct Row {
    severity: Severity,
    severity_word: &'static str,
    subject: String,
    check: &'static str,
    summary: String,
    /// Since when, and how often.
    when: String,
}

impl Page {
    fn new(report: &DigestReport, options: &RenderOptions) -> Self {
        let say = Say::of_one(options);
        let words = Words::new(&say);
        let teller = Teller { say: &say, end: report.end, floor: report.floor(), words };
        let mut lines = vec![report.period(&say)];
        if report.digests.is_empty() {
            lines.push(say.w("digest-no-clusters").to_owned());
        }
        Self {
            title: say.w("digest-title").to_owned(),
            lines,
            clusters: report.digests.iter().map(|d| teller.cluster(d)).collect(),
            gaps_title: say.w("not-checked"),
            gaps: report
                .gaps
                .iter()
                .map(|g| format!("{}{}{}", g.scope, words.colon, say.locale.gap(g)))
                .collect(),
            made_by: say.w("made-by").replace("{version}", &report.version),
            words,
        }
    }
}

/// Whether a run of the period tells of anything that was chosen.
fn is_known(d: &Digest) -> bool {
    d.last_run.is_some() && !d.is_of_nothing
}

/// Tells digests of clusters.
struct Teller<'a> {
    say: &'a Say,
    end: Timestamp,
    floor: Severity,
    words: Words,
}

impl Teller<'_> {
    fn phrase(&self, key: &'static str, values: &[(&'static str, Value)]) -> String {
        self.say.locale.phrase(key, values)
    }

    fn cluster(&self, d: &Digest) -> Cluster {
        let lists = LISTS.map(|(key, of)| (key, of(d))).into_iter().filter(|(_, told)| !told.is_empty());
        let lists: Vec<List> = lists.map(|(key, told)| self.list(key, told, d)).collect();
        let mut lines = self.runs(d);
        lines.extend(self.scores(d));
        if lists.is_empty() && is_known(d) {
            lines.push(self.nothing().to_owned());
        }
        Cluster { name: d.cluster.clone(), lines, lists, trends: self.say.trends(&d.trends) }
    }

    /// What is said where nothing was found: no good news of what was not asked for.
    fn nothing(&self) -> &'static str {
        self.say.w(match self.floor {
            Severity::Info => "digest-nothing",
            Severity::Warning | Severity::Critical => "no-problems-above",
        })
    }

    /// Why nobody can say what came and went. None where somebody can.
    fn unknown(&self, digests: &[Digest]) -> Option<&'static str> {
        let key = match digests {
            [] => "digest-no-clusters",
            all if all.iter().any(is_known) => return None,
            all if all.iter().all(|d| d.last_run.is_none()) => "digest-no-run-at-all",
            _ => "digest-no-namespace",
        };
        Some(self.say.w(key))
    }

    /// How often it ran, and what is found now against before.
    fn runs(&self, d: &Digest) -> Vec<String> {
        let Some(last) = d.last_run else {
            let line = match d.before {
                Some(before) => self.phrase("digest-no-run", &[("time", before.into())]),
                None => self.say.w("digest-no-run-at-all").to_owned(),
            };
            return vec![line];
        };
        let silence = Value::Seconds(d.longest_silence_s);
        let mut lines = vec![
            self.phrase("digest-runs", &[("n", d.runs.into()), ("time", last.into()), ("silence", silence)]),
        ];
        if d.is_of_nothing {
            // Numbers would read as good news.
            lines.push(self.say.w("digest-no-namespace").to_owned());
        } else if let Some(before) = d.before {
            let severities = self.severities(d.found_before, d.found);
            lines.push(
                self.phrase("digest-compared", &[("time", before.into()), ("severities", severities.into())]),
            );
        }
        lines
    }

    /// How the score of the cluster moved over the period, and those of its namespaces.
    fn scores(&self, d: &Digest) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(score) = self.score(d.scores_before.cluster, d.scores.cluster) {
            let ends = [d.scores_before.cluster, d.scores.cluster];
            let below = |lowest: PastScore| ends.iter().flatten().all(|end| lowest.points < end.points);
            lines.push(match d.lowest_score.filter(|(_, lowest)| below(*lowest)) {
                None => self.phrase("digest-score", &[("score", score.into())]),
                Some((at, lowest)) => {
                    let lowest = self.say.past(lowest).unwrap_or_default();
                    let values = [("score", score.into()), ("lowest", lowest.into()), ("time", at.into())];
                    self.phrase("digest-score-lowest", &values)
                }
            });
        }
        let moved = self.moved(d);
        // One alone says what its cluster says.
        if !moved.is_empty() && (d.scores.namespaces.len() > 1 || d.scores.cluster.is_none()) {
            let scores = moved.join(self.say.w("list"));
            lines.push(self.phrase("digest-score-namespaces", &[("scores", scores.into())]));
        }
        lines
    }

    /// Namespaces whose score changed, those that changed the most first.
    fn moved(&self, d: &Digest) -> Vec<String> {
        let both = d.scores.namespaces.iter().filter_map(|(name, now)| {
            let before = d.scores_before.namespaces.get(name)?;
            let by = now.points.abs_diff(before.points);
            (by > 0 && now.grade().is_some() && before.grade().is_some()).then_some((by, name, before, now))
        });
        let mut all: Vec<_> = both.collect();
        // The sort is stable: else they stay in the order of their names.
        all.sort_by_key(|(by, ..)| std::cmp::Reverse(*by));
        let told = all.into_iter().take(MOST_SCORES).filter_map(|(_, name, before, now)| {
            Some(format!("{} {}", visible(name), self.score(Some(*before), Some(*now))?))
        });
        told.collect()
    }

    /// `C 72 → D 64`, or only the last one where the one before has no grade or is the same; none where the last has none.
    fn score(&self, before: Option<PastScore>, now: Option<PastScore>) -> Option<String> {
        let now = self.say.past(now?)?;
        let before = before.and_then(|before| self.say.past(before)).filter(|before| *before != now);
        Some(before.map_or_else(|| now.clone(), |before| format!("{before} → {now}")))
    }

    /// The cluster, or the one namespace of it that is told, and its score.
    fn place(&self, d: &Digest) -> (String, Option<String>) {
        let mut told = d.scores.namespaces.iter();
        match (told.next(), told.next()) {
            (Some((name, now)), None) if d.scores.cluster.is_none() => {
                let before = d.scores_before.namespaces.get(name).copied();
                (format!("{}/{name}", d.cluster), self.score(before, Some(*now)))
            }
            _ => (d.cluster.clone(), self.score(d.scores_before.cluster, d.scores.cluster)),
        }
    }

    fn severities(&self, before: Found, now: Found) -> String {
        let of = [
            (Severity::Critical, before.critical, now.critical),
            (Severity::Warning, before.warning, now.warning),
            (Severity::Info, before.info, now.info),
        ];
        let told = of.into_iter().filter(|(severity, ..)| *severity >= self.floor);
        let told = told.map(|(severity, before, now)| {
            let word = self.say.w(severity.name());
            self.phrase(
                "digest-severity",
                &[("severity", word.into()), ("before", Value::Count(before)), ("now", Value::Count(now))],
            )
        });
        told.collect::<Vec<_>>().join(self.say.w("list"))
    }

    /// What is worth a reader's minute: warnings and critical findings, as many as fit.
    fn list(&self, key: &'static str, told: &[Told], d: &Digest) -> List {
        let loud = told.iter().filter(|t| t.kept.severity > Severity::Info);
        let rows: Vec<Row> = loud.take(MOST).map(|t| self.row(t, d)).collect();
        let more = match told.len() - rows.len() {
            0 => String::new(),
            n => self.phrase("digest-more", &[("n", n.into())]),
        };
        List { title: format!("{}{}{}", self.say.w(key), self.words.colon, told.len()), rows, more }
    }

    fn row(&self, told: &Told, d: &Digest) -> Row {
        let kept = &told.kept;
        Row {
            severity: kept.severity,
            severity_word: self.say.w(kept.severity.name()),
            subject: self.say.subject(&kept.subject),
            check: self.say.locale.title(&kept.check),
            summary: self.say.locale.sentence(&kept.check, &kept.summary),
            when: self.when(told, d),
        }
    }

    fn when(&self, told: &Told, d: &Digest) -> String {
        let (first, last) = (("first", told.kept.first.into()), ("last", told.kept.last.into()));
        let changes = ("n", told.changes.into());
        let holds = |list: &[Told]| list.iter().any(|t| std::ptr::eq(t, told));
        let mut when = if holds(&d.flapping) {
            let key = if told.gone.is_some() { "digest-changes-gone" } else { "digest-changes-there" };
            self.phrase(key, &[changes, last])
        } else if told.gone.is_some() {
            self.phrase("digest-was-there", &[first, last])
        } else if holds(&d.not_checked) {
            self.phrase("digest-last-seen", &[last])
        } else {
            let age = Value::Seconds(self.end.seconds_since(told.kept.first));
            self.phrase("digest-since", &[("time", told.kept.first.into()), ("age", age)])
        };
        if let Some(was) = told.severity_before.filter(|was| *was != told.kept.severity) {
            when.push_str(self.words.semicolon);
            let severity = self.say.w(was.name());
            when.push_str(&self.phrase("digest-was-severity", &[("severity", severity.into())]));
        }
        when
    }
}

#[cfg(test)]
mod tests;
