//! Where reports go: standard output or files, never half-written.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use healthcore::report::Report;
use healthcore_report::{Format, Lang, RenderOptions, Template, Zone, render};
use healthcore_sources::recording::Recorder;
use lambda_free_runner::config::Config;
use lambda_free_runner::unfinished;

use crate::args::{Color, FormatArg, Output};

/// A format and where it goes; no path is standard output.
pub(crate) type Target = (Writing, Option<PathBuf>);

/// What a report is written as.
#[derive(Debug, Clone)]
pub(crate) enum Writing {
    Known(Format),
    /// A template of the user, from this file.
    Own(Box<Template>, PathBuf),
}

impl Writing {
    /// Whether it is a template of the user.
    const fn is_own(&self) -> bool {
        matches!(self, Self::Own(..))
    }

    /// What `--format` calls it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Known(format) => format.name().to_owned(),
            Self::Own(_, path) => format!("template={}", path.display()),
        }
    }

    /// Reads the template when there is one, before any server is asked.
    fn new(arg: &FormatArg, config: &Config) -> anyhow::Result<Self> {
        let name = match arg {
            FormatArg::Known(format) => return Ok(Self::Known(*format)),
            FormatArg::Template(name) => name,
        };
        let path = config.templates.get(name).cloned().unwrap_or_else(|| PathBuf::from(name));
        let named = || match config.templates.is_empty() {
            true => String::new(),
            false => {
                let names: Vec<&str> = config.templates.keys().map(String::as_str).collect();
                format!("; the configuration names {}", names.join(", "))
            }
        };
        let source = std::fs::read_to_string(&path).map_err(|e| {
            anyhow::anyhow!("--format template={name}: {} cannot be read: {e}{}", path.display(), named())
        })?;
        Ok(Self::Own(Box::new(Template::new(&path.display().to_string(), source)?), path))
    }
}

impl Written {
    /// This, and what was written later.
    pub(crate) fn and(mut self, later: Self) -> Self {
        self.files.extend(later.files);
        self.faults.extend(later.faults);
        self
    }
}

impl Output {
    /// How the report is told, as arguments and configuration say.
    pub(crate) fn options(&self, config: &Config) -> RenderOptions {
        options(self.lang, self.time_zone.clone(), config)
    }
}

/// Language and zone: of the arguments, else of the configuration.
pub(crate) fn options(lang: Option<Lang>, zone: Option<Zone>, config: &Config) -> RenderOptions {
    RenderOptions {
        lang: lang.or(config.lang).unwrap_or_default(),
        zone: zone.or_else(|| config.zone.clone()).unwrap_or_default(),
        ..RenderOptions::default()
    }
}

/// Pairs formats with files: the n-th with the n-th; a file alone tells its format by its ending; at most one format
/// goes to standard output.
/// `usual` goes to standard output where nothing says which; without it text on a terminal, else Markdown.
pub(crate) fn targets(args: &Output, config: &Config, usual: Option<Format>) -> anyhow::Result<Vec<Target>> {
    let stdout = |path: &Path| path.as_os_str() == "-";
    let by_terminal = || if std::io::stdout().is_terminal() { Format::Text } else { Format::Markdown };
    let default = || Writing::Known(usual.unwrap_or_else(by_terminal));
    let formats: Vec<Writing> =
        args.format.iter().map(|arg| Writing::new(arg, config)).collect::<anyhow::Result<_>>()?;
    let targets: Vec<Target> = match (formats.len(), args.output.len()) {
        (0, 0) => vec![(default(), None)],
        (_, 0) => formats.into_iter().map(|f| (f, None)).collect(),
        (0, _) => {
            let by_ending = |path: &PathBuf| -> anyhow::Result<Target> {
                if stdout(path) {
                    return Ok((default(), None));
                }
                let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
                let format = Format::from_ending(ending).with_context(|| {
                    format!("--output {}: no format has this ending; name one with --format", path.display())
                })?;
                Ok((Writing::Known(format), Some(path.clone())))
            };
            args.output.iter().map(by_ending).collect::<anyhow::Result<_>>()?
        }
        (count, outputs) if count == outputs => {
            let path = |p: &PathBuf| (!stdout(p)).then(|| p.clone());
            formats.into_iter().zip(args.output.iter().map(path)).collect()
        }
        (count, outputs) => bail!(
            "{}, but {}: give one --output for each --format, or only --output with endings that name the format",
            given(count, "--format"),
            given(outputs, "--output")
        ),
    };
    if targets.iter().filter(|(_, path)| path.is_none()).count() > 1 {
        bail!("more than one report for standard output; give an --output FILE for each --format but one");
    }
    for path in targets.iter().filter_map(|(_, p)| p.as_ref()) {
        // Now, and not after a run of minutes whose report would be lost.
        if path.is_dir() {
            bail!("--output {}: is a folder; name a file in it", path.display());
        }
        if !folder_of(path).is_dir() {
            bail!("--output {}: cannot be written; the folder must exist and be writable", path.display());
        }
    }
    Ok(targets)
}

