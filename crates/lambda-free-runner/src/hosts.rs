//! Which names DNS leads to the clusters, and how many requests they get.

use std::collections::BTreeSet;

use healthcore::inventory::{DnsName, Elsewhere, HostRequests, Inventory, Route};
use healthcore::model::ObjectKind;
use healthcore::phrase::phrase;
use healthcore::snapshot::{Field, Gap, GapCause, Missing, Objects, Unavailable};
use healthcore::time::Window;
use healthcore_sources::{Fetched, MetricsSource, Selection};
use regex::{Regex, RegexBuilder};

use crate::listing::scoped;
use crate::spec::ClusterSources;

/// Largest compiled expression of a `server_name`, in bytes.
const LARGEST_EXPRESSION: usize = 1 << 20;

/// Names that DNS leads to the clusters of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// The names, each once.
    pub names: Vec<DnsName>,
    /// Why they cannot be judged, if so: a part of the clusters that they lead to is not looked at.
    pub not_judged: Option<String>,
}

impl Hosts {
    /// These for the cluster at a place of the configuration: why they are not judged is told once.
    #[must_use]
    pub(crate) fn of_cluster(&self, at: usize) -> Self {
        match &self.not_judged {
            Some(why) => Self { names: Vec::new(), not_judged: (at == 0).then(|| why.clone()) },
            None => self.clone(),
        }
    }

    /// What to list of what is needed: ConfigMaps are many and large, and are read only for names that files tell.
    #[must_use]
    pub(crate) fn lists(&self, kinds: &BTreeSet<ObjectKind>) -> BTreeSet<ObjectKind> {
        let unread = |kind: &ObjectKind| self.names.is_empty() && *kind == ObjectKind::ServerNames;
        kinds.iter().copied().filter(|kind| !unread(kind)).collect()
    }

    /// Puts the names into what was listed of a cluster, and the requests for them. `metrics` is its metrics server, where
    /// that answers.
    pub(crate) async fn look(
        &self,
        sources: &ClusterSources,
        metrics: Option<&dyn MetricsSource>,
        objects: &mut Objects,
        window: &Window,
    ) -> Vec<Gap> {
        let cluster = sources.name.as_str();
        let mut gaps = Vec::new();
        if let Some(why) = &self.not_judged {
            let said = phrase("gap-hosts-not-judged").with("why", why.to_string());
            gaps.push(Gap::new(format!("{cluster}/hosts"), GapCause::Skipped, said));
        }
        let inventory = &mut objects.inventory;
        inventory.dns_names.extend(self.names.iter().cloned());
        gaps.extend(look_elsewhere(sources, inventory).await);
        gaps.extend(expand(cluster, inventory));
        let asked = wanted(inventory);
        if asked.is_empty() {
            return gaps;
        }
        objects.unavailable.retain(|list| list.kind != ObjectKind::HostRequests);
        let counted = match metrics {
            Some(metrics) => metrics.host_requests(window).await,
            None => Default::default(),
        };
        gaps.extend(scoped(cluster, counted.gaps));
        match counted.value {
            Some(counts) => {
                let asked = |count: &HostRequests| asked.contains(&count.host);
                inventory.host_requests = counts.into_iter().filter(asked).collect();
            }
            None => {
                let why = Missing::NotReported { field: Field::HostRequests };
                objects.unavailable.push(Unavailable::new(ObjectKind::HostRequests, None, why));
            }
        }
        inventory.sort();
        gaps
    }
}

/// Where a run looks into some namespaces only, the routes of the others are listed too: they may serve a name.
async fn look_elsewhere(sources: &ClusterSources, inventory: &mut Inventory) -> Vec<Gap> {
    let selected = &sources.selection.namespaces;
    let all = selected.is_empty() || selected.iter().any(|name| name == "*");
    let Some(api) = sources.objects.as_ref().filter(|_| !all && !inventory.dns_names.is_empty()) else {
        return Vec::new();
    };
    let kinds = [ObjectKind::Routes, ObjectKind::ServerNames].into();
    let Fetched { value: mut found, mut gaps } = api.objects(&Selection::default(), &kinds).await;
    let unknown = found.unavailable.iter().any(|list| list.kind == ObjectKind::Routes);
    found.inventory.dns_names.clone_from(&inventory.dns_names);
    gaps.extend(expand(&sources.name, &mut found.inventory));
    for name in &mut inventory.dns_names {
        let routes = &found.inventory.routes;
        name.elsewhere = if routes.iter().any(|route| route.names(&name.host)) {
            Elsewhere::Route
        } else if routes.iter().any(Route::takes_any) {
            Elsewhere::AnyHost
        } else if unknown {
            Elsewhere::Unknown
        } else {
            Elsewhere::Nothing
        };
    }
    gaps
}

