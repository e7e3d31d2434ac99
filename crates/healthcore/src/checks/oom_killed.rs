//! `oom-killed`: the kernel killed a container for its memory.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::{ContainerRole, ContainerState, Event, ObjectKind, Termination};
use crate::need::Needs;
use crate::node_kills::SAME_KILL_S;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::{Bytes, Ratio, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// Longest time from the last failure of a probe to the SIGKILL that it leads to: the usual grace period of 30 s, and those that
/// people set. Unit: seconds.
const STOP_S: f64 = 600.0;

/// The kernel killed a container for its memory.
pub struct OomKilled;

crate::params! {
    /// Parameters of `oom-killed`.
    pub struct OomKilledParams {
        /// A kill within this time is critical, an older one within the look-back a warning.
        recent: Seconds = Seconds(86400.0) => Seconds(60.0)..=Seconds::from_days(365.0),
        /// Share of the limit that memory must have reached before a plain exit code 137 counts as an OOM kill.
        near_limit: Ratio = Ratio(0.90) => Ratio(0.01)..=Ratio(1.0),
        /// Advised limit as a multiple of the largest use seen (or of the limit, when that was reached).
        limit_factor: f64 = 1.3 => 1.0..=10.0,
    }
}

impl Check for OomKilled {
    const INFO: CheckInfo = CheckInfo {
        id: "oom-killed",
        title: "Killed for its memory",
        since: "0.1.0",
        checks: "Whether a container was killed by the kernel because it reached its memory limit.",
        why: "Every request in flight is lost, and the next kill comes when memory is full again.",
        decides: "Several sources are fused, and one kill that many of them tell counts once: status of the last run (reason \
                  OOMKilled), the metric `oom-events`, events of the pod (OOMKilling) and those of its node at the time of its \
                  end, restarts with memory near the limit just before. Exit code 137 alone is any SIGKILL; it counts only \
                  when memory had reached `near-limit` of the limit before, or with such an event. Where neither the metric nor memory \
                  before the end is known, it is unknown, unless a failed liveness probe at that time or the deletion of the pod explains it. \
                  A status without a time (kube-state-metrics has none) may be older than the look-back: the restarts tell; where the server \
                  did not answer for them it is unknown, and where nobody counts them it is not said when. Within `recent`: critical; older, but within the look-back: warning. \
                  Which limit a pod had that is gone nobody remembers: where every kill is older than every living pod, none of them is of the same \
                  ReplicaSet, and memory before the kills was below `near-limit` of the limit of now, the limit has been raised as far as is \
                  known, and it is info. Not so for pods of a Job, which are new each time.",
        remedy: "Fix the leak when `memory-leak` names the container too; otherwise raise the limit. For a JVM compare heap and \
                 limit.",
        false_alarms: "A child process that is killed while the container lives on is counted by the metric; it is a kill all \
                       the same. A limit that was raised without a new pod (resized in place) is not told from one that always was.",
        texts: &[
            ("killed", "{count} OOM {count|kill|kills}, the last at {last} (limit {limit})"),
            (
                "killed-before",
                "{count} OOM {count|kill|kills}, the last at {last}, none since its pods were replaced: {before} were in use before it, and the limit is {limit} now",
            ),
            ("killed-no-time", "{count} OOM {count|kill|kills}, when is not known (limit {limit})"),
            ("raise-limit", "raise the memory limit from {from} to {to}, unless the container leaks"),
            // `agreement` gives it, where that check finds so.
            (
                "jvm",
                "its JVM may fill a heap of {heap}, too much for a limit of {limit} with what it needs beside: see `jvm-heap-headroom`",
            ),
            (
                "raised",
                "nothing to do when the limit has been raised since; otherwise it asks for much memory at once: look at what it does",
            ),
            ("inspect", "look at what the container did before it was killed"),
            (
                "inspect-gone",
                "look in a log store at what the container did before it was killed: pod {pod} is gone, and its log with it",
            ),
        ],
    };
    type Params = OomKilledParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .optional(Metric::OomEvents)
            .optional(Metric::Restarts)
            .optional(Metric::MemoryWorkingSet)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods)
            .objects(ObjectKind::Events);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        let mut kills = Vec::new();
        let mut known = false;
        let mut unjudged = None;
        for member in container.members.iter() {
            let found = kills_of(params, member, view);
            known |= found.known.is_ok();
            unjudged = unjudged.or_else(|| found.unjudged.clone());
            if found.count > 0 {
                kills.push((member, found));
            }
        }
        if kills.is_empty() {
            let unseen = unjudged
                .or_else(|| container.unmeasured(view, |member| kills_of(params, member, view).known));
            return match (unseen, known, container.members.is_empty()) {
                (Some(why), ..) => Err(why),
                (None, true, _) => Ok(Outcome::Ok),
                (None, false, false) => Err(state_unknown()),
                (None, false, true) => Ok(Outcome::NotApplicable),
            };
        }
        let count: u64 = kills.iter().map(|(_, k)| k.count).sum();
        let last = kills.iter().filter_map(|(_, k)| k.last).max();
        let Some((worst, _)) =
            kills.iter().max_by_key(|(m, k)| (k.last, k.count, std::cmp::Reverse(m.pod_name().to_owned())))
        else {
            return Ok(Outcome::Ok);
        };
        let recent = last.is_some_and(|t| view.snapshot.taken_at.seconds_since(t) <= params.recent.get());
        let replaced = are_replaced(params, container, &kills);
        let severity = match (replaced.is_some(), recent) {
            (true, _) => Severity::Info,
            (false, true) => Severity::Critical,
            (false, false) => Severity::Warning,
        };
        let limit = worst.container.map_or_else(|| container.resources(), |c| c.resources).memory_limit;
        let limit_value = limit.map_or_else(|| phrase("none").into(), Value::from);
        let text = match (last, replaced) {
            (Some(last), Some(before)) => {
                Text::new("killed-before").with("last", last).with("before", Bytes(before))
            }
            (Some(last), None) => Text::new("killed").with("last", last),
            (None, _) => Text::new("killed-no-time"),
        };
        let text = text.with("count", count as usize).with("limit", limit_value);
        let mut problem = Problem::new(severity, text)
            .evidence("kills", count as usize)
            .evidence("pods", kills.len())
            .pod(worst.pod_name())
            .since(kills.iter().filter_map(|(_, k)| k.first).min());
        let before = kills.iter().filter_map(|(_, k)| k.before).max_by(f64::total_cmp);
        if let Some(before) = before {
            problem = problem.evidence("memory-before", Bytes(before));
        }
        let sources: std::collections::BTreeSet<&str> =
            kills.iter().flat_map(|(_, k)| k.sources.iter().copied()).collect();
        problem = problem
            .evidence("told-by", sources.into_iter().map(|told| phrase(told).into()).collect::<Vec<Value>>());
        if let Some(run) = kills.iter().filter_map(|(_, k)| k.remembered).max() {
            problem = problem.evidence("remembered-from", run);
        }
        if replaced.is_some() {
            problem = problem.advise(Advice::new(Text::new("raised")));
        } else if let Some(limit) = limit.filter(|l| l.get() > 0.0) {
            let peak = before.unwrap_or_default().max(limit.get());
            let to = measure::round_memory(Bytes(peak * params.limit_factor));
            let advice =
                Advice::new(Text::new("raise-limit")).change("memory.limit", Some(limit.into()), to.into());
            problem =
                problem.advise(measure::set_resource(advice, container, "limits=memory", &to.to_string()));
        }
        let inspect = inspect(container, worst, last);
        problem = problem.advise(inspect);
        Ok(problem.chart(ChartSeries::of_member(view, container, worst, Metric::MemoryWorkingSet)).into())
    }
}

