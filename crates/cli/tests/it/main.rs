//! The command line as its users meet it: wrong input above all.

mod deploy;
mod history;
mod leaks;
#[cfg(unix)]
mod serve;

use std::path::PathBuf;
use std::process::Output;

fn fixture(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name).display().to_string()
}

/// Runs the program without any of the caller's environment that could lead it to a server.
fn run(args: &[&str]) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
    command.env_clear().env("HOME", "/nonexistent").args(args);
    command.output().unwrap()
}

#[track_caller]
fn refused(args: &[&str], expected: &[&str]) {
    let out = run(args);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
    assert!(out.stdout.is_empty(), "{args:?}: nothing goes to standard output");
    for words in expected {
        assert!(said.contains(words), "{args:?}\n  said: {said}\n  expected: {words}");
    }
}

#[test]
fn bad_input_is_named_with_what_to_do() {
    let healthy = fixture("healthy");
    let snapshot = |rest: &[&'static str]| -> Vec<String> {
        ["check", "--snapshot", &healthy].iter().chain(rest).map(ToString::to_string).collect()
    };
    let cases: Vec<(Vec<String>, &[&str])> = vec![
        (
            snapshot(&["--set", "memory-leak.min-slope=512MB/h/"]),
            &["checks.memory-leak.min-slope: expected a rate such as `10MB/h`, got `512MB/h/`"],
        ),
        (
            snapshot(&["--set", "memory-usage.warning=90%"]),
            &["warning must not be above critical: warning `90%`, critical `85%`"],
        ),
        (
            snapshot(&["--set", "memory-usage.warnin=90%"]),
            &["unknown parameter `warnin`, did you mean `warning`?", "known parameters: warning, critical"],
        ),
        (
            snapshot(&["--set", "memory-leek.method=linear"]),
            &["unknown check `memory-leek`, did you mean `memory-leak`?"],
        ),
        (snapshot(&["--set", "oops"]), &["--set: expected `CHECK.PARAMETER=VALUE`, got `oops`"]),
        (snapshot(&["--only", "memory-leek"]), &["unknown check `memory-leek`"]),
        (
            snapshot(&["--format", "json", "--format", "markdown"]),
            &["more than one report for standard output"],
        ),
        (snapshot(&["--output", "report.xyz"]), &["--output report.xyz: no format has this ending"]),
        (snapshot(&["--format", "json", "-o", "a.json", "-o", "b.json"]), &["one --format, but 2 --output"]),
        (
            snapshot(&["--format", "json", "-o", "/no/such/folder/r.json"]),
            &["/no/such/folder/r.json: cannot be written"],
        ),
    ];
    for (args, expected) in cases {
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
    refused(&["check"], &["no source to read: give `--prometheus URL`"]);
    refused(&["check", "--snapshot", "/nowhere"], &["/nowhere: cannot be read"]);
    refused(
        &["check", "--snapshot", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")],
        &["is not a healthcheck snapshot"],
    );
    refused(
        &["check", "--prometheus", "prometheus:9090"],
        &["prometheus url: expected an address", "got `prometheus:9090`"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1"],
        &["no source can be used: cannot reach http://127.0.0.1:1"],
    );
    let plain = server_without_tls();
    refused(&["check", "--prometheus", &plain], &["no source can be used", &plain, "TLS"]);
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--step", "0s"],
        &["expected a duration above zero such as `5m`, got `0s`"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--lookback", "10m", "--step", "5m"],
        &["lookback: expected at least 3 steps of 5m"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--lookback", "7"],
        &["expected a duration such as `7d`, `1h30m` or `90s`, got `7`"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--at", "yesterday"],
        &["expected a time such as `2026-11-20T01:00:00Z`, got `yesterday`"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--timeout", "300000000000000d"],
        &["expected a time-out above zero and at most `1d`"],
    );
    refused(&["demo", "-f", "json", "-o", "/"], &["--output /: is a folder"]);
    refused(
        &["demo", "--history", "runs"],
        &["--history: the sample of `demo` is of one time", "`healthcheck check --history PLACE`"],
    );
    for (path, expected) in [
        ("/dev/null", "/dev/null: is no regular file"),
        ("-", "a recording cannot go to standard output"),
        ("/no/such/folder/s.zst", "/no/such/folder/s.zst: cannot be written"),
    ] {
        refused(&["record", "--prometheus", "http://127.0.0.1:1", "-o", path], &[expected]);
        refused(&["check", "--prometheus", "http://127.0.0.1:1", "--record", path], &[expected]);
    }
    refused(&["man", "chekc"], &["unknown command `chekc`, did you mean `check`?"]);
    for server in [["--prometheus", "http://127.0.0.1:1"], ["--namespace", "shop"], ["--lookback", "1d"]] {
        let args = [&["check", "--snapshot", &healthy][..], &server].concat();
        refused(&args, &["the argument '--snapshot <PATH>' cannot be used with", server[0]]);
    }
    refused(&["check", "--kubeconfig", "/no/kubeconfig"], &["/no/kubeconfig: cannot read the kubeconfig"]);
    refused(&["check", "--config", "/no/config.yaml"], &["/no/config.yaml: cannot be read"]);
    refused(&["explain", "memory-leek"], &["unknown check `memory-leek`, did you mean `memory-leak`?"]);
}

#[test]
fn skipping_certificates_is_yes_or_no() {
    let run = |value: &str| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        command.env_clear().env("HOME", "/nonexistent").env("SKIP_TLS_CHECK", value);
        let out = command.args(["check", "--prometheus", "http://127.0.0.1:1"]).output().unwrap();
        assert_eq!(out.status.code(), Some(2));
        String::from_utf8(out.stderr).unwrap()
    };
    assert_eq!(run("maybe"), "error: SKIP_TLS_CHECK: expected `true` or `false`, got `maybe`\n");
    assert!(run("True").starts_with("error: no source can be used"), "{}", run("True"));
}

#[test]
fn a_parameter_has_bounds() {
    let healthy = fixture("healthy");
    for (setting, expected) in [
        (
            "memory-usage.warning=60",
            "memory-usage.warning: expected a share from `1%` to `100%`, got `60`, did you mean `60%` or `0.6`?",
        ),
        ("memory-usage.warning=600%", "from `1%` to `100%`, got `600%`\n"),
        ("memory-usage.lookback=30d", "expected a duration from `1m` to `1d`, got `30d`"),
        ("memory-usage.lookback=0s", "from `1m` to `1d`, got `0s`"),
        ("memory-usage.limit-factor=0.5", "expected a number from `1` to `10`, got `0.5`"),
        ("memory-overprovisioned.headroom=0", "from `1` to `10`, got `0`"),
        ("memory-leak.max-p=2", "to `1`, got `2`"),
        ("memory-leak.min-r-squared=70", "got `70`, did you mean `70%` or `0.7`?"),
        (
            "restarts.lookback=30d",
            "checks.restarts.lookback: expected at most the look-back of the run, `7d`, got `30d`",
        ),
    ] {
        refused(&["check", "--snapshot", &healthy, "--set", setting], &[expected]);
    }
    assert_eq!(
        run(&["check", "--snapshot", &healthy, "--set", "restarts.lookback=7d"]).status.code(),
        Some(0)
    );
    let explained = String::from_utf8(run(&["explain", "memory-usage"]).stdout).unwrap();
    assert!(explained.contains("| `warning` | `70%` | Share of the limit from which on it is a warning; the value itself counts. From `1%` to `100%`. |"), "{explained}");
}

#[test]
fn namespaces_and_names_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    let refused_too = |name: &str| {
        let expected = format!("expected the name of a namespace or a glob such as `pay-*`, got `{name}`");
        refused(&["check", "--prometheus", "http://127.0.0.1:1", "-n", name], &[&expected]);
        std::fs::write(&config, format!("clusters: [{{name: a, namespaces: [b, '{name}'], prometheus: {{url: 'http://127.0.0.1:1'}}}}]")).unwrap();
        refused(
            &["check", "--config", config.to_str().unwrap()],
            &[&format!("clusters[0].namespaces[1]: {expected}")],
        );
    };
    for name in ["", "Shop", "pay-.*", "shop pay", "a\"b"] {
        refused_too(name);
    }
    for argument in ["--cluster", "--context"] {
        refused(
            &["check", "--prometheus", "http://127.0.0.1:1", argument, ""],
            &["expected a name, got an empty text"],
        );
    }
    refused(&["check", "--prometheus", "http://127.0.0.1:1", "-n", "shop,pay-*,"], &["got ``"]);
    refused(&["check", "--prometheus", "http://127.0.0.1:1", "-n", "shop,pay-*"], &["cannot reach"]);
}

#[test]
fn addresses_and_headers_are_whole() {
    for (args, expected) in [
        (
            &["--prometheus", "http://bob:hunter2@127.0.0.1:1"][..],
            "--prometheus: the address holds credentials, which every user of the machine can see; give them as PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD",
        ),
        (
            &["--prometheus", "http://127.0.0.1:1?x=hunter2"],
            "prometheus url: expected an address without `?` and `#`, got `http://127.0.0.1:1` with more behind it",
        ),
        (
            &["--prometheus", "http://127.0.0.1:1", "--prometheus-header", "X:"],
            "--prometheus-header: expected `Name: value`, got no value for `X`",
        ),
        (
            &["--prometheus", ""],
            "expected an address such as `http://prometheus.example:9090`, got an empty text",
        ),
    ] {
        refused(&[&["check"][..], args].concat(), &[expected]);
        let out = run(&[&["check"][..], args].concat());
        assert!(!String::from_utf8(out.stderr).unwrap().contains("hunter2"));
    }
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    std::fs::write(&config, "clusters: [{name: a, prometheus: {url: 'http://bob:hunter2@127.0.0.1:1'}}]")
        .unwrap();
    refused(
        &["check", "--config", config.to_str().unwrap()],
        &[
            "clusters[0].prometheus.url: the address holds credentials, and the file is for none; name what holds them by `username-env` and `password-env`",
        ],
    );
}

#[test]
fn a_configuration_that_cannot_be_used_is_not_shown_either() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    std::fs::write(
        folder.path().join("q.yaml"),
        "queries:\n  memory_usage: max_over_time(x[{lookback}:{step}])\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("broken.yaml"), "memory_usage: 'sum(x{'\n").unwrap();
    let with =
        |what: &str| format!("clusters: [{{name: a, prometheus: {{url: 'http://127.0.0.1:1', {what}}}}}]");
    for (text, expected) in [
        ("lookback: 0s".to_owned(), "h.yaml: lookback: expected at least 3 steps of"),
        ("step: 0s".to_owned(), "h.yaml: step: expected a whole number of seconds from 1s, got `0s`"),
        ("lookback: 10m\nstep: 5m".to_owned(), "h.yaml: lookback: expected at least 3 steps of 5m"),
        ("queries: q.yaml".to_owned(), "q.yaml: queries.memory_usage: carries `[{lookback}:{step}]`"),
        ("queries: broken.yaml".to_owned(), "broken.yaml: memory_usage: is not valid PromQL"),
        (
            with("concurrency: 0"),
            "clusters[0].prometheus.concurrency: expected a number from 1 to 64, got `0`",
        ),
        (
            with("concurrency: 65"),
            "clusters[0].prometheus.concurrency: expected a number from 1 to 64, got `65`",
        ),
        (with("matchers: [oops]"), "clusters[0].prometheus: prometheus matcher `oops`"),
        (
            "checks: {restarts: {lookback: 30d}}".to_owned(),
            "checks.restarts.lookback: expected at most the look-back of the run, `7d`, got `30d`",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        refused(&["config", "show", "--config", config.to_str().unwrap()], &[expected]);
        refused(
            &["check", "--config", config.to_str().unwrap(), "--prometheus", "http://127.0.0.1:1"],
            &[expected],
        );
    }
    std::fs::write(&config, "lookback: 30d\nchecks: {restarts: {lookback: 30d}}").unwrap();
    assert_eq!(run(&["config", "show", "--config", config.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn formats_and_languages_have_the_names_that_people_write() {
    let same = |one: &[&str], other: &[&str]| {
        let said = |args: &[&str]| run(&[&["demo"], args].concat()).stdout;
        assert!(!said(one).is_empty() && said(one) == said(other), "{one:?} {other:?}");
    };
    same(&["-f", "md"], &["-f", "markdown"]);
    same(&["-f", "MARKDOWN"], &["-f", "markdown"]);
    same(&["-f", "md", "--lang", "zh_TW"], &["-f", "md", "--lang", "zh-TW"]);
    same(&["-f", "md", "--lang", "zh-tw"], &["-f", "md", "--lang", "zh-TW"]);
    refused(&["demo", "-f", "marcdown"], &["or template=FILE, did you mean `markdown`?"]);
}

#[test]
fn messages_are_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("twice.yaml"), "lookback: 1d\nlookback: 2d\n").unwrap();
    refused(
        &["config", "show", "--config", &path("twice.yaml")],
        &["is no YAML: line 2 column 1: the key `lookback` is given twice\n"],
    );
    std::fs::write(path("open.yaml"), "a: [1,\n").unwrap();
    refused(
        &["config", "show", "--config", &path("open.yaml")],
        &["is no YAML: line 1 column 4: unclosed bracket"],
    );
    let out = run(&["config", "init", &path("no/h.yaml")]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.contains("no/h.yaml: cannot be written") && !said.contains(".healthcheck-"), "{said}");
    let whole = std::fs::read(format!("{}/snapshot.ndjson", fixture("healthy"))).unwrap();
    let third = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(2).unwrap().0;
    std::fs::write(path("cut.ndjson"), &whole[..third + 100]).unwrap();
    refused(
        &["check", "--snapshot", &path("cut.ndjson")],
        &["cut.ndjson: is cut off in line 4; record it again, or copy it again whole"],
    );
}

#[test]
fn remedies_name_the_right_thing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let out = run(&["record", "-o", &path("s.zst")]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("no source to read: give `--prometheus URL`, a Kubernetes context or `--config FILE`")
            && !said.contains("--snapshot"),
        "{said}"
    );
    std::fs::write(path("h.yaml"), "skip: [restarts]\n").unwrap();
    for command in ["check", "record"] {
        refused(
            &[command, "--config", &path("h.yaml")],
            &["h.yaml names no clusters: give `clusters` there, `--prometheus URL` or a Kubernetes context"],
        );
    }
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--prometheus-ca", "/no/ca.pem"],
        &["/no/ca.pem: cannot be read", "name the authority's file with `--prometheus-ca`"],
    );
    refused(
        &["check", "--kubeconfig", "/dev/null"],
        &["/dev/null: has no contexts; expected a kubeconfig, give another with --kubeconfig"],
    );
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1"],
        &["Connection refused", "; check the address and the port, and whether the server runs"],
    );
}

#[test]
fn exit_codes_follow_the_findings() {
    let code = |args: &[&str]| run(args).status.code();
    let (healthy, sick) = (fixture("healthy"), fixture("exchange-oom"));
    assert_eq!(code(&["check", "--snapshot", &healthy, "--fail-on", "warning"]), Some(0));
    assert_eq!(code(&["check", "--snapshot", &sick]), Some(1));
    assert_eq!(code(&["check", "--snapshot", &sick, "--fail-on", "never"]), Some(0));
    assert_eq!(
        code(&["check", "--snapshot", &sick, "--only", "hpa-at-max"]),
        Some(3),
        "nothing of that kind is there"
    );
    assert_eq!(code(&["demo"]), Some(0));
    assert_eq!(code(&["demo", "--fail-on", "critical"]), Some(1));
}

/// The log of a Job that ends well is not empty.
#[test]
fn without_a_terminal_a_run_ends_with_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (page, broken) = (path("r.html"), path("no/r.json"));
    let config = path("h.yaml");
    std::fs::write(&config, "deliver: [{type: stdout}]\n").unwrap();
    let snapshot = fixture("pods-in-trouble");
    let last = |args: &[&str]| {
        let out = run(&[&["check", "--snapshot", &snapshot][..], args].concat());
        let said = String::from_utf8(out.stderr).unwrap();
        // The time that it takes is another one each time.
        let line = said.lines().find(|line| line.contains("; took ")).unwrap_or_default().to_owned();
        let (line, took) = line.split_once("; took ").unwrap_or_default();
        assert!(took.is_empty() || took.trim_end_matches(" s").parse::<f64>().is_ok(), "{said}");
        line.replace(&path(""), "")
    };
    let counts = last(&[]);
    let (verdict, _) = counts.split_once(": ").unwrap();
    assert_eq!(verdict, "critical");
    insta::assert_snapshot!("closing_line", counts);
    assert_eq!(
        last(&["-o", &page, "--config", &config]),
        format!("{counts}; written: r.html; deliveries: 1 sent")
    );
    assert_eq!(last(&["-o", &page, "-q"]), "");
    assert_eq!(last(&["--dry-run"]), "");
    assert_eq!(last(&["-o", &broken]), "", "refused before anything is read");
    let part = last(&["--shard", "0/2", "-f", "json", "-o", &path("0.json")]);
    assert!(part.starts_with("shard 0/2: ") && part.ends_with("; written: 0.json"), "{part}");
}

#[test]
fn reports_go_where_they_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (json, md) = (path("r.json"), path("r.md"));
    let out = run(&["demo", "-o", &json, "-f", "json", "-f", "markdown", "-o", &md]);
    assert_eq!((out.status.code(), out.stdout.len(), out.stderr.len()), (Some(0), 0, 0));
    assert!(std::fs::read_to_string(&md).unwrap().starts_with("# Health report: critical"));
    assert!(std::fs::read_to_string(&json).unwrap().starts_with("{\n  \"format\""));
    let out = run(&["demo", "-o", &json]);
    assert_eq!(out.status.code(), Some(0), "a file that is there is replaced");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    let a = run(&["demo", "-f", "json"]).stdout;
    assert!(a == run(&["demo", "-f", "json"]).stdout, "the same input gives the same report, byte for byte");
    let text = String::from_utf8(run(&["demo", "-f", "text"]).stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "no colours without a terminal");
    assert!(
        String::from_utf8(run(&["demo", "-f", "text", "--color", "always"]).stdout)
            .unwrap()
            .contains('\u{1b}')
    );
}

#[test]
fn nothing_is_written_over_what_is_read_or_written_already() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (snapshot, dotted) = (path("snapshot.ndjson"), format!("{}/./snapshot.ndjson", path("")));
    std::fs::copy(format!("{}/snapshot.ndjson", fixture("healthy")), &snapshot).unwrap();
    let before = std::fs::read(&snapshot).unwrap();
    for from in [&snapshot, &path("")] {
        let args = ["check", "--snapshot", from, "-f", "text", "-o", &dotted];
        refused(&args, &["snapshot.ndjson: is the file of --snapshot, which would be lost; name another"]);
    }
    let (config, thresholds) = (path("h.yaml"), path("old.yaml"));
    std::fs::write(&thresholds, "memory: {usage_critical: 95}\n").unwrap();
    std::fs::write(&config, "thresholds: old.yaml\n").unwrap();
    let server = ["--prometheus", "http://127.0.0.1:1", "--config", &config];
    let with = |command: &'static str, rest: &[&'static str], path: &str| -> Vec<String> {
        [command].iter().chain(&server).chain(rest).copied().chain([path]).map(str::to_owned).collect()
    };
    let (same, other) = (path("same.zst"), format!("{}/../same.zst", path("sub")));
    std::fs::create_dir(path("sub")).unwrap();
    for (args, expected) in [
        (with("record", &["-o"], &config), "is no recording, and one would take its place"),
        (with("check", &["--record"], &config), "is no recording, and one would take its place"),
        (with("check", &["-f", "text", "-o"], &config), "h.yaml: is the file of --config"),
        (with("check", &["-f", "text", "-o"], &thresholds), "old.yaml: is the file of the configuration"),
        (
            [with("check", &["-f", "text", "-o"], &same), vec!["--record".into(), other.clone()]].concat(),
            "is written to already, by --record",
        ),
        (
            [
                with("check", &["-f", "text", "-o"], &same),
                vec!["-f".into(), "json".into(), "-o".into(), other.clone()],
            ]
            .concat(),
            "is written to already, by --output",
        ),
    ] {
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[expected]);
    }
    refused(&["demo", "-f", "text", "-o", &same, "-f", "json", "-o", &other], &["is written to already"]);
    assert_eq!(std::fs::read(&snapshot).unwrap(), before);
}

