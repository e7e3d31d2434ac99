//! An account that may list pods only in some namespaces: kube-state-metrics fills in the others.

use healthcore::model::ObjectKind;
use healthcore::need::Budget;
use healthcore::report::{Cost, Report};
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Snapshot, Unavailable};
use lambda_free_runner::{RunSpec, Silent, run_once};

use crate::fake::{Fake, spec};
use crate::stories;

const BUDGETS: [Budget; 2] =
    [Budget { samples: u64::MAX, series: 1_000 }, Budget { samples: 12_000, series: 1_000 }];

fn run(spec: RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Report { cost: Cost::default(), ..runtime.block_on(run_once(&spec, &Silent)).unwrap() }
}

fn demo() -> Snapshot {
    stories::all().into_iter().find(|s| s.name == "demo").unwrap().parts.remove(0)
}

/// What kube-state-metrics tells of the demo, wrong where the API knows better.
fn metrics() -> Snapshot {
    let mut part = demo();
    part.objects.origin = Origin::KubeStateMetrics;
    for workload in part.objects.workloads.iter_mut().filter(|w| w.id.namespace == "trade") {
        workload.replicas.as_mut().unwrap().ready = 0;
    }
    part.objects.hpas.iter_mut().for_each(|h| h.max_replicas = 1);
    part
}

