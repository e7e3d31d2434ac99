//! `image-architecture`: an image is built for another CPU architecture or operating system than the node's.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::pod_state::{Foreign, completed, foreign, states_known, workload_in_words};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::image::runs_on;
use crate::model::{Container, ContainerState, ObjectKind, Pod, WorkloadId};
use crate::need::Needs;
use crate::phrase::or;
use crate::snapshot::{Field, Missing};
use crate::view::{View, WorkloadPods};

/// An image is built for another CPU architecture or operating system than the node's.
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
                 or operating system than that of its node, or could not on other nodes that its pods may be placed on.",
        why: "The pod never starts there, and nothing but another image or another node helps: in a fleet of amd64 and arm64 nodes \
              it depends on the scheduler whether a rollout works.",
        decides: "`exec format error` in the message of a container that waits or of its last end, or a pull that finds no image \
                  for the platform (`no match for platform`, `no matching manifest for linux/...`): critical. So are the same \
                  words in the log of a container that crash-loops, where logs are read anyway (`error-logs` is on), because some \
                  runtimes write them nowhere else. The node's platform is that of the node object, where nodes may be \
                  listed. Registries are asked where the configuration gives access to them (`registries`): a container \
                  that does not run on a node of which its image has no platform is critical, and a warning is an image that \
                  lacks a platform of nodes that its pods may be placed on by node selector, required node affinity and taints \
                  (cordoned nodes and preferences do not count), unless it runs on such a node. They are asked for the \
                  reference that the pod has, and not for the digest that runs: that is what the next pod pulls, and a digest \
                  that a runtime reports may be that of one platform alone. With imagePullPolicy Never nobody is asked. A \
                  registry that does not answer is a gap, and makes nothing unknown.",
        remedy: "Build the image for all architectures of the nodes (`docker buildx build --platform linux/amd64,linux/arm64`), or \
                 keep the pods on nodes that fit with a nodeSelector on `kubernetes.io/arch` (or `kubernetes.io/os`).",
        false_alarms: "`exec format error` also comes from a script without `#!` line, or from a file that was copied \
                       incompletely. Nodes that emulate other processors (binfmt_misc) run what the registry does not promise.",
        texts: &[
            (
                "other-architecture",
                "container {container} cannot run on node {node} ({architecture}): image {image} is built for another architecture ({reason})",
            ),
            (
                "not-built",
                "container {container} cannot run on node {node} ({architecture}): image {image} is built for {platforms} alone",
            ),
            (
                "lacks-platform",
                "image {image} of container {container} is not built for {lacking}, the platform of {some} of the {all} nodes that its pods may be placed on",
            ),
            ("build", "see for which platforms the image is built, and build it for {architecture} too"),
            ("select", "until then, keep the pods on nodes whose kubernetes.io/arch fits the image"),
            ("select-system", "until then, keep the pods on nodes whose kubernetes.io/os fits the image"),
            (
                "works-on",
                "it runs on {architectures}: until then choose these nodes with a nodeSelector on kubernetes.io/arch",
            ),
            (
                "works-on-system",
                "it runs on {platforms}: until then choose these nodes with a nodeSelector on kubernetes.io/os and kubernetes.io/arch",
            ),
        ],
    };
    type Params = ImageArchitectureParams;
    type Subject<'a> = WorkloadPods<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods).objects(ObjectKind::Nodes);
        needs.objects(ObjectKind::ImagePlatforms);
    }

    fn judge(_: &Self::Params, subject: &WorkloadPods<'_>, view: &View<'_>) -> Judgement {
        let pods: Vec<&Pod> = subject.pods.iter().copied().filter(|p| !completed(p) && !p.deleting).collect();
        if pods.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        let wrong: Vec<(&Pod, &Container, Foreign<'_>)> = pods
            .iter()
            .filter_map(|p| p.containers.iter().find_map(|c| Some((*p, c, foreign(p, c, view)?))))
            .collect();
        if let Some((pod, container, why)) = wrong.first() {
            let works = works_on(&pods, container, view);
            let problem = cannot_run(pod, container, *why, &works);
            let problem = problem
                .evidence("pods", workload_in_words(subject))
                .evidence("pods-that-cannot-run", wrong.len());
            return Ok(problem.into());
        }
        if let Some(problem) = pods.iter().find_map(|pod| lacks_platform(pod, &pods, view)) {
            return Ok(problem.evidence("pods", workload_in_words(subject)).into());
        }
        match pods.iter().any(|p| states_known(p, view.snapshot)) {
            true => Ok(Outcome::Ok),
            false => Err(Missing::NotReported { field: Field::ContainerStates }),
        }
    }
}

