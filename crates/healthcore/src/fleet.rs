//! What only a look at all clusters of a run can tell: a name of DNS is without route when no cluster has one for it, and an
//! image is stale when another cluster runs a newer build under the same tag.

pub(crate) mod builds;

use std::collections::{BTreeMap, BTreeSet};

use crate::analyse::Assessment;
use crate::checks::host_without_route;
use crate::finding::{Finding, SubjectRef, Value, fingerprint_hash};
use crate::inventory::{DnsName, Elsewhere, Inventory};
use crate::report::ClusterSummary;
use crate::snapshot::Missing;

/// Names in DNS that a route of the cluster names.
pub(crate) fn routed(inventory: &Inventory) -> BTreeSet<String> {
    inventory
        .dns_names
        .iter()
        .filter(|name| is_named(inventory, name))
        .map(|name| name.host.clone())
        .collect()
}

/// Names in DNS that only a route for any host takes, and how many requests for each the cluster counts.
pub(crate) fn caught(inventory: &Inventory) -> BTreeMap<String, u64> {
    let any = host_without_route::takes_any(inventory);
    let caught =
        |name: &&DnsName| (any || name.elsewhere == Elsewhere::AnyHost) && !is_named(inventory, name);
    let counted =
        |host: &str| inventory.host_requests.iter().find(|r| r.host == host).map_or(0, |r| r.requests);
    inventory.dns_names.iter().filter(caught).map(|name| (name.host.clone(), counted(&name.host))).collect()
}

fn is_named(inventory: &Inventory, name: &DnsName) -> bool {
    name.elsewhere == Elsewhere::Route || host_without_route::is_named(inventory, &name.host)
}

/// Names that files tell belong to no cluster, so that each cluster has judged them all. Those that another cluster serves
/// are in order (by a route for any host only those that lead there: no cluster without such a route counts more requests for
/// them), those that another one may serve are unknown, and the others are told once: where they have the most
/// requests.
pub(crate) fn settle_hosts(parts: &mut [(ClusterSummary, Assessment)]) {
    let fleet = Fleet::new(parts);
    // All before any is applied: what one cluster says of a host must not change what the others see.
    let fates: Vec<Vec<Fate>> = (0..parts.len()).map(|at| fleet.fates(at)).collect();
    for ((_, own), fates) in parts.iter_mut().zip(fates) {
        apply(own, fates);
    }
}

/// What all clusters say of the hosts.
struct Fleet<'p> {
    parts: &'p [(ClusterSummary, Assessment)],
    /// Hosts that some cluster serves.
    routed: BTreeSet<&'p str>,
    /// The cluster with the most requests for a host that none serves, the first of several.
    loudest: BTreeMap<&'p str, (u64, usize)>,
}

/// What becomes of a finding.
enum Fate {
    Stays,
    /// Another cluster serves the host.
    Served,
    /// Another cluster tells it.
    ToldElsewhere,
    Unknown(Missing),
}

impl<'p> Fleet<'p> {
    fn new(parts: &'p [(ClusterSummary, Assessment)]) -> Self {
        let mut loudest: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
        for (at, (_, own)) in parts.iter().enumerate() {
            for finding in own.findings.iter().filter(|f| is_of_file(f)) {
                let known = loudest.entry(&finding.subject.name).or_insert((requests(finding), at));
                if requests(finding) > known.0 {
                    *known = (requests(finding), at);
                }
            }
        }
        let mut routed: BTreeSet<&str> =
            parts.iter().flat_map(|(_, own)| &own.routed).map(String::as_str).collect();
        for (host, counted) in parts.iter().flat_map(|(_, own)| &own.caught) {
            if loudest.get(host.as_str()).is_none_or(|(most, _)| counted >= most) {
                routed.insert(host);
            }
        }
        Self { parts, routed, loudest }
    }

    fn fates(&self, at: usize) -> Vec<Fate> {
        self.parts[at].1.findings.iter().map(|finding| self.fate(at, finding)).collect()
    }

    fn fate(&self, at: usize, finding: &Finding) -> Fate {
        let host = finding.subject.name.as_str();
        if !is_of_file(finding) {
            Fate::Stays
        } else if self.routed.contains(host) {
            Fate::Served
        } else if let Some(cluster) = self.blind(at, &finding.subject) {
            Fate::Unknown(Missing::OtherCluster { cluster })
        } else if self.loudest.get(host).is_some_and(|(_, loudest)| *loudest != at) {
            Fate::ToldElsewhere
        } else {
            Fate::Stays
        }
    }

    /// Another cluster that may serve the host for all that is known.
    fn blind(&self, at: usize, host: &SubjectRef) -> Option<String> {
        let others = self.parts.iter().enumerate().filter(|(other, _)| *other != at);
        let blind = |(summary, other): &(ClusterSummary, Assessment)| {
            let subject = SubjectRef { cluster: summary.name.clone(), ..host.clone() };
            !summary.is_whole()
                || other.coverage.unjudged.contains(&fingerprint_hash(host_without_route::ID, &subject))
        };
        others.map(|(_, part)| part).find(|part| blind(part)).map(|(summary, _)| summary.name.clone())
    }
}

fn apply(own: &mut Assessment, fates: Vec<Fate>) {
    let mut left = Vec::with_capacity(own.findings.len());
    for (finding, fate) in std::mem::take(&mut own.findings).into_iter().zip(fates) {
        if matches!(fate, Fate::Stays) {
            left.push(finding);
            continue;
        }
        let tally = own.tallies.entry(host_without_route::ID).or_default();
        tally.problem = tally.problem.saturating_sub(1);
        match fate {
            Fate::Served => tally.ok += 1,
            Fate::Unknown(why) => {
                tally.unknown_of(why, finding.subject.clone());
                own.coverage.unjudged.insert(fingerprint_hash(host_without_route::ID, &finding.subject));
            }
            Fate::Stays | Fate::ToldElsewhere => {}
        }
    }
    own.findings = left;
}

