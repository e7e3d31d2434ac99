//! What a cluster holds besides workloads and pods: services, routes, certificates, budgets, claims, quotas, jobs.
//!
//! These objects are few and small, so those of a whole cluster are judged together, in a part of their own without
//! series ([`crate::snapshot::Objects::inventory`]). Only claims have series, and are judged in the part of
//! their namespace. As in [`crate::model`], a field that no check reads does not exist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api_versions::ApiUse;
use crate::model::{Condition, Event, ObjectKind, WorkloadId};
use crate::starts::StartedTogether;
use crate::time::Timestamp;
use crate::unit::{Bytes, Seconds};

/// Objects of a cluster that are judged all together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Services with the state of their endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What routes hosts to services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Certificates of TLS Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls_secrets: Vec<TlsSecret>,
    /// Certificates that cert-manager is to keep in Secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub managed_certificates: Vec<ManagedCertificate>,
    /// What TLS servers showed when they were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served: Vec<ServedCertificate>,
    /// Where certificates are not looked at, on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates_skipped: Vec<CertificatesSkipped>,
    /// Names that DNS leads to clusters, as files of the user tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<DnsName>,
    /// Requests for names that DNS leads to clusters, as this cluster counts them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_requests: Vec<HostRequests>,
    /// PodDisruptionBudgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disruption_budgets: Vec<DisruptionBudget>,
    /// PersistentVolumeClaims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_claims: Vec<VolumeClaim>,
    /// ResourceQuotas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<Quota>,
    /// Jobs, those of CronJobs too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Job>,
    /// CronJobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cron_jobs: Vec<CronJob>,
    /// PersistentVolumes, which are in no namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Namespaces themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    /// APIServices that another server than the API server answers for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_services: Vec<ApiService>,
    /// Pods of several workloads that started together, the newest first; none where nobody looked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Vec<StartedTogether>>,
    /// Who uses deprecated versions of APIs; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_use: Option<ApiUse>,
    /// Whether all namespaces of the cluster were looked into, lists aside that could not be had.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_namespaces: bool,
    /// Version of the API server, such as `v1.33.2`; empty when it does not tell. The part with the nodes has it too.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_version: String,
}

impl Inventory {
    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The namespaces of all that is in one, in no order, each as often as it has objects.
    pub fn inhabited(&self) -> impl Iterator<Item = &str> {
        fn of<T: Held>(inventory: &Inventory) -> impl Iterator<Item = &str> {
            T::all(inventory).iter().map(|object| object.id().namespace.as_str())
        }
        let certificates = self.managed_certificates.iter().map(|c| c.id.namespace.as_str());
        (of::<Service>(self).chain(of::<Route>(self)).chain(of::<TlsSecret>(self)).chain(certificates))
            .chain(of::<DisruptionBudget>(self))
            .chain(of::<VolumeClaim>(self))
            .chain(of::<Quota>(self))
            .chain(of::<Job>(self))
            .chain(of::<CronJob>(self))
    }

    /// Whether certificates of a namespace are not to be looked at.
    #[must_use]
    pub fn skips_certificates(&self, namespace: &str) -> bool {
        self.certificates_skipped.iter().any(|skip| skip.namespace.as_deref().is_none_or(|n| n == namespace))
    }

