//! The JSON contract of digests; `schema/digest-1.json` describes it.

use std::collections::BTreeSet;

use healthcore::history::{Digest, PastScore, Told};
use serde::Serialize;

use super::DigestReport;
use crate::json::{
    Counts, JsonFormat, JsonGap, JsonPart, JsonPastScore, JsonSubject, JsonTrend, Scalar, Tool, number,
    pretty, subject,
};
use crate::locale::Locale;
use crate::quantity::rfc3339;
use crate::{RenderError, RenderOptions, escape};

#[derive(Debug, Serialize)]
struct JsonDigest {
    format: JsonFormat,
    tool: Tool,
    start: String,
    end: String,
    lang: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<JsonPart>,
    clusters: Vec<Cluster>,
    gaps: Vec<JsonGap>,
}

#[derive(Debug, Serialize)]
struct Cluster {
    name: String,
    runs: usize,
    last_run: Option<String>,
    before: Option<String>,
    longest_silence_s: Scalar,
    findings_before: Counts,
    findings: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_before: Option<JsonPastScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<JsonPastScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_lowest: Option<Lowest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    namespaces: Vec<Namespace>,
    new: Vec<Entry>,
    resolved: Vec<Entry>,
    flapping: Vec<Entry>,
    open: Vec<Entry>,
    not_checked: Vec<Entry>,
    trends: Vec<JsonTrend>,
}

#[derive(Debug, Serialize)]
struct Lowest {
    at: String,
    score: JsonPastScore,
}

#[derive(Debug, Serialize)]
struct Namespace {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    score_before: Option<JsonPastScore>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<JsonPastScore>,
}

#[derive(Debug, Serialize)]
struct Entry {
    check: String,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_before: Option<&'static str>,
    subject: JsonSubject,
    summary: String,
    since: String,
    last_seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
    changes: usize,
    fingerprint: String,
}

pub(super) fn render(report: &DigestReport, options: &RenderOptions) -> Result<String, RenderError> {
    let locale = Locale::of_data(options);
    pretty(&told(report, &locale)).map(escape::json).map_err(|why| RenderError::Data { format: "json", why })
}

/// The values of a digest, its sentences in the words of a language.
pub(crate) fn told(report: &DigestReport, locale: &Locale) -> impl Serialize {
    JsonDigest {
        format: JsonFormat { name: "healthcheck-digest", major: 1, minor: 2 },
        tool: Tool { version: report.version.clone() },
        start: rfc3339(report.start),
        end: rfc3339(report.end),
        lang: locale.lang.tag(),
        part: report.part.as_ref().map(JsonPart::from),
        clusters: report.digests.iter().map(|d| cluster(d, locale)).collect(),
        gaps: report.gaps.iter().map(|g| JsonGap::new(g, locale)).collect(),
    }
}

fn cluster(d: &Digest, locale: &Locale) -> Cluster {
    let entries = |told: &[Told]| told.iter().map(|t| entry(t, locale)).collect();
    Cluster {
        name: d.cluster.clone(),
        runs: d.runs,
        last_run: d.last_run.map(rfc3339),
        before: d.before.map(rfc3339),
        longest_silence_s: number(d.longest_silence_s),
        findings_before: Counts::from(d.found_before),
        findings: Counts::from(d.found),
        score_before: d.scores_before.cluster.map(JsonPastScore::from),
        score: d.scores.cluster.map(JsonPastScore::from),
        score_lowest: d.lowest_score.map(|(at, score)| Lowest { at: rfc3339(at), score: score.into() }),
        namespaces: namespaces(d),
        new: entries(&d.new),
        resolved: entries(&d.resolved),
        flapping: entries(&d.flapping),
        open: entries(&d.open),
        not_checked: entries(&d.not_checked),
        trends: d.trends.iter().map(JsonTrend::from).collect(),
    }
}

fn namespaces(d: &Digest) -> Vec<Namespace> {
    let (before, now) = (&d.scores_before.namespaces, &d.scores.namespaces);
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let score = |score: Option<&PastScore>| score.copied().map(JsonPastScore::from);
    let of = |name: &String| Namespace {
        name: name.clone(),
        score_before: score(before.get(name)),
        score: score(now.get(name)),
    };
    names.into_iter().map(of).collect()
}

fn entry(told: &Told, locale: &Locale) -> Entry {
    let kept = &told.kept;
    Entry {
        check: kept.check.clone(),
        severity: kept.severity.name(),
        severity_before: told.severity_before.map(|s| s.name()),
        subject: subject(&kept.subject),
        summary: locale.sentence(&kept.check, &kept.summary),
        since: rfc3339(kept.first),
        last_seen: rfc3339(kept.last),
        gone: told.gone.map(rfc3339),
        changes: told.changes,
        fingerprint: kept.fingerprint.clone(),
    }
}
