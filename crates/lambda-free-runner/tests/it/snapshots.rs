//! Every format of every fixture, as people and programs see it.

use healthcore_report::{Format, RenderOptions, render};
use lambda_free_runner::{Input, RunSpec, Silent, run_once};
use serde_json::Value;

use crate::{fixtures, formats};

/// The JSON schema that the report crate ships.
fn shipped() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../report/schema/report-1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The same without room for fields of later versions: what this version writes is described in full.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(strict);
            if fields.get("type").is_some_and(|t| t == "object") && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        _ => {}
    }
}

/// What a later minor version may write: a new field in every object whose fields have names of the contract.
fn later(report: &mut Value, key: &str) {
    match report {
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(key, value)| later(value, key));
            if key != "reasons" {
                fields.insert("of_a_later_version".to_owned(), "new".into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| later(item, key)),
        _ => {}
    }
}

#[track_caller]
fn fits(schema: &jsonschema::Validator, value: &Value, what: &str) {
    let errors: Vec<String> =
        schema.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}");
}

/// Whether a report of this version is described in full by the schema.
#[track_caller]
pub(crate) fn fits_schema(report: &Value) {
    let mut closed = shipped();
    strict(&mut closed);
    fits(&jsonschema::draft202012::new(&closed).unwrap(), report, "report");
}

#[test]
fn every_format_of_every_fixture() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let open = jsonschema::draft202012::new(&shipped()).unwrap();
    let mut closed = shipped();
    strict(&mut closed);
    let closed = jsonschema::draft202012::new(&closed).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let spec = RunSpec::new(Input::Recording(fixtures().join(&name)));
        let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap_or_else(|e| panic!("{name}: {e}"));
        // The version changes with every release, the reports do not.
        report.version = "0.0.0".to_owned();
        for format in Format::ALL {
            let text = render(&report, *format, &RenderOptions::default()).unwrap();
            match format {
                Format::Json => {
                    let mut value: Value = serde_json::from_str(&text).unwrap();
                    fits(&closed, &value, &name);
                    later(&mut value, "");
                    value["format"]["minor"] = 2.into();
                    fits(&open, &value, &format!("{name} by a later minor version"));
                }
                Format::Yaml => {
                    let json = render(&report, Format::Json, &RenderOptions::default()).unwrap();
                    formats::yaml(&text, &serde_json::from_str(&json).unwrap(), &name);
                }
                Format::Html => formats::html(&text, &report, &name),
                Format::Csv => formats::csv(&text, &report, &name),
                Format::Junit => formats::junit(&text, &report, &name),
                Format::Sarif => formats::sarif(&text, &report, &name),
                Format::OpenMetrics => formats::openmetrics(&text, &name),
                Format::Slack => formats::slack(&text, &name),
                _ => {}
            }
            assert!(
                !text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{202e}'),
                "{name}.{}",
                format.name()
            );
            // What YAML says is held to JSON above, and pages are long: a few pictures of their notation are enough.
            let shown: &[&str] = match format {
                Format::Yaml => &["hostile-names"],
                Format::Html => &["exchange-oom", "healthy", "hostile-names"],
                _ => &[&name],
            };
            if !shown.contains(&name.as_str()) {
                continue;
            }
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}.{}", format.name()), text);
            });
        }
    }
}
