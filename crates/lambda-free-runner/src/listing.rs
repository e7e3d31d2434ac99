//! The objects of one cluster: from its API where that tells them, and else from the metrics of kube-state-metrics.

use std::collections::{BTreeMap, BTreeSet};

use healthcore::model::{Hpa, ObjectKind, WorkloadId};
use healthcore::need::Needs;
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Origin, Unavailable};
use healthcore::time::Window;
use healthcore_sources::{Fetched, MetricsSource, Selection};

use crate::spec::ClusterSources;

/// Namespaces that a gap names one by one; more are counted.
const MOST_NAMED: usize = 3;

/// What could be listed of a cluster.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) objects: Objects,
    /// Objects of the namespaces that kube-state-metrics had to fill in. No namespace is in both.
    pub(crate) filled: Option<Objects>,
    /// Where most of them come from.
    pub(crate) from: Option<Origin>,
}

/// Objects from the API; from kube-state-metrics without one, and for the namespaces whose pods it does not show, which may
/// be all.
pub(crate) async fn list_objects(
    sources: &ClusterSources,
    metrics: Option<&dyn MetricsSource>,
    listed: Option<Fetched<Objects>>,
    needs: &Needs,
    window: &Window,
    gaps: &mut Vec<Gap>,
) -> Listing {
    let kinds = &needs.objects;
    let Some(Fetched { value: mut objects, gaps: found }) = listed else {
        return match metrics {
            Some(metrics) => from_metrics(sources, metrics, kinds, window, gaps).await,
            None => without_any(kinds),
        };
    };
    let first = gaps.len();
    gaps.extend(found);
    let mute = is_mute(&objects);
    let filled = match (metrics, hidden(&objects)) {
        (Some(metrics), Some(hidden)) => {
            fill(sources, metrics, kinds, window, &hidden, &mut objects, gaps, first).await
        }
        _ => None,
    };
    let from = if mute && metrics.is_some() { Origin::KubeStateMetrics } else { Origin::KubernetesApi };
    Listing { objects, filled, from: Some(from) }
}

/// Whether an API tells of no object, and not because there are no pods.
fn is_mute(objects: &Objects) -> bool {
    let Objects { workloads, pods, hpas, events, nodes, inventory, unavailable, .. } = objects;
    workloads.is_empty()
        && pods.is_empty()
        && hpas.is_empty()
        && events.is_empty()
        && nodes.is_empty()
        && inventory.is_empty()
        && unavailable.iter().any(|u| u.kind == ObjectKind::Pods)
}

async fn from_metrics(
    sources: &ClusterSources,
    metrics: &dyn MetricsSource,
    kinds: &BTreeSet<ObjectKind>,
    window: &Window,
    gaps: &mut Vec<Gap>,
) -> Listing {
    let mut told = metrics.objects(&sources.selection, kinds, window).await;
    if sources.objects.is_some() {
        // There is an API, and it did not answer: not the same as a run that was asked to do without.
        for list in told.value.unavailable.iter_mut().filter(|u| u.why == Missing::NoKubernetesSource) {
            list.why = Missing::ListFailed { resource: resource(list.kind).to_owned() };
        }
    }
    gaps.extend(scoped(&sources.name, told.gaps));
    Listing { objects: told.value, filled: None, from: Some(Origin::KubeStateMetrics) }
}

fn without_any(kinds: &BTreeSet<ObjectKind>) -> Listing {
    let unavailable = kinds.iter().map(|kind| Unavailable::new(*kind, None, Missing::NoKubernetesSource));
    let objects = Objects { unavailable: unavailable.collect(), ..Objects::default() };
    Listing { objects, ..Listing::default() }
}

/// Namespaces whose pods the API does not show.
enum Hidden {
    These(BTreeSet<String>),
    /// All in which no pod is seen; their names are not known.
    AllBut(BTreeSet<String>),
}

/// Those whose pods may not be listed; where no pod is shown at all, those too whose list failed.
fn hidden(objects: &Objects) -> Option<Hidden> {
    let blind = objects.pods.is_empty();
    let not_shown = |u: &&Unavailable| {
        u.kind == ObjectKind::Pods && (blind || matches!(u.why, Missing::AccessDenied { .. }))
    };
    let mut names = BTreeSet::new();
    for list in objects.unavailable.iter().filter(not_shown) {
        let Some(namespace) = &list.namespace else {
            let seen = objects.pods.iter().map(|p| p.workload.namespace.clone());
            return Some(Hidden::AllBut(seen.collect()));
        };
        names.insert(namespace.clone());
    }
    (!names.is_empty()).then_some(Hidden::These(names))
}

