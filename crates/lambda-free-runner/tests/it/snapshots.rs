//! Every format of every fixture, as people and programs see it.

use healthcore::finding::{Severity, State};
use healthcore::history::{Changes, PastScore, Scores};
use healthcore::report::Report;
use healthcore::score::Score;
use healthcore_report::{Format, Lang, RenderOptions, Template, render};
use lambda_free_runner::{Input, RunSpec, Silent, run_once};
use serde_json::Value;

use crate::{english, fixtures, formats};

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
        for lang in Lang::ALL {
            every_format(&name, &report, *lang, &open, &closed);
        }
        no_english(&name, &report);
        same_but_for_words(&name, &report);
    }
}

/// A report in Chinese says nothing in English but names and what other systems said.
fn no_english(name: &str, report: &Report) {
    let known = english::words_of(&fixtures().join(name));
    let options = RenderOptions { lang: Lang::ZhTw, ..RenderOptions::default() };
    for format in Format::ALL {
        let text = render(report, *format, &options).unwrap();
        english::none_in(&text, *format, &known, &format!("{name}.{}", format.name()));
    }
}

/// Looks at every format as its readers do, and keeps a picture of it.
fn every_format(
    name: &str,
    report: &Report,
    lang: Lang,
    open: &jsonschema::Validator,
    closed: &jsonschema::Validator,
) {
    let options = RenderOptions { lang, ..RenderOptions::default() };
    for format in Format::ALL {
        let text = render(report, *format, &options).unwrap();
        // Every row of a table tells it; one without rows cannot.
        let is_empty = *format == Format::Csv && text.lines().count() == 1;
        assert!(is_empty || text.contains(&report.version), "{name}.{}: no version", format.name());
        match format {
            Format::Json => {
                let mut value: Value = serde_json::from_str(&text).unwrap();
                fits(closed, &value, name);
                later(&mut value, "");
                value["format"]["minor"] = 99.into();
                fits(open, &value, &format!("{name} by a later minor version"));
            }
            Format::Yaml => {
                let json = render(report, Format::Json, &options).unwrap();
                formats::yaml(&text, &serde_json::from_str(&json).unwrap(), name);
            }
            Format::Html => formats::html(&text, report, name),
            Format::Csv => formats::csv(&text, report, name),
            Format::Junit => formats::junit(&text, report, name),
            Format::Sarif => formats::sarif(&text, report, name),
            Format::OpenMetrics => formats::openmetrics(&text, name),
            Format::Slack => formats::slack(&text, name),
            _ => {}
        }
        assert!(
            !text.contains('\u{1b}') && !text.contains('\0') && !text.contains('\u{202e}'),
            "{name}.{}",
            format.name()
        );
        let shown = match is_long(*format, lang, name) {
            true => outline(*format, &text),
            false => text,
        };
        let language = if lang == Lang::En { String::new() } else { format!(".{}", lang.tag()) };
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
            insta::assert_snapshot!(format!("{name}{language}.{}", format.name()), shown);
        });
    }
}

/// What YAML says is held to JSON above, pages are long, and gauges are the same in every language: of most of these the
/// picture is an outline.
fn is_long(format: Format, lang: Lang, name: &str) -> bool {
    match (format, lang) {
        (Format::Yaml, Lang::En) => name != "hostile-names",
        (Format::Html, Lang::En) => !["exchange-oom", "healthy", "hostile-names"].contains(&name),
        (Format::Html, _) => name != "exchange-oom",
        (Format::Yaml | Format::OpenMetrics, lang) => lang != Lang::En,
        _ => false,
    }
}

