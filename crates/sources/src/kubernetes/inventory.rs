//! Services, routes, certificates, budgets, claims, volumes, namespaces, API services, quotas and jobs: how the API sends each,
//! and what is read of it.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthcore::inventory::{
    ApiService, Backend, CronJob, DisruptionBudget, Endpoints, Inventory, Job, LoadBalancer,
    ManagedCertificate, Namespace, ObjectId, Quota, QuotaResource, Route, RouteParent, RouteTls, Service,
    ServicePort, TlsSecret, Volume, VolumeClaim,
};
use healthcore::model::{ObjectKind, Pod, WorkloadId};
use healthcore::snapshot::{Gap, Unavailable};
use healthcore::time::Timestamp;
use healthcore::unit::{Bytes, Seconds, parse_quantity};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::convert::{Troubles, conditions, cut, kind_in_full};
use super::request;
use super::shared_pods::{self, RawBudget, Selector, give_shared_pods};
use super::source::{KubernetesSource, Namespaced, Run};
use super::wire::{self, Time, or_default};
use crate::certificate::{self, Chain};

/// Annotation with the host names that external-dns makes.
const DNS_NAMES: &str = "external-dns.alpha.kubernetes.io/hostname";

/// What workloads and pods tell of the other objects.
pub(super) struct Around<'a> {
    pub(super) scaled_to_zero: Vec<ScaledToZero>,
    /// Labels of pods, where both pods and budgets are asked for.
    pub(super) labels: Option<shared_pods::Labels>,
    pub(super) pods: &'a [Pod],
}

/// A workload that is scaled to zero on purpose, and the labels that its pods would have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScaledToZero {
    pub(super) namespace: String,
    /// Kind and name.
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
}

impl ScaledToZero {
    pub(super) fn new(id: &WorkloadId, labels: BTreeMap<String, String>) -> Self {
        Self { namespace: id.namespace.clone(), name: format!("{} {}", id.kind, id.name), labels }
    }

    /// Whether a selector takes the pods that it would have.
    fn is_selected(&self, namespace: &str, selector: &BTreeMap<String, String>) -> bool {
        self.namespace == namespace && takes(selector, &self.labels)
    }
}

/// Whether the selector of a Service takes a pod.
fn takes(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

impl KubernetesSource {
    /// Lists what the run asks for besides workloads and pods.
    pub(super) async fn inventory(
        &self,
        run: &Run<'_>,
        around: Around<'_>,
        unavailable: &mut Vec<Unavailable>,
        gaps: &mut Vec<Gap>,
    ) -> Inventory {
        let Around { scaled_to_zero, labels, pods } = around;
        let (services, slices, ingresses, gateways, http, grpc, tls, istio, virtual_services, server_names) = tokio::join!(
            self.collect(run, &request::SERVICES, service),
            self.collect(run, &request::ENDPOINT_SLICES, endpoint_slice),
            self.collect(run, &request::INGRESSES, ingress),
            self.collect(run, &request::GATEWAYS, gateway),
            self.collect(run, &request::HTTP_ROUTES, |raw, _| Some(gateway_route(
                "HTTPRoute",
                &["HTTP", "HTTPS"],
                raw
            ))),
            self.collect(run, &request::GRPC_ROUTES, |raw, _| Some(gateway_route(
                "GRPCRoute",
                &["HTTP", "HTTPS"],
                raw
            ))),
            self.collect(run, &request::TLS_ROUTES, |raw, _| Some(gateway_route("TLSRoute", &["TLS"], raw))),
            self.collect(run, &request::ISTIO_GATEWAYS, istio_gateway),
            self.collect(run, &request::VIRTUAL_SERVICES, virtual_service),
            self.collect(run, &request::CONFIG_MAPS, server_names),
        );
        let (secrets, managed, budgets, claims, volumes, namespaces, api_services, quotas, jobs, cron_jobs) = tokio::join!(
            self.collect(run, &request::TLS_SECRETS, tls_secret),
            self.collect(run, &request::MANAGED_CERTIFICATES, managed_certificate),
            self.collect(run, &request::DISRUPTION_BUDGETS, disruption_budget),
            self.collect(run, &request::VOLUME_CLAIMS, volume_claim),
            self.collect(run, &request::VOLUMES, volume),
            self.collect(run, &request::NAMESPACE_STATES, |raw, _| Some(namespace(raw))),
            self.collect(run, &request::API_SERVICES, api_service),
            self.collect(run, &request::QUOTAS, quota),
            self.collect(run, &request::JOB_OUTCOMES, job),
            self.collect(run, &request::CRON_JOB_SCHEDULES, cron_job),
        );
        let (u, g) = (unavailable, gaps);
        let slices_known = slices.is_whole();
        let slices = slices.settle(u, g);
        let services = services.settle(u, g);
        let routes = [ingresses, virtual_services, server_names];
        let gateways = gateways.settle(u, g);
        let attached = [http, grpc, tls].into_iter().flat_map(|part| part.settle(u, g));
        let mut attached: Vec<Route> = attached.map(|route| route.with_hosts_of(&gateways)).collect();
        attached.extend(gateways.into_iter().map(|gateway| gateway.route));
        let tls_secrets = secrets.settle(u, g);
        let mut istio = istio.settle(u, g);
        find_secrets(&mut istio, &tls_secrets);
        let mut budgets = budgets.settle(u, g);
        shared_pods::give_scaled_to_zero(&mut budgets, &scaled_to_zero);
        let mut services = with_endpoints(services, &slices, slices_known, &scaled_to_zero);
        give_oldest_pods(&mut services, labels.as_ref(), pods);
        let disruption_budgets = give_shared_pods(budgets, labels.as_ref(), pods, u);
        let mut inventory = Inventory {
            services: services.into_iter().map(|raw| raw.service).collect(),
            routes: routes
                .into_iter()
                .flat_map(|part| part.settle(u, g))
                .chain(attached)
                .chain(istio)
                .collect(),
            tls_secrets,
            managed_certificates: managed.settle(u, g),
            disruption_budgets,
            volume_claims: claims.settle(u, g),
            volumes: volumes.settle(u, g),
            namespaces: namespaces.settle(u, g),
            api_services: api_services.settle(u, g),
            quotas: quotas.settle(u, g),
            jobs: jobs.settle(u, g),
            cron_jobs: cron_jobs.settle(u, g),
            api_use: run.api_use(),
            server_version: match run.asks(ObjectKind::Nodes) || run.asks(ObjectKind::ApiUse) {
                true => self.version().await,
                false => String::new(),
            },
            ..Inventory::default()
        };
        inventory.volumes.retain(|v| v.claim.as_ref().is_none_or(|claim| run.looks_into(&claim.namespace)));
        inventory.namespaces.retain(|namespace| run.looks_into(&namespace.id.name));
        // Only routes name what is in other namespaces.
        inventory.all_namespaces = run.is_everywhere() && !inventory.routes.is_empty();
        inventory.sort();
        inventory
    }
}

macro_rules! namespaced {
    ($($kind:ty),+) => {
        $(impl Namespaced for $kind {
            fn namespace(&self) -> &str {
                &self.id.namespace
            }
        })+
    };
}
namespaced!(
    RawService,
    EndpointSlice,
    Route,
    Gateway,
    AttachedRoute,
    TlsSecret,
    ManagedCertificate,
    VolumeClaim,
    Volume,
    Namespace,
    ApiService,
    Quota,
    Job,
    CronJob
);

impl Namespaced for RawBudget {
    fn namespace(&self) -> &str {
        &self.budget.id.namespace
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default)]
    creation_timestamp: Option<Time>,
    #[serde(default)]
    deletion_timestamp: Option<Time>,
    #[serde(default, deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    owner_references: Vec<wire::OwnerReference>,
}

