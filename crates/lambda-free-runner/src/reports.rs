//! Finished reports in a folder: rendered once, put there as a whole, read by whoever serves them.
//!
//! A run has a folder of its own, named after its instant, which gets that name when everything is in it. So a reader
//! sees whole reports only, whatever becomes of the writer, also where the folder is shared over a network.
//!
//! A report that is to be delivered has its values beside its pages until that is done. So another program, or the same one
//! started again, can deliver what one that was killed in between has left.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use healthcore::report::Report;
use healthcore::time::Timestamp;
use healthcore_report::{Format, RenderError, RenderOptions, render};

use crate::history::{History, HistoryError};

/// How a folder is named that is not finished.
const UNFINISHED: &str = ".unfinished-";
/// Age from which on an unfinished folder belongs to a program that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// The values of a report that is not delivered yet, in the folder of its run.
const UNDELIVERED: &str = "undelivered.json";

/// A report in every format that files have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// When its data were taken, to the second.
    pub taken_at: Timestamp,
    /// Its bytes, by the name of the format.
    pub pages: BTreeMap<&'static str, Arc<[u8]>>,
}

/// Formats of reports that are kept, with the endings of their files.
pub const KEPT: [(Format, &str); 9] = [
    (Format::Html, "html"),
    (Format::Json, "json"),
    (Format::Markdown, "md"),
    (Format::Text, "txt"),
    (Format::Yaml, "yaml"),
    (Format::Csv, "csv"),
    (Format::Junit, "xml"),
    (Format::Sarif, "sarif"),
    (Format::OpenMetrics, "prom"),
];

impl Rendered {
    /// Renders a report in all formats. It takes its time: not for a thread that others wait for.
    ///
    /// # Errors
    /// A template is wrong, which the tests exclude.
    pub fn of(report: &Report, options: &RenderOptions) -> Result<Self, RenderError> {
        let page = |(format, _): &(Format, &str)| {
            Ok((format.name(), Arc::from(render(report, *format, options)?.into_bytes())))
        };
        let taken_at = Timestamp::from_unix_seconds(report.taken_at.unix_seconds());
        Ok(Self { taken_at, pages: KEPT.iter().map(page).collect::<Result<_, RenderError>>()? })
    }
}

/// Why reports cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("reports `{}`: {what}: {why}", .path.display())]
pub struct ReportsError {
    /// The folder or file.
    pub path: PathBuf,
    what: &'static str,
    why: io::Error,
}

/// A folder of reports.
#[derive(Debug, Clone)]
pub struct ReportFolder {
    path: PathBuf,
    keep: usize,
}

impl ReportFolder {
    /// The folder at a path, which is made when it is not there. `keep` of its reports stay, one at least.
    ///
    /// # Errors
    /// It cannot be made or written to.
    pub fn open(path: &Path, keep: usize) -> Result<Self, ReportsError> {
        let folder = Self { path: path.to_owned(), keep: keep.max(1) };
        fs::create_dir_all(path).map_err(|why| folder.error("cannot be made", why))?;
        // Now, and not after a run of minutes whose report would be lost.
        folder.unfinished().map_err(|why| folder.error("cannot be written to", why))?;
        Ok(folder)
    }

