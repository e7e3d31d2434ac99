//! `service-without-endpoints`: a Service selects pods, and none of them can serve it, or one of its ports.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::{Backend, Endpoints, Route, Service, ServicePort};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::first_and_more;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A Service selects pods, and none of them can serve it, or one of its ports.
pub struct ServiceWithoutEndpoints;

crate::params! {
    /// Parameters of `service-without-endpoints`.
    pub struct ServiceWithoutEndpointsParams {
        /// How old a service must be; its pods need time to start.
        min_age: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(30.0),
        /// Age of the oldest of its pods up to which these are starting.
        grace: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(1.0),
    }
}

impl Check for ServiceWithoutEndpoints {
    const INFO: CheckInfo = CheckInfo {
        id: "service-without-endpoints",
        title: "Service without endpoints",
        since: "0.1.0",
        checks: "Whether every Service that selects pods has at least one ready endpoint, and that for each of its \
                 ports.",
        why: "Requests to it fail: connections are refused, and an Ingress answers 503.",
        decides: "From the EndpointSlices of the Service. No endpoint at all, because no pod matches or none has an \
                  address yet: critical when an Ingress, an HTTPRoute or another route sends requests to it, info when \
                  it is headless and has no route, else a warning. Pods selected and none ready: a warning, because \
                  `pod-not-running` and `crash-looping` tell loud which pods and why. Both are info when the oldest \
                  of its pods was made less than `grace` ago: they are starting. Pods are ready, but a port leads \
                  to a name (`targetPort: web`) that no container has for its protocol, so that the EndpointSlices \
                  lack it: critical when a route sends requests to this port, info when the Service is headless and \
                  has no such route, for clients choose the port themselves, else a warning. Left out are Services \
                  without a selector, those of type ExternalName, those that select a workload which is scaled to \
                  zero or has no node to run on (DaemonSet), those that are being deleted, and those younger than `min-age`.",
        remedy: "Compare the selector with the labels of the pods, or see why the pods have no node or are not ready. \
                 Give the port of the container the name that `targetPort` has, or write its number there.",
        false_alarms: "A Service for the pods of a Job that runs from time to time. A headless Service that a chart \
                       makes for a control plane which the provider hides is info. A port for a container that is \
                       switched off, such as an exporter of metrics: take it out of the Service too.",
        texts: &[
            ("starting", "has no ready endpoint yet: its oldest pod was made {time} ago"),
            (
                "starting-routed",
                "has no ready endpoint yet, and requests of {route} to it fail: its oldest pod was made {time} ago",
            ),
            ("no-pods", "has no endpoint, and nothing sends requests to it by a route"),
            ("no-pods-routed", "has no endpoint, and requests of {route} to it fail"),
            ("none-ready", "{all} of {all} {all|endpoint is|endpoints are} not ready"),
            (
                "none-ready-routed",
                "{all} of {all} {all|endpoint is|endpoints are} not ready, and requests of {route} to it fail",
            ),
            (
                "port-nowhere",
                "port {port} leads to `{target}`, and no container of its {ready} ready {ready|pod|pods} has a {protocol} port of that name",
            ),
            (
                "port-nowhere-routed",
                "port {port} leads to `{target}`, and no container of its {ready} ready {ready|pod|pods} has a {protocol} port of that name: requests of {route} to it fail",
            ),
            ("see-ports", "compare where its ports lead with the names of the ports of the containers"),
            ("see-pods", "see which pods it selects and why they are not ready"),
            (
                "see-selector",
                "see whether a pod has the labels that it selects, and whether that pod has a node and an address",
            ),
        ],
    };
    type Params = ServiceWithoutEndpointsParams;
    type Subject<'a> = &'a Service;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Services).objects(ObjectKind::Routes);
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, service: &&Service, view: &View<'_>) -> Judgement {
        let young = view.is_younger(service.created, params.min_age);
        let external = service.kind == "ExternalName";
        if !service.selects || external || young || service.deleting || service.scaled_to_zero.is_some() {
            return Ok(Outcome::NotApplicable);
        }
        let endpoints = service.endpoints.ok_or(Missing::NotReported { field: Field::Endpoints })?;
        if endpoints.ready > 0 {
            return Ok(ports(service, endpoints, view));
        }
        let routes = routes_to(service, None, view);
        let age = service.oldest_pod.and_then(|made| made.age_at(view.snapshot.taken_at));
        Ok(match age.filter(|age| *age < params.grace.get()) {
            Some(age) => starting(service, endpoints, &routes, Seconds(age)),
            None => problem(service, endpoints, &routes),
        }
        .into())
    }
}

/// What sends requests to a service, or to one of its ports.
fn routes_to<'a>(service: &Service, port: Option<&ServicePort>, view: &View<'a>) -> Vec<&'a Route> {
    let to_port = |backend: &Backend| match (port, &backend.port) {
        (Some(port), Some(named)) => port.name == *named || port.port.to_string() == *named,
        _ => true,
    };
    let to = |route: &&Route| route.backends.iter().any(|b| b.service == service.id && to_port(b));
    view.snapshot.objects.inventory.routes.iter().filter(to).collect()
}

