//! What happened over a period: the runs that history kept, told as one.

use std::collections::BTreeMap;

use super::{Kept, PastRun, PastScore, Rises, Rules, Scores, Trend};
use crate::finding::{Severity, SubjectRef};
use crate::report::Found;
use crate::time::Timestamp;

/// What the runs of one cluster say of a period, from after `start` up to and with `end`.
///
/// Every finding stands in one list at most. What could not be looked for counts as it was when somebody last looked.
#[derive(Debug, Clone, PartialEq)]
pub struct Digest {
    /// The cluster.
    pub cluster: String,
    /// Runs of the period.
    pub runs: usize,
    /// The last run of the period; none when it had no run.
    pub last_run: Option<Timestamp>,
    /// The run that the period is compared with: the last one before it, or else the first one in it.
    pub before: Option<Timestamp>,
    /// Longest time without a run, in seconds: from `before`, or the first run, to the end of the period.
    pub longest_silence_s: f64,
    /// What [`Self::before`] had found.
    pub found_before: Found,
    /// What the last run of the period had found.
    pub found: Found,
    /// The same by namespace; what belongs to none has an empty one.
    pub namespaces: BTreeMap<String, Counted>,
    /// Found at the end, and not before; the most severe first.
    pub new: Vec<Told>,
    /// Not found any more; the most severe first. What came and went within the period is among them.
    pub resolved: Vec<Told>,
    /// Came or went at least [`Rules::flapping_changes`] times within the period, there or not; the most severe first.
    pub flapping: Vec<Told>,
    /// Found before and still there; the longest known first.
    pub open: Vec<Told>,
    /// Was there, and the last run could not look; the most severe first.
    pub not_checked: Vec<Told>,
    /// Containers whose headroom shrinks, those that are full soonest first; filled by [`tell_trends`].
    pub trends: Vec<Trend>,
    /// The scores before the period, or else of [`Self::before`], of the last run there that was asked for the checks of the last
    /// run of the period; nothing where none was.
    pub scores_before: Scores,
    /// The scores of the last run of the period.
    pub scores: Scores,
    /// The lowest score with a grade that the cluster had in the period, in runs of the checks of the last run, and the first run
    /// that told it.
    pub lowest_score: Option<(Timestamp, PastScore)>,
    /// Of a part: whether nothing is known of any namespace that is taken.
    pub is_of_nothing: bool,
    rises: Rises,
}

/// How much was found in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counted {
    /// By [`Digest::before`].
    pub before: Found,
    /// By the last run of the period.
    pub now: Found,
}

/// A finding of a digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The finding as it was seen last. Its subject names the cluster.
    pub kept: Kept,
    /// How severe it was when the period began; none when it was not there.
    pub severity_before: Option<Severity>,
    /// How often it came or went within the period.
    pub changes: usize,
    /// The first run that looked for it and did not find it, where that is so at the end.
    pub gone: Option<Timestamp>,
}

/// Makes a [`Digest`] of runs that are given one by one in order of time, so that never more than one is in memory as a
/// whole.
#[derive(Debug)]
pub struct DigestBuilder {
    cluster: String,
    start: Timestamp,
    end: Timestamp,
    rules: Rules,
    runs: usize,
    longest_silence_s: f64,
    before: Option<Before>,
    /// The scores of the last run that a period is compared with, by the checks that it was asked for.
    scores_before: BTreeMap<Vec<String>, Scores>,
    /// The lowest scores of the period, by the same.
    lowest_scores: BTreeMap<Vec<String>, (Timestamp, PastScore)>,
    last: Option<PastRun>,
    lives: BTreeMap<String, Told>,
    /// Shares of limits of the last run of each day, for trends.
    daily: Vec<PastRun>,
}

/// What the run had found that a period is compared with.
#[derive(Debug)]
struct Before {
    taken_at: Timestamp,
    found: BTreeMap<String, Found>,
}

const DAY_S: f64 = 86_400.0;

impl DigestBuilder {
    /// A digest of no run yet, of the period from after `start` up to and with `end`.
    #[must_use]
    pub fn new(cluster: &str, start: Timestamp, end: Timestamp, rules: Rules) -> Self {
        Self {
            cluster: cluster.to_owned(),
            start,
            end,
            rules,
            runs: 0,
            longest_silence_s: 0.0,
            before: None,
            scores_before: BTreeMap::new(),
            lowest_scores: BTreeMap::new(),
            last: None,
            lives: BTreeMap::new(),
            daily: Vec::new(),
        }
    }

