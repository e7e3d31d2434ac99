//! Makes labelled cases of memory that leaks and memory that does not: `leakcases [--seed 1] [--per-family 60] --out NAME`
//! writes `NAME.inputs.ndjson.gz` and `NAME.labels.ndjson.gz`.
//!
//! Every family is a story of production; the numbers of each case are drawn from wide ranges. The same seed gives the
//! same cases.

use std::error::Error;
use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Write};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

const MI: f64 = 1024.0 * 1024.0;

/// A family: label, name, and how one case of it is drawn.
type Family = (&'static str, &'static str, fn(&mut Draw) -> Vec<Pod>);

const FAMILIES: [Family; 37] = [
    ("none", "hyperbolic-fill", |d| {
        d.pods(|d, t| {
            let k = d.of("k", 0.03, 0.15);
            d.size("a", 0.1, 0.5) * (t / (t + k))
        })
    }),
    ("none", "sigmoid-fill", |d| {
        d.pods(|d, t| {
            let (mid, width) = (d.of("mid", 0.15, 0.5), d.of("w", 0.02, 0.08));
            d.size("a", 0.08, 0.4) / (1.0 + (-(t - mid) / width).exp())
        })
    }),
    ("none", "two-stage-warm-up", |d| {
        d.pods(|d, t| {
            let (fast, slow) = (d.of("fast", 0.005, 0.03), d.of("slow", 0.1, 0.25));
            d.size("a", 0.05, 0.3) * (1.0 - (-t / fast).exp())
                + d.size("b", 0.03, 0.2) * (1.0 - (-t / slow).exp())
        })
    }),
    ("none", "staircase-warm-up", |d| {
        d.pods(|d, t| {
            let (steps, until) = (d.of("n", 3.0, 7.0).floor(), d.of("until", 0.25, 0.6));
            d.size("a", 0.08, 0.35) * ((t / until * steps).floor() / steps).min(1.0)
        })
    }),
    ("none", "heap-doubling", |d| {
        d.pods(|d, t| {
            let (at, ratio) = (d.of("at", 0.02, 0.15), d.of("r", 2.2, 4.0));
            let steps = f64::from((0..3).filter(|k| t > at * ratio.powi(*k)).count() as u32);
            d.size("a", 0.03, 0.1) * steps
        })
    }),
    ("none", "high-water-mark", |d| {
        let tau = d.of("tau", 0.5, 4.0);
        let pods = d.pods(|_, _| 0.0);
        let amplitude = d.size("a", 0.01, 0.05);
        pods.into_iter()
            .map(|mut pod| {
                let (mut load, mut mark) = (0.0_f64, f64::NEG_INFINITY);
                let phi = (-d.step_h / tau).exp();
                for v in &mut pod.values {
                    load = phi * load + (1.0 - phi * phi).sqrt() * d.normal();
                    mark = mark.max(load);
                    *v += amplitude * mark;
                }
                pod
            })
            .collect()
    }),
    ("none", "slow-collector", |d| {
        let (period, phase) = (d.of("p", 0.07, 0.4), d.rng.f64());
        // A collector that runs far from the limit: from near it the fall is that of an OOM kill.
        let top = 0.78 * d.limit - d.base;
        d.pods(|d, t| d.size("a", 0.08, 0.4).min(top) * (t / period + phase).fract())
    }),
    ("none", "collector-two-speeds", |d| {
        let (minor, major) = (d.of("m", 0.01, 0.03), d.of("p", 0.1, 0.3));
        let phase = d.rng.f64();
        d.pods(|d, t| {
            d.size("a", 0.05, 0.2) * (t / minor).fract()
                + d.size("b", 0.05, 0.2) * (t / major + phase).fract()
        })
    }),
    ("none", "memtable-flush", |d| {
        let pods = d.pods(|_, _| 0.0);
        let (high, mean) = (d.size("a", 0.1, 0.4), d.of("fill", 0.04, 0.2) * d.hours);
        pods.into_iter()
            .map(|mut pod| {
                let (mut filled, mut rate) = (d.rng.f64(), 1.0);
                for v in &mut pod.values {
                    filled += rate * d.step_h / mean;
                    if filled >= 1.0 {
                        filled = 0.15 * d.rng.f64();
                        rate = 0.5 + d.rng.f64();
                    }
                    *v += high * filled;
                }
                pod
            })
            .collect()
    }),
    ("none", "working-week", |d| {
        let base = d.start_h();
        d.pods(|d, t| {
            let hour = base + t * d.hours;
            let weekday = (hour / 24.0 + 4.0).rem_euclid(7.0);
            let open = if (1.0..6.0).contains(&weekday) { 1.0 } else { 0.35 };
            d.size("a", 0.05, 0.3) * open * (0.55 + 0.45 * (TAU * (hour - 9.0) / 24.0).sin())
        })
    }),
    ("none", "office-hours", |d| {
        let base = d.start_h();
        d.pods(|d, t| {
            let hour = (base + t * d.hours).rem_euclid(24.0);
            let (open, close) = (d.of("o", 6.0, 9.0), d.of("c", 16.0, 21.0));
            let up = ((hour - open) / 1.5).clamp(0.0, 1.0) * ((close - hour) / 1.5).clamp(0.0, 1.0);
            d.size("a", 0.05, 0.3) * up
        })
    }),
    ("none", "nightly-job", |d| {
        let base = d.start_h();
        d.pods(|d, t| {
            let hour = (base + t * d.hours).rem_euclid(24.0);
            let from = d.of("from", 0.0, 20.0);
            if hour >= from && hour < from + d.of("len", 1.0, 4.0) { d.size("a", 0.1, 0.5) } else { 0.0 }
        })
    }),
    ("none", "mean-reverting", |d| {
        // From noise that forgets within an hour to wandering that lasts half the window.
        let tau = d.of("tau", 0.01_f64.ln(), 0.5_f64.ln()).exp() * d.hours;
        d.wander(tau, 0.01, 0.06)
    }),
    ("none", "holiday", |d| {
        let (mid, width) = (d.of("mid", 0.3, 0.65), d.of("w", 0.07, 0.15));
        d.pods(|d, t| d.size("a", 0.08, 0.4) * (-((t - mid) / width).powi(2) / 2.0).exp())
    }),
    ("none", "campaign-plateau", |d| {
        let (from, rise) = (d.of("f", 0.05, 0.4), d.of("r", 0.03, 0.25));
        d.pods(|d, t| d.size("a", 0.08, 0.4) * ((t - from) / rise).clamp(0.0, 1.0))
    }),
    ("none", "releases-grow", |d| d.releases(|d, k| d.size("a", 0.01, 0.05) * k, 0.0)),
    ("none", "releases-warm-up", |d| d.releases(|_, _| 0.0, 1.0)),
    ("none", "cache-at-limit", |d| {
        let tau = d.of("tau", 0.05, 0.2);
        let top = d.of("top", 0.85, 0.95) - d.base / d.limit;
        d.pods(|d, t| (top * d.limit * (1.0 - (-t / tau).exp())).max(0.0))
    }),
    ("none", "three-levels", |d| {
        let mut at = [d.rng.f64(), d.rng.f64(), d.rng.f64()];
        at.sort_by(f64::total_cmp);
        let levels: Vec<f64> = (0..4).map(|i| d.size(["a", "b", "c", "e"][i], 0.0, 0.15)).collect();
        d.pods(move |_, t| levels[at.iter().filter(|a| **a * 0.8 < t).count()])
    }),
    ("none", "staggered-warm-up", |d| {
        let tau = d.of("tau", 0.03, 0.12);
        d.pods_from(0.5, |d, _, age| d.size("a", 0.08, 0.4) * (1.0 - (-age / tau).exp()))
    }),
    ("leak", "staircase", |d| {
        let every = d.of("every", 0.03, 0.12);
        d.pods(|d, t| d.growth() * (t / every).floor() * every)
    }),
    ("leak", "slow-collector-leak", |d| {
        let (period, phase) = (d.of("p", 0.02, 0.1), d.rng.f64());
        d.pods(|d, t| d.growth() * t + d.size("a", 0.03, 0.15) * (t / period + phase).fract())
    }),
    ("leak", "by-traffic", |d| {
        let base = d.start_h();
        d.pods(|d, t| {
            let angle = |t: f64| TAU * (base + t * d.hours) / 24.0;
            let (a0, a1) = (angle(0.0), angle(t));
            let load = t - 0.8 * (a1.cos() - a0.cos()) * 24.0 / TAU / d.hours;
            d.growth() * load + d.size("a", 0.01, 0.06) * a1.sin()
        })
    }),
    ("leak", "square-root", |d| d.pods(|d, t| d.growth() * t.sqrt())),
    ("leak", "power-0.7", |d| d.pods(|d, t| d.growth() * t.powf(0.7))),
    ("leak", "power-1.5", |d| d.pods(|d, t| d.growth() * t.powf(1.5))),
    ("leak", "exponential", |d| {
        d.pods(|d, t| {
            let k = d.of("k", 1.0, 2.5);
            d.growth() * ((k * t).exp() - 1.0) / (k.exp() - 1.0)
        })
    }),
    ("leak", "logarithm", |d| {
        d.pods(|d, t| {
            let k = d.of("k", 2.0, 12.0);
            d.growth() * (k * t).ln_1p() / k.ln_1p()
        })
    }),
    ("leak", "partly-freed", |d| {
        let (every, phase) = (d.of("every", 0.08, 0.25), d.rng.f64());
        d.pods(|d, t| {
            d.growth() * t + d.growth() * d.of("back", 0.3, 0.8) * every * (t / every + phase).fract() * 2.0
        })
    }),
    ("leak", "two-slopes", |d| {
        let (at, first) = (d.of("at", 0.3, 0.7), d.of("first", 0.3, 0.9));
        d.pods(|d, t| d.growth() * (first * t.min(at) / at + (1.0 - first) * (t - at).max(0.0) / (1.0 - at)))
    }),
    ("leak", "after-warm-up", |d| {
        let tau = d.of("tau", 0.01, 0.06);
        d.pods(|d, t| d.size("a", 0.03, 0.25) * (1.0 - (-t / tau).exp()) + d.growth() * t)
    }),
    ("leak", "late-start", |d| {
        let at = d.of("at", 0.15, 0.6);
        d.pods(|d, t| d.growth() * (t - at).max(0.0) / (1.0 - at))
    }),
    ("leak", "releases-leak", |d| d.releases(|_, _| 0.0, -1.0)),
    ("leak", "one-bad-replica", |d| {
        let bad = 0;
        let mut pods = d.pods(|_, _| 0.0);
        while pods.len() < 3 {
            pods.extend(d.pods(|_, _| 0.0));
        }
        let growth = d.growth().max(0.12 * d.limit);
        let n = pods[bad].values.len() as f64;
        for (i, v) in pods[bad].values.iter_mut().enumerate() {
            *v += growth * i as f64 / n;
        }
        pods
    }),
    ("leak", "oom-cycles", |d| {
        let cycle = d.of("cycle", 0.12, 0.45) * d.hours;
        let known = d.rng.bool();
        let rate = (d.limit - d.base) / cycle * d.step_h;
        let mut pods = d.pods(|_, _| 0.0);
        for pod in &mut pods {
            let mut grown = d.rng.f64() * (d.limit - d.base);
            let mut restarts = Vec::new();
            for (i, v) in pod.values.iter_mut().enumerate() {
                if *v + grown >= d.limit {
                    grown = 0.0;
                    restarts.push(pod.start + (i as f64 * d.step_h * 3600.0) as i64);
                }
                *v += grown;
                grown += rate;
            }
            pod.restarts = known.then_some(restarts);
        }
        pods
    }),
    ("leak", "wandering", |d| {
        let tau = d.of("tau", 1.0, 5.0);
        let growth = d.growth().max(0.1 * d.limit);
        let mut pods = d.wander(tau, 0.005, 0.015);
        for pod in &mut pods {
            let n = pod.values.len() as f64;
            pod.values.iter_mut().enumerate().for_each(|(i, v)| *v += growth * i as f64 / n);
        }
        pods
    }),
    ("none", "batch-runs", |d| d.batch()),
];

