//! A report as rows of words, in the order of a page: what Markdown and terminal text have in common.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use healthcore::analyse::MOST_EXAMPLES;
use healthcore::checks::{CHECKS, pods_phrase};
use healthcore::facts::ContainerFacts;
use healthcore::finding::{Evidence, Finding, Severity, State, SubjectRef, Value};
use healthcore::history::{Gone, Kept, PastScore, Trend};
use healthcore::report::{CheckTally, ClusterSummary, Found, NamespaceSummary, Part, Report};
use healthcore::score::{Grade, Score};
use healthcore::snapshot::{Gap, GapCause, Missing, Origin};
use serde::Serialize;

use crate::RenderOptions;
use crate::brief::cut;
use crate::locale::Locale;
use crate::quantity::{bytes, percent, probability};

/// Workloads that get a section of their own.
const MOST_DETAILS: usize = 30;
/// Rows of a table of info findings.
const MOST_NOTES: usize = 40;
/// Pieces of advice in one list; a page that is kept has all on critical findings besides.
const MOST_ADVICE: usize = 25;
/// Rows of gaps.
const MOST_GAPS: usize = 50;
/// Rows of containers whose headroom shrinks.
const MOST_TRENDS: usize = 10;
/// Rows of what changed.
const MOST_CHANGES: usize = 40;
/// Rows of the table of namespaces.
const MOST_NAMESPACES: usize = 25;
/// Rows of a Top table.
const TOP: usize = 5;
/// Longest name in a title.
const LONGEST_PLACE: usize = 80;
/// Growth below it is noise, and no row of a Top table.
const SMALLEST_GROWTH: f64 = 0.01;

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// It is kept and sent: advice on critical findings is never cut.
    Kept,
    /// It is read on a screen.
    Screen,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub(crate) verdict: &'static str,
    pub(crate) verdict_id: &'static str,
    /// `Health report of prod`
    pub(crate) title: String,
    /// `F 40`, with what it was before where that is known and another one. Empty where the report tells of several clusters
    /// or there is no grade.
    pub(crate) score: String,
    /// Findings by severity, what is unknown, and of a part what it is of.
    pub(crate) counts: String,
    pub(crate) taken_at: String,
    pub(crate) window: String,
    pub(crate) clusters: Table,
    /// What changed since the run before, in one line; empty without history.
    pub(crate) changed: String,
    pub(crate) changes: Vec<ChangeRow>,
    /// Whether there are problems, and all of them were there in the run before and are as they were.
    pub(crate) is_quiet: bool,
    pub(crate) more_changes: usize,
    pub(crate) problems: Vec<ProblemRow>,
    /// Whether of some problem it is told since when it is there.
    pub(crate) tells_since: bool,
    pub(crate) no_problems: &'static str,
    pub(crate) notes: Vec<ProblemRow>,
    pub(crate) more_notes: usize,
    pub(crate) watch: Vec<ProblemRow>,
    pub(crate) more_watch: usize,
    /// Whether of something on the watch list it is told since when it is there.
    pub(crate) tells_watch_since: bool,
    pub(crate) trends: Table,
    pub(crate) tops: Vec<Table>,
    pub(crate) details: Vec<Detail>,
    pub(crate) more_details: usize,
    pub(crate) advice: Vec<AdviceList>,
    pub(crate) gaps: Table,
    pub(crate) more_gaps: usize,
    pub(crate) unknown: Table,
    pub(crate) checks: Table,
    /// What holding down the share of false findings has done, a sentence a check.
    pub(crate) discoveries: Vec<String>,
    pub(crate) cost: String,
    pub(crate) made_by: String,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) headers: Vec<&'static str>,
    /// Whether each column holds numbers.
    pub(crate) numeric: Vec<bool>,
    pub(crate) rows: Vec<Vec<String>>,
    /// What is said in place of no rows.
    pub(crate) none: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct ProblemRow {
    pub(crate) severity: &'static str,
    pub(crate) severity_id: &'static str,
    pub(crate) check: &'static str,
    pub(crate) check_id: String,
    pub(crate) subject: String,
    /// Class of the workload, and where it comes from.
    pub(crate) class: String,
    pub(crate) summary: String,
    /// `bound 70 %`, where the summary does not say it; else empty.
    pub(crate) bound: String,
    /// `since 19 Nov`, of what earlier runs know; else empty.
    pub(crate) since: String,
    /// The same without the word.
    pub(crate) since_day: String,
}

/// A finding that is not what it was in the run before.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeRow {
    pub(crate) state: &'static str,
    pub(crate) state_id: &'static str,
    pub(crate) row: ProblemRow,
}

#[derive(Debug, Serialize)]
pub(crate) struct Detail {
    pub(crate) subject: String,
    pub(crate) class: String,
    pub(crate) findings: Vec<DetailFinding>,
    pub(crate) containers: Table,
    pub(crate) pods: Table,
}