    /// Where it is remembered, beside the reports, what of them was sent to whom: the folder `deliveries`.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn deliveries(&self) -> Result<History, HistoryError> {
        History::existing(&format!("file://{}", self.path.display()))
    }

    /// Puts a report there, and removes those that are too many. One of the same second that is there already stays. Where its
    /// values are given, it is [`undelivered`](Self::undelivered) until it is [`delivered`](Self::delivered).
    ///
    /// # Errors
    /// It cannot be written; then nothing of it is there.
    pub fn keep(&self, report: &Rendered, to_deliver: Option<&Report>) -> Result<(), ReportsError> {
        let written = self.write(report, to_deliver);
        written.map_err(|why| self.error("the report cannot be kept", why))?;
        self.tidy();
        Ok(())
    }

    fn write(&self, report: &Rendered, to_deliver: Option<&Report>) -> io::Result<()> {
        let unfinished = self.unfinished()?;
        if let Some(values) = to_deliver {
            let file = File::create(unfinished.path().join(UNDELIVERED))?;
            let mut file = io::BufWriter::new(file);
            serde_json::to_writer(&mut file, values)?;
            file.into_inner()?.sync_all()?;
        }
        for (format, ending) in KEPT {
            let Some(page) = report.pages.get(format.name()) else { continue };
            let mut file = File::create(unfinished.path().join(format!("report.{ending}")))?;
            file.write_all(page)?;
            file.sync_all()?;
        }
        sync(unfinished.path())?;
        let path = self.path.join(name(report.taken_at));
        match fs::rename(unfinished.path(), &path) {
            Ok(()) => {
                // It has its name now and is no longer to be removed.
                let _ = unfinished.keep();
                sync(&self.path)
            }
            Err(_) if path.is_dir() => Ok(()),
            Err(why) => Err(why),
        }
    }

    fn unfinished(&self) -> io::Result<tempfile::TempDir> {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any program's folders; a temporary one would be for its owner alone.
            builder.permissions(fs::Permissions::from_mode(0o755));
        }
        builder.prefix(UNFINISHED).tempdir_in(&self.path)
    }

    /// The instant of the latest report, if there is one.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn latest_instant(&self) -> Result<Option<Timestamp>, ReportsError> {
        Ok(self.instants()?.pop())
    }

    /// The latest report, if there is one.
    ///
    /// # Errors
    /// The folder, or what is in it, cannot be read.
    pub fn latest(&self) -> Result<Option<Rendered>, ReportsError> {
        let mut instants = self.instants()?;
        while let Some(taken_at) = instants.pop() {
            match self.read(taken_at) {
                // Another program tidied up in between.
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                Err(why) => return Err(self.error("the latest report cannot be read", why)),
                Ok(report) => return Ok(Some(report)),
            }
        }
        Ok(None)
    }

    /// The latest report, when it is not delivered yet, and how long ago it was kept. Those before it are yesterday's news.
    ///
    /// # Errors
    /// The folder cannot be read, or another version of this program wrote the report.
    pub fn undelivered(&self) -> Result<Option<(Report, Duration)>, ReportsError> {
        let Some(latest) = self.latest_instant()? else { return Ok(None) };
        let path = self.path.join(name(latest)).join(UNDELIVERED);
        let read = || -> io::Result<(Report, Duration)> {
            let kept_at = fs::metadata(&path)?.modified()?;
            let report = serde_json::from_slice(&fs::read(&path)?)?;
            Ok((report, SystemTime::now().duration_since(kept_at).unwrap_or_default()))
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(self.error("a report that is not delivered yet cannot be read", why)),
        }
    }

    /// Notes that nothing is left to be done about a report.
    ///
    /// # Errors
    /// That cannot be noted, so it may be delivered again.
    pub fn delivered(&self, taken_at: Timestamp) -> Result<(), ReportsError> {
        match fs::remove_file(self.path.join(name(taken_at)).join(UNDELIVERED)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(self.error("that a report is delivered cannot be noted", why))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, taken_at: Timestamp) -> io::Result<Rendered> {
        let folder = self.path.join(name(taken_at));
        let mut pages = BTreeMap::new();
        for (format, ending) in KEPT {
            match fs::read(folder.join(format!("report.{ending}"))) {
                Ok(page) => drop(pages.insert(format.name(), Arc::from(page))),
                // A version that had fewer formats wrote it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        if pages.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Rendered { taken_at, pages })
    }

    /// The instants of all reports, in order.
    fn instants(&self) -> Result<Vec<Timestamp>, ReportsError> {
        let list = || -> io::Result<Vec<Timestamp>> {
            let mut found = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                found.extend(entry?.file_name().to_str().and_then(instant));
            }
            found.sort_unstable();
            Ok(found)
        };
        list().map_err(|why| self.error("cannot be read", why))
    }

    /// Removes what is too many, and what programs that are gone have left. What cannot be removed stays until next time.
    fn tidy(&self) {
        let instants = self.instants().unwrap_or_default();
        for old in &instants[..instants.len().saturating_sub(self.keep)] {
            // Under another name first: half a report must not be read.
            let Ok(away) = self.unfinished() else { return };
            let _ = fs::rename(self.path.join(name(*old)), away.path().join("report"));
        }
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let is_ours = entry.file_name().to_str().is_some_and(|n| n.starts_with(UNFINISHED));
            if is_ours && is_left_behind(&entry) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    fn error(&self, what: &'static str, why: io::Error) -> ReportsError {
        // The name of a temporary folder says nothing to anyone.
        let why = match why.to_string().split_once(" at path ") {
            Some((cause, _)) => io::Error::new(why.kind(), cause.to_owned()),
            None => why,
        };
        ReportsError { path: self.path.clone(), what, why }
    }
}

fn is_left_behind(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|m| m.modified());
    let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > LEFT_BEHIND)
}

