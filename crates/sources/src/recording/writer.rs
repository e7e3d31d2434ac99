use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use healthcore::snapshot::{Gap, Snapshot};

use super::format::{Closing, ClusterHead, Header, Line, MetricLine, Number, PartLine, SeriesLine};
use super::reader::Recording;
use crate::SourceError;

/// Compression level: the default of zstd, quick enough not to hold up a run.
const LEVEL: i32 = 3;

/// Writes a recording. The file appears under its name only when [`Recorder::finish`] has succeeded; a run
/// that ends before leaves nothing behind.
///
/// Clusters are written one after the other ([`Recorder::cluster`]), or beside one another ([`Recorder::section`]).
pub struct Recorder {
    path: PathBuf,
    stream: Stream,
}

/// The parts of one cluster of a recording, in a file of their own until [`Recorder::append`] takes it over. So clusters that are fetched
/// at the same time neither mix nor wait for one another, and the recording does not depend on which was first.
pub struct Section(Stream);

/// Lines on their way to a file that has no lasting name yet; removed when dropped.
struct Stream {
    /// The recording, for messages.
    path: PathBuf,
    partial: PathBuf,
    out: Option<Out>,
    parts: u64,
}

enum Out {
    Plain(BufWriter<File>),
    Zstd(Box<zstd::Encoder<'static, BufWriter<File>>>),
}

impl Write for Out {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(w) => w.write(buf),
            Self::Zstd(w) => w.write(buf),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(w) => w.flush(),
            Self::Zstd(w) => w.flush(),
        }
    }
}

impl Out {
    fn new(path: &Path, file: BufWriter<File>) -> std::io::Result<Self> {
        if path.extension().is_some_and(|e| e == "zst") {
            Ok(Self::Zstd(Box::new(zstd::Encoder::new(file, LEVEL)?)))
        } else {
            Ok(Self::Plain(file))
        }
    }

    /// Ends what is compressed, and gives the file with everything written to it.
    fn close(self) -> std::io::Result<BufWriter<File>> {
        let mut file = match self {
            Self::Plain(w) => w,
            Self::Zstd(w) => w.finish()?,
        };
        file.flush()?;
        Ok(file)
    }
}

impl Recorder {
    /// Whether a recording can be written to `path`, without touching it. A recording takes its name when it is whole, so
    /// what is there would be lost: it must be an older recording or empty, and no device, pipe or folder.
    ///
    /// # Errors
    /// What is there is something else, or its folder does not exist.
    pub fn check(path: &Path) -> Result<(), SourceError> {
        if path.file_name().is_none() || path.exists() && !path.is_file() {
            return Err(file_error(
                path,
                "is no regular file, and a recording would take its place; name a file",
            ));
        }
        if let Ok(there) = path.metadata()
            && there.len() > 0
        {
            let is_one = Recording::is_one(path)
                .map_err(|e| file_error(path, &format!("is there already and cannot be read: {e}")))?;
            if !is_one {
                return Err(file_error(
                    path,
                    "is there already and is no recording, and one would take its place; name another file",
                ));
            }
        }
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(file_error(path, "cannot be written; the folder must exist and be writable"));
        }
        Ok(())
    }

    /// Begins a recording at `path`; compressed when the name ends in `.zst`.
    ///
    /// # Errors
    /// The file cannot be made there, as [`Recorder::check`] tells before.
    pub fn create(path: &Path, header: &Header) -> Result<Self, SourceError> {
        Self::check(path)?;
        let mut recorder = Self { path: path.to_owned(), stream: Stream::create(path, "")? };
        recorder.stream.line(header)?;
        Ok(recorder)
    }

    /// Begins a cluster.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn cluster(&mut self, head: &ClusterHead) -> Result<(), SourceError> {
        self.stream.line(&Line::Cluster(head.clone()))
    }

    /// Writes a part of the cluster that was begun last.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn part(&mut self, part: &Snapshot, gaps: &[Gap]) -> Result<(), SourceError> {
        self.stream.part(part, gaps)
    }

    /// Begins the parts of a cluster beside the recording at `path`; `at` tells it from others of the same run.
    ///
    /// # Errors
    /// Its file cannot be made.
    pub fn section(path: &Path, at: usize) -> Result<Section, SourceError> {
        Ok(Section(Stream::create(path, &format!("-{at}"))?))
    }

    /// Takes over a cluster that is whole, with what holds for it and may have become known since its parts were begun.
    /// Clusters stand in the order in which they are taken over.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn append(&mut self, head: &ClusterHead, section: Section) -> Result<(), SourceError> {
        self.cluster(head)?;
        let Section(mut section) = section;
        let failed = |e: std::io::Error| file_error(&self.path, &format!("cannot be written: {e}"));
        section.close().map_err(failed)?;
        // Compressed frames may stand one behind the other (RFC 8878, section 3).
        let mut file = self.stream.close().map_err(failed)?;
        std::io::copy(&mut File::open(&section.partial).map_err(failed)?, &mut file).map_err(failed)?;
        self.stream.out = Some(Out::new(&self.path, file).map_err(failed)?);
        self.stream.parts += section.parts;
        Ok(())
    }

    /// Ends the recording and gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written or renamed, or something that is no file has come to be there.
    pub fn finish(mut self, closing: Closing) -> Result<(), SourceError> {
        self.stream.line(&Line::End(Closing { parts: self.stream.parts, ..closing }))?;
        // A run takes minutes, in which something else may have come to be there.
        Self::check(&self.path)?;
        let failed = |e: std::io::Error| file_error(&self.path, &format!("cannot be written: {e}"));
        self.stream.close().map_err(failed)?.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&self.stream.partial, &self.path).map_err(failed)
    }
}

