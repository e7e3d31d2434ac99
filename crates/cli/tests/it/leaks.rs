//! `healthcheck leaks`: streams of plain series in, streams of verdicts out.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

/// A week of half hours: 200 MB that grow by `growth` in all, with a little noise.
fn values(growth: f64) -> Vec<f64> {
    let noise = |i: u32| f64::from(i * 7919 % 101) * 2e4;
    (0..337).map(|i| (2e8 + growth * f64::from(i) / 336.0 + noise(i)).round()).collect()
}

fn case(id: &str, values: &[f64]) -> String {
    let series =
        json!([{"pod": "web-0", "start_unix": 1_700_000_000, "values": values, "restarts_unix": []}]);
    json!({"id": id, "step_s": 1800, "limit_bytes": 1_000_000_000, "series": series}).to_string()
}

/// A leak, a healthy case, one that says nothing, a line that is broken, and a leak.
fn mixed() -> String {
    let broken = r#"{"id": "broken", "step_s": "often"}"#;
    let lines = [
        case("leak", &values(2e8)),
        case("none", &values(0.0)),
        case("short", &[1.0, 2.0]),
        broken.into(),
        case("last", &values(4e8)),
    ];
    lines.join("\n") + "\n"
}

const MIXED: &str = "2 leak, 0 watch, 1 none, 1 unknown, 1 broken\n";

fn command(args: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
    command.env_clear().env("HOME", "/nonexistent").arg("leaks").args(args);
    command
}

#[track_caller]
fn said(out: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(out.status.code(), Some(code), "{}", text(&out.stderr));
    (text(&out.stdout), text(&out.stderr))
}

fn answers(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(text).unwrap();
    out.finish().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn answers_come_in_the_order_of_the_cases_with_the_broken_ones_among_them() {
    let (out, log) = said(&command(&[]).write_stdin(mixed()).output().unwrap(), 0);
    assert_eq!(log, MIXED);
    let answers = answers(&out);
    let ids: Vec<&Value> = answers.iter().map(|a| &a["id"]).collect();
    assert_eq!(ids, ["leak", "none", "short", "broken", "last"]);
    let keys: Vec<&String> = answers[0].as_object().unwrap().keys().collect();
    let mut expected =
        ["id", "leak", "verdict", "score", "rate_bytes_per_hour", "onset_unix", "time_to_limit_s", "reason"];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!((&answers[0]["leak"], &answers[0]["verdict"]), (&json!(true), &json!("leak")));
    let rate = answers[0]["rate_bytes_per_hour"].as_f64().unwrap();
    assert!((rate - 2e8 / 168.0).abs() < 0.02 * rate, "{rate}");
    assert_eq!((&answers[1]["leak"], &answers[1]["verdict"]), (&json!(false), &json!("none")));
    assert_eq!(
        (&answers[2]["verdict"], &answers[2]["rate_bytes_per_hour"]),
        (&json!("unknown"), &Value::Null)
    );
    let error = answers[3]["error"].as_str().unwrap();
    assert!(error.starts_with("line 4: ") && error.contains("often"), "{error}");
    assert_eq!(answers[3].as_object().unwrap().len(), 2);
    let (out, log) = said(&command(&["--quiet"]).write_stdin(mixed()).output().unwrap(), 0);
    assert_eq!((log.as_str(), out.lines().count()), ("", 5));
}

#[test]
fn compressed_in_and_out_is_the_same_as_plain() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, _) = said(&command(&[]).write_stdin(mixed()).output().unwrap(), 0);
    let zstd = zstd::encode_all(mixed().as_bytes(), 3).unwrap();
    // Two members one after the other are one stream, and the name does not matter.
    let (first, rest) = (&mixed().into_bytes()[..1000], &mixed().into_bytes()[1000..]);
    let members = [gzip(first), gzip(rest)].concat();
    for (name, content) in
        [("a.gz", members), ("b.zst", zstd), ("c", gzip(mixed().as_bytes())), ("d", mixed().into())]
    {
        let input = folder.path().join(name);
        std::fs::write(&input, &content).unwrap();
        let (out, log) = said(&command(&["-i", text(&input)]).output().unwrap(), 0);
        assert_eq!((out.as_str(), log.as_str()), (plain.as_str(), MIXED), "{name}");
        let (out, _) = said(&command(&[]).write_stdin(content).output().unwrap(), 0);
        assert_eq!(out, plain, "{name} from standard input");
    }
    for name in ["o.ndjson", "o.ndjson.gz", "o.ndjson.zst"] {
        let output = folder.path().join(name);
        let (out, _) = said(&command(&["-o", text(&output)]).write_stdin(mixed()).output().unwrap(), 0);
        assert_eq!(out, "");
        let bytes = std::fs::read(&output).unwrap();
        let mut read = String::new();
        match name.rsplit('.').next().unwrap() {
            "gz" => drop(flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut read).unwrap()),
            "zst" => read = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
            _ => read = String::from_utf8(bytes).unwrap(),
        }
        assert_eq!(read, plain, "{name}");
    }
}

