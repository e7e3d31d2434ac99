//! Files that have no name of their own yet, and what programs that were killed have left of them.

use std::path::Path;
use std::time::{Duration, SystemTime};

/// How the name of a file begins that is not finished. The folder is the user's, who may have hidden files of this program
/// there, such as `.healthcheck-prod.yaml`.
pub const PREFIX: &str = ".healthcheck-unfinished-";
/// Letters and digits that `tempfile` puts behind it.
const LETTERS: usize = 6;
/// Age from which on an unfinished file belongs to a program that is gone.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Removes what programs that are gone have left in a folder. What cannot be removed stays until next time.
pub fn clear(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(is_unfinished);
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

/// Whether nobody but this program gives a file such a name.
fn is_unfinished(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX);
    rest.is_some_and(|rest| rest.len() == LETTERS && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_left_behind_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - 2 * LEFT_BEHIND;
        let left = || tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder.path()).unwrap();
        let (gone, new) = (left(), left());
        gone.as_file().set_modified(old).unwrap();
        let of_users = [
            ".healthcheck-abc123",
            ".healthcheck-prod.yaml",
            ".healthcheck-unfinished-",
            ".healthcheck-unfinished-reports",
            ".healthcheck-unfinished-v1.yml",
            ".healthcheck-unfinished-ab-123",
            "report.md",
        ];
        for name in of_users {
            std::fs::File::create(folder.path().join(name)).unwrap().set_modified(old).unwrap();
        }
        clear(folder.path());
        assert!(!gone.path().exists() && new.path().exists());
        for name in of_users {
            assert!(folder.path().join(name).exists(), "{name} is the user's");
        }
    }
}
