//! `disruption-budget-blocking`: no pod may be evicted, so no node can be drained.

use crate::check::{Check, CheckInfo, Judgement, Outcome};
use crate::finding::{Advice, Problem, Severity, Text, Value};
use crate::inventory::{DisruptionBudget, SharedPods};
use crate::model::ObjectKind;
use crate::need::Needs;
use crate::phrase::{first_and_more, or, phrase};
use crate::snapshot::{Field, Missing};
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
        checks: "Whether a PodDisruptionBudget ever allows an eviction, whether it selects any pod, and whether \
                 another one selects the same.",
        why: "A node whose pods may not be evicted cannot be drained: upgrades and scale-downs hang until somebody \
              deletes the budget.",
        decides: "A warning when the budget demands as many healthy pods as it counts (`desiredHealthy >= \
                  expectedPods`), so that it allows no eviction even when all are healthy, and when Kubernetes says \
                  that it cannot work the budget out (reason `SyncFailed`), for then it allows none either. A warning, \
                  too, when another budget selects some of the same pods, by their labels: Kubernetes refuses to evict \
                  a pod that has more than one. It is told at the first of them by name; pods that are pending, have \
                  ended or are being deleted do not count. Info when it counts no pod at all, but for one whose \
                  workload is scaled to zero. One that a controller keeps (`ownerReferences`) is info where it blocks, and \
                  may count no pod: operators of databases move the primary themselves before its node is drained. When pods are unhealthy \
                  and only therefore none may go, the budget does its work and the pods are told of by other checks. \
                  Budgets younger than `min-age` are left out.",
        remedy: "Let one pod go: `maxUnavailable: 1`, or more replicas than `minAvailable`. A budget that selects \
                 nothing has the wrong labels or is left over. Of two for the same pods delete one: operators often \
                 make their own beside that of a chart.",
        false_alarms: "A single replica that must not be moved without a person: say so by an annotation on the \
                       budget's workload, or leave the check out for that namespace.",
        texts: &[
            ("blocks", "allows no eviction even when all {expected} pods are healthy: {rule}"),
            ("blocks-one", "allows no eviction of its only pod, even when that is healthy: {rule}"),
            ("blocks-owned", "allows no eviction even when all is healthy, as {owner} made it: {rule}"),
            (
                "owned",
                "see how {owner} is drained: its controller would undo a change of the budget, and may move the pod itself",
            ),
            (
                "broken",
                "allows no eviction, for Kubernetes cannot work out how many pods may go ({rule}): {why}",
            ),
            ("selects-nothing", "selects no pod"),
            (
                "shared",
                "shares {pods} with {with}, and Kubernetes refuses to evict a pod that has more than one budget",
            ),
            ("one-budget", "leave every pod one budget: delete one of them, or keep their selectors apart"),
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
        needs.objects(ObjectKind::DisruptionBudgets).objects(ObjectKind::Pods);
        needs.objects(ObjectKind::Workloads);
    }

    fn judge(params: &Self::Params, budget: &&DisruptionBudget, view: &View<'_>) -> Judgement {
        if view.is_younger(budget.created, params.min_age) {
            return Ok(Outcome::NotApplicable);
        }
        let (namespace, name) = (&budget.id.namespace, &budget.id.name);
        let shared = shared(params, budget, view);
        if let Ok(Some(shared)) = &shared {
            return Ok(shares(budget, shared).into());
        }
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
        if expected == 0 && (budget.scaled_to_zero.is_some() || budget.owner.is_some()) {
            return Ok(Outcome::NotApplicable);
        }
        if expected == 0 {
            let command = format!("kubectl -n {namespace} get pdb {name} -o yaml");
            let advice = Advice::new(Text::new("labels")).command(command, &[namespace, name]);
            return Ok(Problem::new(Severity::Info, Text::new("selects-nothing"))
                .since(budget.created)
                .advise(advice)
                .into());
        }
        if budget.desired_healthy < expected {
            return shared.map(|_| Outcome::Ok);
        }
        let (severity, text) = match (&budget.owner, expected) {
            (Some(owner), _) => (Severity::Info, Text::new("blocks-owned").with("owner", owner.as_str())),
            (None, 1) => (Severity::Warning, Text::new("blocks-one")),
            (None, _) => (Severity::Warning, Text::new("blocks").with("expected", expected as usize)),
        };
        let problem = Problem::new(severity, text.with("rule", rule(budget)));
        Ok(blocks(problem, budget, expected).since(budget.created).into())
    }
}