    /// Gives Services that wait for a load balancer the newest Warning event about them, before the cluster is cut into parts:
    /// events lie with the workloads of their namespace.
    pub fn give_warnings<'a>(&mut self, events: impl Iterator<Item = &'a Event>, taken_at: Timestamp) {
        let mut about: BTreeMap<(&str, &str), Vec<&Event>> = BTreeMap::new();
        // What keeps its endpoints from being written says nothing of a load balancer.
        for event in events.filter(|e| e.kind == "Service" && !e.reason.contains("Endpoint")) {
            about.entry((&event.namespace, &event.name)).or_default().push(event);
        }
        for service in &mut self.services {
            let Some(waits) = service.load_balancer.as_mut().filter(|lb| !lb.has_address) else { continue };
            let time = |e: &Event| e.last.or(e.first);
            // A Service of that name may have been there before.
            let own =
                |t: Timestamp| t.age_at(taken_at).is_some() && service.created.is_none_or(|made| made <= t);
            let all = about.get(&(service.id.namespace.as_str(), service.id.name.as_str()));
            let told = all.into_iter().flatten().filter(|e| time(e).is_some_and(own));
            let newest = told.max_by_key(|e| (time(e), &e.reason, &e.message));
            waits.warning = newest.map(|e| (*e).clone());
        }
    }

    /// Puts every list into the order of namespaces and names.
    pub fn sort(&mut self) {
        let Self {
            services,
            routes,
            tls_secrets,
            managed_certificates,
            served,
            certificates_skipped,
            dns_names,
            host_requests,
            disruption_budgets,
            volume_claims,
            quotas,
            jobs,
            cron_jobs,
            volumes,
            namespaces,
            api_services,
            starts: _,
            api_use,
            all_namespaces: _,
            server_version: _,
        } = self;
        services.sort_by(|a, b| a.id.cmp(&b.id));
        routes.sort_by(|a, b| (&a.id, &a.kind).cmp(&(&b.id, &b.kind)));
        tls_secrets.sort_by(|a, b| a.id.cmp(&b.id));
        managed_certificates.sort_by(|a, b| a.id.cmp(&b.id));
        served.sort_by(|a, b| a.id.cmp(&b.id));
        certificates_skipped.sort();
        dns_names.sort();
        host_requests.sort_by(|a, b| a.host.cmp(&b.host));
        disruption_budgets.sort_by(|a, b| a.id.cmp(&b.id));
        volume_claims.sort_by(|a, b| a.id.cmp(&b.id));
        quotas.sort_by(|a, b| a.id.cmp(&b.id));
        jobs.sort_by(|a, b| a.id.cmp(&b.id));
        cron_jobs.sort_by(|a, b| a.id.cmp(&b.id));
        volumes.sort_by(|a, b| a.id.cmp(&b.id));
        namespaces.sort_by(|a, b| a.id.cmp(&b.id));
        api_services.sort_by(|a, b| a.id.cmp(&b.id));
        if let Some(ApiUse { written, requested }) = api_use {
            written.sort();
            requested.sort();
        }
    }
}

/// A kind of object that an [`Inventory`] holds; checks judge each by itself.
pub trait Held: Sized + 'static {
    /// The list that it comes from.
    const LIST: ObjectKind;
    /// All of them in an inventory.
    fn all(inventory: &Inventory) -> &[Self];
    /// Its name.
    fn id(&self) -> &ObjectId;
    /// Its kind as Kubernetes spells it.
    fn kind(&self) -> &str;
}

macro_rules! held {
    ($($of:ty: $list:ident in $field:ident, $kind:literal;)+) => {
        $(impl Held for $of {
            const LIST: ObjectKind = ObjectKind::$list;
            fn all(inventory: &Inventory) -> &[Self] {
                &inventory.$field
            }
            fn id(&self) -> &ObjectId {
                &self.id
            }
            fn kind(&self) -> &str {
                $kind
            }
        })+
    };
}
held! {
    Service: Services in services, "Service";
    TlsSecret: TlsSecrets in tls_secrets, "Secret";
    DisruptionBudget: DisruptionBudgets in disruption_budgets, "PodDisruptionBudget";
    VolumeClaim: VolumeClaims in volume_claims, "PersistentVolumeClaim";
    Quota: Quotas in quotas, "ResourceQuota";
    Job: Schedules in jobs, "Job";
    CronJob: Schedules in cron_jobs, "CronJob";
    Volume: Volumes in volumes, "PersistentVolume";
    Namespace: Namespaces in namespaces, "Namespace";
    ApiService: ApiServices in api_services, "APIService";
}

impl Held for Route {
    const LIST: ObjectKind = ObjectKind::Routes;
    fn all(inventory: &Inventory) -> &[Self] {
        &inventory.routes
    }
    fn id(&self) -> &ObjectId {
        &self.id
    }
    fn kind(&self) -> &str {
        &self.kind
    }
}

