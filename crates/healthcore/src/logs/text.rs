//! Lines of plain text: where a level stands in them, and where the message begins.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::{self, Finder};

use super::level::Level;

/// Bytes from the beginning of a line within which a level is looked for.
const HEAD: usize = 160;
/// The same where the line consists of keys and values (logfmt), which have no order.
const HEAD_OF_KEYS: usize = 1024;

/// Keys of logfmt and separators; made once, because making a searcher takes as long as searching a line.
static MSG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("msg="));
static MESSAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("message="));
static ERR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("err="));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error="));
static LOGGER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("logger="));
static DASH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" - "));
static COLON_BETWEEN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(" : "));
static COLON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(": "));
static COMPONENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("component="));

/// What a line of text says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TextLine<'l> {
    pub(super) level: Option<Level>,
    pub(super) message: &'l [u8],
    pub(super) logger: &'l [u8],
    /// Beside the message, in logfmt.
    pub(super) error: &'l [u8],
}

/// Reads a line that is neither JSON nor of an access log.
pub(super) fn read(line: &[u8]) -> TextLine<'_> {
    if let Some(found) = klog(line) {
        return found;
    }
    let (line, syslog) = priority(line);
    let found = find(line).map(|found| (line, found));
    let found = found.or_else(|| behind_binary(line).and_then(|text| Some((text, find(text)?))));
    let Some((line, (level, end))) = found else {
        let message = if syslog.is_some() { line } else { &[] };
        return TextLine { level: syslog, message, ..TextLine::default() };
    };
    let mut out = TextLine { level: Some(level), message: after_level(&line[end..]), ..TextLine::default() };
    if level.is_error() {
        if memchr(b'=', line).is_some()
            && let Some(message) = value_of(line, &MSG).or_else(|| value_of(line, &MESSAGE))
        {
            out.message = message;
            out.error = value_of(line, &ERR).or_else(|| value_of(line, &ERROR)).unwrap_or_default();
            out.logger = value_of(line, &LOGGER).or_else(|| value_of(line, &COMPONENT)).unwrap_or_default();
        } else {
            let (message, spring) = behind_thread(out.message);
            out.logger = if spring { spring_logger(message) } else { logger(message) };
            // A name in brackets alone may be what tells of the error: `[upstream] no route`.
            if spring || !out.logger.is_empty() && message.starts_with(out.logger) {
                out.message = message;
            }
        }
    }
    out
}

/// The header of klog and glog: `E1105 12:00:00.000000       1 reflector.go:138] message`.
fn klog(line: &[u8]) -> Option<TextLine<'_>> {
    let (letter, rest) = line.split_first()?;
    let level = Level::from_letter(*letter)?;
    let digits =
        |from: usize, to: usize| rest.get(from..to).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    if !digits(0, 4) || rest.get(4) != Some(&b' ') || !digits(5, 7) || rest.get(7) != Some(&b':') {
        return None;
    }
    let end = memmem::find(rest, b"] ")?;
    let logger = rest[..end].rsplit(|b| *b == b' ').next().unwrap_or_default();
    Some(TextLine { level: Some(level), message: &rest[end + 2..], logger, ..TextLine::default() })
}

/// A priority of syslog at the beginning (`<11>`): the severity is its remainder by 8.
fn priority(line: &[u8]) -> (&[u8], Option<Level>) {
    let inner = |line: &[u8]| -> Option<(usize, u32)> {
        let end = line.iter().take(5).position(|b| *b == b'>')?;
        let number = std::str::from_utf8(line.get(1..end)?).ok()?.parse().ok()?;
        Some((end + 1, number))
    };
    match line.first() {
        Some(b'<') => match inner(line) {
            Some((end, number)) => (&line[end..], Level::from_syslog(number % 8)),
            None => (line, None),
        },
        _ => (line, None),
    }
}

/// What stands behind the last bytes at the beginning of a line that are no text: a frame of a protocol, or text of another
/// encoding.
fn behind_binary(line: &[u8]) -> Option<&[u8]> {
    let head = &line[..line.len().min(HEAD_OF_KEYS)];
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\r\x1b".contains(byte);
    let control = head.iter().rposition(is_control).map(|at| at + 1);
    let mut at = 0;
    let mut foreign = None;
    for chunk in head.utf8_chunks() {
        at += chunk.valid().len() + chunk.invalid().len();
        // The end of the head may part a letter.
        if !chunk.invalid().is_empty() && at < head.len() {
            foreign = Some(at);
        }
    }
    control.max(foreign).map(|at| &line[at..])
}

