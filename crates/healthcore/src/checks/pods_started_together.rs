//! `pods-started-together`: pods of several workloads were replaced at one time.

use crate::check::{Check, CheckInfo, Judgement, Outcome, Subject};
use crate::finding::{Advice, Problem, Severity, SubjectRef, Text, Value};
use crate::metric::Metric;
use crate::model::{ObjectKind, Workload, WorkloadId};
use crate::need::Needs;
use crate::phrase::{first_and_more, or, phrase};
use crate::snapshot::Missing;
use crate::starts::{Cause, NodeCause, StartedTogether};
use crate::unit::Seconds;
use crate::view::View;

/// Pods of several workloads were replaced at one time.
pub struct PodsStartedTogether;

/// Lists without which what happens every day would look like an incident.
const MADE_OF: &[ObjectKind] =
    &[ObjectKind::Pods, ObjectKind::Workloads, ObjectKind::Autoscalers, ObjectKind::Nodes];

crate::params! {
    /// Parameters of `pods-started-together`.
    pub struct PodsStartedTogetherParams {
        /// Workloads from which on it is told.
        workloads: u32 = 3 => 2..=1000,
        /// How long ago the first start may be; what happened is kept for 7 days.
        lookback: Seconds = Seconds(86_400.0) => Seconds(60.0)..=Seconds::from_days(7.0),
    }
}

impl Check for PodsStartedTogether {
    const INFO: CheckInfo = CheckInfo {
        id: "pods-started-together",
        title: "Pods started together",
        since: "0.1.0",
        checks: "Whether pods of several workloads were replaced at one time, and why: a rollout, an eviction, a node, or unknown.",
        why: "Old pods are gone with their logs and events, and each workload alone looks as if nothing had happened. Only side \
              by side do they show that something happened to the cluster.",
        decides: "Pods younger than `lookback` that each started within 10 minutes of the one before and within 30 minutes of the \
                  first, of at least `workloads` workloads. In a large cluster pods are replaced all the time: the starts in \
                  the 6 hours before and after tell how often, without those of the group. Starts are close when the pause \
                  between them is at most half of the usual one, and a group is told when chance makes one like it less than \
                  once in 30 days (Poisson). Groups with one cause that follow one another within 10 minutes are one. Not counted: the first pods of a workload, pods of Jobs, pods that an autoscaler added, pods of \
                  DaemonSets on a node that had just joined. Rollouts: the ReplicaSet was made at most 15 minutes before; told by \
                  namespace, as info. Of the rest, the first that fits between 30 minutes before and 5 minutes after: a pod of \
                  these workloads was evicted; a node stopped being ready (an event of it or of the pods on it says so too), was restarted, became ready again or was cordoned; \
                  all pods are on one node; a node joined. Else the cause is unknown. Containers that all started anew on a \
                  node where none runs from before mean that the node was restarted. A warning for evictions and for nodes \
                  that were lost, restarted or not ready for a time; else info.",
        remedy: "Look at what is named. Where it is unknown, ask who was at work then: `kubectl delete pod`, `kubectl rollout \
                 undo` and operators leave no trace that can be read.",
        false_alarms: "A rollback to an earlier revision, and rollouts of StatefulSets and DaemonSets alone, count as unknown: \
                       their revisions are not read. So do pods of nodes that an autoscaler took away and did not replace.",
        texts: &[
            (
                "rollout",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, with new revisions: a rollout",
            ),
            (
                "eviction",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, after an eviction: {message}",
            ),
            (
                "node-not-ready",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, when a node was lost: {nodes}",
            ),
            (
                "node-restarted",
                "{pods} pods of {workloads} workloads ({named}) started anew {time} ago, when a node was restarted: {nodes}",
            ),
            (
                "node-ready-again",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, when a node was not ready for a time: {nodes}",
            ),
            (
                "node-cordoned",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, when a node was cordoned: {nodes}",
            ),
            (
                "node-same",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, all on one node: {nodes}",
            ),
            (
                "node-joined",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, when a node joined: {nodes}",
            ),
            (
                "unknown",
                "{pods} pods of {workloads} workloads ({named}) started {time} ago, and neither rollout nor eviction nor node explains it",
            ),
            ("see-pods", "see all pods by the time of their start"),
            ("see-node", "read the conditions and events of the node"),
        ],
    };
    type Params = PodsStartedTogetherParams;
    type Subject<'a> = Together<'a>;
    const NEEDS_ALL: bool = true;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        for kind in MADE_OF {
            needs.objects(*kind);
        }
        needs.objects(ObjectKind::Events);
    }

    fn judge(params: &Self::Params, subject: &Together<'_>, view: &View<'_>) -> Judgement {
        let Some(group) = subject.0 else { return Ok(Outcome::Ok) };
        let age = group.first.age_at(view.snapshot.taken_at);
        let Some(age) = age.filter(|age| *age <= params.lookback.get()) else { return Ok(Outcome::Ok) };
        if group.workloads < params.workloads {
            return Ok(Outcome::Ok);
        }
        // An eviction may be told by events alone.
        let denied = |workload: &&WorkloadId| view.unavailable(ObjectKind::Events, &workload.namespace);
        if let (Cause::Unknown, Some(why)) = (&group.cause, group.named.iter().find_map(|id| denied(&id))) {
            return Err(Missing::clone(why));
        }
        let (severity, text) = explained(&group.cause);
        let text = text
            .with("pods", group.pods)
            .with("workloads", group.workloads)
            .with("named", named(group))
            .with("time", Seconds(age));
        Ok(advised(evidence(Problem::new(severity, text), group), group).into())
    }
}

