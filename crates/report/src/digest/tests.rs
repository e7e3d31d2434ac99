use healthcore::finding::{SubjectRef, Text};
use healthcore::history::{DigestBuilder, Headroom, Kept, PastRun, PastScore, Rules, Scores, tell_trends};
use healthcore::phrase::phrase;
use healthcore::snapshot::GapCause;

use super::*;
use crate::{Chat, Lang, Mail, Template, Zone};

fn at(day: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_136_400 + day * 86_400)
}

fn kept(n: u64, severity: Severity, name: &str, first: i64, last: i64) -> Kept {
    Kept {
        fingerprint: format!("{n:016x}"),
        check: "requests-missing".to_owned(),
        severity,
        subject: SubjectRef {
            namespace: "shop".to_owned(),
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
            container: Some("app".to_owned()),
            ..SubjectRef::default()
        },
        summary: Text::new("missing").with("what", phrase("memory-limit")),
        first: at(first),
        last: at(last),
        told: None,
        near: None,
    }
}

/// What these days come to: worst in the middle, and one namespace better than before.
fn scores(day: i64) -> Scores {
    let score = |points| PastScore { points, confidence: 0.98 };
    let points = [72, 72, 72, 70, 49, 60, 64, 64, 64, 64][day as usize];
    let namespaces = [("shop", points), ("web", 84 + 8 * u8::from(day > 5)), ("<b>|`pay`", 100)];
    let namespaces = namespaces.map(|(name, points)| (name.to_owned(), score(points)));
    Scores { cluster: Some(score(points)), namespaces: namespaces.into() }
}

/// Ten days: what is in every list, one thing that is hostile, and a container that fills up.
fn report() -> DigestReport {
    let mut builder = DigestBuilder::new("prod", at(2), at(9), Rules::default());
    for day in 0..10 {
        let mut findings = Vec::new();
        let mut found = |n, severity, name, first| findings.push(kept(n, severity, name, first, day));
        found(1, if day < 5 { Severity::Warning } else { Severity::Critical }, "cart", 0);
        if day < 4 {
            found(2, Severity::Warning, "billing", 0);
        }
        if day > 5 {
            found(3, Severity::Critical, "<b>|`new`\u{202e}", 6);
            found(4, Severity::Info, "quiet", 6);
        }
        if day % 2 == 1 {
            found(5, Severity::Warning, "on-and-off", day);
        }
        findings.push(kept(6, Severity::Warning, "hidden", 0, day.min(7)));
        let subject = SubjectRef { namespace: "shop".into(), name: "cart".into(), ..SubjectRef::default() };
        let memory = Some(600 + 20 * day as u32);
        let headroom = vec![Headroom { subject, memory, cpu: None }];
        builder.add(PastRun {
            cluster: "prod".into(),
            taken_at: at(day),
            findings,
            headroom,
            scores: scores(day),
            checks: vec!["requests-missing".to_owned()],
            ..PastRun::default()
        });
    }
    let mut silent = DigestBuilder::new("old", at(2), at(9), Rules::default());
    silent.add(PastRun { cluster: "old".into(), taken_at: at(0), ..PastRun::default() });
    let said = phrase("gap-history-more").with("place", "history").with("n", 2u64);
    let mut digests = vec![silent.finish(), builder.finish()];
    tell_trends(&mut digests);
    DigestReport {
        version: "0.0.0".to_owned(),
        start: at(2),
        end: at(9),
        digests,
        gaps: vec![Gap::new("prod/history", GapCause::Partial, said)],
        part: None,
    }
}

fn told(format: DigestFormat, lang: Lang) -> String {
    let zone: Zone = if lang == Lang::ZhTw { "Asia/Taipei".parse().unwrap() } else { Zone::default() };
    report().render(format, &RenderOptions { lang, zone, width: 100, ..RenderOptions::default() }).unwrap()
}

