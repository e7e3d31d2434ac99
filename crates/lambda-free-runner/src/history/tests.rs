use super::*;

fn days(days: &[i64]) -> Vec<Named> {
    let named = |day: &i64| {
        let taken_at = Timestamp::from_unix_seconds(day * 86_400);
        Named { path: Path::from(name::object(taken_at, b"")), taken_at, size: 1 }
    };
    days.iter().map(named).collect()
}

fn day(named: &Named) -> i64 {
    named.taken_at.unix_seconds() / 86_400
}

fn removed(names: &[i64], written: i64, readable: Option<i64>, age: f64, runs: usize) -> Vec<i64> {
    let at = |day: i64| Timestamp::from_unix_seconds(day * 86_400);
    let keep = Retention { age: Seconds::from_days(age), runs };
    too_many(&days(names), at(written), readable.map(at), keep).map(day).collect()
}

#[test]
fn what_is_too_old_or_too_many_goes() {
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 10.0, 10), [0; 0]);
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 2.0, 10), [1]);
    assert_eq!(removed(&[1, 2, 3], 4, Some(3), 10.0, 2), [1, 2]);
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

#[test]
fn the_last_runs_and_one_a_day_are_read() {
    let hour = |h: i64| {
        let taken_at = Timestamp::from_unix_seconds(h * 3600);
        Named { path: Path::from(name::object(taken_at, b"")), taken_at, size: 1 }
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
    use healthcore::history::{Headroom, Kept, MainValue};
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
    };
    let headroom = |i: i64| Headroom {
        subject: SubjectRef { pod: None, ..subject(i) },
        memory: Some((number(i) % 1000) as u32),
        cpu: Some((number(i + 1000) % 1000) as u32),
    };
    let mut run = PastRun {
        cluster: "prod".into(),
        taken_at,
        version: "0.1.0".into(),
        findings: (0..200).map(kept).collect(),
        headroom: (0..1000).map(headroom).collect(),
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