#[cfg(unix)]
#[test]
fn links_and_devices_stay_what_they_are() {
    use std::os::unix::fs::FileTypeExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("today.json"), folder.path().join("latest.json"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(run(&["demo", "-o", link.to_str().unwrap()]).status.code(), Some(0));
    assert!(link.is_symlink() && std::fs::read_to_string(&file).unwrap().starts_with('{'));
    // A link to the device: were it replaced, it would be the link that is lost.
    let null = folder.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    assert_eq!(run(&["demo", "-f", "json", "-o", null.to_str().unwrap()]).status.code(), Some(0));
    assert!(null.is_symlink() && std::fs::metadata(&null).unwrap().file_type().is_char_device());
}

#[test]
fn the_environment_names_a_server_only_where_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    std::fs::write(
        &config,
        "clusters: [{name: a, prometheus: {url: 'http://127.0.0.1:2', retries: 0}}, {name: b, prometheus: {url: 'http://127.0.0.1:3', retries: 0}}]",
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let said = |args: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        command.env_clear().env("HOME", "/nonexistent").env("PROMETHEUS_URL", "http://127.0.0.1:1");
        let out = command.arg("check").args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(2));
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(said(&[]).contains("cannot reach http://127.0.0.1:1"));
    assert!(said(&["--prometheus", "http://127.0.0.1:4"]).contains("cannot reach http://127.0.0.1:4"));
    let both = said(&["--config", config]);
    assert!(both.contains("127.0.0.1:2") && both.contains("127.0.0.1:3"), "{both}");
    let one = said(&["--config", config, "--cluster", "b"]);
    assert!(!one.contains("127.0.0.1:2") && one.contains("127.0.0.1:3"), "{one}");
    let none = said(&["--config", config, "--cluster", "c"]);
    assert!(none.contains("the configuration has no cluster of this name; it has a, b"), "{none}");
}

