//! Method `robust`: [`crate::leak`] over all pods of a container.

use std::collections::BTreeMap;

use super::{MemoryLeakParams, picture};
use crate::check::{Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::leak::{LeakInput, LeakParams, LeakReport, PodSeries, Reason, Shape, Verdict, detect};
use crate::metric::Metric;
use crate::series::Series;
use crate::snapshot::{Field, Missing};
use crate::time::Timestamp;
use crate::unit::{Bytes, BytesPerHour, Seconds};
use crate::view::{Member, View, WorkloadContainer};

/// One pod's memory and what is known of its restarts.
struct PodMemory<'s, 'a> {
    member: &'s Member<'a>,
    /// RSS or working set.
    metric: Metric,
    series: Series<'a>,
    /// Instants at which the process began anew by the counter; none when nobody counts.
    restarts: Option<Vec<i64>>,
    /// Starts that the API tells, the last two at most.
    starts: Vec<i64>,
    /// Requests a second at the instants of the series.
    load: Option<Vec<f64>>,
}

pub(super) fn judge(
    params: &MemoryLeakParams,
    container: &WorkloadContainer<'_>,
    view: &View<'_>,
) -> Judgement {
    let pods = memory(container, view)?;
    let window = &view.snapshot.window;
    let samples = pods.iter().map(|p| p.series.count()).max().unwrap_or(0);
    if samples < params.min_samples as usize {
        return Err(Missing::TooFewSamples { have: samples as u32, need: params.min_samples });
    }
    let history = history_s(&pods);
    let asked = params.min_run.get().min(0.75 * window.seconds());
    if history < asked {
        return Err(Missing::TooShort { have_s: history as u32, need_s: asked as u32 });
    }
    let series: Vec<PodSeries<'_>> = pods
        .iter()
        .map(|pod| {
            let (first, values) = pod.series.raw();
            PodSeries {
                pod: pod.member.pod_name(),
                start_unix: window.at(first).unix_seconds(),
                values,
                restarts_unix: pod.restarts.as_deref(),
                starts_unix: &pod.starts,
                load: pod.load.as_deref(),
            }
        })
        .collect();
    let revisions: Vec<i64> =
        container.workload.revisions.iter().filter_map(|r| r.created).map(|t| t.unix_seconds()).collect();
    let resources = container.resources();
    let limit = resources.memory_limit.map(Bytes::get).filter(|l| *l > 0.0);
    let report = detect(
        &LeakInput {
            step_s: f64::from(window.step_s()),
            limit_bytes: limit,
            capacity_bytes: node_memory(container, view),
            request_bytes: resources.memory_request.map(Bytes::get),
            start_unix: window.start().unix_seconds(),
            end_unix: window.end().unix_seconds(),
            series: &series,
            revisions_unix: &revisions,
        },
        &LeakParams { min_growth: params.min_growth.get(), ..LeakParams::default() },
    );
    match report.verdict {
        Verdict::Unknown => Err(unknown(report.reason, samples, params)),
        Verdict::None => Ok(Outcome::Ok),
        Verdict::Watch | Verdict::Leak => Ok(problem(params, container, &report, &pods, limit, view).into()),
    }
}

/// Memory of all pods that have any.
fn memory<'s, 'a>(
    container: &'s WorkloadContainer<'a>,
    view: &View<'a>,
) -> Result<Vec<PodMemory<'s, 'a>>, Missing> {
    let mut why = Missing::NoSamples { metric: Metric::MemoryWorkingSet };
    let mut pods = Vec::new();
    for member in container.members.iter() {
        match memory_of(member, view) {
            Ok((metric, series)) => {
                let restarts = counted(member, view);
                let starts = starts(member, restarts.as_deref(), view);
                let load = requests(member, series, view);
                pods.push(PodMemory { member, metric, series, restarts, starts, load });
            }
            Err(missing) => why = missing,
        }
    }
    if pods.is_empty() { Err(why) } else { Ok(pods) }
}

/// RSS of a pod, or its working set where RSS has less than half as many samples. One pod is never judged by both.
fn memory_of<'a>(member: &Member<'a>, view: &View<'a>) -> Result<(Metric, Series<'a>), Missing> {
    let of = |metric| match member.series(view, metric) {
        Ok(series) if series.is_empty() => Err(Missing::NoSamples { metric }),
        found => found.map(|series| (metric, series)),
    };
    match (of(Metric::MemoryRss), of(Metric::MemoryWorkingSet)) {
        (Ok(rss), Ok(working_set)) if 2 * rss.1.count() < working_set.1.count() => Ok(working_set),
        (Ok(rss), _) => Ok(rss),
        (Err(_), working_set) => working_set,
    }
}