/// Namespace and name of an object whose kind is known; the namespace of one that is in none is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectId {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectId {
    /// From its parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub id: ObjectId,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it selects pods; the endpoints of one that does not are kept by someone else.
    pub selects: bool,
    /// Whether it has no address of its own (`clusterIP: None`): clients find its pods by DNS.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headless: bool,
    /// Ports that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Its endpoints in all EndpointSlices; none when those could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// Kind and name of a workload that it selects and that is scaled to zero on purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_to_zero: Option<String>,
    /// When the oldest of its pods was made, of those that have not ended and are not being deleted; only where none of its
    /// endpoints is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_pod: Option<Timestamp>,
    /// What has become of its load balancer; only of type `LoadBalancer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Host names of the annotation `external-dns.alpha.kubernetes.io/hostname`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// Whether it is being deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleting: bool,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// What has become of the load balancer of a Service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// Class of the controller that has to make it (`loadBalancerClass`); empty for the cloud's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// Whether it has an address.
    #[serde(default)]
    pub has_address: bool,
    /// The newest Warning event about the Service, while there is no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<Event>,
}

/// A port of a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicePort {
    /// Name; empty where there is one port only.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Number.
    pub port: u16,
    /// Protocol; empty for TCP.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub protocol: String,
    /// Name of the port of containers that it leads to; empty where it leads to a number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// Ready endpoints that have a port of that name; none where it leads to a number, or when they could not be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<u32>,
}

impl ServicePort {
    /// How people call it: by its name, where it has one.
    #[must_use]
    pub fn in_words(&self) -> String {
        if self.name.is_empty() { self.port.to_string() } else { self.name.clone() }
    }
}

/// How many endpoints a Service has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// Ready ones, which get traffic.
    pub ready: u32,
    /// All.
    pub all: u32,
}

/// An object that routes hosts to services: Ingress, Gateway, HTTPRoute, GRPCRoute, TLSRoute, VirtualService, or a
/// ConfigMap with nginx `server_name` lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Its name.
    pub id: ObjectId,
    /// Its kind.
    pub kind: String,
    /// Hosts, lower case; `*.example.com` for all names one label below; none for any host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Whether it takes any host besides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_host: bool,
    /// Names that nginx compares as regular expressions, without their `~`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<String>,
    /// Where it ends TLS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<RouteTls>,
    /// Services that it sends requests to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<Backend>,
    /// Gateways that a route of the Gateway API names and that have said something of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<RouteParent>,
    /// Host names of the annotation `external-dns.alpha.kubernetes.io/hostname`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dns_names: Vec<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl Route {
    /// Whether it takes requests for a host. A Gateway takes them for its routes only. Wildcards of an Ingress stand for one
    /// label, all others for any number; nginx also has them at the end of a name.
    #[must_use]
    pub fn serves(&self, host: &str) -> bool {
        self.names(host) || self.takes_any()
    }

    /// Whether one of its names stands for a host.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let covers = |name: &String| {
            let below = name.strip_prefix('*').filter(|rest| rest.starts_with('.'));
            let above = name.strip_suffix('*').filter(|rest| rest.ends_with('.'));
            name == host
                || below.is_some_and(|end| host.len() > end.len() && host.ends_with(end))
                || above.is_some_and(|begin| host.len() > begin.len() && host.starts_with(begin))
        };
        match self.kind.as_str() {
            "Gateway" => false,
            "Ingress" => names_cover(&self.hosts, host),
            _ => self.hosts.iter().any(covers),
        }
    }

    /// Whether it takes requests for every host that leads to its cluster.
    #[must_use]
    pub fn takes_any(&self) -> bool {
        match self.kind.as_str() {
            "Gateway" => false,
            // One without names holds expressions, and those that match are among its hosts.
            "ConfigMap" => self.any_host,
            _ => self.any_host || self.hosts.is_empty(),
        }
    }
}

/// What a Gateway says of a route that names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteParent {
    /// The Gateway.
    pub gateway: ObjectId,
    /// Conditions that are false.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Condition>,
}

/// Hosts for which a route ends TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTls {
    /// Hosts; none for those of an Ingress, and for any host that no listener of a Gateway names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Secret with the certificate; none for the controller's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ObjectId>,
}

impl RouteTls {
    /// The hosts that it is for, as an entry of this route; none for any host.
    #[must_use]
    pub fn hosts_of<'a>(&'a self, route: &'a Route) -> &'a [String] {
        if self.hosts.is_empty() && route.kind == "Ingress" { &route.hosts } else { &self.hosts }
    }
}

