//! `restarts`: a container was started anew.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::crash_looping::{CrashLoopingParams, fails_often};
use crate::checks::pod_state::{crash_loops, last_line, out_of_memory_error};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::{ObjectKind, PodPhase};
use crate::need::Needs;
use crate::phrase::phrase;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::{Member, View, WorkloadContainer};

/// A container was started anew.
pub struct Restarts;

crate::params! {
    /// Parameters of `restarts`.
    pub struct RestartsParams {
        /// Restarts of one container within an hour above which it is a warning.
        per_hour: u32 = 5 => 0..=1_000_000,
        /// How far back a restart is new.
        lookback: Seconds = Seconds(86400.0) => Seconds(60.0)..=Seconds::from_days(365.0),
    }
}

impl Check for Restarts {
    const INFO: CheckInfo = CheckInfo {
        id: "restarts",
        title: "Container restarts",
        since: "0.1.0",
        checks: "Whether containers have been restarted lately, and how often.",
        why: "A restart that nobody ordered is a crash, a failed probe or a kill.",
        decides: "By the restart counter over time, for the pod with most, and by the status (number of restarts, end of the last \
                  run) what the counter missed. More than `per-hour` restarts in any hour of `lookback`: warning. Any restart within \
                  `lookback`: info. A JVM whose last words name a `java.lang.OutOfMemoryError` ended for want of memory: warning. While the container is in CrashLoopBackOff it stays info, because `crash-looping` says it.",
        remedy: "Look at the reason of the last end and at the log of the run before.",
        false_alarms: "Containers that end to load a new configuration.",
        texts: &[
            ("often", "{hour} {hour|restart|restarts} within an hour ({count} in {span})"),
            ("some", "{count} {count|restart|restarts} in {span}"),
            (
                "some-unknown",
                "restarted within {span} ({count} {count|restart|restarts} since the pod was made)",
            ),
            ("jvm", "restarted within {span}: its JVM ran out of memory ({error})"),
            (
                "jvm-memory",
                "give the JVM more of what the error names (the heap: `-Xmx` or `-XX:MaxRAMPercentage`), and raise the memory limit with it, unless it leaks",
            ),
            ("logs", "look at the log of the run before: last end was `{reason}`"),
        ],
    };
    type Params = RestartsParams;
    type Subject<'a> = WorkloadContainer<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.chart().optional(Metric::Restarts).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, container: &WorkloadContainer<'_>, view: &View<'_>) -> Judgement {
        if container.live().next().is_none() {
            return Ok(Outcome::NotApplicable);
        }
        let mut worst: Option<(&Member<'_>, Seen)> = None;
        let mut why = None;
        let mut known = false;
        for member in container.live() {
            match seen(params, member, view) {
                Ok(found) => {
                    known = true;
                    if found.count > 0
                        && worst.as_ref().is_none_or(|(_, w)| (found.hour, found.count) > (w.hour, w.count))
                    {
                        worst = Some((member, found));
                    }
                }
                Err(missing) => why = Some(missing),
            }
        }
        let Some((member, found)) = worst else {
            let unseen = container.unmeasured(view, |member| seen(params, member, view));
            return match unseen.or(why.filter(|_| !known)) {
                Some(missing) => Err(missing),
                None => Ok(Outcome::Ok),
            };
        };
        let (loops, now) = (CrashLoopingParams::default(), view.snapshot.taken_at);
        let looping = container
            .live()
            .filter_map(|m| Some((m.pod?, m.container?)))
            .any(|(pod, c)| crash_loops(c) || fails_often(&loops, pod, c, now));
        let often = found.hour > u64::from(params.per_hour);
        let end = member.container.and_then(|c| c.last_termination.as_ref());
        let jvm_error = end.and_then(|t| out_of_memory_error(&t.message));
        let severity =
            if (often || jvm_error.is_some()) && !looping { Severity::Warning } else { Severity::Info };
        let (hour, count, span) = (found.hour as usize, found.count as usize, params.lookback);
        let text = match (often, found.timed) {
            (true, _) => Text::new("often").with("hour", hour).with("count", count).with("span", span),
            (false, true) => Text::new("some").with("count", count).with("span", span),
            (false, false) => Text::new("some-unknown").with("count", count).with("span", span),
        };
        let text = match &jvm_error {
            Some(error) => Text::new("jvm").with("span", span).with("error", error.as_str()),
            None => text,
        };
        let reason = end.map(|t| match t.exit_code {
            Some(code) => phrase("with-code")
                .with("reason", t.reason.as_str())
                .with("code", Value::Number(f64::from(code)))
                .into(),
            None => Value::from(t.reason.as_str()),
        });
        let id = &container.workload.id;
        let command = format!(
            "kubectl -n {} logs {} -c {} --previous --tail=100",
            id.namespace,
            member.pod_name(),
            container.name
        );
        let advice =
            Advice::new(Text::new("logs").with("reason", reason.unwrap_or_else(|| phrase("unknown").into())));
        let mut problem = Problem::new(severity, text);
        if found.timed {
            problem = problem.measured("restarts-per-hour", hour, params.per_hour);
        }
        if jvm_error.is_some() {
            problem = problem.advise(Advice::new(Text::new("jvm-memory")));
        } else if let Some(said) = end.and_then(|t| last_line(&t.message)) {
            problem = problem.evidence("last-words", said);
        }
        Ok(problem
            .evidence("restarts", count)
            .pod(member.pod_name())
            .since(found.first)
            .advise(advice.command(command, &[&id.namespace, member.pod_name(), &container.name]))
            .chart(ChartSeries::of_restarts(view, container, member))
            .into())
    }
}

