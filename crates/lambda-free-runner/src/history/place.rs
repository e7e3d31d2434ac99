//! From the name of a place to its store.

use std::sync::Arc;

use healthcore::snapshot::GapCause;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

/// Why there can be no history at a place.
#[derive(Debug, thiserror::Error)]
#[error("history `{place}`: {why}")]
pub struct HistoryError {
    /// The place, without secrets.
    pub place: String,
    /// What is wrong, and what to do.
    pub why: String,
}

type Opened = (Arc<dyn ObjectStore>, Path, String);

pub(super) fn open(place: &str) -> Result<Opened, HistoryError> {
    folder(place)
}

fn folder(place: &str) -> Result<Opened, HistoryError> {
    let error = |why: String| HistoryError { place: place.to_owned(), why };
    if place.trim().is_empty() {
        return Err(error("expected a folder or the address of an object store, got nothing".into()));
    }
    std::fs::create_dir_all(place).map_err(|e| error(format!("the folder cannot be made: {e}")))?;
    let store = LocalFileSystem::new_with_prefix(place)
        .map_err(|e| error(format!("the folder cannot be used: {}", told(&e))))?;
    // A run that was remembered is there after a loss of power too.
    Ok((Arc::new(store.with_fsync(true)), Path::default(), place.to_owned()))
}

/// What kind of failure an error of a store is.
pub(super) fn cause(error: &object_store::Error) -> GapCause {
    match error {
        object_store::Error::PermissionDenied { .. } => GapCause::AccessDenied,
        object_store::Error::Unauthenticated { .. } => GapCause::Unauthorized,
        object_store::Error::NotFound { .. } => GapCause::NothingMatches,
        _ => GapCause::Failed,
    }
}

/// An error of a store with its causes, in one line.
pub(super) fn told(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(500).collect()
}

/// An error of ours as one of a store.
pub(super) fn failed(source: Box<dyn std::error::Error + Send + Sync>) -> object_store::Error {
    object_store::Error::Generic { store: "history", source }
}
