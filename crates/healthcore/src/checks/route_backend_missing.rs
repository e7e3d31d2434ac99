//! `route-backend-missing`: a route names a Service, a port or a certificate that does not exist.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::{Backend, Inventory, ObjectId, Route, RouteParent, names_cover};
use crate::model::{Condition, ObjectKind};
use crate::need::Needs;
use crate::phrase::{first_and_more, phrase};
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A route names a Service, a port or a certificate that does not exist.
pub struct RouteBackendMissing;

crate::params! {
    /// Parameters of `route-backend-missing`.
    pub struct RouteBackendMissingParams {
        /// How old a route must be; what it names may be made after it.
        min_age: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for RouteBackendMissing {
    const INFO: CheckInfo = CheckInfo {
        id: "route-backend-missing",
        title: "Route leads nowhere",
        since: "0.1.0",
        checks: "Whether the Services, ports and TLS Secrets exist that Ingresses and the routes of the Gateway API and of \
                 Istio name, and whether Gateways take the routes that name them.",
        why: "Users of the host get 503, or a certificate of the controller that their browser refuses.",
        decides: "Critical when every backend of the route is missing (no such Service, or no such port of it), a warning \
                  when some are or when a TLS Secret is. A Secret counts as missing when the namespace has none of type \
                  kubernetes.io/tls by that name, and no server of its hosts was seen with a certificate for them; without the right to \
                  list Secrets this part is left out. For a route of the Gateway API also what its Gateways say of it, for \
                  `min-age` or longer: critical when none accepts it or when its only backend is refused (`Accepted` or \
                  `ResolvedRefs` is false, for instance where a ReferenceGrant is missing), else a warning. Backends in \
                  a namespace that was not looked into are unknown. Routes younger than `min-age` are left out.",
        remedy: "Correct the name in the route, or bring the Service back; delete a route that is left over.",
        false_alarms: "A certificate in a Secret of another type, which some controllers take, where its servers are not asked. Hosts of an Istio ServiceEntry \
                       that are written as a single word.",
        texts: &[
            ("backend", "{what}: requests for {hosts} fail"),
            ("some", "{what}: some requests for {hosts} fail"),
            ("not-accepted", "{gateway} does not accept it ({why}): requests for {hosts} fail"),
            (
                "not-accepted-by-one",
                "{gateway} does not accept it ({why}), and what else it is attached to does",
            ),
            ("unresolved", "{gateway} cannot use what it names ({why}): requests for {hosts} fail"),
            (
                "some-unresolved",
                "{gateway} cannot use all that it names ({why}): some requests for {hosts} fail",
            ),
            ("secret", "{what}: the controller shows a certificate of its own for {hosts}"),
            ("conditions", "see what the Gateway says of the route"),
            ("grant", "make a ReferenceGrant in the namespace of what it names, if the route may use that"),
            ("list", "see which Services and ports there are"),
            (
                "list-secrets",
                "see which certificates there are; cert-manager may have failed to make this one",
            ),
        ],
    };
    type Params = RouteBackendMissingParams;
    type Subject<'a> = &'a Route;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Routes).objects(ObjectKind::Services).objects(ObjectKind::TlsSecrets);
    }

    fn judge(params: &Self::Params, route: &&Route, view: &View<'_>) -> Judgement {
        let nothing = route.backends.is_empty() && route.tls.iter().all(|tls| tls.secret.is_none());
        if (nothing && route.parents.is_empty()) || view.is_younger(route.created, params.min_age) {
            return Ok(Outcome::NotApplicable);
        }
        let mut unknown = None;
        let mut broken = Vec::new();
        for backend in &route.backends {
            match fault(backend, route, view) {
                Ok(fault) => broken.extend(fault),
                Err(why) => unknown = Some(why),
            }
        }
        let secrets = missing_secrets(route, view);
        let missing = (!broken.is_empty() || !secrets.is_empty()).then(|| problem(route, &broken, &secrets));
        // What is missing is the cause of what the Gateway says, where both are as bad.
        let found = match (missing, refused(params, route, view)) {
            (Some(missing), Some(refused)) if refused.severity > missing.severity => Some(refused),
            (missing, refused) => missing.or(refused),
        };
        match (found, unknown) {
            (Some(problem), _) => Ok(problem.into()),
            (None, Some(why)) => Err(why),
            (None, None) => Ok(Outcome::Ok),
        }
    }
}

