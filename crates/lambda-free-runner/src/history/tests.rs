use super::*;

/// Runs by the day of their data, written on that day.
fn days(days: &[i64]) -> Vec<Named> {
    written_on(&days.iter().map(|day| (*day, *day)).collect::<Vec<_>>())
}

/// Runs by the day of their data and the day on which they were written.
fn written_on(days: &[(i64, i64)]) -> Vec<Named> {
    let named = |(day, written): &(i64, i64)| {
        let taken_at = Timestamp::from_unix_seconds(day * 86_400);
        let path = Path::from(name::object(taken_at, b""));
        Named { path, taken_at, size: 1, modified_s: written * 86_400 }
    };
    days.iter().map(named).collect()
}

fn day(named: &Named) -> i64 {
    named.taken_at.unix_seconds() / 86_400
}

fn removed_of(names: &[Named], written: i64, readable: Option<i64>, age: f64, runs: usize) -> Vec<i64> {
    let at = |day: i64| Timestamp::from_unix_seconds(day * 86_400);
    let keep = Retention { age: Seconds::from_days(age), runs };
    let path = Path::from(name::object(at(written), b""));
    too_many(names, &path, at(written), readable.map(at), keep).map(day).collect()
}

fn removed(names: &[i64], written: i64, readable: Option<i64>, age: f64, runs: usize) -> Vec<i64> {
    // The store has seen the day on which the run is written.
    let mut names = days(names);
    names.iter_mut().rev().take(1).for_each(|last| last.modified_s = written * 86_400);
    removed_of(&names, written, readable, age, runs)
}

#[test]
fn what_is_too_old_or_too_many_goes() {
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 10.0, 10), [0; 0]);
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 2.0, 10), [1]);
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 10.0, 2), [1, 2]);
}

#[test]
fn the_same_run_again_removes_nothing() {
    assert_eq!(removed(&[1, 2, 3], 3, Some(2), 10.0, 3), [0; 0]);
    assert_eq!(removed(&[1, 2, 3], 3, Some(2), 10.0, 2), [1]);
}

#[test]
fn the_newest_and_the_last_good_one_stay() {
    assert_eq!(removed(&[1, 2, 3], 90, Some(2), 10.0, 1), [1, 3], "3 was not readable");
    assert_eq!(
        removed(&[1, 2, 90], 3, Some(2), 10.0, 1),
        [1],
        "a run of the past does not push out the present"
    );
    assert_eq!(removed(&[], 1, None, 0.0, 0), [0; 0]);
}

/// Days 1 to 7, and a run of day 800 that was written on day 7.
#[test]
fn a_run_of_the_future_removes_nothing() {
    let week: Vec<(i64, i64)> = (1..=7).map(|day| (day, day)).collect();
    assert_eq!(removed_of(&written_on(&week), 800, Some(7), 400.0, 2000), [0; 0]);
    let mut with_future = week.clone();
    with_future.push((800, 7));
    for runs in [2000, 8] {
        assert_eq!(removed_of(&written_on(&with_future), 8, Some(7), 400.0, runs), [0; 0], "{runs}");
    }
    with_future.push((801, 8));
    assert_eq!(removed_of(&written_on(&with_future), 802, Some(801), 400.0, 2000), [0; 0]);
}

#[test]
fn what_does_not_follow_is_of_the_future() {
    let told = |names: &[i64], before: i64| {
        let at = Timestamp::from_unix_seconds(before * 86_400);
        of_the_future(&days(names), at).map(|names| names.iter().map(day).collect::<Vec<_>>())
    };
    assert_eq!(told(&[1, 2, 3, 800, 801], 4), Some(vec![800, 801]));
    assert_eq!(told(&[1, 2, 3, 4, 800], 2), Some(vec![800]), "a report that is made again");
    assert_eq!(told(&[1, 2, 3, 4, 20, 40], 2), None, "those that followed it");
    assert_eq!([told(&[1, 2], 90), told(&[], 1)], [None, None]);
}

#[test]
fn the_last_runs_and_one_a_day_are_read() {
    let hour = |h: i64| {
        let taken_at = Timestamp::from_unix_seconds(h * 3600);
        Named { path: Path::from(name::object(taken_at, b"")), taken_at, size: 1, modified_s: 0 }
    };
    let names: Vec<Named> = (0..24 * 60).map(hour).collect();
    let hours: Vec<i64> = chosen(&names, Timestamp::from_unix_seconds(24 * 60 * 3600))
        .iter()
        .map(|n| n.taken_at.unix_seconds() / 3600)
        .collect();
    assert_eq!(hours.len(), LAST + DAYS + 1);
    assert_eq!(hours[hours.len() - LAST..], (1428..1440).collect::<Vec<_>>());
    assert!(hours.is_sorted());
    assert_eq!(chosen(&names, names[0].taken_at).len(), 0, "what comes after is no past");
}

