//! `hpa-target-missing`: an autoscaler scales something that does not exist.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::snapshot::{Field, Missing};
use crate::unit::Seconds;
use crate::view::{Autoscaler, View};

/// An autoscaler scales something that does not exist.
pub struct HpaTargetMissing;

crate::params! {
    /// Parameters of `hpa-target-missing`.
    pub struct HpaTargetMissingParams {
        /// Time that the target may be missing, as in a rollout that makes it anew.
        lasting: Seconds = Seconds(300.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for HpaTargetMissing {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-target-missing",
        title: "Autoscaler without target",
        since: "0.1.0",
        checks: "Whether the workload that an autoscaler scales exists and has a scale.",
        why: "Nothing scales: the autoscaler is left over, or its target was renamed and now has none.",
        decides: "A warning when the condition AbleToScale is false with the reason FailedGetScale for longer than \
                  `lasting`. Where the condition is not reported, when a Deployment or StatefulSet of that name is in no \
                  list. Other kinds without the condition are unknown.",
        remedy: "Give the autoscaler the name of the workload, or delete it.",
        false_alarms: "A workload that is deleted each night and made again in the morning.",
        texts: &[
            ("missing", "its target {target} does not exist or has no scale"),
            ("correct", "correct `scaleTargetRef`, or delete the autoscaler"),
        ],
    };
    type Params = HpaTargetMissingParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Autoscalers).objects(ObjectKind::Workloads).objects(ObjectKind::Pods);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, view: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        let age = |since: Option<crate::time::Timestamp>| since.map(|t| t.age_at(view.snapshot.taken_at));
        let (message, since) = match hpa.condition("AbleToScale") {
            Some(c) if fails(subject) => {
                let lasts = age(c.since).is_none_or(|age| age.is_some_and(|age| age > params.lasting.get()));
                if !lasts {
                    return Ok(Outcome::Ok);
                }
                (c.message.as_str(), c.since)
            }
            Some(c) if c.status.is_some() => return Ok(Outcome::Ok),
            _ if subject.target.is_some() => return Ok(Outcome::Ok),
            _ if is_listed(&hpa.target.kind) => {
                if let Some(why) = view.unavailable(ObjectKind::Workloads, &hpa.namespace) {
                    return Err(why.clone());
                }
                ("", None)
            }
            _ => return Err(Missing::NotReported { field: Field::AbleToScale }),
        };
        let target = format!("{} {}", hpa.target.kind, hpa.target.name);
        let mut problem =
            Problem::new(Severity::Warning, Text::new("missing").with("target", target.as_str()))
                .evidence("target", target)
                .since(since);
        if !message.is_empty() {
            problem = problem.evidence("message", message);
        }
        let command = format!("kubectl -n {} describe hpa {}", hpa.namespace, hpa.name);
        let advice = Advice::new(Text::new("correct")).command(command, &[&hpa.namespace, &hpa.name]);
        Ok(problem.advise(advice).into())
    }
}

/// Kinds that are listed in full, so that one which is not in the list does not exist.
fn is_listed(kind: &str) -> bool {
    matches!(kind, "Deployment" | "StatefulSet")
}

/// Whether the autoscaler itself says that it cannot read the scale of its target. Then it cannot read metrics either.
pub(super) fn fails(subject: &Autoscaler<'_>) -> bool {
    let able = subject.hpa.condition("AbleToScale");
    able.is_some_and(|c| c.status == Some(false) && c.reason == "FailedGetScale")
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-target-missing", text, expected);
    }

    const GONE: &str = "warning web/api: its target Deployment api does not exist or has no scale";

    #[test]
    fn the_autoscaler_says_so() {
        check("hpa web/api AbleToScale=no:FailedGetScale@1h", GONE);
        check("hpa web/api AbleToScale=no:FailedGetScale@5m", "1 ok");
        check("hpa web/api AbleToScale=no:FailedUpdateScale@1h", "1 ok");
        check("hpa web/api AbleToScale=yes:ReadyForNewScale@1h", "1 ok");
    }

    #[test]
    fn lists_tell_where_it_does_not() {
        check("hpa web/api", GONE);
        check("workload web/Deployment/api\nhpa web/api", "1 ok");
        check("hpa web/api target=Rollout/api", "1 unknown: condition AbleToScale is not reported");
        check("hpa web/api\ndenied workloads", "1 unknown: not allowed to list workloads in all namespaces");
        check("denied autoscalers", "1 unknown: not allowed to list autoscalers in all namespaces");
    }
}
