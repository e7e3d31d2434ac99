use proptest::prelude::*;

use super::*;
use crate::logs::{LogContent, SourceKind};

fn read(text: &[u8]) -> LogContent {
    let (mut stream, mut tally) = (LogStream::new(), LogTally::default());
    stream.push(text, &mut tally);
    stream.end(&mut tally);
    tally.content()
}

/// Patterns with their counts, one a line.
#[track_caller]
fn check(text: &str, expected: &[(&str, u64)]) {
    let found = read(text.as_bytes());
    let patterns: Vec<(&str, u64)> = found.patterns.iter().map(|p| (p.text.as_str(), p.count)).collect();
    assert_eq!(patterns, expected, "{text}");
    assert_eq!(found.levels.errors(), expected.iter().map(|(_, n)| n).sum::<u64>(), "{text}");
}

#[test]
fn a_stack_trace_is_one_error() {
    check(
        "2026-11-20 01:00:00 [main] ERROR com.shop.Cart - order 17 failed\n\
         java.sql.SQLException: pool is empty\n\
         \tat com.shop.Cart.pay(Cart.java:12)\n\
         Caused by: java.io.IOException: ERROR in words\n\
         \t... 12 more\n\
         2026-11-20 01:00:01 [main] INFO com.shop.Cart - up\n",
        &[("com.shop.Cart - order <*> failed: java.sql.SQLException: pool is empty", 1)],
    );
}

/// The default pattern of Spring Boot: process, thread and a logger before the message.
#[test]
fn errors_of_spring_boot_are_told_apart() {
    let line = |n: u32, logger: &str, message: &str| {
        format!("2026-11-20T01:00:00.123Z ERROR 1 --- [shop] [nio-8080-exec-{n}] {logger:40} : {message}\n")
    };
    let text: String = (1..=3)
        .flat_map(|n| {
            [
                line(n, "c.shop.Cart", "payment failed"),
                line(n, "c.shop.Order", "disk full"),
                line(n, "c.shop.Auth", "token expired"),
                line(n, "c.shop.Auth", &format!("user {n} is unknown")),
                line(n, "o.a.c.c.C.[.[.[/].[dispatcherServlet]", "Servlet.service() threw"),
            ]
        })
        .collect();
    check(
        &text,
        &[
            ("c.shop.Auth : token expired", 3),
            ("c.shop.Auth : user <*> is unknown", 3),
            ("c.shop.Cart : payment failed", 3),
            ("c.shop.Order : disk full", 3),
            ("o.a.c.c.C.[.[.[/].[dispatcherServlet] : Servlet.service() threw", 3),
        ],
    );
    let loggers: Vec<String> = read(text.as_bytes()).sources.into_iter().map(|s| s.name).collect();
    assert_eq!(loggers[0], "c.shop.Auth");
}

#[test]
fn tracebacks_of_python_tell_what_was_thrown() {
    let traceback = "Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    raise ValueError(\"ERROR\")\nValueError: bad amount\n";
    check(traceback, &[("ValueError: bad amount", 1)]);
    check(&format!("ERROR:root:no payment\n{traceback}"), &[("root:no payment: ValueError: bad amount", 1)]);
    let own = traceback.replace("ValueError: bad", "shop.Problem: bad");
    check(&format!("up\n{own}up\n"), &[("shop.Problem: bad amount", 1)]);
}

#[test]
fn a_program_for_another_machine_is_fatal() {
    for line in [
        "exec /usr/local/ilogtail/run.sh: exec format error",
        "standard_init_linux.go:228: exec user process caused: exec format error",
        "/entry.sh: line 3: /app/tool: cannot execute binary file: Exec format error",
    ] {
        let found = read(format!("up\n{line}\n").as_bytes());
        assert_eq!((found.levels.fatal, found.levels.none), (1, 1), "{line}");
        assert!(found.patterns[0].text.to_ascii_lowercase().ends_with("exec format error"), "{found:?}");
    }
    assert_eq!(read(b"exec format error is what others write\nerror\n").levels.fatal, 0);
}