    /// Takes the next run in order of time. One before the period serves as what the period is compared with, and for
    /// trends; one after its end, or at the time of the run before, is passed over.
    pub fn add(&mut self, mut run: PastRun) {
        let is_next = self.last.as_ref().is_none_or(|last| last.taken_at < run.taken_at);
        if run.taken_at > self.end || !is_next {
            return;
        }
        run.sort();
        let within = run.taken_at > self.start;
        if within {
            self.runs += 1;
            self.longest_silence_s = self.silence_until(run.taken_at);
            self.weigh(&run);
        }
        if !within || self.before.is_none() {
            self.begin(&run);
        } else {
            self.follow(&run);
        }
        self.keep(run);
    }

    /// The longest silence when the next run, or the end, is at an instant.
    fn silence_until(&self, at: Timestamp) -> f64 {
        let silence = self.last.as_ref().map_or(0.0, |last| at.seconds_since(last.taken_at));
        self.longest_silence_s.max(silence)
    }

    /// Keeps the score of a run where none was lower of those that the same checks were asked of.
    fn weigh(&mut self, run: &PastRun) {
        let Some(score) = run.scores.cluster.filter(|score| score.grade().is_some()) else { return };
        let lowest = self.lowest_scores.get(&run.checks).filter(|_| run.tells_its_checks());
        if lowest.is_none_or(|(_, lowest)| score.points < lowest.points) {
            self.lowest_scores.insert(run.checks.clone(), (run.taken_at, score));
        }
    }

    /// What is there when the period begins.
    fn begin(&mut self, run: &PastRun) {
        self.before = Some(Before { taken_at: run.taken_at, found: found(run) });
        if run.tells_its_checks() {
            self.scores_before.insert(run.checks.clone(), run.scores.clone());
        }
        let told = |kept: &Kept| Told {
            kept: kept.clone(),
            severity_before: Some(kept.severity),
            changes: 0,
            gone: None,
        };
        self.lives = run.findings.iter().map(|kept| (kept.fingerprint.clone(), told(kept))).collect();
    }

    fn follow(&mut self, run: &PastRun) {
        for kept in &run.findings {
            let unseen = Told { kept: kept.clone(), severity_before: None, changes: 1, gone: None };
            let Some(life) = self.lives.get_mut(&kept.fingerprint) else {
                self.lives.insert(kept.fingerprint.clone(), unseen);
                continue;
            };
            life.changes += usize::from(life.gone.take().is_some());
            life.kept = kept.clone();
        }
        let last = self.last.as_ref().map_or(run.taken_at, |last| last.taken_at);
        self.lives.retain(|fingerprint, life| {
            if life.gone.is_some() || run.finding(fingerprint).is_some() {
                return true;
            }
            // What nobody could check for long is forgotten, which tells nothing.
            let unchecked = life.kept.last < last;
            if unchecked && run.taken_at.seconds_since(life.kept.last) > self.rules.forget_s {
                return false;
            }
            life.gone = Some(run.taken_at);
            life.changes += 1;
            true
        });
    }

    /// Keeps of the run before only what trends need.
    fn keep(&mut self, run: PastRun) {
        if let Some(last) = self.last.replace(run) {
            let day = |at: Timestamp| (self.end.seconds_since(at) / DAY_S).floor();
            if self.daily.last().is_some_and(|d| day(d.taken_at) == day(last.taken_at)) {
                self.daily.pop();
            }
            let PastRun { cluster, taken_at, headroom, .. } = last;
            self.daily.push(PastRun { cluster, taken_at, headroom, ..PastRun::default() });
        }
    }

    /// The digest of what was added, without trends: those are told of all clusters together, by [`tell_trends`].
    #[must_use]
    pub fn finish(mut self) -> Digest {
        let mut digest = self.of_no_run();
        let Some(last) = self.last.filter(|run| run.taken_at > self.start) else { return digest };
        digest.last_run = Some(last.taken_at);
        for (name, now) in found(&last) {
            digest.found = digest.found.and(now);
            digest.namespaces.entry(name).or_default().now = now;
        }
        digest.rises = Rises::of(&self.daily, &last);
        digest.scores_before = self.scores_before.remove(&last.checks).unwrap_or_default();
        digest.lowest_score = self.lowest_scores.remove(&last.checks);
        digest.scores = last.scores;
        for (_, mut life) in self.lives {
            life.kept.subject = SubjectRef { cluster: digest.cluster.clone(), ..life.kept.subject };
            digest.list(&life, last.taken_at, &self.rules).push(life);
        }
        let severe_first = |list: &mut Vec<Told>| list.sort_by(Told::by_severity);
        [&mut digest.new, &mut digest.resolved, &mut digest.flapping, &mut digest.not_checked]
            .into_iter()
            .for_each(severe_first);
        digest.open.sort_by(|a, b| a.kept.first.cmp(&b.kept.first).then_with(|| a.by_severity(b)));
        digest
    }