/// A file of a run, with the words that name it in messages.
pub(crate) struct Used {
    what: &'static str,
    path: PathBuf,
}

/// A file that an argument names, if it does.
pub(crate) fn used(what: &'static str, path: Option<&PathBuf>) -> Option<Used> {
    path.map(|path| Used { what, path: path.clone() })
}

/// Files that reports go to.
pub(crate) fn written(targets: &[Target]) -> impl Iterator<Item = Used> {
    targets.iter().filter_map(|(_, path)| used("--output", path.as_ref()))
}

/// Files of templates.
pub(crate) fn templates(targets: &[Target]) -> impl Iterator<Item = Used> {
    targets.iter().filter_map(|(writing, _)| match writing {
        Writing::Known(_) => None,
        Writing::Own(_, path) => used("--format template", Some(path)),
    })
}

/// Refuses to write to a file that is read, or twice to one: whatever name it has, what was in it would be lost.
pub(crate) fn separate(
    read: impl IntoIterator<Item = Used>,
    written: impl IntoIterator<Item = Used>,
) -> anyhow::Result<()> {
    let mut seen: Vec<(PathBuf, Used, bool)> = Vec::new();
    for file in read {
        seen.extend(real(&file.path).map(|real| (real, file, true)));
    }
    for file in written {
        let Some(real) = real(&file.path) else { continue };
        if let Some((_, other, is_read)) = seen.iter().find(|(r, ..)| *r == real) {
            let (what, path) = (file.what, file.path.display());
            if *is_read {
                bail!("{what} {path}: is the file of {}, which would be lost; name another file", other.what);
            }
            bail!("{what} {path}: is written to already, by {} {}", other.what, other.path.display());
        }
        seen.push((real, file, false));
    }
    Ok(())
}

/// The one path of a file, there or not, that all its names lead to. Devices and pipes have none: they take what comes.
fn real(path: &Path) -> Option<PathBuf> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => None,
        Ok(_) => std::fs::canonicalize(path).ok(),
        Err(_) => Some(std::fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?)),
    }
}

/// Refuses a path that no recording can be written to, before servers are asked for it.
pub(crate) fn recordable(path: &Path) -> anyhow::Result<()> {
    if path.as_os_str() == "-" {
        bail!("a recording cannot go to standard output; name a file, such as `snapshot.ndjson.zst`");
    }
    Ok(Recorder::check(path)?)
}

/// Targets that no template of the user makes, and those that one does. Nothing bounds the memory that a template takes: it
/// has its turn when all else is done.
pub(crate) fn own_last(targets: &[Target]) -> (Vec<Target>, Vec<Target>) {
    targets.iter().cloned().partition(|(writing, _)| !writing.is_own())
}

/// What became of the places that a report goes to.
#[derive(Default)]
pub(crate) struct Written {
    /// Files that hold it now.
    pub(crate) files: Vec<PathBuf>,
    /// Why others do not, and standard output.
    pub(crate) faults: Vec<anyhow::Error>,
}

/// Writes the report everywhere it goes, and says which places it could not reach: one that fails costs no other.
/// Arguments win over what the configuration says of language and zone.
pub(crate) fn write(
    report: &Report,
    args: &Output,
    config: &Config,
    targets: &[Target],
    color: Color,
) -> Written {
    let one = |(writing, path): &Target| {
        let text_on_screen = path.is_none() && matches!(writing, Writing::Known(Format::Text));
        let options = RenderOptions {
            color: text_on_screen && color.on(&std::io::stdout()),
            width: terminal_size::terminal_size().map_or(120, |(width, _)| usize::from(width.0)),
            ..args.options(config)
        };
        let text = match writing {
            Writing::Known(format) => render(report, *format, &options)?,
            Writing::Own(template, _) => template.render(report, &options)?,
        };
        match path {
            None => print(&text),
            Some(path) => replace(path, text.as_bytes()),
        }
    };
    let mut written = Written::default();
    let (known, own) = own_last(targets);
    for target in known.iter().chain(&own) {
        match one(target) {
            Ok(()) => written.files.extend(target.1.clone()),
            Err(why) => written.faults.push(why),
        }
    }
    written
}

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a whole file in place of what is there; readers see the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let mut file = Whole::create(path)?;
    file.write_all(content).map_err(|e| unwritable(path, e))?;
    file.finish()
}

