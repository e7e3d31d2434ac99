//! Runs of the whole pass on recorded snapshots.

mod chats;
mod english;
mod fake;
mod fleet;
mod formats;
mod hidden;
mod history;
mod hosts;
mod incidents;
mod logs;
mod pass;
mod registries;
mod shards;
mod slack_rules;
mod snapshots;
mod stories;

use std::path::{Path, PathBuf};

use healthcore_sources::recording::{Closing, Header, Recorder};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Every fixture that is made from a story is what the story says.
#[test]
fn fixtures_are_their_stories() {
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    for story in stories::all() {
        let folder = fixtures().join(story.name);
        let made = tempfile::tempdir().unwrap();
        let path = made.path().join("snapshot.ndjson");
        let first = &story.parts[0];
        let mut recorder = Recorder::create(&path, &Header::new(first.taken_at, first.window)).unwrap();
        recorder.cluster(&story.head).unwrap();
        for part in &story.parts {
            recorder.part(part, &[]).unwrap();
        }
        recorder.finish(Closing::default()).unwrap();
        let fixture = folder.join("snapshot.ndjson");
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::copy(&path, &fixture).unwrap();
        }
        let same = std::fs::read(&path).unwrap() == std::fs::read(&fixture).unwrap_or_default();
        assert!(same, "{} is not what its story says; run with UPDATE_FIXTURES=1", fixture.display());
    }
}