/// What it demands of the pods that it counts, and how to demand less.
fn blocks(problem: Problem, budget: &DisruptionBudget, expected: u32) -> Problem {
    let problem = problem.measured("desired-healthy", budget.desired_healthy as usize, expected);
    let problem = problem.evidence("healthy", budget.current_healthy as usize);
    if let Some(owner) = &budget.owner {
        return problem.advise(Advice::new(Text::new("owned").with("owner", owner.as_str())));
    }
    let (namespace, name) = (&budget.id.namespace, &budget.id.name);
    let patch = r#"{"spec":{"minAvailable":null,"maxUnavailable":1}}"#;
    let command = format!("kubectl -n {namespace} patch pdb {name} --type merge -p '{patch}'");
    problem.advise(Advice::new(Text::new("loosen")).command(command, &[namespace, name]))
}

/// Pods that are shared, and the budgets with which: those that are not young.
struct Shared<'a> {
    pods: &'a SharedPods,
    with: Vec<&'a DisruptionBudget>,
}

/// Whether others select pods of a budget too. Of one that is alone in its namespace nobody needs to know the pods.
fn shared<'a>(
    params: &DisruptionBudgetBlockingParams,
    budget: &'a DisruptionBudget,
    view: &View<'a>,
) -> Result<Option<Shared<'a>>, Missing> {
    let budgets = &view.snapshot.objects.inventory.disruption_budgets;
    let other = |b: &&DisruptionBudget| b.id.namespace == budget.id.namespace && b.id.name != budget.id.name;
    let mut others = budgets.iter().filter(other).peekable();
    if others.peek().is_none() {
        return Ok(None);
    }
    let Some(pods) = &budget.shared else {
        let denied = view.unavailable(ObjectKind::Pods, &budget.id.namespace).cloned();
        return Err(denied.unwrap_or(Missing::NotReported { field: Field::SharedPods }));
    };
    let settled =
        |b: &&DisruptionBudget| pods.with.contains(&b.id.name) && !view.is_younger(b.created, params.min_age);
    let with: Vec<&DisruptionBudget> = others.filter(settled).collect();
    Ok((pods.pods > 0 && !with.is_empty()).then_some(Shared { pods, with }))
}

