//! `image-pull-policy`: what runs under a tag depends on what a node happens to have.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::image::{ImageReference, digest_of};
use crate::model::{Container, ObjectKind, OtherBuild};
use crate::need::Needs;
use crate::snapshot::{Field, Missing, Origin};
use crate::unit::Seconds;
use crate::view::{Member, View, WorkloadContainer};

/// What runs under a tag depends on what a node happens to have.
pub struct ImagePullPolicy;

crate::params! {
    /// Parameters of `image-pull-policy`.
    pub struct ImagePullPolicyParams {
        /// Time that a rollout may take, in which two builds of one tag run side by side.
        rollout: Seconds = Seconds(3600.0) => Seconds(0.0)..=Seconds::from_days(7.0),
    }
}

impl Check for ImagePullPolicy {
    const INFO: CheckInfo = CheckInfo {
        id: "image-pull-policy",
        title: "Stale or moving image",
        since: "0.1.0",
        checks: "Whether all replicas run the same build of their image, whether another build runs under the same tag elsewhere in \
                 the cluster or in another cluster of the run, and whether the pull policy lets that happen.",
        why: "A tag can be given to another image. With IfNotPresent a node that has the old one goes on to start it: the version \
              that runs depends on the node, and a fix that was released is not there.",
        decides: "Running containers whose reference is the same are compared by digest, those on nodes of one architecture. With \
                  imagePullPolicy Always the kubelet asks the registry at every start, so the digest that was started last with \
                  it is the newer build for every container that started before. Where no such start tells, which build is the \
                  newer one is not known: a young pod may run an old build that its node still had. Another build than that \
                  newer one, or than the one seen last for the first time, is a warning in a workload that runs both, and where \
                  the tag moves by its name and the policy is not Always; else info; in any case once that build has run for \
                  longer than `rollout`. A tag that moves by its name (none, latest, main, dev, prod, ...; no digits in it) with \
                  IfNotPresent is info. Clusters of one run are compared by the same rules, where both have the same reference: \
                  a container whose own cluster does not run that newer build is told the cluster that does. An image with a digest in its reference passes.",
        remedy: "Give every build a tag of its own, or write the digest. Where a tag must move, set imagePullPolicy: Always.",
        false_alarms: "Public images are rebuilt under the same version now and then; pods of different age then differ, which is \
                       harmless mostly. Images loaded into the nodes by hand need IfNotPresent or Never. Those, and images of a registry \
                       that each cluster has for itself (localhost, a Service), are not compared over clusters.",
        texts: &[
            ("two-builds", "{stale} of {all} replicas run an older build of {image}"),
            ("stale", "runs an older build of {image} than {elsewhere}"),
            ("stale-in-fleet", "runs an older build of {image} than cluster {cluster}"),
            ("differs-in-fleet", "runs another build of {image} than cluster {cluster}"),
            ("mixed", "{other} of {all} replicas run another build of {image} than the rest"),
            ("differs", "runs another build of {image} than {elsewhere}"),
            ("moving", "nodes that have {image} do not pull it again (IfNotPresent), and its tag moves"),
            ("pin", "run the newer build everywhere by its digest"),
            ("compare", "see which build the tag stands for now, and run that one everywhere by its digest"),
            ("own-tag", "give every build a tag of its own, or set imagePullPolicy: Always"),
        ],
    };
    type Params = ImagePullPolicyParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Workloads).objects(ObjectKind::Pods).objects(ObjectKind::Nodes);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let live: Vec<(&Member<'_>, &Container)> =
            container.live().filter_map(|m| Some((m, m.container?))).collect();
        if live.is_empty() {
            return Ok(Outcome::NotApplicable);
        }
        if live.iter().all(|(_, c)| c.pull_policy.is_empty()) {
            return Err(match view.snapshot.objects.origin {
                Origin::KubeStateMetrics => Missing::NoKubernetesSource,
                _ => Missing::NotReported { field: Field::PullPolicy },
            });
        }
        let settled = |other: &OtherBuild| {
            let age = other.since.and_then(|t| t.age_at(view.snapshot.taken_at));
            age.is_some_and(|age| age >= params.rollout.get())
        };
        let differing: Vec<(&Member<'_>, &Container, &OtherBuild)> = live
            .iter()
            .filter_map(|(m, c)| Some((*m, *c, c.other_build.as_ref().filter(|o| settled(o))?)))
            .collect();
        if let Some((member, own, other)) = differing.first() {
            let both = live.iter().any(|(_, c)| digest_of(&c.image_id) == Some(&other.digest));
            return Ok(builds(container, (*member, own), other, both, (differing.len(), live.len())).into());
        }
        let moving = |c: &&Container| {
            c.pull_policy == "IfNotPresent"
                && !c.image.is_empty()
                && ImageReference::new(&c.image).is_mutable()
        };
        let Some(moving) = live.iter().map(|(_, c)| *c).find(moving) else { return Ok(Outcome::Ok) };
        Ok(Problem::new(Severity::Info, Text::new("moving").with("image", moving.image.as_str()))
            .evidence("image", moving.image.as_str())
            .evidence("pull-policy", moving.pull_policy.as_str())
            .advise(Advice::new(Text::new("own-tag")))
            .into())
    }
}