/// What was whole before the end is answered all the same.
#[test]
fn an_input_that_ends_inside_its_compression_is_refused() {
    let lines: String = (0..40).map(|i| case(&i.to_string(), &values(f64::from(i) * 1e7)) + "\n").collect();
    let zstd = zstd::encode_all(lines.as_bytes(), 3).unwrap();
    for whole in [gzip(lines.as_bytes()), [zstd::encode_all(mixed().as_bytes(), 3).unwrap(), zstd].concat()] {
        let out = command(&[]).write_stdin(&whole[..whole.len() - 100]).output().unwrap();
        let (out, log) = said(&out, 2);
        assert!(log.contains("from standard input to standard output"), "{log}");
        assert!(answers(&out).len() >= 5, "{out}");
        let out = command(&[]).write_stdin(&whole[..20]).output().unwrap();
        said(&out, 2);
    }
}

/// Each line that is no text, no case or too large for another is answered alone.
#[test]
fn one_line_says_nothing_of_the_next() {
    let good = case("good", &values(2e8));
    let long = case("long", &values(2e8))
        .replace("\"id\"", &format!("\"note\":\"{}\",\"id\"", "x".repeat(10_000_000)));
    let lines: [(&[u8], &str); 9] = [
        (b"{\"id\":\"utf\xff\"}", "line 1: "),
        (good.as_bytes(), "leak"),
        (b"", ""),
        (long.as_bytes(), "leak"),
        (b"[1, 2]", "line 5: expected a JSON object, got a list; write each case as a line of its own"),
        (b"1700000000,5", "line 6: expected a JSON object, got `1700000000,5`"),
        (b"{\"id\":\"early\",", "a case is one line, and this one ends too early"),
        (
            b"{\"id\":\"ms\",\"step_s\":60,\"series\":[{\"start_unix\":1700000000000,\"values\":[]}]}",
            "it looks like milliseconds, divide by 1000",
        ),
        (good.as_bytes(), "leak"),
    ];
    for end in ["\n", "\r\n"] {
        let mut input = b"\xef\xbb\xbf".to_vec();
        for (line, _) in &lines {
            input.extend([line, end.as_bytes()].concat());
        }
        let (out, _) = said(&command(&[]).write_stdin(input).output().unwrap(), 0);
        let answers = answers(&out);
        let expected: Vec<&str> = lines.iter().map(|l| l.1).filter(|l| !l.is_empty()).collect();
        assert_eq!(answers.len(), expected.len());
        for (answer, expected) in answers.iter().zip(expected) {
            let told = answer["error"].as_str().or(answer["verdict"].as_str()).unwrap();
            assert!(told.contains(expected), "{told}");
        }
    }
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(good.bytes().flat_map(|b| [b, 0])).collect();
    let (_, log) = said(&command(&[]).write_stdin(utf16).output().unwrap(), 2);
    assert!(log.contains("is in UTF-16; convert it to UTF-8"), "{log}");
}