impl Section {
    /// Writes a part of the cluster.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn part(&mut self, part: &Snapshot, gaps: &[Gap]) -> Result<(), SourceError> {
        self.0.part(part, gaps)
    }
}

impl Stream {
    fn create(path: &Path, mark: &str) -> Result<Self, SourceError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".partial-{}{mark}", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|e| {
            file_error(path, &format!("cannot be written: {e}; the folder must exist and be writable"))
        })?;
        let mut stream = Self { path: path.to_owned(), partial, out: None, parts: 0 };
        let file = BufWriter::with_capacity(1 << 16, file);
        stream.out = Some(Out::new(path, file).map_err(|e| file_error(path, &e.to_string()))?);
        Ok(stream)
    }

    fn part(&mut self, part: &Snapshot, gaps: &[Gap]) -> Result<(), SourceError> {
        let metrics =
            part.series.metrics().map(|(name, missing)| MetricLine { name, missing: missing.cloned() });
        let thinned = part.series.thinned().map(|(namespace, pod)| (namespace.to_owned(), pod.to_owned()));
        let line = PartLine {
            objects: part.objects.clone(),
            metrics: metrics.collect(),
            thinned: thinned.collect(),
        };
        self.line(&Line::Part(Box::new(line)))?;
        for (metric, _) in part.series.metrics() {
            for (key, samples) in part.series.of(metric) {
                self.line(&Line::Series(SeriesLine(
                    metric,
                    Cow::Borrowed(&key.namespace),
                    Cow::Borrowed(&key.name),
                    Cow::Borrowed(&key.container),
                    samples.first_index(),
                    samples.values().map(Number).collect(),
                )))?;
            }
        }
        self.parts += 1;
        self.line(&Line::Gaps(gaps.to_vec()))
    }

    fn close(&mut self) -> std::io::Result<BufWriter<File>> {
        self.out.take().expect("a stream is closed once").close()
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<(), SourceError> {
        let out = self.out.as_mut().expect("nothing is written after the end");
        serde_json::to_writer(&mut *out, line)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|e| file_error(&self.path, &format!("cannot be written: {e}")))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // The partial file of a whole recording has its name by then, and this fails, as it should.
        let _ = std::fs::remove_file(&self.partial);
    }
}

fn file_error(path: &Path, why: &str) -> SourceError {
    SourceError::File { path: path.display().to_string(), why: why.to_owned() }
}
