//! JUnit XML by a template, `templates/report.xml`: a suite a check.
//!
//! | in the report | is |
//! | --- | --- |
//! | critical or warning finding | test case with a `failure` whose type is the severity |
//! | info finding | test case that passes, with the sentence in `system-out` |
//! | subjects in order | one test case that passes |
//! | unknown subjects, by reason | one skipped test case a reason |
//! | gap | skipped test case of the suite `gaps` |
//! | version of the program | property `healthcheck.version` of each suite, for programs that keep suites apart |

use healthcore::finding::{Finding, Severity};
use healthcore::report::{CheckTally, Report};
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use crate::locale::Locale;
use crate::{RenderError, RenderOptions, escape};

const NAME: &str = "report.xml";

#[derive(Default, Serialize)]
struct Suite {
    name: &'static str,
    tests: usize,
    failures: usize,
    skipped: usize,
    cases: Vec<Case>,
}

#[derive(Default, Serialize)]
struct Case {
    name: String,
    /// Severity and sentence of a failure.
    failure: Option<(&'static str, String)>,
    skipped: Option<String>,
    /// Evidence of a failure, the sentence of an info finding.
    text: String,
}

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    let wrong = |e: minijinja::Error| RenderError::Template { name: NAME.to_owned(), why: format!("{e:#}") };
    escape::write_markup(&mut env);
    env.add_template(NAME, include_str!("../templates/report.xml")).map_err(wrong)?;
    let locale = Locale::of_data(options);
    let mut suites: Vec<Suite> = report.checks.iter().map(|c| suite(c, report, &locale)).collect();
    suites.push(gaps(report, &locale));
    let total = |count: fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>();
    let context = context! {
        tests => total(|s| s.tests), failures => total(|s| s.failures), skipped => total(|s| s.skipped),
        taken_at => crate::quantity::rfc3339_without_zone(report.taken_at),
        version => report.version.as_str(),
        suites => minijinja::Value::from(minijinja::value::Serde(&suites)),
    };
    env.get_template(NAME).and_then(|t| t.render(context)).map_err(wrong)
}

fn suite(check: &CheckTally, report: &Report, locale: &Locale) -> Suite {
    let findings = report.findings.iter().filter(|f| f.check == check.id).map(|f| finding(f, locale));
    let in_order = (check.tally.ok > 0).then(|| Case {
        name: locale.phrase("in-order", &[("n", check.tally.ok.into())]),
        ..Case::default()
    });
    let unknown = check.tally.reasons.iter().map(|(why, n)| {
        let why = locale.missing(why);
        Case {
            name: locale.phrase("subjects-unknown", &[("n", (*n).into()), ("why", why.as_str().into())]),
            skipped: Some(why),
            ..Case::default()
        }
    });
    counted(check.id, findings.chain(in_order).chain(unknown).collect())
}

fn gaps(report: &Report, locale: &Locale) -> Suite {
    let case = |g: &healthcore::snapshot::Gap| Case {
        name: format!("{}{}{}", g.scope, locale.w("colon"), locale.cause(g.cause)),
        skipped: Some(locale.gap(g)),
        ..Case::default()
    };
    counted("gaps", report.gaps.iter().map(case).collect())
}

fn counted(name: &'static str, cases: Vec<Case>) -> Suite {
    let count = |what: fn(&Case) -> bool| cases.iter().filter(|c| what(c)).count();
    Suite {
        name,
        tests: cases.len(),
        failures: count(|c| c.failure.is_some()),
        skipped: count(|c| c.skipped.is_some()),
        cases,
    }
}

fn finding(f: &Finding, locale: &Locale) -> Case {
    let s = &f.subject;
    let parts = [&s.cluster, &s.namespace, &s.kind, &s.name];
    let mut name = parts.iter().filter(|p| !p.is_empty()).map(|p| p.as_str()).collect::<Vec<_>>().join("/");
    if let Some(container) = &s.container {
        name.push_str(&format!(" [{container}]"));
    }
    let summary = locale.sentence(&f.check, &f.summary);
    if f.severity == Severity::Info {
        return Case { name, text: summary, ..Case::default() };
    }
    let mut lines: Vec<String> = f
        .evidence
        .iter()
        .map(|e| format!("{}{}{}", locale.evidence(&e.name), locale.w("colon"), locale.show(&e.value)))
        .collect();
    lines.extend(f.advice.iter().map(|a| locale.sentence(&f.check, &a.text)));
    Case {
        name,
        failure: Some((f.severity.name(), summary)),
        text: lines.join(locale.w("semicolon")),
        ..Case::default()
    }
}
