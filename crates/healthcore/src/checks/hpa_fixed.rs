//! `hpa-fixed`: an autoscaler that may not scale.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::view::{Autoscaler, View};

/// An autoscaler that may not scale.
pub struct HpaFixed;

crate::params! {
    /// Parameters of `hpa-fixed`.
    pub struct HpaFixedParams {
        /// Replicas from `min` to `max` below which there is no room to scale.
        room: u32 = 1 => 1..=100,
    }
}

impl Check for HpaFixed {
    const INFO: CheckInfo = CheckInfo {
        id: "hpa-fixed",
        title: "Autoscaler without room",
        since: "0.1.0",
        checks: "Whether the bounds of an autoscaler let it scale.",
        why: "It looks as if the workload scaled with its load, and it does not.",
        decides: "Info when `maxReplicas` less `minReplicas` is below `room`, with the default when both are equal.",
        remedy: "Raise `maxReplicas`, or delete the autoscaler and set the replicas of the workload.",
        false_alarms: "An autoscaler that is pinned for a short time, for a sale or a migration.",
        texts: &[
            ("fixed", "may not scale: at least {min} and at most {max} replicas"),
            ("widen", "raise its maximum above {max}, or set the replicas of the workload and delete it"),
        ],
    };
    type Params = HpaFixedParams;
    type Subject<'a> = Autoscaler<'a>;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::Autoscalers);
    }

    fn judge(params: &Self::Params, subject: &Autoscaler<'_>, _: &View<'_>) -> Judgement {
        let hpa = subject.hpa;
        if hpa.max_replicas.saturating_sub(hpa.min_replicas) >= params.room {
            return Ok(Outcome::Ok);
        }
        let (namespace, name, max) = (&hpa.namespace, &hpa.name, hpa.max_replicas);
        let text = Text::new("fixed").with("min", hpa.min_replicas).with("max", max);
        let patch = format!(r#"{{"spec":{{"maxReplicas":{}}}}}"#, max.saturating_mul(2));
        let command = format!("kubectl -n {namespace} patch hpa {name} -p '{patch}'");
        let advice = Advice::new(Text::new("widen").with("max", max)).command(command, &[namespace, name]);
        Ok(Problem::new(Severity::Info, text)
            .evidence("min-replicas", hpa.min_replicas)
            .evidence("max-replicas", max)
            .advise(advice)
            .into())
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("hpa-fixed", text, expected);
    }

    #[test]
    fn equal_bounds() {
        check(
            "hpa web/api min=3 max=3 now=3",
            "info web/api: may not scale: at least 3 and at most 3 replicas",
        );
        check("hpa web/api min=3 max=4 now=3", "1 ok");
        check(
            "set room=2\nhpa web/api min=3 max=4 now=3",
            "info web/api: may not scale: at least 3 and at most 4 replicas",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check("denied autoscalers", "1 unknown: not allowed to list autoscalers in all namespaces");
    }
}
