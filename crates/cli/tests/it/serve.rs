//! `serve` as a program: its pages, a configuration that changes, signals, wrong input.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;

use crate::{fixture, refused};

/// A program that serves, and ends with the test.
struct Served {
    child: Child,
    log: BufReader<ChildStderr>,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(args: &[&str]) -> Served {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("healthcheck"))
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("HEALTHCHECK_RUN_TOKEN", "hunter2")
        .args(["serve", "--listen", "127.0.0.1:0", "--run-at-start", "--every", "400d"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let mut served = Served { child, log, address: String::new() };
    let line = served.said("listening on http://");
    served.address = line.rsplit("http://").next().unwrap().trim().to_owned();
    served
}

impl Served {
    /// Reads the log up to a line with these words.
    #[track_caller]
    fn said(&mut self, words: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "never said: {words}\n{all}");
            if line.contains(words) {
                return line;
            }
            all.push_str(&line);
        }
    }

    fn ask(&self, method: &str, page: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{method} {page} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{header}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[track_caller]
    fn shows(&self, page: &str, status: &str, words: &str) {
        let answer = self.ask("GET", page, "");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{page}: {answer}");
        assert!(answer.contains(words), "{page}: {words}\n{answer}");
    }

    /// The run before it may still be ending when its line is logged.
    fn run_again(&mut self) {
        let ask = || self.ask("POST", "/run", "Authorization: Bearer hunter2\r\n");
        let answer = (0..1000).map(|_| ask()).find(|a| !a.starts_with("HTTP/1.1 409")).unwrap_or_default();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    #[track_caller]
    fn ends_by(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.said("stopped");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

fn reports(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn pages_of_a_program_that_runs() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("reports");
    let kept = folder.display().to_string();
    let mut served = serve(&["--snapshot", &fixture("exchange-oom"), "--reports", &kept]);
    served.said("run 1 took");
    served.shows("/report", "200", "<!doctype html>");
    served.shows("/report?format=json", "200", "\"name\": \"healthcheck-report\"");
    served.shows("/readyz", "200", "ready");
    served.shows("/metrics", "200", "healthcheck_runs_total{outcome=\"report\"} 1\n");
    let denied = served.ask("POST", "/run", "Authorization: Bearer wrong\r\n");
    assert!(denied.starts_with("HTTP/1.1 401"), "{denied}");
    served.ends_by("-TERM");
    assert_eq!(reports(&folder).len(), 1);
    // The next program shows the report before it has made one of its own.
    let mut next = serve(&["--prometheus", "http://127.0.0.1:1", "--reports", &kept]);
    next.said("run 1 failed");
    next.shows("/report?format=markdown", "200", "# ");
    next.shows("/metrics", "200", "healthcheck_last_success_timestamp_seconds ");
    next.ends_by("-INT");
}

#[test]
fn a_configuration_that_is_broken_later_fails_the_run_and_keeps_the_report() {
    let place = tempfile::tempdir().unwrap();
    let config = place.path().join("healthcheck.yaml");
    std::fs::write(&config, "checks:\n  memory-usage:\n    critical: 90%\n").unwrap();
    let config_name = config.display().to_string();
    let mut served = serve(&["--snapshot", &fixture("healthy"), "--config", &config_name]);
    served.said("run 1 took");
    std::fs::write(&config, "checks:\n  memory-usage:\n    critical: hunter2\n").unwrap();
    served.run_again();
    let failed = served.said("run 2 failed");
    assert!(failed.contains("memory-usage.critical"), "{failed}");
    served.shows("/report", "200", "<!doctype html>");
    served.shows("/metrics", "200", "healthcheck_run_failures_total{cause=\"configuration\"} 1\n");
    served.shows("/metrics", "200", "healthcheck_last_run_success 0\n");
    std::fs::write(&config, "checks:\n  memory-usage:\n    critical: 90%\n").unwrap();
    served.run_again();
    served.said("run 3 took");
    served.shows("/metrics", "200", "healthcheck_last_run_success 1\n");
    served.ends_by("-TERM");
}

#[test]
fn what_cannot_be_served_is_named() {
    let healthy = fixture("healthy");
    let base = ["serve", "--snapshot", &healthy];
    let said = |rest: &[&str], expected: &[&str]| refused(&[&base[..], rest].concat(), expected);
    said(&[], &["--schedule <CRON>"]);
    said(&["--schedule", "0 9 * *"], &["schedule `0 9 * *`: expected five fields"]);
    said(&["--schedule", "0 0 30 2 *"], &["schedule `0 0 30 2 *`: is never due"]);
    said(&["--schedule", "0 9 * * *", "--time-zone", "Taipei"], &["did you mean `Asia/Taipei`?"]);
    said(&["--every", "6h", "--jitter", "6h"], &["jitter `21600s`: expected less than the shortest time"]);
    said(&["--every", "6h", "--time-zone", "Taipei"], &["expected", "`Asia/Taipei`"]);
    let past = ["--prometheus", "http://127.0.0.1:1", "--at", "2026-01-31T01:00:00Z"];
    refused(
        &[&["serve", "--every", "6h"], &past[..]].concat(),
        &["--at: every run would judge the same instant"],
    );
    said(&["--every", "100ms"], &["interval `100ms`: expected at least one second"]);
    said(
        &["--every", "6h", "--listen", "8080"],
        &["expected an address and a port such as `127.0.0.1:8080`"],
    );
    said(&["--every", "6h", "--listen", "192.0.2.1:80"], &["--listen 192.0.2.1:80: cannot listen there"]);
    said(&["--every", "6h", "--reports", "/dev/null/x"], &["reports `/dev/null/x`: cannot be made"]);
    said(&["--every", "6h", "--set", "memory-usage.warnin=1"], &["did you mean `warning`?"]);
    refused(&["serve", "--every", "6h"], &["no source to read"]);
    refused(&["serve", "--every", "6h", "--config", "/nowhere.yaml"], &["/nowhere.yaml"]);
}

/// A receiver of reports that leaves the first ones without an answer; the heads of what it got.
fn receiver(unanswered: usize) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, got) = mpsc::channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let start = head.len();
                assert!(stream.read_line(&mut head).unwrap() > 0, "{head}");
                let line = head[start..].to_lowercase();
                length = line.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            if open.len() >= unanswered {
                let done = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                stream.get_mut().write_all(done.as_bytes()).unwrap();
            } else {
                open.push(stream);
            }
            if sender.send(head).is_err() {
                return;
            }
        }
    });
    (port, got)
}