/// Instants at which the process began anew, by the restart counter; none when nobody counts: older kube-state-metrics
/// have no counter of native sidecars.
fn counted(member: &Member<'_>, view: &View<'_>) -> Option<Vec<i64>> {
    let counted = view.series(Metric::Restarts, &member.key).ok()?;
    let window = &view.snapshot.window;
    let rises = counted.iter().flat_map(Series::iter).filter(|(_, n)| *n > 0.0);
    let rises: Vec<i64> = rises.map(|(i, _)| window.at(i).unix_seconds()).collect();
    let ended = member.container.and_then(|c| c.last_termination.as_ref()?.finished);
    // More than a step before the end, so that the counter must have told it by now.
    let told =
        |t: Timestamp| t > window.first() && t.plus_seconds(1.5 * f64::from(window.step_s())) < window.end();
    let is_deaf = rises.is_empty() && ended.is_some_and(told);
    (!is_deaf).then_some(rises)
}

/// Starts that the API tells to the second: that of the run before, and of the one that runs now. The counter tells the
/// same ones up to a step apart.
fn starts(member: &Member<'_>, counted: Option<&[i64]>, view: &View<'_>) -> Vec<i64> {
    let step = i64::from(view.snapshot.window.step_s());
    let ended = member.container.and_then(|c| c.last_termination.as_ref());
    let now = member.started().or_else(|| ended?.finished);
    [ended.and_then(|e| e.started), now]
        .into_iter()
        .flatten()
        .map(Timestamp::unix_seconds)
        .filter(|start| counted.unwrap_or_default().iter().all(|at| (at - start).abs() > step))
        .collect()
}

/// Requests a second of a pod, on the instants of its memory.
fn requests(member: &Member<'_>, memory: Series<'_>, view: &View<'_>) -> Option<Vec<f64>> {
    let requests = view.series(Metric::RequestRate, &member.key).ok()??;
    let (first, values) = memory.raw();
    let mut load = vec![f64::NAN; values.len()];
    for (i, rate) in requests.iter() {
        if let Some(place) = i.checked_sub(first).and_then(|k| load.get_mut(k)) {
            *place = rate;
        }
    }
    Some(load)
}

/// Seconds from the first to the last sample of any pod.
fn history_s(pods: &[PodMemory<'_, '_>]) -> f64 {
    let ends = pods.iter().filter_map(|p| {
        let mut points = p.series.iter();
        let first = points.next()?.0;
        let last = points.next_back().map_or(first, |(i, _)| i);
        Some((p.series.window().at(first), p.series.window().at(last)))
    });
    let (first, last) = ends.fold((None, None), |(first, last), (from, to)| {
        (Some(first.map_or(from, |f: Timestamp| f.min(from))), last.max(Some(to)))
    });
    first.zip(last).map_or(0.0, |(first, last)| last.seconds_since(first))
}

/// Memory of the smallest node that a living pod runs on.
fn node_memory(container: &WorkloadContainer<'_>, view: &View<'_>) -> Option<f64> {
    container
        .live()
        .filter_map(|m| m.pod?.node.as_deref())
        .filter_map(|name| view.snapshot.objects.nodes.iter().find(|n| n.name == name))
        .filter_map(|node| node.allocatable_memory.map(Bytes::get))
        .filter(|bytes| *bytes > 0.0)
        .min_by(f64::total_cmp)
}

fn unknown(reason: Reason, samples: usize, params: &MemoryLeakParams) -> Missing {
    match reason {
        Reason::RunsTooShort => Missing::NotReported { field: Field::LongRun },
        _ if samples == 0 => Missing::NoSamples { metric: Metric::MemoryWorkingSet },
        _ => Missing::TooFewSamples { have: samples as u32, need: params.min_samples },
    }
}

