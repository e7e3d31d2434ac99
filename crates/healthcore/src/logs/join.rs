//! Joins the lines of a message, and tells messages apart.

use super::access::{self, Request};
use super::clock::Clock;
use super::json;
use super::level::Level;
use super::lines::Lines;
use super::tally::{ErrorMessage, LogTally};
use super::text;
use crate::time::Timestamp;

/// Bytes of a message that are kept.
const MESSAGE: usize = 400;

/// The logs of one container of one pod, as they stream past.
#[derive(Debug, Default)]
pub struct LogStream {
    lines: Lines,
    joiner: Joiner,
}

impl LogStream {
    /// A stream of lines as the container wrote them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A stream of lines before each of which the runtime has put the time (RFC 3339) and a space.
    #[must_use]
    pub fn with_times() -> Self {
        Self { joiner: Joiner { has_times: true, ..Joiner::default() }, ..Self::default() }
    }

    /// Takes in the next bytes; a line may begin and end in any of them.
    pub fn push(&mut self, bytes: &[u8], tally: &mut LogTally) {
        tally.bytes += bytes.len() as u64;
        let Self { lines, joiner } = self;
        lines.push(bytes, |line| joiner.line(line, tally));
    }

    /// Takes in a line whose time is known.
    pub fn push_line(&mut self, at: Timestamp, line: &[u8], tally: &mut LogTally) {
        tally.bytes += line.len() as u64 + 1;
        tally.at(Some(at));
        self.joiner.given = Some(at);
        for line in line.split(|b| *b == b'\n') {
            self.joiner.line(&line[..line.len().min(super::lines::LONGEST_LINE)], tally);
        }
    }

    /// When its first line was written, where lines have a time.
    #[must_use]
    pub const fn first(&self) -> Option<Timestamp> {
        self.joiner.first
    }

    /// Ends the stream: what is open is counted. When its last line was written, where lines have a time.
    pub fn end(mut self, tally: &mut LogTally) -> Option<Timestamp> {
        let Self { lines, joiner } = &mut self;
        lines.end(|line| joiner.line(line, tally));
        joiner.flush(tally);
        let last = joiner.time();
        tally.at(last);
        last
    }
}

/// What the message at hand is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Open {
    #[default]
    None,
    /// No error; it is counted already.
    Quiet,
    /// An error, whose further lines may say more.
    Error,
}

#[derive(Debug, Default)]
struct Joiner {
    has_times: bool,
    any: bool,
    /// The time of the first line.
    first: Option<Timestamp>,
    open: Open,
    /// Whether a further line that is not indented tells what the error was.
    detail_follows: bool,
    /// Whether the message names what was thrown.
    has_detail: bool,
    error: ErrorMessage,
    /// The time of the line at hand as it is written.
    written: Vec<u8>,
    clock: Clock,
    /// The time of the line at hand, where it does not stand in it.
    given: Option<Timestamp>,
}

impl Joiner {
    fn line(&mut self, line: &[u8], tally: &mut LogTally) {
        tally.lines += 1;
        let line = if self.has_times { self.strip_time(line) } else { line };
        if !self.any {
            self.any = true;
            self.first = self.time();
            tally.at(self.first);
        }
        if self.open != Open::None && self.continues(line) {
            return;
        }
        match line.first() {
            None => {}
            Some(b'{') => self.json(line, tally),
            Some(_) => self.text(line, tally),
        }
    }

