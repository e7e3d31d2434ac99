//! Progress on standard error, when that is a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lambda_free_runner::Progress;

/// A line that says what the run is doing.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::no_length();
        if quiet || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        } else {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn connecting(&self, cluster: &str) {
        self.0.set_message(format!("{cluster}: connecting"));
    }
    fn objects(&self, cluster: &str, workloads: usize, pods: usize) {
        self.0.set_message(format!("{cluster}: {workloads} workloads, {pods} pods"));
    }
    fn judged(&self, _: &str, done: usize, all: usize) {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {bar:30} {pos}/{len} {elapsed}") {
            self.0.set_style(style);
        }
        self.0.set_length(all as u64);
        self.0.set_position(done as u64);
    }
    fn finished(&self) {
        self.0.finish_and_clear();
    }
}
