use std::io::Write as _;
use std::path::Path;

use healthcore::metric::Metric;
use healthcore::series::{Samples, SeriesKey, SeriesStore};
use healthcore::snapshot::{Gap, GapCause, Missing, Objects, Snapshot};
use healthcore::time::{Timestamp, Window};
use healthcore::unit::Seconds;

use super::{Closing, ClusterHead, Entry, Header, Recorder, Recording};

fn window() -> Window {
    Window::ending(Timestamp::from_unix_seconds(1_700_000_000), Seconds(3600.0), Seconds(300.0)).unwrap()
}

fn part() -> Snapshot {
    let mut series = SeriesStore::default();
    let key = SeriesKey::container("web", "api-0", "app");
    let values = [Some(1.5e9), None, Some(0.1 + 0.2), Some(1e300), Some(-0.0)];
    series.insert(Metric::MemoryWorkingSet, key, Samples::new(3, values));
    series.missing(Metric::CpuUsage, Missing::MetricAbsent { metric: Metric::CpuUsage });
    series.fetched(Metric::Restarts);
    let taken_at = Timestamp::from_unix_seconds(1_700_000_000);
    Snapshot { cluster: "lab".into(), taken_at, window: window(), objects: Objects::default(), series }
}

fn write(path: &Path) {
    let part = part();
    let mut recorder = Recorder::create(path, &Header::new(part.taken_at, part.window)).unwrap();
    recorder.cluster(&ClusterHead { name: "lab".into(), ..ClusterHead::default() }).unwrap();
    let gap = Gap::new("lab", GapCause::Timeout, "30s");
    recorder.part(&part, &[gap]).unwrap();
    recorder.finish(Closing { samples: 5, ..Closing::default() }).unwrap();
}

fn read(path: &Path) -> Result<Vec<Entry>, String> {
    let mut recording = Recording::open(path).map_err(|e| e.to_string())?;
    let mut entries = Vec::new();
    while let Some(entry) = recording.read_entry().map_err(|e| e.to_string())? {
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_replaced() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    use std::os::unix::net::UnixListener;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let _socket = UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/null", at("null")).unwrap();
    let header = Header::new(Timestamp::from_unix_seconds(1_700_000_000), window());
    let refusal = |path: &Path| Recorder::create(path, &header).err().map(|e| e.to_string());
    for path in [at("socket"), at("null"), folder.path().to_owned(), at("..")] {
        let said = refusal(&path).expect("refused");
        let expected = "is no regular file, and a recording would take its place; name a file";
        assert_eq!(said, format!("{}: {expected}", path.display()));
    }
    let said = refusal(&at("none").join("s.ndjson")).expect("refused");
    assert!(
        said.ends_with("none/s.ndjson: cannot be written; the folder must exist and be writable"),
        "{said}"
    );

    let late = Recorder::create(&at("late"), &header).unwrap();
    let _late = UnixListener::bind(at("late")).unwrap();
    assert!(late.finish(Closing::default()).is_err());
    for socket in ["socket", "late"] {
        assert!(std::fs::metadata(at(socket)).unwrap().file_type().is_socket(), "{socket}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else is left");
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["snapshot.ndjson", "snapshot.ndjson.zst"] {
        let path = folder.path().join(name);
        write(&path);
        let entries = read(&path).unwrap();
        let [Entry::Cluster(head), Entry::Part(read, gaps), Entry::End(closing)] = entries.as_slice() else {
            panic!("{entries:?}")
        };
        let written = part();
        assert_eq!((head.name.as_str(), gaps.len(), closing.parts, closing.samples), ("lab", 1, 1, 5));
        assert_eq!(read.objects, written.objects);
        for (metric, missing) in written.series.metrics() {
            assert!(read.series.metrics().any(|m| m == (metric, missing)));
            assert!(read.series.of(metric).eq(written.series.of(metric)), "{metric}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no partial file is left");
        assert_eq!(self::read(folder.path()).unwrap().len(), 3, "the folder names the same recording");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn an_unfinished_recording_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    drop(Recorder::create(&path, &Header::new(Timestamp(0), window())).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let missing = folder.path().join("no/such/s.ndjson");
    let why = Recorder::create(&missing, &Header::new(Timestamp(0), window())).err().unwrap().to_string();
    assert!(why.contains("no/such/s.ndjson: cannot be written"), "{why}");
}

#[test]
fn a_recording_takes_the_place_of_recordings_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("there");
    for old in ["s.ndjson", "s.ndjson.zst"] {
        let old = folder.path().join(old);
        write(&old);
        write(&old);
        std::fs::copy(&old, &path).unwrap();
        assert!(Recorder::check(&path).is_ok(), "whatever its name");
    }
    std::fs::write(&path, "").unwrap();
    assert!(Recorder::check(&path).is_ok(), "nothing is lost");
    for other in [&b"precious"[..], b"{\"a\": 1}\n", &[0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3], &[b'x'; 100_000]] {
        std::fs::write(&path, other).unwrap();
        let why = Recorder::create(&path, &Header::new(Timestamp(0), window())).err().unwrap().to_string();
        assert!(why.contains("there: is there already and is no recording"), "{why}");
        assert_eq!(std::fs::read(&path).unwrap(), other);
    }
}

#[test]
fn damaged_files_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.ndjson");
    write(&whole);
    let text = std::fs::read_to_string(&whole).unwrap();
    let zst = folder.path().join("whole.ndjson.zst");
    write(&zst);
    let compressed = std::fs::read(&zst).unwrap();
    let check = |content: &[u8], expected: &str| {
        let path = folder.path().join("damaged");
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        let why = read(&path).unwrap_err();
        assert!(why.starts_with(&format!("{}: ", path.display())) && why.contains(expected), "{why}");
    };
    check(b"", "is empty");
    check(b"hello\n", "is not a healthcheck snapshot; make one with `healthcheck record`");
    check(b"\x00\xff\x00", "is not a healthcheck snapshot");
    check(
        text.replace("\"major\":1", "\"major\":2").as_bytes(),
        "has snapshot format 2.0, and this version of healthcheck reads up to 1; install a newer healthcheck",
    );
    let last = text.trim_end().rfind('\n').unwrap();
    check(&text.as_bytes()[..last], "is cut off");
    check(&text.as_bytes()[..text.len() / 2], "line");
    check(&compressed[..compressed.len() - 20], "is cut off");
    let series = text.lines().find(|l| l.starts_with("{\"series")).unwrap();
    check(text.replace(series, "{}").as_bytes(), "line 4 is damaged");
    check(text.replace("\"parts\":1", "\"parts\":7").as_bytes(), "is incomplete: 7 parts announced, 1 found");
    check(text.replacen("\"step_s\":300", "\"step_s\":0", 1).as_bytes(), "its first line is damaged");
    let why = read(&folder.path().join("nowhere")).unwrap_err();
    assert!(why.contains("nowhere: cannot be read"), "{why}");
}

#[test]
fn a_newer_minor_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.ndjson");
    write(&path);
    let text = std::fs::read_to_string(&path).unwrap();
    let newer = text.replace("\"minor\":0", "\"minor\":9,\"spice\":true").replacen(
        "\n{\"part\"",
        "\n{\"weather\":[1]}\n{\"part\"",
        1,
    );
    assert_ne!(text, newer);
    std::fs::write(&path, &newer).unwrap();
    assert_eq!(read(&path).unwrap().len(), 3);
    std::fs::write(&path, text.replacen("\n{\"part\"", "\n{\"weather\":[1]}\n{\"part\"", 1)).unwrap();
    assert!(read(&path).is_err(), "the same line in a version that has no such thing is damage");
}