/// Workloads that a sentence names; more are counted.
const MOST_NAMED: usize = 5;

/// The names of the workloads, with their namespaces where these differ.
fn named(group: &StartedTogether) -> Value {
    let alone = in_one_namespace(group);
    let name =
        |id: &WorkloadId| if alone { id.name.clone() } else { format!("{}/{}", id.namespace, id.name) };
    let first: Vec<String> = group.named.iter().take(MOST_NAMED).map(name).collect();
    match (group.workloads as usize).saturating_sub(first.len()) {
        0 => first.join(", ").into(),
        more => phrase("and-more").with("first", first.join(", ")).with("more", more).into(),
    }
}

/// Whether all workloads that are named are in one namespace.
fn in_one_namespace(group: &StartedTogether) -> bool {
    group.named.windows(2).all(|pair| pair[0].namespace == pair[1].namespace)
}

/// The sentence of a cause, and how bad it is.
fn explained(cause: &Cause) -> (Severity, Text) {
    match cause {
        Cause::Rollout => (Severity::Info, Text::new("rollout")),
        Cause::Eviction { message, .. } => {
            (Severity::Warning, Text::new("eviction").with("message", or(message, "no-message")))
        }
        Cause::Node { what, nodes } => {
            let (severity, key) = match what {
                NodeCause::NotReady => (Severity::Warning, "node-not-ready"),
                NodeCause::Restarted => (Severity::Warning, "node-restarted"),
                NodeCause::ReadyAgain => (Severity::Warning, "node-ready-again"),
                NodeCause::Cordoned => (Severity::Info, "node-cordoned"),
                NodeCause::Same => (Severity::Info, "node-same"),
                NodeCause::Joined => (Severity::Info, "node-joined"),
            };
            (severity, Text::new(key).with("nodes", first_and_more(nodes, "unknown")))
        }
        // Whatever it was is over, and most often a node that an autoscaler took away.
        Cause::Unknown => (Severity::Info, Text::new("unknown")),
    }
}

fn evidence(problem: Problem, group: &StartedTogether) -> Problem {
    let named: Vec<String> = group.named.iter().map(ToString::to_string).collect();
    let problem = problem
        .evidence("first-start", group.first)
        .evidence("last-start", group.last)
        .evidence("workloads", named.join(", "))
        .since(Some(group.first));
    let problem = match group.nodes.is_empty() {
        true => problem,
        false => problem.evidence("nodes", group.nodes.join(", ")),
    };
    match group.cause {
        Cause::Eviction { seen: Some(run), .. } => problem.evidence("remembered-from", run),
        _ => problem,
    }
}

fn advised(problem: Problem, group: &StartedTogether) -> Problem {
    if let Cause::Node { nodes, .. } = &group.cause
        && let Some(node) = nodes.first()
    {
        let see = Advice::new(Text::new("see-node"));
        return problem.advise(see.command(format!("kubectl describe node {node}"), &[node]));
    }
    let command = "kubectl get pods -A -o wide --sort-by=.metadata.creationTimestamp".to_owned();
    problem.advise(Advice::new(Text::new("see-pods")).command(command, &[]))
}

