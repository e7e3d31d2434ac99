//! `image-architecture`: an image is built for another CPU architecture than the node's.

use std::collections::BTreeSet;

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{completed, states_known, workload_in_words, wrong_architecture};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Container, ContainerState, ObjectKind, Pod};
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::view::{View, WorkloadPods};

/// An image is built for another CPU architecture than the node's.
pub struct ImageArchitecture;

crate::params! {
    /// Parameters of `image-architecture`: none.
    pub struct ImageArchitectureParams {}
}

impl Check for ImageArchitecture {
    const INFO: CheckInfo = CheckInfo {
        id: "image-architecture",
        title: "Image for another architecture",
        since: "0.1.0",
        checks: "Whether a container, init containers too, cannot run because its image is built for another CPU architecture \
                 than that of its node.",
        why: "The pod never starts there, and nothing but another image or another node helps: in a fleet of amd64 and arm64 nodes \
              it depends on the scheduler whether a rollout works.",
        decides: "`exec format error` in the message of a container that waits or of its last end, or a pull that finds no image \
                  for the platform (`no match for platform`, `no matching manifest for linux/...`). Always critical. The node's \
                  architecture is that of the node object, where nodes may be listed.",
        remedy: "Build the image for all architectures of the nodes (`docker buildx build --platform linux/amd64,linux/arm64`), or \
                 keep the pods on nodes that fit with a nodeSelector on `kubernetes.io/arch`.",
        false_alarms: "`exec format error` also comes from a script without `#!` line, or from a file that was copied \
                       incompletely.",
        texts: &[
            (
                "other-architecture",
                "container {container} cannot run on node {node} ({architecture}): image {image} is built for another architecture ({reason})",
            ),
            ("build", "see for which platforms the image is built, and build it for {architecture} too"),
            ("select", "until then, keep the pods on nodes whose kubernetes.io/arch fits the image"),
            (
                "works-on",
                "it runs on {architectures}: until then choose these nodes with a nodeSelector on kubernetes.io/arch",
            ),
        ],
    };
    type Params = ImageArchitectureParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods).objects(ObjectKind::Nodes);
    }

    fn judge(_: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let pods: Vec<&Pod> = subject.pods.iter().copied().filter(|p| !completed(p) && !p.deleting).collect();
        if pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let wrong: Vec<(&Pod, &Container, &str)> = pods
            .iter()
            .filter_map(|p| p.containers.iter().find_map(|c| Some((*p, c, wrong_architecture(c)?))))
            .collect();
        let Some((pod, container, said)) = wrong.first() else {
            return match pods.iter().any(|p| states_known(p, view.snapshot)) {
                true => Ok(Outcome::Ok),
                false => Err(Missing::NotReported { field: Field::ContainerStates }),
            };
        };
        let known = pod.architecture.as_deref();
        let architecture = or(known.unwrap_or_default(), "architecture-unknown");
        let text = Text::new("other-architecture")
            .with("container", container.name.as_str())
            .with("node", or(pod.node.as_deref().unwrap_or_default(), "not-known"))
            .with("architecture", architecture.clone())
            .with("image", container.image.as_str())
            .with("reason", said.chars().take(200).collect::<String>());
        let mut problem = Problem::new(Severity::Critical, text)
            .evidence("image", container.image.as_str())
            .evidence("node-architecture", architecture)
            .evidence("pods", workload_in_words(subject))
            .evidence("pods-that-cannot-run", wrong.len())
            .pod(&pod.name)
            .since(pod.created);
        let build =
            Text::new("build").with("architecture", or(known.unwrap_or_default(), "architecture-of-node"));
        let command = format!("docker buildx imagetools inspect {}", container.image);
        problem = problem.advise(Advice::new(build).command(command, &[&container.image]));
        let works: Vec<&str> = works_on(&pods, container).into_iter().filter(|a| Some(*a) != known).collect();
        let select = match works.is_empty() {
            true => Text::new("select"),
            false => Text::new("works-on").with("architectures", works.join(", ")),
        };
        Ok(problem.advise(Advice::new(select)).into())
    }
}