/// The first word that is a level by its place and spelling, and where it ends.
fn find(line: &[u8]) -> Option<(Level, usize)> {
    let first_word = line.iter().take(48).position(|b| *b == b' ').unwrap_or(line.len().min(48));
    let has_keys = line[..first_word].contains(&b'=');
    let head = &line[..line.len().min(if has_keys { HEAD_OF_KEYS } else { HEAD })];
    let mut at = 0;
    let mut only_prefix = true;
    let mut coloured = false;
    while at < head.len() {
        let byte = head[at];
        if byte.is_ascii_alphabetic() {
            let start = at;
            while at < head.len() && head[at].is_ascii_alphabetic() {
                at += 1;
            }
            let word = &head[start..at];
            let word_of = Word { line: head, start, end: at, only_prefix, coloured };
            if let Some(level) = word_of.level(word) {
                return Some((level, at));
            }
            if is_level_key(word)
                && let Some(found) = value_as_level(head, at)
            {
                return Some(found);
            }
            coloured = false;
            // The letters of a time stamp are no words.
            only_prefix &= matches!(word, b"T" | b"Z" | b"UTC" | b"AM" | b"PM");
        } else if byte == 0x1b {
            at = after_escape(head, at);
            coloured = true;
        } else {
            coloured &= byte == b' ';
            only_prefix &= is_prefix(byte);
            at += 1;
        }
    }
    None
}

/// Whether a byte may stand before a level that nothing else makes one: numbers and punctuation.
const fn is_prefix(byte: u8) -> bool {
    byte.is_ascii_digit()
        || matches!(
            byte,
            b' ' | b'\t'
                | b'-'
                | b':'
                | b'.'
                | b','
                | b'+'
                | b'/'
                | b'['
                | b']'
                | b'('
                | b')'
                | b'{'
                | b'}'
                | b'|'
                | b'#'
        )
}

/// A word in its place.
struct Word<'l> {
    line: &'l [u8],
    start: usize,
    end: usize,
    /// Whether nothing but numbers and punctuation stands before it.
    only_prefix: bool,
    /// Whether a change of colour stands before it.
    coloured: bool,
}

impl Word<'_> {
    /// The level that it names: in capitals between separators, in any case where its place makes it a level.
    fn level(&self, word: &[u8]) -> Option<Level> {
        let level = Level::from_word(word)?;
        let before = self.start.checked_sub(1).map(|at| self.line[at]);
        let after = self.line.get(self.end).copied();
        let left = self.coloured || before.is_none_or(|b| b" \t[(<|\":=,;*#>-".contains(&b));
        let right = after.is_none_or(|b| b" \t])>|:,;\"'!\x1b".contains(&b));
        if !left || !right {
            return None;
        }
        if word.iter().all(u8::is_ascii_uppercase) {
            return Some(level);
        }
        let closes = |open: u8, close: u8| {
            let rest = self.line[self.end..].trim_ascii_start();
            before == Some(open) && rest.first() == Some(&close)
        };
        let bracketed = closes(b'[', b']') || closes(b'<', b'>') || closes(b'(', b')');
        let column = before == Some(b'\t') && after == Some(b'\t');
        let begins = self.only_prefix && after == Some(b':');
        (bracketed || column || begins || self.coloured).then_some(level)
    }
}

fn is_level_key(word: &[u8]) -> bool {
    matches!(word, b"level" | b"lvl" | b"severity" | b"loglevel" | b"levelname" | b"Level" | b"LEVEL")
}

/// The level behind `level=`, `level="` or `"level": "`.
fn value_as_level(line: &[u8], end_of_key: usize) -> Option<(Level, usize)> {
    let rest = &line[end_of_key..];
    let gap = rest.iter().take(4).take_while(|b| b"=\": ".contains(b)).count();
    if gap == 0 || !rest[..gap].iter().any(|b| b"=:".contains(b)) {
        return None;
    }
    let word = &rest[gap..];
    let length = word.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    Level::from_word(&word[..length]).map(|level| (level, end_of_key + gap + length))
}

fn after_escape(line: &[u8], at: usize) -> usize {
    let end = line[at..].iter().take(12).position(u8::is_ascii_alphabetic);
    at + end.map_or(1, |end| end + 1)
}

/// The rest of a line behind its level, without what closes the level.
fn after_level(rest: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            0x1b => at = after_escape(rest, at),
            b if b" \t]):|>-,;\"'!".contains(&b) => at += 1,
            _ => break,
        }
    }
    &rest[at..]
}

