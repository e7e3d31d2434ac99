//! Families of operations: runtimes, stores, daily releases, changed limits, gaps and coarse or short windows.
//!
//! They were run once before anything was changed because of them; that first sight is in docs/leak-detection.md.

use std::f64::consts::TAU;

use super::draw::{Draw, Pod};
use super::shapes::Family;

pub(super) const OPERATIONS: [Family; 12] = [
    // A generational heap: young collections in minutes, mixed ones in hours, and an old generation that is expanded in
    // portions until it is as large as it needs to be.
    ("none", "generations", |d| {
        let (young, mixed) = (d.of("young", 0.1, 0.6), d.of("mixed", 2.0, 10.0).min(0.12 * d.hours));
        let (until, portions) = (d.of("until", 0.05, 0.5), d.of("portions", 2.0, 6.0).floor());
        d.pods(|d, t| {
            let hour = t * d.hours;
            let old = d.size("old", 0.05, 0.25) * ((t / until * portions).ceil() / portions).min(1.0);
            let promoted = d.size("promoted", 0.02, 0.1) * (hour / mixed).fract();
            old + promoted + d.size("eden", 0.02, 0.1) * (hour / young).fract()
        })
    }),
    // A store fills with the traffic of the day until it evicts; each dump to disk copies pages for some minutes.
    ("none", "evicting-store", |d| {
        let (until, dump) = (d.of("until", 0.1, 0.68), d.of("dump", 1.0, 6.0));
        let (swing, phase) = (d.of("swing", 0.0, 0.8), d.of("phase", 0.0, 24.0));
        let written = d.cumulated(|hour| 1.0 + swing * (TAU * (hour - phase) / 24.0).sin());
        let full = written[((until * written.len() as f64) as usize).min(written.len() - 1)];
        let copied = d.size("copied", 0.0, 0.1);
        let size = d.size("a", 0.1, 0.5);
        let step_h = d.step_h;
        let curve: Vec<f64> = written
            .iter()
            .enumerate()
            .map(|(i, w)| {
                let dumps = (i as f64 * step_h / dump).fract() < 0.08;
                (w / full).min(1.0) + if dumps { copied / size } else { 0.0 }
            })
            .collect();
        d.follow(&curve, size)
    }),
    // Sessions that expire: after a login page goes live they build up for as long as one lasts, and follow the day.
    ("none", "expiring-sessions", |d| {
        let (from, lasts) = (d.of("from", 0.0, 0.3), d.of("lasts", 0.05, 0.4) * d.hours);
        let (swing, phase) = (d.of("swing", 0.0, 0.9), d.of("phase", 0.0, 24.0));
        let (n, step_h) = (d.samples(), d.step_h);
        let logins: Vec<f64> = (0..n)
            .map(|i| {
                let hour = d.start_h() + i as f64 * step_h - phase;
                let live = i as f64 >= from * n as f64;
                if live { 1.0 + swing * (TAU * hour / 24.0).sin() } else { 0.0 }
            })
            .collect();
        let keep = (lasts / step_h).max(1.0) as usize;
        let mut open = 0.0;
        let curve: Vec<f64> = (0..n)
            .map(|i| {
                open += logins[i] - if i >= keep { logins[i - keep] } else { 0.0 };
                open / keep as f64
            })
            .collect();
        let size = d.size("a", 0.05, 0.3);
        d.follow(&curve, size)
    }),
    // A release every day: each process warms up for hours, and its successor anew.
    ("none", "daily-release", |d| {
        let (warm, size) = (d.of("warm", 0.5, 5.0), d.size("a", 0.05, 0.3));
        d.daily(|age| size * (1.0 - (-age / warm).exp()))
    }),
    // Scratch files on a tmpfs: written one by one, deleted together with the work that wrote them.
    ("none", "scratch-files", |d| {
        let (stay, many) = (d.of("stay", 0.01, 0.06) * d.hours, d.of("many", 1.5, 8.0));
        let (mut files, step_h): (Vec<(f64, f64)>, f64) = (Vec::new(), d.step_h);
        let curve: Vec<f64> = (0..d.samples())
            .map(|_| {
                if d.rng.f64() < many * step_h / stay {
                    let lasts = -stay * (1.0 - d.rng.f64()).ln();
                    files.push((0.3 + d.rng.f64(), lasts.min(4.0 * stay)));
                }
                files.iter_mut().for_each(|file| file.1 -= step_h);
                files.retain(|file| file.1 > 0.0);
                files.iter().map(|file| file.0).sum::<f64>() / many
            })
            .collect();
        let size = d.size("a", 0.02, 0.12);
        d.follow(&curve, size)
    }),
    // Two to twelve hours after a start: a warm-up, then traffic that goes up and down.
    ("none", "first-hours", |d| {
        d.hours = [2.0, 4.0, 6.0, 12.0][d.rng.usize(0..4)];
        d.step_h = [15.0, 30.0, 60.0][d.rng.usize(0..3)] / 3600.0;
        let (warm, tau) = (d.of("warm", 0.02, 0.2), d.of("tau", 0.02, 0.1) * d.hours);
        let mut pods = d.wander(tau, 0.002, 0.02);
        let size = d.size("a", 0.05, 0.4);
        for pod in &mut pods {
            let n = pod.values.len() as f64;
            pod.values
                .iter_mut()
                .enumerate()
                .for_each(|(i, v)| *v += size * (1.0 - (-(i as f64) / n / warm).exp()));
        }
        pods
    }),
    // A cache of everything ever asked for: of the keys that people ask for ever fewer are new, without end.
    ("leak", "every-key-kept", |d| {
        let (power, swing) = (d.of("power", 0.6, 0.9), d.of("swing", 0.0, 0.8));
        let phase = d.of("phase", 0.0, 24.0);
        let asked = d.cumulated(|hour| 1.0 + swing * (TAU * (hour - phase) / 24.0).sin());
        let curve: Vec<f64> = asked.iter().map(|a| a.powf(power)).collect();
        let growth = d.growth();
        d.follow(&curve, growth)
    }),
    // Routines that wait for ever: each time-out at busy hours leaves some, and the collector lets the heap be twice as
    // large as what lives.
    ("leak", "stuck-routines", |d| {
        let (from, lasts) = (d.of("from", 0.0, 24.0), d.of("lasts", 6.0, 16.0));
        let quiet = d.of("quiet", 0.1, 0.7);
        let leaked = d.cumulated(|hour| if (hour - from).rem_euclid(24.0) < lasts { 1.0 } else { quiet });
        let (growth, live) = (d.growth(), d.size("live", 0.03, 0.1));
        let (pace, room) = (d.of("pace", 0.1, 2.0), d.of("room", 0.3, 1.0));
        let step_h = d.step_h;
        let curve: Vec<f64> = leaked
            .iter()
            .enumerate()
            .map(|(i, l)| {
                (live + growth * l / (1.0 + room)) * (1.0 + room * (i as f64 * step_h / pace).fract())
            })
            .collect();
        d.follow(&curve, 1.0)
    }),
    // The sink of the logs is gone since some hour; what should be sent is kept, as much as the day writes.
    ("leak", "unsent-logs", |d| {
        let at = d.of("at", 0.0, 0.5);
        let (swing, phase) = (d.of("swing", 0.0, 0.7), d.of("phase", 0.0, 24.0));
        let from = d.start_h() + at * d.hours;
        let n = d.samples() as f64;
        let (start, step_h) = (d.start_h(), d.step_h);
        let kept: Vec<f64> = d.cumulated(|hour| 1.0 + swing * (TAU * (hour - phase) / 24.0).sin());
        let before = kept[(((from - start) / step_h) as usize).min(n as usize - 1)];
        let curve: Vec<f64> = kept.iter().map(|k| (k - before).max(0.0) / (1.0 - before)).collect();
        let growth = d.growth();
        d.follow(&curve, growth)
    }),
    // A release every day hides that every process leaks.
    ("leak", "daily-release-leak", |d| {
        let most = (0.85 * d.limit - d.base) / 30.0;
        let rate = (d.growth().max(0.1 * d.limit) / 24.0).min(most);
        d.daily(|age| rate * age)
    }),
    // Killed for its memory and given more, again and again: only the last limit is known.
    ("leak", "limit-raised", |d| {
        let rate = (d.limit - d.base) / (d.of("cycle", 0.25, 0.7) * d.hours);
        let (n, step_h) = (d.samples(), d.step_h);
        let limits = [0.55, 0.75, 1.0];
        let mut pods = d.pods(|_, _| 0.0);
        for pod in &mut pods {
            let (mut grown, mut kills) = (0.0, Vec::new());
            for i in 0..n.min(pod.values.len()) {
                let limit = limits[kills.len().min(2)] * d.limit;
                if pod.values[i] + grown >= limit.max(1.2 * d.base) {
                    grown = 0.0;
                    kills.push(pod.start + (i as f64 * step_h * 3600.0) as i64);
                }
                pod.values[i] += grown;
                grown += rate * step_h;
            }
            pod.restarts = Some(kills);
        }
        d.logged = true;
        pods
    }),
    // Two to five weeks of hourly samples, with days and working weeks, and replicas that leak unequally.
    ("leak", "long-and-coarse", |d| {
        d.hours = [14.0, 21.0, 35.0][d.rng.usize(0..3)] * 24.0;
        d.step_h = [0.5, 1.0][d.rng.usize(0..2)];
        let base = d.start_h();
        let mut pods = d.pods(|d, t| {
            let hour = base + t * d.hours;
            let weekday = (hour / 24.0 + 4.0).rem_euclid(7.0);
            let open = if (1.0..6.0).contains(&weekday) { 1.0 } else { 0.5 };
            d.size("a", 0.0, 0.12) * open * (0.5 + 0.5 * (TAU * (hour - 9.0) / 24.0).sin())
        });
        let growth = d.growth();
        for pod in &mut pods {
            let (share, n) = (0.5 + 0.5 * d.rng.f64(), pod.values.len() as f64);
            pod.values.iter_mut().enumerate().for_each(|(i, v)| *v += share * growth * i as f64 / n);
        }
        pods
    }),
];