/// A Service that a route sends requests to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// The Service.
    pub service: ObjectId,
    /// Name or number of its port; none where the route names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// A Secret of type `kubernetes.io/tls`: what its certificates say. The private key is never read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSecret {
    /// Its name.
    pub id: ObjectId,
    /// The certificates in the order of the file: that of the server first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Certificate>,
    /// Certificates behind these that were not read, since the chain is too long.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u32,
    /// Why the file could not be read as certificates, behind those of the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// Name of the cert-manager Certificate that keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Name of a living pod that mounts it; the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
}

/// A Certificate of cert-manager (`cert-manager.io/v1`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedCertificate {
    /// Its name.
    pub id: ObjectId,
    /// Name of the Secret that it is kept in, in its own namespace.
    pub secret: String,
    /// Its conditions, of which `Ready` and `Issuing` are read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Until when the certificate in the Secret is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// When it is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Timestamp>,
    /// Attempts that have failed one after the other.
    #[serde(default)]
    pub failed_attempts: u32,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl ManagedCertificate {
    /// The condition of a kind.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == kind)
    }
}

/// An X.509 certificate (RFC 5280), what checks read of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Distinguished name of the subject.
    pub subject: String,
    /// Distinguished name of the issuer.
    pub issuer: String,
    /// DNS names and IP addresses of the subject alternative name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// SHA-256 of the certificate (DER), in lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Where the certificate of its issuer can be fetched (RFC 5280, section 4.2.2.1). Public authorities name it, private
    /// ones rarely do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_url: Option<String>,
}

/// The certificates that a TLS server showed when it was asked, or why it could not be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedCertificate {
    /// Namespace of the route that names the host (none for a configured server), host and port.
    pub id: ObjectId,
    /// The host that was asked for (RFC 6066, server name indication).
    pub host: String,
    /// The port.
    pub port: u16,
    /// The certificates in the order in which they were sent: that of the server first. Empty when there was no
    /// handshake.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Certificate>,
    /// Certificates behind these that were not read, since the chain is too long.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unread: u32,
    /// Whether the chain leads to no root that is known where the run was made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unknown_issuer: bool,
    /// How many of them, that of the server included, lead to a root that is known where the run was made; none where they do
    /// not, or nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<usize>,
    /// Why there was no handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A wish that certificates are not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatesSkipped {
    /// The namespace; none for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Why.
    pub reason: String,
}

/// Whether one of the names of a certificate or route covers a host (RFC 9525, section 6.3): a wildcard stands for
/// exactly the leftmost label.
///
/// ```
/// use healthcore::inventory::names_cover;
/// let names = ["*.shop.example".to_owned(), "shop.example".to_owned()];
/// assert!(names_cover(&names, "buy.shop.example") && names_cover(&names, "shop.example"));
/// assert!(!names_cover(&names, "a.buy.shop.example"));
/// ```
#[must_use]
pub fn names_cover(names: &[String], host: &str) -> bool {
    let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
    let covers = |name: &String| {
        let below = name.strip_prefix("*.");
        name.eq_ignore_ascii_case(host)
            || below.zip(parent).is_some_and(|(own, parent)| own.eq_ignore_ascii_case(parent))
    };
    names.iter().any(covers)
}

/// A name that DNS leads to clusters.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsName {
    /// The name, lower case, without final dot.
    pub host: String,
    /// Where its record is written: file and line.
    pub origin: String,
    /// What its record holds: an address or another name; empty when the file does not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// What namespaces of the cluster have for it that the run does not look into.
    #[serde(default, skip_serializing_if = "Elsewhere::is_nothing")]
    pub elsewhere: Elsewhere,
}

/// What namespaces have for a name that a run does not look into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Elsewhere {
    /// No route, or there are no such namespaces.
    #[default]
    Nothing,
    /// A route that names it.
    Route,
    /// A route for any host.
    AnyHost,
    /// Their routes could not be listed.
    Unknown,
}