/// An https address behind which a server answers in plain text, as to any client that does not speak HTTP.
fn server_without_tls() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    url
}

/// A server that knows no metric at all; it lives as long as the test.
fn empty_prometheus() -> String {
    prometheus_for(None)
}

/// The same, for those only that send these credentials, if any.
fn prometheus_for(authorization: Option<&'static str>) -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
            let whole = |seen: &[u8]| {
                let text = String::from_utf8_lossy(seen).to_ascii_lowercase();
                let (head, body) = text.split_once("\r\n\r\n")?;
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
                (body.len() >= length.map_or(0, |l| l.parse().unwrap())).then_some(())
            };
            while whole(&seen).is_none() {
                match stream.read(&mut buffer) {
                    Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
                    _ => break,
                }
            }
            let body = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
            let known = authorization.is_none_or(|wanted| String::from_utf8_lossy(&seen).contains(wanted));
            let status = if known { "200 OK" } else { "401 Unauthorized" };
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: ");
            let _ = write!(stream, "{head}{}\r\n\r\n{body}", body.len());
        }
    });
    url
}

#[test]
fn a_cluster_that_cannot_be_set_up_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    let kubeconfig = folder.path().join("k.yaml");
    std::fs::write(
        &kubeconfig,
        "{clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: k, context: {cluster: k, user: u}}], current-context: k, \
         users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-plugin, interactiveMode: Never}}}]}",
    )
    .unwrap();
    let (url, kubeconfig) = (empty_prometheus(), kubeconfig.display());
    std::fs::write(
        &config,
        format!(
            "clusters:\n\
             - {{name: good, prometheus: {{url: '{url}'}}}}\n\
             - {{name: file, kubernetes: {{kubeconfig: /no/kubeconfig}}, prometheus: {{via: 'service-proxy:mon/prometheus:9090'}}}}\n\
             - {{name: context, kubernetes: {{kubeconfig: '{kubeconfig}', context: prodd}}}}\n\
             - {{name: plugin, kubernetes: {{kubeconfig: '{kubeconfig}'}}, prometheus: {{url: '{url}'}}}}\n\
             - {{name: ca, namespaces: [x], prometheus: {{url: '{url}', ca-file: /no/ca.pem}}}}\n"
        ),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let out = run(&["check", "--config", config, "--format", "json"]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(3), "{said}");
    assert_eq!(said.matches("exit 3: too little could be judged").count(), 1, "{said}");
    let report = String::from_utf8(out.stdout).unwrap();
    let told = |scope: &str, words: &str| {
        report.split('{').any(|g| g.contains(&format!("\"scope\": \"{scope}\"")) && g.contains(words))
    };
    for (scope, words) in [
        (
            "file",
            "cannot reach prometheus by way of service-proxy mon/prometheus:9090: /no/kubeconfig: cannot",
        ),
        ("context", "clusters[2].kubernetes.context: there is no context `prodd` in"),
        ("plugin/kubernetes", "cannot run the credential plugin `no-such-plugin`: it does not exist"),
        ("ca", "/no/ca.pem: cannot be read"),
    ] {
        assert!(told(scope, words), "{scope}: {report}");
    }
    let out = run(&["check", "--config", config, "--dry-run"]);
    let plan = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0));
    assert!(
        plan.contains("cluster file\n  no source: cannot reach") && plan.contains("cluster ca\n"),
        "{plan}"
    );
    refused(&["check", "--config", config, "--cluster", "context"], &["no source can be used", "`prodd`"]);
}

