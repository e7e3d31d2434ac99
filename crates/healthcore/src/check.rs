//! What a check is, and how a typed check becomes one of a list.

use std::any::Any;

use crate::analyse::Assessment;
use crate::class::{Class, Classified};
use crate::finding::{Finding, Problem, Severity, SubjectRef, Text, Value, fingerprint, fingerprint_hash};
use crate::metric::Metric;
use crate::model::{ObjectKind, Workload};
use crate::need::{Importance, Needs};
use crate::params::{ParamInfo, Params};
use crate::snapshot::Missing;
use crate::unit::Ratio;
use crate::view::View;

/// What is told of a check: in `list`, `explain`, the documentation and the catalogues.
#[derive(Debug, Clone, Copy)]
pub struct CheckInfo {
    /// Id in kebab case: names the problem, not the remedy.
    pub id: &'static str,
    /// The problem in a few words.
    pub title: &'static str,
    /// Version that brought it.
    pub since: &'static str,
    /// What it checks.
    pub checks: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// How it decides: formula, window, guards, with units.
    pub decides: &'static str,
    /// What to do when it fires.
    pub remedy: &'static str,
    /// When it is wrong.
    pub false_alarms: &'static str,
    /// English sentences by key, with values in braces. Other languages carry the same keys.
    pub texts: &'static [(&'static str, &'static str)],
}

impl CheckInfo {
    /// The English sentence of a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&'static str> {
        self.texts.iter().find(|(k, _)| *k == key).map(|(_, text)| *text)
    }
}

/// What a check says of a subject that it could judge.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing wrong.
    Ok,
    /// Nothing wrong yet: the problem that it would be, and how far from its bound it is, as a share of the bound. The
    /// subject counts as ok, and goes on the watch list where it is near enough ([`View::watches`]).
    Near(Box<Problem>, f64),
    /// Something wrong.
    Problem(Box<Problem>),
    /// The question does not arise for this subject; it is not counted.
    NotApplicable,
}

impl Outcome {
    /// A problem when its bound is reached, else one for the watch list, at a distance from the bound
    /// ([`crate::measure::below`], [`crate::measure::above`]).
    #[must_use]
    pub fn when(reached: bool, distance: f64, problem: Problem) -> Self {
        let problem = Box::new(problem);
        if reached { Self::Problem(problem) } else { Self::Near(problem, distance) }
    }
}

impl From<Problem> for Outcome {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

/// A judgement; `Err` makes the subject unknown, with the reason.
pub type Judgement = Result<Outcome, Missing>;

/// One kind of problem: what it needs, and how it judges a subject.
///
/// A check sees one subject at a time with the whole partition around it, and reports on its subject only.
/// The engine loops over the subjects, counts, and chooses the parameters for the subject's class.
pub trait Check: Send + Sync + 'static {
    /// What is told of it.
    const INFO: CheckInfo;
    /// Its parameters.
    type Params: Params;
    /// What it judges.
    type Subject<'a>: Subject<'a>;
    /// Whether what is not seen counts against a subject. Where a list is not whole, such a check says nothing; others
    /// still tell the problems of what was seen, but find nothing in order.
    const NEEDS_ALL: bool = false;
    /// Whether it runs only where it is asked for by name, because what it reads costs more than the rest of a run.
    const ON_REQUEST: bool = false;
    /// Adds the metrics and objects that it reads.
    fn needs(params: &Self::Params, needs: &mut Needs);
    /// Defaults that workloads of some classes have instead: class, parameter, value. Its own file says so in the words of the
    /// parameter.
    const CLASS_DEFAULTS: &'static [(Class, &'static str, &'static str)] = &[];
    /// Share of false findings among the sure ones that is accepted over a whole report; none for rules that are no
    /// statistics. Problems of a check that has one carry their [`crate::finding::Chance`].
    fn false_discovery_rate(_params: &Self::Params) -> Option<Ratio> {
        None
    }
    /// Judges one subject.
    ///
    /// # Errors
    /// Something that the judgement needs is missing; the subject counts as unknown.
    fn judge(params: &Self::Params, subject: &Self::Subject<'_>, view: &View<'_>) -> Judgement;
}

/// A kind of thing that checks judge.
pub trait Subject<'a>: Sized {
    /// All of them in a partition, in a stable order.
    fn all(view: &View<'a>) -> Vec<Self>;
    /// How the report names it; the cluster is filled in by the engine.
    fn reference(&self) -> SubjectRef;
    /// The workload whose class chooses the thresholds, if any.
    fn workload(&self) -> Option<&'a Workload>;
    /// Lists without which there is no telling how many subjects there are.
    fn lists() -> &'static [ObjectKind];
    /// Lists that this one is made of; where one is not whole, it is not known whether the subject is in order.
    fn made_of(&self) -> &'static [ObjectKind] {
        Self::lists()
    }
    /// Why a part of the subject that should have samples of a metric has none, if so. The engine asks it of every
    /// metric that a check requires before it counts the subject as in order.
    fn unseen(&self, _view: &View<'_>, _metric: Metric) -> Option<Missing> {
        None
    }
    /// Whether it is judged without a metric because the server, which has it, did not answer.
    fn goes_without(&self, view: &View<'_>, metric: Metric) -> bool {
        view.has_failed(metric)
    }
}

