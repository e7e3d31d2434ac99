//! A digest in short, for places where people talk: what came, what went, what is still there.

use healthcore::finding::Severity;
use healthcore::history::{Digest, Told};
use healthcore::report::Found;
use healthcore::snapshot::Gap;
use serde_json::Value as Json;

use super::{DigestReport, Row, Teller, Words, is_known};
use crate::brief::{Brief, Group, Line, MOST_CLUSTERS, Mark, cut, more_clusters};
use crate::cards::{self, Chat};
use crate::page::{Say, Table, only};
use crate::{Mail, RenderError, RenderOptions, SlackReport, slack};

/// Lines of one list that the first message has room for at most.
const MOST_LINES: usize = 12;

impl DigestReport {
    /// The messages of a digest.
    #[must_use]
    pub fn slack(&self, options: &RenderOptions) -> SlackReport {
        SlackReport::of(&brief(self, options), options)
    }

    /// The body of the request that brings a digest to a chat.
    #[must_use]
    pub fn card(&self, chat: Chat, options: &RenderOptions) -> Json {
        cards::of(&brief(self, options), chat, options)
    }

    /// The mail of a digest.
    #[must_use]
    pub fn mail(&self, options: &RenderOptions) -> Mail {
        let brief = brief(self, options);
        let say = &Say::of_one(options);
        let teller = Teller { say, end: self.end, floor: self.floor(), words: Words::new(say) };
        let news = match teller.unknown(&self.digests) {
            Some(unknown) => unknown.to_owned(),
            None => news(&self.digests, say),
        };
        let what = match &self.part {
            Some(part) => only(part, &say.locale) + brief.colon,
            None => String::new(),
        };
        let subject = format!("{}{}{what}{}", brief.title, brief.colon, news);
        Mail::of(&brief, &subject, self.text(&Mail::plain(options)), options)
    }

    pub(super) fn slack_json(&self, options: &RenderOptions) -> Result<String, RenderError> {
        slack::json(&self.slack(options))
    }
}

fn brief(report: &DigestReport, options: &RenderOptions) -> Brief {
    let say = &Say::of_many(options, report.digests.len() > 1);
    let teller = Teller { say, end: report.end, floor: report.floor(), words: Words::new(say) };
    let period = report.period(say);
    let (lists, gaps) = (lists(report, &teller), gaps(report, &teller));
    let trends = report.digests.iter().map(|d| trends(say.trends(&d.trends), teller.words));
    let details: Vec<Group> = lists.iter().cloned().chain(trends).chain([gaps.clone()]).collect();
    let groups = lists.into_iter().chain([gaps]);
    let Opening { place, changed, footer } = Opening::new(report, &teller);
    Brief {
        title: format!("{}{place}", say.w("digest-title")),
        mark: mark(report),
        // Why nothing is known is said once, below.
        counts: match teller.unknown(&report.digests) {
            Some(_) => period,
            None => format!("{period}{}{}", teller.words.colon, news(&report.digests, say)),
        },
        changed,
        clusters: clusters(report, &teller),
        more_clusters: more_clusters(report.digests.len(), options.lang),
        groups: groups.filter(is_filled).collect(),
        details: details.into_iter().filter(is_filled).collect(),
        footer: format!("{footer}{}", say.w("made-by").replace("{version}", &report.version)),
        colon: teller.words.colon,
        next_sentence: say.w("next-sentence"),
        rest: say.w("digest-more"),
    }
}

fn is_filled(group: &Group) -> bool {
    !group.lines.is_empty() || group.more > 0
}

/// What is said of one cluster, or of all of them.
struct Opening {
    place: String,
    changed: String,
    footer: String,
}

impl Opening {
    fn new(report: &DigestReport, teller: &Teller<'_>) -> Self {
        let say = teller.say;
        match &report.digests[..] {
            [] => Self {
                place: String::new(),
                changed: say.w("digest-no-clusters").to_owned(),
                footer: String::new(),
            },
            [one] => {
                let mut lines = teller.runs(one);
                let changed = lines.pop().unwrap_or_default();
                // How often it ran is said small.
                let footer = lines.pop().map_or_else(String::new, |runs| format!("{runs} · "));
                let (name, score) = teller.place(one);
                let mut place = format!("{}{}{}", say.w("open"), cut(&name, 60), say.w("close"));
                if let Some(score) = score {
                    place.push_str(say.w("list"));
                    place.push_str(&score);
                }
                Self { place, changed, footer }
            }
            several => {
                let changed = match teller.unknown(several) {
                    Some(unknown) => unknown.to_owned(),
                    None => fleet(several, teller),
                };
                Self { place: String::new(), changed, footer: String::new() }
            }
        }
    }
}

/// What is found now against before, in the clusters of which that is known: what nobody looked at has not become less.
fn fleet(digests: &[Digest], teller: &Teller<'_>) -> String {
    let known = || digests.iter().filter(|d| is_known(d));
    let sum = |of: fn(&Digest) -> Found| known().map(of).fold(Found::default(), Found::and);
    let severities = teller.severities(sum(|d| d.found_before), sum(|d| d.found));
    let values = [("n", digests.len().into()), ("severities", severities.into())];
    teller.say.locale.phrase("digest-fleet", &values)
}

/// How much came, went and stayed, over all clusters.
fn news(digests: &[Digest], say: &Say) -> String {
    let sum = |of: fn(&Digest) -> usize| digests.iter().map(of).sum::<usize>().into();
    let values = [
        ("new", sum(|d| d.new.len())),
        ("resolved", sum(|d| d.resolved.len())),
        ("flapping", sum(|d| d.flapping.len())),
        ("open", sum(|d| d.open.len())),
        ("unseen", sum(|d| d.not_checked.len())),
    ];
    say.locale.phrase("digest-news", &values)
}

