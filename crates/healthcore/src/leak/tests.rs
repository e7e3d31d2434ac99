//! What holds for every input, what holds for known ones, and that nothing makes the detector fail.

use proptest::prelude::*;
use proptest::sample::select;

use super::{Agreement, LeakInput, LeakParams, LeakReport, PodSeries, Reason, Verdict, detect};

const START: i64 = 1_700_000_000;
const MB: f64 = 1e6;
const DAY: f64 = 86_400.0;
const WEEK: i64 = 7 * 86_400;

/// A pod that owns its samples.
#[derive(Debug, Clone, Default)]
struct Pod {
    name: String,
    start: i64,
    values: Vec<f64>,
    restarts: Option<Vec<i64>>,
    starts: Vec<i64>,
    load: Option<Vec<f64>>,
}

/// A case that owns its pods.
#[derive(Debug, Clone)]
struct Case {
    step: f64,
    limit: Option<f64>,
    start: i64,
    end: i64,
    pods: Vec<Pod>,
    revisions: Vec<i64>,
}

impl Case {
    /// A window that is full of one pod.
    fn one(step: f64, limit: Option<f64>, values: Vec<f64>) -> Self {
        let end = START + (values.len().saturating_sub(1) as f64 * step) as i64;
        let pod =
            Pod { name: "web-0".into(), start: START, values, restarts: Some(vec![]), ..Pod::default() };
        Self { step, limit, start: START, end, pods: vec![pod], revisions: vec![] }
    }

    fn judge_by(&self, params: &LeakParams) -> LeakReport {
        let series: Vec<PodSeries<'_>> = self
            .pods
            .iter()
            .map(|pod| PodSeries {
                pod: &pod.name,
                start_unix: pod.start,
                values: &pod.values,
                restarts_unix: pod.restarts.as_deref(),
                starts_unix: &pod.starts,
                load: pod.load.as_deref(),
            })
            .collect();
        let input = LeakInput {
            step_s: self.step,
            limit_bytes: self.limit,
            start_unix: self.start,
            end_unix: self.end,
            series: &series,
            revisions_unix: &self.revisions,
            ..LeakInput::default()
        };
        let report = detect(&input, params);
        sound(&input, params, &report);
        report
    }

    fn judge(&self) -> LeakReport {
        self.judge_by(&LeakParams::default())
    }

    /// The same with every sample changed.
    fn with(&self, change: impl Fn(f64) -> f64) -> Self {
        let mut case = self.clone();
        case.pods.iter_mut().flat_map(|pod| &mut pod.values).for_each(|v| *v = change(*v));
        case
    }

    /// The same with every time changed, seconds.
    fn at(&self, change: impl Fn(i64) -> i64) -> Self {
        let mut case = self.clone();
        case.start = change(case.start);
        case.end = change(case.end);
        case.revisions.iter_mut().for_each(|r| *r = change(*r));
        for pod in &mut case.pods {
            pod.start = change(pod.start);
            pod.restarts.iter_mut().flatten().chain(&mut pod.starts).for_each(|r| *r = change(*r));
        }
        case
    }
}

/// What every answer owes, whatever was asked.
#[track_caller]
fn sound(input: &LeakInput<'_>, params: &LeakParams, report: &LeakReport) {
    assert!(report.score.is_finite(), "{report:?}");
    assert!(!report.reason.to_string().is_empty());
    match report.verdict {
        Verdict::Unknown => {
            let reasons =
                [Reason::InvalidWindow, Reason::NoSamples, Reason::TooFewSamples, Reason::RunsTooShort];
            assert!(reasons.contains(&report.reason), "{report:?}");
            assert!(report.rate.is_none() && report.measures.is_none());
        }
        Verdict::Leak => assert!(report.score >= params.leak_score),
        Verdict::Watch => assert!(report.score >= params.watch_score),
        Verdict::None => assert!(!matches!(report.reason, Reason::Growing(_)), "{report:?}"),
    }
    assert_eq!(report.verdict == Verdict::Leak, matches!(report.reason, Reason::Growing(_)));
    if let Some(rate) = report.rate {
        assert!(rate.bytes_per_hour.is_finite(), "{rate:?}");
        assert!(rate.low <= rate.high, "{rate:?}");
    }
    if let Some(onset) = report.onset_unix {
        let (from, to) = (input.start_unix as f64 - input.step_s, input.end_unix as f64 + input.step_s);
        assert!((from..=to).contains(&(onset as f64)), "{onset} is not in {from}..={to}");
    }
    if let Some(time) = report.time_to_limit {
        assert!(time.seconds.is_finite() && time.seconds >= 0.0, "{time:?}");
        assert!(time.earliest <= time.seconds, "{time:?}");
        assert!(time.latest.is_none_or(|latest| latest >= time.seconds), "{time:?}");
    }
    if let Some(measures) = report.measures {
        assert!(measures.margins.iter().all(|m| m.is_finite()), "{measures:?}");
        assert!(measures.growth.is_finite() && measures.noise.is_finite(), "{measures:?}");
    }
    assert!(report.agreement.growing <= report.agreement.asked);
    assert!(report.single_pod.is_none_or(|pod| pod < input.series.len()));
    for run in &report.evidence {
        assert!(run.pod < input.series.len());
        assert_eq!(run.at_unix.len(), run.floor.len());
        assert!(run.fitted.is_empty() || run.fitted.len() == run.floor.len());
        let figures = run.at_unix.iter().chain(&run.floor).chain(&run.fitted);
        assert!({ figures }.all(|v| v.is_finite()), "{run:?}");
    }
}

