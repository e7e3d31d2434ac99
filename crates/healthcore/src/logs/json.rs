//! Lines that are JSON objects: the few fields that matter, without reading the rest into values.

use memchr::memchr2;

use super::level::Level;

/// What a line of JSON says. Texts stand as they are written, with their escapes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct JsonLine<'l> {
    pub(super) level: Option<Level>,
    pub(super) message: &'l [u8],
    /// What went wrong, beside the message.
    pub(super) error: &'l [u8],
    pub(super) logger: &'l [u8],
    pub(super) client: &'l [u8],
    pub(super) server: &'l [u8],
    /// Status of a request.
    pub(super) status: Option<u32>,
    /// Path of a request, or its first line.
    pub(super) request: &'l [u8],
}

/// Reads a line that begins with a brace; none when it is no object. What says that it is no error is not read to its end.
pub(super) fn read(line: &[u8]) -> Option<JsonLine<'_>> {
    let mut walk = Walk { line, at: 1 };
    let mut out = JsonLine::default();
    let (mut small, mut is_gelf) = (None, false);
    let mut any = false;
    while let Some(key) = walk.key() {
        any = true;
        let Some(value) = walk.value() else { break };
        match key {
            b"level" | b"Level" | b"severity" | b"Severity" | b"lvl" | b"levelname" | b"log.level"
            | b"@level" | b"@l" | b"loglevel" | b"logLevel" | b"LogLevel" | b"severity_text"
            | b"SeverityText" | b"LEVEL" => {
                out.level = out.level.or_else(|| match number(value) {
                    Some(n @ 0..=7) => {
                        small = Some(n);
                        None
                    }
                    Some(n) => Level::from_tens(n),
                    None => Level::from_word(value.trim_ascii()),
                });
            }
            // MongoDB.
            b"s" if value.len() <= 2 => {
                let letter = value.first().and_then(|l| Level::from_letter(*l));
                out.level = out.level.or(letter);
            }
            b"msg" | b"message" | b"Message" | b"@message" | b"@m" | b"MESSAGE" => {
                out.message = value;
            }
            b"@mt" | b"event" | b"short_message" | b"textPayload" if out.message.is_empty() => {
                is_gelf = key == b"short_message";
                out.message = value;
            }
            b"error" | b"err" | b"exception" | b"error.message" | b"Exception" | b"@x" => out.error = value,
            b"logger" | b"logger_name" | b"loggerName" | b"log.logger" | b"component" | b"SourceContext"
            | b"@module" | b"name" | b"caller"
                if out.logger.is_empty() || key != b"caller" =>
            {
                out.logger = value;
            }
            b"client_ip" | b"remote_addr" | b"remote_ip" | b"clientIP" | b"client" | b"remoteAddr" => {
                out.client = value;
            }
            b"upstream_addr" | b"upstream" | b"peer" | b"server_addr" | b"upstream_host" => {
                out.server = value
            }
            b"status" | b"status_code" | b"statusCode" | b"response_code" => out.status = number(value),
            b"request_uri" | b"uri" | b"path" | b"request" | b"url" if out.request.is_empty() => {
                out.request = value;
            }
            _ => {}
        }
        if out.level.is_some_and(|level| !level.is_error()) {
            return Some(out);
        }
    }
    if is_gelf {
        out.level = out.level.or(small.and_then(Level::from_syslog));
    }
    any.then_some(out)
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

struct Walk<'l> {
    line: &'l [u8],
    at: usize,
}

impl<'l> Walk<'l> {
    fn skip(&mut self, of: &[u8]) {
        while self.line.get(self.at).is_some_and(|b| of.contains(b)) {
            self.at += 1;
        }
    }

