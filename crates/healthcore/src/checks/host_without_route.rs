//! `host-without-route`: DNS leads a name to the cluster, and no route serves it.

use std::collections::BTreeMap;

use crate::check::{Check, CheckInfo, Judgement, Outcome, Subject};
use crate::finding::{Advice, Problem, Severity, SubjectRef, Text, Value};
use crate::inventory::{Elsewhere, HostRequests, Inventory, Route};
use crate::model::{ObjectKind, Workload};
use crate::need::Needs;
use crate::snapshot::Missing;
use crate::view::View;

/// DNS leads a name to the cluster, and no route serves it.
pub struct HostWithoutRoute;

/// Id of the check, for what is settled over all clusters.
pub(crate) const ID: &str = "host-without-route";

crate::params! {
    /// Parameters of `host-without-route`.
    pub struct HostWithoutRouteParams {
        /// Requests in a day from which on it is a warning; fewer are info, as scanners try every name a few times.
        min_requests: u32 = 100 => 1..=1_000_000_000,
    }
}

impl Check for HostWithoutRoute {
    const INFO: CheckInfo = CheckInfo {
        id: ID,
        title: "Host has no route",
        since: "0.1.0",
        checks: "Whether a route serves every name that DNS leads to the clusters: the names of the files that the \
                 configuration gives (`hosts: {files: [...]}`), and those that external-dns makes for routes.",
        why: "Users of the name get 404 or the page of another service, and a name that nothing serves can be taken over by \
              whoever may make a route.",
        decides: "A warning when no route names the host and `min-requests` or more requests for it were counted in the last \
                  day, info with fewer or where nobody counts them. Routes are Ingresses, routes of the Gateway API, \
                  VirtualServices of Istio, and `server_name` in ConfigMaps with a configuration of nginx, where those may be \
                  read. A wildcard of an Ingress stands for one label, those of the others for any number; a route without \
                  host serves every name that leads to its cluster (where a cluster without such a route counts more requests \
                  for the name, it leads there); a name that external-dns makes for a Service is served by it. Requests are \
                  those of `nginx_ingress_controller_requests` (for names without Ingress the controller needs \
                  --metrics-per-undefined-host), `nginx_vts_server_requests_total` and `istio_requests_total` with a label \
                  `request_host`. A name of a file is in order when any cluster of the run serves it, and is told once; \
                  where the routes of a cluster are not known it is not judged. Of a cluster of which only some namespaces \
                  are looked into, the routes of all are listed for this.",
        remedy: "Add the host to the route of its service, or take the record out of DNS.",
        false_alarms: "A name that leads to something else than these clusters, a mail server or a VPN for instance: leave it \
                       out with `hosts: {skip: [...]}`. A route of a kind that is not read, such as the IngressRoute of \
                       Traefik.",
        texts: &[
            (
                "busy",
                "no route serves this name, and {requests} {requests|request|requests} for it came in {span}",
            ),
            ("idle", "no route serves this name; no request for it was counted"),
            ("uncounted", "no route serves this name; how many requests it gets is not known"),
            ("look", "see which routes there are"),
            ("add", "add the host to {route}, or take it out of its annotation"),
            ("remove", "add it to the route of its service, or take its record out of {origin}"),
        ],
    };
    /// A route that is not seen may serve it.
    const NEEDS_ALL: bool = true;
    type Params = HostWithoutRouteParams;
    type Subject<'a> = Host<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .objects(ObjectKind::Routes)
            .objects(ObjectKind::Services)
            .objects(ObjectKind::ServerNames)
            .objects(ObjectKind::HostRequests);
    }

    fn judge(params: &Self::Params, host: &Host<'_>, view: &View<'_>) -> Judgement {
        let unknown = view.snapshot.objects.unavailable.iter().find(|u| u.kind == ObjectKind::Routes);
        if let Some(list) = unknown {
            return Err(list.why.clone());
        }
        let inventory = &view.snapshot.objects.inventory;
        let elsewhere = matches!(host.elsewhere, Elsewhere::Route | Elsewhere::AnyHost);
        if elsewhere || is_named(inventory, host.name) || takes_any(inventory) {
            return Ok(Outcome::Ok);
        }
        if host.elsewhere == Elsewhere::Unknown {
            return Err(Missing::PartialList { resource: "routes".to_owned() });
        }
        let counted = inventory.host_requests.iter().find(|r| r.host == host.name);
        let uncounted = view.unavailable(ObjectKind::HostRequests, "").is_some();
        let problem = match counted.filter(|r| r.requests > 0) {
            Some(counted) => busy(params, counted),
            None => Problem::new(Severity::Info, Text::new(if uncounted { "uncounted" } else { "idle" })),
        };
        Ok(advise(problem, host).into())
    }
}