/// Whether objects of a namespace were looked into: that of the route was.
fn looked_into(inventory: &Inventory, namespace: &str, route: &Route) -> bool {
    inventory.all_namespaces
        || namespace == route.id.namespace
        || inventory.services.iter().any(|s| s.id.namespace == namespace)
}

/// What is wrong with a backend.
fn fault(backend: &Backend, route: &Route, view: &View<'_>) -> Result<Option<Text>, Missing> {
    let inventory = &view.snapshot.objects.inventory;
    let ObjectId { namespace, name } = &backend.service;
    if let Some(why) = view.unavailable(ObjectKind::Services, namespace) {
        return Err(why.clone());
    }
    if !looked_into(inventory, namespace, route) {
        return Err(Missing::NotReported { field: Field::ServicesOf(namespace.clone()) });
    }
    let Some(service) = inventory.services.iter().find(|s| s.id == backend.service) else {
        return Ok(Some(phrase("service-missing").with("service", full_name(&backend.service, route))));
    };
    let Some(port) = &backend.port else { return Ok(None) };
    let known = service.ports.iter().any(|p| p.name == *port || p.port.to_string() == *port);
    // The name alone decides where requests to an ExternalName go.
    if known || service.kind == "ExternalName" {
        return Ok(None);
    }
    Ok(Some(phrase("port-missing").with("service", name.as_str()).with("port", port.as_str())))
}

/// The name, with its namespace when that is not the route's own.
fn full_name(id: &ObjectId, route: &Route) -> String {
    if id.namespace == route.id.namespace { id.name.clone() } else { format!("{}/{}", id.namespace, id.name) }
}

fn missing_secrets(route: &Route, view: &View<'_>) -> Vec<Text> {
    let inventory = &view.snapshot.objects.inventory;
    let missing = |id: &&ObjectId| {
        view.unavailable(ObjectKind::TlsSecrets, &id.namespace).is_none()
            && looked_into(inventory, &id.namespace, route)
            && inventory.tls_secrets.iter().all(|s| s.id != **id)
    };
    let unseen = route.tls.iter().filter(|tls| !is_shown(tls.hosts_of(route), inventory));
    let secrets = unseen.filter_map(|tls| tls.secret.as_ref()).filter(missing);
    let missing = |id| phrase("secret-missing").with("secret", full_name(id, route));
    let mut names: Vec<Text> = secrets.map(missing).collect();
    names.dedup();
    names
}

/// Whether a server of each host was seen with a certificate for it, wherever it has that from.
fn is_shown(hosts: &[String], inventory: &Inventory) -> bool {
    let shown = |host: &String| {
        let mut own = inventory.served.iter().filter(|s| s.host == *host).filter_map(|s| s.chain.first());
        own.any(|certificate| names_cover(&certificate.names, host))
    };
    !hosts.is_empty() && hosts.iter().all(shown)
}