#[test]
fn exit_codes_tell_nothing_to_read_from_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.ndjson");
    let unknown = case("a", &[1.0]);
    for (input, code, expected) in [
        ("", 2, "standard input: holds no case; expected one JSON object a line"),
        ("\n \n\r\n", 2, "standard input: holds no case"),
        ("hello\n[]\n", 2, "standard input: none of its lines is a case; a table needs --csv"),
        (unknown.as_str(), 3, "1 unknown"),
        (&format!("{unknown}\nhello\n"), 3, "1 unknown, 1 broken"),
        (&case("a", &values(0.0)), 0, "1 none"),
        (&case("a", &values(2e8)), 0, "1 leak"),
    ] {
        let (_, log) = said(&command(&[]).write_stdin(input).output().unwrap(), code);
        assert!(log.contains(expected), "{input:.40}: {log}");
        // A file is there when there is an answer in it, and never half.
        let _ = std::fs::remove_file(&output);
        said(&command(&["-o", text(&output)]).write_stdin(input).output().unwrap(), code);
        assert_eq!(output.exists(), code != 2, "{input:.40}");
    }
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names, ["out.ndjson"]);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, mixed()).unwrap();
    let same = folder.path().join(".").join("in.ndjson");
    for (args, expected) in [
        (vec!["-i", text(&input), "-o", text(&input)], "is the input; name another file"),
        (vec!["-i", text(&input), "-o", text(&same)], "is the input; name another file"),
        (vec!["-i", "/nowhere/a.ndjson"], "--input /nowhere/a.ndjson: cannot be read"),
        (vec!["-i", text(folder.path())], "is a folder; name a file, or `-` for standard input"),
        (vec!["-i", text(&input), "-o", "/nowhere/a.ndjson"], "/nowhere/a.ndjson: cannot be written"),
        (vec!["-i", text(&input), "--score", "NaN"], "expected a number, such as 1"),
        (vec!["-i", text(&input), "--score", "much"], "expected a number, such as 1"),
    ] {
        let (out, log) = said(&command(&args).output().unwrap(), 2);
        assert!(log.contains(expected), "{args:?}: {log}");
        assert_eq!(out, "");
    }
    #[cfg(unix)]
    {
        let link = folder.path().join("link.ndjson");
        std::os::unix::fs::symlink(&input, &link).unwrap();
        let (_, log) = said(&command(&["-i", text(&input), "-o", text(&link)]).output().unwrap(), 2);
        assert!(log.contains("is the input"), "{log}");
    }
    assert_eq!(std::fs::read_to_string(&input).unwrap(), mixed());
}

#[test]
fn a_table_of_one_series_is_one_case() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |time: &dyn Fn(i64) -> String| -> String {
        let row = |(i, v): (i64, f64)| format!("{},{v}\n", time(1_700_000_000 + 1800 * i));
        (0..).zip(values(2e8)).map(row).collect()
    };
    let unix = rows(&|t| t.to_string());
    let rfc = rows(&|t| jiff::Timestamp::from_second(t).unwrap().to_string());
    let (line, _) = said(&command(&[]).write_stdin(case("a.csv", &values(2e8))).output().unwrap(), 0);
    let expected = &answers(&line)[0];
    assert_eq!(expected["leak"], true);
    let tables = [unix.clone(), format!("time,bytes\n{unix}"), rfc.clone(), format!("time,bytes\n{rfc}")];
    for table in &tables {
        for (name, content) in [
            ("a.csv", table.clone().into_bytes()),
            ("a.csv.gz", gzip(table.as_bytes())),
            ("a.csv.zst", zstd::encode_all(table.as_bytes(), 3).unwrap()),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            let args = ["-i", text(&path), "--limit", "1000000000"];
            let (out, _) = said(&command(&args).output().unwrap(), 0);
            let mut answer = answers(&out).remove(0);
            assert_eq!(answer["id"], name);
            answer["id"] = "a.csv".into();
            assert_eq!(&answer, expected, "{name}: {table:.60}");
        }
        let args = ["--csv", "--limit", "1G"];
        let (out, _) = said(&command(&args).write_stdin(table.as_str()).output().unwrap(), 0);
        let answer = &answers(&out)[0];
        assert_eq!((&answer["id"], &answer["score"]), (&json!("-"), &expected["score"]));
    }
    let out = command(&["--csv"]).write_stdin("time,bytes\n1,2\nsoon,3\n").output().unwrap();
    let (out, log) = said(&out, 2);
    assert!(
        log.starts_with("error: standard input: line 3: time `soon`: expected unix seconds or milliseconds"),
        "{log}"
    );
    assert_eq!(out, "");
    let (_, log) = said(&command(&["--csv"]).write_stdin("").output().unwrap(), 2);
    assert!(log.contains("expected at least 3 rows `time,bytes`"), "{log}");
    let (_, log) = said(&command(&["--limit", "512Mi"]).write_stdin(mixed()).output().unwrap(), 2);
    assert!(
        log.contains("--limit 512Mi: is that of a table; a case tells its own as `limit_bytes`"),
        "{log}"
    );
}