    fn of_no_run(&self) -> Digest {
        let mut namespaces = BTreeMap::new();
        for (name, before) in self.before.iter().flat_map(|before| &before.found) {
            namespaces.insert(name.clone(), Counted { before: *before, now: Found::default() });
        }
        Digest {
            cluster: self.cluster.clone(),
            runs: self.runs,
            last_run: None,
            before: self.before.as_ref().map(|before| before.taken_at),
            longest_silence_s: self.silence_until(self.end),
            found_before: namespaces.values().map(|n| n.before).fold(Found::default(), Found::and),
            found: Found::default(),
            namespaces,
            new: Vec::new(),
            resolved: Vec::new(),
            flapping: Vec::new(),
            open: Vec::new(),
            not_checked: Vec::new(),
            trends: Vec::new(),
            scores_before: Scores::default(),
            scores: Scores::default(),
            lowest_score: None,
            is_of_nothing: false,
            rises: Rises::default(),
        }
    }
}

/// Tells in the digests of all clusters whose headroom shrinks, as a report over them would: the share of false ones is held
/// down over all.
pub fn tell_trends(digests: &mut [Digest]) {
    let mut rises = Rises::default();
    digests.iter_mut().for_each(|digest| rises.extend(std::mem::take(&mut digest.rises)));
    for trend in rises.told() {
        let own = digests.iter_mut().find(|digest| digest.cluster == trend.subject.cluster);
        own.into_iter().for_each(|digest| digest.trends.push(trend.clone()));
    }
}

impl Digest {
    /// The part that concerns somebody: findings from a severity on, in namespaces that are taken; what belongs to no
    /// namespace has an empty one. They are counted anew. Runs and silences are those of the cluster.
    #[must_use]
    pub fn narrowed(&self, floor: Severity, namespace: &dyn Fn(&str) -> bool) -> Self {
        let mut out = self.clone();
        out.is_of_nothing = !namespace("") && !self.namespaces().any(namespace);
        for list in out.lists_mut() {
            list.retain(|t| t.kept.severity >= floor && namespace(&t.kept.subject.namespace));
        }
        out.trends.retain(|t| namespace(&t.subject.namespace));
        let scored = out.scores.namespaces.keys().chain(out.scores_before.namespaces.keys());
        // A cluster that is told in part has no score.
        if !out.namespaces.keys().chain(scored).all(|name| namespace(name)) {
            (out.scores.cluster, out.scores_before.cluster, out.lowest_score) = (None, None, None);
        }
        out.scores.retain(namespace);
        out.scores_before.retain(namespace);
        out.namespaces.retain(|name, _| namespace(name));
        (out.found_before, out.found) = Default::default();
        for counted in out.namespaces.values_mut() {
            *counted = Counted { before: counted.before.at_least(floor), now: counted.now.at_least(floor) };
            out.found_before = out.found_before.and(counted.before);
            out.found = out.found.and(counted.now);
        }
        out
    }

    /// Namespaces of which something is known, by scores and findings; some of them more than once.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        let scored = [&self.scores, &self.scores_before].into_iter().flat_map(|s| s.namespaces.keys());
        let lists = [&self.new, &self.resolved, &self.flapping, &self.open, &self.not_checked];
        let told = lists.into_iter().flatten().map(|t| &t.kept.subject.namespace);
        let all = scored.chain(self.namespaces.keys()).chain(told).map(String::as_str);
        all.filter(|name| !name.is_empty())
    }

    fn lists_mut(&mut self) -> [&mut Vec<Told>; 5] {
        [&mut self.new, &mut self.resolved, &mut self.flapping, &mut self.open, &mut self.not_checked]
    }

    /// The list that a finding belongs to.
    fn list(&mut self, life: &Told, last_run: Timestamp, rules: &Rules) -> &mut Vec<Told> {
        match life {
            _ if life.changes >= rules.flapping_changes => &mut self.flapping,
            _ if life.gone.is_some() => &mut self.resolved,
            _ if life.kept.last < last_run => &mut self.not_checked,
            _ if life.severity_before.is_none() => &mut self.new,
            _ => &mut self.open,
        }
    }
}

