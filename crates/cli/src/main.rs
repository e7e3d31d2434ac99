//! `healthcheck`: the daily doctor of Kubernetes fleets. Arguments, colour, progress and exit code; all else is the
//! runner's.

mod args;
mod commands;
mod delivery;
mod digest;
mod docs;
mod exit;
mod leaks;
mod merge;
mod output;
mod progress;
mod rbac;
#[cfg(test)]
mod reference;
mod serve;
mod signals;
mod sources;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    let color = args::color(&args);
    exit::code(commands::run(args, color), color)
}