/// The value of a key in logfmt; `key` ends with the equals sign.
fn value_of<'l>(line: &'l [u8], key: &Finder<'_>) -> Option<&'l [u8]> {
    let mut from = 0;
    let needle = key.needle();
    loop {
        let at = from + key.find(&line[from..])?;
        if at == 0 || line[at - 1] == b' ' {
            let value = &line[at + needle.len()..];
            return Some(match value.strip_prefix(b"\"") {
                None => &value[..value.iter().position(|b| *b == b' ').unwrap_or(value.len())],
                Some(quoted) => {
                    let mut end = 0;
                    while end < quoted.len() && quoted[end] != b'"' {
                        end += if quoted[end] == b'\\' { 2 } else { 1 };
                    }
                    &quoted[..end.min(quoted.len())]
                }
            });
        }
        from = at + needle.len();
    }
}

/// A message without the process and the threads before it, which change from one to the next: `1 --- [main] `, `[main] `. And
/// whether they stand there as Spring Boot writes them.
fn behind_thread(message: &[u8]) -> (&[u8], bool) {
    let digits = message.iter().take_while(|b| b.is_ascii_digit()).count();
    let behind = message[digits..].trim_ascii_start().strip_prefix(b"--- ");
    let mut rest = behind.unwrap_or(message).trim_ascii_start();
    while rest.first() == Some(&b'[')
        && let Some(end) = memmem::find(&rest[..rest.len().min(HEAD)], b"] ")
    {
        rest = rest[end + 2..].trim_ascii_start();
    }
    (rest, behind.is_some())
}

/// The name of the logger of Spring Boot, as which Tomcat gives its own: `o.a.c.c.C.[.[.[/].[dispatcherServlet]    : message`.
fn spring_logger(message: &[u8]) -> &[u8] {
    let head = &message[..message.len().min(120)];
    let name = COLON_BETWEEN.find(head).map_or(&[][..], |at| head[..at].trim_ascii_end());
    if name.contains(&b' ') { &[] } else { name }
}

