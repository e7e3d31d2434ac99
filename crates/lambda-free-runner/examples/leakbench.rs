//! Scores leak detectors on labelled cases: `bench/leaks --cases FILE --labels FILE`.
//!
//! Cases and labels are NDJSON, plain or gzip, joined by `id`. A label is `{"id", "label": "leak|none|ambiguous",
//! "family"}`; ambiguous cases count in their family only. Prints one line a method and one a family. `--leave-out`
//! chooses the thresholds of `robust` anew without each family in turn, and says how that family then fares.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use healthcore::leak::{LeakParams, Verdict};
use healthcore::stats;
use lambda_free_runner::leaks::LeakCase;
use rayon::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Label {
    id: String,
    label: String,
    family: String,
    #[serde(default)]
    window_h: Option<f64>,
}

/// What a method says: flagged, and how surely.
type Said = (bool, f64);

/// A name, and what it says of a case.
type Method = (&'static str, fn(&LeakCase) -> Said);

const METHODS: [Method; 4] =
    [("robust", robust), ("linear", linear), ("quarters", quarters), ("mann-kendall", mann_kendall)];

fn robust(case: &LeakCase) -> Said {
    let report = case.judge(&LeakParams::default());
    (report.verdict == Verdict::Leak, report.score)
}

/// Finite samples of each pod with their hours.
fn pods(case: &LeakCase) -> impl Iterator<Item = Vec<(f64, f64)>> {
    let hours = case.step_s / 3600.0;
    case.series.iter().map(move |s| {
        s.values
            .iter()
            .enumerate()
            .filter(|(_, v)| v.is_finite())
            .map(|(i, v)| (i as f64 * hours, *v))
            .collect()
    })
}

/// The pod that says it the loudest.
fn loudest(said: impl Iterator<Item = Said>) -> Said {
    said.fold((false, -9.0), |a, b| if (b.0, b.1) > (a.0, a.1) { b } else { a })
}

/// Slope above 10 MB/h, r² above 0.7, p below 0.05.
fn linear(case: &LeakCase) -> Said {
    loudest(pods(case).map(|points| {
        let Some(line) = stats::linregress(points) else { return (false, -9.0) };
        let flagged = line.slope > 10e6 && line.r_squared() > 0.7 && line.p < 0.05;
        (flagged, (line.slope / 10e6).min(line.r_squared() / 0.7))
    }))
}

/// Mean of the last quarter more than 20 % above that of the first.
fn quarters(case: &LeakCase) -> Said {
    loudest(pods(case).map(|points| {
        let values: Vec<f64> = points.iter().map(|p| p.1).collect();
        match stats::quarters(&values) {
            Some([first, _, _, last]) if first > 0.0 => (last / first > 1.2, last / first - 1.0),
            _ => (false, -9.0),
        }
    }))
}

/// Mann-Kendall on hourly means, pre-whitened as Yue and Wang (2002), with a Theil-Sen growth of 3 % of the limit.
fn mann_kendall(case: &LeakCase) -> Said {
    loudest(pods(case).map(|points| {
        let mut hourly: Vec<f64> = Vec::new();
        for hour in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
            hourly.push(hour.iter().map(|p| p.1).sum::<f64>() / hour.len() as f64);
        }
        let n = hourly.len();
        if n < 8 {
            return (false, -9.0);
        }
        let mut slopes: Vec<f64> = Vec::with_capacity(n * (n - 1) / 2);
        for j in 1..n {
            slopes.extend((0..j).map(|i| (hourly[j] - hourly[i]) / (j - i) as f64));
        }
        let middle = slopes.len() / 2;
        let slope = *slopes.select_nth_unstable_by(middle, f64::total_cmp).1;
        let mut left: Vec<f64> = hourly.iter().enumerate().map(|(i, v)| v - slope * i as f64).collect();
        let mean = left.iter().sum::<f64>() / n as f64;
        left.iter_mut().for_each(|v| *v -= mean);
        let square: f64 = left.iter().map(|v| v * v).sum();
        let phi = left.windows(2).map(|w| w[0] * w[1]).sum::<f64>() / square.max(1e-9);
        let white: Vec<f64> = (1..n).map(|i| left[i] - phi * left[i - 1] + slope * i as f64).collect();
        let mut s = 0.0;
        for j in 1..white.len() {
            s += (0..j).map(|i| (white[j] - white[i]).signum()).sum::<f64>();
        }
        let m = white.len() as f64;
        let z = s / (m * (m - 1.0) * (2.0 * m + 5.0) / 18.0).sqrt();
        let peak = points.iter().map(|p| p.1).fold(0.0, f64::max);
        let growth = slope * n as f64 / case.limit_bytes.unwrap_or(1.6 * peak);
        (z > 1.96 && growth >= 0.03, (z / 1.96).min(growth / 0.03))
    }))
}

