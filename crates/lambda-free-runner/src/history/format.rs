//! How a run of a cluster is kept: lines of JSON, compressed with zstd.
//!
//! The first line is the head, the last one counts those between, so that a file that was cut is known as one. Readers
//! pass over what a later minor version has added and refuse a later major version.

use std::io::{BufRead as _, BufReader, Read as _};

use healthcore::finding::Text;
use healthcore::history::{Headroom, Kept, PastRun, PastScore, Scores};
use healthcore::model::Event;
use healthcore::phrase::phrase;
use healthcore::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the format.
const MAJOR: u32 = 1;
const MINOR: u32 = 2;

/// Compression level of zstd: files are small, so the time does not matter.
const LEVEL: i32 = 9;

/// How zstd begins (RFC 8878).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Longest text that a file may hold, in bytes. A year of a large fleet is smaller.
const LONGEST: u64 = 256 << 20;

/// Why a file of the history cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    #[error("is no history of healthcheck: {0}")]
    Foreign(String),
    #[error(
        "has version {0} of the history format, and this program reads up to {MAJOR}; use a healthcheck at least as new as the one that wrote it"
    )]
    Newer(u32),
    #[error("is cut or damaged: {0}")]
    Damaged(String),
}

impl FormatError {
    /// The same as a phrase, for readers of any language.
    pub(super) fn said(&self) -> Text {
        match self {
            Self::Foreign(why) => phrase("history-foreign").with("why", why.as_str()),
            Self::Newer(major) => phrase("history-newer").with("version", *major).with("known", MAJOR),
            Self::Damaged(why) => phrase("history-damaged").with("why", why.as_str()),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    #[serde(rename = "healthcheck-history")]
    version: Version,
    cluster: String,
    taken_at: Timestamp,
    /// Version of the tool.
    tool: String,
}

#[derive(Serialize, Deserialize)]
struct Version {
    major: u32,
    minor: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Finding(Kept),
    Watch(Kept),
    Headroom(Headroom),
    Event(Event),
    Score(ScoreOf),
    Checks(Vec<String>),
    End(usize),
}

/// The score of a cluster, or of one of its namespaces.
#[derive(Serialize, Deserialize)]
struct ScoreOf {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    points: u8,
    confidence: f64,
}

impl ScoreOf {
    fn all(scores: &Scores) -> impl Iterator<Item = Self> {
        let line = |namespace: Option<&String>, score: &PastScore| Self {
            namespace: namespace.cloned(),
            points: score.points,
            confidence: score.confidence,
        };
        let own = scores.cluster.iter().map(move |score| line(None, score));
        own.chain(scores.namespaces.iter().map(move |(name, score)| line(Some(name), score)))
    }

    fn put(self, scores: &mut Scores) {
        let score = PastScore { points: self.points, confidence: self.confidence };
        match self.namespace {
            None => scores.cluster = Some(score),
            Some(name) => {
                scores.namespaces.insert(name, score);
            }
        }
    }
}

/// The lines of a run, not compressed. Equal runs have equal lines.
pub(super) fn lines(run: &PastRun) -> Vec<u8> {
    let head = Head {
        version: Version { major: MAJOR, minor: MINOR },
        cluster: run.cluster.clone(),
        taken_at: run.taken_at,
        tool: run.version.clone(),
    };
    let mut out = Vec::new();
    let mut line = |value: &dyn erased::Line| value.write(&mut out);
    line(&head);
    let findings = run.findings.iter().cloned().map(Line::Finding);
    let watch = run.watch.iter().cloned().map(Line::Watch);
    let headroom = run.headroom.iter().cloned().map(Line::Headroom);
    let events = run.events.iter().cloned().map(Line::Event);
    let scores = ScoreOf::all(&run.scores).map(Line::Score);
    let checks = (!run.checks.is_empty()).then(|| Line::Checks(run.checks.clone()));
    let mut count = 0;
    for entry in findings.chain(watch).chain(headroom).chain(events).chain(scores).chain(checks) {
        line(&entry);
        count += 1;
    }
    line(&Line::End(count));
    out
}

/// Values of several types as lines.
mod erased {
    pub(super) trait Line {
        fn write(&self, out: &mut Vec<u8>);
    }

    impl<T: serde::Serialize> Line for T {
        fn write(&self, out: &mut Vec<u8>) {
            serde_json::to_writer(&mut *out, self)
                .expect("values of history have text keys, and memory takes all");
            out.push(b'\n');
        }
    }
}

pub(super) fn compress(lines: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    std::io::Write::write_all(&mut encoder, lines)?;
    encoder.finish()
}

/// Reads what [`compress`] made of [`lines`].
pub(super) fn read(bytes: &[u8]) -> Result<PastRun, FormatError> {
    let damaged = |e: &dyn std::fmt::Display| FormatError::Damaged(e.to_string());
    let decoder = zstd::Decoder::new(bytes).map_err(|e| damaged(&e))?;
    let mut text = BufReader::new(decoder.take(LONGEST));
    let mut line = String::new();
    text.read_line(&mut line).map_err(|e| match bytes.starts_with(&MAGIC) {
        true => damaged(&e),
        false => FormatError::Foreign("it is not compressed with zstd".into()),
    })?;
    let head: serde_json::Value =
        serde_json::from_str(&line).map_err(|_| FormatError::Foreign("its first line is no head".into()))?;
    let major = head["healthcheck-history"]["major"].as_u64().unwrap_or(0);
    if major > u64::from(MAJOR) {
        return Err(FormatError::Newer(u32::try_from(major).unwrap_or(u32::MAX)));
    }
    let head: Head =
        serde_json::from_value(head).map_err(|_| FormatError::Foreign("its first line is no head".into()))?;
    let mut run =
        PastRun { cluster: head.cluster, taken_at: head.taken_at, version: head.tool, ..PastRun::default() };
    let mut count = 0;
    loop {
        line.clear();
        if text.read_line(&mut line).map_err(|e| damaged(&e))? == 0 {
            return Err(FormatError::Damaged(format!("it ends after {count} lines, without its last")));
        }
        match serde_json::from_str(&line) {
            Ok(Line::End(written)) if written == count => break,
            Ok(Line::End(written)) => {
                return Err(FormatError::Damaged(format!("it has {count} lines of {written}")));
            }
            Ok(Line::Finding(kept)) => run.findings.push(kept),
            Ok(Line::Watch(kept)) => run.watch.push(kept),
            Ok(Line::Headroom(headroom)) => run.headroom.push(headroom),
            Ok(Line::Event(event)) => run.events.push(event),
            Ok(Line::Score(score)) => score.put(&mut run.scores),
            Ok(Line::Checks(ids)) => run.checks = ids,
            // Something that a later minor version tells.
            Err(_) if head.version.minor > MINOR => {}
            Err(e) => return Err(FormatError::Damaged(format!("line {}: {e}", count + 2))),
        }
        count += 1;
    }
    // Only at its very end does the decoder compare the checksum.
    match text.read_line(&mut line) {
        Ok(0) => {}
        Ok(_) => return Err(FormatError::Damaged("it goes on after its last line".into())),
        Err(e) => return Err(damaged(&e)),
    }
    run.sort();
    Ok(run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthcore::finding::{Severity, SubjectRef, Text};

    pub(super) fn run() -> PastRun {
        let at = Timestamp::from_unix_seconds(1_795_136_400);
        let kept = |fingerprint: &str| Kept {
            fingerprint: fingerprint.into(),
            check: "memory-usage".into(),
            severity: Severity::Warning,
            subject: SubjectRef { namespace: "web".into(), name: "api".into(), ..SubjectRef::default() },
            summary: Text::new("near-limit"),
            first: at,
            last: at,
            told: None,
            near: None,
        };
        let subject = SubjectRef { name: "api".into(), ..SubjectRef::default() };
        PastRun {
            cluster: "prod".into(),
            taken_at: at,
            version: "0.1.0".into(),
            findings: vec![kept("0a"), kept("0b")],
            watch: vec![kept("0c")],
            headroom: vec![Headroom { subject, memory: Some(700), cpu: None }],
            events: vec![event()],
            scores: scores(),
            checks: vec!["memory-usage".into(), "oom-killed".into()],
        }
    }

    fn scores() -> Scores {
        let score = |points, confidence| PastScore { points, confidence };
        Scores {
            cluster: Some(score(72, 0.98)),
            namespaces: [("web".to_owned(), score(72, 0.5)), ("shop".to_owned(), score(100, 1.0))].into(),
        }
    }

    fn event() -> Event {
        Event {
            namespace: "web".into(),
            kind: "Pod".into(),
            name: "api-0".into(),
            reason: "Evicted".into(),
            message: "low on memory".into(),
            count: 2,
            first: Some(Timestamp::from_unix_seconds(1_795_136_000)),
            last: Some(Timestamp::from_unix_seconds(1_795_136_100)),
            seen: Some(Timestamp::from_unix_seconds(1_795_136_400)),
        }
    }

    fn of(text: &str) -> Result<PastRun, String> {
        read(&compress(text.as_bytes()).unwrap()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&compress(&lines(&run())).unwrap()).unwrap(), run());
    }

    #[test]
    fn what_is_no_history_is_refused_helpfully() {
        let text = String::from_utf8(lines(&run())).unwrap();
        let newer = text.replacen("\"major\":1", "\"major\":2", 1);
        assert_eq!(
            of(&newer).unwrap_err(),
            "has version 2 of the history format, and this program reads up to 1; use a healthcheck at least as new as the one that wrote it"
        );
        assert_eq!(of("{}\n").unwrap_err(), "is no history of healthcheck: its first line is no head");
        assert!(read(b"PK\x03\x04").unwrap_err().to_string().starts_with("is no history of healthcheck"));
        assert!(read(b"").unwrap_err().to_string().starts_with("is no history of healthcheck"));
        for error in
            [FormatError::Foreign("x".into()), FormatError::Newer(2), FormatError::Damaged("y".into())]
        {
            assert_eq!(healthcore::phrase::plain(&error.said().into()), error.to_string());
        }
        let without_last = text.trim_end().rsplit_once('\n').unwrap().0;
        assert_eq!(
            of(without_last).unwrap_err(),
            "is cut or damaged: it ends after 9 lines, without its last"
        );
        let without_one = text.replacen(text.lines().nth(1).unwrap(), "", 1).replacen("\n\n", "\n", 1);
        assert_eq!(of(&without_one).unwrap_err(), "is cut or damaged: it has 8 lines of 9");
        let strange = text.replacen("{\"watch\"", "{\"wotch\"", 1);
        assert!(of(&strange).unwrap_err().starts_with("is cut or damaged: line 4: unknown variant `wotch`"));
    }

    /// A text without the lines of a kind, as a program wrote it that did not know them.
    fn without(text: &str, minor: u32, kinds: &[&str]) -> String {
        let kept = |line: &&str| !kinds.iter().any(|kind| line.starts_with(&format!("{{\"{kind}\":")));
        let lines: Vec<&str> =
            text.lines().filter(kept).filter(|line| !line.starts_with("{\"end\"")).collect();
        let end = format!("\n{{\"end\":{}}}\n", lines.len() - 1);
        (lines.join("\n") + &end).replacen(&format!("\"minor\":{MINOR}"), &format!("\"minor\":{minor}"), 1)
    }

    /// Runs that were kept before events were have none, and their events had no run that saw them.
    #[test]
    fn a_history_of_version_1_0_is_read() {
        let text = without(&String::from_utf8(lines(&run())).unwrap(), 0, &["score", "checks"]);
        let seen = format!(",\"seen\":{}", run().taken_at.0);
        assert!(text.contains(&seen));
        let old = text.replacen(&seen, "", 1);
        assert_eq!(of(&old).unwrap().events, [Event { seen: None, ..event() }]);
        let older = without(&old, 0, &["event"]);
        let unscored = PastRun { scores: Scores::default(), checks: Vec::new(), ..run() };
        assert_eq!(of(&older).unwrap(), PastRun { events: Vec::new(), ..unscored });
    }

    /// Runs that were kept before scores were have none.
    #[test]
    fn a_history_of_version_1_1_is_read() {
        let text = without(&String::from_utf8(lines(&run())).unwrap(), 1, &["score", "checks"]);
        assert_eq!(of(&text).unwrap(), PastRun { scores: Scores::default(), checks: Vec::new(), ..run() });
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = compress(&lines(&run())).unwrap();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes of {}", whole.len());
        }
    }

    #[test]
    fn a_later_minor_version_is_read() {
        let text = String::from_utf8(lines(&run())).unwrap();
        let later = text
            .replacen("\"minor\":2", "\"minor\":3", 1)
            .replacen("{\"watch\"", "{\"wotch\"", 1)
            .replacen("\"fingerprint\"", "\"new-field\":1,\"fingerprint\"", 1);
        let read = of(&later).unwrap();
        assert_eq!((read.findings.len(), read.watch.len(), read.headroom.len()), (2, 0, 1));
    }
}
