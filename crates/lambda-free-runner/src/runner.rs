//! Runs for programs that stay: one at a time, once or on a schedule, with hooks for the program around them.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthcore::finding::Finding;
use healthcore::report::Report;
use healthcore::settings::Settings;
use healthcore::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::clock::{Clock, SystemClock, after, span};
use crate::deliver::{Deliverer, Outcome};
use crate::history::History;
use crate::progress::{Progress, Silent};
use crate::redact;
use crate::run::{RunError, run_once};
use crate::schedule::{Next, Schedule};
use crate::spec::{ClusterSources, Input, RunSpec};

/// The longest time between two looks at the clock while a run is waited for, so that a clock that jumped is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// A clock that goes back by more than this was wrong before: the schedule starts anew from what it shows now. By less,
/// and no instant is served twice. (cron(8) draws the same line.)
const WAS_WRONG: Duration = Duration::from_secs(3 * 3600);

/// Pauses before a run of the schedule that could not be made is tried again: a server that starts anew needs its minutes.
const TRIED_AGAIN: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(600)];

/// What a program wants to know of its runs. Every method does nothing unless it is implemented.
#[async_trait]
pub trait Hooks: Progress {
    /// The next run starts at this instant, unless the clock jumps.
    fn waiting(&self, _start: Timestamp) {}
    /// Runs of the schedule are left out: those due from the first to the last of these instants.
    fn missed(&self, _first: Timestamp, _last: Timestamp) {}
    /// A run starts.
    fn started(&self, _run: &Started) {}
    /// A finding of the report, in its order. All of them come at the end of a run: how sure one is depends on the others.
    fn finding(&self, _finding: &Finding) {}
    /// A run has ended, with a report or without. It is part of the run: none starts before it has returned.
    async fn done(&self, _run: &Done) {}
    /// How a delivery of the report ended, for runners with [`RunnerBuilder::deliver_by`]. It comes after [`done`](Self::done).
    fn delivered(&self, _run: &Started, _outcome: &Outcome) {}
    /// A run was given up before its end, for the program stops or its future was dropped.
    fn abandoned(&self, _run: &Started, _reached: Reached) {}
}

/// How far a run was when it was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// It was under way: there is no report.
    UnderWay,
    /// It had its report, which was being told by [`done`](Hooks::done) or delivered: what was sent by then has arrived.
    Delivering,
}

impl Hooks for Silent {}

/// A run that has started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Its number in the life of its runner, from 1.
    pub number: u64,
    /// The instant of the schedule that it is for; none for a run that was asked for.
    pub due: Option<Timestamp>,
    /// When it started.
    pub at: Timestamp,
}

/// A run that has ended.
#[derive(Debug, Clone)]
pub struct Done {
    /// How it started.
    pub run: Started,
    /// How long it took.
    pub took: Duration,
    /// The report, or why there is none.
    pub result: Result<Arc<Report>, RunFailure>,
    /// The pause after which the schedule tries it again, unless the next run comes first; none where this was the last try.
    pub tried_again: Option<Duration>,
}

/// Why a run has no report, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct RunFailure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// What is wrong, and what to do.
    pub why: String,
}

/// Kinds of failures of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FailureKind {
    /// What is to be run is wrong: the configuration, or a setting of it.
    Configuration,
    /// No source can be used.
    Sources,
    /// It took longer than a run may.
    TimeLimit,
    /// Another run is under way.
    Busy,
    /// It stopped by a mistake of this program.
    Stopped,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Configuration, Self::Sources, Self::TimeLimit, Self::Busy, Self::Stopped];

    /// Whether it may pass within minutes: a server starts anew, a Secret is replaced.
    const fn may_pass(self) -> bool {
        matches!(self, Self::Configuration | Self::Sources)
    }

    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Sources => "sources",
            Self::TimeLimit => "time-limit",
            Self::Busy => "busy",
            Self::Stopped => "stopped",
        }
    }
}

