//! Messages of Microsoft Teams, DingTalk and Feishu (Lark): what Slack's first message says, in their own forms.
//!
//! Where a chat has a way to show text as it is, names from outside go there; where it has none (DingTalk's Markdown),
//! characters that make markup are replaced by their wide forms.

use healthcore::report::Report;
use serde_json::{Value, json};

use crate::RenderOptions;
use crate::brief::{Brief, Line, Mark, cut};
use crate::words::word;

/// Lines of advice.
const MOST_ADVICE: usize = 6;
const LONGEST_SUBJECT: usize = 160;
const LONGEST_SENTENCE: usize = 300;

/// A chat whose webhooks take a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Chat {
    /// Microsoft Teams: an Adaptive Card 1.4 for a webhook of Workflows.
    Teams,
    /// DingTalk: Markdown.
    DingTalk,
    /// Feishu and Lark: an interactive card.
    Feishu,
}

impl Chat {
    /// Every chat.
    pub const ALL: &'static [Self] = &[Self::Teams, Self::DingTalk, Self::Feishu];

    /// Largest message, in bytes of JSON: somewhat below what is documented (28 KB, 20,000 bytes, 20 KB).
    const fn room(self) -> usize {
        match self {
            Self::Teams => 26_000,
            Self::DingTalk | Self::Feishu => 18_000,
        }
    }
}

/// A part of a message.
enum Part<'a> {
    Heading(&'a str),
    Line(&'a Line),
    Words(String),
}

/// The body of the request that brings a report to a chat.
#[must_use]
pub fn card(report: &Report, chat: Chat, options: &RenderOptions) -> Value {
    of(&Brief::new(report, options), chat, options)
}

pub(crate) fn of(brief: &Brief, chat: Chat, options: &RenderOptions) -> Value {
    let more = word(options.lang, "and-more");
    let parts = parts(brief, more);
    let show = |part: &Part<'_>| match chat {
        Chat::Teams => teams_part(part),
        Chat::DingTalk => Value::from(dingtalk_part(part)),
        Chat::Feishu => feishu_part(part),
    };
    let (mut shown, mut left) = (Vec::new(), 0);
    // For the frame around the parts.
    let mut room = chat.room() - 2_000;
    for part in &parts {
        let value = show(part);
        let size = value.to_string().len() + 3;
        if size > room || left > 0 {
            left += usize::from(matches!(part, Part::Line(_)));
            continue;
        }
        room -= size;
        shown.push(value);
    }
    if left > 0 {
        shown.push(show(&Part::Words(more.replace("{n}", &left.to_string()))));
    }
    match chat {
        Chat::Teams => teams(brief, shown),
        Chat::DingTalk => dingtalk(brief, &shown),
        Chat::Feishu => feishu(brief, shown),
    }
}

fn parts<'a>(brief: &'a Brief, more: &str) -> Vec<Part<'a>> {
    let mut parts = vec![Part::Words(brief.counts.clone())];
    if !brief.changed.is_empty() {
        parts.push(Part::Words(brief.changed.clone()));
    }
    for (mark, name, counts) in &brief.clusters {
        parts.push(Part::Words(format!("{} {}{}{counts}", mark.sign(), cut(name, 60), brief.colon)));
    }
    if !brief.more_clusters.is_empty() {
        parts.push(Part::Words(brief.more_clusters.clone()));
    }
    let advice = brief.details.iter().filter(|g| g.is_advice).map(|g| (g, MOST_ADVICE));
    for (group, most) in brief.groups.iter().map(|g| (g, g.most)).chain(advice) {
        parts.push(Part::Heading(&group.title));
        parts.extend(group.lines.iter().take(most).map(Part::Line));
        let left = group.lines.len().saturating_sub(most) + group.more;
        if left > 0 {
            parts.push(Part::Words(more.replace("{n}", &left.to_string())));
        }
    }
    parts
}

/// A line as its mark and label, its subject, and what is said of it; each may be empty.
fn pieces(line: &Line) -> [String; 3] {
    let mut head: Vec<&str> = line.mark.iter().map(|m| m.sign()).collect();
    head.extend([line.label.as_str(), line.what.as_str()].into_iter().filter(|t| !t.is_empty()));
    [head.join(" "), cut(&line.subject, LONGEST_SUBJECT), cut(&line.text, LONGEST_SENTENCE)]
}