fn problem(
    params: &MemoryLeakParams,
    container: &WorkloadContainer<'_>,
    report: &LeakReport,
    pods: &[PodMemory<'_, '_>],
    limit: Option<f64>,
    view: &View<'_>,
) -> Problem {
    let leak = report.verdict == Verdict::Leak;
    let worst = report
        .single_pod
        .map(|i| &pods[i])
        .or_else(|| fullest(pods, |p| p.member.is_live()))
        .or_else(|| fullest(pods, |_| true))
        .unwrap_or(&pods[0]);
    let pod = worst.member.pod_name();
    let rate = report.rate.map_or(0.0, |r| r.bytes_per_hour);
    let left = limit
        .filter(|_| worst.member.is_live() && rate > 0.0)
        .and_then(|limit| {
            Some((limit, worst.member.series(view, Metric::MemoryWorkingSet).ok()?.latest()?.1))
        })
        .map(|(limit, now)| (limit, now, Seconds(((limit - now) / rate * 3600.0).max(0.0).round())));
    let severity = match &left {
        _ if !leak => Severity::Info,
        Some((_, _, left)) if *left <= params.critical_within => Severity::Critical,
        _ => Severity::Warning,
    };
    let key = match (leak, report.single_pod.is_some()) {
        (true, false) => "leak",
        (true, true) => "leak-of-one",
        (false, _) => "watch",
    };
    let onset = report.onset_unix.map(Timestamp::from_unix_seconds);
    let sentence = |key: &'static str| {
        let mut text = Text::new(key)
            .with("rate", BytesPerHour(rate))
            .with("shape", report.shape.map_or(Value::from(""), in_words))
            .with("pods", pods.len());
        if let Some(onset) = onset {
            text = text.with("onset", onset);
        }
        text
    };
    let mut problem = Problem::new(severity, sentence(key)).evidence("growth-rate", BytesPerHour(rate));
    if let Some(rate) = report.rate {
        problem = problem
            .evidence("growth-rate-low", BytesPerHour(rate.low))
            .evidence("growth-rate-high", BytesPerHour(rate.high));
    }
    problem = problem.measured(
        "score",
        Value::Number(round(report.score)),
        Value::Number(LeakParams::default().leak_score),
    );
    if let Some(measures) = &report.measures {
        let growth = crate::unit::Ratio(measures.growth);
        problem = problem.measured("growth-of-limit", growth, params.min_growth);
    }
    for (name, shape) in [("shape", report.shape), ("second-shape", report.runner_up)] {
        if let Some(shape) = shape {
            problem = problem.evidence(name, in_words(shape));
        }
    }
    if report.agreement.asked > 0 {
        problem = problem
            .evidence("runs-judged-alone", report.agreement.asked)
            .evidence("runs-growing-alone", report.agreement.growing);
    }
    for (name, metric) in
        [("pods-judged-by-rss", Metric::MemoryRss), ("pods-judged-by-working-set", Metric::MemoryWorkingSet)]
    {
        match pods.iter().filter(|p| p.metric == metric).count() {
            0 => {}
            count => problem = problem.evidence(name, count),
        }
    }
    if let Some((limit, now, time)) = left {
        problem = problem.measured("time-to-limit", time, params.critical_within);
        if let Some(rate) = report.rate {
            let at = |rate: f64| Seconds(((limit - now) / rate * 3600.0).max(0.0).round());
            if rate.high > 0.0 {
                problem = problem.evidence("time-to-limit-earliest", at(rate.high));
            }
            if rate.low > 0.0 {
                problem = problem.evidence("time-to-limit-latest", at(rate.low));
            }
        }
        if leak {
            let text = Text::new("reaches-limit").with("limit", Bytes(limit)).with("time", time);
            problem = problem.advise(Advice::new(text));
        }
    }
    if let Some(revision) = report.began_with_revision {
        let at = Timestamp::from_unix_seconds(revision);
        problem = problem
            .evidence("revision", at)
            .advise(Advice::new(Text::new("compare-revision").with("time", at)));
    }
    let look_again = Advice::new(Text::new("look-again"));
    problem = if leak {
        problem.advise(Advice::new(Text::new("profile").with("pod", pod))).chance(
            chance(report.score),
            params.false_discovery_rate,
            sentence("watch"),
            vec![look_again],
        )
    } else {
        problem.advise(look_again)
    };
    let place = pods.iter().position(|p| std::ptr::eq(p, worst)).unwrap_or(0);
    let left = left.map(|(limit, now, _)| (limit, now));
    let chart = picture::chart(view, container, worst.member, worst.metric, report, place, left);
    problem.pod(pod).since(onset).chart(chart)
}

