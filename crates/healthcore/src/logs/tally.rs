//! Counts what messages say.

use std::net::IpAddr;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::access::Request;
use super::mask::mask;
use super::mine::Miner;
use super::scan::Scan;
use super::top::Top;
use super::{Level, Levels, LogContent, LogPattern, LogSource, SourceKind};
use crate::time::Timestamp;

/// Patterns that a summary has.
const PATTERNS: usize = 5;
/// Sources of each kind that a summary has.
const SOURCES: usize = 3;
/// Of a file that is not there, where nobody scans; the words of nginx.
const MISSING_FILE: &str = "open() <*> failed (2: No such file or directory)";

/// Made once, because making a searcher takes as long as searching a message.
static URL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("://"));
static LOOKUP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("lookup "));

/// What the logs of one container say, over its pods.
#[derive(Debug, Clone, Default)]
pub struct LogTally {
    pub(super) bytes: u64,
    pub(super) lines: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    levels: Levels,
    miner: Miner,
    servers: Top,
    clients: Top,
    loggers: Top,
    scan: Scan,
    /// The message at hand, masked.
    masked: Vec<u8>,
}

/// An error, before it is counted.
#[derive(Debug, Default)]
pub(super) struct ErrorMessage {
    pub(super) fatal: bool,
    pub(super) text: Vec<u8>,
    pub(super) logger: Vec<u8>,
    pub(super) client: Vec<u8>,
    pub(super) server: Vec<u8>,
    pub(super) at: Option<Timestamp>,
}

impl LogTally {
    /// Bytes read so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lines read so far.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Errors so far, without requests in vain, of which only the end tells whether they are errors.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.levels.errors()
    }

    /// Counts a message that is no error.
    pub(super) fn quiet(&mut self, level: Option<Level>) {
        *match level {
            None => &mut self.levels.none,
            Some(Level::Debug) => &mut self.levels.debug,
            Some(Level::Info) => &mut self.levels.info,
            Some(Level::Warning) => &mut self.levels.warning,
            Some(Level::Error) => &mut self.levels.error,
            Some(Level::Fatal) => &mut self.levels.fatal,
        } += 1;
    }

    /// Counts an error with its pattern and sources.
    pub(super) fn error(&mut self, error: &ErrorMessage) {
        self.quiet(Some(if error.fatal { Level::Fatal } else { Level::Error }));
        mask(&error.text, &mut self.masked);
        self.miner.add(&self.masked, error.fatal, error.at);
        let server = match &error.server[..] {
            [] => address(&error.text),
            named => address(named).or_else(|| is_service(named).then_some(named)),
        };
        self.servers.add(server.unwrap_or_default());
        self.clients.add(&error.client);
        self.loggers.add(&error.logger);
    }

    /// Counts a request for what is not there; an error only if nobody scans.
    pub(super) fn missed(&mut self, request: &Request<'_>, is_error: bool) {
        if !is_error {
            self.levels.info += 1;
        }
        self.scan.add(request, is_error);
    }

    /// Notes the time of a line.
    pub(super) fn at(&mut self, time: Option<Timestamp>) {
        self.first = [self.first, time].into_iter().flatten().min();
        self.last = self.last.max(time);
    }

    /// What has been found so far.
    #[must_use]
    pub fn content(&self) -> LogContent {
        let (scan, missed) = self.scan.finish();
        let levels = Levels { error: self.levels.error + missed, ..self.levels };
        let pattern = |f: super::mine::Found| LogPattern {
            text: f.text,
            count: f.count,
            fatal: f.fatal,
            first: f.first,
            last: f.last,
        };
        let mut patterns: Vec<LogPattern> = self.miner.most(PATTERNS).into_iter().map(pattern).collect();
        if missed > 0 {
            let text = MISSING_FILE.to_owned();
            patterns.push(LogPattern { text, count: missed, fatal: false, first: None, last: None });
            patterns.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
            patterns.truncate(PATTERNS);
        }
        let of = |kind, top: &Top| {
            top.most(SOURCES).into_iter().map(move |(name, count)| LogSource {
                kind,
                name: clean(&name),
                count,
            })
        };
        let mut sources: Vec<LogSource> = of(SourceKind::Server, &self.servers)
            .chain(of(SourceKind::Client, &self.clients))
            .chain(of(SourceKind::Logger, &self.loggers))
            .collect();
        sources.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cmp(b)));
        LogContent {
            bytes: self.bytes,
            lines: self.lines,
            first: self.first,
            last: self.last,
            levels,
            patterns,
            sources,
            scan,
        }
    }
}

