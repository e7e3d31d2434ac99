//! SARIF 2.1.0 (OASIS), for code scanning and its viewers.
//!
//! | in the report | is |
//! | --- | --- |
//! | critical, warning, info | level `error`, `warning`, `note` |
//! | check | rule |
//! | subject | logical location, and an artifact `cluster/namespace/kind/name` under `CLUSTERS` |
//! | gap | notification of the invocation, level `warning` |

use healthcore::finding::{Finding, Severity};
use healthcore::report::{CheckTally, Report};
use serde_json::{Value, json};

use crate::locale::Locale;
use crate::quantity::rfc3339;
use crate::{RenderError, RenderOptions, escape, words};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// Where the paths of artifacts begin: clusters are in no folder.
const BASE: &str = "CLUSTERS";

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let locale = &Locale::of_data(options);
    let rules: Vec<Value> = report.checks.iter().map(|c| rule(c, locale)).collect();
    let notifications: Vec<Value> = report
        .gaps
        .iter()
        .map(|g| {
            json!({
                "level": "warning",
                "message": { "text": escape::visible(&format!("{}: {}", g.scope, locale.gap(g))) },
                "descriptor": { "id": g.cause.name() },
            })
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "healthcheck",
                "version": report.version,
                "rules": rules,
            } },
            "invocations": [{
                "executionSuccessful": true,
                "endTimeUtc": rfc3339(report.taken_at),
                "toolExecutionNotifications": notifications,
            }],
            "originalUriBaseIds": { BASE: { "description": { "text": locale.w("clusters-looked-at") } } },
            "language": locale.lang.tag(),
            "columnKind": "unicodeCodePoints",
            "results": report.findings.iter().map(|f| result(f, report, locale)).collect::<Vec<_>>(),
        }],
    });
    let mut text = serde_json::to_string_pretty(&log)
        .map_err(|e| RenderError::Data { format: "sarif", why: e.to_string() })?;
    text.push('\n');
    Ok(escape::json(text))
}

fn rule(check: &CheckTally, locale: &Locale) -> Value {
    let mut rule = json!({ "id": check.id, "shortDescription": { "text": locale.title(check.id) } });
    if let Some((checks, remedy)) = words::rule(locale.lang, check.id) {
        rule["fullDescription"] = json!({ "text": checks });
        rule["help"] = json!({ "text": remedy });
    }
    rule
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn result(f: &Finding, report: &Report, locale: &Locale) -> Value {
    let s = &f.subject;
    let place = [&s.cluster, &s.namespace, &s.kind, &s.name];
    let uri: Vec<String> = place.iter().filter(|p| !p.is_empty()).map(|p| segment(p)).collect();
    let name = place.iter().map(|p| p.as_str()).chain(s.container.as_deref()).collect::<Vec<_>>().join("/");
    let mut lines = vec![locale.sentence(&f.check, &f.summary)];
    lines.extend(f.advice.iter().map(|a| locale.sentence(&f.check, &a.text)));
    let mut result = json!({
        "ruleId": f.check,
        "level": level(f.severity),
        "message": { "text": escape::visible(&lines.join(locale.w("next-sentence"))) },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": uri.join("/"), "uriBaseId": BASE } },
            "logicalLocations": [{
                "name": escape::visible(&s.name),
                "fullyQualifiedName": escape::visible(&name),
                "kind": "resource",
            }],
        }],
        "partialFingerprints": { "healthcheck/v1": f.fingerprint },
        "properties": evidence(f, locale),
    });
    if let Some(index) = report.checks.iter().position(|c| c.id == f.check) {
        result["ruleIndex"] = index.into();
    }
    result
}

/// Evidence as a bag of properties: a text by its name, or where several have one name, all of them in order.
fn evidence(f: &Finding, locale: &Locale) -> serde_json::Map<String, Value> {
    let mut bag: serde_json::Map<String, Value> = serde_json::Map::new();
    for e in &f.evidence {
        let text = Value::from(escape::visible(&locale.show(&e.value)));
        match bag.get_mut(&*e.name) {
            None => drop(bag.insert(e.name.to_string(), text)),
            Some(Value::Array(all)) => all.push(text),
            Some(first) => *first = Value::Array(vec![first.take(), text]),
        }
    }
    bag
}

/// A name as one segment of a path (RFC 3986): all but unreserved characters as octets in hexadecimal.
fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in escape::visible(name).bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_are_all_there() {
        let fixture = healthcore::fixture::findings(
            "quota-near-limit",
            "quota web/team pods=10/10 requests.cpu=95/100 count/secrets=19/20",
        );
        let bag = evidence(&fixture[0], &Locale::of_data(&RenderOptions::default()));
        assert_eq!(bag["resource"], json!(["pods", "requests.cpu", "count/secrets"]));
        assert_eq!(bag["used"].as_array().map(Vec::len), Some(3));
        let one = healthcore::fixture::findings("quota-near-limit", "quota web/team pods=10/10");
        assert_eq!(evidence(&one[0], &Locale::of_data(&RenderOptions::default()))["resource"], json!("pods"));
    }

    #[test]
    fn a_name_is_one_segment() {
        assert_eq!(segment("a/../b é"), "a%2F..%2Fb%20%C3%A9");
    }
}