struct Pod {
    start: i64,
    values: Vec<f64>,
    restarts: Option<Vec<i64>>,
}

/// The numbers of one case. A number drawn under a name stays the same for the whole case.
struct Draw {
    rng: Rng,
    known: Vec<(&'static str, f64)>,
    hours: f64,
    step_h: f64,
    start: i64,
    base: f64,
    limit: f64,
    replicas: usize,
}

impl Draw {
    fn new(mut rng: Rng) -> Self {
        let days = [1.0, 3.0, 3.0, 7.0, 7.0, 14.0][rng.usize(0..6)];
        let step_s = [300.0, 300.0, 300.0, 60.0, 900.0][rng.usize(0..5)];
        let step_s = if days > 2.0 && step_s < 100.0 { 300.0 } else { step_s };
        let base = MI * 2.0_f64.powf(6.0 + 6.0 * rng.f64());
        let limit = base * (1.5 + 2.5 * rng.f64());
        let replicas = [1, 1, 1, 2, 3, 4, 8][rng.usize(0..7)];
        let start = 1_700_000_000 + rng.i64(0..30 * 86_400) / 60 * 60;
        Self {
            known: Vec::new(),
            hours: days * 24.0,
            step_h: step_s / 3600.0,
            start,
            base,
            limit,
            replicas,
            rng,
        }
    }
    /// A number of the case between two bounds.
    fn of(&mut self, name: &'static str, low: f64, high: f64) -> f64 {
        if let Some(known) = self.known.iter().find(|k| k.0 == name) {
            return known.1;
        }
        let value = low + (high - low) * self.rng.f64();
        self.known.push((name, value));
        value
    }
    /// Bytes as a share of the limit.
    fn size(&mut self, name: &'static str, low: f64, high: f64) -> f64 {
        self.of(name, low, high) * self.limit
    }
    /// Growth of a leak over the window, bytes.
    fn growth(&mut self) -> f64 {
        let low: f64 = if self.hours < 48.0 { 0.08 } else { 0.05 };
        let exponent = self.of("growth", low.ln(), 0.6_f64.ln());
        (exponent.exp() * self.limit).min(0.95 * self.limit - self.base)
    }
    fn start_h(&self) -> f64 {
        self.start as f64 / 3600.0
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt() * (TAU * self.rng.f64()).cos()
    }
    fn samples(&self) -> usize {
        (self.hours / self.step_h) as usize
    }