/// Of a page its title, headings, heads of tables, status of places, and the line of each finding, as text; of other formats
/// the number of lines and the first of them.
fn outline(format: Format, text: &str) -> String {
    const FIRST: usize = 30;
    if format != Format::Html {
        let first: Vec<&str> = text.lines().take(FIRST).collect();
        return format!("{} lines\n{}", text.lines().count(), first.join("\n"));
    }
    let told = ["<title>", "<h1", "<h2", "<h3", "<p class=\"lead", "<thead", "<summary", "<p class=\"fine"];
    let is_told = |line: &&str| {
        let line = line.trim_start();
        told.iter().any(|tag| line.contains(tag)) || line.contains("<tr>") && line.contains("class=\"pill ")
    };
    let lines = text.lines().filter(is_told).map(|line| {
        // A tag is a space; the rest is text.
        let words = line.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
        words.filter(|word| !word.trim().is_empty()).map(str::trim).collect::<Vec<_>>().join(" | ")
    });
    let charts = text.matches("<svg").count();
    format!("{charts} charts\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Numbers, ids and order are the same in every language; only words differ.
#[track_caller]
fn same_but_for_words(name: &str, report: &Report) {
    let told = |lang| {
        let options = RenderOptions { lang, ..RenderOptions::default() };
        let json = render(report, Format::Json, &options).unwrap();
        let mut value: Value = serde_json::from_str(&json).unwrap();
        without_words(&mut value, "");
        value
    };
    for lang in Lang::ALL {
        assert_eq!(told(Lang::En), told(*lang), "{name} in {}", lang.tag());
        let gauges = |lang| {
            render(report, Format::OpenMetrics, &RenderOptions { lang, ..RenderOptions::default() }).unwrap()
        };
        assert_eq!(gauges(Lang::En), gauges(*lang), "{name} in {}", lang.tag());
    }
}

/// Leaves out what is said in words: sentences, details of gaps, reasons, and values that are texts.
fn without_words(value: &mut Value, key: &str) {
    match value {
        Value::Object(fields) => {
            if key == "reasons" {
                // Reasons are words; how many subjects have one is not.
                let mut counts: Vec<u64> = fields.values().filter_map(Value::as_u64).collect();
                counts.sort_unstable();
                *value = counts.into();
                return;
            }
            let is_text = fields.get("unit").is_some_and(|unit| unit == "text");
            let is_word = |key: &str| {
                matches!(key, "summary" | "text" | "detail" | "lang" | "reason" | "pods_state")
                    || is_text && key == "value"
            };
            fields.retain(|key, _| !is_word(key));
            fields.iter_mut().for_each(|(key, value)| without_words(value, key));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_words(item, key)),
        _ => {}
    }
}

/// Whoever gets a part is told so, and what it says of a namespace is what the whole run says.
#[test]
fn a_part_says_that_it_is_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spec = RunSpec::new(Input::Recording(fixtures().join("demo")));
    let whole = runtime.block_on(run_once(&spec, &Silent)).unwrap();
    let part = whole.narrowed(Severity::Critical, &[], &["wallet".to_owned()], &|glob, name| glob == name);
    let wallet = whole.clusters[0].namespaces.iter().find(|n| n.name == "wallet").unwrap();
    // One meaning of the number of containers, in the whole and in the part.
    let own: u64 = whole.clusters[0].namespaces.iter().map(|n| n.tally.containers).sum();
    assert_eq!(whole.clusters[0].containers, own);
    assert_eq!(part.clusters[0].containers, wallet.tally.containers);
    let score = wallet.score.as_ref().unwrap();
    let grade = format!("{} {}", score.grade().unwrap().letter(), score.points);
    let options = RenderOptions::default();
    for format in [Format::Text, Format::Markdown, Format::Html, Format::Slack] {
        let told = |report: &Report| render(report, format, &options).unwrap();
        let text = told(&part);
        let name = format.name();
        assert!(text.contains("Only namespace wallet, critical findings: "), "{name}: {text}");
        assert!(!text.contains(" warning, "), "{name}: warnings are not told, and not counted as none");
        assert!(!text.contains("pigo"), "{name}: a namespace of others");
        assert!(!told(&whole).contains("Only namespace"), "{name}");
    }
    let exposed = |report: &Report| render(report, Format::OpenMetrics, &options).unwrap();
    let info = "healthcheck_part_info{severity=\"critical\",clusters=\"\",namespaces=\"wallet\"} 1\n";
    assert!(
        exposed(&part).contains(info) && !exposed(&whole).contains("healthcheck_part"),
        "{}",
        exposed(&part)
    );
    let json = |report: &Report| -> Value {
        serde_json::from_str(&render(report, Format::Json, &options).unwrap()).unwrap()
    };
    let (own, of_all) = (json(&part), json(&whole));
    fits_schema(&own);
    let chosen = serde_json::json!({"severity": "critical", "clusters": [], "namespaces": ["wallet"]});
    assert_eq!((&own["part"], own["format"]["minor"].as_u64()), (&chosen, Some(5)));
    assert!(of_all.get("part").is_none(), "{}", of_all["part"]);
    let found = |report: &Value| report["clusters"][0]["findings"].clone();
    assert!(found(&of_all)["warning"].as_u64() > Some(0));
    assert_eq!((found(&own)["warning"].as_u64(), found(&own)["info"].as_u64()), (Some(0), Some(0)));
    for format in [Format::Html, Format::Slack] {
        let text = render(&part, format, &options).unwrap();
        assert!(text.contains("Health report of prod/wallet") && text.contains(&grade), "{text}");
    }
}

/// The example of the manual does not call good what nobody could judge.
#[test]
fn the_daily_template_tells_what_is_not_known() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spec = RunSpec::new(Input::Recording(fixtures().join("access-denied")));
    let report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
    let source = include_str!("../../../../docs/templates/daily.md.j2").to_owned();
    let text = Template::new("daily.md.j2", source).unwrap();
    let text = text.render(&report, &RenderOptions::default()).unwrap();
    for told in [
        "# Health report: unknown",
        "Score ? 100 (judged 24.7 %)",
        "What could not be checked: 5\n- prod/payments/",
        "No problem found in what could be judged",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(!text.contains("No problem found."), "{text}");
}

/// Where nothing changed, terminal text and the first message have a line for what is still there; details are elsewhere.
#[test]
fn a_day_without_changes_is_short() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spec = RunSpec::new(Input::Recording(fixtures().join("demo")));
    let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
    report.findings.iter_mut().for_each(|f| f.state = Some(State::Ongoing));
    let before = [("prod".to_owned(), report.taken_at.plus_seconds(-86_400.0))].into();
    report.changes = Some(Changes { before, ..Changes::default() });
    let told = |report: &Report, format| render(report, format, &RenderOptions::default()).unwrap();
    let (detail, advice) = ("memory is at 88.4 % of its limit", "What to do");
    let place = "exchange/deploy/exchange-service [app]";

    let text = told(&report, Format::Text);
    assert!(text.contains(place) && !text.contains(detail) && !text.contains(advice), "{text}");
    assert!(text.lines().count() < 45, "{} lines: {text}", text.lines().count());
    let slack: Value = serde_json::from_str(&told(&report, Format::Slack)).unwrap();
    let (first, thread) = (slack["message"].to_string(), slack["thread"].to_string());
    assert!(first.contains(place) && !first.contains(detail), "{first}");
    assert_eq!(thread.matches(detail).count(), 1, "{thread}");
    assert!(told(&report, Format::Markdown).contains(detail));

    report.findings[0].state = Some(State::New);
    let text = told(&report, Format::Text);
    assert!(text.contains(detail) && text.contains(advice), "what is new is told with all the rest");
}

