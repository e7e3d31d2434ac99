//! Families that are shapes: what a curve may look like, and whether it ends.

use std::f64::consts::TAU;

use super::draw::{Draw, Pod};

/// A family: label, name, and how one case of it is drawn.
pub(super) type Family = (&'static str, &'static str, fn(&mut Draw) -> Vec<Pod>);

pub(super) const SHAPES: [Family; 37] = [
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
        // Far from the limit, as above.
        let high = d.size("a", 0.1, 0.4).min(0.78 * d.limit - d.base);
        let mean = d.of("fill", 0.04, 0.2) * d.hours;
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