fn busy(params: &HostWithoutRouteParams, counted: &HostRequests) -> Problem {
    let HostRequests { requests, span, .. } = counted;
    let loud = *requests >= u64::from(params.min_requests);
    let severity = if loud { Severity::Warning } else { Severity::Info };
    let text = Text::new("busy").with("requests", Value::Count(*requests)).with("span", *span);
    Problem::new(severity, text).measured("requests", Value::Count(*requests), params.min_requests)
}

fn advise(problem: Problem, host: &Host<'_>) -> Problem {
    let problem = match (&host.annotated, host.origin) {
        (Some(route), _) => {
            let (namespace, name, kind) = (&route.id.namespace, &route.id.name, route.kind.to_lowercase());
            let named = format!("{} {namespace}/{name}", route.kind);
            problem.evidence("origin", named.as_str()).advise(
                Advice::new(Text::new("add").with("route", named))
                    .command(format!("kubectl -n {namespace} edit {kind} {name}"), &[namespace, &kind, name]),
            )
        }
        (None, origin) => {
            problem.evidence("origin", origin).advise(Advice::new(Text::new("remove").with("origin", origin)))
        }
    };
    let problem = if host.value.is_empty() { problem } else { problem.evidence("record", host.value) };
    problem.advise(Advice::new(Text::new("look")).command("kubectl get ingress -A".to_owned(), &[]))
}

/// Whether a route takes every host that leads to the cluster.
pub(crate) fn takes_any(inventory: &Inventory) -> bool {
    inventory.routes.iter().any(Route::takes_any)
}

/// Whether a route names a host, or external-dns a Service by it.
pub(crate) fn is_named(inventory: &Inventory, host: &str) -> bool {
    let own_name = |name: &String| name == host;
    inventory.routes.iter().any(|route| route.names(host))
        || inventory.services.iter().any(|service| service.dns_names.iter().any(own_name))
}

/// A name that DNS leads to the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    name: &'a str,
    /// Where its record is written; empty for annotations.
    origin: &'a str,
    value: &'a str,
    elsewhere: Elsewhere,
    /// The route whose annotation makes external-dns lead it here.
    annotated: Option<&'a Route>,
}