impl Draw {
    /// Pods of a release a day, at about the same hour; `grown` is what a process has gained at an age in hours.
    fn daily(&mut self, grown: impl Fn(f64) -> f64) -> Vec<Pod> {
        if self.hours < 72.0 {
            self.hours = 72.0;
        }
        self.step_h = self.step_h.max(300.0 / 3600.0);
        let n = self.samples();
        let at = self.of("at", 0.0, 24.0);
        let mut cuts = vec![0];
        for day in 0..(self.hours / 24.0) as usize {
            let hour = at + 24.0 * day as f64 + 3.0 * (self.rng.f64() - 0.5);
            cuts.push((hour.max(0.0) / self.step_h) as usize);
        }
        cuts.push(n);
        let (hum, replicas) = (self.pods(|_, _| 0.0), self.replicas.min(3));
        let mut pods = Vec::new();
        for (c, cut) in cuts.windows(2).enumerate().filter(|(_, cut)| cut[1] > cut[0] + 12) {
            // The first one was released before the window.
            let before = if c == 0 { 24.0 - cut[1] as f64 * self.step_h } else { 0.0 };
            for pod in hum.iter().take(replicas) {
                let values = (cut[0]..cut[1].min(n))
                    .map(|i| pod.values[i] + grown((i - cut[0]) as f64 * self.step_h + before.max(0.0)))
                    .collect();
                let start = self.start + (cut[0] as f64 * self.step_h * 3600.0) as i64;
                pods.push(Pod { start, values, restarts: Some(Vec::new()), load: None });
            }
        }
        pods
    }
}
