//! Messages of Slack (Block Kit): one that says what matters, and its details for the thread.
//!
//! Limits are those of Slack's documentation (blocks a message, characters a text), and 9,000 characters a message: what is
//! longer is cut by some clients. All are counted over the JSON text in UTF-16 units, the strictest reading.

use healthcore::report::Report;
use serde::Serialize;

use crate::brief::{Brief, Group, Line, Mark, cut};
use crate::words::word;
use crate::{RenderError, RenderOptions};

/// Longest message.
const LONGEST_MESSAGE: usize = 8_900;
/// Longest text of a section: Slack takes 3,000.
const LONGEST_SECTION: usize = 2_900;
/// Longest header: Slack takes 150.
const LONGEST_HEADER: usize = 150;
/// Longest text of notifications and of clients without blocks.
const LONGEST_TEXT: usize = 500;
/// Blocks of a message: Slack takes 50.
const MOST_BLOCKS: usize = 50;
/// Messages of the thread; what is left is in the other formats.
const MOST_REPLIES: usize = 10;
/// Longest name and longest sentence of a line.
const LONGEST_SUBJECT: usize = 160;
const LONGEST_SENTENCE: usize = 300;
const LONGEST_COMMAND: usize = 400;

/// A report as messages.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlackReport {
    /// The message.
    pub message: SlackMessage,
    /// Its details, in order, for the thread under it.
    pub thread: Vec<SlackMessage>,
}

