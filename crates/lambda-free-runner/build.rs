//! Names the revision of a release build that is made in a checkout of git. `HEALTHCHECK_REVISION` wins; builds for tests have
//! none, so that a commit does not make them anew.

use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "HEALTHCHECK_REVISION";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var(VARIABLE).is_ok_and(|v| !v.trim().is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // Not of a repository around the folder into which the source was unpacked.
    if given || !is_release || !Path::new("../../.git").exists() {
        return;
    }
    // Moves with every commit and checkout.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    if let Some(revision) = git(&["rev-parse", "--short=7", "HEAD"]) {
        println!("cargo::rustc-env={VARIABLE}={revision}");
    }
}

/// What git says; none without git, or where it refuses.
fn git(arguments: &[&str]) -> Option<String> {
    let output =
        Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!said.is_empty()).then_some(said)
}