    /// All replicas over the whole window: `shape` of the place in the window, 0..=1, plus noise.
    fn pods(&mut self, mut shape: impl FnMut(&mut Self, f64) -> f64) -> Vec<Pod> {
        self.pods_from(0.0, |d, t, _| shape(d, t))
    }

    /// Replicas that start in the first part of the window; `shape` of the place in the window and of the age.
    fn pods_from(&mut self, latest: f64, mut shape: impl FnMut(&mut Self, f64, f64) -> f64) -> Vec<Pod> {
        let n = self.samples();
        let noise = Noise::draw(self);
        (0..self.replicas)
            .map(|_| {
                let from = (latest * self.rng.f64() * n as f64) as usize;
                let scale = 1.0 + 0.1 * (self.rng.f64() - 0.5);
                let mut hum = noise.clone();
                let values = (from..n)
                    .map(|i| {
                        let t = i as f64 / n as f64;
                        let grown = shape(self, t, t - from as f64 / n as f64);
                        self.base * scale + grown + hum.next(self, i)
                    })
                    .collect();
                let start = self.start + (from as f64 * self.step_h * 3600.0) as i64;
                let restarts = self.rng.bool().then(Vec::new);
                Pod { start, values, restarts }
            })
            .collect()
    }

    /// Memory that wanders about its level with a memory of `tau` hours.
    fn wander(&mut self, tau: f64, low: f64, high: f64) -> Vec<Pod> {
        let mut pods = self.pods(|_, _| 0.0);
        let amplitude = self.size("wander", low, high);
        let phi = (-self.step_h / tau).exp();
        for pod in &mut pods {
            let mut x = self.normal();
            for v in &mut pod.values {
                *v += amplitude * x;
                x = phi * x + (1.0 - phi * phi).sqrt() * self.normal();
            }
        }
        pods
    }

