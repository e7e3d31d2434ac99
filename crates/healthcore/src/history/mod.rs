//! Findings with a life: a report against what earlier runs have kept.
//!
//! History is an input. [`compare`] takes the report and the [`PastRun`]s of its clusters, gives every finding its
//! state, tells what is there no more, and returns what this run leaves for the next one. With the same history the
//! same report comes out, byte for byte.
//!
//! | state | means |
//! | --- | --- |
//! | new | it was not there in the run before |
//! | ongoing | it was there, and neither its severity nor its main value has left the [`Rules::noise`] band |
//! | worse, better | its severity changed, or its main value left the band around the value at the last change told |
//! | flapping | it came or went now, and at least [`Rules::flapping_changes`] times in the last [`Rules::flapping_runs`] runs |
//! | resolved | it was there, and this run looked and did not find it |
//! | not checked | it was there, and this run could not look: cluster, namespace or check were out of sight |
//!
//! The main value of a finding is the first of its evidence that was compared with a bound. A value that creeps is worse
//! as soon as it has gone the width of the band since a change was last told, however many runs that takes. Where it is the
//! time that something has lasted there is no main value: that time grows though nothing happens, and the severity tells when
//! it passes a bound. For the same reason a time left that is over is 0, however long ago.
//!
//! Where the server did not answer for a metric that a check reads, a finding that is there is not better, and one that is
//! not there is not resolved but not checked: a metric that did not come is no good news.
//!
//! What is on the watch list stays there while it is a little further from its bound ([`crate::view::View::keeps_watching`]),
//! for [`Rules::watch_stay_s`] at most. What leaves the list and is no finding is told once, with the reason ([`Left`]).

mod digest;
mod events;
mod headroom;
mod scores;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use digest::{Counted, Digest, DigestBuilder, Told, tell_trends};
pub(crate) use events::together;
pub(crate) use headroom::Rises;
pub use headroom::{Headroom, Resource, Trend};
pub use scores::{PastScore, Scores};

use crate::finding::{Finding, Severity, State, SubjectRef, Text, Value, fingerprint_hash};
use crate::fleet::builds::{self, Compared};
use crate::model::Event;
use crate::report::Report;
use crate::snapshot::{Objects, Unavailable};
use crate::time::Timestamp;

/// What is kept of a run, for one cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PastRun {
    /// The cluster.
    pub cluster: String,
    /// When the data were taken.
    pub taken_at: Timestamp,
    /// Version of the tool that made it.
    pub version: String,
    /// What it found, and what runs before it had found and it could not check; in the order of fingerprints.
    pub findings: Vec<Kept>,
    /// What was near its bound; in the order of fingerprints.
    pub watch: Vec<Kept>,
    /// How much of their limits containers used.
    pub headroom: Vec<Headroom>,
    /// Warning events, which Kubernetes forgets after an hour: those of the run, and those that it remembered.
    pub events: Vec<Event>,
    /// How healthy the cluster and its namespaces were; nothing in what was kept before scores were.
    pub scores: Scores,
    /// Ids of the checks that it was asked for, in order: scores of other checks are not to be compared.
    pub checks: Vec<String>,
}

/// A finding as history keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// [`Finding::fingerprint`].
    pub fingerprint: String,
    /// Id of the check.
    pub check: String,
    /// How bad it was.
    pub severity: Severity,
    /// What it is about. The cluster is that of the run and not kept twice.
    pub subject: SubjectRef,
    /// One sentence.
    pub summary: Text,
    /// Since when it is known to be so: the run that found it first, without a run between that did not find it, or earlier
    /// where the check of a run since then told so.
    pub first: Timestamp,
    /// The last run that found it; earlier than the run that keeps it when that one could not look.
    pub last: Timestamp,
    /// The main value when a change was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<MainValue>,
    /// On the watch list: the last run that found it near its bound, where that is not [`Kept::last`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<Timestamp>,
}