/// Makes names in a folder last over a loss of power, where that can be asked for.
fn sync(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// The name of a report's folder, such as `20261121T010000Z`: names sort as their instants do.
fn name(taken_at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(taken_at.unix_seconds()).unwrap_or(jiff::Timestamp::MAX);
    at.strftime(STAMP).to_string()
}

fn instant(name: &str) -> Option<Timestamp> {
    let at = jiff::civil::DateTime::strptime(STAMP, name).ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let at = Timestamp::from_unix_seconds(at.timestamp().as_second());
    // What is named alike by hand is no report.
    (self::name(at) == name).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(second: i64, text: &str) -> Rendered {
        let pages = [("html", Arc::from(text.as_bytes())), ("json", Arc::from(&b"{}"[..]))];
        Rendered { taken_at: Timestamp::from_unix_seconds(second), pages: pages.into_iter().collect() }
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_latest_report_is_read_back() {
        let place = tempfile::tempdir().unwrap();
        let folder = ReportFolder::open(&place.path().join("deep/reports"), 30).unwrap();
        assert_eq!(folder.latest().unwrap(), None);
        for (second, text) in [(1_795_222_800, "second"), (1_795_136_400, "first")] {
            folder.keep(&report(second, text), None).unwrap();
        }
        assert_eq!(folder.latest().unwrap(), Some(report(1_795_222_800, "second")));
        assert_eq!(folder.latest_instant().unwrap(), Some(Timestamp::from_unix_seconds(1_795_222_800)));
        // A second run of one second changes nothing.
        folder.keep(&report(1_795_222_800, "again"), None).unwrap();
        assert_eq!(folder.latest().unwrap(), Some(report(1_795_222_800, "second")));
        assert_eq!(names(&folder.path), ["20261120T010000Z", "20261121T010000Z"]);
    }

    #[test]
    fn what_is_no_report_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        for other in ["lost+found", ".unfinished-abc", "99999999T999999Z", "2026112T0010000Z"] {
            fs::create_dir(place.path().join(other)).unwrap();
        }
        let folder = ReportFolder::open(place.path(), 1).unwrap();
        assert_eq!(folder.latest().unwrap(), None);
        folder.keep(&report(1_795_136_400, "first"), None).unwrap();
        folder.keep(&report(1_795_222_800, "second"), None).unwrap();
        assert_eq!(folder.latest().unwrap(), Some(report(1_795_222_800, "second")));
        let kept =
            [".unfinished-abc", "20261121T010000Z", "2026112T0010000Z", "99999999T999999Z", "lost+found"];
        assert_eq!(names(place.path()), kept, "the older report is gone, and nothing else");
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let said = ReportFolder::open(&file, 1).unwrap_err().to_string();
        assert!(said.starts_with(&format!("reports `{}`: cannot be made: ", file.display())), "{said}");
        let folder = ReportFolder::open(&place.path().join("reports"), 1).unwrap();
        fs::remove_dir(&folder.path).unwrap();
        let said = folder.keep(&report(0, ""), None).unwrap_err().to_string();
        assert!(said.contains("the report cannot be kept") && !said.contains(UNFINISHED), "{said}");
    }

    #[test]
    fn every_kept_format_has_the_ending_that_stands_for_it() {
        for (format, ending) in KEPT {
            assert_eq!(Format::from_ending(ending), Some(format), "{ending}");
        }
    }

    async fn of_fixture(name: &str) -> Report {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
        crate::run_once(&crate::RunSpec::new(crate::Input::Recording(path)), &crate::Silent).await.unwrap()
    }

    /// Whoever delivers it later says the same as who would have delivered it at once: so the same report is known again.
    #[tokio::test]
    async fn a_report_that_is_not_delivered_is_read_back_as_it_was() {
        for fixture in ["demo", "access-denied", "hostile-names"] {
            let place = tempfile::tempdir().unwrap();
            let folder = ReportFolder::open(place.path(), 2).unwrap();
            let report = of_fixture(fixture).await;
            let rendered = Rendered::of(&report, &RenderOptions::default()).unwrap();
            folder.keep(&rendered, Some(&report)).unwrap();
            let (left, _) = folder.undelivered().unwrap().unwrap();
            assert!(Rendered::of(&left, &RenderOptions::default()).unwrap() == rendered, "{fixture}");
            assert_eq!(folder.latest().unwrap(), Some(rendered), "its pages are there as ever");
            folder.delivered(left.taken_at).unwrap();
            assert_eq!(folder.undelivered().unwrap(), None);
            folder.delivered(left.taken_at).unwrap();
        }
    }

    #[tokio::test]
    async fn only_the_latest_report_is_still_to_be_delivered() {
        let place = tempfile::tempdir().unwrap();
        let folder = ReportFolder::open(place.path(), 2).unwrap();
        let values = of_fixture("healthy").await;
        folder.keep(&report(1_795_136_400, "first"), Some(&values)).unwrap();
        folder.keep(&report(1_795_222_800, "second"), None).unwrap();
        assert_eq!(folder.undelivered().unwrap(), None);
        let broken = place.path().join("20261121T010000Z").join(UNDELIVERED);
        fs::write(broken, "{\"of\": \"another version\"}").unwrap();
        let why = folder.undelivered().unwrap_err().to_string();
        assert!(why.contains("a report that is not delivered yet cannot be read: missing field"), "{why}");
    }
}
