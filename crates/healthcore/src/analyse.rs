//! The engine: runs checks over a partition, and folds partitions into one assessment of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::check::Subject as _;
use crate::checks::{leftovers, runs, untold};
use crate::facts::{ContainerFacts, facts};
use crate::finding::{Finding, SubjectRef};
use crate::fleet::{self, builds::RunningBuild};
use crate::history::Coverage;
use crate::metric::SeriesOf;
use crate::model::{Event, PodPhase, Workload};
use crate::settings::{Resolved, Site};
use crate::snapshot::{Missing, Objects, Snapshot, Unavailable};
use crate::unit::Ratio;
use crate::view::{View, workload_ref};

/// How many subjects a check found in order, in trouble, or could not judge.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Subjects without the problem.
    pub ok: u64,
    /// Subjects with the problem.
    pub problem: u64,
    /// Subjects that could not be judged.
    pub unknown: u64,
    /// Why not, with the number of subjects.
    pub reasons: BTreeMap<Missing, u64>,
    /// By reason, the first subjects in order, [`MOST_EXAMPLES`] at most; none where a list could not be had.
    pub examples: BTreeMap<Missing, Vec<SubjectRef>>,
}

/// Subjects of a reason that are named.
pub const MOST_EXAMPLES: usize = 5;

impl Tally {
    /// Counts a subject that could not be judged.
    pub fn unknown(&mut self, why: Missing) {
        self.unknown += 1;
        *self.reasons.entry(why).or_default() += 1;
    }

    /// Counts a subject that could not be judged, and names it where few are.
    pub fn unknown_of(&mut self, why: Missing, subject: SubjectRef) {
        self.name(why.clone(), [subject]);
        self.unknown(why);
    }

    /// Keeps the first of all in order, in whichever order they come.
    fn name(&mut self, why: Missing, subjects: impl IntoIterator<Item = SubjectRef>) {
        let named = self.examples.entry(why).or_default();
        named.extend(subjects);
        named.sort();
        named.dedup();
        named.truncate(MOST_EXAMPLES);
    }

    /// Gives one reason in place of several.
    fn blame(&mut self, is_of: impl Fn(&Missing) -> bool, why: &Missing) {
        let mut count = 0;
        self.reasons.retain(|own, n| {
            count += if is_of(own) { *n } else { 0 };
            !is_of(own)
        });
        if count == 0 {
            return;
        }
        *self.reasons.entry(why.clone()).or_default() += count;
        let mut subjects = Vec::new();
        self.examples.retain(|own, named| {
            subjects.extend(named.iter().filter(|_| is_of(own)).cloned());
            !is_of(own)
        });
        self.name(why.clone(), subjects);
    }
}

/// What is in a namespace, and what could not be judged there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamespaceTally {
    /// Workloads seen.
    pub workloads: u64,
    /// Pods seen, finished ones too.
    pub pods: u64,
    /// Pods that have finished with success.
    pub completed_pods: u64,
    /// Pods that run and are ready.
    #[serde(default)]
    pub running_pods: u64,
    /// Pods that have failed and that their controller has made others for.
    #[serde(default)]
    pub replaced_pods: u64,
    /// Pods of which there is no telling whether they run.
    #[serde(default)]
    pub untold_pods: u64,
    /// Containers of these pods, init containers too.
    #[serde(default)]
    pub containers: u64,
    /// Judgements that were made, over all checks.
    pub judged: u64,
    /// Judgements that could not be made, over all checks.
    pub unknown: u64,
}

impl NamespaceTally {
    fn fold(&mut self, part: Self) {
        self.workloads += part.workloads;
        self.pods += part.pods;
        self.completed_pods += part.completed_pods;
        self.running_pods += part.running_pods;
        self.replaced_pods += part.replaced_pods;
        self.untold_pods += part.untold_pods;
        self.containers += part.containers;
        self.judged += part.judged;
        self.unknown += part.unknown;
    }
}