/// Pods that started together; none stands for a cluster where no pods did.
#[derive(Debug, Clone, Copy)]
pub struct Together<'a>(Option<&'a StartedTogether>);

impl<'a> Subject<'a> for Together<'a> {
    fn all(view: &View<'a>) -> Vec<Self> {
        match view.snapshot.objects.inventory.starts.as_deref() {
            None => Vec::new(),
            Some([]) => vec![Self(None)],
            Some(groups) => groups.iter().map(|group| Self(Some(group))).collect(),
        }
    }
    /// The first of its workloads stands for all.
    fn reference(&self) -> SubjectRef {
        let Some(first) = self.0.and_then(|group| group.named.first()) else { return SubjectRef::default() };
        let namespace =
            if self.0.is_some_and(in_one_namespace) { first.namespace.clone() } else { String::new() };
        SubjectRef { namespace, kind: "Pods".to_owned(), name: first.name.clone(), ..SubjectRef::default() }
    }
    fn workload(&self) -> Option<&'a Workload> {
        None
    }
    fn lists() -> &'static [ObjectKind] {
        &[ObjectKind::Pods, ObjectKind::Workloads]
    }
    fn made_of(&self) -> &'static [ObjectKind] {
        MADE_OF
    }
    fn unseen(&self, _: &View<'_>, _: Metric) -> Option<Missing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("pods-started-together", text, expected);
    }

    /// A pod of a Deployment that is old, on a node; its revision was made so long ago.
    fn pod(path: &str, node: &str, created: &str, revision: &str) -> String {
        let (namespace, name) = path.split_once('/').expect("namespace/name");
        format!(
            "workload {namespace}/Deployment/{name} replicas=1/1 created=90d revisions={name}-7d9c5bd4f7@{revision}\n\
             container {namespace}/{name}-7d9c5bd4f7-x2x9z/app created={created}\n\
             pod {namespace}/{name}-7d9c5bd4f7-x2x9z node={node}\n"
        )
    }

    const NODES: &str = "node n1 created=90d Ready=yes:KubeletReady@90d\nnode n2 created=90d Ready=yes:KubeletReady@90d\n\
                         node n3 created=90d Ready=yes:KubeletReady@90d\n";

    /// The incident of the daily monitor: three pods on three nodes, eleven hours ago, old pods gone.
    fn three(revision: &str) -> String {
        let pod =
            |name: &str, node: &str, created: &str| pod(&format!("pigo/{name}"), node, created, revision);
        format!("{NODES}{}{}{}", pod("api", "n1", "11h"), pod("cart", "n2", "659m"), pod("pay", "n3", "655m"))
    }

    #[test]
    fn three_pods_on_three_nodes() {
        check(
            &three("30d"),
            "info pigo/api: 3 pods of 3 workloads (api, cart, pay) started 11h ago, and neither rollout nor eviction nor node explains it",
        );
        check(
            &three("665m"),
            "info pigo/api: 3 pods of 3 workloads (api, cart, pay) started 11h ago, with new revisions: a rollout",
        );
        let evicted =
            "event pigo/Pod/api-7d9c5bd4f7-z2x4b reason=Evicted last=665m seen=10h message=\"low on memory\"";
        check(
            &format!("{}{evicted}", three("30d")),
            "warning pigo/api: 3 pods of 3 workloads (api, cart, pay) started 11h ago, after an eviction: low on memory",
        );
    }

    #[test]
    fn an_eviction_says_from_which_run_it_is_known() {
        let evicted =
            "event pigo/Pod/api-7d9c5bd4f7-z2x4b reason=Evicted last=665m seen=10h message=\"low on memory\"";
        let finding =
            fixture::findings("pods-started-together", &format!("{}{evicted}", three("30d"))).remove(0);
        let told: Vec<_> =
            finding.evidence.iter().map(|e| format!("{} {}", e.name, fixture::show(&e.value))).collect();
        assert_eq!(
            told,
            [
                "first-start 11h ago",
                "last-start 655m ago",
                "workloads pigo/deployment/api, pigo/deployment/cart, pigo/deployment/pay",
                "nodes n1, n2, n3",
                "remembered-from 10h ago",
            ]
        );
    }

    #[test]
    fn nodes_explain() {
        let with = |from: &str, to: &str| {
            let text = three("30d").replacen(from, to, 1);
            fixture::told("pods-started-together", &text).join("; ")
        };
        let n2 = "node n2 created=90d Ready=yes:KubeletReady@90d";
        let begin = "3 pods of 3 workloads (api, cart, pay) started";
        assert_eq!(
            with(n2, "node n2 created=90d Ready=unknown:NodeStatusUnknown@670m"),
            format!("warning pigo/api: {begin} 11h ago, when a node was lost: n2")
        );
        // Too late to be a cause, by a minute.
        assert_eq!(with(n2, "node n2 created=90d Ready=yes:KubeletReady@649m"), with(n2, n2));
        assert_eq!(
            with(n2, "node n2 created=90d Ready=yes:KubeletReady@650m"),
            format!("warning pigo/api: {begin} 11h ago, when a node was not ready for a time: n2")
        );
        assert_eq!(
            with(n2, "node n2 created=90d cordoned=670m Ready=yes:KubeletReady@90d"),
            format!("info pigo/api: {begin} 11h ago, when a node was cordoned: n2")
        );
        assert_eq!(
            with(n2, "node n2 created=670m Ready=yes:KubeletReady@669m"),
            format!("info pigo/api: {begin} 11h ago, when a node joined: n2")
        );
        let rebooted = format!("{n2}\nevent default/Node/n2 reason=Rebooted last=662m");
        assert_eq!(
            with(n2, &rebooted),
            format!("warning pigo/api: {begin} anew 11h ago, when a node was restarted: n2")
        );
        let same = three("30d").replace("node=n1", "node=n3").replace("node=n2", "node=n3");
        check(&same, &format!("info pigo/api: {begin} 11h ago, all on one node: n3"));
    }

    /// Nodes are ready again since long, and the old pods are gone: events are all that is left.
    #[test]
    fn events_tell_of_lost_nodes() {
        let lost = |what: &str, last: &str| {
            let event = format!("event {what} reason=NodeNotReady last={last} message=\"Node is not ready\"");
            fixture::told("pods-started-together", &format!("{}{event}", three("30d"))).join("; ")
        };
        let told = |nodes: &str| {
            format!(
                "warning pigo/api: 3 pods of 3 workloads (api, cart, pay) started 11h ago, when a node was lost: {nodes}"
            )
        };
        assert_eq!(lost("default/Node/n2", "670m"), told("n2"));
        // One that is gone since.
        assert_eq!(lost("default/Node/n7", "670m"), told("n7"));
        // The pod is gone, and with it its node.
        assert_eq!(lost("pigo/Pod/cart-7d9c5bd4f7-z2x4b", "670m"), told("unknown"));
        assert_eq!(lost("pigo/Pod/cart-7d9c5bd4f7-z2x4b", "670m seen=10h"), told("unknown"));
        // A pod that is still listed.
        assert_eq!(lost("pigo/Pod/pay-7d9c5bd4f7-x2x9z", "656m"), told("n3"));
        let unexplained = "neither rollout nor eviction nor node explains it";
        for (what, last) in
            [("pigo/Pod/cart-7d9c5bd4f7-z2x4b", "695m"), ("pigo/Pod/other-7d9c5bd4f7-z2x4b", "670m")]
        {
            let told = lost(what, last);
            assert!(told.ends_with(unexplained), "{told}");
        }
    }

    #[test]
    fn fewer_workloads_or_longer_ago_are_none() {
        let two = format!(
            "{NODES}{}{}",
            pod("pigo/api", "n1", "11h", "30d"),
            pod("pigo/cart", "n2", "659m", "30d")
        );
        check(&two, "1 ok");
        check(
            &format!("set workloads=2\n{two}"),
            "info pigo/api: 2 pods of 2 workloads (api, cart) started 11h ago, and neither rollout nor eviction nor node explains it",
        );
        // The third started more than ten minutes after the second.
        check(&format!("{two}{}", pod("pigo/pay", "n3", "648m", "30d")), "1 ok");
        check(&format!("set lookback=10h\n{}", three("30d")), "1 ok");
    }

    /// Pods of so many workloads, each replaced once within 7 days, at times without any pattern (a linear congruential
    /// generator).
    fn churn(workloads: u32) -> String {
        let mut state = 1_u32;
        let mut second = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % (7 * 86_400)
        };
        let mut one = |i: u32| {
            let (node, created) = (format!("n{}", 1 + i % 3), format!("{}s", second()));
            pod(&format!("shop/app-{i}"), &node, &created, "60d")
        };
        NODES.to_owned() + &(0..workloads).map(&mut one).collect::<String>()
    }

    #[test]
    fn what_is_replaced_all_the_time_is_none() {
        for workloads in [100, 700, 2_500] {
            let told = fixture::told("pods-started-together", &churn(workloads));
            assert!(told.iter().all(|line| line.ends_with(" ok")), "{workloads}: {told:?}");
        }
    }

    /// Ten pods of a node that was lost, among 360 that are replaced every day, without any pause of 10 minutes. One of those
    /// is between the ten.
    #[test]
    fn a_group_has_an_end() {
        let lost = |i: u32| pod(&format!("pigo/pay-{i}"), "n1", &format!("{}s", 39_600 - 5 * i), "30d");
        let lost: String = (0..10).map(lost).collect();
        let (ready, gone) = ("Ready=yes:KubeletReady@90d", "Ready=unknown:NodeStatusUnknown@665m");
        let text =
            churn(2_500).replacen(&format!("n2 created=90d {ready}"), &format!("n2 created=90d {gone}"), 1);
        let told = fixture::told("pods-started-together", &format!("{text}{lost}"));
        let expected = "warning /pay-0: 11 pods of 11 workloads (pigo/pay-0, pigo/pay-1, pigo/pay-2, pigo/pay-3, pigo/pay-4 and 6 more) started 11h ago, when a node was lost: n2";
        assert_eq!(told.first().map(String::as_str), Some(expected), "{told:?}");
    }

    /// Nodes that are drained one after the other for two hours.
    #[test]
    fn what_goes_on_is_one() {
        let moved =
            |i: u32| pod(&format!("pigo/pay-{i}"), &format!("n{}", i % 2), &format!("{}m", 660 - i), "30d");
        let moved: String = (0..120).map(moved).collect();
        let node =
            |i: u32| format!("node d{i} created=90d cordoned={}m Ready=yes:KubeletReady@90d\n", 662 - 20 * i);
        let drained: String = (0..6).map(node).collect();
        check(
            &format!("{NODES}{drained}{moved}"),
            "info pigo/pay-0: 120 pods of 120 workloads (pay-0, pay-1, pay-10, pay-100, pay-101 and 115 more) started 11h ago, when a node was cordoned: d0 and 5 more",
        );
    }

    #[test]
    fn what_starts_together_every_day_is_none() {
        // A Deployment rolled out alone.
        check(
            "workload web/Deployment/api replicas=3/3 revisions=api-7d9c5bd4f7@61m\n\
             container web/api-7d9c5bd4f7-x2x9z/app pods=3 created=60m",
            "1 ok",
        );
        // Pods of CronJobs.
        let job = |name: &str| {
            format!(
                "workload ops/CronJob/{name} replicas=1/1\n\
                 container ops/{name}-29000000-x2x9z/app owner=CronJob/{name} created=60m\n"
            )
        };
        check(&["a", "b", "c", "d"].map(job).concat(), "1 ok");
        // Autoscalers that scale out in the morning.
        let scaled = |name: &str| {
            format!(
                "workload web/StatefulSet/{name} replicas=2/2\nhpa web/{name} target=StatefulSet/{name}\n\
                 container web/{name}-0/app\ncontainer web/{name}-1/app created=60m\n"
            )
        };
        check(&["a", "b", "c", "d"].map(scaled).concat(), "1 ok");
        // An application that is installed.
        let new = |name: &str| {
            pod(&format!("web/{name}"), "n1", "59m", "60m").replace("created=90d", "created=60m")
        };
        check(&["a", "b", "c", "d"].map(new).concat(), "1 ok");
        // DaemonSets on a node that joins.
        let set = |name: &str| {
            format!(
                "workload ops/DaemonSet/{name} replicas=1/1\n\
                 container ops/{name}-x2x9z/app owner=DaemonSet/{name} created=60m\npod ops/{name}-x2x9z node=n4\n"
            )
        };
        check(&format!("node n4 created=61m\n{}", ["a", "b", "c", "d"].map(set).concat()), "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            &format!("denied nodes\n{}", three("30d").replace(NODES, "")),
            "1 unknown: not allowed to list nodes in all namespaces",
        );
        check(
            &format!("denied events namespace=pigo\n{}", three("30d")),
            "1 unknown: not allowed to list events in namespace pigo",
        );
        check(
            &format!("denied events namespace=pigo\n{}", three("665m")),
            "info pigo/api: 3 pods of 3 workloads (api, cart, pay) started 11h ago, with new revisions: a rollout",
        );
    }
}
