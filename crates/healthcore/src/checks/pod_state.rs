//! What a pod is doing, in the words that several checks share.

use crate::checks::crash_looping::{CrashLoopingParams, fails_often};
use crate::finding::{Text, Value};
use crate::image::runs_on;
use crate::logs::LogSummary;
use crate::model::{Container, ContainerState, Pod, PodPhase, Workload};
use crate::phrase::{english, phrase};
use crate::snapshot::{Origin, Snapshot};
use crate::time::Timestamp;
use crate::view::{View, WorkloadPods};

/// Reasons with which the kubelet waits for an image.
pub(super) const IMAGE_REASONS: [&str; 7] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "ImageInspectError",
    "SignatureValidationFailed",
];

/// Reason and message of a container that waits.
pub(super) fn waiting(container: &Container) -> Option<(&str, &str)> {
    match &container.state {
        Some(ContainerState::Waiting { reason, message }) => Some((reason, message)),
        _ => None,
    }
}

pub(super) fn crash_loops(container: &Container) -> bool {
    waiting(container).is_some_and(|(reason, _)| reason == "CrashLoopBackOff")
}

/// Whether the container crash-loops, as `crash-looping` tells by default.
pub(crate) fn loops(pod: &Pod, container: &Container, now: Timestamp) -> bool {
    crash_loops(container) || fails_often(&CrashLoopingParams::default(), pod, container, now)
}

pub(super) fn waits_for_image(container: &Container) -> bool {
    waiting(container).is_some_and(|(reason, _)| IMAGE_REASONS.contains(&reason))
}

/// What was said when a container could not run because its image is built for another architecture, and it has not
/// started since.
pub(super) fn wrong_architecture(container: &Container) -> Option<&str> {
    let said = match &container.state {
        Some(ContainerState::Waiting { message, .. }) => Some(message),
        Some(ContainerState::Terminated(end)) => Some(&end.message),
        Some(ContainerState::Running { .. }) => return None,
        None => None,
    };
    let before = container.last_termination.as_ref().map(|end| &end.message);
    said.into_iter().chain(before).flat_map(|text| text.lines()).map(str::trim).find(|line| {
        let line = line.to_ascii_lowercase();
        WRONG_ARCHITECTURE.iter().any(|words| line.contains(words))
    })
}

/// How it is known that a container cannot run because its image is built for another architecture than the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign<'a> {
    /// A runtime or the kernel said so, in its status.
    Said(&'a str),
    /// The same, in its log.
    Logged(&'a str),
    /// It does not run, and its image has no platform of its node.
    NotBuilt,
}

/// Whether a container cannot run because of the architecture of its image, and how that is known. What its log or its
/// registry tells counts where somebody has asked for it.
pub(super) fn foreign<'a>(pod: &Pod, container: &'a Container, view: &View<'a>) -> Option<Foreign<'a>> {
    if let Some(said) = wrong_architecture(container) {
        return Some(Foreign::Said(said));
    }
    if loops(pod, container, view.snapshot.taken_at)
        && let Some(line) = foreign_in_log(pod, container, view)
    {
        return Some(Foreign::Logged(line));
    }
    let not_built = fails_to_run(container) && !has_platform_of_node(pod, container);
    not_built.then_some(Foreign::NotBuilt)
}

/// The pattern of a container's log that tells of another architecture.
fn foreign_in_log<'a>(pod: &Pod, container: &Container, view: &View<'a>) -> Option<&'a str> {
    let logs = &view.snapshot.objects.logs;
    let own = |l: &&LogSummary| l.workload == pod.workload && l.container == container.name;
    let mut patterns = logs.iter().filter(own).flat_map(|l| &l.said.patterns).map(|p| p.text.as_str());
    patterns.find(|text| text.to_ascii_lowercase().contains(ENOEXEC))
}

/// The last line of a message, short enough for a sentence.
pub(super) fn last_line(message: &str) -> Option<String> {
    let line = message.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().take(300).collect())
}

/// The error of a JVM that ended for want of memory, as in `Terminating due to java.lang.OutOfMemoryError: Java heap space`.
pub(super) fn out_of_memory_error(message: &str) -> Option<String> {
    let at = message.find("java.lang.OutOfMemoryError")?;
    last_line(message[at..].lines().next()?)
}

/// Whether it was tried to run the container, in vain.
fn fails_to_run(container: &Container) -> bool {
    match &container.state {
        Some(ContainerState::Waiting { reason, .. }) => {
            crash_loops(container)
                || waits_for_image(container)
                || matches!(reason.as_str(), "RunContainerError" | "CreateContainerError" | "StartError")
        }
        Some(ContainerState::Terminated(end)) => end.exit_code.is_some_and(|code| code != 0),
        Some(ContainerState::Running { .. }) | None => false,
    }
}

/// Whether the image of a container has a platform of the node that its pod is on; also where either is not known.
fn has_platform_of_node(pod: &Pod, container: &Container) -> bool {
    let Some(node) = pod.platform() else { return true };
    container.platforms.is_empty() || container.platforms.iter().any(|own| runs_on(own, &node))
}

/// What the kernel says (ENOEXEC).
const ENOEXEC: &str = "exec format error";

