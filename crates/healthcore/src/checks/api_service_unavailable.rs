//! `api-service-unavailable`: the API server has nobody to answer for a part of its API.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::ApiService;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::View;

/// The API server has nobody to answer for a part of its API.
pub struct ApiServiceUnavailable;

crate::params! {
    /// Parameters of `api-service-unavailable`.
    pub struct ApiServiceUnavailableParams {
        /// Time that it may be unavailable; the value itself is not told.
        lasting: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(1.0),
    }
}

/// API groups that autoscalers read their metrics from.
const METRICS: [&str; 3] = ["metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"];

impl Check for ApiServiceUnavailable {
    const INFO: CheckInfo = CheckInfo {
        id: "api-service-unavailable",
        title: "API service unavailable",
        since: "0.1.0",
        checks: "Whether every part of the API that another server answers for (APIService) is available.",
        why: "Without `metrics.k8s.io` autoscalers are blind and `kubectl top` fails. Whichever it is, no namespace can be \
              deleted meanwhile, because the API server cannot tell what is in it, and whoever asks what the API offers waits \
              and gets an error.",
        decides: "A warning when the condition Available has not been true for longer than `lasting`. APIServices that the API \
                  server answers for itself are left out: these are always available. Workloads go on without it, so that it is \
                  never critical.",
        remedy: "Bring back the pods behind its Service; delete the APIService when what served it was uninstalled.",
        false_alarms: "None known. Autoscalers that are blind for it are told of by `hpa-metrics-unknown`, each by itself, and \
                       namespaces that it keeps from being deleted by `namespace-terminating`: this is their cause.",
        texts: &[
            ("down", "not available for {time} ({reason})"),
            ("down-unknown-time", "not available ({reason})"),
            ("metrics-down", "not available for {time} ({reason}): autoscalers that go by it are blind"),
            ("metrics-down-unknown-time", "not available ({reason}): autoscalers that go by it are blind"),
            ("serve", "see whether the pods behind Service {service} run and are ready"),
            (
                "left-over",
                "if what served it was uninstalled, delete the APIService: until then no namespace can be deleted",
            ),
        ],
    };
    type Params = ApiServiceUnavailableParams;
    type Subject<'a> = &'a ApiService;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::ApiServices);
    }

    fn judge(params: &Self::Params, api: &&ApiService, view: &View<'_>) -> Judgement {
        let Some(available) = api.conditions.iter().find(|c| c.kind == "Available") else {
            if view.is_younger(api.created, params.lasting) {
                return Ok(Outcome::Ok);
            }
            return Err(Missing::NotReported { field: Field::ApiServiceAvailable });
        };
        let lasted = available.since.and_then(|since| since.age_at(view.snapshot.taken_at)).map(Seconds);
        // What changed after the end of the run was otherwise then; without a time it is so now.
        let passes = available.since.is_some() && lasted.is_none_or(|lasted| lasted <= params.lasting);
        if available.status == Some(true) || passes {
            return Ok(Outcome::Ok);
        }
        let key = match (METRICS.contains(&api.group()), lasted) {
            (false, Some(_)) => "down",
            (false, None) => "down-unknown-time",
            (true, Some(_)) => "metrics-down",
            (true, None) => "metrics-down-unknown-time",
        };
        let reason = or(&available.reason, "no-reason");
        let text = lasted.into_iter().fold(Text::new(key), |text, lasted| text.with("time", lasted));
        let mut problem = Problem::new(Severity::Warning, text.with("reason", reason)).since(available.since);
        if let Some(lasted) = lasted {
            problem = problem.lasted("unavailable-for", lasted, params.lasting);
        }
        let (namespace, service) = (&api.service.namespace, &api.service.name);
        let path = format!("{namespace}/{service}");
        problem = problem.evidence("service", path.as_str());
        if !available.message.is_empty() {
            problem = problem.evidence("message", available.message.as_str());
        }
        let serve = format!("kubectl -n {namespace} describe service {service}");
        let serve =
            Advice::new(Text::new("serve").with("service", path)).command(serve, &[namespace, service]);
        let name = api.id.name.as_str();
        let left_over = format!("kubectl describe apiservice {name}");
        let left_over = Advice::new(Text::new("left-over")).command(left_over, &[name]);
        Ok(problem.advise(serve).advise(left_over).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("api-service-unavailable", text, expected);
    }

    const DOWN: &str = "Available=no:MissingEndpoints";

    #[test]
    fn longer_than_five_minutes() {
        check(
            &format!("apiservice v1.packages.operators.example service=olm/packages {DOWN}@301s"),
            "warning /v1.packages.operators.example: not available for 301s (MissingEndpoints)",
        );
        check(&format!("apiservice v1.packages.operators.example {DOWN}@5m"), "1 ok");
        check("apiservice v1.packages.operators.example Available=yes:Passed@9d", "1 ok");
        check(
            "apiservice v1.packages.operators.example Available=unknown:Checking@1h",
            "warning /v1.packages.operators.example: not available for 1h (Checking)",
        );
        check(
            "apiservice v1.packages.operators.example Available=no",
            "warning /v1.packages.operators.example: not available (no reason given)",
        );
    }

    #[test]
    fn what_autoscalers_read_is_named_as_such() {
        for name in ["v1beta1.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"] {
            check(
                &format!("apiservice {name} {DOWN}@1h"),
                &format!(
                    "warning /{name}: not available for 1h (MissingEndpoints): autoscalers that go by it are blind"
                ),
            );
        }
        check(
            "apiservice v1beta1.external.metrics.k8s.io Available=no:FailedDiscoveryCheck",
            "warning /v1beta1.external.metrics.k8s.io: not available (FailedDiscoveryCheck): autoscalers that go by it \
             are blind",
        );
    }

    #[test]
    fn the_service_behind_it_is_where_to_look() {
        assert_eq!(
            advice("api-service-unavailable", &format!("apiservice v1beta1.metrics.k8s.io {DOWN}@1h")),
            [
                "see whether the pods behind Service kube-system/metrics-server run and are ready [kubectl -n kube-system \
                 describe service metrics-server]",
                "if what served it was uninstalled, delete the APIService: until then no namespace can be deleted [kubectl \
                 describe apiservice v1beta1.metrics.k8s.io]",
            ]
        );
    }

    #[test]
    fn what_was_not_yet_so_is_none() {
        check(&format!("window lookback=30d now=-3d\napiservice v1.a.example {DOWN}@2d"), "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "apiservice v1beta1.metrics.k8s.io created=1h",
            "1 unknown: condition Available of the API service is not reported",
        );
        check("apiservice v1beta1.metrics.k8s.io created=1m", "1 ok");
        check("denied api-services", "1 unknown: not allowed to list api-services in all namespaces");
    }
}
