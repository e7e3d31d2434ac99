//! `quota-near-limit`: a namespace may soon make no more of something.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::{Quota, QuotaResource};
use crate::measure;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::unit::Ratio;
use crate::view::View;

/// A namespace may soon make no more of something.
pub struct QuotaNearLimit;

crate::params! {
    /// Parameters of `quota-near-limit`.
    pub struct QuotaNearLimitParams {
        /// Share of a bound from which on it is info; the value itself counts.
        near: Ratio = Ratio(0.9) => Ratio(0.01)..=Ratio(1.0),
        /// Share of a bound from which on it is a warning; the value itself counts.
        full: Ratio = Ratio(1.0) => Ratio(0.01)..=Ratio(2.0),
    }
    where |p| p.near <= p.full, "near must not be above full";
}

impl Check for QuotaNearLimit {
    const INFO: CheckInfo = CheckInfo {
        id: "quota-near-limit",
        title: "Quota nearly used up",
        since: "0.1.0",
        checks: "How much of each ResourceQuota is used.",
        why: "At the bound the API refuses new pods: a rollout hangs, an autoscaler stops, and a pod that dies is not \
              replaced.",
        decides: "Used divided by the bound, for the resource where this is largest. From `full` on a warning, from `near` on \
                  info. A bound of 0 forbids something on purpose and is left out.",
        remedy: "Raise the quota, or lower requests that are not used (`memory-overprovisioned`, `cpu-overprovisioned`).",
        false_alarms: "A quota that is meant to be exactly full, such as one load balancer for the namespace.",
        texts: &[
            ("full", "{resource} is used up: {used} of {hard}; the API refuses more"),
            ("near", "{share} of {resource} is used: {used} of {hard}"),
            ("raise", "raise {resource} in the quota, or free some of it"),
        ],
    };
    type Params = QuotaNearLimitParams;
    type Subject<'a> = &'a Quota;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Quotas);
    }

    fn judge(params: &Self::Params, quota: &&Quota, view: &View<'_>) -> Judgement {
        let mut bounds: Vec<&QuotaResource> = quota.resources.iter().filter(|r| r.hard > 0.0).collect();
        // The fullest first; of equals the first by name.
        bounds.sort_by(|a, b| share(b).total_cmp(&share(a)));
        let Some(worst) = bounds.first() else { return Ok(Outcome::NotApplicable) };
        let reached = share(worst) >= params.near.get();
        let distance = measure::below(share(worst), params.near.get());
        if !view.keeps_watching(distance) && !reached {
            return Ok(Outcome::Ok);
        }
        let full = share(worst) >= params.full.get();
        let severity = if full { Severity::Warning } else { Severity::Info };
        let text =
            if full { Text::new("full") } else { Text::new("near").with("share", Ratio(share(worst))) };
        let text = text
            .with("resource", worst.name.as_str())
            .with("used", amount(worst, worst.used))
            .with("hard", amount(worst, worst.hard));
        let mut problem = Problem::new(severity, text);
        if !reached {
            problem = problem
                .measured("used-share", Ratio(share(worst)), params.near)
                .evidence("resource", worst.name.as_str());
        }
        for bound in bounds.iter().filter(|r| share(r) >= params.near.get()).take(5) {
            problem = problem.evidence("resource", bound.name.as_str()).measured(
                "used",
                amount(bound, bound.used),
                amount(bound, bound.hard),
            );
        }
        let (namespace, name) = (&quota.id.namespace, &quota.id.name);
        let command = format!("kubectl -n {namespace} describe quota {name}");
        let text = Text::new("raise").with("resource", worst.name.as_str());
        let problem = problem.advise(Advice::new(text).command(command, &[namespace, name]));
        Ok(Outcome::when(reached, distance, problem))
    }
}

fn share(resource: &QuotaResource) -> f64 {
    resource.used / resource.hard
}

/// An amount in the unit of the resource.
fn amount(resource: &QuotaResource, amount: f64) -> Value {
    let name = resource.name.as_str();
    if name.starts_with("count/") {
        Value::Number(amount)
    } else if name.ends_with("memory") || name.ends_with("storage") || name.contains("hugepages-") {
        Value::Bytes(amount)
    } else if name.ends_with("cpu") {
        Value::Cores(amount)
    } else {
        Value::Number(amount)
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("quota-near-limit", text, expected);
    }

    #[test]
    fn full_is_a_warning_and_near_is_info() {
        check(
            "quota web/team requests.memory=9Gi/10Gi pods=10/10",
            "warning web/team: pods is used up: 10 of 10; the API refuses more",
        );
        check(
            "quota web/team requests.memory=9Gi/10Gi requests.cpu=1/10",
            "info web/team: 90% of requests.memory is used: 9Gi of 10Gi",
        );
        check("quota web/team requests.memory=8.9Gi/10Gi limits.cpu=899m/1", "1 ok");
    }

    #[test]
    fn what_is_forbidden_is_not_full() {
        check("quota web/team services.loadbalancers=0/0", "nothing");
        check("quota web/team services.loadbalancers=0/0 pods=1/10", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check("quota web/team", "nothing");
        check("denied quotas", "1 unknown: not allowed to list quotas in all namespaces");
    }
}