impl RunFailure {
    fn new(kind: FailureKind, why: &str) -> Self {
        Self { kind, why: redact::text(why).into_owned() }
    }
}

impl From<RunError> for RunFailure {
    fn from(error: RunError) -> Self {
        let kind = match &error {
            RunError::Settings(_) | RunError::Window(_) | RunError::NoSource => FailureKind::Configuration,
            RunError::Source(_) | RunError::NoneReachable(_) => FailureKind::Sources,
            RunError::Stopped(_) => FailureKind::Stopped,
        };
        Self::new(kind, &error.to_string())
    }
}

/// How a schedule came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No run was under way.
    Idle,
    /// The run under way was finished.
    Finished,
    /// The run under way took longer than it was given, its deliveries included, and was abandoned.
    Abandoned,
}

/// An error of a program that makes specs.
pub type SpecError = Box<dyn std::error::Error + Send + Sync>;
type SpecMaker = dyn Fn() -> BoxFuture<'static, Result<RunSpec, SpecError>> + Send + Sync;

/// Carries out runs, one at a time. A process may have any number of runners.
///
/// Dropping the future of a run abandons it: what it writes (a recording, a history) is there as a whole or not at all. Its
/// report may have gone to some of those who get it; with a history the rest is news to them in the next one.
pub struct Runner {
    spec: Box<SpecMaker>,
    clock: Arc<dyn Clock>,
    hooks: Arc<dyn Hooks>,
    limit: Option<Duration>,
    deliverer: Deliverer,
    count: AtomicU64,
    one_at_a_time: tokio::sync::Mutex<()>,
    is_running: AtomicBool,
    asked: Notify,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("limit", &self.limit)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// A runner to be.
    ///
    /// ```
    /// # async fn example(cluster: lambda_free_runner::ClusterSources) -> Result<(), Box<dyn std::error::Error>> {
    /// use lambda_free_runner::runner::Runner;
    /// use lambda_free_runner::schedule::Schedule;
    /// use std::time::Duration;
    ///
    /// let runner = Runner::builder().sources(vec![cluster]).build();
    /// let report = runner.run_once().await?;
    /// let daily = Schedule::cron("0 9 * * *", Some("Asia/Taipei"))?;
    /// let stop = async {
    ///     // A signal, for instance; then the run under way has half a minute.
    ///     Duration::from_secs(30)
    /// };
    /// runner.run_on_schedule(&daily, Some(report.taken_at), stop).await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder {
            spec: RunSpec::new(Input::Live(Vec::new())),
            each_run: None,
            clock: Arc::new(SystemClock),
            hooks: Arc::new(Silent),
            limit: None,
            deliverer: Deliverer::default(),
        }
    }

    /// One run, now.
    ///
    /// # Errors
    /// It has no report, or another run is under way.
    pub async fn run_once(&self) -> Result<Arc<Report>, RunFailure> {
        self.run(None, 0).await
    }

    /// Whether a run is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// Asks the schedule that is waiting for a run at once.
    ///
    /// # Errors
    /// A run is under way.
    pub fn ask(&self) -> Result<(), RunFailure> {
        if self.is_running() {
            return Err(busy());
        }
        self.asked.notify_one();
        Ok(())
    }

    /// Runs whenever the schedule says so, never two at once, until `stop` resolves to the time that a run under way still
    /// has. A run that fails because of its configuration or its sources is tried again after a minute and after ten.
    ///
    /// `since` is the instant of the last run that is known of; what was due after it and before now was missed. Without
    /// it nothing was.
    pub async fn run_on_schedule(
        &self,
        schedule: &Schedule,
        since: Option<Timestamp>,
        stop: impl Future<Output = Duration>,
    ) -> Ended {
        let mut stop = pin!(stop);
        let mut served = since.unwrap_or_else(|| self.clock.now());
        let mut told = None;
        let mut again: Option<Again> = None;
        loop {
            let now = self.clock.now();
            if span(now, served) > WAS_WRONG {
                served = now;
                again = None;
            }
            let due = match (schedule.next(served, now), again) {
                (Next::Wait { .. }, Some(again)) if again.at <= now => Some(again.due),
                (Next::Wait { start }, again) => {
                    let start = again.map_or(start, |again| again.at.min(start));
                    if told.replace(start) != Some(start) {
                        self.hooks.waiting(start);
                    }
                    tokio::select! {
                        biased;
                        _ = &mut stop => return Ended::Idle,
                        () = self.asked.notified() => None,
                        () = sleep(span(now, start).min(LOOK_AGAIN)) => continue,
                    }
                }
                (Next::LeaveOut { missed: (first, last) }, _) => {
                    served = last;
                    self.hooks.missed(first, last);
                    continue;
                }
                (Next::Run { due, missed }, _) => {
                    served = due;
                    again = None;
                    if let Some((first, last)) = missed {
                        self.hooks.missed(first, last);
                    }
                    Some(due)
                }
            };
            told = None;
            let tries = again.filter(|again| due == Some(again.due)).map_or(0, |again| again.tries);
            let mut run = pin!(self.run(due, tries));
            let grace = tokio::select! {
                biased;
                grace = &mut stop => grace,
                result = &mut run => {
                    // A run that somebody else started is under way: it looks at the same clusters now.
                    if let (Some(due), Err(RunFailure { kind: FailureKind::Busy, .. })) = (due, &result) {
                        self.hooks.missed(due, due);
                    }
                    if due.is_some() || result.is_ok() {
                        let pause = tried_again(due, tries, &result);
                        again = due.zip(pause).map(|(due, pause)| {
                            Again { due, tries: tries + 1, at: after(self.clock.now(), pause) }
                        });
                    }
                    continue;
                }
            };
            return match timeout(grace, run).await {
                Ok(_) => Ended::Finished,
                Err(_) => Ended::Abandoned,
            };
        }
    }

    /// One run, which was tried so many times before.
    async fn run(&self, due: Option<Timestamp>, tries: usize) -> Result<Arc<Report>, RunFailure> {
        let _alone = self.one_at_a_time.try_lock().map_err(|_| busy())?;
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let run = Started { number, due, at: self.clock.now() };
        let reached = Some(Reached::UnderWay);
        let mut under_way = UnderWay { run, hooks: &*self.hooks, is_running: &self.is_running, reached };
        self.is_running.store(true, Ordering::Relaxed);
        self.hooks.started(&run);
        let begun = Instant::now();
        let (name, result) = match self.report().await {
            Ok((name, report)) => (name, Ok(Arc::new(report))),
            Err(why) => (None, Err(why)),
        };
        if let Ok(report) = &result {
            under_way.reached = Some(Reached::Delivering);
            report.findings.iter().for_each(|finding| self.hooks.finding(finding));
        }
        let tried_again = tried_again(due, tries, &result);
        self.hooks.done(&Done { run, took: begun.elapsed(), result: result.clone(), tried_again }).await;
        if let Ok(report) = &result {
            let name = name.as_deref().or(self.deliverer.run.as_deref());
            for outcome in self.deliverer.deliver_of(name, report).await {
                self.hooks.delivered(&run, &outcome);
            }
        }
        under_way.end();
        result
    }

    /// A report, and the name of its run.
    async fn report(&self) -> Result<(Option<String>, Report), RunFailure> {
        let run = async {
            let spec = (self.spec)().await;
            let spec = spec.map_err(|e| RunFailure::new(FailureKind::Configuration, &chain(&*e)))?;
            let spec = RunSpec { clock: Arc::clone(&self.clock), ..spec };
            let report = run_once(&spec, &*self.hooks).await?;
            Ok((spec.name, report))
        };
        // A mistake of ours in one run must not end the schedule.
        let run = AssertUnwindSafe(run).catch_unwind().map(|ended| match ended {
            Ok(result) => result,
            Err(_) => Err(RunFailure::new(FailureKind::Stopped, "the run panicked; this is a bug")),
        });
        let Some(limit) = self.limit else { return run.await };
        timeout(limit, run).await.unwrap_or_else(|_| {
            let why = format!(
                "the run took longer than {limit:?} and was abandoned; give it more time, or less to read"
            );
            Err(RunFailure::new(FailureKind::TimeLimit, &why))
        })
    }
}

