//! Families that are stories of production: what services do, and what it makes of their memory.
//!
//! They were written before the detector had seen any of them.

use std::f64::consts::TAU;

use super::draw::{Draw, Pod};
use super::shapes::Family;

pub(super) const PRODUCTION: [Family; 32] = [
    // A log file in the page cache of the working set; it is cut at a size, and grows with traffic.
    ("none", "log-rotation", |d| {
        let (mut filled, pace, day) = (d.rng.f64(), d.of("p", 0.05, 0.3) * d.hours, d.of("day", 0.0, 0.7));
        let saw: Vec<f64> = (0..d.samples())
            .map(|i| {
                let angle = TAU * (d.start_h() + i as f64 * d.step_h) / 24.0;
                filled = (filled + d.step_h / pace * (1.0 + day * angle.sin())).fract();
                filled
            })
            .collect();
        let top = (0.78 * d.limit - d.base) * d.of("a", 0.1, 0.9);
        d.follow(&saw, top)
    }),
    // Files that a backup reads stay in the cache, and are reclaimed over the day.
    ("none", "nightly-backup", |d| {
        let (at, lasts) = (d.of("at", 0.0, 24.0), d.of("lasts", 0.5, 3.0));
        let (fade, base) = (d.of("fade", 1.5, 10.0), d.start_h());
        d.pods(|d, t| {
            let since = (base + t * d.hours - at).rem_euclid(24.0);
            let left = if since < lasts { since / lasts } else { (-(since - lasts) / fade).exp() };
            d.size("a", 0.05, 0.35) * left
        })
    }),
    // Connections are opened when more are needed than ever before, up to the size of the pool.
    ("none", "connection-pool", |d| {
        let (count, until) = (d.of("n", 5.0, 40.0) as usize, d.of("until", 0.2, 0.65));
        let at: Vec<f64> = d.places(count, 0.0, until);
        d.pods(|d, t| {
            let open = at.iter().filter(|a| **a < t).count() as f64;
            d.size("a", 0.05, 0.35) * open / count as f64
        })
    }),
    // Compiled code is added ever more rarely until the reserved cache is full.
    ("none", "code-cache", |d| {
        let (until, k) = (d.of("until", 0.15, 0.6), d.of("k", 3.0, 60.0));
        d.pods(|d, t| d.size("a", 0.04, 0.25) * (k * t.min(until)).ln_1p() / (k * until).ln_1p())
    }),
    // Every peak leaves fragments in the arenas, each time fewer.
    ("none", "arena-plateau", |d| {
        let (every, left) = (d.of("every", 0.05, 0.13), d.of("left", 0.3, 0.6));
        let phase = d.rng.f64();
        d.pods(|d, t| {
            let peaks = (t / every + phase).floor();
            d.size("a", 0.04, 0.3) * (1.0 - left.powf(peaks))
        })
    }),
    // More users every week; the load is known.
    ("none", "traffic-growth-known", |d| d.traffic(true)),
    // The same, and nobody tells the load.
    ("ambiguous", "traffic-growth", |d| d.traffic(false)),
    // Traffic is moved to the new release in portions, each with a warm-up.
    ("none", "canary-ramp", |d| {
        let from = d.of("from", 0.02, 0.2);
        let wait = d.of("wait", 0.03, 0.11);
        let warm = d.of("warm", 0.1, 0.6) * wait;
        d.pods(|d, t| {
            let parts = [0.05, 0.2, 0.25, 0.5].iter().enumerate();
            let reached: f64 = parts
                .map(|(k, part)| part * (1.0 - (-(t - from - k as f64 * wait).max(0.0) / warm).exp()))
                .sum();
            d.size("a", 0.08, 0.4) * reached
        })
    }),
    // Flushes, compactions and, now and then, a large one, beside a block cache that has its size.
    ("none", "lsm-compaction", |d| {
        let (flush, big) = (d.of("flush", 0.5, 4.0), d.of("big", 3.0, 12.0));
        let (mut small, mut large, mut stop) = (d.rng.f64(), d.rng.f64(), 1.0);
        let saw: Vec<f64> = (0..d.samples())
            .map(|_| {
                small += d.step_h / flush;
                if small >= 1.0 {
                    small = 0.0;
                    large += (0.5 + d.rng.f64()) / big;
                }
                if large >= stop {
                    (large, stop) = (0.2 * d.rng.f64(), 0.8 + 0.4 * d.rng.f64());
                }
                0.3 * small + 0.7 * large
            })
            .collect();
        let high = (0.78 * d.limit - d.base) * d.of("a", 0.1, 0.7);
        d.follow(&saw, high)
    }),
    // One to three customers are taken on, and nobody else.
    ("none", "tenants", |d| {
        let count = d.rng.usize(1..4);
        let at = d.places(count, 0.05, 0.7);
        let each: Vec<f64> = (0..count).map(|_| d.rng.f64()).collect();
        d.pods(|d, t| {
            let load: f64 = at.iter().zip(&each).filter(|(a, _)| **a < t).map(|(_, e)| e).sum();
            d.size("a", 0.05, 0.2) * load
        })
    }),
    // The page cache fills evenly until the kernel reclaims at the limit.
    ("none", "page-cache", |d| {
        let (full, saw) = (d.of("full", 0.08, 0.6), d.of("saw", 0.005, 0.03));
        let top = d.of("top", 0.9, 0.985) * d.limit - d.base;
        let every = d.of("every", 0.3, 4.0);
        d.pods(|d, t| {
            let reclaim = saw * d.limit * (t * d.hours / every).fract();
            top * (t / full).min(1.0) - if t > full { reclaim } else { 0.0 }
        })
    }),
    // Restarted on a schedule, far from the limit; every process warms up.
    ("none", "scheduled-restart", |d| {
        let every = d.of("every", 0.22, 0.48);
        let phase = d.rng.f64();
        let warm = d.of("warm", 0.02, 0.2) * every;
        let mut pods = d.pods(|d, t| {
            let age = (t / every + phase).fract() * every;
            d.size("a", 0.05, 0.3) * (1.0 - (-age / warm).exp())
        });
        let cuts: Vec<i64> = (1..6)
            .map(|k| ((f64::from(k) - phase) * every * d.hours * 3600.0) as i64)
            .filter(|at| (*at as f64) < d.hours * 3600.0)
            .collect();
        for pod in &mut pods {
            pod.restarts = d.rng.bool().then(|| cuts.iter().map(|at| pod.start + at).collect());
        }
        pods
    }),
    // Two states, such as leader and follower, at random times.
    ("none", "two-states", |d| {
        let stay = d.of("stay", 0.05, 0.35) * d.hours;
        let mut on = d.rng.bool();
        let state: Vec<f64> = (0..d.samples())
            .map(|_| {
                on ^= d.rng.f64() < d.step_h / stay;
                f64::from(u8::from(on))
            })
            .collect();
        let a = d.size("a", 0.04, 0.3);
        d.follow(&state, a)
    }),
    // Pods come and go with the load, as an autoscaler wants it; each warms up and serves.
    ("none", "autoscaled", |d| d.autoscaled(0.0)),
    // The heap of a Go or Java process is a multiple of what lives, which follows the load.
    ("none", "paced-heap", |d| {
        let (period, room) = (d.of("p", 0.2, 3.0), d.of("room", 0.3, 1.0));
        let base = d.start_h();
        d.pods(|d, t| {
            let hour = base + t * d.hours;
            let live = d.size("a", 0.05, 0.2) * (1.0 + 0.6 * (TAU * hour / 24.0).sin());
            live * (1.0 + room * (hour / period).fract())
        })
    }),
    // A customer's closing of the books: a slow rise to another level in the second half.
    ("none", "late-plateau", |d| {
        let (to, lasts) = (d.of("to", 0.5, 0.72), d.of("lasts", 0.05, 0.35));
        d.pods(|d, t| d.size("a", 0.05, 0.35) * ((t - to) / lasts + 1.0).clamp(0.0, 1.0))
    }),
    // One replica takes over from another.
    ("none", "fail-over", |d| {
        let (at, warm) = (d.of("at", 0.1, 0.7), d.of("warm", 0.005, 0.05));
        let size = d.size("a", 0.05, 0.3);
        d.replicas = d.replicas.max(2);
        let mut pods = d.pods(|_, _| 0.0);
        for (p, pod) in pods.iter_mut().enumerate() {
            let n = pod.values.len() as f64;
            for (i, v) in pod.values.iter_mut().enumerate() {
                let taken = 1.0 - (-(i as f64 / n - at).max(0.0) / warm).exp();
                *v += size * if p == 0 { 1.0 - taken } else { taken };
            }
        }
        pods
    }),
    // Imports and reports inside the service: memory climbs while they run and is given back.
    ("none", "long-work", |d| {
        let count = d.rng.usize(1..6);
        let at = d.places(count, 0.0, 0.85);
        let lasts = d.of("lasts", 0.03, 0.13);
        d.pods(|d, t| {
            let run = |from: &f64| if (0.0..lasts).contains(&(t - from)) { (t - from) / lasts } else { 0.0 };
            d.size("a", 0.05, 0.35) * at.iter().map(run).fold(0.0, f64::max)
        })
    }),
    // A model or a rule set is loaded anew from time to time, and has another size each time.
    ("none", "reloads", |d| {
        let every = d.of("every", 0.04, 0.2) * d.samples() as f64;
        let (mut level, mut next) = (d.rng.f64(), every * d.rng.f64());
        let levels: Vec<f64> = (0..d.samples())
            .map(|i| {
                if i as f64 >= next {
                    level = d.rng.f64();
                    next += every * (0.5 + d.rng.f64());
                }
                level
            })
            .collect();
        let a = d.size("a", 0.05, 0.25);
        d.follow(&levels, a)
    }),
    // A backlog that builds up and drains; it cannot be less than nothing.
    ("none", "backlog", |d| {
        let tau = d.of("tau", 0.01, 0.08) * d.hours;
        let mut queue = 0.0_f64;
        let levels: Vec<f64> = (0..d.samples())
            .map(|_| {
                let dt = d.step_h / tau;
                queue = (queue - dt + (2.0 * dt).sqrt() * d.normal()).max(0.0);
                queue
            })
            .collect();
        let a = d.size("a", 0.01, 0.06);
        d.follow(&levels, a)
    }),
    // Fills quickly, then entries expire: above its level at first.
    ("none", "overshoot", |d| {
        let (fill, expire) = (d.of("fill", 0.005, 0.04), d.of("expire", 0.05, 0.3));
        let back = d.of("back", 0.1, 0.7);
        d.pods(|d, t| {
            d.size("a", 0.05, 0.35) * (1.0 - (-t / fill).exp() - back * (1.0 - (-t / expire).exp()))
        })
    }),
    // A class loader stays behind at each reload of the application, which the process survives.
    ("leak", "hot-redeploy", |d| {
        let count = d.rng.usize(6..20);
        let at = d.places(count, 0.0, 1.0);
        d.pods(|d, t| d.growth() * at.iter().filter(|a| **a < t).count() as f64 / count as f64)
    }),
    // It grows while people work, and stands still at night.
    ("leak", "under-load", |d| {
        let (open, lasts) = (d.of("open", 0.0, 24.0), d.of("lasts", 7.0, 14.0));
        let grown = d.cumulated(|hour| f64::from(u8::from((hour - open).rem_euclid(24.0) < lasts)));
        let growth = d.growth();
        d.follow(&grown, growth)
    }),
    // A nightly job leaves something behind; shorter windows have a job that runs more often.
    ("leak", "by-nightly-job", |d| {
        let every = if d.hours < 100.0 { d.of("every", 0.06, 0.16) * d.hours } else { 24.0 };
        let (at, lasts) = (d.rng.f64() * every, d.of("lasts", 0.02, 0.12) * every);
        let base = d.start_h();
        d.pods(|d, t| {
            let hours = base + t * d.hours - at;
            let jobs = (hours / every).floor() - ((base - at) / every).floor();
            let runs = f64::from(u8::from(hours.rem_euclid(every) < lasts));
            d.growth() * jobs * every / d.hours + d.size("job", 0.0, 0.15) * runs
        })
    }),
    // One replica of many begins to leak inside the window.
    ("leak", "one-late-replica", |d| {
        let at = d.of("at", 0.1, 0.5);
        d.replicas = d.rng.usize(4..13);
        let mut pods = d.pods(|_, _| 0.0);
        let bad = d.rng.usize(0..pods.len());
        let (growth, n) = (d.growth().max(0.15 * d.limit), pods[bad].values.len() as f64);
        for (i, v) in pods[bad].values.iter_mut().enumerate() {
            *v += growth * (i as f64 / n - at).max(0.0) / (1.0 - at);
        }
        pods
    }),
    // The floor of a paced heap rises, and with it its swing.
    ("leak", "paced-heap-leak", |d| {
        let (period, room) = (d.of("p", 0.2, 3.0), d.of("room", 0.3, 1.0));
        let phase = d.rng.f64();
        d.pods(|d, t| {
            let live = d.size("a", 0.05, 0.15) + d.growth() / (1.0 + room) * t;
            live * (1.0 + room * (t * d.hours / period + phase).fract())
        })
    }),
    // A line under a heavy load of days and of the working week.
    ("leak", "heavy-load", |d| {
        let base = d.start_h();
        d.pods(|d, t| {
            let hour = base + t * d.hours;
            let weekday = (hour / 24.0 + 4.0).rem_euclid(7.0);
            let open = if (1.0..6.0).contains(&weekday) { 1.0 } else { 0.5 };
            let day = 0.5 + 0.5 * (TAU * (hour - 9.0) / 24.0).sin();
            d.growth().max(0.1 * d.limit) * t + d.size("a", 0.05, 0.2) * open * day
        })
    }),
    // Fragments of unequal size stay behind at random.
    ("leak", "fragments", |d| {
        let (rate, mut sum) = (d.of("rate", 1.0, 10.0), 0.0);
        let grown: Vec<f64> = (0..d.samples())
            .map(|_| {
                if d.rng.f64() < rate * d.step_h {
                    sum += -(1.0 - d.rng.f64()).ln();
                }
                sum
            })
            .collect();
        let growth = d.growth() / sum.max(1.0);
        d.follow(&grown, growth)
    }),
    // Connections leak in incidents, which come again and again.
    ("leak", "incidents", |d| {
        let count = d.rng.usize(6..15);
        let at = d.places(count, 0.0, 0.97);
        let lasts = d.of("lasts", 0.01, 0.05);
        d.pods(|d, t| {
            let part = |from: &f64| ((t - from) / lasts).clamp(0.0, 1.0);
            d.growth() * at.iter().map(part).sum::<f64>() / count as f64
        })
    }),
    // Restarted on a schedule, which hides that it leaks. Without the log it would look like a slow collector.
    ("leak", "restarts-hide-it", |d| {
        let every = d.of("every", 0.2, 0.48);
        let phase = d.rng.f64();
        let room = 0.85 * d.limit - d.base;
        let mut pods = d.pods(|d, t| {
            let most = (0.1 * d.limit).min(room);
            d.growth().clamp(most, room) * (t / every + phase).fract()
        });
        for pod in &mut pods {
            let at = (1..6).map(|k| ((f64::from(k) - phase) * every * d.hours * 3600.0) as i64);
            let end = d.hours * 3600.0;
            pod.restarts = Some(at.filter(|at| (*at as f64) < end).map(|at| pod.start + at).collect());
        }
        d.logged = true;
        pods
    }),
    // Pods of an autoscaler that leak for as long as they live.
    ("leak", "autoscaled-leak", |d| d.autoscaled(1.0)),
    // Slower and slower, below daily load.
    ("leak", "slowing-under-load", |d| {
        let (power, base) = (d.of("power", 0.5, 0.8), d.start_h());
        d.pods(|d, t| {
            let angle = TAU * (base + t * d.hours) / 24.0;
            d.growth().max(0.08 * d.limit) * t.powf(power) + d.size("a", 0.02, 0.08) * angle.sin()
        })
    }),
];

