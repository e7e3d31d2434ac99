//! Answers of the query API, decoded as they arrive.
//!
//! A matrix of a large cluster has hundreds of megabytes of text. The [`Splitter`] cuts the elements of
//! `data.result` out of the byte stream; each is parsed alone and dropped, and what remains, the envelope, is a few
//! hundred bytes. So the memory needed is that of one series, and the values go straight onto the grid.

use std::collections::BTreeMap;
use std::fmt;

use healthcore::series::Samples;
use healthcore::snapshot::GapCause;
use healthcore::time::{Timestamp, Window};
use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The longest element that is accepted: a series of 11,000 samples has less than 400 kB.
const LONGEST_ELEMENT: usize = 64 << 20;

/// What Prometheus says of a rate of a metric whose name or type is not that of a counter
/// (`util/annotations/annotations.go`).
const GUESS: &str = "metric might not be a counter";

/// What is left of an answer when the elements of its result are taken out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) status: String,
    #[serde(default, rename = "errorType")]
    pub(super) error_type: String,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) infos: Vec<String>,
    /// VictoriaMetrics says so where a part of its storage did not answer.
    #[serde(default, rename = "isPartial")]
    pub(super) is_partial: bool,
    #[serde(default)]
    pub(super) data: EnvelopeData,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct EnvelopeData {
    #[serde(default, rename = "resultType")]
    pub(super) result_type: String,
}

/// What an answer says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Whether something may be missing from it.
    pub(super) partial: bool,
    /// Its own words, and what they are.
    pub(super) notes: Vec<(GapCause, String)>,
}

impl Envelope {
    /// What it says about itself. A warning means that something may be missing; an info does not. Older versions of
    /// Prometheus put infos among the warnings. That the name of a counter is not that of one is no news to anybody.
    pub(super) fn said(&self) -> Said {
        let is_info = |words: &&String| words.starts_with("PromQL info:");
        let warnings: Vec<&String> = self.warnings.iter().filter(|w| !is_info(w)).collect();
        let partial = self.is_partial || !warnings.is_empty();
        let note = |cause| move |words: &String| (cause, words.clone());
        let mut notes: Vec<_> = warnings.into_iter().map(note(GapCause::Warning)).collect();
        if self.is_partial {
            let words = "the server says that its answer is partial (isPartial): a part of its storage did not answer";
            notes.push((GapCause::Partial, words.to_owned()));
        }
        let infos = self.infos.iter().chain(self.warnings.iter().filter(is_info));
        notes.extend(infos.filter(|words| !words.contains(GUESS)).map(note(GapCause::Info)));
        Said { partial, notes }
    }
}

/// Why an answer cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the answer is cut off")]
    CutOff,
    #[error("the answer is not that of a Prometheus API: {0}")]
    NotPrometheus(String),
}

/// Where the splitter is in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of the result; the text goes to the envelope.
    Envelope,
    /// Between elements of the result.
    Between,
    /// In an element, at this depth of brackets.
    Element(u32),
}

/// Cuts the elements of the first array named `result` out of a stream of JSON text.
#[derive(Debug)]
pub(super) struct Splitter {
    place: Place,
    in_string: bool,
    escaped: bool,
    envelope: Vec<u8>,
    element: Vec<u8>,
    seen_result: bool,
}

