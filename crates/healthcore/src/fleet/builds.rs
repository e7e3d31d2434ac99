//! One reference of an image that stands for different builds in the clusters of a fleet. Within a cluster
//! [`image_pull_policy`](crate::checks::image_pull_policy) compares; here are the same rules between clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analyse::Assessment;
use crate::check::{Check as _, Subject as _};
use crate::checks::image_pull_policy::{ImagePullPolicy, ImagePullPolicyParams, compare, drifts};
use crate::class::Classified;
use crate::finding::{Advice, Finding, Problem, Severity, SubjectRef, Text, Value};
use crate::finding::{fingerprint, fingerprint_hash};
use crate::history::Kept;
use crate::image::{ImageReference, digest_of};
use crate::report::ClusterSummary;
use crate::settings::{Resolved, Site};
use crate::time::Timestamp;
use crate::unit::Seconds;
use crate::view::{View, WorkloadContainer};

const ID: &str = ImagePullPolicy::INFO.id;

/// Keys of what is told between clusters.
const BETWEEN_CLUSTERS: [&str; 2] = ["stale-in-fleet", "differs-in-fleet"];

/// Builds that a finding names with their clusters; more are counted.
const MOST_NAMED: usize = 5;

/// A build that pods of a container run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningBuild {
    /// The container; its pod is the first that has the build.
    subject: SubjectRef,
    class: Option<Classified>,
    /// The reference, which names no digest.
    image: String,
    /// Architecture of the nodes, where it is known: some runtimes report digests by platform.
    architecture: Option<String>,
    digest: String,
    policy: String,
    /// When the first pod with it was made.
    since: Option<Timestamp>,
    /// When the first of its processes began.
    started: Option<Timestamp>,
    /// When the registry last said that the reference stands for it: the last start with policy `Always`.
    pulled: Option<Timestamp>,
    /// Time that a rollout may take.
    rollout_s: f64,
}

impl RunningBuild {
    /// What builds are compared under: the reference in its one spelling, and the architecture.
    fn key(&self) -> (String, Option<&str>) {
        (ImageReference::new(&self.image).canonical(), self.architecture.as_deref())
    }
}

/// The builds of a partition, of containers that the check judges.
pub(crate) fn running(view: &View<'_>, checks: &Resolved) -> Vec<RunningBuild> {
    let Some(check) = checks.checks().iter().find(|c| c.check.info().id == ID) else { return Vec::new() };
    let cluster = view.snapshot.cluster.as_str();
    let mut out = Vec::new();
    for container in view.containers() {
        let id = &container.workload.id;
        let class = view.class_of(id);
        let site = Site { cluster, namespace: &id.namespace, class: class.map(|c| c.class) };
        let params = checks.params(check, site).and_then(|p| p.downcast_ref::<ImagePullPolicyParams>());
        if let Some(params) = params {
            out.extend(of_container(cluster, container, class, params.rollout));
        }
    }
    out
}

fn of_container(
    cluster: &str,
    container: &WorkloadContainer<'_>,
    class: Option<Classified>,
    rollout: Seconds,
) -> Vec<RunningBuild> {
    let mut found: BTreeMap<(&str, Option<&str>, &str), RunningBuild> = BTreeMap::new();
    for member in container.live() {
        let (Some(pod), Some(own)) = (member.pod, member.container) else { continue };
        let Some(digest) = digest_of(&own.image_id) else { continue };
        let image = ImageReference::new(&own.image);
        let is_loaded_by_hand = own.pull_policy == "Never";
        if own.pull_policy.is_empty()
            || is_loaded_by_hand
            || image.digest.is_some()
            || image.is_of_one_cluster()
        {
            continue;
        }
        let started = own.started();
        let architecture = pod.architecture.as_deref();
        let seen = RunningBuild {
            subject: SubjectRef {
                cluster: cluster.to_owned(),
                pod: Some(pod.name.clone()),
                ..container.reference()
            },
            class,
            image: own.image.clone(),
            architecture: architecture.map(str::to_owned),
            digest: digest.to_owned(),
            policy: own.pull_policy.clone(),
            since: pod.created,
            started,
            pulled: started.filter(|_| own.pull_policy == "Always"),
            rollout_s: rollout.get(),
        };
        let build = found.entry((&own.image, architecture, digest)).or_insert_with(|| seen.clone());
        let pulled = build.pulled.max(seen.pulled);
        let first_start = [build.started, seen.started].into_iter().flatten().min();
        if (seen.since, &seen.subject.pod) < (build.since, &build.subject.pod) {
            *build = seen;
        }
        (build.pulled, build.started) = (pulled, first_start);
    }
    found.into_values().collect()
}