    /// Pods that are replaced at releases: each release has its level, and a warm-up (`kind` 1) or leak (-1).
    fn releases(&mut self, mut level: impl FnMut(&mut Self, f64) -> f64, kind: f64) -> Vec<Pod> {
        let n = self.samples();
        let releases = self.rng.usize(3..7);
        let mut cuts: Vec<usize> = (1..releases).map(|_| self.rng.usize(n / 20..n - n / 20)).collect();
        cuts.extend([0, n]);
        cuts.sort_unstable();
        let noise = Noise::draw(self);
        let longest = cuts.windows(2).map(|c| c[1] - c[0]).max().unwrap_or(n) as f64;
        let (tau, size) = (self.of("tau", 0.05, 0.2), self.size("w", 0.05, 0.25));
        let growth = self.growth().max(0.1 * self.limit);
        let mut pods = Vec::new();
        for (k, cut) in cuts.windows(2).enumerate().filter(|(_, c)| c[1] - c[0] > 12) {
            for _ in 0..self.replicas.min(3) {
                let base = self.base + level(self, k as f64);
                let mut hum = noise.clone();
                let values: Vec<f64> = (0..cut[1] - cut[0])
                    .map(|i| {
                        let age = i as f64 / longest;
                        let grown = if kind > 0.0 {
                            size * (1.0 - (-age / tau).exp())
                        } else if kind < 0.0 {
                            growth * age
                        } else {
                            0.0
                        };
                        base + grown + hum.next(self, cut[0] + i)
                    })
                    .collect();
                let start = self.start + (cut[0] as f64 * self.step_h * 3600.0) as i64;
                pods.push(Pod { start, values, restarts: Some(Vec::new()) });
            }
        }
        pods
    }