/// A check whose types are erased, for lists.
pub trait AnyCheck: Send + Sync {
    /// What is told of it.
    fn info(&self) -> &'static CheckInfo;
    /// Whether it runs only where it is asked for by name.
    fn on_request(&self) -> bool;
    /// Its parameters.
    fn param_infos(&self) -> Vec<ParamInfo>;
    /// Its parameters with the given values put over the defaults.
    ///
    /// # Errors
    /// `(Some(parameter), why)` for a value that cannot be read, `(None, why)` for values that do not fit
    /// together.
    fn configure(&self, values: &[(&str, &str)]) -> Result<AnyParams, (Option<String>, String)>;
    /// The text of one parameter.
    fn show(&self, params: &AnyParams, name: &str) -> Option<String>;
    /// Adds what it needs.
    fn needs(&self, params: &AnyParams, needs: &mut Needs);
    /// Defaults that workloads of some classes have instead: class, parameter, value.
    fn class_defaults(&self) -> &'static [(Class, &'static str, &'static str)];
    /// Lists of objects without which there is no telling how many subjects there are.
    fn lists(&self) -> &'static [ObjectKind];
    /// Judges every subject of the partition for which `choose` gives values.
    fn run(&self, choose: &Choose<'_>, view: &View<'_>, out: &mut Assessment);
}

/// Chooses by the namespace and workload of a subject: the workload's class, and the parameters; none where the check does
/// not run.
pub type Choose<'a> = dyn Fn(&str, Option<&Workload>) -> (Option<Classified>, Option<AnyParams>) + 'a;

/// Parameters whose type is erased; made by [`AnyCheck::configure`].
pub type AnyParams = std::sync::Arc<dyn Any + Send + Sync>;

/// Makes an [`AnyCheck`] of a [`Check`].
pub struct Erased<C>(std::marker::PhantomData<fn() -> C>);

impl<C> Erased<C> {
    /// The check.
    #[expect(clippy::new_without_default, reason = "a constant for the list of checks")]
    #[must_use]
    pub const fn new() -> Self {
        Self(std::marker::PhantomData)
    }
}

fn typed<C: Check>(params: &AnyParams) -> &C::Params {
    params.downcast_ref().expect("parameters were made by the configure() of the same check")
}

