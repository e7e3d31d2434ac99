//! `disruption-budget-blocking`: no pod may be evicted, so no node can be drained.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::DisruptionBudget;
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::{or, phrase};
use crate::unit::Seconds;
use crate::view::View;

/// No pod may be evicted, so no node can be drained.
pub struct DisruptionBudgetBlocking;

crate::params! {
    /// Parameters of `disruption-budget-blocking`.
    pub struct DisruptionBudgetBlockingParams {
        /// How old a budget must be; its pods need time to start.
        min_age: Seconds = Seconds(900.0) => Seconds(0.0)..=Seconds::from_days(30.0),
    }
}

impl Check for DisruptionBudgetBlocking {
    const INFO: CheckInfo = CheckInfo {
        id: "disruption-budget-blocking",
        title: "Disruption budget blocks",
        since: "0.1.0",
        checks: "Whether a PodDisruptionBudget ever allows an eviction, and whether it selects any pod.",
        why: "A node whose pods may not be evicted cannot be drained: upgrades and scale-downs hang until somebody \
              deletes the budget.",
        decides: "A warning when the budget demands as many healthy pods as it counts (`desiredHealthy >= expectedPods`), \
                  so that it allows no eviction even when all are healthy, and when Kubernetes says that it cannot work the \
                  budget out (reason `SyncFailed`), for then it allows none either. Info when it counts no pod at all. When pods are \
                  unhealthy and only therefore none may go, the budget does its work and the pods are told of by other \
                  checks. Budgets younger than `min-age` are left out.",
        remedy: "Let one pod go: `maxUnavailable: 1`, or more replicas than `minAvailable`. A budget that selects nothing \
                 has the wrong labels or is left over.",
        false_alarms: "A single replica that must not be moved without a person: say so by an annotation on the budget's \
                       workload, or leave the check out for that namespace.",
        texts: &[
            ("blocks", "allows no eviction even when all {expected} pods are healthy: {rule}"),
            (
                "broken",
                "allows no eviction, for Kubernetes cannot work out how many pods may go ({rule}): {why}",
            ),
            ("selects-nothing", "selects no pod"),
            (
                "look",
                "see what it says: a percentage and maxUnavailable need pods whose owner can be scaled, a number as minAvailable does not",
            ),
            ("loosen", "let one pod go at a time: `maxUnavailable: 1`"),
            ("labels", "compare its selector with the labels of the pods, or delete it"),
        ],
    };
    type Params = DisruptionBudgetBlockingParams;
    type Subject<'a> = &'a DisruptionBudget;

    fn needs(_: &Self::Params, needs: &mut Needs) {
        needs.objects(ObjectKind::DisruptionBudgets);
    }

    fn judge(params: &Self::Params, budget: &&DisruptionBudget, view: &View<'_>) -> Judgement {
        if view.is_younger(budget.created, params.min_age) {
            return Ok(Outcome::NotApplicable);
        }
        let (namespace, name) = (&budget.id.namespace, &budget.id.name);
        if let Some(failed) = budget.conditions.iter().find(|c| c.reason == "SyncFailed") {
            if view.is_younger(failed.since, params.min_age) {
                return Ok(Outcome::NotApplicable);
            }
            let why = or(&failed.message, "no-reason");
            let text = Text::new("broken").with("rule", rule(budget)).with("why", why);
            let command = format!("kubectl -n {namespace} describe pdb {name}");
            return Ok(Problem::new(Severity::Warning, text)
                .since(failed.since)
                .advise(Advice::new(Text::new("look")).command(command, &[namespace, name]))
                .into());
        }
        let Some(expected) = budget.expected_pods else { return Ok(Outcome::NotApplicable) };
        if expected == 0 {
            let command = format!("kubectl -n {namespace} get pdb {name} -o yaml");
            let advice = Advice::new(Text::new("labels")).command(command, &[namespace, name]);
            return Ok(Problem::new(Severity::Info, Text::new("selects-nothing"))
                .since(budget.created)
                .advise(advice)
                .into());
        }
        if budget.desired_healthy < expected {
            return Ok(Outcome::Ok);
        }
        let text = Text::new("blocks").with("expected", expected as usize).with("rule", rule(budget));
        let patch = r#"{"spec":{"minAvailable":null,"maxUnavailable":1}}"#;
        let command = format!("kubectl -n {namespace} patch pdb {name} --type merge -p '{patch}'");
        Ok(Problem::new(Severity::Warning, text)
            .measured("desired-healthy", budget.desired_healthy as usize, expected)
            .evidence("healthy", budget.current_healthy as usize)
            .since(budget.created)
            .advise(Advice::new(Text::new("loosen")).command(command, &[namespace, name]))
            .into())
    }
}

/// The rule as the budget writes it.
fn rule(budget: &DisruptionBudget) -> Value {
    match (&budget.min_available, &budget.max_unavailable) {
        (Some(min), _) => format!("minAvailable {min}").into(),
        (None, Some(max)) => format!("maxUnavailable {max}").into(),
        (None, None) => phrase("neither-bound").into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        fixture::check("disruption-budget-blocking", text, expected);
    }

    #[test]
    fn as_many_as_there_are_is_too_many() {
        check(
            "budget web/api min=1 expected=1 healthy=1 desired=1 allowed=0 created=30d",
            "warning web/api: allows no eviction even when all 1 pods are healthy: minAvailable 1",
        );
        check(
            "budget web/api max=0 expected=3 healthy=3 desired=3 allowed=0 created=30d",
            "warning web/api: allows no eviction even when all 3 pods are healthy: maxUnavailable 0",
        );
        check("budget web/api min=2 expected=3 healthy=3 desired=2 allowed=1 created=30d", "1 ok");
    }

    #[test]
    fn a_budget_at_work_is_none() {
        check("budget web/api min=2 expected=3 healthy=2 desired=2 allowed=0 created=30d", "1 ok");
        check("budget web/api min=1 expected=1 healthy=0 desired=1 created=14m", "nothing");
        check("budget web/api min=1 created=30d", "nothing");
    }

    #[test]
    fn one_that_selects_nothing_is_told() {
        check("budget web/api min=1 expected=0 created=30d", "info web/api: selects no pod");
    }

    /// A share of pods whose owner has no scale, or a text that is no share: the controller says so, and allows nothing.
    #[test]
    fn one_that_cannot_be_worked_out_blocks() {
        let budget = "budget web/api min=50% expected=0 created=30d";
        check(
            &format!("{budget} DisruptionAllowed=\"no:SyncFailed@2d:found no controller for pod a\""),
            "warning web/api: allows no eviction, for Kubernetes cannot work out how many pods may go (minAvailable 50%): found no controller for pod a",
        );
        check(
            &format!("{budget} DisruptionAllowed=no:SyncFailed"),
            "warning web/api: allows no eviction, for Kubernetes cannot work out how many pods may go (minAvailable 50%): no reason given",
        );
        check(&format!("{budget} DisruptionAllowed=no:SyncFailed@5m"), "nothing");
        check(
            "budget web/api min=half expected=3 healthy=3 desired=2 created=30d DisruptionAllowed=yes:SufficientPods",
            "1 ok",
        );
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "denied disruption-budgets",
            "1 unknown: not allowed to list disruption-budgets in all namespaces",
        );
    }
}