impl Meta {
    fn created(&self) -> Option<Timestamp> {
        self.creation_timestamp.map(|t| t.0)
    }
    fn id(&self) -> ObjectId {
        ObjectId::new(&self.namespace, &self.name)
    }
    fn dns_names(&self) -> Vec<String> {
        let names = self.annotations.get(DNS_NAMES).map_or("", String::as_str);
        names.split(',').map(host).filter(|name| !name.is_empty()).collect()
    }
}

/// Metadata, specification and status of an object.
#[derive(Debug, Deserialize)]
#[serde(bound = "S: Deserialize<'de> + Default, T: Deserialize<'de> + Default")]
pub(super) struct Object<S, T = Nothing> {
    metadata: Meta,
    #[serde(default, deserialize_with = "or_default")]
    spec: S,
    #[serde(default, deserialize_with = "or_default")]
    status: T,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Nothing {}

/// Host names are compared without case and final dot (RFC 4343).
fn host(name: &str) -> String {
    name.trim().trim_end_matches('.').to_ascii_lowercase()
}

fn hosts<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut out: Vec<String> =
        names.into_iter().map(|n| host(n)).filter(|n| !n.is_empty() && n != "*").collect();
    out.sort();
    out.dedup();
    out
}

/// Whether a rule stands for every host.
fn takes_any(host: &str) -> bool {
    matches!(host.trim(), "" | "*")
}

/// A number or a text, as Kubernetes writes `IntOrString`.
fn int_or_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

// --- Services ---------------------------------------------------------------------------------------------------------

/// A service before it is joined with its endpoints.
#[derive(Debug, PartialEq)]
pub(super) struct RawService {
    id: ObjectId,
    selector: BTreeMap<String, String>,
    service: Service,
}

