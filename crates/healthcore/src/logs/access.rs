//! Lines of web servers: access logs in the common and combined form, and what nginx says of a request in its error log.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::{self, Finder};

/// A request that a web server tells of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Request<'l> {
    /// Address of the client.
    pub(super) client: &'l [u8],
    /// Method, as far as it is known.
    pub(super) method: &'l [u8],
    /// Path with its query.
    pub(super) path: &'l [u8],
    /// Status of the answer; 0 where an error log tells of it.
    pub(super) status: u32,
}

/// What stands before the client in an error of nginx.
const CLIENT: &[u8] = b", client: ";

/// Bytes within which the time of an access line ends.
const HEAD: usize = 256;
/// Bytes within which the address of a client ends.
const LONGEST_ADDRESS: usize = 64;

/// Made once, because making a searcher takes as long as searching a line.
static TIME_ENDS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("] \""));
static NAMES_CLIENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(CLIENT));

/// Reads `ADDRESS - USER [TIME] "METHOD PATH PROTOCOL" STATUS ...`.
pub(super) fn read(line: &[u8]) -> Option<Request<'_>> {
    let client = &line[..memchr(b' ', &line[..line.len().min(LONGEST_ADDRESS)])?];
    if !client.iter().all(|b| b.is_ascii_hexdigit() || b".:%".contains(b)) {
        return None;
    }
    let head = &line[..line.len().min(HEAD)];
    let time = TIME_ENDS.find(head)?;
    let rest = &line[time + 3..];
    let end = closing(rest)?;
    let status = std::str::from_utf8(rest.get(end + 2..end + 5)?).ok()?.parse().ok()?;
    if rest.get(end + 1) != Some(&b' ') || !(100..600).contains(&status) {
        return None;
    }
    let (method, path) = method_and_path(&rest[..end]);
    Some(Request { client, method, path, status })
}

/// Where the quotation mark stands that closes a request; clients may send anything between.
fn closing(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// `GET /a?b HTTP/1.1` as method and path; what has no such form is all path.
pub(super) fn method_and_path(request: &[u8]) -> (&[u8], &[u8]) {
    let mut words = request.split(|b| *b == b' ');
    match (words.next(), words.next()) {
        (Some(method), Some(path)) if method.iter().all(u8::is_ascii_uppercase) => (method, path),
        _ => (&[], request),
    }
}

/// What nginx says of a file that a client asked for and that is not there, or that it may not see. `message` stands behind
/// the level.
pub(super) fn missing_file(message: &[u8]) -> Option<Request<'_>> {
    let client = &message[NAMES_CLIENT.find(message)? + CLIENT.len()..];
    let told = [
        &b"(2: No such file or directory)"[..],
        b"(20: Not a directory)",
        b"is not found",
        b" is forbidden",
        b"access forbidden by rule",
    ];
    let before = &message[..message.len() - client.len()];
    if !told.iter().any(|words| memmem::find(before, words).is_some()) {
        return None;
    }
    let request = after(client, b"request: \"")?;
    let end = closing(request).unwrap_or(request.len());
    let (method, path) = method_and_path(&request[..end]);
    Some(Request { client: word(client), method, path, status: 0 })
}

/// A message of nginx without what it says of the request, then client and upstream that it names.
pub(super) fn parties(message: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let Some(at) = NAMES_CLIENT.find(message) else { return (message, &[], &[]) };
    let (words, request) = message.split_at(at);
    (words, word(&request[CLIENT.len()..]), after(request, b"upstream: \"").unwrap_or_default())
}

fn after<'l>(text: &'l [u8], words: &[u8]) -> Option<&'l [u8]> {
    memmem::find(text, words).map(|at| &text[at + words.len()..])
}

fn word(text: &[u8]) -> &[u8] {
    &text[..text.iter().position(|b| b", \"".contains(b)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_lines() {
        let line = br#"203.0.113.9 - - [20/Nov/2026:01:00:00 +0000] "GET /.env?a=\"b HTTP/1.1" 404 153 "-" "curl/8""#;
        let found = read(line).unwrap();
        assert_eq!(
            (found.client, found.method, found.path, found.status),
            (&b"203.0.113.9"[..], &b"GET"[..], &br#"/.env?a=\"b"#[..], 404)
        );
        let raw = read(br#"2001:db8::1 - bob [20/Nov/2026:01:00:00 +0000] "\x16\x03\x01" 400 157 "-" "-""#)
            .unwrap();
        assert_eq!((raw.client, raw.path, raw.status), (&b"2001:db8::1"[..], &br"\x16\x03\x01"[..], 400));
        for other in [
            "",
            "a",
            "abc",
            "10.0.0.1 - - [x] \"GET / HTTP/1.1\" none",
            "10.0.0.1 [x] \"GET /",
            "dead [x] \"\" 999 1",
        ] {
            assert_eq!(read(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn missing_files() {
        let line = br#"29#29: *1 open() "/srv/.env" failed (2: No such file or directory), client: 203.0.113.9, server: _, request: "GET /.env HTTP/1.1", host: "a""#;
        let found = missing_file(line).unwrap();
        assert_eq!((found.client, found.path), (&b"203.0.113.9"[..], &b"/.env"[..]));
        let upstream = br#"29#29: *1 connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.1, server: _, request: "GET /a HTTP/1.1", upstream: "http://10.1.2.3:8080/a""#;
        assert_eq!(missing_file(upstream), None);
        assert_eq!(parties(upstream).1, b"10.0.0.1");
    }
}
