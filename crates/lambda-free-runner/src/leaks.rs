//! Leak detection over streams of cases, one JSON object a line, without any cluster.
//!
//! A case is the memory of one container of one workload over all its pods; see [`LeakCase`]. Answers come in the
//! order of the cases, one [`Answer`] a line. A line that cannot be read is answered by its error, and the rest goes
//! on. Memory does not grow with the stream.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::sync_channel;

use healthcore::leak::{LeakInput, LeakParams, LeakReport, PodSeries, Verdict, detect};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Lines that are read ahead.
const LINES_AHEAD: usize = 64;
/// Bytes of lines that are judged at once.
const BATCH_BYTES: usize = 4 << 20;
/// Most points of a table.
const MOST_POINTS: usize = 10_000_000;
/// Longest line that is read; longer ones are answered by an error.
const LONGEST_LINE: usize = 1 << 30;
/// Unix seconds above which a time must be in another unit: the year 5138.
const LATEST_UNIX: f64 = 1e11;
/// Fewest and most seconds of a step.
const STEP_S: (f64, f64) = (1e-3, 1e9);

/// One workload's memory, as it is written in a line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LeakCase {
    /// Name of the case, repeated in the answer; text or number.
    #[serde(default)]
    pub id: Value,
    /// Seconds between two samples.
    pub step_s: f64,
    /// Memory limit in bytes; null or absent for none.
    #[serde(default)]
    pub limit_bytes: Option<f64>,
    /// Memory request in bytes; null or absent for none.
    #[serde(default)]
    pub request_bytes: Option<f64>,
    /// Unix time of the window's start; that of the first series when absent.
    #[serde(default, deserialize_with = "optional_seconds")]
    pub start_unix: Option<i64>,
    /// Unix time of the window's end; that of the last sample when absent.
    #[serde(default, deserialize_with = "optional_seconds")]
    pub end_unix: Option<i64>,
    /// The pods.
    pub series: Vec<CasePod>,
}

/// Memory of one pod.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CasePod {
    /// Name of the pod.
    #[serde(default)]
    pub pod: String,
    /// Unix time of the first value.
    #[serde(deserialize_with = "seconds")]
    pub start_unix: i64,
    /// Bytes, one a step; null is a missing sample.
    #[serde(deserialize_with = "samples")]
    pub values: Vec<f64>,
    /// Unix times of restarts. Absent: not known. Empty: known to be none.
    #[serde(default, deserialize_with = "optional_list_of_seconds")]
    pub restarts_unix: Option<Vec<i64>>,
    /// Load that memory may follow, such as requests a second, one a step.
    #[serde(default, deserialize_with = "optional_samples")]
    pub load: Option<Vec<f64>>,
}

fn optional_samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
    let values = Option::<Vec<Option<f64>>>::deserialize(deserializer)?;
    Ok(values.map(|values| values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect()))
}

/// Whole unix seconds, of a number that may have a fraction: Prometheus writes `1700000000.781`.
fn whole<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    if seconds.abs() < LATEST_UNIX {
        return Ok(seconds.floor() as i64);
    }
    Err(E::custom(format!("expected unix seconds, got {seconds}; are they milliseconds?")))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    whole(f64::deserialize(deserializer)?)
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::<f64>::deserialize(deserializer)?.map(whole).transpose()
}

fn optional_list_of_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<i64>>, D::Error> {
    let list = Option::<Vec<f64>>::deserialize(deserializer)?;
    list.map(|list| list.into_iter().map(whole).collect()).transpose()
}

/// Numbers with NaN for null.
fn samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

impl LeakCase {
    /// Judges the case.
    #[must_use]
    pub fn judge(&self, params: &LeakParams) -> LeakReport {
        let series: Vec<PodSeries<'_>> = self
            .series
            .iter()
            .map(|s| PodSeries {
                pod: &s.pod,
                start_unix: s.start_unix,
                values: &s.values,
                restarts_unix: s.restarts_unix.as_deref(),
                load: s.load.as_deref(),
            })
            .collect();
        let (start_unix, end_unix) = self.window();
        detect(
            &LeakInput {
                step_s: self.step_s,
                limit_bytes: self.limit_bytes,
                request_bytes: self.request_bytes,
                start_unix,
                end_unix,
                series: &series,
                ..LeakInput::default()
            },
            params,
        )
    }