/// Fills in the namespaces whose pods the API keeps to itself, and takes what it does show of them out of `listed`: what
/// is judged together lies together. Where both tell of an object, that of the API stays. The gaps from `first` on, those
/// of the API, say what was filled in.
#[expect(clippy::too_many_arguments, reason = "one step of `list_objects`, apart for its length")]
async fn fill(
    sources: &ClusterSources,
    metrics: &dyn MetricsSource,
    kinds: &BTreeSet<ObjectKind>,
    window: &Window,
    hidden: &Hidden,
    listed: &mut Objects,
    gaps: &mut Vec<Gap>,
    first: usize,
) -> Option<Objects> {
    let selection = match hidden {
        Hidden::These(names) => Selection { namespaces: names.iter().cloned().collect() },
        Hidden::AllBut(_) => sources.selection.clone(),
    };
    let Fetched { value: told, gaps: troubles } = metrics.objects(&selection, kinds, window).await;
    // Without kube-state-metrics, or where it knows nothing, all is as the API has told already.
    let known = [GapCause::MetricAbsent, GapCause::NothingMatches];
    let troubles: Vec<Gap> = troubles.into_iter().filter(|g| !known.contains(&g.cause)).collect();
    gaps.extend(scoped(&sources.name, troubles));
    let tells = |kind: ObjectKind| kinds.contains(&kind) && !told.unavailable.iter().any(|u| u.kind == kind);
    if !tells(ObjectKind::Pods) || told.unavailable.iter().any(|u| u.kind == ObjectKind::Workloads) {
        return None;
    }
    let wanted = |namespace: &str| match hidden {
        Hidden::These(names) => names.contains(namespace),
        Hidden::AllBut(seen) => !seen.contains(namespace),
    };
    let names: BTreeSet<String> =
        told.pods.iter().map(|p| &p.workload.namespace).filter(|n| wanted(n)).cloned().collect();
    if names.is_empty() {
        return None;
    }

    let own = |namespace: &str| names.contains(namespace);
    let lacks =
        |kind: ObjectKind, namespace: &str| listed.unavailable.iter().any(|u| u.hides(kind, namespace));
    let hpas: Vec<Hpa> = told
        .hpas
        .into_iter()
        .filter(|h| own(&h.namespace) && lacks(ObjectKind::Autoscalers, &h.namespace))
        .collect();
    let mut out = Objects {
        origin: Origin::KubeStateMetrics,
        workloads: listed.workloads.extract_if(.., |w| own(&w.id.namespace)).collect(),
        pods: listed.pods.extract_if(.., |p| own(&p.workload.namespace)).collect(),
        hpas: listed.hpas.extract_if(.., |h| own(&h.namespace)).collect(),
        events: listed.events.extract_if(.., |e| own(&e.namespace)).collect(),
        ..Objects::default()
    };
    let workloads: BTreeSet<WorkloadId> = out.workloads.iter().map(|w| w.id.clone()).collect();
    let pods: BTreeSet<(String, String)> =
        out.pods.iter().map(|p| (p.workload.namespace.clone(), p.name.clone())).collect();
    let known: BTreeSet<(String, String)> =
        out.hpas.iter().map(|h| (h.namespace.clone(), h.name.clone())).collect();
    out.workloads
        .extend(told.workloads.into_iter().filter(|w| own(&w.id.namespace) && !workloads.contains(&w.id)));
    out.pods.extend(told.pods.into_iter().filter(|p| {
        own(&p.workload.namespace) && !pods.contains(&(p.workload.namespace.clone(), p.name.clone()))
    }));
    out.hpas.extend(hpas.into_iter().filter(|h| !known.contains(&(h.namespace.clone(), h.name.clone()))));
    out.workloads.sort_by(|a, b| a.id.cmp(&b.id));

    let told_kinds: BTreeSet<ObjectKind> = [ObjectKind::Pods, ObjectKind::Workloads, ObjectKind::Autoscalers]
        .into_iter()
        .filter(|kind| tells(*kind))
        .collect();
    let had: Vec<Unavailable> = listed
        .unavailable
        .extract_if(.., |u| {
            told_kinds.contains(&u.kind)
                && match &u.namespace {
                    Some(namespace) => own(namespace),
                    None => matches!(hidden, Hidden::AllBut(_)),
                }
        })
        .collect();
    out.unavailable.clone_from(&listed.unavailable);
    say(&sources.name, &had, &names, &mut gaps[first..]);
    Some(out)
}

/// Says of each gap about a list that was filled in, for which namespaces.
fn say(cluster: &str, had: &[Unavailable], filled: &BTreeSet<String>, gaps: &mut [Gap]) {
    let mut by_scope: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for list in had {
        let (Missing::AccessDenied { resource, .. } | Missing::ListFailed { resource }) = &list.why else {
            continue;
        };
        let whole = by_scope.entry(format!("{cluster}/{resource}")).or_default();
        match &list.namespace {
            None => whole.extend(filled.iter().map(String::as_str)),
            Some(namespace) => {
                whole.insert(namespace);
                by_scope.entry(format!("{cluster}/{namespace}/{resource}")).or_default().insert(namespace);
            }
        }
    }
    for gap in gaps {
        let Some(names) = by_scope.get(&gap.scope) else { continue };
        let named: Vec<&str> = names.iter().take(MOST_NAMED).copied().collect();
        let more = match names.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        gap.detail.push_str(&format!("; kube-state-metrics filled in for {}{more}", named.join(", ")));
    }
}

/// A metrics server does not know the cluster's name.
pub(crate) fn scoped(cluster: &str, mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.iter_mut().for_each(|g| g.scope = format!("{cluster}/{}", g.scope));
    gaps
}

/// What the API calls objects of a kind.
fn resource(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Workloads => "workloads",
        ObjectKind::Pods => "pods",
        ObjectKind::Autoscalers => "horizontalpodautoscalers.autoscaling",
        ObjectKind::Events => "events",
        ObjectKind::Nodes => "nodes",
        _ => "objects",
    }
}