/// A container that does not run because of its architecture. `works` are those on which the same image runs.
fn cannot_run(pod: &Pod, container: &Container, why: Foreign<'_>, works: &BTreeSet<String>) -> Problem {
    let known = pod.platform();
    let of_node = known.as_deref().map(of_linux_short).unwrap_or_default();
    let architecture = or(of_node, "architecture-unknown");
    let text = match why {
        Foreign::Said(reason) | Foreign::Logged(reason) => {
            Text::new("other-architecture").with("reason", reason.chars().take(200).collect::<String>())
        }
        Foreign::NotBuilt => Text::new("not-built").with("platforms", container.platforms.join(", ")),
    };
    let text = text
        .with("container", container.name.as_str())
        .with("node", or(pod.node.as_deref().unwrap_or_default(), "not-known"))
        .with("architecture", architecture.clone())
        .with("image", container.image.as_str());
    let mut problem = Problem::new(Severity::Critical, text)
        .evidence("image", container.image.as_str())
        .evidence("node-architecture", architecture)
        .pod(&pod.name)
        .since(pod.created);
    if !container.platforms.is_empty() {
        problem = problem.evidence("platforms", container.platforms.join(", "));
    }
    let for_node = or(of_node, "architecture-of-node");
    let works: Vec<&str> =
        works.iter().map(String::as_str).filter(|p| Some(*p) != known.as_deref()).collect();
    let other_system = |platform: &str| system(platform) != known.as_deref().map_or("linux", system);
    let select = if works.is_empty() {
        let foreign = !container.platforms.is_empty() && container.platforms.iter().all(|p| other_system(p));
        Text::new(if foreign { "select-system" } else { "select" })
    } else if works.iter().any(|p| other_system(p)) {
        Text::new("works-on-system").with("platforms", works.join(", "))
    } else {
        let architectures: Vec<&str> = works.iter().filter_map(|p| p.split('/').nth(1)).collect();
        Text::new("works-on").with("architectures", architectures.join(", "))
    };
    problem
        .advise(build(container, Text::new("build").with("architecture", for_node)))
        .advise(Advice::new(select))
}

/// `linux`, of `linux/amd64`.
fn system(platform: &str) -> &str {
    platform.split('/').next().unwrap_or_default()
}

/// The architecture alone where the system is Linux, as it mostly is.
fn of_linux_short(platform: &str) -> &str {
    platform.strip_prefix("linux/").unwrap_or(platform)
}

fn build(container: &Container, text: Text) -> Advice {
    let command = format!("docker buildx imagetools inspect {}", container.image);
    Advice::new(text).command(command, &[&container.image])
}

/// A container whose image lacks a platform of nodes that its pod may be placed on, and that does not run on one of these.
fn lacks_platform(pod: &Pod, pods: &[&Pod], view: &View<'_>) -> Option<Problem> {
    let known = pod.containers.iter().filter(|c| !c.platforms.is_empty());
    let mut found = known.map(|container| (container, lacking(pod, container, pods, view)));
    let (container, lacking) = found.find(|(_, lacking)| !lacking.is_empty())?;
    let names = lacking.keys().copied().collect::<Vec<_>>().join(", ");
    let text = Text::new("lacks-platform")
        .with("image", container.image.as_str())
        .with("container", container.name.as_str())
        .with("lacking", names.as_str())
        .with("some", lacking.values().sum::<u32>())
        .with("all", pod.places.values().sum::<u32>());
    let missing = Text::new("build").with("architecture", names.as_str());
    let fitting = pod.places.keys().find(|platform| !lacking.contains_key(platform.as_str()));
    let problem = Problem::new(Severity::Warning, text)
        .evidence("image", container.image.as_str())
        .evidence("platforms", container.platforms.join(", "))
        .evidence("lacking-platforms", names)
        .pod(&pod.name)
        .advise(build(container, missing));
    Some(problem.advise(select(&pod.workload, fitting.map(String::as_str), &lacking)))
}

