//! One HTML file that needs nothing else: no network, and no script to be read. Scripts make it handier (filter, sort,
//! search, theme). Its content policy allows the one style and the one script of this file by their hashes and nothing else,
//! so that a name that slipped through as markup could still do nothing.

use std::collections::{BTreeMap, BTreeSet};

use healthcore::facts::ContainerFacts;
use healthcore::finding::{Finding, Severity, SubjectRef};
use healthcore::report::{Found, NamespaceSummary, Report};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use crate::page::{DetailFinding, Page, Reader, Say};
use crate::quantity::percent;
use crate::svg::{self, Chart};
use crate::words::{self, word};
use crate::{RenderError, RenderOptions, escape};

const NAME: &str = "report.html";
const STYLE: &str = include_str!("../templates/report.css");
const SCRIPT: &str = include_str!("../templates/report.js");
/// SHA-256 of style and script as a content policy has it; a test compares.
const STYLE_HASH: &str = "sha256-4TaHH5vbnqmi5FI4kQVAT+qsicN3saRXiLpSFIOvMkU=";
const SCRIPT_HASH: &str = "sha256-F950aXtSzI3bNBs1zr/5LJb1Eq86iCVadCrxiYDHKVU=";

/// Findings that are open when the page is.
const MOST_OPEN: usize = 3;
/// Squares of one namespace in the heat map: those with the least headroom.
const MOST_SQUARES: usize = 60;

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let lang = options.lang;
    let wrong = |e: minijinja::Error| RenderError::Template { name: NAME.to_owned(), why: format!("{e:#}") };
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let whitespace = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(wrong)?;
    env.set_syntax(whitespace);
    escape::write_markup(&mut env);
    env.add_template(NAME, include_str!("../templates/report.html")).map_err(wrong)?;
    let html = Html::new(report, options);
    let context = context! {
        w => words::all(lang),
        lang => lang.tag(),
        page => minijinja::Value::from(minijinja::value::Serde(&Page::new(report, options, Reader::Kept))),
        html => minijinja::Value::from(minijinja::value::Serde(&html)),
        style => STYLE, script => SCRIPT, style_hash => STYLE_HASH, script_hash => SCRIPT_HASH,
    };
    env.get_template(NAME).and_then(|t| t.render(context)).map_err(wrong)
}

