//! CSV (RFC 4180): a row a finding, then a row a gap.

use healthcore::finding::{Finding, SubjectRef, Value};
use healthcore::report::Report;

use crate::escape::visible;
use crate::json::number;
use crate::locale::Locale;
use crate::quantity::rfc3339;
use crate::{RenderError, RenderOptions};

const COLUMNS: [&str; 17] = [
    "record",
    "severity",
    "check",
    "cluster",
    "namespace",
    "kind",
    "name",
    "pod",
    "container",
    "summary",
    "evidence",
    "advice",
    "command",
    "since",
    "state",
    "fingerprint",
    "version",
];

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    let wrong = |why: String| RenderError::Data { format: "csv", why };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|e| wrong(e.to_string()))?;
    let locale = Locale::of_data(options);
    let findings = report.findings.iter().map(|f| finding(f, &locale));
    let gaps = report.gaps.iter().map(|g| {
        let mut row = vec![String::new(); COLUMNS.len()];
        row[0] = "gap".to_owned();
        row[2] = g.cause.name().to_owned();
        row[9] = format!("{}: {}", g.scope, locale.gap(g));
        row
    });
    for mut row in findings.chain(gaps) {
        // Behind the others: who counts columns finds each where it was. Rows of several runs may be in one table.
        row[COLUMNS.len() - 1].clone_from(&report.version);
        writer.write_record(row.iter().map(|cell| harmless(cell))).map_err(|e| wrong(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| wrong(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| wrong(e.to_string()))
}

fn finding(f: &Finding, locale: &Locale) -> Vec<String> {
    let SubjectRef { cluster, namespace, kind, name, pod, container } = &f.subject;
    let evidence: Vec<String> =
        f.evidence.iter().map(|e| format!("{}={}", e.name, measured(&e.value, locale))).collect();
    let advice: Vec<String> = f.advice.iter().map(|a| locale.sentence(&f.check, &a.text)).collect();
    let commands: Vec<&str> = f.advice.iter().filter_map(|a| a.command.as_deref()).collect();
    vec![
        "finding".to_owned(),
        f.severity.name().to_owned(),
        f.check.to_string(),
        cluster.clone(),
        namespace.clone(),
        kind.clone(),
        name.clone(),
        pod.clone().unwrap_or_default(),
        container.clone().unwrap_or_default(),
        locale.sentence(&f.check, &f.summary),
        evidence.join("; "),
        advice.join("; "),
        commands.join("; "),
        f.since.map(rfc3339).unwrap_or_default(),
        f.state.map_or("", healthcore::finding::State::name).to_owned(),
        f.fingerprint.clone(),
        String::new(),
    ]
}

/// A value for programs, the same in every language: a number with its unit, as JSON has them, and times in UTC.
fn measured(value: &Value, locale: &Locale) -> String {
    let number = || Some(serde_json::to_string(&number(value.number()?)).unwrap_or_default());
    match value {
        Value::Time(at) => rfc3339(*at),
        value => match number() {
            Some(number) if matches!(value.unit(), "count" | "number") => number,
            Some(number) => format!("{number} {}", value.unit()),
            None => locale.show(value),
        },
    }
}

/// A cell that no spreadsheet takes for a formula: a quote stands before what would begin one.
fn harmless(cell: &str) -> String {
    let cell = visible(cell);
    if cell.starts_with(['=', '+', '-', '@']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_for_programs() {
        let chinese = Locale::new(&RenderOptions { lang: crate::Lang::ZhTw, ..RenderOptions::default() });
        for locale in [Locale::default(), chinese] {
            let told = |value: Value| measured(&value, &locale);
            assert_eq!(told(Value::Bytes(1_898_971_136.0)), "1898971136 bytes");
            assert_eq!(told(Value::Ratio(0.884)), "0.884 ratio");
            assert_eq!(told(Value::Count(97)), "97");
            assert_eq!(told(Value::Time(healthcore::time::Timestamp(0))), "1970-01-01T00:00:00Z");
        }
    }

    #[test]
    fn a_name_is_no_formula() {
        let cells = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "a=1", ""].map(harmless);
        assert_eq!(cells, ["'=HYPERLINK(1)", "'+1", "'-1", "'@SUM(A1)", "a=1", ""]);
    }
}