/// A number in -1..1 that looks random.
fn noise(seed: u64, i: usize) -> f64 {
    let mut z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// What memory is made of, in shares of a limit of 1 GB, from which anything between healthy and leaking comes.
#[derive(Debug, Clone)]
struct Recipe {
    seed: u64,
    days: f64,
    pods: usize,
    growth: f64,
    warm_up: f64,
    day: f64,
    noise: f64,
    gaps: bool,
    restart: bool,
    limit: bool,
}

const LIMIT: f64 = 1000.0 * MB;

impl Recipe {
    fn values(&self, pod: usize, step: f64, n: usize) -> Vec<f64> {
        let seed = self.seed ^ (pod as u64) << 32;
        let cut = if self.restart { n / 3 + pod } else { 0 };
        let sample = |i: usize| {
            let (t, age) = (i as f64 * step, if i < cut { i } else { i - cut } as f64 * step);
            let grown = self.growth * age / (self.days * DAY);
            let warm = self.warm_up * (1.0 - (-age / (0.05 * self.days * DAY)).exp());
            let day = self.day * (std::f64::consts::TAU * t / DAY).sin();
            let value = LIMIT * (0.2 + 0.02 * pod as f64 + grown + warm + day + self.noise * noise(seed, i));
            if self.gaps && noise(seed ^ 7, i) > 0.8 { f64::NAN } else { value }
        };
        (0..n).map(sample).collect()
    }

    fn case(&self) -> Case {
        let step = 600.0;
        let n = (self.days * DAY / step) as usize;
        let pod = |pod| Pod {
            name: format!("web-{pod}"),
            start: START,
            values: self.values(pod, step, n),
            restarts: Some(if self.restart { vec![START + (n / 3 + pod) as i64 * 600] } else { vec![] }),
            ..Pod::default()
        };
        Case {
            step,
            limit: self.limit.then_some(LIMIT),
            start: START,
            end: START + (n as i64 - 1) * 600,
            pods: (0..self.pods).map(pod).collect(),
            revisions: vec![START + 600],
        }
    }
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let many = (any::<u64>(), 1.0..9.0, 1..4_usize, -0.05..0.5, select(vec![0.0, 0.0, 0.1, 0.3]));
    let more = (select(vec![0.0, 0.01, 0.05]), 0.0005..0.02, any::<bool>(), any::<bool>(), any::<bool>());
    (many, more).prop_map(|((seed, days, pods, growth, warm_up), (day, noise, gaps, restart, limit))| {
        Recipe { seed, days, pods, growth, warm_up, day, noise, gaps, restart, limit }
    })
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

/// Verdict, score and reason the same but for rounding.
#[track_caller]
fn same(a: &LeakReport, b: &LeakReport) {
    assert!(
        near(a.score, b.score, 1e-6),
        "score {} and {}\n{:?}\n{:?}",
        a.score,
        b.score,
        a.measures,
        b.measures
    );
    let close = [1.0, 0.6].iter().any(|bound| (a.score - bound).abs() < 1e-5);
    assert!(close || a.verdict == b.verdict, "{} and {}", a.verdict, b.verdict);
    assert_eq!((a.shape, a.runner_up, a.agreement), (b.shape, b.runner_up, b.agreement));
}

fn rate(report: &LeakReport) -> f64 {
    report.rate.map_or(0.0, |r| r.bytes_per_hour)
}

/// A share of the cases of a fuzz test, since each of these judges twice; more by `PROPTEST_CASES`.
fn fewer() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: (config.cases / 8).max(1), ..config }
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn bytes_in_another_unit_scale_the_rate_and_nothing_else(recipe in recipe(), k in 1e-6..1e6) {
        let case = recipe.case();
        let mut scaled = case.with(|v| v * k);
        scaled.limit = case.limit.map(|l| l * k);
        let (a, b) = (case.judge(), scaled.judge());
        same(&a, &b);
        prop_assert!(near(rate(&a), rate(&b) / k, 1e-6), "{} and {}", rate(&a), rate(&b) / k);
        prop_assert_eq!(a.onset_unix, b.onset_unix);
    }

    #[test]
    fn whole_weeks_move_the_onset_and_nothing_else(recipe in recipe(), weeks in -500..500_i64) {
        let case = recipe.case();
        let (a, b) = (case.judge(), case.at(|t| t + weeks * WEEK).judge());
        same(&a, &b);
        prop_assert!(near(rate(&a), rate(&b), 1e-6));
        prop_assert_eq!(a.onset_unix.map(|t| t + weeks * WEEK), b.onset_unix);
        prop_assert_eq!(a.began_with_revision.map(|t| t + weeks * WEEK), b.began_with_revision);
    }

    /// Only where nothing knows the hour: bins have a width between 0.25 and 3 h, and from 20 h on a day is a cycle.
    /// Between 12 h and 20 h without restarts neither speaks.
    #[test]
    fn below_a_day_time_in_another_unit_scales_the_rate_and_nothing_else(
        mut recipe in recipe(),
        k in 1..=8_i32,
    ) {
        recipe.restart = false;
        let mut case = recipe.case();
        let n = 751;
        for (i, pod) in case.pods.iter_mut().enumerate() {
            recipe.days = 0.5;
            pod.values = recipe.values(i, 60.0, n);
            // A series that stops early has ended, and the burst before an end has its own length.
            let known = pod.values.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(LIMIT);
            pod.values[n - 1] = known;
        }
        (case.step, case.end) = (60.0, START + 750 * 60);
        case.revisions.clear();
        let k = 1.0 + 0.05 * f64::from(k);
        let stretch = |t: i64| START + ((t - START) as f64 * k).round() as i64;
        let mut slow = case.at(stretch);
        slow.step *= k;
        let (a, b) = (case.judge(), slow.judge());
        same(&a, &b);
        prop_assert!(near(rate(&a), rate(&b) * k, 1e-6), "{} and {}", rate(&a), rate(&b) * k);
        let onset = |r: &LeakReport| r.onset_unix.map_or(0.0, |t| (t - START) as f64);
        prop_assert!((onset(&a) * k - onset(&b)).abs() <= 2.0);
    }

    /// With the limit that it had, up to six times the use: only the time to the limit shrinks, by what was added.
    #[test]
    fn more_bytes_below_the_same_limit_bring_the_limit_nearer_and_nothing_else(
        recipe in recipe(),
        more in 0.0..0.1_f64,
    ) {
        let mut case = recipe.case();
        case.limit = Some(1.2 * LIMIT);
        let (a, b) = (case.judge(), case.with(|v| v + more * LIMIT).judge());
        same(&a, &b);
        prop_assert!(near(rate(&a), rate(&b), 1e-6));
        prop_assert_eq!(a.onset_unix, b.onset_unix);
        if let (Some(long), Some(short)) = (a.time_to_limit, b.time_to_limit) {
            let expected = (long.seconds - more * LIMIT / rate(&a) * 3600.0).max(0.0);
            prop_assert!(near(short.seconds, expected, 1e-5), "{} and {expected}", short.seconds);
        }
    }

    /// With the limit raised by as much: growth is a smaller share of it, in that proportion; all else that is measured
    /// stays, and so does the time to the limit. A score above 0 can only fall.
    #[test]
    fn more_bytes_below_a_limit_raised_as_much_make_growth_a_smaller_share(
        recipe in recipe(),
        more in 0.0..2.0_f64,
    ) {
        let mut case = recipe.case();
        case.limit = Some(1.2 * LIMIT);
        let mut raised = case.with(|v| v + more * LIMIT);
        raised.limit = Some((1.2 + more) * LIMIT);
        let (a, b) = (case.judge(), raised.judge());
        prop_assert!(b.score <= a.score.max(0.0) + 1e-6, "{} and {}", a.score, b.score);
        if recipe.pods > 1 || recipe.restart {
            return Ok(()); // another run may be the one that decides
        }
        prop_assert!(near(rate(&a), rate(&b), 1e-6));
        if let (Some(x), Some(y)) = (a.measures, b.measures) {
            prop_assert!(near(x.growth, y.growth * (1.2 + more) / 1.2, 1e-6));
            for (k, (x, y)) in x.margins.iter().zip(y.margins).enumerate() {
                prop_assert!(k == 3 || near(*x, y, 1e-5), "margin {k}: {x} and {y}");
            }
        }
        if let (Some(x), Some(y)) = (a.time_to_limit, b.time_to_limit) {
            prop_assert!(near(x.seconds, y.seconds, 1e-5));
        }
    }

    #[test]
    fn the_order_of_pods_does_not_matter(recipe in recipe(), by in 1..3_usize) {
        let mut case = recipe.case();
        let a = case.judge();
        let count = case.pods.len();
        case.pods.rotate_left(by % count);
        let b = case.judge();
        prop_assert_eq!(a.single_pod, b.single_pod.map(|pod| (pod + by) % count));
        prop_assert_eq!(a.score.to_bits(), b.score.to_bits());
        prop_assert_eq!(a.rate, b.rate);
        prop_assert_eq!((a.verdict, a.reason, a.onset_unix), (b.verdict, b.reason, b.onset_unix));
    }

    /// Of clear cases, with samples that are repeated and with samples that are interpolated.
    #[test]
    fn half_the_step_keeps_the_verdict(mut recipe in recipe(), leaks in any::<bool>(), repeats in any::<bool>()) {
        recipe.days = recipe.days.max(3.0);
        recipe.growth = if leaks { 0.4 } else { 0.0 };
        (recipe.noise, recipe.gaps, recipe.warm_up) = (0.004, false, 0.0);
        let case = recipe.case();
        let mut fine = case.clone();
        fine.step /= 2.0;
        for pod in &mut fine.pods {
            let next = pod.values.iter().skip(1).chain(pod.values.last());
            let pairs = pod.values.iter().zip(next);
            pod.values = pairs.flat_map(|(&a, &b)| [a, if repeats { a } else { f64::midpoint(a, b) }]).collect();
        }
        let expected = if leaks { Verdict::Leak } else { Verdict::None };
        let (a, b) = (case.judge(), fine.judge());
        prop_assert_eq!(a.verdict, expected, "{:?}", a.measures);
        prop_assert_eq!(b.verdict, expected, "{:?}", b.measures);
        if leaks {
let interval = a.rate.map_or(0.0..=0.0, |r| r.low..=r.high);
            prop_assert!(interval.contains(&rate(&b)), "{interval:?} and {}", rate(&b));
        }
    }

    /// Up to 2, twice what a leak needs, the score follows the slope, but for a slack of 0.3 where another shape takes the
    /// lead; above, it is a matter of which shape that is.
    #[test]
    fn a_growing_line_on_a_healthy_series_turns_it_from_none_to_leak(mut recipe in recipe()) {
        recipe.days = recipe.days.max(3.0);
        (recipe.noise, recipe.gaps, recipe.warm_up, recipe.restart) = (0.004, false, 0.0, false);
        let mut highest = f64::NEG_INFINITY;
        for tenth in 0..=10 {
            recipe.growth = 0.04 * f64::from(tenth);
            let report = recipe.case().judge();
            match tenth {
                0 => prop_assert_eq!(report.verdict, Verdict::None),
                8.. => prop_assert_eq!(report.verdict, Verdict::Leak, "{:?}", report.measures),
                _ => {}
            }
            let score = report.score.min(2.0);
            prop_assert!(score > highest - 0.3, "{tenth}: {score} after {highest}");
            highest = highest.max(score);
        }
    }

    /// Of clear cases: memory that goes on from the level that it had, in one pod, in one that restarts, and in one that
    /// takes the place of another. The scores of the latter two differ, since every pod is also asked alone.
    #[test]
    fn a_rollout_under_any_name_keeps_the_verdict(
        mut recipe in recipe(),
        leaks in any::<bool>(),
        place in 0.35..0.65,
    ) {
        recipe.days = recipe.days.max(4.0);
        recipe.growth = if leaks { 0.5 } else { 0.0 };
        (recipe.noise, recipe.gaps, recipe.warm_up, recipe.restart) = (0.003, false, 0.0, false);
        let whole = recipe.case();
        let cut = (whole.pods[0].values.len() as f64 * place) as usize;
        let at = START + cut as i64 * 600;
        let mut restarted = whole.clone();
        for pod in &mut restarted.pods {
            pod.restarts = Some(vec![at]);
        }
        let mut renamed = whole.clone();
        for (old, new) in whole.pods.iter().zip(&mut renamed.pods) {
            new.values.drain(..cut);
            new.start = at;
            new.name = format!("{}-next", old.name);
        }
        renamed.pods.extend(whole.pods.iter().map(|p| Pod { values: p.values[..cut].to_vec(), ..p.clone() }));
        let expected = if leaks { Verdict::Leak } else { Verdict::None };
        for (what, case) in [("whole", whole), ("restarted", restarted), ("renamed", renamed)] {
            let report = case.judge();
            prop_assert_eq!(report.verdict, expected, "{}: {:?}", what, report);
        }
    }
}