    /// Jobs or runners in lanes: a pod climbs while it works and ends when the work is done, then another takes the lane.
    fn batch(&mut self) -> Vec<Pod> {
        let n = self.samples();
        let noise = Noise::draw(self);
        let longest = 0.15 * n as f64;
        let lasts = self.of("lasts", 0.03_f64.ln(), 0.15_f64.ln()).exp() * n as f64;
        let room = 0.8 * self.limit - self.base;
        let peak = room * self.of("peak", 0.2, 1.0);
        let bend = self.of("bend", 0.4, 1.3);
        // Work that is always of one size, or of as much size as it lasts.
        let fixed = self.rng.bool();
        // At most as long as the longest run.
        let spread = self.of("spread", 0.1, 0.4);
        let idle = self.of("idle", 0.1, 1.0) * lasts;
        let mut pods = Vec::new();
        for _ in 0..self.replicas {
            let mut from = (lasts * self.rng.f64()) as usize;
            loop {
                let share = 1.0 + spread * (2.0 * self.rng.f64() - 1.0);
                let len = (lasts * share).min(longest);
                if len < 12.0 || from + 12 > n {
                    break;
                }
                let top = peak * if fixed { 1.0 + 0.1 * (self.rng.f64() - 0.5) } else { share };
                let base = self.base * (1.0 + 0.02 * (self.rng.f64() - 0.5));
                let mut hum = noise.clone();
                let values: Vec<f64> = (0..(len as usize).min(n - from))
                    .map(|i| base + top * (i as f64 / len).powf(bend) + hum.next(self, from + i))
                    .collect();
                let start = self.start + (from as f64 * self.step_h * 3600.0) as i64;
                pods.push(Pod { start, values, restarts: Some(Vec::new()) });
                from += (len + 2.0 + idle * 2.0 * self.rng.f64()) as usize;
            }
        }
        pods
    }
}

/// What every process does beside its story: jitter, wandering, time of day, spikes.
#[derive(Clone)]
struct Noise {
    white: f64,
    wander: f64,
    phi: f64,
    day: f64,
    phase: f64,
    spikes: f64,
    spike: f64,
    state: f64,
}

impl Noise {
    fn draw(d: &mut Draw) -> Self {
        let scale = 0.3 * d.limit;
        let level = 10.0_f64.powf(-3.0 + 1.5 * d.rng.f64());
        Self {
            white: scale * level,
            wander: scale * level * d.rng.f64() * 1.5,
            phi: (-d.step_h / (0.1 + 2.0 * d.rng.f64())).exp(),
            day: if d.rng.f64() < 0.5 { scale * 0.12 * d.rng.f64() } else { 0.0 },
            phase: d.start_h() + 24.0 * d.rng.f64(),
            spikes: if d.rng.f64() < 0.3 { 0.01 * d.rng.f64() } else { 0.0 },
            spike: scale * 0.5 * d.rng.f64(),
            state: 0.0,
        }
    }
    /// The sample at a place of the window.
    fn next(&mut self, d: &mut Draw, i: usize) -> f64 {
        self.state = self.phi * self.state + (1.0 - self.phi * self.phi).sqrt() * d.normal();
        let hour = self.phase + i as f64 * d.step_h;
        let spike = if d.rng.f64() < self.spikes { self.spike * d.rng.f64() } else { 0.0 };
        self.white * d.normal() + self.wander * self.state + self.day * (TAU * hour / 24.0).sin() + spike
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (mut seed, mut count, mut out) = (1_u64, 60_usize, None);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg}: a value is missing"));
        match arg.as_str() {
            "--seed" => seed = value()?.parse()?,
            "--per-family" => count = value()?.parse()?,
            "--out" => out = Some(value()?),
            _ => return Err(format!("unknown option `{arg}`; expected --seed, --per-family or --out").into()),
        }
    }
    let out = out.ok_or("--out NAME is missing")?;
    let writer = |part: &str| -> Result<_, Box<dyn Error>> {
        let file = File::create(format!("{out}.{part}.ndjson.gz"))?;
        Ok(GzEncoder::new(BufWriter::new(file), Compression::fast()))
    };
    let (mut inputs, mut labels) = (writer("inputs")?, writer("labels")?);
    for (f, (label, family, story)) in FAMILIES.iter().enumerate() {
        for k in 0..count {
            let rng = Rng::with_seed(seed.wrapping_mul(1_000_003) ^ ((f as u64) << 32) ^ k as u64);
            let mut draw = Draw::new(rng);
            let mut pods = story(&mut draw);
            let gaps = draw.rng.f64() < 0.15;
            let (no_limit, no_log) = (draw.rng.f64() < 0.12, draw.rng.f64() < 0.4);
            let id = format!("{family}-{k}");
            let series: Vec<Value> = pods
                .iter_mut()
                .enumerate()
                .map(|(p, pod)| {
                    let mut values: Vec<Value> =
                        pod.values.iter().map(|v| json!(v.clamp(0.0, draw.limit).round())).collect();
                    if gaps {
                        let (from, len) =
                            (draw.rng.usize(0..values.len()), draw.rng.usize(0..values.len() / 8 + 1));
                        values.iter_mut().skip(from).take(len).for_each(|v| *v = Value::Null);
                    }
                    let mut line =
                        json!({"pod": format!("app-{p}"), "start_unix": pod.start, "values": values});
                    if let Some(restarts) = pod.restarts.as_ref().filter(|_| !no_log) {
                        line["restarts_unix"] = json!(restarts);
                    }
                    line
                })
                .collect();
            let end = draw.start + ((draw.samples() - 1) as f64 * draw.step_h * 3600.0) as i64;
            let case = json!({
                "id": id, "step_s": (draw.step_h * 3600.0).round(), "start_unix": draw.start, "end_unix": end,
                "limit_bytes": if no_limit { Value::Null } else { json!(draw.limit.round()) },
                "request_bytes": (draw.base * 1.2).round(), "series": series,
            });
            writeln!(inputs, "{case}")?;
            let label = json!({"id": id, "label": label, "family": family, "window_h": draw.hours});
            writeln!(labels, "{label}")?;
        }
    }
    inputs.finish()?.flush()?;
    labels.finish()?.flush()?;
    Ok(())
}