impl Draw {
    /// Places in order.
    fn places(&mut self, count: usize, from: f64, to: f64) -> Vec<f64> {
        let mut places: Vec<f64> = (0..count).map(|_| from + (to - from) * self.rng.f64()).collect();
        places.sort_unstable_by(f64::total_cmp);
        places
    }

    /// All replicas follow one curve, given sample by sample.
    pub(super) fn follow(&mut self, curve: &[f64], size: f64) -> Vec<Pod> {
        let n = curve.len() as f64;
        self.pods(|_, t| size * curve[((t * n).round() as usize).min(curve.len() - 1)])
    }

    /// The sum of what happens at each hour of the day, 1 at the end.
    pub(super) fn cumulated(&mut self, at: impl Fn(f64) -> f64) -> Vec<f64> {
        let mut sum = 0.0;
        let hours = (0..self.samples()).map(|i| self.start_h() + i as f64 * self.step_h);
        let mut sums: Vec<f64> = hours
            .map(|hour| {
                sum += at(hour);
                sum
            })
            .collect();
        let all = sum.max(1.0);
        sums.iter_mut().for_each(|v| *v /= all);
        sums
    }

    /// Sessions of more and more users, each with its memory.
    fn traffic(&mut self, known: bool) -> Vec<Pod> {
        let (more, day) = (self.of("more", 0.1, 0.6), self.of("day", 0.1, 0.6));
        let phase = self.of("phase", 0.0, 24.0);
        let n = self.samples();
        let load: Vec<f64> = (0..n)
            .map(|i| {
                let hour = self.start_h() + i as f64 * self.step_h - phase;
                let users = (1.0 + more * i as f64 / n as f64) * (1.0 + day * (TAU * hour / 24.0).sin());
                users * (1.0 + 0.03 * self.normal())
            })
            .collect();
        let each = self.size("each", 0.05, 0.2);
        let mut pods = self.follow(&load, each);
        for pod in &mut pods {
            pod.load = known.then(|| load.iter().map(|users| 100.0 * users).collect());
        }
        pods
    }

