//! Draws the pictures of `docs/leak-detection.md`: `cargo run --example leakfigures -p lambda-free-runner [-- FOLDER]`.
//!
//! Every picture is a seeded series, judged by [`detect`] and drawn from the evidence of its report. The test below
//! holds the files in the repository to what this program makes.

use std::error::Error;
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use healthcore::leak::{LeakInput, LeakParams, LeakReport, PodSeries, Rate, Shape, detect};
use healthcore::stats;

const MI: f64 = 1024.0 * 1024.0;
/// Monday, 13 November 2023, midnight UTC.
const START: i64 = 1_699_833_600;
const STEP_S: f64 = 600.0;
const STEPS_A_DAY: usize = 144;

/// Width, height and edges of a picture, pixels.
const SIZE: (f64, f64) = (860.0, 420.0);
const LEFT: f64 = 66.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 106.0;
const BOTTOM: f64 = 74.0;
const SAMPLES: &str = "#9aa0a6";
const FLOOR: &str = "#202124";
const CURVE: &str = "#0b57d0";
const LIMIT: &str = "#c5221f";
const TEXT: &str = "#202124";
const QUIET: &str = "#5f6368";
const GRID: &str = "#e8eaed";

/// One story.
struct Figure {
    file: &'static str,
    title: &'static str,
    days: usize,
    limit_mib: f64,
    pods: Vec<Pod>,
}

/// Memory of one pod, bytes.
#[derive(Default)]
struct Pod {
    values: Vec<f64>,
    restarts: Vec<i64>,
}

/// Jitter, wandering and a peak at noon that is lower at the weekend, as any service has them; `size` in MiB.
struct Hum {
    rng: Rng,
    size: f64,
    day: f64,
    state: f64,
}

impl Hum {
    fn new(seed: u64, size: f64, day: f64) -> Self {
        Self { rng: Rng::with_seed(seed), size, day, state: 0.0 }
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt() * (TAU * self.rng.f64()).cos()
    }
    /// MiB at an hour of the window.
    fn next(&mut self, hour: f64) -> f64 {
        self.state = 0.9 * self.state + 0.43 * self.normal();
        let weekend = if (hour / 24.0).rem_euclid(7.0) >= 5.0 { 0.5 } else { 1.0 };
        let load = 0.5 - 0.5 * (TAU * hour / 24.0).cos();
        let burst = if self.rng.f64() < 0.01 { 6.0 * self.size * self.rng.f64() } else { 0.0 };
        self.day * weekend * load + self.size * (0.5 * self.state + 0.5 * self.normal()) + burst
    }
}

/// A pod whose level in MiB follows the hour, without restarts.
fn pod(days: usize, mut hum: Hum, level: impl Fn(f64) -> f64) -> Pod {
    let values = (0..days * STEPS_A_DAY)
        .map(|i| {
            let hour = i as f64 * STEP_S / 3600.0;
            (level(hour) + hum.next(hour)) * MI
        })
        .collect();
    Pod { values, restarts: Vec::new() }
}

/// A pod that grows until it is killed at the limit, again and again; MiB, MiB an hour.
fn killed(days: usize, mut hum: Hum, base: f64, rate: f64, limit: f64) -> Pod {
    let mut pod = Pod::default();
    let mut born = -9.0;
    for i in 0..days * STEPS_A_DAY {
        let hour = i as f64 * STEP_S / 3600.0;
        let noise = hum.next(hour);
        if base + rate * (hour - born) + noise >= limit {
            born = hour;
            pod.restarts.push(START + (hour * 3600.0) as i64);
        }
        pod.values.push((base + rate * (hour - born) + noise) * MI);
    }
    pod
}