const RESULT: &[u8] = b"\"result\":[";

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Envelope,
            in_string: false,
            escaped: false,
            envelope: Vec::new(),
            element: Vec::new(),
            seen_result: false,
        }
    }

    /// Takes the next bytes and hands every element that is complete to `each`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.place {
                Place::Envelope => self.envelope(rest)?,
                Place::Between => self.between(rest),
                Place::Element(depth) => self.element(rest, depth, each)?,
            };
        }
        Ok(())
    }

    /// The envelope, when the stream has ended.
    pub(super) fn finish(self) -> Result<Envelope, DecodeError> {
        if self.place != Place::Envelope {
            return Err(DecodeError::CutOff);
        }
        serde_json::from_slice(&self.envelope).map_err(|e| {
            if e.is_eof() && !self.envelope.is_empty() {
                return DecodeError::CutOff;
            }
            let start = String::from_utf8_lossy(&self.envelope[..self.envelope.len().min(120)])
                .replace(['\n', '\r'], " ");
            DecodeError::NotPrometheus(if start.trim().is_empty() {
                "it is empty".into()
            } else {
                format!("it begins with `{start}`")
            })
        })
    }

    fn envelope<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], DecodeError> {
        for (i, &byte) in bytes.iter().enumerate() {
            // White space outside of strings is dropped, so that the name of the array can be recognised.
            if self.in_string || !byte.is_ascii_whitespace() {
                self.envelope.push(byte);
            }
            self.string(byte);
            if byte == b'[' && !self.in_string && !self.seen_result && self.envelope.ends_with(RESULT) {
                self.seen_result = true;
                self.place = Place::Between;
                return Ok(&bytes[i + 1..]);
            }
        }
        if self.envelope.len() > LONGEST_ELEMENT {
            return Err(DecodeError::NotPrometheus("it has no result".into()));
        }
        Ok(&[])
    }

    fn between<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        for (i, &byte) in bytes.iter().enumerate() {
            match byte {
                b']' => {
                    self.envelope.push(byte);
                    self.place = Place::Envelope;
                    return &bytes[i + 1..];
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => {
                    self.element.clear();
                    self.in_string = false;
                    self.escaped = false;
                    self.place = Place::Element(0);
                    return &bytes[i..];
                }
            }
        }
        &[]
    }

    fn element<'b>(
        &mut self,
        bytes: &'b [u8],
        mut depth: u32,
        each: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<&'b [u8], DecodeError> {
        let mut i = 0;
        while i < bytes.len() {
            let byte = bytes[i];
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                } else if byte == b'\\' {
                    self.escaped = true;
                } else if byte == b'"' {
                    self.in_string = false;
                }
                i += 1;
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 1 => depth -= 1,
                b'}' => {
                    // The whole element lies in these bytes more often than not: no copy then.
                    let end = i + 1;
                    if self.element.is_empty() {
                        each(&bytes[..end])?;
                    } else {
                        self.element.extend_from_slice(&bytes[..end]);
                        each(&self.element)?;
                        self.element.clear();
                    }
                    self.place = Place::Between;
                    return Ok(&bytes[end..]);
                }
                // A scalar's result is [time, "value"] and not an array of objects.
                b',' | b']' if depth == 0 => {
                    self.place = Place::Between;
                    return Ok(&bytes[i..]);
                }
                _ => {}
            }
            i += 1;
        }
        self.element.extend_from_slice(bytes);
        if self.element.len() > LONGEST_ELEMENT {
            return Err(DecodeError::NotPrometheus("one series has more than 64 MiB".into()));
        }
        self.place = Place::Element(depth);
        Ok(&[])
    }

    fn string(&mut self, byte: u8) {
        if self.in_string {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
            }
        } else if byte == b'"' {
            self.in_string = true;
        }
    }
}

/// Labels of a series.
pub(super) type Labels = BTreeMap<String, String>;

/// A series of a range query, put onto the grid.
#[derive(Debug, Default)]
pub(super) struct RangeSeries {
    pub(super) labels: Labels,
    pub(super) samples: Samples,
    /// Samples that are there, those outside of the grid too.
    pub(super) received: u64,
    /// Samples that lie after the end of the grid.
    pub(super) future: u64,
    /// Samples that no measurement can be: not a number, infinite, or below zero.
    pub(super) odd: u64,
    /// Whether it is a native histogram, which has no value of its own.
    pub(super) histogram: bool,
}

/// Decodes one element of a matrix.
pub(super) fn range_series(element: &[u8], window: &Window) -> Result<RangeSeries, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(element);
    RangeSeed { window }
        .deserialize(&mut deserializer)
        .map_err(|e| DecodeError::NotPrometheus(format!("a series is damaged: {e}")))
}