/// What the Gateways of a route say against it, for long enough.
fn refused(params: &RouteBackendMissingParams, route: &Route, view: &View<'_>) -> Option<Problem> {
    let says = |parent: &'_ RouteParent, kind: &str| {
        let now = view.snapshot.taken_at;
        let lasting = |c: &Condition| {
            c.since.is_none_or(|t| t.age_at(now).is_some_and(|age| age >= params.min_age.get()))
        };
        parent.refused.iter().find(|c| c.kind == kind && lasting(c)).cloned()
    };
    let first = |kind: &str| route.parents.iter().find_map(|parent| Some((parent, says(parent, kind)?)));
    let all = |kind: &str| route.parents.iter().all(|parent| says(parent, kind).is_some());
    let (parent, condition, whole, keys) = match (first("Accepted"), first("ResolvedRefs")) {
        (Some((parent, said)), _) if all("Accepted") => (parent, said, true, ["not-accepted"; 2]),
        (_, Some((parent, said))) => {
            let whole = route.backends.len() <= 1 && all("ResolvedRefs");
            (parent, said, whole, ["unresolved", "some-unresolved"])
        }
        (Some((parent, said)), None) => (parent, said, false, ["", "not-accepted-by-one"]),
        (None, None) => return None,
    };
    let why = match condition.message.trim() {
        "" => condition.reason.clone(),
        message => format!("{}: {message}", condition.reason),
    };
    let (namespace, name, kind) = (&route.id.namespace, &route.id.name, route.kind.to_lowercase());
    let (severity, key) = if whole { (Severity::Critical, keys[0]) } else { (Severity::Warning, keys[1]) };
    let text = Text::new(key)
        .with("gateway", format!("Gateway {}", full_name(&parent.gateway, route)))
        .with("why", why)
        .with("hosts", first_and_more(&route.hosts, "any-host"));
    let problem = Problem::new(severity, text).since(condition.since);
    let problem = match condition.reason.as_str() {
        "RefNotPermitted" => problem.advise(Advice::new(Text::new("grant"))),
        _ => problem,
    };
    Some(
        problem.advise(
            Advice::new(Text::new("conditions"))
                .command(format!("kubectl -n {namespace} describe {kind} {name}"), &[namespace, &kind, name]),
        ),
    )
}