impl<C: Check> AnyCheck for Erased<C> {
    fn info(&self) -> &'static CheckInfo {
        const { &C::INFO }
    }

    fn on_request(&self) -> bool {
        C::ON_REQUEST
    }

    fn param_infos(&self) -> Vec<ParamInfo> {
        C::Params::infos()
    }

    fn configure(&self, values: &[(&str, &str)]) -> Result<AnyParams, (Option<String>, String)> {
        let mut params = C::Params::default();
        for (name, text) in values {
            params.set(name, text).map_err(|why| (Some((*name).to_owned()), why))?;
        }
        params.validate().map_err(|why| (None, why))?;
        Ok(std::sync::Arc::new(params))
    }

    fn show(&self, params: &AnyParams, name: &str) -> Option<String> {
        typed::<C>(params).get(name)
    }

    fn needs(&self, params: &AnyParams, needs: &mut Needs) {
        C::needs(typed::<C>(params), needs);
    }

    fn class_defaults(&self) -> &'static [(Class, &'static str, &'static str)] {
        C::CLASS_DEFAULTS
    }

    fn lists(&self) -> &'static [ObjectKind] {
        <C::Subject<'static> as Subject<'static>>::lists()
    }

    fn run(&self, choose: &Choose<'_>, view: &View<'_>, out: &mut Assessment) {
        let info = self.info();
        out.tally(info.id);
        if let (_, Some(params)) = choose("", None) {
            out.accept(info.id, C::false_discovery_rate(typed::<C>(&params)));
        }
        for subject in C::Subject::all(view) {
            let reference = subject.reference();
            out.coverage.see(&reference);
            let (class, params) = choose(&reference.namespace, subject.workload());
            let Some(params) = params else {
                let cluster = view.snapshot.cluster.clone();
                out.coverage.unasked.insert(fingerprint_hash(info.id, &SubjectRef { cluster, ..reference }));
                continue;
            };
            let namespace = reference.namespace;
            out.accept(info.id, C::false_discovery_rate(typed::<C>(&params)));
            let judged = C::judge(typed::<C>(&params), &subject, view);
            let judged = match (judged, not_whole(subject.made_of(), &namespace, view)) {
                (Ok(Outcome::Problem(problem)), Some(_)) if !C::NEEDS_ALL => Ok(Outcome::Problem(problem)),
                (_, Some(why)) => Err(why.clone()),
                (judged, None) => judged,
            };
            let judged = match judged {
                Ok(fine @ (Outcome::Ok | Outcome::Near(..))) => {
                    all_seen::<C>(typed::<C>(&params), &subject, view).map(|_| fine)
                }
                judged => judged,
            };
            let mut without = Vec::new();
            if judged.as_ref().is_ok_and(|outcome| *outcome != Outcome::NotApplicable) {
                out.namespace(&namespace).judged += 1;
                without = unanswered::<C>(typed::<C>(&params), &subject, view);
            }
            if !without.is_empty() {
                let cluster = view.snapshot.cluster.clone();
                let subject = SubjectRef { cluster, ..subject.reference() };
                out.coverage.unsure.insert(fingerprint_hash(info.id, &subject));
            }
            match judged {
                Ok(Outcome::Ok) => out.tally(info.id).ok += 1,
                Ok(Outcome::Near(problem, distance)) => {
                    out.tally(info.id).ok += 1;
                    // Many are near; a curve for each would be a report of its own.
                    let problem =
                        Problem { severity: Severity::Info, series: None, advice: Vec::new(), ..*problem };
                    let near = finding(info, subject.reference(), class, problem, view);
                    out.watch(Finding { distance: Some(distance), ..near }, view);
                }
                Ok(Outcome::NotApplicable) => {}
                Err(why) => {
                    let cluster = view.snapshot.cluster.clone();
                    let subject = SubjectRef { cluster, ..subject.reference() };
                    out.coverage.unjudged.insert(fingerprint_hash(info.id, &subject));
                    out.tally(info.id).unknown_of(why, subject);
                    out.namespace(&namespace).unknown += 1;
                }
                Ok(Outcome::Problem(problem)) => {
                    out.tally(info.id).problem += 1;
                    let problem = match without.is_empty() {
                        true => *problem,
                        false => problem.evidence("judged-without", without),
                    };
                    out.findings.push(finding(info, subject.reference(), class, problem, view));
                }
            }
        }
    }
}

/// In order, unless a part of the subject was not seen: a problem there would not have been either.
fn all_seen<'v, C: Check>(params: &C::Params, subject: &impl Subject<'v>, view: &View<'_>) -> Judgement {
    let mut needs = Needs::default();
    C::needs(params, &mut needs);
    let required = needs.metrics.iter().filter(|(_, importance)| **importance == Importance::Required);
    match required.into_iter().find_map(|(metric, _)| subject.unseen(view, *metric)) {
        Some(why) => Err(why),
        None => Ok(Outcome::Ok),
    }
}

/// Names of the metrics that the check reads and that the server has, but did not answer for, or not for all of the subject.
fn unanswered<'v, C: Check>(params: &C::Params, subject: &impl Subject<'v>, view: &View<'_>) -> Vec<Value> {
    let mut needs = Needs::default();
    C::needs(params, &mut needs);
    let read = needs.metrics.iter().filter(|(_, importance)| **importance > Importance::Shown);
    let without = read.filter(|(metric, _)| subject.goes_without(view, **metric));
    without.map(|(metric, _)| metric.name().into()).collect()
}

/// Why a list that a subject is made of does not show all, if so.
fn not_whole<'a>(lists: &[ObjectKind], namespace: &str, view: &View<'a>) -> Option<&'a Missing> {
    if view.snapshot.objects.unavailable.is_empty() {
        return None;
    }
    lists.iter().find_map(|kind| view.unavailable(*kind, namespace))
}

fn finding(
    info: &'static CheckInfo,
    subject: SubjectRef,
    class: Option<Classified>,
    problem: Problem,
    view: &View<'_>,
) -> Finding {
    let known = |text: &Text| info.text(&text.key).is_some();
    debug_assert!(
        known(&problem.summary) && problem.advice.iter().all(|a| known(&a.text)),
        "check {}: a message has no English text: {:?}",
        info.id,
        problem
    );
    let mut subject = SubjectRef { cluster: view.snapshot.cluster.clone(), ..subject };
    let fingerprint = fingerprint(info.id, &subject);
    if problem.pod.is_some() {
        subject.pod = problem.pod;
    }
    let series = problem.series.map(|mut chart| {
        chart.advise(&problem.advice);
        chart
    });
    Finding {
        check: std::borrow::Cow::Borrowed(info.id),
        severity: problem.severity,
        subject,
        class,
        summary: problem.summary,
        evidence: problem.evidence,
        advice: problem.advice,
        since: problem.since,
        state: None,
        fingerprint,
        series,
        chance: problem.chance,
        distance: None,
    }
}
