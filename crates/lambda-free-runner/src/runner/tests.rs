//! Schedules on a clock that the tests set, in tokio's paused time: nothing here waits.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::clock::ManualClock;
use crate::deliver::tests::{Hangs, Says};
use crate::deliver::{Receipt, Route};
use crate::schedule::CatchUp;

fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/healthy")
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn clock_time(t: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(t.0).unwrap().strftime("%dT%H:%M:%S").to_string()
}

/// Writes down what it is told.
#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Log {
    fn line(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Progress for Log {}

#[async_trait]
impl Hooks for Log {
    fn missed(&self, first: Timestamp, last: Timestamp) {
        self.line(format!("missed {} to {}", clock_time(first), clock_time(last)));
    }
    fn started(&self, run: &Started) {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let due = run.due.map_or_else(|| "asked".to_owned(), clock_time);
        self.line(format!("{} run {} for {due}", clock_time(run.at), run.number));
    }
    async fn done(&self, run: &Done) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        let what = match &run.result {
            Ok(report) => report.verdict().name().to_owned(),
            Err(why) => format!("{}: {why}", why.kind.name()),
        };
        self.line(format!("run {} took {} s: {what}", run.run.number, run.took.as_secs()));
    }
    fn abandoned(&self, run: &Started, reached: Reached) {
        if reached == Reached::UnderWay {
            self.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        self.line(format!("run {} abandoned: {reached:?}", run.number));
    }
}

struct Scene {
    clock: Arc<ManualClock>,
    log: Arc<Log>,
    runner: Arc<Runner>,
}

type Failure = fn(usize) -> Option<SpecError>;

/// A runner whose clock shows `now`, with runs that take some seconds, and fail as told by their number.
fn scene(now: &str, seconds: u64, failure: Failure) -> Scene {
    let clock = Arc::new(ManualClock::new(at(now)));
    let log = Arc::new(Log::default());
    let count = Arc::new(AtomicUsize::new(0));
    let runner = Runner::builder()
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .hooks(Arc::clone(&log) as Arc<dyn Hooks>)
        .limit(Duration::from_secs(3600))
        .spec_each_run(move || {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                sleep(Duration::from_secs(seconds)).await;
                failure(number).map_or_else(|| Ok(RunSpec::new(Input::Recording(recording()))), Err)
            }
        })
        .build();
    Scene { clock, log, runner: Arc::new(runner) }
}

impl Scene {
    /// Runs on a schedule for a time of the paused clock, then stops with half a minute of grace.
    async fn go_on(&self, schedule: &Schedule, since: Option<&str>, seconds: u64) -> Ended {
        let stop = async move {
            sleep(Duration::from_secs(seconds)).await;
            Duration::from_secs(30)
        };
        self.runner.run_on_schedule(schedule, since.map(at), stop).await
    }

    #[track_caller]
    fn told(&self, expected: &[&str]) {
        assert_eq!(self.log.take(), expected);
        assert!(self.log.most.load(Ordering::SeqCst) <= 1, "never two at once");
    }
}

fn daily() -> Schedule {
    Schedule::cron("0 9 * * *", None).unwrap()
}

const DAY: u64 = 86_400;

#[tokio::test(start_paused = true)]
async fn runs_when_it_is_due() {
    let scene = scene("2026-11-20T08:00:00Z", 5, |_| None);
    assert_eq!(scene.go_on(&daily(), None, 2 * DAY).await, Ended::Idle);
    scene.told(&[
        "20T09:00:00 run 1 for 20T09:00:00",
        "run 1 took 5 s: healthy",
        "21T09:00:00 run 2 for 21T09:00:00",
        "run 2 took 5 s: healthy",
    ]);
}

