//! Leak detection over streams of cases, one JSON object a line, without any cluster.
//!
//! A case is the memory of one container of one workload over all its pods; see [`LeakCase`]. Answers come in the
//! order of the cases, one [`Answer`] a line. A line that cannot be read is answered by its error, and the rest goes
//! on. Memory does not grow with the stream.

mod table;

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::sync_channel;

use healthcore::leak::{LeakInput, LeakParams, LeakReport, PodSeries, Verdict, detect};
use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
pub use table::TableError;

/// Lines that are read ahead.
const LINES_AHEAD: usize = 64;
/// Bytes of lines that are judged at once.
const BATCH_BYTES: usize = 4 << 20;
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
    /// Load that memory may follow, such as requests a second, one a step; null or absent for none.
    #[serde(default, deserialize_with = "optional_samples")]
    pub load: Option<Vec<f64>>,
}

fn optional_samples<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<f64>>, D::Error> {
    let values = Option::<Vec<Option<f64>>>::deserialize(deserializer)?;
    Ok(values.map(with_gaps))
}

/// Whole unix seconds, of a number that may have a fraction: Prometheus writes `1700000000.781`.
fn whole<E: serde::de::Error>(seconds: f64) -> Result<i64, E> {
    if seconds.abs() < LATEST_UNIX {
        return Ok(seconds.floor() as i64);
    }
    let hint = if seconds.abs() < 1000.0 * LATEST_UNIX {
        "; it looks like milliseconds, divide by 1000"
    } else {
        ""
    };
    Err(E::custom(format!("expected unix seconds, got {seconds:e}{hint}")))
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
    Vec::<Option<f64>>::deserialize(deserializer).map(with_gaps)
}