#[test]
fn clusters_of_the_file_that_an_argument_leaves_out_are_named() {
    let url = prometheus_for(None);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("h.yaml");
    std::fs::write(&file, format!("clusters: [{{name: a, prometheus: {{url: '{url}'}}}}]\n")).unwrap();
    let told = |arguments: &[&str]| {
        let out = run(&[&["check", "--config", file.to_str().unwrap()], arguments].concat());
        String::from_utf8(out.stderr).unwrap()
    };
    assert!(!told(&[]).contains("left out"), "{}", told(&[]));
    let said = told(&["--prometheus", &url]);
    assert!(
        said.contains(
            "--prometheus names what is read, so the clusters of the configuration file are left out (a)"
        ),
        "{said}"
    );
}

#[test]
fn credentials_of_the_environment_are_those_of_the_only_server_of_the_file() {
    // reader:hunter2
    let url = prometheus_for(Some("Basic cmVhZGVyOmh1bnRlcjI="));
    let folder = tempfile::tempdir().unwrap();
    let checked = |clusters: &str, environment: &[(&str, &str)]| {
        let config = folder.path().join("h.yaml");
        std::fs::write(&config, format!("clusters: [{}]\n", clusters.replace("URL", &url))).unwrap();
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        command.env_clear().env("HOME", "/nonexistent").envs(environment.iter().copied());
        let out = command.arg("check").arg("--config").arg(&config).output().unwrap();
        let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        assert!(!said.contains("hunter"), "{said}");
        (out.status.code(), said)
    };
    let both = [("PROMETHEUS_USERNAME", "reader"), ("PROMETHEUS_PASSWORD", "hunter2")];
    let lone = "{name: a, prometheus: {url: 'URL'}}";
    // The server lets it in, and knows nothing.
    assert_eq!(checked(lone, &both).0, Some(3), "{}", checked(lone, &both).1);
    let and_another =
        "{name: a, prometheus: {url: 'URL'}}, {name: b, kubernetes: {kubeconfig: /no/kubeconfig}}";
    assert_eq!(checked(and_another, &both).0, Some(3), "{}", checked(and_another, &both).1);
    let own = "{name: a, prometheus: {url: 'URL', username-env: U, password-env: P}}";
    let others = [("U", "reader"), ("P", "hunter2"), ("PROMETHEUS_TOKEN", "hunter3")];
    assert_eq!(checked(own, &others).0, Some(3), "{}", checked(own, &others).1);
    for (clusters, environment, words) in [
        (lone, &[][..], "none were sent: set PROMETHEUS_USERNAME"),
        (lone, &[("PROMETHEUS_TOKEN", "hunter9")], "credentials were sent and are refused"),
        (lone, &both[..1], "PROMETHEUS_USERNAME is set, and PROMETHEUS_PASSWORD is not"),
        (
            "{name: a, prometheus: {url: 'URL'}}, {name: b, prometheus: {url: 'URL/b'}}",
            &both,
            "of several servers in a configuration each names its own",
        ),
    ] {
        let (code, said) = checked(clusters, environment);
        assert!(code == Some(2) && said.contains(words), "{clusters}: {said}");
    }
}

