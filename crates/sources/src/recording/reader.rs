use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use healthcore::series::{Samples, SeriesKey, SeriesStore};
use healthcore::snapshot::{Gap, Snapshot};
use serde::Deserialize;

use super::format::{Closing, ClusterHead, Header, Line, MAJOR, PartLine, Version};
use crate::SourceError;

/// First bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// No line of a recording is longer; a longer one is not a recording.
const LONGEST_LINE: u64 = 1 << 30;

/// No first line is longer.
const LONGEST_HEADER: u64 = 1 << 16;

/// Names that a recording may have inside a folder.
const FILES: [&str; 2] = ["snapshot.ndjson", "snapshot.ndjson.zst"];

/// Reads a recording, one entry at a time.
pub struct Recording {
    name: String,
    lines: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    /// Set by `read`, before anyone sees the value.
    header: Option<Header>,
    cluster: String,
    pending: Option<PartLine>,
    line: u64,
    parts: u64,
    ended: bool,
}

/// What comes next in a recording.
#[derive(Debug)]
pub enum Entry {
    /// A cluster begins.
    Cluster(ClusterHead),
    /// A part of it.
    Part(Box<Snapshot>, Vec<Gap>),
    /// The recording ends.
    End(Closing),
}

impl Recording {
    /// Opens a file, or the `snapshot.ndjson` or `snapshot.ndjson.zst` of a folder.
    ///
    /// # Errors
    /// It cannot be read, is no recording, or is of a newer major version.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let error = |why: String| SourceError::File { path: path.display().to_string(), why };
        let path = Self::files(path).into_iter().next().ok_or_else(|| {
            error(format!("the folder holds no snapshot; expected {} or {}", FILES[0], FILES[1]))
        })?;
        let file = File::open(&path).map_err(|e| error(format!("cannot be read: {e}")))?;
        Self::read(&path.display().to_string(), Box::new(file))
    }

    /// The files that a path stands for: itself, or the recordings of a folder, of which the first is read.
    #[must_use]
    pub fn files(path: &Path) -> Vec<PathBuf> {
        if !path.is_dir() {
            return vec![path.to_owned()];
        }
        FILES.iter().map(|f| path.join(f)).filter(|p| p.is_file()).collect()
    }

    /// Whether a file begins as a recording does, of whatever version.
    pub(super) fn is_one(path: &Path) -> std::io::Result<bool> {
        #[derive(Deserialize)]
        struct First {
            #[serde(rename = "healthcheck-snapshot")]
            _version: serde::de::IgnoredAny,
        }
        let mut start = BufReader::new(File::open(path)?);
        let compressed = start.fill_buf()?.starts_with(&ZSTD_MAGIC);
        let mut line = Vec::new();
        let read = if compressed {
            let text = zstd::Decoder::with_buffer(start)?;
            BufReader::new(text).take(LONGEST_HEADER).read_until(b'\n', &mut line)
        } else {
            start.take(LONGEST_HEADER).read_until(b'\n', &mut line)
        };
        Ok(read.is_ok() && serde_json::from_slice::<First>(&line).is_ok())
    }

    /// Reads from any stream; `name` stands in messages.
    ///
    /// # Errors
    /// As [`Recording::open`].
    pub fn read(name: &str, stream: Box<dyn Read + Send>) -> Result<Self, SourceError> {
        let mut plain = BufReader::with_capacity(1 << 16, stream);
        let broken = |why: String| SourceError::File { path: name.to_owned(), why };
        let start = plain.fill_buf().map_err(|e| broken(format!("cannot be read: {e}")))?;
        let compressed = start.starts_with(&ZSTD_MAGIC);
        let lines: Box<dyn BufRead + Send> = if compressed {
            let decoder = zstd::Decoder::with_buffer(plain)
                .map_err(|e| broken(format!("cannot be decompressed: {e}")))?;
            Box::new(BufReader::with_capacity(1 << 16, decoder))
        } else {
            Box::new(plain)
        };
        let mut recording = Self {
            name: name.to_owned(),
            lines,
            buffer: Vec::new(),
            header: None,
            cluster: String::new(),
            pending: None,
            line: 0,
            parts: 0,
            ended: false,
        };
        recording.header = Some(recording.first_line()?);
        Ok(recording)
    }

    /// What holds for the whole recording.
    #[must_use]
    pub fn header(&self) -> &Header {
        self.header.as_ref().expect("read() has set it")
    }

    /// The next entry; none after the end.
    ///
    /// # Errors
    /// The recording is cut off or damaged.
    pub fn read_entry(&mut self) -> Result<Option<Entry>, SourceError> {
        if self.ended {
            return Ok(None);
        }
        let mut series = SeriesStore::default();
        loop {
            if !self.fill().map_err(|e| self.read_error(&e))? {
                return Err(self
                    .error("is cut off: its last line is missing; record it again, or copy it again whole"));
            }
            let line = match serde_json::from_slice(&self.buffer) {
                Ok(line) => line,
                // A line of a kind that a newer minor version has added.
                Err(_) if self.header().version.minor > super::MINOR && is_unknown_kind(&self.buffer) => {
                    continue;
                }
                Err(e) if e.is_eof() && !self.buffer.ends_with(b"\n") => {
                    return Err(self.error(&format!(
                        "is cut off in line {}; record it again, or copy it again whole",
                        self.line
                    )));
                }
                Err(e) => return Err(self.error(&format!("line {} is damaged: {e}", self.line))),
            };
            match (line, self.pending.is_some()) {
                (Line::Cluster(head), false) => {
                    self.cluster = head.name.clone();
                    return Ok(Some(Entry::Cluster(head)));
                }
                (Line::Part(part), false) => {
                    for metric in &part.metrics {
                        series.fetched(metric.name);
                        if let Some(why) = &metric.missing {
                            series.missing(metric.name, why.clone());
                        }
                    }
                    part.thinned.iter().for_each(|(namespace, pod)| series.thin_out(namespace, pod));
                    self.pending = Some(*part);
                }
                (Line::Series(s), true) => {
                    let key = SeriesKey::container(&s.1, &s.2, &s.3);
                    series.insert(s.0, key, Samples::new(s.4, s.5.iter().map(|n| n.0)));
                }
                (Line::Gaps(gaps), true) => {
                    let part = self.pending.take().expect("checked by the match");
                    self.parts += 1;
                    let snapshot = Snapshot {
                        cluster: self.cluster.clone(),
                        taken_at: self.header().taken_at,
                        window: self.header().window,
                        objects: part.objects,
                        series,
                    };
                    return Ok(Some(Entry::Part(Box::new(snapshot), gaps)));
                }
                (Line::End(closing), false) if closing.parts == self.parts => {
                    self.ended = true;
                    return Ok(Some(Entry::End(closing)));
                }
                (Line::End(closing), false) => {
                    return Err(self.error(&format!(
                        "is incomplete: {} parts announced, {} found",
                        closing.parts, self.parts
                    )));
                }
                _ => return Err(self.error(&format!("line {} is out of place", self.line))),
            }
        }
    }

    fn first_line(&mut self) -> Result<Header, SourceError> {
        const NOT_ONE: &str = "is not a healthcheck snapshot; make one with `healthcheck record`";
        #[derive(Deserialize)]
        struct First {
            #[serde(rename = "healthcheck-snapshot")]
            version: Version,
        }
        match self.fill() {
            Ok(true) => {}
            Ok(false) => return Err(self.error("is empty; make a snapshot with `healthcheck record`")),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Err(self.read_error(&e)),
            Err(_) => return Err(self.error(NOT_ONE)),
        }
        let First { version } = serde_json::from_slice(&self.buffer).map_err(|_| self.error(NOT_ONE))?;
        if version.major > MAJOR {
            return Err(self.error(&format!(
                "has snapshot format {}.{}, and this version of healthcheck reads up to {MAJOR}; install a newer healthcheck",
                version.major, version.minor
            )));
        }
        let header: Header = serde_json::from_slice(&self.buffer)
            .map_err(|e| self.error(&format!("its first line is damaged: {e}")))?;
        if !header.window.is_sound() {
            return Err(self.error("its first line is damaged: the window has a step of 0 or no points"));
        }
        Ok(header)
    }

    /// Reads the next line that is not empty into the buffer; false at the end of the stream.
    fn fill(&mut self) -> std::io::Result<bool> {
        loop {
            self.buffer.clear();
            self.line += 1;
            if (&mut self.lines).take(LONGEST_LINE).read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(false);
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }

    fn read_error(&self, e: &std::io::Error) -> SourceError {
        if e.kind() == std::io::ErrorKind::UnexpectedEof {
            return self.error("is cut off; record it again, or copy it again whole");
        }
        self.error(&format!("cannot be read at line {}: {e}", self.line))
    }

    fn error(&self, why: &str) -> SourceError {
        SourceError::File { path: self.name.clone(), why: why.to_owned() }
    }
}

/// Whether a line is an object with one key that this version does not know.
fn is_unknown_kind(line: &[u8]) -> bool {
    let known = ["cluster", "part", "series", "gaps", "end"];
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line)
        .is_ok_and(|map| map.len() == 1 && map.keys().all(|k| !known.contains(&k.as_str())))
}