    /// The next key; none after the last.
    fn key(&mut self) -> Option<&'l [u8]> {
        self.skip(b" \t,");
        let key = self.string()?;
        self.skip(b" \t");
        (self.line.get(self.at) == Some(&b':')).then(|| self.at += 1)?;
        self.skip(b" \t");
        Some(key)
    }

    /// What stands between quotation marks, to the end of the line when that comes first.
    fn string(&mut self) -> Option<&'l [u8]> {
        if self.line.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        let start = self.at;
        loop {
            match memchr2(b'"', b'\\', self.line.get(self.at..)?) {
                None => {
                    self.at = self.line.len();
                    return Some(&self.line[start..]);
                }
                Some(by) if self.line[self.at + by] == b'"' => {
                    let end = self.at + by;
                    self.at = end + 1;
                    return Some(&self.line[start..end]);
                }
                Some(by) => self.at = (self.at + by + 2).min(self.line.len()),
            }
        }
    }

    /// The next value; what it holds is passed over when it is no plain one.
    fn value(&mut self) -> Option<&'l [u8]> {
        match self.line.get(self.at)? {
            b'"' => self.string(),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match self.line.get(self.at)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Some(&[]);
                    }
                }
            }
            _ => {
                let start = self.at;
                while self.line.get(self.at).is_some_and(|b| !b", \t}]".contains(b)) {
                    self.at += 1;
                }
                Some(&self.line[start..self.at])
            }
        }
    }
}

/// The text of a string up to its first line end, escapes undone as far as that helps a reader.
pub(super) fn plain(written: &[u8], out: &mut Vec<u8>, most: usize) {
    let mut rest = written;
    while out.len() < most {
        let room = &rest[..rest.len().min(most - out.len())];
        let Some(escape) = memchr::memchr(b'\\', room) else {
            return out.extend_from_slice(room);
        };
        out.extend_from_slice(&room[..escape]);
        match rest.get(escape + 1) {
            None | Some(b'n' | b'r') => return,
            Some(b't') => out.push(b' '),
            Some(b'u') => out.extend_from_slice(b"\\u"),
            Some(other) => out.push(*other),
        }
        rest = &rest[escape + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn level(line: &str) -> Option<Level> {
        read(line.as_bytes()).and_then(|l| l.level)
    }

    #[test]
    fn levels_of_common_loggers() {
        for (line, expected) in [
            (r#"{"level":"error","ts":1,"msg":"boom"}"#, Some(Level::Error)), // zap
            (r#"{"level":50,"time":1,"pid":1,"msg":"boom"}"#, Some(Level::Error)), // pino
            (r#"{"name":"app","hostname":"h","level":60,"msg":"boom","v":0}"#, Some(Level::Fatal)), // bunyan
            (r#"{"severity":"CRITICAL","message":"boom"}"#, Some(Level::Fatal)), // Cloud Logging
            (r#"{"log.level": "WARN", "message":"x"}"#, Some(Level::Warning)), // ECS
            (r#"{"@level":"error","@message":"x"}"#, Some(Level::Error)),     // hclog
            (r#"{"t":{"$date":"2026"},"s":"E","c":"NETWORK","id":1,"msg":"x"}"#, Some(Level::Error)), // MongoDB
            (r#"{"version":"1.1","short_message":"x","level":3}"#, Some(Level::Error)),               // GELF
            (r#"{"level":3,"msg":"x"}"#, None),
            (r#"{"a":{"level":"error"},"b":["}"],"level":"info"}"#, Some(Level::Info)),
            (r#"{"msg":"the \"level\":\"error\" is in here"}"#, None),
            (r#"{"msg":"cut off in the mid"#, None),
            ("{not json at all", None),
            ("{", None),
        ] {
            assert_eq!(level(line), expected, "{line}");
        }
    }

    #[test]
    fn the_fields_of_an_error() {
        let line = read(br#"{"level":"error","logger":"db.pool","msg":"no \"conn\"\nat x","error":"timeout","client_ip":"10.0.0.7","n":{"a":[1,"}"]},"status":502}"#).unwrap();
        assert_eq!(
            (line.logger, line.error, line.client, line.status),
            (&b"db.pool"[..], &b"timeout"[..], &b"10.0.0.7"[..], Some(502))
        );
        let mut text = Vec::new();
        plain(line.message, &mut text, 400);
        assert_eq!(text, br#"no "conn""#);
    }

    #[test]
    fn escapes_and_the_bound() {
        let of = |written: &str, most: usize| {
            let mut out = b"> ".to_vec();
            plain(written.as_bytes(), &mut out, most);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(of(r"a\tb\u00e4\\c\nd", 99), r"> a b\u00e4\c");
        assert_eq!(of("abcdef", 5), "> abc");
        assert_eq!(of(r"abc\tdef", 5), "> abc", "the bound stands before the escape");
        assert_eq!(of(r"ab\tdef", 5), "> ab ");
        assert_eq!((of("", 5), of(r"a\", 9), of("abc", 1)), ("> ".into(), "> a".into(), "> ".into()));
    }
}