#[test]
fn arguments_of_a_server_apply_to_the_clusters_of_the_file_or_are_refused() {
    // Takes connections, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    let url = format!("http://{}", silent.local_addr().unwrap());
    std::fs::write(
        &config,
        format!("clusters: [{{name: a, prometheus: {{url: '{url}/a', retries: 0, timeout: 3s}}}}, {{name: b, prometheus: {{url: '{url}/b', retries: 0}}}}]"),
    )
    .unwrap();
    let config = config.to_str().unwrap();
    let late = "no whole answer in 50ms";
    refused(
        &["check", "--config", config, "--timeout", "50ms"],
        &[&format!("{url}/a: {late}"), &format!("{url}/b: {late}")],
    );
    for (argument, value, key) in [
        ("--dialect", "arms", "dialect"),
        ("--prometheus-header", "X-Scope-OrgID: a", "headers"),
        ("--prometheus-ca", "ca.pem", "ca-file"),
        ("--prometheus-matcher", "cluster=\"prod\"", "matchers"),
    ] {
        let refusal = format!("{argument}: counts for the server of --prometheus or --prometheus-via only");
        let key = format!("give `prometheus.{key}` there");
        for command in ["check", "record"] {
            refused(&[command, "--config", config, argument, value], &[&refusal, &key]);
        }
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(
            &kubeconfig,
            "{clusters: [{name: k, cluster: {server: 'http://127.0.0.1:1'}}], contexts: [{name: k, context: {cluster: k, user: ''}}], current-context: k}",
        )
        .unwrap();
        refused(
            &["check", "--kubeconfig", kubeconfig.to_str().unwrap(), argument, value],
            &[&format!("{argument}: no metrics server is named; give --prometheus or --prometheus-via")],
        );
        refused(
            &["check", "--snapshot", &fixture("healthy"), argument, value],
            &["the argument '--snapshot <PATH>' cannot be used with", argument],
        );
    }
    refused(
        &["check", "--config", config, "--prometheus-insecure"],
        &["--prometheus-insecure: counts for the server of --prometheus or --prometheus-via only"],
    );
}

