//! `image-pull-failing`: a pod waits for an image that does not come.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{
    completed, foreign, states_known, waiting, waits_for_image, workload_in_words,
};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{ObjectKind, Pod};
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::view::{View, WorkloadPods};

/// A pod waits for an image that does not come.
pub struct ImagePullFailing;

crate::params! {
    /// Parameters of `image-pull-failing`: none.
    pub struct ImagePullFailingParams {}
}

impl Check for ImagePullFailing {
    const INFO: CheckInfo = CheckInfo {
        id: "image-pull-failing",
        title: "Image cannot be pulled",
        since: "0.1.0",
        checks: "Whether a container, init containers too, waits for an image that cannot be pulled.",
        why: "The pod will not start until someone acts; in a rollout the old pods stay, and nobody notices.",
        decides: "A container waits with ImagePullBackOff, ErrImagePull, InvalidImageName, ErrImageNeverPull, \
                  RegistryUnavailable, ImageInspectError or SignatureValidationFailed. Critical; a warning where \
                  `image-architecture` tells the cause.",
        remedy: "Look for a typing mistake in the tag, a tag that was deleted, or a missing imagePullSecret.",
        false_alarms: "A registry that was away for a moment.",
        texts: &[
            ("waiting", "container {container} waits for image {image}: {reason}"),
            (
                "load-image",
                "load the image onto the nodes, or set another imagePullPolicy: with Never no node pulls it",
            ),
            (
                "correct-name",
                "correct the name of the image in the pod template: nothing can be pulled under this one",
            ),
            ("check-image", "see whether the tag exists, and whether the pod may pull it (imagePullSecrets)"),
        ],
    };
    type Params = ImagePullFailingParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(_: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let pods: Vec<&Pod> = subject.pods.iter().copied().filter(|p| !completed(p) && !p.deleting).collect();
        if pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let stuck = pods.iter().filter_map(|p| Some((*p, p.containers.iter().find(|c| waits_for_image(c))?)));
        let stuck: Vec<_> = stuck.collect();
        let Some((pod, container)) = stuck.first() else {
            return match pods.iter().any(|p| states_known(p, view.snapshot)) {
                true => Ok(Outcome::Ok),
                false => Err(Missing::NotReported { field: Field::ContainerStates }),
            };
        };
        let (reason, message) = waiting(container).unwrap_or_default();
        let said = if message.is_empty() { reason.to_owned() } else { format!("{reason}, {message}") };
        let text = Text::new("waiting")
            .with("container", container.name.as_str())
            .with("image", container.image.as_str())
            .with("reason", said.as_str());
        let namespace = &subject.workload.id.namespace;
        let command = format!("kubectl -n {namespace} describe pod {}", pod.name);
        let foreign = stuck.iter().all(|(p, c)| foreign(p, c, view).is_some());
        let severity = if foreign { Severity::Warning } else { Severity::Critical };
        Ok(Problem::new(severity, text)
            .evidence("image", container.image.as_str())
            .evidence("reason", reason)
            .evidence("pods", workload_in_words(subject))
            .evidence("waiting-pods", stuck.len())
            .pod(&pod.name)
            .since(pod.created)
            .advise(Advice::new(Text::new(remedy(reason))).command(command, &[namespace, &pod.name]))
            .into())
    }
}

/// The key of the advice that fits the reason of the kubelet.
fn remedy(reason: &str) -> &'static str {
    match reason {
        "ErrImageNeverPull" => "load-image",
        "InvalidImageName" => "correct-name",
        _ => "check-image",
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("image-pull-failing", text, expected);
    }

    #[test]
    fn every_reason_is_critical() {
        for reason in super::super::pod_state::IMAGE_REASONS {
            let text =
                format!("container web/api-0/app image=registry.example/app:1.1 state=waiting:{reason}");
            let expected = format!(
                "critical web/api (api-0): container app waits for image registry.example/app:1.1: {reason}"
            );
            check(&text, &expected);
        }
        check(
            "container web/api-0/migrate role=init image=app:2 state=waiting:ErrImagePull message=\"not found\"",
            "critical web/api (api-0): container migrate waits for image app:2: ErrImagePull, not found",
        );
    }

    #[test]
    fn advice_fits_the_reason() {
        let advice = |reason: &str| {
            let text = format!("container web/api-0/app state=waiting:{reason}");
            fixture::advice("image-pull-failing", &text).join("; ")
        };
        let describe = "[kubectl -n web describe pod api-0]";
        assert_eq!(
            advice("ErrImageNeverPull"),
            format!(
                "load the image onto the nodes, or set another imagePullPolicy: with Never no node pulls it {describe}"
            )
        );
        assert_eq!(
            advice("InvalidImageName"),
            format!(
                "correct the name of the image in the pod template: nothing can be pulled under this one {describe}"
            )
        );
        assert!(advice("ErrImagePull").starts_with("see whether the tag exists"));
    }

    #[test]
    fn other_waits_are_not_for_the_image() {
        check("container web/api-0/app state=waiting:ContainerCreating", "1 ok");
        check("container web/api-0/app state=waiting:CrashLoopBackOff", "1 ok");
        check("container web/api-0/app state=waiting:ImagePullBackOff\npod web/api-0 deleting", "nothing");
    }

    #[test]
    fn missing_is_unknown() {
        check("container web/api-0/app state=unknown", "1 unknown: state of the containers is not reported");
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
    }
}