    /// Takes the time off a line that has one; messages of the runtime itself have none.
    fn strip_time<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        let end = memchr::memchr(b' ', &line[..line.len().min(37)]).unwrap_or(line.len());
        if !(20..=36).contains(&end) || line[4] != b'-' || line[10] != b'T' {
            return line;
        }
        self.written.clear();
        self.written.extend_from_slice(&line[..end]);
        line.get(end + 1..).unwrap_or_default()
    }

    /// The time of the line at hand.
    fn time(&mut self) -> Option<Timestamp> {
        self.given.or_else(|| self.clock.read(&self.written))
    }

    /// Whether a line belongs to the message before it. What it adds to an error is kept.
    fn continues(&mut self, line: &[u8]) -> bool {
        let Some(first) = line.first() else { return true };
        if first.is_ascii_whitespace() {
            return !begins_with_level(line.trim_ascii_start());
        }
        let traceback = line.starts_with(b"Traceback (");
        // Nobody logs what then throws: a traceback by itself is an error of its own.
        if is_joint(*first, line) && (self.open == Open::Error || !traceback) {
            self.detail_follows |= traceback;
            return true;
        }
        if self.detail_follows {
            self.detail_follows = false;
            self.add_detail(line);
            return true;
        }
        if self.open == Open::Error && !self.has_detail && is_exception(line) {
            self.add_detail(line);
            return true;
        }
        false
    }

    fn add_detail(&mut self, line: &[u8]) {
        if self.open != Open::Error || std::mem::replace(&mut self.has_detail, true) {
            return;
        }
        let text = &mut self.error.text;
        if !text.is_empty() {
            if !text.ends_with(b":") {
                text.push(b':');
            }
            text.push(b' ');
        }
        let room = MESSAGE.saturating_sub(text.len());
        text.extend_from_slice(&line[..line.len().min(room)]);
    }

    fn json(&mut self, line: &[u8], tally: &mut LogTally) {
        let Some(found) = json::read(line) else { return self.quiet(None, tally) };
        match (found.level, found.status) {
            (Some(level), _) if level.is_error() => {
                let time = self.time();
                let error = self.begin(level, time, tally);
                json::plain(found.message, &mut error.text, MESSAGE);
                if !found.error.is_empty() {
                    if !error.text.is_empty() {
                        error.text.extend_from_slice(b": ");
                    }
                    json::plain(found.error, &mut error.text, MESSAGE);
                }
                error.logger.extend_from_slice(found.logger);
                error.client.extend_from_slice(found.client);
                error.server.extend_from_slice(found.server);
                self.has_detail = !found.error.is_empty();
            }
            (None, Some(status)) if !found.request.is_empty() => {
                let (method, path) = access::method_and_path(found.request);
                self.request(
                    &Request { client: found.client, method, path, status, why: &[] },
                    found.server,
                    tally,
                );
            }
            (level, _) => self.quiet(level, tally),
        }
    }

    fn text(&mut self, line: &[u8], tally: &mut LogTally) {
        if let Some(request) = access::read(line) {
            return self.request(&request, &[], tally);
        }
        if let Some((request, server)) = access::envoy(line) {
            return self.request(&request, server, tally);
        }
        if let Some(request) = access::gin(line) {
            return self.request(&request, &[], tally);
        }
        let found = text::read(line);
        match found.level {
            Some(level) if level.is_error() => self.text_error(level, &found, tally),
            Some(level) => self.quiet(Some(level), tally),
            None => self.without_level(line, tally),
        }
    }

    fn text_error(&mut self, level: Level, found: &text::TextLine<'_>, tally: &mut LogTally) {
        if let Some(request) = access::missing_file(found.message) {
            self.flush(tally);
            self.open = Open::Quiet;
            return tally.missed(&request, true);
        }
        let time = self.time();
        let error = self.begin(level, time, tally);
        // Who asked is no part of what went wrong.
        let (message, client, upstream) = access::parties(found.message);
        json::plain(message, &mut error.text, MESSAGE);
        if !found.error.is_empty() {
            error.text.extend_from_slice(b": ");
            json::plain(found.error, &mut error.text, MESSAGE);
        }
        error.logger.extend_from_slice(found.logger);
        error.client.extend_from_slice(client);
        error.server.extend_from_slice(upstream);
        self.has_detail = is_exception(message);
    }

    /// A line without a level is an error only when it tells of something thrown that nobody caught, or of a program that
    /// could not be started.
    fn without_level(&mut self, line: &[u8], tally: &mut LogTally) {
        let traceback = line.starts_with(b"Traceback (");
        let panic = line.starts_with(b"thread '") && memchr::memmem::find(line, b"' panicked at").is_some();
        let thrown = line.starts_with(b"Exception in thread") || line.starts_with(b"Unhandled exception");
        let foreign = is_foreign(line);
        if !traceback && !panic && !thrown && !foreign && !is_exception(line) {
            return self.quiet(None, tally);
        }
        let level = if panic || foreign { Level::Fatal } else { Level::Error };
        let time = self.time();
        let error = self.begin(level, time, tally);
        if !traceback {
            error.text.extend_from_slice(&line[..line.len().min(MESSAGE)]);
        }
        self.detail_follows = traceback || panic;
        self.has_detail = !self.detail_follows;
    }

    /// A request: an error when the server failed, and perhaps a scan when it was in vain.
    fn request(&mut self, request: &Request<'_>, server: &[u8], tally: &mut LogTally) {
        match request.status {
            500.. => {
                let time = self.time();
                let error = self.begin(Level::Error, time, tally);
                let path = request.path.split(|b| *b == b'?').next().unwrap_or_default();
                for part in [request.method, b" ", &path[..path.len().min(200)], b" answered "] {
                    error.text.extend_from_slice(part);
                }
                error.text.extend_from_slice(request.status.to_string().as_bytes());
                if !request.why.is_empty() {
                    error.text.push(b' ');
                    error.text.extend_from_slice(request.why);
                }
                error.client.extend_from_slice(request.client);
                error.server.extend_from_slice(server);
                self.has_detail = true;
            }
            // Where nobody knows who asked, nobody can be told from those who scan.
            400 | 403..=405 | 410 | 414 if !request.client.is_empty() => {
                self.flush(tally);
                self.open = Open::Quiet;
                tally.missed(request, false);
            }
            _ => self.quiet(Some(Level::Info), tally),
        }
    }

    fn quiet(&mut self, level: Option<Level>, tally: &mut LogTally) {
        self.flush(tally);
        self.open = Open::Quiet;
        tally.quiet(level);
    }

    /// Begins an error, whose parts the caller fills in.
    fn begin(&mut self, level: Level, at: Option<Timestamp>, tally: &mut LogTally) -> &mut ErrorMessage {
        self.flush(tally);
        self.open = Open::Error;
        let ErrorMessage { fatal, text, logger, client, server, at: time } = &mut self.error;
        *fatal = level == Level::Fatal;
        *time = at;
        [text, logger, client, server].into_iter().for_each(Vec::clear);
        &mut self.error
    }

    fn flush(&mut self, tally: &mut LogTally) {
        if self.open == Open::Error {
            tally.error(&self.error);
        }
        self.open = Open::None;
        self.detail_follows = false;
        self.has_detail = false;
    }
}