fn mark(report: &DigestReport) -> Mark {
    let unread = (!report.gaps.is_empty()).then_some(Mark::Unknown);
    // What lies below the severities of a part is no good news either.
    let worst = report.part.as_ref().and_then(|part| part.worst).filter(|worst| *worst > Severity::Info);
    let worst = worst.map(|worst| Mark::of_severity(worst.name()));
    // A cluster without any of the namespaces of a part takes nothing from what the others tell.
    let concerned = report.digests.iter().filter(|d| !d.is_of_nothing);
    let worst = concerned.map(mark_of_cluster).chain(unread).chain(worst).min();
    worst.unwrap_or(Mark::Unknown)
}

fn mark_of_cluster(d: &Digest) -> Mark {
    match d.found {
        Found { critical: 1.., .. } => Mark::Critical,
        Found { warning: 1.., .. } => Mark::Warning,
        _ if !is_known(d) || !d.not_checked.is_empty() => Mark::Unknown,
        _ => Mark::Good,
    }
}

/// Of a fleet its clusters, the worst first.
fn clusters(report: &DigestReport, teller: &Teller<'_>) -> Vec<(Mark, String, String)> {
    // What is to be said of each is said already.
    if report.digests.len() < 2 || report.digests.iter().all(|d| d.is_of_nothing && d.last_run.is_some()) {
        return Vec::new();
    }
    let mut all: Vec<&Digest> = report.digests.iter().collect();
    all.sort_by_key(|d| (mark_of_cluster(d), std::cmp::Reverse(d.found)));
    let told = |d: &Digest| match d.last_run {
        Some(_) if d.is_of_nothing => teller.say.w("digest-no-namespace").to_owned(),
        Some(_) => {
            let severities = teller.severities(d.found_before, d.found);
            teller.place(d).1.into_iter().chain([severities]).collect::<Vec<_>>().join(teller.say.w("list"))
        }
        None => teller.say.w("digest-no-run-at-all").to_owned(),
    };
    all.into_iter().take(MOST_CLUSTERS).map(|d| (mark_of_cluster(d), d.cluster.clone(), told(d))).collect()
}

/// What of the history cannot be read.
fn gaps(report: &DigestReport, teller: &Teller<'_>) -> Group {
    let line = |gap: &Gap| Line {
        mark: Some(Mark::Unknown),
        subject: gap.scope.clone(),
        colon: teller.words.colon,
        text: teller.say.locale.gap(gap),
        ..Line::default()
    };
    let title = teller.say.w("not-checked").to_owned();
    Group { title, lines: report.gaps.iter().map(line).collect(), most: 4, ..Group::default() }
}

/// The lists of all clusters as one each: what is loud, the worst or the oldest first. Where runs found nothing at any time,
/// that is said.
fn lists(report: &DigestReport, teller: &Teller<'_>) -> Vec<Group> {
    let all = super::LISTS.iter().map(|(key, of)| list(key, *of, report, teller));
    let told: Vec<Group> = all.filter(is_filled).collect();
    if !told.is_empty() || !report.digests.iter().any(is_known) {
        return told;
    }
    let nothing = Line { text: teller.nothing().to_owned(), ..Line::default() };
    let title = teller.say.w("problems").to_owned();
    vec![Group { title, lines: vec![nothing], most: 1, ..Group::default() }]
}

fn list(key: &'static str, of: fn(&Digest) -> &[Told], report: &DigestReport, teller: &Teller<'_>) -> Group {
    let of_cluster = |d| of(d).iter().map(move |told| (told, d));
    let mut told: Vec<(&Told, &Digest)> = report.digests.iter().flat_map(of_cluster).collect();
    let all = told.len();
    told.retain(|(t, _)| t.kept.severity > Severity::Info);
    // The sorts are stable: else each cluster keeps its order.
    if key == "digest-open" {
        told.sort_by_key(|(t, _)| t.kept.first);
    } else {
        told.sort_by_key(|(t, _)| std::cmp::Reverse(t.kept.severity));
    }
    let lines: Vec<Line> = told.iter().map(|(t, d)| line(key, teller.row(t, d), teller.words)).collect();
    Group {
        title: format!("{}{}{all}", teller.say.w(key), teller.words.colon),
        more: all - lines.len(),
        lines,
        most: MOST_LINES,
        ..Group::default()
    }
}

fn line(list: &str, row: Row, words: Words) -> Line {
    let mark = match (list, row.severity) {
        ("digest-resolved", _) => Mark::Good,
        ("digest-not-checked", _) => Mark::Unknown,
        (_, severity) => Mark::of_severity(severity.name()),
    };
    Line {
        mark: Some(mark),
        label: row.severity_word.to_owned(),
        what: row.check.to_owned(),
        subject: row.subject,
        colon: words.colon,
        text: format!("{}{}{}", row.summary, words.semicolon, row.when),
        command: None,
    }
}

/// Containers whose headroom shrinks: each row as a line, its values under their headers.
fn trends(table: Table, words: Words) -> Group {
    let line = |row: &Vec<String>| {
        let values = table.headers.iter().zip(row).skip(1);
        let values: Vec<String> =
            values.map(|(header, cell)| format!("{header}{}{cell}", words.colon)).collect();
        Line {
            subject: row.first().cloned().unwrap_or_default(),
            colon: words.colon,
            text: values.join(words.semicolon),
            ..Line::default()
        }
    };
    Group { title: table.title.to_owned(), lines: table.rows.iter().map(line).collect(), ..Group::default() }
}