/// A line of `rate` bytes an hour from `onset` on, over 200 MB.
fn line(hours: f64, step: f64, rate: f64, onset: f64, spread: f64) -> Vec<f64> {
    (0..=(hours * 3600.0 / step) as usize)
        .map(|i| 200.0 * MB + rate * (i as f64 * step / 3600.0 - onset).max(0.0) + spread * noise(11, i))
        .collect()
}

#[test]
fn a_clean_line_has_its_exact_rate_onset_and_time_to_limit() {
    for (days, step, mb_per_hour) in
        [(7.0, 300.0, 1.0), (3.0, 60.0, 2.5), (14.0, 3600.0, 0.5), (30.0, 900.0, 0.2)]
    {
        let values = line(24.0 * days, step, mb_per_hour * MB, 0.0, 0.0);
        let last = values[values.len() - 1];
        let report = Case::one(step, Some(512.0 * MB), values).judge();
        assert_eq!(report.verdict, Verdict::Leak, "{days} days: {report:?}");
        assert!(near(rate(&report), mb_per_hour * MB, 2e-3), "{days} days: {}", rate(&report));
        let onset = report.onset_unix.unwrap() - START;
        assert!(onset <= 3 * 3600, "{days} days: {onset} s after the start");
        let expected = (512.0 * MB - last) / (mb_per_hour * MB) * 3600.0;
        let seconds = report.time_to_limit.unwrap().seconds;
        assert!(
            (seconds - expected).abs() < 0.02 * expected + 4.0 * 3600.0,
            "{seconds}, expected {expected}"
        );
    }
}

