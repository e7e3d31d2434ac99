//! `serve`: runs on a schedule, and the pages that show their reports.

mod args;
mod board;
mod election;
mod http;
mod metrics;
mod pages;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use healthcore::finding::Severity;
use healthcore::report::Report;
use healthcore::time::Timestamp;
use healthcore::unit::Seconds;
use healthcore_report::RenderOptions;
use healthcore_sources::recording::Recording;
use lambda_free_runner::clock::{Clock as _, SystemClock};
use lambda_free_runner::config::Config;
use lambda_free_runner::deliver::Deliverer;
use lambda_free_runner::history::History;
use lambda_free_runner::lease::{Election, Standing};
use lambda_free_runner::reports::{Rendered, ReportFolder};
use lambda_free_runner::runner::{Done, Ended, Hooks, Reached, Runner, Started};
use lambda_free_runner::schedule::Schedule;
use lambda_free_runner::{Input, Progress, RunError, RunSpec};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

pub(crate) use args::{LeaseName, Serve, lease_name};

use crate::exit::Exit;
use crate::serve::board::Board;
use crate::serve::pages::{Pages, Token};
use crate::{commands, delivery, output, sources};

/// Age from which on a report that was never delivered is no news any more.
const OLD_NEWS: Duration = Duration::from_secs(86_400);
/// How often a folder of reports is looked at for those of other programs.
const LOOK: Duration = Duration::from_secs(10);
/// Time for threads of a run that was abandoned.
const LEFT_OVER: Duration = Duration::from_secs(1);

/// Runs and serves until a signal says to stop.
pub(crate) fn run(args: Serve, quiet: bool, verbose: u8) -> anyhow::Result<Exit> {
    if args.sources.at.is_some() {
        anyhow::bail!(
            "--at: every run would judge the same instant; leave it out, or make one report of the past by `healthcheck check --at`"
        );
    }
    let schedule = args.times.schedule(&host())?;
    let token = sources::secret("HEALTHCHECK_RUN_TOKEN")?.map(|secret| Token::new(&secret));
    let reports =
        args.reports.as_ref().map(|path| ReportFolder::open(path, args.keep_reports as usize)).transpose()?;
    let runtime = commands::runtime()?;
    let args = Arc::new(args);
    // What is wrong at the start is told now, and not at the first run.
    let (_, Deliverer { options, .. }) = runtime.block_on(spec(&args, verbose))?;
    let election = runtime.block_on(election::election(&args))?.map(Arc::new);
    let board = Arc::new(Board::default());
    let show = Arc::new(Show {
        board: Arc::clone(&board),
        election: election.clone(),
        deliverer: Mutex::default(),
        reports,
        options,
        quiet,
    });
    let making = Arc::clone(&args);
    let shown = Arc::clone(&show);
    let runner = Runner::builder()
        .hooks(Arc::clone(&show) as Arc<dyn Hooks>)
        .limit(args.times.run_limit)
        .spec_each_run(move || {
            let (args, show) = (Arc::clone(&making), Arc::clone(&shown));
            async move {
                let (spec, deliverer) = spec(&args, verbose).await?;
                *show.deliverer.lock().await = show.remembering(deliverer);
                Ok(spec)
            }
        })
        .build();
    let pages = Pages {
        board,
        runner: Arc::new(runner),
        token,
        ready_after: args.web.ready_after,
        started_at: SystemClock.now(),
    };
    let ended = runtime.block_on(go_on(&args, schedule, Arc::new(pages), show));
    // Threads of an abandoned run may still judge; nobody waits for them.
    runtime.shutdown_timeout(LEFT_OVER);
    ended.map(|()| Exit::Success)
}

async fn go_on(
    args: &Arc<Serve>,
    schedule: Schedule,
    pages: Arc<Pages>,
    show: Arc<Show>,
) -> anyhow::Result<()> {
    let at = args.web.listen;
    let listener = http::listen(at).await.with_context(|| {
        format!(
            "--listen {at}: cannot listen there; the port may be in use, or the address of another machine"
        )
    })?;
    let at = listener.local_addr().unwrap_or(at);
    if !at.ip().is_loopback() {
        show.log(&format!("everyone who reaches {at} can read the reports"));
    }
    show.find_latest().await;
    show.log(&format!("listening on http://{at}"));
    let (stop, stopping) = watch::channel(false);
    let (close, closing) = watch::channel(false);
    let web = tokio::spawn(http::serve(listener, Arc::clone(&pages), closing));
    let looking = tokio::spawn(look_out(Arc::clone(&show)));
    let plan = Plan {
        args: Arc::clone(args),
        schedule,
        at_start: args.times.run_at_start,
        grace: args.times.grace.saturating_sub(http::STOPPING),
        stopping,
    };
    let scheduled = plan.carry_out(&pages, &show);
    let mut signals = Signals::new()?;
    let mut scheduled = std::pin::pin!(scheduled);
    let name = tokio::select! {
        _ = &mut scheduled => unreachable!("a schedule ends when it is told to stop"),
        name = signals.next() => name,
    };
    show.board.change(|state| state.stopping = true);
    show.log(&format!("{name}: stopping"));
    stop.send_replace(true);
    let ended = tokio::select! {
        ended = &mut scheduled => ended,
        name = signals.next() => {
            show.log(&format!("{name}: stopping at once"));
            Ended::Abandoned
        }
    };
    looking.abort();
    close.send_replace(true);
    let _ = timeout(http::STOPPING, web).await;
    show.log(match ended {
        Ended::Abandoned => "stopped before all was done",
        _ => "stopped",
    });
    Ok(())
}