fn with_gaps(values: Vec<Option<f64>>) -> Vec<f64> {
    values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect()
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
                ..PodSeries::default()
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
        let got = match line.first() {
            Some(b'[') => "a list; write each case as a line of its own".to_owned(),
            _ => format!(
                "`{}`",
                String::from_utf8_lossy(line).chars().take(20).collect::<String>().escape_debug()
            ),
        };
        return broken(Value::Null, format!("expected a JSON object, got {got}"));
    }
    let case: LeakCase = match serde_json::from_slice(line) {
        Ok(case) => case,
        Err(e) => return broken(id_of(line), readable(&e, line)),
    };
    if !(case.step_s >= STEP_S.0 && case.step_s <= STEP_S.1) {
        let error =
            format!("step_s: expected seconds from {} to {}, got {}", STEP_S.0, STEP_S.1, case.step_s);
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
    if e.is_eof() {
        text += "; a case is one line, and this one ends too early";
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
            let mut end = Ok(());
            while bytes < BATCH_BYTES
                && let Ok(next) = receive.try_recv()
            {
                match next {
                    Ok(next) => {
                        bytes += next.1.len();
                        batch.push(next);
                    }
                    // What came before is answered.
                    Err(e) => {
                        end = Err(e);
                        break;
                    }
                }
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
            end?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A week of half hours: 200 MB that grow by `growth` in all, with a little noise.
    fn values(growth: f64) -> Vec<f64> {
        (0..337_u32)
            .map(|i| 2e8 + growth * f64::from(i) / 336.0 + f64::from(i * 7919 % 101) * 2e4)
            .map(f64::round)
            .collect()
    }

    fn line(id: &str, values: &[f64]) -> String {
        serde_json::json!({
            "id": id, "step_s": 1800, "limit_bytes": 1_000_000_000,
            "series": [{"pod": "web-0", "start_unix": 1_700_000_000, "values": values, "restarts_unix": []}],
        })
        .to_string()
    }

    fn answers(input: &[u8]) -> (Vec<Value>, Tally) {
        let mut out = Vec::new();
        let tally = judge_lines(input, &mut out, &LeakOptions::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        (text.lines().map(|l| serde_json::from_str(l).unwrap()).collect(), tally)
    }

    fn error(line: &str) -> (Value, String) {
        match judge_line(line.as_bytes(), 7, &LeakOptions::default()) {
            Answer::Broken { id, error } => (id, error),
            Answer::Judged(judged) => panic!("{line}: {judged:?}"),
        }
    }

    #[test]
    fn answers_keep_the_order_of_the_cases_and_are_counted() {
        let mut input = String::new();
        for i in 0..60 {
            let case = match i % 4 {
                0 => line(&i.to_string(), &values(2e8)),
                1 => line(&i.to_string(), &values(0.0)),
                2 => line(&i.to_string(), &[1.0, 2.0]),
                _ => format!("{{\"id\": \"{i}\"}}"),
            };
            input.push_str(&case);
            // Lines without anything are passed over, and carriage returns are no part of a line.
            input.push_str(if i % 3 == 0 { "\r\n\n  \n" } else { "\n" });
        }
        let (answers, tally) = answers(input.trim_end().as_bytes());
        let ids: Vec<&str> = answers.iter().map(|a| a["id"].as_str().unwrap()).collect();
        assert_eq!(ids, (0..60).map(|i| i.to_string()).collect::<Vec<_>>());
        assert_eq!(tally, Tally { leak: 15, watch: 0, none: 15, unknown: 15, broken: 15 });
        assert_eq!(tally.lines(), 60);
        assert_eq!(answers[0]["leak"], true);
        assert_eq!(answers[2]["reason"], "too few samples");
        // The fourth case stands in the sixth line, since two are empty.
        assert_eq!(answers[3]["error"], "line 6: missing field `step_s`, at column 11");
    }

    #[test]
    fn a_batch_that_ends_inside_a_line_loses_nothing() {
        // Three lines of 3 MB are more than two batches.
        let long = line("long", &vec![f64::NAN; 600_000]);
        assert!((3_000_000..BATCH_BYTES).contains(&long.len()), "{}", long.len());
        let input =
            format!("{long}\n{}\n{long}\n{}\n{long}", line("a", &values(2e8)), line("b", &values(0.0)));
        let (answers, _) = answers(input.as_bytes());
        let ids: Vec<&Value> = answers.iter().map(|a| &a["id"]).collect();
        assert_eq!(ids, ["long", "a", "long", "b", "long"]);
        assert!(answers.iter().all(|a| a.get("error").is_none()));
    }

    #[test]
    fn a_line_that_is_no_case_is_answered_with_its_name_and_place() {
        let given = r#"{"id": "a", "step_s": 60, "series": [{"start_unix": 0, "values": [1]}]"#;
        for (change, expected) in [
            ("", "EOF while parsing an object"),
            (
                r#", "start_unix": 100, "end_unix": 100}"#,
                "end_unix 100: expected a time after start_unix 100",
            ),
            (r#", "limit_bytes": "512Mi"}"#, "invalid type: string \"512Mi\", expected a number"),
            (r#", "limit_bytes": 1e999}"#, "number out of range"),
        ] {
            let (id, error) = error(&format!("{given}{change}"));
            assert_eq!(id, "a", "{error}");
            assert!(error.starts_with("line 7: ") && error.contains(expected), "{error}");
        }
        for step in ["0", "-60", "1e-9", "1e300"] {
            let (id, error) = error(
                &given.replace("\"step_s\": 60", &format!("\"step_s\": {step}")).replace("]}]", "]}]}"),
            );
            assert_eq!(id, "a");
            assert!(error.starts_with("line 7: step_s: expected seconds"), "{error}");
        }
        for (text, id) in [
            ("", Value::Null),
            ("[]", Value::Null),
            ("null", Value::Null),
            ("\u{feff}{}", Value::Null),
            (r#"{"id": 12}"#, 12.into()),
            (r#"{"id": "a", "step_s": NaN}"#, "a".into()),
        ] {
            assert_eq!(error(text).0, id, "{text}");
        }
        assert_eq!(error("\u{1}").0, Value::Null);
    }

    #[test]
    fn what_may_be_absent_may_be_null() {
        let case = r#"{"id": null, "step_s": 60, "limit_bytes": null, "request_bytes": null, "start_unix": null,
            "end_unix": null, "series": [{"start_unix": 0, "values": [1, null], "restarts_unix": null, "load": null}]}"#;
        let case: LeakCase = serde_json::from_str(case).unwrap();
        assert_eq!((&case.series[0].load, &case.series[0].restarts_unix), (&None, &None));
        assert!(case.series[0].values[1].is_nan());
        let load: LeakCase = serde_json::from_str(
            r#"{"step_s": 60, "series": [{"start_unix": 0, "values": [1], "load": [2, null]}]}"#,
        )
        .unwrap();
        assert_eq!(load.series[0].load.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn a_window_that_is_not_given_is_that_of_the_samples() {
        let mut case: LeakCase = serde_json::from_str(&line("a", &values(2e8))).unwrap();
        assert_eq!(case.window(), (1_700_000_000, 1_700_000_000 + 336 * 1800));
        let whole = case.judge(&LeakParams::default());
        assert_eq!(whole.verdict, Verdict::Leak);
        (case.start_unix, case.end_unix) = (Some(1_700_000_000), Some(1_700_000_000 + 336 * 1800));
        assert_eq!(case.judge(&LeakParams::default()), whole);
        for start in [i64::MIN, i64::MAX] {
            case.series[0].start_unix = start;
            (case.start_unix, case.end_unix) = (None, None);
            assert!(case.judge(&LeakParams::default()).score.is_finite());
        }
    }

    #[test]
    fn no_answer_to_numbers_at_their_ends_panics_or_is_null() {
        for (step, start, value) in [
            ("1e9", "99999999999", "1e308"),
            ("1e-3", "-99999999999", "1e18"),
            ("300", "0", "-1e308"),
            ("1e9", "-99999999999", "5e-324"),
        ] {
            let values = vec![value; 300].join(",");
            let case = format!(
                r#"{{"id":1,"step_s":{step},"limit_bytes":-1,"series":[{{"start_unix":{start},"values":[{values}],"restarts_unix":[99999999999,-99999999999]}}]}}"#
            );
            let (answers, tally) = answers(case.as_bytes());
            assert_eq!((tally.lines(), tally.broken), (1, 0), "{answers:?}");
            assert!(answers[0]["score"].is_number());
        }
    }
}