#[tokio::test(start_paused = true)]
async fn runs_that_take_too_long_never_overlap() {
    let scene = scene("2026-11-20T08:00:05Z", 25, |_| None);
    let often = Schedule::every(Duration::from_secs(10)).unwrap();
    assert_eq!(scene.go_on(&often, None, 60).await, Ended::Finished);
    scene.told(&[
        "20T08:00:10 run 1 for 20T08:00:10",
        "run 1 took 25 s: healthy",
        "missed 20T08:00:20 to 20T08:00:20",
        "20T08:00:35 run 2 for 20T08:00:30",
        "run 2 took 25 s: healthy",
        "missed 20T08:00:40 to 20T08:00:50",
        "20T08:01:00 run 3 for 20T08:01:00",
        "run 3 took 25 s: healthy",
    ]);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_before_the_start() {
    let scene = scene("2026-11-20T12:00:00Z", 0, |_| None);
    scene.go_on(&daily(), Some("2026-11-18T09:00:00Z"), 3600).await;
    scene.told(&[
        "missed 19T09:00:00 to 19T09:00:00",
        "20T12:00:00 run 1 for 20T09:00:00",
        "run 1 took 0 s: healthy",
    ]);
    let skip = daily().with_catch_up(CatchUp::Skip);
    scene.go_on(&skip, Some("2026-11-18T09:00:00Z"), 3600).await;
    scene.told(&["missed 19T09:00:00 to 20T09:00:00"]);
    scene.go_on(&daily(), None, 3600).await;
    scene.told(&[]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_the_run_under_way_its_time_and_no_more() {
    let scene = scene("2026-11-20T08:59:00Z", 100, |_| None);
    assert_eq!(scene.go_on(&daily(), None, 140).await, Ended::Finished);
    scene.told(&["20T09:00:00 run 1 for 20T09:00:00", "run 1 took 100 s: healthy"]);
    scene.clock.set(at("2026-11-20T08:59:00Z"));
    assert_eq!(scene.go_on(&daily(), None, 120).await, Ended::Abandoned);
    scene.told(&["20T09:00:00 run 2 for 20T09:00:00", "run 2 abandoned: UnderWay"]);
    assert!(!scene.runner.is_running());
}

/// Moves the clock after some seconds of a schedule that goes on for a day.
async fn with_a_jump(scene: &Scene, schedule: &Schedule, seconds: u64, to: &str) {
    let jump = async {
        sleep(Duration::from_secs(seconds)).await;
        scene.clock.set(at(to));
    };
    tokio::join!(scene.go_on(schedule, None, DAY), jump);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_forward() {
    let scene = scene("2026-11-20T08:00:00Z", 0, |_| None);
    with_a_jump(&scene, &daily(), 60, "2026-11-20T15:00:00Z").await;
    let lines = scene.log.take();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("20T15:00:") && lines[0].ends_with(" run 1 for 20T09:00:00"), "{lines:?}");
    assert!(lines[2].starts_with("21T09:00:00 run 2"), "{lines:?}");
    scene.clock.set(at("2026-11-20T08:00:00Z"));
    with_a_jump(&scene, &daily().with_catch_up(CatchUp::Skip), 60, "2026-11-21T15:00:00Z").await;
    let lines = scene.log.take();
    assert_eq!(lines[0], "missed 20T09:00:00 to 21T09:00:00");
    assert!(lines[1].starts_with("22T09:00:00 run 3"), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back() {
    let scene = scene("2026-11-20T08:59:00Z", 0, |_| None);
    // By less than three hours: 09:00 is not served twice.
    with_a_jump(&scene, &daily(), 120, "2026-11-20T08:01:00Z").await;
    scene.told(&["20T09:00:00 run 1 for 20T09:00:00", "run 1 took 0 s: healthy"]);
    // A clock that stood in another year was wrong, and counts no longer.
    scene.clock.set(at("2036-11-20T08:59:00Z"));
    with_a_jump(&scene, &daily(), 120, "2026-11-20T08:01:00Z").await;
    scene.told(&[
        "20T09:00:00 run 2 for 20T09:00:00",
        "run 2 took 0 s: healthy",
        "20T09:00:00 run 3 for 20T09:00:00",
        "run 3 took 0 s: healthy",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_fails_says_why_and_the_next_one_goes_on() {
    let failure: Failure = |number| match number {
        1..=3 => Some("healthcheck.yaml: clusters: http://user:hunter2@host cannot be used".into()),
        4 => panic!("a bug"),
        _ => None,
    };
    let scene = scene("2026-11-20T08:00:00Z", 0, failure);
    scene.go_on(&Schedule::every(Duration::from_secs(3600)).unwrap(), None, 3 * 3600 + 60).await;
    let lines = scene.log.take();
    assert!(lines[1].starts_with("run 1 took 0 s: configuration: healthcheck.yaml: clusters"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("hunter2")), "{lines:?}");
    let starts: Vec<&str> = lines.iter().step_by(2).map(String::as_str).collect();
    assert_eq!(
        starts,
        [
            "20T09:00:00 run 1 for 20T09:00:00",
            "20T09:01:00 run 2 for 20T09:00:00",
            "20T09:11:00 run 3 for 20T09:00:00",
            "20T10:00:00 run 4 for 20T10:00:00",
            "20T11:00:00 run 5 for 20T11:00:00",
        ],
        "tried twice more; a bug is not tried again"
    );
    assert_eq!(lines[7], "run 4 took 0 s: stopped: the run panicked; this is a bug");
    assert_eq!(lines[9], "run 5 took 0 s: healthy");
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_again_gives_way_to_the_next_run_and_to_one_that_is_asked_for() {
    let scene = scene("2026-11-20T08:59:00Z", 0, |number| (number != 4).then(|| "away".into()));
    let often = Schedule::every(Duration::from_secs(300)).unwrap();
    scene.go_on(&often, None, 500).await;
    let starts: Vec<String> = scene.log.take().into_iter().step_by(2).collect();
    assert_eq!(
        starts,
        [
            "20T09:00:00 run 1 for 20T09:00:00",
            "20T09:01:00 run 2 for 20T09:00:00",
            "20T09:05:00 run 3 for 20T09:05:00",
            "20T09:06:00 run 4 for 20T09:05:00",
        ]
    );
    scene.clock.set(at("2026-11-20T08:59:00Z"));
    let (schedule, asking) = (daily(), async {
        sleep(Duration::from_secs(62)).await;
        scene.runner.ask().unwrap();
    });
    let _ = tokio::join!(scene.go_on(&schedule, None, 1000), asking);
    let starts: Vec<String> = scene.log.take().into_iter().step_by(2).collect();
    assert_eq!(
        starts,
        [
            "20T09:00:00 run 5 for 20T09:00:00",
            "20T09:00:02 run 6 for asked",
            "20T09:01:00 run 7 for 20T09:00:00",
            "20T09:11:00 run 8 for 20T09:00:00",
        ],
        "one that was asked for and failed changes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_has_a_limit() {
    let scene = scene("2026-11-20T08:00:00Z", 4000, |_| None);
    let failure = scene.runner.run_once().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimeLimit);
    scene.told(&[
        "20T08:00:00 run 1 for asked",
        "run 1 took 3600 s: time-limit: the run took longer than 3600s and was abandoned; give it more time, or less to read",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_for() {
    let scene = scene("2026-11-20T08:00:00Z", 100, |_| None);
    let asking = async {
        sleep(Duration::from_secs(10)).await;
        scene.runner.ask().unwrap();
        sleep(Duration::from_secs(10)).await;
        assert!(scene.runner.is_running());
        assert_eq!(scene.runner.ask().unwrap_err().kind, FailureKind::Busy);
        assert_eq!(scene.runner.run_once().await.unwrap_err().kind, FailureKind::Busy);
    };
    let schedule = daily();
    tokio::join!(scene.go_on(&schedule, None, 7200), asking);
    scene.told(&[
        "20T08:00:10 run 1 for asked",
        "run 1 took 100 s: healthy",
        "20T09:00:00 run 2 for 20T09:00:00",
        "run 2 took 100 s: healthy",
    ]);
}

/// A question must not stand in the way of a run that is due at the same moment.
#[tokio::test(start_paused = true)]
async fn who_asks_whether_it_runs_does_not_keep_it_from_running() {
    let scene = scene("2026-11-20T08:59:50Z", 0, |_| None);
    let held = scene.runner.one_at_a_time.try_lock().unwrap();
    assert!(!scene.runner.is_running(), "a lock that somebody holds is no run");
    drop(held);
    scene.runner.run_once().await.unwrap();
    assert!(!scene.runner.is_running());
}

/// Takes every report, and what comes of it is told.
#[tokio::test]
async fn a_report_goes_where_the_runner_was_told() {
    use crate::deliver::{FileSettings, FileSink};

    struct Told(Mutex<Vec<String>>);
    impl Progress for Told {}
    #[async_trait]
    impl Hooks for Told {
        async fn done(&self, run: &Done) {
            self.0.lock().unwrap().push(format!("done {}", run.result.is_ok()));
        }
        fn delivered(&self, run: &Started, outcome: &Outcome) {
            self.0.lock().unwrap().push(format!("run {} {:?}", run.number, outcome.faults()));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let settings = FileSettings {
        path: folder.path().join("report.md"),
        format: healthcore_report::Format::Markdown.into(),
    };
    let routes = vec![Route::new(Box::new(FileSink::new(settings).unwrap()))];
    let told = Arc::new(Told(Mutex::default()));
    let runner = Runner::builder()
        .spec(RunSpec::new(Input::Recording(recording())))
        .hooks(Arc::clone(&told) as Arc<dyn Hooks>)
        .deliver_by(Deliverer { routes, ..Deliverer::default() })
        .build();
    runner.run_once().await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), ["done true", "run 1 []"]);
    assert!(std::fs::read_to_string(folder.path().join("report.md")).unwrap().starts_with("# "));
}

/// Another part of the program may run beside the schedule, which then leaves its own run out.
#[tokio::test(start_paused = true)]
async fn a_run_beside_the_schedule_stands_for_the_one_that_is_due() {
    let scene = scene("2026-11-20T08:59:50Z", 100, |_| None);
    let schedule = daily();
    let (_, report) = tokio::join!(scene.go_on(&schedule, None, 3600), scene.runner.run_once());
    assert!(report.is_ok());
    scene.told(&[
        "20T08:59:50 run 1 for asked",
        "missed 20T09:00:00 to 20T09:00:00",
        "run 1 took 100 s: healthy",
    ]);
}

/// Dropped at any point, a run leaves neither a recording nor an entry of the history, nor a lock.
#[tokio::test]
async fn a_run_that_is_dropped_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let history = History::open(place.path().to_str().unwrap(), Default::default()).unwrap();
    let spec = RunSpec { history: Some(history), ..RunSpec::new(Input::Recording(recording())) };
    let runner = Runner::builder().spec(spec).hooks(Arc::clone(&log) as Arc<dyn Hooks>).build();
    for polls in 0..3 {
        let mut run = Box::pin(runner.run_once());
        for _ in 0..polls {
            assert!(futures::poll!(&mut run).is_pending());
        }
        drop(run);
        assert!(!runner.is_running());
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    let lines = log.take();
    assert_eq!(lines.iter().filter(|l| l.ends_with("abandoned: UnderWay")).count(), 2, "{lines:?}");
    let report = runner.run_once().await.unwrap();
    assert!(report.changes.is_some());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn two_runners_share_nothing() {
    let runner = || Runner::builder().spec(RunSpec::new(Input::Recording(recording()))).build();
    let (one, other) = (runner(), runner());
    let (a, b) = tokio::join!(one.run_once(), other.run_once());
    assert_eq!(a.unwrap(), b.unwrap());
    let nothing = Runner::builder().build().run_once().await.unwrap_err();
    assert_eq!(nothing.kind, FailureKind::Configuration);
    assert!(nothing.why.starts_with("no source to read"), "{nothing}");
}

/// Embedders spawn runs.
#[test]
fn the_future_of_a_run_can_be_sent() {
    fn sent<T: Send>(_: T) {}
    let runner = Runner::builder().build();
    sent(runner.run_once());
    sent(runner.run_on_schedule(&daily(), None, async { Duration::ZERO }));
}

#[tokio::test]
async fn the_name_of_a_run_says_what_it_delivers_again() {
    let place = tempfile::tempdir().unwrap();
    let history = History::open(place.path().to_str().unwrap(), Default::default()).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let names = Mutex::new(vec!["c", "b", "b", "a"]);
    let runner = Runner::builder()
        .spec_each_run(move || {
            let name = names.lock().unwrap().pop().map(Into::into);
            async move { Ok(RunSpec { name, ..RunSpec::new(Input::Recording(recording())) }) }
        })
        .deliver_by(Deliverer {
            routes: vec![Route::new(Box::new(Says(
                Arc::clone(&count),
                || Ok(Receipt::of("message")),
                false,
            )))],
            history: Some(history),
            ..Deliverer::default()
        })
        .build();
    let mut counts = Vec::new();
    for _ in 0..4 {
        runner.run_once().await.unwrap();
        counts.push(count.load(Ordering::SeqCst));
    }
    assert_eq!(counts, [1, 2, 2, 3]);
}

/// Its report may have arrived: who is told that nothing of it is left would be told what is not so.
#[tokio::test]
async fn a_run_that_is_dropped_while_it_is_delivered_says_so() {
    let (log, sending) = (Arc::new(Log::default()), Arc::new(Notify::new()));
    let routes = vec![Route::new(Box::new(Hangs(Arc::clone(&sending))))];
    let runner = Runner::builder()
        .spec(RunSpec::new(Input::Recording(recording())))
        .hooks(Arc::clone(&log) as Arc<dyn Hooks>)
        .deliver_by(Deliverer { routes, ..Deliverer::default() })
        .build();
    tokio::select! {
        _ = runner.run_once() => unreachable!("it hangs"),
        () = sending.notified() => {}
    }
    assert_eq!(log.take().last().unwrap(), "run 1 abandoned: Delivering");
    assert!(!runner.is_running());
}
