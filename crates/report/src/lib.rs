//! Renderers: the values of a [`healthcore::report::Report`] become text, Markdown, JSON, YAML, HTML, CSV,
//! JUnit, SARIF, OpenMetrics or messages of Slack.
//!
//! Nothing is judged here and nothing is read: a renderer chooses words, units, decimals and order of sections. Every
//! text of a check is a key with values; [`words`] holds what a language says for it.

mod brief;
mod cards;
mod catalogue;
mod csv;
mod digest;
mod escape;
mod html;
mod json;
mod junit;
mod locale;
mod mail;
mod markdown;
mod openmetrics;
mod page;
mod quantity;
mod sarif;
mod slack;
mod svg;
mod template;
mod terminal;
pub mod words;
mod yaml;
mod zone;

use healthcore::report::Report;

pub use cards::{Chat, card};
pub use digest::{DigestFormat, DigestReport};
pub use json::{JsonReport, ShardError, read_shard};
pub use mail::Mail;
pub use slack::{SlackMessage, SlackReport};
pub use template::Template;
pub use words::{Lang, UnknownLang};
pub use zone::{UnknownZone, Zone};

/// A format of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Tables and colours for a terminal.
    Text,
    /// Markdown (GitHub's flavour).
    Markdown,
    /// The JSON contract, `schema/report-1.json`.
    Json,
    /// The same values as YAML.
    Yaml,
    /// One file to be read in a browser, with charts.
    Html,
    /// A row a finding and a row a gap, for spreadsheets.
    Csv,
    /// Test results: a suite a check. Warnings and critical findings are failures, what is unknown is skipped.
    Junit,
    /// SARIF 2.1.0: critical findings are errors, warnings are warnings, info is a note.
    Sarif,
    /// Gauges in text, for the textfile collector of node_exporter.
    OpenMetrics,
    /// Messages of Slack (Block Kit) as JSON: `message`, and `thread` with its details.
    Slack,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[
        Self::Text,
        Self::Markdown,
        Self::Json,
        Self::Yaml,
        Self::Html,
        Self::Csv,
        Self::Junit,
        Self::Sarif,
        Self::OpenMetrics,
        Self::Slack,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Junit => "junit",
            Self::Sarif => "sarif",
            Self::OpenMetrics => "openmetrics",
            Self::Slack => "slack",
        }
    }

    /// The ending of its files.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Junit => "xml",
            Self::Sarif => "sarif",
            Self::OpenMetrics => "prom",
            Self::Slack => "slack.json",
        }
    }

    /// The format of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|f| f.name() == name)
    }

    /// The format that a file's ending stands for.
    #[must_use]
    pub fn from_ending(ending: &str) -> Option<Self> {
        match ending {
            "txt" => Some(Self::Text),
            "md" | "markdown" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "xml" => Some(Self::Junit),
            "sarif" => Some(Self::Sarif),
            "prom" => Some(Self::OpenMetrics),
            _ => None,
        }
    }
}

/// Choices of the reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderOptions {
    /// Language of words; numbers, ids and order are the same in all.
    pub lang: Lang,
    /// Zone of times in formats that people read (text, Markdown, HTML). Programs read UTC.
    pub zone: Zone,
    /// Whether terminal text has colours.
    pub color: bool,
    /// Width of the terminal in columns.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { lang: Lang::En, zone: Zone::default(), color: false, width: 120 }
    }
}

/// Why a report or a digest cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A template has a mistake or misses a value.
    #[error("template {name}: {why}")]
    Template {
        /// The template, with the line.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Digests have no such format.
    #[error("expected a format of digests, `text`, `markdown`, `json` or `slack`, got `{format}`")]
    NotOfDigests {
        /// The format.
        format: &'static str,
    },
    /// The report cannot be written in a format of data.
    #[error("{format}: {why}")]
    Data {
        /// The format.
        format: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// Renders a report. The text ends with a line feed.
///
/// # Errors
/// A template is wrong, which the tests of this crate exclude for its own templates.
pub fn render(report: &Report, format: Format, options: &RenderOptions) -> Result<String, RenderError> {
    match format {
        Format::Text => Ok(terminal::render(report, options)),
        Format::Markdown => markdown::render(report, options),
        Format::Json => json::render(report, options),
        Format::Yaml => yaml::render(report, options),
        Format::Html => html::render(report, options),
        Format::Csv => csv::render(report, options),
        Format::Junit => junit::render(report, options),
        Format::Sarif => sarif::render(report, options),
        Format::OpenMetrics => Ok(openmetrics::render(report)),
        Format::Slack => slack::render(report, options),
    }
}