fn shares(budget: &DisruptionBudget, shared: &Shared<'_>) -> Problem {
    let SharedPods { pods, pod, workload, .. } = shared.pods;
    let first: Value = match workload {
        Some(of) => {
            let of = format!("{} {}", of.kind, of.name);
            phrase("pod-of-workload").with("pod", pod.as_str()).with("workload", of).into()
        }
        None => pod.as_str().into(),
    };
    let in_words: Value = match pods.saturating_sub(1) {
        0 => first,
        more => phrase("and-more").with("first", first).with("more", more).into(),
    };
    let names: Vec<String> = shared.with.iter().map(|b| b.id.name.clone()).collect();
    let text = Text::new("shared").with("pods", in_words);
    let command = format!("kubectl -n {} get pdb -o wide", budget.id.namespace);
    let since = shared.with.iter().map(|b| b.created).min().flatten().max(budget.created);
    let problem = Problem::new(Severity::Warning, text.with("with", first_and_more(&names, "none")))
        .evidence("shared-pods", *pods)
        .evidence("other-budgets", names.into_iter().map(Value::from).collect::<Vec<_>>())
        .pod(pod)
        .since(since)
        .advise(Advice::new(Text::new("one-budget")).command(command, &[&budget.id.namespace]));
    // It would allow no eviction alone either.
    match budget.expected_pods.filter(|expected| *expected > 0 && budget.desired_healthy >= *expected) {
        Some(expected) => blocks(problem, budget, expected),
        None => problem,
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
            "warning web/api: allows no eviction of its only pod, even when that is healthy: minAvailable 1",
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
        let budget = "budget web/api min=1 expected=0 created=30d";
        check(budget, "info web/api: selects no pod");
        check(&format!("{budget} zero=\"Deployment api\""), "nothing");
        check(&format!("{budget} owner=\"Cluster pg\""), "nothing");
    }

    /// Of a database each node drain asks its operator, which would make the budget so again.
    #[test]
    fn one_that_a_controller_keeps() {
        let budget =
            "budget db/pg-primary min=1 expected=1 healthy=1 desired=1 created=30d owner=\"Cluster pg\"";
        check(
            budget,
            "info db/pg-primary: allows no eviction even when all is healthy, as Cluster pg made it: minAvailable 1",
        );
        let advice = fixture::advice("disruption-budget-blocking", budget);
        assert!(advice.len() == 1 && advice[0].starts_with("see how Cluster pg is drained"), "{advice:?}");
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

    /// Kubernetes refuses to evict a pod that has more than one budget, whatever these allow.
    #[test]
    fn pods_of_two_budgets() {
        let of = |name: &str, words: &str| {
            format!("budget web/{name} max=1 expected=3 healthy=3 desired=2 allowed=1 {words}\n")
        };
        let alone = of("other", "created=30d");
        let api = |shared: &str| {
            of("api", &format!("created=30d shared={shared} pod=api-0 workload=StatefulSet/api"))
        };
        let end = "and Kubernetes refuses to evict a pod that has more than one budget\n1 ok";
        check(
            &format!("{}{alone}", api("3 with=other")),
            &format!("warning web/api (api-0): shares api-0 of StatefulSet api and 2 more with other, {end}"),
        );
        check(
            &format!("{}{alone}", api("1 with=other")),
            &format!("warning web/api (api-0): shares api-0 of StatefulSet api with other, {end}"),
        );
        let third = of("third", "created=1d");
        check(
            &format!("{}{alone}{third}", api("1 with=other,third")),
            "warning web/api (api-0): shares api-0 of StatefulSet api with other and 1 more, and Kubernetes \
             refuses to evict a pod that has more than one budget\n2 ok",
        );
        // One takes the place of another.
        check(&format!("{}{}", api("3 with=other"), of("other", "created=10m")), "1 ok");
        check(&format!("{}{alone}", api("0")), "2 ok");
        // It is told first: what it demands makes no difference as long as there are two.
        let strict = "budget web/api min=3 expected=3 desired=3 created=30d shared=3 with=other pod=api-0\n";
        let advice = fixture::advice("disruption-budget-blocking", &format!("{strict}{alone}"));
        assert_eq!(
            advice,
            [
                "leave every pod one budget: delete one of them, or keep their selectors apart [kubectl -n web get pdb -o wide]",
                "let one pod go at a time: `maxUnavailable: 1` [kubectl -n web patch pdb api --type merge -p \
                 '{\"spec\":{\"minAvailable\":null,\"maxUnavailable\":1}}']",
            ]
        );
    }

    #[test]
    fn they_share_since_the_later_one_is_there() {
        let text = "budget web/api max=1 expected=3 desired=2 created=30d shared=3 with=b pod=api-0\n\
                    budget web/b max=1 expected=3 desired=2 created=2d";
        let since = fixture::findings("disruption-budget-blocking", text).remove(0).since;
        assert_eq!(since, Some(fixture::END.plus_seconds(-2.0 * 86_400.0)));
    }

    #[test]
    fn missing_is_unknown() {
        check(
            "denied disruption-budgets",
            "1 unknown: not allowed to list disruption-budgets in all namespaces",
        );
        let of =
            |name: &str| format!("budget web/{name} max=1 expected=3 desired=2 created=30d shared=unknown\n");
        check(&of("a"), "1 ok");
        check(
            &format!("{}{}", of("a"), of("b")),
            "2 unknown: which pods other budgets select too is not reported",
        );
        check(
            &format!("{}{}denied pods namespace=web", of("a"), of("b")),
            "2 unknown: not allowed to list pods in namespace web",
        );
        // What is wrong with one alone is told all the same.
        check(
            &format!("budget web/c max=0 expected=3 desired=3 created=30d shared=unknown\n{}", of("a")),
            "warning web/c: allows no eviction even when all 3 pods are healthy: maxUnavailable 0\n\
             1 unknown: which pods other budgets select too is not reported",
        );
    }
}