fn fullest<'p, 's, 'a>(
    pods: &'p [PodMemory<'s, 'a>],
    wanted: impl Fn(&PodMemory<'s, 'a>) -> bool,
) -> Option<&'p PodMemory<'s, 'a>> {
    let last = |p: &PodMemory<'_, '_>| p.series.latest().map_or(0.0, |(_, v)| v);
    pods.iter()
        .filter(|p| wanted(p))
        .max_by(|a, b| last(a).total_cmp(&last(b)).then(b.member.key.cmp(&a.member.key)))
}

fn round(score: f64) -> f64 {
    (score * 100.0).round() / 100.0
}

/// Share of leak-free cases that reach the bound of 1, and how fast their scores fall off above it
/// (`docs/leak-detection.md`, section on fleets).
const FALSE_SHARE: f64 = 0.0032;
const FALSE_EXCESS: f64 = 0.7;

/// Probability that a container that does not leak has this score or a higher one, from the bound of 1 on.
///
/// Measured up to a score of 3, and carried on from there: scores that far above the bound fall off no slower than those just
/// above it, and the fall that counts is the slowest that the measurement allows.
fn chance(score: f64) -> f64 {
    (FALSE_SHARE * ((1.0 - score) / FALSE_EXCESS).exp()).min(1.0)
}