/// The value that a finding is measured by, with its bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MainValue {
    /// What was measured.
    pub name: String,
    /// The value in its base unit.
    pub value: f64,
    /// What it was compared with.
    pub bound: f64,
}

impl MainValue {
    fn of(finding: &Finding) -> Option<Self> {
        let number = |v: &Value| match v {
            Value::Time(_) => None,
            Value::Seconds(left) => Some(left.max(0.0)),
            v => v.number(),
        };
        let (main, value, bound) = finding.evidence.iter().find_map(|e| {
            let (value, bound) = (number(&e.value)?, number(e.threshold.as_ref()?)?);
            (value.is_finite() && bound.is_finite()).then_some((e, value, bound))
        })?;
        (!main.is_age).then(|| Self { name: main.name.to_string(), value, bound })
    }

    /// By how much this has gone to the bad side of `told`, as a share of it; negative to the good side. What is beyond
    /// an upper bound gets worse upwards, what is below a lower one downwards.
    fn worsening(&self, told: &Self) -> f64 {
        let change = (self.value - told.value) / told.value.abs().max(f64::MIN_POSITIVE);
        if self.value >= self.bound { change } else { -change }
    }
}

/// The numbers behind the states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Share by which a main value may differ from the one told last and still be the same.
    pub noise: f64,
    /// Comings and goings from which on a finding flaps.
    pub flapping_changes: usize,
    /// Runs, this one included, in which they are counted.
    pub flapping_runs: usize,
    /// Seconds after which a finding that no run could check again is forgotten.
    pub forget_s: f64,
    /// Seconds that something stays on the watch list though it is no longer near its bound, only not far from it.
    pub watch_stay_s: f64,
}

impl Default for Rules {
    fn default() -> Self {
        let day = 86_400.0;
        Self {
            noise: 0.10,
            flapping_changes: 3,
            flapping_runs: 10,
            forget_s: 30.0 * day,
            watch_stay_s: 7.0 * day,
        }
    }
}

/// What a run looked at, so that what it does not find can be told from what it did not see.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coverage {
    /// Namespaces of which some object was seen, and those that were named to be looked into.
    pub namespaces: BTreeSet<String>,
    /// Whether every namespace was looked into, those too that are gone.
    pub everywhere: bool,
    /// Fingerprints, as numbers, of subjects that a check could not judge.
    pub(crate) unjudged: BTreeSet<u64>,
    /// Fingerprints, as numbers, of subjects that a check judged without a metric that it reads, because the server, which has
    /// it, did not answer.
    pub(crate) unsure: BTreeSet<u64>,
    /// With which clusters the images of containers were compared, over the whole fleet.
    pub(crate) compared: Compared,
    /// Lists that could not be had, by the id of a check that judges what is in them.
    pub(crate) hidden: Vec<(&'static str, Unavailable)>,
    /// What is there, as numbers ([`Coverage::saw`]).
    pub(crate) subjects: BTreeSet<u64>,
    /// Ids of checks of this run that are switched off in this cluster.
    pub(crate) off: BTreeSet<String>,
    /// Fingerprints, as numbers, of subjects for which a check is switched off.
    pub(crate) unasked: BTreeSet<u64>,
}

impl Coverage {
    /// The namespaces of objects.
    pub(crate) fn of(objects: &Objects) -> Self {
        let pods = objects.pods.iter().map(|p| &p.workload.namespace);
        let workloads = objects.workloads.iter().map(|w| &w.id.namespace);
        let autoscalers = objects.hpas.iter().map(|h| &h.namespace);
        let seen = pods.chain(workloads).chain(autoscalers).map(String::as_str);
        let seen = seen.chain(objects.inventory.inhabited());
        Self { namespaces: seen.map(str::to_owned).collect(), ..Self::default() }
    }