/// What the page has beyond that of other formats.
#[derive(Debug, Serialize)]
struct Html {
    many_clusters: bool,
    counts: Vec<Count>,
    /// Verdict of each cluster, its id and its words, in the order of the clusters.
    statuses: Vec<(&'static str, &'static str)>,
    places: Vec<Place>,
    findings: Vec<Card>,
    /// Choices of the filters: value and words.
    checks: Vec<(String, &'static str)>,
    clusters: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    heat: Vec<HeatRow>,
}

#[derive(Debug, Serialize)]
struct Count {
    id: &'static str,
    words: &'static str,
    n: usize,
}

/// A cluster or a namespace of it.
#[derive(Debug, Serialize)]
struct Place {
    cluster: String,
    namespace: String,
    verdict_id: &'static str,
    verdict: &'static str,
    critical: u64,
    warning: u64,
    info: u64,
    containers: u64,
    score: String,
}

#[derive(Debug, Serialize)]
struct Card {
    id: String,
    open: bool,
    severity_id: &'static str,
    check_id: String,
    cluster: String,
    namespace: String,
    subject: String,
    /// Kept empty where there is but one class.
    class: String,
    detail: DetailFinding,
    state: Option<&'static str>,
    advice: Vec<(String, Option<String>)>,
    chart: Option<Chart>,
}

#[derive(Debug, Serialize)]
struct HeatRow {
    cluster: String,
    namespace: String,
    squares: Vec<Square>,
    more: usize,
}

#[derive(Debug, Serialize)]
struct Square {
    level: &'static str,
    share: String,
    subject: String,
    /// Shown where it is nearly full.
    name: Option<String>,
    /// The card of its first finding.
    finding: Option<String>,
}

impl Html {
    fn new(report: &Report, options: &RenderOptions) -> Self {
        let say = Say::new(report, options);
        let ids: BTreeSet<&str> = report.findings.iter().map(|f| &*f.check).collect();
        let of = |f: &Finding| (f.subject.cluster.clone(), f.subject.namespace.clone());
        let (clusters, namespaces) = report.findings.iter().map(of).unzip();
        Self {
            many_clusters: report.clusters.len() > 1,
            counts: [Severity::Critical, Severity::Warning, Severity::Info]
                .map(|s| Count { id: s.name(), words: word(options.lang, s.name()), n: report.count(s) })
                .into(),
            statuses: report.clusters.iter().map(|c| c.verdict().name()).map(|id| (id, say.w(id))).collect(),
            places: places(report, &say),
            findings: report.findings.iter().enumerate().map(|(i, f)| card(i, f, &say)).collect(),
            checks: ids.into_iter().map(|id| (id.to_owned(), say.locale.title(id))).collect(),
            clusters,
            namespaces,
            heat: heat(report, &say),
        }
    }
}

fn card_id(index: usize) -> String {
    format!("f{}", index + 1)
}

fn card(index: usize, f: &Finding, say: &Say) -> Card {
    let id = card_id(index);
    let subject = say.subject(&f.subject);
    let check = say.locale.title(&f.check);
    let advice = f.advice.iter().map(|a| (say.locale.sentence(&f.check, &a.text), a.command.clone()));
    let title = format!("{check}{}{}", say.w("colon"), f.subject.pod.as_deref().unwrap_or(&subject));
    Card {
        open: index < MOST_OPEN && f.severity == Severity::Critical,
        severity_id: f.severity.name(),
        check_id: f.check.to_string(),
        cluster: f.subject.cluster.clone(),
        namespace: f.subject.namespace.clone(),
        class: say.class(f),
        detail: say.detail_finding(f),
        state: f.state.map(|state| say.state(state)),
        advice: advice.collect(),
        chart: f.series.as_ref().and_then(|s| svg::draw(s, &format!("c{}", index + 1), &title, &say.locale)),
        subject,
        id,
    }
}

/// Namespaces, and what is in none, those in trouble first.
fn places(report: &Report, say: &Say) -> Vec<Place> {
    type Counts<'r> = (Found, u64, Option<&'r NamespaceSummary>);
    let mut by_place: BTreeMap<(&str, &str), Counts<'_>> = BTreeMap::new();
    for c in &report.clusters {
        let own = c
            .namespaces
            .iter()
            .map(|n| ((c.name.as_str(), n.name.as_str()), (n.found, n.tally.containers, Some(n))));
        by_place.extend(own);
        let outside =
            report.findings.iter().filter(|f| f.subject.cluster == c.name && f.subject.namespace.is_empty());
        let found = Found::of(outside.map(|f| f.severity));
        if found != Found::default() {
            by_place.insert((&c.name, ""), (found, 0, None));
        }
    }
    for fact in &report.facts {
        by_place.entry((&fact.subject.cluster, &fact.subject.namespace)).or_default();
    }
    let mut places: Vec<Place> = by_place
        .into_iter()
        .map(|((cluster, namespace), (found, containers, summary))| {
            let blind_cluster = report.clusters.iter().any(|c| c.name == cluster && c.is_blind());
            // What is unknown elsewhere in the cluster says nothing of a namespace that was judged as a whole.
            let blind = match summary {
                Some(n) => say.graded(n.score.as_ref()).is_none() || (blind_cluster && n.tally.unknown > 0),
                None => blind_cluster,
            };
            let verdict_id = match found {
                Found { critical: 1.., .. } => "critical",
                Found { warning: 1.., .. } => "degraded",
                _ if blind => "unknown",
                _ => "healthy",
            };
            let found = found.at_least(report.floor());
            Place {
                cluster: cluster.to_owned(),
                namespace: namespace.to_owned(),
                verdict_id,
                verdict: say.w(verdict_id),
                critical: found.critical,
                warning: found.warning,
                info: found.info,
                containers,
                score: say.compared(report, cluster, Some(namespace), summary.and_then(|n| n.score.as_ref())),
            }
        })
        .collect();
    // The sort is stable: by name within the same counts.
    places.sort_by_key(|p| std::cmp::Reverse((p.critical, p.warning, p.info)));
    places
}