impl Told {
    fn by_severity(&self, other: &Self) -> std::cmp::Ordering {
        (other.kept.severity.cmp(&self.kept.severity))
            .then_with(|| self.kept.check.cmp(&other.kept.check))
            .then_with(|| self.kept.subject.cmp(&other.kept.subject))
    }
}

/// What a run had found itself by namespace, without what it could not look for.
fn found(run: &PastRun) -> BTreeMap<String, Found> {
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for kept in run.findings.iter().filter(|kept| kept.last >= run.taken_at) {
        let own = found.entry(kept.subject.namespace.clone()).or_default();
        *own = own.and(Found::of([kept.severity]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Headroom;
    use super::*;
    use crate::finding::Text;

    /// Half a day after midnight, so that no run is at the edge of a day.
    fn at(day: f64) -> Timestamp {
        Timestamp::from_unix_seconds(1_795_003_200).plus_seconds(day * DAY_S)
    }

    /// Runs a day apart. A word is a finding: `a!` a critical one, `a?` one that the run could not look for.
    fn runs(days: &[&str]) -> Vec<PastRun> {
        let mut seen: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut runs = Vec::new();
        for (day, words) in (0..).map(f64::from).zip(days) {
            let mut findings = Vec::new();
            let before = std::mem::take(&mut seen);
            for word in words.split_whitespace() {
                let name = word.trim_end_matches(['!', '?']);
                let (first, last) = before.get(name).copied().unwrap_or((day, day));
                let last = if word.ends_with('?') { last } else { day };
                seen.insert(name.to_owned(), (first, last));
                findings.push(Kept {
                    fingerprint: name.to_owned(),
                    check: "memory-usage".to_owned(),
                    severity: if word.ends_with('!') { Severity::Critical } else { Severity::Warning },
                    subject: SubjectRef { name: name.to_owned(), ..SubjectRef::default() },
                    summary: Text::new("near-limit"),
                    first: at(first),
                    last: at(last),
                    told: None,
                    near: None,
                });
            }
            runs.push(PastRun { cluster: "prod".into(), taken_at: at(day), findings, ..PastRun::default() });
        }
        runs
    }

    /// The digest of all days after `start`.
    fn digest(days: &[&str], start: f64) -> Digest {
        let end = at(days.len() as f64 - 1.0);
        let mut builder = DigestBuilder::new("prod", at(start), end, Rules::default());
        runs(days).into_iter().for_each(|run| builder.add(run));
        builder.finish()
    }

    /// The lists that are not empty, with the names in them.
    #[track_caller]
    fn check(days: &[&str], expected: &str) {
        let d = digest(days, 0.5);
        let lists = [
            ("new", &d.new),
            ("resolved", &d.resolved),
            ("flapping", &d.flapping),
            ("open", &d.open),
            ("not-checked", &d.not_checked),
        ];
        let names = |list: &[Told]| list.iter().map(|t| &*t.kept.subject.name).collect::<Vec<_>>().join(" ");
        let told = lists.iter().filter(|(_, list)| !list.is_empty());
        let told: Vec<String> = told.map(|(what, list)| format!("{what}: {}", names(list))).collect();
        assert_eq!(told.join(", "), expected, "{days:?}");
    }

    #[test]
    fn each_finding_is_in_one_list() {
        check(&["a b", "a b", "a c"], "new: c, resolved: b, open: a");
        check(&["", "a", ""], "resolved: a");
        check(&["a", "", "a"], "open: a");
        check(&["", "a", "", "a"], "flapping: a");
        check(&["a", "", "a", ""], "flapping: a");
        check(&["a", "a b?", "a? b?"], "not-checked: a b");
        check(&["", ""], "");
    }

    #[test]
    fn what_could_not_be_looked_for_neither_comes_nor_goes() {
        check(&["a", "a?", "a", "a?", "a"], "open: a");
        check(&["a", "a?", ""], "resolved: a");
    }

    #[test]
    fn the_most_severe_first_and_the_oldest_first() {
        check(&["", "a b! c"], "new: b a c");
        let d = digest(&["b", "b a!", "b a!", "b a!"], 1.5);
        let names: Vec<&str> = d.open.iter().map(|t| &*t.kept.subject.name).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(d.open[0].kept.first, at(0.0));
        assert_eq!(d.open[0].kept.subject.cluster, "prod");
    }

    #[test]
    fn severities_then_and_now() {
        let d = digest(&["a b", "a! b?"], 0.5);
        assert_eq!(
            (d.found_before, d.found),
            (Found { warning: 2, ..Found::default() }, Found { critical: 1, ..Found::default() })
        );
        assert_eq!(
            (d.open[0].severity_before, d.open[0].kept.severity),
            (Some(Severity::Warning), Severity::Critical)
        );
    }

    /// Here each finding is in a namespace of its name.
    #[test]
    fn a_part_is_counted_anew() {
        let mut builder = DigestBuilder::new("prod", at(0.5), at(2.0), Rules::default());
        for mut run in runs(&["pay-a shop", "pay-a! pay-b shop", "pay-a! pay-b pay-c! shop! web?"]) {
            for kept in &mut run.findings {
                kept.subject.namespace.clone_from(&kept.fingerprint);
            }
            builder.add(run);
        }
        let whole = builder.finish();
        let part = whole.narrowed(Severity::Info, &|n| n.starts_with("pay-"));
        let names = |list: &[Told]| list.iter().map(|t| t.kept.fingerprint.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&part.new), names(&part.open)),
            (vec!["pay-c".into(), "pay-b".into()], vec!["pay-a".into()])
        );
        let count = |critical, warning| Found { critical, warning, ..Found::default() };
        assert_eq!((part.found_before, part.found), (count(0, 1), count(2, 1)));
        assert_eq!((part.runs, part.last_run), (whole.runs, whole.last_run));
        let critical = whole.narrowed(Severity::Critical, &|_| true);
        assert_eq!((critical.found_before, critical.found), (count(0, 0), count(3, 0)));
        assert_eq!((critical.new.len(), critical.open.len()), (1, 2));
        assert_eq!(whole.narrowed(Severity::Info, &|_| true), whole);
        let none = whole.narrowed(Severity::Info, &|_| false);
        assert_eq!((none.found, none.new.len() + none.open.len()), (count(0, 0), 0));
        assert_eq!((part.is_of_nothing, critical.is_of_nothing, none.is_of_nothing), (false, false, true));
    }

    /// Runs with these scores of the cluster, from a day before the period on; a run with `?` was asked for other checks.
    fn scored(days: &[(u8, f64, &str)]) -> Digest {
        let mut builder = DigestBuilder::new("prod", at(0.5), at(9.0), Rules::default());
        for (day, (points, confidence, checks)) in (0..).map(f64::from).zip(days) {
            let score = PastScore { points: *points, confidence: *confidence };
            let namespaces =
                [("shop".to_owned(), score), ("web".to_owned(), PastScore { points: 100, ..score })];
            builder.add(PastRun {
                taken_at: at(day),
                scores: Scores { cluster: Some(score), namespaces: namespaces.into() },
                checks: checks.split_whitespace().map(str::to_owned).collect(),
                ..PastRun::default()
            });
        }
        builder.finish()
    }

    /// Points before, at the end, and the lowest between with its day.
    #[track_caller]
    fn check_scores(days: &[(u8, f64, &str)], expected: (Option<u8>, u8, Option<(u8, f64)>)) {
        let d = scored(days);
        let lowest = d.lowest_score.map(|(when, score)| (score.points, when.seconds_since(at(0.0)) / DAY_S));
        let of = |scores: &Scores| scores.cluster.map(|score| score.points);
        assert_eq!((of(&d.scores_before), of(&d.scores).unwrap(), lowest), expected, "{days:?}");
    }

    #[test]
    fn scores_of_the_same_checks_are_compared() {
        let usual = "a b";
        check_scores(
            &[(92, 1.0, usual), (64, 1.0, usual), (60, 0.4, usual), (72, 1.0, usual)],
            (Some(92), 72, Some((64, 1.0))),
        );
        // The run before the period is not in it.
        check_scores(
            &[(40, 1.0, usual), (72, 1.0, usual), (72, 1.0, usual)],
            (Some(40), 72, Some((72, 1.0))),
        );
        check_scores(
            &[(92, 1.0, "a"), (64, 1.0, "a"), (72, 1.0, usual), (84, 1.0, usual)],
            (None, 84, Some((72, 2.0))),
        );
        check_scores(&[(92, 1.0, ""), (64, 1.0, "")], (None, 64, Some((64, 1.0))));
        check_scores(&[(92, 1.0, ""), (64, 1.0, ""), (72, 1.0, "")], (None, 72, Some((72, 2.0))));
        // A run of one check between says nothing of those of all.
        check_scores(
            &[(92, 1.0, usual), (64, 1.0, usual), (20, 1.0, "a"), (72, 1.0, usual)],
            (Some(92), 72, Some((64, 1.0))),
        );
    }

    #[test]
    fn a_run_of_one_check_before_the_period_hides_no_score() {
        let score = |day, points, check: &str| PastRun {
            taken_at: at(day),
            scores: Scores { cluster: Some(PastScore { points, confidence: 1.0 }), ..Scores::default() },
            checks: vec![check.to_owned()],
            ..PastRun::default()
        };
        let mut builder = DigestBuilder::new("prod", at(1.5), at(2.0), Rules::default());
        let runs = [score(0.0, 92, "a"), score(1.0, 20, "b"), score(2.0, 72, "a")];
        runs.into_iter().for_each(|run| builder.add(run));
        let d = builder.finish();
        assert_eq!((d.before, d.scores_before.cluster.map(|s| s.points)), (Some(at(1.0)), Some(92)));
    }

    #[test]
    fn a_part_has_the_scores_of_its_namespaces() {
        let whole = scored(&[(92, 1.0, "a"), (64, 1.0, "a")]);
        let part = whole.narrowed(Severity::Info, &|name| name == "shop");
        assert_eq!((part.scores.cluster, part.scores_before.cluster, part.lowest_score), (None, None, None));
        let names = |scores: &Scores| scores.namespaces.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            (names(&part.scores), names(&part.scores_before)),
            (vec!["shop".to_owned()], vec!["shop".to_owned()])
        );
        assert_eq!(whole.narrowed(Severity::Critical, &|_| true).scores, whole.scores);
    }

    #[test]
    fn without_a_run_before_the_first_one_counts_as_before() {
        let d = digest(&["a", "a b"], -0.5);
        assert_eq!((d.runs, d.before, d.new.len(), d.open.len()), (2, Some(at(0.0)), 1, 1));
    }

    #[test]
    fn a_period_without_runs_is_no_good_news() {
        let mut builder = DigestBuilder::new("prod", at(1.5), at(8.5), Rules::default());
        runs(&["a"]).into_iter().for_each(|run| builder.add(run));
        let d = builder.finish();
        assert_eq!((d.runs, d.last_run, d.before), (0, None, Some(at(0.0))));
        assert_eq!((d.resolved.len(), d.longest_silence_s), (0, 8.5 * DAY_S));
    }

    #[test]
    fn silence_counts_between_runs_and_up_to_the_end() {
        let of = |days: &[f64], end: f64| {
            let mut builder = DigestBuilder::new("prod", at(0.5), at(end), Rules::default());
            days.iter().for_each(|d| builder.add(PastRun { taken_at: at(*d), ..PastRun::default() }));
            let d = builder.finish();
            (d.runs, d.longest_silence_s / DAY_S)
        };
        assert_eq!(of(&[1.0, 2.0, 4.5, 5.0], 6.0), (4, 2.5));
        assert_eq!(of(&[1.0, 2.0], 6.0), (2, 4.0));
        assert_eq!(of(&[1.0, 1.0, 7.0], 6.0), (1, 5.0), "the same run again, and one after the end");
    }

    #[test]
    fn trends_come_from_the_last_run_of_each_day() {
        let subject = SubjectRef { name: "api".into(), ..SubjectRef::default() };
        let mut builder = DigestBuilder::new("prod", at(3.0), at(8.0), Rules::default());
        for half_day in 0..18 {
            let memory = Some(500 + 10 * half_day);
            let headroom = vec![Headroom { subject: subject.clone(), memory, cpu: None }];
            let (cluster, taken_at) = ("prod".to_owned(), at(f64::from(half_day) / 2.0));
            builder.add(PastRun { cluster, taken_at, headroom, ..PastRun::default() });
        }
        assert!(builder.daily.len() <= 9, "{}", builder.daily.len());
        let mut digests = [builder.finish()];
        assert_eq!(digests[0].trends, [], "not before all clusters are there");
        tell_trends(&mut digests);
        let [d] = digests;
        assert_eq!(d.trends.len(), 1);
        assert!((d.trends[0].to - 0.66).abs() < 0.006, "{:?}", d.trends);
    }
}