/// A run of the schedule that is tried again.
#[derive(Clone, Copy)]
struct Again {
    due: Timestamp,
    /// Times that it was tried.
    tries: usize,
    at: Timestamp,
}

/// The pause after which a run is tried again, if it is.
fn tried_again(
    due: Option<Timestamp>,
    tries: usize,
    result: &Result<Arc<Report>, RunFailure>,
) -> Option<Duration> {
    let failure = result.as_ref().err()?;
    due.filter(|_| failure.kind.may_pass()).and_then(|_| TRIED_AGAIN.get(tries).copied())
}

fn busy() -> RunFailure {
    RunFailure::new(FailureKind::Busy, "a run is under way already; there is one at a time")
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Tells of a run whose future was dropped.
struct UnderWay<'a> {
    run: Started,
    hooks: &'a dyn Hooks,
    is_running: &'a AtomicBool,
    /// None when it has ended.
    reached: Option<Reached>,
}

impl UnderWay<'_> {
    fn end(mut self) {
        self.reached = None;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.is_running.store(false, Ordering::Relaxed);
        if let Some(reached) = self.reached {
            self.hooks.abandoned(&self.run, reached);
        }
    }
}

/// A [`Runner`] to be.
#[must_use]
pub struct RunnerBuilder {
    spec: RunSpec,
    each_run: Option<Box<SpecMaker>>,
    clock: Arc<dyn Clock>,
    hooks: Arc<dyn Hooks>,
    limit: Option<Duration>,
    deliverer: Deliverer,
}