/// Words of the kernel, containerd, Docker and CRI-O.
const WRONG_ARCHITECTURE: [&str; 5] = [
    ENOEXEC,
    "no match for platform",
    "no matching manifest for ",
    "no image found in manifest list for architecture",
    "no image found in image index for architecture",
];

/// Whether a check of its own names what keeps the pod from running.
pub(super) fn named_elsewhere(pod: &Pod) -> bool {
    pod.unschedulable.is_some()
        || pod
            .containers
            .iter()
            .any(|c| crash_loops(c) || waits_for_image(c) || wrong_architecture(c).is_some())
}

pub(super) fn completed(pod: &Pod) -> bool {
    pod.phase == PodPhase::Succeeded
}

pub(crate) fn runs(pod: &Pod) -> bool {
    match pod.phase {
        PodPhase::Running => pod.ready != Some(false),
        PodPhase::NotReported => pod.ready == Some(true),
        _ => false,
    }
}

/// Whether there is no telling if a pod runs, waits or has ended.
pub(crate) fn untold(pod: &Pod) -> bool {
    pod.phase == PodPhase::NotReported
        && !runs(pod)
        && pod.unschedulable.is_none()
        && pod.containers.iter().all(|c| waiting(c).is_none())
}

/// Whether the source tells the states of containers. kube-state-metrics tells only why a container waits, so no state
/// means there that it does not wait.
pub(super) fn states_known(pod: &Pod, snapshot: &Snapshot) -> bool {
    snapshot.objects.origin == Origin::KubeStateMetrics
        || pod.unschedulable.is_some()
        || pod.phase == PodPhase::Pending
        || pod.containers.iter().any(|c| c.state.is_some())
}

/// Pods in one line, those that have ended with success apart: `4/4 Running (+2 Completed)`,
/// `3/4 Running (1 not running) +2 Completed`.
///
/// ```
/// # use healthcore::checks::pods_in_words;
/// assert_eq!(pods_in_words(4, 4, 2), "4/4 Running (+2 Completed)");
/// assert_eq!(pods_in_words(3, 4, 2), "3/4 Running (1 not running) +2 Completed");
/// assert_eq!(pods_in_words(3, 3, 0), "3/3 Running");
/// ```
#[must_use]
pub fn pods_in_words(running: usize, all: usize, completed: usize) -> String {
    let count = |value: &Value| value.number().map_or_else(String::new, |n| n.to_string());
    english(&pods(running, all, completed, 0), &count)
}

/// [`pods_in_words`] as a phrase; pods that have failed and been replaced are apart, too: `1/1 Running (+9 Failed)`.
#[must_use]
pub fn pods(running: usize, all: usize, completed: usize, failed: usize) -> Text {
    let not = all - running.min(all);
    let key = match (not > 0, completed > 0, failed > 0) {
        (false, false, false) => "pods-running",
        (false, true, false) => "pods-running-done",
        (false, false, true) => "pods-running-failed",
        (false, true, true) => "pods-running-done-failed",
        (true, false, false) => "pods-not-running",
        (true, true, false) => "pods-not-running-done",
        (true, false, true) => "pods-not-running-failed",
        (true, true, true) => "pods-not-running-done-failed",
    };
    let words = phrase(key).with("running", running).with("all", all);
    let counts = [("not", not), ("done", completed), ("failed", failed)];
    counts.into_iter().filter(|(_, n)| *n > 0).fold(words, |words, (name, n)| words.with(name, n))
}

/// [`pods`] of a workload: of those that its controller counts. A pod that is being deleted serves no more.
pub(super) fn workload_in_words(subject: &WorkloadPods<'_>) -> Text {
    let done = subject.pods.iter().filter(|p| completed(p)).count();
    let running = subject.pods.iter().filter(|p| runs(p) && !p.deleting).count();
    let replaced = replaced(subject.workload, &subject.pods);
    let failed = replaced.iter().filter(|p| is_leftover(p)).count();
    pods(running, subject.pods.len() - done - replaced.len(), done, failed)
}

/// Pods that have failed and that the controller has made others for, and which nobody has removed: evicted ones, say.
pub(crate) fn leftovers<'a>(workload: &Workload, pods: &[&'a Pod]) -> Vec<&'a Pod> {
    let mut replaced = replaced(workload, pods);
    replaced.retain(|p| is_leftover(p));
    replaced
}

fn is_leftover(pod: &Pod) -> bool {
    pod.phase == PodPhase::Failed && !pod.deleting
}

/// Pods that are on their way out or have failed, and that the controller has made others for.
fn replaced<'a>(workload: &Workload, pods: &[&'a Pod]) -> Vec<&'a Pod> {
    let Some(replicas) = workload.replicas.filter(|_| !workload.id.runs_to_completion()) else {
        return Vec::new();
    };
    let (mut leaving, staying): (Vec<&Pod>, Vec<&Pod>) = pods
        .iter()
        .copied()
        .filter(|p| !completed(p))
        .partition(|p| p.deleting || p.phase == PodPhase::Failed);
    // The newest are those that have no successor yet.
    leaving.sort_by_key(|p| (std::cmp::Reverse(p.created), &p.name));
    let awaited = (replicas.desired as usize).saturating_sub(staying.len());
    leaving.split_off(awaited.min(leaving.len()))
}