fn service(raw: Object<ServiceSpec, ServiceStatus>, _: &mut Troubles) -> Option<RawService> {
    let Object { metadata: meta, spec, status } = raw;
    let port = |p: RawPort| ServicePort {
        name: p.name,
        port: p.port,
        protocol: if p.protocol == "TCP" { String::new() } else { p.protocol },
        target: match p.target_port {
            Value::String(name) => name,
            _ => String::new(),
        },
        ready: None,
    };
    let ports = spec.ports.into_iter().map(port).collect();
    let load_balancer = (spec.kind == "LoadBalancer").then_some(LoadBalancer {
        class: spec.load_balancer_class,
        has_address: !status.load_balancer.ingress.is_empty(),
        warning: None,
    });
    let service = Service {
        id: meta.id(),
        kind: if spec.kind.is_empty() { "ClusterIP".to_owned() } else { spec.kind },
        selects: !spec.selector.is_empty(),
        headless: spec.cluster_ip == "None",
        ports,
        endpoints: None,
        scaled_to_zero: None,
        oldest_pod: None,
        load_balancer,
        dns_names: meta.dns_names(),
        deleting: meta.deletion_timestamp.is_some(),
        created: meta.created(),
    };
    Some(RawService { id: meta.id(), selector: spec.selector, service })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    kind: String,
    #[serde(default, rename = "clusterIP", deserialize_with = "or_default")]
    cluster_ip: String,
    #[serde(default, deserialize_with = "or_default")]
    selector: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    load_balancer_class: String,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<RawPort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawPort {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
    #[serde(default)]
    target_port: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceStatus {
    #[serde(default, deserialize_with = "or_default")]
    load_balancer: LoadBalancerStatus,
}

#[derive(Debug, Default, Deserialize)]
struct LoadBalancerStatus {
    #[serde(default, deserialize_with = "or_default")]
    ingress: Vec<IgnoredAny>,
}

/// An EndpointSlice: the service that it is of, its address type, how many of its endpoints are ready, and which ports of the
/// service all of these have.
#[derive(Debug, PartialEq)]
pub(super) struct EndpointSlice {
    id: ObjectId,
    address_type: String,
    endpoints: Endpoints,
    ports: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawEndpointSlice {
    metadata: Meta,
    #[serde(default, deserialize_with = "or_default")]
    address_type: String,
    #[serde(default, deserialize_with = "or_default")]
    endpoints: Vec<Endpoint>,
    #[serde(default, deserialize_with = "or_default")]
    ports: Vec<EndpointPort>,
}

#[derive(Debug, Default, Deserialize)]
struct EndpointPort {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Endpoint {
    #[serde(default, deserialize_with = "or_default")]
    conditions: EndpointConditions,
}

#[derive(Debug, Default, Deserialize)]
struct EndpointConditions {
    #[serde(default)]
    ready: Option<bool>,
}

fn endpoint_slice(raw: RawEndpointSlice, _: &mut Troubles) -> Option<EndpointSlice> {
    let service = raw.metadata.labels.get("kubernetes.io/service-name")?;
    // "A nil value should be interpreted as true" (API reference of EndpointConditions).
    let ready = raw.endpoints.iter().filter(|e| e.conditions.ready != Some(false)).count();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Some(EndpointSlice {
        id: ObjectId::new(&raw.metadata.namespace, service),
        address_type: raw.address_type,
        endpoints: Endpoints { ready: count(ready), all: count(raw.endpoints.len()) },
        ports: raw.ports.into_iter().map(|p| p.name).collect(),
    })
}

/// Gives every service its endpoints, and each of its ports that leads to a name those that have it: a slice has only ports that its
/// pods have. Of a dual-stack service each endpoint stands in a slice of either family, so that the family with more counts.
fn with_endpoints(
    services: Vec<RawService>,
    slices: &[EndpointSlice],
    slices_known: bool,
    scaled_to_zero: &[ScaledToZero],
) -> Vec<RawService> {
    let mut counts: BTreeMap<&ObjectId, BTreeMap<&str, Endpoints>> = BTreeMap::new();
    let mut with_port: BTreeMap<(&ObjectId, &str), BTreeMap<&str, u32>> = BTreeMap::new();
    for slice in slices {
        let count = counts.entry(&slice.id).or_default().entry(&slice.address_type).or_default();
        count.ready += slice.endpoints.ready;
        count.all += slice.endpoints.all;
        for port in &slice.ports {
            let by_family = with_port.entry((&slice.id, port)).or_default();
            *by_family.entry(&slice.address_type).or_default() += slice.endpoints.ready;
        }
    }
    let most = |id: &ObjectId| {
        let families = counts.get(id).map(|families| families.values().copied());
        families.into_iter().flatten().max_by_key(|e| (e.ready, e.all)).unwrap_or_default()
    };
    let zero = |raw: &RawService| {
        let selected = |w: &&ScaledToZero| w.is_selected(&raw.id.namespace, &raw.selector);
        scaled_to_zero.iter().find(selected).map(|w| w.name.clone())
    };
    let join = |mut raw: RawService| {
        for port in raw.service.ports.iter_mut().filter(|p| slices_known && !p.target.is_empty()) {
            let by_family = with_port.get(&(&raw.id, port.name.as_str()));
            port.ready = Some(by_family.into_iter().flat_map(BTreeMap::values).copied().max().unwrap_or(0));
        }
        raw.service.endpoints = slices_known.then(|| most(&raw.id));
        raw.service.scaled_to_zero = if raw.selector.is_empty() { None } else { zero(&raw) };
        raw
    };
    services.into_iter().map(join).collect()
}

/// Tells services of which no endpoint is ready how long there have been pods for them, where all labels are known.
fn give_oldest_pods(services: &mut [RawService], labels: Option<&shared_pods::Labels>, pods: &[Pod]) {
    let Some(labels) = labels else { return };
    let waits = |raw: &&mut RawService| {
        !raw.selector.is_empty() && raw.service.endpoints.is_some_and(|e| e.ready == 0)
    };
    let mut by_namespace: BTreeMap<String, Vec<&mut RawService>> = BTreeMap::new();
    for raw in services.iter_mut().filter(waits) {
        by_namespace.entry(raw.id.namespace.clone()).or_default().push(raw);
    }
    for pod in pods {
        let Some(waiting) = by_namespace.get_mut(&pod.workload.namespace) else { continue };
        let Some(own) = labels.get(&ObjectId::new(&pod.workload.namespace, &pod.name)) else { continue };
        for raw in waiting.iter_mut().filter(|raw| takes(&raw.selector, own)) {
            let oldest = &mut raw.service.oldest_pod;
            *oldest = [*oldest, pod.created].into_iter().flatten().min();
        }
    }
}

// --- Routes -----------------------------------------------------------------------------------------------------------

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IngressSpec {
    #[serde(default)]
    default_backend: Option<IngressBackend>,
    #[serde(default, deserialize_with = "or_default")]
    tls: Vec<IngressTls>,
    #[serde(default, deserialize_with = "or_default")]
    rules: Vec<IngressRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IngressTls {
    #[serde(default, deserialize_with = "or_default")]
    hosts: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    secret_name: String,
}

#[derive(Debug, Default, Deserialize)]
struct IngressRule {
    #[serde(default, deserialize_with = "or_default")]
    host: String,
    #[serde(default, deserialize_with = "or_default")]
    http: IngressHttp,
}

#[derive(Debug, Default, Deserialize)]
struct IngressHttp {
    #[serde(default, deserialize_with = "or_default")]
    paths: Vec<IngressPath>,
}

#[derive(Debug, Default, Deserialize)]
struct IngressPath {
    #[serde(default, deserialize_with = "or_default")]
    backend: IngressBackend,
}

#[derive(Debug, Default, Deserialize)]
struct IngressBackend {
    /// None for a backend that is another resource than a service.
    #[serde(default)]
    service: Option<IngressService>,
}

#[derive(Debug, Default, Deserialize)]
struct IngressService {
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    port: IngressPort,
}

#[derive(Debug, Default, Deserialize)]
struct IngressPort {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    number: Option<u16>,
}

/// Name of the port of a backend that is no Service: it names an action (a redirect, a fixed response) that an annotation
/// of the Ingress describes to the controller of an application load balancer.
const ACTION: &str = "use-annotation";

fn ingress(raw: Object<IngressSpec>, _: &mut Troubles) -> Option<Route> {
    let Object { metadata: meta, spec, .. } = raw;
    let backend = |b: &IngressBackend| {
        let service = b.service.as_ref().filter(|s| s.port.name.as_deref() != Some(ACTION))?;
        let number = || service.port.number.map(|n| n.to_string());
        let port = service.port.name.clone().filter(|n| !n.is_empty()).or_else(number);
        Some(Backend { service: ObjectId::new(&meta.namespace, &service.name), port })
    };
    let paths = spec.rules.iter().flat_map(|r| &r.http.paths).map(|p| &p.backend);
    let mut backends: Vec<Backend> = paths.chain(&spec.default_backend).filter_map(backend).collect();
    backends.sort();
    backends.dedup();
    let secret = |name: &str| (!name.is_empty()).then(|| ObjectId::new(&meta.namespace, name));
    let tls = spec
        .tls
        .iter()
        .map(|t| RouteTls { hosts: hosts(&t.hosts), secret: secret(&t.secret_name) })
        .collect();
    Some(Route {
        id: meta.id(),
        kind: "Ingress".to_owned(),
        hosts: hosts(spec.rules.iter().map(|r| &r.host)),
        any_host: spec.rules.iter().any(|r| takes_any(&r.host)),
        tls,
        backends,
        dns_names: meta.dns_names(),
        created: meta.created(),
        ..Route::default()
    })
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct GatewaySpec {
    #[serde(default, deserialize_with = "or_default")]
    listeners: Vec<Listener>,
}

#[derive(Debug, Default, Deserialize)]
struct Listener {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    protocol: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default, deserialize_with = "or_default")]
    hostname: String,
    #[serde(default, deserialize_with = "or_default")]
    tls: ListenerTls,
}

/// A Gateway, and its listeners, which bound the hosts of routes.
#[derive(Debug)]
pub(super) struct Gateway {
    id: ObjectId,
    listeners: Vec<Listener>,
    route: Route,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListenerTls {
    #[serde(default, deserialize_with = "or_default")]
    certificate_refs: Vec<Reference>,
}

/// A reference of the Gateway API; what is left out is a core object of the same namespace.
#[derive(Debug, Default, Deserialize)]
struct Reference {
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default)]
    port: Option<u16>,
}

impl Reference {
    fn id(&self, own: &str) -> ObjectId {
        ObjectId::new(if self.namespace.is_empty() { own } else { &self.namespace }, &self.name)
    }
    fn is(&self, kind: &str) -> bool {
        self.kind.is_empty() || self.kind == kind
    }
}

fn gateway(raw: Object<GatewaySpec>, _: &mut Troubles) -> Option<Gateway> {
    let Object { metadata: meta, spec, .. } = raw;
    let mut tls = Vec::new();
    for listener in &spec.listeners {
        for reference in listener.tls.certificate_refs.iter().filter(|r| r.is("Secret")) {
            let secret = Some(reference.id(&meta.namespace));
            tls.push(RouteTls { hosts: hosts([&listener.hostname]), secret });
        }
    }
    let route = Route {
        id: meta.id(),
        kind: "Gateway".to_owned(),
        hosts: hosts(spec.listeners.iter().map(|l| &l.hostname)),
        tls,
        dns_names: meta.dns_names(),
        created: meta.created(),
        ..Route::default()
    };
    Some(Gateway { id: meta.id(), listeners: spec.listeners, route })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GatewayRouteSpec {
    #[serde(default, deserialize_with = "or_default")]
    parent_refs: Vec<ParentRef>,
    #[serde(default, deserialize_with = "or_default")]
    hostnames: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    rules: Vec<GatewayRule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayRule {
    #[serde(default, deserialize_with = "or_default")]
    backend_refs: Vec<Reference>,
}

/// What a route attaches itself to; a Gateway of its own namespace when nothing else is said.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParentRef {
    #[serde(default, deserialize_with = "or_default")]
    kind: String,
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    section_name: String,
    #[serde(default)]
    port: Option<u16>,
}

impl ParentRef {
    fn gateway(&self, own: &str) -> Option<ObjectId> {
        let namespace = if self.namespace.is_empty() { own } else { &self.namespace };
        matches!(self.kind.as_str(), "" | "Gateway").then(|| ObjectId::new(namespace, &self.name))
    }
    fn chooses(&self, listener: &Listener) -> bool {
        (self.section_name.is_empty() || self.section_name == listener.name)
            && self.port.is_none_or(|port| listener.port == Some(port))
    }
}

/// A route of the Gateway API, and where it attaches itself.
#[derive(Debug)]
pub(super) struct AttachedRoute {
    id: ObjectId,
    parents: Vec<ParentRef>,
    protocols: &'static [&'static str],
    route: Route,
}

impl AttachedRoute {
    /// A route without hostnames takes those of its listeners, as far as these are known.
    fn with_hosts_of(self, gateways: &[Gateway]) -> Route {
        let Self { id, parents, protocols, mut route } = self;
        if !route.hosts.is_empty() {
            return route;
        }
        let mut names = Vec::new();
        for parent in &parents {
            let wanted = parent.gateway(&id.namespace);
            let Some(gateway) = gateways.iter().find(|g| Some(&g.id) == wanted.as_ref()) else {
                return route;
            };
            let chosen = gateway.listeners.iter().filter(|l| parent.chooses(l));
            names.extend(
                chosen.filter(|l| protocols.contains(&l.protocol.as_str())).map(|l| l.hostname.clone()),
            );
        }
        if !names.iter().any(|name| takes_any(name)) {
            route.hosts = hosts(&names);
        }
        route
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct GatewayRouteStatus {
    #[serde(default, deserialize_with = "or_default")]
    parents: Vec<ParentStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParentStatus {
    #[serde(default, deserialize_with = "or_default")]
    parent_ref: ParentRef,
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<wire::Condition>,
}

/// What Gateways say of a route. What one says to which the route is attached no more is of yesterday.
fn parents(status: GatewayRouteStatus, attached: &[ParentRef], own: &str) -> Vec<RouteParent> {
    let told = status.parents.into_iter().filter_map(|parent| {
        let named = &parent.parent_ref;
        let gateway = named.gateway(own)?;
        let same = |p: &ParentRef| {
            p.gateway(own).as_ref() == Some(&gateway)
                && p.section_name == named.section_name
                && p.port == named.port
        };
        let mut refused = conditions(parent.conditions);
        refused.retain(|c| c.status == Some(false));
        attached.iter().any(same).then_some(RouteParent { gateway, refused })
    });
    told.collect()
}

fn gateway_route(
    kind: &str,
    protocols: &'static [&'static str],
    raw: Object<GatewayRouteSpec, GatewayRouteStatus>,
) -> AttachedRoute {
    let Object { metadata: meta, spec, status } = raw;
    let references = spec.rules.iter().flat_map(|r| &r.backend_refs).filter(|r| r.is("Service"));
    let mut backends: Vec<Backend> = references
        .map(|r| Backend { service: r.id(&meta.namespace), port: r.port.map(|p| p.to_string()) })
        .collect();
    backends.sort();
    backends.dedup();
    let route = Route {
        id: meta.id(),
        kind: kind.to_owned(),
        hosts: hosts(&spec.hostnames),
        backends,
        parents: parents(status, &spec.parent_refs, &meta.namespace),
        dns_names: meta.dns_names(),
        created: meta.created(),
        ..Route::default()
    };
    AttachedRoute { id: meta.id(), parents: spec.parent_refs, protocols, route }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct IstioGatewaySpec {
    #[serde(default, deserialize_with = "or_default")]
    servers: Vec<IstioServer>,
}

#[derive(Debug, Default, Deserialize)]
struct IstioServer {
    #[serde(default, deserialize_with = "or_default")]
    hosts: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    tls: IstioTls,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IstioTls {
    #[serde(default, deserialize_with = "or_default")]
    credential_name: String,
}

/// Hosts may be written `namespace/host`.
fn istio_gateway(raw: Object<IstioGatewaySpec>, _: &mut Troubles) -> Option<Route> {
    let Object { metadata: meta, spec, .. } = raw;
    let own = |server: &IstioServer| {
        let bare = |name: &String| name.rsplit('/').next().unwrap_or_default().to_owned();
        hosts(&server.hosts.iter().map(bare).collect::<Vec<_>>())
    };
    let with_secret = spec.servers.iter().filter(|s| !s.tls.credential_name.is_empty());
    let secret = |s: &IstioServer| Some(ObjectId::new(&meta.namespace, &s.tls.credential_name));
    Some(Route {
        id: meta.id(),
        kind: "Gateway".to_owned(),
        hosts: hosts(&spec.servers.iter().flat_map(own).collect::<Vec<_>>()),
        tls: with_secret.map(|s| RouteTls { hosts: own(s), secret: secret(s) }).collect(),
        dns_names: meta.dns_names(),
        created: meta.created(),
        ..Route::default()
    })
}

/// Secrets of an Istio Gateway lie where its proxies run, which it does not tell: the one of that name, if there is only one.
fn find_secrets(gateways: &mut [Route], secrets: &[TlsSecret]) {
    for tls in gateways.iter_mut().flat_map(|gateway| &mut gateway.tls) {
        let Some(wanted) = tls.secret.take() else { continue };
        let mut named = secrets.iter().filter(|s| s.id.name == wanted.name).map(|s| &s.id);
        let own = secrets.iter().find(|s| s.id == wanted).map(|s| &s.id);
        let only = named.next().filter(|_| named.next().is_none());
        tls.secret = own.or(only).cloned();
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct VirtualServiceSpec {
    #[serde(default, deserialize_with = "or_default")]
    hosts: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    http: Vec<IstioRule>,
    #[serde(default, deserialize_with = "or_default")]
    tls: Vec<IstioRule>,
    #[serde(default, deserialize_with = "or_default")]
    tcp: Vec<IstioRule>,
}

#[derive(Debug, Default, Deserialize)]
struct IstioRule {
    #[serde(default, deserialize_with = "or_default")]
    route: Vec<IstioRoute>,
}

#[derive(Debug, Default, Deserialize)]
struct IstioRoute {
    #[serde(default, deserialize_with = "or_default")]
    destination: IstioDestination,
}

#[derive(Debug, Default, Deserialize)]
struct IstioDestination {
    #[serde(default, deserialize_with = "or_default")]
    host: String,
    #[serde(default, deserialize_with = "or_default")]
    port: IngressPort,
}

fn virtual_service(raw: Object<VirtualServiceSpec>, _: &mut Troubles) -> Option<Route> {
    let Object { metadata: meta, spec, .. } = raw;
    let rules = spec.http.iter().chain(&spec.tls).chain(&spec.tcp);
    let destinations = rules.flat_map(|r| &r.route).map(|r| &r.destination);
    let mut backends: Vec<Backend> = destinations
        .filter_map(|d| {
            let service = service_of_host(&d.host, &meta.namespace)?;
            Some(Backend { service, port: d.port.number.map(|n| n.to_string()) })
        })
        .collect();
    backends.sort();
    backends.dedup();
    Some(Route {
        id: meta.id(),
        kind: "VirtualService".to_owned(),
        hosts: hosts(&spec.hosts),
        any_host: spec.hosts.iter().any(|name| name == "*"),
        backends,
        dns_names: meta.dns_names(),
        created: meta.created(),
        ..Route::default()
    })
}

/// The service behind `name`, `name.namespace.svc` or `name.namespace.svc.cluster.local`; none for a host outside of the
/// cluster.
fn service_of_host(host: &str, own: &str) -> Option<ObjectId> {
    let parts: Vec<&str> = host.split('.').collect();
    match parts[..] {
        [name] if !name.is_empty() => Some(ObjectId::new(own, name)),
        [name, namespace, "svc", ..] => Some(ObjectId::new(namespace, name)),
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ConfigMap {
    metadata: Meta,
    #[serde(default, rename = "data", deserialize_with = "or_default")]
    server: ServerNames,
}

/// Most names of a ConfigMap that are kept, and the longest expression among them: a ConfigMap holds 1 MiB at most.
const MOST_NAMES: usize = 10_000;
const LONGEST_EXPRESSION: usize = 1000;

/// The names in the data of a ConfigMap, found while it is read: nothing else of it is kept.
#[derive(Debug, Default)]
struct ServerNames(Vec<ServerName>);

impl<'de> Deserialize<'de> for ServerNames {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Data;
        impl<'de> Visitor<'de> for Data {
            type Value = ServerNames;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ServerNames, A::Error> {
                let mut names = Vec::new();
                while let Some((IgnoredAny, ServerNamesOfText(found))) = map.next_entry()? {
                    names.extend(found);
                    names.truncate(MOST_NAMES);
                }
                Ok(ServerNames(names))
            }
        }
        d.deserialize_map(Data)
    }
}

/// The names in one text.
struct ServerNamesOfText(Vec<ServerName>);

impl<'de> Deserialize<'de> for ServerNamesOfText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = ServerNamesOfText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ServerNamesOfText, E> {
                let names = if text.contains("server_name") { nginx_names(text) } else { Vec::new() };
                Ok(ServerNamesOfText(names))
            }
        }
        d.deserialize_str(Text)
    }
}

/// A ConfigMap with nginx configuration; others are passed over.
fn server_names(raw: ConfigMap, _: &mut Troubles) -> Option<Route> {
    let ServerNames(names) = raw.server;
    if names.is_empty() {
        return None;
    }
    let mut out = Route {
        id: raw.metadata.id(),
        kind: "ConfigMap".to_owned(),
        created: raw.metadata.created(),
        ..Route::default()
    };
    let mut plain = Vec::new();
    for name in names {
        match name {
            ServerName::Plain(name) => plain.push(name),
            ServerName::Expression(text) if text.len() <= LONGEST_EXPRESSION => out.expressions.push(text),
            ServerName::Expression(_) => out.any_host = true,
        }
    }
    out.hosts = hosts(&plain);
    Some(out)
}

/// A name of a `server_name` directive.
#[derive(Debug, PartialEq)]
enum ServerName {
    Plain(String),
    /// A regular expression, without its `~`.
    Expression(String),
}

/// Names of the `server_name` directives of nginx (ngx_http_core_module). The catch-all `_` names no host; `.example.com`
/// is the name itself and everything below.
fn nginx_names(text: &str) -> Vec<ServerName> {
    let mut out = Vec::new();
    let words = nginx_words(text);
    for directive in words.split(|word| matches!(word, Word::End)) {
        let mut words = directive.iter().filter_map(|word| match word {
            Word::Text(text) => Some(text.as_str()),
            Word::End => None,
        });
        if words.next() != Some("server_name") {
            continue;
        }
        for name in words {
            if let Some(expression) = name.strip_prefix('~') {
                out.push(ServerName::Expression(expression.to_owned()));
            } else if let Some(rest) = name.strip_prefix('.') {
                out.extend([rest.to_owned(), format!("*.{rest}")].map(ServerName::Plain));
            } else if name != "_" && !name.contains('$') && !name.is_empty() {
                out.push(ServerName::Plain(name.to_owned()));
            }
        }
    }
    out
}

/// A part of an nginx configuration.
enum Word {
    Text(String),
    /// `;`, `{` or `}`: a directive ends.
    End,
}

/// Words between white space; quotes hold words together, and `#` begins a comment.
fn nginx_words(text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        match first {
            ';' | '{' | '}' => out.push(Word::End),
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' | '\'' => {
                let quoted: String = chars.by_ref().take_while(|c| *c != first).collect();
                out.push(Word::Text(quoted));
            }
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                // A brace within an expression would end the directive, so that nginx wants quotes around it.
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !";{}".contains(*c)) {
                    word.push(c);
                }
                out.push(Word::Text(word));
            }
        }
    }
    out
}

// --- Certificates -----------------------------------------------------------------------------------------------------

#[derive(Debug, Deserialize)]
pub(super) struct Secret {
    metadata: Meta,
    #[serde(default, deserialize_with = "or_default")]
    data: SecretData,
}

/// The certificate alone: the private key beside it is skipped where it is read.
#[derive(Debug, Default, Deserialize)]
struct SecretData {
    #[serde(default, rename = "tls.crt", deserialize_with = "or_default")]
    certificate: String,
}

fn tls_secret(raw: Secret, _: &mut Troubles) -> Option<TlsSecret> {
    let Secret { metadata: meta, data } = raw;
    let of_file = |why: String| Chain { broken: Some(why), ..Chain::default() };
    let Chain { certificates: chain, unread, broken } = match STANDARD.decode(&data.certificate) {
        Err(why) => of_file(format!("`tls.crt` is not base64: {why}")),
        Ok(pem) if pem.is_empty() => of_file("`tls.crt` is empty".to_owned()),
        Ok(pem) => {
            let chain = certificate::from_pem(&pem);
            Chain { broken: chain.broken.map(|why| format!("`tls.crt`: {why}")), ..chain }
        }
    };
    let managed_by = meta.annotations.get("cert-manager.io/certificate-name").cloned();
    Some(TlsSecret { id: meta.id(), chain, unread, broken, managed_by, used_by: None })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateSpec {
    #[serde(default, deserialize_with = "or_default")]
    secret_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateStatus {
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<wire::Condition>,
    #[serde(default)]
    not_after: Option<Time>,
    #[serde(default)]
    renewal_time: Option<Time>,
    #[serde(default, deserialize_with = "or_default")]
    failed_issuance_attempts: u32,
}

fn managed_certificate(
    raw: Object<CertificateSpec, CertificateStatus>,
    _: &mut Troubles,
) -> Option<ManagedCertificate> {
    let Object { metadata: meta, spec, status } = raw;
    Some(ManagedCertificate {
        id: meta.id(),
        secret: spec.secret_name,
        conditions: conditions(status.conditions),
        not_after: status.not_after.map(|t| t.0),
        renewal: status.renewal_time.map(|t| t.0),
        failed_attempts: status.failed_issuance_attempts,
        created: meta.created(),
    })
}

// --- Budgets, claims, volumes, quotas ---------------------------------------------------------------------------------

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetSpec {
    #[serde(default)]
    min_available: Value,
    #[serde(default)]
    max_unavailable: Value,
    #[serde(default)]
    selector: Option<Selector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BudgetStatus {
    #[serde(default)]
    expected_pods: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    current_healthy: u32,
    #[serde(default, deserialize_with = "or_default")]
    desired_healthy: u32,
    #[serde(default, deserialize_with = "or_default")]
    disruptions_allowed: u32,
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<wire::Condition>,
}

fn disruption_budget(raw: Object<BudgetSpec, BudgetStatus>, _: &mut Troubles) -> Option<RawBudget> {
    let Object { metadata: meta, spec, status } = raw;
    let budget = DisruptionBudget {
        id: meta.id(),
        min_available: int_or_text(&spec.min_available),
        max_unavailable: int_or_text(&spec.max_unavailable),
        expected_pods: status.expected_pods,
        current_healthy: status.current_healthy,
        desired_healthy: status.desired_healthy,
        disruptions_allowed: status.disruptions_allowed,
        shared: None,
        scaled_to_zero: None,
        owner: meta.owner_references.iter().find(|o| o.controller).map(|o| format!("{} {}", o.kind, o.name)),
        conditions: conditions(status.conditions),
        created: meta.created(),
    };
    Some(RawBudget { budget, selector: spec.selector })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClaimSpec {
    #[serde(default, deserialize_with = "or_default")]
    access_modes: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    storage_class_name: String,
    #[serde(default, deserialize_with = "or_default")]
    resources: ClaimResources,
}

#[derive(Debug, Default, Deserialize)]
struct ClaimResources {
    #[serde(default, deserialize_with = "or_default")]
    requests: Storage,
}

#[derive(Debug, Default, Deserialize)]
struct Storage {
    #[serde(default)]
    storage: Option<wire::Quantity>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ClaimStatus {
    #[serde(default, deserialize_with = "or_default")]
    phase: String,
    #[serde(default, deserialize_with = "or_default")]
    capacity: Storage,
}

fn volume_claim(raw: Object<ClaimSpec, ClaimStatus>, troubles: &mut Troubles) -> Option<VolumeClaim> {
    let Object { metadata: meta, spec, status } = raw;
    let mut bytes = |storage: Storage, what: &str| {
        let quantity = storage.storage?;
        match parse_quantity(&quantity.0) {
            Ok(amount) => Some(Bytes(amount)),
            Err(e) => {
                troubles.push(format!("{}/{}: {what}: {e}", meta.namespace, meta.name));
                None
            }
        }
    };
    let requested = bytes(spec.resources.requests, "requested storage");
    let capacity = bytes(status.capacity, "capacity");
    Some(VolumeClaim {
        id: meta.id(),
        phase: status.phase,
        class: spec.storage_class_name,
        requested,
        capacity,
        access_modes: spec.access_modes,
        used_by: None,
        created: meta.created(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VolumeSpec {
    #[serde(default, deserialize_with = "or_default")]
    capacity: Storage,
    #[serde(default, deserialize_with = "or_default")]
    persistent_volume_reclaim_policy: String,
    #[serde(default, deserialize_with = "or_default")]
    storage_class_name: String,
    #[serde(default)]
    claim_ref: Option<ClaimReference>,
    /// Of the kinds of volumes only those that lie on a node are told apart.
    #[serde(default)]
    local: Option<IgnoredAny>,
    #[serde(default)]
    host_path: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
struct ClaimReference {
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VolumeStatus {
    #[serde(default, deserialize_with = "or_default")]
    phase: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default)]
    last_phase_transition_time: Option<Time>,
}

fn volume(raw: Object<VolumeSpec, VolumeStatus>, troubles: &mut Troubles) -> Option<Volume> {
    let Object { metadata: meta, spec, status } = raw;
    let capacity = spec.capacity.storage.and_then(|quantity| match parse_quantity(&quantity.0) {
        Ok(amount) => Some(Bytes(amount)),
        Err(e) => {
            troubles.push(format!("{}: capacity: {e}", meta.name));
            None
        }
    });
    Some(Volume {
        id: meta.id(),
        phase: status.phase,
        policy: spec.persistent_volume_reclaim_policy,
        class: spec.storage_class_name,
        capacity,
        claim: spec.claim_ref.map(|claim| ObjectId::new(&claim.namespace, &claim.name)),
        local: spec.local.is_some() || spec.host_path.is_some(),
        message: cut(status.message),
        since: status.last_phase_transition_time.map(|t| t.0),
        created: meta.created(),
    })
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct QuotaStatus {
    #[serde(default, deserialize_with = "or_default")]
    hard: BTreeMap<String, wire::Quantity>,
    #[serde(default, deserialize_with = "or_default")]
    used: BTreeMap<String, wire::Quantity>,
}

fn quota(raw: Object<Nothing, QuotaStatus>, troubles: &mut Troubles) -> Option<Quota> {
    let Object { metadata: meta, status, .. } = raw;
    let mut resources = Vec::with_capacity(status.hard.len());
    for (name, hard) in status.hard {
        // Before the controller has looked, nothing is known of what is used.
        let Some(used) = status.used.get(&name) else { continue };
        match (parse_quantity(&hard.0), parse_quantity(&used.0)) {
            (Ok(hard), Ok(used)) => resources.push(QuotaResource { name, hard, used }),
            (Err(e), _) | (_, Err(e)) => {
                troubles.push(format!("{}/{}: {name}: {e}", meta.namespace, meta.name));
            }
        }
    }
    Some(Quota { id: meta.id(), resources })
}

// --- Namespaces and API services --------------------------------------------------------------------------------------

/// The status of an object of which conditions are read.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Conditions {
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<wire::Condition>,
}

fn namespace(raw: Object<Nothing, Conditions>) -> Namespace {
    let Object { metadata: meta, status, .. } = raw;
    Namespace {
        id: meta.id(),
        deleted: meta.deletion_timestamp.map(|t| t.0),
        conditions: conditions(status.conditions),
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ApiServiceSpec {
    #[serde(default)]
    service: Option<ServiceReference>,
}

#[derive(Debug, Default, Deserialize)]
struct ServiceReference {
    #[serde(default, deserialize_with = "or_default")]
    namespace: String,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
}

/// An APIService of another server; those that the API server answers for itself are passed over.
fn api_service(raw: Object<ApiServiceSpec, Conditions>, _: &mut Troubles) -> Option<ApiService> {
    let Object { metadata: meta, spec, status } = raw;
    let service = spec.service?;
    Some(ApiService {
        id: meta.id(),
        service: ObjectId::new(&service.namespace, &service.name),
        conditions: conditions(status.conditions),
        created: meta.created(),
    })
}

// --- Jobs -------------------------------------------------------------------------------------------------------------

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobSpec {
    #[serde(default)]
    active_deadline_seconds: Option<f64>,
    #[serde(default)]
    backoff_limit: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    suspend: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobStatus {
    #[serde(default)]
    start_time: Option<Time>,
    #[serde(default)]
    completion_time: Option<Time>,
    #[serde(default, deserialize_with = "or_default")]
    active: u32,
    #[serde(default, deserialize_with = "or_default")]
    succeeded: u32,
    #[serde(default, deserialize_with = "or_default")]
    failed: u32,
    #[serde(default, deserialize_with = "or_default")]
    conditions: Vec<wire::Condition>,
}

fn job(raw: Object<JobSpec, JobStatus>, _: &mut Troubles) -> Option<Job> {
    let Object { metadata: meta, spec, status } = raw;
    let is_cron_job = |o: &&wire::OwnerReference| kind_in_full(&o.api_version, &o.kind) == "CronJob";
    let owner = meta.owner_references.iter().find(|o| o.controller && is_cron_job(o));
    Some(Job {
        id: meta.id(),
        cron_job: owner.map(|o| o.name.clone()),
        created: meta.created(),
        started: status.start_time.map(|t| t.0),
        completed: status.completion_time.map(|t| t.0),
        active: status.active,
        succeeded: status.succeeded,
        failed: status.failed,
        backoff_limit: spec.backoff_limit,
        deadline: spec.active_deadline_seconds.map(Seconds),
        suspended: spec.suspend,
        conditions: conditions(status.conditions),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CronJobSpec {
    #[serde(default, deserialize_with = "or_default")]
    schedule: String,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    suspend: bool,
    #[serde(default, deserialize_with = "or_default")]
    concurrency_policy: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CronJobStatus {
    #[serde(default)]
    last_schedule_time: Option<Time>,
    #[serde(default)]
    last_successful_time: Option<Time>,
}

fn cron_job(raw: Object<CronJobSpec, CronJobStatus>, _: &mut Troubles) -> Option<CronJob> {
    let Object { metadata: meta, spec, status } = raw;
    Some(CronJob {
        id: meta.id(),
        schedule: spec.schedule,
        time_zone: spec.time_zone.filter(|zone| !zone.is_empty()),
        suspended: spec.suspend,
        concurrency: spec.concurrency_policy,
        last_schedule: status.last_schedule_time.map(|t| t.0),
        last_success: status.last_successful_time.map(|t| t.0),
        created: meta.created(),
    })
}