impl RunnerBuilder {
    /// What every run is to do, in place of all that was said of it before.
    pub fn spec(self, spec: RunSpec) -> Self {
        Self { spec, ..self }
    }

    /// The servers of every run.
    pub fn sources(mut self, clusters: Vec<ClusterSources>) -> Self {
        self.spec.input = Input::Live(clusters);
        self
    }

    /// Which checks run, and with which parameters.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.spec.settings = settings;
        self
    }

    /// Where runs are remembered and compared with.
    pub fn history(mut self, history: History) -> Self {
        self.spec.history = Some(history);
        self
    }

    /// Makes the spec anew for every run, for instance from a file that people edit, in place of a fixed one. Where that
    /// fails, the run does.
    pub fn spec_each_run<F, R>(self, spec: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<RunSpec, SpecError>> + Send + 'static,
    {
        Self { each_run: Some(Box::new(move || spec().boxed())), ..self }
    }

    /// The clock of the schedule and of the runs; that of the machine unless told otherwise.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Who is told of the runs.
    pub fn hooks(self, hooks: Arc<dyn Hooks>) -> Self {
        Self { hooks, ..self }
    }

    /// Where reports go when a run has one: into these sinks, by the routes that hold them. Nowhere unless told otherwise.
    pub fn deliver_by(self, deliverer: Deliverer) -> Self {
        Self { deliverer, ..self }
    }

    /// The longest time that a run may take until its report is there; none unless told otherwise. What it takes to deliver it is bounded
    /// by the routes.
    pub fn limit(self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The runner.
    #[must_use]
    pub fn build(self) -> Runner {
        let fixed = self.spec;
        let spec = self.each_run.unwrap_or_else(|| {
            Box::new(move || {
                let spec = fixed.clone();
                async move { Ok(spec) }.boxed()
            })
        });
        Runner {
            spec,
            clock: self.clock,
            hooks: self.hooks,
            limit: self.limit,
            deliverer: self.deliverer,
            count: AtomicU64::new(0),
            one_at_a_time: tokio::sync::Mutex::new(()),
            is_running: AtomicBool::new(false),
            asked: Notify::new(),
        }
    }
}

#[cfg(test)]
mod tests;