#[derive(Debug, Serialize)]
pub(crate) struct DetailFinding {
    pub(crate) severity: &'static str,
    pub(crate) check: &'static str,
    pub(crate) summary: String,
    pub(crate) since: Option<String>,
    pub(crate) pod: Option<String>,
    pub(crate) evidence: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
pub(crate) struct AdviceList {
    pub(crate) title: &'static str,
    pub(crate) items: Vec<AdviceItem>,
    /// What was cut, and where it is; empty when nothing was.
    pub(crate) more: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct AdviceItem {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) command: Option<String>,
}

impl Page {
    pub(crate) fn new(report: &Report, options: &RenderOptions, reader: Reader) -> Self {
        let say = Say::new(report, options);
        let locale = &say.locale;
        let loud: Vec<&Finding> = report.findings.iter().filter(|f| f.severity > Severity::Info).collect();
        let quiet: Vec<&Finding> = report.findings.iter().filter(|f| f.severity == Severity::Info).collect();
        let (details, more_details) = say.details(report, &loud);
        let gaps = merged(&report.gaps, locale);
        let w = |key| locale.w(key);
        Self {
            verdict: w(report.verdict().name()),
            verdict_id: report.verdict().name(),
            title: say.title(report),
            score: say.grade(report),
            counts: counts(report, locale),
            taken_at: locale.time(report.taken_at),
            window: format!(
                "{} – {}{}{}{}",
                locale.time(report.window.start()),
                locale.time(report.window.end()),
                w("open"),
                locale.duration(report.window.seconds()),
                w("close")
            ),
            clusters: say.clusters(report),
            changed: say.changed(report),
            is_quiet: is_quiet(report),
            more_changes: say.changes(report).count().saturating_sub(MOST_CHANGES),
            changes: say.changes(report).take(MOST_CHANGES).collect(),
            watch: say.watch_list(report).take(MOST_NOTES).collect(),
            tells_watch_since: say.watch_list(report).any(|row| !row.since_day.is_empty()),
            more_watch: say.watch_list(report).count().saturating_sub(MOST_NOTES),
            trends: say.trends(report.changes.iter().flat_map(|c| &c.trends)),
            no_problems: w(match report.floor() {
                Severity::Info if has_nothing(report) => "nothing-to-judge",
                Severity::Info if report.is_blind() => "no-problems-seen",
                Severity::Info => "no-problems",
                _ => "no-problems-above",
            }),
            problems: loud.iter().map(|f| say.row(report, f)).collect(),
            tells_since: loud.iter().any(|f| is_known(f) && f.since.is_some()),
            notes: quiet.iter().take(MOST_NOTES).map(|f| say.row(report, f)).collect(),
            more_notes: quiet.len().saturating_sub(MOST_NOTES),
            tops: say.namespaces(report).into_iter().chain(say.tops(report)).collect(),
            details,
            more_details,
            advice: say.advice(&loud, reader),
            gaps: Table {
                title: w("not-checked"),
                headers: vec![w("scope"), w("cause"), w("detail")],
                numeric: vec![false; 3],
                rows: gaps.iter().take(MOST_GAPS).cloned().collect(),
                ..Table::default()
            },
            more_gaps: gaps.len().saturating_sub(MOST_GAPS),
            unknown: say.unknown(report),
            checks: Table {
                title: w("checks"),
                headers: vec![w("check"), w("ok"), w("problem-count"), w("unknown-count")],
                numeric: vec![false, true, true, true],
                rows: report
                    .tallies()
                    .iter()
                    .map(|c| {
                        let t = &c.tally;
                        vec![c.id.to_owned(), t.ok.to_string(), t.problem.to_string(), t.unknown.to_string()]
                    })
                    .collect(),
                ..Table::default()
            },
            discoveries: report.tallies().iter().filter_map(|c| say.discovery(c)).collect(),
            cost: cost(report, locale),
            made_by: w("made-by").replace("{version}", &report.version),
        }
    }
}

/// The one namespace of a part that names namespaces.
fn one_namespace(report: &Report) -> Option<&NamespaceSummary> {
    report.part.as_ref().filter(|part| !part.namespaces.is_empty())?;
    match report.clusters.as_slice() {
        [ClusterSummary { namespaces, .. }] if namespaces.len() == 1 => namespaces.first(),
        _ => None,
    }
}

/// The score of a cluster, or of one of its namespaces, in the run before.
fn score_before(report: &Report, cluster: &str, namespace: Option<&str>) -> Option<PastScore> {
    report.changes.as_ref().and_then(|changes| changes.score_before(cluster, namespace))
}

/// What the run cost. Where it could not be measured, its memory is not told.
fn cost(report: &Report, locale: &Locale) -> String {
    let cost = &report.cost;
    let mut line = locale.phrase(
        "cost-line",
        &[
            ("queries", Value::Count(cost.prometheus_queries)),
            ("samples", Value::Count(cost.samples)),
            ("bytes", Value::Bytes(cost.bytes as f64)),
            ("requests", Value::Count(cost.kubernetes_requests)),
            ("seconds", Value::Seconds(cost.seconds)),
        ],
    );
    if cost.peak_rss_bytes > 0 {
        line.push_str(&locale.phrase("cost-memory", &[("rss", Value::Bytes(cost.peak_rss_bytes as f64))]));
    }
    line
}

/// Gaps as rows of scope, cause and detail. Those of one place and cause that differ only in what was asked for, such as
/// every list under an expired token, are one row.
fn merged(gaps: &[Gap], locale: &Locale) -> Vec<Vec<String>> {
    const NAME: &str = "\u{0}";
    let mut rows: BTreeMap<(&str, GapCause, String), Vec<&str>> = BTreeMap::new();
    let mut order = Vec::new();
    for gap in gaps {
        let (place, name) = gap.scope.rsplit_once('/').unwrap_or((&gap.scope, ""));
        let detail = if name.is_empty() { locale.gap(gap) } else { locale.gap(gap).replace(name, NAME) };
        let key = (place, gap.cause, detail);
        let names = rows.entry(key.clone()).or_default();
        if names.is_empty() {
            order.push(key);
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let row = |key: &(&str, GapCause, String)| {
        let names = rows[key].join(locale.w("list"));
        let scope = if names.is_empty() { key.0.to_owned() } else { format!("{}/{names}", key.0) };
        // What stands in marks is one name.
        let marked =
            rows[key].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(locale.w("list"));
        let detail = key.2.replace(&format!("`{NAME}`"), &marked).replace(NAME, &names);
        vec![scope, locale.cause(key.1).to_owned(), detail]
    };
    order.iter().map(row).collect()
}

/// Whether every server answered, and nothing runs there.
fn has_nothing(report: &Report) -> bool {
    report.gaps.is_empty() && report.clusters.iter().all(|c| c.workloads + c.pods == 0)
}

/// Whether a sentence has a value, and not only as a part of a longer number.
fn says(sentence: &str, value: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    sentence.match_indices(value).any(|(at, _)| {
        let (before, after) = (&sentence[..at], &sentence[at + value.len()..]);
        let begins = !before.ends_with(goes_on);
        begins && (!value.ends_with(goes_on) || !after.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// What was measured, and the bound that it was held against.
fn measured_against(f: &Finding) -> Option<(&Evidence, &Value)> {
    f.evidence.iter().find_map(|e| Some((e, e.threshold.as_ref()?)))
}

/// Whether the run before knew of a finding.
fn is_known(f: &Finding) -> bool {
    matches!(f.state, Some(State::Ongoing | State::Worse | State::Better))
}

/// Whether a reader of the report before knows all of it.
fn is_quiet(report: &Report) -> bool {
    let compared = report.changes.as_ref().is_some_and(|c| !c.is_first() && c.gone.is_empty());
    let ongoing = report.findings.iter().all(|f| f.state == Some(State::Ongoing));
    let watched = report.watch.iter().all(|f| f.state != Some(State::New));
    compared && ongoing && watched && report.findings.iter().any(|f| f.severity > Severity::Info)
}

/// How many findings and gaps there are, and of what.
fn counts(report: &Report, locale: &Locale) -> String {
    let key = match report.floor() {
        Severity::Info => "counts",
        Severity::Warning => "counts-of-warnings",
        Severity::Critical => "counts-of-critical",
    };
    let found = |severity| Value::from(report.count(severity));
    let values = [
        ("critical", found(Severity::Critical)),
        ("warning", found(Severity::Warning)),
        ("info", found(Severity::Info)),
        ("gaps", report.gaps.len().into()),
    ];
    let counts = locale.phrase(key, &values) + &unseen(report, locale);
    match &report.part {
        Some(part) => format!("{}{}{counts}", only(part, locale), locale.w("colon")),
        None => counts,
    }
}

/// How many findings of a severity there are; of those that a part does not tell, none is no number.
fn number_told(report: &Report, severity: Severity, n: u64) -> String {
    if severity < report.floor() { "–".to_owned() } else { n.to_string() }
}

/// What a part is of: `Only namespace shop`.
pub(crate) fn only(part: &Part, locale: &Locale) -> String {
    let mut only: Vec<String> = Vec::new();
    let of_places = [
        (&part.clusters, "part-cluster", "part-clusters"),
        (&part.namespaces, "part-namespace", "part-namespaces"),
    ];
    for (globs, one, several) in of_places {
        if !globs.is_empty() {
            let words = locale.w(if globs.len() == 1 { one } else { several });
            only.push(words.replace("{names}", &globs.join(" ")));
        }
    }
    match part.floor {
        Severity::Info => {}
        Severity::Warning => only.push(locale.w("part-warning").to_owned()),
        Severity::Critical => only.push(locale.w("part-critical").to_owned()),
    }
    locale.w("part").replace("{only}", &only.join(locale.w("list")))
}

/// How much is unknown, for the head line: nothing when all is known.
fn unseen(report: &Report, locale: &Locale) -> String {
    let mut out = String::new();
    let mut say = |key, of: u64, all: u64| {
        if of > 0 {
            out.push_str(&locale.phrase(key, &[("of", Value::Count(of)), ("all", Value::Count(all))]));
        }
    };
    let (unknown, all) = report.unknown();
    say("counts-unknown", unknown, all);
    say("counts-unanswered", report.unanswered().count() as u64, report.checks.len() as u64);
    let usual: Vec<&str> = CHECKS.iter().filter(|c| !c.on_request()).map(|c| c.info().id).collect();
    let ran = |id: &str| report.checks.iter().any(|c| c.id == id);
    let left_out = usual.iter().filter(|id| !report.checks.is_empty() && !ran(id)).count();
    say("counts-left-out", left_out as u64, usual.len() as u64);
    let clusters = report.clusters.iter().filter(|c| c.is_unseen()).count();
    say("counts-unseen", clusters as u64, report.clusters.len() as u64);
    let missing: BTreeSet<&str> =
        report.clusters.iter().flat_map(|c| &c.without_shards).map(String::as_str).collect();
    if !missing.is_empty() {
        let shards = missing.into_iter().collect::<Vec<_>>().join(locale.w("list"));
        out.push_str(&locale.phrase("counts-partly-seen", &[("shards", shards.into())]));
    }
    out
}

/// Says things in one language.
pub(crate) struct Say {
    pub(crate) locale: Locale,
    many_clusters: bool,
}

impl Say {
    pub(crate) fn new(report: &Report, options: &RenderOptions) -> Self {
        Self { locale: Locale::new(options), many_clusters: report.clusters.len() > 1 }
    }

    /// For what tells of one cluster at a time.
    pub(crate) fn of_one(options: &RenderOptions) -> Self {
        Self::of_many(options, false)
    }

    /// For what tells of clusters together, where subjects have the name of theirs.
    pub(crate) fn of_many(options: &RenderOptions, many_clusters: bool) -> Self {
        Self { locale: Locale::new(options), many_clusters }
    }

    pub(crate) fn w(&self, key: &str) -> &'static str {
        self.locale.w(key)
    }

    /// What a report is of: the one cluster, of a part perhaps its one namespace, or how many clusters.
    fn title(&self, report: &Report) -> String {
        // The verdict stands behind it, and must not be cut off.
        let title = |place: &str| self.w("title-of").replace("{place}", &cut(place, LONGEST_PLACE));
        match report.clusters.as_slice() {
            [one] => title(&match one_namespace(report) {
                Some(namespace) => format!("{}/{}", one.name, namespace.name),
                None => one.name.clone(),
            }),
            [] => self.w("title").to_owned(),
            many => title(&self.locale.phrase("n-clusters", &[("n", many.len().into())])),
        }
    }

    /// The grade and the points of what the title names, where there is enough for a grade.
    fn grade(&self, report: &Report) -> String {
        let told = self
            .score_of_title(report)
            .and_then(|(now, before)| Some(self.with_before(self.graded(now)?, now, before)));
        told.unwrap_or_default()
    }

    /// The score of the one cluster or namespace that the title names, and what it was in the run before.
    fn score_of_title<'r>(&self, report: &'r Report) -> Option<(Option<&'r Score>, Option<PastScore>)> {
        let [one] = report.clusters.as_slice() else { return None };
        Some(match one_namespace(report) {
            Some(n) => (n.score.as_ref(), score_before(report, &one.name, Some(&n.name))),
            None => (one.score.as_ref(), score_before(report, &one.name, None)),
        })
    }

    /// `C 70`; none without a grade.
    pub(crate) fn graded(&self, score: Option<&Score>) -> Option<String> {
        score.and_then(|s| self.past(s.into()))
    }

    /// `C 70`; none without a grade.
    pub(crate) fn past(&self, score: PastScore) -> Option<String> {
        score.grade().map(|grade| format!("{} {}", grade.letter(), score.points))
    }

    /// The words of a score with the one before, where that had a grade, was another one and as sure as this one.
    fn with_before(&self, words: String, now: Option<&Score>, before: Option<PastScore>) -> String {
        let as_sure = |before: &PastScore| now.is_some_and(|now| before.is_as_sure_as(&now.into()));
        let before = before
            .filter(as_sure)
            .and_then(|before| self.past(before))
            .filter(|b| Some(b) != self.graded(now).as_ref());
        match before {
            Some(before) => self.w("score-was").replace("{now}", &words).replace("{before}", &before),
            None => words,
        }
    }

    /// The score of a cluster or a namespace in a table.
    pub(crate) fn compared(
        &self,
        report: &Report,
        cluster: &str,
        namespace: Option<&str>,
        now: Option<&Score>,
    ) -> String {
        self.with_before(self.score(now), now, score_before(report, cluster, namespace))
    }

    fn workload(&self, s: &SubjectRef) -> String {
        let mut out = String::new();
        if self.many_clusters {
            out.push_str(&s.cluster);
            out.push(' ');
        }
        if !s.namespace.is_empty() {
            out.push_str(&s.namespace);
            out.push('/');
        }
        out.push_str(&short_kind(&s.kind));
        out.push('/');
        out.push_str(&s.name);
        out
    }

    pub(crate) fn subject(&self, s: &SubjectRef) -> String {
        match &s.container {
            Some(container) => format!("{} [{container}]", self.workload(s)),
            None => self.workload(s),
        }
    }

    fn row(&self, report: &Report, f: &Finding) -> ProblemRow {
        let since = f.since.filter(|_| is_known(f)).map(|since| self.locale.day(since, report.taken_at));
        let summary = self.locale.sentence(&f.check, &f.summary);
        // The bound of what the sentence tells; a score that decided behind it has none that helps.
        let told = measured_against(f).filter(|(e, _)| says(&summary, &self.measured(e)));
        let bound = told.map(|(_, bound)| self.locale.show(bound));
        let bound = bound.filter(|bound| !says(&summary, bound));
        ProblemRow {
            severity: self.w(f.severity.name()),
            severity_id: f.severity.name(),
            check: self.locale.title(&f.check),
            check_id: f.check.to_string(),
            subject: self.subject(&f.subject),
            class: self.class(f),
            summary,
            bound: bound.map_or_else(String::new, |bound| self.w("watch-bound").replace("{bound}", &bound)),
            since: since.as_ref().map_or_else(String::new, |day| self.w("since-day").replace("{day}", day)),
            since_day: since.unwrap_or_default(),
        }
    }

    fn kept_row(&self, was: &Kept) -> ProblemRow {
        ProblemRow {
            severity: self.w(was.severity.name()),
            severity_id: was.severity.name(),
            check: self.locale.title(&was.check),
            check_id: was.check.clone(),
            subject: self.subject(&was.subject),
            class: String::new(),
            summary: self.locale.sentence(&was.check, &was.summary),
            bound: String::new(),
            since: String::new(),
            since_day: String::new(),
        }
    }

    /// What is not there. Of what comes and goes only the sentence can say that it is gone now: its state does not.
    fn gone_row(&self, gone: &Gone) -> ProblemRow {
        let row = self.kept_row(&gone.was);
        if gone.state != State::Flapping {
            return row;
        }
        let summary = self.locale.phrase(
            "not-there-now",
            &[("last", self.locale.time(gone.was.last).into()), ("text", row.summary.into())],
        );
        ProblemRow { summary, ..row }
    }

    /// What is near its bound, the nearest first, and what was and is not any more.
    fn watch_list<'r>(&'r self, report: &'r Report) -> impl Iterator<Item = ProblemRow> + 'r {
        let now = report.watch.iter().map(|f| {
            let sentence = self.locale.sentence(&f.check, &f.summary);
            let notes = self.watched(report, f, &sentence);
            let (since, since_day) = self.watched_since(report, f);
            ProblemRow {
                summary: self.with_notes(&sentence, &notes),
                bound: String::new(),
                since,
                since_day,
                ..self.row(report, f)
            }
        });
        let changes = report.changes.iter();
        let gone = changes.flat_map(|c| c.unwatched.iter().filter(|gone| c.is_watch_news(gone)));
        now.chain(gone.map(|gone| {
            let day = self.locale.day(gone.was.first, report.taken_at);
            ProblemRow {
                summary: self.w(&format!("watch-{}", gone.why.name())).to_owned(),
                since: self.w("since-day").replace("{day}", &day),
                since_day: day,
                ..self.kept_row(&gone.was)
            }
        }))
    }

    /// The bound of something that is near it, its value where the sentence does not say it, and until when it was a finding.
    fn watched(&self, report: &Report, f: &Finding, sentence: &str) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((e, bound)) = measured_against(f) {
            let value = self.measured(e);
            let key = if says(sentence, &value) { "watch-bound" } else { "watch-now" };
            let told = self.w(key).replace("{value}", &value);
            notes.push(told.replace("{bound}", &self.locale.show(bound)));
        }
        let until = report.changes.as_ref().and_then(|c| c.were_findings.get(&f.fingerprint));
        notes.extend(until.map(|until| {
            let day = self.locale.day(*until, report.taken_at);
            self.w("watch-was-finding").replace("{day}", &day)
        }));
        notes
    }

    /// Since when something is near its bound or beyond it, as a remark and alone; empty without history.
    fn watched_since(&self, report: &Report, f: &Finding) -> (String, String) {
        let day = |since| self.locale.day(since, report.taken_at);
        match (f.state, f.since) {
            (None, _) => (String::new(), String::new()),
            (Some(State::Ongoing | State::Worse | State::Better), Some(since)) => {
                (self.w("since-day").replace("{day}", &day(since)), day(since))
            }
            (Some(state), _) => (self.state(state).to_owned(), self.state(state).to_owned()),
        }
    }

    /// A sentence with remarks behind it.
    fn with_notes(&self, text: &str, notes: &[String]) -> String {
        if notes.is_empty() {
            return text.to_owned();
        }
        let notes = notes.join(self.w("comma"));
        self.locale.phrase("with-notes", &[("text", text.into()), ("notes", notes.into())])
    }

    pub(crate) fn state(&self, state: State) -> &'static str {
        // The heading of the gaps has the plain key.
        self.w(if state == State::NotChecked { "not-checked-now" } else { state.name() })
    }

    /// How many findings have which state, with the run that they were compared with.
    fn changed(&self, report: &Report) -> String {
        let Some(changes) = &report.changes else { return String::new() };
        let Some(before) = changes.before.values().max() else {
            return self.w(not_compared(report)).to_owned();
        };
        let now = report.findings.iter().filter_map(|f| f.state);
        let states: Vec<State> = now.chain(changes.gone.iter().map(|g| g.state)).collect();
        let counts = State::ALL.iter().filter_map(|state| {
            let n = states.iter().filter(|s| *s == state).count();
            (n > 0).then(|| {
                self.locale.phrase("state-count", &[("n", n.into()), ("state", self.state(*state).into())])
            })
        });
        let counts: Vec<String> = counts.collect();
        let counts = if counts.is_empty() {
            self.w("nothing-changed").to_owned()
        } else {
            counts.join(self.w("list"))
        };
        let time = self.locale.time(*before);
        let changed = self.w("changed-since").replace("{time}", &time).replace("{counts}", &counts);
        match self.score_changed(report) {
            // The sentence brings its own stop.
            Some(score) => {
                let space = self.w("next-sentence").trim_start_matches(self.w("stop"));
                format!("{changed}{space}{score}")
            }
            None => changed,
        }
    }

    /// What the score was in the run before, and what it is; none where one of them has no grade.
    fn score_changed(&self, report: &Report) -> Option<String> {
        let (now, before) = self.score_of_title(report)?;
        let (now, before): (PastScore, _) = (now?.into(), before?);
        let (told, told_before) = (self.past(now)?, self.past(before)?);
        let key = match now.is_as_sure_as(&before) {
            false => "score-not-comparable",
            true if told == told_before => "score-stayed",
            true => "score-changed",
        };
        let shares = [("{judged}", now.confidence), ("{judged_before}", before.confidence)];
        let sentence = self.w(key).replace("{now}", &told).replace("{before}", &told_before);
        Some(shares.iter().fold(sentence, |sentence, (key, share)| sentence.replace(key, &percent(*share))))
    }

    /// What is not as it was, most important first: the list is in the order of the states.
    fn changes<'r>(&'r self, report: &'r Report) -> impl Iterator<Item = ChangeRow> + 'r {
        let gone = report.changes.iter().flat_map(|c| &c.gone);
        let told = State::ALL.iter().filter(|s| **s != State::Ongoing);
        told.flat_map(move |state| {
            let of_state = move |f: &&Finding| f.state == Some(*state);
            let found = report.findings.iter().filter(of_state).map(|f| self.row(report, f));
            let was = gone.clone().filter(move |g| g.state == *state).map(|g| self.gone_row(g));
            found.chain(was).map(|row| ChangeRow { state: self.state(*state), state_id: state.name(), row })
        })
    }

    /// Containers whose headroom shrinks.
    pub(crate) fn trends<'t>(&self, trends: impl IntoIterator<Item = &'t Trend>) -> Table {
        let rows = trends.into_iter().take(MOST_TRENDS).map(|t| {
            vec![
                self.subject(&t.subject),
                self.w(t.resource.name()).to_owned(),
                format!("{} → {}", percent(t.from), percent(t.to)),
                self.locale.duration(t.over_s),
                if t.full_in_s > 0.0 { self.locale.duration(t.full_in_s) } else { self.w("now").to_owned() },
            ]
        });
        Table {
            title: self.w("trends"),
            headers: ["container", "resource", "of-limit", "over", "full-in"].map(|k| self.w(k)).to_vec(),
            numeric: vec![false, false, true, true, true],
            rows: rows.collect(),
            ..Table::default()
        }
    }

    fn clusters(&self, report: &Report) -> Table {
        let rows = report.clusters.iter().map(|c| {
            let pods = match c.completed_pods {
                0 => c.pods.to_string(),
                done => format!("{} (+{done} {})", c.pods - done.min(c.pods), self.w("completed")),
            };
            let from = match c.objects_from {
                Some(Origin::KubernetesApi) => self.w("kubernetes-api"),
                Some(Origin::KubeStateMetrics) => self.w("kube-state-metrics"),
                None => self.w("none"),
            };
            // Of a cluster that nobody saw it is not known that it has none.
            let unseen = c.is_unseen() && c.found == Found::default();
            let or_dash = |n: String| if unseen { "–".to_owned() } else { n };
            vec![
                c.name.clone(),
                or_dash(c.workloads.to_string()),
                or_dash(pods),
                or_dash(c.containers.to_string()),
                or_dash(number_told(report, Severity::Critical, c.found.critical)),
                or_dash(number_told(report, Severity::Warning, c.found.warning)),
                or_dash(number_told(report, Severity::Info, c.found.info)),
                or_dash(c.unknown.to_string()),
                self.compared(report, &c.name, None, c.score.as_ref()),
                from.to_owned(),
                match c.metrics_via.as_deref() {
                    None => self.w("none").to_owned(),
                    Some("direct") => self.w("direct").to_owned(),
                    Some(way) => way.to_owned(),
                },
            ]
        });
        Table {
            title: self.w("clusters"),
            headers: [
                "cluster",
                "workloads",
                "pods",
                "containers",
                "critical",
                "warning",
                "info",
                "unknown-count",
                "score",
                "objects-from",
                "metrics-via",
            ]
            .map(|k| self.w(k))
            .to_vec(),
            numeric: (0..11).map(|i| (1..9).contains(&i)).collect(),
            rows: rows.collect(),
            ..Table::default()
        }
    }

    /// Namespaces, those with the most severe findings first. One alone says what its cluster says.
    fn namespaces(&self, report: &Report) -> Option<Table> {
        let of_cluster = |c: &ClusterSummary| -> Vec<(String, NamespaceSummary)> {
            c.namespaces.iter().map(|n| (c.name.clone(), n.clone())).collect()
        };
        let mut all: Vec<_> = report.clusters.iter().flat_map(of_cluster).collect();
        if all.len() < 2 {
            return None;
        }
        // The sort is stable: else they stay in the order of the clusters and their names.
        all.sort_by_key(|(_, n)| Reverse((n.found, n.tally.unknown)));
        let title = if all.len() > MOST_NAMESPACES { "worst-namespaces" } else { "namespaces" };
        let rows = all.into_iter().take(MOST_NAMESPACES).map(|(cluster, n)| {
            let score = self.compared(report, &cluster, Some(&n.name), n.score.as_ref());
            let name = if self.many_clusters { format!("{cluster} {}", n.name) } else { n.name };
            let (found, tally) = (n.found, n.tally);
            let done = tally.completed_pods.min(tally.pods);
            let failed = tally.replaced_pods.min(tally.pods - done);
            let pods = match (tally.pods, tally.untold_pods, done) {
                (0, ..) => "0".to_owned(),
                (all, 0, done) => {
                    let counts = [tally.running_pods, all - done - failed, done, failed];
                    let [running, all, done, failed] = counts.map(|n| n as usize);
                    self.locale.show(&pods_phrase(running, all, done, failed).into())
                }
                (all, _, 0) => all.to_string(),
                (all, _, done) => format!("{} (+{done} {})", all - done, self.w("completed")),
            };
            vec![
                name,
                tally.workloads.to_string(),
                pods,
                number_told(report, Severity::Critical, found.critical),
                number_told(report, Severity::Warning, found.warning),
                number_told(report, Severity::Info, found.info),
                tally.unknown.to_string(),
                score,
            ]
        });
        let headers =
            ["namespace", "workloads", "pods", "critical", "warning", "info", "unknown-count", "score"];
        Some(Table {
            title: self.w(title),
            headers: headers.map(|k| self.w(k)).to_vec(),
            numeric: (0..headers.len()).map(|i| i == 1 || (3..7).contains(&i)).collect(),
            rows: rows.collect(),
            ..Table::default()
        })
    }

    /// `C 70`, with the share that could be judged where that is not all, and without a grade where it is too little.
    pub(crate) fn score(&self, score: Option<&Score>) -> String {
        let Some(score) = score else { return "–".to_owned() };
        let grade = score.grade().map_or("?", Grade::letter);
        let known = percent(score.confidence);
        if known == "100 %" {
            format!("{grade} {}", score.points)
        } else {
            let [open, judged, close] = ["open", "judged", "close"].map(|key| self.w(key));
            format!("{grade} {}{open}{judged} {known}{close}", score.points)
        }
    }

    pub(crate) fn class(&self, f: &Finding) -> String {
        f.class.map_or_else(String::new, |c| {
            let origin = self.w(&format!("origin-{}", c.origin.name()));
            format!("{} {}{}{origin}{}", self.w("class"), c.class.name(), self.w("open"), self.w("close"))
        })
    }

    fn top(
        &self,
        report: &Report,
        title: &str,
        headers: &[&str],
        key: impl Fn(&ContainerFacts) -> Option<f64>,
        cells: impl Fn(&ContainerFacts) -> Vec<String>,
    ) -> Option<Table> {
        let mut ranked: Vec<(&ContainerFacts, f64)> =
            report.facts.iter().filter_map(|f| Some((f, key(f)?))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.subject.cmp(&b.0.subject)));
        let rows: Vec<Vec<String>> = ranked
            .into_iter()
            .take(TOP)
            .map(|(f, _)| std::iter::once(self.subject(&f.subject)).chain(cells(f)).collect())
            .collect();
        let headers: Vec<&'static str> =
            std::iter::once("container").chain(headers.iter().copied()).map(|k| self.w(k)).collect();
        let numeric = (0..headers.len()).map(|i| i > 0).collect();
        (!rows.is_empty()).then(|| Table { title: self.w(title), headers, numeric, rows, none: "" })
    }

    fn tops(&self, report: &Report) -> Vec<Table> {
        let limit = |f: &ContainerFacts| or_dash(f.resources.memory_limit.map(|b| bytes(b.get())));
        let now = |f: &ContainerFacts| or_dash(f.memory_now.map(bytes));
        let share = |f: &ContainerFacts| or_dash(f.memory_of_limit().map(percent));
        [
            self.top(
                report,
                "top-memory",
                &["use", "limit", "of-limit"],
                |f| f.memory_now,
                |f| vec![now(f), limit(f), share(f)],
            ),
            self.top(
                report,
                "top-share",
                &["of-limit", "use", "limit"],
                ContainerFacts::memory_of_limit,
                |f| vec![share(f), now(f), limit(f)],
            ),
            self.top(
                report,
                "top-growth",
                &["growth", "use", "limit"],
                |f| f.memory_growth.filter(|g| *g >= SMALLEST_GROWTH),
                |f| vec![or_dash(f.memory_growth.map(percent)), now(f), limit(f)],
            )
            .or_else(|| self.none_grew(report)),
            self.top(
                report,
                "top-cpu",
                &["mean", "p95", "request", "limit"],
                |f| f.cpu_mean,
                |f| {
                    let resource =
                        |c: Option<healthcore::unit::Cores>| or_dash(c.map(|c| self.locale.cores(c.get())));
                    vec![
                        or_dash(f.cpu_mean.map(|v| self.locale.cores(v))),
                        or_dash(f.cpu_p95.map(|v| self.locale.cores(v))),
                        resource(f.resources.cpu_request),
                        resource(f.resources.cpu_limit),
                    ]
                },
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What stands in place of a growth table without rows, where growth is known at all.
    fn none_grew(&self, report: &Report) -> Option<Table> {
        let known = report.facts.iter().any(|f| f.memory_growth.is_some());
        let table = || Table { title: self.w("top-growth"), none: self.w("none-grew"), ..Table::default() };
        known.then(table)
    }

    fn details(&self, report: &Report, loud: &[&Finding]) -> (Vec<Detail>, usize) {
        type Key<'a> = (&'a str, &'a str, &'a str, &'a str);
        fn key(s: &SubjectRef) -> Key<'_> {
            (&s.cluster, &s.namespace, &s.kind, &s.name)
        }
        let mut facts: BTreeMap<Key<'_>, Vec<&ContainerFacts>> = BTreeMap::new();
        for f in &report.facts {
            facts.entry(key(&f.subject)).or_default().push(f);
        }
        let mut order: Vec<Key<'_>> = Vec::new();
        let mut by_workload: BTreeMap<Key<'_>, Vec<&Finding>> = BTreeMap::new();
        for f in loud {
            let k = key(&f.subject);
            if !by_workload.contains_key(&k) {
                order.push(k);
            }
            by_workload.entry(k).or_default().push(f);
        }
        let more = order.len().saturating_sub(MOST_DETAILS);
        let details = order.into_iter().take(MOST_DETAILS).map(|k| {
            let findings = &by_workload[&k];
            let facts = facts.get(&k).map_or(&[][..], Vec::as_slice);
            Detail {
                subject: self.workload(&findings[0].subject),
                class: self.class(findings[0]),
                findings: findings.iter().map(|f| self.detail_finding(f)).collect(),
                containers: self.containers(facts),
                pods: self.pods(facts),
            }
        });
        (details.collect(), more)
    }

    pub(crate) fn detail_finding(&self, f: &Finding) -> DetailFinding {
        let evidence = f.evidence.iter().map(|e| {
            let value = match &e.threshold {
                Some(bound) => {
                    let bound = self.locale.show(bound);
                    let [open, threshold, close] = ["open", "threshold", "close"].map(|key| self.w(key));
                    format!("{}{open}{threshold} {bound}{close}", self.measured(e))
                }
                None => self.measured(e),
            };
            (self.locale.evidence(&e.name), value)
        });
        DetailFinding {
            severity: self.w(f.severity.name()),
            check: self.locale.title(&f.check),
            summary: self.locale.sentence(&f.check, &f.summary),
            since: f.since.map(|t| format!("{} {}", self.w("since"), self.locale.time(t))),
            pod: f.subject.pod.clone(),
            evidence: evidence.collect(),
        }
    }

    fn containers(&self, facts: &[&ContainerFacts]) -> Table {
        let heap = facts.iter().any(|f| f.jvm_heap_used.is_some());
        let mut headers = vec![
            "container",
            "pods",
            "use",
            "request",
            "limit",
            "growth",
            "cpu",
            "request",
            "limit",
            "restarts",
        ];
        if heap {
            headers.push("heap");
        }
        let rows = facts.iter().map(|f| {
            let memory = |b: Option<healthcore::unit::Bytes>| or_dash(b.map(|b| bytes(b.get())));
            let cpu = |c: Option<healthcore::unit::Cores>| or_dash(c.map(|c| self.locale.cores(c.get())));
            let mut row = vec![
                f.subject.container.clone().unwrap_or_default(),
                f.pods_state
                    .as_ref()
                    .map_or_else(|| f.live_pods.to_string(), |state| self.locale.show(&state.words().into())),
                or_dash(f.memory_now.map(bytes)),
                memory(f.resources.memory_request),
                memory(f.resources.memory_limit),
                or_dash(f.memory_growth.map(percent)),
                or_dash(f.cpu_mean.map(|v| self.locale.cores(v))),
                cpu(f.resources.cpu_request),
                cpu(f.resources.cpu_limit),
                or_dash(f.restarts.map(|n| n.to_string())),
            ];
            if heap {
                row.push(match (f.jvm_heap_used, f.jvm_heap_max) {
                    (Some(used), Some(max)) => format!("{} / {}", bytes(used), bytes(max)),
                    (Some(used), None) => bytes(used),
                    _ => "–".to_owned(),
                });
            }
            row
        });
        Table {
            title: self.w("containers"),
            numeric: (0..headers.len()).map(|i| i > 1).collect(),
            headers: headers.into_iter().map(|k| self.w(k)).collect(),
            rows: rows.collect(),
            ..Table::default()
        }
    }

    /// Four checks a pod: usage, growth, limit, request.
    fn pods(&self, facts: &[&ContainerFacts]) -> Table {
        let mut rows = Vec::new();
        for f in facts {
            let limit = f.resources.memory_limit.map(|b| b.get()).filter(|l| *l > 0.0);
            let request = f.resources.memory_request.map(|b| b.get()).filter(|r| *r > 0.0);
            for p in &f.pods {
                let judged = |level: &'static str, value: String| {
                    format!("{} {value}", self.w(level)).trim().to_owned()
                };
                let usage = match (p.memory_now, limit) {
                    (Some(now), Some(limit)) => judged(level(now / limit, 0.70, 0.85), percent(now / limit)),
                    (Some(now), None) => bytes(now),
                    _ => self.w("no-data").to_owned(),
                };
                // No verdict: whether growth is a leak, `memory-leak` says for the workload, by the method that is set.
                let growth = p.memory_growth.map_or_else(|| self.w("no-data").to_owned(), percent);
                let limit_sane = match (p.memory_now, limit) {
                    (_, None) => self.w("missing"),
                    (Some(now), Some(limit)) if p.crash_loops && now < 0.85 * limit => self.w("crash-loop"),
                    (Some(now), Some(limit)) if limit > 2e9 && now < 0.30 * limit => self.w("large"),
                    (Some(now), Some(limit)) if now > 0.85 * limit => self.w("small"),
                    (Some(_), _) => self.w("sane"),
                    (None, _) => self.w("no-data"),
                };
                let request_sane = match (p.memory_now, request) {
                    (_, None) => self.w("missing"),
                    (Some(now), Some(request)) if p.crash_loops && now < request => self.w("crash-loop"),
                    (Some(now), Some(request)) if now < 0.50 * request => self.w("large"),
                    (Some(now), Some(request)) if request < 0.50 * now => self.w("small"),
                    (Some(_), _) => self.w("sane"),
                    (None, _) => self.w("no-data"),
                };
                let mut name = p.pod.clone();
                if facts.len() > 1 {
                    name.push_str(&format!(" [{}]", f.subject.container.as_deref().unwrap_or_default()));
                }
                rows.push(vec![name, usage, growth, limit_sane.to_owned(), request_sane.to_owned()]);
            }
            let more = f.live_pods.saturating_sub(f.pods.len());
            if more > 0 {
                let words = format!("{} {more}", self.w("more-pods"));
                rows.push([words, "…".into(), "…".into(), "…".into(), "…".into()].to_vec());
            }
        }
        Table {
            title: self.w("pods"),
            headers: ["pod", "usage-check", "growth-check", "limit-check", "request-check"]
                .map(|k| self.w(k))
                .to_vec(),
            numeric: vec![false, false, false, false, false],
            rows,
            ..Table::default()
        }
    }

    /// Three lists: what is urgent, what is to be watched, and leaks. The findings come with the most severe first.
    fn advice(&self, loud: &[&Finding], reader: Reader) -> Vec<AdviceList> {
        let mut settings: BTreeSet<(SubjectRef, String)> = BTreeSet::new();
        let mut list = |title: &'static str, wanted: &dyn Fn(&Finding) -> bool| {
            let mut items: Vec<AdviceItem> = Vec::new();
            let mut critical = 0;
            for f in loud.iter().filter(|f| wanted(f)) {
                for a in &f.advice {
                    // Several checks may want to change the same setting: the first, most urgent one is heard.
                    if let Some(resource) = &a.resource
                        && !settings.insert((f.subject.clone().without_pod(), resource.to_string()))
                    {
                        continue;
                    }
                    items.push(AdviceItem {
                        subject: self.subject(&f.subject),
                        text: self.locale.sentence(&f.check, &a.text),
                        command: a.command.clone(),
                    });
                    critical += usize::from(f.severity == Severity::Critical);
                }
            }
            let shown = match reader {
                Reader::Kept => critical.max(MOST_ADVICE),
                Reader::Screen => MOST_ADVICE,
            };
            // Markdown has what is critical; the rest is nowhere but in JSON.
            let where_ = if critical > shown { "more-in-markdown" } else { "more" };
            let more = match items.len().saturating_sub(shown) {
                0 => String::new(),
                n => self.w(where_).replace("{n}", &n.to_string()),
            };
            items.truncate(shown);
            AdviceList { title: self.w(title), items, more }
        };
        let leak = |f: &Finding| f.check == "memory-leak";
        [
            list("urgent", &|f| f.severity == Severity::Critical && !leak(f)),
            list("watch", &|f| f.severity == Severity::Warning && !leak(f)),
            list("leaks", &leak),
        ]
        .into_iter()
        .filter(|l| !l.items.is_empty())
        .collect()
    }

    /// A measured value in words.
    fn measured(&self, e: &Evidence) -> String {
        match (e.name.as_ref(), &e.value) {
            ("p-value", Value::Number(p)) | ("false-discovery-rate", Value::Ratio(p)) => probability(*p),
            (_, value) => self.locale.show(value),
        }
    }

    fn discovery(&self, check: &CheckTally) -> Option<String> {
        let found = check.discovery?;
        let key = match (found.passed, found.set_back) {
            (0, 0) => "discoveries-none",
            (0, _) => "discoveries-hidden",
            _ => "discoveries",
        };
        let values = [
            ("check", Value::from(check.id)),
            ("level", Value::Ratio(found.level.get())),
            ("passed", Value::Count(found.passed)),
            ("set-back", Value::Count(found.set_back)),
        ];
        Some(self.locale.phrase(key, &values))
    }

    /// The first of some subjects, and how many more of `all` there are at least.
    fn first_of(&self, subjects: &BTreeSet<&SubjectRef>, all: u64) -> String {
        let named: Vec<String> =
            subjects.iter().take(MOST_EXAMPLES).map(|subject| self.subject(subject)).collect();
        let all = all.max(subjects.len() as u64);
        let first = named.join(self.w("list"));
        match all.saturating_sub(named.len() as u64) {
            0 => first,
            more => self.locale.phrase("first-and-more", &[("first", first.into()), ("more", more.into())]),
        }
    }

    fn unknown(&self, report: &Report) -> Table {
        let mut by_reason: BTreeMap<&Missing, (u64, Vec<&str>)> = BTreeMap::new();
        let mut examples: BTreeMap<&Missing, BTreeSet<&SubjectRef>> = BTreeMap::new();
        for check in report.tallies() {
            for (why, subjects) in &check.tally.examples {
                examples.entry(why).or_default().extend(subjects);
            }
            for (why, n) in &check.tally.reasons {
                let entry = by_reason.entry(why).or_default();
                entry.0 = entry.0.max(*n);
                entry.1.push(check.id);
            }
        }
        let mut rows = refusals_merged(by_reason);
        // By the English words: the order is the same in every language.
        rows.sort_by_key(|(why, n, checks)| (why.to_string(), *n, checks.join(", ")));
        let row = |(why, n, checks): (Missing, u64, Vec<&str>)| {
            let named = examples.get(&why).map_or_else(String::new, |all| self.first_of(all, n));
            vec![self.locale.missing(&why), n.to_string(), checks.join(self.w("list")), named]
        };
        Table {
            title: self.w("reasons"),
            headers: ["reasons", "subjects", "checks", "which"].map(|key| self.w(key)).to_vec(),
            numeric: vec![false, true, false, false],
            rows: rows.into_iter().map(row).collect(),
            ..Table::default()
        }
    }
}

/// What refusals that are told in one row have in common: verb, namespace and the checks that miss it.
type Refused<'a> = (String, Option<String>, Vec<&'a str>);