impl<'a> Subject<'a> for Host<'a> {
    /// Those of files first: they are settled over all clusters. A wildcard is no name that clients ask for.
    fn all(view: &View<'a>) -> Vec<Self> {
        let inventory = &view.snapshot.objects.inventory;
        let mut hosts: BTreeMap<&str, Self> = BTreeMap::new();
        for dns in &inventory.dns_names {
            let host = Self {
                name: &dns.host,
                origin: &dns.origin,
                value: &dns.value,
                elsewhere: dns.elsewhere,
                annotated: None,
            };
            hosts.entry(&dns.host).or_insert(host);
        }
        for (route, name) in inventory.routes.iter().flat_map(|r| r.dns_names.iter().map(move |n| (r, n))) {
            let host =
                Self { name, origin: "", value: "", elsewhere: Elsewhere::Nothing, annotated: Some(route) };
            hosts.entry(name).or_insert(host);
        }
        hosts.into_values().filter(|host| !host.name.contains('*')).collect()
    }
    fn reference(&self) -> SubjectRef {
        SubjectRef {
            namespace: self.annotated.map(|r| r.id.namespace.clone()).unwrap_or_default(),
            kind: "Host".to_owned(),
            name: self.name.to_owned(),
            ..SubjectRef::default()
        }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Routes]
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check(super::ID, text, expected);
    }

    const DNS: &str = "dns forex-ui.example origin=dns.yaml:3 value=192.0.2.1";

    #[test]
    fn requests_without_route_are_a_warning() {
        check(
            &format!("{DNS}\nrequests forex-ui.example count=20593"),
            "warning /forex-ui.example: no route serves this name, and 20593 requests for it came in 1d",
        );
        check(
            &format!("{DNS}\nrequests forex-ui.example count=1 span=2h"),
            "info /forex-ui.example: no route serves this name, and 1 request for it came in 2h",
        );
        let told =
            |count: u32| fixture::told(super::ID, &format!("{DNS}\nrequests forex-ui.example count={count}"));
        assert!(told(100)[0].starts_with("warning") && told(99)[0].starts_with("info"));
    }

    #[test]
    fn silence_is_info_and_not_counting_is_no_silence() {
        check(DNS, "info /forex-ui.example: no route serves this name; no request for it was counted");
        check(
            &format!("{DNS}\nrequests other.example count=7"),
            "info /forex-ui.example: no route serves this name; no request for it was counted",
        );
        check(
            &format!("{DNS}\ndenied host-requests"),
            "info /forex-ui.example: no route serves this name; how many requests it gets is not known",
        );
    }

    #[test]
    fn what_serves_a_host() {
        let serves = |kind: &str, words: &str, expected: bool| {
            let told = fixture::told(super::ID, &format!("dns a.b.example\nroute web/{kind}/r {words}"));
            assert_eq!(told == ["1 ok"], expected, "{kind} {words}: {told:?}");
        };
        serves("Ingress", "hosts=a.b.example", true);
        serves("Ingress", "hosts=b.example", false);
        serves("Ingress", "hosts=*.b.example", true);
        serves("Ingress", "hosts=*.example", false);
        serves("HTTPRoute", "hosts=*.example", true);
        serves("VirtualService", "hosts=*.b.example", true);
        serves("VirtualService", "hosts=*.a.b.example", false);
        serves("ConfigMap", "hosts=a.b.*", true);
        serves("ConfigMap", "hosts=b.*", false);
        // For every host.
        serves("Ingress", "", true);
        serves("Ingress", "hosts=x.example any-host", true);
        // Its routes serve, and not the Gateway itself.
        serves("Gateway", "", false);
        check("dns a.b.example\nservice web/lb type=LoadBalancer dns=a.b.example", "1 ok");
        check("dns *.b.example", "nothing");
    }

    #[test]
    fn a_name_of_an_annotation_belongs_to_its_object() {
        let route = "route web/Ingress/front hosts=a.example dns=a.example,b.example";
        check(
            &format!("{route}\nrequests b.example count=3570"),
            "warning web/b.example: no route serves this name, and 3570 requests for it came in 1d\n1 ok",
        );
        let advice = fixture::advice(super::ID, route);
        assert!(advice[0].contains("add the host to Ingress web/front"), "{advice:?}");
        assert!(advice[0].ends_with("[kubectl -n web edit ingress front]"), "{advice:?}");
        // A file tells of it too: then it is told once, of no namespace.
        check(
            &format!("{route}\ndns b.example origin=dns.yaml:9"),
            "info /b.example: no route serves this name; no request for it was counted\n1 ok",
        );
    }

    #[test]
    fn a_route_that_is_not_seen_may_serve_it() {
        check(
            &format!("{DNS}\ndenied routes namespace=shop"),
            "2 unknown: not allowed to list routes in namespace shop",
        );
        check(&format!("{DNS} elsewhere=route"), "1 ok");
        check(&format!("{DNS} elsewhere=any-host"), "1 ok");
        check(&format!("{DNS} elsewhere=unknown"), "1 unknown: the list of routes is not whole");
        // ConfigMaps are read where they may be.
        check(
            &format!("{DNS}\ndenied server-names"),
            "info /forex-ui.example: no route serves this name; no request for it was counted",
        );
    }
}