fn clean(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

/// The server that a message names: in a URL, behind `lookup`, or as address with or without port.
fn address(message: &[u8]) -> Option<&[u8]> {
    if let Some(at) = URL.find(message) {
        let rest = &message[at + 3..];
        let ends = |b: &u8| {
            matches!(b, b' ' | b'\t' | b'/' | b'"' | b'\'' | b'?' | b',' | b';' | b')' | b'>' | b']')
        };
        let authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
        // What stands before the sign are credentials.
        let host = authority.rsplit(|b| *b == b'@').next().unwrap_or_default();
        let host = host.strip_suffix(b":").unwrap_or(host);
        if is_host(host) {
            return Some(host);
        }
    }
    if let Some(at) = LOOKUP.find(message) {
        let rest = &message[at + 7..];
        let host = &rest[..rest.iter().position(|b| b" :,".contains(b)).unwrap_or(rest.len())];
        if is_host(host) && host.contains(&b'.') {
            return Some(host);
        }
    }
    let separates = |b: &u8| {
        matches!(
            b,
            b' ' | b'\t' | b'"' | b'\'' | b'(' | b')' | b',' | b';' | b'=' | b'<' | b'>' | b'{' | b'}' | b'/'
        )
    };
    message.split(separates).map(|word| word.trim_ascii()).find_map(|word| {
        let word = match word.strip_prefix(b"[") {
            Some(inner) => &inner[..memchr::memchr(b']', inner).unwrap_or(inner.len())],
            None => word,
        };
        let word = &word[..word.len() - word.iter().rev().take_while(|b| b":.]-".contains(b)).count()];
        is_address(word).then_some(word)
    })
}

fn is_host(host: &[u8]) -> bool {
    !host.is_empty()
        && host.len() <= 120
        && host
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':' | b'[' | b']'))
}

/// A name of a server by itself: `pay.shop.svc.cluster.local`.
fn is_service(name: &[u8]) -> bool {
    is_host(name) && name.contains(&b'.') && name[0].is_ascii_alphabetic()
}

/// An IP address, or a name or address with a port: `10.0.0.1`, `10.0.0.1:53`, `db-0.db:5432`.
fn is_address(word: &[u8]) -> bool {
    // Most words are out by their first letter or length.
    if word.len() < 6 || word.len() > 120 || !word[0].is_ascii_alphanumeric() {
        return false;
    }
    let (host, port) = match memchr::memrchr(b':', word) {
        Some(at) => (&word[..at], Some(&word[at + 1..])),
        None if !word[0].is_ascii_digit() => return false,
        None => (word, None),
    };
    let is_ip = |host: &[u8]| std::str::from_utf8(host).ok().is_some_and(|h| h.parse::<IpAddr>().is_ok());
    match port {
        None => is_ip(host),
        Some(port) => {
            let is_port = (2..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
            // `cart.go:120` is a place in a program, and `12:30` a time.
            let is_name = is_host(host)
                && host.first().is_some_and(u8::is_ascii_alphabetic)
                && !host.contains(&b':')
                && !is_file(host);
            is_port && (is_name || is_ip(host)) || is_ip(word)
        }
    }
}

fn is_file(name: &[u8]) -> bool {
    let end = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
    name.contains(&b'.')
        && [
            &b"go"[..],
            b"java",
            b"py",
            b"rs",
            b"js",
            b"ts",
            b"rb",
            b"php",
            b"cs",
            b"kt",
            b"scala",
            b"cpp",
            b"cc",
            b"c",
        ]
        .contains(&end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_messages_name() {
        let named =
            |text: &'static str| address(text.as_bytes()).map(|a| String::from_utf8_lossy(a).into_owned());
        for (text, expected) in [
            ("Failed to send to http://bob:pw@apm-server.apm:8200/v1?x", Some("apm-server.apm:8200")),
            ("dial tcp 10.1.2.3:5432: connect: connection refused", Some("10.1.2.3:5432")),
            ("dial tcp: lookup db.prod on 10.96.0.10:53: no such host", Some("db.prod")),
            ("connect ECONNREFUSED 10.1.2.3", Some("10.1.2.3")),
            ("broker kafka-0:9092 is gone", Some("kafka-0:9092")),
            ("at cart.go:120 and 12:30", None),
            ("read [2001:db8::1]:53", Some("2001:db8::1")),
            ("version 1.2.3 of 2026-11-20", None),
            ("nothing", None),
        ] {
            assert_eq!(named(text).as_deref(), expected, "{text}");
        }
    }
}