/// How to read the log of the run that was killed.
fn inspect(container: &WorkloadContainer<'_>, killed: &Member<'_>, last: Option<Timestamp>) -> Advice {
    let (id, pod) = (&container.workload.id, killed.pod_name());
    let Some(now) = killed.container.filter(|_| last.is_none_or(|last| !is_newer(killed, last))) else {
        return Advice::new(Text::new("inspect-gone").with("pod", pod));
    };
    // One that has ended, and was not started again, has no other run.
    let ended = matches!(now.state, Some(ContainerState::Terminated(_)));
    let previous = if ended { "" } else { " --previous" };
    let command =
        format!("kubectl -n {} logs {pod} -c {}{previous} --tail=100", id.namespace, container.name);
    Advice::new(Text::new("inspect")).command(command, &[&id.namespace, pod, &container.name])
}

/// Memory before the kills, in bytes, where all of them were in pods that others with more room have replaced.
fn are_replaced(
    params: &OomKilledParams,
    container: &WorkloadContainer<'_>,
    kills: &[(&Member<'_>, Kills)],
) -> Option<f64> {
    let room = container.resources().memory_limit?.get() * params.near_limit.get();
    if container.workload.id.runs_to_completion() {
        return None;
    }
    let before = |(member, kills): &(&Member<'_>, Kills)| {
        let replaced = kills.last.is_some_and(|last| is_replaced(container, member, last));
        kills.before.filter(|before| replaced && *before < room)
    };
    kills.iter().map(before).collect::<Option<Vec<f64>>>()?.into_iter().max_by(f64::total_cmp)
}

/// Whether every living pod was made after a kill, and by another ReplicaSet where there are such: those of one have one limit.
fn is_replaced(container: &WorkloadContainer<'_>, killed: &Member<'_>, last: Timestamp) -> bool {
    let revision = |member: &Member<'_>| {
        let (stem, _) = member.pod_name().rsplit_once('-')?;
        container.workload.revisions.iter().position(|r| r.name == stem)
    };
    let own = revision(killed);
    container.live().all(|member| is_newer(member, last) && (own.is_none() || revision(member) != own))
}

/// Whether a pod was made after a time, as one of a StatefulSet that bears the name of the one before it.
fn is_newer(member: &Member<'_>, than: Timestamp) -> bool {
    member.began().is_some_and(|began| began > than)
}

/// What is known of the kills of one container of one pod.
struct Kills {
    /// Whether a kill would have been told, by one source or another; else why not.
    known: Result<(), Missing>,
    /// What is missing to tell whether a SIGKILL was for memory, or when.
    unjudged: Option<Missing>,
    count: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Working set at the last sample before a kill, in bytes.
    before: Option<f64>,
    sources: Vec<&'static str>,
    /// The earlier run that saw an event which Kubernetes has forgotten since.
    remembered: Option<Timestamp>,
}

fn kills_of(params: &OomKilledParams, member: &Member<'_>, view: &View<'_>) -> Kills {
    let mut kills = Kills {
        known: known(member, view),
        unjudged: None,
        count: 0,
        first: None,
        last: None,
        before: None,
        sources: Vec::new(),
        remembered: None,
    };
    let window = &view.snapshot.window;
    let inside = |t: Timestamp| t > window.start() && t.age_at(view.snapshot.taken_at).is_some();
    let memory = member.series(view, Metric::MemoryWorkingSet).ok();
    let restarts = view.series(Metric::Restarts, &member.key);
    let before_index = |index: usize| {
        // The last sample before the kill may be that of the step in which it fell.
        let from = index.saturating_sub(3);
        memory.and_then(|m| m.slice(from, index + 1).values().max_by(f64::total_cmp))
    };
    let mut times: Vec<Timestamp> = Vec::new();

    if let Ok(events) = view.series(Metric::OomEvents, &member.key) {
        if let Some(events) = events {
            for (index, n) in events.iter() {
                kills.count += n.round() as u64;
                times.push(window.at(index));
                kills.before = larger(kills.before, before_index(index));
            }
        }
        if kills.count > 0 {
            kills.sources.push("told-by-oom-events");
        }
    }

    // The kubelet keeps the last end only.
    let ends = member.container.into_iter().flat_map(|c| {
        let now = match &c.state {
            Some(ContainerState::Terminated(t)) => Some(t),
            _ => None,
        };
        now.into_iter().chain(&c.last_termination)
    });
    let latest_restart = restarts
        .as_ref()
        .ok()
        .copied()
        .flatten()
        .and_then(|r| r.iter().next_back().map(|(i, _)| window.at(i)));
    for end in ends {
        let finished = end.finished.or(latest_restart);
        let before = finished.and_then(|t| window.index_of(t)).and_then(before_index);
        let told = finished.is_some_and(|t| event_at(member, view, t));
        if finished.is_some_and(|t| !inside(t)) {
            continue;
        }
        // kube-state-metrics tells the reason of the last end for ever, without a time.
        if finished.is_none() && member.container.and_then(|c| c.restarts).unwrap_or(0) == 0 {
            continue;
        }
        // Whether it was within the look-back, only the restarts tell.
        if finished.is_none() && matches!(restarts, Ok(None)) {
            continue;
        }
        if !is_oom(params, member, end, before, told) {
            if before.is_none() && !is_explained(member, view, finished) {
                kills.unjudged = kills.unjudged.or_else(|| unjudged(member, view, end));
            }
            continue;
        }
        if let Some(why) = view.unanswered(Metric::Restarts, &member.key).filter(|_| finished.is_none()) {
            kills.unjudged = Some(why);
            continue;
        }
        let by_reason = end.reason == "OOMKilled";
        kills.sources.push(match (by_reason, told) {
            (true, _) => "told-by-status",
            (false, true) => "told-by-exit-code-and-event",
            (false, false) => "told-by-exit-code-and-memory",
        });
        kills.before = larger(kills.before, before);
        let close = |t: &Timestamp| {
            finished.is_none_or(|f| f.seconds_since(*t).abs() <= 2.0 * f64::from(window.step_s()))
        };
        if !times.iter().any(close) {
            kills.count += 1;
            times.extend(finished);
        }
    }

    // Restarts whose memory had just come to the limit: each is a kill that no one else may have told.
    let limit = member.container.and_then(|c| c.resources.memory_limit).map_or(0.0, Bytes::get);
    if let (Ok(Some(restarts)), true, true) =
        (view.series(Metric::Restarts, &member.key), limit > 0.0, !kills.sources.is_empty())
    {
        for (index, _) in restarts.iter() {
            let near = before_index(index).filter(|b| *b >= params.near_limit.get() * limit);
            let told = times
                .iter()
                .any(|t| t.seconds_since(window.at(index)).abs() <= 2.0 * f64::from(window.step_s()));
            if let (Some(before), false) = (near, told) {
                kills.count += 1;
                kills.before = larger(kills.before, Some(before));
                kills.sources.push("told-by-restart-and-memory");
                times.push(window.at(index));
            }
        }
    }

    for event in &view.snapshot.objects.events {
        if tells_of(member, event)
            && event.last.is_none_or(inside)
            && means(member, event, !kills.sources.is_empty())
        {
            kills.known = Ok(());
            kills.sources.push("told-by-event");
            kills.count = kills.count.max(u64::from(event.count.max(1)));
            times.extend(event.last);
            kills.remembered = kills.remembered.max(event.seen);
        }
    }
    kills.first = times.iter().min().copied();
    kills.last = times.iter().max().copied();
    kills
}

fn state_unknown() -> Missing {
    Missing::NotReported { field: Field::ContainerState }
}

/// What is missing to tell whether an end was an OOM kill, when memory before it is not known. None for what is no plain
/// SIGKILL, where there is no limit that memory could have come near to, and where a metric counts OOM kills.
fn unjudged(member: &Member<'_>, view: &View<'_>, end: &Termination) -> Option<Missing> {
    let limited = member.container.is_some_and(|c| c.resources.memory_limit.is_some_and(|l| l.get() > 0.0));
    let memory = view.series(Metric::MemoryWorkingSet, &member.key);
    let counted = match view.series(Metric::OomEvents, &member.key) {
        Ok(Some(_)) => true,
        // No sample is no kill only where the same exporter tells of the container.
        Ok(None) => matches!(memory, Ok(Some(_))),
        Err(_) => false,
    };
    if end.reason != "Error" || end.exit_code != Some(137) || !limited || counted {
        return None;
    }
    Some(memory.err().unwrap_or(Missing::NoSamples { metric: Metric::MemoryWorkingSet }))
}

/// Whether something else than memory explains a SIGKILL: the pod is being deleted, or a probe failed at that time after which
/// the kubelet kills the container.
fn is_explained(member: &Member<'_>, view: &View<'_>, finished: Option<Timestamp>) -> bool {
    let failed = |event: &Event, time: Timestamp| {
        event.kind == "Pod"
            && event.namespace == *member.key.namespace
            && event.name == *member.key.name
            && event.reason == "Unhealthy"
            && ["Liveness", "Startup"].iter().any(|probe| event.message.starts_with(probe))
            && means(member, event, false)
            && event.first.or(event.last).is_some_and(|first| first <= time)
            && event.last.is_some_and(|last| time.seconds_since(last) <= STOP_S)
    };
    member.pod.is_some_and(|pod| pod.deleting)
        || finished.is_some_and(|time| view.snapshot.objects.events.iter().any(|e| failed(e, time)))
}

/// Whether the events metric or the status would tell of a kill.
///
/// No sample of the metric is no kill only where the same exporter tells of the container at all. The status keeps the
/// last end only; that is taken for all where nobody exports the metric, but not where its answer was cut.
fn known(member: &Member<'_>, view: &View<'_>) -> Result<(), Missing> {
    let events = view.series(Metric::OomEvents, &member.key);
    let scraped = !matches!(
        view.series(Metric::MemoryWorkingSet, &member.key),
        Err(Missing::NoSamples { .. } | Missing::PartialAnswer { .. })
    );
    let status = member.container.filter(|c| c.state.is_some() || c.restarts.is_some());
    match events {
        Ok(Some(_)) => Ok(()),
        Ok(None) if scraped => Ok(()),
        Err(why @ Missing::PartialAnswer { .. }) => {
            let one_end_at_most = status.is_some_and(|c| c.restarts.is_some_and(|n| n <= 1));
            if one_end_at_most { Ok(()) } else { Err(why) }
        }
        _ if status.is_some() => Ok(()),
        Err(why @ (Missing::Thinned | Missing::QueryFailed { .. })) => Err(why),
        _ => Err(state_unknown()),
    }
}

/// Whether an event tells of a kill in the member's pod. Those of nodes have been given to their pods before.
fn tells_of(member: &Member<'_>, event: &Event) -> bool {
    event.kind == "Pod"
        && event.namespace == *member.key.namespace
        && event.name == *member.key.name
        && matches!(event.reason.as_str(), "OOMKilling" | "SystemOOM")
}

fn event_at(member: &Member<'_>, view: &View<'_>, time: Timestamp) -> bool {
    let near = |e: &Event| e.last.is_some_and(|t| t.seconds_since(time).abs() <= SAME_KILL_S);
    view.snapshot.objects.events.iter().any(|e| tells_of(member, e) && near(e))
}

/// Whether an event about a pod means this container: it is the only one, is named, or was killed as others tell too.
fn means(member: &Member<'_>, event: &Event, killed: bool) -> bool {
    let containers =
        member.pod.map_or(2, |p| p.containers.iter().filter(|c| c.role != ContainerRole::Init).count());
    containers <= 1 || killed || event.message.contains(&*member.key.container)
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).max_by(f64::total_cmp)
}

