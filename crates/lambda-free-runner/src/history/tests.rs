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
