//! A page of an answer: lines of one or more streams. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use healthcore::logs::{LogStream, LogTally};
use healthcore::time::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Labels that name the pod of a stream. Lines of a pod are read in one, whatever else tells its streams apart: Loki 3 gives the
/// lines of a stack trace to several, by the level that it found in each.
const POD_LABELS: [&str; 3] = ["pod", "pod_name", "k8s_pod_name"];

/// Labels that Loki makes up for each line.
const OF_LINES: [&str; 3] = ["detected_level", "level", "severity"];

/// Why an answer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    #[error("the answer is not that of Loki: {0}")]
    NotLoki(String),
    #[error(
        "the selector gives `{0}`; expected one that gives lines, such as `{{namespace=\"{{namespace}}\"}}`"
    )]
    NoLines(String),
}

/// The lines of an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    /// By pod, each in the order of time.
    streams: BTreeMap<String, Vec<Line>>,
    /// Lines in all.
    pub(super) lines: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    /// Unix nanoseconds.
    at: i64,
    text: String,
}

impl Page {
    /// Reads an answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, PageError> {
        let answer: Answer<'_> =
            serde_json::from_slice(body).map_err(|e| PageError::NotLoki(e.to_string()))?;
        if answer.status != "success" {
            return Err(PageError::NotLoki(format!("its status is `{}`", answer.status)));
        }
        if answer.data.result_type != "streams" {
            return Err(PageError::NoLines(answer.data.result_type.into_owned()));
        }
        let mut page = Self::default();
        for stream in answer.data.result {
            page.lines += stream.values.len();
            page.streams
                .entry(pod(stream.stream))
                .or_default()
                .extend(stream.values.into_iter().map(|e| e.0));
        }
        for lines in page.streams.values_mut() {
            // Lines of one instant come newest first, as all do.
            lines.reverse();
            lines.sort_by_key(|line| line.at);
        }
        Ok(page)
    }

    /// When its oldest line was written, in Unix nanoseconds.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.streams.values().filter_map(|lines| lines.first()).map(|line| line.at).min()
    }

    /// Leaves out the lines of an instant, of which more may stand on the next page; whether others remain.
    pub(super) fn leave_out(&mut self, at: i64) -> bool {
        let others = self.streams.values().flatten().any(|line| line.at != at);
        if others {
            self.streams.values_mut().for_each(|lines| lines.retain(|line| line.at != at));
        }
        others
    }

    /// Counts what the lines say.
    pub(super) fn count(&self, tally: &mut LogTally) {
        for lines in self.streams.values() {
            let mut stream = LogStream::new();
            for line in lines {
                stream.push_line(Timestamp(line.at.div_euclid(1_000_000)), line.text.as_bytes(), tally);
            }
            stream.end(tally);
        }
    }
}

/// The pod of a stream, or what else tells it from others.
fn pod(mut labels: BTreeMap<Cow<'_, str>, Cow<'_, str>>) -> String {
    if let Some(pod) = POD_LABELS.iter().find_map(|label| labels.get(*label)) {
        return pod.clone().into_owned();
    }
    labels.retain(|label, _| !OF_LINES.contains(&label.as_ref()));
    labels.iter().map(|(label, value)| format!("{label}={value},")).collect()
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, rename = "resultType")]
    result_type: Cow<'a, str>,
    #[serde(borrow, default)]
    result: Vec<Stream<'a>>,
}

#[derive(Deserialize)]
struct Stream<'a> {
    #[serde(borrow, default)]
    stream: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    #[serde(default = "Vec::new")]
    values: Vec<Entry>,
}

/// A line as Loki writes it: `["<unix nanoseconds>", "<line>"]`, and in newer versions a map behind them.
struct Entry(Line);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in nanoseconds and a line")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Entry, A::Error> {
                let missing = |at| serde::de::Error::invalid_length(at, &self);
                let at: Cow<'de, str> = parts.next_element()?.ok_or_else(|| missing(0))?;
                let text: String = parts.next_element()?.ok_or_else(|| missing(1))?;
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                let at = at.parse().map_err(|_| {
                    serde::de::Error::invalid_value(serde::de::Unexpected::Str(&at), &"Unix nanoseconds")
                })?;
                Ok(Entry(Line { at, text }))
            }
        }
        d.deserialize_seq(Parts)
    }
}
