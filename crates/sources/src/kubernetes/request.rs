//! Which requests are sent: resources and their paths. Pure.

use std::fmt::Write as _;

use healthcore::model::ObjectKind;

/// A resource of the API that is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) kind: ObjectKind,
    pub(super) group: &'static str,
    /// Versions, newest first; an older one is asked when the server does not serve the newer.
    pub(super) versions: &'static [&'static str],
    pub(super) plural: &'static str,
    /// Whether its metadata are all that is read.
    pub(super) metadata_only: bool,
    pub(super) field_selector: Option<&'static str>,
    pub(super) namespaced: bool,
}

impl Resource {
    const fn new(
        kind: ObjectKind,
        group: &'static str,
        versions: &'static [&'static str],
        plural: &'static str,
    ) -> Self {
        Self { kind, group, versions, plural, metadata_only: false, field_selector: None, namespaced: true }
    }

    /// The name that RBAC rules use: `horizontalpodautoscalers.autoscaling`.
    pub(super) fn name(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// The `Accept` header.
    pub(super) fn accept(&self) -> &'static str {
        if self.metadata_only {
            // The second for servers that cannot cut objects down.
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
        } else {
            "application/json"
        }
    }

    /// Path and query of a page; `page_size` 0 for everything at once.
    pub(super) fn path(&self, version: &str, namespace: Option<&str>, page_size: u32, next: &str) -> String {
        let mut path = match self.group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        if let Some(namespace) = namespace.filter(|_| self.namespaced) {
            let _ = write!(path, "/namespaces/{}", encode(namespace));
        }
        let _ = write!(path, "/{}", self.plural);
        let mut separator = '?';
        let mut add = |key: &str, value: &str| {
            let _ = write!(path, "{separator}{key}={}", encode(value));
            separator = '&';
        };
        if page_size > 0 {
            add("limit", &page_size.to_string());
        }
        if let Some(selector) = self.field_selector {
            add("fieldSelector", selector);
        }
        if !next.is_empty() {
            add("continue", next);
        }
        path
    }
}

/// Percent-encodes a text for a segment of a path or a value of a query (RFC 3986, unreserved kept).
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

pub(super) const NAMESPACES: Resource = Resource {
    metadata_only: true,
    namespaced: false,
    ..Resource::new(ObjectKind::Workloads, "", &["v1"], "namespaces")
};
pub(super) const PODS: Resource = Resource::new(ObjectKind::Pods, "", &["v1"], "pods");
pub(super) const DEPLOYMENTS: Resource = Resource::new(ObjectKind::Workloads, "apps", &["v1"], "deployments");
pub(super) const STATEFUL_SETS: Resource =
    Resource::new(ObjectKind::Workloads, "apps", &["v1"], "statefulsets");
pub(super) const DAEMON_SETS: Resource = Resource::new(ObjectKind::Workloads, "apps", &["v1"], "daemonsets");
pub(super) const REPLICA_SETS: Resource =
    Resource { metadata_only: true, ..Resource::new(ObjectKind::Workloads, "apps", &["v1"], "replicasets") };
pub(super) const JOBS: Resource =
    Resource { metadata_only: true, ..Resource::new(ObjectKind::Workloads, "batch", &["v1"], "jobs") };
pub(super) const CRON_JOBS: Resource = Resource {
    metadata_only: true,
    ..Resource::new(ObjectKind::Workloads, "batch", &["v1", "v1beta1"], "cronjobs")
};
pub(super) const AUTOSCALERS: Resource = Resource::new(
    ObjectKind::Autoscalers,
    "autoscaling",
    &["v2", "v2beta2", "v1"],
    "horizontalpodautoscalers",
);
pub(super) const EVENTS: Resource = Resource {
    field_selector: Some("type!=Normal"),
    ..Resource::new(ObjectKind::Events, "", &["v1"], "events")
};
pub(super) const NODES: Resource =
    Resource { namespaced: false, ..Resource::new(ObjectKind::Nodes, "", &["v1"], "nodes") };

/// Every list that kinds of objects need. Pods need their owners, and owners are workloads.
pub(super) const LISTS: &[(&[ObjectKind], Resource)] = &[
    (&[ObjectKind::Pods], PODS),
    (&[ObjectKind::Workloads], DEPLOYMENTS),
    (&[ObjectKind::Workloads], STATEFUL_SETS),
    (&[ObjectKind::Workloads], DAEMON_SETS),
    (&[ObjectKind::Workloads, ObjectKind::Pods], REPLICA_SETS),
    (&[ObjectKind::Workloads, ObjectKind::Pods], JOBS),
    (&[ObjectKind::Workloads], CRON_JOBS),
    (&[ObjectKind::Autoscalers], AUTOSCALERS),
    (&[ObjectKind::Events], EVENTS),
    (&[ObjectKind::Nodes], NODES),
];