/// The name of the logger where a dotted name stands before the message: `[main] com.shop.Cart - message`, `root:message`.
fn logger(message: &[u8]) -> &[u8] {
    let head = &message[..message.len().min(120)];
    for separator in [&DASH, &COLON_BETWEEN, &COLON] {
        let Some(at) = separator.find(head) else { continue };
        let name = head[..at].trim_ascii_end().rsplit(|b| *b == b' ').next().unwrap_or_default();
        let plain = name.iter().all(|b| b.is_ascii_alphanumeric() || b"._$".contains(b));
        let dotted = name.contains(&b'.') && name.first().is_some_and(u8::is_ascii_alphabetic);
        // What ends so is the kind of the error, and not who tells of it.
        if plain && dotted && !name.ends_with(b"Exception") && !name.ends_with(b"Error") {
            return name;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, level: Option<Level>, message: &str) {
        let found = read(line.as_bytes());
        assert_eq!(
            (found.level, String::from_utf8_lossy(found.message).as_ref()),
            (level, message),
            "{line}"
        );
    }

    #[test]
    fn errors_in_the_forms_that_loggers_write() {
        let error = Some(Level::Error);
        for (line, message) in [
            ("ERROR: no route", "no route"),
            ("2026-11-20T01:00:00.123Z ERROR no route", "no route"),
            ("2026-11-20 01:00:00,123 [main] ERROR com.shop.Cart - no route", "com.shop.Cart - no route"), // logback, log4j
            ("2026-11-20 01:00:00.123 ERROR 1 --- [nio-8080] c.s.Cart : no route", "c.s.Cart : no route"), // Spring
            (
                "2026-11-20T01:00:00.123Z ERROR 1 --- [shop] [nio-8080-exec-3] o.a.c.c.C.[.[.[/].[dispatcherServlet]    : no route",
                "o.a.c.c.C.[.[.[/].[dispatcherServlet]    : no route",
            ), // Spring Boot 3, Tomcat
            ("ERROR [http-nio-8080-exec-1] com.shop.Cart - no route", "com.shop.Cart - no route"),
            ("ERROR [apm-reporter] Reporter - no route", "[apm-reporter] Reporter - no route"),
            ("ERROR 17 --- no route", "no route"),
            ("ERROR [main", "[main"),
            ("ERROR:root:no route", "root:no route"), // Python
            ("2026-11-20 01:00:00,123 - app.db - ERROR - no route", "no route"),
            ("[2026-11-20 01:00:00 +0000] [7] [ERROR] no route", "no route"), // gunicorn
            ("2026/11/20 01:00:00 [error] 29#29: *1 no route", "29#29: *1 no route"), // nginx
            ("[2026-11-20 01:00:00.000][1][error][upstream] no route", "[upstream] no route"), // envoy
            ("\u{1b}[31mERROR\u{1b}[0m no route", "no route"),
            ("\u{1b}[31merror\u{1b}[39m: no route", "no route"), // winston
            ("12:00AM ERR no route", "no route"),                // zerolog
            ("2026-11-20T01:00:00.000Z\terror\tcart/cart.go:12\tno route", "cart/cart.go:12\tno route"), // zap
            ("error: no route", "no route"),
            ("npm ERR! no route", "no route"),
            ("fail: Shop.Cart[0] no route", "Shop.Cart[0] no route"), // .NET
            ("SEVERE: no route", "no route"),                         // java.util.logging
            ("E1120 01:00:00.000000       1 reflector.go:138] no route", "no route"), // klog
            ("level=error ts=1 caller=main.go:3 msg=\"no route\" err=x", "no route"),
            ("time=\"2026-11-20T01:00:00Z\" level=error msg=\"no \\\"route\\\"\"", "no \\\"route\\\""),
            ("2026-11-20 01:00:00 app: {\"level\":\"error\",\"msg\":\"no route\"}", "msg\":\"no route\"}"),
            ("2026-11-20 01:00:00.000 UTC [77] ERROR:  no route", "no route"), // PostgreSQL
            ("<3>no route", "no route"),
            ("2026-11-20 01:00:00 [error    ] no route", "no route"), // structlog
        ] {
            check(line, error, message);
        }
    }

    #[test]
    fn other_levels_and_none() {
        for (line, level) in [
            ("2026-11-20 01:00:00 FATAL:  password authentication failed", Some(Level::Fatal)),
            ("I1120 01:00:00.000000       1 a.go:1] ERROR in words", Some(Level::Info)),
            ("2026-11-20 01:00:00 INFO retry after ERROR", Some(Level::Info)),
            ("warning: deprecated", Some(Level::Warning)),
            ("level=info msg=\"no error\"", Some(Level::Info)),
            ("ts=1 logger=\"a\" msg=\"a long one\" level=warn", Some(Level::Warning)),
            ("<30>up", Some(Level::Info)),
            ("the word error in a sentence: none", None),
            ("no error here", None),
            ("GET /errors/ERROR/x", None),
            ("errors: 0", None),
            ("ERRORS 0", None),
            ("error_count: 0", None),
            ("E1120 is a house number", None),
            ("<html>", None),
            ("", None),
            ("=", None),
        ] {
            assert_eq!(read(line.as_bytes()).level, level, "{line}");
        }
    }

    #[test]
    fn a_level_behind_binary_counts() {
        let frame = b"\xff\xfe\x00\x01".repeat(50);
        let gbk = b"\xd6\xa7\xb8\xb6 ".repeat(3);
        for (before, behind, level, message) in [
            (&frame[..], " ERROR boom 1", Some(Level::Error), "boom 1"),
            (&gbk, "ERROR boom", Some(Level::Error), "boom"),
            (b"ERROR bad frame \xff\x00 ", "FATAL", Some(Level::Error), "bad frame"),
            (&frame, " no error here", None, ""),
            (&[0; 2000], "", None, ""),
        ] {
            let line = [before, behind.as_bytes()].concat();
            let found = read(&line);
            assert_eq!(found.level, level, "{behind}");
            assert!(found.message.starts_with(message.as_bytes()), "{behind}");
        }
        // A letter of three bytes at the end of what is looked at is no binary.
        let letters = "\u{652f}".repeat(1000);
        assert_eq!(behind_binary(letters.as_bytes()), None);
    }

    #[test]
    fn loggers_are_named() {
        let of = |line: &'static str| String::from_utf8_lossy(read(line.as_bytes()).logger).into_owned();
        assert_eq!(of("2026-11-20 01:00:00 [main] ERROR com.shop.Cart - gone"), "com.shop.Cart");
        assert_eq!(of("ERROR 1 --- [nio-8080-exec-3] c.s.Cart                  : 3 of 4 - gone"), "c.s.Cart");
        assert_eq!(of("ERROR 1 --- [main] o.a.c.c.C.[.[/]  : gone"), "o.a.c.c.C.[.[/]");
        assert_eq!(of("ERROR 1 --- [main] what is this : gone"), "");
        assert_eq!(of("E1120 01:00:00.000000       1 reflector.go:138] gone"), "reflector.go:138");
        assert_eq!(of("ERROR java.io.IOException: gone"), "");
        assert_eq!(of("level=error logger=cart.db msg=gone"), "cart.db");
        assert_eq!(of("ERROR gone"), "");
    }
}
