//! Renderers: the values of a [`healthcore::report::Report`] become Markdown, terminal text or JSON.
//!
//! Nothing is judged here and nothing is read: a renderer chooses words, units, decimals and order of sections. Every
//! text of a check is a key with values; [`words`] holds what a language says for it.

mod escape;
mod json;
mod markdown;
mod page;
mod quantity;
mod terminal;
pub mod words;

use healthcore::report::Report;

pub use json::JsonReport;
pub use words::Lang;

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
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[Self::Text, Self::Markdown, Self::Json];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Json => "json",
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
            _ => None,
        }
    }
}

/// Choices of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Language of words; numbers, ids and order are the same in all.
    pub lang: Lang,
    /// Whether terminal text has colours.
    pub color: bool,
    /// Width of the terminal in columns.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { lang: Lang::En, color: false, width: 120 }
    }
}

/// Why a report cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A template has a mistake or misses a value.
    #[error("template {name}: {why}")]
    Template {
        /// The template.
        name: String,
        /// What is wrong, with the line.
        why: String,
    },
    /// The report cannot be written as JSON.
    #[error("json: {0}")]
    Json(String),
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
    }
}