/// When runs start, and how they stop.
struct Plan {
    args: Arc<Serve>,
    schedule: Schedule,
    at_start: bool,
    grace: Duration,
    stopping: watch::Receiver<bool>,
}

impl Plan {
    /// Runs until told to stop; with an election, while this program leads.
    async fn carry_out(&self, pages: &Pages, show: &Show) -> Ended {
        let Some(election) = &show.election else {
            return self.run(pages, show, show.last_report(), self.at_start, std::future::pending()).await;
        };
        let mut stopping = self.stopping.clone();
        let (leave, left) = tokio::sync::oneshot::channel::<()>();
        let part = election.take_part(async {
            let _ = left.await;
        });
        let leading = async {
            let ended = self.run_while_leading(pages, show, election, &mut stopping).await;
            let _ = leave.send(());
            ended
        };
        tokio::join!(leading, part, show.follow(election.standing())).0
    }

    async fn run_while_leading(
        &self,
        pages: &Pages,
        show: &Show,
        election: &Election,
        stopping: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut standing = election.standing();
        let began = SystemClock.now();
        let mut at_start = self.at_start;
        loop {
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return Ended::Idle,
                _ = standing.wait_for(|standing| *standing == Standing::Leader) => {}
            }
            // The one before may have kept a report that this program has not seen yet.
            show.find_latest().await;
            // What became due since this program began, and was served by nobody, was missed.
            let served = show.last_report().max(election.last_served()).unwrap_or(began);
            // Programs that start together make one run at the start, and not one each.
            at_start &= election.last_served().is_none();
            let mut watched = election.standing();
            let lost = async move {
                let _ = watched.wait_for(|standing| *standing != Standing::Leader).await;
            };
            let ended = self.run(pages, show, Some(served), at_start, lost).await;
            if *stopping.borrow() {
                return ended;
            }
            at_start = false;
        }
    }

    /// Runs until told to stop, or until `lost` resolves, when another program may run: then nothing is finished.
    async fn run(
        &self,
        pages: &Pages,
        show: &Show,
        since: Option<Timestamp>,
        at_start: bool,
        lost: impl Future<Output = ()>,
    ) -> Ended {
        let mut stopping = self.stopping.clone();
        let stop = async {
            tokio::select! {
                biased;
                () = lost => Duration::ZERO,
                _ = stopping.wait_for(|stop| *stop) => self.grace,
            }
        };
        let mut stop = std::pin::pin!(stop);
        let mut left_over = std::pin::pin!(show.deliver_left_over(&self.args));
        tokio::select! {
            biased;
            grace = &mut stop => {
                let _ = timeout(grace, left_over).await;
                return Ended::Idle;
            }
            () = &mut left_over => {}
        }
        if at_start {
            // Nothing is under way yet that could refuse it.
            let _ = pages.runner.ask();
        }
        pages.runner.run_on_schedule(&self.schedule, since, stop).await
    }
}

/// What every run is to do and where its report goes, as arguments and configuration say at this moment.
async fn spec(args: &Serve, verbose: u8) -> anyhow::Result<(RunSpec, Deliverer)> {
    let config = commands::read_config(args.sources.config.as_deref())?;
    let settings = commands::settings(&args.choice, &config)?;
    let history = commands::history(args.history.as_deref(), args.no_history, &config)?;
    let spec = match &args.snapshot {
        Some(path) => {
            commands::fit(&args.choice, Seconds(Recording::open(path)?.header().window.seconds()))?;
            RunSpec {
                settings,
                image: commands::image(),
                certificates: commands::certificates(&config.certificates)?,
                ..RunSpec::new(Input::Recording(path.clone()))
            }
        }
        None => {
            commands::fit(&args.choice, commands::lookback(&args.sources, &config))?;
            let clusters = sources::connect(&args.sources, &config, verbose).await?;
            if clusters.is_empty() {
                return Err(RunError::NoSource.into());
            }
            commands::live(&args.sources, &config, settings, Input::Live(clusters))?
        }
    };
    let deliverer = deliverer(args, &config, history.clone())?;
    Ok((RunSpec { history, ..spec }, deliverer))
}