/// Reasons, where what one missing right of a namespace keeps from the same checks is one for all resources.
fn refusals_merged<'a>(
    reasons: BTreeMap<&Missing, (u64, Vec<&'a str>)>,
) -> Vec<(Missing, u64, Vec<&'a str>)> {
    let mut out = Vec::new();
    let mut denied: BTreeMap<Refused<'a>, (u64, Vec<String>)> = BTreeMap::new();
    for (why, (n, checks)) in reasons {
        match why {
            Missing::AccessDenied { verb, resource, namespace } => {
                let entry = denied.entry((verb.clone(), namespace.clone(), checks)).or_default();
                entry.0 = entry.0.max(n);
                entry.1.push(resource.clone());
            }
            why => out.push((why.clone(), n, checks)),
        }
    }
    for ((verb, namespace, checks), (n, resources)) in denied {
        let why = Missing::AccessDenied { verb, resource: resources.join(", "), namespace };
        out.push((why, n, checks));
    }
    out
}

fn level(value: f64, warning: f64, critical: f64) -> &'static str {
    if value > critical {
        "critical"
    } else if value >= warning {
        "warning"
    } else {
        "sane"
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

/// Kinds as kubectl abbreviates them.
fn short_kind(kind: &str) -> String {
    match kind {
        "Deployment" => "deploy".to_owned(),
        "StatefulSet" => "sts".to_owned(),
        "DaemonSet" => "ds".to_owned(),
        "HorizontalPodAutoscaler" => "hpa".to_owned(),
        other => other.to_lowercase(),
    }
}

/// Why no cluster was compared with an earlier run.
fn not_compared(report: &Report) -> &'static str {
    let tells = |key: &str| report.gaps.iter().any(|g| g.words.as_ref().is_some_and(|said| said.key == key));
    if tells("gap-history-unread") {
        "history-unread"
    } else if tells("gap-history-unwritten") {
        "history-unwritten"
    } else {
        "first-run"
    }
}