fn figures() -> Vec<Figure> {
    let sawtooth = |hour: f64| 190.0 + 760.0 * (hour / 28.2).fract();
    let figure = |file, title, days, limit_mib, pods| Figure { file, title, days, limit_mib, pods };
    vec![
        figure(
            "leak-under-load",
            "A leak under daily load",
            7,
            1024.0,
            vec![pod(7, Hum::new(1, 8.0, 160.0), |h| 380.0 + 1.1 * h)],
        ),
        figure(
            "oom-cycles",
            "A leak that is killed at its limit, again and again",
            7,
            768.0,
            vec![killed(7, Hum::new(2, 7.0, 30.0), 230.0, 13.0, 768.0)],
        ),
        figure(
            "warm-up",
            "A warm-up",
            3,
            4096.0,
            vec![pod(3, Hum::new(3, 20.0, 90.0), |h| 900.0 + 1700.0 * (1.0 - (-h / 17.0).exp()))],
        ),
        figure(
            "step",
            "A step: a larger working set from Thursday noon on",
            7,
            1024.0,
            vec![pod(7, Hum::new(4, 8.0, 70.0), |h| if h < 84.0 { 420.0 } else { 640.0 })],
        ),
        figure(
            "one-bad-replica",
            "One bad replica of four",
            7,
            1024.0,
            (0..4)
                .map(|k: u32| {
                    let level = 360.0 + 30.0 * f64::from(k);
                    pod(7, Hum::new(50 + u64::from(k), 7.0, 50.0), move |h| {
                        level + if k == 2 { 2.2 * (h - 40.0).max(0.0) } else { 0.0 }
                    })
                })
                .collect(),
        ),
        figure(
            "gc-sawtooth",
            "A garbage collector that runs every 28 hours",
            7,
            1536.0,
            vec![pod(7, Hum::new(6, 9.0, 25.0), sawtooth)],
        ),
    ]
}

impl Figure {
    fn judge(&self) -> LeakReport {
        let names: Vec<String> = (0..self.pods.len()).map(|i| format!("web-{i}")).collect();
        let series: Vec<PodSeries<'_>> = self
            .pods
            .iter()
            .zip(&names)
            .map(|(pod, name)| PodSeries {
                pod: name,
                start_unix: START,
                values: &pod.values,
                restarts_unix: Some(&pod.restarts),
                ..PodSeries::default()
            })
            .collect();
        detect(
            &LeakInput {
                step_s: STEP_S,
                limit_bytes: Some(self.limit_mib * MI),
                start_unix: START,
                end_unix: START + (self.days * 86_400) as i64,
                series: &series,
                ..LeakInput::default()
            },
            &LeakParams::default(),
        )
    }