/// Where reports go.
fn deliverer(args: &Serve, config: &Config, history: Option<History>) -> anyhow::Result<Deliverer> {
    let zone = args.times.time_zone.as_deref().map(str::parse).transpose()?;
    let options = output::options(args.lang, zone, config);
    let routes = delivery::open_unless(args.no_deliver, config, options, &[])?;
    Ok(Deliverer { history, ..routes })
}

/// Shows what runs do, and their reports.
struct Show {
    board: Arc<Board>,
    election: Option<Arc<Election>>,
    /// Where the report of the run under way goes.
    deliverer: Mutex<Deliverer>,
    reports: Option<ReportFolder>,
    options: RenderOptions,
    quiet: bool,
}

impl Show {
    /// A line about something that goes as it should.
    fn log(&self, line: &str) {
        if !self.quiet {
            self.warn(line);
        }
    }

    /// A line about something that does not.
    #[expect(clippy::unused_self, reason = "beside `log`")]
    fn warn(&self, line: &str) {
        output::note(&format!("{} {line}", readable(SystemClock.now())));
    }

    /// Tells who leads, until the program stops.
    async fn follow(&self, mut standing: watch::Receiver<Standing>) {
        while !self.board.known().stopping {
            let now = standing.borrow_and_update().clone();
            match &now {
                Standing::Unknown { .. } => self.warn(&pages::told(&now)),
                known => self.log(&pages::told(known)),
            }
            self.board.change(|state| {
                state.next = state.next.filter(|_| now == Standing::Leader);
                state.standing = Some(now);
            });
            if standing.changed().await.is_err() {
                return;
            }
        }
    }

    /// When the data of the latest report were taken.
    fn last_report(&self) -> Option<Timestamp> {
        self.board.latest().map(|pages| pages.taken_at)
    }

    /// Renders a report, shows it and keeps it; until it is delivered, if it is to be.
    async fn publish(&self, report: &Arc<Report>, to_deliver: bool) {
        let (report, options, reports) = (Arc::clone(report), self.options.clone(), self.reports.clone());
        let making = tokio::task::spawn_blocking(move || {
            let rendered = Rendered::of(&report, &options)?;
            let values = to_deliver.then_some(&*report);
            let kept = reports.map_or(Ok(()), |folder| folder.keep(&rendered, values));
            anyhow::Ok((board::Pages::of(rendered), kept))
        });
        match making.await {
            Ok(Ok((pages, kept))) => {
                self.board.publish(pages);
                if let Err(why) = kept {
                    self.board.change(|state| state.unkept += 1);
                    self.warn(&format!("the report is shown, and not kept: {why}"));
                }
            }
            Ok(Err(why)) => self.warn(&format!("the report cannot be rendered: {why:#}")),
            Err(why) => self.warn(&format!("the report cannot be rendered: {why}")),
        }
    }

    /// Delivers a report, and notes that nothing is left to be done about it.
    async fn deliver(&self, deliverer: &Deliverer, report: &Report) {
        let failed = delivery::deliver(deliverer, report, self.quiet, &|line| self.warn(line)).await;
        failed.iter().for_each(|why| self.warn(&format!("warning: {why}")));
        self.settle(report.taken_at).await;
    }

    async fn settle(&self, taken_at: Timestamp) {
        let Some(folder) = self.reports.clone() else { return };
        if let Ok(Err(why)) = tokio::task::spawn_blocking(move || folder.delivered(taken_at)).await {
            self.warn(&why.to_string());
        }
    }

    /// A deliverer that knows what was sent: from the history, and without one from the folder of reports.
    fn remembering(&self, deliverer: Deliverer) -> Deliverer {
        let folder = self.reports.as_ref().filter(|_| deliverer.history.is_none());
        let sent =
            folder.and_then(|folder| folder.deliveries().inspect_err(|why| self.warn(&why.to_string())).ok());
        Deliverer { sent, ..deliverer }
    }

