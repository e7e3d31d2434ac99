//! `--history` and `history:` as their users meet them.

use crate::{fixture, refused, run};

#[test]
fn a_place_is_given_by_argument_or_file() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = fixture("healthy");
    let config = folder.path().join("healthcheck.yaml");
    std::fs::write(&config, "history: {location: of-file, required: true}\n").unwrap();
    let (config, place) = (config.to_str().unwrap(), folder.path().join("of-argument"));
    let check =
        |rest: &[&str]| run(&[&["check", "--snapshot", &snapshot, "--format", "text"], rest].concat());

    let out = check(&["--history", place.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("The first run that is remembered"));
    assert!(place.is_dir() && out.status.success());

    let out = check(&["--config", config, "--no-history"]);
    assert!(!String::from_utf8_lossy(&out.stdout).contains("What changed"));
    let of_file = folder.path().join("of-file");
    assert!(!of_file.exists());

    assert!(check(&["--config", config]).status.success());
    let cluster = std::fs::read_dir(&of_file).unwrap().next().unwrap().unwrap().path();
    std::fs::write(cluster.join("20200101T000000Z-0000000000000000.ndjson.zst"), "torn").unwrap();
    let out = check(&["--config", config]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(
        said.contains("is no history of healthcheck") && said.contains("the report is written all the same"),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&out.stdout).contains("Health report"));
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn what_is_no_place_is_refused() {
    let snapshot = fixture("healthy");
    let check = |place: &str, expected: &[&str]| {
        refused(&["check", "--snapshot", &snapshot, "--history", place], expected)
    };
    check("s3://key:hunter2@bucket/h", &["--history: the address holds credentials"]);
    check("", &["a value is required for '--history <PLACE>'"]);
    refused(&["check", "--no-history", "--history", "h"], &["cannot be used with"]);
}

#[test]
fn a_place_that_cannot_be_made_costs_no_report() {
    let snapshot = fixture("healthy");
    let out = run(&["check", "--snapshot", &snapshot, "--history", "/dev/null/h", "--format", "text"]);
    let said = String::from_utf8(out.stdout).unwrap();
    assert!(said.contains("/dev/null/h: earlier runs cannot be read: the folder cannot be made"), "{said}");
    assert!(out.status.success());
}

#[test]
fn a_digest_tells_what_the_history_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("history");
    let place = place.to_str().unwrap();
    refused(&["digest"], &["no history to read: give `--history PLACE`, or `--config FILE` with `history`"]);
    refused(&["digest", "--history", place], &["there is no such folder", "`check --history`"]);
    assert!(!folder.path().join("history").exists(), "a digest makes no folder");
    refused(
        &["digest", "--history", "s3://key:hunter2@bucket/h"],
        &["--history: the address holds credentials"],
    );
    refused(&["digest", "--history", place, "-o", "week.html"], &["no format of digests has this ending"]);

    let demo = fixture("demo");
    assert!(run(&["check", "--snapshot", &demo, "--fail-on", "never", "--history", place]).status.success());
    let end = "2026-11-20T02:00:00Z"; // an hour after the sample
    let out = run(&["digest", "--history", place, "--at", end, "--format", "text"]);
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(out.status.code(), Some(0), "{said}");
    assert!(said.contains("Health digest") && said.contains("1 run, the last at"), "{said}");
    assert!(said.contains("Open the longest"), "what the first run found is not new: {said}");

    let file = folder.path().join("week.json");
    let args = ["digest", "--history", place, "--at", end, "--lang", "zh-TW", "-o", file.to_str().unwrap()];
    assert_eq!(run(&args).status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((&json["format"]["name"], &json["lang"]), (&"healthcheck-digest".into(), &"zh-TW".into()));
    assert_eq!(json["clusters"][0]["runs"], 1);

    let messages = run(&["digest", "--history", place, "--at", end, "--format", "slack"]);
    let json: serde_json::Value = serde_json::from_slice(&messages.stdout).unwrap();
    assert!(
        json["message"]["text"].as_str().is_some_and(|t| t.starts_with("Health digest (prod)")),
        "{json}"
    );

    let later = run(&["digest", "--history", place, "--at", "2030-01-01T00:00:00Z"]);
    assert_eq!(later.status.code(), Some(3), "a period without any run says too little");
    refused(&["digest", "--history", place, "--cluster", "nope"], &["there is no run of cluster `nope`"]);
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_costs_no_other_report_and_no_delivery() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let template = path("t.jinja");
    std::fs::write(&template, "{{ report.verdikt }}").unwrap();
    std::fs::write(
        path("c.yaml"),
        format!("deliver: [{{type: file, path: '{}', when: changes}}]\n", path("sent.html")),
    )
    .unwrap();
    let template = format!("template={template}");
    let (config, history, whole, own) = (path("c.yaml"), path("h"), path("whole.json"), path("own"));
    let out = run(&[
        "check",
        "--snapshot",
        &fixture("demo"),
        "--config",
        &config,
        "--history",
        &history,
        "-f",
        "html",
        "-o",
        "/dev/full",
        "-f",
        &template,
        "-o",
        &own,
        "-f",
        "json",
        "-o",
        &whole,
    ]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("/dev/full: cannot be written") && said.contains("verdikt"), "{said}");
    let size = |path: &str| std::fs::metadata(path).map_or(0, |file| file.len());
    assert!(size(&whole) > 0 && size(&path("sent.html")) > 0, "{said}");
    assert_eq!(size(&own), 0);
}

/// `digest --deliver` sends to the entries of digests alone, a run to the others alone; each says so beforehand.
#[test]
fn a_digest_goes_where_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let config = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let entries = "history: {location: history}\n\
                   deliver:\n\
                   - {type: file, path: 'report.json'}\n\
                   - {type: file, what: digest, path: 'week/{cluster}-{date}.md', severity: critical, on-failure: fail}\n\
                   - {type: stdout, what: digest, format: text}\n";
    let both = config("both.yaml", entries);
    let demo = fixture("demo");
    let check = |rest: &[&str]| {
        run(&[&["check", "--snapshot", &demo, "--config", &both, "--fail-on", "never"], rest].concat())
    };
    let digest = |rest: &[&str]| {
        run(&[&["digest", "--config", &both, "--at", "2026-11-20T02:00:00Z", "--deliver"], rest].concat())
    };
    let told = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    let plan = told(check(&["--dry-run"]).stdout);
    assert!(
        plan.contains("deliver[0]: file")
            && plan.contains("deliver[1]: not by a run, but by `digest --deliver`"),
        "{plan}"
    );
    let plan = told(digest(&["--dry-run"]).stdout);
    assert!(
        !plan.contains("deliver[0]")
            && plan.contains("every digest, severity critical and above; a failure fails the run"),
        "{plan}"
    );
    let shown = told(run(&["config", "show", "--config", &both]).stdout);
    assert!(shown.contains("what: \"digest\""), "{shown}");
    refused(
        &["digest", "--config", &both, "--deliver"],
        &["deliver[2]: standard output has the digest already"],
    );

    let week = folder.path().join("week");
    assert!(check(&[]).status.success());
    assert!(folder.path().join("report.json").exists() && !week.exists());
    std::fs::remove_file(folder.path().join("report.json")).unwrap();
    let file = folder.path().join("digest.md");
    let out = digest(&["-o", file.to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(told(out.stdout).starts_with("Health digest\n"), "the entry of standard output");
    assert!(file.exists() && !folder.path().join("report.json").exists());
    let sent = std::fs::read_to_string(week.join("prod-2026-11-20.md")).unwrap();
    assert!(sent.contains("Only critical findings") && sent.contains("critical 6 → 6.\n"), "{sent}");

    let none = config("none.yaml", "history: {location: history}\ndeliver: [{type: stdout}]\n");
    refused(
        &["digest", "--config", &none, "--deliver"],
        &["none.yaml: no entry of `deliver` says `what: digest`"],
    );
    refused(&["digest", "--history", "x", "--deliver"], &["--config <FILE>"]);
    refused(&["digest", "--config", &none, "--dry-run"], &["--deliver"]);
    let full = format!(
        "history: {{location: history}}\ndeliver: [{{type: file, what: digest, path: {demo}/snapshot.ndjson/x.md, on-failure: fail}}]\n"
    );
    let full = config("full.yaml", &full);
    let out = run(&["digest", "--config", &full, "--at", "2026-11-20T02:00:00Z", "--deliver"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(told(out.stdout).contains("# Health digest"), "it is written all the same");
    assert!(told(out.stderr).contains("cannot be written"), "and what failed is said");
}