    /// Notes which namespaces a source that tells of every object was asked for, by names or globs; none for all. Then a
    /// namespace in which nothing is was looked into all the same. Not so one that only a glob takes: the source may not have
    /// been allowed to learn the names that the glob stands for.
    pub fn asked(&mut self, namespaces: &[String]) {
        self.everywhere |= namespaces.is_empty() || namespaces.iter().any(|n| n == "*");
        self.namespaces.extend(namespaces.iter().filter(|n| !n.contains(['*', '?'])).cloned());
    }

    pub(crate) fn fold(&mut self, part: Self) {
        self.namespaces.extend(part.namespaces);
        self.everywhere |= part.everywhere;
        self.unjudged.extend(part.unjudged);
        self.unsure.extend(part.unsure);
        self.compared.extend(part.compared);
        self.hidden.extend(part.hidden);
        self.subjects.extend(part.subjects);
        self.off.extend(part.off);
        self.unasked.extend(part.unasked);
    }

    /// Notes that something is there. The cluster is that of the run, and does not count.
    pub(crate) fn see(&mut self, subject: &SubjectRef) {
        self.subjects.insert(presence(subject));
    }

    fn saw(&self, subject: &SubjectRef) -> bool {
        self.subjects.contains(&presence(subject))
    }

    /// Why a check of this run that found something once does not find it again.
    fn left(&self, kept: &Kept) -> Left {
        let namespace = kept.subject.namespace.as_str();
        let fingerprint = u64::from_str_radix(&kept.fingerprint, 16).ok();
        let is_in = |set: &BTreeSet<u64>| fingerprint.is_some_and(|f| set.contains(&f));
        let hidden = |(id, list): &(&str, Unavailable)| *id == kept.check && list.hides(list.kind, namespace);
        let whole = SubjectRef { container: None, ..kept.subject.clone() };
        if self.off.contains(&kept.check) || is_in(&self.unasked) {
            Left::NotAsked
        } else if !(namespace.is_empty() || self.everywhere || self.namespaces.contains(namespace)) {
            Left::OutOfSight
        } else if fingerprint.is_none()
            || is_in(&self.unjudged)
            || is_in(&self.unsure)
            || self.hidden.iter().any(hidden)
            || !builds::compares(&self.compared, kept)
        {
            Left::Unjudged
        } else if self.saw(&kept.subject) {
            Left::Away
        } else if self.saw(&whole) {
            Left::NotRunning
        } else {
            Left::NotThere
        }
    }

    /// Whether a check judged it without a metric that it reads.
    fn is_unsure_of(&self, fingerprint: &str) -> bool {
        u64::from_str_radix(fingerprint, 16).is_ok_and(|f| self.unsure.contains(&f))
    }
}

/// What tells one object or container of a cluster from others, as a number.
fn presence(subject: &SubjectRef) -> u64 {
    fingerprint_hash("", &SubjectRef { cluster: String::new(), ..subject.clone() })
}

/// What changed since the runs before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// The run that each cluster was compared with. A cluster that no run knows is not in it.
    pub before: BTreeMap<String, Timestamp>,
    /// What the runs before found and this one does not, in the order of findings.
    pub gone: Vec<Gone>,
    /// What left the watch list since the run before and is no finding, in the same order.
    #[serde(default)]
    pub unwatched: Vec<Unwatched>,
    /// Containers whose headroom shrinks, those that are full soonest first.
    pub trends: Vec<Trend>,
    /// Of what is on the watch list, and was a finding in the time that it has been near its bound or beyond it without a
    /// break: the last run that found it so, by fingerprint.
    #[serde(default)]
    pub were_findings: BTreeMap<String, Timestamp>,
    /// The scores that each cluster had in the last run of the same checks.
    #[serde(default)]
    pub scores: BTreeMap<String, Scores>,
}