fn builds(
    container: &WorkloadContainer<'_>,
    (member, own): (&Member<'_>, &Container),
    other: &OtherBuild,
    both: bool,
    (differing, all): (usize, usize),
) -> Problem {
    let reference = ImageReference::new(&own.image);
    let severity =
        if both || drifts(&own.pull_policy, &own.image) { Severity::Warning } else { Severity::Info };
    let text = match (both, other.is_newer) {
        (true, true) => Text::new("two-builds").with("stale", differing).with("all", all),
        (true, false) => Text::new("mixed").with("other", differing).with("all", all),
        (false, newer) => Text::new(if newer { "stale" } else { "differs" })
            .with("elsewhere", format!("{}/{}", other.namespace, other.pod)),
    };
    Problem::new(severity, text.with("image", own.image.as_str()))
        .evidence("image", own.image.as_str())
        .evidence("digest", digest_of(&own.image_id).unwrap_or_default())
        .evidence(if other.is_newer { "newer-digest" } else { "other-digest" }, other.digest.as_str())
        .evidence("pull-policy", own.pull_policy.as_str())
        .evidence("pods", differing)
        .pod(member.pod_name())
        .since(other.since)
        .advise(if other.is_newer { pin(container, &reference, &other.digest) } else { compare(&own.image) })
        .advise(Advice::new(Text::new("own-tag")))
}

fn pin(container: &WorkloadContainer<'_>, reference: &ImageReference<'_>, digest: &str) -> Advice {
    let id = &container.workload.id;
    let pin = Advice::new(Text::new("pin"));
    if !matches!(id.kind.as_str(), "Deployment" | "StatefulSet" | "DaemonSet") {
        return pin;
    }
    let kind = id.kind.to_ascii_lowercase();
    let command = format!(
        "kubectl -n {} set image {kind}/{} {}={}@{digest}",
        id.namespace, id.name, container.name, reference.name
    );
    pin.command(command, &[&id.namespace, &id.name, &container.name, reference.name, digest])
}

/// Whether what runs may change without anyone changing the workload: its tag moves, and not every node follows.
pub(crate) fn drifts(policy: &str, image: &str) -> bool {
    policy != "Always" && ImageReference::new(image).is_mutable()
}

pub(crate) fn compare(image: &str) -> Advice {
    Advice::new(Text::new("compare")).command(format!("docker buildx imagetools inspect {image}"), &[image])
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("image-pull-policy", text, expected);
    }

    const V21_AND_V23: &str = "\
        container ops/monitor-0/app image=reg.example/monitor:stable policy=IfNotPresent digest=sha256:v21 created=20d\n\
        container ops/monitor-1/app image=reg.example/monitor:stable policy=IfNotPresent digest=sha256:v23 created=2d";

    /// Both nodes may have had their build: which is the newer one cannot be told.
    #[test]
    fn two_builds_in_one_workload() {
        check(
            V21_AND_V23,
            "warning ops/monitor/app (monitor-0): 1 of 2 replicas run another build of reg.example/monitor:stable than the rest",
        );
        assert_eq!(
            advice("image-pull-policy", V21_AND_V23),
            [
                "see which build the tag stands for now, and run that one everywhere by its digest [docker buildx imagetools inspect reg.example/monitor:stable]",
                "give every build a tag of its own, or set imagePullPolicy: Always",
            ]
        );
    }

    #[test]
    fn what_the_registry_gave_last_is_the_newer_build() {
        let always = V21_AND_V23.replace("IfNotPresent", "Always");
        check(
            &always,
            "warning ops/monitor/app (monitor-0): 1 of 2 replicas run an older build of reg.example/monitor:stable",
        );
        assert_eq!(
            advice("image-pull-policy", &always)[0],
            "run the newer build everywhere by its digest [kubectl -n ops set image statefulset/monitor app=reg.example/monitor@sha256:v23]",
        );
        check(
            &always.replace(":stable", ":1.4"),
            "warning ops/monitor/app (monitor-0): 1 of 2 replicas run an older build of reg.example/monitor:1.4",
        );
        // The old pod has pulled again since, so its build is what the tag stands for now.
        check(
            &always
                .replace("digest=sha256:v21 created=20d", "digest=sha256:v21 created=20d state=running@1d"),
            "warning ops/monitor/app (monitor-1): 1 of 2 replicas run an older build of reg.example/monitor:stable",
        );
    }

    /// The incident: five pods run what was released ten days ago, and a new one starts on a node that still has the build
    /// before. No command may bring that one back.
    #[test]
    fn a_young_pod_may_run_the_old_build() {
        let text = "container ops/monitor-0/app pods=5 image=reg.example/monitor:stable policy=IfNotPresent digest=sha256:v23 created=10d\n\
            container ops/monitor-5/app image=reg.example/monitor:stable policy=IfNotPresent digest=sha256:v21 created=2h";
        check(
            text,
            "warning ops/monitor/app (monitor-0): 5 of 6 replicas run another build of reg.example/monitor:stable than the rest",
        );
        assert!(!advice("image-pull-policy", text)[0].contains("set image"));
        // Another workload has pulled what the five run, but before the sixth started.
        let pulled = "container ops/other-0/app image=reg.example/monitor:stable policy=Always digest=sha256:v23 created=9d";
        let text_and_pulled = format!("{text}\n{pulled}");
        check(
            &text_and_pulled,
            "warning ops/monitor/app (monitor-5): 1 of 6 replicas run another build of reg.example/monitor:stable than the rest\n1 ok",
        );
        assert!(!advice("image-pull-policy", &text_and_pulled)[0].contains("set image"));
        // And one after it.
        check(
            &format!("{text}\n{}", pulled.replace("9d", "1h")),
            "warning ops/monitor/app (monitor-5): 1 of 6 replicas run an older build of reg.example/monitor:stable\n1 ok",
        );
    }

    #[test]
    fn a_rollout_in_progress_is_no_finding() {
        let always = V21_AND_V23.replace("IfNotPresent", "Always");
        check(&always.replace("created=2d", "created=30m"), "1 ok");
        check(
            &always.replace("created=2d", "created=1h"),
            "warning ops/monitor/app (monitor-0): 1 of 2 replicas run an older build of reg.example/monitor:stable",
        );
    }

    #[test]
    fn another_build_elsewhere() {
        let elsewhere = |image: &str, policy: &str, others: &str| {
            let text = format!(
                "container a/old-0/app image={image} policy={policy} digest=sha256:a created=20d\n\
                 container b/new-0/app image={image} policy={others} digest=sha256:b created=2d"
            );
            fixture::told("image-pull-policy", &text).join("; ")
        };
        let text = |severity: &str, build: &str, image: &str| {
            format!("{severity} a/old/app (old-0): runs {build} build of {image} than b/new-0; 1 ok")
        };
        assert_eq!(
            elsewhere("app:latest", "IfNotPresent", "Always"),
            text("warning", "an older", "app:latest")
        );
        assert_eq!(elsewhere("app:latest", "Always", "Always"), text("info", "an older", "app:latest"));
        assert_eq!(elsewhere("app:1.4", "IfNotPresent", "Always"), text("info", "an older", "app:1.4"));
        assert_eq!(elsewhere("app:1.4", "IfNotPresent", "IfNotPresent"), text("info", "another", "app:1.4"));
        assert_eq!(elsewhere("app@sha256:a", "IfNotPresent", "Always"), "2 ok");
    }

    /// A runtime that reports the digest of the platform's own image differs between architectures.
    #[test]
    fn architectures_are_compared_by_themselves() {
        check(
            &format!("node node-1\nnode node-2 arch=arm64\n{V21_AND_V23}\npod ops/monitor-1 node=node-2")
                .replace(":stable", ":1.4"),
            "1 ok",
        );
    }

    #[test]
    fn moving_tags() {
        check(
            "container web/api-0/app image=app:latest policy=IfNotPresent",
            "info web/api/app: nodes that have app:latest do not pull it again (IfNotPresent), and its tag moves",
        );
        check("container web/api-0/app image=app:latest policy=Always", "1 ok");
        check("container web/api-0/app image=app:v23 policy=IfNotPresent", "1 ok");
        check(
            "container web/api-0/app image=app:latest@sha256:ab policy=IfNotPresent digest=sha256:ab",
            "1 ok",
        );
        let untold = "container web/api-0/app image=app:latest policy=unknown";
        check(untold, "1 unknown: image pull policy is not reported");
        check(&format!("origin kube-state-metrics\n{untold}"), "1 unknown: no access to the Kubernetes API");
    }
}