/// Architectures of nodes on which the same image runs in other pods of the workload.
fn works_on<'a>(pods: &[&'a Pod], container: &Container) -> BTreeSet<&'a str> {
    let runs = |c: &Container| {
        c.name == container.name
            && c.image == container.image
            && matches!(c.state, Some(ContainerState::Running { .. }))
            && wrong_architecture(c).is_none()
    };
    pods.iter().filter(|p| p.containers.iter().any(runs)).filter_map(|p| p.architecture.as_deref()).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(id: &str, text: &str, expected: &str) {
        fixture::check(id, text, expected);
    }

    /// ilogtail on arm64 nodes, as the API server tells it.
    const LOGTAIL: &str = "node node-1 arch=arm64\nnode node-2\n\
        workload kube-system/DaemonSet/logtail-ds\n\
        container kube-system/logtail-ds-x2x9z/logtail owner=DaemonSet/logtail-ds image=registry.example/ilogtail:1.8.7 restarts=40 state=waiting:CrashLoopBackOff last=Error:255@3m said=\"exec /usr/local/ilogtail/run.sh: exec format error\"\n\
        container kube-system/logtail-ds-jq4wv/logtail owner=DaemonSet/logtail-ds image=registry.example/ilogtail:1.8.7\n\
        pod kube-system/logtail-ds-jq4wv node=node-2";

    #[test]
    fn the_end_of_a_run_tells() {
        check(
            "image-architecture",
            LOGTAIL,
            "critical kube-system/logtail-ds (logtail-ds-x2x9z): container logtail cannot run on node node-1 (arm64): image registry.example/ilogtail:1.8.7 is built for another architecture (exec /usr/local/ilogtail/run.sh: exec format error)",
        );
        assert_eq!(
            advice("image-architecture", LOGTAIL),
            [
                "see for which platforms the image is built, and build it for arm64 too [docker buildx imagetools inspect registry.example/ilogtail:1.8.7]",
                "it runs on amd64: until then choose these nodes with a nodeSelector on kubernetes.io/arch",
            ]
        );
    }

    /// Once, loud: what follows from it is told as a warning.
    #[test]
    fn what_follows_is_told_in_a_low_voice() {
        let told = fixture::told("crash-looping", LOGTAIL);
        assert!(told[0].starts_with("warning "), "{told:?}");
        let told = fixture::told("image-pull-failing", PULL);
        assert!(told[0].starts_with("warning "), "{told:?}");
    }

    const PULL: &str = "container web/api-0/app image=app:2 state=waiting:ErrImagePull \
        message=\"rpc error: code = NotFound desc = no match for platform in manifest: not found\"";

    #[test]
    fn a_start_or_a_pull_that_fails_tells_too() {
        check(
            "image-architecture",
            PULL,
            "critical web/api (api-0): container app cannot run on node node-1 (architecture not known): image app:2 is built for another architecture (rpc error: code = NotFound desc = no match for platform in manifest: not found)",
        );
        check(
            "image-architecture",
            "container web/api-0/app image=app:2 state=waiting:RunContainerError message=\"exec: /app: Exec format error\"",
            "critical web/api (api-0): container app cannot run on node node-1 (architecture not known): image app:2 is built for another architecture (exec: /app: Exec format error)",
        );
    }

    #[test]
    fn other_troubles_are_others() {
        check(
            "image-architecture",
            "container web/api-0/app restarts=9 state=waiting:CrashLoopBackOff last=Error:1@3m said=\"wrong format of config\"",
            "1 ok",
        );
        check(
            "image-architecture",
            "container web/api-0/app state=waiting:ErrImagePull message=\"not found\"",
            "1 ok",
        );
        // It has been put right: the container runs again.
        check(
            "image-architecture",
            "container web/api-0/app restarts=3 last=Error:255@5h said=\"exec format error\"",
            "1 ok",
        );
        check(
            "image-architecture",
            "container web/api-0/app state=unknown\npod web/api-0 phase=NotReported",
            "1 unknown: state of the containers is not reported",
        );
    }
}