#[test]
fn a_line_that_begins_late_has_its_rate_and_onset() {
    for onset_day in [1.5, 3.0, 4.0] {
        let values = line(168.0, 300.0, 2.0 * MB, 24.0 * onset_day, 1.0 * MB);
        let report = Case::one(300.0, Some(1000.0 * MB), values).judge();
        assert_eq!(report.verdict, Verdict::Leak, "day {onset_day}: {report:?}");
        assert!(near(rate(&report), 2.0 * MB, 0.05), "day {onset_day}: {}", rate(&report));
        let found = (report.onset_unix.unwrap() - START) as f64 / DAY;
        assert!((found - onset_day).abs() < 0.3, "{found}, expected {onset_day}");
    }
}

#[test]
fn the_interval_holds_the_rate_of_a_noisy_line() {
    let held = (0..40).filter(|seed| {
        let values: Vec<f64> =
            (0..2016).map(|i| 200.0 * MB + i as f64 / 12.0 * MB + 20.0 * MB * noise(*seed, i)).collect();
        let rate = Case::one(300.0, Some(1000.0 * MB), values).judge().rate.unwrap();
        rate.low <= MB && MB <= rate.high
    });
    let held = held.count();
    assert!(held >= 34, "{held} of 40 intervals of 95 % hold the rate");
}

#[test]
fn what_says_nothing_is_unknown_with_its_reason() {
    let judge = |values: Vec<f64>| Case::one(300.0, Some(512.0 * MB), values).judge();
    let cases: Vec<(&str, Vec<f64>, Reason)> = vec![
        ("no samples", vec![], Reason::NoSamples),
        ("one sample", vec![MB], Reason::TooFewSamples),
        ("two samples", vec![MB, MB], Reason::TooFewSamples),
        ("all gaps", vec![f64::NAN; 2000], Reason::NoSamples),
        ("infinite", vec![f64::INFINITY; 2000], Reason::NoSamples),
        ("infinite below", vec![f64::NEG_INFINITY; 2000], Reason::NoSamples),
        ("negative", vec![-1.0; 2000], Reason::NoSamples),
        ("more than there is", vec![f64::MAX; 2000], Reason::NoSamples),
        ("half an hour", vec![MB; 7], Reason::RunsTooShort),
    ];
    for (what, values, expected) in cases {
        let report = judge(values);
        assert_eq!((report.verdict, report.reason), (Verdict::Unknown, expected), "{what}");
    }
    let empty = Case { pods: vec![], ..Case::one(300.0, None, vec![MB; 100]) }.judge();
    assert_eq!((empty.verdict, empty.reason), (Verdict::Unknown, Reason::NoSamples));
}

#[test]
fn what_does_not_change_is_no_leak() {
    for value in [0.0, 1.0, 200.0 * MB, 1e18, f64::MIN_POSITIVE, 5e-324] {
        for limit in [None, Some(512.0 * MB), Some(1e18)] {
            let report = Case::one(300.0, limit, vec![value; 2016]).judge();
            assert_eq!(report.verdict, Verdict::None, "{value} of {limit:?}: {report:?}");
        }
    }
    let zeros = Case::one(300.0, None, vec![0.0; 2016]).judge();
    assert_eq!(zeros.reason, Reason::AllZero);
}

#[test]
fn a_leak_is_seen_through_samples_that_are_none() {
    let clean = line(168.0, 300.0, MB, 0.0, MB);
    for junk in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e18, -1.0, f64::MAX, 1e300] {
        let values = clean.iter().enumerate().map(|(i, v)| if i % 5 == 2 { junk } else { *v }).collect();
        let report = Case::one(300.0, Some(512.0 * MB), values).judge();
        assert_eq!(report.verdict, Verdict::Leak, "{junk}: {report:?}");
        assert!(near(rate(&report), MB, 0.02), "{junk}: {}", rate(&report));
    }
}

#[test]
fn huge_and_tiny_memory_is_judged_as_any_other() {
    for k in [1e-12, 1e12, 1e10] {
        let values = line(168.0, 300.0, MB, 0.0, MB).into_iter().map(|v| v * k).collect();
        let report = Case::one(300.0, Some(512.0 * MB * k), values).judge();
        assert_eq!(report.verdict, Verdict::Leak, "{k}: {report:?}");
        assert!(near(rate(&report) / k, MB, 0.02), "{k}: {}", rate(&report));
    }
}

#[test]
fn a_limit_that_is_none_counts_as_none() {
    let values = || line(168.0, 300.0, MB, 0.0, MB);
    let none = Case::one(300.0, None, values()).judge();
    assert_eq!(none.verdict, Verdict::Leak);
    for limit in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(Case::one(300.0, Some(limit), values()).judge(), none, "{limit}");
    }
    // A limit below use bounds nothing: the score is that without one, and it is reached.
    let below = Case::one(300.0, Some(10.0 * MB), values()).judge();
    assert_eq!((below.verdict, below.score), (none.verdict, none.score));
    assert_eq!(below.time_to_limit.unwrap().seconds, 0.0);
}