/// Whether an end was an OOM kill: by its reason, or by SIGKILL with memory near the limit or as an event tells.
fn is_oom(
    params: &OomKilledParams,
    member: &Member<'_>,
    end: &Termination,
    before: Option<f64>,
    told: bool,
) -> bool {
    if end.reason == "OOMKilled" {
        return true;
    }
    let limit = member.container.and_then(|c| c.resources.memory_limit).map_or(0.0, Bytes::get);
    let near = limit > 0.0 && before.is_some_and(|b| b >= params.near_limit.get() * limit);
    end.exit_code == Some(137) && (near || told)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, findings, show};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("oom-killed", text, expected);
    }

    fn evidence(text: &str, name: &str) -> String {
        let found = findings("oom-killed", text);
        found[0].evidence.iter().find(|e| e.name == name).map_or("none".into(), |e| show(&e.value))
    }

    /// The status, the metric and an event tell of one kill.
    const TOLD_THREE_TIMES: &str = "window step=5m\n\
        container web/api-0/app limit=512Mi restarts=1 last=OOMKilled:137@1h  memory: 500x11 508 100x12  oom: _x11 1 _x11  restarts: _x11 1 _x11\n\
        event web/Pod/api-0 reason=OOMKilling last=1h";

    #[test]
    fn one_kill_told_by_many_counts_once() {
        check(TOLD_THREE_TIMES, "critical web/api/app (api-0): 1 OOM kill, the last at 1h ago (limit 512Mi)");
        assert_eq!(evidence(TOLD_THREE_TIMES, "told-by"), "event, oom-events, status");
        assert_eq!(evidence(TOLD_THREE_TIMES, "memory-before"), "508Mi");
    }

    /// A status that kube-state-metrics tells has no time.
    #[test]
    fn a_kill_without_a_time_may_be_older_than_the_look_back() {
        let of = |lost: &str| {
            format!(
                "{lost}\norigin kube-state-metrics\ncontainer web/api-0/app limit=512Mi restarts=3 last=OOMKilled  memory: 100x24"
            )
        };
        check(&of(""), "1 ok");
        check(&of("failed restarts"), "1 unknown: the query for restarts failed");
        check(&of("partial restarts oom"), "1 unknown: not in the partial answer for restarts");
        check(
            &of("absent restarts"),
            "warning web/api/app (api-0): 1 OOM kill, when is not known (limit 512Mi)",
        );
    }

    #[test]
    fn a_partial_answer_tells_of_the_kills_in_it_alone() {
        let partial = |restarts: u32| {
            let text = format!(
                "partial oom\ncontainer web/api-0/app limit=512Mi restarts={restarts} last=Error:1@5h  memory: 100x24"
            );
            fixture::told("oom-killed", &text).join("; ")
        };
        assert_eq!(partial(2), "1 unknown: not in the partial answer for oom-events");
        assert_eq!(partial(1), "1 ok", "the status tells of the only end");
        check(
            &format!("partial oom\n{TOLD_THREE_TIMES}"),
            "critical web/api/app (api-0): 1 OOM kill, the last at 1h ago (limit 512Mi)",
        );
    }

    #[test]
    fn silence_of_an_exporter_that_does_not_see_the_container_is_no_health() {
        let text = "container web/api-0/app limit=512Mi state=unknown restarts=unknown";
        check(text, "1 unknown: state of the container is not reported");
        check(&format!("{text}  memory: 100x24"), "1 ok");
    }

    #[test]
    fn an_older_kill_is_a_warning_and_one_before_the_window_is_none() {
        let killed = |ago: &str| {
            let text = format!(
                "window lookback=7d step=1h\ncontainer web/api-0/app limit=512Mi restarts=1 last=OOMKilled:137@{ago}"
            );
            fixture::told("oom-killed", &text).join("; ")
        };
        assert!(killed("24h").starts_with("critical web/api/app"), "{}", killed("24h"));
        assert!(killed("25h").starts_with("warning web/api/app"), "{}", killed("25h"));
        assert_eq!(killed("8d"), "1 ok");
    }

    #[test]
    fn what_had_not_happened_yet_is_none() {
        // A run of two hours ago, and the status of now.
        let past = "window step=5m lookback=2d now=-2h\ncontainer web/api-0/app limit=512Mi restarts=1";
        check(&format!("{past} last=OOMKilled:137@1h"), "1 ok");
        check(&format!("{past}\nevent web/Pod/api-0 reason=OOMKilling last=1h"), "1 ok");
        check(
            &format!("{past} last=OOMKilled:137@3h"),
            "critical web/api/app (api-0): 1 OOM kill, the last at 3h ago (limit 512Mi)",
        );
    }

    #[test]
    fn a_plain_sigkill_is_no_oom() {
        let killed = |memory: &str| {
            let text = format!(
                "window step=5m\ncontainer web/api-0/app limit=1000Mi restarts=1 last=Error:137@30m  memory: {memory}x20  restarts: _x18 1 _x5"
            );
            fixture::told("oom-killed", &text).join("; ")
        };
        assert_eq!(killed("899"), "1 ok");
        assert!(killed("900").starts_with("critical web/api/app (api-0): 1 OOM kill"), "{}", killed("900"));
        let text = "window step=5m\ncontainer web/api-0/app limit=1000Mi restarts=1 last=Error:137@30m  memory: 950x20";
        assert_eq!(evidence(text, "told-by"), "exit code 137 with memory near the limit");
        // Without a limit nothing is near it.
        check(
            "window step=5m\ncontainer web/api-0/app restarts=1 last=Error:137@30m  memory: 950x20",
            "1 ok",
        );
    }

    #[test]
    fn a_sigkill_that_cannot_be_judged_is_unknown() {
        let killed = |limit: &str, end: &str, more: &str| {
            let text =
                format!("window step=5m\n{more}\ncontainer web/api-0/app {limit} restarts=1 last={end}");
            fixture::told("oom-killed", &text).join("; ")
        };
        let (limit, end, blind) = ("limit=512Mi", "Error:137@1h", "absent memory oom");
        assert_eq!(killed(limit, end, blind), "1 unknown: the server has no series of memory-working-set");
        assert_eq!(killed(limit, end, ""), "1 unknown: no samples of memory-working-set");
        assert_eq!(killed(limit, "Error:1@1h", blind), "1 ok", "no SIGKILL");
        assert_eq!(killed(limit, "ContainerStatusUnknown:137@1h", blind), "1 ok", "nobody knows its end");
        assert_eq!(killed("", end, blind), "1 ok", "no limit to reach");
        assert_eq!(killed(limit, "Error:137@8d", blind), "1 ok", "before the window");
        let event = |text: &str| format!("{blind}\nevent web/Pod/api-0 {text}");
        assert!(killed(limit, end, &event("reason=OOMKilling last=1h")).starts_with("critical"));
        let probe = |probe: &str, times: &str| {
            let text = format!("reason=Unhealthy {times} message=\"{probe} probe failed: HTTP 503\"");
            killed(limit, end, &event(&text))
        };
        assert_eq!(probe("Liveness", "first=62m last=61m"), "1 ok", "the kubelet killed it");
        assert_eq!(probe("Liveness", "first=62m last=5m"), "1 ok", "and it failed again later");
        assert!(probe("Readiness", "first=62m last=61m").starts_with("1 unknown"), "which kills nothing");
        assert!(probe("Liveness", "first=59m last=58m").starts_with("1 unknown"), "that was later");
        assert!(probe("Liveness", "first=3h last=2h").starts_with("1 unknown"), "that was before");
        assert_eq!(killed(limit, end, &format!("{blind}\npod web/api-0 deleting")), "1 ok", "being deleted");
    }

    #[test]
    fn an_event_names_the_container_it_means() {
        check(
            "window step=5m\n\
             container web/api-0/app limit=512Mi\n\
             container web/api-0/proxy limit=64Mi\n\
             event web/Pod/api-0 reason=OOMKilling last=1h message=\"killed proxy\"",
            "critical web/api/proxy (api-0): 1 OOM kill, the last at 1h ago (limit 64Mi)
             1 ok",
        );
    }

    /// node-problem-detector names the node and the process, and no pod.
    #[test]
    fn an_event_of_the_node_tells_a_sigkill_apart() {
        let node = "event default/Node/node-1 reason=OOMKilling last=31m message=\"Memory cgroup out of memory: Killed process 2411 (java)\"";
        let pod = "window step=5m\n\
                   container web/api-0/app limit=1000Mi restarts=1 last=Error:137@30m  memory: 300x20\n\
                   container web/api-0/proxy limit=64Mi";
        check(pod, "2 ok");
        let text = format!("{pod}\n{node}");
        check(
            &text,
            "critical web/api/app (api-0): 1 OOM kill, the last at 30m ago (limit 1000Mi)
             1 ok",
        );
        assert_eq!(evidence(&text, "told-by"), "event, exit code 137 at the time of an event");
    }

    #[test]
    fn pods_that_are_gone_count() {
        check(
            "window step=1h\n\
             past web/api-6c6c6c6c6c-zzzzz/app  oom: _x20 1\n\
             container web/api-7d9c5bd4f7-x2x9z/app limit=512Mi  memory: 100x24",
            "critical web/api/app (api-6c6c6c6c6c-zzzzz): 1 OOM kill, the last at 4h ago (limit 512Mi)",
        );
    }

    /// Killed at 1Gi, and 2Gi since: the status of the day before, with the advice followed.
    #[test]
    fn a_kill_before_the_limit_was_raised() {
        let of = |old: &str, new: &str, revisions: &str, more: &str| {
            format!(
                "window step=1h\nworkload web/{revisions}\n\
                 past web/{old}/app  memory: 900x18 1000 oom: _x19 1\n\
                 container web/{new}/app limit=2Gi created=3h  memory: _x20 700x3\n\
                 pod web/{new} created=3h\n{more}"
            )
        };
        let (old, new) = ("api-6c6c6c6c6c-zzzzz", "api-7d9c5bd4f7-x2x9z");
        let both = "Deployment/api revisions=api-6c6c6c6c6c,api-7d9c5bd4f7";
        let raised = of(old, new, both, "");
        check(
            &raised,
            "info web/api/app (api-6c6c6c6c6c-zzzzz): 1 OOM kill, the last at 4h ago, none since its pods were replaced: \
             1000Mi were in use before it, and the limit is 2Gi now",
        );
        assert_eq!(
            fixture::advice("oom-killed", &raised),
            [
                "nothing to do when the limit has been raised since; otherwise it asks for much memory at once: look at what it does",
                "look in a log store at what the container did before it was killed: pod api-6c6c6c6c6c-zzzzz is gone, and its log with it",
            ]
        );
        let told = |text: &str| fixture::told("oom-killed", text).join("; ");
        assert!(
            told(&raised.replace("limit=2Gi", "limit=1100Mi")).starts_with("critical"),
            "as near as before"
        );
        let same = told(&of("api-7d9c5bd4f7-zzzzz", new, both, ""));
        assert!(same.starts_with("critical"), "one ReplicaSet has one limit: {same}");
        let older = "container web/api-7d9c5bd4f7-older/app limit=2Gi";
        assert!(told(&of(old, new, both, older)).starts_with("critical"), "a pod of then has that limit");
        assert!(told(&raised.replace("memory: 900x18 1000 oom", "oom")).starts_with("critical"), "not known");
        let again = "event web/Pod/api-7d9c5bd4f7-x2x9z reason=OOMKilling last=1h";
        assert!(told(&of(old, new, both, again)).starts_with("critical"), "and once more");
        let runs = "CronJob/load revisions=load-29918880,load-29918940";
        let job = of("load-29918880-zzzzz", "load-29918940-x2x9z", runs, "");
        let job = job.replace("limit=2Gi", "owner=CronJob/load limit=2Gi");
        assert!(told(&job).starts_with("critical"), "each run has pods of its own: {}", told(&job));
    }

    /// The pod of a StatefulSet bears the name of the one before it.
    #[test]
    fn a_kill_in_the_pod_before_of_a_stateful_set() {
        let of = |created: &str, limit: &str| {
            format!(
                "window step=1h\ncontainer web/api-0/app limit={limit} state=running@{created}  memory: 900x18 1000 700x3 oom: _x19 1 _x3\n\
                 pod web/api-0 created={created}"
            )
        };
        check(
            &of("3h", "2Gi"),
            "info web/api/app (api-0): 1 OOM kill, the last at 4h ago, none since its pods were replaced: \
             1000Mi were in use before it, and the limit is 2Gi now",
        );
        check(&of("9d", "2Gi"), "critical web/api/app (api-0): 1 OOM kill, the last at 4h ago (limit 2Gi)");
        check(
            &of("3h", "1000Mi"),
            "critical web/api/app (api-0): 1 OOM kill, the last at 4h ago (limit 1000Mi)",
        );
    }

    #[test]
    fn the_log_is_read_where_it_is() {
        let command = |text: &str| fixture::advice("oom-killed", text).pop().unwrap_or_default();
        let killed = "container web/api-0/app limit=512Mi restarts=1 last=OOMKilled:137@2h";
        assert!(command(killed).ends_with("[kubectl -n web logs api-0 -c app --previous --tail=100]"));
        let ended = "container web/load-x2x9z/app owner=Job/load limit=512Mi state=exited:137@2h said=\"\"\n\
                     event web/Pod/load-x2x9z reason=OOMKilling last=2h";
        assert!(
            command(ended).ends_with("[kubectl -n web logs load-x2x9z -c app --tail=100]"),
            "{}",
            command(ended)
        );
        let gone = "past web/api-6c6c6c6c6c-zzzzz/app  oom: _x20 1\n\
                    container web/api-7d9c5bd4f7-x2x9z/app limit=512Mi  memory: 100x24";
        assert!(command(gone).starts_with("look in a log store"), "{}", command(gone));
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "absent oom restarts\ncontainer web/api-0/app limit=1Gi state=unknown restarts=unknown",
            "1 unknown: state of the container is not reported",
        );
        check("absent oom restarts\ncontainer web/api-0/app limit=1Gi", "1 ok");
        check("denied pods namespace=web", "1 unknown: not allowed to list pods in namespace web");
        // What was listed is told, and the rest is not said to be in order.
        check(
            "container web/api-0/app limit=512Mi last=OOMKilled:137@2h\ncontainer web/db-0/app limit=1Gi\n\
             denied pods namespace=web",
            "critical web/api/app (api-0): 1 OOM kill, the last at 2h ago (limit 512Mi)\n\
             2 unknown: not allowed to list pods in namespace web",
        );
    }
}
