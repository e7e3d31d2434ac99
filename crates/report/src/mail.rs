//! A report or a digest as a mail: subject, plain text, and HTML that mail programs show, which know neither scripts nor
//! pictures made of shapes.

use healthcore::report::Report;

use crate::brief::{Brief, Group, Line, cut};
use crate::escape::markup;
use crate::words::word;
use crate::{RenderOptions, terminal};

/// Columns of the plain text.
const WIDTH: usize = 100;
/// Lines of one list.
const MOST_LINES: usize = 60;

/// What a mail holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line without control characters.
    pub subject: String,
    /// All of it as text.
    pub text: String,
    /// What matters of it as HTML.
    pub html: String,
}

impl Mail {
    /// The mail of a report.
    #[must_use]
    pub fn new(report: &Report, options: &RenderOptions) -> Self {
        let brief = Brief::new(report, options);
        let w = |key| word(options.lang, key);
        let list = w("list");
        let counts = brief.counts.split(list).take(2).collect::<Vec<_>>().join(list);
        let subject = format!("{}{}{counts}", brief.title, brief.colon);
        Self::of(&brief, &subject, terminal::render(report, &Self::plain(options)), options)
    }

    pub(crate) fn of(brief: &Brief, subject: &str, text: String, options: &RenderOptions) -> Self {
        Self { subject: cut(subject, 180), text, html: html(brief, options) }
    }

    /// How the plain text is written.
    pub(crate) fn plain(options: &RenderOptions) -> RenderOptions {
        RenderOptions { color: false, width: WIDTH, ..options.clone() }
    }
}

fn html(brief: &Brief, options: &RenderOptions) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body style=\"font-family:sans-serif;max-width:60em\">\n",
        options.lang.tag(),
        markup(&brief.title)
    );
    out.push_str(&format!("<h1>{} {}</h1>\n", brief.mark.sign(), markup(&brief.title)));
    for line in [&brief.counts, &brief.changed].into_iter().filter(|l| !l.is_empty()) {
        out.push_str(&format!("<p>{}</p>\n", markup(line)));
    }
    if !brief.clusters.is_empty() {
        out.push_str("<ul>\n");
        for (mark, name, counts) in &brief.clusters {
            out.push_str(&format!(
                "<li>{} <b>{}</b>{}{}</li>\n",
                mark.sign(),
                markup(name),
                brief.colon,
                markup(counts)
            ));
        }
        if !brief.more_clusters.is_empty() {
            out.push_str(&format!("<li>{}</li>\n", markup(&brief.more_clusters)));
        }
        out.push_str("</ul>\n");
    }
    let more = word(options.lang, "and-more");
    for group in &brief.details {
        list(group, more, &mut out);
    }
    out.push_str(&format!("<p style=\"color:#666\">{}</p>\n</body></html>\n", markup(&brief.footer)));
    out
}

fn list(group: &Group, more: &str, out: &mut String) {
    out.push_str(&format!("<h2>{}</h2>\n<ul>\n", markup(&group.title)));
    for line in group.lines.iter().take(MOST_LINES) {
        out.push_str(&format!("<li>{}</li>\n", item(line)));
    }
    let left = group.lines.len().saturating_sub(MOST_LINES) + group.more;
    if left > 0 {
        out.push_str(&format!("<li>{}</li>\n", markup(&more.replace("{n}", &left.to_string()))));
    }
    out.push_str("</ul>\n");
}

fn item(line: &Line) -> String {
    let mut out = line.mark.map_or_else(String::new, |mark| format!("{} ", mark.sign()));
    for text in [&line.label, &line.what].into_iter().filter(|t| !t.is_empty()) {
        out.push_str(&format!("<b>{}</b> ", markup(text)));
    }
    if !line.subject.is_empty() {
        out.push_str(&format!("<code>{}</code>{}", markup(&line.subject), line.colon));
    }
    out.push_str(&markup(&line.text));
    if let Some(command) = &line.command {
        out.push_str(&format!("<pre>{}</pre>", markup(command)));
    }
    out
}