#[test]
fn restarts_in_any_order_twice_or_outside_the_window_split_once_or_not_at_all() {
    let case = |restarts: Vec<i64>| {
        let mut case = Case::one(300.0, Some(512.0 * MB), line(168.0, 300.0, MB, 0.0, MB));
        case.pods[0].restarts = Some(restarts);
        case.judge()
    };
    let (one, two) = (START + 2 * 86_400, START + 4 * 86_400);
    let sorted = case(vec![one, two]);
    assert_eq!(sorted.evidence.len(), 3);
    assert_eq!(case(vec![two, one, two, one]), sorted);
    assert_eq!(case(vec![i64::MAX, two, START - 1, i64::MIN, one, START + WEEK + 900]), sorted);
    assert_eq!(case(vec![START - 900, START + WEEK + 900, i64::MIN, i64::MAX]), case(vec![]));
    let every: Vec<i64> = (0..2016).map(|i| START + i * 300).collect();
    let none = case(every);
    assert_eq!((none.verdict, none.reason), (Verdict::Unknown, Reason::RunsTooShort));
}

#[test]
fn samples_outside_the_window_do_not_count() {
    let mut case = Case::one(300.0, Some(512.0 * MB), line(168.0, 300.0, MB, 0.0, MB));
    let inside = case.judge();
    case.pods[0].values.extend([5.0 * MB; 300]);
    assert_eq!(case.judge(), inside);
    for start in [START - 2 * WEEK, START + 2 * WEEK, i64::MIN, i64::MAX] {
        case.pods[0].start = start;
        let report = case.judge();
        assert_eq!((report.verdict, report.reason), (Verdict::Unknown, Reason::NoSamples), "{start}");
    }
}

#[test]
fn a_window_or_step_that_is_none_is_named() {
    let case = Case::one(300.0, None, line(168.0, 300.0, MB, 0.0, MB));
    for step in [0.0, -0.0, -300.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let report = Case { step, ..case.clone() }.judge();
        assert_eq!((report.verdict, report.reason), (Verdict::Unknown, Reason::InvalidWindow), "{step}");
    }
    for (start, end) in [(START, START), (START, START - 1), (i64::MAX, i64::MIN), (0, i64::MIN)] {
        let report = Case { start, end, ..case.clone() }.judge();
        assert_eq!(
            (report.verdict, report.reason),
            (Verdict::Unknown, Reason::InvalidWindow),
            "{start}..{end}"
        );
    }
}

#[test]
fn times_at_the_ends_of_what_a_number_holds_are_judged() {
    let values = line(168.0, 300.0, MB, 0.0, MB);
    for (start, end) in [(i64::MIN, i64::MIN + WEEK), (i64::MAX - WEEK, i64::MAX), (i64::MIN, i64::MAX)] {
        for pod_start in [start, end, i64::MIN, i64::MAX] {
            for step in [300.0, 1e-300, 1e300, 9e15] {
                let mut case =
                    Case { start, end, step, ..Case::one(300.0, Some(512.0 * MB), values.clone()) };
                case.pods[0].start = pod_start;
                case.pods[0].restarts = Some(vec![i64::MIN, 0, i64::MAX]);
                case.revisions = vec![i64::MIN, 0, i64::MAX];
                case.judge();
            }
        }
    }
    // A week at the far ends of time is a week.
    for start in [-(1 << 52), (1 << 52) - WEEK] {
        let report = Case { start, end: start + WEEK, ..Case::one(300.0, Some(512.0 * MB), values.clone()) };
        let mut report = report;
        report.pods[0].start = start;
        assert_eq!(report.judge().verdict, Verdict::Leak, "{start}");
    }
}

#[test]
fn a_hundred_thousand_points_are_judged() {
    for step in [60.0, 300.0, 3600.0, DAY] {
        let hours = 100_000.0 * step / 3600.0;
        let case = Case::one(step, Some(512.0 * MB), line(hours, step, 200.0 * MB / hours, 0.0, MB));
        let report = case.judge();
        assert_eq!(report.verdict, Verdict::Leak, "step {step}: {report:?}");
        assert!(near(rate(&report), 200.0 * MB / hours, 0.02), "step {step}: {}", rate(&report));
        assert!(report.evidence[0].floor.len() <= 1001, "step {step}: {}", report.evidence[0].floor.len());
    }
}

/// Pods one after the other: each climbs from 200 MB by `height` of its number and length, from an hour on for some hours.
fn runs(limit: f64, lives: &[(f64, f64)], height: impl Fn(usize, f64) -> f64) -> Case {
    let pod = |(p, &(from, hours)): (usize, &(f64, f64))| {
        let n = (hours * 12.0) as usize;
        let top = height(p, hours);
        let at = |i: usize| 200.0 * MB + top * i as f64 / n as f64 + MB * noise(p as u64, i);
        Pod {
            name: format!("job-{p}"),
            start: START + (from * 3600.0) as i64,
            values: (0..n).map(at).collect(),
            restarts: Some(vec![]),
            ..Pod::default()
        }
    };
    let pods = lives.iter().enumerate().map(pod).collect();
    Case { pods, ..Case::one(300.0, Some(limit), vec![0.0; 2016]) }
}

#[test]
fn work_that_ends_by_itself_is_no_leak_and_a_service_that_is_replaced_is() {
    let steady = |_, hours| 20.0 * MB * hours;
    let worked: Vec<(f64, f64)> = (0..12).map(|k| (f64::from(k) * 13.7, 6.0 + f64::from(k % 3))).collect();
    let job = runs(1000.0 * MB, &worked, steady).judge();
    assert_eq!((job.verdict, job.reason), (Verdict::None, Reason::EndsByItself));
    // The same near the limit: killed for its memory.
    assert_eq!(runs(345.0 * MB, &worked, steady).judge().verdict, Verdict::Leak);
    // Each takes the place of the one before.
    let lengths = [11.0, 17.0, 9.0, 21.0, 14.0, 19.0, 12.0, 22.0, 13.0, 20.0];
    let from = |k: usize| lengths[..k].iter().sum::<f64>();
    let handed: Vec<(f64, f64)> = lengths.iter().enumerate().map(|(k, l)| (from(k), *l)).collect();
    assert_eq!(runs(1000.0 * MB, &handed, steady).judge().verdict, Verdict::Leak);
    // So does this, but the work has one size however long it takes.
    let sized = |p: usize, _| (200.0 + 15.0 * noise(5, p)) * MB;
    assert_ne!(runs(1000.0 * MB, &handed, sized).judge().verdict, Verdict::Leak);
}