#[test]
fn every_value_in_effect_has_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    std::fs::write(folder.path().join("old.yaml"), "memory:\n  # Percent.\n  usage_critical: 95\n").unwrap();
    std::fs::write(
        &config,
        "# A comment.
lookback: 3d

thresholds: old.yaml
clusters:
  - name: prod
    prometheus:
      url: https://prom.example:9090/hunter2/x
      username-env: PU
      password-env: PW
      headers: [{name: X-Scope-OrgID,
                 value-env: TENANT}]
skip:
  - restarts
  - oom-killed
checks:
  memory-usage:
    warning: 60%
    classes: {batch: {
      warning: 75% }}
  hpa-at-max: {enabled: false}
",
    )
    .unwrap();
    let file = config.to_str().unwrap();
    let shown = |args: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        command.env_clear().envs([("PU", "reader"), ("PW", "hunter3"), ("TENANT", "hunter4")]);
        command.env("PROMETHEUS_TOKEN", "hunter5").args(["config", "show"]).args(args);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(!text.contains("hunter"), "{text}");
        text
    };
    let text =
        shown(&["--config", file, "--set", "memory-leak . min-slope = 5MB/h", "--skip", "warning-events"]);
    let old = folder.path().join("old.yaml").display().to_string();
    for line in [
        format!("lookback: 3d  # {file}:2"),
        "only: []  # default".to_owned(),
        format!("  - oom-killed  # {file}:15"),
        format!("  - restarts  # {file}:14"),
        "  - warning-events  # --skip".to_owned(),
        format!("# clusters[0].name: prod  # {file}:6"),
        format!("# clusters[0].prometheus.url: https://prom.example:9090/[redacted]  # {file}:8"),
        format!("# clusters[0].prometheus.password-env: PW  # environment variable PW, named at {file}:10"),
        format!(
            "# clusters[0].prometheus.headers[0].value-env: TENANT  # environment variable TENANT, named at {file}:12"
        ),
        "# clusters[0].prometheus.timeout: 30s  # default".to_owned(),
        format!("    warning: 60%  # {file}:18"),
        format!("    critical: 95%  # {old}:3"),
        format!("        warning: 75%  # {file}:20"),
        "    min-slope: 5MB/h  # --set".to_owned(),
        "    max-p: 0.05  # default".to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n\n{text}");
    }
    for (id, origin) in [
        ("memory-usage", "true  # default".to_owned()),
        ("hpa-at-max", format!("false  # {file}:21")),
        ("restarts", format!("false  # {file}:14")),
        ("warning-events", "false  # --skip".to_owned()),
    ] {
        assert!(text.contains(&format!("  {id}:\n    enabled: {origin}\n")), "{id}\n\n{text}");
    }
    let alone = shown(&["--only", "memory-leak"]);
    assert!(alone.contains("only:\n  - memory-leak  # --only\n"), "{alone}");
    assert!(alone.contains("  restarts:\n    enabled: false  # --only\n"), "{alone}");
    assert!(
        alone.contains("# PROMETHEUS_TOKEN is set  # environment variable PROMETHEUS_TOKEN\n"),
        "{alone}"
    );
    // What is shown can be used, and is in effect again.
    let again = folder.path().join("again.yaml");
    std::fs::write(&again, &text).unwrap();
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| !l.starts_with('#'));
        lines.map(|l| l.split("  # ").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(values(&shown(&["--config", again.to_str().unwrap()])), values(&text));
}