    /// Start and end as given, else those of the samples.
    fn window(&self) -> (i64, i64) {
        let start = self.series.iter().map(|s| s.start_unix).min().unwrap_or(0);
        let last = |s: &CasePod| {
            let seconds = self.step_s * s.values.len().saturating_sub(1) as f64;
            s.start_unix.saturating_add(seconds.round() as i64)
        };
        let end = self.series.iter().map(last).max().unwrap_or(start);
        (self.start_unix.unwrap_or(start), self.end_unix.unwrap_or(end))
    }
}

/// A table of one series that is no case.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TableError {
    /// It is no table.
    #[error("{0}")]
    Csv(String),
    /// A row cannot be read.
    #[error("line {line}: {column} `{value}`: expected {expected}")]
    Row {
        /// Line of the file, from 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
    /// Too few rows for a step.
    #[error("{0} rows: expected at least 3, `time,bytes` with unix seconds or RFC 3339 and bytes")]
    TooFew(usize),
}

impl LeakCase {
    /// One series from a table of two columns, `time,bytes`, with or without a header: unix seconds or RFC 3339, and
    /// bytes, where an empty cell is a missing sample. The rows may be in any order; the step is the median distance
    /// of their times, and of two rows in one step the later one counts.
    ///
    /// # Errors
    /// A cell cannot be read, or there are fewer than three rows.
    pub fn from_csv(table: impl Read, id: &str, limit_bytes: Option<f64>) -> Result<Self, TableError> {
        let mut rows: Vec<(f64, f64)> = Vec::new();
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(table);
        for (i, record) in reader.records().enumerate() {
            let record = record.map_err(|e| TableError::Csv(e.to_string()))?;
            let line = record.position().map_or(i as u64 + 1, csv::Position::line);
            let cell = |k: usize| record.get(k).unwrap_or_default();
            let bad = |column, k: usize, expected| TableError::Row {
                line,
                column,
                value: cell(k).chars().take(80).collect(),
                expected,
            };
            let Some(time) = instant(cell(0)) else {
                if i == 0 {
                    continue; // a header
                }
                return Err(bad("time", 0, "unix seconds, or RFC 3339 such as `2026-01-31T09:00:00Z`"));
            };
            let bytes = match cell(1) {
                "" => f64::NAN,
                text => text.parse().map_err(|_| bad("bytes", 1, "a number of bytes"))?,
            };
            rows.push((time, bytes));
        }
        if rows.len() < 3 {
            return Err(TableError::TooFew(rows.len()));
        }
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut gaps: Vec<f64> = rows.windows(2).map(|w| w[1].0 - w[0].0).filter(|g| *g > 0.0).collect();
        gaps.sort_by(f64::total_cmp);
        let step_s = gaps.get(gaps.len() / 2).copied().ok_or(TableError::TooFew(1))?;
        let (first, last) = (rows[0].0, rows[rows.len() - 1].0);
        let points = ((last - first) / step_s).round() as usize + 1;
        if points > MOST_POINTS {
            return Err(TableError::Csv(format!(
                "{points} steps of {step_s} s from the first to the last row: expected at most {MOST_POINTS}; are the times in one unit?"
            )));
        }
        let mut values = vec![f64::NAN; points];
        for (time, bytes) in rows {
            values[((time - first) / step_s).round() as usize] = bytes;
        }
        let pod =
            CasePod { pod: String::new(), start_unix: first as i64, values, restarts_unix: None, load: None };
        Ok(Self {
            id: Value::from(id),
            step_s,
            limit_bytes,
            request_bytes: None,
            start_unix: None,
            end_unix: None,
            series: vec![pod],
        })
    }
}

