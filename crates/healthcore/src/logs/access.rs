//! Lines of web servers: access logs in the common and combined form, of Envoy and Istio, and of Gin, and what nginx says of a
//! request in its error log.

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
    /// Status of the answer; 0 where an error log tells of it, or the client went before there was one.
    pub(super) status: u32,
    /// Why a proxy gave the answer itself, in its own letters (`UF`).
    pub(super) why: &'l [u8],
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
    Some(Request { client, method, path, status, why: &[] })
}

/// Reads `[TIME] "METHOD PATH PROTOCOL" STATUS FLAGS ...` as Envoy and Istio write it unless told otherwise, and the server that
/// the request was for. Both end with the name asked for and the address of the server, in quotation marks; behind these
/// Istio names the service (`outbound|80||pay.shop.svc.cluster.local`) and four addresses, of which the third is the client's.
pub(super) fn envoy(line: &[u8]) -> Option<(Request<'_>, &[u8])> {
    let head = &line[..line.len().min(HEAD)];
    let time = head.strip_prefix(b"[")?;
    if !time.first()?.is_ascii_digit() || time.get(10) != Some(&b'T') {
        return None;
    }
    let rest = &line[TIME_ENDS.find(head)? + 3..];
    let end = closing(rest)?;
    let mut words = rest.get(end + 1..)?.strip_prefix(b" ")?.split(|b| *b == b' ');
    let status = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    if status != 0 && !(100..600).contains(&status) {
        return None;
    }
    let why = words.next().filter(|flags| *flags != b"-").unwrap_or_default();
    let mut quoted = rest[end + 1..].rsplit(|b| *b == b'"');
    let mut behind = quoted.next()?.split(|b| *b == b' ').filter(|word| !word.is_empty());
    // Every other part stands between two strings.
    let [server, _, _, _, client] = [(); 5].map(|()| {
        let string = quoted.next().unwrap_or_default();
        quoted.next();
        string
    });
    let server = match behind.next() {
        Some(service) => service.strip_prefix(b"outbound|").and_then(|s| s.rsplit(|b| *b == b'|').next()),
        None => Some(server),
    };
    let forwarded = client.split(|b| *b == b',').next().filter(|client| !matches!(*client, b"" | b"-"));
    let client = forwarded.or_else(|| behind.nth(2).map(without_port)).filter(|client| *client != b"-");
    let (method, path) = method_and_path(&rest[..end]);
    let request = Request { client: client.unwrap_or_default(), method, path, status, why };
    Some((request, server.filter(|server| *server != b"-").unwrap_or_default()))
}

/// An address without its port.
fn without_port(address: &[u8]) -> &[u8] {
    memchr::memrchr(b':', address).map_or(address, |at| &address[..at])
}

/// Reads `[GIN] DATE - TIME | STATUS | LATENCY | CLIENT | METHOD "PATH"` of the web framework for Go, with colours or without.
pub(super) fn gin(line: &[u8]) -> Option<Request<'_>> {
    let mut parts = line.strip_prefix(b"[GIN] ")?.splitn(5, |b| *b == b'|').skip(1);
    let [status, _, client, request] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let mut numbers = status.split(|b| !b.is_ascii_digit());
    let status = std::str::from_utf8(numbers.find(|digits| digits.len() == 3)?).ok()?.parse().ok()?;
    let is_word = |word: &&[u8]| word.len() > 2;
    let method = request.split(|b| !b.is_ascii_uppercase()).find(is_word).unwrap_or_default();
    let path = match memchr(b'"', request) {
        Some(at) => {
            let path = &request[at + 1..];
            &path[..closing(path).unwrap_or(path.len())]
        }
        // Before Gin 1.6.
        None => request.rsplit(|b| *b == b' ').next().unwrap_or_default(),
    };
    Some(Request { client: client.trim_ascii(), method, path, status, why: &[] })
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
    Some(Request { client: word(client), method, path, status: 0, why: &[] })
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

    /// The formats of `envoyproxy.io/docs/.../access_log/usage` and of Istio's `meshConfig.accessLogFormat`.
    #[test]
    fn lines_of_envoy_and_istio() {
        let told = |line: &'static str| {
            let (request, server) = envoy(line.as_bytes())?;
            let words = [request.client, request.method, request.path, request.why, server];
            Some((words.map(|word| std::str::from_utf8(word).unwrap()), request.status))
        };
        let istio = r#"[2026-11-20T01:00:00.000Z] "GET /pay?card=1 HTTP/1.1" 503 UF upstream_reset_before_response_started{connection_failure} - "delayed connect error: 111" 0 167 5 - "-" "Go-http-client/2.0" "e3f-1" "pay:80" "10.1.2.3:8080" outbound|80||pay.shop.svc.cluster.local - 10.96.0.9:80 10.1.0.7:43210 - default"#;
        assert_eq!(
            told(istio),
            Some((["10.1.0.7", "GET", "/pay?card=1", "UF", "pay.shop.svc.cluster.local"], 503))
        );
        let inbound = r#"[2026-11-20T01:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 3 5 4 "203.0.113.9,10.0.0.1" "curl/8" "e3f-1" "pay" "10.1.2.3:8080" inbound|8080|| 127.0.0.6:4 10.1.2.3:8080 10.1.0.7:0 out.pay default"#;
        assert_eq!(told(inbound), Some((["203.0.113.9", "GET", "/", "", ""], 200)));
        let envoy = r#"[2026-11-20T01:00:00.000Z] "POST /v1 HTTP/2" 504 UT 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0" "locations" "tcp://10.0.2.1:80""#;
        assert_eq!(told(envoy), Some((["10.0.35.28", "POST", "/v1", "UT", "tcp://10.0.2.1:80"], 504)));
        assert_eq!(told(r#"[2026-11-20T01:00:00.000Z] "GET / HTTP/1.1" 0 DC"#).unwrap().1, 0);
        for other in [
            "",
            "[",
            r#"[2026-11-20 01:00:00.000][1][error][upstream] "GET / HTTP/1.1" 503 UF"#,
            r#"[2026-11-20T01:00:00.000Z] "GET / HTTP/1.1""#,
            r#"[2026-11-20T01:00:00.000Z] "GET / HTTP/1.1" none"#,
            r#"[2026-11-20T01:00:00.000Z] ERROR "no route"#,
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn lines_of_gin() {
        for line in [
            "[GIN] 2026/11/20 - 01:00:00 | 500 |    1.2345ms |        10.0.0.1 | GET      \"/pay/7?a=b\"",
            "[GIN] 2026/11/20 - 01:00:00 | 500 |    1.2345ms | 10.0.0.1 |  GET     /pay/7?a=b",
            "[GIN] 2026/11/20 - 01:00:00 |\u{1b}[97;41m 500 \u{1b}[0m|    1.2ms |        10.0.0.1 |\u{1b}[97;44m GET     \u{1b}[0m \"/pay/7?a=b\"",
        ] {
            let found = gin(line.as_bytes()).unwrap();
            let found = [found.client, found.method, found.path, found.status.to_string().as_bytes()]
                .map(|word| String::from_utf8_lossy(word).into_owned());
            assert_eq!(found, ["10.0.0.1", "GET", "/pay/7?a=b", "500"], "{line}");
        }
        for other in ["[GIN-debug] [WARNING] Running in \"debug\" mode", "[GIN] x", "[GIN] a | b | c | d | e"]
        {
            assert_eq!(gin(other.as_bytes()), None, "{other}");
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
