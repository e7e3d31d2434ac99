//! What the logs of a container say, cut down while they stream past: how many messages of each level, which patterns the
//! errors have, where they come from, and which of them are only somebody who scans a web server for weak spots.
//!
//! Bytes go into a [`LogStream`], which joins the lines of a message and hands messages to a [`LogTally`]. Both need constant
//! memory, whatever the logs hold: long lines are cut, and patterns and sources are bounded. Nothing of a log is kept but
//! patterns and names of sources, both without secrets.

mod access;
mod clock;
mod join;
mod json;
mod level;
mod lines;
mod mask;
mod mine;
mod scan;
mod tally;
mod text;
mod top;

use serde::{Deserialize, Serialize};

use crate::model::WorkloadId;
use crate::time::Timestamp;

pub use join::LogStream;
pub use level::Level;
pub use mask::{SECRET_NAMES, SECRET_TOKENS, SECRET_WORDS};
pub use tally::LogTally;

/// What the logs of a container of a workload say, over all pods that were read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSummary {
    /// The workload.
    pub workload: WorkloadId,
    /// Name of the container.
    pub container: String,
    /// From when on logs were asked for.
    pub since: Timestamp,
    /// When the log begins that could be read, where older lines since `since` are missing: a bound was reached, or the runtime
    /// has thrown them away. Of the pod with the most errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Timestamp>,
    /// The pod with the most errors; empty where that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub worst_pod: String,
    /// Whether most errors of that pod are of the run of its container before the one of now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub worst_previous: bool,
    /// Pods that have the container.
    pub pods: u32,
    /// Pods whose logs were read.
    pub pods_read: u32,
    /// Whether a bound on bytes or time ended the reading before the logs did, so that counts are lower bounds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What was found in what was read.
    pub said: LogContent,
}

impl LogSummary {
    /// From when on its counts hold.
    #[must_use]
    pub fn counted_since(&self) -> Timestamp {
        self.begins.unwrap_or(self.since).max(self.since)
    }
}

/// What was found in logs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogContent {
    /// Bytes read.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// Time of the first line, where lines have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// Time of the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// Messages by level, scans left out. A message of several lines counts once.
    pub levels: Levels,
    /// The most frequent patterns of errors, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<LogPattern>,
    /// The most frequent sources of errors, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<LogSource>,
    /// Requests of those who look for weak spots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<ScanNoise>,
}

/// Messages by level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    /// The process or a part of it cannot go on.
    #[serde(default)]
    pub fatal: u64,
    /// Errors.
    #[serde(default)]
    pub error: u64,
    /// Warnings.
    #[serde(default)]
    pub warning: u64,
    /// Notes.
    #[serde(default)]
    pub info: u64,
    /// Details for developers.
    #[serde(default)]
    pub debug: u64,
    /// Messages that tell no level.
    #[serde(default)]
    pub none: u64,
}

impl Levels {
    /// Messages of level error or fatal.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.error + self.fatal
    }
}

/// Messages that differ only in what changes from one to the next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPattern {
    /// The words, with `<*>` where they differ.
    pub text: String,
    /// Messages of it.
    pub count: u64,
    /// Whether one of them was fatal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fatal: bool,
    /// When the first one was written, where lines have a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// When the last one was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// What errors come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSource {
    /// What it is.
    pub kind: SourceKind,
    /// Its name or address.
    pub name: String,
    /// Errors that name it; where there are very many sources, a lower bound.
    pub count: u64,
}

/// Kinds of sources of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// A server that the message names: an upstream, a database, an address that could not be reached.
    Server,
    /// A client whose request failed.
    Client,
    /// The part of the program that wrote the message.
    Logger,
}

/// Requests for what is not there, by those who look for weak spots. They are set apart from errors: nothing of the workload
/// is broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanNoise {
    /// Messages about such requests.
    pub requests: u64,
    /// Of these, messages of level error.
    pub errors: u64,
    /// Addresses that they come from; a lower bound where there are very many.
    pub addresses: u32,
    /// The busiest address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub busiest: String,
    /// Requests of the busiest address.
    #[serde(default)]
    pub of_busiest: u64,
    /// Some of the paths, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}