/// A run of a fleet with 200 findings and 1,000 containers, no two alike.
fn large(day: i64) -> PastRun {
    use healthcore::finding::{Severity, SubjectRef, Text};
    use healthcore::history::{Headroom, Kept, MainValue, PastScore, Scores};
    let taken_at = Timestamp::from_unix_seconds(1_795_136_400 + day * 86_400);
    // Values that no compressor can guess.
    let noise = |i: i64| name::object(taken_at, &i.to_le_bytes())[17..33].to_owned();
    let number = |i: i64| u64::from_str_radix(&noise(i), 16).unwrap_or_default();
    let subject = |i: i64| SubjectRef {
        namespace: format!("team-{}", i % 20),
        kind: "Deployment".into(),
        name: format!("service-{i}"),
        container: Some("app".into()),
        pod: Some(format!("service-{i}-{}", noise(i))),
        ..SubjectRef::default()
    };
    let kept = |i: i64| Kept {
        fingerprint: name::object(Timestamp(0), &i.to_le_bytes())[17..33].to_owned(),
        check: "memory-usage".into(),
        severity: Severity::Warning,
        subject: subject(i),
        summary: Text::new("near-limit")
            .with("use", number(i) as usize)
            .with("limit", (1_usize << 30) + i as usize),
        first: taken_at.plus_seconds(-86_400.0 * (i % 30) as f64),
        last: taken_at,
        told: Some(MainValue {
            name: "memory-of-limit".into(),
            value: number(i) as f64 / u64::MAX as f64,
            bound: 0.7,
        }),
        near: None,
    };
    let headroom = |i: i64| Headroom {
        subject: SubjectRef { pod: None, ..subject(i) },
        memory: Some((number(i) % 1000) as u32),
        cpu: Some((number(i + 1000) % 1000) as u32),
    };
    let score = |i: i64| PastScore {
        points: (number(i) % 101) as u8,
        confidence: (number(i + 2000) % 1001) as f64 / 1000.0,
    };
    let mut run = PastRun {
        cluster: "prod".into(),
        taken_at,
        version: "0.1.0".into(),
        findings: (0..200).map(kept).collect(),
        headroom: (0..1000).map(headroom).collect(),
        scores: Scores {
            cluster: Some(score(0)),
            namespaces: (1..=50).map(|i| (format!("team-{i}"), score(i))).collect(),
        },
        checks: healthcore::checks::CHECKS.iter().map(|check| check.info().id.to_owned()).collect(),
        ..PastRun::default()
    };
    run.sort();
    run
}

/// A few days stand for the year: they are alike in size.
#[test]
fn a_year_is_small() {
    const DAYS_TRIED: usize = 5;
    let runs: Vec<PastRun> = (0..DAYS_TRIED as i64).map(large).collect();
    let files: Vec<Vec<u8>> = runs.iter().map(|r| format::compress(&format::lines(r)).unwrap()).collect();
    let year = files.iter().map(Vec::len).sum::<usize>() / DAYS_TRIED * 365;
    assert!((1 << 20..20 << 20).contains(&year), "{year} bytes");
    assert_eq!(format::read(&files[4]).unwrap(), runs[4]);
}

/// A store that takes requests and answers some of them; what it was asked.
#[derive(Debug)]
struct Hanging {
    store: object_store::memory::InMemory,
    answers: usize,
    asked: std::sync::atomic::AtomicUsize,
}

impl Hanging {
    /// A history in a store that hangs after so many requests.
    fn after(answers: usize) -> (Arc<Self>, History) {
        let store = Arc::new(Self {
            store: object_store::memory::InMemory::new(),
            answers,
            asked: Default::default(),
        });
        let history = History::of(Arc::clone(&store) as Arc<dyn ObjectStore>, "s3://b", Retention::default());
        (store, history)
    }

    fn asked(&self) -> usize {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn answers(&self) -> bool {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < self.answers
    }

    async fn pass(&self) {
        if !self.answers() {
            std::future::pending::<()>().await;
        }
    }
}

impl std::fmt::Display for Hanging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hanging")
    }
}

