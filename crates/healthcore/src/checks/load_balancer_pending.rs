//! `load-balancer-pending`: a Service waits for its load balancer.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::{LoadBalancer, Service};
use crate::model::{Event, ObjectKind};
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// A Service waits for its load balancer.
pub struct LoadBalancerPending;

crate::params! {
    /// Parameters of `load-balancer-pending`.
    pub struct LoadBalancerPendingParams {
        /// Age up to which a Service may wait for its load balancer.
        grace: Seconds = Seconds(600.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for LoadBalancerPending {
    const INFO: CheckInfo = CheckInfo {
        id: "load-balancer-pending",
        title: "Load balancer pending",
        since: "0.1.0",
        checks: "Whether every Service of type LoadBalancer has got an address.",
        why: "Nothing outside of the cluster reaches it: kubectl shows `<pending>`, and DNS has nothing to point to.",
        decides: "A warning when the status of the Service names no address (`status.loadBalancer.ingress`) and it is \
                  older than `grace`, with the reason of the newest Warning event about it, where there is one. When \
                  the Service names a `loadBalancerClass`, the controller of that class has to make it, and no other \
                  will. Services that are being deleted are left out.",
        remedy: "Read the events of the Service: a quota, a subnet, a permission or a name in its annotations. Without \
                 any event no controller looks at it: none runs, or none for its class.",
        false_alarms: "A cluster without load balancers whose Services are reached by their node ports: make them \
                       NodePort. An old Service that has become a LoadBalancer within `grace`.",
        texts: &[
            ("pending", "has waited {time} for its load balancer: {reason}"),
            (
                "pending-class",
                "has waited {time} for its load balancer, which the controller of class {class} has to make: {reason}",
            ),
            ("events", "read its events"),
            (
                "controller",
                "see whether a controller for load balancers runs, such as that of the cloud, and what its log says",
            ),
            ("class", "see whether the controller of class {class} runs, and what its log says"),
        ],
    };
    type Params = LoadBalancerPendingParams;
    type Subject<'a> = &'a Service;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Services).objects(ObjectKind::Events);
    }

    fn judge(params: &Self::Params, service: &&Service, view: &View<'_>) -> Judgement {
        if service.kind != "LoadBalancer" || service.deleting {
            return Ok(Outcome::NotApplicable);
        }
        let load_balancer = service.load_balancer.as_ref();
        let load_balancer = load_balancer.ok_or(Missing::NotReported { field: Field::LoadBalancer })?;
        if load_balancer.has_address {
            return Ok(Outcome::Ok);
        }
        let created = service.created.ok_or(Missing::NotReported { field: Field::ServiceAge })?;
        let Some(age) = created.age_at(view.snapshot.taken_at).filter(|age| *age > params.grace.get()) else {
            return Ok(Outcome::Ok);
        };
        let text = in_words(load_balancer, Seconds(age), silent(service, view));
        let problem = Problem::new(Severity::Warning, text)
            .lasted("pending-for", Seconds(age), params.grace)
            .since(Some(created));
        let problem = load_balancer.warning.iter().fold(problem, told);
        Ok(advise(problem, service, load_balancer).into())
    }
}

/// What stands for the reason where no event tells it: that nobody may list events is another thing than that there is none.
fn silent(service: &Service, view: &View<'_>) -> &'static str {
    match view.unavailable(ObjectKind::Events, &service.id.namespace) {
        Some(_) => "events-not-known",
        None => "no-event",
    }
}

fn in_words(load_balancer: &LoadBalancer, age: Seconds, silent: &'static str) -> Text {
    let LoadBalancer { class, warning, .. } = load_balancer;
    let text = match class.as_str() {
        "" => Text::new("pending"),
        class => Text::new("pending-class").with("class", class),
    };
    let reason = or(warning.as_ref().map_or("", |e| &e.reason), silent);
    text.with("time", age).with("reason", reason)
}

/// Adds what the event says.
fn told(mut problem: Problem, event: &Event) -> Problem {
    if !event.message.is_empty() {
        problem = problem.evidence("message", event.message.as_str());
    }
    if let Some(last) = event.last {
        problem = problem.evidence("last", last);
    }
    if let Some(run) = event.seen {
        problem = problem.evidence("remembered-from", run);
    }
    problem
}

fn advise(problem: Problem, service: &Service, load_balancer: &LoadBalancer) -> Problem {
    let (namespace, name) = (&service.id.namespace, &service.id.name);
    let events = format!("kubectl -n {namespace} describe service {name}");
    let controller = match load_balancer.class.as_str() {
        "" => Text::new("controller"),
        class => Text::new("class").with("class", class),
    };
    problem
        .advise(Advice::new(Text::new("events")).command(events, &[namespace, name]))
        .advise(Advice::new(controller))
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("load-balancer-pending", text, expected);
    }

    const WAITS: &str = "service web/front type=LoadBalancer address=no created=3h\n";

    #[test]
    fn ten_minutes_are_enough() {
        check(WAITS, "warning web/front: has waited 3h for its load balancer: no event says why");
        check(
            "service web/front type=LoadBalancer address=no created=11m",
            "warning web/front: has waited 11m for its load balancer: no event says why",
        );
        check("service web/front type=LoadBalancer address=no created=10m", "1 ok");
        check("set grace=1d\nservice web/front type=LoadBalancer address=no created=3h", "1 ok");
        check("service web/front type=LoadBalancer address=yes created=3h", "1 ok");
        // It was made after the end of the run.
        check("window now=-4h\nservice web/front type=LoadBalancer address=no created=3h", "1 ok");
    }

    #[test]
    fn others_wait_for_none() {
        check("service web/front address=no created=3h", "nothing");
        check("service web/front type=NodePort created=3h", "nothing");
        check("service web/front type=LoadBalancer address=no deleting created=3h", "nothing");
    }

    #[test]
    fn the_newest_event_says_why() {
        let event = |reason: &str, last: &str| {
            format!("event web/Service/front reason={reason} last={last} message=\"{reason} said\"\n")
        };
        let told =
            |events: &str| fixture::told("load-balancer-pending", &format!("{WAITS}{events}")).remove(0);
        let reason =
            |reason: &str| format!("warning web/front: has waited 3h for its load balancer: {reason}");
        let failed = event("SyncLoadBalancerFailed", "2m");
        assert_eq!(
            told(&format!("{}{failed}", event("AllocationFailed", "1h"))),
            reason("SyncLoadBalancerFailed")
        );
        // About its endpoints, about another object, of a Service of that name before it, and of the time after the run.
        assert_eq!(
            told(&format!("{failed}{}", event("FailedToUpdateEndpointSlices", "1m"))),
            reason("SyncLoadBalancerFailed")
        );
        assert_eq!(told("event web/Pod/front reason=Unhealthy last=1m"), reason("no event says why"));
        assert_eq!(told("event shop/Service/front reason=Unhealthy last=1m"), reason("no event says why"));
        assert_eq!(told(&event("SyncLoadBalancerFailed", "4h")), reason("no event says why"));
        let before = "window now=-1h\nservice web/front type=LoadBalancer address=no created=3h\n";
        check(
            &format!("{before}{failed}"),
            "warning web/front: has waited 2h for its load balancer: no event says why",
        );
        let evidence =
            fixture::findings("load-balancer-pending", &format!("{WAITS}{failed}")).remove(0).evidence;
        let shown: Vec<String> =
            evidence.iter().map(|e| format!("{} {}", e.name, fixture::show(&e.value))).collect();
        assert_eq!(shown, ["pending-for 3h", "message SyncLoadBalancerFailed said", "last 2m ago"]);
    }

    #[test]
    fn its_class_says_who_has_to_make_it() {
        let text = "service web/front type=LoadBalancer class=tailscale address=no created=3h";
        check(
            text,
            "warning web/front: has waited 3h for its load balancer, which the controller of class tailscale has to make: no event says why",
        );
        assert_eq!(
            fixture::advice("load-balancer-pending", text),
            [
                "read its events [kubectl -n web describe service front]",
                "see whether the controller of class tailscale runs, and what its log says",
            ]
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "service web/front type=LoadBalancer created=3h",
            "1 unknown: what has become of the load balancer is not reported",
        );
        check(
            "service web/front type=LoadBalancer address=no",
            "1 unknown: age of the Service is not reported",
        );
        check("denied services", "1 unknown: not allowed to list services in all namespaces");
        // Without its events it is told without a reason.
        check(
            &format!("{WAITS}denied events"),
            "warning web/front: has waited 3h for its load balancer: its events are not known",
        );
    }
}