/// Whether a line begins with a level in capitals, so that its indent is no sign of a continuation.
fn begins_with_level(line: &[u8]) -> bool {
    let word = line.iter().take(10).take_while(|b| b.is_ascii_uppercase()).count();
    word > 0
        && line.get(word).is_none_or(|b| b" \t:]".contains(b))
        && Level::from_word(&line[..word]).is_some()
}

/// Whether a line tells that a program is built for another machine (ENOEXEC), as runtimes and shells write it:
/// `exec /app/run.sh: exec format error`.
fn is_foreign(line: &[u8]) -> bool {
    let words = b"exec format error";
    let line = line.trim_ascii_end();
    line.len() >= words.len() && line[line.len() - words.len()..].eq_ignore_ascii_case(words)
}

/// Whether a line that is not indented belongs to a stack trace.
fn is_joint(first: u8, line: &[u8]) -> bool {
    let joints: &[&[u8]] = match first {
        b'C' => &[b"Caused by:"],
        b'S' => &[b"Suppressed:"],
        b'.' => &[b"... "],
        b'a' => &[b"at "],
        b'T' => &[b"Traceback (", b"The above exception was"],
        b'D' => &[b"During handling of"],
        b'g' => &[b"goroutine "],
        b'c' => &[b"created by "],
        b's' => &[b"stack backtrace:"],
        b'n' => &[b"note: run with"],
        b'}' | b')' | b']' => return line.len() <= 2,
        _ => return false,
    };
    joints.iter().any(|joint| line.starts_with(joint))
}

/// Whether a line begins with the name of something thrown: `java.io.IOException: closed`, `ValueError: x`.
fn is_exception(line: &[u8]) -> bool {
    let end =
        line.iter().take(120).position(|b| matches!(b, b':' | b' ' | b'\t')).unwrap_or(line.len().min(120));
    let (name, after) = line.split_at(end);
    let named = name.ends_with(b"Exception") || name.ends_with(b"Error");
    named
        && name.len() > b"Error".len()
        && name[0].is_ascii_alphabetic()
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"._$".contains(b))
        && (after.is_empty() || after[0] == b':')
}

#[cfg(test)]
mod tests;