#[cfg(test)]
mod tests {
    use healthcore::analyse::analyse;
    use healthcore::fixture::Fixture;
    use healthcore::history::{Rules, compare};
    use healthcore::report::ClusterSummary;
    use healthcore::settings::Settings;
    use healthcore::snapshot::GapCause;

    use super::*;
    use crate::Lang;

    /// Crash loops with one piece of advice each, and containers of which each gets another.
    fn report(critical: usize, warning: usize) -> Report {
        let mut text = String::new();
        for i in 0..critical {
            text.push_str(&format!("container web/loop{i}-0/app request=1Gi limit=1Gi cpu-request=1 state=waiting:CrashLoopBackOff\n"));
        }
        for i in 0..warning {
            text.push_str(&format!("container web/near{i}-0/app request=100Mi limit=100Mi cpu-request=1  memory: 75x30  cpu: 1x30\n"));
        }
        let snapshot = Fixture::new(&text).snapshot;
        let checks = Settings::default().resolve(CHECKS).unwrap();
        let assessment = analyse(&snapshot, &checks);
        let parts = vec![(ClusterSummary::default(), assessment)];
        Report::new("0.0.0", snapshot.taken_at, snapshot.window, parts, vec![], CHECKS)
    }

    #[test]
    fn what_comes_and_goes_says_when_it_is_gone() {
        let told = |state| {
            let mut report = report(1, 0);
            let finding = report.findings[0].clone();
            let was = Kept {
                fingerprint: finding.fingerprint,
                check: finding.check.to_string(),
                severity: finding.severity,
                subject: finding.subject,
                summary: finding.summary,
                first: report.taken_at,
                last: report.taken_at.plus_seconds(-86_400.0),
                told: None,
                near: None,
            };
            let changes =
                healthcore::history::Changes { gone: vec![Gone { state, was }], ..Default::default() };
            report.changes = Some(changes);
            let page = Page::new(&report, &RenderOptions::default(), Reader::Kept);
            page.changes.into_iter().next().expect("a change").row.summary
        };
        let flapping = told(State::Flapping);
        assert!(flapping.starts_with("not there now, last seen 2026-11-19"), "{flapping}");
        assert!(flapping.ends_with(&told(State::Resolved)), "{flapping}");
    }

