//! What the formats of data promise, looked at as their readers do.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use healthcore::finding::Severity;
use healthcore::report::Report;
use serde_json::Value;

use crate::slack_rules;

/// The same values as JSON.
#[track_caller]
pub(crate) fn yaml(text: &str, json: &Value, what: &str) {
    let value: Value = serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(&value, json, "{what}");
}

/// No element but those of the template, one script, each id once, and a card for each finding, whatever the names are.
#[track_caller]
pub(crate) fn html(text: &str, report: &Report, what: &str) {
    const ELEMENTS: &str = " a body br button code dd desc details div dl dt figcaption figure fieldset footer form g h1 h2 \
        h3 head header html input label legend li main meta option output p path pre script section select span strong \
        style summary svg table tbody td text th thead title tr ul ";
    let mut ids = BTreeSet::new();
    let markup = text.split_once("</style>").map_or(text, |(_, rest)| rest);
    let markup = markup.split_once("<script>").map_or(markup, |(body, _)| body);
    for tag in markup.split('<').skip(1) {
        let name: String =
            tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        assert!(ELEMENTS.contains(&format!(" {name} ")), "{what}: <{tag}");
        if let Some(id) = tag.split_once(" id=\"").and_then(|(_, rest)| rest.split('"').next()) {
            assert!(ids.insert(id), "{what}: id {id} twice");
        }
    }
    assert_eq!(text.matches("<script").count(), 1, "{what}");
    assert_eq!(text.matches("<details class=\"finding").count(), report.findings.len(), "{what}");
    let charts = report.findings.iter().filter(|f| f.series.is_some()).count();
    assert_eq!(text.matches("<svg").count(), charts, "{what}");
    assert!(!text.contains("NaN") && !text.contains("{{") && !text.contains("{%"), "{what}");
}

