//! Names in DNS, over the clusters of a run.

use std::path::Path;

use healthcore::fixture::Fixture;
use healthcore::inventory::DnsName;
use healthcore::report::Report;
use lambda_free_runner::{Hosts, Input, RunSpec, Silent, run_once};

use crate::fake::{Fake, fleet};

fn run(spec: &RunSpec) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run_once(spec, &Silent)).unwrap()
}

/// Clusters with these objects, and names that DNS leads to them.
fn spec(clusters: &[&str], names: &[&str], record: Option<&Path>) -> RunSpec {
    let cluster = |text: &&str| {
        Fake::new(Fixture::new(&format!("container web/api-0/app  memory: 100x40\n{text}")).snapshot)
    };
    let name = |host: &&str| DnsName {
        host: (*host).to_owned(),
        origin: "dns.yaml:1".to_owned(),
        ..DnsName::default()
    };
    let names = names.iter().map(name).collect();
    RunSpec {
        hosts: Hosts { names, not_judged: None },
        record: record.map(Path::to_owned),
        ..fleet(clusters.iter().map(cluster).collect())
    }
}

/// Cluster, host and severity of every host without route.
fn told(report: &Report) -> Vec<String> {
    let of_hosts = report.findings.iter().filter(|f| f.check == "host-without-route");
    of_hosts.map(|f| format!("{} {} {}", f.subject.cluster, f.subject.name, f.severity.name())).collect()
}

#[test]
fn a_name_is_told_once_over_the_clusters_and_a_replay_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    let clusters = [
        "requests powercard.example count=40",
        "requests powercard.example count=3570\nroute web/Ingress/front hosts=forex-ui.example",
    ];
    let live = run(&spec(&clusters, &["forex-ui.example", "powercard.example"], Some(&path)));
    assert_eq!(told(&live), ["c1 powercard.example warning"]);
    assert_eq!(run(&RunSpec::new(Input::Recording(path))), live);
}

#[test]
fn routes_of_namespaces_that_are_not_looked_into_count() {
    let clusters = ["route shop/Ingress/front hosts=a.example"];
    let mut restricted = spec(&clusters, &["a.example", "b.example"], None);
    if let Input::Live(clusters) = &mut restricted.input {
        clusters[0].selection.namespaces = vec!["web".to_owned()];
    }
    assert_eq!(told(&run(&restricted)), ["c0 b.example info"]);
}

#[test]
fn names_that_are_not_judged_are_a_gap() {
    let mut spec = spec(&["", ""], &["a.example"], None);
    spec.hosts.not_judged = Some("a cluster is left out".to_owned());
    let report = run(&spec);
    assert_eq!(told(&report), [] as [&str; 0]);
    let gaps: Vec<_> = report.gaps.iter().filter(|g| g.scope.ends_with("/hosts")).collect();
    assert_eq!(gaps.len(), 1, "{:?}", report.gaps);
    assert_eq!(gaps[0].detail, "N/A: the hosts of the configuration are not judged: a cluster is left out");
}
