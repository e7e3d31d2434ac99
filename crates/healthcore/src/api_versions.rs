//! Versions of Kubernetes APIs that are gone or will be, and who still uses them.
//!
//! The table is that of the [deprecation guide](https://kubernetes.io/docs/reference/using-api/deprecation-guide/), for
//! resources that are listed. Of others, and of what goes later, the API server itself tells when it is asked for them.

use serde::{Deserialize, Serialize};

use crate::inventory::ObjectId;
use crate::time::Timestamp;

/// A version of a resource that Kubernetes does not serve any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Group and version.
    pub api_version: &'static str,
    /// Plural of the resource.
    pub resource: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Minor version of Kubernetes 1 that does not serve it any more.
    pub removed_in: u32,
    /// Group and version to use instead.
    pub instead: &'static str,
}

const fn removal(
    api_version: &'static str,
    resource: &'static str,
    kind: &'static str,
    removed_in: u32,
    instead: &'static str,
) -> Removal {
    Removal { api_version, resource, kind, removed_in, instead }
}

/// Every removal, by resource.
pub const REMOVALS: &[Removal] = &[
    removal("extensions/v1beta1", "deployments", "Deployment", 16, "apps/v1"),
    removal("apps/v1beta1", "deployments", "Deployment", 16, "apps/v1"),
    removal("apps/v1beta2", "deployments", "Deployment", 16, "apps/v1"),
    removal("apps/v1beta1", "statefulsets", "StatefulSet", 16, "apps/v1"),
    removal("apps/v1beta2", "statefulsets", "StatefulSet", 16, "apps/v1"),
    removal("extensions/v1beta1", "daemonsets", "DaemonSet", 16, "apps/v1"),
    removal("apps/v1beta2", "daemonsets", "DaemonSet", 16, "apps/v1"),
    removal("extensions/v1beta1", "ingresses", "Ingress", 22, "networking.k8s.io/v1"),
    removal("networking.k8s.io/v1beta1", "ingresses", "Ingress", 22, "networking.k8s.io/v1"),
    removal("batch/v1beta1", "cronjobs", "CronJob", 25, "batch/v1"),
    removal("policy/v1beta1", "poddisruptionbudgets", "PodDisruptionBudget", 25, "policy/v1"),
    removal(
        "autoscaling/v2beta1",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        25,
        "autoscaling/v2",
    ),
    removal(
        "autoscaling/v2beta2",
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        26,
        "autoscaling/v2",
    ),
];

/// The removal of a version of a resource, if it is known.
#[must_use]
pub fn removal_of(api_version: &str, resource: &str) -> Option<&'static Removal> {
    REMOVALS.iter().find(|r| r.api_version == api_version && r.resource == resource)
}

/// Who uses deprecated versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiUse {
    /// Objects that were written in one of the [`REMOVALS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub written: Vec<WrittenAs>,
    /// Deprecated versions that somebody has asked the API server for since it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requested: Vec<RequestedApi>,
}

/// An object that somebody wrote in a version that is gone or will be.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenAs {
    /// Group and version.
    pub api_version: String,
    /// Plural of the resource.
    pub resource: String,
    /// The object.
    pub id: ObjectId,
    /// Whether it is the version of the manifest that was applied last (`kubectl apply` keeps it).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub applied: bool,
    /// The field manager that wrote it, where it was not applied.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manager: String,
    /// When that manager wrote last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// A deprecated version that somebody has asked for (`apiserver_requested_deprecated_apis`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedApi {
    /// Group and version.
    pub api_version: String,
    /// Plural of the resource.
    pub resource: String,
    /// Minor version of Kubernetes 1 that will not serve it any more.
    pub removed_in: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_removal_is_there_once_and_leads_on() {
        for removal in REMOVALS {
            assert_eq!(removal_of(removal.api_version, removal.resource), Some(removal));
            assert_eq!(removal_of(removal.instead, removal.resource), None, "{removal:?}");
        }
    }
}