/// Names that are judged: all others that clients name are no concern of this cluster.
fn wanted(inventory: &Inventory) -> BTreeSet<String> {
    let of_files = inventory.dns_names.iter().map(|name| &name.host);
    of_files.chain(inventory.routes.iter().flat_map(|route| &route.dns_names)).cloned().collect()
}

/// Gives the routes of nginx the names that match their expressions. One that cannot be read may match any.
fn expand(cluster: &str, inventory: &mut Inventory) -> Vec<Gap> {
    let names = wanted(inventory);
    let mut gaps = Vec::new();
    for route in inventory.routes.iter_mut().filter(|_| !names.is_empty()) {
        for expression in std::mem::take(&mut route.expressions) {
            match compiled(&expression) {
                Ok(regex) => add_matching(route, &names, &regex),
                Err(_) => {
                    route.any_host = true;
                    let said = phrase("gap-server-name").with("expression", expression.as_str());
                    let scope = format!("{cluster}/{}/{}", route.id.namespace, route.id.name);
                    gaps.push(Gap::new(scope, GapCause::Partial, said));
                }
            }
        }
    }
    gaps
}

fn add_matching(route: &mut Route, names: &BTreeSet<String>, regex: &Regex) {
    for name in names.iter().filter(|name| regex.is_match(name)) {
        if !route.hosts.contains(name) {
            route.hosts.push(name.clone());
        }
    }
}

/// nginx compares without regard to case.
fn compiled(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression).case_insensitive(true).size_limit(LARGEST_EXPRESSION).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use healthcore::fixture::Fixture;

    fn hosts(names: &[&str]) -> Hosts {
        let name = |host: &&str| DnsName { host: (*host).to_owned(), ..DnsName::default() };
        Hosts { names: names.iter().map(name).collect(), not_judged: None }
    }

    fn cluster() -> ClusterSources {
        ClusterSources { name: "c".to_owned(), ..ClusterSources::default() }
    }

    #[test]
    fn why_names_are_not_judged_is_told_once() {
        let names = hosts(&["a.example"]);
        assert_eq!((names.of_cluster(0), names.of_cluster(1)), (names.clone(), names.clone()));
        let left_out = Hosts { not_judged: Some("--cluster".to_owned()), ..names };
        assert_eq!(left_out.of_cluster(0), Hosts { names: Vec::new(), ..left_out.clone() });
        assert_eq!(left_out.of_cluster(1), Hosts::default());
    }

    #[test]
    fn config_maps_are_read_for_names_of_files_only() {
        let kinds = [ObjectKind::Routes, ObjectKind::ServerNames].into();
        assert_eq!(hosts(&["a.example"]).lists(&kinds), kinds);
        assert_eq!(hosts(&[]).lists(&kinds), [ObjectKind::Routes].into());
    }

    #[tokio::test]
    async fn names_and_what_is_not_counted() {
        let Fixture { snapshot, .. } =
            Fixture::new("route web/ConfigMap/nginx expressions=^shop\\d+[.]example$,(?=x)y hosts=z.example");
        let (mut objects, window) = (snapshot.objects, snapshot.window);
        let gaps =
            hosts(&["Shop7.example", "shop.example"]).look(&cluster(), None, &mut objects, &window).await;
        let route = &objects.inventory.routes[0];
        assert_eq!(route.hosts, ["z.example", "Shop7.example"]);
        assert!(route.any_host && route.expressions.is_empty());
        assert_eq!(gaps[0].scope, "c/web/nginx");
        assert!(gaps[0].detail.contains("`(?=x)y` cannot be read"), "{gaps:?}");
        let unknown: Vec<String> = objects.unavailable.iter().map(|list| list.why.to_string()).collect();
        assert_eq!(unknown, ["the number of requests by host is not reported"]);
    }

    #[tokio::test]
    async fn without_names_nobody_is_asked() {
        let Fixture { snapshot, .. } = Fixture::new("route web/Ingress/a hosts=a.example");
        let (mut objects, window) = (snapshot.objects, snapshot.window);
        assert_eq!(Hosts::default().look(&cluster(), None, &mut objects, &window).await, []);
        assert_eq!(objects.unavailable, []);
        let why = Hosts { not_judged: Some("of a reason".to_owned()), ..Hosts::default() };
        let gaps = why.look(&cluster(), None, &mut objects, &window).await;
        assert_eq!(gaps[0].detail, "N/A: the hosts of the configuration are not judged: of a reason");
    }
}