/// As wide in every row, a row for each finding and gap.
#[track_caller]
pub(crate) fn csv(text: &str, report: &Report, what: &str) {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(rows.len(), report.findings.len() + report.gaps.len(), "{what}");
    assert!(rows.iter().all(|r| r.len() == columns), "{what}");
    assert!(rows.iter().flatten().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{what}: a formula");
}

/// Attributes of each element that is written, as `junit-10.xsd` has them. No XSD validator is at hand in Rust: the live suite
/// asks xmllint, and this is what the format's readers take, closed.
const JUNIT: &[(&str, &[&str])] = &[
    ("testsuites", &["name", "time", "tests", "failures", "disabled", "errors"]),
    (
        "testsuite",
        &[
            "name",
            "tests",
            "failures",
            "errors",
            "time",
            "disabled",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
        ],
    ),
    ("properties", &[]),
    ("property", &["name", "value"]),
    ("testcase", &["name", "assertions", "time", "classname", "status"]),
    ("failure", &["type", "message"]),
    ("skipped", &["type", "message"]),
    ("system-out", &[]),
];

/// Elements, attributes and counts as the schema of Jenkins' xUnit plug-in (`junit-10.xsd`) and Surefire have them.
#[track_caller]
pub(crate) fn junit(text: &str, report: &Report, what: &str) {
    let document = roxmltree::Document::parse(text).unwrap_or_else(|e| panic!("{what}: {e}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites", "{what}");
    for element in document.descendants().filter(roxmltree::Node::is_element) {
        let name = element.tag_name().name();
        let known = JUNIT.iter().find(|(n, _)| *n == name).map(|(_, known)| known);
        let known = known.unwrap_or_else(|| panic!("{what}: <{name}>"));
        let unknown = element.attributes().find(|a| !known.contains(&a.name()));
        assert!(unknown.is_none(), "{what}: <{name}> {unknown:?}");
        // As ISO8601_DATETIME_PATTERN of the schema: no zone, whole seconds.
        let time = element.attribute("timestamp").unwrap_or("2026-11-20T01:00:00");
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        assert_eq!(shape, "9999-99-99T99:99:99", "{what}");
    }
    let mut failures = 0;
    for suite in root.children().filter(roxmltree::Node::is_element) {
        assert_eq!(suite.tag_name().name(), "testsuite", "{what}");
        assert!(suite.has_attribute("name"), "{what}");
        let (properties, cases): (Vec<_>, Vec<_>) = suite
            .children()
            .filter(roxmltree::Node::is_element)
            .partition(|part| part.tag_name().name() == "properties");
        let version: Vec<_> =
            properties.iter().flat_map(|p| p.children()).filter_map(|p| p.attribute("value")).collect();
        assert_eq!(version, [report.version.as_str()], "{what}");
        for case in &cases {
            assert_eq!(case.tag_name().name(), "testcase", "{what}");
            assert!(case.has_attribute("name") && case.has_attribute("classname"), "{what}");
            let parts: Vec<_> =
                case.children().filter(roxmltree::Node::is_element).map(|c| c.tag_name().name()).collect();
            assert!(matches!(parts[..], [] | ["failure" | "skipped" | "system-out"]), "{what}: {parts:?}");
        }
        let with = |name: &str| {
            cases.iter().filter(|c| c.children().any(|part| part.tag_name().name() == name)).count()
        };
        for (attribute, count) in [
            ("tests", cases.len()),
            ("failures", with("failure")),
            ("errors", 0),
            ("skipped", with("skipped")),
        ] {
            assert_eq!(suite.attribute(attribute), Some(count.to_string().as_str()), "{what}: {attribute}");
        }
        failures += with("failure");
    }
    let loud = report.findings.iter().filter(|f| f.severity > Severity::Info).count();
    assert_eq!(failures, loud, "{what}");
    assert_eq!(root.attribute("failures"), Some(loud.to_string().as_str()), "{what}");
}

/// Our own closed schema of the parts of SARIF 2.1.0 that are written here. The one of OASIS may not be copied freely: the live
/// suite installs it and asks it.
static SARIF: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = serde_json::from_str(include_str!("sarif-2.1.0.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
});

/// What SARIF 2.1.0 requires of the parts that are written here (OASIS, sections 3.13 to 3.58).
#[track_caller]
pub(crate) fn sarif(text: &str, report: &Report, what: &str) {
    let log: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{what}: {e}"));
    let errors: Vec<String> =
        SARIF.iter_errors(&log).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "{what}: rules are unique");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len(), "{what}");
    for (result, finding) in results.iter().zip(&report.findings) {
        let index = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(rules[index]["id"], result["ruleId"], "{what}");
        let level = match finding.severity {
            Severity::Critical => "error",
            Severity::Warning => "warning",
            _ => "note",
        };
        assert_eq!(result["level"], level, "{what}");
        assert!(!result["message"]["text"].as_str().unwrap().is_empty(), "{what}");
        let artifact = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        assert!(run["originalUriBaseIds"].get(artifact["uriBaseId"].as_str().unwrap()).is_some(), "{what}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
        let uri = artifact["uri"].as_str().unwrap();
        assert!(!uri.is_empty() && uri.chars().all(plain) && !uri.starts_with('/'), "{what}: {uri}");
    }
    let told = &run["invocations"][0]["toolExecutionNotifications"];
    assert_eq!(told.as_array().map(Vec::len), Some(report.gaps.len()), "{what}");
}

/// The text format of Prometheus in the part that it shares with OpenMetrics: every sample stands under its family, and
/// none stands twice, which node_exporter would refuse with the whole file.
#[track_caller]
pub(crate) fn openmetrics(text: &str, what: &str) {
    let mut family = String::new();
    let mut families = BTreeSet::new();
    let mut samples = BTreeSet::new();
    assert!(text.ends_with("\n# EOF\n"), "{what}");
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.strip_suffix(" gauge").unwrap_or_else(|| panic!("{what}: {line}")).to_owned();
            assert!(families.insert(family.clone()), "{what}: {family} twice");
        } else if !line.starts_with("# ") {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{what}: {line}"));
            assert_eq!(series.split('{').next(), Some(family.as_str()), "{what}: {line}");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{what}: {line}");
            assert!(samples.insert(series), "{what}: {series} twice");
            assert_eq!(
                series.replace("\\\\", "").replace("\\\"", "").matches('"').count() % 2,
                0,
                "{what}: {line}"
            );
        }
    }
}

/// Messages within the documented limits, in which no name of another system is markup.
#[track_caller]
pub(crate) fn slack(text: &str, what: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{what}: {e}"));
    let thread = value["thread"].as_array().unwrap();
    for message in std::iter::once(&value["message"]).chain(thread) {
        assert_eq!(slack_rules::broken(message), None, "{what}");
        assert_eq!(slack_rules::calls_somebody(message), None, "{what}");
    }
    assert!(thread.len() <= 10, "{what}");
}
