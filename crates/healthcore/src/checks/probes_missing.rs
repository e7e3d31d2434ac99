//! `probes-missing`: pods get requests before they can answer.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::class::Class;
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{ContainerRole, ObjectKind, Pod, PodPhase, Probes};
use crate::need::Needs;
use crate::view::{View, WorkloadPods};

/// Pods get requests before they can answer.
pub struct ProbesMissing;

crate::params! {
    /// Parameters of `probes-missing`.
    pub struct ProbesMissingParams {
        /// Whether a missing liveness probe counts too.
        liveness: bool = false,
    }
}

impl Check for ProbesMissing {
    const INFO: CheckInfo = CheckInfo {
        id: "probes-missing",
        title: "Probes missing",
        since: "0.1.0",
        checks: "Whether the pods of a workload have a readiness probe.",
        why: "Without one a pod counts as ready as soon as its process exists: a rollout sends requests to pods that still \
              start, and takes the old ones away.",
        decides: "Info when no container of the newest living pod has a readiness probe, with `liveness` also when none has a \
                  liveness probe. Workloads of the classes batch, runner and system, DaemonSets, pods without an owner and \
                  the namespaces of Kubernetes itself (`kube-...`) are left out, and so are pods from kube-state-metrics, which tells no probes.",
        remedy: "Add a readiness probe that asks for what the pod serves. A liveness probe must not ask for what other \
                 services do.",
        false_alarms: "Workers that take their work from a queue and serve no requests.",
        texts: &[
            ("none", "its pods have no readiness probe"),
            ("no-liveness", "its pods have no liveness probe"),
            ("add", "add a readiness probe to the container that serves requests"),
            ("add-liveness", "add a liveness probe to the container that can hang"),
        ],
    };
    type Params = ProbesMissingParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let id = &subject.workload.id;
        let class = view.class_of(id).map(|c| c.class);
        let serves = !matches!(class, Some(Class::Batch | Class::Runner | Class::System));
        let own = matches!(id.bare_kind(), "Pod" | "DaemonSet") || id.namespace.starts_with("kube-");
        let living = |p: &&&Pod| !matches!(p.phase, PodPhase::Succeeded | PodPhase::Failed);
        let newest = subject.pods.iter().filter(living).max_by_key(|p| p.created);
        let Some(pod) = newest.filter(|_| serves && !own) else { return Ok(Outcome::NotApplicable) };
        let Some(probes) = probes_of(pod) else { return Ok(Outcome::NotApplicable) };
        let readiness = probes.iter().any(|p| p.readiness);
        let liveness = !params.liveness || probes.iter().any(|p| p.liveness);
        let (key, add, field) = match (readiness, liveness) {
            (true, true) => return Ok(Outcome::Ok),
            (false, _) => ("none", "add", "readinessProbe"),
            (true, false) => ("no-liveness", "add-liveness", "livenessProbe"),
        };
        let (namespace, name) = (&id.namespace, &id.name);
        let kind = id.kind.to_ascii_lowercase();
        let command =
            format!("kubectl explain pod.spec.containers.{field}; kubectl -n {namespace} edit {kind} {name}");
        Ok(Problem::new(Severity::Info, Text::new(key))
            .evidence("containers", probes.len())
            .advise(Advice::new(Text::new(add)).command(command, &[namespace, &kind, name]))
            .into())
    }
}

/// Probes of the containers that run beside each other; none where the source never tells them.
fn probes_of(pod: &Pod) -> Option<Vec<Probes>> {
    let beside = pod.containers.iter().filter(|c| c.role != ContainerRole::Init);
    let probes: Option<Vec<Probes>> = beside.map(|c| c.probes).collect();
    probes.filter(|all| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("probes-missing", text, expected);
    }

    #[test]
    fn one_container_with_a_probe_is_enough() {
        let none = "container web/api-0/app probes=liveness,startup\n";
        check(none, "info web/api: its pods have no readiness probe");
        check(&format!("{none}container web/api-0/proxy role=sidecar probes=readiness"), "1 ok");
        check("container web/api-0/app probes=readiness", "1 ok");
        check(
            &format!("{none}container web/api-0/setup role=init probes=readiness"),
            "info web/api: its pods have no readiness probe",
        );
    }

    #[test]
    fn liveness_counts_when_asked() {
        check(
            "set liveness=true\ncontainer web/api-0/app probes=readiness",
            "info web/api: its pods have no liveness probe",
        );
        check("set liveness=true\ncontainer web/api-0/app probes=readiness,liveness", "1 ok");
    }

    #[test]
    fn what_serves_no_requests_is_left_out() {
        check("container web/load-x2x9z/app owner=Job/load probes=none", "nothing");
        check("container web/log-x2x9z/app owner=DaemonSet/log probes=none", "nothing");
        check("container web/solo/app probes=none", "nothing");
        check("container kube-system/dns-0/app probes=none", "nothing");
        check(
            "workload web/StatefulSet/api note:healthcheck/class=runner\ncontainer web/api-0/app probes=none",
            "nothing",
        );
    }

    #[test]
    fn the_newest_pod_counts() {
        let old = "container web/api-0/app probes=none created=9d\n";
        check(&format!("{old}container web/api-1/app probes=readiness created=1d"), "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        // Metrics and recordings of earlier versions never tell probes: the question is not asked there.
        check("container web/api-0/app", "nothing");
        check("denied pods", "1 unknown: not allowed to list pods in all namespaces");
    }
}