/// The report of the day is kept, and its program killed before it has arrived anywhere.
#[test]
fn a_report_that_a_killed_program_kept_is_delivered_by_the_next_one() {
    kept_and_delivered(true);
}

/// What was sent is known from the folder of reports, too.
#[test]
fn it_is_delivered_by_the_next_one_without_a_history_too() {
    kept_and_delivered(false);
}

fn kept_and_delivered(has_history: bool) {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name).display().to_string();
    let (config, folder, history) = (path("h.yaml"), path("reports"), path("history"));
    let snapshot = fixture("pods-in-trouble");
    let mut args = vec!["--snapshot", &snapshot, "--config", &config, "--reports", &folder];
    if has_history {
        args.extend(["--history", &history]);
    }
    let left = || {
        let run = place.path().join("reports").join("20261120T010000Z");
        (run.join("report.html").exists(), run.join("undelivered.json").exists())
    };
    let key = |head: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with("idempotency-key:"));
        line.expect(head).to_lowercase()
    };

    let (port, got) = receiver(1);
    let text = format!("deliver: [{{type: webhook, url: 'http://127.0.0.1:{port}/in'}}]\n");
    std::fs::write(&config, text).unwrap();
    let mut first = serve(&args);
    let sent = got.recv().unwrap();
    assert_eq!(left(), (true, true));
    first.child.kill().unwrap();
    first.child.wait().unwrap();

    let mut second = serve(&args);
    second.said("was kept, and its delivery not finished; it is delivered now");
    second.said("sent: ");
    assert_eq!(key(&got.recv().unwrap()), key(&sent), "the same report");
    // The same recording again, which `--run-at-start` asks for.
    second.said("not sent: this report was sent there already");
    second.ends_by("-TERM");
    assert_eq!(left(), (true, false));
    assert!(got.try_recv().is_err(), "once");
}