struct Seen {
    /// Most restarts in any hour.
    hour: u64,
    /// Restarts within the look-back; since the pod was made, when their times are not known.
    count: u64,
    first: Option<Timestamp>,
    /// Whether the times of restarts are known.
    timed: bool,
}

fn seen(params: &RestartsParams, member: &Member<'_>, view: &View<'_>) -> Result<Seen, Missing> {
    let nothing = Seen { hour: 0, count: 0, first: None, timed: true };
    match view.series(Metric::Restarts, &member.key) {
        // The counter may have been seen first after the restart: then the status knows of it.
        Ok(None) => {
            // No restart is a counter that stands still; without one, as beside a kube-state-metrics that does not tell of
            // the container, there is no knowing. One that has not been started yet has none.
            let counted = member.container.is_some_and(|c| c.restarts.is_some());
            let waits = member.pod.is_some_and(|p| p.phase == PodPhase::Pending);
            return match by_status(params, member, view) {
                Err(missing) if !counted && !waits => Err(missing),
                seen => Ok(seen.unwrap_or(nothing)),
            };
        }
        Ok(Some(series)) => {
            let window = series.window();
            let mut times: Vec<(Timestamp, u64)> =
                series.last(params.lookback).iter().map(|(i, n)| (window.at(i), n.round() as u64)).collect();
            let status = Status::of(params, member, view);
            // A restart that falls into a gap of the metrics, or that the next scrape will tell.
            let told = times.last().map(|(t, _)| t.plus_seconds(window.step_s().into()));
            if let Some(last) = status.last.filter(|last| told.is_none_or(|told| *last > told)) {
                times.push((last, 1));
            }
            let within_hour = |from: Timestamp| -> u64 {
                times
                    .iter()
                    .filter(|(t, _)| *t >= from && t.seconds_since(from) < 3600.0)
                    .map(|(_, n)| n)
                    .sum()
            };
            let counted: u64 = times.iter().map(|(_, n)| n).sum();
            let count = counted.max(status.all);
            let hour = times.iter().map(|(t, _)| within_hour(*t)).max().unwrap_or(0);
            return Ok(Seen {
                hour: if status.young { hour.max(count) } else { hour },
                count,
                first: times.first().map(|(t, _)| *t),
                timed: true,
            });
        }
        // What was cut off says more than that the status has no count either.
        Err(why @ Missing::PartialAnswer { .. }) => return by_status(params, member, view).map_err(|_| why),
        Err(_) => {}
    }
    by_status(params, member, view)
}

/// What the status adds to the counter, which may have been seen first after some restarts, or not at all for a while.
struct Status {
    /// End of the run before, within the look-back.
    last: Option<Timestamp>,
    /// Restarts of a pod that was made within the look-back; 0 of an older one.
    all: u64,
    /// Whether the pod was made within the last hour.
    young: bool,
}