impl Elsewhere {
    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Requests for a host, as the metrics of an ingress controller count them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRequests {
    /// The host that clients named.
    pub host: String,
    /// Requests in the time.
    pub requests: u64,
    /// The time in which they were counted, up to the end of the window.
    pub span: Seconds,
}

/// A PodDisruptionBudget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisruptionBudget {
    /// Its name.
    pub id: ObjectId,
    /// `minAvailable` as written: a number or a percentage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<String>,
    /// `maxUnavailable` as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<String>,
    /// Pods that it counts; none before the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_pods: Option<u32>,
    /// Pods that are healthy.
    #[serde(default)]
    pub current_healthy: u32,
    /// Pods that must stay healthy.
    #[serde(default)]
    pub desired_healthy: u32,
    /// Pods that may be evicted now.
    #[serde(default)]
    pub disruptions_allowed: u32,
    /// Pods that it shares with other budgets; none where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedPods>,
    /// Kind and name of a workload that it selects and that is scaled to zero on purpose; only where it counts no pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_to_zero: Option<String>,
    /// Kind and name of the object whose controller made it, and would make it so again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// Pods that several budgets select, of which this one is the first by name: each such pod counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedPods {
    /// How many.
    #[serde(default)]
    pub pods: u32,
    /// Names of the other budgets, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Name of one of the pods, the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// The workload of that pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadId>,
}

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeClaim {
    /// Its name.
    pub id: ObjectId,
    /// `Pending`, `Bound` or `Lost`.
    pub phase: String,
    /// Storage class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Bytes>,
    /// What it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Bytes>,
    /// How it may be mounted: `ReadWriteOnce`, `ReadOnlyMany`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_modes: Vec<String>,
    /// Name of a living pod that mounts it; the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A ResourceQuota.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Its name.
    pub id: ObjectId,
    /// What it bounds, in the order of the names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<QuotaResource>,
}

/// One bound of a quota, in base units.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaResource {
    /// `requests.memory`, `pods`, `count/secrets`, ...
    pub name: String,
    /// The bound.
    pub hard: f64,
    /// What is used of it.
    pub used: f64,
}

/// A Job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Its name.
    pub id: ObjectId,
    /// The CronJob that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_job: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// Pods that run.
    #[serde(default)]
    pub active: u32,
    /// Pods that ended with success.
    #[serde(default)]
    pub succeeded: u32,
    /// Pods that failed.
    #[serde(default)]
    pub failed: u32,
    /// Retries before it counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
    /// Time after its start at which Kubernetes ends it (`activeDeadlineSeconds`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Seconds>,
    /// Whether it waits on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// Its conditions: `Complete`, `Failed`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Job {
    /// The condition `Failed`, when it is true.
    #[must_use]
    pub fn failure(&self) -> Option<&Condition> {
        self.conditions.iter().find(|c| c.kind == "Failed" && c.status == Some(true))
    }

    /// Whether it has ended, with success or without.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let complete = self.conditions.iter().any(|c| c.kind == "Complete" && c.status == Some(true));
        complete || self.completed.is_some() || self.failure().is_some()
    }
}

/// A CronJob.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CronJob {
    /// Its name.
    pub id: ObjectId,
    /// Schedule in cron notation.
    pub schedule: String,
    /// Zone of the schedule; none for that of the controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Whether it is stopped on purpose.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// What becomes of a run that is due while the one before goes on: `Allow`, `Forbid` or `Replace`; empty when not
    /// reported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub concurrency: String,
    /// When it last made a Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule: Option<Timestamp>,
    /// When a Job of it last ended with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A PersistentVolume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Its name.
    pub id: ObjectId,
    /// `Pending`, `Available`, `Bound`, `Released` or `Failed`.
    pub phase: String,
    /// What is to become of it when its claim is gone: `Retain`, `Delete` or `Recycle`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub policy: String,
    /// Storage class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// What it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Bytes>,
    /// The claim that it is, or was, bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ObjectId>,
    /// Whether it is a disk or a folder of a node, which is there whether or not a volume stands for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// Why it is in its phase.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when it is in its phase; none before Kubernetes 1.29, and where it has been in it since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// A Namespace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its name; it is in no namespace itself.
    pub id: ObjectId,
    /// Since when it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    /// Its conditions, which tell what holds up its deletion: `NamespaceContentRemaining`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// An APIService: a version of an API group that the API server lets another server answer for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiService {
    /// Its name: version and group, such as `v1beta1.metrics.k8s.io`.
    pub id: ObjectId,
    /// The Service of the other server.
    pub service: ObjectId,
    /// Its conditions, of which `Available` is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

impl ApiService {
    /// The API group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.id.name.split_once('.').map_or("", |(_, group)| group)
    }
}