#[test]
fn memory_that_wanders_about_its_level_is_seldom_a_leak() {
    // Two days of memory that returns to its level within 8 to 40 hours.
    let mut flagged = 0;
    for case in 0..300 {
        let phi: f64 = [0.99, 0.994, 0.998][case as usize % 3];
        let mut away = 40.0 * noise(case, 9999);
        let mut values = Vec::with_capacity(576);
        for i in 0..576 {
            let step: f64 = (0..4).map(|k| noise(case, 4 * i + k)).sum();
            away = phi * away + 35.0 * (1.0 - phi * phi).sqrt() * step;
            values.push((400.0 + away) * MB);
        }
        flagged += usize::from(Case::one(300.0, Some(1000.0 * MB), values).judge().is_leak());
    }
    assert!(flagged <= 6, "{flagged} of 300");
}

/// One pod over some hours, in MB, with a jitter of 1 MB.
fn curve(hours: usize, value: impl Fn(f64) -> f64) -> Case {
    let at = |i: usize| (value(i as f64 / 12.0) + noise(11, i)) * MB;
    Case::one(300.0, Some(1000.0 * MB), (0..12 * hours).map(at).collect())
}

#[test]
fn a_process_that_was_there_before_the_window_has_its_warm_up_behind_it() {
    // Restarted after 28 and after 112 hours; each process warms up for some hours.
    let warm = |age: f64| 400.0 + 200.0 * (1.0 - (-age / 12.0).exp());
    let mut case = curve(168, |h| warm(if h < 28.0 { h + 90.0 } else { (h - 28.0) % 84.0 }));
    case.pods[0].restarts = Some(vec![START + 28 * 3600, START + 112 * 3600]);
    let report = case.judge();
    assert_eq!(report.verdict, Verdict::None, "{report:?}");
    assert!(report.measures.unwrap().over_saturating < -100.0, "{report:?}");
    // A leak is found beside it.
    for (i, v) in case.pods[0].values.iter_mut().enumerate() {
        let since = [0, 28 * 12, 112 * 12].into_iter().rfind(|from| i >= *from).unwrap_or(0);
        *v += 1.5 * MB * (i - since) as f64 / 12.0;
    }
    assert_eq!(case.judge().verdict, Verdict::Leak);
}

#[test]
fn in_one_day_growth_beside_steps_has_to_be_there_without_load() {
    // Traffic moves to the new release in four portions, each with its warm-up; flat from the tenth hour on.
    let portions = [(3.0, 8.0), (5.0, 32.0), (7.0, 40.0), (9.0, 80.0)];
    let at = |h: f64| -> f64 {
        portions.iter().map(|(from, size)| size * (1.0 - (-(h - from).max(0.0) / 0.5).exp())).sum()
    };
    for shift in 0..6 {
        let report = curve(24, |h| 300.0 + at(h + f64::from(shift) / 3.0)).judge();
        assert!(report.score < 0.6, "{shift}: {report:?}");
    }
}

#[test]
fn portions_that_go_on_are_growth_and_those_that_end_are_not() {
    // A class loader stays behind at each of eight reloads.
    let reloads = [19.0, 44.0, 45.0, 108.0, 115.0, 126.0, 132.0, 165.0];
    let left = |h: f64| reloads.iter().filter(|at| **at < h).count() as f64;
    let going_on = curve(168, |h| 300.0 + 30.0 * left(h)).judge();
    assert_eq!(going_on.verdict, Verdict::Leak, "{going_on:?}");
    let ended = curve(168, |h| 300.0 + 30.0 * left(h / 0.55)).judge();
    assert_eq!(ended.verdict, Verdict::None, "{ended:?}");
}

#[test]
fn replicas_that_do_the_same_are_one_witness() {
    let slow = |i: usize| (0..6).map(|m| noise(5, i / 36 + 7 * m)).sum::<f64>();
    let at = |i: usize| (300.0 + i as f64 / 12.0 + 10.0 * slow(i) + noise(6, i)) * MB;
    let one = Case::one(300.0, Some(1000.0 * MB), (0..2016).map(at).collect());
    let mut four = one.clone();
    four.pods = (0..4).map(|p| Pod { name: format!("web-{p}"), ..one.pods[0].clone() }).collect();
    let (one, four) = (one.judge().measures.unwrap(), four.judge().measures.unwrap());
    assert!(near(four.over_static, one.over_static, 0.05), "{four:?} {one:?}");
    assert!(near(four.z, one.z, 0.05), "{four:?} {one:?}");
}

#[test]
fn what_falls_back_to_where_it_was_is_no_growth() {
    // Compactions of unequal size: a store fills for days, and gives all of it back.
    for (first, second) in [(36.0, 40.0), (34.0, 44.0), (40.0, 38.0), (33.0, 35.0)] {
        let filled = |h: f64| if h < first { h } else { (h - first) % second };
        let report = curve(72, |h| 300.0 + 2.0 * filled(h) + 8.0 * (h / 3.1).fract()).judge();
        assert!(report.score < 0.6, "{first} {second}: {report:?}");
    }
}

#[test]
fn a_job_that_fills_the_limit_and_ends_is_no_restart() {
    // Every day for three hours to 97 % of the limit, and no restart log.
    let at = |i: usize| if (i / 12) % 24 >= 20 { 970.0 } else { 400.0 } + 5.0 * noise(3, i);
    let values = (0..4032).map(|i| at(i) * MB).collect();
    let mut case = Case::one(300.0, Some(1000.0 * MB), values);
    case.pods[0].restarts = None;
    let report = case.judge();
    assert_eq!((report.verdict, report.evidence.len()), (Verdict::None, 1), "{report:?}");
}