    fn draw(&self) -> String {
        let report = self.judge();
        let axes = Axes { hours: 24.0 * self.days as f64, top: 1.06 * self.limit_mib };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"13\" fill=\"{TEXT}\">\n\
             <title>{title}</title>\n<rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n",
            w = SIZE.0,
            h = SIZE.1,
            title = self.title,
        );
        self.words(&report, &mut svg);
        axes.grid(self, &mut svg);
        for pod in &self.pods {
            let hours = (0..pod.values.len()).map(|i| i as f64 * STEP_S / 3600.0);
            let from: Vec<f64> = pod.restarts.iter().map(|at| (at - START) as f64 / 3600.0).collect();
            let path = axes.path(hours.zip(&pod.values), &from);
            line(&mut svg, &path, &format!("stroke=\"{SAMPLES}\" stroke-width=\"1\""));
        }
        let dashes = if report.is_leak() { "" } else { " stroke-dasharray=\"9 6\"" };
        for run in &report.evidence {
            let hours = run.at_unix.iter().map(|at| (at - START as f64) / 3600.0);
            let path = axes.path(hours.zip(&run.fitted), &[]);
            line(&mut svg, &path, &format!("stroke=\"{CURVE}\" stroke-width=\"3\"{dashes}"));
        }
        for run in &report.evidence {
            let mut dots = String::new();
            for (at, bytes) in run.at_unix.iter().zip(&run.floor) {
                let _ = write!(dots, "M{:.1} {:.1}h0", axes.x((at - START as f64) / 3600.0), axes.y(*bytes));
            }
            line(
                &mut svg,
                &dots,
                &format!("stroke=\"{FLOOR}\" stroke-width=\"3.2\" stroke-linecap=\"round\""),
            );
        }
        axes.legend(&report, &mut svg);
        svg.push_str("</svg>\n");
        svg
    }

    /// Title, what the detector says, and what simpler rules say.
    fn words(&self, report: &LeakReport, svg: &mut String) {
        let mut row = |y: f64, style: &str, text: &str| {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{y}\" {style}>{text}</text>");
        };
        let title = format!("{}: {}, score {:.2}", self.title, report.verdict, report.score);
        row(26.0, "font-size=\"18\" font-weight=\"bold\"", &title);
        row(48.0, "", &report.reason.to_string());
        let shape = |shape: Option<Shape>| shape.map_or_else(String::new, |s| s.to_string());
        let mib = |rate: f64| rate / MI;
        let second = shape(report.runner_up);
        match report.rate.filter(|_| report.is_leak()) {
            Some(Rate { bytes_per_hour, low, high }) => {
                let (rate, low, high) = (mib(bytes_per_hour), mib(low), mib(high));
                row(
                    68.0,
                    "",
                    &format!("{rate:.2} MiB/h ({low:.2} to {high:.2}); best shape that ends: {second}"),
                );
            }
            None => row(68.0, "", &format!("best shape without end: {}", shape(report.shape))),
        }
        row(88.0, &format!("fill=\"{QUIET}\""), &self.usual_rules());
    }

    /// What the rules `linear` and `quarters` say of the pod that they flag, else of the first.
    fn usual_rules(&self) -> String {
        let said: Vec<(bool, bool, String)> = self
            .pods
            .iter()
            .filter_map(|pod| {
                let points = pod.values.iter().enumerate().map(|(i, v)| (i as f64 * STEP_S / 3600.0, *v));
                let fit = stats::linregress(points)?;
                let [first, .., last] = stats::quarters(&pod.values)?;
                let linear = fit.slope > 10e6 && fit.r_squared() > 0.7 && fit.p < 0.05;
                let quarters = last > 1.2 * first;
                let p = if fit.p < 1e-3 { "p < 0.001".to_owned() } else { format!("p = {:.2}", fit.p) };
                let word = |leak| if leak { "leak" } else { "no leak" };
                let text = format!(
                    "Usual rules on the raw samples: linear {:.1} MB/h, r² {:.2}, {p}: {}; quarters {:+.0} %: {}",
                    fit.slope / 1e6,
                    fit.r_squared(),
                    word(linear),
                    (100.0 * (last / first - 1.0)).round() + 0.0,
                    word(quarters),
                );
                Some((linear, quarters, text))
            })
            .collect();
        let loudest = said.iter().find(|s| s.0).or_else(|| said.iter().find(|s| s.1)).or(said.first());
        loudest.map_or_else(String::new, |s| s.2.clone())
    }
}

/// Where hours and bytes are on the picture.
struct Axes {
    hours: f64,
    /// MiB.
    top: f64,
}

