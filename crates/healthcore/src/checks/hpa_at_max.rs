//! `hpa-at-max`: an autoscaler has no replica left to add.

use crate::chart::ChartSeries;
use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::patch;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::measure;
use crate::metric::Metric;
use crate::model::{Hpa, ObjectKind};
use crate::need::Needs;
use crate::series::SeriesKey;
use crate::snapshot::{Field, Missing};
use crate::unit::{Ratio, Seconds};
use crate::view::{Autoscaler, View};

/// An autoscaler has no replica left to add.
pub struct HpaAtMax;

crate::params! {
    /// Parameters of `hpa-at-max`.
    pub struct HpaAtMaxParams {
        /// Time at the maximum from which on it is a problem; the value itself counts.
        lasting: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(1.0),
    }
}

impl Check for HpaAtMax {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-at-max",
        title: "Autoscaler at its maximum",
        since: "0.1.0",
        checks: "Whether an autoscaler has stood at its maximum for some time.",
        why: "The next rise of load meets no new replica.",
        decides: "Replicas at maxReplicas, with maxReplicas above minReplicas, for at least `lasting`: by the series of its \
                  replicas, or by the condition ScalingLimited with the reason TooManyReplicas. ScalingLimited at the minimum \
                  is normal and no problem. The advice is what the metrics ask for by the autoscaler's own formula, and \
                  at least half more.",
        remedy: "Raise maxReplicas, give each replica more CPU, or find out why the load has grown.",
        false_alarms: "A maximum that is meant as the usual size: set minReplicas to it.",
        texts: &[
            ("pinned", "at its maximum of {max} {max|replica|replicas} for {time}"),
            ("near-max", "has scaled out to {replicas} of at most {max} {max|replica|replicas}"),
            ("pinned-at-least", "at its maximum of {max} {max|replica|replicas} for at least {time}"),
            (
                "raise-max",
                "raise maxReplicas from {from} to {to}, after a look at what the nodes and the database can bear",
            ),
        ],
    };
    type Params = HpaAtMaxParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.optional(Metric::HpaReplicas).objects(ObjectKind::Autoscalers);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        // At its minimum it has nothing left to give back, however near the maximum that is.
        if hpa.current_replicas <= hpa.min_replicas || hpa.max_replicas <= hpa.min_replicas {
            return Ok(Outcome::Ok);
        }
        if hpa.current_replicas < hpa.max_replicas {
            return Ok(near_max(hpa, view));
        }
        let now = view.snapshot.taken_at;
        let lasted = at_max_for(hpa, view)?;
        if lasted.seconds < params.lasting.get() {
            return Ok(near_max(hpa, view));
        }
        let to = next_max(hpa);
        let mut problem = Problem::new(
            Severity::Warning,
            Text::new(if lasted.at_least { "pinned-at-least" } else { "pinned" })
                .with("max", hpa.max_replicas)
                .with("time", Seconds(lasted.seconds)),
        )
        .lasted("at-max", Seconds(lasted.seconds), params.lasting)
        .evidence("replicas", hpa.current_replicas)
        .since((!lasted.at_least).then(|| now.plus_seconds(-lasted.seconds)));
        for metric in hpa.metrics.iter().filter(|m| m.utilization) {
            if let (Some(current), Some(target)) = (metric.current, metric.target) {
                problem = problem.measured("metric-use", Ratio(current), Ratio(target));
            }
        }
        let advice = Advice::new(Text::new("raise-max")).change(
            "hpa.maxReplicas",
            Some(Value::from(hpa.max_replicas)),
            to.into(),
        );
        let problem = problem.advise(patch(advice, hpa, &[("maxReplicas", to)]));
        Ok(problem.chart(ChartSeries::of_autoscaler(view, hpa)).into())
    }
}

/// In order, and to be watched when few replicas are left to add.
fn near_max(hpa: &Hpa, view: &View<'_>) -> Outcome {
    let (replicas, max) = (hpa.current_replicas, hpa.max_replicas);
    let distance = measure::below(replicas.into(), max.into());
    if !view.keeps_watching(distance) {
        return Outcome::Ok;
    }
    let text = Text::new("near-max").with("replicas", replicas).with("max", max);
    Outcome::when(false, distance, Problem::new(Severity::Info, text).measured("replicas", replicas, max))
}

/// How long an autoscaler has been at its maximum.
struct Lasted {
    seconds: f64,
    /// Whether it was there before the first that is known of it.
    at_least: bool,
}

