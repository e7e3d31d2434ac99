//! `requests-missing`: a container says nothing about what it needs.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::view::{View, WorkloadContainer};

/// A container says nothing about what it needs.
pub struct RequestsMissing;

crate::params! {
    /// Parameters of `requests-missing`.
    pub struct RequestsMissingParams {
        /// Whether a missing memory limit counts.
        memory_limit: bool = true,
        /// Whether a missing memory request counts. A limit alone is taken by Kubernetes as the request too.
        memory_request: bool = true,
        /// Whether a missing CPU request counts.
        cpu_request: bool = true,
    }
}

impl Check for RequestsMissing {
    const INFO: CheckInfo = CheckInfo {
        id: "requests-missing",
        title: "Requests or limits missing",
        since: "0.1.0",
        checks: "Whether each container has a memory request, a memory limit and a CPU request.",
        why: "Without requests the scheduler places the pod blindly and the kernel kills it first; without a memory limit one \
              leak takes the whole node.",
        decides: "From the living pods' containers, injected ones too. A warning when a request is missing; info when only the \
                  memory limit is. A value of 0 is a missing one. A missing CPU limit is no problem.",
        remedy: "Set what is missing; `memory-usage` and the report's tables show what the container uses.",
        false_alarms: "Agents that are meant to take what is left over.",
        texts: &[
            ("missing", "{what} not set"),
            ("set", "set {what}; start from the use that the report's tables show"),
        ],
    };
    type Params = RequestsMissingParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, _: &View<'_>) -> Judgement {
        if container.live().all(|m| m.container.is_none()) {
            return Ok(Outcome::NotApplicable);
        }
        let resources = container.resources();
        let set = |value: Option<f64>| value.is_some_and(|v| v > 0.0);
        let memory_limit = set(resources.memory_limit.map(|b| b.get()));
        let memory_request = set(resources.memory_request.map(|b| b.get())) || memory_limit;
        let cpu_request =
            set(resources.cpu_request.map(|c| c.get())) || set(resources.cpu_limit.map(|c| c.get()));
        let missing: Vec<&str> = [
            ("memory request", params.memory_request && !memory_request),
            ("memory limit", params.memory_limit && !memory_limit),
            ("CPU request", params.cpu_request && !cpu_request),
        ]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name))
        .collect();
        if missing.is_empty() {
            return Ok(Outcome::Ok);
        }
        let severity = if missing == ["memory limit"] { Severity::Info } else { Severity::Warning };
        let what = missing.join(", ");
        Ok(Problem::new(severity, Text::new("missing").with("what", what.as_str()))
            .evidence("missing", what.as_str())
            .advise(Advice::new(Text::new("set").with("what", what.as_str())))
            .into())
    }
}