/// Tells containers of one cluster that run another build under a reference than another cluster does.
pub(crate) fn settle(parts: &mut [(ClusterSummary, Assessment)], taken_at: Timestamp) {
    let fleet = Fleet::new(parts);
    let told: Vec<(Vec<Finding>, Compared)> =
        (0..parts.len()).map(|at| (fleet.findings(at, taken_at), fleet.compared(at))).collect();
    for ((_, own), (found, compared)) in parts.iter_mut().zip(told) {
        found.into_iter().for_each(|finding| tell(own, finding));
        own.coverage.compared = compared;
    }
}

/// By fingerprint of a container, as a number, and by image in its one spelling: the clusters that it was compared with.
pub(crate) type Compared = BTreeMap<u64, BTreeMap<String, Arc<BTreeSet<String>>>>;

/// Whether a run compared again what an earlier one found between two clusters: it saw what the other one runs of the image,
/// or the container runs another image now. Findings within a cluster have nothing to do with that.
pub(crate) fn compares(compared: &Compared, kept: &Kept) -> bool {
    if kept.check != ID || !BETWEEN_CLUSTERS.contains(&&*kept.summary.key) {
        return true;
    }
    let text = |name: &str| match kept.summary.args.get(name) {
        Some(Value::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let (Some(image), Some(other)) = (text("image"), text("cluster")) else { return true };
    let images = u64::from_str_radix(&kept.fingerprint, 16).ok().and_then(|f| compared.get(&f));
    images
        .and_then(|images| images.get(&ImageReference::new(image).canonical()))
        .is_none_or(|clusters| clusters.contains(other))
}

/// What runs under one reference, on nodes of one architecture.
#[derive(Default)]
struct Builds<'p> {
    /// By digest, the first that was seen, with the place of its cluster.
    first: BTreeMap<&'p str, (usize, &'p RunningBuild)>,
    /// By digest, the places of the clusters that run it.
    clusters: BTreeMap<&'p str, BTreeSet<usize>>,
    /// When a registry was last asked what the reference stands for, by which cluster, and which digest it gave.
    pulled: Option<(Timestamp, usize, &'p str)>,
}

/// A build of another cluster.
struct Elsewhere<'p> {
    digest: &'p str,
    /// The place of the cluster.
    at: usize,
    since: Option<Timestamp>,
    /// Whether the registry gave it after the own build had started.
    is_newer: bool,
}

impl<'p> Builds<'p> {
    fn add(&mut self, at: usize, build: &'p RunningBuild) {
        let digest = build.digest.as_str();
        self.clusters.entry(digest).or_default().insert(at);
        let first = self.first.entry(digest).or_insert((at, build));
        if build.since < first.1.since {
            *first = (at, build);
        }
        if let Some(pulled) = build.pulled {
            self.pulled = self.pulled.max(Some((pulled, at, digest)));
        }
    }

    /// What a build is compared with: the one that a registry gave last, else the one that was seen last for the first
    /// time. None where the own cluster runs that one too: the check has compared them.
    fn elsewhere(&self, own: &RunningBuild, at: usize) -> Option<Elsewhere<'p>> {
        let (digest, place, is_newer) = match self.pulled {
            Some((pulled, place, digest)) => (digest, place, own.started.is_some_and(|t| t < pulled)),
            None => {
                let (digest, (place, _)) =
                    self.first.iter().max_by_key(|(digest, (_, b))| (b.since, **digest))?;
                (*digest, *place, false)
            }
        };
        if digest == own.digest || self.clusters.get(digest)?.contains(&at) {
            return None;
        }
        Some(Elsewhere { digest, at: place, since: self.first.get(digest)?.1.since, is_newer })
    }
}

struct Fleet<'p> {
    parts: &'p [(ClusterSummary, Assessment)],
    /// By the reference in its one spelling, and by architecture.
    by_reference: BTreeMap<(String, Option<&'p str>), Builds<'p>>,
    /// By the reference in its one spelling, the places of the clusters in which it runs on whichever architecture.
    runs: BTreeMap<String, BTreeSet<usize>>,
}

