//! Files that have no name of their own yet, and what programs that were killed have left of them.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// How the name of a file begins that is not finished.
pub const PREFIX: &str = ".healthcheck-";
/// Age from which on an unfinished file belongs to a program that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Removes what programs that are gone have left in a folder. What cannot be removed stays until next time.
pub fn clear(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let left_behind = || {
            let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
            let age = SystemTime::now().duration_since(metadata.modified().ok()?).ok()?;
            Some(age > LEFT_BEHIND)
        };
        if is_ours && left_behind() == Some(true) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * LEFT_BEHIND;
        for (name, time) in
            [(".healthcheck-old", old), (".healthcheck-new", SystemTime::now()), ("report.md", old)]
        {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(time).unwrap();
        }
        clear(folder.path());
        let mut names: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".healthcheck-new", "report.md"]);
    }
}
