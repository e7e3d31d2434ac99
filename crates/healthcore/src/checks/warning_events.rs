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
        lookback: Seconds = Seconds(86400.0),
        /// Events of one reason from which on it is a warning; fewer are info.
        warning_count: u32 = 20,
        /// A warning needs an event at least this new.
        recent: Seconds = Seconds(3600.0),
    }
}

/// Reasons that a check of its own reports, with the cause.
const REPORTED_ELSEWHERE: [&str; 11] = [
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
];

impl Check for WarningEvents {
    const INFO: CheckInfo = CheckInfo {
        id: "warning-events",
        title: "Warning events",
        since: "0.1.0",
        checks: "Which Warning events there are about a workload, its pods, or another object.",
        why: "Many failures show here first: volumes that do not mount, probes that fail, webhooks that time out.",
        decides: "Events of type Warning within `lookback`, by reason. A warning when one reason has at least `warning-count` \
                  events and the last is newer than `recent`; else info. Reasons that a check of its own reports (BackOff, \
                  Failed, FailedScheduling, OOMKilling, FailedGet...Metric) are left to that check.",
        remedy: "Read the message; it names the missing object or the failing probe.",
        false_alarms: "Readiness probes that fail a few times while a pod starts.",
        texts: &[
            ("events", "`{reason}` (events: {count}): {message}"),
            ("more", "`{reason}` (events: {count}): {message}; other reasons: {others}"),
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
        let new = |e: &Event, within: Seconds| e.last.is_none_or(|t| now.seconds_since(t) <= within.get());
        let mut reasons: BTreeMap<&str, (u64, &Event)> = BTreeMap::new();
        for event in &subject.events {
            if !new(event, params.lookback) || REPORTED_ELSEWHERE.contains(&event.reason.as_str()) {
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
        if last.kind == "Pod" {
            problem = problem.pod(&last.name);
        }
        let command =
            format!("kubectl -n {} events --for {}/{}", last.namespace, last.kind.to_lowercase(), last.name);
        let advice =
            Advice::new(Text::new("read")).command(command, &[&last.namespace, &last.kind, &last.name]);
        Ok(problem.advise(advice).into())
    }
}