/// The name of a shape as a phrase.
fn in_words(shape: Shape) -> Value {
    Value::Words(Text { key: format!("shape-{}", shape.name()).into(), args: BTreeMap::new() })
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice, findings};
    use crate::metric::Metric;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("memory-leak", text, expected);
    }

    /// A week at an hour a step with a day and a little jitter: MiB.
    fn week(level: f64, value: impl Fn(f64) -> f64) -> String {
        (0..168)
            .map(|i| {
                let day = (f64::from(i) / 24.0 * std::f64::consts::TAU).sin();
                let jitter = f64::from((i * 7919) % 101) / 101.0;
                format!("{:.3} ", level + 6.0 * day + 2.0 * jitter + value(f64::from(i)))
            })
            .collect()
    }

    #[test]
    fn growth_under_daily_load_is_a_leak() {
        check(
            &format!("container web/api-0/app limit=1Gi  memory: {}", week(300.0, |h| 1.5 * h)),
            "warning web/api/app (api-0): memory grows by 1.6MB/h without end, seen since 166h ago (shape line, judged over 1 pod)",
        );
        let found = findings(
            "memory-leak",
            &format!("container web/api-0/app limit=1Gi  memory: {}", week(300.0, |h| 1.5 * h)),
        );
        let value =
            |name: &str| found[0].evidence.iter().find(|e| e.name == name).unwrap().value.number().unwrap();
        let rate = 1.5 * 1024.0 * 1024.0;
        assert!(value("growth-rate-low") < rate && rate < value("growth-rate-high"));
        assert!(value("time-to-limit-earliest") <= value("time-to-limit"));
        assert!(value("time-to-limit") <= value("time-to-limit-latest"));
        assert_eq!(value("runs-growing-alone"), 1.0);
    }

    #[test]
    fn what_ends_is_no_leak() {
        for shape in [
            week(300.0, |_| 0.0),
            week(300.0, |h| 200.0 * (1.0 - (-h / 20.0).exp())),
            week(300.0, |h| if h > 80.0 { 120.0 } else { 0.0 }),
            week(300.0, |h| 3.0 * h.min(90.0)),
        ] {
            check(&format!("container web/api-0/app limit=1Gi  memory: {shape}"), "1 ok");
        }
    }

    #[test]
    fn growth_that_does_not_matter_is_none() {
        // 17 MiB in a week are 1.6 % of the limit.
        let memory = week(600.0, |h| 0.1 * h);
        check(&format!("container web/api-0/app limit=1Gi  memory: {memory}"), "1 ok");
        check(
            &format!("set min-growth=1%\ncontainer web/api-0/app limit=1Gi  memory: {memory}"),
            "warning web/api/app (api-0): memory grows by 0.1MB/h without end, seen since 166h ago (shape line, judged over 1 pod)",
        );
    }

    #[test]
    fn near_its_limit_it_is_critical() {
        let memory = week(300.0, |h| 1.5 * h);
        let found =
            findings("memory-leak", &format!("container web/api-0/app limit=580Mi  memory: {memory}"));
        assert_eq!(found[0].severity, crate::finding::Severity::Critical);
        assert_eq!(
            advice("memory-leak", &format!("container web/api-0/app limit=580Mi  memory: {memory}"))[1],
            "take a heap profile of pod api-0 and compare it with one taken just after its start"
        );
    }

    #[test]
    fn one_bad_replica_is_named() {
        let flat = |pod: &str| format!("container web/{pod}/app limit=1Gi  memory: {}", week(300.0, |_| 0.0));
        check(
            &format!(
                "{}\n{}\ncontainer web/api-2/app limit=1Gi  memory: {}\n{}",
                flat("api-0"),
                flat("api-1"),
                week(300.0, |h| 2.0 * h),
                flat("api-3")
            ),
            "warning web/api/app (api-2): memory of one of 4 pods grows by 2.1MB/h without end, seen since 166h ago (shape line)",
        );
    }

    #[test]
    fn kills_do_not_hide_it() {
        // 300 to 900 Mi in 40 h, four times, with a counter and without.
        let saw: String = (0..168).map(|i| format!("{:.2} ", 300.0 + 15.0 * f64::from(i % 40))).collect();
        let counted = "restarts: _x40 1 _x39 1 _x39 1 _x39 1";
        for text in [
            format!("container web/api-0/app limit=900Mi restarts=4  memory: {saw} {counted}"),
            format!("absent restarts\ncontainer web/api-0/app limit=900Mi  memory: {saw}"),
        ] {
            let told = fixture::told("memory-leak", &text);
            assert!(
                told[0].contains("web/api/app (api-0): memory grows by 15.7MB/h without end"),
                "{told:?}"
            );
        }
    }

    /// Restarts far below the limit, of which the API alone tells: a line for each, and no line through both.
    #[test]
    fn a_restart_that_the_api_alone_tells_cuts() {
        let memory: String = (0..168)
            .map(|i| {
                format!(
                    "{:.2} ",
                    if i < 84 { 300.0 + 2.0 * f64::from(i) } else { 200.0 + 2.0 * f64::from(i - 84) }
                )
            })
            .collect();
        let text = |state: &str| {
            format!("absent restarts\ncontainer web/api-0/app limit=2Gi {state}  memory: {memory}")
        };
        let found = |state: &str| fixture::told("memory-leak", &text(state))[0].contains("(shape line,");
        assert!(!found(""), "without it the fall is a step");
        assert!(found("state=running@5010m"));
        assert!(found("state=waiting:CrashLoopBackOff last=Error:1@5010m"));
    }

    /// The pods of the release before grew for five days; those that run now do not.
    #[test]
    fn a_leak_that_a_release_has_ended_is_none() {
        let old: String = week(300.0, |h| 2.5 * h).split(' ').take(120).map(|v| format!("{v} ")).collect();
        let new: String = week(300.0, |_| 0.0).split(' ').skip(120).map(|v| format!("{v} ")).collect();
        let text = format!(
            "past web/api-6c6c6c6c6c-zzzzz/app  memory: {old} _x48\ncontainer web/api-7d9c5bd4f7-x2x9z/app limit=1Gi created=2d  memory: _x120 {new}"
        );
        check(&text, "1 ok");
    }

    #[test]
    fn one_pod_that_is_killed_every_day_is_found_among_many() {
        let flat = |pod: usize| {
            format!("container web/api-{pod}/app limit=520Mi  memory: {}\n", week(150.0, |_| 0.0))
        };
        let saw: String = (0..168).map(|i| format!("{:.2} ", 150.0 + 15.0 * f64::from(i % 24))).collect();
        let mut text: String = (0..14).map(flat).collect();
        text += &format!(
            "container web/api-14/app limit=520Mi restarts=6  memory: {saw} restarts: _x24 1 _x23 1 _x23 1 _x23 1 _x23 1 _x23 1"
        );
        let told = fixture::told("memory-leak", &text);
        assert!(
            told[0].contains("web/api/app (api-14): memory of one of 15 pods grows by 15.7MB/h without end"),
            "{told:?}"
        );
    }

    #[test]
    fn page_cache_that_grows_is_no_leak() {
        let (rss, cache) = (week(200.0, |_| 0.0), week(300.0, |h| 2.0 * h));
        check(&format!("container web/api-0/app limit=1Gi  memory: {cache} rss: {rss}"), "1 ok");
        let found = findings(
            "memory-leak",
            &format!("container web/api-0/app limit=1Gi  memory: {rss} rss: {cache}"),
        );
        assert_eq!(found[0].series.as_ref().unwrap().metric, Metric::MemoryRss);
    }

    fn number(finding: &crate::finding::Finding, name: &str) -> Option<f64> {
        finding.evidence.iter().find(|e| e.name == name)?.value.number()
    }

    #[test]
    fn each_pod_is_judged_by_its_rss_or_by_its_working_set_and_the_evidence_says_which() {
        let (flat, grows) = (week(200.0, |_| 0.0), week(300.0, |h| 2.0 * h));
        // A pod without RSS is not lost among those that have it.
        let text = format!(
            "container web/api-0/app limit=1Gi  memory: {grows} rss: {flat}\ncontainer web/api-1/app limit=1Gi  memory: {grows}"
        );
        let found = &findings("memory-leak", &text)[0];
        assert_eq!(found.subject.pod.as_deref(), Some("api-1"));
        assert_eq!(found.series.as_ref().unwrap().metric, Metric::MemoryWorkingSet);
        assert_eq!(
            (number(found, "pods-judged-by-rss"), number(found, "pods-judged-by-working-set")),
            (Some(1.0), Some(1.0))
        );
        // RSS since yesterday only.
        let rss: String = flat.split(' ').skip(144).map(|v| format!("{v} ")).collect();
        let text = format!("container web/api-0/app limit=1Gi  memory: {grows} rss: _x144 {rss}");
        let found = &findings("memory-leak", &text)[0];
        assert_eq!(
            (number(found, "pods-judged-by-rss"), number(found, "pods-judged-by-working-set")),
            (None, Some(1.0))
        );
    }

    /// What runs to its end grows as it goes; what should have ended long ago is asked.
    #[test]
    fn work_that_ends_by_itself_is_asked_when_it_does_not() {
        let memory = week(300.0, |h| 2.0 * h);
        let job = |state: &str| {
            format!("container web/report-1/app owner=Job/report limit=1Gi {state}  memory: {memory}")
        };
        let runner = |state: &str| {
            format!(
                "workload ci/Deployment/runner note:healthcheck/class=runner\ncontainer ci/runner-7d9c5bd4f7-x2x9z/app limit=1Gi {state}  memory: {memory}"
            )
        };
        for kind in [&job as &dyn Fn(&str) -> String, &runner] {
            for method in ["robust", "linear", "quarters"] {
                let told = |state: &str| {
                    let bounds = "set min-slope=1MB/h\n";
                    fixture::told("memory-leak", &format!("set method={method}\n{bounds}{}", kind(state)))
                        .join("")
                };
                assert_eq!(told("state=running@23h"), "nothing", "{method}");
                assert_ne!(told("state=running@25h"), "nothing", "{method}");
                assert_eq!(told("state=waiting:CrashLoopBackOff"), "nothing", "{method}");
                // Nobody tells of its start: since the pod was made, or since it last began anew.
                assert_eq!(told("state=unknown created=23h"), "nothing", "{method}");
                assert!(told("state=unknown created=8d").contains("/app ("), "{method}");
                let anew = format!("{} restarts: _x150 1", kind("state=unknown created=8d restarts=1"));
                let told = fixture::told("memory-leak", &format!("set method={method}\n{anew}"));
                assert_eq!(told, ["nothing"], "{method}");
            }
            assert_eq!(
                fixture::told("memory-leak", &format!("set min-task-run=2d\n{}", kind("state=running@25h"))),
                ["nothing"]
            );
            // Nothing is known of what is asked.
            let silent = kind("state=running@25h").replace(&format!("memory: {memory}"), "");
            assert_eq!(
                fixture::told("memory-leak", &silent),
                ["1 unknown: no samples of memory-working-set"]
            );
        }
    }

    /// A leak that too many others make doubtful keeps none of its sure advice.
    #[test]
    fn the_advice_of_an_unsure_leak_is_to_look_again() {
        let memory = week(300.0, |h| 1.5 * h);
        let problem =
            &findings("memory-leak", &format!("container web/api-0/app limit=580Mi  memory: {memory}"))[0];
        let advice = &problem.chance.as_ref().unwrap().unsure_advice;
        assert_eq!(advice.iter().map(|a| &*a.text.key).collect::<Vec<_>>(), ["look-again"]);
    }

    #[test]
    fn memory_that_follows_the_requests_is_no_leak() {
        // Requests rise all week, and memory with them: 0.9 Mi for each request a second.
        let busier = |i: u32| f64::from(i) * 1.5 + 40.0 * (f64::from(i) / 24.0 * std::f64::consts::TAU).sin();
        let rate: String = (0..168).map(|i| format!("{:.3} ", 100.0 + busier(i))).collect();
        let memory = week(300.0, |h| 0.9 * busier(h as u32));
        let with = |requests: &str| format!("container web/api-0/app limit=1Gi  memory: {memory} {requests}");
        assert!(fixture::told("memory-leak", &with(""))[0].starts_with("warning web/api/app"));
        check(&with(&format!("requests: {rate}")), "1 ok");
    }

    #[test]
    fn without_a_limit_the_node_bounds() {
        let memory = week(300.0, |h| 0.2 * h);
        let on = |gib: u32| {
            format!("node n memory={gib}Gi\npod web/api-0 node=n\ncontainer web/api-0/app  memory: {memory}")
        };
        assert_eq!(fixture::told("memory-leak", &on(1))[0].split(' ').next(), Some("warning"));
        check(&on(16), "1 ok");
    }

    #[test]
    fn too_little_is_unknown() {
        check("container web/api-0/app  memory: 300+12x3 _x20", "1 unknown: 4 samples, 24 needed");
        check("container web/api-0/app", "1 unknown: no samples of memory-working-set");
        check("container web/api-0/app  memory: nanx47", "1 unknown: no samples of memory-working-set");
        check("offline\ncontainer web/api-0/app", "1 unknown: no metrics server");
        check(
            "window step=15m lookback=2d\ncontainer web/api-0/app  memory: _x144 300+12x46",
            "1 unknown: history of 11 h 30 min, 1 d needed",
        );
    }

    /// The engine puts the share of false findings into the evidence, with its level.
    #[test]
    fn the_level_is_said() {
        let memory = week(300.0, |h| 1.5 * h);
        let fixture = fixture::Fixture::new(&format!("container web/api-0/app limit=1Gi  memory: {memory}"));
        let checks = fixture.only("memory-leak");
        let report = crate::report::Report::new(
            "0",
            fixture::END,
            fixture.snapshot.window,
            vec![(crate::report::ClusterSummary::default(), fixture.assess(&checks))],
            Vec::new(),
            crate::checks::CHECKS,
        );
        let share = report.findings[0].evidence.iter().find(|e| e.name == "false-discovery-rate").unwrap();
        assert_eq!(share.threshold.as_ref().and_then(crate::finding::Value::number), Some(0.05));
        assert!(share.value.number().unwrap() < 0.05);
    }

    /// With the level of 5 %, alone among so many containers.
    #[test]
    fn a_sure_leak_is_said_in_a_fleet_of_any_size_and_a_doubtful_one_in_a_small_one() {
        let said_alone = |score: f64, fleet: f64| super::chance(score) * fleet <= 0.05;
        assert!(said_alone(6.0, 10_000.0) && !said_alone(5.0, 10_000.0));
        assert!(said_alone(4.0, 1000.0) && !said_alone(3.0, 1000.0));
        assert!(said_alone(1.0, 10.0) && !said_alone(1.0, 30.0));
    }

    /// The level is said of a check that ran, whatever it found: nothing, or leaks that a strict level hides.
    #[test]
    fn the_level_is_said_whatever_is_found() {
        let discovery = |text: &str| {
            let fixture = fixture::Fixture::new(text);
            let report = crate::report::Report::new(
                "0",
                fixture::END,
                fixture.snapshot.window,
                vec![(
                    crate::report::ClusterSummary::default(),
                    fixture.assess(&fixture.only("memory-leak")),
                )],
                Vec::new(),
                crate::checks::CHECKS,
            );
            report.checks[0].discovery.map(|d| (d.level.get(), d.passed, d.set_back))
        };
        let leak = format!("container web/api-0/app limit=1Gi  memory: {}", week(300.0, |h| 0.22 * h));
        assert_eq!(discovery(&leak), Some((0.05, 1, 0)));
        assert_eq!(discovery(&format!("set false-discovery-rate=0.01%\n{leak}")), Some((0.0001, 0, 1)));
        assert_eq!(discovery("container web/api-0/app  memory: 300x167"), Some((0.05, 0, 0)));
        assert_eq!(discovery("window lookback=7d"), Some((0.05, 0, 0)));
        assert_eq!(discovery(&format!("set method=linear\n{leak}")), None);
    }
}