/// Whether it tells of a name that files tell: those of annotations belong to the namespace of their object.
fn is_of_file(finding: &Finding) -> bool {
    finding.check == host_without_route::ID && finding.subject.namespace.is_empty()
}

fn requests(finding: &Finding) -> u64 {
    let counted = finding.evidence.iter().find(|e| e.name == "requests").map(|e| &e.value);
    match counted {
        Some(Value::Count(n)) => *n,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;
    use crate::fixture::Fixture;
    use crate::settings::Settings;
    use crate::snapshot::Origin;

    /// One cluster of a fleet, and what the checks say of it.
    pub(super) fn cluster(name: &str, text: &str, settings: &Settings) -> (ClusterSummary, Assessment) {
        let mut fixture = Fixture::new(text);
        fixture.snapshot.cluster = name.to_owned();
        let summary = ClusterSummary {
            name: name.to_owned(),
            objects_from: Some(Origin::KubernetesApi),
            ..ClusterSummary::default()
        };
        (summary, fixture.assess(&settings.resolve(CHECKS).expect("they are known")))
    }

    fn only() -> Settings {
        Settings { only: [host_without_route::ID.to_owned()].into(), ..Settings::default() }
    }

    /// What each cluster says of the hosts: its findings, then ok, problem, unknown.
    #[track_caller]
    fn check(clusters: &[&str], expected: &[&str]) {
        let mut parts: Vec<_> =
            clusters.iter().enumerate().map(|(i, text)| cluster(&format!("c{i}"), text, &only())).collect();
        settle_hosts(&mut parts);
        let told: Vec<String> = parts
            .iter_mut()
            .map(|(_, own)| {
                let found: Vec<String> =
                    own.findings.iter().map(|f| format!("{}={}", f.subject.name, requests(f))).collect();
                let tally = own.tally(host_without_route::ID);
                let why: Vec<String> = tally.reasons.keys().map(ToString::to_string).collect();
                let counts = format!("{} {} {}", tally.ok, tally.problem, tally.unknown);
                [found.join(","), counts, why.join(",")].join(" ").trim().to_owned()
            })
            .collect();
        assert_eq!(told, expected);
    }

    const DNS: &str = "dns a.example origin=dns.yaml:1";

    fn with(more: &str) -> String {
        format!("{DNS}\n{more}")
    }

    #[test]
    fn a_route_in_another_cluster_serves() {
        let routed = with("route web/Ingress/a hosts=a.example backends=a:80");
        check(&[DNS, &routed], &["1 0 0", "1 0 0"]);
        check(&[DNS, DNS], &["a.example=0 0 1 0", "0 0 0"]);
    }

    /// A catch-all takes what leads to its own cluster.
    #[test]
    fn a_route_for_any_host_serves_where_the_requests_are() {
        let any = with("route tools/Ingress/any backends=a:80");
        let counting = |n: u32, text: &str| format!("{text}\nrequests a.example count={n}");
        assert_ne!(any, DNS);
        check(&[&counting(20593, DNS), &any], &["a.example=20593 0 1 0", "1 0 0"]);
        // A scanner asks the other one as well.
        check(&[&counting(20593, DNS), &counting(3, &any)], &["a.example=20593 0 1 0", "1 0 0"]);
        check(&[&counting(3, DNS), &counting(20593, &any)], &["1 0 0", "1 0 0"]);
        // Where nobody counts any, it may lead there.
        check(&[DNS, &any], &["1 0 0", "1 0 0"]);
        check(&[DNS, &format!("{DNS} elsewhere=any-host")], &["1 0 0", "1 0 0"]);
        check(
            &[&counting(20593, DNS), &format!("{DNS} elsewhere=any-host")],
            &["a.example=20593 0 1 0", "1 0 0"],
        );
        check(&[&counting(20593, DNS), &format!("{DNS} elsewhere=route")], &["1 0 0", "1 0 0"]);
    }

    #[test]
    fn it_is_told_once_where_the_requests_are() {
        let few = with("requests a.example count=7");
        let many = with("requests a.example count=900");
        check(&[&few, &many, &few], &["0 0 0", "a.example=900 0 1 0", "0 0 0"]);
        check(&[&few, &few], &["a.example=7 0 1 0", "0 0 0"]);
    }

    #[test]
    fn where_a_cluster_does_not_tell_nobody_knows() {
        let denied = with("denied routes");
        let why = "the routes of cluster c1 are not known";
        let told = cluster("c1", &denied, &only()).1.tallies[host_without_route::ID].unknown;
        check(
            &[DNS, &denied, DNS],
            &[
                &format!("0 0 1 {why}"),
                &format!("0 0 {told} not allowed to list routes in all namespaces"),
                &format!("0 0 1 {why}"),
            ],
        );
        let mut parts = vec![
            cluster("c0", DNS, &only()),
            (ClusterSummary { name: "lost".to_owned(), ..ClusterSummary::default() }, Assessment::default()),
        ];
        settle_hosts(&mut parts);
        let tally = &parts[0].1.tallies[host_without_route::ID];
        assert_eq!((tally.problem, tally.unknown, parts[0].1.findings.len()), (0, 1, 0));
    }

    #[test]
    fn what_annotations_name_belongs_to_its_cluster() {
        let annotated = "route web/Ingress/b hosts=b.example dns=a.example backends=b:80";
        let routed = "route web/Ingress/a hosts=a.example backends=a:80";
        check(&[annotated, &with(routed)], &["a.example=0 0 1 0", "1 0 0"]);
    }
}