#[test]
fn a_token_of_two_lines_is_refused_and_not_shown() {
    let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
    command.env_clear().env("HOME", "/nonexistent").env("PROMETHEUS_TOKEN", "hunter2\nhunter3");
    let out = command.args(["check", "--prometheus", "http://127.0.0.1:1"]).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(
        said.contains("PROMETHEUS_TOKEN: the secret holds a line break") && !said.contains("hunter"),
        "{said}"
    );
}

#[test]
fn colours_are_those_that_are_asked_for() {
    let colored = |args: &[&str], environment: &[(&str, &str)]| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        // Colours without a terminal, which tests do not have.
        command.env_clear().env("CLICOLOR_FORCE", "1").envs(environment.iter().copied()).args(args);
        let out = command.output().unwrap();
        assert!(!out.stderr.is_empty() || out.status.success(), "{args:?}");
        [out.stdout, out.stderr].concat().contains(&0x1b)
    };
    // A mistake that the parser finds, help, and a mistake that is found later.
    for args in [&["check", "--nonsense"][..], &["check", "--help"], &["check", "--set", "oops"]] {
        let with = |color: &'static str| [args, &[color]].concat();
        assert!(colored(&with("--color=always"), &[("NO_COLOR", "1")]), "{args:?}");
        assert!(!colored(&with("--color=never"), &[]), "{args:?}");
        assert!(!colored(&[&["--color", "never"], args].concat(), &[]), "{args:?}");
        assert!(!colored(args, &[("NO_COLOR", "1")]), "{args:?}");
    }
    assert!(colored(&["check", "--nonsense"], &[]), "else the cases above show nothing");
    assert!(colored(&["check", "--color=nonsense"], &[]), "what is no choice counts as none");
    refused(&["check", "--color=nonsense"], &["invalid value 'nonsense' for '--color <COLOR>'"]);
}

#[test]
fn help_says_what_it_said() {
    for (name, args) in [("help", &["--help"][..]), ("check-help", &["check", "--help"])] {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        let out = command.env_clear().env("COLUMNS", "100").args(args).output().unwrap();
        insta::assert_snapshot!(name, String::from_utf8(out.stdout).unwrap());
    }
}

#[test]
fn what_is_generated_is_whole() {
    let said = |args: &[&str]| String::from_utf8(run(args).stdout).unwrap();
    let list = run(&["list"]);
    let (lines, beside) = (String::from_utf8(list.stdout).unwrap(), String::from_utf8(list.stderr).unwrap());
    assert_eq!(lines.lines().count(), healthcore::checks::CHECKS.len());
    assert_eq!(beside, format!("{} checks, 1 of them only when asked for\n", lines.lines().count()));
    assert_eq!(lines.matches("Errors in logs (only when asked for)").count(), 1);
    assert!(said(&["explain", "memory-leak"]).contains("## How it decides"));
    assert!(said(&["completions", "bash"]).contains("_healthcheck"));
    assert!(said(&["man"]).contains(".TH healthcheck"));
    assert!(said(&["man", "check"]).contains("fail\\-on"));
    assert!(said(&["config", "schema"]).contains("\"memory-leak\""));
    let shown = said(&["config", "show", "--set", "memory-leak.min-slope=5MB/h"]);
    assert!(
        shown.contains("min-slope: 5MB/h  # --set") && shown.contains("max-p: 0.05  # default"),
        "{shown}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.yaml").display().to_string();
    assert_eq!(run(&["config", "init", &path]).status.code(), Some(0));
    refused(&["config", "init", &path], &["is there already"]);
    refused(&["check", "--config", &path], &["no source to read"]);
    refused(
        &["check", "--prometheus", "http://127.0.0.1:1", "--dry-run", "-f", "json"],
        &["'--dry-run' cannot be used with", "--format"],
    );
}

