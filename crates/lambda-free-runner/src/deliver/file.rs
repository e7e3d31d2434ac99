//! Files by a template of their names, and standard output.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use healthcore_report::{Format, Template};

use super::{Content, DeliverError, Delivery, Receipt, Sink};
use crate::unfinished;

/// What a template of a name may hold.
const NAMES: [&str; 4] = ["cluster", "date", "time", "format"];

/// What a file is written as.
#[derive(Debug, Clone)]
pub enum Writing {
    /// A format.
    Known(Format),
    /// A template of the user.
    Own(Box<Template>),
}

impl Writing {
    /// The ending of its files.
    #[must_use]
    pub fn ending(&self) -> &str {
        match self {
            Self::Known(format) => format.ending(),
            Self::Own(template) => template.ending(),
        }
    }

    /// Whether it is a template of the user.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// How messages name it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Known(format) => format.name(),
            Self::Own(template) => template.name(),
        }
    }
}

impl From<Format> for Writing {
    fn from(format: Format) -> Self {
        Self::Known(format)
    }
}

/// A file a report or a digest.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Path with `{cluster}` (its name, `fleet` for several), `{date}` and `{time}` (UTC, of the data) and `{format}` (the
    /// ending).
    pub path: PathBuf,
    /// What it is written as.
    pub format: Writing,
}

impl FileSettings {
    /// Refuses a name that cannot be filled in.
    ///
    /// # Errors
    /// It is empty, or holds an unknown name in braces.
    pub fn check(&self) -> Result<(), String> {
        let path = self.path.to_string_lossy();
        let known = NAMES.map(|n| format!("{{{n}}}")).join(", ");
        let rest = NAMES.iter().fold(path.to_string(), |rest, name| rest.replace(&format!("{{{name}}}"), ""));
        if rest.contains(['{', '}']) {
            return Err(format!("path: expected a file whose name may hold {known}, got `{path}`"));
        }
        if path.is_empty() || path.ends_with('/') {
            return Err(format!(
                "path: expected a file such as `reports/{{cluster}}-{{date}}.{{format}}`, got `{path}`"
            ));
        }
        Ok(())
    }
}

/// Files.
pub struct FileSink(FileSettings);

impl FileSink {
    /// Files of one template.
    ///
    /// # Errors
    /// The settings cannot work.
    pub fn new(settings: FileSettings) -> Result<Self, DeliverError> {
        settings.check().map_err(DeliverError::Setting)?;
        Ok(Self(settings))
    }
}

/// A template with the values of what is delivered. A cluster's name cannot lead to another folder.
pub(super) fn filled(template: &str, content: &Content, ending: &str) -> String {
    let at = jiff::Timestamp::from_second(content.at().unix_seconds()).unwrap_or_default();
    let cluster = content.only_cluster().map_or_else(|| "fleet".to_owned(), safe);
    template
        .replace("{date}", &at.strftime("%Y-%m-%d").to_string())
        .replace("{time}", &at.strftime("%H%M%S").to_string())
        .replace("{format}", ending)
        .replace("{cluster}", &cluster)
}

fn safe(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().take(100).map(plain).collect();
    match name.trim_start_matches('.') {
        "" => "cluster".to_owned(),
        name => name.to_owned(),
    }
}

#[async_trait]
impl Sink for FileSink {
    fn name(&self) -> String {
        format!("file {}", self.0.path.display())
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn has_template(&self) -> bool {
        self.0.format.is_own()
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let text = delivery.write(&self.0.format)?;
        let ending = self.0.format.ending();
        let path = PathBuf::from(filled(&self.0.path.to_string_lossy(), &delivery.content, ending));
        write_whole(&path, text.as_bytes())
            .map_err(|e| DeliverError::File { path: path.display().to_string(), why: e.to_string() })?;
        Ok(Receipt::of(path.display().to_string()))
    }
}

/// Puts a whole file in place of what is there, and makes its folder.
fn write_whole(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    unfinished::clear(folder);
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // As any program's files; a temporary file would be for its owner alone.
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let mut file = builder.prefix(unfinished::PREFIX).tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Standard output.
pub struct StdoutSink(pub Writing);

#[async_trait]
impl Sink for StdoutSink {
    fn name(&self) -> String {
        "stdout".to_owned()
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn has_template(&self) -> bool {
        self.0.is_own()
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Receipt, DeliverError> {
        let text = delivery.write(&self.0)?;
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // The reader has gone away, and wants no more.
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(DeliverError::File { path: "standard output".into(), why: e.to_string() })
            }
            _ => Ok(Receipt::of(self.0.name())),
        }
    }
}
