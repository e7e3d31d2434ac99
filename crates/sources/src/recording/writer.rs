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
pub struct Recorder {
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
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".partial-{}", std::process::id()));
        let partial = path.with_file_name(name);
        let file = File::create(&partial).map_err(|e| {
            file_error(path, &format!("cannot be written: {e}; the folder must exist and be writable"))
        })?;
        let file = BufWriter::with_capacity(1 << 16, file);
        let out = if path.extension().is_some_and(|e| e == "zst") {
            Out::Zstd(Box::new(
                zstd::Encoder::new(file, LEVEL).map_err(|e| file_error(path, &e.to_string()))?,
            ))
        } else {
            Out::Plain(file)
        };
        let mut recorder = Self { path: path.to_owned(), partial, out: Some(out), parts: 0 };
        recorder.line(header)?;
        Ok(recorder)
    }

    /// Begins a cluster.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn cluster(&mut self, head: &ClusterHead) -> Result<(), SourceError> {
        self.line(&Line::Cluster(head.clone()))
    }

    /// Writes a part of the cluster that was begun last.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn part(&mut self, part: &Snapshot, gaps: &[Gap]) -> Result<(), SourceError> {
        let metrics =
            part.series.metrics().map(|(name, missing)| MetricLine { name, missing: missing.cloned() });
        self.line(&Line::Part(PartLine { objects: part.objects.clone(), metrics: metrics.collect() }))?;
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

    /// Ends the recording and gives the file its name.
    ///
    /// # Errors
    /// The file cannot be written or renamed, or something that is no file has come to be there.
    pub fn finish(mut self, closing: Closing) -> Result<(), SourceError> {
        self.line(&Line::End(Closing { parts: self.parts, ..closing }))?;
        // A run takes minutes, in which something else may have come to be there.
        Self::check(&self.path)?;
        let failed = |e: std::io::Error| file_error(&self.path, &format!("cannot be written: {e}"));
        let mut file = match self.out.take().expect("finish is called once, and only drop takes it before") {
            Out::Plain(w) => w,
            Out::Zstd(w) => w.finish().map_err(failed)?,
        };
        file.flush().map_err(failed)?;
        file.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&self.partial, &self.path).map_err(failed)
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<(), SourceError> {
        let out = self.out.as_mut().expect("nothing is written after the end");
        serde_json::to_writer(&mut *out, line)
            .map_err(std::io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|e| file_error(&self.path, &format!("cannot be written: {e}")))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // After `finish` the partial file is gone and this fails, as it should.
        let _ = std::fs::remove_file(&self.partial);
    }
}

fn file_error(path: &Path, why: &str) -> SourceError {
    SourceError::File { path: path.display().to_string(), why: why.to_owned() }
}
