//! Every format of every fixture, as people and programs see it.

use healthcore_report::{Format, RenderOptions, render};
use lambda_free_runner::{Input, RunSpec, Silent, run_once};

use crate::fixtures;

/// The JSON schema that the report crate ships.
fn schema() -> jsonschema::Validator {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../report/schema/report-1.json");
    let schema: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn every_format_of_every_fixture() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let schema = schema();
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
            if *format == Format::Json {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                let errors: Vec<String> =
                    schema.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
                assert!(errors.is_empty(), "{name}: {errors:#?}");
            }
            assert!(
                !text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{202e}'),
                "{name}.{}",
                format.name()
            );
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}.{}", format.name()), text);
            });
        }
    }
}