/// How long an autoscaler that is at its maximum has been there.
fn at_max_for(hpa: &Hpa, view: &View<'_>) -> Result<Lasted, Missing> {
    let now = view.snapshot.taken_at;
    let by_condition = hpa
        .condition("ScalingLimited")
        .filter(|c| c.status == Some(true) && c.reason == "TooManyReplicas")
        .and_then(|c| c.since)
        .map(|since| Lasted { seconds: now.seconds_since(since), at_least: false });
    let key = SeriesKey::autoscaler(&hpa.namespace, &hpa.name);
    let by_series = view.series(Metric::HpaReplicas, &key).ok().flatten().map(|series| {
        let max = f64::from(hpa.max_replicas);
        let first = series.iter().rev().take_while(|(_, n)| *n >= max).last();
        Lasted {
            seconds: first.map_or(0.0, |(index, _)| now.seconds_since(series.window().at(index))),
            at_least: series.iter().all(|(_, n)| n >= max),
        }
    });
    match (by_condition, by_series) {
        (Some(a), Some(b)) => Ok(if b.seconds > a.seconds { b } else { a }),
        (Some(a), None) | (None, Some(a)) => Ok(a),
        (None, None) => Err(Missing::NotReported { field: Field::AtMaxSince }),
    }
}

/// Whether this check, as it is by default, tells of an autoscaler that is at its maximum.
pub(super) fn tells(hpa: &Hpa, view: &View<'_>) -> bool {
    hpa.current_replicas >= hpa.max_replicas
        && hpa.max_replicas > hpa.min_replicas
        && at_max_for(hpa, view).is_ok_and(|lasted| lasted.seconds >= HpaAtMaxParams::default().lasting.get())
}

/// The replicas that the metrics ask for by the autoscaler's own formula (`ceil(replicas x current / target)`), and
/// at least half more than the maximum now.
pub(super) fn next_max(hpa: &Hpa) -> u32 {
    let asked = hpa.metrics.iter().filter(|m| m.utilization).filter_map(|m| Some(m.current? / m.target?));
    let most = asked.filter(|share| share.is_finite()).fold(0.0, f64::max);
    let needed = (f64::from(hpa.current_replicas) * most).ceil() as u32;
    needed.max(hpa.max_replicas.saturating_add(hpa.max_replicas.div_ceil(2)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{self, advice};

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-at-max", text, expected);
    }

    const PINNED: &str = "ScalingLimited=yes:TooManyReplicas";

    #[test]
    fn from_the_condition() {
        check(&format!("hpa web/api min=2 max=6 now=6 {PINNED}@899s"), "1 ok");
        check(
            &format!("hpa web/api min=2 max=6 now=6 {PINNED}@15m"),
            "warning web/api: at its maximum of 6 replicas for 15m",
        );
        check(&format!("hpa web/api min=2 max=6 now=5 {PINNED}@6h"), "1 ok");
    }

    #[test]
    fn from_the_series() {
        check(
            "window step=5m\nhpa web/api min=2 max=6 now=6  replicas: 4x5 6x3",
            "warning web/api: at its maximum of 6 replicas for 15m",
        );
        check("window step=5m\nhpa web/api min=2 max=6 now=6  replicas: 4x5 6x2", "1 ok");
        check(
            "window step=5m\nhpa web/api min=2 max=6 now=6  replicas: 6x4",
            "warning web/api: at its maximum of 6 replicas for at least 20m",
        );
        check("window step=5m\nhpa web/api min=2 max=6 now=6  replicas: 6x5 4 6x1", "1 ok");
    }

    #[test]
    fn limited_at_the_minimum_is_normal() {
        check("hpa web/api min=2 max=6 now=2 ScalingLimited=yes:TooFewReplicas@9h", "1 ok");
    }

    #[test]
    fn a_fixed_size_is_no_autoscaler_at_its_end() {
        check(&format!("hpa web/api min=6 max=6 now=6 {PINNED}@9h"), "1 ok");
        check(&format!("hpa web/api min=0 max=0 now=0 {PINNED}@9h"), "1 ok");
    }

    #[test]
    fn since_when_is_unknown() {
        check(
            "hpa web/api min=2 max=6 now=6",
            "1 unknown: time since the autoscaler is at its maximum is not reported",
        );
        check(
            "denied autoscalers namespace=web",
            "1 unknown: not allowed to list autoscalers in namespace web",
        );
        // The clock of the API server is ahead.
        check(&format!("window now=-10m\nhpa web/api min=2 max=6 now=6 {PINNED}@5m"), "1 ok");
    }

    #[test]
    fn advice_is_what_the_metrics_ask_for() {
        let to = |cpu: &str| {
            advice("hpa-at-max", &format!("hpa web/api min=2 max=6 now=6 cpu={cpu}/70% {PINNED}@1h"))
        };
        assert_eq!(
            to("140%"),
            ["raise maxReplicas from 6 to 12, after a look at what the nodes and the database can bear \
              [kubectl -n web patch hpa api --patch '{\"spec\":{\"maxReplicas\":12}}']"]
        );
        assert!(to("72%")[0].contains("from 6 to 9,") && to("?")[0].contains("from 6 to 9,"));
    }
}