/// What the analysis of a cluster (or a part of it) says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// Name of the cluster.
    pub cluster: String,
    /// Counts by check id, in the order of the ids.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// Share of false findings that is accepted, by check id, for checks that are statistics; the largest one where
    /// classes differ.
    pub accepted: BTreeMap<&'static str, Ratio>,
    /// Problems.
    pub findings: Vec<Finding>,
    /// What is near its bound and not beyond it.
    pub watch: Vec<Finding>,
    /// What is a little further away: it stays on the watch list when it was there in the run before.
    pub almost: Vec<Finding>,
    /// What was looked at, and what could not be.
    pub coverage: Coverage,
    /// Workloads seen.
    pub workloads: u64,
    /// Pods seen, finished ones too.
    pub pods: u64,
    /// Containers of those pods, init containers too.
    pub containers: u64,
    /// Pods that have finished with success.
    pub completed_pods: u64,
    /// By namespace; what belongs to none is not among them.
    pub namespaces: BTreeMap<String, NamespaceTally>,
    /// Measured values of every container of every workload, for tables.
    pub facts: Vec<ContainerFacts>,
    /// Names in DNS that a route of the cluster names.
    pub routed: BTreeSet<String>,
    /// Names in DNS that only a route for any host takes, and the requests for each.
    pub caught: BTreeMap<String, u64>,
    /// Builds of images that run, for the comparison with other clusters.
    pub builds: Vec<RunningBuild>,
    /// Warning events, for runs to come.
    pub events: Vec<Event>,
}

impl Assessment {
    /// The assessment of a cluster before any partition: every enabled check has a tally, and every list that
    /// could not be had makes the checks that judge its objects unknown once.
    #[must_use]
    pub fn new(cluster: &str, unavailable: &[Unavailable], checks: &Resolved) -> Self {
        let mut assessment = Self { cluster: cluster.to_owned(), ..Self::default() };
        for resolved in checks.checks().iter().filter(|c| checks.runs_in(c, cluster)) {
            let id = resolved.check.info().id;
            assessment.tally(id);
            for list in unavailable {
                if resolved.check.lists().contains(&list.kind) {
                    assessment.tally(id).unknown(list.why.clone());
                    assessment.coverage.hidden.push((id, list.clone()));
                    if let Some(namespace) = &list.namespace {
                        assessment.namespace(namespace).unknown += 1;
                    }
                }
            }
        }
        assessment
    }

    /// Makes every command one for the cluster of this context of a kubeconfig.
    pub fn in_context(&mut self, context: &str) {
        let advice = self.findings.iter_mut().chain(&mut self.watch).flat_map(|finding| &mut finding.advice);
        advice.for_each(|advice| advice.in_context(context));
    }

    /// Puts what has not reached its bound where its distance says.
    pub(crate) fn watch(&mut self, near: Finding, view: &View<'_>) {
        let distance = near.distance.unwrap_or(f64::INFINITY);
        if view.watches(distance) {
            self.watch.push(near);
        } else if view.keeps_watching(distance) {
            self.almost.push(near);
        }
    }

    /// The counts of a check.
    pub fn tally(&mut self, id: &'static str) -> &mut Tally {
        self.tallies.entry(id).or_default()
    }

    /// Notes which share of false findings a check accepts, if it is one that does.
    pub(crate) fn accept(&mut self, id: &'static str, level: Option<Ratio>) {
        if let Some(level) = level {
            let accepted = self.accepted.entry(id).or_insert(level);
            *accepted = Ratio(accepted.get().max(level.get()));
        }
    }

    /// The counts of a namespace.
    pub fn namespace(&mut self, name: &str) -> &mut NamespaceTally {
        self.namespaces.entry(name.to_owned()).or_default()
    }

    /// Takes in another part of the same cluster. The order of parts does not matter once
    /// [`crate::report::Report::new`] has sorted.
    pub fn fold(&mut self, part: Self) {
        for (id, theirs) in part.tallies {
            let ours = self.tally(id);
            ours.ok += theirs.ok;
            ours.problem += theirs.problem;
            ours.unknown += theirs.unknown;
            for (why, count) in theirs.reasons {
                *ours.reasons.entry(why).or_default() += count;
            }
            for (why, subjects) in theirs.examples {
                ours.name(why, subjects);
            }
        }
        for (id, level) in part.accepted {
            self.accept(id, Some(level));
        }
        for (name, theirs) in part.namespaces {
            self.namespaces.entry(name).or_default().fold(theirs);
        }
        self.findings.extend(part.findings);
        self.watch.extend(part.watch);
        self.almost.extend(part.almost);
        self.coverage.fold(part.coverage);
        self.workloads += part.workloads;
        self.pods += part.pods;
        self.containers += part.containers;
        self.completed_pods += part.completed_pods;
        self.facts.extend(part.facts);
        self.routed.extend(part.routed);
        self.caught.extend(part.caught);
        self.builds.extend(part.builds);
        self.events.extend(part.events);
    }
}

