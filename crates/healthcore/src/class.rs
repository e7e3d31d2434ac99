//! Workload classes: what kind of work a workload does decides which thresholds fit.

use serde::{Deserialize, Serialize};

use crate::model::Workload;

/// Kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// Answers requests and runs all the time.
    Service,
    /// Runs jobs of a CI system.
    Runner,
    /// Runs to its end: Job, CronJob.
    Batch,
    /// A Java virtual machine.
    Jvm,
    /// Keeps data.
    Database,
    /// Part of the cluster itself.
    System,
}

impl Class {
    /// Every class.
    pub const ALL: &'static [Self] =
        &[Self::Service, Self::Runner, Self::Batch, Self::Jvm, Self::Database, Self::System];

    /// The name in settings and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Runner => "runner",
            Self::Batch => "batch",
            Self::Jvm => "jvm",
            Self::Database => "database",
            Self::System => "system",
        }
    }

    /// The class of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.name() == name)
    }
}

/// A class and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classified {
    /// The class.
    pub class: Class,
    /// Where it comes from.
    pub origin: ClassOrigin,
}

/// Where a class comes from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClassOrigin {
    /// The annotation or label `healthcheck/class`.
    Annotation,
    /// The kind of the owner.
    OwnerKind,
    /// Nothing said otherwise.
    Default,
}

/// Annotation and label that names a class.
pub const CLASS_ANNOTATION: &str = "healthcheck/class";

/// The class of a workload: its annotation, else its kind, else `service`.
#[must_use]
pub fn classify(workload: &Workload) -> Classified {
    if let Some(class) = workload.annotations.get(CLASS_ANNOTATION).and_then(|name| Class::from_name(name)) {
        return Classified { class, origin: ClassOrigin::Annotation };
    }
    if workload.id.runs_to_completion() {
        return Classified { class: Class::Batch, origin: ClassOrigin::OwnerKind };
    }
    Classified { class: Class::Service, origin: ClassOrigin::Default }
}
