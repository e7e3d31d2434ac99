//! `warning-events`: Kubernetes complains about an object.

use std::collections::BTreeMap;

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::{Event, ObjectKind};
use crate::need::Needs;
use crate::unit::Seconds;
use crate::view::{EventsOf, View};

/// Kubernetes complains about an object.
pub struct WarningEvents;

crate::params! {
    /// Parameters of `warning-events`.
    pub struct WarningEventsParams {
        /// How old an event may be.
        lookback: Seconds = Seconds(86400.0) => Seconds(60.0)..=Seconds::from_days(365.0),
        /// Events of one reason from which on it is a warning; fewer are info.
        warning_count: u32 = 20 => 1..=1_000_000,
        /// A warning needs an event at least this new.
        recent: Seconds = Seconds(3600.0) => Seconds(60.0)..=Seconds::from_days(365.0),
    }
}

/// Reasons that a check of its own reports, with the cause.
const REPORTED_ELSEWHERE: [&str; 12] = [
    "BackOff",
    "Failed",
    "FailedScheduling",
    "OOMKilling",
    "SystemOOM",
    "FailedGetResourceMetric",
    "FailedGetContainerResourceMetric",
    "FailedGetPodsMetric",
    "FailedGetExternalMetric",
    "FailedGetObjectMetric",
    "FailedComputeMetricsReplicas",
    "FailedGetScale",
];

/// Whether another check tells of it. Kills that a node tells of and that no pod is known of have no other place.
fn reported_elsewhere(event: &Event) -> bool {
    event.kind != "Node" && REPORTED_ELSEWHERE.contains(&event.reason.as_str())
}

impl Check for WarningEvents {
    const INFO: CheckInfo = CheckInfo {
        id: "warning-events",
        title: "Warning events",
        since: "0.1.0",
        checks: "Which Warning events there are about a workload, its pods, or another object.",
        why: "Many failures show here first: volumes that do not mount, probes that fail, webhooks that time out.",
        decides: "Events of type Warning within `lookback`, by reason. A warning when one reason has at least `warning-count` \
                  events and the last is newer than `recent`; else info. Reasons that a check of its own reports (BackOff, \
                  Failed, FailedScheduling, OOMKilling, FailedGet...Metric, FailedGetScale) are left to that check; \
                  kills for memory that a node tells of are told here, unless a container there ended at that time. With a \
                  history, events that Kubernetes has forgotten since count too; the evidence names the run that saw them.",
        remedy: "Read the message; it names the missing object or the failing probe.",
        false_alarms: "Readiness probes that fail a few times while a pod starts.",
        texts: &[
            ("events", "`{reason}` ({count} {count|event|events}): {message}"),
            ("more", "`{reason}` ({count} {count|event|events}): {message}; other reasons: {others}"),
            ("read", "read all events of the object"),
        ],
    };
    type Params = WarningEventsParams;
    type Subject<'a> = EventsOf<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Events).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &EventsOf<'_>, view: &View<'_>) -> Judgement {
        if let Some(why) = view.unavailable(ObjectKind::Events, &subject.reference.namespace) {
            return Err(why.clone());
        }
        let now = view.snapshot.taken_at;
        let new = |e: &Event, within: Seconds| {
            e.last.is_none_or(|t| t.age_at(now).is_some_and(|age| age <= within.get()))
        };
        let mut reasons: BTreeMap<&str, (u64, &Event)> = BTreeMap::new();
        for event in &subject.events {
            if !new(event, params.lookback) || reported_elsewhere(event) {
                continue;
            }
            // Oldest first, so the last of a reason stays.
            let entry = reasons.entry(&event.reason).or_insert((0, event));
            *entry = (entry.0 + u64::from(event.count.max(1)), event);
        }
        let most = reasons.iter().max_by_key(|(reason, (count, _))| (*count, std::cmp::Reverse(**reason)));
        let Some((reason, (count, last))) = most else { return Ok(Outcome::Ok) };
        let loud = *count >= u64::from(params.warning_count) && new(last, params.recent);
        let severity = if loud { Severity::Warning } else { Severity::Info };
        let others: Vec<String> =
            reasons.iter().filter(|(r, _)| r != &reason).map(|(r, (n, _))| format!("{r} ({n})")).collect();
        let message: String = last.message.chars().take(300).collect();
        let key = if others.is_empty() { "events" } else { "more" };
        let mut text = Text::new(key)
            .with("count", *count as usize)
            .with("reason", *reason)
            .with("message", message.as_str());
        if !others.is_empty() {
            text = text.with("others", others.join(", "));
        }
        let mut problem = Problem::new(severity, text)
            .measured("events", *count as usize, params.warning_count)
            .evidence("reason", *reason)
            .since(last.first);
        if let Some(time) = last.last {
            problem = problem.evidence("last", time);
        }
        if let Some(run) = last.seen {
            problem = problem.evidence("remembered-from", run);
        }
        if last.kind == "Pod" {
            problem = problem.pod(&last.name);
        }
        // Events about nodes and other objects without a namespace lie in any namespace.
        let object = format!("{}/{}", last.kind.to_lowercase(), last.name);
        let read = Advice::new(Text::new("read"));
        let advice = if last.namespace.is_empty() || last.kind == "Node" {
            read.command(format!("kubectl events -A --for {object}"), &[&last.kind, &last.name])
        } else {
            let command = format!("kubectl -n {} events --for {object}", last.namespace);
            read.command(command, &[&last.namespace, &last.kind, &last.name])
        };
        Ok(problem.advise(advice).into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("warning-events", text, expected);
    }

