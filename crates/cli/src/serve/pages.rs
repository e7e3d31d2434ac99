//! What each page answers.

use std::sync::Arc;

use bytes::Bytes;
use healthcore::time::Timestamp;
use healthcore_report::Format;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use lambda_free_runner::lease::Standing;
use lambda_free_runner::reports::KEPT;
use lambda_free_runner::runner::Runner;
use sha2::{Digest as _, Sha256};

use crate::serve::args::ReadyAfter;
use crate::serve::board::{Board, State};
use crate::serve::metrics::{self, Exposition, Process};
use crate::serve::readable;

type Answer = Response<Full<Bytes>>;

/// The pages of a program that runs on a schedule.
pub(crate) struct Pages {
    pub(crate) board: Arc<Board>,
    pub(crate) runner: Arc<Runner>,
    /// The token that starts runs; without one nobody may.
    pub(crate) token: Option<Token>,
    pub(crate) ready_after: ReadyAfter,
    pub(crate) started_at: Timestamp,
}

/// A secret, of which only a digest is kept.
pub(crate) struct Token([u8; 32]);

impl Token {
    pub(crate) fn new(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// Whether a text is the secret. Digests are compared, so the time that it takes tells nothing of the secret.
    fn is(&self, text: &str) -> bool {
        <[u8; 32]>::from(Sha256::digest(text)) == self.0
    }
}

impl Pages {
    pub(crate) fn answer(&self, request: &Parts) -> Answer {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        match (request.uri.path(), reads) {
            ("/", true) => redirect("/report"),
            ("/healthz", true) => message(StatusCode::OK, "alive"),
            ("/readyz", true) => self.ready(),
            ("/metrics", true) => self.metrics(&request.headers),
            ("/report", true) => self.report(request),
            ("/run", false) if request.method == Method::POST => self.run(&request.headers),
            ("/run", _) => not_allowed("POST"),
            ("/" | "/healthz" | "/readyz" | "/metrics" | "/report", false) => not_allowed("GET, HEAD"),
            _ => message(
                StatusCode::NOT_FOUND,
                "no such page; there are /report, /metrics, /healthz, /readyz, and POST /run",
            ),
        }
    }

    fn ready(&self) -> Answer {
        let state = self.board.known();
        if state.stopping {
            return message(StatusCode::SERVICE_UNAVAILABLE, "not ready: the program stops");
        }
        if self.ready_after == ReadyAfter::FirstReport && state.latest.is_none() {
            let why = format!("not ready: {}", no_report(&state));
            return message(StatusCode::SERVICE_UNAVAILABLE, &why);
        }
        message(StatusCode::OK, "ready")
    }

    fn metrics(&self, headers: &HeaderMap) -> Answer {
        let accepted = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let exposition = match accepted.contains("application/openmetrics-text") {
            true => Exposition::OpenMetrics,
            false => Exposition::Prometheus,
        };
        let text = metrics::render(&self.board.known(), &Process::now(self.started_at), exposition);
        with(StatusCode::OK, exposition.content_type(), text.into())
    }

    fn report(&self, request: &Parts) -> Answer {
        let format = match wanted(request) {
            Ok(format) => format,
            Err((status, why)) => return message(status, &why),
        };
        let Some(pages) = self.board.latest() else {
            return message(StatusCode::SERVICE_UNAVAILABLE, &no_report(&self.board.known()));
        };
        let Some(page) = pages.page(format.name()) else {
            let why = format!("the latest report was kept by a version that did not write {}", format.name());
            return message(StatusCode::NOT_FOUND, &why);
        };
        let given = |name: HeaderName| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        let mut answer = if given(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim() == page.tag) {
            with(StatusCode::NOT_MODIFIED, media_type(format), Bytes::new())
        } else if takes_gzip(given(header::ACCEPT_ENCODING)) {
            let mut answer = with(StatusCode::OK, media_type(format), page.gzip.clone());
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            answer
        } else {
            with(StatusCode::OK, media_type(format), page.plain.clone())
        };
        let headers = answer.headers_mut();
        headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        if let Ok(tag) = HeaderValue::from_str(&page.tag) {
            headers.insert(header::ETAG, tag);
        }
        if let Ok(taken_at) = HeaderValue::from_str(&readable(pages.taken_at)) {
            headers.insert("x-healthcheck-taken-at", taken_at);
        }
        answer
    }

