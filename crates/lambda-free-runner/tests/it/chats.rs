//! Cards of chats and mails of every fixture, within the documented limits and without markup of names from outside.

use healthcore::report::Report;
use healthcore_report::{Chat, Lang, Mail, RenderOptions, card};
use lambda_free_runner::{Input, RunSpec, Silent, run_once};
use serde_json::Value;

use crate::fixtures;

/// Texts that a chat reads as markup.
fn read_as_markup(chat: Chat, value: &Value) -> Vec<String> {
    let of = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match chat {
        Chat::Teams => {
            let body = value["attachments"][0]["content"]["body"].as_array().unwrap();
            assert!(!body.is_empty());
            body.iter().filter(|b| b["type"] == "TextBlock").map(|b| of(b, "text")).collect()
        }
        Chat::DingTalk => vec![of(&value["markdown"], "text"), of(&value["markdown"], "title")],
        _ => {
            let elements = value["card"]["elements"].as_array().unwrap();
            let texts = elements.iter().map(|e| &e["text"]);
            texts.filter(|t| t["tag"] == "lark_md").map(|t| of(t, "content")).collect()
        }
    }
}

fn most_bytes(chat: Chat) -> usize {
    if chat == Chat::Teams { 28_000 } else { 20_000 }
}

/// Every text of a value, a line each.
fn texts(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, out)),
        Value::Object(fields) => fields.values().for_each(|item| texts(item, out)),
        _ => {}
    }
}

/// What each chat and a mail say, without the frames of cards.
fn said(report: &Report, options: &RenderOptions) -> String {
    let mut out = Vec::new();
    for chat in Chat::ALL {
        out.push(format!("== {chat:?}"));
        let mut lines = Vec::new();
        texts(&card(report, *chat, options), &mut lines);
        // Teams and DingTalk say what Feishu says, in other frames.
        let most = if *chat == Chat::Feishu { usize::MAX } else { 12 };
        out.extend(lines.into_iter().take(most));
    }
    let mail = Mail::new(report, options);
    out.extend(["== Mail".to_owned(), mail.subject, mail.html]);
    out.join("\n")
}

#[test]
fn what_chats_and_mails_say_of_every_fixture() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let names = std::fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    for name in names {
        let spec = RunSpec::new(Input::Recording(fixtures().join(&name)));
        let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
        report.version = "0.0.0".to_owned();
        for lang in Lang::ALL {
            let options = RenderOptions { lang: *lang, ..RenderOptions::default() };
            let language = if *lang == Lang::En { String::new() } else { format!(".{}", lang.tag()) };
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}{language}.messages"), said(&report, &options));
            });
        }
    }
}

#[test]
fn cards_and_mails_of_fixtures() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for name in ["healthy", "pods-in-trouble", "hostile-names"] {
        let spec = RunSpec::new(Input::Recording(fixtures().join(name)));
        let mut report = runtime.block_on(run_once(&spec, &Silent)).unwrap();
        report.version = "0.0.0".to_owned();
        let mut many = report.clone();
        many.findings = report.findings.iter().cycle().take(report.findings.len() * 200).cloned().collect();
        let options = RenderOptions::default();
        for chat in Chat::ALL {
            let value = card(&report, *chat, &options);
            for value in [&value, &card(&many, *chat, &options)] {
                let size = value.to_string().len();
                assert!(size < most_bytes(*chat), "{name} {chat:?}: {size} bytes");
                for text in read_as_markup(*chat, value) {
                    let bad = ["<script", "](", "`", "@", "<img"];
                    assert!(bad.iter().all(|b| !text.contains(b)), "{name} {chat:?}: {text}");
                }
            }
            let shown = serde_json::to_string_pretty(&value).unwrap();
            insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../../snapshots", omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}.{chat:?}").to_lowercase(), shown);
            });
        }
        let mail = Mail::new(&many, &options);
        assert!(!mail.subject.contains(char::is_control) && mail.subject.len() < 200, "{}", mail.subject);
        for tag in mail.html.split('<').skip(1) {
            let tag: String =
                tag.trim_start_matches(['/', '!']).chars().take_while(char::is_ascii_alphanumeric).collect();
            let known = " doctype html head meta title body h1 h2 p ul li b code pre ";
            assert!(known.contains(&format!(" {tag} ")), "{name}: <{tag}");
        }
        assert!(mail.html.len() < 300_000, "{name}: {} bytes", mail.html.len());
    }
}