fn problem(route: &Route, broken: &[Text], secrets: &[Text]) -> Problem {
    let all = !broken.is_empty() && broken.len() == route.backends.len();
    let severity = if all { Severity::Critical } else { Severity::Warning };
    let key = match (broken.is_empty(), all) {
        (true, _) => "secret",
        (false, true) => "backend",
        (false, false) => "some",
    };
    let what: Vec<Value> = broken.iter().chain(secrets).cloned().map(Value::from).collect();
    let hosts = first_and_more(&route.hosts, "any-host");
    let text = Text::new(key).with("what", what).with("hosts", hosts);
    let mut problem = Problem::new(severity, text)
        .measured("missing-backends", broken.len(), route.backends.len())
        .evidence("missing-secrets", secrets.len());
    let namespace = &route.id.namespace;
    if !broken.is_empty() {
        let command = format!("kubectl -n {namespace} get services");
        problem = problem.advise(Advice::new(Text::new("list")).command(command, &[namespace]));
    }
    if !secrets.is_empty() {
        let command = format!("kubectl -n {namespace} get secrets --field-selector type=kubernetes.io/tls");
        problem = problem.advise(Advice::new(Text::new("list-secrets")).command(command, &[namespace]));
    }
    problem
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("route-backend-missing", text, expected);
    }

    const API: &str = "service web/api ports=http:80,8080 ready=1 created=30d\n";

    #[test]
    fn a_service_that_is_not_there() {
        check(
            "route web/Ingress/front hosts=a.example backends=gone:80 created=30d",
            "critical web/front: Service gone does not exist: requests for a.example fail",
        );
        check(
            &format!("{API}route web/Ingress/front hosts=a.example,b.example backends=api:80,gone:80"),
            "warning web/front: Service gone does not exist: some requests for a.example and 1 more fail",
        );
        check("route web/Ingress/front backends=gone:80 created=14m", "nothing");
    }

    #[test]
    fn a_port_that_is_not_there() {
        check(
            &format!("{API}route web/Ingress/front backends=api:443"),
            "critical web/front: Service api has no port 443: requests for any host fail",
        );
        for port in ["http", "80", "8080"] {
            check(&format!("{API}route web/Ingress/front backends=api:{port}"), "1 ok");
        }
        check(&format!("{API}route web/VirtualService/front backends=api"), "1 ok");
        check(
            "service web/out type=ExternalName created=30d\nroute web/Ingress/front backends=out:443",
            "1 ok",
        );
    }

    #[test]
    fn a_certificate_that_is_not_there() {
        let route =
            format!("{API}route web/Ingress/front hosts=a.example backends=api:80 tls=a.example@web-tls");
        let told = "warning web/front: TLS Secret web-tls does not exist: the controller shows a certificate of its own for a.example";
        check(&route, told);
        check(&format!("{route}\nsecret web/web-tls names=a.example"), "1 ok");
        check(&format!("{route}\ndenied tls-secrets"), "1 ok");
        // A Secret of another type, as the server shows.
        check(&format!("{route}\nserved web/a.example:443 names=*.example"), "1 ok");
        check(&format!("{route}\nserved web/a.example:443 names=ingress.local"), told);
        check(&format!("{route}\nserved web/a.example:443 failed=timeout"), told);
        // That of another host is not known.
        check(&format!("{route},b.example@web-tls\nserved web/a.example:443 names=*.example"), told);
    }

    #[test]
    fn what_gateways_say_of_a_route() {
        let route = |words: &str| {
            format!(
                "{API}service web/cart ports=80 created=30d\nroute web/HTTPRoute/front hosts=a.example {words}"
            )
        };
        let denied = "ResolvedRefs=no:RefNotPermitted@2h";
        check(
            &route(&format!("backends=api:80 parent=infra/edge {denied}")),
            "critical web/front: Gateway infra/edge cannot use what it names (RefNotPermitted): requests for a.example fail",
        );
        check(
            &route(&format!("backends=api:80,cart:80 parent=edge {denied}")),
            "warning web/front: Gateway edge cannot use all that it names (RefNotPermitted): some requests for a.example fail",
        );
        check(
            &route("backends=api:80 parent=edge Accepted=no:NotAllowedByListeners@2h"),
            "critical web/front: Gateway edge does not accept it (NotAllowedByListeners): requests for a.example fail",
        );
        check(
            &route("backends=api:80 parent=edge,other Accepted=no:NoMatchingParent@2h"),
            "warning web/front: Gateway edge does not accept it (NoMatchingParent), and what else it is attached to does",
        );
        // One that only redirects.
        check(
            &route("parent=edge Accepted=no:NoMatchingParent@2h"),
            "critical web/front: Gateway edge does not accept it (NoMatchingParent): requests for a.example fail",
        );
        check(&route("backends=api:80 parent=edge ResolvedRefs=no:RefNotPermitted@14m"), "1 ok");
        check(&route("backends=api:80 parent=edge Accepted=yes:Accepted@2h"), "1 ok");
        // The cause is told.
        check(
            &route("backends=gone:80 parent=edge ResolvedRefs=no:BackendNotFound@2h"),
            "critical web/front: Service gone does not exist: requests for a.example fail",
        );
        let advice = fixture::advice(
            "route-backend-missing",
            &route(&format!("backends=api:80 parent=edge {denied}")),
        );
        assert!(advice[0].starts_with("make a ReferenceGrant"), "{advice:?}");
        assert!(advice[1].ends_with("[kubectl -n web describe httproute front]"), "{advice:?}");
    }

    #[test]
    fn what_was_not_looked_into_is_unknown() {
        let route = "route web/HTTPRoute/front backends=shop/cart:80";
        check(route, "1 unknown: list of services of namespace shop is not reported");
        check(
            &format!("{route}\nservice shop/other ports=80 created=30d"),
            "critical web/front: Service shop/cart does not exist: requests for any host fail",
        );
        // It has lost its last Service.
        let gone = "critical web/front: Service shop/cart does not exist: requests for any host fail";
        check(&format!("{route}\nall-namespaces"), gone);
        check(
            &format!("{route}\nall-namespaces\ndenied services namespace=shop"),
            "1 unknown: not allowed to list services in namespace shop",
        );
        check(
            "route web/Ingress/front backends=api:80\ndenied services",
            "1 unknown: not allowed to list services in all namespaces",
        );
        check("denied routes", "1 unknown: not allowed to list routes in all namespaces");
        check("route web/Gateway/front hosts=a.example", "nothing");
    }
}