    fn run(&self, headers: &HeaderMap) -> Answer {
        let Some(token) = &self.token else {
            return message(
                StatusCode::FORBIDDEN,
                "runs on demand are off; set HEALTHCHECK_RUN_TOKEN or HEALTHCHECK_RUN_TOKEN_FILE to allow them",
            );
        };
        let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let given =
            given.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if !given.is_some_and(|(_, secret)| token.is(secret.trim())) {
            let why = "this needs the header `Authorization: Bearer TOKEN` with the right token";
            let mut answer = message(StatusCode::UNAUTHORIZED, why);
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
        let state = self.board.known();
        if state.stopping {
            return message(StatusCode::SERVICE_UNAVAILABLE, "the program stops; no run is started");
        }
        match state.standing {
            None | Some(Standing::Leader) => {}
            Some(other) => {
                return message(StatusCode::CONFLICT, &format!("no run starts here: {}", told(&other)));
            }
        }
        match self.runner.ask() {
            Ok(()) => message(StatusCode::ACCEPTED, "a run starts; /report has its report when it has ended"),
            Err(busy) => message(StatusCode::CONFLICT, &busy.to_string()),
        }
    }
}

/// Who runs, when this program does not.
pub(crate) fn told(standing: &Standing) -> String {
    match standing {
        Standing::Follower { leader } => format!("`{leader}` leads"),
        Standing::Unknown { why } => format!("it is not known who leads: {why}"),
        Standing::Leader => "this program leads".to_owned(),
    }
}

/// Why there is no report yet.
fn no_report(state: &State) -> String {
    let failed = state.last.as_ref().and_then(|last| last.failure.as_ref());
    let failed = failed.map_or_else(String::new, |why| format!("; the last run failed: {why}"));
    if let Some(standing) = state.standing.as_ref().filter(|s| **s != Standing::Leader) {
        return format!("no report yet: {}, and its reports come by the folder of --reports", told(standing));
    }
    match (state.running, state.next) {
        (Some(since), _) => {
            format!("no report yet: the first run is under way since {}{failed}", readable(since))
        }
        (None, Some(next)) => format!("no report yet: the next run starts at {}{failed}", readable(next)),
        (None, None) => format!("no report yet{failed}"),
    }
}

/// The format that a request asks for: by its query, else by its `Accept` header, else HTML.
fn wanted(request: &Parts) -> Result<Format, (StatusCode, String)> {
    let query = request.uri.query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "format");
    if let Some((_, name)) = named {
        let known = KEPT.map(|(format, _)| format.name());
        let found = Format::from_name(&name).filter(|format| known.contains(&format.name()));
        let why = || format!("format `{name}`: expected one of {}", known.join(", "));
        return found.ok_or_else(|| (StatusCode::BAD_REQUEST, why()));
    }
    let accepted: Vec<&str> =
        request.headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).collect();
    accepted_format(&accepted.join(",")).ok_or_else(|| {
        let types: Vec<&str> = KEPT.iter().map(|(format, _)| media_type(*format)).collect();
        let why = format!("there is none of the accepted types; there are {}", types.join(", "));
        (StatusCode::NOT_ACCEPTABLE, why)
    })
}

/// The best format for an `Accept` header (RFC 9110, section 12.5.1); HTML when it is empty or takes anything.
fn accepted_format(accept: &str) -> Option<Format> {
    if accept.trim().is_empty() {
        return Some(Format::Html);
    }
    let mut best: Option<(f64, Format)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let wanted = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|p| p.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
        let weight = weight.unwrap_or(0.0);
        let fits = |format: Format| {
            let own = media_type(format).split(';').next().unwrap_or_default();
            let family = wanted.strip_suffix("/*");
            own == wanted || wanted == "*/*" || family.is_some_and(|f| own.split('/').next() == Some(f))
        };
        let found = KEPT.iter().map(|(format, _)| *format).find(|format| fits(*format));
        if let Some(format) = found.filter(|_| weight > best.map_or(0.0, |(weight, _)| weight)) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Json => "application/json",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Yaml => "application/yaml",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Junit => "application/xml",
        Format::Sarif => "application/sarif+json",
        Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    }
}