impl Changes {
    /// Whether a cluster has been compared with a run before.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.before.is_empty()
    }

    /// The score that a cluster had in the last run of the same checks, or one of its namespaces.
    #[must_use]
    pub fn score_before(&self, cluster: &str, namespace: Option<&str>) -> Option<PastScore> {
        let scores = self.scores.get(cluster)?;
        match namespace {
            None => scores.cluster,
            Some(name) => scores.namespaces.get(name).copied(),
        }
    }

    /// Whether the run before has not told this already: what it could not look for either is as it was.
    #[must_use]
    pub fn is_news(&self, gone: &Gone) -> bool {
        self.is_new(gone.state, &gone.was)
    }

    /// The same of what left the watch list.
    #[must_use]
    pub fn is_watch_news(&self, gone: &Unwatched) -> bool {
        self.is_new(gone.why.state(), &gone.was)
    }

    fn is_new(&self, state: State, was: &Kept) -> bool {
        let before = self.before.get(&was.subject.cluster);
        state != State::NotChecked || before.is_none_or(|before| was.last >= *before)
    }
}

/// A finding that is not there any more, or could not be looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    /// [`State::Resolved`], [`State::Flapping`] or [`State::NotChecked`].
    pub state: State,
    /// The finding.
    pub was: Kept,
}

/// Something that left the watch list and is no finding, or could not be looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unwatched {
    /// Why it is not on the list.
    pub why: Left,
    /// What was on it.
    pub was: Kept,
}

/// Why a run does not find again what the run before found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Left {
    /// It is there, and away from its bound.
    Away,
    /// A container of which nothing is left, though its workload is there: scaled to zero, or between two runs of a CronJob.
    NotRunning,
    /// The object is not there any more.
    NotThere,
    /// The check was not asked for in this run, or is switched off where it is.
    NotAsked,
    /// This run saw nothing of its namespace.
    OutOfSight,
    /// The check could not judge it.
    Unjudged,
}

impl Left {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Away, Self::NotRunning, Self::NotThere, Self::NotAsked, Self::OutOfSight, Self::Unjudged];

    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::NotRunning => "not-running",
            Self::NotThere => "not-there",
            Self::NotAsked => "not-asked",
            Self::OutOfSight => "out-of-sight",
            Self::Unjudged => "unjudged",
        }
    }

    /// [`State::Resolved`] where the run looked, else [`State::NotChecked`].
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Away | Self::NotRunning | Self::NotThere => State::Resolved,
            Self::NotAsked | Self::OutOfSight | Self::Unjudged => State::NotChecked,
        }
    }
}

/// Gives findings and the watch list their states, fills [`Report::changes`], and returns what to keep of this run: one
/// entry for each cluster that was seen.
///
/// `past` holds the runs of a cluster in order of time. Runs at or after the report's own time do not count, so that a
/// report made again is the same.
pub fn compare(report: &mut Report, past: &BTreeMap<String, Vec<PastRun>>, rules: &Rules) -> Vec<PastRun> {
    let (mut changes, mut rises) = (Changes::default(), Rises::default());
    let mut keep = Vec::new();
    for cluster in report.coverage.keys().cloned().collect::<Vec<_>>() {
        let runs = past.get(&cluster).map_or(&[][..], Vec::as_slice);
        let runs = &runs[..runs.partition_point(|run| run.taken_at < report.taken_at)];
        let run = Life { report, cluster: &cluster, runs, rules }.live(&mut changes);
        if !runs.is_empty() {
            rises.extend(Rises::of(runs, &run));
        }
        keep.push(run);
    }
    changes.gone.sort_by(|a, b| by_weight(&a.was, &b.was));
    changes.unwatched.sort_by(|a, b| by_weight(&a.was, &b.was));
    let distance = |f: &Finding| f.distance.unwrap_or_default();
    report.watch.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    changes.trends = rises.told();
    report.changes = Some(changes);
    keep
}

fn by_weight(a: &Kept, b: &Kept) -> std::cmp::Ordering {
    (b.severity.cmp(&a.severity)).then_with(|| a.check.cmp(&b.check)).then_with(|| a.subject.cmp(&b.subject))
}

/// Where a past run is looked up.
type Find = for<'r> fn(&'r PastRun, &str) -> Option<&'r Kept>;