#[test]
fn the_score_from_which_on_it_is_a_leak_can_be_set() {
    let input = case("a", &values(2e8));
    let verdict = |args: &[&str]| {
        let (out, _) = said(&command(args).write_stdin(input.as_str()).output().unwrap(), 0);
        let answer = answers(&out).remove(0);
        (answer["verdict"].as_str().unwrap().to_owned(), answer["score"].as_f64().unwrap())
    };
    let (given, score) = verdict(&[]);
    assert_eq!(given, "leak");
    for (at, expected) in [("100", "watch"), ("0", "leak"), ("-10", "leak")] {
        assert_eq!(verdict(&["--score", at]), (expected.to_owned(), score), "{at}");
    }
    let healthy = case("a", &values(0.0));
    let (out, _) = said(&command(&["--score=-10"]).write_stdin(healthy).output().unwrap(), 0);
    assert_eq!(answers(&out)[0]["leak"], true, "no score is below -10");
}

#[test]
fn evidence_is_added_when_asked_for() {
    let (out, _) = said(&command(&["--evidence"]).write_stdin(mixed()).output().unwrap(), 0);
    let answers = answers(&out);
    let evidence = &answers[0]["evidence"];
    let run = &evidence["evidence"][0];
    let lengths: Vec<usize> =
        ["at_unix", "floor", "fitted"].iter().map(|key| run[key].as_array().unwrap().len()).collect();
    assert!(lengths[0] > 20 && lengths.iter().all(|l| *l == lengths[0]), "{lengths:?}");
    assert_eq!(evidence["shape"], "line");
    assert!(evidence["measures"]["margins"].as_array().unwrap().len() > 4);
    assert_eq!(answers[2]["evidence"]["evidence"], json!([]));
    assert!(answers[3].get("evidence").is_none());
}

#[test]
fn a_line_of_three_megabytes_is_a_case() {
    let pods: Vec<Value> = (0..900)
        .map(|pod| json!({"pod": format!("web-{pod}"), "start_unix": 1_700_000_000, "values": values(2e8), "restarts_unix": []}))
        .collect();
    let long =
        json!({"id": "long", "step_s": 1800, "limit_bytes": 1_000_000_000, "series": pods}).to_string();
    assert!(long.len() > 3_000_000, "{}", long.len());
    let input = format!("{}\n{long}\n{}\n", case("before", &values(0.0)), case("after", &values(0.0)));
    let (out, _) = said(&command(&[]).write_stdin(input).output().unwrap(), 0);
    let answers = answers(&out);
    let found: Vec<(&Value, &Value)> = answers.iter().map(|a| (&a["id"], &a["verdict"])).collect();
    let expected =
        [("before", "none"), ("long", "leak"), ("after", "none")].map(|(i, v)| (json!(i), json!(v)));
    assert_eq!(found, expected.iter().map(|(i, v)| (i, v)).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_has_gone_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ndjson");
    // Answers that no pipe holds.
    std::fs::write(&input, format!("{}\n", case("a", &[1.0])).repeat(20_000)).unwrap();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("healthcheck"))
        .env_clear()
        .args(["leaks", "-i", text(&input)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let out = child.wait_with_output().unwrap();
    assert_eq!(first, *br#"{"id":"a","#);
    let (_, log) = said(&out, 0);
    assert_eq!(log, "");
}