#[test]
fn a_digest_in_every_format_and_language() {
    for format in DigestFormat::ALL {
        let name = format.of_reports().name();
        for lang in Lang::ALL {
            let text = told(*format, *lang);
            assert!(!text.contains('\u{202e}') && text.ends_with('\n'), "{name}");
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("digest.{}.{name}", lang.tag()), text);
            });
        }
    }
}

#[test]
fn json_fits_its_schema_and_differs_by_words_only() {
    let mut schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schema/digest-1.json")).unwrap();
    let open = jsonschema::draft202012::new(&schema).unwrap();
    closed(&mut schema);
    let closed = jsonschema::draft202012::new(&schema).unwrap();
    let [en, zh] = [Lang::En, Lang::ZhTw].map(|lang| {
        let mut value: serde_json::Value = serde_json::from_str(&told(DigestFormat::Json, lang)).unwrap();
        let wrong: Vec<String> = closed.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        words(&mut value);
        value
    });
    assert_eq!(en, zh);
    let mut later = en;
    later["clusters"][0]["of_a_later_version"] = 1.into();
    assert!(open.is_valid(&later));
}

/// The example of the manual, with every list, and its mistakes.
#[test]
fn a_template_is_filled_with_the_values_of_the_json_digest() {
    let source = include_str!("../../../../docs/templates/weekly.md.j2");
    let template = Template::new("weekly.md.j2", source.to_owned()).unwrap();
    let zh =
        RenderOptions { lang: Lang::ZhTw, zone: "Asia/Taipei".parse().unwrap(), ..RenderOptions::default() };
    for (lang, options) in [("en", RenderOptions::default()), ("zh-TW", zh)] {
        let text = template.render_digest(&report(), &options).unwrap();
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
            insta::assert_snapshot!(format!("digest.{lang}.template"), text);
        });
    }
    let all = |_: &str, _: &str| true;
    let part = report().narrowed(Severity::Critical, &[], &[], &all);
    let text = template.render_digest(&part, &RenderOptions::default()).unwrap();
    assert!(text.contains("critical") && !text.contains(" warning"), "warnings were not asked for: {text}");

    let of_reports = Template::new("daily.md.j2", "a\n{{ verdict }}".to_owned()).unwrap();
    let why = of_reports.render_digest(&report(), &RenderOptions::default()).unwrap_err().to_string();
    assert!(why.starts_with("template daily.md.j2:2: undefined value: `verdict` is undefined"), "{why}");
}

/// Takes words out of a digest, and leaves what is the same in every language.
fn words(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "summary" | "detail" | "lang") {
                    *value = "words".into();
                }
                words(value);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(words),
        _ => {}
    }
}

/// Allows no field that the schema does not name.
fn closed(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(closed);
            if fields.get("type").is_some_and(|t| t == "object") && fields.contains_key("properties") {
                fields.insert("additionalProperties".to_owned(), false.into());
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

/// Numbers and marks are the same in both languages, and no name from outside is markup.
#[test]
fn cards_and_mails() {
    for lang in Lang::ALL {
        let options = RenderOptions { lang: *lang, ..RenderOptions::default() };
        for chat in Chat::ALL {
            let card = serde_json::to_string_pretty(&report().card(*chat, &options)).unwrap();
            assert!(!card.contains('\u{202e}'), "{chat:?}");
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("digest.{}.{}", lang.tag(), format!("{chat:?}").to_lowercase()), card);
            });
        }
        let Mail { subject, text, html } = report().mail(&options);
        assert!(!html.contains("<b>|") && html.contains("&lt;b&gt;|"), "{html}");
        assert!(text.starts_with(crate::words::word(*lang, "digest-title")), "{text}");
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
            insta::assert_snapshot!(format!("digest.{}.mail", lang.tag()), format!("{subject}\n\n{html}"));
        });
    }
}

