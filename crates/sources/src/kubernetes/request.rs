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
    /// Whether it may not be installed; then there is nothing of it, and that is no gap.
    pub(super) optional: bool,
    /// Whether an object of it may be large (1 MiB): such a list begins with few objects a page.
    pub(super) large: bool,
}

impl Resource {
    const fn new(
        kind: ObjectKind,
        group: &'static str,
        versions: &'static [&'static str],
        plural: &'static str,
    ) -> Self {
        Self {
            kind,
            group,
            versions,
            plural,
            metadata_only: false,
            field_selector: None,
            namespaced: true,
            optional: false,
            large: false,
        }
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

pub(super) const SERVICES: Resource = Resource::new(ObjectKind::Services, "", &["v1"], "services");
pub(super) const ENDPOINT_SLICES: Resource =
    Resource::new(ObjectKind::Services, "discovery.k8s.io", &["v1", "v1beta1"], "endpointslices");
pub(super) const INGRESSES: Resource =
    Resource::new(ObjectKind::Routes, "networking.k8s.io", &["v1"], "ingresses");
pub(super) const GATEWAYS: Resource = gateway_api("gateways", &["v1", "v1beta1"]);
pub(super) const HTTP_ROUTES: Resource = gateway_api("httproutes", &["v1", "v1beta1"]);
pub(super) const GRPC_ROUTES: Resource = gateway_api("grpcroutes", &["v1", "v1alpha2"]);
pub(super) const TLS_ROUTES: Resource = gateway_api("tlsroutes", &["v1", "v1alpha3", "v1alpha2"]);
pub(super) const ISTIO_GATEWAYS: Resource = istio("gateways");
pub(super) const VIRTUAL_SERVICES: Resource = istio("virtualservices");
pub(super) const CONFIG_MAPS: Resource =
    Resource { large: true, ..Resource::new(ObjectKind::ServerNames, "", &["v1"], "configmaps") };
pub(super) const TLS_SECRETS: Resource = Resource {
    field_selector: Some("type=kubernetes.io/tls"),
    ..Resource::new(ObjectKind::TlsSecrets, "", &["v1"], "secrets")
};
pub(super) const MANAGED_CERTIFICATES: Resource = Resource {
    optional: true,
    ..Resource::new(ObjectKind::ManagedCertificates, "cert-manager.io", &["v1"], "certificates")
};
pub(super) const DISRUPTION_BUDGETS: Resource =
    Resource::new(ObjectKind::DisruptionBudgets, "policy", &["v1", "v1beta1"], "poddisruptionbudgets");
pub(super) const VOLUME_CLAIMS: Resource =
    Resource::new(ObjectKind::VolumeClaims, "", &["v1"], "persistentvolumeclaims");
pub(super) const VOLUMES: Resource =
    Resource { namespaced: false, ..Resource::new(ObjectKind::Volumes, "", &["v1"], "persistentvolumes") };
/// [`NAMESPACES`] with their status.
pub(super) const NAMESPACE_STATES: Resource =
    Resource { namespaced: false, ..Resource::new(ObjectKind::Namespaces, "", &["v1"], "namespaces") };
pub(super) const API_SERVICES: Resource = Resource {
    namespaced: false,
    optional: true,
    ..Resource::new(ObjectKind::ApiServices, "apiregistration.k8s.io", &["v1"], "apiservices")
};
pub(super) const QUOTAS: Resource = Resource::new(ObjectKind::Quotas, "", &["v1"], "resourcequotas");
pub(super) const JOB_OUTCOMES: Resource = Resource::new(ObjectKind::Schedules, "batch", &["v1"], "jobs");
pub(super) const CRON_JOB_SCHEDULES: Resource =
    Resource::new(ObjectKind::Schedules, "batch", &["v1", "v1beta1"], "cronjobs");

/// A resource of the Gateway API, which is installed where it is wanted.
const fn gateway_api(plural: &'static str, versions: &'static [&'static str]) -> Resource {
    Resource {
        optional: true,
        ..Resource::new(ObjectKind::Routes, "gateway.networking.k8s.io", versions, plural)
    }
}

/// A resource of Istio, which is installed where it is wanted.
const fn istio(plural: &'static str) -> Resource {
    let versions = &["v1", "v1beta1", "v1alpha3"];
    Resource { optional: true, ..Resource::new(ObjectKind::Routes, "networking.istio.io", versions, plural) }
}

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
    (&[ObjectKind::Services], SERVICES),
    (&[ObjectKind::Services], ENDPOINT_SLICES),
    (&[ObjectKind::Routes], INGRESSES),
    (&[ObjectKind::Routes], GATEWAYS),
    (&[ObjectKind::Routes], HTTP_ROUTES),
    (&[ObjectKind::Routes], GRPC_ROUTES),
    (&[ObjectKind::Routes], TLS_ROUTES),
    (&[ObjectKind::Routes], ISTIO_GATEWAYS),
    (&[ObjectKind::Routes], VIRTUAL_SERVICES),
    (&[ObjectKind::ServerNames], CONFIG_MAPS),
    (&[ObjectKind::TlsSecrets], TLS_SECRETS),
    (&[ObjectKind::ManagedCertificates], MANAGED_CERTIFICATES),
    (&[ObjectKind::DisruptionBudgets], DISRUPTION_BUDGETS),
    (&[ObjectKind::VolumeClaims], VOLUME_CLAIMS),
    (&[ObjectKind::Volumes], VOLUMES),
    (&[ObjectKind::Namespaces], NAMESPACE_STATES),
    (&[ObjectKind::ApiServices], API_SERVICES),
    (&[ObjectKind::Quotas], QUOTAS),
    (&[ObjectKind::Schedules], JOB_OUTCOMES),
    (&[ObjectKind::Schedules], CRON_JOB_SCHEDULES),
];