/// What earlier runs know is told with its day, in the zone of the reader, where people read; what is new is not.
#[test]
fn what_goes_on_is_told_with_its_day() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spec = RunSpec::new(Input::Recording(fixtures().join("demo")));
    let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
    let before = [("prod".to_owned(), report.taken_at.plus_seconds(-86_400.0))].into();
    report.changes = Some(Changes { before, ..Changes::default() });
    for (state, days) in [(State::New, 0.0), (State::Ongoing, 4.3)] {
        report.findings.iter_mut().for_each(|f| {
            f.state = Some(state);
            f.since = Some(report.taken_at.plus_seconds(-86_400.0 * days));
        });
        let told = |format| {
            let zone = "Asia/Taipei".parse().unwrap();
            render(&report, format, &RenderOptions { zone, ..RenderOptions::default() }).unwrap()
        };
        let [text, markdown, slack] = [Format::Text, Format::Markdown, Format::Slack].map(told);
        let known = state == State::Ongoing;
        assert_eq!(text.contains("Memory near the limit  since 16 Nov"), known, "{text}");
        assert_eq!(
            markdown.contains("| Problem | Since |") && markdown.contains(" | 16 Nov |"),
            known,
            "{markdown}"
        );
        assert_eq!(slack.contains("*critical, since 16 Nov*"), known, "{slack}");
    }
}