struct RangeSeed<'w> {
    window: &'w Window,
}

impl<'de> DeserializeSeed<'de> for RangeSeed<'_> {
    type Value = RangeSeries;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<RangeSeries, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RangeSeed<'_> {
    type Value = RangeSeries;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a series with `metric` and `values`")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RangeSeries, A::Error> {
        let mut out = RangeSeries::default();
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "metric" => out.labels = map.next_value()?,
                "values" => map.next_value_seed(ValuesSeed { window: self.window, out: &mut out })?,
                "histograms" => {
                    out.histogram = true;
                    map.next_value::<IgnoredAny>()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        out.samples.shrink();
        Ok(out)
    }
}

struct ValuesSeed<'w, 'o> {
    window: &'w Window,
    out: &'o mut RangeSeries,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_, '_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of [time, value]")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.out.samples.reserve(self.window.points());
        while let Some(Point(time, value)) = seq.next_element()? {
            self.out.received += 1;
            match self.window.index_of(time) {
                Some(_) if !Samples::takes(value) => self.out.odd += 1,
                Some(index) => self.out.samples.put(index, value),
                None if time > self.window.end() => self.out.future += 1,
                None => {}
            }
        }
        Ok(())
    }
}

/// `[1700000000.123, "1.5"]`; the time may be a whole number.
struct Point(Timestamp, f64);

impl<'de> Deserialize<'de> for Point {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PointVisitor;
        impl<'de> Visitor<'de> for PointVisitor {
            type Value = Point;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[time, value]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Point, A::Error> {
                let missing = || serde::de::Error::custom("a sample needs a time and a value");
                let time = seq.next_element::<Time>()?.ok_or_else(missing)?;
                let value = seq.next_element::<SampleValue>()?.ok_or_else(missing)?;
                Ok(Point(time.0, value.0))
            }
        }
        deserializer.deserialize_seq(PointVisitor)
    }
}

