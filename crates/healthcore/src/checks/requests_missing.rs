//! `requests-missing`: a container says nothing about what it needs.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::{ObjectKind, Resources};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::stats;
use crate::unit::{Bytes, Cores, Seconds};
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
                  memory limit is. A value of 0 is a missing one. A missing CPU limit is no problem. The advice is the 95th \
                  percentile of use for a request, and 1.3 times that for the memory limit.",
        remedy: "Set what is missing; `memory-usage` and the report's tables show what the container uses.",
        false_alarms: "Agents that are meant to take what is left over.",
        texts: &[
            ("missing", "{what} not set"),
            ("set-to", "set a {what} of {to}, which fits what has been used"),
            ("set", "set {what}; there is no steady use to start from, so measure first"),
        ],
    };
    type Params = RequestsMissingParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .shown(Metric::MemoryWorkingSet)
            .shown(Metric::CpuUsage)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        if container.live().all(|m| m.container.is_none()) {
            return Ok(Outcome::NotApplicable);
        }
        // What is set for the pod as a whole bounds its containers together.
        let of_pod = container.live().find_map(|m| m.pod).map_or_else(Resources::default, |p| p.resources);
        let resources = container.resources().or(of_pod);
        let set = |value: Option<f64>| value.is_some_and(|v| v > 0.0);
        let memory_limit = set(resources.memory_limit.map(|b| b.get()));
        let memory_request = set(resources.memory_request.map(|b| b.get())) || memory_limit;
        let cpu_request =
            set(resources.cpu_request.map(|c| c.get())) || set(resources.cpu_limit.map(|c| c.get()));
        let missing: Vec<Setting> = [
            (MEMORY_REQUEST, params.memory_request && !memory_request),
            (MEMORY_LIMIT, params.memory_limit && !memory_limit),
            (CPU_REQUEST, params.cpu_request && !cpu_request),
        ]
        .into_iter()
        .filter_map(|(setting, missing)| missing.then_some(setting))
        .collect();
        if missing.is_empty() {
            return Ok(Outcome::Ok);
        }
        let only_limit = missing.iter().all(|s| s.resource == MEMORY_LIMIT.resource);
        let severity = if only_limit { Severity::Info } else { Severity::Warning };
        let what: Vec<Value> = missing.iter().map(|s| phrase(s.name).into()).collect();
        let mut problem =
            Problem::new(severity, Text::new("missing").with("what", what.clone())).evidence("missing", what);
        let used = Used::new(container, view);
        for setting in missing {
            problem = problem.advise(used.advice(container, &resources, &setting));
        }
        Ok(problem.into())
    }
}

/// Something that can be missing.
#[derive(Clone, Copy)]
struct Setting {
    /// Key of its phrase.
    name: &'static str,
    resource: &'static str,
    flag: &'static str,
}

const MEMORY_REQUEST: Setting =
    Setting { name: "memory-request", resource: "memory.request", flag: "requests=memory" };
const MEMORY_LIMIT: Setting =
    Setting { name: "memory-limit", resource: "memory.limit", flag: "limits=memory" };
const CPU_REQUEST: Setting = Setting { name: "cpu-request", resource: "cpu.request", flag: "requests=cpu" };

/// 95th percentiles of what the living pods have used.
struct Used {
    memory: Option<f64>,
    cpu: Option<f64>,
}

impl Used {
    fn new(container: &WorkloadContainer<'_>, view: &View<'_>) -> Self {
        let all = Seconds(view.snapshot.window.seconds());
        let p95 = |metric| {
            let mut values = measure::pooled_steady(view, container, metric, all).ok()?;
            stats::quantile(&mut values, 0.95)
        };
        Self { memory: p95(Metric::MemoryWorkingSet), cpu: p95(Metric::CpuUsage) }
    }

