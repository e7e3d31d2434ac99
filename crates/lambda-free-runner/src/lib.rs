//! The whole pass: fetch, judge, report. The command line calls it; so can any other program.
//!
//! A run is described by a [`RunSpec`], connected to its sources, and carried out by [`run_once`], which gives
//! the [`healthcore::report::Report`] as values. Rendering is the `healthcore-report` crate's, printing the
//! caller's. There is no global state: a process may run as often as it likes, also at the same time.

mod certificates;
pub mod clock;
pub mod config;
mod decide;
pub mod deliver;
mod feed;
pub mod history;
mod hosts;
pub mod leaks;
pub mod lease;
mod listing;
mod logs;
mod progress;
pub mod rbac;
mod redact;
mod registries;
pub mod reports;
mod room;
mod run;
pub mod runner;
pub mod schedule;
mod spec;
pub mod unfinished;
mod version;
mod whose;

pub use certificates::Certificates;
pub use decide::{Decision, FailOn, decide};
pub use hosts::Hosts;
pub use progress::{Progress, Silent};
pub use registries::Registries;
pub use run::{RunError, dry_run, finish, run_once};
pub use spec::{ClusterSources, DEFAULT_CLUSTERS_AT_ONCE, DEFAULT_LOOKBACK, Input, RunSpec};
pub use version::version;