/// Judges the ports of a service that has ready endpoints. Of those that lead nowhere one is told in words: the first that
/// a route sends requests to, else the first.
fn ports(service: &Service, endpoints: Endpoints, view: &View<'_>) -> Outcome {
    let nowhere = service.ports.iter().filter(|p| !p.target.is_empty() && p.ready == Some(0));
    let nowhere: Vec<(&ServicePort, Vec<&Route>)> =
        nowhere.map(|p| (p, routes_to(service, Some(p), view))).collect();
    let Some((port, routes)) = nowhere.iter().find(|(_, routes)| !routes.is_empty()).or(nowhere.first())
    else {
        return Outcome::Ok;
    };
    let severity = match routes.is_empty() {
        false => Severity::Critical,
        true if service.headless => Severity::Info,
        true => Severity::Warning,
    };
    let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
    let text = Text::new(if routes.is_empty() { "port-nowhere" } else { "port-nowhere-routed" });
    let text = text.with("port", port.in_words()).with("target", port.target.as_str());
    let text = text.with("ready", endpoints.ready).with("protocol", protocol);
    let all: Vec<Value> = nowhere.iter().map(|(p, _)| p.in_words().into()).collect();
    let problem = Problem::new(severity, with_route(text, routes))
        .evidence("ports-that-lead-nowhere", all)
        .evidence("ready-endpoints", endpoints.ready)
        .evidence("routes", routes.len());
    let (namespace, name) = (&service.id.namespace, &service.id.name);
    let command = format!(
        "kubectl -n {namespace} get service {name} -o jsonpath='{{.spec.ports}}'; kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}"
    );
    with_hosts(problem, routes)
        .advise(Advice::new(Text::new("see-ports")).command(command, &[namespace, name]))
        .into()
}

fn with_route(text: Text, routes: &[&Route]) -> Text {
    let in_words: Vec<String> = routes.iter().map(|route| route_in_words(route)).collect();
    if routes.is_empty() { text } else { text.with("route", first_and_more(&in_words, "none")) }
}

fn with_hosts(problem: Problem, routes: &[&Route]) -> Problem {
    let hosts: Vec<&str> = routes.iter().flat_map(|r| &r.hosts).map(String::as_str).take(5).collect();
    if hosts.is_empty() { problem } else { problem.evidence("hosts", hosts.join(", ")) }
}

/// One whose pods have had no time yet: after an update of a single pod, or of all at once, and when its node was taken away.
fn starting(service: &Service, endpoints: Endpoints, routes: &[&Route], age: Seconds) -> Problem {
    let text = Text::new(if routes.is_empty() { "starting" } else { "starting-routed" }).with("time", age);
    told(service, endpoints, routes, Severity::Info, text).since(service.oldest_pod)
}

fn problem(service: &Service, endpoints: Endpoints, routes: &[&Route]) -> Problem {
    let empty = endpoints.all == 0;
    let severity = match (empty, routes.is_empty()) {
        (true, false) => Severity::Critical,
        (true, true) if service.headless => Severity::Info,
        _ => Severity::Warning,
    };
    let key = match (empty, routes.is_empty()) {
        (true, true) => "no-pods",
        (true, false) => "no-pods-routed",
        (false, true) => "none-ready",
        (false, false) => "none-ready-routed",
    };
    let mut text = Text::new(key);
    if !empty {
        text = text.with("all", endpoints.all);
    }
    told(service, endpoints, routes, severity, text)
}

fn told(
    service: &Service,
    endpoints: Endpoints,
    routes: &[&Route],
    severity: Severity,
    text: Text,
) -> Problem {
    let problem = Problem::new(severity, with_route(text, routes))
        .evidence("ready-endpoints", endpoints.ready)
        .evidence("endpoints", endpoints.all)
        .evidence("routes", routes.len());
    with_hosts(problem, routes).advise(advice(service, endpoints.all == 0))
}

/// Kind and name, and the host that people know.
fn route_in_words(route: &Route) -> String {
    match route.hosts.first() {
        Some(host) => format!("{} {} ({host})", route.kind, route.id.name),
        None => format!("{} {}", route.kind, route.id.name),
    }
}