    fn advice(&self, container: &WorkloadContainer<'_>, set: &Resources, setting: &Setting) -> Advice {
        let memory = |factor: f64| self.memory.map(|used| measure::round_memory(Bytes(used * factor)));
        let to: Option<(Value, String)> = match setting.resource {
            "memory.request" => memory(1.0).map(|to| (to.into(), to.to_string())),
            "memory.limit" => memory(1.3)
                .map(|to| measure::limit_beside(to, set.memory_request))
                .map(|to| (to.into(), to.to_string())),
            _ => self.cpu.map(|used| {
                let to = measure::round_cpu(Cores(used));
                (to.into(), to.to_string())
            }),
        };
        match to {
            Some((value, text)) => measure::set_resource(
                Advice::new(Text::new("set-to").with("what", phrase(setting.name))).change(
                    setting.resource,
                    None,
                    value,
                ),
                container,
                setting.flag,
                &text,
            ),
            None => Advice::new(Text::new("set").with("what", phrase(setting.name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("requests-missing", text, expected);
    }

    /// What it uses between two crashes is no measure.
    #[test]
    fn a_crash_loop_gets_no_values() {
        let text =
            "container web/api-0/app restarts=9 state=waiting:CrashLoopBackOff  memory: 3x30  cpu: 0.001x30";
        let set = |what| format!("set {what}; there is no steady use to start from, so measure first");
        assert_eq!(
            advice("requests-missing", text),
            ["memory request", "memory limit", "CPU request"].map(set)
        );
    }

    /// A limit below the request would be refused.
    #[test]
    fn an_advised_limit_is_no_less_than_the_request() {
        let text = "container web/api-0/app request=4Gi cpu-request=1  memory: 2600x30";
        assert_eq!(
            advice("requests-missing", text),
            [
                "set a memory limit of 4Gi, which fits what has been used [kubectl -n web set resources statefulset/api -c app --limits=memory=4Gi]"
            ]
        );
    }

    #[test]
    fn all_set_is_ok() {
        check("container web/api-0/app request=1Gi limit=1Gi cpu-request=1", "1 ok");
        // Kubernetes takes a limit as the request too.
        check("container web/api-0/app limit=1Gi cpu-limit=1", "1 ok");
        // Set for the pod as a whole.
        check("container web/api-0/app\npod web/api-0 request=1Gi limit=1Gi cpu-request=1", "1 ok");
    }

    #[test]
    fn what_is_missing_is_named() {
        check(
            "container web/api-0/app",
            "warning web/api/app: memory request, memory limit, CPU request not set",
        );
        check(
            "container web/api-0/app request=0 limit=0 cpu-request=0",
            "warning web/api/app: memory request, memory limit, CPU request not set",
        );
        check("container web/api-0/app request=1Gi limit=1Gi", "warning web/api/app: CPU request not set");
        check("container web/api-0/app request=1Gi cpu-request=1", "info web/api/app: memory limit not set");
        check("set memory-limit=false\ncontainer web/api-0/app request=1Gi cpu-request=1", "1 ok");
    }

    #[test]
    fn advice_fits_what_was_used() {
        assert_eq!(
            advice("requests-missing", "container web/api-0/app  memory: 200x30 cpu: 0.21x30"),
            [
                "set a memory request of 208Mi, which fits what has been used [kubectl -n web set resources statefulset/api -c app --requests=memory=208Mi]",
                "set a memory limit of 272Mi, which fits what has been used [kubectl -n web set resources statefulset/api -c app --limits=memory=272Mi]",
                "set a CPU request of 0.25, which fits what has been used [kubectl -n web set resources statefulset/api -c app --requests=cpu=250m]",
            ]
        );
        assert_eq!(
            advice("requests-missing", "offline\ncontainer web/api-0/app limit=1Gi"),
            ["set CPU request; there is no steady use to start from, so measure first"]
        );
    }

    #[test]
    fn injected_containers_count_and_finished_pods_do_not() {
        check(
            "container web/api-0/app limit=1Gi cpu-limit=1\ncontainer web/api-0/istio-proxy role=sidecar cpu-request=1",
            "warning web/api/istio-proxy: memory request, memory limit not set
             1 ok",
        );
        check("container web/api-0/setup role=init\ncontainer web/api-0/app limit=1Gi cpu-limit=1", "1 ok");
        check("container web/job/app\npod web/job phase=Succeeded", "nothing");
        check("past web/api-6c6c6c6c6c-zzzzz/app  memory: 1x3", "nothing");
    }

    #[test]
    fn lists_that_are_denied_are_unknown() {
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
    }
}