    /// Some pods are always there, others at the busy hours only. Each warms up; `leaks` says how much it leaks.
    fn autoscaled(&mut self, leaks: f64) -> Vec<Pod> {
        self.replicas = self.rng.usize(1..4);
        let mut pods = self.pods(|_, _| 0.0);
        let n = self.samples();
        let noise = pods[0].values.clone();
        let day = (24.0 / self.step_h).min(0.3 * n as f64);
        for k in 0..(n as f64 / day).ceil() as usize {
            for _ in 0..self.rng.usize(1..4) {
                let from = ((k as f64 + 0.2 + 0.2 * self.rng.f64()) * day) as usize;
                let to = ((k as f64 + 0.6 + 0.3 * self.rng.f64()) * day) as usize;
                if from + 12 < to.min(n) {
                    let start = self.start + (from as f64 * self.step_h * 3600.0) as i64;
                    let values = noise[from..to.min(n)].to_vec();
                    pods.push(Pod { start, values, restarts: Some(Vec::new()), load: None });
                }
            }
        }
        let (warm, size) = (self.of("warm", 0.1, 2.0), self.size("w", 0.03, 0.2));
        let growth = leaks * self.growth().max(0.1 * self.limit) / n as f64;
        for pod in &mut pods {
            for (i, v) in pod.values.iter_mut().enumerate() {
                let age = i as f64;
                *v += size * (1.0 - (-age * self.step_h / warm).exp()) + growth * age;
            }
        }
        pods
    }
}