/// What `chat.postMessage` and incoming webhooks take, without channel and thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlackMessage {
    /// What notifications show.
    pub text: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: Words,
    },
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Words>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Words>,
    },
    Context {
        elements: Vec<Words>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type")]
enum Words {
    #[serde(rename = "plain_text")]
    Plain { text: String, emoji: bool },
    /// `verbatim`: Slack makes no links and mentions of what looks like one.
    #[serde(rename = "mrkdwn")]
    Markup { text: String, verbatim: bool },
}

pub(crate) fn render(report: &Report, options: &RenderOptions) -> Result<String, RenderError> {
    json(&SlackReport::new(report, options))
}

pub(crate) fn json(messages: &SlackReport) -> Result<String, RenderError> {
    let mut text = serde_json::to_string_pretty(messages)
        .map_err(|e| RenderError::Data { format: "slack", why: e.to_string() })?;
    text.push('\n');
    Ok(crate::escape::json(text))
}

impl SlackReport {
    /// The messages of a report.
    #[must_use]
    pub fn new(report: &Report, options: &RenderOptions) -> Self {
        Self::of(&Brief::new(report, options), options)
    }

    pub(crate) fn of(brief: &Brief, options: &RenderOptions) -> Self {
        let more = word(options.lang, "and-more");
        Self { message: first(brief, more), thread: Thread::new(brief).messages() }
    }
}

fn first(brief: &Brief, more: &str) -> SlackMessage {
    let title = cut(&brief.title, LONGEST_HEADER - 20);
    let header =
        Block::Header { text: Words::Plain { text: format!("{} {title}", emoji(brief.mark)), emoji: true } };
    let lines = [&brief.counts, &brief.changed].map(|line| escaped(&cut(line, LONGEST_SENTENCE)));
    let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let mut blocks = vec![header, section(lines.join("\n"))];
    if !brief.clusters.is_empty() {
        blocks.push(Block::Section { text: None, fields: brief.clusters.iter().map(field).collect() });
    }
    if !brief.more_clusters.is_empty() {
        blocks.push(section(escaped(&brief.more_clusters)));
    }
    let footer = Block::Context { elements: vec![markup(escaped(&cut(&brief.footer, LONGEST_SENTENCE)))] };
    let text = [&*brief.title, &*brief.counts, &*brief.changed].join(brief.next_sentence);
    let text = escaped(&cut(text.trim_end(), LONGEST_TEXT));
    let mut room = LONGEST_MESSAGE.saturating_sub(size(&(&text, &blocks, &footer)));
    for (at, group) in brief.groups.iter().enumerate() {
        // What a group leaves is for those after it.
        let share = (room / (brief.groups.len() - at)).min(LONGEST_SECTION);
        let block = section(fitted(group, share, more));
        room = room.saturating_sub(size(&block));
        blocks.push(block);
    }
    blocks.push(footer);
    SlackMessage { text, blocks }
}

fn field((mark, name, counts): &(Mark, String, String)) -> Words {
    // Slack takes 2,000 characters a field.
    markup(format!("{} *{}*\n{}", emoji(*mark), escaped(&cut(name, 60)), escaped(counts)))
}

/// A group cut to a number of characters, with the number of lines that are left out.
fn fitted(group: &Group, room: usize, more: &str) -> String {
    // For the block around the text and the last line.
    let room = room.saturating_sub(150);
    let mut text = format!("*{}*", escaped(&cut(&group.title, LONGEST_HEADER)));
    let mut shown = 0;
    for line in group.lines.iter().take(group.most).map(written) {
        if size(&text) + size(&line) > room {
            break;
        }
        text.push('\n');
        text.push_str(&line);
        shown += 1;
    }
    let left = group.lines.len() - shown + group.more;
    if left > 0 {
        text.push('\n');
        text.push_str(&more.replace("{n}", &left.to_string()));
    }
    text
}

/// Details, cut into texts as long as a section takes, each with its number of lines.
struct Thread {
    texts: Vec<(String, usize)>,
    /// What is said of lines that are left out.
    more: &'static str,
}

impl Thread {
    fn new(brief: &Brief) -> Self {
        let mut thread = Self { texts: Vec::new(), more: brief.rest };
        for group in &brief.details {
            thread.group(group);
        }
        thread
    }

    /// Each text of a group begins with its title.
    fn group(&mut self, group: &Group) {
        let title = format!("*{}*", escaped(&cut(&group.title, LONGEST_HEADER)));
        let (mut text, mut lines) = (title.clone(), 0);
        for line in group.lines.iter().map(written) {
            if size(&text) + size(&line) > LONGEST_SECTION - 100 {
                self.texts.push((std::mem::replace(&mut text, title.clone()), lines));
                lines = 0;
            }
            text.push('\n');
            text.push_str(&line);
            lines += 1;
        }
        if group.more > 0 {
            text.push('\n');
            text.push_str(&self.more.replace("{n}", &group.more.to_string()));
        }
        self.texts.push((text, lines));
    }

    fn messages(self) -> Vec<SlackMessage> {
        let mut messages: Vec<Vec<String>> = Vec::new();
        let (mut room, mut left) = (0, 0);
        for (text, lines) in self.texts {
            let needs = size(&section(text.clone())) + 1;
            if left > 0 || needs > room || messages.last().is_none_or(|m| m.len() >= MOST_BLOCKS - 1) {
                if messages.len() == MOST_REPLIES {
                    left += lines;
                    continue;
                }
                messages.push(Vec::new());
                // For the text of notifications and the last line of the last message.
                room = LONGEST_MESSAGE - LONGEST_TEXT - 300;
            }
            room = room.saturating_sub(needs);
            if let Some(last) = messages.last_mut() {
                last.push(text);
            }
        }
        if let (1.., Some(last)) = (left, messages.last_mut()) {
            last.push(self.more.replace("{n}", &left.to_string()));
        }
        messages.into_iter().map(message).collect()
    }
}

/// A reply; its first line is what notifications show.
fn message(texts: Vec<String>) -> SlackMessage {
    let title = texts.first().and_then(|t| t.lines().next()).unwrap_or_default();
    SlackMessage {
        text: title.trim_matches('*').to_owned(),
        blocks: texts.into_iter().map(section).collect(),
    }
}

fn section(text: String) -> Block {
    Block::Section { text: Some(markup(text)), fields: Vec::new() }
}

fn markup(text: String) -> Words {
    Words::Markup { text, verbatim: true }
}

/// A line in the markup of Slack.
fn written(line: &Line) -> String {
    let mut out = line.mark.map_or_else(|| "•".to_owned(), |mark| emoji(mark).to_owned());
    if !line.label.is_empty() {
        out.push_str(&format!(" *{}*", escaped(&line.label)));
    }
    if !line.what.is_empty() {
        out.push(' ');
        out.push_str(&escaped(&line.what));
    }
    if !line.subject.is_empty() {
        out.push_str(&format!(" `{}`{}", escaped(&cut(&line.subject, LONGEST_SUBJECT)), line.colon));
    } else {
        out.push(' ');
    }
    out.push_str(&escaped(&cut(&line.text, LONGEST_SENTENCE)));
    // A command that is cut does something else.
    if let Some(command) = line.command.as_ref().filter(|c| c.chars().count() <= LONGEST_COMMAND) {
        out.push_str(&format!("\n```{}```", escaped(command)));
    }
    out
}

/// Text in which nothing is markup, a link or a mention: `&<>` as Slack asks for it, no code that ends, and nobody called.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\''),
            '@' if calls(&text[at + 1..]) => out.push('＠'),
            c => out.push(c),
        }
    }
    out
}

/// Whether what stands behind an `@` calls a whole channel.
fn calls(rest: &str) -> bool {
    ["here", "channel", "everyone", "group"]
        .iter()
        .any(|word| rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
}

const fn emoji(mark: Mark) -> &'static str {
    match mark {
        Mark::Critical => ":red_circle:",
        Mark::Warning => ":large_orange_circle:",
        Mark::Unknown => ":white_circle:",
        Mark::Info => ":large_blue_circle:",
        Mark::Good => ":large_green_circle:",
    }
}

/// Length of a value as JSON, in UTF-16 units.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX / 2, |text| text.encode_utf16().count())
}
