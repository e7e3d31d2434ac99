//! `namespace-terminating`: a namespace is to be deleted, and something holds it.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::inventory::Namespace;
use crate::model::{Condition, ObjectKind};
use crate::need::Needs;
use crate::phrase::or;
use crate::unit::Seconds;
use crate::view::View;

/// A namespace is to be deleted, and something holds it.
pub struct NamespaceTerminating;

crate::params! {
    /// Parameters of `namespace-terminating`.
    pub struct NamespaceTerminatingParams {
        /// Time that the deletion may take; the value itself is not told.
        after: Seconds = Seconds(600.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

/// The conditions of a namespace that tell what holds its deletion up, the cause of others first, each with the key of its
/// sentence.
const HOLDS: [(&str, &str); 5] = [
    ("NamespaceDeletionDiscoveryFailure", "discovery"),
    ("NamespaceDeletionGroupVersionParsingFailure", "discovery"),
    ("NamespaceDeletionContentFailure", "refused"),
    ("NamespaceFinalizersRemaining", "finalizers"),
    ("NamespaceContentRemaining", "content"),
];

impl Check for NamespaceTerminating {
    const INFO: CheckInfo = CheckInfo {
        id: "namespace-terminating",
        title: "Namespace stuck in deletion",
        since: "0.1.0",
        checks: "Whether namespaces that are being deleted go away.",
        why: "Nothing can be made in it any more, not even by what deploys it anew, and what is left in it (disks, load \
              balancers) goes on and costs.",
        decides: "A warning when a namespace has been terminating for longer than `after`, with what its conditions say: the API \
                  server does not know all kinds of objects (NamespaceDeletionDiscoveryFailure), refuses to delete some \
                  (NamespaceDeletionContentFailure), or objects are left, waiting for their finalizers \
                  (NamespaceFinalizersRemaining) or not (NamespaceContentRemaining). Of several the first in this order is \
                  told, and all stand in the evidence. A Namespace is itself in no namespace: settings by namespace do not \
                  count for it.",
        remedy: "Find the objects that are left, and bring back the controller whose finalizer they wait for. Taking finalizers \
                 away by hand leaves behind what they guard.",
        false_alarms: "Pods with a long termination grace period, and large namespaces, of which thousands of objects are \
                       deleted one by one.",
        texts: &[
            (
                "discovery",
                "has been terminating for {time}: the API server cannot tell what is in it, because a part of the API does not answer",
            ),
            ("refused", "has been terminating for {time}: objects in it cannot be deleted"),
            ("finalizers", "has been terminating for {time}: objects in it wait for finalizers: {which}"),
            ("content", "has been terminating for {time}: objects in it are not gone: {which}"),
            ("untold", "has been terminating for {time}, and no condition says why"),
            (
                "apis",
                "see which APIService does not answer (`api-service-unavailable`): bring back what serves it, or delete the APIService if that was uninstalled",
            ),
            ("left", "see which objects are left"),
            (
                "controller",
                "see which finalizers they have and whether the controller that takes each away still runs; bring it back if it was uninstalled too early, and take no finalizer away by hand before what it guards (a disk, a load balancer, a DNS record) is known to be gone",
            ),
            ("conditions", "read its conditions"),
        ],
    };
    type Params = NamespaceTerminatingParams;
    type Subject<'a> = &'a Namespace;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Namespaces);
    }

    fn judge(params: &Self::Params, namespace: &&Namespace, view: &View<'_>) -> Judgement {
        // What was deleted after the end of the run was there then.
        let age = namespace.deleted.and_then(|since| since.age_at(view.snapshot.taken_at));
        let Some(lasted) = age.map(Seconds).filter(|age| *age > params.after) else { return Ok(Outcome::Ok) };
        let holds: Vec<(&Condition, &'static str)> = HOLDS
            .iter()
            .filter_map(|(kind, key)| {
                let is_true = |c: &&Condition| c.kind == *kind && c.status == Some(true);
                namespace.conditions.iter().find(is_true).map(|c| (c, *key))
            })
            .collect();
        let (text, key) = match holds.first() {
            Some((condition, key)) => (Text::new(key).with("which", or(left(condition), "no-message")), *key),
            None => (Text::new("untold"), "untold"),
        };
        let mut problem = Problem::new(Severity::Warning, text.with("time", lasted))
            .lasted("terminating-for", lasted, params.after)
            .since(namespace.deleted);
        for (condition, _) in &holds {
            problem = problem.evidence("reason", or(&condition.reason, "no-reason"));
            if !condition.message.is_empty() {
                problem = problem.evidence("message", condition.message.as_str());
            }
        }
        let name = namespace.id.name.as_str();
        let command = match key {
            "discovery" => "kubectl get apiservices".to_owned(),
            "finalizers" | "content" => format!(
                "kubectl api-resources --verbs=list --namespaced -o name | xargs -n 1 kubectl get --ignore-not-found --show-kind -n {name}"
            ),
            _ => format!("kubectl describe namespace {name}"),
        };
        let action = match key {
            "discovery" => "apis",
            "finalizers" | "content" => "left",
            _ => "conditions",
        };
        problem = problem.advise(Advice::new(Text::new(action)).command(command, &[name]));
        if key == "finalizers" {
            problem = problem.advise(Advice::new(Text::new("controller")));
        }
        Ok(problem.into())
    }
}

/// What of the message of a condition names the objects: `Some resources are remaining: pods. has 1 resource instances`.
fn left(condition: &Condition) -> &str {
    condition.message.split_once("remaining: ").map_or(condition.message.as_str(), |(_, which)| which)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("namespace-terminating", text, expected);
    }

    const FINALIZERS: &str = "\"NamespaceFinalizersRemaining=yes:SomeFinalizersRemain@2h:Some content in the namespace has \
                              finalizers remaining: kubernetes.io/pvc-protection in 1 resource instances\"";
    const CONTENT: &str = "\"NamespaceContentRemaining=yes:SomeResourcesRemain@2h:Some resources are remaining: \
                           persistentvolumeclaims. has 1 resource instances\"";

    #[test]
    fn what_holds_it_is_told_the_cause_first() {
        check(
            &format!("namespace old deleting=2h {CONTENT} {FINALIZERS}\nnamespace web"),
            "warning /old: has been terminating for 2h: objects in it wait for finalizers: kubernetes.io/pvc-protection in 1 \
             resource instances\n1 ok",
        );
        check(
            &format!(
                "namespace old deleting=2h {CONTENT} NamespaceFinalizersRemaining=no:ContentHasNoFinalizers"
            ),
            "warning /old: has been terminating for 2h: objects in it are not gone: persistentvolumeclaims. has 1 resource \
             instances",
        );
        check(
            &format!(
                "namespace old deleting=2h {FINALIZERS} NamespaceDeletionDiscoveryFailure=yes:DiscoveryFailed@2h"
            ),
            "warning /old: has been terminating for 2h: the API server cannot tell what is in it, because a part of the API \
             does not answer",
        );
        check(
            "namespace old deleting=2h NamespaceDeletionContentFailure=yes:ContentDeletionFailed@2h",
            "warning /old: has been terminating for 2h: objects in it cannot be deleted",
        );
        check(
            "namespace old deleting=2h",
            "warning /old: has been terminating for 2h, and no condition says why",
        );
    }

    #[test]
    fn ten_minutes_are_usual() {
        check(&format!("namespace old deleting=10m {CONTENT}"), "1 ok");
        check(
            "namespace old deleting=601s NamespaceContentRemaining=yes",
            "warning /old: has been terminating for 601s: objects in it are not gone: no message",
        );
        check("set after=1h\nnamespace old deleting=30m", "1 ok");
    }

    #[test]
    fn what_was_not_yet_so_is_none() {
        check("window lookback=30d now=-3d\nnamespace old deleting=2d", "1 ok");
    }

    #[test]
    fn no_finalizer_is_taken_away_blindly() {
        let told = advice("namespace-terminating", &format!("namespace old deleting=2h {FINALIZERS}"));
        assert_eq!(
            told[0],
            "see which objects are left [kubectl api-resources --verbs=list --namespaced -o name | xargs -n 1 kubectl get \
             --ignore-not-found --show-kind -n old]"
        );
        assert!(told[1].contains("take no finalizer away by hand before what it guards"), "{told:?}");
        let told = advice(
            "namespace-terminating",
            "namespace old deleting=2h NamespaceDeletionDiscoveryFailure=yes:DiscoveryFailed@2h",
        );
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("`api-service-unavailable`"), "{told:?}");
    }

    #[test]
    fn missing_is_unknown() {
        check("denied namespaces", "1 unknown: not allowed to list namespaces in all namespaces");
        check(
            "denied namespaces outside",
            "1 unknown: namespaces belong to the whole cluster, and this run looks at chosen namespaces, without the right \
             to list them",
        );
    }
}