fn unwritable(path: &Path, error: std::io::Error) -> anyhow::Error {
    let path = path.display();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            anyhow!("{path}: cannot be written; the disk is full: make room, or name a file on another one")
        }
        _ => anyhow::Error::new(without_path(error))
            .context(format!("{path}: cannot be written; the folder must exist and be writable")),
    }
}

/// A file that takes its name when it is whole. Through a link the file that it leads to is replaced; a pipe or device
/// is written to, and stays what it is.
pub(crate) struct Whole {
    path: PathBuf,
    to: Destination,
}

enum Destination {
    /// A file beside the one that it will replace.
    Beside(tempfile::NamedTempFile, PathBuf),
    /// A pipe or device.
    Device(std::fs::File),
}

impl Whole {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let failed = |e| unwritable(path, e);
        let mut target = path.to_owned();
        if let Ok(there) = std::fs::metadata(path) {
            if !there.is_file() {
                let device = std::fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
                return Ok(Self { path: path.to_owned(), to: Destination::Device(device) });
            }
            target = std::fs::canonicalize(path).map_err(failed)?;
        }
        unfinished::clear(folder_of(&target));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            // As any program's files; a temporary file would be for its owner alone.
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o644));
        }
        let file = builder.prefix(unfinished::PREFIX).tempfile_in(folder_of(&target)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), to: Destination::Beside(file, target) })
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let failed = |e| unwritable(&self.path, e);
        match self.to {
            Destination::Device(mut device) => device.flush().map_err(failed),
            Destination::Beside(file, target) => {
                file.as_file().sync_all().map_err(failed)?;
                file.persist(&target).map_err(|e| failed(e.error))?;
                Ok(())
            }
        }
    }
}

impl std::io::Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.to {
            // Not by its own `write`, whose errors name the temporary file.
            Destination::Beside(file, _) => file.as_file_mut().write(bytes),
            Destination::Device(device) => device.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            Destination::Beside(file, _) => file.as_file_mut().flush(),
            Destination::Device(device) => device.flush(),
        }
    }
}

/// The cause of an error about a temporary file, whose name says nothing to anyone.
fn without_path(error: std::io::Error) -> std::io::Error {
    let words = error.to_string();
    match words.split_once(" at path ") {
        Some((cause, _)) => std::io::Error::other(cause),
        None => error,
    }
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("standard output")
}

/// A line on standard error.
pub(crate) fn note(line: &str) {
    // A log that cannot be written must not end the run.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// How often an option was given.
fn given(times: usize, option: &str) -> String {
    match times {
        0 => format!("no {option}"),
        1 => format!("one {option}"),
        n => format!("{n} {option}"),
    }
}

#[cfg(test)]
mod tests {
    use healthcore::time::{Timestamp, Window};
    use healthcore::unit::Seconds;

    use super::*;

    #[test]
    fn a_full_disk_is_no_matter_of_the_folder() {
        let path = Path::new("/reports/r.html");
        let told = |error: std::io::Error| format!("{:#}", unwritable(path, error));
        assert_eq!(
            told(ErrorKind::StorageFull.into()),
            "/reports/r.html: cannot be written; the disk is full: make room, or name a file on another one"
        );
        let denied =
            std::io::Error::other("Permission denied (os error 13) at path \"/reports/.healthcheck-x\"");
        assert_eq!(
            told(denied),
            "/reports/r.html: cannot be written; the folder must exist and be writable: Permission denied (os error 13)"
        );
    }

    #[test]
    fn templates_of_users_are_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let own = Template::new("own.md", "# {{ verdict }}".to_owned()).unwrap();
        let own = Writing::Own(Box::new(own), "own.md".into());
        let paths = ["own.md", "a.json", "b.csv"].map(|name| folder.path().join(name));
        let writings = [own, Writing::Known(Format::Json), Writing::Known(Format::Csv)];
        let targets: Vec<Target> = writings.into_iter().zip(paths.clone().map(Some)).collect();
        let (end, day) = (Timestamp(0), Seconds::from_days(1.0));
        let window = Window::ending(end, day, Seconds::from_hours(1.0)).unwrap();
        let report = Report::new("0", end, window, vec![], vec![], &[]);
        let args = Output { format: vec![], output: vec![], lang: None, time_zone: None };
        let written = write(&report, &args, &Config::default(), &targets, Color::Never);
        assert!(written.faults.is_empty(), "{:?}", written.faults);
        let [own, json, csv] = paths;
        assert_eq!(written.files, [json, csv, own]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_that_is_full_says_so() {
        let why = replace(Path::new("/dev/full"), b"{}").unwrap_err();
        assert!(format!("{why:#}").starts_with("/dev/full: cannot be written; the disk is full"), "{why:#}");
    }
}
