//! Progress on standard error, when that is a terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lambda_free_runner::Progress;

/// A line that says what the run is doing. Clusters are read at the same time, so it counts the parts of all.
pub(crate) struct Bar {
    line: ProgressBar,
    /// Parts that are judged, and all, by cluster.
    parts: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl Bar {
    pub(crate) fn new(quiet: bool) -> Self {
        let line = ProgressBar::no_length();
        if quiet || !std::io::stderr().is_terminal() {
            line.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            line.enable_steady_tick(Duration::from_millis(120));
        }
        Self { line, parts: Mutex::default() }
    }
}

impl Progress for Bar {
    fn connecting(&self, cluster: &str) {
        self.line.set_message(format!("{cluster}: connecting"));
    }
    fn objects(&self, cluster: &str, workloads: usize, pods: usize) {
        self.line.set_message(format!("{cluster}: {workloads} workloads, {pods} pods"));
    }
    fn judged(&self, cluster: &str, done: usize, all: usize) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:30} {pos}/{len} {elapsed}") {
            self.line.set_style(style);
        }
        let Ok(mut parts) = self.parts.lock() else { return };
        parts.insert(cluster.to_owned(), (done, all));
        if parts.len() > 1 {
            self.line.set_message(format!("{} clusters", parts.len()));
        }
        self.line.set_length(parts.values().map(|(_, all)| *all as u64).sum());
        self.line.set_position(parts.values().map(|(done, _)| *done as u64).sum());
    }
    fn finished(&self) {
        self.line.finish_and_clear();
    }
}