impl<'p> Fleet<'p> {
    fn new(parts: &'p [(ClusterSummary, Assessment)]) -> Self {
        let mut by_reference: BTreeMap<_, Builds<'p>> = BTreeMap::new();
        let mut runs: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (at, (_, own)) in parts.iter().enumerate() {
            for build in &own.builds {
                let key = build.key();
                runs.entry(key.0.clone()).or_default().insert(at);
                by_reference.entry(key).or_default().add(at, build);
            }
        }
        Self { parts, by_reference, runs }
    }

    /// With which clusters the containers of one were compared.
    fn compared(&self, at: usize) -> Compared {
        let whole: Vec<usize> =
            (0..self.parts.len()).filter(|other| *other != at && self.is_whole(*other)).collect();
        let others = |(image, architecture): &(String, Option<&'p str>)| -> BTreeSet<String> {
            let running = self.runs.get(image);
            // Without the architectures of its nodes a cluster runs the image, and what it runs cannot be compared.
            let without = whole.iter().filter(|other| running.is_none_or(|places| !places.contains(other)));
            let same = self.by_reference.get(&(image.clone(), *architecture));
            let with = same.into_iter().flat_map(|builds| builds.clusters.values().flatten());
            with.filter(|other| **other != at)
                .chain(without)
                .map(|other| self.name(*other).to_owned())
                .collect()
        };
        let mut by_key: BTreeMap<(String, Option<&str>), Arc<BTreeSet<String>>> = BTreeMap::new();
        let mut out = Compared::new();
        for own in &self.parts[at].1.builds {
            let key = own.key();
            let found = Arc::clone(by_key.entry(key.clone()).or_insert_with(|| Arc::new(others(&key))));
            out.entry(fingerprint_hash(ID, &own.subject))
                .or_default()
                .entry(key.0)
                // A container on nodes of two architectures is compared only if both are.
                .and_modify(|known| Arc::make_mut(known).retain(|name| found.contains(name)))
                .or_insert(found);
        }
        out
    }

    /// Whether all builds of a cluster were seen, so that what is not among them does not run there.
    fn is_whole(&self, at: usize) -> bool {
        let (_, own) = &self.parts[at];
        own.coverage.everywhere
            && own.tallies.get(ID).is_some_and(|tally| tally.unknown == 0)
            && own.coverage.hidden.iter().all(|(id, _)| *id != ID)
    }

    /// What one cluster is told, one finding for a container.
    fn findings(&self, at: usize, taken_at: Timestamp) -> Vec<Finding> {
        let mut found: BTreeMap<String, Finding> = BTreeMap::new();
        for own in &self.parts[at].1.builds {
            let Some(builds) = self.by_reference.get(&own.key()).filter(|builds| builds.first.len() > 1)
            else {
                continue;
            };
            let settled = |other: &Elsewhere<'_>| {
                let age = other.since.and_then(|t| t.age_at(taken_at));
                age.is_some_and(|age| age >= own.rollout_s)
            };
            if let Some(other) = builds.elsewhere(own, at).filter(settled) {
                let finding = self.finding(own, &other, builds);
                found.entry(finding.fingerprint.clone()).or_insert(finding);
            }
        }
        found.into_values().collect()
    }

    fn finding(&self, own: &RunningBuild, other: &Elsewhere<'_>, builds: &Builds<'_>) -> Finding {
        let severity = if drifts(&own.policy, &own.image) { Severity::Warning } else { Severity::Info };
        let text = Text::new(if other.is_newer { "stale-in-fleet" } else { "differs-in-fleet" });
        let mut problem =
            Problem::new(severity, text.with("image", &*own.image).with("cluster", self.name(other.at)))
                .evidence("image", own.image.as_str())
                .evidence("digest", own.digest.as_str());
        problem = match other.is_newer {
            true => problem.evidence("newer-digest", other.digest),
            false => problem.evidence("other-digest", other.digest),
        };
        problem = problem.evidence("builds", self.named(builds));
        if let Some((pulled, at, _)) = builds.pulled {
            problem = problem.evidence("last-pulled-by", self.name(at)).evidence("last-pulled", pulled);
        }
        let problem = problem
            .evidence("pull-policy", own.policy.as_str())
            .since(other.since)
            .advise(compare(&own.image))
            .advise(Advice::new(Text::new("own-tag")));
        Finding {
            check: ID.into(),
            severity: problem.severity,
            fingerprint: fingerprint(ID, &own.subject),
            subject: own.subject.clone(),
            class: own.class,
            summary: problem.summary,
            evidence: problem.evidence,
            advice: problem.advice,
            since: problem.since,
            state: None,
            series: None,
            chance: None,
            distance: None,
        }
    }

    /// Which clusters run which build: `dev, stg: sha256:...`.
    fn named(&self, builds: &Builds<'_>) -> Value {
        let one = |(digest, clusters): (&&str, &BTreeSet<usize>)| {
            let names: Vec<&str> = clusters.iter().map(|at| self.name(*at)).collect();
            Value::from(format!("{}: {digest}", names.join(", ")))
        };
        let mut named: Vec<Value> = builds.clusters.iter().take(MOST_NAMED).map(one).collect();
        let more = builds.clusters.len() - named.len();
        if more > 0 {
            named.push(format!("+{more}").into());
        }
        named.into()
    }

    fn name(&self, at: usize) -> &str {
        &self.parts[at].0.name
    }
}