#[test]
fn the_time_to_the_limit_counts_from_the_process_that_lives() {
    // Restarted near the limit, 24 hours before the end: 5 MB an hour from 200 MB on.
    let values = (0..2016).map(|i| (200.0 + 5.0 * (i as f64 / 12.0 % 144.0)) * MB).collect();
    let mut case = Case::one(300.0, Some(1000.0 * MB), values);
    case.pods[0].restarts = Some(vec![START + 144 * 3600]);
    let report = case.judge();
    assert_eq!(report.verdict, Verdict::Leak);
    let hours = report.time_to_limit.unwrap().seconds / 3600.0;
    assert!((hours - (1000.0 - 320.0) / 5.0).abs() < 2.0, "{hours}");
}

#[test]
fn one_pod_is_named_when_it_alone_grows() {
    let case = |growing: &[usize]| {
        let pod = |p: usize| {
            let rate = if growing.contains(&p) { 2.0 * MB } else { 0.0 };
            let values = (0..2016).map(|i| 200.0 * MB + rate * i as f64 / 12.0 + MB * noise(p as u64, i));
            let name = format!("web-{p}");
            Pod { name, start: START, values: values.collect(), restarts: Some(vec![]), ..Pod::default() }
        };
        let pods = (0..5).map(pod).collect();
        Case { pods, ..Case::one(300.0, Some(1000.0 * MB), vec![0.0; 2016]) }.judge()
    };
    for (growing, named) in [(vec![3], Some(3)), (vec![1, 3], None), (vec![0, 1, 2, 3, 4], None)] {
        let report = case(&growing);
        let Agreement { growing: said, asked } = report.agreement;
        assert_eq!((report.verdict, said, asked), (Verdict::Leak, growing.len(), 5));
        assert_eq!(report.single_pod, named);
    }
}

#[test]
fn ten_thousand_pods_in_one_case_are_judged() {
    let pods = |growth: f64| -> Vec<Pod> {
        let pod = |p: usize| Pod {
            name: format!("web-{p}"),
            start: START,
            values: (0..336).map(|i| 200.0 * MB + growth * i as f64 + MB * noise(p as u64, i)).collect(),
            restarts: Some(vec![]),
            ..Pod::default()
        };
        (0..10_000).map(pod).collect()
    };
    for (growth, expected) in [(0.0, Verdict::None), (0.5 * MB, Verdict::Leak)] {
        let case = Case { pods: pods(growth), ..Case::one(1800.0, Some(512.0 * MB), vec![0.0; 336]) };
        assert_eq!(case.judge().verdict, expected, "{growth}");
    }
}

#[test]
fn load_of_another_length_or_of_no_number_is_no_load() {
    let case = |load: Option<Vec<f64>>| {
        let mut case = Case::one(300.0, Some(512.0 * MB), line(168.0, 300.0, MB, 0.0, MB));
        case.pods[0].load = load;
        case.judge()
    };
    let without = case(None);
    for load in [vec![], vec![f64::NAN; 2017], vec![1.0], vec![f64::INFINITY; 2017], vec![1.0; 2017]] {
        let length = load.len();
        assert_eq!(case(Some(load)).verdict, without.verdict, "{length} values of load");
    }
    for junk in [f64::MAX, f64::MIN, 1e300, 5e-324] {
        let load: Vec<f64> = (0..2017).map(|i| if i % 3 == 0 { junk } else { i as f64 }).collect();
        case(Some(load));
    }
    assert_eq!(case(Some((0..5000).map(|i| noise(3, i)).collect())).verdict, Verdict::Leak);
}

/// Memory that follows requests which rise all week: one pod without a series of requests takes it from no other.
#[test]
fn load_of_some_pods_is_used_for_them() {
    let pod = |p: u64, follows: f64, known: bool| {
        let busier = |i: usize| i as f64 + 200.0 * noise(9, i / 30);
        let values = (0..2017).map(|i| 200.0 * MB + follows * MB * busier(i) + MB * noise(p, i)).collect();
        Pod {
            name: format!("web-{p}"),
            start: START,
            values,
            restarts: Some(vec![]),
            load: known.then(|| (0..2017).map(busier).collect()),
            ..Pod::default()
        }
    };
    let judge = |pods: Vec<Pod>| {
        Case { pods, ..Case::one(300.0, Some(2000.0 * MB), vec![0.0; 2017]) }.judge().verdict
    };
    assert_eq!(judge(vec![pod(0, 0.1, false), pod(1, 0.1, false), pod(2, 0.0, false)]), Verdict::Leak);
    assert_eq!(judge(vec![pod(0, 0.1, true), pod(1, 0.1, true), pod(2, 0.0, false)]), Verdict::None);
}

/// Without a log, a start that is known is a cut, and falls from the limit are still looked for.
#[test]
fn a_start_that_is_known_is_a_cut_beside_those_that_are_seen() {
    // Restarts far below the limit at 60 h, and at the limit at 120 h.
    let memory = |i: usize| match i {
        0..720 => 100.0 + 0.2 * i as f64,
        720..1440 => 100.0 + 0.54 * (i - 720) as f64,
        _ => 100.0 + 0.2 * (i - 1440) as f64,
    };
    let values: Vec<f64> = (0..2017).map(|i| MB * (memory(i) + noise(4, i))).collect();
    let mut case = Case::one(300.0, Some(490.0 * MB), values);
    case.pods[0].restarts = None;
    assert_eq!(case.judge().evidence.len(), 2);
    case.pods[0].starts = vec![START + 720 * 300];
    assert_eq!(case.judge().evidence.len(), 3);
}

/// Pods of the release before, `before` bytes an hour, and of the release of `at` hours, which leak.
fn released(before: f64, at: usize) -> Case {
    let pod = |name: &str, hours: std::ops::Range<usize>, growth: f64| Pod {
        name: name.into(),
        start: START + 3600 * hours.start as i64,
        values: (0..hours.len() * 12)
            .map(|i| 200.0 * MB + growth * i as f64 / 12.0 + MB * noise(hours.start as u64, i))
            .collect(),
        restarts: Some(vec![]),
        ..Pod::default()
    };
    let mut case = Case::one(300.0, Some(512.0 * MB), vec![0.0; 2017]);
    case.pods = vec![pod("old", 0..at, before), pod("new", at..168, MB)];
    case.revisions = vec![START + 3600 * at as i64];
    case
}