fn takes_gzip(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip")
            && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// A line of words.
pub(crate) fn message(status: StatusCode, words: &str) -> Answer {
    with(status, "text/plain; charset=utf-8", format!("{words}\n").into())
}

fn with(status: StatusCode, media_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn redirect(to: &'static str) -> Answer {
    let mut answer = message(StatusCode::TEMPORARY_REDIRECT, to);
    answer.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    answer
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = message(StatusCode::METHOD_NOT_ALLOWED, &format!("this page takes {methods} only"));
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;
    use lambda_free_runner::reports::Rendered;
    use lambda_free_runner::runner::{FailureKind, RunFailure};

    use super::*;
    use crate::serve::board;

    impl Pages {
        /// Pages with a report in HTML of `size` bytes; without report at 0.
        pub(crate) fn sample(size: usize) -> Self {
            let board = Board::default();
            if size > 0 {
                let text = |text: Vec<u8>| Arc::<[u8]>::from(text);
                let pages = [("html", text(vec![b'h'; size])), ("json", text(b"{}\n".to_vec()))];
                let taken_at = Timestamp::from_unix_seconds(1_795_136_400);
                board.publish(board::Pages::of(Rendered { taken_at, pages: BTreeMap::from(pages) }));
            }
            Self {
                board: Arc::new(board),
                runner: Arc::new(Runner::builder().build()),
                token: Some(Token::new("hunter2")),
                ready_after: ReadyAfter::FirstReport,
                started_at: Timestamp(0),
            }
        }
    }

    fn ask(pages: &Pages, method: &str, uri: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = hyper::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (answer, body) = pages.answer(&head).into_parts();
        let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        (answer.status.as_u16(), answer.headers, String::from_utf8_lossy(&body).into_owned())
    }

    #[track_caller]
    fn check(pages: &Pages, method: &str, uri: &str, headers: &[(&str, &str)], status: u16, words: &str) {
        let (found, _, body) = ask(pages, method, uri, headers);
        assert_eq!(found, status, "{method} {uri}: {body}");
        assert!(body.contains(words), "{method} {uri}\n  said: {body}\n  expected: {words}");
    }

    #[test]
    fn pages_and_methods() {
        let pages = Pages::sample(10);
        check(&pages, "GET", "/healthz", &[], 200, "alive");
        check(&pages, "HEAD", "/report", &[], 200, "hhhhhhhhhh");
        check(&pages, "GET", "/", &[], 307, "/report");
        check(&pages, "GET", "/nowhere", &[], 404, "no such page; there are /report");
        check(&pages, "POST", "/report", &[], 405, "this page takes GET, HEAD only");
        check(&pages, "GET", "/run", &[], 405, "this page takes POST only");
        check(&pages, "GET", "/metrics", &[], 200, "healthcheck_run_in_progress 0");
        assert_eq!(ask(&pages, "DELETE", "/run", &[]).1[header::ALLOW], "POST");
    }

    #[test]
    fn the_report_in_the_format_that_is_asked_for() {
        let pages = Pages::sample(10);
        check(&pages, "GET", "/report?format=json", &[("accept", "text/html")], 200, "{}");
        check(&pages, "GET", "/report", &[("accept", "application/json")], 200, "{}");
        check(&pages, "GET", "/report", &[("accept", "image/png")], 406, "there are text/html");
        check(
            &pages,
            "GET",
            "/report?format=pdf",
            &[],
            400,
            "format `pdf`: expected one of html, json, markdown",
        );
        check(&pages, "GET", "/report?format=csv", &[], 404, "did not write csv");
        for (accept, expected) in [
            ("", Some(Format::Html)),
            ("*/*", Some(Format::Html)),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Format::Html)),
            ("text/plain", Some(Format::Text)),
            ("text/markdown;q=0.5, application/json;q=0.9", Some(Format::Json)),
            ("application/*", Some(Format::Json)),
            ("TEXT/CSV", Some(Format::Csv)),
            ("text/html;q=0, */*;q=nonsense", None),
            ("image/*", None),
        ] {
            assert_eq!(accepted_format(accept), expected, "{accept}");
        }
    }

    #[test]
    fn bytes_are_sent_once() {
        let pages = Pages::sample(1000);
        let (status, headers, body) = ask(&pages, "GET", "/report", &[("accept-encoding", "br, gzip;q=0.5")]);
        assert_eq!((status, &headers[header::CONTENT_ENCODING]), (200, &HeaderValue::from_static("gzip")));
        assert!(body.len() < 100, "{}", body.len());
        let plain = ask(&pages, "GET", "/report", &[("accept-encoding", "gzip;q=0")]);
        assert_eq!(plain.2.len(), 1000);
        assert!(!plain.1.contains_key(header::CONTENT_ENCODING));
        let tag = headers[header::ETAG].to_str().unwrap();
        let (status, _, body) = ask(&pages, "GET", "/report", &[("if-none-match", tag)]);
        assert_eq!((status, &*body), (304, ""));
        let (status, ..) = ask(&pages, "GET", "/report?format=json", &[("if-none-match", tag)]);
        assert_eq!(status, 200, "another format is another thing");
    }

    #[test]
    fn before_the_first_report() {
        let pages = Pages::sample(0);
        check(&pages, "GET", "/report", &[], 503, "no report yet");
        check(&pages, "GET", "/readyz", &[], 503, "not ready: no report yet");
        pages.board.change(|state| state.next = Some(Timestamp(1_795_222_800_000)));
        check(&pages, "GET", "/report", &[], 503, "the next run starts at 2026-11-21T01:00:00Z");
        pages.board.change(|state| {
            let failure = RunFailure { kind: FailureKind::Sources, why: "no source can be used".into() };
            let took = std::time::Duration::from_secs(1);
            state.last = Some(board::Last { at: Timestamp(0), took, failure: Some(failure) });
        });
        check(&pages, "GET", "/report", &[], 503, "; the last run failed: no source can be used");
        let pages = Pages { ready_after: ReadyAfter::Config, ..pages };
        check(&pages, "GET", "/readyz", &[], 200, "ready");
        pages.board.change(|state| state.stopping = true);
        check(&pages, "GET", "/readyz", &[], 503, "not ready: the program stops");
        check(&pages, "GET", "/healthz", &[], 200, "alive");
    }

    #[test]
    fn only_those_with_the_token_start_runs() {
        let pages = Pages::sample(0);
        for wrong in ["", "Bearer", "Bearer ", "Bearer hunter", "Bearer hunter22", "Basic hunter2", "hunter2"]
        {
            let (status, headers, body) = ask(&pages, "POST", "/run", &[("authorization", wrong)]);
            assert_eq!(status, 401, "{wrong}");
            assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer");
            assert!(!body.contains("hunter"), "{body}");
        }
        check(&pages, "POST", "/run", &[], 401, "Authorization: Bearer TOKEN");
        check(&pages, "POST", "/run", &[("authorization", "Bearer hunter2")], 202, "a run starts");
        check(&pages, "POST", "/run", &[("authorization", "bearer  hunter2 ")], 202, "a run starts");
        let leader = "healthcheck-0_1".to_owned();
        pages.board.change(|state| state.standing = Some(Standing::Follower { leader }));
        check(&pages, "POST", "/run", &[("authorization", "Bearer hunter2")], 409, "`healthcheck-0_1` leads");
        check(&pages, "GET", "/report", &[], 503, "no report yet: `healthcheck-0_1` leads");
        pages.board.change(|state| state.standing = Some(Standing::Leader));
        check(&pages, "POST", "/run", &[("authorization", "Bearer hunter2")], 202, "a run starts");
        let off = Pages { token: None, ..pages };
        check(&off, "POST", "/run", &[("authorization", "Bearer hunter2")], 403, "runs on demand are off");
    }
}