#[test]
fn what_holds_in_a_namespace_has_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("h.yaml");
    std::fs::write(
        &config,
        "profiles:
  calm: {checks: {memory-usage: {warning: 60%}}}
checks: {memory-usage: {critical: 90%}}
clusters:
  - name: prod
    extends: calm
    prometheus: {url: http://prom.example}
    namespaces:
      - '*'
      - {name: 'pay-*', checks: {memory-usage: {warning: 50%}, restarts: {enabled: false}}}
",
    )
    .unwrap();
    let file = config.to_str().unwrap();
    let shown = |args: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        let out = command.env_clear().args(["config", "show", "--config", file]).args(args).output().unwrap();
        String::from_utf8(if out.status.success() { out.stdout } else { out.stderr }).unwrap()
    };
    let has = |args: &[&str], lines: &[String]| {
        let text = shown(args);
        for line in lines {
            assert!(text.lines().any(|l| l == line), "{args:?}: {line}\n{text}");
        }
    };
    let critical = format!("    critical: 90%  # {file}:3");
    has(&[], &["    warning: 70%  # default".to_owned(), critical.clone()]);
    let cluster = format!("    warning: 60%  # {file}:2");
    has(
        &["--cluster", "prod"],
        &["checks:  # in cluster prod".to_owned(), cluster.clone(), critical.clone()],
    );
    has(&["--cluster", "prod", "-n", "shop"], &[cluster, critical.clone()]);
    has(
        &["--cluster", "prod", "-n", "pay-card"],
        &[
            "checks:  # in namespace pay-card of cluster prod".to_owned(),
            format!("    warning: 50%  # {file}:10"),
            critical,
            format!("    enabled: false  # {file}:10"),
        ],
    );
    has(
        &["--cluster", "prod", "-n", "pay-card", "--set", "memory-usage.warning=40%"],
        &["    warning: 40%  # --set".to_owned()],
    );
    let why = shown(&["--cluster", "prd"]);
    assert!(
        why.contains("--cluster prd: the configuration has no cluster of this name; it has prod"),
        "{why}"
    );
    refused(&["config", "show", "--cluster", "prd"], &["it has none; name a file that has it with --config"]);
}

/// The running image is told by the manifest.
#[test]
fn an_image_of_another_version_is_told() {
    let told = |image: &str| {
        let mut command = assert_cmd::Command::cargo_bin("healthcheck").unwrap();
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/healthy");
        command.env_clear().env("HEALTHCHECK_IMAGE", image);
        let out = command.args(["check", "--snapshot", fixture, "--format", "text"]).output().unwrap();
        String::from_utf8(out.stdout).unwrap().contains("(version-mismatch): the image is tagged `v23`")
    };
    assert!(told("registry.example/ops/healthcheck:v23"));
    assert!(!told(concat!("registry.example/ops/healthcheck:v", env!("CARGO_PKG_VERSION"))));
}

/// To the first process of a container Linux delivers no signal that it has no handler for.
#[cfg(target_os = "linux")]
#[test]
fn the_first_process_of_a_container_ends_by_a_signal() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let as_first = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]).args(args);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    };
    if !as_first(&["true"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success()) {
        let _ = writeln!(std::io::stderr(), "skipped: this machine makes no namespace of processes");
        return;
    }
    let (input, output) = (path("snapshot"), path("report.md"));
    assert!(Command::new("mkfifo").arg(&input).status().unwrap().success());
    std::fs::write(&output, "of yesterday").unwrap();
    let program = assert_cmd::cargo::cargo_bin("healthcheck").display().to_string();
    // The recording never comes: the first process of the namespace waits for it, and its shell outside sends the signal.
    let script = format!("exec {program} check --snapshot {input} -o {output}");
    let mut child = as_first(&["sh", "-c", &script]).stderr(Stdio::piped()).spawn().unwrap();
    let parent = format!("PPid:\t{}\n", child.id());
    let child_of_it = || {
        let pids =
            std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().into_string().ok());
        let is_child = |pid: &String| {
            std::fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| status.contains(&parent))
        };
        pids.filter(|pid| pid.bytes().all(|b| b.is_ascii_digit())).find(is_child).unwrap_or_default()
    };
    let named = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let handles = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"));
        caught.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask >> 14 & 1 == 1)
    };
    let pid = loop {
        let pid = child_of_it();
        if !pid.is_empty() && named(&pid).trim() == "healthcheck" && handles(&pid) {
            break pid;
        }
        assert!(child.try_wait().unwrap().is_none(), "it waits for its recording");
        std::thread::yield_now();
    };
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(143), "{said}");
    assert!(said.contains("SIGTERM: stopped"), "{said}");
    assert_eq!(std::fs::read_to_string(&output).unwrap(), "of yesterday");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