impl Status {
    fn of(params: &RestartsParams, member: &Member<'_>, view: &View<'_>) -> Self {
        let now = view.snapshot.taken_at;
        let within = |t: Timestamp, span: f64| t.age_at(now).is_some() && now.seconds_since(t) <= span;
        let last = member.container.and_then(|c| c.last_termination.as_ref()).and_then(|t| t.finished);
        let made = |span| member.pod.and_then(|p| p.created).is_some_and(|t| within(t, span));
        // In a run that looks at the past the status may tell of later restarts.
        let of_then = last.is_none_or(|t| t.age_at(now).is_some());
        let restarts = member.container.and_then(|c| c.restarts).map_or(0, u64::from);
        let lookback = params.lookback.get();
        Self {
            last: last.filter(|t| within(*t, lookback)),
            all: if of_then && made(lookback) { restarts } else { 0 },
            young: made(3600.0),
        }
    }
}

/// By the number of restarts and the end of the last run. All restarts of a pod that is younger than an hour fell
/// within an hour.
fn by_status(params: &RestartsParams, member: &Member<'_>, view: &View<'_>) -> Result<Seen, Missing> {
    let nothing = Seen { hour: 0, count: 0, first: None, timed: true };
    let now = view.snapshot.taken_at;
    let container = member.container.ok_or(Missing::NotReported { field: Field::ContainerStatus })?;
    let count = container.restarts.ok_or(Missing::NotReported { field: Field::RestartCount })?;
    let last = container.last_termination.as_ref().and_then(|t| t.finished);
    match last {
        // Only that of the last is known, and it had not happened yet.
        Some(last) if last.age_at(now).is_none() => match count {
            0 | 1 => Ok(nothing),
            _ => Err(Missing::NotReported { field: Field::EarlierRestarts }),
        },
        Some(last) if now.seconds_since(last) <= params.lookback.get() => {
            let created = member.pod.and_then(|p| p.created);
            let young = created.is_some_and(|t| now.seconds_since(t) < 3600.0);
            let count = u64::from(count.max(1));
            Ok(Seen { hour: if young { count } else { 0 }, count, first: None, timed: false })
        }
        Some(_) => Ok(nothing),
        None if count == 0 => Ok(nothing),
        None => Err(Missing::NotReported { field: Field::LastRestart }),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("restarts", text, expected);
    }

    #[test]
    fn more_than_five_in_an_hour() {
        check(
            "window step=5m\ncontainer web/api-0/app  restarts: _x20 1x4",
            "info web/api/app (api-0): 5 restarts in 1d",
        );
        check(
            "window step=5m\ncontainer web/api-0/app  restarts: _x20 1x5",
            "warning web/api/app (api-0): 6 restarts within an hour (6 in 1d)",
        );
        // As many, but spread over a day.
        check(
            "window step=1h\ncontainer web/api-0/app  restarts: 1x9 _x10",
            "info web/api/app (api-0): 10 restarts in 1d",
        );
        check(
            "set per-hour=2\nwindow step=5m\ncontainer web/api-0/app  restarts: 3 _x5",
            "warning web/api/app (api-0): 3 restarts within an hour (3 in 1d)",
        );
    }

    #[test]
    fn the_last_words_of_a_jvm() {
        let ended = |said: &str| {
            format!(
                "window step=5m\ncontainer web/api-0/app restarts=3 last=Error:3@2h said=\"{said}\"  restarts: _x20 1 _x2"
            )
        };
        let heap = ended("Terminating due to java.lang.OutOfMemoryError: Java heap space");
        check(
            &heap,
            "warning web/api/app (api-0): restarted within 1d: its JVM ran out of memory \
             (java.lang.OutOfMemoryError: Java heap space)",
        );
        let advice = fixture::advice("restarts", &heap);
        assert!(advice[0].starts_with("give the JVM more of what the error names"), "{advice:?}");
        let other = fixture::findings("restarts", &ended("panic: no route"));
        let words = other[0].evidence.iter().find(|e| e.name == "last-words");
        assert_eq!(words.map(|e| fixture::show(&e.value)).as_deref(), Some("panic: no route"));
    }

    #[test]
    fn old_restarts_are_no_news() {
        check("window lookback=7d step=1h\ncontainer web/api-0/app restarts=9  restarts: _x20 9", "1 ok");
        check("offline\ncontainer web/api-0/app restarts=400 last=Error:1@20d", "1 ok");
    }

    #[test]
    fn a_partial_answer_tells_of_the_restarts_in_it_alone() {
        let of = |pods: &str| {
            fixture::told("restarts", &format!("partial restarts\nwindow step=5m\n{pods}")).join("; ")
        };
        let unknown = "1 unknown: not in the partial answer for restarts";
        assert_eq!(of("container web/api-0/app restarts=unknown"), unknown);
        assert_eq!(of("container web/api-0/app restarts=0"), "1 ok", "the status tells");
        // One that is seen does not speak for another that is not.
        let told = "container web/api-0/app restarts=0\ncontainer web/api-1/app restarts=unknown";
        assert_eq!(of(told), unknown);
        let restarted = "container web/api-0/app restarts=unknown  restarts: _x20 1x4\ncontainer web/api-1/app restarts=unknown";
        assert_eq!(of(restarted), "info web/api/app (api-0): 5 restarts in 1d");
    }

    #[test]
    fn a_crash_loop_is_told_once() {
        check(
            "window step=5m\ncontainer web/api-0/app restarts=9 state=waiting:CrashLoopBackOff  restarts: _x20 1x8",
            "info web/api/app (api-0): 9 restarts within an hour (9 in 1d)",
        );
        // Between two back-offs too.
        check(
            "window step=5m\ncontainer web/api-0/app created=40m restarts=9 last=Error:1@1m  restarts: _x20 1x8",
            "info web/api/app (api-0): 9 restarts within an hour (9 in 1d)",
        );
    }

    #[test]
    fn the_status_tells_without_a_counter() {
        check(
            "offline\ncontainer web/api-0/app restarts=9 last=Error:1@2h",
            "info web/api/app (api-0): restarted within 1d (9 restarts since the pod was made)",
        );
        // All restarts of a young pod are of the last hour.
        check(
            "offline\ncontainer web/api-0/app created=50m restarts=9 last=Error:1@20m",
            "warning web/api/app (api-0): 9 restarts within an hour (9 in 1d)",
        );
        // The counter was first seen after the restart.
        check(
            "window step=5m\ncontainer web/api-0/app created=50m restarts=1 last=Error:1@20m",
            "info web/api/app (api-0): restarted within 1d (1 restart since the pod was made)",
        );
    }

    #[test]
    fn what_the_counter_missed_the_status_tells() {
        // An older restart is on the counter, the last fell into an outage of the metrics.
        check(
            "window lookback=2d step=1h\ncontainer web/api-0/app created=9d restarts=7 last=Error:1@2h  restarts: _x30 1 _x11",
            "info web/api/app (api-0): 2 restarts in 1d",
        );
        // The counter tells of the end that the status tells of.
        check(
            "window lookback=2d step=1h\ncontainer web/api-0/app created=9d restarts=7 last=Error:1@3h  restarts: _x44 1 _x1",
            "info web/api/app (api-0): 1 restart in 1d",
        );
        // Of six restarts five were over when the counter was first seen.
        check(
            "window step=5m\ncontainer web/api-0/app created=50m restarts=6 last=Error:1@20m  restarts: _x20 1 _x4",
            "warning web/api/app (api-0): 6 restarts within an hour (6 in 1d)",
        );
        check(
            "window step=5m\ncontainer web/api-0/app created=9d restarts=6 last=Error:1@20m  restarts: _x20 1 _x4",
            "info web/api/app (api-0): 1 restart in 1d",
        );
    }

    #[test]
    fn what_had_not_happened_yet_is_none() {
        // A run of two hours ago, and the status of now.
        let past = |restarts: u32, last: &str| {
            let text = format!(
                "window lookback=2d now=-2h\nabsent restarts\ncontainer web/api-0/app restarts={restarts} last=Error:1@{last}"
            );
            fixture::told("restarts", &text).join("; ")
        };
        assert_eq!(past(1, "1h"), "1 ok");
        assert_eq!(past(2, "1h"), "1 unknown: time of the restarts before the last is not reported");
        assert!(past(1, "3h").starts_with("info web/api/app"), "{}", past(1, "3h"));
    }

    /// The metric is there, but has nothing on this container: only cAdvisor knows it.
    #[test]
    fn a_container_without_counter_is_unknown() {
        check(
            "origin kube-state-metrics\ncontainer web/api-0/proxy restarts=unknown  memory: 50x20",
            "1 unknown: restart count is not reported",
        );
        check("container web/api-0/app restarts=unknown\npod web/api-0 phase=Pending", "1 ok");
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "offline\ncontainer web/api-0/app restarts=unknown",
            "1 unknown: restart count is not reported",
        );
        check(
            "offline\ncontainer web/api-0/app restarts=3",
            "1 unknown: time of the last restart is not reported",
        );
        check("container web/api-0/app\npod web/api-0 phase=Succeeded", "nothing");
    }
}
