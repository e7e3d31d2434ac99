//! `image-pull-failing`: a pod waits for an image that does not come.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{completed, states_known, waiting, waits_for_image, workload_in_words};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{ObjectKind, Pod};
use crate::need::Needs;
use crate::snapshot::Missing;
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
                  RegistryUnavailable or ImageInspectError. Always critical.",
        remedy: "Look for a typing mistake in the tag, a tag that was deleted, or a missing imagePullSecret.",
        false_alarms: "A registry that was away for a moment.",
        texts: &[
            ("waiting", "container {container} waits for image {image}: {reason}"),
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
                false => Err(Missing::NotReported { field: "state of the containers".into() }),
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
        Ok(Problem::new(Severity::Critical, text)
            .evidence("image", container.image.as_str())
            .evidence("reason", reason)
            .evidence("pods", workload_in_words(subject))
            .evidence("waiting-pods", stuck.len())
            .pod(&pod.name)
            .since(pod.created)
            .advise(Advice::new(Text::new("check-image")).command(command, &[namespace, &pod.name]))
            .into())
    }
}