impl PastRun {
    fn finding(&self, fingerprint: &str) -> Option<&Kept> {
        found(&self.findings, fingerprint)
    }

    /// What was watched, or was a finding and is not any more.
    fn watched(&self, fingerprint: &str) -> Option<&Kept> {
        found(&self.watch, fingerprint).or_else(|| self.finding(fingerprint))
    }

    /// Puts its lists into the order in which they are looked up.
    pub fn sort(&mut self) {
        self.findings.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
        self.watch.sort_by(|a, b| a.fingerprint.cmp(&b.fingerprint));
    }
}

fn found<'k>(list: &'k [Kept], fingerprint: &str) -> Option<&'k Kept> {
    list.binary_search_by(|k| k.fingerprint.as_str().cmp(fingerprint)).ok().map(|at| &list[at])
}

/// One cluster's findings and what is known of them.
struct Life<'a> {
    report: &'a mut Report,
    cluster: &'a str,
    /// Runs before this one, in order of time.
    runs: &'a [PastRun],
    rules: &'a Rules,
}

impl Life<'_> {
    fn live(mut self, changes: &mut Changes) -> PastRun {
        let cluster = self.cluster.to_owned();
        let taken_at = self.report.taken_at;
        let mut run = PastRun {
            cluster: cluster.clone(),
            taken_at,
            version: self.report.version.clone(),
            headroom: headroom::of(&self.report.facts, self.cluster),
            events: self.events(),
            scores: Scores::of(self.report, self.cluster),
            checks: self.report.checks.iter().map(|check| check.id.to_owned()).collect(),
            ..PastRun::default()
        };
        let mut findings = std::mem::take(&mut self.report.findings);
        run.findings = self.follow(&mut findings, PastRun::finding);
        self.report.findings = findings;
        let mut watch = self.watch_list();
        run.watch = self.follow(&mut watch, PastRun::watched);
        changes.were_findings.extend(run.watch.iter().filter_map(|kept| self.was_finding(&kept.fingerprint)));
        self.report.watch = watch;

        if let Some(alike) = self.runs.iter().rev().find(|before| run.is_scored_as(before)) {
            changes.scores.insert(cluster.clone(), alike.scores.clone());
        }
        if let Some(before) = self.runs.last() {
            changes.before.insert(cluster, before.taken_at);
            for was in self.missing(&run.findings, before) {
                let state = self.farewell(&was);
                if state == State::NotChecked {
                    run.findings.push(was.clone());
                }
                let mut was = was;
                was.subject.cluster = self.cluster.to_owned();
                changes.gone.push(Gone { state, was });
            }
            for mut was in self.unwatched(&run, before) {
                let why = self.left(&was);
                if why.state() == State::NotChecked {
                    run.watch.push(was.clone());
                }
                was.subject.cluster = self.cluster.to_owned();
                changes.unwatched.push(Unwatched { why, was });
            }
        }
        for kept in &mut run.watch {
            kept.near = self.last_near(kept);
        }
        run.sort();
        run
    }

    /// The watch list, with what was on it in the run before and is not far away.
    fn watch_list(&mut self) -> Vec<Finding> {
        let mut watch = std::mem::take(&mut self.report.watch);
        let own: Vec<&Finding> =
            self.report.almost.iter().filter(|f| f.subject.cluster == self.cluster).collect();
        // A report may be compared with one past, and then with another.
        watch.retain(|f| own.iter().all(|further| further.fingerprint != f.fingerprint));
        watch.extend(own.into_iter().filter(|f| self.stays(f)).cloned());
        watch
    }

    /// Whether something that is no longer near its bound stays on the watch list.
    fn stays(&self, further: &Finding) -> bool {
        let was = self.runs.last().and_then(|run| found(&run.watch, &further.fingerprint));
        let near = was.map(|was| was.near.unwrap_or(was.last));
        near.is_some_and(|near| self.report.taken_at.seconds_since(near) <= self.rules.watch_stay_s)
    }

    /// When something that is kept was last near its bound, where this run did not find it there.
    fn last_near(&self, kept: &Kept) -> Option<Timestamp> {
        let is_near = !self.report.almost.iter().any(|further| further.fingerprint == kept.fingerprint);
        if is_near && kept.last == self.report.taken_at {
            return None;
        }
        let was = self.runs.last().and_then(|run| found(&run.watch, &kept.fingerprint))?;
        Some(was.near.unwrap_or(was.last))
    }

    /// What was on the watch list, and is neither there nor a finding. What nobody could look at for long is forgotten.
    fn unwatched(&self, run: &PastRun, before: &PastRun) -> Vec<Kept> {
        let known: BTreeSet<&str> =
            run.watch.iter().chain(&run.findings).map(|k| k.fingerprint.as_str()).collect();
        let old = |k: &&Kept| self.report.taken_at.seconds_since(k.last) > self.rules.forget_s;
        let gone = before.watch.iter().filter(|k| !known.contains(k.fingerprint.as_str()));
        gone.filter(|k| !old(k) || self.checks(k)).cloned().collect()
    }

    /// The events of this run, and those that the run before has left.
    fn events(&self) -> Vec<Event> {
        let now = self.report.events.get(self.cluster).cloned().unwrap_or_default();
        let past = self.runs.last().map(|run| run.events.clone()).unwrap_or_default();
        events::keep(together(now, past), self.report.taken_at)
    }

    /// Gives findings of this cluster their states, and returns what to keep of them.
    fn follow(&self, findings: &mut [Finding], find: Find) -> Vec<Kept> {
        let mut keep = Vec::new();
        for finding in findings.iter_mut().filter(|f| f.subject.cluster == self.cluster) {
            let (state, first, told) = self.state(finding, find);
            // What a check knows may be younger: the pod that shows it now, the last change of a condition, the start of a
            // look-back that moves on.
            let first = finding.since.map_or(first, |since| since.min(first));
            // Where the look-back moves on, what began before it seems to begin with it: a sentence tells one beginning.
            if let Some(onset) = finding.summary.args.get_mut("onset")
                && finding.since.is_some_and(|since| first < since)
            {
                *onset = Value::Time(first);
            }
            let doubted = self.doubted(finding, find);
            // In the first run of a cluster everything would be new, which says nothing.
            finding.state = self.runs.last().map(|_| state);
            keep.push(Kept {
                fingerprint: finding.fingerprint.clone(),
                check: finding.check.to_string(),
                severity: doubted.map_or(finding.severity, |was| was.severity),
                subject: SubjectRef { cluster: String::new(), ..finding.subject.clone() },
                summary: finding.summary.clone(),
                first,
                last: self.report.taken_at,
                told,
                near: None,
            });
            if first < self.report.taken_at {
                finding.since = Some(first);
            }
        }
        keep
    }

    /// Until when something on the watch list was a finding, if it was one since it came near its bound.
    fn was_finding(&self, fingerprint: &str) -> Option<(String, Timestamp)> {
        let mut near = self.runs.iter().rev().take_while(|run| run.watched(fingerprint).is_some());
        let until = near.find_map(|run| run.finding(fingerprint))?.last;
        Some((fingerprint.to_owned(), until))
    }

    /// State of a finding, since when the runs before know it, and the main value that a reader knows after this report.
    fn state(&self, finding: &Finding, find: Find) -> (State, Timestamp, Option<MainValue>) {
        let now = MainValue::of(finding);
        let Some(was) = self.runs.last().and_then(|run| find(run, &finding.fingerprint)) else {
            let seen = self.sightings(&finding.fingerprint, find);
            let flaps = changes(seen.into_iter().chain([true])) >= self.rules.flapping_changes;
            return (if flaps { State::Flapping } else { State::New }, self.report.taken_at, now);
        };
        if self.doubted(finding, find).is_some() {
            return (State::Ongoing, was.first, was.told.clone());
        }
        let by = match (&now, &was.told) {
            // Below an upper bound, and above a lower one, the bad side is the other.
            (Some(now), Some(told)) if now.name == told.name && finding.distance.is_some() => {
                -now.worsening(told)
            }
            (Some(now), Some(told)) if now.name == told.name => now.worsening(told),
            _ => 0.0,
        };
        // A change of just the width of the band is inside, whatever rounding makes of it.
        let noise = self.rules.noise + 1e-9;
        let state = match finding.severity.cmp(&was.severity) {
            std::cmp::Ordering::Greater => State::Worse,
            std::cmp::Ordering::Less => State::Better,
            std::cmp::Ordering::Equal if by > noise => State::Worse,
            std::cmp::Ordering::Equal if by < -noise => State::Better,
            std::cmp::Ordering::Equal => State::Ongoing,
        };
        let told = if state == State::Ongoing { was.told.clone().or(now) } else { now };
        // What is watched may have been a finding between, which began later than it came near its bound.
        let unbroken = self.runs.iter().rev().map_while(|run| find(run, &finding.fingerprint));
        let first = unbroken.map(|kept| kept.first).min().unwrap_or(was.first);
        (state, first, told)
    }

    /// What the run before knew of a finding that seems no worse now, but was judged with less than is usual: that a metric did
    /// not come is no change, and what was known stays for the next run that has it.
    fn doubted<'r>(&'r self, finding: &Finding, find: Find) -> Option<&'r Kept> {
        let coverage = self.report.coverage.get(self.cluster)?;
        let was = find(self.runs.last()?, &finding.fingerprint)?;
        let unsure = coverage.is_unsure_of(&finding.fingerprint);
        (unsure && finding.severity <= was.severity).then_some(was)
    }

    /// In which of the last runs a finding was there, leaving out those that could not look.
    fn sightings(&self, fingerprint: &str, find: Find) -> Vec<bool> {
        let first = self.runs.len().saturating_sub(self.rules.flapping_runs.saturating_sub(1));
        let mut seen = Vec::new();
        for run in &self.runs[first..] {
            match find(run, fingerprint) {
                Some(kept) if kept.last < run.taken_at => {}
                found => seen.push(found.is_some()),
            }
        }
        seen
    }

    /// What the run before knew and this one does not find. What nobody could check for long is forgotten.
    fn missing(&self, found: &[Kept], before: &PastRun) -> Vec<Kept> {
        let found: BTreeSet<&str> = found.iter().map(|k| k.fingerprint.as_str()).collect();
        let old = |k: &&Kept| self.report.taken_at.seconds_since(k.last) > self.rules.forget_s;
        let gone = before.findings.iter().filter(|k| !found.contains(k.fingerprint.as_str()));
        gone.filter(|k| !old(k) || self.checks(k)).cloned().collect()
    }

    fn farewell(&self, was: &Kept) -> State {
        if !self.checks(was) {
            return State::NotChecked;
        }
        let seen = self.sightings(&was.fingerprint, PastRun::finding);
        let flaps = changes(seen.into_iter().chain([false])) >= self.rules.flapping_changes;
        if flaps { State::Flapping } else { State::Resolved }
    }

    /// Whether this run looked for something.
    fn checks(&self, kept: &Kept) -> bool {
        self.left(kept).state() == State::Resolved
    }

    /// Why something that an earlier run found is not found any more.
    fn left(&self, kept: &Kept) -> Left {
        if !self.report.checks.iter().any(|c| c.id == kept.check) {
            return Left::NotAsked;
        }
        self.report.coverage.get(self.cluster).map_or(Left::OutOfSight, |coverage| coverage.left(kept))
    }
}

/// How often a sequence changes.
fn changes(mut seen: impl Iterator<Item = bool>) -> usize {
    let Some(mut last) = seen.next() else { return 0 };
    seen.filter(|now| std::mem::replace(&mut last, *now) != *now).count()
}

#[cfg(test)]
mod tests;