impl Axes {
    fn x(&self, hour: f64) -> f64 {
        LEFT + hour / self.hours * (SIZE.0 - LEFT - RIGHT)
    }
    fn y(&self, bytes: f64) -> f64 {
        SIZE.1 - BOTTOM - bytes / MI / self.top * (SIZE.1 - TOP - BOTTOM)
    }
    /// A line through points, taken up anew at the hours of `breaks`.
    fn path<'v>(&self, points: impl Iterator<Item = (f64, &'v f64)>, breaks: &[f64]) -> String {
        let mut path = String::new();
        let mut before: Option<f64> = None;
        for (hour, bytes) in points {
            let joined = before.is_some_and(|b| !breaks.iter().any(|at| b < *at && *at <= hour));
            let pen = if joined { 'L' } else { 'M' };
            let _ = write!(path, "{pen}{:.1} {:.1}", self.x(hour), self.y(*bytes));
            before = Some(hour);
        }
        path
    }

    fn grid(&self, figure: &Figure, svg: &mut String) {
        let (left, right) = (self.x(0.0), self.x(self.hours));
        let (bottom, top) = (self.y(0.0), self.y(self.top * MI));
        let every = [64.0, 128.0, 256.0, 512.0, 1024.0]
            .into_iter()
            .find(|every| self.top / every <= 8.0)
            .unwrap_or(2048.0);
        for k in 0..=(self.top / every) as u32 {
            let mib = every * f64::from(k);
            let y = self.y(mib * MI);
            let _ = writeln!(svg, "<path d=\"M{left:.1} {y:.1}H{right:.1}\" stroke=\"{GRID}\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{mib}</text>",
                left - 8.0,
                y + 4.0
            );
        }
        for day in 0..=figure.days {
            let x = self.x(24.0 * day as f64);
            let _ = writeln!(svg, "<path d=\"M{x:.1} {top:.1}V{:.1}\" stroke=\"{GRID}\"/>", bottom + 5.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{day}</text>",
                bottom + 19.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">days</text>\n\
             <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">memory, MiB</text>",
            f64::midpoint(left, right),
            bottom + 36.0,
            f64::midpoint(bottom, top)
        );
        let y = self.y(figure.limit_mib * MI);
        line(
            svg,
            &format!("M{left:.1} {y:.1}H{right:.1}"),
            &format!("stroke=\"{LIMIT}\" stroke-width=\"1.6\""),
        );
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{LIMIT}\">limit</text>",
            right - 4.0,
            y + 15.0
        );
    }

    fn legend(&self, report: &LeakReport, svg: &mut String) {
        let y = SIZE.1 - 14.0;
        let curve = if report.is_leak() {
            ("growth found", "")
        } else {
            ("best shape without end, which did not win", " stroke-dasharray=\"9 6\"")
        };
        let mut x = LEFT;
        for (name, style, width) in [
            ("samples", format!("stroke=\"{SAMPLES}\" stroke-width=\"1\""), 110.0),
            (
                "floor",
                format!(
                    "stroke=\"{FLOOR}\" stroke-width=\"3.2\" stroke-linecap=\"round\" stroke-dasharray=\"0 7\""
                ),
                95.0,
            ),
            (curve.0, format!("stroke=\"{CURVE}\" stroke-width=\"3\"{}", curve.1), 0.0),
        ] {
            line(svg, &format!("M{x:.1} {:.1}h28", y - 4.0), &style);
            let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", x + 36.0);
            x += width;
        }
    }
}

fn line(svg: &mut String, path: &str, style: &str) {
    if !path.is_empty() {
        let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" {style}/>");
    }
}

/// Where the pictures of the repository are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/leak-detection")
}

fn write_all(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    for figure in figures() {
        let path = folder.join(format!("{}.svg", figure.file));
        std::fs::write(&path, figure.draw()).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    write_all(&std::env::args_os().nth(1).map_or_else(folder, PathBuf::from))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use healthcore::leak::Verdict;

    use super::*;

    /// `UPDATE_DOCS=1 cargo test -p lambda-free-runner --example leakfigures` draws them anew.
    #[test]
    fn pictures_in_the_repository_are_those_of_the_code() {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            write_all(&folder()).unwrap();
        }
        let mut known = BTreeSet::new();
        for figure in figures() {
            let name = format!("{}.svg", figure.file);
            let found = std::fs::read_to_string(folder().join(&name)).unwrap_or_default();
            assert!(
                found == figure.draw(),
                "docs/leak-detection/{name} differs from the code; run with UPDATE_DOCS=1"
            );
            known.insert(name);
        }
        for file in std::fs::read_dir(folder()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name), "docs/leak-detection/{name} is no picture of this program");
        }
    }

    /// What the page says of its pictures: the verdict, and whether `linear` and `quarters` flag it.
    #[test]
    fn verdicts_are_those_of_the_page() {
        let said = figures().into_iter().map(|figure| {
            let rules = figure.usual_rules();
            let linear = !rules.contains("no leak; quarters");
            (figure.file, figure.judge().verdict, linear, !rules.ends_with("no leak"))
        });
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                ("leak-under-load", Verdict::Leak, false, false),
                ("oom-cycles", Verdict::Leak, false, false),
                ("warm-up", Verdict::None, true, true),
                ("step", Verdict::None, false, true),
                ("one-bad-replica", Verdict::Leak, false, true),
                ("gc-sawtooth", Verdict::None, false, true),
            ]
        );
        let replica = figures().into_iter().find(|f| f.file == "one-bad-replica").unwrap().judge();
        assert_eq!(replica.single_pod, Some(2));
    }
}