#[test]
fn the_only_cluster_is_named_and_what_it_found_is_compared() {
    let mut one = report();
    one.digests.remove(0);
    one.gaps.clear();
    let options = RenderOptions::default();
    assert_eq!(
        one.mail(&options).subject,
        "Health digest (prod), C 72 → D 64: 2 new, 1 resolved, 1 coming and going, 1 open since before, 1 not looked for"
    );
    let message = serde_json::to_string(&one.slack(&options).message).unwrap();
    for part in [
        ":red_circle: Health digest (prod), C 72 → D 64",
        "2026-11-22 01:00 UTC to 2026-11-29 01:00 UTC: 2 new,",
        "Compared with the run of 2026-11-22 01:00 UTC: critical 0 → 2, warning 3 → 1, info 0 → 1.",
        "7 runs, the last at",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    one.digests.clear();
    let message = serde_json::to_string(&one.slack(&options).message).unwrap();
    assert!(message.contains(":white_circle:") && message.contains("No cluster has a run"), "{message}");
}

#[test]
fn a_digest_has_no_page() {
    let why = DigestFormat::try_from(Format::Html).unwrap_err().to_string();
    assert_eq!(why, "expected a format of digests, `text`, `markdown`, `json` or `slack`, got `html`");
    assert_eq!(DigestFormat::try_from(Format::Markdown).ok(), Some(DigestFormat::Markdown));
}

/// Numbers of what no run has looked at would read as good news.
#[test]
fn a_period_without_runs_counts_nothing() {
    let mut silent = report();
    silent.digests.truncate(1);
    silent.gaps.clear();
    for (name, text) in read(&silent, Lang::En) {
        assert!(!text.contains("0 new") && !text.contains("0 → 0"), "{name}: {text}");
        assert!(text.contains("No run in this period."), "{name}: {text}");
    }
    let mut fleet = report();
    fleet.digests[0].found_before.critical = 7;
    let message = serde_json::to_string(&fleet.slack(&RenderOptions::default()).message).unwrap();
    assert!(message.contains("2 clusters: critical 0 → 2"), "nobody looked at the seven: {message}");
}

#[test]
fn nothing_found_is_said() {
    let mut builder = DigestBuilder::new("prod", at(0), at(7), Rules::default());
    (0..8).for_each(|day| builder.add(PastRun { taken_at: at(day), ..PastRun::default() }));
    let report = DigestReport { digests: vec![builder.finish()], gaps: Vec::new(), ..report() };
    let text = report.render(DigestFormat::Text, &RenderOptions::default()).unwrap();
    assert!(text.contains("7 runs") && text.contains("Nothing was found, at any time."), "{text}");
    let message = serde_json::to_string(&report.slack(&RenderOptions::default()).message).unwrap();
    assert!(message.contains(":large_green_circle:") && message.contains("Nothing was found"), "{message}");
    let none = DigestReport { digests: Vec::new(), ..report };
    let text = none.render(DigestFormat::Markdown, &RenderOptions::default()).unwrap();
    assert!(text.contains("No cluster has a run in this period"), "{text}");
}

/// The part of the week for some namespaces, from a severity on.
fn part(floor: Severity, namespaces: &[&str]) -> DigestReport {
    let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
    let mut part = report().narrowed(floor, &["prod".to_owned()], &namespaces, &|glob, name| glob == name);
    part.gaps.retain(|gap| gap.scope == "deliver");
    part
}

/// What people read of a digest, each format with its name.
fn read(part: &DigestReport, lang: Lang) -> Vec<(&'static str, String)> {
    let options = RenderOptions { lang, width: 200, ..RenderOptions::default() };
    let formats = [DigestFormat::Text, DigestFormat::Markdown, DigestFormat::Slack];
    let mut told: Vec<_> =
        formats.iter().map(|f| (f.of_reports().name(), part.render(*f, &options).unwrap())).collect();
    let mail = part.mail(&options);
    told.push(("subject", mail.subject));
    told.push(("mail", mail.text));
    told
}

#[test]
fn a_part_of_a_digest_says_that_it_is_one() {
    for (name, text) in read(&part(Severity::Info, &["shop"]), Lang::En) {
        assert!(text.contains("Only cluster prod, namespace shop: "), "{name}: {text}");
    }
    for (name, text) in read(&part(Severity::Info, &["shop"]), Lang::ZhTw) {
        assert!(text.contains("只含 叢集 prod") && text.contains("命名空間 shop"), "{name}: {text}");
    }
    let subject = part(Severity::Info, &["shop"]).mail(&RenderOptions::default()).subject;
    assert!(subject.starts_with("Health digest (prod/shop), C 72 → D 64: Only "), "{subject}");
    for (name, text) in read(&part(Severity::Critical, &[]), Lang::En) {
        assert!(text.contains("critical findings: "), "{name}: {text}");
        assert!(!text.contains("warning 0") && !text.contains("info 0"), "{name}: {text}");
    }
    assert!(read(&report(), Lang::En).iter().all(|(_, text)| !text.contains("Only cluster")));
}

#[test]
fn a_namespace_that_nothing_is_known_of_is_no_good_news() {
    let nothing = part(Severity::Info, &["nope"]);
    for (name, text) in read(&nothing, Lang::En) {
        assert!(name == "subject" || text.contains("no namespace matches"), "{name}: {text}");
        assert!(text.contains("nope") && !text.contains("at any time"), "{name}: {text}");
        // Slack has it in the notification, too.
        let times = if name == "slack" { 2 } else { 1 };
        assert_eq!(text.matches("Nothing is known of the namespaces").count(), times, "{name}: {text}");
        assert!(!text.contains("0 → 0") && !text.contains("0 new"), "{name}: {text}");
    }
    let message = serde_json::to_string(&nothing.slack(&RenderOptions::default()).message).unwrap();
    assert!(message.contains(":white_circle:") && message.contains("nope"), "{message}");
    let json = nothing.render(DigestFormat::Json, &RenderOptions::default()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut schema: serde_json::Value =
        serde_json::from_str(include_str!("../../schema/digest-1.json")).unwrap();
    closed(&mut schema);
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&json), "{json:#}");
    let chosen = serde_json::json!({"severity": "info", "clusters": ["prod"], "namespaces": ["nope"]});
    assert_eq!((&json["part"], &json["gaps"][0]["cause"]), (&chosen, &"nothing-matches".into()));

    // Two clusters without it say it once, and one beside another takes nothing from what that tells.
    let mut other = nothing.digests[0].clone();
    other.cluster = "other".to_owned();
    let mut fleet = nothing.clone();
    fleet.digests.push(other.clone());
    let message = serde_json::to_string(&fleet.slack(&RenderOptions::default()).message).unwrap();
    assert!(!message.contains("0 → 0") && !message.contains("0 new"), "{message}");
    let blocks = &fleet.slack(&RenderOptions::default()).message;
    let blocks = serde_json::to_value(blocks).unwrap()["blocks"].to_string();
    assert_eq!(blocks.matches("Nothing is known").count(), 1, "{blocks}");
    let mut calm = part(Severity::Info, &["web"]);
    calm.gaps.clear();
    calm.digests[0].is_of_nothing = false;
    calm.digests.push(other.clone());
    let message = serde_json::to_string(&calm.slack(&RenderOptions::default()).message).unwrap();
    let cluster = ":white_circle: *other*";
    assert!(message.contains(":large_green_circle:") && message.contains(cluster), "{message}");

    let mut quiet = part(Severity::Critical, &["web"]);
    quiet.part.as_mut().unwrap().worst = Some(Severity::Warning);
    let text = quiet.render(DigestFormat::Text, &RenderOptions::default()).unwrap();
    assert!(text.contains("No problem found of the severities that are told here."), "{text}");
    let message = serde_json::to_string(&quiet.slack(&RenderOptions::default()).message).unwrap();
    assert!(!message.contains(":large_green_circle:"), "{message}");
}