/// Keeps the pods of a workload on nodes of a platform that fits; with a command where there is one to choose.
fn select(id: &WorkloadId, fitting: Option<&str>, lacking: &BTreeMap<&str, u32>) -> Advice {
    let fits = fitting.unwrap_or("linux");
    let only_other_systems = lacking.keys().all(|platform| system(platform) != system(fits));
    let advice = Advice::new(Text::new(if only_other_systems { "select-system" } else { "select" }));
    let has_template = matches!(id.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet");
    let (Some((os, architecture)), true) = (fitting.and_then(|f| f.split_once('/')), has_template) else {
        return advice;
    };
    let mut labels = Vec::new();
    if lacking.keys().any(|platform| system(platform) != os) {
        labels.push(format!(r#""kubernetes.io/os":"{os}""#));
    }
    if !only_other_systems {
        labels.push(format!(r#""kubernetes.io/arch":"{architecture}""#));
    }
    let kind = id.kind.to_ascii_lowercase();
    let patch =
        format!(r#"{{"spec":{{"template":{{"spec":{{"nodeSelector":{{{}}}}}}}}}}}"#, labels.join(","));
    let command = format!("kubectl -n {} patch {kind}/{} --type merge -p '{patch}'", id.namespace, id.name);
    advice.command(command, &[&id.namespace, &id.name, os, architecture])
}

/// Platforms of nodes that the pod may be placed on, with their number, for which the image of a container is not built;
/// without those on which it runs all the same.
fn lacking<'p>(
    pod: &'p Pod,
    container: &Container,
    pods: &[&Pod],
    view: &View<'_>,
) -> BTreeMap<&'p str, u32> {
    let built = |platform: &str| container.platforms.iter().any(|own| runs_on(own, platform));
    let places = pod.places.iter().map(|(platform, nodes)| (platform.as_str(), *nodes));
    let mut lacking: BTreeMap<&str, u32> = places.filter(|(platform, _)| !built(platform)).collect();
    if !lacking.is_empty() {
        let runs = works_on(pods, container, view);
        lacking.retain(|platform, _| !runs.contains(*platform));
    }
    lacking
}

/// Platforms of nodes on which the same image runs in pods of the workload.
fn works_on(pods: &[&Pod], container: &Container, view: &View<'_>) -> BTreeSet<String> {
    let runs = |pod: &Pod, c: &Container| {
        c.name == container.name
            && c.image == container.image
            && matches!(c.state, Some(ContainerState::Running { .. }))
            && foreign(pod, c, view).is_none()
    };
    let running = pods.iter().filter(|p| p.containers.iter().any(|c| runs(p, c)));
    running.filter_map(|p| p.platform()).collect()
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
    fn cri_o_tells_of_it_in_words_of_its_own() {
        let told = fixture::told(
            "image-architecture",
            "container web/api-0/app image=app:2 state=waiting:ErrImagePull \
             message=\"choosing image instance: no image found in image index for architecture arm64, variant v8, OS linux\"",
        );
        assert!(
            told[0].starts_with("critical web/api (api-0): container app cannot run on node node-1"),
            "{told:?}"
        );
    }

    /// Runtimes that give no message to a container that cannot be started: only its log tells.
    const LOGGED: &str = "node node-1 arch=arm64\n\
        container web/api-0/app image=app:2 restarts=9 state=waiting:CrashLoopBackOff last=Error:255@3m\n\
        log web/StatefulSet/api times=9 line=\"exec /app/run.sh: exec format error\"";

    #[test]
    fn the_log_of_a_crash_loop_tells() {
        check(
            "image-architecture",
            LOGGED,
            "critical web/api (api-0): container app cannot run on node node-1 (arm64): image app:2 is built for another architecture (exec /app/run.sh: exec format error)",
        );
        let low = fixture::told("crash-looping", LOGGED);
        assert!(low[0].starts_with("warning "), "{low:?}");
        // One of another container, and one that runs again.
        check("image-architecture", &LOGGED.replace("times=9", "container=side times=9"), "1 ok");
        let runs = LOGGED.replace("state=waiting:CrashLoopBackOff last=Error:255@3m", "last=Error:255@5h");
        check("image-architecture", &runs, "1 ok");
        let other = LOGGED.replace("exec /app/run.sh: exec format error", "ERROR wrong format of config");
        check("image-architecture", &other, "1 ok");
    }

    /// What the registry says of an image of which pods run, and where they may be placed.
    const PLACED: &str = "node node-1 arch=amd64\nnode node-2 arch=arm64\nworkload web/Deployment/api\n\
        container web/api-7d9c5bd4f7-x2x9z/app image=app:2 platforms=linux/amd64\n\
        pod web/api-7d9c5bd4f7-x2x9z places=linux/amd64:5,linux/arm64:3";

    #[test]
    fn a_platform_that_other_nodes_have_is_a_warning() {
        check(
            "image-architecture",
            PLACED,
            "warning web/api (api-7d9c5bd4f7-x2x9z): image app:2 of container app is not built for linux/arm64, the platform of 3 of the 8 nodes that its pods may be placed on",
        );
        assert_eq!(
            advice("image-architecture", PLACED),
            [
                "see for which platforms the image is built, and build it for linux/arm64 too [docker buildx imagetools inspect app:2]",
                "until then, keep the pods on nodes whose kubernetes.io/arch fits the image [kubectl -n web patch deployment/api --type merge -p '{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"kubernetes.io/arch\":\"amd64\"}}}}}']",
            ]
        );
    }

    #[test]
    fn an_image_with_all_platforms_is_in_order() {
        let of = |platforms: &str, places: &str| {
            let text = PLACED.replace("platforms=linux/amd64", platforms);
            check("image-architecture", &text.replace("linux/amd64:5,linux/arm64:3", places), "1 ok");
        };
        of("platforms=linux/amd64,linux/arm64/v8", "linux/amd64:5,linux/arm64:3");
        of("platforms=linux/386,linux/arm/v7", "linux/amd64:5,linux/arm64:3");
        // Its node selector keeps it where it fits, or all nodes are of one architecture.
        of("platforms=linux/amd64", "linux/amd64:5");
        // No registry was asked, or it was silent.
        of("", "linux/amd64:5,linux/arm64:3");
        of("platforms=linux/amd64", "");
    }

    /// A node that emulates another processor runs it, whatever the registry says.
    #[test]
    fn what_runs_there_is_no_trouble() {
        let emulated = "container web/api-7d9c5bd4f7-jq4wv/app image=app:2 platforms=linux/amd64\n\
            pod web/api-7d9c5bd4f7-jq4wv node=node-2 places=linux/amd64:5,linux/arm64:3";
        check("image-architecture", &format!("{PLACED}\n{emulated}"), "1 ok");
    }

    /// Nodes of Windows are of the same architecture, and run none of it.
    #[test]
    fn another_operating_system_is_another_platform() {
        let windows = PLACED.replace("linux/arm64:3", "windows/amd64:3");
        check(
            "image-architecture",
            &windows,
            "warning web/api (api-7d9c5bd4f7-x2x9z): image app:2 of container app is not built for windows/amd64, the platform of 3 of the 8 nodes that its pods may be placed on",
        );
        assert_eq!(
            advice("image-architecture", &windows)[1],
            "until then, keep the pods on nodes whose kubernetes.io/os fits the image [kubectl -n web patch deployment/api --type merge -p '{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"kubernetes.io/os\":\"linux\"}}}}}']"
        );
        let both = PLACED.replace("linux/arm64:3", "linux/arm64:1,windows/amd64:3");
        assert!(
            advice("image-architecture", &both)[1]
                .contains(r#""nodeSelector":{"kubernetes.io/os":"linux","kubernetes.io/arch":"amd64"}"#)
        );
    }

    #[test]
    fn what_is_on_a_node_of_another_operating_system_does_not_run() {
        let text = "node node-1 os=windows\nnode node-2\nworkload web/Deployment/api\n\
            container web/api-0/app image=app:2 platforms=linux/amd64 owner=Deployment/api restarts=9 state=waiting:CrashLoopBackOff last=Error:1@3m\n\
            pod web/api-0 node=node-1";
        check(
            "image-architecture",
            text,
            "critical web/api (api-0): container app cannot run on node node-1 (windows/amd64): image app:2 is built for linux/amd64 alone",
        );
        assert_eq!(
            advice("image-architecture", text)[1],
            "until then, keep the pods on nodes whose kubernetes.io/os fits the image"
        );
        let works = "container web/api-1/app image=app:2 platforms=linux/amd64 owner=Deployment/api\n\
            pod web/api-1 node=node-2";
        assert_eq!(
            advice("image-architecture", &format!("{text}\n{works}"))[1],
            "it runs on linux/amd64: until then choose these nodes with a nodeSelector on kubernetes.io/os and kubernetes.io/arch"
        );
    }

    #[test]
    fn what_does_not_run_on_a_node_of_another_platform_is_critical() {
        let text = |state: &str| {
            format!(
                "node node-1 arch=arm64\ncontainer web/api-0/app image=app:2 platforms=linux/amd64 {state}\n\
                 pod web/api-0 places=linux/amd64:5,linux/arm64:3"
            )
        };
        let looping = text("restarts=9 state=waiting:CrashLoopBackOff last=Error:1@3m");
        check(
            "image-architecture",
            &looping,
            "critical web/api (api-0): container app cannot run on node node-1 (arm64): image app:2 is built for linux/amd64 alone",
        );
        let low = fixture::told("crash-looping", &looping);
        assert!(low[0].starts_with("warning "), "{low:?}");
        let told = |state: &str| fixture::told("image-architecture", &text(state)).remove(0);
        assert!(told("state=waiting:ErrImagePull message=denied").starts_with("critical "));
        // It has not been tried yet.
        assert!(told("state=waiting:ContainerCreating").starts_with("warning "));
        check(
            "image-architecture",
            &looping.replace("platforms=linux/amd64", "platforms=linux/arm64").replace("linux/amd64:5,", ""),
            "1 ok",
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