/// Memory now as a share of the limit, a square a container.
fn heat(report: &Report, say: &Say) -> Vec<HeatRow> {
    type Containers<'f> = Vec<(Option<f64>, &'f ContainerFacts)>;
    let mut rows: BTreeMap<(&str, &str), Containers<'_>> = BTreeMap::new();
    for fact in report.facts.iter().filter(|f| f.live_pods > 0) {
        let place = (fact.subject.cluster.as_str(), fact.subject.namespace.as_str());
        rows.entry(place).or_default().push((fact.memory_of_limit(), fact));
    }
    let container = |s: &SubjectRef| SubjectRef { pod: None, ..s.clone() };
    let mut found: BTreeMap<SubjectRef, usize> = BTreeMap::new();
    for (i, finding) in report.findings.iter().enumerate() {
        found.entry(container(&finding.subject)).or_insert(i);
    }
    let square = |(share, fact): (Option<f64>, &ContainerFacts)| {
        let limit = fact.resources.memory_limit.is_some_and(|l| l.get() > 0.0);
        let (level, words) = match share {
            Some(share) => (level(share), percent(share)),
            None if limit => ("blank", say.w("no-data").to_owned()),
            None => ("blank", say.w("no-limit").to_owned()),
        };
        Square {
            level,
            share: words,
            subject: say.subject(&fact.subject),
            name: (level == "h4").then(|| fact.subject.name.clone()),
            finding: found.get(&container(&fact.subject)).map(|i| card_id(*i)),
        }
    };
    let row = |((cluster, namespace), mut containers): ((&str, &str), Containers<'_>)| {
        containers.sort_by(|a, b| b.0.unwrap_or(-1.0).total_cmp(&a.0.unwrap_or(-1.0)));
        let more = containers.len().saturating_sub(MOST_SQUARES);
        HeatRow {
            cluster: cluster.to_owned(),
            namespace: namespace.to_owned(),
            squares: containers.into_iter().take(MOST_SQUARES).map(square).collect(),
            more,
        }
    };
    rows.into_iter().map(row).collect()
}

/// The bounds of `memory-usage` and of `memory-overprovisioned`.
fn level(share: f64) -> &'static str {
    match share {
        s if s > 0.85 => "h4",
        s if s >= 0.70 => "h3",
        s if s >= 0.30 => "h2",
        _ => "h1",
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use healthcore::checks::CHECKS;
    use healthcore::fixture::Fixture;
    use healthcore::report::ClusterSummary;
    use healthcore::settings::Settings;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_knows_style_and_script() {
        let hash = |text: &str| {
            format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text)))
        };
        assert_eq!((hash(STYLE), hash(SCRIPT)), (STYLE_HASH.to_owned(), SCRIPT_HASH.to_owned()));
    }

    /// A thousand findings with curves that no two points of are the same.
    #[test]
    fn a_thousand_findings_stay_below_5_mb() {
        let only = ["memory-usage", "memory-underprovisioned"].map(Into::into);
        let settings = Settings { only: only.into(), ..Settings::default() };
        let checks = settings.resolve(CHECKS).unwrap();
        let text: String = (0..500)
            .map(|i| {
                let memory: Vec<String> = (0..168).map(|h| format!("{}", 70 + (h * 37 + i) % 25)).collect();
                format!(
                    "container shop-{}/app-{i}-0/app request=100Mi limit=100Mi cpu-request=1  memory: {}\n",
                    i % 20,
                    memory.join(" ")
                )
            })
            .collect();
        let fixture = Fixture::new(&format!("window lookback=7d step=1h\n{text}"));
        let mut assessment = fixture.assess(&checks);
        assessment.findings.truncate(1000);
        let summary = ClusterSummary { name: assessment.cluster.clone(), ..ClusterSummary::default() };
        let window = fixture.snapshot.window;
        let report = Report::new("0", window.end(), window, vec![(summary, assessment)], vec![], CHECKS);
        let page = render(&report, &RenderOptions::default()).unwrap();
        assert_eq!(page.matches("<svg").count(), 1000);
        assert!(page.len() < 5_000_000, "{} bytes", page.len());
    }

    #[test]
    fn nothing_is_asked_of_the_network() {
        for text in [STYLE, SCRIPT, include_str!("../templates/report.html")] {
            assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("url("));
            assert!(!text.contains("style=") && !text.contains("onclick"), "the policy would refuse it");
        }
    }
}