/// Unix seconds, given as such or as RFC 3339.
fn instant(text: &str) -> Option<f64> {
    match text.parse::<f64>() {
        Ok(seconds) => Some(seconds).filter(|s| s.abs() < LATEST_UNIX),
        Err(_) => text.parse::<jiff::Timestamp>().ok().map(|t| t.as_second() as f64),
    }
}

/// What is said of one case.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It was judged.
    Judged(Box<Judged>),
    /// It could not be read.
    Broken {
        /// Name of the case, null when not even that could be read.
        id: Value,
        /// What is wrong, and where.
        error: String,
    },
}

/// The verdict on one case.
#[derive(Debug, Clone, Serialize)]
pub struct Judged {
    /// Name of the case.
    pub id: Value,
    /// Whether the verdict is `leak`.
    pub leak: bool,
    /// The verdict.
    pub verdict: Verdict,
    /// Higher is more surely a leak.
    pub score: f64,
    /// Growth, bytes per hour; null when nothing rises.
    pub rate_bytes_per_hour: Option<f64>,
    /// Unix time at which it began.
    pub onset_unix: Option<i64>,
    /// Seconds from the end of the window until the limit is reached at that rate.
    pub time_to_limit_s: Option<f64>,
    /// Why, in English.
    pub reason: String,
    /// Runs, floors, fitted growth and the figures of the decision, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<LeakReport>,
}

impl Judged {
    fn new(id: Value, report: LeakReport, evidence: bool) -> Self {
        Self {
            id,
            leak: report.verdict == Verdict::Leak,
            verdict: report.verdict,
            score: (report.score * 1e6).round() / 1e6,
            rate_bytes_per_hour: report.rate.map(|r| r.bytes_per_hour),
            onset_unix: report.onset_unix,
            time_to_limit_s: report.time_to_limit.map(|t| t.seconds),
            reason: report.reason.to_string(),
            evidence: evidence.then_some(report),
        }
    }
}

/// How many cases got which answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Leaks.
    pub leak: u64,
    /// Growth to be looked at again.
    pub watch: u64,
    /// No leak.
    pub none: u64,
    /// Too little to say.
    pub unknown: u64,
    /// Lines that could not be read.
    pub broken: u64,
}

impl Tally {
    /// All lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.leak + self.watch + self.none + self.unknown + self.broken
    }

    /// Counts an answer.
    pub fn count(&mut self, answer: &Answer) {
        *match answer {
            Answer::Broken { .. } => &mut self.broken,
            Answer::Judged(judged) => match judged.verdict {
                Verdict::Leak => &mut self.leak,
                Verdict::Watch => &mut self.watch,
                Verdict::None => &mut self.none,
                Verdict::Unknown => &mut self.unknown,
            },
        } += 1;
    }
}

/// How a stream of cases is judged.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeakOptions {
    /// Thresholds.
    pub params: LeakParams,
    /// Adds runs, floors and fitted curves to each answer.
    pub evidence: bool,
}

/// Judges one case that is no line.
#[must_use]
pub fn judge_case(case: LeakCase, options: &LeakOptions) -> Answer {
    let report = case.judge(&options.params);
    Answer::Judged(Box::new(Judged::new(case.id, report, options.evidence)))
}

/// Judges one line.
#[must_use]
pub fn judge_line(line: &[u8], number: u64, options: &LeakOptions) -> Answer {
    let broken = |id: Value, error: String| Answer::Broken { id, error: format!("line {number}: {error}") };
    // As editors of other systems begin a file.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if !line.starts_with(b"{") {
        return broken(Value::Null, "expected a JSON object".into());
    }
    let case: LeakCase = match serde_json::from_slice(line) {
        Ok(case) => case,
        Err(e) => return broken(id_of(line), readable(&e, line)),
    };
    if !(case.step_s >= STEP_S.0 && case.step_s <= STEP_S.1) {
        let error = format!("step_s: expected seconds above 0, got {}", case.step_s);
        return broken(case.id, error);
    }
    if let (Some(start), Some(end)) = (case.start_unix, case.end_unix)
        && end <= start
    {
        let error = format!("end_unix {end}: expected a time after start_unix {start}");
        return broken(case.id, error);
    }
    judge_case(case, options)
}