fn lines(path: &str) -> Result<impl BufRead, Box<dyn Error>> {
    let file = File::open(path).map_err(|e| format!("{path}: {e}"))?;
    let plain: Box<dyn Read> =
        if path.ends_with(".gz") { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(BufReader::with_capacity(1 << 20, plain))
}

/// One case with its label and what each method says.
struct Scored {
    label: Label,
    said: Vec<Said>,
}

/// Margins of the robust detector, each 1 at its threshold; none where nothing could be fitted.
type Margins = Option<[f64; 9]>;

fn margins(case: &LeakCase) -> Margins {
    case.judge(&LeakParams::default()).measures.map(|m| m.margins)
}

/// Whether a case is a leak when thresholds are those of the detector times `factors`.
fn flagged(margins: &Margins, factors: &[f64; 9]) -> bool {
    let Some(margins) = margins else { return false };
    let scaled: Vec<f64> = margins.iter().zip(factors).map(|(m, f)| m / f).collect();
    let least = scaled.iter().copied().fold(f64::INFINITY, f64::min);
    let mean = scaled.iter().sum::<f64>() / scaled.len() as f64;
    (least + 0.09 * (mean - 1.0)).min(scaled[3]) >= 1.0
}

/// Chooses thresholds without each family in turn: the largest recall on the others at a false positive rate of at most
/// 0.2 % there.
#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn leave_out(scored: &[Scored], margins: &[Margins]) {
    // Static BIC, saturating BIC, tail, late slope and wandering: the thresholds that were chosen by looking at cases.
    const TUNED: [usize; 5] = [0, 1, 4, 7, 8];
    const STEPS: [f64; 5] = [0.5, 0.7, 1.0, 1.4, 2.0];
    let mut settings = vec![[1.0; 9]];
    for place in TUNED {
        settings = settings
            .iter()
            .flat_map(|s| {
                STEPS.map(|f| {
                    let mut s = *s;
                    s[place] = f;
                    s
                })
            })
            .collect();
    }
    let told: Vec<Vec<bool>> =
        settings.par_iter().map(|s| margins.iter().map(|m| flagged(m, s)).collect()).collect();
    let families: std::collections::BTreeSet<(&str, &str)> =
        scored.iter().map(|s| (s.label.label.as_str(), s.label.family.as_str())).collect();
    println!("\nthresholds chosen without the family (of {} settings)", settings.len());
    println!("{:<10} {:<24} {:>5} {:>9} {:>9}   factors", "label", "family", "cases", "flagged", "left out");
    let (mut hit, mut leaks, mut cried, mut clean) = (0, 0, 0, 0);
    for (label, family) in families {
        if label == "ambiguous" {
            continue;
        }
        let count = |told: &[bool], wanted: &dyn Fn(&Label) -> bool| {
            scored.iter().zip(told).filter(|(s, t)| wanted(&s.label) && **t).count()
        };
        let rest = |kind: &'static str| move |l: &Label| l.family != family && l.label == kind;
        let total = scored.iter().filter(|s| rest("none")(&s.label)).count();
        let best = (0..settings.len())
            .filter(|&i| count(&told[i], &rest("none")) as f64 <= 0.002 * total as f64)
            .max_by_key(|&i| (count(&told[i], &rest("leak")), std::cmp::Reverse(i)));
        let own = |l: &Label| l.family == family && l.label == label;
        let cases = scored.iter().filter(|s| own(&s.label)).count();
        let default = scored.iter().filter(|s| own(&s.label) && s.said[0].0).count();
        let Some(best) = best else { continue };
        let found = count(&told[best], &own);
        if label == "leak" {
            (hit, leaks) = (hit + found, leaks + cases);
        } else {
            (cried, clean) = (cried + found, clean + cases);
        }
        println!(
            "{label:<10} {family:<24} {cases:>5} {:>8.1}% {:>8.1}%   {:?}",
            100.0 * default as f64 / cases as f64,
            100.0 * found as f64 / cases as f64,
            TUNED.map(|p| settings[best][p]),
        );
    }
    println!(
        "left out: recall {:.3}, FPR {:.2}%",
        hit as f64 / f64::from(leaks.max(1) as u32),
        100.0 * cried as f64 / f64::from(clean.max(1) as u32)
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut cases, mut labels, mut only, mut list, mut without) =
        (Vec::new(), Vec::new(), None, None, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg}: a value is missing"));
        match arg.as_str() {
            "--cases" => cases.push(value()?),
            "--labels" => labels.push(value()?),
            "--method" => only = Some(value()?),
            "--leave-out" => without = true,
            "--wrong" => list = Some(value()?),
            _ => return Err(format!("unknown option `{arg}`; expected --cases FILE --labels FILE").into()),
        }
    }
    let mut known: BTreeMap<String, Label> = BTreeMap::new();
    for path in &labels {
        for line in lines(path)?.lines() {
            let label: Label = serde_json::from_str(&line?)?;
            known.insert(label.id.clone(), label);
        }
    }
    let methods: Vec<_> = METHODS.iter().filter(|m| only.as_ref().is_none_or(|o| o == m.0)).collect();
    let mut scored: Vec<Scored> = Vec::new();
    let mut margins_of: Vec<Margins> = Vec::new();
    let mut spent = vec![Duration::ZERO; methods.len()];
    let mut samples = 0_usize;
    for path in &cases {
        let mut texts = lines(path)?.lines();
        loop {
            let batch: Vec<String> = texts.by_ref().take(128).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let batch: Vec<LeakCase> =
                batch.par_iter().map(|l| serde_json::from_str(l)).collect::<Result<_, _>>()?;
            samples += batch.iter().flat_map(|c| &c.series).map(|s| s.values.len()).sum::<usize>();
            let mut said: Vec<Vec<Said>> = vec![Vec::new(); batch.len()];
            for (m, (_, method)) in methods.iter().enumerate() {
                let began = Instant::now();
                let answers: Vec<Said> = batch.par_iter().map(method).collect();
                spent[m] += began.elapsed();
                for (one, answer) in said.iter_mut().zip(answers) {
                    one.push(answer);
                }
            }
            if without {
                margins_of.extend(batch.par_iter().map(margins).collect::<Vec<_>>());
            }
            for (case, said) in batch.iter().zip(said) {
                let id = case.id.as_str().unwrap_or_default();
                let label = known.remove(id).ok_or(format!("case {id} has no label"))?;
                scored.push(Scored { label, said });
            }
        }
    }
    print(&methods.iter().map(|m| m.0).collect::<Vec<_>>(), &scored, &spent, samples);
    if without {
        leave_out(&scored, &margins_of);
    }
    if let Some(path) = list {
        let mut wrong = String::new();
        for s in &scored {
            let (flagged, score) = s.said[0];
            if (s.label.label == "leak") != flagged && s.label.label != "ambiguous" {
                wrong += &format!("{} {} {} {score:.3}\n", s.label.id, s.label.family, s.label.label);
            }
        }
        std::fs::write(path, wrong)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn print(methods: &[&str], scored: &[Scored], spent: &[Duration], samples: usize) {
    println!("{} cases, {samples} samples, {} threads", scored.len(), rayon::current_num_threads());
    println!(
        "{:<14} {:>9} {:>7} {:>7} {:>7} {:>10} {:>10} {:>9} {:>8}",
        "method", "precision", "recall", "FPR", "PR-AUC", "R@FPR.2%", "recall>=3d", "amb", "seconds"
    );
    for (m, name) in methods.iter().enumerate() {
        let of = |label: &str| scored.iter().filter(|s| s.label.label == label).collect::<Vec<_>>();
        let (leaks, none, unsure) = (of("leak"), of("none"), of("ambiguous"));
        let flagged = |set: &[&Scored]| set.iter().filter(|s| s.said[m].0).count();
        let share = |a: usize, b: usize| a as f64 / (b.max(1)) as f64;
        let (hit, cried) = (flagged(&leaks), flagged(&none));
        let long: Vec<&Scored> =
            leaks.iter().copied().filter(|s| s.label.window_h.is_some_and(|h| h >= 72.0)).collect();
        let mut ranked: Vec<(f64, bool)> = leaks.iter().map(|s| (s.said[m].1, true)).collect();
        ranked.extend(none.iter().map(|s| (s.said[m].1, false)));
        println!(
            "{name:<14} {:>9.3} {:>7.3} {:>6.2}% {:>7.4} {:>10.3} {:>10.3} {:>8.1}% {:>8.2}",
            share(hit, hit + cried),
            share(hit, leaks.len()),
            100.0 * share(cried, none.len()),
            average_precision(&mut ranked.clone()),
            recall_at(&mut ranked, 0.002),
            share(flagged(&long), long.len()),
            100.0 * share(flagged(&unsure), unsure.len()),
            spent[m].as_secs_f64(),
        );
    }
    let mut families: BTreeMap<(&str, &str), Vec<&Scored>> = BTreeMap::new();
    for s in scored {
        families.entry((s.label.label.as_str(), s.label.family.as_str())).or_default().push(s);
    }
    println!("\nflagged, by family");
    print!("{:<10} {:<24} {:>5}", "label", "family", "cases");
    methods.iter().for_each(|m| print!(" {m:>13}"));
    println!();
    for ((label, family), cases) in families {
        print!("{label:<10} {family:<24} {:>5}", cases.len());
        for m in 0..methods.len() {
            let flagged = cases.iter().filter(|s| s.said[m].0).count();
            print!(" {:>12.1}%", 100.0 * flagged as f64 / cases.len() as f64);
        }
        println!();
    }
}

/// Area under precision and recall; equal scores are one block.
fn average_precision(ranked: &mut [(f64, bool)]) -> f64 {
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let leaks = ranked.iter().filter(|r| r.1).count().max(1) as f64;
    let (mut seen, mut hit, mut area) = (0.0, 0.0, 0.0);
    for block in ranked.chunk_by(|a, b| a.0 == b.0) {
        let new = block.iter().filter(|r| r.1).count() as f64;
        seen += block.len() as f64;
        hit += new;
        area += new / leaks * (hit / seen);
    }
    area
}

/// Share of leaks above the score that at most `rate` of the others exceed.
fn recall_at(ranked: &mut [(f64, bool)], rate: f64) -> f64 {
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let none: Vec<f64> = ranked.iter().filter(|r| !r.1).map(|r| r.0).collect();
    let Some(bound) = none.get((rate * none.len() as f64) as usize) else { return 0.0 };
    let leaks = ranked.iter().filter(|r| r.1).count().max(1) as f64;
    ranked.iter().filter(|r| r.1 && r.0 > *bound).count() as f64 / leaks
}