#[test]
fn panics_are_fatal() {
    let go = "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:9 +0x1d\n";
    let rust = "thread 'main' panicked at src/main.rs:4:5:\nno route\nnote: run with `RUST_BACKTRACE=1`\n";
    let found = read(format!("{go}{rust}").as_bytes());
    assert_eq!((found.levels.fatal, found.levels.error), (2, 0));
    let texts: Vec<&str> = found.patterns.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "runtime error: index out of range [<*>] with length <*>",
            "thread 'main' panicked at src/main.rs:<*>: no route"
        ]
    );
}

#[test]
fn errors_of_nginx_name_their_upstream() {
    let line = |n: u32| {
        format!(
            "2026/11/20 01:00:00 [error] 29#29: *{n} connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.{n}, server: _, request: \"GET /a HTTP/1.1\", upstream: \"http://10.1.2.3:8080/a\"\n"
        )
    };
    let text: String = (1..=9).map(line).collect();
    check(&text, &[("connect() failed (<*>: Connection refused) while connecting to upstream", 9)]);
    let first = read(text.as_bytes()).sources.remove(0);
    assert_eq!((first.kind, first.name.as_str(), first.count), (SourceKind::Server, "10.1.2.3:8080", 9));
}

#[test]
fn scans_are_set_apart_from_errors() {
    let access =
        "198.51.100.7 - - [20/Nov/2026:01:00:00 +0000] \"GET /wp-login.php HTTP/1.1\" 404 153 \"-\" \"-\"\n";
    let error = "2026/11/20 01:00:00 [error] 29#29: *1 open() \"/srv/.env\" failed (2: No such file or directory), client: 198.51.100.7, server: _, request: \"GET /.env HTTP/1.1\"\n";
    let picture = error.replace("198.51.100.7", "10.0.0.1").replace(".env", "logo.png");
    let failed = access
        .replace("198.51.100.7", "10.0.0.1")
        .replace("wp-login.php", "pay?card=1")
        .replace(" 404 ", " 502 ");
    let found = read(format!("{access}{error}{picture}{failed}").as_bytes());
    let noise = found.scan.expect("a scan");
    assert_eq!((noise.requests, noise.errors, noise.addresses), (2, 1, 1));
    assert_eq!(noise.paths, ["/.env", "/wp-login.php"]);
    assert_eq!(found.levels.errors(), 2);
    let texts: Vec<&str> = found.patterns.iter().map(|p| p.text.as_str()).collect();
    assert_eq!(texts, ["GET /pay answered 502", "open() <*> failed (2: No such file or directory)"]);
}

#[test]
fn access_logs_of_envoy_and_gin_are_judged_by_status() {
    let line = |status: u32, flags: &str, path: &str| {
        format!(
            "[2026-11-20T01:00:00.000Z] \"GET {path} HTTP/1.1\" {status} {flags} via_upstream - \"-\" 0 91 1 - \"-\" \"curl\" \"a\" \"pay\" \"10.0.0.1:80\" outbound|80||pay.shop.svc.cluster.local 1 2 10.1.0.7:4 5 -\n"
        )
    };
    let text =
        line(200, "-", "/").repeat(5) + &line(503, "UF", "/pay?card=1").repeat(3) + &line(404, "NR", "/.env");
    check(&text, &[("GET /pay answered 503 UF", 3)]);
    let found = read(text.as_bytes());
    assert_eq!((found.sources[0].name.as_str(), found.sources[0].count), ("pay.shop.svc.cluster.local", 3));
    assert_eq!(found.scan.unwrap().busiest, "10.1.0.7");
    let gin = |status: u32| format!("[GIN] 2026/11/20 - 01:00:00 | {status} | 1ms | 10.0.0.1 | GET \"/a\"\n");
    check(&(gin(200) + &gin(500) + &gin(404)), &[("GET /a answered 500", 1)]);
}