fn advice(service: &Service, empty: bool) -> Advice {
    let (namespace, name) = (&service.id.namespace, &service.id.name);
    let (key, command) = if empty {
        let selector = "-o jsonpath='{.spec.selector}'";
        let command = format!(
            "kubectl -n {namespace} get service {name} {selector}; kubectl -n {namespace} get pods --show-labels"
        );
        ("see-selector", command)
    } else {
        let slices = format!("kubernetes.io/service-name={name}");
        ("see-pods", format!("kubectl -n {namespace} get endpointslices -l {slices} -o yaml"))
    };
    Advice::new(Text::new(key)).command(command, &[namespace, name])
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("service-without-endpoints", text, expected);
    }

    #[test]
    fn no_pod_behind_a_route_is_critical() {
        check(
            "service web/api all=0 created=30d\nroute web/Ingress/front hosts=a.example backends=api:80",
            "critical web/api: has no endpoint, and requests of Ingress front (a.example) to it fail",
        );
        check(
            "service web/api all=0 created=30d\nroute shop/Ingress/front backends=api:80",
            "warning web/api: has no endpoint, and nothing sends requests to it by a route",
        );
    }

    #[test]
    fn pods_that_are_not_ready_are_told_loud_elsewhere() {
        check(
            "service web/api ready=0 all=2 created=30d\nroute web/Ingress/front backends=api:80",
            "warning web/api: 2 of 2 endpoints are not ready, and requests of Ingress front to it fail",
        );
        check("service web/api ready=0 all=1 created=30d", "warning web/api: 1 of 1 endpoint is not ready");
        check("service web/api ready=1 all=2 created=30d", "1 ok");
    }

    /// A single pod that is replaced leaves its Service without endpoint for a moment.
    #[test]
    fn pods_that_are_starting_have_their_time() {
        let route = "route web/Ingress/front hosts=a.example backends=api:80";
        let service = |age: &str| format!("service web/api all=0 oldest-pod={age} created=30d\n");
        check(
            &format!("{}{route}", service("20s")),
            "info web/api: has no ready endpoint yet, and requests of Ingress front (a.example) to it fail: its oldest pod was made 20s ago",
        );
        let fails = "critical web/api: has no endpoint, and requests of Ingress front (a.example) to it fail";
        check(&format!("{}{route}", service("5m")), fails);
        check(&format!("set grace=10s\n{}{route}", service("20s")), fails);
        check(
            "service web/api ready=0 all=1 oldest-pod=4m created=30d",
            "info web/api: has no ready endpoint yet: its oldest pod was made 4m ago",
        );
    }

    /// Pods are ready, and no container of them has the port that the Service names.
    #[test]
    fn a_port_that_leads_nowhere() {
        let service = "service web/api ports=http:80>web!,grpc:90>rpc ready=2 created=30d";
        let told =
            "port http leads to `web`, and no container of its 2 ready pods has a TCP port of that name";
        check(service, &format!("warning web/api: {told}"));
        check("service web/api ports=http:80>web,8080 ready=2 created=30d", "1 ok");
        check("service web/api ports=http:80>web! ready=2 created=10m", "nothing");
        check("service web/api ports=http:80>web! ready=2 deleting created=30d", "nothing");
        check(
            "service web/api ports=http:80>web! ready=0 all=1 created=30d",
            "warning web/api: 1 of 1 endpoint is not ready",
        );
        // Clients of a headless one choose the port themselves.
        check(&format!("{service} headless"), &format!("info web/api: {told}"));
        check(
            "service web/dns ports=53/UDP>dns! ready=1 created=30d",
            "warning web/dns: port 53 leads to `dns`, and no container of its 1 ready pod has a UDP port of that name",
        );
    }

    #[test]
    fn requests_to_a_port_that_leads_nowhere_fail() {
        let service = "service web/api ports=old:70>gone!,http:80>web!,grpc:90>rpc ready=2 created=30d\n";
        let route = |port: &str| {
            let route = format!("route web/Ingress/front hosts=a.example backends=api{port}");
            fixture::told("service-without-endpoints", &format!("{service}{route}")).join("; ")
        };
        let told =
            |port: &str| format!("{port}, and no container of its 2 ready pods has a TCP port of that name");
        let fails = format!(
            "critical web/api: {}: requests of Ingress front (a.example) to it fail",
            told("port http leads to `web`")
        );
        assert_eq!([route(":80"), route(":http")], [fails.clone(), fails]);
        assert_eq!(route(":90"), format!("warning web/api: {}", told("port old leads to `gone`")));
        assert!(
            route("").starts_with("critical web/api: port old leads to `gone`"),
            "a route that names no port"
        );
        let found = fixture::findings("service-without-endpoints", service).remove(0);
        let all = found
            .evidence
            .iter()
            .find(|e| e.name == "ports-that-lead-nowhere")
            .map(|e| fixture::show(&e.value));
        assert_eq!(all.as_deref(), Some("old, http"));
    }

    #[test]
    fn what_is_meant_to_have_none() {
        check("service web/api all=0 created=14m", "nothing");
        check("service web/api all=0 selects=no created=30d", "nothing");
        check("service web/api all=0 type=ExternalName created=30d", "nothing");
        check(r#"service web/api all=0 zero="Deployment api" created=30d"#, "nothing");
        check(
            "service kube-system/etcd all=0 headless created=30d",
            "info kube-system/etcd: has no endpoint, and nothing sends requests to it by a route",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("service web/api created=30d", "1 unknown: endpoints is not reported");
        check("denied services", "1 unknown: not allowed to list services in all namespaces");
    }
}