/// The score of today with the one before it, of the cluster and of each namespace; a part tells only what is its own.
#[test]
fn the_score_is_compared_with_the_run_before() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let spec = RunSpec::new(Input::Recording(fixtures().join("demo")));
    let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
    let graded = |score: &Option<Score>| {
        let score = score.as_ref().unwrap();
        format!("{} {}", score.grade().unwrap().letter(), score.points)
    };
    let now = graded(&report.clusters[0].score);
    let wallet = report.clusters[0].namespaces.iter().find(|n| n.name == "wallet").unwrap();
    let wallet_now = graded(&wallet.score);
    let before = [("prod".to_owned(), report.taken_at.plus_seconds(-86_400.0))].into();
    let score = |points| PastScore { points, confidence: 0.9 };
    let scores = Scores { cluster: Some(score(100)), namespaces: [("wallet".to_owned(), score(91))].into() };
    let scores = [("prod".to_owned(), scores)].into();
    report.changes = Some(Changes { before, scores, ..Changes::default() });
    let told = |report: &Report, format| render(report, format, &RenderOptions::default()).unwrap();

    let (sentence, cell) = (format!("The score is {now}, it was A 100."), format!("{now}, was A 100"));
    let wallet_cell = format!("{wallet_now}, was A 91");
    // In tables the share that was judged stands between.
    for format in [Format::Text, Format::Markdown, Format::Html] {
        let text = told(&report, format);
        for words in [sentence.as_str(), ", was A 100", ", was A 91"] {
            assert!(text.contains(words), "{}: {words}: {text}", format.name());
        }
    }
    let slack = told(&report, Format::Slack);
    assert!(slack.contains(&format!("critical, {cell}")) && slack.contains(&sentence), "{slack}");
    let mail = healthcore_report::Mail::new(&report, &RenderOptions::default());
    assert!(mail.subject.contains(&cell), "{}", mail.subject);
    let zh = RenderOptions { lang: Lang::ZhTw, ..RenderOptions::default() };
    let zh = render(&report, Format::Text, &zh).unwrap();
    assert!(zh.contains(&format!("健康分數為 {now}，先前為 A 100。")), "{zh}");

    let json: Value = serde_json::from_str(&told(&report, Format::Json)).unwrap();
    fits_schema(&json);
    assert_eq!(json["format"]["minor"], 4);
    assert_eq!(
        json["clusters"][0]["score_before"],
        serde_json::json!({"points": 100, "grade": "A", "confidence_ratio": 0.9})
    );

    let part = report.narrowed(Severity::Info, &[], &["wallet".to_owned()], &|glob, name| glob == name);
    let text = told(&part, Format::Slack);
    assert!(text.contains(&wallet_cell) && !text.contains("A 100"), "{text}");

    let same = report.changes.as_mut().unwrap().scores.get_mut("prod").unwrap();
    same.cluster = report.clusters[0].score.as_ref().map(PastScore::from);
    let text = told(&report, Format::Text);
    assert!(
        text.contains(&format!("The score is {now}, as it was.")) && !text.contains("was A 100"),
        "{text}"
    );
}