    /// Delivers what a program that was killed after it had kept its report has left. What it had sent already is known,
    /// and not sent again.
    async fn deliver_left_over(&self, args: &Serve) {
        let Some(folder) = self.reports.clone() else { return };
        let (report, age) = match tokio::task::spawn_blocking(move || folder.undelivered()).await {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(why)) => return self.warn(&format!("{why}; the pages have it")),
        };
        let when = readable(report.taken_at);
        if age > OLD_NEWS {
            self.warn(&format!("the report of {when} was never delivered, and is too old to be sent now"));
            return self.settle(report.taken_at).await;
        }
        let opened = commands::read_config(args.sources.config.as_deref()).and_then(|config| {
            let history = commands::history(args.history.as_deref(), args.no_history, &config)?;
            deliverer(args, &config, history)
        });
        match opened {
            Ok(deliverer) => {
                self.log(&format!(
                    "the report of {when} was kept, and its delivery not finished; it is delivered now"
                ));
                self.deliver(&self.remembering(deliverer), &report).await;
            }
            Err(why) => self.warn(&format!("the report of {when} cannot be delivered: {why:#}")),
        }
    }

    /// Shows the latest report of the folder, if it is later than what is shown.
    async fn find_latest(&self) {
        let Some(folder) = self.reports.clone() else { return };
        let shown = self.last_report();
        let looking = tokio::task::spawn_blocking(move || {
            let is_later = folder.latest_instant()? > shown;
            let found = if is_later { folder.latest()? } else { None };
            anyhow::Ok(found.map(board::Pages::of))
        });
        match looking.await {
            Ok(Ok(Some(pages))) => {
                self.log(&format!("found a report of {}", readable(pages.taken_at)));
                self.board.publish(pages);
            }
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(why)) => self.warn(&format!("{why:#}")),
        }
    }
}

async fn look_out(show: Arc<Show>) {
    loop {
        sleep(LOOK).await;
        show.find_latest().await;
    }
}

impl Progress for Show {}

#[async_trait]
impl Hooks for Show {
    fn waiting(&self, start: Timestamp) {
        self.board.change(|state| state.next = Some(start));
        self.log(&format!("the next run starts at {}", readable(start)));
    }

    fn missed(&self, first: Timestamp, last: Timestamp) {
        self.board.change(|state| state.missed += 1);
        let when = if first == last {
            format!("the run of {}", readable(first))
        } else {
            format!("the runs of {} to {}", readable(first), readable(last))
        };
        self.warn(&format!("missed {when}"));
    }

    fn started(&self, run: &Started) {
        self.board.change(|state| state.running = Some(run.at));
        let for_what = run.due.map_or_else(String::new, |due| format!(", due at {}", readable(due)));
        self.log(&format!("run {} starts{for_what}", run.number));
    }

    async fn done(&self, run: &Done) {
        let seconds = run.took.as_secs_f64();
        let deliverer = self.deliverer.lock().await;
        if let Ok(report) = &run.result {
            self.publish(report, !deliverer.routes.is_empty()).await;
        }
        self.board.ended(run, SystemClock.now());
        match &run.result {
            Ok(report) => {
                self.log(&format!("run {} took {seconds:.1} s: {}", run.run.number, in_short(report)));
                for gap in report.gaps.iter().filter(|gap| History::is_own(gap)) {
                    self.warn(&format!("{}: {}", gap.scope, gap.detail));
                }
                self.deliver(&deliverer, report).await;
            }
            Err(why) => {
                let again = run.tried_again.map_or_else(String::new, |pause| {
                    format!("; it is tried again in {}", Seconds(pause.as_secs_f64()))
                });
                self.warn(&format!("run {} failed after {seconds:.1} s: {why}{again}", run.run.number));
            }
        }
        // What is tried again, or not delivered yet, is not served, also for a program that leads by then.
        if let (Some(election), Some(due), None) = (&self.election, run.run.due, run.tried_again) {
            election.serve(due);
        }
    }

    fn abandoned(&self, run: &Started, reached: Reached) {
        self.board.change(|state| {
            // One that has a report is counted by that.
            if state.running.take().is_some() {
                state.abandoned += 1;
            }
        });
        let number = run.number;
        self.warn(&match (reached, &self.reports) {
            (Reached::UnderWay, _) => format!("run {number} is abandoned; it has no report"),
            (_, Some(_)) => format!(
                "run {number} has its report, and not everybody got it yet; the next program with these --reports goes on with that"
            ),
            (_, None) => format!("run {number} has its report, and not everybody got it"),
        });
    }
}

fn in_short(report: &Report) -> String {
    let of = |severity| report.count(severity);
    format!(
        "{}, {} critical, {} warning, {} info, gaps: {}",
        report.verdict().name(),
        of(Severity::Critical),
        of(Severity::Warning),
        of(Severity::Info),
        report.gaps.len()
    )
}

/// An instant as people write it, to the second.
fn readable(t: Timestamp) -> String {
    jiff::Timestamp::from_second(t.unix_seconds())
        .map_or_else(|_| format!("unix time {}", t.unix_seconds()), |t| t.to_string())
}

/// The name of this host, or of its pod.
fn host() -> String {
    let named = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let read = || std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    named.or_else(read).unwrap_or_default().trim().to_owned()
}

/// Signals that ask to stop.
#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}
