//! Pure health analysis of Kubernetes workloads over plain time series.
//!
//! No file, network, clock, environment or async: values in, values out, in the same order every time. A
//! [`snapshot::Snapshot`] (objects and series of a part of a cluster) goes through [`analyse::analyse`] with
//! the chosen [`settings`]; the parts of a cluster are folded and become a [`report::Report`].

#![warn(missing_docs)]

mod agreement;
pub mod analyse;
pub mod api_versions;
pub mod chart;
pub mod check;
pub mod checks;
pub mod class;
mod discovery;
pub mod facts;
pub mod finding;
#[doc(hidden)]
pub mod fixture;
mod fleet;
pub mod history;
pub mod image;
pub mod inventory;
pub mod jvm;
pub mod leak;
pub mod logs;
pub mod measure;
pub mod metric;
pub mod model;
pub mod need;
mod node_kills;
pub mod params;
pub mod phrase;
pub mod report;
pub mod schedule;
pub mod score;
pub mod series;
pub mod settings;
pub mod shard;
pub mod snapshot;
pub mod starts;
pub mod stats;
pub mod time;
pub mod unit;
pub mod view;