struct Time(Timestamp);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a unix time in seconds")
            }
            fn visit_u64<E>(self, v: u64) -> Result<Time, E> {
                Ok(Time(Timestamp::from_unix_seconds(i64::try_from(v).unwrap_or(i64::MAX / 1000))))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Time, E> {
                Ok(Time(Timestamp::from_unix_seconds(v)))
            }
            fn visit_f64<E>(self, v: f64) -> Result<Time, E> {
                Ok(Time(Timestamp((v * 1000.0).round() as i64)))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// `"1.5"`, `"NaN"`, `"+Inf"`; NaN and infinities are dropped where samples are stored.
struct SampleValue(f64);

impl<'de> Deserialize<'de> for SampleValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = SampleValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number as text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SampleValue, E> {
                text.parse().map(SampleValue).map_err(|_| E::custom(format!("`{text}` is no number")))
            }
            fn visit_f64<E>(self, v: f64) -> Result<SampleValue, E> {
                Ok(SampleValue(v))
            }
            fn visit_u64<E>(self, v: u64) -> Result<SampleValue, E> {
                Ok(SampleValue(v as f64))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// One element of the vector of an instant query.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct InstantSeries {
    #[serde(default)]
    pub(super) metric: Labels,
    #[serde(default, deserialize_with = "instant_value")]
    pub(super) value: f64,
}

fn instant_value<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Point::deserialize(deserializer).map(|p| p.1)
}

/// Decodes one element of a vector.
pub(super) fn instant_series(element: &[u8]) -> Result<InstantSeries, DecodeError> {
    serde_json::from_slice(element)
        .map_err(|e| DecodeError::NotPrometheus(format!("a series is damaged: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthcore::unit::Seconds;
    use proptest::prelude::*;

    const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix", "result" : [
        {"metric":{"pod":"a]}\"{[b","container":"\u0041pp\\"},"values":[[1000,"1.5"],[1060.000,"NaN"],[1120,"+Inf"],[1180.2,"3e9"]]},
        {"metric":{},"values":[]},{"metric":{"pod":"h"},"histograms":[[1000,{"count":"3"}]]}
    ]},"warnings":["half of it"],"infos":["a note"]}"#;

    fn window() -> Window {
        Window::ending(Timestamp::from_unix_seconds(1200), Seconds(240.0), Seconds(60.0)).unwrap()
    }

    fn decode(text: &str, chunks: &[usize]) -> (Vec<String>, Result<Envelope, DecodeError>) {
        let mut splitter = Splitter::new();
        let mut elements = Vec::new();
        let mut rest = text.as_bytes();
        for chunk in chunks.iter().copied().chain([usize::MAX]) {
            let (now, later) = rest.split_at(chunk.min(rest.len()));
            splitter
                .feed(now, &mut |e| {
                    elements.push(String::from_utf8(e.to_vec()).unwrap());
                    Ok(())
                })
                .unwrap();
            rest = later;
        }
        (elements, splitter.finish())
    }

    #[test]
    fn a_matrix_goes_onto_the_grid() {
        let (elements, envelope) = decode(MATRIX, &[]);
        let envelope = envelope.unwrap();
        assert_eq!((envelope.status.as_str(), envelope.data.result_type.as_str()), ("success", "matrix"));
        assert_eq!(
            (envelope.warnings, envelope.infos),
            (vec!["half of it".to_owned()], vec!["a note".to_owned()])
        );
        assert_eq!(elements.len(), 3);
        let series = range_series(elements[0].as_bytes(), &window()).unwrap();
        assert_eq!(series.labels["pod"], "a]}\"{[b");
        assert_eq!(series.labels["container"], "App\\");
        assert_eq!((series.received, series.future), (4, 0));
        assert_eq!(series.samples.iter().collect::<Vec<_>>(), [(0, 1.5), (3, 3e9)]);
        assert!(range_series(elements[2].as_bytes(), &window()).unwrap().histogram);
    }

    #[test]
    fn vectors_and_scalars_and_errors() {
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"2"]}]}}"#;
        let (elements, _) = decode(vector, &[]);
        let series = instant_series(elements[0].as_bytes()).unwrap();
        assert_eq!((series.metric["a"].as_str(), series.value), ("b", 2.0));
        let (elements, envelope) =
            decode(r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}"#, &[]);
        assert_eq!((elements.len(), envelope.unwrap().data.result_type.as_str()), (0, "scalar"));
        let (_, envelope) =
            decode(r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#, &[]);
        assert_eq!(envelope.unwrap().error, "query timed out");
        let (_, envelope) = decode("<html>login</html>", &[]);
        assert_eq!(
            envelope.unwrap_err().to_string(),
            "the answer is not that of a Prometheus API: it begins with `<html>login</html>`"
        );
        assert_eq!(
            decode("", &[]).1.unwrap_err().to_string(),
            "the answer is not that of a Prometheus API: it is empty"
        );
    }

    #[test]
    fn a_cut_answer_is_known_as_such() {
        let (whole, _) = decode(MATRIX, &[]);
        for end in 2..MATRIX.len() {
            let (elements, envelope) = decode(&MATRIX[..end], &[]);
            assert_eq!(envelope, Err(DecodeError::CutOff), "{end}");
            assert_eq!(elements, whole[..elements.len()], "{end}");
        }
    }

    #[test]
    fn future_samples_are_counted() {
        let series = range_series(br#"{"metric":{},"values":[[1180,"1"],[9000,"2"]]}"#, &window()).unwrap();
        assert_eq!((series.received, series.future, series.samples.count()), (2, 1, 1));
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(chunks in prop::collection::vec(0usize..60, 0..40)) {
            prop_assert_eq!(decode(MATRIX, &chunks), decode(MATRIX, &[]));
        }
    }
}