    #[test]
    fn advice_on_critical_findings_is_never_lost() {
        let lists = |critical, warning, reader| {
            let page = Page::new(&report(critical, warning), &RenderOptions::default(), reader);
            page.advice
                .into_iter()
                .map(|l| format!("{}: {} {}", l.title, l.items.len(), l.more).trim().to_owned())
                .collect::<Vec<_>>()
        };
        let watch = "Watch: 25 and 5 more: the JSON report has them all";
        assert_eq!(lists(25, 0, Reader::Screen), ["Urgent: 25"]);
        assert_eq!(
            lists(35, 30, Reader::Screen),
            ["Urgent: 25 and 10 more: the Markdown report has them all", watch]
        );
        assert_eq!(lists(35, 30, Reader::Kept), ["Urgent: 35", watch]);
    }

    /// What a reader sees of the watch list over runs a day apart: detail and since.
    #[test]
    fn the_watch_list_is_told() {
        let told = |lang: Lang| {
            let mut settings = Settings::default();
            settings.only.insert("memory-usage".to_owned());
            let checks = settings.resolve(CHECKS).unwrap();
            let mut past = BTreeMap::new();
            let mut day = 0.0;
            let mut run = |text: &str| {
                let snapshot = Fixture::new(text).snapshot;
                let summary = ClusterSummary {
                    name: snapshot.cluster.clone(),
                    objects_from: Some(snapshot.objects.origin),
                    ..ClusterSummary::default()
                };
                let at = snapshot.taken_at.plus_seconds(86_400.0 * day);
                day += 1.0;
                let parts = vec![(summary, analyse(&snapshot, &checks))];
                let mut report = Report::new("0", at, snapshot.window, parts, vec![], CHECKS);
                for run in compare(&mut report, &past, &Rules::default()) {
                    past.entry(run.cluster.clone()).or_insert_with(Vec::new).push(run);
                }
                let options = RenderOptions { lang, ..RenderOptions::default() };
                let page = Page::new(&report, &options, Reader::Kept);
                let rows: Vec<_> =
                    page.watch.iter().map(|r| format!("{} | {}", r.summary, r.since_day)).collect();
                rows.join("\n")
            };
            let at = |percent: u32| {
                format!(
                    "container web/api-0/app limit=1000Mi  memory: {}x5\ncontainer web/b-0/app",
                    percent * 10
                )
            };
            [at(65), at(75), at(65), "container web/b-0/app".to_owned()].map(|text| run(&text))
        };
        assert_eq!(
            told(Lang::En),
            [
                "memory is at 65 % of its limit (650 MiB of 1000 MiB); bound 70 % | ",
                "",
                "memory is at 65 % of its limit (650 MiB of 1000 MiB); bound 70 %, a finding until 21 Nov | 20 Nov",
                "no longer there | 20 Nov",
            ]
        );
        assert_eq!(
            told(Lang::ZhTw)[2..],
            [
                "記憶體已達上限的 65 %（用量 650 MiB，上限 1000 MiB）；門檻 70 %，到 11月21日 為止列為問題 | 11月20日",
                "已不存在 | 11月20日"
            ]
        );
    }