/// The line without markup.
fn plain(line: &Line) -> String {
    let [head, subject, text] = pieces(line);
    let said = if subject.is_empty() { text } else { format!("{subject}{}{text}", line.colon) };
    [head, said].iter().filter(|t| !t.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn teams(brief: &Brief, parts: Vec<Value>) -> Value {
    let color = match brief.mark {
        Mark::Critical => "Attention",
        Mark::Warning => "Warning",
        Mark::Good => "Good",
        Mark::Unknown | Mark::Info => "Default",
    };
    let title = cut(&brief.title, LONGEST_SENTENCE);
    let title =
        json!({ "type": "TextRun", "text": title, "size": "Large", "weight": "Bolder", "color": color });
    let mut body = vec![json!({ "type": "RichTextBlock", "inlines": [title] })];
    body.extend(parts);
    body.push(run(&[(&cut(&brief.footer, LONGEST_SENTENCE), "subtle")]));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
            },
        }],
    })
}

fn teams_part(part: &Part<'_>) -> Value {
    match part {
        Part::Heading(text) => run(&[(text, "bold")]),
        Part::Words(text) => run(&[(&cut(text, LONGEST_SENTENCE), "")]),
        Part::Line(line) => {
            let [head, subject, text] = pieces(line);
            let subject = if subject.is_empty() { subject } else { format!(" {subject}") };
            run(&[(&head, "bold"), (&subject, "code"), (&format!(" {text}"), "")])
        }
    }
}

/// Runs of text are shown as they are, other than text blocks, which read Markdown.
fn run(texts: &[(&str, &str)]) -> Value {
    let inlines = texts.iter().filter(|(text, _)| !text.is_empty()).map(|(text, style)| match *style {
        "bold" => json!({ "type": "TextRun", "text": text, "weight": "Bolder" }),
        "code" => json!({ "type": "TextRun", "text": text, "fontType": "Monospace" }),
        "subtle" => json!({ "type": "TextRun", "text": text, "isSubtle": true, "size": "Small" }),
        _ => json!({ "type": "TextRun", "text": text }),
    });
    json!({ "type": "RichTextBlock", "inlines": inlines.collect::<Vec<_>>() })
}

fn dingtalk(brief: &Brief, parts: &[Value]) -> Value {
    let title = wide(&cut(&brief.title, LONGEST_SENTENCE));
    let mut text = format!("### {} {title}\n\n", brief.mark.sign());
    for part in parts.iter().filter_map(Value::as_str) {
        text.push_str(part);
        text.push_str("\n\n");
    }
    text.push_str(&wide(&cut(&brief.footer, LONGEST_SENTENCE)));
    json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } })
}

fn dingtalk_part(part: &Part<'_>) -> String {
    match part {
        Part::Heading(text) => format!("#### {}", wide(text)),
        Part::Words(text) => wide(&cut(text, LONGEST_SENTENCE)),
        Part::Line(line) => {
            let [head, subject, text] = pieces(line).map(|piece| wide(&piece));
            let head = if head.is_empty() { String::new() } else { format!("**{head}** ") };
            let place = if subject.is_empty() { String::new() } else { format!("{subject}{}", line.colon) };
            format!("- {head}{place}{text}")
        }
    }
}

/// Text that is no Markdown: links, images, tags, code and mentions lose the characters that make them.
fn wide(text: &str) -> String {
    let other = |c| match c {
        '[' => '［',
        ']' => '］',
        '<' => '＜',
        '>' => '＞',
        '*' => '＊',
        '#' => '＃',
        '@' => '＠',
        '`' => '\'',
        c => c,
    };
    text.chars().map(other).collect()
}

fn feishu(brief: &Brief, mut parts: Vec<Value>) -> Value {
    let template = match brief.mark {
        Mark::Critical => "red",
        Mark::Warning => "orange",
        Mark::Good => "green",
        Mark::Unknown | Mark::Info => "grey",
    };
    parts.push(json!({ "tag": "hr" }));
    let footer = json!({ "tag": "plain_text", "content": cut(&brief.footer, LONGEST_SENTENCE) });
    parts.push(json!({ "tag": "note", "elements": [footer] }));
    let title = json!({ "tag": "plain_text", "content": cut(&brief.title, LONGEST_SENTENCE) });
    json!({
        "msg_type": "interactive",
        "card": {
            "config": { "wide_screen_mode": true },
            "header": { "title": title, "template": template },
            "elements": parts,
        },
    })
}

fn feishu_part(part: &Part<'_>) -> Value {
    let text = match part {
        // Words of our own.
        Part::Heading(text) => json!({ "tag": "lark_md", "content": format!("**{text}**") }),
        Part::Words(text) => json!({ "tag": "plain_text", "content": cut(text, LONGEST_SENTENCE) }),
        Part::Line(line) => json!({ "tag": "plain_text", "content": plain(line) }),
    };
    json!({ "tag": "div", "text": text })
}
