//! `service-without-endpoints`: a Service selects pods, and none of them can serve.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::{Endpoints, Route, Service};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::first_and_more;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A Service selects pods, and none of them can serve.
pub struct ServiceWithoutEndpoints;

crate::params! {
    /// Parameters of `service-without-endpoints`.
    pub struct ServiceWithoutEndpointsParams {
        /// How old a service must be; its pods need time to start.
        min_age: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for ServiceWithoutEndpoints {
    const INFO: CheckInfo = CheckInfo {
        id: "service-without-endpoints",
        title: "Service without endpoints",
        since: "0.1.0",
        checks: "Whether every Service that selects pods has at least one ready endpoint.",
        why: "Requests to it fail: connections are refused, and an Ingress answers 503.",
        decides: "From the EndpointSlices of the Service. No endpoint at all, because no pod matches or none has an \
                  address yet: critical when an Ingress, an HTTPRoute or \
                  another route sends requests to it, info when it is headless and has no route, else a warning. Pods \
                  selected and none ready: a warning, because `pod-not-running` and `crash-looping` tell loud which pods \
                  and why. Left out are Services without a selector, those of type ExternalName, those that select a \
                  workload which is scaled to zero, and those younger than `min-age`.",
        remedy: "Compare the selector with the labels of the pods, or see why the pods have no node or are not ready.",
        false_alarms: "A Service for the pods of a Job that runs from time to time. A headless Service that a chart makes \
                       for a control plane which the provider hides is info.",
        texts: &[
            ("no-pods", "has no endpoint, and nothing sends requests to it by a route"),
            ("no-pods-routed", "has no endpoint, and requests of {route} to it fail"),
            ("none-ready", "{all} of {all} {all|endpoint is|endpoints are} not ready"),
            (
                "none-ready-routed",
                "{all} of {all} {all|endpoint is|endpoints are} not ready, and requests of {route} to it fail",
            ),
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
        needs.objects(ObjectKind::Services).objects(ObjectKind::Routes).objects(ObjectKind::Workloads);
    }

    fn judge(params: &Self::Params, service: &&Service, view: &View<'_>) -> Judgement {
        let young = view.is_younger(service.created, params.min_age);
        let external = service.kind == "ExternalName";
        if !service.selects || external || young || service.scaled_to_zero.is_some() {
            return Ok(Outcome::NotApplicable);
        }
        let endpoints = service.endpoints.ok_or(Missing::NotReported { field: Field::Endpoints })?;
        if endpoints.ready > 0 {
            return Ok(Outcome::Ok);
        }
        let routes = routes_to(service, view);
        Ok(problem(service, endpoints, &routes).into())
    }
}

/// What sends requests to a service.
fn routes_to<'a>(service: &Service, view: &View<'a>) -> Vec<&'a Route> {
    let routes = &view.snapshot.objects.inventory.routes;
    routes.iter().filter(|r| r.backends.iter().any(|b| b.service == service.id)).collect()
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
    let in_words: Vec<String> = routes.iter().map(|route| route_in_words(route)).collect();
    if !routes.is_empty() {
        text = text.with("route", first_and_more(&in_words, "none"));
    }
    let mut problem = Problem::new(severity, text)
        .evidence("ready-endpoints", endpoints.ready)
        .evidence("endpoints", endpoints.all)
        .evidence("routes", routes.len());
    let hosts: Vec<&str> = routes.iter().flat_map(|r| &r.hosts).map(String::as_str).take(5).collect();
    if !hosts.is_empty() {
        problem = problem.evidence("hosts", hosts.join(", "));
    }
    problem.advise(advice(service, empty))
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