/// The message of `serde_json` without the line of the parser, which is always 1, and with JSON's names of types.
fn readable(e: &serde_json::Error, line: &[u8]) -> String {
    let mut text = e.to_string().replace(" at line 1 column ", ", at column ");
    for (ours, theirs) in [
        ("expected i64", "expected unix seconds"),
        ("expected f64", "expected a number"),
        ("expected struct LeakCase", "expected a JSON object"),
        ("expected struct CasePod", "expected a JSON object with `start_unix` and `values`"),
        ("expected a sequence", "expected a list"),
    ] {
        text = text.replace(ours, theirs);
    }
    let has = |word: &[u8]| line.windows(word.len()).any(|w| w == word);
    if e.is_syntax() && (has(b"NaN") || has(b"Infinity")) {
        text += "; JSON has no NaN and no Infinity, write null for a missing sample";
    }
    text
}

/// The name of a case whose rest cannot be read: the value behind the first `"id":`.
fn id_of(line: &[u8]) -> Value {
    let key = b"\"id\"";
    let Some(at) = line.windows(key.len()).position(|w| w == key) else { return Value::Null };
    let rest = line[at + key.len()..].trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b":") else { return Value::Null };
    let first = serde_json::Deserializer::from_slice(rest).into_iter::<Value>().next();
    first.and_then(Result::ok).filter(|id| id.is_string() || id.is_number()).unwrap_or_default()
}

/// A line and its number, from 1.
type Line = (u64, Vec<u8>);

/// Judges all lines of `input` on all cores, and writes the answers in their order. What has come is answered before the
/// next line is waited for.
///
/// # Errors
/// `input` cannot be read or `output` not written.
pub fn judge_lines(
    input: impl Read + Send,
    output: &mut impl Write,
    options: &LeakOptions,
) -> io::Result<Tally> {
    let mut tally = Tally::default();
    let (send, receive) = sync_channel::<io::Result<Line>>(LINES_AHEAD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut lines = io::BufReader::with_capacity(1 << 17, input);
            for number in 1.. {
                let line = read_line(&mut lines).map(|line| line.map(|line| (number, line))).transpose();
                let Some(line) = line else { break };
                let failed = line.is_err();
                if send.send(line).is_err() || failed {
                    break;
                }
            }
        });
        // Dropped when the answers cannot be written, so that the reader ends too.
        let receive = receive;
        while let Ok(first) = receive.recv() {
            let mut batch = vec![first?];
            let mut bytes = batch[0].1.len();
            while bytes < BATCH_BYTES
                && let Ok(next) = receive.try_recv()
            {
                let next = next?;
                bytes += next.1.len();
                batch.push(next);
            }
            let answers: Vec<Option<(Answer, Vec<u8>)>> = batch
                .into_par_iter()
                .map(|(number, line)| {
                    let line = line.trim_ascii();
                    if line.is_empty() {
                        return Ok(None);
                    }
                    let answer = judge_line(line, number, options);
                    let mut text = serde_json::to_vec(&answer)?;
                    text.push(b'\n');
                    Ok(Some((answer, text)))
                })
                .collect::<Result<_, serde_json::Error>>()?;
            for (answer, text) in answers.into_iter().flatten() {
                tally.count(&answer);
                output.write_all(&text)?;
            }
            output.flush()?;
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(tally)
}

/// The next line; none at the end.
fn read_line(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = lines.by_ref().take(LONGEST_LINE as u64).read_until(b'\n', &mut line)?;
    if read == LONGEST_LINE && line.last() != Some(&b'\n') {
        // No case is that long: keep the beginning, so that its answer is an error, and pass over the rest.
        line.truncate(1024);
        lines.skip_until(b'\n')?;
    }
    Ok((read > 0).then_some(line))
}