impl Assessment {
    /// Tells that the metrics server knows none of the pods, in place of each metric of containers that it has no samples of.
    pub fn pods_are_unknown_to_metrics(&mut self) {
        let of_containers = |why: &Missing| matches!(why, Missing::NoSamples { metric } if metric.of() == SeriesOf::Container);
        self.tallies.values_mut().for_each(|tally| tally.blame(of_containers, &Missing::NoPodKnown));
    }
}

/// Runs all checks over one partition.
#[must_use]
pub fn analyse(snapshot: &Snapshot, checks: &Resolved) -> Assessment {
    let view = View::new(snapshot, checks.classifier()).watching(checks.watch_share());
    let Objects { workloads, pods, .. } = &snapshot.objects;
    let mut out = Assessment {
        cluster: snapshot.cluster.clone(),
        workloads: workloads.len() as u64,
        pods: pods.len() as u64,
        containers: pods.iter().map(|p| p.containers.len() as u64).sum(),
        completed_pods: pods.iter().filter(|p| p.phase == PodPhase::Succeeded).count() as u64,
        facts: facts(&view),
        coverage: Coverage::of(&snapshot.objects),
        routed: fleet::routed(&snapshot.objects.inventory),
        caught: fleet::caught(&snapshot.objects.inventory),
        builds: fleet::builds::running(&view, checks),
        events: snapshot.objects.events.clone(),
        ..Assessment::default()
    };
    for workload in workloads {
        let namespace = out.namespace(&workload.id.namespace);
        namespace.workloads += 1;
        namespace.replaced_pods += leftovers(workload, view.pods_of(&workload.id)).len() as u64;
        out.coverage.see(&workload_ref(&workload.id));
    }
    view.containers().iter().for_each(|container| out.coverage.see(&container.reference()));
    for pod in pods {
        let namespace = out.namespace(&pod.workload.namespace);
        namespace.pods += 1;
        namespace.completed_pods += u64::from(pod.phase == PodPhase::Succeeded);
        namespace.running_pods += u64::from(runs(pod));
        namespace.untold_pods += u64::from(untold(pod));
        namespace.containers += pod.containers.len() as u64;
    }
    let cluster = snapshot.cluster.as_str();
    let (on, off): (Vec<_>, Vec<_>) = checks.checks().iter().partition(|c| checks.runs_in(c, cluster));
    out.coverage.off = off.into_iter().map(|c| c.check.info().id.to_owned()).collect();
    for resolved in on {
        let choose = |namespace: &str, workload: Option<&Workload>| {
            let class = workload.and_then(|w| view.class_of(&w.id));
            let site = Site { cluster, namespace, class: class.map(|c| c.class) };
            (class, checks.params(resolved, site).cloned())
        };
        resolved.check.run(&choose, &view, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;

    #[test]
    fn the_first_subjects_of_a_reason_are_named() {
        let named = |order: &[u32]| {
            let text: String =
                order.iter().map(|n| format!("container web/w{n}-0/app limit=1Gi\n")).collect();
            let fixture = Fixture::new(&text);
            let tally = fixture.assess(&fixture.only("memory-usage")).tallies.remove("memory-usage").unwrap();
            let names: Vec<String> = tally.examples.into_values().flatten().map(|s| s.name).collect();
            (tally.unknown, names.join(" "))
        };
        let first = (7, "w0 w1 w2 w3 w4".to_owned());
        assert_eq!([named(&[0, 1, 2, 3, 4, 5, 6]), named(&[6, 2, 5, 0, 4, 3, 1])], [first.clone(), first]);
    }
}