    #[test]
    fn many_and_recent_is_a_warning() {
        let told = |count: u32, last: &str| {
            let text = format!(
                "container web/api-0/app\nevent web/Pod/api-0 reason=FailedMount count={count} first=2d last={last} message=\"no such volume\""
            );
            fixture::told("warning-events", &text).join("; ")
        };
        assert_eq!(told(19, "1m"), "info web/api (api-0): `FailedMount` (19 events): no such volume");
        assert_eq!(told(20, "1h"), "warning web/api (api-0): `FailedMount` (20 events): no such volume");
        assert_eq!(told(20, "2h"), "info web/api (api-0): `FailedMount` (20 events): no such volume");
        assert_eq!(told(20, "25h"), "1 ok");
    }

    #[test]
    fn what_had_not_happened_yet_is_none() {
        let past =
            "window lookback=2d now=-2h\ncontainer web/api-0/app\nevent web/Pod/api-0 reason=FailedMount";
        check(&format!("{past} last=1h"), "1 ok");
        check(&format!("{past} last=3h message=m"), "info web/api (api-0): `FailedMount` (1 event): m");
    }

    #[test]
    fn what_is_remembered_says_from_when() {
        let text =
            "container web/api-0/app\nevent web/Pod/api-0 reason=FailedMount last=9h seen=8h message=m";
        check(text, "info web/api (api-0): `FailedMount` (1 event): m");
        let named = |text: &str| {
            let evidence = fixture::findings("warning-events", text).remove(0).evidence;
            evidence.into_iter().find(|e| e.name == "remembered-from").map(|e| fixture::show(&e.value))
        };
        assert_eq!(named(text), Some("8h ago".to_owned()));
        assert_eq!(named(&text.replace("seen=8h ", "")), None);
    }

    #[test]
    fn reasons_are_counted_over_pods() {
        check(
            "container web/api-0/app pods=2\n\
             event web/Pod/api-0 reason=Unhealthy count=3 last=20m message=old\n\
             event web/Pod/api-1 reason=Unhealthy count=4 last=10m message=new\n\
             event web/StatefulSet/api reason=FailedCreate last=30m",
            "info web/api (api-1): `Unhealthy` (7 events): new; other reasons: FailedCreate (1)",
        );
    }

    #[test]
    fn what_another_check_tells_is_left_to_it() {
        check(
            "container web/api-0/app\n\
             event web/Pod/api-0 reason=BackOff count=900\n\
             event web/Pod/api-0 reason=Failed count=900\n\
             event web/Pod/api-0 reason=FailedScheduling count=900\n\
             event web/Pod/api-0 reason=OOMKilling",
            "1 ok",
        );
        let node = "event default/Node/node-1 reason=SystemOOM last=2m message=\"victim process: java\"\n\
                    event default/Node/node-1 reason=OOMKilling message=\"Memory cgroup out of memory: java\"";
        check(
            node,
            "info default/node-1: `OOMKilling` (1 event): Memory cgroup out of memory: java; other reasons: SystemOOM (1)",
        );
        check(
            &format!("container web/api-0/app last=OOMKilled:137@10s\n{node}"),
            "info default/node-1: `SystemOOM` (1 event): victim process: java
             1 ok",
        );
        assert_eq!(
            advice("warning-events", node),
            ["read all events of the object [kubectl events -A --for node/node-1]"]
        );
    }

    #[test]
    fn events_of_what_a_workload_made_are_its_own() {
        check(
            "workload web/Deployment/api revisions=api-7d9c5bd4f7\n\
             workload web/CronJob/dump revisions=dump-29000000\n\
             event web/ReplicaSet/api-7d9c5bd4f7 reason=FailedCreate message=quota\n\
             event web/Job/dump-29000000 reason=BackoffLimitExceeded message=failed",
            "info web/dump: `BackoffLimitExceeded` (1 event): failed
             info web/api: `FailedCreate` (1 event): quota",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "denied events namespace=web\ncontainer web/api-0/app",
            "1 unknown: not allowed to list events in namespace web",
        );
    }
}