/// What an API shows that keeps some lists to itself, with its gaps.
fn api(denied: &[(ObjectKind, &str, Option<&str>)], hides: impl Fn(&str) -> bool) -> (Snapshot, Vec<Gap>) {
    let mut part = demo();
    part.objects.pods.retain(|p| !hides(&p.workload.namespace));
    let mut gaps = Vec::new();
    for (kind, resource, namespace) in denied {
        if *kind == ObjectKind::Workloads {
            part.objects.workloads.retain(|w| namespace.is_some_and(|n| n != w.id.namespace));
        }
        let why = Missing::AccessDenied {
            verb: "list".to_owned(),
            resource: (*resource).to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        let place = namespace.map_or_else(String::new, |n| format!("{n}/"));
        gaps.push(Gap::new(format!("prod/{place}{resource}"), GapCause::AccessDenied, why.phrase()));
        part.objects.unavailable.push(Unavailable::new(*kind, namespace.map(str::to_owned), why));
    }
    (part, gaps)
}

fn gaps(report: &Report) -> Vec<String> {
    report.gaps.iter().map(|g| format!("{}: {}", g.scope, g.detail)).collect()
}

#[test]
fn namespaces_whose_pods_are_denied_are_filled_in() {
    let whole = Fake::new(demo());
    let whole = run(spec(Some(whole.clone()), Some(whole)));
    for budget in BUDGETS {
        let (part, told) = api(
            &[
                (ObjectKind::Pods, "pods", Some("trade")),
                (ObjectKind::Pods, "pods", Some("pigo")),
                (ObjectKind::Workloads, "statefulsets.apps", Some("pigo")),
            ],
            |namespace| ["trade", "pigo"].contains(&namespace),
        );
        let spec = spec(Some(Fake::new(metrics())), Some(Fake::with_gaps(part, told)));
        let report = run(RunSpec { budget, ..spec });
        assert_eq!(
            gaps(&report),
            [
                "prod/pigo/pods: not allowed to list pods in namespace pigo; kube-state-metrics filled in for pigo",
                "prod/pigo/statefulsets.apps: not allowed to list statefulsets.apps in namespace pigo; \
                 kube-state-metrics filled in for pigo",
                "prod/trade/pods: not allowed to list pods in namespace trade; kube-state-metrics filled in for trade",
            ]
        );
        assert_eq!(report.clusters, whole.clusters, "objects are still from the API");
        assert_eq!(report.findings, whole.findings);
        assert_eq!(report.checks, whole.checks);
    }
}

#[test]
fn without_the_names_of_namespaces_all_others_are_filled_in() {
    let whole = Fake::new(demo());
    let whole = run(spec(Some(whole.clone()), Some(whole)));
    let (part, told) = api(&[(ObjectKind::Pods, "pods", None)], |namespace| namespace != "trade");
    let mut metrics = metrics();
    // Of the namespace that may be read, kube-state-metrics is not believed.
    metrics.objects.pods.retain(|p| p.workload.namespace != "trade" || !p.name.starts_with("ledger"));
    let report = run(spec(Some(Fake::new(metrics)), Some(Fake::with_gaps(part, told))));
    assert_eq!(
        gaps(&report),
        [
            "prod/pods: not allowed to list pods in all namespaces; kube-state-metrics filled in for exchange, logging, pigo \
          and 2 more"
        ]
    );
    assert_eq!(report.findings, whole.findings);
    assert_eq!(report.checks, whole.checks);
}

#[test]
fn what_kube_state_metrics_does_not_tell_either_stays_unknown() {
    let denied = [(ObjectKind::Pods, "pods", Some("pigo"))];
    let (part, told) = api(&denied, |namespace| namespace == "pigo");
    let without = |mut part: Snapshot| {
        part.objects.pods.retain(|p| p.workload.namespace != "pigo");
        part
    };
    let spec = spec(Some(Fake::new(without(metrics()))), Some(Fake::with_gaps(part, told)));
    let report = run(spec);
    assert_eq!(gaps(&report), ["prod/pigo/pods: not allowed to list pods in namespace pigo"]);
    let pods = report.checks.iter().find(|c| c.id == "pod-not-running").unwrap();
    let reasons: Vec<String> = pods.tally.reasons.keys().map(ToString::to_string).collect();
    assert_eq!(reasons, ["not allowed to list pods in namespace pigo"]);
}

/// The API tells of all but pods, as to an account that may read everything else.
#[test]
fn an_api_that_shows_no_pods_is_believed_in_all_else() {
    let whole = Fake::new(demo());
    let whole = run(spec(Some(whole.clone()), Some(whole)));
    let (part, told) = api(&[(ObjectKind::Pods, "pods", None)], |_| true);
    let report = run(spec(Some(Fake::new(metrics())), Some(Fake::with_gaps(part, told))));
    assert_eq!(
        gaps(&report),
        [
            "prod/pods: not allowed to list pods in all namespaces; kube-state-metrics filled in for exchange, logging, \
          pigo and 3 more"
        ]
    );
    let of = |report: &Report| {
        let own = &report.clusters[0];
        (own.objects_from, own.workloads, own.pods, own.found, own.unknown)
    };
    assert_eq!(of(&report), of(&whole), "the rest is from the API");
}

#[test]
fn without_kube_state_metrics_the_api_is_still_believed_and_its_reasons_stay() {
    let hidden = |metrics: Option<Snapshot>| {
        let (part, told) = api(&[(ObjectKind::Pods, "pods", None)], |_| true);
        run(spec(metrics.map(Fake::new), Some(Fake::with_gaps(part, told))))
    };
    let mut series = metrics();
    series.objects = Objects { origin: Origin::KubeStateMetrics, ..Objects::default() };
    let (with, without) = (hidden(Some(series)), hidden(None));
    assert_eq!(gaps(&with), ["prod/pods: not allowed to list pods in all namespaces"]);
    let of = |report: &Report, id: &str| {
        let found = report.checks.iter().find(|c| c.id == id).unwrap();
        let reasons: Vec<String> = found.tally.reasons.keys().map(ToString::to_string).collect();
        (found.tally.ok, found.tally.problem, reasons)
    };
    let denied = vec!["not allowed to list pods in all namespaces".to_owned()];
    assert_eq!(of(&with, "pod-not-running").2, denied);
    for id in ["hpa-fixed", "hpa-target-missing"] {
        let (with, without) = (of(&with, id), of(&without, id));
        assert!(with.0 + with.1 > 0, "{id}: {with:?}");
        assert_eq!((with.0, with.1), (without.0, without.1), "{id}");
    }
}

/// Where no list can be had from the API at all, kube-state-metrics is where objects are from.
#[test]
fn an_api_that_shows_nothing_leaves_all_to_kube_state_metrics() {
    let (mut part, _) = api(&[(ObjectKind::Pods, "pods", None)], |_| true);
    part.objects = Objects { unavailable: part.objects.unavailable, ..Objects::default() };
    let report = run(spec(Some(Fake::new(metrics())), Some(Fake::new(part))));
    assert_eq!(report.clusters[0].objects_from, Some(Origin::KubeStateMetrics));
    assert!(report.clusters[0].pods > 0);
}
