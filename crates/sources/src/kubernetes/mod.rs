//! The Kubernetes API as a source of objects, and as a way to a Prometheus that only the cluster can reach.
//!
//! Lists are paged and each page is cut down to the structs of [`healthcore::model`] at once, so that only one
//! page a list is ever held whole. What a server refuses is a gap, never a failed run.

mod api_use;
mod config_maps;
mod connect;
mod convert;
mod exec;
mod inventory;
mod java_command;
mod jvm;
mod lease;
mod list;
mod logs;
mod owners;
mod placement;
mod reach;
mod request;
mod rights;
mod scope;
mod send;
mod shared_pods;
mod source;
#[cfg(test)]
mod tests;
mod wire;

pub use connect::KubernetesSettings;
pub use lease::KubernetesLease;
pub use reach::{Reach, ReachError};
pub use rights::{Place, Right, SERVICE_ACCOUNT, identity_right, lease_rights, rights};
pub use send::Retry;
pub use source::KubernetesSource;