type Answer<T> = object_store::Result<T>;

#[async_trait::async_trait]
impl ObjectStore for Hanging {
    async fn put_opts(
        &self,
        at: &Path,
        bytes: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> Answer<object_store::PutResult> {
        self.pass().await;
        self.store.put_opts(at, bytes, options).await
    }
    async fn put_multipart_opts(
        &self,
        at: &Path,
        options: object_store::PutMultipartOptions,
    ) -> Answer<Box<dyn object_store::MultipartUpload>> {
        self.store.put_multipart_opts(at, options).await
    }
    async fn get_opts(
        &self,
        at: &Path,
        options: object_store::GetOptions,
    ) -> Answer<object_store::GetResult> {
        self.pass().await;
        self.store.get_opts(at, options).await
    }
    fn delete_stream(
        &self,
        at: stream::BoxStream<'static, Answer<Path>>,
    ) -> stream::BoxStream<'static, Answer<Path>> {
        self.store.delete_stream(at)
    }
    fn list(&self, at: Option<&Path>) -> stream::BoxStream<'static, Answer<object_store::ObjectMeta>> {
        if self.answers() { self.store.list(at) } else { stream::pending().boxed() }
    }
    async fn list_with_delimiter(&self, at: Option<&Path>) -> Answer<object_store::ListResult> {
        self.pass().await;
        self.store.list_with_delimiter(at).await
    }
    async fn copy_opts(&self, from: &Path, to: &Path, options: object_store::CopyOptions) -> Answer<()> {
        self.store.copy_opts(from, to, options).await
    }
}

/// A report about so many clusters.
async fn of_clusters(count: usize) -> Report {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/healthy");
    let spec = crate::RunSpec::new(crate::Input::Recording(path));
    let mut report = crate::run_once(&spec, &crate::Silent).await.unwrap();
    report.coverage = (0..count).map(|n| (format!("c{n:03}"), Default::default())).collect();
    report.gaps = Vec::new();
    report
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_one_time_out_and_not_one_a_cluster() {
    let mut report = of_clusters(100).await;
    let (store, history) = Hanging::after(0);
    let began = tokio::time::Instant::now();
    history.tell(&mut report).await;
    assert_eq!((began.elapsed().as_secs(), store.asked()), (60, CLUSTERS_AT_ONCE));
    let causes: Vec<GapCause> = report.gaps.iter().map(|gap| gap.cause).collect();
    assert_eq!(causes, [GapCause::Timeout; 100]);
    assert!(report.gaps[0].detail.to_string().contains("no answer within 60 s"), "{:?}", report.gaps[0]);
    assert!(report.gaps[99].detail.to_string().contains("not asked again"), "{:?}", report.gaps[99]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_when_it_is_written_to_costs_one_time_out_too() {
    let mut report = of_clusters(100).await;
    let (store, history) = Hanging::after(100 + 3);
    let began = tokio::time::Instant::now();
    history.tell(&mut report).await;
    assert_eq!((began.elapsed().as_secs(), store.asked()), (60, 100 + 3 + CLUSTERS_AT_ONCE));
    assert_eq!(report.gaps.len(), 97, "three are kept");
    assert!(report.changes.is_some());
}

/// Every cluster of a live run asks for its events, some of them at the same time.
#[tokio::test(start_paused = true)]
async fn events_of_a_store_that_hangs_are_asked_for_once() {
    let (store, history) = Hanging::after(0);
    let (patience, mut gaps) = (Patience::default(), Vec::new());
    let began = tokio::time::Instant::now();
    for n in 0..100 {
        history.events(&format!("c{n}"), Timestamp(0), &patience, &mut gaps).await;
    }
    assert_eq!((began.elapsed().as_secs(), store.asked(), gaps.len()), (60, 1, 100));
}

#[tokio::test(start_paused = true)]
async fn a_whole_fleet_is_remembered() {
    let (store, history) = Hanging::after(usize::MAX);
    let mut report = of_clusters(30).await;
    history.tell(&mut report).await;
    let mut next = of_clusters(30).await;
    next.taken_at = next.taken_at.plus_seconds(86_400.0);
    history.tell(&mut next).await;
    assert_eq!((report.gaps.len(), next.gaps.len()), (0, 0));
    assert_eq!(next.changes.map(|changes| changes.before.len()), Some(30));
    assert!(store.asked() >= 4 * 30);
}