#[test]
fn a_revision_is_blamed_when_memory_before_it_is_known_and_calm() {
    let began = |case: &Case| {
        let report = case.judge();
        assert_eq!(report.verdict, Verdict::Leak);
        report.began_with_revision
    };
    let case = released(0.0, 80);
    assert_eq!(began(&case), Some(case.revisions[0]));
    assert_eq!(began(&released(MB, 80)), None, "it grew before");
    let after = |hours: usize| {
        let memory = |i: usize| 200.0 * MB + MB * i.saturating_sub(12 * hours) as f64 / 12.0;
        let values = (0..2017).map(|i| memory(i) + MB * noise(7, i)).collect();
        let revisions = vec![START + 3600 * hours as i64];
        Case { revisions, ..Case::one(300.0, Some(512.0 * MB), values) }
    };
    assert!(began(&after(20)).is_some());
    assert_eq!(began(&after(12)), None, "twelve hours of seven days tell nothing");
    for (hours, expected) in [(-4, true), (4, true), (-8, false), (8, false)] {
        let mut case = released(0.0, 80);
        case.revisions[0] += hours * 3600;
        assert_eq!(began(&case).is_some(), expected, "{hours} h away");
    }
}

/// What growth is a share of is what the reason says it is.
#[test]
fn growth_that_does_not_matter_is_told_as_a_share_of_what_bounds_it() {
    let told = |limit: Option<f64>, capacity: Option<f64>| {
        let values = line(168.0, 300.0, 0.03 * MB, 0.0, 0.2 * MB);
        let series = [PodSeries { pod: "web-0", start_unix: START, values: &values, ..PodSeries::default() }];
        let input = LeakInput {
            step_s: 300.0,
            limit_bytes: limit,
            capacity_bytes: capacity,
            start_unix: START,
            end_unix: START + WEEK,
            series: &series,
            ..LeakInput::default()
        };
        detect(&input, &LeakParams::default()).reason.to_string()
    };
    let shares = [
        (Some(400.0 * MB), None, "of the limit does"),
        (None, Some(500.0 * MB), "of the node's memory does"),
        (None, None, "of 1.6 times the highest use does"),
        (Some(MB), None, "of 1.6 times the highest use does"),
        (Some(1e12), None, "of 6 times the highest use does"),
    ];
    for (limit, capacity, expected) in shares {
        let told = told(limit, capacity);
        assert!(told.starts_with("growth of ") && told.contains(expected), "{told}");
    }
}

#[test]
fn restarts_at_every_sample_leave_no_run_and_not_no_samples() {
    let mut case = Case::one(300.0, None, vec![MB; 2000]);
    case.pods[0].restarts = Some((0..2000).map(|i| START + 300 * i).collect());
    assert_eq!(case.judge().reason, Reason::RunsTooShort);
}

// Anything at all.

fn any_number() -> impl Strategy<Value = f64> {
    let special = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        0.0,
        -0.0,
        -1.0,
        1.0,
        1e18,
        1e24,
        1e-18,
        512e6,
    ];
    prop_oneof![3 => select(special.to_vec()), 1 => any::<f64>(), 3 => 0.0..1e10]
}

fn any_time() -> impl Strategy<Value = i64> {
    let special = [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, 0, -1, START, START + WEEK];
    prop_oneof![1 => select(special.to_vec()), 1 => any::<i64>(), 6 => START - WEEK..START + 2 * WEEK]
}

fn any_step() -> impl Strategy<Value = f64> {
    prop_oneof![6 => select(vec![15.0, 60.0, 300.0, 900.0, 3600.0, DAY]), 1 => any_number(), 1 => 1e-3..1e5]
}

/// Memory as it may be: shapes with noise, in which now and then stands anything; or anything only.
fn any_values() -> impl Strategy<Value = Vec<f64>> {
    let shape = (
        (0..400_usize, any::<u64>(), any_number(), 0..7_u8),
        (-2.0..2.0, 0.0..0.2, any_number(), prop_oneof![2 => Just(0.0), 1 => 0.0..1.0]),
    );
    let shaped = shape.prop_map(|((n, seed, level, kind), (growth, spread, junk, share))| {
        let sample = |i: usize| {
            let x = i as f64 / n as f64;
            let form: f64 = match kind {
                0 => x,
                1 => 1.0 - (-x * 8.0).exp(),
                2 => (x * 5.0).fract(),
                3 => f64::from(x > 0.5),
                4 => (x - 0.6).max(0.0),
                5 => x * x,
                _ => (40.0 * x).sin(),
            };
            if noise(seed ^ 5, i).abs() < share {
                junk
            } else {
                level * (1.0 + growth * form + spread * noise(seed, i))
            }
        };
        (0..n).map(sample).collect()
    });
    prop_oneof![4 => shaped, 1 => prop::collection::vec(any_number(), 0..120)]
}

fn any_pod() -> impl Strategy<Value = Pod> {
    let restarts = prop::option::of(prop::collection::vec(any_time(), 0..6));
    let load = prop::option::weighted(0.2, any_values());
    let times = (any_time(), any::<bool>());
    let starts = prop::collection::vec(any_time(), 0..3);
    (select(vec!["", "a", "b", "c"]), times, any_values(), restarts, starts, load).prop_map(
        |(name, (start, aligned), values, restarts, starts, load)| Pod {
            name: name.into(),
            start: if aligned { START } else { start },
            values,
            restarts,
            starts,
            load,
        },
    )
}

fn any_case() -> impl Strategy<Value = Case> {
    let times = prop_oneof![4 => Just((START, START + WEEK)), 1 => (any_time(), any_time())];
    let revisions = prop::collection::vec(any_time(), 0..3);
    (any_step(), prop::option::of(any_number()), times, prop::collection::vec(any_pod(), 0..5), revisions)
        .prop_map(|(step, limit, (start, end), pods, revisions)| Case {
            step,
            limit,
            start,
            end,
            pods,
            revisions,
        })
}

proptest! {
    /// As many cases as `PROPTEST_CASES` says.
    #[test]
    fn any_input_has_a_sound_answer(case in any_case()) {
        case.judge();
    }

    #[test]
    fn any_threshold_has_a_finite_answer(
        case in any_case(),
        leak_score in any_number(),
        watch_score in any_number(),
        min_growth in any_number(),
    ) {
        let params = LeakParams { leak_score, watch_score, min_growth };
        case.judge_by(&params);
    }
}