#[test]
fn access_logs_in_json_are_judged_by_status() {
    let line = |status: u32, uri: &str| {
        format!(
            "{{\"remote_addr\":\"198.51.100.7\",\"request\":\"GET {uri} HTTP/1.1\",\"status\":{status},\"upstream_addr\":\"10.1.2.3:80\"}}\n"
        )
    };
    let found = read(format!("{}{}{}", line(200, "/"), line(404, "/.env"), line(503, "/a")).as_bytes());
    assert_eq!((found.levels.errors(), found.levels.info), (1, 2));
    assert_eq!(found.scan.map(|s| s.requests), Some(1));
    assert_eq!(found.sources[0].name, "10.1.2.3:80");
}

#[test]
fn times_of_the_runtime_are_read() {
    let (mut stream, mut tally) = (LogStream::with_times(), LogTally::default());
    let text = b"2026-11-20T00:00:00.5Z up\nunable to read the rest\n2026-11-20T00:00:01.5Z {\"level\":\"error\",\"msg\":\"m\"}\n2026-11-20T00:00:09Z INFO x\n";
    stream.push(text, &mut tally);
    stream.end(&mut tally);
    let found = tally.content();
    let start = Timestamp::from_unix_seconds(1_795_132_800);
    assert_eq!((found.first, found.last), (Some(start.plus_seconds(0.5)), Some(start.plus_seconds(9.0))));
    assert_eq!(found.patterns[0].first, Some(start.plus_seconds(1.5)));
    assert_eq!((found.lines, found.bytes, found.levels.errors()), (4, text.len() as u64, 1));
}

#[test]
fn lines_with_a_time_of_their_own_are_read() {
    let (mut stream, mut tally) = (LogStream::new(), LogTally::default());
    stream.push_line(Timestamp(5000), b"ERROR gone\n\tat x", &mut tally);
    stream.push_line(Timestamp(7000), b"INFO up", &mut tally);
    stream.end(&mut tally);
    let found = tally.content();
    assert_eq!((found.first, found.last), (Some(Timestamp(5000)), Some(Timestamp(7000))));
    assert_eq!(
        (found.levels.error, found.levels.info, found.patterns[0].first),
        (1, 1, Some(Timestamp(5000)))
    );
}

#[test]
fn secrets_are_not_kept() {
    let text = "ERROR login with password=hunter2 at https://bob:hunter2@db.example/x failed\n\
                {\"level\":\"error\",\"msg\":\"no \\\"token\\\": \\\"hunter2\\\"\",\"error\":\"apikey=hunter2\"}\n\
                198.51.100.7 - - [20/Nov/2026:01:00:00 +0000] \"GET /.env?token=hunter2 HTTP/1.1\" 404 1\n\
                198.51.100.7 - - [20/Nov/2026:01:00:00 +0000] \"GET /a?token=hunter2 HTTP/1.1\" 500 1\n";
    let found = format!("{:?}", read(text.as_bytes()));
    assert!(found.contains("<redacted>") && !found.contains("hunter2"), "{found}");
}

#[test]
fn a_line_of_10_mb_and_binary_lines_are_lines() {
    let mut text = b"ERROR ".to_vec();
    text.resize(10 << 20, b'x');
    text.extend_from_slice(b"\n\x00\xff\xfe\x80 \xf0\x9f\n\xff\xff ERROR \xf0\x9f broken\n");
    let found = read(&text);
    assert_eq!((found.lines, found.levels.errors()), (3, 2));
    assert!(found.patterns.iter().all(|p| p.text.chars().count() <= 400));
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunks_are_read(text in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\n\"{}:=[]ERO \\"[..])], 0..300), at in 0usize..300) {
        let whole = read(&text);
        let (mut stream, mut tally) = (LogStream::new(), LogTally::default());
        let at = at.min(text.len());
        stream.push(&text[..at], &mut tally);
        stream.push(&text[at..], &mut tally);
        stream.end(&mut tally);
        prop_assert_eq!(tally.content(), whole);
    }
}
