//! Pure health analysis of Kubernetes workloads over plain time series.

pub mod stats;
