//! Speed of reading logs, beside plain counting of lines in the same run: `bench/logs`.
//!
//! `logbench [MIB] [FILE]...` reads MIB mebibytes (1024 unless told otherwise) of made-up logs of each kind, or of the files, and
//! prints a table: bytes a second, the ratio to counting line ends, what was found, and the peak of resident memory.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock and files")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

use healthcore::logs::{LogStream, LogTally};

/// Bytes that are handed over at once, as a connection does.
const CHUNK: usize = 64 * 1024;
/// Bytes of logs that are made; they are read again and again.
const MADE: usize = 4 << 20;

fn main() {
    let mut args = std::env::args().skip(1);
    let mebibytes: usize = match args.next().map(|a| a.parse()) {
        None => 1024,
        Some(Ok(n)) => n,
        Some(Err(_)) => return say("logbench: expected a number of mebibytes, such as `1024`\n"),
    };
    let files: Vec<String> = args.collect();
    let names: Vec<String> = match files.is_empty() {
        true => KINDS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        false => files.clone(),
    };
    say(&format!(
        "{:<22}{:>10}{:>10}{:>8}{:>12}{:>10}\n",
        "kind", "MB/s", "lines", "ratio", "errors", "patterns"
    ));
    let mut all = (0.0, 0.0);
    for name in &names {
        // One after the other, so that memory shows what reading takes.
        let text = match KINDS.iter().find(|(kind, _)| kind == name && files.is_empty()) {
            Some((_, line)) => made(*line),
            None => match std::fs::read(name) {
                Ok(text) => text,
                Err(why) => return say(&format!("logbench: {name}: {why}\n")),
            },
        };
        let rounds = ((mebibytes << 20) / names.len().max(1) / text.len().max(1)).max(1);
        let bytes = (text.len() * rounds) as f64;
        let (tally, seconds) = read(&text, rounds);
        let counting = count(&text, rounds);
        let found = tally.content();
        all = (all.0 + bytes, all.1 + seconds);
        say(&format!(
            "{name:<22}{:>10.0}{:>10.0}{:>8.2}{:>12}{:>10}\n",
            bytes / 1e6 / seconds,
            bytes / 1e6 / counting,
            seconds / counting,
            found.levels.errors(),
            found.patterns.len()
        ));
    }
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned();
    say(&format!(
        "all: {:.2} GB at {:.0} MB/s a core, peak memory {peak}\n",
        all.0 / 1e9,
        all.0 / 1e6 / all.1
    ));
}

/// The logs as one stream, several times over.
fn read(text: &[u8], rounds: usize) -> (LogTally, f64) {
    let (mut tally, began) = (LogTally::default(), processor_seconds());
    let mut stream = LogStream::with_times();
    for _ in 0..rounds {
        for chunk in text.chunks(CHUNK) {
            stream.push(chunk, &mut tally);
        }
    }
    stream.end(&mut tally);
    (tally, processor_seconds() - began)
}

/// Seconds that this thread has had a processor, so that other programs do not count; seconds of a clock where the system does
/// not tell (`/proc/thread-self/schedstat`, in nanoseconds).
fn processor_seconds() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGAN.elapsed().as_secs_f64(), |n| n / 1e9)
}

/// Seconds that counting the line ends takes.
fn count(text: &[u8], rounds: usize) -> f64 {
    let began = processor_seconds();
    for _ in 0..rounds {
        black_box(memchr::memchr_iter(b'\n', black_box(text)).count());
    }
    processor_seconds() - began
}

type Line = fn(u64, &mut String);

/// Kinds of logs, with the line of a number.
const KINDS: [(&str, Line); 6] = [
    ("json", |n, out| {
        let level = if n % 50 == 0 { "error" } else { "info" };
        line(
            out,
            n,
            format_args!(
                "{{\"level\":\"{level}\",\"ts\":{n}.5,\"caller\":\"cart/cart.go:{}\",\"msg\":\"request handled\",\"path\":\"/api/v1/carts/{n}\",\"duration_ms\":{},\"trace_id\":\"{:032x}\"}}",
                n % 90,
                n % 700,
                n * 7919
            ),
        );
    }),
    ("text", |n, out| {
        let level = if n % 50 == 0 { "ERROR" } else { "INFO " };
        line(
            out,
            n,
            format_args!(
                "2026-11-20 01:00:{:02}.123 {level} 1 --- [nio-8080-exec-{}] c.shop.cart.CartController : cart {n} of customer {} handled in {} ms",
                n % 60,
                n % 9,
                n * 31,
                n % 700
            ),
        );
    }),
    ("nginx", |n, out| {
        let status = if n % 50 == 0 { 404 } else { 200 };
        line(
            out,
            n,
            format_args!(
                "10.{}.{}.7 - - [20/Nov/2026:01:00:00 +0000] \"GET /static/js/app.{n:x}.js?v=3 HTTP/1.1\" {status} 5123 \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64)\"",
                n % 200,
                n % 31
            ),
        );
    }),
    ("stack traces", |n, out| {
        if n % 20 == 0 {
            line(
                out,
                n,
                format_args!("2026-11-20 01:00:00.123 [main] ERROR com.shop.Cart - order {n} failed"),
            );
            line(out, n, format_args!("java.sql.SQLException: pool {} is empty", n % 7));
        } else {
            line(
                out,
                n,
                format_args!(
                    "\tat com.shop.internal.Handler$Proxy{}.invoke(Handler.java:{})",
                    n % 9,
                    n % 900
                ),
            );
        }
    }),
    ("errors only", |n, out| {
        line(
            out,
            n,
            format_args!(
                "2026-11-20T01:00:00.123Z ERROR [apm-reporter] cannot send event {n} to http://apm-server.apm:8200/intake/v2/events: connection refused after {} ms",
                n % 900
            ),
        );
    }),
    ("no level", |n, out| {
        line(
            out,
            n,
            format_args!(
                "connection {n} from 10.0.{}.{} accepted, {} bytes sent to the other side of the line",
                n % 250,
                n % 99,
                n * 13
            ),
        );
    }),
];

/// A line as the API gives it, with the time of the runtime.
fn line(out: &mut String, n: u64, text: std::fmt::Arguments<'_>) {
    writeln!(out, "2026-11-20T01:{:02}:{:02}.123456789Z {text}", n / 60 % 60, n % 60)
        .expect("a text takes all");
}

fn made(line: Line) -> Vec<u8> {
    let mut out = String::with_capacity(MADE + 1024);
    let mut n = 0;
    while out.len() < MADE {
        line(n, &mut out);
        n += 1;
    }
    out.into_bytes()
}

#[expect(clippy::print_stdout, reason = "the program of a measurement")]
fn say(text: &str) {
    print!("{text}");
}
