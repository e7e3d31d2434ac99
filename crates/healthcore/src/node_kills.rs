//! Kills that a node tells of, given to the pods in which they happened.

use crate::model::{ContainerState, Event, Pod, Termination};
use crate::snapshot::Objects;
use crate::time::Timestamp;

/// Seconds by which the end of a container and the event of its node may differ: the one is read from the kernel's log,
/// the other noted by the runtime.
pub(crate) const SAME_KILL_S: f64 = 60.0;

/// Whether a node tells that the kernel killed a process for the limit of its container. The memory of the node itself
/// (`SystemOOM`, or a message without `Memory cgroup`) is another matter.
fn tells_of_a_container(event: &Event) -> bool {
    event.kind == "Node" && event.reason == "OOMKilling" && event.message.starts_with("Memory cgroup")
}

impl Objects {
    /// Makes the events in which a node tells of an OOM kill in a container (node-problem-detector writes them, without
    /// the name of a pod) events of that pod: a container on the node ended within a minute of it, OOMKilled, or as the
    /// only one there with exit code 137. What fits none stays with its node.
    ///
    /// For sources, which see all pods of a node at once; a part of a cluster may lack the right one.
    pub fn give_node_kills_to_pods(&mut self) {
        let Self { pods, events, .. } = self;
        let mut rest = Vec::new();
        for event in events.iter_mut().filter(|e| tells_of_a_container(e)) {
            let Some(pod) = event.last.and_then(|time| pod_killed(pods, &event.name, time)) else { continue };
            if event.count > 1 {
                // The time is known of the last only.
                rest.push(Event { count: event.count - 1, ..event.clone() });
            }
            event.namespace.clone_from(&pod.workload.namespace);
            event.kind = "Pod".into();
            event.name.clone_from(&pod.name);
            (event.count, event.first) = (1, event.last);
        }
        events.extend(rest);
    }
}

fn pod_killed<'a>(pods: &'a [Pod], node: &str, time: Timestamp) -> Option<&'a Pod> {
    let mut killed: Vec<(f64, &Pod)> = Vec::new();
    let mut sigkilled: Vec<(&Pod, &str)> = Vec::new();
    for pod in pods.iter().filter(|p| p.node.as_deref() == Some(node)) {
        for (container, end) in pod.containers.iter().flat_map(|c| ends(c).map(|end| (c.name.as_str(), end)))
        {
            let Some(apart) = end.finished.map(|t| t.seconds_since(time).abs()) else { continue };
            match (apart <= SAME_KILL_S, end.reason.as_str(), end.exit_code) {
                (true, "OOMKilled", _) => killed.push((apart, pod)),
                (true, _, Some(137)) => sigkilled.push((pod, container)),
                _ => {}
            }
        }
    }
    let nearest = killed.into_iter().min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.name.cmp(&b.1.name)));
    sigkilled.dedup_by_key(|(pod, container)| (&pod.name, *container));
    match (nearest, &sigkilled[..]) {
        (Some((_, pod)), _) => Some(pod),
        (None, [(pod, _)]) => Some(pod),
        _ => None,
    }
}

fn ends(container: &crate::model::Container) -> impl Iterator<Item = &Termination> {
    let now = match &container.state {
        Some(ContainerState::Terminated(end)) => Some(end),
        _ => None,
    };
    now.into_iter().chain(&container.last_termination)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    const KILLED: &str = "message=\"Memory cgroup out of memory: Killed process 2411 (java)\"";

    /// Events as `kind/name count`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let objects = Fixture::new(text).snapshot.objects;
        let events: Vec<String> = objects
            .events
            .iter()
            .map(|e| format!("{}/{}/{} {}", e.namespace, e.kind, e.name, e.count))
            .collect();
        assert_eq!(events.join(", "), expected, "{text}");
    }

    #[test]
    fn by_node_and_time() {
        let event = format!("\nevent default/Node/node-1 reason=OOMKilling last=1h {KILLED}");
        let with = |pods: &str| format!("{pods}{event}");
        check(&with("container web/api-0/app last=OOMKilled:137@3659s"), "web/Pod/api-0 1");
        check(&with("container web/api-0/app last=OOMKilled:137@3661s"), "default/Node/node-1 1");
        check(&with("container web/api-0/app last=Error:137@1h"), "web/Pod/api-0 1");
        check(&with("container web/api-0/app state=exited:137@1h"), "web/Pod/api-0 1");
        check(&with("container web/api-0/app last=Error:1@1h"), "default/Node/node-1 1");
        check(
            &with("container web/api-0/app last=OOMKilled:137@1h\npod web/api-0 node=node-2"),
            "default/Node/node-1 1",
        );
    }

    #[test]
    fn of_several_the_one_that_is_sure() {
        let two = |first: &str, second: &str| {
            format!(
                "container web/api-0/app last={first}\ncontainer web/db-0/app last={second}\n\
                 event default/Node/node-1 reason=OOMKilling last=1h {KILLED}"
            )
        };
        check(&two("Error:137@1h", "OOMKilled:137@3630s"), "web/Pod/db-0 1");
        check(&two("OOMKilled:137@3601s", "OOMKilled:137@3630s"), "web/Pod/api-0 1");
        check(&two("Error:137@1h", "Error:137@3630s"), "default/Node/node-1 1");
        check(&two("Error:137@1h", "Error:137@3661s"), "web/Pod/api-0 1");
    }

    #[test]
    fn kills_that_are_counted_together_are_parted() {
        check(
            &format!(
                "container web/api-0/app last=OOMKilled:137@1h\n\
                 event default/Node/node-1 reason=OOMKilling count=3 first=9h last=1h {KILLED}"
            ),
            "web/Pod/api-0 1, default/Node/node-1 2",
        );
    }

    #[test]
    fn the_memory_of_the_node_itself_stays_with_it() {
        check(
            "container web/api-0/app last=OOMKilled:137@1h\n\
             event default/Node/node-1 reason=SystemOOM last=1h\n\
             event default/Node/node-1 reason=OOMKilling last=1h message=\"Out of memory: Killed process 1 (java)\"",
            "default/Node/node-1 1, default/Node/node-1 1",
        );
    }
}
