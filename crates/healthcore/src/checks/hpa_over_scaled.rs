//! `hpa-over-scaled`: many replicas do little.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::checks::hpa_use::cpu_of_request;
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::metric::Metric;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::unit::{Cores, Ratio, Seconds};
use crate::view::{Autoscaler, View};

/// Many replicas do little.
pub struct HpaOverScaled;

crate::params! {
    /// Parameters of `hpa-over-scaled`.
    pub struct HpaOverScaledParams {
        /// Replicas from which on it is judged; the value itself counts.
        replicas: u32 = 5,
        /// Mean CPU as a share of the request below which use is low.
        low_use: Ratio = Ratio(0.30),
        /// How far the mean looks back.
        lookback: Seconds = Seconds(86400.0),
        /// CPU that fewer replicas must free for a warning; less is info.
        warning_freed: Cores = Cores(1.0),
    }
}

impl Check for HpaOverScaled {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-over-scaled",
        title: "Autoscaler keeps too many replicas",
        since: "0.1.0",
        checks: "Whether an autoscaler keeps many replicas that do little.",
        why: "Each replica reserves its request, whether it works or not.",
        decides: "At least `replicas` replicas now, and the mean CPU of all containers over `lookback` below `low-use` of what \
                  they request. Info; a warning where as many replicas as reach 60 % use would free at least `warning-freed`.",
        remedy: "Lower minReplicas, or look at the metric that holds the replicas up.",
        false_alarms: "Replicas that are kept for memory, connections or failover.",
        texts: &[
            ("idle", "{replicas} replicas use {share} of the CPU that they request"),
            ("lower-min", "lower minReplicas from {from}; {to} replicas would carry the load at 60 % use"),
            (
                "other-metric",
                "minReplicas is {min}, so another metric holds the replicas up; look at it with the command",
            ),
        ],
    };
    type Params = HpaOverScaledParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs
            .metric(Metric::CpuUsage)
            .objects(ObjectKind::Autoscalers)
            .objects(ObjectKind::Workloads)
            .objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa.current_replicas < params.replicas {
            return Ok(Outcome::Ok);
        }
        let share = Ratio(cpu_of_request(subject, view, params.lookback)?);
        if share >= params.low_use {
            return Ok(Outcome::Ok);
        }
        let enough = ((f64::from(hpa.current_replicas) * share.get() / 0.6).ceil() as u32).max(1);
        let request: f64 = view
            .containers_of(&subject.target_id())
            .filter_map(|c| c.resources().cpu_request)
            .map(Cores::get)
            .sum();
        let freed = Cores(f64::from(hpa.current_replicas.saturating_sub(enough)) * request);
        let severity = if freed >= params.warning_freed { Severity::Warning } else { Severity::Info };
        let advice = if hpa.min_replicas > enough {
            Advice::new(Text::new("lower-min")).change(
                "hpa.minReplicas",
                Some(Value::from(hpa.min_replicas)),
                enough.into(),
            )
        } else {
            let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
            Advice::new(Text::new("other-metric").with("min", hpa.min_replicas))
                .command(command, &[&hpa.namespace, &hpa.name])
        };
        Ok(Problem::new(
            severity,
            Text::new("idle").with("replicas", hpa.current_replicas).with("share", share),
        )
        .measured("replicas", hpa.current_replicas, params.replicas)
        .measured("cpu-of-request", share, params.low_use)
        .evidence("freed", freed)
        .advise(advice)
        .into())
    }
}