    #[test]
    fn a_value_that_a_sentence_says_is_no_part_of_a_longer_one() {
        let says = |sentence| says(sentence, "8 %");
        assert!(says("at 8 % of it") && says("8 %"));
        assert!(!says("at 58 % of it") && !says("at 5.8 %") && !says("8 of 100"));
        assert!(!super::says("80 of 100", "8") && super::says("108 of 8", "8"));
    }

    #[test]
    fn refusals_of_one_cause_are_one_row() {
        let gap = |scope: &str, cause, detail: &str| Gap::new(scope, cause, detail);
        let expired = |name: &str| {
            gap(
                &format!("prod/web/{name}"),
                GapCause::Unauthorized,
                &format!("listing {name} in namespace web: unauthorized"),
            )
        };
        let gaps = [
            expired("pods"),
            gap("prod/prometheus", GapCause::Timeout, "no answer in 30s"),
            expired("events"),
            gap("prod/prometheus/cpu-usage", GapCause::Failed, "too many series"),
            gap("prod/prometheus/memory-rss", GapCause::Failed, "too many series"),
            gap("prod/jobs", GapCause::NothingMatches, "there is no namespace `jobs`"),
            gap("prod/kube-system", GapCause::NothingMatches, "there is no namespace `kube-system`"),
            gap("prod/shop/pods", GapCause::Unauthorized, "listing pods in namespace shop: unauthorized"),
        ];
        let rows = merged(&gaps, &Locale::default());
        let rows: Vec<String> = rows.iter().map(|row| row.join(" | ")).collect();
        assert_eq!(
            rows,
            [
                "prod/web/pods, events | unauthorized | listing pods, events in namespace web: unauthorized",
                "prod/prometheus | timeout | no answer in 30s",
                "prod/prometheus/cpu-usage, memory-rss | failed | too many series",
                "prod/jobs, kube-system | nothing-matches | there is no namespace `jobs`, `kube-system`",
                "prod/shop/pods | unauthorized | listing pods in namespace shop: unauthorized",
            ]
        );
    }

    #[test]
    fn growth_that_is_noise_is_no_top() {
        let top = |text: &str| {
            let snapshot = Fixture::new(text).snapshot;
            let assessment = analyse(&snapshot, &Settings::default().resolve(CHECKS).unwrap());
            let parts = vec![(ClusterSummary::default(), assessment)];
            let report = Report::new("0.0.0", snapshot.taken_at, snapshot.window, parts, vec![], CHECKS);
            let page = Page::new(&report, &RenderOptions::default(), Reader::Kept);
            let table = page.tops.into_iter().find(|t| t.title == "Top 5 by memory growth");
            table.map(|t| format!("{}{}", t.rows.len(), t.none))
        };
        let week = "window lookback=7d step=1h\ncontainer web/api-0/app ";
        assert_eq!(top(&format!("{week} memory: 100+1x167")).as_deref(), Some("1"));
        assert_eq!(
            top(&format!("{week} memory: 100x167")).as_deref(),
            Some("0No memory grew by 1 % or more.")
        );
        assert_eq!(top(week), None);
    }
}
