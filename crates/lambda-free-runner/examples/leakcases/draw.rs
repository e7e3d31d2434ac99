//! The numbers of a case, drawn from wide ranges, and what every process does beside its story.

use std::f64::consts::TAU;

use fastrand::Rng;

/// Bytes of a mebibyte.
const MI: f64 = 1024.0 * 1024.0;

/// Memory of one pod.
pub(super) struct Pod {
    /// Unix time of the first value.
    pub(super) start: i64,
    /// Bytes, one a step.
    pub(super) values: Vec<f64>,
    /// Unix times of restarts; none when there is no log.
    pub(super) restarts: Option<Vec<i64>>,
    /// Load, one a step; none when it is not known.
    pub(super) load: Option<Vec<f64>>,
}

/// The numbers of one case. A number drawn under a name stays the same for the whole case.
pub(super) struct Draw {
    pub(super) rng: Rng,
    known: Vec<(&'static str, f64)>,
    pub(super) hours: f64,
    pub(super) step_h: f64,
    pub(super) start: i64,
    pub(super) base: f64,
    pub(super) limit: f64,
    pub(super) replicas: usize,
    /// Whether the story needs its restart log.
    pub(super) logged: bool,
}

impl Draw {
    pub(super) fn new(mut rng: Rng) -> Self {
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
            logged: false,
            rng,
        }
    }
    /// A number of the case between two bounds.
    pub(super) fn of(&mut self, name: &'static str, low: f64, high: f64) -> f64 {
        if let Some(known) = self.known.iter().find(|k| k.0 == name) {
            return known.1;
        }
        let value = low + (high - low) * self.rng.f64();
        self.known.push((name, value));
        value
    }
    /// Bytes as a share of the limit.
    pub(super) fn size(&mut self, name: &'static str, low: f64, high: f64) -> f64 {
        self.of(name, low, high) * self.limit
    }
    /// Growth of a leak over the window, bytes.
    pub(super) fn growth(&mut self) -> f64 {
        let low: f64 = if self.hours < 48.0 { 0.08 } else { 0.05 };
        let exponent = self.of("growth", low.ln(), 0.6_f64.ln());
        (exponent.exp() * self.limit).min(0.95 * self.limit - self.base)
    }
    pub(super) fn start_h(&self) -> f64 {
        self.start as f64 / 3600.0
    }
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt() * (TAU * self.rng.f64()).cos()
    }
    pub(super) fn samples(&self) -> usize {
        (self.hours / self.step_h) as usize
    }

    /// All replicas over the whole window: `shape` of the place in the window, 0..=1, plus noise.
    pub(super) fn pods(&mut self, mut shape: impl FnMut(&mut Self, f64) -> f64) -> Vec<Pod> {
        self.pods_from(0.0, |d, t, _| shape(d, t))
    }

    /// Replicas that start in the first part of the window; `shape` of the place in the window and of the age.
    pub(super) fn pods_from(
        &mut self,
        latest: f64,
        mut shape: impl FnMut(&mut Self, f64, f64) -> f64,
    ) -> Vec<Pod> {
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
                Pod { start, values, restarts, load: None }
            })
            .collect()
    }

    /// Memory that wanders about its level with a memory of `tau` hours.
    pub(super) fn wander(&mut self, tau: f64, low: f64, high: f64) -> Vec<Pod> {
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
    pub(super) fn releases(&mut self, mut level: impl FnMut(&mut Self, f64) -> f64, kind: f64) -> Vec<Pod> {
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
                pods.push(Pod { start, values, restarts: Some(Vec::new()), load: None });
            }
        }
        pods
    }

    /// Jobs or runners in lanes: a pod climbs while it works and ends when the work is done, then another takes the lane.
    pub(super) fn batch(&mut self) -> Vec<Pod> {
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
                pods.push(Pod { start, values, restarts: Some(Vec::new()), load: None });
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
