use healthcore::finding::Value;
use healthcore::phrase::phrase;

/// Why a source is of no use for a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A setting of the source is wrong; found before anything is sent.
    #[error("{what}: {why}")]
    Setting {
        /// The setting, for instance `--prometheus`.
        what: String,
        /// What was given, what was expected, what to do.
        why: String,
    },
    /// The source does not answer.
    #[error("cannot reach {what}: {why}")]
    Unreachable {
        /// The source, without credentials.
        what: String,
        /// What happened.
        why: String,
    },
    /// The source takes no request without valid credentials.
    #[error("{what}: no valid credentials; {why}")]
    Unauthorized {
        /// The source, without credentials.
        what: String,
        /// What it said, and what to do.
        why: String,
    },
    /// Something answers, but it is not what was expected there.
    #[error("{what} is not usable: {why}")]
    Unusable {
        /// The source, without credentials.
        what: String,
        /// What it said, and what to use instead.
        why: String,
    },
    /// A file cannot be read or written.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

impl SourceError {
    /// What it says: a phrase where the words are ours.
    #[must_use]
    pub fn said(&self) -> Value {
        let (key, what, why) = match self {
            Self::Unreachable { what, why } => ("source-unreachable", what, why),
            Self::Unauthorized { what, why } => ("source-unauthorized", what, why),
            Self::Unusable { what, why } => ("source-unusable", what, why),
            Self::Setting { .. } | Self::File { .. } => return self.to_string().into(),
        };
        phrase(key).with("what", what.as_str()).with("why", why.as_str()).into()
    }
}