/// Adds a finding to those of its cluster. What the cluster tells of the container by itself is closer to its cause, but
/// for a tag that merely may move: it has moved.
fn tell(own: &mut Assessment, finding: Finding) {
    let known = own.findings.iter().position(|f| f.check == ID && f.fingerprint == finding.fingerprint);
    match known {
        Some(at) if own.findings[at].summary.key == "moving" => own.findings[at] = finding,
        Some(_) => {}
        // Of a list that is not whole the container is unknown, whatever is seen of it.
        None if own.coverage.unjudged.contains(&fingerprint_hash(ID, &finding.subject)) => {}
        None => {
            let tally = own.tally(ID);
            tally.ok = tally.ok.saturating_sub(1);
            tally.problem += 1;
            own.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::CHECKS;
    use crate::fixture::Fixture;
    use crate::fleet::tests::cluster;
    use crate::settings::{CheckSettings, Scope, Settings};
    use crate::shard::{Partial, PartialCluster, Shard, merge};

    fn only() -> Settings {
        Settings { only: [ID.to_owned()].into(), ..Settings::default() }
    }

    /// The clusters c0, c1, ..., settled.
    fn settled(clusters: &[&str], settings: &Settings) -> Vec<(ClusterSummary, Assessment)> {
        let one = |(i, text): (usize, &&str)| cluster(&format!("c{i}"), text, settings);
        let mut parts: Vec<_> = clusters.iter().enumerate().map(one).collect();
        settle(&mut parts, Fixture::new("").snapshot.taken_at);
        parts
    }

    fn sentence(finding: &Finding) -> String {
        let show = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            other => format!("{other:?}"),
        };
        let text = ImagePullPolicy::INFO.text(&finding.summary.key).expect("it has a sentence");
        let (severity, name) = (finding.severity.name(), &finding.subject.name);
        format!("{severity} {name}: {}", finding.summary.fill(text, &show))
    }

    /// What each cluster says: its findings, then ok and problems.
    #[track_caller]
    fn check(clusters: &[&str], expected: &[&str]) {
        let told = |(_, own): &(ClusterSummary, Assessment)| {
            let found: Vec<String> = own.findings.iter().map(sentence).collect();
            let tally = &own.tallies[ID];
            [found.join("; "), format!("{} {}", tally.ok, tally.problem)].join(" ").trim().to_owned()
        };
        assert_eq!(settled(clusters, &only()).iter().map(told).collect::<Vec<_>>(), expected);
    }

    const V21: &str =
        "container a/old-0/app image=app:stable policy=IfNotPresent digest=sha256:v21 created=20d";
    const V23: &str = "container b/new-0/app image=app:stable policy=Always digest=sha256:v23 created=2d";

    #[test]
    fn a_stale_image_is_told_by_the_cluster_that_pulled_last() {
        check(&[V21, V23], &["warning old: runs an older build of app:stable than cluster c1 0 1", "1 0"]);
        let found = &settled(&[V21, V23], &only())[0].1.findings[0];
        let evidence: Vec<String> =
            found.evidence.iter().map(|e| format!("{}={:?}", e.name, e.value)).collect();
        assert_eq!(
            evidence[..5],
            [
                "image=Text(\"app:stable\")",
                "digest=Text(\"sha256:v21\")",
                "newer-digest=Text(\"sha256:v23\")",
                "builds=List([Text(\"c0: sha256:v21\"), Text(\"c1: sha256:v23\")])",
                "last-pulled-by=Text(\"c1\")",
            ]
        );
        assert_eq!(found.subject.pod.as_deref(), Some("old-0"));
    }

    #[test]
    fn what_no_two_clusters_can_share_is_not_compared() {
        let local = |text: &str| {
            text.replace("app:stable", "localhost:32000/app:stable").replace("Always", "IfNotPresent")
        };
        let moving = "nodes that have localhost:32000/app:stable do not pull it again (IfNotPresent), and its tag moves 0 1";
        check(&[&local(V21), &local(V23)], &[&format!("info old: {moving}"), &format!("info new: {moving}")]);
        let by_hand = |text: &str| text.replace("IfNotPresent", "Never").replace("Always", "Never");
        check(&[&by_hand(V21), &by_hand(V23)], &["1 0", "1 0"]);
    }

    #[test]
    fn where_nobody_pulled_no_build_is_called_older() {
        let v23 = V23.replace("Always", "IfNotPresent");
        check(
            &[V21, &v23],
            &[
                "warning old: runs another build of app:stable than cluster c1 0 1",
                "info new: nodes that have {image} do not pull it again (IfNotPresent), and its tag moves 0 1",
            ]
            .map(|text| text.replace("{image}", "app:stable"))
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
    }

    #[test]
    fn a_version_that_was_built_again_is_info() {
        let version = |text: &str| text.replace(":stable", ":1.4");
        check(
            &[&version(V21), &version(V23)],
            &["info old: runs an older build of app:1.4 than cluster c1 0 1", "1 0"],
        );
        check(
            &[&V21.replace("IfNotPresent", "Always"), V23],
            &["info old: runs an older build of app:stable than cluster c1 0 1", "1 0"],
        );
    }

    #[test]
    fn what_is_not_the_same_is_not_compared() {
        check(&[&V21.replace(":stable", ":v21"), V23], &["1 0", "1 0"]);
        check(&[&V21.replace("app:stable", "app@sha256:v21"), V23], &["1 0", "1 0"]);
        let arm = format!("node node-1 arch=arm64\n{}", V21.replace(":stable", ":1.4"));
        let amd = format!("node node-1 arch=amd64\n{}", V23.replace(":stable", ":1.4"));
        check(&[&arm, &amd], &["1 0", "1 0"]);
    }

    #[test]
    fn spellings_of_one_reference_are_compared() {
        let full = V23.replace("app:stable", "docker.io/library/app:stable");
        check(&[V21, &full], &["warning old: runs an older build of app:stable than cluster c1 0 1", "1 0"]);
        let folder = |text: &str, name: &str| text.replace("app:stable", name);
        check(
            &[&folder(V21, "index.docker.io/forex/spell:stable"), &folder(V23, "forex/spell:stable")],
            &[
                "warning old: runs an older build of index.docker.io/forex/spell:stable than cluster c1 0 1",
                "1 0",
            ],
        );
    }

    #[test]
    fn a_rollout_through_the_clusters_takes_its_time() {
        let fresh = V23.replace("2d", "30m");
        let version = V21.replace(":stable", ":1.4");
        check(&[&version, &fresh.replace(":stable", ":1.4")], &["1 0", "1 0"]);
        // The own cluster runs the new one already: its own rollout is for the check to judge.
        let both = format!("{version}\n{}", fresh.replace(":stable", ":1.4").replace("b/new", "a/old"));
        check(&[&both, &V23.replace(":stable", ":1.4")], &["1 0", "1 0"]);
    }

    #[test]
    fn what_a_cluster_tells_by_itself_stays() {
        let two =
            format!("{V21}\n{}", V21.replace("old-0", "old-1").replace("v21", "v22").replace("20d", "9d"));
        check(
            &[&two, V23],
            &[
                "warning old: 1 of 2 replicas run another build of app:stable than the rest 0 1"
                    .replace("1 of 2", "Count(1) of Count(2)")
                    .as_str(),
                "1 0",
            ],
        );
    }

    #[test]
    fn a_place_that_leaves_the_check_out_neither_tells_nor_is_compared() {
        let off = CheckSettings { enabled: Some(false), ..CheckSettings::default() };
        let scope = |cluster: &str| Scope {
            cluster: cluster.to_owned(),
            checks: [(ID.to_owned(), off.clone())].into(),
            place: cluster.to_owned(),
            ..Scope::default()
        };
        for place in ["c0", "c1"] {
            let settings = Settings { scopes: vec![scope(place)], ..only() };
            let parts =
                settled(&[&V21.replace(":stable", ":1.4"), &V23.replace(":stable", ":1.4")], &settings);
            assert!(parts.iter().all(|(_, own)| own.findings.is_empty()), "{place}: {parts:?}");
        }
    }

    #[test]
    fn shards_say_it_when_they_are_merged() {
        let taken_at = Fixture::new("").snapshot.taken_at;
        let window = Fixture::new("").snapshot.window;
        let part = |index: u32, texts: [&str; 2]| {
            let own = [cluster("c0", texts[0], &only()), cluster("c1", texts[1], &only())];
            let part = Partial {
                shard: Shard::new(index, 2).expect("it is below the number"),
                version: "1".to_owned(),
                taken_at,
                window,
                settings: String::new(),
                clusters: own.iter().map(|(summary, own)| PartialCluster::new(summary, own)).collect(),
                gaps: Vec::new(),
            };
            let kept = serde_json::to_string(&part).expect("it can be written");
            serde_json::from_str::<Partial>(&kept).expect("and read")
        };
        let report =
            merge(vec![part(0, [V21, ""]), part(1, ["", V23])], false, CHECKS).expect("both are there");
        let told: Vec<String> = report.findings.iter().map(sentence).collect();
        assert_eq!(told, ["warning old: runs an older build of app:stable than cluster c1"]);
    }

    /// What became of the difference that an earlier run told of container `old` of c0 to cluster c1, and of its own moving
    /// tag, when later runs see these clusters.
    #[track_caller]
    fn check_later(clusters: &[(&str, &str)], whole: bool, expected: [bool; 2]) {
        let mut parts: Vec<_> = clusters.iter().map(|(name, text)| cluster(name, text, &only())).collect();
        parts.iter_mut().for_each(|(_, own)| own.coverage.everywhere = whole);
        settle(&mut parts, Fixture::new("").snapshot.taken_at);
        let told = &settled(&[V21, V23], &only())[0].1.findings[0];
        let kept = |summary: &Text| Kept {
            fingerprint: told.fingerprint.clone(),
            check: ID.to_owned(),
            severity: told.severity,
            subject: told.subject.clone(),
            summary: summary.clone(),
            first: Fixture::new("").snapshot.taken_at,
            last: Fixture::new("").snapshot.taken_at,
            told: None,
            near: None,
        };
        let compared = &parts[0].1.coverage.compared;
        let moving = Text::new("moving").with("image", "app:stable");
        assert_eq!([&told.summary, &moving].map(|text| compares(compared, &kept(text))), expected);
    }

    /// A cluster that is not seen today has not been mended. What a cluster tells by itself needs no other.
    #[test]
    fn without_the_other_cluster_the_question_stays_open() {
        let arm = format!("node node-1 arch=arm64\n{V23}");
        let metrics =
            format!("origin kube-state-metrics\n{}", V23.replace("policy=Always", "policy=unknown"));
        let other = "container b/web-0/app image=web:1 policy=Always digest=sha256:w created=2d";
        check_later(&[("c0", V21)], true, [false, true]);
        check_later(&[("c0", V21), ("c2", V23)], true, [false, true]);
        check_later(&[("c0", V21), ("c1", &arm)], true, [false, true]);
        check_later(&[("c0", V21), ("c1", &metrics)], true, [false, true]);
        check_later(&[("c0", V21), ("c1", other)], false, [false, true]);
        // Both were seen, and so they are compared, or there is nothing to compare any more.
        check_later(&[("c0", V21), ("c1", V23)], false, [true, true]);
        check_later(&[("c0", V21), ("c1", other)], true, [true, true]);
        check_later(&[("c0", &V21.replace(":stable", ":v21"))], true, [true, true]);
    }
}
